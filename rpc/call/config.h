/* config.h — limits and policies by method (nrpc_method_config), worked out once: a call takes a
 * pointer.  A table does not change; reading it is for any thread, a config_cache for one. */
#ifndef NRPC_CALL_CONFIG_H
#define NRPC_CALL_CONFIG_H
#include "rpc/call/call.h"

/* One row: what the calls of its methods get. */
struct method_settings {
    struct call_limits limits; /* of the server or channel, with the row's changes */
    uint64_t timeout_ms;       /* 0: none */
    bool wait_for_ready, exact; /* exact: the row is of one method alone */
    const nrpc_retry_policy *retry; /* at most one of the two; they live with the table */
    const nrpc_hedging_policy *hedging;
};
struct config_table;

/* Copies the list.  E_INVAL: a name that is no "/pkg.Service/Method", "/pkg.Service/" or "", a name
 * twice, both policies in one row, or a policy out of gRFC A6's bounds. */
int config_table_new(const nrpc_method_config *list, size_t n, const struct call_limits *base,
                     bool server, struct config_table **out_table);
void config_table_free(struct config_table *t); /* NULL is fine */
/* The most exact row for a path, or NULL. */
const struct method_settings *config_table_find(const struct config_table *t, const char *path);

/* What was found for the methods that are called most; zeroed is empty. */
enum { CONFIG_CACHE_SLOTS = 64 };
struct config_cache {
    struct {
        const nrpc_method *method;
        char *path; /* a row of nrpc_method may be freed and its address used for another */
        const struct method_settings *settings;
    } slots[CONFIG_CACHE_SLOTS];
};
/* As config_table_find; t NULL: NULL. */
const struct method_settings *config_cache_get(struct config_cache *cache,
                                               const struct config_table *t,
                                               const nrpc_method *method);
void config_cache_done(struct config_cache *cache);

/* The call obeys these from now on.  Before its first byte came or went. */
void call_configure(nrpc_call *c, const struct method_settings *settings);

#endif
