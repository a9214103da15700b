/* store.c — opening and closing: the folder, its lock, the threads; and the doors to them. */
#include "server/store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rpc/base/alloc.h"
#include "rpc/base/check.h"
#include "server/store/sqlite.h"

#define READERS_DEFAULT 2u
#define QUEUE_DEFAULT   8192u
#define BALLAST_DEFAULT (1u << 20)

static char *path_join(const char *folder, const char *name)
{
    size_t size = strlen(folder) + strlen(name) + 2;
    char *path = alloc_get(size);
    if (path != NULL)
        snprintf(path, size, "%s/%s", folder, name);
    return path;
}

/* Makes folder and its parents (mode 0700).  0, or -1 with errno. */
static int folder_make(const char *folder)
{
    char path[4096];
    if (strlen(folder) >= sizeof path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(path, folder, strlen(folder) + 1);
    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(path, 0755) < 0 && errno != EEXIST && errno != EROFS && errno != EACCES)
            return -1;
        *slash = '/';
    }
    return mkdir(path, 0700) < 0 && errno != EEXIST ? -1 : 0;
}

/* Takes the folder for this process.  A folder that can't be written is locked for reading it. */
static int folder_lock(struct store *s, char *why, size_t why_size)
{
    char *path = path_join(s->folder, "lock");
    if (path == NULL) {
        snprintf(why, why_size, "out of memory");
        return -1;
    }
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 && (errno == EROFS || errno == EACCES || errno == EPERM)) {
        s->read_only = true;
        fd = open(path, O_RDONLY | O_CLOEXEC);
    }
    int failed = errno;
    alloc_free(path);
    if (fd < 0) {
        if (s->read_only && failed == ENOENT)
            return 0; /* nobody can have locked it, and nobody can */
        snprintf(why, why_size, "cannot open the lock in %s: %s", s->folder, strerror(failed));
        return -1;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        char pid[24] = "";
        ssize_t n = pread(fd, pid, sizeof pid - 1, 0);
        pid[n > 0 ? n : 0] = '\0';
        pid[strcspn(pid, "\n")] = '\0';
        snprintf(why, why_size, "the data folder %s is in use by another novel-server (process %s)",
                 s->folder, pid[0] != '\0' ? pid : "unknown");
        (void) close(fd);
        return -1;
    }
    s->lock_fd = fd;
    if (!s->read_only) {
        char pid[24];
        int n = snprintf(pid, sizeof pid, "%ld\n", (long) getpid());
        /* Only for the message above; a full disk must not stop the start. */
        if (ftruncate(fd, 0) == 0)
            (void) !pwrite(fd, pid, (size_t) n, 0);
    }
    return 0;
}

/* A read-only database: its log can't be replayed unless SQLite may write beside it. */
static bool store_immutable(const struct store *s)
{
    if (!s->read_only)
        return false;
    char *wal = path_join(s->folder, "novel.db-wal");
    struct stat st;
    bool empty = wal == NULL || stat(wal, &st) < 0 || st.st_size == 0;
    alloc_free(wal);
    return empty;
}

static void *reader_main(void *arg)
{
    struct store_reader *reader = arg;
    for (;;) {
        struct mail *m = inbox_wait(&reader->box, -1);
        while (m != NULL) {
            struct mail *next = m->next;
            if (m->run != NULL)
                return NULL;
            struct store_read *r = CONTAINER_OF(m, struct store_read, mail);
            db_read(&reader->db, r);
            atomic_fetch_sub(&reader->store->reads_queued, 1);
            r->done(r);
            m = next;
        }
    }
}

static int store_start(struct store *s, char *why, size_t why_size)
{
    char reason[256] = "";
    bool immutable = store_immutable(s);
    if (db_open(&s->db, s->path, s->vfs, !s->read_only, immutable, reason, sizeof reason) < 0) {
        snprintf(why, why_size, "cannot open %s%s: %s", s->path, s->read_only ? " (read-only)" : "",
                 reason);
        return -1;
    }
    if (inbox_init(&s->box) < 0)
        goto no_thread;
    for (unsigned i = 0; i < s->n_readers; i++) {
        struct store_reader *reader = &s->readers[i];
        reader->store = s;
        if (db_open(&reader->db, s->path, s->vfs, false, immutable, reason, sizeof reason) < 0) {
            snprintf(why, why_size, "cannot open %s for reading: %s", s->path, reason);
            return -1;
        }
        if (inbox_init(&reader->box) < 0 ||
            pthread_create(&reader->thread, NULL, reader_main, reader) != 0)
            goto no_thread;
        s->n_readers_run++;
    }
    if (pthread_create(&s->writer, NULL, store_writer_main, s) != 0)
        goto no_thread;
    s->writer_runs = true;
    return 0;
no_thread:
    snprintf(why, why_size, "cannot start the store's threads: %s", strerror(errno));
    return -1;
}

int store_open(const struct store_options *o, struct store **out_store, char *why, size_t why_size)
{
    struct store *s = alloc_zero(1, sizeof *s);
    unsigned readers = o->readers > 0 ? o->readers : READERS_DEFAULT;
    if (s != NULL) {
        s->lock_fd = -1;
        s->box.wake_fd = -1;
        s->folder = alloc_strdup(o->folder);
        s->path = path_join(o->folder, "novel.db");
        s->ballast = path_join(o->folder, "ballast");
        s->vfs = o->vfs != NULL ? alloc_strdup(o->vfs) : NULL;
        s->readers = alloc_zero(readers, sizeof *s->readers);
    }
    if (s == NULL || s->folder == NULL || s->path == NULL || s->ballast == NULL ||
        s->readers == NULL || (o->vfs != NULL && s->vfs == NULL)) {
        snprintf(why, why_size, "out of memory");
        store_close(s);
        return -1;
    }
    for (unsigned i = 0; i < readers; i++)
        s->readers[i].box.wake_fd = -1;
    s->n_readers = readers;
    s->queue_max = o->queue_max > 0 ? o->queue_max : QUEUE_DEFAULT;
    s->ballast_bytes = o->ballast_bytes > 0 ? o->ballast_bytes : BALLAST_DEFAULT;
    if (folder_make(o->folder) < 0) {
        snprintf(why, why_size, "cannot make the data folder %s: %s", o->folder, strerror(errno));
        store_close(s);
        return -1;
    }
    if (folder_lock(s, why, why_size) < 0 || store_start(s, why, why_size) < 0) {
        store_close(s);
        return -1;
    }
    atomic_store(&s->health, s->read_only ? STORE_READ_ONLY : STORE_WRITABLE);
    if (!s->read_only)
        store_ballast_make(s);
    *out_store = s;
    return 0;
}

static void run_stop(struct mail *m, void *owner)
{
    (void) m;
    (void) owner;
}

void store_close(struct store *s)
{
    if (s == NULL)
        return;
    atomic_store(&s->closing, true);
    struct mail stop = { NULL, run_stop };
    if (s->writer_runs) {
        inbox_post(&s->box, &stop);
        (void) pthread_join(s->writer, NULL);
    }
    for (unsigned i = 0; i < s->n_readers; i++) {
        struct store_reader *reader = &s->readers[i];
        if (i < s->n_readers_run) {
            inbox_post(&reader->box, &stop);
            (void) pthread_join(reader->thread, NULL);
        }
        db_close(&reader->db);
        inbox_done(&reader->box);
    }
    if (s->db.handle != NULL && !s->read_only)
        (void) sqlite3_wal_checkpoint_v2(s->db.handle, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL,
                                         NULL);
    db_close(&s->db);
    inbox_done(&s->box);
    if (s->lock_fd >= 0)
        (void) close(s->lock_fd);
    alloc_free(s->folder);
    alloc_free(s->path);
    alloc_free(s->ballast);
    alloc_free(s->vfs);
    alloc_free(s->readers);
    alloc_free(s);
}

enum store_health store_get_health(const struct store *s)
{
    return (enum store_health) atomic_load(&s->health);
}

void store_figures_read(const struct store *s, struct store_figures *out)
{
    *out = (struct store_figures){
        .transactions = atomic_load(&s->transactions),
        .operations = atomic_load(&s->operations),
        .writes_queued = atomic_load(&s->writes_queued),
        .reads_queued = atomic_load(&s->reads_queued),
    };
}

/* Counts one more waiting operation, or says why not. */
static enum store_result store_admit(struct store *s, atomic_uint *queued)
{
    if (atomic_load(&s->closing))
        return STORE_E_CLOSED;
    if (atomic_fetch_add(queued, 1) < s->queue_max)
        return STORE_OK;
    atomic_fetch_sub(queued, 1);
    return STORE_E_BUSY;
}

void store_write_post(struct store *s, struct store_write *w)
{
    w->result = store_admit(s, &s->writes_queued);
    w->mail.run = NULL;
    w->next = NULL;
    if (w->result == STORE_OK)
        inbox_post(&s->box, &w->mail);
    else
        w->done(w);
}

void store_read_post(struct store *s, struct store_read *r)
{
    r->result = store_admit(s, &s->reads_queued);
    r->mail.run = NULL;
    if (r->result != STORE_OK) {
        r->done(r);
        return;
    }
    unsigned i = atomic_fetch_add(&s->next_reader, 1) % s->n_readers;
    inbox_post(&s->readers[i].box, &r->mail);
}

static void write_wake(struct store_write *w)
{
    (void) sem_post(w->waiter);
}

static void read_wake(struct store_read *r)
{
    (void) sem_post(r->waiter);
}

static void wait_for(sem_t *ready)
{
    while (sem_wait(ready) < 0)
        CHECK(errno == EINTR);
}

void store_write_wait(struct store *s, struct store_write *w)
{
    sem_t ready;
    CHECK(sem_init(&ready, 0, 0) == 0);
    w->waiter = &ready;
    w->done = write_wake;
    store_write_post(s, w);
    wait_for(&ready);
    (void) sem_destroy(&ready);
}

void store_read_wait(struct store *s, struct store_read *r)
{
    sem_t ready;
    CHECK(sem_init(&ready, 0, 0) == 0);
    r->waiter = &ready;
    r->done = read_wake;
    store_read_post(s, r);
    wait_for(&ready);
    (void) sem_destroy(&ready);
}
