/* gauge.h — live objects of the process.  Each thread counts in a cache line of its own, with plain
 * stores, so counting costs the request path no atomic write; reading sums the lines.  A thread
 * that ends leaves its counts behind for the next one. */
#ifndef NRPC_BASE_GAUGE_H
#define NRPC_BASE_GAUGE_H
#include <stdint.h>

/* Counted by: connections rpc/io/sock.c, messages and blobs rpc/grpc/codec, timers rpc/io/timer.c
 * (running ones), calls and cancels rpc/call, channels rpc/client. */
enum gauge {
    GAUGE_CONNECTIONS,
    GAUGE_CALLS,
    GAUGE_MESSAGES,
    GAUGE_BLOBS,
    GAUGE_CANCELS,
    GAUGE_CHANNELS,
    GAUGE_TIMERS,
    GAUGES
};

/* [any] An object may be counted up on one thread and down on another. */
void gauge_add(enum gauge which, int64_t delta);
/* [any] The sum over all threads; exact when the other threads rest. */
int64_t gauge_read(enum gauge which);

#endif
