#include "gateway/conn.h"

#include <string.h>
#include <unistd.h>

#include "gateway/exchange.h"
#include "gateway/http2.h"
#include "rpc/base/alloc.h"

static void feed(struct conn *c, const uint8_t *data, size_t size);
static void resume(struct conn *c);

/* ---- the life of a connection ---------------------------------------------------------- */

static void on_close(void *owner, int error)
{
    struct conn *c = owner;
    (void) error;
    struct gateway_loop *gl = c->gl;
    c->client.closing = true;
    timer_stop(&c->timer);
    list_remove(&c->link);
    if (c->exchange != NULL) {
        struct exchange *x = c->exchange;
        c->exchange = NULL;
        exchange_on_client_gone(x);
    }
    buf_done(&c->pending);
    alloc_free(c);
    gateway_loop_check_drained(gl);
}

static void close_after_flush(struct conn *c)
{
    if (c->client.closing)
        return;
    c->client.closing = true;
    timer_stop(&c->timer);
    sock_close_after_flush(c->sock);
}

void conn_abort(struct conn *c)
{
    c->client.closing = true;
    sock_close(c->sock);
}

void conn_close_if_idle(struct conn *c)
{
    if (c->exchange == NULL)
        close_after_flush(c);
}

static bool is_stalled(const struct conn *c)
{
    return sock_pending(c->sock) > 0 && loop_now_ns(c->gl->loop) - sock_last_progress_ns(c->sock) >=
                                            (uint64_t) GATEWAY_STALL_MS * 1000000;
}

static void on_timer(struct timer *t)
{
    struct conn *c = LIST_ENTRY(t, struct conn, timer);
    if (c->client.closing)
        return;
    if (c->serving) { /* half closed, and the answer takes too long */
        if (c->eof)
            conn_abort(c);
        return;
    }
    if (c->exchange != NULL) {
        exchange_on_bad(c->exchange, 408, "the request did not come in time");
        return;
    }
    if (c->pending.size > 0 && sock_pending(c->sock) <= GATEWAY_OUTPUT_MAX / 2)
        resume(c);
    else if (c->pending.size > 0 && !is_stalled(c))
        timer_start(&c->timer, GATEWAY_THROTTLE_MS);
    else if (sock_pending(c->sock) > 0 && !is_stalled(c))
        timer_start(&c->timer, GATEWAY_STALL_MS);
    else
        close_after_flush(c);
}

/* ---- reading --------------------------------------------------------------------------- */

static bool keep_pending(struct conn *c, const uint8_t *data, size_t size)
{
    buf_put(&c->pending, data, size);
    if (c->pending.failed) {
        conn_abort(c);
        return false;
    }
    /* Reading goes on until a while, so that a client that leaves is noticed. */
    if (c->pending.size > GATEWAY_PENDING_MAX / 4)
        sock_pause(c->sock, true);
    return true;
}

static void on_whole(struct conn *c)
{
    c->serving = true;
    timer_stop(&c->timer);
    if (c->eof)
        timer_start(&c->timer, GATEWAY_HALF_CLOSED_MS);
    exchange_on_whole(c->exchange);
}

/* One step of the parser; false when the data must wait or the connection is closing. */
static bool feed_once(struct conn *c, const uint8_t **data, size_t *size)
{
    if (c->exchange == NULL) {
        if (*size == 0)
            return false;
        c->exchange = exchange_take(c->gl, &c->client);
        if (c->exchange == NULL) {
            conn_abort(c);
            return false;
        }
        timer_start(&c->timer, GATEWAY_HEAD_MS);
    }
    struct exchange *x = c->exchange;
    struct http1_text body;
    size_t used;
    enum http1_result r = http1_feed(&x->http, *data, *size, &used, &body);
    *data += used;
    *size -= used;
    switch (r) {
    case HTTP1_HEAD:
        timer_start(&c->timer, GATEWAY_BODY_IDLE_MS);
        exchange_on_head(x);
        return true;
    case HTTP1_BODY:
        timer_start(&c->timer, GATEWAY_BODY_IDLE_MS);
        exchange_on_body(x, body.data, body.size);
        return true;
    case HTTP1_END:
        on_whole(c);
        return true;
    case HTTP1_BAD:
        exchange_on_bad(x, x->http.status, x->http.reason);
        return false;
    default:
        return false;
    }
}

/* The client says no more and what is here is used up: what it began is answered, then all is over.
 */
static void end_of_input(struct conn *c)
{
    if (c->exchange != NULL && c->exchange->http.head.size > 0)
        exchange_on_bad(c->exchange, 400, "the request ended before it was whole");
    else
        close_after_flush(c);
}

static void feed(struct conn *c, const uint8_t *data, size_t size)
{
    c->feeding = true;
    while (!c->client.closing && !c->serving && !c->held) {
        if (c->exchange == NULL && sock_pending(c->sock) > GATEWAY_OUTPUT_MAX) {
            timer_start(&c->timer, GATEWAY_THROTTLE_MS);
            break;
        }
        if (!feed_once(c, &data, &size))
            break;
    }
    c->feeding = false;
    if (!c->client.closing && size > 0 && c->tunnel && !c->held)
        exchange_on_tunnel(c->exchange, data, size);
    else if (!c->client.closing && size > 0)
        keep_pending(c, data, size);
    if (!c->client.closing && c->eof && !c->serving && !c->held && c->pending.size == 0)
        end_of_input(c);
}

/* Does the connection begin as HTTP/2 does?  1 yes, 0 no, -1 too early to say. */
static int begins_http2(const struct conn *c, const uint8_t *data, size_t size)
{
    const char *agreed = sock_protocol(c->sock); /* by ALPN */
    if (c->requests > 0 || c->exchange != NULL || strcmp(agreed, "http/1.1") == 0)
        return 0;
    size_t n = size < HTTP2_PREFACE_SIZE ? size : HTTP2_PREFACE_SIZE;
    if (memcmp(data, http2_preface, n) != 0)
        return 0;
    return n == HTTP2_PREFACE_SIZE ? 1 : -1;
}

/* The socket goes on as HTTP/2; what is left here is no connection any more. */
static void become_http2(struct conn *c, const uint8_t *data, size_t size)
{
    struct buf pending = c->pending;
    if (http2_open(c->gl, c->sock, data, size) < 0) {
        conn_abort(c);
        return;
    }
    timer_stop(&c->timer);
    list_remove(&c->link);
    buf_done(&pending);
    alloc_free(c);
}

/* The first bytes, until they show which HTTP this is.  "PRI " begins no request of HTTP/1.1, so
 * waiting for the rest of it delays nobody. */
static void on_first_bytes(struct conn *c, const uint8_t *data, size_t size)
{
    if (c->pending.size > 0) {
        if (!keep_pending(c, data, size))
            return;
        data = c->pending.data;
        size = c->pending.size;
    }
    int http2 = begins_http2(c, data, size);
    if (http2 > 0) {
        become_http2(c, data, size);
        return;
    }
    c->sniffed = http2 == 0;
    if (c->sniffed && c->pending.size > 0) {
        resume(c);
    } else if (c->sniffed) {
        feed(c, data, size);
    } else if (c->pending.size == 0) {
        timer_start(&c->timer, GATEWAY_HEAD_MS);
        keep_pending(c, data, size);
    }
}

static void on_bytes(void *owner, const uint8_t *data, size_t size)
{
    struct conn *c = owner;
    if (c->client.closing)
        return;
    if (!c->sniffed) {
        on_first_bytes(c, data, size);
        return;
    }
    if (c->held || c->pending.size > 0 || (c->serving && !c->tunnel))
        keep_pending(c, data, size);
    else
        feed(c, data, size);
}

/* Goes on with what was pipelined. */
static void resume(struct conn *c)
{
    struct buf pending = c->pending;
    c->pending = (struct buf){ 0 };
    sock_pause(c->sock, false);
    feed(c, pending.data, pending.size);
    buf_done(&pending);
}

static void on_eof(void *owner)
{
    struct conn *c = owner;
    c->eof = true;
    if (c->client.closing)
        return;
    if (c->serving && exchange_is_stream(c->exchange))
        conn_abort(
            c); /* nobody half-closes a stream to read on; a client that left looks like this */
    else if (c->serving)
        timer_start(&c->timer, GATEWAY_HALF_CLOSED_MS);
    else if (c->pending.size == 0 && !c->held)
        end_of_input(c);
}

static void on_drained(void *owner)
{
    struct conn *c = owner;
    if (c->client.closing)
        return;
    if (c->exchange != NULL)
        exchange_on_drained(c->exchange);
    else if (c->pending.size > 0)
        resume(c);
}

/* ---- what an exchange sees of it ------------------------------------------------------ */

static void client_ended(struct client *client, bool keep)
{
    struct conn *c = (struct conn *) client;
    client->busy = false;
    c->exchange = NULL;
    c->held = false;
    c->serving = false;
    c->requests++;
    if (c->client.closing)
        return;
    sock_mark_dirty(c->sock);
    if (!keep || c->gl->draining) {
        close_after_flush(c);
        return;
    }
    timer_start(&c->timer, GATEWAY_IDLE_MS);
    if (c->feeding)
        return;
    if (c->pending.size > 0)
        resume(c);
    else if (c->eof)
        close_after_flush(c);
}

static struct buf *client_output(struct client *client)
{
    return sock_tail(((struct conn *) client)->sock);
}

static void client_send(struct client *client)
{
    sock_mark_dirty(((struct conn *) client)->sock);
}

static size_t client_unsent(const struct client *client)
{
    return sock_pending(((const struct conn *) client)->sock);
}

static uint64_t client_progress_ns(const struct client *client)
{
    return sock_last_progress_ns(((const struct conn *) client)->sock);
}

static void client_hold(struct client *client, bool held)
{
    struct conn *c = (struct conn *) client;
    if (c->held == held || client->closing)
        return;
    c->held = held;
    if (held) {
        timer_stop(&c->timer);
        return;
    }
    if (!c->serving)
        timer_start(&c->timer, GATEWAY_BODY_IDLE_MS);
    if (c->feeding)
        return;
    if (c->pending.size > 0 && (!c->serving || c->tunnel))
        resume(c);
    else if (!c->serving)
        feed(c, NULL, 0); /* the end of the body may be all that is left */
}

static void client_tunnel(struct client *client)
{
    ((struct conn *) client)->tunnel = true;
}

static void client_abort(struct client *client)
{
    conn_abort((struct conn *) client);
}

static const char *client_peer(const struct client *client)
{
    return sock_peer(((const struct conn *) client)->sock);
}

static const struct client_ops conn_client_ops = {
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

void conn_open(struct gateway_loop *gl, int fd, const struct sock_tls *tls)
{
    static const struct sock_events events = {
        .on_bytes = on_bytes, .on_eof = on_eof, .on_drained = on_drained, .on_close = on_close
    };
    struct conn *c = gl->draining ? NULL : alloc_zero(1, sizeof *c);
    if (c == NULL || sock_open(gl->loop, fd, &events, c, &c->sock) < 0) {
        close(fd);
        alloc_free(c);
        return;
    }
    c->client.ops = &conn_client_ops;
    c->gl = gl;
    sock_set_low(c->sock, GATEWAY_OUTPUT_MAX / 4);
    list_init(&c->link);
    list_add_tail(&gl->connections, &c->link);
    timer_init(&c->timer, gl->loop, on_timer);
    timer_start(&c->timer, GATEWAY_IDLE_MS);
    if (tls != NULL && sock_start_tls(c->sock, tls) < 0)
        conn_abort(c);
}
