/* Sockets over socketpairs and the loopback device: gathering, fairness, backpressure, every way to
 * close. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <unistd.h>
#include <cmocka.h>

#include "rpc/base/alloc.h"
#include "rpc/base/buf.h"
#include "rpc/base/gauge.h"
#include "rpc/io/address.h"
#include "rpc/io/outq.h"
#include "rpc/io/sock.h"

/* Both ends of a connection and a guard against a test that hangs. */
struct end {
    struct sock *sock;
    struct buf in;
    int connected, eofs, drained, closes, flushes, error;
    bool in_verb, reentered;
    size_t pending, sent_max; /* when the last flush began; most that left between two flushes */
};
struct pair {
    nrpc_loop *loop;
    struct end a, b;
    struct timer guard;
    bool timed_out;
    bool (*until)(struct pair *p);
};
static struct pair *running;

static void check_until(void)
{
    if (running->until != NULL && running->until(running))
        nrpc_loop_stop(running->loop);
}

static void note_event(struct end *e)
{
    e->reentered |= e->in_verb;
}

static void on_bytes(void *owner, const uint8_t *data, size_t size)
{
    struct end *e = owner;
    note_event(e);
    assert_true(size <= 65536);
    buf_put(&e->in, data, size);
    check_until();
}

static void on_eof(void *owner)
{
    struct end *e = owner;
    note_event(e);
    e->eofs++;
    check_until();
}

static void on_flush(void *owner)
{
    struct end *e = owner;
    note_event(e);
    e->flushes++;
    size_t now = sock_pending(e->sock);
    if (e->pending > now && e->pending - now > e->sent_max)
        e->sent_max = e->pending - now;
    e->pending = now;
}

static void on_drained(void *owner)
{
    struct end *e = owner;
    note_event(e);
    e->drained++;
    check_until();
}

static void on_connected(void *owner)
{
    struct end *e = owner;
    note_event(e);
    e->connected++;
    check_until();
}

static void on_close(void *owner, int error)
{
    struct end *e = owner;
    note_event(e);
    e->closes++;
    e->error = error;
    e->sock = NULL;
    check_until();
}

static const struct sock_events events = { on_bytes,   on_eof,       on_flush,
                                           on_drained, on_connected, on_close };

static void on_guard(struct timer *t)
{
    struct pair *p = CONTAINER_OF(t, struct pair, guard);
    p->timed_out = true;
    nrpc_loop_stop(p->loop);
}

static void run_until(struct pair *p, bool (*until)(struct pair *p))
{
    running = p;
    p->until = until;
    timer_start(&p->guard, 20000);
    assert_int_equal(nrpc_loop_run(p->loop), 0);
    timer_stop(&p->guard);
    assert_false(p->timed_out);
    p->until = NULL;
}

static void run_for(struct pair *p, uint64_t ms)
{
    running = p;
    timer_start(&p->guard, ms);
    assert_int_equal(nrpc_loop_run(p->loop), 0);
    p->timed_out = false;
}

static void pair_init(struct pair *p)
{
    *p = (struct pair){ 0 };
    assert_int_equal(nrpc_loop_new(&p->loop), 0);
    timer_init(&p->guard, p->loop, on_guard);
    running = p;
}

static void pair_open(struct pair *p)
{
    int fd[2];
    pair_init(p);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
    assert_int_equal(sock_open(p->loop, fd[0], &events, &p->a, &p->a.sock), 0);
    assert_int_equal(sock_open(p->loop, fd[1], &events, &p->b, &p->b.sock), 0);
    assert_int_equal(loop_load(p->loop), 2);
}

static bool both_closed(struct pair *p)
{
    return p->a.closes == 1 && p->b.closes == 1;
}

static void pair_done(struct pair *p)
{
    if (p->a.sock != NULL)
        sock_close(p->a.sock);
    if (p->b.sock != NULL)
        sock_close(p->b.sock);
    nrpc_loop_free(p->loop);
    assert_false(p->a.reentered);
    assert_false(p->b.reentered);
    assert_int_equal(gauge_read(GAUGE_CONNECTIONS), 0);
    assert_int_equal(gauge_read(GAUGE_TIMERS), 0);
    buf_done(&p->a.in);
    buf_done(&p->b.in);
}

static int released;
static void on_release(void *ctx)
{
    released += *(int *) ctx;
}

static bool b_has_12(struct pair *p)
{
    return p->b.in.size >= 12;
}

static void test_copies_and_references_keep_their_order(void **state)
{
    (void) state;
    struct pair p;
    int one = 1;
    pair_open(&p);
    released = 0;
    p.a.in_verb = true;
    assert_int_equal(sock_put(p.a.sock, "ab", 2), 0);
    assert_int_equal(sock_put_ref(p.a.sock, "CDE", 3, on_release, &one), 0);
    assert_int_equal(sock_put_ref(p.a.sock, "", 0, on_release, &one), 0);
    buf_puts(sock_tail(p.a.sock), "fg");
    sock_mark_dirty(p.a.sock);
    assert_int_equal(sock_put_ref(p.a.sock, "HI", 2, on_release, &one), 0);
    assert_int_equal(sock_put(p.a.sock, "jkl", 3), 0);
    assert_int_equal(sock_pending(p.a.sock), 12);
    assert_int_equal(released, 0);
    p.a.in_verb = false;
    run_until(&p, b_has_12);
    assert_memory_equal(p.b.in.data, "abCDEfgHIjkl", 12);
    assert_int_equal(p.a.flushes, 1); /* one turn, one flush */
    assert_int_equal(released, 3);
    assert_int_equal(sock_pending(p.a.sock), 0);
    assert_string_equal(sock_peer(p.a.sock), "unix:");
    assert_ptr_equal(sock_loop(p.a.sock), p.loop);
    pair_done(&p);
}

enum { BULK = 3000000 };
static bool bulk_drained(struct pair *p)
{
    return p->a.drained > 0;
}
static bool bulk_arrived(struct pair *p)
{
    return p->b.in.size == BULK;
}
/* More than the kernel holds: the rest waits, nobody spins, and all comes through once the reader
 * reads. */
static void test_backpressure_and_drain(void **state)
{
    (void) state;
    struct pair p;
    uint8_t *data = malloc(BULK);
    assert_non_null(data);
    for (size_t i = 0; i < BULK; i++)
        data[i] = (uint8_t) (i * 7 + i / 251);
    pair_open(&p);
    sock_pause(p.b.sock, true);
    sock_set_low(p.a.sock, 1000);
    int one = 1;
    released = 0;
    for (size_t at = 0; at < BULK; at += 10000) {
        if (at % 20000 == 0)
            assert_int_equal(sock_put(p.a.sock, data + at, 10000), 0);
        else
            assert_int_equal(sock_put_ref(p.a.sock, data + at, 10000, on_release, &one), 0);
    }
    assert_int_equal(sock_pending(p.a.sock), BULK);
    run_for(&p, 30);
    assert_true(sock_pending(p.a.sock) > 0);
    assert_int_equal(p.b.in.size, 0);
    assert_int_equal(p.a.drained, 0);
    assert_true(p.a.flushes < 20); /* it waits for the kernel, it does not poll */
    sock_pause(p.b.sock, false);
    run_until(&p, bulk_drained);
    assert_true(sock_pending(p.a.sock) <= 1000);
    if (p.b.in.size < BULK)
        run_until(&p, bulk_arrived);
    assert_memory_equal(p.b.in.data, data, BULK);
    assert_int_equal(p.a.drained, 1);
    assert_int_equal(released, BULK / 20000);
    pair_done(&p);
    free(data);
}

/* Close drops output, releases references, reports once and not inside the verb. */
static void test_close_now(void **state)
{
    (void) state;
    struct pair p;
    int one = 1;
    pair_open(&p);
    released = 0;
    p.a.in_verb = true;
    assert_int_equal(sock_put_ref(p.a.sock, "lost", 4, on_release, &one), 0);
    sock_close(p.a.sock);
    sock_close(p.a.sock);
    sock_close_after_flush(p.a.sock);
    assert_int_equal(sock_put(p.a.sock, "x", 1), 0); /* harmless until on_close */
    sock_pause(p.a.sock, true);
    assert_int_equal(p.a.closes, 0);
    assert_int_equal(released, 0);
    p.a.in_verb = false;
    sock_close(p.b.sock);
    run_until(&p, both_closed);
    assert_int_equal(p.a.error, 0);
    assert_int_equal(released, 1);
    assert_int_equal(loop_load(p.loop), 0);
    pair_done(&p);
}

static bool b_eof(struct pair *p)
{
    return p->b.eofs == 1;
}

/* The peer gets every byte and our FIN, and only then the connection goes. */
static void test_close_after_flush(void **state)
{
    (void) state;
    struct pair p;
    uint8_t *data = calloc(1, BULK);
    assert_non_null(data);
    pair_open(&p);
    assert_int_equal(sock_put(p.a.sock, data, BULK), 0);
    sock_close_after_flush(p.a.sock);
    assert_int_equal(sock_put(p.b.sock, "ignored", 7), 0);
    run_until(&p, b_eof);
    assert_int_equal(p.b.in.size, BULK);
    assert_int_equal(p.a.closes, 0); /* lingers for the peer's FIN */
    assert_int_equal(p.a.in.size, 0);
    sock_close(p.b.sock);
    run_until(&p, both_closed);
    assert_int_equal(p.a.error, 0);
    pair_done(&p);
    free(data);
}

static bool a_closed(struct pair *p)
{
    return p->a.closes == 1;
}

static void test_linger_ends_without_the_peer(void **state)
{
    (void) state;
    struct pair p;
    pair_open(&p);
    sock_pause(p.b.sock, true);
    uint64_t began = loop_now_ns(p.loop);
    sock_close_after_flush(p.a.sock);
    run_until(&p, a_closed);
    assert_true(loop_now_ns(p.loop) - began >= UINT64_C(900000000));
    pair_done(&p);
}

/* Writing to a peer that is gone is an error code, never a signal. */
static void test_peer_gone_is_no_signal(void **state)
{
    (void) state;
    struct pair p;
    int fd[2];
    pair_init(&p);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
    assert_int_equal(sock_open(p.loop, fd[0], &events, &p.a, &p.a.sock), 0);
    sock_pause(p.a.sock, true);
    close(fd[1]);
    assert_int_equal(sock_put(p.a.sock, "x", 1), 0);
    run_until(&p, a_closed);
    assert_int_equal(p.a.error, EPIPE);
    pair_done(&p);
}

/* Sending fails because the peer left: what it said before it went is heard first. */
static int leaving;

static void leave(void *owner)
{
    (void) owner;
    if (leaving < 0)
        return;
    assert_int_equal(write(leaving, "goodbye", 7), 7);
    close(leaving);
    leaving = -1;
}

static void test_last_words_are_heard(void **state)
{
    (void) state;
    static const struct sock_events left = { .on_bytes = on_bytes,
                                             .on_flush = leave, /* between reading and sending */
                                             .on_close = on_close };
    struct pair p;
    int fd[2];
    pair_init(&p);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
    leaving = fd[1];
    assert_int_equal(sock_open(p.loop, fd[0], &left, &p.a, &p.a.sock), 0);
    assert_int_equal(sock_put(p.a.sock, "hello", 5), 0);
    run_until(&p, a_closed);
    assert_int_equal(p.a.error, EPIPE);
    assert_string_equal(buf_str(&p.a.in), "goodbye");
    pair_done(&p);
}

static void test_eof_without_handler_closes(void **state)
{
    (void) state;
    static const struct sock_events plain = { .on_bytes = on_bytes, .on_close = on_close };
    struct pair p;
    int fd[2];
    pair_init(&p);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
    assert_int_equal(sock_open(p.loop, fd[0], &plain, &p.a, &p.a.sock), 0);
    close(fd[1]);
    run_until(&p, a_closed);
    assert_int_equal(p.a.error, 0);
    pair_done(&p);
}

/* A failed allocation in the middle of the stream must not let the rest out. */
static void test_lost_bytes_close_the_connection(void **state)
{
    (void) state;
    struct pair p;
    pair_open(&p);
    assert_int_equal(sock_put(p.a.sock, "first", 5), 0);
    uint8_t *big = calloc(1, 100000);
    assert_non_null(big);
    alloc_fail_at(1);
    assert_int_equal(sock_put(p.a.sock, big, 100000), NRPC_E_NOMEM);
    alloc_fail_at(0);
    assert_int_equal(sock_put(p.a.sock, "after", 5), NRPC_E_NOMEM);
    run_until(&p, a_closed);
    assert_int_equal(p.a.error, ENOMEM);
    assert_int_equal(p.b.in.size, 0);
    free(big);
    pair_done(&p);
}

static void test_open_without_memory(void **state)
{
    (void) state;
    struct pair p;
    int fd[2];
    pair_init(&p);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
    alloc_fail_at(1);
    assert_int_equal(sock_open(p.loop, fd[0], &events, &p.a, &p.a.sock), NRPC_E_NOMEM);
    assert_int_equal(sock_connect(p.loop, "127.0.0.1:1", 10, &events, &p.a, &p.a.sock),
                     NRPC_E_NOMEM);
    alloc_fail_at(0);
    assert_null(p.a.sock);
    assert_int_equal(sock_open(p.loop, -1, &events, &p.a, &p.a.sock), NRPC_E_SYS);
    assert_int_equal(fcntl(fd[0], F_GETFD) >= 0, 1); /* still the caller's */
    close(fd[0]);
    close(fd[1]);
    pair_done(&p);
}

/* ---- connecting ---- */
static int listen_on_loopback(struct address *out)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(address_parse("127.0.0.1:0", out), 0);
    assert_int_equal(bind(fd, &out->sa.any, out->size), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, &out->sa.any, &out->size), 0);
    return fd;
}

static bool a_connected_or_closed(struct pair *p)
{
    return p->a.connected + p->a.closes > 0;
}

static void test_connect_and_talk(void **state)
{
    (void) state;
    struct pair p;
    struct address bound;
    char text[ADDRESS_TEXT_MAX];
    pair_init(&p);
    int fd = listen_on_loopback(&bound);
    address_format(&bound, text);
    p.a.in_verb = true;
    assert_int_equal(sock_connect(p.loop, text, 5000, &events, &p.a, &p.a.sock), 0);
    assert_int_equal(sock_put(p.a.sock, "early", 5), 0); /* goes out once connected */
    p.a.in_verb = false;
    run_until(&p, a_connected_or_closed);
    assert_int_equal(p.a.connected, 1);
    assert_string_equal(sock_peer(p.a.sock), text);
    int accepted = accept(fd, NULL, NULL);
    assert_true(accepted >= 0);
    assert_int_equal(sock_open(p.loop, accepted, &events, &p.b, &p.b.sock), 0);
    assert_int_equal(sock_put(p.a.sock, ", later", 7), 0);
    run_until(&p, b_has_12);
    assert_memory_equal(p.b.in.data, "early, later", 12);
    close(fd);
    pair_done(&p);
}

static bool all_sent(struct pair *p)
{
    return p->a.drained > 0;
}

/* TCP takes megabytes at once, but one connection gets 256 KiB of a turn; the next turn goes on by
 * itself. */
static void test_turns_are_fair(void **state)
{
    (void) state;
    struct pair p;
    struct address bound;
    char text[ADDRESS_TEXT_MAX];
    uint8_t *data = calloc(1, BULK);
    assert_non_null(data);
    pair_init(&p);
    int fd = listen_on_loopback(&bound);
    address_format(&bound, text);
    assert_int_equal(sock_connect(p.loop, text, 5000, &events, &p.a, &p.a.sock), 0);
    run_until(&p, a_connected_or_closed);
    int accepted = accept(fd, NULL, NULL);
    assert_true(accepted >= 0);
    assert_int_equal(sock_open(p.loop, accepted, &events, &p.b, &p.b.sock), 0);
    assert_int_equal(sock_put_ref(p.a.sock, data, BULK, NULL, NULL), 0);
    run_until(&p, all_sent);
    assert_in_range(p.a.sent_max, 1, 262144);
    assert_true(p.a.flushes >= BULK / 262144);
    if (p.b.in.size < BULK)
        run_until(&p, bulk_arrived);
    close(fd);
    pair_done(&p);
    free(data);
}

static void test_connect_failures(void **state)
{
    (void) state;
    struct pair p;
    struct address bound;
    char text[ADDRESS_TEXT_MAX];
    int fd = listen_on_loopback(&bound);
    address_format(&bound, text);
    close(fd);
    const struct {
        const char *address;
        int error;
    } cases[] = { { text, ECONNREFUSED }, { "unix:/nonexistent/nobody.sock", ENOENT } };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        pair_init(&p);
        p.a.in_verb = true;
        assert_int_equal(sock_connect(p.loop, cases[i].address, 5000, &events, &p.a, &p.a.sock), 0);
        p.a.in_verb = false;
        run_until(&p, a_closed);
        assert_int_equal(p.a.error, cases[i].error);
        assert_int_equal(p.a.connected, 0);
        pair_done(&p);
    }
}

/* A backlog that is full leaves the next SYN without an answer. */
static void test_connect_times_out(void **state)
{
    (void) state;
    struct pair p;
    struct address bound;
    char text[ADDRESS_TEXT_MAX];
    int fill[8];
    int fd = listen_on_loopback(&bound);
    address_format(&bound, text);
    for (size_t i = 0; i < ARRAY_SIZE(fill); i++) {
        fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void) connect(fill[i], &bound.sa.any, bound.size);
    }
    pair_init(&p);
    assert_int_equal(sock_connect(p.loop, text, 50, &events, &p.a, &p.a.sock), 0);
    run_until(&p, a_connected_or_closed);
    assert_int_equal(p.a.connected, 0);
    assert_int_equal(p.a.error, ETIMEDOUT);
    pair_done(&p);
    for (size_t i = 0; i < ARRAY_SIZE(fill); i++)
        close(fill[i]);
    close(fd);
}

static void test_addresses(void **state)
{
    (void) state;
    static const struct {
        const char *in, *out; /* out NULL: refused */
    } cases[] = {
        { "127.0.0.1:50051", "127.0.0.1:50051" },
        { "localhost:80", "127.0.0.1:80" },
        { "[::1]:65535", "[::1]:65535" },
        { "0.0.0.0:0", "0.0.0.0:0" },
        { "unix:/tmp/x.sock", "unix:/tmp/x.sock" },
        { "unix:rel", "unix:rel" },
        { "", NULL },
        { ":1", NULL },
        { "127.0.0.1", NULL },
        { "127.0.0.1:", NULL },
        { "127.0.0.1:65536", NULL },
        { "127.0.0.1:1x", NULL },
        { "127.0.0.1:-1", NULL },
        { "127.0.0.1:000001", NULL },
        { "example.org:80", NULL },
        { "::1:80", NULL },
        { "[::1]", NULL },
        { "[::1]80", NULL },
        { "[::1:80", NULL },
        { "[127.0.0.1]:80", NULL },
        { "unix:", NULL },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct address a = { .size = 77 };
        char text[ADDRESS_TEXT_MAX];
        int r = address_parse(cases[i].in, &a);
        if (cases[i].out == NULL) {
            assert_int_equal(r, NRPC_E_INVAL);
            assert_int_equal(a.size, 77);
            continue;
        }
        assert_int_equal(r, 0);
        address_format(&a, text);
        assert_string_equal(text, cases[i].out);
    }
    char lengthy[300] = "unix:";
    memset(lengthy + 5, 'p', sizeof lengthy - 6);
    struct address a;
    assert_int_equal(address_parse(lengthy, &a), NRPC_E_INVAL);
}

/* ---- the output queue alone: random puts and partial writes against one flat buffer ---- */
static void test_outq_against_model(void **state)
{
    (void) state;
    enum { TOTAL = 400000 };
    uint8_t *source = malloc(TOTAL), *got = malloc(TOTAL);
    assert_true(source != NULL && got != NULL);
    srand(7);
    for (size_t i = 0; i < TOTAL; i++)
        source[i] = (uint8_t) rand();
    struct outq q = { 0 };
    size_t put = 0, taken = 0;
    int one = 1, refs = 0;
    released = 0;
    while (taken < TOTAL) {
        size_t n = (size_t) rand() % 3000;
        n = n > TOTAL - put ? TOTAL - put : n;
        if (rand() % 2) {
            assert_int_equal(outq_put_ref(&q, source + put, n, on_release, &one), 0);
            refs++;
        } else {
            buf_put(&q.copy, source + put, n);
        }
        put += n;
        if (rand() % 3 == 0 || put == TOTAL) {
            struct iovec iov[5];
            size_t limit = (size_t) rand() % 9000, have = 0;
            int used = outq_gather(&q, iov, 5, limit);
            for (int i = 0; i < used; i++) {
                memcpy(got + taken + have, iov[i].iov_base, iov[i].iov_len);
                have += iov[i].iov_len;
            }
            assert_true(have <= limit);
            have = have == 0 ? 0 : have - (size_t) rand() % (have + 1) / 2;
            outq_consume(&q, have);
            taken += have;
        }
        assert_int_equal(outq_size(&q), put - taken);
    }
    outq_consume(&q, 0);
    assert_memory_equal(source, got, TOTAL);
    assert_int_equal(released, refs);
    assert_int_equal(q.copy.size, 0);
    outq_done(&q);
    alloc_fail_at(1);
    assert_int_equal(outq_put_ref(&q, source, 1, on_release, &one), NRPC_E_NOMEM);
    alloc_fail_at(0);
    assert_int_equal(outq_size(&q), 0);
    free(source);
    free(got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_outq_against_model),
        cmocka_unit_test(test_copies_and_references_keep_their_order),
        cmocka_unit_test(test_backpressure_and_drain),
        cmocka_unit_test(test_close_now),
        cmocka_unit_test(test_close_after_flush),
        cmocka_unit_test(test_linger_ends_without_the_peer),
        cmocka_unit_test(test_peer_gone_is_no_signal),
        cmocka_unit_test(test_last_words_are_heard),
        cmocka_unit_test(test_eof_without_handler_closes),
        cmocka_unit_test(test_lost_bytes_close_the_connection),
        cmocka_unit_test(test_open_without_memory),
        cmocka_unit_test(test_connect_and_talk),
        cmocka_unit_test(test_turns_are_fair),
        cmocka_unit_test(test_connect_failures),
        cmocka_unit_test(test_connect_times_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
