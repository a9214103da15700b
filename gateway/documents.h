/* documents.h — what the gateway shows of itself: /openapi.json, /postman/collection, and /docs, a
 * page that reads it and sends requests without anything from elsewhere.  All [loop]. */
#ifndef NOVEL_GATEWAY_DOCUMENTS_H
#define NOVEL_GATEWAY_DOCUMENTS_H
#include "gateway/exchange.h"

/* True when path is one of them; then it is answered, or x has failed. */
bool documents_serve(struct exchange *x, const char *path, size_t size);
bool documents_has(const char *path, size_t size);

#endif
