#include "gateway/form.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "gateway/suggest.h"
#include "gateway/wire.h"
#include "rpc/base/utf8.h"
#include "rpc/nrpc.h"

enum kind { KIND_IGNORED, KIND_BYTES, KIND_HTTP_BODY, KIND_JSON, KIND_TEXT };
enum { HTTP_BODY_TYPE = 1, HTTP_BODY_DATA = 2 };

static bool is_http_body(const struct desc_field *f)
{
    return f->message != NULL && strcmp(f->message->full_name, "google.api.HttpBody") == 0;
}

bool form_fits(const struct desc_message *m)
{
    for (size_t i = 0; i < m->n_fields; i++)
        if (m->fields[i].type == DESC_BYTES || is_http_body(&m->fields[i]))
            return true;
    return false;
}

static int fail(struct form *f, const char *field, size_t field_size, const char *message)
{
    snprintf(f->error_field, sizeof f->error_field, "%.*s",
             (int) (field_size > 190 ? 190 : field_size), field);
    f->error_field[utf8_valid_prefix(f->error_field, strlen(f->error_field))] = '\0';
    snprintf(f->error, sizeof f->error, "%.230s", message);
    f->error[utf8_valid_prefix(f->error, strlen(f->error))] = '\0';
    return NRPC_E_PROTO;
}

static int fail_name(struct form *f, const char *message)
{
    return fail(f, (const char *) f->name.data, f->name.size, message);
}

static int unknown(struct form *f)
{
    const struct desc_message *m = f->options.message;
    struct suggest s;
    char text[240];
    if (f->options.json.ignore_unknown)
        return 0;
    suggest_start(&s, (const char *) f->name.data, f->name.size);
    for (size_t i = 0; i < m->n_fields; i++)
        suggest_offer(&s,
                      f->options.json.accept_snake ? m->fields[i].name : m->fields[i].json_name);
    snprintf(text, sizeof text, "unknown field%s%.180s%s",
             s.best == NULL ? "" : "; did you mean \"", s.best == NULL ? "" : s.best,
             s.best == NULL ? "" : "\"?");
    return fail_name(f, text);
}

/* ---- parts ----------------------------------------------------------------------------- */

static bool is_json_type(const char *type)
{
    size_t n = strcspn(type, "; \t");
    return n == 16 && strncasecmp(type, "application/json", n) == 0;
}

/* Singular fields that go into the message directly come once. */
static bool mark(struct form *f, const struct desc_field *field)
{
    uint8_t *byte = f->seen.data + field->index / 8, bit = (uint8_t) (1u << field->index % 8);
    bool fresh = (*byte & bit) == 0;
    *byte |= bit;
    return fresh || (field->repeated && f->kind != KIND_JSON);
}

static int open_json(struct form *f)
{
    if (f->json == NULL)
        f->json = arena_get(f->options.binder->arena, sizeof *f->json);
    else
        to_wire_done(f->json);
    if (f->json == NULL)
        return NRPC_E_NOMEM;
    to_wire_init_field(f->json, f->field, f->options.out, &f->options.json);
    return 0;
}

static void open_raw(struct form *f, const char *type)
{
    struct buf *out = f->options.out;
    uint32_t number = f->field->number;
    wire_put_tag(out, number, WIRE_BYTES);
    f->regions[0] = wire_region_open(out);
    if (f->kind != KIND_HTTP_BODY)
        return;
    if (*type != '\0' && utf8_valid(type, strlen(type)))
        wire_put_bytes(out, HTTP_BODY_TYPE, type, strlen(type));
    wire_put_tag(out, HTTP_BODY_DATA, WIRE_BYTES);
    f->regions[1] = wire_region_open(out);
}

static enum kind kind_of(const struct desc_field *field, const struct multipart_part *p)
{
    if (field->type == DESC_BYTES && !field->map)
        return KIND_BYTES;
    if (is_http_body(field))
        return KIND_HTTP_BODY;
    return is_json_type(p->content_type) ? KIND_JSON : KIND_TEXT;
}

static int on_part(void *ctx, const struct multipart_part *p)
{
    struct form *f = ctx;
    buf_reset(&f->name);
    buf_reset(&f->text);
    buf_put(&f->name, p->name, p->name_size);
    f->kind = KIND_IGNORED;
    f->field = desc_field_by_name(f->options.message, p->name, p->name_size);
    if (f->field != NULL)
        f->kind = (uint8_t) kind_of(f->field, p);
    else if (!p->file && !is_json_type(p->content_type) && strpbrk(p->name, ".[") != NULL)
        f->kind = KIND_TEXT; /* a field of a field */
    else
        return f->name.failed ? NRPC_E_NOMEM : unknown(f);
    if (f->kind == KIND_TEXT && p->file)
        return fail_name(f, "a file can only fill a field of bytes or google.api.HttpBody");
    if (f->kind != KIND_TEXT && !mark(f, f->field))
        return fail_name(f, "is given twice");
    if (f->kind == KIND_JSON)
        return open_json(f);
    if (f->kind != KIND_TEXT)
        open_raw(f, p->content_type);
    return f->name.failed ? NRPC_E_NOMEM : 0;
}

static int fail_json(struct form *f, int r)
{
    char text[400];
    if (r != NRPC_E_PROTO)
        return r;
    const struct json_error *e = &f->json->reader.error;
    snprintf(text, sizeof text, "%.100s%s%s", e->path, *e->path == '\0' ? "" : ": ", e->message);
    return fail_name(f, text);
}

static int on_data(void *ctx, const void *data, size_t size)
{
    struct form *f = ctx;
    switch ((enum kind) f->kind) {
    case KIND_BYTES:
    case KIND_HTTP_BODY:
        buf_put(f->options.out, data, size);
        return f->options.out->failed ? NRPC_E_NOMEM : 0;
    case KIND_JSON:
        return fail_json(f, to_wire_feed(f->json, data, size));
    case KIND_TEXT:
        if (size > FORM_TEXT_MAX - f->text.size)
            return fail_name(f, "a text is longer than 65536 bytes");
        buf_put(&f->text, data, size);
        return f->text.failed ? NRPC_E_NOMEM : 0;
    default:
        return 0;
    }
}

static int on_part_end(void *ctx)
{
    struct form *f = ctx;
    switch ((enum kind) f->kind) {
    case KIND_HTTP_BODY:
        wire_region_close(f->options.out, f->regions[1]);
        wire_region_close(f->options.out, f->regions[0]);
        break;
    case KIND_BYTES:
        wire_region_close(f->options.out, f->regions[0]);
        break;
    case KIND_JSON:
        return fail_json(f, to_wire_finish(f->json));
    case KIND_TEXT:
        return bind_text(f->options.binder, f->options.body,
                         &(struct bind_pair){ (const char *) f->name.data, f->name.size,
                                              (const char *) f->text.data, f->text.size },
                         f->options.json.ignore_unknown);
    default:
        break;
    }
    return f->options.out->failed ? NRPC_E_NOMEM : 0;
}

/* ---- the whole ------------------------------------------------------------------------- */

int form_new(const char *content_type, size_t size, const struct form_options *o,
             struct form **out_form)
{
    static const struct multipart_events events = { on_part, on_data, on_part_end };
    struct form *f = arena_zero(o->binder->arena, 1, sizeof *f);
    size_t bytes = o->message->n_fields / 8 + 1;
    if (f == NULL)
        return NRPC_E_NOMEM;
    if (!multipart_init(&f->parser, content_type, size, &events, f))
        return NRPC_E_PROTO;
    f->options = *o;
    uint8_t *seen = buf_grow(&f->seen, bytes);
    if (seen == NULL) {
        form_done(f);
        return NRPC_E_NOMEM;
    }
    memset(seen, 0, bytes);
    *out_form = f;
    return 0;
}

void form_done(struct form *f)
{
    if (f == NULL)
        return;
    multipart_done(&f->parser);
    buf_done(&f->name);
    buf_done(&f->text);
    buf_done(&f->seen);
    if (f->json != NULL)
        to_wire_done(f->json);
    f->json = NULL;
}

static int conclude(struct form *f, int r)
{
    if (r == NRPC_E_PROTO && f->error[0] == '\0' && f->parser.error != NULL)
        fail(f, "", 0, f->parser.error);
    return r;
}

int form_feed(struct form *f, const void *data, size_t size)
{
    return conclude(f, multipart_feed(&f->parser, data, size));
}

int form_finish(struct form *f)
{
    return conclude(f, multipart_finish(&f->parser));
}
