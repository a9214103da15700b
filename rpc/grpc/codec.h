/* codec.h — serialised protobuf to messages and back.  Every received message is scanned before
 * protobuf-c sees it, because that library recurses without limit, takes any bytes for text and
 * cuts strings at NUL. Also the inside of nrpc_msg and nrpc_blob.  Pure; any thread. */
#ifndef NRPC_GRPC_CODEC_H
#define NRPC_GRPC_CODEC_H
#include "rpc/base/buf.h"
#include "rpc/nrpc.h"

enum {
    CODEC_DEPTH_MAX = 100, /* nested messages below the outermost */
    CODEC_EXPANSION_MAX =
        64,                /* decoded bytes for each received byte, beside 1 MiB: else E_TOOBIG */
    CODEC_PREFIX_BYTES = 5 /* flag and length before each message on the wire */
};

enum { CODEC_SPLIT = 1 }; /* of codec_scan: a singular sub-message may have come in pieces */

struct codec_error {
    const char *reason; /* static text */
    size_t offset;      /* of the byte it is about */
};
/* Is this a message of type d that unpacks?  0; CODEC_SPLIT when it does once codec_merge has
 * joined its pieces; or E_PROTO with *out_error.  Iterative; reads each byte once. Checks tags,
 * field numbers, wire types of known fields, varints, lengths, groups, packed fields, depth, and
 * UTF-8 and NUL of strings. */
int codec_scan(const ProtobufCMessageDescriptor *d, nrpc_slice message,
               struct codec_error *out_error);

/* Appends the scanned message with each singular sub-message in one piece.  0 or E_NOMEM. */
int codec_merge(const ProtobufCMessageDescriptor *d, nrpc_slice message, struct buf *out);

/* A message of `size` uninitialised bytes; NULL without memory.  Free with nrpc_msg_free. */
nrpc_msg *codec_msg_new(size_t size);
uint8_t *codec_msg_data(nrpc_msg *m); /* its bytes, to be filled before decode */
/* Only before decode: m with another number of bytes; NULL without memory, then m stays. */
nrpc_msg *codec_msg_resize(nrpc_msg *m, size_t size);
void codec_msg_set_compressed(nrpc_msg *m); /* the frame it came in had the flag */
/* Scans and unpacks m's bytes into m's arena; d NULL: a raw method, nothing to do.  0; E_PROTO (*st
 * INTERNAL), E_TOOBIG or E_NOMEM (*st RESOURCE_EXHAUSTED).  m stays the caller's.  st may be NULL.
 */
int codec_decode(nrpc_msg *m, const ProtobufCMessageDescriptor *d, nrpc_status *st);

void codec_write_prefix(uint8_t out[static CODEC_PREFIX_BYTES], uint32_t size);
/* Append prefix and message.  0, E_TOOBIG over bytes_max (of the message), E_NOMEM; then *out is as
 * before. */
int codec_pack(struct buf *out, const ProtobufCMessage *m, size_t bytes_max);
int codec_pack_bytes(struct buf *out, nrpc_slice message, size_t bytes_max);

/* Prefix and message in one piece, for sending by reference; lives as long as the blob. */
nrpc_slice codec_blob_frame(const nrpc_blob *b);

#endif
