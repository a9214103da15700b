/* inner.h — what the files of the service share. */
#ifndef SERVER_SERVICE_INNER_H
#define SERVER_SERVICE_INNER_H
#include "rpc/base/arena.h"
#include "rpc/base/list.h"
#include "server/contract.h"
#include "server/service/errors.h"
#include "server/service/invalidation.h"
#include "server/service/service.h"

enum { SERVICE_LOOPS_MAX = 256 };
struct service_loop {
    nrpc_loop *loop;
    struct catalogue *catalogue; /* this loop's reference */
    _Atomic(uint64_t) calls;     /* written by this loop alone */
    _Atomic(uint64_t) call_us;
    struct list directing;       /* of direct.c's streams on this loop */
    char apart[64];              /* two loops' counters never share a cache line */
};
struct service {
    struct service_options o;
    struct service_loop *loops;
    size_t n_loops;
    uint64_t start_ns;
    _Atomic(uint64_t) memory_kb, cpu_centi; /* service_sample in whole units */
    _Atomic(bool) halted; /* the loops have ended: tasks that are left only free what they carry */
    struct invalidation *invalidation;
    struct list changes; /* of characters, waiting; first loop only; the head is at work */
};
struct service_loop *service_loop_of(struct service *s, nrpc_loop *loop);
/* The catalogue as this call's loop sees it; borrowed until the handler returns. */
const struct catalogue *service_catalogue(struct service *s, const nrpc_call *c);
void service_drop_changes(struct service *s); /* those still queued, once the loops are gone */
/* What a result of the store or the jobs means; id is that of the simulation. */
void service_set_store(nrpc_status *st, enum store_result r);
void service_set_jobs(nrpc_status *st, enum jobs_result r, enum store_result store, const char *id);
/* Ends the call with what a store result means. */
void service_reply_store(nrpc_call *c, enum store_result r);
/* The same for the jobs' results; id is that of the simulation. */
void service_reply_jobs(nrpc_call *c, enum jobs_result r, enum store_result store, const char *id);
uint64_t service_wall_us(void);
/* Checks m against the contract's rules; false and the call has been ended. */
bool service_valid(nrpc_call *c, const ProtobufCMessage *m);

/* A read of the store on behalf of a call: made by read_start, answered on the call's loop.  `done` gets the
 * call, or NULL when it has ended; the read's arena and the object are freed after it. */
struct service_read {
    nrpc_task task;
    nrpc_call_id call;
    nrpc_loop *loop;
    struct service *service;
    void (*done)(struct service_read *r, nrpc_call *c);
    uint64_t after; /* of WatchSimulation */
    int view;       /* enum jobs_view */
    int format;     /* of GetStory */
    union {
        struct store_read read;
        struct store_read_row row;
        struct store_read_list list;
        struct store_read_events events;
    } q;
};
/* NULL (and the call ended) without memory. */
struct service_read *service_read_new(struct service *s, nrpc_call *c, enum store_read_kind kind,
                                      void (*done)(struct service_read *r, nrpc_call *c));
void service_read_post(struct service_read *r);
/* Copies a simulation's id; false when it can't be one (the call is then ended NOT_FOUND). */
bool service_copy_id(nrpc_call *c, const char *id, char out[static STORE_ID_SIZE]);

/* A stored row as the contract shows it, in a's memory; NULL without memory. */
NE(Simulation) *simulation_from_row(const struct store_row *row, bool with_story, struct arena *a);

/* Answers the call with the simulation as it is now. */
void service_reply_simulation(struct service *s, nrpc_call *c, const char *id);

/* request.c: a SimulationRequest becomes what the store and the engine need. */
struct submission {
    struct jobs_submit submit;
    struct arena arena; /* holds all that submit lends */
    nrpc_task task;
    nrpc_call_id call;
    nrpc_loop *loop;
    struct service *service;
    void (*done)(struct submission *s, nrpc_call *c); /* frees s with submission_free */
    char campaign[STORE_CAMPAIGN_SIZE];               /* "": no chapter of any */
    struct store_read_campaigns campaign_read;        /* what its header goes on from */
    const char *simulation_id;                        /* once submitted: the new or the existing one */
};
/* An empty one for the call, with its idempotency key when it came with one.  NULL: *st says why. */
struct submission *submission_begin(struct service *s, nrpc_call *c, const ProtobufCMessage *request, nrpc_status *st);
/* Validates, draws the seed, snapshots the cast.  NULL: the call has been ended with the reason. */
struct submission *submission_new(struct service *s, nrpc_call *c, const NE(SimulationRequest) * request);
/* Queues it; done runs on the call's loop with simulation_id set, or the call has been ended with the reason
 * and s freed. */
void submission_post(struct submission *s, void (*done)(struct submission *s, nrpc_call *c));
void submission_free(struct submission *s);

/* watch.c: streams a simulation's updates into the call; the call ends with the stream. */
void watch_start(struct service *s, nrpc_call *c, const char *id, uint64_t after, enum jobs_view view);
/* Waits for the end and answers with the SimulationResult. */
void watch_result(struct service *s, nrpc_call *c, const char *id);
void watch_on_writable(nrpc_call *c, void *state);
void watch_on_end(nrpc_call *c, void *state, const nrpc_status *st);

/* direct.c */
extern const nrpc_events direct_events;
void direct_on_drain(void *ctx, nrpc_loop *loop);

/* edit.c: an Edit of the contract as the engine takes it; strings are the message's.  False with the field,
 * relative to the edit, in *out_missing when it names no change.  A swap is none of the engine's. */
bool edit_from(const NE(Edit) * from, struct nvl_edit *out, const char **out_missing);
/* The place in an Edit of what the engine calls `field`: "act.targets[1]". */
void edit_field(enum nvl_edit_kind kind, const char *field, char *out, size_t out_size);
/* A swap: the header and request of row with another character in the place of one; in a's memory.  False
 * with *st set; fields are named behind `prefix`. */
bool edit_swap(const struct store_row *row, const NE(Edit__SwapCharacter) * swap, const struct catalogue *k,
               const char *prefix, struct arena *a, struct store_bytes *out_request, struct store_bytes *out_header,
               nrpc_status *st);

/* export.c */
void export_on_writable(nrpc_call *c, void *state);
void export_on_end(nrpc_call *c, void *state, const nrpc_status *st);

/* Handlers, by file: system.c, characters.c, simulations.c, story.c, export.c, tell.c, fork.c, compare.c. */
nrpc_request_fn handle_get_health, handle_get_service_info, handle_get_system_status, handle_get_policy;
nrpc_request_fn handle_list_characters, handle_get_character, handle_create_character, handle_update_character,
    handle_delete_character, handle_reset_character;
nrpc_request_fn handle_run_simulation, handle_stream_simulation, handle_submit_simulation, handle_get_simulation,
    handle_list_simulations, handle_watch_simulation, handle_list_events, handle_cancel_simulation,
    handle_delete_simulation;
nrpc_request_fn handle_create_campaign, handle_get_campaign, handle_list_campaigns, handle_update_campaign,
    handle_delete_campaign, handle_get_manuscript;
nrpc_request_fn handle_get_story, handle_export_simulation, handle_tell_story;
nrpc_request_fn handle_fork_simulation, handle_compare_simulations;

#endif
