/* Rules: a failed must decides whatever else is good; grades are the worst; what was not measured
 * is not passed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "clients/load/report.h"
#include "clients/load/rules.h"

static struct rules rules;
static struct results results;
static struct judgement judgement;
static char why[200];

static const char text[] = "component One # a comment\n"
                           "must load /health p95_ms <= 100\n"
                           "should load /health rate >= 500 users 50..75\n"
                           "grade load /char* p95_ms 1 2 3 4\n"
                           "component Two\n"
                           "must process server rss_mb <= 10\n"
                           "must knee /health users >= 100\n"
                           "verdict \"not ready\" when must failed\n"
                           "verdict incomplete when must unmeasured\n"
                           "verdict \"on conditions\" when should failed\n"
                           "verdict ready when always\n";

static struct row *add_row(const char *door, const char *endpoint, unsigned users, double p95,
                           double rate)
{
    struct row *row = results_add_row(&results);
    assert_non_null(row);
    snprintf(row->section, sizeof row->section, "load");
    snprintf(row->door, sizeof row->door, "%s", door);
    snprintf(row->endpoint, sizeof row->endpoint, "%s", endpoint);
    row->users = users;
    row->latency.p95_ms = p95;
    row->rate = rate;
    row->errors[OUTCOME_OK] = row->requests = 1;
    return row;
}

static void add_rest(double rss, unsigned users)
{
    const struct sample s = { .rss_mb = rss };
    snprintf(results.processes[0].name, RESULTS_NAME, "server");
    results.n_processes = 1;
    assert_int_equal(results_add_sample(&results.processes[0], &s), 0);
    snprintf(results.knees[0].endpoint, RESULTS_NAME, "/health");
    results.knees[0].best_users = users;
    results.n_knees = 1;
}

static void judge(void)
{
    assert_true(rules_parse(&rules, text, strlen(text), why, sizeof why));
    rules_judge(&rules, &results, &judgement);
}

static void assert_scope(bool measured, const char *wanted)
{
    struct buf b = { 0 };
    report_scope(&b, &judgement, measured);
    assert_string_equal(buf_str(&b), wanted);
    buf_done(&b);
}

static int clean(void **state)
{
    (void) state;
    results_done(&results);
    return 0;
}

static void test_all_good(void **state)
{
    (void) state;
    add_row("http", "/health", 50, 5, 600);
    add_row("http", "/characters", 50, 1.5, 600);
    add_rest(9, 200);
    judge();
    assert_string_equal(judgement.verdict, "ready");
    assert_int_equal(judgement.passed, 4);
    assert_int_equal(judgement.components[0].grade, 'B');
}

/* Nine rows that are excellent and one that is not. */
static void test_failure_is_not_averaged_away(void **state)
{
    (void) state;
    for (unsigned i = 0; i < 9; i++)
        add_row("http", "/health", 10 + i, 0.1, 10000);
    add_row("rpc", "/health", 50, 101, 600);
    add_row("http", "/characters", 50, 0.5, 600);
    add_rest(1, 1000);
    judge();
    assert_string_equal(judgement.verdict, "not ready");
    assert_string_equal(judgement.verdict_rule, "verdict \"not ready\" when must failed");
    assert_int_equal(judgement.failed_must, 1);
    assert_int_equal(judgement.components[0].grade, 'F'); /* though the grade rule found an A */
    assert_string_equal(judgement.components[0].worst->rule->text,
                        "must load /health p95_ms <= 100");
    assert_string_equal(judgement.components[0].worst->where, "rpc /health, 50 users");
}

static void test_grade_is_the_worst_row(void **state)
{
    (void) state;
    add_row("http", "/health", 50, 5, 600);
    add_row("http", "/characters", 5, 0.5, 600);
    add_row("rpc", "/characters/pilot", 5, 3.5, 600);
    add_rest(9, 200);
    judge();
    assert_int_equal(judgement.components[0].grade, 'D');
    results.rows[2].latency.p95_ms = 4.01;
    judge();
    assert_int_equal(judgement.components[0].grade, 'F');
}

static void test_should_and_users(void **state)
{
    (void) state;
    add_row("http", "/health", 5, 5, 40); /* not of 50 to 75 users */
    add_row("http", "/health", 75, 5, 499);
    add_rest(9, 200);
    judge();
    assert_string_equal(judgement.verdict, "on conditions");
    assert_int_equal(judgement.failed_should, 1);
}

static void test_unmeasured_is_not_passed(void **state)
{
    (void) state;
    add_row("http", "/health", 50, 5, 600);
    judge();
    assert_string_equal(judgement.verdict, "incomplete");
    assert_int_equal(judgement.unmeasured_must, 2);
    assert_scope(true, "load /health");
    assert_scope(false, "load /char*, processes (--ready, --pid), the knee of stress");
    assert_non_null(strstr(report_meaning(&judgement), "Nothing that was looked at failed"));
}

static void test_row_without_good_answers_fails(void **state)
{
    (void) state;
    struct row *row = add_row("http", "/health", 50, 0, 0); /* its p95 would read as 0 ms */
    row->errors[OUTCOME_OK] = 0;
    row->errors[OUTCOME_CONNECT] = 1;
    add_rest(9, 200);
    judge();
    assert_string_equal(judgement.verdict, "not ready");
}

/* Warming up is no leak; growing to the end is. */
static void test_growth(void **state)
{
    (void) state;
    static const char file[] =
        "component Endurance\nmust load * rss_growth_mb <= 5\nshould load * p95_drift_percent <= "
        "20\n"
        "verdict bad when must failed\nverdict slow when should failed\nverdict good when always\n";
    struct row *row = add_row("http", "/health", 25, 1, 1);
    row->seconds = 100;
    for (int i = 0; i < 100; i++) {
        const struct sample s = { .at_s = i, .rss_mb = i < 20 ? i : 20 };
        const struct slice part = { i, 1, 10, 0, 10, 1, 2, 3 };
        snprintf(results.processes[0].name, RESULTS_NAME, "server");
        results.n_processes = 1;
        assert_int_equal(results_add_sample(&results.processes[0], &s), 0);
        row_add_slice(row, &part);
    }
    assert_true(rules_parse(&rules, file, strlen(file), why, sizeof why));
    rules_judge(&rules, &results, &judgement);
    assert_string_equal(judgement.verdict, "good");
    for (unsigned i = 60; i < row->n_slices; i++)
        row->slices[i].p95_ms = 2.5;
    rules_judge(&rules, &results, &judgement);
    assert_string_equal(judgement.verdict, "slow");
    for (size_t i = 0; i < 100; i++)
        results.processes[0].samples[i].rss_mb = (double) i / 5; /* 10 MB from quarter to quarter */
    rules_judge(&rules, &results, &judgement);
    assert_string_equal(judgement.verdict, "bad");
    assert_true(judgement.checks[0].value > 9 && judgement.checks[0].value < 11);
}

static void test_bad_files(void **state)
{
    (void) state;
    static const struct {
        const char *file, *why;
    } cases[] = {
        { "must load /health p95_ms <= 1\nverdict ready when always\n",
          "line 1: a component must come first" },
        { "component A\nmust load /health p95_ms < 1\n", "line 2: needs <= or >=" },
        { "component A\nmust load /health p95_ms <= soon\n", "line 2: the limit is no number" },
        { "component A\nmust lode /health p95_ms <= 1\n", "line 2: unknown section" },
        { "component A\nmust knee /health p95_ms <= 1\n",
          "line 2: unknown metric of this section" },
        { "component A\nmust load /health p95_ms <= 1 users 5\n",
          "line 2: what follows the limit must be: users A..B" },
        { "component A\nmust load /health p95_ms <= 1 users 9..5\n",
          "line 2: what follows the limit must be: users A..B" },
        { "component A\ngrade load /health p95_ms 4 3 2 1\n",
          "line 2: the four limits must be rising numbers" },
        { "component\n", "line 1: the component has no name" },
        { "perhaps\n", "line 1: must begin with component, must, should, grade or verdict" },
        { "verdict ready when tired\n", "line 1: needs: verdict NAME when must failed | must "
                                        "unmeasured | should failed | always" },
        { "verdict no when must failed\n", "the last verdict must be one that holds always" },
        { "", "the last verdict must be one that holds always" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_false(rules_parse(&rules, cases[i].file, strlen(cases[i].file), why, sizeof why));
        assert_string_equal(why, cases[i].why);
    }
}

static void test_built_in_rules(void **state)
{
    (void) state;
    assert_true(rules_load(&rules, NULL, why, sizeof why));
    assert_true(rules.n > 30);
    assert_string_equal(rules.components[2], "Character details");
    rules_judge(&rules, &results, &judgement); /* nothing was measured */
    assert_string_equal(judgement.verdict, "incomplete");
    assert_false(rules_load(&rules, "/nowhere/rules.txt", why, sizeof why));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_all_good, clean),
        cmocka_unit_test_teardown(test_failure_is_not_averaged_away, clean),
        cmocka_unit_test_teardown(test_grade_is_the_worst_row, clean),
        cmocka_unit_test_teardown(test_should_and_users, clean),
        cmocka_unit_test_teardown(test_unmeasured_is_not_passed, clean),
        cmocka_unit_test_teardown(test_row_without_good_answers_fails, clean),
        cmocka_unit_test_teardown(test_growth, clean),
        cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_built_in_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
