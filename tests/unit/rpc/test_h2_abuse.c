/* The HTTP/2 session against a peer that writes what it likes: floods, bombs, dribbles, and honest
 * clients that look like them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/rpc/h2_sides.h"

static struct buf bytes;

static void frame(uint8_t type, uint8_t flags, uint32_t id, const void *payload, size_t size)
{
    const uint8_t head[9] = {
        (uint8_t) (size >> 16), (uint8_t) (size >> 8), (uint8_t) size,      type,        flags,
        (uint8_t) (id >> 24),   (uint8_t) (id >> 16),  (uint8_t) (id >> 8), (uint8_t) id
    };
    buf_put(&bytes, head, 9);
    buf_put(&bytes, payload, size);
}
/* POST http / , literal, nothing enters the table. */
static const uint8_t block[] = { 0x83, 0x86, 0x04, 0x02, '/', 'x', 0x01, 0x01, 'a' };
static const uint8_t zeros[64];
static uint32_t next_id;

static void hello(void)
{
    buf_puts(&bytes, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    frame(4, 0, 0, NULL, 0);
    frame(4, 1, 0, NULL, 0);
    next_id = 1;
}
static uint32_t open_raw(bool end)
{
    uint32_t id = next_id;
    next_id += 2;
    frame(1, end ? 5 : 4, id, block, sizeof block);
    return id;
}

static void do_ping(void)
{
    frame(6, 0, 0, zeros, 8);
}
static void do_settings(void)
{
    frame(4, 0, 0, NULL, 0);
}
static void do_priority(void)
{
    frame(2, 0, 1001, (const uint8_t[]){ 0, 0, 0, 0, 16 }, 5);
}
static void do_window_update(void)
{
    frame(8, 0, 0, (const uint8_t[]){ 0, 0, 0, 1 }, 4);
}
static void do_unknown(void)
{
    frame(0xfa, 0, 0, zeros, 3);
}
static void do_empty_data(void)
{
    if (next_id == 1)
        open_raw(false);
    frame(0, 0, 1, NULL, 0);
}
static void do_padded_data(void)
{
    if (next_id == 1)
        open_raw(false);
    frame(0, 8, 1, (const uint8_t[]){ 3, 0, 0, 0 }, 4);
}
static void do_rapid_reset(void)
{
    frame(3, 0, open_raw(false), (const uint8_t[]){ 0, 0, 0, 8 }, 4);
}
static void do_early_reset(void)
{
    if (next_id == 1)
        open_raw(false);
    frame(3, 0, next_id, (const uint8_t[]){ 0, 0, 0, 8 }, 4);
    next_id += 2;
}
static void do_goaway(void)
{
    if (next_id == 1)
        open_raw(false); /* without a stream the first one ends the connection */
    frame(7, 0, 0, zeros, 8);
}
static void do_made_you_reset(void)
{
    frame(8, 0, open_raw(false), (const uint8_t[]){ 0x7f, 0xff, 0xff, 0xff }, 4);
}
/* A header name in upper case: malformed, so each stream is reset by us. */
static void do_malformed(void)
{
    static const uint8_t bad[] = { 0x83, 0x86, 0x04, 0x02, '/', 'x', 0x00, 0x01, 'T', 0x01, 'v' };
    frame(1, 5, next_id, bad, sizeof bad);
    next_id += 2;
}
static const struct {
    const char *name;
    void (*one)(void);
    enum h2_abuse kind;
    int least; /* frames that must pass */
} floods[] = {
    { "PING", do_ping, H2_ABUSE_PING, H2_SHIELD_BURST },
    { "SETTINGS", do_settings, H2_ABUSE_SETTINGS, H2_SHIELD_BURST },
    { "PRIORITY", do_priority, H2_ABUSE_PRIORITY, H2_SHIELD_BURST },
    { "WINDOW_UPDATE", do_window_update, H2_ABUSE_WINDOW_UPDATE, H2_SHIELD_BURST },
    { "unknown frame", do_unknown, H2_ABUSE_UNKNOWN_FRAME, H2_SHIELD_BURST },
    { "empty DATA", do_empty_data, H2_ABUSE_EMPTY_DATA, H2_SHIELD_BURST },
    { "padded DATA", do_padded_data, H2_ABUSE_EMPTY_DATA, H2_SHIELD_BURST },
    { "early reset", do_early_reset, H2_ABUSE_RESET_RECEIVED, H2_SHIELD_BURST },
    { "rapid reset", do_rapid_reset, H2_ABUSE_RESET_RECEIVED, H2_SHIELD_BURST },
    { "MadeYouReset", do_made_you_reset, H2_ABUSE_RESET_SENT,
      H2_SHIELD_BURST / (H2_SHIELD_RESET_COST + 2) }, /* its WINDOW_UPDATE costs, too */
    { "malformed header", do_malformed, H2_ABUSE_RESET_SENT,
      H2_SHIELD_BURST / H2_SHIELD_RESET_COST },
    { "GOAWAY", do_goaway, H2_ABUSE_GOAWAY, H2_SHIELD_BURST },
};

/* Answers are read (drained) every time, so only our own budget can stop the flood. */
static void test_floods(void **state)
{
    (void) state;
    for (size_t i = 0; i < ARRAY_SIZE(floods); i++) {
        now_ns = 1000000000;
        assert_int_equal(side_open(&server, H2_SERVER, WINDOW), 0);
        uint32_t goaway = 0;
        int r = 0, sent = 0;
        hello();
        for (; sent < 5000 && r == 0; sent++) {
            floods[i].one();
            r = h2_session_feed(server.session, bytes.data, bytes.size, now_ns);
            buf_reset(&bytes);
            buf_reset(&server.out);
            int d = h2_session_drain(server.session, &server.out, 1 << 20, now_ns);
            if (r == 0)
                r = d;
            count_frames(&server.out, 7, &goaway);
        }
        if (r != NRPC_E_PROTO || sent < floods[i].least || sent > H2_SHIELD_BURST + 100)
            fail_msg("%s: %d after %d", floods[i].name, r, sent);
        buf_reset(&server.out);
        (void) h2_session_drain(server.session, &server.out, 1 << 20, now_ns);
        count_frames(&server.out, 7, &goaway);
        if (goaway != H2_ENHANCE_YOUR_CALM)
            fail_msg("%s: GOAWAY with %u", floods[i].name, goaway);
        if (h2_session_shield(server.session)->counts[floods[i].kind] < (uint32_t) floods[i].least)
            fail_msg("%s: counted elsewhere", floods[i].name);
        assert_true(h2_session_is_done(server.session));
        assert_true(h2_session_streams(server.session) <= 100);
        side_done(&server);
    }
    buf_done(&bytes);
}

/* gRPC's C core resets streams whose HEADERS it never sent: no reason to end all others.  Steps: o
 * a whole request, h HEADERS whose block goes on, r the reset of the next stream, R of the last
 * one. */
static const struct {
    const char *steps;
    int want, heads;
} resets[] = {
    { "oro", 0, 2 }, { "orrrroRr", 0, 2 }, { "r", NRPC_E_PROTO, 0 }, { "ohr", NRPC_E_PROTO, 1 },
    { "oR", 0, 1 },
};

static void test_early_resets(void **state)
{
    (void) state;
    static const size_t steps[] = { 1 << 20, 1, 7, 10 };
    static const uint8_t cancel[] = { 0, 0, 0, 8 };
    for (size_t i = 0; i < ARRAY_SIZE(resets) * ARRAY_SIZE(steps); i++) {
        size_t step = steps[i / ARRAY_SIZE(resets)];
        const char *p = resets[i % ARRAY_SIZE(resets)].steps;
        now_ns = 1000000000;
        assert_int_equal(side_open(&server, H2_SERVER, WINDOW), 0);
        hello();
        for (; *p != '\0'; p++) {
            if (*p == 'o')
                open_raw(true);
            else if (*p == 'h')
                frame(1, 0, next_id, block, sizeof block);
            else
                frame(3, 0, *p == 'r' ? next_id : next_id - 2, cancel, sizeof cancel);
            next_id += *p == 'r' ? 2 : 0;
        }
        int r = 0;
        for (size_t at = 0; at < bytes.size && r == 0; at += step)
            r = h2_session_feed(server.session, bytes.data + at,
                                bytes.size - at < step ? bytes.size - at : step, now_ns);
        buf_reset(&server.out);
        (void) h2_session_drain(server.session, &server.out, 1 << 20, now_ns);
        uint32_t goaway = 0;
        count_frames(&server.out, 7, &goaway);
        const char *name = resets[i % ARRAY_SIZE(resets)].steps;
        if ((goaway != 0) != (resets[i % ARRAY_SIZE(resets)].want != 0) ||
            server.heads != resets[i % ARRAY_SIZE(resets)].heads)
            fail_msg("%s by %zu: GOAWAY %u, %d requests", name, step, goaway, server.heads);
        side_done(&server);
        buf_reset(&bytes);
    }
    buf_done(&bytes);
}

/* The same pace as the refill never trips. */
static void test_honest_pace(void **state)
{
    (void) state;
    now_ns = 1000000000;
    assert_int_equal(side_open(&server, H2_SERVER, WINDOW), 0);
    hello();
    for (int i = 0; i < 5000; i++) {
        do_ping();
        assert_int_equal(h2_session_feed(server.session, bytes.data, bytes.size, now_ns), 0);
        buf_reset(&bytes);
        buf_reset(&server.out);
        assert_int_equal(h2_session_drain(server.session, &server.out, 1 << 20, now_ns), 0);
        now_ns += 10000000;
    }
    side_done(&server);
    buf_done(&bytes);
}

/* A client that hedges cancels as many calls as it lets end, at any rate. */
static void test_hedging(void **state)
{
    (void) state;
    now_ns = 1000000000;
    assert_int_equal(side_open(&server, H2_SERVER, WINDOW), 0);
    server.answer = "yes";
    hello();
    for (int i = 0; i < 5000; i++) {
        open_raw(true);
        assert_int_equal(h2_session_feed(server.session, bytes.data, bytes.size, now_ns), 0);
        buf_reset(&server.out);
        assert_int_equal(h2_session_drain(server.session, &server.out, 1 << 20, now_ns), 0);
        buf_reset(&bytes);
        do_rapid_reset();
        if (i % 20 == 19) /* the 60 bytes of 20 answers do not pay for it */
            do_window_update();
        now_ns += 1000000;
        assert_int_equal(h2_session_feed(server.session, bytes.data, bytes.size, now_ns), 0);
        buf_reset(&bytes);
    }
    assert_int_equal(h2_session_shield(server.session)->counts[H2_ABUSE_RESET_RECEIVED], 0);
    side_done(&server);
    buf_done(&bytes);
}

/* A window that opens byte by byte is as good as shut. */
static void test_window_dribble(void **state)
{
    (void) state;
    assert_int_equal(open_both(0), 0);
    settle(1 << 20);
    assert_int_equal(ask("q", true), 0);
    settle(1 << 20);
    static uint8_t much[100000];
    assert_int_equal(h2_stream_respond(server.stream, ok_head, 2, false, &server.queue), 0);
    assert_int_equal(h2_queue_put(&server.queue, much, sizeof much), 0);
    assert_int_equal(h2_stream_resume(server.stream), 0);
    uint64_t began = now_ns;
    buf_reset(&bytes);
    for (int i = 0; i < 50; i++) {
        now_ns += 100000000;
        frame(8, 0, 1, (const uint8_t[]){ 0, 0, 0, 1 }, 4);
        assert_int_equal(h2_session_feed(server.session, bytes.data, bytes.size, now_ns), 0);
        buf_reset(&bytes);
        settle(1 << 20);
    }
    assert_ptr_equal(h2_session_find_stalled(server.session, began), server.stream);
    /* In earnest: 4 KiB. */
    frame(8, 0, 1, (const uint8_t[]){ 0, 0, 0x10, 0 }, 4);
    assert_int_equal(h2_session_feed(server.session, bytes.data, bytes.size, now_ns), 0);
    settle(1 << 20);
    assert_null(h2_session_find_stalled(server.session, now_ns - 1));
    h2_queue_clear(&server.queue);
    done_both();
    buf_done(&bytes);
}

/* How long a header block is on its way, wherever the bytes are cut. */
static void test_header_block_clock(void **state)
{
    (void) state;
    for (size_t first = 0; first <= 35; first++) { /* bytes behind the greeting */
        now_ns = 1000000000;
        assert_int_equal(side_open(&server, H2_SERVER, WINDOW), 0);
        hello();
        size_t cut = bytes.size + first;
        frame(1, 1, 1, block, 6);
        frame(9, 4, 1, block + 6, 3); /* ends 27 bytes behind it */
        frame(6, 0, 0, zeros, 8);
        assert_int_equal(h2_session_feed(server.session, bytes.data, cut, now_ns), 0);
        assert_int_equal(h2_session_block_since_ns(server.session),
                         first >= 9 && first < 27 ? 1000000000 : 0);
        now_ns += 1;
        assert_int_equal(
            h2_session_feed(server.session, bytes.data + cut, bytes.size - cut, now_ns), 0);
        assert_int_equal(h2_session_block_since_ns(server.session), 0);
        assert_int_equal(server.heads, 1);
        side_done(&server);
        buf_reset(&bytes);
    }
    buf_done(&bytes);
}

/* One 16 KiB frame that expands to 50 MB of headers: at twice the limit nothing more is taken. */
static void test_hpack_bomb(void **state)
{
    (void) state;
    now_ns = 1000000000;
    assert_int_equal(side_open(&server, H2_SERVER, WINDOW), 0);
    hello();
    static uint8_t bomb[16000];
    size_t n = 0;
    memcpy(bomb, block, sizeof block);
    n = sizeof block;
    /* One literal of 4,000 bytes with incremental indexing, then its index again and again. */
    bomb[n++] = 0x40;
    bomb[n++] = 0x01;
    bomb[n++] = 'k';
    bomb[n++] = 0x7f;
    bomb[n++] = 0xa1; /* 4000 - 127 = 3873 = 0x21 | 0x1e << 7 */
    bomb[n++] = 0x1e;
    memset(bomb + n, 'v', 4000);
    n += 4000;
    memset(bomb + n, 0xbe, sizeof bomb - n);
    frame(1, 5, 1, bomb, sizeof bomb);
    assert_int_equal(h2_session_feed(server.session, bytes.data, bytes.size, now_ns), 0);
    assert_int_equal(server.heads, 0);
    buf_reset(&server.out);
    assert_int_equal(h2_session_drain(server.session, &server.out, 1 << 20, now_ns), 0);
    assert_int_equal(count_frames(&server.out, 3, NULL), 1);
    assert_int_equal(h2_session_streams(server.session), 0);
    side_done(&server);
    buf_done(&bytes);
}

/* Between one and two limits the request is still answered. */
static void test_header_limit(void **state)
{
    (void) state;
    static const struct {
        size_t fields, value;
        bool heads, too_big;
    } cases[] = {
        { 3, 5000, true, false }, { 4, 5000, true, true }, { 8, 5000, false, false },
        { 90, 10, true, false },  { 120, 10, true, true }, { 240, 10, false, false },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        now_ns = 1000000000;
        assert_int_equal(side_open(&server, H2_SERVER, WINDOW), 0);
        hello();
        struct buf b = { 0 };
        buf_put(&b, block, sizeof block);
        for (size_t j = 0; j < cases[i].fields; j++) {
            buf_put(&b, "\0\1k", 3);
            if (cases[i].value < 127) {
                buf_putc(&b, (char) cases[i].value);
            } else {
                size_t rest = cases[i].value - 127;
                buf_putc(&b, 0x7f);
                for (; rest >= 128; rest >>= 7)
                    buf_putc(&b, (char) (rest | 0x80));
                buf_putc(&b, (char) rest);
            }
            memset(buf_grow(&b, cases[i].value), 'v', cases[i].value);
        }
        for (size_t at = 0; at < b.size; at += 16384) {
            size_t n = b.size - at < 16384 ? b.size - at : 16384;
            frame(at == 0 ? 1 : 9, (at == 0 ? 1 : 0) | (at + n == b.size ? 4 : 0), 1, b.data + at,
                  n);
        }
        buf_done(&b);
        assert_int_equal(h2_session_feed(server.session, bytes.data, bytes.size, now_ns), 0);
        buf_reset(&bytes);
        if ((server.heads == 1) != cases[i].heads || server.too_big != cases[i].too_big)
            fail_msg("case %zu: %d heads, too big %d", i, server.heads, server.too_big);
        side_done(&server);
    }
    buf_done(&bytes);
}

/* An endless header block: ended by the library's limit on CONTINUATION frames. */
static void test_continuation_flood(void **state)
{
    (void) state;
    now_ns = 1000000000;
    assert_int_equal(side_open(&server, H2_SERVER, WINDOW), 0);
    hello();
    frame(1, 1, 1, block, sizeof block);
    for (int i = 0; i < 100; i++)
        frame(9, 0, 1, "\0\1k\1v", 5);
    assert_int_equal(h2_session_feed(server.session, bytes.data, bytes.size, now_ns), NRPC_E_PROTO);
    assert_int_equal(server.heads, 0);
    side_done(&server);
    buf_done(&bytes);
}

/* More streams than announced: refused, and after SETTINGS were acknowledged an error of the
 * connection. */
static void test_stream_limit(void **state)
{
    (void) state;
    now_ns = 1000000000;
    assert_int_equal(side_open(&server, H2_SERVER, WINDOW), 0);
    buf_reset(&server.out);
    assert_int_equal(h2_session_drain(server.session, &server.out, 1 << 20, now_ns), 0);
    hello();
    for (int i = 0; i < 101; i++)
        open_raw(false);
    (void) h2_session_feed(server.session, bytes.data, bytes.size, now_ns);
    assert_int_equal(server.heads, 100);
    side_done(&server);
    buf_done(&bytes);
}

static void test_not_http2(void **state)
{
    (void) state;
    static const char *const texts[] = { "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
                                         "\x16\x03\x01\x02\x00\x01", "PRI * HTTP/2.0\r\n\r\nXX" };
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        assert_int_equal(side_open(&server, H2_SERVER, WINDOW), 0);
        assert_int_equal(
            h2_session_feed(server.session, (const uint8_t *) texts[i], strlen(texts[i]), now_ns),
            NRPC_E_PROTO);
        side_done(&server);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_floods),
        cmocka_unit_test(test_early_resets),
        cmocka_unit_test(test_honest_pace),
        cmocka_unit_test(test_hedging),
        cmocka_unit_test(test_window_dribble),
        cmocka_unit_test(test_header_block_clock),
        cmocka_unit_test(test_hpack_bomb),
        cmocka_unit_test(test_header_limit),
        cmocka_unit_test(test_continuation_flood),
        cmocka_unit_test(test_stream_limit),
        cmocka_unit_test(test_not_http2),
    };
    return cmocka_run_group_tests_name("h2_abuse", tests, NULL, NULL);
}
