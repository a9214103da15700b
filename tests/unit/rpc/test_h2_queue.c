/* The queue of bytes to send: what is kept for another attempt, copies and moves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "rpc/base/alloc.h"
#include "rpc/base/check.h"
#include "rpc/h2/queue.h"

static int released;
static void release(void *ctx)
{
    (void) ctx;
    released++;
}

static void fill(struct h2_queue *q, size_t size, unsigned seed)
{
    for (size_t i = 0; i < size; i++) {
        uint8_t b = (uint8_t) (seed + i);
        assert_int_equal(h2_queue_put(q, &b, 1), 0);
    }
}

static void expect(struct h2_queue *q, size_t size, unsigned seed)
{
    uint8_t out[4096];
    assert_true(size <= sizeof out);
    assert_int_equal(h2_queue_read(q, out, size), size);
    for (size_t i = 0; i < size; i++)
        assert_int_equal(out[i], (uint8_t) (seed + i));
}

/* However much was read, in whatever pieces, after a rewind all is there again. */
static void test_rewind(void **state)
{
    (void) state;
    static const size_t pieces[] = { 1, 7, 511, 512, 513, 1500, 3000 };
    static const uint8_t shared[100];
    for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
        struct h2_queue q;
        h2_queue_init(&q);
        q.keep_max = 1 << 20;
        released = 0;
        fill(&q, 1500, 3);
        assert_int_equal(h2_queue_put_ref(&q, shared, sizeof shared, release, NULL), 0);
        fill(&q, 1400, 9);
        for (int round = 0; round < 3; round++) {
            uint8_t out[3000];
            size_t n = 0;
            while (n + pieces[i] <= sizeof out)
                n += h2_queue_read(&q, out + n, pieces[i]);
            assert_int_equal(q.size, 3000 - n);
            h2_queue_rewind(&q);
            assert_int_equal(q.size, 3000);
            assert_int_equal(q.kept_bytes, 0);
        }
        assert_int_equal(released, 0);
        fill(&q, 10, 200); /* more behind what was rewound */
        expect(&q, 1500, 3);
        uint8_t out[100];
        assert_int_equal(h2_queue_read(&q, out, 100), 100);
        assert_memory_equal(out, shared, 100);
        expect(&q, 1400, 9);
        expect(&q, 10, 200);
        assert_int_equal(q.size, 0);
        assert_false(q.lost);
        h2_queue_forget(&q);
        assert_int_equal(released, 1);
        h2_queue_clear(&q);
    }
}

static void test_too_much(void **state)
{
    (void) state;
    struct h2_queue q;
    h2_queue_init(&q);
    q.keep_max = 4096;
    bool lost = false;
    for (int i = 0; i < 100 && !lost; i++) {
        fill(&q, 100, 1);
        expect(&q, 100, 1);
        assert_true(q.kept_bytes <= 4096);
        lost = q.lost;
    }
    assert_true(lost);
    assert_int_equal(q.kept_bytes, 0);
    fill(&q, 300, 5);
    expect(&q, 300, 5);
    assert_int_equal(q.kept_bytes, 0);
    h2_queue_clear(&q);
}

static void test_copy_and_move(void **state)
{
    (void) state;
    struct h2_queue a, b;
    h2_queue_init(&a);
    h2_queue_init(&b);
    fill(&a, 2000, 0);
    expect(&a, 10, 0);
    static const size_t skips[] = { 0, 1, 501, 502, 503, 1500, 1989, 1990, 5000 };
    for (size_t i = 0; i < ARRAY_SIZE(skips); i++) {
        size_t left = skips[i] < 1990 ? 1990 - skips[i] : 0;
        assert_int_equal(h2_queue_copy(&b, &a, skips[i]), 0);
        assert_int_equal(b.size, left);
        expect(&b, left, (unsigned) (10 + skips[i]));
        assert_int_equal(a.size, 1990);
    }
    alloc_fail_at(1);
    assert_int_equal(h2_queue_copy(&b, &a, 0), NRPC_E_NOMEM);
    alloc_fail_at(0);
    assert_int_equal(b.size, 0);
    fill(&b, 5, 77);
    h2_queue_move(&b, &a);
    assert_int_equal(a.size, 0);
    assert_int_equal(b.size, 1995);
    expect(&b, 5, 77);
    expect(&b, 1990, 10);
    fill(&a, 3, 1); /* still fit for use */
    expect(&a, 3, 1);
    h2_queue_clear(&a);
    h2_queue_clear(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rewind),
        cmocka_unit_test(test_too_much),
        cmocka_unit_test(test_copy_and_move),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
