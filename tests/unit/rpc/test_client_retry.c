/* Attempts after the first: transparent ones and by policy; against a server that misbehaves
 * to order. */
#include "tests/unit/rpc/client_rig.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/rpc/raw_server.h"

static char paths[3][64], target[256];

enum { STEPS = 6 };
#define CODE(c) (1u << NRPC_##c)
static const nrpc_retry_policy quick = {
    .max_attempts = 4,
    .initial_backoff_ms = 20,
    .max_backoff_ms = 80,
    .backoff_multiplier = 2,
    .codes = CODE(UNAVAILABLE) | CODE(ABORTED),
};

static void up(const char *to, const nrpc_retry_policy *retry, const nrpc_hedging_policy *hedging,
               uint32_t tokens)
{
    const nrpc_channel_options o = { .target = to,
                                     .balance = NRPC_ROUND_ROBIN,
                                     .backoff_min_ms = 5,
                                     .backoff_max_ms = 10,
                                     .retry_throttle.max_tokens = tokens };
    rig_channel_up(&o);
    const nrpc_method_config row = { .name = "/test.Echo/", .retry = retry, .hedging = hedging };
    if (retry != NULL || hedging != NULL)
        assert_int_equal(nrpc_channel_configure(rig_channel, &row, 1), 0);
}

/* ---- one call against a script ---- */
struct script {
    const char *what;
    struct raw_step steps[STEPS]; /* the last that is set holds on */
    int n_steps;
    bool policy;
    int method;
    unsigned requests;
    size_t pad;
    nrpc_code code;
    unsigned messages, attempts;
    int previous[STEPS]; /* of each request; -1: no such header */
};

static void run_script(const struct script *s)
{
    const struct raw_server_options so = { .steps = s->steps, .n_steps = s->n_steps };
    struct raw_server *server = raw_server_start(paths[0], &so);
    up(paths[0], s->policy ? &quick : NULL, NULL, 0);
    struct ask a = { .method = s->method,
                     .text = "hello",
                     .requests = s->requests,
                     .pad = s->pad,
                     .options = { .wait_for_ready = true, .timeout_ms = 8000 } };
    rig_ask_all(&a, 1);
    if (a.st.code != s->code || a.messages != s->messages || a.attempts != s->attempts)
        fail_msg("%s: %s (%s), %u messages, %u attempts", s->what, nrpc_code_name(a.st.code),
                 a.st.message, a.messages, a.attempts);
    struct raw_request seen[STEPS * 2];
    int n = raw_server_requests(server, seen, STEPS * 2);
    if (n != (int) s->attempts)
        fail_msg("%s: the server saw %d requests", s->what, n);
    for (int i = 0; i < n && i < STEPS; i++)
        if (seen[i].previous != s->previous[i])
            fail_msg("%s: request %d says %d", s->what, i, seen[i].previous);
    if (s->code == NRPC_OK)
        assert_int_equal(seen[n - 1].bytes, s->requests * (5 + 5 + s->pad));
    if (s->code == NRPC_OK && s->requests <= 1 && s->pad == 0)
        assert_string_equal(buf_str(&a.data), "hello");
    rig_ask_done(&a);
    rig_channel_down();
    raw_server_stop(server);
    rig_nothing_left();
}

#define FAIL(c)                                                                                    \
    {                                                                                              \
        RAW_FAIL, NRPC_##c, NULL                                                                   \
    }
#define PUSH(c, ms)                                                                                \
    {                                                                                              \
        RAW_FAIL, NRPC_##c, ms                                                                     \
    }
#define ACT(a)                                                                                     \
    {                                                                                              \
        a, 0, NULL                                                                                 \
    }

static const struct script scripts[] = {
    /* transparent: no policy */
    { "refused",
      { ACT(RAW_REFUSE), ACT(RAW_OK) },
      2,
      false,
      ECHO_UNARY,
      1,
      0,
      NRPC_OK,
      1,
      2,
      { -1, -1 } },
    { "refused when whole",
      { ACT(RAW_REFUSE_LATE), ACT(RAW_OK) },
      2,
      false,
      ECHO_UNARY,
      1,
      0,
      NRPC_OK,
      1,
      2,
      { -1, -1 } },
    { "refused twice",
      { ACT(RAW_REFUSE) },
      1,
      false,
      ECHO_UNARY,
      1,
      0,
      NRPC_UNAVAILABLE,
      0,
      2,
      { -1, -1 } },
    { "GOAWAY below it",
      { ACT(RAW_GOAWAY_BELOW), ACT(RAW_OK) },
      2,
      false,
      ECHO_UNARY,
      1,
      0,
      NRPC_OK,
      1,
      2,
      { -1, -1 } },
    { "GOAWAY twice",
      { ACT(RAW_GOAWAY_TWICE), ACT(RAW_OK) },
      2,
      false,
      ECHO_UNARY,
      1,
      0,
      NRPC_OK,
      1,
      2,
      { -1, -1 } },
    { "GOAWAY with it", { ACT(RAW_GOAWAY_OK) }, 1, false, ECHO_UNARY, 1, 0, NRPC_OK, 1, 1, { -1 } },
    { "lost before an answer",
      { ACT(RAW_CLOSE) },
      1,
      false,
      ECHO_UNARY,
      1,
      0,
      NRPC_UNAVAILABLE,
      0,
      1,
      { -1 } },
    { "lost after headers",
      { ACT(RAW_HEADERS_CLOSE) },
      1,
      true,
      ECHO_UNARY,
      1,
      0,
      NRPC_UNAVAILABLE,
      0,
      1,
      { -1 } },
    { "lost after a message",
      { ACT(RAW_MESSAGE_CLOSE) },
      1,
      true,
      ECHO_STREAM,
      1,
      0,
      NRPC_UNAVAILABLE,
      1,
      1,
      { -1 } },
    /* by policy */
    { "lost, then fine",
      { ACT(RAW_CLOSE), ACT(RAW_OK) },
      2,
      true,
      ECHO_UNARY,
      1,
      0,
      NRPC_OK,
      1,
      2,
      { -1, 1 } },
    { "fails, then fine",
      { FAIL(UNAVAILABLE), FAIL(ABORTED), ACT(RAW_OK) },
      3,
      true,
      ECHO_UNARY,
      1,
      0,
      NRPC_OK,
      1,
      3,
      { -1, 1, 2 } },
    { "fails on",
      { FAIL(UNAVAILABLE) },
      1,
      true,
      ECHO_UNARY,
      1,
      0,
      NRPC_UNAVAILABLE,
      0,
      4,
      { -1, 1, 2, 3 } },
    { "another code",
      { FAIL(UNAVAILABLE), FAIL(NOT_FOUND) },
      2,
      true,
      ECHO_UNARY,
      1,
      0,
      NRPC_NOT_FOUND,
      0,
      2,
      { -1, 1 } },
    { "headers, then a code",
      { { RAW_HEADERS_FAIL, NRPC_UNAVAILABLE, NULL } },
      1,
      true,
      ECHO_UNARY,
      1,
      0,
      NRPC_UNAVAILABLE,
      0,
      1,
      { -1 } },
    { "reset",
      { ACT(RAW_RESET), ACT(RAW_OK) },
      2,
      true,
      ECHO_UNARY,
      1,
      0,
      NRPC_INTERNAL,
      0,
      1,
      { -1 } },
    { "503",
      { ACT(RAW_HTTP_503), ACT(RAW_OK) },
      2,
      true,
      ECHO_UNARY,
      1,
      0,
      NRPC_OK,
      1,
      2,
      { -1, 1 } },
    { "refused between",
      { FAIL(UNAVAILABLE), ACT(RAW_REFUSE), ACT(RAW_OK) },
      3,
      true,
      ECHO_UNARY,
      1,
      0,
      NRPC_OK,
      1,
      3,
      { -1, 1, 1 } },
    { "pushed back",
      { PUSH(UNAVAILABLE, "30"), ACT(RAW_OK) },
      2,
      true,
      ECHO_UNARY,
      1,
      0,
      NRPC_OK,
      1,
      2,
      { -1, 1 } },
    { "sent away",
      { PUSH(UNAVAILABLE, "-1"), ACT(RAW_OK) },
      2,
      true,
      ECHO_UNARY,
      1,
      0,
      NRPC_UNAVAILABLE,
      0,
      1,
      { -1 } },
    { "told nonsense",
      { PUSH(UNAVAILABLE, "soon"), ACT(RAW_OK) },
      2,
      true,
      ECHO_UNARY,
      1,
      0,
      NRPC_UNAVAILABLE,
      0,
      1,
      { -1 } },
    { "told too much",
      { PUSH(UNAVAILABLE, "99999999999999"), ACT(RAW_OK) },
      2,
      true,
      ECHO_UNARY,
      1,
      0,
      NRPC_UNAVAILABLE,
      0,
      1,
      { -1 } },
    /* what was sent is sent again */
    { "a client stream",
      { ACT(RAW_CLOSE), ACT(RAW_OK) },
      2,
      true,
      ECHO_COLLECT,
      20,
      0,
      NRPC_OK,
      1,
      2,
      { -1, 1 } },
    { "200 KiB",
      { ACT(RAW_CLOSE), ACT(RAW_OK) },
      2,
      true,
      ECHO_COLLECT,
      20,
      10000,
      NRPC_OK,
      1,
      2,
      { -1, 1 } },
    { "over the buffer",
      { ACT(RAW_CLOSE), ACT(RAW_OK) },
      2,
      true,
      ECHO_UNARY,
      1,
      1100000,
      NRPC_UNAVAILABLE,
      0,
      1,
      { -1 } },
};

static void test_scripts(void **state)
{
    (void) state;
    for (size_t i = 0; i < ARRAY_SIZE(scripts); i++)
        run_script(&scripts[i]);
}

/* The pauses grow, unless the server says how long. */
static void test_backoff_times(void **state)
{
    (void) state;
    static const struct raw_step steps[] = { FAIL(UNAVAILABLE), PUSH(UNAVAILABLE, "150"),
                                             FAIL(UNAVAILABLE), ACT(RAW_OK) };
    const struct raw_server_options so = { .steps = steps, .n_steps = 4 };
    struct raw_server *server = raw_server_start(paths[0], &so);
    up(paths[0], &quick, NULL, 0);
    struct ask a = { .text = "x" };
    rig_ask_all(&a, 1);
    assert_int_equal(a.st.code, NRPC_OK);
    rig_ask_done(&a);
    struct raw_request seen[4];
    assert_int_equal(raw_server_requests(server, seen, 4), 4);
    uint64_t gap[3];
    for (int i = 0; i < 3; i++)
        gap[i] = (seen[i + 1].at_ns - seen[i].at_ns) / 1000000;
    assert_true(gap[0] >= 15);                   /* 20 ms -20 % */
    assert_true(gap[1] >= 149 && gap[1] < 2000); /* what the server said */
    assert_true(gap[2] >= 15);                   /* and from the start again */
    rig_channel_down();
    raw_server_stop(server);
    rig_nothing_left();
}

static void test_deadline_spans(void **state)
{
    (void) state;
    static const struct raw_step steps[] = { PUSH(UNAVAILABLE, "60000") };
    const struct raw_server_options so = { .steps = steps, .n_steps = 1 };
    struct raw_server *server = raw_server_start(paths[0], &so);
    up(paths[0], &quick, NULL, 0);
    struct ask a = { .text = "x", .options.timeout_ms = 100 };
    uint64_t begin = clock_mono_ns();
    rig_ask_all(&a, 1);
    assert_int_equal(a.st.code, NRPC_DEADLINE_EXCEEDED);
    assert_true(clock_mono_ns() - begin < 5000000000u);
    rig_ask_done(&a);
    /* Cancelled while it waits for its next attempt. */
    struct ask b = { .text = "x" };
    rig_ask_begin(&b, 1);
    while (raw_server_requests(server, NULL, 0) < 2)
        rig_idle(2);
    rig_idle(20);
    nrpc_call_cancel(b.call);
    rig_finish();
    assert_int_equal(b.st.code, NRPC_CANCELLED);
    rig_ask_done(&b);
    rig_channel_down();
    raw_server_stop(server);
    rig_nothing_left();
}

/* Ten tokens: after five failures nothing is tried again, successes bring the retries back. */
static void test_throttle(void **state)
{
    (void) state;
    static struct raw_step steps[40];
    for (int i = 0; i < 40; i++)
        steps[i] = (struct raw_step) ACT(RAW_OK);
    for (int i = 0; i < 7; i++)
        steps[i] = (struct raw_step) FAIL(UNAVAILABLE);
    steps[27] = (struct raw_step) FAIL(UNAVAILABLE);
    const struct raw_server_options so = { .steps = steps, .n_steps = 40 };
    struct raw_server *server = raw_server_start(paths[0], &so);
    const nrpc_retry_policy twice = { 2, 1, 1, 1, CODE(UNAVAILABLE) };
    up(paths[0], &twice, NULL, 10);
    /* 10 -> 9, retry -> 8; -> 7, retry -> 6; -> 5: no retry; -> 4: none; -> 3: none */
    static const unsigned attempts[] = { 2, 2, 1, 1, 1 };
    for (size_t i = 0; i < ARRAY_SIZE(attempts); i++) {
        struct ask a = { .text = "x" };
        rig_ask_all(&a, 1);
        assert_int_equal(a.st.code, NRPC_UNAVAILABLE);
        assert_int_equal(a.attempts, attempts[i]);
        rig_ask_done(&a);
    }
    assert_int_equal(raw_server_requests(server, NULL, 0), 7);
    for (int i = 0; i < 20; i++)
        assert_int_equal(rig_ask("x"), NRPC_OK); /* 3 -> 5 */
    struct ask again = { .text = "x" };
    rig_ask_all(&again, 1); /* -> 4 */
    assert_int_equal(again.attempts, 1);
    rig_ask_done(&again);
    rig_channel_down();
    raw_server_stop(server);
    rig_nothing_left();
}

/* No backend is there: that is a failed attempt as well. */
static void test_nobody_there(void **state)
{
    (void) state;
    up(paths[0], &quick, NULL, 100);
    uint64_t begin = clock_mono_ns();
    struct ask a = { .text = "x" };
    rig_ask_all(&a, 1);
    assert_int_equal(a.st.code, NRPC_UNAVAILABLE);
    assert_int_equal(a.attempts, 0);
    assert_true(clock_mono_ns() - begin >= 3 * UINT64_C(15000000));
    rig_ask_done(&a);
    struct ask b = { .text = "x" };
    rig_ask_begin(&b, 1);
    nrpc_server *s = rig_server(paths[0], NULL, false);
    rig_finish();
    assert_int_equal(b.st.code, NRPC_OK);
    rig_ask_done(&b);
    rig_channel_down();
    rig_server_down(s, 1000);
    rig_nothing_left();
}

/* A refused call goes to another backend, if there is one. */
static void test_elsewhere(void **state)
{
    (void) state;
    static const struct raw_step refuse = ACT(RAW_REFUSE);
    const struct raw_server_options so = { .steps = &refuse, .n_steps = 1 };
    struct raw_server *bad = raw_server_start(paths[0], &so);
    nrpc_server *good = rig_server(paths[1], NULL, false);
    snprintf(target, sizeof target, "%s,%s", paths[0], paths[1]);
    for (int k = 0; k < 3; k++) {
        const nrpc_channel_options o = { .target = target, .balance = (nrpc_balance) k };
        rig_channel_up(&o);
        nrpc_channel_connect(rig_channel);
        if (k == NRPC_PICK_FIRST) {
            assert_int_equal(rig_ask("x"), NRPC_UNAVAILABLE); /* it has one backend only */
        } else {
            nrpc_backend list[2];
            do {
                rig_idle(2);
                nrpc_channel_backends(rig_channel, list, 2);
            } while (list[0].state != NRPC_CHANNEL_READY || list[1].state != NRPC_CHANNEL_READY);
            for (int i = 0; i < 10; i++)
                assert_int_equal(rig_ask("x"), NRPC_OK);
        }
        rig_channel_down();
    }
    raw_server_stop(bad);
    rig_server_down(good, 1000);
    rig_nothing_left();
}

/* However a server ends its first connections before they took a call: a patient call comes
 * through, and a notice of going away takes no new calls but ends none. */
static void test_bad_greetings(void **state)
{
    (void) state;
    static const struct raw_step ok = ACT(RAW_OK);
    for (enum raw_greeting g = RAW_GOAWAY_FIRST; g <= RAW_NOTHING_CLOSE; g++) {
        for (int k = 0; k < 3; k++) {
            /* A call that left is begun again but once. */
            const struct raw_server_options so = { .steps = &ok,
                                                   .n_steps = 1,
                                                   .greeting = g,
                                                   .n_greetings =
                                                       g == RAW_SETTINGS_GOAWAY ? 1 : 5 };
            struct raw_server *server = raw_server_start(paths[0], &so);
            const nrpc_channel_options o = { .target = paths[0],
                                             .balance = (nrpc_balance) k,
                                             .backoff_min_ms = 2,
                                             .backoff_max_ms = 10 };
            rig_channel_up(&o);
            struct ask asks[3];
            for (int i = 0; i < 3; i++)
                asks[i] =
                    (struct ask){ .text = "hello",
                                  .options = { .wait_for_ready = true, .timeout_ms = 10000 } };
            rig_ask_all(asks, 3);
            for (int i = 0; i < 3; i++) {
                if (asks[i].st.code != NRPC_OK && g != RAW_SETTINGS_CLOSE)
                    fail_msg("greeting %d, balance %d: %s", (int) g, k, asks[i].st.message);
                /* A call may have left for a connection that was closed just then. */
                if (asks[i].st.code != NRPC_OK)
                    assert_int_equal(asks[i].st.code, NRPC_UNAVAILABLE);
                rig_ask_done(&asks[i]);
            }
            rig_channel_down();
            raw_server_stop(server);
            rig_nothing_left();
        }
    }
}

int main(void)
{
    for (int i = 0; i < 3; i++)
        rig_path(paths[i], i);
    alarm(80);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scripts),        cmocka_unit_test(test_backoff_times),
        cmocka_unit_test(test_deadline_spans), cmocka_unit_test(test_throttle),
        cmocka_unit_test(test_nobody_there),   cmocka_unit_test(test_elsewhere),
        cmocka_unit_test(test_bad_greetings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
