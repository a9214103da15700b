/* rpcweb.h — RPC as browsers speak it, at POST /package.Service/Method: gRPC-Web (unary and server
 * streams, binary and text; grpc/doc/PROTOCOL-WEB.md) and Connect (connectrpc.com/docs/protocol) in
 * protobuf and JSON: unary calls by POST, by GET those that change nothing, and all streams (those
 * of the client through upload.h).  Messages in protobuf pass as they are.  All [loop]. */
#ifndef NOVEL_GATEWAY_RPCWEB_H
#define NOVEL_GATEWAY_RPCWEB_H
#include "gateway/exchange.h"

/* The route is found: which protocol the request speaks, in x->rpc.  True when its body is a
 * message in protobuf. */
bool rpcweb_wanted(struct exchange *x);
/* Connect's GET: no rule has this method for the path, which allows those of x->match.  The route
 * that it calls, and x->rpc is set; NULL: it is none. */
const struct route *rpcweb_find_get(struct exchange *x);
/* gRPC-Web of either kind, or a stream of Connect: messages in frames, the outcome in the last. */
bool rpcweb_is_framed(const struct exchange *x);
/* The message in x->wire is JSON: leaves the same in protobuf there, or records what is wrong. */
void rpcweb_transcode(struct exchange *x);
/* The body is whole, in x->wire: leaves the request message there, or records what is wrong. */
void rpcweb_finish(struct exchange *x);
const char *rpcweb_content_type(const struct exchange *x);
/* Appends one message as a frame.  0, or negative as to_json_message, and nothing was appended. */
int rpcweb_put_message(struct exchange *x, nrpc_slice message, struct buf *out);
/* Appends the frame that ends an answer: OK, or x's problem. */
void rpcweb_put_trailers(struct exchange *x, bool failed, struct buf *out);
/* A text as grpc-message has it: all but visible ASCII and '%' is percent-encoded. */
void rpcweb_put_message_text(struct buf *out, const char *text);
/* Connect's error object. */
void rpcweb_put_error(struct buf *out, const struct problem *p);

#endif
