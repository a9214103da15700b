/* verify_fixture_bytes.h — what both halves of the fixture write with, and who and what its world
 * holds. */
#ifndef VERIFY_FIXTURE_BYTES_H
#define VERIFY_FIXTURE_BYTES_H
#include <string.h>

#include "tests/unit/engine/verify_fixture.h"

static inline void put_u8(struct buf *b, unsigned v)
{
    buf_putc(b, (char) v);
}
static inline void put_u16(struct buf *b, unsigned v)
{
    put_u8(b, v & 255);
    put_u8(b, v >> 8 & 255);
}
static inline void put_u32(struct buf *b, uint32_t v)
{
    put_u16(b, v & 0xffff);
    put_u16(b, v >> 16);
}
static inline void put_u64(struct buf *b, uint64_t v)
{
    put_u32(b, (uint32_t) v);
    put_u32(b, (uint32_t) (v >> 32));
}
static inline void put_str(struct buf *b, const char *s)
{
    put_u16(b, (unsigned) strlen(s));
    buf_puts(b, s);
}
static inline void put_zero(struct buf *b, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        put_u8(b, 0);
}

static const char *const entities[SORT_COUNT][4] = {
    [SORT_CHAR] = { "ana", "ben", "cal" },
    [SORT_PLACE] = { "hall", "yard" },
    [SORT_LINK] = { "door" },
    [SORT_ITEM] = { "lamp" },
    [SORT_FACT] = { "debt" },
    [SORT_CLUE] = { "print" },
};

static inline unsigned entity_count(unsigned sort)
{
    unsigned n = 0;
    while (sort != SORT_NONE && entities[sort][n] != NULL)
        n++;
    return sort == SORT_NONE ? 1 : n;
}

#endif
