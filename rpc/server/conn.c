/* One accepted connection of a server. */
#include <errno.h>
#include <unistd.h>

#include "rpc/base/alloc.h"
#include "rpc/base/log.h"
#include "rpc/server/inner.h"

/* Not every stream is a call: plain HTTP is answered without one. */
static void on_stalled(void *owner, struct h2_stream *st)
{
    (void) owner;
    if (h2_stream_bound(st) == &call_server_stream)
        call_on_stalled(h2_stream_user(st));
    else
        h2_stream_reset(st, H2_CANCEL);
}

/* Once a connection: who floods us shall not flood the log. */
static void on_abuse(void *owner, enum h2_abuse kind)
{
    struct server_conn *conn = owner;
    if (conn->has_abused)
        return;
    conn->has_abused = true;
    log_event(LOG_LEVEL_WARN, "http2_abuse", LOG_S("kind", h2_abuse_name(kind)),
              LOG_S("peer", h2_conn_peer(conn->h2)));
}

/* Requests that do not come to an end. */
static void on_tick(void *owner)
{
    struct server_conn *conn = owner;
    LIST_EACH(&conn->calls, link, next)
    {
        nrpc_call *c = LIST_ENTRY(link, nrpc_call, link);
        if (!call_is_dribbling(c, conn->sl->server->options.stall_ms))
            continue;
        nrpc_status st = NRPC_STATUS_INIT;
        nrpc_status_set(&st, NRPC_RESOURCE_EXHAUSTED, "the request comes too slowly");
        h2_abuse_note(H2_ABUSE_SLOW_REQUEST);
        on_abuse(conn, H2_ABUSE_SLOW_REQUEST);
        call_end_here(c, &st);
    }
}

static void on_close(void *owner, int error)
{
    struct server_conn *conn = owner;
    struct server_loop *sl = conn->sl;
    log_event(LOG_LEVEL_DEBUG, "connection_closed", LOG_S("peer", h2_conn_peer(conn->h2)),
              LOG_I("error", error), LOG_S("why", h2_conn_why(conn->h2)));
    list_remove(&conn->link);
    alloc_free(conn);
    server_loop_check_drained(sl);
}

/* The last stream of a connection that only waited for it. */
static void on_streams(void *owner, size_t open)
{
    struct server_conn *conn = owner;
    if (open == 0 && conn->sl->cancelled)
        h2_conn_shutdown(conn->h2);
}

static void on_aged(void *owner)
{
    server_conn_cut(owner, "the connection has reached its age limit");
}

static const struct h2_conn_events conn_events = {
    .on_aged = on_aged,
    .on_request = dispatch_on_request,
    .on_streams = on_streams,
    .on_stalled = on_stalled,
    .on_tick = on_tick,
    .on_abuse = on_abuse,
    .on_close = on_close,
};

void server_on_accept(void *ctx, nrpc_loop *loop, int fd, const char *peer,
                      const struct sock_tls *tls)
{
    (void) peer;
    nrpc_server *s = ctx;
    struct server_loop *sl = server_loop_find(s, loop);
    struct server_conn *conn = sl == NULL || sl->draining ? NULL : alloc_zero(1, sizeof *conn);
    if (conn == NULL) {
        close(fd);
        return;
    }
    conn->sl = sl;
    conn->id = channelz_new_id();
    socklen_t size = sizeof conn->local;
    (void) getsockname(fd, &conn->local.any, &size);
    list_init(&conn->calls);
    list_init(&conn->link);
    if (h2_conn_accept(loop, fd, &s->conn_options, &conn_events, conn, &conn->h2) < 0) {
        close(fd);
        alloc_free(conn);
        return;
    }
    list_add_tail(&sl->conns, &conn->link);
    if (tls != NULL && h2_conn_start_tls(conn->h2, tls) < 0)
        h2_conn_close(conn->h2);
}

void server_conn_drain(struct server_conn *conn)
{
    h2_conn_shutdown(conn->h2);
}

void server_conn_cut(struct server_conn *conn, const char *why)
{
    /* call_end_here never frees a call: on_end comes later. */
    LIST_EACH(&conn->calls, link, next)
    {
        nrpc_call *c = LIST_ENTRY(link, nrpc_call, link);
        nrpc_status st = NRPC_STATUS_INIT;
        nrpc_status_set(&st, NRPC_UNAVAILABLE, "%s", why);
        call_end_here(c, &st);
    }
    if (h2_session_goaway(h2_conn_session(conn->h2), H2_NO_ERROR, "shutting down") < 0)
        h2_conn_close(conn->h2);
    else
        h2_conn_shutdown(conn->h2);
}
