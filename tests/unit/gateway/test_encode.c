/* Content codings and entity tags. */
#include "tests/unit/gateway/support.h"

#include <brotli/decode.h>
#include <zlib.h>
#include <zstd.h>

#include "gateway/encode.h"
#include "gateway/etag.h"
#include "rpc/nrpc.h"

static void chooses_the_coding(void **state)
{
    (void) state;
    static const struct {
        const char *header;
        enum encoding expected;
    } cases[] = {
        { "", ENCODING_IDENTITY },
        { "gzip", ENCODING_GZIP },
        { "GZIP", ENCODING_GZIP },
        { "br", ENCODING_BROTLI },
        { "gzip, deflate, br", ENCODING_BROTLI },
        { "gzip, br;q=0.9", ENCODING_GZIP },
        { "gzip;q=0.5, br;q=0.5", ENCODING_BROTLI },
        { "deflate", ENCODING_IDENTITY },
        { "zstd", ENCODING_ZSTD },
        { "gzip, deflate, br, zstd", ENCODING_ZSTD },
        { "gzip, deflate, br, zstd;q=0.9", ENCODING_BROTLI },
        { "zstd;q=0, *", ENCODING_BROTLI },
        { "zstd;q=0, br;q=0, *;q=0.1", ENCODING_GZIP },
        { "zst, zstandard", ENCODING_IDENTITY },
        { "*", ENCODING_ZSTD },
        { "*;q=0.1, gzip", ENCODING_GZIP },
        { "br;q=0, *", ENCODING_ZSTD },
        { "gzip;q=0", ENCODING_IDENTITY },
        { "identity", ENCODING_IDENTITY },
        { "identity;q=0.5, gzip;q=0.2", ENCODING_IDENTITY },
        { "identity;q=0", ENCODING_IDENTITY }, /* an answer beats none */
        { "*;q=0", ENCODING_IDENTITY },
        { "gzip;q=0.001", ENCODING_GZIP },
        { "x-gzip-like", ENCODING_IDENTITY },
        { ",,;q", ENCODING_IDENTITY },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct guarded g = guarded_copy(cases[i].header, strlen(cases[i].header));
        if (encoding_choose((const char *) g.data, strlen(cases[i].header)) != cases[i].expected)
            fail_msg("\"%s\"", cases[i].header);
        guarded_free(g);
    }
}

static size_t decode_zstd(const struct buf *in, uint8_t *out, size_t room, bool *out_ended)
{
    ZSTD_DStream *d = ZSTD_createDStream();
    ZSTD_inBuffer from = { in->data, in->size, 0 };
    ZSTD_outBuffer to = { out, room, 0 };
    size_t left = 1;
    while (from.pos < from.size && left > 0) {
        left = ZSTD_decompressStream(d, &to, &from);
        assert_false(ZSTD_isError(left));
    }
    assert_int_equal(from.pos, from.size);
    *out_ended = left == 0;
    ZSTD_freeDStream(d);
    return to.pos;
}

/* Decodes all of `in`; what comes out must be a prefix of, or all of, the original. */
static size_t decode(enum encoding kind, const struct buf *in, uint8_t *out, size_t room,
                     bool *out_ended)
{
    if (kind == ENCODING_GZIP) {
        z_stream z = { .next_in = in->data,
                       .avail_in = (uInt) in->size,
                       .next_out = out,
                       .avail_out = (uInt) room };
        assert_int_equal(inflateInit2(&z, 16 + 15), Z_OK);
        int r = inflate(&z, Z_SYNC_FLUSH);
        assert_true(r == Z_OK || r == Z_STREAM_END);
        *out_ended = r == Z_STREAM_END;
        size_t n = room - z.avail_out;
        inflateEnd(&z);
        return n;
    }
    if (kind == ENCODING_ZSTD)
        return decode_zstd(in, out, room, out_ended);
    BrotliDecoderState *d = BrotliDecoderCreateInstance(NULL, NULL, NULL);
    const uint8_t *next_in = in->data;
    uint8_t *next_out = out;
    size_t left_in = in->size, left_out = room;
    BrotliDecoderResult r =
        BrotliDecoderDecompressStream(d, &left_in, &next_in, &left_out, &next_out, NULL);
    assert_true(r == BROTLI_DECODER_RESULT_SUCCESS || r == BROTLI_DECODER_RESULT_NEEDS_MORE_INPUT);
    *out_ended = r == BROTLI_DECODER_RESULT_SUCCESS;
    BrotliDecoderDestroyInstance(d);
    return room - left_out;
}

enum { TEXT_SIZE = 60000 };

/* After each put everything given so far can be read, and only the end ends it. */
static void what_is_put_can_be_read_at_once(void **state)
{
    (void) state;
    static uint8_t text[TEXT_SIZE], out[TEXT_SIZE + 1];
    for (size_t i = 0; i < TEXT_SIZE; i++)
        text[i] = (uint8_t) (i % 7 == 0 ? i >> 3 : (size_t) "event: data\n"[i % 12]);
    for (int kind = ENCODING_GZIP; kind < ENCODINGS; kind++)
        for (int streaming = 0; streaming < 2; streaming++)
            for (size_t step = 1; step <= TEXT_SIZE; step = step * 17 + 1) {
                struct encoder *e = encoder_new((enum encoding) kind, streaming != 0);
                struct buf coded = { 0 };
                size_t last = TEXT_SIZE < 40 * step ? TEXT_SIZE : 40 * step;
                bool ended;
                for (size_t at = 0; at < last; at += step) {
                    size_t n = last - at < step ? last - at : step;
                    assert_int_equal(encoder_put(e, text + at, n, false, &coded), 0);
                    assert_int_equal(decode((enum encoding) kind, &coded, out, sizeof out, &ended),
                                     at + n);
                    assert_memory_equal(out, text, at + n);
                    assert_false(ended);
                }
                assert_int_equal(encoder_put(e, "", 0, true, &coded), 0);
                assert_int_equal(decode((enum encoding) kind, &coded, out, sizeof out, &ended),
                                 last);
                assert_true(ended);
                encoder_free(e);
                buf_done(&coded);
            }
}

static void an_encoder_serves_many_answers(void **state)
{
    (void) state;
    static const char text[] = "{\"characters\":[\"engineer\",\"pilot\",\"scientist\"]}";
    uint8_t out[256];
    bool ended;
    for (int kind = ENCODING_GZIP; kind < ENCODINGS; kind++) {
        struct encoder *e = encoder_new((enum encoding) kind, false);
        for (size_t i = 0; i < 20; i++) {
            struct buf coded = { 0 };
            assert_int_equal(encoder_reset(e), 0);
            assert_int_equal(encoder_put(e, text, sizeof text - 1 - i, true, &coded), 0);
            assert_int_equal(decode((enum encoding) kind, &coded, out, sizeof out, &ended),
                             sizeof text - 1 - i);
            assert_memory_equal(out, text, sizeof text - 1 - i);
            assert_true(ended);
            buf_done(&coded);
        }
        encoder_free(e);
    }
}

/* Text that repeats itself only from afar, so that a larger window would be used if there was one.
 */
static void put_lines(struct buf *out, size_t size)
{
    uint32_t seed = 1;
    while (out->size < size)
        buf_printf(out, "event: %08x\n", seed = seed * 1664525 + 1013904223);
    assert_false(out->failed);
}

/* However much a stream carries, its window is the one that it announced, and the client needs no
 * more than that to read it. */
static void a_stream_of_zstd_needs_a_small_window(void **state)
{
    (void) state;
    struct buf text = { 0 }, coded = { 0 }, out = { 0 };
    put_lines(&text, 3 << 20);
    assert_int_equal(buf_reserve(&out, text.size), 0);
    struct encoder *e = encoder_new(ENCODING_ZSTD, true);
    for (size_t at = 0; at < text.size; at += 1 << 16)
        assert_int_equal(encoder_put(e, text.data + at,
                                     text.size - at < 1 << 16 ? text.size - at : 1 << 16, false,
                                     &coded),
                         0);
    assert_int_equal(encoder_put(e, "", 0, true, &coded), 0);
    ZSTD_DCtx *d = ZSTD_createDCtx();
    assert_false(ZSTD_isError(ZSTD_DCtx_setParameter(d, ZSTD_d_windowLogMax, 13)));
    ZSTD_inBuffer from = { coded.data, coded.size, 0 };
    ZSTD_outBuffer to = { out.data, out.capacity, 0 };
    assert_int_equal(ZSTD_decompressStream(d, &to, &from), 0);
    assert_int_equal(to.pos, text.size);
    assert_memory_equal(out.data, text.data, text.size);
    ZSTD_freeDCtx(d);
    encoder_free(e);
    buf_done(&text);
    buf_done(&coded);
    buf_done(&out);
}

/* True when there was no memory, which the encoder then said. */
static bool fails_at(uint64_t n, enum encoding kind, bool streaming)
{
    static const char text[] = "{\"characters\":[\"engineer\",\"pilot\",\"scientist\"]}";
    struct buf coded = { 0 };
    uint8_t out[256];
    bool ended;
    alloc_fail_at(n);
    struct encoder *e = encoder_new(kind, streaming);
    int r = e == NULL ? NRPC_E_NOMEM : encoder_put(e, text, sizeof text, true, &coded);
    alloc_fail_at(0);
    encoder_free(e);
    if (r == 0)
        assert_int_equal(decode(kind, &coded, out, sizeof out, &ended), sizeof text);
    else
        assert_int_equal(r, NRPC_E_NOMEM);
    buf_done(&coded);
    return r < 0;
}

/* Debian's Brotli is built to end the process in that case, so it is left out. */
static void memory_that_is_missing_is_told(void **state)
{
    (void) state;
    static const enum encoding kinds[] = { ENCODING_GZIP, ENCODING_ZSTD };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        for (int streaming = 0; streaming < 2; streaming++) {
            uint64_t n = 1;
            while (fails_at(n, kinds[i], streaming != 0))
                n++;
            assert_true(n > 2);
        }
}

static void lists_of_tags_are_read_whole(void **state)
{
    (void) state;
    static const struct {
        const char *list, *tag;
        bool weak, has;
    } cases[] = {
        { "\"a\"", "a", true, true },
        { "\"a\"", "b", true, false },
        { "*", "a", true, true },
        { " * ", "a", true, true },
        { "W/\"a\"", "a", true, true },
        { "W/\"a\"", "a", false, false },
        { "\"x\", W/\"y\" ,\"a\"", "a", false, true },
        { "\"a-gz\"", "a", true, true },
        { "\"a-br\", \"q\"", "a", true, true },
        { "\"a-zs\"", "a", true, true },
        { "\"-gz\"", "-gz", true, true },
        { "\"a,b\"", "a", true, false },
        { "\"a,b\"", "a,b", true, true },
        { "a", "a", true, false },
        { "\"a", "a", true, false },
        { "", "a", true, false },
        { ",,\"a\"", "a", true, true },
        { "\"x\" y \"a\"", "a", true, false },
        { "W/", "a", true, false },
        { "\"*\"", "a", true, false },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct guarded g = guarded_copy(cases[i].list, strlen(cases[i].list));
        if (etag_list_has((const char *) g.data, strlen(cases[i].list), cases[i].tag,
                          strlen(cases[i].tag), cases[i].weak) != cases[i].has)
            fail_msg("%s against %s", cases[i].list, cases[i].tag);
        guarded_free(g);
    }
}

static void one_strong_tag_can_be_taken(void **state)
{
    (void) state;
    static const struct {
        const char *list, *tag;
    } cases[] = {
        { "\"a\"", "a" },        { " \"a-gz\" ", "a" }, { "\"a\",", "a" }, { "W/\"a\"", NULL },
        { "\"a\",\"b\"", NULL }, { "*", NULL },         { "", NULL },      { "\"a\" x", NULL },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *tag = "untouched";
        size_t size = 9;
        bool found = etag_list_single(cases[i].list, strlen(cases[i].list), &tag, &size);
        assert_int_equal(found, cases[i].tag != NULL);
        const char *expected = found ? cases[i].tag : "untouched";
        assert_int_equal(size, strlen(expected));
        assert_memory_equal(tag, expected, size);
    }
}

static void only_visible_text_is_a_tag(void **state)
{
    (void) state;
    assert_true(etag_is_valid("894ce23a", 8));
    assert_true(etag_is_valid("\xc3\xa9", 2));
    assert_false(etag_is_valid("", 0));
    assert_false(etag_is_valid("a b", 3));
    assert_false(etag_is_valid("a\"b", 3));
    assert_false(etag_is_valid("a\r\n", 3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chooses_the_coding),
        cmocka_unit_test(what_is_put_can_be_read_at_once),
        cmocka_unit_test(an_encoder_serves_many_answers),
        cmocka_unit_test(a_stream_of_zstd_needs_a_small_window),
        cmocka_unit_test(memory_that_is_missing_is_told),
        cmocka_unit_test(lists_of_tags_are_read_whole),
        cmocka_unit_test(one_strong_tag_can_be_taken),
        cmocka_unit_test(only_visible_text_is_a_tag),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
