#include "rpc/base/gauge.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

enum { LINES = 256 };

/* Line 0 is shared by all threads that found no free line; it needs real atomic additions. */
static struct line {
    _Alignas(64) _Atomic int64_t count[GAUGES];
    atomic_bool owned;
} lines[LINES];

static _Thread_local struct line *mine;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static bool key_made;

static void release_line(void *line)
{
    mine = NULL; /* a later destructor of this thread may count again */
    atomic_store_explicit(&((struct line *) line)->owned, false, memory_order_release);
}

static void make_key(void)
{
    key_made = pthread_key_create(&key, release_line) == 0;
}

static void claim_line(void)
{
    mine = &lines[0];
    pthread_once(&once, make_key);
    if (!key_made)
        return;
    for (size_t i = 1; i < LINES; i++) {
        if (atomic_exchange_explicit(&lines[i].owned, true, memory_order_acquire))
            continue;
        if (pthread_setspecific(key, &lines[i]) == 0)
            mine = &lines[i];
        else
            atomic_store_explicit(&lines[i].owned, false, memory_order_release);
        return;
    }
}

void gauge_add(enum gauge which, int64_t delta)
{
    if (mine == NULL)
        claim_line();
    _Atomic int64_t *count = &mine->count[which];
    if (mine == &lines[0]) {
        atomic_fetch_add_explicit(count, delta, memory_order_relaxed);
        return;
    }
    int64_t now = atomic_load_explicit(count, memory_order_relaxed);
    atomic_store_explicit(count, now + delta, memory_order_relaxed);
}

int64_t gauge_read(enum gauge which)
{
    int64_t sum = 0;
    for (size_t i = 0; i < LINES; i++)
        sum += atomic_load_explicit(&lines[i].count[which], memory_order_relaxed);
    return sum;
}
