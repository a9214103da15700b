#include "clients/load/open_loop.h"

#include <errno.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "rpc/base/alloc.h"
#include "rpc/base/clock.h"
#include "rpc/io/watch.h"

/* The loop's own timers are exact to a millisecond: too coarse to be part of every duration.  A
 * timerfd is not. */
struct open_loop {
    struct worker *worker;
    int clock_fd;
    struct loop_watch *watch;
    uint64_t sent, total; /* of this worker's share */
    unsigned stride;      /* how many workers share: those that have users */
    double interval_ns;   /* of the step */
    struct user *idle;
    bool over;
};

static uint64_t due_ns(const struct open_loop *o, uint64_t i)
{
    const struct worker *w = o->worker;
    return w->begin_ns + (uint64_t) (((double) i * o->stride + w->first_user) * o->interval_ns);
}

static void arm(struct open_loop *o, uint64_t at_ns)
{
    struct itimerspec when = { .it_value = { (time_t) (at_ns / 1000000000u),
                                             (long) (at_ns % 1000000000u) } };
    if (timerfd_settime(o->clock_fd, TFD_TIMER_ABSTIME, &when, NULL) < 0) {
        o->worker->failed = NRPC_E_SYS;
        o->over = true;
    }
}

/* What could not be sent for so long will not be: each is an error of its own. */
static void give_up(struct open_loop *o)
{
    for (; o->sent < o->total; o->sent++)
        tally_add(
            &o->worker->since, OUTCOME_UNSENT, 0, 0, NULL,
            "due, but all users were still waiting for answers: more --users, or a lower --rate");
    o->over = true;
}

static void send_due(struct open_loop *o)
{
    struct worker *w = o->worker;
    uint64_t now = clock_mono_ns();
    while (!o->over && w->failed >= 0 && o->sent < o->total && o->idle != NULL) {
        uint64_t due = due_ns(o, o->sent);
        if (due > now)
            break;
        struct user *u = o->idle;
        o->idle = u->idle_next;
        o->sent++;
        user_send(u, due, now);
    }
    if (o->over)
        return;
    if (o->sent == o->total)
        o->over = true;
    else if (now >= w->end_ns + w->step->timeout_ns)
        give_up(o);
    else if (o->idle != NULL)
        arm(o, due_ns(o, o->sent));
    else
        arm(o, w->end_ns + w->step->timeout_ns);
}

static void on_clock(void *ctx, int fd, unsigned ready)
{
    (void) ready;
    uint64_t times;
    if (read(fd, &times, sizeof times) < 0 && errno != EAGAIN)
        return;
    send_due(ctx);
}

void open_loop_user_free(struct open_loop *o, struct user *u)
{
    u->idle_next = o->idle;
    o->idle = u;
    /* From the clock, not from inside the door: a time that has passed fires at once. */
    if (!o->over)
        arm(o, o->sent < o->total ? due_ns(o, o->sent) : 1);
}

bool open_loop_is_over(const struct open_loop *o)
{
    return o->over;
}

void open_loop_stop(struct open_loop *o)
{
    o->over = true;
}

int open_loop_start(struct worker *w, struct open_loop **out)
{
    struct open_loop *o = alloc_zero(1, sizeof *o);
    if (o == NULL)
        return NRPC_E_NOMEM;
    o->worker = w;
    o->stride = w->stride < w->step->users ? w->stride : w->step->users;
    o->interval_ns = 1e9 / w->step->rate;
    double all = w->step->rate * (double) w->step->duration_ns / 1e9;
    uint64_t step_total = (uint64_t) (all + 0.5);
    o->total =
        step_total > w->first_user ? (step_total - w->first_user + o->stride - 1) / o->stride : 0;
    o->clock_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (o->clock_fd < 0) {
        alloc_free(o);
        return NRPC_E_SYS;
    }
    int r = loop_watch_new(w->loop, o->clock_fd, on_clock, o, &o->watch);
    r = r < 0 ? r : loop_watch_set(o->watch, WATCH_READ);
    if (r < 0) {
        open_loop_free(o);
        return r;
    }
    for (unsigned i = w->n_users; i > 0; i--)
        open_loop_user_free(o, &w->users[i - 1]);
    o->over = o->total == 0;
    *out = o;
    return 0;
}

void open_loop_free(struct open_loop *o)
{
    if (o == NULL)
        return;
    loop_watch_free(o->watch);
    if (o->clock_fd >= 0)
        close(o->clock_fd);
    alloc_free(o);
}
