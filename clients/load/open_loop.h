/* open_loop.h — requests that are due by the clock, whatever the answers do.  The k-th of a step is
 * due at begin + k / rate; a request that is sent late, because all users still wait, counts from
 * when it was due, so that a stalled server cannot hide the requests it kept from being sent (no
 * coordinated omission).  On the worker's loop. */
#ifndef NOVEL_LOAD_OPEN_LOOP_H
#define NOVEL_LOAD_OPEN_LOOP_H
#include "clients/load/worker.h"

struct open_loop;
/* Starts the clock for w's share: request i of this worker is number first_user + i * stride of the
 * step. */
int open_loop_start(struct worker *w, struct open_loop **out);
void open_loop_user_free(struct open_loop *o, struct user *u); /* u's request has ended */
/* All that were due have been sent, or were given up: so long after the end as one request may
 * take. */
bool open_loop_is_over(const struct open_loop *o);
void open_loop_stop(struct open_loop *o);
void open_loop_free(struct open_loop *o); /* NULL is fine */

/* worker.c's: sends now; durations count from began_ns. */
void user_send(struct user *u, uint64_t began_ns, uint64_t now);

#endif
