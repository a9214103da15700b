/* JSON text to the contract's messages and back.  Whole or one byte at a time gives the same bytes
 * or the same error; what was read is written, read again, and written the same. */
#include "gateway/to_json.h"
#include "gateway/to_wire.h"
#ifdef FUZZ_ALL_TYPES
#include "conformance_descriptors.h"
#else
#include "novel_engine_descriptors.h"
#endif
#include "rpc/nrpc.h"
#include "tests/fuzz/fuzz.h"

static struct desc_pool *pool;
__attribute__((destructor)) static void free_pool(void)
{
    desc_pool_free(pool);
}

#ifdef FUZZ_ALL_TYPES
/* Every kind of field, and the well-known types. */
static const struct desc_message *message_of(uint8_t which)
{
    static const char *const names[] = { "protobuf_test_messages.proto3.TestAllTypesProto3",
                                         "protobuf_test_messages.proto2.TestAllTypesProto2" };
    char error[256];
    const char *name = names[which % 2];
    if (pool == NULL)
        CHECK(desc_pool_new(conformance_descriptors, conformance_descriptors_size, &pool, error) ==
              0);
    return desc_find_message(pool, name, strlen(name));
}
#else
/* An input or an output of one of the contract's methods. */
static const struct desc_message *message_of(uint8_t which)
{
    char error[256];
    if (pool == NULL)
        CHECK(desc_pool_new(novel_engine_descriptors, novel_engine_descriptors_size, &pool,
                            error) == 0);
    const struct desc_method *method = &pool->methods[which / 2 % pool->n_methods];
    return which % 2 == 0 ? method->input : method->output;
}
#endif

static int read_json(const struct desc_message *m, const void *data, size_t size, size_t step,
                     bool ignore_unknown, struct buf *out)
{
    static struct to_wire t;
    struct to_wire_options o = { .pool = pool, .ignore_unknown = ignore_unknown };
    int r = 0;
    to_wire_init(&t, m, out, &o);
    for (size_t at = 0; at < size && r == 0; at += step)
        r = to_wire_feed(&t, (const uint8_t *) data + at, size - at < step ? size - at : step);
    if (r == 0)
        r = to_wire_finish(&t);
    CHECK(r == 0 || r == NRPC_E_PROTO);
    if (r < 0) {
        buf_reset(out);
        buf_printf(out, "%s: %s at %llu", t.reader.error.path, t.reader.error.message,
                   (unsigned long long) t.reader.error.offset);
    }
    to_wire_done(&t);
    return r;
}

static int write_json(const struct desc_message *m, const struct buf *wire, bool legacy,
                      struct buf *out)
{
    struct to_json t;
    to_json_init(&t, pool, legacy ? JSON_LEGACY : JSON_STANDARD);
    int r = to_json_message(&t, m, wire->data, wire->size, out);
    CHECK(r == 0 || (r == NRPC_E_PROTO && t.error != NULL && out->size == 0));
    to_json_done(&t);
    return r;
}

/* text -> wire -> text -> wire -> text: the last two texts are one. */
static void fuzz_read(const struct desc_message *m, const uint8_t *data, size_t size, bool option)
{
    struct buf whole = { 0 }, bytewise = { 0 }, text = { 0 }, wire = { 0 }, again = { 0 };
    int r = read_json(m, data, size, size + 1, option, &whole);
    CHECK(r == read_json(m, data, size, 1, option, &bytewise));
    CHECK(fuzz_same(&whole, &bytewise));
    if (r == 0 && write_json(m, &whole, false, &text) == 0) {
        CHECK(read_json(m, text.data, text.size, text.size, false, &wire) == 0);
        CHECK(write_json(m, &wire, false, &again) == 0);
        CHECK(fuzz_same(&text, &again));
    }
    buf_done(&whole);
    buf_done(&bytewise);
    buf_done(&text);
    buf_done(&wire);
    buf_done(&again);
}

/* wire -> text in both dialects; the standard text reads back. */
static void fuzz_write(const struct desc_message *m, const uint8_t *data, size_t size, bool option)
{
    struct buf wire = { 0 }, text = { 0 }, back = { 0 }, again = { 0 };
    buf_put(&wire, data, size);
    if (write_json(m, &wire, option, &text) == 0 && !option) {
        int r = read_json(m, text.data, text.size, text.size, false, &back);
        /* An Any of a type that we do not know keeps its bytes, for a reader that knows it. */
        CHECK(r == 0 || strstr(buf_str(&back), "\"@type\" names no known message") != NULL);
        if (r == 0)
            CHECK(write_json(m, &back, false, &again) == 0 && fuzz_same(&text, &again));
    }
    buf_done(&wire);
    buf_done(&text);
    buf_done(&back);
    buf_done(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t which = fuzz_byte(&data, &size);
    FUZZ_PART(message_of(which & 0x7f), data, size, which & 0x80);
    return 0;
}
