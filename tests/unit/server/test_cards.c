/* Cards: the shipped ones say what they must; a broken one is refused with its line and reason. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rpc/base/check.h"
#include "server/cards/profile.h"

#define HEAD1                                                                                      \
    "---\nname: Ann Lee\npronouns: she\nrole: r\nfaction: f\nspecialization: s\nvoice: "           \
    "dry\nlocation: l\n"
#define HEAD2 "skills: { piloting: 0.955 }\ninventory: [rope]\n" /* lines 9, 10 */
#define HEAD3                                                                                      \
    "temperament: { openness: 1, conscientiousness: 2, extraversion: 3, agreeableness: 4, "        \
    "neuroticism: 5, "                                                                             \
    "honesty: 6 }\n"
#define HEAD4                                                                                      \
    "drives: { safety: 1, belonging: 2, duty: 3, curiosity: 4, status: 5, care: 6, autonomy: 7, "  \
    "gain: 8 }\n"
#define HEAD5 "goals: [g]\nfears: [f]\ncombat_stats: { pilot: 3 }\n"
#define BODY  "---\nBackground.\n"

static struct catalogue *load(const char *folder)
{
    struct catalogue *k = NULL;
    struct card_error err;
    if (catalogue_load(folder, &k, &err) < 0)
        fail_msg("%s:%d: %s", err.file, err.line, err.message);
    return k;
}

static void test_shipped_cards(void **state)
{
    (void) state;
    static const struct {
        const char *id, *name, *pronouns, *role_holds, *faction;
    } cases[] = {
        { "engineer", "Jordan Kim", "they", "systems engineer", "Engineering Corps" },
        { "pilot", "Alex Chen", "he", "elite starfighter pilot", "Galactic Defense Force" },
        { "scientist", "Dr. Maya Patel", "she", "xenobiolog", "Scientific Research Institute" },
        { "smuggler", "Wren Adaro", "she", "smuggler", "" },
        { "test", "Unit Tessera", "it", "synthetic liaison unit", "Meridian Command" },
    };
    struct catalogue *k = load(NULL);
    assert_int_equal(k->count, ARRAY_SIZE(cases));
    for (size_t i = 0; i < k->count; i++) {
        const NE(Character) *c = k->items[i]->message;
        assert_string_equal(c->character_id, cases[i].id);
        assert_string_equal(c->character_name, cases[i].id);
        assert_string_equal(c->name, cases[i].name);
        assert_string_equal(c->persona->pronouns, cases[i].pronouns);
        assert_non_null(strstr(c->persona->role, cases[i].role_holds));
        assert_non_null(strstr(c->persona->faction, cases[i].faction));
        assert_true(strlen(c->background_summary) > 200);
        assert_true(strlen(c->personality_traits) > 100);
        assert_true(strlen(c->current_status) > 20);
        assert_true(strlen(c->narrative_context) > 40);
        assert_true(c->n_skills >= 5 && c->n_inventory >= 3 && c->n_relationships >= 4);
        assert_int_equal(strlen(c->etag), 18);
        for (size_t s = 0; s < c->n_skills; s++)
            assert_true(c->skills[s]->value > 0 && c->skills[s]->value <= 1);
        /* structured_data.stats.{character {name, faction, specialization}, combat_stats} */
        const PB(Struct__FieldsEntry) *stats = c->structured_data->fields[0];
        assert_string_equal(stats->key, "stats");
        const PB(Struct) *in = stats->value->struct_value;
        assert_string_equal(in->fields[0]->key, "character");
        assert_string_equal(in->fields[1]->key, "combat_stats");
        const PB(Struct) *who = in->fields[0]->value->struct_value;
        assert_int_equal(who->n_fields, 3);
        assert_string_equal(who->fields[0]->value->string_value, c->name);
        assert_string_equal(who->fields[1]->value->string_value, c->persona->faction);
        assert_true(strlen(who->fields[2]->value->string_value) > 10);
        assert_true(in->fields[1]->value->struct_value->n_fields >= 4);
    }
    /* Relations are shown by name. */
    bool maya = false;
    const NE(Character) *pilot = catalogue_find(k, "pilot")->message;
    for (size_t i = 0; i < pilot->n_relationships; i++)
        maya = maya || strcmp(pilot->relationships[i]->key, "Dr. Maya Patel") == 0;
    assert_true(maya);
    assert_null(catalogue_find(k, "nobody"));
    assert_null(catalogue_find(k, "Pilot"));
    catalogue_unref(k);
}

static void test_profiles_fit_the_engine(void **state)
{
    (void) state;
    struct catalogue *k = load(NULL);
    struct arena a;
    arena_init(&a, 4096);
    for (size_t i = 0; i < k->count; i++) {
        struct nvl_profile p;
        assert_int_equal(profile_make(k->items[i]->message, k, &a, &p), 0);
        assert_string_equal(p.id, k->items[i]->message->character_id);
        for (size_t t = 0; t < NVL_TRAITS; t++)
            assert_in_range(p.traits[t], 1, 100);
        for (size_t d = 0; d < NVL_DRIVES; d++)
            assert_in_range(p.drives[d], 1, 100);
        assert_true(p.skills_count >= 5 && p.items.count >= 3 && p.goals.count >= 1 &&
                    p.secrets.count >= 1);
    }
    struct nvl_profile pilot;
    assert_int_equal(profile_make(catalogue_find(k, "pilot")->message, k, &a, &pilot), 0);
    assert_string_equal(pilot.skills[0].name, "piloting");
    assert_int_equal(pilot.skills[0].value, 95);
    assert_string_equal(pilot.relations[0].other, "scientist");
    assert_int_equal(pilot.relations[0].trust, 45);
    /* A character that says nothing is in the middle of every scale; long text is cut at a
     * character. */
    NE(Character) bare = NOVELENGINE__V1__CHARACTER__INIT;
    char name[400];
    for (size_t i = 0; i + 2 < sizeof name; i += 2)
        memcpy(name + i, "\xc3\xa9", 3);
    name[sizeof name - 1] = '\0';
    NE(Character__RelationshipsEntry) entry = NOVELENGINE__V1__CHARACTER__RELATIONSHIPS_ENTRY__INIT;
    NE(Character__RelationshipsEntry) * entries[] = { &entry };
    entry.key = "Alex Chen";
    entry.value = -0.255;
    bare.character_id = "bare";
    bare.name = name;
    bare.n_relationships = 1;
    bare.relationships = entries;
    struct nvl_profile p;
    assert_int_equal(profile_make(&bare, k, &a, &p), 0);
    assert_int_equal(strlen(p.name), 120);
    assert_int_equal(p.traits[NVL_HONESTY], 50);
    assert_string_equal(p.relations[0].other, "pilot");
    assert_int_equal(p.relations[0].trust, -25);
    arena_done(&a);
    catalogue_unref(k);
}

static void test_quantised_once(void **state)
{
    (void) state;
    static const struct {
        const char *written;
        double want;
    } cases[] = { { "0.955", 0.96 }, { "0.9549", 0.95 }, { "0", 0.0 },    { "1", 1.0 },
                  { "1.0", 1.0 },    { "0.005", 0.01 },  { "0.29", 0.29 } };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char text[2048];
        snprintf(text, sizeof text,
                 HEAD1 "skills: { x: %s }\ninventory: [rope]\n" HEAD3 HEAD4 HEAD5 BODY,
                 cases[i].written);
        struct arena a;
        arena_init(&a, 1024);
        NE(Character) * c;
        struct card_error err;
        assert_int_equal(card_parse("x.md", "x", text, strlen(text), &a, &c, &err), 0);
        assert_true(c->skills[0]->value == cases[i].want);
        arena_done(&a);
    }
}

static void test_broken_cards(void **state)
{
    (void) state;
    static const struct {
        const char *text;
        int line;
        const char *message; /* part of it */
    } cases[] = {
        { "", 1, "first line" },
        { "name: x\n", 1, "first line" },
        { "\n---\nname: x\n---\n", 1, "first line" },
        { "---\nname: x\n", 2, "not closed" },
        { "---\n---\nB.\n", 2, "empty" },
        { "---\nname: [\n---\nB.\n", 3, "not YAML" },
        { "---\nname: x\n---\nB.\n", 2, "\"pronouns\" is missing" },
        { HEAD1 HEAD2 HEAD3 HEAD4 HEAD5 "---\n", 17, "nothing about" },
        { HEAD1 HEAD2 HEAD3 HEAD4 HEAD5 BODY "\n## Secrets\nx\n", 19, "no section \"Secrets\"" },
        { HEAD1 HEAD2 HEAD3 HEAD4 HEAD5 BODY "\n## Status\nx\n\n## Status\ny\n", 22,
          "stands twice" },
        { HEAD1 HEAD2 HEAD3 HEAD4 HEAD5 BODY "\n<script>x</script>\n", 19, "not html_block" },
        { HEAD1 "skills: { piloting: 1.01 }\ninventory: [a]\n" HEAD3 HEAD4 HEAD5 BODY, 9,
          "1.01 is not between 0 and 1" },
        { HEAD1 "skills: { piloting: high }\n", 9, "not closed" },
        { HEAD1 "skills: { piloting: high }\n" BODY, 9, "\"high\" is not a number" },
        { HEAD1 "skills: { piloting: 1e3 }\n" BODY, 9, "not a number" },
        { HEAD1 "skills: { a: 0.1, a: 0.2 }\n" BODY, 9, "\"a\" stands twice" },
        { HEAD1 "skills: [a]\n" BODY, 9, "mapping" },
        { HEAD1 HEAD2 "inventory: [a]\n" BODY, 11, "\"inventory\" stands twice" },
        { HEAD1 HEAD2 "favourite: x\n" BODY, 11, "\"favourite\" is not a key" },
        { HEAD1 HEAD2 "age: -1\n" BODY, 11, "not between" },
        { HEAD1 HEAD2 "age: 3.5\n" BODY, 11, "whole number" },
        { HEAD1 HEAD2 "goals: x\n" BODY, 11, "list" },
        { HEAD1 HEAD2 "goals: [[x]]\n" BODY, 11, "single value" },
        { HEAD1 HEAD2 "goals: ['']\n" BODY, 11, "empty" },
        { HEAD1 HEAD2 "temperament: { openness: 101 }\n" BODY, 11, "101 is not between 0 and 100" },
        { HEAD1 HEAD2 "drives: { greed: 1 }\n" BODY, 11, "\"greed\" is not a key" },
        { HEAD1 HEAD2 "relations: { a: { love: 1 } }\n" BODY, 11, "\"love\" is not a key" },
        { HEAD1 HEAD2 "relations: { a: { trust: -101 } }\n" BODY, 11, "not between -100 and 100" },
        { HEAD1 HEAD2 HEAD3 HEAD4 "goals: [g]\nfears: [f]\ncombat_stats: { pilot: 11 }\n" BODY, 15,
          "11 is not between 0 and 10" },
        { "---\nname: x\npronouns: xe\n---\nB.\n", 3, "not \"xe\"" },
        { "---\nname: \"a\\0b\"\n---\nB.\n", 2, "not clean" },
        { "---\nname: a\xff\n---\nB.\n", 2, "not clean UTF-8" },
        { "---\nname: &a [*a]\n---\nB.\n", 2, "single value" },
        { "---\nx: &a [b]\ny: [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nz: "
          "[*a,*a,*a,*a,*a,*a,*a,*a]\n---\nB.\n",
          4, "more than 16 aliases" },
        { "---\nx: [[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]\n---\nB.\n", 2, "more than 12 deep" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct arena a;
        arena_init(&a, 1024);
        NE(Character) *c = (NE(Character) *) &a;
        struct card_error err = { 0 };
        int r = card_parse("dir/x.md", "x", cases[i].text, strlen(cases[i].text), &a, &c, &err);
        if (r != -1 || err.line != cases[i].line || strstr(err.message, cases[i].message) == NULL)
            fail_msg("case %zu: %d, %s:%d: %s", i, r, err.file, err.line, err.message);
        assert_string_equal(err.file, "dir/x.md");
        assert_ptr_equal(c, &a);
        arena_done(&a);
    }
}

/* Every prefix of a good card is refused or read, never worse. */
static void test_every_prefix(void **state)
{
    (void) state;
    static const char text[] = HEAD1 HEAD2 HEAD3 HEAD4 HEAD5 BODY "\n## Status\n\nFine.\n";
    size_t good = 0;
    for (size_t n = 0; n < sizeof text; n++) {
        char *copy = malloc(n > 0 ? n : 1); /* exact, so that an overrun is seen */
        memcpy(copy, text, n);
        struct arena a;
        arena_init(&a, 1024);
        NE(Character) * c;
        struct card_error err;
        good += card_parse("x.md", "x", copy, n, &a, &c, &err) == 0;
        arena_done(&a);
        free(copy);
    }
    assert_true(good > 0 && good < 40);
}

static void test_folder(void **state)
{
    (void) state;
    char folder[] = "/tmp/test_cards.XXXXXX", path[128];
    assert_non_null(mkdtemp(folder));
    static const char text[] = HEAD1 HEAD2 HEAD3 HEAD4 HEAD5 BODY;
    static const char *const names[] = { "pilot.md", "zed.md", "README.md", "notes.txt" };
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        FILE *f = fopen(path, "w");
        fputs(i < 2 ? text : "not a card", f);
        fclose(f);
    }
    struct catalogue *k = load(folder);
    assert_int_equal(k->count, 6);
    assert_string_equal(catalogue_find(k, "pilot")->message->name, "Ann Lee");
    assert_non_null(catalogue_find(k, "zed"));
    struct catalogue *without = catalogue_with(k, "zed", NULL);
    assert_null(catalogue_find(without, "zed"));
    assert_non_null(catalogue_find(k, "zed"));
    assert_int_equal(without->count, 5);
    catalogue_unref(without);

    snprintf(path, sizeof path, "%s/Bad-Name.md", folder);
    FILE *f = fopen(path, "w");
    fputs(text, f);
    fclose(f);
    struct catalogue *untouched = k;
    struct card_error err;
    assert_int_equal(catalogue_load(folder, &untouched, &err), -1);
    assert_ptr_equal(untouched, k);
    assert_string_equal(err.file, path);
    assert_non_null(strstr(err.message, "character id"));
    catalogue_unref(k);
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    assert_int_equal(system(command), 0);
    assert_int_equal(catalogue_load(folder, &untouched, &err), -1);
    assert_non_null(strstr(err.message, "No such file"));
}

static void test_ids(void **state)
{
    (void) state;
    static const struct {
        const char *id;
        bool want;
    } cases[] = { { "a", true },      { "pilot_2", true }, { "", false },
                  { "Pilot", false }, { "2a", false },     { "../x", false },
                  { "a-b", false },   { "a b", false },    { "_a", false } };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_int_equal(card_id_valid(cases[i].id), cases[i].want);
    char longest[66];
    memset(longest, 'a', sizeof longest);
    longest[64] = '\0';
    assert_false(card_id_valid(longest));
    longest[63] = '\0';
    assert_true(card_id_valid(longest));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shipped_cards),
        cmocka_unit_test(test_profiles_fit_the_engine),
        cmocka_unit_test(test_quantised_once),
        cmocka_unit_test(test_broken_cards),
        cmocka_unit_test(test_every_prefix),
        cmocka_unit_test(test_folder),
        cmocka_unit_test(test_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
