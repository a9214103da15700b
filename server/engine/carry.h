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
 * completed, or is the last chapter that can be counted; NVL_E_NOMEM, and then out is as it was. */
int nvl_carry_encode(const struct nvl_sim *sim, struct buf *out);
/* Checks bytes from outside: NVL_OK, NVL_E_CORRUPT or NVL_E_NOMEM. */
int nvl_carry_check(const void *bytes, size_t size);
/* A request that goes on from a carry pack sets nvl_request.carry and carry_size (the bytes, lent
 * for the call) and carry_digest (their SHA-256); nvl_world_open and nvl_open apply it.  A digest
 * without its bytes, or with others, is NVL_E_INVALID ("carry"). */

/* The pack that a world was opened with, as long as the world lives; NULL and 0 for a first
 * chapter. */
const void *nvl_world_carry(const struct nvl_world *world, size_t *out_size);
/* How many chapters came before this one. */
unsigned nvl_carry_chapters(const struct nvl_world *world);
/* Name of the place that the chapter before was about; "" in a first chapter. */
const char *nvl_carry_locale(const struct nvl_world *world);

enum nvl_canon_kind {
    NVL_CANON_ENDING = 1, /* how a chapter ended: a sentence without its stop */
    NVL_CANON_DEED,       /* who settled it, and how: the same */
    NVL_CANON_TRUTH,      /* a fact of the frame that came to light: a clause, "the logs lie" */
};
struct nvl_canon {
    uint16_t chapter; /* from 1 */
    uint8_t kind;     /* enum nvl_canon_kind */
    uint8_t fact;     /* the world's NVL_SORT_FACT entity that stands for it */
    const char *clause;
};
/* The canon, oldest first. */
size_t nvl_canon_count(const struct nvl_world *world);
bool nvl_canon_at(const struct nvl_world *world, size_t i, struct nvl_canon *out);
#endif
