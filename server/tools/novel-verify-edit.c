/* Changes from outside: what an INTERVENTION may say, what it marks, and what the events after it
 * owe it (docs/log-format.md, 8, Edits). */
#include <string.h>

#include "server/tools/novel-verify-run.h"

enum { EDIT_ACT = 1, EDIT_WHISPER, EDIT_TRAIT, EDIT_ITEM, EDIT_INCIDENT, EDIT_FORBID, EDIT_VETO };
enum { TRAITS = 6, SOURCE_HEARD = 2 };

int verify_edit_init(struct verify_run *run, struct arena *arena)
{
    run->barred = arena_zero(arena, run->pack.oper.count + 1, sizeof(*run->barred));
    run->seed = run->header.seed;
    run->turns = run->header.turns;
    return run->barred == NULL ? VERIFY_NO_MEMORY : 0;
}

/* ---- bars ------------------------------------------------------------------------------------ */

/* Sequence of the edit that keeps actor from the act in the event's turn (of an edit: in the next
 * one), or 0. */
static uint32_t bar_of(const struct verify_run *run, unsigned actor, unsigned op,
                       const uint8_t *args, unsigned count)
{
    unsigned bit = verify_is_character(run, actor) ? actor : VERIFY_CHARS_MAX;
    unsigned turn = run->e->turn + (verify_is_outside(run->e->type) ? 1u : 0u);
    if ((run->barred[op].who >> bit & 1) != 0)
        return run->barred[op].by;
    for (unsigned i = 0; i < run->veto_count; i++) {
        const struct verify_ordered *v = &run->vetoes[i];
        bool same = v->op == op && v->actor == actor && v->turn == turn && v->count == count;
        for (unsigned k = 1; same && k < count; k++)
            same = v->args[k] == NONE_U8 || v->args[k] == args[k];
        if (same)
            return v->by;
    }
    return 0;
}

uint32_t verify_edit_bar(const struct verify_run *run)
{
    const struct verify_event *e = run->e;
    return run->has_op ? bar_of(run, e->actor, e->op, e->args, e->arg_count) : 0;
}

static void check_bars(struct verify_run *run)
{
    const struct verify_event *e = run->e;
    uint32_t by = e->type == EVENT_REJECTED ? 0 : verify_edit_bar(run);
    if (by != 0)
        verify_say(run, VERIFY_BAN, "event %u forbids it", by);
    for (unsigned i = 0; i < 2; i++) {
        const struct verify_choice *a = &e->alternatives[i];
        by = a->op < run->pack.oper.count ? bar_of(run, e->actor, a->op, a->args, a->count) : 0;
        if (by != 0)
            verify_say(run, VERIFY_BAN, "event %u forbids alternative %u", by, i + 1);
    }
}

/* ---- what an intervention says --------------------------------------------------------------- */

static bool args_sound(const struct verify_run *run, const struct verify_op *op)
{
    const struct verify_event *e = run->e;
    if (e->arg_count != op->parms)
        return false;
    for (unsigned i = 0; i < e->arg_count; i++) {
        struct verify_parm parm = verify_pack_parm(&run->pack, op->parm_first + i);
        bool none = e->args[i] == NONE_U8, may_lack = e->edit.kind == EDIT_VETO && i > 0;
        bool fits = e->args[i] < run->world.counts[parm.sort];
        if (parm.hidden != 0 ? !none : !fits && !(none && may_lack))
            return false;
    }
    return true;
}

static bool names_fit(const struct verify_run *run)
{
    const struct verify_event *e = run->e;
    const struct verify_edit *c = &e->edit;
    bool somebody = verify_is_character(run, c->who), has_op = e->op < run->pack.oper.count;
    struct verify_op op = { 0 };
    if (has_op)
        op = verify_pack_op(&run->pack, e->op);
    bool incident = has_op && op.kind == KIND_INCIDENT;
    bool by_actor = has_op && somebody && !incident && args_sound(run, &op) && e->arg_count > 0 &&
                    e->args[0] == c->who;
    bool plain = !has_op && e->op == NONE_U16 && e->arg_count == 0;
    switch (c->kind) {
    case EDIT_ACT:
        return by_actor && op.kind != KIND_REACTION;
    case EDIT_VETO:
        return by_actor;
    case EDIT_INCIDENT:
        return incident && c->who == NONE_U8 && args_sound(run, &op);
    case EDIT_FORBID:
        return has_op && e->arg_count == 0 && (c->who == NONE_U8 || (somebody && !incident));
    case EDIT_WHISPER:
        return plain && somebody && c->thing < run->world.counts[SORT_FACT] && c->value >= 1 &&
               c->value <= 3;
    case EDIT_TRAIT:
        return plain && somebody && c->thing < TRAITS;
    default:
        return plain && c->who == NONE_U8 && c->thing < run->world.counts[SORT_ITEM] &&
               (c->to_sort == SORT_CHAR || c->to_sort == SORT_PLACE) &&
               c->to < run->world.counts[c->to_sort];
    }
}

/* Fields that this kind has no use for. */
static bool rest_empty(const struct verify_edit *c)
{
    bool thing = c->kind == EDIT_WHISPER || c->kind == EDIT_TRAIT || c->kind == EDIT_ITEM;
    bool value = c->kind == EDIT_WHISPER || c->kind == EDIT_TRAIT;
    bool to = c->kind == EDIT_ITEM;
    return (thing || c->thing == NONE_U8) && (value || c->value == 0) &&
           (to || (c->to == NONE_U8 && c->to_sort == 0));
}

static bool is_hesitation(const struct verify_run *run, unsigned index)
{
    struct verify_op op = verify_pack_op(&run->pack, index);
    struct verify_text name = verify_pack_string(&run->pack, op.name);
    return name.size == 8 && memcmp(name.data, "hesitate", 8) == 0;
}

/* The needs of an act, all conditions of an incident, on the state as it is. */
static void check_ordered_now(struct verify_run *run)
{
    const struct verify_event *e = run->e;
    struct verify_op op = verify_pack_op(&run->pack, e->op);
    struct verify_frame frame = verify_run_frame(run, run->cells);
    for (unsigned i = 0; i < op.conds; i++) {
        struct verify_cond cond = verify_pack_cond(&run->pack, op.cond_first + i);
        if ((cond.kind == 0 || e->edit.kind == EDIT_INCIDENT) &&
            verify_code_run(&frame, cond.code) == 0)
            verify_say(run, cond.law != 0 ? cond.law : VERIFY_UNKNOWABLE,
                       "condition %u of what it orders is false", i + 1);
    }
    unsigned actor = e->edit.kind == EDIT_ACT ? e->edit.who : ACTOR_WORLD;
    if (bar_of(run, actor, e->op, e->args, e->arg_count) != 0)
        verify_say(run, VERIFY_BAN, "it orders what is forbidden");
}

static void check_law(struct verify_run *run)
{
    const struct verify_edit *c = &run->e->edit;
    bool wakes = c->kind == EDIT_ACT || c->kind == EDIT_WHISPER;
    if (wakes && (run->before.awake >> c->who & 1) == 0)
        verify_say(run, VERIFY_BODY, "it speaks to somebody who is not awake");
    if (c->kind == EDIT_ITEM && c->to_sort == SORT_CHAR && run->before.place[c->to] < 0)
        verify_say(run, VERIFY_WAY, "it gives an item to somebody who is nowhere");
    if ((c->kind == EDIT_FORBID || c->kind == EDIT_VETO) && is_hesitation(run, run->e->op))
        verify_say(run, VERIFY_BAN, "it forbids to hesitate");
    if (c->kind == EDIT_ACT || c->kind == EDIT_INCIDENT)
        check_ordered_now(run);
    if (c->kind == EDIT_INCIDENT && run->incident_count == VERIFY_INCIDENTS_MAX)
        verify_say(run, VERIFY_TWICE, "more than %d incidents wait", VERIFY_INCIDENTS_MAX);
}

/* ---- its marks ------------------------------------------------------------------------------- */

static unsigned mark(const struct verify_run *run, int fluent, unsigned a, int value,
                     struct verify_change *out)
{
    uint16_t cell;
    int low, high;
    if (fluent < 0 ||
        !verify_world_cell(&run->world, &run->pack, (unsigned) fluent, (int) a, 0, &cell))
        return 0;
    verify_world_range(&run->world, &run->pack.fluents[fluent], &low, &high);
    value = value < low ? low : value > high ? high : value;
    *out = (struct verify_change){ cell, run->cells[cell], (int16_t) value };
    return run->cells[cell] != value;
}

unsigned verify_edit_marks(const struct verify_run *run, struct verify_change out[2])
{
    const struct verify_event *e = run->e;
    const struct verify_edit *c = &e->edit;
    const int *named = run->pack.named;
    unsigned n = 0;
    if (e->type == EVENT_FORKED) {
        int first = -1, last = -1;
        for (unsigned p = 0; p < run->passes; p++) {
            if (run->plan[p].phase != VERIFY_CLIMAX)
                continue;
            first = last != (int) p - 1 || last < 0 ? (int) p : first;
            last = (int) p;
        }
        n += mark(run, named[NAMED_CLIMAX_STARTS], 0, first < 0 ? 0 : first, out + n);
        n += mark(run, named[NAMED_CLIMAX_ENDS], 0, last < 0 ? 0 : last, out + n);
    } else if (run->edit_sound && c->kind == EDIT_TRAIT) {
        n += mark(run, named[NAMED_OPENNESS + c->thing], c->who, c->value, out + n);
    } else if (run->edit_sound && c->kind == EDIT_ITEM) {
        bool held = c->to_sort == SORT_CHAR;
        n += mark(run, named[NAMED_HOLDER], c->thing, held ? c->to : -1, out + n);
        n += mark(run, named[NAMED_LIES], c->thing, held ? -1 : c->to, out + n);
    }
    if (n == 2 && out[0].cell > out[1].cell) {
        struct verify_change swap = out[0];
        out[0] = out[1];
        out[1] = swap;
    }
    return n;
}

void verify_edit_belief_check(struct verify_run *run)
{
    const struct verify_event *e = run->e;
    const struct verify_edit *c = &e->edit;
    bool whisper = e->type == EVENT_INTERVENTION && run->edit_sound && c->kind == EDIT_WHISPER;
    int now = whisper ? verify_run_named(run, NAMED_KNOWS, c->who, c->thing, -1) : -1;
    bool due = now >= 0 && now != c->value, same = e->belief_count == (due ? 1 : 0);
    if (same && due) {
        const struct verify_belief *b = &e->beliefs[0];
        same = b->who == c->who && b->fact == c->thing && b->before == now &&
               b->after == c->value && b->source == SOURCE_HEARD && b->informant == NONE_U8;
    }
    if (!same)
        verify_say(run, VERIFY_EFFECT, "its beliefs are not what it whispers");
}

static int item_place(const struct verify_run *run, unsigned item)
{
    int lies = verify_run_named(run, NAMED_LIES, (int) item, 0, -1);
    int holder = verify_run_named(run, NAMED_HOLDER, (int) item, 0, -1);
    if (lies >= 0)
        return lies;
    return holder >= 0 && verify_is_character(run, (unsigned) holder) ? run->before.place[holder]
                                                                     : -1;
}

uint32_t verify_edit_witnesses(const struct verify_run *run, int *out_place)
{
    const struct verify_edit *c = &run->e->edit;
    uint32_t mask = 0;
    *out_place = -1;
    if (run->e->type != EVENT_INTERVENTION || !run->edit_sound)
        return 0;
    if (c->kind == EDIT_WHISPER || c->kind == EDIT_TRAIT)
        return 1u << c->who;
    if (c->kind != EDIT_ITEM)
        return 0;
    int from = item_place(run, c->thing);
    int to = c->to_sort == SORT_CHAR ? run->before.place[c->to] : c->to;
    for (unsigned k = 0; verify_is_character(run, k); k++)
        if (run->before.place[k] >= 0 &&
            (run->before.place[k] == from || run->before.place[k] == to))
            mask |= 1u << k;
    *out_place = to;
    return mask & run->before.awake;
}

void verify_edit_check(struct verify_run *run)
{
    const struct verify_event *e = run->e;
    run->edit_sound = e->type != EVENT_INTERVENTION || (names_fit(run) && rest_empty(&e->edit));
    if (!run->edit_sound)
        verify_say(run, VERIFY_UNKNOWABLE, "its edit names what does not exist");
    else if (e->type == EVENT_INTERVENTION)
        check_law(run);
    else if (e->op != NONE_U16 || e->arg_count != 0)
        verify_say(run, VERIFY_EFFECT, "FORKED has an operator");
    bool plain = e->cause_count == 0 && e->thread_count == 0 && e->goal == NONE_U8 &&
                 e->plan_step == 0 && e->verdict == VERDICT_VALID && e->code_count == 0;
    if (!plain)
        verify_say(run, VERIFY_CAUSE,
                   "it comes from outside, and has causes, threads, a goal or "
                   "another verdict than valid");
    if (e->type == EVENT_FORKED && e->sequence > 2 && memcmp(e->parent_head, run->head, 32) != 0)
        verify_say(run, VERIFY_CHAIN, "its parent's head is not that of the log before it");
}

/* ---- what is owed ---------------------------------------------------------------------------- */

static struct verify_ordered order_of(const struct verify_event *e)
{
    struct verify_ordered o = { .by = e->sequence,
                                .op = e->op,
                                .turn = (uint16_t) (e->turn + 1),
                                .pass = e->pass,
                                .actor = e->edit.who,
                                .count = e->arg_count };
    memcpy(o.args, e->args, sizeof(o.args));
    return o;
}

void verify_edit_take(struct verify_run *run)
{
    const struct verify_event *e = run->e;
    if (e->type == EVENT_FORKED)
        run->seed = e->seed;
    if (e->type != EVENT_INTERVENTION || !run->edit_sound)
        return;
    struct verify_ordered order = order_of(e);
    switch (e->edit.kind) {
    case EDIT_ACT:
        run->acts[e->edit.who] = order;
        break;
    case EDIT_INCIDENT:
        if (run->incident_count < VERIFY_INCIDENTS_MAX)
            run->incidents[run->incident_count++] = order;
        break;
    case EDIT_FORBID:
        run->barred[e->op].who |= e->edit.who == NONE_U8 ? UINT64_MAX : 1ull << e->edit.who;
        run->barred[e->op].by = e->sequence;
        break;
    case EDIT_VETO:
        if (run->veto_count > 0 && run->vetoes[0].turn != order.turn)
            run->veto_count = 0;
        if (run->veto_count == VERIFY_VETOES_MAX)
            verify_say(run, VERIFY_TWICE, "more than %d vetoes for one turn", VERIFY_VETOES_MAX);
        else
            run->vetoes[run->veto_count++] = order;
        break;
    default:
        break;
    }
}

/* Where an incident happens: at its first argument that is anywhere. */
static uint8_t place_of_args(const struct verify_run *run, const struct verify_op *op,
                             const uint8_t *args)
{
    for (unsigned i = 0; i < op->parms; i++) {
        int a = args[i], place = -1;
        switch (verify_pack_parm(&run->pack, op->parm_first + i).sort) {
        case SORT_CHAR:
            place = verify_run_named(run, NAMED_AT, a, 0, -1);
            break;
        case SORT_PLACE:
            place = a;
            break;
        case SORT_LINK:
            place = verify_run_named(run, NAMED_END_A, a, 0, -1);
            break;
        case SORT_ITEM:
            place = item_place(run, (unsigned) a);
            break;
        case SORT_CLUE:
            place = verify_run_named(run, NAMED_TRACE_AT, a, 0, -1);
            break;
        default:
            break;
        }
        if (place >= 0)
            return (uint8_t) place;
    }
    return NONE_U8;
}

/* Whether an incident that was ordered can strike as things are when its pass begins. */
static bool can_strike(struct verify_run *run, const struct verify_ordered *o)
{
    const struct verify_event *event = run->e;
    struct verify_op of_event = run->op, op = verify_pack_op(&run->pack, o->op);
    bool has_op = run->has_op, strikes = true;
    struct verify_event trial = { .type = EVENT_INCIDENT,
                                  .turn = o->turn,
                                  .pass = o->pass,
                                  .phase = o->pass < run->passes ? run->plan[o->pass].phase : 0,
                                  .actor = ACTOR_WORLD,
                                  .op = o->op,
                                  .arg_count = o->count };
    memcpy(trial.args, o->args, sizeof(trial.args));
    trial.place = place_of_args(run, &op, trial.args);
    run->e = &trial;
    run->op = op;
    run->has_op = true;
    struct verify_frame frame = verify_run_frame(run, run->cells);
    for (unsigned i = 0; strikes && i < op.conds; i++)
        strikes =
            verify_code_run(&frame, verify_pack_cond(&run->pack, op.cond_first + i).code) != 0;
    strikes = strikes && verify_edit_bar(run) == 0 && !verify_overdraws(run);
    run->e = event;
    run->op = of_event;
    run->has_op = has_op;
    return strikes;
}

/* Incidents strike in the order in which they were ordered, before all else of their pass. */
static uint32_t incident_due(struct verify_run *run)
{
    const struct verify_event *e = run->e;
    uint32_t by = 0;
    while (by == 0 && run->incident_count > 0) {
        struct verify_ordered o = run->incidents[0];
        memmove(run->incidents, run->incidents + 1,
                --run->incident_count * sizeof(run->incidents[0]));
        if (!can_strike(run, &o))
            continue;
        by = o.by;
        if (e->type != EVENT_INCIDENT || e->op != o.op || e->pass != o.pass ||
            e->arg_count != o.count || memcmp(e->args, o.args, o.count) != 0)
            verify_say(run, VERIFY_ORDER, "the incident that event %u orders should strike now",
                       o.by);
    }
    return by;
}

/* The actor's next choice is what was ordered, whatever the world binds. */
static uint32_t act_due(struct verify_run *run)
{
    const struct verify_event *e = run->e;
    struct verify_ordered o = run->acts[e->actor];
    run->acts[e->actor].by = 0;
    if (o.by == 0)
        return 0;
    bool same = run->has_op && e->op == o.op && e->arg_count == o.count;
    for (unsigned i = 0; same && i < o.count && i < run->op.parms; i++)
        same = e->args[i] == o.args[i] ||
               verify_pack_parm(&run->pack, run->op.parm_first + i).hidden != 0;
    if (!same)
        verify_say(run, VERIFY_ORDER, "event %u orders its actor to do something else now", o.by);
    return o.by;
}

void verify_edit_owed(struct verify_run *run)
{
    const struct verify_event *e = run->e;
    bool played =
        e->type != EVENT_STARTED && e->type != EVENT_CANCELLED && !verify_is_outside(e->type);
    run->ordered = 0;
    if (!played)
        return;
    if (run->incident_count > 0)
        run->ordered = incident_due(run);
    if (verify_is_choice(e->type) && verify_is_character(run, e->actor)) {
        uint32_t by = act_due(run);
        run->ordered = by != 0 ? by : run->ordered;
    }
    check_bars(run);
}
