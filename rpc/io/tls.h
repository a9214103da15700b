/* tls.h — TLS 1.2 and 1.3 for sockets, on OpenSSL 3.  nrpc_tls (rpc/nrpc.h) is the context that sockets
 * share; what a socket needs beyond it is below.  Protocols are negotiated by ALPN (RFC 7301). */
#ifndef NRPC_IO_TLS_H
#define NRPC_IO_TLS_H
#include "rpc/nrpc.h"

/* How a socket speaks TLS.  The role is the context's. */
struct sock_tls {
    nrpc_tls *context;       /* lent while a socket is opened with it */
    const char *alpn;        /* "h2" or "h2,http/1.1", best first; a constant: lives as long as the socket.
                              * A client must get one of them.  A server refuses a peer that offers others
                              * (no_application_protocol), and one that offers none unless "http/1.1" is here. */
    const char *server_name; /* client: the host name or address to verify, and SNI; lent during the call */
    uint32_t handshake_ms;   /* longest handshake; 0: 10,000 */
};
bool tls_is_server(const nrpc_tls *t);

#endif
