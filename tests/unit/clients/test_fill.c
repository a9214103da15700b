/* Characters from YAML and JSON, and back through the JSON printer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <novelengine/v1/novel_engine.pb-c.h>

#include "clients/c/novel_json.h"
#include "clients/cli/fill.h"

typedef Novelengine__V1__Character character;

static void test_yaml(void **state)
{
    (void) state;
    static const char text[] = "character_id: medic\n"
                               "name: Noor Haddad\n"
                               "background_summary: |\n  Two lines\n  of text.\n"
                               "skills: { medicine: 0.9, first_aid: 1 }\n"
                               "inventory:\n  - a kit\n  - \"a 'blade'\"\n"
                               "metadata: { tags: [x, 1, true, null], deep: { er: '2' } }\n"
                               "persona:\n"
                               "  age: 41\n"
                               "  drives: { duty: 80 }\n"
                               "  temperament: { openness: 55 }\n"
                               "  relations:\n    - { character: pilot, trust: -20 }\n"
                               "create_time: 2026-01-01T00:00:00Z\n"
                               "etag: null\n";
    struct arena arena;
    arena_init(&arena, 1024);
    struct fill f = { .arena = &arena };
    character c = NOVELENGINE__V1__CHARACTER__INIT;
    if (!fill_text(&f, &c.base, text, sizeof text - 1))
        fail_msg("%s", f.problem);
    assert_string_equal(c.character_id, "medic");
    assert_string_equal(c.background_summary, "Two lines\nof text.\n");
    assert_int_equal(c.n_skills, 2);
    assert_string_equal(c.skills[0]->key, "medicine");
    assert_true(c.skills[0]->value == 0.9);
    assert_int_equal(c.n_inventory, 2);
    assert_string_equal(c.inventory[1], "a 'blade'");
    assert_int_equal(c.persona->age, 41);
    assert_int_equal(c.persona->drives[0]->value, 80);
    assert_int_equal(c.persona->temperament->openness, 55);
    assert_int_equal(c.persona->relations[0]->trust, -20);
    assert_null(c.create_time); /* the server sets it */
    assert_int_equal(f.n_paths, 9);
    assert_string_equal(f.paths[0], "character_id");
    assert_string_equal(f.paths[8], "etag");
    struct buf b = { 0 };
    novel_json_put(&b, &c.metadata->base, -1);
    assert_string_equal(buf_str(&b), "{\"tags\":[\"x\",1,true,null],\"deep\":{\"er\":\"2\"}}");

    /* What --json prints is a file again, and gives the same. */
    buf_reset(&b);
    novel_json_put(&b, &c.base, 0);
    struct fill g = { .arena = &arena };
    character again = NOVELENGINE__V1__CHARACTER__INIT;
    if (!fill_text(&g, &again.base, buf_str(&b), b.size))
        fail_msg("%s", g.problem);
    struct buf b2 = { 0 };
    novel_json_put(&b2, &again.base, 0);
    assert_string_equal(buf_str(&b2), buf_str(&b));
    buf_done(&b);
    buf_done(&b2);
    arena_done(&arena);
}

static void test_set(void **state)
{
    (void) state;
    struct arena arena;
    arena_init(&arena, 1024);
    struct fill f = { .arena = &arena };
    character c = NOVELENGINE__V1__CHARACTER__INIT;
    static const char *const sets[] = { "name=O'Neill: a \"name\" # not a comment",
                                        "persona.age=35",
                                        "persona.temperament.honesty=7",
                                        "inventory=[a, b]",
                                        "skills={x: 0.5}",
                                        "current_status=" };
    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++)
        if (!fill_set(&f, &c.base, sets[i]))
            fail_msg("%s: %s", sets[i], f.problem);
    assert_string_equal(c.name, "O'Neill: a \"name\" # not a comment");
    assert_int_equal(c.persona->age, 35);
    assert_int_equal(c.persona->temperament->honesty, 7);
    assert_int_equal(c.n_inventory, 2);
    assert_int_equal(c.n_skills, 1);
    assert_string_equal(c.current_status, "");
    assert_int_equal(f.n_paths, 6);
    assert_string_equal(f.paths[1], "persona.age");
    arena_done(&arena);
}

static void test_refuses(void **state)
{
    (void) state;
    static const struct {
        const char *text, *problem;
    } rows[] = {
        { "", "it is empty" },
        { "just text", "line 1: fields by name are needed here" },
        { "- a\n- b", "line 1: fields by name" },
        { "name: x\nnmae: y", "line 2: Character has no field 'nmae'" },
        { "persona:\n  age: old", "line 2: age: 'old' does not fit" },
        { "persona: { age: 1.5 }", "age: '1.5' does not fit" },
        { "persona: { age: 3000000000 }", "age: '3000000000' does not fit" },
        { "persona: { agee: 1 }", "Persona has no field 'agee'" },
        { "skills: [a]", "skills needs" },
        { "inventory: x", "line 1: inventory needs a list" },
        { "name: [x]", "line 1: name is one value" },
        { "skills: { x: much }", "'much' does not fit" },
        { "name: \"a\\0b\"", "name holds a NUL" },
        { "name: \xff", "it is not UTF-8" },
        { "name: [unclosed", "line" },
        { "{ a: ", "line" },
        { "metadata: 5", "a mapping is needed here" },
        { "a: &x [*x]", "" },
        { "metadata: &x { again: *x }", "" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct arena arena;
        arena_init(&arena, 1024);
        struct fill f = { .arena = &arena };
        character c = NOVELENGINE__V1__CHARACTER__INIT;
        if (fill_text(&f, &c.base, rows[i].text, strlen(rows[i].text)))
            fail_msg("'%s' was taken", rows[i].text);
        if (strstr(f.problem, rows[i].problem) == NULL)
            fail_msg("'%s': %s", rows[i].text, f.problem);
        arena_done(&arena);
    }
}

static void test_depth_and_aliases_are_bounded(void **state)
{
    (void) state;
    struct arena arena;
    arena_init(&arena, 1024);
    struct buf b = { 0 };
    buf_puts(&b, "metadata: { a: ");
    for (int i = 0; i < 500; i++)
        buf_putc(&b, '[');
    for (int i = 0; i < 500; i++)
        buf_putc(&b, ']');
    buf_puts(&b, " }");
    struct fill f = { .arena = &arena };
    character c = NOVELENGINE__V1__CHARACTER__INIT;
    assert_false(fill_text(&f, &c.base, buf_str(&b), b.size));
    assert_non_null(strstr(f.problem, "nested too deep"));
    buf_reset(&b); /* each level names the last one nine times: 9^9 values */
    buf_puts(&b, "metadata:\n  a0: &a0 [x]\n");
    for (int i = 1; i < 10; i++) {
        buf_printf(&b, "  a%d: &a%d [", i, i);
        for (int j = 0; j < 9; j++)
            buf_printf(&b, "%s*a%d", j > 0 ? ", " : "", i - 1);
        buf_puts(&b, "]\n");
    }
    assert_false(fill_text(&f, &c.base, buf_str(&b), b.size));
    buf_done(&b);
    arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_yaml),
        cmocka_unit_test(test_set),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_depth_and_aliases_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
