/* exchange.h — one request and its answer: match, transcode, call, write.  Belongs to a connection
 * until the answer is out; when the client goes first, it lives on until its call has ended.  All
 * [loop]. */
#ifndef NOVEL_GATEWAY_EXCHANGE_H
#define NOVEL_GATEWAY_EXCHANGE_H
#include "gateway/bind.h"
#include "gateway/client.h"
#include "gateway/encode.h"
#include "gateway/form.h"
#include "gateway/gateway.h"
#include "gateway/http1.h"
#include "gateway/json_split.h"
#include "gateway/problem.h"
#include "gateway/to_wire.h"
#include "gateway/websocket.h"

enum exchange_body {
    BODY_NONE,
    BODY_JSON,
    BODY_RAW /* a google.api.HttpBody's data */,
    BODY_FORM /* multipart/form-data */,
    BODY_KEPT, /* in x->wire, for the gateway itself */
    BODY_DROPPED
};
enum stream_form {
    STREAM_NDJSON,
    STREAM_SSE,
    STREAM_ARRAY,
    STREAM_RAW,
    STREAM_WEBSOCKET,
    STREAM_GRPC_WEB
};
enum exchange_rpc {
    RPC_NONE,
    RPC_GRPC_WEB,
    RPC_GRPC_WEB_TEXT,
    RPC_CONNECT_PROTO,
    RPC_CONNECT_JSON,
    RPC_CONNECT_STREAM_PROTO,
    RPC_CONNECT_STREAM_JSON
};
enum { REQUEST_ID_MAX = 128, STREAM_HELD_MAX = 262144 };

struct stream {
    enum stream_form form;
    bool open; /* the HTTP head is out */
    bool chunked;
    bool any;     /* a message was written */
    bool resumed; /* Last-Event-ID came */
    bool trailed; /* the answer has announced trailers */
    bool failed;  /* its end is an error */
    uint64_t resume_id;
    uint64_t end_id;         /* behind the last event's id; 0: none was shown */
    uint32_t owed;           /* credits to give back once the client reads again */
    uint64_t written_ns;     /* when anything was last written */
    struct buf held;         /* of a resumed watch, before anything new came */
    struct encoder *encoder; /* NULL: as it is */
    const struct desc_field *id, *type;
    struct timer timer;
};

/* A stream of messages from the client. */
struct upload {
    bool active;
    bool framed; /* Connect's messages, behind their heads */
    bool raw;    /* HttpBody: each piece of the body, as it comes, is a message */
    bool open;   /* a message is being read */
    bool held;   /* the server takes no more for now */
    bool whole;  /* the client has said all */
    bool over;   /* nothing more goes to the server */
    struct json_split split;
    struct buf rest; /* of the body, while held */
    uint8_t head[5]; /* of a framed message, as far as it came */
    uint8_t head_size;
    uint32_t left; /* of the message */
    struct buf frame;
};

/* A WebSocket: see socket.h. */
struct socket {
    bool active;
    bool called; /* the call has its message, or its messages come one by one */
    bool closed; /* our close frame is out */
    char accept[WEBSOCKET_ACCEPT_SIZE + 1];
    struct websocket parser;
};

struct exchange {
    struct gateway_loop *gl;
    struct client *client; /* NULL: it has gone */
    struct exchange *next_spare;
    struct http1 http;
    struct arena arena;
    struct table_view *view; /* descriptors and routes that it began with */
    struct route_match match;
    const struct route *route; /* NULL: none */
    const char *builtin;       /* the path that the gateway answers itself; NULL: none */
    enum exchange_body body_kind;
    enum exchange_rpc rpc;  /* rpcweb.h */
    bool gzip_in, gzip_out; /* envelope.h */
    struct to_wire *body;   /* BODY_JSON */
    struct form *form;      /* BODY_FORM */
    uint64_t body_bytes;
    struct buf wire; /* the request message */
    struct buf mask; /* FieldMask's content of a PATCH */
    size_t region;   /* of the body field in wire */
    bool has_region;
    size_t raw_region; /* of an HttpBody's data */
    struct binder binder;
    struct filter *filter; /* the fields of the answer that are wanted; NULL: all */
    bool failed;           /* problem is set: nothing is called any more */
    struct problem problem;
    nrpc_call *call;
    nrpc_msg *message; /* of a unary answer */
    /* Of the call, while it ends; else NULL. */
    const nrpc_metadata *leaders, *trailers;
    struct stream stream;
    struct upload upload;
    struct socket socket;
    uint64_t started_ns;
    uint64_t response_bytes;
    enum encoding encoding;     /* that the client takes; of the answer once it is written */
    int status;                 /* written; 0: none yet */
    struct limit_verdict share; /* of the client's requests */
    struct purge *purge;        /* of /cache/invalidate, on its way through the loops */
    bool cacheable;             /* as far as the request goes */
    uint64_t cache_epoch;
    bool match_sent; /* If-Match is in the request */
    bool head_only;  /* HEAD */
    bool keep_alive;
    char method[16];
    char request_id[REQUEST_ID_MAX + 1];
};

/* A clean exchange for a client; NULL without memory. */
struct exchange *exchange_take(struct gateway_loop *gl, struct client *client);
/* What the client's reader found.  Each may end the exchange (client_ops.ended). */
void exchange_on_head(struct exchange *x);
void exchange_on_body(struct exchange *x, const char *data, size_t size);
void exchange_on_whole(struct exchange *x);
void exchange_on_bad(struct exchange *x, int status, const char *reason);
void exchange_on_tunnel(struct exchange *x, const uint8_t *data, size_t size);
void exchange_on_client_gone(struct exchange *x); /* the connection forgets it */
void exchange_on_drained(struct exchange *x);     /* the client reads again */
bool exchange_is_stream(const struct exchange *x);
bool exchange_has_body(const struct exchange *x);
void exchange_fail_too_large(struct exchange *x);

/* Ends it: logs, gives it back, tells the connection. */
void exchange_end(struct exchange *x);
/* Gives it back after its client has gone. */
void exchange_release(struct exchange *x);
/* Frees what a loop kept for reuse. */
void exchange_free_spares(struct gateway_loop *gl);
/* Records what went wrong; the first problem stays. */
void exchange_fail(struct exchange *x, int status, nrpc_code code, const char *reason,
                   const char *format, ...) __attribute__((format(printf, 5, 6)));
void exchange_fail_field(struct exchange *x, const char *field, const char *message,
                         const char *where);
struct problem_context exchange_problem_context(const struct exchange *x);
bool exchange_is_legacy(const struct exchange *x);
struct to_json *exchange_json(struct exchange *x);
struct http1_text exchange_header(const struct exchange *x, const char *name);

/* builtin.c: /livez, /readyz, OPTIONS.  True when the path is one of them and was answered. */
bool builtin_serve(struct exchange *x);

/* call.c: from the whole request to the RPC; what goes wrong at once is recorded. */
void exchange_call(struct exchange *x);
/* The call without its message: see upload.h. */
void exchange_start_call(struct exchange *x);

#endif
