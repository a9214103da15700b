/* role.c — what threatens, and who was lost, saved or marked by it. */
#include "server/narrator/teller.h"

/* The value of a fluent as the story began, or as it ended; -1: there is no such cell. */
static int16_t value_of(const struct teller *t, const char *name, unsigned who, bool at_end)
{
    int fluent = nvl_pack_fluent_find(t->pack, name);
    int cell = fluent < 0 ? -1 : nvl_world_cell(t->world, (size_t) fluent, who, 0);
    if (cell < 0)
        return -1;
    for (size_t i = at_end ? t->events_count : 0; i-- > 0;)
        for (unsigned k = t->events[i].deltas_count; k-- > 0;)
            if (k < NVL_DELTAS_MAX && t->events[i].deltas[k].cell == cell)
                return t->events[i].deltas[k].after;
    return nvl_world_initial(t->world)[cell];
}
void env_doom(const struct teller *t, struct env *env)
{
    static const char *const dooms[] = { NULL, "fall", "fire", "water", "air", "storm", "machine" };
    int16_t doom = value_of(t, "doom_kind", 0, false);
    int16_t beast = value_of(t, "beast", 0, false);
    env->facts.values[TAG_DOOM] =
        beast >= 0 && beast != NVL_NONE ? "beast"
        : doom > 0 && (size_t) doom < sizeof(dooms) / sizeof(dooms[0]) ? dooms[doom] : NULL;
}
void env_outcome(const struct teller *t, struct env *env)
{
    int16_t stray = value_of(t, "stray", 0, false);
    bool known = stray >= 0 && (size_t) stray < t->people;
    int lost = known && !plan_awake_last(t, (unsigned) stray) ? stray : -1, scarred = -1;
    for (size_t i = t->cast; i-- > 0;) {
        bool awake = plan_awake_last(t, (unsigned) i);
        lost = awake ? lost : (int) i;
        scarred = awake && value_of(t, "paid", (unsigned) i, true) == 1 ? (int) i : scarred;
    }
    env->facts.values[TAG_PLACE] = lost >= 0 ? "lost" : "whole"; /* close NAME kind lost */
    if (lost >= 0)
        env_add(env, "LOST", NVL_SORT_CHAR, (unsigned) lost);
    if (scarred >= 0)
        env_add(env, "SCARRED", NVL_SORT_CHAR, (unsigned) scarred);
    if (known && plan_awake_last(t, (unsigned) stray) && value_of(t, "brought", 0, true) == 1 &&
        value_of(t, "brought", 0, false) == 0)
        env_add(env, "SAVED", NVL_SORT_CHAR, (unsigned) stray);
}
