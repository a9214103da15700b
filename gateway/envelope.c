#include "gateway/envelope.h"

#include <string.h>
#include <strings.h>

#include "rpc/grpc/compress.h"

enum { DEFLATE_MIN_BYTES = 256 /* what is shorter hardly shrinks */ };

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
