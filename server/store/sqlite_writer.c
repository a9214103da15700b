/* sqlite_writer.c — the writer's thread: takes all that is queued, runs it as one transaction,
 * answers. When the disk says no, every operation still gets one true answer (see store.h). */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "rpc/base/check.h"
#include "rpc/base/log.h"
#include "server/store/sqlite.h"

#define BATCH_MAX        256  /* operations in one transaction */
#define CHECKPOINT_PAGES 1000 /* as SQLite's own default */

void store_ballast_make(struct store *s)
{
    if (s->ballast_there || s->ballast_bytes == 0)
        return;
    int fd = open(s->ballast, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return;
    s->ballast_there = posix_fallocate(fd, 0, (off_t) s->ballast_bytes) == 0;
    (void) close(fd);
    if (!s->ballast_there)
        (void) unlink(s->ballast);
}

bool store_ballast_free(struct store *s)
{
    bool was = s->ballast_there;
    s->ballast_there = false;
    (void) unlink(s->ballast);
    return was;
}

static void set_health(struct store *s, enum store_result r)
{
    int now = r == STORE_OK            ? STORE_WRITABLE
              : r == STORE_E_FULL      ? STORE_FULL
              : r == STORE_E_READ_ONLY ? STORE_READ_ONLY
              : r == STORE_E_IO        ? STORE_BROKEN
                                       : -1;
    if (now < 0)
        return;
    int before = atomic_exchange(&s->health, now);
    if (before == now)
        return;
    static const char *const names[] = { "writable", "full", "read_only", "broken" };
    log_event(now == STORE_WRITABLE ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, "store_health",
              LOG_S("state", names[now]), LOG_S("before", names[before]));
}

static int writer_reopen(struct store *s)
{
    char why[256] = "";
    db_close(&s->db);
    if (db_open(&s->db, s->path, s->vfs, true, false, why, sizeof why) == 0)
        return 0;
    log_event(LOG_LEVEL_ERROR, "store_reopen_failed", LOG_S("why", why));
    return -1;
}

static void writer_rollback(struct store *s)
{
    if (s->db.handle != NULL && !sqlite3_get_autocommit(s->db.handle))
        (void) db_run(&s->db, SQL_ROLLBACK);
}

/* One operation inside the transaction: its own failure undoes itself only.  Returns SQLite's
 * error. */
static int writer_apply(struct store *s, struct store_write *w)
{
    int rc = db_run(&s->db, SQL_SAVE);
    if (rc != SQLITE_OK)
        return rc;
    rc = db_apply(&s->db, w);
    if (rc != SQLITE_OK)
        return rc;
    if (w->result != STORE_OK)
        rc = db_run(&s->db, SQL_UNDO);
    return rc == SQLITE_OK ? db_run(&s->db, SQL_RELEASE) : rc;
}

/* The whole batch in one transaction: SQLITE_OK and durable, or rolled back with SQLite's error. */
static int writer_transaction(struct store *s, struct store_write *batch)
{
    s->db.wrote = false;
    int rc = db_run(&s->db, SQL_BEGIN_WRITE);
    for (struct store_write *w = batch; w != NULL && rc == SQLITE_OK; w = w->next)
        rc = writer_apply(s, w);
    if (rc == SQLITE_OK)
        rc = db_run(&s->db, SQL_COMMIT);
    if (rc != SQLITE_OK)
        return rc;
    atomic_fetch_add(&s->transactions, 1);
    for (struct store_write *w = batch; w != NULL; w = w->next)
        atomic_fetch_add(&s->operations, w->result == STORE_OK);
    return SQLITE_OK;
}

/* An I/O error: never assume that a failed fsync wrote or did not.  Close, reopen, read again; a
 * commit of our own on top settles what the log holds.  Whoever is not found there was not applied.
 */
static void writer_recover(struct store *s, struct store_write *batch)
{
    for (struct store_write *w = batch; w != NULL; w = w->next)
        w->result = STORE_E_IO;
    if (writer_reopen(s) < 0)
        return;
    for (struct store_write *w = batch; w != NULL; w = w->next)
        db_probe(&s->db, w);
    if (db_run(&s->db, SQL_SETTLE) != SQLITE_OK) {
        for (struct store_write *w = batch; w != NULL; w = w->next)
            w->result = STORE_E_IO;
        db_close(&s->db); /* the next batch tries again */
    }
}

static void writer_run_one(struct store *s, struct store_write *w)
{
    struct store_write *next = w->next;
    w->next = NULL;
    int rc = writer_transaction(s, w);
    if (rc != SQLITE_OK) {
        enum store_result r = db_result(&s->db, rc);
        writer_rollback(s);
        /* A delete makes room, and without a claim the server cannot start to be told to. */
        if (r == STORE_E_FULL && (w->kind == STORE_WRITE_DELETE || w->kind == STORE_WRITE_CLAIM) &&
            store_ballast_free(s)) {
            rc = writer_transaction(s, w);
            if (rc != SQLITE_OK) {
                r = db_result(&s->db, rc);
                writer_rollback(s);
            }
        }
        if (rc != SQLITE_OK) {
            w->result = r;
            if (r == STORE_E_IO)
                writer_recover(s, w);
        }
    }
    /* A guard that did not hold wrote nothing, so it says nothing about the disk. */
    if (rc != SQLITE_OK)
        set_health(s, w->result);
    else if (s->db.wrote)
        set_health(s, STORE_OK);
    w->next = next;
}

static void writer_run_batch(struct store *s, struct store_write *batch)
{
    enum store_result refused = s->read_only                                   ? STORE_E_READ_ONLY
                                : s->db.handle == NULL && writer_reopen(s) < 0 ? STORE_E_IO
                                                                               : STORE_OK;
    if (refused != STORE_OK) {
        for (struct store_write *w = batch; w != NULL; w = w->next)
            w->result = refused;
        set_health(s, refused);
        return;
    }
    if (batch->next != NULL) {
        int rc = writer_transaction(s, batch);
        if (rc == SQLITE_OK) {
            if (s->db.wrote)
                set_health(s, STORE_OK);
            return;
        }
        enum store_result r = db_result(&s->db, rc);
        writer_rollback(s);
        if (r == STORE_E_IO) {
            writer_recover(s, batch);
            set_health(s, r);
            return;
        }
        /* Full, read-only, no memory: each alone, so that what can still run (a delete) does. */
    }
    for (struct store_write *w = batch; w != NULL; w = w->next) {
        if (s->db.handle == NULL && writer_reopen(s) < 0)
            w->result = STORE_E_IO;
        else
            writer_run_one(s, w);
    }
}

/* Answers go out before the checkpoint runs. */
static void writer_answer(struct store *s, struct store_write *batch)
{
    while (batch != NULL) {
        struct store_write *w = batch;
        batch = w->next;
        w->next = NULL;
        atomic_fetch_sub(&s->writes_queued, 1);
        w->done(w);
    }
}

static void writer_checkpoint(struct store *s)
{
    if (s->db.handle == NULL || s->db.wal_pages < CHECKPOINT_PAGES)
        return;
    int log = 0, moved = 0;
    int rc = sqlite3_wal_checkpoint_v2(s->db.handle, NULL, SQLITE_CHECKPOINT_PASSIVE, &log, &moved);
    s->db.wal_pages = 0; /* a reader that holds it back is tried again 1,000 pages later */
    if (rc != SQLITE_OK)
        log_event(LOG_LEVEL_WARN, "store_checkpoint_failed", LOG_S("why", sqlite3_errstr(rc)));
    else if (atomic_load(&s->health) == STORE_WRITABLE)
        store_ballast_make(s);
}

void *store_writer_main(void *arg)
{
    struct store *s = arg;
    bool stop = false;
    while (!stop) {
        struct mail *m = inbox_wait(&s->box, -1);
        while (m != NULL) {
            struct store_write *first = NULL, **end = &first;
            for (size_t n = 0; m != NULL && n < BATCH_MAX; n++) {
                struct mail *next = m->next;
                if (m->run != NULL) { /* only the closing message has one */
                    stop = true;
                } else {
                    struct store_write *w = CONTAINER_OF(m, struct store_write, mail);
                    *end = w;
                    w->next = NULL;
                    end = &w->next;
                }
                m = next;
            }
            if (first != NULL) {
                writer_run_batch(s, first);
                writer_answer(s, first);
                writer_checkpoint(s);
            }
        }
    }
    return NULL;
}
