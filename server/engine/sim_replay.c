/* sim_replay.c — a simulation again: copies, trial runs, forks, and playing a stored log anew. */
#include "server/engine/sim.h"
#include <string.h>
#include "rpc/base/alloc.h"

/* --- copies --------------------------------------------------------------------------------------
 */

static void *copy_of(struct arena *arena, const void *from, size_t size, bool *nomem)
{
    void *p = arena_copy(arena, from, size > 0 ? size : 1);
    *nomem |= p == NULL;
    return p;
}
int nvl_clone(const struct nvl_sim *from, struct nvl_sim **out)
{
    struct nvl_sim *s = alloc_zero(1, sizeof(*s));
    if (s == NULL)
        return NVL_E_NOMEM;
    const struct nvl_world *w = from->w;
    const uint32_t *sections = w->pack->counts;
    size_t cells = w->cells, places = w->counts[NVL_SORT_PLACE];
    bool nomem = false;
    *s = *from;
    arena_init(&s->arena, 64 * 1024);
    s->w = world_share(from->w);
    s->sink = NULL, s->sink_ctx = NULL;
    s->sha = sha256_new();
    nomem |= s->sha == NULL;
    s->state = copy_of(&s->arena, from->state, cells * sizeof(*s->state), &nomem);
    s->scratch = copy_of(&s->arena, from->scratch, cells * sizeof(*s->scratch), &nomem);
    s->writer = copy_of(&s->arena, from->writer, cells * sizeof(*s->writer), &nomem);
    for (unsigned c = 0; c < w->counts[NVL_SORT_CHAR]; c++)
        s->belief[c] = copy_of(&s->arena, from->belief[c], cells * sizeof(int16_t), &nomem);
    s->dist = copy_of(&s->arena, from->dist, places * places, &nomem);
    s->cond_plain = copy_of(&s->arena, from->cond_plain, sections[SEC_COND] + 1, &nomem);
    s->memo = copy_of(&s->arena, from->memo, sections[SEC_COND] + 1, &nomem);
    s->op_writes =
        copy_of(&s->arena, from->op_writes,
                (size_t) (sections[SEC_OPER] + 1) * ((sections[SEC_FLUE] + 7) / 8), &nomem);
    if (nomem) {
        nvl_free(s);
        return NVL_E_NOMEM;
    }
    *out = s;
    return NVL_OK;
}

/* --- trial runs ----------------------------------------------------------------------------------
 */

struct proposals {
    const struct nvl_pack *pack;
    struct nvl_proposal *out;
    size_t max, count;
};
static int keep_proposal(void *ctx, const struct nvl_event *e, const uint8_t *canonical,
                         size_t size, const uint8_t hash[SHA256_SIZE])
{
    struct proposals *p = ctx;
    (void) canonical, (void) size, (void) hash;
    bool act = e->type == NVL_ACTION || e->type == NVL_SPEECH || e->type == NVL_THOUGHT;
    if (!act || p->count == p->max)
        return 0;
    struct nvl_proposal *out = &p->out[p->count++];
    *out = (struct nvl_proposal){
        .actor = e->actor, .op = e->op, .args_count = e->args_count, .utility = e->utility
    };
    memset(out->args, NVL_NONE, sizeof(out->args));
    for (unsigned i = 0; i < e->args_count; i++)
        if (!p->pack->ops[e->op].params[i].hidden) /* what the world would answer stays unsaid */
            out->args[i] = e->args[i];
    return 0;
}
int nvl_propose(const struct nvl_sim *s, struct nvl_proposal *out, size_t max, size_t *out_count)
{
    struct proposals p = { .pack = s->w->pack, .out = out, .max = max };
    struct nvl_sim *copy;
    if (s->ended || s->turns_done == s->turns)
        return NVL_E_ENDED;
    if (s->broken)
        return NVL_E_SINK;
    int rc = nvl_clone(s, &copy);
    if (rc != NVL_OK)
        return rc;
    copy->sink = keep_proposal, copy->sink_ctx = &p;
    rc = sim_turn(copy);
    nvl_free(copy);
    if (rc == NVL_OK)
        *out_count = p.count;
    return rc;
}

/* --- forks ---------------------------------------------------------------------------------------
 */

/* Passes already played stay; what comes is that part of a plan for so many turns. */
static void replan(struct nvl_sim *s, uint32_t turns)
{
    struct pass_plan fresh;
    world_plan(turns, &fresh);
    s->plan.count = s->pass;
    for (unsigned i = 0; i < fresh.count; i++)
        if (fresh.turn[i] > s->turns_done && s->plan.count < WORLD_PASSES_MAX) {
            s->plan.phase[s->plan.count] = fresh.phase[i];
            s->plan.turn[s->plan.count++] = fresh.turn[i];
        }
    s->turns = turns;
}
static int fork_apply(struct nvl_sim *s, uint64_t seed, uint32_t turns, const uint8_t *parent_head,
                      struct nvl_event *e)
{
    unsigned first, last;
    if (turns != s->turns)
        replan(s, turns);
    s->seed = seed;
    *e = sim_between(s, NVL_FORKED);
    e->seed = seed, e->turns = turns;
    memcpy(e->parent_head, parent_head, SHA256_SIZE);
    world_climax(&s->plan, &first, &last);
    edit_set_named(s, e, "climax_starts", NVL_SORT_NONE, 0, (int) first);
    edit_set_named(s, e, "climax_ends", NVL_SORT_NONE, 0, (int) last);
    gate_alive(s);
    return record_event(s, e);
}
static int fork_check(const struct nvl_sim *s, uint64_t seed, uint32_t turns, const uint8_t *head,
                      struct nvl_error *err)
{
    if (seed < 1 || seed > NVL_SEED_MAX) {
        nvl_error_set(err, "seed", "must lie in 1..2^53-1");
        return NVL_E_INVALID;
    }
    if (turns > NVL_TURNS_MAX || turns <= s->turns_done) {
        nvl_error_set(err, "turns", "must lie in %u..%d: %u are already told",
                      (unsigned) s->turns_done + 1, (int) NVL_TURNS_MAX, (unsigned) s->turns_done);
        return NVL_E_INVALID;
    }
    if (s->sequence > 1 && memcmp(head, s->head, SHA256_SIZE) != 0) {
        nvl_error_set(err, "parent_head", "is not the head of the log so far");
        return NVL_E_INVALID;
    }
    return NVL_OK;
}
int nvl_fork(struct nvl_sim *s, uint64_t seed, uint32_t turns, const uint8_t *parent_head,
             nvl_sink sink, void *ctx, struct nvl_error *err)
{
    struct nvl_event e;
    uint8_t head[SHA256_SIZE];
    if (s->ended)
        return NVL_E_ENDED;
    if (s->broken)
        return NVL_E_SINK;
    seed = seed != 0 ? seed : s->seed, turns = turns != 0 ? turns : s->turns;
    memcpy(head, parent_head != NULL ? parent_head : s->head, SHA256_SIZE);
    int rc = fork_check(s, seed, turns, head, err);
    if (rc != NVL_OK)
        return rc;
    s->sink = sink, s->sink_ctx = ctx;
    return fork_apply(s, seed, turns, head, &e);
}

/* --- a stored log --------------------------------------------------------------------------------
 */

/* Whether the indices of a stored edit name something; the law comes after. */
static bool change_sound(const struct nvl_sim *s, const struct nvl_event *e)
{
    const struct nvl_world *w = s->w;
    const struct nvl_change *c = &e->change;
    bool somebody = c->who < w->counts[NVL_SORT_CHAR];
    if (e->op != NVL_NO_OP && e->op >= w->pack->counts[SEC_OPER])
        return false;
    const struct pack_op *op = e->op != NVL_NO_OP ? &w->pack->ops[e->op] : NULL;
    bool chosen = op != NULL && op->kind != NVL_OP_INCIDENT && op->kind != NVL_OP_REACTION;
    bool args = op != NULL && e->args_count == op->params_count;
    for (unsigned i = 0; args && i < e->args_count; i++) {
        bool none = e->args[i] == NVL_NONE, open = !op->params[i].hidden;
        bool may_lack = c->kind == NVL_EDIT_VETO && i > 0;
        args = open ? (none && may_lack) || e->args[i] < w->counts[op->params[i].sort] : none;
    }
    switch (c->kind) {
    case NVL_EDIT_ACT:
        return somebody && chosen && args && e->args[0] == c->who;
    case NVL_EDIT_VETO:
        return somebody && op != NULL && op->kind != NVL_OP_INCIDENT && args &&
               e->args[0] == c->who;
    case NVL_EDIT_INCIDENT:
        return op != NULL && op->kind == NVL_OP_INCIDENT && args;
    case NVL_EDIT_FORBID:
        return op != NULL && e->args_count == 0 &&
               (c->who == NVL_NONE || (somebody && op->kind != NVL_OP_INCIDENT));
    case NVL_EDIT_WHISPER:
        return somebody && op == NULL && c->thing < w->counts[NVL_SORT_FACT] && c->value >= 1 &&
               c->value <= NVL_DISBELIEVES;
    case NVL_EDIT_TRAIT:
        return somebody && op == NULL && c->thing < NVL_TRAITS && c->value <= 100;
    case NVL_EDIT_ITEM:
        return op == NULL && c->thing < w->counts[NVL_SORT_ITEM] &&
               (c->to_sort == NVL_SORT_CHAR || c->to_sort == NVL_SORT_PLACE) &&
               c->to < w->counts[c->to_sort];
    default:
        return false;
    }
}
static int redo(struct nvl_sim *s, const struct nvl_event *event, struct nvl_event *out)
{
    uint8_t code;
    uint16_t cell;
    if (event->type == NVL_FORKED) {
        if (fork_check(s, event->seed, event->turns, event->parent_head, NULL) != NVL_OK)
            return NVL_E_CORRUPT;
        return fork_apply(s, event->seed, event->turns, event->parent_head, out);
    }
    if (event->type != NVL_INTERVENTION || s->turns_done == s->turns || !change_sound(s, event))
        return NVL_E_CORRUPT;
    *out = sim_between(s, NVL_INTERVENTION);
    out->change = event->change, out->op = event->op, out->args_count = event->args_count;
    memcpy(out->args, event->args, sizeof(out->args));
    for (unsigned i = out->args_count; i < NVL_ARGS_MAX; i++)
        out->args[i] = NVL_NONE;
    int rc = edit_judge(s, out, &code, &cell);
    if (rc != NVL_OK || code != 0)
        return rc != NVL_OK ? rc : NVL_E_CORRUPT;
    return edit_apply(s, out);
}
int nvl_reapply(struct nvl_sim *s, const struct nvl_event *event, nvl_sink sink, void *ctx)
{
    uint8_t stored[NVL_CANONICAL_MAX], derived[NVL_CANONICAL_MAX];
    struct nvl_event e;
    if (s->ended)
        return NVL_E_ENDED;
    if (s->broken)
        return NVL_E_SINK;
    s->sink = sink, s->sink_ctx = ctx;
    int rc = redo(s, event, &e);
    if (rc != NVL_OK)
        return rc;
    size_t size = nvl_event_encode(event, stored);
    if (nvl_event_encode(&e, derived) == size && memcmp(stored, derived, size) == 0)
        return NVL_OK;
    s->broken = true;
    return NVL_E_CORRUPT;
}

struct following { /* a log that is played again */
    const struct nvl_span *stored;
    size_t count, at;
    nvl_sink sink;
    void *ctx;
    bool differs;
};
static int follow(void *ctx, const struct nvl_event *e, const uint8_t *canonical, size_t size,
                  const uint8_t hash[SHA256_SIZE])
{
    struct following *f = ctx;
    if (f->at == f->count || f->stored[f->at].size != size ||
        memcmp(f->stored[f->at].data, canonical, size) != 0) {
        f->differs = true;
        return 1;
    }
    f->at++;
    return f->sink != NULL ? f->sink(f->ctx, e, canonical, size, hash) : 0;
}
/* One step: an edit, a fork, a turn, or the end.  *out_more: there may be others. */
static int replay_step(struct nvl_sim *s, struct following *f, uint32_t to_turn, bool *out_more)
{
    struct nvl_event e;
    if (nvl_event_decode(f->stored[f->at].data, f->stored[f->at].size, &e) != NVL_OK)
        return NVL_E_CORRUPT;
    bool edit = e.type == NVL_INTERVENTION || e.type == NVL_FORKED;
    bool end = e.type == NVL_COMPLETED || e.type == NVL_CANCELLED;
    bool due = e.turn <= s->turns_done; /* turns in which nothing happened leave no event */
    *out_more = !(e.turn > to_turn || (end && to_turn != UINT32_MAX && due));
    if (!*out_more)
        return NVL_OK;
    if (!(edit || end) || !due)
        return s->turns_done < s->turns && !due ? sim_turn(s) : NVL_E_CORRUPT;
    if (edit)
        return nvl_reapply(s, &e, follow, f);
    if (e.type == NVL_CANCELLED) {
        int rc = nvl_cancel(s, follow, f);
        return rc == NVL_E_ENDED ? NVL_E_CORRUPT : rc;
    }
    return s->turns_done == s->turns ? sim_complete(s) : NVL_E_CORRUPT;
}
int nvl_replay(const struct nvl_pack *pack, const struct nvl_request *request,
               const struct nvl_span *canonical, size_t count, uint32_t to_turn, nvl_sink sink,
               void *ctx, struct nvl_error *err, struct nvl_sim **out)
{
    struct following f = { .stored = canonical, .count = count, .sink = sink, .ctx = ctx };
    struct nvl_sim *s = NULL;
    bool more = true;
    int rc = nvl_open(pack, request, follow, &f, err, &s);
    while (rc == NVL_OK && more && f.at < count) {
        s->sink = follow, s->sink_ctx = &f;
        rc = s->ended ? NVL_E_CORRUPT : replay_step(s, &f, to_turn, &more);
    }
    while (rc == NVL_OK && !more && s->turns_done < to_turn && s->turns_done < s->turns)
        rc = sim_turn(s); /* turns in which nothing happens: the next event is of a later one */
    if (rc == NVL_OK) {
        s->sink = NULL, s->sink_ctx = NULL;
        *out = s;
        return NVL_OK;
    }
    nvl_free(s);
    if (f.differs || rc == NVL_E_CORRUPT) {
        nvl_error_set(err, "", "the log differs from what is derived at event %zu", f.at + 1);
        if (err != NULL)
            err->line = (uint32_t) (f.at + 1);
        return NVL_E_CORRUPT;
    }
    return rc;
}
