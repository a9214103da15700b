/* novel-metrics-sample.h — the stories that are measured: read from files, or played and told here.
 */
#ifndef NOVEL_METRICS_SAMPLE_H
#define NOVEL_METRICS_SAMPLE_H
#include "rpc/base/buf.h"
#include "server/tools/novel-metrics-log.h"
#include "server/tools/novel-metrics-one.h"

struct sample {
    const char *name;
    struct text_doc doc;
    double one[ONE_COUNT];
    bool has_text, has_play;
    struct metrics_play play;
    uint64_t *own;    /* a bit per word number: the user's own words; NULL: none known */
    unsigned request; /* of those played here, from 0 */
};
struct samples {
    struct sample *list; /* pieces live in the arena */
    size_t count, capacity;
    size_t window; /* words of each text that are measured; 0: all */
    struct text_table *words, *operators;
    struct arena arena;
};

int samples_init(struct samples *s, size_t window); /* 0, or -1 without memory */
void samples_done(struct samples *s);
/* Adds files (.txt, .md, .nvlog) or the files of a folder, in the order of their names.  A log
 * whose text lies beside it is not told anew.  0; -1 with a line on the standard error. */
int samples_add_path(struct samples *s, const char *path);
/* The text of a story without its title; paragraphs between blank lines. */
void sample_story_text(const struct nvl_story *story, struct buf *out);
/* Adds a text; valid UTF-8.  NULL without memory.  The name is copied. */
struct sample *samples_add_text(struct samples *s, const char *name, const void *text, size_t size);
/* Adds what was played and told; text as samples_add_text.  NULL without memory. */
struct sample *samples_add_played(struct samples *s, const char *name,
                                  const struct metrics_played *played, const struct buf *text);

#endif
