/* The whole gateway in this process: a foreign service on our own server, the front door on a loop,
 * and raw sockets as clients. */
#include "tests/unit/gateway/support.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "gateway/conn.h"
#include "gateway/gateway.h"
#include "rpc/base/log.h"
#include "rpc/io/listener.h"
#include "rpc/nrpc.h"
#include "tests/unit/gateway/client.h"
#include "tests/unit/gateway/foreign_service.h"

/* ---- setting up ------------------------------------------------------------------------ */

static nrpc_server *server;
static struct gateway gateway;
static nrpc_loop *loop;
static struct listener *listener;
static pthread_t thread;

static void *run(void *arg)
{
    nrpc_loop_run(arg);
    return NULL;
}

static void on_accept(void *ctx, nrpc_loop *l, int fd, const char *peer, const struct sock_tls *tls)
{
    (void) ctx;
    (void) peer;
    conn_open(loop_slot(l, LOOP_SLOT_USER), fd, tls);
}

static void stop_server(void)
{
    nrpc_server_stop(server, 0);
    nrpc_server_wait(server);
    nrpc_server_free(server);
    server = NULL;
}

static int set_up(void **state)
{
    (void) state;
    char error[512] = "";
    static char *origins[] = { (char *) "https://app.example" };
    static char *backend[1];
    signal(SIGPIPE, SIG_IGN);
    log_setup("test", 1, LOG_LEVEL_OFF);
    server = foreign_server_start("127.0.0.1:0");
    backend[0] = alloc_strdup(nrpc_server_address(server, 0));
    gateway.settings = (struct gateway_settings){
        .backend = { backend, 1 },
        .cors_origin = { origins, 1 },
        .descriptors = (char *) FOREIGN_FDS,
        .prefix = (char *) "/api",
        .max_body_bytes = 100000,
        .timeout_ms = 20000,
        .timeout_max_ms = 3600000,
        .max_waiting = 1000,
        .grace_ms = 2000,
    };
    if (gateway_load(&gateway, error) < 0)
        fail_msg("%s", error);
    gateway.loops = alloc_zero(1, sizeof *gateway.loops);
    gateway.n_loops = 1;
    assert_int_equal(nrpc_loop_new(&loop), 0);
    assert_int_equal(gateway_loop_init(gateway.loops, &gateway, loop), 0);
    struct listener_options o = { .address = "127.0.0.1:0",
                                  .loops = &loop,
                                  .n_loops = 1,
                                  .max_connections = 100,
                                  .on_accept = on_accept };
    assert_int_equal(listener_open(&o, &listener, 1, &(size_t){ 0 }), 0);
    client_port = (uint16_t) atoi(strrchr(listener_address(listener), ':') + 1);
    assert_int_equal(pthread_create(&thread, NULL, run, loop), 0);
    return 0;
}

static void on_drain(nrpc_task *t, nrpc_loop *l)
{
    (void) t;
    gateway_loop_drain(loop_slot(l, LOOP_SLOT_USER));
}

static int tear_down(void **state)
{
    (void) state;
    static nrpc_task drain = { .run = on_drain };
    nrpc_gauges gauges;
    listener_stop(listener);
    nrpc_loop_post(loop, &drain);
    pthread_join(thread, NULL);
    listener_free(listener);
    nrpc_loop_free(loop);
    gateway_loop_done(gateway.loops);
    alloc_free(gateway.loops);
    alloc_free(gateway.settings.backend.items[0]);
    gateway_unload(&gateway);
    if (server != NULL)
        stop_server();
    nrpc_gauges_read(&gauges);
    assert_int_equal(gauges.connections, 0);
    assert_int_equal(gauges.calls, 0);
    assert_int_equal(gauges.messages, 0);
    assert_int_equal(gauges.channels, 0);
    return 0;
}

/* ---- checks ---------------------------------------- */

static void assert_holds(struct buf *out, const char *text)
{
    if (strstr(buf_str(out), text) == NULL)
        print_message("no \"%s\" in:\n%s\n", text, buf_str(out));
    assert_non_null(strstr(buf_str(out), text));
}

static void assert_status(struct buf *out, int status)
{
    char line[32];
    snprintf(line, sizeof line, "HTTP/1.1 %d ", status);
    if (strncmp(buf_str(out), line, strlen(line)) != 0)
        print_message("not %d:\n%s\n", status, buf_str(out));
    assert_memory_equal(buf_str(out), line, strlen(line));
}

/* ---- tests ----------------------------------------------------------------------------- */

struct row {
    const char *method, *path, *headers, *body;
    int status;
    const char *holds[3];
};

static void check_rows(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct buf out = { 0 };
        client_ask(rows[i].method, rows[i].path, rows[i].headers, rows[i].body, &out);
        assert_status(&out, rows[i].status);
        for (size_t k = 0; k < 3 && rows[i].holds[k] != NULL; k++)
            assert_holds(&out, rows[i].holds[k]);
        buf_done(&out);
    }
}

static void unary_calls(void **state)
{
    (void) state;
    static const struct row rows[] = {
        { "GET",
          "/v1/shelves/a%2Fb",
          "X-Request-Id: abc\r\n",
          NULL,
          200,
          { "X-Request-Id: abc\r\n",
            "{\"fInt64\":\"1\",\"fString\":\"a/b\",\"fBytes\":\"YWJj\"}" } },
        { "GET",
          "/api/v1/shelves/x",
          "",
          NULL,
          200,
          { "\"fString\":\"x\"", "X-Content-Type-Options: nosniff", "Cache-Control: no-store" } },
        { "HEAD", "/v1/shelves/x", "", NULL, 200, { "Content-Length: " } },
        { "PUT",
          "/v1/everything/k",
          "",
          "{\"f_int32\":5,\"rString\":[\"a\"]}",
          200,
          { "{\"fInt32\":5,\"fString\":\"k\",\"rString\":[\"a\"]}" } },
        { "PUT", "/v1/everything/k", "", NULL, 200, { "{\"fString\":\"k\"}" } },
        { "PATCH",
          "/v1/patch/k",
          "",
          "{\"fMessage\":{\"text\":null},\"f_bool\":true}",
          202,
          { "{\"text\":\"k\",\"list\":[\"f_message.text\",\"f_bool\"]}" } },
        { "PATCH",
          "/v1/patch/k?update_mask=fInt32",
          "",
          "{}",
          202,
          { "{\"text\":\"k\",\"list\":[\"f_int32\"]}" } },
        { "GET",
          "/v1/query?f_message.text=x&f_message.number=3&w_int32=0",
          "",
          NULL,
          200,
          { "{\"fMessage\":{\"text\":\"x\",\"number\":3},\"wInt32\":0}", "ETag: \"" } },
        { "POST", "/v1/shelves/x:lock", "", "{}", 200, { "\r\n\r\n{}" } },
        { "POST",
          "/v1/upload",
          "Content-Type: image/png\r\n",
          "\x01 raw",
          200,
          { "Content-Type: image/png\r\n", "\r\n\r\n\x01 raw" } },
        { "POST", "/v1/upload", "", NULL, 200, { "Content-Type: application/octet-stream\r\n" } },
    };
    check_rows(rows, sizeof rows / sizeof *rows);
}

static const struct row error_rows[] = {
    { "GET",
      "/nope",
      "",
      NULL,
      404,
      { "application/json", "\"reason\":\"NOT_FOUND\"", "/nope not found" } },
    { "GET",
      "/nope",
      "Accept: application/problem+json\r\n",
      NULL,
      404,
      { "application/problem+json", "\"code\":\"NOT_FOUND\"", "/nope not found" } },
    { "DELETE", "/v1/shelves/x", "", NULL, 405, { "Allow: GET, HEAD, PURGE, OPTIONS\r\n" } },
    { "POST",
      "/v1/shelves/missing:lock",
      "",
      "{}",
      404,
      { "{\"code\":5,\"message\":\"no shelf "
        "missing\",\"details\":[{\"@type\":\"type.googleapis.com/"
        "google.rpc.ErrorInfo\",\"reason\":\"SHELF_MISSING\"}]}" } },
    { "POST",
      "/v1/shelves/missing:lock",
      "Accept: application/problem+json\r\n",
      "{}",
      404,
      { "application/problem+json", "\"code\":\"SHELF_MISSING\"" } },
    { "POST", "/v1/shelves/broken:lock", "", "{}", 500, { "an error of its own" } },
    { "POST", "/v1/shelves/never:lock", "Grpc-Timeout: 50m\r\n", "{}", 504, { "\"code\":4" } },
    { "POST",
      "/v1/shelves/never:lock",
      "X-Request-Timeout: 0.05\r\n",
      "{}",
      504,
      { "\"code\":4" } },
    { "PUT",
      "/v1/everything/k",
      "",
      "{\"f_int33\":5}",
      400,
      { "did you mean", "line 1, column 2" } },
    { "PUT", "/v1/everything/k", "", "{\"f_int32\":", 400, { "the document ends too early" } },
    { "PUT",
      "/v1/everything/k",
      "",
      "{\"f_string\":\"j\"}",
      400,
      { "the path and the body say different things" } },
    { "PUT", "/v1/everything/k?f_bool=true", "", "{}", 400, { "takes everything from its body" } },
    { "PUT", "/v1/everything/%00", "", "{}", 404, { "not found" } },
    { "GET", "/v1/query?f_int33=1", "", NULL, 400, { "did you mean \\\"fInt32\\\"?" } },
    { "POST",
      "/foreign.v1.Shelf/Lock",
      "",
      "{\"name\":\"missing\"}",
      404,
      { "\"reason\":\"SHELF_MISSING\"" } },
    { "GET", "/foreign.v1.Shelf/Lock", "", NULL, 405, { "Allow: POST, OPTIONS\r\n" } },
    { "GET", "/v1/query", "", "{}", 400, { "takes no body" } },
    { "POST",
      "/v1/shelves/x:lock",
      "Content-Type: multipart/form-data; boundary=x\r\n",
      "{}",
      415,
      { "UNSUPPORTED_MEDIA_TYPE" } },
    { "PUT",
      "/v1/everything/k",
      "Content-Type: multipart/form-data; boundary=x\r\n",
      "{}",
      400,
      { "the form has no parts" } },
    { "PUT",
      "/v1/everything/k",
      "Content-Type: multipart/form-data\r\n",
      "{}",
      400,
      { "names no boundary" } },
    { "PUT",
      "/v1/everything/k",
      "Content-Type: multipart/form-data; boundary=x\r\n",
      "--x\r\nContent-Disposition: form-data; name=\"f_string\"\r\n\r\nj\r\n--x--",
      400,
      { "is given in the path already" } },
    { "GET", "/v1/tail", "Accept: text/html\r\n", NULL, 406, { NULL } },
    { "GET",
      "/v1/tail?count=1",
      "Accept: text/event-stream\r\nLast-Event-ID: x\r\n",
      NULL,
      400,
      { "Last-Event-ID" } },
    { "GET",
      "/v1/tail?fail_at=1",
      "Accept: text/event-stream\r\n",
      NULL,
      404,
      { "nothing to tail" } },
    { "POST", "/v1/upload", "Expect: 200-ok\r\n", "x", 417, { NULL } },
};

static void errors(void **state)
{
    (void) state;
    check_rows(error_rows, sizeof error_rows / sizeof *error_rows);
}

static void builtins_and_cors(void **state)
{
    (void) state;
    static const struct row rows[] = {
        { "GET", "/livez", "", NULL, 200, { "{\"status\":\"alive\"}" } },
        { "GET", "/api/readyz", "", NULL, 200, { "{\"status\":\"ready\",\"circuits\":{" } },
        { "POST", "/livez", "", "{}", 405, { "Allow: GET" } },
        { "OPTIONS",
          "/v1/shelves/x",
          "Origin: https://other.example\r\nAccess-Control-Request-Method: GET\r\n",
          NULL,
          204,
          { "Allow: GET, HEAD, PURGE, OPTIONS\r\n", "Vary: Origin" } },
        { "OPTIONS",
          "/v1/shelves/x",
          "Origin: https://app.example\r\nAccess-Control-Request-Method: GET\r\n",
          NULL,
          204,
          { "Access-Control-Allow-Origin: https://app.example\r\n",
            "Access-Control-Allow-Methods: GET" } },
        { "OPTIONS", "*", "", NULL, 204, { "Allow: " } },
        { "OPTIONS", "/nope", "", NULL, 404, { NULL } },
        { "GET",
          "/livez",
          "Origin: https://app.example\r\n",
          NULL,
          200,
          { "Access-Control-Allow-Origin: https://app.example\r\n" } },
    };
    check_rows(rows, sizeof rows / sizeof *rows);
    struct buf out = { 0 };
    client_ask("OPTIONS", "/v1/shelves/x",
               "Origin: https://other.example\r\nAccess-Control-Request-Method: GET\r\n", NULL,
               &out);
    assert_null(strstr(buf_str(&out), "Access-Control-Allow-Origin"));
    assert_null(strstr(buf_str(&out), "Server:"));
    buf_done(&out);
}

static void etags(void **state)
{
    (void) state;
    struct buf out = { 0 };
    char header[128];
    client_ask("GET", "/v1/query?f_int32=7", "", NULL, &out);
    const char *etag = strstr(buf_str(&out), "ETag: ");
    assert_non_null(etag);
    snprintf(header, sizeof header, "If-None-Match: W/\"x\", %.*s\r\n", 34, etag + 6);
    client_ask("GET", "/v1/query?f_int32=7", header, NULL, &out);
    assert_status(&out, 304);
    assert_null(strstr(buf_str(&out), "fInt32"));
    client_ask("GET", "/v1/query?f_int32=8", header, NULL, &out);
    assert_status(&out, 200);
    buf_done(&out);
}

static void bodies_in_pieces(void **state)
{
    (void) state;
    static const char head[] = "PUT /v1/everything/k HTTP/1.1\r\nHost: x\r\nConnection: "
                               "close\r\nTransfer-Encoding: chunked\r\n\r\n";
    static const char body[] = "{\"f_string\":\"k\",\"r_int32\":[1,2,3]}";
    struct buf request = { 0 }, out = { 0 };
    buf_puts(&request, head);
    for (size_t i = 0; i < sizeof body - 1; i += 3) {
        size_t n = sizeof body - 1 - i < 3 ? sizeof body - 1 - i : 3;
        buf_printf(&request, "%zx\r\n%.*s\r\n", n, (int) n, body + i);
    }
    buf_puts(&request, "0\r\n\r\n");
    for (size_t step = 1; step < 100; step += 32) {
        buf_reset(&out);
        client_ask_in_steps((const char *) request.data, request.size, step, &out);
        assert_status(&out, 200);
        assert_holds(&out, "{\"fString\":\"k\",\"rInt32\":[1,2,3]}");
    }
    /* Over the limit: told from the length, or when it is reached. */
    struct buf large = { 0 };
    for (int i = 0; i < 101; i++)
        buf_printf(&large, "%1000s", " ");
    client_ask("PUT", "/v1/everything/k", "", buf_str(&large), &out);
    assert_status(&out, 413);
    assert_holds(&out, "limit of 100000 bytes");
    buf_reset(&request);
    buf_printf(&request, "%s%zx\r\n%s\r\n0\r\n\r\n", head, large.size, buf_str(&large));
    buf_reset(&out);
    client_ask_in_steps((const char *) request.data, request.size, request.size, &out);
    assert_status(&out, 413);
    buf_done(&large);
    buf_done(&request);
    buf_done(&out);
}

static void expect_continue(void **state)
{
    (void) state;
    struct buf out = { 0 };
    int fd = client_dial();
    static const char head[] = "PUT /v1/everything/k HTTP/1.1\r\nHost: x\r\nConnection: "
                               "close\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
    client_send(fd, head, sizeof head - 1);
    assert_true(client_read_until(fd, &out, "\r\n\r\n"));
    assert_string_equal(buf_str(&out), "HTTP/1.1 100 Continue\r\n\r\n");
    buf_reset(&out);
    client_send(fd, "{}", 2);
    client_read_until(fd, &out, NULL);
    assert_status(&out, 200);
    close(fd);
    /* A request that is refused anyway does not ask for its body. */
    fd = client_dial();
    static const char refused[] =
        "PUT /nope HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
    client_send(fd, refused, sizeof refused - 1);
    buf_reset(&out);
    client_read_until(fd, &out, NULL);
    assert_status(&out, 404);
    close(fd);
    buf_done(&out);
}

static void keep_alive_and_pipelining(void **state)
{
    (void) state;
    struct buf out = { 0 }, request = { 0 };
    int fd = client_dial();
    for (int i = 0; i < 300; i++)
        buf_printf(
            &request,
            i % 3 == 0 ? "GET /v1/shelves/n%d HTTP/1.1\r\nHost: x\r\n\r\n"
            : i % 3 == 1
                ? "GET /livez?%d HTTP/1.1\r\nHost: x\r\n\r\n"
                : "PUT /v1/everything/p%d HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
            i);
    buf_puts(&request,
             "GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\nGET /never HTTP/1.1\r\n");
    client_send(fd, request.data, request.size);
    client_read_until(fd, &out, NULL);
    close(fd);
    const char *at = buf_str(&out);
    for (int i = 0; i < 300; i++) {
        char want[32];
        snprintf(want, sizeof want,
                 i % 3 == 0   ? "\"n%d\""
                 : i % 3 == 1 ? "alive%.0d"
                              : "\"p%d\"",
                 i % 3 == 1 ? 0 : i);
        at = strstr(at, want);
        if (at == NULL)
            fail_msg("answer %d is missing or out of order", i);
        at++;
    }
    size_t answers = 0;
    for (at = buf_str(&out); (at = strstr(at, "HTTP/1.1 200 OK")) != NULL; at++)
        answers++;
    assert_int_equal(answers, 301);
    assert_null(strstr(buf_str(&out), "/never"));
    buf_done(&request);
    buf_done(&out);
}

/* A client that asks without end and reads nothing for long: all answers come, none is buffered
 * without bound (the gateway stops reading, so does our send). */
static void pipelining_without_reading(void **state)
{
    (void) state;
    enum { COUNT = 20000 };
    struct buf request = { 0 };
    char chunk[65536];
    size_t sent = 0, answers = 0, matched = 0;
    static const char mark[] = "\r\n\r\n{";
    for (int i = 0; i < COUNT; i++)
        buf_puts(&request, i % 2 ? "GET /v1/shelves/x HTTP/1.1\r\nHost: x\r\n\r\n"
                                 : "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n");
    int fd = client_dial();
    while (answers < COUNT) {
        struct pollfd p = { .fd = fd, .events = POLLIN };
        p.events |= sent < request.size ? POLLOUT : 0;
        assert_true(poll(&p, 1, 30000) > 0);
        ssize_t n = sent < request.size
                        ? send(fd, request.data + sent, request.size - sent, MSG_DONTWAIT)
                        : 0;
        if (n > 0) {
            sent += (size_t) n;
            continue; /* writes as long as it can */
        }
        n = recv(fd, chunk, sizeof chunk, 0);
        assert_true(n > 0);
        for (ssize_t i = 0; i < n; i++) {
            matched = chunk[i] == mark[matched] ? matched + 1 : chunk[i] == '\r';
            answers += matched == sizeof mark - 1;
            matched = matched == sizeof mark - 1 ? 0 : matched;
        }
    }
    close(fd);
    buf_done(&request);
}

static void answers_a_half_closed_client(void **state)
{
    (void) state;
    struct buf out = { 0 };
    int fd = client_dial();
    static const char request[] = "GET /v1/shelves/x HTTP/1.1\r\nHost: x\r\n\r\n";
    client_send(fd, request, sizeof request - 1);
    shutdown(fd, SHUT_WR);
    client_read_until(fd, &out, NULL);
    assert_status(&out, 200);
    close(fd);
    buf_done(&out);
}

static void malformed_requests_close(void **state)
{
    (void) state;
    static const char *const requests[] = { "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\nHost: x\n\n",
                                            "\x16\x03\x01\r\n",
                                            ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: "
                                             "1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n") };
    for (size_t i = 0; i < 4; i++) {
        struct buf request = { 0 }, out = { 0 };
        buf_printf(&request, "%sGET /livez HTTP/1.1\r\nHost: x\r\n\r\n", requests[i]);
        client_ask_in_steps((const char *) request.data, request.size, request.size, &out);
        assert_status(&out, 400);
        assert_holds(&out, "Connection: close");
        assert_null(strstr(buf_str(&out), "alive"));
        buf_done(&request);
        buf_done(&out);
    }
}

static void stream_forms(void **state)
{
    (void) state;
    static const struct row rows[] = {
        { "GET",
          "/v1/tail?count=2",
          "Accept: text/event-stream\r\n",
          NULL,
          200,
          { "Content-Type: text/event-stream\r\nCache-Control: no-cache\r\n",
            "retry: 3000\n: connected\n\n",
            "id: 1\nevent: first_tick\ndata: "
            "{\"number\":\"1\",\"kind\":\"KIND_FIRST_TICK\",\"text\":\"tick\\n1\"}\n\n" } },
        { "GET",
          "/v1/tail?count=2",
          "Accept: text/event-stream\r\n",
          NULL,
          200,
          { "event: end\ndata: {\"code\":\"OK\"}\n\n\r\n0\r\n\r\n" } },
        { "GET",
          "/v1/tail?count=2",
          "",
          NULL,
          200,
          { "Content-Type: application/x-ndjson\r\n",
            "{\"number\":\"1\",\"kind\":\"KIND_FIRST_TICK\",\"text\":\"tick\\n1\"}\n",
            "\r\n0\r\n\r\n" } },
        { "GET",
          "/v1/tail?count=2",
          "Accept: application/json\r\n",
          NULL,
          200,
          { "[{\"number\":\"1\"", ",\n{\"number\":\"2\"", "]\n\r\n0\r\n\r\n" } },
        { "GET", "/v1/tail", "Accept: application/json\r\n", NULL, 200, { "[]\n\r\n0\r\n\r\n" } },
        { "GET",
          "/v1/tail?count=5&fail_at=3",
          "Accept: text/event-stream\r\n",
          NULL,
          200,
          { "id: 2\n", "event: error\ndata: {\"code\":15", "0\r\n\r\n" } },
        { "GET",
          "/v1/tail?count=5&fail_at=3",
          "Accept: application/x-ndjson\r\n",
          NULL,
          200,
          { "{\"error\":{\"code\":15", "0\r\n\r\n" } },
        { "GET",
          "/v1/tail?count=5&fail_at=3",
          "Accept: application/json\r\n",
          NULL,
          200,
          { ",\n{\"error\":{\"code\":15" } },
        { "GET",
          "/v1/tail?count=9",
          "Accept: text/event-stream\r\nLast-Event-ID: 7\r\n",
          NULL,
          200,
          { "id: 8\n", "id: 9\n", "id: 10\nevent: end\n" } },
        { "GET",
          "/v1/tail?count=9",
          "Accept: text/event-stream\r\nLast-Event-ID: 9\r\n",
          NULL,
          204,
          { NULL } },
    };
    check_rows(rows, sizeof rows / sizeof *rows);
    struct buf out = { 0 };
    client_ask("GET", "/v1/tail?count=5&fail_at=3", "Accept: application/json\r\n", NULL, &out);
    assert_null(strstr(buf_str(&out), "0\r\n\r\n")); /* must not look whole */
    client_ask("HEAD", "/v1/tail?count=5", "Accept: text/event-stream\r\n", NULL, &out);
    assert_holds(&out, "text/event-stream");
    assert_null(strstr(buf_str(&out), "retry"));
    client_ask("GET", "/v1/tail?count=9", "Accept: text/event-stream\r\nLast-Event-ID: 7\r\n", NULL,
               &out);
    assert_null(strstr(buf_str(&out), "id: 7\n"));
    buf_reset(&out);
    client_ask_in_steps("GET /v1/tail?count=2 HTTP/1.0\r\nAccept: application/json\r\n\r\n", 59, 59,
                        &out);
    assert_null(strstr(buf_str(&out), "chunked"));
    assert_holds(&out, "\r\n\r\n[{\"number\":\"1\"");
    buf_done(&out);
}

static void the_head_comes_before_the_first_event(void **state)
{
    (void) state;
    struct buf out = { 0 };
    int before = atomic_load(&foreign_tails_ended), fd = client_dial();
    static const char request[] =
        "GET /v1/tail?count=5&pause_at=1 HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n";
    client_send(fd, request, sizeof request - 1);
    assert_true(client_read_until(fd, &out, ": connected"));
    /* A client that leaves ends the call on the server. */
    assert_int_equal(atomic_load(&foreign_tails_ended), before);
    close(fd);
    for (int i = 0; i < 2000 && atomic_load(&foreign_tails_ended) == before; i++)
        poll(NULL, 0, 5);
    assert_int_equal(atomic_load(&foreign_tails_ended), before + 1);
    buf_done(&out);
}

static void large_messages_at_full_speed(void **state)
{
    (void) state;
    struct buf out = { 0 };
    client_ask("GET", "/v1/tail?count=400&size=30000", "", NULL, &out);
    assert_true(out.size > 400 * 30000);
    assert_holds(&out, "tick\\n400.");
    assert_string_equal(buf_str(&out) + out.size - 7, "\r\n0\r\n\r\n");
    buf_done(&out);
}

static void a_slow_reader_holds_the_server_back(void **state)
{
    (void) state;
    enum { COUNT = 60000 };
    struct buf out = { 0 };
    int fd = client_dial();
    char request[160], chunk[65536];
    int size =
        snprintf(request, sizeof request,
                 "GET /v1/tail?count=%d HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", COUNT);
    client_send(fd, request, (size_t) size);
    assert_true(client_read_until(fd, &out, "tick\\n1\""));
    size_t lines = 0;
    for (size_t i = 0; i < out.size; i++)
        lines += out.data[i] == '{';
    for (ssize_t n; (n = recv(fd, chunk, sizeof chunk, 0)) > 0;)
        for (ssize_t i = 0; i < n; i++)
            lines += chunk[i] == '{';
    assert_int_equal(lines, COUNT);
    close(fd);
    buf_done(&out);
}

struct fail_task {
    nrpc_task task;
    uint64_t at;
    _Atomic bool done;
};

static void set_fail_at(nrpc_task *t, nrpc_loop *l)
{
    (void) l;
    struct fail_task *f = CONTAINER_OF(t, struct fail_task, task);
    alloc_fail_at(f->at);
    atomic_store(&f->done, true);
}

/* Makes the loop's n-th allocation from now and all after it fail; 0 ends that. */
static void fail_loop_at(uint64_t n)
{
    struct fail_task f = { .task = { .run = set_fail_at }, .at = n };
    nrpc_loop_post(loop, &f.task);
    while (!atomic_load(&f.done))
        poll(NULL, 0, 1);
}

/* Whatever allocation fails, the client gets a whole answer or a closed connection, and the gateway
 * lives. */
static void survives_without_memory(void **state)
{
    (void) state;
    static const char *const requests[] = {
        "PUT /v1/everything/k HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: "
        "46\r\n\r\n"
        "{\"fMessage\":{\"text\":\"a\\nb\"},\"mString\":{\"a\":\"b\"}}",
        "GET /v1/query?f_message.text=a%20b&r_string=x&m_string[a]=b HTTP/1.1\r\nHost: "
        "x\r\nConnection: close\r\n\r\n",
        "GET /v1/tail?count=3 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAccept: "
        "text/event-stream\r\n\r\n",
        "DELETE /v1/shelves/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        "OPTIONS /v1/shelves/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    };
    struct buf out = { 0 };
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++)
        for (uint64_t n = 1; n <= 40; n++) {
            int fd = client_dial();
            fail_loop_at(n);
            client_send(fd, requests[i], strlen(requests[i]));
            buf_reset(&out);
            client_read_until(fd, &out, NULL);
            fail_loop_at(0);
            close(fd);
            client_ask("GET", "/livez", "", NULL, &out);
            assert_status(&out, 200);
        }
    buf_done(&out);
}

static void the_server_goes_and_comes_back(void **state)
{
    (void) state;
    struct buf out = { 0 };
    char *address = alloc_strdup(nrpc_server_address(server, 0));
    stop_server();
    for (int i = 0; i < 3; i++) {
        client_ask("GET", "/v1/shelves/x", "", NULL, &out);
        assert_status(&out, 503);
        assert_holds(&out, "Retry-After: 1\r\n");
    }
    client_ask("GET", "/readyz", "", NULL, &out);
    assert_status(&out, 503);
    client_ask("GET", "/livez", "", NULL, &out);
    assert_status(&out, 200);
    server = foreign_server_start(address);
    for (int i = 0; i < 600; i++) {
        client_ask("GET", "/v1/shelves/x", "", NULL, &out);
        if (strncmp(buf_str(&out), "HTTP/1.1 200", 12) == 0)
            break;
        poll(NULL, 0, 50);
    }
    assert_status(&out, 200);
    alloc_free(address);
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unary_calls),
        cmocka_unit_test(errors),
        cmocka_unit_test(builtins_and_cors),
        cmocka_unit_test(etags),
        cmocka_unit_test(bodies_in_pieces),
        cmocka_unit_test(expect_continue),
        cmocka_unit_test(keep_alive_and_pipelining),
        cmocka_unit_test(pipelining_without_reading),
        cmocka_unit_test(answers_a_half_closed_client),
        cmocka_unit_test(malformed_requests_close),
        cmocka_unit_test(stream_forms),
        cmocka_unit_test(the_head_comes_before_the_first_event),
        cmocka_unit_test(large_messages_at_full_speed),
        cmocka_unit_test(a_slow_reader_holds_the_server_back),
        cmocka_unit_test(survives_without_memory),
        cmocka_unit_test(the_server_goes_and_comes_back),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
