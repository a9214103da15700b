#include "clients/cli/fill.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>
#include <google/protobuf/struct.pb-c.h>
#include <google/protobuf/timestamp.pb-c.h>

#include "rpc/base/field_size.h"
#include "rpc/base/buf.h"
#include "rpc/base/utf8.h"

enum { DEPTH_MAX = 32, NODES_MAX = 100000 };

struct reader {
    struct fill *f;
    yaml_document_t *doc;
    unsigned depth;
    size_t visited; /* aliases make a small file a large one */
};

static bool fill_message(struct reader *r, ProtobufCMessage *m, const yaml_node_t *node);
static bool fill_value(struct reader *r, const ProtobufCFieldDescriptor *field, void *member,
                       const yaml_node_t *node);

static bool fail(struct reader *r, const yaml_node_t *node, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static bool fail(struct reader *r, const yaml_node_t *node, const char *format, ...)
{
    char what[220];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    snprintf(r->f->problem, sizeof r->f->problem, "line %zu: %s", node->start_mark.line + 1, what);
    return false;
}

static bool no_memory(struct fill *f)
{
    snprintf(f->problem, sizeof f->problem, "out of memory");
    return false;
}

static const char *text_of(const yaml_node_t *node)
{
    return (const char *) node->data.scalar.value; /* NUL-ended by libyaml */
}

static bool is_null(const yaml_node_t *node)
{
    return node->type == YAML_SCALAR_NODE && node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           (strcmp(text_of(node), "null") == 0 || strcmp(text_of(node), "~") == 0 ||
            text_of(node)[0] == '\0');
}

/* ---- scalars ---- */
static bool read_integer(const char *text, int64_t min, uint64_t max, void *out, size_t size)
{
    char *end;
    errno = 0;
    if (text[0] == '-') {
        long long v = strtoll(text, &end, 10);
        if (errno != 0 || *end != '\0' || end == text + 1 || v < min)
            return false;
        memcpy(out, &v,
               size); /* little-endian, like everything that Debian's amd64 and arm64 run */
        return true;
    }
    unsigned long long v = strtoull(text, &end, 10);
    if (errno != 0 || *end != '\0' || text[0] < '0' || text[0] > '9' || v > max)
        return false;
    memcpy(out, &v, size);
    return true;
}

static bool read_real(const char *text, double *out)
{
    char *end;
    *out = strtod(text, &end);
    return end != text && *end == '\0';
}

static bool read_enum(const ProtobufCEnumDescriptor *d, const char *text, int32_t *out)
{
    const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value_by_name(d, text);
    if (v != NULL)
        *out = v->value;
    return v != NULL;
}

static bool fill_scalar(struct reader *r, const ProtobufCFieldDescriptor *field, void *member,
                        const yaml_node_t *node)
{
    if (node->type != YAML_SCALAR_NODE)
        return fail(r, node, "%s is one value, not a list or mapping", field->name);
    const char *text = text_of(node);
    double real;
    bool good = true;
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
        if (strlen(text) != node->data.scalar.length)
            return fail(r, node, "%s holds a NUL", field->name);
        *(char **) member = arena_strndup(r->f->arena, text, node->data.scalar.length);
        return *(char **) member != NULL || no_memory(r->f);
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        good = read_integer(text, INT32_MIN, INT32_MAX, member, 4);
        break;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        good = text[0] != '-' && read_integer(text, 0, UINT32_MAX, member, 4);
        break;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        good = read_integer(text, INT64_MIN, INT64_MAX, member, 8);
        break;
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        good = text[0] != '-' && read_integer(text, 0, UINT64_MAX, member, 8);
        break;
    case PROTOBUF_C_TYPE_DOUBLE:
        good = read_real(text, member);
        break;
    case PROTOBUF_C_TYPE_FLOAT:
        good = read_real(text, &real);
        *(float *) member = (float) real;
        break;
    case PROTOBUF_C_TYPE_BOOL:
        good = strcmp(text, "true") == 0 || strcmp(text, "false") == 0;
        *(protobuf_c_boolean *) member = text[0] == 't';
        break;
    case PROTOBUF_C_TYPE_ENUM:
        good = read_enum(field->descriptor, text, member);
        break;
    default:
        return fail(r, node, "%s cannot be given in a file", field->name);
    }
    return good || fail(r, node, "%s: '%.60s' does not fit", field->name, text);
}

/* ---- google.protobuf.Struct ---- */
static bool fill_struct(struct reader *r, Google__Protobuf__Struct *s, const yaml_node_t *node);

static bool fill_any_scalar(struct reader *r, Google__Protobuf__Value *v, const yaml_node_t *node)
{
    const char *text = text_of(node);
    double number;
    bool plain = node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    if (is_null(node)) {
        v->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_NULL_VALUE;
    } else if (plain && (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)) {
        v->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_BOOL_VALUE;
        v->bool_value = text[0] == 't';
    } else if (plain && strspn(text, "+-.0123456789eE") == strlen(text) &&
               read_real(text, &number)) {
        v->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_NUMBER_VALUE;
        v->number_value = number;
    } else {
        v->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_STRING_VALUE;
        v->string_value = arena_strndup(r->f->arena, text, strlen(text));
        return v->string_value != NULL || no_memory(r->f);
    }
    return true;
}

static bool fill_any_value(struct reader *r, Google__Protobuf__Value *v, const yaml_node_t *node)
{
    if (r->depth > DEPTH_MAX)
        return fail(r, node, "it is nested too deep");
    if (++r->visited > NODES_MAX)
        return fail(r, node, "it is too large");
    if (node->type == YAML_SCALAR_NODE)
        return fill_any_scalar(r, v, node);
    r->depth++;
    bool good = true;
    if (node->type == YAML_MAPPING_NODE) {
        v->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_STRUCT_VALUE;
        v->struct_value = arena_get(r->f->arena, sizeof *v->struct_value);
        if (v->struct_value == NULL)
            return no_memory(r->f);
        google__protobuf__struct__init(v->struct_value);
        good = fill_struct(r, v->struct_value, node);
    } else {
        Google__Protobuf__ListValue *list = arena_get(r->f->arena, sizeof *list);
        size_t n = (size_t) (node->data.sequence.items.top - node->data.sequence.items.start);
        Google__Protobuf__Value **items = arena_zero(r->f->arena, n + 1, sizeof *items);
        Google__Protobuf__Value *values = arena_zero(r->f->arena, n + 1, sizeof *values);
        if (list == NULL || items == NULL || values == NULL)
            return no_memory(r->f);
        google__protobuf__list_value__init(list);
        v->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_LIST_VALUE;
        v->list_value = list;
        list->values = items;
        for (size_t i = 0; good && i < n; i++) {
            items[i] = &values[i];
            google__protobuf__value__init(items[i]);
            good = fill_any_value(
                r, items[i], yaml_document_get_node(r->doc, node->data.sequence.items.start[i]));
            list->n_values = i + 1;
        }
    }
    r->depth--;
    return good;
}

static bool fill_struct(struct reader *r, Google__Protobuf__Struct *s, const yaml_node_t *node)
{
    if (node->type != YAML_MAPPING_NODE)
        return fail(r, node, "a mapping is needed here");
    size_t n = (size_t) (node->data.mapping.pairs.top - node->data.mapping.pairs.start);
    s->fields = arena_zero(r->f->arena, n + 1, sizeof *s->fields);
    if (s->fields == NULL)
        return no_memory(r->f);
    for (size_t i = 0; i < n; i++) {
        const yaml_node_t *key =
            yaml_document_get_node(r->doc, node->data.mapping.pairs.start[i].key);
        const yaml_node_t *value =
            yaml_document_get_node(r->doc, node->data.mapping.pairs.start[i].value);
        if (key->type != YAML_SCALAR_NODE)
            return fail(r, key, "a name is needed here");
        Google__Protobuf__Struct__FieldsEntry *entry = arena_get(r->f->arena, sizeof *entry);
        Google__Protobuf__Value *v = arena_get(r->f->arena, sizeof *v);
        if (entry == NULL || v == NULL)
            return no_memory(r->f);
        google__protobuf__struct__fields_entry__init(entry);
        google__protobuf__value__init(v);
        entry->key = arena_strndup(r->f->arena, text_of(key), strlen(text_of(key)));
        entry->value = v;
        if (entry->key == NULL)
            return no_memory(r->f);
        s->fields[i] = entry;
        s->n_fields = i + 1;
        if (!fill_any_value(r, v, value))
            return false;
    }
    return true;
}

/* ---- lists, maps, messages ---- */
static ProtobufCMessage *new_message(struct reader *r, const ProtobufCMessageDescriptor *d)
{
    ProtobufCMessage *m = arena_zero(r->f->arena, 1, d->sizeof_message);
    if (m == NULL)
        no_memory(r->f);
    else
        protobuf_c_message_init(d, m);
    return m;
}

/* Room for n items of a repeated field; NULL without memory. */
static char *new_items(struct reader *r, const ProtobufCFieldDescriptor *field, ProtobufCMessage *m,
                       size_t n)
{
    char *items = arena_zero(r->f->arena, n + 1, field_item_size(field->type));
    if (items == NULL)
        return NULL;
    *(char **) ((char *) m + field->offset) = items;
    *(size_t *) (void *) ((char *) m + field->quantifier_offset) = 0;
    return items;
}

static bool fill_list(struct reader *r, const ProtobufCFieldDescriptor *field, ProtobufCMessage *m,
                      const yaml_node_t *node)
{
    size_t n = (size_t) (node->data.sequence.items.top - node->data.sequence.items.start);
    char *items = new_items(r, field, m, n);
    if (items == NULL)
        return no_memory(r->f);
    for (size_t i = 0; i < n; i++) {
        const yaml_node_t *item =
            yaml_document_get_node(r->doc, node->data.sequence.items.start[i]);
        if (!fill_value(r, field, items + i * field_item_size(field->type), item))
            return false;
        *(size_t *) (void *) ((char *) m + field->quantifier_offset) = i + 1;
    }
    return true;
}

static bool fill_map(struct reader *r, const ProtobufCFieldDescriptor *field, ProtobufCMessage *m,
                     const yaml_node_t *node)
{
    const ProtobufCMessageDescriptor *d = field->descriptor;
    size_t n = (size_t) (node->data.mapping.pairs.top - node->data.mapping.pairs.start);
    ProtobufCMessage **entries = (ProtobufCMessage **) (void *) new_items(r, field, m, n);
    if (entries == NULL)
        return no_memory(r->f);
    for (size_t i = 0; i < n; i++) {
        ProtobufCMessage *entry = new_message(r, d);
        if (entry == NULL)
            return false;
        entries[i] = entry;
        *(size_t *) (void *) ((char *) m + field->quantifier_offset) = i + 1;
        const yaml_node_t *key =
            yaml_document_get_node(r->doc, node->data.mapping.pairs.start[i].key);
        const yaml_node_t *value =
            yaml_document_get_node(r->doc, node->data.mapping.pairs.start[i].value);
        if (!fill_value(r, &d->fields[0], (char *) entry + d->fields[0].offset, key) ||
            !fill_value(r, &d->fields[1], (char *) entry + d->fields[1].offset, value))
            return false;
    }
    return true;
}

static bool is_wrapper(const ProtobufCMessageDescriptor *d)
{
    size_t size = strlen(d->short_name);
    return strcmp(d->package_name, "google.protobuf") == 0 && d->n_fields == 1 && size > 5 &&
           strcmp(d->short_name + size - 5, "Value") == 0 &&
           d->fields[0].label != PROTOBUF_C_LABEL_REPEATED;
}

static bool fill_value(struct reader *r, const ProtobufCFieldDescriptor *field, void *member,
                       const yaml_node_t *node)
{
    if (++r->visited > NODES_MAX)
        return fail(r, node, "it is too large");
    if (field->type != PROTOBUF_C_TYPE_MESSAGE)
        return fill_scalar(r, field, member, node);
    const ProtobufCMessageDescriptor *d = field->descriptor;
    ProtobufCMessage *m = *(ProtobufCMessage **) member;
    if (m == NULL)
        m = new_message(r, d);
    if (m == NULL)
        return false;
    *(ProtobufCMessage **) member = m;
    if (d == &google__protobuf__struct__descriptor)
        return fill_struct(r, (Google__Protobuf__Struct *) m, node);
    if (is_wrapper(d))
        return fill_scalar(r, &d->fields[0], (char *) m + d->fields[0].offset, node);
    return fill_message(r, m, node);
}

static bool fill_field(struct reader *r, const ProtobufCFieldDescriptor *field, ProtobufCMessage *m,
                       const yaml_node_t *node)
{
    bool repeated = field->label == PROTOBUF_C_LABEL_REPEATED;
    if (is_null(node) || (field->type == PROTOBUF_C_TYPE_MESSAGE && !repeated &&
                          field->descriptor == &google__protobuf__timestamp__descriptor))
        return true; /* absent, or what only the server sets */
    if (!repeated) {
        if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0)
            *(uint32_t *) (void *) ((char *) m + field->quantifier_offset) = field->id;
        return fill_value(r, field, (char *) m + field->offset, node);
    }
    const ProtobufCMessageDescriptor *d =
        field->type == PROTOBUF_C_TYPE_MESSAGE ? field->descriptor : NULL;
    bool map = d != NULL && d->n_fields == 2 && strcmp(d->fields[0].name, "key") == 0;
    if (map && node->type == YAML_MAPPING_NODE)
        return fill_map(r, field, m, node);
    if (!map && node->type == YAML_SEQUENCE_NODE)
        return fill_list(r, field, m, node);
    return fail(r, node, "%s needs a %s", field->name, map ? "mapping" : "list");
}

static bool fill_message(struct reader *r, ProtobufCMessage *m, const yaml_node_t *node)
{
    if (node->type != YAML_MAPPING_NODE)
        return fail(r, node, "fields by name are needed here");
    if (++r->depth > DEPTH_MAX)
        return fail(r, node, "it is nested too deep");
    for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
         pair < node->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key = yaml_document_get_node(r->doc, pair->key);
        if (key->type != YAML_SCALAR_NODE)
            return fail(r, key, "a field's name is needed here");
        const ProtobufCFieldDescriptor *field =
            protobuf_c_message_descriptor_get_field_by_name(m->descriptor, text_of(key));
        if (field == NULL)
            return fail(r, key, "%s has no field '%.60s'", m->descriptor->short_name, text_of(key));
        if (!fill_field(r, field, m, yaml_document_get_node(r->doc, pair->value)))
            return false;
    }
    r->depth--;
    return true;
}

/* ---- texts ---- */
static bool add_path(struct fill *f, const char *path, size_t size)
{
    char **paths = arena_zero(f->arena, f->n_paths + 1, sizeof *paths);
    char *copy = arena_strndup(f->arena, path, size);
    if (paths == NULL || copy == NULL)
        return no_memory(f);
    if (f->n_paths > 0)
        memcpy(paths, f->paths, f->n_paths * sizeof *paths);
    paths[f->n_paths++] = copy;
    f->paths = paths;
    return true;
}

static bool fill_root(struct fill *f, ProtobufCMessage *m, yaml_document_t *doc, bool collect)
{
    struct reader r = { f, doc, 0, 0 };
    const yaml_node_t *root = yaml_document_get_root_node(doc);
    if (root == NULL) {
        snprintf(f->problem, sizeof f->problem, "it is empty");
        return false;
    }
    if (doc->nodes.top - doc->nodes.start > NODES_MAX)
        return fail(&r, root, "it is too large");
    if (!fill_message(&r, m, root))
        return false;
    for (const yaml_node_pair_t *pair = root->data.mapping.pairs.start;
         collect && pair < root->data.mapping.pairs.top; pair++) {
        const char *name = text_of(yaml_document_get_node(doc, pair->key));
        if (!add_path(f, name, strlen(name)))
            return false;
    }
    return true;
}

static bool fill_document(struct fill *f, ProtobufCMessage *m, const char *text, size_t size,
                          bool collect)
{
    yaml_parser_t parser;
    yaml_document_t doc;
    if (!utf8_valid(text, size)) {
        snprintf(f->problem, sizeof f->problem, "it is not UTF-8");
        return false;
    }
    if (!yaml_parser_initialize(&parser))
        return no_memory(f);
    yaml_parser_set_input_string(&parser, (const unsigned char *) text, size);
    bool good = yaml_parser_load(&parser, &doc);
    if (!good) {
        snprintf(f->problem, sizeof f->problem, "line %zu: %s", parser.problem_mark.line + 1,
                 parser.problem != NULL ? parser.problem : "it cannot be read");
    } else {
        good = fill_root(f, m, &doc, collect);
        yaml_document_delete(&doc);
    }
    yaml_parser_delete(&parser);
    return good;
}

bool fill_text(struct fill *f, ProtobufCMessage *m, const char *text, size_t size)
{
    return fill_document(f, m, text, size, true);
}

bool fill_set(struct fill *f, ProtobufCMessage *m, const char *assignment)
{
    /* persona.age=35 becomes {persona: {age: 35}}; text that YAML would not read as one value is
     * quoted. */
    const char *value = strchr(assignment, '=') + 1;
    size_t path_size = (size_t) (value - 1 - assignment), levels = 1;
    struct buf b = { 0 };
    buf_putc(&b, '{');
    for (size_t i = 0; i < path_size; i++) {
        if (assignment[i] == '.') {
            buf_puts(&b, ": {");
            levels++;
        } else {
            buf_putc(&b, assignment[i]);
        }
    }
    buf_puts(&b, ": ");
    if (value[0] == '[' || value[0] == '{') {
        buf_puts(&b, value);
    } else {
        buf_putc(&b, '\'');
        for (const char *c = value; *c != '\0'; c++)
            buf_puts(&b, *c == '\'' ? "''" : (const char[]){ *c, '\0' });
        buf_putc(&b, '\'');
    }
    for (; levels > 0; levels--)
        buf_putc(&b, '}');
    bool good = !b.failed ? fill_document(f, m, buf_str(&b), b.size, false) : no_memory(f);
    buf_done(&b);
    return good && add_path(f, assignment, path_size);
}
