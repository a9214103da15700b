#include "rpc/grpc/codec.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "rpc/base/alloc.h"
#include "rpc/base/arena.h"
#include "rpc/base/check.h"
#include "rpc/base/gauge.h"
#include "rpc/grpc/status.h"

enum { ARENA_FIRST_MAX = 32768, EXPANSION_FREE = 1048576 };

struct nrpc_msg {
    struct arena arena; /* of the decoded message */
    const ProtobufCMessage *body;
    size_t size;
    bool compressed;
    uint8_t bytes[];
};

struct nrpc_blob {
    atomic_uint references;
    uint32_t size;
    uint8_t frame[]; /* prefix and message */
};

/* ---- received messages ---- */
/* A decoded message is about twice its bytes; small ones then take one block. */
static size_t arena_first_bytes(size_t size)
{
    return size > ARENA_FIRST_MAX / 2 ? ARENA_FIRST_MAX : 256 + size * 2;
}

nrpc_msg *codec_msg_new(size_t size)
{
    if (size > SIZE_MAX / 2)
        return NULL;
    nrpc_msg *m = alloc_get(sizeof *m + size);
    if (m == NULL)
        return NULL;
    arena_init(&m->arena, arena_first_bytes(size));
    m->body = NULL;
    m->compressed = false;
    m->size = size;
    gauge_add(GAUGE_MESSAGES, 1);
    return m;
}

uint8_t *codec_msg_data(nrpc_msg *m)
{
    return m->bytes;
}

nrpc_msg *codec_msg_resize(nrpc_msg *m, size_t size)
{
    if (size > SIZE_MAX / 2)
        return NULL;
    nrpc_msg *moved = alloc_resize(m, sizeof *m + size);
    if (moved == NULL)
        return NULL;
    arena_init(&moved->arena, arena_first_bytes(size));
    moved->size = size;
    return moved;
}

void codec_msg_set_compressed(nrpc_msg *m)
{
    m->compressed = true;
}

bool nrpc_msg_was_compressed(const nrpc_msg *m)
{
    return m->compressed;
}

const ProtobufCMessage *nrpc_msg_body(const nrpc_msg *m)
{
    return m->body;
}

nrpc_slice nrpc_msg_bytes(const nrpc_msg *m)
{
    return (nrpc_slice){ m->bytes, m->size };
}

void nrpc_msg_free(nrpc_msg *m)
{
    if (m == NULL)
        return;
    arena_done(&m->arena);
    alloc_free(m);
    gauge_add(GAUGE_MESSAGES, -1);
}

/* protobuf-c's view of the arena, with a limit: few bytes on the wire can stand for many in memory.
 */
struct decode_memory {
    struct arena *arena;
    size_t left;
    int error;
};

static void *decode_alloc(void *data, size_t size)
{
    struct decode_memory *memory = data;
    if (size > memory->left) {
        memory->error = NRPC_E_TOOBIG;
        return NULL;
    }
    memory->left -= size;
    void *p = arena_get(memory->arena, size);
    if (p == NULL)
        memory->error = NRPC_E_NOMEM;
    return p;
}

static void decode_free(void *data, void *p)
{
    (void) data;
    (void) p; /* goes with the arena */
}

static int unpack(nrpc_msg *m, const ProtobufCMessageDescriptor *d, bool split)
{
    struct decode_memory memory = { &m->arena, EXPANSION_FREE + m->size * CODEC_EXPANSION_MAX, 0 };
    ProtobufCAllocator allocator = { decode_alloc, decode_free, &memory };
    struct buf whole = { 0 };
    nrpc_slice bytes = nrpc_msg_bytes(m);
    if (split) {
        int r = codec_merge(d, bytes, &whole);
        if (r < 0) {
            buf_done(&whole);
            return r;
        }
        bytes = (nrpc_slice){ whole.data, whole.size };
    }
    m->body = protobuf_c_message_unpack(d, &allocator, bytes.size, bytes.data);
    buf_done(&whole);
    if (m->body != NULL)
        return 0;
    arena_done(&m->arena);
    return memory.error != 0 ? memory.error : NRPC_E_PROTO;
}

int codec_decode(nrpc_msg *m, const ProtobufCMessageDescriptor *d, nrpc_status *st)
{
    if (d == NULL)
        return 0;
    struct codec_error error = { "a required field is missing", m->size };
    int r = codec_scan(d, nrpc_msg_bytes(m), &error);
    if (r >= 0)
        r = unpack(m, d, r == CODEC_SPLIT);
    if (r == 0 || st == NULL)
        return r;
    if (r == NRPC_E_PROTO)
        nrpc_status_set(st, NRPC_INTERNAL, "Cannot decode %s: %s at byte %zu", d->name,
                        error.reason, error.offset);
    else
        nrpc_status_set(st, NRPC_RESOURCE_EXHAUSTED, "Cannot decode %s: %s", d->name,
                        nrpc_strerror(r));
    return r;
}

/* ---- messages to send ---- */
void codec_write_prefix(uint8_t out[static CODEC_PREFIX_BYTES], uint32_t size)
{
    out[0] = 0; /* not compressed */
    out[1] = (uint8_t) (size >> 24);
    out[2] = (uint8_t) (size >> 16);
    out[3] = (uint8_t) (size >> 8);
    out[4] = (uint8_t) size;
}

/* Room for a message of `size` behind its prefix. */
static int grow(struct buf *out, size_t size, size_t bytes_max, uint8_t **out_at)
{
    if (size > bytes_max || size > UINT32_MAX)
        return NRPC_E_TOOBIG;
    bool failed = out->failed;
    uint8_t *at = buf_grow(out, CODEC_PREFIX_BYTES + size);
    if (at == NULL) {
        out->failed = failed; /* nothing was written: the caller's earlier bytes are still whole */
        return NRPC_E_NOMEM;
    }
    codec_write_prefix(at, (uint32_t) size);
    *out_at = at + CODEC_PREFIX_BYTES;
    return 0;
}

int codec_pack(struct buf *out, const ProtobufCMessage *m, size_t bytes_max)
{
    uint8_t *at;
    int r = grow(out, protobuf_c_message_get_packed_size(m), bytes_max, &at);
    if (r == 0)
        protobuf_c_message_pack(m, at);
    return r;
}

int codec_pack_bytes(struct buf *out, nrpc_slice message, size_t bytes_max)
{
    uint8_t *at;
    int r = grow(out, message.size, bytes_max, &at);
    if (r == 0 && message.size > 0)
        memcpy(at, message.data, message.size);
    return r;
}

/* ---- blobs ---- */
static nrpc_blob *blob_new(size_t size)
{
    if (size > UINT32_MAX)
        return NULL;
    nrpc_blob *b = alloc_get(sizeof *b + CODEC_PREFIX_BYTES + size);
    if (b == NULL)
        return NULL;
    atomic_init(&b->references, 1);
    b->size = (uint32_t) size;
    codec_write_prefix(b->frame, b->size);
    gauge_add(GAUGE_BLOBS, 1);
    return b;
}

nrpc_blob *nrpc_blob_pack(const ProtobufCMessage *m)
{
    nrpc_blob *b = blob_new(protobuf_c_message_get_packed_size(m));
    if (b != NULL)
        protobuf_c_message_pack(m, b->frame + CODEC_PREFIX_BYTES);
    return b;
}

nrpc_blob *nrpc_blob_copy(const void *data, size_t size)
{
    nrpc_blob *b = blob_new(size);
    if (b != NULL && size > 0)
        memcpy(b->frame + CODEC_PREFIX_BYTES, data, size);
    return b;
}

nrpc_blob *nrpc_blob_ref(nrpc_blob *b)
{
    atomic_fetch_add_explicit(&b->references, 1, memory_order_relaxed);
    return b;
}

void nrpc_blob_unref(nrpc_blob *b)
{
    if (b == NULL || atomic_fetch_sub_explicit(&b->references, 1, memory_order_acq_rel) > 1)
        return;
    alloc_free(b);
    gauge_add(GAUGE_BLOBS, -1);
}

nrpc_slice nrpc_blob_bytes(const nrpc_blob *b)
{
    return (nrpc_slice){ b->frame + CODEC_PREFIX_BYTES, b->size };
}

nrpc_slice codec_blob_frame(const nrpc_blob *b)
{
    return (nrpc_slice){ b->frame, (size_t) b->size + CODEC_PREFIX_BYTES };
}
