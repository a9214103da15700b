#include "rpc/call/config.h"

#include <string.h>

#include "rpc/base/alloc.h"
#include "rpc/base/map.h"

#define NS_PER_MS 1000000ull
enum { ATTEMPTS_MIN = 2, ATTEMPTS_MAX = 5, CODES = NRPC_UNAUTHENTICATED + 1 };

struct row {
    struct method_settings settings;
    nrpc_retry_policy retry;
    nrpc_hedging_policy hedging;
};
struct config_table {
    struct map rows; /* name -> struct row */
    struct row list[];
};

/* "", "/pkg.Service/" or "/pkg.Service/Method". */
static bool name_is_valid(const char *name)
{
    if (name == NULL || name[0] == '\0')
        return name != NULL;
    const char *slash = name[0] == '/' ? strchr(name + 1, '/') : NULL;
    return slash != NULL && slash > name + 1 && strchr(slash + 1, '/') == NULL;
}

static bool retry_is_valid(const nrpc_retry_policy *p)
{
    return p == NULL || (p->max_attempts >= ATTEMPTS_MIN && p->initial_backoff_ms > 0 &&
                         p->max_backoff_ms > 0 && p->backoff_multiplier > 0 && p->codes != 0 &&
                         p->codes < 1u << CODES && (p->codes & 1u << NRPC_OK) == 0);
}

static bool hedging_is_valid(const nrpc_hedging_policy *p)
{
    return p == NULL || (p->max_attempts >= ATTEMPTS_MIN && p->non_fatal_codes < 1u << CODES);
}

static uint32_t attempts(uint32_t n)
{
    return n > ATTEMPTS_MAX ? ATTEMPTS_MAX : n; /* A6: more is not an error, but not done */
}

static int add_row(struct config_table *t, struct row *row, const nrpc_method_config *c,
                   const struct call_limits *base, bool server)
{
    if (!name_is_valid(c->name) || !retry_is_valid(c->retry) || !hedging_is_valid(c->hedging) ||
        (c->retry != NULL && c->hedging != NULL) ||
        map_get(&t->rows, c->name, strlen(c->name)) != NULL)
        return NRPC_E_INVAL;
    struct method_settings *s = &row->settings;
    *s = (struct method_settings){
        .limits = *base,
        .timeout_ms = c->timeout_ms,
        .wait_for_ready = c->wait_for_ready,
        .exact = c->name[0] != '\0' && c->name[strlen(c->name) - 1] != '/',
    };
    uint32_t in = server ? c->max_request_bytes : c->max_response_bytes;
    uint32_t out = server ? c->max_response_bytes : c->max_request_bytes;
    if (in != 0)
        s->limits.max_message_bytes = in;
    if (out != 0)
        s->limits.max_send_bytes = out;
    if (c->retry != NULL) {
        row->retry = *c->retry;
        row->retry.max_attempts = attempts(c->retry->max_attempts);
        s->retry = &row->retry;
    }
    if (c->hedging != NULL) {
        row->hedging = *c->hedging;
        row->hedging.max_attempts = attempts(c->hedging->max_attempts);
        s->hedging = &row->hedging;
    }
    return map_set(&t->rows, c->name, strlen(c->name), row, NULL) < 0 ? NRPC_E_NOMEM : 0;
}

int config_table_new(const nrpc_method_config *list, size_t n, const struct call_limits *base,
                     bool server, struct config_table **out_table)
{
    if (n > (SIZE_MAX - sizeof(struct config_table)) / sizeof(struct row))
        return NRPC_E_INVAL;
    struct config_table *t = alloc_zero(1, sizeof *t + n * sizeof t->list[0]);
    if (t == NULL)
        return NRPC_E_NOMEM;
    for (size_t i = 0; i < n; i++) {
        int r = add_row(t, &t->list[i], &list[i], base, server);
        if (r < 0) {
            config_table_free(t);
            return r;
        }
    }
    *out_table = t;
    return 0;
}

void config_table_free(struct config_table *t)
{
    if (t == NULL)
        return;
    map_done(&t->rows);
    alloc_free(t);
}

const struct method_settings *config_table_find(const struct config_table *t, const char *path)
{
    const char *slash = strrchr(path, '/');
    size_t sizes[3] = { strlen(path), slash == NULL ? 0 : (size_t) (slash - path) + 1, 0 };
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        const struct row *row = map_get(&t->rows, path, sizes[i]);
        if (row != NULL)
            return &row->settings;
    }
    return NULL;
}

/* ---- cache ---- */
const struct method_settings *config_cache_get(struct config_cache *cache,
                                               const struct config_table *t,
                                               const nrpc_method *method)
{
    if (t == NULL)
        return NULL;
    size_t i = (uintptr_t) method / sizeof *method % CONFIG_CACHE_SLOTS;
    if (cache->slots[i].method == method && strcmp(cache->slots[i].path, method->path) == 0)
        return cache->slots[i].settings;
    const struct method_settings *s = config_table_find(t, method->path);
    char *path = alloc_strdup(method->path);
    if (path != NULL) { /* else it is looked up again */
        alloc_free(cache->slots[i].path);
        cache->slots[i].method = method;
        cache->slots[i].path = path;
        cache->slots[i].settings = s;
    }
    return s;
}

void config_cache_done(struct config_cache *cache)
{
    for (size_t i = 0; i < CONFIG_CACHE_SLOTS; i++)
        alloc_free(cache->slots[i].path);
    *cache = (struct config_cache){ 0 };
}

/* ---- calls ---- */
void call_configure(nrpc_call *c, const struct method_settings *settings)
{
    if (settings == NULL)
        return;
    c->settings = settings;
    c->limits = &settings->limits;
    c->in.frames.bytes_max = settings->limits.max_message_bytes;
    c->wait_for_ready |= settings->wait_for_ready;
    if (settings->timeout_ms == 0 || settings->timeout_ms >= UINT64_MAX / NS_PER_MS / 2)
        return;
    uint64_t due = loop_now_ns(c->loop) + settings->timeout_ms * NS_PER_MS;
    if (due < c->deadline_ns)
        call_arm_deadline(c, due);
}
