/* Every kind of edit: allowed, refused by the law, naming what does not exist; and what comes of
 * it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "rpc/base/alloc.h"
#include "tests/unit/engine/edit_stage.h"

/* --- every kind ----------------------------------------------------------------------------------
 */

static void test_whisper(void **state)
{
    struct stage g;
    stage_open(state, &g, 4, 11);
    struct nvl_edit edit = edit_of(NVL_EDIT_WHISPER, "pilot", id_of(&g, NVL_SORT_FACT, 1));
    edit.value = NVL_BELIEVES;
    stage_turns(&g, 1);
    int was = cell_value(state, &g, "knows", 0, 1);
    assert_int_not_equal(was, NVL_BELIEVES);
    allowed(&g, &edit);
    assert_int_equal(cell_value(state, &g, "knows", 0, 1), NVL_BELIEVES);
    assert_int_equal(g.log->last.beliefs_count, 1);
    assert_int_equal(g.log->last.beliefs[0].source, NVL_HEARD);
    assert_int_equal(g.log->last.beliefs[0].informant, NVL_NONE);
    assert_int_equal(g.log->last.witnesses, 1);
    assert_int_equal(g.log->last.turn, 1);
    allowed(&g, &edit); /* what is known already may be said again */
    assert_int_equal(g.log->last.beliefs_count, 0);
    edit.actor = "pilto";
    invalid(&g, &edit, "actor", "did you mean \"pilot\"");
    edit.actor = "pilot", edit.name = "no such fact";
    invalid(&g, &edit, "name", "there are");
    edit.name = id_of(&g, NVL_SORT_FACT, 0), edit.value = NVL_UNKNOWN;
    invalid(&g, &edit, "value", "forget");
    stage_end(state, &g);
    stage_done(&g);
}
static void test_trait(void **state)
{
    struct stage g;
    stage_open(state, &g, 6, 12);
    struct nvl_edit edit = edit_of(NVL_EDIT_TRAIT, "engineer", "honesty");
    edit.value = 3;
    allowed(&g, &edit);
    assert_int_equal(g.log->last.turn, 0);
    assert_int_equal(cell_value(state, &g, "honesty", 2, 0), 3);
    edit.name = "extraversion", edit.value = 100; /* the pack keeps no cell of it */
    allowed(&g, &edit);
    assert_int_equal(g.log->last.deltas_count, 0);
    edit.value = 101;
    invalid(&g, &edit, "value", "0..100");
    edit.name = "courage";
    invalid(&g, &edit, "name", "openness");
    stage_end(state, &g);
    stage_done(&g);
}
static void test_item(void **state)
{
    struct stage g;
    stage_open(state, &g, 4, 13);
    struct nvl_edit edit = edit_of(NVL_EDIT_ITEM, NULL, id_of(&g, NVL_SORT_ITEM, 0));
    stage_turns(&g, 1);
    edit.to = "scientist";
    allowed(&g, &edit);
    assert_int_equal(cell_value(state, &g, "holder", 0, 0), 1);
    assert_int_equal(cell_value(state, &g, "lies", 0, 0), -1);
    edit.to = id_of(&g, NVL_SORT_PLACE, 2);
    allowed(&g, &edit);
    assert_int_equal(cell_value(state, &g, "holder", 0, 0), -1);
    assert_int_equal(cell_value(state, &g, "lies", 0, 0), 2);
    assert_int_equal(g.log->last.place, 2);
    assert_int_equal(g.log->last.deltas_count, 2);
    edit.to = "the moon";
    invalid(&g, &edit, "to", "there is no place");
    edit.to = "pilot", edit.name = "";
    invalid(&g, &edit, "name", "names no item");
    stage_end(state, &g);
    stage_done(&g);
}
/* Something that a character could do but does not want most. */
static void test_act(void **state)
{
    struct stage g;
    struct nvl_event e;
    stage_open(state, &g, 6, 14);
    stage_turns(&g, 2);
    size_t before = g.log->count;
    struct nvl_edit edit = edit_of(NVL_EDIT_ACT, "pilot", "wait");
    if (nvl_pack_op_find(pack_of(state), "wait") < 0)
        edit.name = "hesitate";
    allowed(&g, &edit);
    uint32_t by = g.log->last.sequence;
    assert_int_equal(g.log->last.change.who, 0);
    stage_turns(&g, 1);
    assert_true(find_event(g.log, before, 0, 0, &e));
    assert_string_equal(op_name(state, e.op), edit.name);
    assert_int_equal(e.verdict, NVL_VALID);
    assert_true(has_cause(&e, by, NVL_BY_INTERVENTION));
    edit.name = "no_such_thing";
    invalid(&g, &edit, "name", "there is no operator");
    stage_end(state, &g);
    edit.name = "hesitate";
    struct nvl_judgement said;
    assert_int_equal(nvl_intervene(g.sim, &edit, keep, g.log, &said, NULL), NVL_E_ENDED);
    stage_done(&g);
}
static void test_act_targets(void **state)
{
    struct stage g;
    stage_open(state, &g, 5, 15);
    stage_turns(&g, 1);
    struct nvl_proposal p[64];
    size_t n;
    unsigned tried = 0, refused = 0;
    assert_int_equal(nvl_propose(g.sim, p, 64, &n), NVL_OK);
    for (unsigned op = 0; op < nvl_pack_op_count(pack_of(state)); op++) {
        struct nvl_op_info info;
        struct nvl_judgement said;
        nvl_pack_op(pack_of(state), op, &info);
        struct nvl_edit edit = edit_of(NVL_EDIT_ACT, "scientist", info.name);
        if (info.kind == NVL_OP_REACTION) {
            invalid(&g, &edit, "name", "in answer");
        } else if (info.kind == NVL_OP_INCIDENT) {
            invalid(&g, &edit, "name", "incident");
        } else {
            struct nvl_sim *copy;
            assert_int_equal(nvl_clone(g.sim, &copy), NVL_OK);
            assert_int_equal(nvl_intervene(copy, &edit, NULL, NULL, &said, NULL), NVL_OK);
            tried++, refused += said.verdict != NVL_VALID;
            assert_true((said.verdict == NVL_VALID) == (said.reason[0] == 0));
            nvl_free(copy);
        }
    }
    assert_true(refused > 0 && refused < tried);
    const char *twice[] = { "pilot", "pilot", "pilot", "pilot", "pilot", "pilot", "pilot" };
    struct nvl_edit edit = edit_of(NVL_EDIT_ACT, "scientist", "hesitate");
    edit.targets = (struct nvl_strings){ twice, 1 };
    invalid(&g, &edit, "targets[0]", "one too many");
    stage_end(state, &g);
    stage_done(&g);
}
static void test_incident(void **state)
{
    struct stage g;
    unsigned struck = 0, refused = 0;
    stage_open(state, &g, 12, 16);
    stage_turns(&g, 2);
    for (unsigned op = 0; op < nvl_pack_op_count(pack_of(state)) && struck < 3; op++) {
        struct nvl_op_info info;
        struct nvl_judgement said;
        struct nvl_event e;
        nvl_pack_op(pack_of(state), op, &info);
        struct nvl_edit edit = edit_of(NVL_EDIT_INCIDENT, NULL, info.name);
        if (info.kind != NVL_OP_INCIDENT) {
            if (op == 0)
                invalid(&g, &edit, "name", "not an incident");
            continue;
        }
        size_t before = g.log->count;
        assert_int_equal(nvl_intervene(g.sim, &edit, keep, g.log, &said, NULL), NVL_OK);
        refused += said.verdict != NVL_VALID;
        if (said.verdict != NVL_VALID || nvl_turns_done(g.sim) > 9)
            continue;
        uint32_t by = g.log->last.sequence;
        stage_turns(&g, 1);
        assert_true(find_event(g.log, before + 1, NVL_INCIDENT, -1, &e));
        assert_int_equal(e.sequence, by + 1);
        assert_int_equal(e.op, op);
        assert_true(has_cause(&e, by, NVL_BY_INTERVENTION));
        struck++;
    }
    assert_true(struck > 0 && refused > 0);
    stage_end(state, &g);
    stage_done(&g);
}
static void test_forbid(void **state)
{
    struct stage g, plain;
    struct nvl_event e;
    stage_open(state, &plain, 8, 17);
    stage_end(state, &plain);
    assert_true(find_event(plain.log, 20, 0, 0, &e)); /* what the pilot does somewhat later */
    stage_open(state, &g, 8, 17);
    struct nvl_edit edit = edit_of(NVL_EDIT_FORBID, "pilot", op_name(state, e.op));
    allowed(&g, &edit);
    stage_end(state, &g);
    unsigned other = e.op;
    for (size_t at = 0; find_event(g.log, at, 0, 0, &e); at = e.sequence) {
        assert_int_not_equal(e.op, other);
        assert_int_not_equal(e.alternatives[0].op, other);
    }
    assert_memory_not_equal(g.log->head, plain.log->head, SHA256_SIZE);
    stage_done(&g);
    stage_open(state, &g, 2, 17);
    rejected(&g, &(struct nvl_edit){ .kind = NVL_EDIT_FORBID, .name = "hesitate" }, 0x41);
    allowed(&g, &edit);
    edit.kind = NVL_EDIT_ACT;
    rejected(&g, &edit, 0x41);
    edit = edit_of(NVL_EDIT_FORBID, "nobody", "hesitate");
    invalid(&g, &edit, "actor", "there is no character");
    stage_end(state, &g);
    stage_done(&g), stage_done(&plain);
}
static void test_forbid_everything(void **state)
{
    struct stage g;
    struct nvl_event e;
    stage_open(state, &g, 3, 18);
    for (unsigned op = 0; op < nvl_pack_op_count(pack_of(state)); op++) {
        struct nvl_edit edit = edit_of(NVL_EDIT_FORBID, "", op_name(state, op));
        if (strcmp(edit.name, "hesitate") != 0)
            allowed(&g, &edit);
    }
    size_t from = g.log->count;
    stage_end(state, &g);
    for (size_t at = from; at + 1 < g.log->count; at++) {
        assert_int_equal(nvl_event_decode(g.log->spans[at].data, g.log->spans[at].size, &e),
                         NVL_OK);
        assert_string_equal(op_name(state, e.op), "hesitate");
    }
    stage_done(&g);
}
static void test_veto_and_proposals(void **state)
{
    struct stage g;
    struct nvl_proposal p[64], q[64];
    size_t n, m, seen = 0;
    struct nvl_event e;
    stage_open(state, &g, 8, 19);
    stage_turns(&g, 2);
    size_t before = g.log->count;
    uint8_t head[SHA256_SIZE];
    memcpy(head, nvl_head(g.sim), SHA256_SIZE);
    assert_int_equal(nvl_propose(g.sim, p, 64, &n), NVL_OK);
    assert_memory_equal(nvl_head(g.sim), head, SHA256_SIZE);
    assert_true(n >= 3);
    const char *targets[NVL_ARGS_MAX];
    struct nvl_op_info info;
    nvl_pack_op(pack_of(state), p[0].op, &info);
    struct nvl_edit veto = edit_of(NVL_EDIT_VETO, id_of(&g, NVL_SORT_CHAR, p[0].actor), info.name);
    for (unsigned i = 1; i < p[0].args_count; i++)
        if (!info.params[i].hidden)
            targets[veto.targets.count++] =
                id_of(&g, (enum nvl_sort) info.params[i].sort, p[0].args[i]);
    veto.targets.items = targets;
    struct nvl_sim *free_run;
    assert_int_equal(nvl_clone(g.sim, &free_run), NVL_OK);
    allowed(&g, &veto);
    assert_int_equal(nvl_propose(g.sim, q, 64, &m), NVL_OK);
    for (size_t i = 0; i < m; i++)
        assert_false(q[i].actor == p[0].actor && q[i].op == p[0].op &&
                     memcmp(q[i].args, p[0].args, sizeof(q[i].args)) == 0);
    stage_turns(&g, 1);
    for (size_t i = before; find_event(g.log, i, 0, -1, &e) && seen < m; i = e.sequence) {
        if (e.type == NVL_REJECTED)
            continue;
        assert_int_equal(e.actor, q[seen].actor);
        assert_int_equal(e.op, q[seen].op);
        assert_int_equal(e.utility, q[seen++].utility);
    }
    assert_int_equal(seen, m);
    stage_end(state, &g);
    /* the copy knows nothing of the veto: it does what was proposed first */
    struct kept *log = kept_new();
    assert_int_equal(nvl_turn(free_run, keep, log), NVL_OK);
    seen = 0;
    for (size_t i = 0; find_event(log, i, 0, -1, &e); i = e.sequence - before) {
        if (e.type == NVL_REJECTED)
            continue;
        assert_int_equal(e.op, p[seen].op);
        assert_int_equal(e.utility, p[seen++].utility);
    }
    assert_int_equal(seen, n);
    nvl_free(free_run);
    kept_free(log);
    stage_done(&g);
}

static void test_edit_lines(void **state)
{
    struct stage g;
    static const struct {
        enum nvl_edit_kind kind;
        const char *actor, *name, *to;
        int32_t value;
        const char *start;
    } lines[] = {
        { NVL_EDIT_TRAIT, "pilot", "honesty", NULL, 80,
          "From here on the honesty of Alex Chen is 80." },
        { NVL_EDIT_FORBID, "", "go", NULL, 0, "From here on nobody may do this: go." },
        { NVL_EDIT_VETO, "pilot", "search", NULL, 0, "The director will not have Alex Chen" },
        { NVL_EDIT_ACT, "pilot", "hesitate", NULL, 0, "The director has Alex Chen do this next:" },
    };
    stage_open(state, &g, 3, 50);
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct nvl_edit edit = edit_of(lines[i].kind, lines[i].actor, lines[i].name);
        struct buf text = { 0 };
        edit.value = lines[i].value, edit.to = lines[i].to;
        if (lines[i].kind != NVL_EDIT_TRAIT && nvl_pack_op_find(pack_of(state), edit.name) < 0)
            fail_msg("the frozen pack has no %s", edit.name);
        allowed(&g, &edit);
        nvl_event_text(nvl_sim_world(g.sim), &g.log->last, false, &text);
        if (strncmp(buf_str(&text), lines[i].start, strlen(lines[i].start)) != 0)
            fail_msg("%s", buf_str(&text));
        buf_done(&text);
    }
    stage_end(state, &g);
    stage_done(&g);
}
static void test_no_memory(void **state)
{
    struct stage g;
    stage_open(state, &g, 4, 60);
    stage_turns(&g, 1);
    struct nvl_edit edit = edit_of(NVL_EDIT_ACT, "pilot", "hesitate");
    struct nvl_judgement said;
    struct nvl_sim *copy;
    uint32_t before = nvl_last_sequence(g.sim);
    unsigned none = 0;
    for (uint64_t n = 1; n < 4; n++) {
        alloc_fail_at(n);
        int rc = nvl_clone(g.sim, &copy), judged;
        alloc_fail_at(n);
        judged = nvl_intervene(g.sim, &edit, keep, g.log, &said, NULL);
        alloc_fail_at(0);
        if (rc == NVL_OK)
            nvl_free(copy);
        else
            assert_int_equal(rc, NVL_E_NOMEM);
        none += judged == NVL_E_NOMEM;
        if (judged == NVL_E_NOMEM)
            assert_int_equal(nvl_last_sequence(g.sim), before);
        else
            before = nvl_last_sequence(g.sim);
    }
    assert_true(none > 0);
    stage_end(state, &g);
    stage_done(&g);
}
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whisper),
        cmocka_unit_test(test_trait),
        cmocka_unit_test(test_item),
        cmocka_unit_test(test_act),
        cmocka_unit_test(test_act_targets),
        cmocka_unit_test(test_incident),
        cmocka_unit_test(test_forbid),
        cmocka_unit_test(test_forbid_everything),
        cmocka_unit_test(test_veto_and_proposals),
        cmocka_unit_test(test_edit_lines),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, stage_setup, stage_teardown);
}
