/* The small text codecs of gRPC headers: grpc-timeout, grpc-message, Base64 of "-bin" values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "rpc/base/alloc.h"
#include "rpc/base/check.h"
#include "rpc/base/utf8.h"
#include "rpc/grpc/base64.h"
#include "rpc/grpc/percent.h"
#include "rpc/grpc/timeout.h"
#include "guard.h"

static void test_timeout_parse(void **state)
{
    (void) state;
    static const struct {
        const char *in;
        int want;
        uint64_t ns;
    } cases[] = {
        { "1S", 0, 1000000000u },
        { "0n", 0, 0 },
        { "1n", 0, 1 },
        { "1u", 0, 1000 },
        { "1m", 0, 1000000 },
        { "1M", 0, 60000000000u },
        { "1H", 0, 3600000000000u },
        { "00000001n", 0, 1 },
        { "99999999S", 0, 99999999000000000u },
        { "99999999H", 0, UINT64_MAX /* saturates */ },
        { "99999999M", 0, 5999999940000000000u },
        { "000000001n", NRPC_E_PROTO, 0 },
        { "", NRPC_E_PROTO, 0 },
        { "S", NRPC_E_PROTO, 0 },
        { "1", NRPC_E_PROTO, 0 },
        { "1s", NRPC_E_PROTO, 0 },
        { "-1S", NRPC_E_PROTO, 0 },
        { "+1S", NRPC_E_PROTO, 0 },
        { "1S ", NRPC_E_PROTO, 0 },
        { " 1S", NRPC_E_PROTO, 0 },
        { "1.5S", NRPC_E_PROTO, 0 },
        { "0x1S", NRPC_E_PROTO, 0 },
        { "1 S", NRPC_E_PROTO, 0 },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uint64_t ns = 4711;
        assert_int_equal(timeout_parse(guarded(cases[i].in, strlen(cases[i].in)), &ns),
                         cases[i].want);
        assert_true(ns == (cases[i].want == 0 ? cases[i].ns : 4711));
    }
}

static void test_timeout_format(void **state)
{
    (void) state;
    static const struct {
        uint64_t ns;
        const char *want;
    } cases[] = {
        { 0, "0n" },
        { 99999999, "99999999n" },
        { 100000000, "100000u" },
        { 100000001, "100001u" },
        { 99999999000, "99999999u" },
        { 99999999001, "100000m" },
        { 99999999999999, "100000S" },
        { UINT64_C(5999999940000000000), "99999999M" },
        { UINT64_MAX, "5124096H" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char text[TIMEOUT_TEXT_MAX];
        assert_int_equal(timeout_format(cases[i].ns, text), strlen(cases[i].want));
        assert_string_equal(text, cases[i].want);
    }
    /* Any time comes back not shorter, and at most by one part in 100,000 longer. */
    for (int i = 0; i < 100000; i++) {
        uint64_t ns = test_random() >> test_random() % 64, back;
        char text[TIMEOUT_TEXT_MAX];
        size_t size = timeout_format(ns, text);
        assert_int_equal(timeout_parse((nrpc_slice){ (uint8_t *) text, size }, &back), 0);
        assert_true(back >= ns);
        assert_true(back == UINT64_MAX || back - ns <= ns / 100000);
    }
}

static void test_percent_tables(void **state)
{
    (void) state;
    static const struct {
        const char *raw, *wire;
    } both[] = {
        { "", "" },           { "plain text, ~!", "plain text, ~!" },
        { "100%", "100%25" }, { "a\nb\t", "a%0Ab%09" },
        { "\x7f", "%7F" },    { "\xc3\xa9t\xc3\xa9 \xe2\x98\xba", "%C3%A9t%C3%A9 %E2%98%BA" },
    };
    static const struct {
        const char *wire, *raw;
    } decode_only[] = {
        { "%c3%a9", "\xc3\xa9" },
        { "%", "%" },
        { "%2", "%2" },
        { "a%zzb", "a%zzb" },
        { "%%41", "%A" },
        { "%ff", "%ff" },
        /* would not be UTF-8 */ { "%41%00", "%41%00" }, /* a NUL */
        { "%4", "%4" },
        { "+", "+" },
        { "%C3", "%C3" },
        /* what came unencoded and is no text */
        { "a\xff%41", "a\xef\xbf\xbd%41" },
        { "\xc3\xa9\xc3", "\xc3\xa9\xef\xbf\xbd" },
        { "%ff\x80\x80", "%ff\xef\xbf\xbd\xef\xbf\xbd" },
    };
    struct buf out = { 0 };
    for (size_t i = 0; i < ARRAY_SIZE(both); i++) {
        buf_reset(&out);
        percent_encode(&out, guarded(both[i].raw, strlen(both[i].raw)));
        assert_string_equal(buf_str(&out), both[i].wire);
        buf_reset(&out);
        percent_decode(&out, guarded(both[i].wire, strlen(both[i].wire)));
        assert_string_equal(buf_str(&out), both[i].raw);
    }
    for (size_t i = 0; i < ARRAY_SIZE(decode_only); i++) {
        buf_reset(&out);
        percent_decode(&out, guarded(decode_only[i].wire, strlen(decode_only[i].wire)));
        assert_string_equal(buf_str(&out), decode_only[i].raw);
    }
    buf_done(&out);
}

/* Random bytes: what is written is header-safe, and valid text comes back. */
static void test_percent_round_trip(void **state)
{
    (void) state;
    struct buf wire = { 0 }, back = { 0 };
    for (int round = 0; round < 20000; round++) {
        uint8_t text[64];
        size_t size = test_random() % sizeof text;
        for (size_t i = 0; i < size; i++)
            text[i] = (uint8_t) (1 + test_random() % 127); /* ASCII is valid UTF-8 */
        buf_reset(&wire);
        buf_reset(&back);
        percent_encode(&wire, guarded(text, size));
        for (size_t i = 0; i < wire.size; i++)
            assert_in_range(wire.data[i], 0x20, 0x7e);
        percent_decode(&back, guarded(wire.data, wire.size));
        assert_int_equal(back.size, size);
        assert_true(size == 0 || memcmp(back.data, text, size) == 0);
        /* Noise never fails, and always is text. */
        for (size_t i = 0; i < size; i++)
            text[i] = (uint8_t) (test_random() % 3 == 0 ? '%' : test_random());
        buf_reset(&back);
        percent_decode(&back, guarded(text, size));
        assert_true(!back.failed && back.size <= 3 * size);
        assert_true(utf8_valid(back.data, back.size));
    }
    alloc_fail_at(1);
    struct buf none = { 0 };
    percent_decode(&none, slice_of("text"));
    alloc_fail_at(0);
    assert_true(none.failed);
    buf_done(&wire);
    buf_done(&back);
}

static void test_base64_tables(void **state)
{
    (void) state;
    static const struct {
        const char *wire, *raw; /* raw NULL: refused */
    } cases[] = {
        { "", "" },
        { "Zg", "f" },
        { "Zg==", "f" },
        { "Zm8", "fo" },
        { "Zm8=", "fo" },
        { "Zm9v", "foo" },
        { "Zm9vYmFy", "foobar" },
        { "+/+/", "\xfb\xff\xbf" },
        { "Z", NULL },
        { "Zg=", NULL },
        { "Zg===", NULL },
        { "Zm9v=", NULL },
        { "Zm9v==", NULL },
        { "Zm8==", NULL },
        { "=", NULL },
        { "====", NULL },
        { "Zh", NULL },
        { "Zm9", NULL },
        { "Zm 9v", NULL },
        { "Zm9v\n", NULL },
        { "-_-_", NULL },
        { "Zm=v", NULL },
        { "Zm9vZ", NULL },
    };
    struct buf out = { 0 };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        buf_reset(&out);
        buf_puts(&out, "kept");
        int r = base64_decode(&out, guarded(cases[i].wire, strlen(cases[i].wire)));
        assert_int_equal(r, cases[i].raw == NULL ? NRPC_E_PROTO : 0);
        assert_memory_equal(out.data, "kept", 4);
        assert_string_equal(buf_str(&out) + 4, cases[i].raw == NULL ? "" : cases[i].raw);
    }
    buf_done(&out);
    alloc_fail_at(1);
    assert_int_equal(base64_decode(&out, slice_of("Zm9v")), NRPC_E_NOMEM);
    alloc_fail_at(0);
    buf_done(&out);
}

static void test_base64_round_trip(void **state)
{
    (void) state;
    struct buf wire = { 0 }, back = { 0 };
    for (int round = 0; round < 20000; round++) {
        uint8_t data[48];
        size_t size = test_random() % sizeof data;
        for (size_t i = 0; i < size; i++)
            data[i] = (uint8_t) test_random();
        buf_reset(&wire);
        base64_encode(&wire, guarded(data, size));
        assert_null(wire.size == 0 ? NULL : memchr(wire.data, '=', wire.size));
        for (int padded = 0; padded < 2; padded++) {
            buf_reset(&back);
            assert_int_equal(base64_decode(&back, guarded(wire.data, wire.size)), 0);
            assert_int_equal(back.size, size);
            assert_true(size == 0 || memcmp(back.data, data, size) == 0);
            while (wire.size % 4 != 0)
                buf_putc(&wire, '=');
        }
    }
    buf_done(&wire);
    buf_done(&back);
}

static void test_base64_items(void **state)
{
    (void) state;
    static const struct {
        const char *list, *joined;
    } cases[] = {
        { "", "[]" },    { "a", "[a]" },         { "a,b", "[a][b]" }, { "a, b\t,c ", "[a][b][c]" },
        { ",", "[][]" }, { "a,,b", "[a][][b]" }, { " ", "[]" },       { "a,", "[a][]" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct buf joined = { 0 };
        nrpc_slice list = guarded(cases[i].list, strlen(cases[i].list)), item;
        while (base64_next_item(&list, &item))
            buf_printf(&joined, "[%.*s]", (int) item.size, (const char *) item.data);
        assert_string_equal(buf_str(&joined), cases[i].joined);
        buf_done(&joined);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_timeout_parse),  cmocka_unit_test(test_timeout_format),
        cmocka_unit_test(test_percent_tables), cmocka_unit_test(test_percent_round_trip),
        cmocka_unit_test(test_base64_tables),  cmocka_unit_test(test_base64_round_trip),
        cmocka_unit_test(test_base64_items),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
