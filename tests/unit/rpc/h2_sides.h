/* h2_sides.h — two HTTP/2 sessions joined by byte arrays, for the tests of rpc/h2.  All state is of
 * the file that includes this. */
#ifndef H2_SIDES_H
#define H2_SIDES_H
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

static inline void note(struct buf *b, const struct h2_field *f, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        buf_put(b, f[i].name, f[i].name_size);
        buf_putc(b, '=');
        buf_put(b, f[i].value, f[i].value_size);
        buf_putc(b, '\n');
    }
}
static inline void on_headers(void *user, const struct h2_field *f, size_t n, bool end)
{
    (void) end;
    struct side *s = user;
    s->heads++;
    note(&s->head, f, n);
}
static inline void on_data(void *user, const uint8_t *data, size_t size)
{
    struct side *s = user;
    buf_put(&s->data, data, size);
    if (!s->keep)
        h2_stream_consume(s->stream, size);
}
static inline void on_trailers(void *user, const struct h2_field *f, size_t n)
{
    note(&((struct side *) user)->trailers, f, n);
}
static const struct h2_field ok_head[] = { H2_FIELD(":status", "200"), H2_FIELD("x-kind", "test") };
static const struct h2_field ok_trailers[] = { H2_FIELD("x-end", "yes") };
static inline void on_end(void *user)
{
    struct side *s = user;
    s->ends++;
    if (s->answer == NULL)
        return;
    s->error |= h2_stream_respond(s->stream, ok_head, 2, false, &s->queue);
    s->error |= h2_queue_put(&s->queue, s->answer, strlen(s->answer));
    s->error |= h2_stream_finish(s->stream, ok_trailers, 1);
}
static inline void on_low(void *user)
{
    ((struct side *) user)->lows++;
}
static inline void on_close(void *user, uint32_t code)
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
static inline void on_request(void *owner, struct h2_stream *st, const struct h2_field *f, size_t n,
                              bool end, bool too_big)
{
    (void) end;
    struct side *s = owner;
    s->stream = st;
    s->too_big = too_big;
    on_headers(s, f, n, false);
    h2_stream_bind(st, &stream_events, s);
}
static inline void on_goaway(void *owner, uint32_t code)
{
    struct side *s = owner;
    s->goaways++;
    s->close_code = code;
}
static inline void on_settings(void *owner)
{
    ((struct side *) owner)->settings++;
}
static const struct h2_session_events session_events = {
    .on_request = on_request,
    .on_settings = on_settings,
    .on_goaway = on_goaway,
};

static inline int side_open(struct side *s, enum h2_role role, uint32_t window)
{
    memset(s, 0, sizeof *s);
    h2_queue_init(&s->queue);
    const struct h2_options o = { role,  role == H2_SERVER ? 100 : 0, window, 1 << 20, FIELD_BYTES,
                                  FIELDS };
    return h2_session_new(&o, &session_events, s, now_ns, &s->session);
}
static inline void side_done(struct side *s)
{
    h2_session_free(s->session);
    h2_queue_clear(&s->queue);
    buf_done(&s->out);
    buf_done(&s->head);
    buf_done(&s->data);
    buf_done(&s->trailers);
}
static inline int open_both(uint32_t client_window)
{
    now_ns = 1000000000;
    if (side_open(&server, H2_SERVER, WINDOW) < 0) {
        memset(&client, 0, sizeof client);
        h2_queue_init(&client.queue);
        return -1;
    }
    return side_open(&client, H2_CLIENT, client_window);
}
static inline void done_both(void)
{
    side_done(&client);
    side_done(&server);
}

/* Moves what one side has to say to the other; true when there was something. */
static inline bool carry(struct side *from, struct side *to, size_t step)
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
static inline void settle(size_t step)
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
static inline int ask(const char *body, bool end)
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

/* Frames in a byte stream: how many DATA, and whether the last control frame is a GOAWAY with
 * `code`. */
static inline size_t count_frames(const struct buf *b, uint8_t type, uint32_t *out_goaway)
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

#endif
