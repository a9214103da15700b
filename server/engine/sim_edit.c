/* sim_edit.c — what changes from outside do: the laws on them, their marks on the state, and what
 * they leave to be heeded by the turns that follow (docs/log-format.md, section 8). */
#include "server/engine/sim.h"
#include <string.h>

enum {
    LAW_ITEM_LAW = 0x42,
    LAW_BODY = 0x32,
    LAW_PLACE = 0x31,
    LAW_TIME = 0x33,
    LAW_SETTLED = 0x44
};

static unsigned known(const struct nvl_sim *s, enum known_fluent f)
{
    return (unsigned) s->w->pack->known[f];
}
static uint16_t cell_of(const struct nvl_sim *s, enum known_fluent f, unsigned a, unsigned b)
{
    int cell = world_cell(s->w, known(s, f), a, b);
    return cell < 0 ? NVL_NO_CELL : (uint16_t) cell;
}

/* --- what is to be heeded ------------------------------------------------------------------------
 */

uint32_t edit_bar(const struct nvl_sim *s, unsigned actor, unsigned op, const uint8_t *args)
{
    unsigned bit = actor < SIM_CHARS ? actor : SIM_CHARS;
    if (s->edits.barred[op] >> bit & 1)
        return s->edits.barred_by[op];
    for (unsigned i = 0; i < s->edits.vetoes_count; i++) {
        const struct veto *v = &s->edits.vetoes[i];
        bool same = v->actor == actor && v->act.op == op;
        for (unsigned k = 1; same && k < s->w->pack->ops[op].params_count; k++)
            same = v->act.args[k] == NVL_NONE || v->act.args[k] == args[k];
        if (same)
            return v->act.by;
    }
    return 0;
}
int edit_incidents(struct nvl_sim *s, bool *out_struck)
{
    int rc = NVL_OK;
    for (unsigned i = 0; rc == NVL_OK && i < s->edits.incidents_count; i++) {
        const struct awaited *a = &s->edits.incidents[i];
        uint32_t before = s->sequence;
        uint16_t cell;
        if (edit_bar(s, NVL_ACTOR_WORLD, a->op, a->args) == 0 &&
            judge_failing(s, a->op, a->args, s->state, true, &cell) == 0)
            rc = judge_incident(s, a->op, a->args, a->by);
        *out_struck |= s->sequence > before;
    }
    s->edits.incidents_count = 0;
    if (*out_struck) { /* it counts as one of the director's own */
        s->incidents++;
        s->last_incident = (uint16_t) (s->pass + 1);
    }
    return rc;
}
void edit_turn_done(struct nvl_sim *s)
{
    s->edits.vetoes_count = 0;
}

/* --- the laws ------------------------------------------------------------------------------------
 */

/* For a reason to be found: whatever is still open gets the first entities that are free. */
static bool bind_any(const struct nvl_sim *s, unsigned op, uint8_t args[NVL_ARGS_MAX])
{
    const struct pack_op *p = &s->w->pack->ops[op];
    for (unsigned i = 0; i < p->params_count; i++) {
        unsigned count = s->w->counts[p->params[i].sort], v = 0;
        if (p->params[i].hidden || args[i] != NVL_NONE)
            continue;
        for (bool taken = true; v < count; v++) {
            taken = false;
            for (unsigned k = 0; k < p->params_count; k++)
                taken |= p->params[k].sort == p->params[i].sort && args[k] == v;
            if (!taken)
                break;
        }
        if (v == count)
            return false;
        args[i] = (uint8_t) v;
    }
    return true;
}
static bool is_bound(const struct nvl_sim *s, unsigned op, const uint8_t args[NVL_ARGS_MAX])
{
    const struct pack_op *p = &s->w->pack->ops[op];
    for (unsigned i = 0; i < p->params_count; i++)
        if (!p->params[i].hidden && args[i] == NVL_NONE)
            return false;
    return true;
}
struct first_word {
    bool any;
    uint8_t code;
    uint16_t cell;
};
static int hear(void *ctx, const struct nvl_event *e, const uint8_t *canonical, size_t size,
                const uint8_t hash[SHA256_SIZE])
{
    struct first_word *w = ctx;
    (void) canonical, (void) size, (void) hash;
    if (!w->any && e->type == NVL_REJECTED)
        w->code = e->codes[0], w->cell = e->reason;
    w->any = true;
    return 0;
}
/* The act is played on a copy of the present; what the law said there is its word. */
static void judge_ordered_act(struct nvl_sim *copy, struct nvl_event *e, struct first_word *out)
{
    unsigned who = e->change.who;
    memset(copy->minutes, 0, sizeof(copy->minutes));
    copy->edits.acts[who].by = 0;
    if (!sim_awake(copy, copy->state, who)) {
        out->code = LAW_BODY, out->cell = cell_of(copy, KNOWN_AWAKE, who, 0);
        return;
    }
    gate_pass(copy);
    record_look(copy);
    if (!is_bound(copy, e->op, e->args) && !choice_complete(copy, who, e->op, e->args) &&
        !bind_any(copy, e->op, e->args)) {
        out->code = LAW_UNKNOWN;
        return;
    }
    struct awaited *a = &copy->edits.acts[who];
    *a = (struct awaited){ .by = copy->sequence, .op = e->op };
    memcpy(a->args, e->args, sizeof(a->args));
    choice_make(copy, who);
    copy->sink = hear, copy->sink_ctx = out;
    judge_act(copy, who); /* the sink takes everything, so it can't fail */
}
static void judge_ordered_incident(struct nvl_sim *copy, struct nvl_event *e,
                                   struct first_word *out)
{
    const struct pack_op *op = &copy->w->pack->ops[e->op];
    const struct edits *waiting = &copy->edits;
    bool again = copy->op_last[e->op] != 0;
    for (unsigned i = 0; i < waiting->incidents_count; i++)
        again |= waiting->incidents[i].op == e->op;
    gate_pass(copy);
    if ((op->engine_flags & OP_ONCE) && again)
        out->code = LAW_SETTLED;
    else if (waiting->barred[e->op] & BARRED_WORLD)
        out->code = LAW_BARRED;
    else if (waiting->incidents_count == SIM_INCIDENTS)
        out->code = LAW_TIME;
    else if (is_bound(copy, e->op, e->args) || direct_bind(copy, e->op, e->args))
        out->code = (uint8_t) judge_failing(copy, e->op, e->args, copy->state, true, &out->cell);
    else if (!bind_any(copy, e->op, e->args))
        out->code = LAW_UNKNOWN;
    else /* every binding has something against it: this one's will do as the reason */
        out->code = (uint8_t) judge_failing(copy, e->op, e->args, copy->state, true, &out->cell);
    uint32_t before = copy->sequence;
    if (out->code == 0 && judge_incident(copy, e->op, e->args, 0) == NVL_OK &&
        copy->sequence == before)
        out->code = LAW_RANGE;
}
static int judge_on_copy(const struct nvl_sim *s, struct nvl_event *e, struct first_word *out)
{
    struct nvl_sim *copy;
    int rc = nvl_clone(s, &copy);
    if (rc != NVL_OK)
        return rc;
    if (e->change.kind == NVL_EDIT_ACT)
        judge_ordered_act(copy, e, out);
    else
        judge_ordered_incident(copy, e, out);
    nvl_free(copy);
    return NVL_OK;
}
int edit_judge(const struct nvl_sim *s, struct nvl_event *e, uint8_t *out_code, uint16_t *out_cell)
{
    struct first_word word = { .cell = NVL_NO_CELL };
    const struct nvl_change *c = &e->change;
    const struct pack_fluent *fluents = s->w->pack->fluents;
    int rc = NVL_OK;
    switch (c->kind) {
    case NVL_EDIT_ACT:
    case NVL_EDIT_INCIDENT:
        rc = judge_on_copy(s, e, &word);
        break;
    case NVL_EDIT_WHISPER:
        if (!sim_awake(s, s->state, c->who))
            word.code = LAW_BODY, word.cell = cell_of(s, KNOWN_AWAKE, c->who, 0);
        else if (c->value != NVL_BELIEVES && world_is_canon(s->w, c->thing))
            word.code = LAW_CANON, word.cell = cell_of(s, KNOWN_FACT_TRUE, c->thing, 0);
        break;
    case NVL_EDIT_ITEM:
        if ((fluents[known(s, KNOWN_HOLDER)].flags | fluents[known(s, KNOWN_LIES)].flags) &
            FLUENT_STATIC)
            word.code = LAW_ITEM_LAW, word.cell = cell_of(s, KNOWN_HOLDER, c->thing, 0);
        else if (c->to_sort == NVL_SORT_CHAR && world_get(s->w, s->state, KNOWN_AT, c->to, 0) < 0)
            word.code = LAW_PLACE, word.cell = cell_of(s, KNOWN_AT, c->to, 0);
        break;
    case NVL_EDIT_FORBID:
    case NVL_EDIT_VETO: /* what is left to somebody who can do nothing else stays */
        if (strcmp(s->w->pack->ops[e->op].name, "hesitate") == 0)
            word.code = LAW_BARRED;
        else if (c->kind == NVL_EDIT_VETO && s->edits.vetoes_count == SIM_VETOES)
            word.code = LAW_TIME;
        break;
    default:
        break;
    }
    if (word.code == 0 && s->sequence >= SIM_EDITED)
        word.code = LAW_TIME, word.cell = NVL_NO_CELL;
    *out_code = word.code, *out_cell = word.cell;
    return rc;
}

/* --- the marks -----------------------------------------------------------------------------------
 */

void edit_set(struct nvl_sim *s, struct nvl_event *e, int fluent, unsigned a, int value)
{
    const struct pack_fluent *f = &s->w->pack->fluents[fluent];
    int cell = world_cell(s->w, (unsigned) fluent, a, 0);
    int min = f->value_sort != 0 ? -1 : f->min, max = world_max(s->w, f);
    value = value < min ? min : value > max ? max : value;
    if (cell < 0 || s->state[cell] == value)
        return;
    unsigned at = e->deltas_count++;
    for (; at > 0 && e->deltas[at - 1].cell > cell; at--)
        e->deltas[at] = e->deltas[at - 1];
    e->deltas[at] = (struct nvl_delta){ (uint16_t) cell, s->state[cell], (int16_t) value };
    s->state[cell] = (int16_t) value;
}
void edit_set_named(struct nvl_sim *s, struct nvl_event *e, const char *name, enum nvl_sort of,
                    unsigned a, int value)
{
    int fluent = nvl_pack_fluent_find(s->w->pack, name);
    const struct pack_fluent *f = fluent < 0 ? NULL : &s->w->pack->fluents[fluent];
    if (f != NULL && f->sorts[0] == of && f->sorts[1] == 0 && f->value_sort == 0)
        edit_set(s, e, fluent, a, value);
}
static uint32_t awake_at(const struct nvl_sim *s, int place)
{
    uint32_t mask = 0;
    for (unsigned c = 0; place >= 0 && c < s->w->counts[NVL_SORT_CHAR]; c++)
        if (sim_awake(s, s->state, c) && world_get(s->w, s->state, KNOWN_AT, c, 0) == place)
            mask |= 1u << c;
    return mask;
}
static void apply_whisper(struct nvl_sim *s, struct nvl_event *e)
{
    const struct nvl_change *c = &e->change;
    int cell = world_cell(s->w, known(s, KNOWN_KNOWS), c->who, c->thing);
    e->witnesses = 1u << c->who;
    if (cell < 0 || s->state[cell] == c->value)
        return;
    e->beliefs[e->beliefs_count++] =
        (struct nvl_belief){ c->who,   c->thing,  (uint8_t) s->state[cell],
                             c->value, NVL_HEARD, NVL_NONE };
    s->state[cell] = c->value;
}
static void apply_trait(struct nvl_sim *s, struct nvl_event *e)
{
    const struct nvl_change *c = &e->change;
    s->traits[c->who * NVL_TRAITS + c->thing] = c->value;
    e->witnesses = 1u << c->who;
    edit_set_named(s, e, pack_trait_names[c->thing], NVL_SORT_CHAR, c->who, c->value);
}
static void apply_item(struct nvl_sim *s, struct nvl_event *e)
{
    const struct nvl_change *c = &e->change;
    bool held = c->to_sort == NVL_SORT_CHAR;
    int second, from = world_where(s->w, s->state, NVL_SORT_ITEM, c->thing, &second);
    edit_set(s, e, (int) known(s, KNOWN_HOLDER), c->thing, held ? c->to : -1);
    edit_set(s, e, (int) known(s, KNOWN_LIES), c->thing, held ? -1 : c->to);
    int to = world_where(s->w, s->state, NVL_SORT_ITEM, c->thing, &second);
    e->place = (uint8_t) to;
    e->witnesses = awake_at(s, from) | awake_at(s, to);
}
static void await(const struct nvl_sim *s, struct awaited *a, const struct nvl_event *e)
{
    *a = (struct awaited){ .by = s->sequence + 1, .op = e->op };
    memcpy(a->args, e->args, sizeof(a->args));
}
int edit_apply(struct nvl_sim *s, struct nvl_event *e)
{
    struct edits *edits = &s->edits;
    unsigned who = e->change.who;
    switch (e->change.kind) {
    case NVL_EDIT_ACT:
        await(s, &edits->acts[who], e);
        break;
    case NVL_EDIT_WHISPER:
        apply_whisper(s, e);
        break;
    case NVL_EDIT_TRAIT:
        apply_trait(s, e);
        break;
    case NVL_EDIT_ITEM:
        apply_item(s, e);
        break;
    case NVL_EDIT_INCIDENT:
        await(s, &edits->incidents[edits->incidents_count++], e);
        break;
    case NVL_EDIT_FORBID:
        edits->barred[e->op] |= who == NVL_NONE ? UINT32_MAX : 1u << who;
        edits->barred_by[e->op] = s->sequence + 1;
        break;
    case NVL_EDIT_VETO:
        edits->vetoes[edits->vetoes_count].actor = (uint8_t) who;
        await(s, &edits->vetoes[edits->vetoes_count++].act, e);
        break;
    default:
        break;
    }
    return record_event(s, e);
}
