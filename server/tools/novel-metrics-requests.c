#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "server/tools/novel-metrics-play.h"

#define LIST(...)                                                                                  \
    {                                                                                              \
        (const char *const[]){ __VA_ARGS__ },                                                      \
            sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *)                          \
    }
#define SKILLS(...)                                                                                \
    .skills = (const struct nvl_skill[]){ __VA_ARGS__ },                                           \
    .skills_count = sizeof((const struct nvl_skill[]){ __VA_ARGS__ }) / sizeof(struct nvl_skill)

static const struct nvl_profile people[] = {
    { .id = "alex",
      .name = "Alex Chen",
      .pronouns = "he",
      .role = "pilot",
      .rank = "Captain",
      .voice = "clipped",
      .traits = { 50, 60, 75, 50, 35, 65 },
      .drives = { 40, 60, 85, 45, 65, 55, 60, 30 },
      SKILLS({ "piloting", 95 }, { "leadership", 80 }),
      .secrets = LIST("He once flew past a call for help."),
      .items = LIST("survival knife") },
    { .id = "maya",
      .name = "Dr. Maya Patel",
      .pronouns = "she",
      .role = "scientist",
      .rank = "Doctor",
      .voice = "scholarly",
      .traits = { 90, 75, 40, 65, 45, 85 },
      .drives = { 50, 40, 60, 95, 45, 80, 50, 20 },
      SKILLS({ "research", 95 }, { "medicine", 60 }),
      .secrets = LIST("She left one result out of her report."),
      .items = LIST("bio-scanner", "medkit") },
    { .id = "jordan",
      .name = "Jordan Kim",
      .pronouns = "they",
      .role = "engineer",
      .rank = "Chief",
      .voice = "dry",
      .traits = { 55, 90, 35, 45, 50, 75 },
      .drives = { 75, 50, 70, 55, 45, 50, 65, 40 },
      SKILLS({ "engineering", 90 }, { "systems", 85 }),
      .items = LIST("plasma cutter") },
    { .id = "wren",
      .name = "Wren Adaro",
      .pronouns = "she",
      .role = "smuggler",
      .voice = "wry",
      .traits = { 70, 42, 62, 54, 52, 40 },
      .drives = { 58, 48, 28, 60, 40, 70, 90, 72 },
      SKILLS({ "stealth", 85 }, { "negotiation", 80 }),
      .items = LIST("lock picks") },
    { .id = "tomas",
      .name = "Tomas Brandt",
      .pronouns = "he",
      .role = "medic",
      .voice = "warm",
      .traits = { 55, 70, 50, 85, 40, 80 },
      .drives = { 55, 75, 65, 45, 30, 95, 40, 20 },
      SKILLS({ "medicine", 90 }, { "persuasion", 65 }),
      .items = LIST("field dressings") },
    { .id = "ilse",
      .name = "Ilse Varga",
      .pronouns = "she",
      .role = "guard",
      .rank = "Sergeant",
      .voice = "formal",
      .traits = { 35, 80, 55, 40, 30, 70 },
      .drives = { 70, 55, 90, 30, 60, 45, 35, 40 },
      SKILLS({ "security", 85 }, { "tactics", 75 }),
      .items = LIST("lantern") },
};
enum { PEOPLE = sizeof(people) / sizeof(people[0]) };

static const struct {
    const char *name, *setting, *scenario, *cast;
    uint32_t turns;
} requests[] = {
    { "the bare request", "", "", "alex maya jordan", 3 },
    { "a call from the dark", "a relay post on the edge of charted space",
      "a distress call repeats the name of a ship that was scrapped years ago", "alex maya jordan",
      6 },
    { "the bell tower", "a fantasy realm of river towns",
      "the bell in the old tower rings at night although its rope was cut", "maya wren tomas", 6 },
    { "the forged will", "a noir city in winter",
      "a lawyer has been murdered and the will in his safe is forged", "alex wren ilse", 5 },
    { "bad water", "a mining settlement on a dry moon",
      "people fall sick and the well is the only water", "maya tomas", 4 },
    { "the auction", "a harbour city",
      "a crew wants to steal the compass from the auction house before dawn",
      "wren jordan alex ilse", 8 },
    { "the thing in the woods", "a mountain village",
      "something hunts the shepherds and takes one lamb each night", "ilse tomas wren", 7 },
    { "one of us", "a long-haul freighter", "someone aboard has cut the coolant lines",
      "alex maya jordan tomas", 10 },
    { "after the wreck", "an island without a harbour",
      "the ship is lost and the survivors have three days of food", "jordan ilse", 3 },
    { "the dam", "a valley below a dam", "the dam is cracking and the town does not believe it",
      "maya jordan ilse", 6 },
};

static const struct nvl_profile *person(const char *id, size_t size)
{
    for (size_t i = 0; i < PEOPLE; i++)
        if (strlen(people[i].id) == size && memcmp(people[i].id, id, size) == 0)
            return &people[i];
    return NULL;
}
/* False when a name is not known, or there are too many. */
static bool cast_of(const char *ids, struct play_request *out)
{
    out->cast_count = 0;
    for (size_t n; ids += strspn(ids, " \t"), (n = strcspn(ids, " \t")) > 0; ids += n) {
        const struct nvl_profile *p = person(ids, n);
        if (p == NULL || out->cast_count == NVL_CAST_MAX)
            return false;
        out->cast[out->cast_count++] = *p;
    }
    return out->cast_count >= NVL_CAST_MIN;
}
size_t play_requests_count(void)
{
    return sizeof(requests) / sizeof(requests[0]);
}
void play_request_at(size_t i, struct play_request *out)
{
    *out = (struct play_request){ .name = requests[i].name,
                                  .setting = requests[i].setting,
                                  .scenario = requests[i].scenario,
                                  .style = "",
                                  .turns = requests[i].turns };
    (void) cast_of(requests[i].cast, out);
}

void play_request_shape(struct play_request *r, size_t cast, uint32_t turns)
{
    r->turns = turns;
    for (size_t i = 0; i < PEOPLE && r->cast_count < cast; i++) {
        bool there = false;
        for (size_t k = 0; k < r->cast_count; k++)
            there |= strcmp(r->cast[k].id, people[i].id) == 0;
        if (!there)
            r->cast[r->cast_count++] = people[i];
    }
    r->cast_count = cast < r->cast_count ? cast : r->cast_count;
}

static bool take_line(char *line, struct play_request *out)
{
    char *value = line + strcspn(line, " \t");
    if (*value != 0)
        *value++ = 0;
    value += strspn(value, " \t");
    if (strcmp(line, "setting") == 0)
        out->setting = value;
    else if (strcmp(line, "scenario") == 0)
        out->scenario = value;
    else if (strcmp(line, "style") == 0)
        out->style = value;
    else if (strcmp(line, "turns") == 0)
        out->turns = (uint32_t) strtoul(value, NULL, 10);
    else if (strcmp(line, "mood") == 0)
        return nvl_mood_parse(value, &out->mood) == NVL_OK;
    else
        return strcmp(line, "cast") == 0 && cast_of(value, out);
    return true;
}
int play_request_read(const char *name, const char *text, size_t size, struct arena *arena,
                      struct play_request *out, char *why, size_t why_size)
{
    struct play_request r = {
        .setting = "", .scenario = "", .style = "", .turns = PLAY_TURNS_DEFAULT
    };
    char *copy = arena_strndup(arena, text, size);
    r.name = arena_strndup(arena, name, strlen(name));
    (void) cast_of("alex maya jordan", &r);
    if (copy == NULL || r.name == NULL) {
        snprintf(why, why_size, "out of memory");
        return -1;
    }
    for (unsigned number = 1; *copy != 0; number++) {
        size_t n = strcspn(copy, "\r\n");
        char *line = copy + strspn(copy, " \t"), *next = copy + n + (copy[n] != 0);
        copy[n] = 0;
        if (*line != 0 && *line != '#' && !take_line(line, &r)) {
            snprintf(why, why_size, "line %u is not understood", number);
            return -1;
        }
        copy = next;
    }
    *out = r;
    return 0;
}
