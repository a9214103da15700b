#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "rpc/base/alloc.h"
#include "server/tools/novel-verify.h"
#include "tests/unit/engine/edit_stage.h"

int keep(void *ctx, const struct nvl_event *e, const uint8_t *canonical, size_t size,
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
struct kept *kept_new(void)
{
    struct kept *k = alloc_zero(1, sizeof(*k));
    assert_non_null(k);
    return k;
}
void kept_settle(struct kept *k)
{
    assert_false(k->bytes.failed);
    for (size_t i = 0; i < k->count; i++)
        k->spans[i].data = k->bytes.data + k->offsets[i];
}
void kept_free(struct kept *k)
{
    buf_done(&k->bytes);
    alloc_free(k);
}
void assert_same(struct kept *a, struct kept *b)
{
    assert_int_equal(a->bytes.size, b->bytes.size);
    assert_memory_equal(a->bytes.data, b->bytes.data, a->bytes.size);
    assert_memory_equal(a->head, b->head, SHA256_SIZE);
}
/* What the checker says of the log, or "". */
const char *verdict_of(const struct nvl_sim *sim, const struct nvl_pack *pack,
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

const struct nvl_pack *pack_of(void **state)
{
    return *state;
}
void stage_open(void **state, struct stage *g, uint32_t turns, uint64_t seed)
{
    fixture_crew(&g->request);
    g->request.request.turns = turns, g->request.request.seed = seed;
    g->log = kept_new();
    assert_int_equal(nvl_open(pack_of(state), &g->request.request, keep, g->log, NULL, &g->sim),
                     NVL_OK);
}
void stage_turns(struct stage *g, unsigned n)
{
    for (; n > 0; n--)
        assert_int_equal(nvl_turn(g->sim, keep, g->log), NVL_OK);
}
void stage_end(void **state, struct stage *g)
{
    while (!nvl_ended(g->sim))
        assert_int_equal(nvl_turn(g->sim, keep, g->log), NVL_OK);
    assert_string_equal(verdict_of(g->sim, pack_of(state), &g->request.request, g->log), "");
}
void stage_done(struct stage *g)
{
    nvl_free(g->sim);
    kept_free(g->log);
}
struct nvl_edit edit_of(enum nvl_edit_kind kind, const char *actor, const char *name)
{
    return (struct nvl_edit){ .kind = kind, .actor = actor, .name = name };
}
void allowed(struct stage *g, const struct nvl_edit *edit)
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
void rejected(struct stage *g, const struct nvl_edit *edit, unsigned code)
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
void invalid(struct stage *g, const struct nvl_edit *edit, const char *field, const char *word)
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
const char *id_of(const struct stage *g, enum nvl_sort sort, unsigned i)
{
    return nvl_entity_id(nvl_sim_world(g->sim), sort, i);
}
const char *op_name(void **state, unsigned op)
{
    struct nvl_op_info info;
    nvl_pack_op(pack_of(state), op, &info);
    return info.name;
}
int cell_value(void **state, const struct stage *g, const char *fluent, unsigned a, unsigned b)
{
    int f = nvl_pack_fluent_find(pack_of(state), fluent);
    int cell = f < 0 ? -1 : nvl_world_cell(nvl_sim_world(g->sim), (size_t) f, a, b);
    assert_true(cell >= 0);
    return nvl_sim_state(g->sim)[cell];
}
bool has_cause(const struct nvl_event *e, uint32_t sequence, unsigned kind)
{
    for (unsigned i = 0; i < e->causes_count; i++)
        if (e->causes[i].sequence == sequence && e->causes[i].kind == kind)
            return true;
    return false;
}
/* The first event after `from` (a number of events) that fits; NULL: none. */
bool find_event(struct kept *k, size_t from, unsigned type, int actor, struct nvl_event *out)
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

int stage_setup(void **state)
{
    *state = fixture_pack();
    return *state == NULL;
}
int stage_teardown(void **state)
{
    nvl_pack_free(*state);
    return 0;
}
