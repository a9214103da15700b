#include "gateway/limit.h"

#include <string.h>

#include "rpc/base/alloc.h"
#include "rpc/nrpc.h"

/* A slot: 16 bits that tell clients apart, and 48 bits of the time (in us) until which the client
 * has used its share. 48 bits of microseconds are nine years of monotonic time. */
enum { PROBES = 4, TIME_BITS = 48, TRIES = 8 };
#define TIME_MASK ((UINT64_C(1) << TIME_BITS) - 1)

int limit_init(struct limit *l, uint32_t per_second, uint32_t burst)
{
    memset(l, 0, sizeof *l);
    if (per_second == 0)
        return 0;
    l->slots = alloc_zero(LIMIT_SLOTS, sizeof *l->slots);
    if (l->slots == NULL)
        return NRPC_E_NOMEM;
    l->per_second = per_second;
    l->burst = burst == 0 ? per_second : burst;
    l->interval_us = 1000000 / per_second == 0 ? 1 : 1000000 / per_second;
    l->burst_us = l->interval_us * l->burst;
    return 0;
}

void limit_done(struct limit *l)
{
    alloc_free((void *) l->slots);
    memset(l, 0, sizeof *l);
}

static uint32_t seconds(uint64_t us)
{
    return (uint32_t) ((us + 999999) / 1000000);
}

static struct limit_verdict judge(const struct limit *l, uint64_t until_us, uint64_t now_us,
                                  bool allowed)
{
    uint64_t ahead = until_us > now_us ? until_us - now_us : 0;
    struct limit_verdict v = { .allowed = allowed, .reset_s = seconds(ahead) };
    if (allowed)
        v.remaining = (uint32_t) ((l->burst_us - ahead) / l->interval_us);
    else
        v.retry_s = seconds(ahead + l->interval_us - l->burst_us);
    return v;
}

/* The client's slot, one that nobody uses any more, or NULL. */
static _Atomic(uint64_t) *find_slot(struct limit *l, uint64_t client, uint64_t now_us)
{
    uint64_t mark = client >> TIME_BITS;
    _Atomic(uint64_t) *free_slot = NULL;
    for (size_t i = 0; i < PROBES; i++) {
        _Atomic(uint64_t) *slot = &l->slots[(client + i) % LIMIT_SLOTS];
        uint64_t value = atomic_load_explicit(slot, memory_order_relaxed);
        if (value >> TIME_BITS == mark && value != 0)
            return slot;
        if ((value & TIME_MASK) <= now_us && free_slot == NULL)
            free_slot = slot;
    }
    return free_slot;
}

struct limit_verdict limit_take(struct limit *l, uint64_t client, uint64_t now_ns)
{
    uint64_t now_us = now_ns / 1000 & TIME_MASK, mark = client >> TIME_BITS;
    const struct limit_verdict uncounted = { .allowed = true, .remaining = l->burst };
    for (int tries = 0; l->interval_us > 0 && tries < TRIES; tries++) {
        _Atomic(uint64_t) *slot = find_slot(l, client, now_us);
        if (slot == NULL)
            return uncounted;
        uint64_t value = atomic_load_explicit(slot, memory_order_relaxed);
        bool mine = value >> TIME_BITS == mark && value != 0;
        uint64_t until_us = mine ? value & TIME_MASK : 0;
        if (!mine && (value & TIME_MASK) > now_us)
            continue; /* somebody else has just taken it */
        if (until_us < now_us)
            until_us = now_us;
        if (until_us + l->interval_us > now_us + l->burst_us)
            return judge(l, until_us, now_us, false);
        until_us += l->interval_us;
        if (atomic_compare_exchange_weak_explicit(slot, &value, mark << TIME_BITS | until_us,
                                                  memory_order_relaxed, memory_order_relaxed))
            return judge(l, until_us, now_us, true);
    }
    return uncounted;
}
