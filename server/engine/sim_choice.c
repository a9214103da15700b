/* sim_choice.c — what a character could do, as they believe, and how much they want it.  Integer
 * milli-units; every term is kept and logged. */
#include "server/engine/sim.h"
#include <string.h>
#include "server/engine/gumbel.h"

static int clamp(int v, int lo, int hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}
struct binder {
    const struct nvl_sim *s;
    const struct pack_op *op;
    struct code_env env;
    binding_fn fn;
    void *ctx;
    unsigned found;
    bool gated;
    uint8_t bound; /* bit per parameter that is not to be chosen */
};
static bool level_holds(struct binder *b, unsigned level)
{
    bool memo = b->gated && level == 0 && !(b->op->flags & OP_ACTORLESS);
    for (unsigned i = 0; i < b->op->conds_count; i++) {
        const struct pack_cond *c = &b->op->conds[i];
        if (memo && c->kind == 0 && c->level == 0) {
            if (!b->s->cond_plain[c - b->s->w->pack->conds] && !gate_actor_holds(b->s, &b->env, c))
                return false;
            continue;
        }
        if (c->kind == 0 && c->level == level &&
            !(b->gated && b->s->cond_plain[c - b->s->w->pack->conds]) &&
            code_run(&b->env, c->code) == 0)
            return false;
    }
    return true;
}
/* Parameters one by one; each need is tested as soon as its last one is bound. */
static void bind(struct binder *b, unsigned level)
{
    while (level < b->op->params_count && b->op->params[level].hidden)
        level++;
    if (level == b->op->params_count) {
        b->found++;
        b->fn(b->ctx, b->env.args);
        return;
    }
    unsigned sort = b->op->params[level].sort, count = b->s->w->counts[sort];
    if (b->bound >> level & 1) {
        if (level_holds(b, level))
            bind(b, level + 1);
        return;
    }
    for (unsigned v = 0; v < count && b->found < SIM_BINDINGS; v++) {
        bool taken = false;
        for (unsigned k = 0; k < level; k++)
            taken |= b->op->params[k].sort == sort && b->env.args[k] == v;
        for (unsigned k = level + 1; b->bound >> k != 0; k++)
            taken |= b->op->params[k].sort == sort && b->env.args[k] == v;
        if (taken)
            continue;
        b->env.args[level] = (uint8_t) v;
        if (level_holds(b, level))
            bind(b, level + 1);
        b->env.args[level] = NVL_NONE;
    }
}
void choice_bind(const struct nvl_sim *s, unsigned op, unsigned actor, const int16_t *view,
                 bool gated, binding_fn fn, void *ctx)
{
    uint8_t args[NVL_ARGS_MAX];
    memset(args, NVL_NONE, sizeof(args));
    struct binder b = { .s = s, .op = &s->w->pack->ops[op], .fn = fn, .ctx = ctx, .gated = gated };
    b.env = judge_env(s, view, args);
    if (actor != NVL_NONE) {
        b.env.args[0] = (uint8_t) actor;
        if (level_holds(&b, 0))
            bind(&b, 1);
        return;
    }
    bool open = true;
    for (unsigned i = 0; i < b.op->conds_count; i++) /* conditions on nobody */
        if (b.op->conds[i].level == 0 && b.op->params_count == 0 &&
            code_run(&b.env, b.op->conds[i].code) == 0)
            open = false;
    if (open)
        bind(&b, 0);
}
/* The same with what is not NVL_NONE in args already bound. */
static void choice_bind_rest(const struct nvl_sim *s, unsigned op, const uint8_t args[NVL_ARGS_MAX],
                             const int16_t *view, binding_fn fn, void *ctx)
{
    struct binder b = { .s = s, .op = &s->w->pack->ops[op], .fn = fn, .ctx = ctx };
    b.env = judge_env(s, view, args);
    for (unsigned i = 0; i < b.op->params_count; i++)
        b.bound |= (uint8_t) ((args[i] != NVL_NONE) << i);
    if (level_holds(&b, 0))
        bind(&b, 1);
}

unsigned choice_target(const struct pack_op *op, const uint8_t *args)
{
    for (unsigned i = 1; i < op->params_count; i++)
        if (op->params[i].sort == NVL_SORT_CHAR)
            return args[i];
    return NVL_NONE;
}

/* Steps between places as the character believes the ways to be: a shut one counts four. */
static void measure(struct nvl_sim *s, const int16_t *view)
{
    const struct nvl_world *w = s->w;
    unsigned n = w->counts[NVL_SORT_PLACE];
    memset(s->dist, 100, (size_t) n * n);
    for (unsigned i = 0; i < n; i++)
        s->dist[i * n + i] = 0;
    for (unsigned l = 0; l < w->counts[NVL_SORT_LINK]; l++) {
        int a = world_get(w, view, KNOWN_END_A, l, 0), b = world_get(w, view, KNOWN_END_B, l, 0);
        if (a < 0 || b < 0)
            continue;
        uint8_t steps = world_get(w, view, KNOWN_OPEN, l, 0) > 0 ? 1 : 4;
        s->dist[(unsigned) a * n + (unsigned) b] = s->dist[(unsigned) b * n + (unsigned) a] = steps;
    }
    for (unsigned k = 0; k < n; k++)
        for (unsigned i = 0; i < n; i++)
            for (unsigned j = 0; j < n; j++)
                if (s->dist[i * n + k] + s->dist[k * n + j] < s->dist[i * n + j])
                    s->dist[i * n + j] = (uint8_t) (s->dist[i * n + k] + s->dist[k * n + j]);
}
static unsigned read_goals(struct nvl_sim *s, unsigned actor, const int16_t *view,
                           struct goal_view *out, unsigned max)
{
    const struct nvl_pack *p = s->w->pack;
    uint8_t args[NVL_ARGS_MAX];
    unsigned n = 0;
    memset(args, NVL_NONE, sizeof(args));
    args[0] = (uint8_t) actor;
    struct code_env env = judge_env(s, view, args);
    for (uint32_t g = 0; g < p->counts[SEC_GOAL] && n < max; g++) {
        if (code_run(&env, p->goals[g].when) == 0)
            continue;
        int weight = clamp(code_run(&env, p->goals[g].weight), 0, 100);
        int place = p->goals[g].at != 0 ? code_run(&env, p->goals[g].at) : -1;
        if (place >= s->w->counts[NVL_SORT_PLACE])
            place = -1;
        out[n++] = (struct goal_view){ (uint8_t) g, (uint8_t) weight, (int8_t) place };
    }
    return n;
}

static void score_goal(struct nvl_sim *s, const int16_t *view, const struct goal_view *goals,
                       unsigned count, struct candidate *c)
{
    const struct nvl_pack *p = s->w->pack;
    const struct pack_op *op = &p->ops[c->op];
    unsigned places = s->w->counts[NVL_SORT_PLACE];
    int here = world_get(s->w, view, KNOWN_AT, c->args[0], 0), best = 0, worst = 0;
    for (unsigned g = 0; g < count; g++) {
        int v = 0, step = 1;
        for (unsigned i = 0; i < op->toward_count; i++)
            if (p->towards[op->toward_first + i].goal == goals[g].goal)
                v = p->towards[op->toward_first + i].value;
        if ((op->engine_flags & OP_MOVES) && goals[g].place >= 0 && here >= 0) {
            unsigned to = 0; /* the place argument */
            for (unsigned i = 1; i < op->params_count; i++)
                to = op->params[i].sort == NVL_SORT_PLACE ? c->args[i] : to;
            int now = s->dist[(unsigned) here * places + (unsigned) goals[g].place];
            int then = s->dist[to * places + (unsigned) goals[g].place];
            v += then < now ? 300 : then > now ? -80 : 0;
            step = now;
        }
        v = v * goals[g].weight / 100;
        worst = v < worst ? v : worst;
        if (v > best) {
            best = v;
            c->goal = goals[g].goal, c->plan_step = (uint8_t) clamp(step, 1, 20);
        }
    }
    unsigned goal = 0, step = 0;
    int means = count > 0 ? plan_worth(s, c->op, &goal, &step) : 0;
    if (means > best)
        best = means, c->goal = (uint8_t) goal, c->plan_step = (uint8_t) step;
    c->terms[0] = (int16_t) clamp(best > 0 ? best : worst, -200, 400);
}
static int novelty(const struct nvl_sim *s, unsigned actor, const struct candidate *c,
                   unsigned target)
{
    static const uint8_t fade[4] = { 120, 90, 50, 20 };
    int v = 0;
    for (unsigned i = 0; i < SIM_MEMORY; i++) {
        const struct memory *m = &s->memory[actor][i];
        if (m->pass == 0)
            continue;
        unsigned age = s->pass + 1u - m->pass;
        if (m->op == c->op && age < 4)
            v += fade[age] + (m->target == target && target != NVL_NONE ? 30 : 0);
        else if (m->op == c->op)
            v += 12;
    }
    for (unsigned k = 0; k < s->w->counts[NVL_SORT_CHAR]; k++)
        if (k != actor && s->last_by_any[k].op == c->op && s->last_by_any[k].pass == s->pass + 1u &&
            s->last_by_any[k].target == target)
            v += 70;
    const struct pack_op *op = &s->w->pack->ops[c->op];
    if (!(op->engine_flags & OP_MOVES))
        return clamp(v, 0, 180);
    for (unsigned i = 1; i < op->params_count; i++) /* nobody walks to and fro for nothing */
        if (op->params[i].sort == NVL_SORT_PLACE && s->came_at[actor] != 0 &&
            s->pass + 1u - s->came_at[actor] <= 4 && c->args[i] == s->came_from[actor])
            v += 180;
    return clamp(v / 2, 0, 180);
}
static int director(const struct nvl_sim *s, unsigned actor, const struct candidate *c)
{
    const struct pack_op *op = &s->w->pack->ops[c->op];
    int v = op->beats >> (sim_phase(s) - 1) & 1 ? 60 : 0;
    for (unsigned i = 0; i < op->threads_count; i++) {
        const struct pack_op_thread *t = &op->threads[i];
        unsigned about = t->param == NVL_NONE ? SIM_CHARS : c->args[t->param];
        if (t->change == NVL_THREAD_CLOSED && about <= SIM_CHARS && sim_phase(s) >= NVL_CRISIS &&
            s->thread_open[t->thread][about] == 1)
            v += sim_phase(s) == NVL_RESOLUTION ? 100 : 40;
    }
    if (s->bias_op[actor] == c->op)
        v += 120;
    return clamp(v, 0, 120);
}
void choice_score(struct nvl_sim *s, unsigned actor, const int16_t *view,
                  const struct goal_view *goals, unsigned goals_count, struct candidate *c)
{
    const struct nvl_world *w = s->w;
    const struct pack_op *op = &w->pack->ops[c->op];
    unsigned target = choice_target(op, c->args);
    struct code_env env = judge_env(s, view, c->args);
    int drive = 0, trait = 0, emotion = 0, relation = 0;
    memset(c->terms, 0, sizeof(c->terms));
    c->goal = NVL_NONE, c->plan_step = 0;
    score_goal(s, view, goals, goals_count, c);
    for (int k = 0; k < NVL_DRIVES; k++)
        drive += op->serves[k] * w->drives[actor * NVL_DRIVES + (unsigned) k] / 8;
    for (int k = 0; k < NVL_TRAITS; k++)
        trait += op->likes[k] * ((int) s->traits[actor * NVL_TRAITS + (unsigned) k] - 50) * 2 / 3;
    for (int k = 0; k < PACK_EMOTIONS; k++) {
        int f = op->feels[k] != 0 ? w->pack->emotions[k] : -1;
        int cell = f < 0 ? -1 : world_cell(w, (unsigned) f, actor, 0);
        emotion += cell < 0 ? 0 : op->feels[k] * view[cell] / 3;
    }
    if (target != NVL_NONE && target != actor)
        relation = op->warm * world_get(w, view, KNOWN_TRUST, actor, target) / 3;
    c->terms[1] = (int16_t) clamp(drive, -200, 200);
    c->terms[2] = (int16_t) clamp(trait, -150, 150);
    c->terms[3] = (int16_t) clamp(emotion, -150, 150);
    c->terms[4] = (int16_t) clamp(relation, -150, 150);
    c->terms[5] = (int16_t) clamp(op->norm != 0 ? code_run(&env, op->norm) : 0, -300, 100);
    c->terms[6] = (int16_t) director(s, actor, c);
    c->terms[7] = (int16_t) -clamp(op->minutes / 2 + op->cost, 0, 100);
    c->terms[8] = (int16_t) -novelty(s, actor, c, target);
    unsigned salt = c->op;
    for (unsigned i = 1; i < op->params_count; i++)
        salt = (salt * 31 + c->args[i]) & 0xFFFFFF;
    int scale = 20 + 40 * s->traits[actor * NVL_TRAITS + NVL_OPENNESS] / 100;
    uint32_t q = rng_below(s->seed, rng_key(RNG_CHOICE, s->pass, actor, 0, salt), 256);
    c->terms[9] = (int16_t) (gumbel_table[q] * scale / 1000);
    c->utility = 0;
    for (int i = 0; i < NVL_TERMS; i++)
        c->utility += c->terms[i];
}

struct proposing {
    struct nvl_sim *s;
    struct goal_view goals[32];
    unsigned goals_count, actor;
    uint16_t op;
};
static void propose(void *ctx, const uint8_t args[NVL_ARGS_MAX])
{
    struct proposing *p = ctx;
    struct choices *all = &p->s->choices[p->actor];
    struct candidate c = { .op = p->op };
    if (p->s->edits.vetoes_count != 0 && edit_bar(p->s, p->actor, p->op, args) != 0)
        return;
    memcpy(c.args, args, sizeof(c.args));
    choice_score(p->s, p->actor, p->s->belief[p->actor], p->goals, p->goals_count, &c);
    unsigned at = all->count < SIM_KEPT ? all->count++ : SIM_KEPT;
    if (at == SIM_KEPT && all->best[SIM_KEPT - 1].utility >= c.utility)
        return;
    at = at == SIM_KEPT ? SIM_KEPT - 1 : at;
    while (at > 0 && all->best[at - 1].utility < c.utility) { /* ties keep the pack's order */
        all->best[at] = all->best[at - 1];
        at--;
    }
    all->best[at] = c;
}
/* What stays the same for every candidate of one character. */
static void think(struct proposing *p)
{
    struct nvl_sim *s = p->s;
    const int16_t *view = s->belief[p->actor];
    gate_forget(s);
    measure(s, view);
    p->goals_count = read_goals(s, p->actor, view, p->goals, 32);
    plan_make(s, p->actor, view, p->goals, p->goals_count);
}
/* Puts what an edit ordered before what the character wants. */
static void force(struct proposing *p)
{
    struct nvl_sim *s = p->s;
    struct choices *all = &s->choices[p->actor];
    const struct awaited *a = &s->edits.acts[p->actor];
    struct candidate c = { .op = a->op };
    unsigned at = 0;
    memcpy(c.args, a->args, sizeof(c.args));
    choice_score(s, p->actor, s->belief[p->actor], p->goals, p->goals_count, &c);
    while (at < all->count &&
           (all->best[at].op != c.op || memcmp(all->best[at].args, c.args, sizeof(c.args)) != 0))
        at++;
    if (at == all->count) {
        all->count += all->count < SIM_KEPT;
        at = all->count - 1;
    }
    memmove(all->best + 1, all->best, at * sizeof(c));
    all->best[0] = c;
    all->forced = a->by;
    all->forced_unknown =
        judge_failing(s, c.op, c.args, s->belief[p->actor], false, &all->forced_cell) != 0;
}
void choice_weigh(struct nvl_sim *s, unsigned actor, struct candidate *c)
{
    struct proposing p = { .s = s, .actor = actor };
    think(&p);
    choice_score(s, actor, s->belief[actor], p.goals, p.goals_count, c);
}
void choice_make(struct nvl_sim *s, unsigned actor)
{
    const struct nvl_pack *p = s->w->pack;
    struct proposing ctx = { .s = s, .actor = actor };
    s->choices[actor].count = 0, s->choices[actor].forced = 0;
    think(&ctx);
    for (uint32_t op = 0; op < p->counts[SEC_OPER]; op++) {
        if (!s->op_open[op] || (s->edits.barred[op] >> actor & 1) ||
            p->ops[op].kind == NVL_OP_INCIDENT || p->ops[op].kind == NVL_OP_REACTION)
            continue;
        ctx.op = (uint16_t) op;
        choice_bind(s, op, actor, s->belief[actor], true, propose, &ctx);
    }
    if (s->edits.acts[actor].by != 0)
        force(&ctx);
}

struct completing {
    struct proposing of;
    struct candidate best;
    bool any;
};
static void complete(void *ctx, const uint8_t args[NVL_ARGS_MAX])
{
    struct completing *x = ctx;
    struct proposing *p = &x->of;
    struct candidate c = { .op = p->op };
    memcpy(c.args, args, sizeof(c.args));
    choice_score(p->s, p->actor, p->s->belief[p->actor], p->goals, p->goals_count, &c);
    if (!x->any || c.utility > x->best.utility)
        x->best = c, x->any = true;
}
bool choice_complete(struct nvl_sim *s, unsigned actor, unsigned op, uint8_t args[NVL_ARGS_MAX])
{
    struct completing x = { .of = { .s = s, .actor = actor, .op = (uint16_t) op } };
    think(&x.of);
    choice_bind_rest(s, op, args, s->belief[actor], complete, &x);
    if (x.any)
        memcpy(args, x.best.args, NVL_ARGS_MAX);
    return x.any;
}
