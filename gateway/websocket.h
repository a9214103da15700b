/* websocket.h — WebSocket frames (RFC 6455), a server's side: reads masked frames in pieces of any
 * size, gathers messages, writes frames.  No extensions.  Pure. */
#ifndef NOVEL_GATEWAY_WEBSOCKET_H
#define NOVEL_GATEWAY_WEBSOCKET_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rpc/base/buf.h"

enum websocket_opcode {
    WEBSOCKET_CONTINUATION = 0,
    WEBSOCKET_TEXT = 1,
    WEBSOCKET_BINARY = 2,
    WEBSOCKET_CLOSE = 8,
    WEBSOCKET_PING = 9,
    WEBSOCKET_PONG = 10
};
/* Close codes, section 7.4.1. */
enum {
    WEBSOCKET_NORMAL = 1000,
    WEBSOCKET_GOING_AWAY = 1001,
    WEBSOCKET_PROTOCOL_ERROR = 1002,
    WEBSOCKET_UNSUPPORTED_DATA = 1003,
    WEBSOCKET_NO_STATUS = 1005,
    WEBSOCKET_INVALID_DATA = 1007,
    WEBSOCKET_TOO_BIG = 1009,
    WEBSOCKET_INTERNAL_ERROR = 1011,
    WEBSOCKET_CALL_FAILED = 4000 /* + the gRPC code */
};
enum { WEBSOCKET_ACCEPT_SIZE = 28, WEBSOCKET_CONTROL_MAX = 125 };
enum websocket_result {
    WEBSOCKET_MORE,    /* all data was used */
    WEBSOCKET_MESSAGE, /* a text or binary message is whole in p->message, until the next feed */
    WEBSOCKET_CONTROL, /* a ping, pong or close: p->opcode, p->control, p->control_size */
    WEBSOCKET_BAD      /* close with p->close_code; nothing more can be read */
};
struct websocket {
    uint64_t left; /* of the frame's payload */
    size_t max;    /* bytes of a message */
    uint8_t header[14];
    uint8_t header_size, header_need;
    uint8_t opcode;       /* of the frame */
    uint8_t message_type; /* of the message that is open; 0: none */
    uint8_t mask_at;
    bool final, in_payload, taken;
    uint16_t close_code;
    const char *error;
    uint8_t control[WEBSOCKET_CONTROL_MAX];
    size_t control_size;
    struct buf message;
};

void websocket_init(struct websocket *p, size_t max_message_bytes);
void websocket_done(struct websocket *p);
enum websocket_result websocket_feed(struct websocket *p, const uint8_t *data, size_t size,
                                     size_t *out_used);
/* The code of a close frame that came: WEBSOCKET_NO_STATUS when it had none, 0 when it is
 * malformed. */
unsigned websocket_close_code(const struct websocket *p);

/* The answer to Sec-WebSocket-Key, or false when that is no key. */
bool websocket_accept(const char *key, size_t size, char out[static WEBSOCKET_ACCEPT_SIZE + 1]);
void websocket_put_frame(struct buf *out, enum websocket_opcode opcode, const void *data,
                         size_t size);
/* A close frame; reason is cut to what a control frame holds, at a character's end. */
void websocket_put_close(struct buf *out, unsigned code, const char *reason);

#endif
