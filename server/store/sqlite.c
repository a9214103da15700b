/* sqlite.c — a connection: schema, prepared statements, what an error means. */
#include "server/store/sqlite.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "rpc/base/check.h"

#define SCHEMA_VERSION 2
#define APPLICATION_ID 0x4e4f564c /* "NOVL" */

/* A carry pack is kept as long as anything may go on from it: for good.  Two chapters may end alike. */
#define CAMPAIGNS                                                                                  \
    "CREATE TABLE carry_packs("                                                                    \
    " digest BLOB NOT NULL, simulation INTEGER NOT NULL, data BLOB NOT NULL,"                      \
    " PRIMARY KEY(digest, simulation));"                                                           \
    "CREATE INDEX carry_of ON carry_packs(simulation);"                                            \
    "CREATE TABLE campaigns("                                                                      \
    " id TEXT PRIMARY KEY, data BLOB NOT NULL, create_us INTEGER NOT NULL, update_us INTEGER NOT " \
    "NULL) WITHOUT ROWID;"

/* Numbers follow the order of submission.  Stories stand apart so that listing reads no prose. */
static const char schema[] =
    "CREATE TABLE simulations("
    " number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, state INTEGER NOT NULL,"
    " epoch INTEGER NOT NULL DEFAULT 1, attempts INTEGER NOT NULL DEFAULT 0, abi INTEGER NOT NULL,"
    " pack BLOB NOT NULL REFERENCES packs(digest), turns INTEGER NOT NULL,"
    " turns_done INTEGER NOT NULL DEFAULT 0, last_sequence INTEGER NOT NULL DEFAULT 0, head BLOB,"
    " request BLOB NOT NULL, header BLOB NOT NULL, result BLOB, error BLOB, campaign TEXT, parent "
    "TEXT,"
    " fork_turn INTEGER NOT NULL DEFAULT 0, create_us INTEGER NOT NULL, start_us INTEGER NOT NULL "
    "DEFAULT 0,"
    " end_us INTEGER NOT NULL DEFAULT 0, director INTEGER NOT NULL DEFAULT 0);"
    "CREATE INDEX simulations_state ON simulations(state, number);"
    "CREATE INDEX simulations_campaign ON simulations(campaign, number) WHERE campaign IS NOT NULL;"
    "CREATE TABLE events("
    " simulation INTEGER NOT NULL, sequence INTEGER NOT NULL, canonical BLOB NOT NULL, wire BLOB "
    "NOT NULL,"
    " PRIMARY KEY(simulation, sequence)) WITHOUT ROWID;"
    "CREATE TABLE stories("
    " simulation INTEGER PRIMARY KEY, digest BLOB NOT NULL, story BLOB NOT NULL, passages BLOB NOT "
    "NULL);"
    "CREATE TABLE packs(digest BLOB PRIMARY KEY, image BLOB NOT NULL);"
    CAMPAIGNS
    "CREATE TABLE characters("
    " id TEXT PRIMARY KEY, data BLOB, update_us INTEGER NOT NULL) WITHOUT ROWID;"
    /* simulation: its id, or, as a blob, the answer of another method. */
    "CREATE TABLE idempotency("
    " key TEXT PRIMARY KEY, digest BLOB NOT NULL, simulation TEXT NOT NULL, expires_us INTEGER NOT "
    "NULL)"
    " WITHOUT ROWID;"
    "CREATE INDEX idempotency_expires ON idempotency(expires_us);"
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
    "INSERT INTO meta VALUES('settled', 0);";

/* From the version before, whose simulations nobody could direct. */
static const char upgrade[] =
    "ALTER TABLE simulations ADD COLUMN director INTEGER NOT NULL DEFAULT 0;"
    "DROP TABLE carry_packs;" CAMPAIGNS;

#define ROW_COLUMNS                                                                                \
    "number, id, state, epoch, attempts, abi, pack, turns, turns_done, last_sequence, head, "      \
    "request,"                                                                                     \
    " result, error, create_us, start_us, end_us, director, campaign, parent, fork_turn"

static const char *const texts[SQL_COUNT] = {
    [SQL_BEGIN_WRITE] = "BEGIN IMMEDIATE",
    [SQL_BEGIN_READ] = "BEGIN",
    [SQL_COMMIT] = "COMMIT",
    [SQL_ROLLBACK] = "ROLLBACK",
    [SQL_SAVE] = "SAVEPOINT one",
    [SQL_RELEASE] = "RELEASE one",
    [SQL_UNDO] = "ROLLBACK TO one",
    [SQL_KEY_FIND] =
        "SELECT digest, simulation FROM idempotency WHERE key = ?1 AND expires_us > ?2",
    [SQL_KEY_PUT] = "INSERT OR REPLACE INTO idempotency VALUES(?1, ?2, ?3, ?4)",
    [SQL_PACK_PUT] = "INSERT OR IGNORE INTO packs VALUES(?1, ?2)",
    [SQL_SIMULATION_PUT] =
        "INSERT INTO simulations(id, state, abi, pack, turns, request, header, create_us, director,"
        " parent, fork_turn, last_sequence, head, turns_done, campaign)"
        " VALUES(?1, CASE ?8 WHEN 0 THEN 1 ELSE 3 END, ?2, ?3, ?4, ?5, ?6, ?7, ?8,"
        " ?9, ?10, ?11, ?12, ?13, ?14)",
    [SQL_SIMULATION_STATE] = "SELECT number, state FROM simulations WHERE id = ?1",
    [SQL_EVENT_PUT] = "INSERT INTO events VALUES(?1, ?2, ?3, ?4)",
    [SQL_APPEND] =
        "UPDATE simulations SET last_sequence = ?4, head = ?5, turns_done = ?6, state = ?7, "
        "attempts = 0, director = ?9,"
        " start_us = CASE start_us WHEN 0 THEN ?8 ELSE start_us END"
        " WHERE number = ?1 AND epoch = ?2 AND last_sequence = ?3 AND state IN (1, 2, 3)",
    [SQL_FINISH] = "UPDATE simulations SET result = ?2, error = ?3, end_us = ?4 WHERE number = ?1",
    [SQL_STORY_PUT] = "INSERT INTO stories VALUES(?1, ?2, ?3, ?4)",
    [SQL_CLAIM] = "UPDATE simulations SET epoch = epoch + 1, attempts = attempts + (state = 2),"
                  " state = CASE director WHEN 0 THEN state ELSE 3 END WHERE state IN (1, 2, 3)",
    [SQL_DELETE_EVENTS] = "DELETE FROM events WHERE simulation = ?1",
    [SQL_DELETE_STORY] = "DELETE FROM stories WHERE simulation = ?1",
    [SQL_TOMBSTONE] =
        "UPDATE simulations SET state = 100, request = x'', header = x'', result = NULL,"
        " error = NULL, end_us = ?2 WHERE number = ?1",
    [SQL_CHARACTER_PUT] = "INSERT OR REPLACE INTO characters VALUES(?1, ?2, ?3)",
    [SQL_DIRECT] = "UPDATE simulations SET state = ?3, director = ?4"
                   " WHERE number = ?1 AND epoch = ?2 AND state IN (1, 2, 3)",
    [SQL_REPLACE] = "UPDATE simulations SET state = ?3, director = ?4, request = ?5, header = ?6"
                    " WHERE number = ?1 AND epoch = ?2 AND last_sequence = 0"
                    " AND state IN (1, 2, 3)",
    [SQL_CAMPAIGN_MAKE] = "INSERT OR IGNORE INTO campaigns VALUES(?1, ?2, ?3, ?3)",
    [SQL_CAMPAIGN_PUT] = "UPDATE campaigns SET data = ?2, update_us = ?3"
                         " WHERE id = ?1 AND (?4 = 0 OR update_us = ?4)",
    [SQL_CAMPAIGN_DROP] = "DELETE FROM campaigns WHERE id = ?1",
    [SQL_CAMPAIGN_OPEN] = "SELECT count(*) FROM simulations WHERE campaign = ?1 AND state IN (1, 2, 3)",
    [SQL_CAMPAIGN_CHAPTERS] = "SELECT number FROM simulations WHERE campaign = ?1 AND state < 100",
    [SQL_CAMPAIGN_LATER] = "SELECT count(*) FROM simulations AS a JOIN simulations AS b"
                           " ON b.campaign = a.campaign AND b.number > a.number AND b.state < 100"
                           " WHERE a.number = ?1",
    [SQL_CAMPAIGN_LAST_CARRY] =
        "SELECT p.digest FROM simulations AS s JOIN carry_packs AS p ON p.simulation = s.number"
        " WHERE s.campaign = ?1 AND s.state = 4 ORDER BY s.number DESC LIMIT 1",
    [SQL_CARRY_PUT] = "INSERT OR IGNORE INTO carry_packs VALUES(?1, ?2, ?3)",
    [SQL_PURGE_KEYS] = "DELETE FROM idempotency WHERE expires_us <= ?1",
    [SQL_PURGE_TOMBSTONES] = "DELETE FROM simulations WHERE state = 100 AND end_us <= ?1",
    [SQL_SETTLE] = "UPDATE meta SET value = value + 1 WHERE key = 'settled'",
    [SQL_ROW_BY_ID] =
        "SELECT " ROW_COLUMNS ", header FROM simulations WHERE id = ?1 AND state < 100",
    [SQL_LIST_NEWEST] = "SELECT " ROW_COLUMNS ", header FROM simulations"
                        " WHERE number < ?1 AND state < 100 ORDER BY number DESC LIMIT ?2",
    [SQL_LIST_STATE] = "SELECT " ROW_COLUMNS ", header FROM simulations"
                       " WHERE number < ?1 AND state = ?3 ORDER BY number DESC LIMIT ?2",
    [SQL_LIST_UNFINISHED] = "SELECT " ROW_COLUMNS ", header FROM simulations"
                            " WHERE number > ?1 AND state IN (1, 2, 3) ORDER BY number LIMIT ?2",
    [SQL_STORY_GET] = "SELECT digest, story, passages FROM stories WHERE simulation = ?1",
    [SQL_EVENTS_GET] = "SELECT sequence, wire, canonical FROM events"
                       " WHERE simulation = ?1 AND sequence > ?2 ORDER BY sequence LIMIT ?3",
    [SQL_PACK_GET] = "SELECT image FROM packs WHERE digest = ?1",
    [SQL_CAMPAIGN_GET] = "SELECT id, data, create_us, update_us FROM campaigns WHERE id = ?1 LIMIT ?2",
    [SQL_CAMPAIGNS_GET] =
        "SELECT id, data, create_us, update_us FROM campaigns WHERE id > ?1 ORDER BY id LIMIT ?2",
    [SQL_CHAPTERS_GET] = "SELECT " ROW_COLUMNS ", header FROM simulations"
                         " WHERE campaign = ?1 AND state < 100 ORDER BY number",
    [SQL_CARRY_GET] = "SELECT data FROM carry_packs WHERE digest = ?1 LIMIT 1",
    [SQL_CARRY_OF] = "SELECT digest FROM carry_packs WHERE simulation = ?1 LIMIT 1",
    [SQL_LIST_CAMPAIGN] = "SELECT " ROW_COLUMNS ", header FROM simulations"
                          " WHERE number < ?1 AND campaign = ?4 AND state < 100"
                          " AND (?3 = 0 OR state = ?3) ORDER BY number DESC LIMIT ?2",
    [SQL_CHARACTERS_GET] = "SELECT id, data, update_us FROM characters ORDER BY id",
};

const char *store_result_name(enum store_result r)
{
    static const char *const names[] = {
        [STORE_OK] = "OK",
        [STORE_E_NOMEM] = "OUT_OF_MEMORY",
        [STORE_E_FULL] = "STORE_FULL",
        [STORE_E_READ_ONLY] = "STORE_READ_ONLY",
        [STORE_E_IO] = "STORE_FAILED",
        [STORE_E_STALE] = "STORE_STALE",
        [STORE_E_CHANGED] = "STORE_CHANGED",
        [STORE_E_NOT_FOUND] = "NOT_FOUND",
        [STORE_E_EXISTS] = "ALREADY_EXISTS",
        [STORE_E_BUSY] = "STORE_BUSY",
        [STORE_E_CLOSED] = "SHUTTING_DOWN",
    };
    return (size_t) r < ARRAY_SIZE(names) ? names[r] : "STORE_FAILED";
}

static int db_exec(struct db *db, const char *sql)
{
    return sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
}

static int db_pragma_int(struct db *db, const char *sql, int *out)
{
    sqlite3_stmt *st;
    int rc = sqlite3_prepare_v2(db->handle, sql, -1, &st, NULL);
    if (rc != SQLITE_OK)
        return rc;
    rc = sqlite3_step(st);
    if (rc == SQLITE_ROW)
        *out = sqlite3_column_int(st, 0);
    (void) sqlite3_finalize(st);
    return rc == SQLITE_ROW ? SQLITE_OK : rc;
}

static int db_on_wal(void *ctx, sqlite3 *handle, const char *name, int pages)
{
    (void) handle;
    (void) name;
    ((struct db *) ctx)->wal_pages = pages;
    ((struct db *) ctx)->wrote = true;
    return SQLITE_OK;
}

/* Runs what makes this version's schema, whole or not at all. */
static int db_make(struct db *db, const char *what)
{
    char *sql = sqlite3_mprintf(
        "BEGIN IMMEDIATE;%s PRAGMA application_id=%d; PRAGMA user_version=%d; COMMIT;", what,
        APPLICATION_ID, SCHEMA_VERSION);
    int rc = sql == NULL ? SQLITE_NOMEM : db_exec(db, sql);
    sqlite3_free(sql);
    return rc;
}

/* Makes the schema, brings it up to date, or sees that it is ours. */
static int db_check_schema(struct db *db, bool write, char *why, size_t why_size)
{
    int version = 0, application = 0;
    int rc = db_pragma_int(db, "PRAGMA user_version", &version);
    if (rc == SQLITE_OK)
        rc = db_pragma_int(db, "PRAGMA application_id", &application);
    if (rc != SQLITE_OK)
        goto broken;
    if (version == SCHEMA_VERSION && application == APPLICATION_ID)
        return 0;
    if (version == SCHEMA_VERSION - 1 && application == APPLICATION_ID && write) {
        rc = db_make(db, upgrade);
        if (rc == SQLITE_OK)
            return 0;
        goto broken;
    }
    if (version != 0 || application != 0) {
        snprintf(why, why_size, "its schema has version %d; this server reads version %d", version,
                 SCHEMA_VERSION);
        return -1;
    }
    if (!write) {
        snprintf(why, why_size, "it is empty and can't be written");
        return -1;
    }
    rc = db_make(db, schema);
    if (rc == SQLITE_OK)
        return 0;
broken:
    snprintf(why, why_size, "%s", sqlite3_errmsg(db->handle));
    return -1;
}

int db_open(struct db *db, const char *path, const char *vfs, bool write, bool immutable, char *why,
            size_t why_size)
{
    *db = (struct db){ 0 };
    char *uri = sqlite3_mprintf("file:%s?%s", path, immutable ? "immutable=1" : "");
    int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI | SQLITE_OPEN_EXRESCODE |
                (write ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY);
    int rc = uri == NULL ? SQLITE_NOMEM : sqlite3_open_v2(uri, &db->handle, flags, vfs);
    sqlite3_free(uri);
    if (rc == SQLITE_OK)
        rc = sqlite3_busy_timeout(db->handle, 5000);
    if (rc == SQLITE_OK && write)
        rc = db_exec(db, "PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0;");
    if (rc == SQLITE_OK)
        rc = db_exec(db,
                     "PRAGMA synchronous=FULL; PRAGMA foreign_keys=OFF; PRAGMA trusted_schema=OFF;"
                     " PRAGMA cache_size=-8192; PRAGMA temp_store=MEMORY; PRAGMA mmap_size=0;");
    if (rc != SQLITE_OK) {
        snprintf(why, why_size, "%s",
                 db->handle != NULL ? sqlite3_errmsg(db->handle) : sqlite3_errstr(rc));
        db_close(db);
        return -1;
    }
    if (db_check_schema(db, write, why, why_size) < 0) {
        db_close(db);
        return -1;
    }
    if (write)
        (void) sqlite3_wal_hook(db->handle, db_on_wal, db);
    return 0;
}

void db_close(struct db *db)
{
    for (size_t i = 0; i < SQL_COUNT; i++) {
        (void) sqlite3_finalize(db->statements[i]);
        db->statements[i] = NULL;
    }
    (void) sqlite3_close(db->handle);
    db->handle = NULL;
}

sqlite3_stmt *db_statement(struct db *db, enum sql which)
{
    sqlite3_stmt *st = db->statements[which];
    if (st != NULL) {
        (void) sqlite3_reset(st);
        (void) sqlite3_clear_bindings(st);
        return st;
    }
    int rc = sqlite3_prepare_v3(db->handle, texts[which], -1, SQLITE_PREPARE_PERSISTENT,
                                &db->statements[which], NULL);
    return rc == SQLITE_OK ? db->statements[which] : NULL;
}

int db_step_done(sqlite3_stmt *st)
{
    int rc = sqlite3_step(st);
    int end = sqlite3_reset(st);
    return rc == SQLITE_DONE ? SQLITE_OK : rc == SQLITE_ROW ? SQLITE_ERROR : end;
}

int db_run(struct db *db, enum sql which)
{
    sqlite3_stmt *st = db_statement(db, which);
    return st == NULL ? sqlite3_extended_errcode(db->handle) : db_step_done(st);
}

enum store_result db_result(struct db *db, int rc)
{
    /* A file system that became read-only shows as a failed write: the cause is in errno. */
    if ((rc & 0xff) == SQLITE_IOERR && db->handle != NULL) {
        int cause = sqlite3_system_errno(db->handle);
        if (cause == EROFS || cause == EACCES || cause == EPERM)
            return STORE_E_READ_ONLY;
        if (cause == ENOSPC || cause == EDQUOT)
            return STORE_E_FULL;
    }
    switch (rc & 0xff) {
    case SQLITE_OK:
        return STORE_OK;
    case SQLITE_NOMEM:
        return STORE_E_NOMEM;
    case SQLITE_FULL:
        return STORE_E_FULL;
    case SQLITE_READONLY:
    case SQLITE_PERM:
        return STORE_E_READ_ONLY;
    default:
        return STORE_E_IO;
    }
}
