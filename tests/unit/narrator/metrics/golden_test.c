/* The measures of the texts in texts/ are those that the frozen definition printed for them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "server/tools/novel-metrics-gates.h"

#define FOLDER "tests/unit/narrator/metrics/"
static const char *const texts[] = { "marks.txt",    "story-01.txt", "story-02.txt", "story-03.txt",
                                     "story-04.txt", "story-05.txt", "story-07.txt" };
enum { TEXTS = sizeof(texts) / sizeof(texts[0]) };

static struct samples samples;
static struct gate_table table;

static int set_up(void **state)
{
    char path[128];
    (void) state;
    if (samples_init(&samples, 0) != 0)
        return -1;
    for (size_t i = 0; i < TEXTS; i++) {
        snprintf(path, sizeof(path), FOLDER "texts/%s", texts[i]);
        if (samples_add_path(&samples, path) != 0)
            return -1;
    }
    return gates_judge(&samples, &table);
}
static int tear_down(void **state)
{
    (void) state;
    samples_done(&samples);
    return 0;
}
static double value_of(const char *text, const char *measure)
{
    for (unsigned k = 0; strcmp(text, "set") == 0 && k < SET_FROZEN_COUNT; k++)
        if (strcmp(metrics_set_name(k), measure) == 0)
            return table.set[k];
    for (size_t i = 0; i < TEXTS; i++)
        for (unsigned k = 0; strcmp(texts[i], text) == 0 && k < ONE_COUNT; k++)
            if (strcmp(metrics_one_name(k), measure) == 0)
                return samples.list[i].one[k];
    fail_msg("golden.tsv names %s of %s", measure, text);
    return 0;
}
static void test_golden(void **state)
{
    char line[128], text[64], measure[32], ours[32], theirs[32];
    double golden;
    size_t lines = 0;
    FILE *f = fopen(FOLDER "golden.tsv", "r");
    (void) state;
    assert_non_null(f);
    while (fgets(line, sizeof(line), f) != NULL) {
        assert_int_equal(sscanf(line, "%63[^\t]\t%31[^\t]\t%lf", text, measure, &golden), 3);
        double value = value_of(text, measure);
        int digits = strcmp(text, "set") == 0 ? 4 : 3;
        lines++;
        if (strcmp(measure, "xzratio_set") == 0 && value < 0)
            continue; /* built without liblzma */
        snprintf(ours, sizeof(ours), "%.*f", digits, value);
        snprintf(theirs, sizeof(theirs), "%.*f", digits, golden);
        if (strcmp(ours, theirs) != 0)
            fail_msg("%s of %s is %s, by the definition %s", measure, text, ours, theirs);
    }
    fclose(f);
    assert_int_equal(lines, TEXTS * ONE_COUNT + SET_FROZEN_COUNT);
}

/* A text without a sentence has no measures, and does not disturb those of others. */
static void test_empty(void **state)
{
    static struct gate_table small;
    struct samples s;
    (void) state;
    assert_int_equal(samples_init(&s, 0), 0);
    assert_non_null(samples_add_text(&s, "empty", NULL, 0));
    assert_non_null(samples_add_text(&s, "dots", "...", 3));
    assert_non_null(samples_add_text(&s, "short", "One two.", 8));
    assert_false(s.list[0].has_text || s.list[1].has_text);
    assert_true(s.list[2].has_text);
    assert_int_equal(gates_judge(&s, &small), 0);
    assert_false(small.has_set);
    assert_int_equal(small.rows[0].samples, 1);
    samples_done(&s);
}
/* Bytes that are no log, and a log cut short, are refused. */
static void test_refused(void **state)
{
    static const char bytes[] = "NVLOG1\r\nHEAD\xff\xff\xff\xff";
    char path[] = "/tmp/novel-metrics-XXXXXX.nvlog";
    struct samples s;
    (void) state;
    for (size_t size = 0; size <= sizeof(bytes) - 1; size += 4) {
        char name[sizeof(path)];
        memcpy(name, path, sizeof(path));
        int fd = mkstemps(name, 6);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, bytes, size), (ssize_t) size);
        close(fd);
        assert_int_equal(samples_init(&s, 0), 0);
        assert_int_equal(samples_add_path(&s, name), -1);
        assert_int_equal(s.count, 0);
        samples_done(&s);
        unlink(name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_golden), cmocka_unit_test(test_empty),
                                        cmocka_unit_test(test_refused) };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
