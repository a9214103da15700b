#include "rpc/base/alloc.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Allocations first to last of a thread fail; first 0: none. */
static _Thread_local uint64_t first, last, count;

static bool must_fail(void)
{
    count++;
    return first != 0 && count >= first && count <= last;
}

void alloc_fail_at(uint64_t n)
{
    first = n;
    last = UINT64_MAX;
    count = 0;
}

void alloc_fail_once(uint64_t n)
{
    first = last = n;
    count = 0;
}

uint64_t alloc_count(void)
{
    return count;
}

void *alloc_get(size_t size)
{
    return must_fail() ? NULL : malloc(size == 0 ? 1 : size);
}

void *alloc_zero(size_t n, size_t size)
{
    return must_fail() ? NULL : calloc(n == 0 ? 1 : n, size == 0 ? 1 : size);
}

void *alloc_resize(void *p, size_t size)
{
    return must_fail() ? NULL : realloc(p, size == 0 ? 1 : size);
}

void alloc_free(void *p)
{
    free(p);
}

char *alloc_strndup(const char *s, size_t size)
{
    char *copy = alloc_get(size + 1);
    if (copy == NULL)
        return NULL;
    if (size > 0)
        memcpy(copy, s, size);
    copy[size] = '\0';
    return copy;
}

char *alloc_strdup(const char *s)
{
    return alloc_strndup(s, strlen(s));
}
