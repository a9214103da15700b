/* nrpc.h — gRPC over HTTP/2 in C.  The only rpc/ header above base/ that server/ and clients/ include
 * (the gateway's front door also uses rpc/io and rpc/h2).
 *
 * Thread   [setup] before nrpc_server_start; [loop] only on the owning loop's thread (debug builds abort
 *          elsewhere); [any] everywhere.  A loop owns all it creates; nothing moves between loops.
 * Errors   int results: 0 (or a positive hint), or a negative nrpc_err; then nothing was taken and no
 *          out-parameter written.  The outcome of an RPC is never an int, always an nrpc_status.
 * Events   never run inside the verb that caused them; on_end runs exactly once per started call, last.
 * Words    "takes p": the callee owns p once it returns >= 0.  "lends p": p is valid until the event returns.
 * Sources  gRPC over HTTP/2 (grpc/doc/PROTOCOL-HTTP2.md), RFC 9113. */
#ifndef NRPC_H
#define NRPC_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <protobuf-c/protobuf-c.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

typedef struct nrpc_loop nrpc_loop;         /* one thread, one event_base, one mailbox */
typedef struct nrpc_pool nrpc_pool;         /* worker threads for CPU work */
typedef struct nrpc_server nrpc_server;
typedef struct nrpc_channel nrpc_channel;   /* client side; belongs to one loop */
typedef struct nrpc_call nrpc_call;         /* one RPC, either side; belongs to one loop */
typedef struct nrpc_metadata nrpc_metadata; /* ordered multimap; "-bin" keys hold raw bytes */
typedef struct nrpc_msg nrpc_msg;           /* one received message and the arena it lives in */
typedef struct nrpc_blob nrpc_blob;         /* immutable packed bytes with a reference count */
typedef struct {
    const uint8_t *data;
    size_t size;
} nrpc_slice; /* borrowed; not NUL-ended */

typedef enum {
    NRPC_E_NOMEM = -1,  /* out of memory */
    NRPC_E_INVAL = -2,  /* the caller broke a precondition */
    NRPC_E_STATE = -3,  /* verb not legal in this state */
    NRPC_E_CLOSED = -4, /* peer or loop is gone */
    NRPC_E_FULL = -5,   /* a bounded queue is full */
    NRPC_E_TOOBIG = -6, /* over a size limit */
    NRPC_E_PROTO = -7,  /* the peer broke the protocol */
    NRPC_E_SYS = -8     /* errno holds the cause */
} nrpc_err;
enum { NRPC_PAUSE = 1 }; /* send: accepted, but wait for on_writable */
const char *nrpc_strerror(int err); /* [any] never NULL */
const char *nrpc_version(void);     /* [any] of the library that runs: "0.1.0" */

/* ---- status: what travels in grpc-status, grpc-message, grpc-status-details-bin ------------------- */
typedef enum {
    NRPC_OK, NRPC_CANCELLED, NRPC_UNKNOWN, NRPC_INVALID_ARGUMENT, NRPC_DEADLINE_EXCEEDED, NRPC_NOT_FOUND,
    NRPC_ALREADY_EXISTS, NRPC_PERMISSION_DENIED, NRPC_RESOURCE_EXHAUSTED, NRPC_FAILED_PRECONDITION,
    NRPC_ABORTED, NRPC_OUT_OF_RANGE, NRPC_UNIMPLEMENTED, NRPC_INTERNAL, NRPC_UNAVAILABLE, NRPC_DATA_LOSS,
    NRPC_UNAUTHENTICATED
} nrpc_code;
const char *nrpc_code_name(nrpc_code code); /* [any] "NOT_FOUND"; "UNKNOWN" when out of range */

/* details holds a packed google.rpc.Status (code, message, Any details) or nothing. */
typedef struct {
    nrpc_code code;
    char *message;
    uint8_t *details;
    size_t details_size;
} nrpc_status;
#define NRPC_STATUS_INIT { NRPC_OK, NULL, NULL, 0 }
/* [any] Replaces code and message (format NULL: none), drops details.  Never fails: without memory the message
 * is dropped and the code kept. */
void nrpc_status_set(nrpc_status *st, nrpc_code code, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* [any] Packs detail into an Any (type.googleapis.com/<name>) and appends it.  0, NOMEM, or TOOBIG over 6 KiB. */
int nrpc_status_add_detail(nrpc_status *st, const ProtobufCMessage *detail);
int nrpc_status_copy(nrpc_status *to, const nrpc_status *from);
void nrpc_status_clear(nrpc_status *st); /* safe to repeat */

/* ---- metadata [loop]: keys lower-case; values copied in, lent out until the call ends -------------- */
/* Adds one pair.  Keys are lower-cased ASCII [a-z0-9_.-]; "grpc-" (but grpc-retry-pushback-ms), ":" and hop-by-hop keys are E_INVAL;
 * values of keys without "-bin" must be printable ASCII.  E_TOOBIG past the limits. */
int nrpc_metadata_add(nrpc_metadata *md, const char *key, nrpc_slice value);
int nrpc_metadata_add_string(nrpc_metadata *md, const char *key, const char *value);
bool nrpc_metadata_get(const nrpc_metadata *md, const char *key, size_t nth, nrpc_slice *out_value);
size_t nrpc_metadata_count(const nrpc_metadata *md);
/* The i-th pair in arrival order; *out_key is NUL-ended. */
void nrpc_metadata_at(const nrpc_metadata *md, size_t i, const char **out_key, nrpc_slice *out_value);

/* ---- messages [any]: immutable; may move to a worker while one thread at a time holds it ----------- */
const ProtobufCMessage *nrpc_msg_body(const nrpc_msg *m); /* cast to the method's type; NULL for a raw method */
nrpc_slice nrpc_msg_bytes(const nrpc_msg *m);             /* as received, decompressed */
bool nrpc_msg_was_compressed(const nrpc_msg *m);          /* the flag of the frame it came in */
void nrpc_msg_free(nrpc_msg *m);                          /* NULL is fine */

/* ---- blobs [any]: packed once, sent to many ------------------------------------------------------------ */
nrpc_blob *nrpc_blob_pack(const ProtobufCMessage *m);              /* NULL without memory; one reference */
nrpc_blob *nrpc_blob_copy(const void *data, size_t size);          /* serialised message bytes */
nrpc_blob *nrpc_blob_ref(nrpc_blob *b);
void nrpc_blob_unref(nrpc_blob *b);                                /* NULL is fine */
nrpc_slice nrpc_blob_bytes(const nrpc_blob *b);                    /* without the gRPC prefix */

/* ---- services: tables that protoc-gen-nrpc emits -------------------------------------------------------- */
typedef enum { NRPC_UNARY, NRPC_SERVER_STREAM, NRPC_CLIENT_STREAM, NRPC_BIDI } nrpc_kind;
typedef struct nrpc_method {
    const char *name; /* "GetHealth" */
    const char *path; /* "/novelengine.v1.NovelEngine/GetHealth" */
    nrpc_kind kind;
    bool idempotent;  /* option (nrpc.route).idempotent */
    const ProtobufCMessageDescriptor *input, *output; /* NULL: raw bytes on that side */
} nrpc_method;
typedef struct nrpc_service {
    const char *name; /* "novelengine.v1.NovelEngine" */
    const nrpc_method *methods;
    size_t n_methods;
} nrpc_service;

/* Field rules of the contract, one table a message, found by its descriptor; see nrpc_validate. */
typedef struct nrpc_field_rule {
    uint32_t tag;                        /* field number */
    bool required, unique, has_min, has_max;
    int64_t min, max;                    /* numbers: value; strings: code points; repeated: items */
    const char *pattern;                 /* NULL: any */
    const struct nrpc_field_rule *items; /* of a repeated field; NULL: none; its tag is 0 */
} nrpc_field_rule;
typedef struct nrpc_message_rules {
    const ProtobufCMessageDescriptor *message;
    const nrpc_field_rule *fields;
    size_t n_fields;
} nrpc_message_rules;
typedef struct nrpc_rules {
    const nrpc_message_rules *messages;
    size_t n_messages;
} nrpc_rules;
/* [any] Checks m and its sub-messages (depth 100).  0 when all rules hold; else 1 and *st is INVALID_ARGUMENT
 * with a google.rpc.BadRequest that names each field by its proto path, ErrorInfo reason
 * INVALID_FIELD, domain as given.  NRPC_E_NOMEM leaves *st RESOURCE_EXHAUSTED. */
int nrpc_validate(const nrpc_rules *rules, const ProtobufCMessage *m, const char *domain, nrpc_status *st);

typedef enum { NRPC_IDENTITY, NRPC_GZIP, NRPC_DEFLATE } nrpc_compression;

/* Events of a call.  A NULL entry means: nothing to do (on_message NULL: drop and go on). */
typedef struct nrpc_events {
    /* Server only.  Headers are in.  Set *out_state (any pointer).  Not OK rejects the call with *st
     * (trailers-only); on_end follows in either case. */
    nrpc_code (*on_start)(nrpc_call *c, void *service_ctx, void **out_state, nrpc_status *st);
    /* Client only: the response's initial metadata; not called for a trailers-only response. */
    void (*on_headers)(nrpc_call *c, void *state);
    /* Takes m; spends one credit. */
    void (*on_message)(nrpc_call *c, void *state, nrpc_msg *m);
    void (*on_half_close)(nrpc_call *c, void *state); /* server: the peer sends no more */
    void (*on_writable)(nrpc_call *c, void *state);   /* only after a NRPC_PAUSE */
    /* Last event: finished, cancelled, timed out or connection lost.  Lends st.  c is dead on return. */
    void (*on_end)(nrpc_call *c, void *state, const nrpc_status *st);
} nrpc_events;
/* Unary and server-streaming shortcut, takes request.  Runs once the request is whole and half-closed.
 * Answer now or later: nrpc_call_reply (unary), or nrpc_call_send ... nrpc_call_finish. */
typedef void nrpc_request_fn(nrpc_call *c, void *service_ctx, nrpc_msg *request);
/* Exactly one of request and stream is set; both NULL answers UNIMPLEMENTED.  on_writable and on_end may be
 * set beside request: they get nrpc_call_state(c). */
typedef struct nrpc_handler {
    nrpc_request_fn *request;
    const nrpc_events *stream;
    void (*on_writable)(nrpc_call *c, void *state);
    void (*on_end)(nrpc_call *c, void *state, const nrpc_status *st);
} nrpc_handler;
/* [setup] handlers[i] serves service->methods[i]; n must equal n_methods.  E_INVAL when a handler's shape
 * does not fit the method's kind. */
int nrpc_server_add_service(nrpc_server *s, const nrpc_service *service, const nrpc_handler *handlers, size_t n,
                            void *service_ctx);

/* ---- call verbs [loop] ------------------------------------------------------------------------------- *
 * Flow contract.  Out: send serialises before it returns (m stays yours).  0: go on.  NRPC_PAUSE: accepted,
 * the call's queue passed its high mark; the next send before on_writable is E_FULL and queues nothing.
 * In: each on_message spends one credit; at zero credits we stop decoding and stop returning the stream's
 * HTTP/2 window, so the peer stops.  The connection's window is returned on arrival: a slow call never
 * stalls its siblings.
 * A client's call may end inside any verb, and before on_end the caller cannot know: what is sent then is
 * dropped (NRPC_PAUSE), half_close is 0.  A server's verbs say E_STATE once the call is over. */
int nrpc_call_send(nrpc_call *c, const ProtobufCMessage *m);
int nrpc_call_send_bytes(nrpc_call *c, nrpc_slice message);   /* serialised message; copied */
int nrpc_call_send_blob(nrpc_call *c, nrpc_blob *b);          /* takes a reference of its own */
void nrpc_call_want(nrpc_call *c, uint32_t credits);          /* adds; a call starts with 1 */
int nrpc_call_send_headers(nrpc_call *c);                     /* initial metadata now, before any message */
int nrpc_call_half_close(nrpc_call *c);                       /* client: no more sends */
int nrpc_call_finish(nrpc_call *c, const nrpc_status *st);    /* server: trailers; NULL is OK; once; copies st */
int nrpc_call_fail(nrpc_call *c, nrpc_code code, const char *format, ...) __attribute__((format(printf, 3, 4)));
int nrpc_call_reply(nrpc_call *c, const ProtobufCMessage *m); /* send + finish(OK): a unary handler's usual end */
int nrpc_call_reply_bytes(nrpc_call *c, nrpc_slice message);
void nrpc_call_cancel(nrpc_call *c);                          /* RST_STREAM(CANCEL); on_end(CANCELLED) follows */
nrpc_metadata *nrpc_call_headers_out(nrpc_call *c);           /* until the first send; NULL after */
nrpc_metadata *nrpc_call_trailers_out(nrpc_call *c);          /* server, until finish; NULL after */
const nrpc_metadata *nrpc_call_headers_in(const nrpc_call *c);
const nrpc_metadata *nrpc_call_trailers_in(const nrpc_call *c); /* client, in on_end */
uint64_t nrpc_call_deadline_ns(const nrpc_call *c);           /* monotonic; UINT64_MAX when none */
const char *nrpc_call_path(const nrpc_call *c);               /* "/package.Service/Method" */
const char *nrpc_call_peer(const nrpc_call *c);               /* "127.0.0.1:4711", "unix:PATH" */
nrpc_loop *nrpc_call_loop(const nrpc_call *c);
void *nrpc_call_state(const nrpc_call *c);
void nrpc_call_set_state(nrpc_call *c, void *state);          /* for nrpc_request_fn handlers */
void *nrpc_call_alloc(nrpc_call *c, size_t size);             /* zeroed, from the call's arena; NULL without memory */
uint32_t nrpc_call_attempts(const nrpc_call *c);              /* client: how many were made so far */
uint64_t nrpc_call_number(const nrpc_call *c);                /* unique in the process; for logs */

/* ---- compression (grpc/doc/compression.md): one encoding a call, chosen message by message ------------ *
 * What comes in is inflated up to max_message_bytes (then RESOURCE_EXHAUSTED).  Going out: an encoding that was
 * set here or in nrpc_call_options compresses every message that is not empty; a default of the options only
 * those of 128 bytes to 1 MiB that become shorter.  A server answers without one that its client does not take. */
int nrpc_call_set_compression(nrpc_call *c, nrpc_compression k); /* [loop] E_STATE once the headers are out */
void nrpc_call_compress_next(nrpc_call *c, bool on);             /* [loop] the next message only */
nrpc_compression nrpc_call_compression_in(const nrpc_call *c);   /* what the peer's headers named */

/* A call as other threads may hold it: a number, never a pointer.  get() is NULL once the call ended. */
typedef struct {
    uint32_t slot, generation;
} nrpc_call_id;
nrpc_call_id nrpc_call_ref(const nrpc_call *c);
nrpc_call *nrpc_call_get(nrpc_loop *loop, nrpc_call_id id);
/* Cancel flag for work in flight: set on cancel, deadline and disconnect.  One reference per ref(). */
typedef struct nrpc_cancel nrpc_cancel;
nrpc_cancel *nrpc_call_cancel_ref(nrpc_call *c); /* NULL without memory */
bool nrpc_cancelled(const nrpc_cancel *k);       /* [any] one relaxed load */
void nrpc_cancel_unref(nrpc_cancel *k);          /* [any] NULL is fine */

/* ---- interceptors [setup to add, loop to run]: begin in order, end in reverse ------------------------ */
typedef struct {
    const char *name;
    void *ctx;
    size_t state_size; /* zeroed bytes inside every call */
    nrpc_code (*on_begin)(void *ctx, void *state, nrpc_call *c, nrpc_status *st); /* not OK: ends with *st */
    void (*on_message)(void *ctx, void *state, bool incoming, size_t bytes);      /* may be NULL */
    void (*on_end)(void *ctx, void *state, const nrpc_call *c, const nrpc_status *st); /* iff begun */
} nrpc_interceptor;
int nrpc_server_intercept(nrpc_server *s, const nrpc_interceptor *i); /* copies *i; at most 8 */
int nrpc_channel_intercept(nrpc_channel *ch, const nrpc_interceptor *i);

/* ---- limits and policies by method, one table for both sides ------------------------------------------ */
typedef struct {
    uint32_t max_attempts;                       /* with the first: 2 to 5 */
    uint32_t initial_backoff_ms, max_backoff_ms; /* +-20 % jitter (gRFC A6) */
    double backoff_multiplier;
    uint32_t codes;                              /* bit (1 << nrpc_code) of what is tried again */
} nrpc_retry_policy;
typedef struct {
    uint32_t max_attempts, delay_ms;
    uint32_t non_fatal_codes;                    /* bits: the other attempts go on */
} nrpc_hedging_policy;
typedef struct {
    const char *name;                 /* "/pkg.Service/Method", "/pkg.Service/" or "" (all); the most exact wins */
    uint64_t timeout_ms;              /* of a server: no deadline is later; of a client: default and bound; 0 none */
    uint32_t max_request_bytes, max_response_bytes; /* 0: the server's or channel's own */
    bool wait_for_ready;              /* client */
    const nrpc_retry_policy *retry;   /* client; at most one of retry and hedging */
    const nrpc_hedging_policy *hedging; /* client; idempotent methods only: starting a call of another that is named
                                         * in full is E_INVAL, a wider row leaves it alone */
} nrpc_method_config;
/* ---- TLS 1.2 and 1.3 on OpenSSL, HTTP/2 by ALPN ------------------------------------------------------ *
 * A context holds certificates and trust; connections of many servers, channels and loops share it.  Suites are those
 * with forward secrecy and AEAD; renegotiation and compression are off. */
typedef struct nrpc_tls nrpc_tls;            /* reference counted; [any] */
typedef struct {
    const char *certificate_file, *key_file; /* PEM chain and key; a server needs them, a client's is for mTLS */
    const char *ca_file;                     /* PEM; server: whom client certificates must come from; client: NULL is the
                                              * system's */
    bool require_client_certificate;         /* server, needs ca_file; without it a certificate is checked if one comes */
    const char *min_version;                 /* "1.2" (NULL too) or "1.3" */
    bool insecure_no_verify;                 /* client, for tests: does not check the peer */
} nrpc_tls_options;
/* [any, not a loop: read files] Options are copied.  Errors: why is one line for the user (E_INVAL, E_SYS, E_NOMEM). */
int nrpc_tls_server_new(const nrpc_tls_options *o, nrpc_tls **out, char *why, size_t why_size);
int nrpc_tls_client_new(const nrpc_tls_options *o, nrpc_tls **out, char *why, size_t why_size);
/* [any, not a loop: read files] New handshakes use what the files hold now; connections that stand go on as they are.
 * On an error the old one stays.  refresh reloads only if a file changed since it was last read: 1 when it did. */
int nrpc_tls_reload(nrpc_tls *t, char *why, size_t why_size);
int nrpc_tls_refresh(nrpc_tls *t, char *why, size_t why_size);
nrpc_tls *nrpc_tls_ref(nrpc_tls *t);         /* returns t */
void nrpc_tls_unref(nrpc_tls *t);            /* NULL is fine */
/* The verified subject of the peer's certificate (RFC 2253: "CN=alice,O=Example"); NULL without one. */
const char *nrpc_call_peer_subject(const nrpc_call *c);

/* ---- server: every limit is a field; zero takes the default of nrpc_server_defaults ----------------- */
typedef struct {
    uint16_t loops;                /* 0: one per CPU */
    uint32_t max_connections;      /* 10,000 */
    uint32_t max_streams;          /* per connection, announced: 100 */
    uint32_t stream_window;        /* 256 KiB */
    uint32_t connection_window;    /* 1 MiB */
    uint32_t max_message_bytes;    /* received: 4 MiB */
    uint32_t max_send_bytes;       /* sent: 64 MiB */
    uint32_t max_metadata_bytes;   /* name + value + 32 each: 16 KiB, announced */
    uint32_t max_metadata_fields;  /* 100 */
    uint32_t send_high_bytes, send_low_bytes; /* of a call's queue: 256 KiB, 64 KiB */
    uint32_t handshake_ms;         /* preface and SETTINGS: 10,000 */
    uint32_t idle_ms;              /* connection without streams: 300,000 */
    uint32_t stall_ms;             /* output that makes no progress: 30,000 */
    /* gRFC A8, A9; here UINT32_MAX switches a limit off. */
    uint32_t keepalive_ms;         /* a silent connection is sent a PING after: 7,200,000 */
    uint32_t keepalive_timeout_ms; /* and closed without an answer after: 20,000 */
    uint32_t keepalive_min_ms;     /* a client may PING no more often: 300,000; after two strikes
                                    * GOAWAY(ENHANCE_YOUR_CALM) "too_many_pings"; HEADERS or DATA that
                                    * we send wipe strikes out */
    bool keepalive_permit_idle;    /* the same without calls; else a PING in two hours then */
    uint32_t max_age_ms;           /* then a graceful GOAWAY, +-10 %: 1,800,000 */
    uint32_t max_age_grace_ms;     /* then calls end with UNAVAILABLE: 30,000 */
    nrpc_compression compression;  /* of answers, where the client takes it: identity */
} nrpc_server_options;
void nrpc_server_defaults(nrpc_server_options *o);
int nrpc_server_new(const nrpc_server_options *o, nrpc_server **out_server);
/* [setup] Copies; once.  E_INVAL for a name or policy that is none. */
int nrpc_server_configure(nrpc_server *s, const nrpc_method_config *list, size_t n);
/* [setup] "HOST:PORT" (port 0 picks one), "[::1]:PORT", "unix:PATH", "unix:PATH?mode=0660", "unix-abstract:NAME",
 * "fd:N" (a listening socket that the parent opened) or "systemd", "systemd:NAME" (socket activation); several are
 * fine.  Binds at once.  E_SYS with errno (ENODATA: nothing was handed over), E_INVAL for a bad address. */
int nrpc_server_listen(nrpc_server *s, const char *address);
int nrpc_server_listen_tls(nrpc_server *s, const char *address, nrpc_tls *t); /* takes a reference of its own */
/* [setup, any after start] The i-th bound address as text ("127.0.0.1:43121"); NULL past the last. */
const char *nrpc_server_address(const nrpc_server *s, size_t i);
int nrpc_server_start(nrpc_server *s);                    /* spawns loops, accepts, returns */
size_t nrpc_server_loops(const nrpc_server *s);
nrpc_loop *nrpc_server_loop(const nrpc_server *s, size_t i); /* to post to each */
/* [any] Drain: stop accepting, health NOT_SERVING, GOAWAY, finish calls <= grace_ms, then cancel, close.
 * Returns at once; nrpc_server_wait joins. */
void nrpc_server_stop(nrpc_server *s, uint32_t grace_ms);
/* [setup] fn runs on each loop when the drain begins there: streams that would never end by themselves should end.
 * E_FULL past 8. */
int nrpc_server_on_drain(nrpc_server *s, void (*fn)(void *ctx, nrpc_loop *loop), void *ctx);
void nrpc_server_wait(nrpc_server *s);                    /* not on a loop: until all loops ended */
void nrpc_server_free(nrpc_server *s);                    /* after wait; NULL is fine */

/* ---- client channel [loop] ----------------------------------------------------------------------------- */
typedef enum { NRPC_PICK_FIRST, NRPC_ROUND_ROBIN, NRPC_LEAST_CALLS } nrpc_balance;
typedef struct {
    /* "HOST:PORT", "dns:///HOST:PORT", "ipv4:A:P", "ipv6:[A]:P", "unix:PATH", "unix:///PATH", or several joined by
     * commas (64 addresses at most).  All addresses of a name are backends of their own. */
    const char *target;
    nrpc_balance balance;
    const char *user_agent;        /* put before "nrpc/VERSION"; may be NULL */
    uint32_t max_pending_calls;    /* waiting for a connection; over it E_FULL: 1,000 */
    uint32_t connect_ms;           /* 5,000 */
    uint32_t backoff_min_ms, backoff_max_ms; /* 100, 10,000; doubles, +-20 % jitter, reset after SETTINGS */
    uint32_t max_message_bytes;    /* received: 4 MiB */
    uint32_t stream_window, connection_window; /* 256 KiB, 4 MiB */
    uint32_t send_high_bytes, send_low_bytes;
    uint32_t idle_ms;              /* closes an idle connection: 0, never */
    uint32_t keepalive_ms;         /* a silent connection is sent a PING after: 0, never; least 10,000;
                                    * doubles when a server says too_many_pings */
    uint32_t keepalive_timeout_ms; /* and lost without an answer after: 20,000 */
    bool keepalive_without_calls;
    nrpc_compression compression;  /* of requests: identity */
    nrpc_tls *tls;                 /* NULL: plain HTTP/2; else a client's context: a reference of its own is taken */
    const char *authority;         /* :authority, SNI and the name to verify; NULL: the address without what DNS said */
    uint32_t resolve_ms;           /* a DNS name is resolved again every: 30,000, and after a lost connection */
    uint32_t max_connections;      /* per address; another is opened when the peer's stream limit is reached: 4 */
    /* "" or a name: only backends whose grpc.health.v1 Watch says SERVING get calls; one without that service counts
     * as healthy.  NULL: off. */
    const char *health_service;
    /* A backend that failed so many calls in a row gets none for ejection_ms (30,000) times the number of its
     * ejections, then one that decides whether it is back or out again, for longer (nrpc_circuit); each interval_ms (10,000) in between takes one back.  At most max_percent (10) of the backends are
     * out, but one may always be.  consecutive_failures 0: off. */
    struct {
        uint32_t consecutive_failures, interval_ms, ejection_ms, max_percent;
    } outlier;
    /* Retries and hedges stop while more than half of max_tokens (10; at most 1,000) are spent: a failure costs one, a
     * success brings token_ratio (0.1).  On when a method has a policy. */
    struct {
        uint32_t max_tokens;
        double token_ratio;
    } retry_throttle;
} nrpc_channel_options;
typedef struct {
    uint64_t timeout_ms;           /* 0: none; travels as grpc-timeout, and is enforced here too */
    bool wait_for_ready;           /* else a call fails UNAVAILABLE while the channel backs off */
    nrpc_compression compression;  /* instead of the channel's, when compression_set */
    bool compression_set;
} nrpc_call_options;
void nrpc_channel_defaults(nrpc_channel_options *o);
int nrpc_channel_new(nrpc_loop *loop, const nrpc_channel_options *o, nrpc_channel **out_channel); /* no I/O */
/* Before the first call; copies; once.  E_INVAL for a name or policy that is none. */
int nrpc_channel_configure(nrpc_channel *ch, const nrpc_method_config *list, size_t n);
/* Starts one call.  ev and state must outlive on_end.  Headers may be added through nrpc_call_headers_out
 * until the first send.  A lost connection is not an int: it is on_end(UNAVAILABLE). */
int nrpc_channel_start(nrpc_channel *ch, const nrpc_method *method, const nrpc_call_options *o,
                       const nrpc_events *ev, void *state, nrpc_call **out_call);
typedef enum { NRPC_CHANNEL_IDLE, NRPC_CHANNEL_CONNECTING, NRPC_CHANNEL_READY, NRPC_CHANNEL_BACKOFF } nrpc_channel_state;
nrpc_channel_state nrpc_channel_get_state(const nrpc_channel *ch);
uint32_t nrpc_channel_backoff_ms(const nrpc_channel *ch); /* until the next attempt; 0 when none is due */
void nrpc_channel_connect(nrpc_channel *ch);  /* leave IDLE without a call */
/* A backend's circuit breaker.  Open: no calls by choice, after failures in a row (options.outlier) or while its
 * connection is in backoff; a call that finds every connection so ends UNAVAILABLE at once.  Half open: one call, or
 * one attempt to connect, finds out. */
typedef enum { NRPC_CIRCUIT_CLOSED, NRPC_CIRCUIT_OPEN, NRPC_CIRCUIT_HALF_OPEN } nrpc_circuit;
/* Backends as they are now, in the resolver's order; returns how many there are, writes at most max.  Texts are lent
 * until the loop goes on. */
typedef struct {
    const char *address;           /* "10.0.0.1:50051", "unix:PATH" */
    const char *error;             /* of the last attempt, in BACKOFF; else NULL */
    nrpc_channel_state state;
    uint32_t connections, calls;   /* that take calls; in progress */
    bool healthy, ejected;         /* ejected: open for calls that failed */
    nrpc_circuit circuit;
} nrpc_backend;
size_t nrpc_channel_backends(const nrpc_channel *ch, nrpc_backend *out, size_t max);
void nrpc_channel_close(nrpc_channel *ch);    /* takes ch: calls end CANCELLED from the loop, then memory goes */
/* As close; gone runs on the loop when all memory of the channel went.  NULL is fine. */
void nrpc_channel_close_then(nrpc_channel *ch, void (*gone)(void *ctx), void *ctx);

/* ---- blocking helper [any thread that is no loop]: for tools -------------------------------------------- *
 * A client runs a loop and a channel of its own inside the calls below; one thread at a time. */
typedef struct nrpc_client nrpc_client;
int nrpc_client_new(const nrpc_channel_options *o, nrpc_client **out_client);
void nrpc_client_free(nrpc_client *cl); /* NULL is fine */
typedef struct {
    nrpc_call_options options;
    const char *const *metadata; /* key, value, key, value, NULL; may be NULL */
} nrpc_client_options;
/* Blocks until the answer.  OK: *out_response is the caller's; else it is NULL and *st says why.  o may be NULL. */
nrpc_code nrpc_client_unary(nrpc_client *cl, const nrpc_method *method, const nrpc_client_options *o,
                            const ProtobufCMessage *request, nrpc_msg **out_response, nrpc_status *st);
/* Server stream: on_message for each message in order (takes m); returning false cancels the call. */
nrpc_code nrpc_client_stream(nrpc_client *cl, const nrpc_method *method, const nrpc_client_options *o,
                             const ProtobufCMessage *request, bool (*on_message)(void *ctx, nrpc_msg *m), void *ctx,
                             nrpc_status *st);
/* Both ways: on_open runs on the loop with the new call, to send or to keep it; tasks that come through
 * nrpc_client_post may send on it later, until on_message has returned false or this returns.  on_message as above. */
nrpc_code nrpc_client_duplex(nrpc_client *cl, const nrpc_method *method, const nrpc_client_options *o,
                             void (*on_open)(void *ctx, nrpc_call *c), bool (*on_message)(void *ctx, nrpc_msg *m),
                             void *ctx, nrpc_status *st);
/* [any, async-signal-safe] Ends the call in progress with CANCELLED. */
void nrpc_client_cancel(nrpc_client *cl);

/* ---- loops and crossing threads -------------------------------------------------------------------------- */
int nrpc_loop_new(nrpc_loop **out_loop);
int nrpc_loop_run(nrpc_loop *l);     /* the calling thread becomes the loop until stop */
void nrpc_loop_stop(nrpc_loop *l);   /* [any] */
void nrpc_loop_free(nrpc_loop *l);   /* after run returned */
typedef struct nrpc_task {
    struct nrpc_task *next;
    void (*run)(struct nrpc_task *t, nrpc_loop *loop);
} nrpc_task;
void nrpc_loop_post(nrpc_loop *loop, nrpc_task *t); /* [any] takes t; never fails; FIFO per sender */
/* [any] t runs on the client's loop: in the call that is in progress, else in the next one or in nrpc_client_free. */
void nrpc_client_post(nrpc_client *cl, nrpc_task *t);
/* One-shot timers for handlers [loop].  fn runs on the loop, not before the time. */
typedef struct nrpc_timer nrpc_timer;
int nrpc_timer_new(nrpc_loop *loop, void (*fn)(void *ctx), void *ctx, nrpc_timer **out_timer);
void nrpc_timer_start(nrpc_timer *t, uint64_t after_ms); /* restarts when running */
void nrpc_timer_stop(nrpc_timer *t);                     /* safe when not running */
void nrpc_timer_free(nrpc_timer *t); /* [loop, or any once the loop has ended, before it is freed] NULL is fine */
/* work() runs on a worker; jobs with one key run one at a time, in order.  Then done.run on `home`
 * (home NULL: done.run is called on the worker with loop NULL). */
typedef struct nrpc_job {
    nrpc_task done;
    void (*work)(struct nrpc_job *j);
    nrpc_loop *home;
    uint64_t key;
} nrpc_job;
int nrpc_pool_new(unsigned workers, size_t max_queued, nrpc_pool **out_pool);
int nrpc_pool_submit(nrpc_pool *p, nrpc_job *j); /* [any] takes j; E_FULL: j stays yours, shed load */
void nrpc_pool_free(nrpc_pool *p);               /* runs what is queued, joins; before the loops stop */

/* ---- grpc.reflection.v1 and v1alpha [setup] ------------------------------------------------------------------ */
/* Describes the services of s from a packed FileDescriptorSet with its imports (protoc --include_imports
 * --descriptor_set_out); lends the bytes for the server's life.  The runtime's own services (health, reflection,
 * channelz) need not be in it.  E_INVAL: it is no such set.  E_STATE: added before, or started. */
int nrpc_server_add_reflection(nrpc_server *s, nrpc_slice file_descriptor_set);

/* ---- grpc.channelz.v1 [setup]: this server, its sockets and its calls ---------------------------------------- */
int nrpc_server_add_channelz(nrpc_server *s);

/* ---- abuse [any]: streams and connections of peers that were ended for their conduct, by kind ----------------- */
/* "ping", "reset_received", "stalled_stream", ...; NULL past the last.  A server also logs the first of each
 * connection. */
const char *nrpc_abuse_name(size_t kind);
uint64_t nrpc_abuse_count(size_t kind); /* since the start of the process; 0 past the last */

/* ---- gauges [any]: live objects of the process; all zero after a clean stop ------------------------------ */
typedef struct {
    int64_t connections, calls, messages, blobs, cancels, channels, timers;
} nrpc_gauges;
void nrpc_gauges_read(nrpc_gauges *out);

/* ---- health: grpc.health.v1 [setup to add; set is any] ---------------------------------------------------- */
int nrpc_server_add_health(nrpc_server *s);
void nrpc_server_set_serving(nrpc_server *s, const char *service, bool serving); /* "" is the whole server */

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
