/* request.h — from path, query, headers and body to the request message, in x->wire.  What goes
 * wrong is recorded by exchange_fail.  All [loop]. */
#ifndef NOVEL_GATEWAY_REQUEST_H
#define NOVEL_GATEWAY_REQUEST_H
#include "gateway/exchange.h"

/* The head is in and has a route: reads its parameters and prepares for the body. */
void request_open(struct exchange *x);
void request_bind(struct exchange *x); /* the parameters alone */
bool request_is_raw(const struct exchange *x); /* what the body fills is a google.api.HttpBody */
/* Prepares for a message's body; again for the next message of a stream, with x->wire empty. */
void request_begin(struct exchange *x);
/* A piece of the body; x->body_bytes counts it already. */
void request_put_body(struct exchange *x, const char *data, size_t size);
/* The body is over: x->wire is the message. */
void request_finish(struct exchange *x);

#endif
