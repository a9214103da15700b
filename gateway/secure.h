/* secure.h — the gateway's certificates: those it shows to its clients and those it goes to its backends with.  Read at
 * the start, again on SIGHUP and when a file changes. */
#ifndef NOVEL_GATEWAY_SECURE_H
#define NOVEL_GATEWAY_SECURE_H
#include <signal.h>

#include "gateway/gateway.h"

/* Fills g->front and g->backend_tls from the settings.  0, or -1 with the reason in error. */
int secure_load(struct gateway *g, char error[static 512]);
void secure_unload(struct gateway *g);
/* TLS of what is accepted on this address; NULL: plain.  Unix sockets stay plain: their file's mode guards them. */
const struct sock_tls *secure_front(const struct gateway *g, const char *address);
/* Waits for a signal of the set, which is blocked, and returns it.  SIGHUP has brought the certificates in when it is
 * returned; changed files are noticed meanwhile. */
int secure_wait(const sigset_t *signals, const struct gateway *g);

#endif
