/* carry.h — what a chapter hands to the next one.  Part of the engine's public face; the rules of
 * nvl.h hold.  The bytes are laid out in docs/log-format.md, "Carry pack"; their SHA-256 is the
 * `carry` of the next chapter's header, so that its head commits to the past. */
#ifndef NVL_CARRY_H
#define NVL_CARRY_H
#include "server/engine/nvl.h"

enum { NVL_CARRY_MAX = 64 * 1024 }; /* bytes; more is refused */

/* Appends the carry pack of a simulation that has completed: its head; of every member of the cast
 * what they hold of each other, owe, have, suffer and know; the threads left open; the canon: what
 * the chapter established, and what came with the chapters before.  NVL_E_INVALID when it has not
 * completed. */
int nvl_carry_encode(const struct nvl_sim *sim, struct buf *out);
/* Checks bytes from outside: NVL_OK, or NVL_E_CORRUPT. */
int nvl_carry_check(const void *bytes, size_t size);
/* A request that goes on from a carry pack sets nvl_request.carry and carry_size (the bytes, lent
 * for the call) and carry_digest (their SHA-256); nvl_world_open and nvl_open apply it.  A digest
 * without its bytes, or with others, is NVL_E_INVALID ("carry"). */

/* What earlier chapters established, oldest first: a sentence, where it was, and in which chapter.
 * NULL out of range. */
size_t nvl_world_canon_count(const struct nvl_world *world);
const char *nvl_world_canon(const struct nvl_world *world, size_t i, const char **out_place,
                            unsigned *out_chapter);
/* The carry pack that the world goes on from; NULL: none.  Lives as long as the world. */
const void *nvl_world_carry(const struct nvl_world *world, size_t *out_size);
#endif
