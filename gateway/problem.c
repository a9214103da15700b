#include "gateway/problem.h"

#include <string.h>

#include "gateway/json_writer.h"
#include "gateway/reasons.h"
#include "gateway/wire.h"
#include "rpc/base/check.h"

enum { FIELDS_MAX = 100, RETRY_MAX_S = 86400 };

const char *problem_phrase(int http_status)
{
    static const struct {
        int status;
        const char *phrase;
    } known[] = {
        { 200, "OK" },
        { 201, "Created" },
        { 202, "Accepted" },
        { 204, "No Content" },
        { 304, "Not Modified" },
        { 400, "Bad Request" },
        { 401, "Unauthorized" },
        { 403, "Forbidden" },
        { 404, "Not Found" },
        { 405, "Method Not Allowed" },
        { 406, "Not Acceptable" },
        { 408, "Request Timeout" },
        { 409, "Conflict" },
        { 412, "Precondition Failed" },
        { 413, "Content Too Large" },
        { 414, "URI Too Long" },
        { 415, "Unsupported Media Type" },
        { 417, "Expectation Failed" },
        { 422, "Unprocessable Entity" },
        { 426, "Upgrade Required" },
        { 429, "Too Many Requests" },
        { 431, "Request Header Fields Too Large" },
        { 499, "Client Closed Request" },
        { 500, "Internal Server Error" },
        { 501, "Not Implemented" },
        { 502, "Bad Gateway" },
        { 503, "Service Unavailable" },
        { 504, "Gateway Timeout" },
        { 505, "HTTP Version Not Supported" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(known); i++)
        if (known[i].status == http_status)
            return known[i].phrase;
    return http_status < 300 ? "OK" : http_status < 500 ? "Error" : "Server Error";
}

int problem_http_status(nrpc_code code, const struct problem_context *c)
{
    int invalid = c->invalid_argument_code == 0 ? 400 : c->invalid_argument_code;
    switch (code) {
    case NRPC_OK:
        return 200;
    case NRPC_CANCELLED:
        return 499;
    case NRPC_INVALID_ARGUMENT:
    case NRPC_OUT_OF_RANGE:
        return invalid;
    case NRPC_FAILED_PRECONDITION:
        return c->if_match ? 412 : 400;
    case NRPC_DEADLINE_EXCEEDED:
        return 504;
    case NRPC_NOT_FOUND:
        return 404;
    case NRPC_ALREADY_EXISTS:
        return 409;
    case NRPC_ABORTED:
        return c->if_match ? 412 : 409;
    case NRPC_PERMISSION_DENIED:
        return 403;
    case NRPC_UNAUTHENTICATED:
        return 401;
    case NRPC_RESOURCE_EXHAUSTED:
        return 429;
    case NRPC_UNIMPLEMENTED:
        return 501;
    case NRPC_UNAVAILABLE:
        return 503;
    default:
        return 500;
    }
}

/* ---- what the server added ------------------------------------------------------------- */

static void add_field(struct problem *p, struct arena *arena, nrpc_slice field, nrpc_slice message)
{
    struct problem_field **end = &p->fields;
    size_t n = 0;
    while (*end != NULL) {
        end = &(*end)->next;
        n++;
    }
    struct problem_field *f = n < FIELDS_MAX ? arena_zero(arena, 1, sizeof *f) : NULL;
    if (f == NULL)
        return;
    *f = (struct problem_field){ .field = (const char *) field.data,
                                 .message = (const char *) message.data,
                                 .field_size = field.size,
                                 .message_size = message.size };
    *end = f;
}

void problem_add_field(struct problem *p, struct arena *arena, const char *field,
                       const char *message)
{
    nrpc_slice f = { arena_copy(arena, field, strlen(field)), strlen(field) };
    nrpc_slice m = { arena_copy(arena, message, strlen(message)), strlen(message) };
    if (f.data != NULL && m.data != NULL)
        add_field(p, arena, f, m);
}

static nrpc_slice slice_of(const struct wire_field *f)
{
    return (nrpc_slice){ f->data, f->size };
}

/* The last field `number` of a message when it holds bytes. */
static nrpc_slice find_bytes(nrpc_slice message, uint32_t number)
{
    struct wire_reader r = wire_reader_of(message.data, message.size);
    nrpc_slice found = { (const uint8_t *) "", 0 };
    struct wire_field f;
    while (wire_next(&r, &f) > 0)
        if (f.number == number && f.type == WIRE_BYTES)
            found = slice_of(&f);
    return found;
}

static void read_bad_request(struct problem *p, struct arena *arena, nrpc_slice detail)
{
    struct wire_reader r = wire_reader_of(detail.data, detail.size);
    struct wire_field f;
    while (wire_next(&r, &f) > 0)
        if (f.number == 1 && f.type == WIRE_BYTES)
            add_field(p, arena, find_bytes(slice_of(&f), 1), find_bytes(slice_of(&f), 2));
}

static void read_error_info(struct problem *p, struct arena *arena, nrpc_slice detail)
{
    nrpc_slice reason = find_bytes(detail, 1);
    if (reason.size == 0 || reason.size > 63)
        return;
    for (size_t i = 0; i < reason.size; i++) {
        uint8_t c = reason.data[i];
        if (!((c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'))
            return;
    }
    const char *copy = arena_strndup(arena, (const char *) reason.data, reason.size);
    if (copy != NULL)
        p->reason = copy;
}

static void read_retry_info(struct problem *p, nrpc_slice detail)
{
    nrpc_slice delay = find_bytes(detail, 1);
    struct wire_reader r = wire_reader_of(delay.data, delay.size);
    struct wire_field f;
    uint64_t seconds = 0;
    bool fraction = false;
    while (wire_next(&r, &f) > 0) {
        if (f.number == 1 && f.type == WIRE_VARINT)
            seconds = f.value;
        if (f.number == 2 && f.type == WIRE_VARINT)
            fraction = f.value > 0;
    }
    if (seconds <= RETRY_MAX_S)
        p->retry_after_s = (uint32_t) seconds + fraction;
}

static bool is_type(nrpc_slice url, const char *name)
{
    size_t size = strlen(name);
    return url.size > size && url.data[url.size - size - 1] == '/' &&
           memcmp(url.data + url.size - size, name, size) == 0;
}

static void read_details(struct problem *p, struct arena *arena, nrpc_slice status)
{
    struct wire_reader r = wire_reader_of(status.data, status.size);
    struct wire_field f;
    while (wire_next(&r, &f) > 0) {
        if (f.number != 3 || f.type != WIRE_BYTES)
            continue;
        nrpc_slice url = find_bytes(slice_of(&f), 1), value = find_bytes(slice_of(&f), 2);
        if (is_type(url, "google.rpc.BadRequest"))
            read_bad_request(p, arena, value);
        else if (is_type(url, "google.rpc.ErrorInfo"))
            read_error_info(p, arena, value);
        else if (is_type(url, "google.rpc.RetryInfo"))
            read_retry_info(p, value);
    }
}

void problem_from_status(struct problem *p, const nrpc_status *st, const struct problem_context *c,
                         struct arena *arena)
{
    *p = (struct problem){ .code = st->code,
                           .status = problem_http_status(st->code, c),
                           .reason = nrpc_code_name(st->code) };
    p->detail =
        st->message == NULL || *st->message == '\0' ? problem_phrase(p->status) : st->message;
    p->details = (nrpc_slice){ st->details, st->details_size };
    if (st->details_size > 0)
        read_details(p, arena, p->details);
    if (p->status ==
        500) /* what went wrong inside stays inside: the log has it under the request's id */
        p->detail = "The server met an error of its own. Quote the request_id when you report it.";
    if (st->code == NRPC_RESOURCE_EXHAUSTED &&
        (strstr(p->reason, "TOO_LARGE") || strstr(p->reason, "TOO_BIG")))
        p->status = 413;
    if (st->code == NRPC_FAILED_PRECONDITION && strncmp(p->reason, "IDEMPOTENCY_", 12) == 0)
        p->status = 422;
    if (p->retry_after_s == 0 && (p->status == 429 || p->status == 503))
        p->retry_after_s = 1;
}

/* ---- text ------------------------------------------------------------------------------ */

static void put_member(struct buf *out, const char *key, const char *value)
{
    buf_printf(out, ",\"%s\":", key);
    json_put_lossy(out, value, strlen(value));
}

static bool is_word(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

void problem_put_path(struct buf *out, const struct desc_message *m, nrpc_slice path, bool json)
{
    bool key = false; /* the next word is one of a map */
    for (size_t at = 0; at < path.size;) {
        size_t start = at;
        while (at < path.size && is_word(path.data[at]))
            at++;
        const char *word = (const char *) path.data + start;
        const struct desc_field *f =
            at == start || m == NULL || key ? NULL : desc_field_by_name(m, word, at - start);
        if (f != NULL)
            buf_puts(out, json ? f->json_name : f->name);
        else
            buf_put(out, word, at - start);
        if (at > start && !key) {
            m = f == NULL ? NULL : f->message;
            key = f != NULL && f->map;
        } else if (at > start) {
            key = false;
        }
        if (key || (m != NULL && m->map_entry))
            m = m == NULL || desc_field_by_number(m, 2) == NULL
                    ? NULL
                    : desc_field_by_number(m, 2)->message;
        bool index = at < path.size && path.data[at] == '[';
        start = at;
        while (at < path.size && (index || !is_word(path.data[at]))) {
            if (index && path.data[at] == ']') {
                index = key = false;
            }
            at++;
        }
        buf_put(out, path.data + start, at - start);
    }
}

static void put_path(struct buf *out, const struct problem *p, const struct problem_field *f,
                     bool json)
{
    struct buf path = { 0 };
    problem_put_path(&path, p->input, (nrpc_slice){ (const uint8_t *) f->field, f->field_size },
                     json);
    json_put_lossy(out, path.size == 0 ? "" : (const char *) path.data, path.size);
    buf_done(&path);
}

static void put_field(struct buf *out, const struct problem *p, const struct problem_field *f)
{
    buf_puts(out, "{\"field\":");
    if (p->input == NULL)
        json_put_lossy(out, f->field, f->field_size);
    else
        put_path(out, p, f, false);
    if (p->input != NULL) {
        buf_puts(out, ",\"json_path\":");
        put_path(out, p, f, true);
    }
    buf_puts(out, ",\"message\":");
    json_put_lossy(out, f->message, f->message_size);
    buf_putc(out, '}');
}

void problem_put(struct buf *out, const struct problem *p, const char *instance,
                 const char *request_id)
{
    const char *phrase = problem_phrase(p->status);
    buf_puts(out, "{\"type\":\"about:blank\"");
    put_member(out, "title", phrase);
    buf_printf(out, ",\"status\":%d", p->status);
    put_member(out, "detail", p->detail);
    if (instance != NULL)
        put_member(out, "instance", instance);
    put_member(out, "error", phrase);
    put_member(out, "code", p->reason);
    put_member(out, "message", p->detail);
    if (request_id != NULL)
        put_member(out, "request_id", request_id);
    if (p->fields != NULL || p->status == 422) {
        buf_puts(out, ",\"fields\":[");
        for (const struct problem_field *f = p->fields; f != NULL; f = f->next) {
            put_field(out, p, f);
            if (f->next != NULL)
                buf_putc(out, ',');
        }
        buf_putc(out, ']');
    }
    buf_putc(out, '}');
}

/* The violations of a BadRequest in JSON names: its bytes again, with other paths. */
static void put_violations(struct buf *out, const struct problem *p, nrpc_slice request)
{
    struct wire_reader r = wire_reader_of(request.data, request.size);
    struct wire_field f, v;
    while (wire_next(&r, &f) > 0) {
        if (f.number != 1 || f.type != WIRE_BYTES)
            continue;
        struct wire_reader inner = wire_reader_of(f.data, f.size);
        const uint8_t *at = inner.at;
        wire_put_tag(out, 1, WIRE_BYTES);
        size_t violation = wire_region_open(out);
        for (; wire_next(&inner, &v) > 0; at = inner.at) {
            if (v.number != 1 || v.type != WIRE_BYTES) {
                buf_put(out, at, (size_t) (inner.at - at));
                continue;
            }
            wire_put_tag(out, 1, WIRE_BYTES);
            size_t path = wire_region_open(out);
            problem_put_path(out, p->input, slice_of(&v), true);
            wire_region_close(out, path);
        }
        wire_region_close(out, violation);
    }
}

static int put_detail(struct buf *out, const struct problem *p, nrpc_slice any,
                      struct to_json *json)
{
    nrpc_slice url = find_bytes(any, 1), value = find_bytes(any, 2);
    struct buf request = { 0 }, changed = { 0 };
    if (p->input == NULL || !is_type(url, "google.rpc.BadRequest"))
        return to_json_any(json, any.data, any.size, out);
    put_violations(&request, p, value);
    wire_put_bytes(&changed, 1, url.data, url.size);
    wire_put_bytes(&changed, 2, request.data, request.size);
    bool whole = !request.failed && !changed.failed;
    int r = whole ? to_json_any(json, changed.data, changed.size, out)
                  : to_json_any(json, any.data, any.size, out);
    buf_done(&request);
    buf_done(&changed);
    return r;
}

/* A detail that cannot be read is left out: the error itself must reach the client. */
static void put_details(struct buf *out, const struct problem *p, struct to_json *json)
{
    struct wire_reader r = wire_reader_of(p->details.data, p->details.size);
    struct wire_field f;
    bool first = true;
    while (wire_next(&r, &f) > 0) {
        if (f.number != 3 || f.type != WIRE_BYTES)
            continue;
        size_t before = out->size;
        if (!first)
            buf_putc(out, ',');
        if (put_detail(out, p, slice_of(&f), json) < 0)
            out->size = before;
        else
            first = false;
    }
}

static void put_own_details(struct buf *out, const struct problem *p)
{
    const struct reason *known = reason_find(p->reason);
    buf_puts(out, "{\"@type\":\"type.googleapis.com/google.rpc.ErrorInfo\"");
    put_member(out, "reason", p->reason);
    put_member(out, "domain", "novel-gateway");
    if (known != NULL) {
        buf_puts(out, ",\"metadata\":{\"help\":");
        json_put_lossy(out, known->help, strlen(known->help));
        buf_putc(out, '}');
    }
    buf_putc(out, '}');
    if (p->fields == NULL)
        return;
    buf_puts(out, ",{\"@type\":\"type.googleapis.com/google.rpc.BadRequest\","
                  "\"fieldViolations\":[");
    for (const struct problem_field *f = p->fields; f != NULL; f = f->next) {
        buf_puts(out, "{\"field\":");
        put_path(out, p, f, true);
        buf_puts(out, ",\"description\":");
        json_put_lossy(out, f->message, f->message_size);
        buf_puts(out, f->next == NULL ? "}" : "},");
    }
    buf_puts(out, "]}");
}

/* Behind what the server said, if anything. */
static void put_request_info(struct buf *out, const char *request_id)
{
    if (out->size > 0 && out->data[out->size - 1] != '[')
        buf_putc(out, ',');
    buf_puts(out, "{\"@type\":\"type.googleapis.com/google.rpc.RequestInfo\",\"requestId\":");
    json_put_lossy(out, request_id, strlen(request_id));
    buf_putc(out, '}');
}

void problem_put_status(struct buf *out, const struct problem *p, const char *request_id,
                        struct to_json *json)
{
    buf_printf(out, "{\"code\":%d", (int) p->code);
    put_member(out, "message", p->detail);
    buf_puts(out, ",\"details\":[");
    if (p->own)
        put_own_details(out, p);
    else
        put_details(out, p, json);
    if (p->status == 500 && request_id != NULL)
        put_request_info(out, request_id);
    buf_puts(out, "]}");
}
