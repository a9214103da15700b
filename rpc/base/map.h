/* map.h — hash map from byte strings to pointers.  Keys are copied; SipHash-2-4 with a key drawn once per
 * process, so that a peer cannot aim at one bucket.  Iteration order is insertion order with removals
 * filled by the last entry: do not let results depend on it.  One thread at a time. */
#ifndef NRPC_BASE_MAP_H
#define NRPC_BASE_MAP_H
#include <stddef.h>
#include <stdint.h>

struct map_entry {
    char *key; /* NUL-ended copy */
    size_t key_size;
    uint64_t hash;
    void *value;
};
struct map {
    struct map_entry *entries; /* dense */
    uint32_t *slots;           /* index + 1 into entries; 0 is free */
    size_t count, capacity, slots_count;
};

/* 0, or negative without memory.  A value that stood there is replaced and handed out through
 * out_replaced (may be NULL). */
int map_set(struct map *m, const char *key, size_t key_size, void *value, void **out_replaced);
void *map_get(const struct map *m, const char *key, size_t key_size); /* NULL when absent */
void *map_remove(struct map *m, const char *key, size_t key_size);    /* the value, or NULL */
void map_done(struct map *m);                                         /* frees keys, not values */
uint64_t map_hash(const void *data, size_t size);

#endif
