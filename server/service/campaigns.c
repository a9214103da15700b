/* campaigns.c — novels whose chapters share memory: make, read, list, change, delete, and the
 * manuscript. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "rpc/base/alloc.h"
#include "rpc/base/buf.h"
#include "rpc/base/check.h"
#include "server/jobs/wire.h"
#include "server/service/document.h"
#include "server/service/inner.h"
#include "server/service/once.h"

/* A list stays below the 4 MiB that clients take unless they are told otherwise. */
enum { PAGE_MAX = 1000, BYTES_MAX = 2 << 20 };
/* How often a change is tried again: each time somebody else was faster, so that it comes to an end. */
enum { TRIES_MAX = 64 };

/* ---- a campaign as the contract shows it ---- */

static char *time_text(uint64_t us, struct arena *a)
{
    char text[32];
    time_t seconds = (time_t) (us / 1000000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    size_t n = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
    text[n++] = 'Z';
    return arena_strndup(a, text, n);
}

static NE(Campaign__Chapter) * chapter_of(const struct store_row *row, const uint8_t carry[STORE_DIGEST_SIZE],
                                         struct arena *a)
{
    static const uint8_t none[STORE_DIGEST_SIZE];
    NE(Campaign__Chapter) *c = arena_get(a, sizeof *c);
    if (c == NULL)
        return NULL;
    novelengine__v1__campaign__chapter__init(c);
    c->simulation_id = (char *) row->id;
    if (row->result.data != NULL) {
        NE(SimulationResult) *r = wire_result(row->result, (struct store_bytes) { 0 }, a);
        if (r == NULL)
            return NULL;
        if (r->metadata != NULL) {
            c->title = r->metadata->title;
            c->word_count = r->metadata->word_count;
        }
    }
    if (memcmp(carry, none, sizeof none) != 0) {
        char hex[65];
        sha256_hex(carry, hex);
        c->carry_digest = arena_strndup(a, hex, 64);
    }
    return c->carry_digest != NULL ? c : NULL;
}

static const char *status_of(const struct store_campaign_row *row)
{
    const char *status = "created";
    for (size_t i = 0; i < row->n_chapters; i++) {
        if (!store_state_final(row->chapters[i].state))
            return "running";
        if (row->chapters[i].state == STORE_COMPLETED)
            status = "completed";
    }
    return status;
}

static bool is_chapter(const struct store_row *row)
{
    return row->state != STORE_FAILED && row->state != STORE_CANCELLED; /* they carry nothing on */
}

/* Another one whenever anything that is shown is; NULL without memory. */
static char *etag_of(const struct store_campaign_row *row, struct arena *a)
{
    struct buf b = { 0 };
    uint8_t digest[SHA256_SIZE];
    char hex[65];
    buf_printf(&b, "%llu ", (unsigned long long) row->update_us);
    buf_put(&b, row->data.data, row->data.size);
    for (size_t i = 0; i < row->n_chapters; i++) {
        const struct store_row *chapter = &row->chapters[i];
        if (!is_chapter(chapter))
            continue;
        buf_printf(&b, " %s %d %d ", chapter->id, chapter->state, (int) chapter->turns_done);
        buf_put(&b, row->carries[i], sizeof row->carries[i]);
    }
    sha256_of(b.data, b.size, digest);
    sha256_hex(digest, hex);
    char *etag = b.failed ? NULL : arena_printf(a, "\"%.16s\"", hex);
    buf_done(&b);
    return etag;
}

/* In a's memory; NULL without it, or when the stored bytes can't be read. */
static NE(Campaign) * campaign_of(const struct store_campaign_row *row, struct arena *a)
{
    ProtobufCAllocator allocator = contract_allocator(a);
    NE(Campaign) *c = novelengine__v1__campaign__unpack(&allocator, row->data.size, row->data.data);
    NE(Campaign__Chapter) **chapters = arena_zero(a, row->n_chapters + 1, sizeof *chapters);
    if (c == NULL || chapters == NULL)
        return NULL;
    c->campaign_id = (char *) row->id;
    c->status = (char *) status_of(row);
    c->created_at = time_text(row->create_us, a);
    c->updated_at = time_text(row->update_us, a);
    c->etag = etag_of(row, a);
    c->chapters = chapters;
    for (size_t i = 0; i < row->n_chapters; i++) {
        if (!is_chapter(&row->chapters[i]))
            continue;
        if ((chapters[c->n_chapters++] = chapter_of(&row->chapters[i], row->carries[i], a)) == NULL)
            return NULL;
        c->current_turn += row->chapters[i].turns_done;
    }
    return c->created_at != NULL && c->updated_at != NULL && c->etag != NULL ? c : NULL;
}

static void reply_missing(nrpc_call *c, const char *id)
{
    error_reply(c, ERROR_CAMPAIGN_NOT_FOUND, "campaign '%.64s' not found", id);
}

/* ---- reads ---- */

/* What a call asks about one campaign; freed with the answer. */
struct campaign_read {
    struct store_read_campaigns q;
    nrpc_task task;
    nrpc_call_id call;
    nrpc_loop *loop;
    struct service *service;
    char id[64], after[64];
    enum document_format format;
    nrpc_job job;    /* a manuscript is written by a worker: whole novels are no work for a loop */
    struct buf book; /* what it wrote */
    bool empty;      /* no chapter is finished */
    nrpc_msg *ask;   /* UpdateCampaign, DeleteCampaign: what is to be done */
    unsigned tries;  /* of the change, before this one */
    void (*done)(struct campaign_read *r, nrpc_call *c);
};

static void read_free(struct campaign_read *r)
{
    arena_done(&r->q.read.arena);
    buf_done(&r->book);
    nrpc_msg_free(r->ask);
    alloc_free(r);
}

static void read_task(nrpc_task *t, nrpc_loop *loop)
{
    struct campaign_read *r = CONTAINER_OF(t, struct campaign_read, task);
    nrpc_call *c = nrpc_call_get(loop, r->call);
    if (c == NULL)
        read_free(r);
    else if (r->q.read.result == STORE_E_NOT_FOUND)
        reply_missing(c, r->id), read_free(r);
    else if (r->q.read.result != STORE_OK)
        service_reply_store(c, r->q.read.result), read_free(r);
    else
        r->done(r, c); /* frees it */
}

static void read_done(struct store_read *read)
{
    struct campaign_read *r = CONTAINER_OF(CONTAINER_OF(read, struct store_read_campaigns, read), struct campaign_read, q);
    r->task.run = read_task;
    nrpc_loop_post(r->loop, &r->task);
}

/* id NULL: many, after `after`.  NULL: the call has been ended. */
static struct campaign_read *read_new(struct service *s, nrpc_call *c, const char *id,
                                      void (*done)(struct campaign_read *r, nrpc_call *c))
{
    if (id != NULL && (id[0] == '\0' || strlen(id) >= STORE_CAMPAIGN_SIZE)) {
        reply_missing(c, id);
        return NULL;
    }
    struct campaign_read *r = alloc_zero(1, sizeof *r);
    if (r == NULL) {
        error_reply(c, ERROR_OUT_OF_MEMORY, "the server is out of memory");
        return NULL;
    }
    snprintf(r->id, sizeof r->id, "%s", id != NULL ? id : "");
    r->q.read.kind = STORE_READ_CAMPAIGNS;
    r->q.read.done = read_done;
    r->q.id = id != NULL ? r->id : NULL;
    r->q.after = r->after;
    arena_init(&r->q.read.arena, 4096);
    r->call = nrpc_call_ref(c);
    r->loop = nrpc_call_loop(c);
    r->service = s;
    r->done = done;
    return r;
}

static void read_post(struct campaign_read *r)
{
    store_read_post(r->service->o.store, &r->q.read);
}

static void reply_changed(nrpc_call *c, const char *id)
{
    error_reply(c, ERROR_ETAG_MISMATCH, "campaign '%.64s' has changed since it was read", id);
}

static void reply_unreadable(nrpc_call *c)
{
    error_reply(c, ERROR_OUT_OF_MEMORY, "the campaign could not be read");
}

static void got_one(struct campaign_read *r, nrpc_call *c)
{
    NE(Campaign) *answer = campaign_of(&r->q.rows[0], &r->q.read.arena);
    if (answer != NULL)
        nrpc_call_reply(c, &answer->base);
    else
        reply_unreadable(c);
    read_free(r);
}

void handle_get_campaign(nrpc_call *c, void *ctx, nrpc_msg *m)
{
    struct campaign_read *r =
        read_new(ctx, c, novelengine_v1_novel_engine_get_campaign_request(m)->campaign_id, got_one);
    if (r != NULL)
        read_post(r);
    nrpc_msg_free(m);
}

static void got_many(struct campaign_read *r, nrpc_call *c)
{
    NE(ListCampaignsResponse) answer = NOVELENGINE__V1__LIST_CAMPAIGNS_RESPONSE__INIT;
    struct arena *a = &r->q.read.arena;
    char **ids = arena_zero(a, r->q.n_rows + 1, sizeof *ids);
    NE(Campaign) **details = arena_zero(a, r->q.n_rows + 1, sizeof *details);
    bool ok = ids != NULL && details != NULL;
    size_t n = 0;
    for (size_t bytes = 0; ok && n < r->q.n_rows && bytes < BYTES_MAX; n++) {
        ids[n] = r->q.rows[n].id;
        ok = (details[n] = campaign_of(&r->q.rows[n], a)) != NULL;
        bytes += ok ? novelengine__v1__campaign__get_packed_size(details[n]) : 0;
    }
    if (ok) {
        answer.n_campaigns = answer.n_details = n;
        answer.campaigns = ids;
        answer.details = details;
        answer.count = (int32_t) n;
        if (r->q.more || n < r->q.n_rows)
            answer.next_page_token = ids[n - 1];
        nrpc_call_reply(c, &answer.base);
    } else {
        reply_unreadable(c);
    }
    read_free(r);
}

void handle_list_campaigns(nrpc_call *c, void *ctx, nrpc_msg *m)
{
    const NE(ListCampaignsRequest) *ask = novelengine_v1_novel_engine_list_campaigns_request(m);
    nrpc_status st = NRPC_STATUS_INIT;
    struct campaign_read *r = NULL;
    if (ask->page_size < 0)
        error_set_field(&st, "page_size", "is negative");
    else if (strlen(ask->page_token) >= STORE_CAMPAIGN_SIZE)
        error_set_field(&st, "page_token", "is not a token of this list");
    if (st.code != NRPC_OK)
        nrpc_call_finish(c, &st);
    else
        r = read_new(ctx, c, NULL, got_many);
    if (r != NULL) {
        snprintf(r->after, sizeof r->after, "%s", ask->page_token);
        r->q.limit = ask->page_size == 0 || ask->page_size > PAGE_MAX ? PAGE_MAX : (uint32_t) ask->page_size;
        r->q.byte_limit = BYTES_MAX;
        read_post(r);
    }
    nrpc_status_clear(&st);
    nrpc_msg_free(m);
}

/* ---- writes ---- */

struct campaign_write {
    union {
        struct store_write write;
        struct store_campaign put;
        struct store_campaign_delete drop;
    } w;
    nrpc_task task;
    nrpc_call_id call;
    nrpc_loop *loop;
    struct service *service;
    char id[STORE_CAMPAIGN_SIZE];
    struct arena arena; /* what is written and what is answered */
    struct arena lent;  /* of a read that both borrow from */
    NE(Campaign) *answer; /* NULL: Empty */
    nrpc_msg *ask;        /* as in the read */
    unsigned tries;
    void (*changed)(struct campaign_write *w, nrpc_call *c); /* somebody else was faster */
    struct once once;     /* CreateCampaign's idempotency key */
    enum once_result looked;
};

static void write_free(struct campaign_write *w)
{
    once_done(&w->once);
    arena_done(&w->arena);
    arena_done(&w->lent);
    nrpc_msg_free(w->ask);
    alloc_free(w);
}

static void reply_write(struct campaign_write *w, nrpc_call *c)
{
    PB(Empty) empty = GOOGLE__PROTOBUF__EMPTY__INIT;
    if (w->once.used && w->w.write.result == STORE_E_EXISTS) { /* another call took it meanwhile */
        error_reply(c, ERROR_IDEMPOTENCY_KEY_REUSED, "the idempotency key is being used by another call");
        return;
    }
    switch (w->w.write.result) {
    case STORE_OK:
        nrpc_call_reply(c, w->answer != NULL ? &w->answer->base : &empty.base);
        break;
    case STORE_E_NOT_FOUND:
        reply_missing(c, w->id);
        break;
    case STORE_E_STALE:
        error_reply(c, ERROR_CHAPTER_OPEN, "a chapter of '%s' is still being written", w->id);
        break;
    case STORE_E_EXISTS:
        error_reply(c, ERROR_CAMPAIGN_HAS_CHAPTERS, "campaign '%s' has chapters", w->id);
        break;
    default:
        service_reply_store(c, w->w.write.result);
        break;
    }
}

static void write_task(nrpc_task *t, nrpc_loop *loop)
{
    struct campaign_write *w = CONTAINER_OF(t, struct campaign_write, task);
    nrpc_call *c = nrpc_call_get(loop, w->call);
    if (c != NULL && w->w.write.result == STORE_E_CHANGED)
        w->changed(w, c);
    else if (c != NULL)
        reply_write(w, c);
    write_free(w);
}

static void write_done(struct store_write *write)
{
    struct campaign_write *w = CONTAINER_OF(write, struct campaign_write, w.write);
    w->task.run = write_task;
    nrpc_loop_post(w->loop, &w->task);
}

static struct campaign_write *write_new(struct service *s, nrpc_call *c, enum store_write_kind kind)
{
    struct campaign_write *w = alloc_zero(1, sizeof *w);
    if (w == NULL) {
        error_reply(c, ERROR_OUT_OF_MEMORY, "the server is out of memory");
        return NULL;
    }
    w->w.write.kind = kind;
    w->w.write.done = write_done;
    arena_init(&w->arena, 4096);
    arena_init(&w->lent, 4096);
    w->call = nrpc_call_ref(c);
    w->loop = nrpc_call_loop(c);
    w->service = s;
    return w;
}

/* The stored part of a campaign: what a person wrote. */
static bool write_data(struct campaign_write *w, const NE(Campaign) * from)
{
    NE(Campaign) kept = NOVELENGINE__V1__CAMPAIGN__INIT;
    kept.name = from->name;
    kept.description = from->description;
    kept.n_participants = from->n_participants;
    kept.participants = from->participants;
    size_t size = novelengine__v1__campaign__get_packed_size(&kept);
    uint8_t *bytes = arena_get(&w->arena, size + 1);
    if (bytes != NULL)
        w->w.put.data = (struct store_bytes) { bytes, novelengine__v1__campaign__pack(&kept, bytes) };
    return bytes != NULL;
}

static void write_post(struct campaign_write *w)
{
    store_write_post(w->service->o.store, &w->w.write);
}

static bool check_participants(nrpc_call *c, struct service *s, const NE(Campaign) * campaign)
{
    const struct catalogue *k = service_catalogue(s, c);
    for (size_t i = 0; i < campaign->n_participants; i++)
        if (catalogue_find(k, campaign->participants[i]) == NULL) {
            error_reply(c, ERROR_CHARACTER_NOT_FOUND, "character '%.64s' not found", campaign->participants[i]);
            return false;
        }
    return true;
}

/* The key was looked up: answer as before, or go on and keep the answer with it. */
static void create_looked(nrpc_task *t, nrpc_loop *loop)
{
    struct campaign_write *w = CONTAINER_OF(t, struct campaign_write, task);
    nrpc_call *c = nrpc_call_get(loop, w->call);
    if (c != NULL && w->looked == ONCE_FREE) {
        size_t size = novelengine__v1__campaign__get_packed_size(w->answer);
        uint8_t *bytes = arena_get(&w->arena, size + 1);
        if (bytes != NULL) {
            w->once.key.reply = (struct store_bytes) { bytes, novelengine__v1__campaign__pack(w->answer, bytes) };
            w->w.write.once = &w->once.key;
            write_post(w);
            return;
        }
        error_reply(c, ERROR_OUT_OF_MEMORY, "the server is out of memory");
    } else if (c != NULL && w->looked == ONCE_SAME) {
        nrpc_call_reply_bytes(c, (nrpc_slice) { w->once.look.reply.data, w->once.look.reply.size });
    } else if (c != NULL && w->looked == ONCE_OTHER) {
        error_reply(c, ERROR_IDEMPOTENCY_KEY_REUSED, "the idempotency key was used with another request");
    } else if (c != NULL) {
        service_reply_store(c, w->once.look.read.result);
    }
    write_free(w);
}

static void create_look_done(struct once *o, enum once_result result)
{
    struct campaign_write *w = CONTAINER_OF(o, struct campaign_write, once);
    w->looked = result;
    w->task.run = create_looked;
    nrpc_loop_post(w->loop, &w->task);
}

static void create_once(struct campaign_write *w, nrpc_call *c, const ProtobufCMessage *ask)
{
    nrpc_status st = NRPC_STATUS_INIT;
    if (!once_take(&w->once, c, ask, &st)) {
        nrpc_call_finish(c, &st);
        nrpc_status_clear(&st);
        write_free(w);
    } else if (w->once.used) {
        once_look(&w->once, w->service->o.store, w->w.put.now_us, create_look_done);
    } else {
        write_post(w);
    }
}

static void create(struct service *s, nrpc_call *c, const NE(Campaign) * campaign, const ProtobufCMessage *ask)
{
    struct campaign_write *w = write_new(s, c, STORE_WRITE_CAMPAIGN);
    if (w == NULL)
        return;
    struct store_campaign_row row = { .n_chapters = 0 };
    char simulation[STORE_ID_SIZE];
    jobs_new_id(simulation); /* "sim_" and what makes an id */
    snprintf(w->id, sizeof w->id, "campaign_%s", simulation + 4);
    w->w.put.id = w->id;
    w->w.put.make = true;
    w->w.put.now_us = service_wall_us();
    if (write_data(w, campaign)) {
        memcpy(row.id, w->id, sizeof row.id);
        row.data = w->w.put.data;
        row.create_us = row.update_us = w->w.put.now_us;
        w->answer = campaign_of(&row, &w->arena);
    }
    if (w->answer == NULL) {
        error_reply(c, ERROR_OUT_OF_MEMORY, "the server is out of memory");
        write_free(w);
        return;
    }
    w->answer->campaign_id = w->id;
    create_once(w, c, ask);
}

void handle_create_campaign(nrpc_call *c, void *ctx, nrpc_msg *m)
{
    const NE(CreateCampaignRequest) *ask = novelengine_v1_novel_engine_create_campaign_request(m);
    if (service_valid(c, &ask->base) && check_participants(c, ctx, ask->campaign))
        create(ctx, c, ask->campaign, &ask->base);
    nrpc_msg_free(m);
}

static struct campaign_write *delete_new(struct service *s, nrpc_call *c, const NE(DeleteCampaignRequest) * ask)
{
    struct campaign_write *w = write_new(s, c, STORE_WRITE_CAMPAIGN_DELETE);
    if (w != NULL) {
        snprintf(w->id, sizeof w->id, "%s", ask->campaign_id);
        w->w.drop.id = w->id;
        w->w.drop.cascade = ask->cascade;
        w->w.drop.now_us = service_wall_us();
    }
    return w;
}

static void delete_changed(struct campaign_write *w, nrpc_call *c)
{
    reply_changed(c, w->id);
}

static void got_for_delete(struct campaign_read *r, nrpc_call *c)
{
    const NE(DeleteCampaignRequest) *ask = novelengine_v1_novel_engine_delete_campaign_request(r->ask);
    char *etag = etag_of(&r->q.rows[0], &r->q.read.arena);
    struct campaign_write *w = NULL;
    if (etag == NULL)
        reply_unreadable(c);
    else if (strcmp(etag, ask->etag) != 0)
        reply_changed(c, r->id);
    else
        w = delete_new(r->service, c, ask);
    if (w != NULL) {
        w->w.drop.read_us = r->q.rows[0].update_us;
        w->changed = delete_changed;
        write_post(w);
    }
    read_free(r);
}

void handle_delete_campaign(nrpc_call *c, void *ctx, nrpc_msg *m)
{
    const NE(DeleteCampaignRequest) *ask = novelengine_v1_novel_engine_delete_campaign_request(m);
    struct campaign_read *r = NULL;
    struct campaign_write *w = NULL;
    if (ask->campaign_id[0] == '\0' || strlen(ask->campaign_id) >= STORE_CAMPAIGN_SIZE)
        reply_missing(c, ask->campaign_id);
    else if (ask->etag[0] != '\0')
        r = read_new(ctx, c, ask->campaign_id, got_for_delete);
    else
        w = delete_new(ctx, c, ask);
    if (w != NULL)
        write_post(w);
    if (r != NULL) {
        r->ask = m;
        read_post(r);
    } else {
        nrpc_msg_free(m);
    }
}

/* ---- change: read, then replace what was read ---- */

static bool masked(const PB(FieldMask) * mask, const char *field, bool given)
{
    if (mask == NULL || mask->n_paths == 0)
        return given;
    for (size_t i = 0; i < mask->n_paths; i++)
        if (strcmp(mask->paths[i], field) == 0 || strcmp(mask->paths[i], "*") == 0)
            return true;
    return false;
}

static bool changes_participants(const NE(UpdateCampaignRequest) * ask)
{
    return masked(ask->update_mask, "participants", ask->campaign->n_participants > 0);
}

static void merge(const NE(UpdateCampaignRequest) * ask, NE(Campaign) * into)
{
    const NE(Campaign) *from = ask->campaign;
    if (masked(ask->update_mask, "name", from->name[0] != '\0'))
        into->name = from->name;
    if (masked(ask->update_mask, "description", from->description[0] != '\0'))
        into->description = from->description;
    if (changes_participants(ask)) {
        into->n_participants = from->n_participants;
        into->participants = from->participants;
    }
}

/* What the campaign becomes; NULL: the call has been ended with the reason that it does not. */
static NE(Campaign) * changed_campaign(struct campaign_read *r, nrpc_call *c)
{
    const NE(UpdateCampaignRequest) *ask = novelengine_v1_novel_engine_update_campaign_request(r->ask);
    NE(Campaign) *now = campaign_of(&r->q.rows[0], &r->q.read.arena);
    if (now == NULL) {
        reply_unreadable(c);
        return NULL;
    }
    if (ask->campaign->etag[0] != '\0' && strcmp(ask->campaign->etag, now->etag) != 0) {
        reply_changed(c, r->id);
        return NULL;
    }
    merge(ask, now);
    if (!service_valid(c, &now->base))
        return NULL;
    /* Who has been deleted since may stay in the novel. */
    return !changes_participants(ask) || check_participants(c, r->service, now) ? now : NULL;
}

static void got_for_change(struct campaign_read *r, nrpc_call *c);

/* Without an etag nobody minds what the others did: the change is made to what they left. */
static void update_changed(struct campaign_write *w, nrpc_call *c)
{
    const NE(UpdateCampaignRequest) *ask = novelengine_v1_novel_engine_update_campaign_request(w->ask);
    if (ask->campaign->etag[0] != '\0' || w->tries == TRIES_MAX) {
        reply_changed(c, w->id);
        return;
    }
    struct campaign_read *r = read_new(w->service, c, w->id, got_for_change);
    if (r == NULL)
        return;
    r->ask = w->ask;
    r->tries = w->tries + 1;
    w->ask = NULL;
    read_post(r);
}

/* Takes over what the read has found and what it was for. */
static void write_change(struct campaign_read *r, nrpc_call *c, const NE(Campaign) * now)
{
    struct campaign_write *w = write_new(r->service, c, STORE_WRITE_CAMPAIGN);
    if (w == NULL)
        return;
    struct store_campaign_row row = r->q.rows[0];
    uint64_t wall_us = service_wall_us();
    memcpy(w->id, row.id, sizeof w->id);
    w->w.put.id = w->id;
    w->w.put.read_us = row.update_us;
    w->w.put.now_us = wall_us > row.update_us ? wall_us : row.update_us + 1;
    w->changed = update_changed;
    if (write_data(w, now)) {
        row.data = w->w.put.data;
        row.update_us = w->w.put.now_us;
        w->answer = campaign_of(&row, &w->arena);
    }
    /* Names and digests that the rows lend live in the read's arena: both go on together. */
    w->lent = r->q.read.arena;
    arena_init(&r->q.read.arena, 4096);
    w->ask = r->ask;
    w->tries = r->tries;
    r->ask = NULL;
    if (w->answer != NULL) {
        w->answer->campaign_id = w->id;
        write_post(w);
    } else {
        error_reply(c, ERROR_OUT_OF_MEMORY, "the server is out of memory");
        write_free(w);
    }
}

static void got_for_change(struct campaign_read *r, nrpc_call *c)
{
    NE(Campaign) *now = changed_campaign(r, c);
    if (now != NULL)
        write_change(r, c, now);
    read_free(r);
}

static bool check_update(const NE(UpdateCampaignRequest) * ask, nrpc_status *st)
{
    /* What the server decides may be sent back as it was read, and is passed over (AIP-203). */
    static const char *const fields[] = { "name",       "description", "participants", "*",
                                          "campaign_id", "status",     "created_at",   "chapters",
                                          "updated_at", "current_turn", "etag" };
    for (size_t i = 0; ask->update_mask != NULL && i < ask->update_mask->n_paths && st->code == NRPC_OK; i++) {
        bool known = false;
        for (size_t k = 0; k < ARRAY_SIZE(fields); k++)
            known = known || strcmp(ask->update_mask->paths[i], fields[k]) == 0;
        if (!known)
            error_set_field(st, "update_mask", "'%.32s' is none of name, description, participants",
                            ask->update_mask->paths[i]);
    }
    if (ask->campaign == NULL)
        error_set_field(st, "campaign", "is required");
    return st->code == NRPC_OK;
}

void handle_update_campaign(nrpc_call *c, void *ctx, nrpc_msg *m)
{
    const NE(UpdateCampaignRequest) *ask = novelengine_v1_novel_engine_update_campaign_request(m);
    nrpc_status st = NRPC_STATUS_INIT;
    struct campaign_read *r = NULL;
    if (check_update(ask, &st))
        r = read_new(ctx, c, ask->campaign->campaign_id, got_for_change);
    else
        nrpc_call_finish(c, &st);
    if (r != NULL) {
        r->ask = m;
        read_post(r);
    } else {
        nrpc_msg_free(m);
    }
    nrpc_status_clear(&st);
}

/* ---- the manuscript ---- */

static bool add_chapter(const struct store_row *row, struct arena *a, struct document_chapter *out)
{
    ProtobufCAllocator allocator = contract_allocator(a);
    NE(StoryDocument) *story =
        novelengine__v1__story_document__unpack(&allocator, row->passages.size, row->passages.data);
    return story != NULL && document_chapter_from_story(story, story->title, a, out);
}

static void manuscript_work(nrpc_job *job)
{
    struct campaign_read *r = CONTAINER_OF(job, struct campaign_read, job);
    const struct store_campaign_row *row = &r->q.rows[0];
    struct arena *a = &r->q.read.arena;
    NE(Campaign) *campaign = campaign_of(row, a);
    struct document_chapter *chapters = arena_zero(a, row->n_chapters + 1, sizeof *chapters);
    char *identifier = arena_printf(a, "urn:novel-engine:%s", r->id);
    size_t count = 0;
    bool ok = campaign != NULL && chapters != NULL && identifier != NULL;
    for (size_t i = 0; ok && i < row->n_chapters; i++)
        if (row->chapters[i].state == STORE_COMPLETED)
            ok = add_chapter(&row->chapters[i], a, &chapters[count++]);
    r->empty = ok && count == 0;
    r->book.failed = !ok;
    if (!ok || r->empty)
        return;
    struct document d = { .title = campaign->name,
                          .subtitle = campaign->description,
                          .identifier = identifier,
                          .modified = campaign->updated_at,
                          .chapters = chapters,
                          .chapters_count = count };
    document_write(&d, r->format, &r->book);
}

static void manuscript_written(nrpc_task *t, nrpc_loop *loop)
{
    struct campaign_read *r = CONTAINER_OF(t, struct campaign_read, job.done);
    nrpc_call *c = nrpc_call_get(loop, r->call);
    if (c != NULL && r->empty) {
        error_reply(c, ERROR_STORY_NOT_READY, "campaign '%s' has no finished chapter yet", r->id);
    } else if (c != NULL && r->book.failed) {
        reply_unreadable(c);
    } else if (c != NULL) {
        Google__Api__HttpBody body = GOOGLE__API__HTTP_BODY__INIT;
        body.content_type = (char *) document_content_type(r->format);
        body.data = (ProtobufCBinaryData) { r->book.size, r->book.data };
        nrpc_call_reply(c, &body.base);
    }
    read_free(r);
}

static void got_for_manuscript(struct campaign_read *r, nrpc_call *c)
{
    r->job = (nrpc_job) {
        .done.run = manuscript_written, .work = manuscript_work, .home = r->loop, .key = nrpc_call_number(c)
    };
    if (nrpc_pool_submit(r->service->o.pool, &r->job) == 0)
        return;
    error_reply(c, ERROR_QUEUE_FULL, "too much work is waiting");
    read_free(r);
}

void handle_get_manuscript(nrpc_call *c, void *ctx, nrpc_msg *m)
{
    const NE(GetManuscriptRequest) *ask = novelengine_v1_novel_engine_get_manuscript_request(m);
    int format = document_format_find(ask->format);
    struct campaign_read *r = NULL;
    if (format < 0) {
        nrpc_status st = NRPC_STATUS_INIT;
        error_set_field(&st, "format", "'%.32s' is none of markdown, text, html, epub", ask->format);
        nrpc_call_finish(c, &st);
        nrpc_status_clear(&st);
    } else {
        r = read_new(ctx, c, ask->campaign_id, got_for_manuscript);
    }
    if (r != NULL) {
        r->format = (enum document_format) format;
        r->q.with = STORE_WITH_STORY;
        read_post(r);
    }
    nrpc_msg_free(m);
}
