/* card.c — the YAML head of a card: a fixed set of keys, each with its own reader. */
#include "server/cards/card.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "rpc/base/check.h"
#include "rpc/base/utf8.h"

struct parser {
    yaml_document_t doc;
    int first_line; /* of the YAML in the file */
    struct arena *a;
    NE(Character) * c;
    NE(Persona) * persona;
    NE(Persona__Temperament) * temperament;
    yaml_node_t *combat; /* combat_stats, kept as written */
    const char *specialization;
    struct card_error *err;
};
typedef int reader_fn(struct parser *p, yaml_node_t *node, void *target);

static int fail_at(struct parser *p, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static int fail_at(struct parser *p, int line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(p->err->message, sizeof p->err->message, format, args);
    va_end(args);
    p->err->line = line;
    return -1;
}

static int node_line(const struct parser *p, const yaml_node_t *node)
{
    return p->first_line + (int) node->start_mark.line;
}

static int fail_memory(struct parser *p, const yaml_node_t *node)
{
    return fail_at(p, node_line(p, node), "out of memory");
}

bool card_id_valid(const char *id)
{
    if (id[0] < 'a' || id[0] > 'z')
        return false;
    size_t n = strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789_");
    return id[n] == '\0' && n <= 63;
}

/* ---- values ---- */

/* The text of a scalar, in the YAML document's memory. */
static int read_scalar(struct parser *p, yaml_node_t *node, const char **out)
{
    if (node->type != YAML_SCALAR_NODE)
        return fail_at(p, node_line(p, node), "a single value is expected here");
    const char *s = (const char *) node->data.scalar.value;
    if (strlen(s) != node->data.scalar.length || !utf8_valid(s, node->data.scalar.length))
        return fail_at(p, node_line(p, node), "the value is not clean UTF-8 text");
    if (utf8_count(s, node->data.scalar.length) > 500)
        return fail_at(p, node_line(p, node), "the value is longer than 500 characters");
    *out = s;
    return 0;
}

static int read_string(struct parser *p, yaml_node_t *node, void *target)
{
    const char *s = "";
    if (read_scalar(p, node, &s) < 0)
        return -1;
    if (s[0] == '\0')
        return fail_at(p, node_line(p, node), "the value is empty");
    char *copy = arena_strndup(p->a, s, strlen(s));
    if (copy == NULL)
        return fail_memory(p, node);
    *(char **) target = copy;
    return 0;
}

/* A decimal number as hundredths, rounded half up; no binary fractions are involved. */
static int read_hundredths(struct parser *p, yaml_node_t *node, int64_t min, int64_t max,
                           int64_t *out)
{
    const char *s = "";
    if (read_scalar(p, node, &s) < 0)
        return -1;
    const char *t = s;
    bool minus = *t == '-';
    t += minus;
    int64_t value = 0;
    size_t digits = 0;
    for (; *t >= '0' && *t <= '9' && digits < 9; t++, digits++)
        value = value * 10 + (*t - '0');
    value *= 100;
    if (digits > 0 && *t == '.') {
        static const int64_t weights[] = { 100, 10, 1 };
        int64_t thousandths = 0;
        size_t n = 0;
        for (t++; *t >= '0' && *t <= '9'; t++, n++)
            if (n < 3)
                thousandths += (*t - '0') * weights[n];
        digits = n > 0 ? digits : 0;
        value += minus ? (thousandths + 4) / 10 : (thousandths + 5) / 10;
    }
    if (digits == 0 || *t != '\0')
        return fail_at(p, node_line(p, node), "\"%.40s\" is not a number", s);
    value = minus ? -value : value;
    if (value < min * 100 || value > max * 100)
        return fail_at(p, node_line(p, node), "%.40s is not between %lld and %lld", s,
                       (long long) min, (long long) max);
    *out = value;
    return 0;
}

static int read_whole(struct parser *p, yaml_node_t *node, int64_t min, int64_t max, void *target)
{
    int64_t value;
    if (read_hundredths(p, node, min, max, &value) < 0)
        return -1;
    if (value % 100 != 0)
        return fail_at(p, node_line(p, node), "a whole number is expected here");
    *(int32_t *) target = (int32_t) (value / 100);
    return 0;
}

static int read_scale(struct parser *p, yaml_node_t *node, void *target)
{
    return read_whole(p, node, 0, 100, target);
}
static int read_feeling(struct parser *p, yaml_node_t *node, void *target)
{
    return read_whole(p, node, -100, 100, target);
}
static int read_age(struct parser *p, yaml_node_t *node, void *target)
{
    return read_whole(p, node, 0, 100000, target);
}

static int read_pronouns(struct parser *p, yaml_node_t *node, void *target)
{
    if (read_string(p, node, target) < 0)
        return -1;
    const char *s = *(char **) target;
    static const char *const known[] = { "she", "he", "they", "it" };
    for (size_t i = 0; i < ARRAY_SIZE(known); i++)
        if (strcmp(s, known[i]) == 0)
            return 0;
    return fail_at(p, node_line(p, node), "pronouns are she, he, they or it, not \"%.40s\"", s);
}

struct string_list {
    size_t *n;
    char ***items;
};
static int read_strings(struct parser *p, yaml_node_t *node, void *target)
{
    struct string_list *list = target;
    if (node->type != YAML_SEQUENCE_NODE)
        return fail_at(p, node_line(p, node), "a list is expected here");
    size_t n = (size_t) (node->data.sequence.items.top - node->data.sequence.items.start);
    if (n > 32)
        return fail_at(p, node_line(p, node), "the list has more than 32 entries");
    char **items = arena_zero(p->a, n + 1, sizeof *items);
    if (items == NULL)
        return fail_memory(p, node);
    for (size_t i = 0; i < n; i++) {
        yaml_node_t *item = yaml_document_get_node(&p->doc, node->data.sequence.items.start[i]);
        if (read_string(p, item, &items[i]) < 0)
            return -1;
    }
    *list->n = n;
    *list->items = items;
    return 0;
}

/* ---- mappings ---- */

struct key {
    const char *name;
    reader_fn *read;
    void *target;
    bool required;
};

static size_t pairs(const yaml_node_t *node)
{
    return (size_t) (node->data.mapping.pairs.top - node->data.mapping.pairs.start);
}

static int pair_at(struct parser *p, yaml_node_t *map, size_t i, const char **out_key,
                   yaml_node_t **out_value)
{
    yaml_node_pair_t *pair = &map->data.mapping.pairs.start[i];
    yaml_node_t *key = yaml_document_get_node(&p->doc, pair->key);
    const char *name;
    if (read_scalar(p, key, &name) < 0)
        return -1;
    for (size_t k = 0; k < i; k++) {
        yaml_node_t *other = yaml_document_get_node(&p->doc, map->data.mapping.pairs.start[k].key);
        if (other->type == YAML_SCALAR_NODE && strcmp((char *) other->data.scalar.value, name) == 0)
            return fail_at(p, node_line(p, key), "\"%.60s\" stands twice", name);
    }
    *out_key = name;
    *out_value = yaml_document_get_node(&p->doc, pair->value);
    return 0;
}

static int want_mapping(struct parser *p, yaml_node_t *node)
{
    if (node->type != YAML_MAPPING_NODE)
        return fail_at(p, node_line(p, node), "a mapping (key: value) is expected here");
    return pairs(node) > 64 ? fail_at(p, node_line(p, node), "the mapping has more than 64 entries")
                            : 0;
}

static int read_keys(struct parser *p, yaml_node_t *map, const struct key *keys, size_t n)
{
    if (want_mapping(p, map) < 0)
        return -1;
    bool seen[64] = { false };
    CHECK(n <= ARRAY_SIZE(seen));
    for (size_t i = 0; i < pairs(map); i++) {
        const char *name;
        yaml_node_t *value;
        if (pair_at(p, map, i, &name, &value) < 0)
            return -1;
        size_t k = 0;
        while (k < n && strcmp(keys[k].name, name) != 0)
            k++;
        if (k == n) {
            yaml_node_t *key =
                yaml_document_get_node(&p->doc, map->data.mapping.pairs.start[i].key);
            return fail_at(p, node_line(p, key), "\"%.60s\" is not a key of a card here", name);
        }
        seen[k] = true;
        if (keys[k].read(p, value, keys[k].target) < 0)
            return -1;
    }
    for (size_t k = 0; k < n; k++)
        if (keys[k].required && !seen[k])
            return fail_at(p, node_line(p, map), "the key \"%s\" is missing", keys[k].name);
    return 0;
}

static int read_skills(struct parser *p, yaml_node_t *node, void *target)
{
    (void) target;
    if (want_mapping(p, node) < 0)
        return -1;
    size_t n = pairs(node);
    NE(Character__SkillsEntry) **entries = arena_zero(p->a, n + 1, sizeof *entries);
    for (size_t i = 0; entries != NULL && i < n; i++) {
        const char *name;
        yaml_node_t *value;
        int64_t hundredths;
        if (pair_at(p, node, i, &name, &value) < 0 ||
            read_hundredths(p, value, 0, 1, &hundredths) < 0)
            return -1;
        if ((entries[i] = arena_get(p->a, sizeof **entries)) == NULL)
            break;
        novelengine__v1__character__skills_entry__init(entries[i]);
        entries[i]->key = arena_strndup(p->a, name, strlen(name));
        entries[i]->value = (double) hundredths / 100.0;
    }
    if (entries == NULL || (n > 0 && (entries[n - 1] == NULL || entries[n - 1]->key == NULL)))
        return fail_memory(p, node);
    p->c->n_skills = n;
    p->c->skills = entries;
    return 0;
}

static int read_drives(struct parser *p, yaml_node_t *node, void *target)
{
    (void) target;
    static const char *const names[] = { "safety", "belonging", "duty",     "curiosity",
                                         "status", "care",      "autonomy", "gain" };
    int32_t values[ARRAY_SIZE(names)] = { 0 };
    struct key keys[ARRAY_SIZE(names)];
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        keys[i] = (struct key){ names[i], read_scale, &values[i], true };
    if (read_keys(p, node, keys, ARRAY_SIZE(keys)) < 0)
        return -1;
    NE(Persona__DrivesEntry) **entries = arena_zero(p->a, ARRAY_SIZE(names), sizeof *entries);
    for (size_t i = 0; entries != NULL && i < ARRAY_SIZE(names); i++) {
        if ((entries[i] = arena_get(p->a, sizeof **entries)) == NULL)
            return fail_memory(p, node);
        novelengine__v1__persona__drives_entry__init(entries[i]);
        entries[i]->key = (char *) names[i];
        entries[i]->value = values[i];
    }
    if (entries == NULL)
        return fail_memory(p, node);
    p->persona->n_drives = ARRAY_SIZE(names);
    p->persona->drives = entries;
    return 0;
}

static int read_temperament(struct parser *p, yaml_node_t *node, void *target)
{
    (void) target;
    NE(Persona__Temperament) *t = p->temperament;
    const struct key keys[] = {
        { "openness", read_scale, &t->openness, true },
        { "conscientiousness", read_scale, &t->conscientiousness, true },
        { "extraversion", read_scale, &t->extraversion, true },
        { "agreeableness", read_scale, &t->agreeableness, true },
        { "neuroticism", read_scale, &t->neuroticism, true },
        { "honesty", read_scale, &t->honesty, true },
    };
    p->persona->temperament = t;
    return read_keys(p, node, keys, ARRAY_SIZE(keys));
}

static int read_relations(struct parser *p, yaml_node_t *node, void *target)
{
    (void) target;
    if (want_mapping(p, node) < 0)
        return -1;
    size_t n = pairs(node);
    NE(Persona__Relation) **relations = arena_zero(p->a, n + 1, sizeof *relations);
    if (relations == NULL)
        return fail_memory(p, node);
    for (size_t i = 0; i < n; i++) {
        const char *name;
        yaml_node_t *value;
        NE(Persona__Relation) *r = relations[i] = arena_get(p->a, sizeof **relations);
        if (r == NULL)
            return fail_memory(p, node);
        novelengine__v1__persona__relation__init(r);
        const struct key keys[] = {
            { "trust", read_feeling, &r->trust, true },
            { "affection", read_feeling, &r->affection, false },
            { "respect", read_feeling, &r->respect, false },
            { "fear", read_feeling, &r->fear, false },
            { "debt", read_feeling, &r->debt, false },
        };
        if (pair_at(p, node, i, &name, &value) < 0 ||
            read_keys(p, value, keys, ARRAY_SIZE(keys)) < 0)
            return -1;
        if ((r->character = arena_strndup(p->a, name, strlen(name))) == NULL)
            return fail_memory(p, node);
    }
    p->persona->n_relations = n;
    p->persona->relations = relations;
    return 0;
}

/* ---- structured_data: stats.character and combat_stats ---- */

static PB(Value) * value_string(struct arena *a, const char *s)
{
    PB(Value) *v = arena_get(a, sizeof *v);
    if (v == NULL)
        return NULL;
    google__protobuf__value__init(v);
    v->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_STRING_VALUE;
    v->string_value = (char *) s;
    return v;
}

static PB(Value) * value_struct(struct arena *a, PB(Struct) * s)
{
    PB(Value) *v = s != NULL ? arena_get(a, sizeof *v) : NULL;
    if (v == NULL)
        return NULL;
    google__protobuf__value__init(v);
    v->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_STRUCT_VALUE;
    v->struct_value = s;
    return v;
}

static PB(Struct) * struct_new(struct arena *a, size_t capacity)
{
    PB(Struct) *s = arena_get(a, sizeof *s);
    if (s == NULL)
        return NULL;
    google__protobuf__struct__init(s);
    s->fields = arena_zero(a, capacity + 1, sizeof *s->fields);
    return s->fields != NULL ? s : NULL;
}

static bool struct_add(struct arena *a, PB(Struct) * s, const char *key, PB(Value) * value)
{
    PB(Struct__FieldsEntry) *e = value != NULL ? arena_get(a, sizeof *e) : NULL;
    if (e == NULL)
        return false;
    google__protobuf__struct__fields_entry__init(e);
    e->key = arena_strndup(a, key, strlen(key));
    e->value = value;
    s->fields[s->n_fields++] = e;
    return e->key != NULL;
}

static int read_combat(struct parser *p, yaml_node_t *node, void *target)
{
    (void) target;
    if (want_mapping(p, node) < 0)
        return -1;
    p->combat = node;
    return 0;
}

static int build_structured_data(struct parser *p)
{
    struct arena *a = p->a;
    PB(Struct) *root = struct_new(a, 1), *stats = struct_new(a, 2), *character = struct_new(a, 3);
    size_t n = p->combat != NULL ? pairs(p->combat) : 0;
    PB(Struct) *combat = struct_new(a, n);
    bool ok = root != NULL && stats != NULL && character != NULL && combat != NULL;
    ok = ok && struct_add(a, character, "name", value_string(a, p->c->name)) &&
         struct_add(a, character, "faction", value_string(a, p->persona->faction)) &&
         struct_add(a, character, "specialization", value_string(a, p->specialization));
    for (size_t i = 0; ok && i < n; i++) {
        const char *name;
        yaml_node_t *node;
        int32_t value = 0;
        if (pair_at(p, p->combat, i, &name, &node) < 0 || read_whole(p, node, 0, 10, &value) < 0)
            return -1;
        PB(Value) *v = arena_get(a, sizeof *v);
        if (v != NULL) {
            google__protobuf__value__init(v);
            v->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_NUMBER_VALUE;
            v->number_value = value;
        }
        ok = struct_add(a, combat, name, v);
    }
    ok = ok && struct_add(a, stats, "character", value_struct(a, character)) &&
         struct_add(a, stats, "combat_stats", value_struct(a, combat)) &&
         struct_add(a, root, "stats", value_struct(a, stats));
    p->c->structured_data = root;
    return ok ? 0 : fail_at(p, p->first_line, "out of memory");
}

static int read_head(struct parser *p, yaml_node_t *root)
{
    NE(Character) *c = p->c;
    NE(Persona) *q = p->persona;
    struct string_list inventory = { &c->n_inventory, &c->inventory },
                       goals = { &q->n_goals, &q->goals }, fears = { &q->n_fears, &q->fears },
                       secrets = { &q->n_secrets, &q->secrets }, vows = { &q->n_vows, &q->vows },
                       epithets = { &q->n_epithets, &q->epithets };
    const struct key keys[] = {
        { "name", read_string, &c->name, true },
        { "pronouns", read_pronouns, &q->pronouns, true },
        { "role", read_string, &q->role, true },
        { "rank", read_string, &q->rank, false },
        { "faction", read_string, &q->faction, true },
        { "specialization", read_string, &p->specialization, true },
        { "age", read_age, &q->age, false },
        { "voice", read_string, &q->voice, true },
        { "location", read_string, &c->current_location, true },
        { "epithets", read_strings, &epithets, false },
        { "skills", read_skills, NULL, true },
        { "inventory", read_strings, &inventory, true },
        { "temperament", read_temperament, NULL, true },
        { "drives", read_drives, NULL, true },
        { "goals", read_strings, &goals, true },
        { "fears", read_strings, &fears, true },
        { "secrets", read_strings, &secrets, false },
        { "vows", read_strings, &vows, false },
        { "relations", read_relations, NULL, false },
        { "combat_stats", read_combat, NULL, true },
    };
    if (read_keys(p, root, keys, ARRAY_SIZE(keys)) < 0)
        return -1;
    return build_structured_data(p);
}

/* ---- the file ---- */

static int yaml_trouble(struct parser *p, const yaml_parser_t *y)
{
    if (y->error == YAML_MEMORY_ERROR)
        return fail_at(p, p->first_line, "out of memory");
    return fail_at(p, p->first_line + (int) y->problem_mark.line, "not YAML: %s",
                   y->problem != NULL ? y->problem : "unreadable");
}

/* Counts before anything is built: a few aliases can stand for a billion nodes. */
static int yaml_check_size(struct parser *p, const char *text, size_t size)
{
    yaml_parser_t y;
    if (yaml_parser_initialize(&y) == 0)
        return fail_at(p, p->first_line, "out of memory");
    yaml_parser_set_input_string(&y, (const unsigned char *) text, size);
    size_t nodes = 0, aliases = 0, depth = 0;
    int r = 0;
    for (bool end = false; !end && r == 0;) {
        yaml_event_t e;
        if (yaml_parser_parse(&y, &e) == 0) {
            r = yaml_trouble(p, &y);
            break;
        }
        int line = p->first_line + (int) e.start_mark.line;
        end = e.type == YAML_STREAM_END_EVENT;
        aliases += e.type == YAML_ALIAS_EVENT;
        nodes += e.type == YAML_SCALAR_EVENT || e.type == YAML_ALIAS_EVENT;
        if (e.type == YAML_MAPPING_START_EVENT || e.type == YAML_SEQUENCE_START_EVENT)
            depth++;
        else if (e.type == YAML_MAPPING_END_EVENT || e.type == YAML_SEQUENCE_END_EVENT)
            depth--;
        yaml_event_delete(&e);
        if (depth > CARD_DEPTH_MAX)
            r = fail_at(p, line, "nested more than %d deep", CARD_DEPTH_MAX);
        else if (aliases > CARD_ALIASES_MAX)
            r = fail_at(p, line, "more than %d aliases", CARD_ALIASES_MAX);
        else if (nodes > CARD_NODES_MAX)
            r = fail_at(p, line, "more than %d values", CARD_NODES_MAX);
    }
    yaml_parser_delete(&y);
    return r;
}

static int parse_head(struct parser *p, const char *text, size_t size)
{
    if (yaml_check_size(p, text, size) < 0)
        return -1;
    yaml_parser_t y;
    if (yaml_parser_initialize(&y) == 0)
        return fail_at(p, p->first_line, "out of memory");
    yaml_parser_set_input_string(&y, (const unsigned char *) text, size);
    int r = -1;
    if (yaml_parser_load(&y, &p->doc) == 0) {
        (void) yaml_trouble(p, &y);
    } else {
        yaml_node_t *root = yaml_document_get_root_node(&p->doc);
        r = root == NULL ? fail_at(p, p->first_line, "the card's head is empty")
                         : read_head(p, root);
        yaml_document_delete(&p->doc);
    }
    yaml_parser_delete(&y);
    return r;
}

/* The line after "---" at `from`; NULL when there is none.  Counts lines. */
static const char *find_rule(const char *from, const char *end, int *line, const char **out_rule)
{
    while (from < end) {
        const char *newline = memchr(from, '\n', (size_t) (end - from));
        const char *next = newline != NULL ? newline + 1 : end;
        size_t n = (size_t) ((newline != NULL ? newline : end) - from);
        if (n > 0 && from[n - 1] == '\r')
            n--;
        (*line)++;
        if (n == 3 && memcmp(from, "---", 3) == 0) {
            *out_rule = from;
            return next;
        }
        from = next;
    }
    return NULL;
}

int card_parse(const char *file, const char *id, const void *text, size_t size, struct arena *a,
               NE(Character) * *out, struct card_error *err)
{
    snprintf(err->file, sizeof err->file, "%s", file);
    struct parser p = { .a = a, .err = err, .first_line = 1 };
    if (!card_id_valid(id))
        return fail_at(
            &p, 1, "a card's file name is a character id: a-z, then a-z, 0-9 and _, at most 63");
    if (size > CARD_BYTES_MAX)
        return fail_at(&p, 1, "the card is larger than %d bytes", CARD_BYTES_MAX);
    size_t valid = utf8_valid_prefix(text, size);
    const char *start = text, *end = start + size;
    int line = 0;
    if (valid < size || memchr(text, '\0', size) != NULL) {
        const char *bad = valid < size ? start + valid : memchr(text, '\0', size);
        for (const char *s = start; s < bad; s++)
            line += *s == '\n';
        return fail_at(&p, line + 1, "the card is not clean UTF-8 text");
    }
    const char *rule;
    const char *head = find_rule(start, end, &line, &rule);
    if (head == NULL || rule != start)
        return fail_at(&p, 1, "the first line of a card is ---");
    const char *body = find_rule(head, end, &line, &rule);
    if (body == NULL)
        return fail_at(&p, line, "the card's head is not closed by a line ---");
    p.first_line = 2;
    p.c = arena_get(a, sizeof *p.c);
    p.persona = arena_get(a, sizeof *p.persona);
    p.temperament = arena_get(a, sizeof *p.temperament);
    char *own_id = arena_strndup(a, id, strlen(id));
    if (p.c == NULL || p.persona == NULL || p.temperament == NULL || own_id == NULL)
        return fail_at(&p, 1, "out of memory");
    novelengine__v1__character__init(p.c);
    novelengine__v1__persona__init(p.persona);
    novelengine__v1__persona__temperament__init(p.temperament);
    p.c->character_id = p.c->character_name = own_id;
    p.c->persona = p.persona;
    if (parse_head(&p, head, (size_t) (rule - head)) < 0 ||
        card_parse_body(body, (size_t) (end - body), line + 1, a, p.c, err) < 0)
        return -1;
    *out = p.c;
    return 0;
}
