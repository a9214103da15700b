#include "rpc/base/map.h"

#include <pthread.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "rpc/base/alloc.h"

static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static uint64_t key[2];

static void draw_key(void)
{
    if (getrandom(key, sizeof key, 0) != (ssize_t) sizeof key) {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        key[0] = (uint64_t) now.tv_nsec * 0x9e3779b97f4a7c15u;
        key[1] = (uint64_t) now.tv_sec ^ (uint64_t) (uintptr_t) &now;
    }
}

static inline uint64_t rotl(uint64_t x, int b)
{
    return x << b | x >> (64 - b);
}

#define SIP_ROUND                                                                                  \
    do {                                                                                           \
        v0 += v1, v1 = rotl(v1, 13), v1 ^= v0, v0 = rotl(v0, 32);                                  \
        v2 += v3, v3 = rotl(v3, 16), v3 ^= v2;                                                     \
        v0 += v3, v3 = rotl(v3, 21), v3 ^= v0;                                                     \
        v2 += v1, v1 = rotl(v1, 17), v1 ^= v2, v2 = rotl(v2, 32);                                  \
    } while (0)

uint64_t map_hash(const void *data, size_t size)
{
    pthread_once(&key_once, draw_key);
    uint64_t v0 = key[0] ^ 0x736f6d6570736575u, v1 = key[1] ^ 0x646f72616e646f6du;
    uint64_t v2 = key[0] ^ 0x6c7967656e657261u, v3 = key[1] ^ 0x7465646279746573u;
    const uint8_t *p = data;
    size_t left = size;
    for (; left >= 8; p += 8, left -= 8) {
        uint64_t m;
        memcpy(&m, p, 8);
        v3 ^= m;
        SIP_ROUND;
        SIP_ROUND;
        v0 ^= m;
    }
    uint64_t last = (uint64_t) size << 56;
    for (size_t i = 0; i < left; i++)
        last |= (uint64_t) p[i] << (8 * i);
    v3 ^= last;
    SIP_ROUND;
    SIP_ROUND;
    v0 ^= last;
    v2 ^= 0xff;
    SIP_ROUND;
    SIP_ROUND;
    SIP_ROUND;
    SIP_ROUND;
    return v0 ^ v1 ^ v2 ^ v3;
}

/* The slot that holds the key, or the free one where it would go.  slots_count is a power of two. */
static size_t find_slot(const struct map *m, const char *k, size_t size, uint64_t hash)
{
    size_t at = hash & (m->slots_count - 1);
    for (;; at = (at + 1) & (m->slots_count - 1)) {
        uint32_t index = m->slots[at];
        if (index == 0)
            return at;
        const struct map_entry *e = &m->entries[index - 1];
        if (e->hash == hash && e->key_size == size && memcmp(e->key, k, size) == 0)
            return at;
    }
}

static int grow(struct map *m)
{
    size_t capacity = m->capacity == 0 ? 8 : m->capacity * 2;
    struct map_entry *entries = alloc_resize(m->entries, capacity * sizeof *entries);
    if (entries == NULL)
        return -1;
    m->entries = entries;
    uint32_t *slots = alloc_zero(capacity * 2, sizeof *slots);
    if (slots == NULL)
        return -1;
    alloc_free(m->slots);
    m->slots = slots;
    m->capacity = capacity;
    m->slots_count = capacity * 2;
    for (size_t i = 0; i < m->count; i++) {
        size_t at = m->entries[i].hash & (m->slots_count - 1);
        while (m->slots[at] != 0)
            at = (at + 1) & (m->slots_count - 1);
        m->slots[at] = (uint32_t) i + 1;
    }
    return 0;
}

int map_set(struct map *m, const char *k, size_t size, void *value, void **out_replaced)
{
    if (m->count == m->capacity && grow(m) < 0)
        return -1;
    uint64_t hash = map_hash(k, size);
    size_t at = find_slot(m, k, size, hash);
    void *replaced = NULL;
    if (m->slots[at] != 0) {
        struct map_entry *e = &m->entries[m->slots[at] - 1];
        replaced = e->value;
        e->value = value;
    } else {
        char *copy = alloc_strndup(k, size);
        if (copy == NULL)
            return -1;
        m->entries[m->count] = (struct map_entry) { copy, size, hash, value };
        m->slots[at] = (uint32_t) ++m->count;
    }
    if (out_replaced != NULL)
        *out_replaced = replaced;
    return 0;
}

void *map_get(const struct map *m, const char *k, size_t size)
{
    if (m->count == 0)
        return NULL;
    size_t at = find_slot(m, k, size, map_hash(k, size));
    return m->slots[at] == 0 ? NULL : m->entries[m->slots[at] - 1].value;
}

/* Linear probing without tombstones: entries after the hole move up while they may. */
static void close_hole(struct map *m, size_t hole)
{
    size_t mask = m->slots_count - 1;
    for (size_t at = (hole + 1) & mask; m->slots[at] != 0; at = (at + 1) & mask) {
        size_t home = m->entries[m->slots[at] - 1].hash & mask;
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            m->slots[hole] = m->slots[at];
            hole = at;
        }
    }
    m->slots[hole] = 0;
}

void *map_remove(struct map *m, const char *k, size_t size)
{
    if (m->count == 0)
        return NULL;
    size_t at = find_slot(m, k, size, map_hash(k, size));
    if (m->slots[at] == 0)
        return NULL;
    size_t index = m->slots[at] - 1;
    void *value = m->entries[index].value;
    alloc_free(m->entries[index].key);
    close_hole(m, at);
    size_t last = --m->count;
    if (index != last) {
        const struct map_entry *e = &m->entries[last];
        size_t moved = find_slot(m, e->key, e->key_size, e->hash);
        m->entries[index] = *e;
        m->slots[moved] = (uint32_t) index + 1;
    }
    return value;
}

void map_done(struct map *m)
{
    for (size_t i = 0; i < m->count; i++)
        alloc_free(m->entries[i].key);
    alloc_free(m->entries);
    alloc_free(m->slots);
    *m = (struct map) { 0 };
}
