/* The HTTP/1.1 parser: well-formed requests, 50 that smuggle, slip or swell, each fed whole and
 * byte by byte. */
#include "tests/unit/gateway/support.h"

#include "gateway/http1.h"

/* What a byte stream amounts to: requests, their bodies, and how it ended. */
struct reading {
    struct buf text;
    int status; /* of HTTP1_BAD; 0 */
    bool whole; /* ended between two requests */
};

static void note_head(struct reading *r, const struct http1 *h)
{
    struct http1_text m = http1_method(h), p = http1_path(h), q = http1_query(h);
    buf_printf(&r->text, "%.*s %.*s ?%.*s 1.%d%s", (int) m.size, m.data, (int) p.size, p.data,
               (int) q.size, q.data, h->minor, h->keep_alive ? " keep" : "");
    if (h->expect_continue)
        buf_puts(&r->text, " expect");
    buf_putc(&r->text, '\n');
}

static struct reading read_in_steps(const void *data, size_t size, size_t step)
{
    struct reading r = { 0 };
    struct http1 h;
    http1_init(&h);
    for (size_t at = 0; at < size && r.status == 0; at += step) {
        size_t n = size - at < step ? size - at : step, used = 0;
        struct guarded g = guarded_copy((const uint8_t *) data + at, n);
        for (size_t from = 0; r.status == 0;) {
            struct http1_text body;
            enum http1_result result = http1_feed(&h, g.data + from, n - from, &used, &body);
            from += used;
            if (result == HTTP1_HEAD)
                note_head(&r, &h);
            else if (result == HTTP1_BODY)
                buf_put(&r.text, body.data, body.size);
            else if (result == HTTP1_BAD)
                r.status = h.status;
            else if (result == HTTP1_MORE)
                break;
            if (result == HTTP1_END) {
                buf_puts(&r.text, ".\n");
                http1_next(&h);
            }
        }
        guarded_free(g);
    }
    r.whole = http1_is_idle(&h);
    http1_done(&h);
    return r;
}

static struct reading read_both_ways(const void *data, size_t size)
{
    struct reading whole = read_in_steps(data, size, size + 1);
    for (size_t step = 1; step < 6; step += 2) {
        struct reading cut = read_in_steps(data, size, step);
        assert_int_equal(cut.status, whole.status);
        assert_int_equal(cut.whole, whole.whole);
        assert_string_equal(buf_str(&cut.text), buf_str(&whole.text));
        buf_done(&cut.text);
    }
    return whole;
}

#define H "Host: x\r\n"

static void reads_requests(void **state)
{
    (void) state;
    static const struct {
        const char *in, *seen;
    } cases[] = {
        { "GET / HTTP/1.1\r\n" H "\r\n", "GET / ? 1.1 keep\n.\n" },
        { "\r\nGET /a?b=c&d HTTP/1.1\r\n" H "\r\n", "GET /a ?b=c&d 1.1 keep\n.\n" },
        { "GET /a HTTP/1.0\r\n\r\n", "GET /a ? 1.0\n.\n" },
        { "GET /a HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "GET /a ? 1.0 keep\n.\n" },
        { "GET /a HTTP/1.1\r\n" H "Connection: foo ,  CLOSE\r\n\r\n", "GET /a ? 1.1\n.\n" },
        { "GET http://h:1/p?q HTTP/1.1\r\n" H "\r\n", "GET /p ?q 1.1 keep\n.\n" },
        { "GET http://h HTTP/1.1\r\n" H "\r\n", "GET / ? 1.1 keep\n.\n" },
        { "OPTIONS * HTTP/1.1\r\n" H "\r\n", "OPTIONS * ? 1.1 keep\n.\n" },
        { "POST / HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\nabcGET /b HTTP/1.1\r\n" H "\r\n",
          "POST / ? 1.1 keep\nabc.\nGET /b ? 1.1 keep\n.\n" },
        { "POST / HTTP/1.1\r\n" H "transfer-ENCODING:chunked\r\n\r\n3\r\nabc\r\n0A;x="
          "\"y\"\r\n0123456789\r\n0\r\nT: v\r\n\r\n",
          "POST / ? 1.1 keep\nabc0123456789.\n" },
        { "POST / HTTP/1.1\r\n" H "Content-Length: 0\r\nExpect: 100-Continue\r\n\r\n",
          "POST / ? 1.1 keep expect\n.\n" },
        { "GET / HTTP/1.1\r\n" H "X: \t a b\x80 \t\r\n\r\n", "GET / ? 1.1 keep\n.\n" },
        { "GET HTTPS://[2001:db8::1]:/p HTTP/1.1\r\n" H "\r\n", "GET /p ? 1.1 keep\n.\n" },
        { "GET / HTTP/1.1\r\nHost: a_b.example:8000\r\n\r\n", "GET / ? 1.1 keep\n.\n" },
        { "M-X!#$%&'*+.^_`|~ / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
          "M-X!#$%&'*+.^_`|~ / ? 1.1 keep\n.\n" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct reading r = read_both_ways(cases[i].in, strlen(cases[i].in));
        if (r.status != 0)
            print_message("%s\n", cases[i].in);
        assert_int_equal(r.status, 0);
        assert_true(r.whole);
        assert_string_equal(buf_str(&r.text), cases[i].seen);
        buf_done(&r.text);
    }
}

struct raw {
    const char *bytes;
    size_t size;
    int status;
};
#define RAW(text, status)                                                                          \
    {                                                                                              \
        text, sizeof text - 1, status                                                              \
    }
#define GET(headers)        "GET / HTTP/1.1\r\n" headers "\r\n"
#define POST(headers, body) "POST / HTTP/1.1\r\n" H headers "\r\n" body

static void check_refused(const struct raw *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct reading r = read_both_ways(cases[i].bytes, cases[i].size);
        if (r.status != cases[i].status)
            print_message("case %zu: %d\n%.*s\n", i, r.status, (int) cases[i].size, cases[i].bytes);
        assert_int_equal(r.status, cases[i].status);
        buf_done(&r.text);
    }
}

static void refuses_what_is_ambiguous(void **state)
{
    (void) state;
    static const struct raw cases[] = {
        /* two lengths */
        RAW(POST("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
                 "0\r\n\r\nGET /x HTTP/1.1\r\n\r\n"),
            400),
        RAW(POST("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", "0\r\n\r\n"), 400),
        RAW(POST("Content-Length: 3\r\nContent-Length: 4\r\n", "abcd"), 400),
        RAW(POST("Content-Length: 3\r\nContent-Length: 3\r\n", "abc"), 400),
        RAW(POST("Content-Length: 3, 3\r\n", "abc"), 400),
        RAW(POST("Content-Length: +3\r\n", "abc"), 400),
        RAW(POST("Content-Length: -1\r\n", ""), 400),
        RAW(POST("Content-Length: 0x3\r\n", "abc"), 400),
        RAW(POST("Content-Length: 3 4\r\n", "abc"), 400),
        RAW(POST("Content-Length:\r\n", ""), 400),
        RAW(POST("Content-Length: 9999999999999999999\r\n", ""), 400),
        RAW(POST("Content-Length: \xd9\xa3\r\n", ""), 400),
        /* Transfer-Encoding that another server may read otherwise */
        RAW(POST("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"), 501),
        RAW(POST("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n"), 501),
        RAW(POST("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), 501),
        RAW(POST("Transfer-Encoding: identity\r\n", ""), 501),
        RAW(POST("Transfer-Encoding: \"chunked\"\r\n", "0\r\n\r\n"), 501),
        RAW(POST("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400),
        RAW(POST("Transfer-Encoding:\x0b"
                 "chunked\r\n",
                 "0\r\n\r\n"),
            400),
        RAW(POST("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"), 400),
        RAW(POST("Transfer-Encoding\t: chunked\r\n", "0\r\n\r\n"), 400),
        RAW(POST(" Transfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400),
        RAW(POST("X: y\r\n Transfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400),
        RAW("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        /* lines */
        RAW("GET / HTTP/1.1\nHost: x\n\n", 400),
        RAW("GET / HTTP/1.1\r\nHost: x\n\r\n", 400),
        RAW("GET / HTTP/1.1\r\nHost: x\r\n\n", 400),
        RAW(GET(H "X: a\rb\r\n"), 400),
        RAW(GET(H "X: a\0b\r\n"), 400),
        RAW(GET(H "X\0: a\r\n"), 400),
        RAW(GET(H "X: a\r\n b\r\n"), 400),
        RAW(GET(H "\tX: a\r\n"), 400),
        RAW(GET(H "X : a\r\n"), 400),
        RAW(GET(H ": a\r\n"), 400),
        RAW(GET(H "novalue\r\n"), 400),
        RAW(GET(H "X(y): a\r\n"), 400),
        RAW(GET(H "X: a\x7f\r\n"), 400),
        RAW("\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n", 400),
        /* Host */
        RAW(GET(""), 400),
        RAW(GET(H H), 400),
        RAW(GET("Host: \r\n"), 400),
        RAW(GET("Host: a b\r\n"), 400),
        RAW(GET("Host: a/b\r\n"), 400),
        RAW(GET("Host: a,b\r\n"), 400),
        RAW(GET("Host: a@b\r\n"), 400),
        RAW("GET / HTTP/1.0\r\n" H H "\r\n", 400),
        /* request line */
        RAW("GET  / HTTP/1.1\r\n" H "\r\n", 400),
        RAW("GET / HTTP/1.1 \r\n" H "\r\n", 400),
        RAW(" GET / HTTP/1.1\r\n" H "\r\n", 400),
        RAW("GET\t/ HTTP/1.1\r\n" H "\r\n", 400),
        RAW("GET / \r\n" H "\r\n", 400),
        RAW("GET /\r\n\r\n", 400),
        RAW("GET / http/1.1\r\n" H "\r\n", 400),
        RAW("GET / HTTP/1.1x\r\n" H "\r\n", 400),
        RAW("GET / HTTP/2.0\r\n" H "\r\n", 505),
        RAW("GET /a b HTTP/1.1\r\n" H "\r\n", 400),
        RAW("GET /\xc3\xa9 HTTP/1.1\r\n" H "\r\n", 400),
        RAW("GET /a#b HTTP/1.1\r\n" H "\r\n", 400),
        RAW("GET a HTTP/1.1\r\n" H "\r\n", 400),
        RAW("GET http:///x HTTP/1.1\r\n" H "\r\n", 400),
        RAW("CONNECT a:1 HTTP/1.1\r\n" H "\r\n", 400),
        RAW("GET ftp://a/ HTTP/1.1\r\n" H "\r\n", 400),
        RAW("G@T / HTTP/1.1\r\n" H "\r\n", 400),
        RAW("\x16\x03\x01\x02\x00\x01\r\n", 400),
        RAW("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        /* chunks */
        RAW(POST("Transfer-Encoding: chunked\r\n", "0x5\r\nhello\r\n"), 400),
        RAW(POST("Transfer-Encoding: chunked\r\n", "+5\r\nhello\r\n"), 400),
        RAW(POST("Transfer-Encoding: chunked\r\n", "5 \r\nhello\r\n"), 400),
        RAW(POST("Transfer-Encoding: chunked\r\n", "\r\nhello\r\n"), 400),
        RAW(POST("Transfer-Encoding: chunked\r\n", "5\nhello\r\n"), 400),
        RAW(POST("Transfer-Encoding: chunked\r\n", "5\r\nhelloX\r\n"), 400),
        RAW(POST("Transfer-Encoding: chunked\r\n", "5\r\nhello\n0\r\n\r\n"), 400),
        RAW(POST("Transfer-Encoding: chunked\r\n", "ffffffffffffffff\r\nx"), 400),
        RAW(POST("Transfer-Encoding: chunked\r\n", "5;a=\x01\r\nhello\r\n"), 400),
        RAW(POST("Transfer-Encoding: chunked\r\n", "0\r\nbad trailer\r\n\r\n"), 400),
        RAW(POST("Transfer-Encoding: chunked\r\n", "0\r\n folded: x\r\n\r\n"), 400),
        RAW(POST("Expect: 200-ok\r\n", ""), 417),
    };
    assert_true(sizeof cases / sizeof *cases >= 30);
    check_refused(cases, sizeof cases / sizeof *cases);
}

/* RFC 9110 sections 4.2.4 and 7.2, RFC 9112 section 3.2. */
static void refuses_what_is_no_authority(void **state)
{
    (void) state;
    static const struct raw cases[] = {
        RAW(GET("Host: a:b\r\n"), 400),
        RAW(GET("Host: a:1:2\r\n"), 400),
        RAW(GET("Host: :80\r\n"), 400),
        RAW(GET("Host: [::1\r\n"), 400),
        RAW(GET("Host: []\r\n"), 400),
        RAW(GET("Host: [::1]x\r\n"), 400),
        RAW("GET http://user@h/ HTTP/1.1\r\n" H "\r\n", 400),
        RAW("GET http://h:x/ HTTP/1.1\r\n" H "\r\n", 400),
        /* "*" is for OPTIONS */
        RAW("GET * HTTP/1.1\r\n" H "\r\n", 400),
    };
    check_refused(cases, sizeof cases / sizeof *cases);
}

static void bounds_everything(void **state)
{
    (void) state;
    static const struct {
        const char *before, *filler, *after;
        size_t times;
        int status;
    } cases[] = {
        { "GET /", "a", " HTTP/1.1\r\n" H "\r\n", 8192 - 14, 0 },
        { "GET /", "a", " HTTP/1.1\r\n" H "\r\n", 8192 - 13, 414 },
        { "GET /", "a", "", 100000, 414 },
        { "GET / HTTP/1.1\r\n" H "X: ", "a", "\r\n\r\n", 16384 - 7 - 3, 0 },
        { "GET / HTTP/1.1\r\n" H "X: ", "a", "\r\n\r\n", 16384 - 7 - 2, 431 },
        { "GET / HTTP/1.1\r\n" H, "X: a\r\n", "\r\n", 99, 0 },
        { "GET / HTTP/1.1\r\n" H, "X: a\r\n", "\r\n", 100, 431 },
        { POST("Transfer-Encoding: chunked\r\n", "1;"), "x", "\r\na\r\n0\r\n\r\n", 254, 0 },
        { POST("Transfer-Encoding: chunked\r\n", "1;"), "x", "\r\na\r\n0\r\n\r\n", 255, 400 },
        { POST("Transfer-Encoding: chunked\r\n", "0\r\n"), "T: aaaaaaaaaaaaa\r\n", "\r\n", 256, 0 },
        { POST("Transfer-Encoding: chunked\r\n", "0\r\n"), "T: aaaaaaaaaaaaa\r\n", "\r\n", 257,
          431 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf b = { 0 };
        buf_puts(&b, cases[i].before);
        for (size_t k = 0; k < cases[i].times; k++)
            buf_puts(&b, cases[i].filler);
        buf_puts(&b, cases[i].after);
        struct reading whole = read_in_steps(b.data, b.size, b.size),
                       cut = read_in_steps(b.data, b.size, 61);
        if (whole.status != cases[i].status)
            print_message("case %zu\n", i);
        assert_int_equal(whole.status, cases[i].status);
        assert_int_equal(cut.status, cases[i].status);
        buf_done(&whole.text);
        buf_done(&cut.text);
        buf_done(&b);
    }
}

static void finds_fields(void **state)
{
    (void) state;
    static const char text[] =
        "GET / HTTP/1.1\r\nHost: x\r\nACCEPT: a/b\r\nX-Empty:\r\naccept:  c/d \r\n\r\n";
    struct http1 h;
    struct http1_text body;
    struct buf joined = { 0 };
    size_t used;
    http1_init(&h);
    assert_int_equal(http1_feed(&h, text, sizeof text - 1, &used, &body), HTTP1_HEAD);
    assert_int_equal(used, sizeof text - 1);
    assert_memory_equal(http1_find(&h, "accept").data, "a/b", 3);
    assert_true(http1_join(&h, "accept", &joined));
    assert_string_equal(buf_str(&joined), "a/b, c/d");
    assert_non_null(http1_find(&h, "x-empty").data);
    assert_int_equal(http1_find(&h, "x-empty").size, 0);
    assert_null(http1_find(&h, "cookie").data);
    buf_done(&joined);
    http1_done(&h);
}

static void survives_without_memory(void **state)
{
    (void) state;
    static const char text[] = POST("Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\n\r\n");
    for (uint64_t n = 1; n < 8; n++) {
        struct http1 h;
        struct http1_text body;
        size_t used, at = 0;
        enum http1_result r;
        http1_init(&h);
        alloc_fail_at(n);
        do {
            r = http1_feed(&h, text + at, sizeof text - 1 - at, &used, &body);
            at += used;
        } while (r == HTTP1_HEAD || r == HTTP1_BODY);
        alloc_fail_at(0);
        assert_true(r == HTTP1_END || (r == HTTP1_BAD && h.status == 503));
        http1_done(&h);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_requests),
        cmocka_unit_test(refuses_what_is_ambiguous),
        cmocka_unit_test(refuses_what_is_no_authority),
        cmocka_unit_test(bounds_everything),
        cmocka_unit_test(finds_fields),
        cmocka_unit_test(survives_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
