/* tell.h — a finished log becomes a stored story: markdown, passages, result.  Pure; any thread. */
#ifndef SERVER_JOBS_TELL_H
#define SERVER_JOBS_TELL_H
#include "server/contract.h"
#include "server/engine/nvl.h"
#include "server/narrator/narrator.h"
#include "server/store/store.h"

struct tell_in {
    const struct nvl_world *world;
    const struct buf *log; /* size (4 bytes, native) and canonical bytes of every event, in order */
    const uint8_t *head;
    struct store_bytes request; /* packed SimulationRequest: participants, telling */
    const char *simulation_id;
    uint64_t duration_us;
};
/* Fills result, story, passages and story_digest of w, in a's memory.  0; 1 with why when the log
 * can't be told; -1 without memory. */
int tell_story(const struct tell_in *in, struct arena *a, struct store_append *w, char *why,
               size_t why_size);

/* The telling of a request as the narrator reads it: old clients' places (narrative_style,
 * constraints' perspective and words) count where `telling` says nothing. */
struct nvl_telling tell_from_request(const NE(SimulationRequest) * r);

/* A stored log told again, from its header and its events alone. */
struct tell_again_in {
    const struct nvl_pack *pack; /* the one that the header names */
    struct store_bytes header;
    const struct buf *log; /* as in tell_in */
    struct store_bytes carry; /* data NULL: the header names none */
};
/* Checks style, perspective and language; NVL_E_INVALID names the field ("telling.words") in err. */
int tell_check(const NE(Telling) * telling, struct nvl_error *err);
/* The packed StoryDocument, in a's memory.  telling may be NULL.  NVL_OK; NVL_E_INVALID (telling:
 * err says which field); NVL_E_CORRUPT (what is stored cannot be read); NVL_E_NOMEM. */
int tell_again(const struct tell_again_in *in, const NE(Telling) * telling, struct arena *a,
               struct nvl_error *err, struct store_bytes *out);

#endif
