/* verify_changes.h — classes of changes to the meaning of a log that the engine wrote.  Each keeps
 * the bytes well formed; what it says is no longer what happened. */
#ifndef VERIFY_CHANGES_H
#define VERIFY_CHANGES_H
#include "tests/unit/engine/verify_story.h"

struct verify_scene { /* a copy of a story's events, to be changed */
    const struct story *story;
    struct verify_event events[STORY_EVENTS_MAX + 1];
    unsigned count;
};
struct verify_change {
    const char *name;
    /* Changes event `i` (or the log from there on) at random; false when this class can't change
     * it. */
    bool (*apply)(struct verify_scene *s, unsigned i);
};
extern const struct verify_change verify_changes[];
extern const unsigned verify_changes_count;

/* Of logs with edits in them: what an INTERVENTION or FORKED says, and what follows from it. */
extern const struct verify_change verify_edit_changes[];
extern const unsigned verify_edit_changes_count;

/* Events are numbered anew; what the ones from index `from` on name behind it moves by `by`. */
void verify_renumber(struct verify_scene *s, unsigned from, int by);
unsigned verify_draw(unsigned n); /* 0 .. n-1, the same row in every run */
/* Prints the first event that differs from the story's. */
void verify_change_show(const struct verify_scene *s, const char *name);

#endif
