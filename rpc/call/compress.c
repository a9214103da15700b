/* Compression of a call's messages, with the compressor of its loop. */
#include "rpc/grpc/compress.h"

#include <string.h>

#include "rpc/call/call.h"
#include "rpc/grpc/codec.h"

/* Without having been asked for: what is smaller gains nothing, what is larger would keep the loop
 * busy for long. */
enum { UNASKED_MIN = 128, UNASKED_MAX = 1 << 20 };

static void done(void *value)
{
    compressor_free(value);
}

static struct compressor *compressor_of(nrpc_loop *l)
{
    struct compressor *z = loop_slot(l, LOOP_SLOT_COMPRESSOR);
    if (z == NULL && compressor_new(&z) == 0)
        loop_set_slot(l, LOOP_SLOT_COMPRESSOR, z, done);
    return z;
}

int call_inflate(nrpc_call *c, nrpc_msg **m, nrpc_status *st)
{
    struct compressor *z = compressor_of(c->loop);
    nrpc_msg *whole;
    int r = z == NULL ? NRPC_E_NOMEM
                      : compress_inflate(z, c->in.frames.encoding, nrpc_msg_bytes(*m),
                                         c->limits->max_message_bytes, &whole);
    if (r == NRPC_E_PROTO)
        nrpc_status_set(st, NRPC_INTERNAL, "Received bytes that are not %s",
                        compress_name(c->in.frames.encoding));
    else if (r == NRPC_E_TOOBIG)
        nrpc_status_set(st, NRPC_RESOURCE_EXHAUSTED,
                        "Received message is larger than the limit of %u bytes when decompressed",
                        c->limits->max_message_bytes);
    else if (r < 0)
        nrpc_status_set(st, NRPC_RESOURCE_EXHAUSTED, "out of memory");
    if (r < 0)
        return r;
    nrpc_msg_free(*m);
    *m = whole;
    return 0;
}

enum call_squeeze call_next_squeeze(nrpc_call *c, size_t size)
{
    enum call_squeeze next = c->squeeze_next;
    c->squeeze_next = SQUEEZE_UNASKED;
    if (next == SQUEEZE_NO || size == 0)
        return SQUEEZE_NO; /* nothing becomes shorter than nothing */
    if (next == SQUEEZE_YES || c->squeeze_asked)
        return SQUEEZE_YES;
    return size < UNASKED_MIN || size > UNASKED_MAX ? SQUEEZE_NO : SQUEEZE_UNASKED;
}

uint8_t *call_scratch(nrpc_call *c, size_t size)
{
    struct compressor *z = compressor_of(c->loop);
    return z == NULL ? NULL : compress_scratch(z, size);
}

static int put_frame(struct h2_queue *q, nrpc_slice bytes, bool compressed)
{
    if (bytes.size > UINT32_MAX)
        return NRPC_E_TOOBIG;
    uint8_t *p = h2_queue_grow(q, CODEC_PREFIX_BYTES + bytes.size);
    if (p == NULL)
        return NRPC_E_NOMEM;
    codec_write_prefix(p, (uint32_t) bytes.size);
    p[0] = compressed;
    memcpy(p + CODEC_PREFIX_BYTES, bytes.data, bytes.size);
    return 0;
}

int call_put_squeezed(nrpc_call *c, nrpc_slice message, enum call_squeeze how)
{
    struct compressor *z = compressor_of(c->loop);
    nrpc_slice small;
    if (z == NULL)
        return NRPC_E_NOMEM;
    int r = compress_deflate(z, c->encoding_out, message,
                             how == SQUEEZE_YES ? SIZE_MAX : message.size - 1, &small);
    if (r == 0)
        r = put_frame(&c->out, small.size > 0 ? small : message, small.size > 0);
    compressor_trim(z);
    return r;
}

/* ---- verbs
 * --------------------------------------------------------------------------------------- */
int nrpc_call_set_compression(nrpc_call *c, nrpc_compression k)
{
    ON_LOOP(c->loop);
    if (compress_name(k) == NULL)
        return NRPC_E_INVAL;
    if (c->sent_head || call_is_over(c))
        return NRPC_E_STATE;
    c->encoding_out = k;
    c->squeeze_asked = true;
    return 0;
}

void nrpc_call_compress_next(nrpc_call *c, bool on)
{
    ON_LOOP(c->loop);
    c->squeeze_next = on ? SQUEEZE_YES : SQUEEZE_NO;
}

nrpc_compression nrpc_call_compression_in(const nrpc_call *c)
{
    return c->in.frames.encoding;
}
