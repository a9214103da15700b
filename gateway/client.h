/* client.h — whom an exchange answers, whichever HTTP it speaks.  An answer is text as HTTP/1.1
 * writes it, a head and then the body's bytes; what stands behind `ops` sends it as it is (conn.c)
 * or as HTTP/2 frames (http2.c).  All [loop]. */
#ifndef NOVEL_GATEWAY_CLIENT_H
#define NOVEL_GATEWAY_CLIENT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rpc/base/buf.h"

struct client;
struct client_ops {
    struct buf *(*tail)(struct client *c);           /* append the answer here ... */
    void (*flush)(struct client *c);                 /* ... and say when what is there may go out */
    size_t (*pending)(const struct client *c);       /* bytes that are still with us */
    uint64_t (*progress_ns)(const struct client *c); /* when some of them last left */
    /* The request is whole or given up, its answer complete.  keep: another may follow on the
     * connection. */
    void (*ended)(struct client *c, bool keep);
    void (*hold)(struct client *c,
                 bool held); /* read no more of the body until further notice; may repeat itself */
    /* From now on bytes go both ways as they are (exchange_on_tunnel). */
    void (*tunnel)(struct client *c);
    void (*abort)(struct client *c); /* at once: what was sent must not look whole */
    const char *(*peer)(const struct client *c);
};
struct client {
    const struct client_ops *ops;
    bool framed;  /* bodies end by frames: no Content-Length needed, no chunks, no Connection header
                   */
    bool socket;  /* the request is a WebSocket of HTTP/2 (RFC 8441): 200 opens it, not 101 */
    bool busy;    /* its exchange is reading; false once the exchange has ended meanwhile */
    bool closing; /* going away: no further work for it */
    bool broken;  /* the answer broke off, and its end must not look like one */
    struct buf trailers; /* header lines to go behind the body; of framed ones only */
};

static inline struct buf *client_tail(struct client *c)
{
    return c->ops->tail(c);
}
static inline void client_flush(struct client *c)
{
    c->ops->flush(c);
}
static inline size_t client_pending(const struct client *c)
{
    return c->ops->pending(c);
}

#endif
