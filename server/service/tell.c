/* tell.c — a stored log told again: read, told and packed on a worker; the loop only answers. */
#include <string.h>

#include "rpc/base/alloc.h"
#include "rpc/base/buf.h"
#include "rpc/base/check.h"
#include "rpc/base/sha256.h"
#include "server/jobs/carry.h"
#include "server/jobs/past.h"
#include "server/jobs/tell.h"
#include "server/service/inner.h"

struct again {
    nrpc_job job;
    nrpc_call_id call;
    struct service *service;
    char id[STORE_ID_SIZE];
    struct arena arena;     /* what was asked, what was read, the answer */
    NE(Telling) *telling;   /* NULL: all defaults */
    struct buf log;         /* as tell_again reads it */
    uint64_t last_sequence; /* of the row; what is appended later is not told */
    uint8_t head[STORE_DIGEST_SIZE];  /* of the row */
    uint8_t chain[STORE_DIGEST_SIZE]; /* where what was read leads to */
    int state;
    enum store_result stored;
    int rc;
    struct nvl_error err;
    struct store_bytes answer;
};

static void again_free(struct again *g)
{
    buf_done(&g->log);
    arena_done(&g->arena);
    alloc_free(g);
}

/* ---- on a worker ---- */

/* What was read lives in the read's arena: what has to stay is copied. */
static bool keep(struct again *g, struct store_bytes from, struct store_bytes *out)
{
    const uint8_t *copy = arena_copy(&g->arena, from.data, from.size);
    *out = (struct store_bytes) { copy, from.size };
    return copy != NULL || from.size == 0;
}

static enum store_result read_row(struct again *g, struct store_bytes *header, uint8_t pack_digest[STORE_DIGEST_SIZE])
{
    struct store_read_row q = { .read.kind = STORE_READ_ROW, .with = STORE_WITH_HEADER };
    memcpy(q.id, g->id, sizeof q.id);
    arena_init(&q.read.arena, 4096);
    store_read_wait(g->service->o.store, &q.read);
    enum store_result r = q.read.result;
    if (r == STORE_OK && !keep(g, q.row.header, header))
        r = STORE_E_NOMEM;
    if (r == STORE_OK) {
        g->state = q.row.state;
        g->last_sequence = q.row.last_sequence;
        memcpy(g->head, q.row.head, sizeof g->head);
        sha256_of(header->data, header->size, g->chain);
        memcpy(pack_digest, q.row.pack_digest, STORE_DIGEST_SIZE);
    }
    arena_done(&q.read.arena);
    return r;
}

static enum store_result read_carry(struct again *g, struct store_bytes header, struct store_bytes *out)
{
    enum store_result r = carry_read(g->service->o.store, header, &g->arena, out);
    return r == STORE_E_NOT_FOUND ? STORE_E_IO : r; /* it is not the simulation that is missing */
}

/* The row's events, as tell_again reads them; the chain says what they lead to. */
static enum store_result read_log(struct again *g)
{
    struct past past;
    enum store_result r = past_read(g->service->o.store, g->id, g->last_sequence, UINT32_MAX, false, &g->arena, &past);
    for (size_t i = 0; r == STORE_OK && i < past.count; i++) {
        uint32_t size = (uint32_t) past.canonical[i].size;
        buf_put(&g->log, &size, sizeof size);
        buf_put(&g->log, past.canonical[i].data, size);
        uint8_t next[STORE_DIGEST_SIZE];
        nvl_event_hash(g->chain, past.canonical[i].data, size, next);
        memcpy(g->chain, next, sizeof g->chain);
    }
    if (r == STORE_OK && past.count < g->last_sequence)
        return STORE_E_NOT_FOUND; /* deleted meanwhile */
    return g->log.failed ? STORE_E_NOMEM : r;
}

/* Told by what was played then.  The narrator takes indices for what the engine wrote: only bytes that
 * still are that are told. */
static void tell_log(struct again *g, struct tell_again_in *in, const uint8_t digest[STORE_DIGEST_SIZE])
{
    struct nvl_pack *own = NULL;
    in->pack = past_pack(g->service->o.store, g->service->o.pack, digest, &own, &g->stored);
    if (g->stored == STORE_E_NOT_FOUND)
        g->stored = STORE_E_IO; /* it is not the simulation that is missing */
    if (g->stored == STORE_OK)
        g->stored = read_carry(g, in->header, &in->carry);
    if (g->stored == STORE_OK)
        g->stored = read_log(g);
    if (g->stored == STORE_OK && (in->pack == NULL || memcmp(g->chain, g->head, sizeof g->chain) != 0))
        g->rc = NVL_E_CORRUPT;
    else if (g->stored == STORE_OK)
        g->rc = tell_again(in, g->telling, &g->arena, &g->err, &g->answer);
    nvl_pack_free(own);
}

static void again_work(nrpc_job *job)
{
    struct again *g = CONTAINER_OF(job, struct again, job);
    struct tell_again_in in = { .log = &g->log };
    uint8_t digest[STORE_DIGEST_SIZE];
    g->stored = read_row(g, &in.header, digest);
    if (g->stored != STORE_OK || (g->state != STORE_COMPLETED && g->state != STORE_CANCELLED) || g->last_sequence == 0)
        return;
    tell_log(g, &in, digest);
}

/* ---- on the call's loop ---- */

static void reply_field(nrpc_call *c, const struct nvl_error *err)
{
    nrpc_status st = NRPC_STATUS_INIT;
    error_set_field(&st, err->field, "%s", err->message);
    nrpc_call_finish(c, &st);
    nrpc_status_clear(&st);
}

static void reply(struct again *g, nrpc_call *c)
{
    if (g->stored == STORE_E_NOT_FOUND)
        service_reply_jobs(c, JOBS_E_NOT_FOUND, STORE_OK, g->id);
    else if (g->stored != STORE_OK)
        service_reply_store(c, g->stored);
    else if (g->state == STORE_FAILED)
        error_reply(c, ERROR_SIMULATION_FAILED, "simulation '%s' failed: it has no story", g->id);
    else if (g->state != STORE_COMPLETED && g->state != STORE_CANCELLED)
        error_reply(c, ERROR_STORY_NOT_READY, "simulation '%s' has not ended yet", g->id);
    else if (g->last_sequence == 0)
        error_reply(c, ERROR_STORY_NOT_READY, "simulation '%s' was cancelled before anything happened", g->id);
    else if (g->rc == NVL_E_INVALID)
        reply_field(c, &g->err);
    else if (g->rc == NVL_E_NOMEM)
        error_reply(c, ERROR_OUT_OF_MEMORY, "the server is out of memory");
    else if (g->rc != NVL_OK)
        error_reply(c, ERROR_STORE_FAILED, "the stored log of '%s' cannot be read by this engine; verify it", g->id);
    else
        nrpc_call_reply_bytes(c, (nrpc_slice) { g->answer.data, g->answer.size });
}

static void again_done(nrpc_task *t, nrpc_loop *loop)
{
    struct again *g = CONTAINER_OF(t, struct again, job.done);
    nrpc_call *c = nrpc_call_get(loop, g->call);
    if (c != NULL)
        reply(g, c);
    again_free(g);
}

static bool check(nrpc_call *c, const NE(TellStoryRequest) * ask)
{
    struct nvl_error err = { 0 };
    if (!service_valid(c, &ask->base))
        return false;
    if (tell_check(ask->telling, &err) != NVL_OK) {
        reply_field(c, &err);
        return false;
    }
    if (ask->telling != NULL && ask->telling->narrator == NOVELENGINE__V1__TELLING__NARRATOR__NARRATOR_MODEL) {
        error_reply(c, ERROR_NARRATOR_NOT_CONFIGURED, "no language model is configured on this server");
        return false;
    }
    return true;
}

/* The request's telling outlives the request: packed and unpacked into the arena. */
static bool keep_telling(struct again *g, const NE(Telling) * telling)
{
    if (telling == NULL)
        return true;
    ProtobufCAllocator allocator = contract_allocator(&g->arena);
    size_t size = novelengine__v1__telling__get_packed_size(telling);
    uint8_t *bytes = arena_get(&g->arena, size + 1);
    if (bytes != NULL)
        g->telling = novelengine__v1__telling__unpack(&allocator, novelengine__v1__telling__pack(telling, bytes), bytes);
    return g->telling != NULL;
}

static struct again *again_new(struct service *s, nrpc_call *c, const NE(TellStoryRequest) * ask)
{
    char id[STORE_ID_SIZE];
    if (!check(c, ask) || !service_copy_id(c, ask->simulation_id, id))
        return NULL;
    struct again *g = alloc_zero(1, sizeof *g);
    if (g == NULL) {
        error_reply(c, ERROR_OUT_OF_MEMORY, "the server is out of memory");
        return NULL;
    }
    arena_init(&g->arena, 65536);
    memcpy(g->id, id, sizeof id);
    g->call = nrpc_call_ref(c);
    g->service = s;
    g->job = (nrpc_job) { .done.run = again_done, .work = again_work, .home = nrpc_call_loop(c), .key = nrpc_call_number(c) };
    if (keep_telling(g, ask->telling))
        return g;
    again_free(g);
    error_reply(c, ERROR_OUT_OF_MEMORY, "the server is out of memory");
    return NULL;
}

void handle_tell_story(nrpc_call *c, void *ctx, nrpc_msg *m)
{
    struct service *s = ctx;
    struct again *g = again_new(s, c, novelengine_v1_novel_engine_tell_story_request(m));
    nrpc_msg_free(m);
    if (g == NULL || nrpc_pool_submit(s->o.pool, &g->job) == 0)
        return;
    again_free(g);
    error_reply(c, ERROR_QUEUE_FULL, "too much work is waiting");
}
