#include "tests/unit/engine/verify_changes.h"
#include <stdio.h>
#include <string.h>

#include "server/tools/novel-verify-pack.h"

static uint64_t dice = 88172645463325252u;

unsigned verify_draw(unsigned n)
{
    dice ^= dice << 13;
    dice ^= dice >> 7;
    dice ^= dice << 17;
    return (unsigned) (dice >> 11) % n;
}

/* A number from low to high that is another. */
static int other(int low, int high, int than)
{
    int value;
    do
        value = low + (int) verify_draw((unsigned) (high - low + 1));
    while (value == than);
    return value;
}

static bool plays(const struct verify_event *e)
{
    return e->op != NONE_U16;
}
static bool is_choice(const struct verify_event *e)
{
    return e->type == EVENT_ACTION || e->type == EVENT_SPEECH || e->type == EVENT_THOUGHT ||
           e->type == EVENT_REJECTED;
}

/* ---- deltas and beliefs ---------------------------------------------------------------------- */

static bool delta_after(struct verify_scene *s, unsigned i)
{
    struct verify_event *e = &s->events[i];
    if (e->delta_count == 0)
        return false;
    struct verify_delta *d = &e->deltas[verify_draw(e->delta_count)];
    int value = other(d->after - 5, d->after + 5, d->after);
    d->after = (int16_t) (value == d->before ? value + 11 : value);
    return true;
}

static bool delta_before(struct verify_scene *s, unsigned i)
{
    struct verify_event *e = &s->events[i];
    if (e->delta_count == 0)
        return false;
    struct verify_delta *d = &e->deltas[verify_draw(e->delta_count)];
    int value = other(d->before - 5, d->before + 5, d->before);
    d->before = (int16_t) (value == d->after ? value + 11 : value);
    return true;
}

static bool delta_cell(struct verify_scene *s, unsigned i)
{
    struct verify_event *e = &s->events[i];
    if (e->delta_count == 0)
        return false;
    unsigned k = verify_draw(e->delta_count);
    e->deltas[k].cell++;
    return k + 1u == e->delta_count || e->deltas[k].cell < e->deltas[k + 1].cell;
}

static bool delta_dropped(struct verify_scene *s, unsigned i)
{
    struct verify_event *e = &s->events[i];
    if (e->delta_count == 0)
        return false;
    unsigned k = verify_draw(e->delta_count);
    memmove(&e->deltas[k], &e->deltas[k + 1], (e->delta_count - k - 1u) * sizeof(e->deltas[0]));
    e->delta_count--;
    return true;
}

static bool delta_added(struct verify_scene *s, unsigned i)
{
    struct verify_event *e = &s->events[i];
    unsigned first = e->delta_count == 0 ? 0 : e->deltas[e->delta_count - 1].cell + 1u;
    if (e->delta_count == 32 || first >= s->story->cells)
        return false;
    unsigned cell = first + verify_draw(s->story->cells - first);
    e->deltas[e->delta_count++] = (struct verify_delta){ (uint16_t) cell, 0, 1 };
    return true;
}

static struct verify_belief *some_belief(struct verify_event *e)
{
    return e->belief_count == 0 ? NULL : &e->beliefs[verify_draw(e->belief_count)];
}

static bool belief_level(struct verify_scene *s, unsigned i)
{
    struct verify_belief *b = some_belief(&s->events[i]);
    if (b == NULL)
        return false;
    b->after = (uint8_t) other(0, 3, b->after);
    return b->after != b->before;
}

static bool belief_source(struct verify_scene *s, unsigned i)
{
    struct verify_belief *b = some_belief(&s->events[i]);
    if (b != NULL)
        b->source = (uint8_t) other(1, 5, b->source);
    return b != NULL;
}

static bool belief_informant(struct verify_scene *s, unsigned i)
{
    struct verify_belief *b = some_belief(&s->events[i]);
    if (b != NULL)
        b->informant = b->informant == NONE_U8 ? 0 : (uint8_t) (b->informant + 1);
    return b != NULL;
}

static bool belief_dropped(struct verify_scene *s, unsigned i)
{
    struct verify_event *e = &s->events[i];
    if (e->belief_count == 0)
        return false;
    unsigned k = verify_draw(e->belief_count);
    memmove(&e->beliefs[k], &e->beliefs[k + 1], (e->belief_count - k - 1u) * sizeof(e->beliefs[0]));
    e->belief_count--;
    return true;
}

static bool belief_added(struct verify_scene *s, unsigned i)
{
    struct verify_event *e = &s->events[i];
    if (e->belief_count != 0 || e->actor >= s->story->characters)
        return false;
    e->beliefs[0] = (struct verify_belief){ e->actor, 0, 0, 2, 1, NONE_U8 };
    e->belief_count = 1;
    return true;
}

/* ---- who, what, how it went ------------------------------------------------------------------ */

static bool witness(struct verify_scene *s, unsigned i)
{
    s->events[i].witnesses ^= 1u << verify_draw(s->story->characters);
    return true;
}

static bool roll(struct verify_scene *s, unsigned i)
{
    struct verify_event *e = &s->events[i];
    e->roll = (int16_t) other(0, 100, e->roll);
    return plays(e);
}

static bool skill(struct verify_scene *s, unsigned i)
{
    struct verify_event *e = &s->events[i];
    e->skill = (int16_t) other(0, 100, e->skill);
    return plays(e);
}

static bool difficulty(struct verify_scene *s, unsigned i)
{
    struct verify_event *e = &s->events[i];
    e->difficulty = (int16_t) other(0, 100, e->difficulty);
    return plays(e);
}

static bool outcome(struct verify_scene *s, unsigned i)
{
    struct verify_event *e = &s->events[i];
    e->outcome = (uint8_t) other(0, 4, e->outcome);
    return true;
}

static bool operator(struct verify_scene *s, unsigned i)
{
    struct verify_event *e = &s->events[i];
    e->op = (uint16_t) other(0, (int) s->story->operators - 1, e->op);
    return plays(e) && e->delta_count + e->belief_count > 0; /* else it may be just as idle */
}

static bool actor(struct verify_scene *s, unsigned i)
{
    struct verify_event *e = &s->events[i];
    e->actor = (uint8_t) other(0, (int) s->story->characters - 1, e->actor);
    return true;
}

static bool actor_and_argument(struct verify_scene *s, unsigned i)
{
    struct verify_event *e = &s->events[i];
    e->actor = e->args[0] = (uint8_t) other(0, (int) s->story->characters - 1, e->actor);
    return is_choice(e) && e->arg_count > 0;
}

/* Another entity than the one that it was done to; what fails may fail for either. */
static bool argument(struct verify_scene *s, unsigned i)
{
    struct verify_event *e = &s->events[i];
    if (e->arg_count < 2 || e->delta_count + e->belief_count == 0 || e->outcome == OUTCOME_FAIL)
        return false;
    unsigned k = 1 + verify_draw(e->arg_count - 1u);
    e->args[k] = e->args[k] == NONE_U8 ? 0 : (uint8_t) (e->args[k] == 0 ? 1 : e->args[k] - 1);
    return true;
}

static bool argument_unbound(struct verify_scene *s, unsigned i)
{
    struct verify_event *e = &s->events[i];
    if (e->arg_count == 0)
        return false;
    uint8_t *argument = &e->args[verify_draw(e->arg_count)];
    bool bound = *argument != NONE_U8;
    *argument = NONE_U8;
    return bound;
}

static bool place(struct verify_scene *s, unsigned i)
{
    struct verify_event *e = &s->events[i];
    e->place = (uint8_t) (e->place == NONE_U8 ? 0 : other(0, 4, e->place));
    return e->actor < s->story->characters;
}

/* ---- causes ---------------------------------------------------------------------------------- */

static bool causes_dropped(struct verify_scene *s, unsigned i)
{
    bool had = s->events[i].cause_count > 0;
    s->events[i].cause_count = 0;
    return had;
}

/* The kind that its type must have: MOTIVATES, REACTS or PREVENTS. */
static bool cause_required(struct verify_scene *s, unsigned i)
{
    struct verify_event *e = &s->events[i];
    unsigned kind = e->type == EVENT_REACTION   ? CAUSE_REACTS
                    : e->type == EVENT_REJECTED ? CAUSE_PREVENTS
                                                : CAUSE_MOTIVATES;
    if (!is_choice(e) && e->type != EVENT_REACTION)
        return false;
    for (unsigned k = 0; k < e->cause_count; k++)
        if (e->causes[k].kind == kind)
            e->causes[k].kind = CAUSE_FORESHADOWS;
    return true;
}

static bool cause_sequence(struct verify_scene *s, unsigned i)
{
    struct verify_event *e = &s->events[i];
    if (e->cause_count == 0 || i < 2)
        return false;
    struct verify_cause *c = &e->causes[verify_draw(e->cause_count)];
    c->sequence = (uint32_t) other(1, (int) i, (int) c->sequence);
    return c->cell != NONE_U16;
}

static bool cause_of_future(struct verify_scene *s, unsigned i)
{
    struct verify_event *e = &s->events[i];
    if (e->cause_count == 0)
        return false;
    e->causes[verify_draw(e->cause_count)].sequence = e->sequence + verify_draw(3);
    return true;
}

static bool cause_kind(struct verify_scene *s, unsigned i)
{
    struct verify_event *e = &s->events[i];
    if (e->cause_count == 0)
        return false;
    struct verify_cause *c = &e->causes[verify_draw(e->cause_count)];
    static const uint8_t changed[8] = {
        0, CAUSE_INFORMS, CAUSE_REACTS, CAUSE_ENABLES, CAUSE_ENABLES, CAUSE_ENABLES, CAUSE_PREVENTS
    };
    c->kind = changed[c->kind];
    return true;
}

static bool cause_cell(struct verify_scene *s, unsigned i)
{
    struct verify_event *e = &s->events[i];
    if (e->cause_count == 0)
        return false;
    struct verify_cause *c = &e->causes[verify_draw(e->cause_count)];
    bool later =
        c->sequence > 1 && c->cell != NONE_U16; /* of what was so from the start there is much */
    c->cell = (uint16_t) other(0, (int) s->story->cells - 1, c->cell);
    /* What the same event wrote as well may be named just as truly. */
    const struct verify_event *writer = &s->events[later ? c->sequence - 1 : 0];
    for (unsigned k = 0; k < writer->delta_count; k++)
        later = later && writer->deltas[k].cell != c->cell;
    return later;
}

/* ---- order and time -------------------------------------------------------------------------- */

static bool minute(struct verify_scene *s, unsigned i)
{
    s->events[i].minute += (uint32_t) other(-1, 30, 0);
    return true;
}

static bool turn(struct verify_scene *s, unsigned i)
{
    s->events[i].turn = (uint16_t) other(0, 12, s->events[i].turn);
    return true;
}

static bool pass(struct verify_scene *s, unsigned i)
{
    s->events[i].pass = (uint16_t) other(0, 12, s->events[i].pass);
    return true;
}

static bool phase(struct verify_scene *s, unsigned i)
{
    s->events[i].phase = (uint8_t) other(1, 5, s->events[i].phase);
    return true;
}

static bool type(struct verify_scene *s, unsigned i)
{
    struct verify_event *e = &s->events[i];
    bool frame = e->type == EVENT_STARTED || e->type == EVENT_COMPLETED;
    e->type = (uint8_t) other(EVENT_INCIDENT, EVENT_REJECTED, e->type);
    return !frame;
}

static bool sequence(struct verify_scene *s, unsigned i)
{
    s->events[i].sequence = (uint32_t) other(1, (int) s->count + 1, (int) s->events[i].sequence);
    return true;
}

/* The events behind `i` move by `by`; what they name moves with them. */
void verify_renumber(struct verify_scene *s, unsigned i, int by)
{
    for (unsigned k = 0; k < s->count; k++) {
        s->events[k].sequence = k + 1;
        for (unsigned c = 0; k >= i && c < s->events[k].cause_count; c++)
            if (s->events[k].causes[c].sequence > i)
                s->events[k].causes[c].sequence =
                    (uint32_t) ((int) s->events[k].causes[c].sequence + by);
    }
}

/* Somebody's turn is taken out.  (A reaction or an incident may be left out lawfully: a log without
 * it is another sound story, unless something rests on it.) */
static bool removed(struct verify_scene *s, unsigned i)
{
    if (!is_choice(&s->events[i]) || i + 1 == s->count) /* a prefix is a sound log */
        return false;
    memmove(&s->events[i], &s->events[i + 1], (s->count - i - 1) * sizeof(s->events[0]));
    s->count--;
    verify_renumber(s, i, -1);
    return true;
}

static bool doubled(struct verify_scene *s, unsigned i)
{
    memmove(&s->events[i + 1], &s->events[i], (s->count - i) * sizeof(s->events[0]));
    s->count++;
    verify_renumber(s, i + 1, 1);
    return true;
}

/* Two acts of different passes change places. */
static bool swapped(struct verify_scene *s, unsigned i)
{
    unsigned k = verify_draw(s->count);
    if (i == k || s->events[i].pass == s->events[k].pass)
        return false;
    struct verify_event kept = s->events[i];
    s->events[i] = s->events[k];
    s->events[k] = kept;
    s->events[i].sequence = i + 1;
    s->events[k].sequence = k + 1;
    return true;
}

static bool turns(struct verify_scene *s, unsigned i)
{
    struct verify_event *e = &s->events[s->count - 1];
    e->turns = (uint32_t) other(0, 50, (int) e->turns);
    return i == 0 && e->type == EVENT_COMPLETED;
}

/* ---- tension, choice, verdict, threads ------------------------------------------------------- */

static bool tension_after(struct verify_scene *s, unsigned i)
{
    s->events[i].tension_after = (uint8_t) other(0, 100, s->events[i].tension_after);
    return true;
}

static bool tension_before(struct verify_scene *s, unsigned i)
{
    s->events[i].tension_before = (uint8_t) other(0, 100, s->events[i].tension_before);
    return true;
}

/* The whole curve from there on is lifted, so that before and after still meet. */
static bool tension_curve(struct verify_scene *s, unsigned i)
{
    for (unsigned k = i; k < s->count; k++) {
        s->events[k].tension_after++;
        if (k > i)
            s->events[k].tension_before++;
    }
    return true;
}

static bool utility(struct verify_scene *s, unsigned i)
{
    s->events[i].utility += other(-50, 50, 0);
    return true;
}

static bool term(struct verify_scene *s, unsigned i)
{
    unsigned k = verify_draw(TERM_COUNT);
    s->events[i].terms[k] = (int16_t) (s->events[i].terms[k] + other(-50, 50, 0));
    return true;
}

/* The goal term moves and the luck takes it back, so that the sum is as it was. */
static bool goal_term(struct verify_scene *s, unsigned i)
{
    struct verify_event *e = &s->events[i];
    int by = other(-40, 40, 0);
    if (!is_choice(e) || e->goal == NONE_U8)
        return false;
    e->terms[TERM_GOAL] = (int16_t) (e->terms[TERM_GOAL] + by);
    e->terms[TERM_LUCK] = (int16_t) (e->terms[TERM_LUCK] - by);
    return true;
}

static bool goal_dropped(struct verify_scene *s, unsigned i)
{
    struct verify_event *e = &s->events[i];
    if (!is_choice(e) || e->goal == NONE_U8)
        return false;
    e->goal = NONE_U8;
    e->plan_step = 0;
    return true;
}

static bool goal_claimed(struct verify_scene *s, unsigned i)
{
    struct verify_event *e = &s->events[i];
    if (e->goal != NONE_U8)
        return false;
    e->goal = (uint8_t) verify_draw(NONE_U8);
    e->plan_step = (uint8_t) (1 + verify_draw(3));
    return true;
}

static bool plan_step(struct verify_scene *s, unsigned i)
{
    struct verify_event *e = &s->events[i];
    if (!is_choice(e) || e->goal == NONE_U8)
        return false;
    e->plan_step = (uint8_t) other(0, 20, e->plan_step);
    return true;
}

static bool alternative_better(struct verify_scene *s, unsigned i)
{
    struct verify_event *e = &s->events[i];
    e->alternatives[0].utility = e->utility + 1 + (int) verify_draw(100);
    return e->alternatives[0].op != NONE_U16 && e->verdict != VERDICT_REPAIRED;
}

static bool verdict(struct verify_scene *s, unsigned i)
{
    s->events[i].verdict = (uint8_t) other(1, 3, s->events[i].verdict);
    return true;
}

static bool codes(struct verify_scene *s, unsigned i)
{
    struct verify_event *e = &s->events[i];
    static const uint8_t all[] = { 0x22, 0x31, 0x32, 0x41, 0x53 };
    unsigned k = verify_draw(5);
    if (e->code_count == 0)
        e->codes[e->code_count++] = all[k];
    else
        e->codes[0] = e->codes[0] == all[k] ? all[(k + 1) % 5] : all[k];
    return true;
}

static bool reason(struct verify_scene *s, unsigned i)
{
    struct verify_event *e = &s->events[i];
    e->reason = (uint16_t) other(0, (int) s->story->cells - 1, e->reason);
    return e->verdict != VERDICT_REPAIRED;
}

/* A thread that was closed before moves again. */
static bool reopened(struct verify_scene *s, unsigned i)
{
    struct verify_event *e = &s->events[i];
    if (i == 0 || e->thread_count != 0)
        return false;
    const struct verify_event *before = &s->events[verify_draw(i)];
    for (unsigned k = 0; k < before->thread_count; k++)
        if (before->threads[k].change == 3) {
            e->threads[0] = before->threads[k];
            e->threads[0].change = (uint8_t) (1 + verify_draw(3));
            e->thread_count = 1;
        }
    return e->thread_count == 1;
}

#define C(fn)                                                                                      \
    {                                                                                              \
#fn, fn                                                                                    \
    }
const struct verify_change verify_changes[] = {
    C(delta_after),
    C(delta_before),
    C(delta_cell),
    C(delta_dropped),
    C(delta_added),
    C(belief_level),
    C(belief_source),
    C(belief_informant),
    C(belief_dropped),
    C(belief_added),
    C(witness),
    C(roll),
    C(skill),
    C(difficulty),
    C(outcome),
    C(operator),
    C(actor),
    C(actor_and_argument),
    C(argument),
    C(argument_unbound),
    C(place),
    C(causes_dropped),
    C(cause_required),
    C(cause_sequence),
    C(cause_of_future),
    C(cause_kind),
    C(cause_cell),
    C(minute),
    C(turn),
    C(pass),
    C(phase),
    C(type),
    C(sequence),
    C(removed),
    C(doubled),
    C(swapped),
    C(turns),
    C(tension_after),
    C(tension_before),
    C(tension_curve),
    C(utility),
    C(term),
    C(goal_term),
    C(goal_dropped),
    C(goal_claimed),
    C(plan_step),
    C(alternative_better),
    C(verdict),
    C(codes),
    C(reason),
    C(reopened),
};
const unsigned verify_changes_count = sizeof(verify_changes) / sizeof(verify_changes[0]);

void verify_change_show(const struct verify_scene *s, const char *name)
{
    unsigned i = 0;
    while (i < s->count && i < s->story->count &&
           memcmp(&s->events[i], &s->story->events[i], sizeof(s->events[0])) == 0)
        i++;
    const struct verify_event *e = &s->events[i < s->count ? i : s->count - 1];
    (void) printf("    %s: event %u of %u (%s, op %u, actor %u, pass %u) passes\n", name, i + 1,
                  s->count, verify_event_type_name(e->type), e->op, e->actor, e->pass);
}
