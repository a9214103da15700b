/* profile.h — a character as the engine reads it: whole numbers and bounded strings. */
#ifndef SERVER_CARDS_PROFILE_H
#define SERVER_CARDS_PROFILE_H
#include "server/cards/catalogue.h"
#include "server/engine/nvl.h"

/* Fills out from c; strings and lists live in the arena.  Fractions are rounded half up; what the
 * character does not say is the middle of its scale; what is longer than the engine's limits is cut
 * at a character. k (may be NULL) turns names in `relationships` into ids.  0, or -1 without
 * memory. */
int profile_make(const NE(Character) * c, const struct catalogue *k, struct arena *a,
                 struct nvl_profile *out);

#endif
