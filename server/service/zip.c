#include "server/service/zip.h"

#include <stdint.h>
#include <string.h>
#include <zlib.h>

#include "rpc/base/alloc.h"

/* APPNOTE.TXT 6.3: local headers, then the central directory, then its end. */
enum { VERSION = 20, DEFLATED = 8, DAY_1980 = 33 /* 1 January 1980: what a reader sees as "no date" */, MEMBERS_MAX = 65535 };

static void put16(struct buf *b, unsigned v)
{
    buf_putc(b, (char) (v & 0xff));
    buf_putc(b, (char) (v >> 8 & 0xff));
}

static void put32(struct buf *b, uint32_t v)
{
    put16(b, v & 0xffff);
    put16(b, v >> 16);
}

void zip_begin(struct zip *z, struct buf *out)
{
    *z = (struct zip) { .out = out };
}

/* Raw deflate of data, or 0 when it is not smaller (or there is no memory for it: storing is as good). */
static size_t deflate_into(const void *data, size_t size, uint8_t *to, size_t room)
{
    z_stream s = { .next_in = (Bytef *) (uintptr_t) data, .avail_in = (uInt) size, .next_out = to, .avail_out = (uInt) room };
    if (deflateInit2(&s, 6, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY) != Z_OK)
        return 0;
    size_t n = deflate(&s, Z_FINISH) == Z_STREAM_END ? s.total_out : 0;
    deflateEnd(&s);
    return n;
}

/* The fields that local header and directory share, from "version needed" to "extra field length". */
static void put_fields(struct buf *b, bool packed, uint32_t crc, size_t stored_size, size_t size, size_t name_size)
{
    put16(b, VERSION);
    put16(b, 0);
    put16(b, packed ? DEFLATED : 0);
    put16(b, 0);
    put16(b, DAY_1980);
    put32(b, crc);
    put32(b, (uint32_t) stored_size);
    put32(b, (uint32_t) size);
    put16(b, (unsigned) name_size);
    put16(b, 0);
}

void zip_add(struct zip *z, const char *name, const void *data, size_t size, bool stored)
{
    size_t name_size = strlen(name), at = z->out->size;
    if (z->failed || z->members == MEMBERS_MAX || size > UINT32_MAX / 4 || at > UINT32_MAX / 2 || name_size > 255) {
        z->failed = true;
        return;
    }
    uint8_t *packed = stored || size == 0 ? NULL : alloc_get(size);
    size_t packed_size = packed != NULL ? deflate_into(data, size, packed, size) : 0;
    bool shrunk = packed_size > 0 && packed_size < size;
    size_t written = shrunk ? packed_size : size;
    uint32_t crc = (uint32_t) crc32(0, data, (uInt) size);
    put32(z->out, 0x04034b50);
    put_fields(z->out, shrunk, crc, written, size, name_size);
    buf_put(z->out, name, name_size);
    buf_put(z->out, shrunk ? packed : data, written);
    alloc_free(packed);
    put32(&z->directory, 0x02014b50);
    put16(&z->directory, VERSION);
    put_fields(&z->directory, shrunk, crc, written, size, name_size);
    put16(&z->directory, 0); /* comment, disk, attributes inside and outside */
    put16(&z->directory, 0);
    put16(&z->directory, 0);
    put32(&z->directory, 0);
    put32(&z->directory, (uint32_t) at);
    buf_put(&z->directory, name, name_size);
    z->members++;
}

bool zip_end(struct zip *z)
{
    size_t at = z->out->size;
    buf_put(z->out, z->directory.data, z->directory.size);
    put32(z->out, 0x06054b50);
    put16(z->out, 0);
    put16(z->out, 0);
    put16(z->out, z->members);
    put16(z->out, z->members);
    put32(z->out, (uint32_t) z->directory.size);
    put32(z->out, (uint32_t) at);
    put16(z->out, 0);
    z->out->failed |= z->failed || z->directory.failed || at > UINT32_MAX / 2;
    buf_done(&z->directory);
    return !z->out->failed;
}
