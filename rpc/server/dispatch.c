/* From a request's header block to a handler: HTTP rules first (method, content-type), then gRPC's
 * (path, encoding, timeout, metadata), then the call. */
#include <string.h>

#include "rpc/base/alloc.h"
#include "rpc/grpc/compress.h"
#include "rpc/grpc/headers.h"
#include "rpc/server/inner.h"

/* ---- answers without a call
 * ---------------------------------------------------------------------- */
static const struct h2_stream_events no_events = { 0 };

/* Plain HTTP: a status and a line of text. */
struct http_answer {
    struct h2_queue queue;
};

static void on_answer_close(void *user, uint32_t error_code)
{
    (void) error_code;
    struct http_answer *a = user;
    h2_queue_clear(&a->queue);
    alloc_free(a);
}
static const struct h2_stream_events answer_events = { .on_close = on_answer_close };

static void answer_http(struct h2_stream *st, const char *status, const struct h2_field *extra,
                        const char *text, bool is_head)
{
    struct h2_field fields[4] = {
        { ":status", status, 7, (uint32_t) strlen(status) },
        H2_FIELD("content-type", "text/plain; charset=utf-8"),
    };
    size_t n = 2;
    if (extra != NULL)
        fields[n++] = *extra;
    struct http_answer *a = alloc_zero(1, sizeof *a);
    if (a == NULL) {
        h2_stream_reset(st, H2_INTERNAL_ERROR);
        return;
    }
    h2_queue_init(&a->queue);
    h2_stream_bind(st, &answer_events, a);
    if (is_head) {
        if (h2_stream_respond(st, fields, n, true, NULL) < 0)
            h2_stream_reset(st, H2_INTERNAL_ERROR);
        return;
    }
    if (h2_queue_put(&a->queue, text, strlen(text)) < 0 ||
        h2_stream_respond(st, fields, n, false, &a->queue) < 0 || h2_stream_finish(st, NULL, 0) < 0)
        h2_stream_reset(st, H2_INTERNAL_ERROR);
}

/* Trailers-only, for a call that no handler sees.  text is ours, printable ASCII without '%'. */
static void answer_status(struct h2_stream *st, nrpc_code code, const char *text)
{
    char digits[3] = { (char) ('0' + code % 10) };
    if (code >= 10)
        memcpy(digits, (char[3]){ (char) ('0' + code / 10), (char) ('0' + code % 10) }, 3);
    const struct h2_field fields[] = {
        H2_FIELD(":status", "200"),
        H2_FIELD("content-type", "application/grpc"),
        H2_FIELD("grpc-accept-encoding", COMPRESS_ACCEPT),
        { "grpc-status", digits, 11, (uint32_t) strlen(digits) },
        { "grpc-message", text, 12, (uint32_t) strlen(text) },
    };
    h2_stream_bind(st, &no_events, NULL);
    if (h2_stream_respond(st, fields, ARRAY_SIZE(fields), true, NULL) < 0)
        h2_stream_reset(st, H2_INTERNAL_ERROR);
}

/* The text behind a status that request_head_end chose. */
static void answer_refusal(struct h2_stream *st, int http_status, bool is_head)
{
    static const struct h2_field allow = H2_FIELD("allow", "POST");
    switch (http_status) {
    case 405:
        answer_http(st, "405", &allow, "gRPC requests are POST\n", is_head);
        break;
    case 404:
        answer_http(st, "404", NULL, "the path names no method\n", is_head);
        break;
    default:
        answer_http(st, "415", NULL,
                    "this port speaks gRPC: content-type must be application/grpc\n", is_head);
        break;
    }
}

/* ---- the call
 * ------------------------------------------------------------------------------------ */
/* Is the part of the path between the slashes a service that we have? */
static bool is_service(const nrpc_server *s, const char *path)
{
    const char *name = path + 1, *slash = strchr(name, '/');
    return slash != NULL && map_get(&s->services, name, (size_t) (slash - name)) != NULL;
}

/* The method's entry, or NULL and *st. */
static const struct server_method *find_method(const nrpc_server *s, const char *path,
                                               nrpc_status *st)
{
    const struct server_method *m = map_get(&s->methods, path, strlen(path));
    if (m != NULL && (m->handler.request != NULL || m->handler.stream != NULL))
        return m;
    nrpc_status_set(st, NRPC_UNIMPLEMENTED, "%s %s",
                    m != NULL             ? "not implemented yet:"
                    : is_service(s, path) ? "unknown method"
                                          : "unknown service of",
                    path);
    return NULL;
}

/* Interceptors, then the handler's on_start; *st says whether the call goes on. */
static void start_handler(nrpc_call *c, nrpc_status *st)
{
    if (call_begin(c, st) != NRPC_OK || c->handler != NULL)
        return;
    c->announced = true;
    if (c->events->on_start == NULL)
        return;
    nrpc_code code = c->events->on_start(c, c->service_ctx, &c->state, st);
    if (code != NRPC_OK && st->code == NRPC_OK)
        nrpc_status_set(st, code, "%s", "");
    else if (code == NRPC_OK)
        nrpc_status_clear(st);
}

/* The protocol's own checks of the head.  False when the stream was answered and c is gone. */
static bool read_head(nrpc_call *c, struct h2_stream *st, const struct h2_field *fields, size_t n,
                      bool too_big, nrpc_status *status)
{
    c->headers_in = call_metadata_new(c);
    if (c->headers_in == NULL) {
        nrpc_status_set(status, NRPC_RESOURCE_EXHAUSTED, "out of memory");
        return true;
    }
    struct request_head head;
    request_head_init(&head, c->headers_in);
    for (size_t i = 0; i < n; i++) {
        nrpc_slice name = { (const uint8_t *) fields[i].name, fields[i].name_size };
        nrpc_slice value = { (const uint8_t *) fields[i].value, fields[i].value_size };
        if (request_head_field(&head, name, value) < 0)
            break;
    }
    int http_status = 0;
    enum head_outcome outcome = request_head_end(&head, &http_status, status);
    if (outcome == HEAD_HTTP && !(too_big && http_status != 405)) {
        call_discard(c);
        answer_refusal(st, http_status, head.is_head);
        return false;
    }
    if (head.path != NULL)
        c->path = head.path;
    c->in.frames.encoding = head.encoding;
    c->accepts = head.accepts;
    if (too_big) {
        nrpc_status_set(status, NRPC_RESOURCE_EXHAUSTED,
                        "the metadata is over the limit of %u bytes, %u fields",
                        c->limits->max_metadata_bytes, c->limits->max_metadata_fields);
    } else if (outcome == HEAD_ACCEPT) {
        uint64_t at = loop_now_ns(c->loop);
        call_arm_deadline(c, head.timeout_ns > UINT64_MAX - 1 - at ? UINT64_MAX
                                                                   : at + head.timeout_ns);
    }
    return true;
}

static void on_call_gone(nrpc_call *c, void *owner)
{
    struct call_totals *totals = owner;
    if (c->end.code == NRPC_OK)
        totals->succeeded++;
    else
        totals->failed++;
}

void dispatch_on_request(void *owner, struct h2_stream *st, const struct h2_field *fields, size_t n,
                         bool end, bool too_big)
{
    (void) end; /* the stream's on_end follows */
    struct server_conn *conn = owner;
    nrpc_server *s = conn->sl->server;
    static const nrpc_events refused = { 0 };
    const struct call_options o = {
        .loop = conn->sl->loop,
        .server = true,
        .peer = h2_conn_peer(conn->h2),
        .peer_subject = h2_conn_peer_subject(conn->h2),
        .limits = &s->limits,
        .interceptors = &s->interceptors,
        .budget = &conn->budget,
        .events = &refused,
        .on_gone = on_call_gone,
        .owner = &conn->sl->calls,
    };
    nrpc_call *c;
    struct call_totals *totals = &conn->sl->calls;
    nrpc_status status = NRPC_STATUS_INIT;
    if (call_new(&o, &c) < 0) {
        answer_status(st, NRPC_RESOURCE_EXHAUSTED, "out of memory");
        return;
    }
    if (!read_head(c, st, fields, n, too_big, &status))
        return;
    totals->started++;
    totals->last_started_ns = loop_now_ns(conn->sl->loop);
    list_add_tail(&conn->calls, &c->link);
    c->stream = st;
    h2_stream_bind(st, &call_server_stream, c);
    const struct server_method *m =
        status.code == NRPC_OK ? find_method(s, c->path, &status) : NULL;
    if (m != NULL) {
        c->method = m->method;
        c->service_ctx = m->service_ctx;
        call_configure(c, m->settings);
        c->handler = m->handler.request != NULL ? &m->handler : NULL;
        c->events = c->handler != NULL ? &call_request_events : m->handler.stream;
        start_handler(c, &status);
    }
    if (status.code != NRPC_OK)
        call_end_here(c, &status);
}
