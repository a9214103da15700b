/* watch.c — a call that follows a simulation: its updates as they become durable, or only its result.
 * Pull and push meet here: a batch is pulled from the jobs only when the call's queue has room. */
#include <string.h>

#include "rpc/base/alloc.h"
#include "rpc/base/check.h"
#include "server/service/inner.h"

struct watch_call {
    struct jobs_watch watch;
    nrpc_call_id call;
    struct service *service;
    size_t sent; /* items of the batch that are out */
};

static void watch_closed(struct jobs_watch *w, nrpc_loop *loop)
{
    struct watch_call *wc = CONTAINER_OF(w, struct watch_call, watch);
    (void) loop;
    for (size_t i = wc->sent; i < w->n_items; i++)
        nrpc_blob_unref(w->items[i]);
    alloc_free(wc);
}

/* Everything of this batch is out. */
static void watch_next(struct watch_call *wc, nrpc_call *c)
{
    struct jobs_watch *w = &wc->watch;
    if (!w->end) {
        wc->sent = 0;
        jobs_watch_pull(w);
    } else if (w->result != JOBS_OK) {
        service_reply_jobs(c, w->result, w->store, w->id);
    } else {
        nrpc_call_finish(c, NULL);
    }
}

static void watch_send(struct watch_call *wc, nrpc_call *c)
{
    struct jobs_watch *w = &wc->watch;
    while (wc->sent < w->n_items) {
        int r = nrpc_call_send_blob(c, w->items[wc->sent]);
        nrpc_blob_unref(w->items[wc->sent++]);
        if (r == NRPC_PAUSE)
            return; /* on_writable goes on */
        if (r < 0) {
            error_reply(c, ERROR_OUT_OF_MEMORY, "an update could not be sent: %s", nrpc_strerror(r));
            return;
        }
    }
    watch_next(wc, c);
}

static void watch_batch(struct jobs_watch *w, nrpc_loop *loop)
{
    struct watch_call *wc = CONTAINER_OF(w, struct watch_call, watch);
    wc->sent = 0;
    nrpc_call *c = nrpc_call_get(loop, wc->call);
    if (c != NULL) /* else on_end has closed the watch; watch_closed drops the items */
        watch_send(wc, c);
}

void watch_on_writable(nrpc_call *c, void *state)
{
    if (state != NULL)
        watch_send(state, c);
}

void watch_on_end(nrpc_call *c, void *state, const nrpc_status *st)
{
    (void) c;
    (void) st;
    struct watch_call *wc = state;
    if (wc != NULL)
        jobs_watch_close(&wc->watch);
}

static struct watch_call *watch_new(struct service *s, nrpc_call *c, const char *id)
{
    struct watch_call *wc = alloc_zero(1, sizeof *wc);
    if (wc == NULL) {
        error_reply(c, ERROR_OUT_OF_MEMORY, "the server is out of memory");
        return NULL;
    }
    CHECK(strlen(id) < sizeof wc->watch.id);
    strncpy(wc->watch.id, id, sizeof wc->watch.id - 1);
    wc->call = nrpc_call_ref(c);
    wc->service = s;
    wc->watch.loop = nrpc_call_loop(c);
    wc->watch.on_batch = watch_batch;
    wc->watch.on_closed = watch_closed;
    return wc;
}

static void watch_open(struct watch_call *wc, nrpc_call *c)
{
    nrpc_call_set_state(c, wc);
    jobs_watch_open(wc->service->o.jobs, &wc->watch);
    jobs_watch_pull(&wc->watch);
}

void watch_start(struct service *s, nrpc_call *c, const char *id, uint64_t after, enum jobs_view view)
{
    struct watch_call *wc = watch_new(s, c, id);
    if (wc == NULL)
        return;
    wc->watch.cursor = after;
    wc->watch.view = view;
    nrpc_call_send_headers(c); /* the watcher may have to wait for the first event, but not for this */
    watch_open(wc, c);
}

/* ---- only the result ---- */

static void reply_error(nrpc_call *c, const Google__Rpc__Status *error)
{
    nrpc_status st = NRPC_STATUS_INIT;
    nrpc_code code = error->code > NRPC_OK && error->code <= NRPC_UNAUTHENTICATED ? (nrpc_code) error->code : NRPC_UNKNOWN;
    nrpc_status_set(&st, code, "%s", error->message);
    size_t size = protobuf_c_message_get_packed_size(&error->base);
    st.details = alloc_get(size);
    if (st.details != NULL)
        st.details_size = protobuf_c_message_pack(&error->base, st.details);
    nrpc_call_finish(c, &st);
    nrpc_status_clear(&st);
}

static void result_batch(struct jobs_watch *w, nrpc_loop *loop)
{
    struct watch_call *wc = CONTAINER_OF(w, struct watch_call, watch);
    wc->sent = 0;
    nrpc_call *c = nrpc_call_get(loop, wc->call);
    if (c == NULL)
        return;
    if (w->n_items == 0) {
        watch_next(wc, c);
        return;
    }
    struct arena a;
    arena_init(&a, 16384);
    ProtobufCAllocator allocator = contract_allocator(&a);
    nrpc_slice bytes = nrpc_blob_bytes(w->items[w->n_items - 1]);
    NE(SimulationUpdate) *u = novelengine__v1__simulation_update__unpack(&allocator, bytes.size, bytes.data);
    if (u == NULL)
        error_reply(c, ERROR_OUT_OF_MEMORY, "the server is out of memory");
    else if (u->update_case == NOVELENGINE__V1__SIMULATION_UPDATE__UPDATE_RESULT)
        nrpc_call_reply(c, &u->result->base);
    else if (u->update_case == NOVELENGINE__V1__SIMULATION_UPDATE__UPDATE_ERROR)
        reply_error(c, u->error);
    else
        error_reply(c, ERROR_SIMULATION_FAILED, "simulation '%s' ended without a result", w->id);
    arena_done(&a);
}

void watch_result(struct service *s, nrpc_call *c, const char *id)
{
    struct watch_call *wc = watch_new(s, c, id);
    if (wc == NULL)
        return;
    wc->watch.only_result = true;
    wc->watch.on_batch = result_batch;
    watch_open(wc, c);
}
