#include "server/tools/novel-metrics-random.h"

enum { SIZE = 624, SHIFT = 397, SMALL_POOL = 21 };

static void seed_plain(struct metrics_random *r, uint32_t seed)
{
    r->state[0] = seed;
    for (uint32_t i = 1; i < SIZE; i++)
        r->state[i] = 1812433253u * (r->state[i - 1] ^ (r->state[i - 1] >> 30)) + i;
    r->at = SIZE;
}
/* Seeding by an array, here of one number. */
void metrics_random_init(struct metrics_random *r, uint32_t seed)
{
    uint32_t *s = r->state, i = 1;
    seed_plain(r, 19650218u);
    for (unsigned k = 0; k < SIZE; k++) {
        s[i] = (s[i] ^ ((s[i - 1] ^ (s[i - 1] >> 30)) * 1664525u)) + seed;
        if (++i == SIZE)
            s[0] = s[SIZE - 1], i = 1;
    }
    for (unsigned k = 1; k < SIZE; k++) {
        s[i] = (s[i] ^ ((s[i - 1] ^ (s[i - 1] >> 30)) * 1566083941u)) - i;
        if (++i == SIZE)
            s[0] = s[SIZE - 1], i = 1;
    }
    s[0] = 0x80000000u;
}
static void refill(struct metrics_random *r)
{
    uint32_t *s = r->state;
    for (unsigned i = 0; i < SIZE; i++) {
        uint32_t y = (s[i] & 0x80000000u) | (s[(i + 1) % SIZE] & 0x7fffffffu);
        s[i] = s[(i + SHIFT) % SIZE] ^ (y >> 1) ^ ((y & 1) != 0 ? 0x9908b0dfu : 0);
    }
    r->at = 0;
}
uint32_t metrics_random_bits(struct metrics_random *r)
{
    if (r->at == SIZE)
        refill(r);
    uint32_t y = r->state[r->at++];
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c5680u;
    y ^= (y << 15) & 0xefc60000u;
    return y ^ (y >> 18);
}
uint32_t metrics_random_below(struct metrics_random *r, uint32_t n)
{
    unsigned bits = 32 - (unsigned) __builtin_clz(n);
    uint32_t x;
    do /* refused less than half of the time */
        x = metrics_random_bits(r) >> (32 - bits);
    while (x >= n);
    return x;
}
void metrics_random_pair(struct metrics_random *r, uint32_t n, uint32_t out[static 2])
{
    out[0] = metrics_random_below(r, n);
    if (n <= SMALL_POOL) { /* from a pool whose last takes the place of what was drawn */
        uint32_t j = metrics_random_below(r, n - 1);
        out[1] = j == out[0] ? n - 1 : j;
        return;
    }
    do
        out[1] = metrics_random_below(r, n);
    while (out[1] == out[0]);
}
