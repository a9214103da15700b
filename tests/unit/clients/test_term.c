/* Terminal text: wrapping, cutting, safety, tables, progress. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "clients/cli/progress.h"
#include "clients/cli/table.h"
#include "clients/cli/term.h"

static void test_stories_are_wrapped(void **state)
{
    (void) state;
    static const struct {
        const char *markdown, *shown; /* width 20 */
    } rows[] = {
        { "", "" },
        { "One.", "One.\n" },
        { "# A Title\n\nText.", "A Title\n\nText.\n" },
        { "one two three four five six seven", "one two three four\nfive six seven\n" },
        { "one two three four\nfive", "one two three four\nfive\n" },
        { "a\nb\n\n\n\nc\n", "a b\n\nc\n" },
        { "12345678901234567890 x", "12345678901234567890\nx\n" },
        { "x 1234567890123456789012345", "x\n12345678901234567890\n12345\n" },
        { "*Softly*, she said **no**.", "Softly, she said no.\n" },
        { "a\n\n***\n\nb", "a\n\n* * *\n\nb\n" },
        { "a\n---\nb", "a\n\n* * *\n\nb\n" },
        { "ééééééééé ééééééééé éé", "ééééééééé ééééééééé\néé\n" },
        { "字字字字字字字字字字 字", "字字字字字字字字字字\n字\n" },
        { "evil \x1b[2J\x07 \xc2\x9b text", "evil [2J text\n" },
        { "## One\nTwo", "One\n\nTwo\n" },
        { "\n\n  indented   words\t here", "indented words here\n" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf b = { 0 };
        term_put_story(&b, rows[i].markdown, 20, false);
        assert_string_equal(buf_str(&b), rows[i].shown);
        buf_done(&b);
    }
    struct buf b = { 0 };
    term_put_story(&b, "# T\n\nx", 20, true);
    assert_string_equal(buf_str(&b), "\x1b[1mT\x1b[0m\n\nx\n");
    buf_done(&b);
}

/* Any text at any width: no line is wider, every word is there once and in order. */
static void test_wrapping_keeps_all_words(void **state)
{
    (void) state;
    uint64_t random = 88172645463325252u;
    for (int round = 0; round < 400; round++) {
        char text[600], words[600] = "";
        size_t at = 0;
        for (int w = 0; w < 30; w++) {
            random ^= random << 13, random ^= random >> 7, random ^= random << 17;
            size_t size = 1 + random % 12;
            for (size_t i = 0; i < size; i++)
                text[at++] = (char) ('a' + (random >> i) % 26);
            text[at++] = random % 11 == 0 ? '\n' : ' ';
        }
        text[at] = '\0';
        unsigned width = 20 + (unsigned) (random % 40);
        struct buf b = { 0 };
        term_put_story(&b, text, width, false);
        size_t used = 0;
        for (const char *line = buf_str(&b); *line != '\0'; line += strcspn(line, "\n") + 1) {
            assert_true(strcspn(line, "\n") <= width);
            assert_true(line[0] != ' ');
            memcpy(words + used, line, strcspn(line, "\n"));
            used += strcspn(line, "\n");
            words[used++] = ' ';
        }
        for (size_t i = 0; i < at; i++)
            text[i] = text[i] == '\n' ? ' ' : text[i];
        words[used] = '\0';
        assert_string_equal(words, text);
        buf_done(&b);
    }
}

static void test_lines_are_cut(void **state)
{
    (void) state;
    static const struct {
        const char *text;
        size_t columns;
        const char *line;
    } rows[] = {
        { "short", 10, "short" },
        { "exactly ten", 11, "exactly ten" },
        { "too long for it", 8, "too lon…" },
        { "字字字", 5, "字字…" },
        { "字字字", 4, "字…" },
        { "a\nb\tc", 9, "a b c" },
        { "\x1b[31mred", 9, "[31mred" },
        { "é\xcc\x81x", 2, "é\xcc\x81x" },
        { "\xe2\x80\xaereverse", 9, "reverse" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf b = { 0 };
        term_put_line(&b, rows[i].text, rows[i].columns);
        assert_string_equal(buf_str(&b), rows[i].line);
        assert_true(term_columns(buf_str(&b), b.size) <= rows[i].columns);
        buf_done(&b);
    }
    struct buf b = { 0 };
    term_put_safe(&b, "a\n\tb\x1b]0;title\x07\r\xc2\x85z");
    assert_string_equal(buf_str(&b), "a\n\tb]0;titlez");
    buf_done(&b);
}

static void test_tables_line_up(void **state)
{
    (void) state;
    struct table t;
    struct buf b = { 0 };
    table_init(&t, 3);
    table_add(&t, (const char *[]){ "ID", "NAME", "ROLE" });
    table_add(&t, (const char *[]){ "pilot", "Zoë", "flies\nfast" });
    table_add(&t, (const char *[]){ "x", NULL, "a role that is much longer than the screen" });
    table_put(&t, &b, 40, false);
    assert_string_equal(buf_str(&b), "ID     NAME  ROLE\n"
                                     "pilot  Zoë   flies fast\n"
                                     "x            a role that is much longer…\n");
    buf_done(&b);
}

static void test_progress(void **state)
{
    (void) state;
    Novelengine__V1__SimulationEvent event = NOVELENGINE__V1__SIMULATION_EVENT__INIT;
    Novelengine__V1__SimulationUpdate u = NOVELENGINE__V1__SIMULATION_UPDATE__INIT;
    struct progress p = { .turns = 6, .tension = -1 };
    struct buf b = { 0 };
    progress_put_bar(&b, &p, 80, false, false);
    assert_string_equal(buf_str(&b), "...........................   0 %  turn 0 of 6\n");
    buf_done(&b);

    u.update_case = NOVELENGINE__V1__SIMULATION_UPDATE__UPDATE_EVENT;
    u.event = &event;
    u.progress_percent = 50;
    event.turn = 3;
    event.tension = 62;
    event.phase = NOVELENGINE__V1__SIMULATION_EVENT__PHASE__PHASE_CRISIS;
    event.text = "The\x1b[2J hatch holds.";
    progress_note(&p, &u);
    progress_put_bar(&b, &p, 80, false, false);
    assert_string_equal(
        buf_str(&b),
        "#############..............  50 %  turn 3 of 6  crisis  tension 62\nThe[2J hatch holds.");
    buf_done(&b);
    progress_put_bar(&b, &p, 80, false, true);
    assert_non_null(strstr(buf_str(&b), "█████████████▌░"));
    buf_done(&b);

    u.progress_percent = 20; /* never runs backwards */
    progress_note(&p, &u);
    assert_int_equal(p.percent, 50);
    u.progress_percent = 1000;
    progress_note(&p, &u);
    assert_int_equal(p.percent, 100);
    p.lost = true;
    progress_put_bar(&b, &p, 80, false, false);
    assert_non_null(strstr(buf_str(&b), "connecting again"));
    buf_done(&b);
    progress_note(&p, &u);
    assert_false(p.lost);

    static char text[3000];
    memset(text, 'x', sizeof text - 1);
    event.text = text;
    progress_note(&p, &u);
    for (unsigned width = 20; width < 200; width++)
        for (int utf8 = 0; utf8 < 2; utf8++) {
            progress_put_bar(&b, &p, width, false, utf8 == 1);
            const char *line = buf_str(&b);
            size_t first = strcspn(line, "\n");
            if (width >= 30) /* narrower ones cannot hold the numbers */
                assert_true(term_columns(line, first) < width);
            assert_true(term_columns(line + first + 1, b.size - first - 1) < width);
            buf_done(&b);
        }
}

static void test_event_lines(void **state)
{
    (void) state;
    Novelengine__V1__SimulationEvent e = NOVELENGINE__V1__SIMULATION_EVENT__INIT;
    e.sequence = 12;
    e.turn = 2;
    e.tension = 40;
    e.phase = (Novelengine__V1__SimulationEvent__Phase) 77;
    e.text = "She waits.";
    struct buf b = { 0 };
    progress_put_event(&b, &e, 80, false);
    assert_string_equal(buf_str(&b), "  12  turn 2                 40  She waits.");
    buf_done(&b);
    e.phase = NOVELENGINE__V1__SIMULATION_EVENT__PHASE__PHASE_SETUP;
    e.type = NOVELENGINE__V1__SIMULATION_EVENT__TYPE__TYPE_REJECTED;
    progress_put_event(&b, &e, 80, true);
    assert_non_null(strstr(buf_str(&b), "\x1b[31mShe waits.\x1b[0m"));
    buf_done(&b);
    /* A terminal shows all of a long sentence; so does a pipe, in one line. */
    e.text = "She waits until somebody comes who knows the way out of this.";
    progress_put_event(&b, &e, 60, false);
    assert_string_equal(buf_str(&b), "  12  turn 2   setup         40  She waits until somebody\n"
                                     "                                 comes who knows the way out\n"
                                     "                                 of this.");
    buf_done(&b);
    progress_put_event(&b, &e, 0, false);
    assert_non_null(strstr(buf_str(&b), e.text));
    buf_done(&b);
}

static void test_prose_is_wrapped_and_harmless(void **state)
{
    (void) state;
    struct buf b = { 0 };
    term_put_wrapped(&b, "one\x1b[31m two three four five six seven eight\n\nnine", 24, 0);
    assert_string_equal(buf_str(&b), "one[31m two three four\nfive six seven eight\n\nnine");
    buf_done(&b);
    term_put_wrapped(&b, "not\x1b wrapped where there is no terminal at all\nbut kept", 0, 4);
    assert_string_equal(buf_str(&b), "not wrapped where there is no terminal at all\nbut kept");
    buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stories_are_wrapped),
        cmocka_unit_test(test_wrapping_keeps_all_words),
        cmocka_unit_test(test_lines_are_cut),
        cmocka_unit_test(test_prose_is_wrapped_and_harmless),
        cmocka_unit_test(test_tables_line_up),
        cmocka_unit_test(test_progress),
        cmocka_unit_test(test_event_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
