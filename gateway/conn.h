/* conn.h — one HTTP/1.1 connection: reads requests, hands each to an exchange, keeps what was
 * pipelined. At most one exchange at a time; an idle connection holds none.  All [loop]. */
#ifndef NOVEL_GATEWAY_CONN_H
#define NOVEL_GATEWAY_CONN_H
#include "gateway/client.h"
#include "gateway/gateway.h"
#include "rpc/io/sock.h"

struct conn {
    struct client client; /* first */
    struct gateway_loop *gl;
    struct sock *sock;
    struct exchange *exchange; /* of the request that is read or served; NULL between requests */
    struct buf pending;        /* pipelined bytes */
    struct timer timer;
    struct list link;
    bool feeding; /* inside the read loop: what ends now is gone on with there */
    bool serving; /* the request is whole; its answer is on the way */
    bool held;    /* the body waits in the socket */
    bool tunnel;  /* no HTTP any more: bytes go to the exchange */
    bool eof;
    bool sniffed; /* it is HTTP/1.1 */
    uint32_t requests;
};

/* Takes fd; tls may be NULL.  Without memory the connection is closed at once. */
void conn_open(struct gateway_loop *gl, int fd, const struct sock_tls *tls);
/* Closes now and without an answer (a stream that must not look whole, a client that does not
 * read). */
void conn_abort(struct conn *c);
/* Draining: closes if idle. */
void conn_close_if_idle(struct conn *c);

#endif
