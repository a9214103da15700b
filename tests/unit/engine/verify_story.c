#include "tests/unit/engine/verify_story.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "rpc/base/alloc.h"
#include "rpc/base/check.h"
#include "tests/unit/engine/edit_script.h"
#include "tests/unit/engine/verify_fixture.h"

/* ---- content --------------------------------------------------------------------------------- */

enum { FILES_MAX = 64, PATH_MAX_BYTES = 512 };
static struct nvl_source sources[FILES_MAX];
static size_t sources_count;

static void add_file(const char *path)
{
    FILE *in = fopen(path, "rb");
    struct buf text = { 0 };
    size_t got;
    CHECK(in != NULL && sources_count < FILES_MAX);
    do {
        CHECK(buf_reserve(&text, 65536) == 0);
        got = fread(text.data + text.size, 1, 65536, in);
        text.size += got;
    } while (got > 0);
    (void) fclose(in);
    sources[sources_count++] =
        (struct nvl_source){ alloc_strdup(path), alloc_strndup((char *) text.data, text.size),
                             text.size };
    buf_done(&text);
}

static void add_folder(const char *folder)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    char path[PATH_MAX_BYTES];
    if (dir == NULL)
        return;
    while ((entry = readdir(dir)) != NULL) {
        size_t length = strlen(entry->d_name);
        (void) snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        if (length > 5 && strcmp(entry->d_name + length - 5, ".tale") == 0)
            add_file(path);
    }
    (void) closedir(dir);
}

struct nvl_pack *story_pack(void)
{
    struct nvl_error err = { 0 };
    struct nvl_pack *pack = NULL;
    add_folder("server/content/world");
    if (nvl_pack_compile(sources, sources_count, NULL, NULL, &err, &pack) != NVL_OK)
        (void) fprintf(stderr, "%s:%u:%u: %s\n", err.file, err.line, err.column, err.message);
    for (size_t i = 0; i < sources_count; i++) {
        alloc_free((char *) sources[i].path);
        alloc_free((char *) sources[i].text);
    }
    sources_count = 0;
    return pack;
}

/* ---- requests -------------------------------------------------------------------------------- */

static uint64_t next(uint64_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return *x;
}

static const char *const settings[] = {
    "an abandoned mining station",
    "a derelict freighter adrift beyond the last beacon",
    "a monastery above the clouds",
    "",
    "the flooded quarter of an old harbour town",
    "a research camp under the ice",
};
static const char *const scenarios[] = {
    "A distress call comes from a station that was given up years ago.",
    "The reactor fails and somebody aboard is not who they claim to be.",
    "A signal repeats every forty-eight hours. Nobody answers.",
    "",
    "Three friends look for a missing engineer with a lantern and a map.",
};
static const char *const skill_names[] = { "engineering", "piloting", "medicine",
                                           "tactics",     "science",  "stealth" };
static const char *const roles[] = { "engineer", "pilot", "doctor", "captain", "smuggler", "" };

struct cast_memory {
    struct nvl_profile profiles[6];
    struct nvl_skill skills[6][3];
    struct nvl_relation relations[6][5];
    char ids[6][24], names[6][24];
    const char *items[2], *words[2];
};

static void draw_cast(uint64_t *x, unsigned count, struct cast_memory *m)
{
    m->items[0] = "plasma cutter";
    m->items[1] = "medical kit";
    m->words[0] = "keeps an old promise";
    m->words[1] = "being left behind";
    for (unsigned c = 0; c < count; c++) {
        (void) snprintf(m->ids[c], sizeof(m->ids[c]), "person_%u", c % 10);
        (void) snprintf(m->names[c], sizeof(m->names[c]), "Person %c", (int) ('A' + c));
    }
    for (unsigned c = 0; c < count; c++) {
        struct nvl_profile *p = &m->profiles[c];
        *p = (struct nvl_profile){ .id = m->ids[c],
                                   .name = m->names[c],
                                   .pronouns = "they",
                                   .role = roles[next(x) % ARRAY_SIZE(roles)],
                                   .age = (int32_t) (next(x) % 80) };
        for (unsigned i = 0; i < NVL_TRAITS; i++)
            p->traits[i] = (int32_t) (next(x) % 101);
        for (unsigned i = 0; i < NVL_DRIVES; i++)
            p->drives[i] = (int32_t) (next(x) % 101);
        unsigned first = (unsigned) (next(x) % 4); /* names may not repeat */
        for (unsigned i = 0; i < 3; i++)
            m->skills[c][i] =
                (struct nvl_skill){ skill_names[first + i], (int32_t) (next(x) % 101) };
        p->skills = m->skills[c];
        p->skills_count = next(x) % 4;
        for (unsigned i = 0, o = 0; o < count; o++)
            if (o != c) {
                struct nvl_relation *r = &m->relations[c][i++];
                *r = (struct nvl_relation){ m->ids[o], 0, 0, 0, 0, 0 };
                int32_t *axes[5] = { &r->trust, &r->affection, &r->respect, &r->fear, &r->debt };
                for (unsigned k = 0; k < 5; k++)
                    *axes[k] = (int32_t) (next(x) % 201) - 100;
            }
        p->relations = m->relations[c];
        p->relations_count = next(x) % count;
        p->items = (struct nvl_strings){ m->items, next(x) % 3 };
        p->vows = (struct nvl_strings){ m->words, next(x) % 2 };
        p->fears = (struct nvl_strings){ m->words + 1, next(x) % 2 };
        p->secrets = (struct nvl_strings){ m->words, next(x) % 2 };
    }
}

/* ---- playing --------------------------------------------------------------------------------- */

static int keep(void *ctx, const struct nvl_event *event, const uint8_t *canonical, size_t size,
                const uint8_t hash[SHA256_SIZE])
{
    (void) event;
    (void) hash;
    struct story *s = ctx;
    const char *why;
    CHECK(s->count < STORY_EVENTS_MAX);
    if (!verify_event_decode(canonical, size, &s->events[s->count], &why)) {
        (void) fprintf(stderr, "event %u: %s\n", s->count + 1, why);
        return 1;
    }
    buf_put(&s->canonical, canonical, size);
    s->start[++s->count] = s->canonical.size;
    return 0;
}

/* To the end; one in sixteen is cancelled. */
static int play_on(struct nvl_sim *sim, unsigned n, uint64_t x, uint32_t turns, struct story *out)
{
    int r = NVL_OK;
    unsigned cancelled_at = n % 16 == 15 ? (unsigned) (next(&x) % turns) : 999;
    for (unsigned turn = 0; r == NVL_OK && !nvl_ended(sim); turn++)
        r = turn == cancelled_at ? nvl_cancel(sim, keep, out) : nvl_turn(sim, keep, out);
    return r;
}

static int play(const struct nvl_pack *pack, unsigned n, bool edited, struct story *out)
{
    static struct cast_memory cast; /* tests are one thread */
    uint64_t x = 0x9E3779B97F4A7C15u * (n + 1);
    for (unsigned i = 0; i < 8; i++)
        (void) next(&x);
    struct nvl_request request = {
        .turns = 1 + (uint32_t) (n % 10 == 9 ? next(&x) % 50 : next(&x) % 12),
        .seed = 1 + next(&x) % NVL_SEED_MAX,
        .mood = (enum nvl_mood)(next(&x) % NVL_MOODS),
        .setting = settings[next(&x) % ARRAY_SIZE(settings)],
        .scenario = scenarios[next(&x) % ARRAY_SIZE(scenarios)],
        .cast = cast.profiles,
        .cast_count = 2 + next(&x) % 5,
    };
    draw_cast(&x, (unsigned) request.cast_count, &cast);
    memset(out, 0, sizeof(*out));
    struct nvl_sim *sim = NULL;
    struct nvl_error err = { 0 };
    uint8_t hash[32];
    int r = nvl_open(pack, &request, keep, out, &err, &sim);
    if (r != NVL_OK) {
        (void) fprintf(stderr, "request %u: %s: %s\n", n, err.field, err.message);
        return r;
    }
    struct script script = { .state = x };
    r = edited ? script_play(&script, sim, 4, keep, out) : play_on(sim, n, x, request.turns, out);
    if (r == NVL_OK)
        r = nvl_header_encode(&request, nvl_pack_digest(pack), &out->header, hash, &err);
    const struct nvl_world *world = nvl_sim_world(sim);
    out->cells = (unsigned) nvl_world_cells(world);
    out->characters = (unsigned) nvl_world_count(world, NVL_SORT_CHAR);
    out->operators = (unsigned) nvl_pack_op_count(pack);
    if (r == NVL_OK)
        r = nvl_log_begin(&out->before, out->header.data, out->header.size, world);
    nvl_free(sim);
    if (r == NVL_OK) { /* the digests that STARTED carries; the buffer no longer moves */
        out->events[0].hash_0 = out->canonical.data + out->start[1] - 64;
        out->events[0].world_digest = out->canonical.data + out->start[1] - 32;
    }
    for (unsigned i = 0; i < out->count; i++)
        if (out->events[i].type == EVENT_FORKED)
            out->events[i].parent_head = out->canonical.data + out->start[i + 1] - 42;
    return r;
}

int story_play(const struct nvl_pack *pack, unsigned n, struct story *out)
{
    return play(pack, n, false, out);
}

int story_play_edited(const struct nvl_pack *pack, unsigned n, struct story *out)
{
    return play(pack, n, true, out);
}

void story_done(struct story *story)
{
    buf_done(&story->header);
    buf_done(&story->before);
    buf_done(&story->canonical);
}

/* ---- writing --------------------------------------------------------------------------------- */

static void write_chain(const struct story *s, const struct buf *canonical, const size_t *start,
                        unsigned count, struct buf *out)
{
    uint8_t head[32];
    sha256_of(s->header.data, s->header.size, head);
    buf_put(out, s->before.data, s->before.size);
    struct sha256 *sha = sha256_new();
    CHECK(sha != NULL);
    for (unsigned i = 0; i < count; i++) {
        const uint8_t *bytes = canonical->data + start[i];
        size_t size = start[i + 1] - start[i];
        CHECK(nvl_log_event(out, bytes, size) == NVL_OK);
        sha256_start(sha);
        sha256_add(sha, head, 32);
        sha256_add(sha, bytes, size);
        sha256_finish(sha, head);
    }
    sha256_free(sha);
    CHECK(nvl_log_end(out, count, head, NULL) == NVL_OK);
}

void story_write(const struct story *story, struct buf *out)
{
    write_chain(story, &story->canonical, story->start, story->count, out);
}

void story_write_changed(const struct story *story, const struct verify_event *events,
                         unsigned count, struct buf *out)
{
    static size_t start[STORY_EVENTS_MAX + 2];
    static struct buf canonical;
    buf_reset(&canonical);
    for (unsigned i = 0; i < count; i++) {
        fixture_encode(&events[i], &canonical);
        start[i + 1] = canonical.size;
    }
    write_chain(story, &canonical, start, count, out);
}
