/* compress.h — one message to gzip or zlib bytes and back (grpc/doc/compression.md: "gzip" is RFC
 * 1952, "deflate" is zlib's format, RFC 1950).  zlib's contexts are kept in a compressor and used
 * again; there is one a loop, made when the first message needs it.  One thread at a time. */
#ifndef NRPC_GRPC_COMPRESS_H
#define NRPC_GRPC_COMPRESS_H
#include <stdbool.h>
#include "rpc/nrpc.h"

/* What we take, as grpc-accept-encoding says it. */
#define COMPRESS_ACCEPT "identity,deflate,gzip"

struct compressor;
int compressor_new(struct compressor **out_compressor); /* no context yet; 0 or E_NOMEM */
void compressor_free(struct compressor *z);             /* NULL is fine */

/* "identity", "deflate" or "gzip"; NULL when k is none of them. */
const char *compress_name(nrpc_compression k);
/* False for a name that we do not know; then *out_k is as before. */
bool compress_parse(nrpc_slice name, nrpc_compression *out_k);
/* Bit (1 << nrpc_compression) for each known name of a list with commas; unknown ones are skipped.
 */
uint32_t compress_parse_list(nrpc_slice list);

/* Inflates one whole message into a new one, which grows with what really comes out: no size that
 * the peer claims is believed.  A gzip message may have several members; anything behind the last,
 * and a stream that is cut off, is E_PROTO.  E_TOOBIG over bytes_max, E_NOMEM.  k: not identity. */
int compress_inflate(struct compressor *z, nrpc_compression k, nrpc_slice in, uint32_t bytes_max,
                     nrpc_msg **out_msg);
/* The message compressed, lent until the next call; empty when it came out with more than size_max
 * bytes (SIZE_MAX: whatever it takes).  0 or E_NOMEM. */
int compress_deflate(struct compressor *z, nrpc_compression k, nrpc_slice in, size_t size_max,
                     nrpc_slice *out_bytes);
/* Room for a message that is packed only to be compressed; NULL without memory.  Valid until
 * compressor_trim. */
uint8_t *compress_scratch(struct compressor *z, size_t size);
/* After a message: gives back the memory that a large one took. */
void compressor_trim(struct compressor *z);

#endif
