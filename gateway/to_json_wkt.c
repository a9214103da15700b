/* Well-known types of to_json. */
#include <string.h>

#include "gateway/json_writer.h"
#include "gateway/scalar.h"
#include "gateway/to_json_inside.h"
#include "rpc/nrpc.h"

static int put_time(struct writer *w, const struct desc_message *m, const uint8_t *data,
                    size_t size)
{
    struct wire_field seconds = { 0 }, nanos = { 0 };
    int r = to_json_last(w, data, size, 1, WIRE_VARINT, &seconds);
    if (r >= 0)
        r = to_json_last(w, data, size, 2, WIRE_VARINT, &nanos);
    if (r < 0)
        return r;
    buf_putc(w->out, '"');
    bool ok = m->wkt == DESC_TIMESTAMP
                  ? scalar_put_timestamp(w->out, (int64_t) seconds.value, (int32_t) nanos.value)
                  : scalar_put_duration(w->out, (int64_t) seconds.value, (int32_t) nanos.value);
    buf_putc(w->out, '"');
    return ok ? 0 : to_json_fail_form(w, "a time is out of range");
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
                return to_json_fail_form(w, "a field mask holds an unusable path");
        if (w->t->style.proto_names)
            buf_put(w->out, f.data, f.size);
        else if (!scalar_put_camel_path(w->out, (const char *) f.data, f.size))
            return to_json_fail_form(w, "a field mask holds a path without a JSON form");
    }
    buf_putc(w->out, '"');
    return more < 0 ? to_json_fail(w, "a message is malformed") : 0;
}

static int put_struct_value(struct writer *w, const struct desc_message *m, const uint8_t *data,
                            size_t size);

/* A Struct is its one map. */
static int put_struct(struct writer *w, const struct desc_message *m, const uint8_t *data,
                      size_t size)
{
    const struct place all = { 0, (uint32_t) size, UINT32_MAX, 0 };
    if (size > UINT32_MAX)
        return to_json_fail(w, "a message is too large");
    if (to_json_enter(w) < 0)
        return NRPC_E_PROTO;
    int r = to_json_map(w, desc_field_by_number(m, 1), data, &all);
    w->depth--;
    return r;
}

static int put_list_value(struct writer *w, const struct desc_message *m, const uint8_t *data,
                          size_t size)
{
    const struct desc_message *value = desc_field_by_number(m, 1)->message;
    struct wire_reader r = wire_reader_of(data, size);
    struct wire_field f;
    bool first = true;
    int more, result = 0;
    if (to_json_enter(w) < 0)
        return NRPC_E_PROTO;
    buf_putc(w->out, '[');
    while (result >= 0 && (more = wire_next(&r, &f)) > 0) {
        if (f.number != 1 || f.type != WIRE_BYTES)
            continue;
        if (!first)
            buf_putc(w->out, ',');
        first = false;
        result = put_struct_value(w, value, f.data, f.size);
    }
    buf_putc(w->out, ']');
    w->depth--;
    return result < 0 ? result : more < 0 ? to_json_fail(w, "a message is malformed") : 0;
}

/* google.protobuf.Value: the last member of its oneof; none is null. */
static int put_struct_value(struct writer *w, const struct desc_message *m, const uint8_t *data,
                            size_t size)
{
    enum { NULL_VALUE = 1, NUMBER, STRING, BOOL, STRUCT, LIST };
    struct wire_reader r = wire_reader_of(data, size);
    struct wire_field f, v = { .number = NULL_VALUE };
    double number;
    int more;
    while ((more = wire_next(&r, &f)) > 0) {
        const struct desc_field *field = desc_field_by_number(m, f.number);
        if (field != NULL && to_json_fits(field, &f))
            v = f;
    }
    if (more < 0)
        return to_json_fail(w, "a message is malformed");
    switch (v.number) {
    case NUMBER:
        memcpy(&number, &v.value, sizeof number);
        if (number != number || number - number != 0)
            return to_json_fail_form(w, "a Value holds no finite number");
        json_put_double(w->out, number, false);
        return 0;
    case STRING:
        return to_json_value(w, desc_field_by_number(m, STRING), &v);
    case BOOL:
        buf_puts(w->out, v.value != 0 ? "true" : "false");
        return 0;
    case STRUCT:
    case LIST:
        return to_json_content(w, desc_field_by_number(m, v.number)->message, v.data, v.size);
    default:
        buf_puts(w->out, "null");
        return 0;
    }
}

int to_json_put_any(struct writer *w, const uint8_t *data, size_t size)
{
    struct wire_field url = to_json_default(&(struct desc_field){ .type = DESC_STRING }),
                      value = url;
    int r = to_json_last(w, data, size, 1, WIRE_BYTES, &url);
    if (r >= 0)
        r = to_json_last(w, data, size, 2, WIRE_BYTES, &value);
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
        return to_json_fail(w, "a string is not valid UTF-8");
    if (m != NULL && m->wkt == DESC_PLAIN && !m->is_empty) {
        r = to_json_members(w, m, value.data, value.size, false);
    } else {
        buf_puts(w->out, ",\"value\":");
        if (m == NULL) /* a type we were not told of keeps its bytes */
            json_put_base64(w->out, value.data, value.size);
        else
            r = to_json_content(w, m, value.data, value.size);
    }
    buf_putc(w->out, '}');
    return r;
}

static int put_wrapper(struct writer *w, const struct desc_message *m, const uint8_t *data,
                       size_t size)
{
    const struct desc_field *f = desc_field_by_number(m, 1);
    struct wire_field v = to_json_default(f);
    int r = to_json_last(w, data, size, 1, v.type, &v);
    return r < 0 ? r : to_json_value(w, f, &v);
}

int to_json_wkt(struct writer *w, const struct desc_message *m, const uint8_t *data, size_t size)
{
    int r;
    switch (m->wkt) {
    case DESC_ANY:
        if (to_json_enter(w) < 0)
            return NRPC_E_PROTO;
        r = to_json_put_any(w, data, size);
        w->depth--;
        return r;
    case DESC_TIMESTAMP:
    case DESC_DURATION:
        return put_time(w, m, data, size);
    case DESC_FIELD_MASK:
        return put_field_mask(w, data, size);
    case DESC_STRUCT:
        return put_struct(w, m, data, size);
    case DESC_LIST_VALUE:
        return put_list_value(w, m, data, size);
    case DESC_VALUE:
        return put_struct_value(w, m, data, size);
    default:
        return put_wrapper(w, m, data, size);
    }
}
