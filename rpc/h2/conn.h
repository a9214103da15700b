/* conn.h — one HTTP/2 connection on a loop: a socket, a session and its timers.  All [loop].
 * Timers: handshake (peer's SETTINGS and the answer to ours), idle (no streams), stall (output, or
 * one stream's output, that makes no progress), keepalive (PING after silence), age (drain and
 * end a connection that lived long).  Output over 256 KiB waits in the streams' queues. */
#ifndef NRPC_H2_CONN_H
#define NRPC_H2_CONN_H
#include "rpc/h2/session.h"
#include "rpc/io/sock.h"

struct h2_conn;
struct h2_conn_events {
    void (*on_request)(void *owner, struct h2_stream *st, const struct h2_field *fields, size_t n,
                       bool end, bool too_big);
    void (*on_ready)(void *owner);                       /* the peer's SETTINGS came */
    void (*on_goaway)(void *owner, uint32_t error_code); /* the peer takes no new streams */
    void (*on_streams)(void *owner, size_t open);        /* a stream opened or closed */
    /* A stream whose queue has not moved for stall_ms: end it or drop its queue. */
    void (*on_stalled)(void *owner, struct h2_stream *st);
    /* Now and then (a quarter of stall_ms) while there are streams. */
    void (*on_tick)(void *owner);
    /* The peer's conduct ended a stream or the connection; it is counted already. */
    void (*on_abuse)(void *owner, enum h2_abuse kind);
    /* The grace after the age limit is over: end the streams, the connection goes soon after. NULL:
     * it goes now. */
    void (*on_aged)(void *owner);
    /* Last event: the connection is gone on return, its streams were closed before.  error: 0 or an
     * errno; h2_conn_why may say more. */
    void (*on_close)(void *owner, int error);
};
struct h2_conn_options {
    struct h2_options h2;
    /* handshake_ms is for each header block, too.  0: none, here and below. */
    uint32_t handshake_ms, idle_ms, stall_ms;
    /* gRFC A8, A9: a PING after so much silence, and the end without an answer. */
    uint32_t keepalive_ms, keepalive_timeout_ms;
    bool keepalive_idle; /* also without streams */
    /* Server: after this age (+-10 %) no new streams; the grace later the streams end. */
    uint32_t age_ms, age_grace_ms;
};

/* Takes fd (only when it returns 0).  ev and owner must outlive on_close. */
int h2_conn_accept(nrpc_loop *l, int fd, const struct h2_conn_options *o,
                   const struct h2_conn_events *ev, void *owner, struct h2_conn **out_conn);
/* Takes over a socket that somebody else has read the first bytes of (only when it returns 0): hand
 * them to h2_conn_feed at once. */
int h2_conn_adopt(struct sock *sock, const struct h2_conn_options *o,
                  const struct h2_conn_events *ev, void *owner, struct h2_conn **out_conn);
void h2_conn_feed(struct h2_conn *c, const uint8_t *data, size_t size);
/* Address as for sock_connect.  A failure to connect is on_close, never inside this call. */
int h2_conn_connect(nrpc_loop *l, const char *address, uint32_t timeout_ms,
                    const struct h2_conn_options *o, const struct h2_conn_events *ev, void *owner,
                    struct h2_conn **out_conn);
/* Right after accept or connect: the connection is TLS; alpn "h2".  Errors as for sock_start_tls:
 * close it. */
int h2_conn_start_tls(struct h2_conn *c, const struct sock_tls *tls);
/* What the connection failed for, in words; in on_close, NULL when errno says it all. */
const char *h2_conn_why(const struct h2_conn *c);
const char *h2_conn_cipher(const struct h2_conn *c);       /* of TLS; "" without */
const char *h2_conn_peer_subject(const struct h2_conn *c); /* of a verified certificate, or NULL */
struct h2_session *h2_conn_session(struct h2_conn *c);
const char *h2_conn_peer(const struct h2_conn *c);
nrpc_loop *h2_conn_loop(const struct h2_conn *c);
/* No new streams; closes when the last one ended.  A server says GOAWAY twice, a client just waits.
 */
void h2_conn_shutdown(struct h2_conn *c);
uint64_t h2_conn_keepalives(const struct h2_conn *c); /* keepalive PINGs sent */
void h2_conn_close(struct h2_conn *c);                /* now; on_close follows this turn */

#endif
