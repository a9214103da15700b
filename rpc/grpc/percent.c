#include "rpc/grpc/percent.h"

#include <string.h>

#include "rpc/base/utf8.h"

static bool is_plain(uint8_t c)
{
    return c >= 0x20 && c <= 0x7e && c != '%';
}

void percent_encode(struct buf *out, nrpc_slice text)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t at = 0;
    while (at < text.size) {
        size_t plain = at;
        while (plain < text.size && is_plain(text.data[plain]))
            plain++;
        buf_put(out, text.data + at, plain - at);
        at = plain;
        if (at < text.size) {
            uint8_t c = text.data[at++];
            const char escaped[3] = { '%', hex[c >> 4], hex[c & 15] };
            buf_put(out, escaped, sizeof escaped);
        }
    }
}

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* What should have been encoded, and is no text, becomes U+FFFD: nobody behind has to expect it. */
static void put_as_it_came(struct buf *out, nrpc_slice text)
{
    while (text.size > 0) {
        size_t n = utf8_valid_prefix(text.data, text.size);
        const uint8_t *nul = memchr(text.data, 0, n);
        if (nul != NULL)
            n = (size_t) (nul - text.data);
        buf_put(out, text.data, n);
        if (n == text.size)
            return;
        buf_puts(out, "\xef\xbf\xbd");
        text.data += n + 1;
        text.size -= n + 1;
    }
}

void percent_decode(struct buf *out, nrpc_slice text)
{
    size_t begin = out->size;
    uint8_t *to = buf_grow(out, text.size); /* decoding never makes it longer */
    if (to == NULL)
        return;
    size_t n = 0;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        if (c == '%' && text.size - i > 2 && hex_value(text.data[i + 1]) >= 0 &&
            hex_value(text.data[i + 2]) >= 0) {
            c = (uint8_t) (hex_value(text.data[i + 1]) << 4 | hex_value(text.data[i + 2]));
            i += 2;
        }
        to[n++] = c;
    }
    if (n > 0 && (memchr(to, 0, n) != NULL || !utf8_valid(to, n))) {
        out->size = begin;
        put_as_it_came(out, text);
        return;
    }
    out->size = begin + n;
}
