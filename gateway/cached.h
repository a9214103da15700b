/* cached.h — answers from the loop's cache, and what goes into it: GETs of routes that the contract
 * calls cacheable, while coherence holds, without credentials.  All [loop]. */
#ifndef NOVEL_GATEWAY_CACHED_H
#define NOVEL_GATEWAY_CACHED_H
#include "gateway/exchange.h"
#include "gateway/respond.h"

/* The head is in: true when the cache had the answer, and the exchange is over. */
bool cached_serve(struct exchange *x);
/* The answer of a unary call, as it goes out without a coding.  tag: its entity tag. */
void cached_keep(struct exchange *x, const struct response *r, const char *tag, nrpc_slice message,
                 const void *body, size_t size);
/* Does the route's answer go into the cache? */
bool cached_wanted(const struct exchange *x);

/* The legacy routes /cache/metrics and /cache/invalidate. */
enum cached_route {
    CACHED_OTHER,  /* the path is none of them */
    CACHED_ENDED,  /* answered */
    CACHED_GOES_ON /* refused (x->failed), or wants its body (BODY_KEPT) */
};
enum cached_route cached_builtin(struct exchange *x, const char *path, size_t size);
/* The body of /cache/invalidate is whole. */
void cached_invalidate(struct exchange *x);
/* Its client has gone before all loops were asked. */
void cached_forget_client(struct exchange *x);

#endif
