/* frame.h — DATA bytes of a stream to whole messages: a flag byte, four bytes of length, the
 * message (PROTOCOL-HTTP2.md, "Length-Prefixed-Message").  Incremental; each byte is copied once,
 * into its message. The limit is checked before memory is taken.  One thread at a time. */
#ifndef NRPC_GRPC_FRAME_H
#define NRPC_GRPC_FRAME_H
#include <stdbool.h>
#include "rpc/nrpc.h"

struct frame_parser {
    uint32_t bytes_max; /* of one message, as it travels */
    /* What the peer's grpc-encoding said; may be set until the first byte.  A message with the flag
     * is handed out as it came, marked with codec_msg_set_compressed. */
    nrpc_compression encoding;
    void (*on_partial)(void *ctx,
                       int64_t delta); /* bytes held in unfinished messages; may be NULL */
    void *ctx;
    nrpc_msg *msg;       /* being filled */
    uint8_t *data;       /* its bytes */
    uint32_t size, have; /* announced, received */
    uint8_t prefix[5], prefix_have;
    int error; /* sticky */
};

void frame_init(struct frame_parser *p, uint32_t bytes_max,
                void (*on_partial)(void *ctx, int64_t delta), void *ctx);
/* Eats from *data up to the end of one message.  1: *out_msg is the caller's, call again with the
 * rest. 0: all was eaten.  E_PROTO (a flag other than 0 and 1, or 1 without an
 * encoding), E_TOOBIG, E_NOMEM: the stream is lost, and every later call says the same. */
int frame_feed(struct frame_parser *p, nrpc_slice *data, nrpc_msg **out_msg);
/* Has a message begun that did not end?  A half-close now is an error of the peer. */
bool frame_is_partial(const struct frame_parser *p);
/* Why frame_feed failed, as the outcome of the call. */
void frame_error_status(const struct frame_parser *p, nrpc_status *st);
void frame_done(struct frame_parser *p); /* drops an unfinished message; may be repeated */

#endif
