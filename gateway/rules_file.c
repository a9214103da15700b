#include "gateway/rules_file.h"

#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "gateway/suggest.h"
#include "rpc/nrpc.h"

enum { BINDINGS_MAX = 32, NAME_MAX_BYTES = 256 };

struct reader {
    yaml_document_t document;
    struct desc_pool *pool;
    char *error; /* 512 bytes */
};

static int fail(struct reader *r, const yaml_node_t *at, const char *what, const char *word)
{
    snprintf(r->error, 512, "http rules, line %zu: %s%s%.200s", at->start_mark.line + 1, what,
             *word == '\0' ? "" : ": ", word);
    return NRPC_E_INVAL;
}

static int no_memory(struct reader *r)
{
    snprintf(r->error, 512, "out of memory");
    return NRPC_E_NOMEM;
}

static bool is_text(const yaml_node_t *n, const char *word)
{
    return n->type == YAML_SCALAR_NODE && n->data.scalar.length == strlen(word) &&
           memcmp(n->data.scalar.value, word, n->data.scalar.length) == 0;
}

static yaml_node_t *node(struct reader *r, int id)
{
    return yaml_document_get_node(&r->document, id);
}

/* The value of a mapping's key; NULL: absent, or no mapping. */
static yaml_node_t *find(struct reader *r, const yaml_node_t *mapping, const char *key)
{
    if (mapping == NULL || mapping->type != YAML_MAPPING_NODE)
        return NULL;
    const yaml_node_pair_t *p = mapping->data.mapping.pairs.start;
    for (; p < mapping->data.mapping.pairs.top; p++)
        if (is_text(node(r, p->key), key))
            return node(r, p->value);
    return NULL;
}

/* A scalar as text that lives as long as the pool. */
static int take_text(struct reader *r, const yaml_node_t *n, char **out)
{
    if (n->type != YAML_SCALAR_NODE ||
        memchr(n->data.scalar.value, '\0', n->data.scalar.length) != NULL)
        return fail(r, n, "a text is expected", "");
    *out =
        arena_strndup(&r->pool->arena, (const char *) n->data.scalar.value, n->data.scalar.length);
    return *out == NULL ? no_memory(r) : 0;
}

/* ---- one rule -------------------------------------------------------------------------- */

static int read_custom(struct reader *r, const yaml_node_t *value, Google__Api__HttpRule *rule)
{
    const yaml_node_t *kind = find(r, value, "kind"), *path = find(r, value, "path");
    Google__Api__CustomHttpPattern *custom = arena_get(&r->pool->arena, sizeof *custom);
    if (kind == NULL || path == NULL)
        return fail(r, value, "custom needs a kind and a path", "");
    if (custom == NULL)
        return no_memory(r);
    google__api__custom_http_pattern__init(custom);
    rule->custom = custom;
    int e = take_text(r, kind, &custom->kind);
    return e == 0 ? take_text(r, path, &custom->path) : e;
}

/* get, put, post, delete, patch or custom: exactly one. */
static int read_pattern(struct reader *r, const yaml_node_t *key, const yaml_node_t *value,
                        Google__Api__HttpRule *rule)
{
    static const struct {
        const char *word;
        Google__Api__HttpRule__PatternCase pattern;
    } known[] = {
        { "get", GOOGLE__API__HTTP_RULE__PATTERN_GET },
        { "put", GOOGLE__API__HTTP_RULE__PATTERN_PUT },
        { "post", GOOGLE__API__HTTP_RULE__PATTERN_POST },
        { "delete", GOOGLE__API__HTTP_RULE__PATTERN_DELETE },
        { "patch", GOOGLE__API__HTTP_RULE__PATTERN_PATCH },
        { "custom", GOOGLE__API__HTTP_RULE__PATTERN_CUSTOM },
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (!is_text(key, known[i].word))
            continue;
        if (rule->pattern_case != GOOGLE__API__HTTP_RULE__PATTERN__NOT_SET)
            return fail(r, key, "a rule has two patterns", "");
        rule->pattern_case = known[i].pattern;
        /* The members of the oneof share their place. */
        return known[i].pattern == GOOGLE__API__HTTP_RULE__PATTERN_CUSTOM
                   ? read_custom(r, value, rule)
                   : take_text(r, value, &rule->get);
    }
    return fail(r, key, "a rule has an unknown key", (const char *) key->data.scalar.value);
}

static int read_rule(struct reader *r, const yaml_node_t *from, bool additional,
                     Google__Api__HttpRule **out_rule);

static int read_bindings(struct reader *r, const yaml_node_t *list, Google__Api__HttpRule *rule)
{
    if (list->type != YAML_SEQUENCE_NODE)
        return fail(r, list, "additional_bindings must be a list", "");
    const yaml_node_item_t *at = list->data.sequence.items.start,
                           *top = list->data.sequence.items.top;
    if (top - at > BINDINGS_MAX)
        return fail(r, list, "too many additional_bindings", "");
    rule->additional_bindings =
        arena_zero(&r->pool->arena, (size_t) (top - at), sizeof *rule->additional_bindings);
    if (rule->additional_bindings == NULL)
        return no_memory(r);
    for (; at < top; at++) {
        int e = read_rule(r, node(r, *at), true,
                          &rule->additional_bindings[rule->n_additional_bindings]);
        if (e < 0)
            return e;
        rule->n_additional_bindings++;
    }
    return 0;
}

static int read_key(struct reader *r, const yaml_node_t *key, const yaml_node_t *value,
                    bool additional, Google__Api__HttpRule *rule)
{
    if (key->type != YAML_SCALAR_NODE)
        return fail(r, key, "a key must be a word", "");
    if (is_text(key, "selector") && !additional)
        return 0;
    if (is_text(key, "body"))
        return take_text(r, value, &rule->body);
    if (is_text(key, "response_body"))
        return take_text(r, value, &rule->response_body);
    if (is_text(key, "additional_bindings"))
        return additional ? fail(r, key, "additional_bindings must not be nested", "")
                          : read_bindings(r, value, rule);
    return read_pattern(r, key, value, rule);
}

static int read_rule(struct reader *r, const yaml_node_t *from, bool additional,
                     Google__Api__HttpRule **out_rule)
{
    Google__Api__HttpRule *rule = arena_get(&r->pool->arena, sizeof *rule);
    if (from->type != YAML_MAPPING_NODE)
        return fail(r, from, "a rule must be a mapping", "");
    if (rule == NULL)
        return no_memory(r);
    google__api__http_rule__init(rule);
    const yaml_node_pair_t *p = from->data.mapping.pairs.start;
    for (; p < from->data.mapping.pairs.top; p++) {
        int e = read_key(r, node(r, p->key), node(r, p->value), additional, rule);
        if (e < 0)
            return e;
    }
    if (rule->pattern_case == GOOGLE__API__HTTP_RULE__PATTERN__NOT_SET)
        return fail(r, from, "a rule needs get, put, post, delete, patch or custom", "");
    *out_rule = rule;
    return 0;
}

/* ---- the list -------------------------------------------------------------------------- */

/* "package.Service.Method". */
static bool is_selected(const struct desc_method *m, const char *selector)
{
    size_t n = strlen(m->service);
    return strncmp(selector, m->service, n) == 0 && selector[n] == '.' &&
           strcmp(selector + n + 1, m->name) == 0;
}

static int unknown_selector(struct reader *r, const yaml_node_t *at, const char *selector)
{
    char best[NAME_MAX_BYTES] = "", text[2 * NAME_MAX_BYTES];
    struct suggest s;
    suggest_start(&s, selector, strlen(selector));
    for (size_t i = 0; i < r->pool->n_methods; i++) {
        char name[NAME_MAX_BYTES];
        const char *before = s.best;
        snprintf(name, sizeof name, "%.120s.%.120s", r->pool->methods[i].service,
                 r->pool->methods[i].name);
        suggest_offer(&s, name);
        if (s.best != before) {
            memcpy(best, name, sizeof best);
            s.best = best;
        }
    }
    snprintf(text, sizeof text, "%.120s%s%s%s", selector, *best == '\0' ? "" : "; did you mean ",
             best, *best == '\0' ? "" : "?");
    return fail(r, at, "selector names no method", text);
}

static int apply_rule(struct reader *r, const yaml_node_t *from)
{
    const yaml_node_t *selector = find(r, from, "selector");
    Google__Api__HttpRule *rule = NULL;
    char *name;
    if (selector == NULL)
        return fail(r, from, "a rule needs a selector", "");
    int e = take_text(r, selector, &name);
    if (e == 0)
        e = read_rule(r, from, false, &rule);
    for (size_t i = 0; e == 0 && i < r->pool->n_methods; i++)
        if (is_selected(&r->pool->methods[i], name)) {
            /* The pool is not shared yet. */
            ((struct desc_method *) &r->pool->methods[i])->http = rule;
            return 0;
        }
    return e < 0 ? e : unknown_selector(r, selector, name);
}

static int apply_all(struct reader *r)
{
    const yaml_node_t *root = yaml_document_get_root_node(&r->document);
    const yaml_node_t *rules = find(r, find(r, root, "http"), "rules");
    if (rules == NULL || rules->type != YAML_SEQUENCE_NODE) {
        snprintf(r->error, 512, "http rules: no list at http.rules");
        return NRPC_E_INVAL;
    }
    const yaml_node_item_t *at = rules->data.sequence.items.start;
    int e = 0;
    for (; e == 0 && at < rules->data.sequence.items.top; at++)
        e = apply_rule(r, node(r, *at));
    return e;
}

int rules_file_apply(struct desc_pool *pool, const void *text, size_t size, char error[static 512])
{
    struct reader r = { .pool = pool, .error = error };
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser))
        return no_memory(&r);
    yaml_parser_set_input_string(&parser, text, size);
    if (!yaml_parser_load(&parser, &r.document)) {
        snprintf(error, 512, "http rules, line %zu: %s", parser.problem_mark.line + 1,
                 parser.problem == NULL ? "not YAML" : parser.problem);
        yaml_parser_delete(&parser);
        return NRPC_E_INVAL;
    }
    int e = size > RULES_FILE_MAX ? NRPC_E_TOOBIG : apply_all(&r);
    if (e == NRPC_E_TOOBIG)
        snprintf(error, 512, "http rules: the file is larger than %d bytes", RULES_FILE_MAX);
    yaml_document_delete(&r.document);
    yaml_parser_delete(&parser);
    return e;
}
