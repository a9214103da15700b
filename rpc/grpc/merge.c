/* codec_merge: joins the pieces of sub-messages.  The wire format lets a singular message come
 * several times and means the merge of all, which is their bytes in a row; protobuf-c refuses such
 * messages or loses fields.  Rare, so this costs nothing until codec_scan has seen one.  Input that
 * was scanned is well formed and at most CODEC_DEPTH_MAX deep: the recursion is bounded by it. */
#include <stdbool.h>
#include <string.h>

#include "rpc/grpc/codec.h"

enum { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

struct field {
    const ProtobufCFieldDescriptor *descriptor; /* NULL: unknown */
    const uint8_t *begin, *content, *end;       /* content: of WIRE_BYTES */
};

static uint64_t take_varint(const uint8_t **at)
{
    uint64_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
        uint8_t byte = *(*at)++;
        value |= (uint64_t) (byte & 0x7f) << (shift & 63);
        if (byte < 0x80)
            return value;
    }
}

static struct field take_field(const ProtobufCMessageDescriptor *d, const uint8_t **at)
{
    struct field f = { .begin = *at };
    uint64_t tag = take_varint(at);
    f.descriptor = protobuf_c_message_descriptor_get_field(d, (unsigned) (tag >> 3));
    f.content = *at;
    switch (tag & 7) {
    case WIRE_VARINT:
        take_varint(at);
        break;
    case WIRE_BYTES: {
        uint64_t size = take_varint(at);
        f.content = *at;
        *at += size;
        break;
    }
    default:
        *at += (tag & 7) == WIRE_FIXED64 ? 8 : 4;
    }
    f.end = *at;
    return f;
}

static bool is_message(const struct field *f)
{
    return f->descriptor != NULL && f->descriptor->type == PROTOBUF_C_TYPE_MESSAGE;
}

static bool is_singular_message(const struct field *f)
{
    return is_message(f) && f->descriptor->label != PROTOBUF_C_LABEL_REPEATED;
}

/* Members of one oneof share the number that tells which of them is set. */
static bool is_rival(const ProtobufCFieldDescriptor *a, const struct field *b)
{
    return (a->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0 && b->descriptor != NULL &&
           b->descriptor != a && (b->descriptor->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0 &&
           b->descriptor->quantifier_offset == a->quantifier_offset;
}

/* Where each field stands for the last time.  false without memory. */
static bool find_last(const ProtobufCMessageDescriptor *d, const uint8_t *at, const uint8_t *end,
                      struct buf *out)
{
    size_t bytes = d->n_fields * sizeof(const uint8_t *);
    uint8_t *memory = buf_grow(out, bytes);
    if (memory == NULL && bytes > 0)
        return false;
    const uint8_t **last = (const uint8_t **) (void *) memory;
    for (size_t i = 0; i < d->n_fields; i++)
        last[i] = NULL;
    while (at < end) {
        struct field f = take_field(d, &at);
        if (is_singular_message(&f))
            last[f.descriptor - d->fields] = f.begin;
    }
    return true;
}

/* The pieces up to and with `last`, those before another member of its oneof left out. */
static void gather(const ProtobufCMessageDescriptor *d, const uint8_t *at, const struct field *last,
                   struct buf *out)
{
    while (at < last->end) {
        struct field f = take_field(d, &at);
        if (is_rival(last->descriptor, &f))
            buf_reset(out);
        else if (f.descriptor == last->descriptor)
            buf_put(out, f.content, (size_t) (f.end - f.content));
    }
}

static void put_length(struct buf *out, size_t n)
{
    for (; n >= 0x80; n >>= 7)
        buf_putc(out, (char) (n | 0x80));
    buf_putc(out, (char) n);
}

static void merge(const ProtobufCMessageDescriptor *d, const uint8_t *begin, const uint8_t *end,
                  struct buf *out);

static void put_merged(const ProtobufCFieldDescriptor *f, const uint8_t *begin, size_t size,
                       struct buf *out)
{
    struct buf inner = { 0 };
    merge(f->descriptor, begin, begin + size, &inner);
    put_length(out, (size_t) f->id << 3 | WIRE_BYTES);
    put_length(out, inner.size);
    buf_put(out, inner.data, inner.size);
    out->failed |= inner.failed;
    buf_done(&inner);
}

static void put_pieces(const ProtobufCMessageDescriptor *d, const uint8_t *begin,
                       const struct field *last, struct buf *out)
{
    static const uint8_t nothing[1];
    struct buf pieces = { 0 };
    gather(d, begin, last, &pieces);
    put_merged(last->descriptor, pieces.size == 0 ? nothing : pieces.data, pieces.size, out);
    out->failed |= pieces.failed;
    buf_done(&pieces);
}

static void merge(const ProtobufCMessageDescriptor *d, const uint8_t *begin, const uint8_t *end,
                  struct buf *out)
{
    struct buf memory = { 0 };
    if (begin == end)
        return;
    if (!find_last(d, begin, end, &memory))
        out->failed = true;
    const uint8_t *const *last = (const uint8_t *const *) (void *) memory.data;
    for (const uint8_t *at = begin; at < end && !out->failed;) {
        struct field f = take_field(d, &at);
        if (!is_message(&f))
            buf_put(out, f.begin, (size_t) (f.end - f.begin));
        else if (!is_singular_message(&f))
            put_merged(f.descriptor, f.content, (size_t) (f.end - f.content), out);
        else if (last[f.descriptor - d->fields] == f.begin)
            put_pieces(d, begin, &f, out);
    }
    buf_done(&memory);
}

int codec_merge(const ProtobufCMessageDescriptor *d, nrpc_slice message, struct buf *out)
{
    merge(d, message.data, message.data + message.size, out);
    return out->failed ? NRPC_E_NOMEM : 0;
}
