/* sha256.h — SHA-256 (FIPS 180-4) over OpenSSL's EVP; the engine's only cryptography. */
#ifndef NRPC_BASE_SHA256_H
#define NRPC_BASE_SHA256_H
#include <stddef.h>
#include <stdint.h>

#define SHA256_SIZE 32
struct sha256; /* a running digest; one thread at a time */
struct sha256 *sha256_new(void);                                     /* NULL without memory */
void sha256_start(struct sha256 *s);                                 /* begins anew; reuse one object */
void sha256_add(struct sha256 *s, const void *data, size_t size);
void sha256_finish(struct sha256 *s, uint8_t out[static SHA256_SIZE]);
void sha256_free(struct sha256 *s);
void sha256_of(const void *data, size_t size, uint8_t out[static SHA256_SIZE]);
void sha256_hex(const uint8_t digest[static SHA256_SIZE], char out[static 65]);

#endif
