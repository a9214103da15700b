/* stream.h — a server stream as server-sent events, NDJSON, a JSON array or raw bytes.  All [loop].
 */
#ifndef NOVEL_GATEWAY_STREAM_H
#define NOVEL_GATEWAY_STREAM_H
#include "gateway/exchange.h"

/* Chooses the form by Accept.  False: none is acceptable (the problem is recorded). */
bool stream_choose(struct exchange *x);
/* A form that was agreed on otherwise. */
void stream_start(struct exchange *x, enum stream_form form);
/* The answer of a gRPC-Web call that failed, whole. */
void stream_fail_rpc(struct exchange *x);
void stream_on_headers(struct exchange *x);
void stream_on_message(struct exchange *x, nrpc_msg *m); /* takes m */
void stream_on_end(struct exchange *x, const nrpc_status *st);
void stream_on_drained(struct exchange *x);
void stream_done(struct exchange *x);

#endif
