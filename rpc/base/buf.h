/* buf.h — a growing byte buffer.  A failed growth sets `failed`, drops what did not fit, and every later
 * put is a no-op: check once at the end.  One thread at a time. */
#ifndef NRPC_BASE_BUF_H
#define NRPC_BASE_BUF_H
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
    uint8_t *data;
    size_t size, capacity;
    bool failed;
};

void buf_done(struct buf *b);                           /* frees; leaves an empty, usable buffer */
void buf_reset(struct buf *b);                          /* empties, keeps the memory, clears failed */
int buf_reserve(struct buf *b, size_t extra);           /* 0, or -1 (NRPC_E_NOMEM) with failed set */
uint8_t *buf_grow(struct buf *b, size_t size);          /* appends `size` uninitialised bytes; NULL on failure */
void buf_put(struct buf *b, const void *data, size_t size);
void buf_puts(struct buf *b, const char *s);
void buf_putc(struct buf *b, char c);
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *b, const char *format, va_list args);
void buf_put_u64(struct buf *b, uint64_t value);        /* decimal text */
void buf_drop(struct buf *b, size_t size);              /* removes the first bytes (memmove) */
const char *buf_text(const struct buf *b);              /* the size bytes, not ended: needs no memory; "" for none */
const char *buf_str(struct buf *b);                     /* NUL-ended view; "" on failure; not counted in size */

#endif
