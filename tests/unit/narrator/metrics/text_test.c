#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "rpc/base/buf.h"
#include "server/tools/novel-metrics-text.h"

struct fixture {
    struct text_table *table;
    struct arena arena;
    struct text_doc doc;
};
static void read_it(struct fixture *f, const char *text, size_t words)
{
    f->table = text_table_new();
    assert_non_null(f->table);
    arena_init(&f->arena, 1024);
    assert_int_equal(text_read(text, strlen(text), words, f->table, &f->arena, &f->doc), 0);
}
static void drop_it(struct fixture *f)
{
    text_table_free(f->table);
    arena_done(&f->arena);
}

/* Words joined by blanks, as written. */
static void test_words(void **state)
{
    static const struct {
        const char *text, *words;
    } rows[] = {
        { "", "" },
        { "One two, three.", "One two three" },
        { "It's half-lit -- he said 'no'.", "It's half-lit he said no" },
        { "don’t stop’ now", "don’t stop now" },
        { "a-b'c", "a-b'c" },
        { "-a- 'b' c--d", "a b c d" },
        { "12:30, 3.5 km", "12 30 3 5 km" },
        { "caf\xc3\xa9 na\xc3\xafve", "caf na ve" },
        { "under_score", "under score" },
    };
    (void) state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct fixture f;
        struct buf out = { 0 };
        read_it(&f, rows[i].text, 0);
        for (size_t k = 0; k < f.doc.words_count; k++) {
            if (k > 0)
                buf_putc(&out, ' ');
            buf_put(&out, f.doc.words[k].data, f.doc.words[k].size);
        }
        assert_string_equal(buf_str(&out), rows[i].words);
        buf_done(&out);
        drop_it(&f);
    }
}
/* Sentences between bars, paragraphs between double ones. */
static void test_sentences(void **state)
{
    static const struct {
        const char *text, *parts;
    } rows[] = {
        { "One. Two? Three!", "One.|Two?|Three!" },
        { "One. two. Three.", "One. two.|Three." },
        { "He met Dr. Patel. She left.", "He met Dr. Patel.|She left." },
        { "The MDr. Then.", "The MDr.|Then." },
        { "\"Stop.\" He did.", "\"Stop.\"|He did." },
        { "“Stop.” “Why?” she asked.", "“Stop.”|“Why?” she asked." },
        { "At 3. 40 came.", "At 3.|40 came." },
        { "One.  \n Two.\n\nThree.\n \t\n\nFour.", "One.|Two.||Three.||Four." },
        { "\n\n  One.\r\n\r\nTwo.\n", "One.||Two." },
        { "...\n\nOne. ---", "One. ---" },
        { "No end", "No end" },
        { "One. “‘Two.", "One. “‘Two." },
    };
    (void) state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct fixture f;
        struct buf out = { 0 };
        read_it(&f, rows[i].text, 0);
        for (size_t k = 0; k < f.doc.sentences_count; k++) {
            const struct text_sentence *s = &f.doc.sentences[k];
            if (k > 0)
                buf_puts(&out, s->paragraph != s[-1].paragraph ? "||" : "|");
            buf_put(&out, s->data, s->size);
        }
        assert_string_equal(buf_str(&out), rows[i].parts);
        buf_done(&out);
        drop_it(&f);
    }
}
static void test_window(void **state)
{
    struct fixture f;
    (void) state;
    read_it(&f, "One two three. Four five. Six.\n\nSeven eight.", 4);
    assert_int_equal(f.doc.words_count, 5);
    assert_int_equal(f.doc.sentences_count, 2);
    assert_int_equal(f.doc.paragraphs_count, 1);
    drop_it(&f);
    read_it(&f, "One two three. Four five.", 100);
    assert_int_equal(f.doc.words_count, 5);
    drop_it(&f);
}
static void test_joined(void **state)
{
    struct fixture f;
    (void) state;
    read_it(&f, "  One \n two.\n\n\nThree.  ", 0);
    assert_int_equal(f.doc.joined_size, strlen("One two. Three."));
    assert_memory_equal(f.doc.joined, "One two. Three.", f.doc.joined_size);
    drop_it(&f);
}
static void test_numbers(void **state)
{
    struct text_table *t = text_table_new();
    (void) state;
    assert_int_equal(text_table_id(t, "Lamp", 4), 0);
    assert_int_equal(text_table_id(t, "door", 4), 1);
    assert_int_equal(text_table_id(t, "LAMP", 4), 0);
    assert_string_equal(text_table_word(t, 0), "lamp");
    assert_string_equal(text_table_word(t, 9), "");
    text_table_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),   cmocka_unit_test(test_sentences),
        cmocka_unit_test(test_window),  cmocka_unit_test(test_joined),
        cmocka_unit_test(test_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
