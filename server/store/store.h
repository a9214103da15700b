/* store.h — what survives: simulations, their events, packs, character overlays, idempotency keys.
 * Knows neither gRPC nor the engine: it keeps bytes and guards them.
 *
 * Threads  One writer thread owns the writing connection: whatever is queued goes into one
 * transaction, one fsync, then every waiter is answered.  A few reader threads with connections of
 * their own serve all reads.  store_write_post and store_read_post are [any]; done() runs on the
 * store's thread and must be short: post on and return. Memory   An operation and the bytes it
 * lends belong to the caller and must live until done(). Durable  A write answered STORE_OK is on
 * the disk (WAL, synchronous=FULL).  Any other answer: nothing of it is there, except STORE_E_IO,
 * after which the caller reads again before it tries again. One      flock on the data folder: a
 * second server is refused at open. Close    Whoever posts has stopped before store_close; what was
 * queued until then is still answered. */
#ifndef SERVER_STORE_STORE_H
#define SERVER_STORE_STORE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "rpc/base/arena.h"
#include "server/inbox.h"

enum store_result {
    STORE_OK = 0,
    STORE_E_NOMEM,     /* no memory for this operation */
    STORE_E_FULL,      /* the disk is full; rolled back */
    STORE_E_READ_ONLY, /* the store can't be written; nothing changed */
    STORE_E_IO,        /* the disk failed; read again before trying again */
    STORE_E_STALE,     /* a guard did not hold (epoch, last sequence, state) */
    STORE_E_CHANGED,   /* it is not any more what was read */
    STORE_E_NOT_FOUND,
    STORE_E_EXISTS, /* the id or the idempotency key is taken */
    STORE_E_BUSY,   /* too many operations are queued */
    STORE_E_CLOSED  /* the store is closing */
};
const char *store_result_name(enum store_result r); /* "STORE_FULL"; never NULL */

/* Numbers of novelengine.v1.Simulation.State, so that a row reads like the contract. */
enum store_state {
    STORE_QUEUED = 1,
    STORE_RUNNING = 2,
    STORE_AWAITING = 3,
    STORE_COMPLETED = 4,
    STORE_FAILED = 5,
    STORE_CANCELLED = 6,
    STORE_DELETED = 100 /* tombstone */
};
static inline bool store_state_final(int state)
{
    return state >= STORE_COMPLETED;
}

#define STORE_ID_SIZE     32 /* "sim_" and 26 characters, and NUL */
#define STORE_DIGEST_SIZE 32
#define STORE_CAMPAIGN_SIZE 40 /* "campaign_" and 26 characters, and NUL */
#define STORE_KEY_MAX     255 /* bytes of an idempotency key */
#define STORE_KEY_LIFE_US (24ull * 3600 * 1000000)

struct store_bytes {
    const uint8_t *data; /* NULL: absent */
    size_t size;
};

struct store;
struct store_options {
    const char *folder;   /* made when it is not there */
    unsigned readers;     /* 0: 2 */
    unsigned queue_max;   /* operations waiting, for writes and for reads each; 0: 8,192 */
    size_t ballast_bytes; /* freed first when the disk is full; 0: 1 MiB */
    const char *vfs;      /* SQLite VFS; NULL: the default */
};
/* Opens or makes the store.  0, or -1 with a sentence for the operator in why. */
int store_open(const struct store_options *o, struct store **out_store, char *why, size_t why_size);
/* Runs what is queued, checkpoints, closes, gives the folder free.  NULL is fine. */
void store_close(struct store *s);

enum store_health { STORE_WRITABLE, STORE_FULL, STORE_READ_ONLY, STORE_BROKEN };
enum store_health store_get_health(const struct store *s); /* [any] as the last write found it */
struct store_figures {
    uint64_t transactions,
        operations; /* committed; operations per transaction shows the grouping */
    uint32_t writes_queued, reads_queued;
};
void store_figures_read(const struct store *s, struct store_figures *out); /* [any] */

/* ---- writes
 * ------------------------------------------------------------------------------------------ */
enum store_write_kind {
    STORE_WRITE_SUBMIT,
    STORE_WRITE_APPEND,
    STORE_WRITE_CLAIM,
    STORE_WRITE_DELETE,
    STORE_WRITE_CHARACTER,
    STORE_WRITE_PURGE,
    STORE_WRITE_DIRECT,
    STORE_WRITE_CAMPAIGN,
    STORE_WRITE_CAMPAIGN_DELETE
};
/* An idempotency key that is taken in the same transaction as the write, with the answer that
 * belongs to it.  Keys are one space: those of simulations (store_submit) are in it too.  A key that
 * is taken already is STORE_E_EXISTS, and nothing is written. */
struct store_key {
    const char *key; /* <= STORE_KEY_MAX */
    uint8_t digest[STORE_DIGEST_SIZE]; /* of the method and the payload */
    struct store_bytes reply; /* not NULL; may be empty */
    uint64_t now_us;
};
struct store_write {
    struct mail mail;
    struct store_write *next; /* of a batch; the store's while queued */
    enum store_write_kind kind;
    enum store_result result;
    struct store_key *once;              /* NULL: no key; not of STORE_WRITE_SUBMIT, which has its own */
    void (*done)(struct store_write *w); /* on the writer's thread */
    void *waiter;                        /* store_write_wait's */
};
/* [any] Queues w (embedded in one of the structs below).  Never fails: a full queue or a closing
 * store answers through done(), on the calling thread then. */
void store_write_post(struct store *s, struct store_write *w);
/* Posts and waits for the answer; not on a loop. */
void store_write_wait(struct store *s, struct store_write *w);

struct store_event {
    uint64_t sequence;
    struct store_bytes canonical, wire;
};
/* A new simulation, its header and what the header names; a fork's with the log it begins with. */
struct store_submit {
    struct store_write write;
    char id[STORE_ID_SIZE];
    int32_t turns;
    uint32_t abi;
    struct store_bytes request; /* as shown: packed SimulationRequest */
    struct store_bytes header;  /* as run: the engine's header with the cast's profiles */
    uint8_t pack_digest[STORE_DIGEST_SIZE];
    struct store_bytes pack; /* image; kept once a digest; absent: it is kept already */
    int director;               /* as in store_row; when set it begins as STORE_AWAITING */
    const char *parent;                    /* of a fork; NULL: none */
    int32_t fork_turn, turns_done;         /* of a fork */
    const struct store_event *events;      /* of a fork: 1, 2, 3 … */
    size_t n_events;
    uint8_t head[STORE_DIGEST_SIZE];       /* with events */
    uint64_t now_us;
    /* A chapter: its campaign (NULL: none) and the digest of the carry pack in its header (zeros:
     * none).  STORE_E_NOT_FOUND: there is no such campaign; STORE_E_STALE: a chapter is unfinished,
     * or the last one left another carry pack. */
    const char *campaign;
    uint8_t carry_digest[STORE_DIGEST_SIZE];
    const char *key;                       /* idempotency key, <= STORE_KEY_MAX; NULL: none */
    uint8_t key_digest[STORE_DIGEST_SIZE]; /* of the payload */
    /* out: with STORE_OK the row's number; with STORE_E_EXISTS what the key belongs to */
    int64_t number;
    char existing_id[STORE_ID_SIZE];
    bool existing_same; /* the payload is the same */
};

/* One slice, or the end: events, head and counters in one transaction.  Guard: epoch and
 * last_sequence. */
struct store_append {
    struct store_write write;
    int64_t number;
    uint64_t epoch, after_sequence;
    const struct store_event *events;
    size_t n_events;
    uint8_t head[STORE_DIGEST_SIZE];
    int32_t turns_done;
    uint64_t now_us;
    int state;    /* STORE_RUNNING, STORE_AWAITING, or a final one with what follows */
    int director; /* as in store_row */
    struct store_bytes result, story, passages, error;
    uint8_t story_digest[STORE_DIGEST_SIZE];
    struct store_bytes carry; /* a chapter's; NULL data: none */
    uint8_t carry_digest[STORE_DIGEST_SIZE];
};

/* Who directs it, without an event.  With a request and a header these replace what was submitted:
 * only as long as nothing is on its log.  Guard: epoch, and last_sequence 0 for a header. */
struct store_direct {
    struct store_write write;
    int64_t number;
    uint64_t epoch;
    int state;                          /* STORE_RUNNING or STORE_AWAITING */
    int director;                       /* as in store_row */
    struct store_bytes request, header; /* NULL data: as they are */
};

/* At start: takes every unfinished simulation (epoch + 1; attempts + 1 for those that ran); those
 * under direction wait for their director. */
struct store_claim {
    struct store_write write;
};
/* A campaign, made or replaced.  STORE_E_EXISTS: made, and the id is taken; STORE_E_NOT_FOUND:
 * replaced, and there is none; STORE_E_CHANGED: replaced, and somebody did so since it was read. */
struct store_campaign {
    struct store_write write;
    const char *id;
    bool make;
    struct store_bytes data;
    uint64_t now_us;  /* later than read_us, so that no two versions share a time */
    uint64_t read_us; /* replaced: update_us as it was read; 0: whatever it is */
};
/* STORE_E_CHANGED as above.  STORE_E_EXISTS: it has chapters, and cascade is not set; STORE_E_STALE: one is unfinished. */
struct store_campaign_delete {
    struct store_write write;
    const char *id;
    bool cascade; /* leaves tombstones of its chapters */
    uint64_t now_us;
    uint64_t read_us;
};
/* Leaves a tombstone that keeps id and idempotency key for their time.  STORE_E_STALE: not final;
 * STORE_E_EXISTS: a later chapter of its campaign goes on from it.
 */
struct store_delete {
    struct store_write write;
    char id[STORE_ID_SIZE];
    uint64_t now_us;
};
/* An overlay over the shipped cards: bytes, or none for a deleted character. */
struct store_character {
    struct store_write write;
    const char *id;
    struct store_bytes data; /* packed Character; NULL data: deleted */
    uint64_t now_us;
};
/* Forgets expired keys and tombstones; writes in any case, so that its answer is the disk's health. */
struct store_purge {
    struct store_write write;
    uint64_t now_us;
};

/* ---- reads
 * ------------------------------------------------------------------------------------------- */
struct store_row {
    int64_t number; /* in the order of submission */
    char id[STORE_ID_SIZE];
    int state;
    char campaign[STORE_CAMPAIGN_SIZE]; /* "": no chapter of any */
    int director; /* 0: nobody directs it; else DirectorCommand.OnDetach's number: what then */
    uint64_t epoch, last_sequence, create_us, start_us, end_us;
    uint32_t abi, attempts;
    int32_t turns, turns_done;
    char parent[STORE_ID_SIZE]; /* of a fork; else "" */
    int32_t fork_turn;
    uint8_t head[STORE_DIGEST_SIZE], pack_digest[STORE_DIGEST_SIZE];
    struct store_bytes request, header, result, error;
    struct store_bytes story, passages; /* with STORE_WITH_STORY, once completed */
    uint8_t story_digest[STORE_DIGEST_SIZE];
};
enum { STORE_WITH_HEADER = 1, STORE_WITH_STORY = 2 };

enum store_read_kind {
    STORE_READ_ROW,
    STORE_READ_LIST,
    STORE_READ_EVENTS,
    STORE_READ_PACK,
    STORE_READ_CHARACTERS,
    STORE_READ_KEY,
    STORE_READ_CAMPAIGNS,
    STORE_READ_CARRY
};
struct store_read {
    struct mail mail;
    enum store_read_kind kind;
    enum store_result result;
    void (*done)(struct store_read *r); /* on a reader's thread */
    void *waiter;                       /* store_read_wait's */
    struct arena arena;                 /* holds what was read; arena_done is the caller's */
};
/* [any] As store_write_post. */
void store_read_post(struct store *s, struct store_read *r);
/* Posts and waits for the answer; not on a loop. */
void store_read_wait(struct store *s, struct store_read *r);

/* One simulation by id.  A tombstone is STORE_E_NOT_FOUND. */
struct store_read_row {
    struct store_read read;
    char id[STORE_ID_SIZE];
    int with;
    struct store_row row;
};
/* A page, newest first: number < before (0: from the newest), state 0: any; or with `unfinished`,
 * oldest first, number > before, those that are not final. */
struct store_read_list {
    struct store_read read;
    int64_t before;
    int state;
    char campaign[STORE_CAMPAIGN_SIZE]; /* "": any; else its chapters only */
    bool unfinished;
    uint32_t limit;
    int with;
    struct store_row *rows;
    size_t n_rows;
    bool more;
};
/* Events after a sequence, up to limit and byte_limit (at least one), with the row they belong to,
 * in one snapshot.  The row has its story when `with` asks for it, the state is final and no event
 * is left. */
struct store_read_events {
    struct store_read read;
    char id[STORE_ID_SIZE];
    uint64_t after_sequence;
    uint32_t limit;
    size_t byte_limit;
    int with;
    bool canonical; /* read them too */
    struct store_row row;
    struct store_event *events;
    size_t n_events;
};
struct store_read_pack {
    struct store_read read;
    uint8_t digest[STORE_DIGEST_SIZE];
    struct store_bytes image;
};
/* What an idempotency key stands for.  STORE_E_NOT_FOUND: it is free. */
struct store_read_key {
    struct store_read read;
    const char *key;
    uint8_t digest[STORE_DIGEST_SIZE];
    uint64_t now_us;
    bool same;                /* the digest is the one it was taken with, by a write with store_key */
    struct store_bytes reply; /* when same */
};
/* A campaign and its chapters in order; those that failed or were cancelled too. */
struct store_campaign_row {
    char id[STORE_CAMPAIGN_SIZE];
    struct store_bytes data;
    uint64_t create_us, update_us;
    struct store_row *chapters; /* with what `with` asks for */
    uint8_t (*carries)[STORE_DIGEST_SIZE]; /* per chapter; zeros: none */
    size_t n_chapters;
};
/* Campaigns by id, after `after` ("": from the first), up to limit (0: all); or the one `id`. */
struct store_read_campaigns {
    struct store_read read;
    const char *id; /* NULL: many */
    const char *after;
    uint32_t limit;
    size_t byte_limit; /* of chapters read; 0: none; one campaign comes in any case */
    int with;
    struct store_campaign_row *rows;
    size_t n_rows;
    bool more;
};
struct store_read_carry {
    struct store_read read;
    uint8_t digest[STORE_DIGEST_SIZE];
    struct store_bytes data;
};
struct store_overlay {
    const char *id;
    struct store_bytes data; /* NULL: deleted */
    uint64_t update_us;
};
struct store_read_characters {
    struct store_read read;
    struct store_overlay *overlays; /* by id */
    size_t n_overlays;
};

#endif
