/* sqlite.h — the inside of the SQLite store: a connection with its prepared statements, and the
 * functions that run on it.  A connection belongs to one thread. */
#ifndef SERVER_STORE_SQLITE_H
#define SERVER_STORE_SQLITE_H
#include <pthread.h>
#include <sqlite3.h>
#include "server/store/store.h"

enum sql {
    SQL_BEGIN_WRITE,
    SQL_BEGIN_READ,
    SQL_COMMIT,
    SQL_ROLLBACK,
    SQL_SAVE,
    SQL_RELEASE,
    SQL_UNDO,
    SQL_KEY_FIND,
    SQL_KEY_PUT,
    SQL_PACK_PUT,
    SQL_SIMULATION_PUT,
    SQL_SIMULATION_STATE,
    SQL_EVENT_PUT,
    SQL_APPEND,
    SQL_FINISH,
    SQL_STORY_PUT,
    SQL_CLAIM,
    SQL_DELETE_EVENTS,
    SQL_DELETE_STORY,
    SQL_TOMBSTONE,
    SQL_CHARACTER_PUT,
    SQL_DIRECT,
    SQL_REPLACE,
    SQL_CAMPAIGN_MAKE,
    SQL_CAMPAIGN_PUT,
    SQL_CAMPAIGN_DROP,
    SQL_CAMPAIGN_OPEN,
    SQL_CAMPAIGN_CHAPTERS,
    SQL_CAMPAIGN_LATER,
    SQL_CAMPAIGN_LAST_CARRY,
    SQL_CARRY_PUT,
    SQL_PURGE_KEYS,
    SQL_PURGE_TOMBSTONES,
    SQL_SETTLE,
    SQL_ROW_BY_ID,
    SQL_LIST_NEWEST,
    SQL_LIST_STATE,
    SQL_LIST_UNFINISHED,
    SQL_STORY_GET,
    SQL_EVENTS_GET,
    SQL_PACK_GET,
    SQL_CHARACTERS_GET,
    SQL_CAMPAIGN_GET,
    SQL_CAMPAIGNS_GET,
    SQL_CHAPTERS_GET,
    SQL_CARRY_GET,
    SQL_CARRY_OF,
    SQL_LIST_CAMPAIGN,
    SQL_COUNT
};

struct db {
    sqlite3 *handle; /* NULL: closed */
    sqlite3_stmt *statements[SQL_COUNT];
    int wal_pages; /* since the last checkpoint */
    bool wrote; /* a commit wrote pages since it was last cleared */
};

/* Opens PATH; makes the schema when write is set.  0, or -1 with *why filled.  immutable: nobody
 * writes it. */
int db_open(struct db *db, const char *path, const char *vfs, bool write, bool immutable, char *why,
            size_t why_size);
void db_close(struct db *db);
/* A prepared statement, reset and unbound; NULL with the error in the handle. */
sqlite3_stmt *db_statement(struct db *db, enum sql which);
/* Runs a statement without parameters or rows.  SQLITE_OK or the extended error. */
int db_run(struct db *db, enum sql which);
/* Steps a statement that gives no rows, and resets it. */
int db_step_done(sqlite3_stmt *st);
/* What an SQLite error means to a caller of the store. */
enum store_result db_result(struct db *db, int rc);

/* sqlite_write.c, inside a transaction: SQLITE_OK with w->result set, or SQLite's error (w->result
 * is void). */
int db_apply(struct db *db, struct store_write *w);
/* After a reopen: was w applied?  Sets w->result to STORE_OK or STORE_E_IO. */
void db_probe(struct db *db, struct store_write *w);

/* sqlite_read.c: runs r and sets r->result. */
void db_read(struct db *db, struct store_read *r);

struct store_reader {
    struct store *store;
    struct inbox box;
    pthread_t thread;
    struct db db;
};
struct store {
    char *folder, *path, *vfs, *ballast;
    int lock_fd;
    bool read_only; /* opened so */
    size_t ballast_bytes;
    bool ballast_there;
    struct db db; /* the writer's */
    struct inbox box;
    pthread_t writer;
    bool writer_runs;
    struct store_reader *readers;
    unsigned n_readers, n_readers_run;
    unsigned queue_max;
    atomic_uint writes_queued, reads_queued, next_reader;
    atomic_int health;
    atomic_bool closing;
    atomic_uint_fast64_t transactions, operations;
};

/* sqlite_writer.c: the writer's thread. */
void *store_writer_main(void *arg);
/* ballast: a file that is given back to a full disk so that deletes can run. */
void store_ballast_make(struct store *s);
bool store_ballast_free(struct store *s); /* true when it was there */

#endif
