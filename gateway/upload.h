/* upload.h — a stream of messages from the client: the body is NDJSON, a JSON array or Connect's
 * envelopes, and each value goes to the server when it is whole, while the rest is still on its
 * way.  What the server does not take yet is not read either. All [loop]. */
#ifndef NOVEL_GATEWAY_UPLOAD_H
#define NOVEL_GATEWAY_UPLOAD_H
#include "gateway/exchange.h"

/* The head is in: starts the call. */
void upload_open(struct exchange *x);
void upload_on_body(struct exchange *x, const char *data, size_t size);
void upload_on_whole(struct exchange *x);
void upload_on_writable(struct exchange *x); /* the server takes more */
/* One message that is whole already (a WebSocket's); false once the call takes none. */
bool upload_message(struct exchange *x, const char *json, size_t size);
void upload_done(struct exchange *x);

#endif
