#include "rpc/grpc/base64.h"

#include <string.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(struct buf *out, nrpc_slice data)
{
    size_t rest = data.size % 3;
    uint8_t *to = buf_grow(out, data.size / 3 * 4 + (rest == 0 ? 0 : rest + 1));
    if (to == NULL)
        return;
    size_t i = 0;
    for (; data.size - i >= 3; i += 3) {
        uint32_t v =
            (uint32_t) data.data[i] << 16 | (uint32_t) data.data[i + 1] << 8 | data.data[i + 2];
        *to++ = (uint8_t) alphabet[v >> 18];
        *to++ = (uint8_t) alphabet[v >> 12 & 63];
        *to++ = (uint8_t) alphabet[v >> 6 & 63];
        *to++ = (uint8_t) alphabet[v & 63];
    }
    if (rest == 0)
        return;
    uint32_t v = (uint32_t) data.data[i] << 16 | (rest == 2 ? (uint32_t) data.data[i + 1] << 8 : 0);
    *to++ = (uint8_t) alphabet[v >> 18];
    *to++ = (uint8_t) alphabet[v >> 12 & 63];
    if (rest == 2)
        *to = (uint8_t) alphabet[v >> 6 & 63];
}

static int value_of(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Whole padding or none. */
static int strip_padding(nrpc_slice *text)
{
    size_t padding = 0;
    while (padding < 2 && padding < text->size && text->data[text->size - 1 - padding] == '=')
        padding++;
    if (padding > 0 && text->size % 4 != 0)
        return NRPC_E_PROTO;
    text->size -= padding;
    return text->size % 4 == 1 ? NRPC_E_PROTO : 0;
}

int base64_decode(struct buf *out, nrpc_slice text)
{
    int r = strip_padding(&text);
    if (r < 0)
        return r;
    size_t begin = out->size;
    uint8_t *to = buf_grow(out, text.size / 4 * 3 + text.size % 4 * 3 / 4);
    if (to == NULL)
        return NRPC_E_NOMEM;
    uint32_t bits = 0;
    unsigned n = 0;
    for (size_t i = 0; i < text.size; i++) {
        int v = value_of(text.data[i]);
        if (v < 0) {
            out->size = begin;
            return NRPC_E_PROTO;
        }
        bits = bits << 6 | (uint32_t) v;
        n += 6;
        if (n >= 8) {
            n -= 8;
            *to++ = (uint8_t) (bits >> n);
        }
    }
    /* Left-over bits that are not zero come from no encoder. */
    if ((bits & ((1u << n) - 1)) != 0) {
        out->size = begin;
        return NRPC_E_PROTO;
    }
    return 0;
}

static nrpc_slice trim(nrpc_slice s)
{
    while (s.size > 0 && (s.data[0] == ' ' || s.data[0] == '\t')) {
        s.data++;
        s.size--;
    }
    while (s.size > 0 && (s.data[s.size - 1] == ' ' || s.data[s.size - 1] == '\t'))
        s.size--;
    return s;
}

bool base64_next_item(nrpc_slice *list, nrpc_slice *out_item)
{
    if (list->data == NULL)
        return false;
    const uint8_t *comma = list->size == 0 ? NULL : memchr(list->data, ',', list->size);
    nrpc_slice item = *list;
    if (comma == NULL) {
        *list = (nrpc_slice){ NULL, 0 };
    } else {
        item.size = (size_t) (comma - list->data);
        list->data = comma + 1;
        list->size -= item.size + 1;
    }
    *out_item = trim(item);
    return true;
}
