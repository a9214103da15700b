/* sim_plan.c — means to ends.  What a goal is reached by may not be possible yet, as its holder
 * believes; whatever would make it possible is then a step towards the goal, and what would make
 * that possible another.  Chained backwards over the conditions that speak of the story or of the
 * actor, on the actor's beliefs, PLAN_DEPTH steps, PLAN_WANTS wants at most. */
#include "server/engine/sim.h"
#include <string.h>

/* The fluents that an operator sets when it goes well. */
bool plan_build(struct nvl_sim *s)
{
    const struct nvl_pack *p = s->w->pack;
    unsigned bytes = (p->counts[SEC_FLUE] + 7) / 8;
    s->op_writes = arena_zero(&s->arena, (size_t) (p->counts[SEC_OPER] + 1) * bytes, 1);
    if (s->op_writes == NULL)
        return false;
    for (unsigned op = 0; op < p->counts[SEC_OPER]; op++) {
        const struct pack_op *o = &p->ops[op];
        unsigned k = o->effect_count[NVL_DONE - 1] != PACK_NO_OUTCOME ? NVL_DONE - 1 : 0;
        for (unsigned i = 0; o->effect_count[k] != PACK_NO_OUTCOME && i < o->effect_count[k]; i++) {
            unsigned f = p->effects[o->effect_first[k] + i].fluent;
            s->op_writes[op * bytes + f / 8] |= (uint8_t) (1 << f % 8);
        }
    }
    return true;
}
static bool writes(const struct nvl_sim *s, unsigned op, unsigned fluent)
{
    unsigned bytes = (s->w->pack->counts[SEC_FLUE] + 7) / 8;
    return (s->op_writes[op * bytes + fluent / 8] >> fluent % 8 & 1) != 0;
}
static bool movable(const struct pack_fluent *f)
{
    return !(f->flags & (FLUENT_STATIC | FLUENT_BELIEF)) && f->see != SEE_NEVER;
}
/* A fluent that a false condition of the op reads and that acts can change, as the actor sees it;
 * -1: nothing stands in the way that could be removed. */
static int obstacle(struct nvl_sim *s, unsigned op, unsigned actor, const int16_t *view)
{
    const struct pack_op *o = &s->w->pack->ops[op];
    uint8_t args[NVL_ARGS_MAX];
    uint16_t reads[CODE_READS_MAX];
    memset(args, NVL_NONE, sizeof(args));
    args[0] = (uint8_t) actor;
    struct code_env env = judge_env(s, view, args);
    for (unsigned i = 0; i < o->conds_count; i++) {
        const struct pack_cond *c = &o->conds[i];
        if (c->kind != 0 || c->level != 0)
            continue;
        env.reads = NULL, env.reads_count = 0;
        if (gate_actor_holds(s, &env, c))
            continue;
        env.reads = reads;
        code_run(&env, c->code); /* once more, for what it reads */
        for (unsigned k = 0; k < env.reads_count; k++) {
            unsigned f = s->w->refs[reads[k]].fluent;
            if (movable(&s->w->pack->fluents[f]) && f != (unsigned) s->w->pack->known[KNOWN_AT])
                return (int) f;
        }
    }
    return -1;
}
static void want(struct nvl_sim *s, unsigned fluent, unsigned goal, int value, unsigned step)
{
    for (unsigned i = 0; i < s->wants_count; i++)
        if (s->wants[i].fluent == fluent && s->wants[i].goal == goal)
            return;
    if (s->wants_count < PLAN_WANTS)
        s->wants[s->wants_count++] = (struct plan_want){ (uint16_t) fluent, (int16_t) value,
                                                         (uint8_t) goal, (uint8_t) step };
}
void plan_make(struct nvl_sim *s, unsigned actor, const int16_t *view,
               const struct goal_view *goals, unsigned count)
{
    const struct nvl_pack *p = s->w->pack;
    s->wants_count = 0;
    for (unsigned op = 0; op < p->counts[SEC_OPER]; op++) {
        const struct pack_op *o = &p->ops[op];
        if (!s->op_alive[op] || (s->edits.barred[op] >> actor & 1) || o->kind == NVL_OP_INCIDENT || o->kind == NVL_OP_REACTION)
            continue;
        for (unsigned t = 0; t < o->toward_count; t++)
            for (unsigned g = 0; g < count; g++) {
                const struct pack_toward *to = &p->towards[o->toward_first + t];
                int f = to->goal == goals[g].goal && to->value >= PLAN_END
                            ? obstacle(s, op, actor, view)
                            : -1;
                if (f >= 0)
                    want(s, (unsigned) f, goals[g].goal, PLAN_SECOND * goals[g].weight / 100, 2);
            }
    }
    for (unsigned w = 0, end = s->wants_count; w < end; w++) /* what stands in the way of that */
        for (unsigned op = 0; op < p->counts[SEC_OPER]; op++) {
            if (!s->op_alive[op] || s->op_open[op] || !writes(s, op, s->wants[w].fluent) ||
                p->ops[op].kind == NVL_OP_INCIDENT || p->ops[op].kind == NVL_OP_REACTION)
                continue;
            int f = obstacle(s, op, actor, view);
            if (f >= 0)
                want(s, (unsigned) f, s->wants[w].goal, s->wants[w].value / 2, 3);
        }
}
/* What an act is worth as a step of a plan; its goal and how many steps the end is away. */
int plan_worth(const struct nvl_sim *s, unsigned op, unsigned *out_goal, unsigned *out_step)
{
    int best = 0;
    for (unsigned w = 0; w < s->wants_count; w++)
        if (s->wants[w].value > best && writes(s, op, s->wants[w].fluent)) {
            best = s->wants[w].value;
            *out_goal = s->wants[w].goal, *out_step = s->wants[w].step;
        }
    return best;
}
