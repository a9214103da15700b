/* tale_op.c — fluent and operator statements. */
#include "server/engine/tale.h"
#include <string.h>

static int word_index(const char *const *list, size_t count, const char *word)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(list[i], word) == 0)
            return (int) i;
    return -1;
}
static bool lex_choice(struct lex *lex, const char *const *list, size_t count, int *out,
                       const char *what)
{
    char word[32];
    struct lex at = *lex;
    if (!lex_word(lex, word, sizeof(word), what))
        return false;
    if ((*out = word_index(list, count, word)) < 0)
        return tale_fail(lex->tale, &at, "no %s is named \"%s\"", what, word);
    return true;
}
static bool lex_law(struct lex *lex, uint8_t *out)
{
    /* E003.1 */
    char word[8];
    struct lex at = *lex;
    int32_t sub;
    if (!lex_word(lex, word, sizeof(word), "a law like E003.1") || !lex_want(lex, ".") ||
        !lex_int(lex, &sub, 1, 4, "a sub-code"))
        return false;
    if (strlen(word) != 4 || memcmp(word, "E00", 3) != 0 || word[3] < '1' || word[3] > '5')
        return tale_fail(lex->tale, &at, "expected a law like E003.1");
    *out = (uint8_t) ((word[3] - '0') * 16 + sub);
    return true;
}

/* fluent NAME [(sort[, sort])] (sort | MIN..MAX) {init N | assume N | see all | law E003.1 | static
 * | resource | belief} */
static bool fluent_option(struct lex *lex, struct pack_fluent *f)
{
    static const char *const sees[] = { "all", "own", "here", "never" };
    int32_t v;
    int i;
    if (lex_take(lex, "init")) {
        if (!lex_int(lex, &v, f->min, f->max, "init"))
            return false;
        f->init = (int16_t) v;
        f->assume = (int16_t) v;
        return true;
    }
    if (lex_take(lex, "assume")) {
        if (!lex_int(lex, &v, f->min, f->max, "assume"))
            return false;
        f->assume = (int16_t) v;
        return true;
    }
    if (lex_take(lex, "see")) {
        if (!lex_choice(lex, sees, 4, &i, "way of seeing"))
            return false;
        f->see = (uint8_t) i;
        return true;
    }
    if (lex_take(lex, "law"))
        return lex_law(lex, &f->law);
    static const char *const flags[] = { "static", "resource", "belief", "carry" };
    if (!lex_choice(lex, flags, 4, &i, "fluent option"))
        return false;
    f->flags |= (uint8_t) (1 << i);
    return true;
}
bool tale_fluent(struct tale *t, const struct tale_statement *s)
{
    struct lex lex;
    char name[48];
    struct pack_fluent f = { .see = SEE_ALL };
    int32_t v;
    int sort;
    lex_open(&lex, t, s->file, &s->head);
    struct lex at = lex;
    if (!lex_word(&lex, name, sizeof(name), "a fluent's name"))
        return false;
    if (t->fluents.count == TALE_FLUENTS_MAX)
        return tale_fail(t, &at, "more than %d fluents", TALE_FLUENTS_MAX);
    if (lex_take(&lex, "(")) {
        for (int i = 0; i < 2 && (i == 0 ? !lex_is(&lex, ")") : lex_take(&lex, ",")); i++) {
            if (!lex_choice(&lex, pack_sort_names + 1, NVL_SORTS - 1, &sort, "sort"))
                return false;
            f.sorts[i] = (uint8_t) (sort + 1);
        }
        if (!lex_want(&lex, ")"))
            return false;
    }
    if (lex.kind == TOKEN_WORD) {
        if (!lex_choice(&lex, pack_sort_names + 1, NVL_SORTS - 1, &sort, "sort"))
            return false;
        f.value_sort = (uint8_t) (sort + 1), f.min = -1, f.max = 254, f.init = -1, f.assume = -1;
    } else {
        if (!lex_int(&lex, &v, -32768, 32767, "the least value"))
            return false;
        f.min = (int16_t) v;
        if (!lex_want(&lex, "..") || !lex_int(&lex, &v, f.min, 32767, "the greatest value"))
            return false;
        f.max = (int16_t) v, f.init = f.min > 0 ? f.min : 0, f.assume = f.init;
    }
    while (lex.kind != TOKEN_END)
        if (!fluent_option(&lex, &f))
            return false;
    if (!names_add(t, &at, &t->fluents, name, 0, "fluent"))
        return false;
    f.name = t->fluents.items[t->fluents.count - 1].name;
    t->fluent_list[t->fluents.count - 1] = f;
    struct buf *b = &t->sec[SEC_FLUE];
    put32(b, tale_string(t, name, strlen(name)));
    put8(b, f.sorts[0]), put8(b, f.sorts[1]), put8(b, f.value_sort), put8(b, f.see),
        put8(b, f.flags), put8(b, f.law);
    put16(b, (uint16_t) f.min), put16(b, (uint16_t) f.max), put16(b, (uint16_t) f.init),
        put16(b, (uint16_t) f.assume);
    for (int i = 0; i < 7; i++)
        put16(b, 0);
    t->counts[SEC_FLUE]++;
    return lex_done(&lex);
}

bool tale_params(struct lex *lex, struct scope *scope)
{
    int sort;
    do {
        if (scope->count == NVL_ARGS_MAX)
            return tale_fail(lex->tale, lex, "more than %d parameters", NVL_ARGS_MAX);
        struct scope_param *p = &scope->params[scope->count];
        struct lex at = *lex;
        bool hidden = lex_take(lex, "hidden");
        unsigned count = hidden;
        for (unsigned i = 0; i < scope->count; i++)
            count += scope->params[i].hidden;
        if (count > 2)
            return tale_fail(lex->tale, &at, "more than two hidden parameters");
        if (!lex_word(lex, p->name, sizeof(p->name), "a parameter") ||
            !lex_choice(lex, pack_sort_names + 1, NVL_SORTS - 1, &sort, "sort"))
            return false;
        p->sort = (uint8_t) (sort + 1);
        p->hidden = hidden;
        scope->count++;
    } while (lex_take(lex, ","));
    return lex_done(lex);
}
bool tale_beats(struct lex *lex, uint8_t *out)
{
    int i;
    do {
        if (!lex_choice(lex, pack_phase_names + 1, 5, &i, "beat"))
            return false;
        *out |= (uint8_t) (1 << i);
    } while (lex->kind != TOKEN_END);
    return true;
}

struct op_build {
    struct pack_op op; /* strings as offsets elsewhere */
    struct scope scope;
    uint32_t name, family, plain[4], param_first, cond_first;
    bool outcome[4];
    unsigned wheres;
};
static const char *const outcome_words[] = { "critical", "ok", "partial", "fail" };

static bool op_conditions(struct lex *lex, struct op_build *o, bool where)
{
    struct tale *t = lex->tale;
    do {
        struct lex at = *lex;
        uint32_t code;
        int first;
        uint8_t law = 0;
        if (!expr_compile(lex, &o->scope, NVL_SORT_NONE, &code, &first))
            return false;
        if (lex_take(lex, "law")) {
            if (!lex_law(lex, &law))
                return false;
        } else if (first >= 0) {
            law = t->fluent_list[first].law;
        }
        if (law == 0 && !where)
            return tale_fail(t, &at, "the condition needs a law: its first fluent has none");
        struct buf *b = &t->sec[SEC_COND];
        put32(b, code), put8(b, where), put8(b, law), put16(b, 0);
        t->counts[SEC_COND]++;
        o->op.conds_count++;
        o->wheres += where;
    } while (lex_take(lex, ";"));
    return lex_done(lex);
}
/* name N[, name N …] into a table of int8 */
static bool op_weights(struct lex *lex, const char *const *names, size_t count, int8_t *out,
                       int limit)
{
    int i;
    int32_t v;
    do {
        if (!lex_choice(lex, names, count, &i, "name") ||
            !lex_int(lex, &v, -limit, limit, "a weight"))
            return false;
        out[i] = (int8_t) v;
    } while (lex_take(lex, ","));
    return lex_done(lex);
}
static bool op_toward(struct lex *lex, struct op_build *o)
{
    struct tale *t = lex->tale;
    o->op.toward_first = (uint16_t) t->counts[SEC_TOWA];
    do {
        int goal;
        int32_t v;
        if (!lex_name(lex, &t->goals, &goal, "goal") || !lex_int(lex, &v, -400, 400, "a value"))
            return false;
        put16(&t->sec[SEC_TOWA], (unsigned) goal), put16(&t->sec[SEC_TOWA], (uint16_t) v);
        t->counts[SEC_TOWA]++;
        o->op.toward_count++;
    } while (lex_take(lex, ","));
    return lex_done(lex);
}
static bool op_react(struct lex *lex, struct op_build *o)
{
    struct tale *t = lex->tale;
    o->op.react_first = (uint16_t) t->counts[SEC_REAC];
    do {
        int op;
        if (!lex_name(lex, &t->ops, &op, "operator"))
            return false;
        put16(&t->sec[SEC_REAC], (unsigned) op);
        t->counts[SEC_REAC]++;
        o->op.react_count++;
    } while (lex_take(lex, ","));
    return lex_done(lex);
}
/* thread opened NAME [A] [on ok partial …] */
static bool op_thread(struct lex *lex, struct op_build *o)
{
    static const char *const changes[] = { "opened", "advanced", "closed" };
    int change, thread, k;
    if (o->op.threads_count == PACK_OP_THREADS)
        return tale_fail(lex->tale, lex, "more than %d threads", PACK_OP_THREADS);
    struct pack_op_thread *th = &o->op.threads[o->op.threads_count++];
    if (!lex_choice(lex, changes, 3, &change, "change") ||
        !lex_name(lex, &lex->tale->threads, &thread, "thread"))
        return false;
    *th = (struct pack_op_thread){ (uint8_t) thread, (uint8_t) (change + 1), NVL_NONE, 0x1E };
    if (lex->kind == TOKEN_WORD && !lex_is(lex, "on")) {
        char name[16];
        struct lex at = *lex;
        if (!lex_word(lex, name, sizeof(name), "a parameter"))
            return false;
        for (unsigned i = 0; i < o->scope.count; i++)
            if (strcmp(o->scope.params[i].name, name) == 0 &&
                o->scope.params[i].sort == NVL_SORT_CHAR)
                th->param = (uint8_t) i;
        if (th->param == NVL_NONE)
            return tale_fail(lex->tale, &at, "no character parameter is named \"%s\"", name);
    }
    if (lex_take(lex, "on")) {
        th->outcomes = 0;
        do {
            if (!lex_choice(lex, outcome_words, 4, &k, "outcome"))
                return false;
            th->outcomes |= (uint8_t) (1 << (k + 1));
        } while (lex->kind != TOKEN_END);
    }
    return lex_done(lex);
}
static bool op_flags(struct lex *lex, struct op_build *o)
{
    static const char *const flags[] = { "radio", "defies", "betrays", "closing",
                                         "must",  "once",   "idle",    "moves" };
    int i;
    do {
        if (!lex_choice(lex, flags, 8, &i, "flag"))
            return false;
        if (i < 3)
            o->op.flags |= (uint8_t) (1 << i);
        else
            o->op.engine_flags |= (uint8_t) (1 << (i - 3));
    } while (lex->kind != TOKEN_END);
    return true;
}
static bool op_number(struct lex *lex, uint8_t *out, int max, const char *what)
{
    int32_t v;
    if (!lex_int(lex, &v, 0, max, what))
        return false;
    *out = (uint8_t) v;
    return lex_done(lex);
}
static bool op_kind(struct lex *lex, struct op_build *o)
{
    static const char *const kinds[] = { "action", "reaction", "speech", "thought", "incident" };
    int i;
    if (!lex_choice(lex, kinds, 5, &i, "kind"))
        return false;
    o->op.kind = (uint8_t) i;
    if (i == NVL_OP_INCIDENT)
        o->op.flags |= OP_ACTORLESS;
    return lex_done(lex);
}
static bool op_plain(struct lex *lex, struct op_build *o)
{
    int k;
    return lex_choice(lex, outcome_words, 4, &k, "outcome") &&
           lex_string(lex, &o->plain[k], "the plain line") && lex_done(lex);
}
static bool op_line(struct lex *lex, struct op_build *o)
{
    static const char *const sources[] = { "saw", "heard", "trace", "inferred", "knew" };
    int i;
    char word[16];
    struct lex at = *lex;
    if (!lex_word(lex, word, sizeof(word), "a clause"))
        return false;
    if (strcmp(word, "who") == 0 || strcmp(word, "need") == 0 || strcmp(word, "where") == 0)
        return true; /* read by passes of their own */
    for (int k = 0; k < 4; k++)
        if (strcmp(word, outcome_words[k]) == 0)
            return o->outcome[k] = true;
    if (strcmp(word, "kind") == 0)
        return op_kind(lex, o);
    if (strcmp(word, "family") == 0) {
        o->family = tale_string(lex->tale, lex->text, lex->size);
        lex_next(lex);
        return lex_done(lex);
    }
    if (strcmp(word, "minutes") == 0)
        return op_number(lex, &o->op.minutes, 30, "minutes");
    if (strcmp(word, "cost") == 0)
        return op_number(lex, &o->op.cost, 100, "cost");
    if (strcmp(word, "cooldown") == 0)
        return op_number(lex, &o->op.cooldown, 100, "cooldown");
    if (strcmp(word, "flags") == 0)
        return op_flags(lex, o);
    if (strcmp(word, "beat") == 0)
        return tale_beats(lex, &o->op.beats);
    if (strcmp(word, "roll") == 0)
        return expr_compile(lex, &o->scope, NVL_SORT_NONE, &o->op.skill, NULL) &&
               lex_want(lex, "vs") &&
               expr_compile(lex, &o->scope, NVL_SORT_NONE, &o->op.difficulty, NULL) &&
               lex_done(lex);
    if (strcmp(word, "norm") == 0)
        return expr_compile(lex, &o->scope, NVL_SORT_NONE, &o->op.norm, NULL) && lex_done(lex);
    if (strcmp(word, "weight") == 0)
        return expr_compile(lex, &o->scope, NVL_SORT_NONE, &o->op.weight, NULL) && lex_done(lex);
    if (strcmp(word, "serves") == 0)
        return op_weights(lex, pack_drive_names, NVL_DRIVES, o->op.serves, 10);
    if (strcmp(word, "likes") == 0)
        return op_weights(lex, pack_trait_names, NVL_TRAITS, o->op.likes, 5);
    if (strcmp(word, "feels") == 0)
        return op_weights(lex, pack_emotion_names, PACK_EMOTIONS, o->op.feels, 5);
    if (strcmp(word, "warm") == 0) {
        int32_t v;
        return lex_int(lex, &v, -5, 5, "warmth") && (o->op.warm = (int8_t) v, lex_done(lex));
    }
    if (strcmp(word, "toward") == 0)
        return op_toward(lex, o);
    if (strcmp(word, "react") == 0)
        return op_react(lex, o);
    if (strcmp(word, "thread") == 0)
        return op_thread(lex, o);
    if (strcmp(word, "plain") == 0)
        return op_plain(lex, o);
    if (strcmp(word, "source") == 0)
        return lex_choice(lex, sources, 5, &i, "source") &&
               (o->op.source = (uint8_t) (i + 1), lex_done(lex));
    return tale_fail(lex->tale, &at, "unknown clause \"%s\"", word);
}
static bool op_effects(struct tale *t, const struct tale_statement *s, struct op_build *o,
                       unsigned k)
{
    o->op.effect_first[k] = (uint16_t) t->counts[SEC_EFCT];
    for (size_t i = 0; i < s->body_count; i++) {
        struct lex lex;
        lex_open(&lex, t, s->file, &s->body[i]);
        if (!lex_take(&lex, outcome_words[k]))
            continue;
        if (lex_take(&lex, "nothing")) {
            if (!lex_done(&lex))
                return false;
            continue;
        }
        do {
            if (!effect_compile(&lex, &o->scope))
                return false;
        } while (lex_take(&lex, ";"));
        if (!lex_done(&lex))
            return false;
    }
    o->op.effect_count[k] = (uint16_t) (t->counts[SEC_EFCT] - o->op.effect_first[k]);
    return true;
}
static void op_emit(struct tale *t, const struct op_build *o)
{
    struct buf *b = &t->sec[SEC_OPER];
    const struct pack_op *p = &o->op;
    put32(b, o->name), put32(b, o->family), put32(b, o->param_first);
    put8(b, o->scope.count), put8(b, p->kind), put8(b, p->minutes), put8(b, p->flags);
    put32(b, o->cond_first), put16(b, p->conds_count), put8(b, p->source), put8(b, p->beats);
    put32(b, p->skill), put32(b, p->difficulty);
    for (int k = 0; k < 4; k++)
        put16(b, p->effect_first[k]), put16(b, p->effect_count[k]);
    for (int k = 0; k < 4; k++)
        put32(b, o->plain[k]);
    buf_put(b, p->serves, 8), buf_put(b, p->likes, 6), buf_put(b, p->feels, 6);
    put8(b, (uint8_t) p->warm), put8(b, p->engine_flags), put8(b, p->cost), put8(b, p->cooldown);
    put16(b, p->toward_first), put8(b, p->toward_count), put8(b, p->react_count);
    put16(b, p->react_first), put8(b, p->threads_count), put8(b, 0);
    for (int i = 0; i < PACK_OP_THREADS; i++) {
        if (i == 3)
            put32(b, p->norm), put32(b, p->weight);
        put8(b, p->threads[i].thread), put8(b, p->threads[i].change), put8(b, p->threads[i].param),
            put8(b, p->threads[i].outcomes);
    }
    t->counts[SEC_OPER]++;
}
/* who first, since every other clause may speak of its parameters; then conditions, clauses,
 * effects. */
bool tale_operator(struct tale *t, const struct tale_statement *s)
{
    struct op_build o = { .op = { .source = NVL_SAW } };
    char name[48];
    struct lex head, lex;
    lex_open(&head, t, s->file, &s->head);
    struct lex at = head;
    if (!lex_word(&head, name, sizeof(name), "an operator's name") || !lex_done(&head))
        return false;
    o.name = tale_string(t, name, strlen(name));
    for (size_t i = 0; i < s->body_count; i++) {
        lex_open(&lex, t, s->file, &s->body[i]);
        if (lex_take(&lex, "who") && !tale_params(&lex, &o.scope))
            return false;
    }
    o.param_first = t->counts[SEC_PARM];
    for (unsigned i = 0; i < o.scope.count; i++) {
        put32(&t->sec[SEC_PARM],
              tale_string(t, o.scope.params[i].name, strlen(o.scope.params[i].name)));
        put8(&t->sec[SEC_PARM], o.scope.params[i].sort),
            put8(&t->sec[SEC_PARM], o.scope.params[i].hidden);
        put16(&t->sec[SEC_PARM], 0);
        t->counts[SEC_PARM]++;
    }
    o.cond_first = t->counts[SEC_COND];
    for (size_t i = 0; i < s->body_count; i++) {
        lex_open(&lex, t, s->file, &s->body[i]);
        bool where = lex_is(&lex, "where");
        if ((lex_take(&lex, "need") || lex_take(&lex, "where")) && !op_conditions(&lex, &o, where))
            return false;
    }
    for (size_t i = 0; i < s->body_count; i++) {
        lex_open(&lex, t, s->file, &s->body[i]);
        if (!op_line(&lex, &o))
            return false;
    }
    bool any = false;
    for (unsigned k = 0; k < 4; k++) {
        o.op.effect_count[k] = PACK_NO_OUTCOME;
        any |= o.outcome[k];
        if (o.outcome[k] && !op_effects(t, s, &o, k))
            return false;
        if (o.outcome[k] && o.plain[k] == 0)
            return tale_fail(t, &at, "operator \"%s\" has no plain line for %s", name,
                             outcome_words[k]);
    }
    if (!any)
        return tale_fail(t, &at, "operator \"%s\" has no outcome", name);
    bool chosen =
        o.op.kind == NVL_OP_ACTION || o.op.kind == NVL_OP_SPEECH || o.op.kind == NVL_OP_THOUGHT;
    if (chosen && o.wheres > 0 && !o.outcome[3])
        return tale_fail(
            t, &at, "operator \"%s\" may be tried in vain (it has a where): it needs fail", name);
    if (!(o.op.flags & OP_ACTORLESS) &&
        (o.scope.count == 0 || o.scope.params[0].sort != NVL_SORT_CHAR))
        return tale_fail(t, &at, "the first parameter of \"%s\" must be a character: who acts",
                         name);
    op_emit(t, &o);
    return t->rc == NVL_OK;
}
