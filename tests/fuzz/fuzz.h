/* fuzz.h — what a fuzz target is: one pure entry point, fed with bytes that anybody may send.  No
 * threads, no sockets, no state that outlives a call.  A broken promise of the code under test is a
 * CHECK, so that it ends the process like any other crash. */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "rpc/base/alloc.h"
#include "rpc/base/arena.h"
#include "rpc/base/buf.h"
#include "rpc/base/check.h"

/* Always 0.  data has no room behind its last byte. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* The i-th input that a program makes better than a hand; false after the last.  Targets that need
 * none leave the weak one of replay.c. */
bool fuzz_seed(size_t i, struct buf *out);

/* Prints where they part. */
static inline bool fuzz_same(const struct buf *a, const struct buf *b)
{
    size_t n = a->size < b->size ? a->size : b->size, at = 0;
    while (at < n && a->data[at] == b->data[at])
        at++;
    if (at == a->size && at == b->size)
        return true;
    fprintf(stderr, "the same up to byte %zu, then:\n", at);
    for (int side = 0; side < 2; side++) {
        const struct buf *x = side == 0 ? a : b;
        for (size_t i = at > 60 ? at - 60 : 0; i < x->size && i < at + 60; i++)
            fprintf(stderr, x->data[i] >= 0x20 && x->data[i] < 0x7f ? "%c" : "<%02x>", x->data[i]);
        fprintf(stderr, side == 0 ? "\nand:\n" : "\n");
    }
    return false;
}
/* Takes the first byte off, 0 when there is none: it chooses among variants. */
static inline uint8_t fuzz_byte(const uint8_t **data, size_t *size)
{
    if (*size == 0)
        return 0;
    ++*data, --*size;
    return (*data)[-1];
}

#endif
