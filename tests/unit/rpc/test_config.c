/* Limits by method: which row wins, and what calls of both sides make of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "rpc/base/alloc.h"
#include "rpc/base/check.h"
#include "rpc/base/clock.h"
#include "rpc/call/config.h"
#include "tests/unit/rpc/rig.h"

static const struct call_limits base = { .max_message_bytes = 100, .max_send_bytes = 200 };

static void test_lookup(void **state)
{
    (void) state;
    const nrpc_retry_policy retry = { 9, 10, 100, 2, 1u << NRPC_UNAVAILABLE };
    const nrpc_method_config list[] = {
        { .name = "", .timeout_ms = 1 },
        { .name = "/a.B/", .timeout_ms = 2, .max_request_bytes = 7 },
        { .name = "/a.B/C", .timeout_ms = 3, .max_response_bytes = 8, .retry = &retry },
    };
    static const struct {
        const char *path;
        uint64_t want;
    } cases[] = {
        { "/a.B/C", 3 },  { "/a.B/D", 2 }, { "/a.B/CC", 2 },
        { "/a.Bb/C", 1 }, { "/x/y", 1 },   { "", 1 },
    };
    for (int server = 0; server < 2; server++) {
        struct config_table *t;
        assert_int_equal(config_table_new(list, 3, &base, server == 1, &t), 0);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
            assert_int_equal(config_table_find(t, cases[i].path)->timeout_ms, cases[i].want);
        const struct call_limits *b = &config_table_find(t, "/a.B/D")->limits;
        const struct call_limits *c = &config_table_find(t, "/a.B/C")->limits;
        assert_int_equal(b->max_message_bytes, server ? 7 : 100);
        assert_int_equal(b->max_send_bytes, server ? 200 : 7);
        assert_int_equal(c->max_message_bytes, server ? 100 : 8);
        assert_int_equal(c->max_send_bytes, server ? 8 : 200);
        assert_int_equal(config_table_find(t, "/a.B/C")->retry->max_attempts, 5);
        assert_null(config_table_find(t, "/a.B/D")->retry);
        config_table_free(t);
    }
    struct config_table *t;
    assert_int_equal(config_table_new(list + 1, 2, &base, false, &t), 0);
    assert_null(config_table_find(t, "/x/y"));
    config_table_free(t);
}

static void test_bad(void **state)
{
    (void) state;
    const nrpc_retry_policy good = { 2, 10, 100, 2, 2 }, one = { 1, 10, 100, 2, 2 },
                            no_codes = { 2, 10, 100, 2, 0 }, ok = { 2, 10, 100, 2, 1 },
                            strange = { 2, 10, 100, 2, 1u << 20 }, no_wait = { 2, 0, 100, 2, 2 },
                            shrinks = { 2, 10, 100, -1, 2 };
    const nrpc_hedging_policy hedging = { 2, 10, 0 }, single = { 1, 10, 0 };
    const nrpc_method_config bad[] = {
        { .name = NULL },
        { .name = "a.B/C" },
        { .name = "/" },
        { .name = "//" },
        { .name = "/a.B" },
        { .name = "//C" },
        { .name = "/a/b/c" },
        { .name = "/a.B/", .retry = &one },
        { .name = "/a.B/", .retry = &no_codes },
        { .name = "/a.B/", .retry = &ok },
        { .name = "/a.B/", .retry = &strange },
        { .name = "/a.B/", .retry = &no_wait },
        { .name = "/a.B/", .retry = &shrinks },
        { .name = "/a.B/", .hedging = &single },
        { .name = "/a.B/", .retry = &good, .hedging = &hedging },
    };
    struct config_table *t = NULL;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(config_table_new(&bad[i], 1, &base, true, &t), NRPC_E_INVAL);
    const nrpc_method_config twice[] = { { .name = "/a.B/C" }, { .name = "/a.B/C" } };
    assert_int_equal(config_table_new(twice, 2, &base, true, &t), NRPC_E_INVAL);
    int r = NRPC_E_NOMEM;
    for (uint64_t n = 1; r != 0; n++) {
        assert_int_equal(r, NRPC_E_NOMEM);
        assert_null(t);
        alloc_fail_at(n);
        r = config_table_new(twice, 1, &base, true, &t);
        alloc_fail_at(0);
    }
    config_table_free(t);
}

/* A method's memory that is used again for another method is another method. */
static void test_cache(void **state)
{
    (void) state;
    const nrpc_method_config list[] = { { .name = "/a.B/C", .timeout_ms = 3 } };
    struct config_table *t;
    static struct config_cache cache;
    nrpc_method m = { .path = "/a.B/C" };
    assert_int_equal(config_table_new(list, 1, &base, false, &t), 0);
    assert_null(config_cache_get(&cache, NULL, &m));
    for (int i = 0; i < 3; i++)
        assert_int_equal(config_cache_get(&cache, t, &m)->timeout_ms, 3);
    alloc_fail_at(UINT64_MAX);
    assert_non_null(config_cache_get(&cache, t, &m));
    assert_int_equal(alloc_count(), 0);
    alloc_fail_at(0);
    m.path = "/a.B/D";
    assert_null(config_cache_get(&cache, t, &m));
    m.path = "/a.B/C";
    alloc_fail_at(1);
    assert_non_null(config_cache_get(&cache, t, &m));
    alloc_fail_at(0);
    config_cache_done(&cache);
    config_table_free(t);
}

/* ---- running calls ---- */
static void server_rows(nrpc_server *s)
{
    const nrpc_method_config list[] = {
        { .name = "/test.Echo/", .max_request_bytes = 1000, .max_response_bytes = 3000 },
        { .name = "/test.Echo/Unary", .timeout_ms = 300 },
        { .name = "/test.Echo/Collect", .max_request_bytes = 8 << 20 },
    };
    assert_int_equal(nrpc_server_configure(s, list, ARRAY_SIZE(list)), 0);
    assert_int_equal(nrpc_server_configure(s, list, ARRAY_SIZE(list)), NRPC_E_STATE);
}

static void test_server_side(void **state)
{
    (void) state;
    static const struct {
        int method;
        const char *text;
        size_t pad;
        uint64_t timeout_ms;
        nrpc_code want;
    } cases[] = {
        { ECHO_UNARY, "sleep", 0, 0, NRPC_DEADLINE_EXCEEDED },
        { ECHO_UNARY, "sleep", 0, 60000, NRPC_DEADLINE_EXCEEDED },
        { ECHO_UNARY, "x", 2000, 0, NRPC_OK }, /* its row says nothing of sizes */
        { ECHO_STREAM, "x", 999, 0, NRPC_OK },
        { ECHO_STREAM, "x", 1000, 0, NRPC_RESOURCE_EXHAUSTED },
        { ECHO_CHAT, "x", 999, 0, NRPC_OK },
        { ECHO_COLLECT, "x", 5000000, 0, NRPC_OK },
    };
    rig_up(NULL, NULL, server_rows);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct rig_call r = { .method = &echo_service.methods[cases[i].method],
                              .text = cases[i].text,
                              .pad = cases[i].pad,
                              .options.timeout_ms = cases[i].timeout_ms };
        uint64_t began = clock_mono_ns();
        rig_run(&r, 1);
        if (r.st.code != cases[i].want)
            fail_msg("case %zu: %s %s", i, nrpc_code_name(r.st.code), r.st.message);
        if (cases[i].want == NRPC_DEADLINE_EXCEEDED)
            assert_in_range((clock_mono_ns() - began) / 1000000, 290, 20000);
        rig_done(&r);
    }
    assert_int_equal(nrpc_server_configure(rig_server, NULL, 0), NRPC_E_STATE);
    rig_down();
}

struct chosen {
    uint64_t ms;
};
static void see_deadline(struct rig_call *r)
{
    struct chosen *d = r->ctx;
    uint64_t due = nrpc_call_deadline_ns(r->call);
    d->ms = due == UINT64_MAX ? 0 : (due - clock_mono_ns()) / 1000000 + 1;
}

static void test_client_side(void **state)
{
    (void) state;
    const nrpc_method_config list[] = {
        { .name = "", .timeout_ms = 5000, .wait_for_ready = true, .max_response_bytes = 100 },
        { .name = "/test.Echo/Chat", .max_request_bytes = 10 },
    };
    static const struct {
        int method;
        size_t pad;
        uint64_t timeout_ms, want_ms;
        nrpc_code want;
    } cases[] = {
        { ECHO_UNARY, 0, 0, 5000, NRPC_OK },
        { ECHO_UNARY, 0, 1000, 1000, NRPC_OK },
        { ECHO_UNARY, 0, 90000, 5000, NRPC_OK },
        { ECHO_UNARY, 99, 0, 5000, NRPC_OK },
        { ECHO_UNARY, 100, 0, 5000, NRPC_RESOURCE_EXHAUSTED },
        { ECHO_CHAT, 9, 0, 0, NRPC_OK },
    };
    rig_up(NULL, NULL, NULL);
    assert_int_equal(nrpc_channel_configure(rig_channel, list, ARRAY_SIZE(list)), 0);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct chosen d = { 0 };
        struct rig_call r = { .method = &echo_service.methods[cases[i].method],
                              .text = "x",
                              .pad = cases[i].pad,
                              .options.timeout_ms = cases[i].timeout_ms,
                              .on_started = see_deadline,
                              .ctx = &d };
        rig_run(&r, 1);
        assert_int_equal(r.st.code, cases[i].want);
        assert_in_range(d.ms, cases[i].want_ms > 500 ? cases[i].want_ms - 500 : 0,
                        cases[i].want_ms);
        rig_done(&r);
    }
    rig_down();
}

int main(void)
{
    alarm(100);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lookup),      cmocka_unit_test(test_bad),
        cmocka_unit_test(test_cache),       cmocka_unit_test(test_server_side),
        cmocka_unit_test(test_client_side),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
