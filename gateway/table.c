#include "gateway/table.h"

#include <stdio.h>
#include <string.h>

#include "gateway/collection.h"
#include "gateway/json_reader.h"
#include "gateway/openapi.h"
#include "gateway/rules_file.h"
#include "rpc/base/alloc.h"

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
            return NRPC_E_INVAL;
        }
    }
    return 0;
}

static nrpc_kind kind_of(const struct desc_method *m)
{
    if (m->client_streaming)
        return m->server_streaming ? NRPC_BIDI : NRPC_CLIENT_STREAM;
    return m->server_streaming ? NRPC_SERVER_STREAM : NRPC_UNARY;
}

static int make_methods(struct table *t)
{
    t->methods = alloc_zero(t->pool->n_methods, sizeof *t->methods);
    if (t->methods == NULL)
        return NRPC_E_NOMEM;
    for (size_t i = 0; i < t->pool->n_methods; i++) {
        const struct desc_method *m = &t->pool->methods[i];
        t->legacy |= m->route->dialect == NRPC__ROUTE_OPTIONS__DIALECT__DIALECT_LEGACY;
        t->methods[i] = (nrpc_method){
            .name = m->name, .path = m->path, .kind = kind_of(m), .idempotent = m->route->idempotent
        };
    }
    return 0;
}

static int write_document(struct table *t, const struct table_source *from)
{
    struct notes notes;
    int r = notes_read(&notes, from->set, from->set_size);
    if (r < 0)
        return r;
    const struct openapi_source source = { t->router, &notes, from->prefix };
    openapi_write(&source, &t->openapi);
    collection_write(t->router, &notes, &t->collection);
    notes_done(&notes);
    return t->openapi.failed || t->collection.failed ? NRPC_E_NOMEM : 0;
}

int table_new(const struct table_source *from, struct table **out_table, char error[static 512])
{
    struct table *t = alloc_zero(1, sizeof *t);
    if (t == NULL) {
        snprintf(error, 512, "out of memory");
        return NRPC_E_NOMEM;
    }
    atomic_init(&t->references, 1);
    int r = desc_pool_new(from->set, from->set_size, &t->pool, error);
    if (r == 0 && from->rules_size > 0)
        r = rules_file_apply(t->pool, from->rules, from->rules_size, error);
    if (r == 0)
        r = router_new(t->pool, from->prefix, &t->router, error);
    if (r == 0)
        r = check_options(t->pool, error);
    if (r == 0 && router_count(t->router) == 0) {
        snprintf(error, 512, "the descriptor set holds no service");
        r = NRPC_E_INVAL;
    }
    if (r == 0 && ((r = make_methods(t)) < 0 || (r = write_document(t, from)) < 0))
        snprintf(error, 512, "out of memory");
    if (r < 0) {
        table_unref(t);
        return r;
    }
    *out_table = t;
    return 0;
}

struct table *table_ref(struct table *t)
{
    atomic_fetch_add_explicit(&t->references, 1, memory_order_relaxed);
    return t;
}

void table_unref(struct table *t)
{
    if (t == NULL || atomic_fetch_sub_explicit(&t->references, 1, memory_order_acq_rel) > 1)
        return;
    alloc_free(t->methods);
    buf_done(&t->openapi);
    buf_done(&t->collection);
    router_free(t->router);
    desc_pool_free(t->pool);
    alloc_free(t);
}

struct table_view *table_view_new(struct table *t)
{
    struct table_view *v = alloc_get(sizeof *v);
    if (v != NULL)
        *v = (struct table_view){ .table = t, .current = true };
    return v;
}

static void free_unused(struct table_view *v)
{
    if (v->current || v->users > 0)
        return;
    table_unref(v->table);
    alloc_free(v);
}

void table_view_leave(struct table_view *v)
{
    v->users--;
    free_unused(v);
}

void table_view_retire(struct table_view *v)
{
    if (v == NULL)
        return;
    v->current = false;
    free_unused(v);
}
