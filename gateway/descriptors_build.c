/* desc_pool_new: a FileDescriptorSet to tables, in three passes. */
#include <stdio.h>
#include <string.h>

#include "gateway/descriptors.h"
#include "gateway/wire.h"
#include "google/protobuf/descriptor.pb-c.h"
#include "rpc/base/alloc.h"
#include "rpc/base/check.h"
#include "rpc/nrpc.h"

enum {
    OPTION_HTTP = 72295728,        /* google.api.http */
    OPTION_ROUTE = 50901,          /* nrpc.route */
    OPTION_RULES = 50902,          /* nrpc.rules */
    OPTION_ROUTE_DEFAULTS = 50903, /* nrpc.route_defaults */
    NESTING_MAX = 32,
    FIELDS_MAX = 4096,
};

typedef Google__Protobuf__FileDescriptorSet set_proto;
typedef Google__Protobuf__FileDescriptorProto file_proto;
typedef Google__Protobuf__DescriptorProto message_proto;
typedef Google__Protobuf__EnumDescriptorProto enum_proto;
typedef Google__Protobuf__FieldDescriptorProto field_proto;
typedef Google__Protobuf__ServiceDescriptorProto service_proto;
typedef Google__Protobuf__MethodDescriptorProto method_proto;

struct builder {
    struct desc_pool *pool;
    char *error; /* 256 bytes */
    ProtobufCAllocator allocator;
};

static int fail(struct builder *b, const char *what, const char *name)
{
    snprintf(b->error, 256, "%s%s%s", what, name == NULL ? "" : ": ", name == NULL ? "" : name);
    return NRPC_E_INVAL;
}

static int no_memory(struct builder *b)
{
    snprintf(b->error, 256, "out of memory");
    return NRPC_E_NOMEM;
}

static void *allocator_get(void *ctx, size_t size)
{
    return arena_get(ctx, size);
}

static void allocator_free(void *ctx, void *p)
{
    (void) ctx;
    (void) p; /* the arena frees all at once */
}

/* ---- pass 1: names --------------------------------------------------------------------- */

static enum desc_wkt wkt_of(const char *full_name)
{
    static const struct {
        const char *name;
        enum desc_wkt wkt;
    } known[] = {
        { "Any", DESC_ANY },
        { "Timestamp", DESC_TIMESTAMP },
        { "Duration", DESC_DURATION },
        { "FieldMask", DESC_FIELD_MASK },
        { "Struct", DESC_STRUCT },
        { "Value", DESC_VALUE },
        { "ListValue", DESC_LIST_VALUE },
        { "DoubleValue", DESC_WRAPPER },
        { "FloatValue", DESC_WRAPPER },
        { "Int64Value", DESC_WRAPPER },
        { "UInt64Value", DESC_WRAPPER },
        { "Int32Value", DESC_WRAPPER },
        { "UInt32Value", DESC_WRAPPER },
        { "BoolValue", DESC_WRAPPER },
        { "StringValue", DESC_WRAPPER },
        { "BytesValue", DESC_WRAPPER },
    };
    static const char package[] = "google.protobuf.";
    if (strncmp(full_name, package, sizeof package - 1) != 0)
        return DESC_PLAIN;
    for (size_t i = 0; i < ARRAY_SIZE(known); i++)
        if (strcmp(full_name + sizeof package - 1, known[i].name) == 0)
            return known[i].wkt;
    return DESC_PLAIN;
}

static const char *join(struct builder *b, const char *scope, const char *name)
{
    return arena_printf(&b->pool->arena, "%s%s%s", scope, *scope == '\0' ? "" : ".", name);
}

/* The part up to an underscore that all value names share; "" when a rest would be empty. */
static const char *common_prefix(struct arena *a, const enum_proto *p)
{
    if (p->n_value < 2)
        return "";
    const char *first = p->value[0]->name;
    size_t n = strlen(first);
    for (size_t i = 1; i < p->n_value; i++)
        for (size_t k = 0; k < n; k++)
            if (p->value[i]->name[k] != first[k])
                n = k;
    while (n > 0 && first[n - 1] != '_')
        n--;
    const char *prefix = n == 0 ? "" : arena_strndup(a, first, n);
    return prefix == NULL ? "" : prefix;
}

static int add_enum(struct builder *b, const char *scope, const enum_proto *p)
{
    struct arena *a = &b->pool->arena;
    struct desc_enum *e = arena_zero(a, 1, sizeof *e);
    struct desc_enum_value *values = arena_zero(a, p->n_value, sizeof *values);
    if (e == NULL || values == NULL || (e->full_name = join(b, scope, p->name)) == NULL)
        return no_memory(b);
    for (size_t i = 0; i < p->n_value; i++)
        values[i] = (struct desc_enum_value){ p->value[i]->name, p->value[i]->number };
    e->values = values;
    e->n_values = p->n_value;
    e->prefix = common_prefix(a, p);
    e->is_null_value = strcmp(e->full_name, "google.protobuf.NullValue") == 0;
    void *replaced = NULL;
    if (map_set(&b->pool->enums, e->full_name, strlen(e->full_name), e, &replaced) < 0)
        return no_memory(b);
    return replaced != NULL ? fail(b, "declared twice", e->full_name) : 0;
}

static int add_message(struct builder *b, const char *scope, const message_proto *p, unsigned depth)
{
    if (depth > NESTING_MAX)
        return fail(b, "nested too deeply", p->name);
    if (p->name == NULL || p->n_field > FIELDS_MAX)
        return fail(b, "unusable message", p->name);
    struct desc_message *m = arena_zero(&b->pool->arena, 1, sizeof *m);
    if (m == NULL || (m->full_name = join(b, scope, p->name)) == NULL)
        return no_memory(b);
    m->wkt = wkt_of(m->full_name);
    m->map_entry = p->options != NULL && p->options->map_entry;
    m->is_empty = strcmp(m->full_name, "google.protobuf.Empty") == 0;
    void *replaced = NULL;
    if (map_set(&b->pool->messages, m->full_name, strlen(m->full_name), m, &replaced) < 0)
        return no_memory(b);
    if (replaced != NULL)
        return fail(b, "declared twice", m->full_name);
    int r = 0;
    for (size_t i = 0; i < p->n_enum_type && r == 0; i++)
        r = add_enum(b, m->full_name, p->enum_type[i]);
    for (size_t i = 0; i < p->n_nested_type && r == 0; i++)
        r = add_message(b, m->full_name, p->nested_type[i], depth + 1);
    return r;
}

/* ---- options ------------------------------------------------------------------------ */

/* Extensions that protobuf-c was not told of stay in the message's unknown fields.  A split option
 * would be merged by concatenation; protoc writes each once. */
static const ProtobufCMessageUnknownField *find_option(const ProtobufCMessage *options,
                                                       uint32_t number)
{
    for (unsigned i = 0; options != NULL && i < options->n_unknown_fields; i++)
        if (options->unknown_fields[i].tag == number &&
            options->unknown_fields[i].wire_type == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED)
            return &options->unknown_fields[i];
    return NULL;
}

static int read_option(struct builder *b, const ProtobufCMessage *options, uint32_t number,
                       const ProtobufCMessageDescriptor *type, ProtobufCMessage **out_message)
{
    const ProtobufCMessageUnknownField *u = find_option(options, number);
    if (u == NULL)
        return 0;
    /* The unknown field's bytes still begin with their length. */
    struct wire_reader r = wire_reader_of(u->data, u->len);
    uint64_t size;
    if (!wire_get_varint(&r, &size) || size != (uint64_t) (r.end - r.at))
        return fail(b, "broken option", type->name);
    ProtobufCMessage *m = protobuf_c_message_unpack(type, &b->allocator, (size_t) size, r.at);
    if (m == NULL)
        return fail(b, "broken option", type->name);
    *out_message = m;
    return 0;
}

/* ---- pass 2: fields -------------------------------------------------------------------- */

static const char *json_name_of(struct arena *a, const field_proto *p)
{
    if (p->json_name != NULL && *p->json_name != '\0')
        return p->json_name;
    char *name = arena_strndup(a, p->name, strlen(p->name));
    if (name == NULL)
        return NULL;
    char *to = name;
    for (const char *from = p->name; *from != '\0'; from++) {
        if (*from == '_')
            continue;
        bool raise = from > p->name && from[-1] == '_' && *from >= 'a' && *from <= 'z';
        *to++ = raise ? (char) (*from - 32) : *from;
    }
    *to = '\0';
    return name;
}

static int resolve_type(struct builder *b, struct desc_field *f, const field_proto *p)
{
    if (f->type != DESC_MESSAGE && f->type != DESC_ENUM)
        return 0;
    const char *name = p->type_name == NULL ? "" : p->type_name + (*p->type_name == '.');
    if (f->type == DESC_MESSAGE)
        f->message = map_get(&b->pool->messages, name, strlen(name));
    else
        f->enumeration = map_get(&b->pool->enums, name, strlen(name));
    return f->message == NULL && f->enumeration == NULL ? fail(b, "unknown type", name) : 0;
}

static int fill_field(struct builder *b, struct desc_field *f, const field_proto *p, bool proto3)
{
    if (p->name == NULL || p->number <= 0 || !p->has_type || (int) p->type < DESC_DOUBLE ||
        (int) p->type > DESC_SINT64)
        return fail(b, "unusable field", p->name);
    f->name = p->name;
    f->json_name = json_name_of(&b->pool->arena, p);
    if (f->json_name == NULL)
        return no_memory(b);
    f->number = (uint32_t) p->number;
    f->group = (int) p->type == DESC_GROUP;
    f->type = f->group ? DESC_MESSAGE : (enum desc_type) p->type;
    f->repeated = p->label == GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__LABEL__LABEL_REPEATED;
    f->oneof = p->has_oneof_index && !p->proto3_optional ? p->oneof_index : -1;
    f->presence = !f->repeated && (!proto3 || f->type == DESC_MESSAGE || p->has_oneof_index);
    bool packed = proto3;
    if (p->options != NULL && p->options->has_packed)
        packed = p->options->packed;
    f->packed = f->repeated && packed && desc_is_packable(f->type);
    ProtobufCMessage *rules = NULL;
    int r = resolve_type(b, f, p);
    if (r == 0)
        r = read_option(b, (ProtobufCMessage *) p->options, OPTION_RULES,
                        &nrpc__field_rules__descriptor, &rules);
    f->rules = (const Nrpc__FieldRules *) rules;
    if (r == 0)
        f->map = f->repeated && f->message != NULL && f->message->map_entry;
    return r;
}

static void add_name(uint16_t *table, uint32_t mask, const struct desc_field *f, const char *name)
{
    uint32_t i = desc_name_hash(name, strlen(name)) & mask;
    while (table[i] != 0)
        i = (i + 1) & mask;
    table[i] = (uint16_t) (f->index + 1);
}

static int index_fields(struct builder *b, struct desc_message *m)
{
    enum { DENSE_MAX = 512 };
    uint32_t top = 0, slots = 4;
    for (size_t i = 0; i < m->n_fields; i++)
        if (m->fields[i].number <= DENSE_MAX && m->fields[i].number > top)
            top = m->fields[i].number;
    while (slots < 4 * m->n_fields)
        slots *= 2;
    uint16_t *numbers = arena_zero(&b->pool->arena, top + 1, sizeof *numbers);
    uint16_t *names = arena_zero(&b->pool->arena, slots, sizeof *names);
    if (numbers == NULL || names == NULL)
        return no_memory(b);
    for (size_t i = 0; i < m->n_fields; i++) {
        const struct desc_field *f = &m->fields[i];
        if (f->number <= top)
            numbers[f->number] = (uint16_t) (i + 1);
        add_name(names, slots - 1, f, f->name);
        if (strcmp(f->name, f->json_name) != 0)
            add_name(names, slots - 1, f, f->json_name);
    }
    m->by_number = numbers;
    m->by_number_max = top;
    m->by_name = names;
    m->by_name_mask = slots - 1;
    return 0;
}

static bool is_wkt(const struct desc_field *f, enum desc_wkt wkt)
{
    return f != NULL && f->message != NULL && f->message->wkt == wkt;
}

static bool is_value(const struct desc_message *m)
{
    static const enum desc_type types[] = { 0, DESC_ENUM, DESC_DOUBLE, DESC_STRING, DESC_BOOL };
    for (uint32_t i = 1; i <= 4; i++) {
        const struct desc_field *f = desc_field_by_number(m, i);
        if (f == NULL || f->type != types[i] || f->repeated)
            return false;
    }
    return is_wkt(desc_field_by_number(m, 5), DESC_STRUCT) &&
           is_wkt(desc_field_by_number(m, 6), DESC_LIST_VALUE);
}

static bool is_struct_entry(const struct desc_message *m)
{
    const struct desc_field *key = desc_field_by_number(m, 1), *value = desc_field_by_number(m, 2);
    return key != NULL && key->type == DESC_STRING && is_wkt(value, DESC_VALUE);
}

/* Code that handles these types relies on their published fields. */
static bool well_formed(const struct desc_message *m)
{
    const struct desc_field *one = desc_field_by_number(m, 1), *two = desc_field_by_number(m, 2);
    switch (m->wkt) {
    case DESC_WRAPPER:
        return one != NULL && !one->repeated && one->type != DESC_MESSAGE;
    case DESC_TIMESTAMP:
    case DESC_DURATION:
        return one != NULL && one->type == DESC_INT64 && two != NULL && two->type == DESC_INT32;
    case DESC_VALUE:
        return is_value(m);
    case DESC_LIST_VALUE:
        return is_wkt(one, DESC_VALUE) && one->repeated;
    case DESC_STRUCT:
        return one != NULL && one->map && is_struct_entry(one->message);
    case DESC_ANY:
        return one != NULL && one->type == DESC_STRING && two != NULL && two->type == DESC_BYTES;
    default:
        return !m->map_entry || (one != NULL && two != NULL && !one->repeated && !two->repeated);
    }
}

/* Reserves room for the extensions that a scope declares: counted in n_fields until they are
 * filled. One of a message that the set does not hold belongs to nobody here. */
static void count_extensions(struct builder *b, field_proto *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *name =
            list[i]->extendee == NULL ? "" : list[i]->extendee + (*list[i]->extendee == '.');
        struct desc_message *m = map_get(&b->pool->messages, name, strlen(name));
        if (m != NULL)
            m->n_fields++;
    }
}

static void count_nested_extensions(struct builder *b, const message_proto *p)
{
    count_extensions(b, p->extension, p->n_extension);
    for (size_t i = 0; i < p->n_nested_type; i++)
        count_nested_extensions(b, p->nested_type[i]);
}

static int fill_extensions(struct builder *b, const char *scope, field_proto *const *list, size_t n,
                           bool proto3)
{
    int r = 0;
    for (size_t i = 0; i < n && r == 0; i++) {
        const field_proto *p = list[i];
        const char *name = p->extendee == NULL ? "" : p->extendee + (*p->extendee == '.');
        struct desc_message *m = map_get(&b->pool->messages, name, strlen(name));
        if (m == NULL)
            continue;
        /* The pool is still being built: its fields are this builder's to write. */
        struct desc_field *f = (struct desc_field *) &m->fields[m->n_fields];
        r = fill_field(b, f, p, proto3);
        f->index = m->n_fields++;
        f->oneof = -1;
        f->presence = !f->repeated;
        f->name = f->json_name =
            arena_printf(&b->pool->arena, "[%s%s%s]", scope, *scope == '\0' ? "" : ".", p->name);
        if (f->name == NULL)
            r = no_memory(b);
    }
    return r;
}

static int fill_nested_extensions(struct builder *b, const char *scope, const message_proto *p,
                                  bool proto3)
{
    const char *name = join(b, scope, p->name);
    int r = name == NULL ? no_memory(b)
                         : fill_extensions(b, name, p->extension, p->n_extension, proto3);
    for (size_t i = 0; i < p->n_nested_type && r == 0; i++)
        r = fill_nested_extensions(b, name, p->nested_type[i], proto3);
    return r;
}

static int fill_message(struct builder *b, const char *scope, const message_proto *p, bool proto3)
{
    struct arena *a = &b->pool->arena;
    const char *name = join(b, scope, p->name);
    if (name == NULL)
        return no_memory(b);
    struct desc_message *m = map_get(&b->pool->messages, name, strlen(name));
    if (m == NULL || p->n_field + m->n_fields > FIELDS_MAX)
        return fail(b, "unusable message", name);
    struct desc_field *fields = arena_zero(a, p->n_field + m->n_fields, sizeof *fields);
    const char **oneofs = arena_zero(a, p->n_oneof_decl, sizeof *oneofs);
    if (fields == NULL || oneofs == NULL)
        return no_memory(b);
    for (size_t i = 0; i < p->n_oneof_decl; i++)
        oneofs[i] = p->oneof_decl[i]->name;
    int r = 0;
    for (size_t i = 0; i < p->n_field && r == 0; i++) {
        fields[i].index = i;
        r = fill_field(b, &fields[i], p->field[i], proto3);
        if (r == 0 && fields[i].oneof >= (int) p->n_oneof_decl)
            r = fail(b, "oneof out of range", name);
    }
    m->fields = fields;
    m->n_fields = p->n_field;
    m->oneofs = oneofs;
    m->n_oneofs = p->n_oneof_decl;
    for (size_t i = 0; i < p->n_nested_type && r == 0; i++)
        r = fill_message(b, name, p->nested_type[i], proto3);
    return r;
}

static int finish_messages(struct builder *b)
{
    int r = 0;
    for (size_t i = 0; i < b->pool->messages.count && r == 0; i++) {
        struct desc_message *m = b->pool->messages.entries[i].value;
        r = index_fields(b, m);
    }
    for (size_t i = 0; i < b->pool->messages.count && r == 0; i++) {
        const struct desc_message *m = b->pool->messages.entries[i].value;
        if (!well_formed(m))
            r = fail(b, "not the published type", m->full_name);
    }
    return r;
}

/* ---- pass 3: methods and their options ------------------------------------------------- */

static void merge_route(Nrpc__RouteOptions *to, const Nrpc__RouteOptions *from)
{
    if (to->dialect == 0)
        to->dialect = from->dialect;
    if (to->success_code == 0)
        to->success_code = from->success_code;
    if (to->invalid_argument_code == 0)
        to->invalid_argument_code = from->invalid_argument_code;
    to->ignore_unknown_fields |= from->ignore_unknown_fields;
    to->idempotent |= from->idempotent;
    if (to->cache == NULL)
        to->cache = from->cache;
    if (to->stream == NULL)
        to->stream = from->stream;
    if (*to->location == '\0')
        to->location = from->location;
    if (*to->accept_field == '\0')
        to->accept_field = from->accept_field;
    if (*to->unavailable_json == '\0')
        to->unavailable_json = from->unavailable_json;
}

static int fill_method(struct builder *b, const char *service, const Nrpc__RouteOptions *defaults,
                       const method_proto *p, struct desc_method *out)
{
    const char *in = p->input_type == NULL ? "" : p->input_type + (*p->input_type == '.');
    const char *answer = p->output_type == NULL ? "" : p->output_type + (*p->output_type == '.');
    Nrpc__RouteOptions *route = NULL;
    Google__Api__HttpRule *http = NULL;
    int r = read_option(b, (ProtobufCMessage *) p->options, OPTION_ROUTE,
                        &nrpc__route_options__descriptor, (ProtobufCMessage **) &route);
    if (r == 0)
        r = read_option(b, (ProtobufCMessage *) p->options, OPTION_HTTP,
                        &google__api__http_rule__descriptor, (ProtobufCMessage **) &http);
    if (r < 0)
        return r;
    if (route == NULL) {
        route = arena_get(&b->pool->arena, sizeof *route);
        if (route == NULL)
            return no_memory(b);
        nrpc__route_options__init(route);
    }
    if (defaults != NULL)
        merge_route(route, defaults);
    *out = (struct desc_method){
        .name = p->name,
        .service = service,
        .path = arena_printf(&b->pool->arena, "/%s/%s", service, p->name),
        .input = map_get(&b->pool->messages, in, strlen(in)),
        .output = map_get(&b->pool->messages, answer, strlen(answer)),
        .client_streaming = p->client_streaming,
        .server_streaming = p->server_streaming,
        .http = http,
        .route = route,
    };
    if (out->path == NULL)
        return no_memory(b);
    return out->input == NULL || out->output == NULL ? fail(b, "method of unknown types", out->path)
                                                     : 0;
}

static int add_service(struct builder *b, const char *scope, const service_proto *p,
                       struct desc_method *out)
{
    const char *name = join(b, scope, p->name);
    Nrpc__RouteOptions *defaults = NULL;
    int r = name == NULL
                ? no_memory(b)
                : read_option(b, (ProtobufCMessage *) p->options, OPTION_ROUTE_DEFAULTS,
                              &nrpc__route_options__descriptor, (ProtobufCMessage **) &defaults);
    for (size_t i = 0; i < p->n_method && r == 0; i++)
        r = fill_method(b, name, defaults, p->method[i], &out[i]);
    return r;
}

static bool is_proto3(const file_proto *f)
{
    return f->syntax != NULL && strcmp(f->syntax, "proto3") == 0;
}

/* Pass 2 over all files: all names are known. */
static int build_fields(struct builder *b, const set_proto *set)
{
    int r = 0;
    for (size_t i = 0; i < set->n_file; i++) {
        count_extensions(b, set->file[i]->extension, set->file[i]->n_extension);
        for (size_t k = 0; k < set->file[i]->n_message_type; k++)
            count_nested_extensions(b, set->file[i]->message_type[k]);
    }
    for (size_t i = 0; i < set->n_file && r == 0; i++) {
        const file_proto *f = set->file[i];
        for (size_t k = 0; k < f->n_message_type && r == 0; k++)
            r = fill_message(b, f->package == NULL ? "" : f->package, f->message_type[k],
                             is_proto3(f));
    }
    for (size_t i = 0; i < set->n_file && r == 0; i++) {
        const file_proto *f = set->file[i];
        const char *scope = f->package == NULL ? "" : f->package;
        r = fill_extensions(b, scope, f->extension, f->n_extension, is_proto3(f));
        for (size_t k = 0; k < f->n_message_type && r == 0; k++)
            r = fill_nested_extensions(b, scope, f->message_type[k], is_proto3(f));
    }
    return r == 0 ? finish_messages(b) : r;
}

static int build(struct builder *b, const set_proto *set)
{
    int r = 0;
    size_t n_methods = 0;
    for (size_t i = 0; i < set->n_file && r == 0; i++) {
        const file_proto *f = set->file[i];
        const char *scope = f->package == NULL ? "" : f->package;
        for (size_t k = 0; k < f->n_enum_type && r == 0; k++)
            r = add_enum(b, scope, f->enum_type[k]);
        for (size_t k = 0; k < f->n_message_type && r == 0; k++)
            r = add_message(b, scope, f->message_type[k], 0);
        for (size_t k = 0; k < f->n_service; k++)
            n_methods += f->service[k]->n_method;
    }
    if (r == 0)
        r = build_fields(b, set);
    struct desc_method *methods = arena_zero(&b->pool->arena, n_methods, sizeof *methods);
    if (r == 0 && methods == NULL)
        r = no_memory(b);
    b->pool->methods = methods;
    b->pool->n_methods = n_methods;
    size_t at = 0;
    for (size_t i = 0; i < set->n_file && r == 0; i++) {
        const file_proto *f = set->file[i];
        const char *scope = f->package == NULL ? "" : f->package;
        for (size_t k = 0; k < f->n_service && r == 0; k++) {
            r = add_service(b, scope, f->service[k], methods + at);
            at += f->service[k]->n_method;
        }
    }
    return r;
}

int desc_pool_new(const void *set, size_t size, struct desc_pool **out_pool, char error[static 256])
{
    struct desc_pool *p = alloc_zero(1, sizeof *p);
    struct builder b = { .pool = p, .error = error };
    if (p == NULL)
        return no_memory(&b);
    arena_init(&p->arena, 32768);
    b.allocator = (ProtobufCAllocator){ allocator_get, allocator_free, &p->arena };
    set_proto *parsed = google__protobuf__file_descriptor_set__unpack(&b.allocator, size, set);
    int r = parsed == NULL ? fail(&b, "not a FileDescriptorSet", NULL) : build(&b, parsed);
    if (r < 0) {
        desc_pool_free(p);
        return r;
    }
    *out_pool = p;
    return 0;
}
