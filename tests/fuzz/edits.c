/* Random edits and forks over the small pack: nothing that anybody orders, whispers or forbids may
 * break a law, a chain, a replay or a telling. */
#include "server/narrator/narrator.h"
#include "server/tools/novel-verify.h"
#include "tests/fuzz/nvl_story.h"
#include "tests/unit/engine/edit_script.h"

enum { EVENTS_MAX = 1024 };
struct kept {
    struct buf bytes;
    size_t start[EVENTS_MAX + 1], count;
    struct nvl_event events[EVENTS_MAX];
    struct nvl_span spans[EVENTS_MAX];
};

static int keep(void *ctx, const struct nvl_event *e, const uint8_t *canonical, size_t size,
                const uint8_t hash[SHA256_SIZE])
{
    struct kept *k = ctx;
    (void) hash;
    if (k->count == EVENTS_MAX)
        return 1;
    k->events[k->count] = *e;
    buf_put(&k->bytes, canonical, size);
    k->start[++k->count] = k->bytes.size;
    return k->bytes.failed;
}

static void check_log(const struct nvl_sim *sim, const struct kept *k)
{
    static struct verify_report report;
    struct buf file = { 0 }, header = { 0 };
    uint8_t hash[SHA256_SIZE];
    CHECK(nvl_header_encode(story_request(), nvl_pack_digest(story_pack()), &header, hash, NULL) ==
          NVL_OK);
    CHECK(nvl_log_begin(&file, header.data, header.size, nvl_sim_world(sim)) == NVL_OK);
    for (size_t i = 0; i < k->count; i++)
        CHECK(nvl_log_event(&file, k->spans[i].data, k->spans[i].size) == NVL_OK);
    CHECK(nvl_log_end(&file, (uint32_t) k->count, nvl_head(sim), NULL) == NVL_OK);
    CHECK(verify_log_check(file.data, file.size, &report) == VERIFY_DONE);
    if (report.violations > 0)
        fprintf(stderr, "event %u, %s: %s\n", report.list[0].sequence, report.list[0].op,
                report.list[0].text);
    CHECK(report.violations == 0);
    buf_done(&header), buf_done(&file);
}

/* The log itself comes again; with one byte changed it is another, or none. */
static void check_replay(const struct nvl_sim *sim, struct kept *k, uint32_t salt)
{
    struct nvl_sim *again;
    struct nvl_error err;
    CHECK(nvl_replay(story_pack(), story_request(), k->spans, k->count, UINT32_MAX, NULL, NULL,
                     &err, &again) == NVL_OK);
    CHECK(memcmp(nvl_head(again), nvl_head(sim), SHA256_SIZE) == 0);
    nvl_free(again);
    uint8_t *byte = &k->bytes.data[salt % k->bytes.size];
    *byte ^= (uint8_t) (1u << salt % 8);
    int rc = nvl_replay(story_pack(), story_request(), k->spans, k->count, UINT32_MAX, NULL, NULL,
                        &err, &again);
    CHECK(rc == NVL_OK || rc == NVL_E_CORRUPT);
    if (rc == NVL_OK) { /* an edit that nothing rests on became another: then the head differs */
        CHECK(memcmp(nvl_head(again), nvl_head(sim), SHA256_SIZE) != 0);
        nvl_free(again);
    }
    *byte ^= (uint8_t) (1u << salt % 8);
}

static void check_telling(const struct nvl_sim *sim, const struct kept *k)
{
    struct nvl_story story;
    struct nvl_error err;
    struct arena arena;
    struct buf text = { 0 };
    arena_init(&arena, 65536);
    CHECK(nvl_tell(nvl_sim_world(sim), k->events, k->count, NULL, &arena, &err, &story) == NVL_OK);
    for (size_t i = 0; i < k->count; i++)
        nvl_event_text(nvl_sim_world(sim), &k->events[i], true, &text);
    CHECK(!text.failed && strstr(buf_str(&text), "  ") == NULL);
    buf_done(&text);
    arena_done(&arena);
}

/* Scripts of several lengths; what a script does not say is drawn. */
bool fuzz_seed(size_t i, struct buf *out)
{
    struct script script = { .state = i + 1 };
    for (size_t n = 16 << i; i < 6 && n > 0; n--)
        buf_putc(out, (char) script_draw(&script, 256));
    return i < 6;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct kept kept;
    struct script script = { .bytes = data, .size = size, .state = size };
    struct nvl_sim *sim;
    kept.count = 0;
    CHECK(nvl_open(story_pack(), story_request(), keep, &kept, NULL, &sim) == NVL_OK);
    int rc = script_play(&script, sim, 6, keep, &kept);
    CHECK(rc == NVL_OK || (rc == NVL_E_SINK && kept.count == EVENTS_MAX));
    for (size_t i = 0; i < kept.count; i++)
        kept.spans[i] =
            (struct nvl_span){ kept.bytes.data + kept.start[i], kept.start[i + 1] - kept.start[i] };
    if (rc == NVL_OK) {
        check_log(sim, &kept);
        check_replay(sim, &kept, script_draw(&script, 1u << 15));
        check_telling(sim, &kept);
    }
    nvl_free(sim);
    buf_done(&kept.bytes);
    return 0;
}
