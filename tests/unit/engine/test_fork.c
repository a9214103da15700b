/* Forks, copies, replays, edits that change nothing, and thousands of random ones that the
 * independent checker has to find sound. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "rpc/base/alloc.h"
#include "tests/unit/engine/edit_stage.h"
#include "tests/unit/narrator/stage.h"

/* --- nothing changes that need not ---------------------------------------------------------------
 */

/* Compares two logs event by event; numbers after the `extra` events at `at` are shifted. */
static void assert_shifted(struct kept *a, struct kept *b, size_t at, uint32_t extra)
{
    kept_settle(a), kept_settle(b);
    assert_int_equal(a->count + extra, b->count);
    for (size_t i = 0; i < a->count; i++) {
        struct nvl_event x, y;
        uint8_t was[NVL_CANONICAL_MAX], is[NVL_CANONICAL_MAX];
        const struct nvl_span *other = &b->spans[i < at ? i : i + extra];
        assert_int_equal(nvl_event_decode(a->spans[i].data, a->spans[i].size, &x), NVL_OK);
        assert_int_equal(nvl_event_decode(other->data, other->size, &y), NVL_OK);
        y.sequence -= i < at ? 0 : extra;
        for (unsigned k = 0; k < y.causes_count; k++)
            y.causes[k].sequence -= y.causes[k].sequence > at ? extra : 0;
        size_t n = nvl_event_encode(&x, was);
        assert_int_equal(nvl_event_encode(&y, is), n);
        assert_memory_equal(was, is, n);
    }
}
static void test_what_changes_nothing(void **state)
{
    struct stage plain, g;
    for (unsigned n = 0; n < 12; n++) {
        unsigned after = n % 4;
        stage_open(state, &plain, 6, 100 + n);
        stage_open(state, &g, 6, 100 + n);
        stage_end(state, &plain);
        stage_turns(&g, after);
        size_t at = g.log->count;
        struct nvl_error err;
        assert_int_equal(nvl_fork(g.sim, 0, 0, NULL, keep, g.log, &err), NVL_OK);
        struct nvl_edit trait = edit_of(NVL_EDIT_TRAIT, "pilot", "openness");
        trait.value = nvl_world_profile(nvl_sim_world(g.sim), 0)->traits[NVL_OPENNESS];
        allowed(&g, &trait);
        struct nvl_edit whisper = edit_of(NVL_EDIT_WHISPER, "pilot", id_of(&g, NVL_SORT_FACT, 1));
        whisper.value = cell_value(state, &g, "knows", 0, 1);
        uint32_t extra = 2;
        if (whisper.value != NVL_UNKNOWN) {
            allowed(&g, &whisper);
            extra++;
        }
        for (unsigned op = 0; op < nvl_pack_op_count(pack_of(state)); op++) {
            struct nvl_event e = { 0 };
            bool used = false; /* neither done nor thought of as second best */
            for (size_t i = 0; !used && find_event(plain.log, i, 0, -1, &e); i = e.sequence)
                used = e.op == op || e.alternatives[0].op == op || e.alternatives[1].op == op;
            struct nvl_op_info info;
            nvl_pack_op(pack_of(state), op, &info);
            struct nvl_edit act = edit_of(NVL_EDIT_ACT, "engineer", info.name);
            struct nvl_judgement said;
            struct nvl_sim *copy;
            if (used || info.kind == NVL_OP_INCIDENT || info.kind == NVL_OP_REACTION)
                continue;
            assert_int_equal(nvl_clone(g.sim, &copy), NVL_OK);
            assert_int_equal(nvl_intervene(copy, &act, NULL, NULL, &said, NULL), NVL_OK);
            nvl_free(copy);
            if (said.verdict == NVL_VALID || said.codes[0] >> 4 != 4)
                continue; /* one that the story's rules shut out cannot be missed */
            struct nvl_edit forbid = edit_of(NVL_EDIT_FORBID, "engineer", info.name);
            allowed(&g, &forbid);
            extra++;
            break;
        }
        stage_end(state, &g);
        assert_shifted(plain.log, g.log, at, extra);
        stage_done(&g), stage_done(&plain);
    }
}
static void test_fork(void **state)
{
    struct stage plain, g;
    struct nvl_error err;
    static const uint8_t other[SHA256_SIZE] = { 7 };
    stage_open(state, &plain, 8, 21);
    stage_end(state, &plain);
    stage_open(state, &g, 8, 21);
    stage_turns(&g, 3);
    size_t prefix = g.log->bytes.size;
    uint8_t head[SHA256_SIZE];
    memcpy(head, nvl_head(g.sim), SHA256_SIZE);
    assert_int_equal(nvl_fork(g.sim, 0, 3, NULL, keep, g.log, &err), NVL_E_INVALID);
    assert_string_equal(err.field, "turns");
    assert_int_equal(nvl_fork(g.sim, 0, 51, NULL, keep, g.log, &err), NVL_E_INVALID);
    assert_int_equal(nvl_fork(g.sim, NVL_SEED_MAX + 1, 0, NULL, keep, g.log, &err), NVL_E_INVALID);
    assert_string_equal(err.field, "seed");
    assert_int_equal(nvl_fork(g.sim, 0, 0, other, keep, g.log, &err), NVL_E_INVALID);
    assert_string_equal(err.field, "parent_head");
    assert_int_equal(nvl_fork(g.sim, 99, 12, head, keep, g.log, &err), NVL_OK);
    assert_int_equal(g.log->last.type, NVL_FORKED);
    assert_int_equal(g.log->last.seed, 99);
    assert_int_equal(g.log->last.turns, 12);
    assert_memory_equal(g.log->last.parent_head, head, SHA256_SIZE);
    assert_memory_equal(g.log->bytes.data, plain.log->bytes.data, prefix);
    assert_int_equal(nvl_progress(g.sim), 25);
    stage_end(state, &g);
    assert_int_equal(nvl_turns_done(g.sim), 12);
    assert_int_equal(g.log->last.turns, 12);
    assert_int_equal(nvl_fork(g.sim, 0, 14, NULL, keep, g.log, &err), NVL_E_ENDED);
    stage_done(&g);
    /* an ended story told on: the log without its end, and more turns */
    kept_settle(plain.log);
    g.log = kept_new(), g.request = plain.request;
    assert_int_equal(nvl_replay(pack_of(state), &plain.request.request, plain.log->spans,
                                plain.log->count, 8, keep, g.log, &err, &g.sim),
                     NVL_OK);
    assert_int_equal(g.log->count + 1, plain.log->count);
    struct nvl_edit edit = edit_of(NVL_EDIT_ACT, "pilot", "hesitate");
    struct nvl_judgement said;
    assert_int_equal(nvl_intervene(g.sim, &edit, keep, g.log, &said, &err), NVL_E_ENDED);
    assert_int_equal(nvl_fork(g.sim, 0, 0, NULL, keep, g.log, &err), NVL_E_INVALID);
    assert_int_equal(nvl_fork(g.sim, 0, 10, NULL, keep, g.log, &err), NVL_OK);
    stage_end(state, &g);
    assert_int_equal(nvl_turns_done(g.sim), 10);
    stage_done(&g), stage_done(&plain);
    /* another cast before the first turn: the parent's head is not ours */
    stage_open(state, &g, 4, 22);
    assert_int_equal(nvl_fork(g.sim, 0, 0, other, keep, g.log, &err), NVL_OK);
    stage_end(state, &g);
    stage_done(&g);
}
/* Every way from one number of turns to another, after every turn. */
static void test_fork_plans(void **state)
{
    for (uint32_t turns = 1; turns <= 9; turns++)
        for (uint32_t done = 0; done < turns; done++) {
            struct stage g;
            stage_open(state, &g, turns, turns * 10 + done);
            stage_turns(&g, done);
            uint32_t to = done + 1 + (turns * 7 + done * 3) % 14;
            assert_int_equal(nvl_fork(g.sim, 0, to, NULL, keep, g.log, NULL), NVL_OK);
            stage_end(state, &g);
            assert_int_equal(nvl_turns_done(g.sim), to);
            stage_done(&g);
        }
}
/* The longest plan there is: every turn told under another number of turns. */
static void test_fork_every_turn(void **state)
{
    struct stage g;
    struct nvl_sim *next;
    struct nvl_error err;
    stage_open(state, &g, 1, 5);
    for (uint32_t turns = 1; turns < NVL_TURNS_MAX; turns++) {
        stage_turns(&g, 1);
        assert_true(nvl_ended(g.sim));
        kept_settle(g.log);
        struct kept *log = kept_new();
        assert_int_equal(nvl_replay(pack_of(state), &g.request.request, g.log->spans, g.log->count,
                                    turns, keep, log, &err, &next),
                         NVL_OK);
        stage_done(&g);
        g.sim = next, g.log = log;
        assert_int_equal(nvl_fork(g.sim, 0, turns + 1, NULL, keep, g.log, &err), NVL_OK);
    }
    stage_end(state, &g);
    stage_done(&g);
}

/* --- copies and replays --------------------------------------------------------------------------
 */

static void test_clone(void **state)
{
    struct stage g, plain;
    struct nvl_sim *copy;
    stage_open(state, &plain, 6, 31);
    stage_end(state, &plain);
    stage_open(state, &g, 6, 31);
    stage_turns(&g, 2);
    assert_int_equal(nvl_clone(g.sim, &copy), NVL_OK);
    struct nvl_edit edit = edit_of(NVL_EDIT_ITEM, NULL, id_of(&g, NVL_SORT_ITEM, 0));
    edit.to = "pilot";
    struct nvl_judgement said;
    assert_int_equal(nvl_intervene(copy, &edit, NULL, NULL, &said, NULL), NVL_OK);
    assert_int_equal(nvl_turn(copy, NULL, NULL), NVL_OK);
    stage_end(state, &g); /* the copy's edit is not the original's */
    assert_same(g.log, plain.log);
    stage_done(&g); /* and it outlives the original */
    while (!nvl_ended(copy))
        assert_int_equal(nvl_turn(copy, NULL, NULL), NVL_OK);
    assert_memory_not_equal(nvl_head(copy), plain.log->head, SHA256_SIZE);
    nvl_free(copy);
    stage_done(&plain);
}
static void test_replay_refuses_damage(void **state)
{
    struct stage g;
    struct script script = { .state = 77 };
    struct nvl_error err;
    struct nvl_sim *again;
    unsigned caught = 0;
    stage_open(state, &g, 5, 41);
    assert_int_equal(script_play(&script, g.sim, 3, keep, g.log), NVL_OK);
    kept_settle(g.log);
    for (size_t i = 0; i < g.log->count; i++) {
        size_t at = (i * 31) % g.log->spans[i].size;
        uint8_t *byte = g.log->bytes.data + g.log->offsets[i] + at;
        *byte ^= 1;
        int rc = nvl_replay(pack_of(state), &g.request.request, g.log->spans, g.log->count,
                            UINT32_MAX, NULL, NULL, &err, &again);
        *byte ^= 1;
        if (rc == NVL_OK) { /* an edit that nothing rests on became another one */
            struct nvl_event e;
            assert_int_equal(nvl_event_decode(g.log->spans[i].data, g.log->spans[i].size, &e),
                             NVL_OK);
            assert_int_equal(e.type, NVL_INTERVENTION);
            assert_memory_not_equal(nvl_head(again), g.log->head, SHA256_SIZE);
            nvl_free(again);
            continue;
        }
        assert_int_equal(rc, NVL_E_CORRUPT);
        assert_true(err.line >= 1);
        caught += err.line == i + 1;
    }
    assert_true(caught * 10 > g.log->count * 8);
    assert_int_equal(nvl_replay(pack_of(state), &g.request.request, g.log->spans,
                                g.log->count > 8 ? 6 : 1, UINT32_MAX, NULL, NULL, &err, &again),
                     NVL_E_CORRUPT); /* it stops within a turn */
    assert_int_equal(nvl_replay(pack_of(state), &g.request.request, g.log->spans, 0, UINT32_MAX,
                                NULL, NULL, &err, &again),
                     NVL_E_CORRUPT);
    stage_done(&g);
}
static void test_reapply_refuses(void **state)
{
    struct stage g, other;
    stage_open(state, &g, 5, 42), stage_open(state, &other, 5, 42);
    struct nvl_edit edit = edit_of(NVL_EDIT_WHISPER, "pilot", id_of(&g, NVL_SORT_FACT, 0));
    edit.value = NVL_SUSPECTS;
    allowed(&g, &edit);
    struct nvl_event e = g.log->last, bad = e;
    bad.change.thing = 200;
    assert_int_equal(nvl_reapply(other.sim, &bad, keep, other.log), NVL_E_CORRUPT);
    bad = e, bad.change.kind = 0;
    assert_int_equal(nvl_reapply(other.sim, &bad, keep, other.log), NVL_E_CORRUPT);
    bad = e, bad.type = NVL_ACTION;
    assert_int_equal(nvl_reapply(other.sim, &bad, keep, other.log), NVL_E_CORRUPT);
    assert_int_equal(other.log->count, 1);
    assert_int_equal(nvl_reapply(other.sim, &e, keep, other.log), NVL_OK);
    assert_same(g.log, other.log);
    stage_done(&g), stage_done(&other);
}

/* --- any edits at all ----------------------------------------------------------------------------
 */

/* Replays the whole log, and up to some turn. */
static void replay_all(void **state, const struct nvl_request *request, struct kept *k,
                       uint32_t turns, unsigned n)
{
    struct nvl_error err = { .message = "" };
    struct nvl_sim *again;
    struct kept *log = kept_new();
    kept_settle(k);
    int rc = nvl_replay(pack_of(state), request, k->spans, k->count, UINT32_MAX, keep, log, &err,
                        &again);
    if (rc != NVL_OK)
        fail_msg("script %u: %d at event %u", n, rc, err.line);
    assert_same(k, log);
    nvl_free(again);
    kept_free(log);
    uint32_t to = n % (turns + 1);
    log = kept_new();
    assert_int_equal(
        nvl_replay(pack_of(state), request, k->spans, k->count, to, keep, log, &err, &again),
        NVL_OK);
    assert_int_equal(nvl_turns_done(again), to);
    assert_false(nvl_ended(again));
    assert_memory_equal(log->bytes.data, k->bytes.data, log->bytes.size);
    nvl_free(again);
    kept_free(log);
}
/* Random scripts over random requests; what they did is added up. */
static void any_edits(void **state, unsigned scripts, struct script *all)
{
    for (unsigned n = 1; n <= scripts; n++) {
        struct fixture_request r;
        struct nvl_sim *sim;
        struct script script = { .state = n * UINT64_C(99991) };
        struct kept *k = kept_new();
        fixture_random(&r, n * 104729);
        assert_int_equal(nvl_open(pack_of(state), &r.request, keep, k, NULL, &sim), NVL_OK);
        assert_int_equal(script_play(&script, sim, 5, keep, k), NVL_OK);
        const char *said = verdict_of(sim, pack_of(state), &r.request, k);
        if (said[0] != 0)
            fail_msg("script %u: %s", n, said);
        replay_all(state, &r.request, k, nvl_turns_done(sim), n);
        for (unsigned i = 1; i <= NVL_EDIT_VETO; i++)
            all->valid[i] += script.valid[i], all->rejected[i] += script.rejected[i];
        all->forks += script.forks, all->unknown += script.unknown;
        nvl_free(sim);
        kept_free(k);
    }
}
static void test_any_edits(void **state)
{
    struct script all = { 0 };
    unsigned edits = 0;
    any_edits(state, 260, &all);
    for (unsigned i = 1; i <= NVL_EDIT_VETO; i++) {
        assert_true(all.valid[i] > 50);
        edits += all.valid[i] + all.rejected[i];
    }
    assert_true(edits > 4000 && all.forks > 100 && all.unknown > 100);
    assert_true(all.rejected[NVL_EDIT_ACT] > 50 && all.rejected[NVL_EDIT_INCIDENT] > 50 &&
                all.rejected[NVL_EDIT_WHISPER] > 5 && all.rejected[NVL_EDIT_FORBID] > 0);
}
static void test_any_edits_of_shipped_stories(void **state)
{
    struct script all = { 0 };
    void *shipped = stage_pack("server/content");
    (void) state;
    assert_non_null(shipped);
    any_edits(&shipped, 60, &all);
    for (unsigned i = 1; i <= NVL_EDIT_VETO; i++)
        assert_true(all.valid[i] > 3);
    nvl_pack_free(shipped);
}
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_changes_nothing),
        cmocka_unit_test(test_fork),
        cmocka_unit_test(test_fork_plans),
        cmocka_unit_test(test_fork_every_turn),
        cmocka_unit_test(test_clone),
        cmocka_unit_test(test_replay_refuses_damage),
        cmocka_unit_test(test_reapply_refuses),
        cmocka_unit_test(test_any_edits),
        cmocka_unit_test(test_any_edits_of_shipped_stories),
    };
    return cmocka_run_group_tests(tests, stage_setup, stage_teardown);
}
