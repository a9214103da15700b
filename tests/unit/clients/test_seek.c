/* Looking for stories: conditions, and how far stories are apart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "clients/cli/seek.h"

static void note(struct seek_story *s, const char *actor, const char *operator_, const struct seek_condition *c, size_t n)
{
    Novelengine__V1__SimulationEvent e = NOVELENGINE__V1__SIMULATION_EVENT__INIT;
    e.type = NOVELENGINE__V1__SIMULATION_EVENT__TYPE__TYPE_ACTION;
    e.actor = (char *) actor;
    e.operator_ = (char *) operator_;
    seek_note(s, &e, c, n);
}

static void test_conditions_are_read(void **state)
{
    (void) state;
    static const char *const bad[] = { "", "ending=", "has=", "knows=pilot", "knows=pilot:", "knows=:fact", "nobody", "hurt",
                                       "has=a_name_that_is_far_longer_than_any_operator_could_ever_be_in_a_pack" };
    struct seek_condition c = { .kind = SEEK_LACKS };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(seek_condition_read(bad[i], &c));
    assert_int_equal(c.kind, SEEK_LACKS);
    assert_true(seek_condition_read("knows=pilot:bait", &c));
    assert_int_equal(c.kind, SEEK_KNOWS);
    assert_string_equal(c.name, "pilot");
    assert_string_equal(c.fact, "bait");
    assert_true(seek_condition_read("nobody-hurt", &c));
    assert_true(seek_condition_read("ending=truth", &c));
    assert_string_equal(c.name, "truth");
}

static void test_conditions_are_met(void **state)
{
    (void) state;
    struct seek_condition c[5];
    static const char *const texts[] = { "has=seal", "lacks=flee", "ending=truth", "nobody-hurt", "knows=pilot:bait" };
    for (size_t i = 0; i < 5; i++)
        assert_true(seek_condition_read(texts[i], &c[i]));
    struct seek_story s = { 0 };
    note(&s, "pilot", "seal", c, 5);
    Novelengine__V1__SimulationEvent e = NOVELENGINE__V1__SIMULATION_EVENT__INIT;
    Novelengine__V1__BeliefChange belief = NOVELENGINE__V1__BELIEF_CHANGE__INIT, *beliefs[] = { &belief };
    Novelengine__V1__Effect effect = NOVELENGINE__V1__EFFECT__INIT, *effects[] = { &effect };
    belief.character = (char *) "pilot";
    belief.fact = (char *) "bait";
    belief.after = NOVELENGINE__V1__BELIEF__BELIEF_SUSPECTS;
    effect.fluent = (char *) "hurt";
    effect.before = 2;
    effect.after = 1; /* healed */
    e.n_beliefs = e.n_effects = 1;
    e.beliefs = beliefs;
    e.effects = effects;
    seek_note(&s, &e, c, 5);
    struct seek_story worse = { 0 };
    seek_note(&worse, &e, c, 5);
    belief.after = NOVELENGINE__V1__BELIEF__BELIEF_BELIEVES;
    seek_note(&s, &e, c, 5);
    effect.after = 3;
    seek_note(&worse, &e, c, 5);
    note(&worse, "pilot", "flee", c, 5);
    seek_end(&s, "the_truth", c, 5);
    seek_end(&worse, "a_lie", c, 5);
    assert_true(seek_met(&s, c, 5));
    assert_false(worse.met[0] || worse.met[1] || worse.met[2] || worse.met[3]);
    assert_true(worse.met[4]);
    assert_false(seek_met(&worse, c, 5));
    seek_story_done(&s);
    seek_story_done(&worse);
}

/* Story i of `deeds`: letters are operators. */
static void tell(struct seek_story *s, const char *deeds, const char *ending)
{
    *s = (struct seek_story) { 0 };
    for (; *deeds != '\0'; deeds++)
        note(s, "pilot", (char[]) { *deeds, '\0' }, NULL, 0);
    seek_end(s, ending, NULL, 0);
}

static void test_distance(void **state)
{
    (void) state;
    struct seek_story a, b, c;
    tell(&a, "abcabc", "x");
    tell(&b, "abcabc", "x");
    tell(&c, "defg", "y");
    assert_int_equal(seek_distance(&a, &b), 0);
    assert_int_equal(seek_distance(&a, &c), 1000);
    seek_story_done(&b);
    tell(&b, "abcabc", "y"); /* steps a, ab, bc, ca and an ending each: 4 of 6 in common */
    assert_int_equal(seek_distance(&a, &b), 333);
    assert_int_equal(seek_distance(&b, &a), 333);
    seek_story_done(&a);
    seek_story_done(&b);
    seek_story_done(&c);
}

static void test_most_different(void **state)
{
    (void) state;
    struct seek_story s[5];
    tell(&s[0], "abcd", "x");
    tell(&s[1], "abce", "x");
    tell(&s[2], "mnop", "y");
    tell(&s[3], "mnoq", "y");
    tell(&s[4], "uvwx", "z");
    const struct seek_story *list[5];
    for (size_t i = 0; i < 5; i++)
        list[i] = &s[i];
    size_t picked[5];
    assert_int_equal(seek_most_different(list, 5, 3, picked), 3);
    bool ab = false, mn = false, uv = false;
    for (size_t i = 0; i < 3; i++) {
        ab |= picked[i] < 2;
        mn |= picked[i] == 2 || picked[i] == 3;
        uv |= picked[i] == 4;
    }
    assert_true(ab && mn && uv);
    assert_int_equal(seek_most_different(list, 2, 3, picked), 2);
    assert_int_equal(seek_most_different(list, 0, 3, picked), 0);
    for (size_t i = 0; i < 5; i++)
        seek_story_done(&s[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conditions_are_read),
        cmocka_unit_test(test_conditions_are_met),
        cmocka_unit_test(test_distance),
        cmocka_unit_test(test_most_different),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
