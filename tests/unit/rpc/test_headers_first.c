/* A bidirectional call in which the server speaks first: the client sends its headers without a
 * message, and gets an answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "rpc/base/check.h"
#include "tests/interop/exchange.h"

static const nrpc_method methods[] = {
    { "Greet", "/test.Greeter/Greet", NRPC_BIDI, false, NULL, NULL },
};
static const nrpc_service service = { "test.Greeter", methods, 1 };

static nrpc_code greet(nrpc_call *c, void *service_ctx, void **out_state, nrpc_status *st)
{
    (void) service_ctx;
    (void) st;
    static const char text[] = "welcome";
    *out_state = NULL;
    nrpc_slice name = { NULL, 0 };
    (void) nrpc_metadata_get(nrpc_call_headers_in(c), "x-name", 0, &name);
    CHECK(nrpc_metadata_add(nrpc_call_headers_out(c), "x-name", name) == 0);
    CHECK(nrpc_call_send_bytes(c, (nrpc_slice){ (const uint8_t *) text, sizeof text - 1 }) == 0);
    return NRPC_OK;
}
static void farewell(nrpc_call *c, void *state)
{
    (void) state;
    nrpc_call_finish(c, NULL);
}
static const nrpc_events events = { .on_start = greet, .on_half_close = farewell };

static void test_headers_first(void **state)
{
    (void) state;
    static const char *const metadata[] = { "x-name", "one", NULL };
    static const nrpc_server_options o = { .loops = 1 };
    static const nrpc_handler handlers[] = { { .stream = &events } };
    char path[64];
    nrpc_server *server;
    snprintf(path, sizeof path, "unix:/tmp/nrpc-first-%ld.sock", (long) getpid());
    assert_int_equal(nrpc_server_new(&o, &server), 0);
    assert_int_equal(nrpc_server_add_service(server, &service, handlers, 1, NULL), 0);
    assert_int_equal(nrpc_server_listen(server, path), 0);
    assert_int_equal(nrpc_server_start(server), 0);
    const nrpc_channel_options channel = { .target = path };
    struct peer peer = { 0 };
    assert_int_equal(peer_open(&peer, &channel), 0);
    struct exchange *x = exchange_open(&peer, &methods[0], 10000, metadata, NRPC_IDENTITY);
    assert_non_null(x);
    exchange_send_headers(x);
    exchange_send_headers(x); /* once is enough, twice does no harm */
    nrpc_msg *m = exchange_next(x);
    assert_non_null(m);
    assert_int_equal(nrpc_msg_bytes(m).size, 7);
    assert_memory_equal(nrpc_msg_bytes(m).data, "welcome", 7);
    nrpc_msg_free(m);
    assert_string_equal((const char *) pairs_find(&x->head, "x-name")->value, "one");
    exchange_half_close(x);
    assert_int_equal(exchange_finish(x), 0);
    assert_int_equal(x->status.code, NRPC_OK);
    exchange_send_headers(x); /* over: nothing */
    peer_close(&peer);
    nrpc_server_stop(server, 1000);
    nrpc_server_wait(server);
    nrpc_server_free(server);
    nrpc_gauges g;
    nrpc_gauges_read(&g);
    assert_int_equal(g.connections + g.calls + g.messages + g.channels + g.timers, 0);
    unlink(path + 5);
}

int main(void)
{
    static const struct CMUnitTest tests[] = { cmocka_unit_test(test_headers_first) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
