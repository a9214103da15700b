/* accept.h — content negotiation: what an Accept header (RFC 9110 section 12.5.1) prefers.  Pure.
 */
#ifndef NOVEL_GATEWAY_ACCEPT_H
#define NOVEL_GATEWAY_ACCEPT_H
#include <stdbool.h>
#include <stddef.h>

struct accept_choice {
    int index;       /* of the chosen type; -1: none is acceptable */
    int quality;     /* thousandths */
    int specificity; /* 0: by a full wildcard, 1: "type" with a wildcard, 2: named */
};
/* The best of types (n of them, in the server's order of preference).  Higher q wins, then the
 * closer match, then what the header names first, then the server's order.  An empty header accepts
 * everything. */
struct accept_choice accept_choose(const char *accept, size_t size, const char *const *types,
                                   size_t n);
/* The same for Accept-Encoding (section 12.5.3): the index of the coding with the highest q above
 * 0, the server's order at equal q; -1 when none is left.  A coding that is not named is refused,
 * unless "*" says otherwise; "identity" is the exception: it is acceptable, as the last resort,
 * unless refused. */
int accept_choose_coding(const char *header, size_t size, const char *const *names, size_t n);

#endif
