/* witness_client ADDRESS — our channel against a server of somebody else: test.Echo as
 * witness_grpcio_server.py has it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "rpc/base/check.h"
#include "tests/unit/rpc/rig.h"

static const char *address;
static const nrpc_method *method(int which)
{
    return &echo_service.methods[which];
}

static void answer_in(struct rig_call *r)
{
    const char *encoding = r->ctx;
    if (encoding != NULL)
        assert_int_equal(
            nrpc_metadata_add_string(nrpc_call_headers_out(r->call), "x-answer-in", encoding), 0);
}

static void every_second_plain(struct rig_call *r, unsigned i)
{
    if (i % 2 == 1)
        nrpc_call_compress_next(r->call, false);
}

/* Every encoding there with every encoding back, all kinds of call. */
static void test_compression(void **state)
{
    (void) state;
    static const char *const names[] = { "identity", "gzip", "deflate" };
    rig_connect(address, NULL);
    for (unsigned i = 0; i < 9; i++) {
        nrpc_compression there = (nrpc_compression) (i % 3), back = (nrpc_compression) (i / 3);
        struct rig_call calls[] = {
            { .method = method(ECHO_UNARY), .text = "abc", .pad = 300000 },
            { .method = method(ECHO_STREAM), .text = "abc", .pad = 30000 },
            { .method = method(ECHO_COLLECT), .text = "abc", .pad = 30000, .requests = 7 },
            { .method = method(ECHO_CHAT), .text = "abc", .pad = 30000, .requests = 7 },
        };
        for (size_t k = 0; k < ARRAY_SIZE(calls); k++) {
            calls[k].options.compression = there;
            calls[k].options.compression_set = true;
            calls[k].on_started = answer_in;
            calls[k].before_send = every_second_plain;
            calls[k].ctx = (void *) (uintptr_t) names[back];
        }
        rig_run(calls, ARRAY_SIZE(calls));
        for (size_t k = 0; k < ARRAY_SIZE(calls); k++)
            if (calls[k].st.code != NRPC_OK)
                fail_msg("%u, %zu: %s", i, k, calls[k].st.message);
        assert_int_equal(calls[0].data.size, 300003);
        assert_int_equal(calls[1].data.size, 4 * 30003);
        assert_string_equal(buf_str(&calls[2].data), "7:210021");
        assert_int_equal(calls[3].data.size, 7 * 30003);
        if (back != NRPC_IDENTITY) {
            assert_int_equal(calls[0].encoding, back);
            assert_string_equal(buf_str(&calls[0].flags), "1");
            assert_string_equal(buf_str(&calls[1].flags), "1010");
        }
        for (size_t k = 0; k < ARRAY_SIZE(calls); k++)
            rig_done(&calls[k]);
    }
    rig_down();
}

static void test_status(void **state)
{
    (void) state;
    rig_connect(address, NULL);
    struct rig_call r = { .text = "fail:9:100 % \xc3\xa9\n" };
    rig_run(&r, 1);
    assert_int_equal(r.st.code, NRPC_FAILED_PRECONDITION);
    assert_string_equal(r.st.message, "100 % \xc3\xa9\n");
    assert_non_null(strstr(buf_str(&r.trailer), "x-t=1;"));
    rig_done(&r);
    rig_down();
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return 2;
    address = argv[1];
    alarm(100);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compression),
        cmocka_unit_test(test_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
