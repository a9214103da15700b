/* explain.c — ExplainEvent: the causal tree of an event as data and as sentences, and what the story
 * makes of it. */
#include <string.h>

#include "rpc/base/check.h"
#include "server/narrator/untold.h"
#include "server/service/work.h"

/* The answer stays below the 4 MiB that clients take unless they are told otherwise. */
enum { DEPTH_DEFAULT = 8, NODES_MAX = 4096, BYTES_MAX = 2 << 20, TEXT_DEPTH = 2, TEXT_TERMS = 3 };

struct tree {
    struct work *w;
    NE(Explanation) *x;
    unsigned max_depth;
    uint8_t *shown;    /* per event: given whole already */
    uint8_t *expanded; /* per event: its causes are listed */
    uint32_t *queue;   /* events whose causes are still to be listed */
    uint8_t *depths;
    size_t queued;
    size_t bytes; /* of the events that are given whole */
};

static NE(SimulationEvent) * node_event(struct tree *t, uint32_t sequence)
{
    size_t size = t->w->log.wire[sequence - 1].size;
    if (!t->shown[sequence - 1] && t->bytes + size <= BYTES_MAX) {
        t->shown[sequence - 1] = 1;
        t->bytes += size;
        return work_event(t->w, sequence - 1);
    }
    NE(SimulationEvent) *e = work_get(t->w, 1, sizeof *e);
    if (e != NULL) {
        novelengine__v1__simulation_event__init(e);
        e->sequence = sequence;
    }
    return e;
}

static void add_node(struct tree *t, const struct nvl_event *effect, const struct nvl_cause *cause, unsigned depth)
{
    NE(Explanation__Node) *n = work_get(t->w, 1, sizeof *n);
    if (n == NULL)
        return;
    novelengine__v1__explanation__node__init(n);
    n->event = node_event(t, cause->sequence);
    n->effect = effect->sequence;
    n->kind = (NE(Cause__Kind)) cause->kind;
    n->depth = (int32_t) depth;
    t->x->nodes[t->x->n_nodes++] = n;
    if (!t->expanded[cause->sequence - 1] && depth < t->max_depth) {
        t->expanded[cause->sequence - 1] = 1;
        t->queue[t->queued] = cause->sequence;
        t->depths[t->queued++] = (uint8_t) depth;
    }
}

/* Breadth first: nearest causes first; every event is expanded once. */
static void grow(struct tree *t, uint32_t root)
{
    const struct stored_log *log = &t->w->log;
    t->expanded[root - 1] = 1;
    t->queue[t->queued] = root;
    t->depths[t->queued++] = 0;
    for (size_t i = 0; i < t->queued && t->w->st.code == NRPC_OK; i++) {
        const struct nvl_event *e = &log->events[t->queue[i] - 1];
        if (t->x->n_nodes + NVL_CAUSES_MAX > NODES_MAX)
            return;
        for (unsigned k = 0; k < e->causes_count; k++)
            if (e->causes[k].sequence >= 1 && e->causes[k].sequence < e->sequence)
                add_node(t, e, &e->causes[k], t->depths[i] + 1u);
    }
}

/* ---- in words ---- */

static void strip(struct buf *out)
{
    while (out->size > 0 && (out->data[out->size - 1] == ' ' || out->data[out->size - 1] == '\n'))
        out->size--;
}

static void put_event(const struct stored_log *log, uint32_t sequence, struct buf *out)
{
    nvl_event_text(log->world, &log->events[sequence - 1], true, out);
    while (out->size > 0 && out->data[out->size - 1] == '.')
        out->size--;
    buf_printf(out, " (event %u)", (unsigned) sequence);
}

static const char *short_name(const struct stored_log *log, const struct nvl_event *e)
{
    const struct nvl_entity *who =
        e->actor < NVL_ACTOR_WORLD ? nvl_world_entity(log->world, NVL_SORT_CHAR, e->actor) : NULL;
    return who != NULL ? who->brief : e->actor == NVL_ACTOR_WORLD ? "the world" : "the director";
}

static void put_lead(const struct stored_log *log, const struct nvl_event *e, unsigned kind, bool again, struct buf *out)
{
    static const char *const leads[] = { "It goes back to this",       "What made it possible",
                                         "What moved %s to it",        "What %s had learned by then",
                                         "It answers what went before", "What stood in the way",
                                         "It lay in how things began", "Somebody outside the story asked for it" };
    if (again)
        buf_puts(out, "And ");
    size_t at = out->size;
    buf_printf(out, leads[kind < ARRAY_SIZE(leads) ? kind : 0], short_name(log, e));
    if (again && at < out->size && out->data[at] >= 'A' && out->data[at] <= 'Z')
        out->data[at] = (uint8_t) (out->data[at] - 'A' + 'a');
    buf_puts(out, ": ");
}

/* An event says by itself why it counts; of the beginning the part that counts is named. */
static void put_cause(const struct stored_log *log, const struct nvl_cause *c, struct buf *out)
{
    if (c->sequence > 1) {
        put_event(log, c->sequence, out);
    } else if (c->cell == NVL_NO_CELL) {
        buf_puts(out, c->kind == NVL_MOTIVATES ? "who they are" : "it was so from the beginning");
    } else {
        buf_puts(out, "it was so from the beginning (");
        work_put_cell(log, c->cell, out);
        buf_putc(out, ')');
    }
}

/* One event may be a cause in two ways; a sentence names it once. */
static bool said_before(const struct nvl_event *e, unsigned cause)
{
    for (unsigned k = 0; k < cause; k++)
        if (e->causes[k].sequence == e->causes[cause].sequence)
            return true;
    return false;
}

static bool is_told(const struct nvl_event *e, unsigned k)
{
    return e->causes[k].sequence >= 1 && e->causes[k].sequence < e->sequence && !said_before(e, k);
}

static bool kind_before(const struct nvl_event *e, unsigned cause)
{
    for (unsigned k = 0; k < cause; k++)
        if (is_told(e, k) && e->causes[k].kind == e->causes[cause].kind)
            return true;
    return false;
}

static void put_causes(struct tree *t, const struct nvl_event *e, unsigned depth, struct buf *out)
{
    const struct stored_log *log = &t->w->log;
    bool any = false;
    for (unsigned first = 0; first < e->causes_count; first++) { /* causes of one kind share a sentence */
        if (!is_told(e, first) || kind_before(e, first))
            continue;
        if (any)
            buf_puts(out, ". ");
        put_lead(log, e, e->causes[first].kind, any, out);
        for (unsigned k = first; k < e->causes_count; k++) {
            if (e->causes[k].kind != e->causes[first].kind || !is_told(e, k))
                continue;
            if (k > first)
                buf_puts(out, "; ");
            put_cause(log, &e->causes[k], out);
        }
        any = true;
    }
    if (any)
        buf_puts(out, ". ");
    if (depth >= TEXT_DEPTH)
        return;
    for (unsigned k = 0; k < e->causes_count; k++) { /* the latest one a step further back */
        uint32_t s = e->causes[k].sequence;
        if (s <= 1 || s >= e->sequence)
            continue;
        strip(out);
        buf_puts(out, "\n\nBefore that: ");
        put_event(log, s, out);
        buf_puts(out, ". ");
        put_causes(t, &log->events[s - 1], depth + 1, out);
        return;
    }
}

static void put_terms(const struct nvl_event *e, struct buf *out)
{
    bool used[NVL_TERMS] = { false }, used_any = false;
    for (unsigned n = 0; n < TEXT_TERMS; n++) {
        int best = -1;
        for (unsigned i = 0; i < NVL_TERMS; i++) {
            int v = e->terms[i] < 0 ? -e->terms[i] : e->terms[i];
            int b = best < 0 ? 0 : e->terms[best] < 0 ? -e->terms[best] : e->terms[best];
            if (!used[i] && v > b)
                best = (int) i;
        }
        if (best < 0)
            break;
        used[best] = used_any = true;
        buf_printf(out, "%s%s (%+d)", n == 0 ? "What weighed most: " : ", ", work_term_phrase((unsigned) best),
                   (int) e->terms[best]);
    }
    if (used_any)
        buf_puts(out, ". ");
}

static void put_alternatives(const struct stored_log *log, const struct nvl_event *e, struct buf *out)
{
    for (unsigned i = 0; i < 2; i++) {
        const struct nvl_alternative *a = &e->alternatives[i];
        if (a->op == NVL_NO_OP)
            continue;
        struct nvl_op_info info;
        nvl_pack_op(log->pack, a->op, &info);
        buf_puts(out, i == 0 ? "Instead it might have been to " : ", or to ");
        work_put_words(out, info.name);
        bool first = true;
        for (unsigned k = 1; k < a->args_count; k++) {
            if (a->args[k] != NVL_NONE && info.params[k].sort != NVL_SORT_FACT) {
                buf_puts(out, first ? ": " : ", ");
                first = false;
                work_put_thing(log, (enum nvl_sort) info.params[k].sort, a->args[k], out);
            }
        }
        if (a->utility <= e->utility)
            buf_printf(out, " (%d behind)", (int) (e->utility - a->utility));
        else
            buf_printf(out, " (%d ahead, and ruled out)", (int) (a->utility - e->utility));
    }
    if (e->alternatives[0].op != NVL_NO_OP)
        buf_puts(out, ".");
}

static void put_text(struct tree *t, const struct nvl_event *e)
{
    const struct stored_log *log = &t->w->log;
    struct buf text = { 0 };
    nvl_event_text(log->world, e, true, &text);
    if (e->turn > 0)
        buf_printf(&text, " That was event %u, in turn %u. ", (unsigned) e->sequence, (unsigned) e->turn);
    else
        buf_printf(&text, " That was event %u, before the first turn. ", (unsigned) e->sequence);
    put_causes(t, e, 0, &text);
    if (e->op != NVL_NO_OP && e->actor < NVL_ACTOR_WORLD) {
        strip(&text);
        buf_puts(&text, "\n\n");
        put_terms(e, &text);
        put_alternatives(log, e, &text);
    }
    strip(&text);
    t->x->text = work_text(t->w, &text);
}

/* ---- in the story ---- */

static bool sentence_tells(const NE(Passage__Sentence) * s, uint64_t sequence)
{
    for (size_t k = 0; k < s->n_events; k++)
        if (s->events[k] == sequence)
            return true;
    return false;
}

static int16_t cast_index(const struct nvl_world *world, const char *id)
{
    for (size_t i = 0; i < nvl_world_cast_count(world); i++)
        if (strcmp(nvl_entity_id(world, NVL_SORT_CHAR, (unsigned) i), id) == 0)
            return (int16_t) i;
    return -1;
}

static void mark_told(const struct stored_log *log, const NE(StoryDocument) * doc, uint8_t *told, int16_t *eyes)
{
    for (size_t p = 0; p < doc->n_passages; p++) {
        int16_t who = cast_index(log->world, doc->passages[p]->focaliser);
        for (size_t i = 0; i < doc->passages[p]->n_sentences; i++) {
            const NE(Passage__Sentence) *s = doc->passages[p]->sentences[i];
            for (size_t k = 0; k < s->n_events; k++)
                if (s->events[k] >= 1 && s->events[k] <= log->count) {
                    told[s->events[k] - 1] = 1;
                    eyes[s->events[k] - 1] = who;
                }
        }
    }
}

static void add_told(struct tree *t, const NE(StoryDocument) * doc, uint64_t sequence)
{
    size_t n = 0;
    for (size_t p = 0; p < doc->n_passages; p++)
        for (size_t i = 0; i < doc->passages[p]->n_sentences; i++)
            n += sentence_tells(doc->passages[p]->sentences[i], sequence);
    t->x->told = work_get(t->w, n, sizeof *t->x->told);
    NE(Explanation__ToldSentence) *all = work_get(t->w, n, sizeof *all);
    if (t->x->told == NULL || all == NULL)
        return;
    for (size_t p = 0; p < doc->n_passages; p++)
        for (size_t i = 0; i < doc->passages[p]->n_sentences; i++) {
            const NE(Passage__Sentence) *s = doc->passages[p]->sentences[i];
            if (!sentence_tells(s, sequence))
                continue;
            NE(Explanation__ToldSentence) *out = &all[t->x->n_told];
            novelengine__v1__explanation__told_sentence__init(out);
            out->scene = doc->passages[p]->scene;
            out->text = s->text;
            out->n_events = s->n_events;
            out->events = s->events;
            t->x->told[t->x->n_told++] = out;
        }
}

static void put_telling(struct tree *t, const struct nvl_event *e)
{
    const struct stored_log *log = &t->w->log;
    struct buf why = { 0 };
    ProtobufCAllocator allocator = contract_allocator(&t->w->arena);
    if (log->row.passages.size > 0) {
        NE(StoryDocument) *doc =
            novelengine__v1__story_document__unpack(&allocator, log->row.passages.size, log->row.passages.data);
        if (doc == NULL) {
            error_set(&t->w->st, ERROR_OUT_OF_MEMORY, "the story could not be read");
            return;
        }
        add_told(t, doc, e->sequence);
        if (t->x->n_told > 0 || t->w->st.code != NRPC_OK)
            return;
        uint8_t *told = work_get(t->w, log->count, 1);
        int16_t *eyes = work_get(t->w, log->count, sizeof *eyes);
        if (told == NULL || eyes == NULL)
            return;
        memset(eyes, 0xFF, log->count * sizeof *eyes);
        mark_told(log, doc, told, eyes);
        struct nvl_told of = { told, eyes,
                               doc->telling != NULL && strcmp(doc->telling->perspective, "omniscient") == 0 };
        nvl_untold_why(log->world, log->events, log->count, &of, e->sequence - 1, &why);
    } else {
        buf_puts(&why, "Untold, because there is no story yet.");
    }
    t->x->untold = work_text(t->w, &why);
}

static void explain(struct work *w)
{
    const NE(ExplainEventRequest) *ask = (const NE(ExplainEventRequest) *) w->request;
    const struct stored_log *log = &w->log;
    if (ask->sequence > log->count) {
        error_set(&w->st, ERROR_EVENT_NOT_FOUND, "simulation '%s' has %zu events, no event %llu", w->id, log->count,
                  (unsigned long long) ask->sequence);
        return;
    }
    struct tree t = { .w = w, .max_depth = ask->max_depth > 0 ? (unsigned) ask->max_depth : DEPTH_DEFAULT };
    const struct nvl_event *e = &log->events[ask->sequence - 1];
    t.x = work_get(w, 1, sizeof *t.x);
    t.shown = work_get(w, log->count, 1);
    t.expanded = work_get(w, log->count, 1);
    t.queue = work_get(w, log->count, sizeof *t.queue);
    t.depths = work_get(w, log->count, 1);
    if (w->st.code != NRPC_OK)
        return;
    novelengine__v1__explanation__init(t.x);
    t.x->nodes = work_get(w, NODES_MAX, sizeof *t.x->nodes);
    if (t.x->nodes == NULL)
        return;
    t.x->event = node_event(&t, e->sequence);
    grow(&t, e->sequence);
    put_text(&t, e);
    put_telling(&t, e);
    w->reply = &t.x->base;
}

void handle_explain_event(nrpc_call *c, void *ctx, nrpc_msg *m)
{
    work_start(ctx, c, m, novelengine_v1_novel_engine_explain_event_request(m)->simulation_id, STORE_WITH_STORY, explain);
}
