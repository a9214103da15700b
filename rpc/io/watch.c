/* libevent first: it borrows the name LIST_ENTRY while its headers are read. */
#include <event2/event.h>
#include <event2/event_struct.h>

#include "rpc/io/watch.h"

#include "rpc/base/alloc.h"
#include "rpc/io/loop.h"

struct loop_watch {
    nrpc_loop *loop;
    struct event event;
    loop_watch_fn *fn;
    void *ctx;
    unsigned wanted;
};

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
    struct loop_watch *w = arg;
    unsigned ready = (what & EV_READ ? WATCH_READ : 0u) | (what & EV_WRITE ? WATCH_WRITE : 0u);
    w->fn(w->ctx, (int) fd, ready);
}

int loop_watch_new(nrpc_loop *loop, int fd, loop_watch_fn *fn, void *ctx,
                   struct loop_watch **out_watch)
{
    ON_LOOP(loop);
    struct loop_watch *w = alloc_zero(1, sizeof *w);
    if (w == NULL)
        return NRPC_E_NOMEM;
    w->loop = loop;
    w->fn = fn;
    w->ctx = ctx;
    if (event_assign(&w->event, loop_base(loop), fd, EV_READ | EV_PERSIST, on_ready, w) < 0) {
        alloc_free(w);
        return NRPC_E_NOMEM;
    }
    *out_watch = w;
    return 0;
}

int loop_watch_set(struct loop_watch *w, unsigned wanted)
{
    ON_LOOP(w->loop);
    if (wanted == w->wanted)
        return 0;
    int fd = (int) event_get_fd(&w->event);
    short what = (short) ((wanted & WATCH_READ ? EV_READ : 0) |
                          (wanted & WATCH_WRITE ? EV_WRITE : 0) | EV_PERSIST);
    if (w->wanted != 0)
        event_del(&w->event);
    w->wanted = 0;
    if (wanted == 0)
        return 0;
    if (event_assign(&w->event, loop_base(w->loop), fd, what, on_ready, w) < 0 ||
        event_add(&w->event, NULL) < 0)
        return NRPC_E_NOMEM;
    w->wanted = wanted;
    return 0;
}

void loop_watch_free(struct loop_watch *w)
{
    if (w == NULL)
        return;
    if (w->wanted != 0)
        event_del(&w->event);
    alloc_free(w);
}
