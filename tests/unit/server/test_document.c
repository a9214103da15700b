/* Documents: what each format makes of a story, of a book, and of hostile text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <zlib.h>
#include <cmocka.h>

#include "server/service/document.h"
#include "server/service/zip.h"

static const uint64_t events[] = { 12, 13 };
static const struct document_sentence first[] = {
    { "The door was shut.", events, 2, true },
    { "\"Don't,\" said *somebody*.", events, 1, false },
    { "5 * 4 < 21 & \"so\" on.", NULL, 0, true },
};
static const struct document_sentence second[] = { { "That was all.", events, 1, false } };
static const struct document_scene scenes[] = { { "pilot", first, 3 }, { "a\"b", second, 1 } };
static const struct document_chapter story_chapter = { "", scenes, 2 };
static const struct document_chapter book_chapters[] = { { "One & *only*", scenes, 1 }, { "Two", scenes + 1, 1 } };
static const struct document story = { .title = "A <Title>", .chapters = &story_chapter, .chapters_count = 1 };
static const struct document book = { .title = "The # Book",
                                      .subtitle = "in two parts",
                                      .language = "en-GB",
                                      .identifier = "urn:x:<1>",
                                      .modified = "2026-05-01T12:00:00Z",
                                      .chapters = book_chapters,
                                      .chapters_count = 2 };

static void check_text(const struct document *d, enum document_format format, const char *want)
{
    struct buf b = { 0 };
    document_write(d, format, &b);
    assert_string_equal(buf_str(&b), want);
    buf_done(&b);
}

static void test_formats_have_names(void **state)
{
    (void) state;
    assert_int_equal(document_format_find(""), DOCUMENT_MARKDOWN);
    assert_int_equal(document_format_find(NULL), DOCUMENT_MARKDOWN);
    for (int i = 0; i < DOCUMENT_FORMATS; i++)
        assert_int_equal(document_format_find(document_format_name((enum document_format) i)), i);
    assert_int_equal(document_format_find("pdf"), -1);
}

static void test_markdown_and_text(void **state)
{
    (void) state;
    check_text(&story, DOCUMENT_MARKDOWN,
               "# A \\<Title\\>\n\nThe door was shut. \"Don't,\" said *somebody*.\n\n5 * 4 < 21 & \"so\" on.\n\n"
               "That was all.\n");
    check_text(&story, DOCUMENT_TEXT,
               "A <Title>\n\nThe door was shut. \"Don't,\" said somebody.\n\n5 * 4 < 21 & \"so\" on.\n\nThat was all.\n");
    check_text(&book, DOCUMENT_MARKDOWN,
               "# The \\# Book\n\n*in two parts*\n\n1. One \\& \\*only\\*\n2. Two\n\n## 1. One \\& \\*only\\*\n\n"
               "The door was shut. \"Don't,\" said *somebody*.\n\n5 * 4 < 21 & \"so\" on.\n\n## 2. Two\n\nThat was all.\n");
}

static void contains(struct buf *b, const char *what)
{
    if (strstr(buf_str(b), what) == NULL)
        fail_msg("no \"%s\" in %s", what, buf_str(b));
}

static void test_page(void **state)
{
    (void) state;
    struct buf b = { 0 };
    document_html(&story, &b);
    contains(&b, "<title>A &lt;Title&gt;</title>");
    contains(&b, "<html lang=\"en\">");
    contains(&b, "prefers-color-scheme: dark");
    contains(&b, "<section class=\"scene\" data-scene=\"1\" data-focaliser=\"pilot\">\n<p><span class=\"told\" "
                 "data-events=\"12,13\" title=\"events 12, 13\">The door was shut.</span> ");
    contains(&b, "\xe2\x80\x9c" "Don\xe2\x80\x99t,\xe2\x80\x9d said <em>somebody</em>.</span></p>");
    contains(&b, "<p>5 * 4 &lt; 21 &amp; \xe2\x80\x9cso\xe2\x80\x9d on.</p>");
    contains(&b, "data-focaliser=\"a&quot;b\"");
    assert_null(strstr(buf_str(&b), "<nav"));
    assert_null(strstr(buf_str(&b), "http:"));
    buf_reset(&b);
    document_html(&book, &b);
    contains(&b, "<html lang=\"en-GB\">");
    contains(&b, "<li><a href=\"#chapter-1\">One &amp; *only*</a></li>");
    contains(&b, "<h2 id=\"chapter-2\">Two</h2>");
    buf_done(&b);
}

/* The member's bytes, inflated, appended to out; false: no such member. */
static bool member(const struct buf *zip, const char *name, struct buf *out)
{
    for (size_t at = 0; at + 30 <= zip->size && memcmp(zip->data + at, "PK\3\4", 4) == 0;) {
        const uint8_t *h = zip->data + at;
        uint32_t packed, size, crc;
        uint16_t method = (uint16_t) (h[8] | h[9] << 8), name_size = (uint16_t) (h[26] | h[27] << 8);
        memcpy(&crc, h + 14, 4);
        memcpy(&packed, h + 18, 4);
        memcpy(&size, h + 22, 4);
        const uint8_t *data = h + 30 + name_size;
        if (strlen(name) == name_size && memcmp(h + 30, name, name_size) == 0) {
            uint8_t *to = buf_grow(out, size);
            z_stream s = { .next_in = (Bytef *) (uintptr_t) data, .avail_in = packed, .next_out = to, .avail_out = size };
            if (method == 0) {
                memcpy(to, data, size);
            } else {
                assert_int_equal(inflateInit2(&s, -15), Z_OK);
                assert_int_equal(inflate(&s, Z_FINISH), Z_STREAM_END);
                inflateEnd(&s);
            }
            assert_int_equal(crc32(0, to, size), crc);
            return true;
        }
        at = (size_t) (data - zip->data) + packed;
    }
    return false;
}

static void test_epub(void **state)
{
    (void) state;
    struct buf one = { 0 }, two = { 0 }, part = { 0 };
    document_epub(&book, &one);
    document_epub(&book, &two);
    assert_false(one.failed);
    assert_int_equal(one.size, two.size);
    assert_memory_equal(one.data, two.data, one.size);
    assert_memory_equal(one.data + 30, "mimetypeapplication/epub+zip", 28);
    assert_true(member(&one, "EPUB/package.opf", &part));
    contains(&part, "<dc:identifier id=\"id\">urn:x:&lt;1&gt;</dc:identifier>");
    contains(&part, "<meta property=\"dcterms:modified\">2026-05-01T12:00:00Z</meta>");
    contains(&part, "<itemref idref=\"chapter-2\"/>");
    buf_reset(&part);
    assert_true(member(&one, "EPUB/nav.xhtml", &part));
    contains(&part, "<a href=\"chapter-1.xhtml\">One &amp; *only*</a>");
    buf_reset(&part);
    assert_true(member(&one, "EPUB/chapter-2.xhtml", &part));
    contains(&part, "<p>That was all.</p>");
    assert_false(member(&one, "EPUB/chapter-3.xhtml", &part));
    buf_done(&one);
    buf_done(&two);
    buf_done(&part);
}

static void test_odd_documents(void **state)
{
    (void) state;
    static const struct document_sentence bare[] = { { "*", NULL, 0, false }, { NULL, NULL, 0, false },
                                                     { "a *b\x01 c", NULL, 0, false } };
    static const struct document_scene some[] = { { NULL, NULL, 0 }, { NULL, bare, 3 } };
    static const struct document_chapter odd_chapter = { NULL, some, 2 };
    const struct document empty = { 0 }, odd = { .language = "\"><script>", .chapters = &odd_chapter, .chapters_count = 1 };
    for (int i = 0; i < DOCUMENT_FORMATS; i++) {
        struct buf b = { 0 };
        document_write(&empty, (enum document_format) i, &b);
        document_write(&odd, (enum document_format) i, &b);
        assert_false(b.failed);
        assert_true(b.size > 0);
        buf_done(&b);
    }
    struct buf b = { 0 };
    document_html(&odd, &b);
    contains(&b, "<html lang=\"en\">");
    contains(&b, "<p>*  a *b c</p>");
    buf_done(&b);
}

static void test_a_zip_that_cannot_be(void **state)
{
    (void) state;
    struct buf out = { 0 };
    struct zip z;
    char name[300];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    zip_begin(&z, &out);
    zip_add(&z, name, "x", 1, true);
    assert_false(zip_end(&z));
    assert_true(out.failed);
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formats_have_names), cmocka_unit_test(test_markdown_and_text),
        cmocka_unit_test(test_page),               cmocka_unit_test(test_epub),
        cmocka_unit_test(test_odd_documents),      cmocka_unit_test(test_a_zip_that_cannot_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
