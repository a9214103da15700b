#include "gateway/wire.h"

bool wire_get_varint(struct wire_reader *r, uint64_t *out_value)
{
    uint64_t value = 0;
    if (r->at < r->end && *r->at < 0x80) { /* as most are */
        *out_value = *r->at++;
        return true;
    }
    for (unsigned shift = 0; shift < 70 && r->at < r->end; shift += 7) {
        uint8_t byte = *r->at++;
        if (shift < 64)
            value |= (uint64_t) (byte & 0x7f) << shift;
        if (byte < 0x80) {
            *out_value = value;
            return true;
        }
    }
    return false;
}

static uint64_t little_endian(const uint8_t *p, size_t n)
{
    uint64_t value = 0;
    for (size_t i = 0; i < n; i++)
        value |= (uint64_t) p[i] << (8 * i);
    return value;
}

static bool get_fixed(struct wire_reader *r, size_t n, uint64_t *out_value)
{
    if ((size_t) (r->end - r->at) < n)
        return false;
    *out_value = little_endian(r->at, n);
    r->at += n;
    return true;
}

static bool get_value(struct wire_reader *r, struct wire_field *f)
{
    switch (f->type) {
    case WIRE_VARINT:
        return wire_get_varint(r, &f->value);
    case WIRE_FIXED64:
        return get_fixed(r, 8, &f->value);
    case WIRE_FIXED32:
        return get_fixed(r, 4, &f->value);
    case WIRE_BYTES:
        if (!wire_get_varint(r, &f->value) || f->value > (uint64_t) (r->end - r->at))
            return false;
        f->data = r->at;
        f->size = (size_t) f->value;
        r->at += f->size;
        return true;
    default:
        return true; /* group borders carry nothing */
    }
}

/* A tag is at most 32 bits in at most five bytes. */
static bool get_field(struct wire_reader *r, struct wire_field *f)
{
    const uint8_t *start = r->at;
    uint64_t tag;
    if (!wire_get_varint(r, &tag) || r->at - start > 5 || tag > UINT32_MAX || tag >> 3 == 0 ||
        (tag & 7) > WIRE_FIXED32)
        return false;
    *f = (struct wire_field){ .number = (uint32_t) (tag >> 3), .type = (enum wire_type)(tag & 7) };
    return get_value(r, f);
}

/* The group that opened before r->at: its content, up to the matching end tag. */
static bool get_group(struct wire_reader *r, struct wire_field *group)
{
    uint32_t open[WIRE_DEPTH_MAX];
    size_t depth = 1;
    struct wire_field f;
    open[0] = group->number;
    group->data = r->at;
    while (depth > 0) {
        const uint8_t *before = r->at;
        if (r->at == r->end || !get_field(r, &f))
            return false;
        if (f.type == WIRE_GROUP) {
            if (depth == WIRE_DEPTH_MAX)
                return false;
            open[depth++] = f.number;
        } else if (f.type == WIRE_END) {
            if (open[--depth] != f.number)
                return false;
            group->size = (size_t) (before - group->data);
        }
    }
    return true;
}

int wire_next(struct wire_reader *r, struct wire_field *out)
{
    struct wire_field f;
    if (r->at == r->end)
        return 0;
    if (!get_field(r, &f) || f.type == WIRE_END || (f.type == WIRE_GROUP && !get_group(r, &f)))
        return -1;
    *out = f;
    return 1;
}

bool wire_next_packed(struct wire_reader *r, enum wire_type type, uint64_t *out_value)
{
    struct wire_field f = { .type = type };
    if (type == WIRE_BYTES || !get_value(r, &f))
        return false;
    *out_value = f.value;
    return true;
}

void wire_put_fixed32(struct buf *b, uint32_t value)
{
    uint8_t p[4] = { (uint8_t) value, (uint8_t) (value >> 8), (uint8_t) (value >> 16),
                     (uint8_t) (value >> 24) };
    buf_put(b, p, sizeof p);
}

void wire_put_fixed64(struct buf *b, uint64_t value)
{
    wire_put_fixed32(b, (uint32_t) value);
    wire_put_fixed32(b, (uint32_t) (value >> 32));
}

void wire_put_bytes(struct buf *b, uint32_t number, const void *data, size_t size)
{
    wire_put_tag(b, number, WIRE_BYTES);
    wire_put_varint(b, size);
    buf_put(b, data, size);
}

size_t wire_region_open(struct buf *b)
{
    size_t mark = b->size;
    buf_putc(b, '\0');
    return mark;
}

void wire_region_close(struct buf *b, size_t mark)
{
    if (b->failed)
        return;
    size_t length = b->size - mark - 1, extra = 0;
    for (size_t rest = length >> 7; rest > 0; rest >>= 7)
        extra++;
    if (extra > 0) {
        if (buf_grow(b, extra) == NULL)
            return;
        memmove(b->data + mark + 1 + extra, b->data + mark + 1, length);
    }
    uint8_t *p = b->data + mark;
    for (size_t i = 0; i < extra; i++, length >>= 7)
        *p++ = (uint8_t) (length | 0x80);
    *p = (uint8_t) length;
}
