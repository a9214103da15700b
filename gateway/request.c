#include "gateway/request.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "gateway/etag.h"
#include "gateway/stream.h"
#include "gateway/upload.h"
#include "rpc/base/alloc.h"

/* ---- failing --------------------------------------------------------------------------- */

static void fail_memory(struct exchange *x)
{
    exchange_fail(x, 503, NRPC_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY", "the gateway is out of memory");
}

static void fail_bind(struct exchange *x, int r)
{
    const struct bind_error *e = &x->binder.error;
    if (r == NRPC_E_NOMEM)
        fail_memory(x);
    else if (e->not_found)
        exchange_fail(x, 404, NRPC_NOT_FOUND, "NOT_FOUND", "%s %s", e->field, e->message);
    else
        exchange_fail_field(x, e->field, e->message, "");
}

static void fail_form(struct exchange *x, int r)
{
    const struct form *f = x->form;
    char field[300];
    if (r == NRPC_E_NOMEM || f->error[0] == '\0') {
        fail_bind(x, r);
        return;
    }
    const char *prefix = x->route->body == NULL ? "" : x->route->body->name;
    snprintf(field, sizeof field, "%s%s%s", prefix,
             *prefix != '\0' && f->error_field[0] != '\0' ? "." : "", f->error_field);
    exchange_fail_field(x, field, f->error, "");
}

static void fail_json(struct exchange *x, int r)
{
    const struct json_error *e = &x->body->reader.error;
    if (r == NRPC_E_NOMEM) {
        fail_memory(x);
        return;
    }
    char where[100], path[400];
    const char *prefix = x->route->body == NULL ? "" : x->route->body->name;
    snprintf(path, sizeof path, "%s%s%s", prefix, *prefix != '\0' && *e->path != '\0' ? "." : "",
             e->path);
    snprintf(where, sizeof where, " (line %llu, column %llu)", (unsigned long long) e->line,
             (unsigned long long) e->column);
    exchange_fail_field(x, path, e->message, where);
}

/* ---- before the body ------------------------------------------------------------------- */

/* "$fields": of the message that the client sees. */
static void read_filter(struct exchange *x)
{
    const struct route *r = x->route;
    const struct desc_message *m =
        r->response_body == NULL ? r->method->output : r->response_body->message;
    char error[200];
    int e = m == NULL || m->wkt != DESC_PLAIN
                ? NRPC_E_INVAL
                : filter_parse(x->binder.fields, x->binder.fields_size, m, &x->arena, &x->filter,
                               error);
    if (e == NRPC_E_NOMEM)
        fail_memory(x);
    else if (e < 0)
        exchange_fail_field(x, "$fields",
                            e == NRPC_E_PROTO ? error : "this answer has no fields to choose from",
                            "");
}

void request_bind(struct exchange *x)
{
    const struct route *r = x->route;
    struct http1_text query = http1_query(&x->http);
    bool ignore = r->method->route->ignore_unknown_fields;
    bind_start(&x->binder, r->method->input, &x->arena);
    x->binder.pool = x->view->table->pool;
    x->binder.proto_names = exchange_is_legacy(x);
    int e = bind_path(&x->binder, &x->match);
    x->binder.system_only = r->body_all;
    if (e == 0)
        e = bind_query(&x->binder, query.data, query.size, ignore);
    if (e < 0)
        fail_bind(x, e);
    else if (x->binder.fields != NULL)
        read_filter(x);
}

static bool is_http_body(const struct desc_message *m)
{
    return m != NULL && strcmp(m->full_name, "google.api.HttpBody") == 0;
}

bool request_is_raw(const struct exchange *x)
{
    const struct route *r = x->route;
    return r->body_all ? is_http_body(r->method->input)
                       : r->body != NULL && !r->body->repeated && is_http_body(r->body->message);
}

/* Prepares for a body: JSON through the transcoder, or raw bytes into an HttpBody. */
void request_begin(struct exchange *x)
{
    const struct route *r = x->route;
    /* A stream from the client on a route that takes no body: its WebSocket brings whole messages. */
    bool whole = r->body_all || (r->body == NULL && r->method->client_streaming);
    const struct desc_message *m = whole             ? r->method->input
                                   : r->body == NULL ? NULL
                                                     : r->body->message;
    bool legacy = exchange_is_legacy(x);
    if (m == NULL && r->body == NULL)
        return;
    if (r->body != NULL && m != NULL && !r->body->repeated && m->wkt == DESC_PLAIN) {
        wire_put_tag(&x->wire, r->body->number, WIRE_BYTES);
        x->region = wire_region_open(&x->wire);
        x->has_region = true;
    }
    if (request_is_raw(x)) {
        struct http1_text type = exchange_header(x, "content-type");
        x->body_kind = BODY_RAW;
        if (type.data != NULL)
            wire_put_bytes(&x->wire, 1, type.data, type.size);
        return;
    }
    if (x->body == NULL)
        x->body = arena_get(&x->arena, sizeof *x->body);
    else
        to_wire_done(x->body);
    if (x->body == NULL) {
        fail_memory(x);
        return;
    }
    struct to_wire_options o = {
        .pool = x->view->table->pool,
        .ignore_unknown = r->method->route->ignore_unknown_fields,
        .accept_snake = legacy,
        .replace_nul = legacy,
        .mask = strcmp(x->method, "PATCH") == 0 ? &x->mask : NULL,
    };
    if (whole || x->has_region)
        to_wire_init(x->body, m, &x->wire, &o);
    else
        to_wire_init_field(x->body, r->body, &x->wire, &o);
    x->body_kind = BODY_JSON;
}

static bool is_multipart(const struct exchange *x)
{
    struct http1_text type = exchange_header(x, "content-type");
    return type.size >= 10 && strncasecmp(type.data, "multipart/", 10) == 0;
}

/* A form in the place of the JSON that request_begin prepared for. */
static void begin_form(struct exchange *x)
{
    const struct route *r = x->route;
    struct http1_text type = exchange_header(x, "content-type");
    struct form_options o = { .message = r->body_all || x->has_region
                                             ? (r->body_all ? r->method->input : r->body->message)
                                             : NULL,
                              .body = r->body,
                              .binder = &x->binder,
                              .out = &x->wire,
                              .json = x->body->options };
    o.json.mask = NULL;
    int e = o.message != NULL && form_fits(o.message) ? form_new(type.data, type.size, &o, &x->form)
                                                      : NRPC_E_INVAL;
    if (e == NRPC_E_NOMEM)
        fail_memory(x);
    else if (e == NRPC_E_PROTO)
        exchange_fail(x, 400, NRPC_INVALID_ARGUMENT, "MALFORMED_FORM",
                      "the content type names no boundary, or is not multipart/form-data");
    else if (e < 0)
        exchange_fail(x, 415, NRPC_INVALID_ARGUMENT, "UNSUPPORTED_MEDIA_TYPE",
                      "this route takes application/json");
    else
        x->body_kind = BODY_FORM;
}

static bool is_coded(const struct exchange *x)
{
    struct http1_text coding = exchange_header(x, "content-encoding");
    return coding.data != NULL && coding.size > 0 &&
           !(coding.size == 8 && strncasecmp(coding.data, "identity", 8) == 0);
}

static void fail_coded(struct exchange *x)
{
    exchange_fail(x, 415, NRPC_INVALID_ARGUMENT, "UNSUPPORTED_CONTENT_CODING",
                  "bodies are taken without a content coding");
    x->problem.headers = "Accept-Encoding: identity\r\n";
}

void request_open(struct exchange *x)
{
    if (exchange_has_body(x) && x->http.has_length && !x->route->method->client_streaming &&
        x->http.content_length > x->gl->gateway->settings.max_body_bytes) {
        exchange_fail_too_large(x);
        return;
    }
    request_bind(x);
    if (!x->failed && x->route->method->server_streaming)
        stream_choose(x);
    if (x->failed)
        return;
    if (x->route->method->client_streaming) {
        if (exchange_has_body(x) && is_coded(x))
            fail_coded(x);
        else
            upload_open(x);
        return;
    }
    request_begin(x);
    if (exchange_has_body(x) && is_coded(x))
        fail_coded(x);
    if (!x->failed && x->body_kind == BODY_JSON && exchange_has_body(x) && is_multipart(x))
        begin_form(x);
    if (x->body_kind == BODY_NONE && exchange_has_body(x))
        exchange_fail(x, 400, NRPC_INVALID_ARGUMENT, "BODY_NOT_ALLOWED",
                      "this route takes no body");
}

/* ---- the body and what follows it ------------------------------------------------------ */

void request_put_body(struct exchange *x, const char *data, size_t size)
{
    if (x->body_kind == BODY_RAW) {
        if (x->body_bytes == size) { /* the first piece: data is field 2 */
            wire_put_tag(&x->wire, 2, WIRE_BYTES);
            x->raw_region = wire_region_open(&x->wire);
        }
        buf_put(&x->wire, data, size);
        return;
    }
    bool form = x->body_kind == BODY_FORM;
    int r = form ? form_feed(x->form, data, size) : to_wire_feed(x->body, data, size);
    if (r < 0)
        form ? fail_form(x, r) : fail_json(x, r);
}

/* Ends the body; an absent one is {}. */
static void finish_body(struct exchange *x)
{
    if (x->body_kind == BODY_RAW && x->body_bytes > 0)
        wire_region_close(&x->wire, x->raw_region);
    if (x->body_kind == BODY_FORM) {
        int r = form_finish(x->form);
        if (r < 0)
            fail_form(x, r);
    }
    if (x->body_kind == BODY_JSON && x->body_bytes > 0) {
        int r = to_wire_finish(x->body);
        if (r < 0)
            fail_json(x, r);
    }
}

/* What a PATCH without a mask of its own changes: the fields that its body names. */
static int put_mask(struct exchange *x)
{
    static const char name[] = "update_mask";
    const struct desc_field *f = desc_field_by_name(x->route->method->input, name, sizeof name - 1);
    if (strcmp(x->method, "PATCH") != 0 || f == NULL || f->repeated || f->message == NULL ||
        f->message->wkt != DESC_FIELD_MASK || x->route->body == NULL || x->mask.size == 0 ||
        bind_has(&x->binder, f))
        return 0;
    wire_put_bytes(&x->wire, f->number, x->mask.data, x->mask.size);
    return x->wire.failed ? NRPC_E_NOMEM : 0;
}

/* If-Match becomes the `etag` of the resource in the body, or of the request (AIP-154): the server
 * compares. */
static int put_if_match(struct exchange *x, const struct desc_message *m)
{
    const struct desc_field *f = m == NULL ? NULL : desc_field_by_name(m, "etag", 4);
    struct http1_text header = exchange_header(x, "if-match");
    const char *tag;
    size_t size;
    if (header.data == NULL || f == NULL || f->repeated || f->type != DESC_STRING ||
        x->match_sent || (header.size == 1 && *header.data == '*') ||
        strcmp(x->method, "GET") == 0 || x->head_only)
        return 0;
    if (!etag_list_single(header.data, header.size, &tag, &size)) {
        exchange_fail_field(x, "If-Match", "must be one strong entity tag, or *", "");
        return NRPC_E_PROTO;
    }
    char *quoted = arena_get(&x->arena, size + 2);
    if (quoted == NULL)
        return NRPC_E_NOMEM;
    quoted[0] = quoted[size + 1] = '"';
    memcpy(quoted + 1, tag, size);
    wire_put_bytes(&x->wire, f->number, quoted, size + 2);
    x->match_sent = true;
    return 0;
}

static int assemble(struct exchange *x)
{
    const struct desc_field *body = x->route->body;
    const uint8_t *content = x->wire.data + (x->has_region ? x->region + 1 : 0);
    size_t size = x->wire.size - (x->has_region ? x->region + 1 : 0);
    int r = size > 0 && (x->has_region || x->route->body_all)
                ? bind_check_body(&x->binder, body, content, size)
                : 0;
    if (r == 0 && x->has_region)
        r = bind_write_below(&x->binder, body, &x->wire);
    if (r == 0 && x->has_region)
        r = put_if_match(x, body->message);
    if (x->has_region)
        wire_region_close(&x->wire, x->region);
    if (r == 0)
        r = bind_write_rest(&x->binder, body, &x->wire);
    if (r == 0)
        r = put_mask(x);
    if (r == 0)
        r = put_if_match(x, x->route->method->input);
    return r == 0 && x->wire.failed ? NRPC_E_NOMEM : r;
}

void request_finish(struct exchange *x)
{
    finish_body(x);
    if (x->failed)
        return;
    int r = assemble(x);
    if (r < 0)
        fail_bind(x, r);
}
