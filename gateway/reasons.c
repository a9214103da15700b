#include "gateway/reasons.h"

#include <string.h>

#include "rpc/base/check.h"

static const struct reason reasons[] = {
    { "BAD_ANSWER", 502, NRPC_INTERNAL, "the operator: do the descriptors fit the server?" },
    { "BODY_NOT_ALLOWED", 400, NRPC_INVALID_ARGUMENT, "send the request without a body" },
    { "BODY_TOO_LARGE", 413, NRPC_RESOURCE_EXHAUSTED, "send less; the detail names the limit" },
    { "INVALID_ARGUMENT", 400, NRPC_INVALID_ARGUMENT, "the violations name each field" },
    { "MALFORMED_FORM", 400, NRPC_INVALID_ARGUMENT,
      "send multipart/form-data with a boundary, as RFC 7578 has it" },
    { "MALFORMED_REQUEST", 400, NRPC_INVALID_ARGUMENT, "the detail says what HTTP does not allow" },
    { "METHOD_NOT_ALLOWED", 405, NRPC_UNIMPLEMENTED, "the Allow header names what is" },
    { "METHOD_UNKNOWN", 501, NRPC_UNIMPLEMENTED, "use one of HTTP's own methods" },
    { "NOT_ACCEPTABLE", 406, NRPC_INVALID_ARGUMENT,
      "accept text/event-stream, application/x-ndjson or application/json" },
    { "NOT_FOUND", 404, NRPC_NOT_FOUND, "check the path; letter case matters" },
    { "NO_STREAM", 400, NRPC_INVALID_ARGUMENT, "only methods that stream take a WebSocket" },
    { "ORIGIN_NOT_ALLOWED", 403, NRPC_PERMISSION_DENIED,
      "the operator may allow the page's origin" },
    { "OUT_OF_MEMORY", 503, NRPC_RESOURCE_EXHAUSTED, "try again later" },
    { "OVERLOADED", 503, NRPC_UNAVAILABLE, "try again after Retry-After seconds" },
    { "RATE_LIMITED", 429, NRPC_RESOURCE_EXHAUSTED,
      "slow down; the RateLimit headers say by how much" },
    { "REQUEST_TIMEOUT", 408, NRPC_INVALID_ARGUMENT, "send the whole request without a pause" },
    { "UNAVAILABLE", 503, NRPC_UNAVAILABLE, "try again after Retry-After seconds" },
    { "UNIMPLEMENTED", 501, NRPC_UNIMPLEMENTED, "call a method that the service has" },
    { "UNSUPPORTED_CONTENT_CODING", 415, NRPC_INVALID_ARGUMENT,
      "send the body without Content-Encoding" },
    { "UNSUPPORTED_MEDIA_TYPE", 415, NRPC_INVALID_ARGUMENT, "send application/json" },
    { "UPGRADE_REQUIRED", 426, NRPC_INVALID_ARGUMENT, "ask for version 13 of WebSocket" },
};

size_t reason_count(void)
{
    return ARRAY_SIZE(reasons);
}

const struct reason *reason_at(size_t i)
{
    return &reasons[i];
}

const struct reason *reason_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
        if (strcmp(reasons[i].name, name) == 0)
            return &reasons[i];
    return NULL;
}
