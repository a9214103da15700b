/* call.c — from a whole request to the RPC: metadata, deadline, the call and its events. */
#include <string.h>

#include "gateway/accept.h"
#include "gateway/exchange.h"
#include "gateway/respond.h"
#include "gateway/socket.h"
#include "gateway/stream.h"
#include "gateway/throttle.h"
#include "gateway/upload.h"
#include "rpc/base/log.h"

enum { STREAM_CREDITS = 16 };

/* ---- what headers say about the request ------------------------------------------------ */

static uint64_t read_digits(const char **at, size_t *left, size_t max)
{
    uint64_t value = 0;
    for (; *left > 0 && max > 0 && **at >= '0' && **at <= '9'; ++*at, --*left, max--)
        value = value * 10 + (uint64_t) (**at - '0');
    return value;
}

/* "10S", "250m": gRPC's own form.  False when it is none. */
static bool grpc_timeout_ms(struct http1_text t, uint64_t *out_ms)
{
    static const char units[] = "HMSmun";
    static const uint64_t ns[] = { 3600000000000, 60000000000, 1000000000, 1000000, 1000, 1 };
    const char *at = t.data;
    size_t left = t.size;
    uint64_t value = read_digits(&at, &left, 8);
    const char *unit = at > t.data && left == 1 && *at != '\0' ? strchr(units, *at) : NULL;
    if (unit == NULL)
        return false;
    uint64_t factor = ns[unit - units];
    *out_ms =
        value > UINT64_MAX / 2 / factor ? UINT64_MAX / 2 : (value * factor + 999999) / 1000000;
    return true;
}

/* Seconds with an optional fraction. */
static bool seconds_ms(struct http1_text t, uint64_t *out_ms)
{
    const char *at = t.data;
    size_t left = t.size;
    uint64_t ms = read_digits(&at, &left, 6) * 1000;
    if (at == t.data)
        return false;
    if (left > 1 && *at == '.') {
        at++;
        left--;
        for (uint64_t unit = 100; left > 0 && *at >= '0' && *at <= '9'; at++, left--, unit /= 10)
            ms += (uint64_t) (*at - '0') * unit;
    }
    *out_ms = ms;
    return left == 0 && ms > 0;
}

static bool milliseconds(struct http1_text t, uint64_t *out_ms)
{
    const char *at = t.data;
    size_t left = t.size;
    *out_ms = read_digits(&at, &left, 10);
    return at > t.data && left == 0;
}

/* What the client allows, within what we do; 0: no deadline.  False: its header cannot be read,
 * which is recorded; to take that for no limit would undo the default one. */
static bool find_timeout(struct exchange *x, uint64_t *out_ms)
{
    static const struct {
        const char *name;
        bool (*read)(struct http1_text t, uint64_t *out_ms);
        const char *form;
    } headers[] = {
        { "grpc-timeout", grpc_timeout_ms, "must be up to 8 digits and one of H M S m u n: 250m" },
        { "connect-timeout-ms", milliseconds, "must be up to 10 digits: 250" },
        { "x-request-timeout", seconds_ms, "must be seconds over 0: 2.5" },
        { "x-server-timeout", seconds_ms, "must be seconds over 0: 2.5" },
    };
    const struct gateway_settings *s = &x->gl->gateway->settings;
    *out_ms = exchange_is_stream(x) || x->upload.active ? 0 : s->timeout_ms;
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        struct http1_text t = exchange_header(x, headers[i].name);
        uint64_t ms;
        if (t.data == NULL)
            continue;
        if (!headers[i].read(t, &ms)) {
            exchange_fail_field(x, headers[i].name, headers[i].form, "");
            return false;
        }
        *out_ms = ms == 0 ? 1 : ms > s->timeout_max_ms ? s->timeout_max_ms : ms;
        return true;
    }
    return true;
}

/* Who asks, for whom and how, as far as we know or a proxy that we trust says. */
static void add_forwarded(struct exchange *x, nrpc_metadata *md)
{
    static const char *const keys[] = { "x-forwarded-for", "x-forwarded-host",
                                        "x-forwarded-proto" };
    nrpc_slice values[3];
    throttle_forwarded(x, values);
    for (size_t i = 0; i < 3; i++)
        if (values[i].size > 0)
            nrpc_metadata_add(md, keys[i], values[i]);
}

/* Headers that servers may see; all others stay here. */
static void add_metadata(struct exchange *x)
{
    static const struct {
        const char *header, *key;
    } passed[] = {
        { "authorization", "authorization" },
        { "idempotency-key", "idempotency-key" },
        { "traceparent", "traceparent" },
        { "tracestate", "tracestate" },
        { "baggage", "baggage" },
        { "accept-language", "accept-language" },
        { "if-match", "if-match" },
        { "user-agent", "x-forwarded-user-agent" },
    };
    nrpc_metadata *md = nrpc_call_headers_out(x->call);
    if (md == NULL)
        return; /* the call has failed already; its end is on the way */
    nrpc_metadata_add_string(md, "x-request-id", x->request_id);
    add_forwarded(x, md);
    for (size_t i = 0; i < sizeof passed / sizeof *passed; i++) {
        struct http1_text v = exchange_header(x, passed[i].header);
        /* A value that gRPC cannot carry is left out, as if the client had not sent it. */
        if (v.data != NULL && v.size > 0)
            nrpc_metadata_add(md, passed[i].key, (nrpc_slice){ (const uint8_t *) v.data, v.size });
    }
}

/* "Accept: text/markdown" fills the field that says so, unless the request already does. */
static int set_accept_field(struct exchange *x)
{
    static const char *const types[] = { "text/markdown", "text/plain", "text/html",
                                         "application/epub+zip" };
    static const char *const formats[] = { "markdown", "text", "html", "epub" };
    const char *name = x->route->method->route->accept_field;
    const struct desc_field *f = desc_field_by_name(x->route->method->input, name, strlen(name));
    struct http1_text accept = exchange_header(x, "accept");
    if (*name == '\0' || f == NULL || f->type != DESC_STRING || accept.data == NULL ||
        bind_has(&x->binder, f))
        return 0;
    struct accept_choice c = accept_choose(accept.data, accept.size, types, 4);
    if (c.index < 0 || c.specificity == 0)
        return 0;
    const char *format = formats[c.index];
    wire_put_bytes(&x->wire, f->number, format, strlen(format));
    return x->wire.failed ? NRPC_E_NOMEM : 0;
}

/* ---- events of the call ---------------------------------------------------------------- */

static void on_headers(nrpc_call *c, void *state)
{
    struct exchange *x = state;
    (void) c;
    if (x->client != NULL && !x->failed && exchange_is_stream(x))
        stream_on_headers(x);
}

static void on_message(nrpc_call *c, void *state, nrpc_msg *m)
{
    struct exchange *x = state;
    (void) c;
    if (x->client == NULL || x->failed) {
        nrpc_msg_free(m);
    } else if (exchange_is_stream(x)) {
        stream_on_message(x, m);
    } else {
        nrpc_msg_free(x->message);
        x->message = m;
    }
}

static void log_server_error(const struct exchange *x, const nrpc_status *st)
{
    log_event(LOG_LEVEL_ERROR, "server_error", LOG_S("request_id", x->request_id),
              LOG_S("method", x->route->method->path), LOG_S("code", nrpc_code_name(st->code)),
              LOG_S("message", st->message == NULL ? "" : st->message));
}

static void end_unary(struct exchange *x, const nrpc_status *st)
{
    if (!x->failed && st->code == NRPC_OK && x->message != NULL) {
        respond_message(x);
    } else {
        static const nrpc_status empty = { .code = NRPC_INTERNAL };
        struct problem_context c = exchange_problem_context(x);
        if (!x->failed)
            problem_from_status(&x->problem, st->code == NRPC_OK ? &empty : st, &c, &x->arena);
        x->failed = true;
        respond_problem(x);
    }
    exchange_end(x);
}

static void on_writable(nrpc_call *c, void *state)
{
    struct exchange *x = state;
    (void) c;
    if (x->socket.active)
        socket_on_writable(x);
    else if (x->upload.active)
        upload_on_writable(x);
}

static void on_end(nrpc_call *c, void *state, const nrpc_status *st)
{
    struct exchange *x = state;
    x->call = NULL;
    x->leaders = nrpc_call_headers_in(c);
    x->trailers = nrpc_call_trailers_in(c);
    if (x->upload.active && !x->upload.whole) {
        x->upload.over = true;
        x->keep_alive = false; /* the rest of its body is not read */
    }
    if (st->code == NRPC_INTERNAL || st->code == NRPC_UNKNOWN || st->code == NRPC_DATA_LOSS)
        log_server_error(x, st);
    if (x->client == NULL) {
        exchange_release(x);
    } else if (exchange_is_stream(x)) {
        stream_on_end(x, st);
    } else {
        end_unary(x, st);
    }
}

static int start(struct exchange *x)
{
    static const nrpc_events events = { .on_headers = on_headers,
                                        .on_message = on_message,
                                        .on_writable = on_writable,
                                        .on_end = on_end };
    const nrpc_method *method = table_method(x->view->table, x->route->method);
    nrpc_channel *channel = gateway_loop_channel(x->gl);
    nrpc_call_options o = { .wait_for_ready = x->stream.resumed };
    if (!find_timeout(x, &o.timeout_ms))
        return NRPC_E_INVAL;
    int r = channel == NULL ? NRPC_E_NOMEM
                            : nrpc_channel_start(channel, method, &o, &events, x, &x->call);
    if (r < 0) {
        x->call = NULL;
        exchange_fail(x, 503, NRPC_UNAVAILABLE, r == NRPC_E_FULL ? "OVERLOADED" : "UNAVAILABLE",
                      r == NRPC_E_FULL ? "too many requests wait for the server already"
                                       : "the server cannot take the request now");
        return r;
    }
    add_metadata(x);
    return 0;
}

void exchange_start_call(struct exchange *x)
{
    if (start(x) == 0 && exchange_is_stream(x))
        nrpc_call_want(x->call, STREAM_CREDITS - 1);
}

void exchange_call(struct exchange *x)
{
    if (set_accept_field(x) < 0)
        exchange_fail(x, 503, NRPC_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY",
                      "the gateway is out of memory");
    if (x->failed || start(x) < 0)
        return;
    int r = nrpc_call_send_bytes(x->call, (nrpc_slice){ x->wire.data, x->wire.size });
    if (r >= 0)
        r = nrpc_call_half_close(x->call);
    if (r == NRPC_E_STATE || r == NRPC_E_CLOSED)
        return;  /* it has ended already (the server is unreachable): on_end tells why */
    if (r < 0) { /* on_end answers with this problem */
        exchange_fail(x, r == NRPC_E_TOOBIG ? 413 : 503, NRPC_RESOURCE_EXHAUSTED,
                      r == NRPC_E_TOOBIG ? "BODY_TOO_LARGE" : "UNAVAILABLE",
                      "the request could not be sent to the server");
        nrpc_call_cancel(x->call);
        return;
    }
    if (exchange_is_stream(x))
        nrpc_call_want(x->call, STREAM_CREDITS - 1);
}
