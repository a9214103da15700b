/* The store: group commit, guards, one server a folder, a read-only folder, a full and a failing
 * disk. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <semaphore.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rpc/base/check.h"
#include "rpc/base/log.h"
#include "server/store/store.h"
#include "tests/unit/server/fault_vfs.h"
#include "tests/unit/server/store_fixture.h"

static void test_life_of_a_simulation(void **state)
{
    struct fixture *f = *state;
    open_store(f, NULL);
    int64_t number = submit(f, "sim_a");
    assert_int_equal(append(f, number, 1, 0, 3, STORE_RUNNING), STORE_OK);
    assert_int_equal(append(f, number, 1, 3, 2, STORE_COMPLETED), STORE_OK);
    /* Everything survives the process. */
    store_close(f->store);
    open_store(f, NULL);
    expect_log(f, "sim_a", 5, STORE_COMPLETED);
    struct store_read_events q;
    assert_int_equal(read_events(f, "sim_a", 3, &q), STORE_OK);
    assert_int_equal(q.n_events, 2);
    assert_memory_equal(q.events[0].canonical.data, "event 4", 7);
    assert_memory_equal(q.row.header.data, "header", 6);
    assert_memory_equal(q.row.result.data, "result", 6);
    assert_memory_equal(q.row.story.data, "story", 5);
    assert_memory_equal(q.row.passages.data, "passages", 8);
    assert_int_equal(q.row.create_us, 1000);
    assert_int_equal(q.row.end_us, 2000);
    arena_done(&q.read.arena);

    struct store_read_pack pack = { .read.kind = STORE_READ_PACK };
    arena_init(&pack.read.arena, 64);
    memset(pack.digest, 7, sizeof pack.digest);
    store_read_wait(f->store, &pack.read);
    assert_int_equal(pack.read.result, STORE_OK);
    assert_memory_equal(pack.image.data, "image", 5);
    arena_done(&pack.read.arena);
}

static void test_guards(void **state)
{
    struct fixture *f = *state;
    open_store(f, NULL);
    int64_t number = submit(f, "sim_a");
    static const struct {
        uint64_t epoch, after;
        int64_t number_offset;
        enum store_result want;
    } cases[] = {
        { 2, 0, 0, STORE_E_STALE },                              /* another owner's epoch */
        { 1, 1, 0, STORE_E_STALE },                              /* a gap */
        { 1, 0, 99, STORE_E_STALE },                             /* no such simulation */
        { 1, 0, 0, STORE_OK },       { 1, 0, 0, STORE_E_STALE }, /* the same slice again */
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_int_equal(append(f, number + cases[i].number_offset, cases[i].epoch, cases[i].after,
                                2, STORE_RUNNING),
                         cases[i].want);
    struct store_claim claim = { .write.kind = STORE_WRITE_CLAIM };
    store_write_wait(f->store, &claim.write);
    assert_int_equal(claim.write.result, STORE_OK);
    assert_int_equal(append(f, number, 1, 2, 1, STORE_RUNNING), STORE_E_STALE);
    assert_int_equal(append(f, number, 2, 2, 1, STORE_CANCELLED), STORE_OK);
    assert_int_equal(append(f, number, 2, 3, 1, STORE_RUNNING), STORE_E_STALE); /* it has ended */
    expect_log(f, "sim_a", 3, STORE_CANCELLED);
}

static void test_idempotency_key(void **state)
{
    struct fixture *f = *state;
    open_store(f, NULL);
    struct store_submit first = make_submit("sim_a");
    first.key = "k1";
    store_write_wait(f->store, &first.write);
    assert_int_equal(first.write.result, STORE_OK);
    struct store_submit again = make_submit("sim_b");
    again.key = "k1";
    store_write_wait(f->store, &again.write);
    assert_int_equal(again.write.result, STORE_E_EXISTS);
    assert_string_equal(again.existing_id, "sim_a");
    assert_true(again.existing_same);
    again.key_digest[0] = 1;
    store_write_wait(f->store, &again.write);
    assert_int_equal(again.write.result, STORE_E_EXISTS);
    assert_false(again.existing_same);
    /* Nothing of the refused ones is there. */
    struct store_read_events q;
    assert_int_equal(read_events(f, "sim_b", 0, &q), STORE_E_NOT_FOUND);
    arena_done(&q.read.arena);
    /* After its time the key is free again. */
    again.now_us = first.now_us + STORE_KEY_LIFE_US;
    store_write_wait(f->store, &again.write);
    assert_int_equal(again.write.result, STORE_OK);
}

static struct store_read_key look(struct fixture *f, const struct store_key *k, uint64_t now_us)
{
    struct store_read_key q = { .read.kind = STORE_READ_KEY, .key = k->key, .now_us = now_us };
    memcpy(q.digest, k->digest, sizeof q.digest);
    arena_init(&q.read.arena, 64);
    store_read_wait(f->store, &q.read);
    return q;
}

/* What a key keeps beside a write: its answer, whole, for its time; simulations share the keys. */
static void test_key_with_reply(void **state)
{
    struct fixture *f = *state;
    open_store(f, NULL);
    struct store_key key = { .key = "k", .digest = { 1 }, .reply = text("\0reply"), .now_us = 1000 };
    key.reply.size = 6; /* with its NUL */
    struct store_character put = {
        .write.kind = STORE_WRITE_CHARACTER, .write.once = &key, .id = "zoe", .data = text("Zoe")
    };
    struct store_read_key q = look(f, &key, 1000);
    assert_int_equal(q.read.result, STORE_E_NOT_FOUND);
    arena_done(&q.read.arena);
    store_write_wait(f->store, &put.write);
    assert_int_equal(put.write.result, STORE_OK);
    q = look(f, &key, 1000);
    assert_int_equal(q.read.result, STORE_OK);
    assert_true(q.same);
    assert_int_equal(q.reply.size, 6);
    assert_memory_equal(q.reply.data, "\0reply", 6);
    arena_done(&q.read.arena);
    key.digest[0] = 2;
    q = look(f, &key, 1000);
    assert_int_equal(q.read.result, STORE_OK);
    assert_false(q.same);
    arena_done(&q.read.arena);
    /* Taken: neither another change nor a simulation gets it, and nothing of them is written. */
    put.id = "amy";
    store_write_wait(f->store, &put.write);
    assert_int_equal(put.write.result, STORE_E_EXISTS);
    struct store_read_characters all = { .read.kind = STORE_READ_CHARACTERS };
    arena_init(&all.read.arena, 256);
    store_read_wait(f->store, &all.read);
    assert_int_equal(all.n_overlays, 1);
    arena_done(&all.read.arena);
    struct store_submit run = make_submit("sim_a");
    run.key = "k";
    run.key_digest[0] = 1;
    store_write_wait(f->store, &run.write);
    assert_int_equal(run.write.result, STORE_E_EXISTS);
    assert_false(run.existing_same);
    /* Later it is free, and an empty reply is one. */
    key.now_us = 1000 + STORE_KEY_LIFE_US;
    key.reply.size = 0;
    store_write_wait(f->store, &put.write);
    assert_int_equal(put.write.result, STORE_OK);
    q = look(f, &key, key.now_us);
    assert_true(q.read.result == STORE_OK && q.same && q.reply.data != NULL);
    assert_int_equal(q.reply.size, 0);
    arena_done(&q.read.arena);
}

static void test_delete_leaves_a_tombstone(void **state)
{
    struct fixture *f = *state;
    open_store(f, NULL);
    int64_t number = submit(f, "sim_a");
    struct store_delete del = { .write.kind = STORE_WRITE_DELETE, .id = "sim_a", .now_us = 5000 };
    store_write_wait(f->store, &del.write);
    assert_int_equal(del.write.result, STORE_E_STALE); /* it runs */
    assert_int_equal(append(f, number, 1, 0, 2, STORE_COMPLETED), STORE_OK);
    store_write_wait(f->store, &del.write);
    assert_int_equal(del.write.result, STORE_OK);
    store_write_wait(f->store, &del.write);
    assert_int_equal(del.write.result, STORE_E_NOT_FOUND);
    struct store_read_events q;
    assert_int_equal(read_events(f, "sim_a", 0, &q), STORE_E_NOT_FOUND);
    arena_done(&q.read.arena);
    struct store_submit again = make_submit("sim_a");
    store_write_wait(f->store, &again.write);
    assert_int_equal(again.write.result, STORE_E_EXISTS);
    struct store_purge purge = { .write.kind = STORE_WRITE_PURGE,
                                 .now_us = 5000 + STORE_KEY_LIFE_US };
    store_write_wait(f->store, &purge.write);
    assert_int_equal(purge.write.result, STORE_OK);
    store_write_wait(f->store, &again.write);
    assert_int_equal(again.write.result, STORE_OK);
}

static void test_list_pages(void **state)
{
    struct fixture *f = *state;
    open_store(f, NULL);
    int64_t numbers[5];
    for (int i = 0; i < 5; i++) {
        char id[16];
        snprintf(id, sizeof id, "sim_%d", i);
        numbers[i] = submit(f, id);
    }
    assert_int_equal(append(f, numbers[1], 1, 0, 1, STORE_COMPLETED), STORE_OK);
    static const struct {
        int before_index, state;
        bool unfinished;
        uint32_t limit;
        const char *want; /* last characters of the ids */
        bool more;
    } cases[] = {
        { -1, 0, false, 2, "43", true },   { 3, 0, false, 2, "21", true },
        { 1, 0, false, 2, "0", false },    { -1, 4, false, 9, "1", false },
        { -1, 0, true, 9, "0234", false }, { -1, 6, false, 9, "", false },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct store_read_list q = { .read.kind = STORE_READ_LIST,
                                     .before = cases[i].before_index < 0
                                                   ? 0
                                                   : numbers[cases[i].before_index],
                                     .state = cases[i].state,
                                     .unfinished = cases[i].unfinished,
                                     .limit = cases[i].limit };
        arena_init(&q.read.arena, 256);
        store_read_wait(f->store, &q.read);
        assert_int_equal(q.read.result, STORE_OK);
        assert_int_equal(q.n_rows, strlen(cases[i].want));
        assert_int_equal(q.more, cases[i].more);
        for (size_t k = 0; k < q.n_rows; k++)
            assert_int_equal(q.rows[k].id[4], cases[i].want[k]);
        arena_done(&q.read.arena);
    }
}

static void test_characters(void **state)
{
    struct fixture *f = *state;
    open_store(f, NULL);
    struct store_character put = { .write.kind = STORE_WRITE_CHARACTER,
                                   .id = "zoe",
                                   .data = text("Zoe") };
    store_write_wait(f->store, &put.write);
    assert_int_equal(put.write.result, STORE_OK);
    put.id = "amy";
    put.data = (struct store_bytes){ 0 };
    store_write_wait(f->store, &put.write);
    struct store_read_characters q = { .read.kind = STORE_READ_CHARACTERS };
    arena_init(&q.read.arena, 256);
    store_read_wait(f->store, &q.read);
    assert_int_equal(q.read.result, STORE_OK);
    assert_int_equal(q.n_overlays, 2);
    assert_string_equal(q.overlays[0].id, "amy");
    assert_null(q.overlays[0].data.data);
    assert_memory_equal(q.overlays[1].data.data, "Zoe", 3);
    arena_done(&q.read.arena);
}

/* ---- many at once ---- */
struct one {
    struct store_submit w;
    sem_t *ready;
};
static void one_done(struct store_write *w)
{
    (void) sem_post(CONTAINER_OF(w, struct one, w.write)->ready);
}

static void post_many(struct fixture *f, struct one *many, size_t n, sem_t *ready)
{
    for (size_t i = 0; i < n; i++) {
        char id[32];
        snprintf(id, sizeof id, "sim_%04zu", i);
        many[i].w = make_submit(id);
        many[i].w.write.done = one_done;
        many[i].ready = ready;
        store_write_post(f->store, &many[i].w.write);
    }
    for (size_t i = 0; i < n; i++)
        assert_int_equal(sem_wait(ready), 0);
}

static void test_group_commit(void **state)
{
    struct fixture *f = *state;
    open_store(f, "fault");
    enum { N = 1000 };
    struct one *many = calloc(N, sizeof *many);
    sem_t ready;
    assert_int_equal(sem_init(&ready, 0, 0), 0);
    int syncs = atomic_load(&fault.syncs);
    post_many(f, many, N, &ready);
    for (size_t i = 0; i < N; i++)
        assert_int_equal(many[i].w.write.result, STORE_OK);
    struct store_figures figures;
    store_figures_read(f->store, &figures);
    assert_int_equal(figures.operations, N);
    assert_in_range(figures.transactions, N / 256, N / 4);
    assert_int_equal(figures.writes_queued, 0);
    /* One sync of the log for a transaction, none for an operation (the log's header takes one
     * more). */
    syncs = atomic_load(&fault.syncs) - syncs;
    assert_in_range(syncs, figures.transactions, figures.transactions + 2);
    (void) sem_destroy(&ready);
    free(many);
}

static void test_one_failure_in_a_batch_is_its_own(void **state)
{
    struct fixture *f = *state;
    open_store(f, NULL);
    submit(f, "sim_0007");
    enum { N = 16 };
    struct one many[N] = { 0 };
    sem_t ready;
    assert_int_equal(sem_init(&ready, 0, 0), 0);
    post_many(f, many, N, &ready);
    for (size_t i = 0; i < N; i++)
        assert_int_equal(many[i].w.write.result, i == 7 ? STORE_E_EXISTS : STORE_OK);
    (void) sem_destroy(&ready);
}

static void test_queue_is_bounded(void **state)
{
    struct fixture *f = *state;
    char why[256] = "";
    struct store_options o = { .folder = f->folder, .queue_max = 4 };
    assert_int_equal(store_open(&o, &f->store, why, sizeof why), 0);
    enum { N = 2000 };
    struct one *many = calloc(N, sizeof *many);
    sem_t ready;
    assert_int_equal(sem_init(&ready, 0, 0), 0);
    post_many(f, many, N, &ready);
    size_t busy = 0;
    for (size_t i = 0; i < N; i++) {
        busy += many[i].w.write.result == STORE_E_BUSY;
        assert_true(many[i].w.write.result == STORE_OK || many[i].w.write.result == STORE_E_BUSY);
    }
    assert_true(busy > 0 && busy < N);
    (void) sem_destroy(&ready);
    free(many);
}

static void test_second_server_is_refused(void **state)
{
    struct fixture *f = *state;
    open_store(f, NULL);
    struct store *second = (struct store *) f;
    char why[256] = "";
    struct store_options o = { .folder = f->folder };
    assert_int_equal(store_open(&o, &second, why, sizeof why), -1);
    assert_ptr_equal(second, f);
    char want[128];
    snprintf(want, sizeof want, "the data folder %s is in use by another novel-server (process %d)",
             f->folder, (int) getpid());
    assert_string_equal(why, want);
    store_close(f->store);
    open_store(f, NULL); /* free again */
}

/* What a server before directors were wrote goes on as it was. */
static void test_version_before_is_brought_up_to_date(void **state)
{
    struct fixture *f = *state;
    char path[128];
    snprintf(path, sizeof path, "%s/novel.db", f->folder);
    open_store(f, NULL);
    int64_t number = submit(f, "sim_old");
    store_close(f->store);
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db,
                                  "ALTER TABLE simulations DROP COLUMN director;"
                                  "DROP TABLE campaigns; DROP TABLE carry_packs;"
                                  "CREATE TABLE carry_packs(digest BLOB PRIMARY KEY,"
                                  " simulation INTEGER NOT NULL, data BLOB NOT NULL);"
                                  "PRAGMA user_version=1",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(db);
    open_store(f, NULL);
    struct store_direct w = { .write.kind = STORE_WRITE_DIRECT,
                              .number = number,
                              .epoch = 1,
                              .state = STORE_AWAITING,
                              .director = 2 };
    store_write_wait(f->store, &w.write);
    assert_int_equal(w.write.result, STORE_OK);
    struct store_read_row q = { .read.kind = STORE_READ_ROW, .id = "sim_old" };
    arena_init(&q.read.arena, 4096);
    store_read_wait(f->store, &q.read);
    assert_int_equal(q.read.result, STORE_OK);
    assert_int_equal(q.row.state, STORE_AWAITING);
    assert_int_equal(q.row.director, 2);
    assert_true(q.row.request.size > 0);
    arena_done(&q.read.arena);
    w.epoch = 2; /* of another server */
    store_write_wait(f->store, &w.write);
    assert_int_equal(w.write.result, STORE_E_STALE);
}

static void test_foreign_database_is_refused(void **state)
{
    struct fixture *f = *state;
    char path[128], why[512] = "";
    snprintf(path, sizeof path, "%s/novel.db", f->folder);
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA user_version=99", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    struct store_options o = { .folder = f->folder };
    assert_int_equal(store_open(&o, &f->store, why, sizeof why), -1);
    assert_non_null(strstr(why, "version 99"));
    FILE *file = fopen(path, "w");
    for (int i = 0; i < 4096; i++)
        fputc('x', file);
    fclose(file);
    assert_int_equal(store_open(&o, &f->store, why, sizeof why), -1);
    assert_non_null(strstr(why, "not a database"));
}

static void test_read_only_folder(void **state)
{
    struct fixture *f = *state;
    open_store(f, NULL);
    int64_t number = submit(f, "sim_a");
    assert_int_equal(append(f, number, 1, 0, 2, STORE_RUNNING), STORE_OK);
    store_close(f->store);
    f->store = NULL;
    char command[256];
    snprintf(command, sizeof command, "chmod -R a+rX,a-w %s", f->folder);
    assert_int_equal(system(command), 0);
    bool root = geteuid() == 0;
    if (root)
        assert_int_equal(seteuid(65534), 0);
    char why[256] = "";
    struct store_options o = { .folder = f->folder };
    int r = store_open(&o, &f->store, why, sizeof why);
    if (r == 0) {
        assert_int_equal(store_get_health(f->store), STORE_READ_ONLY);
        struct store_submit w = make_submit("sim_b");
        store_write_wait(f->store, &w.write);
        assert_int_equal(w.write.result, STORE_E_READ_ONLY);
        expect_log(f, "sim_a", 2, STORE_RUNNING);
        store_close(f->store);
        f->store = NULL;
    }
    if (root)
        assert_int_equal(seteuid(0), 0);
    snprintf(command, sizeof command, "chmod -R u+w %s", f->folder);
    assert_int_equal(system(command), 0);
    if (r < 0)
        fail_msg("%s", why);
    open_store(f, NULL);
    expect_log(f, "sim_a", 2, STORE_RUNNING);
}

static void test_full_disk(void **state)
{
    struct fixture *f = *state;
    open_store(f, "fault");
    int64_t number = submit(f, "sim_a"), old = submit(f, "sim_old");
    assert_int_equal(append(f, number, 1, 0, 2, STORE_RUNNING), STORE_OK);
    assert_int_equal(append(f, old, 1, 0, 1, STORE_COMPLETED), STORE_OK);
    atomic_store(&fault.write_error, SQLITE_FULL);
    assert_int_equal(append(f, number, 1, 2, 4, STORE_RUNNING), STORE_E_FULL);
    assert_int_equal(store_get_health(f->store), STORE_FULL);
    struct store_submit w = make_submit("sim_b");
    store_write_wait(f->store, &w.write);
    assert_int_equal(w.write.result, STORE_E_FULL);
    expect_log(f, "sim_a", 2, STORE_RUNNING); /* reads go on, nothing half-written */
    /* A delete gets the ballast's room: its first try fails, the second has the disk back. */
    char ballast[128];
    snprintf(ballast, sizeof ballast, "%s/ballast", f->folder);
    assert_int_equal(access(ballast, F_OK), 0);
    atomic_store(&fault.fails, 1);
    struct store_delete del = { .write.kind = STORE_WRITE_DELETE, .id = "sim_old", .now_us = 1 };
    store_write_wait(f->store, &del.write);
    assert_int_equal(del.write.result, STORE_OK);
    assert_int_not_equal(access(ballast, F_OK), 0);
    assert_int_equal(store_get_health(f->store), STORE_WRITABLE);
    fault_reset();
    assert_int_equal(append(f, number, 1, 2, 4, STORE_RUNNING), STORE_OK);
    expect_log(f, "sim_a", 6, STORE_RUNNING);
}

/* Whatever operation of the disk fails, at whichever point of a slice: the slice is there whole or
 * not at all, the answer says which, and after a restart it still holds. */
static void test_failing_disk_at_every_point(void **state)
{
    struct fixture *f = *state;
    static const int errors[] = { SQLITE_IOERR_WRITE, SQLITE_IOERR_FSYNC, SQLITE_FULL };
    open_store(f, "fault");
    int64_t number = submit(f, "sim_a");
    uint64_t last = 0;
    for (size_t e = 0; e < ARRAY_SIZE(errors); e++) {
        int at = 0;
        for (; at < 100; at++) {
            fault_reset();
            atomic_store(&fault.skip, at);
            atomic_store(&fault.fails, 1);
            atomic_store(errors[e] == SQLITE_IOERR_FSYNC ? &fault.sync_error : &fault.write_error,
                         errors[e]);
            enum store_result r = append(f, number, 1, last, 3, STORE_RUNNING);
            bool failed = atomic_load(&fault.failed) > 0;
            fault_reset();
            assert_true(r == STORE_OK || r == STORE_E_IO || r == STORE_E_FULL);
            if (r == STORE_OK)
                last += 3;
            expect_log(f, "sim_a", last, last > 0 ? STORE_RUNNING : STORE_QUEUED);
            store_close(f->store);
            open_store(f, "fault");
            expect_log(f, "sim_a", last, last > 0 ? STORE_RUNNING : STORE_QUEUED);
            if (!failed)
                break; /* past the last operation */
        }
        assert_in_range(at, 1, 99);
    }
}

static void test_broken_until_it_is_well(void **state)
{
    struct fixture *f = *state;
    open_store(f, "fault");
    int64_t number = submit(f, "sim_a");
    atomic_store(&fault.sync_error, SQLITE_IOERR_FSYNC);
    for (int i = 0; i < 3; i++)
        assert_int_equal(append(f, number, 1, 0, 1, STORE_RUNNING), STORE_E_IO);
    assert_int_equal(store_get_health(f->store), STORE_BROKEN);
    atomic_store(&fault.open_error, SQLITE_CANTOPEN);
    assert_int_equal(append(f, number, 1, 0, 1, STORE_RUNNING), STORE_E_IO);
    fault_reset();
    assert_int_equal(append(f, number, 1, 0, 1, STORE_RUNNING), STORE_OK);
    assert_int_equal(store_get_health(f->store), STORE_WRITABLE);
    expect_log(f, "sim_a", 1, STORE_RUNNING);
}

/* Only a commit that wrote says that the disk can be written. */
static void test_stale_write_says_nothing_about_the_disk(void **state)
{
    struct fixture *f = *state;
    open_store(f, "fault");
    int64_t number = submit(f, "sim_a");
    atomic_store(&fault.write_error, SQLITE_FULL);
    assert_int_equal(append(f, number, 1, 0, 2, STORE_RUNNING), STORE_E_FULL);
    assert_int_equal(store_get_health(f->store), STORE_FULL);
    assert_int_equal(append(f, number, 9, 0, 2, STORE_RUNNING), STORE_E_STALE);
    assert_int_equal(store_get_health(f->store), STORE_FULL);
    struct store_purge purge = { .write.kind = STORE_WRITE_PURGE, .now_us = 1 };
    store_write_wait(f->store, &purge.write);
    assert_int_equal(purge.write.result, STORE_E_FULL);
    fault_reset();
    store_write_wait(f->store, &purge.write); /* nothing to forget, but the disk is tried */
    assert_int_equal(purge.write.result, STORE_OK);
    assert_int_equal(store_get_health(f->store), STORE_WRITABLE);
}

int main(void)
{
    log_setup("test_store", 2, LOG_LEVEL_OFF);
    fault_vfs_register();
    static const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(test_life_of_a_simulation),
        T(test_guards),
        T(test_idempotency_key),
        T(test_key_with_reply),
        T(test_delete_leaves_a_tombstone),
        T(test_list_pages),
        T(test_characters),
        T(test_group_commit),
        T(test_one_failure_in_a_batch_is_its_own),
        T(test_queue_is_bounded),
        T(test_second_server_is_refused),
        T(test_version_before_is_brought_up_to_date),
        T(test_foreign_database_is_refused),
        T(test_read_only_folder),
        T(test_full_disk),
        T(test_failing_disk_at_every_point),
        T(test_broken_until_it_is_well),
        T(test_stale_write_says_nothing_about_the_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
