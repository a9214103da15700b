/* secure.h — the server's certificates: read at the start, again on SIGHUP and when a file changes. */
#ifndef SERVER_SECURE_H
#define SERVER_SECURE_H
#include <signal.h>

#include "rpc/nrpc.h"
#include "server/settings.h"

/* Reads what the settings name; *out_tls is NULL when they name nothing.  0, or -1 with why. */
int secure_load(const struct settings *s, nrpc_tls **out_tls, char *why, size_t why_size);
/* Does this address speak TLS once there are certificates?  Unix sockets do not: their file's mode guards them. */
bool secure_covers(const char *address);
/* Waits for a signal of the set, which is blocked, and returns it.  SIGHUP, and every two seconds a look at the files,
 * bring new certificates to new connections; a file that is broken changes nothing and is logged.  tls may be NULL. */
int secure_wait(const sigset_t *signals, nrpc_tls *tls);

#endif
