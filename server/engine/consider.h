/* consider.h — why somebody did not do what they did not do.  Part of the engine's public face; the
 * rules of nvl.h hold. */
#ifndef NVL_CONSIDER_H
#define NVL_CONSIDER_H
#include "server/engine/nvl.h"

enum nvl_absence { /* from the farthest to the nearest */
                   NVL_ABSENT_NEED = 1,  /* something it needs was not so */
                   NVL_ABSENT_UNKNOWN,   /* it was so, and the actor did not believe it */
                   NVL_ABSENT_FORBIDDEN, /* a law or a director stood against it */
                   NVL_ABSENT_OUTSCORED, /* it could have been done, and another act was worth more */
                   NVL_ABSENT_NOT,       /* it was chosen in that turn, or done as a reaction */
};
struct nvl_consideration {
    enum nvl_absence absence;
    uint16_t pass;                        /* where it came nearest */
    uint8_t args_count;
    uint8_t args[NVL_ARGS_MAX];           /* the nearest binding */
    uint16_t cell;                        /* NEED, UNKNOWN, FORBIDDEN: what told, or NVL_NO_CELL */
    uint8_t code;                         /* FORBIDDEN: the law; 0: the director */
    int32_t utility;                      /* OUTSCORED: of it and of what was chosen instead */
    int16_t terms[NVL_TERMS];
    uint16_t chosen_op;                   /* NVL_NO_OP: nothing, the actor slept */
    uint8_t chosen_args_count;
    uint8_t chosen_args[NVL_ARGS_MAX];
    int32_t chosen_utility;
    int16_t chosen_terms[NVL_TERMS];
};
/* Plays the next turn on a copy of sim and looks at every pass of it: how near actor came to doing
 * op to targets (ids of the operator's open parameters after the actor, in order; fewer: any).
 * NVL_E_INVALID when a name does not exist (err: "actor", "operator", "targets[1]"), NVL_E_ENDED
 * when no turn follows, NVL_E_NOMEM. */
int nvl_consider(const struct nvl_sim *sim, const char *actor, const char *op,
                 const struct nvl_strings *targets, struct nvl_consideration *out,
                 struct nvl_error *err);
#endif
