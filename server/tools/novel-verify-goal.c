/* What an act is for: whether its actor holds the goal that it names, and whether it lies on a way
 * there (docs/log-format.md, 8, Goals).  Everything is judged on what the actor believed when it
 * chose. */
#include <string.h>

#include "server/tools/novel-verify-run.h"

enum {
    GOAL_REACHED = 300, /* an operator worth that much to a goal reaches it */
    GOAL_MEANS = 200,   /* worth of what makes that possible; half of it one step before */
    GOAL_NEARER = 300,
    GOAL_FARTHER = 80,
    GOAL_MOST = 400,
    STEPS_MAX = 20,
    FAR = 100, /* no way */
    SHUT = 4,  /* a shut way counts that many steps */
    READS_MAX = 24,
};

struct aim { /* a goal as the event's actor holds it */
    unsigned goal;
    int weight, place;
};

static const int16_t *view_of(const struct verify_run *run)
{
    return run->chosen + (size_t) run->e->actor * run->world.cells;
}

/* Expressions that speak of the actor alone, on what it believes. */
static struct verify_frame alone(struct verify_run *run)
{
    struct verify_frame frame = verify_run_frame(run, view_of(run));
    frame.args = &run->e->actor;
    frame.arg_count = 1;
    return frame;
}

static int within(int value, int low, int high)
{
    return value < low ? low : value > high ? high : value;
}

static int believed(const struct verify_run *run, enum verify_named which, unsigned of)
{
    return verify_world_named(&run->world, &run->pack, view_of(run), which, (int) of, 0, -1);
}

/* ---- ways ------------------------------------------------------------------------------------ */

struct way {
    uint8_t a, b, steps;
};

/* The ways as the actor believes them to be; of two between the same places the later counts. */
static unsigned ways(const struct verify_run *run, struct way *out)
{
    unsigned count = 0;
    int places = (int) run->world.counts[SORT_PLACE];
    for (unsigned l = 0; l < run->world.counts[SORT_LINK]; l++) {
        int a = believed(run, NAMED_END_A, l), b = believed(run, NAMED_END_B, l);
        if (a < 0 || b < 0 || a >= places || b >= places)
            continue;
        uint8_t steps = believed(run, NAMED_OPEN, l) > 0 ? 1 : SHUT;
        unsigned at = 0;
        while (at < count && !(out[at].a == a && out[at].b == b) &&
               !(out[at].a == b && out[at].b == a))
            at++;
        count += at == count;
        out[at] = (struct way){ (uint8_t) a, (uint8_t) b, steps };
    }
    return count;
}

/* Steps from every place to `place`. */
static void measure(struct verify_run *run, unsigned place, uint8_t far[256])
{
    struct way way[256];
    unsigned count = ways(run, way);
    bool nearer = true;
    run->fuel -= (int64_t) count * count;
    for (unsigned p = 0; p < 256; p++)
        far[p] = FAR;
    far[place] = 0;
    while (nearer && run->fuel >= 0) {
        nearer = false;
        run->fuel -= count;
        for (unsigned i = 0; i < count; i++) {
            uint8_t *a = &far[way[i].a], *b = &far[way[i].b];
            if (*b + way[i].steps < *a)
                *a = (uint8_t) (*b + way[i].steps), nearer = true;
            if (*a + way[i].steps < *b)
                *b = (uint8_t) (*a + way[i].steps), nearer = true;
        }
    }
}

/* ---- an act that leads there itself ---------------------------------------------------------- */

/* What the act is worth to the goal by itself, and how many steps the end is away. */
static int worth(struct verify_run *run, const struct aim *aim, unsigned *out_step)
{
    const struct verify_event *e = run->e;
    int value = 0, here = believed(run, NAMED_AT, e->actor);
    *out_step = 1;
    for (unsigned i = 0; i < run->op.toward; i++) {
        struct verify_toward to = verify_pack_toward(&run->pack, run->op.toward_first + i);
        value = to.goal == aim->goal ? to.value : value;
    }
    if (run->op.moves && aim->place >= 0 && here >= 0 &&
        here < (int) run->world.counts[SORT_PLACE]) {
        uint8_t far[256], to = 0;
        for (unsigned i = 1; i < e->arg_count && i < run->op.parms; i++)
            if (verify_pack_parm(&run->pack, run->op.parm_first + i).sort == SORT_PLACE)
                to = e->args[i];
        measure(run, (unsigned) aim->place, far);
        value += far[to] < far[here] ? GOAL_NEARER : far[to] > far[here] ? -GOAL_FARTHER : 0;
        *out_step = (unsigned) within(far[here], 1, STEPS_MAX);
    }
    return value * aim->weight / 100;
}

/* ---- an act that makes another one possible -------------------------------------------------- */

/* What the act does when it succeeds. */
static const struct verify_span *effects_of(const struct verify_op *op)
{
    unsigned outcome = op->outcomes[OUTCOME_OK].possible ? OUTCOME_OK : OUTCOME_CRITICAL;
    return &op->outcomes[outcome];
}

static bool writes(const struct verify_run *run, const struct verify_op *op, unsigned fluent)
{
    const struct verify_span *span = effects_of(op);
    for (unsigned i = 0; span->possible && i < span->count; i++)
        if (verify_pack_effect(&run->pack, span->first + i).fluent == fluent)
            return true;
    return false;
}

static bool movable(const struct verify_run *run, unsigned fluent)
{
    const struct verify_fluent *f = &run->pack.fluents[fluent];
    return (f->flags & (FLUENT_STATIC | FLUENT_BELIEF)) == 0 && f->see != SEE_NEVER &&
           (int) fluent != run->pack.named[NAMED_AT];
}

/* The fluents that stand in the way of an operator: read by needs that speak of nobody but the
 * actor, and that are false as it believes. */
static unsigned obstacles(struct verify_run *run, const struct verify_op *op, uint16_t *out)
{
    struct verify_frame frame = alone(run);
    unsigned count = 0;
    for (unsigned i = 0; i < op->conds && count < READS_MAX && run->fuel >= 0; i++) {
        struct verify_cond cond = verify_pack_cond(&run->pack, op->cond_first + i);
        if (cond.kind != 0 || verify_code_level(&run->pack, cond.code, &run->fuel) != 0 ||
            verify_code_run(&frame, cond.code) != 0)
            continue;
        uint16_t reads[READS_MAX];
        unsigned n = verify_code_fluents(&run->pack, cond.code, reads, READS_MAX);
        for (unsigned k = 0; k < n && count < READS_MAX; k++)
            if (movable(run, reads[k]))
                out[count++] = reads[k];
    }
    return count;
}

static bool is_act(const struct verify_op *op)
{
    return op->kind != KIND_INCIDENT && op->kind != KIND_REACTION && (op->flags & OP_NO_ACTOR) == 0;
}

static bool reaches(const struct verify_run *run, const struct verify_op *op, unsigned goal)
{
    for (unsigned i = 0; i < op->toward; i++) {
        struct verify_toward to = verify_pack_toward(&run->pack, op->toward_first + i);
        if (to.goal == goal && to.value >= GOAL_REACHED)
            return true;
    }
    return false;
}

/* What stands in the way of all that reaches the goal, as a mark per fluent of `out_way`. */
static void mark_ways(struct verify_run *run, unsigned goal, uint8_t *out_way)
{
    uint16_t found[READS_MAX];
    for (uint32_t i = 0; i < run->pack.oper.count && run->fuel >= 0; i++) {
        struct verify_op op = verify_pack_op(&run->pack, i);
        run->fuel -= 1 + op.toward;
        unsigned n = is_act(&op) && reaches(run, &op, goal) ? obstacles(run, &op, found) : 0;
        for (unsigned k = 0; k < n; k++)
            out_way[found[k]] = 1;
    }
}

static bool writes_marked(const struct verify_run *run, const struct verify_op *op,
                          const uint8_t *marks)
{
    const struct verify_span *span = effects_of(op);
    for (unsigned i = 0; span->possible && i < span->count; i++)
        if (marks[verify_pack_effect(&run->pack, span->first + i).fluent] != 0)
            return true;
    return false;
}

/* Whether the act removes what stands in the way of an end, or of a means to it. */
static bool is_means(struct verify_run *run, unsigned goal, bool to_means)
{
    uint16_t found[READS_MAX];
    memset(run->goal_marks, 0, run->pack.flue.count);
    mark_ways(run, goal, run->goal_marks);
    if (!to_means)
        return writes_marked(run, &run->op, run->goal_marks);
    for (uint32_t i = 0; i < run->pack.oper.count && run->fuel >= 0; i++) {
        struct verify_op op = verify_pack_op(&run->pack, i);
        run->fuel -= 1 + effects_of(&op)->count;
        bool leads = is_act(&op) && writes_marked(run, &op, run->goal_marks);
        unsigned n = leads ? obstacles(run, &op, found) : 0;
        run->fuel -= (int64_t) n * effects_of(&run->op)->count;
        for (unsigned k = 0; k < n; k++)
            if (writes(run, &run->op, found[k]))
                return true;
    }
    return false;
}

/* ---- the check ------------------------------------------------------------------------------- */

static bool on_the_way(struct verify_run *run, const struct aim *aim)
{
    const struct verify_event *e = run->e;
    unsigned step;
    int direct = worth(run, aim, &step), term = e->terms[TERM_GOAL];
    if (direct > 0 && e->plan_step == step && term == within(direct, 0, GOAL_MOST))
        return true;
    int means = GOAL_MEANS * aim->weight / 100;
    if (e->plan_step == 2)
        return term == means && means > 0 && is_means(run, aim->goal, false);
    return e->plan_step == 3 && term == means / 2 && means / 2 > 0 &&
           is_means(run, aim->goal, true);
}

static void check_aim(struct verify_run *run)
{
    const struct verify_event *e = run->e;
    char name[64];
    if (e->goal >= run->pack.goal.count) {
        verify_say(run, VERIFY_GOAL, "there is no goal %u", e->goal);
        return;
    }
    struct verify_goal goal = verify_pack_goal(&run->pack, e->goal);
    struct verify_frame frame = alone(run);
    struct aim aim = { .goal = e->goal, .place = -1 };
    verify_text_copy(verify_pack_string(&run->pack, goal.name), name, sizeof(name));
    if (verify_code_run(&frame, goal.when) == 0) {
        verify_say(run, VERIFY_GOAL, "its actor has no reason to want %s", name);
        return;
    }
    aim.weight = within(verify_code_run(&frame, goal.weight), 0, 100);
    if (goal.at != 0)
        aim.place = verify_code_run(&frame, goal.at);
    if (aim.place >= (int) run->world.counts[SORT_PLACE])
        aim.place = -1;
    if (!on_the_way(run, &aim))
        verify_say(run, VERIFY_GOAL, "as step %u, worth %d, it does not lead to %s", e->plan_step,
                   e->terms[TERM_GOAL], name);
}

void verify_goal_check(struct verify_run *run)
{
    const struct verify_event *e = run->e;
    bool chosen = verify_is_choice(e->type) && run->has_op && verify_is_character(run, e->actor);
    if (chosen && e->goal != NONE_U8)
        check_aim(run);
    else if (e->goal != NONE_U8 || e->plan_step != 0)
        verify_say(run, VERIFY_GOAL,
                   e->goal != NONE_U8 ? "nobody chose it, and it names a goal"
                                      : "it is a step of a plan, and names no goal");
    else if (e->terms[TERM_GOAL] > 0)
        verify_say(run, VERIFY_GOAL, "its goal term is %d, and it names no goal",
                   e->terms[TERM_GOAL]);
}
