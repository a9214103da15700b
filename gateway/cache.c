#include "gateway/cache.h"

#include <stdio.h>
#include <string.h>

#include "rpc/base/alloc.h"

static void count(_Atomic(uint64_t) *counter, uint64_t n)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

static void entry_free(struct cache_entry *e)
{
    for (size_t i = 0; i < e->n_tags; i++)
        alloc_free(e->tags[i]);
    for (size_t i = 0; i < ENCODINGS; i++)
        buf_done(&e->body[i]);
    alloc_free((char *) (uintptr_t) e->key);
    alloc_free((char *) (uintptr_t) e->content_type);
    alloc_free(e);
}

static void forget(struct cache *c, struct cache_entry *e)
{
    map_remove(&c->entries_by_key, e->key, e->key_size);
    list_remove(&e->by_age);
    c->bytes -= e->bytes;
    atomic_store_explicit(&c->count, c->entries_by_key.count, memory_order_relaxed);
    atomic_store_explicit(&c->size, c->bytes, memory_order_relaxed);
    entry_free(e);
}

void cache_init(struct cache *c, size_t max_bytes)
{
    memset(c, 0, sizeof *c);
    list_init(&c->entries);
    c->max_bytes = max_bytes;
}

void cache_done(struct cache *c)
{
    for (struct list *link; c->entries.next != NULL && (link = list_take(&c->entries)) != NULL;)
        entry_free(LIST_ENTRY(link, struct cache_entry, by_age));
    map_done(&c->entries_by_key);
    memset(c, 0, sizeof *c);
}

struct cache_entry *cache_find(struct cache *c, const char *key, size_t size, uint64_t now_ns)
{
    struct cache_entry *e = c->bytes == 0 ? NULL : map_get(&c->entries_by_key, key, size);
    if (e != NULL && e->expires_ns <= now_ns) {
        forget(c, e);
        e = NULL;
    }
    count(e == NULL ? &c->misses : &c->hits, 1);
    if (e == NULL)
        return NULL;
    list_remove(&e->by_age);
    list_add_tail(&c->entries, &e->by_age);
    return e;
}

static struct cache_entry *entry_new(const struct cache_item *item)
{
    struct cache_entry *e = alloc_zero(1, sizeof *e);
    if (e == NULL)
        return NULL;
    list_init(&e->by_age);
    e->route = item->route;
    e->key = alloc_strndup(item->key, item->key_size);
    e->key_size = item->key_size;
    e->content_type = alloc_strdup(item->content_type);
    e->expires_ns = item->expires_ns;
    snprintf(e->etag, sizeof e->etag, "%s", item->etag);
    buf_put(&e->body[ENCODING_IDENTITY], item->body, item->body_size);
    e->tried[ENCODING_IDENTITY] = true;
    bool whole = e->key != NULL && e->content_type != NULL && !e->body[ENCODING_IDENTITY].failed;
    for (; whole && e->n_tags < item->n_tags && e->n_tags < CACHE_TAGS_MAX; e->n_tags++) {
        e->tags[e->n_tags] = alloc_strdup(item->tags[e->n_tags]);
        whole = e->tags[e->n_tags] != NULL;
    }
    /* Coded forms are counted ahead of time: they are smaller than the body. */
    e->bytes = sizeof *e + item->key_size + 2 * item->body_size;
    if (whole)
        return e;
    entry_free(e);
    return NULL;
}

void cache_store(struct cache *c, const struct cache_item *item)
{
    struct cache_entry *e = item->body_size > CACHE_BODY_MAX || item->key_size > CACHE_TARGET_MAX
                                ? NULL
                                : entry_new(item);
    if (e == NULL || e->bytes > c->max_bytes) {
        if (e != NULL)
            entry_free(e);
        return;
    }
    struct cache_entry *old = map_get(&c->entries_by_key, item->key, item->key_size);
    if (old != NULL)
        forget(c, old);
    while (c->bytes + e->bytes > c->max_bytes) {
        forget(c, LIST_ENTRY(c->entries.next, struct cache_entry, by_age));
        count(&c->evictions, 1);
    }
    if (map_set(&c->entries_by_key, e->key, e->key_size, e, NULL) < 0) {
        entry_free(e);
        return;
    }
    list_add_tail(&c->entries, &e->by_age);
    c->bytes += e->bytes;
    count(&c->stores, 1);
    atomic_store_explicit(&c->count, c->entries_by_key.count, memory_order_relaxed);
    atomic_store_explicit(&c->size, c->bytes, memory_order_relaxed);
}

static bool has_tag(const struct cache_entry *e, const char *tag)
{
    for (size_t i = 0; i < e->n_tags; i++)
        if (strcmp(e->tags[i], tag) == 0)
            return true;
    return false;
}

size_t cache_forget(struct cache *c, const char *const *tags, size_t n, bool all)
{
    size_t removed = 0;
    c->epoch++;
    LIST_EACH(&c->entries, link, next)
    {
        struct cache_entry *e = LIST_ENTRY(link, struct cache_entry, by_age);
        size_t found = 0;
        for (size_t i = 0; i < n; i++)
            found += has_tag(e, tags[i]);
        if (n > 0 && (all ? found < n : found == 0))
            continue;
        forget(c, e);
        removed++;
    }
    count(&c->invalidations, removed);
    return removed;
}
