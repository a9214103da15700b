/* once.h — idempotency keys: a call that was answered is answered again with the same bytes, for
 * STORE_KEY_LIFE_US; the key with another method or payload is refused.  Only answers of calls that
 * changed something are kept: a refused call may be tried again with the same key.
 *
 * The way: once_take in the handler, once_look before anything is decided, and the write that makes
 * the change carries &o->key with its reply (store.h: both or neither is on the disk).  Calls that
 * change the same thing must stand in one queue from look to write; should a key be taken between
 * the two all the same, the write says STORE_E_EXISTS. */
#ifndef SERVER_SERVICE_ONCE_H
#define SERVER_SERVICE_ONCE_H
#include "rpc/base/arena.h"
#include "rpc/nrpc.h"
#include "server/store/store.h"

enum once_result {
    ONCE_FREE, /* go on; the write carries o->key */
    ONCE_SAME, /* answered before: o->look.reply, valid until once_done */
    ONCE_OTHER, /* the key belongs to another request */
    ONCE_FAILED /* o->look.read.result says why */
};
struct once {
    struct store_key key; /* key.key is text below */
    bool used;            /* the call has a key */
    char text[STORE_KEY_MAX + 1];
    struct store_read_key look;
    void (*done)(struct once *o, enum once_result result);
};
/* [loop] Reads the call's key into o (zeroed by the caller) and digests method and m, which stays the
 * caller's.  False: the key is not one, *st says so.  Without a key it is true and used stays false. */
bool once_take(struct once *o, const nrpc_call *c, const ProtobufCMessage *m, nrpc_status *st);
/* [any] Asks the store whose the key is; done comes on a thread of the store's and must post on.  o
 * must be used and live until then. */
void once_look(struct once *o, struct store *store, uint64_t now_us,
               void (*done)(struct once *o, enum once_result result));
void once_done(struct once *o); /* frees what the look found; a zeroed or unused one is fine */

#endif
