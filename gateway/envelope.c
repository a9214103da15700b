#include "gateway/envelope.h"

#include <string.h>
#include <strings.h>

#include "gateway/json_writer.h"
#include "rpc/grpc/compress.h"

enum { DEFLATE_MIN_BYTES = 256 /* what is shorter hardly shrinks */ };

/* ---- gzip ------------------------------------------------------------------------------ */

static bool is_word(struct http1_text text, const char *word)
{
    return text.size == strlen(word) && strncasecmp(text.data, word, text.size) == 0;
}

bool envelope_choose(struct exchange *x, bool stream)
{
    struct http1_text coding =
        exchange_header(x, stream ? "connect-content-encoding" : "content-encoding");
    struct http1_text accept = exchange_header(x, "connect-accept-encoding");
    if (coding.data != NULL && coding.size > 0 && !is_word(coding, "identity")) {
        x->gzip_in = is_word(coding, "gzip");
        if (!x->gzip_in)
            exchange_fail(x, 501, NRPC_UNIMPLEMENTED, "UNSUPPORTED_CONTENT_CODING",
                          "messages are taken as they are or in gzip");
    }
    if (stream && accept.data != NULL && x->gl->gateway->settings.compression) {
        nrpc_slice list = { (const uint8_t *) accept.data, accept.size };
        x->gzip_out = (compress_parse_list(list) & 1u << NRPC_GZIP) != 0;
    }
    return !x->failed;
}

static bool has_compressor(struct exchange *x)
{
    return x->gl->compressor != NULL || compressor_new(&x->gl->compressor) == 0;
}

bool envelope_inflate(struct exchange *x, struct buf *message)
{
    nrpc_msg *plain;
    uint32_t max = (uint32_t) x->gl->gateway->settings.max_body_bytes;
    int r = NRPC_E_NOMEM;
    if (has_compressor(x))
        r = compress_inflate(x->gl->compressor, NRPC_GZIP,
                             (nrpc_slice){ message->data, message->size }, max, &plain);
    if (r == 0) {
        nrpc_slice bytes = nrpc_msg_bytes(plain);
        buf_reset(message);
        buf_put(message, bytes.data, bytes.size);
        nrpc_msg_free(plain);
        compressor_trim(x->gl->compressor);
        if (message->failed)
            r = NRPC_E_NOMEM;
    }
    if (r == NRPC_E_TOOBIG)
        exchange_fail_too_large(x);
    else if (r == NRPC_E_NOMEM)
        exchange_fail(x, 503, NRPC_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY",
                      "the gateway is out of memory");
    else if (r < 0)
        exchange_fail(x, 400, NRPC_INVALID_ARGUMENT, "MALFORMED_REQUEST",
                      "a message is said to be gzip, and is not");
    return !x->failed;
}

nrpc_slice envelope_deflate(struct exchange *x, nrpc_slice message)
{
    nrpc_slice small = { 0 };
    if (message.size < DEFLATE_MIN_BYTES || !has_compressor(x) ||
        compress_deflate(x->gl->compressor, NRPC_GZIP, message, message.size, &small) < 0)
        return (nrpc_slice){ 0 };
    return small;
}

/* ---- metadata -------------------------------------------------------------------------- */

/* Pair i is the first of its key. */
static bool is_first(const nrpc_metadata *md, size_t i, const char *key)
{
    const char *other;
    nrpc_slice value;
    for (size_t k = 0; k < i; k++) {
        nrpc_metadata_at(md, k, &other, &value);
        if (strcmp(other, key) == 0)
            return false;
    }
    return true;
}

/* gRPC's own keys tell what the answer says in another way. */
static bool is_custom(const char *key)
{
    return strncmp(key, "grpc-", 5) != 0 && strcmp(key, "content-type") != 0;
}

static bool is_binary(const char *key)
{
    size_t size = strlen(key);
    return size > 4 && strcmp(key + size - 4, "-bin") == 0;
}

/* base64 without padding, in quotes. */
static void put_binary(struct buf *out, nrpc_slice value)
{
    json_put_base64(out, value.data, value.size);
    if (out->failed)
        return;
    size_t end = out->size - 1;
    while (out->data[end - 1] == '=')
        end--;
    out->data[end] = '"';
    out->size = end + 1;
}

static void put_values(const nrpc_metadata *md, const char *key, struct buf *out)
{
    nrpc_slice value;
    for (size_t nth = 0; nrpc_metadata_get(md, key, nth, &value); nth++) {
        if (nth > 0)
            buf_putc(out, ',');
        if (is_binary(key))
            put_binary(out, value);
        else
            json_put_lossy(out, (const char *) value.data, value.size);
    }
}

void envelope_put_metadata(const struct exchange *x, bool first, struct buf *out)
{
    const nrpc_metadata *md = x->trailers;
    size_t n = md == NULL ? 0 : nrpc_metadata_count(md), written = 0;
    for (size_t i = 0; i < n; i++) {
        const char *key;
        nrpc_slice value;
        nrpc_metadata_at(md, i, &key, &value);
        if (!is_custom(key) || !is_first(md, i, key))
            continue;
        if (written++ == 0)
            buf_puts(out, first ? "\"metadata\":{" : ",\"metadata\":{");
        else
            buf_putc(out, ',');
        json_put_lossy(out, key, strlen(key));
        buf_puts(out, ":[");
        put_values(md, key, out);
        buf_putc(out, ']');
    }
    if (written > 0)
        buf_putc(out, '}');
}

void envelope_put_lines(const struct exchange *x, struct buf *out)
{
    const nrpc_metadata *md = x->trailers;
    size_t n = md == NULL ? 0 : nrpc_metadata_count(md);
    for (size_t i = 0; i < n; i++) {
        const char *key;
        nrpc_slice value;
        nrpc_metadata_at(md, i, &key, &value);
        if (!is_custom(key))
            continue;
        buf_puts(out, key);
        buf_putc(out, ':');
        size_t start = out->size;
        if (is_binary(key)) {
            put_binary(out, value);
            if (!out->failed) { /* without the quotes */
                memmove(out->data + start, out->data + start + 1, out->size - start - 2);
                out->size -= 2;
            }
        } else {
            buf_put(out, value.data, value.size);
        }
        buf_puts(out, "\r\n");
    }
}
