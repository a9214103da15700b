#include "rpc/call/budget.h"

#include <stdatomic.h>

static _Atomic int64_t process_used;

bool call_budget_allows(const struct call_budget *b)
{
    if (b->used == 0)
        return true;
    return b->used < CALL_BUDGET_CONNECTION && call_budget_process() < CALL_BUDGET_PROCESS;
}

void call_budget_add(struct call_budget *b, int64_t delta)
{
    b->used += delta;
    atomic_fetch_add_explicit(&process_used, delta, memory_order_relaxed);
}

int64_t call_budget_process(void)
{
    return atomic_load_explicit(&process_used, memory_order_relaxed);
}
