/* sqlite_read.c — what each read does, on a reader's connection. */
#include <string.h>

#include "rpc/base/check.h"
#include "server/store/sqlite.h"

enum {
    COL_NUMBER,
    COL_ID,
    COL_STATE,
    COL_EPOCH,
    COL_ATTEMPTS,
    COL_ABI,
    COL_PACK,
    COL_TURNS,
    COL_TURNS_DONE,
    COL_LAST_SEQUENCE,
    COL_HEAD,
    COL_REQUEST,
    COL_RESULT,
    COL_ERROR,
    COL_CREATE,
    COL_START,
    COL_END,
    COL_DIRECTOR,
    COL_CAMPAIGN,
    COL_PARENT,
    COL_FORK_TURN,
    COL_HEADER
};

/* Copies a blob into the arena; a NULL column stays absent.  False without memory. */
static bool take_bytes(struct arena *a, sqlite3_stmt *st, int column, struct store_bytes *out)
{
    *out = (struct store_bytes){ 0 };
    if (sqlite3_column_type(st, column) == SQLITE_NULL)
        return true;
    const void *data = sqlite3_column_blob(st, column);
    size_t size = (size_t) sqlite3_column_bytes(st, column);
    if (size > 0 && data == NULL)
        return false;
    uint8_t *copy = arena_get(a, size + 1);
    if (copy == NULL)
        return false;
    if (size > 0)
        memcpy(copy, data, size);
    copy[size] = 0; /* text may be used as such */
    *out = (struct store_bytes){ copy, size };
    return true;
}

static void take_digest(sqlite3_stmt *st, int column, uint8_t out[STORE_DIGEST_SIZE])
{
    const void *data = sqlite3_column_blob(st, column);
    memset(out, 0, STORE_DIGEST_SIZE);
    if (data != NULL && sqlite3_column_bytes(st, column) == STORE_DIGEST_SIZE)
        memcpy(out, data, STORE_DIGEST_SIZE);
}

static bool take_row(struct arena *a, sqlite3_stmt *st, int with, struct store_row *out)
{
    *out = (struct store_row){ 0 };
    const char *id = (const char *) sqlite3_column_text(st, COL_ID);
    if (id == NULL)
        return false;
    const char *campaign = (const char *) sqlite3_column_text(st, COL_CAMPAIGN);
    if (campaign != NULL)
        strncpy(out->campaign, campaign, sizeof out->campaign - 1);
    out->number = sqlite3_column_int64(st, COL_NUMBER);
    strncpy(out->id, id, sizeof out->id - 1);
    out->state = sqlite3_column_int(st, COL_STATE);
    out->epoch = (uint64_t) sqlite3_column_int64(st, COL_EPOCH);
    out->attempts = (uint32_t) sqlite3_column_int64(st, COL_ATTEMPTS);
    out->abi = (uint32_t) sqlite3_column_int64(st, COL_ABI);
    out->turns = sqlite3_column_int(st, COL_TURNS);
    out->turns_done = sqlite3_column_int(st, COL_TURNS_DONE);
    out->last_sequence = (uint64_t) sqlite3_column_int64(st, COL_LAST_SEQUENCE);
    out->create_us = (uint64_t) sqlite3_column_int64(st, COL_CREATE);
    out->start_us = (uint64_t) sqlite3_column_int64(st, COL_START);
    out->end_us = (uint64_t) sqlite3_column_int64(st, COL_END);
    out->director = sqlite3_column_int(st, COL_DIRECTOR);
    const char *parent = (const char *) sqlite3_column_text(st, COL_PARENT);
    if (parent != NULL)
        strncpy(out->parent, parent, sizeof out->parent - 1);
    out->fork_turn = sqlite3_column_int(st, COL_FORK_TURN);
    take_digest(st, COL_PACK, out->pack_digest);
    take_digest(st, COL_HEAD, out->head);
    return take_bytes(a, st, COL_REQUEST, &out->request) &&
           take_bytes(a, st, COL_RESULT, &out->result) &&
           take_bytes(a, st, COL_ERROR, &out->error) &&
           ((with & STORE_WITH_HEADER) == 0 || take_bytes(a, st, COL_HEADER, &out->header));
}

static enum store_result failed(struct db *db)
{
    enum store_result r = db_result(db, sqlite3_extended_errcode(db->handle));
    return r == STORE_OK ? STORE_E_NOMEM : r;
}

static enum store_result read_story(struct db *db, struct arena *a, struct store_row *row)
{
    sqlite3_stmt *st = db_statement(db, SQL_STORY_GET);
    if (st == NULL)
        return failed(db);
    (void) sqlite3_bind_int64(st, 1, row->number);
    int rc = sqlite3_step(st);
    enum store_result result = STORE_OK; /* no row: failed or cancelled, there is no story */
    if (rc == SQLITE_ROW) {
        take_digest(st, 0, row->story_digest);
        if (!take_bytes(a, st, 1, &row->story) || !take_bytes(a, st, 2, &row->passages))
            result = STORE_E_NOMEM;
    } else if (rc != SQLITE_DONE) {
        result = failed(db);
    }
    (void) sqlite3_reset(st);
    return result;
}

static enum store_result read_row(struct db *db, struct arena *a, const char *id, int with,
                                  struct store_row *out)
{
    sqlite3_stmt *st = db_statement(db, SQL_ROW_BY_ID);
    if (st == NULL)
        return failed(db);
    (void) sqlite3_bind_text(st, 1, id, -1, SQLITE_STATIC);
    int rc = sqlite3_step(st);
    enum store_result result = rc == SQLITE_DONE            ? STORE_E_NOT_FOUND
                               : rc != SQLITE_ROW           ? failed(db)
                               : take_row(a, st, with, out) ? STORE_OK
                                                            : STORE_E_NOMEM;
    (void) sqlite3_reset(st);
    return result;
}

static enum store_result read_list(struct db *db, struct store_read_list *q)
{
    sqlite3_stmt *st = db_statement(db, q->unfinished         ? SQL_LIST_UNFINISHED
                                        : q->campaign[0] != '\0' ? SQL_LIST_CAMPAIGN
                                        : q->state != 0       ? SQL_LIST_STATE
                                                              : SQL_LIST_NEWEST);
    if (st == NULL)
        return failed(db);
    int64_t from = q->before != 0 || q->unfinished ? q->before : INT64_MAX;
    (void) sqlite3_bind_int64(st, 1, from);
    (void) sqlite3_bind_int64(
        st, 2, (sqlite3_int64) q->limit + 1); /* one more tells whether there is more */
    if (!q->unfinished && (q->state != 0 || q->campaign[0] != '\0'))
        (void) sqlite3_bind_int(st, 3, q->state);
    if (!q->unfinished && q->campaign[0] != '\0')
        (void) sqlite3_bind_text(st, 4, q->campaign, -1, SQLITE_STATIC);
    struct store_row *rows = arena_zero(&q->read.arena, q->limit > 0 ? q->limit : 1, sizeof *rows);
    size_t n = 0;
    enum store_result result = rows == NULL ? STORE_E_NOMEM : STORE_OK;
    q->more = false;
    while (result == STORE_OK) {
        int rc = sqlite3_step(st);
        if (rc == SQLITE_DONE)
            break;
        if (rc != SQLITE_ROW)
            result = failed(db);
        else if (n == q->limit) {
            q->more = true;
            break;
        } else if (!take_row(&q->read.arena, st, q->with, &rows[n++]))
            result = STORE_E_NOMEM;
    }
    (void) sqlite3_reset(st);
    q->rows = rows;
    q->n_rows = result == STORE_OK ? n : 0;
    return result;
}

static enum store_result read_event_rows(struct db *db, struct store_read_events *q)
{
    sqlite3_stmt *st = db_statement(db, SQL_EVENTS_GET);
    struct arena *a = &q->read.arena;
    if (st == NULL)
        return failed(db);
    (void) sqlite3_bind_int64(st, 1, q->row.number);
    (void) sqlite3_bind_int64(
        st, 2, q->after_sequence > INT64_MAX ? INT64_MAX : (sqlite3_int64) q->after_sequence);
    (void) sqlite3_bind_int64(st, 3, q->limit);
    q->events = arena_zero(a, q->limit > 0 ? q->limit : 1, sizeof *q->events);
    enum store_result result = q->events == NULL ? STORE_E_NOMEM : STORE_OK;
    size_t bytes = 0;
    while (result == STORE_OK && q->n_events < q->limit &&
           (q->n_events == 0 || bytes < q->byte_limit)) {
        int rc = sqlite3_step(st);
        if (rc == SQLITE_DONE)
            break;
        struct store_event *e = &q->events[q->n_events];
        if (rc != SQLITE_ROW) {
            result = failed(db);
        } else if (!take_bytes(a, st, 1, &e->wire) ||
                   (q->canonical && !take_bytes(a, st, 2, &e->canonical))) {
            result = STORE_E_NOMEM;
        } else {
            e->sequence = (uint64_t) sqlite3_column_int64(st, 0);
            bytes += e->wire.size + e->canonical.size;
            q->n_events++;
        }
    }
    (void) sqlite3_reset(st);
    return result;
}

/* One snapshot: the row and its events agree. */
static enum store_result read_events(struct db *db, struct store_read_events *q)
{
    int rc = db_run(db, SQL_BEGIN_READ);
    if (rc != SQLITE_OK)
        return db_result(db, rc);
    q->n_events = 0;
    q->events = NULL;
    enum store_result result = read_row(db, &q->read.arena, q->id, q->with, &q->row);
    if (result == STORE_OK && q->after_sequence < q->row.last_sequence)
        result = read_event_rows(db, q);
    uint64_t last = q->n_events > 0 ? q->events[q->n_events - 1].sequence : q->after_sequence;
    if (result == STORE_OK && (q->with & STORE_WITH_STORY) != 0 &&
        store_state_final(q->row.state) && last >= q->row.last_sequence)
        result = read_story(db, &q->read.arena, &q->row);
    (void) db_run(db, SQL_COMMIT);
    return result;
}

/* The bytes whose digest is asked for: a pack, a carry. */
static enum store_result read_by_digest(struct db *db, enum sql which,
                                        const uint8_t digest[STORE_DIGEST_SIZE], struct arena *a,
                                        struct store_bytes *out)
{
    sqlite3_stmt *st = db_statement(db, which);
    if (st == NULL)
        return failed(db);
    (void) sqlite3_bind_blob(st, 1, digest, STORE_DIGEST_SIZE, SQLITE_STATIC);
    int rc = sqlite3_step(st);
    enum store_result result = rc == SQLITE_DONE           ? STORE_E_NOT_FOUND
                               : rc != SQLITE_ROW          ? failed(db)
                               : take_bytes(a, st, 0, out) ? STORE_OK
                                                           : STORE_E_NOMEM;
    (void) sqlite3_reset(st);
    return result;
}

static enum store_result read_pack(struct db *db, struct store_read_pack *q)
{
    return read_by_digest(db, SQL_PACK_GET, q->digest, &q->read.arena, &q->image);
}

static enum store_result read_carry(struct db *db, struct store_read_carry *q)
{
    return read_by_digest(db, SQL_CARRY_GET, q->digest, &q->read.arena, &q->data);
}

static enum store_result read_characters(struct db *db, struct store_read_characters *q)
{
    sqlite3_stmt *st = db_statement(db, SQL_CHARACTERS_GET);
    struct arena *a = &q->read.arena;
    if (st == NULL)
        return failed(db);
    size_t capacity = 0;
    q->n_overlays = 0;
    enum store_result result = STORE_OK;
    for (int rc = sqlite3_step(st); result == STORE_OK && rc != SQLITE_DONE;
         rc = sqlite3_step(st)) {
        if (rc != SQLITE_ROW) {
            result = failed(db);
            break;
        }
        if (q->n_overlays == capacity) {
            capacity = capacity == 0 ? 16 : capacity * 2;
            struct store_overlay *grown = arena_zero(a, capacity, sizeof *grown);
            if (grown != NULL && q->n_overlays > 0)
                memcpy(grown, q->overlays, q->n_overlays * sizeof *grown);
            q->overlays = grown;
        }
        const char *id = (const char *) sqlite3_column_text(st, 0);
        struct store_overlay *o = q->overlays != NULL ? &q->overlays[q->n_overlays] : NULL;
        if (o == NULL || id == NULL || (o->id = arena_strndup(a, id, strlen(id))) == NULL ||
            !take_bytes(a, st, 1, &o->data)) {
            result = STORE_E_NOMEM;
            break;
        }
        o->update_us = (uint64_t) sqlite3_column_int64(st, 2);
        q->n_overlays++;
    }
    (void) sqlite3_reset(st);
    return result;
}

static enum store_result read_key(struct db *db, struct store_read_key *q)
{
    sqlite3_stmt *st = db_statement(db, SQL_KEY_FIND);
    if (st == NULL)
        return failed(db);
    (void) sqlite3_bind_text(st, 1, q->key, -1, SQLITE_STATIC);
    (void) sqlite3_bind_int64(st, 2, (sqlite3_int64) q->now_us);
    int rc = sqlite3_step(st);
    enum store_result result = STORE_OK;
    if (rc == SQLITE_ROW) {
        const void *digest = sqlite3_column_blob(st, 0);
        q->same = sqlite3_column_type(st, 1) == SQLITE_BLOB && digest != NULL &&
                  sqlite3_column_bytes(st, 0) == STORE_DIGEST_SIZE &&
                  memcmp(digest, q->digest, STORE_DIGEST_SIZE) == 0;
        if (q->same && !take_bytes(&q->read.arena, st, 1, &q->reply))
            result = STORE_E_NOMEM;
    } else {
        result = rc == SQLITE_DONE ? STORE_E_NOT_FOUND : failed(db);
    }
    (void) sqlite3_reset(st);
    return result;
}

static enum store_result read_carry_of(struct db *db, int64_t number, uint8_t out[STORE_DIGEST_SIZE])
{
    sqlite3_stmt *st = db_statement(db, SQL_CARRY_OF);
    if (st == NULL)
        return failed(db);
    (void) sqlite3_bind_int64(st, 1, number);
    int rc = sqlite3_step(st);
    memset(out, 0, STORE_DIGEST_SIZE);
    if (rc == SQLITE_ROW)
        take_digest(st, 0, out);
    enum store_result result = rc == SQLITE_ROW || rc == SQLITE_DONE ? STORE_OK : failed(db);
    (void) sqlite3_reset(st);
    return result;
}

/* Room for one more of size bytes in an array of n that grows by doubling; NULL without memory. */
static void *one_more(struct arena *a, void *items, size_t n, size_t size)
{
    if (n != 0 && (n & (n - 1)) != 0)
        return items;
    uint8_t *grown = arena_zero(a, n == 0 ? 1 : n * 2, size);
    if (grown != NULL && n > 0)
        memcpy(grown, items, n * size);
    return grown;
}

static enum store_result read_chapters(struct db *db, struct arena *a, int with,
                                       struct store_campaign_row *row)
{
    sqlite3_stmt *st = db_statement(db, SQL_CHAPTERS_GET);
    if (st == NULL)
        return failed(db);
    (void) sqlite3_bind_text(st, 1, row->id, -1, SQLITE_STATIC);
    enum store_result result = STORE_OK;
    for (int rc = sqlite3_step(st); result == STORE_OK && rc != SQLITE_DONE; rc = sqlite3_step(st)) {
        if (rc != SQLITE_ROW) {
            result = failed(db);
            break;
        }
        row->chapters = one_more(a, row->chapters, row->n_chapters, sizeof *row->chapters);
        if (row->chapters == NULL || !take_row(a, st, with, &row->chapters[row->n_chapters++]))
            result = STORE_E_NOMEM;
    }
    (void) sqlite3_reset(st);
    row->carries = arena_zero(a, row->n_chapters + 1, sizeof *row->carries);
    if (row->carries == NULL)
        return STORE_E_NOMEM;
    for (size_t i = 0; result == STORE_OK && i < row->n_chapters; i++) {
        result = read_carry_of(db, row->chapters[i].number, row->carries[i]);
        if (result == STORE_OK && (with & STORE_WITH_STORY) != 0 &&
            store_state_final(row->chapters[i].state))
            result = read_story(db, a, &row->chapters[i]);
    }
    return result;
}

static enum store_result read_campaign_rows(struct db *db, struct store_read_campaigns *q)
{
    struct arena *a = &q->read.arena;
    sqlite3_stmt *st = db_statement(db, q->id != NULL ? SQL_CAMPAIGN_GET : SQL_CAMPAIGNS_GET);
    if (st == NULL)
        return failed(db);
    (void) sqlite3_bind_text(st, 1, q->id != NULL ? q->id : q->after, -1, SQLITE_STATIC);
    (void) sqlite3_bind_int64(st, 2, q->limit == 0 ? -1 : (sqlite3_int64) q->limit + 1);
    enum store_result result = STORE_OK;
    for (int rc = sqlite3_step(st); result == STORE_OK && rc != SQLITE_DONE; rc = sqlite3_step(st)) {
        if (rc != SQLITE_ROW) {
            result = failed(db);
            break;
        }
        if (q->limit != 0 && q->n_rows == q->limit) {
            q->more = true;
            break;
        }
        const char *id = (const char *) sqlite3_column_text(st, 0);
        q->rows = one_more(a, q->rows, q->n_rows, sizeof *q->rows);
        struct store_campaign_row *row = q->rows != NULL ? &q->rows[q->n_rows] : NULL;
        if (row == NULL || id == NULL || !take_bytes(a, st, 1, &row->data)) {
            result = STORE_E_NOMEM;
            break;
        }
        strncpy(row->id, id, sizeof row->id - 1);
        row->create_us = (uint64_t) sqlite3_column_int64(st, 2);
        row->update_us = (uint64_t) sqlite3_column_int64(st, 3);
        q->n_rows++;
    }
    (void) sqlite3_reset(st);
    return result;
}

static size_t chapter_bytes(const struct store_campaign_row *row)
{
    size_t bytes = row->data.size;
    for (size_t i = 0; i < row->n_chapters; i++) {
        const struct store_row *c = &row->chapters[i];
        bytes += sizeof *c + c->request.size + c->header.size + c->result.size + c->error.size +
                 c->story.size + c->passages.size;
    }
    return bytes;
}

/* One snapshot: campaigns and their chapters agree. */
static enum store_result read_campaigns(struct db *db, struct store_read_campaigns *q)
{
    int rc = db_run(db, SQL_BEGIN_READ);
    if (rc != SQLITE_OK)
        return db_result(db, rc);
    q->rows = NULL;
    q->n_rows = 0;
    q->more = false;
    enum store_result result = read_campaign_rows(db, q);
    size_t bytes = 0;
    for (size_t i = 0; result == STORE_OK && i < q->n_rows; i++) {
        if (q->byte_limit > 0 && bytes >= q->byte_limit) {
            q->n_rows = i;
            q->more = true;
            break;
        }
        result = read_chapters(db, &q->read.arena, q->with, &q->rows[i]);
        bytes += chapter_bytes(&q->rows[i]);
    }
    if (result == STORE_OK && q->id != NULL && q->n_rows == 0)
        result = STORE_E_NOT_FOUND;
    (void) db_run(db, SQL_COMMIT);
    return result;
}

void db_read(struct db *db, struct store_read *r)
{
    switch (r->kind) {
    case STORE_READ_ROW: {
        struct store_read_row *q = CONTAINER_OF(r, struct store_read_row, read);
        r->result = read_row(db, &r->arena, q->id, q->with, &q->row);
        if (r->result == STORE_OK && (q->with & STORE_WITH_STORY) != 0 &&
            store_state_final(q->row.state))
            r->result = read_story(db, &r->arena, &q->row);
        break;
    }
    case STORE_READ_LIST:
        r->result = read_list(db, CONTAINER_OF(r, struct store_read_list, read));
        break;
    case STORE_READ_EVENTS:
        r->result = read_events(db, CONTAINER_OF(r, struct store_read_events, read));
        break;
    case STORE_READ_PACK:
        r->result = read_pack(db, CONTAINER_OF(r, struct store_read_pack, read));
        break;
    case STORE_READ_KEY:
        r->result = read_key(db, CONTAINER_OF(r, struct store_read_key, read));
        break;
    case STORE_READ_CAMPAIGNS:
        r->result = read_campaigns(db, CONTAINER_OF(r, struct store_read_campaigns, read));
        break;
    case STORE_READ_CARRY:
        r->result = read_carry(db, CONTAINER_OF(r, struct store_read_carry, read));
        break;
    case STORE_READ_CHARACTERS:
        r->result = read_characters(db, CONTAINER_OF(r, struct store_read_characters, read));
        break;
    }
}
