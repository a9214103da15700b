#include "rpc/base/buf.h"

#include <stdio.h>
#include <string.h>

#include "rpc/base/alloc.h"

void buf_done(struct buf *b)
{
    alloc_free(b->data);
    *b = (struct buf) { 0 };
}

void buf_reset(struct buf *b)
{
    b->size = 0;
    b->failed = false;
}

int buf_reserve(struct buf *b, size_t extra)
{
    if (b->failed)
        return -1;
    /* Also for no bytes there is an address: NULL means failure. */
    if (b->data != NULL && extra <= b->capacity - b->size)
        return 0;
    size_t want = b->size + extra;
    if (want < extra || want > SIZE_MAX / 2) {
        b->failed = true;
        return -1;
    }
    size_t capacity = b->capacity < 64 ? 64 : b->capacity;
    while (capacity < want)
        capacity *= 2;
    uint8_t *data = alloc_resize(b->data, capacity);
    if (data == NULL) {
        b->failed = true;
        return -1;
    }
    b->data = data;
    b->capacity = capacity;
    return 0;
}

uint8_t *buf_grow(struct buf *b, size_t size)
{
    if (buf_reserve(b, size) < 0)
        return NULL;
    uint8_t *p = b->data + b->size;
    b->size += size;
    return p;
}

void buf_put(struct buf *b, const void *data, size_t size)
{
    if (size == 0)
        return;
    uint8_t *p = buf_grow(b, size);
    if (p != NULL)
        memcpy(p, data, size);
}

void buf_puts(struct buf *b, const char *s)
{
    buf_put(b, s, strlen(s));
}

void buf_putc(struct buf *b, char c)
{
    buf_put(b, &c, 1);
}

void buf_vprintf(struct buf *b, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int size = vsnprintf(NULL, 0, format, args);
    if (size < 0 || buf_reserve(b, (size_t) size + 1) < 0) {
        b->failed = true;
    } else {
        vsnprintf((char *) b->data + b->size, (size_t) size + 1, format, again);
        b->size += (size_t) size;
    }
    va_end(again);
}

void buf_printf(struct buf *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    buf_vprintf(b, format, args);
    va_end(args);
}

void buf_put_u64(struct buf *b, uint64_t value)
{
    char digits[20];
    size_t at = sizeof digits;
    do
        digits[--at] = (char) ('0' + value % 10);
    while ((value /= 10) != 0);
    buf_put(b, digits + at, sizeof digits - at);
}

void buf_drop(struct buf *b, size_t size)
{
    if (size > b->size)
        size = b->size;
    b->size -= size;
    if (b->size > 0 && size > 0)
        memmove(b->data, b->data + size, b->size);
}

const char *buf_text(const struct buf *b)
{
    return b->size > 0 ? (const char *) b->data : "";
}

const char *buf_str(struct buf *b)
{
    if (buf_reserve(b, 1) < 0)
        return "";
    b->data[b->size] = '\0';
    return (const char *) b->data;
}
