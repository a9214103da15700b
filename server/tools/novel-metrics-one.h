/* novel-metrics-one.h — the measures of one text. */
#ifndef NOVEL_METRICS_ONE_H
#define NOVEL_METRICS_ONE_H
#include "server/tools/novel-metrics-text.h"

enum metrics_one {
    ONE_WORDS,
    ONE_DISTINCT1,
    ONE_DISTINCT2,
    ONE_DISTINCT3,
    ONE_REP4,
    ONE_MATTR50,
    ONE_MTLD,
    ONE_ZLIB,
    ONE_SENTENCE,
    ONE_SENTENCE_CV,
    ONE_SHORT,
    ONE_LONG,
    ONE_OPENER,
    ONE_TOP_WORD,
    ONE_DIALOGUE,
    ONE_PARAGRAPH,
    ONE_PRON3,
    ONE_NAMES,
    ONE_PRON_SHARE,
    ONE_ADJ_LEX,
    ONE_ADJ_LINK,
    ONE_LY,
    ONE_COUNT
};
const char *metrics_one_name(enum metrics_one which); /* as the frozen definition names it */

/* All of them.  0; -1 without memory; 1 when the text has no sentence (out untouched). */
int metrics_one(const struct text_doc *doc, const struct text_table *table,
                double out[static ONE_COUNT]);

/* Parts that stand alone.  The words are numbers of a table. */
double metrics_mattr(const struct text_word *words, size_t count, size_t window,
                     uint32_t *scratch /* one per number, zeroed; left so */);
double metrics_mtld(const struct text_word *words, size_t count, uint32_t *scratch);

#endif
