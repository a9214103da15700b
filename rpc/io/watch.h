/* watch.h — a descriptor that somebody else owns (another library's socket, a timerfd), watched on
 * a loop.  For programs beside the runtime: sockets of the runtime itself are sock.h's.  All
 * [loop]. */
#ifndef NRPC_IO_WATCH_H
#define NRPC_IO_WATCH_H
#include "rpc/nrpc.h"

enum { WATCH_READ = 1, WATCH_WRITE = 2 };
struct loop_watch;
/* Runs on the loop while fd is ready for what it is watched for; ready holds WATCH bits.  It may
 * set or free its own watch and others. */
typedef void loop_watch_fn(void *ctx, int fd, unsigned ready);
/* Watches nothing yet.  fd stays the caller's and must outlive the watch.  0 or NRPC_E_NOMEM. */
int loop_watch_new(nrpc_loop *loop, int fd, loop_watch_fn *fn, void *ctx,
                   struct loop_watch **out_watch);
/* Level-triggered; 0 watches nothing.  No system call when nothing changes.  0 or NRPC_E_NOMEM. */
int loop_watch_set(struct loop_watch *w, unsigned wanted);
void loop_watch_free(struct loop_watch *w); /* before fd is closed; NULL is fine */

#endif
