/* RFC 9113, RFC 7541 and gRPC over HTTP/2, rule by rule: frames by hand against a running server.
 * Each row says whether the answer is an error of the stream or of the connection, and with which
 * code; afterwards the connection, or a new one, still serves. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "rpc/base/check.h"
#include "tests/unit/rpc/echo_service.h"
#include "tests/unit/rpc/wire_peer.h"

enum { PROTOCOL = 1, FLOW_CONTROL = 3, STREAM_CLOSED = 5, FRAME_SIZE = 6, COMPRESSION = 9 };
static nrpc_server *server;
static struct sockaddr_in address;

static int server_up(void **state)
{
    (void) state;
    const nrpc_server_options o = { .loops = 1 };
    assert_int_equal(nrpc_server_new(&o, &server), 0);
    assert_int_equal(echo_add(server), 0);
    assert_int_equal(nrpc_server_listen(server, "127.0.0.1:0"), 0);
    assert_int_equal(nrpc_server_start(server), 0);
    const char *text = nrpc_server_address(server, 0);
    address = (struct sockaddr_in){ .sin_family = AF_INET };
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((uint16_t) atoi(strrchr(text, ':') + 1));
    return 0;
}

static int server_down(void **state)
{
    (void) state;
    nrpc_server_stop(server, 100);
    nrpc_server_wait(server);
    nrpc_server_free(server);
    nrpc_gauges g;
    nrpc_gauges_read(&g);
    assert_int_equal(g.connections, 0);
    assert_int_equal(g.calls, 0);
    assert_int_equal(g.messages, 0);
    assert_int_equal(g.timers, 0);
    return 0;
}

/* What must come of a script: an error of the connection with a code, an error of stream 1, or one
 * of them; else stream `id` ends with `text` in its head. */
enum outcome { GOAWAY, RESET, ANY_ERROR, ANSWER, NOTHING };
struct row {
    const char *name, *script;
    enum outcome want;
    uint32_t code;
    const char *text; /* ANSWER: in the head */
    uint32_t id;      /* 0 is 1 */
};

static int failures; /* a table is run to its end, so that one look shows all */

static void check(const struct row *r, struct wire_peer *p)
{
    uint32_t id = r->id == 0 ? 1 : r->id;
    struct wire_stream *st = &p->streams[id / 2 % WIRE_STREAMS];
    bool goaway = p->goaways > 0 && p->goaway_code == r->code && p->closed;
    bool reset = st->reset && st->code == r->code && !p->closed && p->goaways == 0;
    bool ok = false;
    switch (r->want) {
    case GOAWAY:
        ok = goaway;
        break;
    case RESET:
        ok = reset;
        break;
    case ANY_ERROR:
        ok = goaway || reset;
        break;
    case ANSWER:
        ok = st->ended && !p->closed && p->goaways == 0 && strstr(buf_str(&st->head), r->text);
        break;
    case NOTHING:
        ok = !p->closed && p->goaways == 0 && !st->reset;
        break;
    }
    failures += !ok;
    if (!ok)
        print_error(
            "%s: goaways %u (%u, \"%s\"), closed %d; stream %u: ended %d, reset %d (%u)\n%s\n",
            r->name, p->goaways, p->goaway_code, buf_str(&p->reason), p->closed, id, st->ended,
            st->reset, st->code, buf_str(&st->head));
}

static int forget(void **state)
{
    (void) state;
    failures = 0;
    return 0;
}

static void run(const struct row *r, size_t step)
{
    struct wire_peer p;
    wire_open(&p, &address, true);
    wire_send(&p, r->script, step);
    if (r->want == ANSWER)
        wire_wait(&p, r->id == 0 ? 1 : r->id);
    wire_sync(&p);
    if (r->want == GOAWAY && !p.closed && p.goaways > 0)
        wire_wait_closed(&p);
    check(r, &p);
    /* A connection that is left still serves. */
    if (!p.closed) {
        wire_send(&p, "HEADERS 101 h @grpc; DATA 101 e msg:hi; WAIT 101", 0);
        assert_non_null(strstr(buf_str(&p.streams[50].head), "grpc-status=0\n"));
    }
    wire_done(&p);
}

/* All at once, and byte by byte. */
static void run_all(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        run(&rows[i], 0);
        if (strstr(rows[i].script, "zeros:16") ==
            NULL) /* it would take as long as a handshake may */
            run(&rows[i], 1);
    }
    assert_int_equal(failures, 0);
}
#define ROWS(rows) run_all(rows, ARRAY_SIZE(rows))
#define HEAD       "HEADERS 1 h @grpc; "
#define WHOLE      "HEADERS 1 h @grpc; DATA 1 e msg:a; WAIT 1; "

static void test_frames(void **state)
{
    (void) state;
    static const struct row rows[] = {
        /* 4.1, 5.5: what is not known is skipped */
        { "unknown type", "22 0 - x0102; 22 1 f zeros:100; " WHOLE, ANSWER, 0, "grpc-status=0\n",
          0 },
        { "unknown flags", "PING 0 f zeros:8; " WHOLE, ANSWER, 0, "grpc-status=0\n", 0 },
        { "reserved bit", "HEADERS 2147483649 h @grpc; DATA 2147483649 e msg:a", ANSWER, 0,
          "grpc-status=0\n", 0 },
        { "reserved bit of a window", HEAD "WINDOW 1 - x80000001; DATA 1 e msg:a", ANSWER, 0,
          "grpc-status=0\n", 0 },
        /* 4.2 */
        { "DATA over the frame size", HEAD "DATA 1 - zeros:16385", ANY_ERROR, FRAME_SIZE, NULL, 0 },
        { "HEADERS over the frame size", "HEADERS 1 h @grpc zeros:16385", GOAWAY, FRAME_SIZE, NULL,
          0 },
        { "unknown type over the frame size", "22 0 - zeros:16385", GOAWAY, FRAME_SIZE, NULL, 0 },
        { "a full frame", HEAD "DATA 1 - x00000040 x00 zeros:16379; DATA 1 e zeros:5", ANSWER, 0,
          "grpc-status=0\n", 0 },
        /* 6.1 */
        { "DATA on stream 0", "DATA 0 - x00", GOAWAY, PROTOCOL, NULL, 0 },
        { "padded DATA", HEAD "DATA 1 ep x03 msg:abc zeros:3", ANSWER, 0, "grpc-status=0\n", 0 },
        { "padding of 255", HEAD "DATA 1 ep xff msg:abc zeros:255", ANSWER, 0, "grpc-status=0\n",
          0 },
        { "padding that leaves nothing", HEAD "DATA 1 p x05 zeros:5; DATA 1 e msg:a", ANSWER, 0,
          "grpc-status=0\n", 0 },
        { "padding longer than the frame", HEAD "DATA 1 p x06 zeros:5", GOAWAY, PROTOCOL, NULL, 0 },
        { "padded DATA of no bytes", HEAD "DATA 1 p", GOAWAY, FRAME_SIZE, NULL, 0 },
        { "empty DATA", HEAD "DATA 1 -; DATA 1 - msg:a; DATA 1 e", ANSWER, 0, "grpc-status=0\n",
          0 },
        /* 6.2 */
        { "HEADERS on stream 0", "HEADERS 0 h @grpc", GOAWAY, PROTOCOL, NULL, 0 },
        { "padded HEADERS", "HEADERS 1 hp x04 @grpc zeros:4; DATA 1 e msg:a", ANSWER, 0,
          "grpc-status=0\n", 0 },
        { "HEADERS with a priority", "HEADERS 1 hr u32:0 x10 @grpc; DATA 1 e msg:a", ANSWER, 0,
          "grpc-status=0\n", 0 },
        { "padded HEADERS with a priority",
          "HEADERS 1 hpr x02 u32:0 x10 @grpc zeros:2; DATA 1 e "
          "msg:a",
          ANSWER, 0, "grpc-status=0\n", 0 },
        { "HEADERS padded over the frame", "HEADERS 1 hp xff @grpc", GOAWAY, PROTOCOL, NULL, 0 },
        { "HEADERS that depend on themselves", "HEADERS 1 hr u32:1 x10 @grpc", ANY_ERROR, PROTOCOL,
          NULL, 0 },
        /* 6.3 */
        { "PRIORITY", "PRIORITY 1 - u32:0 x10; " WHOLE, ANSWER, 0, "grpc-status=0\n", 0 },
        { "PRIORITY on an idle stream", "PRIORITY 99 - u32:0 x10; " WHOLE, ANSWER, 0,
          "grpc-status=0\n", 0 },
        { "PRIORITY after the end", WHOLE "PRIORITY 1 - u32:0 x10", NOTHING, 0, NULL, 0 },
        { "PRIORITY on stream 0", "PRIORITY 0 - u32:1 x10", GOAWAY, PROTOCOL, NULL, 0 },
        { "short PRIORITY", HEAD "PRIORITY 1 - u32:0", ANY_ERROR, FRAME_SIZE, NULL, 0 },
        /* 6.4 */
        { "RST_STREAM on stream 0", "RST 0 - u32:8", GOAWAY, PROTOCOL, NULL, 0 },
        { "RST_STREAM on an idle stream", "RST 1 - u32:8", GOAWAY, PROTOCOL, NULL, 0 },
        { "short RST_STREAM", HEAD "RST 1 - x000000", GOAWAY, FRAME_SIZE, NULL, 0 },
        { "RST_STREAM of an unknown code", HEAD "RST 1 - u32:4000000000", NOTHING, 0, NULL, 3 },
        { "RST_STREAM twice", HEAD "RST 1 - u32:8; RST 1 - u32:8", NOTHING, 0, NULL, 3 },
        { "RST_STREAM after the end", WHOLE "RST 1 - u32:8", NOTHING, 0, NULL, 3 },
        /* 6.6 */
        { "PUSH_PROMISE", HEAD "PUSH 1 h u32:2 @grpc", GOAWAY, PROTOCOL, NULL, 0 },
        /* 6.7 */
        { "PING on a stream", "PING 1 - zeros:8", GOAWAY, PROTOCOL, NULL, 0 },
        { "short PING", "PING 0 - zeros:6", GOAWAY, FRAME_SIZE, NULL, 0 },
        { "long PING", "PING 0 - zeros:9", GOAWAY, FRAME_SIZE, NULL, 0 },
        { "an answer to no PING", "PING 0 e zeros:8; " WHOLE, ANSWER, 0, "grpc-status=0\n", 0 },
        /* 6.8 */
        { "GOAWAY on a stream", "GOAWAY 1 - u32:0 u32:0", GOAWAY, PROTOCOL, NULL, 0 },
        { "short GOAWAY", "GOAWAY 0 - u32:0", GOAWAY, FRAME_SIZE, NULL, 0 },
        /* 6.9 */
        { "WINDOW_UPDATE of 0", HEAD "WINDOW 1 - u32:0", ANY_ERROR, PROTOCOL, NULL, 0 },
        { "WINDOW_UPDATE of 0 on the connection", "WINDOW 0 - u32:0", GOAWAY, PROTOCOL, NULL, 0 },
        { "short WINDOW_UPDATE", "WINDOW 0 - x000001", GOAWAY, FRAME_SIZE, NULL, 0 },
        { "WINDOW_UPDATE on an idle stream", "WINDOW 1 - u32:1", GOAWAY, PROTOCOL, NULL, 0 },
        { "WINDOW_UPDATE after the end", WHOLE "WINDOW 1 - u32:1", NOTHING, 0, NULL, 0 },
        { "window over 2^31-1", HEAD "WINDOW 1 - u32:2147483647", RESET, FLOW_CONTROL, NULL, 0 },
        { "connection's window over 2^31-1", "WINDOW 0 - u32:2147483647", GOAWAY, FLOW_CONTROL,
          NULL, 0 },
        /* 6.10 */
        { "CONTINUATION",
          "HEADERS 1 - @grpc; CONTINUATION 1 - x-a=1; CONTINUATION 1 h x-b=2; "
          "DATA 1 e msg:a",
          ANSWER, 0, "x-b=2\n", 0 },
        { "empty CONTINUATION", "HEADERS 1 -; CONTINUATION 1 h @grpc; DATA 1 e msg:a", ANSWER, 0,
          "grpc-status=0\n", 0 },
        { "CONTINUATION on stream 0", "HEADERS 1 - @grpc; CONTINUATION 0 h x-a=1", GOAWAY, PROTOCOL,
          NULL, 0 },
        { "CONTINUATION of another stream", "HEADERS 1 - @grpc; CONTINUATION 3 h x-a=1", GOAWAY,
          PROTOCOL, NULL, 0 },
        { "CONTINUATION first", "CONTINUATION 1 h @grpc", GOAWAY, PROTOCOL, NULL, 0 },
        { "CONTINUATION after the end of the block", HEAD "CONTINUATION 1 h x-a=1", GOAWAY,
          PROTOCOL, NULL, 0 },
        { "CONTINUATION after DATA", HEAD "DATA 1 - msg:a; CONTINUATION 1 h x-a=1", GOAWAY,
          PROTOCOL, NULL, 0 },
        { "DATA inside a block", "HEADERS 1 - @grpc; DATA 1 - msg:a", GOAWAY, PROTOCOL, NULL, 0 },
        { "HEADERS inside a block", "HEADERS 1 - @grpc; HEADERS 3 h @grpc", GOAWAY, PROTOCOL, NULL,
          0 },
        { "PING inside a block", "HEADERS 1 - @grpc; PING 0 - zeros:8", GOAWAY, PROTOCOL, NULL, 0 },
        { "unknown frame inside a block", "HEADERS 1 - @grpc; 22 1 - x00", GOAWAY, PROTOCOL, NULL,
          0 },
    };
    ROWS(rows);
}

static void test_settings(void **state)
{
    (void) state;
    static const struct row rows[] = {
        { "unknown identifier", "SETTINGS 0 - u16:77 u32:1; " WHOLE, ANSWER, 0, "grpc-status=0\n",
          0 },
        { "the largest frame", "SETTINGS 0 - u16:5 u32:16777215; " WHOLE, ANSWER, 0,
          "grpc-status=0\n", 0 },
        { "an answer with a payload", "SETTINGS 0 e u16:1 u32:1", GOAWAY, FRAME_SIZE, NULL, 0 },
        { "on a stream", "SETTINGS 1 -", GOAWAY, PROTOCOL, NULL, 0 },
        { "not a multiple of 6", "SETTINGS 0 - x000000", GOAWAY, FRAME_SIZE, NULL, 0 },
        { "push 2", "SETTINGS 0 - u16:2 u32:2", GOAWAY, PROTOCOL, NULL, 0 },
        { "window 2^31", "SETTINGS 0 - u16:4 u32:2147483648", GOAWAY, FLOW_CONTROL, NULL, 0 },
        { "frame size 16383", "SETTINGS 0 - u16:5 u32:16383", GOAWAY, PROTOCOL, NULL, 0 },
        { "frame size 2^24", "SETTINGS 0 - u16:5 u32:16777216", GOAWAY, PROTOCOL, NULL, 0 },
        { "a window that overflows", HEAD "WINDOW 1 - u32:2147418112; SETTINGS 0 - u16:4 u32:65536",
          ANY_ERROR, FLOW_CONTROL, NULL, 0 },
        { "header table 0", "SETTINGS 0 - u16:1 u32:0; " WHOLE, ANSWER, 0, "grpc-status=0\n", 0 },
        { "no streams for us", "SETTINGS 0 - u16:3 u32:0; " WHOLE, ANSWER, 0, "grpc-status=0\n",
          0 },
    };
    ROWS(rows);
    struct wire_peer p;
    wire_open(&p, &address, true);
    wire_send(&p, "SETTINGS 0 -; SETTINGS 0 - u16:4 u32:1", 0);
    wire_sync(&p);
    assert_int_equal(p.settings, 1);
    assert_int_equal(p.settings_acks, 3);
    /* A window of 1: one byte of the answer; then the rest. */
    wire_send(&p, "HEADERS 1 h @grpc; DATA 1 e msg:hello", 0);
    while (p.streams[0].body.size == 0)
        wire_sync(&p);
    assert_int_equal(p.streams[0].body.size, 1);
    wire_send(&p, "WINDOW 1 - u32:1", 0);
    wire_sync(&p);
    assert_int_equal(p.streams[0].body.size, 2);
    wire_send(&p, "SETTINGS 0 - u16:4 u32:100; WAIT 1", 0);
    assert_int_equal(p.streams[0].body.size, 10);
    /* Below zero, and up again. */
    wire_send(&p, "SETTINGS 0 - u16:4 u32:4; HEADERS 3 h @grpc; DATA 3 e msg:hello", 0);
    while (p.streams[1].body.size < 4)
        wire_sync(&p);
    wire_send(&p, "SETTINGS 0 - u16:4 u32:2; WINDOW 3 - u32:2", 0);
    wire_sync(&p);
    assert_int_equal(p.streams[1].body.size, 4);
    wire_send(&p, "WINDOW 3 - u32:6; WAIT 3", 0);
    assert_int_equal(p.streams[1].body.size, 10);
    wire_done(&p);
}

static void test_streams(void **state)
{
    (void) state;
    static const struct row rows[] = {
        /* 5.1: idle */
        { "DATA on an idle stream", "DATA 1 - msg:a", GOAWAY, PROTOCOL, NULL, 0 },
        { "DATA over the highest stream", WHOLE "DATA 3 - msg:a", GOAWAY, PROTOCOL, NULL, 0 },
        /* 5.1: half-closed by the peer */
        { "DATA after END_STREAM", "HEADERS 1 h @grpc; DATA 1 e msg:sleep; DATA 1 - msg:a",
          ANY_ERROR, STREAM_CLOSED, NULL, 0 },
        { "HEADERS after END_STREAM", "HEADERS 1 h @grpc; DATA 1 e msg:sleep; HEADERS 1 eh x-a=1",
          ANY_ERROR, STREAM_CLOSED, NULL, 0 },
        { "WINDOW_UPDATE after END_STREAM",
          "HEADERS 1 h @grpc; DATA 1 e msg:sleep; WINDOW 1 - u32:1; RST 1 - u32:8", NOTHING, 0,
          NULL, 3 },
        /* 5.1: closed */
        { "DATA after both ends", WHOLE "DATA 1 - msg:a", GOAWAY, STREAM_CLOSED, NULL, 0 },
        { "HEADERS after both ends", WHOLE "HEADERS 1 eh @grpc", GOAWAY, STREAM_CLOSED, NULL, 0 },
        { "DATA after RST_STREAM", HEAD "RST 1 - u32:8; DATA 1 - msg:a", RESET, STREAM_CLOSED, NULL,
          0 },
        { "HEADERS after RST_STREAM", HEAD "RST 1 - u32:8; HEADERS 1 eh x-a=1", RESET,
          STREAM_CLOSED, NULL, 0 },
        { "CONTINUATION after RST_STREAM", HEAD "RST 1 - u32:8; CONTINUATION 1 h x-a=1", GOAWAY,
          PROTOCOL, NULL, 0 },
        /* We ended first: what was on its way is dropped. */
        { "DATA after our early end",
          "HEADERS 1 h :path=/test.Echo/Nope @grpc !:path; WAIT 1; DATA 1 - msg:a; DATA 1 e msg:b",
          ANSWER, 0, "grpc-status=12\n", 0 },
        { "trailers after our early end",
          "HEADERS 1 h :path=/test.Echo/Nope @grpc !:path; WAIT 1; DATA 1 - msg:a; "
          "HEADERS 1 eh x-a=1",
          ANSWER, 0, "grpc-status=12\n", 0 },
        { "RST_STREAM after our early end",
          "HEADERS 1 h :path=/test.Echo/Nope @grpc !:path; WAIT 1; RST 1 - u32:8", ANSWER, 0,
          "grpc-status=12\n", 0 },
        /* 5.1.1 */
        { "an even stream", "HEADERS 2 h @grpc", GOAWAY, PROTOCOL, NULL, 0 },
        { "a lower stream that never was", "HEADERS 5 h @grpc; HEADERS 3 h @grpc", GOAWAY, PROTOCOL,
          NULL, 0 },
        { "the same after the end", "HEADERS 5 h @grpc; DATA 5 e msg:a; WAIT 5; HEADERS 3 eh @grpc",
          GOAWAY, PROTOCOL, NULL, 0 },
        { "DATA on a lower stream that never was", "HEADERS 5 h @grpc; DATA 3 - msg:a", GOAWAY,
          STREAM_CLOSED, NULL, 0 },
        { "far ahead, then far behind", "HEADERS 4001 h @grpc; HEADERS 1 h @grpc", NOTHING, 0, NULL,
          3 },
        { "ids may be skipped",
          "HEADERS 7 h @grpc; DATA 7 e msg:a; HEADERS 91 h @grpc; DATA 91 e msg:a", ANSWER, 0,
          "grpc-status=0\n", 91 },
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (strstr(rows[i].script, "4001") == NULL)
            run(&rows[i], 0);
    struct wire_peer p;
    wire_open(&p, &address, true);
    wire_send(&p, "HEADERS 4001 h @grpc; HEADERS 1 h @grpc", 0);
    wire_sync(&p);
    assert_false(p.closed); /* more than 1,024 streams ago: nobody knows */
    wire_done(&p);
    assert_int_equal(failures, 0);
}

static const char *const malformed[] = {
    /* 8.2.1 */
    "X-A=1",
    "x-a=1%00",
    "x-a=%0d%0a",
    "x-a=a%0ab",
    /* 8.2.2 */
    "connection=keep-alive",
    "keep-alive=1",
    "proxy-connection=1",
    "transfer-encoding=chunked",
    "upgrade=h2c",
    "te=gzip",
    "te=trailers,gzip",
    /* 8.3 */
    ":unknown=1",
    ":status=200",
    ":path=/test.Echo/Unary",
    ":method=POST",
    ":scheme=http",
    ":authority=test",
    /* 8.1.1 */
    "content-length=abc",
    "content-length=-1",
    "content-length=18446744073709551616",
};

static const struct row field_rows[] = {
    { "no :method", "HEADERS 1 eh @grpc !:method", RESET, PROTOCOL, NULL, 0 },
    { "no :scheme", "HEADERS 1 eh @grpc !:scheme", RESET, PROTOCOL, NULL, 0 },
    { "no :path", "HEADERS 1 eh @grpc !:path", RESET, PROTOCOL, NULL, 0 },
    { "empty :path", "HEADERS 1 eh :path= @grpc !:path", RESET, PROTOCOL, NULL, 0 },
    { "relative :path", "HEADERS 1 eh :path=test.Echo/Unary @grpc !:path", RESET, PROTOCOL, NULL,
      0 },
    { ":path *", "HEADERS 1 eh :path=* @grpc !:path", RESET, PROTOCOL, NULL, 0 },
    { "pseudo-header behind a regular one", "HEADERS 1 eh x-a=1 @grpc", RESET, PROTOCOL, NULL, 0 },
    { "two hosts are one", "HEADERS 1 h @grpc host=test; DATA 1 e msg:a", ANSWER, 0,
      "grpc-status=0\n", 0 },
    { "host instead of :authority", "HEADERS 1 h @grpc !:authority host=test; DATA 1 e msg:a",
      ANSWER, 0, "grpc-status=0\n", 0 },
    { "no te", "HEADERS 1 h @grpc !te; DATA 1 e msg:a", ANSWER, 0, "grpc-status=0\n", 0 },
    { "blanks around a value", "HEADERS 1 h @grpc x-a=%20%09b%20; DATA 1 e msg:a", ANSWER, 0,
      "x-a=b\n", 0 },
    { "an empty value", "HEADERS 1 h @grpc x-a=; DATA 1 e msg:a", ANSWER, 0, "x-a=\n", 0 },
    /* 8.1 */
    { "trailers", "HEADERS 1 h @grpc; DATA 1 - msg:a; HEADERS 1 eh x-t=1", ANSWER, 0,
      "grpc-status=0\n", 0 },
    { "trailers without a body", "HEADERS 1 h @grpc; HEADERS 1 eh x-t=1", ANSWER, 0,
      "grpc-status=12\n", 0 },
    { "trailers that do not end", "HEADERS 1 h @grpc; DATA 1 - msg:a; HEADERS 1 h x-t=1", RESET,
      PROTOCOL, NULL, 0 },
    { "pseudo-header in trailers",
      "HEADERS 1 h @grpc; DATA 1 - msg:a; HEADERS 1 eh :path=/test.Echo/Unary", RESET, PROTOCOL,
      NULL, 0 },
    { "upper case in trailers", "HEADERS 1 h @grpc; DATA 1 - msg:a; HEADERS 1 eh X-T=1", RESET,
      PROTOCOL, NULL, 0 },
    /* 8.1.1 */
    { "content-length", "HEADERS 1 h @grpc content-length=6; DATA 1 e msg:a", ANSWER, 0,
      "grpc-status=0\n", 0 },
    { "content-length over several frames",
      "HEADERS 1 h @grpc content-length=6; DATA 1 - x0000; DATA 1 e x00000161", ANSWER, 0,
      "grpc-status=0\n", 0 },
    { "more DATA than content-length", "HEADERS 1 h @grpc content-length=5; DATA 1 e msg:a", RESET,
      PROTOCOL, NULL, 0 },
    { "less DATA than content-length", "HEADERS 1 h @grpc content-length=7; DATA 1 e msg:a", RESET,
      PROTOCOL, NULL, 0 },
    { "content-length of nothing", "HEADERS 1 eh @grpc content-length=7", RESET, PROTOCOL, NULL,
      0 },
    { "less before trailers",
      "HEADERS 1 h @grpc content-length=7; DATA 1 - msg:a; HEADERS 1 eh x-t=1", RESET, PROTOCOL,
      NULL, 0 },
    { "content-length twice", "HEADERS 1 h @grpc content-length=6 content-length=6", RESET,
      PROTOCOL, NULL, 0 },
    { "a lie on a call that waits",
      "HEADERS 1 h @grpc content-length=9; DATA 1 - msg:sleep; DATA 1 e", RESET, PROTOCOL, NULL,
      0 },
};

static void test_fields(void **state)
{
    (void) state;
    ROWS(field_rows);
    for (size_t i = 0; i < ARRAY_SIZE(malformed); i++) {
        char script[200];
        bool pseudo = malformed[i][0] == ':';
        snprintf(script, sizeof script, "HEADERS 1 eh %s @grpc %s", pseudo ? malformed[i] : "",
                 pseudo ? "" : malformed[i]);
        for (char *p; (p = strstr(script, "  ")) != NULL;)
            memmove(p, p + 1, strlen(p));
        if (script[strlen(script) - 1] == ' ')
            script[strlen(script) - 1] = '\0';
        const struct row r = { malformed[i], script, RESET, PROTOCOL, NULL, 0 };
        run(&r, 0);
        run(&r, 1);
    }
    /* Bytes that no name may have. */
    static const uint8_t names[] = { 0x00, 0x01, 0x20, '"', '(',  ',',  '/',
                                     ':',  '@',  '[',  '{', 0x7f, 0x80, 0xff };
    for (size_t i = 0; i < sizeof names; i++) {
        char script[64];
        snprintf(script, sizeof script, "HEADERS 1 eh @grpc x00 x0378%02x61 x0131", names[i]);
        const struct row r = { script, script, RESET, PROTOCOL, NULL, 0 };
        run(&r, 0);
    }
    assert_int_equal(failures, 0);
}

/* A list over a limit is answered; one of twice that is not even read to its end. */
static void test_metadata_limits(void **state)
{
    (void) state;
    static const struct {
        unsigned fields, bytes;
        enum outcome want;
        uint32_t code;
        const char *text;
    } cases[] = {
        { 94, 10, ANSWER, 0, "grpc-status=0\n" },  { 95, 10, ANSWER, 0, "grpc-status=8\n" },
        { 190, 10, ANSWER, 0, "grpc-status=8\n" }, { 200, 10, RESET, 2, NULL },
        { 3, 5000, ANSWER, 0, "grpc-status=0\n" }, { 4, 5000, ANSWER, 0, "grpc-status=8\n" },
        { 6, 5000, ANSWER, 0, "grpc-status=8\n" }, { 8, 5000, RESET, 2, NULL },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct buf script = { 0 };
        unsigned a_frame = cases[i].bytes > 1000 ? 3 : 60;
        buf_puts(&script, "HEADERS 1 - @grpc");
        for (unsigned k = 0; k < cases[i].fields; k++) {
            if (k % a_frame == a_frame - 1)
                buf_puts(&script, "; CONTINUATION 1 -");
            buf_printf(&script, " x-a=%0*u", (int) cases[i].bytes, k);
        }
        buf_puts(&script, "; CONTINUATION 1 h; DATA 1 e msg:a");
        const struct row r = { "limits",      buf_str(&script), cases[i].want,
                               cases[i].code, cases[i].text,    0 };
        run(&r, 0);
        buf_done(&script);
    }
    assert_int_equal(failures, 0);
    /* What is no metadata is left out. */
    struct wire_peer p;
    wire_open(&p, &address, true);
    wire_send(&p, "HEADERS 1 h @grpc x-a=%c3%a9 x-b=1 x-c=a%09b x-d!=1; DATA 1 e msg:a; WAIT 1", 0);
    assert_non_null(strstr(buf_str(&p.streams[0].head), "\nx-b=1\n"));
    assert_null(strstr(buf_str(&p.streams[0].head), "x-a"));
    assert_null(strstr(buf_str(&p.streams[0].head), "x-c"));
    assert_null(strstr(buf_str(&p.streams[0].head), "x-d"));
    wire_done(&p);
}

/* RFC 7541: the connection's state is lost, so the connection goes. */
static void test_hpack(void **state)
{
    (void) state;
    static const char *const bad[] = {
        "x80",                           /* index 0 */
        "xff8001",                       /* beyond the table */
        "xffffffffffffffffffff7f",       /* an integer without end */
        "x3fe21f",                       /* a table of 4,097 */
        "@grpc x20",                     /* a size update behind a field */
        "@grpc x00 x0178",               /* cut off in a field */
        "@grpc x00 x0178 x05 x61",       /* a value that runs past the end */
        "@grpc x00 x0178 x81 xff",       /* Huffman: padding of 8 bits */
        "@grpc x00 x0178 x84 xffffffff", /* Huffman: EOS */
        "@grpc x00 x0178 x81 x18",       /* Huffman: padding of zeros */
        "@grpc x7f",                     /* cut off in an index */
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        char script[200];
        snprintf(script, sizeof script, "HEADERS 1 eh %s", bad[i]);
        const struct row r = { bad[i], script, GOAWAY, COMPRESSION, NULL, 0 };
        run(&r, 0);
        run(&r, 1);
    }
    static const struct row good[] = {
        { "table of 0", "HEADERS 1 h x20 @grpc; DATA 1 e msg:a", ANSWER, 0, "grpc-status=0\n", 0 },
        { "table up to the limit", "HEADERS 1 h x3fe11f @grpc; DATA 1 e msg:a", ANSWER, 0,
          "grpc-status=0\n", 0 },
        /* An entry of the table is used on the next stream, also when the first was refused. */
        { "the table outlives a refused stream",
          "HEADERS 1 eh @grpc !:path x40 x03782d61 x0131 X-B=1; HEADERS 3 h @grpc xbe; "
          "DATA 3 e msg:a",
          ANSWER, 0, "x-a=1\n", 3 },
        { "and a closed one",
          WHOLE "HEADERS 3 h @grpc x40 x03782d61 x0131; RST 3 - u32:8; HEADERS 5 h @grpc xbe; "
                "DATA 5 e msg:a",
          ANSWER, 0, "x-a=1\n", 5 },
    };
    ROWS(good);
}

/* Plain HTTP on this port: a status and a line of text, never a reset. */
static void test_plain_http(void **state)
{
    (void) state;
    static const struct {
        struct row row;
        bool body;
    } cases[] = {
        { { "GET", "HEADERS 1 eh :method=GET @grpc !:method", ANSWER, 0, ":status=405\n", 0 },
          true },
        { { "GET of a browser", "HEADERS 1 eh :method=GET @grpc !:method !content-type !te", ANSWER,
            0, ":status=405\n", 0 },
          true },
        { { "HEAD", "HEADERS 1 eh :method=HEAD @grpc !:method !content-type", ANSWER, 0,
            ":status=405\n", 0 },
          false },
        { { "DELETE", "HEADERS 1 eh :method=DELETE @grpc !:method", ANSWER, 0, ":status=405\n", 0 },
          true },
        { { "no content-type", "HEADERS 1 h @grpc !content-type; DATA 1 e text:{}", ANSWER, 0,
            ":status=415\n", 0 },
          true },
        { { "JSON",
            "HEADERS 1 h @grpc !content-type content-type=application/json; DATA 1 e text:{}",
            ANSWER, 0, ":status=415\n", 0 },
          true },
        { { "gRPC-Web", "HEADERS 1 eh @grpc !content-type content-type=application/grpc-web",
            ANSWER, 0, ":status=415\n", 0 },
          true },
        { { "before the body is whole", "HEADERS 1 h @grpc !content-type content-type=text/plain",
            ANSWER, 0, ":status=415\n", 0 },
          true },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        run(&cases[i].row, 0);
        struct wire_peer p;
        wire_open(&p, &address, true);
        wire_send(&p, cases[i].row.script, 0);
        wire_wait(&p, 1);
        assert_int_equal(p.streams[0].body.size > 0, cases[i].body);
        assert_non_null(strstr(buf_str(&p.streams[0].head), "content-type=text/plain"));
        wire_done(&p);
    }
    assert_int_equal(failures, 0);
}

/* 3.4: what does not begin as HTTP/2 does. */
static void test_preface(void **state)
{
    (void) state;
    static const struct {
        const char *script;
        bool text; /* an answer in HTTP/1.1, for who speaks that */
    } cases[] = {
        { "RAW text:GET x20 text:/ x20 text:HTTP/1.1 x0d0a text:Host:x x0d0a0d0a", true },
        { "RAW text:POST x20 text:/test.Echo/Unary x20 text:HTTP/1.0 x0d0a0d0a", true },
        { "RAW text:PRI x20 text:* x20 text:HTTP/2.0 x0d0a0d0a text:XX x0d0a0d0a", false },
        { "RAW text:PRI x20 text:* x20 text:HTTP/1.1 x0d0a0d0a", false },
        { "RAW x16030100c8010000c40303", false }, /* TLS */
        { "RAW zeros:40", false },
        { "SETTINGS 0 -", false },
        { "PREFACE; PING 0 - zeros:8", false },
        { "PREFACE; HEADERS 1 eh @grpc", false },
        { "PREFACE; SETTINGS 0 e", false },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases) * 2; i++) {
        struct wire_peer p;
        wire_open(&p, &address, false);
        wire_send(&p, cases[i / 2].script, i % 2);
        wire_wait_closed(&p);
        if (cases[i / 2].text) {
            assert_non_null(strstr(buf_str(&p.text), "HTTP/1.1 400 Bad Request\r\n"));
            assert_non_null(strstr(buf_str(&p.text), "Connection: close\r\n"));
            assert_non_null(strstr(buf_str(&p.text), "HTTP/2"));
        } else {
            assert_int_equal(p.text.size, 0);
            if (p.goaways != 1 || p.goaway_code != PROTOCOL)
                fail_msg("%s: %u GOAWAYs, %u", cases[i / 2].script, p.goaways, p.goaway_code);
        }
        wire_done(&p);
    }
}

/* A header block of ten frames that come byte by byte is slow, not hostile. */
static void test_dribble(void **state)
{
    (void) state;
    struct wire_peer p;
    wire_open(&p, &address, true);
    wire_send(&p,
              "HEADERS 1 - @grpc; CONTINUATION 1 - x-a=1; CONTINUATION 1 - x-b=1; "
              "CONTINUATION 1 - x-c=1; CONTINUATION 1 - x-d=1; CONTINUATION 1 - x-e=1; "
              "CONTINUATION 1 - x-f=1; CONTINUATION 1 - x-g=1; CONTINUATION 1 h x-h=1; "
              "DATA 1 e msg:a; WAIT 1",
              1);
    assert_false(p.closed);
    assert_non_null(strstr(buf_str(&p.streams[0].head), "grpc-status=0\n"));
    wire_send(&p,
              "HEADERS 3 - @grpc; CONTINUATION 3 - x-a=1; CONTINUATION 3 - x-a=1; "
              "CONTINUATION 3 - x-a=1; CONTINUATION 3 - x-a=1; CONTINUATION 3 - x-a=1; "
              "CONTINUATION 3 - x-a=1; CONTINUATION 3 - x-a=1; CONTINUATION 3 - x-a=1; "
              "CONTINUATION 3 - x-a=1; CONTINUATION 3 h x-a=1",
              0);
    wire_wait_closed(&p);
    assert_int_equal(p.goaways, 1);
    wire_done(&p);
}

int main(void)
{
    alarm(110);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_frames, forget),
        cmocka_unit_test_setup(test_settings, forget),
        cmocka_unit_test_setup(test_streams, forget),
        cmocka_unit_test_setup(test_fields, forget),
        cmocka_unit_test_setup(test_hpack, forget),
        cmocka_unit_test_setup(test_plain_http, forget),
        cmocka_unit_test_setup(test_metadata_limits, forget),
        cmocka_unit_test(test_preface),
        cmocka_unit_test(test_dribble),
    };
    return cmocka_run_group_tests(tests, server_up, server_down);
}
