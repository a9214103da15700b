/* characters.c — reading characters, and changing them one change at a time.
 *
 * The way of a change: handler (home loop) → first loop, where changes queue → store's writer → first loop:
 * new catalogue → every other loop in turn takes it → first loop: next change → home loop: answer.
 * A change with an idempotency key asks the store for the key before it is decided (once.h). */
#include <stdio.h>
#include <string.h>

#include "rpc/base/alloc.h"
#include "rpc/base/check.h"
#include "server/service/inner.h"
#include "server/service/mask.h"
#include "server/service/once.h"

/* ---- reading ---- */

static void reply_not_found(nrpc_call *c, const char *id)
{
    error_reply(c, ERROR_CHARACTER_NOT_FOUND, "character '%.64s' not found", id);
}

void handle_get_character(nrpc_call *c, void *ctx, nrpc_msg *m)
{
    const char *id = novelengine_v1_novel_engine_get_character_request(m)->character_id;
    const struct character *found = catalogue_find(service_catalogue(ctx, c), id);
    if (found != NULL)
        nrpc_call_reply_bytes(c, (nrpc_slice) { found->packed, found->packed_size });
    else
        reply_not_found(c, id);
    nrpc_msg_free(m);
}

/* Where a page starts: the token is the last id of the page before. */
static bool page_start(nrpc_call *c, const struct catalogue *k, const char *token, size_t *out)
{
    if (token[0] == '\0') {
        *out = 0;
        return true;
    }
    nrpc_status st = NRPC_STATUS_INIT;
    if (!card_id_valid(token)) {
        error_set_field(&st, "page_token", "is not a token of this list");
        nrpc_call_finish(c, &st);
        nrpc_status_clear(&st);
        return false;
    }
    size_t at = catalogue_index(k, token);
    *out = at + (at < k->count && strcmp(k->items[at]->message->character_id, token) == 0);
    return true;
}

static void reply_page(nrpc_call *c, const struct catalogue *k, size_t from, size_t n, bool full)
{
    char **ids = nrpc_call_alloc(c, (n + 1) * sizeof *ids);
    NE(Character) **profiles = nrpc_call_alloc(c, (n + 1) * sizeof *profiles);
    if (ids == NULL || profiles == NULL) {
        error_reply(c, ERROR_OUT_OF_MEMORY, "the server is out of memory");
        return;
    }
    for (size_t i = 0; i < n; i++) {
        profiles[i] = (NE(Character) *) k->items[from + i]->message;
        ids[i] = profiles[i]->character_id;
    }
    NE(ListCharactersResponse) answer = NOVELENGINE__V1__LIST_CHARACTERS_RESPONSE__INIT;
    answer.n_characters = n;
    answer.characters = ids;
    answer.count = (int32_t) k->count;
    answer.next_page_token = n > 0 && from + n < k->count ? ids[n - 1] : "";
    if (full) {
        answer.n_profiles = n;
        answer.profiles = profiles;
    }
    nrpc_call_reply(c, &answer.base);
}

void handle_list_characters(nrpc_call *c, void *ctx, nrpc_msg *m)
{
    const NE(ListCharactersRequest) *r = novelengine_v1_novel_engine_list_characters_request(m);
    const struct catalogue *k = service_catalogue(ctx, c);
    size_t from;
    if (service_valid(c, &r->base) && page_start(c, k, r->page_token, &from)) {
        size_t n = k->count - from;
        if (r->page_size > 0 && (size_t) r->page_size < n)
            n = (size_t) r->page_size;
        reply_page(c, k, from, n, r->view == NOVELENGINE__V1__LIST_CHARACTERS_REQUEST__VIEW__VIEW_FULL);
    }
    nrpc_msg_free(m);
}

/* ---- changing ---- */

enum change_kind { CHANGE_CREATE, CHANGE_UPDATE, CHANGE_DELETE, CHANGE_RESET };
struct change {
    struct list link; /* service.changes */
    nrpc_task task;
    struct store_character write;
    struct service *service;
    enum change_kind kind;
    nrpc_call_id call;
    nrpc_loop *home;
    nrpc_msg *request;
    char id[64];
    struct character *made;      /* NULL: deleted */
    struct catalogue *catalogue; /* the new one */
    size_t at_loop;              /* next loop that takes it */
    char tag[80];
    const char *tags[2];
    nrpc_status status;
    struct once once;
    enum once_result looked;
};

static void change_free(struct change *ch)
{
    character_unref(ch->made);
    catalogue_unref(ch->catalogue);
    nrpc_msg_free(ch->request);
    nrpc_status_clear(&ch->status);
    once_done(&ch->once);
    alloc_free(ch);
}

/* True, and the change is gone: the loops have ended, nobody waits for an answer any more. */
static bool change_halted(struct change *ch)
{
    if (!atomic_load(&ch->service->halted))
        return false;
    list_remove(&ch->link);
    change_free(ch);
    return true;
}

void service_drop_changes(struct service *s)
{
    for (struct list *link; (link = list_take(&s->changes)) != NULL;)
        change_free(LIST_ENTRY(link, struct change, link));
}

static void change_answer(nrpc_task *t, nrpc_loop *loop)
{
    struct change *ch = CONTAINER_OF(t, struct change, task);
    nrpc_call *c = nrpc_call_get(loop, ch->call);
    if (c != NULL) {
        if (ch->status.code != NRPC_OK)
            nrpc_call_finish(c, &ch->status);
        else if (ch->looked == ONCE_SAME)
            nrpc_call_reply_bytes(c, (nrpc_slice) { ch->once.look.reply.data, ch->once.look.reply.size });
        else if (ch->made != NULL)
            nrpc_call_reply_bytes(c, (nrpc_slice) { ch->made->packed, ch->made->packed_size });
        else
            nrpc_call_reply_bytes(c, (nrpc_slice) { NULL, 0 }); /* Empty */
    }
    change_free(ch);
}

static void change_work(struct change *ch);

/* On the first loop: this one is through; the next may start. */
static void change_end(struct change *ch)
{
    struct service *s = ch->service;
    list_remove(&ch->link);
    ch->task.run = change_answer;
    nrpc_loop_post(ch->home, &ch->task);
    if (!list_empty(&s->changes))
        change_work(LIST_ENTRY(s->changes.next, struct change, link));
}

static void change_announced(void *ctx)
{
    struct change *ch = ctx;
    if (!change_halted(ch))
        change_end(ch);
}

/* Every loop shows the new state; caches must forget the old one before the change is answered.  The tags are those of
 * the contract's routes. */
static void change_announce(struct change *ch)
{
    snprintf(ch->tag, sizeof ch->tag, "character:%s", ch->id);
    ch->tags[0] = "characters";
    ch->tags[1] = ch->tag;
    invalidation_publish(ch->service->invalidation, ch->tags, 2, change_announced, ch);
}

static void change_spread(nrpc_task *t, nrpc_loop *loop)
{
    struct change *ch = CONTAINER_OF(t, struct change, task);
    struct service *s = ch->service;
    (void) loop;
    if (change_halted(ch))
        return;
    if (ch->at_loop == s->n_loops) {
        change_announce(ch);
        return;
    }
    struct service_loop *l = &s->loops[ch->at_loop++];
    catalogue_unref(l->catalogue);
    l->catalogue = catalogue_ref(ch->catalogue);
    ch->task.run = change_spread;
    nrpc_loop_post(s->loops[ch->at_loop < s->n_loops ? ch->at_loop : 0].loop, &ch->task);
}

static enum error_reason store_reason(enum store_result r)
{
    switch (r) {
    case STORE_E_FULL:
        return ERROR_STORE_FULL;
    case STORE_E_READ_ONLY:
        return ERROR_STORE_READ_ONLY;
    case STORE_E_BUSY:
        return ERROR_STORE_BUSY;
    case STORE_E_CLOSED:
        return ERROR_SHUTTING_DOWN;
    case STORE_E_NOMEM:
        return ERROR_OUT_OF_MEMORY;
    default:
        return ERROR_STORE_FAILED;
    }
}

static void refuse_key(struct change *ch)
{
    error_set(&ch->status, ERROR_IDEMPOTENCY_KEY_REUSED, "the idempotency key was used with another request");
}

static void change_written(nrpc_task *t, nrpc_loop *loop)
{
    struct change *ch = CONTAINER_OF(t, struct change, task);
    struct service *s = ch->service;
    enum store_result result = ch->write.write.result;
    if (change_halted(ch))
        return;
    if (result == STORE_E_EXISTS) { /* between look and write somebody took the key */
        refuse_key(ch);
        change_end(ch);
        return;
    }
    if (result != STORE_OK) {
        error_set(&ch->status, store_reason(result), "the change of '%s' was not stored (%s)", ch->id,
                  store_result_name(result));
        change_end(ch);
        return;
    }
    ch->catalogue = catalogue_with(s->loops[0].catalogue, ch->id, ch->made);
    if (ch->catalogue == NULL) { /* stored, so the next start shows it; but not here */
        error_set(&ch->status, ERROR_OUT_OF_MEMORY, "the server is out of memory");
        change_end(ch);
        return;
    }
    change_spread(t, loop);
}

static void change_store_done(struct store_write *w)
{
    struct change *ch = CONTAINER_OF(w, struct change, write.write);
    ch->task.run = change_written;
    nrpc_loop_post(ch->service->loops[0].loop, &ch->task);
}

static const NE(Character) * request_character(const struct change *ch)
{
    return ch->kind == CHANGE_CREATE ? novelengine_v1_novel_engine_create_character_request(ch->request)->character
                                     : novelengine_v1_novel_engine_update_character_request(ch->request)->character;
}

/* A copy of m with the members that the server decides. */
static void change_make(struct change *ch, const NE(Character) * m, const PB(Timestamp) * created)
{
    uint64_t now_us = service_wall_us();
    PB(Timestamp) now = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
    now.seconds = (int64_t) (now_us / 1000000);
    now.nanos = (int32_t) (now_us % 1000000 * 1000);
    NE(Character) copy = *m;
    copy.character_name = copy.character_id;
    copy.create_time = created != NULL ? (PB(Timestamp) *) created : &now;
    copy.update_time = &now;
    ch->made = character_new(&copy);
    if (ch->made == NULL)
        error_set(&ch->status, ERROR_OUT_OF_MEMORY, "the server is out of memory");
}

static void decide_create(struct change *ch, const struct catalogue *k)
{
    if (catalogue_find(k, ch->id) != NULL)
        error_set(&ch->status, ERROR_CHARACTER_EXISTS, "character '%s' already exists", ch->id);
    else if (k->count >= CHARACTERS_MAX)
        error_set(&ch->status, ERROR_CHARACTER_LIMIT, "there are %d characters, which is the limit", CHARACTERS_MAX);
    else
        change_make(ch, request_character(ch), NULL);
}

static bool etag_fits(struct change *ch, const char *given, const struct character *old)
{
    if (given[0] == '\0' || strcmp(given, old->message->etag) == 0)
        return true;
    error_set(&ch->status, ERROR_ETAG_MISMATCH, "character '%s' has changed since it was read", ch->id);
    return false;
}

static void decide_update(struct change *ch, const struct character *old)
{
    const NE(UpdateCharacterRequest) *r = novelengine_v1_novel_engine_update_character_request(ch->request);
    if (!etag_fits(ch, r->character->etag, old))
        return;
    NE(Character) merged = *old->message; /* shallow: character_new copies it whole */
    struct arena scratch;
    arena_init(&scratch, 1024);
    if (mask_apply(&merged.base, &r->character->base, r->update_mask, &scratch, &ch->status) == 0) {
        if (merged.name[0] == '\0')
            error_set_field(&ch->status, "character.name", "may not be empty");
        else
            change_make(ch, &merged, old->message->create_time);
    }
    arena_done(&scratch);
}

static void decide_reset(struct change *ch)
{
    struct character *shipped = catalogue_find(ch->service->o.shipped, ch->id);
    if (shipped == NULL)
        error_set(&ch->status, ERROR_CHARACTER_NOT_FOUND, "character '%s' not found among those that are shipped",
                  ch->id);
    else
        ch->made = character_ref(shipped);
}

static void change_decide(struct change *ch)
{
    const struct catalogue *k = ch->service->loops[0].catalogue;
    const struct character *old = catalogue_find(k, ch->id);
    if (ch->kind == CHANGE_CREATE)
        decide_create(ch, k);
    else if (ch->kind == CHANGE_RESET)
        decide_reset(ch);
    else if (old == NULL)
        error_set(&ch->status, ERROR_CHARACTER_NOT_FOUND, "character '%s' not found", ch->id);
    else if (ch->kind == CHANGE_UPDATE)
        decide_update(ch, old);
    else
        (void) etag_fits(ch, novelengine_v1_novel_engine_delete_character_request(ch->request)->etag, old);
}

static void change_write(struct change *ch)
{
    static const uint8_t empty[1];
    ch->write.write.kind = STORE_WRITE_CHARACTER;
    ch->write.write.done = change_store_done;
    ch->write.id = ch->id;
    ch->write.now_us = service_wall_us();
    if (ch->made != NULL)
        ch->write.data = (struct store_bytes) { ch->made->packed, ch->made->packed_size };
    if (ch->once.used) {
        ch->once.key.reply = ch->made != NULL ? ch->write.data : (struct store_bytes) { empty, 0 };
        ch->write.write.once = &ch->once.key;
    }
    store_write_post(ch->service->o.store, &ch->write.write);
}

static void change_begin(struct change *ch)
{
    change_decide(ch);
    if (ch->status.code != NRPC_OK)
        change_end(ch);
    else
        change_write(ch);
}

static void change_looked(nrpc_task *t, nrpc_loop *loop)
{
    struct change *ch = CONTAINER_OF(t, struct change, task);
    (void) loop;
    if (change_halted(ch))
        return;
    if (ch->looked == ONCE_FREE) {
        change_begin(ch);
        return;
    }
    if (ch->looked == ONCE_OTHER)
        refuse_key(ch);
    else if (ch->looked == ONCE_FAILED)
        error_set(&ch->status, store_reason(ch->once.look.read.result), "the idempotency key could not be read (%s)",
                  store_result_name(ch->once.look.read.result));
    change_end(ch);
}

static void change_look_done(struct once *o, enum once_result result)
{
    struct change *ch = CONTAINER_OF(o, struct change, once);
    ch->looked = result;
    ch->task.run = change_looked;
    nrpc_loop_post(ch->service->loops[0].loop, &ch->task);
}

static void change_work(struct change *ch)
{
    if (ch->once.used)
        once_look(&ch->once, ch->service->o.store, service_wall_us(), change_look_done);
    else
        change_begin(ch);
}

static void change_arrive(nrpc_task *t, nrpc_loop *loop)
{
    struct change *ch = CONTAINER_OF(t, struct change, task);
    (void) loop;
    if (change_halted(ch))
        return;
    bool idle = list_empty(&ch->service->changes);
    list_add_tail(&ch->service->changes, &ch->link);
    if (idle)
        change_work(ch);
}

/* Takes m; request is what it holds. */
static void change_post(nrpc_call *c, struct service *s, enum change_kind kind, const char *id,
                        const ProtobufCMessage *request, nrpc_msg *m)
{
    struct change *ch = strlen(id) < sizeof ch->id ? alloc_zero(1, sizeof *ch) : NULL;
    if (ch == NULL) {
        if (strlen(id) >= sizeof ch->id)
            reply_not_found(c, id);
        else
            error_reply(c, ERROR_OUT_OF_MEMORY, "the server is out of memory");
        nrpc_msg_free(m);
        return;
    }
    if (!once_take(&ch->once, c, request, &ch->status)) {
        nrpc_call_finish(c, &ch->status);
        nrpc_status_clear(&ch->status);
        alloc_free(ch);
        nrpc_msg_free(m);
        return;
    }
    list_init(&ch->link);
    ch->service = s;
    ch->kind = kind;
    ch->call = nrpc_call_ref(c);
    ch->home = nrpc_call_loop(c);
    ch->request = m;
    memcpy(ch->id, id, strlen(id) + 1);
    ch->task.run = change_arrive;
    nrpc_loop_post(s->loops[0].loop, &ch->task);
}

static void refuse_field(nrpc_call *c, nrpc_msg *m, const char *field, const char *what)
{
    nrpc_status st = NRPC_STATUS_INIT;
    error_set_field(&st, field, "%s", what);
    nrpc_call_finish(c, &st);
    nrpc_status_clear(&st);
    nrpc_msg_free(m);
}

void handle_create_character(nrpc_call *c, void *ctx, nrpc_msg *m)
{
    const NE(CreateCharacterRequest) *r = novelengine_v1_novel_engine_create_character_request(m);
    if (!service_valid(c, &r->base))
        nrpc_msg_free(m);
    else if (!card_id_valid(r->character->character_id))
        refuse_field(c, m, "character.character_id", "must be a lower-case letter, then up to 62 of a-z, 0-9 and _");
    else if (r->character->name[0] == '\0')
        refuse_field(c, m, "character.name", "is required");
    else
        change_post(c, ctx, CHANGE_CREATE, r->character->character_id, &r->base, m);
}

void handle_update_character(nrpc_call *c, void *ctx, nrpc_msg *m)
{
    const NE(UpdateCharacterRequest) *r = novelengine_v1_novel_engine_update_character_request(m);
    if (!service_valid(c, &r->base))
        nrpc_msg_free(m);
    else
        change_post(c, ctx, CHANGE_UPDATE, r->character->character_id, &r->base, m);
}

void handle_delete_character(nrpc_call *c, void *ctx, nrpc_msg *m)
{
    const NE(DeleteCharacterRequest) *r = novelengine_v1_novel_engine_delete_character_request(m);
    change_post(c, ctx, CHANGE_DELETE, r->character_id, &r->base, m);
}

void handle_reset_character(nrpc_call *c, void *ctx, nrpc_msg *m)
{
    const NE(ResetCharacterRequest) *r = novelengine_v1_novel_engine_reset_character_request(m);
    change_post(c, ctx, CHANGE_RESET, r->character_id, &r->base, m);
}

/* ---- at start ---- */

int service_load_overlays(struct store *store, const struct catalogue *shipped, struct catalogue **out_current,
                          char *why, size_t why_size)
{
    struct store_read_characters q = { .read.kind = STORE_READ_CHARACTERS };
    arena_init(&q.read.arena, 65536);
    store_read_wait(store, &q.read);
    struct catalogue *k = q.read.result == STORE_OK ? catalogue_ref((struct catalogue *) shipped) : NULL;
    if (k == NULL)
        snprintf(why, why_size, "cannot read the stored characters: %s", store_result_name(q.read.result));
    for (size_t i = 0; k != NULL && i < q.n_overlays; i++) {
        const struct store_overlay *o = &q.overlays[i];
        struct character *c = o->data.data == NULL ? NULL : character_unpack(o->data.data, o->data.size);
        struct catalogue *next = o->data.data != NULL && c == NULL ? NULL : catalogue_with(k, o->id, c);
        character_unref(c);
        catalogue_unref(k);
        k = next;
        if (k == NULL)
            snprintf(why, why_size, "the stored character '%s' cannot be read", o->id);
    }
    arena_done(&q.read.arena);
    if (k == NULL)
        return -1;
    *out_current = k;
    return 0;
}
