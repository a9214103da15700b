/* table.h — the calls of one loop by number, so that other threads can hold a call without a
 * pointer. All [loop].  A slot is used again, its generation never is (until it wraps after 4
 * billion calls). */
#ifndef NRPC_CALL_TABLE_H
#define NRPC_CALL_TABLE_H
#include "rpc/io/loop.h"

/* Enters c: its id and a number unique in the process; 0 or E_NOMEM. */
int call_table_add(nrpc_loop *l, nrpc_call *c, nrpc_call_id *out_id, uint64_t *out_number);
/* From now on the id finds nothing.  Safe to repeat. */
void call_table_remove(nrpc_loop *l, nrpc_call_id id);
size_t call_table_count(nrpc_loop *l);

#endif
