/* verify_story.h — logs as the engine writes them, for the checker: random requests over the
 * shipped content, played to their end (or a while, then cancelled) and kept as sections. */
#ifndef VERIFY_STORY_H
#define VERIFY_STORY_H
#include <stdint.h>

#include "rpc/base/buf.h"
#include "server/engine/nvl.h"
#include "server/tools/novel-verify-event.h"

enum { STORY_EVENTS_MAX = 2048 };

struct story {
    struct buf header, before; /* before: everything up to the first event */
    struct buf canonical;      /* the events, one after another */
    size_t start[STORY_EVENTS_MAX + 1];
    struct verify_event events[STORY_EVENTS_MAX]; /* decoded by the checker's decoder */
    unsigned count, cells, characters, operators;
};

/* The shipped content, compiled; NULL when it does not compile (printed). */
struct nvl_pack *story_pack(void);
/* Plays the n-th random request.  0 or an nvl_rc. */
int story_play(const struct nvl_pack *pack, unsigned n, struct story *out);
/* The same with random edits and forks between the turns. */
int story_play_edited(const struct nvl_pack *pack, unsigned n, struct story *out);
void story_done(struct story *story);
/* The log as the engine's own writer gives it. */
void story_write(const struct story *story, struct buf *out);
/* The log with its events encoded anew from events[0..count), chain and trailer made for them. */
void story_write_changed(const struct story *story, const struct verify_event *events,
                         unsigned count, struct buf *out);

#endif
