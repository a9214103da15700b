/* The lists by size behave as a heap does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "clients/load/memory.h"

static void test_random_use(void **state)
{
    (void) state;
    unsigned char *blocks[200] = { 0 };
    size_t sizes[200] = { 0 };
    uint64_t random = 7;
    for (int i = 0; i < 20000; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        size_t k = (size_t) (random >> 33) % 200,
               size = (size_t) (random >> 20) % 70000 >> (random >> 60);
        if (blocks[k] != NULL)
            for (size_t at = 0; at < sizes[k]; at += 97)
                assert_int_equal(blocks[k][at], (unsigned char) k); /* nobody else wrote there */
        if (i % 3 == 0) {
            memory_free(blocks[k]);
            blocks[k] = memory_get(size);
        } else {
            size_t kept = size < sizes[k] ? size : sizes[k];
            blocks[k] = memory_resize(blocks[k], size);
            for (size_t at = 0; at < kept; at += 97)
                assert_int_equal(blocks[k][at], (unsigned char) k);
        }
        assert_non_null(blocks[k]);
        assert_int_equal((uintptr_t) blocks[k] % _Alignof(max_align_t), 0);
        sizes[k] = size;
        memset(blocks[k], (int) k, size);
    }
    for (size_t k = 0; k < 200; k++)
        memory_free(blocks[k]);
    unsigned char *zero = memory_zero(10, 10);
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(zero[i], 0); /* a used block is cleared */
    memory_free(zero);
    assert_null(memory_zero(SIZE_MAX, 2));
    char *copy = memory_strdup("abc");
    assert_string_equal(copy, "abc");
    memory_free(copy);
    memory_free(NULL);
    memory_drain();
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_random_use) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
