/* envelope.h — what Connect puts around its messages: gzip, and metadata at the end.  Brotli and zstd
 * are not taken: Connect's clients have gzip.  All [loop]. */
#ifndef NOVEL_GATEWAY_ENVELOPE_H
#define NOVEL_GATEWAY_ENVELOPE_H
#include "gateway/exchange.h"

enum { ENVELOPE_HEAD = 5, ENVELOPE_COMPRESSED = 1 };

/* Reads how a request of Connect is compressed (x->gzip_in) and whether its stream of answers may be
 * (x->gzip_out).  False: in a way that is not known here, which is recorded. */
bool envelope_choose(struct exchange *x, bool stream);
/* The message unpacked in its place, at most as large as a body may be.  False: the problem is
 * recorded, and what is in message is of no use. */
bool envelope_inflate(struct exchange *x, struct buf *message);
/* The message compressed, lent until the next call; empty: as it is, it is no larger. */
nrpc_slice envelope_deflate(struct exchange *x, nrpc_slice message);
/* What the server said at the end of the call, while x->trailers is set: ,"metadata":{…} of Connect's
 * last message (first: without the comma), or lines of gRPC-Web's trailers. */
void envelope_put_metadata(const struct exchange *x, bool first, struct buf *out);
void envelope_put_lines(const struct exchange *x, struct buf *out);

#endif
