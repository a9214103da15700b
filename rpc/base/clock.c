#include "rpc/base/clock.h"

#include <stdio.h>
#include <time.h>

static uint64_t now_ns(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t); /* cannot fail for these two clocks */
    return (uint64_t) t.tv_sec * 1000000000u + (uint64_t) t.tv_nsec;
}

uint64_t clock_mono_ns(void)
{
    return now_ns(CLOCK_MONOTONIC);
}

uint64_t clock_wall_ns(void)
{
    return now_ns(CLOCK_REALTIME);
}

void clock_format_rfc3339(uint64_t wall_ns, char out[static 32])
{
    time_t seconds = (time_t) (wall_ns / 1000000000u);
    struct tm t;
    gmtime_r(&seconds, &t);
    size_t size = strftime(out, 32, "%Y-%m-%dT%H:%M:%S", &t);
    snprintf(out + size, 32 - size, ".%06uZ", (unsigned) (wall_ns % 1000000000u / 1000u));
}
