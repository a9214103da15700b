#include "gateway/exchange.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "gateway/access_log.h"
#include "gateway/cached.h"
#include "gateway/request.h"
#include "gateway/respond.h"
#include "gateway/rpcweb.h"
#include "gateway/socket.h"
#include "gateway/stream.h"
#include "gateway/throttle.h"
#include "gateway/upload.h"
#include "rpc/base/alloc.h"
#include "rpc/base/clock.h"
#include "rpc/base/log.h"

enum {
    DROP_BODY_MAX = 65536 /* a body that is read only to keep the connection */,
    SPARE_BYTES_MAX = 65536
};

/* ---- taking and giving back ------------------------------------------------------------ */

struct exchange *exchange_take(struct gateway_loop *gl, struct client *client)
{
    struct exchange *x = gl->spare;
    if (x != NULL) {
        gl->spare = x->next_spare;
        gl->n_spare--;
        http1_next(&x->http);
    } else {
        x = alloc_zero(1, sizeof *x);
        if (x == NULL)
            return NULL;
        arena_init(&x->arena, 2048);
        http1_init(&x->http);
    }
    x->gl = gl;
    x->client = client;
    x->next_spare = NULL;
    x->view = table_view_enter(gl->view);
    x->started_ns = loop_now_ns(gl->loop);
    x->keep_alive = true;
    return x;
}

static void exchange_free(struct exchange *x)
{
    http1_done(&x->http);
    arena_done(&x->arena);
    buf_done(&x->wire);
    buf_done(&x->mask);
    alloc_free(x);
}

void exchange_free_spares(struct gateway_loop *gl)
{
    while (gl->spare != NULL) {
        struct exchange *x = gl->spare;
        gl->spare = x->next_spare;
        exchange_free(x);
    }
    gl->n_spare = 0;
}

/* Memory that one large request needed does not stay. */
static void trim(struct buf *b)
{
    if (b->capacity > SPARE_BYTES_MAX)
        buf_done(b);
    else
        buf_reset(b);
}

void exchange_release(struct exchange *x)
{
    struct gateway_loop *gl = x->gl;
    if (x->body != NULL)
        to_wire_done(x->body);
    nrpc_msg_free(x->message);
    stream_done(x);
    upload_done(x);
    socket_done(x);
    form_done(x->form);
    table_view_leave(x->view);
    if (gl->n_spare == GATEWAY_SPARE_EXCHANGES || gl->draining) {
        exchange_free(x);
        return;
    }
    struct http1 *h = &x->http;
    trim(&h->head);
    trim(&h->line);
    trim(&x->wire);
    trim(&x->mask);
    arena_reset(&x->arena);
    struct buf wire = x->wire, mask = x->mask;
    struct arena arena = x->arena;
    /* All but the parser, which resets itself, and the memory that is kept. */
    memset(&x->arena, 0, sizeof *x - offsetof(struct exchange, arena));
    x->arena = arena;
    x->wire = wire;
    x->mask = mask;
    x->next_spare = gl->spare;
    gl->spare = x;
    gl->n_spare++;
}

static const char *route_label(const struct exchange *x)
{
    if (x->builtin != NULL)
        return x->builtin;
    return x->route == NULL ? "" : x->route->template_text;
}

static void write_log(const struct exchange *x)
{
    struct access_entry e = {
        .method = x->method,
        .route = route_label(x),
        .request_id = x->request_id,
        .peer = x->client == NULL ? "" : x->client->ops->peer(x->client),
        .status = x->status,
        .bytes = x->response_bytes,
        .duration_us = (clock_mono_ns() - x->started_ns) / 1000,
    };
    access_log_add(x->gl, &e);
}

void exchange_end(struct exchange *x)
{
    struct client *c = x->client;
    bool keep = x->keep_alive && x->http.keep_alive;
    write_log(x);
    exchange_release(x);
    if (c != NULL)
        c->ops->ended(c, keep);
}

void exchange_on_client_gone(struct exchange *x)
{
    if (x->status == 0)
        x->status = 499;
    cached_forget_client(x);
    if (x->call != NULL) {
        write_log(x);
        x->client = NULL;
        nrpc_call_cancel(x->call); /* on_end gives the exchange back */
        return;
    }
    if (x->method[0] != '\0')
        write_log(x);
    x->client = NULL;
    exchange_release(x);
}

/* ---- failing --------------------------------------------------------------------------- */

struct problem_context exchange_problem_context(const struct exchange *x)
{
    return (struct problem_context){
        .invalid_argument_code = x->rpc != RPC_NONE ? 0
                                 : x->route != NULL ? x->route->method->route->invalid_argument_code
                                 : x->builtin != NULL ? 422
                                                      : 0,
        .if_match = exchange_header(x, "if-match").data != NULL,
    };
}

bool exchange_is_legacy(const struct exchange *x)
{
    if (x->rpc == RPC_CONNECT_JSON || x->rpc == RPC_CONNECT_STREAM_JSON)
        return false; /* Connect's JSON is the standard mapping */
    if (x->route == NULL)
        return x->view->table->legacy;
    return x->route->method->route->dialect == NRPC__ROUTE_OPTIONS__DIALECT__DIALECT_LEGACY;
}

static void apply_switches(const struct exchange *x, struct json_style *s)
{
    const struct {
        bool *style;
        enum answer_switch by;
    } told[] = { { &s->defaults, SWITCH_DEFAULTS },
                 { &s->enum_numbers, SWITCH_ENUM_NUMBERS },
                 { &s->long_numbers, SWITCH_LONG_NUMBERS },
                 { &s->proto_names, SWITCH_PROTO_NAMES } };
    *s = to_json_style(exchange_is_legacy(x) ? JSON_LEGACY : JSON_STANDARD);
    for (size_t i = 0; i < sizeof told / sizeof *told; i++)
        if (x->binder.switches[told[i].by] != SWITCH_UNSET)
            *told[i].style = x->binder.switches[told[i].by] == SWITCH_ON;
}

struct to_json *exchange_json(struct exchange *x)
{
    struct to_json *json = &x->gl->json[exchange_is_legacy(x) ? JSON_LEGACY : JSON_STANDARD];
    json->pool = x->view->table->pool;
    json->filter = x->filter;
    apply_switches(x, &json->style);
    return json;
}

struct http1_text exchange_header(const struct exchange *x, const char *name)
{
    return http1_find(&x->http, name);
}

void exchange_fail(struct exchange *x, int status, nrpc_code code, const char *reason,
                   const char *format, ...)
{
    va_list args;
    struct buf text = { 0 };
    if (x->failed)
        return;
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    const char *detail =
        arena_strndup(&x->arena, (const char *) text.data, text.failed ? 0 : text.size);
    buf_done(&text);
    x->failed = true;
    x->problem = (struct problem){ .status = status,
                                   .code = code,
                                   .own = true,
                                   .reason = reason,
                                   .detail = detail == NULL ? problem_phrase(status) : detail };
    if (status == 503)
        x->problem.retry_after_s = 1;
}

void exchange_fail_field(struct exchange *x, const char *field, const char *message,
                         const char *where)
{
    struct problem_context c = exchange_problem_context(x);
    if (x->failed)
        return;
    exchange_fail(x, problem_http_status(NRPC_INVALID_ARGUMENT, &c), NRPC_INVALID_ARGUMENT,
                  "INVALID_ARGUMENT", "%s%s%s%s", field, *field == '\0' ? "" : ": ", message,
                  where);
    problem_add_field(&x->problem, &x->arena, *field == '\0' ? "body" : field, message);
}

/* ---- the head -------------------------------------------------------------------------- */

/* UUIDv7 (RFC 9562): milliseconds, then random bits. */
static void mint_request_id(struct exchange *x)
{
    static _Thread_local uint8_t pool[256];
    static _Thread_local size_t left;
    uint8_t b[16];
    uint64_t ms = clock_wall_ns() / 1000000;
    if (left < 10) {
        left = getrandom(pool, sizeof pool, GRND_NONBLOCK) == sizeof pool ? sizeof pool : 0;
        if (left == 0) { /* the clock still tells requests apart */
            uint64_t ns = clock_mono_ns();
            memcpy(pool, &ns, sizeof ns);
            left = 16;
        }
    }
    left -= 10;
    memcpy(b + 6, pool + left, 10);
    for (int i = 0; i < 6; i++)
        b[i] = (uint8_t) (ms >> (40 - 8 * i));
    b[6] = (uint8_t) (0x70 | (b[6] & 0x0f));
    b[8] = (uint8_t) (0x80 | (b[8] & 0x3f));
    static const char hex[] = "0123456789abcdef";
    char *to = x->request_id;
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *to++ = '-';
        *to++ = hex[b[i] >> 4];
        *to++ = hex[b[i] & 15];
    }
    *to = '\0';
}

static void set_request_id(struct exchange *x)
{
    struct http1_text id = exchange_header(x, "x-request-id");
    bool usable = id.data != NULL && id.size > 0 && id.size <= REQUEST_ID_MAX;
    for (size_t i = 0; usable && i < id.size; i++)
        usable = id.data[i] > 0x20 && id.data[i] < 0x7f;
    if (!usable) {
        mint_request_id(x);
        return;
    }
    memcpy(x->request_id, id.data, id.size);
    x->request_id[id.size] = '\0';
}

static void set_encoding(struct exchange *x)
{
    struct http1_text header = exchange_header(x, "accept-encoding");
    if (header.data != NULL && x->gl->gateway->settings.compression)
        x->encoding = encoding_choose(header.data, header.size);
}

bool exchange_has_body(const struct exchange *x)
{
    return x->http.chunked || x->http.content_length > 0;
}

void exchange_fail_too_large(struct exchange *x)
{
    uint64_t max = x->gl->gateway->settings.max_body_bytes;
    exchange_fail(x, 413, NRPC_RESOURCE_EXHAUSTED, "BODY_TOO_LARGE",
                  "the body is larger than the limit of %llu bytes%s%s%s%s",
                  (unsigned long long) max, x->route == NULL ? "" : " for ",
                  x->route == NULL ? "" : x->method, x->route == NULL ? "" : " ",
                  x->route == NULL ? "" : x->route->template_text);
    x->keep_alive = false;
}

static const char *allow_header(struct exchange *x)
{
    struct buf b = { 0 };
    buf_puts(&b, "Allow: ");
    for (size_t i = 0; i < x->match.n_allowed; i++) {
        const char *method = x->match.allowed[i]->http_method;
        buf_printf(&b, "%s, ", method);
        if (strcmp(method, "GET") == 0)
            buf_puts(&b, "HEAD, ");
    }
    buf_puts(&b, "OPTIONS\r\n");
    const char *line = arena_strndup(&x->arena, (const char *) b.data, b.failed ? 0 : b.size);
    buf_done(&b);
    return line;
}

static void find_route(struct exchange *x)
{
    struct http1_text path = http1_path(&x->http);
    switch (route_match(x->view->table->router, x->method, path.data, path.size, &x->match)) {
    case ROUTE_FOUND:
        x->route = x->match.route;
        return;
    case ROUTE_WRONG_METHOD:
        x->route = rpcweb_find_get(x);
        if (x->route != NULL)
            return;
        exchange_fail(x, 405, NRPC_UNIMPLEMENTED, "METHOD_NOT_ALLOWED", "%s is not allowed on %.*s",
                      x->method, (int) (path.size > 200 ? 200 : path.size), path.data);
        x->problem.headers = allow_header(x);
        return;
    default:
        exchange_fail(x, 404, NRPC_NOT_FOUND, "NOT_FOUND", "%.*s not found",
                      (int) (path.size > 200 ? 200 : path.size), path.data);
    }
}

/* A method of RFC 9110 or 5789, or one that a rule of ours names: it may be refused somewhere, but
 * not for what it is. */
static bool method_known(const struct exchange *x)
{
    static const char *const names[] = { "GET",    "POST",    "HEAD",  "PUT",    "PATCH",
                                         "DELETE", "OPTIONS", "TRACE", "CONNECT" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(x->method, names[i]) == 0)
            return true;
    const struct router *r = x->view->table->router;
    for (size_t i = 0; i < router_count(r); i++) {
        const char *name = router_at(r, i)->http_method;
        if (strcmp(name, x->method) == 0 || strcmp(name, "*") == 0)
            return true;
    }
    return false;
}

void exchange_on_head(struct exchange *x)
{
    struct http1_text method = http1_method(&x->http);
    size_t n = method.size < sizeof x->method - 1 ? method.size : sizeof x->method - 1;
    memcpy(x->method, method.data, n);
    x->method[n] = '\0';
    x->head_only = strcmp(x->method, "HEAD") == 0;
    set_request_id(x);
    set_encoding(x);
    if (n < method.size || !method_known(x))
        exchange_fail(x, 501, NRPC_UNIMPLEMENTED, "METHOD_UNKNOWN", "the method is not known");
    if (!x->failed && !x->client->socket && builtin_serve(x))
        return;
    if (!x->failed)
        throttle(x);
    if (!x->failed && x->builtin == NULL && !x->client->socket && cached_serve(x))
        return;
    if (!x->failed && x->body_kind != BODY_KEPT && !socket_wanted(x)) {
        find_route(x);
        bool binary = !x->failed && rpcweb_wanted(x);
        if (binary && rpcweb_is_framed(x))
            stream_start(x, STREAM_GRPC_WEB);
        if (binary && !x->failed && x->route->method->client_streaming)
            upload_open(x);
        if (!x->failed && !binary)
            request_open(x);
    }
    if (!x->failed) {
        if (x->http.expect_continue && exchange_has_body(x) && !x->client->framed) {
            buf_puts(client_tail(x->client), "HTTP/1.1 100 Continue\r\n\r\n");
            client_flush(x->client);
        }
        return;
    }
    x->body_kind = BODY_DROPPED;
    if (!exchange_has_body(x))
        return; /* answered when the request is whole, which is at once */
    if (x->http.expect_continue || x->http.chunked || x->http.content_length > DROP_BODY_MAX) {
        x->keep_alive = false;
        respond_problem(x);
        exchange_end(x);
    }
}

/* ---- the body -------------------------------------------------------------------------- */

void exchange_on_body(struct exchange *x, const char *data, size_t size)
{
    if (x->upload.active) {
        upload_on_body(x, data, size);
        return;
    }
    x->body_bytes += size;
    if (x->body_bytes > x->gl->gateway->settings.max_body_bytes) {
        x->failed = false; /* the size is what the client must hear about */
        exchange_fail_too_large(x);
        respond_problem(x);
        exchange_end(x);
        return;
    }
    if (!x->failed && x->body_kind == BODY_KEPT)
        buf_put(&x->wire, data, size);
    else if (!x->failed)
        request_put_body(x, data, size);
}

void exchange_on_whole(struct exchange *x)
{
    if (x->upload.active && x->call != NULL) {
        upload_on_whole(x);
        return;
    }
    if (x->socket.active) {
        socket_open(x);
        return;
    }
    if (!x->failed && x->body_kind == BODY_KEPT && x->rpc == RPC_NONE) {
        cached_invalidate(x);
        return;
    }
    if (!x->failed && x->body_kind == BODY_KEPT)
        rpcweb_finish(x);
    else if (!x->failed)
        request_finish(x);
    if (!x->failed)
        exchange_call(x);
    if (x->failed && x->call == NULL) {
        respond_problem(x);
        exchange_end(x);
    }
}

void exchange_on_bad(struct exchange *x, int status, const char *reason)
{
    if (x->request_id[0] == '\0')
        mint_request_id(x);
    x->keep_alive = false;
    if (x->status != 0) { /* its head is out: it must not look whole */
        x->client->ops->abort(x->client);
        return;
    }
    x->failed = false;
    if (x->call == NULL)
        x->route = NULL;
    const char *code = status == 408   ? "REQUEST_TIMEOUT"
                       : status == 503 ? "OUT_OF_MEMORY"
                                       : "MALFORMED_REQUEST";
    exchange_fail(x, status, NRPC_INVALID_ARGUMENT, code, "%s", reason);
    if (x->call != NULL) { /* of a stream of messages: its end answers */
        x->upload.over = true;
        nrpc_call_cancel(x->call);
        return;
    }
    respond_problem(x);
    exchange_end(x);
}

void exchange_on_tunnel(struct exchange *x, const uint8_t *data, size_t size)
{
    (void) socket_on_bytes(x, data, size);
}

void exchange_on_drained(struct exchange *x)
{
    if (x->stream.open)
        stream_on_drained(x);
}

bool exchange_is_stream(const struct exchange *x)
{
    return x->socket.active || rpcweb_is_framed(x) ||
           (x->route != NULL && x->route->method->server_streaming);
}
