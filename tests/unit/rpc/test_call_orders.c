/* What may happen to a call, in every order and for every kind: answers, early ends, cancels,
 * deadlines, resets, lost connections.  The server's handler and the client each follow a program
 * of letters; each call must end once, with the right code, and stay dead. */
#include <arpa/inet.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "rpc/base/check.h"
#include "rpc/io/loop.h"
#include "tests/unit/rpc/rig.h"
#include "tests/unit/rpc/wire_peer.h"
#include "tests/unit/rpc/wire_server.h"

static const nrpc_method methods[] = {
    { "U", "/test.Orders/U", NRPC_UNARY, false, NULL, NULL },
    { "S", "/test.Orders/S", NRPC_SERVER_STREAM, false, NULL, NULL },
    { "C", "/test.Orders/C", NRPC_CLIENT_STREAM, false, NULL, NULL },
    { "B", "/test.Orders/B", NRPC_BIDI, false, NULL, NULL },
};
static const nrpc_service service = { "test.Orders", methods, ARRAY_SIZE(methods) };

/* ---- server ---- */
static atomic_int ends, end_code, broken;
static nrpc_call_id kept; /* of the server's thread */
static atomic_int kept_result;

/* h headers, s a message, f finish, e fail with NOT_FOUND, c cancel, k keep this call in mind, o
 * finish the one that was kept; - is nothing. */
static void follow(nrpc_call *c, const char *program, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (program[i] == 'h')
            nrpc_call_send_headers(c);
        else if (program[i] == 's')
            nrpc_call_send_bytes(c, (nrpc_slice){ (const uint8_t *) "m", 1 });
        else if (program[i] == 'f')
            nrpc_call_finish(c, NULL);
        else if (program[i] == 'e')
            nrpc_call_fail(c, NRPC_NOT_FOUND, "no");
        else if (program[i] == 'c')
            nrpc_call_cancel(c);
        else if (program[i] == 'k')
            kept = nrpc_call_ref(c);
        else if (program[i] == 'o') {
            nrpc_call *other = nrpc_call_get(nrpc_call_loop(c), kept);
            atomic_store(&kept_result, other == NULL ? 1 : nrpc_call_finish(other, NULL));
        }
    }
}

static void on_request(nrpc_call *c, void *ctx, nrpc_msg *m)
{
    (void) ctx;
    follow(c, (const char *) nrpc_msg_bytes(m).data, nrpc_msg_bytes(m).size);
    nrpc_msg_free(m);
}

static nrpc_code on_start(nrpc_call *c, void *ctx, void **out_state, nrpc_status *st)
{
    (void) ctx;
    (void) out_state;
    (void) st;
    nrpc_slice program;
    if (nrpc_metadata_get(nrpc_call_headers_in(c), "x-start", 0, &program))
        follow(c, (const char *) program.data, program.size);
    return NRPC_OK;
}

static void on_message(nrpc_call *c, void *state, nrpc_msg *m)
{
    (void) state;
    follow(c, (const char *) nrpc_msg_bytes(m).data, nrpc_msg_bytes(m).size);
    nrpc_msg_free(m);
    nrpc_call_want(c, 1);
}

/* No verb does anything any more. */
static void on_end(nrpc_call *c, void *state, const nrpc_status *st)
{
    (void) state;
    nrpc_cancel *k = nrpc_call_cancel_ref(c);
    bool dead = nrpc_call_send_bytes(c, (nrpc_slice){ NULL, 0 }) == NRPC_E_STATE &&
                nrpc_call_finish(c, NULL) == NRPC_E_STATE && k != NULL && nrpc_cancelled(k) &&
                nrpc_call_send_headers(c) == NRPC_E_STATE && nrpc_call_headers_out(c) == NULL &&
                nrpc_call_trailers_out(c) == NULL &&
                nrpc_call_get(nrpc_call_loop(c), nrpc_call_ref(c)) == NULL;
    nrpc_cancel_unref(k);
    nrpc_call_cancel(c);
    nrpc_call_want(c, 1);
    if (!dead)
        atomic_fetch_add(&broken, 1);
    atomic_store(&end_code, (int) st->code);
    atomic_fetch_add(&ends, 1);
}

static const nrpc_events events = { .on_start = on_start,
                                    .on_message = on_message,
                                    .on_end = on_end };
static void add_orders(nrpc_server *s)
{
    static const nrpc_handler handlers[] = {
        { .request = on_request, .on_end = on_end },
        { .request = on_request, .on_end = on_end },
        { .stream = &events },
        { .stream = &events },
    };
    assert_int_equal(nrpc_server_add_service(s, &service, handlers, 4, NULL), 0);
}

/* How it ends for the client: grpc-status N, RST_STREAM N; LOST: it hung up itself. */
enum wire_end { STATUS, RESET, LOST };
enum { U = 1, S = 2, C = 4, B = 8, ONE = U | S, MANY = C | B, ALL = 15, NO_END = -1 };
struct order {
    const char *name;
    int kinds;
    const char *fields; /* more of the request's head */
    const char *script; /* behind HEADERS */
    enum wire_end end;
    uint32_t code;
    int handler; /* the code of its on_end; NO_END: it never heard of the call */
};

static const struct order server_orders[] = {
    { "a message and OK", ALL, "", "DATA 1 e msg:sf", STATUS, 0, 0 },
    { "headers, a message, OK", ALL, "", "DATA 1 e msg:hsf", STATUS, 0, 0 },
    { "an error", ALL, "", "DATA 1 e msg:e", STATUS, 5, 5 },
    { "an error behind the head", ALL, "", "DATA 1 e msg:he", STATUS, 5, 5 },
    { "an error behind a message", ALL, "", "DATA 1 e msg:se", STATUS, 5, 5 },
    { "only the first end counts", ALL, "", "DATA 1 e msg:efsch", RESET, 8, 1 },
    { "no second end", ALL, "", "DATA 1 e msg:sffes", STATUS, 0, 0 },
    { "the handler cancels", ALL, "", "DATA 1 e msg:c", RESET, 8, 1 },
    { "and once more", ALL, "", "DATA 1 e msg:ccsf", RESET, 8, 1 },
    { "cancels behind the head", ALL, "", "DATA 1 e msg:hsc", RESET, 8, 1 },
    { "cancels what waits to be sent", ALL, "", "DATA 1 e msg:sfc", RESET, 8, 1 },
    /* the end comes before the request's */
    { "an early OK", MANY, "", "DATA 1 - msg:sf", STATUS, 0, 0 },
    { "an early error", MANY, "", "DATA 1 - msg:e; DATA 1 - msg:s; DATA 1 e msg:f", STATUS, 5, 5 },
    { "an early error behind the head", MANY, "", "DATA 1 - msg:h; DATA 1 - msg:e", STATUS, 5, 5 },
    { "an early cancel", MANY, "", "DATA 1 - msg:hc; DATA 1 - msg:f", RESET, 8, 1 },
    { "an end in on_start", MANY, "x-start=e", "DATA 1 - msg:f", STATUS, 5, 5 },
    { "a whole answer in on_start", MANY, "x-start=hsf", "DATA 1 e msg:f", STATUS, 0, 0 },
    { "a cancel in on_start", MANY, "x-start=hc", "DATA 1 e msg:f", RESET, 8, 1 },
    /* deadlines: before anything, behind a message, behind the whole request */
    { "a deadline before a message", ONE, "grpc-timeout=30m", "PING 0 - zeros:8", STATUS, 4,
      NO_END },
    { "a deadline before a message", MANY, "grpc-timeout=30m", "PING 0 - zeros:8", STATUS, 4, 4 },
    { "a deadline inside a message", ONE, "grpc-timeout=30m", "DATA 1 - x00000000", STATUS, 4,
      NO_END },
    { "a deadline behind a message", MANY, "grpc-timeout=30m", "DATA 1 - msg:-", STATUS, 4, 4 },
    { "a deadline while the handler works", ALL, "grpc-timeout=30m", "DATA 1 e msg:-", STATUS, 4,
      4 },
    { "a deadline behind the head", ALL, "grpc-timeout=30m", "DATA 1 e msg:h", STATUS, 4, 4 },
    { "a deadline behind messages", ALL, "grpc-timeout=30m", "DATA 1 e msg:hsss", STATUS, 4, 4 },
    { "a deadline that is over at once", MANY, "grpc-timeout=1n", "DATA 1 e msg:-", STATUS, 4, 4 },
    { "no deadline behind the end", ALL, "grpc-timeout=30S", "DATA 1 e msg:sf", STATUS, 0, 0 },
    /* the client resets */
    { "reset before a message", ONE, "", "RST 1 - u32:8", LOST, 0, NO_END },
    { "reset before a message", MANY, "", "RST 1 - u32:8", LOST, 0, 1 },
    { "reset inside a message", MANY, "", "DATA 1 - x000000; RST 1 - u32:8", LOST, 0, 1 },
    { "reset while the handler works", ALL, "", "DATA 1 e msg:-; RST 1 - u32:8", LOST, 0, 1 },
    { "reset behind the head", ALL, "", "DATA 1 e msg:hs; RST 1 - u32:2", LOST, 0, 1 },
    { "reset with a deadline", ALL, "grpc-timeout=30m", "DATA 1 e msg:-; RST 1 - u32:8", LOST, 0,
      1 },
    /* the connection goes */
    { "lost before a message", ONE, "", "PING 0 - zeros:8", LOST, 0, NO_END },
    { "lost before a message", MANY, "", "PING 0 - zeros:8", LOST, 0, 1 },
    { "lost while the handler works", ALL, "", "DATA 1 e msg:-", LOST, 0, 1 },
    { "lost behind the head", ALL, "", "DATA 1 e msg:hs", LOST, 0, 1 },
    /* nothing of the answer can leave */
    { "a deadline with a shut window", ALL, "grpc-timeout=30m", "SHUT; DATA 1 e msg:ss", STATUS, 4,
      4 },
    { "a reset of an answer that waits", ALL, "", "SHUT; DATA 1 e msg:sf; RST 1 - u32:8", LOST, 0,
      1 },
    { "lost with an answer that waits", ALL, "", "SHUT; DATA 1 e msg:sf", LOST, 0, 1 },
    { "an error passes a shut window", ALL, "", "SHUT; DATA 1 e msg:e", STATUS, 5, 5 },
    { "a cancel passes it, too", ALL, "", "SHUT; DATA 1 e msg:sfc", RESET, 8, 1 },
};

static void run_server_order(const struct order *o, int kind)
{
    struct sockaddr_in at = { .sin_family = AF_INET };
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    at.sin_port = htons((uint16_t) atoi(strrchr(rig_address, ':') + 1));
    bool shut = strncmp(o->script, "SHUT; ", 6) == 0;
    char script[512];
    snprintf(script, sizeof script, "%sHEADERS 1 h :path=%s @grpc !:path%s%s; %s",
             shut ? "SETTINGS 0 - u16:4 u32:0; " : "", methods[kind].path,
             o->fields[0] == '\0' ? "" : " ", o->fields, o->script + (shut ? 6 : 0));
    atomic_store(&ends, 0);
    struct wire_peer p;
    wire_open(&p, &at, true);
    wire_send(&p, script, 0);
    if (o->end == LOST)
        wire_sync(&p); /* it came before we go */
    else
        wire_wait(&p, 1);
    struct wire_stream *st = &p.streams[0];
    char want[32];
    snprintf(want, sizeof want, "grpc-status=%u\n", o->code);
    bool ok = o->end == STATUS  ? st->ended && strstr(buf_str(&st->head), want) != NULL
              : o->end == RESET ? st->reset && st->code == o->code
                                : true;
    if (!ok)
        fail_msg("%s, %s: ended %d, reset %d (%u)\n%s", o->name, methods[kind].name, st->ended,
                 st->reset, st->code, buf_str(&st->head));
    assert_int_equal(p.goaways, 0);
    wire_done(&p);
    nrpc_gauges g = { .calls = 1 };
    for (int i = 0; i < 10000 && g.calls > 0; i++) {
        poll(NULL, 0, 1);
        nrpc_gauges_read(&g);
    }
    assert_int_equal(g.calls, 0);
    int n = atomic_load(&ends), code = atomic_load(&end_code);
    if (n != (o->handler == NO_END ? 0 : 1) || (n == 1 && code != o->handler))
        fail_msg("%s, %s: the handler saw %d ends, the last %s", o->name, methods[kind].name, n,
                 nrpc_code_name((nrpc_code) code));
}

static void test_server_orders(void **state)
{
    (void) state;
    rig_up(NULL, NULL, add_orders);
    for (size_t i = 0; i < ARRAY_SIZE(server_orders); i++)
        for (int kind = 0; kind < 4; kind++)
            if ((server_orders[i].kinds & 1 << kind) != 0)
                run_server_order(&server_orders[i], kind);
    assert_int_equal(atomic_load(&broken), 0);
    rig_down();
}

/* One call's handler ends another call, which its client has just reset, in the same turn. */
static void test_late_answer(void **state)
{
    (void) state;
    rig_up(NULL, NULL, add_orders);
    for (int kind = 0; kind < 4; kind++) {
        struct sockaddr_in at = { .sin_family = AF_INET };
        at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        at.sin_port = htons((uint16_t) atoi(strrchr(rig_address, ':') + 1));
        char script[512];
        struct wire_peer p;
        atomic_store(&ends, 0);
        atomic_store(&kept_result, 0);
        wire_open(&p, &at, true);
        snprintf(script, sizeof script, "HEADERS 1 h :path=%s @grpc !:path; DATA 1 e msg:k",
                 methods[kind].path);
        wire_send(&p, script, 0);
        wire_sync(&p);
        snprintf(script, sizeof script,
                 "RST 1 - u32:8; HEADERS 3 h :path=%s @grpc !:path; DATA 3 e msg:o; RST 3 - u32:8",
                 methods[kind].path);
        wire_send(&p, script, 0);
        wire_sync(&p);
        assert_false(p.closed);
        wire_done(&p);
        for (int i = 0; i < 10000 && atomic_load(&ends) < 2; i++)
            poll(NULL, 0, 1);
        assert_int_equal(atomic_load(&ends), 2);
        assert_int_equal(atomic_load(&end_code), NRPC_CANCELLED);
        /* It came in one piece, or the first call was gone before. */
        int result = atomic_load(&kept_result);
        assert_true(result == NRPC_E_CLOSED || result == 1);
    }
    assert_int_equal(atomic_load(&broken), 0);
    rig_down();
}

/* ---- client ---- */
#define HEAD "HEADERS 1 h :status=200 content-type=application/grpc; "
struct client_order {
    const char *name;
    int kinds;
    /* What the client does: s a message, w half-close, x cancel, d waits for the deadline. */
    const char *at_start, *at_head, *at_message;
    const char *script; /* of the server, once it has the head */
    bool no_credit;     /* messages wait until the end of the turn after the next */
    nrpc_code want;
    unsigned messages; /* that came */
};

static const struct client_order client_orders[] = {
    { "all well", ONE, "sw", "", "", HEAD "DATA 1 - msg:a; HEADERS 1 eh grpc-status=0", false, 0,
      1 },
    { "all well", MANY, "ssw", "", "", HEAD "DATA 1 - msg:a; HEADERS 1 eh grpc-status=0", false, 0,
      1 },
    { "half-close when the head is there", ALL, "s", "w", "",
      HEAD "DATA 1 - msg:a; HEADERS 1 eh grpc-status=0", false, 0, 1 },
    { "half-close when the answer is there", ALL, "s", "", "w",
      HEAD "DATA 1 - msg:a; HEADERS 1 eh grpc-status=0", false, 0, 1 },
    { "the server ends first", ALL, "s", "", "",
      HEAD "DATA 1 - msg:a; HEADERS 1 eh grpc-status=0; RST 1 - u32:0", false, 0, 1 },
    { "with an error", ALL, "s", "s", "s", HEAD "HEADERS 1 eh grpc-status=9; RST 1 - u32:0", false,
      9, 0 },
    { "trailers only, while we send", MANY, "sss", "", "",
      "HEADERS 1 eh :status=200 content-type=application/grpc grpc-status=9; RST 1 - u32:0", false,
      9, 0 },
    { "sends inside events of an ended stream", MANY, "s", "sssw", "sssw",
      HEAD "DATA 1 - msg:a; HEADERS 1 eh grpc-status=0; RST 1 - u32:0", false, 0, 1 },
    /* cancels */
    { "cancel at once", ALL, "x", "", "", HEAD, false, 1, 0 },
    { "cancel behind a message", ALL, "sx", "", "", HEAD, false, 1, 0 },
    { "cancel behind the half-close", ALL, "swx", "", "", HEAD, false, 1, 0 },
    { "cancel twice, then go on", ALL, "sxxsw", "", "", HEAD, false, 1, 0 },
    { "cancel in on_headers", ALL, "s", "x", "", HEAD "DATA 1 - msg:a; HEADERS 1 eh grpc-status=0",
      false, 1, 0 },
    { "cancel in on_message", ALL, "sw", "", "x", HEAD "DATA 1 - msg:a; HEADERS 1 eh grpc-status=0",
      false, 1, 1 },
    { "cancel in on_message, more behind", S | B, "sw", "", "xsw",
      HEAD "DATA 1 - msg:a msg:b msg:c", false, 1, 1 },
    /* deadlines */
    { "deadline before the head", ALL, "ds", "", "", "PING 0 - zeros:8", false, 4, 0 },
    { "deadline behind the half-close", ALL, "dsw", "", "", "PING 0 - zeros:8", false, 4, 0 },
    { "deadline behind the head", ALL, "ds", "", "", HEAD, false, 4, 0 },
    { "deadline behind a message", ALL, "dsw", "", "", HEAD "DATA 1 - msg:a", false, 4, 1 },
    { "deadline of the server", ALL, "sw", "", "", HEAD "HEADERS 1 eh grpc-status=4", false, 4, 0 },
    { "the answer before the deadline", ALL, "sw", "", "",
      HEAD "DATA 1 - msg:a; HEADERS 1 eh grpc-status=0", false, 0, 1 },
    /* resets */
    { "reset behind the head", ALL, "s", "", "", HEAD "RST 1 - u32:2", false, 13, 0 },
    { "reset behind a message", ALL, "sw", "s", "s", HEAD "DATA 1 - msg:a; RST 1 - u32:8", false, 1,
      1 },
    { "reset and deadline", ALL, "s", "", "", HEAD "RST 1 - u32:11", false, 8, 0 },
    /* messages that wait for a credit outlive the stream */
    { "the end waits for messages", S | B, "sw", "", "",
      HEAD "DATA 1 - msg:a msg:b msg:c; HEADERS 1 eh grpc-status=0", true, 0, 3 },
    { "so does an error", S | B, "sw", "", "",
      HEAD "DATA 1 - msg:a msg:b msg:c; HEADERS 1 eh grpc-status=9", true, 9, 3 },
    { "cancel while they wait", S | B, "sw", "", "x",
      HEAD "DATA 1 - msg:a msg:b msg:c; HEADERS 1 eh grpc-status=0", true, 1, 1 },
    { "deadline while they wait", S | B, "dsw", "", "d",
      HEAD "DATA 1 - msg:a msg:b msg:c; HEADERS 1 eh grpc-status=0", true, 4, 1 },
};

static struct {
    const struct client_order *o;
    nrpc_call *call;
    int ends, heads, broken;
    unsigned messages;
    nrpc_code code;
    struct timer credit;
} run;

static void act(const char *program)
{
    for (; *program != '\0'; program++) {
        int r = 0;
        if (*program == 's')
            r = nrpc_call_send_bytes(run.call, (nrpc_slice){ (const uint8_t *) "q", 1 });
        else if (*program == 'w')
            r = nrpc_call_half_close(run.call);
        else if (*program == 'x')
            nrpc_call_cancel(run.call);
        run.broken += r < 0 && r != NRPC_E_STATE;
    }
}

static void on_credit(struct timer *t)
{
    (void) t;
    if (run.call != NULL)
        nrpc_call_want(run.call, 1);
}
static void on_client_headers(nrpc_call *c, void *state)
{
    (void) c;
    (void) state;
    run.heads++;
    act(run.o->at_head);
}
static void on_client_message(nrpc_call *c, void *state, nrpc_msg *m)
{
    (void) state;
    nrpc_msg_free(m);
    run.messages++;
    act(run.o->at_message);
    if (strchr(run.o->at_message, 'd') != NULL)
        return;
    if (run.o->no_credit)
        timer_start(&run.credit, 5);
    else
        nrpc_call_want(c, 1);
}
static void on_client_end(nrpc_call *c, void *state, const nrpc_status *st)
{
    (void) state;
    run.ends++;
    run.code = st->code;
    run.broken += nrpc_call_send_bytes(c, (nrpc_slice){ NULL, 0 }) != NRPC_E_STATE;
    run.broken += nrpc_call_half_close(c) != NRPC_E_STATE;
    run.broken += nrpc_call_headers_out(c) != NULL;
    run.broken += nrpc_call_get(rig_loop, nrpc_call_ref(c)) != NULL;
    nrpc_call_cancel(c);
    nrpc_call_want(c, 1);
    run.call = NULL;
}
static const nrpc_events client_events = { .on_headers = on_client_headers,
                                           .on_message = on_client_message,
                                           .on_end = on_client_end };

static void begin(void *ctx)
{
    const nrpc_method *m = ctx;
    nrpc_call_options o = { .timeout_ms = strchr(run.o->at_start, 'd') != NULL ? 250 : 20000 };
    timer_init(&run.credit, rig_loop, on_credit);
    assert_int_equal(nrpc_channel_start(rig_channel, m, &o, &client_events, NULL, &run.call), 0);
    act(run.o->at_start);
}
static bool has_ended(void *ctx)
{
    (void) ctx;
    return run.ends > 0;
}

static void test_client_orders(void **state)
{
    (void) state;
    for (size_t i = 0; i < ARRAY_SIZE(client_orders) * 4; i++) {
        const struct client_order *o = &client_orders[i / 4];
        int kind = (int) (i % 4);
        if ((o->kinds & 1 << kind) == 0)
            continue;
        struct wire_server s = { .script = o->script };
        wire_server_start(&s);
        rig_connect(s.address, NULL);
        memset(&run, 0, sizeof run);
        run.o = o;
        rig_on_loop(begin, (void *) (uintptr_t) &methods[kind]);
        rig_until(has_ended, NULL);
        timer_stop(&run.credit);
        rig_down();
        wire_server_stop(&s);
        if (run.ends != 1 || run.code != o->want || run.messages != o->messages || run.broken != 0)
            fail_msg("%s, %s: %d ends, %s, %u messages, %d verbs wrong", o->name,
                     methods[kind].name, run.ends, nrpc_code_name(run.code), run.messages,
                     run.broken);
    }
}

int main(void)
{
    alarm(110);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_server_orders),
        cmocka_unit_test(test_late_answer),
        cmocka_unit_test(test_client_orders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
