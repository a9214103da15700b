/* cache.h — answers that a loop keeps: whole bodies of GETs by their target, forgotten by tag, by
 * age, by room.  Knows nothing of HTTP or of servers; coherence.h decides when it may be used.  One
 * loop's; the counters are for all. */
#ifndef NOVEL_GATEWAY_CACHE_H
#define NOVEL_GATEWAY_CACHE_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/encode.h"
#include "rpc/base/list.h"
#include "rpc/base/map.h"

enum { CACHE_TAGS_MAX = 8, CACHE_TAG_SIZE = 160, CACHE_BODY_MAX = 262144, CACHE_TARGET_MAX = 2048 };

struct cache_entry {
    struct list by_age; /* in cache.entries: the one used last is last */
    const void *route;  /* the gateway's own */
    const char *key;    /* the target; lives with the entry */
    size_t key_size;
    uint64_t expires_ns;
    char *tags[CACHE_TAGS_MAX];
    size_t n_tags;
    char etag[136];
    const char *content_type;
    struct buf body[ENCODINGS]; /* by enum encoding; the coded ones are made when first wanted */
    bool tried[ENCODINGS]; /* coding it was tried: an empty body then means that it does not pay */
    size_t bytes;
};
struct cache {
    struct map entries_by_key;
    struct list entries;
    size_t bytes, max_bytes;
    uint64_t epoch; /* grows with every invalidation: what was asked for before it is not kept after
                       it */
    _Atomic(uint64_t) hits, misses, stores, evictions, invalidations, count, size;
};

void cache_init(struct cache *c, size_t max_bytes);
void cache_done(struct cache *c);
/* NULL when there is none, or it is too old. */
struct cache_entry *cache_find(struct cache *c, const char *key, size_t size, uint64_t now_ns);
/* What is to be kept; texts are copied. */
struct cache_item {
    const char *key, *content_type, *etag;
    size_t key_size;
    const void *body, *route;
    size_t body_size;
    const char *const *tags;
    size_t n_tags;
    uint64_t expires_ns;
};
/* Keeps it in place of what stood there; what was used longest ago makes room.  Nothing happens
 * without memory. */
void cache_store(struct cache *c, const struct cache_item *item);
/* Forgets entries that carry one of the tags (all false) or all of them; n 0: every entry.  Returns
 * how many. */
size_t cache_forget(struct cache *c, const char *const *tags, size_t n, bool all);

#endif
