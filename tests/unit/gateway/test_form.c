/* multipart/form-data: the parser whole and one byte at a time, and forms that become messages. */
#include "tests/unit/gateway/support.h"

#include "gateway/form.h"
#include "gateway/to_json.h"
#include "rpc/base/alloc.h"
#include "rpc/nrpc.h"

static struct desc_pool *foreign;

static int set_up(void **state)
{
    (void) state;
    struct buf b = { 0 };
    char error[256] = "";
    read_file(FOREIGN_FDS, &b);
    if (desc_pool_new(b.data, b.size, &foreign, error) < 0)
        fail_msg("%s", error);
    buf_done(&b);
    return 0;
}

static int tear_down(void **state)
{
    (void) state;
    desc_pool_free(foreign);
    return 0;
}

/* ---- the parser ------------------------------------------------------------------------ */

static int log_part(void *ctx, const struct multipart_part *p)
{
    buf_printf(ctx, "<%s%s%s%s>", p->name, p->file ? " file" : "", *p->content_type ? " " : "",
               p->content_type);
    return 0;
}

static int log_data(void *ctx, const void *data, size_t size)
{
    assert_true(size > 0);
    buf_put(ctx, data, size);
    return 0;
}

static int log_end(void *ctx)
{
    buf_puts(ctx, "</>");
    return 0;
}

static const struct multipart_events logging = { log_part, log_data, log_end };

/* What the parser says, in pieces of `step` bytes. */
static void parse(const char *type, const char *body, size_t step, struct buf *out)
{
    struct multipart m;
    size_t size = strlen(body);
    int r = 0;
    if (!multipart_init(&m, type, strlen(type), &logging, out)) {
        buf_puts(out, "no form");
        return;
    }
    for (size_t at = 0; at < size && r == 0; at += step) {
        size_t n = size - at < step ? size - at : step;
        struct guarded g = guarded_copy((const uint8_t *) body + at, n);
        r = multipart_feed(&m, g.data, n);
        guarded_free(g);
    }
    if (r == 0)
        r = multipart_finish(&m);
    assert_true(r == 0 || r == NRPC_E_PROTO);
    if (r < 0) {
        buf_reset(out);
        buf_puts(out, m.error);
    }
    multipart_done(&m);
}

#define FORM     "multipart/form-data; boundary=B"
#define NAMED(n) "Content-Disposition: form-data; name=\"" n "\"\r\n"

static void parses_forms(void **state)
{
    (void) state;
    static const struct {
        const char *type, *body, *out;
    } cases[] = {
        { FORM, "--B\r\n" NAMED("a") "\r\n1\r\n--B--\r\n", "<a>1</>" },
        { FORM, "--B\r\n" NAMED("a") "\r\n\r\n--B\r\n" NAMED("b") "\r\nx\r\n\r\ny\r\n--B--",
          "<a></><b>x\r\n\r\ny</>" },
        { FORM, "before\r\n--B \t\r\n" NAMED("a") "\r\n1\r\n--B--after\r\n--B\r\n", "<a>1</>" },
        { FORM,
          "--B\r\ncontent-type:  image/png \r\nContent-Disposition: form-data; filename=\"x.png\"; "
          "name=\"f\"\r\nX: y\r\n\r\n\r\r\n-\r\n--\r\n--C\r\n--B--",
          "<f file image/png>\r\r\n-\r\n--\r\n--C</>" },
        { FORM, "--B\r\n" NAMED("a%22b\\\\c") "\r\n1\r\n--B--", "<a\"b\\c>1</>" },
        { FORM,
          "--B\r\nContent-Disposition: form-data; name=a; filename*=UTF-8''x\r\n\r\n1\r\n--B--",
          "<a file>1</>" },
        { "Multipart/Form-Data; charset=utf-8; BOUNDARY=\"B C:1\"",
          "--B C:1\r\n" NAMED("a") "\r\n1\r\n--B C:1--", "<a>1</>" },
        { FORM, "--B\r\n" NAMED("a") "Content-Transfer-Encoding: 8bit\r\n\r\n1\r\n--B--",
          "<a>1</>" },
        { FORM, "", "the form has no parts" },
        { FORM, "--B--", "" },
        { FORM, "--B\r\n" NAMED("a") "\r\n1", "the form ends too early" },
        { FORM, "--B\r\n" NAMED("a") "\r\n1\r\n--B", "the form ends too early" },
        { FORM, "--B\r\n" NAMED("a"), "the form has no parts" },
        { FORM, "--B\r\n\r\n1\r\n--B--", "a part does not say which field it is" },
        { FORM, "--B\r\nContent-Type: a/b\r\n\r\n1\r\n--B--",
          "a part does not say which field it is" },
        { FORM, "--B\r\nContent-Disposition: attachment; name=\"a\"\r\n\r\n1\r\n--B--",
          "a part does not say which field it is" },
        { FORM, "--B\r\nContent-Disposition: form-data; name=\"a\r\n\r\n1\r\n--B--",
          "a part does not say which field it is" },
        { FORM, "--B\r\n" NAMED("a") NAMED("b") "\r\n1\r\n--B--",
          "a part has two Content-Disposition headers" },
        { FORM, "--B\r\n" NAMED("") "\r\n1\r\n--B--", "a part's name is empty or not UTF-8" },
        { FORM, "--B\r\n" NAMED("\xff") "\r\n1\r\n--B--", "a part's name is empty or not UTF-8" },
        { FORM, "--B\r\n" NAMED("a") "Content-Transfer-Encoding: base64\r\n\r\n1\r\n--B--",
          "a part has a transfer encoding" },
        { FORM, "--B\r\nno colon\r\n\r\n1\r\n--B--", "a part's header is malformed" },
        { FORM, "--B\nContent-Disposition: form-data; name=\"a\"\n\n1\n--B--",
          "a boundary is not followed by a line end" },
        { FORM, "--B\r\nContent-Disposition: form-data; name=\"a\"\n\r\n1\r\n--B--",
          "a part's header has a bare line feed" },
        { FORM, "--B\r\n\n", "a part's header has a bare line feed" },
        { FORM, "--Bx\r\n" NAMED("a") "\r\n1\r\n--B--",
          "a boundary is not followed by a line end" },
        { FORM, "--B-x", "a boundary is not followed by a line end" },
        { "multipart/form-data", "", "no form" },
        { "multipart/form-data; boundary=", "", "no form" },
        { "multipart/form-data; boundary=\"\"", "", "no form" },
        { "multipart/form-data; boundary=a; boundary=b", "", "no form" },
        { "multipart/form-data; boundary=\"a", "", "no form" },
        { "multipart/mixed; boundary=B", "", "no form" },
        { "multipart/form-datax; boundary=B", "", "no form" },
        { "multipart/form-data; boundary="
          "12345678901234567890123456789012345678901234567890123456789012345678901",
          "", "no form" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t steps[] = { 1, 2, 3, 7, strlen(cases[i].body) + 1 };
        for (size_t k = 0; k < sizeof steps / sizeof *steps; k++) {
            struct buf out = { 0 };
            parse(cases[i].type, cases[i].body, steps[k], &out);
            assert_string_equal(buf_str(&out), cases[i].out);
            buf_done(&out);
        }
    }
}

static void bounds_what_forms_hold(void **state)
{
    (void) state;
    struct buf body = { 0 }, out = { 0 };
    for (int i = 0; i <= MULTIPART_PARTS_MAX; i++)
        buf_puts(&body, "--B\r\n" NAMED("a") "\r\n1\r\n");
    buf_puts(&body, "--B--");
    parse(FORM, buf_str(&body), body.size, &out);
    assert_string_equal(buf_str(&out), "the form has too many parts");
    buf_reset(&body);
    buf_reset(&out);
    buf_puts(&body, "--B\r\nX: ");
    for (int i = 0; i < MULTIPART_HEAD_MAX; i++)
        buf_putc(&body, 'x');
    parse(FORM, buf_str(&body), body.size, &out);
    assert_string_equal(buf_str(&out), "a part's header is too long");
    buf_done(&body);
    buf_done(&out);
}

/* ---- forms as messages ----------------------------------------------------------------- */

static void read_form(const char *body, size_t step, bool ignore_unknown, struct buf *out)
{
    static const char name[] = "foreign.v1.Everything";
    const struct desc_message *m = desc_find_message(foreign, name, sizeof name - 1);
    struct arena a;
    struct binder b;
    struct buf wire = { 0 };
    struct form *f = NULL;
    size_t size = strlen(body);
    arena_init(&a, 1024);
    bind_start(&b, m, &a);
    struct form_options o = { .message = m,
                              .binder = &b,
                              .out = &wire,
                              .json = { .pool = foreign, .ignore_unknown = ignore_unknown } };
    assert_true(form_fits(m));
    assert_int_equal(form_new(FORM, strlen(FORM), &o, &f), 0);
    int r = 0;
    for (size_t at = 0; at < size && r == 0; at += step)
        r = form_feed(f, body + at, size - at < step ? size - at : step);
    if (r == 0)
        r = form_finish(f);
    if (r == 0)
        r = bind_write_rest(&b, NULL, &wire);
    if (r < 0) {
        assert_int_equal(r, NRPC_E_PROTO);
        bool own = f->error[0] != '\0';
        buf_printf(out, "%s: %s", own ? f->error_field : b.error.field,
                   own ? f->error : b.error.message);
    } else {
        struct to_json t;
        to_json_init(&t, foreign, JSON_STANDARD);
        assert_int_equal(to_json_message(&t, m, wire.data, wire.size, out), 0);
        to_json_done(&t);
    }
    form_done(f);
    buf_done(&wire);
    arena_done(&a);
}

#define PART(name, value)       "--B\r\n" NAMED(name) "\r\n" value "\r\n"
#define TYPED(name, type, body) "--B\r\n" NAMED(name) "Content-Type: " type "\r\n\r\n" body "\r\n"
#define FILE_PART(name, type, body)                                                                \
    "--B\r\nContent-Disposition: form-data; name=\"" name                                          \
    "\"; filename=\"x\"\r\nContent-Type: " type "\r\n\r\n" body "\r\n"

static void forms_become_messages(void **state)
{
    (void) state;
    static const struct {
        const char *body, *out;
    } cases[] = {
        { FILE_PART("f_bytes", "image/png", "\xff\r\n\xfe"), "{\"fBytes\":\"/w0K/g==\"}" },
        { PART("fBytes", "plain") PART("fInt32", "5") PART("r_string", "a") PART("rString", "b"),
          "{\"fInt32\":5,\"fBytes\":\"cGxhaW4=\",\"rString\":[\"a\",\"b\"]}" },
        { PART("f_message.inner.text", "x") PART("m_string[k]", "v") PART("w_int32", "0"),
          "{\"fMessage\":{\"inner\":{\"text\":\"x\"}},\"mString\":{\"k\":\"v\"},\"wInt32\":0}" },
        { TYPED("f_message", "application/json; charset=utf-8", "{\"text\":\"x\"}")
              TYPED("rInt32", "application/json", "[1,2]"),
          "{\"fMessage\":{\"text\":\"x\"},\"rInt32\":[1,2]}" },
        { PART("timestamp", "1970-01-01T00:00:01Z") PART("f_enum", "COLOR_RED"),
          "{\"fEnum\":\"COLOR_RED\",\"timestamp\":\"1970-01-01T00:00:01Z\"}" },
        { "", "{}" },
        { FILE_PART("f_byte", "a/b", "x"), "f_byte: unknown field; did you mean \"fBytes\"?" },
        { FILE_PART("f_string", "a/b", "x"),
          "f_string: a file can only fill a field of bytes or google.api.HttpBody" },
        { FILE_PART("f_bytes", "a/b", "x") PART("fBytes", "y"), "fBytes: is given twice" },
        { PART("f_int32", "1") PART("f_int32", "2"), "f_int32: is given twice" },
        { PART("f_int32", "x"), "f_int32: must be a whole number from -2147483648 to 2147483647" },
        { PART("f_string", "\xff"), "f_string: is not valid UTF-8" },
        { PART("f_message", "x"), "f_message: is a message: name one of its fields" },
        { TYPED("f_message", "application/json", "{\"txt\":1}"),
          "f_message: txt: unknown field; did you mean \"text\"?" },
        { TYPED("f_message", "application/json", "{"), "f_message: the document ends too early" },
        { TYPED("f_message", "application/json", "{}") TYPED("fMessage", "application/json", "{}"),
          "fMessage: is given twice" },
        { PART("f_message.txt", "x"), "f_message.txt: unknown parameter; did you mean \"text\"?" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char body[1024];
        snprintf(body, sizeof body, "%s--B--\r\n", cases[i].body);
        for (size_t step = 1; step <= sizeof body; step += sizeof body - 1) {
            struct buf out = { 0 };
            read_form(body, step, false, &out);
            assert_string_equal(buf_str(&out), cases[i].out);
            buf_done(&out);
        }
    }
    struct buf out = { 0 };
    read_form(PART("zzz", "1") FILE_PART("yyy", "a/b", "x") PART("f_bool", "true") "--B--", 5, true,
              &out);
    assert_string_equal(buf_str(&out), "{\"fBool\":true}");
    buf_done(&out);
}

static void bounds_texts(void **state)
{
    (void) state;
    struct buf body = { 0 }, out = { 0 };
    buf_puts(&body, "--B\r\n" NAMED("f_string") "\r\n");
    for (int i = 0; i <= FORM_TEXT_MAX; i++)
        buf_putc(&body, 'x');
    buf_puts(&body, "\r\n--B--");
    read_form(buf_str(&body), 4096, false, &out);
    assert_string_equal(buf_str(&out), "f_string: a text is longer than 65536 bytes");
    buf_done(&body);
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses_forms),
        cmocka_unit_test(bounds_what_forms_hold),
        cmocka_unit_test(forms_become_messages),
        cmocka_unit_test(bounds_texts),
    };
    return cmocka_run_group_tests_name("gateway forms", tests, set_up, tear_down);
}
