/* direct.c — a simulation under direction, on the jobs' thread: one order at a time, one turn at a
 * time, nothing ahead of the disk.  Between two turns it waits as long as its director wants;
 * without one it stops there, gives its state back, and after a while does what it was told to do
 * then. */
#include <stdio.h>
#include <string.h>

#include "rpc/base/alloc.h"
#include "rpc/base/check.h"
#include "rpc/base/clock.h"
#include "server/jobs/inner.h"

/* ---- answers ---- */

static void finish_order(struct sim *sim, struct jobs_order *o, enum jobs_result result,
                         enum store_result store)
{
    if (sim != NULL) {
        o->sequence = sim->last_sequence;
        sim->direct.order = NULL;
    }
    o->request.result = result;
    o->request.store = store;
    o->request.done(&o->request);
}

static void answer(struct sim *sim, enum jobs_result result)
{
    struct jobs_order *o = sim->direct.order;
    if (result == JOBS_OK && o->verdict.verdict == 0) /* no law has a word in it */
        o->verdict.verdict = NVL_VALID;
    finish_order(sim, o, result, STORE_OK);
}

static void refuse(struct sim *sim, const char *field, const char *message)
{
    struct jobs_order *o = sim->direct.order;
    snprintf(o->field, sizeof o->field, "%s", field);
    snprintf(o->message, sizeof o->message, "%s", message);
    answer(sim, JOBS_E_INVALID);
}

static void unseat(struct sim *sim)
{
    if (sim->direct.seat != NULL)
        sim->direct.seat->sim = NULL;
    sim->direct.seat = NULL;
}

/* ---- waiting ---- */

static void rest(struct sim *sim)
{
    if (sim->direct.idle_ns == 0)
        sim->direct.idle_ns = clock_mono_ns();
}

/* Waiting for a director is not running. */
static void wake(struct sim *sim)
{
    if (sim->direct.idle_ns != 0)
        sim->start_mono_ns += clock_mono_ns() - sim->direct.idle_ns;
    sim->direct.idle_ns = 0;
}

void direct_await(struct sim *sim)
{
    struct jobs *j = sim->jobs;
    uint64_t now = clock_mono_ns();
    if (sim->start_mono_ns == 0)
        sim->start_mono_ns = now;
    sim_drop_engine(sim);
    sim_set_place(sim, PLACE_NONE);
    sim->state = SIM_AWAITING;
    sim->direct.paused = true;
    sim->direct.steps = 0;
    sim->direct.until_ns =
        sim->direct.mode == JOBS_DETACH_PAUSE ? 0 : now + j->o.director_wait_ms * 1000000;
    list_add_tail(&j->awaiting, &sim->link);
    atomic_fetch_add(&j->awaiting_now, 1);
    rest(sim);
}

/* Out of the list of those that wait; the caller says where to. */
static void stop_awaiting(struct sim *sim)
{
    list_remove(&sim->link);
    atomic_fetch_sub(&sim->jobs->awaiting_now, 1);
    wake(sim);
}

void direct_go(struct sim *sim)
{
    stop_awaiting(sim);
    sim->direct.mode = JOBS_DETACH_NONE;
    sim->direct.paused = false;
}

void direct_expire(struct jobs *j, uint64_t now_ns)
{
    LIST_EACH(&j->awaiting, link, after)
    {
        struct sim *sim = LIST_ENTRY(link, struct sim, link);
        if (sim->direct.until_ns == 0 || sim->direct.until_ns > now_ns || j->stopping)
            continue;
        if (sim->direct.mode == JOBS_DETACH_CANCEL) {
            sim_cancel(sim);
        } else {
            direct_go(sim);
            sim_queue(sim, false);
        }
    }
    sim_admit(j);
}

int direct_timeout(const struct jobs *j, uint64_t now_ns, int timeout_ms)
{
    if (j->stopping)
        return timeout_ms; /* nobody's time runs out any more */
    LIST_EACH(&j->awaiting, link, after)
    {
        uint64_t until = LIST_ENTRY(link, struct sim, link)->direct.until_ns;
        uint64_t ms = until == 0        ? UINT64_MAX
                      : until <= now_ns ? 0
                                        : (until - now_ns) / 1000000 + 1;
        if (ms < (uint64_t) timeout_ms)
            timeout_ms = (int) ms;
    }
    return timeout_ms;
}

/* ---- what the disk knows of it ---- */

static void written_run(struct mail *m, void *owner)
{
    struct sim *sim = CONTAINER_OF(m, struct sim, direct.write.write.mail);
    struct store_direct *w = &sim->direct.write;
    ((struct jobs *) owner)->in_flight--;
    sim->direct.writing = false;
    if (w->write.result != STORE_OK) {
        direct_on_lost(sim, w->write.result);
        sim_break(sim);
        return;
    }
    sim->direct.stored_state = w->state;
    sim->direct.stored_mode = w->director;
    if (w->header.data != NULL)
        sim->direct.swapped = true;
    sim_schedule(sim);
}

static void written(struct store_write *w)
{
    struct sim *sim = CONTAINER_OF(w, struct sim, direct.write.write);
    w->mail.run = written_run;
    inbox_post(&sim->jobs->box, &w->mail);
}

static void write_row(struct sim *sim, int state, int mode, struct store_bytes request,
                      struct store_bytes header)
{
    sim->direct.write = (struct store_direct){ .write.kind = STORE_WRITE_DIRECT,
                                               .write.done = written,
                                               .number = sim->number,
                                               .epoch = sim->epoch,
                                               .state = state,
                                               .director = mode,
                                               .request = request,
                                               .header = header };
    sim->direct.writing = true;
    sim->jobs->in_flight++;
    store_write_post(sim->jobs->o.store, &sim->direct.write.write);
}

/* True when the row says so already; else it is on its way there. */
static bool settled(struct sim *sim, int state, int mode)
{
    if (sim->direct.stored_state == state && sim->direct.stored_mode == mode)
        return true;
    struct store_bytes none = { NULL, 0 };
    write_row(sim, state, mode, none, none);
    return false;
}

/* ---- slices ---- */

static struct slice *take_slice(struct sim *sim)
{
    struct slice *s = sim_new_slice(sim);
    if (s == NULL) {
        sim_break(sim);
        return NULL;
    }
    s->direct = (struct direction){ .on = true, .first_proposal = sim->direct.first_proposal };
    wake(sim);
    return s;
}

static void post_turn(struct sim *sim)
{
    struct slice *s = take_slice(sim);
    if (s == NULL)
        return;
    s->direct.turn = true;
    sim_post_slice(sim, s);
}

static void post_show(struct sim *sim, bool stage)
{
    struct slice *s = take_slice(sim);
    if (s == NULL)
        return;
    s->direct.stage = stage;
    s->direct.propose = !stage;
    sim_post_slice(sim, s);
}

static const char *keep(struct arena *a, const char *text, bool *ok)
{
    char *copy = arena_strndup(a, text != NULL ? text : "", text != NULL ? strlen(text) : 0);
    *ok = *ok && copy != NULL;
    return copy;
}

/* The worker's copy: the order may be answered while the worker is at it. */
static bool copy_edit(const struct nvl_edit *from, struct arena *a, struct nvl_edit *to)
{
    bool ok = true;
    const char **targets = arena_zero(a, from->targets.count + 1, sizeof *targets);
    *to = *from;
    to->actor = keep(a, from->actor, &ok);
    to->name = keep(a, from->name, &ok);
    to->to = keep(a, from->to, &ok);
    for (size_t i = 0; targets != NULL && i < from->targets.count; i++)
        targets[i] = keep(a, from->targets.items[i], &ok);
    to->targets.items = targets;
    return ok && targets != NULL;
}

static const struct nvl_proposal *find_proposal(const struct sim *sim, uint32_t number)
{
    uint32_t first = sim->direct.first_proposal - (uint32_t) sim->direct.n_proposals;
    bool shown = sim->direct.proposed && number >= first && number < sim->direct.first_proposal;
    return shown ? &sim->direct.proposals[number - first] : NULL;
}

static void post_edit(struct sim *sim)
{
    const struct jobs_order *o = sim->direct.order;
    const struct nvl_proposal *p = NULL;
    if (o->kind == JOBS_VETO && (p = find_proposal(sim, o->number)) == NULL) {
        refuse(sim, "veto.proposal", "this number is none of the proposals that were shown last");
        sim_schedule(sim);
        return;
    }
    /* A veto needs the world's names, so the engine: whoever was shown a proposal has one. */
    CHECK(p == NULL || sim->engine != NULL);
    struct slice *s = take_slice(sim);
    if (s == NULL)
        return;
    bool ok = p != NULL ? stage_veto(sim, p, &s->arena, &s->direct.edit)
                        : copy_edit(&o->edit, &s->arena, &s->direct.edit);
    if (!ok) {
        slice_free(s);
        sim_break(sim);
        return;
    }
    s->direct.edits = true;
    s->direct.propose = sim->direct.paused;
    sim_post_slice(sim, s);
}

/* ---- a swap: another header, as long as nobody has seen what came of the first ---- */

static void take_swap(struct sim *sim)
{
    const struct jobs_order *o = sim->direct.order;
    if (sim->posted.sequence > 0 || sim->last_sequence > 0) {
        answer(sim, JOBS_E_BEGUN);
        sim_schedule(sim);
    } else if (!sim->direct.swapped) {
        write_row(sim, STORE_AWAITING, (int) sim->direct.mode, o->swap_request, o->swap_header);
    } else if (!sim->direct.staged) {
        if (!sim_take_header(sim, o->swap_request, o->swap_header)) {
            sim_break(sim);
            return;
        }
        sim_drop_engine(sim);
        post_show(sim, true);
    } else {
        answer(sim, JOBS_OK);
        sim_schedule(sim);
    }
}

/* ---- orders ---- */

/* Its director is done with it: it goes on like any other, and like any other waits for a place. */
static void run_alone(struct sim *sim)
{
    struct jobs *j = sim->jobs;
    if (j->running < j->o.max_running) {
        sim_schedule(sim);
        return;
    }
    sim_drop_engine(sim);
    sim_set_place(sim, PLACE_NONE);
    sim_queue(sim, false);
}

/* True when the order has been dealt with and what follows from it can be done now. */
static bool take_order(struct sim *sim)
{
    struct jobs_order *o = sim->direct.order;
    switch (o->kind) {
    case JOBS_ATTACH:
        if (!sim->direct.staged) {
            post_show(sim, true);
            return false;
        }
        if (!settled(sim, STORE_AWAITING, (int) sim->direct.mode))
            return false;
        break;
    case JOBS_PAUSE:
        sim->direct.paused = true;
        sim->direct.steps = 0;
        if (!settled(sim, STORE_AWAITING, (int) sim->direct.mode))
            return false;
        break;
    case JOBS_RESUME:
    case JOBS_STEP:
        sim->direct.paused = false;
        sim->direct.steps = o->kind == JOBS_STEP ? o->number : 0;
        break;
    case JOBS_EDIT:
    case JOBS_VETO:
        post_edit(sim);
        return false;
    case JOBS_SWAP:
        take_swap(sim);
        return false;
    case JOBS_FINISH:
        if (!settled(sim, STORE_RUNNING, JOBS_DETACH_NONE))
            return false;
        wake(sim);
        unseat(sim);
        sim->direct.mode = JOBS_DETACH_NONE;
        sim->direct.paused = false;
        answer(sim, JOBS_OK);
        run_alone(sim);
        return false;
    }
    answer(sim, JOBS_OK);
    return true;
}

void direct_schedule(struct sim *sim)
{
    if (sim->slicing || sim->committing > 0 || sim->direct.writing)
        return;
    if (sim->jobs->stopping)
        direct_on_lost(sim, STORE_E_CLOSED); /* what was in flight has come back, and answered others */
    if (sim->state != SIM_RUNNING || sim->broken || sim->ending || sim->jobs->stopping)
        return;
    if (atomic_load_explicit(&sim->cancel, memory_order_relaxed)) {
        post_turn(sim); /* the worker sees the cancel before it plays */
        return;
    }
    if (sim->direct.order != NULL && !take_order(sim))
        return;
    if (sim->direct.seat == NULL) {
        sim->direct.paused = true;
        sim->direct.steps = 0;
        if (settled(sim, STORE_AWAITING, (int) sim->direct.mode))
            direct_await(sim);
    } else if (!sim->direct.paused) {
        post_turn(sim);
    } else if (!sim->direct.proposed) {
        post_show(sim, false);
    } else {
        rest(sim);
    }
}

/* ---- what slices bring back ---- */

static void proposals_task_run(nrpc_task *t, nrpc_loop *loop)
{
    (void) loop;
    struct jobs_proposals *p = CONTAINER_OF(t, struct jobs_proposals, task);
    p->seat->on_proposals(p->seat, p);
}

static void show_proposals(struct sim *sim, struct direction *d)
{
    struct jobs_seat *seat = sim->direct.seat;
    if (sim->direct.proposals == NULL)
        sim->direct.proposals = alloc_zero(PROPOSALS_MAX, sizeof *sim->direct.proposals);
    struct jobs_proposals *p = alloc_zero(1, sizeof *p);
    sim->direct.proposed = true; /* without memory nothing is shown, and vetoes find nothing */
    sim->direct.n_proposals = 0;
    if (seat == NULL || p == NULL || sim->direct.proposals == NULL) {
        alloc_free(p);
        return;
    }
    memcpy(sim->direct.proposals, d->proposals, d->n_proposals * sizeof d->proposals[0]);
    sim->direct.n_proposals = d->n_proposals;
    sim->direct.first_proposal += (uint32_t) d->n_proposals;
    *p = (struct jobs_proposals){ .task.run = proposals_task_run,
                                  .seat = seat,
                                  .blob = d->proposals_blob,
                                  .sequence = sim->last_sequence };
    d->proposals_blob = NULL;
    nrpc_loop_post(seat->loop, &p->task);
}

static void take_verdict(struct sim *sim, const struct direction *d)
{
    struct jobs_order *o = sim->direct.order;
    if (o == NULL || (o->kind != JOBS_EDIT && o->kind != JOBS_VETO))
        return;
    if (d->invalid) {
        refuse(sim, d->error.field, d->error.message);
        return;
    }
    o->verdict = d->verdict;
    answer(sim, JOBS_OK);
}

static void take_results(struct sim *sim, struct slice *s)
{
    struct direction *d = &s->direct;
    if (d->turn || d->edits)
        sim->direct.proposed = false;
    if (d->turn && sim->direct.steps > 0 && --sim->direct.steps == 0)
        sim->direct.paused = true;
    if (d->edits)
        take_verdict(sim, d);
    if (d->stage_blob != NULL && sim->direct.order != NULL && !sim->direct.staged) {
        sim->direct.order->stage = d->stage_blob;
        sim->direct.staged = true;
        d->stage_blob = NULL;
    }
    if (d->proposals_blob != NULL)
        show_proposals(sim, d);
}

/* Only STARTED, which a swap may still replace: nothing that anybody decided. */
static bool is_beginning(const struct slice *s)
{
    return s->append.after_sequence == 0 && s->n_events == 1 && !s->direct.turn;
}

bool direct_on_slice(struct sim *sim, struct slice *s)
{
    if (!s->direct.on || s->ended)
        return false;
    if (!s->direct.reached) { /* still re-deriving */
        slice_free(s);
        sim_schedule(sim);
        return true;
    }
    if (s->n_events == 0 && !s->direct.turn) {
        take_results(sim, s);
        slice_free(s);
    } else if (is_beginning(s)) {
        take_results(sim, s);
        nrpc_blob_unref(s->direct.stage_blob);
        nrpc_blob_unref(s->direct.proposals_blob);
        s->direct.stage_blob = s->direct.proposals_blob = NULL;
        sim->direct.held = s;
    } else {
        bool waits = sim->direct.paused || sim->direct.seat == NULL ||
                     (s->direct.turn && sim->direct.steps == 1);
        s->append.state = waits ? STORE_AWAITING : STORE_RUNNING;
        s->append.director = (int) sim->direct.mode;
        return false;
    }
    sim_schedule(sim);
    return true;
}

void direct_on_durable(struct sim *sim, struct slice *s)
{
    sim->direct.stored_state = s->append.state;
    sim->direct.stored_mode = s->append.director;
    if (s->direct.on)
        take_results(sim, s);
}

void direct_on_lost(struct sim *sim, enum store_result why)
{
    struct jobs_order *o = sim->direct.order;
    if (o == NULL)
        return;
    if (o->kind == JOBS_ATTACH) {
        unseat(sim);
        sim->direct.mode = (enum jobs_detach) sim->direct.stored_mode;
    }
    nrpc_blob_unref(o->stage);
    o->stage = NULL;
    finish_order(sim, o, why == STORE_E_CLOSED ? JOBS_E_STOPPING : JOBS_E_STORE, why);
}

void direct_ended(struct sim *sim)
{
    if (sim->direct.order != NULL) {
        nrpc_blob_unref(sim->direct.order->stage);
        sim->direct.order->stage = NULL;
        answer(sim, JOBS_E_FINISHED);
    }
    unseat(sim);
    sim->direct.mode = JOBS_DETACH_NONE;
}

void direct_drop(struct sim *sim)
{
    slice_free(sim->direct.held);
    sim->direct.held = NULL;
    sim->direct.proposed = false;
    sim->direct.n_proposals = 0;
}

void direct_free(struct sim *sim)
{
    CHECK(sim->direct.seat == NULL && sim->direct.order == NULL && !sim->direct.writing);
    direct_drop(sim);
    alloc_free(sim->direct.proposals);
}

void direct_stop(struct sim *sim)
{
    if (!sim->slicing && sim->committing == 0 && !sim->direct.writing)
        direct_on_lost(sim, STORE_E_CLOSED); /* else what is in flight answers */
    unseat(sim);
}

/* ---- who comes and goes ---- */

static void attach(struct jobs *j, struct jobs_order *o)
{
    struct jobs_seat *seat = o->seat;
    struct sim *sim = map_get(&j->sims, seat->id, strlen(seat->id));
    enum jobs_result r = sim == NULL || sim->state == SIM_ENDED || sim->ending ? JOBS_E_FINISHED
                         : sim->direct.seat != NULL                            ? JOBS_E_DIRECTED
                         : sim->place != PLACE_DIRECT && j->directed >= j->o.max_directed
                             ? JOBS_E_SEATS_FULL
                             : JOBS_OK;
    if (r != JOBS_OK) {
        finish_order(NULL, o, r, STORE_OK);
        return;
    }
    seat->sim = sim;
    sim->direct.seat = seat;
    sim->direct.order = o;
    sim->direct.mode = seat->on_detach;
    sim->direct.paused = true;
    sim->direct.steps = 0;
    sim->direct.proposed = false;
    sim->direct.staged = sim->direct.swapped = false; /* this one is shown the stage, too */
    sim->direct.first_proposal = 1;
    if (sim->state == SIM_AWAITING) {
        stop_awaiting(sim);
        sim->state = SIM_RUNNING;
    } else if (sim->state == SIM_QUEUED) {
        list_remove(&sim->link);
        sim->start_mono_ns = clock_mono_ns();
        sim->state = SIM_RUNNING;
    }
    sim_set_place(sim, PLACE_DIRECT);
    sim_schedule(sim);
    sim_admit(j); /* it may have left a place */
}

static void order_run(struct mail *m, void *owner)
{
    struct jobs_order *o = CONTAINER_OF(m, struct jobs_order, request.mail);
    struct jobs *j = owner;
    struct sim *sim = o->seat->sim;
    if (j->stopping) {
        finish_order(NULL, o, JOBS_E_STOPPING, STORE_OK);
    } else if (o->kind == JOBS_ATTACH) {
        attach(j, o);
    } else if (sim == NULL || sim->ending) {
        finish_order(NULL, o, JOBS_E_FINISHED, STORE_OK);
    } else if (sim->state == SIM_PARKED) { /* when the disk will take it nobody knows */
        enum store_health h = store_get_health(j->o.store);
        finish_order(NULL, o, JOBS_E_STORE,
                     h == STORE_FULL        ? STORE_E_FULL
                     : h == STORE_READ_ONLY ? STORE_E_READ_ONLY
                                            : STORE_E_IO);
    } else {
        CHECK(sim->direct.order == NULL);
        sim->direct.order = o;
        sim->direct.staged = sim->direct.swapped = false;
        sim_schedule(sim);
    }
}

void jobs_post_order(struct jobs *j, struct jobs_order *o)
{
    o->seat->jobs = j;
    o->stage = NULL;
    o->verdict = (struct nvl_judgement){ 0 };
    o->request.mail.run = order_run;
    inbox_post(&j->box, &o->request.mail);
}

static void left_task_run(nrpc_task *t, nrpc_loop *loop)
{
    struct jobs_seat *seat = CONTAINER_OF(t, struct jobs_seat, left_task);
    seat->on_left(seat, loop);
}

static void leave_run(struct mail *m, void *owner)
{
    (void) owner;
    struct jobs_seat *seat = CONTAINER_OF(m, struct jobs_seat, leave_mail);
    struct sim *sim = seat->sim;
    if (sim != NULL) {
        unseat(sim);
        sim_schedule(sim);
    }
    seat->left_task.run = left_task_run;
    nrpc_loop_post(seat->loop, &seat->left_task);
}

void jobs_seat_leave(struct jobs *j, struct jobs_seat *seat)
{
    seat->leave_mail.run = leave_run;
    inbox_post(&j->box, &seat->leave_mail);
}

void jobs_proposals_free(struct jobs_proposals *p)
{
    if (p == NULL)
        return;
    nrpc_blob_unref(p->blob);
    alloc_free(p);
}
