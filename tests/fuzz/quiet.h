/* quiet.h — for entry points that read a file and print: a file in memory, and standard streams
 * that go nowhere meanwhile. */
#ifndef TESTS_FUZZ_QUIET_H
#define TESTS_FUZZ_QUIET_H
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"

struct quiet {
    FILE *nowhere, *out, *err;
};
static inline struct quiet quiet_start(void)
{
    struct quiet q = { fopen("/dev/null", "w"), stdout, stderr };
    CHECK(q.nowhere != NULL);
    stdout = stderr = q.nowhere;
    return q;
}
static inline void quiet_end(struct quiet *q)
{
    stdout = q->out;
    stderr = q->err;
    fclose(q->nowhere);
}
static inline int file_of(const uint8_t *data, size_t size)
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    CHECK(fd >= 0 && write(fd, data, size) == (ssize_t) size && lseek(fd, 0, SEEK_SET) == 0);
    return fd;
}

#endif
