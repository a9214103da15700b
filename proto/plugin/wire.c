#include "gen.h"

#include <string.h>

#define DEPTH_MAX 100

struct cursor {
    const uint8_t *at, *end;
};

static bool read_varint(struct cursor *c, uint64_t *out)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 70 && c->at < c->end; shift += 7) {
        uint8_t byte = *c->at++;
        value |= shift < 64 ? (uint64_t) (byte & 0x7f) << shift : 0;
        if (byte < 0x80) {
            *out = value;
            return true;
        }
    }
    return false;
}

static bool skip(struct cursor *c, uint64_t size)
{
    if (size > (uint64_t) (c->end - c->at))
        return false;
    c->at += size;
    return true;
}

static bool field_is_sane(struct cursor *c, const ProtobufCFieldDescriptor *field, unsigned depth)
{
    uint64_t size;
    if (!read_varint(c, &size) || size > (uint64_t) (c->end - c->at))
        return false;
    const uint8_t *start = c->at;
    c->at += size;
    if (field == NULL || field->type != PROTOBUF_C_TYPE_MESSAGE)
        return true;
    return wire_is_sane(field->descriptor, start, (size_t) size, depth + 1);
}

bool wire_is_sane(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t size,
                  unsigned depth)
{
    if (depth > DEPTH_MAX)
        return false;
    if (size == 0) /* then data may be NULL */
        return true;
    struct cursor c = { data, data + size };
    while (c.at < c.end) {
        uint64_t key, value;
        if (!read_varint(&c, &key) || key >> 3 == 0 || key >> 3 > 0x1fffffff)
            return false;
        bool good = false; /* groups are in none of our types */
        switch (key & 7) {
        case 0:
            good = read_varint(&c, &value);
            break;
        case 1:
            good = skip(&c, 8);
            break;
        case 2:
            good = field_is_sane(
                &c, protobuf_c_message_descriptor_get_field(type, (unsigned) (key >> 3)), depth);
            break;
        case 5:
            good = skip(&c, 4);
            break;
        }
        if (!good)
            return false;
    }
    return true;
}

/* Steps over one field; false at the first byte that is no protobuf. */
static bool next_field(struct cursor *c, uint32_t *out_tag)
{
    uint64_t key, value;
    if (!read_varint(c, &key))
        return false;
    *out_tag = (uint32_t) (key >> 3);
    switch (key & 7) {
    case 0:
        return read_varint(c, &value);
    case 1:
        return skip(c, 8);
    case 2:
        return read_varint(c, &value) && skip(c, value);
    case 5:
        return skip(c, 4);
    }
    return false;
}

bool wire_has_field(const uint8_t *data, size_t size, uint32_t tag)
{
    if (size == 0) /* then data may be NULL */
        return false;
    struct cursor c = { data, data + size };
    uint32_t found;
    while (c.at < c.end && next_field(&c, &found))
        if (found == tag)
            return true;
    return false;
}

ProtobufCBinaryData gen_option(struct gen *g, const ProtobufCMessage *options, uint32_t tag)
{
    ProtobufCBinaryData all = { 0, NULL };
    for (unsigned i = 0; options != NULL && i < options->n_unknown_fields; i++) {
        const ProtobufCMessageUnknownField *f = &options->unknown_fields[i];
        if (f->tag != tag || f->wire_type != PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED)
            continue;
        struct cursor c = { f->data, f->data + f->len };
        uint64_t size;
        if (!read_varint(&c, &size) || size != (uint64_t) (c.end - c.at))
            continue;
        /* A message in several pieces is their concatenation. */
        uint8_t *joined = (uint8_t *) gen_text(g, "%*s", (int) (all.len + size), "");
        if (all.len > 0)
            memcpy(joined, all.data, all.len);
        memcpy(joined + all.len, c.at, (size_t) size);
        all.data = joined;
        all.len += (size_t) size;
    }
    return all;
}
