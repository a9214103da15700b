#include "server/jobs/fork.h"

#include <stdio.h>
#include <string.h>

#include "rpc/base/alloc.h"
#include "rpc/base/check.h"
#include "server/jobs/carry.h"
#include "server/jobs/past.h"
#include "server/jobs/wire.h"

/* What comes out, as bytes: the world that can name things is there only once the prefix was played. */
struct fork {
    const struct fork_in *in;
    struct fork_out *out;
    struct arena *a;
    struct past past;
    struct nvl_header *header;
    struct nvl_pack *own_pack;
    struct nvl_sim *sim;
    uint8_t (*hashes)[SHA256_SIZE];
    size_t capacity;
    bool no_memory;
};

static bool fail(struct fork *f, enum fork_result result)
{
    f->out->result = f->no_memory ? FORK_E_NOMEM : result;
    return false;
}

static int keep(void *ctx, const struct nvl_event *event, const uint8_t *canonical, size_t size,
                const uint8_t hash[SHA256_SIZE])
{
    struct fork *f = ctx;
    size_t at = f->out->n_events;
    uint8_t *copy = at < f->capacity ? arena_copy(f->a, canonical, size) : NULL;
    f->no_memory |= copy == NULL;
    if (copy == NULL)
        return 1;
    f->out->events[at] = (struct store_event) { .sequence = event->sequence, .canonical = { copy, size } };
    memcpy(f->hashes[at], hash, SHA256_SIZE);
    f->out->n_events++;
    return 0;
}

static bool engine_failed(struct fork *f, int rc, enum fork_result invalid)
{
    return fail(f, rc == NVL_E_NOMEM                  ? FORK_E_NOMEM
                   : rc == NVL_E_INVALID              ? invalid
                   : rc == NVL_E_ENDED                ? FORK_E_ENDED
                                                      : FORK_E_DAMAGED);
}

static bool damaged(struct fork *f, int rc, const char *what)
{
    snprintf(f->out->error.message, sizeof f->out->error.message, "%s", what);
    return engine_failed(f, rc, FORK_E_DAMAGED);
}

static bool read_past(struct fork *f)
{
    const struct fork_in *in = f->in;
    f->out->store = past_read(in->store, in->parent->id, in->parent->last_sequence, in->at_turn, false, f->a, &f->past);
    if (f->out->store != STORE_OK)
        return fail(f, f->out->store == STORE_E_NOMEM ? FORK_E_NOMEM : FORK_E_STORE);
    f->capacity = f->past.count + 1 + in->n_edits;
    f->out->events = arena_zero(f->a, f->capacity, sizeof *f->out->events);
    f->hashes = arena_zero(f->a, f->capacity, sizeof *f->hashes);
    if (f->out->events == NULL || f->hashes == NULL)
        return fail(f, FORK_E_NOMEM);
    int rc = nvl_header_decode(in->header.data, in->header.size, &f->header);
    if (rc != NVL_OK)
        return damaged(f, rc, "its header cannot be read");
    enum store_result r = carry_fetch(in->store, f->header); /* a chapter's past is the fork's too */
    if (r == STORE_E_NOT_FOUND || r == STORE_E_IO)
        return damaged(f, NVL_E_CORRUPT, "what the chapter before handed on cannot be read");
    f->out->store = r;
    return r == STORE_OK || fail(f, r == STORE_E_NOMEM ? FORK_E_NOMEM : FORK_E_STORE);
}

static bool play_past(struct fork *f)
{
    const struct fork_in *in = f->in;
    const struct nvl_pack *pack =
        past_pack(in->store, in->pack, nvl_header_pack_digest(f->header), &f->own_pack, &f->out->store);
    if (pack == NULL)
        return fail(f, f->out->store == STORE_OK          ? FORK_E_PACK
                       : f->out->store == STORE_E_NOMEM ? FORK_E_NOMEM
                                                        : FORK_E_STORE);
    const struct nvl_request *request = nvl_header_request(f->header);
    int rc = in->swapped ? nvl_open(pack, request, keep, f, &f->out->error, &f->sim)
                         : nvl_replay(pack, request, f->past.canonical, f->past.count, in->at_turn, keep, f,
                                      &f->out->error, &f->sim);
    return rc == NVL_OK || engine_failed(f, rc, FORK_E_DAMAGED);
}

/* The parent's head after STARTED, which is all that a child with another cast shares: nothing else. */
static bool parent_head(struct fork *f, uint8_t out[SHA256_SIZE])
{
    struct nvl_event second;
    uint8_t hash_0[SHA256_SIZE];
    if (f->past.count > 1 &&
        (nvl_event_decode(f->past.canonical[1].data, f->past.canonical[1].size, &second) != NVL_OK || second.turn == 0))
        return fail(f, FORK_E_BEGUN);
    sha256_of(f->in->parent->header.data, f->in->parent->header.size, hash_0);
    nvl_event_hash(hash_0, f->past.canonical[0].data, f->past.canonical[0].size, out);
    return true;
}

static bool add_changes(struct fork *f)
{
    const struct fork_in *in = f->in;
    uint8_t head[SHA256_SIZE];
    if (in->swapped && !parent_head(f, head))
        return false;
    int rc = nvl_fork(f->sim, in->seed, in->turns, in->swapped ? head : NULL, keep, f, &f->out->error);
    if (rc != NVL_OK)
        return engine_failed(f, rc, FORK_E_INVALID);
    for (size_t i = 0; i < in->n_edits; i++) {
        f->out->edit = i;
        rc = nvl_intervene(f->sim, &in->edits[i], keep, f, &f->out->verdict, &f->out->error);
        if (rc != NVL_OK)
            return engine_failed(f, rc, FORK_E_EDIT);
        if (f->out->verdict.verdict == NVL_LAW_REJECTED)
            return fail(f, FORK_E_REJECTED);
    }
    return true;
}

/* The columns `wire`: as the child's watchers will read them. */
static bool pack_wire(struct fork *f)
{
    struct nvl_event last;
    struct arena scratch;
    arena_init(&scratch, 8192);
    bool ok = true;
    for (size_t i = 0; ok && i < f->out->n_events; i++) {
        struct store_event *e = &f->out->events[i];
        /* What the engine has just encoded, it can decode. */
        CHECK(nvl_event_decode(e->canonical.data, e->canonical.size, &last) == NVL_OK);
        struct wire_event w = {
            .world = nvl_sim_world(f->sim),
            .event = &last,
            .canonical = e->canonical.data,
            .canonical_size = e->canonical.size,
            .hash = f->hashes[i],
            .simulation_id = f->in->id,
            .progress_percent = (uint32_t) wire_progress(STORE_RUNNING, (int32_t) f->out->turns,
                                                         last.turn > 0 ? last.turn - 1 : 0),
            .now_us = f->in->now_us,
        };
        nrpc_blob *views[JOBS_VIEWS];
        for (int v = 0; v < JOBS_VIEWS; v++)
            views[v] = wire_event_pack(&w, (enum jobs_view) v, &scratch);
        ok = views[JOBS_BASIC] != NULL && views[JOBS_FULL] != NULL &&
             wire_join((const nrpc_blob *const *) views, f->a, &e->wire) == 0;
        for (int v = 0; v < JOBS_VIEWS; v++)
            nrpc_blob_unref(views[v]);
    }
    arena_done(&scratch);
    return ok || fail(f, FORK_E_NOMEM);
}

void fork_make(const struct fork_in *in, struct arena *a, struct fork_out *out)
{
    struct fork f = { .in = in, .out = out, .a = a };
    *out = (struct fork_out) { .result = FORK_OK };
    out->turns = in->turns > 0 ? in->turns : (uint32_t) in->parent->turns;
    if (read_past(&f) && play_past(&f) && add_changes(&f) && pack_wire(&f)) {
        memcpy(out->head, nvl_head(f.sim), sizeof out->head);
        out->turns_done = nvl_turns_done(f.sim);
    }
    nvl_free(f.sim);
    nvl_header_free(f.header);
    nvl_pack_free(f.own_pack);
}
