/* echo_service.h — a raw-bytes service for tests: test.Echo, every kind of call.
 *   Unary    answers the request; metadata keys of the request that begin with "x-" come back as
 * headers, with
 *            "-t" put behind the key as trailers.
 *            "fail:CODE:TEXT" ends with that status and a detail; "sleep" never answers; "big:N"
 * answers N bytes; "subject" answers the peer's, or "-"; "headers" sends headers at once and never
 * answers; "flag..." answers
 * "COMPRESSED ENCODING SIZE" of the request; "squeeze:ENCODING:N" answers N bytes in that encoding
 * (0 identity, 1 gzip, 2 deflate).
 * Stream   "squeeze:ENCODING:N" sends 4 messages of N bytes, every second one not compressed.
 * Stream   "count:N:SIZE" sends
 * N messages of SIZE bytes, as fast as the peer takes them.  Else the request once. Collect  client
 * stream: answers the number and bytes of messages.   Chat  bidi: echoes each. */
#ifndef ECHO_SERVICE_H
#define ECHO_SERVICE_H
#include <stdatomic.h>
#include "rpc/nrpc.h"

extern const nrpc_service echo_service;
enum { ECHO_UNARY, ECHO_STREAM, ECHO_COLLECT, ECHO_CHAT, ECHO_MISSING, ECHO_TYPED };
extern atomic_int echo_cancelled,
    echo_ended; /* calls whose on_end said CANCELLED or DEADLINE_EXCEEDED; all ends */
extern atomic_uint_fast64_t echo_sent; /* messages that Stream gave to the runtime */
int echo_add(nrpc_server *s);

#endif
