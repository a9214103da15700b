#include "tests/unit/narrator/stage.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SOURCES_MAX = 128 };

static char *read_all(const char *path, size_t *out_size)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL)
        return NULL;
    struct buf b = { 0 };
    char block[8192];
    size_t n;
    while ((n = fread(block, 1, sizeof(block), f)) > 0)
        buf_put(&b, block, n);
    fclose(f);
    *out_size = b.size;
    buf_putc(&b, 0);
    return (char *) b.data;
}
static size_t list_folder(const char *folder, const char *prefix, struct nvl_source *out,
                          size_t count)
{
    DIR *d = opendir(folder);
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL && count < SOURCES_MAX;) {
        const char *dot = strrchr(e->d_name, '.');
        if (dot == NULL || strcmp(dot, ".tale") != 0)
            continue;
        char path[512], name[512];
        snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
        snprintf(name, sizeof(name), "%s%s", prefix, e->d_name);
        out[count].text = read_all(path, &out[count].size);
        out[count].path = strdup(name);
        count += out[count].text != NULL;
    }
    if (d != NULL)
        closedir(d);
    return count;
}
struct nvl_pack *stage_pack(const char *root)
{
    struct nvl_source sources[SOURCES_MAX];
    char prose[512];
    size_t n = list_folder(root, "", sources, 0);
    snprintf(prose, sizeof(prose), "%s/prose", root);
    n = list_folder(prose, "prose/", sources, n);
    snprintf(prose, sizeof(prose), "%s/world", root);
    n = list_folder(prose, "world/", sources, n);
    struct nvl_error err = { 0 };
    struct nvl_pack *pack = NULL;
    int rc = nvl_pack_compile(sources, n, nvl_prose_check_statement, NULL, &err, &pack);
    if (rc != NVL_OK)
        fprintf(stderr, "%s:%u:%u: %s\n", err.file, err.line, err.column, err.message);
    for (size_t i = 0; i < n; i++) {
        buf_done(&(struct buf){ .data = (uint8_t *) (uintptr_t) sources[i].text });
        free((char *) (uintptr_t) sources[i].path);
    }
    return rc == NVL_OK ? pack : NULL;
}

#define LIST(...)                                                                                  \
    {                                                                                              \
        (const char *const[]){ __VA_ARGS__ },                                                      \
            sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *)                          \
    }
static const struct nvl_skill pilot_skills[] = { { "piloting", 95 },
                                                 { "tactics", 85 },
                                                 { "leadership", 75 },
                                                 { "first_aid", 40 },
                                                 { "engineering", 35 } };
static const struct nvl_skill scientist_skills[] = { { "xenobiology", 95 },
                                                     { "research", 90 },
                                                     { "medicine", 75 },
                                                     { "analysis", 85 },
                                                     { "negotiation", 60 } };
static const struct nvl_skill engineer_skills[] = { { "engineering", 95 },
                                                    { "electronics", 90 },
                                                    { "repair", 90 },
                                                    { "analysis", 70 },
                                                    { "negotiation", 25 } };
static const struct nvl_skill smuggler_skills[] = { { "stealth", 85 },
                                                    { "negotiation", 80 },
                                                    { "piloting", 70 },
                                                    { "deception", 80 },
                                                    { "electronics", 45 } };
static const struct nvl_skill test_skills[] = {
    { "analysis", 85 }, { "communication", 80 }, { "protocol", 95 }, { "electronics", 65 }
};
static const struct nvl_relation pilot_relations[] = { { "scientist", 45, 25, 60, 0, 0 },
                                                       { "engineer", 55, 30, 65, 0, 10 },
                                                       { "smuggler", 5, 15, 35, 0, 0 } };
static const struct nvl_relation scientist_relations[] = { { "pilot", 40, 25, 55, 0, 0 },
                                                           { "engineer", 50, 35, 70, 0, 0 },
                                                           { "smuggler", 15, 20, 30, 0, 0 } };
static const struct nvl_relation engineer_relations[] = { { "pilot", 50, 25, 60, 0, 0 },
                                                          { "scientist", 55, 35, 70, 0, 0 },
                                                          { "smuggler", -5, 5, 40, 0, 0 } };

static const struct nvl_profile cast[STAGE_CAST] = {
    { .id = "pilot",
      .name = "Alex Chen",
      .pronouns = "he",
      .role = "elite starfighter pilot",
      .rank = "Captain",
      .voice = "clipped",
      .age = 34,
      .traits = { 48, 66, 68, 52, 34, 74 },
      .drives = { 30, 62, 90, 45, 55, 66, 58, 20 },
      .skills = pilot_skills,
      .skills_count = 5,
      .relations = pilot_relations,
      .relations_count = 3,
      .goals = LIST("bring everyone who flew out with him home again",
                    "answer every call for help that reaches his radio"),
      .fears = LIST("giving an order that leaves somebody behind", "being grounded"),
      .secrets = LIST("He turned back from a rescue nine years ago on orders, and still hears that "
                      "channel go quiet."),
      .vows = LIST("never again to leave a distress call unanswered"),
      .items = LIST("flight suit with a heater pack", "sidearm", "survival kit", "officer's key"),
      .epithets = LIST("the captain", "the pilot") },
    { .id = "scientist",
      .name = "Dr. Maya Patel",
      .pronouns = "she",
      .role = "xenobiologist",
      .rank = "Doctor",
      .voice = "scholarly",
      .age = 41,
      .traits = { 92, 80, 36, 64, 46, 82 },
      .drives = { 44, 40, 58, 95, 38, 84, 62, 12 },
      .skills = scientist_skills,
      .skills_count = 5,
      .relations = scientist_relations,
      .relations_count = 3,
      .goals = LIST("understand what lives out here before somebody decides that it must not"),
      .fears = LIST("that a discovery of hers will be turned into a weapon",
                    "being hurried into a conclusion"),
      .secrets = LIST("She kept one living sample out of the Institute's catalogue because the "
                      "sponsors would have cut it apart."),
      .vows = LIST("never to sign a report that she knows to be incomplete"),
      .items = LIST("bio-scanner", "sample case", "field notebook"),
      .epithets = LIST("the doctor", "the scientist") },
    { .id = "engineer",
      .name = "Jordan Kim",
      .pronouns = "they",
      .role = "systems engineer",
      .rank = "Chief",
      .voice = "dry",
      .age = 37,
      .traits = { 58, 90, 28, 44, 40, 86 },
      .drives = { 62, 34, 76, 70, 36, 56, 74, 22 },
      .skills = engineer_skills,
      .skills_count = 5,
      .relations = engineer_relations,
      .relations_count = 3,
      .goals = LIST("leave every machine in better order than they found it"),
      .fears = LIST("a fault of their own making that someone else pays for"),
      .secrets = LIST("They signed off the coolant line that failed at Hadrian Yard, and let the "
                      "inquiry blame the supplier."),
      .vows = LIST("to go back for whatever they break"),
      .items = LIST("plasma cutter", "diagnostic scanner", "exosuit"),
      .epithets = LIST("the engineer", "the chief") },
    { .id = "smuggler",
      .name = "Wren Adaro",
      .pronouns = "she",
      .role = "smuggler",
      .voice = "wry",
      .age = 29,
      .traits = { 70, 42, 62, 54, 52, 40 },
      .drives = { 58, 48, 28, 60, 40, 70, 90, 72 },
      .skills = smuggler_skills,
      .skills_count = 5,
      .goals = LIST("pay off the last of what she owes and belong to nobody"),
      .fears = LIST("the creditor who knows her real name"),
      .secrets = LIST("Half of what she carries past the customs posts is people, and she takes no "
                      "money for them."),
      .vows = LIST("never to sell out a passenger"),
      .items = LIST("set of lock picks", "forged cargo papers"),
      .epithets = LIST("the smuggler", "the trader") },
    { .id = "test",
      .name = "Unit Tessera",
      .pronouns = "it",
      .role = "synthetic liaison unit",
      .rank = "Liaison",
      .voice = "formal",
      .age = 6,
      .traits = { 60, 94, 50, 70, 18, 90 },
      .drives = { 50, 52, 88, 72, 15, 68, 34, 5 },
      .skills = test_skills,
      .skills_count = 4,
      .goals = LIST("see that what one crew knows reaches the crew that needs it"),
      .fears = LIST("being reset before a promise is kept"),
      .secrets = LIST(
          "It keeps a private record of every kindness it has been shown, against regulations."),
      .vows = LIST("to report what happened and not what was expected"),
      .items = LIST("encrypted data core", "emergency beacon"),
      .epithets = LIST("the unit", "the liaison") },
    { .id = "nobody",
      .traits = { 50, 50, 50, 50, 50, 50 },
      .drives = { 50, 50, 50, 50, 50, 50, 50, 50 } },
    { .id = "hostile",
      .name = "Bobby <b>Tables</b> {A.poss}",
      .pronouns = "xe",
      .role = "<script>alert(1)</script> cook @warn(A,B)",
      .rank = "<>",
      .voice = "no such voice|(a|b)",
      .goals = LIST("{A} <then> @warn(A,B)", "Do. Not! Tell?"),
      .fears = LIST("%s%n%n \"quotes\" // {}"),
      .vows = LIST("to {B} [x] <y>"),
      .secrets = LIST("(a|b) <class> {A}"),
      .items = LIST("{I.a} knife", "\"\""),
      .epithets = LIST("the {A}", "the cook|chef"),
      .traits = { 50, 50, 50, 50, 50, 50 },
      .drives = { 50, 50, 50, 50, 50, 50, 50, 50 } },
    { .id = "old_one",
      .name = "Ondine",
      .pronouns = "she",
      .role = "keeper of the light",
      .voice = "unknown",
      .traits = { 10, 90, 20, 90, 70, 60 },
      .drives = { 80, 80, 50, 20, 10, 90, 30, 10 },
      .epithets = LIST("the keeper") },
};
const struct nvl_profile *stage_profile(size_t i)
{
    return &cast[i % STAGE_CAST];
}
int stage_find(const char *id)
{
    for (int i = 0; i < STAGE_CAST; i++)
        if (strcmp(cast[i].id, id) == 0)
            return i;
    return -1;
}

static int keep_event(void *ctx, const struct nvl_event *event, const uint8_t *canonical,
                      size_t size, const uint8_t hash[SHA256_SIZE])
{
    (void) canonical, (void) size, (void) hash;
    struct stage_run *run = ctx;
    if (run->count == run->capacity) {
        run->capacity = run->capacity * 2 + 64;
        void *more = realloc(run->events, run->capacity * sizeof(*run->events));
        if (more == NULL)
            return -1;
        run->events = more;
    }
    run->events[run->count++] = *event;
    return 0;
}
int stage_play(const struct nvl_pack *pack, const struct nvl_request *request,
               struct stage_run *out)
{
    return stage_play_edited(pack, request, NULL, out);
}
int stage_play_edited(const struct nvl_pack *pack, const struct nvl_request *request,
                      stage_edit before_turn, struct stage_run *out)
{
    struct nvl_error err = { 0 };
    memset(out, 0, sizeof(*out));
    int rc = nvl_open(pack, request, keep_event, out, &err, &out->sim);
    while (rc == NVL_OK && !nvl_ended(out->sim)) {
        rc = before_turn != NULL ? before_turn(out->sim, keep_event, out) : NVL_OK;
        if (rc == NVL_OK)
            rc = nvl_turn(out->sim, keep_event, out);
    }
    if (rc != NVL_OK)
        fprintf(stderr, "play: %d %s %s\n", rc, err.field, err.message);
    else
        out->world = nvl_sim_world(out->sim);
    return rc;
}
void stage_run_done(struct stage_run *run)
{
    nvl_free(run->sim);
    free(run->events);
    memset(run, 0, sizeof(*run));
}
