#include "gateway/gateway.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "gateway/access_log.h"
#include "gateway/coherence.h"
#include "gateway/conn.h"
#include "gateway/encode.h"
#include "gateway/exchange.h"
#include "gateway/http2.h"
#include "gateway/pass.h"
#include "gateway/reflect.h"
#include "gateway/rules_file.h"
#include "novel_engine_documented.h"
#include "rpc/base/alloc.h"
#include "rpc/base/clock.h"
#include "rpc/base/log.h"
#include "rpc/grpc/compress.h"

/* ---- loading --------------------------------------------------------------------------- */

static int read_whole(const char *path, size_t bytes_max, struct buf *out, char error[static 512])
{
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        snprintf(error, 512, "cannot open %s: %m", path);
        return -1;
    }
    char chunk[16384];
    for (size_t n; (n = fread(chunk, 1, sizeof chunk, f)) > 0 && out->size <= bytes_max;)
        buf_put(out, chunk, n);
    bool bad = ferror(f) || out->failed || out->size > bytes_max;
    fclose(f);
    if (bad)
        snprintf(error, 512, "cannot read %s, or it is too large", path);
    return bad ? -1 : 0;
}

static char *join_backends(const struct option_list *list)
{
    struct buf b = { 0 };
    for (size_t i = 0; i < list->count; i++) {
        if (i > 0)
            buf_putc(&b, ',');
        buf_puts(&b, list->items[i]);
    }
    char *text = b.failed ? NULL : alloc_strndup((const char *) b.data, b.size);
    buf_done(&b);
    return text;
}

void gateway_channel_options(const struct gateway *g, nrpc_channel_options *o)
{
    /* People wait behind a gateway: a server that is back is noticed within about a second, however
     * long it was away.  One connection attempt a second and loop costs it nothing. */
    enum { BACKOFF_MAX_MS = 1000 };
    nrpc_channel_defaults(o);
    o->target = g->target;
    o->backoff_max_ms = BACKOFF_MAX_MS;
    if (g->n_loops > 0) { /* a share of a loop, rounded up */
        uint64_t share = (g->settings.max_waiting + g->n_loops - 1) / g->n_loops;
        o->max_pending_calls = (uint32_t) share;
    }
    o->balance = g->settings.balance != NULL && strcmp(g->settings.balance, "least-calls") == 0
                     ? NRPC_LEAST_CALLS
                 : g->settings.balance != NULL && strcmp(g->settings.balance, "first") == 0
                     ? NRPC_PICK_FIRST
                     : NRPC_ROUND_ROBIN;
    /* With one server there is nobody to turn to, so its answers are better than none. */
    const char *health = g->settings.health_check;
    bool several = g->settings.backend.count > 1;
    if (health != NULL && (strcmp(health, "on") == 0 || (strcmp(health, "auto") == 0 && several)))
        o->health_service = "";
    if (several) {
        o->outlier.consecutive_failures = (uint32_t) g->settings.eject_after;
        o->outlier.max_percent = 50;
    }
    o->user_agent = "novel-gateway/" NOVEL_VERSION;
    o->tls = g->backend_tls;
    const char *name = g->settings.backend_name;
    o->authority = name == NULL || *name == '\0' ? NULL : name;
}

/* Blocks: reads a file, or asks the server. */
static int read_table(const struct gateway *g, struct table **out_table, char error[static 512])
{
    enum { REFLECTION_MS = 10000, SET_BYTES_MAX = 64 << 20 };
    const char *from = g->settings.descriptors;
    if (from == NULL || *from == '\0')
        from = g->settings.descriptor_set;
    const char *rules_path = g->settings.http_rules;
    struct table_source source = { .set = novel_engine_documented,
                                   .set_size = novel_engine_documented_size,
                                   .prefix = g->settings.prefix };
    struct buf set = { 0 }, rules = { 0 };
    nrpc_channel_options o;
    int r = 0;
    gateway_channel_options(g, &o);
    if (from != NULL && strcmp(from, "reflection") == 0)
        r = reflect_fetch(&o, REFLECTION_MS, &set, error);
    else if (from != NULL && *from != '\0')
        r = read_whole(from, SET_BYTES_MAX, &set, error);
    if (r == 0 && rules_path != NULL && *rules_path != '\0')
        r = read_whole(rules_path, RULES_FILE_MAX, &rules, error);
    if (set.size > 0) {
        source.set = set.data;
        source.set_size = set.size;
    }
    source.rules = rules.data;
    source.rules_size = rules.size;
    if (r == 0)
        r = table_new(&source, out_table, error);
    buf_done(&set);
    buf_done(&rules);
    return r;
}

int gateway_load(struct gateway *g, char error[static 512])
{
    g->target = join_backends(&g->settings.backend);
    if (pass_check(&g->settings.pass_metadata, error) < 0)
        return -1;
    if (g->settings.rate_limit > 0 && (g->limit = alloc_zero(1, sizeof *g->limit)) != NULL &&
        limit_init(g->limit, (uint32_t) g->settings.rate_limit, (uint32_t) g->settings.rate_burst) <
            0) {
        alloc_free(g->limit);
        g->limit = NULL;
    }
    if (g->target == NULL || (g->settings.rate_limit > 0 && g->limit == NULL)) {
        snprintf(error, 512, "out of memory");
        return -1;
    }
    return read_table(g, &g->table, error) < 0 ? -1 : 0;
}

void gateway_unload(struct gateway *g)
{
    table_unref(g->table);
    alloc_free(g->target);
    if (g->limit != NULL)
        limit_done(g->limit);
    alloc_free(g->limit);
    g->limit = NULL;
    g->table = NULL;
    g->target = NULL;
}

/* ---- another table while requests are served ------------------------------------------- */

struct swap_task {
    nrpc_task task;
    struct gateway_loop *gl;
    struct table *table; /* one reference */
};

static void on_swap(nrpc_task *t, nrpc_loop *loop)
{
    struct swap_task *s = CONTAINER_OF(t, struct swap_task, task);
    struct table_view *v = table_view_new(s->table);
    (void) loop;
    if (v == NULL) {
        log_event(LOG_LEVEL_ERROR, "reload_failed", LOG_S("reason", "out of memory"));
        table_unref(s->table);
    } else {
        /* Kept answers name routes of the old table; what is asked of it now is not kept either. */
        cache_forget(&s->gl->cache, NULL, 0, true);
        table_view_retire(s->gl->view);
        s->gl->view = v;
        memo_clear(&s->gl->memo); /* the old table's types may be others' by then */
        cache_forget(&s->gl->cache, NULL, 0, false); /* it was made by the other table */
    }
    alloc_free(s);
}

int gateway_reload(struct gateway *g, char error[static 512])
{
    struct table *table;
    if (read_table(g, &table, error) < 0)
        return -1;
    for (size_t i = 0; i < g->n_loops; i++) {
        struct swap_task *s = alloc_zero(1, sizeof *s);
        if (s == NULL) {
            snprintf(error, 512, "out of memory");
            table_unref(table);
            return -1;
        }
        *s = (struct swap_task){ { .run = on_swap }, &g->loops[i], table_ref(table) };
        nrpc_loop_post(g->loops[i].loop, &s->task);
    }
    table_unref(g->table);
    g->table = table;
    return 0;
}

enum { CHANNEL_CLOSE_MS = 2000 }; /* for a backend that does not even take our resets */

/* ---- a loop's own things --------------------------------------------------------------- */

struct start_task {
    nrpc_task task;
    struct gateway_loop *gl;
};

/* A call that changes nothing may be made again, at another server.  With one server there is no
 * other, and its absence is told at once. */
static void configure_retries(const struct gateway_loop *gl)
{
    static const nrpc_retry_policy policy = { .max_attempts = 3,
                                              .initial_backoff_ms = 20,
                                              .max_backoff_ms = 500,
                                              .backoff_multiplier = 2,
                                              .codes = 1u << NRPC_UNAVAILABLE };
    const struct table *t = gl->view->table;
    nrpc_method_config *list = gl->gateway->settings.backend.count > 1
                                   ? alloc_zero(t->pool->n_methods, sizeof *list)
                                   : NULL;
    size_t n = 0;
    for (size_t i = 0; list != NULL && i < t->pool->n_methods; i++)
        if (t->methods[i].idempotent)
            list[n++] = (nrpc_method_config){ .name = t->methods[i].path, .retry = &policy };
    if (n > 0 && nrpc_channel_configure(gl->channel, list, n) < 0)
        log_event(LOG_LEVEL_WARN, "retries_off", LOG_S("reason", "out of memory"));
    alloc_free(list);
}

nrpc_channel *gateway_loop_channel(struct gateway_loop *gl)
{
    if (gl->channel != NULL || gl->draining)
        return gl->channel;
    nrpc_channel_options o;
    gateway_channel_options(gl->gateway, &o);
    int r = nrpc_channel_new(gl->loop, &o, &gl->channel);
    if (r < 0) {
        log_event(LOG_LEVEL_ERROR, "channel_failed", LOG_S("target", o.target),
                  LOG_S("reason", nrpc_strerror(r)));
        gl->channel = NULL;
    } else {
        configure_retries(gl);
    }
    return gl->channel;
}

const char *gateway_loop_date(struct gateway_loop *gl)
{
    uint64_t second = loop_now_ns(gl->loop) / 1000000000;
    if (second != gl->date_second || gl->date[0] == '\0') {
        time_t now = (time_t) (clock_wall_ns() / 1000000000);
        struct tm tm;
        gmtime_r(&now, &tm);
        strftime(gl->date, sizeof gl->date, "%a, %d %b %Y %H:%M:%S GMT", &tm);
        gl->date_second = second;
    }
    return gl->date;
}

static void on_start(nrpc_task *t, nrpc_loop *loop)
{
    struct start_task *s = CONTAINER_OF(t, struct start_task, task);
    (void) loop;
    nrpc_channel *ch = gateway_loop_channel(s->gl);
    if (ch != NULL)
        nrpc_channel_connect(ch); /* so that /readyz knows before the first request */
    if (s->gl->gateway->settings.cache_bytes > 0 && !s->gl->draining)
        s->gl->coherence = coherence_open(s->gl);
    alloc_free(s);
}

/* Draining: first the grace runs out; then the channel's connections say goodbye. */
static void on_grace_over(struct timer *t)
{
    struct gateway_loop *gl = LIST_ENTRY(t, struct gateway_loop, grace);
    if (gl->channel == NULL) {
        nrpc_loop_stop(gl->loop);
        return;
    }
    LIST_EACH(&gl->connections, link, after)
    conn_abort(LIST_ENTRY(link, struct conn, link));
    http2_abort(gl);
    gateway_loop_check_drained(gl);
}

int gateway_loop_init(struct gateway_loop *gl, const struct gateway *g, nrpc_loop *loop)
{
    struct start_task *start = alloc_zero(1, sizeof *start);
    *gl = (struct gateway_loop){ .gateway = g, .loop = loop, .sha = sha256_new() };
    if (start != NULL && gl->sha != NULL &&
        (gl->view = table_view_new(table_ref(g->table))) == NULL)
        table_unref(g->table);
    if (gl->view == NULL) {
        alloc_free(start);
        return NRPC_E_NOMEM;
    }
    to_json_init(&gl->json[JSON_STANDARD], NULL, JSON_STANDARD);
    to_json_init(&gl->json[JSON_LEGACY], NULL, JSON_LEGACY);
    list_init(&gl->connections);
    list_init(&gl->http2);
    cache_init(&gl->cache, g->settings.cache_bytes);
    access_log_start(gl);
    timer_init(&gl->grace, loop, on_grace_over);
    loop_set_slot(loop, LOOP_SLOT_USER, gl, NULL);
    start->task.run = on_start;
    start->gl = gl;
    nrpc_loop_post(loop, &start->task);
    return 0;
}

void gateway_loop_done(struct gateway_loop *gl)
{
    exchange_free_spares(gl);
    cache_done(&gl->cache);
    coherence_free(gl->coherence);
    gl->coherence = NULL;
    table_view_retire(gl->view);
    gl->view = NULL;
    to_json_done(&gl->json[JSON_STANDARD]);
    to_json_done(&gl->json[JSON_LEGACY]);
    memo_clear(&gl->memo);
    buf_done(&gl->scratch);
    buf_done(&gl->coded);
    for (size_t i = 0; i < ARRAY_SIZE(gl->encoders); i++)
        encoder_free(gl->encoders[i]);
    compressor_free(gl->compressor);
    gl->compressor = NULL;
    buf_done(&gl->log);
    sha256_free(gl->sha);
    gl->sha = NULL;
}

/* ---- the end --------------------------------------------------------------------------- */

static void on_channel_gone(void *ctx)
{
    struct gateway_loop *gl = ctx;
    if (--gl->goodbyes > 0)
        return;
    timer_stop(&gl->grace);
    nrpc_loop_stop(gl->loop);
}

void gateway_loop_check_drained(struct gateway_loop *gl)
{
    if (!gl->draining || !list_empty(&gl->connections) || !list_empty(&gl->http2) ||
        gl->channel == NULL)
        return;
    access_log_flush(gl);
    gl->goodbyes = 1 + coherence_stop(gl->coherence, on_channel_gone, gl);
    nrpc_channel_close_then(gl->channel, on_channel_gone, gl);
    gl->channel = NULL;
    timer_start(&gl->grace, CHANNEL_CLOSE_MS);
}

void gateway_loop_drain(struct gateway_loop *gl)
{
    if (gl->draining)
        return;
    gateway_loop_channel(gl);
    gl->draining = true;
    timer_start(&gl->grace, gl->gateway->settings.grace_ms);
    LIST_EACH(&gl->connections, link, after)
    conn_close_if_idle(LIST_ENTRY(link, struct conn, link));
    http2_drain(gl);
    if (gl->channel == NULL) {
        nrpc_loop_stop(gl->loop);
        return;
    }
    gateway_loop_check_drained(gl);
}
