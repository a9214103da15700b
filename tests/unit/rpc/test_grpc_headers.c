/* Metadata, statuses and the header sections of requests and responses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <google/rpc/error_details.pb-c.h>
#include <google/rpc/status.pb-c.h>

#include "rpc/base/alloc.h"
#include "rpc/base/check.h"
#include "rpc/grpc/headers.h"
#include "rpc/grpc/status.h"
#include "guard.h"

/* ---- metadata ---- */
static void test_metadata_keys_and_values(void **state)
{
    (void) state;
    static const struct {
        const char *key, *value;
        int want;
    } cases[] = {
        { "x-trace.id_1", "abc ~", 0 },
        { "x-bin", "\x01\xff", 0 },
        { "x", "", 0 },
        { "", "a", NRPC_E_INVAL },
        { "X-Upper", "a", NRPC_E_INVAL },
        { "with space", "a", NRPC_E_INVAL },
        { "sn\xc3\xb6", "a", NRPC_E_INVAL },
        { ":path", "a", NRPC_E_INVAL },
        { "grpc-status", "0", NRPC_E_INVAL },
        { "grpc-anything-bin", "0", NRPC_E_INVAL },
        { "grpc-retry-pushback-ms", "10", 0 },
        { "connection", "close", NRPC_E_INVAL },
        { "transfer-encoding", "chunked", NRPC_E_INVAL },
        { "te", "trailers", NRPC_E_INVAL },
        { "content-type", "text/plain", NRPC_E_INVAL },
        { "x", "line\nbreak", NRPC_E_INVAL },
        { "x", "\x7f", NRPC_E_INVAL },
        { "x", "\xc3\xa9", NRPC_E_INVAL },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct arena arena;
        nrpc_metadata md;
        arena_init(&arena, 1024);
        metadata_init(&md, &arena, 1000, 10);
        assert_int_equal(nrpc_metadata_add_string(&md, cases[i].key, cases[i].value),
                         cases[i].want);
        assert_int_equal(nrpc_metadata_count(&md), cases[i].want == 0);
        nrpc_slice value;
        if (cases[i].want == 0) {
            assert_true(nrpc_metadata_get(&md, cases[i].key, 0, &value));
            assert_int_equal(value.size, strlen(cases[i].value));
            assert_string_equal((const char *) value.data, cases[i].value);
        }
        arena_done(&arena);
    }
}

static void test_metadata_order_and_limits(void **state)
{
    (void) state;
    struct arena arena;
    nrpc_metadata md;
    const char *key;
    nrpc_slice value = { NULL, 4711 };
    arena_init(&arena, 1024);
    metadata_init(&md, &arena, 20 * 34, 19);
    for (int i = 0; i < 19; i++) {
        const char name[] = { (char) ('a' + i % 3), '\0' }, text[] = { (char) ('A' + i), '\0' };
        assert_int_equal(nrpc_metadata_add_string(&md, name, text), 0);
    }
    assert_int_equal(nrpc_metadata_add_string(&md, "z", "Z"), NRPC_E_TOOBIG); /* fields */
    for (size_t i = 0; i < 19; i++) {
        nrpc_metadata_at(&md, i, &key, &value);
        assert_int_equal(key[0], 'a' + i % 3);
        assert_int_equal(value.data[0], 'A' + i);
    }
    assert_true(nrpc_metadata_get(&md, "b", 2, &value));
    assert_int_equal(value.data[0], 'A' + 7);
    assert_false(nrpc_metadata_get(&md, "b", 6, &value));
    assert_int_equal(value.data[0], 'A' + 7);
    assert_false(nrpc_metadata_get(&md, "B", 0, &value));
    metadata_init(&md, &arena, 34, 10);
    assert_int_equal(nrpc_metadata_add_string(&md, "a", "bc"), NRPC_E_TOOBIG); /* bytes */
    assert_int_equal(nrpc_metadata_add_string(&md, "a", "b"), 0);
    assert_int_equal(nrpc_metadata_add_string(&md, "a", ""), NRPC_E_TOOBIG);
    arena_done(&arena);
}

static void test_metadata_binary(void **state)
{
    (void) state;
    struct arena arena;
    nrpc_metadata md;
    struct buf scratch = { 0 };
    nrpc_slice value;
    arena_init(&arena, 1024);
    metadata_init(&md, &arena, 1000, 4);
    assert_int_equal(metadata_add_wire(&md, slice_of("k-bin"), slice_of("Zm9v, YmE=,")), 0);
    assert_int_equal(nrpc_metadata_count(&md), 3);
    assert_true(nrpc_metadata_get(&md, "k-bin", 1, &value));
    assert_string_equal((const char *) value.data, "ba");
    assert_true(nrpc_metadata_get(&md, "k-bin", 2, &value));
    assert_int_equal(value.size, 0);
    /* All of one header or nothing. */
    assert_int_equal(metadata_add_wire(&md, slice_of("l-bin"), slice_of("Zm9v,!")), NRPC_E_PROTO);
    assert_int_equal(metadata_add_wire(&md, slice_of("l-bin"), slice_of("Zm9v,Zm9v")),
                     NRPC_E_TOOBIG);
    assert_int_equal(nrpc_metadata_count(&md), 3);
    assert_int_equal(metadata_add_wire(&md, slice_of("text"), slice_of("a, b")), 0);
    assert_int_equal(metadata_wire_value(&md, 1, &scratch, &value), 0);
    assert_int_equal(value.size, 3);
    assert_memory_equal(value.data, "YmE", 3);
    assert_int_equal(metadata_wire_value(&md, 3, &scratch, &value), 0);
    assert_string_equal((const char *) value.data, "a, b");
    buf_done(&scratch);
    arena_done(&arena);
}

/* ---- status ---- */
static void test_status_tables(void **state)
{
    (void) state;
    static const struct {
        int http;
        nrpc_code want;
    } http[] = { { 400, NRPC_INTERNAL },          { 401, NRPC_UNAUTHENTICATED },
                 { 403, NRPC_PERMISSION_DENIED }, { 404, NRPC_UNIMPLEMENTED },
                 { 429, NRPC_UNAVAILABLE },       { 502, NRPC_UNAVAILABLE },
                 { 503, NRPC_UNAVAILABLE },       { 504, NRPC_UNAVAILABLE },
                 { 500, NRPC_UNKNOWN },           { 200, NRPC_UNKNOWN },
                 { 302, NRPC_UNKNOWN },           { -1, NRPC_UNKNOWN } };
    static const nrpc_code h2[] = {
        NRPC_INTERNAL,          NRPC_INTERNAL, NRPC_INTERNAL, NRPC_INTERNAL,
        NRPC_INTERNAL,          NRPC_UNKNOWN,  NRPC_INTERNAL, NRPC_UNAVAILABLE,
        NRPC_CANCELLED,         NRPC_INTERNAL, NRPC_INTERNAL, NRPC_RESOURCE_EXHAUSTED,
        NRPC_PERMISSION_DENIED, NRPC_UNKNOWN,  NRPC_UNKNOWN
    };
    for (size_t i = 0; i < ARRAY_SIZE(http); i++)
        assert_int_equal(status_code_of_http(http[i].http), http[i].want);
    for (uint32_t i = 0; i < ARRAY_SIZE(h2); i++)
        assert_int_equal(status_code_of_h2_error(i), h2[i]);
    assert_int_equal(status_code_of_error(NRPC_E_FULL), NRPC_RESOURCE_EXHAUSTED);
    assert_int_equal(status_code_of_error(NRPC_E_CLOSED), NRPC_UNAVAILABLE);
    assert_int_equal(status_code_of_error(NRPC_E_STATE), NRPC_INTERNAL);
    assert_string_equal(nrpc_code_name(NRPC_OK), "OK");
    assert_string_equal(nrpc_code_name(NRPC_UNAUTHENTICATED), "UNAUTHENTICATED");
    assert_string_equal(nrpc_code_name((nrpc_code) 17), "UNKNOWN");
    assert_string_equal(nrpc_code_name((nrpc_code) -1), "UNKNOWN");
    for (int e = 1; e >= -9; e--)
        assert_true(strlen(nrpc_strerror(e)) > 0);
    assert_string_equal(nrpc_strerror(NRPC_E_FULL), "queue is full");
    assert_string_equal(nrpc_strerror(-99), "unknown error");
}

static void test_status_set_and_clear(void **state)
{
    (void) state;
    nrpc_status st = NRPC_STATUS_INIT;
    nrpc_status_set(&st, NRPC_NOT_FOUND, "no %s %d", "ship", 7);
    assert_string_equal(st.message, "no ship 7");
    nrpc_status_set(&st, NRPC_ABORTED, "again: %s", st.message); /* the old text as an argument */
    assert_string_equal(st.message, "again: no ship 7");
    alloc_fail_at(1);
    nrpc_status_set(&st, NRPC_DATA_LOSS, "text");
    alloc_fail_at(0);
    assert_int_equal(st.code, NRPC_DATA_LOSS);
    assert_null(st.message);
    /* Cut between characters: 4,095 bytes and then one of two bytes. */
    char *lengthy = malloc(5001);
    assert_non_null(lengthy);
    memset(lengthy, 'x', 5000);
    lengthy[5000] = '\0';
    memcpy(lengthy + STATUS_MESSAGE_MAX - 1, "\xc3\xa9", 2);
    nrpc_status_set(&st, NRPC_INTERNAL, "%s", lengthy);
    assert_int_equal(strlen(st.message), STATUS_MESSAGE_MAX - 1);
    free(lengthy);
    nrpc_status_clear(&st);
    nrpc_status_clear(&st);
    assert_int_equal(st.code, NRPC_OK);
}

static int add_violation(nrpc_status *st, const char *field)
{
    Google__Rpc__BadRequest__FieldViolation v = GOOGLE__RPC__BAD_REQUEST__FIELD_VIOLATION__INIT,
                                            *list[] = { &v };
    Google__Rpc__BadRequest bad = GOOGLE__RPC__BAD_REQUEST__INIT;
    v.field = (char *) field;
    v.description = (char *) "must not be empty";
    bad.n_field_violations = 1;
    bad.field_violations = list;
    return nrpc_status_add_detail(st, &bad.base);
}

static void test_status_details(void **state)
{
    (void) state;
    nrpc_status st = NRPC_STATUS_INIT, back = NRPC_STATUS_INIT, copy = NRPC_STATUS_INIT;
    struct buf message = { 0 }, details = { 0 };
    nrpc_status_set(&st, NRPC_INVALID_ARGUMENT, "bad \xe2\x98\xba");
    assert_int_equal(add_violation(&st, "theme"), 0);
    assert_int_equal(add_violation(&st, "crew[2]"), 0);
    status_wire(&st, &message, &details);
    assert_string_equal(buf_str(&message), "bad %E2%98%BA");
    status_from_wire(&back, slice_of("3"), (nrpc_slice){ message.data, message.size },
                     (nrpc_slice){ details.data, details.size });
    assert_int_equal(back.code, NRPC_INVALID_ARGUMENT);
    assert_string_equal(back.message, st.message);
    assert_int_equal(nrpc_status_copy(&copy, &back), 0);
    nrpc_status_clear(&back);
    Google__Rpc__Status *s = google__rpc__status__unpack(NULL, copy.details_size, copy.details);
    assert_non_null(s);
    assert_int_equal(s->code, 3);
    assert_string_equal(s->message, "bad \xe2\x98\xba");
    assert_int_equal(s->n_details, 2);
    assert_string_equal(s->details[1]->type_url, "type.googleapis.com/google.rpc.BadRequest");
    Google__Rpc__BadRequest *bad =
        google__rpc__bad_request__unpack(NULL, s->details[1]->value.len, s->details[1]->value.data);
    assert_non_null(bad);
    assert_string_equal(bad->field_violations[0]->field, "crew[2]");
    google__rpc__bad_request__free_unpacked(bad, NULL);
    google__rpc__status__free_unpacked(s, NULL);
    /* The limit refuses the one that does not fit and keeps the others. */
    int r;
    while ((r = add_violation(&st, "again")) == 0)
        ;
    assert_int_equal(r, NRPC_E_TOOBIG);
    assert_in_range(st.details_size, STATUS_DETAILS_MAX - 200, STATUS_DETAILS_MAX);
    s = google__rpc__status__unpack(NULL, st.details_size, st.details);
    assert_non_null(s);
    google__rpc__status__free_unpacked(s, NULL);
    nrpc_status_clear(&st);
    nrpc_status_clear(&copy);
    buf_done(&message);
    buf_done(&details);
}

static void test_status_without_memory(void **state)
{
    (void) state;
    nrpc_status st = NRPC_STATUS_INIT, copy = NRPC_STATUS_INIT;
    nrpc_status_set(&st, NRPC_ABORTED, "text");
    for (uint64_t i = 1; i <= 2; i++) {
        alloc_fail_at(i);
        int r = add_violation(&st, "f");
        alloc_fail_at(0);
        assert_int_equal(r, NRPC_E_NOMEM);
        assert_int_equal(st.details_size, 0);
    }
    assert_int_equal(add_violation(&st, "f"), 0);
    for (uint64_t i = 1; i <= 2; i++) {
        alloc_fail_at(i);
        assert_int_equal(nrpc_status_copy(&copy, &st), NRPC_E_NOMEM);
        alloc_fail_at(0);
        assert_null(copy.message);
        assert_int_equal(copy.code, NRPC_OK);
    }
    nrpc_status_clear(&st);
}

static void test_status_from_wire(void **state)
{
    (void) state;
    static const struct {
        const char *code, *message;
        nrpc_code want;
        const char *text;
    } cases[] = {
        { "0", "", NRPC_OK, "" },         { "16", "a%20b", NRPC_UNAUTHENTICATED, "a b" },
        { "17", "x", NRPC_UNKNOWN, "x" }, { "99999999999999999999", "x", NRPC_UNKNOWN, "x" },
        { "", "x", NRPC_UNKNOWN, "x" },   { "-1", "x", NRPC_UNKNOWN, "x" },
        { "5 ", "x", NRPC_UNKNOWN, "x" }, { "5", "%s%n", NRPC_NOT_FOUND, "%s%n" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        nrpc_status st = NRPC_STATUS_INIT;
        status_from_wire(&st, slice_of(cases[i].code), slice_of(cases[i].message),
                         slice_of("!no base64!"));
        assert_int_equal(st.code, cases[i].want);
        assert_string_equal(st.message, cases[i].text);
        assert_int_equal(st.details_size, 0);
        nrpc_status_clear(&st);
    }
}

/* ---- heads ---- */
struct pair {
    const char *name, *value; /* value NULL: the field is left out */
};
enum { FIELDS = 10 };
static const struct pair good[FIELDS] = { { ":method", "POST" },
                                          { ":scheme", "http" },
                                          { ":path", "/pkg.Service/Method" },
                                          { ":authority", "localhost" },
                                          { "te", "trailers" },
                                          { "content-type", "application/grpc" },
                                          { "grpc-timeout", "2S" },
                                          { "grpc-encoding", "identity" },
                                          { "x-user", "me" },
                                          { "user-agent", "tester" } };

static enum head_outcome read_head(struct request_head *h, nrpc_metadata *md,
                                   const struct pair *changes, size_t n, int *http, nrpc_status *st)
{
    request_head_init(h, md);
    for (size_t i = 0; i < FIELDS; i++) {
        const char *value = good[i].value;
        for (size_t k = 0; k < n; k++)
            if (changes[k].name != NULL && strcmp(changes[k].name, good[i].name) == 0)
                value = changes[k].value;
        if (value != NULL)
            (void) request_head_field(h, slice_of(good[i].name), guarded(value, strlen(value)));
    }
    for (size_t k = 0; k < n; k++)
        if (changes[k].name != NULL && changes[k].name[0] == '+')
            (void) request_head_field(h, slice_of(changes[k].name + 1), slice_of(changes[k].value));
    return request_head_end(h, http, st);
}

static void test_request_heads(void **state)
{
    (void) state;
    static const struct {
        struct pair change;
        enum head_outcome want;
        int code; /* HTTP status or gRPC code */
    } cases[] = {
        { { NULL, NULL }, HEAD_ACCEPT, 0 },
        { { "te", NULL }, HEAD_ACCEPT, 0 },
        { { "grpc-timeout", NULL }, HEAD_ACCEPT, 0 },
        { { ":scheme", "https" }, HEAD_ACCEPT, 0 },
        { { "content-type", "application/grpc+proto" }, HEAD_ACCEPT, 0 },
        { { "content-type", "application/grpc;charset=utf-8" }, HEAD_ACCEPT, 0 },
        { { "content-type", "application/grpc+proto; v=1" }, HEAD_ACCEPT, 0 },
        { { "content-type", "Application/GRPC" }, HEAD_ACCEPT, 0 },
        { { "+host", "other" }, HEAD_ACCEPT, 0 },
        { { "content-type", "application/grpc+json" }, HEAD_STATUS, NRPC_UNIMPLEMENTED },
        { { "content-type", NULL }, HEAD_HTTP, 415 },
        { { "content-type", "application/json" }, HEAD_HTTP, 415 },
        { { "content-type", "application/grpc-web" }, HEAD_HTTP, 415 },
        { { "content-type", "application/grpcx" }, HEAD_HTTP, 415 },
        { { "content-type", "application/grpc+" }, HEAD_HTTP, 415 },
        { { "content-type", "application/grp" }, HEAD_HTTP, 415 },
        { { "content-type", "" }, HEAD_HTTP, 415 },
        { { "+content-type", "application/grpc" }, HEAD_HTTP, 415 }, /* twice */
        { { ":method", "GET" }, HEAD_HTTP, 405 },
        { { ":method", "post" }, HEAD_HTTP, 405 },
        { { ":method", NULL }, HEAD_HTTP, 405 },
        { { ":path", NULL }, HEAD_HTTP, 404 },
        { { ":path", "*" }, HEAD_HTTP, 404 },
        { { ":path", "pkg.Service/Method" }, HEAD_HTTP, 404 },
        { { ":path", "/" }, HEAD_STATUS, NRPC_UNIMPLEMENTED },
        { { ":path", "/pkg.Service" }, HEAD_STATUS, NRPC_UNIMPLEMENTED },
        { { ":path", "/pkg.Service/" }, HEAD_STATUS, NRPC_UNIMPLEMENTED },
        { { ":path", "//Method" }, HEAD_STATUS, NRPC_UNIMPLEMENTED },
        { { ":path", "/a/b/c" }, HEAD_STATUS, NRPC_UNIMPLEMENTED },
        { { "grpc-timeout", "2s" }, HEAD_STATUS, NRPC_INTERNAL },
        { { "+grpc-timeout", "3S" }, HEAD_STATUS, NRPC_INTERNAL },
        { { "te", "gzip" }, HEAD_STATUS, NRPC_INTERNAL },
        { { ":scheme", "ftp" }, HEAD_STATUS, NRPC_INTERNAL },
        { { "grpc-encoding", "snappy" }, HEAD_STATUS, NRPC_UNIMPLEMENTED },
        { { "grpc-encoding", "GZIP" }, HEAD_STATUS, NRPC_UNIMPLEMENTED },
        { { "grpc-encoding", "gzip" }, HEAD_ACCEPT, NRPC_OK },
        { { "+x-bin", "***" }, HEAD_STATUS, NRPC_INTERNAL },
        { { "+x-large", "0123456789012345678901234567890123456789012345678901234567890123456789" },
          HEAD_STATUS,
          NRPC_RESOURCE_EXHAUSTED },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct arena arena;
        nrpc_metadata md;
        struct request_head h;
        nrpc_status st = NRPC_STATUS_INIT;
        int http = 0;
        arena_init(&arena, 1024);
        metadata_init(&md, &arena, 160, 10);
        assert_int_equal(read_head(&h, &md, &cases[i].change, 1, &http, &st), cases[i].want);
        assert_int_equal(cases[i].want == HEAD_HTTP ? http : (int) st.code, cases[i].code);
        if (cases[i].want == HEAD_ACCEPT) {
            assert_string_equal(h.path, "/pkg.Service/Method");
            assert_string_equal(h.method, "Method");
            assert_non_null(h.authority);
            nrpc_slice value;
            assert_int_equal(nrpc_metadata_count(&md), 2);
            assert_true(nrpc_metadata_get(&md, "x-user", 0, &value));
            assert_string_equal((const char *) value.data, "me");
        }
        nrpc_status_clear(&st);
        arena_done(&arena);
    }
}

static void test_request_head_values(void **state)
{
    (void) state;
    struct arena arena;
    nrpc_metadata md;
    struct request_head h;
    nrpc_status st = NRPC_STATUS_INIT;
    int http = 0;
    const struct pair none[] = { { "grpc-timeout", NULL }, { "te", NULL } };
    arena_init(&arena, 1024);
    metadata_init(&md, &arena, 1000, 10);
    assert_int_equal(read_head(&h, &md, NULL, 0, &http, &st), HEAD_ACCEPT);
    assert_true(h.timeout_ns == 2000000000u && h.te_trailers);
    metadata_init(&md, &arena, 1000, 10);
    assert_int_equal(read_head(&h, &md, none, 2, &http, &st), HEAD_ACCEPT);
    assert_true(h.timeout_ns == UINT64_MAX && !h.te_trailers);
    assert_int_equal(h.encoding, NRPC_IDENTITY);
    assert_int_equal(h.accepts, 1u << NRPC_IDENTITY);
    const struct pair squeezed[] = { { "grpc-encoding", "deflate" },
                                     { "+grpc-accept-encoding", "br, gzip" },
                                     { "+grpc-accept-encoding", "identity" } };
    metadata_init(&md, &arena, 1000, 10);
    assert_int_equal(read_head(&h, &md, squeezed, 3, &http, &st), HEAD_ACCEPT);
    assert_int_equal(h.encoding, NRPC_DEFLATE);
    assert_int_equal(h.accepts, 1u << NRPC_IDENTITY | 1u << NRPC_GZIP);
    arena_done(&arena);
    /* Without memory the outcome is a status. */
    alloc_fail_at(1);
    metadata_init(&md, &arena, 1000, 10);
    assert_int_equal(read_head(&h, &md, NULL, 0, &http, &st), HEAD_STATUS);
    alloc_fail_at(0);
    assert_int_equal(st.code, NRPC_RESOURCE_EXHAUSTED);
    nrpc_status_clear(&st);
    arena_done(&arena);
}

static void test_response_heads(void **state)
{
    (void) state;
    static const struct {
        struct pair fields[5];
        bool end_stream, want;
        nrpc_code code;
    } cases[] = {
        { { { ":status", "200" }, { "content-type", "application/grpc" } }, false, false, 0 },
        { { { ":status", "200" },
            { "content-type", "application/grpc+proto" },
            { "grpc-encoding", "identity" } },
          false,
          false,
          0 },
        { { { ":status", "200" }, { "content-type", "application/grpc" }, { "grpc-status", "5" } },
          true,
          true,
          NRPC_NOT_FOUND },
        { { { "grpc-status", "0" } }, true, true, NRPC_OK },
        { { { "grpc-status", "13" }, { "grpc-message", "no%21" } }, true, true, NRPC_INTERNAL },
        { { { "x", "y" } }, true, true, NRPC_UNKNOWN },
        { { { "grpc-status", "0" } }, false, true, NRPC_INTERNAL },
        { { { ":status", "200" }, { "content-type", "application/grpc" } },
          true,
          true,
          NRPC_UNKNOWN },
        { { { ":status", "200" }, { "content-type", "text/html" } }, false, true, NRPC_UNKNOWN },
        { { { ":status", "200" } }, false, true, NRPC_UNKNOWN },
        { { { ":status", "503" } }, false, true, NRPC_UNAVAILABLE },
        { { { ":status", "404" }, { "content-type", "text/html" } },
          true,
          true,
          NRPC_UNIMPLEMENTED },
        { { { ":status", "503" }, { "content-type", "application/grpc" }, { "grpc-status", "8" } },
          true,
          true,
          NRPC_RESOURCE_EXHAUSTED },
        { { { ":status", "abc" } }, false, true, NRPC_UNKNOWN },
        { { { ":status", "200" },
            { "content-type", "application/grpc" },
            { "grpc-encoding", "zstd" } },
          false,
          true,
          NRPC_INTERNAL },
        { { { ":status", "200" },
            { "content-type", "application/grpc" },
            { "grpc-encoding", "gzip" } },
          false,
          false,
          0 },
        { { { ":status", "200" }, { "content-type", "application/grpc" }, { "y-bin", "*" } },
          false,
          true,
          NRPC_INTERNAL },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct arena arena;
        nrpc_metadata md;
        struct response_head h;
        nrpc_status st = NRPC_STATUS_INIT;
        arena_init(&arena, 1024);
        metadata_init(&md, &arena, 1000, 10);
        response_head_init(&h, &md);
        for (size_t k = 0; k < 5 && cases[i].fields[k].name != NULL; k++)
            (void) response_head_field(&h, slice_of(cases[i].fields[k].name),
                                       slice_of(cases[i].fields[k].value));
        assert_int_equal(response_head_outcome(&h, cases[i].end_stream, &st), cases[i].want);
        assert_int_equal(st.code, cases[i].code);
        nrpc_status_clear(&st);
        arena_done(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_metadata_keys_and_values),
        cmocka_unit_test(test_metadata_order_and_limits),
        cmocka_unit_test(test_metadata_binary),
        cmocka_unit_test(test_status_tables),
        cmocka_unit_test(test_status_set_and_clear),
        cmocka_unit_test(test_status_details),
        cmocka_unit_test(test_status_without_memory),
        cmocka_unit_test(test_status_from_wire),
        cmocka_unit_test(test_request_heads),
        cmocka_unit_test(test_request_head_values),
        cmocka_unit_test(test_response_heads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
