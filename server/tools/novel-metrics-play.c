#include "server/tools/novel-metrics-play.h"

#include <stdio.h>
#include <string.h>
#include "core_pack.h"
#include "rpc/base/alloc.h"
#include "server/tools/novel-verify.h"

int player_init(struct player *p)
{
    *p = (struct player){ 0 };
    p->events = alloc_zero(NVL_EVENTS_MAX, sizeof(*p->events));
    p->report = alloc_zero(1, sizeof(*p->report));
    if (p->events != NULL && p->report != NULL &&
        nvl_pack_open(core_pack, core_pack_size, NULL, &p->pack) == NVL_OK)
        return 0;
    player_done(p);
    return -1;
}
void player_done(struct player *p)
{
    buf_done(&p->log);
    buf_done(&p->text);
    alloc_free(p->events);
    alloc_free(p->report);
    nvl_pack_free(p->pack);
}

struct recording {
    struct player *player;
    struct buf events; /* their sections of the log */
};
static int record(void *ctx, const struct nvl_event *e, const uint8_t *canonical, size_t size,
                  const uint8_t hash[SHA256_SIZE])
{
    struct recording *r = ctx;
    (void) hash;
    if (r->player->count == NVL_EVENTS_MAX || nvl_log_event(&r->events, canonical, size) != NVL_OK)
        return -1;
    r->player->events[r->player->count++] = *e;
    return 0;
}
static int write_log(struct player *p, const struct nvl_request *q, const struct nvl_sim *sim,
                     const struct buf *events)
{
    struct buf header = { 0 };
    uint8_t hash[SHA256_SIZE];
    buf_reset(&p->log);
    int rc = nvl_header_encode(q, nvl_pack_digest(p->pack), &header, hash, NULL);
    if (rc == NVL_OK)
        rc = nvl_log_begin(&p->log, header.data, header.size, nvl_sim_world(sim));
    if (rc == NVL_OK) {
        buf_put(&p->log, events->data, events->size);
        rc = nvl_log_end(&p->log, nvl_last_sequence(sim), nvl_head(sim), NULL);
    }
    buf_done(&header);
    return rc == NVL_OK && p->log.failed ? NVL_E_NOMEM : rc;
}
static int finish(struct player *p, const struct nvl_request *q, const struct nvl_sim *sim,
                  const struct buf *events, const struct nvl_story *story, uint64_t *out_violations)
{
    buf_reset(&p->text);
    sample_story_text(story, &p->text);
    int rc = p->text.failed ? NVL_E_NOMEM : write_log(p, q, sim, events);
    if (rc == NVL_OK && verify_log_check(p->log.data, p->log.size, p->report) != VERIFY_DONE)
        rc = NVL_E_NOMEM;
    if (rc == NVL_OK)
        *out_violations = p->report->violations;
    return rc;
}
int player_story(struct player *p, const struct play_request *request, size_t index, uint64_t seed,
                 struct samples *samples, struct nvl_error *err)
{
    struct nvl_request q = { .turns = request->turns,
                             .seed = seed,
                             .mood = request->mood,
                             .setting = request->setting,
                             .scenario = request->scenario,
                             .cast = request->cast,
                             .cast_count = request->cast_count };
    struct nvl_telling telling = { .narrative_style = request->style };
    struct recording r = { .player = p };
    struct nvl_sim *sim = NULL;
    struct nvl_story story;
    struct arena arena;
    uint64_t violations = 0;
    p->count = 0;
    arena_init(&arena, 64 << 10);
    int rc = nvl_open(p->pack, &q, record, &r, err, &sim);
    while (rc == NVL_OK && !nvl_ended(sim))
        rc = nvl_turn(sim, record, &r);
    if (rc == NVL_OK)
        rc = nvl_tell(nvl_sim_world(sim), p->events, p->count, &telling, &arena, err, &story);
    if (rc == NVL_OK)
        rc = finish(p, &q, sim, &r.events, &story, &violations);
    if (rc == NVL_OK && samples != NULL) {
        struct metrics_played played = { nvl_sim_world(sim), p->events, p->count, &story,
                                         violations };
        char name[96];
        snprintf(name, sizeof(name), "%.60s, seed %llu", request->name, (unsigned long long) seed);
        struct sample *x = samples_add_played(samples, name, &played, &p->text);
        if (x == NULL)
            rc = NVL_E_NOMEM;
        else
            x->request = (unsigned) index;
    }
    arena_done(&arena);
    buf_done(&r.events);
    nvl_free(sim);
    return rc;
}
