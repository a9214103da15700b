/* check.c — broken prose is refused where it stands; what only the whole pack shows is linted. */
#include "server/narrator/teller.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct checking {
    const struct nvl_pack *pack;
    const struct nvl_prose *statement;
    const struct nvl_prose_line *line;
    struct nvl_error *err;
    struct env env; /* the slots that may be used here */
    bool quoted;    /* a line: S and T may be used, @ may not */
};

static bool fail_at(struct checking *c, const char *at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static bool fail_at(struct checking *c, const char *at, const char *format, ...)
{
    if (c->err == NULL)
        return false;
    c->err->line = c->line->line;
    c->err->column = c->line->column + (uint32_t) (at - c->line->text);
    va_list args;
    va_start(args, format);
    vsnprintf(c->err->message, sizeof(c->err->message), format, args);
    va_end(args);
    return false;
}

/* Slots that a statement offers beside an operator's parameters. */
static const struct {
    const char *name;
    uint8_t sort;
} common_slots[] = {
    { "LOCALE", NVL_SORT_NONE },  { "HERE", NVL_SORT_PLACE },  { "F", NVL_SORT_CHAR },
    { "CLOCK", NVL_SORT_NONE },   { "SITE", NVL_SORT_PLACE },  { "WORDS", NVL_SORT_NONE },
    { "SETTING", NVL_SORT_NONE }, { "SAID", NVL_SORT_NONE },   { "BROKEN", NVL_SORT_NONE },
    { "VOW", NVL_SORT_NONE },     { "FEAR", NVL_SORT_NONE },   { "GOAL", NVL_SORT_NONE },
    { "DO", NVL_SORT_NONE },      { "ENDING", NVL_SORT_NONE }, { "NAMES", NVL_SORT_NONE },
    { "ALT", NVL_SORT_NONE },     { "CALLER", NVL_SORT_CHAR },  { "OLD", NVL_SORT_NONE },
    { "PAST", NVL_SORT_NONE },    { "AIM", NVL_SORT_NONE },
    { "LOST", NVL_SORT_CHAR },    { "SAVED", NVL_SORT_CHAR },   { "SCARRED", NVL_SORT_CHAR },
    { "FROM", NVL_SORT_PLACE },   { "STILL", NVL_SORT_PLACE },
    { "TRUTH", NVL_SORT_FACT },
};
/* {PRIZE} wants a fluent "prize" that is somebody or something, as frames declare their roles. */
static bool role_find(const struct nvl_pack *pack, const char *p, size_t n, struct bind *out)
{
    char name[24];
    if (n < 3 || n >= sizeof(name))
        return false;
    for (size_t i = 0; i < n; i++)
        name[i] = morph_lower(p[i]);
    name[n] = 0;
    int f = *p >= 'A' && *p <= 'Z' ? nvl_pack_fluent_find(pack, name) : -1;
    enum nvl_sort sort = f < 0 ? NVL_SORT_NONE : nvl_pack_fluent_sort(pack, (size_t) f);
    *out = (struct bind){ NULL, (uint8_t) sort, 0, NULL };
    return sort != NVL_SORT_NONE;
}
static const struct bind *slot_find(struct checking *c, const char *p, size_t n,
                                    struct bind *buffer)
{
    for (size_t i = 0; i < c->env.count; i++)
        if (strlen(c->env.binds[i].name) == n && memcmp(c->env.binds[i].name, p, n) == 0)
            return &c->env.binds[i];
    for (size_t i = 0; i < sizeof(common_slots) / sizeof(common_slots[0]); i++)
        if (strlen(common_slots[i].name) == n && memcmp(common_slots[i].name, p, n) == 0) {
            *buffer = (struct bind){ common_slots[i].name, common_slots[i].sort, 0, NULL };
            return buffer;
        }
    return role_find(c->pack, p, n, buffer) ? buffer : NULL;
}
static bool check_slot(struct checking *c, const char *p, const char *end)
{
    const char *dot = memchr(p, '.', (size_t) (end - p));
    struct bind buffer;
    size_t n = (size_t) ((dot != NULL ? dot : end) - p);
    const struct bind *b = slot_find(c, p, n, &buffer);
    bool loose = c->statement->keyword[0] == 'c' && strcmp(c->statement->keyword, "class") == 0;
    if ((loose || (c->quoted && *p != 'S' && *p != 'T')) && n == 1 && *p >= 'A' && *p <= 'Z')
        return true; /* a class is filled where it is used */
    if (b == NULL)
        return fail_at(c, p, "no slot \"%.*s\" here", (int) n, p);
    char form[24] = "";
    size_t size = dot != NULL ? (size_t) (end - dot - 1) : 0;
    if (size >= sizeof(form))
        return fail_at(c, dot, "unknown form");
    if (size > 0)
        memcpy(form, dot + 1, size);
    if (!refer_form_known(b->sort, form))
        return fail_at(c, dot != NULL ? dot + 1 : p, "\"%.*s\" has no form \"%s\"", (int) n, p,
                       form);
    return true;
}
static bool key_exists(const struct nvl_pack *pack, const char *keyword, const char *key, size_t n)
{
    for (size_t i = 0; i < nvl_pack_prose_count(pack); i++) {
        const struct nvl_prose *s = nvl_pack_prose(pack, i);
        if (strcmp(s->keyword, keyword) == 0 && strncmp(s->head, key, n) == 0 &&
            (s->head[n] == 0 || s->head[n] == ' '))
            return true;
    }
    return false;
}
static bool check_text(struct checking *c, const char *p, const char *end, unsigned depth);
static bool check_said(struct checking *c, const char **p, const char *end)
{
    const char *open = memchr(*p, '(', (size_t) (end - *p));
    const char *close = open != NULL ? prose_bracket_end(open, end) : NULL;
    struct bind buffer;
    if (close == NULL)
        return fail_at(c, *p, "@ wants a dialogue act and who says it: @warn(A,B)");
    if (c->quoted)
        return fail_at(c, *p, "somebody is speaking already");
    if (!key_exists(c->pack, "line", *p + 1, (size_t) (open - *p - 1)))
        return fail_at(c, *p, "no line for the act \"%.*s\"", (int) (open - *p - 1), *p + 1);
    const char *from = open + 1;
    for (unsigned i = 0; i < 2 && from <= close; i++) {
        const char *comma = memchr(from, ',', (size_t) (close - from));
        const char *stop = comma != NULL ? comma : close;
        const struct bind *b = slot_find(c, from, (size_t) (stop - from), &buffer);
        if (b == NULL || b->sort != NVL_SORT_CHAR)
            return fail_at(c, from, "\"%.*s\" is no character here", (int) (stop - from), from);
        from = stop + 1;
    }
    *p = close + 1;
    return true;
}
static bool check_bracket(struct checking *c, const char **p, const char *end, unsigned depth)
{
    const char *from = *p + 1, *close = prose_bracket_end(*p, end);
    if (close == NULL)
        return fail_at(c, *p, "\"%c\" is not closed", **p);
    if (depth >= PROSE_DEPTH_MAX)
        return fail_at(c, *p, "nested too deep");
    char open = **p;
    *p = close + 1;
    if (open == '{')
        return check_slot(c, from, close);
    if (open == '<')
        return key_exists(c->pack, "class", from, (size_t) (close - from)) ||
               fail_at(c, from, "no class \"%.*s\"", (int) (close - from), from);
    return check_text(c, from, close, depth + 1);
}
static bool check_text(struct checking *c, const char *p, const char *end, unsigned depth)
{
    for (; p < end;) {
        if (strchr("{<([", *p) != NULL) {
            if (!check_bracket(c, &p, end, depth))
                return false;
        } else if (*p == '@') {
            if (!check_said(c, &p, end))
                return false;
        } else if (strchr("}>)]", *p) != NULL) {
            return fail_at(c, p, "\"%c\" closes nothing", *p);
        } else if (*p == '|' && depth == 0 && strcmp(c->statement->keyword, "class") != 0 &&
                   strcmp(c->statement->keyword, "vary") != 0) {
            return fail_at(c, p, "\"|\" outside of a choice");
        } else if (*p == ' ' && p + 1 < end && p[1] == ' ') {
            return fail_at(c, p, "two blanks");
        } else {
            p++;
        }
    }
    return true;
}
static bool check_line(struct checking *c)
{
    const char *text = c->line->text, *end = text + strlen(text);
    size_t quotes = 0;
    if ((size_t) (end - text) > PROSE_LINE_MAX)
        return fail_at(c, text, "longer than %d bytes", PROSE_LINE_MAX);
    for (const char *p = text; p < end; p++)
        quotes += *p == '"';
    if (quotes % 2 != 0)
        return fail_at(c, text, "a quotation mark has no partner");
    if (c->quoted && quotes > 0)
        return fail_at(c, text, "a line is put between quotation marks where it is said");
    enum prose_kind kind = (enum prose_kind) prose_kind_of(c->statement->keyword);
    bool whole =
        kind != PROSE_CLASS && kind != PROSE_DO && kind != PROSE_TITLE && kind != PROSE_VARY &&
        kind != PROSE_AIM;
    bool own = end - text > 5 && memcmp(end - 5, ".own}", 5) == 0; /* brings its own full stop */
    if (whole && !own && end > text && strchr(".!?\")]>", end[-1]) == NULL)
        return fail_at(c, end - 1, "the sentence has no end");
    return check_text(c, text, end, 0);
}

/* The operator of "seal.ok" or "seal"; its parameters become slots. */
static bool check_operator(struct checking *c, const struct prose_rule *r, struct nvl_error *err)
{
    char name[PROSE_KEY_MAX + 1];
    size_t n = r->key_size;
    const char *dot = r->kind == PROSE_SAY ? memchr(r->key, '.', n) : NULL;
    size_t size = dot != NULL ? (size_t) (dot - r->key) : n;
    memcpy(name, r->key, size);
    name[size] = 0;
    int op = nvl_pack_op_find(c->pack, name);
    struct nvl_prose_line head = { r->statement->head, r->statement->line,
                                   (uint32_t) strlen(r->statement->keyword) + 2 };
    c->line = &head;
    c->err = err;
    if (op < 0)
        return fail_at(c, r->key, "no operator \"%s\"", name);
    struct nvl_op_info info;
    nvl_pack_op(c->pack, (size_t) op, &info);
    if (r->kind == PROSE_SAY) {
        bool found = false;
        for (unsigned k = NVL_CRITICAL; dot != NULL && k <= NVL_FAIL; k++)
            found |= strlen(nvl_outcome_name(k)) == n - size - 1 &&
                     memcmp(nvl_outcome_name(k), dot + 1, n - size - 1) == 0;
        if (!found)
            return fail_at(c, r->key,
                           "say wants OPERATOR.OUTCOME, outcome critical, ok, partial or fail");
    }
    for (unsigned i = 0; i < info.params_count; i++)
        env_add(&c->env, info.params[i].name, info.params[i].sort, i);
    return true;
}
/* "aim" names a goal of the pack. */
static bool check_goal(struct checking *c, const struct prose_rule *r, struct nvl_error *err)
{
    struct nvl_prose_line head = { r->statement->head, r->statement->line,
                                   (uint32_t) strlen(r->statement->keyword) + 2 };
    for (size_t i = 0; i < nvl_pack_name_count(c->pack, NVL_NAME_GOAL); i++) {
        const char *name = nvl_pack_name_at(c->pack, NVL_NAME_GOAL, i);
        if (strlen(name) == r->key_size && memcmp(name, r->key, r->key_size) == 0)
            return true;
    }
    c->line = &head, c->err = err;
    return fail_at(c, r->key, "no goal \"%.*s\"", (int) r->key_size, r->key);
}
int nvl_prose_check_statement(void *ctx, const struct nvl_pack *pack, const struct nvl_prose *prose,
                              struct nvl_error *err)
{
    (void) ctx;
    struct prose_rule rule;
    struct checking c = { .pack = pack, .statement = prose, .err = err };
    if (!prose_head(prose, &rule, err))
        return -1;
    if ((rule.kind == PROSE_SAY || rule.kind == PROSE_DO) && !check_operator(&c, &rule, err))
        return -1;
    if (rule.kind == PROSE_AIM && !check_goal(&c, &rule, err))
        return -1;
    if (rule.kind == PROSE_LINE) {
        c.quoted = true;
        env_add(&c.env, "S", NVL_SORT_CHAR, 0);
        env_add(&c.env, "T", NVL_SORT_CHAR, 1);
    } else if (rule.kind != PROSE_SAY && rule.kind != PROSE_DO) {
        env_add(&c.env, "A", NVL_SORT_CHAR, 0);
        env_add(&c.env, "B", NVL_SORT_CHAR, 1);
        if (rule.kind == PROSE_INTRO || rule.kind == PROSE_ENTRY || rule.kind == PROSE_EXIT) {
            env_add(&c.env, "C", NVL_SORT_CHAR, 2), env_add(&c.env, "D", NVL_SORT_CHAR, 3);
            env_add(&c.env, "E", NVL_SORT_CHAR, 4), env_add(&c.env, "G", NVL_SORT_CHAR, 5);
        }
        if (rule.kind == PROSE_MUSE)
            env_add(&c.env, "X", NVL_SORT_FACT, 0), env_add(&c.env, "I", NVL_SORT_ITEM, 0);
    }
    for (uint32_t i = 0; i < prose->lines_count; i++) {
        c.line = &prose->lines[i];
        if (!check_line(&c))
            return -1;
    }
    return 0;
}

/* --- lint
 * -------------------------------------------------------------------------------------------------
 */

static size_t alternatives_of(const struct prose_index *index, enum prose_kind kind,
                              const char *key)
{
    size_t first, n = 0, end = prose_index_find(index, kind, key, strlen(key), &first);
    for (size_t i = first; i < end; i++) {
        size_t line = 0, offset = 0, size;
        const char *text;
        while (prose_alternative(&index->rules[i], &line, &offset, &text, &size))
            n++;
    }
    return n;
}
static size_t lint_operators(const struct nvl_pack *pack, const struct prose_index *index,
                             struct buf *out)
{
    size_t found = 0;
    for (size_t i = 0; i < nvl_pack_op_count(pack); i++) {
        struct nvl_op_info info;
        nvl_pack_op(pack, i, &info);
        for (unsigned k = NVL_DONE; k <= NVL_FAIL; k++) {
            char key[PROSE_KEY_MAX + 16];
            if (!(info.outcomes >> k & 1))
                continue;
            snprintf(key, sizeof(key), "%.*s.%s", PROSE_KEY_MAX, info.name, nvl_outcome_name(k));
            size_t n = alternatives_of(index, PROSE_SAY, key);
            if (n >= 3)
                continue;
            buf_printf(out, "operator %s: %zu ways to tell %s, 3 are wanted\n", info.name, n, key);
            found++;
        }
    }
    return found;
}
size_t nvl_prose_lint(const struct nvl_pack *pack, struct buf *out)
{
    struct arena arena;
    struct prose_index index;
    arena_init(&arena, 64 * 1024);
    size_t found = 0;
    if (prose_index_build(pack, &arena, &index)) {
        found = lint_operators(pack, &index, out);
        for (size_t i = 0; i < index.count; i++) {
            const struct prose_rule *r = &index.rules[i];
            if (r->kind == PROSE_VOICE || r->statement->lines_count > 0)
                continue;
            buf_printf(out, "%s:%u: \"%s %s\" has no lines\n", r->statement->file,
                       r->statement->line, r->statement->keyword, r->statement->head);
            found++;
        }
    }
    arena_done(&arena);
    return found;
}
