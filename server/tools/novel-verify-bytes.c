#include "server/tools/novel-verify-bytes.h"

#include <string.h>

#include "rpc/base/utf8.h"

struct verify_cursor verify_cursor_of(const uint8_t *data, size_t size)
{
    return (struct verify_cursor){ data, size, 0, false };
}

const uint8_t *verify_take(struct verify_cursor *c, size_t size)
{
    if (c->failed || size > c->size - c->at) {
        c->failed = true;
        return NULL;
    }
    const uint8_t *p = c->data + c->at;
    c->at += size;
    return p;
}

uint8_t verify_u8(struct verify_cursor *c)
{
    const uint8_t *p = verify_take(c, 1);
    return p == NULL ? 0 : p[0];
}

uint16_t verify_u16(struct verify_cursor *c)
{
    const uint8_t *p = verify_take(c, 2);
    return p == NULL ? 0 : verify_get_u16(p);
}

uint32_t verify_u32(struct verify_cursor *c)
{
    const uint8_t *p = verify_take(c, 4);
    return p == NULL ? 0 : verify_get_u32(p);
}

uint64_t verify_u64(struct verify_cursor *c)
{
    const uint8_t *p = verify_take(c, 8);
    return p == NULL ? 0 : verify_get_u32(p) | (uint64_t) verify_get_u32(p + 4) << 32;
}

int16_t verify_i16(struct verify_cursor *c)
{
    return (int16_t) verify_u16(c);
}

int32_t verify_i32(struct verify_cursor *c)
{
    return (int32_t) verify_u32(c);
}

struct verify_text verify_str(struct verify_cursor *c)
{
    size_t size = verify_u16(c);
    const uint8_t *p = verify_take(c, size);
    if (p == NULL || !utf8_valid(p, size) || memchr(p, 0, size) != NULL) {
        c->failed = true;
        return (struct verify_text){ "", 0 };
    }
    return (struct verify_text){ (const char *) p, size };
}

bool verify_ended(const struct verify_cursor *c)
{
    return !c->failed && c->at == c->size;
}

void verify_text_copy(struct verify_text text, char *out, size_t out_size)
{
    size_t size = text.size < out_size - 1 ? text.size : out_size - 1;
    size = utf8_valid_prefix(text.data, size);
    memcpy(out, text.data, size);
    out[size] = '\0';
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char) out[i];
        if (c < 0x20 || c == 0x7f)
            out[i] = '?';
        else if (c == 0xc2 && i + 1 < size && (unsigned char) out[i + 1] < 0xa0)
            out[i] = out[i + 1] = '?';
    }
}

bool verify_text_equal(struct verify_text a, struct verify_text b)
{
    return a.size == b.size && memcmp(a.data, b.data, a.size) == 0;
}
