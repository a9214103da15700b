/* multipart/form-data, whole and one byte at a time: the same message or the same error; what is
 * read is a message of its type. */
#include "conformance_descriptors.h"
#include "gateway/form.h"
#include "gateway/to_json.h"
#include "rpc/nrpc.h"
#include "tests/fuzz/fuzz.h"

static struct desc_pool *pool;
__attribute__((destructor)) static void free_pool(void)
{
    desc_pool_free(pool);
}

static const struct desc_message *message(void)
{
    static const char name[] = "protobuf_test_messages.proto3.TestAllTypesProto3";
    char error[256];
    if (pool == NULL)
        CHECK(desc_pool_new(conformance_descriptors, conformance_descriptors_size, &pool, error) ==
              0);
    return desc_find_message(pool, name, sizeof name - 1);
}

static int read_form(const uint8_t *data, size_t size, size_t step, struct buf *out)
{
    static const char type[] = "multipart/form-data; boundary=B";
    struct arena arena;
    struct binder b;
    struct form *f = NULL;
    int r = 0;
    arena_init(&arena, 4096);
    bind_start(&b, message(), &arena);
    struct form_options o = {
        .message = message(), .binder = &b, .out = out, .json = { .pool = pool }
    };
    CHECK(form_new(type, sizeof type - 1, &o, &f) == 0);
    for (size_t at = 0; at < size && r == 0; at += step)
        r = form_feed(f, data + at, size - at < step ? size - at : step);
    if (r == 0)
        r = form_finish(f);
    if (r == 0)
        r = bind_write_rest(&b, NULL, out);
    CHECK(r == 0 || r == NRPC_E_PROTO);
    if (r < 0) {
        buf_reset(out);
        buf_printf(out, "%s %s %s %s", f->error_field, f->error, b.error.field, b.error.message);
        CHECK(f->error[0] != '\0' || b.error.message[0] != '\0');
    }
    form_done(f);
    arena_done(&arena);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf whole = { 0 }, bytewise = { 0 }, text = { 0 };
    int r = read_form(data, size, size + 1, &whole);
    CHECK(r == read_form(data, size, 1, &bytewise));
    CHECK(fuzz_same(&whole, &bytewise));
    if (r == 0) {
        struct to_json t;
        to_json_init(&t, pool, JSON_STANDARD);
        r = to_json_message(&t, message(), whole.data, whole.size, &text);
        CHECK(r == 0 || (r == NRPC_E_PROTO && t.error != NULL));
        to_json_done(&t);
    }
    buf_done(&whole);
    buf_done(&bytewise);
    buf_done(&text);
    return 0;
}
