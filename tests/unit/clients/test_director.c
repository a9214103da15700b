/* What a director types becomes the command that was meant, or a sentence that helps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "clients/cli/director.h"

typedef Novelengine__V1__DirectorUpdate__Entity entity_t;

static Novelengine__V1__DirectorUpdate__Stage *stage(void)
{
    static Novelengine__V1__DirectorUpdate__Stage s;
    static entity_t entities[5], *list[5];
    static Novelengine__V1__DirectorUpdate__Operator ops[2], *op_list[2];
    static const char *const names[][3] = { { "character", "pilot", "Alex\x1b[2J Chen" },
                                            { "character", "engineer", "Jordan" },
                                            { "place", "hub", "the hub" },
                                            { "item", "key_1", "a key" },
                                            { "fact", "someone_alive", "someone_alive" } };
    static char *incidents[] = { "air_fails" }, *traits[] = { "honesty" },
                *sorts[] = { "character" };
    novelengine__v1__director_update__stage__init(&s);
    for (size_t i = 0; i < 5; i++) {
        novelengine__v1__director_update__entity__init(&entities[i]);
        entities[i].sort = (char *) names[i][0];
        entities[i].id = (char *) names[i][1];
        entities[i].name = (char *) names[i][2];
        list[i] = &entities[i];
    }
    for (size_t i = 0; i < 2; i++) {
        novelengine__v1__director_update__operator__init(&ops[i]);
        ops[i].name = (char *) (i == 0 ? "urge_answer" : "hesitate");
        op_list[i] = &ops[i];
    }
    ops[0].n_targets = 1;
    ops[0].targets = sorts;
    s.simulation_id = (char *) "sim_1";
    s.turns = 6;
    s.turns_done = 2;
    s.n_entities = 5;
    s.entities = list;
    s.n_operators = 2;
    s.operators = op_list;
    s.n_incidents = s.n_traits = 1;
    s.incidents = incidents;
    s.traits = traits;
    return &s;
}

static char line[512];
static struct director_order *read_line(const char *text)
{
    static struct director_order o;
    snprintf(line, sizeof line, "%s", text);
    director_read(&o, line, stage());
    return &o;
}

static void test_plain_orders(void **state)
{
    (void) state;
    static const struct {
        const char *text;
        Novelengine__V1__DirectorCommand__CommandCase want;
    } cases[] = { { "pause", NOVELENGINE__V1__DIRECTOR_COMMAND__COMMAND_PAUSE },
                  { " resume \r", NOVELENGINE__V1__DIRECTOR_COMMAND__COMMAND_RESUME },
                  { "finish", NOVELENGINE__V1__DIRECTOR_COMMAND__COMMAND_FINISH },
                  { "step", NOVELENGINE__V1__DIRECTOR_COMMAND__COMMAND_STEP_TURNS },
                  { "step 12", NOVELENGINE__V1__DIRECTOR_COMMAND__COMMAND_STEP_TURNS },
                  { "veto\t7", NOVELENGINE__V1__DIRECTOR_COMMAND__COMMAND_VETO },
                  { "incident air_fails", NOVELENGINE__V1__DIRECTOR_COMMAND__COMMAND_EDIT } };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct director_order *o = read_line(cases[i].text);
        assert_int_equal(o->kind, DIRECTOR_SEND);
        assert_int_equal(o->command.command_case, cases[i].want);
    }
    assert_int_equal(read_line("step")->command.step_turns, 1);
    assert_int_equal(read_line("step 12")->command.step_turns, 12);
    assert_int_equal(read_line("veto 7")->command.veto->proposal, 7);
    assert_int_equal(read_line("quit")->kind, DIRECTOR_QUIT);
    assert_int_equal(read_line("who")->kind, DIRECTOR_SHOW);
    assert_int_equal(read_line("")->kind, DIRECTOR_NOTHING);
    assert_int_equal(read_line("  # pause")->kind, DIRECTOR_NOTHING);
}

static void test_edits(void **state)
{
    (void) state;
    Novelengine__V1__Edit *e = read_line("whisper pilot someone_alive")->command.edit;
    assert_string_equal(e->whisper->character, "pilot");
    assert_string_equal(e->whisper->fact, "someone_alive");
    assert_int_equal(e->whisper->belief, NOVELENGINE__V1__BELIEF__BELIEF_BELIEVES);
    e = read_line("whisper pilot someone_alive disbelieves")->command.edit;
    assert_int_equal(e->whisper->belief, NOVELENGINE__V1__BELIEF__BELIEF_DISBELIEVES);
    e = read_line("act pilot urge_answer engineer")->command.edit;
    assert_int_equal(e->edit_case, NOVELENGINE__V1__EDIT__EDIT_ACT);
    assert_int_equal(e->act->n_targets, 1);
    assert_string_equal(e->act->targets[0], "engineer");
    e = read_line("trait pilot honesty 100")->command.edit;
    assert_int_equal(e->trait->value, 100);
    e = read_line("item key_1 hub")->command.edit;
    assert_string_equal(e->item->to, "hub");
    e = read_line("forbid anyone hesitate")->command.edit;
    assert_string_equal(e->forbid->actor, "");
    e = read_line("swap pilot smuggler")->command.edit;
    assert_string_equal(e->swap->in, "smuggler");
    /* Packed as the server reads it. */
    uint8_t bytes[256];
    size_t size =
        novelengine__v1__director_command__pack(&read_line("item key_1 engineer")->command, bytes);
    Novelengine__V1__DirectorCommand *back =
        novelengine__v1__director_command__unpack(NULL, size, bytes);
    assert_string_equal(back->edit->item->item, "key_1");
    novelengine__v1__director_command__free_unpacked(back, NULL);
}

static void test_mistakes(void **state)
{
    (void) state;
    static const char *const cases[][2] = {
        { "whispr pilot x", "did you mean 'whisper'" },
        { "dance", "'help' lists them" },
        { "whisper pilto someone_alive", "did you mean 'pilot'" },
        { "whisper pilot some", "did you mean 'someone_alive'" },
        { "whisper pilot nothing", "'facts' lists them" },
        { "whisper pilot someone_alive maybe", "none of unknown" },
        { "whisper pilot", "say it so: whisper WHO FACT" },
        { "act pilot urge", "did you mean 'urge_answer'" },
        { "trait pilot honesty 101", "0 to 100" },
        { "trait pilot charm 5", "no trait 'charm'" },
        { "item key_1 moon", "place or character" },
        { "item hub pilot", "no item" },
        { "incident flood", "no incident" },
        { "forbid nobody hesitate", "no character" },
        { "step 0", "1 to 50" },
        { "step 51", "1 to 50" },
        { "step two", "1 to 50" },
        { "veto x", "a proposal" },
        { "pause now", "say it so: pause" },
        { "act a b c d e f g h i j k l m n o p q", "too many words" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct director_order *o = read_line(cases[i][0]);
        assert_int_equal(o->kind, DIRECTOR_WRONG);
        if (strstr(o->problem, cases[i][1]) == NULL)
            fail_msg("%s: %s", cases[i][0], o->problem);
    }
}

static void shows(const char *order, const char *text)
{
    struct buf b = { 0 };
    director_put_shown(&b, read_line(order), stage(), false);
    if (strstr(buf_str(&b), text) == NULL)
        fail_msg("%s: %s", order, buf_str(&b));
    assert_null(strchr(buf_str(&b), '\x1b')); /* a name does not steer the terminal */
    buf_done(&b);
}

static void test_what_is_shown(void **state)
{
    (void) state;
    shows("help", "whisper WHO FACT");
    shows("who", "engineer");
    shows("where", "hub");
    shows("items", "a key");
    shows("facts", "someone_alive");
    shows("clues", "none");
    shows("operators", "urge_answer            character");
    shows("operators hesi", "hesitate");
    shows("incidents", "air_fails");
    shows("traits", "honesty");
    struct buf b = { 0 };
    director_put_stage(&b, stage(), false);
    assert_string_equal(buf_str(&b), "sim_1: 2 of 6 turns played. With pilot, engineer.\n");
    buf_done(&b);
    Novelengine__V1__LawVerdict v = NOVELENGINE__V1__LAW_VERDICT__INIT;
    char *codes[] = { "E003.1" };
    v.verdict = NOVELENGINE__V1__LAW_VERDICT__VERDICT__VERDICT_REJECTED;
    v.n_codes = 1;
    v.codes = codes;
    v.reason = (char *) "the way is barred";
    director_put_verdict(&b, "act", &v, false);
    assert_string_equal(buf_str(&b), "The laws forbid it (E003.1): the way is barred\n");
    buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_orders),
        cmocka_unit_test(test_edits),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_what_is_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
