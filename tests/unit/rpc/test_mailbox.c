/* Mailbox under contention, and the worker pool on top of it: order per sender and per key, bounds,
 * nothing lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <pthread.h>
#include <stdlib.h>
#include <cmocka.h>

#include "rpc/base/check.h"
#include "rpc/io/loop.h"
#include "rpc/io/mailbox.h"

enum { SENDERS = 4, POSTS = 50000 };

struct numbered {
    nrpc_task task;
    unsigned sender, number;
};
struct sender {
    pthread_t thread;
    nrpc_loop *loop;
    struct numbered *tasks;
};
/* Touched on the loop only. */
static unsigned seen[SENDERS], total, disorder;

static void on_numbered(nrpc_task *t, nrpc_loop *loop)
{
    struct numbered *n = CONTAINER_OF(t, struct numbered, task);
    disorder += n->number != seen[n->sender];
    seen[n->sender]++;
    if (++total == SENDERS * POSTS)
        nrpc_loop_stop(loop);
}

static void *send_all(void *arg)
{
    struct sender *s = arg;
    for (unsigned i = 0; i < POSTS; i++)
        nrpc_loop_post(s->loop, &s->tasks[i].task);
    return NULL;
}

static void test_order_per_sender(void **state)
{
    (void) state;
    nrpc_loop *loop = NULL;
    struct sender senders[SENDERS];
    assert_int_equal(nrpc_loop_new(&loop), 0);
    for (unsigned s = 0; s < SENDERS; s++) {
        senders[s].loop = loop;
        senders[s].tasks = calloc(POSTS, sizeof(struct numbered));
        assert_non_null(senders[s].tasks);
        for (unsigned i = 0; i < POSTS; i++)
            senders[s].tasks[i] = (struct numbered){ { .run = on_numbered }, s, i };
        assert_int_equal(pthread_create(&senders[s].thread, NULL, send_all, &senders[s]), 0);
    }
    /* A lost wake would leave this run waiting for ever. */
    assert_int_equal(nrpc_loop_run(loop), 0);
    for (unsigned s = 0; s < SENDERS; s++) {
        pthread_join(senders[s].thread, NULL);
        assert_int_equal(seen[s], POSTS);
        free(senders[s].tasks);
    }
    assert_int_equal(disorder, 0);
    nrpc_loop_free(loop);
}

static void test_take_is_oldest_first(void **state)
{
    (void) state;
    struct mailbox m;
    nrpc_task tasks[3] = { 0 };
    assert_int_equal(mailbox_init(&m, true), 0);
    assert_null(mailbox_take(&m));
    for (size_t i = 0; i < ARRAY_SIZE(tasks); i++)
        mailbox_post(&m, &tasks[i]);
    mailbox_wait(&m); /* does not block: a post into an empty box wakes */
    nrpc_task *t = mailbox_take(&m);
    for (size_t i = 0; i < ARRAY_SIZE(tasks); i++, t = t->next)
        assert_ptr_equal(t, &tasks[i]);
    assert_null(t);
    assert_null(mailbox_take(&m));
    mailbox_done(&m);
}

enum { KEYS = 7, JOBS = 20000 };
struct counted {
    nrpc_job job;
    unsigned number;
};
/* One key is served by one thread at a time, so its cell needs no atomics: TSan proves it. */
static unsigned worked[KEYS], returned, work_disorder[KEYS];

static void work_counted(nrpc_job *j)
{
    struct counted *c = CONTAINER_OF(j, struct counted, job);
    work_disorder[j->key] += c->number != worked[j->key];
    worked[j->key]++;
}

static void on_counted(nrpc_task *t, nrpc_loop *loop)
{
    (void) t;
    assert_true(loop_is_current(loop));
    if (++returned == JOBS)
        nrpc_loop_stop(loop);
}

static void test_pool_order_per_key(void **state)
{
    (void) state;
    nrpc_loop *loop = NULL;
    nrpc_pool *pool = NULL;
    struct counted *jobs = calloc(JOBS, sizeof *jobs);
    unsigned next[KEYS] = { 0 };
    assert_non_null(jobs);
    assert_int_equal(nrpc_loop_new(&loop), 0);
    assert_int_equal(nrpc_pool_new(3, JOBS, &pool), 0);
    for (unsigned i = 0; i < JOBS; i++) {
        unsigned key = i * 31 % KEYS;
        jobs[i] =
            (struct counted){ { { .run = on_counted }, work_counted, loop, key }, next[key]++ };
        assert_int_equal(nrpc_pool_submit(pool, &jobs[i].job), 0);
    }
    assert_int_equal(nrpc_loop_run(loop), 0);
    nrpc_pool_free(pool);
    nrpc_loop_free(loop);
    for (unsigned k = 0; k < KEYS; k++) {
        assert_int_equal(worked[k], next[k]);
        assert_int_equal(work_disorder[k], 0);
    }
    free(jobs);
}

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t gate_moved = PTHREAD_COND_INITIALIZER;
static bool gate_entered, gate_open;
static unsigned done_on_worker;

static void set_and_signal(bool *flag)
{
    pthread_mutex_lock(&gate);
    *flag = true;
    pthread_cond_broadcast(&gate_moved);
    pthread_mutex_unlock(&gate);
}

static void wait_for(bool *flag)
{
    pthread_mutex_lock(&gate);
    while (!*flag)
        pthread_cond_wait(&gate_moved, &gate);
    pthread_mutex_unlock(&gate);
}

static void work_at_gate(nrpc_job *j)
{
    (void) j;
    set_and_signal(&gate_entered);
    wait_for(&gate_open);
}

static void work_nothing(nrpc_job *j)
{
    (void) j;
}

static void on_worker_done(nrpc_task *t, nrpc_loop *loop)
{
    (void) t;
    assert_null(loop);
    done_on_worker++;
}

static void test_pool_is_bounded_and_free_runs_all(void **state)
{
    (void) state;
    nrpc_pool *pool = NULL;
    nrpc_job jobs[4];
    assert_int_equal(nrpc_pool_new(0, 1, &pool), NRPC_E_INVAL);
    assert_int_equal(nrpc_pool_new(1, 0, &pool), NRPC_E_INVAL);
    assert_null(pool);
    assert_int_equal(nrpc_pool_new(1, 2, &pool), 0);
    for (size_t i = 0; i < ARRAY_SIZE(jobs); i++)
        jobs[i] =
            (nrpc_job){ { .run = on_worker_done }, i == 0 ? work_at_gate : work_nothing, NULL, 9 };
    assert_int_equal(nrpc_pool_submit(pool, &jobs[0]), 0);
    wait_for(&gate_entered); /* it runs now and is no longer queued */
    assert_int_equal(nrpc_pool_submit(pool, &jobs[1]), 0);
    assert_int_equal(nrpc_pool_submit(pool, &jobs[2]), 0);
    assert_int_equal(nrpc_pool_submit(pool, &jobs[3]), NRPC_E_FULL);
    set_and_signal(&gate_open);
    nrpc_pool_free(pool);
    assert_int_equal(done_on_worker, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_take_is_oldest_first),
        cmocka_unit_test(test_order_per_sender),
        cmocka_unit_test(test_pool_order_per_key),
        cmocka_unit_test(test_pool_is_bounded_and_free_runs_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
