#include "gateway/to_json.h"

#include <string.h>

#include "gateway/json_writer.h"
#include "gateway/scalar.h"
#include "gateway/wire.h"
#include "rpc/base/check.h"
#include "rpc/base/map.h"
#include "rpc/nrpc.h"

/* Where a field stands in its message: from the first to past the last occurrence. */
struct place {
    uint32_t first, end, count;
    uint32_t last; /* start of the last occurrence */
};

struct writer {
    struct to_json *t;
    struct buf *out;
    unsigned depth;
};

static int put_message(struct writer *w, const struct desc_message *m, const uint8_t *data,
                       size_t size);

static int fail(struct writer *w, const char *error)
{
    w->t->error = error;
    return NRPC_E_PROTO;
}

/* ---- scalars --------------------------------------------------------------------------- */

static void put_quoted(struct writer *w, bool negative, uint64_t magnitude)
{
    bool quotes = w->t->dialect == JSON_STANDARD;
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
    } else if (v == NULL) {
        json_put_int(w->out, number);
    } else {
        buf_putc(w->out, '"');
        buf_puts(w->out, v->name);
        buf_putc(w->out, '"');
    }
}

static void put_number(struct writer *w, const struct desc_field *f, uint64_t v)
{
    bool point = w->t->dialect == JSON_LEGACY;
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

/* One value as it stands on the wire. */
static int put_value(struct writer *w, const struct desc_field *f, const struct wire_field *v)
{
    if (v->type != (enum wire_type) desc_wire_type(f->type))
        return fail(w, "a field has another wire type");
    if (f->type == DESC_MESSAGE)
        return put_message(w, f->message, v->data, v->size);
    if (f->type == DESC_BYTES)
        json_put_base64(w->out, v->data, v->size);
    else if (f->type != DESC_STRING)
        put_number(w, f, v->value);
    else if (!json_put_string(w->out, (const char *) v->data, v->size))
        return fail(w, "a string is not valid UTF-8");
    return 0;
}

static bool is_default(const struct desc_field *f, const struct wire_field *v)
{
    return v->type == WIRE_BYTES ? f->type != DESC_MESSAGE && v->size == 0 : v->value == 0;
}

static struct wire_field default_of(const struct desc_field *f)
{
    static const uint8_t nothing[1];
    return (struct wire_field){ .type = (enum wire_type) desc_wire_type(f->type), .data = nothing };
}

/* ---- the last value of a field in a small message -------------------------------------- */

/* 1: found; 0: absent; negative: malformed.  For the well-known types, whose fields are few. */
static int last_of(struct writer *w, const uint8_t *data, size_t size, uint32_t number,
                   struct wire_field *out)
{
    struct wire_reader r = wire_reader_of(data, size);
    struct wire_field f;
    int found = 0, more;
    while ((more = wire_next(&r, &f)) > 0)
        if (f.number == number) {
            *out = f;
            found = 1;
        }
    return more < 0 ? fail(w, "a message is malformed") : found;
}

static int last_of_type(struct writer *w, const uint8_t *data, size_t size, uint32_t number,
                        enum wire_type type, struct wire_field *out)
{
    int r = last_of(w, data, size, number, out);
    return r > 0 && out->type != type ? fail(w, "a field has another wire type") : r;
}

/* ---- well-known types ------------------------------------------------------------------ */

static int put_time(struct writer *w, const struct desc_message *m, const uint8_t *data,
                    size_t size)
{
    struct wire_field seconds = { 0 }, nanos = { 0 };
    int r = last_of_type(w, data, size, 1, WIRE_VARINT, &seconds);
    if (r >= 0)
        r = last_of_type(w, data, size, 2, WIRE_VARINT, &nanos);
    if (r < 0)
        return r;
    buf_putc(w->out, '"');
    bool ok = m->wkt == DESC_TIMESTAMP
                  ? scalar_put_timestamp(w->out, (int64_t) seconds.value, (int32_t) nanos.value)
                  : scalar_put_duration(w->out, (int64_t) seconds.value, (int32_t) nanos.value);
    buf_putc(w->out, '"');
    return ok ? 0 : fail(w, "a time is out of range");
}

static int put_field_mask(struct writer *w, const uint8_t *data, size_t size)
{
    struct wire_reader r = wire_reader_of(data, size);
    struct wire_field f;
    bool first = true;
    int more;
    buf_putc(w->out, '"');
    while ((more = wire_next(&r, &f)) > 0) {
        if (f.number != 1 || f.type != WIRE_BYTES)
            continue;
        if (!first)
            buf_putc(w->out, ',');
        first = false;
        for (size_t i = 0; i < f.size; i++)
            if (f.data[i] < 0x20 || f.data[i] > 0x7e || f.data[i] == '"' || f.data[i] == '\\')
                return fail(w, "a field mask holds an unusable path");
        if (w->t->dialect == JSON_LEGACY)
            buf_put(w->out, f.data, f.size);
        else if (!scalar_put_camel_path(w->out, (const char *) f.data, f.size))
            return fail(w, "a field mask holds a path without a JSON form");
    }
    buf_putc(w->out, '"');
    return more < 0 ? fail(w, "a message is malformed") : 0;
}

static int put_struct_value(struct writer *w, const uint8_t *data, size_t size);

/* Struct: entries of key (1) and Value (2); ListValue: Values (1). */
static int put_struct_or_list(struct writer *w, bool list, const uint8_t *data, size_t size)
{
    struct wire_reader r = wire_reader_of(data, size);
    struct wire_field f, key = { 0 }, value = { 0 };
    bool first = true;
    int more, result = 0;
    if (++w->depth > WIRE_DEPTH_MAX)
        return fail(w, "a message is nested too deeply");
    buf_putc(w->out, list ? '[' : '{');
    while (result >= 0 && (more = wire_next(&r, &f)) > 0) {
        if (f.number != 1 || f.type != WIRE_BYTES)
            continue;
        if (!first)
            buf_putc(w->out, ',');
        first = false;
        value = f;
        if (!list) {
            key = default_of(&(struct desc_field){ .type = DESC_STRING });
            value = key;
            result = last_of_type(w, f.data, f.size, 1, WIRE_BYTES, &key);
            if (result >= 0)
                result = last_of_type(w, f.data, f.size, 2, WIRE_BYTES, &value);
            if (result >= 0 && !json_put_string(w->out, (const char *) key.data, key.size))
                result = fail(w, "a string is not valid UTF-8");
            buf_putc(w->out, ':');
        }
        if (result >= 0)
            result = put_struct_value(w, value.data, value.size);
    }
    buf_putc(w->out, list ? ']' : '}');
    w->depth--;
    return result < 0 ? result : more < 0 ? fail(w, "a message is malformed") : 0;
}

/* google.protobuf.Value: the last member of its oneof; none is null. */
static int put_struct_value(struct writer *w, const uint8_t *data, size_t size)
{
    static const struct desc_field text = { .type = DESC_STRING };
    struct wire_reader r = wire_reader_of(data, size);
    struct wire_field f, v = { .number = 1 };
    double number;
    int more;
    while ((more = wire_next(&r, &f)) > 0)
        if (f.number <= 6)
            v = f;
    if (more < 0)
        return fail(w, "a message is malformed");
    static const uint8_t types[] = { 0,           WIRE_VARINT, WIRE_FIXED64, WIRE_BYTES,
                                     WIRE_VARINT, WIRE_BYTES,  WIRE_BYTES };
    if (v.number != 1 && v.type != (enum wire_type) types[v.number])
        return fail(w, "a field has another wire type");
    switch (v.number) {
    case 2:
        memcpy(&number, &v.value, sizeof number);
        if (number != number || number - number != 0)
            return fail(w, "a Value holds no finite number");
        json_put_double(w->out, number, false);
        return 0;
    case 3:
        return put_value(w, &text, &v);
    case 4:
        buf_puts(w->out, v.value != 0 ? "true" : "false");
        return 0;
    case 5:
    case 6:
        return put_struct_or_list(w, v.number == 6, v.data, v.size);
    default:
        buf_puts(w->out, "null");
        return 0;
    }
}

static int put_fields(struct writer *w, const struct desc_message *m, const uint8_t *data,
                      size_t size, bool first);

static int put_any(struct writer *w, const uint8_t *data, size_t size)
{
    struct wire_field url = default_of(&(struct desc_field){ .type = DESC_STRING }), value = url;
    int r = last_of_type(w, data, size, 1, WIRE_BYTES, &url);
    if (r >= 0)
        r = last_of_type(w, data, size, 2, WIRE_BYTES, &value);
    if (r < 0)
        return r;
    if (url.size == 0 && value.size == 0) {
        buf_puts(w->out, "{}");
        return 0;
    }
    size_t name = url.size;
    while (name > 0 && url.data[name - 1] != '/')
        name--;
    const struct desc_message *m =
        w->t->pool == NULL
            ? NULL
            : desc_find_message(w->t->pool, (const char *) url.data + name, url.size - name);
    buf_puts(w->out, "{\"@type\":");
    if (!json_put_string(w->out, (const char *) url.data, url.size))
        return fail(w, "a string is not valid UTF-8");
    if (m != NULL && m->wkt == DESC_PLAIN && strcmp(m->full_name, "google.protobuf.Empty") != 0) {
        r = put_fields(w, m, value.data, value.size, false);
    } else {
        buf_puts(w->out, ",\"value\":");
        if (m == NULL) /* a type we were not told of keeps its bytes */
            json_put_base64(w->out, value.data, value.size);
        else
            r = put_message(w, m, value.data, value.size);
    }
    buf_putc(w->out, '}');
    return r;
}

static int put_wrapper(struct writer *w, const struct desc_message *m, const uint8_t *data,
                       size_t size)
{
    const struct desc_field *f = desc_field_by_number(m, 1);
    struct wire_field v = default_of(f);
    int r = last_of(w, data, size, 1, &v);
    return r < 0 ? r : put_value(w, f, &v);
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
        if (v.number != f->number)
            continue;
        if (v.type == WIRE_BYTES && desc_is_packable(f->type)) {
            struct wire_reader packed = wire_reader_of(v.data, v.size);
            enum wire_type type = (enum wire_type) desc_wire_type(f->type);
            while (packed.at < packed.end) {
                uint64_t number;
                if (!wire_next_packed(&packed, type, &number))
                    return fail(w, "a packed list is malformed");
                if (!first)
                    buf_putc(w->out, ',');
                first = false;
                put_number(w, f, number);
            }
            continue;
        }
        if (!first)
            buf_putc(w->out, ',');
        first = false;
        result = put_value(w, f, &v);
    }
    buf_putc(w->out, ']');
    return result < 0 ? result : more < 0 ? fail(w, "a message is malformed") : 0;
}

/* Both halves of a map entry; absent ones have their default value. */
static int read_entry(struct writer *w, const struct desc_field *f, const struct wire_field *entry,
                      struct wire_field *key, struct wire_field *value)
{
    const struct desc_message *m = f->message;
    *key = default_of(desc_field_by_number(m, 1));
    *value = default_of(desc_field_by_number(m, 2));
    int r = last_of_type(w, entry->data, entry->size, 1, key->type, key);
    return r < 0 ? r : last_of_type(w, entry->data, entry->size, 2, value->type, value);
}

static int put_entry(struct writer *w, const struct desc_field *f, const struct wire_field *key,
                     const struct wire_field *value)
{
    const struct desc_field *k = desc_field_by_number(f->message, 1),
                            *v = desc_field_by_number(f->message, 2);
    if (k->type == DESC_STRING) {
        if (!json_put_string(w->out, (const char *) key->data, key->size))
            return fail(w, "a string is not valid UTF-8");
    } else {
        /* Numbers as keys are strings in both dialects, so never quoted twice. */
        enum json_dialect dialect = w->t->dialect;
        buf_putc(w->out, '"');
        w->t->dialect = JSON_LEGACY;
        put_number(w, k, key->value);
        w->t->dialect = dialect;
        buf_putc(w->out, '"');
    }
    buf_putc(w->out, ':');
    return put_value(w, v, value);
}

/* A key that came several times has its last value.  seen: key -> number of its last occurrence
 * (from 1). */
static int index_keys(struct writer *w, const struct desc_field *f, struct wire_reader r,
                      struct map *seen)
{
    struct wire_field entry, key, value;
    int more, result = 0;
    for (uintptr_t i = 1; result >= 0 && (more = wire_next(&r, &entry)) > 0; i++) {
        if (entry.number != f->number)
            continue;
        result = entry.type != WIRE_BYTES ? fail(w, "a field has another wire type")
                                          : read_entry(w, f, &entry, &key, &value);
        if (result < 0)
            break;
        const char *bytes =
            key.type == WIRE_BYTES ? (const char *) key.data : (const char *) &key.value;
        size_t size = key.type == WIRE_BYTES ? key.size : sizeof key.value;
        if (map_set(seen, bytes, size, (void *) i, NULL) < 0)
            result = NRPC_E_NOMEM;
    }
    return result;
}

static int put_map(struct writer *w, const struct desc_field *f, const uint8_t *data,
                   const struct place *p)
{
    struct wire_reader r = wire_reader_of(data + p->first, p->end - p->first);
    struct wire_field entry, key, value;
    struct map seen = { 0 };
    bool first = true;
    int more, result = p->count > 1 ? index_keys(w, f, r, &seen) : 0;
    buf_putc(w->out, '{');
    for (uintptr_t i = 1; result >= 0 && (more = wire_next(&r, &entry)) > 0; i++) {
        if (entry.number != f->number)
            continue;
        result = entry.type != WIRE_BYTES ? fail(w, "a field has another wire type")
                                          : read_entry(w, f, &entry, &key, &value);
        if (result < 0)
            break;
        const char *bytes =
            key.type == WIRE_BYTES ? (const char *) key.data : (const char *) &key.value;
        size_t size = key.type == WIRE_BYTES ? key.size : sizeof key.value;
        if (p->count > 1 && map_get(&seen, bytes, size) != (void *) i)
            continue;
        if (!first)
            buf_putc(w->out, ',');
        first = false;
        result = put_entry(w, f, &key, &value);
    }
    buf_putc(w->out, '}');
    map_done(&seen);
    return result < 0 ? result : 0;
}

/* ---- messages -------------------------------------------------------------------------- */

static void put_name(struct writer *w, const struct desc_field *f, bool *first)
{
    if (!*first)
        buf_putc(w->out, ',');
    *first = false;
    buf_putc(w->out, '"');
    buf_puts(w->out, w->t->dialect == JSON_LEGACY ? f->name : f->json_name);
    buf_puts(w->out, "\":");
}

static int put_absent(struct writer *w, const struct desc_field *f, bool *first)
{
    if (w->t->dialect == JSON_STANDARD)
        return 0;
    bool is_struct = f->message != NULL && f->message->wkt == DESC_STRUCT;
    if (f->presence && !is_struct)
        return 0;
    put_name(w, f, first);
    if (f->repeated || is_struct) {
        buf_puts(w->out, f->repeated && !f->map ? "[]" : "{}");
        return 0;
    }
    struct wire_field v = default_of(f);
    return put_value(w, f, &v);
}

/* A message that came in several pieces is the merge of all: their bytes in a row. */
static int put_merged(struct writer *w, const struct desc_field *f, const uint8_t *data,
                      const struct place *p)
{
    struct wire_reader r = wire_reader_of(data + p->first, p->end - p->first);
    struct wire_field v;
    struct buf merged = { 0 };
    while (wire_next(&r, &v) > 0)
        if (v.number == f->number && v.type == WIRE_BYTES)
            buf_put(&merged, v.data, v.size);
    int result =
        merged.failed ? NRPC_E_NOMEM : put_message(w, f->message, merged.data, merged.size);
    buf_done(&merged);
    return result;
}

static int put_present(struct writer *w, const struct desc_field *f, const uint8_t *data,
                       const struct place *p, bool *first)
{
    if (f->repeated) {
        put_name(w, f, first);
        return f->map ? put_map(w, f, data, p) : put_list(w, f, data, p);
    }
    struct wire_reader r = wire_reader_of(data + p->last, p->end - p->last);
    struct wire_field v;
    if (wire_next(&r, &v) <= 0)
        return fail(w, "a message is malformed");
    if (v.type != (enum wire_type) desc_wire_type(f->type))
        return fail(w, "a field has another wire type");
    if (w->t->dialect == JSON_STANDARD && !f->presence && is_default(f, &v))
        return 0;
    put_name(w, f, first);
    return f->type == DESC_MESSAGE && p->count > 1 ? put_merged(w, f, data, p)
                                                   : put_value(w, f, &v);
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
        if (f == NULL)
            continue;
        struct place *p = &places[f->index];
        if (p->count++ == 0)
            p->first = (uint32_t) (at - start);
        p->last = (uint32_t) (at - start);
        p->end = (uint32_t) (r.at - start);
        for (size_t i = 0; f->oneof >= 0 && i < m->n_fields; i++)
            if (m->fields[i].oneof == f->oneof && i != f->index)
                places[i].count = 0;
    }
    return more < 0 ? fail(w, "a message is malformed") : 0;
}

/* The members of an object, without braces. */
static int put_fields(struct writer *w, const struct desc_message *m, const uint8_t *data,
                      size_t size, bool first)
{
    struct buf *scratch = &w->t->scratch;
    size_t before = scratch->size, bytes = m->n_fields * sizeof(struct place);
    if (size > UINT32_MAX)
        return fail(w, "a message is too large");
    if (m->n_fields == 0)
        return 0;
    if (++w->depth > WIRE_DEPTH_MAX)
        return fail(w, "a message is nested too deeply");
    uint8_t *memory = buf_grow(scratch, bytes);
    if (memory == NULL)
        return NRPC_E_NOMEM;
    memset(memory, 0, bytes);
    int r = find_fields(w, m, data, size, (struct place *) (void *) memory);
    for (size_t i = 0; i < m->n_fields && r >= 0; i++) {
        /* The scratch memory may move while a field's own message uses it. */
        struct place p;
        memcpy(&p, scratch->data + before + i * sizeof p, sizeof p);
        r = p.count == 0 ? put_absent(w, &m->fields[i], &first)
                         : put_present(w, &m->fields[i], data, &p, &first);
    }
    scratch->size = before;
    w->depth--;
    return r < 0 ? r : 0;
}

static int put_message(struct writer *w, const struct desc_message *m, const uint8_t *data,
                       size_t size)
{
    int r = 0;
    switch (m->wkt) {
    case DESC_ANY:
        if (++w->depth > WIRE_DEPTH_MAX)
            return fail(w, "a message is nested too deeply");
        r = put_any(w, data, size);
        w->depth--;
        return r;
    case DESC_TIMESTAMP:
    case DESC_DURATION:
        return put_time(w, m, data, size);
    case DESC_FIELD_MASK:
        return put_field_mask(w, data, size);
    case DESC_STRUCT:
    case DESC_LIST_VALUE:
        return put_struct_or_list(w, m->wkt == DESC_LIST_VALUE, data, size);
    case DESC_VALUE:
        return put_struct_value(w, data, size);
    case DESC_WRAPPER:
        return put_wrapper(w, m, data, size);
    default:
        buf_putc(w->out, '{');
        r = put_fields(w, m, data, size, true);
        buf_putc(w->out, '}');
        return r;
    }
}

void to_json_init(struct to_json *t, const struct desc_pool *pool, enum json_dialect dialect)
{
    *t = (struct to_json){ .pool = pool, .dialect = dialect };
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
    struct writer w = { .t = t, .out = out };
    size_t before = out->size;
    return conclude(t, put_message(&w, m, data, size), before, out);
}

int to_json_field(struct to_json *t, const struct desc_field *f, const void *data, size_t size,
                  struct buf *out)
{
    struct writer w = { .t = t, .out = out };
    size_t before = out->size;
    struct wire_reader r = wire_reader_of(data, size);
    const uint8_t *start = r.at, *at = start;
    struct place p = { 0 };
    struct wire_field v;
    int more;
    for (; (more = wire_next(&r, &v)) > 0; at = r.at) {
        if (v.number != f->number)
            continue;
        if (p.count++ == 0)
            p.first = (uint32_t) (at - start);
        p.last = (uint32_t) (at - start);
        p.end = (uint32_t) (r.at - start);
    }
    int result = 0;
    if (more < 0)
        result = fail(&w, "a message is malformed");
    else if (f->repeated)
        result = f->map ? put_map(&w, f, start, &p) : put_list(&w, f, start, &p);
    else if (p.count == 0 && f->type == DESC_MESSAGE)
        buf_puts(out,
                 f->message->wkt == DESC_PLAIN || f->message->wkt == DESC_STRUCT ? "{}" : "null");
    else if (p.count > 1 && f->type == DESC_MESSAGE)
        result = put_merged(&w, f, start, &p);
    else {
        struct wire_field last = default_of(f);
        r = wire_reader_of(start + p.last, p.end - p.last);
        wire_next(&r, &last);
        result = put_value(&w, f, &last);
    }
    return conclude(t, result, before, out);
}

int to_json_any(struct to_json *t, const void *data, size_t size, struct buf *out)
{
    struct writer w = { .t = t, .out = out };
    size_t before = out->size;
    return conclude(t, put_any(&w, data, size), before, out);
}
