/* hub.c — who watches what.  The last events of a live simulation are kept packed, once for all; a
 * watcher that is further behind, and one whose simulation is no longer live, reads the store. */
#include <string.h>

#include "rpc/base/alloc.h"
#include "rpc/base/check.h"
#include "server/jobs/inner.h"

#define READ_BYTES_MAX (1u << 20) /* of one batch from the store */

static struct packed_event *ring_at(struct sim *sim, uint64_t sequence)
{
    return &sim->ring[sequence % RING_EVENTS];
}

static void packed_drop(struct packed_event *p)
{
    for (int v = 0; v < JOBS_VIEWS; v++) {
        nrpc_blob_unref(p->views[v]);
        p->views[v] = NULL;
    }
}

void hub_drop(struct sim *sim)
{
    for (size_t i = 0; sim->ring != NULL && i < RING_EVENTS; i++)
        packed_drop(&sim->ring[i]);
    alloc_free(sim->ring);
    sim->ring = NULL;
    sim->ring_first = sim->last_sequence + 1;
}

void hub_moved(struct sim *sim)
{
    hub_drop(sim);
    hub_wake(sim);
}

void hub_publish(struct sim *sim, struct slice *s)
{
    if (sim->ring == NULL)
        sim->ring = alloc_zero(RING_EVENTS, sizeof *sim->ring);
    if (sim->ring == NULL) { /* no memory for keeping: whoever watches reads the store */
        sim->ring_first = sim->last_sequence + 1;
        hub_wake(sim);
        return;
    }
    for (size_t i = 0; i < s->n_events; i++) {
        uint64_t sequence = s->events[i].sequence;
        packed_drop(ring_at(sim, sequence));
        *ring_at(sim, sequence) = s->packed[i];
        if (sequence - sim->ring_first >= RING_EVENTS)
            sim->ring_first = sequence - RING_EVENTS + 1;
    }
    s->n_events = 0; /* the references are the ring's now */
    hub_wake(sim);
}

/* ---- giving a batch ---- */

static void batch_task_run(nrpc_task *t, nrpc_loop *loop)
{
    struct jobs_watch *w = CONTAINER_OF(t, struct jobs_watch, batch_task);
    w->on_batch(w, loop);
}

static void watch_give(struct jobs_watch *w)
{
    w->waiting = false;
    w->batch_task.run = batch_task_run;
    nrpc_loop_post(w->loop, &w->batch_task);
}

static void watch_end(struct jobs_watch *w, enum jobs_result why)
{
    w->result = why;
    w->end = true;
    watch_give(w);
}

static void watch_give_ring(struct jobs_watch *w)
{
    struct sim *sim = w->sim;
    while (w->n_items < JOBS_BATCH && w->cursor < sim->last_sequence) {
        w->cursor++;
        w->items[w->n_items++] = nrpc_blob_ref(ring_at(sim, w->cursor)->views[w->view]);
    }
    watch_give(w);
}

static void watch_give_finals(struct jobs_watch *w, const struct finals *f)
{
    if (w->only_result && w->finals_sent == 0)
        w->finals_sent = f->count - 1;
    while (w->n_items < JOBS_BATCH && w->finals_sent < f->count)
        w->items[w->n_items++] = nrpc_blob_ref(f->items[w->finals_sent++]);
    w->end = w->finals_sent == f->count;
    watch_give(w);
}

/* ---- from the store ---- */

/* On the jobs' thread: items were built by the reader's thread. */
static void read_run(struct mail *m, void *owner)
{
    struct jobs_watch *w = CONTAINER_OF(m, struct jobs_watch, read_mail);
    struct jobs *j = owner;
    j->in_flight--;
    w->reading = false;
    if (w->sim == NULL && !w->end && w->n_items == 0) {
        w->result = JOBS_E_STOPPING; /* unfinished, and nobody runs it: this server is going */
        w->end = true;
    }
    watch_give(w);
    if (w->closing) {
        w->closing = false;
        jobs_watch_close(w); /* it waited for this read */
    }
}

static void read_events_into(struct jobs_watch *w)
{
    for (size_t i = 0; i < w->q.n_events && w->n_items < JOBS_BATCH; i++) {
        struct store_bytes bytes;
        nrpc_blob *b = wire_split(w->q.events[i].wire, w->view, &bytes) == 0
                           ? nrpc_blob_copy(bytes.data, bytes.size)
                           : NULL;
        if (b == NULL) {
            w->result = JOBS_E_NOMEM;
            w->end = true;
            return;
        }
        w->items[w->n_items++] = b;
        w->cursor = w->q.events[i].sequence;
    }
}

static void read_end_into(struct jobs_watch *w)
{
    const struct store_row *row = &w->q.row;
    struct wire_end end = {
        .simulation_id = row->id,
        .last_sequence = row->last_sequence,
        .turns = row->turns,
        .turns_done = row->turns_done,
        .state = row->state,
        .result = row->result,
        .story = row->story,
        .passages = row->passages,
        .error = row->error,
    };
    struct finals *f = wire_finals_new(&end);
    if (f == NULL) {
        w->result = JOBS_E_NOMEM;
        w->end = true;
        return;
    }
    if (w->only_result && w->finals_sent == 0)
        w->finals_sent = f->count - 1;
    while (w->n_items < JOBS_BATCH && w->finals_sent < f->count)
        w->items[w->n_items++] = nrpc_blob_ref(f->items[w->finals_sent++]);
    w->end = w->finals_sent == f->count;
    finals_free(f);
}

static void read_done(struct store_read *r)
{
    struct jobs_watch *w = CONTAINER_OF(r, struct jobs_watch, q.read);
    if (r->result != STORE_OK) {
        w->result = r->result == STORE_E_NOT_FOUND ? JOBS_E_NOT_FOUND : JOBS_E_STORE;
        w->store = r->result;
        w->end = true;
    } else if (w->q.n_events > 0) {
        read_events_into(w);
    } else if (store_state_final(w->q.row.state)) {
        read_end_into(w);
    } /* else nothing is there yet; what that means, the jobs' thread knows, which owns w->sim */
    arena_done(&r->arena);
    w->read_mail.run = read_run;
    inbox_post(&w->jobs->box, &w->read_mail);
}

static void watch_read(struct jobs_watch *w)
{
    w->waiting = false;
    w->reading = true;
    w->jobs->in_flight++;
    w->q = (struct store_read_events){
        .read.kind = STORE_READ_EVENTS,
        .read.done = read_done,
        .after_sequence = w->only_result ? UINT64_MAX : w->cursor,
        .limit = JOBS_BATCH,
        .byte_limit = READ_BYTES_MAX,
        .with = STORE_WITH_STORY,
    };
    memcpy(w->q.id, w->id, sizeof w->q.id);
    arena_init(&w->q.read.arena, 4096);
    store_read_post(w->jobs->o.store, &w->q.read);
}

/* Answers a pull if there is something to say; else it waits. */
static void watch_serve(struct jobs_watch *w)
{
    struct sim *sim = w->sim;
    if (w->reading || !w->waiting)
        return;
    if (sim == NULL) {
        watch_read(w);
    } else if (!w->only_result && w->cursor < sim->last_sequence) {
        if (w->cursor + 1 >= sim->ring_first)
            watch_give_ring(w);
        else
            watch_read(w);
    } else if (sim->state == SIM_ENDED) {
        if (sim->finals != NULL)
            watch_give_finals(w, sim->finals);
        else
            watch_read(w);
    }
}

void hub_wake(struct sim *sim)
{
    LIST_EACH(&sim->watches, link, after)
    {
        watch_serve(LIST_ENTRY(link, struct jobs_watch, link));
    }
}

void hub_end(struct sim *sim)
{
    hub_wake(sim);
}

static void watch_detach(struct jobs_watch *w)
{
    struct sim *sim = w->sim;
    if (sim == NULL)
        return;
    w->sim = NULL;
    list_remove(&w->link);
    sim->n_watching -= !w->only_result;
}

void hub_expel(struct sim *sim, enum jobs_result why)
{
    LIST_EACH(&sim->watches, link, after)
    {
        struct jobs_watch *w = LIST_ENTRY(link, struct jobs_watch, link);
        watch_detach(w);
        if (w->waiting)
            watch_end(w, why); /* the others find out at their next pull */
    }
}

/* ---- the watchers' side ---- */

static void open_run(struct mail *m, void *owner)
{
    struct jobs_watch *w = CONTAINER_OF(m, struct jobs_watch, open_mail);
    struct jobs *j = owner;
    w->sim = map_get(&j->sims, w->id, strlen(w->id));
    if (w->sim == NULL)
        return;
    list_add_tail(&w->sim->watches, &w->link);
    w->sim->n_watching += !w->only_result;
}

void jobs_watch_open(struct jobs *j, struct jobs_watch *w)
{
    w->jobs = j;
    w->sim = NULL;
    list_init(&w->link);
    w->finals_sent = w->n_items = 0;
    w->waiting = w->reading = w->closing = w->end = false;
    w->result = JOBS_OK;
    w->open_mail.run = open_run;
    inbox_post(&j->box, &w->open_mail);
}

static void pull_run(struct mail *m, void *owner)
{
    (void) owner;
    struct jobs_watch *w = CONTAINER_OF(m, struct jobs_watch, pull_mail);
    w->waiting = true;
    watch_serve(w);
}

void jobs_watch_pull(struct jobs_watch *w)
{
    w->n_items = 0;
    w->pull_mail.run = pull_run;
    inbox_post(&w->jobs->box, &w->pull_mail);
}

static void closed_task_run(nrpc_task *t, nrpc_loop *loop)
{
    struct jobs_watch *w = CONTAINER_OF(t, struct jobs_watch, closed_task);
    w->on_closed(w, loop);
}

static void close_run(struct mail *m, void *owner)
{
    (void) owner;
    struct jobs_watch *w = CONTAINER_OF(m, struct jobs_watch, close_mail);
    struct sim *sim = w->sim;
    watch_detach(w);
    w->waiting = false;
    if (w->reading) {
        w->closing = true; /* its answer comes first */
        return;
    }
    w->closed_task.run = closed_task_run;
    nrpc_loop_post(w->loop, &w->closed_task);
    if (sim != NULL)
        sim_release(sim);
}

void jobs_watch_close(struct jobs_watch *w)
{
    w->close_mail.run = close_run;
    inbox_post(&w->jobs->box, &w->close_mail);
}
