/* sim_direct.c — the director: tension wanted, incidents, and a look ahead to an ending at the
 * climax. */
#include "server/engine/sim.h"
#include <string.h>

enum { TENSION_GAP = 12, ENDING_OPEN = 40 };

/* Where in its phase the pass stands, in hundredths. */
static int position(const struct nvl_sim *s)
{
    unsigned phase = sim_phase(s), first = s->pass, last = s->pass;
    while (first > 0 && s->plan.phase[first - 1] == phase)
        first--;
    while (last + 1 < s->plan.count && s->plan.phase[last + 1] == phase)
        last++;
    return last == first ? 50 : (int) ((s->pass - first) * 100 / (last - first));
}
uint8_t direct_target(const struct nvl_sim *s)
{
    static const int8_t tone[NVL_MOODS] = { 0, 10, -5, 0 };
    int at = position(s), v;
    switch (sim_phase(s)) {
    case NVL_SETUP:
        v = 20 + 15 * at / 100;
        break;
    case NVL_COMPLICATION:
        v = 40 + 25 * at / 100 - (at >= 45 && at <= 60 ? 10 : 0);
        break;
    case NVL_CRISIS:
        v = 70 + 10 * at / 100;
        break;
    case NVL_CLIMAX:
        v = 90;
        break;
    default:
        v = 45 - 20 * at / 100 + tone[s->w->request->mood];
    }
    return (uint8_t) v;
}

struct incident {
    struct nvl_sim *s;
    uint16_t op;
    int32_t weight;
    uint8_t args[NVL_ARGS_MAX];
    bool any;
};
static void consider(void *ctx, const uint8_t args[NVL_ARGS_MAX])
{
    struct incident *in = ctx;
    const struct nvl_sim *s = in->s;
    const struct pack_op *op = &s->w->pack->ops[in->op];
    struct code_env env = judge_env(s, s->state, args);
    unsigned salt = in->op;
    for (unsigned i = 0; i < op->params_count; i++)
        salt = (salt * 31 + args[i]) & 0xFFFFFF;
    int32_t w = op->weight != 0 ? code_run(&env, op->weight) : 10;
    w = w * 16 + (int32_t) rng_below(s->seed, rng_key(RNG_DIRECTOR, s->pass, 0, 1, salt), 480);
    if (in->any && w <= in->weight)
        return;
    in->weight = w;
    memcpy(in->args, args, NVL_ARGS_MAX);
    in->any = true;
}
bool direct_bind(struct nvl_sim *s, unsigned op, uint8_t out_args[NVL_ARGS_MAX])
{
    struct incident in = { .s = s, .op = (uint16_t) op };
    uint16_t cell;
    choice_bind(s, op, NVL_NONE, s->state, false, consider, &in);
    if (!in.any || judge_failing(s, op, in.args, s->state, true, &cell) != 0)
        return false;
    memcpy(out_args, in.args, NVL_ARGS_MAX);
    return true;
}
static bool incident_ready(const struct nvl_sim *s, unsigned op)
{
    const struct pack_op *p = &s->w->pack->ops[op];
    unsigned last = s->op_last[op];
    if (!s->op_open[op] || (s->edits.barred[op] & BARRED_WORLD) != 0 ||
        p->kind != NVL_OP_INCIDENT || ((p->engine_flags & OP_ONCE) && last != 0))
        return false;
    if (last != 0 && s->pass + 1u - last <= p->cooldown * s->plan.count / 100)
        return false;
    return p->beats == 0 || (p->beats >> (sim_phase(s) - 1) & 1);
}
static int play_must(struct nvl_sim *s)
{
    for (unsigned op = 0; op < s->w->pack->counts[SEC_OPER]; op++) {
        struct incident in = { .s = s, .op = (uint16_t) op };
        if (!(s->w->pack->ops[op].engine_flags & OP_MUST) || !incident_ready(s, op))
            continue;
        choice_bind(s, op, NVL_NONE, s->state, true, consider, &in);
        int rc = in.any ? judge_incident(s, op, in.args, 0) : NVL_OK;
        if (rc != NVL_OK)
            return rc;
    }
    return NVL_OK;
}
/* At most one a pass and half the turns (rounded up) a story; only when the story lies too low, or
 * has gone long without one. */
int direct_incidents(struct nvl_sim *s)
{
    bool struck = false;
    int rc = edit_incidents(s, &struck);
    if (rc == NVL_OK)
        rc = play_must(s);
    unsigned phase = sim_phase(s), most = (s->turns + 1) / 2;
    most = s->plan.count > most * 3 ? s->plan.count / 3 : most;
    if (rc != NVL_OK || struck || phase == NVL_RESOLUTION || s->pass == 0 || s->incidents >= most)
        return rc;
    bool low = direct_target(s) > s->tension + TENSION_GAP;
    bool still = s->pass + 1u - s->last_incident > s->plan.count / 4 + 1;
    if ((!low && !still) || s->last_incident == s->pass)
        return rc;
    int32_t best = -1;
    struct incident chosen = { 0 };
    for (unsigned op = 0; op < s->w->pack->counts[SEC_OPER]; op++) {
        struct incident in = { .s = s, .op = (uint16_t) op };
        if ((s->w->pack->ops[op].engine_flags & OP_MUST) || !incident_ready(s, op))
            continue;
        choice_bind(s, op, NVL_NONE, s->state, true, consider, &in);
        if (in.any && in.weight > best)
            best = in.weight, chosen = in;
    }
    if (best < 0)
        return rc;
    s->incidents++;
    s->last_incident = (uint16_t) (s->pass + 1);
    return judge_incident(s, chosen.op, chosen.args, 0);
}

/* --- endings
 * ------------------------------------------------------------------------------------------------
 */

unsigned direct_ending(const struct nvl_sim *s, const int16_t *state)
{
    const struct nvl_pack *p = s->w->pack;
    uint8_t args[NVL_ARGS_MAX];
    memset(args, NVL_NONE, sizeof(args));
    struct code_env env = judge_env(s, state, args);
    unsigned last = 0;
    for (uint32_t i = 0; i < p->counts[SEC_ENDI]; i++) {
        if (p->endings[i].frame != s->w->frame)
            continue;
        last = i;
        if (p->endings[i].when == 0 || code_run(&env, p->endings[i].when) != 0)
            return i;
    }
    return last;
}
/* How good an ending would be: the mood's leaning, and the seed's own taste, so that seeds part
 * ways. */
static int32_t ending_score(const struct nvl_sim *s, unsigned ending)
{
    const struct pack_ending *e = &s->w->pack->endings[ending];
    static const int8_t lean[NVL_MOODS] = { 1, -2, 4, 1 };
    int32_t v = (int32_t) rng_below(s->seed, rng_key(RNG_DIRECTOR, 0, 0, 2, ending), 160);
    v += e->tone * lean[s->w->request->mood];
    return e->when != 0 ? v + ENDING_OPEN : v;
}
/* What a closing act's conditions read: cells in a row, or of such rows the actor's. */
struct cell_range {
    uint16_t first, count;
    bool own;
};
/* The bindings of one act by one actor.  They stay the same while what they rest on does, and most
 * states of a search differ in a few cells only. */
struct kept {
    int16_t *cells;                /* NULL: none yet */
    uint8_t (*args)[NVL_ARGS_MAX]; /* SIM_BINDINGS */
    unsigned count;
};
enum { RANGES_MAX = 24 };
struct closing { /* an operator that may end the story */
    uint16_t op;
    unsigned ranges_count, cells; /* ranges_count 0: its bindings are not kept */
    struct cell_range ranges[RANGES_MAX];
    struct kept kept[SIM_CHARS];
};
struct node {
    int16_t *state;
    int32_t score;
    uint16_t first[SIM_CHARS]; /* first act of each */
};
struct looking {
    struct nvl_sim *s;
    struct arena *arena; /* of the search */
    struct closing *closing;
    unsigned closing_count;
    const struct node *from;
    struct node *beam;
    unsigned *count;
    unsigned actor, depth;
    uint16_t op;
};
/* Tries one act as if it went well; keeps the state if it is among the best. */
static void look_ahead(void *ctx, const uint8_t args[NVL_ARGS_MAX])
{
    struct looking *l = ctx;
    struct nvl_sim *s = l->s;
    const struct pack_op *op = &s->w->pack->ops[l->op];
    uint16_t touched[96];
    unsigned k = op->effect_count[NVL_DONE - 1] != PACK_NO_OUTCOME ? NVL_DONE - 1 : NVL_PARTIAL - 1;
    if (op->effect_count[k] == PACK_NO_OUTCOME)
        return;
    memcpy(s->scratch, l->from->state, s->w->cells * sizeof(*s->scratch));
    struct code_env env = judge_env(s, s->scratch, args);
    for (unsigned i = 0; i < op->effect_count[k]; i++)
        if (effect_apply(&env, s->scratch, &s->w->pack->effects[op->effect_first[k] + i],
                         1u << l->actor, l->actor, touched, 96) < 0)
            return;
    int32_t score =
        ending_score(s, direct_ending(s, s->scratch)) * 8 - (int32_t) l->depth * 6 +
        (int32_t) rng_below(s->seed, rng_key(RNG_DIRECTOR, s->pass, l->actor, 3, l->op), 6);
    unsigned at = *l->count < SIM_SEARCH_BEAM ? (*l->count)++ : SIM_SEARCH_BEAM;
    if (at == SIM_SEARCH_BEAM) {
        if (l->beam[SIM_SEARCH_BEAM - 1].score >= score)
            return;
        at = SIM_SEARCH_BEAM - 1;
    }
    int16_t *keep = l->beam[at].state;
    for (; at > 0 && l->beam[at - 1].score < score; at--)
        l->beam[at] = l->beam[at - 1];
    l->beam[at].state = keep, l->beam[at].score = score;
    memcpy(l->beam[at].first, l->from->first, sizeof(l->beam[at].first));
    if (l->beam[at].first[l->actor] == NVL_NO_OP)
        l->beam[at].first[l->actor] = l->op;
    memcpy(keep, s->scratch, s->w->cells * sizeof(*keep));
}
static void keep_binding(void *ctx, const uint8_t args[NVL_ARGS_MAX])
{
    struct kept *k = ctx;
    memcpy(k->args[k->count++], args, NVL_ARGS_MAX);
}
/* False: it reads too much. */
static bool add_range(const struct nvl_world *w, struct closing *c, unsigned fluent, bool own)
{
    const uint8_t *sorts = w->pack->fluents[fluent].sorts;
    unsigned rows = sorts[0] != 0 ? w->counts[sorts[0]] : 1,
             columns = sorts[1] != 0 ? w->counts[sorts[1]] : 1;
    struct cell_range range = { w->base[fluent], (uint16_t) (own ? columns : rows * columns), own };
    for (unsigned i = 0; i < c->ranges_count; i++)
        if (c->ranges[i].first == range.first && c->ranges[i].own == own)
            return true;
    if (c->ranges_count == RANGES_MAX)
        return false;
    c->ranges[c->ranges_count++] = range;
    c->cells += range.count;
    return true;
}
/* Length of the step of code at `at`. */
static unsigned step_size(uint8_t op)
{
    return op == CODE_PUSH || op == CODE_CELL ? 3 : op == CODE_ARG ? 2 : 1;
}
static bool find_reads(const struct nvl_world *w, struct closing *c, uint32_t at)
{
    const uint8_t *code = w->pack->code;
    uint8_t args[2] = { NVL_NONE, NVL_NONE }; /* of the two steps before, where they are such */
    for (; code[at] != CODE_END; at += step_size(code[at])) {
        unsigned fluent = code[at] == CODE_CELL ? le16(code + at + 1) : 0;
        const uint8_t *sorts = w->pack->fluents[fluent].sorts;
        uint8_t row = sorts[1] == 0 ? args[1] : args[1] == NVL_NONE ? NVL_NONE : args[0];
        bool own = sorts[0] == NVL_SORT_CHAR && row == 0;
        if (code[at] == CODE_CELL && !add_range(w, c, fluent, own))
            return false;
        args[0] = args[1], args[1] = code[at] == CODE_ARG ? code[at + 1] : NVL_NONE;
    }
    return true;
}
static void find_ranges(const struct nvl_world *w, struct closing *c)
{
    const struct pack_op *op = &w->pack->ops[c->op];
    bool few = (op->flags & OP_ACTORLESS) == 0; /* parameter 0 is the actor */
    for (unsigned i = 0; i < op->conds_count && few; i++)
        few = find_reads(w, c, op->conds[i].code);
    c->ranges_count = few ? c->ranges_count : 0;
}
static const int16_t *range_on(const struct cell_range *r, const int16_t *state, unsigned actor)
{
    return state + r->first + (r->own ? actor * r->count : 0);
}
static bool still_so(const struct closing *c, const struct kept *k, const int16_t *state,
                     unsigned actor)
{
    const int16_t *then = k->cells;
    for (unsigned i = 0; i < c->ranges_count; i++) {
        size_t n = c->ranges[i].count;
        if (memcmp(then, range_on(&c->ranges[i], state, actor), n * sizeof(*then)) != 0)
            return false;
        then += n;
    }
    return true;
}
/* The bindings of a closing act on a state; NULL: they are not kept. */
static const struct kept *bindings_on(struct looking *l, struct closing *c, const int16_t *state)
{
    struct kept *k = &c->kept[l->actor];
    if (c->ranges_count == 0)
        return NULL;
    if (k->cells != NULL && still_so(c, k, state, l->actor))
        return k;
    if (k->args == NULL)
        k->args = arena_get(l->arena, SIM_BINDINGS * sizeof(*k->args));
    int16_t *cells = k->cells != NULL ? k->cells : arena_get(l->arena, c->cells * sizeof(*cells));
    if (k->args == NULL || cells == NULL)
        return NULL;
    k->cells = cells, k->count = 0;
    for (unsigned i = 0; i < c->ranges_count; i++) {
        memcpy(cells, range_on(&c->ranges[i], state, l->actor), c->ranges[i].count * sizeof(*cells));
        cells += c->ranges[i].count;
    }
    choice_bind(l->s, c->op, l->actor, state, true, keep_binding, k);
    return k;
}
static void expand(struct looking *l, const struct node *from)
{
    struct nvl_sim *s = l->s;
    bool open[SIM_OPS];
    l->from = from;
    for (unsigned i = 0; i < l->closing_count; i++)
        open[i] = gate_holds(s, l->closing[i].op, from->state);
    for (l->actor = 0; l->actor < s->w->request->cast_count; l->actor++) {
        if (!sim_awake(s, from->state, l->actor))
            continue;
        gate_forget(s);
        for (unsigned i = 0; i < l->closing_count; i++) {
            struct closing *c = &l->closing[i];
            if (!open[i] || (s->edits.barred[c->op] >> l->actor & 1))
                continue;
            l->op = c->op;
            const struct kept *k = bindings_on(l, c, from->state);
            for (unsigned n = 0; k != NULL && n < k->count; n++)
                look_ahead(l, k->args[n]);
            if (k == NULL)
                choice_bind(s, c->op, l->actor, from->state, true, look_ahead, l);
        }
    }
}
static bool find_closing(struct looking *l)
{
    const struct nvl_sim *s = l->s;
    const struct nvl_pack *p = s->w->pack;
    unsigned n = 0;
    for (unsigned op = 0; op < p->counts[SEC_OPER]; op++)
        n += s->op_alive[op] && (p->ops[op].engine_flags & OP_CLOSING) != 0;
    l->closing = arena_zero(l->arena, n + 1, sizeof(*l->closing));
    for (unsigned op = 0; op < p->counts[SEC_OPER] && l->closing != NULL; op++) {
        if (!s->op_alive[op] || !(p->ops[op].engine_flags & OP_CLOSING))
            continue;
        struct closing *c = &l->closing[l->closing_count++];
        c->op = (uint16_t) op;
        find_ranges(s->w, c);
    }
    return l->closing != NULL;
}
void direct_search(struct nvl_sim *s)
{
    struct node sets[2][SIM_SEARCH_BEAM], root = { .state = s->state };
    unsigned counts[2] = { 0, 0 };
    struct arena arena;
    arena_init(&arena, 256 * 1024);
    memset(root.first, 0xFF, sizeof(root.first));
    memset(s->bias_op, 0xFF, sizeof(s->bias_op));
    for (unsigned k = 0; k < 2; k++)
        for (unsigned i = 0; i < SIM_SEARCH_BEAM; i++)
            if ((sets[k][i].state = arena_get(&arena, s->w->cells * sizeof(int16_t))) == NULL)
                goto done; /* without memory nobody is biased; the caller notices s->broken */
    struct looking l = { .s = s, .arena = &arena };
    if (!find_closing(&l))
        goto done;
    struct node best = root;
    best.score = ending_score(s, direct_ending(s, s->state)) * 8;
    for (unsigned depth = 1; depth <= SIM_SEARCH_DEPTH; depth++) {
        unsigned to = depth & 1, from = !to;
        counts[to] = 0;
        l.beam = sets[to], l.count = &counts[to], l.depth = depth;
        if (depth == 1)
            expand(&l, &root);
        else
            for (unsigned i = 0; i < counts[from]; i++)
                expand(&l, &sets[from][i]);
        if (counts[to] > 0 && sets[to][0].score > best.score)
            best = sets[to][0];
    }
    memcpy(s->bias_op, best.first, sizeof(s->bias_op));
    arena_done(&arena);
    return;
done:
    s->broken = true;
    arena_done(&arena);
}
