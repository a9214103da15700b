/* The HTTP/2 session without sockets: two sessions joined by byte arrays, whole and one byte at a
 * time, and a hostile peer that writes frames by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "rpc/base/alloc.h"
#include "rpc/h2/session.h"

enum { WINDOW = 65536, FIELD_BYTES = 16384, FIELDS = 100 };

/* ---- two peers
 * ----------------------------------------------------------------------------------- */
struct side {
    struct h2_session *session;
    struct buf out;
    struct h2_stream *stream; /* the last one */
    struct h2_queue queue;
    struct buf head, data, trailers; /* "name=value\n" ... */
    int heads, ends, closes, lows, goaways, settings;
    uint32_t close_code;
    bool too_big, keep; /* keep: do not consume */
    const char *answer; /* server: respond with this at the request's end */
    int error;
};
static struct side client, server;
static uint64_t now_ns;

static void note(struct buf *b, const struct h2_field *f, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        buf_put(b, f[i].name, f[i].name_size);
        buf_putc(b, '=');
        buf_put(b, f[i].value, f[i].value_size);
        buf_putc(b, '\n');
    }
}
static void on_headers(void *user, const struct h2_field *f, size_t n, bool end)
{
    (void) end;
    struct side *s = user;
    s->heads++;
    note(&s->head, f, n);
}
static void on_data(void *user, const uint8_t *data, size_t size)
{
    struct side *s = user;
    buf_put(&s->data, data, size);
    if (!s->keep)
        h2_stream_consume(s->stream, size);
}
static void on_trailers(void *user, const struct h2_field *f, size_t n)
{
    note(&((struct side *) user)->trailers, f, n);
}
static const struct h2_field ok_head[] = { H2_FIELD(":status", "200"), H2_FIELD("x-kind", "test") };
static const struct h2_field ok_trailers[] = { H2_FIELD("x-end", "yes") };
static void on_end(void *user)
{
    struct side *s = user;
    s->ends++;
    if (s->answer == NULL)
        return;
    s->error |= h2_stream_respond(s->stream, ok_head, 2, false, &s->queue);
    s->error |= h2_queue_put(&s->queue, s->answer, strlen(s->answer));
    s->error |= h2_stream_finish(s->stream, ok_trailers, 1);
}
static void on_low(void *user)
{
    ((struct side *) user)->lows++;
}
static void on_close(void *user, uint32_t code)
{
    struct side *s = user;
    s->closes++;
    s->close_code = code;
    s->stream = NULL;
    h2_queue_clear(&s->queue);
}
static const struct h2_stream_events stream_events = {
    .on_headers = on_headers,
    .on_data = on_data,
    .on_trailers = on_trailers,
    .on_end = on_end,
    .on_low = on_low,
    .on_close = on_close,
};
static void on_request(void *owner, struct h2_stream *st, const struct h2_field *f, size_t n,
                       bool end, bool too_big)
{
    (void) end;
    struct side *s = owner;
    s->stream = st;
    s->too_big = too_big;
    on_headers(s, f, n, false);
    h2_stream_bind(st, &stream_events, s);
}
static void on_goaway(void *owner, uint32_t code)
{
    struct side *s = owner;
    s->goaways++;
    s->close_code = code;
}
static void on_settings(void *owner)
{
    ((struct side *) owner)->settings++;
}
static const struct h2_session_events session_events = {
    .on_request = on_request,
    .on_settings = on_settings,
    .on_goaway = on_goaway,
};

static int side_open(struct side *s, enum h2_role role, uint32_t window)
{
    memset(s, 0, sizeof *s);
    h2_queue_init(&s->queue);
    const struct h2_options o = { role,  role == H2_SERVER ? 100 : 0, window, 1 << 20, FIELD_BYTES,
                                  FIELDS };
    return h2_session_new(&o, &session_events, s, now_ns, &s->session);
}
static void side_done(struct side *s)
{
    h2_session_free(s->session);
    h2_queue_clear(&s->queue);
    buf_done(&s->out);
    buf_done(&s->head);
    buf_done(&s->data);
    buf_done(&s->trailers);
}
static int open_both(uint32_t client_window)
{
    now_ns = 1000000000;
    if (side_open(&server, H2_SERVER, WINDOW) < 0) {
        memset(&client, 0, sizeof client);
        h2_queue_init(&client.queue);
        return -1;
    }
    return side_open(&client, H2_CLIENT, client_window);
}
static void done_both(void)
{
    side_done(&client);
    side_done(&server);
}

/* Moves what one side has to say to the other; true when there was something. */
static bool carry(struct side *from, struct side *to, size_t step)
{
    buf_reset(&from->out);
    if (h2_session_drain(from->session, &from->out, 1 << 20, now_ns) < 0)
        from->error = -1;
    for (size_t at = 0; at < from->out.size && to->error == 0; at += step) {
        size_t n = from->out.size - at < step ? from->out.size - at : step;
        if (h2_session_feed(to->session, from->out.data + at, n, now_ns) < 0)
            to->error = -1;
    }
    return from->out.size > 0;
}
static void settle(size_t step)
{
    for (int i = 0; i < 50 && client.error == 0 && server.error == 0; i++) {
        bool sent = carry(&client, &server, step);
        if (!carry(&server, &client, step) && !sent)
            break;
    }
}
static const struct h2_field request[] = {
    H2_FIELD(":method", "POST"), H2_FIELD(":scheme", "http"), H2_FIELD(":path", "/a/b"),
    H2_FIELD(":authority", "x"), H2_FIELD("te", "trailers"),
};
static int ask(const char *body, bool end)
{
    int r = h2_stream_open(client.session, request, 5, false, &client.queue, &stream_events,
                           &client, &client.stream);
    if (r < 0)
        return r;
    r = h2_queue_put(&client.queue, body, strlen(body));
    if (r == 0)
        r = h2_stream_resume(client.stream);
    return r < 0 || !end ? r : h2_stream_finish(client.stream, NULL, 0);
}

static void test_exchange(void **state)
{
    (void) state;
    static const size_t steps[] = { 1 << 20, 1, 7 };
    for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
        assert_int_equal(open_both(WINDOW), 0);
        server.answer = "an answer";
        settle(steps[i]);
        assert_true(h2_session_is_settled(client.session) && h2_session_is_settled(server.session));
        assert_int_equal(client.settings, 1);
        assert_true(h2_session_can_open(client.session));
        assert_int_equal(ask("a question", true), 0);
        settle(steps[i]);
        assert_int_equal(client.error | server.error, 0);
        assert_string_equal(buf_str(&server.data), "a question");
        assert_non_null(strstr(buf_str(&server.head), ":path=/a/b\n"));
        assert_string_equal(buf_str(&client.head), ":status=200\nx-kind=test\n");
        assert_string_equal(buf_str(&client.data), "an answer");
        assert_string_equal(buf_str(&client.trailers), "x-end=yes\n");
        assert_int_equal(client.ends, 1);
        assert_int_equal(client.closes, 1);
        assert_int_equal(server.closes, 1);
        assert_int_equal(client.close_code, H2_NO_ERROR);
        assert_int_equal(h2_session_streams(server.session), 0);
        assert_int_equal(h2_session_streams(client.session), 0);
        done_both();
    }
}

/* Frames in a byte stream: how many DATA, and whether the last control frame is a GOAWAY with
 * `code`. */
static size_t count_frames(const struct buf *b, uint8_t type, uint32_t *out_goaway)
{
    size_t n = 0;
    for (size_t at = 0; at + 9 <= b->size;) {
        const uint8_t *p = b->data + at;
        size_t size = (size_t) p[0] << 16 | (size_t) p[1] << 8 | p[2];
        if (p[3] == type)
            n++;
        if (p[3] == 7 && out_goaway != NULL && at + 17 <= b->size)
            *out_goaway =
                (uint32_t) p[13] << 24 | (uint32_t) p[14] << 16 | (uint32_t) p[15] << 8 | p[16];
        at += 9 + size;
    }
    return n;
}

static void test_small_writes_share_frames(void **state)
{
    (void) state;
    assert_int_equal(open_both(WINDOW), 0);
    settle(1 << 20);
    assert_int_equal(ask("q", true), 0);
    carry(&client, &server, 1 << 20);
    assert_int_equal(h2_stream_respond(server.stream, ok_head, 2, false, &server.queue), 0);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(h2_queue_put(&server.queue, "twenty bytes of text", 20), 0);
        assert_int_equal(h2_stream_resume(server.stream), 0);
    }
    assert_int_equal(h2_stream_finish(server.stream, ok_trailers, 1), 0);
    carry(&server, &client, 1 << 20);
    assert_int_equal(count_frames(&server.out, 0, NULL), 2); /* 16384 + 3616 */
    assert_int_equal(client.data.size, 20000);
    assert_int_equal(client.closes, 1);
    done_both();
}

/* A reader that does not consume stops its own stream at the window, not its sibling; on_low comes
 * late. */
static void test_windows(void **state)
{
    (void) state;
    assert_int_equal(open_both(WINDOW), 0);
    settle(1 << 20);
    assert_int_equal(ask("q", true), 0);
    settle(1 << 20);
    struct h2_stream *slow_client = client.stream;
    struct h2_queue big;
    h2_queue_init(&big);
    assert_int_equal(h2_stream_respond(server.stream, ok_head, 2, false, &big), 0);
    static uint8_t bytes[200000];
    assert_int_equal(h2_queue_put(&big, bytes, sizeof bytes), 0);
    assert_int_equal(h2_stream_resume(server.stream), 0);
    h2_stream_notify_low(server.stream, 1000);
    client.keep = true;
    settle(1 << 20);
    assert_int_equal(client.data.size, WINDOW);
    assert_int_equal(server.lows, 0);
    assert_non_null(h2_session_find_stalled(server.session, now_ns));

    client.keep = false;
    server.answer = "second";
    buf_reset(&client.data);
    h2_queue_clear(&client.queue);
    assert_int_equal(ask("q2", true), 0);
    settle(1 << 20);
    assert_string_equal(buf_str(&client.data), "second");

    client.stream = slow_client;
    buf_reset(&client.data);
    h2_stream_consume(slow_client, WINDOW);
    settle(1 << 20);
    assert_int_equal(client.data.size, sizeof bytes - WINDOW);
    assert_int_equal(server.lows, 1);
    h2_queue_clear(&big);
    done_both();
}

/* Output stops near `max` and goes on with the next drain. */
static void test_drain_limit(void **state)
{
    (void) state;
    assert_int_equal(open_both(1 << 20), 0);
    settle(1 << 20);
    assert_int_equal(ask("q", true), 0);
    carry(&client, &server, 1 << 20);
    static uint8_t bytes[300000];
    assert_int_equal(h2_stream_respond(server.stream, ok_head, 2, false, &server.queue), 0);
    assert_int_equal(h2_queue_put(&server.queue, bytes, sizeof bytes), 0);
    assert_int_equal(h2_stream_finish(server.stream, ok_trailers, 1), 0);
    size_t drains = 0;
    do {
        buf_reset(&server.out);
        assert_int_equal(h2_session_drain(server.session, &server.out, 65536, now_ns), 0);
        assert_true(server.out.size <= 65536 + H2_FRAME_BYTES + 9);
        assert_int_equal(h2_session_feed(client.session, server.out.data, server.out.size, now_ns),
                         0);
        drains++;
    } while (h2_session_wants_drain(server.session));
    assert_true(drains >= 4);
    assert_int_equal(client.data.size, sizeof bytes);
    assert_int_equal(client.closes, 1);
    done_both();
}

/* The answer ends before the request does: trailers first, then RST_STREAM(NO_ERROR). */
static void test_early_end(void **state)
{
    (void) state;
    assert_int_equal(open_both(WINDOW), 0);
    settle(1 << 20);
    assert_int_equal(ask("half of", false), 0);
    settle(1 << 20);
    assert_int_equal(h2_stream_respond(server.stream, ok_head, 2, false, &server.queue), 0);
    assert_int_equal(h2_stream_finish(server.stream, ok_trailers, 1), 0);
    settle(1 << 20);
    assert_string_equal(buf_str(&client.trailers), "x-end=yes\n");
    assert_int_equal(client.ends, 1);
    assert_int_equal(client.closes, 1);
    assert_int_equal(server.closes, 1);
    assert_int_equal(client.close_code, H2_NO_ERROR);
    assert_int_equal(h2_session_shield(server.session)->counts[H2_ABUSE_RESET_SENT], 0);
    done_both();
}

/* Trailers pass a window that is shut. */
static void test_finish_now(void **state)
{
    (void) state;
    assert_int_equal(open_both(0), 0);
    settle(1 << 20);
    assert_int_equal(ask("q", true), 0);
    settle(1 << 20);
    assert_int_equal(h2_stream_respond(server.stream, ok_head, 2, false, &server.queue), 0);
    assert_int_equal(h2_queue_put(&server.queue, "never sent", 10), 0);
    assert_int_equal(h2_stream_resume(server.stream), 0);
    settle(1 << 20);
    assert_int_equal(client.data.size, 0);
    assert_int_equal(h2_stream_finish_now(server.stream, ok_trailers, 1), 0);
    h2_queue_clear(&server.queue);
    settle(1 << 20);
    assert_string_equal(buf_str(&client.trailers), "x-end=yes\n");
    assert_int_equal(client.closes, 1);
    assert_int_equal(server.closes, 1);
    done_both();
}

static void test_reset_and_loss(void **state)
{
    (void) state;
    assert_int_equal(open_both(WINDOW), 0);
    settle(1 << 20);
    assert_int_equal(ask("q", false), 0);
    settle(1 << 20);
    h2_stream_reset(client.stream, H2_CANCEL);
    assert_int_equal(client.closes, 0); /* never inside the verb */
    settle(1 << 20);
    assert_int_equal(client.closes, 1);
    assert_int_equal(server.closes, 1);
    assert_int_equal(server.close_code, H2_CANCEL);
    assert_int_equal(ask("q", false), 0);
    settle(1 << 20);
    h2_session_abort(server.session);
    assert_int_equal(server.closes, 2);
    assert_int_equal(server.close_code, H2_CONNECTION_LOST);
    done_both();
}

/* GOAWAY(2^31-1), PING, then the real id; a stream that is open goes on. */
static void test_shutdown(void **state)
{
    (void) state;
    assert_int_equal(open_both(WINDOW), 0);
    settle(1 << 20);
    assert_int_equal(ask("q", false), 0);
    settle(1 << 20);
    assert_int_equal(h2_session_shutdown(server.session), 0);
    settle(1 << 20);
    assert_int_equal(client.goaways, 2);
    assert_true(h2_session_said_goaway(server.session));
    assert_false(h2_session_can_open(client.session));
    server.answer = "late";
    assert_int_equal(h2_stream_finish(client.stream, NULL, 0), 0);
    settle(1 << 20);
    assert_string_equal(buf_str(&client.data), "late");
    assert_int_equal(client.closes, 1);
    assert_true(h2_session_is_done(server.session));
    done_both();
}

/* ---- a hostile peer
 * ------------------------------------------------------------------------------ */
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
      H2_SHIELD_BURST / 2 }, /* its WINDOW_UPDATE costs, too */
    { "malformed header", do_malformed, H2_ABUSE_RESET_SENT, H2_SHIELD_BURST },
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

/* Every allocation fails once: no crash, no leak, an error where it belongs. */
static void test_without_memory(void **state)
{
    (void) state;
    for (uint64_t n = 1;; n++) {
        bool complete = false;
        alloc_fail_at(n);
        if (open_both(WINDOW) == 0) {
            server.answer = "an answer";
            settle(1 << 20);
            if (client.error == 0 && server.error == 0 && ask("a question", true) == 0) {
                settle(1 << 20);
                complete = client.error == 0 && server.error == 0 && client.data.size == 9;
            }
        }
        uint64_t used = alloc_count();
        alloc_fail_at(0);
        done_both();
        if (complete && used < n)
            break;
        assert_true(n < 2000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exchange),       cmocka_unit_test(test_small_writes_share_frames),
        cmocka_unit_test(test_windows),        cmocka_unit_test(test_drain_limit),
        cmocka_unit_test(test_early_end),      cmocka_unit_test(test_finish_now),
        cmocka_unit_test(test_reset_and_loss), cmocka_unit_test(test_shutdown),
        cmocka_unit_test(test_floods),         cmocka_unit_test(test_early_resets),
        cmocka_unit_test(test_honest_pace),    cmocka_unit_test(test_hpack_bomb),
        cmocka_unit_test(test_header_limit),   cmocka_unit_test(test_continuation_flood),
        cmocka_unit_test(test_stream_limit),   cmocka_unit_test(test_not_http2),
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
