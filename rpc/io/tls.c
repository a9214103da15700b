/* Contexts: files to SSL_CTX, and the exchange of a context under running handshakes. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rpc/base/alloc.h"
#include "rpc/base/check.h"
#include "rpc/io/tls_inner.h"

enum { TLS_FILES = 3, VERIFY_DEPTH = 8, TICKET_SECONDS = 7200 };
enum { FILE_CERTIFICATE, FILE_KEY, FILE_CA };

/* RFC 9113 section 9.2.2: forward secrecy and AEAD only; TLS 1.3 has nothing else. */
static const char ciphers[] = "ECDHE+AESGCM:ECDHE+CHACHA20";
/* Named, so that no peer can ask for the costly ones. */
static const char groups[] = "X25519:P-256:P-384";

/* What tells one version of a file from the next. */
struct stamp {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed;
};
struct nrpc_tls {
    atomic_uint references;
    /* Loops read `context` without a lock: while `readers` is not zero, whoever replaced it keeps
     * the old one. */
    _Atomic(SSL_CTX *) context;
    atomic_uint readers;
    bool server, require_client, verify;
    int min_version;
    char *files[TLS_FILES];
    pthread_mutex_t reloading; /* two reloads at a time; never taken on a loop */
    struct stamp stamps[TLS_FILES];
};

bool tls_is_server(const nrpc_tls *t)
{
    return t->server;
}

SSL_CTX *tls_take_context(nrpc_tls *t)
{
    atomic_fetch_add(&t->readers, 1);
    SSL_CTX *context = atomic_load(&t->context);
    bool taken = SSL_CTX_up_ref(context) == 1;
    atomic_fetch_sub(&t->readers, 1);
    return taken ? context : NULL;
}

void tls_error_text(char *out, size_t size)
{
    unsigned long code = ERR_get_error();
    const char *reason = code == 0 ? NULL : ERR_reason_error_string(code);
    if (reason != NULL)
        snprintf(out, size, "%s", reason);
    else if (code != 0 && ERR_SYSTEM_ERROR(code))
        snprintf(out, size, "%s", strerrordesc_np(ERR_GET_REASON(code)));
    else
        snprintf(out, size, "error %#lx", code);
    ERR_clear_error();
}

/* ---- reading the files
 * ---------------------------------------------------------------------------------- */
static int refuse(char *why, size_t size, const char *what, const char *file)
{
    char reason[128];
    tls_error_text(reason, sizeof reason);
    snprintf(why, size, "%s %s: %s", what, file, reason);
    return NRPC_E_INVAL;
}

/* OpenSSL would ask on the terminal. */
static int no_passphrase(char *buf, int size, int writing, void *arg)
{
    (void) buf;
    (void) size;
    (void) writing;
    (void) arg;
    return -1;
}

static int look_at(const char *file, struct stamp *out)
{
    struct stat st;
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    bool good = fd >= 0 && fstat(fd, &st) == 0;
    int error = good && !S_ISREG(st.st_mode) ? EINVAL : errno;
    if (fd >= 0)
        close(fd);
    if (!good || !S_ISREG(st.st_mode)) {
        errno = error;
        return NRPC_E_SYS;
    }
    out->device = st.st_dev;
    out->inode = st.st_ino;
    out->size = st.st_size;
    out->changed = st.st_mtim;
    return 0;
}

static int look_at_files(const nrpc_tls *t, struct stamp stamps[TLS_FILES], char *why, size_t size)
{
    static const char *const names[] = { "the certificate", "the key", "the CA file" };
    int r = 0;
    for (int i = 0; i < TLS_FILES; i++) {
        memset(&stamps[i], 0, sizeof stamps[i]); /* a file that is gone is a version, too */
        if (t->files[i] == NULL || look_at(t->files[i], &stamps[i]) == 0 || r < 0)
            continue;
        snprintf(why, size, "cannot read %s %s: %s", names[i], t->files[i],
                 errno == EINVAL ? "not a regular file" : strerrordesc_np(errno));
        r = NRPC_E_SYS;
    }
    return r;
}

static int load_identity(SSL_CTX *c, const nrpc_tls *t, char *why, size_t size)
{
    const char *certificate = t->files[FILE_CERTIFICATE], *key = t->files[FILE_KEY];
    if (certificate == NULL)
        return 0;
    if (SSL_CTX_use_certificate_chain_file(c, certificate) != 1)
        return refuse(why, size, "the certificate", certificate);
    if (SSL_CTX_use_PrivateKey_file(c, key, SSL_FILETYPE_PEM) != 1) {
        unsigned long code = ERR_peek_last_error();
        if (ERR_GET_LIB(code) == ERR_LIB_X509 &&
            ERR_GET_REASON(code) == X509_R_KEY_VALUES_MISMATCH) {
            ERR_clear_error();
            snprintf(why, size, "the key %s does not belong to the certificate %s", key,
                     certificate);
            return NRPC_E_INVAL;
        }
        return refuse(why, size, "the key (PEM, without a passphrase)", key);
    }
    if (SSL_CTX_check_private_key(c) != 1)
        return refuse(why, size, "the key does not belong to the certificate", certificate);
    return 0;
}

static int load_trust(SSL_CTX *c, const nrpc_tls *t, char *why, size_t size)
{
    const char *ca = t->files[FILE_CA];
    if (ca != NULL && SSL_CTX_load_verify_file(c, ca) != 1)
        return refuse(why, size, "the CA file", ca);
    if (t->server) {
        if (ca == NULL)
            return 0;
        STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(ca);
        if (names == NULL)
            return refuse(why, size, "the CA file", ca);
        SSL_CTX_set_client_CA_list(c, names);
        SSL_CTX_set_verify(
            c, SSL_VERIFY_PEER | (t->require_client ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), NULL);
        return 0;
    }
    SSL_CTX_set_verify(c, t->verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    if (ca == NULL && t->verify && SSL_CTX_set_default_verify_paths(c) != 1)
        return refuse(why, size, "the system's certificates", "");
    return 0;
}

static int set_rules(SSL_CTX *c, const nrpc_tls *t)
{
    /* A FIN without close_notify is an end like any other: HTTP marks its own ends, and our side
     * may still have to write. */
    SSL_CTX_set_options(c, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                               SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
                               SSL_OP_IGNORE_UNEXPECTED_EOF);
    /* Buffers of a resting connection go back; the peer's chain is bounded by OpenSSL's 100 KB;
     * ours is what the file holds, not what the CA file would add. */
    SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set_read_ahead(c, 1);
    SSL_CTX_set_default_passwd_cb(c, no_passphrase);
    SSL_CTX_set_verify_depth(c, VERIFY_DEPTH);
    SSL_CTX_set_msg_callback(c, tls_on_message);
    if (SSL_CTX_set_min_proto_version(c, t->min_version) != 1 ||
        SSL_CTX_set_cipher_list(c, ciphers) != 1 || SSL_CTX_set1_groups_list(c, groups) != 1)
        return NRPC_E_NOMEM;
    SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
    if (!t->server)
        return 0;
    /* Sessions live in tickets only, whose keys are the context's: a reload ends them, and with
     * them what an earlier CA file let in. */
    SSL_CTX_set_timeout(c, TICKET_SECONDS);
    SSL_CTX_set_client_hello_cb(c, tls_on_client_hello, NULL);
    SSL_CTX_set_alpn_select_cb(c, tls_on_select_protocol, NULL);
    return SSL_CTX_set_num_tickets(c, 1) == 1 &&
                   SSL_CTX_set_session_id_context(c, (const unsigned char *) "nrpc", 4) == 1
               ? 0
               : NRPC_E_NOMEM;
}

static int context_new(const nrpc_tls *t, SSL_CTX **out, char *why, size_t size)
{
    ERR_clear_error();
    SSL_CTX *c = SSL_CTX_new(t->server ? TLS_server_method() : TLS_client_method());
    if (c == NULL || set_rules(c, t) < 0) {
        SSL_CTX_free(c);
        tls_error_text(why, size);
        return NRPC_E_NOMEM;
    }
    int r = load_identity(c, t, why, size);
    if (r == 0)
        r = load_trust(c, t, why, size);
    if (r < 0) {
        SSL_CTX_free(c);
        return r;
    }
    *out = c;
    return 0;
}

/* ---- life
 * -----------------------------------------------------------------------------------------------
 */
static int say(char *why, size_t size, const char *text)
{
    snprintf(why, size, "%s", text);
    return NRPC_E_INVAL;
}

static int check_options(const nrpc_tls_options *o, bool server, char *why, size_t size)
{
    if (server && (o->certificate_file == NULL || o->key_file == NULL))
        return say(why, size, "a server needs a certificate and its key");
    if ((o->certificate_file == NULL) != (o->key_file == NULL))
        return say(why, size, "a certificate and its key belong together");
    if (server && o->require_client_certificate && o->ca_file == NULL)
        return say(why, size, "client certificates need a CA file to be checked against");
    if (o->min_version != NULL && strcmp(o->min_version, "1.2") != 0 &&
        strcmp(o->min_version, "1.3") != 0)
        return say(why, size, "the least TLS version is 1.2 or 1.3");
    return 0;
}

static int copy_file(char **out, const char *name)
{
    *out = name == NULL ? NULL : alloc_strdup(name);
    return name != NULL && *out == NULL ? NRPC_E_NOMEM : 0;
}

static int tls_new(const nrpc_tls_options *o, bool server, nrpc_tls **out, char *why, size_t size)
{
    int r = check_options(o, server, why, size);
    if (r < 0)
        return r;
    nrpc_tls *t = alloc_zero(1, sizeof *t);
    if (t == NULL) {
        (void) say(why, size, "out of memory");
        return NRPC_E_NOMEM;
    }
    atomic_init(&t->references, 1);
    pthread_mutex_init(&t->reloading, NULL);
    t->server = server;
    t->require_client = o->require_client_certificate;
    t->verify = !o->insecure_no_verify;
    t->min_version = o->min_version != NULL && strcmp(o->min_version, "1.3") == 0 ? TLS1_3_VERSION
                                                                                  : TLS1_2_VERSION;
    if (copy_file(&t->files[FILE_CERTIFICATE], o->certificate_file) < 0 ||
        copy_file(&t->files[FILE_KEY], o->key_file) < 0 ||
        copy_file(&t->files[FILE_CA], o->ca_file) < 0) {
        (void) say(why, size, "out of memory");
        r = NRPC_E_NOMEM;
    }
    if (r == 0)
        r = nrpc_tls_reload(t, why, size);
    if (r < 0) {
        nrpc_tls_unref(t);
        return r;
    }
    *out = t;
    return 0;
}

int nrpc_tls_server_new(const nrpc_tls_options *o, nrpc_tls **out, char *why, size_t why_size)
{
    return tls_new(o, true, out, why, why_size);
}

int nrpc_tls_client_new(const nrpc_tls_options *o, nrpc_tls **out, char *why, size_t why_size)
{
    return tls_new(o, false, out, why, why_size);
}

/* Frees the old context once no loop is between reading the pointer and counting itself in: an
 * instant, and this thread is no loop. */
static void replace(nrpc_tls *t, SSL_CTX *context)
{
    SSL_CTX *old = atomic_exchange(&t->context, context);
    while (atomic_load(&t->readers) > 0)
        sched_yield();
    SSL_CTX_free(old);
}

static int reload(nrpc_tls *t, char *why, size_t why_size)
{
    /* Looked at before they are read: what changes in between is seen as a change the next time. */
    SSL_CTX *context = NULL;
    int r = look_at_files(t, t->stamps, why, why_size);
    if (r == 0)
        r = context_new(t, &context, why, why_size);
    if (r == 0)
        replace(t, context);
    return r;
}

int nrpc_tls_reload(nrpc_tls *t, char *why, size_t why_size)
{
    pthread_mutex_lock(&t->reloading);
    int r = reload(t, why, why_size);
    pthread_mutex_unlock(&t->reloading);
    return r;
}

int nrpc_tls_refresh(nrpc_tls *t, char *why, size_t why_size)
{
    struct stamp now[TLS_FILES];
    char ignored[1];
    pthread_mutex_lock(&t->reloading);
    int r = 0;
    (void) look_at_files(t, now, ignored, sizeof ignored);
    if (memcmp(now, t->stamps, sizeof now) != 0) {
        r = reload(t, why, why_size);
        r = r < 0 ? r : 1;
    }
    pthread_mutex_unlock(&t->reloading);
    return r;
}

nrpc_tls *nrpc_tls_ref(nrpc_tls *t)
{
    atomic_fetch_add_explicit(&t->references, 1, memory_order_relaxed);
    return t;
}

void nrpc_tls_unref(nrpc_tls *t)
{
    if (t == NULL || atomic_fetch_sub_explicit(&t->references, 1, memory_order_acq_rel) != 1)
        return;
    SSL_CTX_free(atomic_load(&t->context));
    for (int i = 0; i < TLS_FILES; i++)
        alloc_free(t->files[i]);
    pthread_mutex_destroy(&t->reloading);
    alloc_free(t);
}
