#include "server/tools/novel-verify-run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- who is there ---------------------------------------------------------------------------- */

/* The actor's place, or what the event says where the world acts. */
static int event_place(const struct verify_run *run)
{
    const struct verify_event *e = run->e;
    int place;
    if (verify_is_outside(e->type)) {
        (void) verify_edit_witnesses(run, &place);
        return place;
    }
    if (verify_is_character(run, e->actor))
        return run->before.place[e->actor];
    return e->place == NONE_U8 ? -1 : e->place;
}

static uint32_t at_place(const struct verify_run *run, int place)
{
    uint32_t mask = 0;
    for (unsigned c = 0; verify_is_character(run, c); c++)
        if (place >= 0 && run->before.place[c] == place)
            mask |= 1u << c;
    return mask;
}

static uint32_t by_radio(const struct verify_run *run)
{
    uint8_t actor = run->e->actor;
    bool radio = run->has_op && (run->op.flags & OP_RADIO) != 0 &&
                 verify_is_character(run, actor) && (run->before.comm >> actor & 1) != 0;
    return radio ? run->before.comm & run->before.awake : 0;
}

void verify_before_take(struct verify_run *run)
{
    struct verify_before *b = &run->before;
    const struct verify_event *e = run->e;
    *b = (struct verify_before){ 0 };
    for (unsigned c = 0; verify_is_character(run, c); c++) {
        b->place[c] = (int16_t) verify_run_named(run, NAMED_AT, (int) c, 0, -1);
        if (verify_run_named(run, NAMED_AWAKE, (int) c, 0, 0) == 1)
            b->awake |= 1u << c;
        if (verify_run_named(run, NAMED_COMM, (int) c, 0, 0) == 1)
            b->comm |= 1u << c;
    }
    if (!verify_is_character(run, e->actor)) {
        b->present = e->place == NONE_U8 ? b->awake : b->awake & at_place(run, e->place);
        return;
    }
    b->present = (b->awake & at_place(run, b->place[e->actor])) | by_radio(run) | 1u << e->actor;
}

/* `after` is everybody's place once the effects are done. */
static uint32_t witnesses(const struct verify_run *run, const int16_t after[VERIFY_CHARS_MAX])
{
    const struct verify_event *e = run->e;
    const struct verify_before *b = &run->before;
    int place;
    if (verify_is_frame(e->type))
        return 0;
    if (verify_is_outside(e->type))
        return verify_edit_witnesses(run, &place);
    if (!verify_is_character(run, e->actor))
        return b->present;
    if (e->type == EVENT_REJECTED)
        return 1u << e->actor;
    int from = b->place[e->actor], to = after[e->actor];
    uint32_t mask = 1u << e->actor | by_radio(run);
    for (unsigned c = 0; verify_is_character(run, c); c++) {
        bool met = (from >= 0 && (b->place[c] == from || after[c] == from)) ||
                   (to >= 0 && (b->place[c] == to || after[c] == to));
        if (met && (b->awake >> c & 1) != 0)
            mask |= 1u << c;
    }
    return mask;
}

/* ---- the roll -------------------------------------------------------------------------------- */

static uint64_t mix64(uint64_t x)
{
    uint64_t z = x + 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

unsigned verify_run_below(const struct verify_run *run, unsigned stream, unsigned n)
{
    const struct verify_event *e = run->e;
    uint64_t key =
        (uint64_t) stream << 56 | (uint64_t) e->pass << 40 | (uint64_t) e->actor << 32 | e->op;
    uint64_t random = mix64(run->seed ^ mix64(key));
    return (unsigned) ((random >> 32) * n >> 32);
}

static unsigned outcome_it_has(const struct verify_op *op, unsigned outcome)
{
    for (unsigned o = outcome; o <= OUTCOME_FAIL; o++)
        if (op->outcomes[o].possible)
            return o;
    for (unsigned o = outcome; o >= OUTCOME_CRITICAL; o--)
        if (op->outcomes[o].possible)
            return o;
    return OUTCOME_NONE;
}

static int clamp(int64_t value, int low, int high)
{
    return value < low ? low : value > high ? high : (int) value;
}

struct due_roll {
    int roll, skill, difficulty;
    unsigned outcome;
};

static struct due_roll roll_due(struct verify_run *run)
{
    struct due_roll d = { .outcome = OUTCOME_OK };
    if (run->in_vain) {
        d.outcome = OUTCOME_FAIL;
    } else if (run->op.skill != 0) {
        struct verify_frame frame = verify_run_frame(run, run->cells);
        d.roll = 1 + (int) verify_run_below(run, STREAM_ROLL, 100);
        d.skill = clamp(verify_code_run(&frame, run->op.skill), 0, 100);
        d.difficulty = clamp(verify_code_run(&frame, run->op.difficulty), 0, 100);
        int chance = clamp(d.skill + 50 - d.difficulty, 5, 95);
        if (d.roll * 10 <= chance && run->op.outcomes[OUTCOME_CRITICAL].possible)
            d.outcome = OUTCOME_CRITICAL;
        else
            d.outcome = d.roll <= chance        ? OUTCOME_OK
                        : d.roll <= chance + 20 ? OUTCOME_PARTIAL
                                                : OUTCOME_FAIL;
    }
    d.outcome = outcome_it_has(&run->op, d.outcome);
    return d;
}

void verify_roll_check(struct verify_run *run)
{
    const struct verify_event *e = run->e;
    struct due_roll due = { .outcome = OUTCOME_NONE };
    if (run->has_op && !verify_is_frame(e->type) && e->type != EVENT_REJECTED)
        due = roll_due(run);
    if (e->roll != due.roll || e->skill != due.skill || e->difficulty != due.difficulty)
        verify_say(run, VERIFY_EFFECT,
                   "roll %d with skill %d against %d is due, the event says %d, %d, %d", due.roll,
                   due.skill, due.difficulty, e->roll, e->skill, e->difficulty);
    if (e->outcome != due.outcome)
        verify_say(run, VERIFY_EFFECT, "outcome %u follows, the event says %u", due.outcome,
                   e->outcome);
}

/* ---- effects --------------------------------------------------------------------------------- */

static void touch(struct verify_run *run, uint16_t cell, int16_t value)
{
    if (run->touched.stamps[cell] != run->touched.stamp) {
        if (run->touched.count == VERIFY_TOUCHED_MAX) {
            run->touched.overflow = true;
            return;
        }
        run->touched.stamps[cell] = run->touched.stamp;
        run->touched.cell[run->touched.count] = cell;
        run->touched.before[run->touched.count++] = run->cells[cell];
    }
    run->cells[cell] = value;
}

static void run_effect(struct verify_run *run, const struct verify_effect *effect, int running)
{
    const struct verify_fluent *f = &run->pack.fluents[effect->fluent];
    struct verify_frame frame = verify_run_frame(run, run->cells);
    frame.running = running;
    if (effect->guard != 0 && verify_code_run(&frame, effect->guard) == 0)
        return;
    int32_t a = effect->arg1 != 0 ? verify_code_run(&frame, effect->arg1) : running;
    int32_t b = effect->arg2 != 0 ? verify_code_run(&frame, effect->arg2) : 0;
    int64_t value = verify_code_run(&frame, effect->value);
    uint16_t cell;
    int low, high;
    if (run->fuel < 0 || !verify_world_cell(&run->world, &run->pack, effect->fluent, a, b, &cell))
        return;
    if (effect->operation == 1)
        value = run->cells[cell] + value;
    else if (effect->operation == 2)
        value = run->cells[cell] - value;
    verify_world_range(&run->world, f, &low, &high);
    if ((f->flags & FLUENT_RESOURCE) == 0)
        value = clamp(value, low, high);
    else if (value < low || value > high)
        run->touched.overdrawn = cell;
    touch(run, cell, (int16_t) clamp(value, INT16_MIN, INT16_MAX));
}

static void run_effects(struct verify_run *run, const struct verify_span *span)
{
    run->touched.stamp++;
    run->touched.count = 0;
    run->touched.overdrawn = -1;
    run->touched.overflow = false;
    for (unsigned i = 0; i < span->count && run->fuel >= 0; i++) {
        struct verify_effect effect = verify_pack_effect(&run->pack, span->first + i);
        if (effect.over == 0) {
            run_effect(run, &effect, -1);
            continue;
        }
        for (unsigned c = 0; verify_is_character(run, c); c++)
            if ((run->before.present >> c & 1) != 0 && !(effect.over == 2 && c == run->e->actor))
                run_effect(run, &effect, (int) c);
    }
}

static int by_cell(const void *a, const void *b)
{
    const struct verify_change *x = a, *y = b;
    return (int) x->cell - (int) y->cell;
}

/* Net changes in order of cells; puts the state back as it was. */
static unsigned take_back(struct verify_run *run, struct verify_change *out)
{
    unsigned count = 0;
    for (unsigned i = 0; i < run->touched.count; i++) {
        uint16_t cell = run->touched.cell[i];
        if (run->cells[cell] != run->touched.before[i])
            out[count++] = (struct verify_change){ cell, run->touched.before[i], run->cells[cell] };
        run->cells[cell] = run->touched.before[i];
    }
    qsort(out, count, sizeof(*out), by_cell);
    return count;
}

static void say_delta(struct verify_run *run, uint16_t cell, const char *should)
{
    char what[96];
    verify_world_describe(&run->world, &run->pack, cell, what);
    verify_say(run, VERIFY_EFFECT, "%s: %s", what, should);
}

static void compare_deltas(struct verify_run *run, const struct verify_change *due, unsigned count)
{
    const struct verify_event *e = run->e;
    char text[120];
    unsigned i = 0, k = 0;
    while (i < count || k < e->delta_count) {
        const struct verify_delta *d = &e->deltas[k];
        if (k == e->delta_count || (i < count && due[i].cell < d->cell)) {
            (void) snprintf(text, sizeof(text),
                            "the effects change it from %d to %d, the event does not",
                            due[i].before, due[i].after);
            say_delta(run, due[i++].cell, text);
            return;
        }
        if (i == count || d->cell < due[i].cell) {
            say_delta(run, d->cell, "the event changes it, the effects do not");
            return;
        }
        if (d->before != due[i].before || d->after != due[i].after) {
            (void) snprintf(text, sizeof(text),
                            "the effects change it from %d to %d, the event from %d to %d",
                            due[i].before, due[i].after, d->before, d->after);
            say_delta(run, d->cell, text);
            return;
        }
        i++;
        k++;
    }
}

/* Entries of knows() among the changes, which are those beliefs; they are taken out of the list. */
static unsigned compare_beliefs(struct verify_run *run, struct verify_change *due, unsigned count)
{
    const struct verify_event *e = run->e;
    unsigned kept = 0, k = 0;
    bool same = true;
    for (unsigned i = 0; i < count; i++) {
        unsigned fluent = run->world.cell_fluent[due[i].cell], who, fact;
        if ((run->pack.fluents[fluent].flags & FLUENT_BELIEF) == 0) {
            due[kept++] = due[i];
            continue;
        }
        verify_world_args(&run->world, &run->pack, due[i].cell, &who, &fact);
        unsigned informant =
            verify_is_character(run, e->actor) && e->actor != who ? e->actor : NONE_U8;
        if (same && k < e->belief_count) {
            const struct verify_belief *b = &e->beliefs[k];
            same = b->who == who && b->fact == fact && b->before == due[i].before &&
                   b->after == due[i].after && b->source == run->op.source &&
                   b->informant == informant;
        }
        k++;
    }
    if (!same || k != e->belief_count)
        verify_say(run, VERIFY_EFFECT, "its %u beliefs are not the %u that the effects give",
                   e->belief_count, k);
    return kept;
}

bool verify_overdraws(struct verify_run *run)
{
    const struct verify_event *event = run->e;
    const struct verify_before before = run->before;
    struct verify_event trial = *event;
    struct verify_change due[VERIFY_TOUCHED_MAX];
    bool in_vain = run->in_vain;
    int hidden = verify_hidden_parm(run);
    run->e = &trial;
    verify_before_take(run);
    if (hidden >= 0)
        trial.args[hidden] = (uint8_t) verify_hidden_due(run, (unsigned) hidden);
    run->in_vain =
        verify_is_character(run, trial.actor) &&
        (hidden >= 0 ? trial.args[hidden] == NONE_U8 : !verify_wheres_hold(run, trial.args));
    run_effects(run, &run->op.outcomes[roll_due(run).outcome]);
    (void) take_back(run, due);
    run->e = event;
    run->before = before;
    run->in_vain = in_vain;
    return run->touched.overdrawn >= 0;
}

/* What an edit marks; it has no operator's effects. */
static void check_marks(struct verify_run *run)
{
    struct verify_change due[2];
    verify_edit_belief_check(run);
    compare_deltas(run, due, verify_edit_marks(run, due));
}

void verify_effects_check(struct verify_run *run)
{
    const struct verify_event *e = run->e;
    static const struct verify_span nothing = { 0 };
    bool plays = run->has_op && !verify_is_frame(e->type) && e->type != EVENT_REJECTED;
    struct verify_change due[VERIFY_TOUCHED_MAX];
    int16_t after[VERIFY_CHARS_MAX];
    run_effects(run, plays ? &run->op.outcomes[e->outcome] : &nothing);
    for (unsigned c = 0; verify_is_character(run, c); c++)
        after[c] = (int16_t) verify_run_named(run, NAMED_AT, (int) c, 0, -1);
    unsigned count = take_back(run, due);
    if (verify_is_outside(e->type)) {
        check_marks(run);
    } else {
        count = compare_beliefs(run, due, count);
        compare_deltas(run, due, count);
    }
    if (run->touched.overflow)
        verify_say(run, VERIFY_COST, "its effects write more than %d cells", VERIFY_TOUCHED_MAX);
    if (run->touched.overdrawn >= 0) {
        char what[96];
        verify_world_describe(&run->world, &run->pack, (uint16_t) run->touched.overdrawn, what);
        verify_say(run, VERIFY_RANGE, "its effects take %s, a resource, out of its range", what);
    }
    uint32_t seen = witnesses(run, after);
    if (e->witnesses != seen)
        verify_say(run, VERIFY_WITNESS, "witnesses are 0x%x, the event says 0x%x", seen,
                   e->witnesses);
    int place = event_place(run);
    if (verify_is_frame(e->type) ? e->place != NONE_U8 : e->place != (place < 0 ? NONE_U8 : place))
        verify_say(run, VERIFY_PLACE, "it happens at place %d, the event says %u", place, e->place);
    if (e->place != NONE_U8 && e->place >= run->world.counts[SORT_PLACE])
        verify_say(run, VERIFY_PLACE, "there is no place %u", e->place);
}

/* ---- the state that the log claims ----------------------------------------------------------- */

static void check_item(struct verify_run *run, unsigned item)
{
    int holder = verify_run_named(run, NAMED_HOLDER, (int) item, 0, -1);
    int lies = verify_run_named(run, NAMED_LIES, (int) item, 0, -1);
    char name[40];
    if ((holder >= 0) != (lies >= 0))
        return;
    verify_text_copy(run->world.entities[SORT_ITEM][item].id, name, sizeof(name));
    verify_say(run, VERIFY_ITEM,
               holder >= 0 ? "item %s is held and lies somewhere" : "item %s is nowhere", name);
}

static void check_value(struct verify_run *run, uint16_t cell)
{
    const struct verify_fluent *f = &run->pack.fluents[run->world.cell_fluent[cell]];
    int low, high;
    char what[96];
    verify_world_range(&run->world, f, &low, &high);
    if (run->cells[cell] >= low && run->cells[cell] <= high)
        return;
    verify_world_describe(&run->world, &run->pack, cell, what);
    verify_say(run, VERIFY_RANGE, "%s is %d, outside %d to %d", what, run->cells[cell], low, high);
}

/* STARTED is answerable for the whole initial state, every other event for what it changes. */
static void check_initial(struct verify_run *run)
{
    for (uint32_t cell = 0; cell < run->world.cells; cell++)
        check_value(run, (uint16_t) cell);
    if (run->pack.named[NAMED_HOLDER] >= 0 && run->pack.named[NAMED_LIES] >= 0)
        for (unsigned item = 0; item < run->world.counts[SORT_ITEM]; item++)
            check_item(run, item);
}

void verify_deltas_check(struct verify_run *run)
{
    const struct verify_event *e = run->e;
    bool items = run->pack.named[NAMED_HOLDER] >= 0 && run->pack.named[NAMED_LIES] >= 0;
    uint8_t seen[256] = { 0 };
    char what[96];
    if (e->type == EVENT_STARTED)
        check_initial(run);
    for (unsigned i = 0; i < e->belief_count; i++)
        if (verify_is_canon(run, e->beliefs[i].fact) && e->beliefs[i].after != VERIFY_BELIEVES)
            verify_say(run, VERIFY_CANON, "character %u is made to doubt what is canon",
                       e->beliefs[i].who);
    for (unsigned i = 0; i < e->delta_count; i++) {
        uint16_t cell = e->deltas[i].cell;
        if (cell >= run->world.cells)
            continue;
        int fluent = run->world.cell_fluent[cell];
        unsigned a, b;
        verify_world_args(&run->world, &run->pack, cell, &a, &b);
        check_value(run, cell);
        /* What an edit may mark has been compared; of that only items can be settled. */
        bool free = e->type == EVENT_FORKED ||
                    (e->type == EVENT_INTERVENTION && fluent != run->pack.named[NAMED_HOLDER] &&
                     fluent != run->pack.named[NAMED_LIES]);
        if (!free && (run->pack.fluents[fluent].flags & FLUENT_STATIC) != 0) {
            verify_world_describe(&run->world, &run->pack, cell, what);
            verify_say(run, VERIFY_CANON, "%s never changes, and the event changes it", what);
        }
        if (items &&
            (fluent == run->pack.named[NAMED_HOLDER] || fluent == run->pack.named[NAMED_LIES]) &&
            !seen[a]) {
            seen[a] = 1;
            check_item(run, a);
        }
    }
    for (unsigned c = 0; verify_is_character(run, c); c++) {
        bool lost = verify_run_named(run, NAMED_AWAKE, (int) c, 0, 0) == 1 &&
                    verify_run_named(run, NAMED_AT, (int) c, 0, -1) < 0;
        if (lost && (e->type == EVENT_STARTED || e->delta_count > 0)) {
            verify_text_copy(run->world.entities[SORT_CHAR][c].name, what, sizeof(what));
            verify_say(run, VERIFY_TWICE, "%s is awake and at no place", what);
        }
    }
}
