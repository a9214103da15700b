/* jobs_fixture.h — jobs over the real engine, the real store (through the fault VFS) and one worker
 * in a folder of its own; requests that are waited for; watchers that are read to their end. */
#ifndef TESTS_JOBS_FIXTURE_H
#define TESTS_JOBS_FIXTURE_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <semaphore.h>

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
    uint32_t max_queued, max_running, max_awaiting;
    uint64_t max_run_ms, director_wait_ms;
};

struct submission {
    struct jobs_submit r;
    struct arena arena;
    sem_t ready;
};

struct watcher {
    struct jobs_watch w;
    sem_t batch, closed;
};

struct seen {
    uint64_t first, last;
    size_t events, passages, results, errors;
    bool canonical, decision;
    uint8_t digest[SHA256_SIZE];
};

struct gate {
    nrpc_job job;
    sem_t open, entered;
};

void start_threads(struct fixture *f);
void start_jobs(struct fixture *f);
void start(struct fixture *f);
void stop(struct fixture *f);
int setup(void **state);
int teardown(void **state);
void make_submission(struct fixture *f, struct submission *s, int turns, uint64_t seed);
enum jobs_result submit(struct fixture *f, int turns, uint64_t seed, char out_id[STORE_ID_SIZE]);
void watch_open(struct fixture *f, struct watcher *w, const char *id, uint64_t after,
                enum jobs_view view, bool only_result);
void watch_close(struct watcher *w);
void watch_all(struct watcher *w, struct seen *out);
void wait_end(struct fixture *f, const char *id);
struct store_row row_of(struct fixture *f, const char *id);
void gate_close(struct fixture *f, struct gate *g);
void gate_open(struct gate *g);
void start_paused(struct fixture *f, struct gate *g);

#endif
