/* engine_fixture.h — packs, requests and logs for the engine's tests. */
#ifndef ENGINE_FIXTURE_H
#define ENGINE_FIXTURE_H
#include "server/engine/nvl.h"

/* Compiles the frozen pack of tests/unit/engine/pack (run from the source root). */
struct nvl_pack *fixture_pack(void);
/* Image bytes of that pack's sources; order: 0 as listed, 1 reversed. */
struct nvl_pack *fixture_pack_ordered(int order);

struct fixture_request { /* a request with room for what it points to */
    struct nvl_request request;
    struct nvl_profile cast[NVL_CAST_MAX];
    struct nvl_skill skills[NVL_CAST_MAX][2];
    struct nvl_relation relations[NVL_CAST_MAX][2];
    const char *lists[NVL_CAST_MAX][2];
    char ids[NVL_CAST_MAX][32];
};
/* Pilot, scientist and engineer, three turns. */
void fixture_crew(struct fixture_request *r);
/* Anything the rules allow, from n. */
void fixture_random(struct fixture_request *r, uint64_t n);

struct fixture_log {
    struct buf events; /* EVNT sections */
    uint32_t count;
    uint8_t head[SHA256_SIZE];
    uint8_t ending;
    char ops[4096]; /* operators in order, blank-separated */
};
/* Plays to the end; asserts on failure. */
void fixture_play(const struct nvl_pack *pack, const struct nvl_request *request,
                  struct fixture_log *out);
void fixture_log_done(struct fixture_log *log);
/* The whole .nvlog of a played request. */
void fixture_container(const struct nvl_pack *pack, const struct nvl_request *request,
                       const struct fixture_log *log, struct buf *out);
#endif
