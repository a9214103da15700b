/* status.h — nrpc_status to and from the wire, and the tables of the gRPC specification. */
#ifndef NRPC_GRPC_STATUS_H
#define NRPC_GRPC_STATUS_H
#include "rpc/base/buf.h"
#include "rpc/nrpc.h"

/* Limits on what travels in the trailers. */
enum { STATUS_MESSAGE_MAX = 4096, STATUS_DETAILS_MAX = 6144 };

/* grpc-message and grpc-status-details-bin as they travel; a field that is absent leaves its buffer
 * empty.  The buffers' `failed` says when memory was short. */
void status_wire(const nrpc_status *st, struct buf *message, struct buf *details);
/* Sets *st from received trailers.  code that is no number 0..16: UNKNOWN.  details that are no
 * Base64 are dropped.  Absent fields have data NULL. */
void status_from_wire(nrpc_status *st, nrpc_slice code, nrpc_slice message, nrpc_slice details);
/* A response without grpc-status: grpc/doc/http-grpc-status-mapping.md. */
nrpc_code status_code_of_http(int http_status);
/* A stream that the peer reset: the table "Errors" of PROTOCOL-HTTP2.md. */
nrpc_code status_code_of_h2_error(uint32_t error_code);
/* The outcome of a runtime error: E_NOMEM, E_FULL and E_TOOBIG are RESOURCE_EXHAUSTED, E_CLOSED
 * UNAVAILABLE, the rest INTERNAL. */
nrpc_code status_code_of_error(int error);

#endif
