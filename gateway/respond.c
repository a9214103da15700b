#include "gateway/respond.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "gateway/accept.h"
#include "gateway/cached.h"
#include "gateway/etag.h"
#include "gateway/json_writer.h"
#include "gateway/pass.h"
#include "gateway/rpcweb.h"
#include "gateway/stream.h"
#include "gateway/throttle.h"
#include "gateway/wire.h"
#include "rpc/base/clock.h"

enum { LENGTH_DIGITS = 10, ETAG_HEX = 32, ETAG_MAX = 128 };

/* ---- heads ----------------------------------------------------------------------------- */

const char *respond_allowed_origin(const struct exchange *x)
{
    const struct option_list *list = &x->gl->gateway->settings.cors_origin;
    struct http1_text origin = exchange_header(x, "origin");
    for (size_t i = 0; origin.data != NULL && i < list->count; i++) {
        if (strcmp(list->items[i], "*") == 0)
            return "*";
        if (strlen(list->items[i]) == origin.size &&
            memcmp(list->items[i], origin.data, origin.size) == 0)
            return list->items[i];
    }
    return NULL;
}

static void put_cors(struct exchange *x, struct buf *out)
{
    const char *origin = respond_allowed_origin(x);
    if (x->gl->gateway->settings.cors_origin.count > 0)
        buf_puts(out, "Vary: Origin\r\n");
    if (origin == NULL)
        return;
    buf_printf(out,
               "Access-Control-Allow-Origin: %s\r\n"
               "Access-Control-Expose-Headers: ETag, Location, Retry-After, X-Request-Id, "
               "Grpc-Status, Grpc-Message",
               origin);
    pass_put_names(x, out);
    buf_puts(out, "\r\n");
}

static void put_line(struct buf *out, const char *name, const char *value)
{
    buf_puts(out, name);
    buf_puts(out, value);
    buf_puts(out, "\r\n");
}

void respond_head(struct exchange *x, const struct response *r, struct buf *out)
{
    x->status = r->status;
    buf_puts(out, "HTTP/1.1 ");
    buf_put_u64(out, (uint64_t) r->status);
    buf_putc(out, ' ');
    buf_puts(out, problem_phrase(r->status));
    put_line(out, "\r\nDate: ", gateway_loop_date(x->gl));
    put_line(out, "X-Request-Id: ", x->request_id);
    if (r->content_type != NULL)
        put_line(out, "Content-Type: ", r->content_type);
    put_line(out, "Cache-Control: ", r->cache_control == NULL ? "no-store" : r->cache_control);
    buf_puts(out, "X-Content-Type-Options: nosniff\r\nX-Frame-Options: DENY\r\nReferrer-Policy: "
                  "no-referrer\r\n");
    if (r->page)
        buf_puts(out, "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src "
                      "'self'; connect-src "
                      "'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors "
                      "'none'\r\n");
    else
        buf_puts(out,
                 r->html
                     ? "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; "
                       "img-src data:; "
                       "frame-ancestors 'none'\r\n"
                     : "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n");
    put_cors(x, out);
    throttle_put_headers(x, out);
    pass_put_headers(x, out);
    if (x->route != NULL &&
        (x->route->method->server_streaming || *x->route->method->route->accept_field != '\0'))
        buf_puts(out, "Vary: Accept\r\n");
    if (r->varies)
        buf_puts(out, "Vary: Accept-Encoding\r\n");
    if (r->extra != NULL)
        buf_puts(out, r->extra);
    bool keep = x->keep_alive && x->http.keep_alive && !x->gl->draining;
    x->keep_alive = keep;
    if (x->client->framed)
        return;
    if (!keep)
        buf_puts(out, "Connection: close\r\n");
    else if (x->http.minor == 0)
        buf_puts(out, "Connection: keep-alive\r\n");
}

/* The length is written once the body is; spaces behind the number are allowed (RFC 9110
 * section 5.5). */
static size_t reserve_length(struct buf *out)
{
    buf_puts(out, "Content-Length: ");
    size_t at = out->size;
    buf_puts(out, "          \r\n");
    return at;
}

static void write_length(struct buf *out, size_t at, size_t length)
{
    char text[LENGTH_DIGITS + 1];
    snprintf(text, sizeof text, "%-*zu", LENGTH_DIGITS, length);
    if (!out->failed)
        memcpy(out->data + at, text, LENGTH_DIGITS);
}

/* ---- ETags ----------------------------------------------------------------------------- */

static size_t reserve_etag(struct buf *out)
{
    buf_puts(out, "ETag: \"");
    size_t at = out->size;
    buf_puts(out, "................................\"\r\n");
    return at;
}

static void make_etag(struct exchange *x, const uint8_t *body, size_t size, char hex[static 65])
{
    uint8_t digest[SHA256_SIZE];
    sha256_start(x->gl->sha);
    sha256_add(x->gl->sha, body, size);
    sha256_finish(x->gl->sha, digest);
    sha256_hex(digest, hex);
}

static bool client_has(const struct exchange *x, const char *tag, size_t size)
{
    struct buf list = { 0 };
    bool has = http1_join(&x->http, "if-none-match", &list) && !list.failed &&
               etag_list_has((const char *) list.data, list.size, tag, size, true);
    buf_done(&list);
    return has;
}

static void respond_not_modified(struct exchange *x, const struct response *r, const char *tag,
                                 size_t size, struct buf *out)
{
    char extra[ETAG_MAX + 32];
    snprintf(extra, sizeof extra, "ETag: \"%.*s%s\"\r\n", (int) size, tag,
             encoding_tag_suffix(x->encoding));
    struct response same = {
        .status = 304, .cache_control = r->cache_control, .extra = extra, .varies = true
    };
    respond_head(x, &same, out);
    buf_puts(out, "\r\n");
    client_flush(x->client);
}

/* ---- whole answers --------------------------------------------------------------------- */

struct open_answer {
    struct buf *out;
    size_t start, length_at, etag_at, body_at;
};

static struct open_answer open_answer(struct exchange *x, const struct response *r)
{
    struct open_answer a = { .out = client_tail(x->client) };
    a.start = a.out->size;
    respond_head(x, r, a.out);
    if (r->tag != NULL)
        buf_printf(a.out, "ETag: \"%s\"\r\n", r->tag);
    else if (r->etag)
        a.etag_at = reserve_etag(a.out);
    a.length_at = reserve_length(a.out);
    buf_puts(a.out, "\r\n");
    a.body_at = a.out->size;
    return a;
}

static void close_answer(struct exchange *x, const struct response *r, const struct open_answer *a)
{
    struct buf *out = a->out;
    size_t size = out->size - a->body_at;
    char hex[65];
    if (out->failed)
        return; /* the socket closes when it flushes */
    if (r->etag && r->tag == NULL) {
        make_etag(x, out->data + a->body_at, size, hex);
        if (client_has(x, hex, ETAG_HEX)) {
            out->size = a->start;
            respond_not_modified(x, r, hex, ETAG_HEX, out);
            return;
        }
        memcpy(out->data + a->etag_at, hex, ETAG_HEX);
    }
    write_length(out, a->length_at, size);
    if (x->head_only)
        out->size = a->body_at;
    else
        x->response_bytes = size;
    client_flush(x->client);
}

/* The body in the client's coding, in the loop's `coded` buffer; false when it goes as it is. */
static bool encode_body(struct exchange *x, const struct response *r, const void *body, size_t size)
{
    struct buf *coded = &x->gl->coded;
    buf_reset(coded);
    if (x->encoding == ENCODING_IDENTITY || size < ENCODE_MIN_BYTES ||
        !encoding_suits(r->content_type))
        return false;
    struct encoder **e = &x->gl->encoders[x->encoding];
    if (*e == NULL)
        *e = encoder_new(x->encoding, false);
    else if (encoder_reset(*e) < 0)
        return false;
    return *e != NULL && encoder_put(*e, body, size, true, coded) == 0 && coded->size < size;
}

/* For a client that takes codings: the body is known before the head is written. */
static void respond_coded(struct exchange *x, const struct response *r, const void *body,
                          size_t size)
{
    char hex[65];
    const char *tag = r->tag;
    if (tag == NULL && r->etag) {
        make_etag(x, body, size, hex);
        hex[ETAG_HEX] = '\0';
        tag = hex;
    }
    if (encode_body(x, r, body, size)) {
        body = x->gl->coded.data;
        size = x->gl->coded.size;
    } else {
        x->encoding = ENCODING_IDENTITY;
    }
    struct response known = *r;
    known.tag = tag;
    respond_ready(x, &known, body, size);
}

void respond_ready(struct exchange *x, const struct response *r, const void *body, size_t size)
{
    struct buf *out = client_tail(x->client);
    const char *tag = r->tag;
    if (tag != NULL && r->etag && client_has(x, tag, strlen(tag))) {
        respond_not_modified(x, r, tag, strlen(tag), out);
        return;
    }
    respond_head(x, r, out);
    if (tag != NULL)
        buf_printf(out, "ETag: \"%s%s\"\r\n", tag, encoding_tag_suffix(x->encoding));
    if (x->encoding != ENCODING_IDENTITY)
        buf_printf(out, "Content-Encoding: %s\r\n", encoding_name(x->encoding));
    buf_printf(out, "Content-Length: %zu\r\n\r\n", size);
    if (!x->head_only) {
        buf_put(out, body, size);
        x->response_bytes = size;
    }
    client_flush(x->client);
}

void respond_bytes(struct exchange *x, const struct response *given, const void *body, size_t size)
{
    struct response r = *given;
    if (r.content_type == NULL) { /* 204 has no length either */
        struct buf *out = client_tail(x->client);
        respond_head(x, &r, out);
        buf_puts(out, "\r\n");
        client_flush(x->client);
        return;
    }
    r.varies = true;
    if (x->encoding != ENCODING_IDENTITY) {
        respond_coded(x, &r, body, size);
        return;
    }
    struct open_answer a = open_answer(x, &r);
    buf_put(a.out, body, size);
    close_answer(x, &r, &a);
}

/* ---- problems -------------------------------------------------------------------------- */

static bool wants_status(const struct exchange *x)
{
    static const char *const types[] = { "application/json", "application/problem+json" };
    struct http1_text accept = exchange_header(x, "accept");
    if (exchange_is_legacy(x))
        return false;
    return accept.data == NULL || accept_choose(accept.data, accept.size, types, 2).index <= 0;
}

void respond_put_problem(struct exchange *x, struct buf *out)
{
    char target[512];
    struct http1_text t = http1_target(&x->http);
    /* The legacy dialect has one spelling of names. */
    x->problem.input = x->route == NULL || exchange_is_legacy(x) ? NULL : x->route->method->input;
    if (wants_status(x)) {
        problem_put_status(out, &x->problem, x->request_id, exchange_json(x));
        return;
    }
    snprintf(target, sizeof target, "%.*s", (int) (t.size > 511 ? 511 : t.size),
             t.data == NULL ? "" : t.data);
    problem_put(out, &x->problem, *target == '\0' ? NULL : target, x->request_id);
}

/* {"status":"degraded",…} of the contract, its {{now}} filled in, with the error's keys behind its
 * own. */
static bool put_unavailable(struct exchange *x, struct buf *out)
{
    const char *text = x->route == NULL ? "" : x->route->method->route->unavailable_json;
    const char *end = strrchr(text, '}'), *now;
    char time[32];
    if (x->problem.code != NRPC_UNAVAILABLE || end == NULL)
        return false;
    clock_format_rfc3339(clock_wall_ns(), time);
    for (; (now = strstr(text, "{{now}}")) != NULL; text = now + 7) {
        buf_put(out, text, (size_t) (now - text));
        buf_puts(out, time);
    }
    buf_put(out, text, (size_t) (strrchr(text, '}') - text));
    buf_printf(out, ",\"error\":\"%s\",\"detail\":", problem_phrase(x->problem.status));
    json_put_lossy(out, x->problem.detail, strlen(x->problem.detail));
    buf_printf(out, ",\"code\":\"UNAVAILABLE\",\"message\":");
    json_put_lossy(out, x->problem.detail, strlen(x->problem.detail));
    buf_printf(out, ",\"request_id\":");
    json_put_lossy(out, x->request_id, strlen(x->request_id));
    buf_putc(out, '}');
    return true;
}

/* What is wrong may have kept the query from being read. */
static bool wants_pretty(const struct exchange *x)
{
    struct http1_text query = http1_query(&x->http);
    const struct desc_message *input = x->route == NULL ? NULL : x->route->method->input;
    return x->binder.switches[SWITCH_PRETTY] == SWITCH_ON ||
           switches_ask_pretty(query.data, query.size, input);
}

void respond_problem(struct exchange *x)
{
    char extra[600];
    snprintf(extra, sizeof extra, "%s", x->problem.headers == NULL ? "" : x->problem.headers);
    size_t used = strlen(extra);
    if (x->problem.retry_after_s > 0)
        used += (size_t) snprintf(extra + used, sizeof extra - used, "Retry-After: %u\r\n",
                                  x->problem.retry_after_s);
    if (x->problem.status == 401)
        snprintf(extra + used, sizeof extra - used, "WWW-Authenticate: Bearer\r\n");
    struct buf *body = &x->gl->scratch;
    if (rpcweb_is_framed(x)) {
        stream_fail_rpc(x);
        return;
    }
    buf_reset(body);
    if (x->rpc != RPC_NONE) {
        const struct response connect = { .status = x->problem.status,
                                          .extra = extra,
                                          .content_type = "application/json" };
        rpcweb_put_error(body, &x->problem);
        respond_bytes(x, &connect, body->data, body->size);
        return;
    }
    bool plain = put_unavailable(x, body);
    if (!plain)
        respond_put_problem(x, body);
    if (wants_pretty(x))
        json_indent(body, 0);
    struct response r = {
        .status = x->problem.status,
        .extra = extra,
        .content_type = plain || wants_status(x) ? "application/json" : "application/problem+json",
    };
    respond_bytes(x, &r, body->data, body->size);
}

/* ---- the answer of a unary call -------------------------------------------------------- */

static bool find_text(nrpc_slice message, const struct desc_field *f, struct wire_field *out)
{
    struct wire_reader r = wire_reader_of(message.data, message.size);
    struct wire_field v;
    bool found = false;
    while (wire_next(&r, &v) > 0)
        if (v.number == f->number && v.type == (enum wire_type) desc_wire_type(f->type)) {
            *out = v;
            found = true;
        }
    return found;
}

static void put_percent_encoded(struct buf *out, const uint8_t *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        uint8_t c = text[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     (c != 0 && strchr("-._~", c) != NULL);
        if (plain)
            buf_putc(out, (char) c);
        else
            buf_printf(out, "%%%02X", c);
    }
}

/* "Location: /characters/{character_id}" from the answer's top-level fields; under the prefix it
 * was asked at. */
static const char *location_header(struct exchange *x, nrpc_slice message)
{
    const char *at = x->route->method->route->location;
    struct http1_text path = http1_path(&x->http);
    struct buf b = { 0 };
    if (*at == '\0')
        return NULL;
    buf_puts(&b, "Location: ");
    buf_put(&b, path.data, (size_t) (x->match.path - path.data));
    while (*at != '\0') {
        const char *close = *at == '{' ? strchr(at, '}') : NULL;
        if (close == NULL) {
            buf_putc(&b, *at++);
            continue;
        }
        const struct desc_field *f =
            desc_field_by_name(x->route->method->output, at + 1, (size_t) (close - at - 1));
        struct wire_field v;
        if (f == NULL || f->type == DESC_MESSAGE || !find_text(message, f, &v)) {
            buf_done(&b);
            return NULL;
        }
        if (v.type == WIRE_BYTES)
            put_percent_encoded(&b, v.data, v.size);
        else
            buf_put_u64(&b, v.value);
        at = close + 1;
    }
    buf_puts(&b, "\r\n");
    const char *line = arena_strndup(&x->arena, (const char *) b.data, b.failed ? 0 : b.size);
    buf_done(&b);
    return line;
}

static bool is_http_body(const struct desc_message *m)
{
    return strcmp(m->full_name, "google.api.HttpBody") == 0;
}

/* A header value from a server: one line of visible text or nothing. */
static const char *content_type_of(struct exchange *x, nrpc_slice message, nrpc_slice *out_data)
{
    static const struct desc_field type_field = { .number = 1, .type = DESC_STRING },
                                   data_field = { .number = 2, .type = DESC_BYTES };
    struct wire_field type, data = { .data = (const uint8_t *) "" };
    find_text(message, &data_field, &data);
    *out_data = (nrpc_slice){ data.data, data.size };
    if (!find_text(message, &type_field, &type) || type.size == 0 || type.size > 200)
        return "application/octet-stream";
    for (size_t i = 0; i < type.size; i++)
        if (type.data[i] < 0x20 || type.data[i] > 0x7e)
            return "application/octet-stream";
    const char *copy = arena_strndup(&x->arena, (const char *) type.data, type.size);
    return copy == NULL ? "application/octet-stream" : copy;
}

/* The message whose data is the answer as it is: the whole, or what response_body names. */
static bool find_http_body(const struct exchange *x, nrpc_slice message, nrpc_slice *out_body)
{
    const struct desc_field *f = x->route->response_body;
    struct wire_field v = { .data = (const uint8_t *) "" };
    *out_body = message;
    if (f == NULL)
        return is_http_body(x->route->method->output);
    if (f->repeated || f->message == NULL || !is_http_body(f->message))
        return false;
    find_text(message, f, &v);
    *out_body = (nrpc_slice){ v.data, v.size };
    return true;
}

static void respond_broken(struct exchange *x, const char *why)
{
    exchange_fail(x, 502, NRPC_INTERNAL, "BAD_ANSWER", "the server's answer could not be read: %s",
                  why);
    respond_problem(x);
}

/* The `etag` field of the answer, when it can stand in a header. */
static const char *resource_tag(struct exchange *x, nrpc_slice message)
{
    const struct desc_field *f = desc_field_by_name(x->route->method->output, "etag", 4);
    struct wire_field v;
    if (f == NULL || f->repeated || f->type != DESC_STRING || !find_text(message, f, &v) ||
        v.size > ETAG_MAX)
        return NULL;
    if (v.size > 2 && v.data[0] == '"' && v.data[v.size - 1] == '"') { /* as AIP-154 writes it */
        v.data++;
        v.size -= 2;
    }
    if (!etag_is_valid((const char *) v.data, v.size))
        return NULL;
    return arena_strndup(&x->arena, (const char *) v.data, v.size);
}

static int put_message(struct exchange *x, nrpc_slice message, struct buf *out)
{
    struct to_json *json = exchange_json(x);
    size_t start = out->size;
    int r = x->route->response_body != NULL
                ? to_json_field(json, x->route->response_body, message.data, message.size, out)
                : to_json_message(json, x->route->method->output, message.data, message.size, out);
    if (r == 0 && x->binder.switches[SWITCH_PRETTY] == SWITCH_ON)
        json_indent(out, start);
    return r == 0 && out->failed ? NRPC_E_NOMEM : r;
}

/* The body is in the loop's scratch. */
static void respond_apart(struct exchange *x, struct response *r, nrpc_slice message, bool keep)
{
    const struct buf *body = &x->gl->scratch;
    char hex[65];
    if (r->tag == NULL && r->etag) {
        make_etag(x, body->data, body->size, hex);
        hex[ETAG_HEX] = '\0';
        r->tag = hex;
    }
    if (keep && r->tag != NULL)
        cached_keep(x, r, r->tag, message, body->data, body->size);
    respond_coded(x, r, body->data, body->size);
}

void respond_message(struct exchange *x)
{
    const struct desc_method *method = x->route->method;
    nrpc_slice message = nrpc_msg_bytes(x->message);
    bool safe = strcmp(x->route->http_method, "GET") == 0 ||
                (x->rpc != RPC_NONE && (strcmp(x->method, "GET") == 0 || x->head_only));
    struct response r = {
        .status = method->route->success_code == 0 ? 200 : method->route->success_code,
        .content_type = "application/json",
        .cache_control = safe && method->route->cache != NULL ? "no-cache" : NULL,
        .etag = safe && method->route->idempotent && x->gl->sha != NULL,
        .extra = location_header(x, message),
    };
    if (x->rpc == RPC_CONNECT_PROTO) {
        r.status = 200;
        r.content_type = "application/proto";
        r.extra = NULL;
        r.etag = r.etag && message.size > 0;
        respond_bytes(x, &r, message.data, message.size);
        return;
    }
    if (x->rpc == RPC_CONNECT_JSON)
        r.status = 200;
    if (r.status == 204) {
        r.content_type = NULL;
        respond_bytes(x, &r, "", 0);
        return;
    }
    nrpc_slice raw, data;
    if (find_http_body(x, message, &raw)) {
        r.content_type = content_type_of(x, raw, &data);
        r.html = strncasecmp(r.content_type, "text/html", 9) == 0;
        r.etag = r.etag && data.size > 0;
        respond_bytes(x, &r, data.data, data.size);
        return;
    }
    bool keep = safe && cached_wanted(x);
    r.tag = r.etag ? resource_tag(x, message) : NULL;
    if (r.tag != NULL && !keep && client_has(x, r.tag, strlen(r.tag))) {
        respond_not_modified(x, &r, r.tag, strlen(r.tag), client_tail(x->client));
        return;
    }
    r.varies = true;
    /* Straight into the connection's output, unless the body is wanted by itself. */
    bool apart = keep || x->encoding != ENCODING_IDENTITY;
    struct open_answer a = { .out = &x->gl->scratch };
    if (apart)
        buf_reset(a.out);
    else
        a = open_answer(x, &r);
    int e = put_message(x, message, a.out);
    if (e < 0) {
        a.out->size = a.start;
        respond_broken(x, e == NRPC_E_NOMEM ? "out of memory" : exchange_json(x)->error);
    } else if (apart) {
        respond_apart(x, &r, message, keep);
    } else {
        close_answer(x, &r, &a);
    }
}
