/* sim_gate.c — which operators can be thought of at all.  Most conditions of most operators speak
 * of the story as a whole ("it is a hunt", "the climax is past"), not of who acts upon what; they
 * are tested once a pass for everybody, and those of another frame once a story. */
#include "server/engine/sim.h"
#include <string.h>

/* Whether the code speaks of nobody in particular, and of what everybody knows; *out_fixed: and of
 * what never changes.  Codes were checked when the pack was opened. */
static bool code_plain(const struct nvl_pack *p, uint32_t at, bool *out_fixed)
{
    *out_fixed = true;
    for (;;) {
        uint8_t op = p->code[at++];
        if (op == CODE_END)
            return true;
        if (op == CODE_ARG)
            return false;
        if (op == CODE_NOW || op == CODE_PHASE)
            *out_fixed = false;
        at += op == CODE_PUSH ? 2 : 0;
        if (op != CODE_CELL)
            continue;
        const struct pack_fluent *f = &p->fluents[le16(p->code + at)];
        at += 2;
        if (f->sorts[0] != 0 || f->see != SEE_ALL || (f->flags & FLUENT_BELIEF))
            return false;
        *out_fixed &= (f->flags & FLUENT_STATIC) != 0;
    }
}
static bool open_now(const struct nvl_sim *s, unsigned op, const struct code_env *env)
{
    const struct pack_op *p = &s->w->pack->ops[op];
    const uint8_t *plain = s->cond_plain + (p->conds - s->w->pack->conds);
    struct code_env at = *env;
    for (unsigned i = 0; i < p->conds_count; i++)
        if (plain[i] && code_run(&at, p->conds[i].code) == 0)
            return false;
    return true;
}
static struct code_env nobody(const struct nvl_sim *s)
{
    uint8_t args[NVL_ARGS_MAX];
    for (unsigned i = 0; i < NVL_ARGS_MAX; i++)
        args[i] = NVL_NONE;
    return judge_env(s, s->state, args);
}
bool gate_holds(const struct nvl_sim *s, unsigned op, const int16_t *state)
{
    struct code_env env = nobody(s);
    env.state = state;
    return open_now(s, op, &env);
}
/* What one character's own conditions come to on one view, each code tested once. */
void gate_forget(const struct nvl_sim *s)
{
    memset(s->memo, 0, s->w->pack->counts[SEC_COND]);
}
bool gate_actor_holds(const struct nvl_sim *s, struct code_env *env, const struct pack_cond *c)
{
    uint8_t *known = &s->memo[c->same];
    if (*known == 0)
        *known = code_run(env, c->code) != 0 ? 2 : 1;
    return *known == 2;
}
void gate_alive(struct nvl_sim *s)
{
    const struct nvl_pack *p = s->w->pack;
    struct code_env env = nobody(s);
    for (unsigned op = 0; op < p->counts[SEC_OPER]; op++) {
        s->op_alive[op] = true;
        for (unsigned i = 0; i < p->ops[op].conds_count; i++) {
            const struct pack_cond *c = &p->ops[op].conds[i];
            bool fixed, plain = c->kind == 0 && code_plain(p, c->code, &fixed);
            s->cond_plain[c - p->conds] = plain;
            if (plain && fixed && code_run(&env, c->code) == 0)
                s->op_alive[op] = false;
        }
    }
}
bool gate_build(struct nvl_sim *s)
{
    const struct nvl_pack *p = s->w->pack;
    s->cond_plain = arena_zero(&s->arena, p->counts[SEC_COND] + 1, 1);
    s->memo = arena_zero(&s->arena, p->counts[SEC_COND] + 1, 1);
    if (s->cond_plain == NULL || s->memo == NULL)
        return false;
    gate_alive(s);
    return true;
}
void gate_pass(struct nvl_sim *s)
{
    struct code_env env = nobody(s);
    for (unsigned op = 0; op < s->w->pack->counts[SEC_OPER]; op++)
        s->op_open[op] = s->op_alive[op] && open_now(s, op, &env);
}
