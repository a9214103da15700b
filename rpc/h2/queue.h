/* queue.h — bytes that wait to be sent on one stream: a list of chunks, filled at the end, read
 * from the front.  Small writes share a chunk, so that many messages leave in one DATA frame; large
 * shared bytes are only referred to.  One thread. */
#ifndef NRPC_H2_QUEUE_H
#define NRPC_H2_QUEUE_H
#include "rpc/base/list.h"
#include "rpc/nrpc.h"

struct h2_queue {
    struct list chunks;
    size_t size; /* unread bytes */
    /* What was read stays for h2_queue_rewind, as long as it takes at most keep_max bytes of
     * memory; over that it is lost.  0: nothing stays. */
    size_t keep_max, kept_bytes;
    struct list kept;
    bool lost;
};

void h2_queue_init(struct h2_queue *q);
/* Room for `size` contiguous bytes at the end, counted as written: fill it before anything else
 * happens to the queue.  NULL without memory, then nothing changed. */
uint8_t *h2_queue_grow(struct h2_queue *q, size_t size);
int h2_queue_put(struct h2_queue *q, const void *data, size_t size); /* copies; 0 or E_NOMEM */
/* No copy: data must live until release(ctx), which runs once, when it was read or the queue is
 * emptied. */
int h2_queue_put_ref(struct h2_queue *q, const void *data, size_t size, void (*release)(void *ctx),
                     void *ctx);
/* Moves up to `size` bytes out of the front; returns how many. */
size_t h2_queue_read(struct h2_queue *q, uint8_t *out, size_t size);
/* All that was read is unread again.  Not when it is lost. */
void h2_queue_rewind(struct h2_queue *q);
void h2_queue_forget(struct h2_queue *q); /* drops what was read, and keeps no more */
/* Copies what is unread in `from` behind its first `skip` bytes; 0 or E_NOMEM. */
int h2_queue_copy(struct h2_queue *to, const struct h2_queue *from, size_t skip);
/* Moves all that is unread; `from` is empty then. */
void h2_queue_move(struct h2_queue *to, struct h2_queue *from);
void h2_queue_clear(struct h2_queue *q); /* drops and releases all; the queue stays usable */

#endif
