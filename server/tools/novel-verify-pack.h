/* novel-verify-pack.h — the pack image inside a log: bounds, tables, expressions
 * (docs/log-format.md, 5). Opened once; afterwards every index and every expression in it is known
 * to be sound. */
#ifndef NOVEL_VERIFY_PACK_H
#define NOVEL_VERIFY_PACK_H
#include <stdbool.h>
#include <stdint.h>

#include "rpc/base/arena.h"
#include "server/tools/novel-verify-bytes.h"

enum verify_sort {
    SORT_NONE,
    SORT_CHAR,
    SORT_PLACE,
    SORT_LINK,
    SORT_ITEM,
    SORT_FACT,
    SORT_CLUE,
    SORT_MOTIF,
    SORT_COUNT
};
enum verify_see { SEE_ALL, SEE_OWN, SEE_HERE, SEE_NEVER };
enum verify_fluent_flag { FLUENT_STATIC = 1, FLUENT_RESOURCE = 2, FLUENT_BELIEF = 4 };
enum verify_op_flag { OP_RADIO = 1, OP_DEFIES = 2, OP_BETRAYS = 4, OP_NO_ACTOR = 8 };
enum verify_op_kind { KIND_ACTION, KIND_REACTION, KIND_SPEECH, KIND_THOUGHT, KIND_INCIDENT };
enum verify_outcome { OUTCOME_NONE, OUTCOME_CRITICAL, OUTCOME_OK, OUTCOME_PARTIAL, OUTCOME_FAIL };

/* Fluents that the format calls by name. */
enum verify_named {
    NAMED_AT,
    NAMED_AWAKE,
    NAMED_COMM,
    NAMED_HOLDER,
    NAMED_LIES,
    NAMED_END_A,
    NAMED_END_B,
    NAMED_TRACE_AT,
    NAMED_KNOWS,
    NAMED_TRUST,
    NAMED_STANDING,
    NAMED_CLIMAX_STARTS,
    NAMED_CLIMAX_ENDS,
    NAMED_OPEN,
    NAMED_OPENNESS, /* the six traits, in the header's order */
    NAMED_HONESTY = NAMED_OPENNESS + 5,
    NAMED_COUNT
};

struct verify_fluent {
    uint32_t name;
    uint8_t sort1, sort2, value, see, flags, law;
    int16_t min, max, init, assume;
};
struct verify_span { /* effects of an outcome; possible is false for one that can't happen */
    uint16_t first, count;
    bool possible;
};
struct verify_op {
    uint32_t name, family, parm_first, cond_first, skill, difficulty;
    uint8_t parms, kind, minutes, flags, source;
    uint16_t conds, toward_first;
    uint8_t toward;
    bool moves; /* carries its actor to its last place */
    struct verify_span outcomes[5]; /* by enum verify_outcome; [0] unused */
};
struct verify_parm {
    uint8_t sort, hidden;
};
struct verify_cond {
    uint32_t code;
    uint8_t kind, law; /* kind 0 need, 1 where */
};
struct verify_effect {
    uint16_t fluent;
    uint8_t operation, over;
    uint32_t arg1, arg2, value, guard;
};
struct verify_tens {
    uint32_t code;
    uint8_t weight, mode;
};

struct verify_goal {
    uint32_t name, when, weight, at; /* codes; at 0: at no place */
};
struct verify_toward {
    uint16_t goal;
    int16_t value;
};

struct verify_table {
    const uint8_t *data; /* NULL: the section is not there */
    uint32_t count, size;
};
struct verify_pack {
    struct verify_table strs, flue, oper, parm, cond, efct, tens, code, goal, towa, thrd;
    struct verify_fluent *fluents;
    uint8_t *code_seen;     /* expressions already found sound, by offset */
    int named[NAMED_COUNT]; /* index of the fluent, -1 when the pack has none */
};

/* Opens an image of `size` bytes that stay lent; tables come from `arena`.  0; -1 without memory; 1
 * when the image is unsound, with the reason in out_why. */
int verify_pack_open(const uint8_t *data, size_t size, struct arena *arena,
                     struct verify_pack *out_pack, char out_why[static 200]);
/* Indices must be below the tables' counts. */
struct verify_op verify_pack_op(const struct verify_pack *pack, uint32_t index);
struct verify_parm verify_pack_parm(const struct verify_pack *pack, uint32_t index);
struct verify_cond verify_pack_cond(const struct verify_pack *pack, uint32_t index);
struct verify_effect verify_pack_effect(const struct verify_pack *pack, uint32_t index);
/* Index of the thread of that name, or -1. */
int verify_pack_thread(const struct verify_pack *pack, struct verify_text name);
struct verify_tens verify_pack_tens(const struct verify_pack *pack, uint32_t index);
struct verify_goal verify_pack_goal(const struct verify_pack *pack, uint32_t index);
struct verify_toward verify_pack_toward(const struct verify_pack *pack, uint32_t index);
struct verify_text verify_pack_string(const struct verify_pack *pack, uint32_t offset);
bool verify_law_known(unsigned code);

#endif
