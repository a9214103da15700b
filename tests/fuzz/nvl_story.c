#include "tests/fuzz/nvl_story.h"

#include "server/engine/carry.h"
#include "tests/unit/narrator/stage.h"

static struct nvl_pack *pack;
static struct nvl_profile cast[2];
static struct nvl_request request = { .turns = 2,
                                      .seed = 7,
                                      .setting = "a station",
                                      .scenario = "a call for help",
                                      .cast = cast,
                                      .cast_count = 2 };

struct nvl_pack *story_pack(void)
{
    if (pack == NULL)
        pack = stage_pack("tests/unit/narrator/mini");
    CHECK(pack != NULL);
    return pack;
}
__attribute__((destructor)) static void free_pack(void)
{
    nvl_pack_free(pack);
}

const struct nvl_request *story_request(void)
{
    cast[0] = *stage_profile(0);
    cast[1] = *stage_profile(1);
    return &request;
}

static void play_log(const struct nvl_request *q, struct buf *out)
{
    struct stage_run run;
    struct buf header = { 0 };
    uint8_t head[SHA256_SIZE], canonical[NVL_CANONICAL_MAX];
    CHECK(stage_play(story_pack(), q, &run) == NVL_OK);
    CHECK(nvl_header_encode(q, nvl_pack_digest(pack), &header, head, NULL) == NVL_OK);
    CHECK(nvl_log_begin(out, header.data, header.size, run.world) == NVL_OK);
    for (size_t i = 0; i < run.count; i++)
        CHECK(nvl_log_event(out, canonical, nvl_event_encode(&run.events[i], canonical)) == NVL_OK);
    CHECK(nvl_log_end(out, (uint32_t) run.count, nvl_head(run.sim), NULL) == NVL_OK);
    stage_run_done(&run);
    buf_done(&header);
}
void story_log(struct buf *out)
{
    play_log(story_request(), out);
}
void story_carry(struct buf *out)
{
    struct stage_run run;
    CHECK(stage_play(story_pack(), story_request(), &run) == NVL_OK);
    CHECK(nvl_carry_encode(run.sim, out) == NVL_OK);
    stage_run_done(&run);
}
void story_chapter_log(struct buf *out)
{
    struct buf carry = { 0 };
    uint8_t digest[SHA256_SIZE];
    story_carry(&carry);
    sha256_of(carry.data, carry.size, digest);
    struct nvl_request q = *story_request();
    q.carry = carry.data, q.carry_size = carry.size, q.carry_digest = digest;
    play_log(&q, out);
    buf_done(&carry);
}
