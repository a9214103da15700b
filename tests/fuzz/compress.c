/* Bytes that say they are gzip or zlib: never more than the limit comes out, a compressor that was
 * used before gives the same as a new one, and what was inflated goes out and comes back. */
#include "rpc/grpc/compress.h"
#include "tests/fuzz/fuzz.h"

enum { LIMIT = 20000 };

static void back_and_forth(struct compressor *z, nrpc_compression k, nrpc_slice plain)
{
    nrpc_slice small;
    nrpc_msg *m = NULL;
    CHECK(compress_deflate(z, k, plain, SIZE_MAX, &small) == 0 && small.size > 0);
    CHECK(compress_inflate(z, k, small, (uint32_t) plain.size, &m) == 0);
    nrpc_slice again = nrpc_msg_bytes(m);
    CHECK(again.size == plain.size);
    CHECK(plain.size == 0 || memcmp(again.data, plain.data, plain.size) == 0);
    nrpc_msg_free(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct compressor *used;
    if (used == NULL)
        CHECK(compressor_new(&used) == 0);
    uint8_t choice = fuzz_byte(&data, &size);
    nrpc_compression k = choice & 1 ? NRPC_GZIP : NRPC_DEFLATE;
    uint32_t limit = choice & 2 ? LIMIT : choice >> 2;
    nrpc_slice in = { data, size };
    struct compressor *fresh;
    CHECK(compressor_new(&fresh) == 0);
    nrpc_msg *a = NULL, *b = NULL;
    int r = compress_inflate(fresh, k, in, limit, &a);
    CHECK(r == compress_inflate(used, k, in, limit, &b));
    CHECK(r == 0 || r == NRPC_E_PROTO || r == NRPC_E_TOOBIG);
    CHECK((r == 0) == (a != NULL) && (a == NULL) == (b == NULL));
    if (r == 0) {
        nrpc_slice x = nrpc_msg_bytes(a), y = nrpc_msg_bytes(b);
        CHECK(x.size <= limit && x.size == y.size);
        CHECK(x.size == 0 || memcmp(x.data, y.data, x.size) == 0);
        back_and_forth(used, k, x);
    }
    back_and_forth(used, k, in);
    compressor_trim(used);
    nrpc_msg_free(a);
    nrpc_msg_free(b);
    compressor_free(fresh);
    return 0;
}
