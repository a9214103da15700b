/* clock.h — time.  Monotonic for durations and deadlines, wall clock only for people. */
#ifndef NRPC_BASE_CLOCK_H
#define NRPC_BASE_CLOCK_H
#include <stddef.h>
#include <stdint.h>

uint64_t clock_mono_ns(void);
uint64_t clock_wall_ns(void); /* since 1970 */
/* Writes RFC 3339 in UTC with microseconds, e.g. 2026-11-24T08:10:49.123456Z (27 bytes and NUL). */
void clock_format_rfc3339(uint64_t wall_ns, char out[static 32]);

#endif
