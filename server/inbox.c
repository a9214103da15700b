#include "server/inbox.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <unistd.h>

int inbox_init(struct inbox *box)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0)
        return -1;
    atomic_init(&box->head, NULL);
    box->wake_fd = fd;
    return 0;
}

void inbox_done(struct inbox *box)
{
    if (box->wake_fd >= 0)
        (void) close(box->wake_fd);
    box->wake_fd = -1;
}

void inbox_post(struct inbox *box, struct mail *m)
{
    /* Read before the exchange: afterwards the owner may free the box's owner together with m. */
    int fd = box->wake_fd;
    struct mail *head = atomic_load_explicit(&box->head, memory_order_relaxed);
    do
        m->next = head;
    while (!atomic_compare_exchange_weak_explicit(&box->head, &head, m, memory_order_release,
                                                  memory_order_relaxed));
    if (head == NULL) /* first into an empty box: this wake covers all that follow */
        (void) eventfd_write(fd, 1);
}

static struct mail *inbox_take(struct inbox *box)
{
    struct mail *stack = atomic_exchange_explicit(&box->head, NULL, memory_order_acquire);
    struct mail *fifo = NULL;
    while (stack != NULL) {
        struct mail *next = stack->next;
        stack->next = fifo;
        fifo = stack;
        stack = next;
    }
    return fifo;
}

struct mail *inbox_wait(struct inbox *box, int timeout_ms)
{
    for (;;) {
        eventfd_t value;
        /* Drain first, then take: a post after the take rings again. */
        (void) eventfd_read(box->wake_fd, &value);
        struct mail *m = inbox_take(box);
        if (m != NULL || timeout_ms == 0)
            return m;
        struct pollfd wait = { .fd = box->wake_fd, .events = POLLIN };
        int r = poll(&wait, 1, timeout_ms);
        if (r == 0)
            timeout_ms = 0; /* one last look */
    }
}
