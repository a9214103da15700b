/* DATA bytes to messages, whole and one byte at a time. */
#include "rpc/grpc/frame.h"
#include "tests/fuzz/fuzz.h"

static int64_t held;
static void on_partial(void *ctx, int64_t delta)
{
    (void) ctx;
    held += delta;
    CHECK(held >= 0);
}

/* Messages with their sizes, then how it ended. */
static void read_all(const uint8_t *data, size_t size, size_t step, struct buf *out)
{
    struct frame_parser p;
    int r = 0;
    frame_init(&p, 1000, on_partial, NULL);
    for (size_t at = 0; at < size && r >= 0; at += step) {
        nrpc_slice piece = { data + at, size - at < step ? size - at : step };
        nrpc_msg *m;
        while ((r = frame_feed(&p, &piece, &m)) == 1) {
            nrpc_slice bytes = nrpc_msg_bytes(m);
            buf_printf(out, "[%zu]", bytes.size);
            buf_put(out, bytes.data, bytes.size);
            nrpc_msg_free(m);
        }
        CHECK(r < 0 || piece.size == 0);
    }
    nrpc_status st = NRPC_STATUS_INIT;
    if (r < 0)
        frame_error_status(&p, &st);
    buf_printf(out, "%d %d %s", r, r >= 0 && frame_is_partial(&p), st.message ? st.message : "");
    nrpc_status_clear(&st);
    frame_done(&p);
    CHECK(held == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf whole = { 0 }, bytewise = { 0 };
    read_all(data, size, size + 1, &whole);
    read_all(data, size, 1, &bytewise);
    CHECK(fuzz_same(&whole, &bytewise));
    buf_done(&whole);
    buf_done(&bytewise);
    return 0;
}
