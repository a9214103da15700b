/* tls_inner.h — what tls.c (contexts) and tls_conn.c (connections) share. */
#ifndef NRPC_IO_TLS_INNER_H
#define NRPC_IO_TLS_INNER_H
#include <openssl/ssl.h>

#include "rpc/io/tls.h"

/* The context of now, with a reference for the caller; no lock. */
SSL_CTX *tls_take_context(nrpc_tls *t);
/* Callbacks of a context; the connection is SSL_get_app_data(ssl). */
int tls_on_client_hello(SSL *ssl, int *alert, void *arg);
int tls_on_select_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_size,
                           const unsigned char *offered, unsigned int offered_size, void *arg);
void tls_on_message(int written, int version, int type, const void *data, size_t size, SSL *ssl,
                    void *arg);
/* The first error that OpenSSL queued on this thread, as text; empties the queue. */
void tls_error_text(char *out, size_t size);

#endif
