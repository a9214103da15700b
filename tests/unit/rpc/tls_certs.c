#include "tests/unit/rpc/tls_certs.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[] = "/tmp/nrpc-tls-XXXXXX";
static const char *const files[] = {
    "ca.pem",        "ca.key",        "server.pem", "server.key", "client.pem",  "client.key",
    "other-ca.pem",  "other-ca.key",  "other.pem",  "other.key",  "expired.pem", "expired.key",
    "elsewhere.pem", "elsewhere.key", "live.pem",   "live.key"
};

#define MUST(x)                                                                                    \
    do {                                                                                           \
        if (!(x)) {                                                                                \
            fprintf(stderr, "certificates: %s\n", #x);                                             \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

struct identity {
    X509 *certificate;
    EVP_PKEY *key;
};

const char *certs_path(const char *file)
{
    static char paths[4][CERTS_PATH_MAX];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, CERTS_PATH_MAX, "%s/%s", folder, file);
    return path;
}

static void extend(X509 *certificate, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    MUST(e != NULL && X509_add_ext(certificate, e, -1) == 1);
    X509_EXTENSION_free(e);
}

static void name_entry(X509_NAME *name, const char *field, const char *value)
{
    MUST(X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8, (const unsigned char *) value, -1,
                                    -1, 0) == 1);
}

/* names NULL: a CA, signed by itself. */
static struct identity make(const struct identity *ca, const char *cn, const char *names,
                            long until)
{
    static long serial = 1000;
    struct identity id = { X509_new(), EVP_EC_gen("P-256") };
    MUST(id.certificate != NULL && id.key != NULL);
    const struct identity *issuer = ca != NULL ? ca : &id;
    X509_set_version(id.certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(id.certificate), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(id.certificate), -2 * 86400);
    X509_gmtime_adj(X509_getm_notAfter(id.certificate), until);
    name_entry(X509_get_subject_name(id.certificate), "O", "Zürich Tests");
    name_entry(X509_get_subject_name(id.certificate), "CN", cn);
    X509_set_issuer_name(id.certificate, X509_get_subject_name(issuer->certificate));
    X509_set_pubkey(id.certificate, id.key);
    extend(id.certificate, issuer->certificate, NID_basic_constraints,
           ca == NULL ? "critical,CA:TRUE" : "CA:FALSE");
    if (names != NULL)
        extend(id.certificate, issuer->certificate, NID_subject_alt_name, names);
    MUST(X509_sign(id.certificate, issuer->key, EVP_sha256()) > 0);
    return id;
}

static void save(const struct identity *id, const char *name)
{
    char file[64];
    snprintf(file, sizeof file, "%s.pem", name);
    FILE *f = fopen(certs_path(file), "w");
    MUST(f != NULL && PEM_write_X509(f, id->certificate) == 1 && fclose(f) == 0);
    snprintf(file, sizeof file, "%s.key", name);
    f = fopen(certs_path(file), "w");
    MUST(f != NULL && PEM_write_PrivateKey(f, id->key, NULL, NULL, 0, NULL, NULL) == 1 &&
         fclose(f) == 0);
}

static void done(struct identity *id)
{
    X509_free(id->certificate);
    EVP_PKEY_free(id->key);
}

static void make_and_save(const struct identity *ca, const char *file, const char *cn,
                          const char *names, long until)
{
    struct identity id = make(ca, cn, names, until);
    save(&id, file);
    done(&id);
}

static struct identity ca;
static const char here[] = "DNS:localhost,IP:127.0.0.1,IP:::1";

void certs_make(void)
{
    MUST(mkdtemp(folder) != NULL);
    ca = make(NULL, "Test CA", NULL, 86400);
    struct identity other = make(NULL, "Other CA", NULL, 86400);
    save(&ca, "ca");
    save(&other, "other-ca");
    make_and_save(&ca, "server", "server", here, 86400);
    make_and_save(&ca, "client", "alice", "DNS:alice.test", 86400);
    make_and_save(&other, "other", "server", here, 86400);
    make_and_save(&ca, "expired", "server", here, -86400);
    make_and_save(&ca, "elsewhere", "elsewhere", "DNS:elsewhere.test", 86400);
    done(&other);
}

void certs_renew(void)
{
    make_and_save(&ca, "server", "server", here, 86400);
}

void certs_remove(void)
{
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        (void) unlink(certs_path(files[i]));
    (void) rmdir(folder);
    done(&ca);
}

void certs_copy(const char *from, const char *to)
{
    char text[16384];
    FILE *f = fopen(certs_path(from), "r");
    MUST(f != NULL);
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = '\0';
    certs_write(to, text);
}

void certs_write(const char *file, const char *text)
{
    FILE *f = fopen(certs_path(file), "w");
    MUST(f != NULL && fputs(text, f) >= 0 && fclose(f) == 0);
}
