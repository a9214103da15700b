/* sim_record.c — an event becomes bytes, a hash, and what others know (docs/log-format.md, section
 * 8). */
#include "server/engine/sim.h"
#include <string.h>

uint8_t record_tension(const struct nvl_sim *s)
{
    const struct nvl_pack *p = s->w->pack;
    uint8_t args[NVL_ARGS_MAX];
    int32_t total = 0;
    memset(args, NVL_NONE, sizeof(args));
    for (uint32_t t = 0; t < p->counts[SEC_TENS]; t++) {
        int32_t sum = 0, top = 0, n = (int32_t) s->w->request->cast_count;
        for (int32_t c = 0; c < n; c++) {
            args[0] = (uint8_t) c;
            struct code_env env = judge_env(s, s->state, args);
            int32_t v = code_run(&env, p->tensions[t].code);
            v = v < 0 ? 0 : v > 100 ? 100 : v;
            sum += v;
            top = v > top ? v : top;
        }
        total += p->tensions[t].weight * (p->tensions[t].mode != 0 ? sum / n : top);
    }
    total /= 100;
    return (uint8_t) (total > 100 ? 100 : total);
}
void record_cause(struct nvl_event *e, uint32_t sequence, unsigned kind, unsigned cell)
{
    for (unsigned i = 0; i < e->causes_count; i++)
        if (e->causes[i].sequence == sequence && e->causes[i].kind == kind)
            return;
    if (e->causes_count < NVL_CAUSES_MAX)
        e->causes[e->causes_count++] =
            (struct nvl_cause){ sequence, (uint8_t) kind, (uint16_t) cell };
}
/* What came from an earlier chapter and is still so is named, whatever else was a cause: the last
 * cell read that did, since operators ask for what they hinge on after what is usual. */
static void note_carried(const struct nvl_sim *s, struct nvl_event *e, const uint16_t *reads,
                         unsigned n)
{
    unsigned cell = NVL_NO_CELL;
    for (unsigned k = 0; s->w->carried != NULL && k < n; k++)
        if (s->w->carried[reads[k]] && s->writer[reads[k]] == 1 &&
            s->w->refs[reads[k]].fluent != s->came_before)
            cell = reads[k];
    if (cell == NVL_NO_CELL)
        return;
    bool belief = (s->w->pack->fluents[s->w->refs[cell].fluent].flags & FLUENT_BELIEF) != 0;
    unsigned kind = belief ? NVL_INFORMS : NVL_ENABLES;
    for (unsigned i = 0; i < e->causes_count; i++)
        if (e->causes[i].sequence == 1 && e->causes[i].kind == kind) {
            e->causes[i].cell = (uint16_t) cell;
            return;
        }
    record_cause(e, 1, kind, cell);
}
/* Who wrote what the conditions read: latest first, eight at most; what was so from the start
 * counts once. */
void record_causes(const struct nvl_sim *s, struct nvl_event *e)
{
    const struct pack_op *op = &s->w->pack->ops[e->op];
    uint16_t reads[CODE_READS_MAX * 2];
    unsigned n = 0;
    for (unsigned i = 0; i < op->conds_count; i++) {
        struct code_env env = judge_env(s, s->state, e->args);
        uint16_t some[CODE_READS_MAX];
        env.reads = some;
        code_run(&env, op->conds[i].code);
        for (unsigned k = 0; k < env.reads_count && n < CODE_READS_MAX * 2; k++)
            reads[n++] = some[k];
    }
    uint32_t below = UINT32_MAX;
    for (unsigned round = 0; round < 7; round++) {
        uint32_t best = 0;
        unsigned cell = NVL_NO_CELL;
        for (unsigned k = 0; k < n; k++)
            if (s->writer[reads[k]] < below && s->writer[reads[k]] > best)
                best = s->writer[reads[k]], cell = reads[k];
        if (cell == NVL_NO_CELL || (best <= 1 && e->causes_count > 0))
            break;
        bool belief = (s->w->pack->fluents[s->w->refs[cell].fluent].flags & FLUENT_BELIEF) != 0;
        unsigned kind = belief                                 ? NVL_INFORMS
                        : e->type == NVL_INCIDENT && best == 1 ? NVL_FORESHADOWS
                                                               : NVL_ENABLES;
        record_cause(e, best, kind, cell);
        below = best;
    }
    note_carried(s, e, reads, n);
    if (e->causes_count == 0)
        record_cause(e, 1, NVL_FORESHADOWS, NVL_NO_CELL);
}
/* Those who are there before the effects; radio reaches further. */
uint32_t record_present(const struct nvl_sim *s, const struct nvl_event *e)
{
    uint32_t mask = 0;
    bool radio = e->op != NVL_NO_OP && (s->w->pack->ops[e->op].flags & OP_RADIO) != 0 &&
                 e->actor < SIM_CHARS && world_get(s->w, s->state, KNOWN_COMM, e->actor, 0) == 1;
    for (unsigned c = 0; c < s->w->counts[NVL_SORT_CHAR]; c++) {
        if (!sim_awake(s, s->state, c))
            continue;
        bool here = e->place == NVL_NONE ? e->actor >= SIM_CHARS
                                         : world_get(s->w, s->state, KNOWN_AT, c, 0) == e->place;
        if (here || c == e->actor || (radio && world_get(s->w, s->state, KNOWN_COMM, c, 0) == 1))
            mask |= 1u << c;
    }
    return mask;
}
void record_look(struct nvl_sim *s)
{
    for (unsigned c = 0; c < s->w->counts[NVL_SORT_CHAR]; c++) {
        if (!sim_awake(s, s->state, c))
            continue;
        for (uint32_t cell = 0; cell < s->w->cells; cell++)
            if (s->belief[c][cell] != s->state[cell] && world_perceives(s->w, s->state, c, cell))
                s->belief[c][cell] = s->state[cell];
    }
}
static void learn(struct nvl_sim *s, uint32_t witnesses, unsigned cell)
{
    const struct cell_ref *r = &s->w->refs[cell];
    unsigned see = s->w->pack->fluents[r->fluent].see;
    for (unsigned c = 0; c < s->w->counts[NVL_SORT_CHAR]; c++)
        if (see == SEE_ALL ||
            ((witnesses >> c & 1) && see != SEE_NEVER && (see != SEE_OWN || r->a == c)))
            s->belief[c][cell] = s->state[cell];
}
/* The act that settled the story: the canon of what comes after. */
static void note_deed(struct nvl_sim *s, const struct nvl_event *e)
{
    for (unsigned i = 0; s->deed.sequence == 0 && s->settled >= 0 && i < e->deltas_count; i++)
        if (s->w->refs[e->deltas[i].cell].fluent == s->settled && e->op != NVL_NO_OP)
            s->deed = *e;
}
static void note_threads(struct nvl_sim *s, struct nvl_event *e)
{
    if (e->op == NVL_NO_OP || e->type == NVL_REJECTED || e->type == NVL_INTERVENTION)
        return;
    const struct pack_op *op = &s->w->pack->ops[e->op];
    for (unsigned i = 0; i < op->threads_count; i++) {
        const struct pack_op_thread *t = &op->threads[i];
        unsigned about = t->param == NVL_NONE ? NVL_NONE : e->args[t->param];
        uint8_t *open = &s->thread_open[t->thread][about < SIM_CHARS ? about : SIM_CHARS];
        bool fits = t->change == NVL_THREAD_OPENED ? *open == 0 : *open == 1;
        if (!(t->outcomes >> e->outcome & 1) || !fits || e->threads_count == NVL_THREADS_MAX)
            continue;
        *open = t->change == NVL_THREAD_CLOSED ? 2 : 1;
        e->threads[e->threads_count++] =
            (struct nvl_thread_ref){ t->thread, t->change, (uint8_t) about };
    }
}
int record_event(struct nvl_sim *s, struct nvl_event *e)
{
    uint8_t canonical[NVL_CANONICAL_MAX];
    e->sequence = ++s->sequence;
    e->tension_before = s->tension;
    note_threads(s, e);
    for (unsigned i = 0; i < e->deltas_count; i++)
        s->writer[e->deltas[i].cell] = e->sequence;
    for (unsigned i = 0; i < e->beliefs_count; i++) {
        int cell = world_cell(s->w, (unsigned) s->w->pack->known[KNOWN_KNOWS],
                              e->beliefs[i].character, e->beliefs[i].fact);
        s->writer[cell] = e->sequence;
        learn(s, e->witnesses, (unsigned) cell);
    }
    for (unsigned i = 0; i < e->deltas_count; i++)
        learn(s, e->witnesses, e->deltas[i].cell);
    note_deed(s, e);
    e->tension = record_tension(s);
    if (e->type == NVL_STARTED)
        e->tension_before = e->tension;
    s->tension = e->tension;
    e->tension_target = direct_target(s);
    size_t size = nvl_event_encode(e, canonical);
    sha256_start(s->sha);
    sha256_add(s->sha, s->head, SHA256_SIZE);
    sha256_add(s->sha, canonical, size);
    sha256_finish(s->sha, s->head);
    if (s->sink != NULL && s->sink(s->sink_ctx, e, canonical, size, s->head) != 0) {
        s->broken = true;
        return NVL_E_SINK;
    }
    return NVL_OK;
}
