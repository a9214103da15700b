/* wire.h — what watchers read: the engine's events and the end as packed SimulationUpdate messages.
 * Pure; any thread. */
#ifndef SERVER_JOBS_WIRE_H
#define SERVER_JOBS_WIRE_H
#include "rpc/nrpc.h"
#include "server/contract.h"
#include "server/engine/nvl.h"
#include "server/jobs/jobs.h"

struct wire_event {
    const struct nvl_world *world;
    const struct nvl_event *event;
    const uint8_t *canonical;
    size_t canonical_size;
    const uint8_t *hash;
    const char *simulation_id;
    uint32_t progress_percent;
    uint64_t now_us;
};
/* Packs one event.  BASIC holds nothing that spoils: no hidden cells, no innate knowledge, no truth
 * of beliefs, no decision, no canonical bytes.  NULL without memory. */
nrpc_blob *wire_event_pack(const struct wire_event *e, enum jobs_view view, struct arena *scratch);

/* The column `wire` holds both views: BASIC's size (4 bytes, little endian), BASIC, FULL. */
int wire_join(const nrpc_blob *const views[JOBS_VIEWS], struct arena *a, struct store_bytes *out);
/* 0, or -1 when the bytes are not such a column. */
int wire_split(struct store_bytes column, enum jobs_view view, struct store_bytes *out);

/* The end of a stream: passages and result, or the error. */
struct finals {
    size_t count;
    nrpc_blob *items[];
};
struct wire_end {
    const char *simulation_id;
    uint64_t last_sequence;
    int32_t turns, turns_done;
    int state; /* enum store_state */
    struct store_bytes result, story, passages, error;
};
/* NULL without memory or when the stored bytes can't be read. */
struct finals *wire_finals_new(const struct wire_end *end);
void finals_free(struct finals *f); /* NULL is fine */

/* The stored result with the story in it, in a's memory; NULL when it can't be read. */
NE(SimulationResult) *
    wire_result(struct store_bytes result, struct store_bytes story, struct arena *a);
/* 0..100; 100 only when completed. */
int32_t wire_progress(int state, int32_t turns, int32_t turns_done);
PB(Timestamp) wire_timestamp(uint64_t wall_us);

#endif
