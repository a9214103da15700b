/* grpc.health.v1: Check, List and Watch.  Every loop has its own table, changed by tasks, so that a
 * check takes no lock; a change reaches each loop in order. */
#include <string.h>

#include "grpc/health/v1/health.pb-c.h"
#include "rpc/base/alloc.h"
#include "rpc/base/log.h"
#include "rpc/server/inner.h"

typedef Grpc__Health__V1__HealthCheckRequest check_request;
typedef Grpc__Health__V1__HealthCheckResponse check_response;
#define SERVING         GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING
#define NOT_SERVING     GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__NOT_SERVING
#define SERVICE_UNKNOWN GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVICE_UNKNOWN

enum { LIST_MAX = 100 }; /* gRFC A90 */

struct health_loop {
    struct map services; /* name -> its status as a pointer-sized number, never 0 */
    struct list watchers;
    bool draining;
};
struct watcher {
    struct list link;
    nrpc_call *call;
    char *service; /* in the call's arena */
    int last;      /* what it was told; 0: nothing yet */
};
struct change {
    nrpc_task task;
    struct server_loop *sl;
    bool serving;
    char service[];
};

static int status_of(const struct health_loop *h, const char *service)
{
    return (int) (intptr_t) map_get(&h->services, service, strlen(service));
}

static void watcher_tell(struct watcher *w, const struct health_loop *h)
{
    int status = status_of(h, w->service);
    if (status == 0)
        status = SERVICE_UNKNOWN;
    if (status == w->last)
        return;
    check_response answer = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
    answer.status = status;
    /* A full queue is tried again from on_writable; an older state in between is skipped.  Nothing
     * tries again when there was no memory, so the watcher must not go on to believe the old one.
     */
    int r = nrpc_call_send(w->call, &answer.base);
    if (r >= 0)
        w->last = status;
    else if (r == NRPC_E_NOMEM)
        nrpc_call_fail(w->call, NRPC_RESOURCE_EXHAUSTED, "out of memory");
}

static int set(struct health_loop *h, const char *service, bool serving)
{
    if (h->draining)
        return 0;
    intptr_t status = serving ? SERVING : NOT_SERVING;
    if (map_set(&h->services, service, strlen(service), (void *) status, NULL) < 0)
        return NRPC_E_NOMEM;
    LIST_EACH(&h->watchers, link, next)
    watcher_tell(LIST_ENTRY(link, struct watcher, link), h);
    return 0;
}

static void on_change(nrpc_task *t, nrpc_loop *loop)
{
    (void) loop;
    struct change *change = CONTAINER_OF(t, struct change, task);
    if (change->sl->health != NULL && set(change->sl->health, change->service, change->serving) < 0)
        log_event(LOG_LEVEL_WARN, "health_change_lost", LOG_S("service", change->service));
    alloc_free(change);
}

void nrpc_server_set_serving(nrpc_server *s, const char *service, bool serving)
{
    size_t size = strlen(service) + 1;
    for (size_t i = 0; i < s->n_loops && s->has_health; i++) {
        struct server_loop *sl = &s->loops[i];
        struct change *change = alloc_get(sizeof *change + size);
        if (change == NULL) {
            log_event(LOG_LEVEL_WARN, "health_change_lost", LOG_S("service", service));
            continue;
        }
        change->task = (nrpc_task){ .run = on_change };
        change->sl = sl;
        change->serving = serving;
        memcpy(change->service, service, size);
        nrpc_loop_post(sl->loop, &change->task);
    }
}

static struct health_loop *health_of(nrpc_call *c, void *service_ctx)
{
    return server_loop_find(service_ctx, nrpc_call_loop(c))->health;
}

static void check(nrpc_call *c, void *service_ctx, nrpc_msg *request)
{
    const check_request *q = (const check_request *) nrpc_msg_body(request);
    int status = status_of(health_of(c, service_ctx), q->service);
    if (status == 0) {
        nrpc_call_fail(c, NRPC_NOT_FOUND, "unknown service %.200s", q->service);
    } else {
        check_response answer = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
        answer.status = status;
        nrpc_call_reply(c, &answer.base);
    }
    nrpc_msg_free(request);
}

static void list(nrpc_call *c, void *service_ctx, nrpc_msg *request)
{
    typedef Grpc__Health__V1__HealthListResponse__StatusesEntry entry;
    const struct health_loop *h = health_of(c, service_ctx);
    nrpc_msg_free(request);
    size_t n = h->services.count;
    if (n > LIST_MAX) {
        nrpc_call_fail(c, NRPC_RESOURCE_EXHAUSTED, "more than %d services: use Check", LIST_MAX);
        return;
    }
    entry entries[LIST_MAX], *pointers[LIST_MAX];
    check_response states[LIST_MAX];
    for (size_t i = 0; i < n; i++) {
        states[i] = (check_response) GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
        states[i].status = (int) (intptr_t) h->services.entries[i].value;
        entries[i] = (entry) GRPC__HEALTH__V1__HEALTH_LIST_RESPONSE__STATUSES_ENTRY__INIT;
        entries[i].key = h->services.entries[i].key;
        entries[i].value = &states[i];
        pointers[i] = &entries[i];
    }
    Grpc__Health__V1__HealthListResponse answer = GRPC__HEALTH__V1__HEALTH_LIST_RESPONSE__INIT;
    answer.n_statuses = n;
    answer.statuses = pointers;
    nrpc_call_reply(c, &answer.base);
}

static void watch(nrpc_call *c, void *service_ctx, nrpc_msg *request)
{
    const check_request *q = (const check_request *) nrpc_msg_body(request);
    struct health_loop *h = health_of(c, service_ctx);
    size_t size = strlen(q->service) + 1;
    struct watcher *w = nrpc_call_alloc(c, sizeof *w);
    char *service = nrpc_call_alloc(c, size);
    if (w == NULL || service == NULL) {
        nrpc_call_fail(c, NRPC_RESOURCE_EXHAUSTED, "out of memory");
    } else {
        memcpy(service, q->service, size);
        w->call = c;
        w->service = service;
        list_add_tail(&h->watchers, &w->link);
        nrpc_call_set_state(c, w);
        watcher_tell(w, h);
        if (h->draining)
            nrpc_call_fail(c, NRPC_UNAVAILABLE, "the server is shutting down");
    }
    nrpc_msg_free(request);
}

static void on_watch_writable(nrpc_call *c, void *state)
{
    struct watcher *w = state;
    watcher_tell(w, server_loop_find(c->service_ctx, nrpc_call_loop(c))->health);
}

static void on_watch_end(nrpc_call *c, void *state, const nrpc_status *st)
{
    (void) c;
    (void) st;
    struct watcher *w = state;
    if (w != NULL)
        list_remove(&w->link);
}

static const nrpc_method methods[] = {
    { "Check", "/grpc.health.v1.Health/Check", NRPC_UNARY, true,
      &grpc__health__v1__health_check_request__descriptor,
      &grpc__health__v1__health_check_response__descriptor },
    { "List", "/grpc.health.v1.Health/List", NRPC_UNARY, true,
      &grpc__health__v1__health_list_request__descriptor,
      &grpc__health__v1__health_list_response__descriptor },
    { "Watch", "/grpc.health.v1.Health/Watch", NRPC_SERVER_STREAM, true,
      &grpc__health__v1__health_check_request__descriptor,
      &grpc__health__v1__health_check_response__descriptor },
};
static const nrpc_service service = { "grpc.health.v1.Health", methods, ARRAY_SIZE(methods) };
static const nrpc_handler handlers[] = {
    { .request = check },
    { .request = list },
    { .request = watch, .on_writable = on_watch_writable, .on_end = on_watch_end },
};

int nrpc_server_add_health(nrpc_server *s)
{
    if (s->started || s->has_health)
        return NRPC_E_STATE;
    for (size_t i = 0; i < s->n_loops; i++) {
        struct health_loop *h = s->loops[i].health = alloc_zero(1, sizeof *h);
        if (h == NULL)
            return NRPC_E_NOMEM;
        list_init(&h->watchers);
        if (set(h, "", true) < 0)
            return NRPC_E_NOMEM;
    }
    int r = nrpc_server_add_service(s, &service, handlers, ARRAY_SIZE(handlers), s);
    s->has_health = r == 0;
    return r;
}

/* Services of the server that nobody spoke about serve as long as the server does. */
int health_start(nrpc_server *s)
{
    for (size_t i = 0; i < s->n_loops && s->has_health; i++)
        for (size_t j = 0; j < s->services.count; j++) {
            struct health_loop *h = s->loops[i].health;
            const char *name = s->services.entries[j].key;
            if (status_of(h, name) == 0 && set(h, name, true) < 0)
                return NRPC_E_NOMEM;
        }
    return 0;
}

void health_start_drain(struct server_loop *sl)
{
    struct health_loop *h = sl->health;
    if (h == NULL)
        return;
    for (size_t i = 0; i < h->services.count; i++)
        h->services.entries[i].value = (void *) (intptr_t) NOT_SERVING;
    h->draining = true;
    LIST_EACH(&h->watchers, link, next)
    {
        struct watcher *w = LIST_ENTRY(link, struct watcher, link);
        watcher_tell(w, h);
        nrpc_call_fail(w->call, NRPC_UNAVAILABLE, "the server is shutting down");
    }
}

void health_free(struct server_loop *sl)
{
    if (sl->health == NULL)
        return;
    map_done(&sl->health->services);
    alloc_free(sl->health);
    sl->health = NULL;
}
