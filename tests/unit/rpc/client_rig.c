#include "tests/unit/rpc/client_rig.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "rpc/base/alloc.h"

nrpc_loop *rig_loop;
nrpc_channel *rig_channel;
static unsigned open_asks, ended;

nrpc_server *rig_server(const char *address, const nrpc_server_options *o, bool health)
{
    nrpc_server *s;
    const nrpc_server_options one = { .loops = 1 };
    assert_int_equal(nrpc_server_new(o != NULL ? o : &one, &s), 0);
    assert_int_equal(echo_add(s), 0);
    if (health)
        assert_int_equal(nrpc_server_add_health(s), 0);
    assert_int_equal(nrpc_server_listen(s, address), 0);
    assert_int_equal(nrpc_server_start(s), 0);
    return s;
}

void rig_server_down(nrpc_server *s, uint32_t grace_ms)
{
    nrpc_server_stop(s, grace_ms);
    nrpc_server_wait(s);
    nrpc_server_free(s);
}

void rig_path(char out[64], int number)
{
    snprintf(out, 64, "unix:/tmp/nrpc-client-%d-%d.sock", (int) getpid(), number);
}

static void on_gone(void *ctx)
{
    *(bool *) ctx = true;
    nrpc_loop_stop(rig_loop);
}

static void run_down(nrpc_task *t, nrpc_loop *l)
{
    (void) t;
    (void) l;
}

void rig_channel_up(const nrpc_channel_options *o)
{
    assert_int_equal(nrpc_loop_new(&rig_loop), 0);
    assert_int_equal(nrpc_channel_new(rig_loop, o, &rig_channel), 0);
    open_asks = ended = 0;
}

void rig_channel_down(void)
{
    bool gone = false;
    nrpc_task nothing = { .run = run_down };
    nrpc_loop_post(rig_loop, &nothing);
    nrpc_channel_close_then(rig_channel, on_gone, &gone);
    while (!gone)
        assert_int_equal(nrpc_loop_run(rig_loop), 0);
    nrpc_loop_free(rig_loop);
}

/* ---- calls ---- */
static void on_headers(nrpc_call *c, void *state)
{
    (void) c;
    ((struct ask *) state)->starts++;
}

static void on_message(nrpc_call *c, void *state, nrpc_msg *m)
{
    struct ask *a = state;
    nrpc_slice bytes = nrpc_msg_bytes(m);
    buf_put(&a->data, bytes.data, bytes.size);
    a->messages++;
    nrpc_msg_free(m);
    nrpc_call_want(c, 1);
}

static void on_end(nrpc_call *c, void *state, const nrpc_status *st)
{
    struct ask *a = state;
    a->ends++;
    a->order = ++ended;
    a->attempts = nrpc_call_attempts(c);
    snprintf(a->peer, sizeof a->peer, "%s", nrpc_call_peer(c));
    assert_int_equal(nrpc_status_copy(&a->st, st), 0);
    a->call = NULL;
    open_asks--;
    if (a->on_end != NULL)
        a->on_end(a);
    nrpc_loop_stop(rig_loop);
}
static const nrpc_events events = { .on_headers = on_headers,
                                    .on_message = on_message,
                                    .on_end = on_end };

void rig_ask_start(struct ask *a)
{
    a->copy = echo_service.methods[a->method];
    a->copy.idempotent = a->idempotent;
    assert_int_equal(nrpc_channel_start(rig_channel, &a->copy, &a->options, &events, a, &a->call),
                     0);
    open_asks++;
    size_t size = strlen(a->text) + a->pad;
    uint8_t *bytes = alloc_zero(1, size);
    assert_non_null(bytes);
    memcpy(bytes, a->text, strlen(a->text));
    for (unsigned i = 0; i < (a->requests == 0 ? 1 : a->requests); i++) {
        int r = nrpc_call_send_bytes(a->call, (nrpc_slice){ bytes, size });
        assert_true(r >= 0 || r == NRPC_E_STATE);
    }
    if (!a->open_end)
        (void) nrpc_call_half_close(a->call);
    alloc_free(bytes);
}

struct batch {
    nrpc_task task;
    struct ask *asks;
    size_t n;
    bool stop;
};

static void batch_run(nrpc_task *t, nrpc_loop *l)
{
    struct batch *b = CONTAINER_OF(t, struct batch, task);
    for (size_t i = 0; i < b->n; i++)
        rig_ask_start(&b->asks[i]);
    if (b->stop)
        nrpc_loop_stop(l);
}

void rig_ask_begin(struct ask *asks, size_t n)
{
    struct batch b = { .task.run = batch_run, .asks = asks, .n = n, .stop = true };
    nrpc_loop_post(rig_loop, &b.task);
    assert_int_equal(nrpc_loop_run(rig_loop), 0);
}

void rig_finish(void)
{
    while (open_asks > 0)
        assert_int_equal(nrpc_loop_run(rig_loop), 0);
}

void rig_ask_all(struct ask *asks, size_t n)
{
    rig_ask_begin(asks, n);
    rig_finish();
    for (size_t i = 0; i < n; i++)
        assert_int_equal(asks[i].ends, 1);
}

nrpc_code rig_ask(const char *text)
{
    struct ask a = { .text = text };
    rig_ask_begin(&a, 1);
    while (a.ends == 0)
        assert_int_equal(nrpc_loop_run(rig_loop), 0);
    nrpc_code code = a.st.code;
    rig_ask_done(&a);
    return code;
}

void rig_ask_done(struct ask *a)
{
    buf_done(&a->data);
    nrpc_status_clear(&a->st);
}

/* ---- time ---- */
static void on_stop(struct timer *t)
{
    nrpc_loop_stop(t->loop);
}

void rig_idle(uint64_t ms)
{
    struct timer t;
    timer_init(&t, rig_loop, on_stop);
    timer_start_at(&t, clock_mono_ns() + ms * 1000000);
    assert_int_equal(nrpc_loop_run(rig_loop), 0);
    timer_stop(&t);
}

void rig_until(bool (*check)(void *ctx), void *ctx)
{
    uint64_t end = clock_mono_ns() + 10000000000u;
    while (!check(ctx)) {
        if (clock_mono_ns() > end)
            fail_msg("what was waited for did not come");
        rig_idle(2);
    }
}

void rig_nothing_left(void)
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
