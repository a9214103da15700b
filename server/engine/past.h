/* past.h — a carry pack as it was read: what a world goes on from.  Internal to the engine. */
#ifndef NVL_PAST_H
#define NVL_PAST_H
#include "rpc/base/arena.h"
#include "server/engine/nvl.h"

enum { PAST_CANON_MAX = 24 };
struct past_cell { /* fluent(member a, member b); b NVL_NONE: it has one argument */
    const char *fluent;
    uint8_t a, b;
    int16_t value;
};
struct past_secret {
    uint8_t knower, owner, level;
};
struct past_item {
    uint8_t holder;
    const char *name;
};
struct past_thread {
    const char *name;
    uint8_t about; /* member, or NVL_NONE */
};
struct past_canon { /* what a chapter established */
    uint16_t chapter;
    const char *place, *clause;
};
struct past {
    uint16_t chapter; /* that was written last; 0: there is none */
    unsigned members_count, cells_count, secrets_count, items_count, threads_count, canon_count;
    const char *members[NVL_CAST_MAX]; /* ids */
    const struct past_cell *cells;
    const struct past_secret *secrets;
    const struct past_item *items;
    const struct past_thread *threads;
    const struct past_canon *canon;
};
struct nvl_sim;
struct nvl_world;
/* Everything lives in the arena.  NVL_OK, NVL_E_CORRUPT or NVL_E_NOMEM. */
int past_take(const void *bytes, size_t size, struct arena *arena, struct past *out);
bool past_take_items(struct nvl_world *w);    /* the cast has what it ended with; false: no memory */
void past_apply(struct nvl_world *w);         /* onto the initial state */
void past_open_threads(struct nvl_sim *sim);  /* before STARTED */
#endif
