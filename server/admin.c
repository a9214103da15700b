#include "server/admin.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rpc/base/alloc.h"
#include "rpc/base/buf.h"
#include "rpc/base/check.h"
#include "rpc/base/clock.h"
#include "rpc/nrpc.h"

enum { REQUEST_BYTES_MAX = 4096, REQUEST_MS = 1000, SAMPLE_MS = 1000 };

struct admin {
    struct admin_options o;
    pthread_t thread;
    int listen_fd, stop_fd;
    char address[80];
    uint64_t sampled_ns;
    double cpu_s;
};

/* ---- sampling ---- */

static double process_cpu_s(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double) (u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double) (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static double process_memory_mb(void)
{
    unsigned long pages = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f == NULL)
        return 0;
    if (fscanf(f, "%lu %lu", &pages, &resident) != 2)
        resident = 0;
    fclose(f);
    return (double) resident * (double) sysconf(_SC_PAGESIZE) / (1 << 20);
}

static void sample(struct admin *a)
{
    uint64_t now = clock_mono_ns();
    double cpu_s = process_cpu_s();
    double took_s = (double) (now - a->sampled_ns) / 1e9;
    double percent = a->sampled_ns == 0 || took_s <= 0 ? 0 : (cpu_s - a->cpu_s) / took_s * 100;
    a->sampled_ns = now;
    a->cpu_s = cpu_s;
    a->o.sample(a->o.ctx, process_memory_mb(), percent < 0 ? 0 : percent);
}

/* ---- HTTP: one request a connection, answered and closed ---- */

static void answer_typed(int fd, int status, const char *reason, const char *type, const char *body)
{
    struct buf out = { 0 };
    buf_printf(&out,
               "HTTP/1.1 %d %s\r\nContent-Type: %s; charset=utf-8\r\nContent-Length: %zu\r\n"
               "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n",
               status, reason, type, strlen(body));
    buf_puts(&out, body);
    /* The answer fits the socket's buffer; when it does not, or the prober is gone, there is nobody to tell. */
    if (!out.failed)
        (void) !send(fd, out.data, out.size, MSG_NOSIGNAL);
    buf_done(&out);
}

static void answer(int fd, int status, const char *reason, const char *body)
{
    answer_typed(fd, status, reason, "text/plain", body);
}

/* Prometheus text: what the runtime counts. */
static void answer_metrics(int fd)
{
    struct buf out = { 0 };
    buf_puts(&out, "# HELP nrpc_abuse_total Streams and connections that were ended for the peer's conduct.\n"
                   "# TYPE nrpc_abuse_total counter\n");
    for (size_t i = 0; nrpc_abuse_name(i) != NULL; i++)
        buf_printf(&out, "nrpc_abuse_total{kind=\"%s\"} %llu\n", nrpc_abuse_name(i),
                   (unsigned long long) nrpc_abuse_count(i));
    nrpc_gauges g;
    nrpc_gauges_read(&g);
    const struct {
        const char *name;
        int64_t value;
    } live[] = {
        { "connections", g.connections }, { "calls", g.calls },       { "messages", g.messages }, { "blobs", g.blobs },
        { "cancels", g.cancels },         { "channels", g.channels }, { "timers", g.timers },
    };
    buf_puts(&out, "# HELP nrpc_live Live objects of the runtime.\n# TYPE nrpc_live gauge\n");
    for (size_t i = 0; i < ARRAY_SIZE(live); i++)
        buf_printf(&out, "nrpc_live{kind=\"%s\"} %lld\n", live[i].name, (long long) live[i].value);
    buf_printf(&out,
               "# HELP process_resident_memory_bytes Resident memory.\n# TYPE process_resident_memory_bytes gauge\n"
               "process_resident_memory_bytes %.0f\n",
               process_memory_mb() * (1 << 20));
    if (out.failed)
        answer(fd, 503, "Service Unavailable", "out of memory\n");
    else
        answer_typed(fd, 200, "OK", "text/plain; version=0.0.4", buf_str(&out));
    buf_done(&out);
}

/* Reads up to the end of the head, within REQUEST_MS in all.  0, or -1. */
static int read_head(int fd, char *head)
{
    uint64_t end = clock_mono_ns() + REQUEST_MS * 1000000ull;
    size_t size = 0;
    while (size < REQUEST_BYTES_MAX - 1) {
        uint64_t now = clock_mono_ns();
        struct pollfd p = { fd, POLLIN, 0 };
        if (now >= end || poll(&p, 1, (int) ((end - now) / 1000000) + 1) <= 0)
            return -1;
        ssize_t n = recv(fd, head + size, REQUEST_BYTES_MAX - 1 - size, 0);
        if (n <= 0)
            return -1;
        size += (size_t) n;
        head[size] = '\0';
        if (strlen(head) != size)
            return -1;
        if (strstr(head, "\r\n\r\n") != NULL)
            return 0;
    }
    return -1;
}

static void serve(struct admin *a, int fd)
{
    char head[REQUEST_BYTES_MAX], path[64];
    if (read_head(fd, head) < 0 || sscanf(head, "GET %63s HTTP/1.", path) != 1) {
        answer(fd, 400, "Bad Request", "send GET /livez, GET /readyz or GET /metrics\n");
        return;
    }
    const char *why = "";
    if (strcmp(path, "/livez") == 0)
        answer(fd, 200, "OK", "ok\n");
    else if (strcmp(path, "/metrics") == 0)
        answer_metrics(fd);
    else if (strcmp(path, "/readyz") != 0)
        answer(fd, 404, "Not Found", "there are /livez, /readyz and /metrics\n");
    else if (a->o.ready(a->o.ctx, &why))
        answer(fd, 200, "OK", "ok\n");
    else
        answer(fd, 503, "Service Unavailable", why);
}

static void *admin_main(void *arg)
{
    struct admin *a = arg;
    for (;;) {
        uint64_t due = a->sampled_ns + SAMPLE_MS * 1000000ull, now = clock_mono_ns();
        if (a->sampled_ns == 0 || now >= due) {
            sample(a);
            due = a->sampled_ns + SAMPLE_MS * 1000000ull;
        }
        struct pollfd fds[] = { { a->stop_fd, POLLIN, 0 }, { a->listen_fd, POLLIN, 0 } };
        int timeout = (int) ((due - clock_mono_ns()) / 1000000) + 1;
        (void) poll(fds, a->listen_fd >= 0 ? 2 : 1, timeout < 1 || timeout > SAMPLE_MS ? SAMPLE_MS : timeout);
        if (fds[0].revents != 0)
            return NULL;
        if (a->listen_fd < 0 || fds[1].revents == 0)
            continue;
        int fd = accept4(a->listen_fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0) {
            serve(a, fd);
            close(fd);
        }
    }
}

/* ---- start and stop ---- */

static int bind_to(struct admin *a, const char *address, char *why, size_t why_size)
{
    char host[64];
    const char *colon = strrchr(address, ':');
    size_t size = colon == NULL ? 0 : (size_t) (colon - address);
    if (size == 0 || size >= sizeof host) {
        snprintf(why, why_size, "'%s' is no HOST:PORT", address);
        return -1;
    }
    bool bracketed = address[0] == '[' && address[size - 1] == ']';
    snprintf(host, sizeof host, "%.*s", (int) (size - (bracketed ? 2 : 0)), address + bracketed);
    struct addrinfo hints = { .ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM }, *found = NULL;
    int e = getaddrinfo(host, colon + 1, &hints, &found);
    if (e != 0) {
        snprintf(why, why_size, "%s: %s", address, gai_strerror(e));
        return -1;
    }
    int one = 1;
    a->listen_fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool ok = a->listen_fd >= 0 && setsockopt(a->listen_fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0 &&
              bind(a->listen_fd, found->ai_addr, found->ai_addrlen) == 0 && listen(a->listen_fd, 64) == 0;
    if (!ok)
        snprintf(why, why_size, "%s: %s", address, strerror(errno));
    freeaddrinfo(found);
    struct sockaddr_storage bound;
    socklen_t bound_size = sizeof bound;
    if (ok && getsockname(a->listen_fd, (struct sockaddr *) &bound, &bound_size) == 0) {
        char port[8];
        getnameinfo((struct sockaddr *) &bound, bound_size, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV);
        snprintf(a->address, sizeof a->address, bound.ss_family == AF_INET6 ? "[%.60s]:%.7s" : "%.60s:%.7s", host, port);
    }
    return ok ? 0 : -1;
}

static void admin_free(struct admin *a)
{
    if (a->listen_fd >= 0)
        close(a->listen_fd);
    if (a->stop_fd >= 0)
        close(a->stop_fd);
    alloc_free(a);
}

int admin_start(const struct admin_options *o, struct admin **out_admin, char *why, size_t why_size)
{
    struct admin *a = alloc_zero(1, sizeof *a);
    if (a == NULL) {
        snprintf(why, why_size, "out of memory");
        return -1;
    }
    a->o = *o;
    a->listen_fd = -1;
    a->stop_fd = eventfd(0, EFD_CLOEXEC);
    int e = a->stop_fd < 0 ? errno : 0;
    if (e == 0 && o->address != NULL && o->address[0] != '\0' && bind_to(a, o->address, why, why_size) < 0) {
        admin_free(a);
        return -1;
    }
    if (e == 0)
        e = pthread_create(&a->thread, NULL, admin_main, a);
    if (e != 0) {
        snprintf(why, why_size, "%s", strerror(e));
        admin_free(a);
        return -1;
    }
    *out_admin = a;
    return 0;
}

const char *admin_address(const struct admin *a)
{
    return a->address;
}

void admin_stop(struct admin *a)
{
    if (a == NULL)
        return;
    (void) eventfd_write(a->stop_fd, 1);
    pthread_join(a->thread, NULL);
    admin_free(a);
}
