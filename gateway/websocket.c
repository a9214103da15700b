#include "gateway/websocket.h"

#include <openssl/evp.h>
#include <string.h>

#include "rpc/base/utf8.h"

enum { FINAL = 0x80, RESERVED = 0x70, MASKED = 0x80, LENGTH = 0x7f, KEY_SIZE = 24, SHA1_SIZE = 20 };

void websocket_init(struct websocket *p, size_t max_message_bytes)
{
    memset(p, 0, sizeof *p);
    p->max = max_message_bytes;
    p->header_need = 2;
}

void websocket_done(struct websocket *p)
{
    buf_done(&p->message);
}

static enum websocket_result bad(struct websocket *p, unsigned code, const char *error)
{
    p->close_code = (uint16_t) code;
    p->error = error;
    return WEBSOCKET_BAD;
}

static bool is_control(uint8_t opcode)
{
    return opcode >= WEBSOCKET_CLOSE;
}

/* The first two bytes say how long the header is, and whether the frame may come now (section 5.2).
 */
static enum websocket_result check_start(struct websocket *p)
{
    uint8_t first = p->header[0], second = p->header[1], length = second & LENGTH;
    p->opcode = first & 0x0f;
    p->final = (first & FINAL) != 0;
    if ((first & RESERVED) != 0)
        return bad(p, WEBSOCKET_PROTOCOL_ERROR, "a reserved bit is set");
    if ((second & MASKED) == 0)
        return bad(p, WEBSOCKET_PROTOCOL_ERROR, "a client's frame must be masked");
    switch (p->opcode) {
    case WEBSOCKET_CONTINUATION:
        if (p->message_type == 0)
            return bad(p, WEBSOCKET_PROTOCOL_ERROR, "a continuation without a message");
        break;
    case WEBSOCKET_TEXT:
    case WEBSOCKET_BINARY:
        if (p->message_type != 0)
            return bad(p, WEBSOCKET_PROTOCOL_ERROR, "a new message inside a message");
        break;
    case WEBSOCKET_CLOSE:
    case WEBSOCKET_PING:
    case WEBSOCKET_PONG:
        if (!p->final || length > WEBSOCKET_CONTROL_MAX)
            return bad(p, WEBSOCKET_PROTOCOL_ERROR, "a control frame is fragmented or too long");
        break;
    default:
        return bad(p, WEBSOCKET_PROTOCOL_ERROR, "an opcode that is not known");
    }
    p->header_need = (uint8_t) (2 + 4 + (length == 126 ? 2 : length == 127 ? 8 : 0));
    return WEBSOCKET_MORE;
}

static enum websocket_result check_header(struct websocket *p)
{
    uint8_t length = p->header[1] & LENGTH;
    unsigned extra = length == 126 ? 2 : length == 127 ? 8 : 0;
    uint64_t size = extra == 0 ? length : 0;
    for (unsigned i = 0; i < extra; i++)
        size = size << 8 | p->header[2 + i];
    if ((extra == 2 && size < 126) || (extra == 8 && (size < 65536 || size >> 63 != 0)))
        return bad(p, WEBSOCKET_PROTOCOL_ERROR, "a length is not in its shortest form");
    if (!is_control(p->opcode) && (size > p->max || p->message.size + size > p->max))
        return bad(p, WEBSOCKET_TOO_BIG, "the message is too large");
    p->left = size;
    p->in_payload = true;
    p->mask_at = 0;
    if (is_control(p->opcode))
        p->control_size = 0;
    else if (p->opcode != WEBSOCKET_CONTINUATION)
        p->message_type = p->opcode;
    return WEBSOCKET_MORE;
}

static enum websocket_result read_header(struct websocket *p, uint8_t byte)
{
    enum websocket_result r = WEBSOCKET_MORE;
    p->header[p->header_size++] = byte;
    if (p->header_size == 2)
        r = check_start(p);
    if (r == WEBSOCKET_MORE && p->header_size > 2 && p->header_size == p->header_need)
        r = check_header(p);
    return r;
}

static void unmask(struct websocket *p, uint8_t *to, const uint8_t *from, size_t size)
{
    const uint8_t *mask = p->header + p->header_need - 4;
    for (size_t i = 0; i < size; i++)
        to[i] = from[i] ^ mask[(p->mask_at + i) & 3];
    p->mask_at = (uint8_t) ((p->mask_at + size) & 3);
}

/* The payload is in.  A message or a control frame may be whole with it. */
static enum websocket_result end_frame(struct websocket *p)
{
    p->in_payload = false;
    p->header_size = 0;
    p->header_need = 2;
    if (is_control(p->opcode))
        return WEBSOCKET_CONTROL;
    if (!p->final)
        return WEBSOCKET_MORE;
    p->opcode = p->message_type;
    p->message_type = 0;
    p->taken = true;
    if (p->opcode == WEBSOCKET_TEXT && !utf8_valid(p->message.data, p->message.size))
        return bad(p, WEBSOCKET_INVALID_DATA, "a text message is not UTF-8");
    return WEBSOCKET_MESSAGE;
}

static int read_payload(struct websocket *p, const uint8_t *data, size_t size)
{
    uint8_t *to =
        is_control(p->opcode) ? p->control + p->control_size : buf_grow(&p->message, size);
    if (to == NULL)
        return -1;
    unmask(p, to, data, size);
    if (is_control(p->opcode))
        p->control_size += size;
    p->left -= size;
    return 0;
}

enum websocket_result websocket_feed(struct websocket *p, const uint8_t *data, size_t size,
                                     size_t *out_used)
{
    *out_used = 0;
    if (p->error != NULL)
        return WEBSOCKET_BAD;
    if (p->taken)
        buf_reset(&p->message);
    p->taken = false;
    while (true) {
        if (!p->in_payload) {
            if (*out_used == size)
                return WEBSOCKET_MORE;
            enum websocket_result r = read_header(p, data[(*out_used)++]);
            if (r != WEBSOCKET_MORE)
                return r;
        }
        if (!p->in_payload)
            continue;
        size_t n = size - *out_used < p->left ? size - *out_used : (size_t) p->left;
        if (n > 0 && read_payload(p, data + *out_used, n) < 0)
            return bad(p, WEBSOCKET_INTERNAL_ERROR, "out of memory");
        *out_used += n;
        if (p->left > 0)
            return WEBSOCKET_MORE;
        enum websocket_result r = end_frame(p);
        if (r != WEBSOCKET_MORE)
            return r;
    }
}

/* Codes that may stand in a frame (section 7.4). */
static bool is_close_code(unsigned code)
{
    return (code >= 1000 && code <= 1011 && code != 1004 && code != 1005 && code != 1006) ||
           (code >= 3000 && code <= 4999);
}

unsigned websocket_close_code(const struct websocket *p)
{
    if (p->control_size == 0)
        return WEBSOCKET_NO_STATUS;
    if (p->control_size == 1)
        return 0;
    unsigned code = (unsigned) p->control[0] << 8 | p->control[1];
    return is_close_code(code) && utf8_valid(p->control + 2, p->control_size - 2) ? code : 0;
}

bool websocket_accept(const char *key, size_t size, char out[static WEBSOCKET_ACCEPT_SIZE + 1])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; /* section 1.3 */
    unsigned char text[KEY_SIZE + sizeof guid], raw[KEY_SIZE], digest[SHA1_SIZE];
    if (size != KEY_SIZE)
        return false;
    memcpy(text, key, KEY_SIZE);
    memcpy(text + KEY_SIZE, guid, sizeof guid);
    if (EVP_DecodeBlock(raw, text, KEY_SIZE) != 18 || key[22] != '=' || key[23] != '=')
        return false; /* 16 bytes in base64 */
    if (EVP_Digest(text, KEY_SIZE + sizeof guid - 1, digest, NULL, EVP_sha1(), NULL) != 1)
        return false;
    return EVP_EncodeBlock((unsigned char *) out, digest, SHA1_SIZE) == WEBSOCKET_ACCEPT_SIZE;
}

static void put_header(struct buf *out, enum websocket_opcode opcode, size_t size)
{
    uint8_t header[10] = { (uint8_t) (FINAL | opcode) };
    size_t n = 2;
    if (size < 126) {
        header[1] = (uint8_t) size;
    } else {
        n = size < 65536 ? 4 : 10;
        header[1] = n == 4 ? 126 : 127;
        for (size_t i = 2; i < n; i++)
            header[i] = (uint8_t) ((uint64_t) size >> 8 * (n - 1 - i));
    }
    buf_put(out, header, n);
}

void websocket_put_frame(struct buf *out, enum websocket_opcode opcode, const void *data,
                         size_t size)
{
    put_header(out, opcode, size);
    buf_put(out, data, size);
}

void websocket_put_close(struct buf *out, unsigned code, const char *reason)
{
    uint8_t payload[WEBSOCKET_CONTROL_MAX] = { (uint8_t) (code >> 8), (uint8_t) code };
    size_t size = strnlen(reason, WEBSOCKET_CONTROL_MAX - 2);
    size = utf8_valid_prefix(reason, size);
    memcpy(payload + 2, reason, size);
    websocket_put_frame(out, WEBSOCKET_CLOSE, payload, 2 + size);
}
