/* loop_inner.h — what rpc/io itself shares: the loop's timers, read buffer and spare output
 * buffers. */
#ifndef NRPC_IO_LOOP_INNER_H
#define NRPC_IO_LOOP_INNER_H
#include "rpc/base/buf.h"
#include "rpc/io/wheel.h"

enum { LOOP_READ_BYTES = 65536 };

struct wheel *loop_wheel(nrpc_loop *l);
uint8_t *loop_read_buffer(nrpc_loop *l); /* LOOP_READ_BYTES, shared by all sockets of the loop */
/* Output buffers go back to the loop when they run empty, so that an idle socket holds none and a
 * busy loop does not allocate.  take leaves *b alone when there is no spare. */
void loop_take_spare(nrpc_loop *l, struct buf *b);
void loop_give_spare(nrpc_loop *l, struct buf *b); /* empties *b; frees it when there are enough */
/* TLS handshakes are CPU work of up to a millisecond a step: each turn has some time for them. */
bool loop_may_shake(const nrpc_loop *l);
void loop_add_shaking(nrpc_loop *l, uint64_t spent_ns);

#endif
