/* suggest.h — the known name that a person most likely meant.  Pure. */
#ifndef NOVEL_GATEWAY_SUGGEST_H
#define NOVEL_GATEWAY_SUGGEST_H
#include <stddef.h>

struct suggest {
    const char *word; /* what came; lent */
    size_t size;
    const char *best; /* NULL: nothing is near enough */
    unsigned distance;
};
void suggest_start(struct suggest *s, const char *word, size_t size);
/* Offers one candidate; it wins when it is nearer (Damerau-Levenshtein without regard to letter
 * case) and differs in at most a third of its letters, three at most. */
void suggest_offer(struct suggest *s, const char *candidate);

#endif
