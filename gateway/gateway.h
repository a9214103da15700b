/* gateway.h — what a running gateway is: settings and routes that all loops share, and what each
 * loop owns. `struct gateway` does not change once loops run, but for its table, which is the main
 * thread's; a `struct gateway_loop` belongs to its
 * loop's thread. */
#ifndef NOVEL_GATEWAY_GATEWAY_H
#define NOVEL_GATEWAY_GATEWAY_H
#include <stdatomic.h>

#include "gateway/cache.h"
#include "gateway/limit.h"
#include "gateway/table.h"
#include "gateway/memo.h"
#include "gateway/to_json.h"
#include "rpc/base/list.h"
#include "rpc/base/options.h"
#include "rpc/base/sha256.h"
#include "rpc/io/loop.h"
#include "rpc/io/tls.h"
#include "rpc/nrpc.h"

struct compressor;
struct encoder;
struct exchange;

enum {
    GATEWAY_HEAD_MS = 10000,       /* from the first byte of a request to the end of its head */
    GATEWAY_BODY_IDLE_MS = 30000,  /* between two pieces of a body */
    GATEWAY_IDLE_MS = 75000,       /* a connection without a request */
    GATEWAY_STALL_MS = 30000,      /* output that the client does not take */
    GATEWAY_HALF_CLOSED_MS = 3000, /* an answer to a client that sends no more */
    GATEWAY_OUTPUT_MAX = 262144,   /* unsent bytes of a connection: no further request is begun */
    GATEWAY_THROTTLE_MS = 10,      /* until that is looked at again */
    GATEWAY_PENDING_MAX = 65536,   /* pipelined bytes kept while a request is served */
    GATEWAY_SPARE_EXCHANGES = 64,  /* kept for reuse by a loop */
    GATEWAY_STREAM_ENCODERS = 256, /* streams of a loop that are compressed; more go as they are */
};

struct gateway_settings {
    struct option_list listen, backend, cors_origin, pass_metadata;
    char *descriptors, *descriptor_set, *http_rules, *prefix, *log_level;
    char *tls_cert, *tls_key, *tls_client_ca, *tls_min_version;
    char *backend_ca, *backend_cert, *backend_key, *backend_name;
    bool backend_tls;
    struct option_list trusted_proxy;
    uint64_t rate_limit, rate_burst, eject_after;
    char *balance, *health_check;
    bool compression;
    uint64_t cache_bytes;
    uint64_t threads, max_body_bytes, timeout_ms, timeout_max_ms, max_connections, grace_ms;
    uint64_t max_waiting; /* calls, of all loops */
};

struct gateway {
    struct gateway_settings settings;
    struct table *table;   /* that was read last; loops have views of their own */
    char *target;          /* backends joined by commas */
    struct sock_tls front; /* what clients get; context NULL: plain */
    nrpc_tls *backend_tls; /* NULL: plain */
    struct gateway_loop *loops;
    size_t n_loops;
    struct limit *limit;   /* of requests by client; NULL: none */
    atomic_size_t running; /* loops that have not drained */
};

struct gateway_loop {
    const struct gateway *gateway;
    nrpc_loop *loop;
    struct table_view *view;             /* what new requests are served by */
    nrpc_channel *channel;               /* made by the loop itself; NULL before and after */
    struct to_json json[2];              /* by dialect; the pool is set for each use */
    struct memo memo;                    /* of what streams were sent */
    struct buf scratch;                  /* for bodies that need their length first */
    struct buf coded;                    /* a body in the client's coding */
    struct encoder *encoders[ENCODINGS]; /* by enum encoding; made when first wanted */
    size_t stream_encoders;              /* in use by streams */
    struct compressor *compressor;       /* of Connect's messages; made when first wanted */
    struct sha256 *sha;
    struct list connections; /* struct conn */
    struct list http2;       /* struct http2_conn */
    struct cache cache;
    struct coherence *coherence; /* may the cache be used? */
    size_t goodbyes;             /* channels that must be gone before the loop ends */
    struct exchange *spare;
    size_t n_spare;
    bool draining;
    struct timer grace;
    uint64_t date_second;
    char date[40];  /* "Sun, 06 Nov 1994 08:49:37 GMT" */
    struct buf log; /* access lines not yet written */
    struct timer log_timer;
    char log_time[32]; /* RFC 3339, of log_time_ms */
    uint64_t log_time_ms;
};

/* [any] How channels to the backends are made. */
void gateway_channel_options(const struct gateway *g, nrpc_channel_options *o);
/* [loop] The channel of this loop, made on first use; NULL without memory. */
nrpc_channel *gateway_loop_channel(struct gateway_loop *gl);
/* [loop] The text for Date, made once a second. */
const char *gateway_loop_date(struct gateway_loop *gl);

/* [setup] Reads descriptors and compiles routes as the settings say.  0, or -1 with the reason in
 * error. */
int gateway_load(struct gateway *g, char error[static 512]);
void gateway_unload(struct gateway *g);
/* [the main thread, while loops run] Reads descriptors again, as at start; blocks.  New requests
 * are served by them, requests in progress go on with what they began with.  0, or -1 with the
 * reason: then all stays as it was. */
int gateway_reload(struct gateway *g, char error[static 512]);
/* [setup] Prepares loop i of the gateway and queues its start. */
int gateway_loop_init(struct gateway_loop *gl, const struct gateway *g, nrpc_loop *loop);
void gateway_loop_done(struct gateway_loop *gl); /* after the loop ended */
/* [loop] No further requests; connections end as their answers are out, at the latest after the
 * grace. */
void gateway_loop_drain(struct gateway_loop *gl);
/* [loop] A connection has gone: the last one of a draining loop stops it. */
void gateway_loop_check_drained(struct gateway_loop *gl);

#endif
