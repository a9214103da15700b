#include "rpc/base/sha256.h"

#include <openssl/evp.h>
#include <pthread.h>

#include "rpc/base/check.h"

struct sha256 *sha256_new(void)
{
    return (struct sha256 *) EVP_MD_CTX_new();
}

/* Fetched once: the implicit fetch of EVP_sha256() costs more than hashing a short record. */
static EVP_MD *fetched;
static pthread_once_t fetch_once = PTHREAD_ONCE_INIT;

static void fetch(void)
{
    fetched = EVP_MD_fetch(NULL, "SHA256", NULL);
    CHECK(fetched != NULL);
}

static const EVP_MD *algorithm(void)
{
    pthread_once(&fetch_once, fetch);
    return fetched;
}

void sha256_start(struct sha256 *s)
{
    CHECK(EVP_DigestInit_ex((EVP_MD_CTX *) s, algorithm(), NULL) == 1);
}

void sha256_add(struct sha256 *s, const void *data, size_t size)
{
    CHECK(EVP_DigestUpdate((EVP_MD_CTX *) s, data, size) == 1);
}

void sha256_finish(struct sha256 *s, uint8_t out[static SHA256_SIZE])
{
    CHECK(EVP_DigestFinal_ex((EVP_MD_CTX *) s, out, NULL) == 1);
}

void sha256_free(struct sha256 *s)
{
    EVP_MD_CTX_free((EVP_MD_CTX *) s);
}

void sha256_of(const void *data, size_t size, uint8_t out[static SHA256_SIZE])
{
    CHECK(EVP_Digest(data, size, out, NULL, algorithm(), NULL) == 1);
}

void sha256_hex(const uint8_t digest[static SHA256_SIZE], char out[static 65])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < SHA256_SIZE; i++) {
        out[2 * i] = digits[digest[i] >> 4];
        out[2 * i + 1] = digits[digest[i] & 15];
    }
    out[64] = '\0';
}
