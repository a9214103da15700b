/* Listening: addresses, hand-off to the least-loaded loop, limits, shortage of descriptors,
 * stopping. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "rpc/base/alloc.h"
#include "rpc/base/gauge.h"
#include "rpc/io/address.h"
#include "rpc/io/inherit.h"
#include "rpc/io/listener.h"
#include "rpc/io/sock.h"

enum { LOOPS = 3 };
struct group {
    nrpc_loop *loops[LOOPS];
    atomic_int accepted[LOOPS];
    atomic_int wanted; /* accepted connections until loop 0 stops */
    struct timer guard;
    bool timed_out;
    char peer[ADDRESS_TEXT_MAX];
};

static void on_close(void *owner, int error)
{
    (void) owner;
    (void) error;
}
static void on_bytes(void *owner, const uint8_t *data, size_t size)
{
    (void) owner;
    (void) data;
    (void) size;
}
static const struct sock_events events = { .on_bytes = on_bytes, .on_close = on_close };

static void on_accept(void *ctx, nrpc_loop *loop, int fd, const char *peer,
                      const struct sock_tls *tls)
{
    (void) tls;
    struct group *g = ctx;
    struct sock *s;
    assert_true(loop_is_current(loop));
    for (int i = 0; i < LOOPS; i++)
        if (g->loops[i] == loop)
            atomic_fetch_add(&g->accepted[i], 1);
    if (loop == g->loops[0])
        snprintf(g->peer, sizeof g->peer, "%s", peer);
    assert_int_equal(sock_open(loop, fd, &events, NULL, &s), 0);
    if (atomic_fetch_sub(&g->wanted, 1) == 1)
        nrpc_loop_stop(g->loops[0]);
}

static void on_guard(struct timer *t)
{
    struct group *g = CONTAINER_OF(t, struct group, guard);
    g->timed_out = true;
    nrpc_loop_stop(t->loop);
}

static void group_init(struct group *g, int loops)
{
    memset(g, 0, sizeof *g);
    for (int i = 0; i < loops; i++)
        assert_int_equal(nrpc_loop_new(&g->loops[i]), 0);
    timer_init(&g->guard, g->loops[0], on_guard);
}

static struct listener *group_listen(struct group *g, int loops, const char *address, uint32_t max)
{
    size_t n;
    struct listener *l = NULL;
    struct listener_options o = { address, g->loops, (size_t) loops, max, on_accept, g };
    assert_int_equal(listener_open(&o, &l, 1, &n), 0);
    return l;
}

static int dial(const char *address)
{
    struct address a;
    assert_int_equal(address_parse(address, &a), 0);
    int fd = socket(a.sa.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, &a.sa.any, a.size), 0);
    return fd;
}

static void run(struct group *g, int wanted)
{
    g->wanted = wanted;
    timer_start(&g->guard, 20000);
    assert_int_equal(nrpc_loop_run(g->loops[0]), 0);
    timer_stop(&g->guard);
    assert_false(g->timed_out);
}

static void run_for(struct group *g, uint64_t ms)
{
    g->wanted = 1 << 20;
    timer_start(&g->guard, ms);
    assert_int_equal(nrpc_loop_run(g->loops[0]), 0);
    g->timed_out = false;
}

/* The peers hang up, each loop sees it and closes its side. */
static void group_done(struct group *g, int loops)
{
    for (int i = 0; i < loops; i++) {
        for (int turn = 0; turn < 2000 && loop_load(g->loops[i]) > 0; turn++) {
            struct group end = { 0 };
            timer_init(&end.guard, g->loops[i], on_guard);
            timer_start(&end.guard, 1);
            assert_int_equal(nrpc_loop_run(g->loops[i]), 0);
        }
        assert_int_equal(loop_load(g->loops[i]), 0);
        nrpc_loop_free(g->loops[i]);
    }
    assert_int_equal(gauge_read(GAUGE_CONNECTIONS), 0);
    assert_int_equal(gauge_read(GAUGE_TIMERS), 0);
}

static void test_port_zero_and_peer(void **state)
{
    size_t n;
    (void) state;
    static const char *const addresses[] = { "127.0.0.1:0", "localhost:0", "[::1]:0" };
    for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
        struct group g;
        struct address a;
        group_init(&g, 1);
        struct listener_options o = { addresses[i], g.loops, 1, 10, on_accept, &g };
        struct listener *l = NULL;
        if (listener_open(&o, &l, 1, &n) < 0 &&
            errno == EADDRNOTAVAIL) { /* a machine without IPv6 */
            group_done(&g, 1);
            continue;
        }
        assert_non_null(l);
        assert_int_equal(address_parse(listener_address(l), &a), 0);
        assert_int_not_equal(a.sa.v4.sin_port, 0); /* same place in both families */
        int fd = dial(listener_address(l));
        run(&g, 1);
        struct address local = { .size = sizeof local.sa };
        char text[ADDRESS_TEXT_MAX];
        assert_int_equal(getsockname(fd, &local.sa.any, &local.size), 0);
        address_format(&local, text);
        assert_string_equal(g.peer, text);
        close(fd);
        listener_free(l);
        group_done(&g, 1);
    }
}

static void test_bad_addresses(void **state)
{
    size_t n;
    (void) state;
    struct group g;
    group_init(&g, 1);
    struct listener *l = NULL;
    struct listener_options o = { "nowhere", g.loops, 1, 10, on_accept, &g };
    assert_int_equal(listener_open(&o, &l, 1, &n), NRPC_E_INVAL);
    o.address = "unix:/nonexistent/dir/x.sock";
    assert_int_equal(listener_open(&o, &l, 1, &n), NRPC_E_SYS);
    assert_int_equal(errno, ENOENT);
    struct listener *first = group_listen(&g, 1, "127.0.0.1:0", 10);
    o.address = listener_address(first);
    assert_int_equal(listener_open(&o, &l, 1, &n), NRPC_E_SYS);
    assert_int_equal(errno, EADDRINUSE);
    alloc_fail_at(1);
    assert_int_equal(listener_open(&o, &l, 1, &n), NRPC_E_NOMEM);
    alloc_fail_at(0);
    assert_null(l);
    listener_free(first);
    listener_free(NULL);
    group_done(&g, 1);
}

static void test_unix_socket_file(void **state)
{
    size_t n;
    (void) state;
    char directory[] = "/tmp/nrpc-test-XXXXXX", path[64], address[80];
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/door", directory);
    snprintf(address, sizeof address, "unix:%s", path);
    struct group g;
    group_init(&g, 1);
    /* A file left behind by a process that died. */
    struct address a;
    assert_int_equal(address_parse(address, &a), 0);
    int stale = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(stale, &a.sa.any, a.size), 0);
    close(stale);
    struct listener *l = group_listen(&g, 1, address, 10), *second = NULL;
    assert_string_equal(listener_address(l), address);
    /* One that is in use is not taken away. */
    struct listener_options o = { address, g.loops, 1, 10, on_accept, &g };
    assert_int_equal(listener_open(&o, &second, 1, &n), NRPC_E_SYS);
    assert_int_equal(errno, EADDRINUSE);
    int fd = dial(address);
    int probe_and_fd = 2; /* the probe for staleness connected, too */
    run(&g, probe_and_fd);
    assert_string_equal(g.peer, address);
    close(fd);
    listener_free(l);
    assert_int_equal(access(path, F_OK), -1);
    /* A plain file is never replaced. */
    int plain = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(plain >= 0);
    close(plain);
    assert_int_equal(listener_open(&o, &second, 1, &n), NRPC_E_SYS);
    assert_int_equal(access(path, F_OK), 0);
    assert_null(second);
    unlink(path);
    rmdir(directory);
    group_done(&g, 1);
}

static void *run_loop(void *loop)
{
    return (void *) (intptr_t) nrpc_loop_run(loop);
}

/* 30 connections at once over three loops: the load is level. */
static void test_least_loaded(void **state)
{
    (void) state;
    enum { N = 30 };
    struct group g;
    pthread_t threads[LOOPS];
    int fds[N];
    group_init(&g, LOOPS);
    struct listener *l = group_listen(&g, LOOPS, "127.0.0.1:0", 100);
    for (int i = 0; i < N; i++)
        fds[i] = dial(listener_address(l));
    for (int i = 1; i < LOOPS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_loop, g.loops[i]), 0);
    run(&g, N);
    for (int i = 1; i < LOOPS; i++) {
        nrpc_loop_stop(g.loops[i]);
        pthread_join(threads[i], NULL);
    }
    for (int i = 0; i < LOOPS; i++) {
        /* A load that is read while the other loop takes over a socket may be one off. */
        assert_in_range(atomic_load(&g.accepted[i]), N / LOOPS - 2, N / LOOPS + 2);
        assert_int_equal(loop_load(g.loops[i]), atomic_load(&g.accepted[i]));
    }
    for (int i = 0; i < N; i++)
        close(fds[i]);
    listener_free(l);
    group_done(&g, LOOPS);
}

/* Over the limit a connection is accepted and closed; the others stay, and a free place is used
 * again. */
static void test_max_connections(void **state)
{
    (void) state;
    struct group g;
    char byte;
    group_init(&g, 1);
    struct listener *l = group_listen(&g, 1, "127.0.0.1:0", 2);
    int a = dial(listener_address(l)), b = dial(listener_address(l)), c = dial(listener_address(l));
    run_for(&g, 20);
    assert_int_equal(atomic_load(&g.accepted[0]), 2);
    assert_int_equal(recv(c, &byte, 1, 0), 0);
    assert_int_equal(recv(a, &byte, 1, MSG_DONTWAIT), -1);
    close(a);
    run_for(&g, 20);
    assert_int_equal(loop_load(g.loops[0]), 1);
    int d = dial(listener_address(l));
    run(&g, 1);
    close(b);
    close(c);
    close(d);
    listener_free(l);
    group_done(&g, 1);
}

/* Without descriptors it pauses instead of spinning, and goes on when there are some again. */
static void test_descriptor_shortage(void **state)
{
    (void) state;
    struct group g;
    struct rlimit before, now;
    group_init(&g, 1);
    struct listener *l = group_listen(&g, 1, "127.0.0.1:0", 10);
    int fd = dial(listener_address(l));
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    now = before;
    now.rlim_cur = (rlim_t) fd + 1;
    int filler[1024], n = 0;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
    while (n < 1024 && (filler[n] = dup(fd)) >= 0)
        n++;
    run_for(&g, 30);
    assert_int_equal(atomic_load(&g.accepted[0]), 0);
    while (n > 0)
        close(filler[--n]);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    run(&g, 1);
    assert_int_equal(atomic_load(&g.accepted[0]), 1);
    close(fd);
    listener_free(l);
    group_done(&g, 1);
}

static void test_stop_refuses_new_ones(void **state)
{
    (void) state;
    struct group g;
    struct address a;
    group_init(&g, 1);
    struct listener *l = group_listen(&g, 1, "127.0.0.1:0", 10);
    assert_int_equal(address_parse(listener_address(l), &a), 0);
    listener_stop(l);
    listener_stop(l);
    run_for(&g, 5);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, &a.sa.any, a.size), -1);
    assert_int_equal(errno, ECONNREFUSED);
    close(fd);
    listener_free(l);
    /* Freed while the stop is still under way. */
    l = group_listen(&g, 1, "127.0.0.1:0", 10);
    listener_stop(l);
    listener_free(l);
    group_done(&g, 1);
}

/* ---- sockets of the parent ---- */
static int listening_socket(int type)
{
    struct address a;
    assert_int_equal(address_parse("127.0.0.1:0", &a), 0);
    int fd = socket(AF_INET, type, 0); /* not close-on-exec: as inherited */
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, &a.sa.any, a.size), 0);
    if (type == SOCK_STREAM)
        assert_int_equal(listen(fd, 5), 0);
    return fd;
}

static void test_inherited(void **state)
{
    (void) state;
    struct group g;
    group_init(&g, 1);
    int fd = listening_socket(SOCK_STREAM);
    char address[32];
    snprintf(address, sizeof address, "fd:%d", fd);
    struct listener *l = group_listen(&g, 1, address, 10), *none = NULL;
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    int client = dial(listener_address(l));
    run(&g, 1);
    close(client);
    size_t n = 99;
    struct listener_options o = { address, g.loops, 1, 10, on_accept, &g };
    assert_int_equal(listener_open(&o, &none, 1, &n), NRPC_E_SYS); /* once is enough */
    assert_int_equal(errno, EBADF);
    listener_free(l);
    assert_int_equal(fcntl(fd, F_GETFD), -1); /* and with the listener it is closed */

    int datagrams = listening_socket(SOCK_DGRAM), plain = socket(AF_INET, SOCK_STREAM, 0);
    int file = open("/dev/null", O_RDONLY);
    const struct {
        int fd, error;
    } bad[] = { { datagrams, EINVAL }, { plain, EINVAL }, { file, ENOTSOCK }, { 9999, EBADF } };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        snprintf(address, sizeof address, "fd:%d", bad[i].fd);
        assert_int_equal(listener_open(&o, &none, 1, &n), NRPC_E_SYS);
        assert_int_equal(errno, bad[i].error);
    }
    static const char *const nonsense[] = { "fd:", "fd:-1", "fd:1x", "fd:99999999999999999999" };
    for (size_t i = 0; i < ARRAY_SIZE(nonsense); i++) {
        o.address = nonsense[i];
        assert_int_equal(listener_open(&o, &none, 1, &n), NRPC_E_INVAL);
    }
    assert_null(none);
    assert_int_equal(n, 99);
    close(datagrams);
    close(plain);
    close(file);
    group_done(&g, 1);
}

/* What the child of a service manager finds; it must be a child, because descriptors count from 3.
 */
static int activated(const char *names, const char *address, size_t wanted, int error)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        char pid[16];
        int fds[3];
        size_t n = 0, max = 3;
        for (int i = 0; i < 3; i++)
            fds[i] = fcntl(listening_socket(SOCK_STREAM), F_DUPFD, 100);
        for (int i = 0; i < 3; i++)
            if (dup2(fds[i], 3 + i) < 0)
                _exit(90);
        snprintf(pid, sizeof pid, "%d", names == NULL ? 1 : (int) getpid());
        setenv("LISTEN_PID", pid, 1);
        setenv("LISTEN_FDS", "3", 1);
        setenv("LISTEN_FDNAMES", names == NULL ? "" : names, 1);
        int r = inherit_find(address, fds, max, &n);
        if (error != 0)
            _exit(r == NRPC_E_SYS && errno == error ? 0 : 91);
        for (size_t i = 0; i < n; i++)
            if ((fcntl(fds[i], F_GETFD) & FD_CLOEXEC) == 0)
                _exit(92);
        _exit(r == 0 && n == wanted && inherit_find(address, fds, max, &n) == NRPC_E_SYS ? 0 : 93);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_socket_activation(void **state)
{
    (void) state;
    assert_int_equal(activated("", "systemd", 3, 0), 0);
    assert_int_equal(activated("grpc:admin:grpc", "systemd", 3, 0), 0);
    assert_int_equal(activated("grpc:admin:grpc", "systemd:grpc", 2, 0), 0);
    assert_int_equal(activated("grpc:admin:grpc", "systemd:admin", 1, 0), 0);
    assert_int_equal(activated("grpc", "systemd:unknown", 2, 0), 0);
    assert_int_equal(activated("grpc:admin", "systemd:adm", 0, ENODATA), 0);
    assert_int_equal(activated(NULL, "systemd", 0, ENODATA), 0); /* meant for another process */
    int fds[1];
    size_t n = 99;
    assert_int_equal(inherit_find("systemd:", fds, 1, &n), NRPC_E_INVAL);
    assert_int_equal(inherit_find("systemdx", fds, 1, &n), NRPC_E_INVAL);
    assert_int_equal(n, 99);
}

static void test_modes_and_names(void **state)
{
    (void) state;
    char directory[] = "/tmp/nrpc-test-XXXXXX", address[96];
    assert_non_null(mkdtemp(directory));
    struct group g;
    group_init(&g, 1);
    mode_t before = umask(077);
    static const struct {
        const char *mode;
        unsigned expected;
    } cases[] = { { "", 0700 }, { "?mode=0660", 0660 }, { "?mode=666", 0666 } };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct stat st;
        snprintf(address, sizeof address, "unix://%s/door%s", directory, cases[i].mode);
        struct listener *l = group_listen(&g, 1, address, 10);
        assert_int_equal(stat(listener_address(l) + strlen("unix:"), &st), 0);
        assert_int_equal(st.st_mode & 0777, cases[i].expected);
        listener_free(l);
    }
    umask(before);
    static const char *const nonsense[] = { "?mode=", "?mode=8", "?mode=07777", "?mode=0x1" };
    for (size_t i = 0; i < ARRAY_SIZE(nonsense); i++) {
        struct listener *none = NULL;
        size_t n;
        snprintf(address, sizeof address, "unix:%s/door%s", directory, nonsense[i]);
        struct listener_options o = { address, g.loops, 1, 10, on_accept, &g };
        assert_int_equal(listener_open(&o, &none, 1, &n), NRPC_E_INVAL);
    }
    rmdir(directory);
    snprintf(address, sizeof address, "unix-abstract:nrpc-test-%d", (int) getpid());
    struct listener *l = group_listen(&g, 1, address, 10);
    assert_string_equal(listener_address(l), address);
    int client = dial(address);
    run(&g, 1);
    assert_string_equal(g.peer, address);
    close(client);
    listener_free(l);
    group_done(&g, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_port_zero_and_peer),  cmocka_unit_test(test_bad_addresses),
        cmocka_unit_test(test_unix_socket_file),    cmocka_unit_test(test_inherited),
        cmocka_unit_test(test_socket_activation),   cmocka_unit_test(test_modes_and_names),
        cmocka_unit_test(test_least_loaded),        cmocka_unit_test(test_max_connections),
        cmocka_unit_test(test_descriptor_shortage), cmocka_unit_test(test_stop_refuses_new_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
