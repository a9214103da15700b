/* fork.h — the log that a fork begins with: the parent's past up to a turn, byte for byte, FORKED, and one
 * INTERVENTION an edit.  It is played anew, so that what is stored is what an engine gives. */
#ifndef SERVER_JOBS_FORK_H
#define SERVER_JOBS_FORK_H
#include "server/engine/edit.h"
#include "server/store/store.h"

struct fork_in {
    struct store *store;
    const struct nvl_pack *pack;    /* the server's; the parent's own counts */
    const struct store_row *parent; /* with its header */
    struct store_bytes header;      /* the child's: the parent's, or one with another cast */
    bool swapped;                   /* the cast was exchanged; at_turn is 0 */
    const char *id;                 /* the child's */
    uint32_t at_turn, turns;        /* turns 0: as many as it has */
    uint64_t seed;                  /* 0: as it is */
    const struct nvl_edit *edits;
    size_t n_edits;
    uint64_t now_us;
};
enum fork_result {
    FORK_OK,
    FORK_E_NOMEM,
    FORK_E_STORE,    /* `store` says what */
    FORK_E_DAMAGED,  /* the parent's log does not come out again; error says where */
    FORK_E_PACK,     /* its pack cannot be opened */
    FORK_E_BEGUN,    /* a cast is exchanged only where nothing but the beginning is shared */
    FORK_E_ENDED,    /* no turn is left */
    FORK_E_INVALID,  /* error.field names "seed" or "turns" */
    FORK_E_EDIT,     /* edits[edit] names what there is not; error.field says which part of it */
    FORK_E_REJECTED, /* edits[edit] breaks a law: verdict */
};
struct fork_out {
    enum fork_result result;
    enum store_result store;
    struct nvl_error error;
    size_t edit;
    struct nvl_judgement verdict;
    /* with FORK_OK; in the arena */
    struct store_event *events;
    size_t n_events;
    uint8_t head[STORE_DIGEST_SIZE];
    uint32_t turns, turns_done;
};
/* [worker] Reads what it needs from the store; writes nothing. */
void fork_make(const struct fork_in *in, struct arena *a, struct fork_out *out);

#endif
