#include "gateway/bind.h"

#include <stdio.h>
#include <string.h>

#include "gateway/scalar.h"
#include "gateway/suggest.h"
#include "gateway/to_wire.h"
#include "gateway/wire.h"
#include "rpc/base/utf8.h"
#include "rpc/nrpc.h"

void bind_start(struct binder *b, const struct desc_message *input, struct arena *arena)
{
    *b = (struct binder){ .arena = arena, .input = input };
}

/* ---- errors ---------------------------------------------------------------------------- */

static int fail(struct binder *b, const char *field, size_t field_size, const char *message,
                const char *hint)
{
    struct bind_error *e = &b->error;
    snprintf(e->field, sizeof e->field, "%.*s", (int) (field_size > 190 ? 190 : field_size), field);
    e->field[utf8_valid_prefix(e->field, strlen(e->field))] = '\0';
    if (hint == NULL)
        snprintf(e->message, sizeof e->message, "%s", message);
    else
        snprintf(e->message, sizeof e->message, "%s%s\"?", message, hint);
    return NRPC_E_PROTO;
}

static int fail_entry(struct binder *b, const struct bind_entry *e, const char *message)
{
    char name[200] = "";
    size_t at = 0;
    for (size_t i = 0; i < e->n_path && at < sizeof name - 1; i++)
        at += (size_t) snprintf(name + at, sizeof name - at, "%s%s", i == 0 ? "" : ".",
                                e->path[i]->name);
    if (e->map_key != NULL && at < sizeof name - 1)
        snprintf(name + at, sizeof name - at, "[\"%.*s\"]",
                 (int) (e->map_key_size > 60 ? 60 : e->map_key_size), e->map_key);
    return fail(b, name, strlen(name), message, NULL);
}

/* ---- gathering ------------------------------------------------------------------------- */

/* Their text is JSON. */
static bool is_json_leaf(const struct desc_message *m)
{
    return m->wkt == DESC_STRUCT || m->wkt == DESC_VALUE || m->wkt == DESC_LIST_VALUE;
}

static bool is_leaf_message(const struct desc_message *m)
{
    return m->wkt == DESC_WRAPPER || m->wkt == DESC_TIMESTAMP || m->wkt == DESC_DURATION ||
           m->wkt == DESC_FIELD_MASK || is_json_leaf(m);
}

static bool same_prefix(const struct bind_entry *a, const struct bind_entry *b, size_t n)
{
    return memcmp(a->path, b->path, n * sizeof a->path[0]) == 0;
}

/* Singular fields come once; of a oneof only one member. */
static int check_once(struct binder *b, const struct bind_entry *e)
{
    const struct desc_field *f = e->path[e->n_path - 1];
    for (size_t i = 0; i < b->n_entries; i++) {
        const struct bind_entry *other = &b->entries[i];
        size_t shared = other->n_path < e->n_path ? other->n_path : e->n_path;
        if (other->n_path == e->n_path && same_prefix(e, other, e->n_path)) {
            if (f->map && e->map_key_size == other->map_key_size &&
                memcmp(e->map_key, other->map_key, e->map_key_size) == 0)
                return fail_entry(b, e, "the key is given twice");
            if (!f->repeated)
                return fail_entry(
                    b, e, other->from_path ? "is given in the path already" : "is given twice");
            continue;
        }
        for (size_t k = 0; k < shared && same_prefix(e, other, k); k++)
            if (e->path[k] != other->path[k] && e->path[k]->oneof >= 0 &&
                e->path[k]->oneof == other->path[k]->oneof)
                return fail_entry(b, e, "another field of the same oneof is given");
    }
    return 0;
}

static int add_entry(struct binder *b, const struct bind_entry *e)
{
    int r = check_once(b, e);
    if (r < 0)
        return r;
    if (b->n_entries == BIND_PARAMETERS_MAX)
        return fail_entry(b, e, "too many parameters");
    if (b->n_entries == b->capacity) {
        size_t capacity = b->capacity == 0 ? 4 : b->capacity * 2;
        struct bind_entry *entries = arena_zero(b->arena, capacity, sizeof *entries);
        if (entries == NULL)
            return NRPC_E_NOMEM;
        if (b->n_entries > 0)
            memcpy(entries, b->entries, b->n_entries * sizeof *entries);
        b->entries = entries;
        b->capacity = capacity;
    }
    b->entries[b->n_entries++] = *e;
    return 0;
}

static int keep_text(struct binder *b, struct bind_entry *e, const struct buf *text)
{
    e->text = arena_strndup(b->arena, (const char *) text->data, text->size);
    e->size = text->size;
    return e->text == NULL ? NRPC_E_NOMEM : 0;
}

int bind_path(struct binder *b, const struct route_match *m)
{
    struct buf text = { 0 };
    int r = 0;
    for (size_t i = 0; i < m->route->n_variables && r == 0; i++) {
        const struct route_variable *v = &m->route->variables[i];
        struct bind_entry e = { .n_path = (uint8_t) v->n_path, .from_path = true };
        memcpy(e.path, v->path, sizeof e.path);
        buf_reset(&text);
        if (!route_value(m, i, &text)) {
            b->error.not_found = true;
            r = text.failed ? NRPC_E_NOMEM
                            : fail_entry(b, &e, "not found: the path holds a broken escape");
            break;
        }
        r = keep_text(b, &e, &text);
        if (r == 0)
            r = add_entry(b, &e);
    }
    buf_done(&text);
    return r;
}

static int unknown_name(struct binder *b, const struct desc_message *m, const char *name,
                        size_t size, const char *key, size_t key_size)
{
    struct suggest s;
    suggest_start(&s, name, size);
    for (size_t i = 0; i < m->n_fields; i++)
        suggest_offer(&s, b->proto_names ? m->fields[i].name : m->fields[i].json_name);
    return fail(b, key, key_size,
                s.best == NULL ? "unknown parameter" : "unknown parameter; did you mean \"",
                s.best);
}

/* "a.b" or "a.b[key]" to fields.  1: unknown and to be ignored. */
static int resolve(struct binder *b, const char *key, size_t key_size, bool ignore_unknown,
                   struct bind_entry *e)
{
    const struct desc_message *m = e->n_path > 0 ? e->path[e->n_path - 1]->message : b->input;
    const char *name = key;
    size_t left = key_size;
    if (left > 2 && key[left - 1] == ']') {
        const char *open = memchr(key, '[', left);
        if (open != NULL) {
            e->map_key = open + 1;
            e->map_key_size = (size_t) (key + left - 1 - e->map_key);
            left = (size_t) (open - key);
        }
    }
    while (true) {
        const char *dot = memchr(name, '.', left);
        size_t n = dot == NULL ? left : (size_t) (dot - name);
        const struct desc_field *f = desc_field_by_name(m, name, n);
        if (f == NULL)
            return ignore_unknown ? 1 : unknown_name(b, m, name, n, key, key_size);
        if (e->n_path == ROUTE_FIELD_DEPTH)
            return fail(b, key, key_size, "nested too deeply", NULL);
        e->path[e->n_path++] = f;
        if (dot == NULL)
            return 0;
        if (f->repeated || f->message == NULL || f->message->wkt != DESC_PLAIN || f->group)
            return fail(b, key, key_size, "has no fields of its own", NULL);
        m = f->message;
        left -= n + 1;
        name = dot + 1;
    }
}

static int check_leaf(struct binder *b, const struct bind_entry *e)
{
    const struct desc_field *f = e->path[e->n_path - 1];
    if (f->map) {
        const struct desc_field *value = desc_field_by_number(f->message, 2);
        if (e->map_key == NULL)
            return fail_entry(b, e, "is a map: write name[key]=value");
        return value->message != NULL && !is_leaf_message(value->message)
                   ? fail_entry(b, e, "cannot stand in the query; send it in a body")
                   : 0;
    }
    if (e->map_key != NULL)
        return fail_entry(b, e, "is not a map");
    if (f->message != NULL && !is_leaf_message(f->message))
        return fail_entry(b, e,
                          f->repeated || f->message->wkt != DESC_PLAIN
                              ? "cannot stand in the query; send it in a body"
                              : "is a message: name one of its fields");
    return 0;
}

/* Not a field: what the gateway itself is told. */
static int set_switch(struct binder *b, enum answer_switch s, const char *key,
                      const struct buf *value)
{
    char message[80];
    if (b->switches[s] != SWITCH_UNSET)
        return fail(b, key, strlen(key), "is given twice", NULL);
    b->switches[s] =
        switch_read(s, value->size == 0 ? "" : (const char *) value->data, value->size);
    if (b->switches[s] != SWITCH_UNSET)
        return 0;
    snprintf(message, sizeof message, "must be %s", switch_words(s));
    return fail(b, key, strlen(key), message, NULL);
}

static int bind_system(struct binder *b, const char *key, size_t key_size, const struct buf *text)
{
    enum answer_switch s = switch_find(key, b->input);
    if (s < SWITCHES)
        return set_switch(b, s, key, text);
    if (key_size != 7 || memcmp(key, "$fields", 7) != 0)
        return fail(b, key, key_size,
                    "unknown parameter; there are $fields, $pretty, $defaults, $enums, $int64, "
                    "$names and $end",
                    NULL);
    if (b->fields != NULL)
        return fail(b, key, key_size, "is given twice", NULL);
    b->fields =
        arena_strndup(b->arena, text->size == 0 ? "" : (const char *) text->data, text->size);
    b->fields_size = text->size;
    return b->fields == NULL ? NRPC_E_NOMEM : 0;
}

static int bind_parameter(struct binder *b, const char *pair, size_t size, bool ignore_unknown)
{
    const char *equals = memchr(pair, '=', size);
    size_t key_size = equals == NULL ? size : (size_t) (equals - pair);
    struct buf text = { 0 };
    struct bind_entry e = { 0 };
    int r = 0;
    if (!query_decode(pair, key_size, &text))
        r = text.failed ? NRPC_E_NOMEM
                        : fail(b, pair, key_size, "the parameter's name is badly encoded", NULL);
    char *key = r < 0 ? NULL : arena_strndup(b->arena, (const char *) text.data, text.size);
    size_t decoded = text.size;
    bool system = key != NULL && (*key == '$' || switch_find(key, b->input) < SWITCHES);
    buf_reset(&text);
    if (r == 0 && key == NULL)
        r = NRPC_E_NOMEM;
    if (r == 0 && !system && b->system_only)
        r = ignore_unknown ? 1
                           : fail(b, "query", 5, "this route takes everything from its body", NULL);
    if (r == 0 && !system)
        r = resolve(b, key, decoded, ignore_unknown, &e);
    if (r == 0 && equals != NULL && !query_decode(equals + 1, size - key_size - 1, &text))
        r = text.failed ? NRPC_E_NOMEM
                        : fail(b, pair, key_size, "the value is badly encoded", NULL);
    if (r == 0 && system) {
        r = bind_system(b, key, decoded, &text);
        buf_done(&text);
        return r;
    }
    if (r == 0)
        r = check_leaf(b, &e);
    if (r == 0)
        r = keep_text(b, &e, &text);
    if (r == 0)
        r = add_entry(b, &e);
    buf_done(&text);
    return r < 0 ? r : 0;
}

int bind_text(struct binder *b, const struct desc_field *below, const struct bind_pair *p,
              bool ignore_unknown)
{
    struct bind_entry e = { .path = { below }, .n_path = below != NULL };
    const char *name = arena_strndup(b->arena, p->name, p->name_size);
    const char *text = arena_strndup(b->arena, p->size == 0 ? "" : p->text, p->size);
    if (name == NULL || text == NULL)
        return NRPC_E_NOMEM;
    int r = resolve(b, name, p->name_size, ignore_unknown, &e);
    if (r != 0)
        return r < 0 ? r : 0;
    r = check_leaf(b, &e);
    e.text = text;
    e.size = p->size;
    if (r == 0 && !utf8_valid(text, p->size))
        r = fail_entry(b, &e, "is not valid UTF-8");
    return r == 0 ? add_entry(b, &e) : r;
}

int bind_query(struct binder *b, const char *query, size_t size, bool ignore_unknown)
{
    int r = 0;
    while (size > 0 && r == 0) {
        const char *end = memchr(query, '&', size);
        size_t n = end == NULL ? size : (size_t) (end - query);
        if (n > 0)
            r = bind_parameter(b, query, n, ignore_unknown);
        n += end != NULL;
        query += n;
        size -= n;
    }
    return r;
}

bool bind_has(const struct binder *b, const struct desc_field *f)
{
    for (size_t i = 0; i < b->n_entries; i++)
        if (b->entries[i].path[0] == f)
            return true;
    return false;
}

int bind_set(struct binder *b, const struct desc_field *f, const char *text, size_t size)
{
    struct bind_entry e = {
        .path = { f }, .n_path = 1, .text = arena_strndup(b->arena, text, size), .size = size
    };
    if (e.text == NULL)
        return NRPC_E_NOMEM;
    for (size_t i = 0; i < b->n_entries; i++)
        if (b->entries[i].path[0] == f) {
            b->entries[i] = e;
            return 0;
        }
    return add_entry(b, &e);
}

/* ---- writing --------------------------------------------------------------------------- */

/* A Struct, Value or ListValue. */
static int put_json(struct binder *b, const struct bind_entry *e, const struct desc_message *m,
                    struct buf *out)
{
    struct to_wire *t = arena_get(b->arena, sizeof *t);
    struct to_wire_options o = { .pool = b->pool };
    if (t == NULL)
        return NRPC_E_NOMEM;
    to_wire_init(t, m, out, &o);
    int r = to_wire_feed(t, e->text, e->size);
    if (r == 0)
        r = to_wire_finish(t);
    if (r == NRPC_E_PROTO) {
        char message[220];
        snprintf(message, sizeof message, "must be JSON: %s", t->reader.error.message);
        r = fail_entry(b, e, message);
    }
    to_wire_done(t);
    return r;
}

static int put_text(struct binder *b, const struct bind_entry *e, const struct desc_field *f,
                    uint32_t number, struct buf *out)
{
    const struct desc_field *scalar = f;
    const char *why;
    bool zero, ok;
    wire_put_tag(out, number, (enum wire_type) desc_wire_type(f->type));
    size_t region = f->message != NULL ? wire_region_open(out) : 0;
    if (f->message != NULL && is_json_leaf(f->message)) {
        int r = put_json(b, e, f->message, out);
        wire_region_close(out, region);
        return r;
    }
    if (f->message != NULL && f->message->wkt != DESC_WRAPPER) {
        ok = scalar_put_wkt(out, f->message->wkt, e->text, e->size, true, &why);
    } else {
        if (f->message != NULL) {
            scalar = desc_field_by_number(f->message, 1);
            wire_put_tag(out, 1, (enum wire_type) desc_wire_type(scalar->type));
        }
        ok = scalar_put_wire(out, scalar, SCALAR_QUERY, e->text, e->size, &zero, &why);
    }
    if (f->message != NULL)
        wire_region_close(out, region);
    if (ok)
        return out->failed ? NRPC_E_NOMEM : 0;
    char message[200], text[80];
    const Nrpc__FieldRules *rules = f->rules;
    if (f->repeated && rules != NULL)
        rules = rules->items;
    snprintf(message, sizeof message, "must be %s",
             scalar_expectation(scalar->type, rules, why, text));
    if (scalar->type == DESC_ENUM) {
        struct suggest s;
        suggest_start(&s, e->text, e->size);
        for (size_t i = 0; i < scalar->enumeration->n_values; i++)
            suggest_offer(&s, scalar->enumeration->values[i].name);
        snprintf(message, sizeof message, "must be a name of the enum %s%s%s%s",
                 scalar->enumeration->full_name, s.best == NULL ? "" : "; did you mean \"",
                 s.best == NULL ? "" : s.best, s.best == NULL ? "" : "\"?");
    }
    return fail_entry(b, e, message);
}

static int put_leaf(struct binder *b, const struct bind_entry *e, struct buf *out)
{
    const struct desc_field *f = e->path[e->n_path - 1];
    if (!f->map)
        return put_text(b, e, f, f->number, out);
    struct bind_entry key = *e;
    key.text = e->map_key;
    key.size = e->map_key_size;
    wire_put_tag(out, f->number, WIRE_BYTES);
    size_t region = wire_region_open(out);
    int r = put_text(b, &key, desc_field_by_number(f->message, 1), 1, out);
    if (r == 0)
        r = put_text(b, e, desc_field_by_number(f->message, 2), 2, out);
    wire_region_close(out, region);
    return r;
}

/* Writes the entries of `set` (numbers of entries that share their first `level` steps). */
static int put_level(struct binder *b, const uint8_t *set, size_t n, size_t level, struct buf *out)
{
    bool done[BIND_PARAMETERS_MAX] = { false };
    int r = 0;
    for (size_t i = 0; i < n && r == 0; i++) {
        const struct bind_entry *e = &b->entries[set[i]];
        if (done[i])
            continue;
        if (e->n_path == level + 1) {
            r = put_leaf(b, e, out);
            continue;
        }
        uint8_t below[BIND_PARAMETERS_MAX];
        size_t count = 0;
        for (size_t k = i; k < n; k++)
            if (b->entries[set[k]].path[level] == e->path[level]) {
                done[k] = true;
                below[count++] = set[k];
            }
        wire_put_tag(out, e->path[level]->number, WIRE_BYTES);
        size_t region = wire_region_open(out);
        r = put_level(b, below, count, level + 1, out);
        wire_region_close(out, region);
    }
    return r < 0 ? r : out->failed ? NRPC_E_NOMEM : 0;
}

int bind_write_below(struct binder *b, const struct desc_field *body, struct buf *out)
{
    uint8_t set[BIND_PARAMETERS_MAX];
    size_t n = 0;
    for (size_t i = 0; i < b->n_entries; i++)
        if (b->entries[i].path[0] == body && b->entries[i].n_path > 1)
            set[n++] = (uint8_t) i;
    return put_level(b, set, n, 1, out);
}

int bind_write_rest(struct binder *b, const struct desc_field *body_field, struct buf *out)
{
    uint8_t set[BIND_PARAMETERS_MAX];
    size_t n = 0;
    for (size_t i = 0; i < b->n_entries; i++) {
        if (b->entries[i].path[0] != body_field)
            set[n++] = (uint8_t) i;
        else if (b->entries[i].n_path == 1)
            return fail_entry(b, &b->entries[i], "is the body of this route");
    }
    return put_level(b, set, n, 0, out);
}

/* ---- the body and the path ------------------------------------------------------------- */

static bool find_value(const uint8_t *content, size_t size, const struct bind_entry *e,
                       size_t level, struct wire_field *out)
{
    for (; level < e->n_path; level++) {
        struct wire_reader r = wire_reader_of(content, size);
        struct wire_field f;
        bool found = false;
        while (wire_next(&r, &f) > 0)
            if (f.number == e->path[level]->number) {
                *out = f;
                found = true;
            }
        if (!found)
            return false;
        content = out->data;
        size = out->size;
        if (level + 1 < e->n_path && out->type != WIRE_BYTES)
            return false;
    }
    return true;
}

int bind_check_body(struct binder *b, const struct desc_field *body, const uint8_t *content,
                    size_t size)
{
    int r = 0;
    struct buf own = { 0 };
    for (size_t i = 0; i < b->n_entries && r == 0; i++) {
        const struct bind_entry *e = &b->entries[i];
        struct wire_field theirs = { 0 }, ours = { 0 };
        if (!e->from_path || (body != NULL && e->path[0] != body) ||
            !find_value(content, size, e, body != NULL, &theirs))
            continue;
        const struct desc_field *f = e->path[e->n_path - 1];
        buf_reset(&own);
        r = put_text(b, e, f, f->number, &own);
        struct wire_reader reader = wire_reader_of(own.data, own.size);
        if (r == 0 && wire_next(&reader, &ours) > 0 &&
            (ours.type != theirs.type || ours.value != theirs.value || ours.size != theirs.size ||
             (ours.size > 0 && memcmp(ours.data, theirs.data, ours.size) != 0)))
            r = fail_entry(b, e, "the path and the body say different things");
    }
    buf_done(&own);
    return r;
}
