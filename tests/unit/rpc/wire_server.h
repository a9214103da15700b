/* wire_server.h — a server that answers by script: for clients that meet servers which are broken,
 * old, or proxies.  Scripts as in wire_peer.h; one connection at a time, a thread of its own. */
#ifndef NRPC_TEST_WIRE_SERVER_H
#define NRPC_TEST_WIRE_SERVER_H
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "rpc/base/buf.h"

struct wire_server {
    int listener;
    pthread_t thread;
    char address[64];
    const char *script; /* sent when the client's first stream has its HEADERS */
    bool hang_up;       /* then closes */
    bool wait_end;      /* not before the client's END_STREAM */
    /* What the client did; read after wire_server_stop. */
    unsigned connections, requests, resets, goaways;
    uint32_t reset_code;
    uint64_t data_bytes;
    struct buf head; /* header block of the first request, not decoded */
    atomic_bool done;
};

void wire_server_start(struct wire_server *s);
void wire_server_stop(struct wire_server *s); /* after the client went */

#endif
