#include "clients/c/novel_json.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <google/protobuf/any.pb-c.h>
#include <google/protobuf/duration.pb-c.h>
#include <google/protobuf/field_mask.pb-c.h>
#include <google/protobuf/struct.pb-c.h>
#include <google/protobuf/timestamp.pb-c.h>
#include <google/rpc/error_details.pb-c.h>

#include "rpc/base/field_size.h"
#include "rpc/base/utf8.h"

enum { DEPTH_MAX = 100, INDENT_STEP = 2 };

struct writer {
    struct buf *out;
    int indent; /* < 0: one line */
    unsigned depth;
};

static void put_message(struct writer *w, const ProtobufCMessage *m);
static void put_value(struct writer *w, const ProtobufCFieldDescriptor *f, const void *member);

static void put_newline(struct writer *w)
{
    if (w->indent < 0)
        return;
    buf_putc(w->out, '\n');
    for (int i = 0; i < w->indent; i++)
        buf_putc(w->out, ' ');
}

static void open_level(struct writer *w, char bracket)
{
    buf_putc(w->out, bracket);
    if (w->indent >= 0)
        w->indent += INDENT_STEP;
}

static void close_level(struct writer *w, char bracket, bool empty)
{
    if (w->indent >= 0)
        w->indent -= INDENT_STEP;
    if (!empty)
        put_newline(w);
    buf_putc(w->out, bracket);
}

/* Before each item; *first turns false. */
static void next_item(struct writer *w, bool *first)
{
    if (!*first)
        buf_putc(w->out, ',');
    *first = false;
    put_newline(w);
}

static void put_key(struct writer *w, const char *key)
{
    novel_json_put_string(w->out, key, strlen(key));
    buf_puts(w->out, w->indent < 0 ? ":" : ": ");
}

/* ---- scalars ---- */
void novel_json_put_string(struct buf *out, const char *text, size_t size)
{
    buf_putc(out, '"');
    for (size_t at = 0; at < size;) {
        size_t good = utf8_valid_prefix(text + at, size - at);
        for (size_t end = at + good; at < end; at++) {
            unsigned char c = (unsigned char) text[at];
            if (c == '"' || c == '\\')
                buf_printf(out, "\\%c", c);
            else if (c == '\n')
                buf_puts(out, "\\n");
            else if (c == '\t')
                buf_puts(out, "\\t");
            else if (c < 0x20 || c == 0x7f)
                buf_printf(out, "\\u%04x", c);
            else
                buf_putc(out, (char) c);
        }
        if (at < size) {
            buf_puts(out, "\xef\xbf\xbd");
            at++;
        }
    }
    buf_putc(out, '"');
}

static void put_base64(struct buf *out, const uint8_t *data, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    buf_putc(out, '"');
    for (size_t i = 0; i < size; i += 3) {
        uint32_t v = (uint32_t) data[i] << 16;
        v |= i + 1 < size ? (uint32_t) data[i + 1] << 8 : 0;
        v |= i + 2 < size ? data[i + 2] : 0;
        const char four[4] = { digits[v >> 18], digits[v >> 12 & 63],
                               i + 1 < size ? digits[v >> 6 & 63] : '=',
                               i + 2 < size ? digits[v & 63] : '=' };
        buf_put(out, four, 4);
    }
    buf_putc(out, '"');
}

/* The shortest of the usual precisions that reads back as the same number. */
static void put_real(struct buf *out, double v, bool is_float)
{
    if (isnan(v)) {
        buf_puts(out, "\"NaN\"");
        return;
    }
    if (isinf(v)) {
        buf_puts(out, v > 0 ? "\"Infinity\"" : "\"-Infinity\"");
        return;
    }
    char text[40];
    for (int digits = is_float ? 6 : 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, v);
        double back = strtod(text, NULL);
        if (is_float ? (float) back == (float) v : back == v)
            break;
    }
    buf_puts(out, text);
}

static void put_enum(struct buf *out, const ProtobufCEnumDescriptor *d, int32_t number)
{
    const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(d, number);
    if (value != NULL)
        novel_json_put_string(out, value->name, strlen(value->name));
    else
        buf_printf(out, "%" PRId32, number);
}

/* ---- well-known types ---- */
/* Days since 1970 to a date of the proleptic Gregorian calendar. */
static void date_of(int64_t days, int64_t *year, unsigned *month, unsigned *day)
{
    days += 719468; /* from 0000-03-01 */
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t of_era = days - era * 146097;
    int64_t year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted = (5 * of_year + 2) / 153;
    *day = (unsigned) (of_year - (153 * shifted + 2) / 5 + 1);
    *month = (unsigned) (shifted < 10 ? shifted + 3 : shifted - 9);
    *year = year_of_era + era * 400 + (*month <= 2);
}

static void put_nanos(struct buf *out, int32_t nanos)
{
    uint32_t n = nanos < 0 ? (uint32_t) - (int64_t) nanos : (uint32_t) nanos;
    if (n % 1000000 == 0 && n != 0)
        buf_printf(out, ".%03" PRIu32, n / 1000000);
    else if (n % 1000 == 0 && n != 0)
        buf_printf(out, ".%06" PRIu32, n / 1000);
    else if (n != 0)
        buf_printf(out, ".%09" PRIu32, n);
}

static void put_timestamp(struct buf *out, const Google__Protobuf__Timestamp *t)
{
    if (t->seconds < -62135596800 || t->seconds > 253402300799 || t->nanos < 0 ||
        t->nanos > 999999999) {
        buf_puts(out, "null"); /* outside of years 1 to 9999 */
        return;
    }
    int64_t days = t->seconds / 86400, rest = t->seconds % 86400, year;
    if (rest < 0) {
        rest += 86400;
        days--;
    }
    unsigned month, day;
    date_of(days, &year, &month, &day);
    buf_printf(out, "\"%04" PRId64 "-%02u-%02uT%02d:%02d:%02d", year, month, day,
               (int) (rest / 3600), (int) (rest / 60 % 60), (int) (rest % 60));
    put_nanos(out, t->nanos);
    buf_puts(out, "Z\"");
}

static void put_duration(struct buf *out, const Google__Protobuf__Duration *d)
{
    bool minus = d->seconds < 0 || d->nanos < 0;
    uint64_t seconds = d->seconds < 0 ? 0 - (uint64_t) d->seconds : (uint64_t) d->seconds;
    buf_printf(out, "\"%s%" PRIu64, minus ? "-" : "", seconds);
    put_nanos(out, d->nanos);
    buf_puts(out, "s\"");
}

static void put_field_mask(struct buf *out, const Google__Protobuf__FieldMask *mask)
{
    struct buf joined = { 0 };
    for (size_t i = 0; i < mask->n_paths; i++) {
        buf_puts(&joined, i > 0 ? "," : "");
        buf_puts(&joined, mask->paths[i]);
    }
    out->failed |= joined.failed;
    novel_json_put_string(out, joined.size > 0 ? (char *) joined.data : "", joined.size);
    buf_done(&joined);
}

static void put_struct_value(struct writer *w, const Google__Protobuf__Value *v);

static void put_struct(struct writer *w, const Google__Protobuf__Struct *s)
{
    bool first = true;
    open_level(w, '{');
    for (size_t i = 0; s != NULL && i < s->n_fields; i++) {
        next_item(w, &first);
        put_key(w, s->fields[i]->key);
        put_struct_value(w, s->fields[i]->value);
    }
    close_level(w, '}', first);
}

static void put_struct_list(struct writer *w, const Google__Protobuf__ListValue *list)
{
    bool first = true;
    open_level(w, '[');
    for (size_t i = 0; i < list->n_values; i++) {
        next_item(w, &first);
        put_struct_value(w, list->values[i]);
    }
    close_level(w, ']', first);
}

static void put_struct_value(struct writer *w, const Google__Protobuf__Value *v)
{
    if (v == NULL || ++w->depth > DEPTH_MAX) {
        buf_puts(w->out, "null");
        w->depth -= v != NULL;
        return;
    }
    switch (v->kind_case) {
    case GOOGLE__PROTOBUF__VALUE__KIND_NUMBER_VALUE:
        put_real(w->out, v->number_value, false);
        break;
    case GOOGLE__PROTOBUF__VALUE__KIND_STRING_VALUE:
        novel_json_put_string(w->out, v->string_value, strlen(v->string_value));
        break;
    case GOOGLE__PROTOBUF__VALUE__KIND_BOOL_VALUE:
        buf_puts(w->out, v->bool_value ? "true" : "false");
        break;
    case GOOGLE__PROTOBUF__VALUE__KIND_STRUCT_VALUE:
        put_struct(w, v->struct_value);
        break;
    case GOOGLE__PROTOBUF__VALUE__KIND_LIST_VALUE:
        put_struct_list(w, v->list_value);
        break;
    default:
        buf_puts(w->out, "null");
    }
    w->depth--;
}

/* The error details of the public interface are shown with their fields; any other Any keeps its
 * bytes. */
static void put_any(struct writer *w, const Google__Protobuf__Any *any)
{
    static const ProtobufCMessageDescriptor *const known[] = {
        &google__rpc__bad_request__descriptor,          &google__rpc__error_info__descriptor,
        &google__rpc__retry_info__descriptor,           &google__rpc__quota_failure__descriptor,
        &google__rpc__precondition_failure__descriptor, &google__rpc__request_info__descriptor,
        &google__rpc__resource_info__descriptor,        &google__rpc__help__descriptor,
    };
    const char *name = strrchr(any->type_url, '/');
    name = name == NULL ? any->type_url : name + 1;
    bool first = true;
    open_level(w, '{');
    next_item(w, &first);
    put_key(w, "@type");
    novel_json_put_string(w->out, any->type_url, strlen(any->type_url));
    next_item(w, &first);
    put_key(w, "value");
    ProtobufCMessage *m = NULL;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(known[i]->name, name) == 0)
            m = protobuf_c_message_unpack(known[i], NULL, any->value.len, any->value.data);
    if (m != NULL) {
        put_message(w, m);
        protobuf_c_message_free_unpacked(m, NULL);
    } else {
        put_base64(w->out, any->value.data, any->value.len);
    }
    close_level(w, '}', first);
}

static bool is_wrapper(const ProtobufCMessageDescriptor *d)
{
    size_t size = strlen(d->short_name);
    return strcmp(d->package_name, "google.protobuf") == 0 && d->n_fields == 1 && size > 5 &&
           strcmp(d->short_name + size - 5, "Value") == 0 &&
           d->fields[0].label != PROTOBUF_C_LABEL_REPEATED;
}

/* True when m was a well-known type and is written. */
static bool put_well_known(struct writer *w, const ProtobufCMessage *m)
{
    const ProtobufCMessageDescriptor *d = m->descriptor;
    if (d == &google__protobuf__timestamp__descriptor)
        put_timestamp(w->out, (const Google__Protobuf__Timestamp *) m);
    else if (d == &google__protobuf__duration__descriptor)
        put_duration(w->out, (const Google__Protobuf__Duration *) m);
    else if (d == &google__protobuf__field_mask__descriptor)
        put_field_mask(w->out, (const Google__Protobuf__FieldMask *) m);
    else if (d == &google__protobuf__struct__descriptor)
        put_struct(w, (const Google__Protobuf__Struct *) m);
    else if (d == &google__protobuf__value__descriptor)
        put_struct_value(w, (const Google__Protobuf__Value *) m);
    else if (d == &google__protobuf__list_value__descriptor)
        put_struct_list(w, (const Google__Protobuf__ListValue *) m);
    else if (d == &google__protobuf__any__descriptor)
        put_any(w, (const Google__Protobuf__Any *) m);
    else if (is_wrapper(d))
        put_value(w, &d->fields[0], (const char *) m + d->fields[0].offset);
    else
        return false;
    return true;
}

/* ---- messages ---- */
static void put_value(struct writer *w, const ProtobufCFieldDescriptor *f, const void *member)
{
    const char *text;
    switch (f->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        buf_printf(w->out, "%" PRId32, *(const int32_t *) member);
        break;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        buf_printf(w->out, "%" PRIu32, *(const uint32_t *) member);
        break;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        buf_printf(w->out, "%" PRId64, *(const int64_t *) member);
        break;
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        buf_printf(w->out, "%" PRIu64, *(const uint64_t *) member);
        break;
    case PROTOBUF_C_TYPE_FLOAT:
        put_real(w->out, (double) *(const float *) member, true);
        break;
    case PROTOBUF_C_TYPE_DOUBLE:
        put_real(w->out, *(const double *) member, false);
        break;
    case PROTOBUF_C_TYPE_BOOL:
        buf_puts(w->out, *(const protobuf_c_boolean *) member ? "true" : "false");
        break;
    case PROTOBUF_C_TYPE_ENUM:
        put_enum(w->out, f->descriptor, *(const int32_t *) member);
        break;
    case PROTOBUF_C_TYPE_STRING:
        text = *(const char *const *) member;
        novel_json_put_string(w->out, text == NULL ? "" : text, text == NULL ? 0 : strlen(text));
        break;
    case PROTOBUF_C_TYPE_BYTES:
        put_base64(w->out, ((const ProtobufCBinaryData *) member)->data,
                   ((const ProtobufCBinaryData *) member)->len);
        break;
    case PROTOBUF_C_TYPE_MESSAGE:
        put_message(w, *(const ProtobufCMessage *const *) member);
        break;
    }
}

static bool is_map_entry(const ProtobufCMessageDescriptor *d)
{
    size_t size = strlen(d->short_name);
    return d->n_fields == 2 && size > 5 && strcmp(d->short_name + size - 5, "Entry") == 0 &&
           d->fields[0].id == 1 && strcmp(d->fields[0].name, "key") == 0 && d->fields[1].id == 2 &&
           strcmp(d->fields[1].name, "value") == 0;
}

static void put_entry(struct writer *w, const ProtobufCMessage *entry)
{
    const ProtobufCFieldDescriptor *key = &entry->descriptor->fields[0],
                                   *value = &entry->descriptor->fields[1];
    struct buf name = { 0 };
    if (key->type == PROTOBUF_C_TYPE_STRING) {
        const char *text = *(const char *const *) ((const char *) entry + key->offset);
        buf_puts(&name, text == NULL ? "" : text);
    } else {
        struct writer plain = { &name, -1, 0 };
        put_value(&plain, key, (const char *) entry + key->offset);
    }
    w->out->failed |= name.failed;
    put_key(w, buf_str(&name));
    buf_done(&name);
    put_value(w, value, (const char *) entry + value->offset);
}

static void put_repeated(struct writer *w, const ProtobufCFieldDescriptor *f,
                         const ProtobufCMessage *m)
{
    size_t n = *(const size_t *) ((const char *) m + f->quantifier_offset);
    const char *items = *(const char *const *) ((const char *) m + f->offset);
    bool map = f->type == PROTOBUF_C_TYPE_MESSAGE && is_map_entry(f->descriptor), first = true;
    open_level(w, map ? '{' : '[');
    for (size_t i = 0; i < n; i++) {
        next_item(w, &first);
        const void *item = items + i * field_item_size(f->type);
        if (map)
            put_entry(w, *(const ProtobufCMessage *const *) item);
        else
            put_value(w, f, item);
    }
    close_level(w, map ? '}' : ']', first);
}

/* Whether the field is written: not an unset member of a oneof, nor an absent message. */
static bool is_written(const ProtobufCFieldDescriptor *f, const ProtobufCMessage *m)
{
    if (f->label == PROTOBUF_C_LABEL_REPEATED)
        return true;
    const void *quantifier = (const char *) m + f->quantifier_offset;
    if ((f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0)
        return *(const uint32_t *) quantifier == f->id;
    if (f->type == PROTOBUF_C_TYPE_MESSAGE)
        return *(const ProtobufCMessage *const *) ((const char *) m + f->offset) != NULL ||
               f->descriptor == &google__protobuf__struct__descriptor;
    if (f->label == PROTOBUF_C_LABEL_OPTIONAL && f->type != PROTOBUF_C_TYPE_STRING)
        return *(const protobuf_c_boolean *) quantifier;
    return true;
}

static void put_message(struct writer *w, const ProtobufCMessage *m)
{
    if (m == NULL || w->depth == DEPTH_MAX) {
        buf_puts(w->out, "null");
        return;
    }
    w->depth++;
    if (!put_well_known(w, m)) {
        bool first = true;
        open_level(w, '{');
        for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
            const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
            if (!is_written(f, m))
                continue;
            next_item(w, &first);
            put_key(w, f->name);
            const void *member = (const char *) m + f->offset;
            if (f->label == PROTOBUF_C_LABEL_REPEATED)
                put_repeated(w, f, m);
            else if (f->type == PROTOBUF_C_TYPE_MESSAGE &&
                     *(const ProtobufCMessage *const *) member == NULL)
                buf_puts(w->out, "{}");
            else
                put_value(w, f, member);
        }
        close_level(w, '}', first);
    }
    w->depth--;
}

void novel_json_put(struct buf *out, const ProtobufCMessage *m, int indent)
{
    struct writer w = { out, indent, 0 };
    put_message(&w, m);
}
