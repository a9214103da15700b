#include "server/tools/novel-verify-run.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void verify_say(struct verify_run *run, unsigned code, const char *format, ...)
{
    struct verify_report *report = run->report;
    report->violations++;
    if (report->listed == VERIFY_LISTED_MAX)
        return;
    struct verify_violation *v = &report->list[report->listed++];
    const struct verify_event *e = run->e;
    *v = (struct verify_violation){ .code = (uint16_t) code };
    va_list args;
    va_start(args, format);
    (void) vsnprintf(v->text, sizeof(v->text), format, args);
    va_end(args);
    if (e == NULL)
        return;
    v->sequence = e->sequence;
    v->turn = e->turn;
    v->pass = e->pass;
    if (verify_is_character(run, e->actor))
        verify_text_copy(run->world.entities[SORT_CHAR][e->actor].name, v->actor, sizeof(v->actor));
    if (run->has_op)
        verify_text_copy(verify_pack_string(&run->pack, run->op.name), v->op, sizeof(v->op));
    else
        (void) snprintf(v->op, sizeof(v->op), "%s", verify_event_type_name(e->type));
}

struct verify_frame verify_run_frame(struct verify_run *run, const int16_t *cells)
{
    return (struct verify_frame){
        .pack = &run->pack,
        .world = &run->world,
        .cells = cells,
        .args = run->e->args,
        .arg_count = run->e->arg_count,
        .running = -1,
        .pass = run->e->pass,
        .passes = run->passes,
        .phase = run->e->phase,
        .fuel = &run->fuel,
    };
}

int verify_run_named(const struct verify_run *run, enum verify_named which, int a, int b,
                     int absent)
{
    return verify_world_named(&run->world, &run->pack, run->cells, which, a, b, absent);
}

int verify_run_init(struct verify_run *run, struct arena *arena)
{
    size_t cells = run->world.cells, characters = run->world.counts[SORT_CHAR];
    run->cells = arena_zero(arena, cells, sizeof(*run->cells));
    run->goal_marks = arena_zero(arena, run->pack.flue.count, 1);
    run->writer = arena_zero(arena, cells, sizeof(*run->writer));
    run->beliefs = arena_zero(arena, cells * characters, sizeof(*run->beliefs));
    run->chosen = arena_zero(arena, cells * characters, sizeof(*run->chosen));
    run->reads.stamps = arena_zero(arena, cells, sizeof(*run->reads.stamps));
    run->touched.stamps = arena_zero(arena, cells, sizeof(*run->touched.stamps));
    if (run->cells == NULL || run->goal_marks == NULL || run->writer == NULL || run->beliefs == NULL || run->chosen == NULL ||
        run->reads.stamps == NULL || run->touched.stamps == NULL)
        return VERIFY_NO_MEMORY;
    run->reads.writer = run->writer;
    memcpy(run->cells, run->world.initial, cells * sizeof(*run->cells));
    for (size_t cell = 0; cell < cells; cell++)
        run->writer[cell] = 1;
    for (unsigned c = 0; c < characters; c++)
        for (size_t cell = 0; cell < cells; cell++)
            run->beliefs[c * cells + cell] =
                verify_world_sees(&run->world, &run->pack, run->cells, c, (uint16_t) cell)
                    ? run->cells[cell]
                    : run->pack.fluents[run->world.cell_fluent[cell]].assume;
    memcpy(run->chosen, run->beliefs, cells * characters * sizeof(*run->chosen));
    int r = verify_edit_init(run, arena);
    verify_plan_init(run);
    return r;
}

/* ---- looking and learning -------------------------------------------------------------------- */

static void look(struct verify_run *run)
{
    size_t cells = run->world.cells;
    for (unsigned c = 0; verify_is_character(run, c); c++) {
        if (verify_run_named(run, NAMED_AWAKE, (int) c, 0, 0) != 1)
            continue;
        run->watched |= 1u << c;
        int16_t *mine = run->beliefs + c * cells;
        for (size_t cell = 0; cell < cells; cell++)
            if (verify_world_sees(&run->world, &run->pack, run->cells, c, (uint16_t) cell))
                mine[cell] = run->cells[cell];
    }
    memcpy(run->chosen, run->beliefs, cells * run->world.counts[SORT_CHAR] * sizeof(*run->chosen));
    run->looked = true;
}

static void learn(struct verify_run *run, uint16_t cell)
{
    const struct verify_fluent *f = &run->pack.fluents[run->world.cell_fluent[cell]];
    unsigned a, b;
    verify_world_args(&run->world, &run->pack, cell, &a, &b);
    for (unsigned c = 0; verify_is_character(run, c); c++) {
        bool told =
            f->see == SEE_ALL || ((run->e->witnesses >> c & 1) != 0 && f->see != SEE_NEVER &&
                                  !(f->see == SEE_OWN && !(f->sort1 == SORT_CHAR && a == c)));
        if (told)
            run->beliefs[c * run->world.cells + cell] = run->cells[cell];
    }
}

/* ---- what the log claims becomes the state --------------------------------------------------- */

static void apply_one(struct verify_run *run, uint16_t cell, int before, int after)
{
    char what[96];
    if (run->cells[cell] != before) {
        verify_world_describe(&run->world, &run->pack, cell, what);
        verify_say(run, VERIFY_EFFECT, "%s is %d before the event, not %d", what, run->cells[cell],
                   before);
    }
    run->cells[cell] = (int16_t) after;
    run->writer[cell] = run->e->sequence;
}

static void apply(struct verify_run *run)
{
    const struct verify_event *e = run->e;
    for (unsigned i = 0; i < e->delta_count; i++) {
        const struct verify_delta *d = &e->deltas[i];
        if (d->cell >= run->world.cells)
            verify_say(run, VERIFY_EFFECT, "a delta names cell %u, there are %u", d->cell,
                       run->world.cells);
        else
            apply_one(run, d->cell, d->before, d->after);
    }
    for (unsigned i = 0; i < e->belief_count; i++) {
        const struct verify_belief *b = &e->beliefs[i];
        uint16_t cell;
        int knows = run->pack.named[NAMED_KNOWS];
        if (knows < 0 ||
            !verify_world_cell(&run->world, &run->pack, (unsigned) knows, b->who, b->fact, &cell))
            verify_say(run, VERIFY_EFFECT, "a belief names character %u and fact %u", b->who,
                       b->fact);
        else
            apply_one(run, cell, b->before, b->after);
    }
}

static void learn_all(struct verify_run *run)
{
    const struct verify_event *e = run->e;
    int knows = run->pack.named[NAMED_KNOWS];
    uint16_t cell;
    for (unsigned i = 0; i < e->delta_count; i++)
        if (e->deltas[i].cell < run->world.cells)
            learn(run, e->deltas[i].cell);
    for (unsigned i = 0; i < e->belief_count && knows >= 0; i++)
        if (verify_world_cell(&run->world, &run->pack, (unsigned) knows, e->beliefs[i].who,
                              e->beliefs[i].fact, &cell))
            learn(run, cell);
}

/* ---- tension --------------------------------------------------------------------------------- */

static int clamp_100(int64_t value)
{
    return value < 0 ? 0 : value > 100 ? 100 : (int) value;
}

static int tension_part(struct verify_run *run, const struct verify_tens *tens)
{
    struct verify_frame frame = verify_run_frame(run, run->cells);
    int highest = 0, sum = 0;
    for (unsigned c = 0; c < run->world.cast; c++) {
        uint8_t argument = (uint8_t) c;
        frame.args = &argument;
        frame.arg_count = 1;
        int value = clamp_100(verify_code_run(&frame, tens->code));
        highest = value > highest ? value : highest;
        sum += value;
    }
    return tens->mode == 0 ? highest : sum / (int) run->world.cast;
}

static void check_tension(struct verify_run *run)
{
    const struct verify_event *e = run->e;
    int64_t sum = 0;
    for (uint32_t i = 0; i < run->pack.tens.count; i++) {
        struct verify_tens tens = verify_pack_tens(&run->pack, i);
        sum += (int64_t) tens.weight * tension_part(run, &tens);
    }
    int tension = clamp_100(sum / 100);
    int before = e->type == EVENT_STARTED ? e->tension_after : run->previous.tension_after;
    if (e->tension_after != tension)
        verify_say(run, VERIFY_TENSION, "the tension of the state is %d, the event says %u",
                   tension, e->tension_after);
    if (e->tension_before != before)
        verify_say(run, VERIFY_TENSION, "the tension before was %d, the event says %u", before,
                   e->tension_before);
    if (e->target > 100)
        verify_say(run, VERIFY_TENSION, "a target of %u is over 100", e->target);
}

/* ---- one event ------------------------------------------------------------------------------- */

static void check_started(struct verify_run *run)
{
    const struct verify_event *e = run->e;
    if (memcmp(e->hash_0, run->hash_0, 32) != 0)
        verify_say(run, VERIFY_DIGEST, "STARTED does not carry the digest of this header");
    if (memcmp(e->world_digest, run->world_digest, 32) != 0)
        verify_say(run, VERIFY_DIGEST, "STARTED does not carry the digest of this world section");
}

bool verify_run_event(struct verify_run *run, const struct verify_event *e)
{
    run->e = e;
    run->fuel = VERIFY_EVENT_FUEL;
    run->has_op = e->op < run->pack.oper.count;
    if (run->has_op)
        run->op = verify_pack_op(&run->pack, e->op);
    verify_order_check(run);
    if (!run->looked && (verify_is_choice(e->type) || e->type == EVENT_REACTION))
        look(run);
    if (e->type == EVENT_STARTED)
        check_started(run);
    verify_before_take(run);
    verify_edit_owed(run);
    if (verify_is_outside(e->type))
        verify_edit_check(run);
    verify_shape_check(run);
    verify_conditions_check(run);
    verify_verdict_check(run);
    verify_social_check(run);
    verify_causes_check(run);
    verify_goal_check(run);
    verify_time_check(run);
    verify_roll_check(run);
    verify_effects_check(run);
    apply(run);
    verify_deltas_check(run);
    check_tension(run);
    verify_threads_check(run);
    verify_edit_take(run);
    learn_all(run);
    run->previous = *e;
    if (run->fuel < 0)
        verify_say(run, VERIFY_COST, "its expressions take more than %d steps", VERIFY_EVENT_FUEL);
    run->e = NULL;
    return run->fuel >= 0;
}
