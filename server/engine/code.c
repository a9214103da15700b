/* code.c — byte code made ready to run: when a pack is opened each expression is read once into steps
 * of one size, with what its fluents are looked up by beside them, and run from there.  What it
 * comes to, and which cells it reads, is as docs/log-format.md, section 5, has it. */
#include "server/engine/world.h"
#include <string.h>

enum step_op {
    STEP_END,
    STEP_PUSH,
    STEP_ARG,
    STEP_CELL0,     /* of nothing */
    STEP_CELL1,     /* of what was pushed */
    STEP_CELL2,     /* of the two pushed last */
    STEP_ARG_CELL1, /* of an argument */
    STEP_ARG_CELL2, /* of what was pushed and an argument */
    STEP_TWO_CELL2, /* of two arguments */
    STEP_NOW,
    STEP_PHASE,
    STEP_PASSES,
    STEP_SHARE,
    STEP_NOT,
    STEP_ADD,
    STEP_SUB,
    STEP_MUL,
    STEP_MIN,
    STEP_MAX,
    STEP_AND,
    STEP_OR,
    STEP_IF,     /* the left of "and" is false: nothing more is asked */
    STEP_UNLESS, /* the left of "or" is true */
    STEP_EQ,
    STEP_NE,
    STEP_LT,
    STEP_LE,
    STEP_GT,
    STEP_GE,
    STEP_EQ_VALUE, /* the same with a number; in the same order */
    STEP_NE_VALUE,
    STEP_LT_VALUE,
    STEP_LE_VALUE,
    STEP_GT_VALUE,
    STEP_GE_VALUE,
};
struct code_step {
    uint8_t op, a, b; /* which arguments; CODE_EACH: each */
    uint8_t sorts[2]; /* of the fluent */
    int16_t value;    /* a number, or what a cell that is not there reads as */
    uint16_t fluent;
    uint32_t jump;
};
enum { CODE_EACH = 255 };

/* --- making steps
 * ------------------------------------------------------------------------------------------- */

struct making {
    struct nvl_pack *pack;
    struct code_step *steps;
    uint32_t count, room;
    uint32_t starts[PACK_STACK + 1]; /* the first step of each value on the stack */
    int top;
};
/* Appends a step; it begins a value unless it uses what stands before it. */
static void add(struct making *m, struct code_step step)
{
    m->steps[m->count++] = step;
}
static void begin(struct making *m)
{
    m->starts[++m->top] = m->count;
}
/* The last step may be taken into the next: it is op, and part of this expression. */
static bool last_is(const struct making *m, uint32_t from, uint32_t back, uint8_t op)
{
    return m->count >= from + back && m->steps[m->count - back].op == op;
}
static void add_cell(struct making *m, uint32_t from, unsigned fluent)
{
    const struct pack_fluent *f = &m->pack->fluents[fluent];
    struct code_step s = { .op = STEP_CELL0, .fluent = (uint16_t) fluent };
    memcpy(s.sorts, f->sorts, sizeof(s.sorts));
    s.value = f->value_sort != 0 ? -1 : 0;
    if (f->sorts[0] == 0) {
        begin(m);
        add(m, s);
        return;
    }
    bool two = f->sorts[1] != 0, by_arg = last_is(m, from, 1, STEP_ARG);
    uint8_t a = by_arg ? m->steps[m->count - 1].a : 0;
    s.op = two ? STEP_CELL2 : STEP_CELL1;
    if (by_arg && two && last_is(m, from, 2, STEP_ARG)) {
        s.op = STEP_TWO_CELL2, s.b = a, s.a = m->steps[m->count - 2].a;
        m->count -= 2;
    } else if (by_arg && two) {
        s.op = STEP_ARG_CELL2, s.b = a;
        m->count--;
    } else if (by_arg) {
        s.op = STEP_ARG_CELL1, s.a = a;
        m->count--;
    }
    m->top -= two;
    add(m, s);
}
/* Puts before the right side of the last "and" or "or" the way round it. */
static void add_way_round(struct making *m, uint8_t op)
{
    struct code_step *steps = m->steps;
    uint32_t right = m->starts[m->top];
    memmove(steps + right + 1, steps + right, (m->count - right) * sizeof(*steps));
    m->count++;
    for (uint32_t i = right + 1; i < m->count; i++)
        steps[i].jump += steps[i].op == STEP_IF || steps[i].op == STEP_UNLESS;
    steps[right] = (struct code_step){ .op = op, .jump = m->count + 1 };
}
static void add_two(struct making *m, uint32_t from, uint8_t op)
{
    static const uint8_t ops[] = {
        [CODE_ADD] = STEP_ADD, [CODE_SUB] = STEP_SUB, [CODE_MUL] = STEP_MUL, [CODE_MIN] = STEP_MIN,
        [CODE_MAX] = STEP_MAX, [CODE_EQ] = STEP_EQ,   [CODE_NE] = STEP_NE,   [CODE_LT] = STEP_LT,
        [CODE_LE] = STEP_LE,   [CODE_GT] = STEP_GT,   [CODE_GE] = STEP_GE,   [CODE_AND] = STEP_AND,
        [CODE_OR] = STEP_OR,
    };
    struct code_step s = { .op = ops[op] };
    if (op == CODE_AND || op == CODE_OR) {
        add_way_round(m, op == CODE_AND ? STEP_IF : STEP_UNLESS);
    } else if (op >= CODE_EQ && op <= CODE_GE && last_is(m, from, 1, STEP_PUSH)) {
        s.op = (uint8_t) (s.op + STEP_EQ_VALUE - STEP_EQ);
        s.value = m->steps[--m->count].value;
    }
    m->top--;
    add(m, s);
}
/* One checked expression; false: there is no room. */
static bool make_one(struct making *m, uint32_t at)
{
    const uint8_t *c = m->pack->code;
    uint32_t from = m->count;
    m->top = -1;
    for (;;) {
        uint8_t op = c[at++];
        if (m->count + 2 >= m->room)
            return false;
        switch (op) {
        case CODE_END:
            add(m, (struct code_step){ .op = STEP_END });
            return true;
        case CODE_PUSH:
            begin(m);
            add(m, (struct code_step){ .op = STEP_PUSH, .value = le16s(c + at) });
            at += 2;
            break;
        case CODE_ARG:
            begin(m);
            add(m, (struct code_step){ .op = STEP_ARG, .a = c[at++] });
            break;
        case CODE_CELL:
            add_cell(m, from, le16(c + at));
            at += 2;
            break;
        case CODE_NOW:
        case CODE_PHASE:
        case CODE_PASSES:
            begin(m);
            add(m, (struct code_step){ .op = op == CODE_NOW     ? STEP_NOW
                                             : op == CODE_PHASE ? STEP_PHASE
                                                                : STEP_PASSES });
            break;
        case CODE_SHARE:
        case CODE_NOT:
            add(m, (struct code_step){ .op = op == CODE_NOT ? STEP_NOT : STEP_SHARE });
            break;
        default:
            add_two(m, from, op);
        }
    }
}
static bool make(struct making *m, uint32_t at)
{
    uint32_t *first = &m->pack->step_of[at];
    if (at == 0 || *first != 0)
        return true;
    *first = m->count;
    return make_one(m, at);
}
static bool make_effects(struct making *m, uint32_t first, uint32_t count)
{
    bool fits = true;
    for (uint32_t i = first; i < first + count && fits; i++) {
        const struct pack_effect *e = &m->pack->effects[i];
        fits = make(m, e->args[0]) && make(m, e->args[1]) && make(m, e->value) && make(m, e->guard);
    }
    return fits;
}
static bool make_op(struct making *m, const struct pack_op *op)
{
    bool fits = make(m, op->skill) && make(m, op->difficulty) && make(m, op->norm) &&
                make(m, op->weight);
    for (unsigned i = 0; i < op->conds_count && fits; i++)
        fits = make(m, op->conds[i].code);
    for (unsigned k = 0; k < 4 && fits; k++)
        fits = op->effect_count[k] == PACK_NO_OUTCOME ||
               make_effects(m, op->effect_first[k], op->effect_count[k]);
    return fits;
}
static bool make_all(struct making *m)
{
    const struct nvl_pack *p = m->pack;
    bool fits = true;
    for (uint32_t i = 0; i < p->counts[SEC_OPER] && fits; i++)
        fits = make_op(m, &p->ops[i]);
    for (uint32_t i = 0; i < p->counts[SEC_TENS] && fits; i++)
        fits = make(m, p->tensions[i].code);
    for (uint32_t i = 0; i < p->counts[SEC_GOAL] && fits; i++)
        fits = make(m, p->goals[i].when) && make(m, p->goals[i].weight) && make(m, p->goals[i].at);
    for (uint32_t i = 0; i < p->counts[SEC_ENDI] && fits; i++)
        fits = make(m, p->endings[i].when);
    for (uint32_t i = 0; i < p->counts[SEC_TRUT] && fits; i++)
        fits = make_effects(m, p->truths[i].effect_first, p->truths[i].effect_count);
    return fits;
}
bool code_make(struct nvl_pack *p, bool *out_fits)
{
    /* No two expressions overlap in what the compiler writes, and a step has at least a byte of its
     * own there; a way round shares that of its "and" or "or". */
    struct making m = { .pack = p, .room = 2 * p->code_size + 8 };
    struct arena arena;
    arena_init(&arena, 64 * 1024);
    m.steps = arena_get(&arena, m.room * sizeof(*m.steps));
    p->step_of = arena_zero(&p->arena, (size_t) p->code_size + 1, sizeof(*p->step_of));
    bool made = m.steps != NULL && p->step_of != NULL;
    if (made) { /* what is not there comes to nothing */
        add(&m, (struct code_step){ .op = STEP_PUSH });
        add(&m, (struct code_step){ .op = STEP_END });
        *out_fits = make_all(&m);
        p->steps = arena_copy(&p->arena, m.steps, m.count * sizeof(*m.steps));
        made = p->steps != NULL;
    }
    arena_done(&arena);
    return made;
}

/* --- running them
 * ------------------------------------------------------------------------------------------- */

static inline int32_t argument(const struct code_env *env, uint8_t i)
{
    uint8_t v = i == CODE_EACH ? env->each : env->args[i];
    return v == NVL_NONE ? -1 : v;
}
static inline int32_t read_cell(struct code_env *env, const struct code_step *s, int32_t a,
                                int32_t b, bool noting)
{
    const struct nvl_world *w = env->world;
    uint32_t rows = s->sorts[0] != 0 ? w->counts[s->sorts[0]] : 1,
             columns = s->sorts[1] != 0 ? w->counts[s->sorts[1]] : 1;
    if ((uint32_t) a >= rows || (uint32_t) b >= columns)
        return s->value;
    uint32_t cell = w->base[s->fluent] + (uint32_t) a * columns + (uint32_t) b;
    if (noting && env->reads_count < CODE_READS_MAX)
        env->reads[env->reads_count++] = (uint16_t) cell;
    return env->state[cell];
}
static int32_t share(const struct code_env *env, int32_t x)
{
    int32_t v = (int32_t) (((int64_t) env->passes * x + 50) / 100);
    return v < 1 ? 1 : v;
}
/* Each comparison is there twice: of two values that were pushed, and with a number of the code. */
#define COMPARE(name, operation)                                                                   \
    case STEP_##name:                                                                              \
        x = *--sp operation x;                                                                     \
        break;                                                                                     \
    case STEP_##name##_VALUE:                                                                      \
        x = x operation s->value;                                                                  \
        break;
/* Where cells are noted every part is run; else what cannot matter any more is passed over.  The code
 * was checked when the pack was opened: no bounds are tested here. */
static inline int32_t run(struct code_env *env, const struct code_step *steps,
                          const struct code_step *s, const bool noting)
{
    int32_t stack[PACK_STACK + 2], *sp = stack, x = 0; /* x: the top */
    for (;; s++) {
        switch ((enum step_op) s->op) {
        case STEP_END:
            return x;
        case STEP_PUSH:
            *sp++ = x, x = s->value;
            break;
        case STEP_ARG:
            *sp++ = x, x = argument(env, s->a);
            break;
        case STEP_CELL0:
            *sp++ = x, x = read_cell(env, s, 0, 0, noting);
            break;
        case STEP_CELL1:
            x = read_cell(env, s, x, 0, noting);
            break;
        case STEP_CELL2:
            x = read_cell(env, s, *--sp, x, noting);
            break;
        case STEP_ARG_CELL1:
            *sp++ = x, x = read_cell(env, s, argument(env, s->a), 0, noting);
            break;
        case STEP_ARG_CELL2:
            x = read_cell(env, s, x, argument(env, s->b), noting);
            break;
        case STEP_TWO_CELL2:
            *sp++ = x;
            x = read_cell(env, s, argument(env, s->a), argument(env, s->b), noting);
            break;
        case STEP_NOW:
            *sp++ = x, x = (int32_t) env->pass;
            break;
        case STEP_PHASE:
            *sp++ = x, x = (int32_t) env->phase;
            break;
        case STEP_PASSES:
            *sp++ = x, x = (int32_t) env->passes;
            break;
        case STEP_SHARE:
            x = share(env, x);
            break;
        case STEP_NOT:
            x = x == 0;
            break;
        case STEP_ADD:
            x = (int32_t) ((uint32_t) *--sp + (uint32_t) x);
            break;
        case STEP_SUB:
            x = (int32_t) ((uint32_t) *--sp - (uint32_t) x);
            break;
        case STEP_MUL:
            x = (int32_t) ((uint32_t) *--sp * (uint32_t) x);
            break;
        case STEP_MIN:
            --sp, x = *sp < x ? *sp : x;
            break;
        case STEP_MAX:
            --sp, x = *sp > x ? *sp : x;
            break;
        case STEP_AND:
            x = (*--sp != 0) & (x != 0);
            break;
        case STEP_OR:
            x = (*--sp | x) != 0;
            break;
        case STEP_IF:
            if (!noting && x == 0)
                s = steps + s->jump - 1;
            break;
        case STEP_UNLESS:
            if (!noting && x != 0)
                x = 1, s = steps + s->jump - 1;
            break;
            COMPARE(EQ, ==)
            COMPARE(NE, !=)
            COMPARE(LT, <)
            COMPARE(LE, <=)
            COMPARE(GT, >)
            COMPARE(GE, >=)
        }
    }
}
int32_t code_run(struct code_env *env, uint32_t at)
{
    const struct nvl_pack *p = env->world->pack;
    const struct code_step *first = p->steps + p->step_of[at];
    return env->reads != NULL ? run(env, p->steps, first, true) : run(env, p->steps, first, false);
}
