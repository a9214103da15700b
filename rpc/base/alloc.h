/* alloc.h — the only way to the heap.  All functions are thread-safe; results must be checked.
 * Tests make the n-th allocation of a thread fail with alloc_fail_at. */
#ifndef NRPC_BASE_ALLOC_H
#define NRPC_BASE_ALLOC_H
#include <stddef.h>
#include <stdint.h>

void *alloc_get(size_t size);                    /* uninitialised; NULL without memory; size 0 is 1 */
void *alloc_zero(size_t count, size_t size);     /* zeroed; NULL also when count * size overflows */
void *alloc_resize(void *p, size_t size);        /* as realloc; p stays valid on NULL */
void alloc_free(void *p);                        /* NULL is fine */
char *alloc_strdup(const char *s);               /* NULL without memory */
char *alloc_strndup(const char *s, size_t size); /* copies size bytes and ends them */

/* Failure injection, per thread: the n-th allocation from now (1 = next) and all after it fail; 0 = off. */
void alloc_fail_at(uint64_t n);
void alloc_fail_once(uint64_t n);                /* the n-th only: those after it succeed again */
uint64_t alloc_count(void);                      /* allocations of this thread since either of them */

#endif
