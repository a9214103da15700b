/* edit.h — changes from outside: interventions, forks, proposals, and running a log again.
 *
 * Part of the engine's public face; the rules of nvl.h hold.  An edit counts between two turns.
 * It is judged by the laws like any act.  What is allowed becomes an INTERVENTION event, which
 * holds the whole edit, so that a log alone can be run again; what is forbidden leaves no trace.
 * Random numbers are keyed by pass, slot and purpose, never by sequence: an edit that changes
 * nothing leaves everything after it as it was, but for the numbers of the events. */
#ifndef NVL_EDIT_H
#define NVL_EDIT_H
#include "server/engine/nvl.h"

enum nvl_edit_kind {
    NVL_EDIT_ACT = 1,  /* actor does `name` to targets as its next act, whatever it wanted */
    NVL_EDIT_WHISPER,  /* actor now holds fact `name` at level `value` */
    NVL_EDIT_TRAIT,    /* actor's trait `name` becomes `value`, 0..100 */
    NVL_EDIT_ITEM,     /* item `name` goes to `to`, a place or a character */
    NVL_EDIT_INCIDENT, /* incident `name` strikes at the next turn's beginning */
    NVL_EDIT_FORBID,   /* actor never does `name` from here on; actor "": nobody does */
    NVL_EDIT_VETO,     /* actor does not do `name` to targets in the next turn */
};
/* Ids are those of nvl_world_entity and nvl_pack_op.  Strings live for the call. */
struct nvl_edit {
    enum nvl_edit_kind kind;
    const char *actor;
    const char *name;
    const char *to;
    struct nvl_strings targets; /* the operator's open parameters after the actor, in order; fewer:
                                   the rest is bound as the actor would bind it */
    int32_t value;
};
struct nvl_judgement {
    uint8_t verdict; /* NVL_VALID, or NVL_LAW_REJECTED */
    uint8_t codes_count;
    uint8_t codes[NVL_CODES_MAX];
    char reason[224]; /* a sentence that says what stands against it; "" when valid */
};
/* NVL_OK with a verdict (and an INTERVENTION through sink when valid); NVL_E_INVALID when the edit
 * names what does not exist (err says which field: "actor", "name", "targets[1]", "to", "value");
 * NVL_E_ENDED (also when no turn is left to be played); NVL_E_NOMEM; NVL_E_SINK.  out is written on
 * NVL_OK only; err may be NULL. */
int nvl_intervene(struct nvl_sim *sim, const struct nvl_edit *edit, nvl_sink sink, void *ctx,
                  struct nvl_judgement *out, struct nvl_error *err);

/* Splits from the log that sim has played so far: FORKED goes through sink.  seed 0 and turns 0
 * keep what they are; turns must be more than those done, so that something is left to tell.  With
 * another number of turns the phases of what comes are planned anew.  parent_head: 32 bytes, the
 * head that the parent had here; NULL: nvl_head(sim).  It may be another only when nothing but
 * STARTED has happened: then the cast was exchanged.  NVL_E_INVALID (err names "seed", "turns" or
 * "parent_head"), NVL_E_ENDED, NVL_E_SINK. */
int nvl_fork(struct nvl_sim *sim, uint64_t seed, uint32_t turns, const uint8_t *parent_head,
             nvl_sink sink, void *ctx, struct nvl_error *err);

/* What the next turn would bring if nobody said a word: every character's choices in order, as a
 * trial run on a copy finds them (where the law says no, what the repair makes of it).  A turn has
 * one a character and pass.  sim itself is not changed.  At most max are written, *out_count says
 * how many.  NVL_E_ENDED when no turn is left, NVL_E_NOMEM. */
struct nvl_proposal {
    uint8_t actor; /* character index */
    uint16_t op;
    uint8_t args_count;
    uint8_t args[NVL_ARGS_MAX]; /* what the world alone knows is NVL_NONE */
    int32_t utility;
};
int nvl_propose(const struct nvl_sim *sim, struct nvl_proposal *out, size_t max, size_t *out_count);

/* An independent copy that goes on from here on its own, in any thread; the world is shared and
 * stays until the last one is freed.  NVL_E_NOMEM. */
int nvl_clone(const struct nvl_sim *sim, struct nvl_sim **out);

/* Plays a stored log again up to its last event (to_turn UINT32_MAX), or all that bears a turn of
 * at most to_turn (edits after it are of that turn too) without the COMPLETED or CANCELLED, so that
 * what comes back can go on.  Every event goes through sink, byte for byte as stored, and on
 * success *out is the simulation as it then stands.  NVL_E_CORRUPT with the sequence in err->line
 * when what is derived differs.  A log that stops within a turn (it never does when a store wrote
 * it) is NVL_E_CORRUPT too. */
int nvl_replay(const struct nvl_pack *pack, const struct nvl_request *request,
               const struct nvl_span *canonical, size_t count, uint32_t to_turn, nvl_sink sink,
               void *ctx, struct nvl_error *err, struct nvl_sim **out);
/* The same one event at a time, for a run that follows a log: INTERVENTION and FORKED of it,
 * between two turns.  NVL_E_CORRUPT when it cannot have happened here, or not so. */
int nvl_reapply(struct nvl_sim *sim, const struct nvl_event *event, nvl_sink sink, void *ctx);
#endif
