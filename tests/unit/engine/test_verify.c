/* The checker against a log put together by hand: the sound log passes; every change of its
 * meaning, with digests and chain made anew, is found under the right code; no file makes it read
 * past its end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "rpc/base/alloc.h"
#include "server/tools/novel-verify.h"
#include "tests/unit/engine/verify_fixture.h"

static int verify(const struct fixture *f, struct verify_report *out)
{
    struct buf log = { 0 };
    fixture_write(f, &log);
    assert_false(log.failed);
    int r = verify_log_check(log.data, log.size, out);
    buf_done(&log);
    return r;
}

static void print_report(const struct verify_report *report)
{
    struct buf text = { 0 };
    verify_report_text(report, "log", &text);
    print_message("%s", buf_str(&text));
    buf_done(&text);
}

static bool has_code(const struct verify_report *report, unsigned code)
{
    for (size_t i = 0; i < report->listed; i++)
        if (report->list[i].code == code)
            return true;
    return false;
}

static void test_sound(void **state)
{
    (void) state;
    struct fixture f;
    struct verify_report report;
    fixture_init(&f);
    assert_int_equal(f.count, EVENTS);
    assert_int_equal(verify(&f, &report), VERIFY_DONE);
    if (report.violations != 0)
        print_report(&report);
    assert_int_equal(report.violations, 0);
    assert_int_equal(report.events, EVENTS);
    assert_true(report.complete);
    fixture_done(&f);
}

/* Every prefix of a log is a sound, unfinished log. */
static void test_prefixes(void **state)
{
    (void) state;
    struct verify_report report;
    for (unsigned n = 1; n < EVENTS; n++) {
        struct fixture f;
        fixture_init(&f);
        f.count = n;
        assert_int_equal(verify(&f, &report), VERIFY_DONE);
        if (report.violations != 0)
            print_report(&report);
        assert_int_equal(report.violations, 0);
        assert_false(report.complete);
        fixture_done(&f);
    }
}

/* ---- mutations ------------------------------------------------------------------------------- */

static void test_mutations(void **state)
{
    (void) state;
    unsigned missed = 0;
    for (unsigned i = 0; i < verify_mutations_count; i++) {
        const struct verify_mutation *m = &verify_mutations[i];
        struct fixture f;
        struct verify_report report;
        fixture_init(&f);
        m->change(&f, f.events);
        assert_int_equal(verify(&f, &report), VERIFY_DONE);
        if (!has_code(&report, m->code)) {
            print_message("%s: not found as it should be\n", m->name);
            print_report(&report);
            missed++;
        }
        fixture_done(&f);
    }
    print_message("%u mutations, %u not found\n", verify_mutations_count, missed);
    assert_int_equal(missed, 0);
}

/* ---- hostile files --------------------------------------------------------------------------- */

/* Each cut lives in a block of its own size, so that the sanitizer sees a read past its end. */
static void test_truncations(void **state)
{
    (void) state;
    struct fixture f;
    struct buf log = { 0 };
    struct verify_report report;
    fixture_init(&f);
    fixture_write(&f, &log);
    for (size_t size = 0; size < log.size; size++) {
        uint8_t *cut = alloc_get(size);
        assert_non_null(cut);
        memcpy(cut, log.data, size);
        int r = verify_log_check(cut, size, &report);
        assert_int_equal(r, size < 8 ? VERIFY_NOT_A_LOG : VERIFY_DONE);
        if (r == VERIFY_DONE)
            assert_true(report.violations > 0);
        alloc_free(cut);
    }
    buf_done(&log);
    fixture_done(&f);
}

/* Any single bit that is flipped is found: by the chain if by nothing else. */
static void test_bit_flips(void **state)
{
    (void) state;
    struct fixture f;
    struct buf log = { 0 };
    struct verify_report report;
    fixture_init(&f);
    fixture_write(&f, &log);
    for (size_t bit = 0; bit < log.size * 8; bit += 5) {
        log.data[bit / 8] ^= (uint8_t) (1u << bit % 8);
        int r = verify_log_check(log.data, log.size, &report);
        if (r == VERIFY_DONE && report.violations == 0)
            fail_msg("bit %zu of byte %zu", bit % 8, bit / 8);
        assert_int_equal(r, bit < 64 ? VERIFY_NOT_A_LOG : VERIFY_DONE);
        log.data[bit / 8] ^= (uint8_t) (1u << bit % 8);
    }
    buf_done(&log);
    fixture_done(&f);
}

/* Packs with random bytes in their tables, digests made anew: found or harmless, never a crash. */
static void test_random_packs(void **state)
{
    (void) state;
    uint64_t x = 88172645463325252u;
    struct verify_report report;
    for (unsigned round = 0; round < 3000; round++) {
        struct fixture f;
        fixture_init(&f);
        struct buf *tables[8] = { &f.strs, &f.flue, &f.oper, &f.parm,
                                  &f.cond, &f.efct, &f.tens, &f.code };
        for (unsigned i = 0; i < 1 + round % 6; i++) {
            x ^= x << 13, x ^= x >> 7, x ^= x << 17;
            struct buf *t = tables[x % 8];
            t->data[(x >> 8) % t->size] = (uint8_t) (x >> 50);
        }
        assert_int_equal(verify(&f, &report), VERIFY_DONE);
        fixture_done(&f);
    }
}

/* Bytes of decoded events at random, chain made anew: no crash, whatever the verdict. */
static void test_random_events(void **state)
{
    (void) state;
    uint64_t x = 1234567891011u;
    struct verify_report report;
    for (unsigned round = 0; round < 3000; round++) {
        struct fixture f;
        fixture_init(&f);
        for (unsigned i = 0; i < 1 + round % 4; i++) {
            x ^= x << 13, x ^= x >> 7, x ^= x << 17;
            struct verify_event *e = &f.events[x % EVENTS];
            uint8_t *bytes = (uint8_t *) e;
            bytes[(x >> 8) % offsetof(struct verify_event, hash_0)] = (uint8_t) (x >> 50);
            e->arg_count = e->arg_count > 7 ? 7 : e->arg_count;
            e->code_count = e->code_count > 4 ? 5 : e->code_count;
            e->cause_count = e->cause_count > 12 ? 12 : e->cause_count;
            e->delta_count = e->delta_count > 32 ? 32 : e->delta_count;
            e->belief_count = e->belief_count > 16 ? 16 : e->belief_count;
            e->thread_count = e->thread_count > 6 ? 6 : e->thread_count;
            for (unsigned k = 0; k < 2; k++)
                e->alternatives[k].count =
                    e->alternatives[k].count > 6 ? 6 : e->alternatives[k].count;
        }
        assert_int_equal(verify(&f, &report), VERIFY_DONE);
        fixture_done(&f);
    }
}

static void test_no_memory(void **state)
{
    (void) state;
    struct fixture f;
    struct buf log = { 0 };
    struct verify_report report, untouched;
    fixture_init(&f);
    fixture_write(&f, &log);
    memset(&report, 0x5a, sizeof(report));
    untouched = report;
    int r = VERIFY_NO_MEMORY;
    for (uint64_t n = 1; n < 100 && r != VERIFY_DONE; n++) {
        alloc_fail_at(n);
        r = verify_log_check(log.data, log.size, &report);
        alloc_fail_at(0);
        if (r != VERIFY_DONE) {
            assert_int_equal(r, VERIFY_NO_MEMORY);
            assert_memory_equal(&report, &untouched, sizeof(report));
        }
    }
    assert_int_equal(r, VERIFY_DONE);
    assert_int_equal(report.violations, 0);
    buf_done(&log);
    fixture_done(&f);
}

static void test_reports(void **state)
{
    (void) state;
    struct fixture f;
    struct verify_report report;
    struct buf out = { 0 };
    fixture_init(&f);
    f.events[E_GO].minute = 31;
    assert_int_equal(verify(&f, &report), VERIFY_DONE);
    verify_report_text(&report, "a.nvlog", &out);
    assert_non_null(strstr(buf_str(&out), "a.nvlog: NOT VERIFIED: 29 events, head "));
    assert_non_null(
        strstr(buf_str(&out), "event 7 (turn 1, pass 1), ana, go: TIME: it happens at minute 30"));
    buf_reset(&out);
    verify_report_json(&report, "a\"\n.nvlog", &out);
    assert_non_null(strstr(
        buf_str(&out), "{\"file\":\"a\\\"\\u000a.nvlog\",\"verified\":false,\"complete\":true,"));
    assert_non_null(strstr(
        buf_str(&out), "\"first_bad_event\":7,\"violation_count\":1,\"violations\":[{\"code\":\"TIME\",\"meaning\":\"it has the wrong minute\",\"sequence\":7,\"turn\":1,\"pass\":1,"));
    buf_done(&out);
    fixture_done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sound),         cmocka_unit_test(test_prefixes),
        cmocka_unit_test(test_mutations),     cmocka_unit_test(test_truncations),
        cmocka_unit_test(test_bit_flips),     cmocka_unit_test(test_random_packs),
        cmocka_unit_test(test_random_events), cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_reports),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
