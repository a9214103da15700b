/* Jobs over the real engine, store and pool: the same head whatever interrupts a run, cancel, a
 * bounded queue, watchers that see everything once and cost nothing while they do not pull. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <semaphore.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/base/check.h"
#include "rpc/base/log.h"
#include "tests/unit/server/jobs_fixture.h"

/* The process goes in the middle of a run, another one takes up: the same head. */
static void test_interrupted_runs_have_the_same_head(void **state)
{
    struct fixture *f = *state;
    char id[STORE_ID_SIZE];
    start(f);
    assert_int_equal(submit(f, 30, 7, id), JOBS_OK);
    wait_end(f, id);
    struct store_row undisturbed = row_of(f, id);
    assert_int_equal(undisturbed.state, STORE_COMPLETED);
    for (int batches = 1; batches <= 4; batches++) {
        struct gate before, middle;
        struct watcher w;
        gate_close(f, &before);
        assert_int_equal(submit(f, 30, 7, id), JOBS_OK);
        watch_open(f, &w, id, 0, JOBS_BASIC, false); /* watched: a turn a slice */
        gate_open(&before);
        for (int i = 0; i < batches; i++) {
            jobs_watch_pull(&w.w);
            assert_int_equal(sem_wait(&w.batch), 0);
            for (size_t k = 0; k < w.w.n_items; k++)
                nrpc_blob_unref(w.w.items[k]);
        }
        uint64_t shown = w.w.cursor;
        gate_close(f, &middle); /* no turn is played from here */
        atomic_store(&fault.write_error, SQLITE_FULL);
        watch_close(&w);
        gate_open(&middle);
        stop(f);
        fault_reset();
        start_paused(f, &before);
        struct store_row row = row_of(f, id);
        assert_int_equal(row.state, STORE_RUNNING);
        assert_true(row.last_sequence >= shown); /* what was shown is there */
        assert_in_range(row.last_sequence, 1, undisturbed.last_sequence - 1);
        gate_open(&before);
        wait_end(f, id);
        row = row_of(f, id);
        assert_int_equal(row.state, STORE_COMPLETED);
        assert_int_equal(row.last_sequence, undisturbed.last_sequence);
        assert_memory_equal(row.head, undisturbed.head, sizeof row.head);
    }
}

/* Commits fail now and then while it runs: it drops its state, re-derives, and ends the same. */
static void test_failing_commits_change_nothing(void **state)
{
    struct fixture *f = *state;
    char id[STORE_ID_SIZE];
    start(f);
    assert_int_equal(submit(f, 12, 7, id), JOBS_OK);
    wait_end(f, id);
    struct store_row undisturbed = row_of(f, id);
    static const int errors[] = { SQLITE_FULL, SQLITE_IOERR_WRITE };
    for (size_t e = 0; e < ARRAY_SIZE(errors); e++) {
        assert_int_equal(submit(f, 12, 7, id), JOBS_OK);
        fault_reset();
        atomic_store(&fault.fails, 3);
        atomic_store(&fault.write_error, errors[e]);
        wait_end(f, id);
        fault_reset();
        struct store_row row = row_of(f, id);
        assert_int_equal(row.state, STORE_COMPLETED);
        assert_memory_equal(row.head, undisturbed.head, sizeof row.head);
    }
}

static void test_queue_is_bounded(void **state)
{
    struct fixture *f = *state;
    enum { N = 100 };
    static char ids[N][STORE_ID_SIZE];
    char extra[STORE_ID_SIZE];
    struct gate g;
    f->max_queued = N;
    start(f);
    gate_close(f, &g);
    for (size_t i = 0; i < N; i++)
        assert_int_equal(submit(f, 1, i + 1, ids[i]), JOBS_OK);
    assert_int_equal(submit(f, 1, 1, extra), JOBS_E_QUEUE_FULL);
    gate_open(&g);
    for (size_t i = 0; i < N; i++) {
        wait_end(f, ids[i]);
        assert_int_equal(row_of(f, ids[i]).state, STORE_COMPLETED);
    }
    assert_int_equal(submit(f, 1, 1, extra), JOBS_OK);
    wait_end(f, extra);
}

struct cancelling {
    struct jobs_cancel r;
    sem_t ready;
};
static void cancelled(struct jobs_request *r)
{
    (void) sem_post(&CONTAINER_OF(r, struct cancelling, r.request)->ready);
}

static void test_cancel(void **state)
{
    struct fixture *f = *state;
    char id[STORE_ID_SIZE];
    struct gate g;
    struct seen seen;
    struct watcher w;
    start(f);
    gate_close(f, &g);
    assert_int_equal(submit(f, 50, 3, id), JOBS_OK);
    struct cancelling c = { .r.request.done = cancelled };
    assert_int_equal(sem_init(&c.ready, 0, 0), 0);
    memcpy(c.r.id, id, sizeof c.r.id);
    jobs_post_cancel(f->jobs, &c.r);
    watch_open(f, &w, id, 0, JOBS_BASIC, false);
    gate_open(&g);
    assert_int_equal(sem_wait(&c.ready), 0);
    assert_int_equal(c.r.request.result, JOBS_OK);
    struct store_row row = row_of(f, id);
    assert_int_equal(row.state, STORE_CANCELLED);
    assert_true(row.turns_done <= 8); /* at most the slice that was being begun */
    watch_all(&w, &seen);
    assert_int_equal(seen.events, row.last_sequence);
    assert_int_equal(seen.errors, 1);
    watch_close(&w);
    /* Again is fine; of something else it is not. */
    jobs_post_cancel(f->jobs, &c.r);
    assert_int_equal(sem_wait(&c.ready), 0);
    assert_int_equal(c.r.request.result, JOBS_OK);
    snprintf(c.r.id, sizeof c.r.id, "sim_nobody");
    jobs_post_cancel(f->jobs, &c.r);
    assert_int_equal(sem_wait(&c.ready), 0);
    assert_int_equal(c.r.request.result, JOBS_E_NOT_FOUND);
    (void) sem_destroy(&c.ready);
}

/* Live and late, whole and resumed: everybody sees the same bytes, in order, once. */
static void test_watchers(void **state)
{
    struct fixture *f = *state;
    char id[STORE_ID_SIZE];
    struct watcher live, lazy, full, late;
    struct seen a, b, c, d;
    struct gate g;
    start(f);
    gate_close(f, &g);
    assert_int_equal(submit(f, 10, 5, id), JOBS_OK);
    watch_open(f, &live, id, 0, JOBS_BASIC, false);
    watch_open(f, &lazy, id, 0, JOBS_BASIC, false); /* does not pull before the end */
    watch_open(f, &full, id, 0, JOBS_FULL, false);
    gate_open(&g);
    watch_all(&live, &a);
    assert_int_equal(lazy.w.n_items, 0); /* it got nothing that it had not asked for */
    watch_all(&lazy, &b);
    watch_all(&full, &c);
    assert_int_equal(a.first, 1);
    assert_true(a.events > 10 && a.passages > 0);
    assert_int_equal(a.results, 1);
    assert_memory_equal(a.digest, b.digest, sizeof a.digest);
    assert_false(a.canonical || a.decision);
    assert_true(c.canonical && c.decision);
    assert_int_equal(c.events, a.events);
    watch_close(&live);
    watch_close(&lazy);
    watch_close(&full);
    /* From the store: the same bytes; from the middle: what follows; from the end: the end again.
     */
    watch_open(f, &late, id, 0, JOBS_BASIC, false);
    watch_all(&late, &d);
    assert_memory_equal(a.digest, d.digest, sizeof a.digest);
    watch_close(&late);
    watch_open(f, &late, id, 4, JOBS_BASIC, false);
    watch_all(&late, &d);
    assert_int_equal(d.first, 5);
    assert_int_equal(d.last, a.last);
    watch_close(&late);
    watch_open(f, &late, id, a.last, JOBS_BASIC, false);
    watch_all(&late, &d);
    assert_int_equal(d.events, 0);
    assert_int_equal(d.passages, a.passages);
    assert_int_equal(d.results, 1);
    watch_close(&late);
}

int main(void)
{
    log_setup("test_jobs", 2, LOG_LEVEL_OFF);
    fault_vfs_register();
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_interrupted_runs_have_the_same_head, setup, teardown),
        cmocka_unit_test_setup_teardown(test_failing_commits_change_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_queue_is_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cancel, setup, teardown),
        cmocka_unit_test_setup_teardown(test_watchers, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
