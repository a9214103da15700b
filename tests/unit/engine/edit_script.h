/* edit_script.h — random edits and forks between the turns of a story, for tests and fuzzing. */
#ifndef EDIT_SCRIPT_H
#define EDIT_SCRIPT_H
#include "server/engine/edit.h"

struct script { /* where the choices come from: bytes, then a generator */
    const uint8_t *bytes;
    size_t size, at;
    uint64_t state;
    unsigned valid[NVL_EDIT_VETO + 1], rejected[NVL_EDIT_VETO + 1], unknown, forks, forks_refused;
};
uint32_t script_draw(struct script *s, uint32_t below);
/* One edit of the simulation's own names, now and then one that names nothing.  The result of
 * nvl_intervene; out is written with it. */
int script_edit(struct script *s, struct nvl_sim *sim, nvl_sink sink, void *ctx,
                struct nvl_judgement *out);
/* The same with other seeds and numbers of turns. */
int script_fork(struct script *s, struct nvl_sim *sim, nvl_sink sink, void *ctx);
/* Plays on to the end with up to `most` edits before each turn; the first error ends it. */
int script_play(struct script *s, struct nvl_sim *sim, unsigned most, nvl_sink sink, void *ctx);
#endif
