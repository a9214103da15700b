/* inner.h — what the files of rpc/server share.  A server is N threads with a loop each; a
 * connection and its calls live on one of them.  Services, limits and interceptors do not change
 * after the start, so all loops read them without a lock; what changes (health) is kept once a loop
 * and changed by tasks. */
#ifndef NRPC_SERVER_INNER_H
#define NRPC_SERVER_INNER_H
#include <netinet/in.h>
#include <pthread.h>

#include "rpc/base/map.h"
#include "rpc/call/call.h"
#include "rpc/call/config.h"
#include "rpc/h2/conn.h"
#include "rpc/io/listener.h"

struct drain_hook {
    void (*fn)(void *ctx, nrpc_loop *loop);
    void *ctx;
};
enum { DRAIN_HOOKS_MAX = 8 };
enum { LISTENERS_MAX = 16 };

struct server_method {
    const nrpc_method *method;
    nrpc_handler handler;
    void *service_ctx;
    const struct method_settings *settings; /* NULL: the server's own; found at the start */
};
struct health_loop;
struct reflection;

/* Calls of a loop since the start; monotonic time, 0: none yet. */
struct call_totals {
    uint64_t started, succeeded, failed, last_started_ns;
};

/* One thread.  Only the fields above `loop` are read by others, and only before start and after
 * join. */
struct server_loop {
    nrpc_server *server;
    pthread_t thread;
    bool has_thread;
    nrpc_loop *loop;
    struct list conns;
    bool draining, told, drained; /* told: health's watchers, and all connections */
    struct loop_later goaways;
    nrpc_task stop_task;
    uint32_t grace_ms;
    struct timer grace;
    bool cancelled; /* the grace is over */
    struct call_totals calls;
    size_t gathers; /* channelz tasks of this loop's calls that are under way */
    struct health_loop *health;
};
struct server_conn {
    struct list link;
    struct server_loop *sl;
    struct h2_conn *h2;
    struct list calls;
    struct call_budget budget;
    uint64_t id; /* for channelz */
    bool has_abused;
    union {
        struct sockaddr any;
        struct sockaddr_in6 v6; /* or IPv4, which is shorter */
    } local;
};
struct nrpc_server {
    nrpc_server_options options;
    struct call_limits limits;
    struct h2_conn_options conn_options;
    struct call_interceptors interceptors;
    struct config_table *config; /* NULL: none */
    struct map methods;          /* path -> struct server_method */
    struct drain_hook drain_hooks[DRAIN_HOOKS_MAX];
    size_t n_drain_hooks;
    struct map services; /* name -> "" */
    struct server_loop *loops;
    nrpc_loop **loop_list;
    size_t n_loops;
    struct listener *listeners[LISTENERS_MAX];
    struct sock_tls
        tls[LISTENERS_MAX]; /* by the number of the first listener of an address; NULL: plain */
    size_t n_listeners;
    bool started, has_health;
    struct reflection *reflection; /* NULL: not added */
    struct {
        uint64_t id, created_wall_ns, listener_ids[LISTENERS_MAX];
    } channelz;
    atomic_bool stopping;
    atomic_size_t undrained;
};

/* conn.c */
void server_on_accept(void *ctx, nrpc_loop *loop, int fd, const char *peer,
                      const struct sock_tls *tls);
void server_conn_drain(struct server_conn *conn);
/* The grace is over: calls that are left end with UNAVAILABLE, then the connection goes. */
void server_conn_cut(struct server_conn *conn, const char *why);
/* server.c */
void server_loop_check_drained(struct server_loop *sl);
struct server_loop *server_loop_find(nrpc_server *s, nrpc_loop *loop);

/* dispatch.c */
void dispatch_on_request(void *owner, struct h2_stream *st, const struct h2_field *fields, size_t n,
                         bool end, bool too_big);

/* health.c */
int health_start(nrpc_server *s);                /* [setup] */
void health_start_drain(struct server_loop *sl); /* [loop] NOT_SERVING everywhere; watchers end */
void health_free(struct server_loop *sl);

/* channelz_gather.c */
uint64_t channelz_new_id(void); /* [any] */

/* reflection.c */
int reflection_start(nrpc_server *s); /* [setup] all services are known */
void reflection_free(struct reflection *ref);

#endif
