/* A client and servers that are no good gRPC servers: what each answer becomes in the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "rpc/base/check.h"
#include "tests/unit/rpc/rig.h"
#include "tests/unit/rpc/wire_server.h"

#define OK_HEAD "HEADERS 1 h :status=200 content-type=application/grpc; "
struct row {
    const char *name, *script;
    nrpc_code want;
    const char *message; /* NULL: any */
    const char *trailer; /* that came; NULL: any */
    const char *data;    /* NULL: any */
};

static const struct row answers[] = {
    { "a good answer", OK_HEAD "DATA 1 - msg:abc; HEADERS 1 eh grpc-status=0 x-t=1", NRPC_OK, NULL,
      "x-t=1;", "abc" },
    { "trailers only", "HEADERS 1 eh :status=200 content-type=application/grpc grpc-status=5 x-t=1",
      NRPC_NOT_FOUND, NULL, "x-t=1;", "" },
    { "interim heads",
      "HEADERS 1 h :status=103 link=x; HEADERS 1 h :status=100; " OK_HEAD
      "DATA 1 - msg:abc; HEADERS 1 eh grpc-status=0",
      NRPC_OK, NULL, NULL, "abc" },
    /* grpc-message: percent-encoded UTF-8, and what is not */
    { "a message", OK_HEAD "HEADERS 1 eh grpc-status=3 grpc-message=%25C3%25A9%20100%2525",
      NRPC_INVALID_ARGUMENT, "\xc3\xa9 100%", NULL, NULL },
    { "a bad sequence", OK_HEAD "HEADERS 1 eh grpc-status=3 grpc-message=a%25zz%25",
      NRPC_INVALID_ARGUMENT, "a%zz%", NULL, NULL },
    { "a sequence that is no UTF-8", OK_HEAD "HEADERS 1 eh grpc-status=3 grpc-message=%25ff",
      NRPC_INVALID_ARGUMENT, "%ff", NULL, NULL },
    { "bytes that are no UTF-8", OK_HEAD "HEADERS 1 eh grpc-status=3 grpc-message=a%ffb",
      NRPC_INVALID_ARGUMENT,
      "a\xef\xbf\xbd"
      "b",
      NULL, NULL },
    { "UTF-8 that was not encoded", OK_HEAD "HEADERS 1 eh grpc-status=3 grpc-message=%c3%a9",
      NRPC_INVALID_ARGUMENT, "\xc3\xa9", NULL, NULL },
    { "blanks around it", OK_HEAD "HEADERS 1 eh grpc-status=%203%20 grpc-message=%20a",
      NRPC_INVALID_ARGUMENT, "a", NULL, NULL },
    /* grpc-status */
    { "out of range", OK_HEAD "HEADERS 1 eh grpc-status=17", NRPC_UNKNOWN, NULL, NULL, NULL },
    { "no number", OK_HEAD "HEADERS 1 eh grpc-status=OK", NRPC_UNKNOWN, NULL, NULL, NULL },
    { "no status", OK_HEAD "DATA 1 - msg:abc; HEADERS 1 eh x-t=1", NRPC_UNKNOWN, NULL, NULL, NULL },
    { "no trailers", OK_HEAD "DATA 1 e msg:abc", NRPC_UNKNOWN, NULL, NULL, NULL },
    { "an end without anything", OK_HEAD "DATA 1 e", NRPC_UNKNOWN, NULL, NULL, NULL },
    { "the status in a head that does not end",
      "HEADERS 1 h :status=200 content-type=application/grpc grpc-status=5 grpc-message=x; DATA 1 "
      "e",
      NRPC_NOT_FOUND, "x", NULL, NULL },
    { "trailers win",
      "HEADERS 1 h :status=200 content-type=application/grpc grpc-status=5 grpc-message=x; "
      "HEADERS 1 eh grpc-status=6 grpc-message=y",
      NRPC_ALREADY_EXISTS, "y", NULL, NULL },
    /* http-grpc-status-mapping.md */
    { "400", "HEADERS 1 eh :status=400", NRPC_INTERNAL, NULL, NULL, NULL },
    { "401", "HEADERS 1 eh :status=401", NRPC_UNAUTHENTICATED, NULL, NULL, NULL },
    { "403", "HEADERS 1 eh :status=403", NRPC_PERMISSION_DENIED, NULL, NULL, NULL },
    { "404", "HEADERS 1 eh :status=404", NRPC_UNIMPLEMENTED, NULL, NULL, NULL },
    { "429", "HEADERS 1 eh :status=429", NRPC_UNAVAILABLE, NULL, NULL, NULL },
    { "500", "HEADERS 1 eh :status=500", NRPC_UNKNOWN, NULL, NULL, NULL },
    { "502", "HEADERS 1 eh :status=502", NRPC_UNAVAILABLE, NULL, NULL, NULL },
    { "503", "HEADERS 1 eh :status=503", NRPC_UNAVAILABLE, NULL, NULL, NULL },
    { "504", "HEADERS 1 eh :status=504", NRPC_UNAVAILABLE, NULL, NULL, NULL },
    { "a page", "HEADERS 1 h :status=503 content-type=text/html; DATA 1 e text:<html>",
      NRPC_UNAVAILABLE, NULL, NULL, "" },
    { "gRPC under another HTTP status",
      "HEADERS 1 eh :status=503 content-type=application/grpc grpc-status=8",
      NRPC_RESOURCE_EXHAUSTED, NULL, NULL, NULL },
    { "a page with 200", "HEADERS 1 h :status=200 content-type=text/html; DATA 1 e text:<html>",
      NRPC_UNKNOWN, NULL, NULL, "" },
    { "no content-type", "HEADERS 1 h :status=200; DATA 1 e msg:abc", NRPC_UNKNOWN, NULL, NULL,
      NULL },
    /* messages */
    { "two answers to one call", OK_HEAD "DATA 1 - msg:a msg:b; HEADERS 1 eh grpc-status=0",
      NRPC_UNIMPLEMENTED, NULL, NULL, NULL },
    { "no answer", OK_HEAD "HEADERS 1 eh grpc-status=0", NRPC_UNIMPLEMENTED, NULL, NULL, NULL },
    { "half a message", OK_HEAD "DATA 1 - x0000000005 text:ab; HEADERS 1 eh grpc-status=0",
      NRPC_INTERNAL, NULL, NULL, NULL },
    { "half a message, and why",
      OK_HEAD "DATA 1 - x0000000005 text:ab; HEADERS 1 eh grpc-status=14", NRPC_UNAVAILABLE, NULL,
      NULL, NULL },
    { "5 MiB", OK_HEAD "DATA 1 - x0000500000; HEADERS 1 eh grpc-status=0", NRPC_RESOURCE_EXHAUSTED,
      NULL, NULL, NULL },
    { "compressed without an encoding", OK_HEAD "DATA 1 - x0100000000; HEADERS 1 eh grpc-status=0",
      NRPC_INTERNAL, NULL, NULL, NULL },
    { "an encoding we did not offer",
      "HEADERS 1 h :status=200 content-type=application/grpc grpc-encoding=snappy; DATA 1 - msg:a; "
      "HEADERS 1 eh grpc-status=0",
      NRPC_INTERNAL, NULL, NULL, NULL },
    { "a strange flag", OK_HEAD "DATA 1 - x0300000000; HEADERS 1 eh grpc-status=0", NRPC_INTERNAL,
      NULL, NULL, NULL },
    /* metadata */
    { "text that is none", OK_HEAD "DATA 1 - msg:a; HEADERS 1 eh grpc-status=0 x-a=%c3%a9 x-b=1",
      NRPC_OK, NULL, "x-b=1;", "a" },
    { "broken Base64", OK_HEAD "DATA 1 - msg:a; HEADERS 1 eh grpc-status=0 x-bin=*", NRPC_INTERNAL,
      NULL, NULL, NULL },
    /* HTTP/2 */
    { "trailers that do not end", OK_HEAD "DATA 1 - msg:a; HEADERS 1 h grpc-status=0",
      NRPC_INTERNAL, NULL, NULL, NULL },
    { "a false content-length",
      "HEADERS 1 h :status=200 content-type=application/grpc content-length=3; DATA 1 - msg:abc; "
      "HEADERS 1 eh grpc-status=0",
      NRPC_INTERNAL, NULL, NULL, NULL },
    { "upper case", "HEADERS 1 h :status=200 Content-Type=application/grpc", NRPC_INTERNAL, NULL,
      NULL, NULL },
    { "no :status", "HEADERS 1 h content-type=application/grpc", NRPC_INTERNAL, NULL, NULL, NULL },
    { "reset NO_ERROR", OK_HEAD "RST 1 - u32:0", NRPC_INTERNAL, NULL, NULL, NULL },
    { "reset PROTOCOL_ERROR", OK_HEAD "RST 1 - u32:1", NRPC_INTERNAL, NULL, NULL, NULL },
    { "reset INTERNAL_ERROR", OK_HEAD "RST 1 - u32:2", NRPC_INTERNAL, NULL, NULL, NULL },
    { "reset FLOW_CONTROL_ERROR", OK_HEAD "RST 1 - u32:3", NRPC_INTERNAL, NULL, NULL, NULL },
    { "reset FRAME_SIZE_ERROR", OK_HEAD "RST 1 - u32:6", NRPC_INTERNAL, NULL, NULL, NULL },
    { "reset REFUSED_STREAM", OK_HEAD "RST 1 - u32:7", NRPC_UNAVAILABLE, NULL, NULL, NULL },
    { "reset CANCEL", OK_HEAD "RST 1 - u32:8", NRPC_CANCELLED, NULL, NULL, NULL },
    { "reset COMPRESSION_ERROR", OK_HEAD "RST 1 - u32:9", NRPC_INTERNAL, NULL, NULL, NULL },
    { "reset ENHANCE_YOUR_CALM", OK_HEAD "RST 1 - u32:11", NRPC_RESOURCE_EXHAUSTED, NULL, NULL,
      NULL },
    { "reset INADEQUATE_SECURITY", OK_HEAD "RST 1 - u32:12", NRPC_PERMISSION_DENIED, NULL, NULL,
      NULL },
    { "reset of an unknown kind", OK_HEAD "RST 1 - u32:4000", NRPC_UNKNOWN, NULL, NULL, NULL },
    { "a reset behind the whole answer",
      OK_HEAD "DATA 1 - msg:abc; HEADERS 1 eh grpc-status=0; RST 1 - u32:0", NRPC_OK, NULL, NULL,
      "abc" },
    { "a broken frame", OK_HEAD "DATA 1 p x09 zeros:5", NRPC_UNAVAILABLE, NULL, NULL, NULL },
    { "PUSH_PROMISE", "PUSH 1 h u32:2 :method=GET :path=/ :scheme=http", NRPC_UNAVAILABLE, NULL,
      NULL, NULL },
    { "HEADERS on a stream of its own", "HEADERS 2 h :status=200", NRPC_UNAVAILABLE, NULL, NULL,
      NULL },
    { "DATA on a stream that never was", "DATA 7 - msg:a", NRPC_UNAVAILABLE, NULL, NULL, NULL },
    { "SETTINGS out of bounds", "SETTINGS 0 - u16:5 u32:1", NRPC_UNAVAILABLE, NULL, NULL, NULL },
    { "a window that overflows", "WINDOW 0 - u32:2147483647", NRPC_UNAVAILABLE, NULL, NULL, NULL },
    { "a frame that is too large", "DATA 1 - zeros:16385", NRPC_UNAVAILABLE, NULL, NULL, NULL },
    { "padded frames",
      "HEADERS 1 hp x02 :status=200 content-type=application/grpc zeros:2; "
      "DATA 1 p x03 msg:abc zeros:3; HEADERS 1 ehp x01 grpc-status=0 zeros:1",
      NRPC_OK, NULL, NULL, "abc" },
    { "unknown frames",
      "99 0 - zeros:9; " OK_HEAD "99 1 - zeros:9; DATA 1 - msg:abc; "
      "HEADERS 1 eh grpc-status=0",
      NRPC_OK, NULL, NULL, "abc" },
    { "details", OK_HEAD "HEADERS 1 eh grpc-status=3 grpc-status-details-bin=CAMSAng",
      NRPC_INVALID_ARGUMENT, NULL, NULL, NULL },
    { "details that are none", OK_HEAD "HEADERS 1 eh grpc-status=3 grpc-status-details-bin=*",
      NRPC_INVALID_ARGUMENT, NULL, NULL, NULL },
    { "a bad header block", "HEADERS 1 h x80", NRPC_UNAVAILABLE, NULL, NULL, NULL },
};

static void run_row(const struct row *r, bool streaming, bool hang_up)
{
    struct wire_server s = { .script = r->script, .wait_end = !streaming, .hang_up = hang_up };
    wire_server_start(&s);
    rig_connect(s.address, NULL);
    struct rig_call c = { .text = "q", .hold_open = streaming, .options.timeout_ms = 20000 };
    if (streaming)
        c.method = &echo_service.methods[ECHO_COLLECT];
    rig_run(&c, 1);
    if (c.st.code != r->want ||
        (r->message != NULL && strcmp(c.st.message == NULL ? "" : c.st.message, r->message) != 0) ||
        (r->trailer != NULL && strcmp(buf_str(&c.trailer), r->trailer) != 0) ||
        (r->data != NULL && strcmp(buf_str(&c.data), r->data) != 0))
        fail_msg("%s%s: %s \"%s\"; trailers %s; data %s", r->name, streaming ? ", streaming" : "",
                 nrpc_code_name(c.st.code), c.st.message, buf_str(&c.trailer), buf_str(&c.data));
    rig_done(&c);
    rig_down();
    wire_server_stop(&s);
}

/* Each answer to a call that sent all it had, and to one that goes on sending: that one is then
 * reset, for the server said its last word. */
static void test_answers(void **state)
{
    (void) state;
    for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
        run_row(&answers[i], false, false);
        run_row(&answers[i], true, false);
    }
}

static void test_lost(void **state)
{
    (void) state;
    static const struct row rows[] = {
        { "lost before the head", "PING 0 - zeros:8", NRPC_UNAVAILABLE, NULL, NULL, NULL },
        { "lost behind the head", OK_HEAD "PING 0 - zeros:8", NRPC_UNAVAILABLE, NULL, NULL, NULL },
        { "lost behind a message", OK_HEAD "DATA 1 - msg:abc", NRPC_UNAVAILABLE, NULL, NULL, NULL },
        { "lost behind the end", OK_HEAD "DATA 1 - msg:abc; HEADERS 1 eh grpc-status=0", NRPC_OK,
          NULL, NULL, "abc" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        run_row(&rows[i], false, true);
        run_row(&rows[i], true, true);
    }
}

/* Lists over the limits of bytes and fields, by little and by much, in head and trailers. */
static void test_too_big(void **state)
{
    (void) state;
    static const struct {
        unsigned fields, bytes; /* of each value */
        bool fits;
    } cases[] = {
        { 3, 5000, true },   { 90, 10, true },  { 4, 5000, false },
        { 30, 5000, false }, { 110, 1, false }, { 500, 1, false },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases) * 2; i++) {
        static char script[400000];
        bool trailers = i % 2 == 1;
        struct buf list = { 0 };
        for (unsigned k = 0; k < cases[i / 2].fields; k++) {
            buf_puts(&list, " x-a=");
            for (unsigned n = 0; n < cases[i / 2].bytes; n++)
                buf_putc(&list, 'v');
        }
        /* Frames are 16 KiB at most, so the rest goes into CONTINUATIONs. */
        struct buf all = { 0 };
        buf_printf(&all, "HEADERS 1 %s :status=200 content-type=application/grpc",
                   trailers ? "h" : "-");
        if (trailers)
            buf_puts(&all, "; DATA 1 - msg:a; HEADERS 1 e grpc-status=0");
        const char *p = buf_str(&list);
        for (unsigned k = 0; *p != '\0'; k++) {
            const char *next = strchr(p + 1, ' ');
            size_t size = next == NULL ? strlen(p) : (size_t) (next - p);
            if (k % (cases[i / 2].bytes > 1000 ? 3 : 200) == 0)
                buf_puts(&all, "; CONTINUATION 1 -");
            buf_put(&all, p, size);
            p += size;
        }
        buf_puts(&all, "; CONTINUATION 1 h");
        if (!trailers)
            buf_puts(&all, "; DATA 1 - msg:a; HEADERS 1 eh grpc-status=0");
        snprintf(script, sizeof script, "%s", buf_str(&all));
        const struct row r = { trailers ? "trailers" : "head",
                               script,
                               cases[i / 2].fits ? NRPC_OK : NRPC_RESOURCE_EXHAUSTED,
                               NULL,
                               NULL,
                               NULL };
        run_row(&r, false, false);
        buf_done(&list);
        buf_done(&all);
    }
}

/* ---- what the client itself does not send ---- */
static void add_much(struct rig_call *r)
{
    static const char value[4000] = { [0 ... 3998] = 'v' };
    nrpc_metadata *md = nrpc_call_headers_out(r->call);
    int n = 0;
    while (nrpc_metadata_add_string(md, "x-much", value) == 0)
        n++;
    assert_int_equal(n, 4); /* 16 KiB */
    while (nrpc_metadata_add_string(md, "x-a", "") == 0)
        n++;
    assert_in_range(n, 5, 100);
}

static void test_own_limits(void **state)
{
    (void) state;
    /* The server says how much it takes; more is not sent. */
    const nrpc_server_options so = { .loops = 1, .max_metadata_bytes = 8192 };
    rig_up(&so, NULL, NULL);
    struct rig_call warm = { .text = "a" }, r = { .text = "a", .on_started = add_much };
    rig_run(&warm, 1);
    assert_int_equal(warm.st.code, NRPC_OK);
    rig_run(&r, 1);
    assert_int_equal(r.st.code, NRPC_RESOURCE_EXHAUSTED);
    rig_done(&warm);
    rig_done(&r);
    rig_down();
}

int main(void)
{
    alarm(110);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_lost),
        cmocka_unit_test(test_too_big),
        cmocka_unit_test(test_own_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
