/* foreign_service.h — our own server with the foreign service, in this process. */
#ifndef TESTS_GATEWAY_FOREIGN_SERVICE_H
#define TESTS_GATEWAY_FOREIGN_SERVICE_H
#include <stdatomic.h>

#include "rpc/nrpc.h"

extern _Atomic int foreign_tails_ended; /* Tail calls that are over */
/* Listens and runs on one loop; stop it with nrpc_server_stop, _wait and _free. */
nrpc_server *foreign_server_start(const char *address);

#endif
