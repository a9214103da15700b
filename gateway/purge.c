/* purge.c — the legacy routes of the response cache: counters, and forgetting by tags over all
 * loops. */
#include <stdio.h>
#include <string.h>

#include "gateway/cached.h"
#include "gateway/coherence.h"
#include "gateway/json_reader.h"
#include "gateway/json_writer.h"
#include "rpc/base/alloc.h"

enum { PURGE_BODY_MAX = 65536 };

/* Goes from loop to loop, then home. */
struct purge {
    nrpc_task task;
    const struct gateway *gateway;
    struct gateway_loop *home;
    struct exchange *exchange; /* NULL: its client has gone; for home alone */
    size_t at;
    uint64_t removed;
    char *tags[CACHE_TAGS_MAX];
    size_t n_tags;
    /* While reading. */
    int depth;
    bool in_list, in_key;
    const char *error;
};

static void purge_free(struct purge *p)
{
    for (size_t i = 0; i < p->n_tags; i++)
        alloc_free(p->tags[i]);
    alloc_free(p);
}

/* ---- {"all_of": ["characters", ...]} ----------------------------------------------------- */

static int on_token(void *ctx, enum json_token token, const char *text, size_t size)
{
    struct purge *p = ctx;
    switch (token) {
    case JSON_BEGIN_OBJECT:
    case JSON_BEGIN_ARRAY:
        p->depth++;
        if (token == JSON_BEGIN_ARRAY && p->depth == 2 && p->in_key)
            p->in_list = true;
        else if (p->depth > 1 || token == JSON_BEGIN_ARRAY)
            p->error = "must be {\"all_of\": [tags]}";
        break;
    case JSON_END_OBJECT:
    case JSON_END_ARRAY:
        p->depth--;
        p->in_list = false;
        break;
    case JSON_KEY:
        p->in_key = size == 6 && memcmp(text, "all_of", 6) == 0;
        if (!p->in_key)
            p->error = "knows the key \"all_of\" alone";
        break;
    case JSON_STRING:
        if (!p->in_list || p->n_tags == CACHE_TAGS_MAX || size >= CACHE_TAG_SIZE)
            p->error = "must be a list of at most 8 tags";
        else if ((p->tags[p->n_tags] = alloc_strndup(text, size)) == NULL)
            return NRPC_E_NOMEM;
        else
            p->n_tags++;
        break;
    default:
        p->error = "must be a list of tags";
    }
    return 0;
}

static int read_body(struct exchange *x, struct purge *p)
{
    struct json_reader r;
    json_reader_init(&r, on_token, p);
    int e = json_reader_feed(&r, x->wire.data, x->wire.size);
    if (e == 0)
        e = json_reader_finish(&r);
    if (e < 0 && e != NRPC_E_NOMEM)
        exchange_fail_field(x, "", r.error.message, "");
    else if (e < 0)
        exchange_fail(x, 503, NRPC_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY",
                      "the gateway is out of memory");
    else if (p->error != NULL)
        exchange_fail_field(x, "all_of", p->error, "");
    else if (p->n_tags == 0)
        exchange_fail_field(x, "all_of", "must name at least one tag", "");
    json_reader_done(&r);
    return x->failed ? -1 : 0;
}

/* ---- from loop to loop ----------------------------------------------------------------- */

static void answer(struct exchange *x, const char *body)
{
    const struct response r = { .status = 200, .content_type = "application/json" };
    respond_bytes(x, &r, body, strlen(body));
    exchange_end(x);
}

static void on_home(nrpc_task *t, nrpc_loop *loop)
{
    struct purge *p = CONTAINER_OF(t, struct purge, task);
    struct exchange *x = p->exchange;
    char body[64];
    (void) loop;
    snprintf(body, sizeof body, "{\"removed\":%llu}", (unsigned long long) p->removed);
    purge_free(p);
    if (x == NULL)
        return;
    x->purge = NULL;
    answer(x, body);
}

static void on_visit(nrpc_task *t, nrpc_loop *loop)
{
    struct purge *p = CONTAINER_OF(t, struct purge, task);
    struct gateway_loop *gl = &p->gateway->loops[p->at++];
    (void) loop;
    p->removed += cache_forget(&gl->cache, (const char *const *) p->tags, p->n_tags, true);
    if (p->at < p->gateway->n_loops) {
        nrpc_loop_post(p->gateway->loops[p->at].loop, t);
        return;
    }
    t->run = on_home;
    nrpc_loop_post(p->home->loop, t);
}

void cached_invalidate(struct exchange *x)
{
    struct purge *p = alloc_zero(1, sizeof *p);
    if (p == NULL) {
        exchange_fail(x, 503, NRPC_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY",
                      "the gateway is out of memory");
    } else if (read_body(x, p) == 0) {
        p->gateway = x->gl->gateway;
        p->home = x->gl;
        p->exchange = x;
        x->purge = p;
        p->task.run = on_visit;
        nrpc_loop_post(p->gateway->loops[0].loop, &p->task);
        return;
    } else {
        purge_free(p);
    }
    respond_problem(x);
    exchange_end(x);
}

void cached_forget_client(struct exchange *x)
{
    if (x->purge != NULL)
        x->purge->exchange = NULL;
    x->purge = NULL;
}

/* ---- counters -------------------------------------------------------------------------- */

static uint64_t get(const _Atomic(uint64_t) *counter)
{
    return atomic_load_explicit((_Atomic(uint64_t) *) (uintptr_t) counter, memory_order_relaxed);
}

static void serve_metrics(struct exchange *x)
{
    const struct gateway *g = x->gl->gateway;
    uint64_t hits = 0, misses = 0, stores = 0, evictions = 0, invalidations = 0, entries = 0,
             bytes = 0;
    char body[512];
    for (size_t i = 0; i < g->n_loops; i++) {
        const struct cache *c = &g->loops[i].cache;
        hits += get(&c->hits);
        misses += get(&c->misses);
        stores += get(&c->stores);
        evictions += get(&c->evictions);
        invalidations += get(&c->invalidations);
        entries += get(&c->count);
        bytes += get(&c->size);
    }
    snprintf(
        body, sizeof body,
        "{\"hits\":%llu,\"misses\":%llu,\"hit_rate\":%.4f,\"stores\":%llu,\"evictions\":%llu,"
        "\"invalidations\":%llu,\"entries\":%llu,\"size\":%llu,\"bytes\":%llu,\"coherent\":%s}",
        (unsigned long long) hits, (unsigned long long) misses,
        hits + misses == 0 ? 0.0 : (double) hits / (double) (hits + misses),
        (unsigned long long) stores, (unsigned long long) evictions,
        (unsigned long long) invalidations, (unsigned long long) entries,
        (unsigned long long) entries, (unsigned long long) bytes,
        coherence_holds(x->gl->coherence) ? "true" : "false");
    answer(x, body);
}

static void refuse_method(struct exchange *x, const char *allow)
{
    exchange_fail(x, 405, NRPC_UNIMPLEMENTED, "METHOD_NOT_ALLOWED", "%s is not allowed here",
                  x->method);
    x->problem.headers = allow;
}

enum cached_route cached_builtin(struct exchange *x, const char *path, size_t size)
{
    bool metrics = size == 14 && memcmp(path, "/cache/metrics", 14) == 0;
    if (!metrics && !(size == 17 && memcmp(path, "/cache/invalidate", 17) == 0))
        return CACHED_OTHER;
    x->builtin = metrics ? "/cache/metrics" : "/cache/invalidate";
    if (metrics && (strcmp(x->method, "GET") == 0 || x->head_only)) {
        if (exchange_has_body(x))
            x->keep_alive = false; /* its body is not read */
        serve_metrics(x);
        return CACHED_ENDED;
    }
    if (metrics)
        refuse_method(x, "Allow: GET, HEAD, OPTIONS\r\n");
    else if (strcmp(x->method, "POST") != 0)
        refuse_method(x, "Allow: POST, OPTIONS\r\n");
    else
        x->body_kind = BODY_KEPT;
    return CACHED_GOES_ON;
}
