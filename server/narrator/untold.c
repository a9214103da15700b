#include "server/narrator/untold.h"
#include <string.h>

enum { REPEATS_WITHIN = 64 };

/* Whose eyes the nearest told events were seen through: the one before, else the one after. */
static int eyes_near(const struct nvl_told *told, size_t count, size_t i)
{
    for (size_t k = i; k-- > 0;)
        if (told->events[k] != 0 && told->focalisers[k] >= 0)
            return told->focalisers[k];
    for (size_t k = i + 1; k < count; k++)
        if (told->events[k] != 0 && told->focalisers[k] >= 0)
            return told->focalisers[k];
    return -1;
}
/* A told event nearby that is the same act by the same person to the same, or 0. */
static uint32_t repeated(const struct nvl_event *events, size_t count, const struct nvl_told *told,
                         size_t i)
{
    const struct nvl_event *e = &events[i];
    size_t from = i > REPEATS_WITHIN ? i - REPEATS_WITHIN : 0;
    for (size_t k = from; k < count && k <= i + REPEATS_WITHIN; k++) {
        const struct nvl_event *b = &events[k];
        if (k != i && told->events[k] != 0 && b->op == e->op && b->op != NVL_NO_OP &&
            b->actor == e->actor && b->args_count == e->args_count &&
            memcmp(b->args, e->args, e->args_count) == 0)
            return b->sequence;
    }
    return 0;
}
static uint32_t told_effect(const struct nvl_event *events, size_t count,
                            const struct nvl_told *told, size_t i)
{
    for (size_t k = i + 1; k < count; k++)
        for (unsigned n = 0; told->events[k] != 0 && n < events[k].causes_count; n++)
            if (events[k].causes[n].sequence == events[i].sequence)
                return events[k].sequence;
    return 0;
}
void nvl_untold_why(const struct nvl_world *world, const struct nvl_event *events, size_t count,
                    const struct nvl_told *told, size_t i, struct buf *out)
{
    const struct nvl_event *e = &events[i];
    int eyes = eyes_near(told, count, i);
    uint32_t same;
    if (e->op == NVL_NO_OP || e->type == NVL_INTERVENTION || e->type == NVL_REJECTED) {
        buf_puts(out, e->type == NVL_REJECTED ? "Untold, because it did not come to pass."
                                              : "Untold, because it is a mark of the log and nothing that "
                                                "happens to anybody.");
    } else if (!told->omniscient && eyes >= 0 && e->actor != (unsigned) eyes &&
               (e->witnesses >> eyes & 1) == 0) {
        buf_printf(out, "Untold, because %s, through whose eyes that part is told, did not see it.",
                   nvl_world_entity(world, NVL_SORT_CHAR, (unsigned) eyes)->name);
    } else if ((same = repeated(events, count, told, i)) != 0) {
        buf_printf(out, "Untold, because it repeats event %u, which is told.", (unsigned) same);
    } else if ((same = told_effect(events, count, told, i)) == 0) {
        buf_puts(out, "Untold, because nothing that the story tells came of it.");
    } else {
        buf_printf(out, "Untold for want of room: other events weighed more, though event %u came of it.",
                   (unsigned) same);
    }
}
