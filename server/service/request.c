/* request.c — from a SimulationRequest to a durable, queued simulation. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <utf8proc.h>

#include "rpc/base/alloc.h"
#include "rpc/base/buf.h"
#include "rpc/base/check.h"
#include "rpc/base/sha256.h"
#include "server/cards/profile.h"
#include "server/jobs/tell.h"
#include "server/service/inner.h"

enum { TURNS_DEFAULT = 3 };

void submission_free(struct submission *s)
{
    if (s == NULL)
        return;
    arena_done(&s->arena);
    alloc_free(s);
}

/* ---- checks; each returns false with *st set ---- */

static bool check_cast(const NE(SimulationRequest) * r, const struct catalogue *k, nrpc_status *st)
{
    struct buf unknown = { 0 };
    size_t n = 0;
    for (size_t i = 0; i < r->n_character_names; i++)
        if (catalogue_find(k, r->character_names[i]) == NULL)
            buf_printf(&unknown, "%s'%.64s'", n++ > 0 ? ", " : "", r->character_names[i]);
    if (n > 0)
        error_set(st, ERROR_CHARACTER_NOT_FOUND, "%s not found: %s", n > 1 ? "characters" : "character",
                  buf_str(&unknown));
    buf_done(&unknown);
    return n == 0;
}

static bool check_focaliser(const NE(SimulationRequest) * r, const struct nvl_telling *t, nrpc_status *st)
{
    if (t->focaliser == NULL || t->focaliser[0] == '\0')
        return true;
    for (size_t i = 0; i < r->n_character_names; i++)
        if (strcmp(r->character_names[i], t->focaliser) == 0)
            return true;
    error_set_field(st, "telling.focaliser", "'%.64s' is none of character_names", t->focaliser);
    return false;
}

static bool check_telling(const NE(SimulationRequest) * r, nrpc_status *st)
{
    struct nvl_telling t = tell_from_request(r);
    struct nvl_error err = { 0 };
    int rc = nvl_telling_check(&t, &err);
    if (rc == NVL_OK)
        return check_focaliser(r, &t, st);
    /* Name the place where the caller put it. */
    const char *field = err.field;
    if (strcmp(field, "telling.narrative_style") == 0 &&
        (r->telling == NULL || r->telling->narrative_style[0] == '\0'))
        field = "narrative_style";
    else if (strcmp(field, "telling.perspective") == 0 &&
             (r->telling == NULL || r->telling->perspective[0] == '\0'))
        field = "constraints.perspective";
    error_set_field(st, field, "%s", err.message);
    return false;
}

static bool check_request(const NE(SimulationRequest) * r, const struct catalogue *k, nrpc_status *st)
{
    if (!check_cast(r, k, st) || !check_telling(r, st))
        return false;
    if (strlen(r->campaign_id) >= STORE_CAMPAIGN_SIZE) {
        error_set(st, ERROR_CAMPAIGN_NOT_FOUND, "campaign '%.64s' not found", r->campaign_id);
        return false;
    }
    if (r->telling != NULL && r->telling->narrator == NOVELENGINE__V1__TELLING__NARRATOR__NARRATOR_MODEL) {
        error_set(st, ERROR_NARRATOR_NOT_CONFIGURED, "no language model is configured on this server");
        return false;
    }
    return true;
}

/* ---- what is derived ---- */

/* Unicode normalisation form C, in the arena; NULL without memory.  The text is valid UTF-8. */
static char *normalise(struct arena *a, const char *text)
{
    size_t size = strlen(text);
    bool ascii = true;
    for (size_t i = 0; ascii && i < size; i++)
        ascii = (unsigned char) text[i] < 0x80;
    if (ascii)
        return arena_strndup(a, text, size);
    utf8proc_uint8_t *out = NULL;
    utf8proc_ssize_t n = utf8proc_map((const utf8proc_uint8_t *) text, (utf8proc_ssize_t) size, &out,
                                      UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    char *copy = n < 0 ? NULL : arena_strndup(a, (const char *) out, (size_t) n);
    free(out);
    return copy;
}

static int draw_seed(uint64_t *out)
{
    do {
        if (getrandom(out, sizeof *out, 0) != (ssize_t) sizeof *out)
            return -1;
        *out >>= 11; /* 53 bits: JSON numbers can carry it back */
    } while (*out == 0);
    return 0;
}

static struct store_bytes pack(struct arena *a, const ProtobufCMessage *m)
{
    size_t size = protobuf_c_message_get_packed_size(m);
    uint8_t *bytes = arena_get(a, size);
    if (bytes != NULL)
        protobuf_c_message_pack(m, bytes);
    return (struct store_bytes) { bytes, size };
}

/* The idempotency key of the call, and the digest of what it was sent with. */
static bool take_key(struct submission *s, nrpc_call *c, const ProtobufCMessage *r, nrpc_status *st)
{
    nrpc_slice key;
    if (!nrpc_metadata_get(nrpc_call_headers_in(c), "idempotency-key", 0, &key) || key.size == 0)
        return true;
    if (key.size > STORE_KEY_MAX) {
        error_set_field(st, "idempotency-key", "is longer than %d bytes", STORE_KEY_MAX);
        return false;
    }
    struct store_bytes payload = pack(&s->arena, r);
    s->submit.submit.key = arena_strndup(&s->arena, (const char *) key.data, key.size);
    if (payload.data == NULL || s->submit.submit.key == NULL) {
        error_set(st, ERROR_OUT_OF_MEMORY, "the server is out of memory");
        return false;
    }
    sha256_of(payload.data, payload.size, s->submit.submit.key_digest);
    return true;
}

/* The engine's header: what is run, whatever becomes of cards and packs later. */
static bool make_header(struct submission *s, const NE(SimulationRequest) * shown, const struct catalogue *k,
                        nrpc_status *st)
{
    const struct nvl_pack *p = s->service->o.pack;
    struct nvl_profile cast[NVL_CAST_MAX] = { 0 };
    struct nvl_request request = {
        .turns = (uint32_t) shown->turns->value,
        .seed = shown->seed->value,
        .setting = shown->setting,
        .scenario = shown->scenario,
        .cast = cast,
        .cast_count = shown->n_character_names,
    };
    bool ok = nvl_mood_parse(shown->mood, &request.mood) == NVL_OK;
    for (size_t i = 0; ok && i < request.cast_count; i++)
        ok = profile_make(catalogue_find(k, shown->character_names[i])->message, k, &s->arena, &cast[i]) == 0;
    struct buf header = { 0 };
    struct nvl_error err = { 0 };
    uint8_t hash_0[SHA256_SIZE];
    int rc = ok ? nvl_header_encode(&request, nvl_pack_digest(p), &header, hash_0, &err) : NVL_E_NOMEM;
    uint8_t *copy = rc == NVL_OK && !header.failed ? arena_copy(&s->arena, header.data, header.size) : NULL;
    s->submit.submit.header = (struct store_bytes) { copy, header.size };
    buf_done(&header);
    if (rc == NVL_E_INVALID)
        error_set_field(st, err.field, "%s", err.message);
    else if (copy == NULL)
        error_set(st, ERROR_OUT_OF_MEMORY, "the server is out of memory");
    return copy != NULL;
}

static bool fill(struct submission *s, nrpc_call *c, const NE(SimulationRequest) * r, nrpc_status *st)
{
    const struct catalogue *k = service_catalogue(s->service, c);
    if (!check_request(r, k, st))
        return false;
    NE(SimulationRequest) shown = *r;
    PB(Int32Value) turns = GOOGLE__PROTOBUF__INT32_VALUE__INIT;
    PB(UInt64Value) seed = GOOGLE__PROTOBUF__UINT64_VALUE__INIT;
    turns.value = r->turns != NULL ? r->turns->value : TURNS_DEFAULT;
    shown.turns = &turns;
    shown.seed = r->seed != NULL ? r->seed : &seed;
    shown.setting = normalise(&s->arena, r->setting);
    shown.scenario = normalise(&s->arena, r->scenario);
    struct store_submit *out = &s->submit.submit;
    if (shown.setting != NULL && shown.scenario != NULL && (r->seed != NULL || draw_seed(&seed.value) == 0))
        out->request = pack(&s->arena, &shown.base);
    if (out->request.data == NULL) {
        error_set(st, ERROR_OUT_OF_MEMORY, "the server is out of memory");
        return false;
    }
    if (!make_header(s, &shown, k, st))
        return false;
    memcpy(s->campaign, r->campaign_id, strlen(r->campaign_id) + 1);
    jobs_new_id(out->id);
    out->turns = turns.value;
    out->abi = NVL_ENGINE_ABI;
    out->now_us = service_wall_us();
    memcpy(out->pack_digest, nvl_pack_digest(s->service->o.pack), sizeof out->pack_digest);
    out->pack.data = nvl_pack_image(s->service->o.pack, &out->pack.size);
    return true;
}

struct submission *submission_begin(struct service *service, nrpc_call *c, const ProtobufCMessage *request,
                                    nrpc_status *st)
{
    struct submission *s = alloc_zero(1, sizeof *s);
    if (s == NULL) {
        error_set(st, ERROR_OUT_OF_MEMORY, "the server is out of memory");
        return NULL;
    }
    arena_init(&s->arena, 4096);
    s->service = service;
    s->call = nrpc_call_ref(c);
    s->loop = nrpc_call_loop(c);
    if (take_key(s, c, request, st))
        return s;
    submission_free(s);
    return NULL;
}

struct submission *submission_new(struct service *service, nrpc_call *c, const NE(SimulationRequest) * request)
{
    if (!service_valid(c, &request->base))
        return NULL;
    nrpc_status st = NRPC_STATUS_INIT;
    struct submission *s = submission_begin(service, c, &request->base, &st);
    if (s != NULL && fill(s, c, request, &st))
        return s;
    nrpc_call_finish(c, &st);
    nrpc_status_clear(&st);
    submission_free(s);
    return NULL;
}

/* ---- submitting ---- */

static void submitted_on_loop(nrpc_task *t, nrpc_loop *loop)
{
    struct submission *s = CONTAINER_OF(t, struct submission, task);
    nrpc_call *c = nrpc_call_get(loop, s->call);
    const struct jobs_request *r = &s->submit.request;
    bool exists = r->result == JOBS_E_STORE && r->store == STORE_E_EXISTS;
    if (c == NULL) {
        submission_free(s);
        return;
    }
    if (r->result == JOBS_OK || (exists && s->submit.submit.existing_same)) {
        s->simulation_id = exists ? s->submit.submit.existing_id : s->submit.submit.id;
        s->done(s, c);
        return;
    }
    bool chapter = s->campaign[0] != '\0' && r->result == JOBS_E_STORE;
    if (chapter && r->store == STORE_E_NOT_FOUND)
        error_reply(c, ERROR_CAMPAIGN_NOT_FOUND, "campaign '%.64s' not found", s->campaign);
    else if (chapter && r->store == STORE_E_STALE)
        error_reply(c, ERROR_CHAPTER_OPEN, "another chapter of '%s' is being written, or came first", s->campaign);
    else if (exists)
        error_reply(c, ERROR_IDEMPOTENCY_KEY_REUSED, "the idempotency key was used with another request (simulation %s)",
                    s->submit.submit.existing_id);
    else
        service_reply_jobs(c, r->result, r->store, s->submit.submit.id);
    submission_free(s);
}

static void submitted(struct jobs_request *r)
{
    struct submission *s = CONTAINER_OF(r, struct submission, submit.request);
    s->task.run = submitted_on_loop;
    nrpc_loop_post(s->loop, &s->task);
}

static void post(struct submission *s)
{
    s->submit.request.done = submitted;
    jobs_post_submit(s->service->o.jobs, &s->submit);
}

/* The header names what the last finished chapter handed on. */
static bool go_on_from(struct submission *s)
{
    static const uint8_t none[STORE_DIGEST_SIZE];
    const struct store_campaign_row *row = &s->campaign_read.rows[0];
    struct store_submit *out = &s->submit.submit;
    out->campaign = s->campaign;
    for (size_t i = row->n_chapters; i-- > 0;)
        if (row->chapters[i].state == STORE_COMPLETED && memcmp(row->carries[i], none, sizeof none) != 0) {
            memcpy(out->carry_digest, row->carries[i], sizeof out->carry_digest);
            /* The bytes are ours: make_header copied them into the arena. */
            return nvl_header_put_carry((void *) out->header.data, out->header.size, out->carry_digest) == NVL_OK;
        }
    return true;
}

static void campaign_on_loop(nrpc_task *t, nrpc_loop *loop)
{
    struct submission *s = CONTAINER_OF(t, struct submission, task);
    nrpc_call *c = nrpc_call_get(loop, s->call);
    enum store_result r = s->campaign_read.read.result;
    bool ready = c != NULL && r == STORE_OK && go_on_from(s);
    arena_done(&s->campaign_read.read.arena);
    if (ready) {
        post(s);
        return;
    }
    if (c != NULL && r == STORE_E_NOT_FOUND)
        error_reply(c, ERROR_CAMPAIGN_NOT_FOUND, "campaign '%.64s' not found", s->campaign);
    else if (c != NULL)
        service_reply_store(c, r == STORE_OK ? STORE_E_IO : r);
    submission_free(s);
}

static void campaign_read(struct store_read *r)
{
    struct submission *s =
        CONTAINER_OF(CONTAINER_OF(r, struct store_read_campaigns, read), struct submission, campaign_read);
    s->task.run = campaign_on_loop;
    nrpc_loop_post(s->loop, &s->task);
}

void submission_post(struct submission *s, void (*done)(struct submission *s, nrpc_call *c))
{
    s->done = done;
    if (s->campaign[0] == '\0') {
        post(s);
        return;
    }
    s->campaign_read = (struct store_read_campaigns) { .read.kind = STORE_READ_CAMPAIGNS, .read.done = campaign_read };
    s->campaign_read.id = s->campaign;
    arena_init(&s->campaign_read.read.arena, 4096);
    store_read_post(s->service->o.store, &s->campaign_read.read);
}
