/* mailbox.h — the only door into a thread: a lock-free stack that any thread pushes on and one
 * owner takes whole, plus an eventfd that is written once per batch.  Order is FIFO per sender;
 * nothing is dropped. */
#ifndef NRPC_IO_MAILBOX_H
#define NRPC_IO_MAILBOX_H
#include <stdatomic.h>
#include <stdbool.h>
#include "rpc/nrpc.h"

struct mailbox {
    _Atomic(nrpc_task *) inbox; /* newest first */
    int wake_fd;
};

/* blocking: mailbox_wait sleeps; else it only clears the wake.  0 or E_SYS. */
int mailbox_init(struct mailbox *m, bool blocking);
void mailbox_done(struct mailbox *m);               /* the inbox must be empty */
void mailbox_post(struct mailbox *m, nrpc_task *t); /* [any, async-signal-safe] takes t */
void mailbox_wake(struct mailbox *m); /* [any, async-signal-safe] a wake without a task */
void mailbox_wait(struct mailbox *m); /* [owner] consumes the wakes so far */
/* [owner] Everything posted so far, oldest first; NULL when empty.  Call it after mailbox_wait: a
 * post that comes between the two is taken now and leaves one idle wake behind, never a lost one.
 */
nrpc_task *mailbox_take(struct mailbox *m);

#endif
