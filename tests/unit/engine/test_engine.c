/* The engine from outside: numbers, phases, header, events, resume, hostile text, any request at
 * all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "rpc/base/alloc.h"
#include "server/engine/world.h"
#include "server/tools/novel-verify.h"
#include "tests/unit/engine/engine_fixture.h"

static int setup(void **state)
{
    *state = fixture_pack();
    return *state == NULL;
}
static int teardown(void **state)
{
    nvl_pack_free(*state);
    return 0;
}

/* The vectors of docs/log-format.md, section 3. */
static void test_random_vectors(void **state)
{
    (void) state;
    static const struct {
        uint64_t seed;
        unsigned stream, pass, slot, purpose, i;
        uint64_t key, random;
        unsigned d100;
    } v[] = {
        { 1, 1, 0, 0, 0, 0, 0x0100000000000000, 0x502e5ae56cd7ff2c, 32 },
        { 7, 2, 3, 1, 2, 0, 0x0200030102000000, 0x672c4c2c1ae739cb, 41 },
        { 42, 2, 9, 5, 1, 1234, 0x02000905010004d2, 0x805806875dde0bb0, 51 },
        { 9007199254740991, 3, 49, 0, 4, 17, 0x0300310004000011, 0xc7a11bbb816b0837, 78 },
        { 123456789, 1, 0, 255, 7, 16777215, 0x010000ff07ffffff, 0x9f0116327b427c9c, 63 },
    };
    for (size_t i = 0; i < 5; i++) {
        uint64_t key =
            rng_key((enum rng_stream) v[i].stream, v[i].pass, v[i].slot, v[i].purpose, v[i].i);
        assert_true(key == v[i].key);
        assert_true(rng_at(v[i].seed, key) == v[i].random);
        assert_int_equal(1 + rng_below(v[i].seed, key, 100), v[i].d100);
    }
}
static void test_phases(void **state)
{
    (void) state;
    static const struct {
        unsigned turns;
        const char *phases;
    } table[] = { { 5, "SCRXE" },
                  { 6, "SCCRXE" },
                  { 8, "SCCCRRXE" },
                  { 10, "SSCCCCRRXE" },
                  { 20, "SSSSCCCCCCCRRRRXXXEE" } };
    struct pass_plan *w = alloc_zero(1, sizeof(*w));
    for (unsigned n = 1; n <= NVL_TURNS_MAX; n++) {
        world_plan(n, w);
        unsigned seen = 0;
        assert_int_equal(w->turn[0], 1);
        assert_int_equal(w->turn[w->count - 1], n);
        for (unsigned i = 0; i < w->count; i++) {
            seen |= 1u << w->phase[i];
            if (i > 0)
                assert_true(w->phase[i] >= w->phase[i - 1] &&
                            w->turn[i] - w->turn[i - 1] <= 1);
        }
        assert_int_equal(seen & 0x32, 0x32); /* setup, climax, resolution */
        if (n >= 4 || n == 1)
            assert_int_equal(seen, 0x3E);
        assert_int_equal(w->count, n == 1 ? 10 : n <= 3 ? 8 : n == 4 ? 10 : n <= 6 ? 2 * n : n);
    }
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        world_plan(table[i].turns, w);
        unsigned each = table[i].turns <= 6 ? 2 : 1;
        for (unsigned k = 0; k < table[i].turns; k++)
            assert_int_equal("-SCRXE"[w->phase[k * each]], table[i].phases[k]);
    }
    alloc_free(w);
}
static void test_header(void **state)
{
    static const uint8_t carry[SHA256_SIZE] = { 9 };
    for (uint64_t n = 1; n < 40; n++) {
        struct fixture_request r;
        struct buf bytes = { 0 }, again = { 0 };
        struct nvl_header *header = NULL;
        uint8_t hash[SHA256_SIZE], other[SHA256_SIZE];
        fixture_random(&r, n);
        r.request.carry_digest = n % 2 ? carry : NULL;
        assert_int_equal(nvl_header_encode(&r.request, nvl_pack_digest(*state), &bytes, hash, NULL),
                         NVL_OK);
        assert_int_equal(nvl_header_decode(bytes.data, bytes.size, &header), NVL_OK);
        assert_int_equal(nvl_header_abi(header), NVL_ENGINE_ABI);
        assert_memory_equal(nvl_header_pack_digest(header), nvl_pack_digest(*state), SHA256_SIZE);
        assert_int_equal(nvl_header_encode(nvl_header_request(header), nvl_pack_digest(*state),
                                           &again, other, NULL),
                         NVL_OK);
        assert_int_equal(bytes.size, again.size);
        assert_memory_equal(bytes.data, again.data, bytes.size);
        assert_memory_equal(hash, other, SHA256_SIZE);
        nvl_header_free(header);
        for (size_t cut = 0; cut < bytes.size; cut += 1 + cut / 20)
            assert_int_equal(nvl_header_decode(bytes.data, cut, &header), NVL_E_CORRUPT);
        buf_putc(&bytes, 0);
        assert_int_equal(nvl_header_decode(bytes.data, bytes.size, &header), NVL_E_CORRUPT);
        buf_done(&bytes), buf_done(&again);
    }
}
static void test_request_rules(void **state)
{
    (void) state;
    struct fixture_request r;
    struct nvl_error err;
    char big[1002 * 2 + 1];
    for (size_t i = 0; i < 1001; i++)
        memcpy(big + 2 * i, "ö", 2);
    big[2002] = 0;
#define REFUSED(change, name)                                                                      \
    fixture_crew(&r);                                                                              \
    change;                                                                                        \
    assert_int_equal(nvl_request_check(&r.request, &err), NVL_E_INVALID);                          \
    assert_string_equal(err.field, name)
    REFUSED(r.request.turns = 0, "turns");
    REFUSED(r.request.turns = 51, "turns");
    REFUSED(r.request.seed = 0, "seed");
    REFUSED(r.request.seed = NVL_SEED_MAX + 1, "seed");
    REFUSED(r.request.mood = (enum nvl_mood) 4, "mood");
    REFUSED(r.request.cast_count = 1, "cast");
    REFUSED(r.request.cast_count = 7, "cast");
    REFUSED(r.cast[2].id = "pilot", "cast");
    REFUSED(r.cast[1].id = NULL, "cast");
    REFUSED(r.request.setting = big, "setting");
    REFUSED(r.request.scenario = "\xc0\x80", "scenario");
    REFUSED(r.cast[1].traits[NVL_HONESTY] = 101, "cast[1].honesty");
    REFUSED(r.skills[2][0].value = -1, "cast[2].skills");
    fixture_crew(&r);
    big[2000] = 0;
    r.request.setting = big; /* 1000 code points: just allowed */
    assert_int_equal(nvl_request_check(&r.request, &err), NVL_OK);
}
/* Any request the rules allow is played to its end, and the independent checker finds nothing. */
static void test_any_request(void **state)
{
    static struct verify_report report;
    unsigned endings[256] = { 0 }, different = 0;
    for (uint64_t n = 1; n <= 240; n++) {
        struct fixture_request r;
        struct fixture_log log;
        struct buf file = { 0 };
        struct nvl_log parsed;
        fixture_random(&r, n * 7717);
        fixture_play(*state, &r.request, &log);
        fixture_container(*state, &r.request, &log, &file);
        assert_int_equal(nvl_log_open(file.data, file.size, &parsed), NVL_OK);
        assert_int_equal(parsed.events_count, log.count);
        assert_int_equal(verify_log_check(file.data, file.size, &report), VERIFY_DONE);
        if (report.violations != 0)
            fail_msg("request %u: event %u, %s: %s", (unsigned) n, report.list[0].sequence,
                     report.list[0].op, report.list[0].text);
        assert_true(report.complete);
        assert_memory_equal(report.head, log.head, SHA256_SIZE);
        different += endings[log.ending]++ == 0;
        fixture_log_done(&log);
        buf_done(&file);
    }
    assert_true(different >= 4);
}
/* Run again from the decoded header, in another order of calls: the same bytes. */
static void test_resume(void **state)
{
    for (uint64_t n = 1; n <= 12; n++) {
        struct fixture_request r;
        struct fixture_log log;
        struct buf bytes = { 0 };
        struct nvl_header *header = NULL;
        struct nvl_sim *sim = NULL, *other = NULL;
        uint8_t hash[SHA256_SIZE];
        fixture_random(&r, n);
        fixture_play(*state, &r.request, &log);
        assert_int_equal(nvl_header_encode(&r.request, nvl_pack_digest(*state), &bytes, hash, NULL),
                         NVL_OK);
        assert_int_equal(nvl_header_decode(bytes.data, bytes.size, &header), NVL_OK);
        assert_int_equal(nvl_open(*state, nvl_header_request(header), NULL, NULL, NULL, &sim),
                         NVL_OK);
        nvl_header_free(header);
        assert_int_equal(nvl_open(*state, &r.request, NULL, NULL, NULL, &other), NVL_OK);
        while (!nvl_ended(sim)) {
            assert_int_equal(nvl_turn(sim, NULL, NULL), NVL_OK);
            assert_int_equal(nvl_turn(other, NULL, NULL),
                             NVL_OK); /* two at once do not disturb each other */
        }
        assert_memory_equal(nvl_head(sim), log.head, SHA256_SIZE);
        assert_memory_equal(nvl_head(other), log.head, SHA256_SIZE);
        nvl_free(sim), nvl_free(other);
        fixture_log_done(&log);
        buf_done(&bytes);
    }
}
static int last_type(void *ctx, const struct nvl_event *e, const uint8_t *canonical, size_t size,
                     const uint8_t hash[SHA256_SIZE])
{
    (void) canonical, (void) size, (void) hash;
    *(unsigned *) ctx = e->type;
    return 0;
}
static int refuse(void *ctx, const struct nvl_event *e, const uint8_t *canonical, size_t size,
                  const uint8_t hash[SHA256_SIZE])
{
    (void) ctx, (void) canonical, (void) size, (void) hash;
    return e->sequence == 7;
}
static void test_cancel_and_refusal(void **state)
{
    struct fixture_request r;
    struct nvl_sim *sim = NULL;
    unsigned type = 0;
    fixture_crew(&r);
    assert_int_equal(nvl_open(*state, &r.request, last_type, &type, NULL, &sim), NVL_OK);
    assert_int_equal(type, NVL_STARTED);
    assert_int_equal(nvl_turn(sim, last_type, &type), NVL_OK);
    assert_int_equal(nvl_cancel(sim, last_type, &type), NVL_OK);
    assert_int_equal(type, NVL_CANCELLED);
    assert_true(nvl_ended(sim) && nvl_progress(sim) < 100);
    assert_int_equal(nvl_turn(sim, last_type, &type), NVL_E_ENDED);
    assert_int_equal(nvl_cancel(sim, last_type, &type), NVL_E_ENDED);
    nvl_free(sim);
    assert_int_equal(nvl_open(*state, &r.request, refuse, NULL, NULL, &sim), NVL_OK);
    assert_int_equal(nvl_turn(sim, refuse, NULL), NVL_E_SINK);
    assert_int_equal(nvl_turn(sim, refuse, NULL), NVL_E_SINK);
    assert_int_equal(nvl_cancel(sim, refuse, NULL), NVL_E_SINK);
    nvl_free(sim);
}
/* Nothing of what is no prose reaches a name, a motif or a line. */
static void test_hostile_text(void **state)
{
    static const char *const hostile[] = {
        "<script>alert('castle')</script> a signal",
        "{{ config.castle }} and ${castle} and {% castle %}",
        "http://castle.example/a?b=c www.castle.test",
        "[[castle]] `castle` %s%n castle=1",
        "<img src=castle onerror=x>",
        ("\x01\x02"
         "castle\x7f {castle"),
        "<|castle|> <!-- castle -->",
    };
    for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
        struct fixture_request r;
        struct nvl_world *w = NULL;
        fixture_crew(&r);
        r.request.scenario = hostile[i];
        r.cast[0].name = "<b>{{Alex}}</b> ${Chen}";
        assert_int_equal(nvl_world_open(*state, &r.request, NULL, &w), NVL_OK);
        for (unsigned sort = 1; sort < NVL_SORTS; sort++)
            for (size_t k = 0; k < nvl_world_count(w, (enum nvl_sort) sort); k++) {
                const struct nvl_entity *e = nvl_world_entity(w, (enum nvl_sort) sort, k);
                assert_null(strpbrk(e->name, "<>{}$%`|"));
                if (i != 5) /* a control byte is dropped, the word behind it is a word */
                    assert_null(strstr(e->name, "castle"));
            }
        assert_true(nvl_world_entity(w, NVL_SORT_CHAR, 0)->name[0] != 0);
        nvl_world_free(w);
    }
}
static void test_user_words_take_part(void **state)
{
    struct fixture_request r;
    struct nvl_world *w = NULL;
    bool placed = false, station = false, signal = false, alien = false;
    fixture_crew(&r);
    r.request.scenario = "A distress signal from an abandoned mining station. No dragons.";
    assert_int_equal(nvl_world_open(*state, &r.request, NULL, &w), NVL_OK);
    enum nvl_setting_kind kind; /* where no setting is given, the site of the scenario is one */
    station = strcmp(nvl_world_setting(w, &kind), "an abandoned mining station") == 0 &&
              kind == NVL_SETTING_SITE;
    for (size_t i = 0; i < nvl_world_count(w, NVL_SORT_ITEM); i++)
        signal |= strstr(nvl_world_entity(w, NVL_SORT_ITEM, i)->name, "signal") != NULL;
    for (size_t i = 0; i < nvl_world_noun_count(w); i++) {
        alien |= strcmp(nvl_world_noun(w, i, &placed), "dragon") == 0;
        assert_true(placed);
    }
    assert_true(station && signal && !alien);
    assert_string_equal(nvl_world_genre(w), "sf_station");
    nvl_world_free(w);
    r.request.setting = "a fantasy realm with an old castle";
    r.request.scenario = "";
    assert_int_equal(nvl_world_open(*state, &r.request, NULL, &w), NVL_OK);
    assert_string_equal(nvl_world_genre(w), "fantasy");
    nvl_world_free(w);
}
/* Seeds differ in what happens, not only in names. */
static void test_seeds_part_ways(void **state)
{
    static struct fixture_log logs[40];
    unsigned same = 0, endings = 0, seen[256] = { 0 };
    for (unsigned i = 0; i < 40; i++) {
        struct fixture_request r;
        fixture_crew(&r);
        r.request.seed = i + 1, r.request.turns = 6;
        fixture_play(*state, &r.request, &logs[i]);
        endings += seen[logs[i].ending]++ == 0;
        for (unsigned k = 0; k < i; k++)
            same += strcmp(logs[i].ops, logs[k].ops) == 0;
    }
    assert_int_equal(same, 0);
    assert_true(endings >= 4);
    for (unsigned i = 0; i < 40; i++)
        fixture_log_done(&logs[i]);
}
static int check_text(void *ctx, const struct nvl_event *e, const uint8_t *canonical, size_t size,
                      const uint8_t hash[SHA256_SIZE])
{
    (void) canonical, (void) size, (void) hash;
    struct nvl_world **w = ctx;
    struct buf text = { 0 };
    if (*w == NULL)
        return 0;
    nvl_event_text(*w, e, false, &text);
    const char *s = buf_str(&text);
    size_t n = strlen(s);
    assert_true(n > 3 && s[n - 1] == '.');
    assert_false(s[0] >= 'a' && s[0] <= 'z');
    assert_null(strpbrk(s, "{}"));
    assert_null(strstr(s, "  "));
    assert_null(strstr(s, "nothing kept"));
    buf_done(&text);
    return 0;
}
static void test_plain_lines(void **state)
{
    for (uint64_t n = 1; n <= 30; n++) {
        struct fixture_request r;
        struct nvl_sim *sim = NULL;
        const struct nvl_world *w = NULL;
        fixture_crew(&r);
        r.request.seed = n, r.request.turns = 1 + (uint32_t) n % 12;
        assert_int_equal(nvl_open(*state, &r.request, check_text, &w, NULL, &sim), NVL_OK);
        w = nvl_sim_world(sim);
        while (!nvl_ended(sim))
            assert_int_equal(nvl_turn(sim, check_text, &w), NVL_OK);
        nvl_free(sim);
    }
}
static void test_events_refuse_damage(void **state)
{
    struct fixture_request r;
    struct fixture_log log;
    struct nvl_log view;
    struct buf file = { 0 };
    struct nvl_span span;
    size_t at = 0;
    fixture_crew(&r);
    fixture_play(*state, &r.request, &log);
    fixture_container(*state, &r.request, &log, &file);
    assert_int_equal(nvl_log_open(file.data, file.size, &view), NVL_OK);
    while (nvl_log_next(&view, &at, &span)) {
        struct nvl_event e = { .sequence = 77 };
        for (size_t cut = 0; cut < span.size; cut++)
            assert_int_equal(nvl_event_decode(span.data, cut, &e), NVL_E_CORRUPT);
        assert_int_equal(e.sequence, 77);
    }
    for (size_t cut = 0; cut < file.size; cut += 1 + cut / 64)
        assert_int_equal(nvl_log_open(file.data, cut, &view), NVL_E_CORRUPT);
    fixture_log_done(&log);
    buf_done(&file);
}
static void test_no_memory(void **state)
{
    struct fixture_request r;
    struct nvl_sim *sim = NULL;
    fixture_crew(&r);
    for (uint64_t n = 1; n < 100000; n += 1 + n / 16) { /* sanitizers count every piece */
        alloc_fail_at(n);
        int rc = nvl_open(*state, &r.request, NULL, NULL, NULL, &sim);
        alloc_fail_at(0);
        if (rc == NVL_OK) {
            nvl_free(sim);
            return;
        }
        assert_int_equal(rc, NVL_E_NOMEM);
    }
    fail_msg("never enough memory");
}
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_vectors),
        cmocka_unit_test(test_phases),
        cmocka_unit_test(test_header),
        cmocka_unit_test(test_request_rules),
        cmocka_unit_test(test_any_request),
        cmocka_unit_test(test_resume),
        cmocka_unit_test(test_cancel_and_refusal),
        cmocka_unit_test(test_hostile_text),
        cmocka_unit_test(test_user_words_take_part),
        cmocka_unit_test(test_seeds_part_ways),
        cmocka_unit_test(test_plain_lines),
        cmocka_unit_test(test_events_refuse_damage),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
