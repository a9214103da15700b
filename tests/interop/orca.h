/* orca.h — load reports of the interop server (gRFC A51): for one call, in its trailers, and out of
 * band, on a stream of OpenRcaService. */
#ifndef INTEROP_ORCA_H
#define INTEROP_ORCA_H
#include "tests/interop/services.h"

#define ORCA_TRAILER "endpoint-load-metrics-bin"
enum { ORCA_ENTRIES_MAX = 64, ORCA_BYTES_MAX = 4096, ORCA_RETRY_MS = 20 };
#define ORCA_TOO_LARGE "a load report has 64 entries of a kind and 4096 bytes at most"

/* [loop] Adds the report to the call's trailers; NULL adds nothing.  0, NRPC_E_TOOBIG past
 * ORCA_ENTRIES_MAX entries of a map or ORCA_BYTES_MAX bytes, or what nrpc_metadata_add says. */
int orca_add_trailer(nrpc_call *c, const Grpc__Testing__TestOrcaReport *report);

/* [any] Makes `report`, without its request costs, what the server reports out of band.  One holder
 * at a time may, until it releases it: tests that run beside each other must not see each other's.
 * 0, NRPC_E_FULL while there is another holder (ask again after ORCA_RETRY_MS), or NRPC_E_TOOBIG.
 */
int orca_hold(const void *holder, const Grpc__Testing__TestOrcaReport *report);
/* [any] The server reports nothing again; does nothing for who is not the holder. */
void orca_release(const void *holder);

#endif
