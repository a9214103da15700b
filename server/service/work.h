/* work.h — a question about a stored log: the log is read and answered on a worker, the loop only
 * posts and replies.
 *
 *   handler [loop] → work_start → a worker reads row, pack and events, then runs the answer → [loop]
 *   reply.  The request is kept, so that the answer can read it.  If the call ends meanwhile, the
 *   answer is dropped. */
#ifndef SERVER_SERVICE_WORK_H
#define SERVER_SERVICE_WORK_H
#include "server/service/inner.h"

/* A stored log as the engine reads it.  What is made of it lives in the caller's arena; all else,
 * what was read too, is freed by stored_log_done. */
struct stored_log {
    struct arena read;            /* holds the bytes of row, canonical and wire */
    struct store_row row;         /* its bytes (request, header, passages …) too */
    struct nvl_header *header;
    const struct nvl_pack *pack;
    struct nvl_pack *own_pack;    /* when it is not the server's */
    struct nvl_world *world;
    struct nvl_span *canonical;
    struct nvl_event *events;     /* decoded, events[i].sequence is i + 1 */
    struct store_bytes *wire;     /* the column of both views */
    size_t count;
};
enum { STORED_RAW = 0x100 }; /* with: rows and bytes only, no pack, no world, no events decoded */
/* [worker] Reads simulation `id` whole.  with: STORE_WITH_… beside the header, or STORED_RAW.
 * STORE_OK; what the store says; STORE_E_STALE when this engine can't read what is stored (another
 * ABI, damage: unless raw, the events lead to the head that was written), with a sentence in why.  *out is whole or empty. */
enum store_result stored_log_read(struct service *s, const char *id, int with, struct arena *a,
                                  struct stored_log *out, char *why, size_t why_size);
/* [worker] The second half of it, for a log that was read raw; STORE_OK or as above. */
enum store_result stored_log_open(struct service *s, struct stored_log *log, struct arena *a,
                                  char *why, size_t why_size);
void stored_log_done(struct stored_log *log); /* of an empty one too */
/* [worker] Where the stored header and events lead to. */
void stored_log_head(const struct stored_log *log, uint8_t out[STORE_DIGEST_SIZE]);

struct work {
    nrpc_job job;
    nrpc_call_id call;
    struct service *service;
    struct arena arena;                      /* request and answer */
    char id[STORE_ID_SIZE];
    int with;
    const ProtobufCMessage *request;
    struct stored_log log;
    void (*answer)(struct work *w);          /* [worker] fills reply or st */
    const ProtobufCMessage *reply;           /* in the arena; NULL: st says why */
    nrpc_status st;
    struct store_bytes bytes;                /* reply, packed */
};
/* [loop] Checks the request against the contract's rules and starts; every failure has ended the
 * call.  m is taken. */
void work_start(struct service *s, nrpc_call *c, nrpc_msg *m, const char *id, int with,
                void (*answer)(struct work *w));
/* [worker] Zeroed memory of the answer; without it st says so and NULL comes back. */
void *work_get(struct work *w, size_t count, size_t size);
/* [worker] Copies a text that was built; NULL as above.  Empties b. */
char *work_text(struct work *w, struct buf *b);
/* [worker] An event as the contract shows it, FULL view; NULL as above. */
NE(SimulationEvent) * work_event(struct work *w, size_t index);

/* Appends a cell of the state in words: "trust of Alex Chen and Maya Patel". */
void work_put_cell(const struct stored_log *log, unsigned cell, struct buf *out);
/* Appends a name of the pack in words: "take it on". */
void work_put_words(struct buf *out, const char *name);
/* Somebody or something by name, with the article that goes with it: "Alex Chen", "the dock". */
void work_put_thing(const struct stored_log *log, enum nvl_sort sort, unsigned index, struct buf *out);
/* What a term of a choice is to a reader: "what drives them". Static; "" for none. */
const char *work_term_phrase(unsigned term);

/* Handlers: verify.c, explain.c, absence.c, beliefs.c. */
nrpc_request_fn handle_verify_simulation, handle_explain_event, handle_explain_absence,
    handle_get_beliefs;
#endif
