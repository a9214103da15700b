/* support.h — what the gateway's tests share: guard pages, files, seeded random numbers. */
#ifndef TESTS_GATEWAY_SUPPORT_H
#define TESTS_GATEWAY_SUPPORT_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "rpc/base/alloc.h"
#include "rpc/base/buf.h"

/* Bytes whose end lies right before a page that must not be touched. */
struct guarded {
    uint8_t *map, *data;
    size_t map_size;
};
static inline struct guarded guarded_copy(const void *data, size_t size)
{
    size_t page = (size_t) sysconf(_SC_PAGESIZE), pages = size / page + 1;
    struct guarded g = { .map_size = (pages + 1) * page };
    g.map = mmap(NULL, g.map_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(g.map != MAP_FAILED);
    assert_int_equal(mprotect(g.map + pages * page, page, PROT_NONE), 0);
    g.data = g.map + pages * page - size;
    if (size > 0)
        memcpy(g.data, data, size);
    return g;
}
static inline void guarded_free(struct guarded g)
{
    munmap(g.map, g.map_size);
}

static inline void read_file(const char *path, struct buf *out)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    char chunk[4096];
    for (size_t n; (n = fread(chunk, 1, sizeof chunk, f)) > 0;)
        buf_put(out, chunk, n);
    fclose(f);
    assert_false(out->failed);
}

static inline uint64_t random_next(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}
static inline uint64_t random_below(uint64_t *state, uint64_t n)
{
    return random_next(state) % n;
}

#endif
