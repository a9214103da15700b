/* Errors: the status table, what a server's details become, both shapes. */
#include "tests/unit/gateway/support.h"

#include "gateway/problem.h"
#include "gateway/reasons.h"
#include "gateway/wire.h"
#include "novel_engine_descriptors.h"
#include "tests/unit/gateway/oracle.h"

static void maps_codes(void **state)
{
    (void) state;
    static const int plain[] = { 200, 499, 500, 400, 504, 404, 409, 403, 429,
                                 400, 409, 400, 501, 500, 503, 500, 401 };
    struct problem_context none = { 0 }, legacy = { .invalid_argument_code = 422 },
                           guarded = { .if_match = true };
    for (int code = NRPC_OK; code <= NRPC_UNAUTHENTICATED; code++)
        assert_int_equal(problem_http_status((nrpc_code) code, &none), plain[code]);
    assert_int_equal(problem_http_status(NRPC_INVALID_ARGUMENT, &legacy), 422);
    assert_int_equal(problem_http_status(NRPC_OUT_OF_RANGE, &legacy), 422);
    assert_int_equal(problem_http_status(NRPC_FAILED_PRECONDITION, &legacy), 400);
    assert_int_equal(problem_http_status(NRPC_FAILED_PRECONDITION, &guarded), 412);
    assert_int_equal(problem_http_status(NRPC_ABORTED, &guarded), 412);
    assert_int_equal(problem_http_status((nrpc_code) 77, &none), 500);
}

static void put_any(struct buf *status, const char *type, const struct buf *value)
{
    struct buf any = { 0 };
    char url[100];
    wire_put_bytes(&any, 1, url,
                   (size_t) snprintf(url, sizeof url, "type.googleapis.com/%s", type));
    wire_put_bytes(&any, 2, value->data, value->size);
    wire_put_bytes(status, 3, any.data, any.size);
    buf_done(&any);
}

static void put_violation(struct buf *bad, const char *field, const char *text)
{
    struct buf v = { 0 };
    wire_put_bytes(&v, 1, field, strlen(field));
    wire_put_bytes(&v, 2, text, strlen(text));
    wire_put_bytes(bad, 1, v.data, v.size);
    buf_done(&v);
}

/* BadRequest with two fields, ErrorInfo with this reason, RetryInfo of 2.5 s. */
static void make_details(struct buf *status, const char *reason)
{
    struct buf bad = { 0 }, info = { 0 }, retry = { 0 };
    put_violation(&bad, "turns", "must be at most 50");
    put_violation(&bad, "scenario", "too \"long\"\xff");
    wire_put_bytes(&info, 1, reason, strlen(reason));
    wire_put_bytes(&retry, 1, "\x08\x02\x10\x80\xca\xb5\xee\x01", 8);
    put_any(status, "google.rpc.BadRequest", &bad);
    put_any(status, "google.rpc.ErrorInfo", &info);
    put_any(status, "google.rpc.RetryInfo", &retry);
    buf_done(&bad);
    buf_done(&info);
    buf_done(&retry);
}

static void reads_details(void **state)
{
    (void) state;
    struct arena a;
    struct buf details = { 0 }, out = { 0 };
    struct problem p;
    struct problem_context c = { .invalid_argument_code = 422 };
    arena_init(&a, 256);
    make_details(&details, "INVALID_FIELD");
    nrpc_status st = { .code = NRPC_INVALID_ARGUMENT,
                       .message = "bad \"fields\"",
                       .details = details.data,
                       .details_size = details.size };
    problem_from_status(&p, &st, &c, &a);
    problem_put(&out, &p, "/simulations", "id-1");
    assert_string_equal(buf_str(&out),
                        "{\"type\":\"about:blank\",\"title\":\"Unprocessable "
                        "Entity\",\"status\":422,\"detail\":\"bad \\\"fields\\\"\","
                        "\"instance\":\"/simulations\",\"error\":\"Unprocessable "
                        "Entity\",\"code\":\"INVALID_FIELD\","
                        "\"message\":\"bad \\\"fields\\\"\",\"request_id\":\"id-1\",\"fields\":["
                        "{\"field\":\"turns\",\"message\":\"must be at most 50\"},"
                        "{\"field\":\"scenario\",\"message\":\"too \\\"long\\\"\xef\xbf\xbd\"}]}");
    assert_int_equal(p.retry_after_s, 3);
    char why[160];
    assert_true(oracle_takes(out.data, out.size, why));
    /* Damaged details change nothing but what they said. */
    uint64_t rng = 5;
    for (int i = 0; i < 3000; i++) {
        struct guarded g = guarded_copy(details.data, details.size);
        g.data[random_below(&rng, details.size)] ^= (uint8_t) (1u << random_below(&rng, 8));
        st.details = g.data;
        st.details_size = details.size - random_below(&rng, 3);
        problem_from_status(&p, &st, &c, &a);
        buf_reset(&out);
        problem_put(&out, &p, NULL, NULL);
        assert_true(oracle_takes(out.data, out.size, why));
        guarded_free(g);
    }
    buf_done(&out);
    buf_done(&details);
    arena_done(&a);
}

static void special_reasons(void **state)
{
    (void) state;
    static const struct {
        nrpc_code code;
        const char *reason, *code_out;
        int status;
        uint32_t retry;
    } cases[] = {
        { NRPC_RESOURCE_EXHAUSTED, "MESSAGE_TOO_LARGE", "MESSAGE_TOO_LARGE", 413, 3 },
        { NRPC_RESOURCE_EXHAUSTED, "QUEUE_FULL", "QUEUE_FULL", 429, 3 },
        { NRPC_FAILED_PRECONDITION, "IDEMPOTENCY_KEY_REUSED", "IDEMPOTENCY_KEY_REUSED", 422, 3 },
        { NRPC_FAILED_PRECONDITION, "CHAPTER_OPEN", "CHAPTER_OPEN", 400, 3 },
        { NRPC_NOT_FOUND, "not upper", "NOT_FOUND", 404, 3 },
        { NRPC_INTERNAL, "X", "X", 500, 3 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct arena a;
        struct buf details = { 0 };
        struct problem p;
        struct problem_context c = { .invalid_argument_code = 422 };
        arena_init(&a, 256);
        make_details(&details, cases[i].reason);
        nrpc_status st = { .code = cases[i].code,
                           .message = "secret inside",
                           .details = details.data,
                           .details_size = details.size };
        problem_from_status(&p, &st, &c, &a);
        assert_int_equal(p.status, cases[i].status);
        assert_string_equal(p.reason, cases[i].code_out);
        assert_int_equal(p.retry_after_s, cases[i].retry);
        if (cases[i].status == 500)
            assert_null(strstr(p.detail, "secret"));
        buf_done(&details);
        arena_done(&a);
    }
    struct problem p;
    struct arena a;
    arena_init(&a, 256);
    nrpc_status down = { .code = NRPC_UNAVAILABLE };
    problem_from_status(&p, &down, &(struct problem_context){ 0 }, &a);
    assert_int_equal(p.status, 503);
    assert_int_equal(p.retry_after_s, 1);
    assert_string_equal(p.detail, "Service Unavailable");
    arena_done(&a);
}

static void standard_shape(void **state)
{
    (void) state;
    struct desc_pool *pool;
    struct to_json json;
    struct arena a;
    struct buf details = { 0 }, out = { 0 };
    struct problem p;
    char error[256];
    assert_int_equal(
        desc_pool_new(novel_engine_descriptors, novel_engine_descriptors_size, &pool, error), 0);
    to_json_init(&json, pool, JSON_STANDARD);
    arena_init(&a, 256);
    struct buf info = { 0 };
    wire_put_bytes(&info, 1, "GONE", 4);
    put_any(&details, "google.rpc.ErrorInfo", &info);
    nrpc_status st = { .code = NRPC_NOT_FOUND,
                       .message = "no",
                       .details = details.data,
                       .details_size = details.size };
    problem_from_status(&p, &st, &(struct problem_context){ 0 }, &a);
    problem_put_status(&out, &p, NULL, &json);
    assert_string_equal(buf_str(&out),
                        "{\"code\":5,\"message\":\"no\",\"details\":[{\"@type\":\"type.googleapis."
                        "com/google.rpc.ErrorInfo\",\"reason\":\"GONE\"}]}");
    buf_done(&info);
    buf_done(&out);
    buf_done(&details);
    arena_done(&a);
    to_json_done(&json);
    desc_pool_free(pool);
}

static struct desc_pool *foreign_pool(void)
{
    struct desc_pool *pool;
    struct buf b = { 0 };
    char error[256] = "";
    read_file(FOREIGN_FDS, &b);
    if (desc_pool_new(b.data, b.size, &pool, error) < 0)
        fail_msg("%s", error);
    buf_done(&b);
    return pool;
}

static void paths_in_both_spellings(void **state)
{
    (void) state;
    static const struct {
        const char *path, *proto, *json;
    } cases[] = {
        { "f_message.inner.text", "f_message.inner.text", "fMessage.inner.text" },
        { "fMessage.inner.text", "f_message.inner.text", "fMessage.inner.text" },
        { "r_message[12].list[0]", "r_message[12].list[0]", "rMessage[12].list[0]" },
        { "m_string[\"f_int32\"]", "m_string[\"f_int32\"]", "mString[\"f_int32\"]" },
        { "mMessage.7.text", "m_message.7.text", "mMessage.7.text" },
        { "m_message[\"7\"].number", "m_message[\"7\"].number", "mMessage[\"7\"].number" },
        { "no_such.f_int32", "no_such.f_int32", "no_such.f_int32" },
        { "f_int32.f_int32", "f_int32.f_int32", "fInt32.f_int32" },
        { "", "", "" },
        { "..[[", "..[[", "..[[" },
    };
    struct desc_pool *pool = foreign_pool();
    const struct desc_message *m = desc_find_message(pool, "foreign.v1.Everything", 21);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int json = 0; json < 2; json++) {
            struct buf out = { 0 };
            struct guarded g = guarded_copy(cases[i].path, strlen(cases[i].path));
            problem_put_path(&out, m, (nrpc_slice){ g.data, strlen(cases[i].path) }, json);
            guarded_free(g);
            assert_string_equal(buf_str(&out), json ? cases[i].json : cases[i].proto);
            buf_done(&out);
        }
    desc_pool_free(pool);
}

/* What the gateway says itself: the fields at fault in either shape, and never without a reason. */
static void own_errors_have_details(void **state)
{
    (void) state;
    struct desc_pool *pool = foreign_pool();
    struct arena a;
    struct to_json json;
    struct buf out = { 0 };
    struct problem p = { .status = 400,
                         .code = NRPC_INVALID_ARGUMENT,
                         .reason = "INVALID_ARGUMENT",
                         .detail = "bad",
                         .own = true,
                         .input = desc_find_message(pool, "foreign.v1.Everything", 21) };
    arena_init(&a, 256);
    to_json_init(&json, pool, JSON_STANDARD);
    problem_put_status(&out, &p, NULL, &json);
    assert_string_equal(buf_str(&out),
                        "{\"code\":3,\"message\":\"bad\",\"details\":[{\"@type\":\"type."
                        "googleapis.com/google.rpc.ErrorInfo\",\"reason\":\"INVALID_ARGUMENT\","
                        "\"domain\":\"novel-gateway\",\"metadata\":{\"help\":\"the violations name "
                        "each field\"}}]}");
    /* The registry is whole: a status with a phrase, help for people. */
    for (size_t i = 0; i < reason_count(); i++) {
        const struct reason *r = reason_at(i);
        assert_ptr_equal(reason_find(r->name), r);
        assert_true(strlen(r->help) > 10 && r->status >= 400 && r->status < 600);
        assert_string_not_equal(problem_phrase(r->status), "Error");
    }
    assert_null(reason_find("CHARACTER_NOT_FOUND"));
    problem_add_field(&p, &a, "r_message[0].text", "is bad");
    buf_reset(&out);
    problem_put_status(&out, &p, NULL, &json);
    assert_non_null(strstr(buf_str(&out),
                           "{\"@type\":\"type.googleapis.com/google.rpc.BadRequest\","
                           "\"fieldViolations\":[{\"field\":\"rMessage[0].text\",\"description\":"
                           "\"is bad\"}]}"));
    buf_reset(&out);
    problem_put(&out, &p, NULL, NULL);
    assert_non_null(strstr(buf_str(&out),
                           "\"fields\":[{\"field\":\"r_message[0].text\",\"json_path\":"
                           "\"rMessage[0].text\",\"message\":\"is bad\"}]"));
    buf_done(&out);
    to_json_done(&json);
    arena_done(&a);
    desc_pool_free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(maps_codes),
                                        cmocka_unit_test(reads_details),
                                        cmocka_unit_test(special_reasons),
                                        cmocka_unit_test(standard_shape),
                                        cmocka_unit_test(paths_in_both_spellings),
                                        cmocka_unit_test(own_errors_have_details) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
