/* mask.h — google.protobuf.FieldMask over protobuf-c messages (AIP-134).  Pure. */
#ifndef SERVER_SERVICE_MASK_H
#define SERVER_SERVICE_MASK_H
#include "rpc/base/arena.h"
#include "server/contract.h"

/* Copies the fields that mask names from `from` to `to`, shallowly: `to` then points into `from`.  Messages
 * that a nested path ("persona.age") changes are copied into the arena first.  An absent or empty mask names
 * every field that `from` has set; "*" names all.  Members that the server decides (id, etag, times) are
 * passed over.  0; or -1 with *st INVALID_ARGUMENT (or RESOURCE_EXHAUSTED) and `to` in between. */
int mask_apply(ProtobufCMessage *to, const ProtobufCMessage *from, const PB(FieldMask) * mask, struct arena *a,
               nrpc_status *st);

#endif
