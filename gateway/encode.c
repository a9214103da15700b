#include "gateway/encode.h"

#include <brotli/encode.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>
#define ZSTD_STATIC_LINKING_ONLY /* for an allocator of our own */
#include <zstd.h>

#include "gateway/accept.h"
#include "rpc/base/alloc.h"
#include "rpc/nrpc.h"

enum {
    GZIP_LEVEL = 5,
    GZIP_HEADER = 16, /* zlib: added to the window bits */
    GZIP_WINDOW = 15,
    GZIP_MEMORY = 8,
    GZIP_STREAM_WINDOW = 13, /* about 64 KiB a stream in all */
    GZIP_STREAM_MEMORY = 6,
    BROTLI_LEVEL = 4,
    BROTLI_WINDOW = 18,
    BROTLI_STREAM_LEVEL = 1,
    BROTLI_STREAM_WINDOW = 14,
    ZSTD_LEVEL = 3,
    ZSTD_WINDOW = 18,
    ZSTD_STREAM_LEVEL = 1, /* with these about 100 KiB a stream, whatever it carries */
    ZSTD_STREAM_WINDOW = 13,
    ZSTD_STREAM_HASH = 12,
    STEP = 4096
};

struct encoder {
    enum encoding kind;
    bool streaming;
    z_stream gzip;
    BrotliEncoderState *brotli;
    ZSTD_CCtx *zstd;
};

/* ---- choosing -------------------------------------------------------------------------- */

enum encoding encoding_choose(const char *header, size_t size)
{
    /* zstd costs a quarter of what the others do and comes out within a few percent of them. */
    static const char *const names[] = { "zstd", "br", "gzip", "identity" };
    static const enum encoding kinds[] = { ENCODING_ZSTD, ENCODING_BROTLI, ENCODING_GZIP,
                                           ENCODING_IDENTITY };
    if (size == 0)
        return ENCODING_IDENTITY;
    int index = accept_choose_coding(header, size, names, ENCODINGS);
    return index < 0 ? ENCODING_IDENTITY : kinds[index];
}

const char *encoding_name(enum encoding e)
{
    static const char *const names[ENCODINGS] = { NULL, "gzip", "br", "zstd" };
    return names[e];
}

const char *encoding_tag_suffix(enum encoding e)
{
    static const char *const suffixes[ENCODINGS] = { "", "-gz", "-br", "-zs" };
    return suffixes[e];
}

bool encoding_suits(const char *content_type)
{
    static const char *const prefixes[] = { "text/",
                                            "application/json",
                                            "application/problem+json",
                                            "application/x-ndjson",
                                            "application/javascript",
                                            "image/svg+xml" };
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        if (strncasecmp(content_type, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    return false;
}

/* ---- memory for the libraries ------------------------------------------------------------ */

static void *zlib_alloc(void *ctx, unsigned items, unsigned size)
{
    (void) ctx;
    return alloc_zero(items, size);
}

static void *library_alloc(void *ctx, size_t size)
{
    (void) ctx;
    return alloc_get(size);
}

static void library_free(void *ctx, void *p)
{
    (void) ctx;
    alloc_free(p);
}

/* ---- life ------------------------------------------------------------------------------ */

static int brotli_open(struct encoder *e)
{
    e->brotli = BrotliEncoderCreateInstance(library_alloc, library_free, NULL);
    if (e->brotli == NULL)
        return NRPC_E_NOMEM;
    BrotliEncoderSetParameter(e->brotli, BROTLI_PARAM_QUALITY,
                              e->streaming ? BROTLI_STREAM_LEVEL : BROTLI_LEVEL);
    BrotliEncoderSetParameter(e->brotli, BROTLI_PARAM_LGWIN,
                              e->streaming ? BROTLI_STREAM_WINDOW : BROTLI_WINDOW);
    BrotliEncoderSetParameter(e->brotli, BROTLI_PARAM_MODE, BROTLI_MODE_TEXT);
    return 0;
}

static int gzip_open(struct encoder *e)
{
    bool small = e->streaming;
    e->gzip.zalloc = zlib_alloc;
    e->gzip.zfree = library_free;
    return deflateInit2(&e->gzip, GZIP_LEVEL, Z_DEFLATED,
                        GZIP_HEADER + (small ? GZIP_STREAM_WINDOW : GZIP_WINDOW),
                        small ? GZIP_STREAM_MEMORY : GZIP_MEMORY, Z_DEFAULT_STRATEGY) == Z_OK
               ? 0
               : NRPC_E_NOMEM;
}

static int zstd_open(struct encoder *e)
{
    const ZSTD_customMem memory = { library_alloc, library_free, NULL };
    e->zstd = ZSTD_createCCtx_advanced(memory);
    if (e->zstd == NULL)
        return NRPC_E_NOMEM;
    ZSTD_CCtx_setParameter(e->zstd, ZSTD_c_compressionLevel,
                           e->streaming ? ZSTD_STREAM_LEVEL : ZSTD_LEVEL);
    ZSTD_CCtx_setParameter(e->zstd, ZSTD_c_windowLog,
                           e->streaming ? ZSTD_STREAM_WINDOW : ZSTD_WINDOW);
    if (e->streaming)
        ZSTD_CCtx_setParameter(e->zstd, ZSTD_c_hashLog, ZSTD_STREAM_HASH);
    return 0;
}

struct encoder *encoder_new(enum encoding kind, bool streaming)
{
    struct encoder *e = alloc_zero(1, sizeof *e);
    if (e == NULL)
        return NULL;
    e->kind = kind;
    e->streaming = streaming;
    int r = kind == ENCODING_ZSTD     ? zstd_open(e)
            : kind == ENCODING_BROTLI ? brotli_open(e)
                                      : gzip_open(e);
    if (r == 0)
        return e;
    alloc_free(e);
    return NULL;
}

int encoder_reset(struct encoder *e)
{
    if (e->kind == ENCODING_GZIP)
        return deflateReset(&e->gzip) == Z_OK ? 0 : NRPC_E_NOMEM;
    if (e->kind == ENCODING_ZSTD)
        return ZSTD_isError(ZSTD_CCtx_reset(e->zstd, ZSTD_reset_session_only)) ? NRPC_E_NOMEM : 0;
    BrotliEncoderDestroyInstance(e->brotli);
    return brotli_open(e);
}

void encoder_free(struct encoder *e)
{
    if (e == NULL)
        return;
    if (e->kind == ENCODING_GZIP)
        deflateEnd(&e->gzip);
    else if (e->brotli != NULL)
        BrotliEncoderDestroyInstance(e->brotli);
    ZSTD_freeCCtx(e->zstd);
    alloc_free(e);
}

/* ---- coding ---------------------------------------------------------------------------- */

static int gzip_put(struct encoder *e, const void *data, size_t size, bool end, struct buf *out)
{
    z_stream *z = &e->gzip;
    z->next_in = (Bytef *) (uintptr_t) data;
    z->avail_in = (uInt) size; /* bodies are limited far below 4 GiB */
    do {
        if (buf_reserve(out, STEP) < 0)
            return NRPC_E_NOMEM;
        z->next_out = out->data + out->size;
        z->avail_out = (uInt) (out->capacity - out->size);
        uInt room = z->avail_out;
        int r = deflate(z, end ? Z_FINISH : Z_SYNC_FLUSH);
        out->size += room - z->avail_out;
        if (r == Z_STREAM_END)
            return 0;
        if (r != Z_OK && r != Z_BUF_ERROR)
            return NRPC_E_NOMEM;
    } while (z->avail_out == 0 || end);
    return 0;
}

static int brotli_put(struct encoder *e, const void *data, size_t size, bool end, struct buf *out)
{
    const uint8_t *in = data;
    BrotliEncoderOperation operation = end ? BROTLI_OPERATION_FINISH : BROTLI_OPERATION_FLUSH;
    do {
        if (e->brotli == NULL || buf_reserve(out, STEP) < 0)
            return NRPC_E_NOMEM;
        uint8_t *to = out->data + out->size;
        size_t room = out->capacity - out->size, before = room;
        if (!BrotliEncoderCompressStream(e->brotli, operation, &size, &in, &room, &to, NULL))
            return NRPC_E_NOMEM;
        out->size += before - room;
    } while (size > 0 || BrotliEncoderHasMoreOutput(e->brotli));
    return 0;
}

static int zstd_put(struct encoder *e, const void *data, size_t size, bool end, struct buf *out)
{
    ZSTD_inBuffer in = { data, size, 0 };
    size_t left;
    do {
        if (buf_reserve(out, STEP) < 0)
            return NRPC_E_NOMEM;
        ZSTD_outBuffer to = { out->data + out->size, out->capacity - out->size, 0 };
        left = ZSTD_compressStream2(e->zstd, &to, &in, end ? ZSTD_e_end : ZSTD_e_flush);
        if (ZSTD_isError(left))
            return NRPC_E_NOMEM;
        out->size += to.pos;
    } while (left > 0);
    return 0;
}

int encoder_put(struct encoder *e, const void *data, size_t size, bool end, struct buf *out)
{
    if (e->kind == ENCODING_ZSTD)
        return zstd_put(e, data, size, end, out);
    return e->kind == ENCODING_BROTLI ? brotli_put(e, data, size, end, out)
                                      : gzip_put(e, data, size, end, out);
}
