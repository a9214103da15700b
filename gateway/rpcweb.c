#include "gateway/rpcweb.h"

#include <string.h>
#include <strings.h>

#include "gateway/envelope.h"
#include "gateway/json_writer.h"
#include "gateway/pass.h"
#include "gateway/request.h"
#include "gateway/scalar.h"
#include "gateway/template.h"
#include "gateway/wire.h"

enum {
    FRAME_END = 2, /* of Connect */
    FRAME_TRAILERS = 0x80,
    DETAILS_MAX = 16
};

/* ---- recognising ----------------------------------------------------------------------- */

static bool type_is(struct http1_text type, const char *name)
{
    size_t size = strlen(name);
    return type.size >= size && strncasecmp(type.data, name, size) == 0 &&
           (type.size == size || type.data[size] == ';' || type.data[size] == ' ');
}

static enum exchange_rpc protocol_of(const struct exchange *x)
{
    struct http1_text type = exchange_header(x, "content-type");
    if (type_is(type, "application/grpc-web") || type_is(type, "application/grpc-web+proto"))
        return RPC_GRPC_WEB;
    if (type_is(type, "application/grpc-web-text") ||
        type_is(type, "application/grpc-web-text+proto"))
        return RPC_GRPC_WEB_TEXT;
    if (type_is(type, "application/proto"))
        return RPC_CONNECT_PROTO;
    if (type_is(type, "application/connect+proto"))
        return RPC_CONNECT_STREAM_PROTO;
    if (type_is(type, "application/connect+json"))
        return RPC_CONNECT_STREAM_JSON;
    if (type_is(type, "application/json") &&
        exchange_header(x, "connect-protocol-version").data != NULL)
        return RPC_CONNECT_JSON;
    return RPC_NONE;
}

/* gRPC itself, other codecs and Connect's streams frame their messages: to read them as JSON would
 * complain about the first byte. */
static void refuse_framed(struct exchange *x)
{
    static const char *const framed[] = { "application/grpc", "application/connect+" };
    struct http1_text type = exchange_header(x, "content-type");
    for (size_t i = 0; i < sizeof framed / sizeof *framed; i++)
        if (type.size >= strlen(framed[i]) &&
            strncasecmp(type.data, framed[i], strlen(framed[i])) == 0)
            exchange_fail(x, 415, NRPC_INVALID_ARGUMENT, "UNSUPPORTED_MEDIA_TYPE",
                          "send application/json, application/proto or application/grpc-web+proto");
}

/* Absent is allowed: plain clients send protobuf, too. */
static bool is_connect_version(struct http1_text version)
{
    return version.data == NULL || (version.size == 1 && *version.data == '1');
}

static bool is_connect_stream(const struct exchange *x)
{
    return x->rpc == RPC_CONNECT_STREAM_PROTO || x->rpc == RPC_CONNECT_STREAM_JSON;
}

static bool is_connect(const struct exchange *x)
{
    return x->rpc == RPC_CONNECT_PROTO || x->rpc == RPC_CONNECT_JSON || is_connect_stream(x);
}

bool rpcweb_is_framed(const struct exchange *x)
{
    return x->rpc == RPC_GRPC_WEB || x->rpc == RPC_GRPC_WEB_TEXT || is_connect_stream(x);
}

static bool is_read(const struct exchange *x)
{
    return strcmp(x->method, "GET") == 0 || x->head_only;
}

/* ---- Connect's GET --------------------------------------------------------------------- */

/* The first parameter of that name, decoded into out; false when there is none, or it does not
 * decode. */
static bool find_parameter(const struct exchange *x, const char *name, struct buf *out)
{
    struct http1_text query = http1_query(&x->http);
    size_t size = strlen(name);
    while (query.size > 0) {
        const char *end = memchr(query.data, '&', query.size);
        size_t n = end == NULL ? query.size : (size_t) (end - query.data);
        if (n > size && query.data[size] == '=' && memcmp(query.data, name, size) == 0)
            return query_decode(query.data + size + 1, n - size - 1, out);
        n += end != NULL;
        query.data += n;
        query.size -= n;
    }
    return false;
}

static bool parameter_is(const struct exchange *x, const char *name, const char *value)
{
    struct buf text = { 0 };
    bool same = find_parameter(x, name, &text) && text.size == strlen(value) &&
                memcmp(text.data, value, text.size) == 0;
    buf_done(&text);
    return same;
}

const struct route *rpcweb_find_get(struct exchange *x)
{
    if (!is_read(x) || !parameter_is(x, "connect", "v1"))
        return NULL;
    for (size_t i = 0; i < x->match.n_allowed; i++) {
        const struct route *r = x->match.allowed[i];
        const struct desc_method *m = r->method;
        if (!r->implicit || !m->route->idempotent || m->client_streaming || m->server_streaming)
            continue;
        x->rpc = parameter_is(x, "encoding", "json") ? RPC_CONNECT_JSON : RPC_CONNECT_PROTO;
        return r;
    }
    return NULL;
}

/* Checks what stands in the query beside the message, which is read when the request is whole. */
static void begin_get(struct exchange *x)
{
    struct buf compression = { 0 };
    bool coded = find_parameter(x, "compression", &compression) && compression.size > 0 &&
                 !parameter_is(x, "compression", "identity");
    buf_done(&compression);
    x->body_kind = BODY_KEPT;
    if (x->rpc != RPC_CONNECT_JSON && !parameter_is(x, "encoding", "proto"))
        exchange_fail(x, 415, NRPC_INVALID_ARGUMENT, "UNSUPPORTED_MEDIA_TYPE",
                      "encoding must be json or proto");
    else if (coded && !(x->gzip_in = parameter_is(x, "compression", "gzip")))
        exchange_fail(x, 501, NRPC_UNIMPLEMENTED, "UNSUPPORTED_CONTENT_CODING",
                      "messages are taken as they are or in gzip");
    else if (exchange_has_body(x))
        exchange_fail(x, 400, NRPC_INVALID_ARGUMENT, "BODY_NOT_ALLOWED",
                      "the message stands in the query, and no body follows");
}

static void read_get(struct exchange *x)
{
    struct buf text = { 0 };
    bool good = find_parameter(x, "message", &text);
    if (good && parameter_is(x, "base64", "1"))
        good = scalar_parse_base64((const char *) text.data, text.size, &x->wire);
    else if (good)
        buf_put(&x->wire, text.data, text.size);
    if (text.failed || x->wire.failed)
        exchange_fail(x, 503, NRPC_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY",
                      "the gateway is out of memory");
    else if (!good)
        exchange_fail(x, 400, NRPC_INVALID_ARGUMENT, "MALFORMED_REQUEST",
                      "the query has no message, or one that does not decode");
    buf_done(&text);
}

/* The message in x->wire is JSON: in its place the same in protobuf. */
void rpcweb_transcode(struct exchange *x)
{
    struct buf json = x->wire;
    x->wire = (struct buf){ 0 };
    bind_start(&x->binder, x->route->method->input, &x->arena);
    x->binder.pool = x->view->table->pool;
    request_begin(x);
    x->body_bytes = json.size;
    if (!x->failed && json.size > 0)
        request_put_body(x, (const char *) json.data, json.size);
    if (!x->failed)
        request_finish(x);
    buf_done(&json);
}

bool rpcweb_wanted(struct exchange *x)
{
    const struct desc_method *m = x->route->method;
    struct http1_text path = http1_path(&x->http);
    size_t size = (size_t) (path.data + path.size - x->match.path); /* behind the prefix */
    if (is_read(x) && x->rpc != RPC_NONE) {
        begin_get(x);
        return true;
    }
    if (strcmp(x->method, "POST") != 0 || !x->route->body_all || strlen(m->path) != size ||
        memcmp(x->match.path, m->path, size) != 0)
        return false;
    x->rpc = protocol_of(x);
    if (x->rpc == RPC_NONE) {
        refuse_framed(x);
        return false;
    }
    if (is_connect_stream(x) && !m->server_streaming && !m->client_streaming) {
        x->rpc = RPC_NONE; /* its messages are framed for streams alone */
        refuse_framed(x);
        return false;
    }
    if (is_connect(x) && !is_connect_version(exchange_header(x, "connect-protocol-version"))) {
        exchange_fail(x, 400, NRPC_INVALID_ARGUMENT, "MALFORMED_REQUEST",
                      "Connect-Protocol-Version must be 1");
        return false;
    }
    if (m->client_streaming ? !is_connect_stream(x) : m->server_streaming && !rpcweb_is_framed(x))
        exchange_fail(
            x, 501, NRPC_UNIMPLEMENTED, "UNIMPLEMENTED",
            "this protocol has no stream of this kind over HTTP; use a stream of Connect, "
            "a WebSocket or gRPC");
    else if (is_connect(x))
        envelope_choose(x, is_connect_stream(x));
    if (x->rpc == RPC_CONNECT_JSON && !x->gzip_in)
        return false; /* read as any JSON */
    x->body_kind = BODY_KEPT;
    return true;
}

/* ---- the request ----------------------------------------------------------------------- */

/* Text is base64 of any number of pieces, each padded by itself. */
static bool decode_text(struct buf *b)
{
    struct buf out = { 0 };
    const char *text = (const char *) b->data;
    size_t size = b->size;
    bool good = true;
    while (good && size > 0) {
        const char *pad = memchr(text, '=', size);
        size_t n = pad == NULL ? size : (size_t) (pad - text);
        while (n < size && text[n] == '=')
            n++;
        good = n % 4 == 0 && scalar_parse_base64(text, n, &out);
        text += n;
        size -= n;
    }
    buf_done(b);
    *b = out;
    return good && !out.failed;
}

static void finish_plain(struct exchange *x)
{
    if (x->rpc == RPC_CONNECT_JSON || x->rpc == RPC_CONNECT_STREAM_JSON)
        rpcweb_transcode(x);
}

void rpcweb_finish(struct exchange *x)
{
    struct buf *b = &x->wire;
    if (is_read(x))
        read_get(x);
    if (x->failed)
        return;
    if (!rpcweb_is_framed(x)) { /* Connect: the body is the message */
        if (!x->gzip_in || envelope_inflate(x, b))
            finish_plain(x);
        return;
    }
    if (x->rpc == RPC_GRPC_WEB_TEXT && !decode_text(b)) {
        exchange_fail(x, 400, NRPC_INVALID_ARGUMENT, "MALFORMED_REQUEST", "the body is not base64");
        return;
    }
    uint32_t size = 0;
    for (size_t i = 1; i < ENVELOPE_HEAD && b->size >= ENVELOPE_HEAD; i++)
        size = size << 8 | b->data[i];
    if (b->size < ENVELOPE_HEAD || b->size - ENVELOPE_HEAD != size) {
        exchange_fail(x, 400, NRPC_INVALID_ARGUMENT, "MALFORMED_REQUEST",
                      "the body must be one message behind its five bytes of flag and length");
    } else if (b->data[0] != 0 && !(x->gzip_in && b->data[0] == ENVELOPE_COMPRESSED)) {
        exchange_fail(x, 501, NRPC_UNIMPLEMENTED, "UNSUPPORTED_CONTENT_CODING",
                      "messages are taken without compression, but of Connect in gzip");
    } else {
        bool coded = b->data[0] != 0;
        buf_drop(b, ENVELOPE_HEAD);
        if (!coded || envelope_inflate(x, b))
            finish_plain(x);
    }
}

/* ---- the answer ------------------------------------------------------------------------ */

const char *rpcweb_content_type(const struct exchange *x)
{
    return x->rpc == RPC_GRPC_WEB_TEXT          ? "application/grpc-web-text+proto"
           : x->rpc == RPC_CONNECT_STREAM_PROTO ? "application/connect+proto"
           : x->rpc == RPC_CONNECT_STREAM_JSON  ? "application/connect+json"
                                                : "application/grpc-web+proto";
}

/* base64 with padding, without the quotes of JSON. */
static void put_base64(struct buf *out, const uint8_t *data, size_t size)
{
    size_t before = out->size;
    json_put_base64(out, data, size);
    if (out->failed)
        return;
    memmove(out->data + before, out->data + before + 1, out->size - before - 2);
    out->size -= 2;
}

static void put_frame(struct exchange *x, uint8_t flag, const uint8_t *data, size_t size,
                      struct buf *out)
{
    const uint8_t head[ENVELOPE_HEAD] = { flag, (uint8_t) (size >> 24), (uint8_t) (size >> 16),
                                          (uint8_t) (size >> 8), (uint8_t) size };
    if (x->rpc != RPC_GRPC_WEB_TEXT) {
        buf_put(out, head, sizeof head);
        buf_put(out, data, size);
        return;
    }
    struct buf frame = { 0 };
    buf_put(&frame, head, sizeof head);
    buf_put(&frame, data, size);
    if (frame.failed)
        out->failed = true;
    else
        put_base64(out, frame.data, frame.size);
    buf_done(&frame);
}

/* One message, compressed when that pays and the client takes it. */
static void put_data(struct exchange *x, nrpc_slice message, struct buf *out)
{
    nrpc_slice small = x->gzip_out ? envelope_deflate(x, message) : (nrpc_slice){ 0 };
    if (small.size > 0)
        put_frame(x, ENVELOPE_COMPRESSED, small.data, small.size, out);
    else
        put_frame(x, 0, message.data, message.size, out);
}

int rpcweb_put_message(struct exchange *x, nrpc_slice message, struct buf *out)
{
    if (x->rpc != RPC_CONNECT_STREAM_JSON) {
        put_data(x, message, out);
        return 0;
    }
    struct buf *json = &x->gl->scratch;
    buf_reset(json);
    int r = to_json_message(exchange_json(x), x->route->method->output, message.data, message.size,
                            json);
    if (r == 0)
        put_data(x, (nrpc_slice){ json->data, json->size }, out);
    return r;
}

void rpcweb_put_message_text(struct buf *out, const char *text)
{
    for (const uint8_t *c = (const uint8_t *) text; *c != '\0'; c++)
        if (*c >= 0x20 && *c <= 0x7e && *c != '%')
            buf_putc(out, (char) *c);
        else
            buf_printf(out, "%%%02X", *c);
}

/* EndStreamResponse of Connect. */
static void put_end(struct exchange *x, bool failed, struct buf *out)
{
    struct buf text = { 0 };
    buf_putc(&text, '{');
    if (failed) {
        buf_puts(&text, "\"error\":");
        rpcweb_put_error(&text, &x->problem);
    }
    pass_put_metadata(x, !failed, &text);
    buf_putc(&text, '}');
    if (text.failed)
        out->failed = true;
    else
        put_frame(x, FRAME_END, text.data, text.size, out);
    buf_done(&text);
}

void rpcweb_put_trailers(struct exchange *x, bool failed, struct buf *out)
{
    const struct problem *p = &x->problem;
    struct buf text = { 0 };
    if (is_connect_stream(x)) {
        put_end(x, failed, out);
        return;
    }
    buf_printf(&text, "grpc-status:%d\r\n", failed ? (int) p->code : 0);
    if (failed) {
        buf_puts(&text, "grpc-message:");
        rpcweb_put_message_text(&text, p->detail);
        buf_puts(&text, "\r\n");
    }
    if (failed && p->details.size > 0) {
        buf_puts(&text, "grpc-status-details-bin:");
        put_base64(&text, p->details.data, p->details.size);
        buf_puts(&text, "\r\n");
    }
    pass_put_lines(x, &text);
    put_frame(x, FRAME_TRAILERS, text.data, text.failed ? 0 : text.size, out);
    buf_done(&text);
}

/* One google.protobuf.Any of a status. */
static void put_detail(struct buf *out, nrpc_slice any)
{
    struct wire_reader r = wire_reader_of(any.data, any.size);
    struct wire_field f, type = { .data = (const uint8_t *) "" },
                         value = { .data = (const uint8_t *) "" };
    while (wire_next(&r, &f) > 0) {
        if (f.number == 1 && f.type == WIRE_BYTES)
            type = f;
        if (f.number == 2 && f.type == WIRE_BYTES)
            value = f;
    }
    const uint8_t *slash = memrchr(type.data, '/', type.size);
    size_t skip = slash == NULL ? 0 : (size_t) (slash + 1 - type.data);
    buf_puts(out, "{\"type\":");
    json_put_lossy(out, (const char *) type.data + skip, type.size - skip);
    buf_puts(out, ",\"value\":");
    size_t before = out->size;
    json_put_base64(out, value.data, value.size);
    /* Connect writes it without padding. */
    size_t pads = 0;
    while (!out->failed && out->size - before > 2 && out->data[out->size - 2 - pads] == '=')
        pads++;
    if (pads > 0) {
        out->size -= pads;
        out->data[out->size - 1] = '"';
    }
    buf_putc(out, '}');
}

void rpcweb_put_error(struct buf *out, const struct problem *p)
{
    buf_puts(out, "{\"code\":\"");
    for (const char *c = p->code == NRPC_CANCELLED ? "CANCELED" : nrpc_code_name(p->code);
         *c != '\0'; c++)
        buf_putc(out, *c == '_' ? '_' : (char) (*c | 0x20));
    buf_puts(out, "\",\"message\":");
    json_put_lossy(out, p->detail, strlen(p->detail));
    struct wire_reader r = wire_reader_of(p->details.data, p->details.size);
    struct wire_field f;
    size_t n = 0;
    while (n < DETAILS_MAX && wire_next(&r, &f) > 0) {
        if (f.number != 3 || f.type != WIRE_BYTES)
            continue;
        buf_puts(out, n++ == 0 ? ",\"details\":[" : ",");
        put_detail(out, (nrpc_slice){ f.data, f.size });
    }
    buf_puts(out, n > 0 ? "]}" : "}");
}
