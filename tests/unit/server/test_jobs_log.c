/* Jobs and what the disk holds: logs that cannot be gone on with, full disks at the start, time
 * that was only waited, keys, deletes, watchers that go on after a restart, and many at once. */
#include "tests/unit/server/jobs_fixture.h"

#include <sched.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "google/rpc/error_details.pb-c.h"
#include "google/rpc/status.pb-c.h"
#include "rpc/base/check.h"
#include "rpc/base/clock.h"
#include "rpc/base/log.h"
#include "server/contract.h"

static void pass_time(uint64_t ms)
{
    uint64_t end = clock_mono_ns() + ms * 1000000;
    while (clock_mono_ns() < end)
        (void) sched_yield();
}

/* A run that the process left after at least `turns` turns; everything is stopped. */
static struct store_row leave_in_the_middle(struct fixture *f, char id[STORE_ID_SIZE], int turns)
{
    struct gate g, middle;
    struct watcher w;
    start(f);
    gate_close(f, &g);
    assert_int_equal(submit(f, 50, 11, id), JOBS_OK);
    watch_open(f, &w, id, 0, JOBS_BASIC, false); /* watched: a turn a slice */
    gate_open(&g);
    do {
        jobs_watch_pull(&w.w);
        assert_int_equal(sem_wait(&w.batch), 0);
        assert_false(w.w.end);
        for (size_t i = 0; i < w.w.n_items; i++)
            nrpc_blob_unref(w.w.items[i]);
    } while (row_of(f, id).turns_done < turns);
    gate_close(f, &middle); /* no turn is played from here */
    atomic_store(&fault.write_error, SQLITE_FULL);
    watch_close(&w);
    gate_open(&middle);
    stop(f);
    fault_reset();
    start_threads(f);
    struct store_row row = row_of(f, id);
    assert_int_equal(row.state, STORE_RUNNING);
    nrpc_pool_free(f->pool);
    store_close(f->store);
    nrpc_loop_stop(f->loop);
    assert_int_equal(pthread_join(f->loop_thread, NULL), 0);
    nrpc_loop_free(f->loop);
    return row;
}

static void edit(struct fixture *f, const char *sql)
{
    char path[128];
    sqlite3 *db;
    snprintf(path, sizeof path, "%s/novel.db", f->folder);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static int count_events(struct fixture *f)
{
    char path[128];
    sqlite3 *db;
    sqlite3_stmt *st;
    snprintf(path, sizeof path, "%s/novel.db", f->folder);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT count(*) FROM events", -1, &st, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    int n = sqlite3_column_int(st, 0);
    (void) sqlite3_finalize(st);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    return n;
}

static void assert_reason(struct fixture *f, const char *id, const char *reason)
{
    struct store_read_row q = { .read.kind = STORE_READ_ROW };
    memcpy(q.id, id, sizeof q.id);
    arena_init(&q.read.arena, 4096);
    store_read_wait(f->store, &q.read);
    assert_int_equal(q.read.result, STORE_OK);
    Google__Rpc__Status *st = google__rpc__status__unpack(NULL, q.row.error.size, q.row.error.data);
    assert_non_null(st);
    assert_int_equal(st->n_details, 1);
    Google__Rpc__ErrorInfo *info = google__rpc__error_info__unpack(NULL, st->details[0]->value.len,
                                                                   st->details[0]->value.data);
    assert_non_null(info);
    assert_string_equal(info->reason, reason);
    google__rpc__error_info__free_unpacked(info, NULL);
    google__rpc__status__free_unpacked(st, NULL);
    arena_done(&q.read.arena);
}

static void test_logs_that_cannot_go_on(void **state)
{
    static const struct {
        const char *sql, *reason;
        bool row_is_kept; /* the edit left head and sequence as they were */
    } cases[] = {
        { "UPDATE simulations SET abi = abi + 1", "ENGINE_CHANGED", true },
        { "UPDATE simulations SET head = zeroblob(32)", "REPLAY_MISMATCH", false },
        { "UPDATE simulations SET last_sequence = 100000", "REPLAY_MISMATCH", false },
        { "UPDATE simulations SET header = x'00'", "ENGINE_FAILED", true },
        { "UPDATE simulations SET attempts = 5", "RESTART_LIMIT", true },
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char id[STORE_ID_SIZE];
        struct store_row left = leave_in_the_middle(f, id, 3);
        int events = count_events(f);
        edit(f, cases[i].sql);
        start(f);
        wait_end(f, id);
        struct store_row row = row_of(f, id);
        assert_int_equal(row.state, STORE_FAILED);
        assert_reason(f, id, cases[i].reason);
        assert_int_equal(row.turns_done, left.turns_done);
        if (cases[i].row_is_kept) {
            struct watcher w;
            struct seen seen;
            assert_int_equal(row.last_sequence, left.last_sequence);
            assert_memory_equal(row.head, left.head, sizeof row.head);
            watch_open(f, &w, id, 0, JOBS_BASIC, false); /* the log can still be read */
            watch_all(&w, &seen);
            assert_int_equal(seen.events, left.last_sequence);
            assert_int_equal(seen.errors, 1);
            watch_close(&w);
        }
        stop(f);
        assert_int_equal(count_events(f), events);
        edit(f, "DELETE FROM events; DELETE FROM simulations");
    }
    start(f);
}

/* Out of time before the durable past is re-derived: it fails, and the stored head stays. */
static void test_no_time_left_for_the_past(void **state)
{
    struct fixture *f = *state;
    char id[STORE_ID_SIZE];
    struct gate g;
    struct store_row left = leave_in_the_middle(f, id, 12);
    f->max_run_ms = 1;
    start_paused(f, &g);
    pass_time(5);
    gate_open(&g);
    wait_end(f, id);
    struct store_row row = row_of(f, id);
    assert_int_equal(row.state, STORE_FAILED);
    assert_reason(f, id, "RUN_TIME_EXCEEDED");
    assert_int_equal(row.last_sequence, left.last_sequence);
    assert_int_equal(row.turns_done, left.turns_done);
    assert_memory_equal(row.head, left.head, sizeof row.head);
}

/* Waiting for a full disk is not running. */
static void test_parked_time_does_not_count(void **state)
{
    struct fixture *f = *state;
    char id[STORE_ID_SIZE];
    struct gate g;
    struct jobs_figures figures;
    f->max_run_ms = 1000;
    start(f);
    gate_close(f, &g);
    assert_int_equal(submit(f, 30, 5, id), JOBS_OK);
    atomic_store(&fault.write_error, SQLITE_FULL);
    gate_open(&g);
    while (jobs_figures_read(f->jobs, &figures), figures.parked == 0)
        (void) sched_yield();
    pass_time(1100);
    assert_int_equal(row_of(f, id).state, STORE_QUEUED);
    fault_reset();
    wait_end(f, id);
    assert_int_equal(row_of(f, id).state, STORE_COMPLETED);
}

/* A disk that is full at the start: the ballast goes, the server comes up. */
static void test_start_on_a_full_disk(void **state)
{
    struct fixture *f = *state;
    char id[STORE_ID_SIZE];
    (void) leave_in_the_middle(f, id, 2);
    start_threads(f);
    atomic_store(&fault.fails, 1);
    atomic_store(&fault.write_error, SQLITE_FULL);
    start_jobs(f);
    wait_end(f, id);
    assert_int_equal(atomic_load(&fault.failed), 1);
    assert_int_equal(row_of(f, id).state, STORE_COMPLETED);
}

/* A watcher goes on where it was when the server stopped: nothing twice, nothing lost. */
static void test_watcher_goes_on_after_a_restart(void **state)
{
    struct fixture *f = *state;
    char id[STORE_ID_SIZE];
    struct watcher behind, level;
    struct seen a, b;
    struct gate g;
    struct store_row left = leave_in_the_middle(f, id, 12);
    start_paused(f, &g);
    /* Its ring begins after the restart, so `behind` reads the store first, then the ring. */
    watch_open(f, &behind, id, 3, JOBS_BASIC, false);
    watch_open(f, &level, id, left.last_sequence, JOBS_BASIC, false);
    gate_open(&g);
    watch_all(&behind, &a);
    watch_all(&level, &b);
    watch_close(&behind);
    watch_close(&level);
    struct store_row row = row_of(f, id);
    assert_int_equal(row.state, STORE_COMPLETED);
    assert_int_equal(a.first, 4);
    assert_int_equal(a.events, row.last_sequence - 3);
    assert_int_equal(b.first, left.last_sequence + 1);
    assert_int_equal(b.events, row.last_sequence - left.last_sequence);
    assert_int_equal(a.results + b.results, 2);
    assert_int_equal(a.passages, b.passages);
}

static void test_keys(void **state)
{
    struct fixture *f = *state;
    struct submission s[3];
    start(f);
    for (size_t i = 0; i < ARRAY_SIZE(s); i++) {
        make_submission(f, &s[i], 1, 5);
        s[i].r.submit.now_us = clock_wall_ns() / 1000; /* a key of 1970 would be purged */
        s[i].r.submit.key = "once";
        memset(s[i].r.submit.key_digest, i == 2 ? 9 : 1, STORE_DIGEST_SIZE);
        jobs_post_submit(f->jobs, &s[i].r);
        assert_int_equal(sem_wait(&s[i].ready), 0);
        if (i == 0) {
            assert_int_equal(s[i].r.request.result, JOBS_OK);
            wait_end(f, s[i].r.submit.id);
            continue;
        }
        assert_int_equal(s[i].r.request.result, JOBS_E_STORE);
        assert_int_equal(s[i].r.request.store, STORE_E_EXISTS);
        assert_string_equal(s[i].r.submit.existing_id, s[0].r.submit.id);
        assert_int_equal(s[i].r.submit.existing_same, i == 1);
    }
    struct jobs_figures figures;
    jobs_figures_read(f->jobs, &figures);
    assert_int_equal(figures.completed, 1);
    for (size_t i = 0; i < ARRAY_SIZE(s); i++) {
        arena_done(&s[i].arena);
        (void) sem_destroy(&s[i].ready);
    }
}

struct deletion {
    struct jobs_delete r;
    sem_t ready;
};
static void deleted(struct jobs_request *r)
{
    (void) sem_post(&CONTAINER_OF(r, struct deletion, r.request)->ready);
}

static enum jobs_result delete_now(struct fixture *f, struct deletion *d, const char *id,
                                   bool force)
{
    memset(d, 0, sizeof *d);
    assert_int_equal(sem_init(&d->ready, 0, 0), 0);
    memcpy(d->r.id, id, STORE_ID_SIZE);
    d->r.force = force;
    d->r.request.done = deleted;
    jobs_post_delete(f->jobs, &d->r);
    assert_int_equal(sem_wait(&d->ready), 0);
    (void) sem_destroy(&d->ready);
    return d->r.request.result;
}

static void test_delete(void **state)
{
    struct fixture *f = *state;
    char id[STORE_ID_SIZE];
    struct deletion d, forced;
    struct watcher waiting, idle;
    struct gate g;
    start(f);
    gate_close(f, &g);
    assert_int_equal(submit(f, 50, 5, id), JOBS_OK);
    watch_open(f, &waiting, id, 1000000, JOBS_BASIC, false); /* behind all that will be said */
    watch_open(f, &idle, id, 0, JOBS_BASIC, false);
    assert_int_equal(delete_now(f, &d, id, false), JOBS_E_RUNNING);
    assert_int_equal(row_of(f, id).state, STORE_QUEUED);
    memset(&forced, 0, sizeof forced);
    assert_int_equal(sem_init(&forced.ready, 0, 0), 0);
    memcpy(forced.r.id, id, STORE_ID_SIZE);
    forced.r.force = true;
    forced.r.request.done = deleted;
    jobs_post_delete(f->jobs, &forced.r);
    gate_open(&g);
    assert_int_equal(sem_wait(&forced.ready), 0);
    assert_int_equal(forced.r.request.result, JOBS_OK);
    struct watcher *watchers[] = { &waiting, &idle };
    for (size_t i = 0; i < ARRAY_SIZE(watchers); i++) {
        jobs_watch_pull(&watchers[i]->w);
        assert_int_equal(sem_wait(&watchers[i]->batch), 0);
        assert_true(watchers[i]->w.end);
        assert_int_equal(watchers[i]->w.result, JOBS_E_NOT_FOUND);
        assert_int_equal(watchers[i]->w.n_items, 0);
        watch_close(watchers[i]);
    }
    assert_int_equal(delete_now(f, &d, id, true), JOBS_E_NOT_FOUND);
    (void) sem_destroy(&forced.ready);
}

/* Three hundred at once, stopped in the middle: each ends as its seed says. */
static void test_three_hundred(void **state)
{
    enum { N = 300, SEEDS = 5 };
    static char ids[N][STORE_ID_SIZE];
    struct fixture *f = *state;
    struct store_row first[SEEDS];
    start(f);
    for (size_t i = 0; i < N; i++)
        assert_int_equal(submit(f, 6, 1 + i % SEEDS, ids[i]), JOBS_OK);
    stop(f);
    start(f);
    for (size_t i = 0; i < N; i++) {
        wait_end(f, ids[i]);
        struct store_row row = row_of(f, ids[i]);
        assert_int_equal(row.state, STORE_COMPLETED);
        if (i < SEEDS)
            first[i] = row;
        assert_memory_equal(row.head, first[i % SEEDS].head, sizeof row.head);
    }
    assert_memory_not_equal(first[0].head, first[1].head, sizeof first[0].head);
}

int main(void)
{
    log_setup("test_jobs_log", 2, LOG_LEVEL_OFF);
    fault_vfs_register();
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_logs_that_cannot_go_on, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_time_left_for_the_past, setup, teardown),
        cmocka_unit_test_setup_teardown(test_parked_time_does_not_count, setup, teardown),
        cmocka_unit_test_setup_teardown(test_start_on_a_full_disk, setup, teardown),
        cmocka_unit_test_setup_teardown(test_watcher_goes_on_after_a_restart, setup, teardown),
        cmocka_unit_test_setup_teardown(test_keys, setup, teardown),
        cmocka_unit_test_setup_teardown(test_delete, setup, teardown),
        cmocka_unit_test_setup_teardown(test_three_hundred, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
