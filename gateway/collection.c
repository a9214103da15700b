#include "gateway/collection.h"

#include <string.h>

#include "gateway/json_writer.h"

enum { EXAMPLE_DEPTH = 3 };

static bool is_legacy(const struct route *r)
{
    return r->method->route->dialect == NRPC__ROUTE_OPTIONS__DIALECT__DIALECT_LEGACY;
}

static void put_text(struct buf *out, const char *key, const char *text)
{
    buf_printf(out, "\"%s\":", key);
    json_put_lossy(out, text, strlen(text));
}

/* ---- bodies ---------------------------------------------------------------------------- */

static void put_example(struct buf *b, const struct desc_message *m, bool legacy, unsigned depth);

static void put_value(struct buf *b, const struct desc_field *f, bool legacy, unsigned depth)
{
    const struct desc_message *m = f->message;
    if (m != NULL && m->wkt == DESC_WRAPPER) {
        put_value(b, &m->fields[0], legacy, depth);
    } else if (m != NULL && m->wkt == DESC_TIMESTAMP) {
        buf_puts(b, "\"2025-01-01T00:00:00Z\"");
    } else if (m != NULL && m->wkt == DESC_DURATION) {
        buf_puts(b, "\"1s\"");
    } else if (m != NULL && (m->wkt == DESC_FIELD_MASK)) {
        buf_puts(b, "\"\"");
    } else if (m != NULL) {
        put_example(b, m, legacy, depth + 1);
    } else if (f->type == DESC_STRING || f->type == DESC_BYTES) {
        buf_puts(b, "\"\"");
    } else if (f->type == DESC_BOOL) {
        buf_puts(b, "false");
    } else if (f->type == DESC_ENUM) {
        const struct desc_enum *e = f->enumeration;
        buf_printf(b, "\"%s\"", e->n_values == 0 ? "" : e->values[e->n_values > 1].name);
    } else {
        buf_puts(b, "0");
    }
}

static void put_example(struct buf *b, const struct desc_message *m, bool legacy, unsigned depth)
{
    size_t n = 0;
    buf_putc(b, '{');
    for (size_t i = 0; m->wkt == DESC_PLAIN && depth < EXAMPLE_DEPTH && i < m->n_fields; i++) {
        const struct desc_field *f = &m->fields[i];
        if (f->name[0] == '[')
            break;
        buf_printf(b, "%s\"%s\":", n++ == 0 ? "" : ",", legacy ? f->name : f->json_name);
        if (f->map)
            buf_puts(b, "{}");
        else if (f->repeated)
            buf_puts(b, "[]");
        else
            put_value(b, f, legacy, depth);
    }
    buf_putc(b, '}');
}

static void put_body(struct buf *out, const struct route *r)
{
    const struct desc_message *m = r->body_all       ? r->method->input
                                   : r->body == NULL ? NULL
                                                     : r->body->message;
    if (m == NULL)
        return;
    struct buf example = { 0 };
    put_example(&example, m, is_legacy(r), 0);
    buf_puts(out, ",\"body\":{\"mode\":\"raw\",");
    put_text(out, "raw", buf_str(&example));
    buf_puts(out, ",\"options\":{\"raw\":{\"language\":\"json\"}}}");
    if (example.failed)
        out->failed = true;
    buf_done(&example);
}

/* ---- URLs ------------------------------------------------------------------------------ */

/* "{character_id}" becomes Postman's variable "{{character_id}}". */
static void put_url(struct buf *out, const char *template)
{
    struct buf raw = { 0 };
    buf_puts(&raw, "{{base_url}}");
    for (const char *at = template; *at != '\0';) {
        if (*at != '{') {
            buf_putc(&raw, *at++);
            continue;
        }
        size_t n = strcspn(at + 1, "=}");
        const char *close = strchr(at, '}');
        buf_puts(&raw, "{{");
        buf_put(&raw, at + 1, n);
        buf_puts(&raw, "}}");
        at = close == NULL ? at + strlen(at) : close + 1;
    }
    put_text(out, "url", buf_str(&raw));
    if (raw.failed)
        out->failed = true;
    buf_done(&raw);
}

static void put_item(struct buf *out, const struct route *r, const struct notes *notes)
{
    const char *comment = notes_comment(notes, r->method->service, r->method->name);
    struct buf name = { 0 };
    buf_printf(&name, "%s (%s %s)", r->method->name, r->http_method, r->template_text);
    buf_putc(out, '{');
    put_text(out, "name", buf_str(&name));
    buf_done(&name);
    buf_printf(out, ",\"request\":{\"method\":\"%s\",\"header\":[", r->http_method);
    if (r->body_all || r->body != NULL)
        buf_puts(out, "{\"key\":\"Content-Type\",\"value\":\"application/json\"}");
    if (r->method->server_streaming)
        buf_printf(out, "%s{\"key\":\"Accept\",\"value\":\"application/x-ndjson\"}",
                   r->body_all || r->body != NULL ? "," : "");
    buf_puts(out, "],");
    put_url(out, r->template_text);
    put_body(out, r);
    if (comment != NULL) {
        buf_putc(out, ',');
        put_text(out, "description", comment);
    }
    buf_puts(out, "}}");
}

void collection_write(const struct router *router, const struct notes *notes, struct buf *out)
{
    const char *title = "API";
    size_t n = 0;
    for (size_t i = 0; i < router_count(router); i++)
        if (!router_at(router, i)->implicit) {
            title = router_at(router, i)->method->service;
            break;
        }
    buf_puts(out, "{\"info\":{");
    put_text(out, "name", title);
    buf_puts(
        out,
        ",\"schema\":\"https://schema.getpostman.com/json/collection/v2.1.0/collection.json\"},"
        "\"variable\":[{\"key\":\"base_url\",\"value\":\"http://127.0.0.1:8000\"}],\"item\":[");
    for (size_t i = 0; i < router_count(router); i++) {
        const struct route *r = router_at(router, i);
        if (r->implicit || strcmp(r->http_method, "*") == 0)
            continue;
        if (n++ > 0)
            buf_putc(out, ',');
        put_item(out, r, notes);
    }
    buf_puts(out, "]}\n");
}
