/* Both sides of the runtime in one process: a server on threads of its own, the channel and the
 * blocking client on the test's thread, over a Unix socket and TCP. */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "google/protobuf/wrappers.pb-c.h"
#include "rpc/base/alloc.h"
#include "rpc/base/buf.h"
#include "rpc/base/check.h"
#include "rpc/base/clock.h"
#include "rpc/io/loop.h"
#include "tests/unit/rpc/echo_service.h"

static char socket_path[64], tcp[64];
static nrpc_server *server;

static void server_up(const char *address, const nrpc_server_options *o)
{
    nrpc_server_options options = { .loops = 2 };
    assert_int_equal(nrpc_server_new(o != NULL ? o : &options, &server), 0);
    assert_int_equal(echo_add(server), 0);
    assert_int_equal(nrpc_server_add_health(server), 0);
    assert_int_equal(nrpc_server_listen(server, address), 0);
    assert_int_equal(nrpc_server_listen(server, "127.0.0.1:0"), 0);
    assert_int_equal(nrpc_server_start(server), 0);
    snprintf(tcp, sizeof tcp, "%s", nrpc_server_address(server, 1));
}

static void server_down(uint32_t grace_ms)
{
    nrpc_server_stop(server, grace_ms);
    nrpc_server_wait(server);
    nrpc_server_free(server);
    server = NULL;
}

static void assert_nothing_left(void)
{
    nrpc_gauges g;
    nrpc_gauges_read(&g);
    assert_int_equal(g.connections, 0);
    assert_int_equal(g.calls, 0);
    assert_int_equal(g.messages, 0);
    assert_int_equal(g.blobs, 0);
    assert_int_equal(g.cancels, 0);
    assert_int_equal(g.channels, 0);
    assert_int_equal(g.timers, 0);
}

/* ---- a channel with its loop on this thread
 * ------------------------------------------------------ */
struct ask {
    int method;
    const char *text;  /* the request */
    size_t pad;        /* zero bytes behind it */
    unsigned requests; /* 0 is 1 */
    nrpc_call_options options;
    const char *key; /* metadata */
    nrpc_slice value;
    unsigned want;         /* credits after each message; 0 is 1 */
    unsigned cancel_after; /* messages */
    bool hold;             /* no credit until on_later */
    /* what came */
    struct buf data, head, tail;
    unsigned messages;
    int starts, ends;
    nrpc_status st;
    nrpc_call *call;
    nrpc_call_id id;
    bool id_was_dead;
};
static nrpc_loop *loop;
static nrpc_channel *channel;
static int open_asks;

static void note(struct buf *b, const nrpc_metadata *md)
{
    for (size_t i = 0; md != NULL && i < nrpc_metadata_count(md); i++) {
        const char *key;
        nrpc_slice value;
        nrpc_metadata_at(md, i, &key, &value);
        if (strncmp(key, "x-", 2) != 0)
            continue;
        buf_puts(b, key);
        buf_putc(b, '=');
        buf_put(b, value.data, value.size);
        buf_putc(b, ';');
    }
}
static void on_headers(nrpc_call *c, void *state)
{
    struct ask *a = state;
    a->starts++;
    note(&a->head, nrpc_call_headers_in(c));
}
static void on_message(nrpc_call *c, void *state, nrpc_msg *m)
{
    struct ask *a = state;
    nrpc_slice bytes = nrpc_msg_bytes(m);
    if (a->data.size < 1 << 20)
        buf_put(&a->data, bytes.data, bytes.size);
    a->messages++;
    nrpc_msg_free(m);
    if (a->cancel_after != 0 && a->messages == a->cancel_after)
        nrpc_call_cancel(c);
    else if (!a->hold)
        nrpc_call_want(c, a->want == 0 ? 1 : a->want);
}
static void on_end(nrpc_call *c, void *state, const nrpc_status *st)
{
    struct ask *a = state;
    a->ends++;
    note(&a->tail, nrpc_call_trailers_in(c));
    assert_int_equal(nrpc_status_copy(&a->st, st), 0);
    a->id_was_dead = nrpc_call_get(loop, a->id) == NULL;
    a->call = NULL;
    if (--open_asks == 0)
        nrpc_loop_stop(loop);
}
static const nrpc_events ask_events = { .on_headers = on_headers,
                                        .on_message = on_message,
                                        .on_end = on_end };

static void ask_start(struct ask *a)
{
    int r = nrpc_channel_start(channel, &echo_service.methods[a->method], &a->options, &ask_events,
                               a, &a->call);
    assert_int_equal(r, 0);
    open_asks++;
    a->id = nrpc_call_ref(a->call);
    assert_ptr_equal(nrpc_call_get(loop, a->id), a->call);
    if (a->key != NULL) {
        assert_int_equal(nrpc_metadata_add(nrpc_call_headers_out(a->call), a->key, a->value), 0);
        assert_int_equal(nrpc_metadata_add(nrpc_call_headers_out(a->call), "x-two",
                                           (nrpc_slice){ (const uint8_t *) "1", 1 }),
                         0);
        assert_int_equal(nrpc_metadata_add(nrpc_call_headers_out(a->call), "x-two",
                                           (nrpc_slice){ (const uint8_t *) "2", 1 }),
                         0);
    }
    size_t size = strlen(a->text) + a->pad;
    uint8_t *bytes = alloc_zero(1, size);
    assert_non_null(bytes);
    memcpy(bytes, a->text, strlen(a->text));
    for (unsigned i = 0; i < (a->requests == 0 ? 1 : a->requests); i++)
        assert_true(nrpc_call_send_bytes(a->call, (nrpc_slice){ bytes, size }) >= 0);
    assert_null(nrpc_call_headers_out(a->call));
    int r2 = nrpc_call_half_close(a->call);
    assert_int_equal(r2, 0); /* also when it failed at once */
    assert_int_equal(nrpc_call_half_close(a->call), NRPC_E_STATE);
    alloc_free(bytes);
}

struct batch {
    nrpc_task task;
    struct ask *asks;
    size_t n;
};
static void batch_run(nrpc_task *t, nrpc_loop *l)
{
    (void) l;
    struct batch *b = CONTAINER_OF(t, struct batch, task);
    for (size_t i = 0; i < b->n; i++)
        ask_start(&b->asks[i]);
}
/* Starts all at once on the loop and runs it until the last one ended. */
static void ask_all(struct ask *asks, size_t n)
{
    struct batch b = { .task.run = batch_run, .asks = asks, .n = n };
    nrpc_loop_post(loop, &b.task);
    assert_int_equal(nrpc_loop_run(loop), 0);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(asks[i].ends, 1);
        assert_true(asks[i].id_was_dead);
    }
}
static void ask_done(struct ask *a)
{
    buf_done(&a->data);
    buf_done(&a->head);
    buf_done(&a->tail);
    nrpc_status_clear(&a->st);
}
static void on_timer_stop(struct timer *t)
{
    nrpc_loop_stop(t->loop);
}
/* Lets the loop work for a while without a call of ours. */
static void idle(uint64_t ms)
{
    struct timer t;
    timer_init(&t, loop, on_timer_stop);
    timer_start_at(&t, clock_mono_ns() + ms * 1000000);
    assert_int_equal(nrpc_loop_run(loop), 0);
    timer_stop(&t);
}
static void channel_up(const char *target, const nrpc_channel_options *more)
{
    nrpc_channel_options o = { 0 };
    if (more != NULL)
        o = *more;
    o.target = target;
    assert_int_equal(nrpc_loop_new(&loop), 0);
    assert_int_equal(nrpc_channel_new(loop, &o, &channel), 0);
}
static void channel_down(void)
{
    nrpc_channel_close(channel);
    nrpc_gauges g;
    do {
        idle(1);
        nrpc_gauges_read(&g);
    } while (g.channels > 0);
    nrpc_loop_free(loop);
}

/* ---- tests
 * --------------------------------------------------------------------------------------- */
static void test_unary(void **state)
{
    (void) state;
    server_up(socket_path, NULL);
    const char *const targets[] = { socket_path, tcp };
    for (size_t t = 0; t < 2; t++) {
        channel_up(targets[t], NULL);
        static const size_t pads[] = { 0, 1, 16000, 300000, 4000000 };
        for (size_t i = 0; i < ARRAY_SIZE(pads); i++) {
            struct ask a = { .text = "hello", .pad = pads[i] };
            ask_all(&a, 1);
            assert_int_equal(a.st.code, NRPC_OK);
            assert_int_equal(a.messages, 1);
            assert_int_equal(a.data.size, 5 + pads[i]);
            assert_int_equal(a.starts, 1);
            ask_done(&a);
        }
        static struct ask many[300];
        memset(many, 0, sizeof many);
        for (size_t i = 0; i < 300; i++)
            many[i].text = "one of many";
        ask_all(many, 300); /* three times the stream limit: the rest waits */
        for (size_t i = 0; i < 300; i++) {
            assert_int_equal(many[i].st.code, NRPC_OK);
            assert_int_equal(many[i].data.size, 11);
            ask_done(&many[i]);
        }
        channel_down();
    }
    server_down(5000);
    assert_nothing_left();
}

static void test_statuses(void **state)
{
    (void) state;
    static const struct {
        int method;
        const char *text;
        size_t pad;
        unsigned requests;
        nrpc_code code;
        const char *message;
    } cases[] = {
        { ECHO_UNARY, "fail:5:not here", 0, 0, NRPC_NOT_FOUND, "not here" },
        { ECHO_UNARY, "fail:16:\xc3\xa9 100 %\n", 0, 0, NRPC_UNAUTHENTICATED, "\xc3\xa9 100 %\n" },
        { ECHO_MISSING, "x", 0, 0, NRPC_UNIMPLEMENTED, NULL },
        { ECHO_UNARY, "x", 4194304, 0, NRPC_RESOURCE_EXHAUSTED,
          NULL }, /* over the server's limit */
        { ECHO_UNARY, "big:5000000", 0, 0, NRPC_RESOURCE_EXHAUSTED, NULL }, /* over ours */
        { ECHO_UNARY, "x", 0, 2, NRPC_UNIMPLEMENTED, NULL },
        { ECHO_TYPED, "\xff\xff", 0, 0, NRPC_INVALID_ARGUMENT, NULL },
        { ECHO_STREAM, "count:0:0", 0, 0, NRPC_OK, NULL },
        { ECHO_COLLECT, "12345", 0, 7, NRPC_OK, NULL },
        { ECHO_CHAT, "12345", 0, 7, NRPC_OK, NULL },
    };
    server_up(socket_path, NULL);
    channel_up(socket_path, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct ask a = { .method = cases[i].method,
                         .text = cases[i].text,
                         .pad = cases[i].pad,
                         .requests = cases[i].requests };
        ask_all(&a, 1);
        if (a.st.code != cases[i].code)
            fail_msg("case %zu: %s %s", i, nrpc_code_name(a.st.code), a.st.message);
        if (cases[i].message != NULL) {
            assert_string_equal(a.st.message, cases[i].message);
            assert_true(a.st.details_size > 20);
            assert_int_equal(a.starts, 0); /* trailers-only */
        }
        if (cases[i].method == ECHO_COLLECT)
            assert_string_equal(buf_str(&a.data), "7:35");
        if (cases[i].method == ECHO_CHAT)
            assert_int_equal(a.messages, 7);
        ask_done(&a);
    }
    channel_down();
    server_down(5000);
    assert_nothing_left();
}

static void test_metadata(void **state)
{
    (void) state;
    server_up(socket_path, NULL);
    channel_up(socket_path, NULL);
    struct ask a = { .text = "m",
                     .key = "x-raw-bin",
                     .value = { (const uint8_t *) "\0\xff,;", 4 } };
    ask_all(&a, 1);
    assert_int_equal(a.st.code, NRPC_OK);
    static const char head[] = "x-raw-bin=\0\xff,;;x-two=1;x-two=2;";
    static const char tail[] = "x-raw-t-bin=\0\xff,;;x-two-t=1;x-two-t=2;";
    assert_int_equal(a.head.size, sizeof head - 1);
    assert_memory_equal(a.head.data, head, sizeof head - 1);
    assert_int_equal(a.tail.size, sizeof tail - 1);
    assert_memory_equal(a.tail.data, tail, sizeof tail - 1);
    ask_done(&a);
    channel_down();
    server_down(5000);
    assert_nothing_left();
}

static void test_streams(void **state)
{
    (void) state;
    server_up(socket_path, NULL);
    channel_up(socket_path, NULL);
    struct ask a[3] = {
        { .method = ECHO_STREAM, .text = "count:20000:20" },
        { .method = ECHO_STREAM, .text = "count:100:100000", .want = 5 },
        { .method = ECHO_STREAM, .text = "count:1000000:1000", .cancel_after = 100 },
    };
    int cancelled = atomic_load(&echo_cancelled);
    ask_all(a, 3);
    assert_int_equal(a[0].st.code, NRPC_OK);
    assert_int_equal(a[0].messages, 20000);
    assert_int_equal(a[1].st.code, NRPC_OK);
    assert_int_equal(a[1].messages, 100);
    assert_int_equal(a[2].st.code, NRPC_CANCELLED);
    assert_int_equal(a[2].messages, 100);
    for (int i = 0; atomic_load(&echo_cancelled) == cancelled && i < 1000; i++)
        idle(1); /* our RST_STREAM is on its way */
    assert_int_equal(atomic_load(&echo_cancelled), cancelled + 1);
    for (int i = 0; i < 3; i++)
        ask_done(&a[i]);
    channel_down();
    server_down(5000);
    assert_nothing_left();
}

/* No credits: the server runs ahead by windows and queues only, and a call beside it is not held
 * back. */
static void test_slow_consumer(void **state)
{
    (void) state;
    server_up(socket_path, NULL);
    channel_up(socket_path, NULL);
    struct ask slow = { .method = ECHO_STREAM, .text = "count:5000:10000", .hold = true };
    uint64_t before = atomic_load(&echo_sent);
    struct batch b = { .task.run = batch_run, .asks = &slow, .n = 1 };
    nrpc_loop_post(loop, &b.task);
    uint64_t sent = 0, was;
    do {
        was = sent;
        idle(50);
        sent = atomic_load(&echo_sent) - before;
    } while (sent == 0 || sent != was);
    assert_int_equal(slow.messages, 1);
    assert_true(sent < 100); /* 1 MB of 50 */
    struct ask quick = { .text = "beside" };
    open_asks = 0;
    ask_all(&quick, 1);
    assert_int_equal(quick.st.code, NRPC_OK);
    open_asks = 1;
    slow.hold = false;
    nrpc_call_want(slow.call, 10);
    assert_int_equal(nrpc_loop_run(loop), 0);
    assert_int_equal(slow.messages, 5000);
    assert_int_equal(slow.st.code, NRPC_OK);
    ask_done(&slow);
    ask_done(&quick);
    channel_down();
    server_down(5000);
    assert_nothing_left();
}

static void test_deadline(void **state)
{
    (void) state;
    server_up(socket_path, NULL);
    channel_up(socket_path, NULL);
    int cancelled = atomic_load(&echo_cancelled);
    struct ask a[2] = {
        { .text = "sleep", .options.timeout_ms = 50 },
        { .method = ECHO_STREAM,
          .text = "count:100000000:1000",
          .hold = true,
          .options.timeout_ms = 50 },
    };
    uint64_t began = clock_mono_ns();
    ask_all(a, 2);
    assert_true(clock_mono_ns() - began >= 50000000ull);
    assert_int_equal(a[0].st.code, NRPC_DEADLINE_EXCEEDED);
    assert_int_equal(a[1].st.code, NRPC_DEADLINE_EXCEEDED);
    for (int i = 0; atomic_load(&echo_cancelled) < cancelled + 2 && i < 1000; i++)
        idle(1);
    assert_int_equal(atomic_load(&echo_cancelled), cancelled + 2);
    ask_done(&a[0]);
    ask_done(&a[1]);
    channel_down();
    server_down(5000);
    assert_nothing_left();
}

/* The backend is down: UNAVAILABLE at once, also while resting; a patient call waits; it heals by
 * itself. */
static void test_down_and_up(void **state)
{
    (void) state;
    nrpc_channel_options o = { .backoff_min_ms = 20, .backoff_max_ms = 50 };
    channel_up(socket_path, &o);
    assert_int_equal(nrpc_channel_get_state(channel), NRPC_CHANNEL_IDLE);
    for (int i = 0; i < 3; i++) {
        struct ask a = { .text = "x" };
        ask_all(&a, 1);
        assert_int_equal(a.st.code, NRPC_UNAVAILABLE);
        assert_non_null(strstr(a.st.message, socket_path));
        ask_done(&a);
    }
    assert_true(nrpc_channel_get_state(channel) == NRPC_CHANNEL_BACKOFF);
    assert_true(nrpc_channel_backoff_ms(channel) <= 60);
    server_up(socket_path, NULL);
    struct ask patient = { .text = "patient", .options.wait_for_ready = true };
    ask_all(&patient, 1);
    assert_int_equal(patient.st.code, NRPC_OK);
    assert_int_equal(nrpc_channel_get_state(channel), NRPC_CHANNEL_READY);
    ask_done(&patient);

    /* Restart: GOAWAY ends the old connection, the next call makes a new one. */
    server_down(5000);
    server_up(socket_path, NULL);
    struct ask again = { .text = "again", .options.wait_for_ready = true };
    ask_all(&again, 1);
    assert_int_equal(again.st.code, NRPC_OK);
    ask_done(&again);

    /* Gone for good: calls in flight learn it. */
    struct ask sleeper = { .text = "sleep" };
    struct batch b = { .task.run = batch_run, .asks = &sleeper, .n = 1 };
    nrpc_loop_post(loop, &b.task);
    open_asks = 0;
    idle(50);
    nrpc_server_stop(server, 20);
    assert_int_equal(nrpc_loop_run(loop), 0);
    assert_int_equal(sleeper.st.code, NRPC_UNAVAILABLE);
    ask_done(&sleeper);
    nrpc_server_wait(server);
    nrpc_server_free(server);
    server = NULL;
    channel_down();
    assert_nothing_left();
}

static void test_balance(void **state)
{
    (void) state;
    static const nrpc_balance kinds[] = { NRPC_PICK_FIRST, NRPC_ROUND_ROBIN, NRPC_LEAST_CALLS };
    server_up(socket_path, NULL);
    char target[256];
    /* The first of three is dead. */
    snprintf(target, sizeof target, "127.0.0.1:1,%s,%s", socket_path, tcp);
    for (size_t k = 0; k < 3; k++) {
        nrpc_channel_options o = { .balance = kinds[k] };
        channel_up(target, &o);
        for (int i = 0; i < 20; i++) {
            struct ask a = { .text = "x", .options.wait_for_ready = true };
            ask_all(&a, 1);
            assert_int_equal(a.st.code, NRPC_OK);
            ask_done(&a);
        }
        channel_down();
    }
    server_down(5000);
    assert_nothing_left();
}

static void test_names(void **state)
{
    (void) state;
    static const char *const bad[] = { "",      "host", "host:",        "host:99999",
                                       "unix:", ",",    "127.0.0.1:1,", "a:b:c:1" };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        nrpc_channel *ch = NULL;
        nrpc_channel_options o = { .target = bad[i] };
        assert_int_equal(nrpc_loop_new(&loop), 0);
        if (nrpc_channel_new(loop, &o, &ch) != NRPC_E_INVAL || ch != NULL)
            fail_msg("accepted '%s'", bad[i]);
        nrpc_loop_free(loop);
    }
    channel_up("no-such-host.invalid:50051", NULL);
    struct ask a = { .text = "x" };
    ask_all(&a, 1);
    assert_int_equal(a.st.code, NRPC_UNAVAILABLE);
    assert_non_null(strstr(a.st.message, "no-such-host.invalid"));
    ask_done(&a);
    channel_down();
    assert_nothing_left();
}

/* Closing a channel ends its calls, whatever their state. */
static void test_close(void **state)
{
    (void) state;
    server_up(socket_path, NULL);
    channel_up(socket_path, NULL);
    struct ask a[3] = { { .text = "sleep" },
                        { .method = ECHO_STREAM, .text = "count:100000000:1000", .hold = true },
                        { .text = "x" } };
    struct batch b = { .task.run = batch_run, .asks = a, .n = 2 };
    nrpc_loop_post(loop, &b.task);
    idle(50);
    ask_start(&a[2]);
    channel_down();
    for (int i = 0; i < 3; i++) {
        assert_int_equal(a[i].ends, 1);
        assert_int_equal(a[i].st.code, NRPC_CANCELLED);
        ask_done(&a[i]);
    }
    open_asks = 0;
    server_down(5000);
    assert_nothing_left();
}

/* ---- interceptors
 * -------------------------------------------------------------------------------- */
static char trace[256];
static nrpc_code on_begin(void *ctx, void *state, nrpc_call *c, nrpc_status *st)
{
    (void) c;
    *(int *) state = 7;
    strcat(trace, "b");
    strcat(trace, ctx);
    if (strcmp(ctx, "X") == 0) {
        nrpc_status_set(st, NRPC_PERMISSION_DENIED, "no");
        return NRPC_PERMISSION_DENIED;
    }
    return NRPC_OK;
}
static void on_pass(void *ctx, void *state, bool incoming, size_t bytes)
{
    (void) state;
    (void) bytes;
    strcat(trace, incoming ? "i" : "o");
    strcat(trace, ctx);
}
static void on_over(void *ctx, void *state, const nrpc_call *c, const nrpc_status *st)
{
    (void) c;
    (void) st;
    assert_int_equal(*(int *) state, 7);
    strcat(trace, "e");
    strcat(trace, ctx);
}
static void test_interceptors(void **state)
{
    (void) state;
    server_up(socket_path, NULL);
    for (int deny = 0; deny < 2; deny++) {
        trace[0] = '\0';
        channel_up(socket_path, NULL);
        static const char *const names[] = { "1", "2", "X" };
        for (int i = 0; i < 2 + deny; i++) {
            nrpc_interceptor in = { names[i],    (void *) (uintptr_t) names[i],
                                    sizeof(int), on_begin,
                                    on_pass,     on_over };
            assert_int_equal(nrpc_channel_intercept(channel, &in), 0);
        }
        if (deny) {
            nrpc_call *c;
            struct ask a = { .text = "x" };
            assert_int_equal(
                nrpc_channel_start(channel, &echo_service.methods[0], NULL, &ask_events, &a, &c),
                0);
            /* Refused already; the verbs do not say so, on_end does. */
            assert_int_equal(nrpc_call_send_bytes(c, (nrpc_slice){ NULL, 0 }), NRPC_PAUSE);
            assert_int_equal(nrpc_call_half_close(c), 0);
            assert_int_equal(nrpc_call_half_close(c), NRPC_E_STATE);
            open_asks = 1;
            assert_int_equal(nrpc_loop_run(loop), 0);
            assert_int_equal(a.st.code, NRPC_PERMISSION_DENIED);
            assert_string_equal(trace, "b1b2bXeXe2e1");
            ask_done(&a);
        } else {
            struct ask a = { .text = "x" };
            ask_all(&a, 1);
            assert_string_equal(trace, "b1b2o1o2i1i2e2e1");
            ask_done(&a);
        }
        channel_down();
    }
    server_down(5000);
    assert_nothing_left();
}

/* ---- the blocking client
 * ------------------------------------------------------------------------- */
static nrpc_client *blocking;
static bool count_three(void *ctx, nrpc_msg *m)
{
    nrpc_msg_free(m);
    return ++*(int *) ctx < 3;
}
static bool cancel_now(void *ctx, nrpc_msg *m)
{
    (void) ctx;
    nrpc_msg_free(m);
    nrpc_client_cancel(blocking);
    return true;
}
static void test_blocking(void **state)
{
    (void) state;
    server_up(socket_path, NULL);
    nrpc_channel_options o = { .target = socket_path, .user_agent = "test" };
    assert_int_equal(nrpc_client_new(&o, &blocking), 0);
    Google__Protobuf__StringValue q = GOOGLE__PROTOBUF__STRING_VALUE__INIT;
    q.value = "hello";
    nrpc_status st = NRPC_STATUS_INIT;
    nrpc_msg *answer = NULL;
    const nrpc_client_options more = { .options.timeout_ms = 5000,
                                       .metadata = (const char *const[]){ "x-a", "1", NULL } };
    assert_int_equal(nrpc_client_unary(blocking, &echo_service.methods[ECHO_UNARY], &more, &q.base,
                                       &answer, &st),
                     NRPC_OK);
    assert_int_equal(nrpc_msg_bytes(answer).size, 7);
    nrpc_msg_free(answer);
    const nrpc_client_options bad = { .metadata = (const char *const[]){ "grpc-x", "1", NULL } };
    assert_int_equal(
        nrpc_client_unary(blocking, &echo_service.methods[ECHO_UNARY], &bad, &q.base, &answer, &st),
        NRPC_INVALID_ARGUMENT);
    assert_null(answer);
    const nrpc_client_options brief = { .options.timeout_ms = 30 };
    int n = 0;
    nrpc_method counted = echo_service.methods[ECHO_STREAM];
    assert_int_equal(nrpc_client_stream(blocking, &counted, &more, &q.base, count_three, &n, &st),
                     NRPC_OK);
    assert_int_equal(n, 1);
    counted.path = "/grpc.health.v1.Health/Watch";
    assert_int_equal(nrpc_client_stream(blocking, &counted, &brief, &q.base, count_three, &n, &st),
                     NRPC_DEADLINE_EXCEEDED);
    assert_int_equal(nrpc_client_stream(blocking, &counted, NULL, &q.base, cancel_now, NULL, &st),
                     NRPC_CANCELLED);
    nrpc_status_clear(&st);
    nrpc_client_free(blocking);
    server_down(5000);
    assert_nothing_left();
}

/* ---- memory
 * -------------------------------------------------------------------------------------- */
/* Every allocation of the client's thread fails once: each time the call ends, nothing leaks or
 * hangs. */
static void test_without_memory(void **state)
{
    (void) state;
    server_up(socket_path, NULL);
    Google__Protobuf__StringValue q = GOOGLE__PROTOBUF__STRING_VALUE__INIT;
    q.value = "hello";
    uint64_t n = 1;
    for (bool through = false; !through; n++) {
        assert_true(n < 1000);
        nrpc_channel_options o = { .target = socket_path };
        nrpc_client *cl = NULL;
        nrpc_status st = NRPC_STATUS_INIT;
        nrpc_msg *answer = NULL;
        alloc_fail_at(n);
        nrpc_code code = NRPC_RESOURCE_EXHAUSTED;
        if (nrpc_client_new(&o, &cl) == 0)
            code = nrpc_client_unary(cl, &echo_service.methods[ECHO_UNARY], NULL, &q.base, &answer,
                                     &st);
        through = alloc_count() < n;
        alloc_fail_at(0);
        if (through)
            assert_int_equal(code, NRPC_OK);
        else
            assert_true(code == NRPC_OK || code == NRPC_RESOURCE_EXHAUSTED ||
                        code == NRPC_UNAVAILABLE || code == NRPC_INTERNAL);
        nrpc_msg_free(answer);
        nrpc_status_clear(&st);
        nrpc_client_free(cl);
    }
    assert_true(n > 20); /* it did go through a call */
    server_down(5000);
    assert_nothing_left();
}

struct order {
    nrpc_task task;
    uint64_t fail_at, count; /* count: out */
    atomic_bool done;
};
static void order_run(nrpc_task *t, nrpc_loop *l)
{
    (void) l;
    struct order *o = CONTAINER_OF(t, struct order, task);
    o->count = alloc_count();
    alloc_fail_at(o->fail_at);
    atomic_store(&o->done, true);
}
/* On the server's thread: from the n-th allocation on all fail; 0 ends that.  Allocations since the
 * last order. */
static uint64_t server_fails_at(uint64_t n)
{
    struct order o = { .task.run = order_run, .fail_at = n };
    nrpc_loop_post(nrpc_server_loop(server, 0), &o.task);
    while (!atomic_load(&o.done))
        sched_yield();
    return o.count;
}

/* The same on the server's side: the caller hears something, and afterwards all is as before. */
static void test_server_without_memory(void **state)
{
    (void) state;
    nrpc_server_options one = { .loops = 1 };
    server_up(socket_path, &one);
    Google__Protobuf__StringValue q = GOOGLE__PROTOBUF__STRING_VALUE__INIT;
    q.value = "hello";
    uint64_t n = 1;
    for (bool through = false; !through; n++) {
        assert_true(n < 1000);
        nrpc_channel_options o = { .target = socket_path };
        const nrpc_client_options patient = { .options.timeout_ms = 20000 };
        nrpc_client *cl = NULL;
        nrpc_status st = NRPC_STATUS_INIT;
        nrpc_msg *answer = NULL;
        assert_int_equal(nrpc_client_new(&o, &cl), 0);
        server_fails_at(n);
        nrpc_code code = nrpc_client_unary(cl, &echo_service.methods[ECHO_UNARY], &patient, &q.base,
                                           &answer, &st);
        through = server_fails_at(0) < n;
        if (through ? code != NRPC_OK : code == NRPC_DEADLINE_EXCEEDED)
            fail_msg("allocation %d: %s %s", (int) n, nrpc_code_name(code), st.message);
        nrpc_msg_free(answer);
        nrpc_status_clear(&st);
        nrpc_client_free(cl);
    }
    assert_true(n > 20); /* it did go through a call */
    server_down(5000);
    assert_nothing_left();
}

int main(void)
{
    snprintf(socket_path, sizeof socket_path, "unix:/tmp/nrpc-test-%d.sock", (int) getpid());
    alarm(100);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unary),          cmocka_unit_test(test_statuses),
        cmocka_unit_test(test_metadata),       cmocka_unit_test(test_streams),
        cmocka_unit_test(test_slow_consumer),  cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_down_and_up),    cmocka_unit_test(test_balance),
        cmocka_unit_test(test_names),          cmocka_unit_test(test_close),
        cmocka_unit_test(test_interceptors),   cmocka_unit_test(test_blocking),
        cmocka_unit_test(test_without_memory), cmocka_unit_test(test_server_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
