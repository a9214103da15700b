/* sqlite_write.c — what each write does inside the writer's transaction, and how to tell whether it
 * did. */
#include <stdio.h>
#include <string.h>

#include "rpc/base/check.h"
#include "server/store/sqlite.h"

/* The error that a NULL statement stands for. */
static int db_error(struct db *db)
{
    int rc = sqlite3_extended_errcode(db->handle);
    return rc == SQLITE_OK ? SQLITE_NOMEM : rc;
}

static void bind_bytes(sqlite3_stmt *st, int i, struct store_bytes b)
{
    if (b.data == NULL)
        (void) sqlite3_bind_null(st, i);
    else if (b.size == 0)
        (void) sqlite3_bind_zeroblob(st, i, 0);
    else
        (void) sqlite3_bind_blob64(st, i, b.data, b.size, SQLITE_STATIC);
}

static void bind_digest(sqlite3_stmt *st, int i, const uint8_t digest[STORE_DIGEST_SIZE])
{
    (void) sqlite3_bind_blob(st, i, digest, STORE_DIGEST_SIZE, SQLITE_STATIC);
}

static void bind_text(sqlite3_stmt *st, int i, const char *s)
{
    (void) sqlite3_bind_text(st, i, s, -1, SQLITE_STATIC);
}

/* Is the key taken?  1 with the answer in w, 0 when it is free, or minus SQLite's error. */
static int key_find(struct db *db, struct store_submit *w)
{
    sqlite3_stmt *st = db_statement(db, SQL_KEY_FIND);
    if (st == NULL)
        return -db_error(db);
    bind_text(st, 1, w->key);
    (void) sqlite3_bind_int64(st, 2, (sqlite3_int64) w->now_us);
    int rc = sqlite3_step(st);
    if (rc == SQLITE_ROW) {
        bool simulation = sqlite3_column_type(st, 1) == SQLITE_TEXT;
        const unsigned char *id = simulation ? sqlite3_column_text(st, 1) : NULL;
        const void *digest = sqlite3_column_blob(st, 0);
        w->existing_same = simulation && digest != NULL &&
                           sqlite3_column_bytes(st, 0) == STORE_DIGEST_SIZE &&
                           memcmp(digest, w->key_digest, STORE_DIGEST_SIZE) == 0;
        snprintf(w->existing_id, sizeof w->existing_id, "%s", id != NULL ? (const char *) id : "");
        (void) sqlite3_reset(st);
        return 1;
    }
    int end = sqlite3_reset(st);
    return rc == SQLITE_DONE ? 0 : -end;
}

/* 1: taken, 0: free, or minus SQLite's error. */
static int key_taken(struct db *db, const struct store_key *k)
{
    sqlite3_stmt *st = db_statement(db, SQL_KEY_FIND);
    if (st == NULL)
        return -db_error(db);
    bind_text(st, 1, k->key);
    (void) sqlite3_bind_int64(st, 2, (sqlite3_int64) k->now_us);
    int rc = sqlite3_step(st);
    int end = sqlite3_reset(st);
    return rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : -end;
}

/* The key's row without what it stands for, which the caller binds. */
static sqlite3_stmt *key_row(struct db *db, const char *key, const uint8_t *digest, uint64_t now_us)
{
    sqlite3_stmt *st = db_statement(db, SQL_KEY_PUT);
    if (st == NULL)
        return NULL;
    bind_text(st, 1, key);
    bind_digest(st, 2, digest);
    (void) sqlite3_bind_int64(st, 4, (sqlite3_int64) (now_us + STORE_KEY_LIFE_US));
    return st;
}

static int key_put(struct db *db, const struct store_submit *w)
{
    sqlite3_stmt *st = key_row(db, w->key, w->key_digest, w->now_us);
    if (st == NULL)
        return db_error(db);
    bind_text(st, 3, w->id);
    return db_step_done(st);
}

static int key_put_reply(struct db *db, const struct store_key *k)
{
    CHECK(k->reply.data != NULL);
    sqlite3_stmt *st = key_row(db, k->key, k->digest, k->now_us);
    if (st == NULL)
        return db_error(db);
    bind_bytes(st, 3, k->reply);
    return db_step_done(st);
}

/* A count or a column of bytes that a statement on one text gives. */
static int count_of(struct db *db, enum sql which, const char *text, int64_t *out)
{
    sqlite3_stmt *st = db_statement(db, which);
    if (st == NULL)
        return db_error(db);
    bind_text(st, 1, text);
    int rc = sqlite3_step(st);
    if (rc == SQLITE_ROW)
        *out = sqlite3_column_int64(st, 0);
    int end = sqlite3_reset(st);
    return rc == SQLITE_ROW ? SQLITE_OK : rc == SQLITE_DONE ? SQLITE_ERROR : end;
}

/* out_us: when it was last changed; NULL: that does not matter. */
static int campaign_there(struct db *db, const char *id, bool *out, uint64_t *out_us)
{
    sqlite3_stmt *st = db_statement(db, SQL_CAMPAIGN_GET);
    if (st == NULL)
        return db_error(db);
    bind_text(st, 1, id);
    (void) sqlite3_bind_int(st, 2, 1);
    int rc = sqlite3_step(st);
    *out = rc == SQLITE_ROW;
    if (rc == SQLITE_ROW && out_us != NULL)
        *out_us = (uint64_t) sqlite3_column_int64(st, 3);
    int end = sqlite3_reset(st);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : end;
}

static int last_carry(struct db *db, const char *campaign, uint8_t out[STORE_DIGEST_SIZE])
{
    sqlite3_stmt *st = db_statement(db, SQL_CAMPAIGN_LAST_CARRY);
    memset(out, 0, STORE_DIGEST_SIZE);
    if (st == NULL)
        return db_error(db);
    bind_text(st, 1, campaign);
    int rc = sqlite3_step(st);
    if (rc == SQLITE_ROW && sqlite3_column_bytes(st, 0) == STORE_DIGEST_SIZE)
        memcpy(out, sqlite3_column_blob(st, 0), STORE_DIGEST_SIZE);
    int end = sqlite3_reset(st);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : end;
}

/* May this be the campaign's next chapter?  The answer is in w->write.result. */
static int check_chapter(struct db *db, struct store_submit *w)
{
    bool there = false;
    int64_t open = 0;
    uint8_t carry[STORE_DIGEST_SIZE];
    int rc = campaign_there(db, w->campaign, &there, NULL);
    if (rc == SQLITE_OK && there)
        rc = count_of(db, SQL_CAMPAIGN_OPEN, w->campaign, &open);
    if (rc == SQLITE_OK && there)
        rc = last_carry(db, w->campaign, carry);
    if (rc != SQLITE_OK)
        return rc;
    if (!there)
        w->write.result = STORE_E_NOT_FOUND;
    else if (open > 0 || memcmp(carry, w->carry_digest, sizeof carry) != 0)
        w->write.result = STORE_E_STALE;
    return SQLITE_OK;
}

static int put_events(struct db *db, int64_t number, const struct store_event *events, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct store_event *e = &events[i];
        sqlite3_stmt *st = db_statement(db, SQL_EVENT_PUT);
        if (st == NULL)
            return db_error(db);
        (void) sqlite3_bind_int64(st, 1, number);
        (void) sqlite3_bind_int64(st, 2, (sqlite3_int64) e->sequence);
        bind_bytes(st, 3, e->canonical);
        bind_bytes(st, 4, e->wire);
        int rc = db_step_done(st);
        if (rc != SQLITE_OK)
            return rc;
    }
    return SQLITE_OK;
}

/* What it shares with a parent, and how that was changed: there from the first moment, so that the
 * parent may go. */
static void bind_past(sqlite3_stmt *st, const struct store_submit *w)
{
    for (size_t i = 0; i < w->n_events; i++)
        CHECK(w->events[i].sequence == i + 1);
    if (w->parent != NULL)
        bind_text(st, 9, w->parent);
    (void) sqlite3_bind_int(st, 10, w->fork_turn);
    (void) sqlite3_bind_int64(st, 11, (sqlite3_int64) w->n_events);
    if (w->n_events > 0)
        bind_digest(st, 12, w->head);
    (void) sqlite3_bind_int(st, 13, w->turns_done);
}

static int apply_submit(struct db *db, struct store_submit *w)
{
    if (w->key != NULL) {
        int found = key_find(db, w);
        if (found != 0) {
            w->write.result = STORE_E_EXISTS;
            return found > 0 ? SQLITE_OK : -found;
        }
    }
    if (w->campaign != NULL) {
        int rc = check_chapter(db, w);
        if (rc != SQLITE_OK || w->write.result != STORE_OK)
            return rc;
    }
    if (w->key != NULL) {
        int rc = key_put(db, w);
        if (rc != SQLITE_OK)
            return rc;
    }
    sqlite3_stmt *st = db_statement(db, SQL_PACK_PUT);
    if (st == NULL)
        return db_error(db);
    bind_digest(st, 1, w->pack_digest);
    bind_bytes(st, 2, w->pack);
    int rc = w->pack.data != NULL ? db_step_done(st) : SQLITE_OK;
    if (rc != SQLITE_OK)
        return rc;
    st = db_statement(db, SQL_SIMULATION_PUT);
    if (st == NULL)
        return db_error(db);
    bind_text(st, 1, w->id);
    (void) sqlite3_bind_int64(st, 2, w->abi);
    bind_digest(st, 3, w->pack_digest);
    (void) sqlite3_bind_int(st, 4, w->turns);
    bind_bytes(st, 5, w->request);
    bind_bytes(st, 6, w->header);
    (void) sqlite3_bind_int64(st, 7, (sqlite3_int64) w->now_us);
    (void) sqlite3_bind_int(st, 8, w->director);
    if (w->campaign != NULL)
        bind_text(st, 14, w->campaign);
    bind_past(st, w);
    rc = db_step_done(st);
    if ((rc & 0xff) == SQLITE_CONSTRAINT) {
        w->existing_id[0] = '\0';
        w->existing_same = false;
        w->write.result = STORE_E_EXISTS;
        return SQLITE_OK;
    }
    w->number = sqlite3_last_insert_rowid(db->handle);
    return rc != SQLITE_OK ? rc : put_events(db, w->number, w->events, w->n_events);
}

static int put_end(struct db *db, const struct store_append *w)
{
    sqlite3_stmt *st = db_statement(db, SQL_FINISH);
    if (st == NULL)
        return db_error(db);
    (void) sqlite3_bind_int64(st, 1, w->number);
    bind_bytes(st, 2, w->result);
    bind_bytes(st, 3, w->error);
    (void) sqlite3_bind_int64(st, 4, (sqlite3_int64) w->now_us);
    int rc = db_step_done(st);
    if (rc == SQLITE_OK && w->carry.data != NULL) {
        if ((st = db_statement(db, SQL_CARRY_PUT)) == NULL)
            return db_error(db);
        bind_digest(st, 1, w->carry_digest);
        (void) sqlite3_bind_int64(st, 2, w->number);
        bind_bytes(st, 3, w->carry);
        rc = db_step_done(st);
    }
    if (rc != SQLITE_OK || w->story.data == NULL)
        return rc;
    st = db_statement(db, SQL_STORY_PUT);
    if (st == NULL)
        return db_error(db);
    (void) sqlite3_bind_int64(st, 1, w->number);
    bind_digest(st, 2, w->story_digest);
    bind_bytes(st, 3, w->story);
    bind_bytes(st, 4, w->passages);
    return db_step_done(st);
}

static int apply_append(struct db *db, struct store_append *w)
{
    uint64_t last = w->after_sequence + w->n_events;
    for (size_t i = 0; i < w->n_events; i++)
        CHECK(w->events[i].sequence == w->after_sequence + i + 1);
    sqlite3_stmt *st = db_statement(db, SQL_APPEND);
    if (st == NULL)
        return db_error(db);
    (void) sqlite3_bind_int64(st, 1, w->number);
    (void) sqlite3_bind_int64(st, 2, (sqlite3_int64) w->epoch);
    (void) sqlite3_bind_int64(st, 3, (sqlite3_int64) w->after_sequence);
    (void) sqlite3_bind_int64(st, 4, (sqlite3_int64) last);
    bind_digest(st, 5, w->head);
    (void) sqlite3_bind_int(st, 6, w->turns_done);
    (void) sqlite3_bind_int(st, 7, w->state);
    (void) sqlite3_bind_int64(st, 8, (sqlite3_int64) w->now_us);
    (void) sqlite3_bind_int(st, 9, w->director);
    int rc = db_step_done(st);
    if (rc != SQLITE_OK)
        return rc;
    if (sqlite3_changes(db->handle) != 1) {
        w->write.result = STORE_E_STALE;
        return SQLITE_OK;
    }
    rc = put_events(db, w->number, w->events, w->n_events);
    return rc == SQLITE_OK && store_state_final(w->state) ? put_end(db, w) : rc;
}

/* The number and state of an id; 1, 0 when there is none, or minus SQLite's error. */
static int find_state(struct db *db, const char *id, int64_t *out_number, int *out_state)
{
    sqlite3_stmt *st = db_statement(db, SQL_SIMULATION_STATE);
    if (st == NULL)
        return -db_error(db);
    bind_text(st, 1, id);
    int rc = sqlite3_step(st);
    if (rc == SQLITE_ROW) {
        *out_number = sqlite3_column_int64(st, 0);
        *out_state = sqlite3_column_int(st, 1);
        (void) sqlite3_reset(st);
        return 1;
    }
    int end = sqlite3_reset(st);
    return rc == SQLITE_DONE ? 0 : -end;
}

static int run_with_number(struct db *db, enum sql which, int64_t number, uint64_t now_us)
{
    sqlite3_stmt *st = db_statement(db, which);
    if (st == NULL)
        return db_error(db);
    (void) sqlite3_bind_int64(st, 1, number);
    if (sqlite3_bind_parameter_count(st) > 1)
        (void) sqlite3_bind_int64(st, 2, (sqlite3_int64) now_us);
    return db_step_done(st);
}

static int leave_tombstone(struct db *db, int64_t number, uint64_t now_us)
{
    static const enum sql steps[] = { SQL_DELETE_EVENTS, SQL_DELETE_STORY, SQL_TOMBSTONE };
    for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
        int rc = run_with_number(db, steps[i], number, now_us);
        if (rc != SQLITE_OK)
            return rc;
    }
    return SQLITE_OK;
}

static int apply_delete(struct db *db, struct store_delete *w)
{
    int64_t number = 0;
    int state = 0;
    int found = find_state(db, w->id, &number, &state);
    if (found < 0)
        return -found;
    if (found == 0 || state == STORE_DELETED) {
        w->write.result = STORE_E_NOT_FOUND;
        return SQLITE_OK;
    }
    if (!store_state_final(state)) {
        w->write.result = STORE_E_STALE;
        return SQLITE_OK;
    }
    sqlite3_stmt *st = db_statement(db, SQL_CAMPAIGN_LATER);
    if (st == NULL)
        return db_error(db);
    (void) sqlite3_bind_int64(st, 1, number);
    int rc = sqlite3_step(st);
    int64_t later = rc == SQLITE_ROW ? sqlite3_column_int64(st, 0) : 0;
    int end = sqlite3_reset(st);
    if (rc != SQLITE_ROW)
        return end;
    if (later > 0) {
        w->write.result = STORE_E_EXISTS;
        return SQLITE_OK;
    }
    return leave_tombstone(db, number, w->now_us);
}

static int apply_campaign(struct db *db, struct store_campaign *w)
{
    sqlite3_stmt *st = db_statement(db, w->make ? SQL_CAMPAIGN_MAKE : SQL_CAMPAIGN_PUT);
    if (st == NULL)
        return db_error(db);
    bind_text(st, 1, w->id);
    bind_bytes(st, 2, w->data);
    (void) sqlite3_bind_int64(st, 3, (sqlite3_int64) w->now_us);
    if (!w->make)
        (void) sqlite3_bind_int64(st, 4, (sqlite3_int64) w->read_us);
    int rc = db_step_done(st);
    if (rc != SQLITE_OK || sqlite3_changes(db->handle) == 1)
        return rc;
    bool there = true;
    rc = campaign_there(db, w->id, &there, NULL);
    w->write.result = w->make ? STORE_E_EXISTS : there ? STORE_E_CHANGED : STORE_E_NOT_FOUND;
    return rc;
}

/* Tombstones one chapter after another: the statement finds none that is one already. */
static int delete_chapters(struct db *db, const struct store_campaign_delete *w)
{
    for (;;) {
        sqlite3_stmt *st = db_statement(db, SQL_CAMPAIGN_CHAPTERS);
        if (st == NULL)
            return db_error(db);
        bind_text(st, 1, w->id);
        int rc = sqlite3_step(st);
        int64_t number = rc == SQLITE_ROW ? sqlite3_column_int64(st, 0) : 0;
        int end = sqlite3_reset(st);
        if (rc != SQLITE_ROW)
            return rc == SQLITE_DONE ? SQLITE_OK : end;
        rc = leave_tombstone(db, number, w->now_us);
        if (rc != SQLITE_OK)
            return rc;
    }
}

static int apply_campaign_delete(struct db *db, struct store_campaign_delete *w)
{
    bool there = false;
    int64_t open = 0;
    uint64_t update_us = 0;
    int rc = campaign_there(db, w->id, &there, &update_us);
    if (rc == SQLITE_OK)
        rc = count_of(db, SQL_CAMPAIGN_OPEN, w->id, &open);
    if (rc != SQLITE_OK)
        return rc;
    sqlite3_stmt *st = db_statement(db, SQL_CAMPAIGN_CHAPTERS);
    if (st == NULL)
        return db_error(db);
    bind_text(st, 1, w->id);
    rc = sqlite3_step(st);
    bool chapters = rc == SQLITE_ROW;
    int end = sqlite3_reset(st);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        return end;
    bool changed = w->read_us != 0 && w->read_us != update_us;
    w->write.result = !there                    ? STORE_E_NOT_FOUND
                      : changed                 ? STORE_E_CHANGED
                      : open > 0                ? STORE_E_STALE
                      : chapters && !w->cascade ? STORE_E_EXISTS
                                                : STORE_OK;
    if (w->write.result != STORE_OK)
        return SQLITE_OK;
    rc = delete_chapters(db, w);
    if (rc != SQLITE_OK)
        return rc;
    if ((st = db_statement(db, SQL_CAMPAIGN_DROP)) == NULL)
        return db_error(db);
    bind_text(st, 1, w->id);
    return db_step_done(st);
}

static int apply_character(struct db *db, struct store_character *w)
{
    sqlite3_stmt *st = db_statement(db, SQL_CHARACTER_PUT);
    if (st == NULL)
        return db_error(db);
    bind_text(st, 1, w->id);
    bind_bytes(st, 2, w->data);
    (void) sqlite3_bind_int64(st, 3, (sqlite3_int64) w->now_us);
    return db_step_done(st);
}

static int apply_purge(struct db *db, struct store_purge *w)
{
    int rc = run_with_number(db, SQL_PURGE_KEYS, (int64_t) w->now_us, 0);
    if (rc != SQLITE_OK)
        return rc;
    rc =
        db_run(db, SQL_SETTLE); /* writes even when nothing is to be forgotten: it tries the disk */
    if (rc != SQLITE_OK)
        return rc;
    int64_t before = w->now_us > STORE_KEY_LIFE_US ? (int64_t) (w->now_us - STORE_KEY_LIFE_US) : 0;
    return run_with_number(db, SQL_PURGE_TOMBSTONES, before, 0);
}

static int apply_direct(struct db *db, struct store_direct *w)
{
    bool replaces = w->header.data != NULL;
    sqlite3_stmt *st = db_statement(db, replaces ? SQL_REPLACE : SQL_DIRECT);
    if (st == NULL)
        return db_error(db);
    (void) sqlite3_bind_int64(st, 1, w->number);
    (void) sqlite3_bind_int64(st, 2, (sqlite3_int64) w->epoch);
    (void) sqlite3_bind_int(st, 3, w->state);
    (void) sqlite3_bind_int(st, 4, w->director);
    if (replaces) {
        bind_bytes(st, 5, w->request);
        bind_bytes(st, 6, w->header);
    }
    int rc = db_step_done(st);
    if (rc == SQLITE_OK && sqlite3_changes(db->handle) != 1)
        w->write.result = STORE_E_STALE;
    return rc;
}

static int apply_kind(struct db *db, struct store_write *w)
{
    switch (w->kind) {
    case STORE_WRITE_SUBMIT:
        return apply_submit(db, CONTAINER_OF(w, struct store_submit, write));
    case STORE_WRITE_APPEND:
        return apply_append(db, CONTAINER_OF(w, struct store_append, write));
    case STORE_WRITE_CLAIM:
        return db_run(db, SQL_CLAIM);
    case STORE_WRITE_DELETE:
        return apply_delete(db, CONTAINER_OF(w, struct store_delete, write));
    case STORE_WRITE_CHARACTER:
        return apply_character(db, CONTAINER_OF(w, struct store_character, write));
    case STORE_WRITE_DIRECT:
        return apply_direct(db, CONTAINER_OF(w, struct store_direct, write));
    case STORE_WRITE_CAMPAIGN:
        return apply_campaign(db, CONTAINER_OF(w, struct store_campaign, write));
    case STORE_WRITE_CAMPAIGN_DELETE:
        return apply_campaign_delete(db, CONTAINER_OF(w, struct store_campaign_delete, write));
    case STORE_WRITE_PURGE:
        return apply_purge(db, CONTAINER_OF(w, struct store_purge, write));
    }
    CHECK(!"a known kind of write");
    return SQLITE_INTERNAL;
}

int db_apply(struct db *db, struct store_write *w)
{
    w->result = STORE_OK;
    int taken = w->once != NULL ? key_taken(db, w->once) : 0;
    if (taken != 0) {
        w->result = STORE_E_EXISTS;
        return taken > 0 ? SQLITE_OK : -taken;
    }
    int rc = apply_kind(db, w);
    if (rc == SQLITE_OK && w->result == STORE_OK && w->once != NULL)
        rc = key_put_reply(db, w->once);
    return rc;
}

static bool probe_append(struct db *db, const struct store_append *w)
{
    sqlite3_stmt *st;
    if (sqlite3_prepare_v2(db->handle,
                           "SELECT 1 FROM simulations WHERE number = ?1 AND epoch = ?2"
                           " AND last_sequence = ?3 AND state = ?4 AND head = ?5",
                           -1, &st, NULL) != SQLITE_OK)
        return false;
    (void) sqlite3_bind_int64(st, 1, w->number);
    (void) sqlite3_bind_int64(st, 2, (sqlite3_int64) w->epoch);
    (void) sqlite3_bind_int64(st, 3, (sqlite3_int64) (w->after_sequence + w->n_events));
    (void) sqlite3_bind_int(st, 4, w->state);
    bind_digest(st, 5, w->head);
    bool there = sqlite3_step(st) == SQLITE_ROW;
    (void) sqlite3_finalize(st);
    return there;
}

void db_probe(struct db *db, struct store_write *w)
{
    int64_t number = 0;
    int state = 0;
    bool there = false;
    if (w->kind == STORE_WRITE_SUBMIT) {
        struct store_submit *s = CONTAINER_OF(w, struct store_submit, write);
        there = find_state(db, s->id, &number, &state) == 1;
        s->number = number;
    } else if (w->kind == STORE_WRITE_APPEND) {
        there = probe_append(db, CONTAINER_OF(w, struct store_append, write));
    } else if (w->kind == STORE_WRITE_DELETE) {
        const struct store_delete *d = CONTAINER_OF(w, struct store_delete, write);
        there = find_state(db, d->id, &number, &state) == 1 && state == STORE_DELETED;
    }
    if (w->kind == STORE_WRITE_CAMPAIGN && CONTAINER_OF(w, struct store_campaign, write)->make)
        there = campaign_there(db, CONTAINER_OF(w, struct store_campaign, write)->id, &there, NULL) ==
                    SQLITE_OK && there;
    /* The other kinds may be run twice: their callers simply try again. */
    w->result = there ? STORE_OK : STORE_E_IO;
}
