/* libevent first: it borrows the name LIST_ENTRY while its headers are read. */
#include <event2/event.h>
#include <event2/event_struct.h>

#include "rpc/io/loop.h"

#include <errno.h>

#include "rpc/base/alloc.h"
#include "rpc/base/clock.h"
#include "rpc/base/gauge.h"
#include "rpc/base/log.h"
#include "rpc/io/loop_inner.h"
#include "rpc/io/mailbox.h"

enum {
    SPARES = 32,
    SPARE_BYTES_MAX = 32768,
    SLOW_TURN_NS = 10000000,
    SHAKING_NS_PER_TURN = 2000000
};

struct nrpc_loop {
    struct event_base *base;
    struct event wake_event, timer_event;
    struct mailbox mailbox;
    struct wheel wheel;
    struct list dirty, later;
    uint64_t now_ns;        /* 0: not read yet this turn */
    uint64_t turn_began_ns; /* when the wait of this turn ended; 0: still waiting */
    uint64_t armed_ns;      /* what timer_event waits for; UINT64_MAX: nothing */
    atomic_bool stopping, running;
    atomic_int load;
    void *slot[LOOP_SLOTS];
    void (*slot_done[LOOP_SLOTS])(void *value);
    struct buf spare[SPARES];
    size_t n_spare;
    uint64_t shaking_ns; /* that handshakes took in this turn */
    uint8_t read_buffer[LOOP_READ_BYTES];
};

static _Thread_local nrpc_loop *current;

struct event_base *loop_base(nrpc_loop *l)
{
    return l->base;
}

/* A loop that no thread runs (before run, or between run and free) belongs to whoever holds it. */
bool loop_is_current(const nrpc_loop *l)
{
    return current == l || !atomic_load_explicit(&l->running, memory_order_acquire);
}

uint64_t loop_now_ns(nrpc_loop *l)
{
    if (l->now_ns == 0) {
        l->now_ns = clock_mono_ns();
        if (l->turn_began_ns == 0)
            l->turn_began_ns = l->now_ns;
    }
    return l->now_ns;
}

void loop_defer(nrpc_loop *l, struct loop_later *later)
{
    ON_LOOP(l);
    list_add_tail(&l->later, &later->link);
}

void loop_mark_dirty(nrpc_loop *l, struct loop_dirty *d)
{
    ON_LOOP(l);
    if (list_empty(&d->link))
        list_add_tail(&l->dirty, &d->link);
}

void *loop_slot(const nrpc_loop *l, int slot)
{
    ON_LOOP(l);
    return l->slot[slot];
}

void loop_set_slot(nrpc_loop *l, int slot, void *value, void (*done)(void *value))
{
    ON_LOOP(l);
    l->slot[slot] = value;
    l->slot_done[slot] = done;
}

void loop_add_load(nrpc_loop *l, int delta)
{
    atomic_fetch_add_explicit(&l->load, delta, memory_order_relaxed);
}

int loop_load(const nrpc_loop *l)
{
    return atomic_load_explicit(&l->load, memory_order_relaxed);
}

struct wheel *loop_wheel(nrpc_loop *l)
{
    return &l->wheel;
}

uint8_t *loop_read_buffer(nrpc_loop *l)
{
    return l->read_buffer;
}

void loop_take_spare(nrpc_loop *l, struct buf *b)
{
    if (l->n_spare > 0)
        *b = l->spare[--l->n_spare];
}

void loop_give_spare(nrpc_loop *l, struct buf *b)
{
    if (b->data != NULL && l->n_spare < SPARES && b->capacity <= SPARE_BYTES_MAX) {
        buf_reset(b);
        l->spare[l->n_spare++] = *b;
        *b = (struct buf){ 0 };
        return;
    }
    buf_done(b);
}

bool loop_may_shake(const nrpc_loop *l)
{
    return l->shaking_ns < SHAKING_NS_PER_TURN;
}

void loop_add_shaking(nrpc_loop *l, uint64_t spent_ns)
{
    l->shaking_ns += spent_ns;
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    (void) fd;
    (void) what;
    nrpc_loop *l = arg;
    (void) loop_now_ns(l);
    mailbox_wait(&l->mailbox);
}

/* Only ends the wait; the turn looks at the wheel itself. */
static void on_timer_event(evutil_socket_t fd, short what, void *arg)
{
    (void) fd;
    (void) what;
    nrpc_loop *l = arg;
    (void) loop_now_ns(l);
    l->armed_ns = UINT64_MAX;
}

static struct event_base *base_new(void)
{
    struct event_config *config = event_config_new();
    if (config == NULL)
        return NULL;
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    struct event_base *base = event_base_new_with_config(config);
    event_config_free(config);
    return base;
}

int nrpc_loop_new(nrpc_loop **out_loop)
{
    nrpc_loop *l = alloc_zero(1, sizeof *l);
    if (l == NULL)
        return NRPC_E_NOMEM;
    int r = mailbox_init(&l->mailbox, false);
    if (r < 0) {
        alloc_free(l);
        return r;
    }
    wheel_init(&l->wheel, clock_mono_ns());
    list_init(&l->dirty);
    list_init(&l->later);
    l->armed_ns = UINT64_MAX;
    l->base = base_new();
    if (l->base == NULL ||
        event_assign(&l->wake_event, l->base, l->mailbox.wake_fd, EV_READ | EV_PERSIST, on_wake,
                     l) < 0 ||
        event_assign(&l->timer_event, l->base, -1, 0, on_timer_event, l) < 0 ||
        event_add(&l->wake_event, NULL) < 0) {
        if (l->base != NULL)
            event_base_free(l->base);
        mailbox_done(&l->mailbox);
        alloc_free(l);
        return NRPC_E_NOMEM;
    }
    *out_loop = l;
    return 0;
}

/* libevent's timer is moved only to an earlier time; a wait that ends too early costs one idle
 * turn. */
static int arm_timer(nrpc_loop *l)
{
    uint64_t due;
    if (!wheel_next(&l->wheel, &due) || due >= l->armed_ns)
        return 0;
    uint64_t now = clock_mono_ns(), wait = due > now ? due - now : 0;
    uint64_t micros = (wait + 999) / 1000;
    struct timeval tv = { .tv_sec = (time_t) (micros / 1000000),
                          .tv_usec = (suseconds_t) (micros % 1000000) };
    if (event_add(&l->timer_event, &tv) < 0)
        return NRPC_E_NOMEM;
    l->armed_ns = due;
    return 0;
}

static void run_inbox(nrpc_loop *l)
{
    for (nrpc_task *t = mailbox_take(&l->mailbox), *next; t != NULL; t = next) {
        next = t->next;
        t->run(t, l);
    }
}

static void run_timers(nrpc_loop *l)
{
    struct list ready;
    list_init(&ready);
    l->now_ns = 0;
    wheel_advance(&l->wheel, loop_now_ns(l), &ready);
    for (struct list *link; (link = list_take(&ready)) != NULL;) {
        struct timer *t = LIST_ENTRY(link, struct timer, link);
        gauge_add(GAUGE_TIMERS, -1);
        t->fn(t);
    }
}

/* Moves all of `from` to the empty list `to`. */
static void move_list(struct list *from, struct list *to)
{
    list_init(to);
    if (list_empty(from))
        return;
    *to = *from;
    to->next->prev = to->prev->next = to;
    list_init(from);
}

/* What marks itself dirty or defers again while this runs waits for the next turn. */
static void run_dirty(nrpc_loop *l)
{
    struct list batch;
    move_list(&l->dirty, &batch);
    for (struct list *link; (link = list_take(&batch)) != NULL;) {
        struct loop_dirty *d = LIST_ENTRY(link, struct loop_dirty, link);
        d->flush(d);
    }
}

static void run_later(nrpc_loop *l)
{
    struct list batch;
    move_list(&l->later, &batch);
    for (struct list *link; (link = list_take(&batch)) != NULL;) {
        struct loop_later *later = LIST_ENTRY(link, struct loop_later, link);
        later->fn(later);
    }
}

static bool has_work(const nrpc_loop *l)
{
    return !list_empty(&l->dirty) || !list_empty(&l->later) || !list_empty(&l->wheel.soon);
}

static int run_turn(nrpc_loop *l, bool wait)
{
    l->now_ns = l->turn_began_ns = 0;
    l->shaking_ns = 0;
    int r = arm_timer(l);
    if (r < 0)
        return r;
    /* One round of events.  NONBLOCK alone would go on for as long as anything is ready. */
    int once = wait && !has_work(l) ? EVLOOP_ONCE : EVLOOP_ONCE | EVLOOP_NONBLOCK;
    if (event_base_loop(l->base, once) < 0)
        return NRPC_E_SYS;
    run_inbox(l);
    run_timers(l);
    run_dirty(l);
    run_later(l);
    if (log_enabled(LOG_LEVEL_DEBUG)) {
        uint64_t took = clock_mono_ns() - l->turn_began_ns;
        if (took > SLOW_TURN_NS)
            log_event(LOG_LEVEL_DEBUG, "slow_turn", LOG_U("took_us", took / 1000));
    }
    return 0;
}

int nrpc_loop_run(nrpc_loop *l)
{
    CHECK(!atomic_exchange_explicit(&l->running, true, memory_order_acq_rel));
    nrpc_loop *before = current;
    current = l;
    int r = 0;
    while (r == 0 && !atomic_load_explicit(&l->stopping, memory_order_acquire))
        r = run_turn(l, true);
    /* What a thread posted before it called stop still runs. */
    if (r == 0)
        r = run_turn(l, false);
    atomic_store_explicit(&l->stopping, false, memory_order_relaxed);
    current = before;
    atomic_store_explicit(&l->running, false, memory_order_release);
    return r;
}

void nrpc_loop_stop(nrpc_loop *l)
{
    atomic_store_explicit(&l->stopping, true, memory_order_release);
    mailbox_wake(&l->mailbox);
}

void nrpc_loop_post(nrpc_loop *loop, nrpc_task *t)
{
    mailbox_post(&loop->mailbox, t);
}

/* Leftovers own memory: tasks and deferred frees are run, not dropped. */
static void run_leftovers(nrpc_loop *l)
{
    for (nrpc_task *t; (t = mailbox_take(&l->mailbox)) != NULL;) {
        for (nrpc_task *next; t != NULL; t = next) {
            next = t->next;
            t->run(t, l);
        }
    }
    while (!list_empty(&l->later))
        run_later(l);
}

void nrpc_loop_free(nrpc_loop *l)
{
    if (l == NULL)
        return;
    CHECK(!atomic_load_explicit(&l->running, memory_order_acquire));
    run_leftovers(l);
    for (int i = 0; i < LOOP_SLOTS; i++)
        if (l->slot_done[i] != NULL)
            l->slot_done[i](l->slot[i]);
    run_leftovers(l);
    event_del(&l->wake_event);
    event_del(&l->timer_event);
    event_base_free(l->base);
    mailbox_done(&l->mailbox);
    while (l->n_spare > 0)
        buf_done(&l->spare[--l->n_spare]);
    alloc_free(l);
}

void nrpc_gauges_read(nrpc_gauges *out)
{
    *out = (nrpc_gauges){
        .connections = gauge_read(GAUGE_CONNECTIONS),
        .calls = gauge_read(GAUGE_CALLS),
        .messages = gauge_read(GAUGE_MESSAGES),
        .blobs = gauge_read(GAUGE_BLOBS),
        .cancels = gauge_read(GAUGE_CANCELS),
        .channels = gauge_read(GAUGE_CHANNELS),
        .timers = gauge_read(GAUGE_TIMERS),
    };
}
