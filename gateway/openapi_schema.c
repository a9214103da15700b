/* Schemas: what messages and fields look like in JSON. */
#include <inttypes.h>
#include <string.h>

#include "gateway/json_writer.h"
#include "gateway/openapi_inner.h"

const char *openapi_field_name(const struct desc_field *f, bool legacy)
{
    return legacy ? f->name : f->json_name;
}

void openapi_put_text(struct openapi *o, const char *key, const char *text)
{
    buf_printf(o->out, "\"%s\":", key);
    json_put_lossy(o->out, text, strlen(text));
}

/* ---- names ----------------------------------------------------------------------------- */

static bool has_other_dialect(const struct openapi *o, const struct desc_message *m, bool legacy)
{
    for (size_t i = 0; i < o->n_schemas; i++)
        if (o->schemas[i].message == m && o->schemas[i].legacy != legacy)
            return true;
    return false;
}

static void put_schema_name(struct openapi *o, const struct desc_message *m, bool legacy)
{
    buf_printf(o->out, "%s%s", m->full_name,
               !legacy && has_other_dialect(o, m, legacy) ? ".standard" : "");
}

static void put_reference(struct openapi *o, const struct desc_message *m, bool legacy)
{
    size_t i = 0;
    while (i < o->n_schemas && (o->schemas[i].message != m || o->schemas[i].legacy != legacy))
        i++;
    if (i == OPENAPI_SCHEMAS_MAX) {
        buf_puts(o->out, "\"type\":\"object\"");
        return;
    }
    if (i == o->n_schemas)
        o->schemas[o->n_schemas++] = (struct openapi_schema){ m, legacy };
    buf_puts(o->out, "\"$ref\":\"#/components/schemas/");
    put_schema_name(o, m, legacy);
    buf_putc(o->out, '"');
}

/* ---- single values --------------------------------------------------------------------- */

static void put_long(struct openapi *o, const char *format, bool legacy)
{
    /* Standard JSON writes 64-bit numbers as strings, and reads both. */
    buf_printf(o->out, "\"type\":\"%s\",\"format\":\"%s\"", legacy ? "integer" : "string", format);
}

static void put_enum(struct openapi *o, const struct desc_enum *e)
{
    if (e->is_null_value) {
        buf_puts(o->out, "\"type\":\"null\"");
        return;
    }
    buf_puts(o->out, "\"type\":\"string\",\"enum\":[");
    for (size_t i = 0; i < e->n_values; i++)
        buf_printf(o->out, "%s\"%s\"", i == 0 ? "" : ",", e->values[i].name);
    buf_putc(o->out, ']');
}

static void put_scalar(struct openapi *o, const struct desc_field *f, bool legacy)
{
    switch (f->type) {
    case DESC_DOUBLE:
    case DESC_FLOAT:
        buf_printf(o->out, "\"type\":\"number\",\"format\":\"%s\"",
                   f->type == DESC_DOUBLE ? "double" : "float");
        break;
    case DESC_INT32:
    case DESC_SINT32:
    case DESC_SFIXED32:
        buf_puts(o->out, "\"type\":\"integer\",\"format\":\"int32\"");
        break;
    case DESC_UINT32:
    case DESC_FIXED32:
        buf_puts(o->out, "\"type\":\"integer\",\"format\":\"uint32\"");
        break;
    case DESC_INT64:
    case DESC_SINT64:
    case DESC_SFIXED64:
        put_long(o, "int64", legacy);
        break;
    case DESC_UINT64:
    case DESC_FIXED64:
        put_long(o, "uint64", legacy);
        break;
    case DESC_BOOL:
        buf_puts(o->out, "\"type\":\"boolean\"");
        break;
    case DESC_BYTES:
        buf_puts(o->out, "\"type\":\"string\",\"contentEncoding\":\"base64\"");
        break;
    case DESC_ENUM:
        put_enum(o, f->enumeration);
        break;
    default:
        buf_puts(o->out, "\"type\":\"string\"");
    }
}

/* The members of the object of a message's schema. */
static void put_message_members(struct openapi *o, const struct desc_message *m, bool legacy)
{
    switch (m->wkt) {
    case DESC_TIMESTAMP:
        buf_puts(o->out, "\"type\":\"string\",\"format\":\"date-time\"");
        break;
    case DESC_DURATION:
        buf_puts(o->out, "\"type\":\"string\",\"pattern\":\"^-?[0-9]+(\\\\.[0-9]+)?s$\"");
        break;
    case DESC_FIELD_MASK:
        buf_puts(o->out,
                 "\"type\":\"string\",\"description\":\"names of fields, joined by commas\"");
        break;
    case DESC_STRUCT:
        buf_puts(o->out, "\"type\":\"object\",\"additionalProperties\":true");
        break;
    case DESC_LIST_VALUE:
        buf_puts(o->out, "\"type\":\"array\",\"items\":{}");
        break;
    case DESC_VALUE:
        buf_puts(o->out, "\"description\":\"any JSON\"");
        break;
    case DESC_ANY:
        buf_puts(o->out, "\"type\":\"object\",\"properties\":{\"@type\":{\"type\":\"string\"}},"
                         "\"required\":[\"@type\"],"
                         "\"additionalProperties\":true");
        break;
    case DESC_WRAPPER:
        put_scalar(o, &m->fields[0], legacy);
        break;
    default:
        put_reference(o, m, legacy);
    }
}

void openapi_put_message(struct openapi *o, const struct desc_message *m, bool legacy)
{
    buf_putc(o->out, '{');
    put_message_members(o, m, legacy);
    buf_putc(o->out, '}');
}

/* ---- rules ----------------------------------------------------------------------------- */

static bool is_text(const struct desc_field *f)
{
    const struct desc_field *v =
        f->message != NULL && f->message->wkt == DESC_WRAPPER ? &f->message->fields[0] : f;
    return v->type == DESC_STRING || v->type == DESC_BYTES;
}

static bool is_number(const struct desc_field *f)
{
    const struct desc_field *v =
        f->message != NULL && f->message->wkt == DESC_WRAPPER ? &f->message->fields[0] : f;
    return v->type != DESC_STRING && v->type != DESC_BYTES && v->type != DESC_BOOL &&
           v->type != DESC_ENUM && v->type != DESC_MESSAGE;
}

static void put_bounds(struct openapi *o, const Nrpc__FieldRules *r, const char *least,
                       const char *most)
{
    if (r->lower_case == NRPC__FIELD_RULES__LOWER_MIN)
        buf_printf(o->out, ",\"%s\":%" PRId64, least, r->min);
    else if (r->required && strcmp(least, "minimum") != 0)
        buf_printf(o->out, ",\"%s\":1", least);
    if (r->upper_case == NRPC__FIELD_RULES__UPPER_MAX)
        buf_printf(o->out, ",\"%s\":%" PRId64, most, r->max);
}

static void put_value_rules(struct openapi *o, const struct desc_field *f,
                            const Nrpc__FieldRules *r)
{
    if (r == NULL)
        return;
    if (is_text(f))
        put_bounds(o, r, "minLength", "maxLength");
    else if (is_number(f))
        put_bounds(o, r, "minimum", "maximum");
    if (r->pattern != NULL && *r->pattern != '\0') {
        struct buf anchored = { 0 };
        buf_printf(&anchored, "^(?:%s)%s$", r->pattern,
                   r->required ? "" : "?"); /* the empty string passes */
        buf_putc(o->out, ',');
        openapi_put_text(o, "pattern", buf_str(&anchored));
        buf_done(&anchored);
    }
}

/* ---- fields ---------------------------------------------------------------------------- */

static void put_item(struct openapi *o, const struct desc_field *f, const Nrpc__FieldRules *rules,
                     bool legacy)
{
    if (f->message != NULL)
        put_message_members(o, f->message, legacy);
    else
        put_scalar(o, f, legacy);
    put_value_rules(o, f, rules);
}

void openapi_put_field(struct openapi *o, const struct desc_message *m, const struct desc_field *f,
                       bool legacy)
{
    const Nrpc__FieldRules *rules = notes_rules(o->source->notes, m->full_name, f->name);
    const char *comment = notes_comment(o->source->notes, m->full_name, f->name);
    buf_putc(o->out, '{');
    if (f->map) {
        buf_puts(o->out, "\"type\":\"object\",\"additionalProperties\":{");
        put_item(o, &f->message->fields[1], rules == NULL ? NULL : rules->items, legacy);
        buf_putc(o->out, '}');
        if (rules != NULL)
            put_bounds(o, rules, "minProperties", "maxProperties");
    } else if (f->repeated) {
        buf_puts(o->out, "\"type\":\"array\",\"items\":{");
        put_item(o, f, rules == NULL ? NULL : rules->items, legacy);
        buf_putc(o->out, '}');
        if (rules != NULL)
            put_bounds(o, rules, "minItems", "maxItems");
        if (rules != NULL && rules->unique)
            buf_puts(o->out, ",\"uniqueItems\":true");
    } else {
        put_item(o, f, rules, legacy);
    }
    bool described = f->message != NULL && !f->repeated &&
                     (f->message->wkt == DESC_FIELD_MASK || f->message->wkt == DESC_VALUE);
    if (comment != NULL && !described) {
        buf_putc(o->out, ',');
        openapi_put_text(o, "description", comment);
    }
    buf_putc(o->out, '}');
}

/* ---- whole messages -------------------------------------------------------------------- */

static void put_required(struct openapi *o, const struct desc_message *m, bool legacy)
{
    size_t n = 0;
    for (size_t i = 0; i < m->n_fields; i++) {
        const Nrpc__FieldRules *r = notes_rules(o->source->notes, m->full_name, m->fields[i].name);
        if (r == NULL || !r->required)
            continue;
        buf_printf(o->out, "%s\"%s\"", n++ == 0 ? ",\"required\":[" : ",",
                   openapi_field_name(&m->fields[i], legacy));
    }
    if (n > 0)
        buf_putc(o->out, ']');
}

/* Comment of the message, and which of its fields exclude each other. */
static void put_description(struct openapi *o, const struct desc_message *m, bool legacy)
{
    const char *comment = notes_comment(o->source->notes, m->full_name, NULL);
    struct buf text = { 0 };
    buf_puts(&text, comment == NULL ? "" : comment);
    for (size_t i = 0; i < m->n_oneofs; i++) {
        size_t members = 0;
        for (size_t j = 0; j < m->n_fields; j++)
            members += m->fields[j].oneof == (int) i;
        if (members < 2)
            continue;
        buf_printf(&text, "%sAt most one of ", text.size == 0 ? "" : " ");
        for (size_t j = 0, k = 0; j < m->n_fields; j++)
            if (m->fields[j].oneof == (int) i)
                buf_printf(&text, "%s%s", k++ == 0 ? "" : ", ",
                           openapi_field_name(&m->fields[j], legacy));
        buf_putc(&text, '.');
    }
    if (text.size > 0) {
        buf_putc(o->out, ',');
        openapi_put_text(o, "description", buf_str(&text));
    }
    buf_done(&text);
}

static void put_schema(struct openapi *o, const struct desc_message *m, bool legacy)
{
    buf_puts(o->out, "\"type\":\"object\"");
    put_description(o, m, legacy);
    buf_puts(o->out, ",\"properties\":{");
    for (size_t i = 0; i < m->n_fields; i++) {
        if (m->fields[i].name[0] == '[')
            break; /* extensions stand behind the fields */
        buf_printf(o->out, "%s\"%s\":", i == 0 ? "" : ",",
                   openapi_field_name(&m->fields[i], legacy));
        openapi_put_field(o, m, &m->fields[i], legacy);
    }
    buf_putc(o->out, '}');
    put_required(o, m, legacy);
}

static void put_errors(struct openapi *o)
{
    buf_puts(o->out, "\"Problem\":{\"type\":\"object\",\"description\":\"Problem details (RFC "
                     "9457), with the keys of the old API beside "
                     "them.\",\"properties\":{\"type\":{\"type\":\"string\"},\"title\":{\"type\":"
                     "\"string\"},\"status\":{\"type\":"
                     "\"integer\"},\"detail\":{\"type\":\"string\"},\"instance\":{\"type\":"
                     "\"string\"},\"error\":{\"type\":\"string\"},"
                     "\"code\":{\"type\":\"string\",\"description\":\"UPPER_SNAKE; what programs "
                     "should test\"},\"message\":{\"type\":"
                     "\"string\"},\"request_id\":{\"type\":\"string\"},\"fields\":{\"type\":"
                     "\"array\",\"items\":{\"type\":\"object\","
                     "\"properties\":{\"field\":{\"type\":\"string\"},\"message\":{\"type\":"
                     "\"string\"}}}}},\"required\":[\"title\","
                     "\"status\",\"detail\",\"code\"]},"
                     "\"Status\":{\"type\":\"object\",\"description\":\"google.rpc.Status in the "
                     "standard mapping.\",\"properties\":{"
                     "\"code\":{\"type\":\"integer\",\"description\":\"the gRPC "
                     "code\"},\"message\":{\"type\":\"string\"},\"details\":{"
                     "\"type\":\"array\",\"items\":{\"type\":\"object\"}}}}");
}

void openapi_put_schemas(struct openapi *o)
{
    buf_puts(o->out, "\"schemas\":{");
    put_errors(o);
    for (; o->written < o->n_schemas; o->written++) { /* grows while it is written */
        const struct openapi_schema *s = &o->schemas[o->written];
        buf_puts(o->out, ",\"");
        put_schema_name(o, s->message, s->legacy);
        buf_puts(o->out, "\":{");
        put_schema(o, s->message, s->legacy);
        buf_putc(o->out, '}');
    }
    buf_puts(o->out,
             "},\"responses\":{"
             "\"Problem\":{\"description\":\"What went "
             "wrong.\",\"content\":{\"application/problem+json\":{\"schema\":"
             "{\"$ref\":\"#/components/schemas/Problem\"}}}},"
             "\"Status\":{\"description\":\"What went "
             "wrong.\",\"content\":{\"application/json\":{\"schema\":{\"$ref\":"
             "\"#/components/schemas/Status\"}},\"application/problem+json\":{\"schema\":{\"$ref\":"
             "\"#/components/schemas/Problem\"}}}}}");
}
