/* Keepalive both ways, the policing of PINGs, and connections that grow old (gRFC A8, A9). */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "rpc/base/alloc.h"
#include "rpc/base/check.h"
#include "rpc/h2/conn.h"
#include "tests/unit/rpc/echo_service.h"
#include "tests/unit/rpc/raw_peer.h"

static nrpc_server *server;

static void server_up(const nrpc_server_options *o)
{
    assert_int_equal(nrpc_server_new(o, &server), 0);
    assert_int_equal(echo_add(server), 0);
    assert_int_equal(nrpc_server_listen(server, "127.0.0.1:0"), 0);
    assert_int_equal(nrpc_server_start(server), 0);
}
static void server_down(void)
{
    nrpc_server_stop(server, 100);
    nrpc_server_wait(server);
    nrpc_server_free(server);
    nrpc_gauges g;
    nrpc_gauges_read(&g);
    assert_int_equal(g.connections, 0);
    assert_int_equal(g.calls, 0);
    assert_int_equal(g.timers, 0);
}
static int hello(void)
{
    int fd = raw_connect(nrpc_server_address(server, 0));
    assert_true(raw_hello(fd));
    return fd;
}
/* A call that stays open. */
static void open_chat(int fd, uint32_t stream)
{
    uint8_t block[256];
    assert_true(
        raw_frame_send(fd, F_HEADERS, 4, stream, block, raw_request(block, "/test.Echo/Chat")));
}

/* ---- the rule for PINGs, on a clock of our own: P ping, S something was sent, o/c streams open or
 * not, digits: that many seconds pass; the number of steps until it trips, 0: never --------------
 */
static const struct {
    const char *steps;
    uint32_t min_ms;
    bool permit_idle;
    int trips;
} rules[] = {
    { "oPPPP", 5000, false, 5 },             /* the first is free, two strikes, out */
    { "o9P9P9P9P9P9P9P9P", 5000, false, 0 }, /* slow enough */
    { "oP4P4P4P", 5000, false, 8 },
    { "oP4P6P4P6P4P", 5000, false, 12 },    /* strikes stay between good ones */
    { "oPPPSPPPSPPPSPPP", 5000, false, 0 }, /* each S buys a PING and wipes strikes out */
    { "oPPPSPPPP", 5000, false, 9 },
    { "cP9P9P9P", 5000, false, 8 }, /* without streams two hours hold */
    { "cP9P9P9P9P9P", 5000, true, 0 },
    { "cPPPP", 5000, true, 5 },
    { "oPPPPPPPPPPPPPPPP", 0, false, 0 }, /* not policed: only the budget counts */
};

static void test_rule(void **state)
{
    (void) state;
    for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
        uint64_t now_ns = 1000000000;
        bool streams = false;
        int trips = 0;
        struct h2_shield s;
        h2_shield_init(&s, now_ns);
        s.ping_min_ns = rules[i].min_ms * 1000000ull;
        s.ping_permit_idle = rules[i].permit_idle;
        for (const char *p = rules[i].steps; *p != '\0' && trips == 0; p++) {
            if (*p == 'o' || *p == 'c')
                streams = *p == 'o';
            else if (*p == 'S')
                h2_shield_sent(&s, 10, false);
            else if (*p != 'P')
                now_ns += (uint64_t) (*p - '0') * 1000000000;
            else if (!h2_shield_ping(&s, streams, now_ns))
                trips = (int) (p - rules[i].steps) + 1;
        }
        if (trips != rules[i].trips)
            fail_msg("%s: trips at %d, should at %d", rules[i].steps, trips, rules[i].trips);
        assert_int_equal(s.tripped, trips != 0);
    }
}

static void test_policing(void **state)
{
    (void) state;
    server_up(&(nrpc_server_options){ .loops = 1 });
    uint64_t before = h2_abuse_total(H2_ABUSE_PING);
    static const uint8_t data[8] = "whatever";
    struct raw_frame f;
    int fd = hello();
    for (int i = 0; i < 4; i++)
        (void) raw_frame_send(fd, F_PING, 0, 0, data, 8);
    assert_true(raw_frame_until(fd, F_GOAWAY, &f));
    assert_int_equal(raw_u32(f.data + 4), H2_ENHANCE_YOUR_CALM);
    assert_int_equal(f.size, 8 + strlen("too_many_pings"));
    assert_memory_equal(f.data + 8, "too_many_pings", f.size - 8);
    assert_false(raw_frame_until(fd, F_GOAWAY, &f));
    close(fd);
    assert_int_equal(h2_abuse_total(H2_ABUSE_PING), before + 1);
    server_down();
    /* Switched off. */
    server_up(&(nrpc_server_options){ .loops = 1, .keepalive_min_ms = UINT32_MAX });
    fd = hello();
    for (int i = 0; i < 100; i++) {
        assert_true(raw_frame_send(fd, F_PING, 0, 0, data, 8));
        assert_true(raw_frame_until(fd, F_PING, &f));
        assert_int_equal(f.flags, 1);
    }
    close(fd);
    server_down();
}

/* The server's PINGs: who answers stays, who does not goes; any bytes are a sign of life. */
static void test_server_pings(void **state)
{
    (void) state;
    server_up(
        &(nrpc_server_options){ .loops = 1, .keepalive_ms = 40, .keepalive_timeout_ms = 500 });
    struct raw_frame f;
    int fd = hello();
    open_chat(fd, 1);
    for (int i = 0; i < 5; i++) {
        uint64_t began = clock_mono_ns();
        assert_true(raw_frame_until(fd, F_PING, &f));
        assert_int_equal(f.flags, 0);
        assert_true(i == 0 || clock_mono_ns() - began > 30000000ull);
        assert_true(raw_frame_send(fd, F_PING, 1, 0, f.data, 8));
    }
    close(fd);
    server_down();

    server_up(
        &(nrpc_server_options){ .loops = 1, .keepalive_ms = 40, .keepalive_timeout_ms = 100 });
    fd = hello();
    assert_true(raw_frame_until(fd, F_PING, &f));
    uint64_t began = clock_mono_ns();
    assert_false(raw_frame_until(fd, F_PING, &f));
    assert_true(clock_mono_ns() - began > 90000000ull);
    close(fd);
    server_down();

    server_up(&(nrpc_server_options){ .loops = 1, .keepalive_ms = UINT32_MAX, .idle_ms = 200 });
    fd = hello();
    assert_false(raw_frame_until(fd, F_PING, &f)); /* only the idle limit ends it */
    close(fd);
    server_down();
}

/* ---- the client's PINGs, against a listener that never answers ---------------------------------
 */
struct watch {
    nrpc_loop *loop;
    struct h2_conn *conn;
    struct timer end;
    int closed_error;
    uint64_t pings;
};
static void on_close(void *owner, int error)
{
    struct watch *w = owner;
    w->closed_error = error;
    w->conn = NULL;
    nrpc_loop_stop(w->loop);
}
static void on_end(struct timer *t)
{
    struct watch *w = CONTAINER_OF(t, struct watch, end);
    w->pings = h2_conn_keepalives(w->conn);
    h2_conn_close(w->conn);
}
static void on_stream_close(void *user, uint32_t code)
{
    *(uint32_t *) user = code;
}

static void watch_silence(bool with_stream, bool idle, int want_error, uint64_t want_pings)
{
    static const struct h2_conn_events conn_events = { .on_close = on_close };
    static const struct h2_stream_events stream_events = { .on_close = on_stream_close };
    static const struct h2_field head[] = { H2_FIELD(":method", "POST"),
                                            H2_FIELD(":scheme", "http"), H2_FIELD(":path", "/a/b"),
                                            H2_FIELD(":authority", "x") };
    struct watch w = { .closed_error = -1 };
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof in;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *) &in, size), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *) &in, &size), 0);
    char address[32];
    snprintf(address, sizeof address, "127.0.0.1:%u", ntohs(in.sin_port));
    assert_int_equal(nrpc_loop_new(&w.loop), 0);
    const struct h2_conn_options o = {
        .h2 = { H2_CLIENT, 0, 65536, 65536, 16384, 100, 0, false },
        .keepalive_ms = 50,
        .keepalive_timeout_ms = 100,
        .keepalive_idle = idle,
    };
    assert_int_equal(h2_conn_connect(w.loop, address, 5000, &o, &conn_events, &w, &w.conn), 0);
    int fd = accept(listener, NULL, NULL);
    assert_true(fd >= 0);
    assert_true(raw_frame_send(fd, F_SETTINGS, 0, 0, NULL, 0));
    uint32_t closed_code = 0;
    struct h2_queue queue;
    h2_queue_init(&queue);
    struct h2_stream *st;
    if (with_stream)
        assert_int_equal(h2_stream_open(h2_conn_session(w.conn), head, 4, false, &queue,
                                        &stream_events, &closed_code, &st),
                         0);
    timer_init(&w.end, w.loop, on_end);
    if (want_error == 0)
        timer_start(&w.end, 400);
    assert_int_equal(nrpc_loop_run(w.loop), 0);
    timer_stop(&w.end);
    assert_int_equal(w.closed_error, want_error);
    assert_int_equal(w.pings, want_pings);
    assert_int_equal(closed_code, with_stream ? H2_CONNECTION_LOST : 0);
    nrpc_loop_free(w.loop);
    close(fd);
    close(listener);
}

static void test_client_pings(void **state)
{
    (void) state;
    watch_silence(true, false, ETIMEDOUT, 0);
    watch_silence(false, true, ETIMEDOUT, 0);
    watch_silence(false, false, 0, 0); /* no calls: no PING is sent, nothing is missed */
}

/* ---- age ----------------------------------------------------------------------------------------
 */
static void test_age(void **state)
{
    (void) state;
    server_up(&(nrpc_server_options){ .loops = 1, .max_age_ms = 200, .max_age_grace_ms = 1500 });
    uint64_t began = clock_mono_ns();
    int busy = hello();
    struct raw_frame f;
    open_chat(busy, 1);
    /* First the notice; its PING's answer brings the real id; the call goes on. */
    assert_true(raw_frame_until(busy, F_GOAWAY, &f));
    uint64_t took = (clock_mono_ns() - began) / 1000000;
    assert_in_range(took, 179, 5000);
    assert_int_equal(raw_u32(f.data), INT32_MAX);
    assert_int_equal(raw_u32(f.data + 4), H2_NO_ERROR);
    assert_true(raw_frame_until(busy, F_PING, &f));
    assert_true(raw_frame_send(busy, F_PING, 1, 0, f.data, 8));
    assert_true(raw_frame_until(busy, F_GOAWAY, &f));
    assert_int_equal(raw_u32(f.data), 1);
    static const uint8_t message[6] = { 0, 0, 0, 0, 1, 'x' };
    assert_true(raw_frame_send(busy, F_DATA, 0, 1, message, 6));
    assert_true(raw_frame_until(busy, F_DATA, &f));
    assert_memory_equal(f.data, message, 6);
    /* The grace is over: trailers say so, then the connection closes. */
    assert_true(raw_frame_until(busy, F_HEADERS, &f));
    assert_int_equal(f.flags & 1, 1);
    assert_non_null(memmem(f.data, f.size, "14", 2)); /* UNAVAILABLE, a literal of ours */
    assert_false(raw_frame_until(busy, F_HEADERS, &f));
    assert_in_range((clock_mono_ns() - began) / 1000000, took + 1400, 20000);
    close(busy);
    server_down();
    server_up(&(nrpc_server_options){ .loops = 1, .max_age_ms = 50, .max_age_grace_ms = 10000 });
    int idle = hello();
    /* Without calls the answer to the PING is all that is waited for. */
    assert_true(raw_frame_until(idle, F_PING, &f));
    assert_true(raw_frame_send(idle, F_PING, 1, 0, f.data, 8));
    assert_true(raw_frame_until(idle, F_GOAWAY, &f));
    assert_false(raw_frame_until(idle, F_GOAWAY, &f));
    close(idle);
    server_down();
}

/* Who never answers the PING of the drain is cut all the same. */
static void test_age_deaf_peer(void **state)
{
    (void) state;
    server_up(&(nrpc_server_options){ .loops = 1, .max_age_ms = 50, .max_age_grace_ms = 50 });
    int fd = hello();
    struct raw_frame f;
    assert_true(raw_frame_until(fd, F_GOAWAY, &f));
    while (raw_frame_read(fd, &f))
        ;
    close(fd);
    server_down();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rule),         cmocka_unit_test(test_policing),
        cmocka_unit_test(test_server_pings), cmocka_unit_test(test_client_pings),
        cmocka_unit_test(test_age),          cmocka_unit_test(test_age_deaf_peer),
    };
    return cmocka_run_group_tests_name("keepalive", tests, NULL, NULL);
}
