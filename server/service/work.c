#include "server/service/work.h"

#include <stdio.h>
#include <string.h>

#include "rpc/base/alloc.h"
#include "rpc/base/check.h"
#include "rpc/base/sha256.h"
#include "server/jobs/carry.h"
#include "server/jobs/past.h"
#include "server/jobs/wire.h"

/* Larger than any log that the engine writes. */
enum { LOG_BYTES_MAX = 256 << 20 };

/* ---- a stored log ---- */

static enum store_result unreadable(char *why, size_t why_size, const char *what)
{
    snprintf(why, why_size, "%s", what);
    return STORE_E_STALE;
}

static enum store_result nvl_result(int rc, char *why, size_t why_size, const char *what)
{
    return rc == NVL_OK ? STORE_OK : rc == NVL_E_NOMEM ? STORE_E_NOMEM : unreadable(why, why_size, what);
}

/* What was read stays where it was read into: it may be large. */
static bool take_events(struct stored_log *log, struct arena *a, const struct store_event *events, size_t count)
{
    log->canonical = arena_zero(a, count + 1, sizeof *log->canonical);
    log->wire = arena_zero(a, count + 1, sizeof *log->wire);
    if (log->canonical == NULL || log->wire == NULL)
        return false;
    for (size_t i = 0; i < count; i++) {
        log->wire[i] = events[i].wire;
        log->canonical[i] = (struct nvl_span) { events[i].canonical.data, events[i].canonical.size };
    }
    log->count = count;
    return true;
}

static enum store_result read_stored(struct service *s, const char *id, int with, struct arena *a,
                                     struct stored_log *log)
{
    struct store_read_events q = { .read.kind = STORE_READ_EVENTS,
                                   .limit = NVL_EVENTS_MAX + 1,
                                   .byte_limit = LOG_BYTES_MAX,
                                   .with = with | STORE_WITH_HEADER,
                                   .canonical = true };
    snprintf(q.id, sizeof q.id, "%s", id);
    arena_init(&q.read.arena, 65536);
    store_read_wait(s->o.store, &q.read);
    enum store_result r = q.read.result;
    log->read = q.read.arena; /* by value: what is in it does not move */
    log->row = q.row;
    if (r == STORE_OK && !take_events(log, a, q.events, q.n_events))
        r = STORE_E_NOMEM;
    return r;
}

static enum store_result open_pack(struct service *s, struct stored_log *log, char *why, size_t why_size)
{
    enum store_result r;
    log->pack = past_pack(s->o.store, s->o.pack, log->row.pack_digest, &log->own_pack, &r);
    if (log->pack != NULL)
        return STORE_OK;
    if (r == STORE_OK)
        return unreadable(why, why_size, "the content pack that it was told with is not one of this engine");
    if (r == STORE_E_NOT_FOUND)
        return unreadable(why, why_size, "the content pack that it was told with is gone");
    return r;
}

static enum store_result open_world(struct service *s, struct stored_log *log, struct arena *a, char *why,
                                    size_t why_size)
{
    int rc = nvl_header_decode(log->row.header.data, log->row.header.size, &log->header);
    enum store_result r = rc == NVL_OK ? carry_fetch(s->o.store, log->header) : STORE_OK;
    if (r != STORE_OK)
        return r == STORE_E_NOT_FOUND
                   ? unreadable(why, why_size, "what the chapter before handed on is gone or damaged")
                   : r;
    if (rc == NVL_OK)
        rc = nvl_world_open(log->pack, nvl_header_request(log->header), NULL, &log->world);
    if (rc != NVL_OK)
        return nvl_result(rc, why, why_size, "its header was written by another engine, or is damaged");
    log->events = arena_zero(a, log->count + 1, sizeof *log->events);
    if (log->events == NULL)
        return STORE_E_NOMEM;
    for (size_t i = 0; i < log->count; i++) {
        const struct nvl_span *c = &log->canonical[i];
        if (nvl_event_decode(c->data, c->size, &log->events[i]) != NVL_OK || log->events[i].sequence != i + 1) {
            snprintf(why, why_size, "event %zu is damaged; verify the simulation", i + 1);
            return STORE_E_STALE;
        }
    }
    return STORE_OK;
}

enum store_result stored_log_open(struct service *s, struct stored_log *log, struct arena *a, char *why,
                                  size_t why_size)
{
    if (log->row.abi != NVL_ENGINE_ABI) {
        snprintf(why, why_size, "it was written by engine %u, this is engine %u", (unsigned) log->row.abi,
                 (unsigned) NVL_ENGINE_ABI);
        return STORE_E_STALE;
    }
    enum store_result r = open_pack(s, log, why, why_size);
    return r == STORE_OK ? open_world(s, log, a, why, why_size) : r;
}

void stored_log_head(const struct stored_log *log, uint8_t out[STORE_DIGEST_SIZE])
{
    uint8_t next[SHA256_SIZE];
    sha256_of(log->row.header.data, log->row.header.size, out);
    for (size_t i = 0; i < log->count; i++) {
        nvl_event_hash(out, log->canonical[i].data, log->canonical[i].size, next);
        memcpy(out, next, SHA256_SIZE);
    }
}

/* What reads a log takes its indices for what the engine wrote: only bytes that still are that get so far. */
static enum store_result check_head(const struct stored_log *log, char *why, size_t why_size)
{
    uint8_t head[STORE_DIGEST_SIZE];
    stored_log_head(log, head);
    if (log->count == log->row.last_sequence && (log->count == 0 || memcmp(head, log->row.head, sizeof head) == 0))
        return STORE_OK;
    return unreadable(why, why_size, "its events are not those that were written; verify the simulation");
}

enum store_result stored_log_read(struct service *s, const char *id, int with, struct arena *a,
                                  struct stored_log *out, char *why, size_t why_size)
{
    struct stored_log log = { .own_pack = NULL };
    enum store_result r = read_stored(s, id, with & ~STORED_RAW, a, &log);
    if (r == STORE_OK && (with & STORED_RAW) == 0)
        r = stored_log_open(s, &log, a, why, why_size);
    if (r == STORE_OK && (with & STORED_RAW) == 0)
        r = check_head(&log, why, why_size);
    if (r != STORE_OK) {
        stored_log_done(&log);
        return r;
    }
    *out = log;
    return STORE_OK;
}

void stored_log_done(struct stored_log *log)
{
    nvl_world_free(log->world);
    nvl_header_free(log->header);
    nvl_pack_free(log->own_pack);
    arena_done(&log->read);
    *log = (struct stored_log) { .own_pack = NULL };
}

/* ---- what an answer is made of ---- */

static void no_memory(struct work *w)
{
    if (w->st.code == NRPC_OK)
        error_set(&w->st, ERROR_OUT_OF_MEMORY, "the server is out of memory");
}

void *work_get(struct work *w, size_t count, size_t size)
{
    void *p = arena_zero(&w->arena, count > 0 ? count : 1, size);
    if (p == NULL)
        no_memory(w);
    return p;
}

char *work_text(struct work *w, struct buf *b)
{
    char *s = b->failed ? NULL : arena_strndup(&w->arena, buf_text(b), b->size);
    buf_done(b);
    if (s == NULL)
        no_memory(w);
    return s;
}

NE(SimulationEvent) * work_event(struct work *w, size_t index)
{
    ProtobufCAllocator allocator = contract_allocator(&w->arena);
    struct store_bytes full;
    NE(SimulationUpdate) *update = NULL;
    if (wire_split(w->log.wire[index], JOBS_FULL, &full) == 0)
        update = novelengine__v1__simulation_update__unpack(&allocator, full.size, full.data);
    if (update == NULL || update->update_case != NOVELENGINE__V1__SIMULATION_UPDATE__UPDATE_EVENT) {
        error_set(&w->st, ERROR_STORE_FAILED, "event %zu of '%s' cannot be read; verify the simulation", index + 1,
                  w->id);
        return NULL;
    }
    return update->event;
}

void work_put_words(struct buf *out, const char *name)
{
    for (; *name != '\0'; name++)
        buf_putc(out, *name == '_' ? ' ' : *name);
}

void work_put_cell(const struct stored_log *log, unsigned cell, struct buf *out)
{
    struct nvl_cell c;
    if (nvl_world_cell_info(log->world, cell, &c) != NVL_OK)
        return;
    const char *fluent = nvl_pack_fluent_name(log->pack, c.fluent);
    bool place = strcmp(fluent, "at") == 0 || strcmp(fluent, "lies") == 0;
    work_put_words(out, place ? "the place" : strcmp(fluent, "holder") == 0 ? "the holder" : fluent);
    for (size_t i = 0; i < c.args_count; i++) {
        const struct nvl_entity *e = nvl_world_entity(log->world, (enum nvl_sort) c.sorts[i], c.args[i]);
        buf_puts(out, i == 0 ? " of " : " and ");
        if (e != NULL && c.sorts[i] == NVL_SORT_FACT && e->detail[0] != '\0')
            buf_puts(out, e->detail);
        else
            work_put_thing(log, (enum nvl_sort) c.sorts[i], c.args[i], out);
    }
}

void work_put_thing(const struct stored_log *log, enum nvl_sort sort, unsigned index, struct buf *out)
{
    const struct nvl_entity *e = nvl_world_entity(log->world, sort, index);
    if (e == NULL || e->name[0] == '\0') {
        work_put_words(out, nvl_entity_id(log->world, sort, index));
        return;
    }
    bool article = !e->proper && (sort == NVL_SORT_CHAR || sort == NVL_SORT_PLACE || sort == NVL_SORT_ITEM ||
                                  sort == NVL_SORT_LINK);
    if (article && strncmp(e->name, "the ", 4) != 0)
        buf_puts(out, "the ");
    buf_puts(out, e->name);
}

const char *work_term_phrase(unsigned term)
{
    static const char *const phrases[NVL_TERMS] = { "what it was good for",
                                                    "what drives them",
                                                    "their temper",
                                                    "what they felt",
                                                    "what the other is to them",
                                                    "what is proper",
                                                    "the moment of the story",
                                                    "the effort",
                                                    "having done it lately",
                                                    "chance" };
    return term < NVL_TERMS ? phrases[term] : "";
}

/* ---- from the loop to the worker and back ---- */

static void refuse(struct work *w, enum store_result r, const char *why)
{
    switch (r) {
    case STORE_E_NOT_FOUND:
        error_set(&w->st, ERROR_SIMULATION_NOT_FOUND, "simulation '%s' not found", w->id);
        break;
    case STORE_E_STALE:
        error_set(&w->st, ERROR_ENGINE_CHANGED, "simulation '%s' cannot be read: %s", w->id, why);
        break;
    case STORE_E_NOMEM:
        no_memory(w);
        break;
    default:
        service_set_store(&w->st, r);
        break;
    }
}

static void pack_reply(struct work *w)
{
    size_t size = protobuf_c_message_get_packed_size(w->reply);
    uint8_t *bytes = arena_get(&w->arena, size + 1);
    if (bytes == NULL)
        no_memory(w);
    else
        w->bytes = (struct store_bytes) { bytes, protobuf_c_message_pack(w->reply, bytes) };
}

static void work_run(nrpc_job *job)
{
    struct work *w = CONTAINER_OF(job, struct work, job);
    char why[160] = "";
    enum store_result r =
        stored_log_read(w->service, w->id, w->with, &w->arena, &w->log, why, sizeof why);
    if (r != STORE_OK)
        refuse(w, r, why);
    else
        w->answer(w);
    if (w->st.code == NRPC_OK && w->reply != NULL)
        pack_reply(w);
    stored_log_done(&w->log);
}

static void work_free(struct work *w)
{
    nrpc_status_clear(&w->st);
    arena_done(&w->arena);
    alloc_free(w);
}

static void work_done(nrpc_task *t, nrpc_loop *loop)
{
    struct work *w = CONTAINER_OF(t, struct work, job.done);
    nrpc_call *c = nrpc_call_get(loop, w->call);
    if (c != NULL && w->st.code != NRPC_OK)
        nrpc_call_finish(c, &w->st);
    else if (c != NULL)
        nrpc_call_reply_bytes(c, (nrpc_slice) { w->bytes.data, w->bytes.size });
    work_free(w);
}

/* The request outlives its message: its bytes and what they say go into the arena. */
static bool keep_request(struct work *w, nrpc_msg *m)
{
    ProtobufCAllocator allocator = contract_allocator(&w->arena);
    nrpc_slice bytes = nrpc_msg_bytes(m);
    const ProtobufCMessage *body = nrpc_msg_body(m);
    w->request = protobuf_c_message_unpack(body->descriptor, &allocator, bytes.size, bytes.data);
    return w->request != NULL;
}

void work_start(struct service *s, nrpc_call *c, nrpc_msg *m, const char *id, int with, void (*answer)(struct work *w))
{
    char copy[STORE_ID_SIZE];
    struct work *w = NULL;
    if (service_valid(c, nrpc_msg_body(m)) && service_copy_id(c, id, copy)) {
        w = alloc_zero(1, sizeof *w);
        if (w == NULL)
            error_reply(c, ERROR_OUT_OF_MEMORY, "the server is out of memory");
    }
    if (w != NULL) {
        arena_init(&w->arena, 65536);
        memcpy(w->id, copy, sizeof copy);
        w->call = nrpc_call_ref(c);
        w->service = s;
        w->with = with;
        w->answer = answer;
        w->st = (nrpc_status) NRPC_STATUS_INIT;
        w->job = (nrpc_job) { .done.run = work_done, .work = work_run, .home = nrpc_call_loop(c), .key = nrpc_call_number(c) };
        bool kept = keep_request(w, m);
        if (!kept || nrpc_pool_submit(s->o.pool, &w->job) != 0) {
            error_reply(c, kept ? ERROR_QUEUE_FULL : ERROR_OUT_OF_MEMORY, kept ? "too much work is waiting" : "the server is out of memory");
            work_free(w);
        }
    }
    nrpc_msg_free(m);
}
