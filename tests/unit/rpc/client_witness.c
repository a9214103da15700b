/* client_witness STEADY AGEING NARROW — our client against three grpcio servers: one that fails to
 * order, one whose connections live a fifth of a second, one that takes two streams a connection.
 */
#include "tests/unit/rpc/client_rig.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *steady, *ageing, *narrow;

static void up(const char *target, const nrpc_retry_policy *retry,
               const nrpc_hedging_policy *hedging)
{
    const nrpc_channel_options o = { .target = target,
                                     .retry_throttle.max_tokens = 100,
                                     .health_service = "" }; /* grpcio has none here: healthy */
    rig_channel_up(&o);
    const nrpc_method_config row = { .name = "", .retry = retry, .hedging = hedging };
    assert_int_equal(nrpc_channel_configure(rig_channel, &row, 1), 0);
}

static const nrpc_retry_policy policy = { 4, 10, 100, 2, 1u << NRPC_UNAVAILABLE };

static void test_retries(void **state)
{
    (void) state;
    static const struct {
        const char *text, *answer;
        int method;
        nrpc_code code;
        unsigned requests, attempts;
        uint64_t least_ms;
    } cases[] = {
        { "again:0", "again:0", ECHO_UNARY, NRPC_OK, 1, 1, 0 },
        { "again:1", "again:1", ECHO_UNARY, NRPC_OK, 1, 2, 0 },
        { "again:3", "again:3", ECHO_UNARY, NRPC_OK, 1, 4, 0 },
        { "again:4", "", ECHO_UNARY, NRPC_UNAVAILABLE, 1, 4, 0 },
        { "later:150", "later:150", ECHO_UNARY, NRPC_OK, 1, 2, 150 },
        { "later:-1", "", ECHO_UNARY, NRPC_UNAVAILABLE, 1, 1, 0 },
        { "12345", "7:35", ECHO_COLLECT, NRPC_OK, 7, 2, 0 },
    };
    up(steady, &policy, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct ask a = { .text = cases[i].text,
                         .method = cases[i].method,
                         .requests = cases[i].requests };
        uint64_t begin = clock_mono_ns();
        rig_ask_all(&a, 1);
        if (a.st.code != cases[i].code || a.attempts != cases[i].attempts)
            fail_msg("%s: %s %s, %u attempts", cases[i].text, nrpc_code_name(a.st.code),
                     a.st.message, a.attempts);
        assert_string_equal(buf_str(&a.data), cases[i].answer);
        assert_true(clock_mono_ns() - begin >= cases[i].least_ms * 1000000);
        rig_ask_done(&a);
    }
    rig_channel_down();
    rig_nothing_left();
}

static void test_hedge(void **state)
{
    (void) state;
    const nrpc_hedging_policy hedging = { 3, 50, 1u << NRPC_UNAVAILABLE };
    up(steady, NULL, &hedging);
    struct ask a = { .text = "slow:1", .idempotent = true };
    uint64_t begin = clock_mono_ns();
    rig_ask_all(&a, 1);
    assert_int_equal(a.st.code, NRPC_OK);
    assert_int_equal(a.attempts, 2);
    assert_true(clock_mono_ns() - begin < 3000000000u); /* the first alone takes five seconds */
    rig_ask_done(&a);
    rig_channel_down();
    rig_nothing_left();
}

/* ---- many GOAWAYs, no policy ---- */
static uint64_t until_ns;
static unsigned calls;

static void again(struct ask *a)
{
    if (a->st.code != NRPC_OK)
        fail_msg("call %u: %s %s", calls, nrpc_code_name(a->st.code), a->st.message);
    assert_int_equal(a->messages, 1);
    rig_ask_done(a);
    calls++;
    if (clock_mono_ns() >= until_ns)
        return;
    *a = (struct ask){ .text = "again:0", .on_end = again };
    rig_ask_start(a);
}

static void test_ageing(void **state)
{
    (void) state;
    const nrpc_channel_options o = { .target = ageing };
    rig_channel_up(&o);
    until_ns = clock_mono_ns() + 3000000000u;
    static struct ask asks[10];
    for (int i = 0; i < 10; i++)
        asks[i] = (struct ask){ .text = "again:0", .on_end = again };
    rig_ask_begin(asks, 10);
    rig_finish();
    assert_true(calls > 100);
    print_message("%u calls\n", calls);
    rig_channel_down();
    rig_nothing_left();
}

static void test_narrow(void **state)
{
    (void) state;
    const nrpc_channel_options o = { .target = narrow, .max_connections = 3 };
    rig_channel_up(&o);
    static struct ask asks[100];
    for (int i = 0; i < 100; i++)
        asks[i] = (struct ask){ .text = "again:0" };
    rig_ask_all(asks, 100);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(asks[i].st.code, NRPC_OK);
        rig_ask_done(&asks[i]);
    }
    nrpc_backend b;
    assert_int_equal(nrpc_channel_backends(rig_channel, &b, 1), 1);
    assert_int_equal(b.connections, 3);
    rig_channel_down();
    rig_nothing_left();
}

int main(int argc, char **argv)
{
    if (argc != 4)
        return 2;
    steady = argv[1];
    ageing = argv[2];
    narrow = argv[3];
    alarm(90);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_retries),
        cmocka_unit_test(test_hedge),
        cmocka_unit_test(test_ageing),
        cmocka_unit_test(test_narrow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
