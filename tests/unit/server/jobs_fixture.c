#include "tests/unit/server/jobs_fixture.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core_pack.h"
#include "rpc/base/check.h"
#include "rpc/base/sha256.h"
#include "server/cards/profile.h"

static void *run_loop(void *arg)
{
    (void) nrpc_loop_run(arg);
    return NULL;
}

void start_threads(struct fixture *f)
{
    char why[256] = "";
    struct store_options so = { .folder = f->folder, .vfs = "fault" };
    assert_int_equal(store_open(&so, &f->store, why, sizeof why), 0);
    assert_int_equal(nrpc_pool_new(1, 4096, &f->pool), 0);
    assert_int_equal(nrpc_loop_new(&f->loop), 0);
    assert_int_equal(pthread_create(&f->loop_thread, NULL, run_loop, f->loop), 0);
}

void start_jobs(struct fixture *f)
{
    char why[256] = "";
    struct jobs_options o = { .store = f->store,
                              .pool = f->pool,
                              .pack = f->pack,
                              .max_queued = f->max_queued,
                              .max_running = f->max_running,
                              .max_awaiting = f->max_awaiting,
                              .max_run_ms = f->max_run_ms,
                              .director_wait_ms = f->director_wait_ms,
                              .retry_ms = 1 };
    if (jobs_start(&o, &f->jobs, why, sizeof why) < 0)
        fail_msg("%s", why);
}

void start(struct fixture *f)
{
    start_threads(f);
    start_jobs(f);
}

/* Everything that lives in memory goes; what the disk has stays. */
void stop(struct fixture *f)
{
    jobs_stop(f->jobs);
    nrpc_pool_free(f->pool);
    store_close(f->store);
    nrpc_loop_stop(f->loop);
    assert_int_equal(pthread_join(f->loop_thread, NULL), 0);
    nrpc_loop_free(f->loop);
}

int setup(void **state)
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

int teardown(void **state)
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
    assert_int_equal(g.messages, 0);
    assert_int_equal(g.calls, 0);
    assert_int_equal(g.cancels, 0);
    assert_int_equal(g.timers, 0);
    return 0;
}

/* ---- requests, waited for ---- */

static void submitted(struct jobs_request *r)
{
    (void) sem_post(&CONTAINER_OF(r, struct submission, r.request)->ready);
}

void make_submission(struct fixture *f, struct submission *s, int turns, uint64_t seed)
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

enum jobs_result submit(struct fixture *f, int turns, uint64_t seed, char out_id[STORE_ID_SIZE])
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

void watch_open(struct fixture *f, struct watcher *w, const char *id, uint64_t after,
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

void watch_close(struct watcher *w)
{
    jobs_watch_close(&w->w);
    assert_int_equal(sem_wait(&w->closed), 0);
    (void) sem_destroy(&w->batch);
    (void) sem_destroy(&w->closed);
}

/* What a watcher saw, in short. */

void watch_all(struct watcher *w, struct seen *out)
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

void wait_end(struct fixture *f, const char *id)
{
    struct watcher w;
    struct seen seen;
    watch_open(f, &w, id, 0, JOBS_BASIC, true);
    watch_all(&w, &seen);
    assert_int_equal(seen.results + seen.errors, 1);
    assert_int_equal(seen.events + seen.passages, 0);
    watch_close(&w);
}

struct store_row row_of(struct fixture *f, const char *id)
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
void gate_close(struct fixture *f, struct gate *g)
{
    memset(g, 0, sizeof *g);
    assert_int_equal(sem_init(&g->open, 0, 0), 0);
    assert_int_equal(sem_init(&g->entered, 0, 0), 0);
    g->job.work = gate_work;
    g->job.done.run = gate_done;
    assert_int_equal(nrpc_pool_submit(f->pool, &g->job), 0);
    assert_int_equal(sem_wait(&g->entered), 0);
}

void gate_open(struct gate *g)
{
    (void) sem_post(&g->open);
}
/* A start whose worker is held, so that what was found can be looked at. */
void start_paused(struct fixture *f, struct gate *g)
{
    start_threads(f);
    gate_close(f, g);
    start_jobs(f);
}
