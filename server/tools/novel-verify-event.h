/* novel-verify-event.h — one canonical event, decoded (docs/log-format.md, 7).  Decoding knows the
 * shape alone; whether it can be true is for novel-verify-run.h. */
#ifndef NOVEL_VERIFY_EVENT_H
#define NOVEL_VERIFY_EVENT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum verify_type {
    EVENT_STARTED = 1,
    EVENT_INCIDENT,
    EVENT_ACTION,
    EVENT_REACTION,
    EVENT_SPEECH,
    EVENT_THOUGHT,
    EVENT_REJECTED,
    EVENT_INTERVENTION,
    EVENT_FORKED,
    EVENT_COMPLETED,
    EVENT_FAILED,
    EVENT_CANCELLED
};
enum verify_cause_kind {
    CAUSE_ENABLES = 1,
    CAUSE_MOTIVATES,
    CAUSE_INFORMS,
    CAUSE_REACTS,
    CAUSE_PREVENTS,
    CAUSE_FORESHADOWS,
    CAUSE_INTERVENTION
};
enum verify_verdict { VERDICT_VALID = 1, VERDICT_REPAIRED, VERDICT_REJECTED };
enum verify_repair {
    REPAIR_NONE,
    REPAIR_REBIND,
    REPAIR_LOWER,
    REPAIR_SIBLING,
    REPAIR_NEXT,
    REPAIR_HESITATE
};
enum verify_term {
    TERM_GOAL,
    TERM_DRIVE,
    TERM_TRAIT,
    TERM_EMOTION,
    TERM_RELATION,
    TERM_NORM,
    TERM_DIRECTOR,
    TERM_COST,
    TERM_NOVELTY,
    TERM_LUCK,
    TERM_COUNT
};
enum { ACTOR_WORLD = 254, ACTOR_DIRECTOR = 255, NONE_U8 = 255, NONE_U16 = 0xffff };

struct verify_cause {
    uint32_t sequence;
    uint8_t kind;
    uint16_t cell;
};
struct verify_delta {
    uint16_t cell;
    int16_t before, after;
};
struct verify_belief {
    uint8_t who, fact, before, after, source, informant;
};
struct verify_thread {
    uint8_t thread, change, about;
};
struct verify_choice {
    uint16_t op;
    uint8_t count, args[6];
    int32_t utility;
};
struct verify_edit { /* what an INTERVENTION does; operator and arguments are the event's */
    uint8_t kind, who, thing, to_sort, to, value;
};
struct verify_event {
    uint32_t sequence, minute, witnesses, silent;
    uint16_t turn, pass, op, reason;
    uint8_t type, phase, outcome, actor, arg_count, args[6], place;
    int16_t roll, difficulty, skill;
    uint8_t tension_before, tension_after, target;
    uint8_t verdict, repair, code_count, codes[4];
    uint8_t goal, plan_step;
    int32_t utility;
    int16_t terms[TERM_COUNT];
    struct verify_choice alternatives[2];
    uint8_t cause_count, delta_count, belief_count, thread_count;
    struct verify_cause causes[12];
    struct verify_delta deltas[32];
    struct verify_belief beliefs[16];
    struct verify_thread threads[6];
    const uint8_t *hash_0, *world_digest; /* STARTED */
    struct verify_edit edit;              /* INTERVENTION */
    const uint8_t *parent_head;           /* FORKED */
    uint64_t seed;                        /* FORKED */
    uint32_t turns;                       /* COMPLETED and FORKED */
    uint8_t ending;                       /* COMPLETED */
};

/* False when the bytes are no event, with the reason in out_why; *out_event is written either way,
 * its digests point into `data`. */
bool verify_event_decode(const uint8_t *data, size_t size, struct verify_event *out_event,
                         const char **out_why);
const char *verify_event_type_name(unsigned type);

#endif
