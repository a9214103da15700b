/* catalogue.h — all characters at one moment: the cards, with the overlays of the API laid over
 * them. A catalogue and its characters are immutable and counted; any thread may hold a reference.
 * A change makes a new catalogue that shares what did not change. */
#ifndef SERVER_CARDS_CATALOGUE_H
#define SERVER_CARDS_CATALOGUE_H
#include <stdatomic.h>
#include "server/cards/card.h"

#define CHARACTERS_MAX 1000

struct character {
    atomic_uint refs;
    struct arena arena;
    const NE(Character) * message; /* with its etag */
    const uint8_t *packed;         /* the same, serialised */
    size_t packed_size;
};
/* Copies m and gives it its etag: a digest of all but etag and times.  NULL without memory. */
struct character *character_new(const NE(Character) * m);
/* From serialised bytes; NULL when they are none, or without memory. */
struct character *character_unpack(const uint8_t *data, size_t size);
struct character *character_ref(struct character *c);
void character_unref(struct character *c);

struct catalogue {
    atomic_uint refs;
    size_t count;
    struct character *items[]; /* by id */
};
/* The embedded cards, and those of a folder (NULL: none), which add and replace by id.  0, or -1
 * with err. */
int catalogue_load(const char *folder, struct catalogue **out, struct card_error *err);
/* A new catalogue with `id` being c (referenced; NULL: absent).  NULL without memory. */
struct catalogue *catalogue_with(const struct catalogue *from, const char *id, struct character *c);
struct character *catalogue_find(const struct catalogue *k,
                                 const char *id);                  /* borrowed; NULL: not there */
size_t catalogue_index(const struct catalogue *k, const char *id); /* of the first id >= it */
struct catalogue *catalogue_ref(struct catalogue *k);
void catalogue_unref(struct catalogue *k); /* NULL is fine */

#endif
