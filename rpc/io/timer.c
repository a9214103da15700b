#include "rpc/base/alloc.h"
#include "rpc/base/gauge.h"
#include "rpc/io/loop_inner.h"

void timer_init(struct timer *t, nrpc_loop *l, void (*fn)(struct timer *t))
{
    *t = (struct timer){ .loop = l, .fn = fn };
    list_init(&t->link);
}

void timer_start_at(struct timer *t, uint64_t due_ns)
{
    ON_LOOP(t->loop);
    timer_stop(t);
    /* What is due already must not wait for the tick to be full. */
    t->due_ns = due_ns <= loop_now_ns(t->loop) ? 0 : due_ns;
    wheel_add(loop_wheel(t->loop), t);
    gauge_add(GAUGE_TIMERS, 1);
}

void timer_start(struct timer *t, uint64_t after_ms)
{
    uint64_t now = loop_now_ns(t->loop), due;
    if (__builtin_mul_overflow(after_ms, UINT64_C(1000000), &due) ||
        __builtin_add_overflow(due, now, &due))
        due = UINT64_MAX;
    timer_start_at(t, due);
}

void timer_stop(struct timer *t)
{
    if (!timer_running(t))
        return;
    ON_LOOP(t->loop);
    wheel_remove(loop_wheel(t->loop), t);
    gauge_add(GAUGE_TIMERS, -1);
}

bool timer_running(const struct timer *t)
{
    return !list_empty(&t->link);
}

/* ---- the form of nrpc.h ---------------------------------------------------------------- */

struct nrpc_timer {
    struct timer timer;
    void (*fn)(void *ctx);
    void *ctx;
};

static void on_due(struct timer *t)
{
    struct nrpc_timer *n = CONTAINER_OF(t, struct nrpc_timer, timer);
    n->fn(n->ctx);
}

int nrpc_timer_new(nrpc_loop *loop, void (*fn)(void *ctx), void *ctx, nrpc_timer **out_timer)
{
    nrpc_timer *n = alloc_zero(1, sizeof *n);
    if (n == NULL)
        return NRPC_E_NOMEM;
    timer_init(&n->timer, loop, on_due);
    n->fn = fn;
    n->ctx = ctx;
    *out_timer = n;
    return 0;
}

void nrpc_timer_start(nrpc_timer *t, uint64_t after_ms)
{
    timer_start(&t->timer, after_ms);
}

void nrpc_timer_stop(nrpc_timer *t)
{
    timer_stop(&t->timer);
}

void nrpc_timer_free(nrpc_timer *t)
{
    if (t == NULL)
        return;
    if (loop_is_current(t->timer.loop)) {
        timer_stop(&t->timer);
    } else if (timer_running(
                   &t->timer)) { /* its loop has ended: nobody will look at the wheel again */
        list_remove(&t->timer.link);
        gauge_add(GAUGE_TIMERS, -1);
    }
    alloc_free(t);
}
