/* Paths and operations. */
#include "gateway/openapi.h"

#include <stdio.h>
#include <string.h>

#include "gateway/json_writer.h"
#include "gateway/openapi_inner.h"
#include "gateway/switches.h"
#include "rpc/base/alloc.h"

enum { QUERY_DEPTH = 3, NAME_MAX_BYTES = 256 };

static bool is_legacy(const struct route *r)
{
    return r->method->route->dialect == NRPC__ROUTE_OPTIONS__DIALECT__DIALECT_LEGACY;
}

static bool is_http_body(const struct desc_message *m)
{
    return m != NULL && strcmp(m->full_name, "google.api.HttpBody") == 0;
}

/* ---- paths ----------------------------------------------------------------------------- */

/* The template with what stands in braces left out, so that two of the same shape are equal. */
static void put_shape(struct buf *b, const char *template)
{
    bool inside = false;
    for (; *template != '\0'; template ++) {
        if (*template == '{')
            inside = true;
        if (!inside || *template == '{' || *template == '}')
            buf_putc(b, *template);
        if (*template == '}')
            inside = false;
    }
}

static bool same_shape(const struct route *a, const struct route *b)
{
    struct buf x = { 0 }, y = { 0 };
    put_shape(&x, a->template_text);
    put_shape(&y, b->template_text);
    bool same = strcmp(buf_str(&x), buf_str(&y)) == 0;
    buf_done(&x);
    buf_done(&y);
    return same;
}

/* What a variable may look like ("{name=shelves/…}") is not part of OpenAPI's paths. */
static void put_path(struct openapi *o, const char *template)
{
    bool pattern = false;
    for (; *template != '\0'; template ++) {
        if (*template == '=')
            pattern = true;
        if (*template == '}')
            pattern = false;
        if (!pattern)
            buf_putc(o->out, *template);
    }
}

/* The name that the i-th variable of a template has in its path. */
static void path_variable_name(const char *template, size_t i, char name[static NAME_MAX_BYTES])
{
    const char *open = template;
    for (size_t k = 0; (open = strchr(open, '{')) != NULL && k < i; k++)
        open++;
    size_t n = open == NULL ? 0 : strcspn(open + 1, "=}");
    if (n >= NAME_MAX_BYTES)
        n = NAME_MAX_BYTES - 1;
    if (n > 0)
        memcpy(name, open + 1, n);
    name[n] = '\0';
}

/* ---- parameters ------------------------------------------------------------------------ */

static void begin_parameter(struct openapi *o, size_t *n, const char *name, const char *in,
                            bool required)
{
    buf_puts(o->out, (*n)++ == 0 ? ",\"parameters\":[{" : ",{");
    openapi_put_text(o, "name", name);
    buf_printf(o->out, ",\"in\":\"%s\"%s,\"schema\":", in, required ? ",\"required\":true" : "");
}

static bool is_bound(const struct route *r, const struct desc_field *const *path, size_t depth)
{
    for (size_t i = 0; i < r->n_variables; i++)
        if (r->variables[i].n_path == depth &&
            memcmp((const void *) r->variables[i].path, (const void *) path,
                   depth * sizeof *path) == 0)
            return true;
    return false;
}

/* Every field that a query may set: those of sub-messages by their path. */
static void put_query(struct openapi *o, const struct route *r, const struct desc_message *m,
                      const struct desc_field **path, size_t depth, const char *before, size_t *n)
{
    bool legacy = is_legacy(r);
    for (size_t i = 0; i < m->n_fields; i++) {
        const struct desc_field *f = &m->fields[i];
        char name[NAME_MAX_BYTES];
        path[depth] = f;
        if (f->name[0] == '[' || (depth == 0 && f == r->body) || is_bound(r, path, depth + 1))
            continue;
        snprintf(name, sizeof name, "%s%s%s", before, *before == '\0' ? "" : ".",
                 openapi_field_name(f, legacy));
        bool plain = f->message != NULL && f->message->wkt == DESC_PLAIN;
        if (plain && !f->repeated && depth + 1 < QUERY_DEPTH) {
            put_query(o, r, f->message, path, depth + 1, name, n);
        } else if (!plain && !f->map && (f->message == NULL || f->message->wkt > DESC_ANY)) {
            begin_parameter(o, n, name, "query", false);
            openapi_put_field(o, m, f, legacy);
            buf_putc(o->out, '}');
        }
    }
}

static void put_shared(struct openapi *o, size_t *n, const char *name)
{
    buf_printf(o->out, "%s{\"$ref\":\"#/components/parameters/%s\"}",
               (*n)++ == 0 ? ",\"parameters\":[" : ",", name + 1);
}

/* What the gateway is told about the answer, whatever the method is; answers that are not JSON have
 * no such form. */
static void put_system(struct openapi *o, const struct route *r, size_t *n)
{
    const struct desc_message *m =
        r->response_body == NULL ? r->method->output : r->response_body->message;
    if (is_http_body(r->method->output) || is_http_body(m) || r->method->route->success_code == 204)
        return;
    if (m != NULL && m->wkt == DESC_PLAIN)
        put_shared(o, n, "$fields");
    for (enum answer_switch s = 0; s < SWITCHES; s++)
        if (s != SWITCH_END || r->method->server_streaming)
            put_shared(o, n, switch_name(s));
}

/* "components": what put_system refers to. */
static void put_shared_parameters(struct openapi *o)
{
    buf_puts(o->out, "\"parameters\":{\"fields\":{\"name\":\"$fields\",\"in\":\"query\","
                     "\"description\":\"The fields of the answer that are wanted, joined by "
                     "commas.\",\"schema\":{\"type\":\"string\"}}");
    for (enum answer_switch s = 0; s < SWITCHES; s++) {
        const char *name = switch_name(s), *value = switch_value(s, 0);
        buf_printf(o->out, ",\"%s\":{\"name\":\"%s\",\"in\":\"query\",", name + 1, name);
        openapi_put_text(o, "description", switch_purpose(s));
        if (value == NULL)
            buf_puts(o->out, ",\"allowEmptyValue\":true,\"schema\":{\"type\":\"boolean\"}}");
        else
            buf_printf(o->out, ",\"schema\":{\"type\":\"string\",\"enum\":[\"%s\",\"%s\"]}}", value,
                       switch_value(s, 1));
    }
    buf_putc(o->out, '}');
}

static void put_parameters(struct openapi *o, const struct route *r, const struct route *first)
{
    const struct desc_field *path[QUERY_DEPTH + 1];
    size_t n = 0;
    for (size_t i = 0; i < r->n_variables; i++) {
        const struct route_variable *v = &r->variables[i];
        const struct desc_message *m =
            v->n_path == 1 ? r->method->input : v->path[v->n_path - 2]->message;
        char name[NAME_MAX_BYTES];
        path_variable_name(first->template_text, i, name);
        begin_parameter(o, &n, name, "path", true);
        openapi_put_field(o, m, v->path[v->n_path - 1], is_legacy(r));
        buf_putc(o->out, '}');
    }
    if (!r->body_all)
        put_query(o, r, r->method->input, path, 0, "", &n);
    if (r->method->route->stream != NULL && *r->method->route->stream->resume_field != '\0') {
        begin_parameter(o, &n, "Last-Event-ID", "header", false);
        buf_puts(o->out, "{\"type\":\"string\",\"description\":\"go on behind this event\"}}");
    }
    put_system(o, r, &n);
    if (n > 0)
        buf_putc(o->out, ']');
}

/* ---- bodies ---------------------------------------------------------------------------- */

static void put_body_schema(struct openapi *o, const struct route *r,
                            const struct desc_field *field, const struct desc_message *whole)
{
    if (field != NULL)
        openapi_put_field(o, whole, field, is_legacy(r));
    else
        openapi_put_message(o, whole, is_legacy(r));
}

static void put_request_body(struct openapi *o, const struct route *r)
{
    const struct desc_message *m = r->method->input;
    if (!r->body_all && r->body == NULL)
        return;
    buf_puts(o->out, ",\"requestBody\":{\"content\":{");
    if (is_http_body(r->body_all ? m : r->body->message)) {
        buf_puts(o->out, "\"*/*\":{}}}");
        return;
    }
    if (r->method->client_streaming) {
        buf_puts(o->out, "\"application/x-ndjson\":{\"schema\":");
        put_body_schema(o, r, r->body, m);
        buf_puts(o->out, "},\"application/json\":{\"schema\":{\"type\":\"array\",\"items\":");
        put_body_schema(o, r, r->body, m);
        buf_puts(o->out, "}}}}");
        return;
    }
    buf_puts(o->out, "\"application/json\":{\"schema\":");
    put_body_schema(o, r, r->body, m);
    buf_puts(o->out, "}}}");
}

static void put_content(struct openapi *o, const struct route *r)
{
    const struct desc_message *m = r->method->output;
    if (is_http_body(m)) {
        buf_puts(o->out, ",\"content\":{\"*/*\":{}}");
        return;
    }
    buf_puts(o->out, ",\"content\":{\"application/json\":{\"schema\":");
    if (r->method->server_streaming)
        buf_puts(o->out, "{\"type\":\"array\",\"items\":");
    put_body_schema(o, r, r->response_body, m);
    if (r->method->server_streaming) {
        buf_puts(o->out, "}},\"application/x-ndjson\":{\"schema\":");
        put_body_schema(o, r, r->response_body, m);
        buf_puts(o->out, "},\"text/"
                         "event-stream\":{\"schema\":{\"type\":\"string\",\"description\":\"server-"
                         "sent events; data "
                         "is one JSON message each, then `event: end` or `event: error`\"}");
    }
    buf_puts(o->out, "}}");
}

static void put_responses(struct openapi *o, const struct route *r)
{
    const Nrpc__RouteOptions *options = r->method->route;
    int status = options->success_code == 0 ? 200 : options->success_code;
    const char *error = is_legacy(r) ? "Problem" : "Status";
    int invalid = options->invalid_argument_code == 0 ? 400 : options->invalid_argument_code;
    buf_printf(o->out, ",\"responses\":{\"%d\":{\"description\":\"%s\"", status,
               status == 204                 ? "Done; there is nothing to say."
               : r->method->server_streaming ? "A stream, in the form that Accept prefers."
                                             : "The answer.");
    if (status != 204)
        put_content(o, r);
    buf_putc(o->out, '}');
    buf_printf(o->out, ",\"%d\":{\"$ref\":\"#/components/responses/%s\"}", invalid, error);
    if (r->n_variables > 0)
        buf_printf(o->out, ",\"404\":{\"$ref\":\"#/components/responses/%s\"}", error);
    buf_printf(o->out, ",\"default\":{\"$ref\":\"#/components/responses/%s\"}}", error);
}

/* ---- operations ------------------------------------------------------------------------ */

static void put_operation_id(struct openapi *o, size_t index)
{
    const struct route *r = router_at(o->source->router, index);
    const char *service = strrchr(r->method->service, '.');
    size_t earlier = 0;
    for (size_t i = 0; i < index; i++)
        earlier += router_at(o->source->router, i)->method == r->method &&
                   !router_at(o->source->router, i)->implicit;
    buf_printf(o->out, "\"operationId\":\"%s_%s",
               service == NULL ? r->method->service : service + 1, r->method->name);
    if (earlier > 0)
        buf_printf(o->out, "_%zu", earlier + 1);
    buf_putc(o->out, '"');
}

/* The first sentence of a comment, without its full stop.  A stop that no capital follows is that
 * of an abbreviation, as in "e.g. this". */
static size_t sentence_size(const char *comment)
{
    for (size_t i = 0; comment[i] != '\0'; i++) {
        const char *next = comment + i + 1 + strspn(comment + i + 1, " ");
        bool parted = next > comment + i + 1 && !(*next >= 'a' && *next <= 'z');
        if (comment[i] == '.' && (*next == '\0' || parted))
            return i;
    }
    return strlen(comment);
}

/* "GetStoryBook" as "Get story book": better than nothing. */
static void put_words(struct buf *out, const char *name)
{
    for (const char *c = name; *c != '\0'; c++) {
        bool begins = c > name && *c >= 'A' && *c <= 'Z' && c[-1] >= 'a' && c[-1] <= 'z';
        if (begins)
            buf_putc(out, ' ');
        buf_putc(out, begins ? (char) (*c | 0x20) : *c);
    }
}

static void put_summary(struct openapi *o, const struct route *r, const char *comment)
{
    struct buf text = { 0 };
    if (comment != NULL)
        buf_put(&text, comment, sentence_size(comment));
    else
        put_words(&text, r->method->name);
    buf_putc(o->out, ',');
    openapi_put_text(o, "summary", buf_str(&text));
    if (text.failed)
        o->out->failed = true;
    buf_done(&text);
}

static void put_operation(struct openapi *o, size_t index, const struct route *first)
{
    const struct route *r = router_at(o->source->router, index);
    const char *comment = notes_comment(o->source->notes, r->method->service, r->method->name);
    buf_putc(o->out, '"');
    for (const char *c = r->http_method; *c != '\0'; c++)
        buf_putc(o->out, *c >= 'A' && *c <= 'Z' ? (char) (*c | 0x20) : *c);
    buf_puts(o->out, "\":{");
    put_operation_id(o, index);
    buf_printf(o->out, ",\"tags\":[\"%s\"],\"x-grpc-method\":\"%s\"", r->method->service,
               r->method->path);
    put_summary(o, r, comment);
    if (comment != NULL) {
        buf_putc(o->out, ',');
        openapi_put_text(o, "description", comment);
    }
    put_parameters(o, r, first);
    put_request_body(o, r);
    put_responses(o, r);
    buf_putc(o->out, '}');
}

static bool is_documented(const struct route *r)
{
    return !r->implicit && strcmp(r->http_method, "*") != 0;
}

static void put_paths(struct openapi *o)
{
    const struct router *router = o->source->router;
    size_t n = router_count(router), paths = 0;
    buf_puts(o->out, "\"paths\":{");
    for (size_t i = 0; i < n; i++) {
        const struct route *r = router_at(router, i);
        bool seen = !is_documented(r);
        for (size_t k = 0; k < i && !seen; k++)
            seen = is_documented(router_at(router, k)) && same_shape(router_at(router, k), r);
        if (seen)
            continue;
        buf_puts(o->out, paths++ == 0 ? "\"" : ",\"");
        put_path(o, r->template_text);
        buf_puts(o->out, "\":{");
        for (size_t k = i, operations = 0; k < n; k++) {
            if (!is_documented(router_at(router, k)) || !same_shape(router_at(router, k), r))
                continue;
            if (operations++ > 0)
                buf_putc(o->out, ',');
            put_operation(o, k, r);
        }
        buf_putc(o->out, '}');
    }
    buf_putc(o->out, '}');
}

/* Services with documented routes, in order. */
static void put_tags(struct openapi *o)
{
    const struct router *router = o->source->router;
    size_t n = 0;
    buf_puts(o->out, "\"tags\":[");
    for (size_t i = 0; i < router_count(router); i++) {
        const char *service = router_at(router, i)->method->service;
        bool seen = !is_documented(router_at(router, i));
        for (size_t k = 0; k < i && !seen; k++)
            seen = is_documented(router_at(router, k)) &&
                   strcmp(router_at(router, k)->method->service, service) == 0;
        if (seen)
            continue;
        const char *comment = notes_comment(o->source->notes, service, NULL);
        buf_puts(o->out, n++ == 0 ? "{" : ",{");
        openapi_put_text(o, "name", service);
        if (comment != NULL) {
            buf_putc(o->out, ',');
            openapi_put_text(o, "description", comment);
        }
        buf_putc(o->out, '}');
    }
    buf_puts(o->out, "]");
}

/* The title is the first service's name, the version what its package ends with: "v1". */
static void put_info(struct openapi *o)
{
    const struct router *router = o->source->router;
    const char *service = "API";
    for (size_t i = 0; i < router_count(router); i++)
        if (is_documented(router_at(router, i))) {
            service = router_at(router, i)->method->service;
            break;
        }
    const char *name = strrchr(service, '.');
    char version[32] = "1";
    for (const char *at = service; (at = strstr(at, ".v")) != NULL; at += 2)
        if (at[2] >= '0' && at[2] <= '9')
            snprintf(version, sizeof version, "%.*s", (int) strcspn(at + 2, "."), at + 2);
    buf_puts(o->out, "\"info\":{");
    openapi_put_text(o, "title", name == NULL ? service : name + 1);
    buf_putc(o->out, ',');
    openapi_put_text(o, "version", version);
    buf_puts(o->out, "},\"servers\":[{\"url\":\"/\"}");
    if (*o->source->prefix != '\0') {
        buf_puts(o->out, ",{");
        openapi_put_text(o, "url", o->source->prefix);
        buf_putc(o->out, '}');
    }
    buf_putc(o->out, ']');
}

void openapi_write(const struct openapi_source *source, struct buf *out)
{
    struct openapi *o = alloc_zero(1, sizeof *o);
    if (o == NULL) {
        out->failed = true;
        return;
    }
    o->source = source;
    o->out = out;
    buf_puts(out, "{\"openapi\":\"3.1.0\",");
    put_info(o);
    buf_putc(out, ',');
    put_tags(o);
    buf_putc(out, ',');
    put_paths(o);
    buf_putc(out, ',');
    buf_puts(out, "\"components\":{");
    put_shared_parameters(o);
    buf_putc(out, ',');
    openapi_put_schemas(o);
    buf_puts(out, "}}\n");
    alloc_free(o);
}
