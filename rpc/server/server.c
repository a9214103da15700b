/* The server object: services, listeners, threads, start and drain. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "rpc/base/alloc.h"
#include "rpc/base/clock.h"
#include "rpc/base/log.h"
#include "rpc/server/inner.h"

enum { CUT_WAIT_MS = 2000 };

void nrpc_server_defaults(nrpc_server_options *o)
{
    *o = (nrpc_server_options){
        .max_connections = 10000,
        .max_streams = 100,
        .stream_window = 256 << 10,
        .connection_window = 1 << 20,
        .max_message_bytes = 4 << 20,
        .max_send_bytes = 64 << 20,
        .max_metadata_bytes = 16 << 10,
        .max_metadata_fields = 100,
        .send_high_bytes = 256 << 10,
        .send_low_bytes = 64 << 10,
        .handshake_ms = 10000,
        .idle_ms = 300000,
        .stall_ms = 30000,
        .keepalive_ms = 7200000,
        .keepalive_timeout_ms = 20000,
        .keepalive_min_ms = 300000,
        .max_age_ms = 1800000,
        .max_age_grace_ms = 30000,
    };
}

static uint32_t or_default(uint32_t value, uint32_t otherwise)
{
    return value == 0 ? otherwise : value;
}

static uint32_t or_off(uint32_t value)
{
    return value == UINT32_MAX ? 0 : value;
}

static void options_fill(nrpc_server_options *o)
{
    nrpc_server_options d;
    nrpc_server_defaults(&d);
    o->max_connections = or_default(o->max_connections, d.max_connections);
    o->max_streams = or_default(o->max_streams, d.max_streams);
    o->stream_window = or_default(o->stream_window, d.stream_window);
    o->connection_window = or_default(o->connection_window, d.connection_window);
    o->max_message_bytes = or_default(o->max_message_bytes, d.max_message_bytes);
    o->max_send_bytes = or_default(o->max_send_bytes, d.max_send_bytes);
    o->max_metadata_bytes = or_default(o->max_metadata_bytes, d.max_metadata_bytes);
    o->max_metadata_fields = or_default(o->max_metadata_fields, d.max_metadata_fields);
    o->send_high_bytes = or_default(o->send_high_bytes, d.send_high_bytes);
    o->send_low_bytes = or_default(o->send_low_bytes, d.send_low_bytes);
    o->handshake_ms = or_default(o->handshake_ms, d.handshake_ms);
    o->idle_ms = or_default(o->idle_ms, d.idle_ms);
    o->stall_ms = or_default(o->stall_ms, d.stall_ms);
    o->keepalive_ms = or_default(o->keepalive_ms, d.keepalive_ms);
    o->keepalive_timeout_ms = or_default(o->keepalive_timeout_ms, d.keepalive_timeout_ms);
    o->keepalive_min_ms = or_default(o->keepalive_min_ms, d.keepalive_min_ms);
    o->max_age_ms = or_default(o->max_age_ms, d.max_age_ms);
    o->max_age_grace_ms = or_default(o->max_age_grace_ms, d.max_age_grace_ms);
    if (o->loops == 0) {
        long cpus = sysconf(_SC_NPROCESSORS_ONLN);
        o->loops = cpus < 1 ? 1 : cpus > 256 ? 256 : (uint16_t) cpus;
    }
}

static void derive_limits(nrpc_server *s)
{
    const nrpc_server_options *o = &s->options;
    s->limits = (struct call_limits){
        .max_message_bytes = o->max_message_bytes,
        .max_send_bytes = o->max_send_bytes,
        .send_high_bytes = o->send_high_bytes,
        .send_low_bytes = o->send_low_bytes,
        .max_metadata_bytes = o->max_metadata_bytes,
        .max_metadata_fields = o->max_metadata_fields,
        .compression = o->compression,
    };
    s->conn_options = (struct h2_conn_options) {
        .h2 = {
            .role = H2_SERVER,
            .max_streams = o->max_streams,
            .stream_window = o->stream_window,
            .connection_window = o->connection_window,
            .max_field_bytes = o->max_metadata_bytes,
            .max_fields = o->max_metadata_fields,
            .ping_min_ms = or_off(o->keepalive_min_ms),
            .ping_permit_idle = o->keepalive_permit_idle,
        },
        .handshake_ms = o->handshake_ms,
        .idle_ms = o->idle_ms,
        .stall_ms = o->stall_ms,
        .keepalive_ms = or_off(o->keepalive_ms),
        .keepalive_timeout_ms = o->keepalive_timeout_ms,
        .keepalive_idle = true,
        .age_ms = or_off(o->max_age_ms),
        .age_grace_ms = or_off(o->max_age_grace_ms),
    };
}

int nrpc_server_new(const nrpc_server_options *o, nrpc_server **out_server)
{
    nrpc_server_options options = { 0 };
    if (o != NULL)
        options = *o;
    options_fill(&options);
    if (options.compression > NRPC_DEFLATE || options.send_low_bytes > options.send_high_bytes ||
        options.stream_window > INT32_MAX || options.connection_window > INT32_MAX)
        return NRPC_E_INVAL;
    nrpc_server *s = alloc_zero(1, sizeof *s);
    if (s == NULL)
        return NRPC_E_NOMEM;
    s->options = options;
    s->channelz.id = channelz_new_id();
    s->channelz.created_wall_ns = clock_wall_ns();
    derive_limits(s);
    s->loops = alloc_zero(options.loops, sizeof *s->loops);
    s->loop_list = alloc_zero(options.loops, sizeof *s->loop_list);
    if (s->loops == NULL || s->loop_list == NULL) {
        nrpc_server_free(s);
        return NRPC_E_NOMEM;
    }
    for (; s->n_loops < options.loops; s->n_loops++) {
        struct server_loop *sl = &s->loops[s->n_loops];
        sl->server = s;
        list_init(&sl->conns);
        int r = nrpc_loop_new(&sl->loop);
        if (r < 0) {
            nrpc_server_free(s);
            return r;
        }
        s->loop_list[s->n_loops] = sl->loop;
    }
    *out_server = s;
    return 0;
}

static bool shape_fits(const nrpc_method *m, const nrpc_handler *h)
{
    if (h->request != NULL && h->stream != NULL)
        return false;
    return h->request == NULL || m->kind == NRPC_UNARY || m->kind == NRPC_SERVER_STREAM;
}

static int add_method(nrpc_server *s, const nrpc_method *m, const nrpc_handler *h,
                      void *service_ctx)
{
    struct server_method *sm = alloc_zero(1, sizeof *sm);
    if (sm == NULL)
        return NRPC_E_NOMEM;
    *sm = (struct server_method){ m, *h, service_ctx };
    void *replaced = NULL;
    int r = map_set(&s->methods, m->path, strlen(m->path), sm, &replaced);
    if (r < 0) {
        alloc_free(sm);
        return NRPC_E_NOMEM;
    }
    alloc_free(replaced);
    return 0;
}

int nrpc_server_add_service(nrpc_server *s, const nrpc_service *service,
                            const nrpc_handler *handlers, size_t n, void *service_ctx)
{
    if (s->started)
        return NRPC_E_STATE;
    if (n != service->n_methods ||
        map_get(&s->services, service->name, strlen(service->name)) != NULL)
        return NRPC_E_INVAL;
    for (size_t i = 0; i < n; i++)
        if (!shape_fits(&service->methods[i], &handlers[i]))
            return NRPC_E_INVAL;
    for (size_t i = 0; i < n; i++) {
        int r = add_method(s, &service->methods[i], &handlers[i], service_ctx);
        if (r < 0)
            return r;
    }
    return map_set(&s->services, service->name, strlen(service->name), (void *) (uintptr_t) service,
                   NULL) < 0
               ? NRPC_E_NOMEM
               : 0;
}

int nrpc_server_configure(nrpc_server *s, const nrpc_method_config *list, size_t n)
{
    if (s->started || s->config != NULL)
        return NRPC_E_STATE;
    return config_table_new(list, n, &s->limits, true, &s->config);
}

/* Once, so that no call looks for its own. */
static void settings_find(nrpc_server *s)
{
    for (size_t i = 0; s->config != NULL && i < s->methods.count; i++) {
        struct server_method *m = s->methods.entries[i].value;
        m->settings = config_table_find(s->config, m->method->path);
    }
}

int nrpc_server_intercept(nrpc_server *s, const nrpc_interceptor *i)
{
    if (s->started)
        return NRPC_E_STATE;
    if (s->interceptors.count == CALL_INTERCEPTORS_MAX)
        return NRPC_E_FULL;
    s->interceptors.list[s->interceptors.count++] = *i;
    return 0;
}

static int listen_on(nrpc_server *s, const char *address, nrpc_tls *t)
{
    if (s->started)
        return NRPC_E_STATE;
    if (s->n_listeners == LISTENERS_MAX)
        return NRPC_E_FULL;
    struct sock_tls *tls = &s->tls[s->n_listeners];
    *tls = (struct sock_tls){ t, "h2", NULL, s->options.handshake_ms };
    const struct listener_options o = {
        .address = address,
        .loops = s->loop_list,
        .n_loops = s->n_loops,
        .max_connections = s->options.max_connections,
        .on_accept = server_on_accept,
        .ctx = s,
        .tls = t == NULL ? NULL : tls,
    };
    size_t n = 0;
    int r = listener_open(&o, &s->listeners[s->n_listeners], LISTENERS_MAX - s->n_listeners, &n);
    if (r < 0)
        return r;
    if (t != NULL)
        nrpc_tls_ref(t); /* the slot of the first is that of them all */
    for (; n > 0; n--)
        s->channelz.listener_ids[s->n_listeners++] = channelz_new_id();
    return 0;
}

int nrpc_server_on_drain(nrpc_server *s, void (*fn)(void *ctx, nrpc_loop *loop), void *ctx)
{
    if (s->started)
        return NRPC_E_STATE;
    if (s->n_drain_hooks == DRAIN_HOOKS_MAX)
        return NRPC_E_FULL;
    s->drain_hooks[s->n_drain_hooks++] = (struct drain_hook){ fn, ctx };
    return 0;
}

int nrpc_server_listen(nrpc_server *s, const char *address)
{
    return listen_on(s, address, NULL);
}

int nrpc_server_listen_tls(nrpc_server *s, const char *address, nrpc_tls *t)
{
    return t == NULL || !tls_is_server(t) ? NRPC_E_INVAL : listen_on(s, address, t);
}

const char *nrpc_server_address(const nrpc_server *s, size_t i)
{
    return i < s->n_listeners ? listener_address(s->listeners[i]) : NULL;
}

size_t nrpc_server_loops(const nrpc_server *s)
{
    return s->n_loops;
}

nrpc_loop *nrpc_server_loop(const nrpc_server *s, size_t i)
{
    return i < s->n_loops ? s->loops[i].loop : NULL;
}

struct server_loop *server_loop_find(nrpc_server *s, nrpc_loop *loop)
{
    for (size_t i = 0; i < s->n_loops; i++)
        if (s->loops[i].loop == loop)
            return &s->loops[i];
    return NULL;
}

/* ---- threads
 * ------------------------------------------------------------------------------------- */
static void *thread_main(void *arg)
{
    struct server_loop *sl = arg;
    int r = nrpc_loop_run(sl->loop);
    if (r < 0)
        log_event(LOG_LEVEL_ERROR, "loop_failed", LOG_S("error", nrpc_strerror(r)));
    return NULL;
}

static void join_all(nrpc_server *s)
{
    for (size_t i = 0; i < s->n_loops; i++) {
        if (s->loops[i].has_thread)
            pthread_join(s->loops[i].thread, NULL);
        s->loops[i].has_thread = false;
    }
}

int nrpc_server_start(nrpc_server *s)
{
    if (s->started)
        return NRPC_E_STATE;
    int ready = health_start(s);
    if (ready == 0)
        ready = reflection_start(s);
    if (ready < 0)
        return ready;
    settings_find(s);
    s->started = true;
    atomic_store(&s->undrained, s->n_loops);
    for (size_t i = 0; i < s->n_loops; i++) {
        struct server_loop *sl = &s->loops[i];
        int r = pthread_create(&sl->thread, NULL, thread_main, sl);
        if (r != 0) {
            for (size_t j = 0; j < i; j++)
                nrpc_loop_stop(s->loops[j].loop);
            join_all(s);
            errno = r;
            return NRPC_E_SYS;
        }
        sl->has_thread = true;
    }
    return 0;
}

void nrpc_server_wait(nrpc_server *s)
{
    join_all(s);
}

/* ---- drain
 * --------------------------------------------------------------------------------------- */
/* The loops end together, so that what one still posts to another is received. */
void server_loop_check_drained(struct server_loop *sl)
{
    nrpc_server *s = sl->server;
    if (!sl->told || sl->drained || !list_empty(&sl->conns) || sl->gathers > 0)
        return;
    sl->drained = true;
    timer_stop(&sl->grace);
    if (atomic_fetch_sub(&s->undrained, 1) != 1)
        return;
    for (size_t i = 0; i < s->n_loops; i++)
        nrpc_loop_stop(s->loops[i].loop);
}

static void on_grace_over(struct timer *t)
{
    struct server_loop *sl = CONTAINER_OF(t, struct server_loop, grace);
    bool again = sl->cancelled;
    sl->cancelled = true;
    LIST_EACH(&sl->conns, link, next)
    {
        struct server_conn *conn = LIST_ENTRY(link, struct server_conn, link);
        if (again)
            h2_conn_close(conn->h2);
        else
            server_conn_cut(conn, "the server is shutting down");
    }
    if (!again)
        timer_start(&sl->grace, CUT_WAIT_MS);
}

static void on_health_told(struct loop_later *later)
{
    struct server_loop *sl = CONTAINER_OF(later, struct server_loop, goaways);
    LIST_EACH(&sl->conns, link, next)
    server_conn_drain(LIST_ENTRY(link, struct server_conn, link));
    sl->told = true;
    server_loop_check_drained(sl);
}

static void on_stop(nrpc_task *t, nrpc_loop *loop)
{
    struct server_loop *sl = CONTAINER_OF(t, struct server_loop, stop_task);
    nrpc_server *s = sl->server;
    if (sl == &s->loops[0])
        for (size_t i = 0; i < s->n_listeners; i++)
            listener_stop(s->listeners[i]);
    sl->draining = true;
    timer_init(&sl->grace, loop, on_grace_over);
    timer_start(&sl->grace, sl->grace_ms);
    health_start_drain(sl);
    for (size_t i = 0; i < s->n_drain_hooks; i++)
        s->drain_hooks[i].fn(s->drain_hooks[i].ctx, loop);
    /* At the end of this turn: what watchers of health are told leaves before a GOAWAY, which would
     * overtake it in one flush. */
    sl->goaways.fn = on_health_told;
    loop_defer(loop, &sl->goaways);
}

void nrpc_server_stop(nrpc_server *s, uint32_t grace_ms)
{
    if (!s->started || atomic_exchange(&s->stopping, true))
        return;
    for (size_t i = 0; i < s->n_loops; i++) {
        struct server_loop *sl = &s->loops[i];
        sl->grace_ms = grace_ms;
        sl->stop_task.run = on_stop;
        nrpc_loop_post(sl->loop, &sl->stop_task);
    }
}

void nrpc_server_free(nrpc_server *s)
{
    if (s == NULL)
        return;
    join_all(s);
    for (size_t i = 0; i < s->n_listeners; i++)
        listener_free(s->listeners[i]);
    for (size_t i = 0; i < s->n_loops; i++) {
        nrpc_loop_free(s->loops[i].loop);
        health_free(&s->loops[i]);
    }
    for (size_t i = 0; i < s->n_listeners; i++)
        nrpc_tls_unref(s->tls[i].context);
    for (size_t i = 0; i < s->methods.count; i++)
        alloc_free(s->methods.entries[i].value);
    map_done(&s->methods);
    reflection_free(s->reflection);
    config_table_free(s->config);
    map_done(&s->services);
    alloc_free(s->loop_list);
    alloc_free(s->loops);
    alloc_free(s);
}
