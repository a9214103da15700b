/* One address of a channel: connecting, backing off with jitter, and what happens on its
 * connections. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "rpc/base/alloc.h"
#include "rpc/base/log.h"
#include "rpc/client/inner.h"
#include "rpc/io/address.h"

static void on_backoff_over(struct timer *t)
{
    struct subchannel *sub = CONTAINER_OF(t, struct subchannel, backoff);
    sub->state = SUB_IDLE;
    subchannel_connect(sub);
}

int subchannel_init(struct subchannel *sub, nrpc_channel *ch, const char *address, size_t size)
{
    struct address parsed;
    if (size == 0 || size >= sizeof sub->address)
        return NRPC_E_INVAL;
    sub->channel = ch;
    memcpy(sub->address, address, size);
    sub->backoff_ms = ch->options.backoff_min_ms;
    timer_init(&sub->backoff, ch->loop, on_backoff_over);
    if (address_parse(sub->address, &parsed) == 0)
        return 0;
    const char *colon = strrchr(sub->address, ':');
    unsigned port = 0;
    char rest;
    if (colon == NULL || colon == sub->address || strchr(sub->address, ':') != colon ||
        sscanf(colon + 1, "%5u%c", &port, &rest) != 1 || port == 0 || port > 65535)
        return NRPC_E_INVAL;
    sub->needs_name = true;
    return 0;
}

/* +-20 %, so that the clients of a server that came back do not come back together. */
static uint32_t with_jitter(nrpc_channel *ch, uint32_t ms)
{
    ch->random ^= ch->random << 13;
    ch->random ^= ch->random >> 7;
    ch->random ^= ch->random << 17;
    uint64_t percent = 80 + ch->random % 41;
    uint64_t result = ms * percent / 100;
    return result < 1 ? 1 : (uint32_t) result;
}

void subchannel_fail(struct subchannel *sub, const char *why)
{
    nrpc_channel *ch = sub->channel;
    snprintf(sub->why, sizeof sub->why, "%s", why);
    sub->state = SUB_BACKOFF;
    sub->n_resolved = 0;
    timer_start(&sub->backoff, with_jitter(ch, sub->backoff_ms));
    log_event(LOG_LEVEL_DEBUG, "connect_failed", LOG_S("address", sub->address),
              LOG_S("error", why), LOG_U("backoff_ms", sub->backoff_ms));
    uint64_t next = (uint64_t) sub->backoff_ms * 2;
    sub->backoff_ms =
        next > ch->options.backoff_max_ms ? ch->options.backoff_max_ms : (uint32_t) next;
    channel_run_pending(ch);
}

/* ---- the connection's events
 * --------------------------------------------------------------------- */
static void on_ready(void *owner)
{
    struct channel_conn *conn = owner;
    struct subchannel *sub = conn->sub;
    if (sub->conn != conn)
        return;
    sub->state = SUB_READY;
    sub->backoff_ms = sub->channel->options.backoff_min_ms;
    channel_run_pending(sub->channel);
}

/* No new calls here: the next one gets a connection of its own, these streams go on. */
static void on_goaway(void *owner, uint32_t error_code)
{
    (void) error_code;
    struct channel_conn *conn = owner;
    struct subchannel *sub = conn->sub;
    if (h2_session_pinged_too_much(h2_conn_session(conn->h2)))
        channel_ping_less(sub->channel);
    h2_conn_shutdown(conn->h2);
    if (sub->conn != conn)
        return;
    sub->conn = NULL;
    sub->state = SUB_IDLE;
    channel_run_pending(sub->channel);
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
    nrpc_channel *ch = sub->channel;
    bool current = sub->conn == conn, was_ready = sub->state == SUB_READY;
    const char *why = h2_conn_why(conn->h2);
    list_remove(&conn->link);
    alloc_free(conn);
    if (current)
        sub->conn = NULL;
    if (ch->closed) {
        channel_check_gone(ch);
    } else if (current && was_ready) {
        sub->state = SUB_IDLE;
        channel_run_pending(ch);
    } else if (current) {
        snprintf(sub->why, sizeof sub->why, "%s",
                 why != NULL  ? why
                 : error == 0 ? "the server closed the connection"
                              : strerrordesc_np(error));
        subchannel_try(sub);
    }
}

static const struct h2_conn_events conn_events = {
    .on_ready = on_ready,
    .on_goaway = on_goaway,
    .on_streams = on_streams,
    .on_close = on_close,
};

const char *subchannel_authority(const struct subchannel *sub)
{
    if (sub->channel->authority != NULL)
        return sub->channel->authority;
    return strncmp(sub->address, "unix", 4) == 0 ? "localhost" : sub->address;
}

/* The name to verify is the authority without its port. */
static int start_tls(struct channel_conn *conn)
{
    nrpc_channel *ch = conn->sub->channel;
    const char *authority = subchannel_authority(conn->sub);
    const char *colon = strrchr(authority, ':'), *bracket = strchr(authority, ']');
    size_t size = strlen(authority);
    char name[ADDRESS_MAX];
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

static int connect_to(struct subchannel *sub, const char *address)
{
    nrpc_channel *ch = sub->channel;
    struct channel_conn *conn = alloc_zero(1, sizeof *conn);
    if (conn == NULL)
        return NRPC_E_NOMEM;
    conn->sub = sub;
    int r = h2_conn_connect(ch->loop, address, ch->options.connect_ms, &ch->conn_options,
                            &conn_events, conn, &conn->h2);
    if (r < 0) {
        alloc_free(conn);
        return r;
    }
    list_add_tail(&ch->conns, &conn->link);
    sub->conn = conn;
    sub->state = SUB_CONNECTING;
    if (ch->options.tls != NULL && start_tls(conn) < 0)
        h2_conn_close(conn->h2); /* on_close goes on from there */
    return 0;
}

void subchannel_try(struct subchannel *sub)
{
    while (sub->next_resolved < sub->n_resolved) {
        int r = connect_to(sub, sub->resolved[sub->next_resolved++]);
        if (r == 0)
            return;
        snprintf(sub->why, sizeof sub->why, "%s",
                 r == NRPC_E_SYS ? strerrordesc_np(errno) : nrpc_strerror(r));
    }
    char why[sizeof sub->why];
    memcpy(why, sub->why, sizeof why);
    subchannel_fail(sub, why);
}

void subchannel_connect(struct subchannel *sub)
{
    if (sub->state != SUB_IDLE || sub->channel->closed)
        return;
    if (sub->needs_name) {
        sub->state = SUB_RESOLVING;
        int r = resolve_start(sub);
        if (r < 0)
            subchannel_fail(sub, nrpc_strerror(r));
        return;
    }
    int r = connect_to(sub, sub->address);
    if (r < 0)
        subchannel_fail(sub, r == NRPC_E_SYS ? strerrordesc_np(errno) : nrpc_strerror(r));
}

void subchannel_close(struct subchannel *sub)
{
    timer_stop(&sub->backoff);
    sub->state = SUB_IDLE;
    sub->conn = NULL;
}

bool subchannel_can_open(const struct subchannel *sub)
{
    return sub->state == SUB_READY && h2_session_can_open(h2_conn_session(sub->conn->h2));
}
