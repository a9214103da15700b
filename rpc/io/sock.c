#include "rpc/io/sock_inner.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#include "rpc/base/alloc.h"
#include "rpc/base/gauge.h"
#include "rpc/io/address.h"

enum { IOVECS = 64, LINGER_MS = 1000, LAST_STALL_MS = 30000 };

static void on_event(evutil_socket_t fd, short what, void *arg);
static void flush(struct loop_dirty *d);
static void finish(struct loop_later *later);
static void on_timer(struct timer *t);

void sock_close_with(struct sock *s, int error)
{
    if (s->state == SOCK_CLOSED)
        return;
    s->state = SOCK_CLOSED;
    if (s->error == 0)
        s->error = error;
    if (s->watched != 0)
        event_del(&s->event);
    s->watched = 0;
    timer_stop(&s->timer);
    list_remove(&s->dirty.link);
    list_remove(&s->more.link);
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
    loop_defer(s->loop, &s->finish);
}

static void finish(struct loop_later *later)
{
    struct sock *s = LIST_ENTRY(later, struct sock, finish);
    outq_done(&s->out);
    if (s->events->on_close != NULL)
        s->events->on_close(s->owner, s->error);
    tls_conn_free(s->tls);
    loop_add_load(s->loop, -1);
    gauge_add(GAUGE_CONNECTIONS, -1);
    alloc_free(s);
}

void sock_watch(struct sock *s)
{
    if (s->state == SOCK_CLOSED)
        return;
    short want = 0;
    if (s->state != SOCK_CONNECTING && !s->eof && (!s->paused || s->state != SOCK_OPEN))
        want |= EV_READ;
    if (s->state == SOCK_CONNECTING || s->blocked)
        want |= EV_WRITE;
    if (want == s->watched)
        return;
    if (s->watched != 0)
        event_del(&s->event);
    s->watched = 0;
    if (want == 0)
        return;
    if (event_assign(&s->event, loop_base(s->loop), s->fd, (short) (want | EV_PERSIST), on_event,
                     s) < 0 ||
        event_add(&s->event, NULL) < 0) {
        sock_close_with(s, ENOMEM);
        return;
    }
    s->watched = (uint8_t) want;
}

static struct sock *sock_new(nrpc_loop *l, int fd, const struct sock_events *events, void *owner,
                             const char *peer)
{
    size_t size = strlen(peer) + 1;
    struct sock *s = alloc_zero(1, sizeof *s + size);
    if (s == NULL)
        return NULL;
    memcpy(s->peer, peer, size);
    s->loop = l;
    s->fd = fd;
    s->events = events;
    s->owner = owner;
    list_init(&s->dirty.link);
    s->dirty.flush = flush;
    list_init(&s->more.link);
    s->more.flush = sock_tls_on_more;
    s->finish.fn = finish;
    timer_init(&s->timer, l, on_timer);
    s->progress_ns = loop_now_ns(l);
    loop_add_load(l, 1);
    gauge_add(GAUGE_CONNECTIONS, 1);
    return s;
}

static int set_nonblocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? NRPC_E_SYS : 0;
}

int sock_open(nrpc_loop *l, int fd, const struct sock_events *events, void *owner,
              struct sock **out_sock)
{
    ON_LOOP(l);
    struct address a = { .size = sizeof a.sa };
    char peer[ADDRESS_TEXT_MAX];
    int r = set_nonblocking(fd);
    if (r < 0)
        return r;
    if (getpeername(fd, &a.sa.any, &a.size) < 0)
        return NRPC_E_SYS;
    if (a.sa.any.sa_family == AF_UNIX && a.size <= offsetof(struct sockaddr_un, sun_path)) {
        /* A unix client has no name; the listener's path says where it came in. */
        a.size = sizeof a.sa;
        if (getsockname(fd, &a.sa.any, &a.size) < 0)
            return NRPC_E_SYS;
    }
    address_format(&a, peer);
    if (a.sa.any.sa_family != AF_UNIX)
        (void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
    struct sock *s = sock_new(l, fd, events, owner, peer);
    if (s == NULL)
        return NRPC_E_NOMEM;
    s->state = SOCK_OPEN;
    sock_watch(s);
    *out_sock = s;
    return 0;
}

int sock_connect(nrpc_loop *l, const char *address, uint32_t timeout_ms,
                 const struct sock_events *events, void *owner, struct sock **out_sock)
{
    ON_LOOP(l);
    struct address a;
    char peer[ADDRESS_TEXT_MAX];
    int r = address_parse(address, &a);
    if (r < 0)
        return r;
    address_format(&a, peer);
    int fd = socket(a.sa.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return NRPC_E_SYS;
    struct sock *s = sock_new(l, fd, events, owner, peer);
    if (s == NULL) {
        close(fd);
        return NRPC_E_NOMEM;
    }
    if (a.sa.any.sa_family != AF_UNIX)
        (void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
    s->state = SOCK_CONNECTING;
    if (connect(fd, &a.sa.any, a.size) < 0 && errno != EINPROGRESS && errno != EINTR) {
        sock_close_with(s, errno);
    } else {
        if (timeout_ms > 0)
            timer_start(&s->timer, timeout_ms);
        sock_watch(s); /* a connection that is there already is writable: on_connected comes from
                     the loop */
    }
    *out_sock = s;
    return 0;
}

static void on_timer(struct timer *t)
{
    struct sock *s = LIST_ENTRY(t, struct sock, timer);
    if (s->state == SOCK_LINGERING) {
        sock_close_with(s, 0);
        return;
    }
    uint64_t patient_until = s->progress_ns + UINT64_C(1000000) * LAST_STALL_MS;
    if (s->state == SOCK_SHAKING)
        tls_conn_set_why(s->tls, "the handshake took too long");
    if (s->state == SOCK_FLUSHING && s->error == 0 && loop_now_ns(s->loop) < patient_until)
        timer_start_at(t, patient_until);
    else
        sock_close_with(s, ETIMEDOUT);
}

void sock_linger(struct sock *s)
{
    if (s->eof) {
        sock_close_with(s, 0);
        return;
    }
    /* Closing with unread bytes would reset the connection under the peer's feet, so read until its
     * FIN. */
    s->state = SOCK_LINGERING;
    if (shutdown(s->fd, SHUT_WR) < 0) {
        sock_close_with(s, errno);
        return;
    }
    timer_start(&s->timer, LINGER_MS);
    sock_watch(s);
}

static void on_connect_result(struct sock *s)
{
    int error = 0;
    socklen_t size = sizeof error;
    if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
        error = errno;
    if (error != 0) {
        sock_close_with(s, error);
        return;
    }
    timer_stop(&s->timer);
    if (s->tls != NULL) {
        sock_tls_begin(s);
        return;
    }
    s->state = SOCK_OPEN;
    s->progress_ns = loop_now_ns(s->loop);
    sock_watch(s);
    if (outq_size(&s->out) > 0)
        sock_mark_dirty(s);
    if (s->events->on_connected != NULL)
        s->events->on_connected(s->owner);
}

void sock_end_of_input(struct sock *s)
{
    s->eof = true;
    if (s->state == SOCK_LINGERING || (s->state == SOCK_OPEN && s->events->on_eof == NULL)) {
        sock_close_with(s, 0);
        return;
    }
    sock_watch(s);
    if (s->state == SOCK_OPEN)
        s->events->on_eof(s->owner);
}

static void on_readable(struct sock *s)
{
    uint8_t *buffer = loop_read_buffer(s->loop);
    ssize_t n = recv(s->fd, buffer, LOOP_READ_BYTES, 0);
    if (n > 0) {
        if (s->state == SOCK_OPEN)
            s->events->on_bytes(s->owner, buffer, (size_t) n);
    } else if (n == 0) {
        sock_end_of_input(s);
    } else if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
        sock_close_with(s, errno);
    }
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
    (void) fd;
    struct sock *s = arg;
    (void) loop_now_ns(s->loop);
    if (s->state == SOCK_CONNECTING) {
        on_connect_result(s);
        return;
    }
    if (what & EV_WRITE) {
        s->blocked = false;
        sock_watch(s);
        sock_mark_dirty(s);
    }
    if (!(what & EV_READ) || s->state == SOCK_CLOSED)
        return;
    if (s->tls != NULL && s->state <= SOCK_OPEN)
        sock_tls_on_readable(s);
    else
        on_readable(s);
}

/* The peer is gone, but what it said before may matter: a GOAWAY, or a whole answer. */
static void hear_last_words(struct sock *s)
{
    enum { READS_MAX = 16 };
    uint8_t *buffer = loop_read_buffer(s->loop);
    for (int i = 0; i < READS_MAX && s->state == SOCK_OPEN && !s->paused && s->tls == NULL; i++) {
        ssize_t n = recv(s->fd, buffer, LOOP_READ_BYTES, 0);
        if (n <= 0)
            return;
        s->events->on_bytes(s->owner, buffer, (size_t) n);
    }
}

size_t sock_send(struct sock *s, struct msghdr *msg)
{
    ssize_t n;
    do
        n = sendmsg(s->fd, msg, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    s->progress_ns =
        loop_now_ns(s->loop); /* on EAGAIN the wait begins: the kernel had room until now */
    if (n < 0) {
        int error = errno;
        if (error == EAGAIN || error == EWOULDBLOCK) {
            s->blocked = true;
            return 0;
        }
        if (error == EPIPE || error == ECONNRESET)
            hear_last_words(s);
        sock_close_with(s, error);
        return 0;
    }
    return (size_t) n;
}

/* One sendmsg.  Bytes taken; 0 when the kernel is full or the socket was closed. */
static size_t write_some(struct sock *s, size_t limit)
{
    struct iovec iov[IOVECS];
    struct msghdr msg = { .msg_iov = iov };
    msg.msg_iovlen = (size_t) outq_gather(&s->out, iov, IOVECS, limit);
    size_t n = sock_send(s, &msg);
    if (n > 0)
        outq_consume(&s->out, n);
    return n;
}

static void write_turn(struct sock *s)
{
    size_t written = 0, n;
    do {
        n = write_some(s, SOCK_WRITE_BYTES_PER_TURN - written);
        written += n;
    } while (n > 0 && written < SOCK_WRITE_BYTES_PER_TURN && outq_size(&s->out) > 0);
    if (s->state == SOCK_CLOSED)
        return;
    if (s->blocked)
        sock_watch(s);
    else if (outq_size(&s->out) > 0)
        loop_mark_dirty(s->loop, &s->dirty); /* its share of this turn is used up */
}

static void after_write(struct sock *s)
{
    size_t left = sock_pending(s);
    if (outq_size(&s->out) == 0 && s->out.copy.data != NULL)
        loop_give_spare(s->loop, &s->out.copy);
    if (s->state == SOCK_FLUSHING && left == 0) {
        sock_linger(s);
    } else if (left > s->low_bytes) {
        s->waited = true;
    } else if (s->waited) {
        s->waited = false;
        if (s->state == SOCK_OPEN && s->events->on_drained != NULL)
            s->events->on_drained(s->owner);
    }
}

static void flush(struct loop_dirty *d)
{
    struct sock *s = LIST_ENTRY(d, struct sock, dirty);
    if (s->state == SOCK_OPEN && s->events->on_flush != NULL) {
        s->events->on_flush(s->owner);
        list_remove(&s->dirty.link); /* what on_flush appended goes out now */
    }
    if (s->state == SOCK_CLOSED || s->state == SOCK_CONNECTING)
        return;
    if (s->out.copy.failed) {
        sock_close_with(s, ENOMEM); /* bytes are missing in the middle of the stream */
        return;
    }
    if (s->tls != NULL)
        sock_tls_write(s);
    else if (outq_size(&s->out) == 0)
        outq_consume(&s->out, 0); /* references to nothing are through, too */
    else if (!s->blocked)
        write_turn(s);
    if (s->state != SOCK_CLOSED)
        after_write(s);
}

void sock_rebind(struct sock *s, const struct sock_events *events, void *owner)
{
    ON_LOOP(s->loop);
    s->events = events;
    s->owner = owner;
}

void sock_mark_dirty(struct sock *s)
{
    ON_LOOP(s->loop);
    if (s->state != SOCK_CLOSED)
        loop_mark_dirty(s->loop, &s->dirty);
}

struct buf *sock_tail(struct sock *s)
{
    ON_LOOP(s->loop);
    if (s->out.copy.data == NULL && !s->out.copy.failed)
        loop_take_spare(s->loop, &s->out.copy);
    return &s->out.copy;
}

int sock_put(struct sock *s, const void *data, size_t size)
{
    ON_LOOP(s->loop);
    struct buf *tail = sock_tail(s);
    buf_put(tail, data, size);
    sock_mark_dirty(s);
    return tail->failed ? NRPC_E_NOMEM : 0;
}

int sock_put_ref(struct sock *s, const void *data, size_t size, void (*release)(void *ctx),
                 void *ctx)
{
    ON_LOOP(s->loop);
    int r = outq_put_ref(&s->out, data, size, release, ctx);
    if (r == 0)
        sock_mark_dirty(s);
    return r;
}

size_t sock_pending(const struct sock *s)
{
    return outq_size(&s->out) + (s->tls == NULL ? 0 : tls_conn_pending(s->tls));
}

uint64_t sock_last_progress_ns(const struct sock *s)
{
    return s->progress_ns;
}

void sock_set_low(struct sock *s, size_t low_bytes)
{
    s->low_bytes = low_bytes;
}

void sock_pause(struct sock *s, bool paused)
{
    ON_LOOP(s->loop);
    s->paused = paused;
    if (!paused && s->read_more)
        loop_mark_dirty(s->loop, &s->more);
    sock_watch(s);
}

void sock_close(struct sock *s)
{
    ON_LOOP(s->loop);
    sock_close_with(s, 0);
}

void sock_close_after_flush(struct sock *s)
{
    ON_LOOP(s->loop);
    if (s->state < SOCK_OPEN) {
        sock_close_with(s, 0);
    } else if (s->state == SOCK_OPEN) {
        s->state = SOCK_FLUSHING;
        /* The owner is through with it; a peer that does not read must not keep it for ever. */
        timer_start(&s->timer, LAST_STALL_MS);
        sock_watch(s);
        sock_mark_dirty(s);
    }
}

const char *sock_peer(const struct sock *s)
{
    return s->peer;
}

nrpc_loop *sock_loop(const struct sock *s)
{
    return s->loop;
}
