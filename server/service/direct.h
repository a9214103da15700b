/* direct.h — one DirectSimulation stream, as direct.c leads it and direct_out.c answers it. */
#ifndef SERVER_SERVICE_DIRECT_H
#define SERVER_SERVICE_DIRECT_H
#include "server/service/inner.h"

enum directing_phase { PHASE_NEW, PHASE_OPENING, PHASE_SEATED, PHASE_LEFT };
enum { TAG_COMMAND_ID = 1, TAG_SIMULATION = 2, TAG_VERDICT = 3, TAG_PROPOSALS = 4, TAG_ERROR = 5, TAG_STAGE = 6 };

struct outgoing {
    struct list link;
    uint64_t sequence; /* not before this event */
    nrpc_blob *blob;   /* packed DirectorUpdate */
};
struct directing {
    struct service *service;
    struct list link; /* of the loop's directing */
    nrpc_call_id call;
    nrpc_loop *loop;
    enum directing_phase phase;
    nrpc_msg *command; /* that is being dealt with; NULL: none */
    bool half_closed, ended, finished, blocked, wanted;
    /* what others hold */
    struct jobs_seat seat;
    struct jobs_order order;
    struct jobs_watch watch;
    bool seated, leaving, ordering, watching;
    nrpc_task order_task;
    /* what is to go out */
    struct list out;
    bool have_batch;
    size_t sent;
    uint64_t shown; /* last event that is out */
    uint64_t after;
    enum jobs_view view;
    struct arena arena; /* of the command that is being dealt with */
};

/* The command that is being dealt with. */
static inline const NE(DirectorCommand) * directing_command(const struct directing *d)
{
    return (const NE(DirectorCommand) *) nrpc_msg_body(d->command);
}

/* direct_out.c [loop] */
/* Queues a DirectorUpdate with the packed message in the member `tag`, for when `sequence` is out. */
void directing_queue(struct directing *d, nrpc_call *c, const char *command_id, unsigned tag, nrpc_slice message,
                     uint64_t sequence);
/* The answer to the command that is being dealt with; the first takes st. */
void directing_queue_error(struct directing *d, nrpc_call *c, nrpc_status *st);
void directing_queue_verdict(struct directing *d, nrpc_call *c, const struct nvl_judgement *v, uint64_t sequence);
/* Sends what may go now, and asks for what comes next: a batch of events, a command; or ends the call. */
void directing_flush(struct directing *d, nrpc_call *c);

#endif
