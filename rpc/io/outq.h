/* outq.h — output that waits for a socket: copied bytes in one buffer, and references to bytes of
 * others in between, in order.  Knows no socket.  One thread at a time. */
#ifndef NRPC_IO_OUTQ_H
#define NRPC_IO_OUTQ_H
#include <sys/uio.h>
#include "rpc/base/buf.h"

/* A run of bytes.  data NULL: the next `size` bytes of the copy buffer. */
struct outq_run {
    const uint8_t *data;
    size_t size;
    void (*release)(void *ctx);
    void *ctx;
};
struct outq {
    struct buf copy;     /* owners append here; bytes after the last run are the tail */
    size_t copy_at;      /* bytes of copy that are gone */
    size_t run_bytes;    /* of all runs */
    size_t copied_bytes; /* of the runs that stand for copied bytes */
    struct outq_run *runs;
    uint32_t first, count, capacity; /* runs[first .. first + count) */
};

size_t outq_size(const struct outq *q);
/* Takes the reference: 0, or E_NOMEM and nothing was taken. */
int outq_put_ref(struct outq *q, const void *data, size_t size, void (*release)(void *ctx),
                 void *ctx);
/* Fills iov with the first bytes, at most `limit`; returns how many entries. */
int outq_gather(const struct outq *q, struct iovec *iov, int n, size_t limit);
void outq_consume(struct outq *q, size_t size); /* releases the references that are through */
void outq_done(struct outq *q); /* drops and releases all; empty and usable afterwards */

#endif
