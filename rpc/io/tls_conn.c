/* One connection's TLS.  OpenSSL reads and writes through a BIO of ours: its reads are recv on the
 * descriptor, its writes append to the output, which never refuses; so nothing ever waits for
 * writability in here. */
#include "rpc/io/tls_conn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "rpc/base/alloc.h"
#include "rpc/base/check.h"
#include "rpc/io/tls_inner.h"

enum {
    HOST_MAX = 256,
    PROTOCOLS_MAX = 64,
    PROTOCOL_MAX = 16,
    SUBJECT_MAX = 4096,
    WHY_MAX = 160,
    /* Records that carry no data, after the handshake: tickets, key updates, refused
     * renegotiations. One more for each MiB that came, so that honest key updates never run out. */
    STRANGE_MAX = 64,
    STRANGE_BYTES = 1 << 20,
    KEEP_BYTES = 65536, /* sent bytes are dropped from the front of the output past this */
};

struct tls_conn {
    SSL *ssl;
    const char *alpn;
    struct buf wire;
    size_t wire_at; /* bytes of wire that are sent */
    uint64_t bytes_in;
    uint32_t strange;
    int fd, recv_error;
    bool is_server, drained, at_eof, is_done, failed, said_bye;
    char protocol[PROTOCOL_MAX];
    char *subject;
    char why[WHY_MAX];
};

static bool is_strange(const struct tls_conn *t)
{
    return t->strange > STRANGE_MAX + t->bytes_in / STRANGE_BYTES;
}

/* ---- the BIO
 * -------------------------------------------------------------------------------------------- */
static BIO_METHOD *bio_method;
static pthread_once_t bio_once = PTHREAD_ONCE_INIT;

static int bio_read(BIO *bio, char *out, int size)
{
    struct tls_conn *t = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    t->at_eof |= is_strange(t);
    if (t->at_eof || size <= 0)
        return 0;
    if (t->drained) {
        BIO_set_retry_read(bio);
        return -1;
    }
    ssize_t n;
    do
        n = recv(t->fd, out, (size_t) size, 0);
    while (n < 0 && errno == EINTR);
    /* Less than there was room for: the kernel has no more, the next recv would only say so. */
    t->drained = n < size;
    if (n > 0)
        return (int) n;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        BIO_set_retry_read(bio);
        return -1;
    }
    if (n < 0)
        t->recv_error = errno;
    t->at_eof = true;
    return 0;
}

static int bio_write(BIO *bio, const char *data, int size)
{
    struct tls_conn *t = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (size < 0)
        return -1;
    buf_put(&t->wire, data, (size_t) size);
    return t->wire.failed ? -1 : size;
}

static long bio_ctrl(BIO *bio, int what, long number, void *pointer)
{
    (void) number;
    (void) pointer;
    const struct tls_conn *t = BIO_get_data(bio);
    if (what == BIO_CTRL_EOF)
        return t->at_eof;
    return what == BIO_CTRL_FLUSH;
}

static int bio_create(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}

static void make_bio_method(void)
{
    int type = BIO_get_new_index();
    BIO_METHOD *m = type < 0 ? NULL : BIO_meth_new(type | BIO_TYPE_SOURCE_SINK, "nrpc socket");
    if (m == NULL)
        return;
    BIO_meth_set_create(m, bio_create);
    BIO_meth_set_read(m, bio_read);
    BIO_meth_set_write(m, bio_write);
    BIO_meth_set_ctrl(m, bio_ctrl);
    bio_method = m; /* lives as long as the process */
}

/* ---- callbacks of the context
 * --------------------------------------------------------------------------- */
/* Is `name` in the comma-separated list? */
static bool list_has(const char *list, const char *name, size_t size)
{
    for (const char *p = list; p != NULL && *p != '\0';) {
        size_t n = strcspn(p, ",");
        if (n == size && memcmp(p, name, n) == 0)
            return true;
        p += n + (p[n] == ',');
    }
    return false;
}

int tls_on_client_hello(SSL *ssl, int *alert, void *arg)
{
    (void) arg;
    const struct tls_conn *t = SSL_get_app_data(ssl);
    const unsigned char *data;
    size_t size;
    if (list_has(t->alpn, "http/1.1", 8) ||
        SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_application_layer_protocol_negotiation, &data,
                                  &size) == 1)
        return SSL_CLIENT_HELLO_SUCCESS;
    *alert = SSL_AD_NO_APPLICATION_PROTOCOL;
    return SSL_CLIENT_HELLO_ERROR;
}

/* The first of ours that the client offers. */
int tls_on_select_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_size,
                           const unsigned char *offered, unsigned int offered_size, void *arg)
{
    (void) arg;
    const struct tls_conn *t = SSL_get_app_data(ssl);
    for (const char *p = t->alpn; *p != '\0';) {
        size_t n = strcspn(p, ",");
        for (unsigned int at = 0; at < offered_size; at += 1u + offered[at]) {
            if (offered[at] != n || n >= offered_size - at || memcmp(offered + at + 1, p, n) != 0)
                continue;
            *out = offered + at + 1;
            *out_size = offered[at];
            return SSL_TLSEXT_ERR_OK;
        }
        p += n + (p[n] == ',');
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

void tls_on_message(int written, int version, int type, const void *data, size_t size, SSL *ssl,
                    void *arg)
{
    (void) version;
    (void) arg;
    struct tls_conn *t = SSL_get_app_data(ssl);
    if (written || t == NULL || !t->is_done || size == 0)
        return;
    uint8_t content = *(const uint8_t *) data;
    if ((type == SSL3_RT_HEADER || type == SSL3_RT_INNER_CONTENT_TYPE) &&
        content != SSL3_RT_APPLICATION_DATA)
        t->strange++;
}

/* ---- what went wrong
 * ------------------------------------------------------------------------------------ */
static const struct {
    int reason;
    const char *text;
} explanations[] = {
    { SSL_R_WRONG_VERSION_NUMBER, "the peer does not speak TLS (a plain port?)" },
    { SSL_R_HTTP_REQUEST, "the client sent plain HTTP to a TLS port" },
    { SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED,
      "the peer asks for a client certificate (--cert FILE --key FILE?)" },
    { SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, "the client sent no certificate" },
    { SSL_R_TLSV1_ALERT_UNKNOWN_CA, "the peer does not trust our certificate's CA" },
    { SSL_R_SSLV3_ALERT_BAD_CERTIFICATE, "the peer refused our certificate" },
    { SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED, "the peer says that our certificate has expired" },
    { SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN, "the peer refused our certificate" },
    { SSL_R_TLSV1_ALERT_PROTOCOL_VERSION, "no TLS version in common (1.2 is the least)" },
    { SSL_R_UNSUPPORTED_PROTOCOL, "no TLS version in common (1.2 is the least)" },
    { SSL_R_NO_SHARED_CIPHER, "no cipher suite in common" },
    { SSL_R_NO_APPLICATION_PROTOCOL, "no application protocol in common (ALPN)" },
    { SSL_R_CALLBACK_FAILED, "the client offered no application protocol (ALPN)" },
    { SSL_AD_REASON_OFFSET + SSL_AD_NO_APPLICATION_PROTOCOL,
      "the peer does not speak our application protocol (ALPN)" },
};

static void explain_certificate(struct tls_conn *t, long result)
{
    const char *hint = "";
    if (result == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY ||
        result == X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN ||
        result == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT ||
        result == X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE)
        hint = t->is_server ? "" : " (--ca FILE?)";
    else if (result == X509_V_ERR_HOSTNAME_MISMATCH || result == X509_V_ERR_IP_ADDRESS_MISMATCH)
        hint = " (--server-name NAME?)";
    snprintf(t->why, sizeof t->why, "certificate verify failed: %s%s",
             X509_verify_cert_error_string(result), hint);
}

static void explain(struct tls_conn *t)
{
    int reason = ERR_GET_REASON(ERR_peek_error());
    if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED) {
        explain_certificate(t, SSL_get_verify_result(t->ssl));
    } else {
        char text[96];
        tls_error_text(text, sizeof text);
        for (size_t i = 0; i < ARRAY_SIZE(explanations); i++)
            if (explanations[i].reason == reason)
                snprintf(text, sizeof text, "%s", explanations[i].text);
        snprintf(t->why, sizeof t->why, "TLS: %s", text);
    }
    ERR_clear_error();
}

/* OpenSSL sends no alert to a peer whose first bytes were no TLS.  A browser or curl that came with
 * http:// gets an answer it can read, all others protocol_version, which tells a client of ours. */
static void answer_plain(struct tls_conn *t, int reason)
{
    static const char http[] = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n"
                               "Content-Length: 34\r\nConnection: close\r\n\r\n"
                               "This port speaks TLS: use https.\r\n";
    static const uint8_t alert[] = { SSL3_RT_ALERT,          3, 1, 0, 2, SSL3_AL_FATAL,
                                     SSL_AD_PROTOCOL_VERSION };
    if (reason == SSL_R_HTTP_REQUEST)
        buf_put(&t->wire, http, sizeof http - 1);
    else if (reason == SSL_R_WRONG_VERSION_NUMBER)
        buf_put(&t->wire, alert, sizeof alert);
}

static enum tls_result fail(struct tls_conn *t)
{
    if (t->is_server && !t->is_done && tls_conn_pending(t) == 0)
        answer_plain(t, ERR_GET_REASON(ERR_peek_error()));
    explain(t);
    t->failed = true;
    return TLS_FAILED;
}

static enum tls_result fail_with(struct tls_conn *t, const char *why)
{
    ERR_clear_error();
    snprintf(t->why, sizeof t->why, "TLS: %s", why);
    t->failed = true;
    return TLS_FAILED;
}

/* What an operation that returned r <= 0 means. */
static enum tls_result outcome(struct tls_conn *t, int r)
{
    int error = SSL_get_error(t->ssl, r);
    if (t->wire.failed)
        return fail_with(t, "out of memory");
    if (error == SSL_ERROR_WANT_READ)
        return TLS_AGAIN;
    if (error == SSL_ERROR_ZERO_RETURN || t->at_eof) {
        ERR_clear_error();
        return TLS_EOF;
    }
    return fail(t);
}

/* ---- life
 * -----------------------------------------------------------------------------------------------
 */
/* SNI holds names only; an address is checked against the certificate's addresses. */
static int set_server_name(SSL *ssl, const char *name)
{
    unsigned char ignored[sizeof(struct in6_addr)];
    if (name == NULL || *name == '\0' || strlen(name) >= HOST_MAX)
        return NRPC_E_INVAL;
    if (inet_pton(AF_INET, name, ignored) == 1 || inet_pton(AF_INET6, name, ignored) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1 ? 0 : NRPC_E_NOMEM;
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(ssl, name) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1 ? 0
                                                                                     : NRPC_E_NOMEM;
}

static int offer_protocols(SSL *ssl, const char *list)
{
    unsigned char wire[PROTOCOLS_MAX];
    size_t size = 0;
    for (const char *p = list; *p != '\0';) {
        size_t n = strcspn(p, ",");
        if (n == 0 || n >= PROTOCOL_MAX || size + 1 + n > sizeof wire)
            return NRPC_E_INVAL;
        wire[size++] = (unsigned char) n;
        memcpy(wire + size, p, n);
        size += n;
        p += n + (p[n] == ',');
    }
    return SSL_set_alpn_protos(ssl, wire, (unsigned) size) == 0 ? 0 : NRPC_E_NOMEM;
}

static int set_up(struct tls_conn *t, const struct sock_tls *o)
{
    pthread_once(&bio_once, make_bio_method);
    SSL_CTX *context = tls_take_context(o->context);
    t->ssl = context == NULL ? NULL : SSL_new(context); /* takes a reference of its own */
    SSL_CTX_free(context);
    BIO *bio = t->ssl == NULL || bio_method == NULL ? NULL : BIO_new(bio_method);
    if (bio == NULL)
        return NRPC_E_NOMEM;
    BIO_set_data(bio, t);
    SSL_set_bio(t->ssl, bio, bio); /* takes it */
    SSL_set_app_data(t->ssl, t);
    if (t->is_server) {
        SSL_set_accept_state(t->ssl);
        return 0;
    }
    SSL_set_connect_state(t->ssl);
    int r = set_server_name(t->ssl, o->server_name);
    return r < 0 ? r : offer_protocols(t->ssl, t->alpn);
}

int tls_conn_new(const struct sock_tls *o, int fd, struct tls_conn **out_conn)
{
    if (o->context == NULL || o->alpn == NULL)
        return NRPC_E_INVAL;
    struct tls_conn *t = alloc_zero(1, sizeof *t);
    if (t == NULL)
        return NRPC_E_NOMEM;
    t->fd = fd;
    t->alpn = o->alpn;
    t->is_server = tls_is_server(o->context);
    int r = set_up(t, o);
    if (r < 0) {
        ERR_clear_error();
        tls_conn_free(t);
        return r;
    }
    *out_conn = t;
    return 0;
}

void tls_conn_free(struct tls_conn *t)
{
    if (t == NULL)
        return;
    SSL_free(t->ssl);
    buf_done(&t->wire);
    alloc_free(t->subject);
    alloc_free(t);
}

/* ---- the handshake
 * -------------------------------------------------------------------------------------- */
/* The subject of the peer's certificate, which has been verified: no other gets past the handshake.
 */
static bool read_subject(struct tls_conn *t)
{
    X509 *certificate = SSL_get0_peer_certificate(t->ssl);
    if (certificate == NULL || SSL_get_verify_result(t->ssl) != X509_V_OK ||
        (SSL_get_verify_mode(t->ssl) & SSL_VERIFY_PEER) == 0)
        return true;
    BIO *text = BIO_new(BIO_s_mem());
    /* Names stay UTF-8, not \C3\BC. */
    unsigned long flags = XN_FLAG_RFC2253 & ~(unsigned long) ASN1_STRFLGS_ESC_MSB;
    char *data = NULL;
    long size = 0;
    if (text != NULL && X509_NAME_print_ex(text, X509_get_subject_name(certificate), 0, flags) >= 0)
        size = BIO_get_mem_data(text, &data);
    /* Never cut: a part of a name may be somebody else's. */
    if (size > 0 && size <= SUBJECT_MAX && memchr(data, '\0', (size_t) size) == NULL)
        t->subject = alloc_strndup(data, (size_t) size);
    BIO_free(text);
    ERR_clear_error();
    return t->subject != NULL;
}

static enum tls_result finish_handshake(struct tls_conn *t)
{
    const unsigned char *name = NULL;
    unsigned int size = 0;
    SSL_get0_alpn_selected(t->ssl, &name, &size);
    if (size >= PROTOCOL_MAX || (!t->is_server && !list_has(t->alpn, (const char *) name, size)))
        return fail_with(t, "the server does not speak HTTP/2 here (no ALPN)");
    if (size > 0)
        memcpy(t->protocol, name, size);
    if (!read_subject(t))
        return fail_with(t, "the certificate has no usable subject");
    t->is_done = true;
    return TLS_OK;
}

void tls_conn_set_readable(struct tls_conn *t)
{
    t->drained = false;
}

enum tls_result tls_conn_handshake(struct tls_conn *t)
{
    ERR_clear_error();
    int r = SSL_do_handshake(t->ssl);
    if (r == 1)
        return t->wire.failed ? fail_with(t, "out of memory") : finish_handshake(t);
    enum tls_result result = outcome(t, r);
    if (result != TLS_EOF)
        return result;
    return fail_with(t, t->recv_error != 0 ? strerrordesc_np(t->recv_error)
                                           : "the peer left during the handshake");
}

/* ---- data
 * -----------------------------------------------------------------------------------------------
 */
enum tls_result tls_conn_read(struct tls_conn *t, uint8_t *buf, size_t size, size_t *out_size)
{
    *out_size = 0;
    ERR_clear_error();
    while (*out_size < size) {
        size_t n = 0;
        int r = SSL_read_ex(t->ssl, buf + *out_size, size - *out_size, &n);
        if (is_strange(t))
            return fail_with(t, "too many records that are no data");
        if (r != 1)
            return outcome(t, r);
        *out_size += n;
        t->bytes_in += n;
    }
    return TLS_OK;
}

enum tls_result tls_conn_write(struct tls_conn *t, const void *data, size_t size)
{
    ERR_clear_error();
    while (size > 0) {
        size_t n = 0;
        if (SSL_write_ex(t->ssl, data, size, &n) != 1)
            return t->wire.failed ? fail_with(t, "out of memory") : fail(t);
        data = (const uint8_t *) data + n;
        size -= n;
    }
    return TLS_OK;
}

void tls_conn_say_bye(struct tls_conn *t)
{
    if (t->said_bye || t->failed || !t->is_done)
        return;
    t->said_bye = true;
    ERR_clear_error();
    (void) SSL_shutdown(t->ssl); /* 0: ours is in the output; the peer's is not waited for */
    ERR_clear_error();
}

struct buf *tls_conn_wire(struct tls_conn *t)
{
    return &t->wire;
}

size_t tls_conn_pending(const struct tls_conn *t)
{
    return t->wire.size - t->wire_at;
}

const uint8_t *tls_conn_output(const struct tls_conn *t)
{
    return t->wire.data == NULL ? NULL : t->wire.data + t->wire_at;
}

void tls_conn_sent(struct tls_conn *t, size_t size)
{
    t->wire_at += size;
    if (t->wire_at == t->wire.size) {
        t->wire.size = t->wire_at = 0;
    } else if (t->wire_at >= KEEP_BYTES) {
        buf_drop(&t->wire, t->wire_at);
        t->wire_at = 0;
    }
}

const char *tls_conn_protocol(const struct tls_conn *t)
{
    return t->protocol;
}

const char *tls_conn_subject(const struct tls_conn *t)
{
    return t->subject;
}

const char *tls_conn_cipher(const struct tls_conn *t)
{
    const SSL_CIPHER *cipher = t->is_done ? SSL_get_current_cipher(t->ssl) : NULL;
    const char *name = cipher == NULL ? NULL : SSL_CIPHER_standard_name(cipher);
    return name == NULL ? "" : name;
}

const char *tls_conn_why(const struct tls_conn *t)
{
    return t->why[0] == '\0' ? NULL : t->why;
}

void tls_conn_set_why(struct tls_conn *t, const char *why)
{
    snprintf(t->why, sizeof t->why, "TLS: %s", why);
}

int tls_conn_error(const struct tls_conn *t)
{
    return t->recv_error;
}

bool tls_conn_is_server(const struct tls_conn *t)
{
    return t->is_server;
}
