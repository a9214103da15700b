/* compare_pair.h — which event of one log stands beside which of another.  Pure. */
#ifndef SERVER_SERVICE_COMPARE_PAIR_H
#define SERVER_SERVICE_COMPARE_PAIR_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "rpc/base/arena.h"

/* An event as pairing sees it.  Digests of less and less of it: all but the numbers; what can be seen; who
 * does what to whom; who. */
struct compare_item {
    uint32_t sequence, turn, pass;
    uint64_t whole, seen, deed, who;
};
/* In the order of the log, turns never falling.  NO_ITEM: nothing stands there. */
struct compare_pair {
    size_t a, b; /* indices */
};
#define NO_ITEM SIZE_MAX
/* Pairs what belongs together turn by turn: equal events first, then the same deed, then whatever the same
 * actor did in the same pass; order is kept.  Every item comes up once.  NULL without memory; a's memory. */
struct compare_pair *compare_pairs(const struct compare_item *as, size_t n_as, const struct compare_item *bs,
                                   size_t n_bs, struct arena *a, size_t *out_count);
#endif
