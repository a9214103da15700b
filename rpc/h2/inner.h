/* inner.h — what session.c, receive.c and transmit.c share; nobody else includes it. */
#ifndef NRPC_H2_INNER_H
#define NRPC_H2_INNER_H
#include <nghttp2/nghttp2.h>

#include "rpc/base/alloc.h"
#include "rpc/h2/session.h"

struct h2_stream {
    struct list link;     /* in session->streams, or ->closed */
    struct list low_link; /* in session->low while an on_low is due */
    struct h2_session *session;
    int32_t id;
    uint32_t close_code;
    const struct h2_stream_events *ev;
    void *user;
    struct h2_queue *queue; /* the user's; NULL before head or request */
    struct buf trailers;    /* name NUL value NUL ..., n_trailers pairs */
    size_t n_trailers;
    size_t low_bytes;
    uint64_t moved_ns;      /* when queued bytes last moved in earnest, or began to wait */
    size_t moved_bytes;     /* since then */
    bool got_head, too_big; /* of what we receive */
    bool deferred;          /* nghttp2 waits for a resume */
    bool sent_head, got_end;
    bool half_closes; /* our end leaves the peer's side open */
    bool finishing, submitted_trailers, sent_end, reset, closed, notify_low;
};

enum { H2_STREAMS_REMEMBERED = 1024, H2_FIELD_OVERHEAD = 32 /* RFC 9113 section 6.5.2 */ };
/* frames.c: where we are in the bytes that come in. */
struct h2_frames {
    uint8_t preface_have, head_have, newlines;
    bool is_http1, answered;
    bool in_block;     /* only CONTINUATION may follow */
    bool skip;         /* this frame is left out */
    uint8_t head[9];   /* of the next frame, as far as it came */
    uint32_t left;     /* payload of this frame still to come */
    bool is_block;     /* this frame is HEADERS or CONTINUATION */
    uint64_t block_ns; /* when the header block began that is not whole; 0: none */
    uint32_t continuations, http1_bytes;
    int32_t highest;    /* stream of the client */
    int32_t strays[16]; /* streams to be reset for frames behind their RST_STREAM */
    uint8_t n_strays;
    uint8_t past[H2_STREAMS_REMEMBERED / 4];
};

struct h2_session {
    nghttp2_session *ng;
    struct h2_options options;
    const struct h2_session_events *ev;
    void *owner;
    uint64_t now_ns;
    struct h2_shield shield;
    struct h2_counters counters;
    struct list streams, closed, low;
    size_t n_streams;
    struct buf *out; /* while draining */
    size_t out_max;
    /* The header block that is being received; one at a time on a connection. */
    struct buf block;
    struct h2_field *fields;
    size_t n_fields, fields_capacity, list_bytes, list_count;
    bool list_too_big, no_memory;
    bool unsafe; /* memory ran out inside nghttp2: never free its session */
    struct h2_session *buried_before;
    struct h2_frames frames;
    uint32_t fault_code; /* why the connection ends, when it is our own finding */
    const char *fault;   /* static text; NULL: none */
    uint32_t pings_out;  /* of ours, without an answer yet */
    bool got_settings, settled, got_goaway, sent_goaway, failed, shutting_down, pinged_too_much;
};

/* frames.c */
/* As nghttp2_session_mem_recv: 0 or its negative codes. */
int frames_feed(struct h2_session *s, const uint8_t *data, size_t size);
bool frames_may_send(const struct h2_session *s);   /* a server waits for the client's preface */
bool frames_answer_due(const struct h2_session *s); /* to somebody who speaks HTTP/1 */
void frames_put_http1(struct h2_session *s, struct buf *out);

void receive_set_callbacks(nghttp2_session_callbacks *cb);
void transmit_set_callbacks(nghttp2_session_callbacks *cb);
struct h2_stream *stream_new(struct h2_session *s, int32_t id);
void stream_free(struct h2_stream *st);
void session_output(struct h2_session *s);
void session_abuse(struct h2_session *s, enum h2_abuse kind); /* counts it and tells the owner */
void session_count_stream(struct h2_session *s);              /* a stream was opened */
extern const uint8_t session_drain_mark[8]; /* the PING between the two GOAWAYs of a drain */
ssize_t transmit_read(nghttp2_session *ng, int32_t id, uint8_t *buf, size_t size, uint32_t *flags,
                      nghttp2_data_source *source, void *user_data);
enum { NV_MAX = 160 }; /* fields in one block that we send */
int transmit_fields(const struct h2_field *fields, size_t n, nghttp2_nv *nv);

#endif
