/* novel-metrics-ngram.h — the n-grams of a set of texts, one length after another: every different
 * n-gram has a number, so that counting and comparing is done with arrays. */
#ifndef NOVEL_METRICS_NGRAM_H
#define NOVEL_METRICS_NGRAM_H
#include "server/tools/novel-metrics-text.h"

struct gram {
    uint32_t id, count, at; /* at: the word where it stands first */
};
struct gram_list { /* the different n-grams of one text, in order of appearance */
    struct gram *grams;
    size_t count;
    size_t total; /* positions: words - n + 1, or 0 */
};
struct grams {
    const struct text_doc *const *docs;
    size_t docs_count;
    unsigned n;              /* 0 before the first grams_next */
    uint32_t ids_count;      /* different n-grams in all texts */
    struct gram_list *lists; /* per text */
    uint32_t **at;           /* per text and position: the n-gram's number */
    uint32_t *scratch;       /* per number, for the owner's use and grams_common's; zeroed */
    size_t scratch_size;
};

/* The texts must outlive it and share a word table.  NULL without memory. */
struct grams *grams_new(const struct text_doc *const *docs, size_t count);
void grams_free(struct grams *g);
/* Goes from n to n + 1.  0, or -1 without memory (then it can only be freed). */
int grams_next(struct grams *g);
/* Share of different n-grams among all of text i: 0 when it has none. */
double grams_distinct(const struct grams *g, size_t i);
/* How many n-grams of text a stand in b: each once, or (clipped) as often as in both. */
size_t grams_common(struct grams *g, size_t a, size_t b, bool clipped);

#endif
