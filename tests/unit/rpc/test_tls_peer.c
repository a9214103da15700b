/* TLS on sockets against OpenSSL: every byte on its own, and every way a handshake can fail. */
#include "tests/unit/rpc/tls_scene.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- OpenSSL on the other side, byte by byte
 * ------------------------------------------------------------ */
struct peer {
    SSL_CTX *ctx;
    SSL *ssl;
    int fd;
    size_t sent;     /* bytes that went to the socket */
    size_t sent_max; /* then it closes */
    struct buf in;   /* decrypted */
};

static void peer_open(struct peer *p, struct scene *s, bool is_client, int version)
{
    int fd[2];
    *p = (struct peer){ .sent_max = SIZE_MAX };
    p->ctx = SSL_CTX_new(is_client ? TLS_client_method() : TLS_server_method());
    assert_non_null(p->ctx);
    SSL_CTX_set_security_level(p->ctx, 0);
    SSL_CTX_set_min_proto_version(p->ctx, version);
    SSL_CTX_set_max_proto_version(p->ctx, version);
    if (!is_client) {
        assert_int_equal(
            SSL_CTX_use_certificate_file(p->ctx, certs_path("server.pem"), SSL_FILETYPE_PEM), 1);
        assert_int_equal(
            SSL_CTX_use_PrivateKey_file(p->ctx, certs_path("server.key"), SSL_FILETYPE_PEM), 1);
    }
    p->ssl = SSL_new(p->ctx);
    SSL_set_bio(p->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    if (is_client)
        SSL_set_connect_state(p->ssl);
    else
        SSL_set_accept_state(p->ssl);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd), 0);
    p->fd = fd[1];
    assert_int_equal(sock_open(s->loop, fd[0], &events, &s->a, &s->a.sock), 0);
}

static void peer_done(struct peer *p)
{
    SSL_free(p->ssl);
    SSL_CTX_free(p->ctx);
    if (p->fd >= 0)
        close(p->fd);
    buf_done(&p->in);
    ERR_clear_error();
}

/* Moves what the peer wants to send, `step` bytes at a time with a turn between; then hands it what
 * came. */
static void peer_exchange(struct peer *p, struct scene *s, size_t step)
{
    char data[16384];
    for (int n; p->fd >= 0 && (n = BIO_read(SSL_get_wbio(p->ssl), data, (int) step)) > 0;) {
        if (p->sent + (size_t) n > p->sent_max)
            n = (int) (p->sent_max - p->sent);
        if (n > 0 && s->a.closes == 0)
            (void) send(p->fd, data, (size_t) n, MSG_NOSIGNAL);
        p->sent += (size_t) n;
        turn(s);
        if (p->sent == p->sent_max) {
            close(p->fd);
            p->fd = -1;
        }
    }
    turn(s);
    for (ssize_t n; p->fd >= 0 && (n = recv(p->fd, data, step, 0)) > 0;)
        BIO_write(SSL_get_rbio(p->ssl), data, (int) n);
    if (!SSL_is_init_finished(p->ssl))
        SSL_do_handshake(p->ssl);
    for (int n; (n = SSL_read(p->ssl, data, sizeof data)) > 0;)
        buf_put(&p->in, data, (size_t) n);
    ERR_clear_error();
}

static const unsigned char h2_alpn[] = "\x02h2";

static void test_every_byte(void **state)
{
    (void) state;
    static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
    static const size_t steps[] = { 1, 2, 7, 1000 };
    nrpc_tls *server = server_context();
    for (size_t i = 0; i < ARRAY_SIZE(versions) * ARRAY_SIZE(steps); i++) {
        struct scene s;
        struct peer p;
        size_t step = steps[i / 2];
        scene_init(&s);
        peer_open(&p, &s, true, versions[i % 2]);
        SSL_set_alpn_protos(p.ssl, h2_alpn, 3);
        const struct sock_tls serve = { server, "h2", NULL, 0 };
        assert_int_equal(sock_start_tls(s.a.sock, &serve), 0);
        SSL_do_handshake(p.ssl);
        for (int k = 0; k < 8 && s.a.connected == 0; k++)
            peer_exchange(&p, &s, step);
        assert_int_equal(s.a.connected, 1);
        SSL_write(p.ssl, "hello", 5);
        SSL_write(p.ssl, ", world", 7);
        peer_exchange(&p, &s, step);
        assert_int_equal(s.a.in.size, 12);
        assert_memory_equal(s.a.in.data, "hello, world", 12);
        sock_put(s.a.sock, "back", 4);
        for (int k = 0; k < 3 && p.in.size < 4; k++)
            peer_exchange(&p, &s, step);
        assert_int_equal(p.in.size, 4);
        SSL_shutdown(p.ssl); /* close_notify, without a FIN */
        peer_exchange(&p, &s, step);
        assert_int_equal(s.a.eofs, 1);
        sock_put(s.a.sock, "after", 5); /* half open: our side still goes */
        peer_exchange(&p, &s, step);
        sock_close_after_flush(s.a.sock);
        peer_exchange(&p, &s, step);
        assert_int_equal(SSL_get_shutdown(p.ssl) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN);
        peer_done(&p);
        scene_done(&s);
    }
    nrpc_tls_unref(server);
}

/* Our client against OpenSSL as the server, which must select h2. */
static int select_h2(SSL *ssl, const unsigned char **out, unsigned char *out_size,
                     const unsigned char *in, unsigned size, void *arg)
{
    (void) ssl;
    (void) arg;
    assert_int_equal(size, 3);
    *out = in + 1;
    *out_size = 2;
    return SSL_TLSEXT_ERR_OK;
}

static void test_client_every_byte(void **state)
{
    (void) state;
    static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
    nrpc_tls *client = context(false, (struct files){ .ca = "ca.pem" });
    for (size_t i = 0; i < 4; i++) {
        struct scene s;
        struct peer p;
        bool knows_alpn = i < 2;
        scene_init(&s);
        peer_open(&p, &s, false, versions[i % 2]);
        if (knows_alpn)
            SSL_CTX_set_alpn_select_cb(p.ctx, select_h2, NULL);
        const struct sock_tls ask = { client, "h2", "localhost", 0 };
        assert_int_equal(sock_start_tls(s.a.sock, &ask), 0);
        for (int k = 0; k < 8 && s.a.connected + s.a.closes == 0; k++)
            peer_exchange(&p, &s, 1);
        assert_int_equal(s.a.connected, knows_alpn);
        if (!knows_alpn)
            assert_non_null(strstr(s.a.why, "ALPN"));
        else
            assert_string_equal(SSL_get_servername(p.ssl, TLSEXT_NAMETYPE_host_name), "localhost");
        peer_done(&p);
        turn(&s);
        scene_done(&s);
    }
    nrpc_tls_unref(client);
}

/* The peer leaves after n bytes, for every n of its handshake. */
static void test_leaving(void **state)
{
    (void) state;
    nrpc_tls *server = server_context();
    bool through = false;
    for (size_t n = 1; !through; n += 1 + n / 40) {
        struct scene s;
        struct peer p;
        scene_init(&s);
        peer_open(&p, &s, true, TLS1_3_VERSION);
        SSL_set_alpn_protos(p.ssl, h2_alpn, 3);
        p.sent_max = n;
        const struct sock_tls serve = { server, "h2", NULL, 0 };
        assert_int_equal(sock_start_tls(s.a.sock, &serve), 0);
        SSL_do_handshake(p.ssl);
        for (int k = 0; k < 4 && p.fd >= 0; k++)
            peer_exchange(&p, &s, 4096);
        through = s.a.connected > 0;
        if (!through) {
            RUN_UNTIL(&s, s.a.closes == 1);
            assert_int_equal(s.a.error, EPROTO);
            assert_non_null(strstr(s.a.why, "left during the handshake"));
        }
        peer_done(&p);
        scene_done(&s);
    }
    nrpc_tls_unref(server);
}

/* ---- bad peers
 * ------------------------------------------------------------------------------------------- */
static void test_plain_peers(void **state)
{
    (void) state;
    static const struct {
        const char *sends, *why, *answer;
    } cases[] = {
        { "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "plain HTTP", "HTTP/1.1 400 " },
        { "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "does not speak TLS", "\x15\x03" },
        { "\x16\x03\x01\xff\xff", "TLS:", "\x15\x03" },
        { "nonsense and more of it", "does not speak TLS", "\x15\x03" },
    };
    nrpc_tls *server = server_context(), *client = context(false, (struct files){ .ca = "ca.pem" });
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct scene s;
        int fd[2];
        char answer[512] = "";
        scene_init(&s);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd), 0);
        assert_int_equal(sock_open(s.loop, fd[0], &events, &s.a, &s.a.sock), 0);
        const struct sock_tls serve = { server, "h2", NULL, 0 };
        assert_int_equal(sock_start_tls(s.a.sock, &serve), 0);
        assert_true(send(fd[1], cases[i].sends, strlen(cases[i].sends), MSG_NOSIGNAL) > 0);
        ssize_t n = 0;
        RUN_UNTIL(&s, (n = recv(fd[1], answer, sizeof answer - 1, 0)) > 0);
        if (strncmp(answer, cases[i].answer, strlen(cases[i].answer)) != 0)
            fail_msg("case %zu: %.20s", i, answer);
        close(fd[1]);
        RUN_UNTIL(&s, s.a.closes == 1);
        if (strstr(s.a.why, cases[i].why) == NULL)
            fail_msg("case %zu: %s", i, s.a.why);
        scene_done(&s);
    }
    /* The other way round: our client meets a plain server. */
    struct scene s;
    int fd[2];
    scene_init(&s);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
    assert_int_equal(sock_open(s.loop, fd[0], &events, &s.a, &s.a.sock), 0);
    const struct sock_tls ask = { client, "h2", "localhost", 0 };
    assert_int_equal(sock_start_tls(s.a.sock, &ask), 0);
    assert_int_equal(send(fd[1], "\0\0\0\4\0\0\0\0\0", 9, MSG_NOSIGNAL), 9);
    RUN_UNTIL(&s, s.a.closes == 1);
    assert_non_null(strstr(s.a.why, "does not speak TLS"));
    close(fd[1]);
    scene_done(&s);
    nrpc_tls_unref(server);
    nrpc_tls_unref(client);
}

/* Floors and demands that only a foreign client can break. */
static void test_refused_clients(void **state)
{
    (void) state;
    static const struct {
        int version;
        const char *ciphers;
        const char *alpn;
        int alert; /* that the client gets */
    } cases[] = {
        { TLS1_1_VERSION, NULL, "\x02h2", SSL_AD_PROTOCOL_VERSION },
        { TLS1_2_VERSION, "AES128-GCM-SHA256", "\x02h2", SSL_AD_HANDSHAKE_FAILURE },
        { TLS1_2_VERSION, "ECDHE-ECDSA-AES128-SHA", "\x02h2", SSL_AD_HANDSHAKE_FAILURE },
        { TLS1_2_VERSION, NULL, NULL, SSL_AD_NO_APPLICATION_PROTOCOL },
        { TLS1_3_VERSION, NULL, NULL, SSL_AD_NO_APPLICATION_PROTOCOL },
        { TLS1_3_VERSION, NULL, "\x02h3\x08http/1.1", SSL_AD_NO_APPLICATION_PROTOCOL },
        { TLS1_3_VERSION, NULL, "\x08http/1.1\x02h2", 0 },
    };
    nrpc_tls *server = server_context();
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct scene s;
        struct peer p;
        scene_init(&s);
        peer_open(&p, &s, true, cases[i].version);
        if (cases[i].ciphers != NULL)
            assert_int_equal(SSL_set_cipher_list(p.ssl, cases[i].ciphers), 1);
        if (cases[i].alpn != NULL)
            SSL_set_alpn_protos(p.ssl, (const unsigned char *) cases[i].alpn,
                                (unsigned) strlen(cases[i].alpn));
        const struct sock_tls serve = { server, "h2", NULL, 0 };
        assert_int_equal(sock_start_tls(s.a.sock, &serve), 0);
        int alert = 0;
        SSL_do_handshake(p.ssl);
        for (int k = 0; k < 6 && alert == 0 && s.a.connected == 0; k++) {
            char data[4096];
            for (int n; (n = BIO_read(SSL_get_wbio(p.ssl), data, sizeof data)) > 0;)
                assert_int_equal(send(p.fd, data, (size_t) n, MSG_NOSIGNAL), n);
            turn(&s);
            turn(&s);
            ssize_t n = recv(p.fd, data, sizeof data, 0);
            if (n > 0)
                BIO_write(SSL_get_rbio(p.ssl), data, (int) n);
            ERR_clear_error();
            if (SSL_do_handshake(p.ssl) < 0 && ERR_peek_error() != 0)
                alert = ERR_GET_REASON(ERR_peek_error()) - SSL_AD_REASON_OFFSET;
        }
        if (alert != cases[i].alert)
            fail_msg("case %zu: alert %d", i, alert);
        peer_done(&p);
        RUN_UNTIL(&s, s.a.closes + s.a.eofs == 1);
        scene_done(&s);
    }
    nrpc_tls_unref(server);
}

static void test_timeout(void **state)
{
    (void) state;
    nrpc_tls *server = server_context();
    struct scene s;
    int fd[2];
    scene_init(&s);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
    assert_int_equal(sock_open(s.loop, fd[0], &events, &s.a, &s.a.sock), 0);
    const struct sock_tls serve = { server, "h2", NULL, 30 };
    assert_int_equal(sock_start_tls(s.a.sock, &serve), 0);
    assert_int_equal(send(fd[1], "\x16\x03\x01", 3, MSG_NOSIGNAL), 3);
    RUN_UNTIL(&s, s.a.closes == 1);
    assert_int_equal(s.a.error, ETIMEDOUT);
    assert_non_null(strstr(s.a.why, "took too long"));
    close(fd[1]);
    scene_done(&s);
    nrpc_tls_unref(server);
}

/* A peer that updates its keys for ever is cut off, one that does so now and then is not. */
static void test_key_updates(void **state)
{
    (void) state;
    nrpc_tls *server = server_context();
    for (int greedy = 0; greedy < 2; greedy++) {
        struct scene s;
        struct peer p;
        scene_init(&s);
        peer_open(&p, &s, true, TLS1_3_VERSION);
        SSL_set_alpn_protos(p.ssl, h2_alpn, 3);
        const struct sock_tls serve = { server, "h2", NULL, 0 };
        assert_int_equal(sock_start_tls(s.a.sock, &serve), 0);
        SSL_do_handshake(p.ssl);
        for (int k = 0; k < 4 && s.a.connected == 0; k++)
            peer_exchange(&p, &s, 4096);
        assert_int_equal(s.a.connected, 1);
        for (int k = 0; k < (greedy ? 200 : 50) && s.a.closes == 0; k++) {
            SSL_key_update(p.ssl, SSL_KEY_UPDATE_REQUESTED);
            SSL_do_handshake(p.ssl);
            if (!greedy)
                SSL_write(p.ssl, "x", 1);
            peer_exchange(&p, &s, 4096);
        }
        if (!greedy) {
            assert_int_equal(s.a.in.size, 50);
            assert_int_equal(s.a.closes, 0);
        }
        peer_done(&p);
        turn(&s);
        if (greedy) {
            RUN_UNTIL(&s, s.a.closes == 1);
            assert_non_null(strstr(s.a.why, "too many records"));
        }
        scene_done(&s);
    }
    nrpc_tls_unref(server);
}

static void test_renegotiation(void **state)
{
    (void) state;
    nrpc_tls *server = server_context();
    struct scene s;
    struct peer p;
    scene_init(&s);
    peer_open(&p, &s, true, TLS1_2_VERSION);
    SSL_set_alpn_protos(p.ssl, h2_alpn, 3);
    const struct sock_tls serve = { server, "h2", NULL, 0 };
    assert_int_equal(sock_start_tls(s.a.sock, &serve), 0);
    SSL_do_handshake(p.ssl);
    for (int k = 0; k < 4 && s.a.connected == 0; k++)
        peer_exchange(&p, &s, 4096);
    assert_int_equal(s.a.connected, 1);
    SSL_renegotiate(p.ssl);
    SSL_do_handshake(p.ssl);
    for (int k = 0; k < 4; k++)
        peer_exchange(&p, &s, 4096);
    assert_int_equal(s.a.connected, 1); /* there was no second handshake */
    assert_int_equal(SSL_num_renegotiations(p.ssl), 1);
    assert_false(SSL_is_init_finished(p.ssl));
    peer_done(&p);
    turn(&s);
    scene_done(&s);
    nrpc_tls_unref(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_byte),      cmocka_unit_test(test_client_every_byte),
        cmocka_unit_test(test_leaving),         cmocka_unit_test(test_plain_peers),
        cmocka_unit_test(test_refused_clients), cmocka_unit_test(test_timeout),
        cmocka_unit_test(test_key_updates),     cmocka_unit_test(test_renegotiation),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
