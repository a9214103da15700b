/* socket.h — a streaming method over a WebSocket (RFC 6455), one JSON message a text message.  The
 * URL is the method's route, whatever HTTP method the rule names; what the client sends is for a
 * stream of messages     each text message one of them; an empty one says that no more follow; for
 * one message with a body  the first text message; without a body, the URL is all. The end is a
 * close frame: 1000, or 4000 + the gRPC code behind a message {"error": ...}.  All [loop]. */
#ifndef NOVEL_GATEWAY_SOCKET_H
#define NOVEL_GATEWAY_SOCKET_H
#include "gateway/exchange.h"

/* Does the request ask for a WebSocket?  Then it has its route, or failed. */
bool socket_wanted(struct exchange *x);
/* The request is whole: switches protocols, starts the call when nothing more is needed. */
void socket_open(struct exchange *x);
/* False: the exchange is over, and x is gone. */
bool socket_on_bytes(struct exchange *x, const uint8_t *data, size_t size);
void socket_on_writable(struct exchange *x);
/* For the stream forms: a message, a sign of life, the end. */
void socket_put_text(struct exchange *x, const void *json, size_t size);
void socket_put_ping(struct exchange *x);
void socket_close(struct exchange *x, unsigned code, const char *reason);
void socket_fail(struct exchange *x); /* the problem as a message, then the close frame */
void socket_done(struct exchange *x);

#endif
