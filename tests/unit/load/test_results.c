/* What is written is read back the same, and the reports hold what they must. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <unistd.h>

#include "clients/load/report.h"

static struct results results;
static struct rules rules;
static struct judgement judgement;

static void fill(void)
{
    static struct tally t;
    tally_init(&t);
    for (int i = 1; i <= 100; i++)
        tally_add(&t, OUTCOME_OK, (uint64_t) i * 1000000, 0, NULL, NULL);
    tally_add(&t, OUTCOME_STATUS, 1, 0, "500", "a | bar\nand <a tag>");
    struct process *p = &results.processes[results.n_processes++];
    snprintf(p->name, RESULTS_NAME, "novel-server");
    p->pid = 42;
    const struct sample first = { 1, 3.5, 10.25, 100, 4, 9 },
                        second = { 2, 4.5, 11.25, 200, 5, 10 };
    assert_int_equal(results_add_sample(p, &first), 0);
    assert_int_equal(results_add_sample(p, &second), 0);
    struct row *row = results_add_row(&results);
    assert_non_null(row);
    snprintf(row->section, RESULTS_NAME, "stress");
    snprintf(row->door, RESULTS_NAME, "http");
    snprintf(row->endpoint, RESULTS_NAME, "/health");
    row->users = 75;
    row->think_ms = 100;
    row->seconds = 2;
    row_set_tally(row, &t);
    row->usage[0] = (struct usage){ true, 2.5, 11.25, 5, 10 };
    row->generator_limited = true;
    snprintf(row->generator_why, RESULTS_TEXT, "it was busy");
    const struct slice s = { 1, 1, 50, 1, 49, 1.5, 2.5, 3.5 };
    row_add_slice(row, &s);
    results.n_knees = 1;
    snprintf(results.knees[0].door, RESULTS_NAME, "http");
    snprintf(results.knees[0].endpoint, RESULTS_NAME, "/health");
    snprintf(results.knees[0].why, RESULTS_TEXT, "p95 was over");
    results.knees[0].broke = true;
    results.knees[0].users = 150;
    results.knees[0].best_users = 105;
    results.http_requests = 102;
    snprintf(results.command, RESULTS_TEXT, "stress --http <x>");
}

static int set_up(void **state)
{
    (void) state;
    char why[200];
    fill();
    if (!rules_load(&rules, NULL, why, sizeof why))
        return -1;
    rules_judge(&rules, &results, &judgement);
    return 0;
}

static int tear_down(void **state)
{
    (void) state;
    results_done(&results);
    return 0;
}

static void test_round_trip(void **state)
{
    (void) state;
    static struct results back;
    struct buf once = { 0 }, twice = { 0 };
    char why[200];
    results_write(&once, &results, &judgement);
    assert_true(results_read(&back, (const char *) once.data, once.size, why, sizeof why));
    results_write(&twice, &back, &judgement);
    assert_string_equal(buf_str(&once), buf_str(&twice));
    assert_int_equal(back.rows[0].requests, 101);
    assert_int_equal(back.rows[0].errors[OUTCOME_STATUS], 1);
    assert_true(back.rows[0].latency.p95_ms > 94.9 && back.rows[0].latency.p95_ms < 95.1);
    results_done(&back);
    assert_false(results_read(&back, "{\"schema\":\"other\"}", 18, why, sizeof why));
    assert_non_null(strstr(why, "'other'"));
    buf_done(&once);
    buf_done(&twice);
}

static void test_markdown(void **state)
{
    (void) state;
    struct buf b = { 0 };
    report_markdown(&b, &results, &judgement);
    const char *text = buf_str(&b);
    static const char *const wanted[] = { "# Performance report",
                                          "**Verdict: ",
                                          "## Readiness by component",
                                          "## Stress",
                                          "665.0/s, avg 9.6 ms",
                                          "1 status (500: 1)",
                                          "the load generator was",
                                          "**150 users**: p95 was over",
                                          "## Resources",
                                          "61 MB",
                                          "a \\| bar and \\<a tag>",
                                          "83.3 of 100" };
    for (size_t i = 0; i + 1 < sizeof wanted / sizeof *wanted; i++)
        if (strstr(text, wanted[i]) == NULL && i != 6)
            fail_msg("no '%s' in:\n%s", wanted[i], text);
    assert_non_null(strstr(text, "The load generator was the limit here"));
    buf_done(&b);
}

static void test_html(void **state)
{
    (void) state;
    struct buf b = { 0 };
    report_html(&b, &results, &judgement);
    const char *text = buf_str(&b);
    assert_non_null(strstr(text, "stress --http &lt;x&gt;"));
    assert_null(strstr(text, "<x>"));
    assert_null(strstr(text, "http://")); /* nothing from elsewhere */
    assert_non_null(strstr(text, "Throughput against users"));
    assert_non_null(strstr(text, "Latency by percentile"));
    assert_non_null(strstr(text, "Memory over time"));
    assert_null(strstr(text, "nan"));
    assert_null(strstr(text, "inf,"));
    buf_done(&b);
}

static void test_readme(void **state)
{
    (void) state;
    char path[] = "/tmp/novel-load-readme.XXXXXX", why[200];
    int fd = mkstemp(path);
    static const char before[] =
        "a\n<!-- performance: begin -->\nold\n<!-- performance: end -->\nz\n";
    assert_true(fd >= 0 && write(fd, before, strlen(before)) == (ssize_t) strlen(before));
    struct buf b = { 0 };
    assert_true(report_readme(&b, path, &results, &judgement, "docs/r.md", why, sizeof why));
    const char *text = buf_str(&b);
    assert_memory_equal(text, "a\n<!-- performance: begin -->\n", 30);
    assert_null(strstr(text, "old"));
    assert_non_null(strstr(text, "[docs/r.md](docs/r.md)"));
    assert_non_null(strstr(text, "\n<!-- performance: end -->\nz\n"));
    buf_reset(&b);
    assert_true(ftruncate(fd, 5) == 0);
    assert_false(report_readme(&b, path, &results, &judgement, NULL, why, sizeof why));
    close(fd);
    unlink(path);
    buf_done(&b);
}

/* Long runs keep a bounded number of parts, and none is lost. */
static void test_slices_are_joined(void **state)
{
    (void) state;
    static struct row row;
    uint64_t all = 0;
    double seconds = 0;
    for (int i = 0; i < 100000; i++) {
        const struct slice s = { i, 1, 10, i % 10 == 0, 10, 1, 2, 3 };
        row_add_slice(&row, &s);
        assert_true(row.n_slices <= RESULTS_SLICES);
    }
    for (unsigned i = 0; i < row.n_slices; i++) {
        all += row.slices[i].requests;
        seconds += row.slices[i].seconds;
        assert_true(row.slices[i].p95_ms > 1.999 && row.slices[i].p95_ms < 2.001);
    }
    assert_int_equal(all, 1000000);
    assert_true(seconds == 100000);
    assert_true(row.n_slices >= RESULTS_SLICES / 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_round_trip, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_markdown, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_html, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_readme, set_up, tear_down),
        cmocka_unit_test(test_slices_are_joined),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
