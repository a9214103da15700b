/* coherence.h — may this loop answer from its cache?  Only while every backend's stream of
 * invalidations is up and its lease runs (proto/nrpc/cache.proto); so a change is never hidden by
 * what was kept.  A backend without that service leaves the cache off.  All [loop]. */
#ifndef NOVEL_GATEWAY_COHERENCE_H
#define NOVEL_GATEWAY_COHERENCE_H
#include "gateway/gateway.h"

struct coherence;
/* NULL without memory: the loop then goes without a cache. */
struct coherence *coherence_open(struct gateway_loop *gl);
/* Says goodbye to the servers, so that none waits for a lease; gone(ctx) runs on the loop once for
 * each of the returned number of channels.  Once; NULL is fine. */
size_t coherence_stop(struct coherence *h, void (*gone)(void *ctx), void *ctx);
void coherence_free(struct coherence *h);        /* after the loop has ended; NULL is fine */
bool coherence_holds(const struct coherence *h); /* false for NULL */

#endif
