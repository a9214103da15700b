/* One address of a channel: connecting, backing off with jitter, its pool of connections, and what
 * happens on them. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "rpc/base/alloc.h"
#include "rpc/base/log.h"
#include "rpc/client/inner.h"

/* Connections beside the first are for a peak: they go when they had nothing to do for so long. */
enum { SPARE_IDLE_MS = 60000 };
/* A server that refuses them is not asked at every turn. */
enum { GROW_AGAIN_MS = 1000 };
#define NS_PER_MS 1000000ull

static void on_backoff_over(struct timer *t)
{
    struct subchannel *sub = CONTAINER_OF(t, struct subchannel, backoff);
    nrpc_channel *ch = sub->channel;
    if (sub->state == SUB_BACKOFF)
        sub->state = SUB_IDLE;
    if (ch->options.balance == NRPC_PICK_FIRST)
        channel_wake(ch); /* another address may do by now */
    else
        subchannel_connect(sub);
    channel_run_pending(ch);
}

int subchannel_new(nrpc_channel *ch, const char *address, const struct target_name *name,
                   struct subchannel **out_sub)
{
    struct subchannel *sub = alloc_zero(1, sizeof *sub);
    if (sub == NULL)
        return NRPC_E_NOMEM;
    sub->channel = ch;
    snprintf(sub->address, sizeof sub->address, "%s", address);
    const char *authority = name->is_unix ? "localhost" : name->text;
    snprintf(sub->authority, sizeof sub->authority, "%s",
             ch->authority != NULL ? ch->authority : authority);
    sub->backoff_ms = ch->options.backoff_min_ms;
    list_init(&sub->conns);
    timer_init(&sub->backoff, ch->loop, on_backoff_over);
    backend_health_init(sub);
    outlier_init(sub);
    ch->n_live++;
    *out_sub = sub;
    return 0;
}

void subchannel_check_gone(struct subchannel *sub)
{
    nrpc_channel *ch = sub->channel;
    if (!sub->retired || sub->calls > 0 || sub->health.call != NULL || !list_empty(&sub->conns))
        return;
    ch->n_live--;
    alloc_free(sub);
    channel_check_gone(ch);
}

void subchannel_unref(struct subchannel *sub)
{
    sub->calls--;
    subchannel_check_gone(sub);
}

static void fail(struct subchannel *sub, const char *why)
{
    nrpc_channel *ch = sub->channel;
    snprintf(sub->why, sizeof sub->why, "%s", why);
    sub->state = SUB_BACKOFF;
    timer_start(&sub->backoff, channel_jitter(ch, sub->backoff_ms));
    log_event(LOG_LEVEL_DEBUG, "connect_failed", LOG_S("address", sub->address),
              LOG_S("error", why), LOG_U("backoff_ms", sub->backoff_ms));
    uint64_t next = (uint64_t) sub->backoff_ms * 2;
    sub->backoff_ms =
        next > ch->options.backoff_max_ms ? ch->options.backoff_max_ms : (uint32_t) next;
    resolver_again(ch);
    channel_run_pending(ch);
}

/* The last good connection is gone.  Where all backends share the work it is made again soon, even
 * while the others do; else when a call asks for it. */
static void lose(struct subchannel *sub)
{
    nrpc_channel *ch = sub->channel;
    sub->state = SUB_IDLE;
    ch->wake_due = true;
    backend_health_stop(sub);
    if (ch->options.balance != NRPC_PICK_FIRST && ch->options.idle_ms == 0)
        timer_start(&sub->backoff, channel_jitter(ch, ch->options.backoff_min_ms));
    resolver_again(ch);
    channel_run_pending(ch);
}

static bool has_ready(const struct subchannel *sub)
{
    for (struct list *link = sub->conns.next; link != &sub->conns; link = link->next) {
        const struct channel_conn *conn = LIST_ENTRY(link, struct channel_conn, link);
        if (conn->ready && !conn->draining)
            return true;
    }
    return false;
}

/* No new calls on this connection. */
static void drain(struct channel_conn *conn)
{
    struct subchannel *sub = conn->sub;
    if (conn->draining)
        return;
    conn->draining = true;
    sub->n_conns--;
    if (!conn->ready)
        sub->opening = false;
    backend_health_leave(sub, conn);
    h2_conn_shutdown(conn->h2);
}

/* ---- the connection's events ---- */
static void on_ready(void *owner)
{
    struct channel_conn *conn = owner;
    struct subchannel *sub = conn->sub;
    conn->ready = true;
    if (conn->draining)
        return;
    sub->opening = false;
    if (sub->state != SUB_READY) {
        sub->state = SUB_READY;
        sub->backoff_ms = sub->channel->options.backoff_min_ms;
        backend_health_start(sub, conn);
        channel_settle(sub->channel, sub);
    }
    channel_run_pending(sub->channel);
}

/* The next call gets a connection of its own, these streams go on. */
static void on_goaway(void *owner, uint32_t error_code)
{
    (void) error_code;
    struct channel_conn *conn = owner;
    struct subchannel *sub = conn->sub;
    if (h2_session_pinged_too_much(h2_conn_session(conn->h2)))
        channel_ping_less(sub->channel);
    if (conn->draining)
        return;
    drain(conn);
    if (sub->state == SUB_READY && !has_ready(sub))
        lose(sub);
    else if (sub->state == SUB_CONNECTING && sub->n_conns == 0)
        fail(sub, "the server sent GOAWAY before its settings");
}

static void on_streams(void *owner, size_t open)
{
    struct channel_conn *conn = owner;
    (void) open;
    if (conn->sub->channel->n_pending > 0)
        channel_run_pending(conn->sub->channel);
}

static void on_close(void *owner, int error)
{
    struct channel_conn *conn = owner;
    struct subchannel *sub = conn->sub;
    bool drained = conn->draining, was_ready = conn->ready;
    if (!drained) {
        conn->draining = true;
        sub->n_conns--;
        backend_health_leave(sub, conn);
    }
    const char *why = h2_conn_why(conn->h2);
    list_remove(&conn->link);
    alloc_free(conn);
    if (sub->retired) {
        subchannel_check_gone(sub);
        return;
    }
    if (drained)
        return;
    if (why == NULL)
        why = error == 0 ? "the server closed the connection" : strerrordesc_np(error);
    if (!was_ready) {
        sub->opening = false;
        sub->grow_ns = loop_now_ns(sub->channel->loop) + GROW_AGAIN_MS * NS_PER_MS;
    }
    if (sub->state == SUB_CONNECTING)
        fail(sub, why);
    else if (sub->state == SUB_READY && was_ready && !has_ready(sub))
        lose(sub);
}

static const struct h2_conn_events conn_events = {
    .on_ready = on_ready,
    .on_goaway = on_goaway,
    .on_streams = on_streams,
    .on_close = on_close,
};

/* The name to verify is the authority without its port. */
static int start_tls(struct channel_conn *conn)
{
    nrpc_channel *ch = conn->sub->channel;
    const char *authority = conn->sub->authority;
    const char *colon = strrchr(authority, ':'), *bracket = strchr(authority, ']');
    size_t size = strlen(authority);
    char name[NAME_BYTES];
    if (authority[0] == '[' && bracket != NULL) { /* [::1]:443 */
        authority++;
        size = (size_t) (bracket - authority);
    } else if (colon != NULL && strchr(authority, ':') == colon) {
        size = (size_t) (colon - authority);
    }
    if (size == 0 || size >= sizeof name)
        return NRPC_E_INVAL;
    memcpy(name, authority, size);
    name[size] = '\0';
    const struct sock_tls tls = { ch->options.tls, "h2", name, ch->options.connect_ms };
    return h2_conn_start_tls(conn->h2, &tls);
}

static int open_conn(struct subchannel *sub)
{
    nrpc_channel *ch = sub->channel;
    struct h2_conn_options options = ch->conn_options;
    if (sub->state == SUB_READY && options.idle_ms == 0)
        options.idle_ms = SPARE_IDLE_MS;
    struct channel_conn *conn = alloc_zero(1, sizeof *conn);
    if (conn == NULL)
        return NRPC_E_NOMEM;
    conn->sub = sub;
    int r = h2_conn_connect(ch->loop, sub->address, ch->options.connect_ms, &options, &conn_events,
                            conn, &conn->h2);
    if (r < 0) {
        alloc_free(conn);
        return r;
    }
    list_add_tail(&sub->conns, &conn->link);
    sub->n_conns++;
    sub->opening = true;
    if (ch->options.tls != NULL && start_tls(conn) < 0)
        h2_conn_close(conn->h2); /* on_close goes on from there */
    return 0;
}

void subchannel_connect(struct subchannel *sub)
{
    if (sub->state != SUB_IDLE || sub->retired)
        return;
    timer_stop(&sub->backoff);
    int r = open_conn(sub);
    if (r == 0)
        sub->state = SUB_CONNECTING;
    else
        fail(sub, r == NRPC_E_SYS ? strerrordesc_np(errno) : nrpc_strerror(r));
}

/* A failure is no harm here: the calls wait for a stream of the connections that there are. */
void subchannel_grow(struct subchannel *sub)
{
    if (sub->state != SUB_READY || sub->opening || loop_now_ns(sub->channel->loop) < sub->grow_ns ||
        sub->n_conns >= sub->channel->options.max_connections)
        return;
    (void) open_conn(sub);
}

void subchannel_rest(struct subchannel *sub)
{
    if (sub->state != SUB_CONNECTING)
        return;
    sub->state = SUB_IDLE;
    LIST_EACH(&sub->conns, link, next)
    drain(LIST_ENTRY(link, struct channel_conn, link));
}

void subchannel_retire(struct subchannel *sub)
{
    timer_stop(&sub->backoff);
    backend_health_stop(sub);
    outlier_stop(sub);
    sub->state = SUB_IDLE;
    sub->retired = true;
    LIST_EACH(&sub->conns, link, next)
    drain(LIST_ENTRY(link, struct channel_conn, link));
    subchannel_check_gone(sub);
}

struct channel_conn *subchannel_find(const struct subchannel *sub)
{
    if (sub->state != SUB_READY)
        return NULL;
    for (struct list *link = sub->conns.next; link != &sub->conns; link = link->next) {
        struct channel_conn *conn = LIST_ENTRY(link, struct channel_conn, link);
        if (!conn->draining && h2_session_can_open(h2_conn_session(conn->h2)))
            return conn;
    }
    return NULL;
}
