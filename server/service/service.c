/* service.c — the object, its registration, the call log, and helpers that all handlers use. */
#include <string.h>

#include "rpc/base/alloc.h"
#include "rpc/base/check.h"
#include "rpc/base/clock.h"
#include "rpc/base/log.h"
#include "server/service/inner.h"
#include "server/service/work.h"

enum { SLOW_CALL_US = 1000000 };

struct service_loop *service_loop_of(struct service *s, nrpc_loop *loop)
{
    for (size_t i = 0; i < s->n_loops; i++)
        if (s->loops[i].loop == loop)
            return &s->loops[i];
    CHECK(!"a call on a loop of another server");
}

const struct catalogue *service_catalogue(struct service *s, const nrpc_call *c)
{
    return service_loop_of(s, nrpc_call_loop(c))->catalogue;
}

uint64_t service_wall_us(void)
{
    return clock_wall_ns() / 1000;
}

void service_set_store(nrpc_status *st, enum store_result r)
{
    switch (r) {
    case STORE_E_FULL:
        error_set(st, ERROR_STORE_FULL, "the store's disk is full; nothing was written");
        break;
    case STORE_E_READ_ONLY:
        error_set(st, ERROR_STORE_READ_ONLY, "the store cannot be written; nothing was changed");
        break;
    case STORE_E_NOMEM:
        error_set(st, ERROR_OUT_OF_MEMORY, "the store is out of memory");
        break;
    case STORE_E_BUSY:
        error_set(st, ERROR_STORE_BUSY, "too many operations wait for the store");
        break;
    case STORE_E_CLOSED:
        error_set(st, ERROR_SHUTTING_DOWN, "the server is shutting down");
        break;
    default:
        error_set(st, ERROR_STORE_FAILED, "the store failed (%s)", store_result_name(r));
        break;
    }
}

void service_set_jobs(nrpc_status *st, enum jobs_result r, enum store_result store, const char *id)
{
    switch (r) {
    case JOBS_E_QUEUE_FULL:
        error_set(st, ERROR_QUEUE_FULL, "too many simulations are waiting");
        break;
    case JOBS_E_NOT_FOUND:
        error_set(st, ERROR_SIMULATION_NOT_FOUND, "simulation '%.64s' not found", id);
        break;
    case JOBS_E_FINISHED:
        error_set(st, ERROR_SIMULATION_FINISHED, "simulation '%s' has already ended", id);
        break;
    case JOBS_E_CONTINUED:
        error_set(st, ERROR_CHAPTER_CONTINUED, "a later chapter goes on from '%s'", id);
        break;
    case JOBS_E_RUNNING:
        error_set(st, ERROR_SIMULATION_RUNNING, "simulation '%s' is still running", id);
        break;
    case JOBS_E_STOPPING:
        error_set(st, ERROR_SHUTTING_DOWN, "the server is shutting down");
        break;
    case JOBS_E_NOMEM:
        error_set(st, ERROR_OUT_OF_MEMORY, "the server is out of memory");
        break;
    case JOBS_E_DIRECTED:
        error_set(st, ERROR_SIMULATION_DIRECTED, "somebody directs simulation '%s' already", id);
        break;
    case JOBS_E_SEATS_FULL:
        error_set(st, ERROR_DIRECTORS_FULL, "too many simulations are under direction");
        break;
    case JOBS_E_BEGUN:
        error_set(st, ERROR_SIMULATION_BEGUN,
                  "the log of simulation '%s' has begun: its cast stays as it is", id);
        break;
    case JOBS_E_INVALID: /* whoever sent the order knows the field */
        error_set(st, ERROR_INVALID_FIELD, "the order is not valid");
        break;
    case JOBS_OK:
    case JOBS_E_STORE:
        service_set_store(st, store);
        break;
    }
}

void service_reply_store(nrpc_call *c, enum store_result r)
{
    nrpc_status st = NRPC_STATUS_INIT;
    service_set_store(&st, r);
    nrpc_call_finish(c, &st);
    nrpc_status_clear(&st);
}

void service_reply_jobs(nrpc_call *c, enum jobs_result r, enum store_result store, const char *id)
{
    nrpc_status st = NRPC_STATUS_INIT;
    service_set_jobs(&st, r, store, id);
    nrpc_call_finish(c, &st);
    nrpc_status_clear(&st);
}

bool service_valid(nrpc_call *c, const ProtobufCMessage *m)
{
    nrpc_status st = NRPC_STATUS_INIT;
    if (nrpc_validate(&novelengine_v1_novel_engine_rules, m, NOVEL_DOMAIN, &st) == 0)
        return true;
    nrpc_call_finish(c, &st);
    nrpc_status_clear(&st);
    return false;
}

bool service_copy_id(nrpc_call *c, const char *id, char out[static STORE_ID_SIZE])
{
    size_t size = strlen(id);
    if (size == 0 || size >= STORE_ID_SIZE) {
        error_reply(c, ERROR_SIMULATION_NOT_FOUND, "simulation '%.64s' not found", id);
        return false;
    }
    memcpy(out, id, size + 1);
    return true;
}

/* ---- reads on behalf of a call ---- */

static void read_task(nrpc_task *t, nrpc_loop *loop)
{
    struct service_read *r = CONTAINER_OF(t, struct service_read, task);
    r->done(r, nrpc_call_get(loop, r->call));
    arena_done(&r->q.read.arena);
    alloc_free(r);
}

static void read_done(struct store_read *read)
{
    struct service_read *r = CONTAINER_OF(read, struct service_read, q.read);
    r->task.run = read_task;
    nrpc_loop_post(r->loop, &r->task);
}

struct service_read *service_read_new(struct service *s, nrpc_call *c, enum store_read_kind kind,
                                      void (*done)(struct service_read *r, nrpc_call *c))
{
    struct service_read *r = alloc_zero(1, sizeof *r);
    if (r == NULL) {
        error_reply(c, ERROR_OUT_OF_MEMORY, "the server is out of memory");
        return NULL;
    }
    r->call = nrpc_call_ref(c);
    r->loop = nrpc_call_loop(c);
    r->service = s;
    r->done = done;
    r->q.read.kind = kind;
    r->q.read.done = read_done;
    arena_init(&r->q.read.arena, 4096);
    return r;
}

void service_read_post(struct service_read *r)
{
    store_read_post(r->service->o.store, &r->q.read);
}

/* ---- the call log ---- */

struct call_log {
    uint64_t start_ns;
};

static nrpc_code log_begin(void *ctx, void *state, nrpc_call *c, nrpc_status *st)
{
    (void) ctx;
    (void) c;
    (void) st;
    ((struct call_log *) state)->start_ns = clock_mono_ns();
    return NRPC_OK;
}

static bool changes_something(const char *path)
{
    static const char *const verbs[] = { "/Create", "/Update", "/Delete", "/Reset", "/Run", "/Stream", "/Submit",
                                         "/Cancel", "/Direct", "/Fork" };
    const char *method = strrchr(path, '/');
    for (size_t i = 0; method != NULL && i < ARRAY_SIZE(verbs); i++)
        if (strncmp(method, verbs[i], strlen(verbs[i])) == 0)
            return true;
    return false;
}

static void log_end(void *ctx, void *state, const nrpc_call *c, const nrpc_status *st)
{
    struct service *s = ctx;
    uint64_t took_us = (clock_mono_ns() - ((struct call_log *) state)->start_ns) / 1000;
    struct service_loop *l = service_loop_of(s, nrpc_call_loop(c));
    /* One writer each: a plain add, no locked instruction. */
    atomic_store_explicit(&l->calls, atomic_load_explicit(&l->calls, memory_order_relaxed) + 1, memory_order_relaxed);
    atomic_store_explicit(&l->call_us, atomic_load_explicit(&l->call_us, memory_order_relaxed) + took_us,
                          memory_order_relaxed);
    const char *path = nrpc_call_path(c);
    bool wanted = s->o.log_calls == SERVICE_LOG_ALL || st->code != NRPC_OK || took_us >= SLOW_CALL_US ||
                  (s->o.log_calls == SERVICE_LOG_CHANGES && changes_something(path));
    if (!wanted || !log_enabled(LOG_LEVEL_INFO))
        return;
    nrpc_slice id = { 0 };
    char request_id[129] = "";
    if (nrpc_metadata_get(nrpc_call_headers_in(c), "x-request-id", 0, &id) && id.size < sizeof request_id)
        memcpy(request_id, id.data, id.size);
    log_event(LOG_LEVEL_INFO, "call", LOG_S("method", path), LOG_S("code", nrpc_code_name(st->code)),
              LOG_S("message", st->code == NRPC_OK ? "" : st->message), LOG_D("duration_ms", (double) took_us / 1000),
              LOG_S("request_id", request_id), LOG_S("peer", nrpc_call_peer(c)));
}

/* ---- the object ---- */

/* What is not offered yet says so itself; an empty entry's answer would name only the method. */
static void handle_not_available(nrpc_call *c, void *ctx, nrpc_msg *m)
{
    (void) ctx;
    nrpc_msg_free(m);
    error_reply(c, ERROR_METHOD_NOT_AVAILABLE, "%s is not offered by this server yet", nrpc_call_path(c));
}

static void fill_handlers(novelengine_v1_novel_engine_handlers *h)
{
    const nrpc_service *d = &novelengine_v1_novel_engine_service;
    for (size_t i = 0; i < d->n_methods; i++)
        if (d->methods[i].kind == NRPC_UNARY || d->methods[i].kind == NRPC_SERVER_STREAM)
            h->all[i].request = handle_not_available;
    h->get_health.request = handle_get_health;
    h->get_service_info.request = handle_get_service_info;
    h->get_system_status.request = handle_get_system_status;
    h->get_policy.request = handle_get_policy;
    h->list_characters.request = handle_list_characters;
    h->get_character.request = handle_get_character;
    h->create_character.request = handle_create_character;
    h->update_character.request = handle_update_character;
    h->delete_character.request = handle_delete_character;
    h->reset_character.request = handle_reset_character;
    const nrpc_handler waiting = { .on_writable = watch_on_writable, .on_end = watch_on_end };
    h->run_simulation = h->stream_simulation = h->watch_simulation = waiting;
    h->run_simulation.request = handle_run_simulation;
    h->stream_simulation.request = handle_stream_simulation;
    h->watch_simulation.request = handle_watch_simulation;
    h->submit_simulation.request = handle_submit_simulation;
    h->get_simulation.request = handle_get_simulation;
    h->list_simulations.request = handle_list_simulations;
    h->list_events.request = handle_list_events;
    h->cancel_simulation.request = handle_cancel_simulation;
    h->delete_simulation.request = handle_delete_simulation;
    h->fork_simulation.request = handle_fork_simulation;
    h->compare_simulations.request = handle_compare_simulations;
    h->explain_event.request = handle_explain_event;
    h->explain_absence.request = handle_explain_absence;
    h->get_beliefs.request = handle_get_beliefs;
    h->verify_simulation.request = handle_verify_simulation;
    h->direct_simulation.stream = &direct_events;
    h->create_campaign.request = handle_create_campaign;
    h->get_campaign.request = handle_get_campaign;
    h->list_campaigns.request = handle_list_campaigns;
    h->update_campaign.request = handle_update_campaign;
    h->delete_campaign.request = handle_delete_campaign;
    h->get_manuscript.request = handle_get_manuscript;
    h->get_story.request = handle_get_story;
    h->tell_story.request = handle_tell_story;
    h->export_simulation =
        (nrpc_handler) { .request = handle_export_simulation, .on_writable = export_on_writable, .on_end = export_on_end };
}

int service_new(const struct service_options *o, struct service **out_service)
{
    struct service *s = alloc_zero(1, sizeof *s);
    if (s == NULL)
        return NRPC_E_NOMEM;
    s->o = *o;
    s->start_ns = clock_mono_ns();
    list_init(&s->changes);
    size_t n = nrpc_server_loops(o->server);
    s->loops = alloc_zero(n, sizeof *s->loops);
    if (s->loops == NULL) {
        alloc_free(s);
        return NRPC_E_NOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        s->loops[i].loop = nrpc_server_loop(o->server, i);
        s->loops[i].catalogue = catalogue_ref(o->current);
        list_init(&s->loops[i].directing);
    }
    s->n_loops = n;
    catalogue_ref(s->o.shipped);
    catalogue_ref(s->o.current);
    novelengine_v1_novel_engine_handlers handlers = { 0 };
    fill_handlers(&handlers);
    const nrpc_interceptor logger = { "call_log", s, sizeof(struct call_log), log_begin, NULL, log_end };
    int r = novelengine_v1_novel_engine_register(o->server, &handlers, s);
    if (r == 0)
        r = invalidation_open(o->server, &s->invalidation);
    if (r == 0)
        r = nrpc_server_on_drain(o->server, direct_on_drain, s);
    if (r == 0)
        r = nrpc_server_intercept(o->server, &logger);
    if (r < 0) {
        service_free(s);
        return r;
    }
    *out_service = s;
    return 0;
}

void service_halt(struct service *s)
{
    atomic_store(&s->halted, true);
    invalidation_halt(s->invalidation);
}

void service_free(struct service *s)
{
    if (s == NULL)
        return;
    service_drop_changes(s);
    invalidation_close(s->invalidation);
    for (size_t i = 0; i < s->n_loops; i++)
        catalogue_unref(s->loops[i].catalogue);
    catalogue_unref(s->o.shipped);
    catalogue_unref(s->o.current);
    alloc_free(s->loops);
    alloc_free(s);
}
