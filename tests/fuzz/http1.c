/* The front door's HTTP/1.1 parser, whole and one byte at a time: the same requests. */
#include "gateway/http1.h"
#include "tests/fuzz/fuzz.h"

static void note(struct buf *out, struct http1_text t)
{
    if (t.data != NULL)
        buf_put(out, t.data, t.size);
    buf_putc(out, '\n');
}

static void read_all(const uint8_t *data, size_t size, size_t step, struct buf *out)
{
    static struct http1 h;
    enum http1_result r = HTTP1_MORE;
    http1_init(&h);
    for (size_t at = 0; at < size && r != HTTP1_BAD; at += step) {
        size_t left = size - at < step ? size - at : step;
        const uint8_t *p = data + at;
        do {
            struct http1_text body = { 0 };
            size_t used = 0;
            r = http1_feed(&h, p, left, &used, &body);
            CHECK(used <= left && (r != HTTP1_MORE || used == left));
            p += used, left -= used;
            if (r == HTTP1_HEAD) {
                note(out, http1_method(&h));
                note(out, http1_target(&h));
                note(out, http1_path(&h));
                note(out, http1_query(&h));
                note(out, http1_find(&h, "host"));
                buf_printf(out, "%d %d %d\n", h.keep_alive, h.expect_continue, h.n_fields);
                (void) http1_join(&h, "accept", out);
            } else if (r == HTTP1_BODY) {
                buf_put(out, body.data, body.size);
            } else if (r == HTTP1_END) {
                buf_puts(out, "end\n");
                http1_next(&h);
            }
        } while (r != HTTP1_BAD && r != HTTP1_MORE && (left > 0 || r != HTTP1_END));
    }
    if (r == HTTP1_BAD)
        buf_printf(out, "%d %s", h.status, h.reason);
    http1_done(&h);
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
