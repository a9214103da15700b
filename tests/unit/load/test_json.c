/* The JSON reader takes what RFC 8259 is and nothing else; the writer writes what the reader reads.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "clients/load/json.h"

static void test_good(void **state)
{
    (void) state;
    static const char text[] = " {\"a\": [1, -2.5e1, true, false, null, "
                               "\"x\\u00e9\\ud83d\\ude00\\n\"], \"b\": {\"c\": 7}} ";
    struct json j = { 0 };
    assert_true(json_parse(&j, text, strlen(text)));
    const struct json_node *root = json_root(&j), *a = json_get(&j, root, "a");
    assert_int_equal(a->kind, JSON_KIND_ARRAY);
    assert_int_equal(a->size, 6);
    const struct json_node *item = json_next(&j, json_first(&j, a));
    assert_true(item->number == -25);
    for (int i = 0; i < 4; i++)
        item = json_next(&j, item);
    assert_true(json_is_text(item, "x\xc3\xa9\xf0\x9f\x98\x80\n"));
    assert_null(json_next(&j, item));
    assert_true(json_number(&j, json_get(&j, root, "b"), "c", 0) == 7);
    assert_true(json_number(&j, root, "nothing", 3) == 3);
    assert_string_equal(json_text(&j, root, "a", "no text"), "no text");
    json_done(&j);
}

static void test_bad(void **state)
{
    (void) state;
    static const char *const cases[] = { "",
                                         "{",
                                         "[1,]",
                                         "{\"a\":}",
                                         "{\"a\" 1}",
                                         "{a:1}",
                                         "01",
                                         "1.",
                                         "1e",
                                         "-",
                                         "+1",
                                         "tru",
                                         "\"\\x\"",
                                         "\"a",
                                         "\"\\u12\"",
                                         "\"\\ud800\"",
                                         "\"\\udc00\"",
                                         "\"\\u0000\"",
                                         "1 2",
                                         "[1 2]",
                                         "\"\x01\"",
                                         "\"\xff\"",
                                         "nul",
                                         "{\"a\":1,}",
                                         "]",
                                         "\"\\ud800\\u0041\"" };
    struct json j = { 0 };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (json_parse(&j, cases[i], strlen(cases[i])))
            fail_msg("was taken: %s", cases[i]);
        assert_int_not_equal(j.problem[0], '\0');
        assert_null(json_root(&j));
    }
    char deep[300];
    memset(deep, '[', sizeof deep);
    assert_false(json_parse(&j, deep, sizeof deep));
    json_done(&j);
}

/* Every prefix of a document is refused, and none is read beyond its end (under a sanitizer). */
static void test_prefixes(void **state)
{
    (void) state;
    static const char text[] = "{\"a\":[1,2.5,\"\\u0041\",{\"b\":null}],\"c\":true}";
    struct json j = { 0 };
    for (size_t n = 0; n < strlen(text); n++) {
        char *copy = malloc(n == 0 ? 1 : n);
        assert_non_null(copy);
        memcpy(copy, text, n);
        assert_false(json_parse(&j, copy, n));
        free(copy);
    }
    assert_true(json_parse(&j, text, strlen(text)));
    json_done(&j);
}

static void test_writer(void **state)
{
    (void) state;
    struct buf b = { 0 };
    struct json_out w = { .out = &b };
    json_open(&w, NULL, '{');
    json_open(&w, "empty", '[');
    json_close(&w, ']');
    json_open(&w, "list", '[');
    json_put_count(&w, NULL, 18446744073709551615u);
    json_put_number(&w, NULL, 1.0 / 0.0, 2);
    json_put_text(&w, NULL, "a \"b\" \n\x01 \xff");
    json_put_text(&w, NULL, NULL);
    json_close(&w, ']');
    json_put_bool(&w, "yes", true);
    json_put_number(&w, "x", 2.5, 3);
    json_close(&w, '}');
    assert_false(b.failed);
    struct json j = { 0 };
    assert_true(json_parse(&j, (const char *) b.data, b.size));
    const struct json_node *list = json_get(&j, json_root(&j), "list");
    assert_int_equal(list->size, 4);
    assert_int_equal(json_next(&j, json_first(&j, list))->kind, JSON_KIND_NULL);
    assert_true(json_number(&j, json_root(&j), "x", 0) == 2.5);
    json_done(&j);
    buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_good), cmocka_unit_test(test_bad),
                                        cmocka_unit_test(test_prefixes),
                                        cmocka_unit_test(test_writer) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
