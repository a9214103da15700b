/* limit.h — requests a client may make: GCRA (a leaky bucket kept as one time) for each client,
 * shared by all loops without a lock.  A fixed table: memory does not grow with clients; when too
 * many are at work at once, some are let through uncounted rather than refused for what others did.
 * [any] thread. */
#ifndef NOVEL_GATEWAY_LIMIT_H
#define NOVEL_GATEWAY_LIMIT_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LIMIT_SLOTS = 65536 };
struct limit {
    uint64_t interval_us; /* between two requests at the rate; 0: no limit */
    uint64_t burst_us;    /* how far ahead a client may be */
    uint32_t per_second, burst;
    _Atomic(uint64_t) *slots;
};
struct limit_verdict {
    bool allowed;
    uint32_t remaining; /* further requests at once */
    uint32_t reset_s;   /* until the whole burst is free again */
    uint32_t retry_s;   /* when refused: until one is */
};

/* per_second 0: no limit.  burst 0: the same as a second's.  0 or NRPC_E_NOMEM. */
int limit_init(struct limit *l, uint32_t per_second, uint32_t burst);
void limit_done(struct limit *l);
/* Counts one request of the client with this key (map_hash of its name). */
struct limit_verdict limit_take(struct limit *l, uint64_t client, uint64_t now_ns);

#endif
