/* inner.h — the inside of jobs: a live simulation, a slice of it, and who calls whom.
 *
 *   jobs.c    the thread: inbox, admission, requests, start and stop
 *   runner.c  the life of one simulation on the jobs' thread: slices out, commits back, failure,
 * end slice.c   what a worker does: turns of the engine, packed events, the story hub.c watchers:
 * the last events, shared; laggards read the store
 *   direct.c  a simulation under direction: what it does next, the seat, who comes and goes
 *   stage.c   what the director is shown, packed by the worker */
#ifndef SERVER_JOBS_INNER_H
#define SERVER_JOBS_INNER_H
#include <pthread.h>
#include "rpc/base/map.h"
#include "server/jobs/jobs.h"
#include "server/jobs/wire.h"

enum {
    RING_EVENTS = 1024, /* packed events of a simulation that the hub keeps */
    SLICE_TURNS = 8,    /* while nobody watches */
    SLICE_NS = 2000000,
    AHEAD_MAX = 2,    /* slices ahead of the disk */
    RESTARTS_MAX = 5, /* without one durable slice between them */
};

struct packed_event {
    nrpc_blob *views[JOBS_VIEWS];
};

enum { PROPOSALS_MAX = 256 };
/* What a slice does for a director, beside re-deriving. */
struct direction {
    bool on;                          /* no turn but one that is asked for here */
    bool edits, turn, stage, propose; /* in this order, if it is alive then */
    struct nvl_edit edit;             /* its strings live in the slice's arena */
    uint32_t first_proposal;
    /* out */
    bool reached; /* all that is durable was derived: what is asked for here was done */
    bool invalid; /* the edit names what there is not: error says what */
    struct nvl_error error;
    struct nvl_judgement verdict;
    nrpc_blob *stage_blob, *proposals_blob;
    struct nvl_proposal proposals[PROPOSALS_MAX];
    size_t n_proposals;
};

/* One slice: filled by a worker, then committed, then shown.  Freed when its commit is answered. */
struct slice {
    nrpc_job job;
    struct mail mail; /* worker -> jobs, then writer -> jobs */
    struct sim *sim;
    struct arena arena;
    /* in: where the log stands once everything before this slice is durable (append.after_sequence
     * too) */
    uint8_t base_head[STORE_DIGEST_SIZE];
    int32_t base_turns;
    bool watched; /* one turn only */
    struct direction direct;
    struct store_event *events;
    struct packed_event *packed;
    size_t n_events, capacity;
    bool sunk_nomem;
    uint64_t now_us;
    /* out */
    const char *failed_reason; /* FAILED with this reason; NULL: it went well */
    char failed_text[256];
    bool no_memory; /* nothing of this slice counts; try again later */
    bool ended;
    struct store_append append;
    struct finals *finals; /* with `ended` */
};

enum sim_state { SIM_QUEUED, SIM_RUNNING, SIM_PARKED, SIM_AWAITING, SIM_ENDED };
/* Which of the bounded places a simulation with state in memory has. */
enum sim_place { PLACE_NONE, PLACE_RUN, PLACE_DIRECT };
struct sim {
    struct jobs *jobs;
    char id[STORE_ID_SIZE];
    enum sim_state state;
    struct list link; /* in jobs' queued, parked or awaiting; unlinked else */
    enum sim_place place;
    int64_t number;
    uint64_t epoch, create_us, start_mono_ns,
        submit_mono_ns; /* submit_mono_ns 0: before this process */
    int32_t turns;
    bool chapter; /* of a campaign: its end leaves a carry pack */
    bool forked; /* its log begins with another's */
    struct store_bytes request, header; /* owned */
    uint64_t last_sequence;             /* durable */
    struct {                            /* what has been sent to the store */
        uint64_t sequence;
        int32_t turns_done;
        uint8_t head[STORE_DIGEST_SIZE];
    } posted;
    uint32_t attempts, abi;
    int final_state; /* SIM_ENDED */
    /* in flight */
    bool slicing, broken; /* broken: state is dropped once nothing is in flight */
    bool ending;          /* its last slice is on its way to the disk: no other may follow */
    unsigned committing;
    uint64_t parked_ns, retry_ns; /* SIM_PARKED: since when, until when */
    uint32_t backoff_ms;
    struct store_read_row row; /* re-read after a failure */
    bool rereading;
    /* under direction: direct.c */
    struct {
        enum jobs_detach mode;    /* JOBS_DETACH_NONE: it is not */
        struct jobs_seat *seat;   /* NULL: nobody there */
        struct jobs_order *order; /* to be answered */
        bool paused;
        uint32_t steps;                 /* turns until it pauses; 0: none is counted */
        uint64_t until_ns;              /* SIM_AWAITING: what `mode` says happens then; 0: never */
        uint64_t idle_ns;               /* it waits since; 0: it does not */
        bool proposed;                  /* what would come next has been shown */
        bool staged;                    /* the order's stage has been made */
        bool swapped;                   /* the order's header is on the disk */
        uint32_t first_proposal;        /* number of the next one that is shown */
        struct nvl_proposal *proposals; /* PROPOSALS_MAX; made when needed */
        size_t n_proposals;
        struct slice *held; /* STARTED, not yet on its way to the disk: a swap may replace it */
        int stored_state;   /* as the row has them */
        int stored_mode;
        bool writing;
        struct store_direct write;
    } direct;
    /* the worker's, while a slice is out */
    struct nvl_header *decoded;
    struct nvl_sim *engine;
    struct nvl_pack *own_pack; /* the header's, when it is not the server's */
    struct buf log;            /* size (4 bytes) and canonical bytes of every event so far */
    uint64_t derived_sequence; /* last event that the engine gave */
    atomic_bool cancel;
    /* the hub's */
    struct packed_event *ring; /* RING_EVENTS; made with the first event */
    uint64_t ring_first;       /* sequence of the oldest kept; ring_first > last_sequence: none */
    struct list watches;       /* of struct jobs_watch */
    unsigned n_watching;       /* without those that want the result only */
    struct list cancels;       /* of struct jobs_cancel */
    struct finals *finals;     /* SIM_ENDED */
};

struct jobs {
    struct jobs_options o;
    struct inbox box;
    pthread_t thread;
    bool stopping;
    struct map sims; /* id -> sim */
    struct list queued, parked, awaiting;
    unsigned running;    /* with PLACE_RUN */
    unsigned directed;   /* with PLACE_DIRECT */
    unsigned submitting; /* headers on their way to the disk */
    unsigned in_flight;  /* slices, commits and reads that will still come back */
    struct store_purge purge;
    bool purging;
    uint64_t purged_ns; /* 0: not yet */
    atomic_uint live, running_now, parked_now, awaiting_now;
    atomic_uint_fast64_t completed, failed, cancelled, events;
};

/* slice.c */
void slice_work(nrpc_job *job);   /* [worker] */
void slice_free(struct slice *s); /* NULL is fine */
/* Packs a google.rpc.Status with ErrorInfo for a simulation that ends without a story. */
int slice_pack_error(nrpc_code code, const char *reason, const char *text, struct arena *a,
                     struct store_bytes *out);

/* stage.c [worker]: NULL without memory. */
nrpc_blob *stage_pack(const struct sim *sim, struct arena *scratch);
nrpc_blob *stage_pack_proposals(const struct sim *sim, const struct nvl_proposal *list,
                                size_t count, uint32_t first, struct arena *scratch);
/* Proposal p as the edit that forbids it; strings in a's memory.  False without memory. */
bool stage_veto(const struct sim *sim, const struct nvl_proposal *p, struct arena *a,
                struct nvl_edit *out);

/* direct.c, jobs' thread.  under_direction: everything that is scheduled for it goes through here.
 */
static inline bool under_direction(const struct sim *sim)
{
    return sim->direct.mode != JOBS_DETACH_NONE;
}
void direct_schedule(struct sim *sim);
/* The slice has come back (true: it is dealt with), or is durable, or is lost. */
bool direct_on_slice(struct sim *sim, struct slice *s);
void direct_on_durable(struct sim *sim, struct slice *s);
void direct_on_lost(struct sim *sim, enum store_result why);
void direct_ended(struct sim *sim); /* nobody directs what has ended */
void direct_drop(struct sim *sim);  /* what was made from the engine's state */
void direct_free(struct sim *sim);
void direct_stop(struct sim *sim);  /* the server goes: orders that wait are answered */
void direct_await(struct sim *sim); /* new, or nothing in flight: waits without state */
void direct_go(struct sim *sim);    /* SIM_AWAITING no more, nor under direction; unlinked */
void direct_expire(struct jobs *j, uint64_t now_ns);
int direct_timeout(const struct jobs *j, uint64_t now_ns, int timeout_ms);

/* runner.c, jobs' thread */
void sim_set_place(struct sim *sim, enum sim_place place);
struct slice *sim_new_slice(struct sim *sim);          /* NULL without memory */
void sim_post_slice(struct sim *sim, struct slice *s); /* takes s */
void sim_commit(struct sim *sim, struct slice *s);     /* takes s; its events are new */
void sim_break(struct sim *sim);
void sim_queue(struct sim *sim, bool first); /* not linked anywhere */
void sim_cancel(struct sim *sim);            /* CANCELLED comes between two turns */
void sim_drop_engine(struct sim *sim);
struct sim *sim_new(struct jobs *j, const struct store_row *row);
void sim_free(struct sim *sim);
void sim_admit(struct jobs *j);     /* fills free places from the queue, in order */
void sim_schedule(struct sim *sim); /* a next slice, if one may run now */
/* Copies of what it was asked and begun with come in place of the old ones; false: no memory, and
 * the old ones stay. */
bool sim_take_header(struct sim *sim, struct store_bytes request, struct store_bytes header);
void sim_retry_parked(struct jobs *j, uint64_t now_ns);
void sim_on_slice(struct mail *m, void *owner);
/* Forgets a simulation that has ended and that nobody holds. */
void sim_release(struct sim *sim);
uint64_t jobs_wall_us(void);

/* hub.c, jobs' thread */
void hub_publish(struct sim *sim, struct slice *s); /* takes the packed events */
void hub_end(struct sim *sim);                      /* finals are there: wake everybody */
void hub_wake(struct sim *sim);
void hub_drop(struct sim *sim); /* frees what the ring keeps */
/* last_sequence went past events that the ring never had: watchers read those from the store. */
void hub_moved(struct sim *sim);
void hub_expel(struct sim *sim, enum jobs_result why);

#endif
