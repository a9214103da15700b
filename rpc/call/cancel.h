/* cancel.h — the inside of nrpc_cancel: one flag and a count, the only thing of a call that threads
 * share. */
#ifndef NRPC_CALL_CANCEL_H
#define NRPC_CALL_CANCEL_H
#include "rpc/nrpc.h"

nrpc_cancel *cancel_new(void); /* one reference; NULL without memory */
nrpc_cancel *cancel_ref(nrpc_cancel *k);
void cancel_set(nrpc_cancel *k); /* NULL is fine */

#endif
