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
    uint64_t moved_ns;      /* when queued bytes last moved, or began to wait */
    bool got_head, too_big; /* of what we receive */
    bool deferred;          /* nghttp2 waits for a resume */
    bool finishing, submitted_trailers, sent_end, reset, closed, notify_low;
};

/* Where the next frame begins in what comes in (feed.c). */
struct h2_scan {
    uint32_t left;         /* of the current frame, or of the preface */
    uint8_t head[9], have; /* a head that is not whole yet */
    bool skip;             /* the current frame is left out */
    bool in_block;         /* only CONTINUATION may follow */
};

struct h2_session {
    nghttp2_session *ng;
    struct h2_options options;
    const struct h2_session_events *ev;
    void *owner;
    uint64_t now_ns;
    struct h2_shield shield;
    struct h2_counters counters;
    struct h2_scan scan;
    int32_t last_request_id; /* server: the highest stream that the peer opened */
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
    uint32_t pings_out; /* of ours, without an answer yet */
    bool got_settings, settled, got_goaway, sent_goaway, failed, shutting_down, pinged_too_much;
};

void receive_set_callbacks(nghttp2_session_callbacks *cb);
void transmit_set_callbacks(nghttp2_session_callbacks *cb);
struct h2_stream *stream_new(struct h2_session *s, int32_t id);
void stream_free(struct h2_stream *st);
void session_output(struct h2_session *s);
/* 0, or a negative error of nghttp2. */
int feed_frames(struct h2_session *s, const uint8_t *data, size_t size);
void session_count_stream(struct h2_session *s); /* a stream was opened */
extern const uint8_t session_drain_mark[8];      /* the PING between the two GOAWAYs of a drain */
ssize_t transmit_read(nghttp2_session *ng, int32_t id, uint8_t *buf, size_t size, uint32_t *flags,
                      nghttp2_data_source *source, void *user_data);
enum { NV_MAX = 160 }; /* fields in one block that we send */
int transmit_fields(const struct h2_field *fields, size_t n, nghttp2_nv *nv);

#endif
