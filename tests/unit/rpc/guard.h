/* guard.h — bytes that end right before a page nobody may touch: a parser that reads one byte too
 * far dies. */
#ifndef NRPC_TEST_GUARD_H
#define NRPC_TEST_GUARD_H
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "rpc/nrpc.h"

static inline nrpc_slice guarded(const void *data, size_t size)
{
    static uint8_t *end;
    enum { ROOM = 1 << 20 };
    if (end == NULL) {
        size_t page = (size_t) sysconf(_SC_PAGESIZE);
        uint8_t *map =
            mmap(NULL, ROOM + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (map == MAP_FAILED || mprotect(map + ROOM, page, PROT_NONE) < 0)
            abort();
        end = map + ROOM;
    }
    if (size > ROOM)
        abort();
    if (size > 0)
        memcpy(end - size, data, size);
    return (nrpc_slice){ end - size, size };
}

static inline nrpc_slice slice_of(const char *text)
{
    return (nrpc_slice){ (const uint8_t *) text, strlen(text) };
}

/* xorshift64: the same sequence on every machine. */
static inline uint64_t test_random(void)
{
    static uint64_t state = 88172645463325252u;
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}

#endif
