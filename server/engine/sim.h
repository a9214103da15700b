/* sim.h — a running simulation's inside.  Internal to the engine. */
#ifndef NVL_SIM_H
#define NVL_SIM_H
#include <string.h>
#include "server/engine/edit.h"
#include "server/engine/world.h"

enum {
    SIM_CHARS = WORLD_CHARS_MAX,
    SIM_BINDINGS = 64,    /* per operator and character */
    SIM_KEPT = 16,        /* best candidates kept for repair */
    SIM_MEMORY = 6,       /* acts a character remembers for novelty */
    SIM_SEARCH_BEAM = 12, /* closing search: states kept per step */
    SIM_SEARCH_DEPTH = 4, /* acts looked ahead */
    PLAN_WANTS = 24,      /* obstacles a character thinks of in one pass */
    PLAN_END = 300,       /* an operator worth that much to a goal reaches it */
    PLAN_SECOND = 200,    /* worth of what makes it possible; half of that one step earlier */
    SIM_OPS = 512,
    SIM_THREADS = 32,
    SIM_INCIDENTS = 4,               /* incidents that may wait to strike */
    SIM_VETOES = 64,                 /* in one turn */
    SIM_EDITED = NVL_EVENTS_MAX / 2, /* a log that long takes no more edits */
};
struct candidate {
    uint16_t op;
    uint8_t args[NVL_ARGS_MAX];
    int32_t utility;
    int16_t terms[NVL_TERMS];
    uint8_t goal, plan_step;
};
struct choices { /* of one character in one pass, best first */
    struct candidate best[SIM_KEPT];
    unsigned count;
    uint32_t forced;      /* the INTERVENTION that wants best[0]; 0: it is the actor's own */
    bool forced_unknown;  /* it needs something that the actor does not believe */
    uint16_t forced_cell; /* and the cell that told */
};
struct goal_view { /* a goal as one character holds it in one pass */
    uint8_t goal, weight;
    int8_t place;
};
struct plan_want { /* a fluent that stands in the way of a goal */
    uint16_t fluent;
    int16_t value;
    uint8_t goal, step;
};
struct memory {
    uint16_t op;
    uint8_t target;
    uint16_t pass;
};
struct awaited { /* an act or an incident that an edit ordered */
    uint32_t by; /* sequence of the INTERVENTION; 0: none */
    uint16_t op;
    uint8_t args[NVL_ARGS_MAX];
};
struct veto {
    struct awaited act; /* arguments that are NVL_NONE stand for any */
    uint8_t actor;
};
struct edits { /* what changes from outside have left to heed */
    struct awaited acts[SIM_CHARS], incidents[SIM_INCIDENTS];
    struct veto vetoes[SIM_VETOES]; /* of the next turn */
    unsigned incidents_count, vetoes_count;
    uint32_t barred[SIM_OPS];    /* bit per character who never does it; BARRED_WORLD: the world */
    uint32_t barred_by[SIM_OPS]; /* sequence of the last FORBID */
};
enum { LAW_UNKNOWN = 0x12, LAW_RANGE = 0x21, LAW_BARRED = 0x41, LAW_CANON = 0x42 };
#define BARRED_WORLD (1u << SIM_CHARS)
struct nvl_sim {
    struct arena arena;
    struct nvl_world *w;
    uint64_t seed; /* these four may differ from the request's: see edit.h */
    uint32_t turns;
    struct pass_plan plan;
    uint8_t traits[SIM_CHARS * NVL_TRAITS];
    struct edits edits;
    int16_t *state, *scratch;
    uint32_t *writer;
    int16_t *belief[SIM_CHARS];
    uint8_t *dist; /* places x places, for the character that chooses */
    struct choices choices[SIM_CHARS];
    struct memory memory[SIM_CHARS][SIM_MEMORY];
    unsigned memory_at[SIM_CHARS];
    uint8_t came_from[SIM_CHARS]; /* place, and pass + 1, of the last move */
    uint16_t came_at[SIM_CHARS];
    struct memory last_by_any[SIM_CHARS];
    uint8_t minutes[SIM_CHARS];
    uint8_t thread_open[SIM_THREADS]
                       [SIM_CHARS + 1]; /* 0 not yet, 1 open, 2 closed; last: about nobody */
    uint8_t *cond_plain;                /* per condition of the pack: it speaks of nobody */
    uint8_t *op_writes;                 /* per operator a bit per fluent that it sets */
    struct plan_want wants[PLAN_WANTS]; /* of the character that chooses */
    unsigned wants_count;
    uint8_t *memo;                     /* per condition: 0 not tested, 1 false, 2 true */
    bool op_alive[SIM_OPS];            /* of this frame at all */
    bool op_open[SIM_OPS];             /* what it asks of the story as a whole holds now */
    uint16_t op_last[SIM_OPS];         /* pass + 1 of an incident's last time */
    uint16_t incidents, last_incident; /* how many the director chose; pass + 1 of the last */
    uint16_t bias_op[SIM_CHARS];       /* what the closing search wants of whom */
    uint32_t sequence, silent; /* silent: who lets the pass go by, once all have chosen */
    uint8_t head[SHA256_SIZE];
    unsigned pass, turns_done;
    uint8_t tension;
    bool ended, cancelled, broken;
    int settled, came_before; /* fluents of these names, or -1 */
    struct nvl_event deed; /* what settled the story; sequence 0: nothing yet */
    void (*on_choices)(void *ctx, struct nvl_sim *s); /* NULL, or told when all have chosen */
    void *on_choices_ctx;
    nvl_sink sink;
    void *sink_ctx;
    struct sha256 *sha;
};

/* sim_choice.c */
typedef void (*binding_fn)(void *ctx, const uint8_t args[NVL_ARGS_MAX]);
/* Every binding of op's open parameters by actor (NVL_NONE: none) whose needs hold on view.
 * gated: op_open[op] is known to hold for this view, so that its plain conditions need no test. */
void choice_bind(const struct nvl_sim *s, unsigned op, unsigned actor, const int16_t *view,
                 bool gated, binding_fn fn, void *ctx);
/* Utility and terms of one candidate, as choice_make would weigh it now. */
void choice_weigh(struct nvl_sim *s, unsigned actor, struct candidate *c);
void choice_make(struct nvl_sim *s, unsigned actor); /* fills s->choices[actor] from beliefs */
void choice_score(struct nvl_sim *s, unsigned actor, const int16_t *view,
                  const struct goal_view *goals, unsigned goals_count, struct candidate *c);
unsigned choice_target(const struct pack_op *op,
                       const uint8_t *args); /* first char argument after the actor, or NVL_NONE */
/* Binds the open parameters that are NVL_NONE as the actor would; false: nothing fits, args are as
 * they were. */
bool choice_complete(struct nvl_sim *s, unsigned actor, unsigned op, uint8_t args[NVL_ARGS_MAX]);
/* sim_gate.c */
bool gate_build(struct nvl_sim *s); /* false: no memory */
bool gate_holds(const struct nvl_sim *s, unsigned op, const int16_t *state);
void gate_alive(struct nvl_sim *s);        /* fills op_alive; again when the plan has changed */
void gate_forget(const struct nvl_sim *s); /* before another character, or another view, chooses */
/* A condition on the actor alone, the same for every operator that asks it: tested once until it is
 * forgotten.  env has the actor in its arguments and nothing else, and notes no reads. */
bool gate_actor_holds(const struct nvl_sim *s, struct code_env *env, const struct pack_cond *c);
void gate_pass(struct nvl_sim *s);         /* after the state has changed: fills op_open */
/* sim_plan.c */
bool plan_build(struct nvl_sim *s); /* false: no memory */
void plan_make(struct nvl_sim *s, unsigned actor, const int16_t *view,
               const struct goal_view *goals, unsigned count); /* fills wants */
int plan_worth(const struct nvl_sim *s, unsigned op, unsigned *out_goal, unsigned *out_step);
/* sim_judge.c */
/* The law's word on a candidate: 0, or a code with the cell that told. */
unsigned judge_law(const struct nvl_sim *s, unsigned actor, const struct candidate *c,
                   uint16_t *out_cell);
bool judge_needs(const struct nvl_sim *s, unsigned op, const uint8_t *args, const int16_t *state,
                 bool wheres);
/* Plays one character's choice: rejection, repair, act, reaction.  NVL_OK or an error. */
int judge_act(struct nvl_sim *s, unsigned actor);
/* by: the INTERVENTION that ordered it, or 0. */
int judge_incident(struct nvl_sim *s, unsigned op, const uint8_t args[NVL_ARGS_MAX], uint32_t by);
/* The law on the first condition (of the kinds asked for) that is false on view; 0: all hold. */
unsigned judge_failing(const struct nvl_sim *s, unsigned op, const uint8_t *args,
                       const int16_t *view, bool wheres, uint16_t *out_cell);
/* sim_record.c */
int record_event(struct nvl_sim *s,
                 struct nvl_event *e); /* numbers, tension, bytes, hash, sink, beliefs */
void record_causes(const struct nvl_sim *s,
                   struct nvl_event *e); /* from the operator's conditions */
void record_cause(struct nvl_event *e, uint32_t sequence, unsigned kind, unsigned cell);
void record_look(struct nvl_sim *s); /* everybody perceives */
uint32_t record_present(const struct nvl_sim *s, const struct nvl_event *e);
uint8_t record_tension(const struct nvl_sim *s);
/* sim_direct.c */
uint8_t direct_target(const struct nvl_sim *s);
int direct_incidents(struct nvl_sim *s);
void direct_search(struct nvl_sim *s); /* closing search: sets bias_op */
/* The best binding of an incident whose conditions hold now; false: there is none. */
bool direct_bind(struct nvl_sim *s, unsigned op, uint8_t out_args[NVL_ARGS_MAX]);
unsigned direct_ending(const struct nvl_sim *s, const int16_t *state);

/* sim_edit.c */
/* Sequence of the edit that keeps actor (NVL_ACTOR_WORLD: an incident) from the act, or 0. */
uint32_t edit_bar(const struct nvl_sim *s, unsigned actor, unsigned op, const uint8_t *args);
int edit_incidents(struct nvl_sim *s, bool *out_struck); /* those that were ordered */
/* Sets a cell of fluent(a), within its range, and notes the change. */
void edit_set(struct nvl_sim *s, struct nvl_event *e, int fluent, unsigned a, int value);
/* The same by name, when the pack has such a number of an `of` (NVL_SORT_NONE: of nobody). */
void edit_set_named(struct nvl_sim *s, struct nvl_event *e, const char *name, enum nvl_sort of,
                    unsigned a, int value);
void edit_turn_done(struct nvl_sim *s);
/* Checks what a change says against the laws; binds what the actor or the world would bind.
 * NVL_OK or NVL_E_NOMEM; out_cell: what told, or NVL_NO_CELL. */
int edit_judge(const struct nvl_sim *s, struct nvl_event *e, uint8_t *out_code, uint16_t *out_cell);
/* Carries it out: state, persona, what is awaited; the event goes through the sink. */
int edit_apply(struct nvl_sim *s, struct nvl_event *e);
/* sim.c */
struct nvl_event sim_between(const struct nvl_sim *s,
                             unsigned type); /* where the next turn begins */
int sim_turn(struct nvl_sim *s);             /* without the end */
int sim_complete(struct nvl_sim *s);

static inline unsigned sim_phase(const struct nvl_sim *s)
{
    return s->pass < s->plan.count ? s->plan.phase[s->pass] : (unsigned) NVL_RESOLUTION;
}
static inline struct code_env judge_env(const struct nvl_sim *s, const int16_t *state,
                                        const uint8_t *args)
{
    struct code_env env = { .world = s->w,
                            .state = state,
                            .each = NVL_NONE,
                            .pass = s->pass,
                            .passes = s->plan.count,
                            .phase = sim_phase(s) };
    memcpy(env.args, args, sizeof(env.args));
    return env;
}
static inline bool sim_awake(const struct nvl_sim *s, const int16_t *state, unsigned c)
{
    return world_get(s->w, state, KNOWN_AWAKE, c, 0) == 1;
}
#endif
