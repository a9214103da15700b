#include "gateway/to_json.h"

#include <limits.h>
#include <string.h>

#include "gateway/json_writer.h"
#include "gateway/to_json_inside.h"
#include "rpc/nrpc.h"

int to_json_fail(struct writer *w, const char *error)
{
    w->t->error = error;
    w->t->no_form = false;
    return NRPC_E_PROTO;
}

int to_json_fail_form(struct writer *w, const char *error)
{
    w->t->error = error;
    w->t->no_form = true;
    return NRPC_E_PROTO;
}

int to_json_enter(struct writer *w)
{
    if (w->depth == WIRE_DEPTH_MAX)
        return to_json_fail(w, "a message is nested too deeply");
    w->depth++;
    return 0;
}

static bool fits_or_packed(const struct desc_field *f, const struct wire_field *v)
{
    return to_json_fits(f, v) ||
           (v->type == WIRE_BYTES && f->repeated && desc_is_packable(f->type));
}

/* ---- scalars --------------------------------------------------------------------------- */

static void put_quoted(struct writer *w, bool negative, uint64_t magnitude)
{
    bool quotes = !w->t->style.long_numbers;
    if (quotes)
        buf_putc(w->out, '"');
    if (negative)
        buf_putc(w->out, '-');
    buf_put_u64(w->out, magnitude);
    if (quotes)
        buf_putc(w->out, '"');
}

static void put_int64(struct writer *w, int64_t v)
{
    put_quoted(w, v < 0, v < 0 ? -(uint64_t) v : (uint64_t) v);
}

static void put_enum(struct writer *w, const struct desc_enum *e, int32_t number)
{
    const struct desc_enum_value *v = desc_enum_by_number(e, number);
    if (e->is_null_value) {
        buf_puts(w->out, "null");
    } else if (v == NULL || w->t->style.enum_numbers) {
        json_put_int(w->out, number);
    } else {
        buf_putc(w->out, '"');
        buf_puts(w->out, v->name);
        buf_putc(w->out, '"');
    }
}

void to_json_number(struct writer *w, const struct desc_field *f, uint64_t v)
{
    bool point = w->t->style.points;
    double wide;
    float narrow;
    uint32_t bits = (uint32_t) v;
    switch (f->type) {
    case DESC_DOUBLE:
        memcpy(&wide, &v, sizeof wide);
        json_put_double(w->out, wide, point);
        break;
    case DESC_FLOAT:
        memcpy(&narrow, &bits, sizeof narrow);
        json_put_float(w->out, narrow, point);
        break;
    case DESC_INT64:
    case DESC_SFIXED64:
        put_int64(w, (int64_t) v);
        break;
    case DESC_SINT64:
        put_int64(w, wire_unzigzag(v));
        break;
    case DESC_UINT64:
    case DESC_FIXED64:
        put_quoted(w, false, v);
        break;
    case DESC_SINT32:
        json_put_int(w->out, (int32_t) wire_unzigzag(v & UINT32_MAX));
        break;
    case DESC_UINT32:
    case DESC_FIXED32:
        buf_put_u64(w->out, bits);
        break;
    case DESC_BOOL:
        buf_puts(w->out, v != 0 ? "true" : "false");
        break;
    case DESC_ENUM:
        put_enum(w, f->enumeration, (int32_t) bits);
        break;
    default:
        json_put_int(w->out, (int32_t) bits);
        break;
    }
}

/* One value as it stands on the wire; it fits the field. */
int to_json_value(struct writer *w, const struct desc_field *f, const struct wire_field *v)
{
    if (f->type == DESC_MESSAGE)
        return to_json_content(w, f->message, v->data, v->size);
    if (f->type == DESC_BYTES)
        json_put_base64(w->out, v->data, v->size);
    else if (f->type != DESC_STRING)
        to_json_number(w, f, v->value);
    else if (!json_put_string(w->out, (const char *) v->data, v->size))
        return to_json_fail(w, "a string is not valid UTF-8");
    return 0;
}

static bool is_default(const struct desc_field *f, const struct wire_field *v)
{
    switch (f->type) {
    case DESC_MESSAGE:
        return false;
    case DESC_STRING:
    case DESC_BYTES:
        return v->size == 0;
    case DESC_ENUM: /* a NullValue of whatever number is null, and null is its default */
        return (uint32_t) v->value == 0 || f->enumeration->is_null_value;
    case DESC_INT32:
    case DESC_UINT32:
    case DESC_SINT32:
        return (uint32_t) v->value == 0;
    default:
        return v->value == 0;
    }
}

struct wire_field to_json_default(const struct desc_field *f)
{
    static const uint8_t nothing[1];
    return (struct wire_field){ .type = (enum wire_type) desc_field_wire_type(f), .data = nothing };
}

/* ---- the last value of a field in a small message -------------------------------------- */

int to_json_last(struct writer *w, const uint8_t *data, size_t size, uint32_t number,
                 enum wire_type type, struct wire_field *out)
{
    struct wire_reader r = wire_reader_of(data, size);
    struct wire_field f;
    int found = 0, more;
    while ((more = wire_next(&r, &f)) > 0)
        if (f.number == number && f.type == type) {
            *out = f;
            found += found < INT_MAX;
        }
    return more < 0 ? to_json_fail(w, "a message is malformed") : found;
}

/* ---- repeated fields ------------------------------------------------------------------- */

static int put_list(struct writer *w, const struct desc_field *f, const uint8_t *data,
                    const struct place *p)
{
    struct wire_reader r = wire_reader_of(data + p->first, p->end - p->first);
    struct wire_field v;
    bool first = true;
    int more, result = 0;
    buf_putc(w->out, '[');
    while (result == 0 && (more = wire_next(&r, &v)) > 0) {
        if (v.number != f->number || !fits_or_packed(f, &v))
            continue;
        if (v.type == WIRE_BYTES && desc_is_packable(f->type)) {
            struct wire_reader packed = wire_reader_of(v.data, v.size);
            enum wire_type type = (enum wire_type) desc_wire_type(f->type);
            while (packed.at < packed.end) {
                uint64_t number;
                if (!wire_next_packed(&packed, type, &number))
                    return to_json_fail(w, "a packed list is malformed");
                if (!first)
                    buf_putc(w->out, ',');
                first = false;
                to_json_number(w, f, number);
            }
            continue;
        }
        if (!first)
            buf_putc(w->out, ',');
        first = false;
        result = to_json_value(w, f, &v);
    }
    buf_putc(w->out, ']');
    return result < 0 ? result : more < 0 ? to_json_fail(w, "a message is malformed") : 0;
}

/* ---- messages -------------------------------------------------------------------------- */

static void put_name(struct writer *w, const struct desc_field *f, bool *first)
{
    if (!*first)
        buf_putc(w->out, ',');
    *first = false;
    buf_putc(w->out, '"');
    buf_puts(w->out, w->t->style.proto_names ? f->name : f->json_name);
    buf_puts(w->out, "\":");
}

static int put_absent(struct writer *w, const struct desc_field *f, bool *first)
{
    if (!w->t->style.defaults)
        return 0;
    bool is_struct = f->message != NULL && f->message->wkt == DESC_STRUCT;
    if (f->presence && !is_struct)
        return 0;
    put_name(w, f, first);
    if (f->repeated || is_struct) {
        buf_puts(w->out, f->repeated && !f->map ? "[]" : "{}");
        return 0;
    }
    struct wire_field v = to_json_default(f);
    return to_json_value(w, f, &v);
}

int to_json_merged(struct writer *w, const struct desc_field *f, const uint8_t *data,
                   const struct place *p)
{
    struct wire_reader r = wire_reader_of(data + p->first, p->end - p->first);
    struct wire_field v;
    struct buf merged = { 0 };
    while (wire_next(&r, &v) > 0)
        if (v.number == f->number && to_json_fits(f, &v))
            buf_put(&merged, v.data, v.size);
    int result =
        merged.failed ? NRPC_E_NOMEM : to_json_content(w, f->message, merged.data, merged.size);
    buf_done(&merged);
    return result;
}

/* A list may come without an element, as an empty packed run: then it is absent. */
static int put_several(struct writer *w, const struct desc_field *f, const uint8_t *data,
                       const struct place *p, bool *first)
{
    size_t before = w->out->size;
    bool was_first = *first;
    put_name(w, f, first);
    size_t start = w->out->size;
    int r = f->map ? to_json_map(w, f, data, p) : put_list(w, f, data, p);
    if (r >= 0 && !w->t->style.defaults && w->out->size == start + 2) {
        w->out->size = before;
        *first = was_first;
    }
    return r;
}

static int put_present(struct writer *w, const struct desc_field *f, const uint8_t *data,
                       const struct place *p, bool *first)
{
    if (f->repeated)
        return put_several(w, f, data, p, first);
    struct wire_reader r = wire_reader_of(data + p->last, p->end - p->last);
    struct wire_field v;
    if (wire_next(&r, &v) <= 0)
        return to_json_fail(w, "a message is malformed");
    if (!w->t->style.defaults && !f->presence && is_default(f, &v))
        return 0;
    put_name(w, f, first);
    return f->type == DESC_MESSAGE && p->count > 1 ? to_json_merged(w, f, data, p)
                                                   : to_json_value(w, f, &v);
}

/* Fills places[] (zeroed).  Of a oneof's members only the last on the wire stays. */
static int find_fields(struct writer *w, const struct desc_message *m, const uint8_t *data,
                       size_t size, struct place *places)
{
    struct wire_reader r = wire_reader_of(data, size);
    const uint8_t *start = r.at, *at = start;
    struct wire_field v;
    int more;
    for (; (more = wire_next(&r, &v)) > 0; at = r.at) {
        const struct desc_field *f = desc_field_by_number(m, v.number);
        if (f == NULL || !fits_or_packed(f, &v))
            continue;
        struct place *p = &places[f->index];
        if (p->count++ == 0)
            p->first = (uint32_t) (at - start);
        p->last = (uint32_t) (at - start);
        p->end = (uint32_t) (r.at - start);
        for (size_t i = 0; f->oneof >= 0 && p->count == 1 && i < m->n_fields; i++)
            if (m->fields[i].oneof == f->oneof && i != f->index)
                places[i].count = 0;
    }
    return more < 0 ? to_json_fail(w, "a message is malformed") : 0;
}

int to_json_members(struct writer *w, const struct desc_message *m, const uint8_t *data,
                    size_t size, bool first)
{
    struct buf *scratch = &w->t->scratch;
    size_t before = scratch->size, bytes = m->n_fields * sizeof(struct place);
    if (size > UINT32_MAX)
        return to_json_fail(w, "a message is too large");
    if (m->n_fields == 0)
        return 0;
    if (to_json_enter(w) < 0)
        return NRPC_E_PROTO;
    uint8_t *memory = buf_grow(scratch, bytes);
    if (memory == NULL)
        return NRPC_E_NOMEM;
    memset(memory, 0, bytes);
    int r = find_fields(w, m, data, size, (struct place *) (void *) memory);
    const struct filter *filter = w->filter;
    for (size_t i = 0; i < m->n_fields && r >= 0; i++) {
        if (filter != NULL) {
            const struct filter *wanted = filter_find(filter, &m->fields[i]);
            if (wanted == NULL)
                continue;
            w->filter = wanted->children;
        }
        /* The scratch memory may move while a field's own message uses it. */
        struct place p;
        memcpy(&p, scratch->data + before + i * sizeof p, sizeof p);
        r = p.count == 0 ? put_absent(w, &m->fields[i], &first)
                         : put_present(w, &m->fields[i], data, &p, &first);
    }
    w->filter = filter;
    scratch->size = before;
    w->depth--;
    return r < 0 ? r : 0;
}

int to_json_content(struct writer *w, const struct desc_message *m, const uint8_t *data,
                    size_t size)
{
    if (m->wkt != DESC_PLAIN)
        return to_json_wkt(w, m, data, size);
    buf_putc(w->out, '{');
    int r = to_json_members(w, m, data, size, true);
    buf_putc(w->out, '}');
    return r;
}

struct json_style to_json_style(enum json_dialect dialect)
{
    bool legacy = dialect == JSON_LEGACY;
    return (struct json_style){
        .proto_names = legacy, .long_numbers = legacy, .defaults = legacy, .points = legacy
    };
}

void to_json_init(struct to_json *t, const struct desc_pool *pool, enum json_dialect dialect)
{
    *t = (struct to_json){ .pool = pool, .style = to_json_style(dialect) };
}

void to_json_done(struct to_json *t)
{
    buf_done(&t->scratch);
}

/* out-parameters stay untouched on errors: what was written is taken back. */
static int conclude(struct to_json *t, int r, size_t before, struct buf *out)
{
    if (out->failed || t->scratch.failed)
        r = NRPC_E_NOMEM;
    if (r >= 0)
        return 0;
    out->size = before;
    buf_reset(&t->scratch);
    return r;
}

int to_json_message(struct to_json *t, const struct desc_message *m, const void *data, size_t size,
                    struct buf *out)
{
    struct writer w = { .t = t, .out = out, .filter = t->filter };
    size_t before = out->size;
    return conclude(t, to_json_content(&w, m, data, size), before, out);
}

int to_json_field(struct to_json *t, const struct desc_field *f, const void *data, size_t size,
                  struct buf *out)
{
    struct writer w = { .t = t, .out = out, .filter = t->filter };
    size_t before = out->size;
    struct wire_reader r = wire_reader_of(data, size);
    const uint8_t *start = r.at, *at = start;
    struct place p = { 0 };
    struct wire_field v;
    int more;
    for (; (more = wire_next(&r, &v)) > 0; at = r.at) {
        if (v.number != f->number || !fits_or_packed(f, &v))
            continue;
        if (p.count++ == 0)
            p.first = (uint32_t) (at - start);
        p.last = (uint32_t) (at - start);
        p.end = (uint32_t) (r.at - start);
    }
    int result = 0;
    if (more < 0)
        result = to_json_fail(&w, "a message is malformed");
    else if (f->repeated)
        result = f->map ? to_json_map(&w, f, start, &p) : put_list(&w, f, start, &p);
    else if (p.count == 0 && f->type == DESC_MESSAGE)
        buf_puts(out,
                 f->message->wkt == DESC_PLAIN || f->message->wkt == DESC_STRUCT ? "{}" : "null");
    else if (p.count > 1 && f->type == DESC_MESSAGE)
        result = to_json_merged(&w, f, start, &p);
    else {
        struct wire_field last = to_json_default(f);
        r = wire_reader_of(start + p.last, p.end - p.last);
        wire_next(&r, &last);
        result = to_json_value(&w, f, &last);
    }
    return conclude(t, result, before, out);
}

int to_json_any(struct to_json *t, const void *data, size_t size, struct buf *out)
{
    struct writer w = { .t = t, .out = out };
    size_t before = out->size;
    return conclude(t, to_json_put_any(&w, data, size), before, out);
}
