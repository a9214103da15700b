/* call.h — one RPC on either side: the state machine between a stream of HTTP/2 and the events of
 * nrpc.h. All [loop].  Not here: which handler (rpc/server), which connection (rpc/client), what
 * bytes mean (rpc/grpc).
 *
 * Ends: a call has one final status, decided once (call_decide).  on_end runs when the stream is
 * gone and every message that came before the end was taken, never inside a verb, then the call is
 * freed. */
#ifndef NRPC_CALL_CALL_H
#define NRPC_CALL_CALL_H
#include "rpc/base/arena.h"
#include "rpc/base/buf.h"
#include "rpc/call/budget.h"
#include "rpc/call/cancel.h"
#include "rpc/call/table.h"
#include "rpc/grpc/frame.h"
#include "rpc/grpc/metadata.h"
#include "rpc/h2/session.h"

/*  IDLE -> OPEN -> HALF_REMOTE -> DECIDED -> ENDED
 *             \--> HALF_LOCAL --/      (any state before it may go to DECIDED)
 * IDLE: a client's call without a stream.  HALF_REMOTE: the peer sends no more.  HALF_LOCAL: we do
 * not. DECIDED: the status stands; only its delivery is left. */
enum call_state {
    CALL_IDLE,
    CALL_OPEN,
    CALL_HALF_REMOTE,
    CALL_HALF_LOCAL,
    CALL_HALF_BOTH,
    CALL_DECIDED,
    CALL_ENDED
};

/* What becomes of the next message when the call has an encoding. */
enum call_squeeze {
    SQUEEZE_UNASKED, /* compressed if that makes it shorter */
    SQUEEZE_YES,
    SQUEEZE_NO
};

struct method_settings;
struct call_limits {
    uint32_t max_message_bytes, max_send_bytes, send_high_bytes, send_low_bytes;
    uint32_t max_metadata_bytes, max_metadata_fields;
    nrpc_compression compression; /* to send with, when nobody says otherwise */
};
/* How an attempt failed: the server never saw it, says that it did nothing with it, or anything
 * else. */
enum call_failure { CALL_NEVER_LEFT, CALL_REFUSED, CALL_FAILED };
enum { CALL_INTERCEPTORS_MAX = 8, CALL_KEPT_MAX = 1 << 20 };
struct call_interceptors {
    nrpc_interceptor list[CALL_INTERCEPTORS_MAX];
    uint32_t count;
};
struct call_options {
    nrpc_loop *loop;
    bool server;
    const nrpc_method *method;        /* a server sets method and path later */
    const char *peer;                 /* copied, like the next one */
    const char *peer_subject;         /* NULL: none */
    const struct call_limits *limits; /* this and the next two must outlive the call */
    const struct call_interceptors *interceptors;
    struct call_budget *budget; /* of the connection; a client's is set with the stream */
    const nrpc_events *events;
    void *state;
    /* Client: the first send or half-close; a stream is wanted.  Runs inside the verb. */
    void (*on_ready)(nrpc_call *c, void *owner);
    /* After on_end, before the call is freed.  May be NULL. */
    void (*on_gone)(nrpc_call *c, void *owner);
    /* Client: an attempt ended with *st before the call was committed; true: another one is made,
     * by call_rewind and then a stream.  NULL: never. */
    bool (*on_failed)(nrpc_call *c, void *owner, const nrpc_status *st, enum call_failure how);
    void *owner;
};

/* Bytes of the stream on their way to whole messages. */
struct call_input {
    struct frame_parser frames;
    uint32_t held;      /* bytes of the message in `frames`, as the budget knows them */
    struct buf waiting; /* came without a credit or budget; their window is not returned */
    size_t waiting_at;
    uint64_t starved_ns; /* since when the budget refuses; 0: it does not */
    struct timer retry;
    /* call_is_dribbling's: since when it watches this message, and what there was of it then. */
    uint64_t watched_ns, watched_message;
    uint32_t watched_bytes;
};

struct nrpc_call {
    struct list link, pending_link; /* for the owner */
    struct arena arena;
    nrpc_loop *loop;
    const nrpc_method *method;
    const char *path, *peer, *peer_subject;
    const struct call_limits *limits;
    const struct method_settings *settings; /* config.h; NULL: none for this method */
    const struct call_interceptors *interceptors;
    struct call_budget *budget;
    struct h2_stream *stream; /* NULL before, and after it is gone */
    const nrpc_events *events;
    void *state;
    void (*on_ready)(nrpc_call *c, void *owner);
    void (*on_gone)(nrpc_call *c, void *owner);
    bool (*on_failed)(nrpc_call *c, void *owner, const nrpc_status *st, enum call_failure how);
    /* A hedged call has no stream but others that race for it: on_queued when it has more to send
     * or was half-closed, elect (of a racer) the call that takes the stream over, now that a head
     * came: st NULL, or an end: its status. */
    void (*on_queued)(nrpc_call *c);
    nrpc_call *(*elect)(nrpc_call *racer, const nrpc_status *st);
    void *owner;
    void *place;                 /* client: the backend of the attempt, for the channel */
    void *retry;                 /* client: state of retries and hedging, for the channel */
    const nrpc_handler *handler; /* server: the request shortcut */
    void *service_ctx;
    nrpc_msg *request;
    void *interceptor_state[CALL_INTERCEPTORS_MAX];
    uint32_t begun;
    enum call_state phase;
    bool is_server, paused, sent_head, remote_ended, half_close_told, half_closed, pumping, end_due,
        has_remote_end;
    bool is_pending, wait_for_ready; /* for the channel */
    bool secure;                     /* client: the scheme is https */
    bool committed;                  /* client: this attempt is the last */
    bool announced;                  /* the application knows this call, so it gets an on_end */
    nrpc_compression encoding_out;   /* fixed with the head */
    uint32_t accepts;                /* what the peer takes: bits (1 << nrpc_compression) */
    bool squeeze_asked;              /* the application chose the encoding itself */
    enum call_squeeze squeeze_next;
    uint32_t credits, attempts; /* attempts: streams that were opened for it */
    uint32_t previous;          /* goes out as grpc-previous-rpc-attempts */
    uint64_t messages_in, number, deadline_ns;
    nrpc_call_id id;
    nrpc_cancel *cancel;
    struct timer deadline;
    struct loop_later later;
    struct call_input in;
    struct h2_queue out;
    nrpc_metadata *headers_in, *trailers_in, *headers_out, *trailers_out;
    nrpc_status end;
    nrpc_status remote_end; /* client: what the trailers said, until all messages were taken */
};

/* call.c */
int call_new(const struct call_options *o, nrpc_call **out_call);
/* An empty metadata in the call's arena; NULL without memory. */
nrpc_metadata *call_metadata_new(nrpc_call *c);
/* Drops a call that nobody heard of; no event. */
void call_discard(nrpc_call *c);
void call_move(nrpc_call *c, enum call_state to);
/* Runs on_begin of the interceptors; NRPC_OK, or the code that *st holds. */
nrpc_code call_begin(nrpc_call *c, nrpc_status *st);
void call_arm_deadline(nrpc_call *c, uint64_t due_ns);
/* Takes *st as the outcome; false when one stands already (then *st is only cleared). */
bool call_decide(nrpc_call *c, nrpc_status *st);
/* Ends from this side for a reason of our own: a server answers *st in trailers, a client resets
 * the stream. Takes *st. */
void call_end_here(nrpc_call *c, nrpc_status *st);
/* Ends without the stream: on_end follows at the end of the turn.  Takes *st. */
void call_end_detached(nrpc_call *c, nrpc_status *st);
/* The stream is gone or nothing is left to wait for: on_end, then free. */
void call_deliver_end(nrpc_call *c);
/* The peer has not taken queued bytes for too long: ends the call with RESOURCE_EXHAUSTED. */
void call_on_stalled(nrpc_call *c);
void call_later(nrpc_call *c);
bool call_is_over(const nrpc_call *c);

/* receive.c */
void call_on_bytes(nrpc_call *c, const uint8_t *data, size_t size);
void call_on_remote_end(nrpc_call *c);
void call_pump(nrpc_call *c); /* delivers what waits, as far as credits and budget go */
/* Server, asked every now and then: has a message that began, or a request that must be whole, come
 * slower than 128 bytes a second over limit_ms?  Waiting for our own credits is not slow. */
bool call_is_dribbling(nrpc_call *c, uint32_t limit_ms);
void call_input_init(nrpc_call *c);
void call_input_done(nrpc_call *c);
void call_input_reset(nrpc_call *c); /* after done: for another stream */
bool call_has_input(const nrpc_call *c);
extern const nrpc_events call_request_events; /* behind nrpc_handler.request */

/* send.c */
/* Server: the head of the answer with `:status 200`, once. */
int call_put_head(nrpc_call *c);
/* Server: trailers, or the trailers-only answer; c->end holds the status.  now: before what is
 * queued, which is dropped. */
int call_put_end(nrpc_call *c, bool now);
/* Client: the request's head, and what is queued, on a fresh stream of `session`. */
int call_open_stream(nrpc_call *c, struct h2_session *session, const char *authority,
                     const char *user_agent);
void call_on_low(nrpc_call *c);

/* compress.c */
/* A received message with the flag to what it stands for; else *st says why not, and *m is as it
 * was. */
int call_inflate(nrpc_call *c, nrpc_msg **m, nrpc_status *st);
/* How the next message of so many bytes goes; spends what nrpc_call_compress_next said.  Only for a
 * call with an encoding. */
enum call_squeeze call_next_squeeze(nrpc_call *c, size_t size);
uint8_t *call_scratch(nrpc_call *c, size_t size); /* until the next call_put_squeezed */
int call_put_squeezed(nrpc_call *c, nrpc_slice message, enum call_squeeze how);

/* attempt.c */
/* True: the owner makes another attempt, and c is as if this one had not been. */
bool call_attempt_failed(nrpc_call *c, const nrpc_status *st, enum call_failure how);
/* Takes the call off its stream; all it sent is unsent again, nothing was received. */
void call_rewind(nrpc_call *c);
void call_commit(nrpc_call *c); /* there will be no other attempt: what was sent is forgotten */
/* c gets the stream of `from`, another attempt at the same call, with what it has not sent yet. */
void call_adopt(nrpc_call *c, nrpc_call *from);

/* streams.c: the events of the stream below */
extern const struct h2_stream_events call_server_stream, call_client_stream;

#endif
