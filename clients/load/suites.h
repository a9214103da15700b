/* suites.h — which steps each command runs. */
#ifndef NOVEL_LOAD_SUITES_H
#define NOVEL_LOAD_SUITES_H
#include "clients/load/run.h"
#include "clients/load/settings.h"

enum { SUITES_TARGETS = 2 };
struct suites {
    struct run *run;
    const struct settings *settings;
    struct target targets[SUITES_TARGETS]; /* the doors that were given */
    size_t n_targets;
    uint64_t next_seed; /* of simulations: no two of a run are the same */
};
/* Runs s->settings->command.  0, or a negative nrpc_err (run->problem says what). */
int suites_run(struct suites *s);

#endif
