/* sock.h — one connected stream socket on a loop, raw libevent events, no bufferevents.  All [loop].
 * Reads at most 64 KiB a turn into a buffer that the loop owns and lends.  Output is gathered: owners append
 * to the socket and mark it dirty; at the end of the turn one writev sends it all.  What the kernel does not
 * take waits for writability. */
#ifndef NRPC_IO_SOCK_H
#define NRPC_IO_SOCK_H
#include "rpc/io/loop.h"
#include "rpc/io/tls.h"

struct sock;
struct sock_events {
    /* Bytes came; all of them are consumed by the owner before it returns. */
    void (*on_bytes)(void *owner, const uint8_t *data, size_t size);
    /* The peer sends no more (it may still read).  NULL: close at once. */
    void (*on_eof)(void *owner);
    /* End of a turn in which the socket was marked dirty, before the writev: append what is due.  May be NULL. */
    void (*on_flush)(void *owner);
    /* All output left the process after some of it had to wait, or fell below `low_bytes`.  May be NULL. */
    void (*on_drained)(void *owner);
    /* Connecting and the TLS handshake ended well (client sockets; accepted ones only with TLS).  May be NULL
     * for accepted ones. */
    void (*on_connected)(void *owner);
    /* Last event, also after sock_close: the socket is gone on return.  error is 0 or an errno. */
    void (*on_close)(void *owner, int error);
};
/* Takes fd (connected, made non-blocking here).  Counts as load of the loop. */
int sock_open(nrpc_loop *l, int fd, const struct sock_events *events, void *owner, struct sock **out_sock);
/* Starts connecting to an address ("127.0.0.1:50051", "[::1]:50051", "unix:PATH"; numeric or "localhost":
 * no DNS here).  Ends in on_connected or on_close, never inside this call. */
int sock_connect(nrpc_loop *l, const char *address, uint32_t timeout_ms, const struct sock_events *events,
                 void *owner, struct sock **out_sock);
/* Another owner takes the socket over, with all that it has still to send. */
void sock_rebind(struct sock *s, const struct sock_events *events, void *owner);
/* Right after sock_open (a server's context) or sock_connect (a client's): all bytes go through TLS, and none of
 * the owner's leaves before the handshake, whose end is on_connected or on_close(EPROTO, ETIMEDOUT).
 * 0, E_INVAL (no name to verify, a bad ALPN list), E_NOMEM: close the socket. */
int sock_start_tls(struct sock *s, const struct sock_tls *tls);

/* Appends to the output and marks dirty.  0 or E_NOMEM (the connection is then useless: close it). */
int sock_put(struct sock *s, const void *data, size_t size);
/* Appends without a copy: data must live until release(ctx) runs (from the loop, once, also on close). */
int sock_put_ref(struct sock *s, const void *data, size_t size, void (*release)(void *ctx), void *ctx);
struct buf *sock_tail(struct sock *s);              /* the copy buffer that is filled now: append to it, then mark dirty */
void sock_mark_dirty(struct sock *s);
size_t sock_pending(const struct sock *s);          /* bytes not yet taken by the kernel */
uint64_t sock_last_progress_ns(const struct sock *s); /* when the kernel last took bytes, or output began to wait */
void sock_set_low(struct sock *s, size_t low_bytes);
void sock_pause(struct sock *s, bool paused);       /* stop or go on reading */
void sock_close(struct sock *s);                    /* now: pending output is dropped; on_close follows this turn */
void sock_close_after_flush(struct sock *s);        /* once all output is out, then lingers for the peer's FIN <= 1 s */
const char *sock_peer(const struct sock *s);        /* text, lives as long as the socket */
const char *sock_protocol(const struct sock *s);    /* by ALPN: "h2", "http/1.1"; "" without */
const char *sock_cipher(const struct sock *s);       /* of TLS, by its standard name; "" without */
const char *sock_peer_subject(const struct sock *s); /* RFC 2253, of the verified certificate; NULL without one */
const char *sock_why(const struct sock *s);         /* in on_close: what TLS failed for, one line; NULL if it did not */
nrpc_loop *sock_loop(const struct sock *s);

#endif
