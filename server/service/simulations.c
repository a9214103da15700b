/* simulations.c — run, stream, submit, read, list, watch, cancel, delete. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/base/alloc.h"
#include "rpc/base/buf.h"
#include "rpc/base/check.h"
#include "rpc/base/sha256.h"
#include "server/jobs/wire.h"
#include "server/service/inner.h"

enum { PAGE_DEFAULT = 50, PAGE_MAX = 1000, EVENTS_PAGE_DEFAULT = 100, EVENTS_BYTES_MAX = 2 << 20 };

static enum jobs_view view_of(NE(EventView) v)
{
    return v == NOVELENGINE__V1__EVENT_VIEW__EVENT_VIEW_FULL ? JOBS_FULL : JOBS_BASIC;
}

/* ---- rows as the contract shows them ---- */

static PB(Timestamp) * timestamp(uint64_t us, struct arena *a)
{
    PB(Timestamp) *t = us == 0 ? NULL : arena_get(a, sizeof *t);
    if (t != NULL)
        *t = wire_timestamp(us);
    return t;
}

static char *hex(const uint8_t digest[static STORE_DIGEST_SIZE], struct arena *a)
{
    char text[65];
    sha256_hex(digest, text);
    return arena_strndup(a, text, 64);
}

static bool fill_end(NE(Simulation) * m, const struct store_row *row, bool with_story, struct arena *a)
{
    ProtobufCAllocator allocator = contract_allocator(a);
    if (row->result.data != NULL) {
        struct store_bytes story = with_story ? row->story : (struct store_bytes) { 0 };
        if ((m->result = wire_result(row->result, story, a)) == NULL)
            return false;
    }
    if (row->error.data != NULL)
        m->error = google__rpc__status__unpack(&allocator, row->error.size, row->error.data);
    return row->error.data == NULL || m->error != NULL;
}

NE(Simulation) *simulation_from_row(const struct store_row *row, bool with_story, struct arena *a)
{
    NE(Simulation) *m = arena_get(a, sizeof *m);
    if (m == NULL)
        return NULL;
    novelengine__v1__simulation__init(m);
    ProtobufCAllocator allocator = contract_allocator(a);
    m->simulation_id = (char *) row->id;
    m->state = (NE(Simulation__State)) row->state;
    m->progress_percent = wire_progress(row->state, row->turns, row->turns_done);
    m->request = novelengine__v1__simulation_request__unpack(&allocator, row->request.size, row->request.data);
    m->turns_done = row->turns_done;
    m->last_sequence = row->last_sequence;
    m->chain_head = row->last_sequence > 0 ? hex(row->head, a) : "";
    m->parent_id = (char *) row->parent;
    m->fork_turn = row->fork_turn;
    m->create_time = timestamp(row->create_us, a);
    m->start_time = timestamp(row->start_us, a);
    m->end_time = timestamp(row->end_us, a);
    m->etag = arena_printf(a, "%d-%llu", row->state, (unsigned long long) row->last_sequence);
    if (m->request == NULL || m->chain_head == NULL || m->etag == NULL || !fill_end(m, row, with_story, a))
        return NULL;
    return m;
}

static void reply_row(nrpc_call *c, const struct store_read_row *q, const char *id)
{
    if (q->read.result == STORE_E_NOT_FOUND) {
        service_reply_jobs(c, JOBS_E_NOT_FOUND, STORE_OK, id);
        return;
    }
    if (q->read.result != STORE_OK) {
        service_reply_store(c, q->read.result);
        return;
    }
    NE(Simulation) *m = simulation_from_row(&q->row, true, (struct arena *) &q->read.arena);
    if (m == NULL)
        error_reply(c, ERROR_OUT_OF_MEMORY, "the simulation could not be read");
    else
        nrpc_call_reply(c, &m->base);
}

static void row_read(struct service_read *r, nrpc_call *c)
{
    if (c != NULL)
        reply_row(c, &r->q.row, r->q.row.id);
}

void service_reply_simulation(struct service *s, nrpc_call *c, const char *id)
{
    struct service_read *r = service_read_new(s, c, STORE_READ_ROW, row_read);
    if (r == NULL)
        return;
    r->q.row.with = STORE_WITH_STORY;
    if (service_copy_id(c, id, r->q.row.id)) {
        service_read_post(r);
    } else {
        arena_done(&r->q.read.arena);
        alloc_free(r);
    }
}

void handle_get_simulation(nrpc_call *c, void *ctx, nrpc_msg *m)
{
    service_reply_simulation(ctx, c, novelengine_v1_novel_engine_get_simulation_request(m)->simulation_id);
    nrpc_msg_free(m);
}

/* ---- run, stream, submit ---- */

static void run_submitted(struct submission *s, nrpc_call *c)
{
    watch_result(s->service, c, s->simulation_id);
    submission_free(s);
}

static void stream_submitted(struct submission *s, nrpc_call *c)
{
    watch_start(s->service, c, s->simulation_id, 0, JOBS_BASIC);
    submission_free(s);
}

static void submit_submitted(struct submission *s, nrpc_call *c)
{
    service_reply_simulation(s->service, c, s->simulation_id);
    submission_free(s);
}

static void submit(nrpc_call *c, struct service *s, nrpc_msg *m, void (*done)(struct submission *s, nrpc_call *c))
{
    struct submission *made = submission_new(s, c, (const NE(SimulationRequest) *) nrpc_msg_body(m));
    nrpc_msg_free(m);
    if (made != NULL)
        submission_post(made, done);
}

void handle_run_simulation(nrpc_call *c, void *ctx, nrpc_msg *m)
{
    submit(c, ctx, m, run_submitted);
}

void handle_stream_simulation(nrpc_call *c, void *ctx, nrpc_msg *m)
{
    submit(c, ctx, m, stream_submitted);
}

void handle_submit_simulation(nrpc_call *c, void *ctx, nrpc_msg *m)
{
    submit(c, ctx, m, submit_submitted);
}

/* ---- watch: it must be there before headers go out ---- */

static void watch_found(struct service_read *r, nrpc_call *c)
{
    if (c == NULL)
        return;
    if (r->q.row.read.result == STORE_OK)
        watch_start(r->service, c, r->q.row.id, r->after, (enum jobs_view) r->view);
    else if (r->q.row.read.result == STORE_E_NOT_FOUND)
        service_reply_jobs(c, JOBS_E_NOT_FOUND, STORE_OK, r->q.row.id);
    else
        service_reply_store(c, r->q.row.read.result);
}

void handle_watch_simulation(nrpc_call *c, void *ctx, nrpc_msg *m)
{
    const NE(WatchSimulationRequest) *w = novelengine_v1_novel_engine_watch_simulation_request(m);
    struct service_read *r = NULL;
    char id[STORE_ID_SIZE];
    if (service_valid(c, &w->base) && service_copy_id(c, w->simulation_id, id))
        r = service_read_new(ctx, c, STORE_READ_ROW, watch_found);
    if (r != NULL) {
        memcpy(r->q.row.id, id, sizeof id);
        r->after = w->after_sequence;
        r->view = (int) view_of(w->view);
        service_read_post(r);
    }
    nrpc_msg_free(m);
}

/* ---- list ---- */

/* The token of a page: where it goes on, and what it was asked with. */
static bool read_token(const NE(ListSimulationsRequest) * r, int64_t *out_before)
{
    *out_before = 0;
    if (r->page_token[0] == '\0')
        return true;
    char *end;
    long long before = strtoll(r->page_token, &end, 10);
    char *state_end = end;
    long state = *end == '.' ? strtol(end + 1, &state_end, 10) : -1;
    if (before <= 0 || *end != '.' || state_end == end + 1 || *state_end != '\0' || state != (long) r->state)
        return false;
    *out_before = before;
    return true;
}

static void list_read(struct service_read *r, nrpc_call *c)
{
    struct store_read_list *q = &r->q.list;
    if (c == NULL)
        return;
    if (q->read.result != STORE_OK) {
        service_reply_store(c, q->read.result);
        return;
    }
    NE(ListSimulationsResponse) answer = NOVELENGINE__V1__LIST_SIMULATIONS_RESPONSE__INIT;
    NE(Simulation) **list = arena_zero(&q->read.arena, q->n_rows + 1, sizeof *list);
    bool ok = list != NULL;
    for (size_t i = 0; ok && i < q->n_rows; i++)
        ok = (list[i] = simulation_from_row(&q->rows[i], false, &q->read.arena)) != NULL;
    if (ok && q->more && q->n_rows > 0)
        answer.next_page_token = arena_printf(&q->read.arena, "%lld.%d", (long long) q->rows[q->n_rows - 1].number, q->state);
    if (!ok || answer.next_page_token == NULL) {
        error_reply(c, ERROR_OUT_OF_MEMORY, "the simulations could not be read");
        return;
    }
    answer.n_simulations = q->n_rows;
    answer.simulations = list;
    nrpc_call_reply(c, &answer.base);
}

void handle_list_simulations(nrpc_call *c, void *ctx, nrpc_msg *m)
{
    const NE(ListSimulationsRequest) *ask = novelengine_v1_novel_engine_list_simulations_request(m);
    int64_t before = 0;
    nrpc_status st = NRPC_STATUS_INIT;
    if (!service_valid(c, &ask->base)) {
        nrpc_msg_free(m);
        return;
    }
    if ((int) ask->state < 0 || (int) ask->state > STORE_CANCELLED)
        error_set_field(&st, "state", "is no state of a simulation");
    else if (strlen(ask->campaign_id) >= STORE_CAMPAIGN_SIZE)
        error_set(&st, ERROR_CAMPAIGN_NOT_FOUND, "campaign '%.64s' not found", ask->campaign_id);
    else if (!read_token(ask, &before))
        error_set_field(&st, "page_token", "is not a token of this list");
    struct service_read *r = NULL;
    if (st.code != NRPC_OK)
        nrpc_call_finish(c, &st);
    else
        r = service_read_new(ctx, c, STORE_READ_LIST, list_read);
    if (r != NULL) {
        r->q.list.before = before;
        r->q.list.state = (int) ask->state;
        snprintf(r->q.list.campaign, sizeof r->q.list.campaign, "%s", ask->campaign_id);
        r->q.list.limit = ask->page_size <= 0 ? PAGE_DEFAULT : ask->page_size > PAGE_MAX ? PAGE_MAX : (uint32_t) ask->page_size;
        service_read_post(r);
    }
    nrpc_status_clear(&st);
    nrpc_msg_free(m);
}

/* ---- the log, paged ---- */

static NE(SimulationEvent) * event_of(const struct store_event *e, enum jobs_view view, struct arena *a)
{
    ProtobufCAllocator allocator = contract_allocator(a);
    struct store_bytes bytes;
    if (wire_split(e->wire, view, &bytes) < 0)
        return NULL;
    NE(SimulationUpdate) *u = novelengine__v1__simulation_update__unpack(&allocator, bytes.size, bytes.data);
    return u != NULL && u->update_case == NOVELENGINE__V1__SIMULATION_UPDATE__UPDATE_EVENT ? u->event : NULL;
}

static void events_read(struct service_read *r, nrpc_call *c)
{
    struct store_read_events *q = &r->q.events;
    if (c == NULL)
        return;
    if (q->read.result != STORE_OK) {
        if (q->read.result == STORE_E_NOT_FOUND)
            service_reply_jobs(c, JOBS_E_NOT_FOUND, STORE_OK, q->id);
        else
            service_reply_store(c, q->read.result);
        return;
    }
    NE(ListEventsResponse) answer = NOVELENGINE__V1__LIST_EVENTS_RESPONSE__INIT;
    NE(SimulationEvent) **list = arena_zero(&q->read.arena, q->n_events + 1, sizeof *list);
    bool ok = list != NULL;
    for (size_t i = 0; ok && i < q->n_events; i++)
        ok = (list[i] = event_of(&q->events[i], (enum jobs_view) r->view, &q->read.arena)) != NULL;
    if (!ok) {
        error_reply(c, ERROR_OUT_OF_MEMORY, "the events could not be read");
        return;
    }
    answer.n_events = q->n_events;
    answer.events = list;
    if (q->n_events > 0 && q->events[q->n_events - 1].sequence < q->row.last_sequence)
        answer.next_after_sequence = q->events[q->n_events - 1].sequence;
    nrpc_call_reply(c, &answer.base);
}

void handle_list_events(nrpc_call *c, void *ctx, nrpc_msg *m)
{
    const NE(ListEventsRequest) *ask = novelengine_v1_novel_engine_list_events_request(m);
    struct service_read *r = NULL;
    char id[STORE_ID_SIZE];
    if (service_valid(c, &ask->base) && service_copy_id(c, ask->simulation_id, id))
        r = service_read_new(ctx, c, STORE_READ_EVENTS, events_read);
    if (r != NULL) {
        struct store_read_events *q = &r->q.events;
        memcpy(q->id, id, sizeof id);
        q->after_sequence = ask->after_sequence;
        q->limit = ask->page_size <= 0 ? EVENTS_PAGE_DEFAULT : ask->page_size > PAGE_MAX ? PAGE_MAX : (uint32_t) ask->page_size;
        q->byte_limit = EVENTS_BYTES_MAX;
        r->view = (int) view_of(ask->view);
        service_read_post(r);
    }
    nrpc_msg_free(m);
}

/* ---- cancel, delete ---- */

struct ending {
    union {
        struct jobs_cancel cancel;
        struct jobs_delete delete;
    } q;
    bool deletes;
    enum jobs_result result;
    enum store_result store;
    char id[STORE_ID_SIZE];
    nrpc_task task;
    nrpc_call_id call;
    nrpc_loop *loop;
    struct service *service;
};

static void ending_on_loop(nrpc_task *t, nrpc_loop *loop)
{
    struct ending *e = CONTAINER_OF(t, struct ending, task);
    nrpc_call *c = nrpc_call_get(loop, e->call);
    if (c != NULL) {
        if (e->result != JOBS_OK)
            service_reply_jobs(c, e->result, e->store, e->id);
        else if (e->deletes)
            nrpc_call_reply_bytes(c, (nrpc_slice) { NULL, 0 }); /* Empty */
        else
            service_reply_simulation(e->service, c, e->id);
    }
    alloc_free(e);
}

static void ending_done(struct ending *e, const struct jobs_request *r)
{
    e->result = r->result;
    e->store = r->store;
    e->task.run = ending_on_loop;
    nrpc_loop_post(e->loop, &e->task);
}

static void cancel_done(struct jobs_request *r)
{
    ending_done(CONTAINER_OF(r, struct ending, q.cancel.request), r);
}

static void delete_done(struct jobs_request *r)
{
    ending_done(CONTAINER_OF(r, struct ending, q.delete.request), r);
}

static struct ending *ending_new(struct service *s, nrpc_call *c, const char *id)
{
    char copy[STORE_ID_SIZE];
    if (!service_copy_id(c, id, copy))
        return NULL;
    struct ending *e = alloc_zero(1, sizeof *e);
    if (e == NULL) {
        error_reply(c, ERROR_OUT_OF_MEMORY, "the server is out of memory");
        return NULL;
    }
    memcpy(e->id, copy, sizeof copy);
    e->call = nrpc_call_ref(c);
    e->loop = nrpc_call_loop(c);
    e->service = s;
    return e;
}

void handle_cancel_simulation(nrpc_call *c, void *ctx, nrpc_msg *m)
{
    struct service *s = ctx;
    struct ending *e = ending_new(s, c, novelengine_v1_novel_engine_cancel_simulation_request(m)->simulation_id);
    nrpc_msg_free(m);
    if (e == NULL)
        return;
    memcpy(e->q.cancel.id, e->id, sizeof e->id);
    e->q.cancel.request.done = cancel_done;
    jobs_post_cancel(s->o.jobs, &e->q.cancel);
}

void handle_delete_simulation(nrpc_call *c, void *ctx, nrpc_msg *m)
{
    struct service *s = ctx;
    const NE(DeleteSimulationRequest) *ask = novelengine_v1_novel_engine_delete_simulation_request(m);
    struct ending *e = ending_new(s, c, ask->simulation_id);
    if (e != NULL) {
        e->deletes = true;
        memcpy(e->q.delete.id, e->id, sizeof e->id);
        e->q.delete.force = ask->force;
        e->q.delete.request.done = delete_done;
        jobs_post_delete(s->o.jobs, &e->q.delete);
    }
    nrpc_msg_free(m);
}
