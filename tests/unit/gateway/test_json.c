/* The JSON reader: what it takes, what it refuses and where, fed whole and byte by byte, against
 * jansson. */
#include "tests/unit/gateway/support.h"

#include "gateway/json_reader.h"
#include "gateway/json_writer.h"
#include "gateway/scalar.h"
#include "rpc/base/utf8.h"
#include "rpc/nrpc.h"
#include "tests/unit/gateway/oracle.h"

/* ---- tokens as text: what the reader saw, written down again --------------------------- */

struct echo {
    struct buf out;
    bool comma;
    size_t stop_after; /* tokens; 0: never */
    size_t tokens;
    struct json_reader *reader;
};

static int on_token(void *ctx, enum json_token t, const char *text, size_t size)
{
    static const char *const plain[] = {
        [JSON_NULL] = "null",      [JSON_FALSE] = "false",  [JSON_TRUE] = "true",
        [JSON_BEGIN_OBJECT] = "{", [JSON_END_OBJECT] = "}", [JSON_BEGIN_ARRAY] = "[",
        [JSON_END_ARRAY] = "]"
    };
    struct echo *e = ctx;
    if (++e->tokens == e->stop_after)
        return json_reader_fail(e->reader, "enough");
    bool ends = t == JSON_END_OBJECT || t == JSON_END_ARRAY;
    if (e->comma && !ends)
        buf_putc(&e->out, ',');
    e->comma = t != JSON_KEY && t != JSON_BEGIN_OBJECT && t != JSON_BEGIN_ARRAY;
    if (t == JSON_STRING || t == JSON_KEY)
        assert_true(json_put_string(&e->out, text, size));
    else if (t == JSON_NUMBER)
        buf_put(&e->out, text, size);
    else
        buf_puts(&e->out, plain[t]);
    if (t == JSON_KEY)
        buf_putc(&e->out, ':');
    return 0;
}

/* Reads in pieces of `step` bytes; the text seen goes to out (may be NULL). */
static int read_in_steps(const void *data, size_t size, size_t step, struct json_error *out_error,
                         struct buf *out)
{
    struct json_reader r;
    struct echo e = { .reader = &r };
    int result = 0;
    json_reader_init(&r, on_token, &e);
    for (size_t at = 0; at < size && result == 0; at += step) {
        size_t n = size - at < step ? size - at : step;
        struct guarded g = guarded_copy((const uint8_t *) data + at, n);
        result = json_reader_feed(&r, g.data, n);
        guarded_free(g);
    }
    if (result == 0)
        result = json_reader_finish(&r);
    *out_error = r.error;
    if (out != NULL)
        buf_put(out, e.out.data, e.out.size);
    buf_done(&e.out);
    json_reader_done(&r);
    return result;
}

static void same_error(const struct json_error *a, const struct json_error *b)
{
    assert_string_equal(a->message, b->message);
    assert_string_equal(a->path, b->path);
    assert_int_equal(a->offset, b->offset);
    assert_int_equal(a->line, b->line);
    assert_int_equal(a->column, b->column);
}

static int read_both_ways(const void *data, size_t size, struct json_error *out_error,
                          struct buf *out)
{
    struct json_error one = { 0 }, three = { 0 };
    int whole = read_in_steps(data, size, size + 1, out_error, out);
    assert_int_equal(read_in_steps(data, size, 1, &one, NULL), whole);
    assert_int_equal(read_in_steps(data, size, 3, &three, NULL), whole);
    if (whole == NRPC_E_PROTO) {
        same_error(out_error, &one);
        same_error(out_error, &three);
    }
    return whole;
}

static void takes_and_decodes(void **state)
{
    (void) state;
    static const struct {
        const char *in, *seen; /* seen NULL: as in */
    } cases[] = {
        { "null", NULL },
        { "true", NULL },
        { "0", NULL },
        { "-0", NULL },
        { " 1.5e-3 ", "1.5e-3" },
        { "1E+2", NULL },
        { "18446744073709551615", NULL },
        { "123456789012345678901234567890.5", NULL },
        { "\"\"", NULL },
        { "[]", NULL },
        { "{}", NULL },
        { " [ 1 , [ ] , { } ] ", "[1,[],{}]" },
        { "\"a\\u0041\\n\"", "\"aA\\n\"" },
        { "\"\\ud83d\\ude00\"", "\"\xf0\x9f\x98\x80\"" },
        { "\"\xf4\x8f\xbf\xbf\xe2\x82\xac\"", NULL },
        { "\"\\u0000\"", NULL },
        { "\"\\/\\b\\f\"", "\"/\\b\\f\"" },
        { "{\"a\":{\"a\":1},\"b\":[{\"a\":2}]}", NULL },
        { "{\"\":1,\" \":2}", NULL },
        { "\r\n\t 7\n", "7" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct json_error e;
        struct buf seen = { 0 };
        int r = read_both_ways(cases[i].in, strlen(cases[i].in), &e, &seen);
        if (r != 0)
            print_message("%s: %s\n", cases[i].in, e.message);
        assert_int_equal(r, 0);
        assert_string_equal(buf_str(&seen), cases[i].seen == NULL ? cases[i].in : cases[i].seen);
        buf_done(&seen);
    }
}

static void refuses_and_names_the_place(void **state)
{
    (void) state;
    static const struct {
        const char *in, *path;
        uint64_t line, column;
        const char *part; /* of the message */
    } cases[] = {
        { "", "", 1, 1, "empty" },
        { " ", "", 1, 2, "too early" },
        { "[1,]", "[1]", 1, 4, "a value" },
        { "{\"a\":1,}", "", 1, 8, "a key in quotes" },
        { "{a:1}", "", 1, 2, "a key in quotes" },
        { "{\"a\" 1}", "a", 1, 6, "':'" },
        { "[1 2]", "[0]", 1, 4, "',' or ']'" },
        { "{\"a\":1]", "a", 1, 7, "',' or '}'" },
        { "01", "", 1, 2, "begin with 0" },
        { "-", "", 1, 2, "too early" },
        { "-a", "", 1, 2, "a digit" },
        { "1.", "", 1, 3, "too early" },
        { ".5", "", 1, 1, "a value" },
        { "1e", "", 1, 3, "too early" },
        { "1e+", "", 1, 4, "too early" },
        { "+1", "", 1, 1, "a value" },
        { "NaN", "", 1, 1, "a value" },
        { "nul", "", 1, 4, "too early" },
        { "nulL", "", 1, 4, "null" },
        { "truee", "", 1, 5, "nothing after" },
        { "1 2", "", 1, 3, "nothing after" },
        { "\"a", "", 1, 3, "too early" },
        { "\"a\tb\"", "", 1, 3, "control character" },
        { "\"\\x\"", "", 1, 3, "escape" },
        { "\"\\u12g4\"", "", 1, 6, "hexadecimal" },
        { "\"\\ud800\"", "", 1, 8, "high surrogate" },
        { "\"\\ud800\\n\"", "", 1, 9, "high surrogate" },
        { "\"\\ud800\\u0041\"", "", 1, 13, "high surrogate" },
        { "\"\\udc00\"", "", 1, 7, "low surrogate" },
        { "\"\xff\"", "", 1, 2, "UTF-8" },
        { "\"\xc0\x80\"", "", 1, 2, "UTF-8" },
        { "\"\xed\xa0\x80\"", "", 1, 3, "UTF-8" },
        { "\"\xf4\x90\x80\x80\"", "", 1, 3, "UTF-8" },
        { "\"\xe2\x82\"", "", 1, 4, "UTF-8" },
        { "\xef\xbb\xbf{}", "", 1, 1, "a value" },
        { "'a'", "", 1, 1, "a value" },
        { "[1]//", "", 1, 4, "nothing after" },
        { "{\"a\":1,\"a\":2}", "a", 1, 8, "stands twice" },
        { "{\"b\":[0,{\"x y\":1,\n \"x\\u0020y\":2}]}", "b[1][\"x y\"]", 2, 2, "stands twice" },
        { "{\n\"list\": [1,\n  tru]}", "list[1]", 3, 6, "true" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct json_error e;
        int r = read_both_ways(cases[i].in, strlen(cases[i].in), &e, NULL);
        if (r != NRPC_E_PROTO || strstr(e.message, cases[i].part) == NULL ||
            e.line != cases[i].line || e.column != cases[i].column ||
            strcmp(e.path, cases[i].path) != 0)
            print_message("%s: %d %s at \"%s\" %d:%d\n", cases[i].in, r, e.message, e.path,
                          (int) e.line, (int) e.column);
        assert_int_equal(r, NRPC_E_PROTO);
        assert_non_null(strstr(e.message, cases[i].part));
        assert_string_equal(e.path, cases[i].path);
        assert_int_equal(e.line, cases[i].line);
        assert_int_equal(e.column, cases[i].column);
    }
}

static void bounds_depth_and_numbers(void **state)
{
    (void) state;
    struct json_error e;
    char text[10001];
    memset(text, '[', 10000);
    assert_int_equal(read_both_ways(text, 10000, &e, NULL), NRPC_E_PROTO);
    assert_int_equal(e.column, 101);
    memset(text + 100, ']', 100);
    assert_int_equal(read_both_ways(text, 200, &e, NULL), 0);
    memset(text, '1', 1025);
    assert_int_equal(read_both_ways(text, 1024, &e, NULL), 0);
    assert_int_equal(read_both_ways(text, 1025, &e, NULL), NRPC_E_PROTO);
}

static void finds_duplicates_among_many_keys(void **state)
{
    (void) state;
    for (int again = -1; again < 3000; again += again < 20 ? 1 : 371) {
        struct buf b = { 0 };
        struct json_error e;
        buf_putc(&b, '{');
        for (int i = 0; i < 3000; i++)
            buf_printf(&b, "\"key%d\":{\"key%d\":0},", i, i);
        buf_printf(&b, "\"key%d\":1}", again < 0 ? 3000 : again);
        assert_int_equal(read_in_steps(b.data, b.size, b.size, &e, NULL),
                         again < 0 ? 0 : NRPC_E_PROTO);
        buf_done(&b);
    }
}

static void the_consumer_can_stop(void **state)
{
    (void) state;
    struct json_reader r;
    struct echo e = { .reader = &r, .stop_after = 5 };
    json_reader_init(&r, on_token, &e);
    static const char text[] = "{\"a\":[1,2,3]}";
    assert_int_equal(json_reader_feed(&r, text, sizeof text - 1), NRPC_E_PROTO);
    assert_int_equal(json_reader_feed(&r, text, sizeof text - 1), NRPC_E_PROTO); /* stays failed */
    assert_string_equal(r.error.message, "enough");
    assert_string_equal(r.error.path, "a[1]");
    assert_int_equal(r.error.column, 9);
    buf_done(&e.out);
    json_reader_done(&r);
}

static void survives_without_memory(void **state)
{
    (void) state;
    static const char text[] =
        "{\"a\\u0041\":[1,\"x\\ty\",{\"b\":1}],\"k1\":1,\"k2\":1,\"k3\":1,\"k4\":1,\"k5\":1,\"k6\":"
        "1,"
        "\"k7\":1,\"k8\":1,\"k9\":1,\"k10\":1,\"k11\":1,\"k12\":1,\"k13\":1}";
    for (uint64_t n = 1; n < 40; n++) {
        struct json_reader r;
        struct echo e = { .reader = &r };
        json_reader_init(&r, on_token, &e);
        buf_reserve(&e.out, 1000);
        alloc_fail_at(n);
        int result = json_reader_feed(&r, text, sizeof text - 1);
        if (result == 0)
            result = json_reader_finish(&r);
        alloc_fail_at(0);
        assert_true(result == 0 || result == NRPC_E_NOMEM);
        json_reader_done(&r);
        buf_done(&e.out);
    }
}

/* ---- against jansson ------------------------------------------------------------------- */

static void generate(uint64_t *rng, struct buf *b, unsigned depth)
{
    static const char *const scalars[] = { "null",
                                           "true",
                                           "false",
                                           "0",
                                           "-1",
                                           "12.5",
                                           "1e3",
                                           "-0.0",
                                           "9007199254740993",
                                           "\"\"",
                                           "\"a\"",
                                           "\"\\u20ac\\ud83d\\ude00\"",
                                           "\"\xc3\xa9\\n\"",
                                           "0.1" };
    uint64_t kind = random_below(rng, depth == 0 ? 14 : 20);
    if (kind < 14) {
        buf_puts(b, scalars[kind]);
        return;
    }
    uint64_t n = random_below(rng, 4);
    buf_putc(b, kind < 17 ? '[' : '{');
    for (uint64_t i = 0; i < n; i++) {
        if (i > 0)
            buf_puts(b, random_below(rng, 3) == 0 ? " ,\n" : ",");
        if (kind >= 17)
            buf_printf(b, "\"k%d\":", (int) random_below(rng, 8));
        generate(rng, b, depth - 1);
    }
    buf_putc(b, kind < 17 ? ']' : '}');
}

static void mutate(uint64_t *rng, struct buf *b)
{
    static const uint8_t bytes[] = "{}[]\",:\\u0123eE+-. \n\x01\xff\xc3\xa9\xed\xa0truefalsn";
    uint64_t n = random_below(rng, 3);
    for (uint64_t i = 0; i < n && b->size > 0; i++) {
        size_t at = random_below(rng, b->size);
        uint8_t byte = bytes[random_below(rng, sizeof bytes - 1)];
        if (random_below(rng, 3) == 0) {
            memmove(b->data + at, b->data + at + 1, b->size - at - 1);
            b->size--;
        } else {
            b->data[at] = byte;
        }
    }
}

/* jansson keeps integers of 64 bits only and refuses reals out of range; there the two may differ.
 */
static bool holds_large_number(const struct buf *b)
{
    size_t digits = 0;
    bool exponent = false;
    for (size_t i = 0; i < b->size; i++) {
        bool digit = b->data[i] >= '0' && b->data[i] <= '9';
        digits = digit ? digits + 1 : 0;
        exponent |=
            i > 0 && (b->data[i] | 0x20) == 'e' && b->data[i - 1] >= '0' && b->data[i - 1] <= '9';
        if (digits > 18 || (exponent && digits > 2))
            return true;
    }
    return false;
}

static void agrees_with_jansson(void **state)
{
    (void) state;
    uint64_t rng = 20260924;
    unsigned taken = 0, refused = 0;
    for (int i = 0; i < 60000; i++) {
        struct buf b = { 0 }, seen = { 0 };
        struct json_error e;
        char theirs[160];
        generate(&rng, &b, 4);
        mutate(&rng, &b);
        if (holds_large_number(&b) || b.size == 0) {
            buf_done(&b);
            continue;
        }
        bool takes = oracle_takes(b.data, b.size, theirs);
        int ours = read_in_steps(b.data, b.size, 1 + random_below(&rng, 7), &e, &seen);
        if ((ours == 0) != takes)
            print_message("%.*s\nours: %d %s, jansson: %s\n", (int) b.size, b.data, ours, e.message,
                          theirs);
        assert_int_equal(ours == 0, takes);
        /* What the reader saw, read by jansson, must be the same value. */
        if (takes)
            assert_true(oracle_same(b.data, b.size, seen.data, seen.size));
        taken += takes;
        refused += !takes;
        buf_done(&b);
        buf_done(&seen);
    }
    assert_true(taken > 10000 && refused > 10000);
}

/* ---- the writer and single values ------------------------------------------------------ */

static void writes_numbers_that_read_back(void **state)
{
    (void) state;
    uint64_t rng = 7;
    for (int i = 0; i < 100000; i++) {
        uint64_t bits = random_next(&rng);
        double value, back;
        memcpy(&value, &bits, sizeof value);
        if (value != value || value - value != 0)
            continue;
        struct buf b = { 0 };
        json_put_double(&b, value, i % 2);
        assert_true(scalar_parse_double((const char *) b.data, b.size, &back));
        assert_memory_equal(&value, &back, sizeof value);
        buf_done(&b);
    }
    static const struct {
        double value;
        bool point;
        const char *text;
    } cases[] = { { 0, false, "0" },       { 0, true, "0.0" },
                  { 12, true, "12.0" },    { 0.1, true, "0.1" },
                  { 1e20, true, "1e+20" }, { -0.0, false, "-0.0" },
                  { 12.3, false, "12.3" }, { 5e-324, false, "4.94065645841247e-324" } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf b = { 0 };
        json_put_double(&b, cases[i].value, cases[i].point);
        assert_string_equal(buf_str(&b), cases[i].text);
        buf_done(&b);
    }
}

static void parses_whole_numbers_exactly(void **state)
{
    (void) state;
    static const struct {
        const char *text;
        bool ok, negative;
        uint64_t magnitude;
    } cases[] = {
        { "0", true, false, 0 },
        { "-0", true, true, 0 },
        { "18446744073709551615", true, false, UINT64_MAX },
        { "18446744073709551616", false, false, 0 },
        { "1.0", true, false, 1 },
        { "1e3", true, false, 1000 },
        { "1.5", false, false, 0 },
        { "1.5e1", true, false, 15 },
        { "120e-1", true, false, 12 },
        { "12e-1", false, false, 0 },
        { "0e99999", true, false, 0 },
        { "1e99999", false, false, 0 },
        { "0.000e5", true, false, 0 },
        { "-9223372036854775808", true, true, 1ull << 63 },
        { "", false, false, 0 },
        { "1 ", false, false, 0 },
        { " 1", false, false, 0 },
        { "+1", false, false, 0 },
        { "01", false, false, 0 },
        { "1.", false, false, 0 },
        { "0x1", false, false, 0 },
        { "1e", false, false, 0 },
        { "184467440737095516150e-1", true, false, UINT64_MAX },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool negative = true;
        uint64_t magnitude = 77;
        struct guarded g = guarded_copy(cases[i].text, strlen(cases[i].text));
        bool ok =
            scalar_parse_int((const char *) g.data, strlen(cases[i].text), &negative, &magnitude);
        guarded_free(g);
        if (ok != cases[i].ok)
            print_message("%s\n", cases[i].text);
        assert_int_equal(ok, cases[i].ok);
        assert_int_equal(negative, ok ? cases[i].negative : true);
        assert_true(magnitude == (ok ? cases[i].magnitude : 77));
    }
}

static void times_round_trip(void **state)
{
    (void) state;
    static const struct {
        const char *in, *out; /* out NULL: refused */
    } cases[] = {
        { "1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z" },
        { "0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z" },
        { "9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59.999999999Z" },
        { "2024-02-29T12:00:00.5+02:30", "2024-02-29T09:30:00.500Z" },
        { "1900-03-01T00:00:00Z", "1900-03-01T00:00:00Z" },
        { "1900-03-01t00:00:00Z", NULL },
        { "1900-03-01T00:00:00z", NULL },
        { "2000-02-29T00:00:00.000001Z", "2000-02-29T00:00:00.000001Z" },
        { "2023-02-29T00:00:00Z", NULL },
        { "2023-13-01T00:00:00Z", NULL },
        { "2023-01-01T24:00:00Z", NULL },
        { "2023-01-01T00:00:60Z", NULL },
        { "2023-01-01T00:00:00", NULL },
        { "2023-01-01T00:00:00.Z", NULL },
        { "0000-01-01T00:00:00Z", NULL },
        { "0001-01-01T00:00:00+01:00", NULL },
        { "2023-01-01T00:00:00.1234567890Z", NULL },
        { "2023-1-01T00:00:00Z", NULL },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t seconds;
        int32_t nanos;
        struct guarded g = guarded_copy(cases[i].in, strlen(cases[i].in));
        bool ok =
            scalar_parse_timestamp((const char *) g.data, strlen(cases[i].in), &seconds, &nanos);
        guarded_free(g);
        assert_int_equal(ok, cases[i].out != NULL);
        if (!ok)
            continue;
        struct buf b = { 0 };
        assert_true(scalar_put_timestamp(&b, seconds, nanos));
        assert_string_equal(buf_str(&b), cases[i].out);
        buf_done(&b);
    }
    static const struct {
        const char *in, *out;
    } durations[] = { { "1s", "1s" },
                      { "-1.5s", "-1.500s" },
                      { "0.000000001s", "0.000000001s" },
                      { "-0.25s", "-0.250s" },
                      { "315576000000s", "315576000000s" },
                      { "315576000000.999999999s", "315576000000.999999999s" },
                      { "-315576000000.999999999s", "-315576000000.999999999s" },
                      { "315576000001s", NULL },
                      { "1", NULL },
                      { "s", NULL },
                      { "1.s", NULL },
                      { "+1s", NULL } };
    for (size_t i = 0; i < sizeof durations / sizeof *durations; i++) {
        int64_t seconds;
        int32_t nanos;
        bool ok = scalar_parse_duration(durations[i].in, strlen(durations[i].in), &seconds, &nanos);
        assert_int_equal(ok, durations[i].out != NULL);
        struct buf b = { 0 };
        if (ok) {
            assert_true(scalar_put_duration(&b, seconds, nanos));
            assert_string_equal(buf_str(&b), durations[i].out);
        }
        buf_done(&b);
    }
}

static void base64_both_alphabets(void **state)
{
    (void) state;
    static const struct {
        const char *in, *out; /* NULL: refused */
    } cases[] = { { "", "" },
                  { "aGk=", "hi" },
                  { "aGk", "hi" },
                  { "-_8", "\xfb\xff" },
                  { "+/8=", "\xfb\xff" },
                  { "YWJj", "abc" },
                  { "a", NULL },
                  { "aGk==", NULL },
                  { "a=Gk", NULL },
                  { "aG k", NULL },
                  { "====", NULL } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf b = { 0 };
        bool ok = scalar_parse_base64(cases[i].in, strlen(cases[i].in), &b);
        assert_int_equal(ok, cases[i].out != NULL);
        if (ok)
            assert_string_equal(buf_str(&b), cases[i].out);
        else
            assert_int_equal(b.size, 0);
        buf_done(&b);
    }
    uint64_t rng = 3;
    for (size_t size = 0; size < 100; size++) {
        uint8_t bytes[100];
        struct buf text = { 0 }, back = { 0 };
        for (size_t i = 0; i < size; i++)
            bytes[i] = (uint8_t) random_next(&rng);
        json_put_base64(&text, bytes, size);
        assert_true(scalar_parse_base64((const char *) text.data + 1, text.size - 2, &back));
        assert_int_equal(back.size, size);
        if (size > 0)
            assert_memory_equal(back.data, bytes, size);
        buf_done(&text);
        buf_done(&back);
    }
}

static void lays_out(void **state)
{
    static const char *const rows[][2] = {
        { "{}", "{}\n" },
        { "[]", "[]\n" },
        { "1.5", "1.5\n" },
        { "{\"a\":[1,{}],\"b\":\"x,:{[\\\"]}\"}",
          "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": \"x,:{[\\\"]}\"\n}\n" },
        { "[[],\"\\\\\"]", "[\n  [],\n  \"\\\\\"\n]\n" },
    };
    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf b = { 0 };
        buf_puts(&b, "before:");
        buf_puts(&b, rows[i][0]);
        json_indent(&b, 7);
        assert_string_equal(buf_str(&b) + 7, rows[i][1]);
        assert_memory_equal(b.data, "before:", 7);
        buf_done(&b);
    }
    /* Deep and wide would be spaces for the most part: left as it is. */
    struct buf deep = { 0 };
    for (int i = 0; i < 90; i++)
        buf_putc(&deep, '[');
    for (int i = 0; i < 9999; i++)
        buf_puts(&deep, "1,");
    buf_putc(&deep, '1');
    for (int i = 0; i < 90; i++)
        buf_putc(&deep, ']');
    size_t size = deep.size;
    json_indent(&deep, 0);
    assert_int_equal(deep.size, size);
    buf_done(&deep);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lays_out),
        cmocka_unit_test(takes_and_decodes),
        cmocka_unit_test(refuses_and_names_the_place),
        cmocka_unit_test(bounds_depth_and_numbers),
        cmocka_unit_test(finds_duplicates_among_many_keys),
        cmocka_unit_test(the_consumer_can_stop),
        cmocka_unit_test(survives_without_memory),
        cmocka_unit_test(agrees_with_jansson),
        cmocka_unit_test(writes_numbers_that_read_back),
        cmocka_unit_test(parses_whole_numbers_exactly),
        cmocka_unit_test(times_round_trip),
        cmocka_unit_test(base64_both_alphabets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
