/* carry.h — the carry pack that a stored header goes on from.  A worker's matter: it waits for the
 * store. */
#ifndef SERVER_JOBS_CARRY_H
#define SERVER_JOBS_CARRY_H
#include "server/engine/nvl.h"
#include "server/store/store.h"

/* Reads what header names, when it names one, and gives it to it.  STORE_OK; what the store says;
 * STORE_E_NOT_FOUND also when what is stored is another one. */
enum store_result carry_fetch(struct store *store, struct nvl_header *header);
/* The same into an arena, for a header that is not decoded yet; data NULL: it names none. */
enum store_result carry_read(struct store *store, struct store_bytes header, struct arena *a,
                             struct store_bytes *out);
#endif
