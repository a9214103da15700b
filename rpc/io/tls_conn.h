/* tls_conn.h — TLS of one connection, between a non-blocking descriptor and a socket's output.  Ciphertext is
 * received straight into OpenSSL's record buffer (one recv a wake-up when that is enough) and records to be
 * sent gather in `wire`, so that one send takes them all.  Never blocks, never sends by itself.
 * One thread at a time. */
#ifndef NRPC_IO_TLS_CONN_H
#define NRPC_IO_TLS_CONN_H
#include "rpc/base/buf.h"
#include "rpc/io/tls.h"

struct tls_conn;
enum tls_result {
    TLS_OK,
    TLS_AGAIN, /* nothing more before the descriptor is readable again */
    TLS_EOF,   /* the peer sends no more */
    TLS_FAILED /* over: tls_conn_why says why, an alert may be in the output */
};
/* fd stays the caller's.  E_INVAL: no context, or a client without a name; E_NOMEM. */
int tls_conn_new(const struct sock_tls *o, int fd, struct tls_conn **out_conn);
void tls_conn_free(struct tls_conn *t); /* NULL is fine */
/* The descriptor was reported readable: recv may be called again. */
void tls_conn_set_readable(struct tls_conn *t);
enum tls_result tls_conn_handshake(struct tls_conn *t);
/* Fills buf as far as it can; *out_size is set in every case.  TLS_OK: buf is full, call again. */
enum tls_result tls_conn_read(struct tls_conn *t, uint8_t *buf, size_t size, size_t *out_size);
/* Seals the bytes into the output: TLS_OK or TLS_FAILED. */
enum tls_result tls_conn_write(struct tls_conn *t, const void *data, size_t size);
/* close_notify into the output, once; nothing after a failure. */
void tls_conn_say_bye(struct tls_conn *t);
/* Sealed bytes that wait for the network. */
struct buf *tls_conn_wire(struct tls_conn *t);
size_t tls_conn_pending(const struct tls_conn *t);
const uint8_t *tls_conn_output(const struct tls_conn *t);
void tls_conn_sent(struct tls_conn *t, size_t size);
/* After the handshake. */
const char *tls_conn_protocol(const struct tls_conn *t); /* "h2"; "" when none was negotiated */
const char *tls_conn_subject(const struct tls_conn *t);  /* RFC 2253, of a verified certificate, or NULL */
const char *tls_conn_cipher(const struct tls_conn *t);   /* "TLS_AES_128_GCM_SHA256"; "" before */
const char *tls_conn_why(const struct tls_conn *t);      /* of TLS_FAILED: one line that says what to do, or NULL */
void tls_conn_set_why(struct tls_conn *t, const char *why);
int tls_conn_error(const struct tls_conn *t);            /* errno that recv ended with, or 0 */
bool tls_conn_is_server(const struct tls_conn *t);

#endif
