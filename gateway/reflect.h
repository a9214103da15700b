/* reflect.h — a server's descriptors over grpc.reflection.v1 (v1alpha where that is all there is).
 */
#ifndef NOVEL_GATEWAY_REFLECT_H
#define NOVEL_GATEWAY_REFLECT_H
#include "rpc/base/buf.h"
#include "rpc/nrpc.h"

/* Blocks, at most timeout_ms: [setup], or a thread that is no loop.  Appends a FileDescriptorSet of
 * all services that the server tells of, the reflection service itself left out, to *out.  0, or
 * negative with the reason. */
int reflect_fetch(const nrpc_channel_options *channel, uint32_t timeout_ms, struct buf *out,
                  char error[static 512]);

#endif
