/* wire_peer.h — a client that writes HTTP/2 frames by hand and notes what comes back.  Frames are
 * words: "TYPE STREAM FLAGS PAYLOAD ...", several lines joined by "; ".
 *   TYPE     DATA HEADERS PRIORITY RST SETTINGS PUSH PING GOAWAY WINDOW CONTINUATION, or a number
 *   FLAGS    any of e END_STREAM/ACK, h END_HEADERS, p PADDED, r PRIORITY, f all that have no
 *            meaning; - none
 *   PAYLOAD  x0a1b bytes; zeros:N; u32:N and u16:N; text:abc; msg:abc a gRPC message;
 *            name=value a header field, not compressed (%20 is a byte);
 *            @grpc the head of a gRPC request for test.Echo/Unary, !name without that field;
 *            len:N the length that the frame claims
 * Other lines: RAW payload (no frame), WAIT STREAM (until that stream ended or was reset), PREFACE.
 */
#ifndef NRPC_TEST_WIRE_PEER_H
#define NRPC_TEST_WIRE_PEER_H
#include <netinet/in.h>
#include <stdbool.h>
#include <nghttp2/nghttp2.h>

#include "rpc/base/buf.h"

enum { WIRE_STREAMS = 64 };
struct wire_stream {
    struct buf head, body; /* "name=value\n"; trailers behind the head */
    bool ended, reset;
    uint32_t code;
};
struct wire_peer {
    int fd;
    nghttp2_hd_inflater *inflater;
    struct buf in, block, text; /* text: what came and was no HTTP/2 */
    struct wire_stream streams[WIRE_STREAMS];
    unsigned settings, settings_acks, pings, ping_acks, goaways;
    uint32_t goaway_code, last_id;
    struct buf reason;
    bool closed;
};

/* Connects; preface: sends it and empty SETTINGS. */
void wire_open(struct wire_peer *p, const struct sockaddr_in *to, bool preface);
void wire_done(struct wire_peer *p);
/* Sends a script, step bytes at a time (0: all at once). */
void wire_send(struct wire_peer *p, const char *script, size_t step);
/* The bytes of a script without a WAIT. */
void wire_compose(struct buf *out, const char *script);
/* Reads until a PING of ours is answered, or the connection is closed. */
void wire_sync(struct wire_peer *p);
/* Reads until stream id ended, was reset, or the connection is closed. */
void wire_wait(struct wire_peer *p, uint32_t id);
/* Reads until the server closes. */
void wire_wait_closed(struct wire_peer *p);

#endif
