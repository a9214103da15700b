/* wheel.h — hierarchical timer wheel with ticks of 1 ms: start, stop and firing are O(1).  8 levels
 * of 64 slots reach 2^48 ms, so nothing ever wraps.  A timer stands on the level of the highest
 * bits in which its tick differs from `elapsed`, and moves down when that slot is reached. */
#ifndef NRPC_IO_WHEEL_H
#define NRPC_IO_WHEEL_H
#include "rpc/io/loop.h"

enum { WHEEL_LEVELS = 8, WHEEL_SLOTS = 64 };
struct wheel {
    uint64_t elapsed; /* tick up to which all timers were handed out */
    uint64_t used[WHEEL_LEVELS];
    struct list slots[WHEEL_LEVELS][WHEEL_SLOTS];
    struct list soon; /* started when already due: they fire on the next advance */
};

void wheel_init(struct wheel *w, uint64_t now_ns);
void wheel_add(struct wheel *w, struct timer *t);    /* t is unlinked and has its due_ns */
void wheel_remove(struct wheel *w, struct timer *t); /* also from the list wheel_advance filled */
void wheel_advance(struct wheel *w, uint64_t now_ns,
                   struct list *ready); /* appends what is due, by time */
/* When to call wheel_advance next (0 at once); false without timers.  May be early, never late. */
bool wheel_next(const struct wheel *w, uint64_t *out_due_ns);

#endif
