/* carry_pack.h — a carry pack in memory.  Internal to the engine; the bytes are those of
 * docs/log-format.md, section 11. */
#ifndef NVL_CARRY_PACK_H
#define NVL_CARRY_PACK_H
#include "rpc/base/arena.h"
#include "server/engine/carry.h"

struct nvl_world;
enum {
    CARRY_PEOPLE = 16,
    CARRY_RELATIONS = 15,
    CARRY_ITEMS = 4,
    CARRY_SECRETS = 15,
    CARRY_THREADS = 32,
    CARRY_CANON = 12, /* the newest are kept */
    CARRY_KNOWERS = 16,
    CARRY_CHAPTERS = 999,
    CARRY_AXES = 5,
    CARRY_MARKS = 4,
    CARRY_EMOTIONS = 6,
};
struct carry_relation {
    const char *other;
    int8_t axes[CARRY_AXES]; /* trust, affection, respect, dread, debt */
    uint8_t marks;           /* bits: grudge, doubts, wronged, vowed */
};
struct carry_item {
    const char *owner; /* whose card brought it, or "" */
    const char *name, *kind;
};
struct carry_secret {
    const char *of;
    uint8_t level; /* enum nvl_belief_level, not 0 */
};
struct carry_person {
    const char *id, *name;
    uint8_t hurt, out; /* out: their own secret is no longer one */
    uint8_t emotions[CARRY_EMOTIONS];
    struct carry_relation *relations;
    struct carry_item *items;
    struct carry_secret *secrets;
    uint8_t relations_count, items_count, secrets_count;
};
struct carry_thread {
    const char *name, *about;
};
struct carry_fact {
    uint16_t chapter;
    uint8_t kind; /* enum nvl_canon_kind */
    const char *clause;
    const char **knowers;
    uint8_t knowers_count;
};
struct carry {
    uint32_t abi;
    uint16_t chapters;
    uint8_t head[SHA256_SIZE];
    const char *frame, *truth, *ending, *locale;
    struct carry_person people[CARRY_PEOPLE]; /* by id */
    struct carry_thread threads[CARRY_THREADS];
    struct carry_fact canon[CARRY_CANON]; /* oldest first */
    unsigned people_count, threads_count, canon_count;
};
extern const char *const carry_axes[CARRY_AXES];   /* names of fluents */
extern const char *const carry_marks[CARRY_MARKS]; /* names of fluents */

/* NVL_OK, NVL_E_CORRUPT or NVL_E_NOMEM; strings and lists live in the arena. */
int carry_decode(const void *bytes, size_t size, struct arena *arena, struct carry *out);
/* Appends the bytes; a pack that breaks a bound of its own is not written: NVL_E_INVALID. */
int carry_put(const struct carry *carry, struct buf *out);
const struct carry_person *carry_find(const struct carry *carry, const char *id); /* or NULL */
#endif
