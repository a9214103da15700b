/* "METHOD /path?query": routes, path variables and query parameters of the contract, bound to the
 * request message; what is bound is well-formed. */
#include "gateway/bind.h"
#include "gateway/route.h"
#include "gateway/wire.h"
#include "novel_engine_descriptors.h"
#include "rpc/nrpc.h"
#include "tests/fuzz/fuzz.h"

static struct desc_pool *pool;
static struct router *router;
__attribute__((destructor)) static void free_all(void)
{
    router_free(router);
    desc_pool_free(pool);
}

static void bind_all(const struct route_match *m, const char *query, size_t size)
{
    struct arena arena;
    struct binder b;
    struct buf out = { 0 };
    arena_init(&arena, 4096);
    bind_start(&b, m->route->method->input, &arena);
    int r = bind_path(&b, m);
    if (r == 0)
        r = bind_query(&b, query, size, size % 2 == 0);
    if (r == 0)
        r = bind_write_rest(&b, NULL, &out);
    CHECK(r == 0 || (r == NRPC_E_PROTO && b.error.message[0] != '\0'));
    if (r == 0) {
        struct wire_reader reader = wire_reader_of(out.data, out.size);
        struct wire_field f;
        int more;
        while ((more = wire_next(&reader, &f)) == 1)
            CHECK(desc_field_by_number(m->route->method->input, f.number) != NULL);
        CHECK(more == 0);
    }
    buf_done(&out);
    arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct route_match match;
    char error[256], method[16];
    struct buf value = { 0 };
    if (router == NULL) {
        CHECK(desc_pool_new(novel_engine_descriptors, novel_engine_descriptors_size, &pool,
                            error) == 0);
        CHECK(router_new(pool, "/api", &router, error) == 0);
    }
    const char *text = (const char *) data;
    const char *space = size == 0 ? NULL : memchr(text, ' ', size);
    if (space == NULL || (size_t) (space - text) >= sizeof method)
        return 0;
    memcpy(method, text, (size_t) (space - text));
    method[space - text] = '\0';
    const char *path = space + 1, *end = text + size;
    const char *mark = path < end ? memchr(path, '?', (size_t) (end - path)) : NULL;
    size_t path_size = (size_t) ((mark != NULL ? mark : end) - path);
    switch (route_match(router, method, path, path_size, &match)) {
    case ROUTE_FOUND:
        CHECK(match.route != NULL);
        for (size_t i = 0; i < match.route->n_variables; i++)
            (void) route_value(&match, i, &value);
        bind_all(&match, mark != NULL ? mark + 1 : "",
                 mark != NULL ? (size_t) (end - mark) - 1 : 0);
        break;
    case ROUTE_WRONG_METHOD:
        CHECK(match.n_allowed > 0 && match.n_allowed <= ARRAY_SIZE(match.allowed));
        break;
    case ROUTE_NOT_FOUND:
        break;
    }
    buf_done(&value);
    return 0;
}
