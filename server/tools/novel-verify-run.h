/* novel-verify-run.h — the replay of a log: what was true, believed and used up to the event at
 * hand, and the checks that hold each event against it (docs/log-format.md, 8 to 10).  One file per
 * concern: -run.c state, looking, belief, tension   -order.c passes, time, threads   -law.c
 * conditions, verdicts -effect.c witnesses, roll, effects       -cause.c causes A check reports
 * through verify_say and goes on; the replay continues with what the log claims, so that one false
 * event does not drown the report. */
#ifndef NOVEL_VERIFY_RUN_H
#define NOVEL_VERIFY_RUN_H
#include "server/tools/novel-verify-code.h"
#include "server/tools/novel-verify-event.h"
#include "server/tools/novel-verify.h"

/* Streams of random numbers that an event is held against. */
enum { STREAM_ROLL = 3, STREAM_HIDDEN = 5 };
enum { VERIFY_PASSES_MAX = 96, VERIFY_TOUCHED_MAX = 4096, VERIFY_MINUTES_A_PASS = 30 };
enum { VERIFY_INCIDENTS_MAX = 4, VERIFY_VETOES_MAX = 64, VERIFY_CLIMAX = 4 };

/* What the coming effects are held against: who and where everybody was before the event. */
struct verify_before {
    uint32_t awake, comm; /* bit per character */
    int16_t place[VERIFY_CHARS_MAX];
    uint32_t present; /* section 8, Effects */
};

/* An act, an incident or a veto that an INTERVENTION ordered. */
struct verify_ordered {
    uint32_t by; /* its sequence; 0: none */
    uint16_t op, turn, pass;
    uint8_t actor, count, args[6];
};
struct verify_change {
    uint16_t cell;
    int16_t before, after;
};

struct verify_run {
    struct verify_report *report;
    struct verify_header header;
    struct verify_pack pack;
    struct verify_world world;
    uint8_t hash_0[32], world_digest[32];

    uint64_t seed; /* of what is drawn now, and the story's turns: FORKED changes them */
    uint32_t turns;
    uint8_t head[32]; /* before the event at hand */

    uint16_t passes;
    struct {
        uint8_t turn, phase;
    } plan[VERIFY_PASSES_MAX]; /* per pass */

    int16_t *cells;            /* the state */
    uint8_t *goal_marks;       /* per fluent: what stands in the way of a goal */
    uint32_t *writer;          /* per cell */
    int16_t *beliefs, *chosen; /* characters x cells: now, and as of the pass's looking */
    struct verify_reads reads;
    struct {
        uint32_t *stamps, stamp; /* per cell: already in the list */
        uint16_t cell[VERIFY_TOUCHED_MAX];
        int16_t before[VERIFY_TOUCHED_MAX];
        unsigned count;
        int overdrawn; /* a resource cell that left its range, or -1 */
        bool overflow;
    } touched; /* cells that the expected effects write */

    const struct verify_event *e; /* the event at hand */
    struct verify_op op;
    bool has_op; /* op is that of the event */
    struct verify_before before;
    bool in_vain; /* a where of the event is false: it comes to nothing */
    int64_t fuel;

    uint16_t pass;
    bool looked;             /* in this pass */
    bool carried_threads[256]; /* about whom a thread was open when the chapter began */
    uint32_t acted, watched; /* in this pass: who had a turn; who was awake at the looking */
    bool silent_known;       /* an event of the pass has said */
    uint32_t silent;         /* in this pass: who lets it go by, as its events say */
    uint16_t used[VERIFY_CHARS_MAX]; /* minutes in this pass */
    struct verify_event previous;    /* sequence 0: none */
    struct verify_ordered acts[VERIFY_CHARS_MAX], incidents[VERIFY_INCIDENTS_MAX];
    struct verify_ordered vetoes[VERIFY_VETOES_MAX];
    unsigned incident_count, veto_count;
    struct verify_barred {
        uint64_t who; /* bit per character who never does it, and one more for the world */
        uint32_t by;
    } * barred;                /* per operator */
    uint32_t ordered;          /* the INTERVENTION that wants the event at hand, or 0 */
    uint32_t barred_by;        /* what forbids an ordered act that was rejected, or 0 */
    bool edit_sound;           /* the INTERVENTION at hand names what exists */
    uint8_t threads[256][256]; /* by thread and what it is about: 0 never, 1 open, 3 closed */
};

__attribute__((format(printf, 3, 4))) void verify_say(struct verify_run *run, unsigned code,
                                                      const char *format, ...);
/* Cells of the state, arguments of the event. */
struct verify_frame verify_run_frame(struct verify_run *run, const int16_t *cells);
/* below(n) of the format's random numbers, for the event's pass, actor and operator. */
unsigned verify_run_below(const struct verify_run *run, unsigned stream, unsigned n);
int verify_run_named(const struct verify_run *run, enum verify_named which, int a, int b,
                     int absent);
static inline bool verify_is_character(const struct verify_run *run, unsigned who)
{
    return who < run->world.counts[SORT_CHAR];
}
/* Events that are somebody's choice. */
static inline bool verify_is_choice(unsigned type)
{
    return type == EVENT_ACTION || type == EVENT_SPEECH || type == EVENT_THOUGHT ||
           type == EVENT_REJECTED;
}
/* Events of the log's frame: no operator, no causes, no witnesses. */
static inline bool verify_is_frame(unsigned type)
{
    return type == EVENT_STARTED || type == EVENT_COMPLETED || type == EVENT_CANCELLED;
}

/* Events of somebody outside the story, between two turns. */
static inline bool verify_is_outside(unsigned type)
{
    return type == EVENT_INTERVENTION || type == EVENT_FORKED;
}

/* Needs header, pack and world.  0 or VERIFY_NO_MEMORY; everything comes from `arena`. */
int verify_run_init(struct verify_run *run, struct arena *arena);
/* Checks one event and makes it part of the state.  False when the replay can't go on. */
bool verify_run_event(struct verify_run *run, const struct verify_event *e);

void verify_plan_init(struct verify_run *run);
int verify_edit_init(struct verify_run *run, struct arena *arena);
void verify_edit_owed(struct verify_run *run);  /* what earlier edits want of the event */
void verify_edit_check(struct verify_run *run); /* INTERVENTION and FORKED themselves */
void verify_edit_take(struct verify_run *run);  /* once checked: what is to come of it */
/* Sequence of the edit that forbids the event's act to its actor, or 0. */
uint32_t verify_edit_bar(const struct verify_run *run);
/* Changes that are due but for beliefs, in order of cells; how many. */
unsigned verify_edit_marks(const struct verify_run *run, struct verify_change out[2]);
void verify_edit_belief_check(struct verify_run *run);
uint32_t verify_edit_witnesses(const struct verify_run *run, int *out_place);
/* Whether the event's effects, if it came to pass, took a resource out of its range.  Leaves
 * run->before as it finds it. */
bool verify_overdraws(struct verify_run *run);
/* What the world would bind to the operator's hidden parameter: NONE_U8 for nothing. */
unsigned verify_hidden_due(struct verify_run *run, unsigned parm);
int verify_hidden_parm(const struct verify_run *run);
bool verify_wheres_hold(struct verify_run *run, const uint8_t *args);
void verify_order_check(struct verify_run *run);
void verify_time_check(struct verify_run *run);
void verify_threads_check(struct verify_run *run);
void verify_shape_check(struct verify_run *run); /* operator, arguments, actor, alternatives */
void verify_conditions_check(struct verify_run *run);
void verify_verdict_check(struct verify_run *run);
void verify_social_check(struct verify_run *run);
void verify_before_take(struct verify_run *run);
void verify_roll_check(struct verify_run *run);
void verify_effects_check(struct verify_run *run); /* with witnesses */
void verify_deltas_check(
    struct verify_run *run); /* range, canon, items, bodies; after they were applied */
void verify_causes_check(struct verify_run *run);
void verify_goal_check(struct verify_run *run);

/* novel-verify-carry.c: data NULL when the log has no carry pack. */
void verify_carry_check(struct verify_run *run, const uint8_t *data, size_t size);

#endif
