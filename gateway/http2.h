/* http2.h — the gateway's HTTP/2 side: every stream is a client with one exchange, on rpc/h2's
 * session and its limits.  A request is written out as an HTTP/1.1 head and read by the one strict
 * parser, so both doors refuse the same things.  All [loop]. */
#ifndef NOVEL_GATEWAY_HTTP2_H
#define NOVEL_GATEWAY_HTTP2_H
#include "gateway/gateway.h"
#include "rpc/io/sock.h"

enum { HTTP2_PREFACE_SIZE = 24 };
/* What a connection of prior knowledge begins with (RFC 9113 section 3.4). */
extern const char http2_preface[HTTP2_PREFACE_SIZE + 1];

/* Takes the socket (only when it returns 0), whose first bytes are data. */
int http2_open(struct gateway_loop *gl, struct sock *sock, const uint8_t *data, size_t size);
/* Draining: no new streams; closes when the last one ended. */
void http2_drain(struct gateway_loop *gl);
void http2_abort(struct gateway_loop *gl); /* the grace is over */

#endif
