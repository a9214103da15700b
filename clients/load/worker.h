/* worker.h — one thread with a loop and its share of the users.  A step runs on all workers at
 * once: each user sends, waits for the answer, pauses, sends again (closed loop), or waits until
 * the clock says a request is due (open loop: durations count from then, however late it was sent).
 *
 * Threads: worker_new, run, poll and free are the main thread's; everything else happens on the
 * worker's loop.  What crosses is a task each way. */
#ifndef NOVEL_LOAD_WORKER_H
#define NOVEL_LOAD_WORKER_H
#include <pthread.h>
#include <semaphore.h>
#include "clients/load/request.h"
#include "clients/load/tally.h"
#include "rpc/base/buf.h"
#include "rpc/nrpc.h"

struct door;
struct worker;

/* Where requests go, and how; the same for all steps. */
struct target {
    const struct door *door;
    const char *address;              /* "http://127.0.0.1:8000", "127.0.0.1:50051" */
    const char *const *headers;       /* name, value, ..., NULL: sent with each request */
    const char *ca_file;              /* NULL: the system's */
    const char *cert_file, *key_file; /* to show; NULL: none */
    bool insecure;                    /* does not check certificates */
    nrpc_tls *tls;                    /* of the RPC door; NULL: plain */
    unsigned streams;                 /* users that share one RPC connection */
};
struct step {
    const struct target *target;
    const struct endpoint *endpoint;
    unsigned users;
    uint64_t requests_per_user; /* 0: until the time is over */
    uint64_t duration_ns;       /* new requests start for so long; UINT64_MAX: no limit */
    uint64_t timeout_ns;        /* of one request */
    uint64_t think_ns;
    double rate;   /* requests a second over all workers; 0: closed loop */
    int32_t turns; /* of simulations */
    uint64_t seed; /* of the first simulation; each gets the next */
};

/* Where a request of a user stands. */
struct user {
    struct worker *worker;
    unsigned number; /* within the step, over all workers */
    void *place;     /* the door's */
    const struct request *request;
    uint64_t next; /* which of the endpoint's requests comes next */
    uint64_t sent; /* how many it has sent */
    uint64_t seed;
    uint64_t began_ns; /* what durations count from */
    uint64_t sent_ns;  /* what its time limit counts from */
    uint64_t first_ns; /* streams: when the first event came; 0: not yet */
    bool busy;         /* a request is out */
    bool patient;      /* its timer runs */
    nrpc_timer *pause, *patience;
    struct user *idle_next; /* open loop: users without a request */
};

/* A door.  All on the worker's loop.  start ends with exactly one user_ended (never inside start),
 * unless abandon came before; then with none.  user_ended may start the user's next request. */
struct door {
    const char *name; /* "http" */
    int (*open)(struct worker *w);
    int (*open_user)(struct worker *w, struct user *u); /* 0 or a negative nrpc_err */
    int (*start)(struct user *u);
    void (*abandon)(struct user *u);    /* the time of its request is over */
    void (*close_user)(struct user *u); /* no request is out */
    /* Frees what open made; gone(w) runs when nothing of it is left on the loop. */
    void (*close)(struct worker *w, void (*gone)(void *w));
};
extern const struct door door_http, door_rpc;

struct worker {
    nrpc_loop *loop;
    pthread_t thread;
    sem_t answered; /* the main thread waits here for what it posted */
    sem_t *over;    /* of all workers: posted once when the step is over */
    const struct step *step;
    void *place; /* the door's */
    struct user *users;
    unsigned n_users, first_user, stride;
    unsigned busy;
    uint64_t begin_ns, end_ns;
    bool finished;          /* no request is out and none comes */
    bool stopping;          /* the person does not want to wait */
    int failed;             /* the first negative result; ends the step */
    int seen_failed;        /* that of the last poll, for the main thread */
    struct tally since;     /* what ended since the last poll */
    struct buf simulations; /* that the step made: their ids, a NUL behind each */
    struct open_loop *open_loop;
    uint64_t cpu_ns, wait_ns; /* of the thread at the last poll: on a core, waiting for one */
    struct worker_task {
        nrpc_task task;
        struct worker *worker;
        struct tally *into;
        uint64_t begin_ns;
    } task;
};

/* Starts its thread; 0 or a negative nrpc_err.  over is posted once a step, when the worker's share
 * is over. */
int worker_new(sem_t *over, struct worker **out_worker);
void worker_free(struct worker *w); /* between steps; joins */
/* Begins its share of the step: users first, first + stride, ...  begin_ns: monotonic, the same for
 * all workers. */
int worker_begin(struct worker *w, const struct step *step, unsigned first, unsigned stride,
                 uint64_t begin_ns);
/* Adds what ended since the last poll to `into`. */
void worker_poll(struct worker *w, struct tally *into);
void worker_stop(struct worker *w); /* sends nothing more and waits for nothing more */
/* Frees the users and their connections; the ids of simulations that were made are appended, a NUL
 * behind each. */
void worker_finish(struct worker *w, struct buf *simulations);

/* For doors, as the last they do with it: the request is over, and the next may have begun when
 * this returns.  status and detail as tally_add's. */
void user_ended(struct user *u, enum outcome o, const char *status, const char *detail);
void worker_add_bytes(struct worker *w, uint64_t bytes);
void worker_add_simulation(struct worker *w, const char *id); /* "" is fine */

#endif
