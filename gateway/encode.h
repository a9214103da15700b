/* encode.h — content codings: gzip and Brotli (RFC 9110 section 8.4) and zstd (RFC 8878), whole
 * answers and streams.  An encoder belongs to one thread.  Levels are chosen for answers that are
 * made anew each time: fast first, small second. */
#ifndef NOVEL_GATEWAY_ENCODE_H
#define NOVEL_GATEWAY_ENCODE_H
#include <stdbool.h>
#include <stddef.h>

#include "rpc/base/buf.h"

enum encoding { ENCODING_IDENTITY, ENCODING_GZIP, ENCODING_BROTLI, ENCODING_ZSTD };
enum { ENCODINGS = 4 };
enum { ENCODE_MIN_BYTES = 860 }; /* what is shorter fits a packet anyway */
struct encoder;

/* What an Accept-Encoding header prefers: the highest q, at equal q zstd before Brotli before
 * gzip before identity; absent or empty: identity.  Identity also when the header refuses
 * everything: an answer beats none (section 12.5.3). */
enum encoding encoding_choose(const char *header, size_t size);
/* "gzip"; NULL for identity. */
const char *encoding_name(enum encoding e);
/* What an entity tag ends with when the body is so coded: "-gz"; empty for identity. */
const char *encoding_tag_suffix(enum encoding e);
/* Does compressing this media type pay? */
bool encoding_suits(const char *content_type);

/* NULL without memory; e is not identity.  streaming: small windows, for many at a time. */
struct encoder *encoder_new(enum encoding e, bool streaming);
/* Appends the coded form of data, all of which can then be decoded.  end: nothing follows.  0 or
 * NRPC_E_NOMEM. */
int encoder_put(struct encoder *e, const void *data, size_t size, bool end, struct buf *out);
int encoder_reset(struct encoder *e); /* for another answer of the same kind; 0 or NRPC_E_NOMEM */
void encoder_free(struct encoder *e); /* NULL is fine */

#endif
