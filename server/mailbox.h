/* mailbox.h — the only door between the server's own threads: a lock-free inbox and one eventfd.
 * Any thread posts; one thread, the owner, waits and takes.  FIFO for each sender.  Posting never
 * blocks and never fails: whoever needs a bound counts before it posts. */
#ifndef SERVER_MAILBOX_H
#define SERVER_MAILBOX_H
#include <stdatomic.h>
#include <stdint.h>

/* Intrusive: the message embeds it.  run() is called by the owner's thread; what it means is the
 * owner's. */
struct mail {
    struct mail *next;
    void (*run)(struct mail *m, void *owner);
};
struct mailbox {
    _Atomic(struct mail *) inbox; /* newest first */
    int wake_fd;
};

int mailbox_init(struct mailbox *box);                  /* 0, or -1 with errno set */
void mailbox_done(struct mailbox *box);                 /* the inbox must be empty */
void mailbox_post(struct mailbox *box, struct mail *m); /* [any] takes m */
/* [owner] Waits until something was posted or timeout_ms passed (-1: no limit), and takes all of
 * it, oldest first.  NULL on timeout. */
struct mail *mailbox_wait(struct mailbox *box, int timeout_ms);

#endif
