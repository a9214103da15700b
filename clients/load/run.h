/* run.h — runs steps one after the other on the workers, watches the processes meanwhile, and keeps
 * a row of each. */
#ifndef NOVEL_LOAD_RUN_H
#define NOVEL_LOAD_RUN_H
#include <signal.h>
#include "clients/load/monitor.h"
#include "clients/load/view.h"
#include "clients/load/worker.h"

enum { RUN_WORKERS_MAX = 64 };
struct run {
    struct results *results;
    struct monitor monitor;
    struct view view;
    struct worker *workers[RUN_WORKERS_MAX];
    unsigned n_workers;
    sem_t over;
    uint64_t begin_ns, last_sample_ns;
    const volatile sig_atomic_t *interrupted;
    char problem[RESULTS_TEXT]; /* after an error */
    struct tally total, part;   /* of the step at hand: all of it, the latest part */
    struct buf simulations;     /* ids of those that the last step made, a NUL behind each */
};
/* 0 or a negative nrpc_err.  results is lent for r's life. */
int run_new(struct results *results, unsigned n_workers, const volatile sig_atomic_t *interrupted,
            struct run **out);
void run_free(struct run *r);
/* Runs one step to its end (or the person's).  *out_row stays results' own and moves when the next
 * row is added. 0, or a negative nrpc_err with a problem. */
int run_step(struct run *r, const char *section, const struct step *step, struct row **out_row);

#endif
