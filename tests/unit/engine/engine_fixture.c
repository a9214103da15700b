#include "tests/unit/engine/engine_fixture.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static const char *const pack_files[] = { "core",      "frame_distress", "genres",     "incidents",
                                          "lexicon",   "ops_body",       "ops_caller", "ops_mind",
                                          "ops_react", "ops_talk" };
enum { FILES = sizeof(pack_files) / sizeof(pack_files[0]) };

struct nvl_pack *fixture_pack_ordered(int order)
{
    static char text[FILES][64 * 1024];
    char path[128], names[FILES][64];
    struct nvl_source sources[FILES];
    struct nvl_error err;
    struct nvl_pack *pack = NULL;
    for (int i = 0; i < FILES; i++) {
        int k = order ? FILES - 1 - i : i;
        snprintf(path, sizeof(path), "tests/unit/engine/pack/%s.tale", pack_files[k]);
        snprintf(names[k], sizeof(names[k]), "world/%s.tale", pack_files[k]);
        FILE *f = fopen(path, "rb");
        assert_non_null(f);
        size_t n = fread(text[k], 1, sizeof(text[k]), f);
        assert_true(n < sizeof(text[k]));
        fclose(f);
        sources[i] = (struct nvl_source){ names[k], text[k], n };
    }
    int rc = nvl_pack_compile(sources, FILES, NULL, NULL, &err, &pack);
    if (rc != NVL_OK)
        fail_msg("%s:%u:%u: %s", err.file, err.line, err.column, err.message);
    return pack;
}
struct nvl_pack *fixture_pack(void)
{
    return fixture_pack_ordered(0);
}

void fixture_crew(struct fixture_request *r)
{
    static const char *const ids[] = { "pilot", "scientist", "engineer" }, *const names[] = {
        "Alex Chen", "Dr. Maya Patel", "Jordan Kim"
    };
    static const char *const pronouns[] = { "he", "she", "they" }, *const skills[] = {
        "piloting", "research", "engineering"
    };
    memset(r, 0, sizeof(*r));
    for (int i = 0; i < 3; i++) {
        struct nvl_profile *p = &r->cast[i];
        p->id = ids[i], p->name = names[i], p->pronouns = pronouns[i], p->role = ids[i];
        r->skills[i][0] = (struct nvl_skill){ skills[i], 90 };
        p->skills = r->skills[i], p->skills_count = 1;
        for (int k = 0; k < NVL_TRAITS; k++)
            p->traits[k] = (i * 31 + k * 17) % 101;
        for (int k = 0; k < NVL_DRIVES; k++)
            p->drives[k] = (i * 23 + k * 29 + 20) % 101;
    }
    r->request = (struct nvl_request){
        .turns = 3, .seed = 7, .setting = "", .scenario = "", .cast = r->cast, .cast_count = 3
    };
}

static uint32_t next(uint64_t *n, uint32_t below)
{
    *n = *n * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t) (((*n >> 33) * below) >> 31);
}
void fixture_random(struct fixture_request *r, uint64_t n)
{
    static const char *const names[] = { "",
                                         "Ö",
                                         "Jean-Luc O'Neil",
                                         "X Æ A-12",
                                         "a b c d e f g h",
                                         "Dr. Dr. Who",
                                         "🙂",
                                         "Nguyễn Thị Minh" };
    static const char *const pronouns[] = { "he", "she", "they", "it", "", "xe/xem", "she/her" };
    static const char *const words[] = { "engineering", "medicine", "underwater basket weaving", "",
                                         "Leadership",  "stealth" };
    static const char *const texts[] = {
        "",
        "a distress signal from an abandoned mining station",
        "a fantasy realm of dragons",
        "Noir city, rain, a missing singer called Lola. No aliens!",
        "   ",
        "<b>bold</b> {{x}} %s http://a.b/c",
        "ship ship ship station station castle key key crew storm war child"
    };
    memset(r, 0, sizeof(*r));
    size_t cast = 2 + next(&n, 5);
    for (size_t i = 0; i < cast; i++) {
        struct nvl_profile *p = &r->cast[i];
        snprintf(r->ids[i], sizeof(r->ids[i]), "%s%zu", next(&n, 2) ? "x_" : "unknown", i);
        p->id = r->ids[i], p->name = names[next(&n, 8)], p->pronouns = pronouns[next(&n, 7)];
        p->role = words[next(&n, 6)], p->rank = next(&n, 2) ? "captain" : NULL;
        for (int k = 0; k < NVL_TRAITS; k++)
            p->traits[k] = (int32_t) (next(&n, 4) ? next(&n, 101) : next(&n, 2) * 100);
        for (int k = 0; k < NVL_DRIVES; k++)
            p->drives[k] = (int32_t) (next(&n, 4) ? next(&n, 101) : next(&n, 2) * 100);
        for (int k = 0; k < 2; k++)
            r->skills[i][k] = (struct nvl_skill){ words[next(&n, 6)], (int32_t) next(&n, 101) };
        p->skills = r->skills[i], p->skills_count = next(&n, 3);
        r->relations[i][0] = (struct nvl_relation){
            r->ids[next(&n, (uint32_t) cast)], (int32_t) next(&n, 201) - 100,
            (int32_t) next(&n, 201) - 100,     (int32_t) next(&n, 201) - 100,
            (int32_t) next(&n, 201) - 100,     (int32_t) next(&n, 201) - 100
        };
        r->relations[i][1] = (struct nvl_relation){ "Admiral Nobody", 50, 0, 100, 0, 0 };
        p->relations = r->relations[i], p->relations_count = next(&n, 3);
        r->lists[i][0] = "Plasma Cutter", r->lists[i][1] = "an old medkit";
        p->items = (struct nvl_strings){ r->lists[i], next(&n, 3) };
        p->secrets = (struct nvl_strings){ r->lists[i], next(&n, 2) };
    }
    r->request = (struct nvl_request){ .turns = next(&n, 5) ? 1 + next(&n, 12) : 1 + next(&n, 50),
                                       .seed = 1 + next(&n, 1u << 30),
                                       .mood = (enum nvl_mood) next(&n, NVL_MOODS),
                                       .setting = texts[next(&n, 7)],
                                       .scenario = texts[next(&n, 7)],
                                       .cast = r->cast,
                                       .cast_count = cast };
}

static int keep_event(void *ctx, const struct nvl_event *e, const uint8_t *canonical, size_t size,
                      const uint8_t hash[SHA256_SIZE])
{
    struct fixture_log *log = ctx;
    uint8_t again[NVL_CANONICAL_MAX];
    struct nvl_event back;
    assert_int_equal(nvl_event_decode(canonical, size, &back), NVL_OK);
    assert_int_equal(nvl_event_encode(&back, again), size);
    assert_memory_equal(again, canonical, size);
    assert_int_equal(nvl_log_event(&log->events, canonical, size), NVL_OK);
    assert_int_equal(e->sequence, ++log->count);
    memcpy(log->head, hash, SHA256_SIZE);
    log->ending = e->ending;
    size_t n = strlen(log->ops);
    if (e->op != NVL_NO_OP && n + 8 < sizeof(log->ops))
        snprintf(log->ops + n, sizeof(log->ops) - n, "%u ", e->op);
    return 0;
}
void fixture_play(const struct nvl_pack *pack, const struct nvl_request *request,
                  struct fixture_log *log)
{
    struct nvl_sim *sim = NULL;
    struct nvl_error err;
    memset(log, 0, sizeof(*log));
    assert_int_equal(nvl_open(pack, request, keep_event, log, &err, &sim), NVL_OK);
    for (uint32_t turn = 1; turn <= request->turns; turn++) {
        assert_false(nvl_ended(sim));
        assert_int_equal(nvl_turn(sim, keep_event, log), NVL_OK);
        assert_int_equal(nvl_turns_done(sim), turn);
    }
    assert_true(nvl_ended(sim));
    assert_int_equal(nvl_progress(sim), 100);
    assert_int_equal(nvl_turn(sim, keep_event, log), NVL_E_ENDED);
    assert_memory_equal(nvl_head(sim), log->head, SHA256_SIZE);
    assert_int_equal(nvl_last_sequence(sim), log->count);
    nvl_free(sim);
}
void fixture_log_done(struct fixture_log *log)
{
    buf_done(&log->events);
}
void fixture_container(const struct nvl_pack *pack, const struct nvl_request *request,
                       const struct fixture_log *log, struct buf *out)
{
    struct buf header = { 0 };
    struct nvl_world *world = NULL;
    uint8_t hash[SHA256_SIZE];
    assert_int_equal(nvl_header_encode(request, nvl_pack_digest(pack), &header, hash, NULL),
                     NVL_OK);
    assert_int_equal(nvl_world_open(pack, request, NULL, &world), NVL_OK);
    assert_int_equal(nvl_log_begin(out, header.data, header.size, world), NVL_OK);
    buf_put(out, log->events.data, log->events.size);
    assert_int_equal(nvl_log_end(out, log->count, log->head, NULL), NVL_OK);
    nvl_world_free(world);
    buf_done(&header);
}
