/* rpc/base: buffers, arenas, maps, UTF-8, SHA-256, clock text, log lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "rpc/base/alloc.h"
#include "rpc/base/arena.h"
#include "rpc/base/buf.h"
#include "rpc/base/check.h"
#include "rpc/base/clock.h"
#include "rpc/base/list.h"
#include "rpc/base/log.h"
#include "rpc/base/map.h"
#include "rpc/base/sha256.h"
#include "rpc/base/utf8.h"

static void test_buf_grows_and_drops(void **state)
{
    (void) state;
    struct buf b = { 0 };
    for (int i = 0; i < 1000; i++)
        buf_printf(&b, "%d,", i);
    assert_int_equal(b.size, 10 * 2 + 90 * 3 + 900 * 4);
    buf_drop(&b, 4);
    assert_memory_equal(b.data, "2,3,", 4);
    buf_reset(&b);
    buf_put_u64(&b, UINT64_MAX);
    buf_putc(&b, '.');
    buf_put_u64(&b, 0);
    assert_string_equal(buf_str(&b), "18446744073709551615.0");
    buf_done(&b);
}

static void test_buf_failure_is_sticky(void **state)
{
    (void) state;
    struct buf b = { 0 };
    buf_puts(&b, "kept");
    alloc_fail_at(1);
    assert_null(buf_grow(&b, 1000));
    alloc_fail_at(0);
    buf_puts(&b, "dropped");
    assert_true(b.failed);
    assert_int_equal(b.size, 4);
    assert_int_equal(buf_reserve(&b, SIZE_MAX), -1);
    buf_done(&b);
}

static void test_arena_aligns_and_resets(void **state)
{
    (void) state;
    struct arena a;
    arena_init(&a, 300);
    for (size_t size = 0; size < 5000; size += 37) {
        uint8_t *p = arena_zero(&a, 1, size);
        assert_non_null(p);
        assert_int_equal((uintptr_t) p % 16, 0);
        memset(p, 0xab, size);
    }
    assert_non_null(arena_get(&a, 1 << 20));
    assert_string_equal(arena_printf(&a, "%s-%d", "x", 7), "x-7");
    assert_null(arena_zero(&a, SIZE_MAX / 2, 4));
    assert_null(arena_get(&a, SIZE_MAX));
    arena_reset(&a);
    assert_true(a.total_bytes < 1024);
    assert_string_equal(arena_strndup(&a, "abcdef", 3), "abc");
    arena_done(&a);
    assert_int_equal(a.total_bytes, 0);
}

static void test_map_against_model(void **state)
{
    (void) state;
    enum { KEYS = 500 };
    static char value[KEYS];
    void *model[KEYS] = { 0 };
    struct map m = { 0 };
    uint32_t r = 12345;
    for (int step = 0; step < 20000; step++) {
        r = r * 1664525u + 1013904223u;
        unsigned k = (r >> 8) % KEYS;
        char key[16];
        size_t size = (size_t) snprintf(key, sizeof key, "key-%u", k);
        if ((r >> 28) < 9) {
            void *replaced = NULL;
            assert_int_equal(map_set(&m, key, size, &value[k], &replaced), 0);
            assert_ptr_equal(replaced, model[k]);
            model[k] = &value[k];
        } else {
            assert_ptr_equal(map_remove(&m, key, size), model[k]);
            model[k] = NULL;
        }
        unsigned probe = (r >> 4) % KEYS;
        size = (size_t) snprintf(key, sizeof key, "key-%u", probe);
        assert_ptr_equal(map_get(&m, key, size), model[probe]);
    }
    map_done(&m);
}

static void test_utf8_table(void **state)
{
    (void) state;
    static const struct {
        const char *in;
        size_t size, valid;
    } cases[] = {
        { "plain ascii, long enough", 24, 24 }, { "\xc3\xa9", 2, 2 }, { "\xe2\x82\xac", 3, 3 },
        { "\xf0\x9f\x9a\x80", 4, 4 },           { "\xf4\x8f\xbf\xbf", 4, 4 },
        { "a\xff", 2, 1 },                      { "\xc0\x80", 2, 0 },        { "\xe0\x80\x80", 3, 0 },
        { "\xed\xa0\x80", 3, 0 },               { "\xf4\x90\x80\x80", 4, 0 }, { "\xc3", 1, 0 },
        { "ok\xe2\x82", 4, 2 },                 { "\x80", 1, 0 },            { "a\0b", 3, 3 },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_int_equal(utf8_valid_prefix(cases[i].in, cases[i].size), cases[i].valid);
    for (uint32_t c = 0; c <= 0x10ffff; c += c < 0x3000 ? 1 : 251) {
        if (c >= 0xd800 && c < 0xe000)
            continue;
        uint8_t bytes[4];
        size_t n = utf8_encode(c, bytes), back_size;
        assert_true(utf8_valid(bytes, n));
        assert_int_equal(utf8_decode(bytes, n, &back_size), c);
        assert_int_equal(back_size, n);
        assert_int_equal(utf8_count(bytes, n), 1);
    }
}

static void test_sha256_vectors(void **state)
{
    (void) state;
    uint8_t digest[SHA256_SIZE], again[SHA256_SIZE];
    char hex[65];
    sha256_of("abc", 3, digest); /* FIPS 180-4, example B.1 */
    sha256_hex(digest, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    struct sha256 *s = sha256_new();
    assert_non_null(s);
    for (int round = 0; round < 2; round++) {
        sha256_start(s);
        sha256_add(s, "a", 1);
        sha256_add(s, "bc", 2);
        sha256_finish(s, again);
        assert_memory_equal(digest, again, SHA256_SIZE);
    }
    sha256_free(s);
}

static void test_clock_text(void **state)
{
    (void) state;
    char text[32];
    clock_format_rfc3339(1795507849123456789u, text);
    assert_string_equal(text, "2026-11-24T08:10:49.123456Z");
    assert_true(clock_mono_ns() <= clock_mono_ns());
}

static void test_log_line_is_json(void **state)
{
    (void) state;
    int pipe_fds[2];
    assert_int_equal(pipe(pipe_fds), 0);
    log_setup("test", pipe_fds[1], LOG_LEVEL_INFO);
    log_event(LOG_LEVEL_DEBUG, "hidden");
    log_event(LOG_LEVEL_WARN, "said", LOG_S("text", "a\"b\n\xff"), LOG_I("n", -3), LOG_B("yes", true));
    char line[512];
    ssize_t size = read(pipe_fds[0], line, sizeof line - 1);
    assert_true(size > 0);
    line[size] = '\0';
    assert_non_null(strstr(line, "\"severity\":\"warn\",\"program\":\"test\",\"event\":\"said\","
                                 "\"text\":\"a\\\"b\\u000a\xef\xbf\xbd\",\"n\":-3,\"yes\":true}\n"));
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    log_setup("test", 2, LOG_LEVEL_OFF);
}

static void test_list_order(void **state)
{
    (void) state;
    struct list head, items[3];
    list_init(&head);
    for (int i = 0; i < 3; i++)
        list_add_tail(&head, &items[i]);
    list_remove(&items[1]);
    list_remove(&items[1]);
    assert_ptr_equal(list_take(&head), &items[0]);
    assert_ptr_equal(list_take(&head), &items[2]);
    assert_null(list_take(&head));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buf_grows_and_drops),  cmocka_unit_test(test_buf_failure_is_sticky),
        cmocka_unit_test(test_arena_aligns_and_resets), cmocka_unit_test(test_map_against_model),
        cmocka_unit_test(test_utf8_table),           cmocka_unit_test(test_sha256_vectors),
        cmocka_unit_test(test_clock_text),           cmocka_unit_test(test_log_line_is_json),
        cmocka_unit_test(test_list_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
