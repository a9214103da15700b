#include "clients/load/run.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "rpc/base/alloc.h"
#include "rpc/base/clock.h"

#define SECOND UINT64_C(1000000000)
/* A step has about so many parts, of a second at most. */
enum { PARTS = 20, PART_MS_MIN = 100, OPEN_LEAD_MS = 20 };
/* From here on figures are the load generator's as much as the server's. */
enum { LIMIT_CPU_PERCENT = 90, LIMIT_WAIT_PERCENT = 20 };

int run_new(struct results *results, unsigned n_workers, const volatile sig_atomic_t *interrupted,
            struct run **out)
{
    struct run *r = alloc_zero(1, sizeof *r);
    if (r == NULL)
        return NRPC_E_NOMEM;
    r->results = results;
    r->interrupted = interrupted;
    r->begin_ns = r->last_sample_ns = clock_mono_ns();
    if (sem_init(&r->over, 0, 0) < 0) {
        alloc_free(r);
        return NRPC_E_SYS;
    }
    monitor_init(&r->monitor, results, r->begin_ns);
    for (; r->n_workers < n_workers; r->n_workers++) {
        int error = worker_new(&r->over, &r->workers[r->n_workers]);
        if (error < 0) {
            run_free(r);
            return error;
        }
    }
    results->workers = n_workers;
    *out = r;
    return 0;
}

void run_free(struct run *r)
{
    if (r == NULL)
        return;
    for (unsigned i = 0; i < r->n_workers; i++)
        worker_free(r->workers[i]);
    sem_destroy(&r->over);
    buf_done(&r->simulations);
    alloc_free(r);
}

/* ---- the parts of a step ---- */
static uint64_t part_ns(const struct step *s)
{
    if (s->duration_ns == UINT64_MAX)
        return SECOND / 2;
    uint64_t part = s->duration_ns / PARTS;
    return part > SECOND ? SECOND : part < PART_MS_MIN * 1000000u ? PART_MS_MIN * 1000000u : part;
}

/* Waits until all workers are done or until the time; true: all are done. */
static bool wait_for_workers(struct run *r, unsigned *left, uint64_t until_ns)
{
    struct timespec when = { (time_t) (until_ns / SECOND), (long) (until_ns % SECOND) };
    while (*left > 0) {
        if (sem_clockwait(&r->over, CLOCK_MONOTONIC, &when) == 0)
            (*left)--;
        else if (errno == ETIMEDOUT || *r->interrupted)
            return false;
    }
    return true;
}

static int watch_processes(struct run *r)
{
    uint64_t now = clock_mono_ns();
    if (now - r->last_sample_ns < SECOND)
        return 0;
    r->last_sample_ns = now;
    return monitor_sample(&r->monitor);
}

static struct slice make_slice(const struct tally *t, double at_s, double seconds)
{
    return (struct slice){ .at_s = at_s,
                           .seconds = seconds,
                           .requests = tally_requests(t),
                           .errors = tally_errors(t),
                           .rate = seconds > 0 ? (double) t->count[OUTCOME_OK] / seconds : 0,
                           .p50_ms = (double) histogram_at(&t->latency, 0.5) / 1e6,
                           .p95_ms = (double) histogram_at(&t->latency, 0.95) / 1e6,
                           .p99_ms = (double) histogram_at(&t->latency, 0.99) / 1e6 };
}

struct progress {
    const struct step *step;
    uint64_t begin_ns, part_began_ns;
};

/* Collects what ended since the last time, as a part of the row. */
static void end_part(struct run *r, struct progress *p, struct row *row, bool last)
{
    uint64_t now = clock_mono_ns();
    tally_reset(&r->part);
    for (unsigned i = 0; i < r->n_workers; i++)
        worker_poll(r->workers[i], &r->part);
    tally_merge(&r->total, &r->part);
    double at_s = (double) (now - p->begin_ns) / 1e9,
           seconds = (double) (now - p->part_began_ns) / 1e9;
    row->seconds = at_s;
    row_set_tally(row, &r->total);
    const struct slice s = make_slice(&r->part, at_s, seconds);
    /* A short rest, and the wait for the last answers, are no measure of anything. */
    bool whole = !last && (p->step->duration_ns == UINT64_MAX ||
                           now <= p->begin_ns + p->step->duration_ns + SECOND / 20);
    if (whole)
        row_add_slice(row, &s);
    p->part_began_ns = now;
    double share =
        p->step->duration_ns != UINT64_MAX ? at_s / ((double) p->step->duration_ns / 1e9)
        : p->step->requests_per_user > 0
            ? (double) row->requests / (double) (p->step->requests_per_user * p->step->users)
            : -1;
    if (!last)
        view_tick(&r->view, row, &s, share, r->results);
}

/* ---- was it us? ---- */
struct effort {
    uint64_t cpu_ns[RUN_WORKERS_MAX], wait_ns[RUN_WORKERS_MAX];
};

static void note_effort(const struct run *r, struct effort *e)
{
    for (unsigned i = 0; i < r->n_workers; i++) {
        e->cpu_ns[i] = r->workers[i]->cpu_ns;
        e->wait_ns[i] = r->workers[i]->wait_ns;
    }
}

static void judge_generator(const struct run *r, const struct effort *before, uint64_t took_ns,
                            struct row *row)
{
    for (unsigned i = 0; i < r->n_workers && took_ns > 0; i++) {
        double cpu = 100 * (double) (r->workers[i]->cpu_ns - before->cpu_ns[i]) / (double) took_ns;
        double wait =
            100 * (double) (r->workers[i]->wait_ns - before->wait_ns[i]) / (double) took_ns;
        row->generator_cpu_percent =
            cpu > row->generator_cpu_percent ? cpu : row->generator_cpu_percent;
        row->generator_wait_percent =
            wait > row->generator_wait_percent ? wait : row->generator_wait_percent;
    }
    if (took_ns < SECOND / 2)
        return; /* too short to say */
    row->generator_limited = true;
    if (row->generator_cpu_percent >= LIMIT_CPU_PERCENT)
        snprintf(row->generator_why, sizeof row->generator_why,
                 "a thread of novel-load used %.0f %% of a core: more --threads, or another "
                 "machine, would show more",
                 row->generator_cpu_percent);
    else if (row->generator_wait_percent >= LIMIT_WAIT_PERCENT)
        snprintf(row->generator_why, sizeof row->generator_why,
                 "a thread of novel-load waited for a core %.0f %% of the time: it shares the "
                 "machine with what it measures",
                 row->generator_wait_percent);
    else if (row->errors[OUTCOME_UNSENT] > 0)
        snprintf(row->generator_why, sizeof row->generator_why,
                 "%llu requests were due but never sent: all %u users were waiting for answers",
                 (unsigned long long) row->errors[OUTCOME_UNSENT], row->users);
    else
        row->generator_limited = false;
}

/* ---- one step ---- */
static void begin_row(struct run *r, const char *section, const struct step *s, struct row *row)
{
    snprintf(row->section, sizeof row->section, "%s", section);
    snprintf(row->door, sizeof row->door, "%s", s->target->door->name);
    snprintf(row->endpoint, sizeof row->endpoint, "%s", s->endpoint->name);
    row->users = s->users;
    row->rate_wanted = s->rate;
    row->think_ms = (double) s->think_ns / 1e6;
    row->at_s = (double) (clock_mono_ns() - r->begin_ns) / 1e9;
}

static int begin_workers(struct run *r, const struct step *s, uint64_t begin_ns)
{
    int error = 0;
    for (unsigned i = 0; i < r->n_workers && error == 0; i++)
        error = worker_begin(r->workers[i], s, i, r->n_workers, begin_ns);
    return error;
}

static void finish_workers(struct run *r)
{
    buf_reset(&r->simulations);
    for (unsigned i = 0; i < r->n_workers; i++)
        worker_finish(r->workers[i], &r->simulations);
    while (sem_trywait(&r->over) == 0)
        ;
}

static int run_parts(struct run *r, struct progress *p, struct row *row)
{
    unsigned left = r->n_workers;
    uint64_t next = p->begin_ns;
    bool stopped = false;
    int error = 0;
    for (bool over = false; !over && error == 0;) {
        next += part_ns(p->step);
        over = wait_for_workers(r, &left, next);
        if (*r->interrupted && !stopped && !over) {
            stopped = r->results->interrupted = true;
            for (unsigned i = 0; i < r->n_workers; i++)
                worker_stop(r->workers[i]);
        }
        error = watch_processes(r);
        end_part(r, p, row, over);
        for (unsigned i = 0; i < r->n_workers && error == 0; i++)
            error = r->workers[i]->seen_failed;
    }
    return error;
}

int run_step(struct run *r, const char *section, const struct step *step, struct row **out_row)
{
    struct row *row = results_add_row(r->results);
    struct effort before = { 0 };
    if (row == NULL) {
        snprintf(r->problem, sizeof r->problem, "too many steps, or out of memory");
        return NRPC_E_NOMEM;
    }
    begin_row(r, section, step, row);
    double planned_s = step->duration_ns == UINT64_MAX ? 0 : (double) step->duration_ns / 1e9;
    view_begin(&r->view, row, planned_s);
    tally_init(&r->total);
    tally_init(&r->part);
    monitor_mark(&r->monitor);
    uint64_t lead = step->rate > 0 ? OPEN_LEAD_MS * 1000000u + step->users * UINT64_C(100000) : 0;
    struct progress p = { step, clock_mono_ns() + lead, 0 };
    p.part_began_ns = p.begin_ns;
    int error = begin_workers(r, step, p.begin_ns);
    for (unsigned i = 0; i < r->n_workers && error == 0; i++)
        worker_poll(r->workers[i],
                    &r->total); /* for the threads' times; some requests may be over already */
    note_effort(r, &before);
    if (error == 0)
        error = run_parts(r, &p, row);
    judge_generator(r, &before, clock_mono_ns() - p.begin_ns, row);
    monitor_usage(&r->monitor, row);
    finish_workers(r);
    if (strcmp(row->door, "http") == 0)
        r->results->http_requests += row->requests;
    else
        r->results->rpc_requests += row->requests;
    if (error < 0)
        snprintf(r->problem, sizeof r->problem, "%s: %s", section, nrpc_strerror(error));
    view_end(&r->view, row);
    *out_row = row;
    return error;
}
