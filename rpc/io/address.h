/* address.h — "HOST:PORT", "[HOST]:PORT", "unix:PATH" (also "unix:///PATH") and "unix-abstract:NAME" to socket
 * addresses and back.  Hosts are
 * numeric or "localhost": nothing here looks names up.  Pure. */
#ifndef NRPC_IO_ADDRESS_H
#define NRPC_IO_ADDRESS_H
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <netinet/in.h>

struct address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_un un;
    } sa;
    socklen_t size;
};
enum { ADDRESS_TEXT_MAX = 128 };

/* 0, or E_INVAL with *out_address untouched. */
int address_parse(const char *text, struct address *out_address);
/* Text as address_parse reads it; an unnamed unix address is "unix:". */
void address_format(const struct address *a, char out[static ADDRESS_TEXT_MAX]);

#endif
