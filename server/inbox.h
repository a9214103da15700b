/* inbox.h — the only door between the server's own threads: a lock-free inbox and one eventfd.
 * Any thread posts; one thread, the owner, waits and takes.  FIFO for each sender.  Posting never
 * blocks and never fails: whoever needs a bound counts before it posts. */
#ifndef SERVER_INBOX_H
#define SERVER_INBOX_H
#include <stdatomic.h>
#include <stdint.h>

/* Intrusive: the message embeds it.  run() is called by the owner's thread; what it means is the
 * owner's. */
struct mail {
    struct mail *next;
    void (*run)(struct mail *m, void *owner);
};
struct inbox {
    _Atomic(struct mail *) head; /* newest first */
    int wake_fd;
};

int inbox_init(struct inbox *box);                  /* 0, or -1 with errno set */
void inbox_done(struct inbox *box);                 /* the inbox must be empty */
void inbox_post(struct inbox *box, struct mail *m); /* [any] takes m */
/* [owner] Waits until something was posted or timeout_ms passed (-1: no limit), and takes all of
 * it, oldest first.  NULL on timeout. */
struct mail *inbox_wait(struct inbox *box, int timeout_ms);

#endif
