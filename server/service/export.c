/* export.c — a simulation's log as one self-contained .nvlog, streamed piece by piece.
 *
 *   row → [pack] → beginning (on a worker: it opens pack and world) → events, page by page → tail
 * One step is under way at a time; a page is read only when the one before has left.  Memory: one page. */
#include <string.h>

#include "rpc/base/alloc.h"
#include "rpc/base/buf.h"
#include "rpc/base/check.h"
#include "server/jobs/carry.h"
#include "server/service/inner.h"

#define CONTENT_TYPE "application/vnd.novelengine.nvlog"
enum { CHUNK_BYTES = 65536, PAGE_EVENTS = 512, PAGE_BYTES = 1 << 20 };

struct export {
    nrpc_call_id call;
    nrpc_loop *loop;
    struct service *service;
    char id[STORE_ID_SIZE];
    bool busy, gone;         /* a step is under way; the call has ended */
    nrpc_task task;
    nrpc_job job;
    union {
        struct store_read read;
        struct store_read_row row;
        struct store_read_pack pack;
        struct store_read_events events;
    } q;
    struct buf header, image; /* image: empty when the pack is the built-in one */
    uint8_t pack_digest[STORE_DIGEST_SIZE], head[STORE_DIGEST_SIZE], story_digest[STORE_DIGEST_SIZE];
    bool has_story, tail_put;
    uint64_t cursor, last_sequence;
    int rc;                  /* of the job */
    struct buf out;
    size_t offset;           /* of out: what is sent */
};

static void export_free(struct export *x)
{
    buf_done(&x->header);
    buf_done(&x->image);
    buf_done(&x->out);
    alloc_free(x);
}

static void export_go_on(struct export *x, nrpc_call *c);

/* A step has ended: back on the loop. */
static nrpc_call *step_ended(struct export *x, nrpc_loop *loop)
{
    x->busy = false;
    if (!x->gone)
        return nrpc_call_get(loop, x->call);
    export_free(x);
    return NULL;
}

static void read_posted(struct store_read *r)
{
    struct export *x = CONTAINER_OF(r, struct export, q.read);
    nrpc_loop_post(x->loop, &x->task);
}

static void read_start(struct export *x, enum store_read_kind kind, void (*run)(nrpc_task *t, nrpc_loop *loop))
{
    x->q.read.kind = kind;
    x->q.read.done = read_posted;
    arena_init(&x->q.read.arena, 4096);
    x->task.run = run;
    x->busy = true;
    store_read_post(x->service->o.store, &x->q.read);
}

static void reply_read(nrpc_call *c, enum store_result r, const char *id)
{
    if (r == STORE_E_NOT_FOUND)
        service_reply_jobs(c, JOBS_E_NOT_FOUND, STORE_OK, id);
    else
        service_reply_store(c, r);
}

/* ---- sending ---- */

/* True when all of out is sent; false when the call has to wait, or has ended. */
static bool send_out(struct export *x, nrpc_call *c)
{
    while (x->offset < x->out.size) {
        size_t n = x->out.size - x->offset < CHUNK_BYTES ? x->out.size - x->offset : CHUNK_BYTES;
        Google__Api__HttpBody body = GOOGLE__API__HTTP_BODY__INIT;
        body.content_type = CONTENT_TYPE;
        body.data = (ProtobufCBinaryData) { n, x->out.data + x->offset };
        int r = nrpc_call_send(c, &body.base);
        if (r < 0) {
            error_reply(c, ERROR_OUT_OF_MEMORY, "the log could not be sent: %s", nrpc_strerror(r));
            return false;
        }
        x->offset += n;
        if (r == NRPC_PAUSE)
            return false;
    }
    buf_reset(&x->out);
    x->offset = 0;
    return true;
}

static void page_read(nrpc_task *t, nrpc_loop *loop)
{
    struct export *x = CONTAINER_OF(t, struct export, task);
    enum store_result r = x->q.read.result;
    for (size_t i = 0; r == STORE_OK && i < x->q.events.n_events; i++) {
        const struct store_event *e = &x->q.events.events[i];
        if (e->sequence > x->last_sequence)
            break;
        (void) nvl_log_event(&x->out, e->canonical.data, e->canonical.size); /* out.failed tells */
        x->cursor = e->sequence;
    }
    bool empty = r == STORE_OK && x->q.events.n_events == 0;
    arena_done(&x->q.read.arena);
    nrpc_call *c = step_ended(x, loop);
    if (c == NULL)
        return;
    if (r != STORE_OK || empty)
        reply_read(c, empty ? STORE_E_NOT_FOUND : r, x->id); /* it was deleted meanwhile */
    else
        export_go_on(x, c);
}

static void export_go_on(struct export *x, nrpc_call *c)
{
    if (x->out.failed) {
        error_reply(c, ERROR_OUT_OF_MEMORY, "the server is out of memory");
        return;
    }
    if (!send_out(x, c))
        return;
    if (x->cursor < x->last_sequence) {
        x->q.events = (struct store_read_events) { .after_sequence = x->cursor,
                                                   .limit = PAGE_EVENTS,
                                                   .byte_limit = PAGE_BYTES,
                                                   .canonical = true };
        memcpy(x->q.events.id, x->id, sizeof x->id);
        read_start(x, STORE_READ_EVENTS, page_read);
    } else if (!x->tail_put) {
        x->tail_put = true;
        (void) nvl_log_end(&x->out, (uint32_t) x->last_sequence, x->head, x->has_story ? x->story_digest : NULL);
        export_go_on(x, c);
    } else {
        nrpc_call_finish(c, NULL);
    }
}

/* ---- the beginning ---- */

static void begin_work(nrpc_job *job)
{
    struct export *x = CONTAINER_OF(job, struct export, job);
    struct nvl_pack *own = NULL;
    struct nvl_header *header = NULL;
    struct nvl_world *world = NULL;
    x->rc = NVL_OK;
    if (x->image.size > 0)
        x->rc = nvl_pack_open(x->image.data, x->image.size, NULL, &own);
    const struct nvl_pack *pack = own != NULL ? own : x->service->o.pack;
    if (x->rc == NVL_OK)
        x->rc = nvl_header_decode(x->header.data, x->header.size, &header);
    if (x->rc == NVL_OK && carry_fetch(x->service->o.store, header) != STORE_OK)
        x->rc = NVL_E_CORRUPT;
    if (x->rc == NVL_OK)
        x->rc = nvl_world_open(pack, nvl_header_request(header), NULL, &world);
    if (x->rc == NVL_OK)
        x->rc = nvl_log_begin(&x->out, x->header.data, x->header.size, world);
    nvl_world_free(world);
    nvl_header_free(header);
    nvl_pack_free(own);
}

static void begun(nrpc_task *t, nrpc_loop *loop)
{
    struct export *x = CONTAINER_OF(t, struct export, job.done);
    nrpc_call *c = step_ended(x, loop);
    if (c == NULL)
        return;
    if (x->rc == NVL_OK)
        export_go_on(x, c);
    else
        error_reply(c, ERROR_STORE_FAILED, "the stored header of '%s' cannot be read by this engine", x->id);
}

static void begin(struct export *x, nrpc_call *c)
{
    x->job = (nrpc_job) { .done.run = begun, .work = begin_work, .home = x->loop, .key = nrpc_call_number(c) };
    x->busy = true;
    if (nrpc_pool_submit(x->service->o.pool, &x->job) == 0)
        return;
    x->busy = false;
    error_reply(c, ERROR_QUEUE_FULL, "too much work is waiting");
}

static void pack_read(nrpc_task *t, nrpc_loop *loop)
{
    struct export *x = CONTAINER_OF(t, struct export, task);
    enum store_result r = x->q.read.result;
    if (r == STORE_OK)
        buf_put(&x->image, x->q.pack.image.data, x->q.pack.image.size);
    arena_done(&x->q.read.arena);
    nrpc_call *c = step_ended(x, loop);
    if (c == NULL)
        return;
    if (r != STORE_OK)
        reply_read(c, r, x->id);
    else if (x->image.failed)
        error_reply(c, ERROR_OUT_OF_MEMORY, "the server is out of memory");
    else
        begin(x, c);
}

static void row_read(nrpc_task *t, nrpc_loop *loop)
{
    struct export *x = CONTAINER_OF(t, struct export, task);
    enum store_result r = x->q.read.result;
    if (r == STORE_OK) {
        const struct store_row *row = &x->q.row.row;
        buf_put(&x->header, row->header.data, row->header.size);
        memcpy(x->pack_digest, row->pack_digest, sizeof x->pack_digest);
        memcpy(x->head, row->head, sizeof x->head);
        memcpy(x->story_digest, row->story_digest, sizeof x->story_digest);
        x->has_story = row->state == STORE_COMPLETED;
        x->last_sequence = row->last_sequence;
    }
    arena_done(&x->q.read.arena);
    nrpc_call *c = step_ended(x, loop);
    if (c == NULL)
        return;
    if (r != STORE_OK) {
        reply_read(c, r, x->id);
    } else if (x->last_sequence == 0) {
        error_reply(c, ERROR_STORY_NOT_READY, "simulation '%s' has no events yet", x->id);
    } else if (memcmp(x->pack_digest, nvl_pack_digest(x->service->o.pack), sizeof x->pack_digest) == 0) {
        begin(x, c);
    } else {
        x->q.pack = (struct store_read_pack) { 0 };
        memcpy(x->q.pack.digest, x->pack_digest, sizeof x->pack_digest);
        read_start(x, STORE_READ_PACK, pack_read);
    }
}

void export_on_writable(nrpc_call *c, void *state)
{
    struct export *x = state;
    if (x != NULL && !x->busy)
        export_go_on(x, c);
}

void export_on_end(nrpc_call *c, void *state, const nrpc_status *st)
{
    (void) c;
    (void) st;
    struct export *x = state;
    if (x == NULL)
        return;
    if (x->busy)
        x->gone = true; /* the step's end frees it */
    else
        export_free(x);
}

void handle_export_simulation(nrpc_call *c, void *ctx, nrpc_msg *m)
{
    const char *id = novelengine_v1_novel_engine_export_simulation_request(m)->simulation_id;
    char copy[STORE_ID_SIZE];
    struct export *x = NULL;
    if (service_copy_id(c, id, copy)) {
        x = alloc_zero(1, sizeof *x);
        if (x == NULL)
            error_reply(c, ERROR_OUT_OF_MEMORY, "the server is out of memory");
    }
    nrpc_msg_free(m);
    if (x == NULL)
        return;
    memcpy(x->id, copy, sizeof copy);
    memcpy(x->q.row.id, copy, sizeof copy);
    x->call = nrpc_call_ref(c);
    x->loop = nrpc_call_loop(c);
    x->service = ctx;
    x->q.row.with = STORE_WITH_HEADER | STORE_WITH_STORY;
    nrpc_call_set_state(c, x);
    read_start(x, STORE_READ_ROW, row_read);
}
