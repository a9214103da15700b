/* inner.h — what the files of rpc/client share.  A channel has one subchannel an address; a
 * subchannel has at most one connection that takes new calls, older ones live on until their calls
 * ended.  All [loop]. */
#ifndef NRPC_CLIENT_INNER_H
#define NRPC_CLIENT_INNER_H
#include "rpc/call/call.h"
#include "rpc/call/config.h"
#include "rpc/h2/conn.h"

enum { SUBCHANNELS_MAX = 64, RESOLVED_MAX = 8, ADDRESS_MAX = 256 };

struct subchannel;
struct channel_conn {
    struct list link; /* in channel->conns */
    struct subchannel *sub;
    struct h2_conn *h2;
};
/*  IDLE -> RESOLVING -> CONNECTING -> READY -> IDLE (lost, idle or GOAWAY)
 *               \-----------+--> BACKOFF -> RESOLVING or CONNECTING           */
enum sub_state { SUB_IDLE, SUB_RESOLVING, SUB_CONNECTING, SUB_READY, SUB_BACKOFF };

struct subchannel {
    nrpc_channel *channel;
    char address[ADDRESS_MAX]; /* as given; also the authority of TCP targets */
    char why[160];             /* the last failure, for the status of calls */
    enum sub_state state;
    bool needs_name; /* a DNS name: resolved before each round of attempts */
    char resolved[RESOLVED_MAX][64];
    unsigned n_resolved, next_resolved;
    struct channel_conn *conn; /* takes new calls once READY */
    struct call_budget budget;
    uint32_t backoff_ms; /* of the next failure */
    struct timer backoff;
};
struct nrpc_channel {
    nrpc_loop *loop;
    nrpc_channel_options options;
    struct call_limits limits;
    struct config_table *config; /* NULL: none */
    struct config_cache config_cache;
    struct h2_conn_options conn_options;
    struct call_interceptors interceptors;
    char *user_agent, *authority; /* authority NULL: the address of each */
    struct subchannel *subs;
    unsigned n_subs, next_sub; /* next_sub: where round robin goes on */
    struct list calls, pending, conns;
    uint32_t n_pending;
    uint64_t random;
    nrpc_pool *resolver; /* one thread, made for the first DNS name */
    unsigned resolving;
    bool closed, running;    /* running: inside channel_run_pending */
    struct loop_later later; /* frees the channel */
    void (*on_gone)(void *ctx);
    void *on_gone_ctx;
};

/* channel.c */
/* Something changed: calls that wait may go, or must fail. */
void channel_run_pending(nrpc_channel *ch);
void channel_check_gone(nrpc_channel *ch);
/* A server found our PINGs too many: the keepalive interval of new connections doubles. */
void channel_ping_less(nrpc_channel *ch);
/* fn(ctx) once a closed channel is gone. */
void channel_notify_gone(nrpc_channel *ch, void (*fn)(void *ctx), void *ctx);

/* subchannel.c */
int subchannel_init(struct subchannel *sub, nrpc_channel *ch, const char *address, size_t size);
void subchannel_connect(struct subchannel *sub); /* no-op unless IDLE */
void subchannel_try(struct subchannel *sub);     /* the next address of the round, or backoff */
void subchannel_fail(struct subchannel *sub, const char *why);
void subchannel_close(struct subchannel *sub);
const char *subchannel_authority(const struct subchannel *sub); /* for :authority and SNI */
bool subchannel_can_open(const struct subchannel *sub);

/* resolve.c */
/* Looks the name up on the resolver's thread; ends in subchannel_try or subchannel_fail. */
int resolve_start(struct subchannel *sub);

#endif
