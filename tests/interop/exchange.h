/* exchange.h — a call as a test writes it down: start, send, next answer, end; each blocks.  The
 * thread that calls runs the loop meanwhile, so several exchanges of one peer go on at once.
 * Not for programs: those use the events of nrpc.h. */
#ifndef INTEROP_EXCHANGE_H
#define INTEROP_EXCHANGE_H
#include "rpc/base/list.h"
#include "rpc/nrpc.h"

struct peer {
    nrpc_loop *loop;
    nrpc_channel *channel;
    struct list exchanges;       /* open ones, freed by peer_close */
    bool quiet;                  /* says nothing on stderr */
    const char *const *metadata; /* added to every call: key, value, ..., NULL; may be NULL */
};
/* A loop and a channel to options->target; of *p it keeps quiet and metadata.  0 or a negative
 * nrpc_err. */
int peer_open(struct peer *p, const nrpc_channel_options *options);
/* Cancels what is open, closes the channel and runs until its memory is gone. */
void peer_close(struct peer *p);

struct pair {
    char *key;
    uint8_t *value;
    size_t size;
};
struct pairs {
    struct pair *list;
    size_t n;
};
/* The first value of key, or NULL. */
const struct pair *pairs_find(const struct pairs *pairs, const char *key);

struct exchange {
    struct list link;
    struct peer *peer;
    nrpc_call *call; /* NULL once ended */
    nrpc_task task;
    nrpc_call_options options;
    const nrpc_method *method;
    const char *const *metadata; /* key, value, ..., NULL; "-bin" values are C strings as well */
    const ProtobufCMessage *message;
    void (*verb)(struct exchange *x);
    nrpc_msg **inbox; /* not taken yet */
    size_t n_inbox, inbox_room;
    bool writable, ended, has_head;
    struct pairs head, tail;
    char addr[128];
    nrpc_status status;
    int result;
};
/* compression: of what is sent; NRPC_IDENTITY leaves it to the channel.
 * NULL when the call cannot even be started; a lost connection is a status, later. */
struct exchange *exchange_open(struct peer *p, const nrpc_method *method, uint64_t timeout_ms,
                               const char *const *metadata, nrpc_compression compression);
/* The request's headers now, before any message. */
void exchange_send_headers(struct exchange *x);
/* Waits while the call's queue is full.  False when the call ended before. */
bool exchange_send(struct exchange *x, const ProtobufCMessage *m);
/* The next message only goes plain, though the call has an encoding. */
void exchange_send_plain_next(struct exchange *x);
void exchange_half_close(struct exchange *x);
void exchange_cancel(struct exchange *x);
/* The next answer, which the caller frees; NULL: the call ended. */
nrpc_msg *exchange_next(struct exchange *x);
/* Runs until the call ended; returns how many answers came that nobody took. */
size_t exchange_finish(struct exchange *x);
/* Cancels an open call and frees; NULL is fine. */
void exchange_free(struct exchange *x);

#endif
