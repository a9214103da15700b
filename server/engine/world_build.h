/* world_build.h — a world while it is made.  Internal to world.c and world_init.c. */
#ifndef NVL_WORLD_BUILD_H
#define NVL_WORLD_BUILD_H
#include "server/engine/world.h"

enum { DRAW_FRAME, DRAW_GENRE, DRAW_TRUTH, DRAW_NAME, DRAW_CLUE, DRAW_PERSON, DRAW_ROLE };
struct building {
    struct nvl_world *w;
    struct ground ground;
    bool used[4096]; /* genre names already given */
    bool nomem;
    struct nvl_entity nowhere; /* written when memory is gone; the world is then thrown away */
};
/* One of n by the grounding stream; every draw has a purpose and a number of its own. */
static inline uint32_t draw(const struct building *b, unsigned purpose, unsigned i, uint32_t n)
{
    return n < 2 ? 0 : rng_below(b->w->request->seed, rng_key(RNG_GROUND, 0, 0, purpose, i), n);
}
const char *build_keep(struct building *b, const char *s); /* a copy of the world's own */
struct nvl_entity *build_add(struct building *b, enum nvl_sort sort, const char *id,
                             const char *name, const char *kind);
/* A name of the class from the genre's table, else from the first genre's; each is given once. */
const char *build_genre_name(struct building *b, const char *klass, unsigned salt);
/* What the genre calls something of the cast's ("role_pilot", "gear_scanner"), or own. */
const char *build_renamed(struct building *b, const char *prefix, const char *own, unsigned salt);
void build_set_name(struct nvl_entity *e, const char *text); /* "~quarters" is plural */
void build_set_user_name(struct building *b, struct nvl_entity *e, struct ground_noun *n);
/* The first noun of a class that nothing has taken yet, or NULL. */
struct ground_noun *build_take_noun(struct building *b, unsigned kind, bool scenario_only);
bool build_is_gone(const char *text); /* "late duke": whom the words themselves call gone */
void world_people(struct building *b);
/* A text of the frame with its [roles] called by name; it lives as long as the world. */
const char *world_words(struct building *b, const char *text);
/* Somebody of the cast whom the truth may lean on; the same one all through. */
static inline unsigned world_culprit(const struct building *b)
{
    return draw(b, DRAW_ROLE, 0, (uint32_t) b->w->request->cast_count);
}
/* carry_apply.c — what comes with a carry pack; all of them do nothing in a first chapter.
 * Reads it (NVL_OK, NVL_E_NOMEM, or NVL_E_INVALID with err); adds the things that are brought and
 * the canon; fills the cells, after everything else. */
int world_carry_open(struct nvl_world *w, const struct nvl_request *request, struct nvl_error *err);
void world_carry_items(struct building *b);
void world_carry_canon(struct building *b);
void world_carry_state(struct building *b);
/* A thing of somebody's card as it is compared: clean and in small letters; "" for none. */
void world_gear_name(const struct nvl_profile *profile, size_t i, char out[static 128]);
/* Sets a cell within its range; without one nothing happens. */
void world_set(struct nvl_world *w, int fluent, unsigned a, unsigned b, int value);
/* Lays out the cells and fills the initial state; sets b->nomem when memory is gone. */
void world_init(struct building *b);
#endif
