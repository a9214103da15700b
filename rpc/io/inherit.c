#include "rpc/io/inherit.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rpc/nrpc.h"

enum { FIRST_FD = 3 };
static const char fd_prefix[] = "fd:", systemd[] = "systemd";

static bool begins(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool inherit_is_address(const char *address)
{
    const char *rest = address + strlen(systemd);
    return begins(address, fd_prefix) ||
           (begins(address, systemd) && (*rest == '\0' || (*rest == ':' && rest[1] != '\0')));
}

/* A whole decimal number, or -1. */
static long number(const char *text)
{
    char *end;
    if (text == NULL || *text < '0' || *text > '9')
        return -1;
    errno = 0;
    long n = strtol(text, &end, 10);
    return errno != 0 || *end != '\0' || n > INT_MAX ? -1 : n;
}

static int sys_error(int error)
{
    errno = error;
    return NRPC_E_SYS;
}

/* Takes it from the processes that we may start. */
static int take(int fd)
{
    int flags = fcntl(fd, F_GETFD), value = 0;
    socklen_t size = sizeof value;
    if (flags < 0)
        return NRPC_E_SYS;
    if (flags & FD_CLOEXEC)
        return sys_error(EBADF);
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &size) < 0)
        return NRPC_E_SYS;
    if (value != SOCK_STREAM)
        return sys_error(EINVAL);
    size = sizeof value;
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &size) < 0)
        return NRPC_E_SYS;
    if (value == 0)
        return sys_error(EINVAL);
    int status = fcntl(fd, F_GETFL);
    if (status < 0 || fcntl(fd, F_SETFL, status | O_NONBLOCK) < 0 ||
        fcntl(fd, F_SETFD, flags | FD_CLOEXEC) < 0)
        return NRPC_E_SYS;
    return 0;
}

/* Is the i-th name of the list the wanted one?  Sockets without a name are called "unknown". */
static bool is_named(const char *names, long i, const char *wanted)
{
    if (wanted == NULL)
        return true;
    const char *p = names == NULL ? "" : names;
    for (; i > 0 && p != NULL; i--)
        p = (p = strchr(p, ':')) == NULL ? NULL : p + 1;
    size_t size = p == NULL ? 0 : strcspn(p, ":");
    if (size == 0)
        return strcmp(wanted, "unknown") == 0;
    return strlen(wanted) == size && memcmp(p, wanted, size) == 0;
}

static int find_systemd(const char *wanted, int *out_fds, size_t max, size_t *out_n)
{
    const char *names = getenv("LISTEN_FDNAMES");
    long count = number(getenv("LISTEN_FDS")), pid = number(getenv("LISTEN_PID"));
    size_t n = 0;
    if (pid != (long) getpid() || count <= 0)
        return sys_error(ENODATA);
    for (long i = 0; i < count; i++) {
        if (!is_named(names, i, wanted))
            continue;
        if (n == max)
            return sys_error(EMFILE);
        out_fds[n++] = FIRST_FD + (int) i;
    }
    if (n == 0)
        return sys_error(ENODATA);
    *out_n = n;
    return 0;
}

int inherit_find(const char *address, int *out_fds, size_t max, size_t *out_n)
{
    size_t n = 1;
    if (!inherit_is_address(address) || max == 0)
        return NRPC_E_INVAL;
    if (begins(address, fd_prefix)) {
        long fd = number(address + strlen(fd_prefix));
        if (fd < 0)
            return NRPC_E_INVAL;
        out_fds[0] = (int) fd;
    } else {
        const char *name = address + strlen(systemd);
        int r = find_systemd(*name == ':' ? name + 1 : NULL, out_fds, max, &n);
        if (r < 0)
            return r;
    }
    for (size_t i = 0; i < n; i++) {
        int r = take(out_fds[i]);
        if (r < 0)
            return r;
    }
    *out_n = n;
    return 0;
}
