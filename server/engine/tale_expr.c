/* tale_expr.c — expressions and effects into byte code, with their sorts checked. */
#include "server/engine/tale.h"
#include <string.h>

enum { DEFINE_DEPTH = 8 };
struct binding { /* what a define's parameter stands for: a piece of a line, read in its own scope
                  */
    char name[16];
    struct lex lex;
    const struct env *env;
};
struct env {
    const struct scope *scope;
    struct binding bindings[4];
    unsigned bindings_count, depth, nesting;
};
struct expr {
    struct tale *t;
    int stack, first;
};
static bool expr_or(struct expr *x, struct lex *lex, struct env *env, int *type);

static void emit(struct expr *x, unsigned byte)
{
    put8(&x->t->sec[SEC_CODE], byte);
}
static bool push(struct expr *x, struct lex *lex, int pops)
{
    x->stack += 1 - pops;
    return x->stack <= PACK_STACK || tale_fail(x->t, lex, "expression too deep");
}
static const char *type_name(int type)
{
    return type == TYPE_ANY ? "none" : pack_sort_names[type];
}
static bool expect(struct expr *x, struct lex *at, int type, int want)
{
    if (type == want || type == TYPE_ANY || want == TYPE_ANY)
        return true;
    return tale_fail(x->t, at, "expected a %s, found a %s", type_name(want), type_name(type));
}

static bool emit_number(struct expr *x, struct lex *lex, int32_t v)
{
    emit(x, CODE_PUSH);
    put16(&x->t->sec[SEC_CODE], (unsigned) v & 0xFFFF);
    return push(x, lex, 0);
}
static bool expr_cell(struct expr *x, struct lex *lex, struct lex *at, struct env *env, int f,
                      int *type)
{
    const struct pack_fluent *fluent = &x->t->fluent_list[f];
    int args = (fluent->sorts[0] != 0) + (fluent->sorts[1] != 0);
    if (x->first < 0)
        x->first = f;
    if (args > 0 && !lex_want(lex, "("))
        return false;
    for (int i = 0; i < args; i++) {
        struct lex here = *lex;
        int got;
        if ((i > 0 && !lex_want(lex, ",")) || (here = *lex, !expr_or(x, lex, env, &got)) ||
            !expect(x, &here, got, fluent->sorts[i]))
            return false;
    }
    if (args > 0 && !lex_want(lex, ")"))
        return false;
    if (args == 0 && lex_take(lex, "(") && !lex_want(lex, ")"))
        return false;
    emit(x, CODE_CELL);
    put16(&x->t->sec[SEC_CODE], (unsigned) f);
    *type = fluent->value_sort;
    return push(x, at, args);
}
/* Skips one argument's tokens, so that a define can read it again where its parameter stands. */
static bool skip_argument(struct lex *lex)
{
    int depth = 0;
    while (lex->kind != TOKEN_END) {
        if (depth == 0 && (lex_is(lex, ",") || lex_is(lex, ")")))
            return true;
        depth += lex_is(lex, "(") - lex_is(lex, ")");
        lex_next(lex);
    }
    return tale_fail(lex->tale, lex, "expected \")\"");
}
static bool expr_define(struct expr *x, struct lex *lex, struct env *env,
                        const struct tale_define *d, int *type)
{
    struct env inner = { .scope = env->scope, .depth = env->depth + 1, .nesting = env->nesting };
    if (inner.depth > DEFINE_DEPTH)
        return tale_fail(x->t, lex, "\"%s\" is defined by itself", d->name);
    if (d->params_count > 0 && !lex_want(lex, "("))
        return false;
    for (unsigned i = 0; i < d->params_count; i++) {
        if (i > 0 && !lex_want(lex, ","))
            return false;
        struct binding *b = &inner.bindings[inner.bindings_count++];
        memcpy(b->name, d->params[i], sizeof(b->name));
        b->lex = *lex;
        b->env = env;
        if (!skip_argument(lex))
            return false;
    }
    if (d->params_count > 0 && !lex_want(lex, ")"))
        return false;
    struct lex body = d->body;
    return expr_or(x, &body, &inner, type) && lex_done(&body);
}
static bool expr_builtin(struct expr *x, struct lex *lex, struct env *env, const char *name,
                         int *type, bool *known)
{
    static const struct {
        const char *name;
        int value;
    } numbers[] = { { "true", 1 },         { "false", 0 },      { "setup", 1 },
                    { "complication", 2 }, { "crisis", 3 },     { "climax", 4 },
                    { "resolution", 5 },   { "unknown", 0 },    { "suspects", 1 },
                    { "believes", 2 },     { "disbelieves", 3 } };
    int got;
    *known = true;
    *type = NVL_SORT_NONE;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        if (strcmp(name, numbers[i].name) == 0)
            return emit_number(x, lex, numbers[i].value);
    if (strcmp(name, "none") == 0) {
        *type = TYPE_ANY;
        return emit_number(x, lex, -1);
    }
    if (strcmp(name, "each") == 0) {
        *type = NVL_SORT_CHAR;
        if (!env->scope->each)
            return tale_fail(x->t, lex, "\"each\" outside an effect over all or others");
        emit(x, CODE_ARG), emit(x, 255);
        return push(x, lex, 0);
    }
    static const struct {
        const char *name;
        uint8_t op;
    } plain[] = { { "now", CODE_NOW }, { "phase", CODE_PHASE }, { "passes", CODE_PASSES } };
    for (size_t i = 0; i < 3; i++)
        if (strcmp(name, plain[i].name) == 0) {
            emit(x, plain[i].op);
            return push(x, lex, 0);
        }
    if (strcmp(name, "due") == 0) {
        if (!lex_want(lex, "(") || !expr_or(x, lex, env, &got) || !expect(x, lex, got, 0) ||
            !lex_want(lex, ")"))
            return false;
        emit(x, CODE_SHARE);
        return push(x, lex, 1);
    }
    if (strcmp(name, "min") == 0 || strcmp(name, "max") == 0) {
        if (!lex_want(lex, "(") || !expr_or(x, lex, env, &got) || !expect(x, lex, got, 0) ||
            !lex_want(lex, ",") || !expr_or(x, lex, env, &got) || !expect(x, lex, got, 0) ||
            !lex_want(lex, ")"))
            return false;
        emit(x, name[1] == 'i' ? CODE_MIN : CODE_MAX);
        return push(x, lex, 2);
    }
    *known = false;
    return true;
}
static bool expr_name(struct expr *x, struct lex *lex, struct env *env, int *type)
{
    struct lex at = *lex;
    char name[48];
    if (!lex_word(lex, name, sizeof(name), "a name"))
        return false;
    for (unsigned i = 0; i < env->bindings_count; i++)
        if (strcmp(env->bindings[i].name, name) == 0) {
            struct lex arg = env->bindings[i].lex;
            struct env outer = *env->bindings[i].env;
            outer.nesting = env->nesting;
            return expr_or(x, &arg, &outer, type);
        }
    if (env->depth == 0)
        for (unsigned i = 0; i < env->scope->count; i++)
            if (strcmp(env->scope->params[i].name, name) == 0) {
                *type = env->scope->params[i].sort;
                emit(x, CODE_ARG), emit(x, i);
                return push(x, &at, 0);
            }
    for (size_t i = 0; i < x->t->defines_count; i++)
        if (strcmp(x->t->defines[i].name, name) == 0)
            return expr_define(x, lex, env, &x->t->defines[i], type);
    int f = names_find(&x->t->fluents, name);
    if (f >= 0)
        return expr_cell(x, lex, &at, env, f, type);
    bool known;
    if (!expr_builtin(x, lex, env, name, type, &known))
        return false;
    return known || tale_fail(x->t, &at, "no parameter, fluent or define is named \"%s\"", name);
}
static bool expr_primary(struct expr *x, struct lex *lex, struct env *env, int *type)
{
    struct lex at = *lex;
    int32_t v;
    if (lex->kind == TOKEN_NUMBER || lex_is(lex, "-")) {
        *type = NVL_SORT_NONE;
        return lex_int(lex, &v, -32768, 32767, "a number") && emit_number(x, &at, v);
    }
    if (lex_take(lex, "("))
        return expr_or(x, lex, env, type) && lex_want(lex, ")");
    if (lex_take(lex, "not")) {
        struct lex here = *lex;
        int got;
        if (!expr_primary(x, lex, env, &got) || !expect(x, &here, got, NVL_SORT_NONE))
            return false;
        emit(x, CODE_NOT);
        *type = NVL_SORT_NONE;
        return push(x, lex, 1);
    }
    return expr_name(x, lex, env, type);
}

static const struct {
    const char *text;
    uint8_t op, level;
} operations[] = {
    { "or", CODE_OR, 0 }, { "and", CODE_AND, 1 }, { "=", CODE_EQ, 2 },  { "/=", CODE_NE, 2 },
    { "<", CODE_LT, 2 },  { "<=", CODE_LE, 2 },   { ">", CODE_GT, 2 },  { ">=", CODE_GE, 2 },
    { "+", CODE_ADD, 3 }, { "-", CODE_SUB, 3 },   { "*", CODE_MUL, 4 },
};
static bool expr_level(struct expr *x, struct lex *lex, struct env *env, unsigned level, int *type)
{
    struct lex left = *lex;
    if (!(level == 5 ? expr_primary(x, lex, env, type) : expr_level(x, lex, env, level + 1, type)))
        return false;
    if (level == 5)
        return true;
    for (;;) {
        int op = -1;
        for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++)
            if (operations[i].level == level && lex_is(lex, operations[i].text))
                op = (int) i;
        if (op < 0)
            return true;
        lex_next(lex);
        struct lex right = *lex;
        int got;
        if (!expr_level(x, lex, env, level + 1, &got))
            return false;
        bool equality = operations[op].op == CODE_EQ || operations[op].op == CODE_NE;
        if (!equality &&
            (!expect(x, &left, *type, NVL_SORT_NONE) || !expect(x, &right, got, NVL_SORT_NONE)))
            return false;
        if (equality && !expect(x, &right, got, *type))
            return false;
        emit(x, operations[op].op);
        *type = NVL_SORT_NONE;
        if (!push(x, &right, 2))
            return false;
    }
}
static bool expr_or(struct expr *x, struct lex *lex, struct env *env, int *type)
{
    if (++env->nesting > 40)
        return tale_fail(x->t, lex, "expression nested too deep");
    bool ok = expr_level(x, lex, env, 0, type);
    env->nesting--;
    return ok;
}

bool expr_compile(struct lex *lex, const struct scope *scope, int want_type, uint32_t *out_code,
                  int *out_first)
{
    struct expr x = { .t = lex->tale, .first = -1 };
    struct env env = { .scope = scope };
    struct lex at = *lex;
    int type;
    uint32_t code = (uint32_t) x.t->sec[SEC_CODE].size;
    if (!expr_or(&x, lex, &env, &type) || !expect(&x, &at, type, want_type))
        return false;
    emit(&x, CODE_END);
    *out_code = code;
    if (out_first != NULL)
        *out_first = x.first;
    return true;
}

/* [if EXPR :] fluent(args) (= | += | -=) EXPR; the first argument may be all or others. */
bool effect_compile(struct lex *lex, const struct scope *scope)
{
    struct tale *t = lex->tale;
    uint32_t guard = 0, args[2] = { 0, 0 }, value;
    struct scope inner = *scope;
    unsigned over = 0, operation;
    int f;
    /* "all" and "others" come after a guard that may speak of "each": look ahead for them. */
    for (struct lex probe = *lex; probe.kind != TOKEN_END && !lex_is(&probe, ";"); lex_next(&probe))
        inner.each |= lex_is(&probe, "all") || lex_is(&probe, "others");
    if (lex_take(lex, "if") &&
        (!expr_compile(lex, &inner, NVL_SORT_NONE, &guard, NULL) || !lex_want(lex, ":")))
        return false;
    struct lex at = *lex;
    if (!lex_name(lex, &t->fluents, &f, "fluent"))
        return false;
    const struct pack_fluent *fluent = &t->fluent_list[f];
    if (fluent->flags & FLUENT_STATIC && scope->count > 0)
        return tale_fail(t, &at, "fluent \"%s\" is static", fluent->name);
    for (int i = 0; i < 2 && fluent->sorts[i] != 0; i++) {
        if (!lex_want(lex, i == 0 ? "(" : ","))
            return false;
        if (i == 0 && fluent->sorts[0] == NVL_SORT_CHAR &&
            (lex_is(lex, "all") || lex_is(lex, "others"))) {
            over = lex_is(lex, "all") ? 1 : 2;
            lex_next(lex);
        } else if (!expr_compile(lex, &inner, fluent->sorts[i], &args[i], NULL)) {
            return false;
        }
    }
    if (fluent->sorts[0] != 0 ? !lex_want(lex, ")") : lex_take(lex, "(") && !lex_want(lex, ")"))
        return false;
    at = *lex;
    if (lex_take(lex, "="))
        operation = 0;
    else if (lex_take(lex, "+="))
        operation = 1;
    else if (lex_take(lex, "-="))
        operation = 2;
    else
        return tale_fail(t, lex, "expected \"=\", \"+=\" or \"-=\"");
    if (operation != 0 && fluent->value_sort != 0)
        return tale_fail(t, &at, "a %s can only be set", pack_sort_names[fluent->value_sort]);
    if (!expr_compile(lex, &inner, fluent->value_sort, &value, NULL))
        return false;
    struct buf *b = &t->sec[SEC_EFCT];
    put16(b, (unsigned) f), put8(b, operation), put8(b, over), put32(b, args[0]), put32(b, args[1]),
        put32(b, value);
    put32(b, guard), put32(b, 0);
    t->counts[SEC_EFCT]++;
    return true;
}
