/* Compression between the two sides of the runtime: who says what, which flag travels, limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "rpc/base/check.h"
#include "tests/unit/rpc/rig.h"

static const nrpc_method *method(int which)
{
    return &echo_service.methods[which];
}

/* What the server saw of the request: "COMPRESSED ENCODING SIZE". */
static void test_requests(void **state)
{
    (void) state;
    static const struct {
        nrpc_compression channel, call;
        bool call_set;
        size_t pad;
        const char *want;
    } cases[] = {
        { NRPC_IDENTITY, NRPC_IDENTITY, false, 5000, "0 0 5004" },
        { NRPC_GZIP, NRPC_IDENTITY, false, 5000, "1 1 5004" },
        { NRPC_DEFLATE, NRPC_IDENTITY, false, 5000, "1 2 5004" },
        { NRPC_GZIP, NRPC_IDENTITY, true, 5000, "0 0 5004" },
        { NRPC_GZIP, NRPC_DEFLATE, true, 5000, "1 2 5004" },
        /* Not asked for: only what gains.  Asked for: always. */
        { NRPC_GZIP, NRPC_IDENTITY, false, 0, "0 1 4" },
        { NRPC_GZIP, NRPC_IDENTITY, false, 1100000, "0 1 1100004" },
        { NRPC_IDENTITY, NRPC_GZIP, true, 0, "1 1 4" },
        { NRPC_IDENTITY, NRPC_DEFLATE, true, 3000000, "1 2 3000004" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const nrpc_channel_options o = { .compression = cases[i].channel };
        rig_up(NULL, &o, NULL);
        struct rig_call r = { .text = "flag", .pad = cases[i].pad };
        r.options.compression = cases[i].call;
        r.options.compression_set = cases[i].call_set;
        rig_run(&r, 1);
        assert_int_equal(r.st.code, NRPC_OK);
        assert_string_equal(buf_str(&r.data), cases[i].want);
        assert_string_equal(buf_str(&r.flags), "0");
        rig_done(&r);
        rig_down();
    }
}

/* Bytes in which nothing repeats do not become shorter. */
static void noise(struct rig_call *r)
{
    static char text[600];
    uint64_t x = 88172645463325252u;
    memcpy(text, "flag", 4);
    for (size_t i = 4; i < sizeof text - 1; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        text[i] = (char) (1 + x % 255);
    }
    r->text = text;
}

static void every_second_plain(struct rig_call *r, unsigned i)
{
    if (i % 2 == 1)
        nrpc_call_compress_next(r->call, false);
}
static void first_forced(struct rig_call *r, unsigned i)
{
    if (i == 0)
        nrpc_call_compress_next(r->call, true);
}
static void choose_gzip(struct rig_call *r)
{
    assert_int_equal(nrpc_call_set_compression(r->call, (nrpc_compression) 7), NRPC_E_INVAL);
    assert_int_equal(nrpc_call_set_compression(r->call, NRPC_GZIP), 0);
}
static void too_late(struct rig_call *r, unsigned i)
{
    assert_int_equal(nrpc_call_set_compression(r->call, NRPC_DEFLATE), i == 0 ? 0 : NRPC_E_STATE);
}

static void test_choices(void **state)
{
    (void) state;
    const nrpc_channel_options o = { .compression = NRPC_GZIP };
    rig_up(NULL, &o, NULL);
    struct rig_call calls[] = {
        { .on_started = noise },
        { .on_started = noise, .before_send = first_forced },
        { .text = "flag", .pad = 1000, .before_send = every_second_plain },
        { .text = "flag", .pad = 1000, .before_send = too_late },
        { .text = "flag", .pad = 9, .on_started = choose_gzip },
        { .method = method(ECHO_COLLECT),
          .text = "abc",
          .pad = 1000,
          .requests = 5,
          .before_send = every_second_plain },
        { .method = method(ECHO_CHAT),
          .text = "abc",
          .pad = 1000,
          .requests = 5,
          .before_send = every_second_plain },
        { .text = NULL, .on_started = choose_gzip },
    };
    static const char *const want[] = { "0 1 599",  "1 1 599", "1 1 1004",
                                        "1 2 1004", "1 1 13",  "5:5015" };
    rig_run(calls, ARRAY_SIZE(calls));
    for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
        assert_int_equal(calls[i].st.code, NRPC_OK);
        if (i < ARRAY_SIZE(want))
            assert_string_equal(buf_str(&calls[i].data), want[i]);
    }
    assert_int_equal(calls[6].data.size, 5 * 1003);
    assert_int_equal(calls[7].messages, 1);
    assert_int_equal(calls[7].data.size, 0);
    for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
        rig_done(&calls[i]);
    rig_down();
}

static void test_answers(void **state)
{
    (void) state;
    static const struct {
        nrpc_compression server;
        int method;
        const char *text;
        size_t size;
        nrpc_compression want;
        const char *flags;
    } cases[] = {
        { NRPC_IDENTITY, ECHO_UNARY, "squeeze:1:10000", 10000, NRPC_GZIP, "1" },
        { NRPC_IDENTITY, ECHO_UNARY, "squeeze:2:10000", 10000, NRPC_DEFLATE, "1" },
        { NRPC_IDENTITY, ECHO_UNARY, "squeeze:1:1", 1, NRPC_GZIP, "1" },
        { NRPC_IDENTITY, ECHO_UNARY, "squeeze:1:0", 0, NRPC_GZIP, "0" },
        { NRPC_GZIP, ECHO_UNARY, "squeeze:0:10000", 10000, NRPC_IDENTITY, "0" },
        { NRPC_GZIP, ECHO_UNARY, "big:10000", 10000, NRPC_GZIP, "1" },
        { NRPC_GZIP, ECHO_UNARY, "big:10", 10, NRPC_GZIP, "0" },
        { NRPC_DEFLATE, ECHO_STREAM, "count:3:2000", 6000, NRPC_DEFLATE, "111" },
        { NRPC_IDENTITY, ECHO_STREAM, "squeeze:1:5000", 20000, NRPC_GZIP, "1010" },
        { NRPC_IDENTITY, ECHO_STREAM, "count:3:2000", 6000, NRPC_IDENTITY, "000" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const nrpc_server_options o = { .loops = 1, .compression = cases[i].server };
        rig_up(&o, NULL, NULL);
        struct rig_call r = { .method = method(cases[i].method), .text = cases[i].text };
        rig_run(&r, 1);
        assert_int_equal(r.st.code, NRPC_OK);
        assert_int_equal(r.data.size, cases[i].size);
        assert_int_equal(r.encoding, cases[i].want);
        assert_string_equal(buf_str(&r.flags), cases[i].flags);
        rig_done(&r);
        rig_down();
    }
}

/* What is small on the wire and large behind it: refused on either side, and the connection lives.
 */
static void test_limits(void **state)
{
    (void) state;
    const nrpc_server_options so = { .loops = 1, .max_message_bytes = 100000 };
    const nrpc_channel_options co = { .max_message_bytes = 50000 };
    rig_up(&so, &co, NULL);
    struct rig_call calls[] = {
        { .text = "flag", .pad = 99996 },
        { .text = "flag", .pad = 99997 },
        { .text = "flag", .pad = 60000000 },
        { .text = "squeeze:1:50000" },
        { .text = "squeeze:1:50001" },
        { .method = method(ECHO_STREAM), .text = "squeeze:2:60000000" },
    };
    static const nrpc_code want[] = { NRPC_OK, NRPC_RESOURCE_EXHAUSTED, NRPC_RESOURCE_EXHAUSTED,
                                      NRPC_OK, NRPC_RESOURCE_EXHAUSTED, NRPC_RESOURCE_EXHAUSTED };
    for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
        calls[i].options = (nrpc_call_options){ .compression = NRPC_GZIP, .compression_set = true };
        rig_run(&calls[i], 1);
        if (calls[i].st.code != want[i])
            fail_msg("call %zu: %s %s", i, nrpc_code_name(calls[i].st.code), calls[i].st.message);
        rig_done(&calls[i]);
    }
    nrpc_gauges g;
    nrpc_gauges_read(&g);
    assert_int_equal(g.connections, 2); /* the two ends of one */
    rig_down();
}

static void test_options(void **state)
{
    (void) state;
    const nrpc_server_options so = { .loops = 1, .compression = (nrpc_compression) 3 };
    nrpc_server *s = NULL;
    assert_int_equal(nrpc_server_new(&so, &s), NRPC_E_INVAL);
    assert_null(s);
    const nrpc_channel_options co = { .target = "127.0.0.1:1",
                                      .compression = (nrpc_compression) 3 };
    nrpc_loop *l;
    nrpc_channel *ch = NULL;
    assert_int_equal(nrpc_loop_new(&l), 0);
    assert_int_equal(nrpc_channel_new(l, &co, &ch), NRPC_E_INVAL);
    assert_null(ch);
    nrpc_loop_free(l);
}

int main(void)
{
    alarm(100);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests), cmocka_unit_test(test_choices),
        cmocka_unit_test(test_answers),  cmocka_unit_test(test_limits),
        cmocka_unit_test(test_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
