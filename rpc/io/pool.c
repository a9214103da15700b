/* The worker pool of nrpc.h: W threads, one mailbox each.  A key always meets the same worker, so
 * jobs of one key run one at a time in the order of their submission, without a lock. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>

#include "rpc/base/alloc.h"
#include "rpc/base/check.h"
#include "rpc/io/mailbox.h"

struct worker {
    nrpc_pool *pool;
    struct mailbox mailbox;
    pthread_t thread;
};

struct nrpc_pool {
    atomic_size_t queued; /* of all workers; not those that run */
    size_t queued_max;
    atomic_bool stopping;
    unsigned n_workers;
    struct worker workers[];
};

static void run_job(nrpc_pool *p, nrpc_task *t)
{
    nrpc_job *j = CONTAINER_OF(t, nrpc_job, done);
    atomic_fetch_sub_explicit(&p->queued, 1, memory_order_relaxed);
    j->work(j);
    if (j->home != NULL)
        nrpc_loop_post(j->home, &j->done);
    else
        j->done.run(&j->done, NULL);
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    for (;;) {
        /* Read before the inbox: what was queued before the stop is then seen below. */
        bool stopping = atomic_load_explicit(&w->pool->stopping, memory_order_acquire);
        nrpc_task *t = mailbox_take(&w->mailbox);
        if (t == NULL) {
            if (stopping)
                return NULL;
            mailbox_wait(&w->mailbox);
        }
        for (nrpc_task *next; t != NULL; t = next) {
            next = t->next;
            run_job(w->pool, t);
        }
    }
}

static void stop_workers(nrpc_pool *p)
{
    atomic_store_explicit(&p->stopping, true, memory_order_release);
    for (unsigned i = 0; i < p->n_workers; i++)
        mailbox_wake(&p->workers[i].mailbox);
    for (unsigned i = 0; i < p->n_workers; i++) {
        pthread_join(p->workers[i].thread, NULL);
        mailbox_done(&p->workers[i].mailbox);
    }
}

static int start_worker(nrpc_pool *p)
{
    struct worker *w = &p->workers[p->n_workers];
    w->pool = p;
    int r = mailbox_init(&w->mailbox, true);
    if (r < 0)
        return r;
    int error = pthread_create(&w->thread, NULL, worker_main, w);
    if (error != 0) {
        mailbox_done(&w->mailbox);
        errno = error;
        return NRPC_E_SYS;
    }
    p->n_workers++;
    return 0;
}

int nrpc_pool_new(unsigned workers, size_t max_queued, nrpc_pool **out_pool)
{
    if (workers == 0 || workers > 1024 || max_queued == 0)
        return NRPC_E_INVAL;
    nrpc_pool *p = alloc_zero(1, sizeof *p + workers * sizeof p->workers[0]);
    if (p == NULL)
        return NRPC_E_NOMEM;
    p->queued_max = max_queued;
    /* Signals belong to the main thread. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = 0;
    for (unsigned i = 0; i < workers && r == 0; i++)
        r = start_worker(p);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (r < 0) {
        int error = errno;
        stop_workers(p);
        alloc_free(p);
        errno = error;
        return r;
    }
    *out_pool = p;
    return 0;
}

/* Finaliser of SplitMix64: neighbouring session numbers go to different workers. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

int nrpc_pool_submit(nrpc_pool *p, nrpc_job *j)
{
    if (atomic_fetch_add_explicit(&p->queued, 1, memory_order_relaxed) >= p->queued_max) {
        atomic_fetch_sub_explicit(&p->queued, 1, memory_order_relaxed);
        return NRPC_E_FULL;
    }
    mailbox_post(&p->workers[mix(j->key) % p->n_workers].mailbox, &j->done);
    return 0;
}

void nrpc_pool_free(nrpc_pool *p)
{
    if (p == NULL)
        return;
    CHECK(!atomic_load_explicit(&p->stopping, memory_order_acquire));
    stop_workers(p);
    alloc_free(p);
}
