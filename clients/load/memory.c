#include "clients/load/memory.h"

#include <stdint.h>
#include <string.h>

#include "rpc/base/alloc.h"

/* Classes are powers of two from 32 bytes; what is larger than the last goes straight to the heap.
 */
enum { CLASS_FIRST_BITS = 5, CLASSES = 11, CLASS_NONE = CLASSES, KEPT_MAX = 4096 };

union block {
    struct {
        uint32_t class;
        size_t size; /* that can be used */
    } head;
    max_align_t align;
};
struct list {
    void *first; /* the user's part holds the next */
    unsigned kept;
};
static _Thread_local struct list lists[CLASSES];

static unsigned class_of(size_t size)
{
    if (size <= (size_t) 1 << CLASS_FIRST_BITS)
        return 0;
    unsigned bits = 64 - (unsigned) __builtin_clzll(size - 1); /* smallest with size <= 2^bits */
    return bits - CLASS_FIRST_BITS < CLASSES ? bits - CLASS_FIRST_BITS : CLASS_NONE;
}

void *memory_get(size_t size)
{
    unsigned c = class_of(size);
    if (c != CLASS_NONE && lists[c].first != NULL) {
        void *p = lists[c].first;
        memcpy(&lists[c].first, p, sizeof lists[c].first);
        lists[c].kept--;
        return p;
    }
    size_t whole = c == CLASS_NONE ? size : (size_t) 1 << (CLASS_FIRST_BITS + c);
    if (whole > SIZE_MAX - sizeof(union block))
        return NULL;
    union block *b = alloc_get(sizeof *b + whole);
    if (b == NULL)
        return NULL;
    b->head.class = c;
    b->head.size = whole;
    return b + 1;
}

void memory_free(void *p)
{
    if (p == NULL)
        return;
    union block *b = (union block *) p - 1;
    unsigned c = b->head.class;
    if (c == CLASS_NONE || lists[c].kept == KEPT_MAX) {
        alloc_free(b);
        return;
    }
    memcpy(p, &lists[c].first, sizeof lists[c].first);
    lists[c].first = p;
    lists[c].kept++;
}

void *memory_resize(void *p, size_t size)
{
    if (p == NULL)
        return memory_get(size);
    size_t had = ((union block *) p - 1)->head.size;
    if (size <= had)
        return p;
    void *more = memory_get(size);
    if (more == NULL)
        return NULL;
    memcpy(more, p, had);
    memory_free(p);
    return more;
}

char *memory_strdup(const char *s)
{
    size_t size = strlen(s) + 1;
    char *copy = memory_get(size);
    if (copy != NULL)
        memcpy(copy, s, size);
    return copy;
}

void *memory_zero(size_t count, size_t size)
{
    size_t whole;
    if (__builtin_mul_overflow(count, size, &whole))
        return NULL;
    void *p = memory_get(whole);
    if (p != NULL)
        memset(p, 0, whole);
    return p;
}

void memory_drain(void)
{
    for (unsigned c = 0; c < CLASSES; c++)
        while (lists[c].first != NULL) {
            void *p = lists[c].first;
            memcpy(&lists[c].first, p, sizeof lists[c].first);
            alloc_free((union block *) p - 1);
        }
    memset(lists, 0, sizeof lists);
}
