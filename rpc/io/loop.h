/* loop.h — the inside of nrpc_loop that rpc/ and the gateway's front door use: turn hooks and timers.
 * All [loop].  Turn: wait for events (EVLOOP_ONCE) -> inbox -> due timers -> flush dirty sockets -> free what
 * died this turn.  The event_base is made with EVENT_BASE_FLAG_NOLOCK; the mailbox is the only door. */
#ifndef NRPC_IO_LOOP_H
#define NRPC_IO_LOOP_H
#include <stdatomic.h>
#include "rpc/base/check.h"
#include "rpc/base/list.h"
#include "rpc/nrpc.h"

struct event_base *loop_base(nrpc_loop *l);
bool loop_is_current(const nrpc_loop *l);   /* is the calling thread running l? */
#define ON_LOOP(l) ASSERT(loop_is_current(l))
uint64_t loop_now_ns(nrpc_loop *l);         /* monotonic, read once a turn */

/* Runs fn(ctx) at the end of this turn, after the flush; for freeing what may still be on the stack. */
struct loop_later {
    struct list link;
    void (*fn)(struct loop_later *later);
};
void loop_defer(nrpc_loop *l, struct loop_later *later);

/* Work before the flush of this turn: a connection that has something to send puts itself here, once. */
struct loop_dirty {
    struct list link;                       /* list_init'ed by its owner; linked while dirty */
    void (*flush)(struct loop_dirty *d);
};
void loop_mark_dirty(nrpc_loop *l, struct loop_dirty *d); /* no-op when it is already */

/* One-shot timers, intrusive; granularity 1 ms; thousands are cheap (wheel).  Not before the time. */
struct timer {
    struct list link;
    nrpc_loop *loop;
    uint64_t due_ns;
    void (*fn)(struct timer *t);
};
void timer_init(struct timer *t, nrpc_loop *l, void (*fn)(struct timer *t));
void timer_start(struct timer *t, uint64_t after_ms); /* restarts when running */
void timer_start_at(struct timer *t, uint64_t due_ns);
void timer_stop(struct timer *t);                     /* safe when not running */
bool timer_running(const struct timer *t);

/* Free slot for the call table of rpc/call, and for whoever else needs one object a loop. */
enum { LOOP_SLOT_CALLS, LOOP_SLOT_COMPRESSOR, LOOP_SLOT_USER, LOOP_SLOTS };
void *loop_slot(const nrpc_loop *l, int slot);
/* done(value) runs in nrpc_loop_free. */
void loop_set_slot(nrpc_loop *l, int slot, void *value, void (*done)(void *value));

/* Load that the listener balances by: live connections of this loop.  [any] to read. */
void loop_add_load(nrpc_loop *l, int delta);
int loop_load(const nrpc_loop *l);

#endif
