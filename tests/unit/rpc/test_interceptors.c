/* Interceptors on both sides of the four kinds of call: their order, what they see, the state that
 * each has in each call, and calls that one of them refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "google/rpc/error_details.pb-c.h"
#include "google/rpc/status.pb-c.h"
#include "rpc/base/check.h"
#include "tests/unit/rpc/echo_service.h"

enum { TRACE_BYTES = 256, NAMES_MAX = 4 };

/* One interceptor: a name of one letter.  X refuses, T wants the token that G gives. */
struct witness {
    char name;
    char *trace; /* of its side; written by one thread */
    const char *path;
};
struct seen { /* the state: zeroed for each call */
    unsigned messages, bytes;
    bool began;
};

static void put(const struct witness *w, char event)
{
    size_t n = strlen(w->trace);
    assert_true(n + 3 <= TRACE_BYTES);
    w->trace[n] = event;
    w->trace[n + 1] = w->name;
    w->trace[n + 2] = '\0';
}

static nrpc_code refuse(nrpc_status *st)
{
    Google__Rpc__ErrorInfo info = GOOGLE__RPC__ERROR_INFO__INIT;
    info.reason = (char[]){ "REFUSED" };
    info.domain = (char[]){ "test" };
    nrpc_status_set(st, NRPC_PERMISSION_DENIED, "not you");
    assert_int_equal(nrpc_status_add_detail(st, &info.base), 0);
    return NRPC_PERMISSION_DENIED;
}

static nrpc_code on_begin(void *ctx, void *state, nrpc_call *c, nrpc_status *st)
{
    const struct witness *w = ctx;
    struct seen *seen = state;
    assert_true(!seen->began && seen->messages == 0 && seen->bytes == 0);
    seen->began = true;
    assert_string_equal(nrpc_call_path(c), w->path);
    put(w, 'b');
    if (w->name == 'G')
        assert_int_equal(nrpc_metadata_add_string(nrpc_call_headers_out(c), "x-token", "sesame"),
                         0);
    if (w->name == 'X')
        return refuse(st);
    if (w->name == 'T') {
        nrpc_slice token;
        bool ok = nrpc_metadata_get(nrpc_call_headers_in(c), "x-token", 0, &token) &&
                  token.size == 6 && memcmp(token.data, "sesame", 6) == 0;
        return ok ? NRPC_OK : NRPC_UNAUTHENTICATED; /* without a text of its own */
    }
    return NRPC_OK;
}
static void on_pass(void *ctx, void *state, bool incoming, size_t bytes)
{
    struct seen *seen = state;
    seen->messages++;
    seen->bytes += (unsigned) bytes;
    put(ctx, incoming ? 'i' : 'o');
}
static void on_over(void *ctx, void *state, const nrpc_call *c, const nrpc_status *st)
{
    (void) c;
    struct witness *w = ctx;
    struct seen *seen = state;
    assert_true(seen->began);
    /* As many as this interceptor noted in this call. */
    unsigned noted = 0;
    for (const char *p = w->trace; *p != '\0'; p += 2)
        noted += (p[0] == 'i' || p[0] == 'o') && p[1] == w->name;
    assert_int_equal(seen->messages, noted);
    put(w, st->code == NRPC_OK ? 'e' : 'E');
}

/* ---- one call ----------------------------------------------------------------------------------
 */
struct outcome {
    nrpc_loop *loop;
    nrpc_channel *channel;
    nrpc_status st;
    unsigned messages;
};
static void on_message(nrpc_call *c, void *state, nrpc_msg *m)
{
    ((struct outcome *) state)->messages++;
    nrpc_msg_free(m);
    nrpc_call_want(c, 1);
}
static void on_gone(void *ctx)
{
    nrpc_loop_stop(((struct outcome *) ctx)->loop);
}
static void on_end(nrpc_call *c, void *state, const nrpc_status *st)
{
    (void) c;
    struct outcome *o = state;
    assert_int_equal(nrpc_status_copy(&o->st, st), 0);
    nrpc_channel_close_then(o->channel, on_gone, o);
}

static const struct {
    const char *label;
    int method;
    const char *text;
    unsigned requests;
    const char *client, *server; /* names */
    nrpc_code code;
    const char *client_trace, *server_trace; /* event and name; e ended well, E did not */
    unsigned messages;
    uint64_t timeout_ms;
} rows[] = {
    { "unary", ECHO_UNARY, "x", 1, "12", "34", NRPC_OK, "b1b2o1o2i1i2e2e1", "b3b4i3i4o3o4e4e3", 1,
      0 },
    { "server stream", ECHO_STREAM, "count:3:10", 1, "12", "34", NRPC_OK,
      "b1b2o1o2i1i2i1i2i1i2e2e1", "b3b4i3i4o3o4o3o4o3o4e4e3", 3, 0 },
    { "client stream", ECHO_COLLECT, "x", 3, "12", "34", NRPC_OK, "b1b2o1o2o1o2o1o2i1i2e2e1",
      "b3b4i3i4i3i4i3i4o3o4e4e3", 1, 0 },
    { "bidi", ECHO_CHAT, "x", 2, "12", "34", NRPC_OK, "b1b2o1o2o1o2i1i2i1i2e2e1",
      "b3b4i3i4o3o4i3i4o3o4e4e3", 2, 0 },
    { "none", ECHO_UNARY, "x", 1, "", "", NRPC_OK, "", "", 1, 0 },
    /* Refused on the server: those that began end, in reverse; the handler never runs. */
    { "unary, refused", ECHO_UNARY, "x", 1, "1", "34X", NRPC_PERMISSION_DENIED, "b1o1E1",
      "b3b4bXEXE4E3", 0, 0 },
    { "server stream, refused", ECHO_STREAM, "count:3:10", 1, "1", "X4", NRPC_PERMISSION_DENIED,
      "b1o1E1", "bXEX", 0, 0 },
    { "client stream, refused", ECHO_COLLECT, "x", 2, "1", "3X", NRPC_PERMISSION_DENIED, "b1o1o1E1",
      "b3bXEXE3", 0, 0 },
    { "bidi, refused", ECHO_CHAT, "x", 2, "1", "3X", NRPC_PERMISSION_DENIED, "b1o1o1E1", "b3bXEXE3",
      0, 0 },
    /* Refused before anything left. */
    { "unary, never sent", ECHO_UNARY, "x", 1, "1X2", "3", NRPC_PERMISSION_DENIED, "b1bXEXE1", "",
      0, 0 },
    { "bidi, never sent", ECHO_CHAT, "x", 1, "X", "3", NRPC_PERMISSION_DENIED, "bXEX", "", 0, 0 },
    /* One side's adds what the other's wants. */
    { "a token", ECHO_UNARY, "x", 1, "G", "T", NRPC_OK, "bGoGiGeG", "bTiToTeT", 1, 0 },
    { "no token", ECHO_UNARY, "x", 1, "1", "T", NRPC_UNAUTHENTICATED, "b1o1E1", "bTET", 0, 0 },
    /* The handler's error, and a deadline. */
    { "failed", ECHO_UNARY, "fail:5:gone", 1, "1", "3", NRPC_NOT_FOUND, "b1o1E1", "b3i3E3", 0, 0 },
    { "late", ECHO_UNARY, "sleep", 1, "1", "3", NRPC_DEADLINE_EXCEEDED, "b1o1E1", "b3i3E3", 0,
      100 },
};

static void add_all(const char *names, struct witness *list, char *trace, const char *path,
                    nrpc_server *s, nrpc_channel *ch)
{
    for (size_t i = 0; names[i] != '\0'; i++) {
        list[i] = (struct witness){ names[i], trace, path };
        const nrpc_interceptor in = { "witness", &list[i], sizeof(struct seen),
                                      on_begin,  on_pass,  on_over };
        assert_int_equal(
            s != NULL ? nrpc_server_intercept(s, &in) : nrpc_channel_intercept(ch, &in), 0);
    }
}

/* The refusal's text and detail came over the wire. */
static void assert_refusal(const nrpc_status *st)
{
    assert_string_equal(st->message, "not you");
    Google__Rpc__Status *status = google__rpc__status__unpack(NULL, st->details_size, st->details);
    assert_non_null(status);
    assert_int_equal(status->n_details, 1);
    assert_string_equal(status->details[0]->type_url, "type.googleapis.com/google.rpc.ErrorInfo");
    google__rpc__status__free_unpacked(status, NULL);
}

static void run_row(size_t i)
{
    struct witness client[NAMES_MAX], server[NAMES_MAX];
    char client_trace[TRACE_BYTES] = "", server_trace[TRACE_BYTES] = "";
    const nrpc_method *method = &echo_service.methods[rows[i].method];
    nrpc_server *s;
    struct outcome o = { .st = NRPC_STATUS_INIT };
    assert_int_equal(nrpc_server_new(&(nrpc_server_options){ .loops = 1 }, &s), 0);
    assert_int_equal(echo_add(s), 0);
    add_all(rows[i].server, server, server_trace, method->path, s, NULL);
    assert_int_equal(nrpc_server_listen(s, "127.0.0.1:0"), 0);
    assert_int_equal(nrpc_server_start(s), 0);
    const nrpc_channel_options options = { .target = nrpc_server_address(s, 0) };
    assert_int_equal(nrpc_loop_new(&o.loop), 0);
    assert_int_equal(nrpc_channel_new(o.loop, &options, &o.channel), 0);
    add_all(rows[i].client, client, client_trace, method->path, NULL, o.channel);

    static const nrpc_events events = { .on_message = on_message, .on_end = on_end };
    nrpc_call *c;
    const nrpc_call_options call_options = { .timeout_ms = rows[i].timeout_ms };
    assert_int_equal(nrpc_channel_start(o.channel, method, &call_options, &events, &o, &c), 0);
    for (unsigned j = 0; j < rows[i].requests; j++)
        (void) nrpc_call_send_bytes(
            c, (nrpc_slice){ (const uint8_t *) rows[i].text, strlen(rows[i].text) });
    assert_int_equal(nrpc_call_half_close(c), 0);
    assert_int_equal(nrpc_loop_run(o.loop), 0);
    nrpc_loop_free(o.loop);
    nrpc_server_stop(s, 5000);
    nrpc_server_wait(s);
    nrpc_server_free(s);

    if (o.st.code != rows[i].code || o.messages != rows[i].messages ||
        strcmp(client_trace, rows[i].client_trace) != 0 ||
        strcmp(server_trace, rows[i].server_trace) != 0)
        fail_msg("%s: %s \"%s\", %u messages, client %s, server %s", rows[i].label,
                 nrpc_code_name(o.st.code), o.st.message, o.messages, client_trace, server_trace);
    if (o.st.code == NRPC_PERMISSION_DENIED)
        assert_refusal(&o.st);
    nrpc_status_clear(&o.st);
}

static void test_table(void **state)
{
    (void) state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        run_row(i);
    nrpc_gauges g;
    nrpc_gauges_read(&g);
    assert_int_equal(g.calls + g.messages + g.connections + g.channels + g.timers, 0);
}

static void test_limits(void **state)
{
    (void) state;
    nrpc_server *s;
    assert_int_equal(nrpc_server_new(&(nrpc_server_options){ .loops = 1 }, &s), 0);
    const nrpc_interceptor in = { .name = "nothing" }; /* all entries may be NULL */
    for (int i = 0; i < 8; i++)
        assert_int_equal(nrpc_server_intercept(s, &in), 0);
    assert_int_equal(nrpc_server_intercept(s, &in), NRPC_E_FULL);
    assert_int_equal(echo_add(s), 0);
    assert_int_equal(nrpc_server_listen(s, "127.0.0.1:0"), 0);
    assert_int_equal(nrpc_server_start(s), 0);
    assert_int_equal(nrpc_server_intercept(s, &in), NRPC_E_STATE);
    const nrpc_channel_options options = { .target = nrpc_server_address(s, 0) };
    nrpc_client *client;
    nrpc_msg *answer = NULL;
    nrpc_status st = NRPC_STATUS_INIT;
    assert_int_equal(nrpc_client_new(&options, &client), 0);
    Google__Rpc__ErrorInfo request = GOOGLE__RPC__ERROR_INFO__INIT;
    assert_int_equal(nrpc_client_unary(client, &echo_service.methods[ECHO_UNARY], NULL,
                                       &request.base, &answer, &st),
                     NRPC_OK);
    nrpc_msg_free(answer);
    nrpc_status_clear(&st);
    nrpc_client_free(client);
    nrpc_server_stop(s, 1000);
    nrpc_server_wait(s);
    nrpc_server_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests_name("interceptors", tests, NULL, NULL);
}
