/* The turn of a loop: order of its parts, timers and their wheel, stop from anywhere, what is left
 * at the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <pthread.h>
#include <string.h>
#include <cmocka.h>

#include "rpc/base/alloc.h"
#include "rpc/base/clock.h"
#include "rpc/base/gauge.h"
#include "rpc/io/loop.h"
#include "rpc/io/wheel.h"

static char trace[64];

static void note(const char *what)
{
    strncat(trace, what, sizeof trace - strlen(trace) - 1);
}

/* ---- the turn ---- */
static struct loop_dirty dirty;
static struct loop_later later;
static struct timer zero_timer, stop_timer;

static void on_stop_timer(struct timer *t)
{
    nrpc_loop_stop(t->loop);
}

static void on_zero_timer(struct timer *t)
{
    (void) t;
    note("timer ");
}

static void on_flush(struct loop_dirty *d)
{
    (void) d;
    note("flush ");
}

static void on_later(struct loop_later *l)
{
    (void) l;
    note("later ");
}

static void on_task(nrpc_task *t, nrpc_loop *loop)
{
    (void) t;
    note("task ");
    loop_defer(loop, &later);
    loop_mark_dirty(loop, &dirty);
    loop_mark_dirty(loop, &dirty); /* once is enough */
    timer_start(&zero_timer, 0);
    timer_start(&stop_timer, 5);
}

static void test_turn_order(void **state)
{
    (void) state;
    nrpc_loop *loop = NULL;
    nrpc_task task = { .run = on_task };
    assert_int_equal(nrpc_loop_new(&loop), 0);
    trace[0] = '\0';
    list_init(&dirty.link);
    dirty.flush = on_flush;
    later.fn = on_later;
    timer_init(&zero_timer, loop, on_zero_timer);
    timer_init(&stop_timer, loop, on_stop_timer);
    nrpc_loop_post(loop, &task);
    assert_int_equal(nrpc_loop_run(loop), 0);
    assert_string_equal(trace, "task timer flush later ");
    nrpc_loop_free(loop);
    assert_int_equal(gauge_read(GAUGE_TIMERS), 0);
}

/* ---- timers through the loop ---- */
struct probe {
    struct timer timer;
    uint64_t after_ms, want_ns;
    bool early;
    int order;
};
static int fired;

static void on_probe(struct timer *t)
{
    struct probe *p = CONTAINER_OF(t, struct probe, timer);
    p->early = clock_mono_ns() < p->want_ns;
    p->order = fired++;
}

static void test_timers_in_order_never_early(void **state)
{
    (void) state;
    static const uint64_t after[] = { 30, 1, 65, 0, 10, 30, 3, 64, 63 };
    struct probe probes[ARRAY_SIZE(after)];
    struct timer stopped, end;
    nrpc_loop *loop = NULL;
    assert_int_equal(nrpc_loop_new(&loop), 0);
    fired = 0;
    for (size_t i = 0; i < ARRAY_SIZE(after); i++) {
        timer_init(&probes[i].timer, loop, on_probe);
        probes[i].after_ms = after[i];
        probes[i].want_ns = loop_now_ns(loop) + after[i] * 1000000;
        timer_start(&probes[i].timer, after[i]);
    }
    timer_init(&stopped, loop, on_stop_timer);
    timer_start(&stopped, 2);
    timer_stop(&stopped);
    timer_stop(&stopped);
    assert_false(timer_running(&stopped));
    timer_init(&end, loop, on_stop_timer);
    timer_start(&end, 1);
    timer_start(&end, 80); /* a restart replaces */
    assert_int_equal(nrpc_loop_run(loop), 0);
    assert_int_equal(fired, ARRAY_SIZE(after));
    for (size_t i = 0; i < ARRAY_SIZE(after); i++) {
        assert_false(probes[i].early);
        for (size_t k = 0; k < ARRAY_SIZE(after); k++)
            if (after[i] < after[k])
                assert_true(probes[i].order < probes[k].order);
    }
    nrpc_loop_free(loop);
    assert_int_equal(gauge_read(GAUGE_TIMERS), 0);
}

/* ---- the wheel alone, on made-up time ---- */
static uint64_t rng_state = 88172645463325252u;
static uint64_t rng(void)
{
    rng_state ^= rng_state << 13;
    rng_state ^= rng_state >> 7;
    return rng_state ^= rng_state << 17;
}

/* Of any magnitude up to that many bits. */
static uint64_t rng_below(unsigned bits)
{
    uint64_t mask = (UINT64_C(1) << rng() % bits) - 1;
    return rng() & mask;
}

/* Starts, stops and advances at random: each timer fires once, in the first advance past its time.
 */
static void test_wheel_against_model(void **state)
{
    (void) state;
    enum { N = 400, STEPS = 20000 };
    static struct timer timers[N];
    struct wheel *w = test_malloc(sizeof *w);
    uint64_t now = UINT64_C(0xfffff) * 1000000; /* close to where several levels roll over */
    wheel_init(w, now);
    for (size_t i = 0; i < N; i++)
        list_init(&timers[i].link);
    for (int step = 0; step < STEPS; step++) {
        struct timer *t = &timers[rng() % N];
        if (!list_empty(&t->link)) {
            wheel_remove(w, t);
        } else {
            t->due_ns = now + rng_below(44);
            wheel_add(w, t);
        }
        uint64_t due, began = now;
        if (rng() % 3 == 0)
            now += rng_below(36);
        else if (rng() % 8 == 0 && wheel_next(w, &due) && due > now)
            now = due;
        struct list ready;
        list_init(&ready);
        wheel_advance(w, now, &ready);
        uint64_t last = 0;
        for (struct list *link; (link = list_take(&ready)) != NULL;) {
            struct timer *r = LIST_ENTRY(link, struct timer, link);
            assert_true(r->due_ns <= now);
            /* By tick; what was overdue when it was added comes first, in order of adding. */
            uint64_t tick = (r->due_ns + 999999) / 1000000;
            assert_true(tick >= last || tick <= began / 1000000);
            last = tick;
        }
        bool any = false;
        uint64_t first = UINT64_MAX;
        for (size_t i = 0; i < N; i++) {
            if (list_empty(&timers[i].link))
                continue;
            any = true;
            first = timers[i].due_ns < first ? timers[i].due_ns : first;
        }
        assert_int_equal(wheel_next(w, &due), any);
        if (!any)
            continue;
        assert_true(first + 1000000 > now); /* nothing overdue stayed behind (1 ms is the tick) */
        assert_true(due < first + 1000000);
    }
    for (size_t i = 0; i < N; i++)
        if (!list_empty(&timers[i].link))
            wheel_remove(w, &timers[i]);
    for (int level = 0; level < WHEEL_LEVELS; level++)
        assert_true(w->used[level] == 0);
    test_free(w);
}

/* ---- stop and leftovers ---- */
static void *run_loop(void *loop)
{
    return (void *) (intptr_t) nrpc_loop_run(loop);
}

static void test_stop_from_another_thread(void **state)
{
    (void) state;
    nrpc_loop *loop = NULL;
    assert_int_equal(nrpc_loop_new(&loop), 0);
    for (int i = 0; i < 200; i++) {
        pthread_t thread;
        void *result = NULL;
        nrpc_task task = { .run = on_task };
        struct timer keep;
        trace[0] = '\0';
        dirty.flush = on_flush;
        list_init(&dirty.link);
        later.fn = on_later;
        timer_init(&keep, loop, on_zero_timer);
        timer_init(&zero_timer, loop, on_zero_timer);
        timer_init(&stop_timer, loop, on_zero_timer);
        assert_int_equal(pthread_create(&thread, NULL, run_loop, loop), 0);
        nrpc_loop_post(loop, &task);
        nrpc_loop_stop(loop);
        pthread_join(thread, &result);
        assert_int_equal((intptr_t) result, 0);
        /* What was posted before the stop has run, to the end of its turn. */
        assert_true(strncmp(trace, "task ", 5) == 0);
        assert_non_null(strstr(trace, "flush later "));
        timer_stop(&zero_timer);
        timer_stop(&stop_timer);
    }
    nrpc_loop_free(loop);
}

static int freed;
static void on_slot_done(void *value)
{
    freed += *(int *) value;
}

static void on_late_task(nrpc_task *t, nrpc_loop *loop)
{
    (void) t;
    (void) loop;
    freed += 10;
}

static void test_free_runs_leftovers(void **state)
{
    (void) state;
    nrpc_loop *loop = NULL;
    int value = 1;
    nrpc_task task = { .run = on_late_task };
    freed = 0;
    assert_int_equal(nrpc_loop_new(&loop), 0);
    assert_null(loop_slot(loop, LOOP_SLOT_USER));
    loop_set_slot(loop, LOOP_SLOT_USER, &value, on_slot_done);
    assert_ptr_equal(loop_slot(loop, LOOP_SLOT_USER), &value);
    nrpc_loop_post(loop, &task);
    nrpc_loop_free(loop);
    assert_int_equal(freed, 11);
    nrpc_loop_free(NULL);
}

static void test_loop_without_memory(void **state)
{
    (void) state;
    nrpc_loop *loop = NULL;
    alloc_fail_at(1);
    assert_int_equal(nrpc_loop_new(&loop), NRPC_E_NOMEM);
    alloc_fail_at(0);
    assert_null(loop);
}

static void *count_down(void *arg)
{
    for (int i = 0; i < 1000; i++)
        gauge_add(GAUGE_CALLS, -1);
    return arg;
}

static void test_gauges_sum_over_threads(void **state)
{
    (void) state;
    /* More threads than there are lines, one after the other and in pairs. */
    for (int i = 0; i < 300; i++) {
        pthread_t a, b;
        assert_int_equal(pthread_create(&a, NULL, count_down, NULL), 0);
        assert_int_equal(pthread_create(&b, NULL, count_down, NULL), 0);
        gauge_add(GAUGE_CALLS, 2000);
        pthread_join(a, NULL);
        pthread_join(b, NULL);
    }
    nrpc_gauges g;
    nrpc_gauges_read(&g);
    assert_int_equal(g.calls, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_turn_order),
        cmocka_unit_test(test_timers_in_order_never_early),
        cmocka_unit_test(test_wheel_against_model),
        cmocka_unit_test(test_stop_from_another_thread),
        cmocka_unit_test(test_free_runs_leftovers),
        cmocka_unit_test(test_loop_without_memory),
        cmocka_unit_test(test_gauges_sum_over_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
