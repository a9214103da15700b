/* rng.h — counter-based random numbers (docs/log-format.md, section 3).  No sequence is shared:
 * what one decision draws never depends on how many others were made before. */
#ifndef NVL_RNG_H
#define NVL_RNG_H
#include <stdint.h>

enum rng_stream { RNG_GROUND = 1, RNG_CHOICE, RNG_ROLL, RNG_DIRECTOR, RNG_BIND };

static inline uint64_t rng_mix64(uint64_t x)
{
    uint64_t z = x + UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}
static inline uint64_t rng_key(enum rng_stream stream, unsigned pass, unsigned slot,
                               unsigned purpose, unsigned i)
{
    return (uint64_t) stream << 56 | (uint64_t) (pass & 0xFFFF) << 40 |
           (uint64_t) (slot & 0xFF) << 32 | (uint64_t) (purpose & 0xFF) << 24 | (i & 0xFFFFFF);
}
static inline uint64_t rng_at(uint64_t seed, uint64_t key)
{
    return rng_mix64(seed ^ rng_mix64(key));
}
static inline uint32_t rng_below(uint64_t seed, uint64_t key, uint32_t n)
{
    return (uint32_t) (((rng_at(seed, key) >> 32) * n) >> 32);
}
#endif
