/* Percentiles against sorted values, for distributions of many shapes: never further off than
 * promised. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "clients/load/tally.h"

static uint64_t state64 = 88172645463325252u;

static uint64_t next_random(void)
{
    state64 ^= state64 << 13;
    state64 ^= state64 >> 7;
    state64 ^= state64 << 17;
    return state64;
}

static int ascending(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *) a, y = *(const uint64_t *) b;
    return (x > y) - (x < y);
}

static uint64_t draw(unsigned shape)
{
    uint64_t r = next_random();
    switch (shape) {
    case 0:
        return r % 4096; /* around the end of the exact range */
    case 1:
        return r % HISTOGRAM_MAX;
    case 2:
        return r >> (r % 41 + 23); /* every magnitude alike */
    case 3:
        return r % 100 == 0 ? 5000000000u + r % 1000 : 100000 + r % 50000; /* a rare slow one */
    default:
        return 777777777; /* all the same */
    }
}

static void check_against_sorted(unsigned shape, size_t n)
{
    static const double shares[] = { 0, 0.001, 0.1, 0.5, 0.9, 0.95, 0.99, 0.999, 1 };
    static struct histogram h;
    uint64_t *values = malloc(n * sizeof *values);
    double sum = 0;
    assert_non_null(values);
    histogram_init(&h);
    for (size_t i = 0; i < n; i++) {
        values[i] = draw(shape);
        sum += (double) values[i];
        histogram_add(&h, values[i]);
    }
    qsort(values, n, sizeof *values, ascending);
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++) {
        size_t rank = (size_t) (shares[i] * (double) n);
        rank += (double) rank < shares[i] * (double) n;
        uint64_t exact = values[rank == 0 ? 0 : rank - 1], got = histogram_at(&h, shares[i]);
        uint64_t off = got > exact ? got - exact : exact - got;
        if (off * 2048 > exact)
            fail_msg("shape %u, n %zu, share %g: %llu instead of %llu", shape, n, shares[i],
                     (unsigned long long) got, (unsigned long long) exact);
    }
    assert_int_equal(h.count, n);
    assert_int_equal(h.min, values[0]);
    assert_int_equal(h.max, values[n - 1]);
    assert_true(histogram_mean(&h) >= sum / (double) n * 0.999999 &&
                histogram_mean(&h) <= sum / (double) n * 1.000001);
    free(values);
}

static void test_error_is_bounded(void **state)
{
    (void) state;
    static const size_t sizes[] = { 1, 2, 3, 20, 999, 20000 };
    for (unsigned shape = 0; shape < 5; shape++)
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
            check_against_sorted(shape, sizes[i]);
}

/* One value at a time over the whole range: what comes back is near, at every border of a bucket
 * too. */
static void test_every_border(void **state)
{
    (void) state;
    static struct histogram h;
    for (unsigned bits = 0; bits < HISTOGRAM_VALUE_BITS; bits++)
        for (int by = -1; by <= 1; by++)
            for (unsigned part = 0; part < 4; part++) {
                uint64_t value = (UINT64_C(1) << bits) + (UINT64_C(1) << bits) / 4 * part +
                                 (uint64_t) (int64_t) by;
                if (value > HISTOGRAM_MAX)
                    continue;
                histogram_init(&h);
                histogram_add(&h, value);
                histogram_add(&h, HISTOGRAM_MAX); /* else the exact maximum would answer */
                uint64_t got = histogram_at(&h, 0.5), off = got > value ? got - value : value - got;
                assert_true(off * 2048 <= value);
            }
}

static void test_too_long_and_empty(void **state)
{
    (void) state;
    static struct histogram h;
    histogram_init(&h);
    assert_int_equal(histogram_at(&h, 0.5), 0);
    assert_true(histogram_mean(&h) == 0);
    histogram_add(&h, UINT64_MAX);
    assert_int_equal(h.max, UINT64_MAX);
    assert_int_equal(histogram_at(&h, 1), UINT64_MAX);
}

/* Threads' histograms merged say the same as one that saw everything. */
static void test_merge_loses_nothing(void **state)
{
    (void) state;
    static struct histogram parts[7], all, merged;
    histogram_init(&all);
    histogram_init(&merged);
    for (size_t i = 0; i < 7; i++)
        histogram_init(&parts[i]);
    for (size_t i = 0; i < 30000; i++) {
        uint64_t value = draw(2);
        histogram_add(&all, value);
        histogram_add(&parts[next_random() % 6], value); /* the last stays empty */
    }
    for (size_t i = 0; i < 7; i++)
        histogram_merge(&merged, &parts[i]);
    assert_int_equal(merged.count, all.count);
    assert_int_equal(merged.min, all.min);
    assert_int_equal(merged.max, all.max);
    assert_memory_equal(merged.buckets, all.buckets, sizeof all.buckets);
}

static void test_tally(void **state)
{
    (void) state;
    static struct tally a, b;
    char name[16];
    tally_init(&a);
    tally_init(&b);
    tally_add(&a, OUTCOME_OK, 1000, 0, NULL, NULL);
    tally_add(&a, OUTCOME_STATUS, 2000, 0, "500", "first");
    tally_add(&b, OUTCOME_STATUS, 2000, 0, "500", "second");
    tally_add(&b, OUTCOME_UNSENT, 0, 0, NULL, "late");
    for (int i = 0; i < 20; i++) { /* more kinds than there is place for */
        snprintf(name, sizeof name, "%d", 400 + i);
        tally_add(&b, OUTCOME_STATUS, 1, 0, name, NULL);
    }
    tally_merge(&a, &b);
    assert_int_equal(tally_requests(&a), 23);
    assert_int_equal(tally_errors(&a), 23);
    assert_int_equal(a.latency.count, 1);
    assert_int_equal(a.failed.count, 22);
    assert_string_equal(a.detail[OUTCOME_STATUS], "first");
    assert_string_equal(a.statuses[0].name, "500");
    assert_int_equal(a.statuses[0].count, 2);
    uint64_t sum = 0;
    for (size_t i = 0; i < TALLY_STATUSES; i++)
        sum += a.statuses[i].count;
    assert_int_equal(sum, 22);
    assert_string_equal(a.statuses[TALLY_STATUSES - 1].name, "other");
    tally_reset(&a);
    assert_int_equal(tally_requests(&a), 0);
    assert_int_equal(a.latency.count, 0);
    assert_int_equal(histogram_at(&a.latency, 0.5), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_error_is_bounded),
        cmocka_unit_test(test_every_border),
        cmocka_unit_test(test_too_long_and_empty),
        cmocka_unit_test(test_merge_loses_nothing),
        cmocka_unit_test(test_tally),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
