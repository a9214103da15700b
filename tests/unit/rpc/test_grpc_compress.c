/* One message compressed and back: limits, members, rubbish, memory. */
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
#include "rpc/grpc/compress.h"
#include "guard.h"

static struct compressor *z;

/* Appends `size` bytes that compress to almost nothing, or hardly at all. */
static void fill(struct buf *b, size_t size, bool random)
{
    for (size_t i = 0; i < size; i++)
        buf_putc(b, random ? (char) test_random() : 'a');
    assert_false(b->failed);
}

static void squeeze(nrpc_compression k, const struct buf *plain, struct buf *out)
{
    nrpc_slice bytes;
    assert_int_equal(
        compress_deflate(z, k, (nrpc_slice){ plain->data, plain->size }, SIZE_MAX, &bytes), 0);
    assert_true(bytes.size > 0);
    buf_put(out, bytes.data, bytes.size);
}

static int inflate_all(nrpc_compression k, const struct buf *b, uint32_t max, nrpc_msg **out)
{
    return compress_inflate(z, k, guarded(b->data, b->size), max, out);
}

static void test_round_trip(void **state)
{
    (void) state;
    static const size_t sizes[] = { 0, 1, 100, 511, 512, 513, 2048, 65536, 65537, 900000 };
    for (size_t i = 0; i < ARRAY_SIZE(sizes) * 4; i++) {
        nrpc_compression k = i & 1 ? NRPC_GZIP : NRPC_DEFLATE;
        struct buf plain = { 0 }, small = { 0 };
        fill(&plain, sizes[i / 4], (i & 2) != 0);
        squeeze(k, &plain, &small);
        uint32_t size = (uint32_t) plain.size;
        nrpc_msg *m = NULL;
        /* Exactly at the limit; and one byte over it. */
        assert_int_equal(inflate_all(k, &small, size, &m), 0);
        assert_int_equal(nrpc_msg_bytes(m).size, size);
        if (size > 0)
            assert_memory_equal(nrpc_msg_bytes(m).data, plain.data, size);
        assert_true(nrpc_msg_was_compressed(m));
        nrpc_msg_free(m);
        m = NULL;
        if (size > 0)
            assert_int_equal(inflate_all(k, &small, size - 1, &m), NRPC_E_TOOBIG);
        assert_int_equal(inflate_all(k == NRPC_GZIP ? NRPC_DEFLATE : NRPC_GZIP, &small, size, &m),
                         NRPC_E_PROTO);
        assert_null(m);
        compressor_trim(z);
        buf_done(&plain);
        buf_done(&small);
    }
}

/* Bytes that are cut off anywhere, or go on behind the end, are no message. */
static void test_broken(void **state)
{
    (void) state;
    for (nrpc_compression k = NRPC_GZIP; k <= NRPC_DEFLATE; k++) {
        struct buf plain = { 0 }, small = { 0 };
        fill(&plain, 300, true);
        squeeze(k, &plain, &small);
        nrpc_msg *m = NULL;
        for (size_t n = 0; n < small.size; n++) {
            struct buf part = { .data = small.data, .size = n };
            assert_int_equal(inflate_all(k, &part, 1000, &m), NRPC_E_PROTO);
        }
        for (size_t i = 0; i < 8; i++) { /* the checksum, and gzip's length */
            size_t at = small.size - 1 - i;
            if (k == NRPC_DEFLATE && i >= 4)
                break;
            small.data[at] ^= 1;
            assert_int_equal(inflate_all(k, &small, 1000, &m), NRPC_E_PROTO);
            small.data[at] ^= 1;
        }
        size_t whole = small.size;
        for (int i = 0; i < 4; i++) {
            static const char *const rubbish[] = { "", "x", "PK", "\x1f\x8b\x08" };
            small.size = whole;
            buf_put(&small, rubbish[i], i == 0 ? 1 : strlen(rubbish[i]));
            assert_int_equal(inflate_all(k, &small, 1000, &m), NRPC_E_PROTO);
        }
        assert_null(m);
        buf_done(&plain);
        buf_done(&small);
    }
    /* A zlib stream that wants a dictionary. */
    struct buf dictionary = { 0 };
    nrpc_msg *m = NULL;
    buf_put(&dictionary, "\x78\xbb\1\2\3\4\0\0", 8);
    assert_int_equal(inflate_all(NRPC_DEFLATE, &dictionary, 1000, &m), NRPC_E_PROTO);
    buf_done(&dictionary);
}

static void test_members(void **state)
{
    (void) state;
    struct buf plain = { 0 }, small = { 0 };
    nrpc_msg *m = NULL;
    fill(&plain, 40, true);
    for (int i = 0; i < 50; i++)
        squeeze(NRPC_GZIP, &plain, &small);
    assert_int_equal(inflate_all(NRPC_GZIP, &small, 2000, &m), 0);
    assert_int_equal(nrpc_msg_bytes(m).size, 2000);
    for (size_t i = 0; i < 50; i++)
        assert_memory_equal(nrpc_msg_bytes(m).data + i * 40, plain.data, 40);
    nrpc_msg_free(m);
    assert_int_equal(inflate_all(NRPC_GZIP, &small, 1999, &m), NRPC_E_TOOBIG);
    /* zlib's format has no members. */
    buf_reset(&small);
    squeeze(NRPC_DEFLATE, &plain, &small);
    squeeze(NRPC_DEFLATE, &plain, &small);
    assert_int_equal(inflate_all(NRPC_DEFLATE, &small, 2000, &m), NRPC_E_PROTO);
    buf_done(&plain);
    buf_done(&small);
}

/* 64 KiB that stand for 64 MiB: refused with no more memory than the limit allows. */
static void test_bomb(void **state)
{
    (void) state;
    for (nrpc_compression k = NRPC_GZIP; k <= NRPC_DEFLATE; k++) {
        struct buf plain = { 0 }, small = { 0 };
        assert_non_null(buf_grow(&plain, 64 << 20));
        memset(plain.data, 0, plain.size);
        squeeze(k, &plain, &small);
        compressor_trim(z);
        buf_done(&plain);
        nrpc_msg *m = NULL;
        alloc_fail_at(UINT64_MAX);
        assert_int_equal(inflate_all(k, &small, 10000, &m), NRPC_E_TOOBIG);
        assert_true(alloc_count() < 20);
        alloc_fail_at(0);
        assert_int_equal(inflate_all(k, &small, 1 << 20, &m), NRPC_E_TOOBIG);
        assert_null(m);
        buf_done(&small);
    }
}

/* Only when it helps. */
static void test_size_max(void **state)
{
    (void) state;
    struct buf plain = { 0 };
    nrpc_slice bytes;
    fill(&plain, 1000, true);
    nrpc_slice in = { plain.data, plain.size };
    assert_int_equal(compress_deflate(z, NRPC_GZIP, in, in.size - 1, &bytes), 0);
    assert_int_equal(bytes.size, 0);
    memset(plain.data, 'a', plain.size);
    assert_int_equal(compress_deflate(z, NRPC_GZIP, in, in.size - 1, &bytes), 0);
    assert_in_range(bytes.size, 1, 100);
    buf_done(&plain);
}

static void test_without_memory(void **state)
{
    (void) state;
    struct buf plain = { 0 }, small = { 0 };
    fill(&plain, 5000, true);
    squeeze(NRPC_GZIP, &plain, &small);
    bool through = false;
    for (uint64_t n = 1; !through; n++) {
        struct compressor *own = NULL;
        nrpc_msg *m = NULL;
        nrpc_slice bytes;
        assert_true(n < 100);
        alloc_fail_at(n);
        int r = compressor_new(&own);
        if (r == 0)
            r = compress_deflate(own, NRPC_DEFLATE, (nrpc_slice){ plain.data, plain.size },
                                 SIZE_MAX, &bytes);
        if (r == 0)
            r = compress_inflate(own, NRPC_GZIP, (nrpc_slice){ small.data, small.size }, 5000, &m);
        through = alloc_count() < n;
        alloc_fail_at(0);
        assert_int_equal(r, through ? 0 : NRPC_E_NOMEM);
        assert_true((m != NULL) == through);
        /* What failed leaves a compressor that works. */
        if (own != NULL && !through) {
            assert_int_equal(
                compress_inflate(own, NRPC_GZIP, (nrpc_slice){ small.data, small.size }, 5000, &m),
                0);
            assert_memory_equal(nrpc_msg_bytes(m).data, plain.data, plain.size);
        }
        nrpc_msg_free(m);
        compressor_free(own);
    }
    buf_done(&plain);
    buf_done(&small);
}

static void test_names(void **state)
{
    (void) state;
    static const struct {
        const char *list;
        uint32_t want;
    } cases[] = {
        { "", 0 },
        { "gzip", 1u << NRPC_GZIP },
        { "identity,deflate,gzip", 7 },
        { " gzip ,\tdeflate", 1u << NRPC_GZIP | 1u << NRPC_DEFLATE },
        { "snappy, zstd,,gzip;q=1", 0 },
        { "GZIP,gzip2,gzi", 0 },
        { ",,,identity,", 1u << NRPC_IDENTITY },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_int_equal(compress_parse_list(guarded(cases[i].list, strlen(cases[i].list))),
                         cases[i].want);
    nrpc_compression k = NRPC_DEFLATE;
    assert_false(compress_parse(slice_of("br"), &k));
    assert_int_equal(k, NRPC_DEFLATE);
    assert_true(compress_parse(slice_of("gzip"), &k));
    assert_int_equal(k, NRPC_GZIP);
    assert_null(compress_name((nrpc_compression) 3));
}

static int set_up(void **state)
{
    (void) state;
    return compressor_new(&z);
}
static int tear_down(void **state)
{
    (void) state;
    compressor_free(z);
    return gauge_read(GAUGE_MESSAGES) != 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),     cmocka_unit_test(test_broken),
        cmocka_unit_test(test_members),        cmocka_unit_test(test_bomb),
        cmocka_unit_test(test_size_max),       cmocka_unit_test(test_names),
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
