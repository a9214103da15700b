/* grpc.health.v1 by frames: Watch of a service that is not there yet, states that change, many
 * watchers, and the order of a drain. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "rpc/base/alloc.h"
#include "rpc/base/check.h"
#include "tests/unit/rpc/echo_service.h"
#include "tests/unit/rpc/raw_peer.h"

enum { SERVING = 1, NOT_SERVING = 2, SERVICE_UNKNOWN = 3, MANY = 100 };
#define CHECK_PATH "/grpc.health.v1.Health/Check"
#define WATCH_PATH "/grpc.health.v1.Health/Watch"

static nrpc_server *server;

static void server_up(uint16_t loops)
{
    assert_int_equal(nrpc_server_new(&(nrpc_server_options){ .loops = loops }, &server), 0);
    assert_int_equal(echo_add(server), 0);
    assert_int_equal(nrpc_server_add_health(server), 0);
    assert_int_equal(nrpc_server_add_health(server), NRPC_E_STATE);
    assert_int_equal(nrpc_server_listen(server, "127.0.0.1:0"), 0);
    assert_int_equal(nrpc_server_start(server), 0);
}
static void server_down(void)
{
    nrpc_server_wait(server);
    nrpc_server_free(server);
    nrpc_gauges g;
    nrpc_gauges_read(&g);
    assert_int_equal(g.connections + g.calls + g.messages + g.timers, 0);
}
static int hello(void)
{
    int fd = raw_connect(nrpc_server_address(server, 0));
    assert_true(raw_hello(fd));
    return fd;
}
static void ask(int fd, uint32_t stream, const char *path, const char *service)
{
    uint8_t block[256], body[128] = { 0 };
    size_t size = strlen(service);
    assert_true(raw_frame_send(fd, F_HEADERS, 4, stream, block, raw_request(block, path)));
    body[4] = (uint8_t) (size + 2);
    body[5] = 0x0a;
    body[6] = (uint8_t) size;
    memcpy(body + 7, service, size);
    assert_true(raw_frame_send(fd, F_DATA, 1, stream, body, (uint32_t) size + 7));
}
/* The next status that is said on the stream. */
static int said(int fd, uint32_t stream)
{
    struct raw_frame f;
    do {
        assert_true(raw_frame_until(fd, F_DATA, &f));
    } while (f.stream != stream);
    assert_int_equal(f.size, 7);
    assert_int_equal(f.data[5], 0x08);
    return f.data[6];
}

static void test_watch(void **state)
{
    (void) state;
    server_up(2);
    int fd = hello(), other = hello(); /* on the two loops */
    ask(fd, 1, WATCH_PATH, "later");
    ask(other, 1, WATCH_PATH, "later");
    ask(fd, 3, WATCH_PATH, "");
    ask(fd, 5, WATCH_PATH, "test.Echo");
    assert_int_equal(said(fd, 1), SERVICE_UNKNOWN);
    assert_int_equal(said(other, 1), SERVICE_UNKNOWN);
    assert_int_equal(said(fd, 3), SERVING);
    assert_int_equal(said(fd, 5), SERVING); /* all that is served, unless told otherwise */
    static const struct {
        const char *service;
        bool serving;
        uint32_t stream;
    } steps[] = {
        { "later", true, 1 },      { "later", true, 0 },      { "", false, 3 },
        { "test.Echo", false, 5 }, { "test.Echo", false, 0 }, { "test.Echo", true, 5 },
        { "later", false, 1 },     { "", true, 3 },
    };
    for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
        nrpc_server_set_serving(server, steps[i].service, steps[i].serving);
        int want = steps[i].serving ? SERVING : NOT_SERVING;
        if (steps[i].stream !=
            0) /* what does not change is not said again: the next would not fit */
            assert_int_equal(said(fd, steps[i].stream), want);
        if (steps[i].stream == 1)
            assert_int_equal(said(other, 1), want);
    }
    ask(fd, 7, CHECK_PATH, "later");
    assert_int_equal(said(fd, 7), NOT_SERVING);
    ask(fd, 9, CHECK_PATH, "never");
    struct raw_frame f;
    assert_true(raw_frame_until(fd, F_HEADERS, &f)); /* of 7 */
    while (f.stream != 9)
        assert_true(raw_frame_until(fd, F_HEADERS, &f));
    assert_int_equal(f.flags & 1, 1); /* trailers only: NOT_FOUND */
    close(fd);
    close(other);
    nrpc_server_stop(server, 1000);
    server_down();
}

/* Each of many watchers on many connections hears of each change, in order. */
static void test_many_watchers(void **state)
{
    (void) state;
    server_up(2);
    int fds[4];
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
        fds[i] = hello();
        for (uint32_t j = 0; j < MANY; j++)
            ask(fds[i], 2 * j + 1, WATCH_PATH, "test.Echo");
    }
    for (int round = 0; round < 4; round++) {
        for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
            bool told[MANY] = { 0 };
            for (int j = 0; j < MANY; j++) {
                struct raw_frame f;
                assert_true(raw_frame_until(fds[i], F_DATA, &f));
                assert_false(told[f.stream / 2]);
                told[f.stream / 2] = true;
                assert_int_equal(f.data[6], round % 2 == 0 ? SERVING : NOT_SERVING);
            }
        }
        nrpc_server_set_serving(server, "test.Echo", round % 2 != 0);
    }
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
        close(fds[i]);
    nrpc_server_stop(server, 1000);
    server_down();
}

/* NOT_SERVING, then the end of the watch, and only then GOAWAY: a balancer that watches sends no
 * more calls here before any is refused. */
static void test_drain(void **state)
{
    (void) state;
    server_up(1);
    int fd = hello();
    ask(fd, 1, WATCH_PATH, "test.Echo");
    ask(fd, 3, WATCH_PATH, "never");
    assert_int_equal(said(fd, 1), SERVING);
    assert_int_equal(said(fd, 3), SERVICE_UNKNOWN);
    nrpc_server_stop(server, 5000);
    struct raw_frame f;
    char order[16] = "";
    while (strlen(order) < 4) {
        assert_true(raw_frame_read(fd, &f));
        if (f.type == F_DATA) {
            assert_int_equal(f.stream, 1);
            assert_int_equal(f.data[6], NOT_SERVING);
            order[strlen(order)] = 'd';
        } else if (f.type == F_HEADERS && (f.flags & 1) != 0) {
            if (strchr(order, 't') == NULL) /* UNAVAILABLE; later ones refer to the table */
                assert_non_null(memmem(f.data, f.size, "14", 2));
            order[strlen(order)] = 't';
        } else if (f.type == F_GOAWAY) {
            order[strlen(order)] = 'g';
        } else if (f.type == F_PING) {
            assert_true(raw_frame_send(fd, F_PING, 1, 0, f.data, 8));
        }
    }
    /* Trailers of both watches, one of them behind its DATA. */
    assert_int_equal(order[3], 'g');
    close(fd);
    server_down();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_watch),
        cmocka_unit_test(test_many_watchers),
        cmocka_unit_test(test_drain),
    };
    return cmocka_run_group_tests_name("health", tests, NULL, NULL);
}
