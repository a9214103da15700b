/* The message parser: whole, byte by byte, in random pieces; limits, flags, accounting, no memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "rpc/base/alloc.h"
#include "rpc/base/buf.h"
#include "rpc/base/check.h"
#include "rpc/base/gauge.h"
#include "rpc/grpc/codec.h"
#include "rpc/grpc/frame.h"
#include "guard.h"

static int64_t held, held_max;

static void on_partial(void *ctx, int64_t delta)
{
    assert_ptr_equal(ctx, &held);
    held += delta;
    held_max = held > held_max ? held : held_max;
    assert_true(held >= 0);
}

/* Feeds `bytes` in pieces of at most `piece` and joins the messages as "<...>".  The last result.
 */
static int feed_all(struct frame_parser *p, nrpc_slice bytes, size_t piece, struct buf *out)
{
    int r = 0;
    while (bytes.size > 0) {
        size_t n = bytes.size < piece ? bytes.size : piece;
        nrpc_slice part = guarded(bytes.data, n);
        nrpc_msg *m = NULL;
        while ((r = frame_feed(p, &part, &m)) == 1) {
            buf_putc(out, '<');
            buf_put(out, nrpc_msg_bytes(m).data, nrpc_msg_bytes(m).size);
            buf_putc(out, '>');
            nrpc_msg_free(m);
            m = NULL;
        }
        assert_null(m);
        if (r < 0)
            return r;
        assert_int_equal(part.size, 0);
        bytes.data += n;
        bytes.size -= n;
    }
    return r;
}

#define BYTES(s) s, sizeof(s) - 1
static void test_frame_table(void **state)
{
    (void) state;
    static const struct {
        const char *bytes;
        size_t size;
        int want;
        const char *messages;
        bool partial;
        const char *why; /* in the status of an error */
    } cases[] = {
        { BYTES(""), 0, "", false, NULL },
        { BYTES("\0\0\0\0\x02hi"), 0, "<hi>", false, NULL },
        { BYTES("\0\0\0\0\0"), 0, "<>", false, NULL },
        { BYTES("\0\0\0\0\x01"
                "a\0\0\0\0\0\0\0\0\0\x02"
                "bc"),
          0, "<a><><bc>", false, NULL },
        { BYTES("\0\0\0\0\x0a"
                "0123456789"),
          0, "<0123456789>", false, NULL },
        { BYTES("\0"), 0, "", true, "incomplete" },
        { BYTES("\0\0\0\0"), 0, "", true, "incomplete" },
        { BYTES("\0\0\0\0\x01"), 0, "", true, "incomplete" },
        { BYTES("\0\0\0\0\x03"
                "ab"),
          0, "", true, "incomplete" },
        { BYTES("\0\0\0\0\x01"
                "a\0\0"),
          0, "<a>", true, "incomplete" },
        { BYTES("\0\0\0\0\x0b"
                "0123456789a"),
          NRPC_E_TOOBIG, "", true, "11 bytes is larger than the limit of 10" },
        { BYTES("\0\xff\xff\xff\xff"), NRPC_E_TOOBIG, "", true, "4294967295 bytes" },
        { BYTES("\0\0\0\0\x01"
                "a\x01\0\0\0\0"),
          NRPC_E_PROTO, "<a>", true, "compressed" },
        { BYTES("\x01"), NRPC_E_PROTO, "", true, "compressed" },
        { BYTES("\x02\0\0\0\0"), NRPC_E_PROTO, "", true, "flags 0x02" },
        { BYTES("GET / HTTP/1.1"), NRPC_E_PROTO, "", true, "flags 0x47" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        for (size_t piece = 1; piece <= 16; piece++) {
            struct frame_parser p;
            struct buf out = { 0 };
            nrpc_status st = NRPC_STATUS_INIT;
            held = 0;
            frame_init(&p, 10, on_partial, &held);
            nrpc_slice bytes = { (const uint8_t *) cases[i].bytes, cases[i].size };
            assert_int_equal(feed_all(&p, bytes, piece, &out), cases[i].want);
            assert_string_equal(buf_str(&out), cases[i].messages);
            assert_int_equal(frame_is_partial(&p), cases[i].partial);
            if (cases[i].why != NULL) {
                frame_error_status(&p, &st);
                assert_non_null(strstr(st.message, cases[i].why));
                assert_int_equal(st.code, cases[i].want == NRPC_E_TOOBIG ? NRPC_RESOURCE_EXHAUSTED
                                                                         : NRPC_INTERNAL);
            }
            if (cases[i].want < 0) { /* sticky */
                nrpc_slice more = slice_of("more");
                nrpc_msg *m = NULL;
                assert_int_equal(frame_feed(&p, &more, &m), cases[i].want);
                assert_null(m);
            }
            frame_done(&p);
            frame_done(&p);
            assert_int_equal(held, 0);
            assert_int_equal(gauge_read(GAUGE_MESSAGES), 0);
            nrpc_status_clear(&st);
            buf_done(&out);
        }
}

/* Packed messages in pieces of any size come out as they went in. */
static void test_frame_round_trip(void **state)
{
    (void) state;
    for (int round = 0; round < 300; round++) {
        struct buf wire = { 0 }, want = { 0 }, got = { 0 };
        uint8_t data[5000];
        for (uint64_t n = test_random() % 6; n > 0; n--) {
            size_t size = (size_t) (test_random() % sizeof data >> test_random() % 12);
            for (size_t i = 0; i < size; i++)
                data[i] = (uint8_t) test_random();
            assert_int_equal(codec_pack_bytes(&wire, (nrpc_slice){ data, size }, sizeof data), 0);
            buf_putc(&want, '<');
            buf_put(&want, data, size);
            buf_putc(&want, '>');
        }
        struct frame_parser p;
        held = held_max = 0;
        frame_init(&p, sizeof data, on_partial, &held);
        assert_int_equal(
            feed_all(&p, (nrpc_slice){ wire.data, wire.size }, 1 + test_random() % 6000, &got), 0);
        assert_int_equal(got.size, want.size);
        assert_true(want.size == 0 || memcmp(got.data, want.data, want.size) == 0);
        assert_false(frame_is_partial(&p));
        assert_int_equal(held, 0);
        assert_true(held_max < (int64_t) sizeof data);
        frame_done(&p);
        buf_done(&wire);
        buf_done(&want);
        buf_done(&got);
    }
}

/* The limit comes before the allocation, and an allocation that fails is a status, not a crash. */
static void test_frame_memory(void **state)
{
    (void) state;
    struct frame_parser p;
    nrpc_msg *m = NULL;
    nrpc_status st = NRPC_STATUS_INIT;
    frame_init(&p, 100, NULL, NULL);
    alloc_fail_at(0);
    nrpc_slice big = { (const uint8_t *) "\0\x7f\xff\xff\xff", 5 };
    assert_int_equal(frame_feed(&p, &big, &m), NRPC_E_TOOBIG);
    assert_int_equal(alloc_count(), 0);
    frame_done(&p);
    frame_init(&p, 100, NULL, NULL);
    nrpc_slice small = { (const uint8_t *) "\0\0\0\0\x01"
                                           "a",
                         6 };
    alloc_fail_at(1);
    int r = frame_feed(&p, &small, &m);
    alloc_fail_at(0);
    assert_int_equal(r, NRPC_E_NOMEM);
    frame_error_status(&p, &st);
    assert_int_equal(st.code, NRPC_RESOURCE_EXHAUSTED);
    assert_null(m);
    nrpc_status_clear(&st);
    frame_done(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frame_table),
        cmocka_unit_test(test_frame_round_trip),
        cmocka_unit_test(test_frame_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
