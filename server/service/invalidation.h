/* invalidation.h — nrpc.cache.v1.Invalidation: tells caches what has become stale, and lets a change be answered only
 * when all of them know (proto/nrpc/cache.proto says how).  Subscribers live on the loops of their connections; one
 * publication is on its way at a time.  Threads: publish on the first loop. */
#ifndef SERVER_SERVICE_INVALIDATION_H
#define SERVER_SERVICE_INVALIDATION_H
#include "rpc/nrpc.h"

struct invalidation;
/* [setup] Adds the service to the server.  0 or a negative nrpc_err. */
int invalidation_open(nrpc_server *server, struct invalidation **out);
void invalidation_halt(struct invalidation *v);  /* after the loops have ended, before they are freed */
void invalidation_close(struct invalidation *v); /* after they are freed; NULL is fine */

/* done runs on the first loop once every cache has forgotten what carries one of the n tags, or can't show it any more.
 * The tags are lent until then.  [first loop]; not while another publication is on its way. */
void invalidation_publish(struct invalidation *v, const char *const *tags, size_t n, void (*done)(void *ctx), void *ctx);

#endif
