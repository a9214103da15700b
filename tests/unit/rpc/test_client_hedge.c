/* Several attempts at one call at once; calls that run out of memory; connections that rest. */
#include "tests/unit/rpc/client_rig.h"

#include <string.h>
#include <unistd.h>

#include "rpc/base/alloc.h"
#include "tests/unit/rpc/raw_server.h"

static char paths[1][64];

enum { STEPS = 6 };
#define CODE(c) (1u << NRPC_##c)

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

/* ---- hedging ---- */
struct race {
    const char *what;
    struct raw_step steps[STEPS];
    int n_steps;
    uint32_t delay_ms;
    int method;
    unsigned requests;
    nrpc_code code;
    unsigned messages, attempts;
    int resets; /* requests that we cancelled */
};

static int count_resets(struct raw_server *s)
{
    struct raw_request seen[STEPS * 2];
    int n = raw_server_requests(s, seen, STEPS * 2), resets = 0;
    for (int i = 0; i < n; i++)
        resets += seen[i].reset;
    return resets;
}

static const struct race races[] = {
    { "the first answers", { ACT(RAW_OK) }, 1, 5000, ECHO_UNARY, 1, NRPC_OK, 1, 1, 0 },
    { "the second answers",
      { ACT(RAW_SILENT), ACT(RAW_OK) },
      2,
      20,
      ECHO_UNARY,
      1,
      NRPC_OK,
      1,
      2,
      1 },
    { "the third answers",
      { ACT(RAW_SILENT), ACT(RAW_SILENT), ACT(RAW_OK) },
      3,
      20,
      ECHO_STREAM,
      1,
      NRPC_OK,
      1,
      3,
      2 },
    { "harmless at once",
      { FAIL(UNAVAILABLE), ACT(RAW_OK) },
      2,
      5000,
      ECHO_UNARY,
      1,
      NRPC_OK,
      1,
      2,
      0 },
    { "fatal at once",
      { FAIL(NOT_FOUND), ACT(RAW_OK) },
      2,
      5000,
      ECHO_UNARY,
      1,
      NRPC_NOT_FOUND,
      0,
      1,
      0 },
    { "fatal beside a silent one",
      { ACT(RAW_SILENT), FAIL(NOT_FOUND) },
      2,
      20,
      ECHO_UNARY,
      1,
      NRPC_NOT_FOUND,
      0,
      2,
      1 },
    { "all harmless", { FAIL(UNAVAILABLE) }, 1, 20, ECHO_UNARY, 1, NRPC_UNAVAILABLE, 0, 3, 0 },
    { "lost", { ACT(RAW_CLOSE), ACT(RAW_OK) }, 2, 5000, ECHO_UNARY, 1, NRPC_OK, 1, 2, 0 },
    { "refused", { ACT(RAW_REFUSE), ACT(RAW_OK) }, 2, 5000, ECHO_UNARY, 1, NRPC_OK, 1, 1, 0 },
    { "sent away",
      { PUSH(UNAVAILABLE, "-1"), ACT(RAW_OK) },
      2,
      5000,
      ECHO_UNARY,
      1,
      NRPC_UNAVAILABLE,
      0,
      1,
      0 },
    { "pushed back",
      { PUSH(UNAVAILABLE, "10"), ACT(RAW_OK) },
      2,
      5000,
      ECHO_UNARY,
      1,
      NRPC_OK,
      1,
      2,
      0 },
    { "headers, then nothing good",
      { { RAW_HEADERS_FAIL, NRPC_UNAVAILABLE, NULL } },
      1,
      5000,
      ECHO_UNARY,
      1,
      NRPC_UNAVAILABLE,
      0,
      1,
      0 },
    { "a client stream",
      { ACT(RAW_SILENT), ACT(RAW_OK) },
      2,
      20,
      ECHO_COLLECT,
      20,
      NRPC_OK,
      1,
      2,
      1 },
    { "all at once",
      { ACT(RAW_SILENT), ACT(RAW_SILENT), ACT(RAW_OK) },
      3,
      0,
      ECHO_UNARY,
      1,
      NRPC_OK,
      1,
      3,
      2 },
};

static void test_races(void **state)
{
    (void) state;
    for (size_t i = 0; i < ARRAY_SIZE(races); i++) {
        const struct race *r = &races[i];
        const struct raw_server_options so = { .steps = r->steps, .n_steps = r->n_steps };
        struct raw_server *server = raw_server_start(paths[0], &so);
        const nrpc_hedging_policy hedging = { 3, r->delay_ms, CODE(UNAVAILABLE) };
        up(paths[0], NULL, &hedging, 100);
        struct ask a = { .method = r->method,
                         .text = "hello",
                         .requests = r->requests,
                         .idempotent = true,
                         .options = { .wait_for_ready = true, .timeout_ms = 8000 } };
        rig_ask_all(&a, 1);
        if (a.st.code != r->code || a.messages != r->messages || a.attempts != r->attempts)
            fail_msg("%s: %s (%s), %u messages, %u attempts", r->what, nrpc_code_name(a.st.code),
                     a.st.message, a.messages, a.attempts);
        for (int k = 0; k < 1000 && count_resets(server) < r->resets; k++)
            rig_idle(2);
        if (count_resets(server) != r->resets)
            fail_msg("%s: %d resets", r->what, count_resets(server));
        rig_ask_done(&a);
        rig_channel_down();
        raw_server_stop(server);
        rig_nothing_left();
    }
}

/* What may not be hedged is not, by a row for many; named in full it is refused. */
static void test_not_idempotent(void **state)
{
    (void) state;
    static const struct raw_step steps[] = { ACT(RAW_SILENT), ACT(RAW_OK) };
    const struct raw_server_options so = { .steps = steps, .n_steps = 2 };
    struct raw_server *server = raw_server_start(paths[0], &so);
    const nrpc_hedging_policy hedging = { 3, 5, CODE(UNAVAILABLE) };
    up(paths[0], NULL, &hedging, 100);
    struct ask a = { .text = "x", .options.timeout_ms = 100 };
    rig_ask_all(&a, 1);
    assert_int_equal(a.st.code, NRPC_DEADLINE_EXCEEDED);
    assert_int_equal(a.attempts, 1);
    rig_ask_done(&a);
    rig_channel_down();
    const nrpc_channel_options o = { .target = paths[0] };
    rig_channel_up(&o);
    const nrpc_method_config row = { .name = "/test.Echo/Unary", .hedging = &hedging };
    assert_int_equal(nrpc_channel_configure(rig_channel, &row, 1), 0);
    nrpc_call *call = NULL;
    static const nrpc_events none = { 0 };
    assert_int_equal(nrpc_channel_start(rig_channel, &echo_service.methods[ECHO_UNARY], NULL, &none,
                                        NULL, &call),
                     NRPC_E_INVAL);
    assert_null(call);
    rig_channel_down();
    raw_server_stop(server);
    rig_nothing_left();
}

/* A hedged upload that outgrows the buffer becomes one call. */
static void test_hedged_upload(void **state)
{
    (void) state;
    nrpc_server *s = rig_server(paths[0], NULL, false);
    const nrpc_hedging_policy hedging = { 3, 60000, CODE(UNAVAILABLE) };
    up(paths[0], NULL, &hedging, 100);
    for (int slow = 0; slow < 2; slow++) {
        struct ask a = { .method = ECHO_COLLECT,
                         .text = "x",
                         .requests = slow ? 3 : 1,
                         .pad = slow ? 499999 : 2999999,
                         .idempotent = true,
                         .options.wait_for_ready = true };
        rig_ask_all(&a, 1);
        assert_int_equal(a.st.code, NRPC_OK);
        assert_string_equal(buf_str(&a.data), slow ? "3:1500000" : "1:3000000");
        rig_ask_done(&a);
    }
    /* Cancelled and timed out races leave nothing behind. */
    struct ask b[2] = { { .text = "sleep", .idempotent = true, .options.timeout_ms = 50 },
                        { .text = "sleep", .idempotent = true } };
    rig_ask_begin(b, 2);
    rig_idle(20);
    nrpc_call_cancel(b[1].call);
    rig_finish();
    assert_int_equal(b[0].st.code, NRPC_DEADLINE_EXCEEDED);
    assert_int_equal(b[1].st.code, NRPC_CANCELLED);
    rig_ask_done(&b[0]);
    rig_ask_done(&b[1]);
    /* And a channel may be closed in the middle of one. */
    struct ask c = { .text = "sleep", .idempotent = true };
    rig_ask_begin(&c, 1);
    rig_idle(20);
    rig_channel_down();
    assert_int_equal(c.ends, 1);
    assert_int_equal(c.st.code, NRPC_CANCELLED);
    rig_ask_done(&c);
    rig_server_down(s, 1000);
    rig_nothing_left();
}

/* ---- memory ---- */
static int look_up(void *ctx, const char *host, const char *port, struct resolved *out,
                   unsigned *out_n, const char **why)
{
    (void) ctx;
    (void) host;
    (void) port;
    (void) why;
    memcpy(out[0].text, paths[0], sizeof paths[0]);
    *out_n = 1;
    return 0;
}

struct poor {
    nrpc_task task;
    nrpc_method method;
    nrpc_code code;
    int ends;
};

static void poor_end(nrpc_call *c, void *state, const nrpc_status *st)
{
    struct poor *p = state;
    (void) c;
    p->ends++;
    p->code = st->code;
    nrpc_loop_stop(rig_loop);
}

static void poor_message(nrpc_call *c, void *state, nrpc_msg *m)
{
    (void) c;
    (void) state;
    nrpc_msg_free(m);
}
static const nrpc_events poor_events = { .on_message = poor_message, .on_end = poor_end };

static void poor_start(nrpc_task *t, nrpc_loop *l)
{
    struct poor *p = CONTAINER_OF(t, struct poor, task);
    const nrpc_call_options o = { .timeout_ms = 5000 };
    nrpc_call *c;
    p->code = NRPC_RESOURCE_EXHAUSTED;
    if (nrpc_channel_start(rig_channel, &p->method, &o, &poor_events, p, &c) < 0) {
        nrpc_loop_stop(l);
        p->ends = 1;
        return;
    }
    int r = nrpc_call_send_bytes(c, (nrpc_slice){ (const uint8_t *) "hello", 5 });
    if (r < 0 && r != NRPC_E_STATE)
        nrpc_call_cancel(c);
    else
        (void) nrpc_call_half_close(c);
}

/* From the n-th allocation of the client's thread on all fail, for each n: a call with a name to
 * look up, a failure to retry, or a race to win always ends, and leaves nothing. */
static void test_without_memory(void **state)
{
    (void) state;
    static struct raw_step steps[2048];
    for (size_t i = 0; i < ARRAY_SIZE(steps); i++)
        steps[i] = i % 2 == 0 ? (struct raw_step) FAIL(UNAVAILABLE) : (struct raw_step) ACT(RAW_OK);
    const struct raw_server_options so = { .steps = steps, .n_steps = ARRAY_SIZE(steps) };
    const nrpc_hedging_policy hedging = { 3, 1, CODE(UNAVAILABLE) };
    const nrpc_retry_policy retry = { 3, 1, 2, 2, CODE(UNAVAILABLE) };
    for (int hedged = 0; hedged < 2; hedged++) {
        struct raw_server *server = raw_server_start(paths[0], &so);
        uint64_t n = 1;
        for (bool through = false; !through; n++) {
            assert_true(n < 500);
            up("backend.test:1", hedged ? NULL : &retry, hedged ? &hedging : NULL, 1000);
            rig_channel->resolver.lookup = look_up;
            struct poor p = { .task.run = poor_start, .method = echo_service.methods[ECHO_UNARY] };
            p.method.idempotent = true;
            nrpc_loop_post(rig_loop, &p.task);
            alloc_fail_at(n);
            int r = nrpc_loop_run(rig_loop);
            through = alloc_count() < n;
            alloc_fail_at(0);
            while (r < 0 || p.ends == 0)
                r = nrpc_loop_run(rig_loop);
            assert_int_equal(p.ends, 1);
            if (through)
                assert_int_equal(p.code, NRPC_OK);
            rig_channel_down();
            rig_nothing_left();
        }
        assert_true(n > 20);
        raw_server_stop(server);
    }
}

/* An idle connection is closed, and made again when it is wanted. */
static void test_idle(void **state)
{
    (void) state;
    nrpc_server *s = rig_server(paths[0], NULL, false);
    const nrpc_channel_options o = { .target = paths[0], .idle_ms = 30 };
    rig_channel_up(&o);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(rig_ask("x"), NRPC_OK);
        assert_int_equal(nrpc_channel_get_state(rig_channel), NRPC_CHANNEL_READY);
        for (int k = 0; k < 2000 && nrpc_channel_get_state(rig_channel) != NRPC_CHANNEL_IDLE; k++)
            rig_idle(2);
        assert_int_equal(nrpc_channel_get_state(rig_channel), NRPC_CHANNEL_IDLE);
        nrpc_backend b;
        assert_int_equal(nrpc_channel_backends(rig_channel, &b, 1), 1);
        assert_int_equal(b.connections, 0);
    }
    rig_channel_down();
    rig_server_down(s, 1000);
    rig_nothing_left();
}

int main(void)
{
    rig_path(paths[0], 0);
    alarm(80);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_races),         cmocka_unit_test(test_not_idempotent),
        cmocka_unit_test(test_hedged_upload), cmocka_unit_test(test_without_memory),
        cmocka_unit_test(test_idle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
