/* jobs.h — simulations as jobs: queued, run in slices on the worker pool, durable before shown,
 * watched.
 *
 * One thread owns every live simulation; nothing of it is touched elsewhere, except by the one
 * worker that runs its slice.  Requests reach that thread through its inbox; answers come back as
 * described at each. All functions are [any] unless said otherwise.
 *
 *   QUEUED --admitted--> RUNNING --COMPLETED|FAILED|CANCELLED durable--> gone from memory with its
 * last watcher
 *
 * Under direction it is RUNNING while somebody holds the seat, and waits between two turns as long
 * as that director wants; without one it is AWAITING, with no state in memory.
 *
 * A slice is one turn while anybody watches, else up to 8 turns or 2 ms.  A simulation is ahead of
 * the disk by at most two slices.  When a commit fails, it drops its state, waits, reads its row
 * again and re-derives. */
#ifndef SERVER_JOBS_JOBS_H
#define SERVER_JOBS_JOBS_H
#include "rpc/base/list.h"
#include "rpc/nrpc.h"
#include "server/engine/edit.h"
#include "server/engine/nvl.h"
#include "server/store/store.h"

struct jobs;
struct jobs_options {
    struct store *store;
    nrpc_pool *pool;
    const struct nvl_pack *pack; /* what new simulations run on; lives as long as the jobs */
    uint32_t max_queued;         /* unfinished simulations that need no director; 0: 1,000 */
    uint32_t max_running;        /* of them, with state in memory; 0: 64 */
    uint32_t max_directed;       /* beside these, with a director in the seat; 0: 64 */
    uint32_t max_awaiting;       /* without one, on the disk only, beside max_queued; 0: 10,000 */
    uint64_t director_wait_ms;   /* for a director to come back; 0: 60,000 */
    uint64_t max_run_ms;         /* of one simulation, once it runs; 0: 600,000 */
    uint32_t retry_ms; /* first pause after a failed commit, doubles up to 32 times; 0: 250 */
};
/* Starts the thread and resumes what the store holds unfinished.  0, or -1 with a sentence in why.
 */
int jobs_start(const struct jobs_options *o, struct jobs **out_jobs, char *why, size_t why_size);
/* Parks every simulation at its durable head, ends the thread.  Watchers must be closed by then;
 * the pool and the store must still run. */
void jobs_stop(struct jobs *j);
struct jobs_figures {
    uint32_t queued, running, parked; /* parked: waiting for the store */
    uint32_t awaiting;                /* without a director in the seat */
    uint64_t completed, failed, cancelled, events;
};
void jobs_figures_read(const struct jobs *j, struct jobs_figures *out);
const struct nvl_pack *jobs_pack(const struct jobs *j);

/* "sim_" and 26 characters: time and randomness, sortable. */
void jobs_new_id(char out[static STORE_ID_SIZE]);

enum jobs_result {
    JOBS_OK,
    JOBS_E_QUEUE_FULL, /* try again in jobs_retry_after_ms */
    JOBS_E_STORE,      /* store.result says what */
    JOBS_E_NOT_FOUND,
    JOBS_E_FINISHED, /* cancel: it has ended otherwise */
    JOBS_E_RUNNING,  /* delete without force */
    JOBS_E_CONTINUED, /* delete of a chapter that a later one goes on from */
    JOBS_E_STOPPING,
    JOBS_E_NOMEM,
    JOBS_E_DIRECTED,   /* somebody else is in the seat */
    JOBS_E_SEATS_FULL, /* max_directed */
    JOBS_E_INVALID,    /* an order names what there is not; field and message say what */
    JOBS_E_BEGUN       /* a swap after the log has begun */
};
#define JOBS_RETRY_AFTER_MS 1000

/* ---- requests: done() runs on the jobs' thread and must only post on
 * ---------------------------------- */
struct jobs_request {
    struct mail mail;
    enum jobs_result result;
    enum store_result store; /* with JOBS_E_STORE */
    void (*done)(struct jobs_request *r);
};
/* Writes the header, then queues.  The bytes of `submit` are lent until done; submit's answer is
 * filled in. An idempotency key that is taken is JOBS_E_STORE with STORE_E_EXISTS. */
struct jobs_submit {
    struct jobs_request request;
    struct store_submit submit; /* write.* is ours */
    struct jobs *jobs;
};
void jobs_post_submit(struct jobs *j, struct jobs_submit *r);

/* Done once CANCELLED is durable.  JOBS_OK too when it was cancelled before. */
struct jobs_cancel {
    struct jobs_request request;
    char id[STORE_ID_SIZE];
    struct list link;
    struct store_read_row row;
    struct jobs *jobs;
};
void jobs_post_cancel(struct jobs *j, struct jobs_cancel *r);

/* Leaves a tombstone; its watchers end with JOBS_E_NOT_FOUND. */
struct jobs_delete {
    struct jobs_request request;
    char id[STORE_ID_SIZE];
    bool force;
    struct jobs_cancel cancel;
    struct store_delete write;
    struct jobs *jobs;
};
void jobs_post_delete(struct jobs *j, struct jobs_delete *r);

/* ---- watching
 * ----------------------------------------------------------------------------------------- * A
 * watch belongs to its loop until opened, then to the jobs' thread until on_closed.  Pull: each
 * on_batch answers one jobs_watch_pull; a watcher that does not pull costs nothing and slows
 * nobody.  Items are packed SimulationUpdate messages, shared by all watchers: events after the
 * cursor, then passages and the result or error, then `end`. */
enum { JOBS_BATCH = 32 };
enum jobs_view { JOBS_BASIC, JOBS_FULL, JOBS_VIEWS };
struct sim;
struct jobs_watch {
    /* set by the caller before open */
    char id[STORE_ID_SIZE];
    uint64_t cursor; /* last sequence seen */
    enum jobs_view view;
    bool only_result; /* no events, no passages: the final update alone; nor does it count as
                         watching */
    nrpc_loop *loop;
    void (*on_batch)(struct jobs_watch *w,
                     nrpc_loop *loop); /* [loop] takes the items' references */
    void (*on_closed)(struct jobs_watch *w, nrpc_loop *loop); /* [loop] w is the caller's again */
    /* one batch, valid from on_batch to the next pull */
    nrpc_blob *items[JOBS_BATCH];
    size_t n_items;
    bool end;                /* nothing follows */
    enum jobs_result result; /* other than JOBS_OK: why it ends */
    enum store_result store;
    /* ours */
    struct jobs *jobs;
    struct sim *sim;
    struct list link;
    struct mail open_mail, pull_mail, close_mail, read_mail;
    nrpc_task batch_task, closed_task;
    struct store_read_events q;
    size_t finals_sent;
    bool waiting, reading, closing;
};
void jobs_watch_open(struct jobs *j, struct jobs_watch *w); /* [loop] */
void jobs_watch_pull(struct jobs_watch *w); /* [loop] not before on_batch of the last pull */
void jobs_watch_close(
    struct jobs_watch *w); /* [loop] once; on_closed follows, on_batch may come first */

/* ---- directing
 * ---------------------------------------------------------------------------------------- * A
 * seat belongs to its loop until it is left and on_left has come back.  Orders go one at a time:
 * the next is posted after done() of the one before.  An order counts between two turns. */
enum jobs_detach { /* numbers of DirectorCommand.OnDetach */
                   JOBS_DETACH_NONE,
                   JOBS_DETACH_CONTINUE,
                   JOBS_DETACH_PAUSE,
                   JOBS_DETACH_CANCEL
};
/* A packed DirectorUpdate.Proposals, for whoever has seen everything up to the sequence. */
struct jobs_proposals {
    nrpc_task task;
    struct jobs_seat *seat;
    nrpc_blob *blob;
    uint64_t sequence;
};
struct jobs_seat {
    /* set by the caller before the first order */
    char id[STORE_ID_SIZE];
    enum jobs_detach on_detach;
    nrpc_loop *loop;
    /* [loop] takes p: jobs_proposals_free; none comes after on_left */
    void (*on_proposals)(struct jobs_seat *seat, struct jobs_proposals *p);
    void (*on_left)(struct jobs_seat *seat, nrpc_loop *loop); /* [loop] */
    /* ours */
    struct jobs *jobs;
    struct sim *sim;
    struct mail leave_mail;
    nrpc_task left_task;
};
enum jobs_order_kind {
    JOBS_ATTACH, /* first; waits at the end of the turn; answered with the stage */
    JOBS_PAUSE,  /* answered once it waits, durably */
    JOBS_RESUME,
    JOBS_STEP,
    JOBS_EDIT, /* answered with the verdict; valid: once its INTERVENTION is durable */
    JOBS_VETO,
    JOBS_SWAP,  /* only before anything is on the log; answered with the stage */
    JOBS_FINISH /* the seat is empty and the simulation goes on by itself; leave it all the same */
};
struct jobs_order {
    struct jobs_request request; /* mail, done */
    struct jobs_seat *seat;
    enum jobs_order_kind kind;
    uint32_t number;                              /* STEP: turns; VETO: the proposal */
    struct nvl_edit edit;                         /* EDIT; its strings live until done */
    struct store_bytes swap_request, swap_header; /* SWAP; live until done */
    const char *swap_out;                         /* SWAP: whose place it is */
    /* out */
    struct nvl_judgement verdict; /* with JOBS_OK */
    uint64_t sequence;            /* of the last event that was durable then */
    nrpc_blob *stage;             /* ATTACH, SWAP: packed DirectorUpdate.Stage; the caller's */
    char field[48];               /* with JOBS_E_INVALID: as nvl_intervene names it */
    char message[224];
};
void jobs_post_order(struct jobs *j, struct jobs_order *o);
/* [loop] Once, also after JOBS_FINISH or a refused JOBS_ATTACH; on_left follows.  Not while an
 * order is out. */
void jobs_seat_leave(struct jobs *j, struct jobs_seat *seat);
void jobs_proposals_free(struct jobs_proposals *p); /* NULL is fine */

#endif
