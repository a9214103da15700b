/* runner.c — the life of one simulation on the jobs' thread. */
#include <string.h>

#include "rpc/base/alloc.h"
#include "rpc/base/check.h"
#include "rpc/base/clock.h"
#include "rpc/base/log.h"
#include "server/jobs/inner.h"

#define BACKOFF_DOUBLINGS 32 /* the longest pause is retry_ms times this */

uint64_t jobs_wall_us(void)
{
    return clock_wall_ns() / 1000;
}

static bool own(struct store_bytes *to, struct store_bytes from)
{
    uint8_t *copy = alloc_get(from.size);
    if (copy == NULL)
        return false;
    memcpy(copy, from.data, from.size);
    *to = (struct store_bytes){ copy, from.size };
    return true;
}

bool sim_take_header(struct sim *sim, struct store_bytes request, struct store_bytes header)
{
    struct store_bytes asked, begun;
    if (!own(&asked, request))
        return false;
    if (!own(&begun, header)) {
        alloc_free((void *) asked.data);
        return false;
    }
    alloc_free((void *) sim->request.data);
    alloc_free((void *) sim->header.data);
    sim->request = asked;
    sim->header = begun;
    return true;
}

/* Takes over what the store says: the durable head, and nothing that was ahead of it. */
static void sim_take_row(struct sim *sim, const struct store_row *row)
{
    sim->epoch = row->epoch;
    sim->direct.stored_state = row->state;
    sim->direct.stored_mode = row->director;
    if (sim->direct.seat == NULL)
        sim->direct.mode = (enum jobs_detach) row->director;
    sim->attempts = row->attempts;
    sim->last_sequence = row->last_sequence;
    sim->posted.sequence = row->last_sequence;
    sim->posted.turns_done = row->turns_done;
    memcpy(sim->posted.head, row->head, sizeof sim->posted.head);
}

struct sim *sim_new(struct jobs *j, const struct store_row *row)
{
    struct sim *sim = alloc_zero(1, sizeof *sim);
    if (sim == NULL)
        return NULL;
    sim->jobs = j;
    memcpy(sim->id, row->id, sizeof sim->id);
    sim->number = row->number;
    sim->abi = row->abi;
    sim->turns = row->turns;
    sim->chapter = row->campaign[0] != '\0';
    sim->forked = row->parent[0] != '\0';
    sim->create_us = row->create_us;
    sim_take_row(sim, row);
    sim->ring_first = sim->last_sequence + 1;
    list_init(&sim->link);
    list_init(&sim->watches);
    list_init(&sim->cancels);
    atomic_init(&sim->cancel, false);
    if (!own(&sim->request, row->request) || !own(&sim->header, row->header) ||
        map_set(&j->sims, sim->id, strlen(sim->id), sim, NULL) < 0) {
        alloc_free((void *) sim->request.data);
        alloc_free((void *) sim->header.data);
        alloc_free(sim);
        return NULL;
    }
    atomic_fetch_add(&j->live, 1);
    if (under_direction(sim))
        direct_await(sim);
    else
        sim_queue(sim, false);
    return sim;
}

void sim_drop_engine(struct sim *sim)
{
    direct_drop(sim);
    nvl_free(sim->engine);
    sim->engine = NULL;
    nvl_header_free(sim->decoded);
    sim->decoded = NULL;
    nvl_pack_free(sim->own_pack);
    sim->own_pack = NULL;
    buf_done(&sim->log);
    sim->derived_sequence = 0;
}

void sim_free(struct sim *sim)
{
    CHECK(!sim->slicing && sim->committing == 0 && !sim->rereading && list_empty(&sim->watches) &&
          list_empty(&sim->cancels));
    list_remove(&sim->link);
    (void) map_remove(&sim->jobs->sims, sim->id, strlen(sim->id));
    sim_drop_engine(sim);
    hub_drop(sim);
    direct_free(sim);
    finals_free(sim->finals);
    alloc_free((void *) sim->request.data);
    alloc_free((void *) sim->header.data);
    alloc_free(sim);
}

void sim_release(struct sim *sim)
{
    if (sim->state == SIM_ENDED && list_empty(&sim->watches) && !sim->slicing &&
        sim->committing == 0)
        sim_free(sim);
}

void sim_set_place(struct sim *sim, enum sim_place place)
{
    struct jobs *j = sim->jobs;
    j->running += (place == PLACE_RUN) - (sim->place == PLACE_RUN);
    j->directed += (place == PLACE_DIRECT) - (sim->place == PLACE_DIRECT);
    sim->place = place;
    atomic_store(&j->running_now, j->running + j->directed);
}

void sim_queue(struct sim *sim, bool first)
{
    sim->state = SIM_QUEUED;
    (first ? list_add_head : list_add_tail)(&sim->jobs->queued, &sim->link);
}

void sim_admit(struct jobs *j)
{
    while (!j->stopping && j->running < j->o.max_running && !list_empty(&j->queued)) {
        struct sim *sim = LIST_ENTRY(list_take(&j->queued), struct sim, link);
        sim->state = SIM_RUNNING;
        sim->start_mono_ns = clock_mono_ns();
        sim_set_place(sim, PLACE_RUN);
        sim_schedule(sim);
    }
}

void sim_cancel(struct sim *sim)
{
    struct jobs *j = sim->jobs;
    atomic_store_explicit(&sim->cancel, true, memory_order_relaxed);
    if (sim->state != SIM_QUEUED && sim->state != SIM_AWAITING) {
        sim_schedule(sim);
        return;
    }
    /* Its end needs a place at once, not a turn in the queue. */
    if (sim->state == SIM_AWAITING)
        direct_go(sim);
    list_remove(&sim->link);
    sim_queue(sim, true);
    unsigned limit = j->o.max_running;
    j->o.max_running = j->running + 1;
    sim_admit(j);
    j->o.max_running = limit;
}

/* ---- trouble ---- */

static void sim_park(struct sim *sim)
{
    struct jobs *j = sim->jobs;
    direct_on_lost(sim, STORE_E_NOMEM); /* whoever lost it otherwise has told */
    sim_drop_engine(sim);
    sim->broken = sim->ending = false;
    sim->state = SIM_PARKED;
    uint32_t longest = j->o.retry_ms * BACKOFF_DOUBLINGS;
    sim->backoff_ms = sim->backoff_ms == 0 ? j->o.retry_ms : sim->backoff_ms * 2;
    if (sim->backoff_ms > longest)
        sim->backoff_ms = longest;
    sim->parked_ns = clock_mono_ns();
    sim->retry_ns = sim->parked_ns + (uint64_t) sim->backoff_ms * 1000000;
    list_add_tail(&j->parked, &sim->link);
    atomic_fetch_add(&j->parked_now, 1);
}

static void sim_unpark(struct sim *sim)
{
    list_remove(&sim->link);
    atomic_fetch_sub(&sim->jobs->parked_now, 1);
    sim->start_mono_ns += clock_mono_ns() - sim->parked_ns; /* waiting for a disk is not running */
    sim->state = SIM_RUNNING;
}

/* Something did not become durable: whatever is in flight comes back first, then the state is
 * dropped. */
void sim_break(struct sim *sim)
{
    sim->broken = true;
    if (!sim->slicing && sim->committing == 0)
        sim_park(sim);
}

static void sim_ended(struct sim *sim, int final_state, struct finals *finals)
{
    struct jobs *j = sim->jobs;
    sim->state = SIM_ENDED;
    sim->final_state = final_state;
    sim->finals = finals;
    sim_drop_engine(sim);
    sim_set_place(sim, PLACE_NONE);
    atomic_fetch_sub(&j->live, 1);
    atomic_fetch_add(final_state == STORE_COMPLETED   ? &j->completed
                     : final_state == STORE_CANCELLED ? &j->cancelled
                                                      : &j->failed,
                     1);
    log_event(final_state == STORE_FAILED ? LOG_LEVEL_WARN : LOG_LEVEL_INFO, "simulation_ended",
              LOG_S("simulation_id", sim->id),
              LOG_S("state", final_state == STORE_COMPLETED   ? "completed"
                             : final_state == STORE_CANCELLED ? "cancelled"
                                                              : "failed"),
              LOG_U("events", sim->last_sequence),
              LOG_U("run_ms", (clock_mono_ns() - sim->start_mono_ns) / 1000000));
    while (!list_empty(&sim->cancels)) {
        struct jobs_cancel *c = LIST_ENTRY(list_take(&sim->cancels), struct jobs_cancel, link);
        c->request.result = final_state == STORE_CANCELLED ? JOBS_OK : JOBS_E_FINISHED;
        c->request.done(&c->request);
    }
    direct_ended(sim);
    hub_end(sim);
    sim_release(sim);
    sim_admit(j);
}

static void reread_run(struct mail *m, void *owner)
{
    struct sim *sim = CONTAINER_OF(m, struct sim, row.read.mail);
    struct jobs *j = owner;
    j->in_flight--;
    sim->rereading = false;
    enum store_result r = sim->row.read.result;
    /* A swap may be on the disk although it seemed to fail. */
    if (r == STORE_OK && sim->row.row.last_sequence == 0 &&
        !store_state_final(sim->row.row.state) &&
        !sim_take_header(sim, sim->row.row.request, sim->row.row.header))
        r = STORE_E_NOMEM;
    if (r == STORE_OK && !store_state_final(sim->row.row.state)) {
        bool moved = sim->row.row.last_sequence != sim->last_sequence;
        sim_unpark(sim);
        sim_take_row(sim, &sim->row.row);
        arena_done(&sim->row.read.arena);
        if (moved)
            hub_moved(sim);
        sim_schedule(sim);
        return;
    }
    if (r == STORE_OK || r == STORE_E_NOT_FOUND) {
        /* Its end is on the disk although the commit seemed to fail: watchers read it there. */
        int state = r == STORE_OK ? sim->row.row.state : STORE_FAILED;
        if (r == STORE_OK && sim->last_sequence != sim->row.row.last_sequence) {
            sim->last_sequence = sim->row.row.last_sequence;
            hub_moved(sim);
        }
        arena_done(&sim->row.read.arena);
        sim_unpark(sim);
        sim_ended(sim, state, NULL);
        return;
    }
    arena_done(&sim->row.read.arena);
    sim_unpark(sim);
    sim_park(sim);
}

static void reread_done(struct store_read *r)
{
    struct sim *sim = CONTAINER_OF(r, struct sim, row.read);
    r->mail.run = reread_run;
    inbox_post(&sim->jobs->box, &r->mail);
}

void sim_retry_parked(struct jobs *j, uint64_t now_ns)
{
    LIST_EACH(&j->parked, link, after)
    {
        struct sim *sim = LIST_ENTRY(link, struct sim, link);
        if (sim->rereading || sim->retry_ns > now_ns || j->stopping)
            continue;
        sim->row = (struct store_read_row){ .read.kind = STORE_READ_ROW,
                                             .read.done = reread_done,
                                             .with = STORE_WITH_HEADER };
        memcpy(sim->row.id, sim->id, sizeof sim->row.id);
        arena_init(&sim->row.read.arena, 1024);
        sim->rereading = true;
        j->in_flight++;
        store_read_post(j->o.store, &sim->row.read);
    }
}

/* ---- slices ---- */

static void slice_to_inbox(nrpc_task *t, nrpc_loop *loop)
{
    (void) loop; /* home is NULL: this is the worker */
    struct slice *s = CONTAINER_OF(t, struct slice, job.done);
    s->mail.run = sim_on_slice;
    inbox_post(&s->sim->jobs->box, &s->mail);
}

struct slice *sim_new_slice(struct sim *sim)
{
    struct slice *s = sim->direct.held; /* STARTED that was held back goes with what comes next */
    sim->direct.held = NULL;
    if (s != NULL) {
        s->direct = (struct direction){ 0 };
        return s;
    }
    s = alloc_zero(1, sizeof *s);
    if (s == NULL)
        return NULL;
    arena_init(&s->arena, 16384);
    s->sim = sim;
    s->watched = sim->n_watching > 0;
    s->base_turns = sim->posted.turns_done;
    memcpy(s->base_head, sim->posted.head, sizeof s->base_head);
    s->append.number = sim->number;
    s->append.epoch = sim->epoch;
    s->append.after_sequence = sim->posted.sequence;
    return s;
}

void sim_post_slice(struct sim *sim, struct slice *s)
{
    struct jobs *j = sim->jobs;
    s->job.work = slice_work;
    s->job.done.run = slice_to_inbox;
    s->job.key = (uint64_t) sim->number;
    if (nrpc_pool_submit(j->o.pool, &s->job) < 0) {
        slice_free(s);
        sim_break(sim);
        return;
    }
    sim->slicing = true;
    j->in_flight++;
}

void sim_schedule(struct sim *sim)
{
    if (under_direction(sim)) {
        direct_schedule(sim);
        return;
    }
    if (sim->state != SIM_RUNNING || sim->slicing || sim->broken || sim->ending ||
        sim->jobs->stopping || sim->committing >= AHEAD_MAX)
        return;
    if (sim->place == PLACE_DIRECT) /* its director has finished */
        sim_set_place(sim, PLACE_RUN);
    struct slice *s = sim_new_slice(sim);
    if (s != NULL)
        sim_post_slice(sim, s);
    else
        sim_break(sim);
}

static void commit_run(struct mail *m, void *owner)
{
    struct slice *s = CONTAINER_OF(m, struct slice, mail);
    struct sim *sim = s->sim;
    struct jobs *j = owner;
    j->in_flight--;
    sim->committing--;
    enum store_result r = s->append.write.result;
    if (r != STORE_OK) {
        if (!sim->broken)
            log_event(LOG_LEVEL_WARN, "slice_not_durable", LOG_S("simulation_id", sim->id),
                      LOG_S("reason", store_result_name(r)),
                      LOG_U("after_sequence", s->append.after_sequence));
        slice_free(s);
        direct_on_lost(sim, r);
        sim_break(sim);
        return;
    }
    sim->backoff_ms = 0;
    sim->attempts = 0;
    if (sim->last_sequence != s->append.after_sequence) {
        /* A slice before it is on the disk although its commit seemed to fail. */
        sim->last_sequence = s->append.after_sequence;
        hub_moved(sim);
    }
    sim->last_sequence = s->append.after_sequence + s->append.n_events;
    atomic_fetch_add(&j->events, s->append.n_events);
    bool ended = s->ended;
    int state = s->append.state;
    struct finals *finals = s->finals;
    s->finals = NULL;
    hub_publish(sim, s);
    if (!ended)
        direct_on_durable(sim, s);
    slice_free(s);
    if (ended) {
        sim_ended(sim, state, finals);
        return;
    }
    if (sim->broken && !sim->slicing && sim->committing == 0)
        sim_park(sim);
    else
        sim_schedule(sim);
}

static void commit_done(struct store_write *w)
{
    struct slice *s = CONTAINER_OF(w, struct slice, append.write);
    s->mail.run = commit_run;
    inbox_post(&s->sim->jobs->box, &s->mail);
}

/* Over its time it fails like any other; the log stays. */
static void slice_expire(struct slice *s)
{
    struct store_append *w = &s->append;
    if (slice_pack_error(NRPC_DEADLINE_EXCEEDED, "RUN_TIME_EXCEEDED",
                         "the simulation ran longer than allowed", &s->arena, &w->error) < 0)
        return;
    w->state = STORE_FAILED;
    struct wire_end end = { .simulation_id = s->sim->id,
                            .last_sequence = w->after_sequence + w->n_events,
                            .turns = s->sim->turns,
                            .turns_done = w->turns_done,
                            .state = w->state,
                            .error = w->error };
    s->finals = wire_finals_new(&end);
    if (s->finals == NULL) {
        w->state = STORE_RUNNING;
        return;
    }
    s->ended = true;
}

void sim_commit(struct sim *sim, struct slice *s)
{
    struct jobs *j = sim->jobs;
    sim->posted.sequence = s->append.after_sequence + s->append.n_events;
    sim->posted.turns_done = s->append.turns_done;
    memcpy(sim->posted.head, s->append.head, sizeof sim->posted.head);
    s->append.write.kind = STORE_WRITE_APPEND;
    s->append.write.done = commit_done;
    sim->committing++;
    j->in_flight++;
    sim->ending = s->ended; /* the commit of a slice before it must not start another */
    store_write_post(j->o.store, &s->append.write);
}

void sim_on_slice(struct mail *m, void *owner)
{
    struct slice *s = CONTAINER_OF(m, struct slice, mail);
    struct sim *sim = s->sim;
    struct jobs *j = owner;
    j->in_flight--;
    sim->slicing = false;
    if (sim->broken || s->no_memory || j->stopping) {
        slice_free(s);
        if (j->stopping)
            direct_on_lost(sim, STORE_E_CLOSED);
        sim_break(sim);
        return;
    }
    if (!s->ended && clock_mono_ns() - sim->start_mono_ns > j->o.max_run_ms * 1000000)
        slice_expire(s);
    if (direct_on_slice(sim, s))
        return;
    if (s->n_events == 0 && !s->ended && !s->direct.turn) { /* still re-deriving */
        slice_free(s);
        sim_schedule(sim);
        return;
    }
    sim_commit(sim, s);
    if (!sim->ending)
        sim_schedule(sim);
}
