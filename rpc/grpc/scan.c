/* codec_scan: a walk over serialised bytes beside the descriptors, with a stack of its own. */
#include <limits.h>
#include <stdbool.h>
#include <string.h>

#include "rpc/base/utf8.h"
#include "rpc/grpc/codec.h"

enum { TAG_BYTES_MAX = 5, VARINT_BYTES_MAX = 10, FIELD_NUMBER_MAX = 0x1fffffff };

struct level {
    const ProtobufCMessageDescriptor *type;
    const uint8_t *end;
    uint64_t seen; /* singular sub-messages, by index modulo 64: two may share a bit, to no harm */
};
struct scan {
    const uint8_t *at, *end; /* end of the innermost message */
    struct level stack[CODEC_DEPTH_MAX + 1];
    unsigned depth; /* index of the innermost message */
    const uint8_t *begin;
    struct codec_error *error;
    bool split; /* a bit was set twice */
};

static int refuse(struct scan *s, const uint8_t *where, const char *reason)
{
    s->error->reason = reason;
    s->error->offset = (size_t) (where - s->begin);
    return NRPC_E_PROTO;
}

/* Bytes of the varint at `at`, or 0 when it is cut off, longer than bytes_max or over 64 bits. */
static size_t read_varint(const uint8_t *at, const uint8_t *end, size_t bytes_max,
                          uint64_t *out_value)
{
    uint64_t value = 0;
    for (size_t i = 0; i < bytes_max && at + i < end; i++) {
        value |= (uint64_t) (at[i] & 0x7f) << 7 * i;
        if (at[i] >= 0x80)
            continue;
        if (i == VARINT_BYTES_MAX - 1 && at[i] > 1)
            return 0;
        *out_value = value;
        return i + 1;
    }
    return 0;
}

/* Fields are sorted by number. */
static const ProtobufCFieldDescriptor *find_field(const ProtobufCMessageDescriptor *type,
                                                  uint32_t number)
{
    unsigned low = 0, high = type->n_fields;
    while (low < high) {
        unsigned middle = low + (high - low) / 2;
        if (type->fields[middle].id == number)
            return &type->fields[middle];
        if (type->fields[middle].id < number)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static unsigned wire_type_of(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
        return PROTOBUF_C_WIRE_TYPE_32BIT;
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return PROTOBUF_C_WIRE_TYPE_64BIT;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE:
        return PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED;
    default:
        return PROTOBUF_C_WIRE_TYPE_VARINT;
    }
}

static int scan_packed(struct scan *s, unsigned wire_type, const uint8_t *end)
{
    if (wire_type != PROTOBUF_C_WIRE_TYPE_VARINT) {
        size_t each = wire_type == PROTOBUF_C_WIRE_TYPE_32BIT ? 4 : 8;
        if ((size_t) (end - s->at) % each != 0)
            return refuse(s, s->at, "packed field holds part of a number");
        s->at = end;
        return 0;
    }
    while (s->at < end) {
        uint64_t ignored;
        size_t n = read_varint(s->at, end, VARINT_BYTES_MAX, &ignored);
        if (n == 0)
            return refuse(s, s->at, "bad varint in a packed field");
        s->at += n;
    }
    return 0;
}

static int enter_message(struct scan *s, const ProtobufCFieldDescriptor *f, const uint8_t *end)
{
    if (s->depth == CODEC_DEPTH_MAX)
        return refuse(s, s->at, "messages are nested too deep");
    struct level *l = &s->stack[s->depth];
    if (f->label != PROTOBUF_C_LABEL_REPEATED) {
        uint64_t bit = (uint64_t) 1 << ((f - l->type->fields) & 63);
        s->split |= (l->seen & bit) != 0;
        l->seen |= bit;
    }
    s->stack[++s->depth] = (struct level){ f->descriptor, end, 0 };
    s->end = end;
    return 0;
}

/* s->at is behind the length; the field's bytes end at `end`. */
static int scan_payload(struct scan *s, const ProtobufCFieldDescriptor *f, const uint8_t *end)
{
    size_t size = (size_t) (end - s->at);
    if (f != NULL && f->type == PROTOBUF_C_TYPE_MESSAGE)
        return enter_message(s, f, end);
    if (f != NULL && f->type == PROTOBUF_C_TYPE_STRING) {
        size_t valid = utf8_valid_prefix(s->at, size);
        if (valid < size)
            return refuse(s, s->at + valid, "string is not UTF-8");
        const uint8_t *nul = size == 0 ? NULL : memchr(s->at, 0, size);
        if (nul != NULL)
            return refuse(s, nul, "string contains a NUL character");
    } else if (f != NULL && f->type != PROTOBUF_C_TYPE_BYTES) {
        return scan_packed(s, wire_type_of(f->type), end);
    }
    s->at = end;
    return 0;
}

static int scan_length_prefixed(struct scan *s, const ProtobufCFieldDescriptor *f)
{
    uint64_t size;
    size_t n = read_varint(s->at, s->end, TAG_BYTES_MAX, &size);
    if (n == 0)
        return refuse(s, s->at, "bad length");
    if (size > INT_MAX || size > (size_t) (s->end - s->at) - n)
        return refuse(s, s->at, "length runs past the end");
    s->at += n;
    return scan_payload(s, f, s->at + size);
}

static int scan_value(struct scan *s, const ProtobufCFieldDescriptor *f, unsigned wire_type)
{
    uint64_t ignored;
    size_t n = 0;
    switch (wire_type) {
    case PROTOBUF_C_WIRE_TYPE_VARINT:
        n = read_varint(s->at, s->end, VARINT_BYTES_MAX, &ignored);
        if (n == 0)
            return refuse(s, s->at, "bad varint");
        break;
    case PROTOBUF_C_WIRE_TYPE_64BIT:
        n = 8;
        break;
    case PROTOBUF_C_WIRE_TYPE_32BIT:
        n = 4;
        break;
    case PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED:
        return scan_length_prefixed(s, f);
    default:
        return refuse(s, s->at, "groups and unknown wire types are not supported");
    }
    if (n > (size_t) (s->end - s->at))
        return refuse(s, s->at, "number is cut off");
    s->at += n;
    return 0;
}

static int scan_field(struct scan *s)
{
    const uint8_t *begin = s->at;
    uint64_t tag;
    size_t n = read_varint(s->at, s->end, TAG_BYTES_MAX, &tag);
    if (n == 0 || tag >> 3 > FIELD_NUMBER_MAX)
        return refuse(s, begin, "bad tag");
    if (tag >> 3 == 0)
        return refuse(s, begin, "field number 0");
    s->at += n;
    unsigned wire_type = tag & 7;
    const ProtobufCFieldDescriptor *f = find_field(s->stack[s->depth].type, (uint32_t) (tag >> 3));
    if (f != NULL && wire_type != wire_type_of(f->type)) {
        bool packed = f->label == PROTOBUF_C_LABEL_REPEATED &&
                      wire_type == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED;
        if (!packed)
            return refuse(s, begin, "wire type does not fit the field");
    }
    return scan_value(s, f, wire_type);
}

int codec_scan(const ProtobufCMessageDescriptor *d, nrpc_slice message,
               struct codec_error *out_error)
{
    static const uint8_t empty[1];
    struct codec_error error;
    struct scan s;
    s.begin = s.at = message.data == NULL ? empty : message.data;
    s.end = s.at + message.size;
    s.depth = 0;
    s.split = false;
    s.stack[0] = (struct level){ d, s.end, 0 };
    s.error = &error;
    for (;;) {
        while (s.at == s.end) {
            if (s.depth == 0)
                return s.split ? CODEC_SPLIT : 0;
            s.end = s.stack[--s.depth].end;
        }
        int r = scan_field(&s);
        if (r < 0) {
            *out_error = error;
            return r;
        }
    }
}
