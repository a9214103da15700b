/* novel-verify as a person or a script meets it: what it prints and its exit code. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/unit/engine/verify_fixture.h"

static const char *program;
static char sound[] = "/tmp/verify-sound-XXXXXX", broken[] = "/tmp/verify-broken-XXXXXX",
            foreign[] = "/tmp/verify-foreign-XXXXXX";

static void save(char *path, const struct buf *bytes)
{
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes->data, bytes->size), (ssize_t) bytes->size);
    (void) close(fd);
}

static int setup(void **state)
{
    (void) state;
    struct fixture f;
    struct buf bytes = { 0 };
    fixture_init(&f);
    fixture_write(&f, &bytes);
    save(sound, &bytes);
    buf_reset(&bytes);
    f.events[E_GO].witnesses = 1;
    fixture_write(&f, &bytes);
    save(broken, &bytes);
    buf_reset(&bytes);
    buf_puts(&bytes, "PK\003\004 not a log");
    save(foreign, &bytes);
    buf_done(&bytes);
    fixture_done(&f);
    return 0;
}

static int teardown(void **state)
{
    (void) state;
    return unlink(sound) + unlink(broken) + unlink(foreign);
}

struct row {
    const char *args; /* after the program; %S %B %F are the files */
    int code;
    const char *output; /* must be in what it prints; NULL: prints nothing */
};
static const struct row rows[] = {
    { "%S", 0, ": verified: 29 events, head " },
    { "%S", 0, ", story digest none, 0 violations\n" },
    { "%B", 1, ": NOT VERIFIED: 29 events, head " },
    { "%B", 1,
      "  event 7 (turn 1, pass 1), ana, go: WITNESS: witnesses are 0x7, the event says 0x1\n" },
    { "%B", 1, "  the first bad event is 7: WITNESS, others were there to see it\n" },
    { "--json %S", 0, "\"first_bad_event\":null," },
    { "--quiet %S", 0, NULL },
    { "--quiet %B", 1, "NOT VERIFIED" },
    { "%S %B %S", 1, "verified: 29 events" },
    { "%B %F", 2, "not a story log" },
    { "%F", 2, "not a story log" },
    { "/nowhere/at/all", 2, "No such file or directory" },
    { "/tmp", 2, "Is a directory" },
    { "- < %S", 0, "standard input: verified: 29 events" },
    { "- < /dev/null", 2, "standard input: not a story log" },
    { "-- %S", 0, "verified" },
    { "--json %S", 0, "\"verified\":true,\"complete\":true,\"events\":29," },
    { "--json --quiet %B", 1,
      "\"violation_count\":1,\"violations\":[{\"code\":\"WITNESS\",\"meaning\":\"others were there to see it\",\"sequence\":7," },
    { "", 2, "no log named" },
    { "--wrong %S", 2, "no such option" },
    { "--help", 0, "Exit codes:" },
    { "--version", 0, "novel-verify " },
    { "%S > /dev/full", 2, "can't be written" },
};

static void fill(const char *args, struct buf *out)
{
    buf_printf(out, "%s ", program);
    for (; *args != '\0'; args++) {
        if (*args != '%') {
            buf_putc(out, *args);
            continue;
        }
        args++;
        buf_puts(out, *args == 'S' ? sound : *args == 'B' ? broken : foreign);
    }
}

static void test_rows(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buf command = { 0 };
        char output[8192];
        buf_puts(&command, "exec 2>&1; ");
        fill(rows[i].args, &command);
        FILE *pipe = popen(buf_str(&command), "r");
        assert_non_null(pipe);
        size_t size = fread(output, 1, sizeof(output) - 1, pipe);
        output[size] = '\0';
        int status = pclose(pipe);
        assert_true(WIFEXITED(status));
        if (WEXITSTATUS(status) != rows[i].code ||
            (rows[i].output == NULL ? size != 0 : strstr(output, rows[i].output) == NULL))
            fail_msg("%s: code %d, printed: %s", rows[i].args, WEXITSTATUS(status), output);
        buf_done(&command);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows) };
    if (argc < 2)
        return 2;
    program = argv[1];
    return cmocka_run_group_tests(tests, setup, teardown);
}
