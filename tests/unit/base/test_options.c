/* Settings: every source, their order, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "rpc/base/check.h"
#include "rpc/base/options.h"

static char *level, *token;
static uint64_t threads;
static bool verbose;
static struct option_list listen_on;
static const struct option table[] = {
    { "listen", OPTION_LIST, &listen_on, "127.0.0.1:1", 0, 0, "ADDR", "Address." },
    { "threads", OPTION_UINT, &threads, "2", 1, 64, "N", "Loops." },
    { "verbose", OPTION_BOOL, &verbose, "false", 0, 0, "", "Say more." },
    { "log-level", OPTION_STRING, &level, "info", 0, 0, "LEVEL", "Least severity.", "debug|info|warn" },
    { "api-token", OPTION_STRING, &token, NULL, 0, 0, "TEXT", "Secret.", NULL, true },
};
static const struct options program = {
    "prog", "1.2", "A program.", "prog [options]", "PROG", NULL, table, ARRAY_SIZE(table),
};

static char file_path[] = "/tmp/test_options_XXXXXX";

static void write_file(const char *text)
{
    FILE *f = fopen(file_path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static enum options_result parse(const char *words)
{
    char copy[512], *argv[32] = { "prog" };
    snprintf(copy, sizeof copy, "%s", words);
    int argc = 1;
    for (char *w = strtok(copy, " "); w != NULL; w = strtok(NULL, " "))
        argv[argc++] = w;
    return options_parse(&program, argc, argv);
}

static int setup(void **state)
{
    (void) state;
    int fd = mkstemp(file_path);
    return fd < 0 ? -1 : close(fd);
}

static int teardown(void **state)
{
    (void) state;
    options_done(&program);
    unsetenv("PROG_THREADS");
    unsetenv("PROG_LISTEN");
    unlink(file_path);
    strcpy(file_path + strlen(file_path) - 6, "XXXXXX");
    return 0;
}

static void test_order_of_sources(void **state)
{
    (void) state;
    char words[256];
    write_file("threads: 5\nlog-level: warn\nlisten:\n  - a:1\n  - b:2\n");
    snprintf(words, sizeof words, "--config %s", file_path);
    assert_int_equal(parse(words), OPTIONS_RUN);
    assert_int_equal(threads, 5);
    assert_string_equal(level, "warn");
    assert_int_equal(listen_on.count, 2);
    assert_string_equal(listen_on.items[1], "b:2");
    setenv("PROG_THREADS", "6", 1);
    setenv("PROG_LISTEN", "c:3,d:4,e:5", 1);
    assert_int_equal(parse(words), OPTIONS_RUN);
    assert_int_equal(threads, 6);
    assert_int_equal(listen_on.count, 3);
    snprintf(words, sizeof words, "--threads=7 --verbose --listen x:1 --config %s --listen y:2", file_path);
    assert_int_equal(parse(words), OPTIONS_RUN);
    assert_int_equal(threads, 7);
    assert_true(verbose);
    assert_int_equal(listen_on.count, 2);
    assert_string_equal(listen_on.items[0], "x:1");
}

static void test_refusals(void **state)
{
    (void) state;
    static const char *const bad[] = {
        "--threads 0", "--threads 65", "--threads x", "--threads -1", "--threads", "--nope 1", "word",
        "--log-level loud", "--verbose=maybe", "--config /nonexistent/file",
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(parse(bad[i]), OPTIONS_BAD);
    static const char *const bad_files[] = {
        "threads: [1, 2]\n", "thread: 1\n", "- a\n", "threads: {a: 1}\n", "threads: 1\n  bad: : x\n", "a: *x\n",
    };
    char words[64];
    snprintf(words, sizeof words, "--config %s", file_path);
    for (size_t i = 0; i < ARRAY_SIZE(bad_files); i++) {
        write_file(bad_files[i]);
        assert_int_equal(parse(words), OPTIONS_BAD);
    }
}

static void test_print_reads_back_and_masks(void **state)
{
    (void) state;
    assert_int_equal(parse("--threads 9 --listen q:1,r:2 --log-level debug --api-token se\"cret"), OPTIONS_RUN);
    assert_string_equal(token, "se\"cret");
    FILE *f = fopen(file_path, "w");
    assert_non_null(f);
    options_print(&program, f);
    assert_int_equal(fclose(f), 0);
    options_done(&program);
    char words[64];
    snprintf(words, sizeof words, "--config %s", file_path);
    assert_int_equal(parse(words), OPTIONS_RUN);
    assert_int_equal(threads, 9);
    assert_int_equal(listen_on.count, 2);
    assert_string_equal(level, "debug");
    assert_string_equal(token, "***");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_order_of_sources, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
        cmocka_unit_test_setup_teardown(test_print_reads_back_and_masks, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
