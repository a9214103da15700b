/* memory.h — the memory libcurl asks for with each request, kept in lists by size and thread: a
 * request costs libcurl some fifty small blocks and one of 16 KiB, and the C library's heap spent
 * more on them than the request itself took. Blocks may be freed by another thread than made them.
 */
#ifndef NOVEL_LOAD_MEMORY_H
#define NOVEL_LOAD_MEMORY_H
#include <stddef.h>

void *memory_get(size_t size);
void memory_free(void *p);
void *memory_resize(void *p, size_t size);
char *memory_strdup(const char *s);
void *memory_zero(size_t count, size_t size);
/* Gives what the calling thread's lists hold back; before it ends. */
void memory_drain(void);

#endif
