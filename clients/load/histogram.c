#include "clients/load/histogram.h"

#include <math.h>
#include <string.h>

void histogram_init(struct histogram *h)
{
    memset(h, 0, sizeof *h);
    h->min = UINT64_MAX;
}

/* Each power of two above the exact range is cut into HISTOGRAM_HALF equal buckets. */
static unsigned bucket_of(uint64_t value)
{
    if (value < 2 * HISTOGRAM_HALF)
        return (unsigned) value;
    unsigned shift = (unsigned) (63 - __builtin_clzll(value)) - (HISTOGRAM_EXACT_BITS - 1);
    return shift * HISTOGRAM_HALF + (unsigned) (value >> shift);
}

/* The middle of the bucket: no value in it is further away than half its width. */
static uint64_t value_of(unsigned bucket)
{
    if (bucket < 2 * HISTOGRAM_HALF)
        return bucket;
    unsigned shift = bucket / HISTOGRAM_HALF - 1;
    uint64_t low = (uint64_t) (bucket - shift * HISTOGRAM_HALF) << shift;
    return low + (UINT64_C(1) << shift) / 2;
}

void histogram_add(struct histogram *h, uint64_t value_ns)
{
    h->count++;
    h->sum += (double) value_ns;
    if (value_ns < h->min)
        h->min = value_ns;
    if (value_ns > h->max)
        h->max = value_ns;
    h->buckets[bucket_of(value_ns > HISTOGRAM_MAX ? HISTOGRAM_MAX : value_ns)]++;
}

void histogram_merge(struct histogram *to, const struct histogram *from)
{
    if (from->count == 0)
        return;
    to->count += from->count;
    to->sum += from->sum;
    if (from->min < to->min)
        to->min = from->min;
    if (from->max > to->max)
        to->max = from->max;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
        to->buckets[i] += from->buckets[i];
}

uint64_t histogram_at(const struct histogram *h, double share)
{
    if (h->count == 0)
        return 0;
    double exact = ceil(share * (double) h->count);
    uint64_t wanted = exact < 1 ? 1 : (uint64_t) exact;
    if (wanted >= h->count)
        return h->max;
    uint64_t seen = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += h->buckets[i];
        if (seen < wanted)
            continue;
        uint64_t value = value_of(i);
        /* A bucket's middle may lie outside what was seen. */
        return value > h->max ? h->max : value < h->min ? h->min : value;
    }
    return h->max;
}

double histogram_mean(const struct histogram *h)
{
    return h->count == 0 ? 0 : h->sum / (double) h->count;
}
