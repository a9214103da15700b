/* novel-tale-coverage.h — the verb "coverage" of novel-tale. */
#ifndef NOVEL_TALE_COVERAGE_H
#define NOVEL_TALE_COVERAGE_H
#include "server/engine/nvl.h"

/* Plays and tells ten requests with seeds 1..seeds and prints what was chosen how often, on stdout.
 * Returns an exit code. */
int novel_tale_coverage(const struct nvl_pack *pack, unsigned seeds);

#endif
