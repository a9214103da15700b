#include "rpc/grpc/timeout.h"

#include <inttypes.h>
#include <stdio.h>

enum { DIGITS_MAX = 8 };
#define VALUE_MAX UINT64_C(99999999)

/* From the finest to the coarsest. */
static const struct unit {
    char name;
    uint64_t ns;
} units[] = {
    { 'n', 1 },
    { 'u', 1000 },
    { 'm', 1000000 },
    { 'S', 1000000000 },
    { 'M', UINT64_C(60000000000) },
    { 'H', UINT64_C(3600000000000) },
};
enum { UNITS = sizeof units / sizeof units[0] };

int timeout_parse(nrpc_slice text, uint64_t *out_ns)
{
    if (text.size < 2 || text.size > DIGITS_MAX + 1)
        return NRPC_E_PROTO;
    uint64_t value = 0;
    for (size_t i = 0; i + 1 < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return NRPC_E_PROTO;
        value = value * 10 + (uint64_t) (text.data[i] - '0');
    }
    for (size_t i = 0; i < UNITS; i++) {
        if (text.data[text.size - 1] != (uint8_t) units[i].name)
            continue;
        uint64_t ns;
        *out_ns = __builtin_mul_overflow(value, units[i].ns, &ns) ? UINT64_MAX : ns;
        return 0;
    }
    return NRPC_E_PROTO;
}

size_t timeout_format(uint64_t ns, char out[static TIMEOUT_TEXT_MAX])
{
    size_t i = 0;
    uint64_t value = ns;
    while (value > VALUE_MAX && ++i < UNITS)
        value = ns / units[i].ns + (ns % units[i].ns != 0);
    /* Even UINT64_MAX is only 5,124,096 hours: the coarsest unit always fits. */
    return (size_t) snprintf(out, TIMEOUT_TEXT_MAX, "%" PRIu64 "%c", value, units[i].name);
}
