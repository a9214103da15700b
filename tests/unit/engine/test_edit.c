/* Changes from outside: every kind of edit, forks, proposals, copies, replays, and thousands of
 * random edits that the independent checker has to find sound. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "rpc/base/alloc.h"
#include "server/engine/edit.h"
#include "server/tools/novel-verify.h"
#include "tests/unit/engine/edit_script.h"
#include "tests/unit/engine/engine_fixture.h"

struct kept { /* a log as it comes */
    struct buf bytes;
    struct nvl_span spans[NVL_EVENTS_MAX];
    size_t offsets[NVL_EVENTS_MAX], count;
    uint8_t head[SHA256_SIZE];
    struct nvl_event last;
};
static int keep(void *ctx, const struct nvl_event *e, const uint8_t *canonical, size_t size,
                const uint8_t hash[SHA256_SIZE])
{
    struct kept *k = ctx;
    struct nvl_event back;
    uint8_t again[NVL_CANONICAL_MAX];
    assert_int_equal(nvl_event_decode(canonical, size, &back), NVL_OK);
    assert_int_equal(nvl_event_encode(&back, again), size);
    assert_memory_equal(again, canonical, size);
    k->offsets[k->count] = k->bytes.size;
    k->spans[k->count++].size = size;
    buf_put(&k->bytes, canonical, size);
    memcpy(k->head, hash, SHA256_SIZE);
    k->last = *e;
    return 0;
}
static struct kept *kept_new(void)
{
    struct kept *k = alloc_zero(1, sizeof(*k));
    assert_non_null(k);
    return k;
}
static void kept_settle(struct kept *k)
{
    assert_false(k->bytes.failed);
    for (size_t i = 0; i < k->count; i++)
        k->spans[i].data = k->bytes.data + k->offsets[i];
}
static void kept_free(struct kept *k)
{
    buf_done(&k->bytes);
    alloc_free(k);
}
static void assert_same(struct kept *a, struct kept *b)
{
    assert_int_equal(a->bytes.size, b->bytes.size);
    assert_memory_equal(a->bytes.data, b->bytes.data, a->bytes.size);
    assert_memory_equal(a->head, b->head, SHA256_SIZE);
}
/* What the checker says of the log, or "". */
static const char *verdict_of(const struct nvl_sim *sim, const struct nvl_pack *pack,
                              const struct nvl_request *request, struct kept *k)
{
    static struct verify_report report;
    static char text[512];
    struct buf file = { 0 }, header = { 0 };
    uint8_t hash[SHA256_SIZE];
    kept_settle(k);
    assert_int_equal(nvl_header_encode(request, nvl_pack_digest(pack), &header, hash, NULL),
                     NVL_OK);
    assert_int_equal(nvl_log_begin(&file, header.data, header.size, nvl_sim_world(sim)), NVL_OK);
    for (size_t i = 0; i < k->count; i++)
        assert_int_equal(nvl_log_event(&file, k->spans[i].data, k->spans[i].size), NVL_OK);
    assert_int_equal(nvl_log_end(&file, (uint32_t) k->count, k->head, NULL), NVL_OK);
    assert_int_equal(verify_log_check(file.data, file.size, &report), VERIFY_DONE);
    text[0] = 0;
    if (report.violations > 0)
        snprintf(text, sizeof(text), "event %u, %s: %s", report.list[0].sequence, report.list[0].op,
                 report.list[0].text);
    buf_done(&file), buf_done(&header);
    return text;
}

struct stage {
    struct fixture_request request;
    struct nvl_sim *sim;
    struct kept *log;
};
static const struct nvl_pack *pack_of(void **state)
{
    return *state;
}
static void stage_open(void **state, struct stage *g, uint32_t turns, uint64_t seed)
{
    fixture_crew(&g->request);
    g->request.request.turns = turns, g->request.request.seed = seed;
    g->log = kept_new();
    assert_int_equal(nvl_open(pack_of(state), &g->request.request, keep, g->log, NULL, &g->sim),
                     NVL_OK);
}
static void stage_turns(struct stage *g, unsigned n)
{
    for (; n > 0; n--)
        assert_int_equal(nvl_turn(g->sim, keep, g->log), NVL_OK);
}
static void stage_end(void **state, struct stage *g)
{
    while (!nvl_ended(g->sim))
        assert_int_equal(nvl_turn(g->sim, keep, g->log), NVL_OK);
    assert_string_equal(verdict_of(g->sim, pack_of(state), &g->request.request, g->log), "");
}
static void stage_done(struct stage *g)
{
    nvl_free(g->sim);
    kept_free(g->log);
}
static struct nvl_edit edit_of(enum nvl_edit_kind kind, const char *actor, const char *name)
{
    return (struct nvl_edit){ .kind = kind, .actor = actor, .name = name };
}
static void allowed(struct stage *g, const struct nvl_edit *edit)
{
    struct nvl_judgement said;
    struct nvl_error err = { .message = "" };
    size_t before = g->log->count;
    int rc = nvl_intervene(g->sim, edit, keep, g->log, &said, &err);
    if (rc != NVL_OK)
        fail_msg("%d, %s: %s", rc, err.field, err.message);
    if (said.verdict != NVL_VALID)
        fail_msg("%02x: %s", said.codes[0], said.reason);
    assert_string_equal(said.reason, "");
    assert_int_equal(g->log->count, before + 1);
    assert_int_equal(g->log->last.type, NVL_INTERVENTION);
    assert_int_equal(g->log->last.actor, NVL_ACTOR_DIRECTOR);
}
/* Refused by the law: a reason, and nothing else. */
static void rejected(struct stage *g, const struct nvl_edit *edit, unsigned code)
{
    struct nvl_judgement said = { 0 };
    uint32_t before = nvl_last_sequence(g->sim);
    uint8_t head[SHA256_SIZE];
    memcpy(head, nvl_head(g->sim), SHA256_SIZE);
    assert_int_equal(nvl_intervene(g->sim, edit, keep, g->log, &said, NULL), NVL_OK);
    assert_int_equal(said.verdict, NVL_LAW_REJECTED);
    assert_int_equal(said.codes_count, 1);
    if (code != 0)
        assert_int_equal(said.codes[0], code);
    assert_true(strlen(said.reason) > 10);
    assert_int_equal(nvl_last_sequence(g->sim), before);
    assert_memory_equal(nvl_head(g->sim), head, SHA256_SIZE);
}
static void invalid(struct stage *g, const struct nvl_edit *edit, const char *field,
                    const char *word)
{
    struct nvl_judgement said;
    struct nvl_error err = { .message = "" };
    uint32_t before = nvl_last_sequence(g->sim);
    assert_int_equal(nvl_intervene(g->sim, edit, keep, g->log, &said, &err), NVL_E_INVALID);
    assert_string_equal(err.field, field);
    if (strstr(err.message, word) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err.message, word);
    assert_int_equal(nvl_intervene(g->sim, edit, keep, g->log, &said, NULL), NVL_E_INVALID);
    assert_int_equal(nvl_last_sequence(g->sim), before);
}
static const char *id_of(const struct stage *g, enum nvl_sort sort, unsigned i)
{
    return nvl_entity_id(nvl_sim_world(g->sim), sort, i);
}
static const char *op_name(void **state, unsigned op)
{
    struct nvl_op_info info;
    nvl_pack_op(pack_of(state), op, &info);
    return info.name;
}
static int cell_value(void **state, const struct stage *g, const char *fluent, unsigned a,
                      unsigned b)
{
    int f = nvl_pack_fluent_find(pack_of(state), fluent);
    int cell = f < 0 ? -1 : nvl_world_cell(nvl_sim_world(g->sim), (size_t) f, a, b);
    assert_true(cell >= 0);
    return nvl_sim_state(g->sim)[cell];
}
static bool has_cause(const struct nvl_event *e, uint32_t sequence, unsigned kind)
{
    for (unsigned i = 0; i < e->causes_count; i++)
        if (e->causes[i].sequence == sequence && e->causes[i].kind == kind)
            return true;
    return false;
}
/* The first event after `from` (a number of events) that fits; NULL: none. */
static bool find_event(struct kept *k, size_t from, unsigned type, int actor, struct nvl_event *out)
{
    kept_settle(k);
    for (size_t i = from; i < k->count; i++) {
        assert_int_equal(nvl_event_decode(k->spans[i].data, k->spans[i].size, out), NVL_OK);
        bool choice = out->type == NVL_ACTION || out->type == NVL_SPEECH ||
                      out->type == NVL_THOUGHT || out->type == NVL_REJECTED;
        if ((type == 0 ? choice : out->type == type) && (actor < 0 || out->actor == actor))
            return true;
    }
    return false;
}

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
    for (size_t i = 0, k = 0; k < n && find_event(log, i, 0, -1, &e); i++)
        if (e.sequence - before == i + 1 && e.type != NVL_REJECTED)
            assert_int_equal(e.op, p[k++].op);
    nvl_free(free_run);
    kept_free(log);
    stage_done(&g);
}

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
        assert_int_equal(rc, NVL_E_CORRUPT);
        assert_true(err.line >= 1 && err.line <= i + 1);
        caught += err.line == i + 1;
        *byte ^= 1;
    }
    assert_true(caught * 10 > g.log->count * 9);
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
static void test_any_edits(void **state)
{
    struct script all = { 0 };
    for (unsigned n = 1; n <= 260; n++) {
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
            all.valid[i] += script.valid[i], all.rejected[i] += script.rejected[i];
        all.forks += script.forks, all.unknown += script.unknown;
        nvl_free(sim);
        kept_free(k);
    }
    unsigned edits = 0;
    for (unsigned i = 1; i <= NVL_EDIT_VETO; i++) {
        assert_true(all.valid[i] > 50);
        edits += all.valid[i] + all.rejected[i];
    }
    assert_true(edits > 4000 && all.forks > 100 && all.unknown > 100);
    assert_true(all.rejected[NVL_EDIT_ACT] > 50 && all.rejected[NVL_EDIT_INCIDENT] > 50 &&
                all.rejected[NVL_EDIT_WHISPER] > 5 && all.rejected[NVL_EDIT_FORBID] > 0);
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
        if (judged == NVL_E_NOMEM)
            assert_int_equal(nvl_last_sequence(g.sim), before);
        else
            before = nvl_last_sequence(g.sim);
    }
    stage_end(state, &g);
    stage_done(&g);
}
static int setup(void **state)
{
    *state = fixture_pack();
    return *state == NULL;
}
static int teardown(void **state)
{
    nvl_pack_free(*state);
    return 0;
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
        cmocka_unit_test(test_what_changes_nothing),
        cmocka_unit_test(test_fork),
        cmocka_unit_test(test_fork_plans),
        cmocka_unit_test(test_fork_every_turn),
        cmocka_unit_test(test_clone),
        cmocka_unit_test(test_replay_refuses_damage),
        cmocka_unit_test(test_reapply_refuses),
        cmocka_unit_test(test_any_edits),
        cmocka_unit_test(test_edit_lines),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
