#include "server/tools/novel-verify-run.h"

#include <string.h>

/* ---- operator, arguments, actor -------------------------------------------------------------- */

static const uint8_t type_of_kind[] = {
    [KIND_ACTION] = EVENT_ACTION,   [KIND_REACTION] = EVENT_REACTION, [KIND_SPEECH] = EVENT_SPEECH,
    [KIND_THOUGHT] = EVENT_THOUGHT, [KIND_INCIDENT] = EVENT_INCIDENT,
};

/* `judged`: the world was asked for the hidden parameter, check_hidden knows what it has to be;
 * before that it is unbound. */
static bool args_fit(const struct verify_run *run, const struct verify_op *op, const uint8_t *args,
                     unsigned count, bool judged)
{
    if (count != op->parms)
        return false;
    for (unsigned i = 0; i < count; i++) {
        struct verify_parm parm = verify_pack_parm(&run->pack, op->parm_first + i);
        bool unbound = args[i] == NONE_U8;
        bool fits = !unbound && args[i] < run->world.counts[parm.sort];
        if (parm.hidden == 0 ? !fits : judged ? !fits && !unbound : !unbound)
            return false;
    }
    return true;
}

static void check_actor(struct verify_run *run)
{
    const struct verify_event *e = run->e;
    bool somebody = verify_is_character(run, e->actor);
    if (!somebody && e->actor != ACTOR_WORLD && e->actor != ACTOR_DIRECTOR) {
        verify_say(run, VERIFY_UNKNOWABLE, "there is no character %u to act", e->actor);
        return;
    }
    if ((verify_is_frame(e->type) || verify_is_outside(e->type)) && e->actor != ACTOR_DIRECTOR)
        verify_say(run, VERIFY_ORDER, "%s is not the director's", verify_event_type_name(e->type));
    if (e->type == EVENT_INCIDENT && e->actor != ACTOR_WORLD)
        verify_say(run, VERIFY_ORDER, "an incident is not the world's");
    bool wanted = run->has_op && (run->op.flags & OP_NO_ACTOR) == 0;
    if (somebody != wanted)
        verify_say(run, VERIFY_UNKNOWABLE,
                   wanted ? "its operator needs an actor" : "it can't have an actor");
    else if (wanted && (e->arg_count == 0 || e->args[0] != e->actor))
        verify_say(run, VERIFY_UNKNOWABLE, "its first argument is not its actor");
    if (somebody && e->type != EVENT_REJECTED && (run->before.awake >> e->actor & 1) == 0)
        verify_say(run, VERIFY_BODY, "its actor is not awake");
}

static void check_alternatives(struct verify_run *run)
{
    const struct verify_event *e = run->e;
    for (unsigned i = 0; i < 2; i++) {
        const struct verify_choice *a = &e->alternatives[i];
        if (a->op == NONE_U16) {
            if (a->count != 0 || a->utility != 0)
                verify_say(run, VERIFY_UTILITY,
                           "an alternative that is none has arguments or a utility");
            continue;
        }
        if (a->op >= run->pack.oper.count) {
            verify_say(run, VERIFY_UTILITY, "alternative %u names no operator", i + 1);
            continue;
        }
        struct verify_op op = verify_pack_op(&run->pack, a->op);
        if (!args_fit(run, &op, a->args, a->count, false) || (op.flags & OP_NO_ACTOR) != 0 ||
            a->args[0] != e->actor)
            verify_say(run, VERIFY_UTILITY, "alternative %u is nothing that its actor could do",
                       i + 1);
        if (a->op == e->op && a->count == e->arg_count && memcmp(a->args, e->args, a->count) == 0)
            verify_say(run, VERIFY_UTILITY, "alternative %u is what was chosen", i + 1);
    }
    const struct verify_choice *best = &e->alternatives[0], *second = &e->alternatives[1];
    if (second->op != NONE_U16 && (best->op == NONE_U16 || second->utility > best->utility))
        verify_say(run, VERIFY_UTILITY, "the alternatives do not descend by utility");
    if (best->op != NONE_U16 && e->verdict != VERDICT_REPAIRED && run->ordered == 0 &&
        best->utility > e->utility)
        verify_say(run, VERIFY_UTILITY, "an alternative of %d was better than the choice of %d",
                   best->utility, e->utility);
}

static void check_utility(struct verify_run *run)
{
    const struct verify_event *e = run->e;
    int32_t sum = 0;
    bool any = false;
    for (unsigned i = 0; i < TERM_COUNT; i++) {
        sum += e->terms[i];
        any = any || e->terms[i] != 0;
    }
    if (sum != e->utility)
        verify_say(run, VERIFY_UTILITY, "the terms sum to %d, the utility says %d", sum,
                   e->utility);
    bool chosen = verify_is_choice(e->type) || e->type == EVENT_REACTION;
    if (!chosen && (any || e->alternatives[0].op != NONE_U16))
        verify_say(run, VERIFY_UTILITY, "nobody chose it, and it has terms or alternatives");
}

void verify_shape_check(struct verify_run *run)
{
    const struct verify_event *e = run->e;
    if (verify_is_frame(e->type)) {
        if (e->op != NONE_U16 || e->arg_count != 0)
            verify_say(run, VERIFY_EFFECT, "%s has an operator", verify_event_type_name(e->type));
        run->has_op = false;
    } else if (verify_is_outside(e->type)) { /* its operator is what it orders, nothing it does */
        run->has_op = false;
    } else if (!run->has_op) {
        verify_say(run, VERIFY_EFFECT, "there is no operator %u", e->op);
    } else {
        unsigned type = type_of_kind[run->op.kind];
        if (e->type == EVENT_REJECTED ? !verify_is_choice(type) : type != e->type)
            verify_say(run, VERIFY_FORMAT, "its operator is of another kind than %s",
                       verify_event_type_name(e->type));
        if (!args_fit(run, &run->op, e->args, e->arg_count, e->type != EVENT_REJECTED))
            verify_say(run, VERIFY_UNKNOWABLE, "an argument is not an entity of its sort");
    }
    check_actor(run);
    check_utility(run);
    check_alternatives(run);
}

/* ---- conditions ------------------------------------------------------------------------------ */

/* Marks the cells it reads; *out_first is the first of them, or none. */
static bool holds(struct verify_run *run, const int16_t *cells, const struct verify_cond *cond,
                  uint16_t *out_first)
{
    struct verify_frame frame = verify_run_frame(run, cells);
    frame.reads = &run->reads;
    run->reads.first = NONE_U16;
    bool result = verify_code_run(&frame, cond->code) != 0;
    *out_first = run->reads.first;
    return result;
}

static unsigned law_of(const struct verify_run *run, const struct verify_cond *cond, uint16_t first)
{
    if (cond->law != 0)
        return cond->law;
    uint8_t law = first == NONE_U16 ? 0 : run->pack.fluents[run->world.cell_fluent[first]].law;
    return law != 0 ? law : VERIFY_UNKNOWABLE;
}

static void say_condition(struct verify_run *run, unsigned code, unsigned index, uint16_t first,
                          const char *where)
{
    char what[96] = "no cell";
    if (first != NONE_U16)
        verify_world_describe(&run->world, &run->pack, first, what);
    verify_say(run, code, "condition %u of its operator, on %s, is false %s", index + 1, what,
               where);
}

/* Whether the world would say yes to these arguments; what is only tried is not read. */
bool verify_wheres_hold(struct verify_run *run, const uint8_t *args)
{
    struct verify_frame frame = verify_run_frame(run, run->cells);
    frame.args = args;
    for (unsigned i = 0; i < run->op.conds; i++) {
        struct verify_cond cond = verify_pack_cond(&run->pack, run->op.cond_first + i);
        if (cond.kind != 0 && verify_code_run(&frame, cond.code) == 0)
            return false;
    }
    return true;
}

/* Index of the operator's hidden parameter, of which there is at most one; -1 without one. */
int verify_hidden_parm(const struct verify_run *run)
{
    for (unsigned i = 0; i < run->op.parms; i++)
        if (verify_pack_parm(&run->pack, run->op.parm_first + i).hidden != 0)
            return (int) i;
    return -1;
}

unsigned verify_hidden_due(struct verify_run *run, unsigned parm)
{
    const struct verify_event *e = run->e;
    unsigned sort = verify_pack_parm(&run->pack, run->op.parm_first + parm).sort, count = 0;
    uint8_t args[sizeof(e->args)], fits[256];
    memcpy(args, e->args, sizeof(args));
    for (unsigned entity = 0; entity < run->world.counts[sort]; entity++) {
        args[parm] = (uint8_t) entity;
        if (verify_wheres_hold(run, args))
            fits[count++] = (uint8_t) entity;
    }
    return count == 0 ? NONE_U8 : fits[verify_run_below(run, STREAM_HIDDEN, count)];
}

/* What the world had for the hidden parameter: one of the entities for which every where holds,
 * drawn by stream 5; nothing only if there is none. */
static void check_hidden(struct verify_run *run, unsigned parm)
{
    unsigned due = verify_hidden_due(run, parm);
    run->in_vain = due == NONE_U8;
    if (run->e->args[parm] != due)
        verify_say(run, VERIFY_EFFECT,
                   "what the world gives it as argument %u is %u, the event says %u", parm + 1, due,
                   run->e->args[parm]);
}

/* A where is the world's answer: if it is no, the act fails, and if it can't fail, it was not
 * possible. */
static void check_wheres(struct verify_run *run)
{
    const struct verify_event *e = run->e;
    bool can_fail = run->op.outcomes[OUTCOME_FAIL].possible;
    int hidden = verify_hidden_parm(run);
    for (unsigned i = 0; i < run->op.conds; i++) {
        struct verify_cond cond = verify_pack_cond(&run->pack, run->op.cond_first + i);
        uint16_t first;
        if (cond.kind == 0 || holds(run, run->cells, &cond, &first))
            continue;
        run->in_vain = true;
        if (!can_fail)
            say_condition(run, law_of(run, &cond, first), i, first, "before the event");
    }
    if (hidden >= 0 && e->arg_count == run->op.parms)
        check_hidden(run, (unsigned) hidden);
}

/* What its actor's beliefs read may prevent an act that was ordered. */
static void mark_believed(struct verify_run *run, const struct verify_cond *cond)
{
    uint32_t latest = run->reads.latest;
    uint16_t first;
    if (verify_is_character(run, run->e->actor))
        (void) holds(run, run->chosen + (size_t) run->e->actor * run->world.cells, cond, &first);
    run->reads.latest = latest;
}

void verify_conditions_check(struct verify_run *run)
{
    const struct verify_event *e = run->e;
    run->reads.stamp++;
    run->reads.latest = 0;
    run->in_vain = false;
    run->barred_by = 0;
    if (!run->has_op)
        return;
    bool believing = e->type == EVENT_ACTION || e->type == EVENT_SPEECH || e->type == EVENT_THOUGHT;
    bool tried = e->type == EVENT_REJECTED && run->ordered != 0;
    for (unsigned i = 0; i < run->op.conds; i++) {
        struct verify_cond cond = verify_pack_cond(&run->pack, run->op.cond_first + i);
        uint16_t first;
        if (believing && cond.kind != 0)
            continue;
        if (!holds(run, run->cells, &cond, &first) && e->type != EVENT_REJECTED)
            say_condition(run, law_of(run, &cond, first), i, first, "before the event");
        if (tried && cond.kind == 0)
            mark_believed(run, &cond);
        if (!believing || !verify_is_character(run, e->actor))
            continue;
        /* What a belief reads may be named as a cause; what must be named is what the state reads.
         */
        uint32_t latest = run->reads.latest;
        if (!holds(run, run->chosen + (size_t) e->actor * run->world.cells, &cond, &first))
            say_condition(run, VERIFY_UNKNOWABLE, i, first, "in what its actor believes");
        run->reads.latest = latest;
    }
    if (believing)
        check_wheres(run);
}

/* ---- social and narrative rules -------------------------------------------------------------- */

/* The first argument after the actor that is a character, or -1. */
static int target_of(const struct verify_run *run)
{
    const struct verify_event *e = run->e;
    for (unsigned i = 1; i < e->arg_count && i < run->op.parms; i++)
        if (verify_pack_parm(&run->pack, run->op.parm_first + i).sort == SORT_CHAR &&
            verify_is_character(run, e->args[i]))
            return e->args[i];
    return -1;
}

/* Whether the event, if it came to pass, would break the rule of that code. */
static bool breaks(const struct verify_run *run, unsigned code)
{
    const struct verify_event *e = run->e;
    int wish = e->terms[TERM_GOAL] + e->terms[TERM_DRIVE] + e->terms[TERM_EMOTION];
    int target = target_of(run);
    if (!verify_is_character(run, e->actor))
        return false;
    switch (code) {
    case VERIFY_PERSONA:
        return e->terms[TERM_TRAIT] < -120 && wish + e->terms[TERM_NORM] < 150;
    case VERIFY_CANON: /* what its effects would be is not asked: it is about what is settled */
        for (unsigned i = 1; i < e->arg_count && i < run->op.parms; i++)
            if (verify_pack_parm(&run->pack, run->op.parm_first + i).sort == SORT_FACT &&
                verify_is_canon(run, e->args[i]))
                return true;
        return false;
    case VERIFY_DEFIES:
        return (run->op.flags & OP_DEFIES) != 0 && target >= 0 &&
               verify_run_named(run, NAMED_STANDING, target, 0, 0) >
                   verify_run_named(run, NAMED_STANDING, e->actor, 0, 0) &&
               wish + e->terms[TERM_RELATION] < 150;
    case VERIFY_BETRAYS:
        return (run->op.flags & OP_BETRAYS) != 0 && target >= 0 &&
               verify_run_named(run, NAMED_TRUST, e->actor, target, 0) > 60 &&
               wish + e->terms[TERM_RELATION] < 300;
    default:
        return false;
    }
}

void verify_social_check(struct verify_run *run)
{
    if (!run->has_op || run->e->type == EVENT_REJECTED)
        return;
    if (breaks(run, VERIFY_PERSONA))
        verify_say(run, VERIFY_PERSONA, "out of character (trait %d) without anything that presses",
                   run->e->terms[TERM_TRAIT]);
    if (breaks(run, VERIFY_DEFIES))
        verify_say(run, VERIFY_DEFIES, "it defies somebody of higher standing without motive");
    if (breaks(run, VERIFY_BETRAYS))
        verify_say(run, VERIFY_BETRAYS, "it betrays somebody who is trusted, without motive");
}

/* ---- verdicts -------------------------------------------------------------------------------- */

/* Whether a false need reports `code`; *out_reason when its first cell is the event's reason. */
static bool need_fails(struct verify_run *run, unsigned code, bool *out_reason)
{
    bool found = false;
    for (unsigned i = 0; i < run->op.conds; i++) {
        struct verify_cond cond = verify_pack_cond(&run->pack, run->op.cond_first + i);
        uint16_t first;
        if (cond.kind != 0 || holds(run, run->cells, &cond, &first) ||
            law_of(run, &cond, first) != code)
            continue;
        found = true;
        *out_reason = *out_reason || first == run->e->reason;
    }
    return found;
}

/* What else may stand against an act that an edit ordered: a bar, a need that is false in what its
 * actor believes, a resource that it would overdraw. */
static bool ordered_fails(struct verify_run *run, unsigned code, bool *out_need, bool *out_reason)
{
    const struct verify_event *e = run->e;
    bool found = false;
    if (run->ordered == 0 || !verify_is_character(run, e->actor))
        return false;
    if (code == VERIFY_BAN)
        return (run->barred_by = verify_edit_bar(run)) != 0;
    if (code == VERIFY_RANGE)
        return verify_overdraws(run);
    for (unsigned i = 0; code == VERIFY_UNKNOWABLE && i < run->op.conds; i++) {
        struct verify_cond cond = verify_pack_cond(&run->pack, run->op.cond_first + i);
        uint16_t first;
        if (cond.kind != 0 ||
            holds(run, run->chosen + (size_t) e->actor * run->world.cells, &cond, &first))
            continue;
        found = true;
        *out_reason = *out_reason || first == e->reason;
    }
    *out_need = *out_need || found;
    return found;
}

static void check_rejected(struct verify_run *run)
{
    const struct verify_event *e = run->e;
    bool need = false, reason = false;
    char name[16];
    if (e->delta_count != 0 || e->belief_count != 0)
        verify_say(run, VERIFY_EFFECT, "a rejected event changes something");
    if (e->code_count == 0)
        verify_say(run, VERIFY_VERDICT, "rejected without a code");
    for (unsigned i = 0; i < e->code_count && run->has_op; i++) {
        bool fails = need_fails(run, e->codes[i], &reason);
        need = need || fails;
        if (fails || ordered_fails(run, e->codes[i], &need, &reason) || breaks(run, e->codes[i]))
            continue;
        verify_code_name(e->codes[i], name);
        verify_say(run, VERIFY_VERDICT, "rejected for %s, which it does not break", name);
    }
    if (need ? !reason : e->reason != NONE_U16)
        verify_say(run, VERIFY_VERDICT, "its reason is not what a false need reads first");
}

static void check_repaired(struct verify_run *run)
{
    const struct verify_event *e = run->e, *tried = &run->previous;
    if (tried->type != EVENT_REJECTED || tried->actor != e->actor) {
        verify_say(run, VERIFY_VERDICT, "repaired, and nothing was rejected before it");
        return;
    }
    if (e->code_count != tried->code_count || memcmp(e->codes, tried->codes, e->code_count) != 0)
        verify_say(run, VERIFY_VERDICT, "its codes are not those of what was tried");
    if (!run->has_op || tried->op >= run->pack.oper.count)
        return;
    struct verify_op first = verify_pack_op(&run->pack, tried->op);
    bool same_args =
        e->arg_count == tried->arg_count && memcmp(e->args, tried->args, e->arg_count) == 0;
    bool fits = e->repair == REPAIR_REBIND    ? e->op == tried->op && !same_args
                : e->repair == REPAIR_SIBLING ? e->op != tried->op && run->op.family == first.family
                : e->repair == REPAIR_LOWER   ? e->op != tried->op
                                              : e->op != tried->op || !same_args;
    if (!fits)
        verify_say(run, VERIFY_VERDICT, "repair %u can't make this of what was tried", e->repair);
}

void verify_verdict_check(struct verify_run *run)
{
    const struct verify_event *e = run->e;
    bool after_rejected = run->previous.type == EVENT_REJECTED && run->previous.actor == e->actor &&
                          verify_is_choice(e->type);
    if ((e->type == EVENT_REJECTED) != (e->verdict == VERDICT_REJECTED))
        verify_say(run, VERIFY_VERDICT, "verdict %u does not fit %s", e->verdict,
                   verify_event_type_name(e->type));
    if ((e->repair != REPAIR_NONE) != (e->verdict == VERDICT_REPAIRED))
        verify_say(run, VERIFY_VERDICT, "repair %u does not fit verdict %u", e->repair, e->verdict);
    if (e->verdict == VERDICT_VALID && (e->code_count != 0 || e->reason != NONE_U16))
        verify_say(run, VERIFY_VERDICT, "valid, and it carries codes or a reason");
    if (after_rejected && e->verdict == VERDICT_VALID)
        verify_say(run, VERIFY_VERDICT,
                   "it replaces what was rejected, and is not called repaired");
    if (e->verdict == VERDICT_REPAIRED)
        check_repaired(run);
    if (e->type == EVENT_REJECTED)
        check_rejected(run);
}
