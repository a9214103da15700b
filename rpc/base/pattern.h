/* pattern.h — a small regular language, matched in time linear in the text: no backtracking.
 * Anchored at both ends ("^" first and "$" last are allowed and mean nothing).  Literals, ".",
 * classes "[a-z_]" and "[^...]",
 * "\d" "\w" "\s" and escaped punctuation, groups, "|", "?", "*", "+", "{m}", "{m,}", "{m,n}" (n <=
 * 1,000).  Works on code points.  Takes no memory; one object may be matched by many threads. */
#ifndef NRPC_BASE_PATTERN_H
#define NRPC_BASE_PATTERN_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PATTERN_CODE_MAX = 1024, PATTERN_SETS_MAX = 64, PATTERN_RANGES_MAX = 256 };

struct pattern {
    struct {
        uint8_t op;
        uint16_t x, y;
    } code[PATTERN_CODE_MAX];
    struct {
        uint32_t source; /* offset in the pattern's text: a repeated class is kept once */
        uint16_t first, count;
        bool negated;
    } sets[PATTERN_SETS_MAX];
    struct {
        uint32_t low, high;
    } ranges[PATTERN_RANGES_MAX];
    uint16_t n_code, n_sets, n_ranges;
};

/* NULL, or a static sentence on what is wrong (then p must not be matched). */
const char *pattern_compile(struct pattern *p, const char *text);
/* Whether all of the valid UTF-8 text fits. */
bool pattern_match(const struct pattern *p, const char *text, size_t size);

#endif
