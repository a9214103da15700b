/* listener.h — listening sockets and the hand-off of accepted ones.  A listener lives on one loop, accepts
 * in batches and hands each socket to the loop of its group that has the least load. */
#ifndef NRPC_IO_LISTENER_H
#define NRPC_IO_LISTENER_H
#include "rpc/io/loop.h"
#include "rpc/io/tls.h"

struct listener;
struct listener_options {
    /* "HOST:PORT" (port 0 picks one), "[HOST]:PORT", "unix-abstract:NAME", "unix:PATH" or "unix:PATH?mode=OCTAL" (of the
     * file; else the umask decides), "fd:N" (a listening socket of the parent), "systemd" or "systemd:NAME" (socket
     * activation: all, or those of that name). */
    const char *address;
    nrpc_loop **loops;            /* lent until close; loops[0] accepts */
    size_t n_loops;
    uint32_t max_connections;     /* of the whole group: over it, accepted and closed at once, counted */
    /* On the chosen loop.  Takes fd.  peer is lent; tls is the one of these options, for sock_start_tls. */
    void (*on_accept)(void *ctx, nrpc_loop *loop, int fd, const char *peer, const struct sock_tls *tls);
    void *ctx;
    const struct sock_tls *tls;   /* NULL: plain.  Like ctx it must outlive what was accepted */
};
/* [setup] Binds and listens at once (E_SYS with errno; E_INVAL for a bad address; a unix socket's file that nobody
 * listens on is replaced), accepts once its loop runs.  One listener, but for "systemd", which may be several: fills
 * out_listeners[0 .. *out_n), at most max. */
int listener_open(const struct listener_options *o, struct listener **out_listeners, size_t max, size_t *out_n);
const char *listener_address(const struct listener *l); /* bound, as text */
void listener_stop(struct listener *l);  /* [any] accepts no more; takes effect on its loop */
void listener_free(struct listener *l);  /* [loop of it, or after its loop ended]; unlinks a unix socket of its own */

#endif
