/* inner.h — what the files of rpc/client share.  A channel has names (the parts of its target), the
 * resolver makes addresses of them, each address is one subchannel with up to max_connections
 * connections.  A subchannel that is no longer wanted is retired: its calls end in peace, then it
 * goes.  All [loop], but lookup_fn. */
#ifndef NRPC_CLIENT_INNER_H
#define NRPC_CLIENT_INNER_H
#include "rpc/call/call.h"
#include "rpc/call/config.h"
#include "rpc/h2/conn.h"
#include "rpc/io/address.h"

enum { SUBCHANNELS_MAX = 64, RESOLVED_MAX = 32, NAME_BYTES = 256, WHY_BYTES = 160 };

/* ---- names ---- */
struct resolved {
    char text[ADDRESS_TEXT_MAX]; /* as address_parse reads it */
};
/* One part of the target.  found: what it means now; a literal address has found itself. */
struct target_name {
    char text[NAME_BYTES]; /* without its scheme: the authority, and what errors call it */
    char host[NAME_BYTES], port[8];
    bool literal, is_unix;
    struct resolved found[RESOLVED_MAX];
    unsigned n_found;
};
/* Looks a host up [on the resolver's thread]: up to RESOLVED_MAX addresses in order of preference.
 * 0, or negative with *why a text that stays. */
typedef int lookup_fn(void *ctx, const char *host, const char *port, struct resolved *out,
                      unsigned *out_n, const char **why);
struct resolver {
    nrpc_pool *pool; /* one thread, made for the first name */
    lookup_fn *lookup;
    void *lookup_ctx;
    struct timer again;
    bool has_names, running, stale, failing;
    uint64_t last_ns; /* when the last look-up ended; 0: none did */
    uint32_t backoff_ms;
    char why[NAME_BYTES + WHY_BYTES];
};

/* ---- backends ---- */
struct subchannel;
struct channel_conn {
    struct list link; /* in sub->conns */
    struct subchannel *sub;
    struct h2_conn *h2;
    bool ready, draining; /* draining: no new calls */
};
/*  IDLE -> CONNECTING -> READY -> IDLE (lost, idle or GOAWAY)
 *               \--> BACKOFF --> CONNECTING                    */
enum sub_state { SUB_IDLE, SUB_CONNECTING, SUB_READY, SUB_BACKOFF };
enum health_state { HEALTH_UNKNOWN, HEALTH_SERVING, HEALTH_NOT_SERVING };

struct subchannel {
    nrpc_channel *channel;
    char address[ADDRESS_TEXT_MAX];
    char authority[NAME_BYTES];
    char why[WHY_BYTES]; /* the last failure, for the status of calls */
    enum sub_state state;
    bool retired, opening; /* opening: one more connection beside those that are ready */
    uint32_t calls;        /* that hold a reference: from their stream to their end */
    uint32_t n_conns;      /* that take new calls, or will */
    uint64_t grow_ns;      /* no further connection before */
    struct list conns;
    struct call_budget budget;
    uint32_t backoff_ms; /* of the next failure */
    struct timer backoff;
    struct {
        enum health_state state;
        bool moving; /* the watch goes on on another connection */
        nrpc_call *call;
        struct channel_conn *conn;
        struct timer again;
        uint32_t backoff_ms;
    } health;
    struct {
        uint32_t failures; /* in a row */
        uint32_t times;    /* how often ejected; makes the next time longer */
        nrpc_circuit circuit;
        bool probing;      /* half open: its one call is under way */
        uint64_t probe_ns; /* since then */
        uint64_t clean_ns; /* since when it has been in again */
        struct timer back;
    } outlier;
};
struct nrpc_channel {
    nrpc_loop *loop;
    nrpc_channel_options options;
    struct call_limits limits;
    struct config_table *config; /* NULL: none */
    struct config_cache config_cache;
    struct h2_conn_options conn_options;
    struct call_interceptors interceptors;
    char *user_agent, *health_service;
    char *authority; /* of all backends; NULL: of each its own */
    struct target_name *names;
    unsigned n_names;
    struct resolver resolver;
    struct subchannel *subs[SUBCHANNELS_MAX]; /* in the order of the names and their addresses */
    unsigned n_subs, next_sub;                /* next_sub: where round robin goes on */
    struct list calls, pending;
    uint32_t n_pending, n_live; /* n_live: subchannels, with those that are retired */
    struct timer eyeballs;      /* pick_first: when to try the next address beside a slow one */
    uint64_t random;
    int64_t tokens, tokens_max; /* thousandths; tokens_max 0: no throttle */
    bool closed, running;       /* running: inside channel_run_pending */
    bool wake_due;           /* a subchannel rests in IDLE that should not, once there are calls */
    struct loop_later later; /* frees the channel */
    void (*on_gone)(void *ctx);
    void *on_gone_ctx;
};

/* channel.c */
void channel_check_gone(nrpc_channel *ch);
/* ms +-20 %, so that the clients of a server that came back do not come back together. */
uint32_t channel_jitter(nrpc_channel *ch, uint32_t ms);

/* balance.c */
/* Something changed: calls that wait may go, or must fail. */
void channel_run_pending(nrpc_channel *ch);
/* A server found our PINGs too many: the keepalive interval of new connections doubles. */
void channel_ping_less(nrpc_channel *ch);
/* Starts what must be started so that a call can go. */
void channel_wake(nrpc_channel *ch);
/* The call is complete enough for a stream: gives it one, or queues it. */
void channel_place_call(nrpc_channel *ch, nrpc_call *c);
void channel_unqueue_call(nrpc_channel *ch, nrpc_call *c);
void channel_fail_call(nrpc_call *c, nrpc_code code, const char *text, const char *more);
/* pick_first: one address works, the others need not be tried. */
void channel_settle(nrpc_channel *ch, const struct subchannel *winner);
void channel_on_eyeballs(struct timer *t);
enum sub_state channel_sub_phase(const struct subchannel *sub); /* its state as calls see it */
bool channel_is_resting(const nrpc_channel *ch); /* nothing works, and nothing is under way */

/* target.c */
/* "HOST:PORT", "unix:PATH", "unix:///PATH", "dns:///HOST:PORT", "ipv4:A:P", "ipv6:[A]:P", or
 * several joined by commas (a scheme holds for those behind it).  0, E_INVAL or E_NOMEM. */
int target_parse(const char *target, struct target_name **out_names, unsigned *out_n);

/* resolve.c */
void resolver_init(nrpc_channel *ch);
void resolver_wake(nrpc_channel *ch);  /* resolves what never was, or is old */
void resolver_again(nrpc_channel *ch); /* a backend is lost: its address may have changed */
void resolver_stop(nrpc_channel *ch);
void resolver_done(nrpc_channel *ch);
lookup_fn resolver_getaddrinfo;
/* Makes subchannels of all addresses that the names have now; retires the others. */
int channel_apply_names(nrpc_channel *ch);

/* subchannel.c */
int subchannel_new(nrpc_channel *ch, const char *address, const struct target_name *name,
                   struct subchannel **out_sub);
void subchannel_connect(struct subchannel *sub); /* no-op unless IDLE */
void subchannel_grow(struct subchannel *sub);    /* one more connection, if that is allowed */
void subchannel_rest(struct subchannel *sub);    /* gives up what is being connected: IDLE */
void subchannel_retire(struct subchannel *sub);
void subchannel_unref(struct subchannel *sub); /* a call that used it is over */
/* A connection that can take a call now, or NULL. */
struct channel_conn *subchannel_find(const struct subchannel *sub);
void subchannel_check_gone(struct subchannel *sub);

/* backend_health.c: grpc.health.v1.Health/Watch on each backend, when health_service is set */
void backend_health_init(struct subchannel *sub);
void backend_health_start(struct subchannel *sub, struct channel_conn *conn);
void backend_health_leave(struct subchannel *sub,
                          const struct channel_conn *conn); /* conn drains */
void backend_health_stop(struct subchannel *sub);

/* retry.c: attempts after the first (gRFC A6) */
enum { ATTEMPTS_MAX = 5 };
/* What a call needs beyond its one attempt; in its arena, made when that is clear. */
struct call_retry {
    nrpc_call *call;
    struct timer timer;     /* the backoff, or the hedging delay */
    uint32_t made, backoff; /* attempts that failed by policy; steps of the backoff */
    uint32_t restarts;      /* of attempts that never left */
    bool was_refused;
    struct subchannel *avoid;
    /* Hedging: the calls that race. */
    nrpc_call *racers[ATTEMPTS_MAX];
    size_t fed[ATTEMPTS_MAX]; /* how much of what the call sent they have */
    uint32_t launched;
    bool no_more;
};
struct call_retry *retry_get(nrpc_call *c); /* NULL without memory */
bool retry_on_failed(nrpc_call *c, void *owner, const nrpc_status *st, enum call_failure how);
void retry_on_gone(nrpc_channel *ch, nrpc_call *c);
/* The tokens of the channel: what a failure costs and a success brings. */
void retry_throttle_init(nrpc_channel *ch);
void retry_throttle_failure(nrpc_channel *ch);
bool retry_throttle_allows(const nrpc_channel *ch);
/* What the server says about another attempt: false: none.  Else *out_ms is when, UINT32_MAX: it
 * did not say. */
bool retry_pushback(const nrpc_metadata *trailers, uint32_t *out_ms);
void channel_leave_place(nrpc_channel *ch, nrpc_call *c, nrpc_code code); /* channel.c */

/* hedge.c: several attempts at once, the first good answer wins */
bool hedge_wanted(const nrpc_call *c);
void hedge_start(nrpc_channel *ch, nrpc_call *c);
void hedge_launch_due(struct timer *t);
void hedge_on_gone(nrpc_call *c);

/* outlier.c */
void outlier_init(struct subchannel *sub);
void outlier_note(struct subchannel *sub, nrpc_code code); /* how a call there ended */
bool outlier_admits(const struct subchannel *sub); /* may it get a call by choice? */
void outlier_taken(struct subchannel *sub);        /* it got one */
nrpc_circuit outlier_circuit(const struct subchannel *sub); /* with what its connection says */
void outlier_stop(struct subchannel *sub);

#endif
