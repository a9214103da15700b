/* Which events of two logs stand side by side. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "server/service/compare_pair.h"

/* "1a" "2b" …: turn and a letter that is actor and deed. */
static size_t make(const char *text, struct compare_item *out)
{
    size_t n = 0;
    for (; text[0] != '\0'; text += text[2] == ' ' ? 3 : 2, n++) {
        uint64_t letter = (uint8_t) text[1];
        out[n] = (struct compare_item) { .sequence = (uint32_t) n + 1,
                                         .turn = (uint32_t) (text[0] - '0'),
                                         .whole = letter * 1000,
                                         .seen = letter * 100,
                                         .deed = letter * 10,
                                         .who = letter };
    }
    return n;
}

static void check(const char *a, const char *b, const char *expected)
{
    struct compare_item as[64], bs[64];
    struct arena arena;
    char text[400] = "";
    size_t count = 0, at = 0, n_as = make(a, as), n_bs = make(b, bs);
    arena_init(&arena, 4096);
    const struct compare_pair *pairs = compare_pairs(as, n_as, bs, n_bs, &arena, &count);
    assert_non_null(pairs);
    for (size_t i = 0; i < count; i++) {
        text[at++] = pairs[i].a == NO_ITEM ? '-' : a[pairs[i].a * 3 + 1];
        text[at++] = pairs[i].b == NO_ITEM ? '-' : b[pairs[i].b * 3 + 1];
        text[at++] = ' ';
    }
    text[at > 0 ? at - 1 : 0] = '\0';
    assert_string_equal(text, expected);
    arena_done(&arena);
}

static void test_equal_events_stand_together(void **state)
{
    (void) state;
    check("1a 1b 1c", "1a 1b 1c", "aa bb cc");
    check("1a 1b 1c", "1a 1c", "aa b- cc");
    check("1a 1c", "1a 1b 1c", "aa -b cc");
    check("1a 1b", "1c 1d", "a- b- -c -d");
    check("", "1a", "-a");
    check("1a", "", "a-");
    check("", "", "");
}

static void test_turns_are_kept_apart(void **state)
{
    (void) state;
    check("1a 2b 3c", "1a 3c", "aa b- cc");
    check("1a 2b", "1b 2a", "a- -b b- -a");
    check("1a", "2a 3a", "a- -a -a");
}

static void test_the_nearest_likeness_wins(void **state)
{
    (void) state;
    struct arena arena;
    arena_init(&arena, 4096);
    /* The same actor in the same pass twice: the one that does the same deed is the partner. */
    struct compare_item a[] = { { 1, 1, 1, 11, 12, 13, 5 } };
    struct compare_item b[] = { { 1, 1, 1, 21, 22, 23, 5 }, { 2, 1, 1, 31, 32, 13, 5 } };
    size_t count;
    const struct compare_pair *pairs = compare_pairs(a, 1, b, 2, &arena, &count);
    assert_non_null(pairs);
    assert_int_equal(count, 2);
    assert_true(pairs[0].a == NO_ITEM && pairs[0].b == 0);
    assert_true(pairs[1].a == 0 && pairs[1].b == 1);
    b[1].deed = 33;
    b[1].pass = 2;
    pairs = compare_pairs(a, 1, b, 2, &arena, &count);
    assert_non_null(pairs);
    assert_true(pairs[0].a == 0 && pairs[0].b == 0 && pairs[1].b == 1);
    arena_done(&arena);
}

/* Whatever the logs are, each item comes up once, in order, beside one of its turn. */
static void test_any_two_logs(void **state)
{
    (void) state;
    enum { ITEMS = 300 };
    static struct compare_item logs[2][ITEMS];
    unsigned seed = 5;
    for (int round = 0; round < 200; round++) {
        size_t n[2];
        for (int s = 0; s < 2; s++) {
            uint32_t turn = 0;
            n[s] = (size_t) rand_r(&seed) % (ITEMS + 1);
            for (size_t i = 0; i < n[s]; i++) {
                turn += rand_r(&seed) % 9 == 0;
                uint64_t v = (uint64_t) rand_r(&seed) % 6;
                logs[s][i] = (struct compare_item) { (uint32_t) i + 1, turn, turn, v, v / 2, v / 3, v % 2 };
            }
        }
        struct arena arena;
        arena_init(&arena, 4096);
        size_t count, a = 0, b = 0;
        const struct compare_pair *pairs = compare_pairs(logs[0], n[0], logs[1], n[1], &arena, &count);
        assert_non_null(pairs);
        for (size_t i = 0; i < count; i++) {
            if (pairs[i].a != NO_ITEM)
                assert_int_equal(pairs[i].a, a++);
            if (pairs[i].b != NO_ITEM)
                assert_int_equal(pairs[i].b, b++);
            assert_true(pairs[i].a != NO_ITEM || pairs[i].b != NO_ITEM);
            if (pairs[i].a != NO_ITEM && pairs[i].b != NO_ITEM)
                assert_int_equal(logs[0][pairs[i].a].turn, logs[1][pairs[i].b].turn);
        }
        assert_int_equal(a, n[0]);
        assert_int_equal(b, n[1]);
        arena_done(&arena);
    }
}

static void test_an_enormous_turn_is_still_paired(void **state)
{
    (void) state;
    enum { ITEMS = 2000 };
    static struct compare_item as[ITEMS], bs[ITEMS];
    struct arena arena;
    size_t count;
    arena_init(&arena, 4096);
    for (uint32_t i = 0; i < ITEMS; i++)
        as[i] = bs[i] = (struct compare_item) { i + 1, 1, 1, i, i, i, i };
    const struct compare_pair *pairs = compare_pairs(as, ITEMS, bs, ITEMS - 1, &arena, &count);
    assert_non_null(pairs);
    assert_int_equal(count, ITEMS);
    assert_true(pairs[ITEMS - 1].b == NO_ITEM);
    arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equal_events_stand_together), cmocka_unit_test(test_turns_are_kept_apart),
        cmocka_unit_test(test_the_nearest_likeness_wins),   cmocka_unit_test(test_any_two_logs),
        cmocka_unit_test(test_an_enormous_turn_is_still_paired),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
