#include "gateway/http2.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "gateway/exchange.h"
#include "rpc/base/alloc.h"
#include "rpc/h2/conn.h"

enum {
    STREAMS_MAX = 100,
    STREAM_WINDOW = 262144,
    CONNECTION_WINDOW = 1 << 20,
    FIELDS_MAX = 48,
    HANDSHAKE_MS = 10000,
    LINGER_MS = 2000 /* for a client's answer to the close frame */
};

const char http2_preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

struct http2_conn {
    struct list link; /* in gl->http2 */
    struct gateway_loop *gl;
    struct h2_conn *h2;
};

/* One stream: lives from the request's head to the stream's end; its exchange may end before. */
struct http2_client {
    struct client client; /* first */
    struct http2_conn *conn;
    struct h2_stream *stream;  /* NULL: gone */
    struct exchange *exchange; /* NULL: over */
    struct h2_queue queue;
    struct buf tail;    /* what the exchange wrote since the last flush */
    struct timer timer; /* of the body; of a socket's last words */
    bool headed;        /* the response's head is out */
    bool whole;         /* the request is */
    bool tunnel;        /* a WebSocket's bytes go both ways */
    bool held;          /* the body's window is not given back */
    size_t unread;      /* bytes that came meanwhile */
};

/* ---- the answer ------------------------------------------------------------------------ */

static bool is_hop_by_hop(const char *name, size_t size)
{
    static const char *const names[] = { "connection", "keep-alive", "transfer-encoding",
                                         "upgrade" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strlen(names[i]) == size && memcmp(names[i], name, size) == 0)
            return true;
    return false;
}

/* One "Name: value" line of ours becomes a field; lower-cased in place.  False when it is for
 * HTTP/1.1 alone. */
static bool read_line(char *line, size_t size, struct h2_field *out)
{
    char *colon = memchr(line, ':', size);
    if (colon == NULL)
        return false;
    for (char *c = line; c < colon; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char) (*c | 0x20);
    char *value = colon + 1, *end = line + size;
    while (value < end && *value == ' ')
        value++;
    while (end > value && end[-1] == ' ')
        end--;
    *out = (struct h2_field){ line, value, (uint32_t) (colon - line), (uint32_t) (end - value) };
    return !is_hop_by_hop(line, out->name_size);
}

/* The lines from text to the "\r" at end, behind the n fields that are there; returns how many
 * there are then. */
static size_t read_lines(char *text, char *end, struct h2_field fields[static FIELDS_MAX], size_t n)
{
    for (char *line = text; line < end && n < FIELDS_MAX;) {
        char *stop = memchr(line, '\r', (size_t) (end + 1 - line));
        if (stop == NULL)
            break;
        n += read_line(line, (size_t) (stop - line), &fields[n]);
        line = stop + 2;
    }
    return n;
}

/* Sends the head at the front of tail; false while it is not whole. */
static bool send_head(struct http2_client *c)
{
    struct buf *b = &c->tail;
    char *text = (char *) b->data;
    char *end = b->size == 0 ? NULL : memmem(text, b->size, "\r\n\r\n", 4);
    if (end == NULL)
        return false;
    struct h2_field fields[FIELDS_MAX] = { { ":status", text + 9, 7, 3 } }; /* "HTTP/1.1 200" */
    char *first = memchr(text, '\n', (size_t) (end - text));
    size_t n = first == NULL ? 1 : read_lines(first + 1, end, fields, 1);
    c->headed = true;
    if (h2_stream_respond(c->stream, fields, n, false, &c->queue) < 0)
        h2_stream_reset(c->stream, H2_INTERNAL_ERROR);
    buf_drop(b, (size_t) (end + 4 - text));
    return true;
}

/* The answer is complete: its trailers follow what is queued.  Trailers that are too large for the
 * client are left out. */
static int finish(struct http2_client *c)
{
    struct buf *b = &c->client.trailers;
    struct h2_field fields[FIELDS_MAX];
    size_t n = 0;
    if (!b->failed && b->size > 2)
        n = read_lines((char *) b->data, (char *) b->data + b->size - 2, fields, 0);
    int r = h2_stream_finish(c->stream, fields, n);
    return r == NRPC_E_TOOBIG ? h2_stream_finish(c->stream, NULL, 0) : r;
}

static struct buf *client_output(struct client *client)
{
    return &((struct http2_client *) client)->tail;
}

static void client_send(struct client *client)
{
    struct http2_client *c = (struct http2_client *) client;
    if (c->stream == NULL || c->tail.failed) {
        if (c->stream != NULL)
            h2_stream_reset(c->stream, H2_INTERNAL_ERROR);
        buf_done(&c->tail);
        return;
    }
    if (!c->headed && !send_head(c))
        return;
    if (c->tail.size == 0)
        return;
    if (h2_queue_put(&c->queue, c->tail.data, c->tail.size) < 0) {
        h2_stream_reset(c->stream, H2_INTERNAL_ERROR);
    } else {
        (void) h2_stream_resume(c->stream);
        h2_stream_notify_low(c->stream, GATEWAY_OUTPUT_MAX / 8);
    }
    if (c->tail.capacity > GATEWAY_OUTPUT_MAX)
        buf_done(&c->tail);
    else
        buf_reset(&c->tail);
}

static size_t client_unsent(const struct client *client)
{
    const struct http2_client *c = (const struct http2_client *) client;
    return c->queue.size + c->tail.size;
}

/* Since when the stream has not moved; a queue that moves counts as progress now. */
static uint64_t client_progress_ns(const struct client *client)
{
    const struct http2_client *c = (const struct http2_client *) client;
    uint64_t since = c->stream == NULL ? 0 : h2_stream_stalled_since_ns(c->stream);
    return since != 0 ? since : loop_now_ns(c->conn->gl->loop);
}

static void client_hold(struct client *client, bool held)
{
    struct http2_client *c = (struct http2_client *) client;
    c->held = held;
    if (held) {
        timer_stop(&c->timer);
        return;
    }
    if (c->stream != NULL && c->unread > 0)
        h2_stream_consume(c->stream, c->unread);
    c->unread = 0;
    if (!c->whole)
        timer_start(&c->timer, GATEWAY_BODY_IDLE_MS);
}

/* The client gets what is queued, and then no end. */
static void break_off(struct http2_client *c)
{
    if (c->queue.size > 0)
        h2_stream_notify_low(c->stream, 0); /* on_low goes on */
    else
        h2_stream_reset(c->stream, H2_INTERNAL_ERROR);
}

static void client_ended(struct client *client, bool keep)
{
    struct http2_client *c = (struct http2_client *) client;
    (void) keep;
    client->busy = false;
    c->exchange = NULL;
    client_hold(client, false);
    timer_stop(&c->timer);
    if (c->stream == NULL)
        return;
    if (client->broken)
        break_off(c);
    else if (finish(c) < 0)
        h2_stream_reset(c->stream, H2_INTERNAL_ERROR);
    else if (c->tunnel)
        timer_start(&c->timer, LINGER_MS);
}

/* Either side of a socket ends by itself: a client whose answer to our close frame met a reset
 * would take the orderly end for a lost connection. */
static void client_tunnel(struct client *client)
{
    struct http2_client *c = (struct http2_client *) client;
    c->tunnel = true;
    if (c->stream != NULL)
        h2_stream_half_closes(c->stream);
}

static void client_abort(struct client *client)
{
    struct http2_client *c = (struct http2_client *) client;
    c->client.closing = true;
    if (c->stream != NULL)
        h2_stream_reset(c->stream, H2_INTERNAL_ERROR);
}

static const char *client_peer(const struct client *client)
{
    return h2_conn_peer(((const struct http2_client *) client)->conn->h2);
}

static const struct client_ops http2_client_ops = {
    .tail = client_output,
    .flush = client_send,
    .pending = client_unsent,
    .progress_ns = client_progress_ns,
    .ended = client_ended,
    .hold = client_hold,
    .tunnel = client_tunnel,
    .abort = client_abort,
    .peer = client_peer,
};

/* ---- the request ----------------------------------------------------------------------- */

static const struct h2_field *find(const struct h2_field *fields, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strlen(name) == fields[i].name_size &&
            memcmp(fields[i].name, name, fields[i].name_size) == 0)
            return &fields[i];
    return NULL;
}

static void put_field(struct buf *out, const char *name, size_t name_size, const struct h2_field *f)
{
    buf_put(out, name, name_size);
    buf_puts(out, ": ");
    buf_put(out, f->value, f->value_size);
    buf_puts(out, "\r\n");
}

static bool field_is(const struct h2_field *f, const char *value)
{
    return f != NULL && strlen(value) == f->value_size &&
           memcmp(value, f->value, f->value_size) == 0;
}

/* CONNECT with a :protocol (RFC 8441); nghttp2 has seen to it that a path is there. */
static bool is_socket(const struct h2_field *fields, size_t n)
{
    return field_is(find(fields, n, ":method"), "CONNECT") &&
           field_is(find(fields, n, ":protocol"), "websocket");
}

/* The head as HTTP/1.1 writes it, a WebSocket's as that of the GET that it would be there.  False
 * when it has no method or path (CONNECT), or one for what we do not tunnel. */
static bool write_head(const struct h2_field *fields, size_t n, struct buf *out)
{
    const struct h2_field *method = find(fields, n, ":method"), *path = find(fields, n, ":path"),
                          *authority = find(fields, n, ":authority");
    bool socket = is_socket(fields, n);
    if (method == NULL || path == NULL || (!socket && find(fields, n, ":protocol") != NULL))
        return false;
    if (socket)
        buf_puts(out, "GET");
    else
        buf_put(out, method->value, method->value_size);
    buf_putc(out, ' ');
    buf_put(out, path->value, path->value_size);
    buf_puts(out, " HTTP/1.1\r\n");
    if (authority != NULL)
        put_field(out, "host", 4, authority);
    for (size_t i = 0; i < n; i++) {
        const struct h2_field *f = &fields[i];
        bool same_host = authority != NULL && f->name_size == 4 &&
                         memcmp(f->name, "host", 4) == 0 &&
                         f->value_size == authority->value_size &&
                         strncasecmp(f->value, authority->value, f->value_size) == 0;
        if (f->name[0] != ':' && !same_host)
            put_field(out, f->name, f->name_size, f);
    }
    buf_puts(out, "\r\n");
    return true;
}

static void on_timer(struct timer *t)
{
    struct http2_client *c = CONTAINER_OF(t, struct http2_client, timer);
    if (c->exchange == NULL && c->tunnel && c->stream != NULL) {
        if (h2_stream_sent_end(c->stream))
            h2_stream_reset(c->stream, H2_NO_ERROR);
        else
            timer_start(&c->timer, LINGER_MS); /* on_stalled sees to one that does not read */
        return;
    }
    if (c->exchange != NULL && !c->whole)
        exchange_on_bad(c->exchange, 408, "the request did not come in time");
}

static void on_whole(struct http2_client *c)
{
    c->whole = true;
    timer_stop(&c->timer);
    if (c->exchange != NULL)
        exchange_on_whole(c->exchange);
}

/* The client sends no more on its socket: so does TCP when it has gone, and nothing can be said
 * after it but the close frame that may be on its way. */
static void end_tunnel(struct http2_client *c)
{
    struct exchange *x = c->exchange;
    if (x == NULL || x->socket.closed)
        return;
    c->exchange = NULL;
    exchange_on_client_gone(x);
    if (h2_stream_finish(c->stream, NULL, 0) < 0)
        h2_stream_reset(c->stream, H2_INTERNAL_ERROR);
}

static void on_data(void *user, const uint8_t *data, size_t size)
{
    struct http2_client *c = user;
    if (c->exchange != NULL && c->tunnel) {
        exchange_on_tunnel(c->exchange, data, size);
    } else if (c->exchange != NULL) {
        timer_start(&c->timer, GATEWAY_BODY_IDLE_MS);
        exchange_on_body(c->exchange, (const char *) data, size);
    }
    if (c->held)
        c->unread += size;
    else
        h2_stream_consume(c->stream, size);
}

static void on_end(void *user)
{
    struct http2_client *c = user;
    if (c->tunnel)
        end_tunnel(c);
    else if (!c->whole)
        on_whole(c);
}

static void on_low(void *user)
{
    struct http2_client *c = user;
    if (c->exchange != NULL)
        exchange_on_drained(c->exchange);
    else if (c->client.broken && c->stream != NULL)
        break_off(c);
}

static void on_stream_close(void *user, uint32_t error_code)
{
    struct http2_client *c = user;
    (void) error_code;
    c->stream = NULL;
    c->client.closing = true;
    timer_stop(&c->timer);
    if (c->exchange != NULL) {
        struct exchange *x = c->exchange;
        c->exchange = NULL;
        exchange_on_client_gone(x);
    }
    h2_queue_clear(&c->queue);
    buf_done(&c->tail);
    buf_done(&c->client.trailers);
    alloc_free(c);
}

static const struct h2_stream_events stream_events = {
    .on_data = on_data, .on_end = on_end, .on_low = on_low, .on_close = on_stream_close
};

/* Reads the head; false when the exchange is over already. */
static bool read_head(struct http2_client *c, const struct h2_field *fields, size_t n, bool end,
                      bool too_big)
{
    struct exchange *x = c->exchange;
    struct buf head = { 0 };
    struct http1_text body;
    size_t used;
    bool written = write_head(fields, n, &head);
    if (too_big) {
        exchange_on_bad(x, 431, "the header fields are too large");
    } else if (!written || head.failed) {
        exchange_on_bad(x, written ? 503 : 501,
                        written ? "out of memory" : "the method is not known");
    } else if (http1_feed(&x->http, head.data, head.size, &used, &body) != HTTP1_HEAD) {
        bool said = x->http.status != 0;
        exchange_on_bad(x, said ? x->http.status : 400,
                        said ? x->http.reason : "the request's head is malformed");
    } else {
        if (!end && !x->http.has_length && !c->client.socket)
            x->http.chunked = true; /* a body follows, and its frames say where it ends */
        exchange_on_head(x);
        if (c->client.socket && c->exchange != NULL)
            on_whole(c); /* what follows is no body */
    }
    buf_done(&head);
    return c->exchange != NULL;
}

static void on_request(void *owner, struct h2_stream *st, const struct h2_field *fields, size_t n,
                       bool end, bool too_big)
{
    struct http2_conn *conn = owner;
    struct http2_client *c = alloc_zero(1, sizeof *c);
    if (c == NULL) {
        h2_stream_reset(st, H2_REFUSED_STREAM);
        return;
    }
    c->client =
        (struct client){ .ops = &http2_client_ops, .framed = true, .socket = is_socket(fields, n) };
    c->conn = conn;
    c->stream = st;
    h2_queue_init(&c->queue);
    timer_init(&c->timer, conn->gl->loop, on_timer);
    h2_stream_bind(st, &stream_events, c);
    c->exchange = exchange_take(conn->gl, &c->client);
    if (c->exchange == NULL) {
        h2_stream_reset(st, H2_REFUSED_STREAM);
        return;
    }
    if (read_head(c, fields, n, end, too_big) && !end && !c->whole)
        timer_start(&c->timer, GATEWAY_BODY_IDLE_MS);
}

/* ---- the connection -------------------------------------------------------------------- */

static void on_stalled(void *owner, struct h2_stream *st)
{
    (void) owner;
    client_abort(h2_stream_user(st));
}

static void on_close(void *owner, int error)
{
    struct http2_conn *conn = owner;
    struct gateway_loop *gl = conn->gl;
    (void) error;
    list_remove(&conn->link);
    alloc_free(conn);
    gateway_loop_check_drained(gl);
}

int http2_open(struct gateway_loop *gl, struct sock *sock, const uint8_t *data, size_t size)
{
    static const struct h2_conn_events events = { .on_request = on_request,
                                                  .on_stalled = on_stalled,
                                                  .on_close = on_close };
    static const struct h2_conn_options options = {
        .h2 = { .role = H2_SERVER,
                .max_streams = STREAMS_MAX,
                .stream_window = STREAM_WINDOW,
                .connection_window = CONNECTION_WINDOW,
                .max_field_bytes = HTTP1_HEADERS_MAX,
                .max_fields = HTTP1_FIELDS_MAX,
                .connect_protocol = true },
        .handshake_ms = HANDSHAKE_MS,
        .idle_ms = GATEWAY_IDLE_MS,
        .stall_ms = GATEWAY_STALL_MS,
    };
    struct http2_conn *conn = alloc_zero(1, sizeof *conn);
    if (conn == NULL)
        return NRPC_E_NOMEM;
    conn->gl = gl;
    int r = h2_conn_adopt(sock, &options, &events, conn, &conn->h2);
    if (r < 0) {
        alloc_free(conn);
        return r;
    }
    list_init(&conn->link);
    list_add_tail(&gl->http2, &conn->link);
    h2_conn_feed(conn->h2, data, size);
    return 0;
}

void http2_drain(struct gateway_loop *gl)
{
    LIST_EACH(&gl->http2, link, after)
    h2_conn_shutdown(LIST_ENTRY(link, struct http2_conn, link)->h2);
}

void http2_abort(struct gateway_loop *gl)
{
    LIST_EACH(&gl->http2, link, after)
    h2_conn_close(LIST_ENTRY(link, struct http2_conn, link)->h2);
}
