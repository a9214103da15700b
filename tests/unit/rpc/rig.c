#include "tests/unit/rpc/rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "rpc/base/alloc.h"
#include "rpc/base/check.h"
#include "rpc/base/clock.h"
#include "rpc/call/budget.h"
#include "rpc/io/loop.h"

nrpc_server *rig_server;
nrpc_channel *rig_channel;
nrpc_loop *rig_loop;
char rig_address[64];
static unsigned open_calls;

void rig_up(const nrpc_server_options *so, const nrpc_channel_options *co,
            void (*setup)(nrpc_server *s))
{
    nrpc_server_options one = { .loops = 1 };
    assert_int_equal(nrpc_server_new(so != NULL ? so : &one, &rig_server), 0);
    assert_int_equal(echo_add(rig_server), 0);
    if (setup != NULL)
        setup(rig_server);
    assert_int_equal(nrpc_server_listen(rig_server, "127.0.0.1:0"), 0);
    assert_int_equal(nrpc_server_start(rig_server), 0);
    snprintf(rig_address, sizeof rig_address, "%s", nrpc_server_address(rig_server, 0));
    rig_connect(rig_address, co);
}

void rig_connect(const char *address, const nrpc_channel_options *co)
{
    nrpc_channel_options o = { 0 };
    if (co != NULL)
        o = *co;
    o.target = address;
    assert_int_equal(nrpc_loop_new(&rig_loop), 0);
    assert_int_equal(nrpc_channel_new(rig_loop, &o, &rig_channel), 0);
}

/* ---- calls ---- */
static void note(struct buf *b, const nrpc_metadata *md)
{
    for (size_t i = 0; md != NULL && i < nrpc_metadata_count(md); i++) {
        const char *key;
        nrpc_slice value;
        nrpc_metadata_at(md, i, &key, &value);
        buf_puts(b, key);
        buf_putc(b, '=');
        buf_put(b, value.data, value.size);
        buf_putc(b, ';');
    }
}

static void on_headers(nrpc_call *c, void *state)
{
    struct rig_call *r = state;
    r->heads++;
    r->encoding = nrpc_call_compression_in(c);
    note(&r->head, nrpc_call_headers_in(c));
}

static void on_message(nrpc_call *c, void *state, nrpc_msg *m)
{
    struct rig_call *r = state;
    nrpc_slice bytes = nrpc_msg_bytes(m);
    buf_put(&r->data, bytes.data, bytes.size);
    buf_putc(&r->flags, nrpc_msg_was_compressed(m) ? '1' : '0');
    nrpc_msg_free(m);
    if (++r->messages == r->cancel_after)
        nrpc_call_cancel(c);
    else
        nrpc_call_want(c, 1);
}

static void on_end(nrpc_call *c, void *state, const nrpc_status *st)
{
    struct rig_call *r = state;
    r->ends++;
    note(&r->trailer, nrpc_call_trailers_in(c));
    assert_int_equal(nrpc_status_copy(&r->st, st), 0);
    r->call = NULL;
    if (--open_calls == 0)
        nrpc_loop_stop(rig_loop);
}

static const nrpc_events events = { .on_headers = on_headers,
                                    .on_message = on_message,
                                    .on_end = on_end };

static void start(struct rig_call *r)
{
    const nrpc_method *m = r->method == NULL ? &echo_service.methods[ECHO_UNARY] : r->method;
    assert_int_equal(nrpc_channel_start(rig_channel, m, &r->options, &events, r, &r->call), 0);
    open_calls++;
    if (r->on_started != NULL)
        r->on_started(r);
    size_t text = r->text == NULL ? 0 : strlen(r->text), size = text + r->pad;
    uint8_t *bytes = alloc_zero(1, size);
    assert_non_null(bytes);
    if (text > 0)
        memcpy(bytes, r->text, text);
    for (unsigned i = 0; i < (r->requests == 0 ? 1 : r->requests); i++) {
        if (r->before_send != NULL)
            r->before_send(r, i);
        int sent = nrpc_call_send_bytes(r->call, (nrpc_slice){ bytes, size });
        assert_true(sent >= 0 || sent == NRPC_E_STATE || sent == NRPC_E_FULL);
    }
    if (!r->hold_open)
        (void) nrpc_call_half_close(r->call);
    alloc_free(bytes);
}

struct batch {
    struct rig_call *calls;
    size_t n;
};
static void start_all(void *ctx)
{
    struct batch *b = ctx;
    for (size_t i = 0; i < b->n; i++)
        start(&b->calls[i]);
}

struct errand {
    nrpc_task task;
    void (*fn)(void *ctx);
    void *ctx;
    bool stop;
};
static void errand_run(nrpc_task *t, nrpc_loop *l)
{
    struct errand *e = CONTAINER_OF(t, struct errand, task);
    e->fn(e->ctx);
    if (e->stop)
        nrpc_loop_stop(l);
}

void rig_run(struct rig_call *calls, size_t n)
{
    struct batch b = { calls, n };
    struct errand e = { .task.run = errand_run, .fn = start_all, .ctx = &b };
    nrpc_loop_post(rig_loop, &e.task);
    assert_int_equal(nrpc_loop_run(rig_loop), 0);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(calls[i].ends, 1);
}

void rig_on_loop(void (*fn)(void *ctx), void *ctx)
{
    struct errand e = { .task.run = errand_run, .fn = fn, .ctx = ctx, .stop = true };
    nrpc_loop_post(rig_loop, &e.task);
    assert_int_equal(nrpc_loop_run(rig_loop), 0);
}

static void on_timer(struct timer *t)
{
    nrpc_loop_stop(t->loop);
}

void rig_until(bool (*what)(void *ctx), void *ctx)
{
    uint64_t end = clock_mono_ns() + 20000000000ull;
    while (!what(ctx)) {
        struct timer t;
        assert_true(clock_mono_ns() < end);
        timer_init(&t, rig_loop, on_timer);
        timer_start_at(&t, clock_mono_ns() + 1000000);
        assert_int_equal(nrpc_loop_run(rig_loop), 0);
        timer_stop(&t);
    }
}

void rig_done(struct rig_call *r)
{
    buf_done(&r->data);
    buf_done(&r->flags);
    buf_done(&r->head);
    buf_done(&r->trailer);
    nrpc_status_clear(&r->st);
}

/* ---- the end ---- */
static bool channel_is_gone(void *ctx)
{
    (void) ctx;
    nrpc_gauges g;
    nrpc_gauges_read(&g);
    return g.channels == 0;
}

static void close_channel(void *ctx)
{
    nrpc_channel_close(ctx);
}

void rig_down(void)
{
    rig_on_loop(close_channel, rig_channel);
    rig_until(channel_is_gone, NULL);
    nrpc_loop_free(rig_loop);
    if (rig_server != NULL) {
        nrpc_server_stop(rig_server, 5000);
        nrpc_server_wait(rig_server);
    }
    nrpc_server_free(rig_server);
    rig_server = NULL;
    nrpc_gauges g;
    nrpc_gauges_read(&g);
    assert_int_equal(g.connections, 0);
    assert_int_equal(g.calls, 0);
    assert_int_equal(g.messages, 0);
    assert_int_equal(g.blobs, 0);
    assert_int_equal(g.cancels, 0);
    assert_int_equal(g.timers, 0);
    assert_int_equal(call_budget_process(), 0);
}
