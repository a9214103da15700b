/* libevent first: it borrows the name LIST_ENTRY while its headers are read. */
#include <event2/event.h>
#include <event2/event_struct.h>

#include "rpc/io/listener.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rpc/base/alloc.h"
#include "rpc/base/log.h"
#include "rpc/io/address.h"
#include "rpc/io/inherit.h"

enum { ACCEPT_BATCH = 64, FULL_PAUSE_MS = 100, INHERITED_MAX = 16 };

struct listener {
    struct listener_options options;
    int fd; /* -1 after stop */
    struct event event;
    struct timer pause; /* running while descriptors or memory are short */
    bool shortage;      /* and that was logged */
    uint64_t refused;   /* over max_connections */
    nrpc_task stop_task;
    atomic_bool stop_posted;
    bool stop_ran, freed; /* free while the stop task is under way leaves the memory to the task */
    bool bound_unix;
    dev_t dev; /* of the unix socket's file, so that only our own is unlinked */
    ino_t ino;
    char unix_path[sizeof(((struct sockaddr_un *) 0)->sun_path)];
    char address[ADDRESS_TEXT_MAX];
};

/* An accepted socket on its way to another loop.  Holds no pointer to the listener, which may be
 * gone. */
struct handoff {
    nrpc_task task;
    void (*on_accept)(void *ctx, nrpc_loop *loop, int fd, const char *peer,
                      const struct sock_tls *tls);
    void *ctx;
    const struct sock_tls *tls;
    int fd;
    char peer[ADDRESS_TEXT_MAX];
};

static void handoff_run(nrpc_task *t, nrpc_loop *loop)
{
    struct handoff *h = CONTAINER_OF(t, struct handoff, task);
    loop_add_load(loop, -1); /* from here on the socket itself counts */
    h->on_accept(h->ctx, loop, h->fd, h->peer, h->tls);
    alloc_free(h);
}

/* The load counts from here on, so that a burst spreads before its first socket is opened. */
static void hand_over(struct listener *l, nrpc_loop *loop, int fd, const char *peer)
{
    const struct listener_options *o = &l->options;
    if (loop == o->loops[0]) {
        o->on_accept(o->ctx, loop, fd, peer, o->tls);
        return;
    }
    loop_add_load(loop, 1);
    struct handoff *h = alloc_get(sizeof *h);
    if (h == NULL) {
        close(fd);
        loop_add_load(loop, -1);
        return;
    }
    h->task.run = handoff_run;
    h->on_accept = o->on_accept;
    h->ctx = o->ctx;
    h->tls = o->tls;
    h->fd = fd;
    snprintf(h->peer, sizeof h->peer, "%s", peer);
    nrpc_loop_post(loop, &h->task);
}

/* The least-loaded loop; NULL when the group is at its limit. */
static nrpc_loop *pick_loop(const struct listener *l)
{
    nrpc_loop *best = NULL;
    int64_t total = 0;
    for (size_t i = 0; i < l->options.n_loops; i++) {
        nrpc_loop *loop = l->options.loops[i];
        total += loop_load(loop);
        if (best == NULL || loop_load(loop) < loop_load(best))
            best = loop;
    }
    return total >= (int64_t) l->options.max_connections ? NULL : best;
}

static void dispatch(struct listener *l, int fd, const struct address *from)
{
    nrpc_loop *loop = pick_loop(l);
    if (loop == NULL) {
        close(fd);
        l->refused++;
        log_event(LOG_LEVEL_DEBUG, "connection_refused", LOG_S("address", l->address),
                  LOG_U("refused", l->refused));
        return;
    }
    char peer[ADDRESS_TEXT_MAX];
    if (from->sa.any.sa_family == AF_UNIX)
        snprintf(peer, sizeof peer, "%s", l->address);
    else
        address_format(from, peer);
    hand_over(l, loop, fd, peer);
}

static void pause_accepting(struct listener *l, int error)
{
    event_del(&l->event);
    timer_start(&l->pause, FULL_PAUSE_MS);
    if (!l->shortage)
        log_event(LOG_LEVEL_WARN, "accept_paused", LOG_S("address", l->address),
                  LOG_S("error", strerrordesc_np(error)), LOG_U("pause_ms", FULL_PAUSE_MS));
    l->shortage = true;
}

static void on_pause_over(struct timer *t)
{
    struct listener *l = LIST_ENTRY(t, struct listener, pause);
    if (event_add(&l->event, NULL) < 0)
        timer_start(&l->pause, FULL_PAUSE_MS);
}

static void on_acceptable(evutil_socket_t fd, short what, void *arg)
{
    (void) fd;
    (void) what;
    struct listener *l = arg;
    (void) loop_now_ns(l->options.loops[0]);
    /* on_accept may stop this listener: look at fd each time. */
    for (int i = 0; i < ACCEPT_BATCH && l->fd >= 0; i++) {
        struct address from = { .size = sizeof from.sa };
        int accepted = accept4(l->fd, &from.sa.any, &from.size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (accepted >= 0) {
            l->shortage = false;
            dispatch(l, accepted, &from);
            continue;
        }
        if (errno == EAGAIN || errno == EWOULDBLOCK)
            return;
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            pause_accepting(l, errno);
            return;
        }
        /* Anything else is about one connection that is already gone (ECONNABORTED, network
         * errors). */
    }
}

/* Is the file a socket that nobody listens on any more? */
static bool is_stale(const struct address *a)
{
    struct stat st;
    if (stat(a->sa.un.sun_path, &st) < 0 || !S_ISSOCK(st.st_mode))
        return false;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    bool stale = connect(fd, &a->sa.any, a->size) < 0 && errno == ECONNREFUSED;
    close(fd);
    return stale;
}

static int bind_address(int fd, const struct address *a)
{
    if (bind(fd, &a->sa.any, a->size) == 0)
        return 0;
    if (a->sa.any.sa_family != AF_UNIX || errno != EADDRINUSE)
        return NRPC_E_SYS;
    if (a->sa.un.sun_path[0] == '\0' || !is_stale(a)) {
        errno = EADDRINUSE;
        return NRPC_E_SYS;
    }
    if (unlink(a->sa.un.sun_path) < 0 || bind(fd, &a->sa.any, a->size) < 0)
        return NRPC_E_SYS;
    return 0;
}

static void remember_file(struct listener *l, const struct address *a)
{
    struct stat st;
    memcpy(l->unix_path, a->sa.un.sun_path, sizeof l->unix_path);
    if (stat(l->unix_path, &st) < 0)
        return;
    l->bound_unix = true;
    l->dev = st.st_dev;
    l->ino = st.st_ino;
}

static void unlink_file(const struct listener *l)
{
    struct stat st;
    if (l->bound_unix && stat(l->unix_path, &st) == 0 && st.st_dev == l->dev && st.st_ino == l->ino)
        unlink(l->unix_path);
}

static int name_socket(struct listener *l)
{
    struct address bound = { .size = sizeof bound.sa };
    if (getsockname(l->fd, &bound.sa.any, &bound.size) < 0)
        return NRPC_E_SYS;
    address_format(&bound, l->address);
    return 0;
}

static int open_socket(struct listener *l, const struct address *a, int mode)
{
    bool has_file = a->sa.any.sa_family == AF_UNIX && a->sa.un.sun_path[0] != '\0';
    l->fd = socket(a->sa.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (l->fd < 0)
        return NRPC_E_SYS;
    if (a->sa.any.sa_family != AF_UNIX)
        (void) setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
    /* The file is made with the socket's mode, so it never stands open before the chmod. */
    if (has_file && mode >= 0 && fchmod(l->fd, (mode_t) mode) < 0)
        return NRPC_E_SYS;
    int r = bind_address(l->fd, a);
    if (r < 0)
        return r;
    if (has_file)
        remember_file(l, a);
    if ((has_file && mode >= 0 && chmod(a->sa.un.sun_path, (mode_t) mode) < 0) ||
        listen(l->fd, SOMAXCONN) < 0)
        return NRPC_E_SYS;
    return name_socket(l);
}

static void stop_now(struct listener *l)
{
    if (l->fd < 0)
        return;
    event_del(&l->event);
    timer_stop(&l->pause);
    close(l->fd);
    l->fd = -1;
}

static void on_stop(nrpc_task *t, nrpc_loop *loop)
{
    (void) loop;
    struct listener *l = CONTAINER_OF(t, struct listener, stop_task);
    if (l->freed) {
        alloc_free(l);
        return;
    }
    l->stop_ran = true;
    stop_now(l);
}

/* "unix:PATH?mode=0660": the address without its mode; -1 without one, -2 for nonsense. */
static int split_mode(const char *text, char out[static ADDRESS_TEXT_MAX])
{
    const char *question = strncmp(text, "unix:", 5) == 0 ? strstr(text, "?mode=") : NULL;
    size_t size = question == NULL ? strlen(text) : (size_t) (question - text);
    if (size >= ADDRESS_TEXT_MAX)
        return -2;
    memcpy(out, text, size);
    out[size] = '\0';
    if (question == NULL)
        return -1;
    int mode = 0;
    const char *p = question + strlen("?mode=");
    if (*p == '\0' || strlen(p) > 4)
        return -2;
    for (; *p != '\0'; p++) {
        if (*p < '0' || *p > '7')
            return -2;
        mode = mode * 8 + (*p - '0');
    }
    return mode > 0777 ? -2 : mode;
}

static int open_address(struct listener *l, const char *address)
{
    char text[ADDRESS_TEXT_MAX];
    struct address a;
    int mode = split_mode(address, text);
    int r = mode == -2 ? NRPC_E_INVAL : address_parse(text, &a);
    return r < 0 ? r : open_socket(l, &a, mode);
}

/* inherited: a descriptor that listens already, or -1. */
static int open_one(const struct listener_options *o, int inherited, struct listener **out_listener)
{
    struct listener *l = alloc_zero(1, sizeof *l);
    if (l == NULL)
        return NRPC_E_NOMEM;
    l->options = *o;
    l->options.address = NULL;
    l->stop_task.run = on_stop;
    timer_init(&l->pause, o->loops[0], on_pause_over);
    l->fd = inherited;
    int r = inherited >= 0 ? name_socket(l) : open_address(l, o->address);
    if (r == 0 && (event_assign(&l->event, loop_base(o->loops[0]), l->fd, EV_READ | EV_PERSIST,
                                on_acceptable, l) < 0 ||
                   event_add(&l->event, NULL) < 0))
        r = NRPC_E_NOMEM;
    if (r < 0) {
        int error = errno;
        unlink_file(l);
        if (l->fd >= 0)
            close(l->fd);
        alloc_free(l);
        errno = error;
        return r;
    }
    *out_listener = l;
    return 0;
}

static int open_inherited(const struct listener_options *o, struct listener **out_listeners,
                          size_t max, size_t *out_n)
{
    int fds[INHERITED_MAX];
    size_t n = 0, opened = 0;
    int r = inherit_find(o->address, fds, max < INHERITED_MAX ? max : INHERITED_MAX, &n);
    struct listener *list[INHERITED_MAX];
    for (; r == 0 && opened < n; opened += r == 0)
        r = open_one(o, fds[opened], &list[opened]);
    if (r < 0) {
        int error = errno;
        for (size_t i = 0; i < opened; i++)
            listener_free(list[i]);
        errno = error;
        return r;
    }
    memcpy(out_listeners, list, n * sizeof *list);
    *out_n = n;
    return 0;
}

int listener_open(const struct listener_options *o, struct listener **out_listeners, size_t max,
                  size_t *out_n)
{
    if (o->n_loops == 0 || o->on_accept == NULL || max == 0)
        return NRPC_E_INVAL;
    if (inherit_is_address(o->address))
        return open_inherited(o, out_listeners, max, out_n);
    int r = open_one(o, -1, out_listeners);
    if (r == 0)
        *out_n = 1;
    return r;
}

const char *listener_address(const struct listener *l)
{
    return l->address;
}

void listener_stop(struct listener *l)
{
    if (!atomic_exchange_explicit(&l->stop_posted, true, memory_order_acq_rel))
        nrpc_loop_post(l->options.loops[0], &l->stop_task);
}

void listener_free(struct listener *l)
{
    if (l == NULL)
        return;
    stop_now(l);
    unlink_file(l);
    l->freed = true;
    if (!atomic_load_explicit(&l->stop_posted, memory_order_acquire) || l->stop_ran)
        alloc_free(l);
}
