/* timeout.h — the grpc-timeout header: at most 8 digits and a unit of H, M, S, m, u, n.  Pure. */
#ifndef NRPC_GRPC_TIMEOUT_H
#define NRPC_GRPC_TIMEOUT_H
#include "rpc/nrpc.h"

enum { TIMEOUT_TEXT_MAX = 10 };
/* 0 and nanoseconds (UINT64_MAX when they do not fit), or E_PROTO with *out_ns untouched. */
int timeout_parse(nrpc_slice text, uint64_t *out_ns);
/* The finest unit that takes at most 8 digits, rounded up; NUL-ended.  Returns the length. */
size_t timeout_format(uint64_t ns, char out[static TIMEOUT_TEXT_MAX]);

#endif
