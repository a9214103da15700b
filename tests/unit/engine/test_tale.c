/* The .tale compiler: errors by file, line and column; one image whatever the order; damaged
 * images. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include "rpc/base/alloc.h"
#include "tests/unit/engine/engine_fixture.h"

struct bad_case {
    const char *text;
    uint32_t line, column;
    const char *message;
};
static const struct bad_case bad_cases[] = {
    { "operatr seal\n", 1, 1, "unknown statement" },
    { "  who A char\n", 1, 3, "before any statement" },
    { "pack core extra\n", 1, 11, "unexpected" },
    { "pack a\npack b\n", 2, 6, "second" },
    { "fluent at(chair) place\n", 1, 11, "no sort" },
    { "fluent f 5..1\n", 1, 13, "must lie in" },
    { "fluent f 0..9 init 12\n", 1, 20, "must lie in" },
    { "fluent f 0..9 see everywhere\n", 1, 19, "no way of seeing" },
    { "fluent f 0..9 law E009.1\n", 1, 19, "expected a law" },
    { "fluent f 0..9\nfluent f 0..9\n", 2, 8, "declared twice" },
    { "operator o\n  who A char\n  need g(A) = 1\n", 3, 8, "no parameter, fluent or define" },
    { "fluent f(char) 0..9 law E003.1\noperator o\n  who A char\n  need f(A = 1\n", 4, 14,
      "expected a char" },
    { "fluent f(char) 0..9 law E003.1\noperator o\n  who A char, P place\n  need f(P) = 1\n", 4, 10,
      "expected a char" },
    { "fluent f(char) 0..9\noperator o\n  who A char\n  need f(A) = 1\n", 4, 8, "needs a law" },
    { "fluent f(char) place law E003.1\noperator o\n  who A char\n  need f(A) + 1\n", 4, 8,
      "expected a number" },
    { "operator o\n  who A char\n  serves honour 3\n", 3, 10, "no name is named" },
    { "operator o\n  who A char\n  toward nowhere 3\n", 3, 10, "no goal" },
    { "operator o\n  who A char\n  react nobody\n", 3, 9, "no operator" },
    { "operator o\n  who A char\n  beat finale\n", 3, 8, "no beat" },
    { "operator o\n  who A char\n  ok nothing\n", 1, 10, "no plain line" },
    { "operator o\n  who A char\n  plain ok \"never closed\n", 3, 12, "closing quote" },
    { "operator o\n  who A char\n", 1, 10, "no outcome" },
    { "operator o\n  who P place\n  ok nothing\n  plain ok \"x\"\n", 1, 10, "must be a character" },
    { "operator o\n  who A char, hidden B char, hidden C char, hidden D char\n", 2, 45,
      "two hidden" },
    { "fluent f(char) 0..1 static\noperator o\n  who A char\n  ok f(A) = 1\n  plain ok \"x\"\n", 4,
      6, "static" },
    { "fluent f(char) place\noperator o\n  who A char\n  ok f(A) += 1\n  plain ok \"x\"\n", 4, 11,
      "can only be set" },
    { "define d = d\nfluent f 0..1 law E001.1\noperator o\n  who A char\n  need d\n", 1, 13,
      "defined by itself" },
    { "frame f\n  place home home\n", 1, 7, "no question" },
    { "frame f\n  question \"q\"\n  link home gate way\n", 3, 8, "no place" },
    { "truth t of f\n", 1, 12, "no frame" },
    { "fluent f 0..1 law E001.1\noperator o\n  who A char\n  where f = 1\n  ok nothing\n  plain ok "
      "\"x\"\n",
      2, 10, "needs fail" },
    { "lexicon colour\n  red\n", 1, 9, "unknown word class" },
    { "lexicon place\n  Castle\n", 2, 3, "lower case" },
    { "pack p\n\xff\n", 2, 1, "not UTF-8" },
    { "fluent f 0..9\n", 0, 0, "no source has a \"pack\"" },
    { "pack p\n", 0, 0, "damaged" },
};
static void test_bad_sources(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof(bad_cases) / sizeof(bad_cases[0]); i++) {
        const struct bad_case *c = &bad_cases[i];
        struct nvl_source source = { "world/a.tale", c->text, strlen(c->text) };
        struct nvl_pack *pack = (struct nvl_pack *) &source;
        struct nvl_error err = { 0 };
        assert_int_equal(nvl_pack_compile(&source, 1, NULL, NULL, &err, &pack), NVL_E_PACK);
        assert_ptr_equal(pack, &source); /* untouched */
        if (err.line != c->line || err.column != c->column ||
            strstr(err.message, c->message) == NULL)
            fail_msg("case %zu: expected %u:%u \"%s\", got %s:%u:%u: %s", i, c->line, c->column,
                     c->message, err.file, err.line, err.column, err.message);
        if (c->line != 0)
            assert_string_equal(err.file, "world/a.tale");
    }
}
static void test_order_does_not_matter(void **state)
{
    (void) state;
    struct nvl_pack *a = fixture_pack_ordered(0), *b = fixture_pack_ordered(1), *c = NULL;
    size_t n, m;
    const uint8_t *x = nvl_pack_image(a, &n), *y = nvl_pack_image(b, &m);
    assert_int_equal(n, m);
    assert_memory_equal(x, y, n);
    assert_int_equal(nvl_pack_open(x, n, NULL, &c), NVL_OK);
    assert_memory_equal(nvl_pack_digest(a), nvl_pack_digest(c), SHA256_SIZE);
    assert_string_equal(nvl_pack_name(c), "core");
    assert_true(nvl_pack_op_count(c) >= 24);
    assert_true(nvl_pack_op_find(c, "force_way") >= 0);
    assert_int_equal(nvl_pack_op_find(c, "nothing"), -1);
    nvl_pack_free(a), nvl_pack_free(b), nvl_pack_free(c);
}
/* Whatever is changed in an image, it opens or it does not; nothing is read outside of it, and what
 * opens can be played. */
static void test_damaged_images(void **state)
{
    (void) state;
    struct nvl_pack *pack = fixture_pack();
    size_t n;
    const uint8_t *image = nvl_pack_image(pack, &n);
    uint8_t *copy = alloc_get(n);
    struct fixture_request r;
    fixture_crew(&r);
    r.request.turns = 1;
    unsigned opened = 0, refused = 0;
    for (size_t i = 0; i < 600; i++) {
        memcpy(copy, image, n);
        size_t at = i < 200 ? i * 3 : (i * 7919) % n, size = i % 5 == 0 ? at : n;
        copy[at] ^= (uint8_t) (1u << (i % 8));
        struct nvl_pack *other = NULL;
        if (nvl_pack_open(copy, size, NULL, &other) != NVL_OK) {
            refused++;
            continue;
        }
        struct nvl_sim *sim = NULL;
        if (nvl_open(other, &r.request, NULL, NULL, NULL, &sim) == NVL_OK) {
            nvl_turn(sim, NULL, NULL);
            nvl_free(sim);
        }
        nvl_pack_free(other);
        opened++;
    }
    assert_true(refused > 100 && opened > 10);
    alloc_free(copy);
    nvl_pack_free(pack);
}
static int refuse_second(void *ctx, const struct nvl_pack *pack, const struct nvl_prose *prose,
                         struct nvl_error *err)
{
    (void) ctx;
    assert_true(nvl_pack_op_find(pack, "hesitate") >= 0);
    if (strcmp(prose->keyword, "say") != 0)
        return 0;
    assert_int_equal(prose->lines_count, 2);
    assert_string_equal(prose->head, "hesitate.ok  focal A");
    assert_string_equal(prose->lines[1].text, "\"No,\" said {A}: not now. # part of it");
    err->line = prose->lines[1].line, err->column = prose->lines[1].column;
    memcpy(err->message, "bad taste", 10);
    return 1;
}
static void test_prose_is_kept_and_checked(void **state)
{
    (void) state;
    static const char world[] = "pack p\nfluent at(char) place see here law E003.1\nfluent "
                                "awake(char) 0..1 init 1\nfluent comm(char) 0..1\n"
                                "fluent holder(item) char\nfluent lies(item) place\nfluent "
                                "end_a(link) place\nfluent end_b(link) place\n"
                                "fluent trace_at(clue) place\nfluent knows(char, fact) 0..3 "
                                "belief\nfluent trust(char, char) 0..9\n"
                                "fluent standing(char) 0..9\nfluent open(link) 0..1\nfluent "
                                "clue_fact(clue) fact\nfluent clue_alt(clue) fact\n"
                                "fluent fact_true(fact) 0..1\nfluent secret_of(fact) "
                                "char\noperator hesitate\n  who A char\n  ok nothing\n"
                                "  plain ok \"{A} hesitates.\"\nframe f\n  question \"q\"\n  place "
                                "home home\ntruth t of f\nending e of f\n  clause \"c\"\n"
                                "genre g\n  locale \"L\"\n";
    static const char prose[] = "# a comment\nclass tone\n  a | b\n\nsay hesitate.ok  focal A\n  "
                                "{A} waited.\n  # not this\n"
                                "    \"No,\" said {A}: not now. # part of it  \n";
    struct nvl_source sources[] = { { "prose/x.tale", prose, sizeof(prose) - 1 },
                                    { "world.tale", world, sizeof(world) - 1 } };
    struct nvl_pack *pack = NULL;
    struct nvl_error err;
    assert_int_equal(nvl_pack_compile(sources, 2, NULL, NULL, &err, &pack), NVL_OK);
    assert_int_equal(nvl_pack_prose_count(pack), 2);
    assert_string_equal(nvl_pack_prose(pack, 0)->lines[0].text, "a | b");
    nvl_pack_free(pack);
    assert_int_equal(nvl_pack_compile(sources, 2, refuse_second, NULL, &err, &pack), NVL_E_PACK);
    assert_string_equal(err.file, "prose/x.tale");
    assert_int_equal(err.line, 8);
    assert_int_equal(err.column, 5);
}
static void test_no_memory(void **state)
{
    (void) state;
    struct nvl_source source = { "a.tale", "pack p\nfluent f 0..1\n", 21 };
    for (uint64_t n = 1; n < 40; n++) {
        struct nvl_pack *pack = NULL;
        alloc_fail_at(n);
        int rc = nvl_pack_compile(&source, 1, NULL, NULL, NULL, &pack);
        alloc_fail_at(0);
        assert_true(rc == NVL_E_NOMEM || rc == NVL_E_PACK);
    }
}
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_sources),    cmocka_unit_test(test_order_does_not_matter),
        cmocka_unit_test(test_damaged_images), cmocka_unit_test(test_prose_is_kept_and_checked),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
