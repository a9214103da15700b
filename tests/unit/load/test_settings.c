/* The command line, as a table of what people type. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "clients/load/settings.h"

static struct settings s;

static bool parse(const char *line, char *problem, size_t size)
{
    static char copy[1000];
    static char *argv[40];
    int argc = 0;
    snprintf(copy, sizeof copy, "%s", line);
    argv[argc++] = (char *) "novel-load";
    for (char *word = strtok(copy, " "); word != NULL; word = strtok(NULL, " "))
        argv[argc++] = word;
    argv[argc] = NULL;
    return settings_parse(&s, argc, argv, problem, size);
}

static void test_good(void **state)
{
    (void) state;
    char problem[300];
    assert_true(parse("load --http http://a:1 --users 5,10 --endpoints health,mixed --think 50 "
                      "--pid server=1 --pid 2 "
                      "--header X-Key:v --rate=100.5 --duration 2",
                      problem, sizeof problem));
    assert_int_equal(s.command, COMMAND_LOAD);
    assert_int_equal(s.n_users, 2);
    assert_int_equal(s.users[1], 10);
    assert_ptr_equal(s.endpoints[1], &endpoint_mixed);
    assert_string_equal(s.pids[0].name, "server");
    assert_int_equal(s.pids[1].pid, 2);
    assert_string_equal(s.headers[0], "X-Key");
    assert_string_equal(s.headers[1], "v");
    assert_true(s.rate == 100.5 && s.duration_s == 2 && s.think_ms == 50);
    assert_true(parse("compare a.json b.json --tolerance 5", problem, sizeof problem));
    assert_string_equal(s.files[1], "b.json");
    assert_true(parse("--help", problem, sizeof problem));
    assert_true(s.help);
}

static void test_bad(void **state)
{
    (void) state;
    static const struct {
        const char *line, *problem;
    } cases[] = {
        { "lode --http http://a", "there is no command 'lode'" },
        { "load", "say what to measure: --http URL, --rpc ADDR or --ready LOG" },
        { "load --http a:1", "--http needs http://HOST:PORT or https://..., not 'a:1'" },
        { "load --http http://a --users 0", "--users must be a number from 1 to 50000, not '0'" },
        { "load --http http://a --users 5,", "--users must be a number from 1 to 50000, not ''" },
        { "load --http http://a --users 1.5", "--users must be a whole number, not '1.5'" },
        { "load --http http://a --duration nan",
          "--duration must be a number from 0.1 to 604800, not 'nan'" },
        { "load --http http://a --endpoints all",
          "there is no endpoint 'all'; there are: health, characters, details, engineer, pilot, "
          "scientist, mixed" },
        { "load --http http://a --header x", "--header needs NAME:VALUE, not 'x'" },
        { "load --http http://a extra", "'extra' is one word too many" },
        { "load --http", "--http needs a value" },
        { "load --wrong", "there is no flag --wrong" },
        { "load --http http://a --cert x", "--cert and --key belong together" },
        { "compare a.json", "compare needs OLD[,OLD] NEW[,NEW]" },
        { "simulations --http http://a --rate 5", "--rate goes with load and soak only" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char problem[300] = "";
        assert_false(parse(cases[i].line, problem, sizeof problem));
        assert_string_equal(problem, cases[i].problem);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_good), cmocka_unit_test(test_bad) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
