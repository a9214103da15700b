/* compare.h — is the new run worse than the old one, beyond noise?  Pure.
 *
 * Noise is judged row by row from the parts (seconds) that each run kept of it: a figure of a run is the mean over its
 * parts, its uncertainty the standard error of that mean, and a difference is beyond noise when Welch's t for the two is
 * over the 99.9 % quantile for the degrees of freedom.  A regression is a difference for the worse that is beyond noise
 * and beyond the tolerance.  Rows with fewer than COMPARE_PARTS parts on a side cannot be judged so; there only twice
 * the old figure counts.  Errors: two shares, compared with their pooled standard error in the same way. */
#ifndef NOVEL_LOAD_COMPARE_H
#define NOVEL_LOAD_COMPARE_H
#include "clients/load/results.h"

enum { COMPARE_PARTS = 5 };
enum compare_outcome { COMPARE_SAME, COMPARE_BETTER, COMPARE_WORSE, COMPARE_UNJUDGED };
struct compare_figure {
    double old_value, new_value, change_percent; /* for the worse above 0 */
    double t, t_needed; /* 0: could not be judged by noise */
    enum compare_outcome outcome;
};
/* For tests.  more_is_worse: durations; else rates. */
struct compare_figure compare_parts(const double *old_parts, size_t n_old, const double *new_parts, size_t n_new,
                                    bool more_is_worse, double tolerance_percent);
/* The 99.9 % quantile (one side) of Student's t. */
double compare_quantile(double degrees);
/* Appends the comparison, as text or as JSON; how many regressions there are. */
size_t compare_results(struct buf *out, const struct results *old_run, const struct results *new_run,
                       double tolerance_percent, bool json);

#endif
