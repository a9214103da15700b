#include "server/tools/novel-verify-run.h"

static bool has_kind(const struct verify_event *e, unsigned kind)
{
    for (unsigned i = 0; i < e->cause_count; i++)
        if (e->causes[i].kind == kind)
            return true;
    return false;
}

/* A tally of the world that the event itself moves on: what stood there before is a cause too. */
static bool builds_on(const struct verify_run *run, uint16_t cell)
{
    const struct verify_event *e = run->e;
    if (run->pack.fluents[run->world.cell_fluent[cell]].sort1 == SORT_CHAR)
        return false;
    for (unsigned i = 0; i < e->delta_count; i++)
        if (e->deltas[i].cell == cell)
            return true;
    return false;
}

static void check_cause(struct verify_run *run, const struct verify_cause *cause)
{
    const struct verify_event *e = run->e;
    char what[96];
    if (cause->sequence == 0 || cause->sequence >= e->sequence) {
        verify_say(run, VERIFY_CAUSE, "a cause names event %u, which does not precede it",
                   cause->sequence);
        return;
    }
    if (cause->kind == CAUSE_INTERVENTION &&
        (cause->sequence != run->ordered || cause->cell != NONE_U16))
        verify_say(run, VERIFY_CAUSE, "event %u did not order it", cause->sequence);
    if (cause->kind == CAUSE_REACTS && e->type == EVENT_REACTION &&
        cause->sequence != run->previous.sequence)
        verify_say(run, VERIFY_CAUSE, "it reacts to event %u and not to the one before it",
                   cause->sequence);
    if ((cause->kind == CAUSE_REACTS && e->type != EVENT_REACTION) ||
        (cause->kind == CAUSE_PREVENTS && e->type != EVENT_REJECTED))
        verify_say(run, VERIFY_CAUSE, "a kind of cause that %s can't have",
                   verify_event_type_name(e->type));
    if (cause->cell == NONE_U16) {
        if (cause->kind == CAUSE_ENABLES || cause->kind == CAUSE_INFORMS)
            verify_say(run, VERIFY_CAUSE, "a cause that names no cell, and must");
        return;
    }
    if (cause->cell >= run->world.cells) {
        verify_say(run, VERIFY_CAUSE, "a cause names cell %u, there are %u", cause->cell,
                   run->world.cells);
        return;
    }
    verify_world_describe(&run->world, &run->pack, cause->cell, what);
    if (run->writer[cause->cell] != cause->sequence)
        verify_say(run, VERIFY_CAUSE, "%s was last changed by event %u, not by event %u", what,
                   run->writer[cause->cell], cause->sequence);
    bool belief =
        (run->pack.fluents[run->world.cell_fluent[cause->cell]].flags & FLUENT_BELIEF) != 0;
    if (belief ? cause->kind == CAUSE_ENABLES : cause->kind == CAUSE_INFORMS)
        verify_say(run, VERIFY_CAUSE, "%s %s, it does not %s", what, belief ? "informs" : "enables",
                   belief ? "enable" : "inform");
    bool of_condition = cause->kind == CAUSE_ENABLES || cause->kind == CAUSE_INFORMS ||
                        cause->kind == CAUSE_PREVENTS;
    if (cause->kind == CAUSE_ENABLES && builds_on(run, cause->cell))
        return;
    if (of_condition && run->reads.stamps[cause->cell] != run->reads.stamp)
        verify_say(run, VERIFY_CAUSE, "%s is a cause, and no condition of the operator reads it",
                   what);
}

/* Of what the conditions read, the latest change must stand among the causes. */
static void check_latest(struct verify_run *run)
{
    const struct verify_event *e = run->e;
    if (run->reads.latest <= 1)
        return;
    for (unsigned i = 0; i < e->cause_count; i++) {
        const struct verify_cause *cause = &e->causes[i];
        if (cause->sequence == run->reads.latest && cause->cell < run->world.cells &&
            run->reads.stamps[cause->cell] == run->reads.stamp)
            return;
    }
    verify_say(run, VERIFY_CAUSE, "its conditions rest on event %u, which is not among its causes",
               run->reads.latest);
}

/* What prevented it is what the false need read first. */
static void check_prevents(struct verify_run *run)
{
    const struct verify_event *e = run->e;
    for (unsigned i = 0; i < e->cause_count; i++)
        if (e->causes[i].kind == CAUSE_PREVENTS && e->causes[i].cell != e->reason)
            verify_say(run, VERIFY_CAUSE, "what prevents it is not its reason");
    for (unsigned i = 0; i < e->cause_count; i++)
        if (e->causes[i].kind == CAUSE_PREVENTS && e->code_count > 0 && run->barred_by != 0 &&
            e->codes[0] == VERIFY_BAN && e->causes[i].cell == NONE_U16 &&
            e->causes[i].sequence != run->barred_by)
            verify_say(run, VERIFY_CAUSE, "it is event %u that forbids it", run->barred_by);
}

void verify_causes_check(struct verify_run *run)
{
    const struct verify_event *e = run->e;
    if (e->cause_count == 0 && !verify_is_frame(e->type) && !verify_is_outside(e->type))
        verify_say(run, VERIFY_CAUSE, "it has no cause");
    if (e->type == EVENT_ACTION || e->type == EVENT_SPEECH || e->type == EVENT_THOUGHT) {
        if (!has_kind(e, CAUSE_MOTIVATES))
            verify_say(run, VERIFY_CAUSE, "nothing motivates it");
    } else if (e->type == EVENT_REACTION && !has_kind(e, CAUSE_REACTS)) {
        verify_say(run, VERIFY_CAUSE, "a reaction that reacts to nothing");
    } else if (e->type == EVENT_REJECTED && !has_kind(e, CAUSE_PREVENTS)) {
        verify_say(run, VERIFY_CAUSE, "nothing prevents it");
    }
    if (run->ordered != 0 && !has_kind(e, CAUSE_INTERVENTION))
        verify_say(run, VERIFY_CAUSE, "event %u ordered it, and is not among its causes",
                   run->ordered);
    for (unsigned i = 0; i < e->cause_count; i++)
        check_cause(run, &e->causes[i]);
    if (e->type == EVENT_REJECTED)
        check_prevents(run);
    if (run->has_op)
        check_latest(run);
}
