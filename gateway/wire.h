/* wire.h — protobuf's wire format: tags and values, forward only.  Pure; no allocation but the
 * caller's buffer.  https://protobuf.dev/programming-guides/encoding/ */
#ifndef NOVEL_GATEWAY_WIRE_H
#define NOVEL_GATEWAY_WIRE_H
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "rpc/base/buf.h"

enum wire_type {
    WIRE_VARINT = 0,
    WIRE_FIXED64 = 1,
    WIRE_BYTES = 2,
    WIRE_GROUP = 3,
    WIRE_END = 4,
    WIRE_FIXED32 = 5
};
enum { WIRE_DEPTH_MAX = 100 };

struct wire_reader {
    const uint8_t *at, *end;
};
struct wire_field {
    uint32_t number;
    enum wire_type type;
    uint64_t value;      /* WIRE_VARINT, WIRE_FIXED32, WIRE_FIXED64 */
    const uint8_t *data; /* WIRE_BYTES, WIRE_GROUP: the content, lent by the input */
    size_t size;
};

static inline struct wire_reader wire_reader_of(const void *data, size_t size)
{
    /* An empty message may come without an address. */
    static const uint8_t nothing[1];
    const uint8_t *at = size == 0 ? nothing : data;
    return (struct wire_reader){ at, at + size };
}
bool wire_get_varint(struct wire_reader *r, uint64_t *out_value);
/* 1: *out is the next field; 0: the end; -1: malformed (truncated, bad tag or type, a group that is
 * not closed).  A group, which only proto2 has, is one field whose content lies between its tags;
 * at most WIRE_DEPTH_MAX may stand in each other. */
int wire_next(struct wire_reader *r, struct wire_field *out);
/* The next value of a packed run. */
bool wire_next_packed(struct wire_reader *r, enum wire_type type, uint64_t *out_value);

static inline void wire_put_varint(struct buf *b, uint64_t value)
{
    uint8_t bytes[10];
    size_t n = 0;
    for (; value >= 0x80; value >>= 7)
        bytes[n++] = (uint8_t) (value | 0x80);
    bytes[n++] = (uint8_t) value;
    buf_put(b, bytes, n);
}
static inline void wire_put_tag(struct buf *b, uint32_t number, enum wire_type type)
{
    wire_put_varint(b, (uint64_t) number << 3 | type);
}
void wire_put_fixed32(struct buf *b, uint32_t value);
void wire_put_fixed64(struct buf *b, uint64_t value);
void wire_put_bytes(struct buf *b, uint32_t number, const void *data, size_t size);

/* A length-delimited region whose length is known only when it closes: open() leaves one byte for
 * it and returns the mark, close() writes the length and shifts the content when it needs more
 * bytes. */
size_t wire_region_open(struct buf *b);
void wire_region_close(struct buf *b, size_t mark);

static inline uint64_t wire_zigzag(int64_t v)
{
    return ((uint64_t) v << 1) ^ (uint64_t) (v >> 63);
}
static inline int64_t wire_unzigzag(uint64_t v)
{
    return (int64_t) (v >> 1) ^ -(int64_t) (v & 1);
}

#endif
