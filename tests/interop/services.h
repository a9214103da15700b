/* services.h — grpc.testing.TestService and BenchmarkService, as the public interop and
 * benchmark descriptions define them.  UnimplementedService is not registered: that is its point.
 */
#ifndef INTEROP_SERVICES_H
#define INTEROP_SERVICES_H
#include "grpc/testing/benchmark_service.nrpc.h"
#include "grpc/testing/test.nrpc.h"

/* [setup] 0 or a negative nrpc_err.  server_id: what fill_server_id asks for; lent for the
 * server's life. */
int interop_add_test_service(nrpc_server *s, const char *server_id);
int interop_add_benchmark_service(nrpc_server *s);
/* xds.service.orca.v3.OpenRcaService: what TestService's streams are told to report, out of band.
 */
int interop_add_orca_service(nrpc_server *s);

/* A payload of `size` zero bytes as both services answer it; it borrows memory that never changes.
 * OK, or INVALID_ARGUMENT or RESOURCE_EXHAUSTED with *st set. */
nrpc_code interop_payload(Grpc__Testing__PayloadType type, int32_t size,
                          Grpc__Testing__Payload *out_payload, nrpc_status *st);
/* Ends the call with *st and clears it. */
void interop_fail(nrpc_call *c, nrpc_status *st);
/* Ends the call for a negative result of a send; does nothing when the call ended already. */
void interop_fail_send(nrpc_call *c, int error);

#endif
