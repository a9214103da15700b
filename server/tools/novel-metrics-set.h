/* novel-metrics-set.h — the measures of a set of texts: how much of each stands in another. */
#ifndef NOVEL_METRICS_SET_H
#define NOVEL_METRICS_SET_H
#include "server/tools/novel-metrics-text.h"

enum metrics_set {
    SET_SELF_BLEU,
    SET_PAIR_BLEU,
    SET_SHARED4,
    SET_PAIR4,
    SET_SHARED5,
    SET_PAIR5,
    SET_SHARED6,
    SET_PAIR6,
    SET_SHARED8,
    SET_PAIR8,
    SET_SENTENCES,
    SET_XZ, /* -1 when built without liblzma */
    SET_FROZEN_COUNT,
    SET_OWN5 =
        SET_FROZEN_COUNT, /* SHARED5 and SHARED8 without n-grams that hold a word of the user */
    SET_OWN8,
    SET_COUNT
};
const char *metrics_set_name(enum metrics_set which);

/* own: per text a bit per word number, set for the user's own words (setting, scenario, names);
 * NULL, or an entry NULL: none.  Needs two texts of four words or more; 0; -1 without memory; 1
 * otherwise. */
int metrics_set(const struct text_doc *const *docs, size_t count, const uint64_t *const *own,
                double out[static SET_COUNT]);
/* How much of each text's 5-grams stands in each other text, for pictures: out[i * count + k]. */
int metrics_sameness(const struct text_doc *const *docs, size_t count, float *out);

#endif
