/* The small texts of gRPC: timeout, percent-encoding, Base64; each is also written and read back.
 */
#include "rpc/base/utf8.h"
#include "rpc/grpc/base64.h"
#include "rpc/grpc/percent.h"
#include "rpc/grpc/timeout.h"
#include "tests/fuzz/fuzz.h"

static nrpc_slice slice_of(const struct buf *b)
{
    return (nrpc_slice){ b->data, b->size };
}

static void fuzz_timeout(nrpc_slice text)
{
    uint64_t ns = 4711, again = 4711;
    int r = timeout_parse(text, &ns);
    CHECK(r == 0 || (r == NRPC_E_PROTO && ns == 4711));
    if (r < 0)
        return;
    char out[TIMEOUT_TEXT_MAX];
    size_t n = timeout_format(ns, out);
    CHECK(n < sizeof out && out[n] == '\0');
    CHECK(timeout_parse((nrpc_slice){ (const uint8_t *) out, n }, &again) == 0);
    CHECK(again >= ns || n == 9); /* rounded up; the largest unit may end before it */
}

static void fuzz_percent(nrpc_slice text)
{
    struct buf plain = { 0 }, wire = { 0 }, back = { 0 };
    percent_decode(&plain, text);
    percent_encode(&wire, text);
    for (size_t i = 0; i < wire.size; i++)
        CHECK(wire.data[i] >= 0x20 && wire.data[i] <= 0x7e);
    percent_decode(&back, slice_of(&wire));
    if (utf8_valid(text.data, text.size) && memchr(text.data, 0, text.size) == NULL)
        CHECK(back.size == text.size && memcmp(back.data, text.data, back.size) == 0);
    buf_done(&plain);
    buf_done(&wire);
    buf_done(&back);
}

static void fuzz_base64(nrpc_slice text)
{
    struct buf bytes = { 0 }, wire = { 0 }, back = { 0 };
    nrpc_slice list = text, item;
    size_t items = 0;
    while (base64_next_item(&list, &item)) {
        size_t before = bytes.size;
        CHECK(++items <= text.size + 1);
        CHECK(base64_decode(&bytes, item) == 0 || bytes.size == before);
    }
    base64_encode(&wire, text);
    CHECK(base64_decode(&back, slice_of(&wire)) == 0);
    CHECK(back.size == text.size && memcmp(back.data, text.data, back.size) == 0);
    buf_done(&bytes);
    buf_done(&wire);
    buf_done(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    FUZZ_PART((nrpc_slice){ data, size });
    return 0;
}
