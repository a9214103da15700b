#include "rpc/call/cancel.h"

#include <stdatomic.h>

#include "rpc/base/alloc.h"
#include "rpc/base/gauge.h"

struct nrpc_cancel {
    _Atomic uint32_t references;
    _Atomic bool set;
};

nrpc_cancel *cancel_new(void)
{
    nrpc_cancel *k = alloc_get(sizeof *k);
    if (k == NULL)
        return NULL;
    atomic_init(&k->references, 1);
    atomic_init(&k->set, false);
    gauge_add(GAUGE_CANCELS, 1);
    return k;
}

nrpc_cancel *cancel_ref(nrpc_cancel *k)
{
    atomic_fetch_add_explicit(&k->references, 1, memory_order_relaxed);
    return k;
}

void cancel_set(nrpc_cancel *k)
{
    if (k != NULL)
        atomic_store_explicit(&k->set, true, memory_order_relaxed);
}

bool nrpc_cancelled(const nrpc_cancel *k)
{
    return atomic_load_explicit(&k->set, memory_order_relaxed);
}

void nrpc_cancel_unref(nrpc_cancel *k)
{
    if (k == NULL || atomic_fetch_sub_explicit(&k->references, 1, memory_order_acq_rel) != 1)
        return;
    gauge_add(GAUGE_CANCELS, -1);
    alloc_free(k);
}
