/* Field rules: option (nrpc.rules) of every field, checked against the field's type, as tables. */
#include "gen.h"

#include <inttypes.h>
#include <string.h>
#include <nrpc/validate.pb-c.h>
#include "rpc/base/pattern.h"

enum { TAG_RULES = 50902, SCOPE_DEPTH_MAX = 64 };

#define T(name) GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_##name

enum value_class { VALUE_NUMBER, VALUE_TEXT, VALUE_BYTES, VALUE_ENUM, VALUE_BOOL, VALUE_MESSAGE };

struct out {
    const char *file; /* prefix of this file's tables */
    struct buf fields, messages;
    size_t n_tables, n_items;
};

static enum value_class scalar_class(int type)
{
    switch (type) {
    case T(STRING):
        return VALUE_TEXT;
    case T(BYTES):
        return VALUE_BYTES;
    case T(ENUM):
        return VALUE_ENUM;
    case T(BOOL):
        return VALUE_BOOL;
    case T(MESSAGE):
    case T(GROUP):
        return VALUE_MESSAGE;
    default:
        return VALUE_NUMBER;
    }
}

/* The class of one value of the field: inside a wrapper, or a map's value. */
static enum value_class value_class_of(const struct gen *g, const field_proto *f, bool *out_map)
{
    static const char wrappers[] = ".google.protobuf.";
    *out_map = false;
    enum value_class class = scalar_class(f->type);
    if (class != VALUE_MESSAGE || f->type_name == NULL)
        return class;
    const message_proto *m = gen_find_message(g, f->type_name, NULL);
    if (m == NULL)
        return class;
    if (m->options != NULL && m->options->has_map_entry && m->options->map_entry &&
        m->n_field == 2) {
        bool ignored;
        *out_map = true;
        const field_proto *value = m->field[1];
        return value->type == T(MESSAGE) ? value_class_of(g, value, &ignored)
                                         : scalar_class(value->type);
    }
    size_t size = strlen(m->name);
    bool wrapper = strncmp(f->type_name, wrappers, sizeof wrappers - 1) == 0 && size > 5 &&
                   strcmp(m->name + size - 5, "Value") == 0 && m->n_field == 1 &&
                   strcmp(m->field[0]->name, "value") == 0;
    return wrapper ? scalar_class(m->field[0]->type) : VALUE_MESSAGE;
}

static bool check_pattern(struct gen *g, const char *element, const char *text)
{
    struct pattern *p = arena_get(&g->arena, sizeof *p);
    if (p == NULL)
        return gen_fail(g, element, "out of memory");
    const char *problem = pattern_compile(p, text);
    return problem == NULL || gen_fail(g, element, "pattern %s: %s", name_text(g, text), problem);
}

static bool has_bounds(const Nrpc__FieldRules *r)
{
    return r->lower_case == NRPC__FIELD_RULES__LOWER_MIN ||
           r->upper_case == NRPC__FIELD_RULES__UPPER_MAX;
}

/* Rules of one value that is no list. */
static bool check_value(struct gen *g, const char *element, const Nrpc__FieldRules *r,
                        enum value_class class)
{
    if (r->unique || r->items != NULL)
        return gen_fail(g, element, "unique and items are for repeated fields");
    if (has_bounds(r) && class >= VALUE_ENUM)
        return gen_fail(g, element,
                        "min and max are for numbers, strings, bytes and repeated fields");
    if (r->pattern[0] != '\0' && class != VALUE_TEXT)
        return gen_fail(g, element, "pattern is for strings");
    if (r->required && class == VALUE_BOOL)
        return gen_fail(g, element, "required is not for bool: absent and false look the same");
    return r->pattern[0] == '\0' || check_pattern(g, element, r->pattern);
}

static bool check_bounds(struct gen *g, const char *element, const Nrpc__FieldRules *r, bool sizes)
{
    bool min = r->lower_case == NRPC__FIELD_RULES__LOWER_MIN,
         max = r->upper_case == NRPC__FIELD_RULES__UPPER_MAX;
    if (min && max && r->min > r->max)
        return gen_fail(g, element, "min %" PRId64 " is over max %" PRId64, r->min, r->max);
    if (sizes && ((min && r->min < 0) || (max && r->max < 0)))
        return gen_fail(g, element, "a size cannot be negative");
    return true;
}

static bool check_rules(struct gen *g, const char *element, const Nrpc__FieldRules *r,
                        const field_proto *f)
{
    bool map;
    enum value_class class = value_class_of(g, f, &map);
    bool repeated = f->label == GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__LABEL__LABEL_REPEATED;
    if (!repeated)
        return check_value(g, element, r, class) &&
               check_bounds(g, element, r, class == VALUE_TEXT || class == VALUE_BYTES);
    if (r->pattern[0] != '\0')
        return gen_fail(g, element, "the pattern of a repeated field's values goes into items");
    if (r->unique && (map || class >= VALUE_BOOL))
        return gen_fail(g, element, "unique is for lists of strings, bytes, numbers and enums");
    if (!check_bounds(g, element, r, true))
        return false;
    if (r->items == NULL)
        return true;
    const char *item = gen_text(g, "%s (items)", element);
    if (class == VALUE_MESSAGE)
        return gen_fail(g, item, "a message's rules stand at its own fields");
    return check_value(g, item, r->items, class) &&
           check_bounds(g, item, r->items, class == VALUE_TEXT || class == VALUE_BYTES);
}

static void put_rule(struct gen *g, struct buf *b, uint32_t tag, const Nrpc__FieldRules *r,
                     const char *items)
{
    bool min = r->lower_case == NRPC__FIELD_RULES__LOWER_MIN,
         max = r->upper_case == NRPC__FIELD_RULES__UPPER_MAX;
    buf_printf(b, "{ %" PRIu32, tag);
    const bool flags[] = { r->required, r->unique, min, max };
    for (size_t i = 0; i < 4; i++)
        buf_puts(b, flags[i] ? ", true" : ", false");
    const int64_t bounds[] = { min ? r->min : 0, max ? r->max : 0 };
    for (size_t i = 0; i < 2; i++)
        if (bounds[i] == INT64_MIN)
            buf_puts(b, ", INT64_MIN");
        else
            buf_printf(b, ", INT64_C(%" PRId64 ")", bounds[i]);
    buf_printf(b, ", %s, %s }", r->pattern[0] != '\0' ? name_text(g, r->pattern) : "NULL", items);
}

/* Appends the field's entry to entries; true also when it has no rules. */
static bool emit_field(struct gen *g, struct out *o, struct buf *entries, const char *element,
                       const field_proto *f)
{
    ProtobufCBinaryData bytes = gen_option(g, (const ProtobufCMessage *) f->options, TAG_RULES);
    if (bytes.len == 0)
        return true;
    Nrpc__FieldRules *r = NULL;
    if (wire_is_sane(&nrpc__field_rules__descriptor, bytes.data, bytes.len, 0))
        r = nrpc__field_rules__unpack(NULL, bytes.len, bytes.data);
    if (r == NULL)
        return gen_fail(g, element, "option (nrpc.rules) is not a FieldRules message");
    bool good = check_rules(g, element, r, f);
    if (good) {
        const char *items = "NULL";
        if (r->items != NULL) {
            const char *name = gen_text(g, "%s_items_%zu", o->file, o->n_items++);
            buf_printf(&o->fields, "\n/* %s */\nstatic const nrpc_field_rule %s = ", element, name);
            put_rule(g, &o->fields, 0, r->items, "NULL");
            buf_puts(&o->fields, ";\n");
            items = gen_text(g, "&%s", name);
        }
        buf_puts(entries, "    ");
        put_rule(g, entries, (uint32_t) f->number, r, items);
        buf_printf(entries, ", /* %s */\n", f->name);
    }
    nrpc__field_rules__free_unpacked(r, NULL);
    return good;
}

static bool emit_message(struct gen *g, struct out *o, const char *full, const message_proto *m,
                         unsigned depth)
{
    if (depth > SCOPE_DEPTH_MAX)
        return gen_fail(g, full, "messages are nested too deep");
    struct buf entries = { 0 };
    bool good = true;
    for (size_t i = 0; good && i < m->n_field; i++)
        good = emit_field(g, o, &entries, name_join(g, full, m->field[i]->name), m->field[i]);
    if (good && entries.size > 0) {
        const char *table = gen_text(g, "%s_rules_%zu", o->file, o->n_tables++);
        buf_printf(&o->fields, "\n/* %s */\nstatic const nrpc_field_rule %s[] = {\n%s};\n", full,
                   table, buf_str(&entries));
        buf_printf(&o->messages, "    { &%s, %s, sizeof %s / sizeof %s[0] },\n",
                   name_descriptor(g, full), table, table, table);
        good = !entries.failed || gen_fail(g, full, "out of memory");
    }
    buf_done(&entries);
    for (size_t i = 0; good && i < m->n_nested_type; i++)
        good = emit_message(g, o, name_join(g, full, m->nested_type[i]->name), m->nested_type[i],
                            depth + 1);
    return good;
}

bool emit_rules(struct gen *g)
{
    struct out o = { .file = name_file(g, g->stem) };
    const char *name = gen_text(g, "%s_rules", o.file);
    bool good = gen_claim(g, name, "the file's rules");
    for (size_t i = 0; good && i < g->file->n_message_type; i++) {
        const message_proto *m = g->file->message_type[i];
        good = emit_message(
            g, &o, name_join(g, g->file->package != NULL ? g->file->package : "", m->name), m, 0);
    }
    if (good && (o.fields.failed || o.messages.failed))
        good = gen_fail(g, "rules", "out of memory");
    if (good) {
        buf_printf(&g->header,
                   "\n/* Rules of this file's messages, for nrpc_validate. */\nextern const "
                   "nrpc_rules %s;\n",
                   name);
        buf_puts(&g->source, buf_str(&o.fields));
        if (o.n_tables > 0)
            buf_printf(&g->source,
                       "\nstatic const nrpc_message_rules %s_messages[] = {\n%s};\n"
                       "\nconst nrpc_rules %s = { %s_messages, %zu };\n",
                       name, buf_str(&o.messages), name, name, o.n_tables);
        else
            buf_printf(&g->source, "\nconst nrpc_rules %s = { NULL, 0 };\n", name);
    }
    buf_done(&o.fields);
    buf_done(&o.messages);
    return good;
}
