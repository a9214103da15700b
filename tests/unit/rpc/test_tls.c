/* TLS on sockets, ourselves on both sides: contexts, what is agreed or refused, bulk, renewal, no
 * memory. */
#include "tests/unit/rpc/tls_scene.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

static void test_contexts(void **state)
{
    (void) state;
    certs_write("broken.pem", "-----BEGIN CERTIFICATE-----\nnonsense\n");
    certs_write("locked.key",
                "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIFHDBOBgkqhkiG9w0BBQ0wQTApBgkq\n"
                "-----END ENCRYPTED PRIVATE KEY-----\n");
    const struct {
        bool server;
        struct files f;
        const char *why;
    } cases[] = {
        { true, { NULL, NULL }, "needs a certificate" },
        { true, { "server.pem", NULL }, "needs a certificate" },
        { false, { "client.pem", NULL }, "belong together" },
        { true, { "server.pem", "server.key", .require = true }, "need a CA file" },
        { true, { "server.pem", "server.key", .min = "1.1" }, "1.2 or 1.3" },
        { true, { "missing.pem", "server.key" }, "No such file" },
        { true, { "server.pem", "." }, "not a regular file" },
        { true, { "broken.pem", "server.key" }, "broken.pem" },
        { true, { "server.pem", "client.key" }, "does not belong" },
        { true, { "server.pem", "locked.key" }, "locked.key" },
        { false, { .ca = "broken.pem" }, "the CA file" },
        { true, { "server.pem", "server.key", "server.key" }, "the CA file" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct files *f = &cases[i].f;
        char why[256] = "";
        nrpc_tls *untouched = (nrpc_tls *) why, *t = untouched;
        const nrpc_tls_options o = {
            .certificate_file = f->certificate == NULL ? NULL : certs_path(f->certificate),
            .key_file = f->key == NULL ? NULL : certs_path(f->key),
            .ca_file = f->ca == NULL ? NULL : certs_path(f->ca),
            .require_client_certificate = f->require,
            .min_version = f->min,
        };
        int r = cases[i].server ? nrpc_tls_server_new(&o, &t, why, sizeof why)
                                : nrpc_tls_client_new(&o, &t, why, sizeof why);
        assert_true(r < 0);
        assert_ptr_equal(t, untouched);
        if (strstr(why, cases[i].why) == NULL)
            fail_msg("case %zu: %s", i, why);
    }
    unlink(certs_path("broken.pem"));
    unlink(certs_path("locked.key"));
    for (uint64_t n = 1;; n++) { /* every allocation of ours fails once */
        const nrpc_tls_options o = { .certificate_file = certs_path("server.pem"),
                                     .key_file = certs_path("server.key"),
                                     .ca_file = certs_path("ca.pem") };
        char why[64];
        nrpc_tls *t = NULL;
        alloc_fail_at(n);
        int r = nrpc_tls_server_new(&o, &t, why, sizeof why);
        alloc_fail_at(0);
        if (r == 0) {
            nrpc_tls_unref(t);
            break;
        }
        assert_int_equal(r, NRPC_E_NOMEM);
        assert_true(n < 10);
    }
}

/* ---- ourselves on both sides
 * --------------------------------------------------------------------------- */
struct sides {
    nrpc_tls *server, *client;
    const char *server_alpn, *client_alpn, *name;
};

static void open_pair(struct scene *s, const struct sides *x)
{
    int fd[2];
    scene_init(s);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
    assert_int_equal(sock_open(s->loop, fd[0], &events, &s->a, &s->a.sock), 0);
    assert_int_equal(sock_open(s->loop, fd[1], &events, &s->b, &s->b.sock), 0);
    const struct sock_tls serve = { x->server, x->server_alpn, NULL, 0 };
    const struct sock_tls ask = { x->client, x->client_alpn, x->name, 0 };
    assert_int_equal(sock_start_tls(s->a.sock, &serve), 0);
    assert_int_equal(sock_start_tls(s->b.sock, &ask), 0);
    assert_int_equal(sock_start_tls(s->a.sock, &serve), NRPC_E_STATE);
}

static const struct {
    struct files server, client;
    const char *server_alpn, *client_alpn, *name;
    const char *protocol, *subject; /* protocol NULL: it fails */
    const char *client_why, *server_why;
} handshakes[] = {
    { { "server.pem", "server.key" },
      { .ca = "ca.pem" },
      "h2",
      "h2",
      "localhost",
      "h2",
      "-",
      NULL,
      NULL },
    { { "server.pem", "server.key" },
      { .ca = "ca.pem" },
      "h2",
      "h2",
      "127.0.0.1",
      "h2",
      "-",
      NULL,
      NULL },
    { { "server.pem", "server.key" },
      { .ca = "ca.pem" },
      "h2",
      "h2",
      "::1",
      "h2",
      "-",
      NULL,
      NULL },
    { { "server.pem", "server.key", .min = "1.3" },
      { .ca = "ca.pem" },
      "h2,http/1.1",
      "http/1.1,h2",
      "localhost",
      "h2",
      "-",
      NULL,
      NULL },
    { { "server.pem", "server.key" },
      { .ca = "ca.pem" },
      "h2,http/1.1",
      "http/1.1",
      "localhost",
      "http/1.1",
      "-",
      NULL,
      NULL },
    { { "server.pem", "server.key", "ca.pem", .require = true },
      { "client.pem", "client.key", "ca.pem" },
      "h2",
      "h2",
      "localhost",
      "h2",
      "CN=alice,O=Zürich Tests",
      NULL,
      NULL },
    { { "server.pem", "server.key", "ca.pem" },
      { .ca = "ca.pem" },
      "h2",
      "h2",
      "localhost",
      "h2",
      "-",
      NULL,
      NULL },
    { { "elsewhere.pem", "elsewhere.key" },
      { .ca = "ca.pem" },
      "h2",
      "h2",
      "elsewhere.test",
      "h2",
      "-",
      NULL,
      NULL },
    { { "other.pem", "other.key" },
      { .insecure = true },
      "h2",
      "h2",
      "localhost",
      "h2",
      "-",
      NULL,
      NULL },

    { { "server.pem", "server.key" },
      { .ca = "other-ca.pem" },
      "h2",
      "h2",
      "localhost",
      NULL,
      NULL,
      "unable to get local issuer certificate (--ca FILE?)",
      "does not trust our certificate" },
    { { "server.pem", "server.key" },
      { .ca = "ca.pem" },
      "h2",
      "h2",
      "elsewhere.test",
      NULL,
      NULL,
      "ostname mismatch (--server-name NAME?)",
      "refused our certificate" },
    { { "elsewhere.pem", "elsewhere.key" },
      { .ca = "ca.pem" },
      "h2",
      "h2",
      "127.0.0.1",
      NULL,
      NULL,
      "IP address mismatch",
      "refused our certificate" },
    { { "expired.pem", "expired.key" },
      { .ca = "ca.pem" },
      "h2",
      "h2",
      "localhost",
      NULL,
      NULL,
      "certificate has expired",
      "certificate has expired" },
    { { "server.pem", "server.key" },
      { .ca = "ca.pem" },
      "h2",
      "http/1.1",
      "localhost",
      NULL,
      NULL,
      "ALPN",
      "ALPN" },
    { { "server.pem", "server.key", "ca.pem", .require = true },
      { .ca = "ca.pem" },
      "h2",
      "h2",
      "localhost",
      NULL,
      NULL,
      "asks for a client certificate",
      "sent no certificate" },
    { { "server.pem", "server.key", "ca.pem" },
      { "other.pem", "other.key", "ca.pem" },
      "h2",
      "h2",
      "localhost",
      NULL,
      NULL,
      "does not trust our certificate",
      "certificate verify failed" },
};

static void test_handshakes(void **state)
{
    (void) state;
    for (size_t i = 0; i < ARRAY_SIZE(handshakes); i++) {
        struct scene s;
        const struct sides x = { context(true, handshakes[i].server),
                                 context(false, handshakes[i].client), handshakes[i].server_alpn,
                                 handshakes[i].client_alpn, handshakes[i].name };
        open_pair(&s, &x);
        if (handshakes[i].protocol != NULL) {
            assert_int_equal(sock_put(s.a.sock, "from a", 6), 0); /* waits for the handshake */
            assert_int_equal(sock_put(s.b.sock, "from b!", 7), 0);
            RUN_UNTIL(&s, s.a.in.size == 7 && s.b.in.size == 6);
            assert_memory_equal(s.a.in.data, "from b!", 7);
            assert_string_equal(s.a.protocol, handshakes[i].protocol);
            assert_string_equal(s.b.protocol, handshakes[i].protocol);
            assert_string_equal(s.a.subject, handshakes[i].subject);
            assert_int_equal(s.a.connected, 1);
            assert_int_equal(s.b.connected, 1);
        } else {
            RUN_UNTIL(&s, s.a.closes == 1 && s.b.closes == 1);
            assert_int_equal(s.a.connected, 0);
            assert_int_equal(s.b.error, EPROTO);
            if (strstr(s.b.why, handshakes[i].client_why) == NULL ||
                strstr(s.a.why, handshakes[i].server_why) == NULL)
                fail_msg("case %zu: client %s; server %s", i, s.b.why, s.a.why);
        }
        scene_done(&s);
        nrpc_tls_unref(x.server);
        nrpc_tls_unref(x.client);
    }
}

static void fill(uint8_t *data, size_t size)
{
    uint64_t x = 88172645463325252u;
    for (size_t i = 0; i < size; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        data[i] = (uint8_t) x;
    }
}

static int released;
static void on_release(void *ctx)
{
    released += ctx == &released;
}

/* Bulk both ways at once, copied and referenced, through small kernel buffers; a reader that pauses
 * after each event; then an orderly end. */
static void test_bulk(void **state)
{
    (void) state;
    enum { BULK = 3 << 20, PIECE = 7001 };
    struct scene s;
    uint8_t *data = alloc_get(BULK);
    fill(data, BULK);
    const struct sides x = { server_context(), context(false, (struct files){ .ca = "ca.pem" }),
                             "h2", "h2", "localhost" };
    open_pair(&s, &x);
    RUN_UNTIL(&s, s.a.connected && s.b.connected);
    s.a.pause_on_bytes = true;
    released = 0;
    int pieces = 0;
    for (size_t at = 0; at < BULK; at += PIECE, pieces++) {
        size_t n = BULK - at < PIECE ? BULK - at : PIECE;
        if (pieces % 3 == 0)
            assert_int_equal(sock_put(s.b.sock, data + at, n), 0);
        else
            assert_int_equal(sock_put_ref(s.b.sock, data + at, n, on_release, &released), 0);
    }
    assert_int_equal(sock_put_ref(s.a.sock, data, BULK, NULL, NULL), 0);
    assert_true(sock_pending(s.b.sock) >= BULK);
    s.timed_out = false;
    timer_start(&s.guard, 30000);
    while (!s.timed_out && (s.a.in.size < BULK || s.b.in.size < BULK)) {
        turn(&s);
        turn(&s);
        turn(&s);
        s.a.paused = false;
        sock_pause(s.a.sock, false);
    }
    timer_stop(&s.guard);
    assert_int_equal(s.a.in.size, BULK);
    assert_memory_equal(s.a.in.data, data, BULK);
    assert_memory_equal(s.b.in.data, data, BULK);
    assert_int_equal(released, pieces - (pieces + 2) / 3);
    assert_int_equal(s.b.drained, 1);
    assert_int_equal(sock_pending(s.a.sock), 0);
    s.a.pause_on_bytes = false;
    sock_put(s.b.sock, "the last", 8);
    sock_close_after_flush(s.b.sock);
    RUN_UNTIL(&s, s.a.eofs == 1);
    assert_int_equal(s.a.in.size, BULK + 8);
    sock_close_after_flush(s.a.sock);
    RUN_UNTIL(&s, s.a.closes == 1 && s.b.closes == 1);
    assert_int_equal(s.a.error, 0);
    assert_int_equal(s.b.error, 0);
    scene_done(&s);
    nrpc_tls_unref(x.server);
    nrpc_tls_unref(x.client);
    alloc_free(data);
}

/* ---- reload
 * ---------------------------------------------------------------------------------------------- */
static void test_reload(void **state)
{
    (void) state;
    char why[256] = "";
    certs_copy("server.pem", "live.pem");
    certs_copy("server.key", "live.key");
    const struct sides x = { context(true, (struct files){ "live.pem", "live.key" }),
                             context(false, (struct files){ .ca = "other-ca.pem" }), "h2", "h2",
                             "localhost" };
    const struct sides trusting = { x.server, context(false, (struct files){ .ca = "ca.pem" }),
                                    "h2", "h2", "localhost" };
    struct scene before, after;
    assert_int_equal(nrpc_tls_refresh(x.server, why, sizeof why), 0);
    kept = 2;
    open_pair(&before, &trusting);
    RUN_UNTIL(&before, before.a.connected && before.b.connected);

    certs_write("live.key",
                "broken"); /* half a renewal: the old one goes on, and it is told once */
    assert_true(nrpc_tls_refresh(x.server, why, sizeof why) < 0);
    assert_non_null(strstr(why, "live.key"));
    assert_int_equal(nrpc_tls_refresh(x.server, why, sizeof why), 0);
    unlink(certs_path("live.pem"));
    assert_true(nrpc_tls_reload(x.server, why, sizeof why) < 0);
    assert_non_null(strstr(why, "No such file"));
    open_pair(&after, &trusting);
    RUN_UNTIL(&after, after.a.connected && after.b.connected);
    scene_done(&after);

    certs_copy("other.pem", "live.pem"); /* by another CA, so that clients see which one they get */
    certs_copy("other.key", "live.key");
    assert_int_equal(nrpc_tls_refresh(x.server, why, sizeof why), 1);
    open_pair(&after, &x);
    RUN_UNTIL(&after, after.a.connected && after.b.connected);
    sock_put(before.b.sock, "still here", 10);
    RUN_UNTIL(&before, before.a.in.size == 10);
    scene_done(&after);
    kept = 0;
    scene_done(&before);
    nrpc_tls_unref(x.server);
    nrpc_tls_unref(x.client);
    nrpc_tls_unref(trusting.client);
}

/* Many handshakes at once: a turn does some of them, and what else is ready does not wait for the
 * rest. */
static void test_crowd(void **state)
{
    (void) state;
    enum { CROWD = 64 };
    static struct end servers[CROWD], clients[CROWD];
    int fds[CROWD], plain[2];
    struct scene s, there;
    nrpc_tls *server = server_context(), *client = context(false, (struct files){ .ca = "ca.pem" });
    const struct sock_tls serve = { server, "h2", NULL, 0 };
    const struct sock_tls ask = { client, "h2", "localhost", 0 };
    scene_init(&s);
    scene_init(&there);
    for (int i = 0; i < CROWD; i++) {
        int fd[2];
        servers[i] = clients[i] = (struct end){ 0 };
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
        assert_int_equal(sock_open(s.loop, fd[0], &events, &servers[i], &servers[i].sock), 0);
        assert_int_equal(sock_open(there.loop, fd[1], &events, &clients[i], &clients[i].sock), 0);
        assert_int_equal(sock_start_tls(servers[i].sock, &serve), 0);
        assert_int_equal(sock_start_tls(clients[i].sock, &ask), 0);
        fds[i] = fd[1];
    }
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, plain), 0);
    assert_int_equal(sock_open(s.loop, plain[0], &events, &s.a, &s.a.sock), 0);
    turn(&there);
    turn(&there);
    assert_int_equal(send(plain[1], "now", 3, MSG_NOSIGNAL), 3);
    int turns = 0, answered = 0;
    for (int before = 0, k = 0; answered < CROWD; before = answered) {
        assert_true(++k < 1000);
        turn(&s);
        answered = 0;
        for (int i = 0; i < CROWD; i++) {
            struct pollfd w = { fds[i], POLLIN, 0 };
            answered += poll(&w, 1, 0) == 1;
        }
        turns += answered > before;
        if (k >= 4) /* libevent asks for 32 events at first, then for more */
            assert_int_equal(s.a.in.size, 3);
    }
    assert_int_equal(answered, CROWD);
    assert_in_range(turns, 2, CROWD);
    for (int k = 0, connected = 0; connected < 2 * CROWD; k++) {
        assert_true(k < 1000);
        turn(&there);
        turn(&s);
        connected = 0;
        for (int i = 0; i < CROWD; i++)
            connected += servers[i].connected + clients[i].connected;
    }
    for (int i = 0; i < CROWD; i++) {
        sock_close(servers[i].sock);
        sock_close(clients[i].sock);
    }
    close(plain[1]);
    turn(&s);
    turn(&there);
    kept = 1; /* the plain one */
    scene_done(&there);
    kept = 0;
    scene_done(&s);
    nrpc_tls_unref(server);
    nrpc_tls_unref(client);
}

static void test_no_memory(void **state)
{
    (void) state;
    const struct sides x = { server_context(), context(false, (struct files){ .ca = "ca.pem" }),
                             "h2", "h2", "localhost" };
    struct scene s;
    int fd[2];
    scene_init(&s);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
    assert_int_equal(sock_open(s.loop, fd[0], &events, &s.a, &s.a.sock), 0);
    const struct sock_tls serve = { x.server, "h2", NULL, 0 },
                          nameless = { x.client, "h2", NULL, 0 },
                          bad_list = { x.client, "h2,,x", "localhost", 0 };
    alloc_fail_at(1);
    assert_int_equal(sock_start_tls(s.a.sock, &serve), NRPC_E_NOMEM);
    alloc_fail_at(0);
    assert_int_equal(sock_start_tls(s.a.sock, &nameless), NRPC_E_INVAL);
    assert_int_equal(sock_start_tls(s.a.sock, &bad_list), NRPC_E_INVAL);
    close(fd[1]);
    scene_done(&s);
    /* Memory ends at any point of a connection's life: it closes, and nothing is lost. */
    for (uint64_t n = 1; n < 12; n++) {
        open_pair(&s, &x);
        alloc_fail_at(n);
        for (int k = 0; k < 20 && s.a.sock != NULL && s.b.sock != NULL; k++)
            turn(&s);
        alloc_fail_at(0);
        scene_done(&s);
    }
    nrpc_tls_unref(x.server);
    nrpc_tls_unref(x.client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_contexts), cmocka_unit_test(test_handshakes),
        cmocka_unit_test(test_bulk),     cmocka_unit_test(test_reload),
        cmocka_unit_test(test_crowd),    cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
