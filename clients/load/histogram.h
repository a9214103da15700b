/* histogram.h — counts of durations in nanoseconds with bounded relative error: a value and what it
 * is reported as differ by at most 1/2048 of the value (exactly nothing below 2,048 ns), so three
 * significant digits hold at every percentile.  Adding is O(1) and never allocates.  Pure; one
 * thread at a time; histograms of several threads are merged, which loses nothing. */
#ifndef NOVEL_LOAD_HISTOGRAM_H
#define NOVEL_LOAD_HISTOGRAM_H
#include <stdint.h>

enum {
    HISTOGRAM_EXACT_BITS = 11, /* values below 2^11 ns have a bucket each */
    HISTOGRAM_VALUE_BITS = 41, /* longest value: 2^41 - 1 ns, 36 minutes */
    HISTOGRAM_HALF = 1 << (HISTOGRAM_EXACT_BITS - 1),
    HISTOGRAM_BUCKETS =
        2 * HISTOGRAM_HALF + (HISTOGRAM_VALUE_BITS - HISTOGRAM_EXACT_BITS) * HISTOGRAM_HALF
};
#define HISTOGRAM_MAX ((UINT64_C(1) << HISTOGRAM_VALUE_BITS) - 1)

struct histogram {
    uint64_t count, min, max; /* exact; min is UINT64_MAX while empty */
    double sum;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_init(struct histogram *h);
/* Longer than HISTOGRAM_MAX is counted as HISTOGRAM_MAX; max stays exact. */
void histogram_add(struct histogram *h, uint64_t value_ns);
/* Adds all of from to `to`. */
void histogram_merge(struct histogram *to, const struct histogram *from);
/* The smallest recorded value that at least `share` (0..1) of all values do not exceed; 0 when
 * empty.  Share 1 is the exact maximum. */
uint64_t histogram_at(const struct histogram *h, double share);
double histogram_mean(const struct histogram *h); /* 0 when empty */

#endif
