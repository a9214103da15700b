/* Requests over every genre, thirty of them written down before they were tried: which frame and genre
 * each becomes, and what of the user's nouns is told and takes part.  GROUNDING_SHOW=1 prints each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "server/narrator/morph.h"
#include "tests/unit/narrator/stage.h"

enum { SEEDS = 4 };
static const struct {
    const char *frame, *genre, *scenario, *setting;
} requests[] = {
    { "distress", "sf_station", "a distress signal from an abandoned mining station", "" },
    { "mystery", "age_of_sail", "a stolen logbook sets the crew against the harbour master",
      "an old harbour town" },
    { "sabotage", "sf_station", "a saboteur has cut the coolant line of the reactor",
      "a research station orbiting Europa" },
    { "hunt", "fantasy", "a dragon hunts the pilgrims on the mountain road", "a fantasy realm" },
    { "disaster", "contemporary", "the dam above the village is about to burst", "" },
    { "murder", "noir", "the nightclub singer is found dead in her dressing room", "a noir city" },
    { "murder", "gothic", "who poisoned the old countess at dinner?", "a gothic manor" },
    { "mystery", "fantasy", "the queen's crown vanished on the eve of the coronation",
      "a castle in a fantasy kingdom" },
    { "disaster", "sf_ship", "a fire spreads through the cargo ship while the passengers sleep",
      "a freighter between the stars" },
    { "hunt", "contemporary", "a bear stalks the campers in the forest", "a modern national park" },
    { "sabotage", "noir", "one of the gang is an informer", "the rainy streets of a noir city" },
    { "disaster", "age_of_sail", "a storm drives the schooner onto the reef", "the age of sail" },
    { "hunt", "age_of_sail", "a white whale hunts the whaler", "the southern ocean" },
    { "sabotage", "fantasy", "a traitor inside the castle opens the gate at night", "" },
    { "mystery", "gothic", "the portrait of the late duke has been stolen from the gallery",
      "a haunted house" },
    { "disaster", "contemporary", "an earthquake traps the miners under the mountain", "" },
    { "hunt", "sf_ship", "a rogue android hunts the crew in the dark corridors",
      "a derelict vessel" },
    { "mystery", "noir", "a blackmailer has stolen the senator's letters", "noir, the city" },
    { "distress", "age_of_sail", "a call for help from a lighthouse that was closed years ago",
      "" },
    { "hunt", "contemporary", "wolves circle the snowbound inn", "a mountain village" },
    { "disaster", "sf_station", "no aliens: the oxygen is failing and someone is to blame",
      "a space station" },
    { "heist", "noir", "they must steal the jewel from the casino vault", "" },
    { "mystery", "contemporary", "the museum's oldest map is missing and nobody saw it go", "" },
    { "distress", "gothic", "a ghost calls for help from the sealed tower", "a gothic mansion" },
    { "disaster", "fantasy", "the river is flooding the monastery and the library must be saved",
      "a medieval realm" },
    { "sabotage", "age_of_sail", "a spy aboard the frigate has spoiled the powder", "" },
    { "murder", "sf_station", "the station director has been murdered during the blackout",
      "a mining station" },
    { "mystery", "noir", "the accountant's ledger has disappeared and the boss wants it back",
      "a gangster city" },
    { "sabotage", "contemporary", "the brakes of the mountain train were tampered with", "" },
    { "distress", "age_of_sail", "a beacon burns on the island where nobody lives", "the sea" },
    /* what only phrases tell */
    { "distress", "sf_station", "the lamp has gone out and the keeper does not answer",
      "a lighthouse on a dead moon" },
    { "distress", "sf_station", "we lost contact with the mining colony", "" },
    { "sabotage", "contemporary", "someone is leaking the plans to the competitor",
      "an office on the twentieth floor" },
    { "sabotage", "contemporary", "the scenery has been painted over", "a school play" },
    { "hunt", "contemporary", "the lion has escaped", "a circus" },
    { "disaster", "contemporary", "the oven broke the night before the wedding", "a bakery" },
    { "contagion", "contemporary", "patients wake up speaking a language nobody knows",
      "a hospital at night" },
};
enum { REQUESTS = sizeof(requests) / sizeof(requests[0]) };
static struct nvl_pack *pack;

static bool told(const char *text, const char *noun)
{
    char word[40];
    size_t at = 0, n = strlen(noun);
    n -= n > 4 && noun[n - 1] == 'y'; /* "city", "cities" */
    while (morph_next_word(text, strlen(text), &at, word))
        if (strncmp(word, noun, n) == 0 && strlen(word) <= n + 3)
            return true;
    return false;
}
/* Whether something that bears the noun is an argument, or the place, of an event. */
static bool takes_part(const struct stage_run *run, const char *noun)
{
    for (unsigned sort = NVL_SORT_CHAR; sort < NVL_SORTS; sort++)
        for (size_t i = 0; i < nvl_world_count(run->world, (enum nvl_sort) sort); i++) {
            const struct nvl_entity *x = nvl_world_entity(run->world, (enum nvl_sort) sort, i);
            char lower[160];
            size_t n = 0;
            for (; x->name[n] != 0 && n < sizeof(lower) - 1; n++)
                lower[n] =
                    x->name[n] >= 'A' && x->name[n] <= 'Z' ? (char) (x->name[n] + 32) : x->name[n];
            lower[n] = 0;
            if (!x->from_user || !told(lower, noun))
                continue;
            for (size_t k = 0; k < run->count; k++) {
                const struct nvl_event *e = &run->events[k];
                struct nvl_op_info info;
                if (e->op == NVL_NO_OP)
                    continue;
                nvl_pack_op(pack, e->op, &info);
                if (sort == NVL_SORT_PLACE && e->place == i)
                    return true;
                for (unsigned a = 0; a < info.params_count; a++)
                    if (info.params[a].sort == sort && e->args[a] == i)
                        return true;
            }
        }
    return false;
}
struct sums {
    unsigned nouns, told, part, wrong;
};
static void ground(size_t r, uint64_t seed, struct sums *sum)
{
    struct nvl_profile cast[3] = { *stage_profile(0), *stage_profile(1), *stage_profile(2) };
    struct nvl_request q = { .turns = 6,
                             .seed = seed,
                             .setting = requests[r].setting,
                             .scenario = requests[r].scenario,
                             .cast = cast,
                             .cast_count = 3 };
    struct stage_run run;
    struct arena arena;
    struct nvl_story story;
    struct buf text = { 0 };
    arena_init(&arena, 65536);
    assert_int_equal(stage_play(pack, &q, &run), NVL_OK);
    assert_int_equal(nvl_tell(run.world, run.events, run.count, NULL, &arena, NULL, &story),
                     NVL_OK);
    nvl_story_markdown(&story, &text);
    bool show = getenv("GROUNDING_SHOW") != NULL && seed == 1;
    bool wrong = strcmp(nvl_world_frame(run.world), requests[r].frame) != 0 ||
                 strcmp(nvl_world_genre(run.world), requests[r].genre) != 0;
    if (seed == 1 && (wrong || show))
        print_message("%s\"%s\" is %s, %s; wanted %s, %s:", wrong ? "WRONG " : "",
                      requests[r].scenario, nvl_world_frame(run.world), nvl_world_genre(run.world),
                      requests[r].frame, requests[r].genre);
    sum->wrong += seed == 1 && wrong;
    for (size_t i = 0; i < nvl_world_noun_count(run.world); i++) {
        bool placed;
        const char *noun = nvl_world_noun(run.world, i, &placed);
        bool is_told = told(buf_str(&text), noun), part = takes_part(&run, noun);
        sum->nouns++, sum->told += is_told, sum->part += part;
        if (show)
            print_message(" %s%s%s", noun, is_told ? "" : "(untold)", part ? "*" : "");
    }
    if (seed == 1 && (wrong || show))
        print_message("\n");
    assert_null(strstr(buf_str(&text), "alien")); /* nobody asked for any; one asked for none */
    buf_done(&text);
    arena_done(&arena);
    stage_run_done(&run);
}
static void test_requests(void **state)
{
    struct sums sum = { 0 };
    (void) state;
    for (size_t r = 0; r < REQUESTS; r++)
        for (uint64_t seed = 1; seed <= SEEDS; seed++)
            ground(r, seed, &sum);
    print_message("%d requests, %u misread; of %u nouns %u %% are told, %u %% take part\n",
                  (int) REQUESTS, sum.wrong, sum.nouns, 100 * sum.told / sum.nouns,
                  100 * sum.part / sum.nouns);
    assert_int_equal(sum.wrong, 0);
    assert_true(100 * sum.told >= 90 * sum.nouns);
    assert_true(100 * sum.part >= 60 * sum.nouns);
}

static int setup(void **state)
{
    (void) state;
    pack = stage_pack("server/content");
    return pack == NULL;
}
static int teardown(void **state)
{
    (void) state;
    nvl_pack_free(pack);
    return 0;
}
int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_requests) };
    return cmocka_run_group_tests(tests, setup, teardown);
}
