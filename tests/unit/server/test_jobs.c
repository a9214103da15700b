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

#include "core_pack.h"
#include "rpc/base/check.h"
#include "rpc/base/log.h"
#include "server/cards/profile.h"
#include "server/jobs/jobs.h"
#include "tests/unit/server/fault_vfs.h"

struct fixture {
    char folder[64];
    struct store *store;
    nrpc_pool *pool;
    nrpc_loop *loop;
    pthread_t loop_thread;
    struct jobs *jobs;
    struct nvl_pack *pack;
    uint32_t max_queued;
};

static void *run_loop(void *arg)
{
    (void) nrpc_loop_run(arg);
    return NULL;
}

static void start_threads(struct fixture *f)
{
    char why[256] = "";
    struct store_options so = { .folder = f->folder, .vfs = "fault" };
    assert_int_equal(store_open(&so, &f->store, why, sizeof why), 0);
    assert_int_equal(nrpc_pool_new(1, 4096, &f->pool), 0);
    assert_int_equal(nrpc_loop_new(&f->loop), 0);
    assert_int_equal(pthread_create(&f->loop_thread, NULL, run_loop, f->loop), 0);
}

static void start_jobs(struct fixture *f)
{
    char why[256] = "";
    struct jobs_options o = { .store = f->store,
                              .pool = f->pool,
                              .pack = f->pack,
                              .max_queued = f->max_queued,
                              .retry_ms = 1 };
    if (jobs_start(&o, &f->jobs, why, sizeof why) < 0)
        fail_msg("%s", why);
}

static void start(struct fixture *f)
{
    start_threads(f);
    start_jobs(f);
}

/* Everything that lives in memory goes; what the disk has stays. */
static void stop(struct fixture *f)
{
    jobs_stop(f->jobs);
    nrpc_pool_free(f->pool);
    store_close(f->store);
    nrpc_loop_stop(f->loop);
    assert_int_equal(pthread_join(f->loop_thread, NULL), 0);
    nrpc_loop_free(f->loop);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct nvl_error err;
    strcpy(f->folder, "/tmp/test_jobs.XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    assert_int_equal(nvl_pack_open(core_pack, core_pack_size, &err, &f->pack), NVL_OK);
    fault_reset();
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    char command[128];
    fault_reset();
    stop(f);
    nvl_pack_free(f->pack);
    snprintf(command, sizeof command, "rm -rf %s", f->folder);
    (void) !system(command);
    free(f);
    nrpc_gauges g;
    nrpc_gauges_read(&g);
    assert_int_equal(g.blobs, 0);
    return 0;
}

/* ---- requests, waited for ---- */

struct submission {
    struct jobs_submit r;
    struct arena arena;
    sem_t ready;
};
static void submitted(struct jobs_request *r)
{
    (void) sem_post(&CONTAINER_OF(r, struct submission, r.request)->ready);
}

static void make_submission(struct fixture *f, struct submission *s, int turns, uint64_t seed)
{
    memset(s, 0, sizeof *s);
    arena_init(&s->arena, 4096);
    assert_int_equal(sem_init(&s->ready, 0, 0), 0);
    struct catalogue *k = NULL;
    struct card_error card_err;
    assert_int_equal(catalogue_load(NULL, &k, &card_err), 0);
    char *names[] = { "engineer", "pilot", "scientist" };
    struct nvl_profile cast[3];
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(profile_make(catalogue_find(k, names[i])->message, k, &s->arena, &cast[i]),
                         0);
    struct nvl_request request = { .turns = (uint32_t) turns,
                                   .seed = seed,
                                   .setting = "",
                                   .scenario = "a distress signal from an abandoned mining station",
                                   .cast = cast,
                                   .cast_count = 3 };
    struct buf header = { 0 };
    uint8_t hash[SHA256_SIZE];
    struct nvl_error err;
    assert_int_equal(nvl_header_encode(&request, nvl_pack_digest(f->pack), &header, hash, &err),
                     NVL_OK);
    struct store_submit *w = &s->r.submit;
    w->header =
        (struct store_bytes){ arena_copy(&s->arena, header.data, header.size), header.size };
    buf_done(&header);
    catalogue_unref(k);
    NE(SimulationRequest) shown = NOVELENGINE__V1__SIMULATION_REQUEST__INIT;
    shown.n_character_names = 3;
    shown.character_names = names;
    uint8_t *packed = arena_get(&s->arena, 1024);
    w->request =
        (struct store_bytes){ packed, novelengine__v1__simulation_request__pack(&shown, packed) };
    jobs_new_id(w->id);
    w->turns = turns;
    w->abi = NVL_ENGINE_ABI;
    w->now_us = 1000;
    memcpy(w->pack_digest, nvl_pack_digest(f->pack), sizeof w->pack_digest);
    w->pack.data = nvl_pack_image(f->pack, &w->pack.size);
    s->r.request.done = submitted;
}

static enum jobs_result submit(struct fixture *f, int turns, uint64_t seed,
                               char out_id[STORE_ID_SIZE])
{
    struct submission s;
    make_submission(f, &s, turns, seed);
    jobs_post_submit(f->jobs, &s.r);
    assert_int_equal(sem_wait(&s.ready), 0);
    memcpy(out_id, s.r.submit.id, STORE_ID_SIZE);
    arena_done(&s.arena);
    (void) sem_destroy(&s.ready);
    return s.r.request.result;
}

struct watcher {
    struct jobs_watch w;
    sem_t batch, closed;
};
static void on_batch(struct jobs_watch *w, nrpc_loop *loop)
{
    (void) loop;
    (void) sem_post(&CONTAINER_OF(w, struct watcher, w)->batch);
}
static void on_closed(struct jobs_watch *w, nrpc_loop *loop)
{
    (void) loop;
    (void) sem_post(&CONTAINER_OF(w, struct watcher, w)->closed);
}

static void watch_open(struct fixture *f, struct watcher *w, const char *id, uint64_t after,
                       enum jobs_view view, bool only_result)
{
    memset(w, 0, sizeof *w);
    assert_int_equal(sem_init(&w->batch, 0, 0), 0);
    assert_int_equal(sem_init(&w->closed, 0, 0), 0);
    memcpy(w->w.id, id, strlen(id) + 1);
    w->w.cursor = after;
    w->w.view = view;
    w->w.only_result = only_result;
    w->w.loop = f->loop;
    w->w.on_batch = on_batch;
    w->w.on_closed = on_closed;
    jobs_watch_open(f->jobs, &w->w);
}

static void watch_close(struct watcher *w)
{
    jobs_watch_close(&w->w);
    assert_int_equal(sem_wait(&w->closed), 0);
    (void) sem_destroy(&w->batch);
    (void) sem_destroy(&w->closed);
}

/* What a watcher saw, in short. */
struct seen {
    uint64_t first, last;
    size_t events, passages, results, errors;
    bool canonical, decision;
    uint8_t digest[SHA256_SIZE];
};

static void watch_all(struct watcher *w, struct seen *out)
{
    struct sha256 *sha = sha256_new();
    sha256_start(sha);
    memset(out, 0, sizeof *out);
    do {
        jobs_watch_pull(&w->w);
        assert_int_equal(sem_wait(&w->batch), 0);
        assert_int_equal(w->w.result, JOBS_OK);
        assert_true(w->w.n_items <= JOBS_BATCH);
        for (size_t i = 0; i < w->w.n_items; i++) {
            nrpc_slice bytes = nrpc_blob_bytes(w->w.items[i]);
            sha256_add(sha, bytes.data, bytes.size);
            NE(SimulationUpdate) *u =
                novelengine__v1__simulation_update__unpack(NULL, bytes.size, bytes.data);
            assert_non_null(u);
            if (u->update_case == NOVELENGINE__V1__SIMULATION_UPDATE__UPDATE_EVENT) {
                assert_int_equal(out->passages + out->results + out->errors, 0);
                if (out->events > 0)
                    assert_int_equal(u->sequence, out->last + 1);
                else
                    out->first = u->sequence;
                out->last = u->sequence;
                out->events++;
                out->canonical |= u->event->canonical.len > 0;
                out->decision |= u->event->decision != NULL;
            }
            out->passages += u->update_case == NOVELENGINE__V1__SIMULATION_UPDATE__UPDATE_PASSAGE;
            out->results += u->update_case == NOVELENGINE__V1__SIMULATION_UPDATE__UPDATE_RESULT;
            out->errors += u->update_case == NOVELENGINE__V1__SIMULATION_UPDATE__UPDATE_ERROR;
            if (out->events > 0)
                assert_int_equal(u->sequence, out->last); /* the end carries the last sequence */
            novelengine__v1__simulation_update__free_unpacked(u, NULL);
            nrpc_blob_unref(w->w.items[i]);
        }
    } while (!w->w.end);
    sha256_finish(sha, out->digest);
    sha256_free(sha);
}

static void wait_end(struct fixture *f, const char *id)
{
    struct watcher w;
    struct seen seen;
    watch_open(f, &w, id, 0, JOBS_BASIC, true);
    watch_all(&w, &seen);
    assert_int_equal(seen.results + seen.errors, 1);
    assert_int_equal(seen.events + seen.passages, 0);
    watch_close(&w);
}

static struct store_row row_of(struct fixture *f, const char *id)
{
    struct store_read_row q = { .read.kind = STORE_READ_ROW };
    memcpy(q.id, id, sizeof q.id);
    arena_init(&q.read.arena, 4096);
    store_read_wait(f->store, &q.read);
    assert_int_equal(q.read.result, STORE_OK);
    arena_done(&q.read.arena);
    q.row.request = q.row.header = q.row.result = q.row.error = (struct store_bytes){ 0 };
    return q.row;
}

/* ---- tests ---- */

struct gate {
    nrpc_job job;
    sem_t open, entered;
};
static void gate_work(nrpc_job *job)
{
    struct gate *g = CONTAINER_OF(job, struct gate, job);
    (void) sem_post(&g->entered);
    while (sem_wait(&g->open) < 0)
        continue;
}
static void gate_done(nrpc_task *t, nrpc_loop *loop)
{
    (void) t;
    (void) loop;
}
/* Holds the only worker until opened. */
static void gate_close(struct fixture *f, struct gate *g)
{
    memset(g, 0, sizeof *g);
    assert_int_equal(sem_init(&g->open, 0, 0), 0);
    assert_int_equal(sem_init(&g->entered, 0, 0), 0);
    g->job.work = gate_work;
    g->job.done.run = gate_done;
    assert_int_equal(nrpc_pool_submit(f->pool, &g->job), 0);
    assert_int_equal(sem_wait(&g->entered), 0);
}

static void gate_open(struct gate *g)
{
    (void) sem_post(&g->open);
}
/* A start whose worker is held, so that what was found can be looked at. */
static void start_paused(struct fixture *f, struct gate *g)
{
    start_threads(f);
    gate_close(f, g);
    start_jobs(f);
}

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
