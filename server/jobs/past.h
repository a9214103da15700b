/* past.h — a stored log as those read it who work on it whole: its events and its pack.  Both wait for
 * the store: workers only. */
#ifndef SERVER_JOBS_PAST_H
#define SERVER_JOBS_PAST_H
#include "server/engine/nvl.h"
#include "server/store/store.h"

struct past {
    struct nvl_span *canonical; /* of every event, in order */
    struct store_bytes *wire;   /* of each the column `wire`; NULL when not asked for */
    size_t count;
};
/* Reads the events 1..last_sequence of a simulation, or up to the first of a turn after to_turn (that
 * one included); the bytes are in a's memory.  STORE_OK, STORE_E_NOT_FOUND, STORE_E_NOMEM, or what the
 * store says. */
enum store_result past_read(struct store *store, const char *id, uint64_t last_sequence, uint32_t to_turn,
                            bool wire, struct arena *a, struct past *out);
/* The pack of that digest: `current` when it is that one, else the one kept in the store, which is the
 * caller's to free as *out_own (NULL otherwise).  NULL: *out_result says why, STORE_OK standing for an
 * image that cannot be opened. */
const struct nvl_pack *past_pack(struct store *store, const struct nvl_pack *current,
                                 const uint8_t digest[STORE_DIGEST_SIZE], struct nvl_pack **out_own,
                                 enum store_result *out_result);
#endif
