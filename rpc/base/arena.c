#include "rpc/base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "rpc/base/alloc.h"

#if defined(__SANITIZE_ADDRESS__) && !defined(ARENA_ONE_MALLOC)
#define ARENA_ONE_MALLOC 1
#endif

enum { BLOCK_BYTES_MAX = 65536, ALIGN = 16 };

struct arena_block {
    struct arena_block *next;
    size_t size; /* of data */
    _Alignas(ALIGN) uint8_t data[];
};

void arena_init(struct arena *a, size_t first_bytes)
{
    *a = (struct arena) { .first_bytes = first_bytes < 256 ? 256 : first_bytes };
}

static struct arena_block *block_new(struct arena *a, size_t size)
{
    struct arena_block *b = alloc_get(sizeof *b + size);
    if (b == NULL)
        return NULL;
    b->size = size;
    a->total_bytes += sizeof *b + size;
    return b;
}

/* Its own block, put behind the newest so that the free range stays in use. */
static void *get_alone(struct arena *a, size_t size)
{
    struct arena_block *b = block_new(a, size);
    if (b == NULL)
        return NULL;
    if (a->blocks == NULL) {
        b->next = NULL;
        a->blocks = b;
        a->next = a->end = b->data + size;
    } else {
        b->next = a->blocks->next;
        a->blocks->next = b;
    }
    return b->data;
}

void *arena_get(struct arena *a, size_t size)
{
    if (size > SIZE_MAX / 2)
        return NULL;
#ifdef ARENA_ONE_MALLOC
    return get_alone(a, size);
#else
    size = size == 0 ? ALIGN : (size + ALIGN - 1) & ~(size_t) (ALIGN - 1);
    if (size <= (size_t) (a->end - a->next)) {
        void *p = a->next;
        a->next += size;
        return p;
    }
    size_t want = a->blocks == NULL ? a->first_bytes : a->blocks->size * 2;
    if (want > BLOCK_BYTES_MAX)
        want = a->first_bytes > BLOCK_BYTES_MAX ? a->first_bytes : BLOCK_BYTES_MAX;
    if (size > want / 2 && a->blocks != NULL)
        return get_alone(a, size);
    struct arena_block *b = block_new(a, size > want ? size : want);
    if (b == NULL)
        return NULL;
    b->next = a->blocks;
    a->blocks = b;
    a->next = b->data + size;
    a->end = b->data + b->size;
    return b->data;
#endif
}

void *arena_zero(struct arena *a, size_t count, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(count, size, &total))
        return NULL;
    void *p = arena_get(a, total);
    if (p != NULL)
        memset(p, 0, total);
    return p;
}

void *arena_copy(struct arena *a, const void *data, size_t size)
{
    void *p = arena_get(a, size);
    if (p != NULL && size > 0)
        memcpy(p, data, size);
    return p;
}

char *arena_strndup(struct arena *a, const char *s, size_t size)
{
    char *p = arena_get(a, size + 1);
    if (p == NULL)
        return NULL;
    if (size > 0)
        memcpy(p, s, size);
    p[size] = '\0';
    return p;
}

char *arena_printf(struct arena *a, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int size = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *p = size < 0 ? NULL : arena_get(a, (size_t) size + 1);
    if (p != NULL)
        vsnprintf(p, (size_t) size + 1, format, again);
    va_end(again);
    return p;
}

static void free_blocks(struct arena_block *b)
{
    while (b != NULL) {
        struct arena_block *next = b->next;
        alloc_free(b);
        b = next;
    }
}

void arena_reset(struct arena *a)
{
#ifdef ARENA_ONE_MALLOC
    arena_done(a);
#else
    struct arena_block *first = a->blocks;
    if (first == NULL)
        return;
    struct arena_block *rest = NULL;
    /* The oldest block has the modest size that the next use is likely to need. */
    while (first->next != NULL) {
        struct arena_block *next = first->next;
        first->next = rest;
        rest = first;
        first = next;
    }
    free_blocks(rest);
    a->blocks = first;
    a->next = first->data;
    a->end = first->data + first->size;
    a->total_bytes = sizeof *first + first->size;
#endif
}

void arena_done(struct arena *a)
{
    free_blocks(a->blocks);
    arena_init(a, a->first_bytes);
}
