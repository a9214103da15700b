/* throttle.h — a client's share of requests: who it is, what is left, and how HTTP says so.  All
 * [loop]. */
#ifndef NOVEL_GATEWAY_THROTTLE_H
#define NOVEL_GATEWAY_THROTTLE_H
#include "gateway/exchange.h"

/* Counts the request; one too many is refused with 429. */
void throttle(struct exchange *x);
/* RateLimit-* (draft-ietf-httpapi-ratelimit-headers), when there is a limit. */
void throttle_put_headers(const struct exchange *x, struct buf *out);

/* For x-forwarded-for, -host and -proto: the client's address (behind those that trusted proxies
 * named before it), the host that it asked for, and "http" or "https"; empty: unknown.  Lent by x.
 */
void throttle_forwarded(struct exchange *x, nrpc_slice out[static 3]);

#endif
