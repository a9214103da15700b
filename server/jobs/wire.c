#include "server/jobs/wire.h"

#include <string.h>

#include "rpc/base/alloc.h"
#include "rpc/base/check.h"
#include "server/engine/edit.h"

PB(Timestamp) wire_timestamp(uint64_t wall_us)
{
    PB(Timestamp) t = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
    t.seconds = (int64_t) (wall_us / 1000000);
    t.nanos = (int32_t) (wall_us % 1000000) * 1000;
    return t;
}

int32_t wire_progress(int state, int32_t turns, int32_t turns_done)
{
    if (state == STORE_COMPLETED)
        return 100;
    if (turns <= 0)
        return 0;
    int32_t percent = turns_done * 100 / turns;
    return percent > 99 ? 99 : percent;
}

/* ---- events ---- */

struct painter {
    const struct wire_event *e;
    bool full;
    struct arena *a;
    bool failed;
};

static void *take(struct painter *p, size_t count, size_t size)
{
    void *m = arena_zero(p->a, count > 0 ? count : 1, size);
    p->failed = p->failed || m == NULL;
    return m;
}

static char *take_buf(struct painter *p, struct buf *b)
{
    char *s = b->failed ? NULL : arena_strndup(p->a, buf_text(b), b->size);
    buf_done(b);
    p->failed = p->failed || s == NULL;
    return s != NULL ? s : (char *) protobuf_c_empty_string;
}

static const char *entity(const struct painter *p, enum nvl_sort sort, unsigned i)
{
    return i == NVL_NONE ? "" : nvl_entity_id(p->e->world, sort, i);
}

static bool cell_hidden(const struct painter *p, unsigned cell)
{
    struct nvl_cell info;
    return nvl_world_cell_info(p->e->world, cell, &info) != NVL_OK || info.hidden;
}

/* Whom and what an edit is about, beside what its operator is done to. */
static void paint_change(struct painter *p, NE(SimulationEvent) * out)
{
    const struct nvl_change *c = &p->e->event->change;
    enum nvl_sort thing = c->kind == NVL_EDIT_WHISPER ? NVL_SORT_FACT
                          : c->kind == NVL_EDIT_ITEM  ? NVL_SORT_ITEM
                                                      : NVL_SORT_NONE;
    if (p->e->event->args_count == 0 && c->who != NVL_NONE)
        out->targets[out->n_targets++] = (char *) entity(p, NVL_SORT_CHAR, c->who);
    if (thing != NVL_SORT_NONE)
        out->targets[out->n_targets++] = (char *) entity(p, thing, c->thing);
    if (c->to_sort != NVL_SORT_NONE)
        out->targets[out->n_targets++] =
            (char *) entity(p, (enum nvl_sort) c->to_sort, c->to);
}

/* Entities that an event is about; args[0] is the actor unless the world acts. */
static void paint_targets(struct painter *p, NE(SimulationEvent) * out)
{
    const struct nvl_event *e = p->e->event;
    out->targets = take(p, e->args_count + 3u, sizeof *out->targets);
    if (p->failed)
        return;
    if (e->type == NVL_INTERVENTION)
        paint_change(p, out);
    for (size_t i = e->actor < NVL_ACTOR_WORLD ? 1 : 0; i < e->args_count; i++)
        if (e->args[i] != NVL_NONE)
            out->targets[out->n_targets++] =
                (char *) entity(p, nvl_event_arg_sort(p->e->world, e, i), e->args[i]);
}

static void paint_causes(struct painter *p, NE(SimulationEvent) * out)
{
    const struct nvl_event *e = p->e->event;
    out->causes = take(p, e->causes_count, sizeof *out->causes);
    NE(Cause) *causes = take(p, e->causes_count, sizeof *causes);
    if (p->failed)
        return;
    for (size_t i = 0; i < e->causes_count; i++) {
        const struct nvl_cause *from = &e->causes[i];
        NE(Cause) *c = &causes[i];
        novelengine__v1__cause__init(c);
        c->sequence = from->sequence;
        c->kind = (NE(Cause__Kind)) from->kind;
        if (from->cell != NVL_NO_CELL && (p->full || !cell_hidden(p, from->cell))) {
            struct buf text = { 0 };
            nvl_cell_text(p->e->world, from->cell, &text);
            c->because = take_buf(p, &text);
        }
        out->causes[out->n_causes++] = c;
    }
}

static void paint_effects(struct painter *p, NE(SimulationEvent) * out)
{
    const struct nvl_event *e = p->e->event;
    const struct nvl_pack *pack = nvl_world_pack(p->e->world);
    out->effects = take(p, e->deltas_count, sizeof *out->effects);
    NE(Effect) *effects = take(p, e->deltas_count, sizeof *effects);
    for (size_t i = 0; i < e->deltas_count && !p->failed; i++) {
        struct nvl_cell info;
        if (nvl_world_cell_info(p->e->world, e->deltas[i].cell, &info) != NVL_OK ||
            (info.hidden && !p->full))
            continue;
        NE(Effect) *f = &effects[i];
        novelengine__v1__effect__init(f);
        f->fluent = (char *) nvl_pack_fluent_name(pack, info.fluent);
        f->arguments = take(p, info.args_count, sizeof *f->arguments);
        if (p->failed)
            return;
        for (size_t k = 0; k < info.args_count; k++)
            f->arguments[f->n_arguments++] =
                (char *) entity(p, (enum nvl_sort) info.sorts[k], info.args[k]);
        f->before = e->deltas[i].before;
        f->after = e->deltas[i].after;
        out->effects[out->n_effects++] = f;
    }
}

static void paint_law(struct painter *p, NE(SimulationEvent) * out)
{
    const struct nvl_event *e = p->e->event;
    if (e->verdict == 0)
        return;
    NE(LawVerdict) *law = take(p, 1, sizeof *law);
    char **codes = take(p, e->codes_count, sizeof *codes);
    char(*texts)[8] = take(p, e->codes_count, sizeof *texts);
    if (p->failed)
        return;
    novelengine__v1__law_verdict__init(law);
    law->verdict = (NE(LawVerdict__Verdict)) e->verdict;
    for (size_t i = 0; i < e->codes_count; i++) {
        nvl_law_code(e->codes[i], texts[i]);
        codes[i] = texts[i];
    }
    law->n_codes = e->codes_count;
    law->codes = codes;
    if (e->repair != NVL_NO_REPAIR)
        law->repair = (char *) nvl_repair_name(e->repair);
    if (e->verdict != NVL_VALID &&
        (p->full || e->reason == NVL_NO_CELL || !cell_hidden(p, e->reason))) {
        struct buf text = { 0 };
        nvl_law_text(p->e->world, e, &text);
        law->reason = take_buf(p, &text);
    }
    out->law = law;
}

static void paint_witnesses(struct painter *p, NE(SimulationEvent) * out)
{
    uint32_t bits = p->e->event->witnesses;
    out->witnesses = take(p, 32, sizeof *out->witnesses);
    for (unsigned i = 0; i < 32 && !p->failed; i++)
        if ((bits >> i & 1u) != 0)
            out->witnesses[out->n_witnesses++] = (char *) entity(p, NVL_SORT_CHAR, i);
}

static void paint_beliefs(struct painter *p, NE(SimulationEvent) * out)
{
    const struct nvl_event *e = p->e->event;
    out->beliefs = take(p, e->beliefs_count, sizeof *out->beliefs);
    NE(BeliefChange) *beliefs = take(p, e->beliefs_count, sizeof *beliefs);
    if (p->failed)
        return;
    for (size_t i = 0; i < e->beliefs_count; i++) {
        const struct nvl_belief *from = &e->beliefs[i];
        if (from->source == NVL_KNEW && !p->full)
            continue; /* a secret that nobody has told yet */
        NE(BeliefChange) *b = &beliefs[i];
        novelengine__v1__belief_change__init(b);
        b->character = (char *) entity(p, NVL_SORT_CHAR, from->character);
        b->fact = (char *) entity(p, NVL_SORT_FACT, from->fact);
        b->before = (NE(Belief)) from->before;
        b->after = (NE(Belief)) from->after;
        b->source =
            (char *) (from->informant != NVL_NONE ? entity(p, NVL_SORT_CHAR, from->informant)
                                                  : nvl_source_name(from->source));
        b->is_true = p->full && nvl_world_belief_true(p->e->world, from->fact, from->after);
        out->beliefs[out->n_beliefs++] = b;
    }
}

static void paint_terms(struct painter *p, NE(Decision) * d)
{
    const struct nvl_event *e = p->e->event;
    d->terms = take(p, NVL_TERMS, sizeof *d->terms);
    NE(Decision__Term) *terms = take(p, NVL_TERMS, sizeof *terms);
    for (unsigned i = 0; i < NVL_TERMS && !p->failed; i++) {
        if (e->terms[i] == 0)
            continue;
        novelengine__v1__decision__term__init(&terms[i]);
        terms[i].name = (char *) nvl_term_name(i);
        terms[i].value = e->terms[i];
        d->terms[d->n_terms++] = &terms[i];
    }
}

static void paint_alternatives(struct painter *p, NE(Decision) * d)
{
    const struct nvl_event *e = p->e->event;
    const struct nvl_pack *pack = nvl_world_pack(p->e->world);
    d->alternatives = take(p, 2, sizeof *d->alternatives);
    for (size_t i = 0; i < 2 && !p->failed; i++) {
        const struct nvl_alternative *from = &e->alternatives[i];
        if (from->op == NVL_NO_OP)
            continue;
        struct nvl_op_info op;
        nvl_pack_op(pack, from->op, &op);
        NE(Decision__Alternative) *alt = take(p, 1, sizeof *alt);
        char **targets = take(p, NVL_ARGS_MAX, sizeof *targets);
        if (p->failed)
            return;
        novelengine__v1__decision__alternative__init(alt);
        alt->operator_ = (char *) op.name;
        alt->targets = targets;
        for (size_t k = 1; k < from->args_count && k < NVL_ARGS_MAX; k++)
            if (from->args[k] != NVL_NONE)
                alt->targets[alt->n_targets++] =
                    (char *) entity(p, (enum nvl_sort) op.params[k].sort, from->args[k]);
        alt->utility = from->utility;
        d->alternatives[d->n_alternatives++] = alt;
    }
}

static void paint_decision(struct painter *p, NE(SimulationEvent) * out)
{
    const struct nvl_event *e = p->e->event;
    if (e->op == NVL_NO_OP || e->actor >= NVL_ACTOR_WORLD)
        return; /* nobody chose it */
    NE(Decision) *d = take(p, 1, sizeof *d);
    if (p->failed)
        return;
    novelengine__v1__decision__init(d);
    d->utility = e->utility;
    if (e->goal != NVL_NONE)
        d->goal = (char *) nvl_goal_name(p->e->world, e->goal);
    d->plan_step = e->plan_step;
    paint_terms(p, d);
    paint_alternatives(p, d);
    out->decision = d;
}

static void paint_event(struct painter *p, NE(SimulationEvent) * out)
{
    const struct nvl_event *e = p->e->event;
    const struct nvl_world *world = p->e->world;
    novelengine__v1__simulation_event__init(out);
    out->sequence = e->sequence;
    out->turn = e->turn;
    out->type = (NE(SimulationEvent__Type)) e->type;
    out->actor = (char *) nvl_event_actor_id(world, e);
    out->operator_ = (char *) nvl_event_op_name(world, e);
    out->location = (char *) entity(p, NVL_SORT_PLACE, e->place);
    out->outcome = (NE(SimulationEvent__Outcome)) e->outcome;
    out->tension = e->tension;
    out->tension_target = e->tension_target;
    out->phase = (NE(SimulationEvent__Phase)) e->phase;
    out->minute = (int32_t) e->minute;
    out->beat = (char *) nvl_beat_name(world, e);
    struct buf text = { 0 };
    nvl_event_text(world, e, p->full, &text);
    out->text = take_buf(p, &text);
    paint_targets(p, out);
    paint_causes(p, out);
    paint_effects(p, out);
    paint_law(p, out);
    paint_witnesses(p, out);
    paint_beliefs(p, out);
    out->threads = take(p, e->threads_count, sizeof *out->threads);
    for (size_t i = 0; i < e->threads_count && !p->failed; i++)
        out->threads[out->n_threads++] = (char *) nvl_thread_name(world, e->threads[i].thread);
    out->hash = (ProtobufCBinaryData){ SHA256_SIZE, (uint8_t *) p->e->hash };
    if (p->full) {
        paint_decision(p, out);
        out->canonical = (ProtobufCBinaryData){ p->e->canonical_size, (uint8_t *) p->e->canonical };
    }
}

nrpc_blob *wire_event_pack(const struct wire_event *e, enum jobs_view view, struct arena *scratch)
{
    struct painter p = { .e = e, .full = view == JOBS_FULL, .a = scratch };
    NE(SimulationEvent) event;
    PB(Timestamp) when = wire_timestamp(e->now_us);
    NE(SimulationUpdate) update = NOVELENGINE__V1__SIMULATION_UPDATE__INIT;
    paint_event(&p, &event);
    event.commit_time = &when; /* when it was handed to the store; shown only once it is there */
    update.sequence = e->event->sequence;
    update.type = NOVELENGINE__V1__SIMULATION_UPDATE__TYPE__TYPE_EVENT;
    update.update_case = NOVELENGINE__V1__SIMULATION_UPDATE__UPDATE_EVENT;
    update.event = &event;
    update.simulation_id = (char *) e->simulation_id;
    update.progress_percent = (int32_t) e->progress_percent;
    nrpc_blob *blob = p.failed ? NULL : nrpc_blob_pack(&update.base);
    arena_reset(scratch);
    return blob;
}

int wire_join(const nrpc_blob *const views[JOBS_VIEWS], struct arena *a, struct store_bytes *out)
{
    nrpc_slice basic = nrpc_blob_bytes(views[JOBS_BASIC]), full = nrpc_blob_bytes(views[JOBS_FULL]);
    uint8_t *bytes = arena_get(a, 4 + basic.size + full.size);
    if (bytes == NULL)
        return -1;
    for (int i = 0; i < 4; i++)
        bytes[i] = (uint8_t) (basic.size >> 8 * i);
    memcpy(bytes + 4, basic.data, basic.size);
    memcpy(bytes + 4 + basic.size, full.data, full.size);
    *out = (struct store_bytes){ bytes, 4 + basic.size + full.size };
    return 0;
}

int wire_split(struct store_bytes column, enum jobs_view view, struct store_bytes *out)
{
    if (column.size < 4)
        return -1;
    size_t basic = 0;
    for (int i = 0; i < 4; i++)
        basic |= (size_t) column.data[i] << 8 * i;
    if (basic > column.size - 4)
        return -1;
    *out = view == JOBS_BASIC
               ? (struct store_bytes){ column.data + 4, basic }
               : (struct store_bytes){ column.data + 4 + basic, column.size - 4 - basic };
    return 0;
}

/* ---- the end ---- */

NE(SimulationResult) *
    wire_result(struct store_bytes result, struct store_bytes story, struct arena *a)
{
    ProtobufCAllocator allocator = contract_allocator(a);
    NE(SimulationResult) *r =
        novelengine__v1__simulation_result__unpack(&allocator, result.size, result.data);
    if (r == NULL)
        return NULL;
    char *text = arena_strndup(a, story.data != NULL ? (const char *) story.data : "", story.size);
    if (text == NULL)
        return NULL;
    r->story = text;
    return r;
}

static struct finals *finals_new(size_t capacity)
{
    return alloc_zero(1, sizeof(struct finals) + capacity * sizeof(nrpc_blob *));
}

void finals_free(struct finals *f)
{
    if (f == NULL)
        return;
    for (size_t i = 0; i < f->count; i++)
        nrpc_blob_unref(f->items[i]);
    alloc_free(f);
}

static bool finals_add(struct finals *f, const NE(SimulationUpdate) * update)
{
    nrpc_blob *b = nrpc_blob_pack(&update->base);
    if (b != NULL)
        f->items[f->count++] = b;
    return b != NULL;
}

static struct finals *finals_of_story(const struct wire_end *end, NE(SimulationUpdate) * update,
                                      struct arena *a)
{
    ProtobufCAllocator allocator = contract_allocator(a);
    NE(StoryDocument) *doc =
        novelengine__v1__story_document__unpack(&allocator, end->passages.size, end->passages.data);
    NE(SimulationResult) *result = wire_result(end->result, end->story, a);
    struct finals *f = doc != NULL && result != NULL ? finals_new(doc->n_passages + 1) : NULL;
    bool ok = f != NULL;
    update->type = NOVELENGINE__V1__SIMULATION_UPDATE__TYPE__TYPE_PASSAGE;
    update->update_case = NOVELENGINE__V1__SIMULATION_UPDATE__UPDATE_PASSAGE;
    for (size_t i = 0; ok && i < doc->n_passages; i++) {
        update->passage = doc->passages[i];
        ok = finals_add(f, update);
    }
    update->type = NOVELENGINE__V1__SIMULATION_UPDATE__TYPE__TYPE_RESULT;
    update->update_case = NOVELENGINE__V1__SIMULATION_UPDATE__UPDATE_RESULT;
    update->result = result;
    if (ok && finals_add(f, update))
        return f;
    finals_free(f);
    return NULL;
}

static struct finals *finals_of_error(const struct wire_end *end, NE(SimulationUpdate) * update,
                                      struct arena *a)
{
    ProtobufCAllocator allocator = contract_allocator(a);
    Google__Rpc__Status *error =
        google__rpc__status__unpack(&allocator, end->error.size, end->error.data);
    struct finals *f = error != NULL ? finals_new(1) : NULL;
    update->type = NOVELENGINE__V1__SIMULATION_UPDATE__TYPE__TYPE_ERROR;
    update->update_case = NOVELENGINE__V1__SIMULATION_UPDATE__UPDATE_ERROR;
    update->error = error;
    if (f != NULL && finals_add(f, update))
        return f;
    finals_free(f);
    return NULL;
}

struct finals *wire_finals_new(const struct wire_end *end)
{
    struct arena a;
    arena_init(&a, 4096);
    NE(SimulationUpdate) update = NOVELENGINE__V1__SIMULATION_UPDATE__INIT;
    update.sequence = end->last_sequence;
    update.simulation_id = (char *) end->simulation_id;
    update.progress_percent = wire_progress(end->state, end->turns, end->turns_done);
    struct finals *f = end->state == STORE_COMPLETED ? finals_of_story(end, &update, &a)
                                                     : finals_of_error(end, &update, &a);
    arena_done(&a);
    return f;
}
