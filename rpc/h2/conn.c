#include "rpc/h2/conn.h"

#include <errno.h>

#include "rpc/base/alloc.h"
#include "rpc/base/map.h"

enum { OUTPUT_MAX = 262144, OUTPUT_LOW = 65536, TICK_MIN_MS = 10, CUT_WAIT_MS = 2000 };
enum { TLS_ALERT = 21, TLS_MAJOR = 3 }; /* what a TLS port answers to plain bytes */
#define NS_PER_MS 1000000ull

struct h2_conn {
    nrpc_loop *loop;
    struct sock *sock;
    struct h2_session *session;
    struct h2_conn_options options;
    const struct h2_conn_events *ev;
    void *owner;
    const char *peer, *subject; /* the socket's texts; stay valid through on_close */
    const char *why;
    struct timer tick;
    struct loop_dirty again; /* output is left for the next turn */
    uint64_t opened_ns, idle_since_ns, received_ns;
    uint64_t pinged_ns;  /* when the keepalive PING went that waits for an answer; 0: none does */
    uint64_t age_due_ns; /* the next step of getting old; UINT64_MAX: none */
    uint64_t keepalives;
    enum { AGE_YOUNG, AGE_DRAINING, AGE_CUT } age;
    int error;
    bool connecting, closing, paused;
};

static uint64_t now(const struct h2_conn *c)
{
    return loop_now_ns(c->loop);
}

/* ---- keepalive
 * ----------------------------------------------------------------------------------- */
static bool has_keepalive(const struct h2_conn *c)
{
    return c->options.keepalive_ms > 0 && h2_session_has_settings(c->session) &&
           (c->options.keepalive_idle || h2_session_streams(c->session) > 0);
}

static uint64_t keepalive_due(const struct h2_conn *c)
{
    if (!has_keepalive(c))
        return UINT64_MAX;
    bool waits = c->pinged_ns != 0 && c->received_ns <= c->pinged_ns;
    return waits ? c->pinged_ns + c->options.keepalive_timeout_ms * NS_PER_MS
                 : c->received_ns + c->options.keepalive_ms * NS_PER_MS;
}

/* False when the peer is taken for dead. */
static bool keepalive_look(struct h2_conn *c)
{
    if (c->received_ns > c->pinged_ns)
        c->pinged_ns = 0;
    if (now(c) < keepalive_due(c))
        return true;
    if (c->pinged_ns != 0)
        return false;
    c->pinged_ns = now(c);
    c->keepalives++;
    if (h2_session_ping(c->session) < 0)
        return false;
    sock_mark_dirty(c->sock);
    return true;
}

/* ---- age
 * ----------------------------------------------------------------------------------------- */
/* +-10 %, so that connections that came together do not come back together. */
static uint64_t age_limit_ns(const struct h2_conn *c)
{
    const uint64_t seed[2] = { c->opened_ns, (uint64_t) (uintptr_t) c };
    uint64_t permille = 900 + map_hash(seed, sizeof seed) % 201;
    return c->options.age_ms * permille * (NS_PER_MS / 1000);
}

static void age_look(struct h2_conn *c)
{
    if (now(c) < c->age_due_ns)
        return;
    c->age_due_ns = UINT64_MAX;
    if (c->age == AGE_YOUNG) {
        c->age = AGE_DRAINING;
        if (c->options.age_grace_ms > 0)
            c->age_due_ns = now(c) + c->options.age_grace_ms * NS_PER_MS;
        h2_conn_shutdown(c);
    } else if (c->age == AGE_DRAINING && c->ev->on_aged != NULL) {
        c->age = AGE_CUT;
        c->age_due_ns = now(c) + CUT_WAIT_MS * NS_PER_MS;
        c->ev->on_aged(c->owner);
    } else {
        sock_close(c->sock);
    }
}

/* ---- the timer
 * ----------------------------------------------------------------------------------- */
/* The next look at this connection: soon while it works, at the idle limit while it rests. */
static void tick_start(struct h2_conn *c)
{
    const struct h2_conn_options *o = &c->options;
    uint64_t after = 0;
    if (c->sock == NULL)
        return; /* streams that close with the connection: it is about to be freed */
    if (!h2_session_is_settled(c->session) && o->handshake_ms > 0)
        after = o->handshake_ms;
    else if (h2_session_streams(c->session) > 0 && o->stall_ms > 0)
        after = o->stall_ms / 4 < TICK_MIN_MS ? TICK_MIN_MS : o->stall_ms / 4;
    else if (o->idle_ms > 0 && !c->closing)
        after = o->idle_ms;
    uint64_t due = after == 0 ? UINT64_MAX : now(c) + after * NS_PER_MS;
    uint64_t alive = keepalive_due(c);
    if (alive < due)
        due = alive;
    if (c->age_due_ns < due)
        due = c->age_due_ns;
    uint64_t block = h2_session_block_since_ns(c->session);
    if (block != 0 && o->handshake_ms > 0 && block + o->handshake_ms * NS_PER_MS < due)
        due = block + o->handshake_ms * NS_PER_MS;
    if (due == UINT64_MAX)
        return;
    /* Only ever earlier: one restart when work begins, none when it ends. */
    if (!timer_running(&c->tick) || due < c->tick.due_ns)
        timer_start_at(&c->tick, due);
}

static void note_abuse(struct h2_conn *c, enum h2_abuse kind)
{
    h2_abuse_note(kind);
    if (c->ev->on_abuse != NULL)
        c->ev->on_abuse(c->owner, kind);
}

static void give_up(struct h2_conn *c)
{
    c->error = ETIMEDOUT;
    sock_close(c->sock);
}

static bool is_stalled(const struct h2_conn *c, uint64_t limit_ns)
{
    return sock_pending(c->sock) > 0 && now(c) - sock_last_progress_ns(c->sock) >= limit_ns;
}

static void reap_streams(struct h2_conn *c, uint64_t limit_ns)
{
    uint64_t at = now(c);
    for (size_t left = h2_session_streams(c->session); left > 0 && at > limit_ns; left--) {
        struct h2_stream *st = h2_session_find_stalled(c->session, at - limit_ns);
        if (st == NULL || c->ev->on_stalled == NULL)
            return;
        note_abuse(c, H2_ABUSE_STALLED_STREAM);
        c->ev->on_stalled(c->owner, st);
    }
}

static void on_tick(struct timer *t)
{
    struct h2_conn *c = CONTAINER_OF(t, struct h2_conn, tick);
    const struct h2_conn_options *o = &c->options;
    uint64_t at = now(c);
    bool settled = h2_session_has_settings(c->session) && h2_session_is_settled(c->session);
    if (!settled && o->handshake_ms > 0 && at - c->opened_ns >= o->handshake_ms * NS_PER_MS) {
        if (o->h2.role == H2_SERVER)
            note_abuse(c, H2_ABUSE_SLOW_HANDSHAKE);
        give_up(c);
        return;
    }
    uint64_t block = h2_session_block_since_ns(c->session);
    if (block != 0 && o->handshake_ms > 0 && at - block >= o->handshake_ms * NS_PER_MS) {
        h2_session_end_abuse(c->session, H2_ABUSE_SLOW_HEADERS, "a header block took too long");
        c->error = ETIMEDOUT;
        sock_mark_dirty(c->sock);
        return;
    }
    if (o->stall_ms > 0) {
        if (is_stalled(c, o->stall_ms * NS_PER_MS)) {
            note_abuse(c, H2_ABUSE_NOT_READING);
            give_up(c);
            return;
        }
        reap_streams(c, o->stall_ms * NS_PER_MS);
    }
    if (c->ev->on_tick != NULL && h2_session_streams(c->session) > 0)
        c->ev->on_tick(c->owner);
    if (!keepalive_look(c)) {
        give_up(c);
        return;
    }
    age_look(c);
    if (h2_session_streams(c->session) == 0 && o->idle_ms > 0 && !c->closing) {
        uint64_t due = c->idle_since_ns + o->idle_ms * NS_PER_MS;
        if (at >= due) {
            c->closing = true;
            h2_session_goaway(c->session, H2_NO_ERROR, "idle");
            sock_mark_dirty(c->sock);
        } else {
            timer_start_at(&c->tick, due);
        }
    }
    tick_start(c);
}

/* ---- the session's events
 * ------------------------------------------------------------------------ */
static void on_request(void *owner, struct h2_stream *st, const struct h2_field *fields, size_t n,
                       bool end, bool too_big)
{
    struct h2_conn *c = owner;
    if (c->ev->on_request != NULL)
        c->ev->on_request(c->owner, st, fields, n, end, too_big);
}

static void on_settings(void *owner)
{
    struct h2_conn *c = owner;
    tick_start(c); /* keepalive begins here */
    if (c->ev->on_ready != NULL)
        c->ev->on_ready(c->owner);
}

static void on_goaway(void *owner, uint32_t error_code)
{
    struct h2_conn *c = owner;
    if (c->ev->on_goaway != NULL)
        c->ev->on_goaway(c->owner, error_code);
}

static void on_output(void *owner)
{
    struct h2_conn *c = owner;
    if (c->sock != NULL && !c->connecting)
        sock_mark_dirty(c->sock);
}

static void on_abuse(void *owner, enum h2_abuse kind)
{
    struct h2_conn *c = owner;
    if (c->ev->on_abuse != NULL)
        c->ev->on_abuse(c->owner, kind);
}

static void on_streams(void *owner, size_t open)
{
    struct h2_conn *c = owner;
    if (open == 0) {
        c->idle_since_ns = now(c);
        if (c->closing)
            on_output(c);
    } else if (open == 1) {
        tick_start(c);
    }
    if (c->ev->on_streams != NULL)
        c->ev->on_streams(c->owner, open);
}

static const struct h2_session_events session_events = {
    .on_request = on_request,
    .on_settings = on_settings,
    .on_goaway = on_goaway,
    .on_output = on_output,
    .on_abuse = on_abuse,
    .on_streams = on_streams,
};

/* ---- the socket's events
 * ------------------------------------------------------------------------- */
static void on_bytes(void *owner, const uint8_t *data, size_t size)
{
    struct h2_conn *c = owner;
    c->received_ns = now(c);
    if (c->options.h2.role == H2_CLIENT && !h2_session_has_settings(c->session) && size > 1 &&
        data[0] == TLS_ALERT && data[1] == TLS_MAJOR)
        c->why = "the server speaks TLS (--tls?)";
    int r = h2_session_feed(c->session, data, size, c->received_ns);
    if (r == NRPC_E_NOMEM) {
        c->error = ENOMEM;
        sock_close(c->sock);
        return;
    }
    if (r < 0)
        c->error = EPROTO;
    /* Also after an error: the GOAWAY must go out before the socket closes. */
    if (r < 0 || h2_session_wants_drain(c->session) || h2_session_is_done(c->session))
        sock_mark_dirty(c->sock);
}

static void on_flush(void *owner)
{
    struct h2_conn *c = owner;
    size_t pending = sock_pending(c->sock);
    struct buf *tail = sock_tail(c->sock);
    if (pending < OUTPUT_MAX) {
        size_t max = tail->size + OUTPUT_MAX - pending;
        int r = h2_session_drain(c->session, tail, max, now(c));
        if (r == NRPC_E_NOMEM || tail->failed) {
            c->error = ENOMEM;
            sock_close(c->sock);
            return;
        }
        if (r < 0 && c->error == 0)
            c->error = EPROTO;
    }
    bool more = h2_session_wants_drain(c->session);
    bool rest = c->closing && h2_session_streams(c->session) == 0 && !more &&
                (c->options.h2.role == H2_CLIENT || h2_session_said_goaway(c->session));
    if (h2_session_is_done(c->session) || rest) {
        sock_close_after_flush(c->sock);
        return;
    }
    /* A peer that does not take its answers gets no more requests read. */
    if (more && sock_pending(c->sock) >= OUTPUT_MAX && !c->paused) {
        c->paused = true;
        sock_pause(c->sock, true);
    }
    if (more)
        loop_mark_dirty(c->loop, &c->again);
    if (more || sock_pending(c->sock) > 0)
        tick_start(c);
}

static void on_drained(void *owner)
{
    struct h2_conn *c = owner;
    if (c->paused) {
        c->paused = false;
        sock_pause(c->sock, false);
    }
    if (h2_session_wants_drain(c->session))
        sock_mark_dirty(c->sock);
}

/* The turn after a flush that left something.  When the kernel took all at once there is no
 * on_drained; what still waits for it is continued there. */
static void flush_again(struct loop_dirty *d)
{
    struct h2_conn *c = CONTAINER_OF(d, struct h2_conn, again);
    if (c->sock != NULL && sock_pending(c->sock) <= OUTPUT_LOW)
        on_drained(c);
}

static void on_connected(void *owner)
{
    struct h2_conn *c = owner;
    c->connecting = false;
    c->subject = sock_peer_subject(c->sock);
    sock_mark_dirty(c->sock);
}

static void on_close(void *owner, int error)
{
    struct h2_conn *c = owner;
    timer_stop(&c->tick);
    list_remove(&c->again.link);
    if (c->why == NULL)
        c->why = sock_why(c->sock);
    if (c->options.h2.role == H2_SERVER && c->error == 0 && c->why != NULL && error == ETIMEDOUT)
        note_abuse(c, H2_ABUSE_SLOW_HANDSHAKE); /* inside TLS, whose timer was first */
    c->sock = NULL;
    h2_session_abort(c->session);
    c->ev->on_close(c->owner, c->error != 0 ? c->error : error);
    h2_session_free(c->session);
    alloc_free(c);
}

static const struct sock_events sock_events = {
    .on_bytes = on_bytes,
    .on_flush = on_flush,
    .on_drained = on_drained,
    .on_connected = on_connected,
    .on_close = on_close,
};

/* ---- life
 * ---------------------------------------------------------------------------------------- */
static struct h2_conn *conn_new(nrpc_loop *l, const struct h2_conn_options *o,
                                const struct h2_conn_events *ev, void *owner)
{
    struct h2_conn *c = alloc_zero(1, sizeof *c);
    if (c == NULL)
        return NULL;
    c->loop = l;
    c->options = *o;
    c->ev = ev;
    c->owner = owner;
    c->opened_ns = c->idle_since_ns = c->received_ns = loop_now_ns(l);
    c->age_due_ns = o->age_ms > 0 ? c->opened_ns + age_limit_ns(c) : UINT64_MAX;
    timer_init(&c->tick, l, on_tick);
    list_init(&c->again.link);
    c->again.flush = flush_again;
    if (h2_session_new(&o->h2, &session_events, c, c->opened_ns, &c->session) < 0) {
        alloc_free(c);
        return NULL;
    }
    return c;
}

static void conn_drop(struct h2_conn *c)
{
    h2_session_free(c->session);
    alloc_free(c);
}

static void settle(struct h2_conn *c)
{
    c->peer = sock_peer(c->sock);
    c->subject = sock_peer_subject(c->sock);
    sock_set_low(c->sock, OUTPUT_LOW);
    tick_start(c);
}

int h2_conn_adopt(struct sock *sock, const struct h2_conn_options *o,
                  const struct h2_conn_events *ev, void *owner, struct h2_conn **out_conn)
{
    struct h2_conn *c = conn_new(sock_loop(sock), o, ev, owner);
    if (c == NULL)
        return NRPC_E_NOMEM;
    c->sock = sock;
    sock_rebind(sock, &sock_events, c);
    settle(c);
    sock_mark_dirty(sock);
    *out_conn = c;
    return 0;
}

void h2_conn_feed(struct h2_conn *c, const uint8_t *data, size_t size)
{
    if (c->sock != NULL)
        on_bytes(c, data, size);
}

int h2_conn_accept(nrpc_loop *l, int fd, const struct h2_conn_options *o,
                   const struct h2_conn_events *ev, void *owner, struct h2_conn **out_conn)
{
    ON_LOOP(l);
    struct h2_conn *c = conn_new(l, o, ev, owner);
    if (c == NULL)
        return NRPC_E_NOMEM;
    int r = sock_open(l, fd, &sock_events, c, &c->sock);
    if (r < 0) {
        conn_drop(c);
        return r;
    }
    settle(c);
    sock_mark_dirty(c->sock);
    *out_conn = c;
    return 0;
}

int h2_conn_connect(nrpc_loop *l, const char *address, uint32_t timeout_ms,
                    const struct h2_conn_options *o, const struct h2_conn_events *ev, void *owner,
                    struct h2_conn **out_conn)
{
    ON_LOOP(l);
    struct h2_conn *c = conn_new(l, o, ev, owner);
    if (c == NULL)
        return NRPC_E_NOMEM;
    c->connecting = true;
    int r = sock_connect(l, address, timeout_ms, &sock_events, c, &c->sock);
    if (r < 0) {
        conn_drop(c);
        return r;
    }
    settle(c);
    *out_conn = c;
    return 0;
}

int h2_conn_start_tls(struct h2_conn *c, const struct sock_tls *tls)
{
    return sock_start_tls(c->sock, tls);
}

const char *h2_conn_why(const struct h2_conn *c)
{
    return c->why;
}

const char *h2_conn_cipher(const struct h2_conn *c)
{
    return c->sock == NULL ? "" : sock_cipher(c->sock);
}

const char *h2_conn_peer_subject(const struct h2_conn *c)
{
    return c->subject;
}

struct h2_session *h2_conn_session(struct h2_conn *c)
{
    return c->session;
}

const char *h2_conn_peer(const struct h2_conn *c)
{
    return c->peer;
}

nrpc_loop *h2_conn_loop(const struct h2_conn *c)
{
    return c->loop;
}

uint64_t h2_conn_keepalives(const struct h2_conn *c)
{
    return c->keepalives;
}

void h2_conn_shutdown(struct h2_conn *c)
{
    ON_LOOP(c->loop);
    if (c->sock == NULL)
        return;
    if (c->options.h2.role == H2_SERVER && h2_session_shutdown(c->session) < 0)
        sock_close(c->sock);
    c->closing = true;
    if (!c->connecting)
        sock_mark_dirty(c->sock);
    else
        sock_close(c->sock);
}

void h2_conn_close(struct h2_conn *c)
{
    if (c->sock != NULL)
        sock_close(c->sock);
}
