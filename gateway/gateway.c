#include "gateway/gateway.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "gateway/access_log.h"
#include "gateway/conn.h"
#include "gateway/encode.h"
#include "gateway/exchange.h"
#include "gateway/http2.h"
#include "gateway/json_reader.h"
#include "novel_engine_descriptors.h"
#include "rpc/base/alloc.h"
#include "rpc/base/clock.h"
#include "rpc/base/log.h"

/* ---- loading --------------------------------------------------------------------------- */

static int read_set(const char *path, struct buf *out, char error[static 512])
{
    enum { SET_BYTES_MAX = 64 << 20 };
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        snprintf(error, 512, "cannot open the descriptor set %s: %m", path);
        return -1;
    }
    char chunk[16384];
    for (size_t n; (n = fread(chunk, 1, sizeof chunk, f)) > 0 && out->size <= SET_BYTES_MAX;)
        buf_put(out, chunk, n);
    bool bad = ferror(f) || out->failed || out->size > SET_BYTES_MAX;
    fclose(f);
    if (bad)
        snprintf(error, 512, "cannot read the descriptor set %s", path);
    return bad ? -1 : 0;
}

static int ignore_token(void *ctx, enum json_token token, const char *text, size_t size)
{
    (void) ctx;
    (void) token;
    (void) text;
    (void) size;
    return 0;
}

/* Options that would only show as broken answers are checked now. */
static int check_options(const struct desc_pool *p, char error[static 512])
{
    for (size_t i = 0; i < p->n_methods; i++) {
        const char *json = p->methods[i].route->unavailable_json;
        struct json_reader r;
        if (*json == '\0')
            continue;
        json_reader_init(&r, ignore_token, NULL);
        bool bad = *json != '{' || json_reader_feed(&r, json, strlen(json)) < 0 ||
                   json_reader_finish(&r) < 0;
        json_reader_done(&r);
        if (bad) {
            snprintf(error, 512, "%s: unavailable_json is not a JSON object", p->methods[i].path);
            return -1;
        }
    }
    return 0;
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

static int make_methods(struct gateway *g)
{
    g->methods = alloc_zero(g->pool->n_methods, sizeof *g->methods);
    if (g->methods == NULL)
        return -1;
    for (size_t i = 0; i < g->pool->n_methods; i++) {
        const struct desc_method *m = &g->pool->methods[i];
        nrpc_kind kind = m->client_streaming
                             ? (m->server_streaming ? NRPC_BIDI : NRPC_CLIENT_STREAM)
                             : (m->server_streaming ? NRPC_SERVER_STREAM : NRPC_UNARY);
        g->methods[i] = (nrpc_method){
            .name = m->name, .path = m->path, .kind = kind, .idempotent = m->route->idempotent
        };
    }
    return 0;
}

int gateway_load(struct gateway *g, char error[static 512])
{
    struct buf set = { 0 };
    const char *file = g->settings.descriptor_set;
    const void *data = novel_engine_descriptors;
    size_t size = novel_engine_descriptors_size;
    int r = 0;
    if (file != NULL && *file != '\0') {
        r = read_set(file, &set, error);
        data = set.data;
        size = set.size;
    }
    if (r == 0)
        r = desc_pool_new(data, size, &g->pool, error);
    buf_done(&set);
    if (r == 0)
        r = router_new(g->pool, g->settings.prefix, &g->router, error);
    if (r == 0)
        r = check_options(g->pool, error);
    if (r == 0 &&
        ((g->target = join_backends(&g->settings.backend)) == NULL || make_methods(g) < 0)) {
        snprintf(error, 512, "out of memory");
        r = -1;
    }
    if (r == 0 && router_count(g->router) == 0) {
        snprintf(error, 512, "the descriptor set holds no service");
        r = -1;
    }
    return r < 0 ? -1 : 0;
}

void gateway_unload(struct gateway *g)
{
    alloc_free(g->methods);
    alloc_free(g->target);
    router_free(g->router);
    desc_pool_free(g->pool);
    g->methods = NULL;
    g->target = NULL;
    g->router = NULL;
    g->pool = NULL;
}

enum { CHANNEL_CLOSE_MS = 2000 }; /* for a backend that does not even take our resets */

/* ---- a loop's own things --------------------------------------------------------------- */

struct start_task {
    nrpc_task task;
    struct gateway_loop *gl;
};

nrpc_channel *gateway_loop_channel(struct gateway_loop *gl)
{
    if (gl->channel != NULL || gl->draining)
        return gl->channel;
    nrpc_channel_options o;
    nrpc_channel_defaults(&o);
    o.target = gl->gateway->target;
    o.balance = NRPC_ROUND_ROBIN;
    o.user_agent = "novel-gateway/" NOVEL_VERSION;
    int r = nrpc_channel_new(gl->loop, &o, &gl->channel);
    if (r < 0) {
        log_event(LOG_LEVEL_ERROR, "channel_failed", LOG_S("target", o.target),
                  LOG_S("reason", nrpc_strerror(r)));
        gl->channel = NULL;
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
    if (start == NULL || gl->sha == NULL) {
        alloc_free(start);
        return NRPC_E_NOMEM;
    }
    to_json_init(&gl->json[JSON_STANDARD], g->pool, JSON_STANDARD);
    to_json_init(&gl->json[JSON_LEGACY], g->pool, JSON_LEGACY);
    list_init(&gl->connections);
    list_init(&gl->http2);
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
    to_json_done(&gl->json[JSON_STANDARD]);
    to_json_done(&gl->json[JSON_LEGACY]);
    buf_done(&gl->scratch);
    buf_done(&gl->coded);
    for (size_t i = 0; i < ARRAY_SIZE(gl->encoders); i++)
        encoder_free(gl->encoders[i]);
    buf_done(&gl->log);
    sha256_free(gl->sha);
    gl->sha = NULL;
}

/* ---- the end --------------------------------------------------------------------------- */

static void on_channel_gone(void *ctx)
{
    struct gateway_loop *gl = ctx;
    timer_stop(&gl->grace);
    nrpc_loop_stop(gl->loop);
}

void gateway_loop_check_drained(struct gateway_loop *gl)
{
    if (!gl->draining || !list_empty(&gl->connections) || !list_empty(&gl->http2) ||
        gl->channel == NULL)
        return;
    access_log_flush(gl);
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
