/* metadata.h — the inside of nrpc_metadata: an ordered list in an arena of someone else (the
 * call's), bounded in bytes (name + value + 32 each) and in fields. */
#ifndef NRPC_GRPC_METADATA_H
#define NRPC_GRPC_METADATA_H
#include "rpc/base/arena.h"
#include "rpc/base/buf.h"
#include "rpc/nrpc.h"

struct metadata_field {
    const char *key; /* NUL-ended */
    nrpc_slice value;
};
struct nrpc_metadata {
    struct arena *arena; /* lent; outlives the metadata */
    struct metadata_field *fields;
    uint32_t count, capacity;
    uint32_t bytes, bytes_max, fields_max;
};

void metadata_init(nrpc_metadata *md, struct arena *arena, uint32_t bytes_max, uint32_t fields_max);
/* Adds a received header as it came: a "-bin" value is split at commas and decoded.  The caller has
 * taken out the fields of the protocol itself.  A key or a text outside gRPC's alphabets is left
 * out: no gRPC peer sends such, but a proxy may add some, and that is no reason to fail calls.
 * E_PROTO (bad Base64), E_TOOBIG, E_NOMEM: then nothing of it was added. */
int metadata_add_wire(nrpc_metadata *md, nrpc_slice name, nrpc_slice value);
/* The i-th value as it travels: "-bin" is encoded into *scratch (emptied first), others are lent.
 * 0 or E_NOMEM. */
int metadata_wire_value(const nrpc_metadata *md, size_t i, struct buf *scratch,
                        nrpc_slice *out_value);
/* May an application send this key?  False for pseudo-headers, "grpc-", hop-by-hop keys and those
 * that the runtime writes itself (content-type, content-length, host, te, user-agent). */
bool metadata_key_allowed(const char *key);

#endif
