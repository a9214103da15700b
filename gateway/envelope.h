/* envelope.h — Connect's messages in gzip.  Brotli and zstd are not taken: its clients have gzip.
 * All [loop]. */
#ifndef NOVEL_GATEWAY_ENVELOPE_H
#define NOVEL_GATEWAY_ENVELOPE_H
#include "gateway/exchange.h"

enum { ENVELOPE_HEAD = 5, ENVELOPE_COMPRESSED = 1 };

/* Reads how a request of Connect is compressed (x->gzip_in) and whether its stream of answers may
 * be (x->gzip_out).  False: in a way that is not known here, which is recorded. */
bool envelope_choose(struct exchange *x, bool stream);
/* The message unpacked in its place, at most as large as a body may be.  False: the problem is
 * recorded, and what is in message is of no use. */
bool envelope_inflate(struct exchange *x, struct buf *message);
/* The message compressed, lent until the next call; empty: as it is, it is no larger. */
nrpc_slice envelope_deflate(struct exchange *x, nrpc_slice message);
#endif
