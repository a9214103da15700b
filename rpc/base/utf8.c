#include "rpc/base/utf8.h"

#include <string.h>

/* Length of the valid sequence at p, or 0.  Table 3-7 of the Unicode standard. */
static size_t sequence(const uint8_t *p, size_t size)
{
    uint8_t a = p[0];
    if (a < 0x80)
        return 1;
    if (a < 0xc2 || a > 0xf4)
        return 0;
    size_t need = a < 0xe0 ? 2 : a < 0xf0 ? 3 : 4;
    if (size < need)
        return 0;
    uint8_t low = a == 0xe0 ? 0xa0 : a == 0xf0 ? 0x90 : 0x80;
    uint8_t high = a == 0xed ? 0x9f : a == 0xf4 ? 0x8f : 0xbf;
    if (p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < need; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    return need;
}

size_t utf8_valid_prefix(const void *data, size_t size)
{
    const uint8_t *p = data;
    size_t at = 0;
    while (at < size) {
        uint64_t word;
        if (size - at >= 8 && (memcpy(&word, p + at, 8), (word & 0x8080808080808080u) == 0)) {
            at += 8;
            continue;
        }
        size_t n = sequence(p + at, size - at);
        if (n == 0)
            return at;
        at += n;
    }
    return at;
}

bool utf8_valid(const void *data, size_t size)
{
    return utf8_valid_prefix(data, size) == size;
}

size_t utf8_count(const void *data, size_t size)
{
    const uint8_t *p = data;
    size_t n = 0;
    for (size_t i = 0; i < size; i++)
        n += (p[i] & 0xc0) != 0x80;
    return n;
}

uint32_t utf8_decode(const void *data, size_t size, size_t *out_size)
{
    const uint8_t *p = data;
    size_t n = size == 0 ? 0 : sequence(p, size);
    *out_size = n == 0 ? 1 : n;
    switch (n) {
    case 1:
        return p[0];
    case 2:
        return (uint32_t) (p[0] & 0x1f) << 6 | (p[1] & 0x3f);
    case 3:
        return (uint32_t) (p[0] & 0x0f) << 12 | (uint32_t) (p[1] & 0x3f) << 6 | (p[2] & 0x3f);
    case 4:
        return (uint32_t) (p[0] & 0x07) << 18 | (uint32_t) (p[1] & 0x3f) << 12 |
               (uint32_t) (p[2] & 0x3f) << 6 | (p[3] & 0x3f);
    default:
        return 0xfffd;
    }
}

size_t utf8_encode(uint32_t c, uint8_t out[static 4])
{
    if (c < 0x80) {
        out[0] = (uint8_t) c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (uint8_t) (0xc0 | c >> 6);
        out[1] = (uint8_t) (0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (uint8_t) (0xe0 | c >> 12);
        out[1] = (uint8_t) (0x80 | (c >> 6 & 0x3f));
        out[2] = (uint8_t) (0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (uint8_t) (0xf0 | c >> 18);
    out[1] = (uint8_t) (0x80 | (c >> 12 & 0x3f));
    out[2] = (uint8_t) (0x80 | (c >> 6 & 0x3f));
    out[3] = (uint8_t) (0x80 | (c & 0x3f));
    return 4;
}
