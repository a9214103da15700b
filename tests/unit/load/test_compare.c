/* Comparisons: noise is no regression, a regression is no noise, and what cannot be judged says so.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <math.h>

#include "clients/load/compare.h"

static uint64_t state64 = 1;

static double uniform(void)
{
    state64 ^= state64 << 13;
    state64 ^= state64 >> 7;
    state64 ^= state64 << 17;
    return (double) (state64 >> 11) / 9007199254740992.0;
}

/* Around `mean`, spread by `spread` of it. */
static void draw(double *parts, size_t n, double mean, double spread)
{
    for (size_t i = 0; i < n; i++) {
        double z = 0;
        for (int k = 0; k < 12; k++)
            z += uniform();
        parts[i] = mean * (1 + spread * (z - 6));
    }
}

/* Figures worked out by hand. */
static void test_ranks(void **state)
{
    (void) state;
    const double a[5] = { 1, 2, 3, 4, 5 }, b[5] = { 6, 7, 8, 9, 10 }, c[5] = { 3, 4, 5, 6, 7 };
    struct compare_figure f = compare_parts(a, 5, b, 5, true, 10);
    assert_true(fabs(f.z - 2.6112) < 0.001); /* 12.5 / sqrt(25 * 11 / 12) */
    assert_true(f.z >= f.z_needed);
    assert_int_equal(f.outcome, COMPARE_WORSE);
    assert_true(f.old_value == 3 && f.new_value == 8);
    f = compare_parts(a, 5, c, 5, true, 10); /* they overlap: not enough of five */
    assert_true(fabs(f.z - 8 / sqrt(25.0 / 12 * (11 - 18.0 / 90))) <
                0.001); /* u 20.5, three ties of two */
    assert_int_equal(f.outcome, COMPARE_SAME);
    assert_int_equal(compare_parts(b, 5, a, 5, true, 10).outcome, COMPARE_BETTER);
}

/* One second in which the machine did something else does not hide a tripled median. */
static void test_outliers(void **state)
{
    (void) state;
    double a[20], b[20];
    draw(a, 20, 1, 0.05);
    a[3] = 60;
    for (int i = 0; i < 20; i++)
        b[i] = 3 * a[i];
    assert_int_equal(compare_parts(a, 20, b, 20, true, 10).outcome, COMPARE_WORSE);
    memcpy(b, a, sizeof b);
    b[7] = 90; /* and is no regression by itself */
    assert_int_equal(compare_parts(a, 20, b, 20, true, 10).outcome, COMPARE_SAME);
}

/* The same deployment twice, a thousand times: it may be called worse once in a thousand or so. */
static void test_noise_is_no_regression(void **state)
{
    (void) state;
    double a[20], b[20];
    unsigned worse = 0;
    for (int i = 0; i < 1000; i++) {
        draw(a, 20, 10, 0.3);
        draw(b, 20, 10, 0.3);
        worse += compare_parts(a, 20, b, 20, true, 0).outcome == COMPARE_WORSE;
    }
    assert_true(worse <= 6);
}

static void test_regression_is_found(void **state)
{
    (void) state;
    double a[20], b[20];
    unsigned found = 0;
    for (int i = 0; i < 200; i++) {
        draw(a, 20, 10, 0.05);
        draw(b, 20, 12, 0.05); /* a fifth slower */
        found += compare_parts(a, 20, b, 20, true, 10).outcome == COMPARE_WORSE;
        assert_int_equal(compare_parts(b, 20, a, 20, true, 10).outcome == COMPARE_WORSE, false);
    }
    assert_true(found >= 195);
    draw(a, 20, 1000, 0.02);
    draw(b, 20, 800, 0.02);
    assert_int_equal(compare_parts(a, 20, b, 20, false, 10).outcome,
                     COMPARE_WORSE); /* a rate that fell */
    assert_int_equal(compare_parts(b, 20, a, 20, false, 10).outcome, COMPARE_BETTER);
}

static void test_small_differences_are_tolerated(void **state)
{
    (void) state;
    double a[20], b[20];
    draw(a, 20, 10, 0.001);
    draw(b, 20, 10.5, 0.001); /* far beyond noise, but five percent */
    struct compare_figure f = compare_parts(a, 20, b, 20, true, 10);
    assert_true(f.z > f.z_needed);
    assert_int_equal(f.outcome, COMPARE_SAME);
    assert_int_equal(compare_parts(a, 20, b, 20, true, 1).outcome, COMPARE_WORSE);
}

static void test_few_parts(void **state)
{
    (void) state;
    const double a[4] = { 1, 1, 1, 1 }, b[4] = { 1.9, 1.9, 1.9, 1.9 },
                 c[4] = { 2.1, 2.1, 2.1, 2.1 };
    assert_int_equal(compare_parts(a, 4, b, 4, true, 10).outcome, COMPARE_UNJUDGED);
    assert_int_equal(compare_parts(a, 4, c, 4, true, 10).outcome, COMPARE_WORSE);
    assert_int_equal(compare_parts(c, 4, a, 4, true, 10).outcome, COMPARE_UNJUDGED);
    const double same[6] = { 3, 3, 3, 3, 3, 3 }, higher[6] = { 4, 4, 4, 4, 4, 4 };
    assert_int_equal(compare_parts(same, 6, same, 6, true, 10).outcome,
                     COMPARE_SAME); /* no spread at all */
    assert_int_equal(compare_parts(same, 6, higher, 6, true, 10).outcome, COMPARE_WORSE);
}

static void fill(struct results *r, double p50, uint64_t errors)
{
    struct row *row = results_add_row(r);
    assert_non_null(row);
    snprintf(row->section, RESULTS_NAME, "load");
    snprintf(row->door, RESULTS_NAME, "http");
    snprintf(row->endpoint, RESULTS_NAME, "/health");
    row->users = 5;
    row->requests = 1000;
    row->errors[OUTCOME_OK] = 1000 - errors;
    row->errors[OUTCOME_STATUS] = errors;
    row->error_percent = (double) errors / 10;
    for (int i = 0; i < 10; i++) {
        const struct slice s = { i, 1, 100, 0, 100 + uniform(), p50 + uniform() / 100, p50, p50 };
        row_add_slice(row, &s);
    }
}

static void test_whole_results(void **state)
{
    (void) state;
    static struct results a, b;
    struct buf out = { 0 };
    fill(&a, 1, 0);
    fill(&b, 1, 0);
    assert_int_equal(compare_results(&out, (struct compare_side){ &a, 1 },
                                     (struct compare_side){ &b, 1 }, 10, false),
                     0);
    assert_non_null(strstr(buf_str(&out), "How noise was judged"));
    buf_reset(&out);
    b.rows[0].errors[OUTCOME_STATUS] = 20; /* errors alone are a regression */
    b.rows[0].error_percent = 2;
    assert_int_equal(compare_results(&out, (struct compare_side){ &a, 1 },
                                     (struct compare_side){ &b, 1 }, 10, false),
                     1);
    assert_non_null(strstr(buf_str(&out), "error_percent"));
    assert_non_null(strstr(buf_str(&out), "WORSE"));
    buf_reset(&out);
    snprintf(b.rows[0].endpoint, sizeof b.rows[0].endpoint, "another");
    assert_int_equal(compare_results(&out, (struct compare_side){ &a, 1 },
                                     (struct compare_side){ &b, 1 }, 10, false),
                     1);
    assert_non_null(strstr(buf_str(&out), "Nothing could be judged"));
    results_done(&b);
    fill(&b, 2, 0);
    buf_reset(&out);
    assert_int_equal(compare_results(&out, (struct compare_side){ &a, 1 },
                                     (struct compare_side){ &b, 1 }, 10, true),
                     3); /* p50, p95, p99 */
    buf_done(&out);
    results_done(&a);
    results_done(&b);
}

/* Three runs a side that each lie apart from one another: no part tells, the runs do. */
static void test_several_runs(void **state)
{
    (void) state;
    static struct results old_runs[3], new_runs[3];
    static const double old_p50[3] = { 1, 2, 3 }, overlapping[3] = { 2.5, 3.5, 4.5 },
                        apart[3] = { 3.5, 4, 5 };
    const struct compare_side a = { old_runs, 3 }, b = { new_runs, 3 };
    struct buf out = { 0 };
    for (int i = 0; i < 3; i++) {
        fill(&old_runs[i], old_p50[i], 0);
        fill(&new_runs[i], overlapping[i], 0);
    }
    assert_int_equal(compare_results(&out, a, b, 10, false), 0);
    assert_true(compare_results(&out, (struct compare_side){ old_runs, 1 },
                                (struct compare_side){ new_runs, 1 }, 10,
                                false) > 0); /* one pair alone would say so */
    for (int i = 0; i < 3; i++) {
        results_done(&new_runs[i]);
        fill(&new_runs[i], apart[i], 0);
    }
    assert_int_equal(compare_results(&out, a, b, 10, false), 3);
    for (int i = 0; i < 3; i++) { /* few parts: the runs alone judge */
        old_runs[i].rows[0].n_slices = new_runs[i].rows[0].n_slices = 1;
        old_runs[i].rows[0].latency.p50_ms = old_p50[i];
        new_runs[i].rows[0].latency.p50_ms = apart[i];
    }
    assert_int_equal(compare_results(&out, a, b, 10, false), 1);
    new_runs[1].rows[0].latency.p50_ms = 2.9;
    assert_int_equal(compare_results(&out, a, b, 10, false), 0);
    buf_done(&out);
    for (int i = 0; i < 3; i++) {
        results_done(&old_runs[i]);
        results_done(&new_runs[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranks),
        cmocka_unit_test(test_outliers),
        cmocka_unit_test(test_noise_is_no_regression),
        cmocka_unit_test(test_regression_is_found),
        cmocka_unit_test(test_small_differences_are_tolerated),
        cmocka_unit_test(test_few_parts),
        cmocka_unit_test(test_whole_results),
        cmocka_unit_test(test_several_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
