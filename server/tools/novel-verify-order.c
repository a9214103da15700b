#include "server/tools/novel-verify-run.h"

#include <string.h>

enum { SETUP = 1, COMPLICATION, CRISIS, CLIMAX, RESOLUTION };

/* Shares of N by largest remainder, the earlier phase first among equals; none is left empty. */
static void phase_lengths(unsigned turns, unsigned lengths[6])
{
    static const unsigned share[6] = { 0, 18, 37, 20, 13, 12 };
    unsigned rest[6], given = 0;
    for (unsigned p = SETUP; p <= RESOLUTION; p++) {
        lengths[p] = share[p] * turns / 100;
        rest[p] = share[p] * turns % 100 + 1; /* 0: has its extra turn */
        given += lengths[p];
    }
    for (; given < turns; given++) {
        unsigned best = SETUP;
        for (unsigned p = COMPLICATION; p <= RESOLUTION; p++)
            if (rest[p] > rest[best])
                best = p;
        lengths[best]++;
        rest[best] = 0;
    }
    for (unsigned p = SETUP; p <= RESOLUTION; p++) {
        if (lengths[p] > 0)
            continue;
        unsigned largest = SETUP;
        for (unsigned q = COMPLICATION; q <= RESOLUTION; q++)
            if (lengths[q] > lengths[largest])
                largest = q;
        lengths[largest]--;
        lengths[p]++;
    }
}

static void add_beat(struct verify_run *run, unsigned turn, unsigned phase)
{
    for (unsigned i = 0; i < (run->turns <= 6 ? 2u : 1u) && run->passes < VERIFY_PASSES_MAX; i++) {
        run->plan[run->passes].turn = (uint8_t) turn;
        run->plan[run->passes].phase = (uint8_t) phase;
        run->passes++;
    }
}

/* The plan for run->turns turns, as far as it comes after the turns done. */
static void add_plan(struct verify_run *run, unsigned done)
{
    struct beat {
        uint8_t turn, phase;
    };
    static const struct beat few[4][5] = {
        { { 1, SETUP }, { 1, COMPLICATION }, { 1, CRISIS }, { 1, CLIMAX }, { 1, RESOLUTION } },
        { { 1, SETUP }, { 1, COMPLICATION }, { 2, CLIMAX }, { 2, RESOLUTION } },
        { { 1, SETUP }, { 2, CRISIS }, { 3, CLIMAX }, { 3, RESOLUTION } },
        { { 1, SETUP }, { 2, COMPLICATION }, { 3, CRISIS }, { 4, CLIMAX }, { 4, RESOLUTION } },
    };
    unsigned turns = run->turns;
    if (turns <= 4) {
        for (unsigned i = 0; i < 5 && few[turns - 1][i].turn != 0; i++)
            if (few[turns - 1][i].turn > done)
                add_beat(run, few[turns - 1][i].turn, few[turns - 1][i].phase);
        return;
    }
    unsigned lengths[6], turn = 1;
    phase_lengths(turns, lengths);
    for (unsigned p = SETUP; p <= RESOLUTION; p++)
        for (unsigned i = 0; i < lengths[p]; i++, turn++)
            if (turn > done)
                add_beat(run, turn, p);
}

void verify_plan_init(struct verify_run *run)
{
    run->passes = 0;
    add_plan(run, 0);
}

/* Passes of turns that are done stay, what comes is planned anew. */
static void check_forked(struct verify_run *run)
{
    const struct verify_event *e = run->e;
    unsigned played = 0;
    if (e->turns <= e->turn) {
        verify_say(run, VERIFY_ORDER, "%u turns are done, %u are wanted", e->turn, e->turns);
        return;
    }
    while (played < run->passes && run->plan[played].turn <= e->turn)
        played++;
    run->turns = e->turns;
    run->passes = (uint16_t) played;
    add_plan(run, e->turn);
}

/* ---- order ----------------------------------------------------------------------------------- */

/* "Each chooses": nobody who looked and is still awake may have been left out, but for those
 * outside the cast of whom the events of the pass say that they let it go by. */
static void finish_pass(struct verify_run *run)
{
    char name[64];
    uint32_t cast = (1u << run->world.cast) - 1;
    if ((run->silent & (cast | run->acted | ~run->watched)) != 0)
        verify_say(run, VERIFY_ORDER,
                   "0x%x let pass %u go by, and one of them is of the cast, or acted, or slept",
                   run->silent, run->pass);
    for (unsigned c = 0; verify_is_character(run, c); c++) {
        bool awake = verify_run_named(run, NAMED_AWAKE, (int) c, 0, 0) == 1;
        if (!awake || ((run->acted | run->silent) >> c & 1) != 0 ||
            (run->looked && (run->watched >> c & 1) == 0))
            continue;
        verify_text_copy(run->world.entities[SORT_CHAR][c].name, name, sizeof(name));
        verify_say(run, VERIFY_ORDER, "pass %u ends, and %s, who was awake, did nothing in it",
                   run->pass, name);
    }
}

/* Passes are passed over only while nobody is awake to play them. */
static void begin_pass(struct verify_run *run, uint16_t pass)
{
    bool awake = false;
    for (unsigned c = 0; verify_is_character(run, c); c++)
        awake = awake || verify_run_named(run, NAMED_AWAKE, (int) c, 0, 0) == 1;
    if (pass > run->pass + 1 && awake)
        verify_say(run, VERIFY_ORDER, "pass %u follows pass %u", pass, run->pass);
    run->pass = pass;
    run->looked = false;
    run->acted = run->watched = run->silent = 0;
    run->silent_known = false;
    memset(run->used, 0, sizeof(run->used));
}

static void check_beat(struct verify_run *run)
{
    const struct verify_event *e = run->e;
    if (e->pass >= run->passes) {
        verify_say(run, VERIFY_ORDER, "pass %u is not one of the story's %u", e->pass, run->passes);
        return;
    }
    unsigned turn = run->plan[e->pass].turn,
             before = e->pass == 0 ? 0 : run->plan[e->pass - 1].turn;
    if (e->type == EVENT_STARTED)
        turn = 0;
    if (e->type == EVENT_CANCELLED || verify_is_outside(e->type)) {
        /* stands where the next turn would have begun */
        if (turn == before || run->previous.turn > before)
            verify_say(run, VERIFY_ORDER, "%s in the middle of turn %u",
                       verify_event_type_name(e->type), turn);
        turn = before;
    }
    if (e->turn != turn)
        verify_say(run, VERIFY_ORDER, "pass %u belongs to turn %u", e->pass, turn);
    if (e->phase != run->plan[e->pass].phase)
        verify_say(run, VERIFY_ORDER, "pass %u belongs to phase %u, not %u", e->pass,
                   run->plan[e->pass].phase, e->phase);
    if (e->pass < run->pass)
        verify_say(run, VERIFY_ORDER, "pass %u comes after pass %u", e->pass, run->pass);
    else if (e->pass > run->pass) {
        finish_pass(run);
        begin_pass(run, e->pass);
    }
}

/* All events after the looking name the same silent ones. */
static void check_silent(struct verify_run *run)
{
    const struct verify_event *e = run->e;
    bool before =
        verify_is_frame(e->type) || verify_is_outside(e->type) || e->type == EVENT_INCIDENT;
    if (before ? e->silent != 0 : run->silent_known && e->silent != run->silent)
        verify_say(run, VERIFY_ORDER, "it says that 0x%x let the pass go by, others 0x%x",
                   e->silent, before ? 0u : run->silent);
    if (before)
        return;
    run->silent = e->silent;
    run->silent_known = true;
}

/* Who may follow whom within a pass. */
static void check_place_in_pass(struct verify_run *run)
{
    const struct verify_event *e = run->e, *last = &run->previous;
    bool same_pass = last->pass == e->pass;
    if (e->type == EVENT_INCIDENT && run->looked)
        verify_say(run, VERIFY_ORDER, "an incident after the pass's looking");
    if (e->type == EVENT_REACTION) {
        bool act =
            last->type == EVENT_ACTION || last->type == EVENT_SPEECH || last->type == EVENT_THOUGHT;
        if (!act || !same_pass)
            verify_say(run, VERIFY_ORDER, "a reaction that follows no act of its pass");
        else if (last->actor == e->actor)
            verify_say(run, VERIFY_ORDER, "a reaction to an act of one's own");
        else if (verify_is_character(run, e->actor) && (last->witnesses >> e->actor & 1) == 0)
            verify_say(run, VERIFY_ORDER, "a reaction by somebody who did not witness the act");
    }
    bool repairs = verify_is_choice(e->type) && e->type != EVENT_REJECTED &&
                   e->actor == last->actor && same_pass;
    if (last->type == EVENT_REJECTED && !repairs)
        verify_say(run, VERIFY_ORDER,
                   "event %u was rejected, and its actor's repair does not follow", last->sequence);
    if (verify_is_choice(e->type) && verify_is_character(run, e->actor)) {
        if ((run->acted >> e->actor & 1) != 0 && !(last->type == EVENT_REJECTED && repairs))
            verify_say(run, VERIFY_ORDER, "its actor has already had a turn in pass %u", e->pass);
        run->acted |= 1u << e->actor;
    }
    check_silent(run);
}

static void check_completed(struct verify_run *run)
{
    const struct verify_event *e = run->e;
    if (e->pass + 1 != run->passes)
        verify_say(run, VERIFY_ORDER, "COMPLETED in pass %u of %u", e->pass, run->passes);
    if (e->turns != run->turns)
        verify_say(run, VERIFY_ORDER, "%u turns are counted, %u were asked for", e->turns,
                   run->turns);
    finish_pass(run);
}

void verify_order_check(struct verify_run *run)
{
    const struct verify_event *e = run->e, *last = &run->previous;
    if (e->sequence != last->sequence + 1)
        verify_say(run, VERIFY_ORDER, "sequence %u follows %u", e->sequence, last->sequence);
    if ((e->type == EVENT_STARTED) != (last->type == 0))
        verify_say(run, VERIFY_ORDER,
                   last->type == 0 ? "the first event is not STARTED" : "STARTED again");
    if (last->type == EVENT_COMPLETED || last->type == EVENT_CANCELLED)
        verify_say(run, VERIFY_ORDER, "an event after the last");
    if (e->type == EVENT_FAILED)
        verify_say(run, VERIFY_FORMAT, "%s events have no meaning in format 1",
                   verify_event_type_name(e->type));
    if (e->type == EVENT_STARTED && e->pass != 0)
        verify_say(run, VERIFY_ORDER, "STARTED in pass %u", e->pass);
    if (e->type == EVENT_FORKED)
        check_forked(run);
    check_beat(run);
    check_place_in_pass(run);
    if (e->type == EVENT_COMPLETED)
        check_completed(run);
}

/* ---- time and threads ------------------------------------------------------------------------ */

void verify_time_check(struct verify_run *run)
{
    const struct verify_event *e = run->e;
    bool somebody = verify_is_character(run, e->actor);
    uint32_t minute =
        (uint32_t) e->pass * VERIFY_MINUTES_A_PASS + (somebody ? run->used[e->actor] : 0);
    if (e->minute != minute)
        verify_say(run, VERIFY_TIME, "it happens at minute %u, the event says %u", minute,
                   e->minute);
    if (!somebody || !run->has_op || e->type == EVENT_REACTION || e->type == EVENT_REJECTED)
        return;
    run->used[e->actor] = (uint16_t) (run->used[e->actor] + run->op.minutes);
    if (run->used[e->actor] > VERIFY_MINUTES_A_PASS)
        verify_say(run, VERIFY_TWICE, "its actor uses %u minutes of a pass, which has %d",
                   run->used[e->actor], VERIFY_MINUTES_A_PASS);
}

void verify_threads_check(struct verify_run *run)
{
    const struct verify_event *e = run->e;
    for (unsigned i = 0; i < e->thread_count; i++) {
        const struct verify_thread *t = &e->threads[i];
        uint8_t *state = &run->threads[t->thread][t->about];
        if (*state == 3)
            verify_say(run, VERIFY_REOPENED, "thread %u about %u changes after it was closed",
                       t->thread, t->about);
        else if (t->change == 1 && *state != 0)
            verify_say(run, VERIFY_THREAD, "thread %u about %u is opened twice", t->thread,
                       t->about);
        else if (t->change != 1 && *state == 0 && !run->carried_threads[t->about])
            verify_say(run, VERIFY_THREAD, "thread %u about %u moves before it was opened",
                       t->thread, t->about);
        if (*state != 3)
            *state = t->change == 3 ? 3 : 1;
    }
}
