/* A socket's TLS: when to shake hands, to read and to seal.  The bytes themselves are tls_conn.c's.
 */
#include <errno.h>
#include <string.h>

#include "rpc/base/clock.h"
#include "rpc/io/sock_inner.h"

enum {
    RECORD_BYTES = 16384,
    SEALED_MAX = 65536, /* sealed and unsent; what is over it waits in clear, where it still can be
                           dropped */
    IOVECS = 16,
    HANDSHAKE_MS = 10000,
    FAILED_MS = 1000 /* for the alert to leave */
};

/* A spare buffer of the loop for what TLS is about to send, so that a resting socket holds none. */
static void take_wire(struct sock *s)
{
    struct buf *wire = tls_conn_wire(s->tls);
    if (wire->data == NULL && !wire->failed)
        loop_take_spare(s->loop, wire);
}

static void give_wire(struct sock *s)
{
    struct buf *wire = tls_conn_wire(s->tls);
    if (tls_conn_pending(s->tls) == 0 && wire->data != NULL && !wire->failed)
        loop_give_spare(s->loop, wire);
}

/* A client goes at once, after one attempt to tell the peer why; a server waits for the peer's FIN,
 * because closing with unread bytes would reset the connection before the alert arrives. */
static void fail(struct sock *s)
{
    if (s->state == SOCK_CLOSED)
        return;
    bool serves = tls_conn_is_server(s->tls);
    int error = tls_conn_error(s->tls);
    s->error = error != 0 ? error : EPROTO;
    outq_done(&s->out);
    s->state = SOCK_FLUSHING;
    timer_start(&s->timer, FAILED_MS);
    if (serves && error == 0) {
        sock_watch(s);
        sock_mark_dirty(s);
        return;
    }
    sock_tls_write(s);
    sock_close_with(s, s->error);
}

/* ---- the handshake
 * -------------------------------------------------------------------------------------- */
int sock_start_tls(struct sock *s, const struct sock_tls *tls)
{
    ON_LOOP(s->loop);
    if (s->state == SOCK_CLOSED)
        return 0; /* connecting failed at once: on_close is on its way */
    if (s->tls != NULL || s->state > SOCK_OPEN)
        return NRPC_E_STATE;
    int r = tls_conn_new(tls, s->fd, &s->tls);
    if (r < 0)
        return r;
    s->handshake_ms = tls->handshake_ms == 0 ? HANDSHAKE_MS : tls->handshake_ms;
    if (s->state == SOCK_OPEN)
        sock_tls_begin(s);
    return 0;
}

void sock_tls_begin(struct sock *s)
{
    s->state = SOCK_SHAKING;
    timer_start(&s->timer, s->handshake_ms);
    sock_watch(s);
    if (s->state == SOCK_SHAKING && !tls_conn_is_server(s->tls))
        sock_tls_step(s);
}

static void on_shaken(struct sock *s)
{
    timer_stop(&s->timer);
    s->state = SOCK_OPEN;
    s->progress_ns = loop_now_ns(s->loop);
    sock_watch(s);
    sock_mark_dirty(s);
    if (s->events->on_connected != NULL)
        s->events->on_connected(s->owner);
    /* The peer's first data may have come with the end of its handshake. */
    if (s->state == SOCK_OPEN && !s->paused)
        sock_tls_read(s);
    else
        s->read_more = true;
}

void sock_tls_step(struct sock *s)
{
    take_wire(s);
    enum tls_result r = tls_conn_handshake(s->tls);
    if (tls_conn_pending(s->tls) > 0)
        sock_mark_dirty(s);
    else
        give_wire(s);
    if (r == TLS_OK)
        on_shaken(s);
    else if (r == TLS_FAILED)
        fail(s);
}

/* ---- reading
 * -------------------------------------------------------------------------------------------- */
void sock_tls_read(struct sock *s)
{
    uint8_t *buffer = loop_read_buffer(s->loop);
    size_t size = 0;
    s->read_more = false;
    enum tls_result r = tls_conn_read(s->tls, buffer, LOOP_READ_BYTES, &size);
    if (tls_conn_pending(s->tls) > 0)
        sock_mark_dirty(s); /* an alert, an answer to a key update */
    if (size > 0)
        s->events->on_bytes(s->owner, buffer, size);
    if (s->state != SOCK_OPEN)
        return;
    if (r == TLS_OK) {
        s->read_more = true; /* this turn's share is used up */
        if (!s->paused)
            loop_mark_dirty(s->loop, &s->more);
    } else if (r == TLS_EOF && tls_conn_error(s->tls) != 0) {
        sock_close_with(s, tls_conn_error(s->tls));
    } else if (r == TLS_EOF) {
        sock_end_of_input(s);
    } else if (r == TLS_FAILED) {
        fail(s);
    }
}

void sock_tls_on_more(struct loop_dirty *d)
{
    struct sock *s = LIST_ENTRY(d, struct sock, more);
    if (s->state == SOCK_OPEN && s->read_more && !s->paused)
        sock_tls_read(s);
}

void sock_tls_on_readable(struct sock *s)
{
    /* Hundreds of handshakes at a time must not hold up the connections that are through: the rest
     * is still readable in the next turn. */
    if (s->state == SOCK_SHAKING && !loop_may_shake(s->loop))
        return;
    tls_conn_set_readable(s->tls);
    if (s->state != SOCK_SHAKING) {
        sock_tls_read(s);
        return;
    }
    nrpc_loop *loop = s->loop;
    uint64_t began = clock_mono_ns();
    sock_tls_step(s);
    loop_add_shaking(loop, clock_mono_ns() - began);
}

/* ---- writing
 * -------------------------------------------------------------------------------------------- */
/* The next bytes in clear, in one piece: as they lie there, or small pieces brought together for
 * one record. */
static const uint8_t *next_piece(struct sock *s, size_t limit, size_t *out_size)
{
    struct iovec iov[IOVECS];
    int n = outq_gather(&s->out, iov, IOVECS, limit);
    if (n == 1 || iov[0].iov_len >= RECORD_BYTES) {
        size_t whole = iov[0].iov_len - (n == 1 ? 0 : iov[0].iov_len % RECORD_BYTES);
        *out_size = whole;
        return iov[0].iov_base;
    }
    uint8_t *piece = loop_read_buffer(s->loop); /* nobody reads during a flush */
    size_t size = 0;
    for (int i = 0; i < n && size < RECORD_BYTES; i++) {
        size_t take = RECORD_BYTES - size;
        if (take > iov[i].iov_len)
            take = iov[i].iov_len;
        memcpy(piece + size, iov[i].iov_base, take);
        size += take;
    }
    *out_size = size;
    return piece;
}

static bool seal(struct sock *s)
{
    if (s->state == SOCK_SHAKING)
        return true;
    if (tls_conn_why(s->tls) != NULL) { /* over: only the alert is left */
        outq_done(&s->out);
        return true;
    }
    take_wire(s);
    size_t pending;
    while (outq_size(&s->out) > 0 && (pending = tls_conn_pending(s->tls)) < SEALED_MAX) {
        size_t size;
        const uint8_t *piece = next_piece(s, SEALED_MAX - pending, &size);
        if (tls_conn_write(s->tls, piece, size) != TLS_OK)
            return false;
        outq_consume(&s->out, size);
    }
    if (outq_size(&s->out) == 0) {
        outq_consume(&s->out, 0); /* references to nothing are through, too */
        if (s->state == SOCK_FLUSHING)
            tls_conn_say_bye(s->tls);
    }
    return true;
}

void sock_tls_write(struct sock *s)
{
    size_t written = 0;
    while (!s->blocked && s->state != SOCK_CLOSED && written < SOCK_WRITE_BYTES_PER_TURN) {
        if (!seal(s)) {
            sock_close_with(s, EPROTO);
            return;
        }
        struct iovec iov = { (void *) (uintptr_t) tls_conn_output(s->tls),
                             tls_conn_pending(s->tls) };
        struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
        if (iov.iov_len == 0)
            break;
        size_t n = sock_send(s, &msg);
        tls_conn_sent(s->tls, n);
        written += n;
    }
    if (s->state == SOCK_CLOSED)
        return;
    give_wire(s);
    if (s->blocked)
        sock_watch(s);
    else if (sock_pending(s) > 0 && s->state != SOCK_SHAKING)
        loop_mark_dirty(s->loop, &s->dirty); /* its share of this turn is used up */
}

/* ---- what was agreed
 * ------------------------------------------------------------------------------------ */
const char *sock_protocol(const struct sock *s)
{
    return s->tls == NULL ? "" : tls_conn_protocol(s->tls);
}

const char *sock_cipher(const struct sock *s)
{
    return s->tls == NULL ? "" : tls_conn_cipher(s->tls);
}

const char *sock_peer_subject(const struct sock *s)
{
    return s->tls == NULL ? NULL : tls_conn_subject(s->tls);
}

const char *sock_why(const struct sock *s)
{
    return s->tls == NULL ? NULL : tls_conn_why(s->tls);
}
