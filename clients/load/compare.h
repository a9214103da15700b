/* compare.h — is the new run worse than the old one, beyond noise?  Pure.
 *
 * Noise is judged row by row from the parts (about a second each) that each run kept of it, by
 * their ranks: a figure of a run is the median of its parts, and a difference is beyond noise when
 * the rank sums of the two runs' parts (Mann and Whitney's test, ties corrected) lie further apart
 * than equal runs would in 999 of 1,000 cases, or, where so few parts cannot lie so far apart, when
 * every part of one run is worse than every part of the other.  Ranks, not means: one second in
 * which the machine did something else would drown everything.  A regression is a difference for
 * the worse that is beyond noise and beyond the tolerance.  Rows with fewer than COMPARE_PARTS
 * parts on a side cannot be judged so; there only twice the old figure counts.  Errors: two shares,
 * compared with their pooled standard error. */
#ifndef NOVEL_LOAD_COMPARE_H
#define NOVEL_LOAD_COMPARE_H
#include "clients/load/results.h"

enum { COMPARE_PARTS = 5, COMPARE_RUNS = 8, COMPARE_RUNS_ALONE = 3 };
enum compare_outcome { COMPARE_SAME, COMPARE_BETTER, COMPARE_WORSE, COMPARE_UNJUDGED };
struct compare_figure {
    double old_value, new_value, change_percent; /* for the worse above 0 */
    double z, z_needed; /* standard errors apart (above 0: worse), and how many it takes; 0: could
                           not be judged */
    enum compare_outcome outcome;
};
/* For tests.  more_is_worse: durations; else rates. */
struct compare_figure compare_parts(const double *old_parts, size_t n_old, const double *new_parts,
                                    size_t n_new, bool more_is_worse, double tolerance_percent);
/* One side: up to COMPARE_RUNS runs of the same thing. */
struct compare_side {
    const struct results *runs;
    size_t n;
};
/* Appends the comparison, as text or as JSON; how many regressions there are, one when the sides
 * have nothing in common that could be judged. */
size_t compare_results(struct buf *out, struct compare_side old_side, struct compare_side new_side,
                       double tolerance_percent, bool json);

#endif
