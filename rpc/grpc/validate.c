/* nrpc_validate: the contract's field rules against a message, over protobuf-c's descriptors.  Work
 * is linear in the message: patterns do not backtrack, unique hashes, and the walk stops at the
 * last violation it can report. */
#include "rpc/nrpc.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <google/rpc/error_details.pb-c.h>

#include "rpc/base/field_size.h"
#include "rpc/base/arena.h"
#include "rpc/base/buf.h"
#include "rpc/base/map.h"
#include "rpc/base/pattern.h"
#include "rpc/base/utf8.h"

/* Together they keep the packed details below nrpc_status_add_detail's 6 KiB. */
enum {
    DEPTH_MAX = 100,
    VIOLATIONS_MAX = 16,
    PATH_MAX_BYTES = 160,
    KEY_MAX_BYTES = 48,
    DESCRIPTION_MAX_BYTES = 140
};
enum { UNIQUE_BY_SCAN_MAX = 16 };

/* One step of a proto path, on the C stack of the walk. */
struct step {
    const struct step *up; /* NULL at the top */
    const char *name;
    const char *key; /* of a map entry; NULL otherwise */
    size_t index;    /* of a list's item; SIZE_MAX otherwise */
};
struct walk {
    const nrpc_rules *rules;
    struct arena arena;
    Google__Rpc__BadRequest__FieldViolation *violations[VIOLATIONS_MAX];
    size_t n;
    bool no_memory;
};

static bool walk_ended(const struct walk *w)
{
    return w->no_memory || w->n == VIOLATIONS_MAX;
}

/* ---- violations ---- */
static void put_cut(struct buf *b, const char *text, size_t max)
{
    size_t size = strlen(text);
    buf_put(b, text, size <= max ? size : utf8_valid_prefix(text, max));
    if (size > max)
        buf_puts(b, "…");
}

static void put_path(struct buf *b, const struct step *s)
{
    if (s->up != NULL) {
        put_path(b, s->up); /* as deep as the walk: at most DEPTH_MAX */
        buf_putc(b, '.');
    }
    buf_puts(b, s->name);
    if (s->key != NULL) {
        buf_puts(b, "[\"");
        put_cut(b, s->key, KEY_MAX_BYTES);
        buf_puts(b, "\"]");
    } else if (s->index != SIZE_MAX) {
        buf_printf(b, "[%zu]", s->index);
    }
}

static char *text_cut(struct walk *w, struct buf *b, size_t max)
{
    struct buf cut = { 0 };
    put_cut(&cut, buf_str(b), max);
    char *text =
        b->failed || cut.failed ? NULL : arena_strndup(&w->arena, (char *) cut.data, cut.size);
    buf_done(&cut);
    buf_done(b);
    return text;
}

static void violate(struct walk *w, const struct step *at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void violate(struct walk *w, const struct step *at, const char *format, ...)
{
    if (walk_ended(w))
        return;
    Google__Rpc__BadRequest__FieldViolation *v = arena_get(&w->arena, sizeof *v);
    struct buf path = { 0 }, description = { 0 };
    put_path(&path, at);
    va_list args;
    va_start(args, format);
    buf_vprintf(&description, format, args);
    va_end(args);
    char *field = text_cut(w, &path, PATH_MAX_BYTES);
    char *text = text_cut(w, &description, DESCRIPTION_MAX_BYTES);
    if (v == NULL || field == NULL || text == NULL) {
        w->no_memory = true;
        return;
    }
    google__rpc__bad_request__field_violation__init(v);
    v->field = field;
    v->description = text;
    w->violations[w->n++] = v;
}

/* "must have 2 to 6 items, not 1": bounds that the value of `what` broke. */
static void violate_bounds(struct walk *w, const struct step *at, const nrpc_field_rule *r,
                           const char *what, const char *value)
{
    const char *verb = what[0] == '\0' ? "be" : "have";
    if (r->has_min && r->has_max)
        violate(w, at, "must %s %" PRId64 " to %" PRId64 "%s, not %s", verb, r->min, r->max, what,
                value);
    else if (r->has_min)
        violate(w, at, "must %s at least %" PRId64 "%s, not %s", verb, r->min, what, value);
    else
        violate(w, at, "must %s at most %" PRId64 "%s, not %s", verb, r->max, what, value);
}

/* ---- single values ---- */
static bool check_size(struct walk *w, const struct step *at, const nrpc_field_rule *r,
                       const char *what, size_t size)
{
    if ((!r->has_min || r->min <= 0 || size >= (uint64_t) r->min) &&
        (!r->has_max || (r->max >= 0 && size <= (uint64_t) r->max)))
        return true;
    char text[24];
    snprintf(text, sizeof text, "%zu", size);
    violate_bounds(w, at, r, what, text);
    return false;
}

static void check_signed(struct walk *w, const struct step *at, const nrpc_field_rule *r,
                         int64_t value)
{
    char text[24];
    if (r->required && value == 0)
        violate(w, at, "must be set");
    if ((r->has_min && value < r->min) || (r->has_max && value > r->max)) {
        snprintf(text, sizeof text, "%" PRId64, value);
        violate_bounds(w, at, r, "", text);
    }
}

static void check_unsigned(struct walk *w, const struct step *at, const nrpc_field_rule *r,
                           uint64_t value)
{
    char text[24];
    if (r->required && value == 0)
        violate(w, at, "must be set");
    if ((r->has_min && r->min > 0 && value < (uint64_t) r->min) ||
        (r->has_max && (r->max < 0 || value > (uint64_t) r->max))) {
        snprintf(text, sizeof text, "%" PRIu64, value);
        violate_bounds(w, at, r, "", text);
    }
}

static void check_real(struct walk *w, const struct step *at, const nrpc_field_rule *r,
                       double value)
{
    char text[40];
    if (r->required && value == 0)
        violate(w, at, "must be set");
    if ((r->has_min && !(value >= (double) r->min)) ||
        (r->has_max && !(value <= (double) r->max))) {
        snprintf(text, sizeof text, "%.15g", value); /* NaN breaks any bound */
        violate_bounds(w, at, r, "", text);
    }
}

/* A pattern that only lists words is told as such. */
static void violate_pattern(struct walk *w, const struct step *at, const char *pattern)
{
    if (strspn(pattern, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-|") !=
        strlen(pattern)) {
        violate(w, at, "must match %s", pattern);
        return;
    }
    struct buf words = { 0 };
    for (const char *c = pattern; *c != '\0'; c++)
        if (*c == '|')
            buf_puts(&words, ", ");
        else
            buf_putc(&words, *c);
    violate(w, at, "must be %s%s", strchr(pattern, '|') != NULL ? "one of " : "", buf_str(&words));
    buf_done(&words);
}

static void check_text(struct walk *w, const struct step *at, const nrpc_field_rule *r,
                       const char *text)
{
    size_t size = text == NULL ? 0 : strlen(text);
    if (size == 0 && r->required) {
        violate(w, at, "must be set");
        return;
    }
    if ((r->has_min || r->has_max) &&
        !check_size(w, at, r, " characters", size == 0 ? 0 : utf8_count(text, size)))
        return;
    if (r->pattern == NULL || size == 0)
        return;
    struct pattern p;
    const char *problem = pattern_compile(&p, r->pattern);
    if (problem != NULL) /* the plugin refuses such a contract; a table made by hand fails closed */
        violate(w, at, "has a rule that cannot be read: %s", problem);
    else if (!pattern_match(&p, text, size))
        violate_pattern(w, at, r->pattern);
}

static void check_bytes(struct walk *w, const struct step *at, const nrpc_field_rule *r,
                        const ProtobufCBinaryData *data)
{
    if (data->len == 0 && r->required)
        violate(w, at, "must be set");
    else
        check_size(w, at, r, " bytes", data->len);
}

static bool is_wrapper(const ProtobufCMessageDescriptor *d)
{
    size_t size = strlen(d->name);
    return d->n_fields == 1 && d->fields[0].label != PROTOBUF_C_LABEL_REPEATED &&
           strcmp(d->fields[0].name, "value") == 0 &&
           strncmp(d->name, "google.protobuf.", 16) == 0 && size > 5 &&
           strcmp(d->name + size - 5, "Value") == 0;
}

static bool is_map_entry(const ProtobufCMessageDescriptor *d)
{
    size_t size = strlen(d->short_name);
    return d->n_fields == 2 && size > 5 && strcmp(d->short_name + size - 5, "Entry") == 0 &&
           d->fields[0].id == 1 && strcmp(d->fields[0].name, "key") == 0 && d->fields[1].id == 2 &&
           strcmp(d->fields[1].name, "value") == 0;
}

static const void *member_of(const ProtobufCMessage *m, unsigned offset)
{
    return (const char *) m + offset;
}

static void check_value(struct walk *w, const struct step *at, const nrpc_field_rule *r,
                        const ProtobufCFieldDescriptor *f, const void *value);

/* Presence is what a message's rule asks for; in a wrapper the rest of the rule is about the value,
 * where 0 and
 * "" are values like any other. */
static void check_message(struct walk *w, const struct step *at, const nrpc_field_rule *r,
                          const ProtobufCMessage *m)
{
    if (m == NULL) {
        if (r->required)
            violate(w, at, "must be set");
        return;
    }
    if (!is_wrapper(m->descriptor))
        return;
    const ProtobufCFieldDescriptor *f = &m->descriptor->fields[0];
    nrpc_field_rule of_value = *r;
    of_value.required = false;
    check_value(w, at, &of_value, f, member_of(m, f->offset));
}

/* The rule r on one value of this field's type, stored at `value`. */
static void check_value(struct walk *w, const struct step *at, const nrpc_field_rule *r,
                        const ProtobufCFieldDescriptor *f, const void *value)
{
    switch (f->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_ENUM:
        check_signed(w, at, r, *(const int32_t *) value);
        break;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        check_signed(w, at, r, *(const int64_t *) value);
        break;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        check_unsigned(w, at, r, *(const uint32_t *) value);
        break;
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        check_unsigned(w, at, r, *(const uint64_t *) value);
        break;
    case PROTOBUF_C_TYPE_FLOAT:
        check_real(w, at, r, (double) *(const float *) value);
        break;
    case PROTOBUF_C_TYPE_DOUBLE:
        check_real(w, at, r, *(const double *) value);
        break;
    case PROTOBUF_C_TYPE_STRING:
        check_text(w, at, r, *(const char *const *) value);
        break;
    case PROTOBUF_C_TYPE_BYTES:
        check_bytes(w, at, r, value);
        break;
    case PROTOBUF_C_TYPE_MESSAGE:
        check_message(w, at, r, *(const ProtobufCMessage *const *) value);
        break;
    case PROTOBUF_C_TYPE_BOOL:
        break;
    }
}

/* ---- lists and maps ---- */
/* The bytes that make an item equal to another one. */
static nrpc_slice item_identity(const ProtobufCFieldDescriptor *f, const void *item)
{
    if (f->type == PROTOBUF_C_TYPE_STRING) {
        const char *text = *(const char *const *) item;
        return (nrpc_slice){ (const uint8_t *) text, text == NULL ? 0 : strlen(text) };
    }
    if (f->type == PROTOBUF_C_TYPE_BYTES) {
        const ProtobufCBinaryData *data = item;
        return (nrpc_slice){ data->data, data->len };
    }
    return (nrpc_slice){ item, field_item_size(f->type) };
}

static void violate_twice(struct walk *w, const struct step *list, size_t index, size_t first)
{
    struct step at = *list;
    at.index = index;
    violate(w, &at, "repeats item %zu", first);
}

static void check_unique_few(struct walk *w, const struct step *at,
                             const ProtobufCFieldDescriptor *f, const char *items, size_t n)
{
    size_t size = field_item_size(f->type);
    for (size_t i = 1; i < n; i++) {
        nrpc_slice a = item_identity(f, items + i * size);
        for (size_t j = 0; j < i; j++) {
            nrpc_slice b = item_identity(f, items + j * size);
            if (a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0)) {
                violate_twice(w, at, i, j);
                break;
            }
        }
    }
}

static void check_unique(struct walk *w, const struct step *at, const ProtobufCFieldDescriptor *f,
                         const char *items, size_t n)
{
    if (n <= UNIQUE_BY_SCAN_MAX) {
        check_unique_few(w, at, f, items, n);
        return;
    }
    struct map seen = { 0 };
    size_t size = field_item_size(f->type);
    for (size_t i = 0; i < n && !walk_ended(w); i++) {
        nrpc_slice id = item_identity(f, items + i * size);
        const char *key = id.size == 0 ? "" : (const char *) id.data;
        const char *first = map_get(&seen, key, id.size);
        if (first != NULL)
            violate_twice(w, at, i, (size_t) (first - items) / size);
        else if (map_set(&seen, key, id.size, (void *) (items + i * size), NULL) < 0)
            w->no_memory = true;
    }
    map_done(&seen);
}

static void walk_message(struct walk *w, const struct step *up, const ProtobufCMessage *m,
                         unsigned depth);

static const char *map_key(const ProtobufCMessage *entry, char number[static 24])
{
    const ProtobufCFieldDescriptor *key = &entry->descriptor->fields[0];
    const void *member = member_of(entry, key->offset);
    if (key->type == PROTOBUF_C_TYPE_STRING)
        return *(const char *const *) member != NULL ? *(const char *const *) member : "";
    if (field_item_size(key->type) == 8)
        snprintf(number, 24, "%" PRId64, *(const int64_t *) member);
    else
        snprintf(number, 24, "%" PRId32, *(const int32_t *) member);
    return number;
}

/* A map entry is no level of its own: its value takes the place of an item, named by the key. */
static void walk_entry(struct walk *w, struct step *at, const nrpc_field_rule *items,
                       const ProtobufCMessage *entry, unsigned depth)
{
    if (entry == NULL)
        return;
    char number[24];
    at->key = map_key(entry, number);
    const ProtobufCFieldDescriptor *value = &entry->descriptor->fields[1];
    const void *member = member_of(entry, value->offset);
    if (items != NULL)
        check_value(w, at, items, value, member);
    if (value->type == PROTOBUF_C_TYPE_MESSAGE)
        walk_message(w, at, *(const ProtobufCMessage *const *) member, depth + 1);
    at->key = NULL;
}

static void walk_list(struct walk *w, struct step *at, const nrpc_field_rule *r,
                      const ProtobufCFieldDescriptor *f, const ProtobufCMessage *m, unsigned depth)
{
    size_t n = *(const size_t *) member_of(m, f->quantifier_offset), size = field_item_size(f->type);
    const char *items = *(const char *const *) member_of(m, f->offset);
    const ProtobufCMessageDescriptor *inner =
        f->type == PROTOBUF_C_TYPE_MESSAGE ? f->descriptor : NULL;
    bool map = inner != NULL && is_map_entry(inner);
    if (r != NULL) {
        if (n == 0 && r->required)
            violate(w, at, "must not be empty");
        else if (check_size(w, at, r, map ? " entries" : " items", n) && r->unique)
            check_unique(w, at, f, items, n);
    }
    const nrpc_field_rule *each = r != NULL ? r->items : NULL;
    if (each == NULL && inner == NULL)
        return;
    for (size_t i = 0; i < n && !walk_ended(w); i++) {
        const void *item = items + i * size;
        at->index = i;
        if (map) {
            walk_entry(w, at, each, *(const ProtobufCMessage *const *) item, depth);
            continue;
        }
        if (each != NULL)
            check_value(w, at, each, f, item);
        if (inner != NULL)
            walk_message(w, at, *(const ProtobufCMessage *const *) item, depth + 1);
    }
}

/* Whether the field holds something to check: a oneof's other members and absent proto2 scalars do
 * not. */
static bool is_present(const ProtobufCFieldDescriptor *f, const ProtobufCMessage *m)
{
    if ((f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0)
        return *(const uint32_t *) member_of(m, f->quantifier_offset) == f->id;
    if (f->label == PROTOBUF_C_LABEL_OPTIONAL && f->type != PROTOBUF_C_TYPE_MESSAGE &&
        f->type != PROTOBUF_C_TYPE_STRING)
        return *(const protobuf_c_boolean *) member_of(m, f->quantifier_offset);
    return true;
}

static void walk_field(struct walk *w, struct step *at, const nrpc_field_rule *r,
                       const ProtobufCFieldDescriptor *f, const ProtobufCMessage *m, unsigned depth)
{
    if (f->label == PROTOBUF_C_LABEL_REPEATED) {
        walk_list(w, at, r, f, m, depth);
        return;
    }
    if (!is_present(f, m)) {
        if (r != NULL && r->required)
            violate(w, at, "must be set");
        return;
    }
    const void *member = member_of(m, f->offset);
    if (r != NULL)
        check_value(w, at, r, f, member);
    if (f->type == PROTOBUF_C_TYPE_MESSAGE)
        walk_message(w, at, *(const ProtobufCMessage *const *) member, depth + 1);
}

static const nrpc_message_rules *rules_of(const nrpc_rules *rules,
                                          const ProtobufCMessageDescriptor *d)
{
    for (size_t i = 0; i < rules->n_messages; i++)
        if (rules->messages[i].message == d)
            return &rules->messages[i];
    return NULL;
}

static const nrpc_field_rule *rule_of(const nrpc_message_rules *rules, uint32_t tag)
{
    for (size_t i = 0; rules != NULL && i < rules->n_fields; i++)
        if (rules->fields[i].tag == tag)
            return &rules->fields[i];
    return NULL;
}

static void walk_message(struct walk *w, const struct step *up, const ProtobufCMessage *m,
                         unsigned depth)
{
    if (m == NULL || walk_ended(w))
        return;
    if (depth > DEPTH_MAX) {
        violate(w, up, "is nested deeper than %d messages", DEPTH_MAX);
        return;
    }
    const nrpc_message_rules *rules = rules_of(w->rules, m->descriptor);
    for (unsigned i = 0; i < m->descriptor->n_fields && !walk_ended(w); i++) {
        const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
        const nrpc_field_rule *r = rule_of(rules, f->id);
        if (r == NULL && f->type != PROTOBUF_C_TYPE_MESSAGE)
            continue;
        struct step at = { up, f->name, NULL, SIZE_MAX };
        walk_field(w, &at, r, f, m, depth);
    }
}

/* ---- the answer ---- */
static int set_status(struct walk *w, const char *domain, nrpc_status *st)
{
    const Google__Rpc__BadRequest__FieldViolation *first = w->violations[0];
    if (w->n == 1)
        nrpc_status_set(st, NRPC_INVALID_ARGUMENT, "%s %s", first->field, first->description);
    else
        nrpc_status_set(st, NRPC_INVALID_ARGUMENT, "%s %s (and %zu more)", first->field,
                        first->description, w->n - 1);
    Google__Rpc__BadRequest bad = GOOGLE__RPC__BAD_REQUEST__INIT;
    bad.field_violations = w->violations;
    bad.n_field_violations = w->n;
    Google__Rpc__ErrorInfo info = GOOGLE__RPC__ERROR_INFO__INIT;
    info.reason = "INVALID_FIELD";
    info.domain = (char *) domain;
    if (nrpc_status_add_detail(st, &bad.base) < 0 || nrpc_status_add_detail(st, &info.base) < 0)
        return NRPC_E_NOMEM;
    return 1;
}

int nrpc_validate(const nrpc_rules *rules, const ProtobufCMessage *m, const char *domain,
                  nrpc_status *st)
{
    struct walk w = { .rules = rules };
    arena_init(&w.arena, 1024);
    walk_message(&w, NULL, m, 1);
    int result = w.no_memory ? NRPC_E_NOMEM : 0;
    if (result == 0 && w.n > 0)
        result = set_status(&w, domain, st);
    if (result == NRPC_E_NOMEM)
        nrpc_status_set(st, NRPC_RESOURCE_EXHAUSTED, "out of memory while checking the request");
    arena_done(&w.arena);
    return result;
}
