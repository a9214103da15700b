/* tls_certs.h — certificates for tests, made when they run: P-256 keys, PEM files in a folder of their own.
 *   ca.pem                      signs all below but where it says otherwise
 *   server.pem, server.key      CN=server; localhost, 127.0.0.1, ::1
 *   client.pem, client.key      CN=alice,O=Zürich Tests
 *   other-ca.pem                another CA; other.pem, other.key: CN=server by it, for the same names
 *   expired.pem, expired.key    as server, but over since yesterday
 *   elsewhere.pem, elsewhere.key  for elsewhere.test
 * Every function ends the test on an error. */
#ifndef TLS_CERTS_H
#define TLS_CERTS_H

enum { CERTS_PATH_MAX = 256 };
void certs_make(void);   /* makes the folder */
void certs_remove(void); /* and takes it away */
/* Path of a file in it; four results are valid at a time. */
const char *certs_path(const char *file);
void certs_renew(void);  /* other keys and certificates for server.pem, server.key, by the same CA */
void certs_copy(const char *from, const char *to);
void certs_write(const char *file, const char *text);

#endif
