/* slice.c — what a worker does for a simulation: a turn or a few, and at the end the story. */
#include <stdio.h>
#include <string.h>

#include "google/rpc/error_details.pb-c.h"
#include "rpc/base/alloc.h"
#include "rpc/base/check.h"
#include "rpc/base/clock.h"
#include "server/jobs/inner.h"
#include "server/engine/carry.h"
#include "server/jobs/carry.h"
#include "server/jobs/past.h"
#include "server/jobs/tell.h"

static int keep_canonical(struct sim *sim, const uint8_t *canonical, size_t size)
{
    uint32_t n = (uint32_t) size;
    buf_put(&sim->log, &n, sizeof n);
    buf_put(&sim->log, canonical, size);
    return sim->log.failed ? -1 : 0;
}

static bool slice_grow(struct slice *s)
{
    if (s->n_events < s->capacity)
        return true;
    size_t capacity = s->capacity > 0 ? s->capacity * 2 : 32;
    struct packed_event *packed = alloc_resize(s->packed, capacity * sizeof *packed);
    if (packed == NULL)
        return false;
    s->packed = packed;
    struct store_event *events = alloc_resize(s->events, capacity * sizeof *events);
    if (events == NULL)
        return false;
    s->events = events;
    s->capacity = capacity;
    return true;
}

/* A new event: packed for both views, kept for the store. */
static int slice_keep(struct slice *s, const struct nvl_event *event, const uint8_t *canonical,
                      size_t size, const uint8_t *hash)
{
    if (!slice_grow(s))
        return -1;
    const struct sim *sim = s->sim;
    struct wire_event e = {
        .world = nvl_sim_world(sim->engine),
        .event = event,
        .canonical = canonical,
        .canonical_size = size,
        .hash = hash,
        .simulation_id = sim->id,
        .progress_percent = nvl_progress(sim->engine),
        .now_us = s->now_us,
    };
    struct arena scratch;
    arena_init(&scratch, 8192);
    struct packed_event *packed = &s->packed[s->n_events];
    for (int v = 0; v < JOBS_VIEWS; v++)
        packed->views[v] = wire_event_pack(&e, (enum jobs_view) v, &scratch);
    arena_done(&scratch);
    struct store_event *stored = &s->events[s->n_events++]; /* counted now, so that it is freed */
    stored->sequence = event->sequence;
    stored->canonical = (struct store_bytes){ arena_copy(&s->arena, canonical, size), size };
    if (packed->views[JOBS_BASIC] == NULL || packed->views[JOBS_FULL] == NULL ||
        stored->canonical.data == NULL)
        return -1;
    return wire_join((const nrpc_blob *const *) packed->views, &s->arena, &stored->wire);
}

static void slice_fail(struct slice *s, const char *reason, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void slice_fail(struct slice *s, const char *reason, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(s->failed_text, sizeof s->failed_text, format, args);
    va_end(args);
    s->failed_reason = reason;
}

/* The engine's STARTED comes while nvl_open still runs: it is kept and packed once the world can be
 * asked. */
struct first_event {
    struct nvl_event event;
    uint8_t canonical[NVL_CANONICAL_MAX], hash[SHA256_SIZE];
    size_t size;
};

static int sink_first(void *ctx, const struct nvl_event *event, const uint8_t *canonical,
                      size_t size, const uint8_t hash[SHA256_SIZE])
{
    struct first_event *f = ctx;
    CHECK(size <= sizeof f->canonical && f->size == 0);
    f->event = *event;
    f->size = size;
    memcpy(f->canonical, canonical, size);
    memcpy(f->hash, hash, sizeof f->hash);
    return 0;
}

/* Every event after STARTED, and STARTED itself.  What is durable already is only compared. */
static int sink(void *ctx, const struct nvl_event *event, const uint8_t *canonical, size_t size,
                const uint8_t hash[SHA256_SIZE])
{
    struct slice *s = ctx;
    struct sim *sim = s->sim;
    sim->derived_sequence = event->sequence;
    if (keep_canonical(sim, canonical, size) < 0) {
        s->sunk_nomem = true;
        return 1;
    }
    if (event->sequence > s->append.after_sequence) {
        if (slice_keep(s, event, canonical, size, hash) == 0)
            return 0;
        s->sunk_nomem = true;
        return 1;
    }
    if (event->sequence == s->append.after_sequence &&
        memcmp(hash, s->base_head, SHA256_SIZE) != 0) {
        slice_fail(s, "REPLAY_MISMATCH",
                   "re-running the log gave another head at event %u; the stored log is kept",
                   (unsigned) event->sequence);
        return 1;
    }
    return 0;
}

static void slice_engine_error(struct slice *s, int rc, const struct nvl_error *err)
{
    if (s->failed_reason != NULL)
        return;
    if (rc == NVL_E_NOMEM || s->sunk_nomem)
        s->no_memory = true;
    else
        slice_fail(s, "ENGINE_FAILED", "the engine refused to go on (%d)%s%s", rc,
                   err != NULL ? ": " : "", err != NULL ? err->message : "");
}

/* The pack that the header names: the server's, or after a change of content the one kept in the
 * store. */
static const struct nvl_pack *slice_pack(struct slice *s)
{
    struct sim *sim = s->sim;
    const uint8_t *digest = nvl_header_pack_digest(sim->decoded);
    if (sim->own_pack != NULL)
        return sim->own_pack;
    enum store_result result; /* a worker may wait for it; this is once a simulation */
    const struct nvl_pack *pack =
        past_pack(sim->jobs->o.store, sim->jobs->o.pack, digest, &sim->own_pack, &result);
    if (pack == NULL && (result == STORE_E_NOMEM || result == STORE_E_BUSY))
        s->no_memory = true;
    else if (pack == NULL)
        slice_fail(s, "PACK_UNREADABLE",
                   "the content pack that it was begun with cannot be read (%s); its log is kept",
                   result == STORE_OK ? "it is damaged" : store_result_name(result));
    return pack;
}

/* What the chapter before handed on, when the header names it. */
static bool slice_carry(struct slice *s)
{
    struct sim *sim = s->sim;
    enum store_result r = carry_fetch(sim->jobs->o.store, sim->decoded);
    if (r == STORE_E_NOT_FOUND)
        slice_fail(s, "CARRY_UNREADABLE",
                   "what the chapter before handed on is gone or damaged; its log is kept");
    else if (r != STORE_OK)
        s->no_memory = true; /* later, when the store can be read */
    return r == STORE_OK;
}

/* The end came before the last durable event was derived again: this is another log. */
static bool slice_reached(struct slice *s)
{
    const struct sim *sim = s->sim;
    if (sim->derived_sequence >= s->append.after_sequence)
        return true;
    slice_fail(s, "REPLAY_MISMATCH",
               "re-running the log ended at event %u of %u; the stored log is kept",
               (unsigned) sim->derived_sequence, (unsigned) s->append.after_sequence);
    return false;
}

/* A fork's log may go on behind a last turn, where a turn alone would end it: it is played again whole, as
 * it is stored. */
static bool slice_replay(struct slice *s, const struct nvl_pack *pack)
{
    struct sim *sim = s->sim;
    struct nvl_error err = { 0 };
    struct past past;
    struct arena a;
    arena_init(&a, 65536);
    enum store_result r =
        past_read(sim->jobs->o.store, sim->id, s->append.after_sequence, UINT32_MAX, false, &a, &past);
    int rc = r == STORE_OK ? nvl_replay(pack, nvl_header_request(sim->decoded), past.canonical, past.count,
                                        UINT32_MAX, sink, s, &err, &sim->engine)
                           : NVL_E_NOMEM; /* later, when the store can be read */
    if (rc == NVL_E_CORRUPT && s->failed_reason == NULL)
        slice_fail(s, "REPLAY_MISMATCH", "re-running the log gave another event %u; the stored log is kept",
                   (unsigned) err.line);
    else if (rc != NVL_OK)
        slice_engine_error(s, rc, &err);
    arena_done(&a);
    return s->failed_reason == NULL && !s->no_memory && slice_reached(s);
}

static bool slice_open(struct slice *s)
{
    struct sim *sim = s->sim;
    struct nvl_error err = { 0 };
    if (sim->abi != NVL_ENGINE_ABI) {
        slice_fail(s, "ENGINE_CHANGED",
                   "it was written by engine %u; this server has engine %u; its log is kept",
                   (unsigned) sim->abi, (unsigned) NVL_ENGINE_ABI);
        return false;
    }
    if (sim->attempts > RESTARTS_MAX) {
        slice_fail(s, "RESTART_LIMIT", "the server stopped %u times in a row while it ran",
                   (unsigned) sim->attempts);
        return false;
    }
    int rc = nvl_header_decode(sim->header.data, sim->header.size, &sim->decoded);
    if (rc != NVL_OK) {
        slice_engine_error(s, rc, NULL);
        return false;
    }
    const struct nvl_pack *pack = slice_pack(s);
    if (pack == NULL || !slice_carry(s))
        return false;
    if (sim->forked)
        return slice_replay(s, pack);
    struct first_event *first = alloc_zero(1, sizeof *first);
    if (first == NULL) {
        s->no_memory = true;
        return false;
    }
    rc = nvl_open(pack, nvl_header_request(sim->decoded), sink_first, first, &err, &sim->engine);
    if (rc != NVL_OK)
        slice_engine_error(s, rc, &err);
    else if (sink(s, &first->event, first->canonical, first->size, first->hash) != 0)
        slice_engine_error(s, NVL_E_SINK, NULL);
    alloc_free(first);
    return s->failed_reason == NULL && !s->no_memory;
}

/* What came from outside is in the log alone: if the next durable event is such a one, it is taken
 * from there.  1 when it was, 0 when the engine knows how to go on, -1 when it cannot. */
static int slice_follow(struct slice *s)
{
    struct sim *sim = s->sim;
    struct store_read_events q = { .read.kind = STORE_READ_EVENTS,
                                   .after_sequence = sim->derived_sequence,
                                   .limit = 1,
                                   .canonical = true };
    struct nvl_event event;
    memcpy(q.id, sim->id, sizeof q.id);
    arena_init(&q.read.arena, 4096);
    store_read_wait(sim->jobs->o.store, &q.read); /* a worker may wait; this is once a turn */
    int r = 0;
    if (q.read.result != STORE_OK) {
        s->no_memory = true; /* later, when the store can be read */
        r = -1;
    } else if (q.n_events == 0) {
        r = 0; /* the row promises more than there is: its head will not be reached */
    } else if (nvl_event_decode(q.events[0].canonical.data, q.events[0].canonical.size, &event) !=
               NVL_OK) {
        slice_fail(s, "REPLAY_MISMATCH", "event %llu of the stored log is damaged; it is kept",
                   (unsigned long long) q.events[0].sequence);
        r = -1;
    } else if ((event.type == NVL_INTERVENTION || event.type == NVL_FORKED) &&
               event.turn <= nvl_turns_done(sim->engine)) { /* a turn in which nothing happens comes before it */
        int rc = nvl_reapply(sim->engine, &event, sink, s);
        if (rc == NVL_E_CORRUPT)
            slice_fail(s, "REPLAY_MISMATCH",
                       "event %u does not fit what comes before it; the stored log is kept",
                       (unsigned) event.sequence);
        else if (rc != NVL_OK)
            slice_engine_error(s, rc, NULL);
        r = rc == NVL_OK ? 1 : -1;
    }
    arena_done(&q.read.arena);
    return r;
}

/* What a director asked for, between two turns. */
static bool slice_direct(struct slice *s)
{
    struct nvl_sim *engine = s->sim->engine;
    struct direction *d = &s->direct;
    int rc = NVL_OK;
    if (d->edits) {
        rc = nvl_intervene(engine, &d->edit, sink, s, &d->verdict, &d->error);
        if (rc == NVL_E_INVALID) {
            d->invalid = true;
            rc = NVL_OK;
        }
    }
    if (rc == NVL_OK && d->turn)
        rc = nvl_turn(engine, sink, s);
    if (rc == NVL_OK && d->propose && !nvl_ended(engine))
        rc = nvl_propose(engine, d->proposals, PROPOSALS_MAX, &d->n_proposals);
    if (rc != NVL_OK) {
        slice_engine_error(s, rc, NULL);
        return false;
    }
    d->reached = true;
    struct arena scratch;
    arena_init(&scratch, 16384);
    if (d->stage && (d->stage_blob = stage_pack(s->sim, &scratch)) == NULL)
        s->no_memory = true;
    arena_reset(&scratch);
    if (d->propose && !nvl_ended(engine) &&
        (d->proposals_blob = stage_pack_proposals(s->sim, d->proposals, d->n_proposals,
                                                  d->first_proposal, &scratch)) == NULL)
        s->no_memory = true;
    arena_done(&scratch);
    return !s->no_memory;
}

/* Turns until the slice is over. */
static bool slice_turns(struct slice *s)
{
    struct sim *sim = s->sim;
    uint64_t start = clock_mono_ns();
    for (unsigned turns = 0; !nvl_ended(sim->engine); turns++) {
        bool fresh = sim->derived_sequence >= s->append.after_sequence;
        /* A cancel counts once the durable past is re-derived: CANCELLED follows what was shown. */
        if (fresh && atomic_load_explicit(&sim->cancel, memory_order_relaxed)) {
            int rc = nvl_cancel(sim->engine, sink, s);
            if (rc != NVL_OK)
                slice_engine_error(s, rc, NULL);
            return rc == NVL_OK;
        }
        if (fresh && s->direct.on)
            return slice_direct(s);
        if (turns >= SLICE_TURNS || (turns > 0 && clock_mono_ns() - start > SLICE_NS) ||
            (s->watched && fresh && s->n_events > 0))
            return true;
        int followed = fresh ? 0 : slice_follow(s);
        if (followed < 0)
            return false;
        if (followed > 0)
            continue;
        int rc = nvl_turn(sim->engine, sink, s);
        if (rc != NVL_OK) {
            slice_engine_error(s, rc, NULL);
            return false;
        }
    }
    return slice_reached(s);
}

int slice_pack_error(nrpc_code code, const char *reason, const char *text, struct arena *a,
                     struct store_bytes *out)
{
    nrpc_status st = NRPC_STATUS_INIT;
    nrpc_status_set(&st, code, "%s", text);
    Google__Rpc__ErrorInfo info = GOOGLE__RPC__ERROR_INFO__INIT;
    info.reason = (char *) reason;
    info.domain = NOVEL_DOMAIN;
    int r = nrpc_status_add_detail(&st, &info.base);
    uint8_t *copy =
        r == 0 && st.details_size > 0 ? arena_copy(a, st.details, st.details_size) : NULL;
    if (copy != NULL)
        *out = (struct store_bytes){ copy, st.details_size };
    nrpc_status_clear(&st);
    return copy != NULL ? 0 : -1;
}

static bool slice_end_with_error(struct slice *s, int state, nrpc_code code, const char *reason,
                                 const char *text)
{
    s->append.state = state;
    return slice_pack_error(code, reason, text, &s->arena, &s->append.error) == 0;
}

/* What a chapter hands on to the next one. */
static bool slice_hand_on(struct slice *s)
{
    struct buf carry = { 0 };
    if (!s->sim->chapter)
        return true;
    int rc = nvl_carry_encode(s->sim->engine, &carry);
    if (rc == NVL_E_INVALID) { /* the last chapter that can be counted: nothing goes on from it */
        buf_done(&carry);
        return true;
    }
    uint8_t *copy = rc == NVL_OK && !carry.failed ? arena_copy(&s->arena, carry.data, carry.size) : NULL;
    s->append.carry = (struct store_bytes){ copy, carry.size };
    if (copy != NULL)
        sha256_of(copy, carry.size, s->append.carry_digest);
    buf_done(&carry);
    return copy != NULL;
}

static bool slice_finish(struct slice *s)
{
    struct sim *sim = s->sim;
    struct store_append *w = &s->append;
    bool ok;
    s->ended = true;
    if (s->failed_reason != NULL) {
        ok = slice_end_with_error(s, STORE_FAILED, NRPC_INTERNAL, s->failed_reason, s->failed_text);
    } else if (nvl_progress(sim->engine) < 100) {
        ok = slice_end_with_error(s, STORE_CANCELLED, NRPC_CANCELLED, "SIMULATION_CANCELLED",
                                  "the simulation was cancelled");
    } else {
        struct tell_in in = {
            .world = nvl_sim_world(sim->engine),
            .log = &sim->log,
            .head = w->head,
            .request = sim->request,
            .simulation_id = sim->id,
            .duration_us = sim->submit_mono_ns != 0 ? (clock_mono_ns() - sim->submit_mono_ns) / 1000
                                                    : s->now_us - sim->create_us,
        };
        char why[224] = "";
        int r = tell_story(&in, &s->arena, w, why, sizeof why);
        if (r > 0) { /* the log is whole, but can't be told: that is a failure of ours, and said */
            slice_fail(s, "NARRATOR_FAILED", "the story could not be told: %s", why);
            ok = slice_end_with_error(s, STORE_FAILED, NRPC_INTERNAL, s->failed_reason,
                                      s->failed_text);
        } else {
            w->state = STORE_COMPLETED;
            ok = r == 0 && slice_hand_on(s);
        }
    }
    if (!ok)
        return false;
    struct wire_end end = {
        .simulation_id = sim->id,
        .last_sequence = w->after_sequence + s->n_events,
        .turns = sim->turns,
        .turns_done = w->turns_done,
        .state = w->state,
        .result = w->result,
        .story = w->story,
        .passages = w->passages,
        .error = w->error,
    };
    s->finals = wire_finals_new(&end);
    return s->finals != NULL;
}

void slice_work(nrpc_job *job)
{
    struct slice *s = CONTAINER_OF(job, struct slice, job);
    struct sim *sim = s->sim;
    s->now_us = jobs_wall_us();
    bool ok = (sim->engine != NULL || slice_open(s)) && slice_turns(s);
    if (s->no_memory)
        return;
    if (s->failed_reason != NULL) {
        /* The log stays as it is on the disk; only the state and its reason are added. */
        for (size_t i = 0; i < s->n_events; i++)
            for (int v = 0; v < JOBS_VIEWS; v++)
                nrpc_blob_unref(s->packed[i].views[v]);
        s->n_events = 0;
        memcpy(s->append.head, s->base_head, sizeof s->append.head);
        s->append.turns_done = s->base_turns;
    } else if (sim->derived_sequence < s->append.after_sequence) {
        /* Still re-deriving: what the disk has is ahead, and stays if this slice must end it. */
        memcpy(s->append.head, s->base_head, sizeof s->append.head);
        s->append.turns_done = s->base_turns;
    } else {
        CHECK(ok);
        memcpy(s->append.head, nvl_head(sim->engine), sizeof s->append.head);
        s->append.turns_done = (int32_t) nvl_turns_done(sim->engine);
        s->append.state = STORE_RUNNING;
    }
    s->append.now_us = s->now_us;
    s->append.events = s->events;
    s->append.n_events = s->n_events;
    if (s->failed_reason != NULL || nvl_ended(sim->engine))
        s->no_memory = !slice_finish(s);
}

void slice_free(struct slice *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < s->n_events; i++)
        for (int v = 0; v < JOBS_VIEWS; v++)
            nrpc_blob_unref(s->packed[i].views[v]);
    alloc_free(s->packed);
    alloc_free(s->events);
    nrpc_blob_unref(s->direct.stage_blob);
    nrpc_blob_unref(s->direct.proposals_blob);
    finals_free(s->finals);
    arena_done(&s->arena);
    alloc_free(s);
}
