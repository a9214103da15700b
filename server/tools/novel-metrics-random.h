/* novel-metrics-random.h — the generator MT19937 and the draws without replacement that the frozen
 * definition of the measures uses: the same seed picks the same pairs of texts. */
#ifndef NOVEL_METRICS_RANDOM_H
#define NOVEL_METRICS_RANDOM_H
#include <stddef.h>
#include <stdint.h>

struct metrics_random {
    uint32_t state[624];
    unsigned at;
};
void metrics_random_init(struct metrics_random *r, uint32_t seed);
uint32_t metrics_random_bits(struct metrics_random *r);              /* 32 of them */
uint32_t metrics_random_below(struct metrics_random *r, uint32_t n); /* n > 0 */
/* Two different numbers below n, n >= 2. */
void metrics_random_pair(struct metrics_random *r, uint32_t n, uint32_t out[static 2]);

#endif
