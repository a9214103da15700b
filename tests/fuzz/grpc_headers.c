/* Header fields, a line "name: value" each, to what a server makes of a request and a client of a
 * response; and what of them is metadata, read and written again. */
#include "rpc/grpc/headers.h"
#include "rpc/grpc/status.h"
#include "tests/fuzz/fuzz.h"

typedef int field_fn(void *head, nrpc_slice name, nrpc_slice value);

static void each_line(const uint8_t *data, size_t size, field_fn *fn, void *head)
{
    const uint8_t *end = data + size;
    for (const uint8_t *line_end; data < end; data = line_end + 1) {
        line_end = memchr(data, '\n', (size_t) (end - data));
        if (line_end == NULL)
            line_end = end;
        /* A pseudo-header begins with a colon. */
        const uint8_t *colon =
            line_end - data > 1 ? memchr(data + 1, ':', (size_t) (line_end - data) - 1) : NULL;
        const uint8_t *value = colon == NULL ? line_end : colon + 1;
        nrpc_slice n = { data, (size_t) ((colon == NULL ? line_end : colon) - data) };
        if (value < line_end && *value == ' ')
            value++;
        fn(head, n, (nrpc_slice){ value, (size_t) (line_end - value) });
        if (line_end == end)
            return;
    }
}

static void check_metadata(const nrpc_metadata *md)
{
    struct buf scratch = { 0 };
    struct arena arena;
    nrpc_metadata again;
    arena_init(&arena, 1024);
    metadata_init(&again, &arena, UINT32_MAX, UINT32_MAX);
    CHECK(md->bytes <= md->bytes_max && nrpc_metadata_count(md) <= md->fields_max);
    for (size_t i = 0; i < nrpc_metadata_count(md); i++) {
        const char *key;
        nrpc_slice value, wire, back;
        nrpc_metadata_at(md, i, &key, &value);
        CHECK(metadata_wire_value(md, i, &scratch, &wire) == 0);
        if (strlen(key) == 0)
            continue;
        size_t nth = nrpc_metadata_count(&again);
        CHECK(metadata_add_wire(&again, (nrpc_slice){ (const uint8_t *) key, strlen(key) }, wire) ==
              0);
        CHECK(nrpc_metadata_count(&again) == nth + 1);
        nrpc_metadata_at(&again, nth, &key, &back);
        CHECK(back.size == value.size && memcmp(back.data, value.data, back.size) == 0);
    }
    buf_done(&scratch);
    arena_done(&arena);
}

static int add_request(void *head, nrpc_slice name, nrpc_slice value)
{
    return request_head_field(head, name, value);
}
static int add_response(void *head, nrpc_slice name, nrpc_slice value)
{
    return response_head_field(head, name, value);
}
static int add_metadata(void *head, nrpc_slice name, nrpc_slice value)
{
    nrpc_metadata *md = head;
    size_t before = nrpc_metadata_count(md);
    int r = metadata_add_wire(md, name, value);
    CHECK(r == 0 || nrpc_metadata_count(md) == before);
    return r;
}

static void fuzz_request(const uint8_t *data, size_t size, nrpc_metadata *md)
{
    struct request_head h;
    int http = 0;
    nrpc_status st = NRPC_STATUS_INIT;
    request_head_init(&h, md);
    each_line(data, size, add_request, &h);
    switch (request_head_end(&h, &http, &st)) {
    case HEAD_ACCEPT:
        CHECK(h.error == 0 && h.path != NULL && h.path[0] == '/' && h.method != NULL);
        check_metadata(md);
        break;
    case HEAD_HTTP:
        CHECK(http == 404 || http == 405 || http == 415);
        break;
    case HEAD_STATUS:
        CHECK(st.code != NRPC_OK);
    }
    nrpc_status_clear(&st);
}

static void fuzz_response(const uint8_t *data, size_t size, nrpc_metadata *md)
{
    struct response_head h;
    for (int end_stream = 0; end_stream < 2; end_stream++) {
        nrpc_status st = NRPC_STATUS_INIT;
        md->count = 0, md->bytes = 0;
        response_head_init(&h, md);
        each_line(data, size, add_response, &h);
        if (response_head_outcome(&h, end_stream, &st)) {
            struct buf message = { 0 }, details = { 0 };
            CHECK((unsigned) st.code <= NRPC_UNAUTHENTICATED);
            status_wire(&st, &message, &details);
            buf_done(&message);
            buf_done(&details);
        } else {
            CHECK(!end_stream && h.error == 0);
            check_metadata(md);
        }
        nrpc_status_clear(&st);
    }
}

static void fuzz_metadata(const uint8_t *data, size_t size, nrpc_metadata *md)
{
    each_line(data, size, add_metadata, md);
    check_metadata(md);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    nrpc_metadata md;
    if (size == 0)
        return 0;
    arena_init(&arena, 1024);
    metadata_init(&md, &arena, 2048, 20);
    FUZZ_PART(data, size, &md);
    arena_done(&arena);
    return 0;
}
