/* percent.h — the grpc-message header: bytes outside 0x20..0x7e and '%' travel as %XX.  Pure. */
#ifndef NRPC_GRPC_PERCENT_H
#define NRPC_GRPC_PERCENT_H
#include "rpc/base/buf.h"
#include "rpc/nrpc.h"

void percent_encode(struct buf *out, nrpc_slice text); /* out->failed without memory */
/* Never refuses: a '%' without two hex digits stands for itself, and when the result would not be
 * UTF-8 or would hold a NUL the text is appended as it came, bytes that are no text as U+FFFD. */
void percent_decode(struct buf *out, nrpc_slice text);

#endif
