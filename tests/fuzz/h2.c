/* One HTTP/2 session and a peer that sends anything, whole and one byte at a time: the same events
 * in the same order, the same outcome, no stream left without its last event. */
#include "rpc/h2/session.h"
#include "tests/fuzz/fuzz.h"

enum { INPUT_MAX = 16384, OUTPUT_MAX = 4 << 20 };

struct side {
    struct h2_session *session;
    struct buf seen, closed; /* the session tells of closed streams once a feed is over */
    size_t live;
};
struct stream {
    struct side *side;
    struct h2_stream *st;
    struct h2_queue queue;
    int32_t id;
};
static const struct h2_field response_head[] = { H2_FIELD(":status", "200") };
static const struct h2_field trailers[] = { H2_FIELD("grpc-status", "0") };

static void note(struct side *s, const char *what, int32_t id, const struct h2_field *f, size_t n)
{
    buf_printf(&s->seen, "\n%s %d ", what, id);
    for (size_t i = 0; i < n; i++) {
        CHECK(f[i].name[f[i].name_size] == '\0' && f[i].value[f[i].value_size] == '\0');
        buf_put(&s->seen, f[i].name, f[i].name_size);
        buf_putc(&s->seen, '=');
        buf_put(&s->seen, f[i].value, f[i].value_size);
    }
}
static void on_headers(void *user, const struct h2_field *f, size_t n, bool end)
{
    struct stream *x = user;
    note(x->side, end ? "head-end" : "head", x->id, f, n);
}
static void on_data(void *user, const uint8_t *data, size_t size)
{
    struct stream *x = user;
    for (size_t i = 0; i < size; i++) /* the cut into pieces must not show */
        buf_printf(&x->side->seen, " %d:%02x", x->id, data[i]);
    h2_stream_consume(x->st, size);
}
static void on_trailers(void *user, const struct h2_field *f, size_t n)
{
    struct stream *x = user;
    note(x->side, "trailers", x->id, f, n);
}
static void answer(struct stream *x)
{
    (void) h2_stream_respond(x->st, response_head, 1, false, &x->queue);
    (void) h2_queue_put(&x->queue, "\0\0\0\0\2ok", 7);
    (void) h2_stream_finish(x->st, trailers, 1);
}
static void on_end(void *user)
{
    struct stream *x = user;
    note(x->side, "end", x->id, NULL, 0);
    if (FUZZ_ROLE == H2_SERVER)
        answer(x);
}
static void on_close(void *user, uint32_t code)
{
    struct stream *x = user;
    buf_printf(&x->side->closed, "close %d %u\n", x->id, code);
    x->side->live--;
    h2_queue_clear(&x->queue);
    alloc_free(x);
}
static const struct h2_stream_events stream_events = {
    .on_headers = on_headers,
    .on_data = on_data,
    .on_trailers = on_trailers,
    .on_end = on_end,
    .on_close = on_close,
};
static struct stream *stream_of(struct side *s)
{
    struct stream *x = alloc_zero(1, sizeof *x);
    CHECK(x != NULL);
    x->side = s;
    h2_queue_init(&x->queue);
    s->live++;
    return x;
}
static void on_request(void *owner, struct h2_stream *st, const struct h2_field *f, size_t n,
                       bool end, bool too_big)
{
    struct side *s = owner;
    struct stream *x = stream_of(s);
    x->st = st;
    x->id = h2_stream_id(st);
    note(s, end ? "request-end" : "request", x->id, f, n);
    h2_stream_bind(st, &stream_events, x);
    if (too_big)
        answer(x);
}
static void on_settings(void *owner)
{
    note(owner, "settings", 0, NULL, 0);
}
static void on_goaway(void *owner, uint32_t code)
{
    note(owner, "goaway", (int32_t) code, NULL, 0);
}
static const struct h2_session_events session_events = {
    .on_request = on_request,
    .on_settings = on_settings,
    .on_goaway = on_goaway,
};

static void open_streams(struct side *s)
{
    static const struct h2_field head[] = { H2_FIELD(":method", "POST"), H2_FIELD(":path", "/a/b"),
                                            H2_FIELD(":scheme", "http"),
                                            H2_FIELD("te", "trailers") };
    for (int i = 0; i < 2; i++) {
        struct stream *x = stream_of(s);
        CHECK(h2_stream_open(s->session, head, ARRAY_SIZE(head), i == 0, &x->queue, &stream_events,
                             x, &x->st) == 0);
        x->id = h2_stream_id(x->st);
    }
}

static void play(const uint8_t *data, size_t size, size_t step, struct buf *out)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
    const struct h2_options o = { FUZZ_ROLE, FUZZ_ROLE == H2_SERVER ? 100 : 0, 65535, 1 << 20, 4096,
                                  50 };
    struct side s = { 0 };
    struct buf sent = { 0 };
    CHECK(h2_session_new(&o, &session_events, &s, 1, &s.session) == 0);
    if (FUZZ_ROLE == H2_CLIENT)
        open_streams(&s);
    (void) h2_session_drain(s.session, &sent, OUTPUT_MAX, 1);
    uint8_t how = fuzz_byte(&data, &size);
    int r = 0;
    if (how % 2 == 0) { /* most inputs need not find the beginning by luck */
        size_t skip = FUZZ_ROLE == H2_SERVER ? 0 : 24;
        r = h2_session_feed(s.session, (const uint8_t *) preface + skip, sizeof preface - 1 - skip,
                            1);
        CHECK(r == 0);
    }
    for (size_t at = 0; at < size && r == 0; at += step)
        r = h2_session_feed(s.session, data + at, size - at < step ? size - at : step, 1);
    CHECK(r == 0 || r == NRPC_E_PROTO);
    buf_printf(&s.seen, "\nresult %d", r);
    int drained = h2_session_drain(s.session, &sent, OUTPUT_MAX, 1);
    buf_printf(&s.seen, "\ndrain %d\n", drained);
    h2_session_abort(s.session);
    CHECK(s.live == 0);
    h2_session_free(s.session);
    buf_put(&s.seen, s.closed.data, s.closed.size);
    CHECK(!s.seen.failed && !s.closed.failed);
    buf_done(&s.closed);
    buf_done(&sent);
    *out = s.seen;
}

/* nghttp2, once it waits for a CONTINUATION, counts every piece of the next frame's header as one
 * more of them, of which it takes eight: there the cut shows. */
static bool has_continuation(const uint8_t *data, size_t size)
{
    size_t at = data[0] % 2 == 1 && FUZZ_ROLE == H2_SERVER ? 25 : 1;
    while (size > at && size - at >= 9) {
        bool block = data[at + 3] == 1 || data[at + 3] == 5;
        if (data[at + 3] == 9 || (block && (data[at + 4] & 4) == 0))
            return true;
        at += 9 + ((size_t) data[at] << 16 | (size_t) data[at + 1] << 8 | data[at + 2]);
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf whole, bytewise;
    if (size == 0 || size > INPUT_MAX)
        return 0;
    play(data, size, size, &whole);
    play(data, size, has_continuation(data, size) ? size : 1, &bytewise);
    CHECK(fuzz_same(&whole, &bytewise));
    buf_done(&whole);
    buf_done(&bytewise);
    return 0;
}
