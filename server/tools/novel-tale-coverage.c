/* novel-tale coverage: how often frames, truths, endings, operators and lines are chosen over many
 * seeds.  Flat is good; what is used most is where the next line pays. */
#include "server/tools/novel-tale-coverage.h"
#include <stdio.h>
#include <string.h>
#include "rpc/base/arena.h"
#include "server/narrator/narrator.h"

enum { NAMES_MAX = 512 };
struct tally {
    char names[NAMES_MAX][128];
    unsigned counts[NAMES_MAX];
    size_t count;
};
static void tally_add(struct tally *t, const char *name)
{
    size_t i = 0;
    while (i < t->count && strcmp(t->names[i], name) != 0)
        i++;
    if (i == NAMES_MAX)
        return;
    if (i == t->count)
        snprintf(t->names[t->count++], sizeof(t->names[0]), "%s", name);
    t->counts[i]++;
}
static void tally_print(const struct tally *t, const char *what)
{
    for (size_t i = 0; i < t->count; i++)
        printf("%6u  %s %s\n", t->counts[i], what, t->names[i]);
}

static const struct nvl_skill pilot_skills[] = { { "piloting", 95 }, { "leadership", 80 } },
                              doctor_skills[] = { { "research", 95 }, { "medicine", 60 } },
                              chief_skills[] = { { "engineering", 90 }, { "systems", 85 } },
                              trader_skills[] = { { "stealth", 85 }, { "negotiation", 80 } };
static const char *const knife[] = { "survival knife" }, *const kit[] = { "bio-scanner", "medkit" },
                         *const cutter[] = { "plasma cutter" }, *const picks[] = { "lock picks" };
static const char *const stranded[] = { "He turned back from a rescue, on orders." },
                         *const kept[] = { "She kept a living sample out of the catalogue." };
static const struct nvl_profile crew[4] = {
    { .id = "pilot",
      .name = "Alex Chen",
      .pronouns = "he",
      .role = "pilot",
      .rank = "Captain",
      .voice = "clipped",
      .traits = { 50, 60, 75, 50, 35, 65 },
      .drives = { 40, 60, 85, 45, 65, 55, 60, 30 },
      .skills = pilot_skills,
      .skills_count = 2,
      .secrets = { stranded, 1 },
      .items = { knife, 1 } },
    { .id = "scientist",
      .name = "Dr. Maya Patel",
      .pronouns = "she",
      .role = "scientist",
      .rank = "Doctor",
      .voice = "scholarly",
      .traits = { 90, 75, 40, 65, 45, 85 },
      .drives = { 50, 40, 60, 95, 45, 80, 50, 20 },
      .skills = doctor_skills,
      .skills_count = 2,
      .secrets = { kept, 1 },
      .items = { kit, 2 } },
    { .id = "engineer",
      .name = "Jordan Kim",
      .pronouns = "they",
      .role = "engineer",
      .rank = "Chief",
      .voice = "dry",
      .traits = { 55, 90, 35, 45, 50, 75 },
      .drives = { 75, 50, 70, 55, 45, 50, 65, 40 },
      .skills = chief_skills,
      .skills_count = 2,
      .items = { cutter, 1 } },
    { .id = "smuggler",
      .name = "Wren Adaro",
      .pronouns = "she",
      .role = "smuggler",
      .voice = "wry",
      .traits = { 70, 42, 62, 54, 52, 40 },
      .drives = { 58, 48, 28, 60, 40, 70, 90, 72 },
      .skills = trader_skills,
      .skills_count = 2,
      .items = { picks, 1 } },
};
static const struct {
    const char *setting, *scenario;
    unsigned turns, first, cast;
} requests[] = {
    { "", "", 3, 0, 2 },
    { "", "a distress signal from an abandoned mining station", 6, 0, 3 },
    { "a fantasy realm", "", 10, 0, 4 },
    { "a noir city in the rain", "someone has stolen the ledger from the vault", 5, 1, 3 },
    { "", "a plague spreads and the cure is missing", 4, 0, 2 },
    { "an old manor house", "the owner was murdered at dinner", 6, 1, 2 },
    { "", "a saboteur is aboard the ship", 8, 0, 4 },
    { "", "the boat is wrecked and they are stranded on an island", 3, 2, 2 },
    { "an icy moon", "a beast hunts the miners", 7, 0, 3 },
    { "", "the reactor is failing and the colony must leave", 5, 0, 4 },
};

struct kept_log {
    struct nvl_event *events;
    size_t count, capacity;
    bool nomem;
};
static int keep(void *ctx, const struct nvl_event *e, const uint8_t *canonical, size_t size,
                const uint8_t hash[SHA256_SIZE])
{
    struct kept_log *log = ctx;
    (void) canonical, (void) size, (void) hash;
    if (log->count == log->capacity) {
        log->nomem = true;
        return -1;
    }
    log->events[log->count++] = *e;
    return 0;
}

struct coverage {
    const struct nvl_pack *pack;
    struct nvl_usage *usage;
    struct tally plots, endings, operators;
    struct nvl_event events[8192];
};
static int cover_one(struct coverage *c, size_t which, uint64_t seed)
{
    struct kept_log log = { c->events, 0, sizeof(c->events) / sizeof(c->events[0]), false };
    struct nvl_request q = { .seed = seed,
                             .turns = requests[which].turns,
                             .setting = requests[which].setting,
                             .scenario = requests[which].scenario,
                             .cast = crew + (requests[which].first + requests[which].cast > 4
                                                 ? 4 - requests[which].cast
                                                 : requests[which].first),
                             .cast_count = requests[which].cast };
    struct nvl_error err = { 0 };
    struct nvl_sim *sim;
    int rc = nvl_open(c->pack, &q, keep, &log, &err, &sim);
    if (rc != NVL_OK)
        return rc;
    while (rc == NVL_OK && !nvl_ended(sim))
        rc = nvl_turn(sim, keep, &log);
    struct arena arena;
    struct nvl_story story;
    arena_init(&arena, 65536);
    if (rc == NVL_OK)
        rc = nvl_tell_counted(nvl_sim_world(sim), log.events, log.count, NULL, c->usage, &arena,
                              &err, &story);
    if (rc == NVL_OK) {
        char plot[128];
        const struct nvl_world *w = nvl_sim_world(sim);
        snprintf(plot, sizeof(plot), "%s/%s", nvl_world_frame(w), nvl_world_truth(w));
        tally_add(&c->plots, plot);
        tally_add(&c->endings, story.ending);
        for (size_t i = 0; i < log.count; i++)
            if (log.events[i].op != NVL_NO_OP)
                tally_add(&c->operators, nvl_event_op_name(w, &log.events[i]));
    }
    arena_done(&arena);
    nvl_free(sim);
    return rc;
}
int novel_tale_coverage(const struct nvl_pack *pack, unsigned seeds)
{
    static struct coverage c;
    c.pack = pack;
    int rc = nvl_usage_new(&c.usage);
    for (unsigned seed = 1; seed <= seeds && rc == NVL_OK; seed++)
        for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]) && rc == NVL_OK; i++)
            rc = cover_one(&c, i, seed);
    if (rc == NVL_OK) {
        struct buf out = { 0 };
        tally_print(&c.plots, "plot");
        tally_print(&c.endings, "ending");
        tally_print(&c.operators, "operator");
        nvl_usage_report(pack, c.usage, &out);
        fputs(buf_str(&out), stdout);
        buf_done(&out);
    }
    nvl_usage_free(c.usage);
    return rc == NVL_OK ? 0 : 1;
}
