/* reasons.h — every error that the gateway itself answers with, in one registry: reason, HTTP
 * status, gRPC code, what helps.  The servers behind it have registries of their own, and their
 * errors pass as they are.  Pure. */
#ifndef NOVEL_GATEWAY_REASONS_H
#define NOVEL_GATEWAY_REASONS_H
#include <stddef.h>

#include "rpc/nrpc.h"

struct reason {
    const char *name; /* "BODY_TOO_LARGE"; ErrorInfo.reason, and `code` in problem+json */
    int status;       /* HTTP; the usual one */
    nrpc_code code;
    const char *help; /* what the caller can do; ErrorInfo.metadata["help"] */
};
size_t reason_count(void);
const struct reason *reason_at(size_t i);
const struct reason *reason_find(const char *name); /* NULL: it is none of ours */

#endif
