/* untold.h — why a story leaves an event out.  Pure, as narrator.h. */
#ifndef NVL_UNTOLD_H
#define NVL_UNTOLD_H
#include "server/engine/nvl.h"

/* What a told story says of a log. */
struct nvl_told {
    const uint8_t *events;     /* per event, from 0: nonzero when a sentence tells it */
    const int16_t *focalisers; /* per event: cast index of the scene's focaliser when told, else -1 */
    bool omniscient;           /* the telling sees what nobody in it sees */
};
/* Appends one sentence: why event i of the log (untold) was left out.  The reasons are looked for in
 * this order: it is no event of the story; the one through whose eyes that part is told did not see
 * it; it repeats an act that is told; nothing that is told came of it; others weighed more. */
void nvl_untold_why(const struct nvl_world *world, const struct nvl_event *events, size_t count,
                    const struct nvl_told *told, size_t i, struct buf *out);
#endif
