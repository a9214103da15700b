#include "clients/load/worker.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "clients/load/open_loop.h"
#include "rpc/base/alloc.h"
#include "rpc/base/check.h"
#include "rpc/base/clock.h"

enum { FAILED_PAUSE_MS = 100 /* after a failure to connect: a dead server is not hammered */ };

static void send_next(struct user *u, uint64_t began_ns, uint64_t now);

/* ---- the end of a step ---- */
static bool time_is_over(const struct worker *w, uint64_t now)
{
    return w->stopping || w->failed < 0 || now >= w->end_ns;
}

static bool user_is_done(const struct user *u, uint64_t now)
{
    const struct step *s = u->worker->step;
    return time_is_over(u->worker, now) ||
           (s->requests_per_user > 0 && u->sent >= s->requests_per_user);
}

static void look_whether_finished(struct worker *w)
{
    if (w->busy > 0 || w->finished)
        return;
    uint64_t now = clock_mono_ns();
    if (w->open_loop != NULL && w->failed >= 0 && !open_loop_is_over(w->open_loop))
        return;
    for (unsigned i = 0; i < w->n_users && w->open_loop == NULL; i++)
        if (!user_is_done(&w->users[i], now))
            return;
    w->finished = true;
    sem_post(w->over);
}

/* ---- one request ---- */
static void on_pause_over(void *ctx)
{
    struct user *u = ctx;
    uint64_t now = clock_mono_ns();
    if (user_is_done(u, now))
        look_whether_finished(u->worker);
    else
        send_next(u, now, now);
}

/* The timer is not moved at each request: it looks at the one that is out when it fires, and waits
 * for the rest of its time. */
static void be_patient(struct user *u, uint64_t for_ns)
{
    u->patient = true;
    nrpc_timer_start(u->patience, (for_ns + 999999) / 1000000);
}

static void on_patience_over(void *ctx)
{
    struct user *u = ctx;
    u->patient = false;
    if (!u->busy)
        return;
    uint64_t now = clock_mono_ns(), until = u->sent_ns + u->worker->step->timeout_ns;
    if (now < until) {
        be_patient(u, until - now);
        return;
    }
    u->worker->step->target->door->abandon(u);
    char detail[80];
    snprintf(detail, sizeof detail, "no whole answer within %.1f s",
             (double) u->worker->step->timeout_ns / 1e9);
    user_ended(u, OUTCOME_TIMEOUT, NULL, detail);
}

static void send_next(struct user *u, uint64_t began_ns, uint64_t now)
{
    struct worker *w = u->worker;
    const struct step *s = w->step;
    u->request = s->endpoint->requests[u->next++ % s->endpoint->n];
    u->seed = s->seed + u->number + u->sent * s->users;
    u->began_ns = began_ns;
    u->sent_ns = now;
    u->first_ns = 0;
    u->sent++;
    u->busy = true;
    w->busy++;
    int r = s->target->door->start(u);
    if (r < 0) {
        w->failed = r;
        u->busy = false;
        w->busy--;
        return;
    }
    if (!u->patient)
        be_patient(u, s->timeout_ns);
}

void user_send(struct user *u, uint64_t began_ns, uint64_t now)
{
    send_next(u, began_ns, now);
}

void worker_add_bytes(struct worker *w, uint64_t bytes)
{
    w->since.bytes += bytes;
}

void worker_add_simulation(struct worker *w, const char *id)
{
    if (id[0] != '\0')
        buf_put(&w->simulations, id, strlen(id) + 1);
}

void user_ended(struct user *u, enum outcome o, const char *status, const char *detail)
{
    struct worker *w = u->worker;
    uint64_t now = clock_mono_ns();
    CHECK(u->busy);
    u->busy = false;
    w->busy--;
    tally_add(&w->since, o, now - u->began_ns,
              u->first_ns > u->began_ns ? u->first_ns - u->began_ns : 0, status, detail);
    if (w->open_loop != NULL) {
        open_loop_user_free(w->open_loop, u);
    } else if (!user_is_done(u, now)) {
        uint64_t pause_ms = w->step->think_ns / 1000000;
        bool unreachable = o == OUTCOME_CONNECT || o == OUTCOME_LOST;
        if (unreachable && pause_ms < FAILED_PAUSE_MS)
            pause_ms = FAILED_PAUSE_MS;
        if (pause_ms == 0)
            send_next(u, now, now);
        else
            nrpc_timer_start(u->pause, pause_ms);
    }
    look_whether_finished(w);
}

/* ---- beginning ---- */
static int open_user(struct worker *w, struct user *u)
{
    u->worker = w;
    int r = nrpc_timer_new(w->loop, on_pause_over, u, &u->pause);
    r = r < 0 ? r : nrpc_timer_new(w->loop, on_patience_over, u, &u->patience);
    return r < 0 ? r : w->step->target->door->open_user(w, u);
}

static int open_users(struct worker *w)
{
    const struct step *s = w->step;
    w->n_users =
        s->users > w->first_user ? (s->users - w->first_user + w->stride - 1) / w->stride : 0;
    w->users = alloc_zero(w->n_users == 0 ? 1 : w->n_users, sizeof *w->users);
    if (w->users == NULL)
        return NRPC_E_NOMEM;
    int r = s->target->door->open(w);
    for (unsigned i = 0; i < w->n_users && r >= 0; i++) {
        w->users[i].number = w->first_user + i * w->stride;
        w->users[i].next = w->users[i].number;
        r = open_user(w, &w->users[i]);
    }
    return r;
}

/* Users that pause begin at different times within the pause, as people do; else they would go in
 * step. */
static void start_closed(struct worker *w)
{
    const struct step *s = w->step;
    uint64_t think_ms = s->think_ns / 1000000;
    for (unsigned i = 0; i < w->n_users; i++)
        nrpc_timer_start(w->users[i].pause, think_ms * w->users[i].number / s->users);
}

static void run_begin(nrpc_task *t, nrpc_loop *loop)
{
    (void) loop;
    struct worker *w = CONTAINER_OF(t, struct worker_task, task)->worker;
    int r = open_users(w);
    if (r >= 0 && w->step->rate > 0)
        r = open_loop_start(w, &w->open_loop);
    else if (r >= 0)
        start_closed(w);
    w->failed = w->seen_failed = r < 0 ? r : 0;
    if (w->n_users == 0 || r < 0) {
        w->finished = true;
        sem_post(w->over);
    }
    sem_post(&w->answered);
}

/* ---- the main thread's side ---- */
static void post_and_wait(struct worker *w, void (*run)(nrpc_task *t, nrpc_loop *loop))
{
    w->task.worker = w;
    w->task.task.run = run;
    nrpc_loop_post(w->loop, &w->task.task);
    while (sem_wait(&w->answered) < 0 && errno == EINTR)
        ;
}

int worker_begin(struct worker *w, const struct step *step, unsigned first, unsigned stride,
                 uint64_t begin_ns)
{
    w->step = step;
    w->first_user = first;
    w->stride = stride;
    w->begin_ns = begin_ns;
    w->end_ns =
        step->duration_ns > UINT64_MAX - begin_ns ? UINT64_MAX : begin_ns + step->duration_ns;
    w->finished = w->stopping = false;
    w->busy = 0;
    w->failed = w->seen_failed = 0;
    tally_init(&w->since);
    post_and_wait(w, run_begin);
    return w->seen_failed;
}

/* Time on a core, and time ready but without one. */
static void read_thread_times(struct worker *w)
{
    char path[64], line[128];
    unsigned long long on_core = 0, waiting = 0;
    snprintf(path, sizeof path, "/proc/self/task/%ld/schedstat", (long) syscall(SYS_gettid));
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return;
    if (fgets(line, sizeof line, f) != NULL && sscanf(line, "%llu %llu", &on_core, &waiting) == 2) {
        w->cpu_ns = on_core;
        w->wait_ns = waiting;
    }
    fclose(f);
}

static void run_poll(nrpc_task *t, nrpc_loop *loop)
{
    (void) loop;
    struct worker *w = CONTAINER_OF(t, struct worker_task, task)->worker;
    read_thread_times(w);
    tally_merge(w->task.into, &w->since);
    tally_reset(&w->since);
    look_whether_finished(w);
    w->seen_failed = w->failed;
    sem_post(&w->answered);
}

void worker_poll(struct worker *w, struct tally *into)
{
    w->task.into = into;
    post_and_wait(w, run_poll);
}

static void run_stop(nrpc_task *t, nrpc_loop *loop)
{
    (void) loop;
    struct worker *w = CONTAINER_OF(t, struct worker_task, task)->worker;
    w->stopping = true;
    if (w->open_loop != NULL)
        open_loop_stop(w->open_loop);
    for (unsigned i = 0; i < w->n_users; i++) {
        struct user *u = &w->users[i];
        if (!u->busy)
            continue;
        w->step->target->door->abandon(u); /* neither good nor an error: nobody waited for it */
        u->busy = false;
        w->busy--;
    }
    look_whether_finished(w);
    sem_post(&w->answered);
}

void worker_stop(struct worker *w)
{
    post_and_wait(w, run_stop);
}

static void on_gone(void *ctx)
{
    struct worker *w = ctx;
    sem_post(&w->answered);
}

static void run_finish(nrpc_task *t, nrpc_loop *loop)
{
    (void) loop;
    struct worker *w = CONTAINER_OF(t, struct worker_task, task)->worker;
    for (unsigned i = 0; i < w->n_users; i++) {
        nrpc_timer_free(w->users[i].pause);
        nrpc_timer_free(w->users[i].patience);
        if (w->users[i].worker != NULL)
            w->step->target->door->close_user(&w->users[i]);
    }
    open_loop_free(w->open_loop);
    w->open_loop = NULL;
    w->step->target->door->close(w, on_gone);
}

void worker_finish(struct worker *w, struct buf *simulations)
{
    post_and_wait(w, run_finish);
    buf_put(simulations, w->simulations.data, w->simulations.size);
    buf_reset(&w->simulations);
    alloc_free(w->users);
    w->users = NULL;
    w->n_users = 0;
}

static void *run_thread(void *arg)
{
    struct worker *w = arg;
    nrpc_loop_run(w->loop);
    return NULL;
}

int worker_new(sem_t *over, struct worker **out_worker)
{
    struct worker *w = alloc_zero(1, sizeof *w);
    if (w == NULL)
        return NRPC_E_NOMEM;
    w->over = over;
    int r = nrpc_loop_new(&w->loop);
    if (r < 0) {
        alloc_free(w);
        return r;
    }
    if (sem_init(&w->answered, 0, 0) < 0 || pthread_create(&w->thread, NULL, run_thread, w) != 0) {
        nrpc_loop_free(w->loop);
        alloc_free(w);
        return NRPC_E_SYS;
    }
    *out_worker = w;
    return 0;
}

void worker_free(struct worker *w)
{
    if (w == NULL)
        return;
    nrpc_loop_stop(w->loop);
    pthread_join(w->thread, NULL);
    nrpc_loop_free(w->loop);
    sem_destroy(&w->answered);
    buf_done(&w->simulations);
    alloc_free(w);
}
