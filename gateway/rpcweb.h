/* rpcweb.h — RPC as browsers speak it, at POST /package.Service/Method: gRPC-Web (unary and server
 * streams, binary and text; grpc/doc/PROTOCOL-WEB.md) and the unary calls of Connect
 * (connectrpc.com/docs/protocol) in protobuf and JSON. Messages in protobuf pass as they are.  All
 * [loop]. */
#ifndef NOVEL_GATEWAY_RPCWEB_H
#define NOVEL_GATEWAY_RPCWEB_H
#include "gateway/exchange.h"

/* The route is found: which protocol the request speaks, in x->rpc.  True when its body is a
 * message in protobuf. */
bool rpcweb_wanted(struct exchange *x);
bool rpcweb_is_grpc(const struct exchange *x); /* gRPC-Web of either kind */
/* The body is whole, in x->wire: leaves the request message there, or records what is wrong. */
void rpcweb_finish(struct exchange *x);
const char *rpcweb_content_type(const struct exchange *x);
/* Appends one message as a frame. */
void rpcweb_put_message(struct exchange *x, nrpc_slice message, struct buf *out);
/* Appends the frame that ends an answer: OK, or x's problem. */
void rpcweb_put_trailers(struct exchange *x, bool failed, struct buf *out);
/* Connect's error object. */
void rpcweb_put_error(struct buf *out, const struct problem *p);

#endif
