/* Which backend gets a call: balancing, pools of connections, health checks, outliers. */
#include "tests/unit/rpc/client_rig.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/rpc/raw_server.h"

static char paths[3][64], target[256];

static const struct raw_step always_ok = { RAW_OK, 0, NULL };

static int count_peer(const struct ask *asks, size_t n, const char *peer)
{
    int count = 0;
    for (size_t i = 0; i < n; i++)
        count += strcmp(asks[i].peer, peer) == 0;
    return count;
}

static void done_all(struct ask *asks, size_t n)
{
    for (size_t i = 0; i < n; i++)
        rig_ask_done(&asks[i]);
}

static bool all_ready(void *ctx)
{
    nrpc_backend list[8];
    size_t n = nrpc_channel_backends(rig_channel, list, 8), ready = 0;
    for (size_t i = 0; i < n; i++)
        ready += list[i].state == NRPC_CHANNEL_READY && list[i].healthy;
    return ready == (size_t) (uintptr_t) ctx;
}

static void test_in_turn(void **state)
{
    (void) state;
    nrpc_server *s[3];
    for (int i = 0; i < 3; i++)
        s[i] = rig_server(paths[i], NULL, false);
    const nrpc_channel_options o = {
        .target = target, .balance = NRPC_ROUND_ROBIN, .backoff_min_ms = 10, .backoff_max_ms = 20
    };
    rig_channel_up(&o);
    nrpc_channel_connect(rig_channel);
    rig_until(all_ready, (void *) 3);
    static struct ask asks[30];
    for (size_t i = 0; i < 30; i++)
        asks[i] = (struct ask){ .text = "x" };
    rig_ask_all(asks, 30);
    for (int i = 0; i < 3; i++)
        assert_int_equal(count_peer(asks, 30, paths[i]), 10);
    done_all(asks, 30);
    /* One goes and comes back, while the others work: nobody notices, and it gets calls again. */
    rig_server_down(s[1], 0);
    rig_until(all_ready, (void *) 2);
    for (int i = 0; i < 10; i++)
        assert_int_equal(rig_ask("x"), NRPC_OK);
    s[1] = rig_server(paths[1], NULL, false);
    rig_until(all_ready, (void *) 3);
    for (size_t i = 0; i < 30; i++)
        asks[i] = (struct ask){ .text = "x" };
    rig_ask_all(asks, 30);
    assert_int_equal(count_peer(asks, 30, paths[1]), 10);
    done_all(asks, 30);
    rig_channel_down();
    for (int i = 0; i < 3; i++)
        rig_server_down(s[i], 1000);
    rig_nothing_left();
}

static void test_least_calls(void **state)
{
    (void) state;
    nrpc_server *s[3];
    for (int i = 0; i < 3; i++)
        s[i] = rig_server(paths[i], NULL, false);
    const nrpc_channel_options o = { .target = target, .balance = NRPC_LEAST_CALLS };
    rig_channel_up(&o);
    nrpc_channel_connect(rig_channel);
    rig_until(all_ready, (void *) 3);
    /* Long calls spread evenly, one by one; short ones go where fewer are. */
    struct ask slow[7];
    for (size_t i = 0; i < 7; i++) {
        slow[i] = (struct ask){ .text = "sleep" };
        rig_ask_begin(&slow[i], 1);
    }
    int most = 0, least = 100;
    nrpc_backend list[3];
    nrpc_channel_backends(rig_channel, list, 3);
    for (int i = 0; i < 3; i++) {
        most = (int) list[i].calls > most ? (int) list[i].calls : most;
        least = (int) list[i].calls < least ? (int) list[i].calls : least;
    }
    assert_int_equal(most, 3);
    assert_int_equal(least, 2);
    for (int i = 0; i < 12; i++) {
        struct ask a = { .text = "x" };
        rig_ask_begin(&a, 1);
        while (a.ends == 0)
            rig_idle(1);
        assert_int_equal(a.st.code, NRPC_OK);
        for (int k = 0; k < 3; k++)
            if (list[k].calls == 3)
                assert_string_not_equal(a.peer, list[k].address);
        rig_ask_done(&a);
    }
    for (size_t i = 0; i < 7; i++)
        nrpc_call_cancel(slow[i].call);
    rig_finish();
    done_all(slow, 7);
    rig_channel_down();
    for (int i = 0; i < 3; i++)
        rig_server_down(s[i], 1000);
    rig_nothing_left();
}

/* The peer takes two streams a connection, we may have three connections: seven long calls make
 * three connections and one waits; then they end in the order of their start. */
static void test_pool(void **state)
{
    (void) state;
    const nrpc_server_options narrow = { .loops = 1, .max_streams = 2 };
    nrpc_server *s = rig_server(paths[0], &narrow, false);
    const nrpc_channel_options o = { .target = paths[0], .max_connections = 3 };
    rig_channel_up(&o);
    struct ask slow[7];
    for (size_t i = 0; i < 7; i++)
        slow[i] = (struct ask){ .method = ECHO_CHAT, .text = "x", .open_end = true };
    rig_ask_begin(slow, 7);
    nrpc_backend b;
    do {
        rig_idle(5);
        assert_int_equal(nrpc_channel_backends(rig_channel, &b, 1), 1);
    } while (b.connections < 3 || b.calls < 6);
    rig_idle(50);
    nrpc_channel_backends(rig_channel, &b, 1);
    assert_int_equal(b.connections, 3);
    assert_int_equal(b.calls, 6);
    for (int i = 0; i < 6; i++)
        assert_int_equal(slow[i].messages, 1);
    assert_int_equal(slow[6].messages, 0);
    assert_int_equal(nrpc_call_half_close(slow[3].call), 0);
    while (slow[6].messages == 0)
        rig_idle(1);
    for (int i = 0; i < 7; i++)
        if (slow[i].call != NULL)
            (void) nrpc_call_half_close(slow[i].call);
    rig_finish();
    for (int i = 0; i < 7; i++)
        assert_int_equal(slow[i].st.code, NRPC_OK);
    done_all(slow, 7);
    rig_channel_down();
    rig_server_down(s, 1000);
    rig_nothing_left();
}

/* One stream at a time over one connection: calls wait in order. */
static void test_one_stream(void **state)
{
    (void) state;
    const struct raw_server_options one = {
        .steps = &always_ok, .n_steps = 1, .max_streams = 1, .settings_ms = 100
    };
    struct raw_server *s = raw_server_start(paths[0], &one);
    const nrpc_channel_options o = { .target = paths[0], .max_connections = 1 };
    rig_channel_up(&o);
    static struct ask asks[50];
    for (size_t i = 0; i < 50; i++)
        asks[i] = (struct ask){ .text = "x" };
    rig_ask_all(asks, 50);
    for (size_t i = 0; i < 50; i++) {
        if (asks[i].st.code != NRPC_OK)
            fail_msg("call %zu: %s", i, asks[i].st.message);
        assert_int_equal(asks[i].order, i + 1);
    }
    assert_int_equal(raw_server_connections(s), 1);
    assert_int_equal(raw_server_requests(s, NULL, 0), 50);
    done_all(asks, 50);
    rig_channel_down();
    raw_server_stop(s);
    rig_nothing_left();
}

static void test_health(void **state)
{
    (void) state;
    nrpc_server *s[3];
    for (int i = 0; i < 3; i++)
        s[i] = rig_server(paths[i], NULL, i < 2); /* the third has no health service */
    nrpc_server_set_serving(s[0], "shop", false);
    nrpc_server_set_serving(s[1], "shop", true);
    const nrpc_channel_options o = { .target = target,
                                     .balance = NRPC_ROUND_ROBIN,
                                     .health_service = "shop" };
    rig_channel_up(&o);
    nrpc_channel_connect(rig_channel);
    rig_until(all_ready, (void *) 2);
    static struct ask asks[20];
    for (size_t i = 0; i < 20; i++)
        asks[i] = (struct ask){ .text = "x" };
    rig_ask_all(asks, 20);
    assert_int_equal(count_peer(asks, 20, paths[0]), 0);
    assert_int_equal(count_peer(asks, 20, paths[1]), 10);
    assert_int_equal(count_peer(asks, 20, paths[2]), 10);
    done_all(asks, 20);
    nrpc_server_set_serving(s[0], "shop", true);
    rig_until(all_ready, (void *) 3);
    nrpc_server_set_serving(s[1], "shop", false);
    rig_until(all_ready, (void *) 2);
    for (size_t i = 0; i < 20; i++)
        asks[i] = (struct ask){ .text = "x" };
    rig_ask_all(asks, 20);
    assert_int_equal(count_peer(asks, 20, paths[0]), 10);
    assert_int_equal(count_peer(asks, 20, paths[1]), 0);
    done_all(asks, 20);
    rig_channel_down();
    /* All say no: calls fail and say why, patient ones wait for the first yes. */
    nrpc_server_set_serving(s[0], "shop", false);
    const nrpc_channel_options first = { .target = paths[0], .health_service = "shop" };
    rig_channel_up(&first);
    struct ask hasty = { .text = "x" }, patient = { .text = "x", .options.wait_for_ready = true };
    rig_ask_begin(&patient, 1);
    rig_ask_begin(&hasty, 1);
    while (hasty.ends == 0)
        rig_idle(1);
    assert_int_equal(hasty.st.code, NRPC_UNAVAILABLE);
    assert_non_null(strstr(hasty.st.message, "SERVING"));
    assert_int_equal(nrpc_channel_get_state(rig_channel), NRPC_CHANNEL_BACKOFF);
    nrpc_server_set_serving(s[0], "shop", true);
    rig_finish();
    assert_int_equal(patient.st.code, NRPC_OK);
    rig_ask_done(&hasty);
    rig_ask_done(&patient);
    rig_channel_down();
    for (int i = 0; i < 3; i++)
        rig_server_down(s[i], 1000);
    rig_nothing_left();
}

/* A backend that fails three in a row is out for 100 ms, then one call decides: out for 200. */
static bool is_ejected(void *ctx)
{
    nrpc_backend list[3];
    nrpc_channel_backends(rig_channel, list, 3);
    return list[0].ejected == ((uintptr_t) ctx != 0);
}

static nrpc_circuit circuit_of_first(void)
{
    nrpc_backend list[3];
    nrpc_channel_backends(rig_channel, list, 3);
    return list[0].circuit;
}

/* Half open: one call is let through, the others go elsewhere until it has ended; success closes.
 */
static void test_single_probe(void **state)
{
    (void) state;
    static const struct raw_step steps[] = { { RAW_FAIL, NRPC_UNAVAILABLE, NULL },
                                             { RAW_FAIL, NRPC_UNAVAILABLE, NULL },
                                             { RAW_SILENT, 0, NULL },
                                             { RAW_OK, 0, NULL } };
    char two[140];
    snprintf(two, sizeof two, "%s,%s", paths[0], paths[1]);
    const struct raw_server_options shaky = { .steps = steps, .n_steps = 4 };
    struct raw_server *s0 = raw_server_start(paths[0], &shaky);
    nrpc_server *s1 = rig_server(paths[1], NULL, false);
    const nrpc_channel_options o = {
        .target = two,
        .balance = NRPC_ROUND_ROBIN,
        .outlier = { .consecutive_failures = 2, .ejection_ms = 200, .interval_ms = 3600000 },
    };
    rig_channel_up(&o);
    nrpc_channel_connect(rig_channel);
    rig_until(all_ready, (void *) 2);
    assert_int_equal(circuit_of_first(), NRPC_CIRCUIT_CLOSED);
    for (int i = 0; i < 4; i++)
        (void) rig_ask("x");
    assert_int_equal(circuit_of_first(), NRPC_CIRCUIT_OPEN);
    for (int i = 0; i < 4; i++)
        assert_int_equal(rig_ask("x"), NRPC_OK);
    rig_until(is_ejected, NULL);
    /* The probe hangs: nobody else goes there meanwhile. */
    struct ask probe[2] = { { .text = "x" }, { .text = "x" } };
    rig_ask_begin(&probe[0], 1);
    rig_ask_begin(&probe[1], 1);
    while (probe[0].ends + probe[1].ends < 1)
        rig_idle(1);
    for (int i = 0; i < 6; i++)
        assert_int_equal(rig_ask("x"), NRPC_OK);
    assert_int_equal(raw_server_requests(s0, NULL, 0), 3);
    assert_int_equal(circuit_of_first(), NRPC_CIRCUIT_HALF_OPEN);
    /* Given up, it says nothing; the next call is the probe, and its success closes. */
    nrpc_call_cancel(probe[probe[0].ends == 0 ? 0 : 1].call);
    rig_finish();
    rig_ask_done(&probe[0]);
    rig_ask_done(&probe[1]);
    for (int i = 0; i < 2; i++)
        assert_int_equal(rig_ask("x"), NRPC_OK);
    assert_int_equal(raw_server_requests(s0, NULL, 0), 4);
    assert_int_equal(circuit_of_first(), NRPC_CIRCUIT_CLOSED);
    rig_channel_down();
    raw_server_stop(s0);
    rig_server_down(s1, 1000);
    rig_nothing_left();
}

static void test_outlier(void **state)
{
    (void) state;
    static const struct raw_step bad = { RAW_FAIL, NRPC_UNAVAILABLE, NULL };
    const struct raw_server_options failing = { .steps = &bad, .n_steps = 1 };
    struct raw_server *s0 = raw_server_start(paths[0], &failing);
    nrpc_server *s1 = rig_server(paths[1], NULL, false), *s2 = rig_server(paths[2], NULL, false);
    const nrpc_channel_options o = {
        .target = target,
        .balance = NRPC_ROUND_ROBIN,
        .outlier = { .consecutive_failures = 3, .ejection_ms = 100, .interval_ms = 3600000 },
    };
    rig_channel_up(&o);
    nrpc_channel_connect(rig_channel);
    rig_until(all_ready, (void *) 3);
    for (unsigned times = 1; times <= 2; times++) {
        int failed = 0;
        uint64_t out_ns = 0;
        for (int i = 0; i < 9; i++) {
            failed += rig_ask("x") == NRPC_UNAVAILABLE;
            if (out_ns == 0 && is_ejected((void *) 1))
                out_ns = clock_mono_ns();
        }
        assert_int_equal(failed, times == 1 ? 3 : 1);
        assert_true(is_ejected((void *) 1));
        for (int i = 0; i < 10 && is_ejected((void *) 1); i++)
            if (rig_ask("x") != NRPC_OK)
                assert_true(is_ejected((void *) 0) || clock_mono_ns() - out_ns > 90000000);
        rig_until(is_ejected, NULL);
        assert_int_equal(circuit_of_first(), NRPC_CIRCUIT_HALF_OPEN);
        assert_true(clock_mono_ns() - out_ns >= times * UINT64_C(95000000));
    }
    rig_channel_down();
    /* Alone it gets the calls all the same: no backend is worse than a bad one. */
    const nrpc_channel_options alone = { .target = paths[0],
                                         .outlier = { .consecutive_failures = 1 } };
    rig_channel_up(&alone);
    int before = raw_server_requests(s0, NULL, 0);
    for (int i = 0; i < 5; i++)
        assert_int_equal(rig_ask("x"), NRPC_UNAVAILABLE);
    assert_int_equal(raw_server_requests(s0, NULL, 0) - before, 5);
    rig_channel_down();
    raw_server_stop(s0);
    rig_server_down(s1, 1000);
    rig_server_down(s2, 1000);
    rig_nothing_left();
}

/* A server that finds our PINGs too many: the next connection sends half as many. */
static void test_fewer_pings(void **state)
{
    (void) state;
    static const struct raw_step silent = { RAW_SILENT, 0, NULL };
    const struct raw_server_options o = { .steps = &silent, .n_steps = 1, .too_many_pings = true };
    struct raw_server *s = raw_server_start(paths[0], &o);
    const nrpc_channel_options co = { .target = paths[0], .keepalive_ms = 10000 };
    rig_channel_up(&co);
    assert_int_equal(rig_channel->conn_options.keepalive_ms, 10000);
    rig_channel->conn_options.keepalive_ms = 30; /* less than anybody may ask for */
    for (uint32_t ms = 30; ms <= 60; ms *= 2) {
        uint64_t begin = clock_mono_ns();
        assert_int_equal(rig_ask("x"), NRPC_UNAVAILABLE);
        assert_true(clock_mono_ns() - begin >= (ms - 1) * UINT64_C(1000000));
        assert_int_equal(rig_channel->conn_options.keepalive_ms, 2 * ms);
    }
    assert_int_equal(raw_server_pings(s), 2);
    rig_channel_down();
    raw_server_stop(s);
    rig_nothing_left();
}

int main(void)
{
    for (int i = 0; i < 3; i++)
        rig_path(paths[i], i);
    snprintf(target, sizeof target, "%s,%s,%s", paths[0], paths[1], paths[2]);
    alarm(60);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_turn),     cmocka_unit_test(test_least_calls),
        cmocka_unit_test(test_pool),        cmocka_unit_test(test_one_stream),
        cmocka_unit_test(test_health),      cmocka_unit_test(test_outlier),
        cmocka_unit_test(test_fewer_pings), cmocka_unit_test(test_single_probe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
