#include "gateway/conn.h"

#include <string.h>
#include <unistd.h>

#include "gateway/exchange.h"
#include "rpc/base/alloc.h"

static void feed(struct conn *c, const uint8_t *data, size_t size);
static void resume(struct conn *c);

/* ---- the life of a connection ---------------------------------------------------------- */

static void on_close(void *owner, int error)
{
    struct conn *c = owner;
    (void) error;
    struct gateway_loop *gl = c->gl;
    c->closing = true;
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
    if (c->closing)
        return;
    c->closing = true;
    timer_stop(&c->timer);
    sock_close_after_flush(c->sock);
}

void conn_abort(struct conn *c)
{
    c->closing = true;
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
    if (c->closing)
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
        c->exchange = exchange_take(c);
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

static void feed(struct conn *c, const uint8_t *data, size_t size)
{
    c->feeding = true;
    while (!c->closing && !c->serving) {
        if (c->exchange == NULL && sock_pending(c->sock) > GATEWAY_OUTPUT_MAX) {
            timer_start(&c->timer, GATEWAY_THROTTLE_MS);
            break;
        }
        if (!feed_once(c, &data, &size))
            break;
    }
    c->feeding = false;
    if (!c->closing && size > 0)
        keep_pending(c, data, size);
    if (!c->closing && c->eof && c->exchange == NULL && c->pending.size == 0)
        close_after_flush(c);
}

static void on_bytes(void *owner, const uint8_t *data, size_t size)
{
    struct conn *c = owner;
    if (c->closing)
        return;
    if (c->serving || c->pending.size > 0)
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
    if (c->closing)
        return;
    if (c->serving && exchange_is_stream(c->exchange))
        conn_abort(
            c); /* nobody half-closes a stream to read on; a client that left looks like this */
    else if (c->serving)
        timer_start(&c->timer, GATEWAY_HALF_CLOSED_MS);
    else if (c->pending.size == 0)
        close_after_flush(c);
}

static void on_drained(void *owner)
{
    struct conn *c = owner;
    if (c->closing)
        return;
    if (c->exchange != NULL)
        exchange_on_drained(c->exchange);
    else if (c->pending.size > 0)
        resume(c);
}

void conn_exchange_ended(struct conn *c, bool keep)
{
    c->exchange = NULL;
    c->serving = false;
    c->requests++;
    if (c->closing)
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

void conn_open(struct gateway_loop *gl, int fd)
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
    c->gl = gl;
    sock_set_low(c->sock, GATEWAY_OUTPUT_MAX / 4);
    list_init(&c->link);
    list_add_tail(&gl->connections, &c->link);
    timer_init(&c->timer, gl->loop, on_timer);
    timer_start(&c->timer, GATEWAY_IDLE_MS);
}
