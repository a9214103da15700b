/* table.h — what the gateway serves: descriptors, routes, methods.  A table is immutable; a reload
 * makes a new one, and requests keep the one that they began with until their end. */
#ifndef NOVEL_GATEWAY_TABLE_H
#define NOVEL_GATEWAY_TABLE_H
#include <stdatomic.h>

#include "gateway/route.h"
#include "rpc/nrpc.h"

struct table {
    atomic_uint references;
    struct desc_pool *pool;
    struct router *router;
    bool legacy;           /* some method speaks the legacy dialect: so does what is no method's */
    nrpc_method *methods;  /* of the pool's methods, both sides raw bytes */
    struct buf openapi;    /* the document of all routes */
    struct buf collection; /* the same for Postman */
};

struct table_source {
    const void *set; /* FileDescriptorSet */
    size_t set_size;
    const void *rules; /* rules_file.h; size 0: none */
    size_t rules_size;
    const char *prefix; /* as in router_new */
};
/* [any] Compiles all that; the source is only lent.  0 with one reference for the
 * caller, or negative with the reason. */
int table_new(const struct table_source *from, struct table **out_table, char error[static 512]);
struct table *table_ref(struct table *t); /* [any] */
void table_unref(struct table *t);        /* [any] NULL is fine */
/* [any] The method as the channel takes it. */
static inline const nrpc_method *table_method(const struct table *t, const struct desc_method *m)
{
    return &t->methods[m - t->pool->methods];
}

/* A loop's hold on a table: one reference for all its requests, so that a request costs no atomic
 * operation.  [loop] */
struct table_view {
    struct table *table;
    size_t users; /* requests in progress */
    bool current; /* new requests begin with it */
};
/* Takes one reference of t's. NULL without memory: the reference stays the caller's. */
struct table_view *table_view_new(struct table *t);
static inline struct table_view *table_view_enter(struct table_view *v)
{
    v->users++;
    return v;
}
void table_view_leave(struct table_view *v);
void table_view_retire(struct table_view *v); /* no longer current; NULL is fine */

#endif
