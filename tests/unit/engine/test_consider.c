/* Why somebody did not do something, held against what they then do: an act that follows is never
 * explained away, one that does not follow is never said to have happened, and the gap to the
 * runner-up is the one that the log keeps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "server/engine/consider.h"
#include "server/engine/edit.h"
#include "tests/unit/engine/verify_story.h"

enum { SEEDS = 4, TURNS = 7, CAST = 3, EVENTS_MAX = 256 };

static struct nvl_pack *pack;

static int setup(void **state)
{
    (void) state;
    pack = story_pack();
    return pack == NULL;
}

static int teardown(void **state)
{
    (void) state;
    nvl_pack_free(pack);
    return 0;
}

struct turn {
    struct nvl_event events[EVENTS_MAX];
    unsigned count;
};

static int keep(void *ctx, const struct nvl_event *event, const uint8_t *canonical, size_t size,
                const uint8_t hash[SHA256_SIZE])
{
    struct turn *t = ctx;
    (void) canonical, (void) size, (void) hash;
    assert_true(t->count < EVENTS_MAX);
    t->events[t->count++] = *event;
    return 0;
}

static struct nvl_sim *open_crew(uint64_t seed, struct turn *t)
{
    static const char *const ids[CAST] = { "ana", "ben", "cal" };
    struct nvl_profile cast[CAST];
    memset(cast, 0, sizeof(cast));
    for (unsigned i = 0; i < CAST; i++)
        cast[i].id = ids[i];
    struct nvl_request request = { .turns = TURNS, .seed = seed, .setting = "", .scenario = "",
                                   .cast = cast, .cast_count = CAST };
    struct nvl_error err = { 0 };
    struct nvl_sim *sim = NULL;
    int rc = nvl_open(pack, &request, keep, t, &err, &sim);
    if (rc != NVL_OK)
        print_message("%s: %s\n", err.field, err.message);
    assert_int_equal(rc, NVL_OK);
    return sim;
}

/* Asks about op and its arguments as the log has them. */
static int ask(const struct nvl_sim *sim, unsigned actor, unsigned op, const uint8_t *args,
               struct nvl_consideration *out)
{
    const struct nvl_world *w = nvl_sim_world(sim);
    struct nvl_op_info info;
    const char *names[NVL_ARGS_MAX];
    size_t n = 0;
    nvl_pack_op(nvl_world_pack(w), op, &info);
    for (unsigned i = 1; i < info.params_count; i++)
        if (!info.params[i].hidden)
            names[n++] = nvl_entity_id(w, (enum nvl_sort) info.params[i].sort, args[i]);
    struct nvl_strings targets = { names, n };
    struct nvl_error err = { 0 };
    return nvl_consider(sim, nvl_entity_id(w, NVL_SORT_CHAR, actor), info.name, &targets, out,
                        &err);
}

static bool is_choice(const struct nvl_event *e)
{
    return e->type == NVL_ACTION || e->type == NVL_SPEECH || e->type == NVL_THOUGHT;
}

static bool happened(const struct turn *t, unsigned actor, unsigned op)
{
    for (unsigned i = 0; i < t->count; i++)
        if (t->events[i].actor == actor && t->events[i].op == op &&
            t->events[i].type != NVL_INTERVENTION)
            return true;
    return false;
}

static void check_event(const struct nvl_sim *before, const struct turn *t,
                        const struct nvl_event *e, unsigned *gaps)
{
    struct nvl_consideration c;
    const struct nvl_alternative *a = &e->alternatives[0];
    assert_int_equal(ask(before, e->actor, e->op, e->args, &c), NVL_OK);
    if (e->verdict == NVL_VALID)
        assert_int_equal(c.absence, NVL_ABSENT_NOT);
    if (e->verdict != NVL_VALID || a->op == NVL_NO_OP || happened(t, e->actor, a->op))
        return;
    assert_int_equal(ask(before, e->actor, a->op, a->args, &c), NVL_OK);
    if (c.absence == NVL_ABSENT_FORBIDDEN)
        return; /* worth it, but a law would have stood against it */
    assert_int_equal(c.absence, NVL_ABSENT_OUTSCORED);
    assert_int_equal(c.utility, a->utility);
    assert_int_equal(c.chosen_utility, e->utility);
    assert_int_equal(c.chosen_op, e->op);
    int32_t sum = 0;
    for (unsigned k = 0; k < NVL_TERMS; k++)
        sum += c.terms[k];
    assert_int_equal(sum, c.utility);
    ++*gaps;
}

static void test_answers_are_those_of_the_log(void **state)
{
    (void) state;
    unsigned gaps = 0, asked = 0;
    static struct turn t;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        t.count = 0;
        struct nvl_sim *sim = open_crew(seed, &t);
        for (unsigned turn = 1; turn <= TURNS; turn++) {
            struct nvl_sim *before = NULL;
            assert_int_equal(nvl_clone(sim, &before), NVL_OK);
            t.count = 0;
            assert_int_equal(nvl_turn(sim, keep, &t), NVL_OK);
            for (unsigned i = 0; i < t.count; i++)
                if (is_choice(&t.events[i]))
                    check_event(before, &t, &t.events[i], &gaps);
            for (unsigned op = turn; op < nvl_pack_op_count(pack); op += 23) {
                struct nvl_op_info info;
                struct nvl_strings none = { 0 };
                struct nvl_consideration c;
                unsigned actor = op % CAST;
                nvl_pack_op(pack, op, &info);
                if (info.kind > NVL_OP_THOUGHT || info.kind == NVL_OP_REACTION ||
                    happened(&t, actor, op))
                    continue;
                const char *id = nvl_entity_id(nvl_sim_world(before), NVL_SORT_CHAR, actor);
                assert_int_equal(nvl_consider(before, id, info.name, &none, &c, NULL), NVL_OK);
                assert_true(c.absence >= NVL_ABSENT_NEED && c.absence < NVL_ABSENT_NOT);
                asked++;
            }
            nvl_free(before);
        }
        nvl_free(sim);
    }
    print_message("%u runners-up, %u absences\n", gaps, asked);
    assert_true(gaps > 20 && asked > 100);
}

static void test_names(void **state)
{
    (void) state;
    static struct turn t;
    t.count = 0;
    struct nvl_sim *sim = open_crew(1, &t);
    struct nvl_strings none = { 0 };
    const char *nowhere[] = { "nowhere" };
    struct nvl_strings wrong = { nowhere, 1 };
    struct nvl_consideration c;
    struct nvl_error err = { 0 };
    assert_int_equal(nvl_consider(sim, "nobody", "go", &none, &c, &err), NVL_E_INVALID);
    assert_string_equal(err.field, "actor");
    assert_int_equal(nvl_consider(sim, "ana", "fly", &none, &c, &err), NVL_E_INVALID);
    assert_string_equal(err.field, "operator");
    assert_int_equal(nvl_consider(sim, "ana", "go", &wrong, &c, &err), NVL_E_INVALID);
    assert_string_equal(err.field, "targets[0]");
    while (!nvl_ended(sim)) {
        t.count = 0;
        assert_int_equal(nvl_turn(sim, keep, &t), NVL_OK);
    }
    assert_int_equal(nvl_consider(sim, "ana", "go", &none, &c, &err), NVL_E_ENDED);
    nvl_free(sim);
}

/* Facts and their rivals: both kinds are there, and to hold and to deny one are never both right. */
static void test_beliefs_can_be_wrong(void **state)
{
    (void) state;
    static struct turn t;
    unsigned so = 0, not_so = 0;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        t.count = 0;
        struct nvl_sim *sim = open_crew(seed, &t);
        const struct nvl_world *w = nvl_sim_world(sim);
        unsigned facts = (unsigned) nvl_world_count(w, NVL_SORT_FACT);
        int fluent = nvl_pack_fluent_find(pack, "fact_true");
        for (unsigned f = 0; f < facts; f++) {
            bool truth = nvl_world_initial(w)[nvl_world_cell(w, (size_t) fluent, f, 0)] == 1;
            assert_false(nvl_world_belief_true(w, f, NVL_UNKNOWN));
            assert_int_equal(nvl_world_belief_true(w, f, NVL_SUSPECTS), truth);
            assert_int_equal(nvl_world_belief_true(w, f, NVL_BELIEVES), truth);
            assert_int_equal(nvl_world_belief_true(w, f, NVL_DISBELIEVES), !truth);
            so += truth;
            not_so += !truth;
        }
        assert_false(nvl_world_belief_true(w, facts, NVL_BELIEVES));
        nvl_free(sim);
    }
    assert_true(so > 0 && not_so > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers_are_those_of_the_log),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_beliefs_can_be_wrong),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
