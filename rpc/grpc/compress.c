#include "rpc/grpc/compress.h"

#include <limits.h>
#include <string.h>
#include <zlib.h>

#include "rpc/base/alloc.h"
#include "rpc/base/buf.h"
#include "rpc/base/check.h"
#include "rpc/grpc/codec.h"

/* Window bits choose zlib's wrapper.  Above LARGE the loop's time is worth more than a few percent
 * of the bytes. */
enum { BITS_ZLIB = 15, BITS_GZIP = 15 + 16, MEM_LEVEL = 8, LARGE = 65536, KEEP_BYTES = 65536 };
enum { FIRST_BYTES = 512, GUESS = 4 };
#define GAIN_LEVEL(size) ((size) > LARGE ? Z_BEST_SPEED : 6)

struct compressor {
    z_stream inflater, deflaters[2]; /* gzip, deflate */
    bool has_inflater, has_deflater[2];
    struct buf packed, out;
};

static void *zlib_get(void *opaque, uInt n, uInt size)
{
    (void) opaque;
    return alloc_zero(n, size); /* deflate reads bytes of its window that it has not written */
}

static void zlib_free(void *opaque, void *p)
{
    (void) opaque;
    alloc_free(p);
}

int compressor_new(struct compressor **out_compressor)
{
    struct compressor *z = alloc_zero(1, sizeof *z);
    if (z == NULL)
        return NRPC_E_NOMEM;
    z->inflater.zalloc = z->deflaters[0].zalloc = z->deflaters[1].zalloc = zlib_get;
    z->inflater.zfree = z->deflaters[0].zfree = z->deflaters[1].zfree = zlib_free;
    *out_compressor = z;
    return 0;
}

void compressor_free(struct compressor *z)
{
    if (z == NULL)
        return;
    if (z->has_inflater)
        (void) inflateEnd(&z->inflater);
    for (int i = 0; i < 2; i++)
        if (z->has_deflater[i])
            (void) deflateEnd(&z->deflaters[i]);
    buf_done(&z->packed);
    buf_done(&z->out);
    alloc_free(z);
}

uint8_t *compress_scratch(struct compressor *z, size_t size)
{
    buf_reset(&z->packed);
    return buf_grow(&z->packed, size);
}

void compressor_trim(struct compressor *z)
{
    if (z->packed.capacity > KEEP_BYTES)
        buf_done(&z->packed);
    if (z->out.capacity > KEEP_BYTES)
        buf_done(&z->out);
}

/* ---- names ---- */
static const char *const names[] = {
    [NRPC_IDENTITY] = "identity",
    [NRPC_GZIP] = "gzip",
    [NRPC_DEFLATE] = "deflate",
};

const char *compress_name(nrpc_compression k)
{
    return (unsigned) k < ARRAY_SIZE(names) ? names[k] : NULL;
}

bool compress_parse(nrpc_slice name, nrpc_compression *out_k)
{
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (name.size != strlen(names[i]) || memcmp(name.data, names[i], name.size) != 0)
            continue;
        *out_k = (nrpc_compression) i;
        return true;
    }
    return false;
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

uint32_t compress_parse_list(nrpc_slice list)
{
    uint32_t bits = 0;
    while (list.size > 0) {
        const uint8_t *comma = memchr(list.data, ',', list.size);
        nrpc_slice item = { list.data, comma == NULL ? list.size : (size_t) (comma - list.data) };
        size_t used = item.size + (comma != NULL);
        list = (nrpc_slice){ list.data + used, list.size - used };
        while (item.size > 0 && is_blank(item.data[0])) {
            item.data++;
            item.size--;
        }
        while (item.size > 0 && is_blank(item.data[item.size - 1]))
            item.size--;
        nrpc_compression k;
        if (compress_parse(item, &k))
            bits |= 1u << k;
    }
    return bits;
}

/* ---- inflate ---- */
static int inflater_reset(struct compressor *z, nrpc_compression k)
{
    int bits = k == NRPC_GZIP ? BITS_GZIP : BITS_ZLIB;
    int r = z->has_inflater ? inflateReset2(&z->inflater, bits) : inflateInit2(&z->inflater, bits);
    if (r != Z_OK)
        return NRPC_E_NOMEM;
    z->has_inflater = true;
    return 0;
}

/* More room, up to one byte over the limit: that byte tells "exactly full" from "too big". */
static int room_grow(nrpc_msg **m, size_t *room, size_t room_max)
{
    if (*room == room_max)
        return NRPC_E_TOOBIG;
    size_t next = *room > room_max / 2 ? room_max : *room * 2;
    nrpc_msg *grown = codec_msg_resize(*m, next);
    if (grown == NULL)
        return NRPC_E_NOMEM;
    *m = grown;
    *room = next;
    return 0;
}

/* 1: the message is whole.  0: goes on. */
static int after_step(struct compressor *z, nrpc_compression k, int step)
{
    z_stream *s = &z->inflater;
    if (step == Z_STREAM_END) {
        if (s->avail_in == 0)
            return 1;
        /* RFC 1952 section 2.2: members simply follow each other. */
        return k == NRPC_GZIP && inflateReset(s) == Z_OK ? 0 : NRPC_E_PROTO;
    }
    if (step == Z_MEM_ERROR)
        return NRPC_E_NOMEM;
    if (step != Z_OK && step != Z_BUF_ERROR)
        return NRPC_E_PROTO;
    /* Input is used up and there is room left: the rest is missing. */
    return s->avail_in == 0 && s->avail_out > 0 ? NRPC_E_PROTO : 0;
}

static int inflate_into(struct compressor *z, nrpc_compression k, nrpc_msg **m, size_t room,
                        size_t room_max, size_t *out_size)
{
    z_stream *s = &z->inflater;
    size_t have = 0;
    for (;;) {
        if (have == room) {
            int r = room_grow(m, &room, room_max);
            if (r < 0)
                return r;
        }
        s->next_out = codec_msg_data(*m) + have;
        s->avail_out = (uInt) (room - have);
        int step = inflate(s, Z_NO_FLUSH);
        have = room - s->avail_out;
        int r = after_step(z, k, step);
        if (r < 0)
            return r;
        if (r == 1) {
            *out_size = have;
            return have == room_max ? NRPC_E_TOOBIG : 0;
        }
    }
}

int compress_inflate(struct compressor *z, nrpc_compression k, nrpc_slice in, uint32_t bytes_max,
                     nrpc_msg **out_msg)
{
    /* zlib counts in uInt; a message has 32 bits of length, so only the spare byte could be over.
     */
    size_t room_max = bytes_max == UINT_MAX ? UINT_MAX : (size_t) bytes_max + 1;
    size_t room = in.size < room_max / GUESS ? in.size * GUESS : room_max, size = 0;
    if (room < FIRST_BYTES)
        room = room_max < FIRST_BYTES ? room_max : FIRST_BYTES;
    int r = in.size > UINT_MAX ? NRPC_E_TOOBIG : inflater_reset(z, k);
    if (r < 0)
        return r;
    nrpc_msg *m = codec_msg_new(room);
    if (m == NULL)
        return NRPC_E_NOMEM;
    z->inflater.next_in = (Bytef *) (uintptr_t) in.data;
    z->inflater.avail_in = (uInt) in.size;
    r = inflate_into(z, k, &m, room, room_max, &size);
    nrpc_msg *fitting = r < 0 ? NULL : codec_msg_resize(m, size);
    if (fitting == NULL) {
        nrpc_msg_free(m);
        return r < 0 ? r : NRPC_E_NOMEM;
    }
    codec_msg_set_compressed(fitting);
    *out_msg = fitting;
    return 0;
}

/* ---- deflate ---- */
static z_stream *deflater_get(struct compressor *z, nrpc_compression k, size_t size)
{
    int i = k == NRPC_GZIP ? 0 : 1, level = GAIN_LEVEL(size);
    z_stream *s = &z->deflaters[i];
    if (z->has_deflater[i])
        return deflateReset(s) == Z_OK && deflateParams(s, level, Z_DEFAULT_STRATEGY) == Z_OK
                   ? s
                   : NULL;
    if (deflateInit2(s, level, Z_DEFLATED, i == 0 ? BITS_GZIP : BITS_ZLIB, MEM_LEVEL,
                     Z_DEFAULT_STRATEGY) != Z_OK)
        return NULL;
    z->has_deflater[i] = true;
    return s;
}

int compress_deflate(struct compressor *z, nrpc_compression k, nrpc_slice in, size_t size_max,
                     nrpc_slice *out_bytes)
{
    z_stream *s = deflater_get(z, k, in.size);
    if (s == NULL)
        return NRPC_E_NOMEM;
    size_t room = deflateBound(s, in.size);
    if (room > size_max)
        room = size_max;
    if (room > UINT_MAX)
        room = UINT_MAX;
    buf_reset(&z->out);
    uint8_t *out = buf_grow(&z->out, room);
    if (out == NULL)
        return NRPC_E_NOMEM;
    s->next_in = (Bytef *) (uintptr_t) in.data;
    s->avail_in = (uInt) in.size;
    s->next_out = out;
    s->avail_out = (uInt) room;
    bool whole = deflate(s, Z_FINISH) == Z_STREAM_END;
    *out_bytes = (nrpc_slice){ out, whole ? room - s->avail_out : 0 };
    return 0;
}
