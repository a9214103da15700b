/* arena.h — memory that is freed all at once.  One thread at a time.  Blocks double up to 64 KiB;
 * larger requests get their own block.  With ARENA_ONE_MALLOC (sanitizer builds) every request is one
 * heap block, so that an overrun is seen. */
#ifndef NRPC_BASE_ARENA_H
#define NRPC_BASE_ARENA_H
#include <stddef.h>
#include <stdint.h>

struct arena_block;
struct arena {
    struct arena_block *blocks; /* newest first */
    uint8_t *next, *end;        /* free range of the newest block */
    size_t first_bytes;         /* size of the first block */
    size_t total_bytes;         /* held from the heap */
};

void arena_init(struct arena *a, size_t first_bytes);         /* takes no memory yet */
void *arena_get(struct arena *a, size_t size);                /* aligned to 16; NULL without memory */
void *arena_zero(struct arena *a, size_t count, size_t size); /* zeroed; NULL also on overflow */
void *arena_copy(struct arena *a, const void *data, size_t size);
char *arena_strndup(struct arena *a, const char *s, size_t size);
char *arena_printf(struct arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
void arena_reset(struct arena *a);                            /* keeps the first block for reuse */
void arena_done(struct arena *a);                             /* frees all; may be used again */

#endif
