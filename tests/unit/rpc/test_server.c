/* A server and peers that do not behave: wrong HTTP, broken messages, silence, closed windows,
 * floods. */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "rpc/base/alloc.h"
#include "rpc/base/check.h"
#include "rpc/base/clock.h"
#include "rpc/call/budget.h"
#include "rpc/h2/session.h"
#include "tests/unit/rpc/echo_service.h"

static nrpc_server *server;
static struct sockaddr_in address;

static void server_up(const nrpc_server_options *o)
{
    assert_int_equal(nrpc_server_new(o, &server), 0);
    assert_int_equal(echo_add(server), 0);
    assert_int_equal(nrpc_server_listen(server, "127.0.0.1:0"), 0);
    assert_null(nrpc_server_address(server, 1));
    assert_int_equal(nrpc_server_start(server), 0);
    const char *text = nrpc_server_address(server, 0);
    address = (struct sockaddr_in){ .sin_family = AF_INET };
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((uint16_t) atoi(strrchr(text, ':') + 1));
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
    assert_int_equal(g.messages, 0);
    assert_int_equal(g.blobs, 0);
    assert_int_equal(g.timers, 0);
    assert_int_equal(call_budget_process(), 0);
}

/* ---- a client by hand
 * ---------------------------------------------------------------------------- */
struct peer {
    int fd;
    struct h2_session *session;
    struct buf out;
    bool gone; /* the server closed the connection */
    int goaways;
    uint32_t goaway_code;
};
struct exchange {
    struct h2_stream *stream;
    struct h2_queue queue;
    struct buf head, body;
    bool ended, closed;
    uint32_t code;
};

static void note(struct exchange *x, const struct h2_field *f, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        buf_put(&x->head, f[i].name, f[i].name_size);
        buf_putc(&x->head, '=');
        buf_put(&x->head, f[i].value, f[i].value_size);
        buf_putc(&x->head, '\n');
    }
}
static void on_headers(void *user, const struct h2_field *f, size_t n, bool end)
{
    (void) end;
    note(user, f, n);
}
static void on_data(void *user, const uint8_t *data, size_t size)
{
    struct exchange *x = user;
    buf_put(&x->body, data, size);
    h2_stream_consume(x->stream, size);
}
static void on_trailers(void *user, const struct h2_field *f, size_t n)
{
    note(user, f, n);
}
static void on_end(void *user)
{
    ((struct exchange *) user)->ended = true;
}
static void on_close(void *user, uint32_t code)
{
    struct exchange *x = user;
    x->closed = true;
    x->code = code;
    x->stream = NULL;
    h2_queue_clear(&x->queue);
}
static const struct h2_stream_events stream_events = {
    .on_headers = on_headers,
    .on_data = on_data,
    .on_trailers = on_trailers,
    .on_end = on_end,
    .on_close = on_close,
};
static void on_goaway(void *owner, uint32_t code)
{
    struct peer *p = owner;
    p->goaways++;
    p->goaway_code = code;
}
static const struct h2_session_events session_events = { .on_goaway = on_goaway };

static int tcp_open(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *) &address, sizeof address), 0);
    return fd;
}

static void peer_open(struct peer *p, uint32_t window)
{
    *p = (struct peer){ .fd = tcp_open() };
    const struct h2_options o = { H2_CLIENT, 0, window, 16 << 20, 16384, 100 };
    assert_int_equal(h2_session_new(&o, &session_events, p, clock_mono_ns(), &p->session), 0);
}
static void peer_done(struct peer *p)
{
    close(p->fd);
    h2_session_abort(p->session);
    h2_session_free(p->session);
    buf_done(&p->out);
}
/* Sends what is due and reads what is there, at most for a moment. */
static void peer_turn(struct peer *p)
{
    static uint8_t bytes[65536];
    (void) h2_session_drain(p->session, &p->out, p->out.size + (1 << 20), clock_mono_ns());
    if (p->out.size > 0) {
        ssize_t n = send(p->fd, p->out.data, p->out.size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0)
            buf_drop(&p->out, (size_t) n);
        else if (n < 0 && errno != EAGAIN)
            p->gone = true;
    }
    struct pollfd w = { p->fd, (short) (POLLIN | (p->out.size > 0 ? POLLOUT : 0)), 0 };
    if (poll(&w, 1, 10) <= 0 || (w.revents & ~POLLOUT) == 0)
        return;
    ssize_t n = recv(p->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n > 0)
        (void) h2_session_feed(p->session, bytes, (size_t) n, clock_mono_ns());
    else if (n == 0 || errno != EAGAIN)
        p->gone = true;
}
/* Runs until *what is true; fails the test when that takes 20 s. */
static void peer_until(struct peer *p, const bool *what)
{
    uint64_t end = clock_mono_ns() + 20000000000ull;
    while (!*what) {
        peer_turn(p);
        if (p->gone && what != &p->gone && !*what)
            fail_msg("the server closed the connection");
        assert_true(clock_mono_ns() < end);
    }
}

static void ask(struct peer *p, struct exchange *x, const char *const *head, const void *body,
                size_t size, bool end)
{
    memset(x, 0, sizeof *x);
    h2_queue_init(&x->queue);
    struct h2_field fields[16] = { H2_FIELD(":scheme", "http"), H2_FIELD(":authority", "test") };
    size_t n = 2;
    for (; head[0] != NULL; head += 2, n++)
        fields[n] = (struct h2_field){ head[0], head[1], (uint32_t) strlen(head[0]),
                                       (uint32_t) strlen(head[1]) };
    /* Pseudo-headers come first. */
    for (size_t i = 2; i < n; i++)
        for (size_t j = i; j > 0 && fields[j].name[0] == ':' && fields[j - 1].name[0] != ':'; j--) {
            struct h2_field f = fields[j];
            fields[j] = fields[j - 1];
            fields[j - 1] = f;
        }
    while (!h2_session_can_open(p->session))
        peer_turn(p);
    assert_int_equal(h2_queue_put(&x->queue, body, size), 0);
    assert_int_equal(
        h2_stream_open(p->session, fields, n, false, &x->queue, &stream_events, x, &x->stream), 0);
    if (end)
        assert_int_equal(h2_stream_finish(x->stream, NULL, 0), 0);
}
static void exchange_done(struct exchange *x)
{
    h2_queue_clear(&x->queue);
    buf_done(&x->head);
    buf_done(&x->body);
}
#define GRPC(path)                                                                                 \
    ((const char *const[]){ ":method", "POST", ":path", path, "te", "trailers", "content-type",    \
                            "application/grpc", NULL })

#define GRPC_ENCODED(encoding)                                                                     \
    ((const char *const[]){ ":method", "POST", ":path", "/test.Echo/Unary", "te", "trailers",      \
                            "content-type", "application/grpc", "grpc-encoding", encoding, NULL })

/* ---- wrong requests, right answers
 * --------------------------------------------------------------- */
static const struct {
    const char *name;
    const char *const *head;
    const char *body;
    size_t size;
    const char *want, *also;
} cases[] = {
    { "wrong content-type",
      (const char *const[]){ ":method", "POST", ":path", "/test.Echo/Unary", "content-type",
                             "application/json", NULL },
      "{}", 2, ":status=415\n", NULL },
    { "no content-type",
      (const char *const[]){ ":method", "POST", ":path", "/test.Echo/Unary", NULL }, "", 0,
      ":status=415\n", NULL },
    { "GET",
      (const char *const[]){ ":method", "GET", ":path", "/test.Echo/Unary", "content-type",
                             "application/grpc", NULL },
      "", 0, ":status=405\n", NULL },
    { "gRPC-Web",
      (const char *const[]){ ":method", "POST", ":path", "/test.Echo/Unary", "content-type",
                             "application/grpc-web", NULL },
      "", 0, ":status=415\n", NULL },
    { "content-type with a suffix",
      (const char *const[]){ ":method", "POST", ":path", "/test.Echo/Unary", "te", "trailers",
                             "content-type", "application/grpc+proto", NULL },
      "\0\0\0\0\1a", 6, "grpc-status=0\n", ":status=200\n" },
    { "unknown method", GRPC("/test.Echo/Nope"), "\0\0\0\0\0", 5, "grpc-status=12\n",
      ":status=200\n" },
    { "unknown service", GRPC("/Nope/Unary"), "\0\0\0\0\0", 5, "grpc-status=12\n", NULL },
    { "unknown encoding",
      (const char *const[]){ ":method", "POST", ":path", "/test.Echo/Unary", "te", "trailers",
                             "content-type", "application/grpc", "grpc-encoding", "snappy", NULL },
      "\0\0\0\0\0", 5, "grpc-status=12\n", "grpc-accept-encoding=identity,deflate,gzip\n" },
    { "two encodings",
      (const char *const[]){ ":method", "POST", ":path", "/test.Echo/Unary", "te", "trailers",
                             "content-type", "application/grpc", "grpc-encoding", "gzip,deflate",
                             NULL },
      "\0\0\0\0\0", 5, "grpc-status=12\n", NULL },
    { "a message that is not what the encoding says", GRPC_ENCODED("gzip"), "\1\0\0\0\3abc", 8,
      "grpc-status=13\n", NULL },
    { "a compressed message of no bytes", GRPC_ENCODED("gzip"), "\1\0\0\0\0", 5, "grpc-status=13\n",
      NULL },
    { "a plain message under an encoding", GRPC_ENCODED("deflate"), "\0\0\0\0\1a", 6,
      "grpc-status=0\n", ":status=200\n" },
    { "identity, and the flag", GRPC_ENCODED("identity"), "\1\0\0\0\0", 5, "grpc-status=13\n",
      NULL },
    { "broken timeout",
      (const char *const[]){ ":method", "POST", ":path", "/test.Echo/Unary", "te", "trailers",
                             "content-type", "application/grpc", "grpc-timeout", "1x", NULL },
      "\0\0\0\0\0", 5, "grpc-status=", ":status=200\n" },
    { "no message", GRPC("/test.Echo/Unary"), "", 0, "grpc-status=12\n", NULL },
    { "two messages", GRPC("/test.Echo/Unary"), "\0\0\0\0\0\0\0\0\0\0", 10, "grpc-status=12\n",
      NULL },
    { "truncated message", GRPC("/test.Echo/Unary"), "\0\0\0\0\5ab", 7, "grpc-status=13\n", NULL },
    { "truncated prefix", GRPC("/test.Echo/Unary"), "\0\0\0", 3, "grpc-status=13\n", NULL },
    { "4 GiB message", GRPC("/test.Echo/Unary"),
      "\0\xff\xff\xff\xff"
      "ab",
      7, "grpc-status=8\n", NULL },
    { "strange flag", GRPC("/test.Echo/Unary"), "\7\0\0\0\0", 5, "grpc-status=13\n", NULL },
    { "compressed without encoding", GRPC("/test.Echo/Unary"), "\1\0\0\0\0", 5, "grpc-status=13\n",
      NULL },
    { "not a message of the type", GRPC("/test.Echo/Typed"), "\0\0\0\0\2\xff\xff", 7,
      "grpc-status=3\n", NULL },
    { "bad UTF-8", GRPC("/test.Echo/Typed"), "\0\0\0\0\7\x0a\5\x0a\1\xff\x12\0", 12,
      "grpc-status=3\n", NULL },
};

static void test_wrong_requests(void **state)
{
    (void) state;
    server_up(&(nrpc_server_options){ .loops = 1 });
    struct peer p;
    peer_open(&p, 65536);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct exchange x;
        ask(&p, &x, cases[i].head, cases[i].body, cases[i].size, true);
        peer_until(&p, &x.closed);
        const char *head = buf_str(&x.head);
        if (strstr(head, cases[i].want) == NULL ||
            (cases[i].also != NULL && strstr(head, cases[i].also) == NULL) || !x.ended ||
            x.code != H2_NO_ERROR)
            fail_msg("%s: ended %d, reset %u:\n%s", cases[i].name, x.ended, x.code, head);
        exchange_done(&x);
    }
    /* A value in a list in a value ...: 10,000 deep, refused before anything recurses into it. */
    static uint8_t nested[2 * 40000 + 64];
    uint8_t *at = nested + sizeof nested;
    uint32_t size = 0;
    for (int i = 0; i < 10002; i++) {
        const uint8_t tag = i == 10000 ? 0x12 : i == 10001 || i % 2 == 0 ? 0x0a : 0x32;
        at -= 4;
        memcpy(at,
               (const uint8_t[]){ tag, (uint8_t) (size | 0x80), (uint8_t) (size >> 7 | 0x80),
                                  (uint8_t) (size >> 14) },
               4);
        size += 4;
    }
    struct buf deep = { 0 };
    buf_put(
        &deep,
        (const uint8_t[]){ 0, 0, (uint8_t) (size >> 16), (uint8_t) (size >> 8), (uint8_t) size },
        5);
    buf_put(&deep, at, size);
    struct exchange x;
    ask(&p, &x, GRPC("/test.Echo/Typed"), deep.data, deep.size, true);
    peer_until(&p, &x.closed);
    assert_non_null(strstr(buf_str(&x.head), "grpc-status=3\n"));
    exchange_done(&x);
    buf_done(&deep);
    peer_done(&p);
    server_down();
}

/* An error before the request ended: the whole answer first, then RST_STREAM(NO_ERROR). */
static void test_early_error(void **state)
{
    (void) state;
    server_up(&(nrpc_server_options){ .loops = 1 });
    struct peer p;
    struct exchange x;
    peer_open(&p, 65536);
    ask(&p, &x, GRPC("/test.Echo/Nope"), "\0\0\0\1\0", 5, false);
    peer_until(&p, &x.closed);
    assert_true(x.ended);
    assert_int_equal(x.code, H2_NO_ERROR);
    assert_non_null(strstr(buf_str(&x.head), "grpc-status=12\n"));
    exchange_done(&x);
    peer_done(&p);
    server_down();
}

/* ---- silence
 * ------------------------------------------------------------------------------------- */
static uint64_t wait_closed(int fd)
{
    uint64_t began = clock_mono_ns();
    char bytes[1024];
    struct pollfd w = { fd, POLLIN, 0 };
    do
        assert_int_equal(poll(&w, 1, 20000), 1);
    while (recv(fd, bytes, sizeof bytes, 0) > 0);
    close(fd);
    return (clock_mono_ns() - began) / 1000000;
}

static void test_timers(void **state)
{
    (void) state;
    server_up(
        &(nrpc_server_options){ .loops = 1, .handshake_ms = 100, .idle_ms = 150, .stall_ms = 100 });
    /* No preface; half a preface; a preface whose SETTINGS never come. */
    assert_true(wait_closed(tcp_open()) >= 90);
    int fd = tcp_open();
    assert_int_equal(send(fd, "PRI * HT", 8, 0), 8);
    assert_true(wait_closed(fd) >= 90);
    fd = tcp_open();
    assert_int_equal(send(fd, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24, 0), 24);
    assert_true(wait_closed(fd) >= 90);
    /* A connection without streams. */
    struct peer p;
    peer_open(&p, 65536);
    uint64_t began = clock_mono_ns();
    peer_until(&p, &p.gone);
    assert_true(clock_mono_ns() - began >= 140000000ull);
    assert_int_equal(p.goaways, 1);
    assert_int_equal(p.goaway_code, H2_NO_ERROR);
    peer_done(&p);
    server_down();
}

/* A window that never opens: the call ends, its trailers pass, the connection and its other calls
 * live. */
static void test_stalled_stream(void **state)
{
    (void) state;
    server_up(&(nrpc_server_options){ .loops = 1, .stall_ms = 100 });
    struct peer p;
    struct exchange x, y;
    peer_open(&p, 0);
    int ended = atomic_load(&echo_ended);
    ask(&p, &x, GRPC("/test.Echo/Stream"),
        "\0\0\0\0\x10"
        "count:10000:1000",
        21, true);
    peer_until(&p, &x.closed);
    assert_true(x.ended);
    assert_non_null(strstr(buf_str(&x.head), "grpc-status=8\n"));
    assert_int_equal(x.body.size, 0);
    for (int i = 0; atomic_load(&echo_ended) == ended && i < 1000; i++)
        peer_turn(&p);
    assert_int_equal(atomic_load(&echo_ended), ended + 1);
    ask(&p, &y, GRPC("/test.Echo/Nope"), "", 0, true);
    peer_until(&p, &y.closed);
    assert_non_null(strstr(buf_str(&y.head), "grpc-status=12\n"));
    exchange_done(&x);
    exchange_done(&y);
    peer_done(&p);
    server_down();
}

/* Requests that do not come to their end, and a plain answer that nobody takes. */
static void test_slow_requests(void **state)
{
    (void) state;
    server_up(&(nrpc_server_options){ .loops = 1, .stall_ms = 200 });
    static const struct {
        const char *path, *body;
        size_t size;
    } slow[] = {
        { "/test.Echo/Unary", "", 0 },
        { "/test.Echo/Unary", "\0\0\0\0\1a", 6 }, /* whole, but the stream stays open */
        { "/test.Echo/Unary", "\0\0\0", 3 },
        { "/test.Echo/Collect", "\0\0\0\0\5ab", 7 },
        { "/test.Echo/Chat", "\0\0", 2 },
    };
    uint64_t before = h2_abuse_total(H2_ABUSE_SLOW_REQUEST);
    struct peer p;
    struct exchange x[ARRAY_SIZE(slow)], idle, plain;
    static const char *const get[] = { ":method", "GET", ":path", "/", NULL };
    peer_open(&p, 0);
    ask(&p, &idle, GRPC("/test.Echo/Collect"), "\0\0\0\0\0", 5, false); /* between messages */
    ask(&p, &plain, get, "", 0, true);
    for (size_t i = 0; i < ARRAY_SIZE(slow); i++)
        ask(&p, &x[i], GRPC(slow[i].path), slow[i].body, slow[i].size, false);
    for (size_t i = 0; i < ARRAY_SIZE(slow); i++) {
        peer_until(&p, &x[i].closed);
        if (strstr(buf_str(&x[i].head), "grpc-status=8\n") == NULL)
            fail_msg("%zu: %s", i, buf_str(&x[i].head));
        exchange_done(&x[i]);
    }
    peer_until(&p, &plain.closed);
    assert_int_equal(plain.code, H2_CANCEL);
    assert_false(idle.closed);
    assert_int_equal(h2_abuse_total(H2_ABUSE_SLOW_REQUEST), before + ARRAY_SIZE(slow));
    exchange_done(&plain);
    peer_done(&p);
    exchange_done(&idle);
    server_down();
}

/* A peer that asks for much and reads nothing loses its connection; the server's memory stays
 * small. */
static void test_reads_nothing(void **state)
{
    (void) state;
    server_up(&(nrpc_server_options){ .loops = 1, .stall_ms = 200 });
    struct peer p;
    struct exchange x[10];
    peer_open(&p, 64 << 20);
    for (int i = 0; i < 10; i++) {
        ask(&p, &x[i], GRPC("/test.Echo/Stream"),
            "\0\0\0\0\x12"
            "count:100000:10000",
            23, true);
    }
    (void) h2_session_drain(p.session, &p.out, 1 << 20, clock_mono_ns());
    assert_int_equal(send(p.fd, p.out.data, p.out.size, 0), (ssize_t) p.out.size);
    uint64_t before = atomic_load(&echo_sent);
    nrpc_gauges g = { .connections = 1 };
    for (int i = 0; g.connections > 0 && i < 2000; i++) {
        poll(NULL, 0, 10);
        nrpc_gauges_read(&g);
    }
    assert_int_equal(g.connections, 0);
    assert_true(atomic_load(&echo_sent) - before <
                3000); /* 30 MB of 10 GB, most of it in the kernel */
    peer_done(&p);
    for (int i = 0; i < 10; i++)
        exchange_done(&x[i]);
    server_down();
}

/* Ninety messages of 4 MiB that never become whole: no more than the budget and one message is
 * held. */
static void test_partial_messages(void **state)
{
    (void) state;
    server_up(&(nrpc_server_options){ .loops = 1 });
    struct peer p;
    static struct exchange x[90];
    peer_open(&p, 65536);
    for (int i = 0; i < 90; i++)
        ask(&p, &x[i], GRPC("/test.Echo/Unary"),
            "\0\0\x3f\xff\xff"
            "begin",
            10, false);
    struct exchange last;
    ask(&p, &last, GRPC("/test.Echo/Nope"), "", 0, true);
    peer_until(&p, &last.closed); /* the others do not hold it back */
    for (int i = 0; i < 200 && call_budget_process() < CALL_BUDGET_CONNECTION; i++)
        peer_turn(&p);
    assert_true(call_budget_process() >= CALL_BUDGET_CONNECTION);
    assert_true(call_budget_process() <= CALL_BUDGET_CONNECTION + (4 << 20));
    peer_done(&p);
    for (int i = 0; i < 90; i++)
        exchange_done(&x[i]);
    exchange_done(&last);
    server_down();
}

/* ---- floods over a real socket
 * ------------------------------------------------------------------- */
static void test_flood(void **state)
{
    (void) state;
    server_up(&(nrpc_server_options){ .loops = 1 });
    uint64_t before = h2_abuse_total(H2_ABUSE_PING);
    int fd = tcp_open();
    static const char hello[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
    static const uint8_t ping[17] = { 0, 0, 8, 6 };
    assert_int_equal(send(fd, hello, sizeof hello - 1, 0), sizeof hello - 1);
    char bytes[4096];
    uint64_t sent = 0, end = clock_mono_ns() + 20000000000ull;
    while (clock_mono_ns() < end && send(fd, ping, sizeof ping, MSG_NOSIGNAL) == sizeof ping) {
        sent++;
        while (recv(fd, bytes, sizeof bytes, MSG_DONTWAIT) > 0)
            ; /* the answers are read, so the library's own limit never trips */
    }
    assert_true(sent > H2_PING_STRIKES && clock_mono_ns() < end);
    close(fd);
    assert_int_equal(h2_abuse_total(H2_ABUSE_PING), before + 1);
    struct peer p;
    struct exchange x;
    peer_open(&p, 65536);
    ask(&p, &x, GRPC("/test.Echo/Unary"), "\0\0\0\0\1a", 6, true);
    peer_until(&p, &x.closed);
    assert_non_null(strstr(buf_str(&x.head), "grpc-status=0\n"));
    exchange_done(&x);
    peer_done(&p);
    server_down();
}

/* ---- setup
 * --------------------------------------------------------------------------------------- */
static void request_fn(nrpc_call *c, void *ctx, nrpc_msg *m)
{
    (void) ctx;
    nrpc_msg_free(m);
    nrpc_call_finish(c, NULL);
}
static void test_setup(void **state)
{
    (void) state;
    static const nrpc_events events = { 0 };
    nrpc_server *s = NULL;
    assert_int_equal(
        nrpc_server_new(
            &(nrpc_server_options){ .loops = 1, .send_low_bytes = 10, .send_high_bytes = 5 }, &s),
        NRPC_E_INVAL);
    assert_null(s);
    assert_int_equal(nrpc_server_new(&(nrpc_server_options){ .loops = 3 }, &s), 0);
    assert_int_equal(nrpc_server_loops(s), 3);
    assert_non_null(nrpc_server_loop(s, 2));
    assert_null(nrpc_server_loop(s, 3));
    nrpc_handler handlers[6] = { [ECHO_COLLECT] = { .request = request_fn } };
    assert_int_equal(nrpc_server_add_service(s, &echo_service, handlers, 6, NULL), NRPC_E_INVAL);
    handlers[ECHO_COLLECT] = (nrpc_handler){ 0 };
    handlers[ECHO_UNARY] = (nrpc_handler){ .request = request_fn, .stream = &events };
    assert_int_equal(nrpc_server_add_service(s, &echo_service, handlers, 6, NULL), NRPC_E_INVAL);
    handlers[ECHO_UNARY].stream = NULL;
    assert_int_equal(nrpc_server_add_service(s, &echo_service, handlers, 5, NULL), NRPC_E_INVAL);
    assert_int_equal(nrpc_server_add_service(s, &echo_service, handlers, 6, NULL), 0);
    assert_int_equal(nrpc_server_add_service(s, &echo_service, handlers, 6, NULL), NRPC_E_INVAL);
    assert_int_equal(nrpc_server_listen(s, "nonsense"), NRPC_E_INVAL);
    assert_int_equal(nrpc_server_listen(s, "127.0.0.1:0"), 0);
    /* Never started. */
    nrpc_server_stop(s, 10);
    nrpc_server_wait(s);
    nrpc_server_free(s);
    nrpc_server_free(NULL);
}

int main(void)
{
    alarm(110);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_setup),          cmocka_unit_test(test_wrong_requests),
        cmocka_unit_test(test_early_error),    cmocka_unit_test(test_timers),
        cmocka_unit_test(test_stalled_stream), cmocka_unit_test(test_slow_requests),
        cmocka_unit_test(test_reads_nothing),  cmocka_unit_test(test_partial_messages),
        cmocka_unit_test(test_flood),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
