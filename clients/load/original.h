/* original.h — what the report on the original server (2025-08-17) published, to stand beside ours.
 */
#ifndef NOVEL_LOAD_ORIGINAL_H
#define NOVEL_LOAD_ORIGINAL_H
#include "clients/load/results.h"

/* "avg 4.4 ms, 134.0/s"; "" where that report has no figure for such a row. */
const char *original_figure(const struct row *row);
/* Its readiness table, for a component of ours; "" when it had none. */
const char *original_readiness(const char *component);
extern const char original_resources[], original_verdict[];

#endif
