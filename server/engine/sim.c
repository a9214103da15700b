/* sim.c — opening, turns, the end. */
#include "server/engine/sim.h"
#include <string.h>
#include "rpc/base/alloc.h"

static int build(struct nvl_sim *s)
{
    struct nvl_world *w = s->w;
    size_t cells = w->cells;
    unsigned places = w->counts[NVL_SORT_PLACE];
    if (w->counts[NVL_SORT_CHAR] > SIM_CHARS || w->pack->counts[SEC_OPER] > SIM_OPS ||
        w->pack->counts[SEC_THRD] > SIM_THREADS)
        return NVL_E_PACK;
    s->state = arena_copy(&s->arena, w->initial, cells * sizeof(*s->state));
    s->scratch = arena_copy(&s->arena, w->initial, cells * sizeof(*s->scratch));
    s->writer = arena_zero(&s->arena, cells, sizeof(*s->writer));
    s->dist = arena_zero(&s->arena, (size_t) places * places, 1);
    s->sha = sha256_new();
    if (s->state == NULL || s->scratch == NULL || s->writer == NULL || s->dist == NULL ||
        s->sha == NULL)
        return NVL_E_NOMEM;
    for (size_t i = 0; i < cells; i++)
        s->writer[i] = 1;
    for (unsigned c = 0; c < w->counts[NVL_SORT_CHAR]; c++) {
        if ((s->belief[c] = arena_zero(&s->arena, cells, sizeof(int16_t))) == NULL)
            return NVL_E_NOMEM;
        for (uint32_t i = 0; i < cells; i++)
            s->belief[c][i] = world_perceives(w, w->initial, c, i)
                                  ? w->initial[i]
                                  : w->pack->fluents[w->refs[i].fluent].assume;
    }
    s->seed = w->request->seed, s->turns = w->request->turns, s->plan = w->plan;
    memcpy(s->traits, w->traits, sizeof(s->traits));
    memset(s->bias_op, 0xFF, sizeof(s->bias_op));
    past_open_threads(s);
    return gate_build(s) && plan_build(s) ? NVL_OK : NVL_E_NOMEM;
}
struct nvl_event sim_between(const struct nvl_sim *s, unsigned type)
{
    struct nvl_event e = { .type = (uint8_t) type,
                           .op = NVL_NO_OP,
                           .actor = NVL_ACTOR_DIRECTOR,
                           .place = NVL_NONE,
                           .verdict = NVL_VALID,
                           .reason = NVL_NO_CELL,
                           .goal = NVL_NONE,
                           .ending = NVL_NONE };
    unsigned pass = s->pass < s->plan.count ? s->pass : s->plan.count - 1;
    e.alternatives[0].op = e.alternatives[1].op = NVL_NO_OP;
    e.turn = (uint16_t) s->turns_done;
    e.pass = (uint16_t) pass, e.phase = s->plan.phase[pass];
    e.minute = pass * WORLD_PASS_MINUTES;
    return e;
}
static int start(struct nvl_sim *s, const struct nvl_request *request, struct nvl_error *err)
{
    struct buf bytes = { 0 };
    struct nvl_event e = sim_between(s, NVL_STARTED);
    int rc = nvl_header_encode(request, s->w->pack->digest, &bytes, e.header_hash, err);
    if (rc == NVL_OK) {
        buf_reset(&bytes);
        rc = nvl_world_encode(s->w, &bytes);
    }
    if (rc == NVL_OK) {
        sha256_of(bytes.data, bytes.size, e.world_digest);
        memcpy(s->head, e.header_hash, SHA256_SIZE);
        rc = record_event(s, &e);
    }
    buf_done(&bytes);
    return rc;
}
int nvl_open(const struct nvl_pack *pack, const struct nvl_request *request, nvl_sink sink,
             void *ctx, struct nvl_error *err, struct nvl_sim **out)
{
    struct nvl_sim *s = alloc_zero(1, sizeof(*s));
    if (s == NULL)
        return NVL_E_NOMEM;
    arena_init(&s->arena, 64 * 1024);
    s->sink = sink, s->sink_ctx = ctx;
    int rc = nvl_world_open(pack, request, err, &s->w);
    if (rc == NVL_OK)
        rc = build(s);
    if (rc == NVL_OK)
        rc = start(s, request, err);
    if (rc != NVL_OK) {
        nvl_free(s);
        return rc;
    }
    *out = s;
    return NVL_OK;
}

/* Urgency, then temperament, then luck decide who is first. */
static void order(const struct nvl_sim *s, uint8_t *out, unsigned n)
{
    int32_t key[SIM_CHARS];
    for (unsigned c = 0; c < n; c++) {
        const struct choices *all = &s->choices[c];
        key[c] = (all->count > 0 ? all->best[0].utility : -1000) +
                 2 * s->traits[c * NVL_TRAITS + NVL_EXTRAVERSION] +
                 (int32_t) rng_below(s->seed, rng_key(RNG_CHOICE, s->pass, c, 1, 0), 120);
        unsigned at = c;
        for (; at > 0 && key[out[at - 1]] < key[c]; at--)
            out[at] = out[at - 1];
        out[at] = (uint8_t) c;
    }
}
/* Only the cast has an act in every pass; others do when they want something. */
static bool lets_it_go_by(const struct nvl_sim *s, unsigned c)
{
    if (c < s->w->request->cast_count || !sim_awake(s, s->state, c))
        return false;
    const struct choices *all = &s->choices[c];
    if (all->forced != 0)
        return false;
    return all->count == 0 || (s->w->pack->ops[all->best[0].op].engine_flags & OP_IDLE) != 0;
}
static int play_pass(struct nvl_sim *s)
{
    unsigned n = s->w->counts[NVL_SORT_CHAR];
    uint8_t first[SIM_CHARS];
    memset(s->minutes, 0, sizeof(s->minutes));
    s->silent = 0;
    gate_pass(s);
    int rc = direct_incidents(s);
    if (rc != NVL_OK)
        return rc;
    record_look(s);
    if (sim_phase(s) >= NVL_CLIMAX)
        direct_search(s);
    if (s->broken)
        return NVL_E_NOMEM;
    for (unsigned c = 0; c < n; c++) {
        s->choices[c].count = 0;
        if (sim_awake(s, s->state, c))
            choice_make(s, c);
        s->silent |= (uint32_t) lets_it_go_by(s, c) << c;
    }
    if (s->on_choices != NULL)
        s->on_choices(s->on_choices_ctx, s);
    order(s, first, n);
    for (unsigned i = 0; i < n && rc == NVL_OK; i++)
        if (s->sequence < NVL_EVENTS_MAX - 64)
            rc = judge_act(s, first[i]);
    return rc;
}
int sim_turn(struct nvl_sim *s)
{
    int rc = NVL_OK;
    unsigned turn = s->turns_done + 1;
    while (rc == NVL_OK && s->pass < s->plan.count && s->plan.turn[s->pass] == turn) {
        rc = play_pass(s);
        s->pass += rc == NVL_OK;
    }
    if (rc != NVL_OK) {
        s->broken = true;
        return rc;
    }
    s->turns_done = turn;
    edit_turn_done(s);
    return NVL_OK;
}
int sim_complete(struct nvl_sim *s)
{
    /* COMPLETED happens in the last pass; its expressions see that one too */
    s->pass = s->plan.count - 1;
    struct nvl_event e = sim_between(s, NVL_COMPLETED);
    e.turns = s->turns_done, e.ending = (uint8_t) direct_ending(s, s->state);
    s->ended = true;
    return record_event(s, &e);
}
int nvl_turn(struct nvl_sim *s, nvl_sink sink, void *ctx)
{
    if (s->ended)
        return NVL_E_ENDED;
    if (s->broken)
        return NVL_E_SINK;
    s->sink = sink, s->sink_ctx = ctx;
    int rc = s->turns_done < s->turns ? sim_turn(s) : NVL_OK;
    return rc == NVL_OK && s->turns_done == s->turns ? sim_complete(s) : rc;
}
int nvl_cancel(struct nvl_sim *s, nvl_sink sink, void *ctx)
{
    if (s->ended || s->turns_done == s->turns)
        return NVL_E_ENDED;
    if (s->broken)
        return NVL_E_SINK;
    s->sink = sink, s->sink_ctx = ctx;
    struct nvl_event e = sim_between(s, NVL_CANCELLED);
    s->ended = s->cancelled = true;
    return record_event(s, &e);
}
const uint8_t *nvl_head(const struct nvl_sim *s)
{
    return s->head;
}
uint32_t nvl_last_sequence(const struct nvl_sim *s)
{
    return s->sequence;
}
uint32_t nvl_turns_done(const struct nvl_sim *s)
{
    return s->turns_done;
}
bool nvl_ended(const struct nvl_sim *s)
{
    return s->ended;
}
uint32_t nvl_progress(const struct nvl_sim *s)
{
    if (s->ended && !s->cancelled)
        return 100;
    uint32_t v = s->turns_done * 100 / s->turns;
    return v > 99 ? 99 : v;
}
const struct nvl_world *nvl_sim_world(const struct nvl_sim *s)
{
    return s->w;
}
const int16_t *nvl_sim_belief(const struct nvl_sim *s, unsigned character)
{
    return character < s->w->counts[NVL_SORT_CHAR] ? s->belief[character] : NULL;
}
const int16_t *nvl_sim_state(const struct nvl_sim *s)
{
    return s->state;
}
void nvl_free(struct nvl_sim *s)
{
    if (s == NULL)
        return;
    nvl_world_free(s->w);
    sha256_free(s->sha);
    arena_done(&s->arena);
    alloc_free(s);
}
