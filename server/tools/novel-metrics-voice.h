/* novel-metrics-voice.h — how well speakers can be told apart by how they speak: naive Bayes over
 * function words, contractions, punctuation and length; a story is judged by all others. */
#ifndef NOVEL_METRICS_VOICE_H
#define NOVEL_METRICS_VOICE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { VOICE_FEATURES = 112, VOICE_SPEAKERS = 3 };

struct voice { /* what one speaker's lines in one story hold */
    uint16_t counts[VOICE_FEATURES];
    uint32_t total;
};
/* Counts the features of words spoken: the text between quotation marks, or a piece of it. */
void voice_count(struct voice *v, const char *text, size_t size);

struct samples;
/* Share of speakers that are recognised by their lines in a story, over the requests of three
 * characters; NAN when there are fewer than two stories of one.  *out_judged: how many were. */
double voice_separability(const struct samples *s, size_t *out_judged);

#endif
