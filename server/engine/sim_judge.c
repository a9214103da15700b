/* sim_judge.c — the Iron Laws, what becomes of an act, and what its target does about it. */
#include "server/engine/sim.h"
#include <string.h>

enum {
    MOTIVE_DEFY = 150,
    MOTIVE_BETRAY = 300,
    MOTIVE_FELT = 30, /* a feeling or a bond that weighs as much is a motive of its own */
    TRUST_BETRAY = 60,
    PERSONA_LEAST = -120,
    PERSONA_PRESSURE = 150,
    JUDGE_OVERDRAWN = 1,
};

static bool cond_holds(const struct nvl_sim *s, const struct pack_cond *c, const uint8_t *args,
                       const int16_t *state, uint16_t *out_cell)
{
    uint16_t reads[CODE_READS_MAX];
    struct code_env env = judge_env(s, state, args);
    env.reads = reads;
    if (code_run(&env, c->code) != 0)
        return true;
    *out_cell = env.reads_count > 0 ? reads[0] : NVL_NO_CELL;
    return false;
}
bool judge_needs(const struct nvl_sim *s, unsigned op, const uint8_t *args, const int16_t *state,
                 bool wheres)
{
    const struct pack_op *p = &s->w->pack->ops[op];
    uint16_t cell;
    for (unsigned i = 0; i < p->conds_count; i++)
        if ((wheres || p->conds[i].kind == 0) && !cond_holds(s, &p->conds[i], args, state, &cell))
            return false;
    return true;
}
unsigned judge_failing(const struct nvl_sim *s, unsigned op, const uint8_t *args,
                       const int16_t *view, bool wheres, uint16_t *out_cell)
{
    const struct pack_op *p = &s->w->pack->ops[op];
    *out_cell = NVL_NO_CELL;
    for (unsigned i = 0; i < p->conds_count; i++)
        if ((wheres || p->conds[i].kind == 0) && !cond_holds(s, &p->conds[i], args, view, out_cell))
            return p->conds[i].law != 0 ? p->conds[i].law : 0x12;
    return 0;
}
/* Whether one effect would make somebody doubt what earlier chapters established. */
static bool denies(const struct nvl_sim *s, const struct pack_effect *f, struct code_env *env)
{
    const struct nvl_world *w = s->w;
    unsigned knows = (unsigned) w->pack->known[KNOWN_KNOWS];
    if (f->fluent != knows || f->args[1] == 0)
        return false;
    int32_t fact = code_run(env, f->args[1]);
    if (fact < 0 || !world_is_canon(w, (unsigned) fact))
        return false;
    for (unsigned c = 0; c < w->counts[NVL_SORT_CHAR]; c++) {
        env->each = (uint8_t) c;
        int32_t a = f->over != 0 ? (int32_t) c : code_run(env, f->args[0]);
        int32_t v = code_run(env, f->value);
        int cell = a < 0 ? -1 : world_cell(w, knows, (unsigned) a, (unsigned) fact);
        if (cell < 0 || (f->guard != 0 && code_run(env, f->guard) == 0))
            continue;
        v = f->operation == 1 ? s->state[cell] + v : f->operation == 2 ? s->state[cell] - v : v;
        if (v != NVL_BELIEVES && v != s->state[cell])
            return true;
    }
    return false;
}
static bool denies_canon(const struct nvl_sim *s, const struct candidate *c)
{
    const struct pack_op *op = &s->w->pack->ops[c->op];
    for (unsigned k = 0; s->w->carry != NULL && k < 4; k++)
        for (unsigned i = 0; op->effect_count[k] != PACK_NO_OUTCOME && i < op->effect_count[k];
             i++) {
            struct code_env env = judge_env(s, s->state, c->args);
            if (denies(s, &s->w->pack->effects[op->effect_first[k] + i], &env))
                return true;
        }
    return false;
}
unsigned judge_law(const struct nvl_sim *s, unsigned actor, const struct candidate *c,
                   uint16_t *out_cell)
{
    const struct pack_op *op = &s->w->pack->ops[c->op];
    *out_cell = NVL_NO_CELL;
    if (!sim_awake(s, s->state, actor)) {
        *out_cell =
            (uint16_t) world_cell(s->w, (unsigned) s->w->pack->known[KNOWN_AWAKE], actor, 0);
        return 0x32;
    }
    for (unsigned i = 0; i < op->conds_count; i++)
        if (op->conds[i].kind == 0 && !cond_holds(s, &op->conds[i], c->args, s->state, out_cell))
            return op->conds[i].law;
    if (denies_canon(s, c))
        return LAW_CANON;
    int pressed = c->terms[0] + c->terms[1] + c->terms[3];
    if (c->terms[2] < PERSONA_LEAST && pressed + c->terms[5] < PERSONA_PRESSURE)
        return 0x43;
    unsigned target = choice_target(op, c->args);
    if (target == NVL_NONE)
        return 0;
    if ((op->flags & OP_DEFIES) && pressed + c->terms[4] < MOTIVE_DEFY &&
        world_get(s->w, s->state, KNOWN_STANDING, target, 0) >
            world_get(s->w, s->state, KNOWN_STANDING, actor, 0)) {
        *out_cell =
            (uint16_t) world_cell(s->w, (unsigned) s->w->pack->known[KNOWN_STANDING], target, 0);
        return 0x51;
    }
    if ((op->flags & OP_BETRAYS) && pressed + c->terms[4] < MOTIVE_BETRAY &&
        world_get(s->w, s->state, KNOWN_TRUST, actor, target) > TRUST_BETRAY) {
        *out_cell =
            (uint16_t) world_cell(s->w, (unsigned) s->w->pack->known[KNOWN_TRUST], actor, target);
        return 0x52;
    }
    return 0;
}

/* Hidden parameters: what the world, not the actor, supplies.  One of the fitting bindings, by the
 * binding stream; false when none fits. */
struct hidden {
    uint8_t found[64][NVL_ARGS_MAX];
    unsigned count;
};
static void hidden_search(const struct nvl_sim *s, const struct pack_op *op, unsigned level,
                          uint8_t *args, struct hidden *h)
{
    uint16_t cell;
    while (level < op->params_count && !op->params[level].hidden)
        level++;
    if (level == op->params_count) {
        for (unsigned i = 0; i < op->conds_count; i++)
            if (op->conds[i].kind == 1 && !cond_holds(s, &op->conds[i], args, s->state, &cell))
                return;
        if (h->count < 64)
            memcpy(h->found[h->count++], args, NVL_ARGS_MAX);
        return;
    }
    for (unsigned v = 0; v < s->w->counts[op->params[level].sort] && h->count < 64; v++) {
        args[level] = (uint8_t) v;
        hidden_search(s, op, level + 1, args, h);
    }
    args[level] = NVL_NONE;
}
static bool bind_hidden(const struct nvl_sim *s, struct nvl_event *e)
{
    struct hidden h = { .count = 0 };
    hidden_search(s, &s->w->pack->ops[e->op], 0, e->args, &h);
    if (h.count == 0)
        return false;
    uint32_t k = rng_below(s->seed, rng_key(RNG_BIND, s->pass, e->actor, 0, e->op), h.count);
    memcpy(e->args, h.found[k], NVL_ARGS_MAX);
    return true;
}

static unsigned nearest_outcome(const struct pack_op *op, unsigned want)
{
    for (unsigned k = want; k <= NVL_FAIL; k++)
        if (op->effect_count[k - 1] != PACK_NO_OUTCOME &&
            !(k == NVL_CRITICAL && want != NVL_CRITICAL))
            return k;
    for (unsigned k = want; k >= NVL_CRITICAL; k--)
        if (op->effect_count[k - 1] != PACK_NO_OUTCOME)
            return k;
    return NVL_DONE;
}
static int keep_percent(int v)
{
    return v < 0 ? 0 : v > 100 ? 100 : v;
}
static void decide_outcome(struct nvl_sim *s, struct nvl_event *e, bool bound)
{
    const struct pack_op *op = &s->w->pack->ops[e->op];
    if (!bound) {
        e->outcome = (uint8_t) nearest_outcome(op, NVL_FAIL);
        return;
    }
    if (op->skill == 0) {
        e->outcome = (uint8_t) nearest_outcome(op, NVL_DONE);
        return;
    }
    struct code_env env = judge_env(s, s->state, e->args);
    e->skill = (int16_t) keep_percent(code_run(&env, op->skill));
    e->difficulty = (int16_t) keep_percent(code_run(&env, op->difficulty));
    int chance = e->skill + 50 - e->difficulty;
    chance = chance < 5 ? 5 : chance > 95 ? 95 : chance;
    e->roll =
        (int16_t) (1 + rng_below(s->seed, rng_key(RNG_ROLL, s->pass, e->actor, 0, e->op), 100));
    unsigned want = e->roll * 10 <= chance && op->effect_count[0] != PACK_NO_OUTCOME ? NVL_CRITICAL
                    : e->roll <= chance                                              ? NVL_DONE
                    : e->roll <= chance + 20                                         ? NVL_PARTIAL
                                                                                     : NVL_FAIL;
    e->outcome = (uint8_t) nearest_outcome(op, want);
}

/* Net changes, ascending by cell; beliefs apart. */
static void collect(struct nvl_sim *s, struct nvl_event *e, const uint16_t *touched, unsigned n)
{
    const struct nvl_world *w = s->w;
    int last = -1;
    for (;;) {
        int next = -1;
        for (unsigned i = 0; i < n; i++)
            if (touched[i] > last && (next < 0 || touched[i] < next))
                next = touched[i];
        if (next < 0)
            return;
        last = next;
        if (s->state[next] == s->scratch[next])
            continue;
        const struct cell_ref *r = &w->refs[next];
        if (!(w->pack->fluents[r->fluent].flags & FLUENT_BELIEF)) {
            if (e->deltas_count < NVL_DELTAS_MAX)
                e->deltas[e->deltas_count++] =
                    (struct nvl_delta){ (uint16_t) next, s->state[next], s->scratch[next] };
            else
                s->scratch[next] = s->state[next];
        } else if (e->beliefs_count < NVL_BELIEFS_MAX) {
            e->beliefs[e->beliefs_count++] =
                (struct nvl_belief){ r->a,
                                     r->b,
                                     (uint8_t) s->state[next],
                                     (uint8_t) s->scratch[next],
                                     w->pack->ops[e->op].source,
                                     r->a == e->actor || e->actor >= SIM_CHARS ? NVL_NONE
                                                                               : e->actor };
        } else {
            s->scratch[next] = s->state[next];
        }
    }
}
/* What adds to a tally of the world (how far the fire has come, how much is known) builds on whoever
 * brought it so far.  Of people's feelings and bonds that is not said: they are motives. */
static void builds_on(const struct nvl_sim *s, struct nvl_event *e, unsigned cell)
{
    const struct pack_fluent *f = &s->w->pack->fluents[s->w->refs[cell].fluent];
    if (f->sorts[0] != NVL_SORT_CHAR && !(f->flags & FLUENT_BELIEF) && s->writer[cell] > 1)
        record_cause(e, s->writer[cell], NVL_ENABLES, cell);
}
/* Runs the outcome's effects on the scratch state; false when a resource would leave its range. */
static bool apply(struct nvl_sim *s, struct nvl_event *e)
{
    const struct pack_op *op = &s->w->pack->ops[e->op];
    uint16_t touched[96];
    bool adds[96];
    int n = 0;
    uint32_t present = record_present(s, e);
    struct code_env env = judge_env(s, s->scratch, e->args);
    memcpy(s->scratch, s->state, s->w->cells * sizeof(*s->state));
    unsigned k = e->outcome - 1u;
    for (unsigned i = 0; i < op->effect_count[k]; i++) {
        const struct pack_effect *f = &s->w->pack->effects[op->effect_first[k] + i];
        int r = effect_apply(&env, s->scratch, f, present, e->actor, touched + n, 96 - n);
        if (r < 0)
            return false;
        for (int j = n; j < n + r; j++)
            adds[j] = f->operation != 0;
        n += r;
    }
    collect(s, e, touched, (unsigned) n);
    for (int j = 0; j < n; j++)
        if (adds[j] && s->scratch[touched[j]] != s->state[touched[j]])
            builds_on(s, e, touched[j]);
    e->witnesses = present;
    int after = e->actor < SIM_CHARS ? world_get(s->w, s->scratch, KNOWN_AT, e->actor, 0) : -1;
    for (unsigned c = 0; c < s->w->counts[NVL_SORT_CHAR]; c++) {
        if (!sim_awake(s, s->state, c))
            continue;
        int was = world_get(s->w, s->state, KNOWN_AT, c, 0),
            is = world_get(s->w, s->scratch, KNOWN_AT, c, 0);
        bool near = (e->place != NVL_NONE && is == e->place) ||
                    (after >= 0 && (was == after || is == after));
        e->witnesses |= (uint32_t) near << c;
    }
    memcpy(s->state, s->scratch, s->w->cells * sizeof(*s->state));
    return true;
}

static struct nvl_event begin(const struct nvl_sim *s, unsigned type, unsigned actor,
                              const struct candidate *c)
{
    const struct pack_op *op = &s->w->pack->ops[c->op];
    struct nvl_event e = { .turn = s->plan.turn[s->pass],
                           .pass = (uint16_t) s->pass,
                           .type = (uint8_t) type };
    e.minute = s->pass * WORLD_PASS_MINUTES + (actor < SIM_CHARS ? s->minutes[actor] : 0u);
    e.phase = (uint8_t) sim_phase(s);
    e.actor = (uint8_t) actor, e.op = c->op, e.args_count = op->params_count;
    memcpy(e.args, c->args, sizeof(e.args));
    int place = actor < SIM_CHARS ? world_get(s->w, s->state, KNOWN_AT, actor, 0) : -1;
    e.place = place >= 0 ? (uint8_t) place : NVL_NONE;
    e.verdict = NVL_VALID, e.reason = NVL_NO_CELL, e.ending = NVL_NONE;
    e.goal = c->goal, e.plan_step = c->plan_step, e.utility = c->utility;
    memcpy(e.terms, c->terms, sizeof(e.terms));
    e.alternatives[0].op = e.alternatives[1].op = NVL_NO_OP;
    e.silent = s->silent;
    return e;
}
/* The feeling that speaks loudest for the act, when something in the story has stirred it. */
static unsigned feeling_cell(const struct nvl_sim *s, const struct nvl_event *e)
{
    const struct nvl_pack *p = s->w->pack;
    unsigned cell = NVL_NO_CELL;
    int top = 0;
    for (int k = 0; k < PACK_EMOTIONS; k++) {
        int weight = p->ops[e->op].feels[k], f = weight != 0 ? p->emotions[k] : -1;
        int c = f < 0 ? -1 : world_cell(s->w, (unsigned) f, e->actor, 0);
        if (c >= 0 && weight * s->state[c] > top && s->writer[c] > 1)
            top = weight * s->state[c], cell = (unsigned) c;
    }
    return cell;
}
/* What the actor has come to hold of the one it is done to. */
static unsigned bond_cell(const struct nvl_sim *s, const struct nvl_event *e)
{
    unsigned target = choice_target(&s->w->pack->ops[e->op], e->args);
    if (target == NVL_NONE || target == e->actor)
        return NVL_NO_CELL;
    int c = world_cell(s->w, (unsigned) s->w->pack->known[KNOWN_TRUST], e->actor, target);
    return c >= 0 && s->writer[c] > 1 ? (unsigned) c : NVL_NO_CELL;
}
/* Why they wanted it: what woke the goal, else what stirred the feeling that spoke loudest, else
 * the start. */
static void add_motive(const struct nvl_sim *s, struct nvl_event *e)
{
    const struct nvl_pack *p = s->w->pack;
    uint32_t best = 1;
    unsigned cell = NVL_NO_CELL;
    if (e->goal != NVL_NONE) {
        uint16_t reads[CODE_READS_MAX];
        struct code_env env = judge_env(s, s->state, e->args);
        env.reads = reads;
        code_run(&env, p->goals[e->goal].when);
        code_run(&env, p->goals[e->goal].weight);
        for (unsigned i = 0; i < env.reads_count; i++)
            if (s->writer[reads[i]] > best)
                best = s->writer[reads[i]], cell = reads[i];
    }
    unsigned felt = feeling_cell(s, e), bond = bond_cell(s, e);
    if (cell == NVL_NO_CELL && felt != NVL_NO_CELL)
        best = s->writer[felt], cell = felt;
    record_cause(e, best, NVL_MOTIVATES, cell);
    if (felt != NVL_NO_CELL && e->terms[3] >= MOTIVE_FELT)
        record_cause(e, s->writer[felt], NVL_MOTIVATES, felt);
    if (bond != NVL_NO_CELL && (e->terms[4] >= MOTIVE_FELT || e->terms[4] <= -MOTIVE_FELT))
        record_cause(e, s->writer[bond], NVL_MOTIVATES, bond);
}
static void remember(struct nvl_sim *s, unsigned actor, const struct candidate *c)
{
    unsigned target = choice_target(&s->w->pack->ops[c->op], c->args);
    struct memory m = { c->op, (uint8_t) target, (uint16_t) (s->pass + 1) };
    s->memory[actor][s->memory_at[actor]++ % SIM_MEMORY] = m;
    s->last_by_any[actor] = m;
}
static void add_alternatives(const struct nvl_sim *s, struct nvl_event *e, unsigned actor,
                             unsigned taken)
{
    const struct choices *all = &s->choices[actor];
    unsigned n = 0;
    for (unsigned i = all->forced != 0; i < all->count && n < 2; i++) { /* nobody's own wish else */
        if (i == taken || all->best[i].op == e->op ||
            (n == 1 && all->best[i].op == e->alternatives[0].op))
            continue;
        struct nvl_alternative *a = &e->alternatives[n++];
        a->op = all->best[i].op, a->utility = all->best[i].utility;
        a->args_count = s->w->pack->ops[a->op].params_count;
        memcpy(a->args, all->best[i].args, sizeof(a->args));
    }
}

struct reacting {
    struct nvl_sim *s;
    struct candidate best;
    bool any;
    unsigned reactor;
};
static void consider_reaction(struct reacting *r, unsigned op, const struct nvl_event *cause)
{
    const struct pack_op *p = &r->s->w->pack->ops[op];
    struct candidate c = { .op = (uint16_t) op };
    uint16_t cell;
    memset(c.args, NVL_NONE, sizeof(c.args));
    c.args[0] = (uint8_t) r->reactor;
    for (unsigned i = 1, used = 0; i < p->params_count;
         i++) { /* the rest from the event, sort by sort */
        if (i == 1 && p->params[1].sort == NVL_SORT_CHAR) {
            c.args[1] = cause->actor;
            continue;
        }
        for (unsigned k = used + 1; k < cause->args_count && c.args[i] == NVL_NONE; k++)
            if (r->s->w->pack->ops[cause->op].params[k].sort == p->params[i].sort &&
                cause->args[k] != r->reactor)
                c.args[i] = cause->args[k], used = k;
        if (c.args[i] == NVL_NONE)
            return;
    }
    if (edit_bar(r->s, r->reactor, op, c.args) != 0 ||
        !judge_needs(r->s, op, c.args, r->s->state, true))
        return;
    choice_score(r->s, r->reactor, r->s->belief[r->reactor], NULL, 0, &c);
    if (judge_law(r->s, r->reactor, &c, &cell) != 0 || (r->any && r->best.utility >= c.utility))
        return;
    r->best = c;
    r->any = true;
}
static int react(struct nvl_sim *s, const struct nvl_event *cause)
{
    const struct pack_op *op = &s->w->pack->ops[cause->op];
    unsigned target = choice_target(op, cause->args);
    if (op->react_count == 0 || target == NVL_NONE || target == cause->actor ||
        !sim_awake(s, s->state, target) || !(cause->witnesses >> target & 1))
        return NVL_OK;
    struct reacting r = { .s = s, .reactor = target };
    for (unsigned i = 0; i < op->react_count; i++)
        consider_reaction(&r, s->w->pack->reacts[op->react_first + i], cause);
    if (!r.any)
        return NVL_OK;
    struct nvl_event e = begin(s, NVL_REACTION, target, &r.best);
    record_cause(&e, cause->sequence, NVL_REACTS, NVL_NO_CELL);
    record_causes(s, &e);
    decide_outcome(s, &e, true);
    if (!apply(s, &e))
        return NVL_OK;
    remember(s, target, &r.best);
    return record_event(s, &e);
}

static int reject(struct nvl_sim *s, unsigned actor, const struct candidate *c, unsigned code,
                  unsigned cell)
{
    struct nvl_event e = begin(s, NVL_REJECTED, actor, c);
    e.verdict = NVL_LAW_REJECTED, e.codes[0] = (uint8_t) code, e.codes_count = 1;
    e.reason = (uint16_t) cell;
    e.witnesses = 1u << actor;
    uint32_t bar = code == LAW_BARRED ? edit_bar(s, actor, c->op, c->args) : 0;
    record_cause(&e,
                 cell != NVL_NO_CELL ? s->writer[cell]
                 : bar != 0          ? bar
                                     : 1,
                 NVL_PREVENTS, cell);
    if (s->choices[actor].forced != 0)
        record_cause(&e, s->choices[actor].forced, NVL_BY_INTERVENTION, NVL_NO_CELL);
    record_causes(s, &e);
    return record_event(s, &e);
}
/* JUDGE_OVERDRAWN: its outcome would take a resource out of its range; nothing has happened. */
static int perform(struct nvl_sim *s, unsigned actor, const struct candidate *c, unsigned index,
                   unsigned code, unsigned repair)
{
    static const uint8_t types[] = { NVL_ACTION, NVL_REACTION, NVL_SPEECH, NVL_THOUGHT };
    const struct pack_op *op = &s->w->pack->ops[c->op];
    struct nvl_event e = begin(s, types[op->kind & 3], actor, c);
    bool bound = bind_hidden(s, &e);
    if (repair != NVL_NO_REPAIR)
        e.verdict = NVL_REPAIRED, e.repair = (uint8_t) repair, e.codes[0] = (uint8_t) code,
        e.codes_count = 1;
    add_motive(s, &e);
    if (s->choices[actor].forced != 0 && repair == NVL_NO_REPAIR)
        record_cause(&e, s->choices[actor].forced, NVL_BY_INTERVENTION, NVL_NO_CELL);
    record_causes(s, &e);
    add_alternatives(s, &e, actor, index);
    decide_outcome(s, &e, bound);
    if (!apply(s, &e))
        return JUDGE_OVERDRAWN;
    remember(s, actor, c);
    if (op->engine_flags & OP_MOVES)
        s->came_from[actor] = e.place, s->came_at[actor] = (uint16_t) (s->pass + 1);
    int rc = record_event(s, &e);
    s->minutes[actor] = (uint8_t) (s->minutes[actor] + op->minutes);
    return rc == NVL_OK ? react(s, &e) : rc;
}
/* What is left to somebody who can do nothing else. */
static int hesitate(struct nvl_sim *s, unsigned actor, unsigned code, unsigned repair)
{
    uint16_t cell;
    struct candidate c = { .op = (uint16_t) nvl_pack_op_find(s->w->pack, "hesitate"),
                           .goal = NVL_NONE };
    memset(c.args, NVL_NONE, sizeof(c.args));
    c.args[0] = (uint8_t) actor;
    int rc = judge_law(s, actor, &c, &cell) == 0 ? perform(s, actor, &c, SIM_KEPT, code, repair)
                                                 : NVL_OK;
    return rc == JUDGE_OVERDRAWN ? NVL_OK : rc;
}
/* The first lawful candidate, nearest to what was wanted: same operator, same family, anything,
 * hesitation. */
static int repair(struct nvl_sim *s, unsigned actor, unsigned code)
{
    const struct choices *all = &s->choices[actor];
    const struct pack_op *ops = s->w->pack->ops;
    uint16_t cell;
    for (unsigned rung = NVL_REBIND; rung <= NVL_NEXT; rung++)
        for (unsigned i = 1; i < all->count; i++) {
            const struct candidate *c = &all->best[i];
            bool same = c->op == all->best[0].op;
            bool kin = strcmp(ops[c->op].family, ops[all->best[0].op].family) == 0;
            bool fits = rung == NVL_REBIND ? same
                        : rung == NVL_LOWER
                            ? kin && !same && ops[c->op].cost < ops[all->best[0].op].cost
                        : rung == NVL_SIBLING ? kin && !same
                                              : true;
            int rc = fits && judge_law(s, actor, c, &cell) == 0
                         ? perform(s, actor, c, i, code, rung)
                         : JUDGE_OVERDRAWN;
            if (rc != JUDGE_OVERDRAWN)
                return rc;
        }
    return hesitate(s, actor, code, NVL_HESITATE);
}
/* What an edit ordered is tried before all else, and waits no longer. */
static int act_forced(struct nvl_sim *s, unsigned actor)
{
    const struct choices *all = &s->choices[actor];
    const struct candidate *c = &all->best[0];
    uint16_t cell = NVL_NO_CELL;
    unsigned code =
        edit_bar(s, actor, c->op, c->args) != 0 ? LAW_BARRED : judge_law(s, actor, c, &cell);
    s->edits.acts[actor].by = 0;
    if (code == 0 && all->forced_unknown)
        code = LAW_UNKNOWN, cell = all->forced_cell;
    if (code == 0) {
        int rc = perform(s, actor, c, 0, 0, NVL_NO_REPAIR);
        if (rc != JUDGE_OVERDRAWN)
            return rc;
        code = LAW_RANGE, cell = NVL_NO_CELL;
    }
    int rc = reject(s, actor, c, code, cell);
    return rc == NVL_OK ? repair(s, actor, code) : rc;
}
int judge_act(struct nvl_sim *s, unsigned actor)
{
    struct choices *all = &s->choices[actor];
    uint16_t cell;
    if (all->count == 0 || !sim_awake(s, s->state, actor))
        return NVL_OK;
    if (all->forced != 0)
        return act_forced(s, actor);
    /* Somebody of the frame who lets the time go by is no part of what happens. */
    if ((s->silent >> actor & 1) != 0)
        return NVL_OK;
    while (all->count > 0) {
        unsigned code = judge_law(s, actor, &all->best[0], &cell);
        if (code != 0) {
            int rc = reject(s, actor, &all->best[0], code, cell);
            return rc == NVL_OK ? repair(s, actor, code) : rc;
        }
        int rc = perform(s, actor, &all->best[0], 0, 0, NVL_NO_REPAIR);
        if (rc != JUDGE_OVERDRAWN)
            return rc;
        all->count--; /* there is not enough left for that: as if it had not been thought of */
        memmove(all->best, all->best + 1, all->count * sizeof(all->best[0]));
    }
    return hesitate(s, actor, 0, NVL_NO_REPAIR);
}
int judge_incident(struct nvl_sim *s, unsigned op, const uint8_t args[NVL_ARGS_MAX], uint32_t by)
{
    struct candidate c = { .op = (uint16_t) op, .goal = NVL_NONE };
    memcpy(c.args, args, sizeof(c.args));
    struct nvl_event e = begin(s, NVL_INCIDENT, NVL_ACTOR_WORLD, &c);
    for (unsigned i = 0; i < e.args_count;
         i++) { /* it happens where its first place or person is */
        unsigned sort = s->w->pack->ops[op].params[i].sort;
        int second, place = e.args[i] == NVL_NONE
                                ? -1
                                : world_where(s->w, s->state, sort, e.args[i], &second);
        if (place >= 0 && e.place == NVL_NONE)
            e.place = (uint8_t) place;
    }
    if (by != 0)
        record_cause(&e, by, NVL_BY_INTERVENTION, NVL_NO_CELL);
    record_causes(s, &e);
    decide_outcome(s, &e, true);
    if (!apply(s, &e))
        return NVL_OK;
    s->op_last[op] = (uint16_t) (s->pass + 1);
    int rc = record_event(s, &e);
    gate_pass(s);
    return rc;
}
