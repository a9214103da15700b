/* sock_inner.h — the inside of a socket, for sock.c and sock_tls.c. */
#ifndef NRPC_IO_SOCK_INNER_H
#define NRPC_IO_SOCK_INNER_H
/* libevent first: it borrows the name LIST_ENTRY while its headers are read. */
#include <event2/event.h>
#include <event2/event_struct.h>

#include "rpc/io/loop_inner.h"
#include "rpc/io/outq.h"
#include "rpc/io/sock.h"
#include "rpc/io/tls_conn.h"

enum { SOCK_WRITE_BYTES_PER_TURN = 262144 };

/* CONNECTING -> SHAKING (TLS only) -> OPEN -> FLUSHING (close_after_flush) -> LINGERING (our FIN is
 * out) -> CLOSED; any may go to CLOSED.  In CLOSED the descriptor is gone and the deferred finish is
 * on its way. */
enum sock_state {
    SOCK_CONNECTING,
    SOCK_SHAKING,
    SOCK_OPEN,
    SOCK_FLUSHING,
    SOCK_LINGERING,
    SOCK_CLOSED
};

struct sock {
    nrpc_loop *loop;
    const struct sock_events *events;
    void *owner;
    struct tls_conn *tls; /* NULL: plain */
    struct event event;
    struct loop_dirty dirty;
    struct loop_dirty more; /* TLS holds bytes that no event will tell of */
    struct loop_later finish;
    struct timer timer; /* of connecting, of the handshake, of the last flush, of lingering */
    struct outq out;
    size_t low_bytes;
    uint64_t progress_ns;
    uint32_t handshake_ms;
    int fd, error;
    uint8_t state;   /* enum sock_state */
    uint8_t watched; /* EV_READ, EV_WRITE: what the event is registered for */
    bool paused, eof;
    bool blocked;   /* the kernel took no more; wait for EV_WRITE */
    bool waited;    /* more than low_bytes had to wait: owe an on_drained */
    bool read_more; /* reading stopped with bytes inside TLS */
    char peer[];
};
_Static_assert(sizeof(struct sock) <= 512, "an idle connection must stay small");

/* sock.c */
void sock_close_with(struct sock *s, int error);
void sock_watch(struct sock *s); /* registers for exactly what the state waits for */
void sock_end_of_input(struct sock *s);
void sock_linger(struct sock *s);
/* Bytes that the kernel took; notes in `blocked` when it took none.  Closes on an error. */
size_t sock_send(struct sock *s, struct msghdr *msg);

/* sock_tls.c */
void sock_tls_begin(struct sock *s); /* the transport is there: the handshake starts */
void sock_tls_step(struct sock *s);
void sock_tls_read(struct sock *s);
void sock_tls_on_readable(struct sock *s); /* SHAKING or OPEN */
void sock_tls_write(struct sock *s); /* the flush of any state with a descriptor */
void sock_tls_on_more(struct loop_dirty *d);

#endif
