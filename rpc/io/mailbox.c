#include "rpc/io/mailbox.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "rpc/base/check.h"

int mailbox_init(struct mailbox *m, bool blocking)
{
    int fd = eventfd(0, EFD_CLOEXEC | (blocking ? 0 : EFD_NONBLOCK));
    if (fd < 0)
        return NRPC_E_SYS;
    atomic_init(&m->inbox, NULL);
    m->wake_fd = fd;
    return 0;
}

void mailbox_done(struct mailbox *m)
{
    CHECK(atomic_load_explicit(&m->inbox, memory_order_acquire) == NULL);
    close(m->wake_fd);
    m->wake_fd = -1;
}

void mailbox_wake(struct mailbox *m)
{
    int saved = errno; /* also called from signal handlers */
    /* A full counter (EAGAIN) is a wake that is already there. */
    while (eventfd_write(m->wake_fd, 1) < 0 && errno == EINTR)
        ;
    errno = saved;
}

void mailbox_post(struct mailbox *m, nrpc_task *t)
{
    nrpc_task *head = atomic_load_explicit(&m->inbox, memory_order_relaxed);
    do
        t->next = head;
    while (!atomic_compare_exchange_weak_explicit(&m->inbox, &head, t, memory_order_release,
                                                  memory_order_relaxed));
    if (head == NULL) /* first into an empty box: this wake covers all that follow */
        mailbox_wake(m);
}

void mailbox_wait(struct mailbox *m)
{
    eventfd_t count;
    while (eventfd_read(m->wake_fd, &count) < 0 && errno == EINTR)
        ;
}

nrpc_task *mailbox_take(struct mailbox *m)
{
    nrpc_task *stack = atomic_exchange_explicit(&m->inbox, NULL, memory_order_acquire),
              *fifo = NULL;
    while (stack != NULL) {
        nrpc_task *next = stack->next;
        stack->next = fifo;
        fifo = stack;
        stack = next;
    }
    return fifo;
}
