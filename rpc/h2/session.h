/* session.h — one HTTP/2 connection without I/O: bytes in, bytes out, stream events between (RFC
 * 9113, on nghttp2).  Knows nothing of gRPC: a stream is two header blocks and bytes both ways. One
 * thread.
 *
 * Events run inside h2_session_feed, h2_session_drain and h2_session_abort, never inside a verb.
 * Verbs are legal inside events (not feed, drain, abort, free); they queue, the next drain sends.
 * Limits are always announced and always enforced: streams, windows, frame size, header list.
 * Windows: the connection's is returned on arrival, a stream's only by h2_stream_consume. */
#ifndef NRPC_H2_SESSION_H
#define NRPC_H2_SESSION_H
#include "rpc/base/buf.h"
#include "rpc/h2/queue.h"
#include "rpc/h2/shield.h"

enum h2_role { H2_SERVER, H2_CLIENT };
enum { H2_FRAME_BYTES = 16384 };
/* Error codes of RFC 9113 section 7, and one of ours for on_close. */
enum {
    H2_NO_ERROR = 0,
    H2_PROTOCOL_ERROR = 1,
    H2_INTERNAL_ERROR = 2,
    H2_STREAM_CLOSED = 5,
    H2_FRAME_SIZE_ERROR = 6,
    H2_REFUSED_STREAM = 7,
    H2_CANCEL = 8,
    H2_ENHANCE_YOUR_CALM = 11,
    H2_CONNECTION_LOST = 0x10000,
    H2_NEVER_SENT = 0x10001 /* client: the connection ended before the request was sent */
};

struct h2_session;
struct h2_stream;
struct h2_field {
    const char *name, *value; /* what a peer sent is NUL-ended behind its size */
    uint32_t name_size, value_size;
};
#define H2_FIELD(n, v)                                                                             \
    {                                                                                              \
        (n), (v), sizeof(n) - 1, sizeof(v) - 1                                                     \
    }

/* Events of one stream; a NULL entry means: nothing to do. */
struct h2_stream_events {
    /* Client: the final response head; fields are lent. */
    void (*on_headers)(void *user, const struct h2_field *fields, size_t n, bool end);
    /* Bytes of the body, lent.  Hand their number to h2_stream_consume once they are dealt with. */
    void (*on_data)(void *user, const uint8_t *data, size_t size);
    void (*on_trailers)(void *user, const struct h2_field *fields, size_t n);
    /* Client: a header list of the peer is over the limit; instead of on_headers or on_trailers.
     * The stream is reset. */
    void (*on_too_big)(void *user);
    void (*on_end)(
        void *user); /* the peer sends no more on this stream; after head, data and trailers */
    /* The queue fell to its low mark after h2_stream_notify_low. */
    void (*on_low)(void *user);
    /* Last event: the stream is gone on return.  H2_NO_ERROR: both sides ended it. */
    void (*on_close)(void *user, uint32_t error_code);
};
struct h2_session_events {
    /* Server: a request's header block is whole.  h2_stream_bind or h2_stream_reset now; unbound
     * streams are refused.  too_big: the list passed its limit (fields holds what fitted): answer
     * and end. */
    void (*on_request)(void *owner, struct h2_stream *st, const struct h2_field *fields, size_t n,
                       bool end, bool too_big);
    void (*on_settings)(void *owner); /* the peer's first SETTINGS came: the handshake is done */
    /* The peer takes no new streams.  Streams over its last id are closed with H2_REFUSED_STREAM
     * after it. */
    void (*on_goaway)(void *owner, uint32_t error_code);
    void (*on_output)(
        void *owner); /* something waits for a drain; may come from inside verbs: only mark */
    void (*on_streams)(void *owner,
                       size_t open); /* the number of open streams became 0 or 1, or fell */
    /* The peer's conduct ended a stream or the connection; it is counted already. */
    void (*on_abuse)(void *owner, enum h2_abuse kind);
};
/* What happened since the start; times are as the session was told them, 0: never. */
struct h2_counters {
    uint64_t streams_started;   /* by the client, whichever side this is */
    uint64_t streams_succeeded; /* a server's answer went out whole, a client's came whole */
    uint64_t streams_failed;
    uint64_t messages_sent, messages_received; /* as the streams' users count them */
    uint64_t last_stream_ns, last_sent_ns, last_received_ns;
};
struct h2_options {
    enum h2_role role;
    uint32_t max_streams; /* the peer may open; 0 for a client */
    uint32_t stream_window, connection_window;
    uint32_t max_field_bytes; /* name + value + 32 each */
    uint32_t max_fields;
    uint32_t ping_min_ms;  /* server: the least time between two PINGs of the peer; 0: any */
    bool ping_permit_idle; /* also without streams; else two hours then */
    bool connect_protocol; /* server: takes CONNECT with a :protocol (RFC 8441) */
};

/* ev and owner must outlive the session.  The preface and SETTINGS are queued at once. */
int h2_session_new(const struct h2_options *o, const struct h2_session_events *ev, void *owner,
                   uint64_t now_ns, struct h2_session **out_session);
void h2_session_free(
    struct h2_session *s); /* streams that are left go without an event; NULL is fine */

/* Takes all bytes.  A server sends nothing before it has the client's preface; who speaks HTTP/1
 * gets a 400 in that.  E_PROTO: the peer broke the protocol or spent its budget, GOAWAY is queued:
 * drain, then close.  E_NOMEM: close. */
int h2_session_feed(struct h2_session *s, const uint8_t *data, size_t size, uint64_t now_ns);
/* Appends what is due to `out` until about `max` bytes are in it; more stays queued
 * (h2_session_wants_drain). */
int h2_session_drain(struct h2_session *s, struct buf *out, size_t max, uint64_t now_ns);
bool h2_session_wants_drain(const struct h2_session *s);
/* Nothing more to read or write: close the connection. */
bool h2_session_is_done(const struct h2_session *s);
/* The connection is lost: every stream's on_close(H2_CONNECTION_LOST). */
void h2_session_abort(struct h2_session *s);

/* Drain of a server: GOAWAY(2^31-1) and a PING; its answer brings the GOAWAY with the real id. */
int h2_session_shutdown(struct h2_session *s);
/* Asks whether the peer is there: its answer is bytes like any others.  0 or E_NOMEM. */
int h2_session_ping(struct h2_session *s);
/* The peer's GOAWAY said too_many_pings. */
bool h2_session_pinged_too_much(const struct h2_session *s);
/* The session is over for a fault of the peer: counts it, queues GOAWAY(ENHANCE_YOUR_CALM); drain,
 * then close. */
void h2_session_end_abuse(struct h2_session *s, enum h2_abuse kind, const char *reason);
/* Since when a header block is on its way that is not whole; 0: none is. */
uint64_t h2_session_block_since_ns(const struct h2_session *s);
/* GOAWAY now; streams up to the last id go on. */
int h2_session_goaway(struct h2_session *s, uint32_t error_code, const char *reason);
size_t h2_session_streams(const struct h2_session *s);
bool h2_session_is_settled(const struct h2_session *s); /* the peer has acknowledged our SETTINGS */
bool h2_session_has_settings(const struct h2_session *s); /* the peer's SETTINGS came */
bool h2_session_said_goaway(
    const struct h2_session *s); /* our GOAWAY with the real last id is out */
/* Client: may a stream be opened now (no GOAWAY, the peer's limit, ids left)? */
bool h2_session_can_open(const struct h2_session *s);
const struct h2_counters *h2_session_counters(const struct h2_session *s);
/* Bytes of DATA that the peer, and that we, may still send on the connection. */
void h2_session_windows(const struct h2_session *s, int64_t *out_local, int64_t *out_remote);
const struct h2_shield *h2_session_shield(const struct h2_session *s);

/* Client: opens a stream; fields are copied.  end: no body.  Else the body comes from `queue` (lent
 * until on_close) and h2_stream_finish. */
int h2_stream_open(struct h2_session *s, const struct h2_field *fields, size_t n, bool end,
                   struct h2_queue *queue, const struct h2_stream_events *ev, void *user,
                   struct h2_stream **out_stream);
/* Server, in on_request: whose stream this is. */
void h2_stream_bind(struct h2_stream *st, const struct h2_stream_events *ev, void *user);
/* Server: the response head; fields are copied.  end: nothing follows.  queue as for
 * h2_stream_open.  E_TOOBIG as there; only when it ends the stream. */
int h2_stream_respond(struct h2_stream *st, const struct h2_field *fields, size_t n, bool end,
                      struct h2_queue *queue);
/* The queue has new bytes. */
int h2_stream_resume(struct h2_stream *st);
/* No more bytes will come; n > 0: trailers follow the last of them (copied). */
int h2_stream_finish(struct h2_stream *st, const struct h2_field *trailers, size_t n);
/* As finish, but at once: what is queued is no longer sent.  Also when a finish waits already; the
 * queue is not used any more. */
int h2_stream_finish_now(struct h2_stream *st, const struct h2_field *trailers, size_t n);
/* Server: our end does not tell the peer to stop, as it else does when the request is not whole (RFC
 * 9113 section 8.1): a tunnel's two sides end each by itself (section 8.5).  The user resets the
 * stream if the peer's end does not come. */
void h2_stream_half_closes(struct h2_stream *st);
/* RST_STREAM; what is queued is dropped.  on_close follows with the next drain. */
void h2_stream_reset(struct h2_stream *st, uint32_t error_code);
/* The user goes before the stream: resets it if that is still due; no event will come. */
void h2_stream_detach(struct h2_stream *st);
void h2_stream_consume(struct h2_stream *st, size_t size);
void h2_stream_count_messages(struct h2_stream *st, uint64_t sent, uint64_t received);
void h2_stream_notify_low(struct h2_stream *st,
                          size_t low_bytes); /* one on_low once at most so much is queued */
/* The bytes come from another queue from now on. */
void h2_stream_set_queue(struct h2_stream *st, struct h2_queue *queue);
const struct h2_stream_events *h2_stream_bound(const struct h2_stream *st); /* NULL: nobody's */
void *h2_stream_user(const struct h2_stream *st);
int32_t h2_stream_id(const struct h2_stream *st);
bool h2_stream_sent_end(const struct h2_stream *st); /* our last frame left the session */
/* Since when queued bytes have not moved; 0 when nothing waits. */
uint64_t h2_stream_stalled_since_ns(const struct h2_stream *st);
/* A stream stalled since before `since_ns`, or NULL. */
struct h2_stream *h2_session_find_stalled(const struct h2_session *s, uint64_t since_ns);

#endif
