/* inherit.h — listening sockets that the parent process opened: "fd:N", "systemd" and "systemd:NAME" (the protocol of
 * sd_listen_fds(3): LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES; descriptors from 3 on).  [setup] */
#ifndef NRPC_IO_INHERIT_H
#define NRPC_IO_INHERIT_H
#include <stdbool.h>
#include <stddef.h>

bool inherit_is_address(const char *address);
/* The descriptors that the address means, in order.  E_INVAL: not such an address.  E_SYS with errno: ENODATA nothing was
 * handed over (of that name), EMFILE more than max, ENOTSOCK, EINVAL not a listening stream socket, EBADF not open, or not
 * inherited: descriptors of our own are close-on-exec, so one cannot be taken twice. */
int inherit_find(const char *address, int *out_fds, size_t max, size_t *out_n);

#endif
