/* The way in: frames are found here, ahead of nghttp2, because it ends the connection over one that
 * honest clients send.  gRPC's C core, when a call is cancelled before its HEADERS were written,
 * resets a stream that nobody has seen; RFC 9113 section 5.1 calls that a connection error, which
 * would cost all other calls of that client.  Such a reset is left out and charged to the budget,
 * but only once the client has opened a stream: before, the rule stands. */
#include <string.h>

#include "rpc/h2/inner.h"

enum { HEAD_BYTES = 9, RESET_BYTES = 4 };

static uint32_t read_u32(const uint8_t *p)
{
    return (uint32_t) p[0] << 24 | (uint32_t) p[1] << 16 | (uint32_t) p[2] << 8 | p[3];
}

static int give(struct h2_session *s, const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    ssize_t r = nghttp2_session_mem_recv(s->ng, data, size);
    if (r >= 0 && (s->no_memory || s->shield.tripped))
        r = NGHTTP2_ERR_CALLBACK_FAILURE;
    return r < 0 ? (int) r : 0;
}

/* Is this the reset of a stream that was not opened by what nghttp2 was given? */
static bool is_early_reset(const struct h2_session *s, const uint8_t *head)
{
    uint32_t id = read_u32(head + 5) & INT32_MAX;
    return head[3] == NGHTTP2_RST_STREAM && s->options.role == H2_SERVER && !s->scan.in_block &&
           (read_u32(head) >> 8) == RESET_BYTES && id % 2 == 1 &&
           id > (uint32_t) s->last_request_id;
}

/* A frame's head is whole: how long the frame is, and whether it ends a header block. */
static void scan_head(struct h2_scan *scan, const uint8_t *head)
{
    scan->left = read_u32(head) >> 8;
    if (head[3] == NGHTTP2_HEADERS || head[3] == NGHTTP2_CONTINUATION)
        scan->in_block = (head[4] & NGHTTP2_FLAG_END_HEADERS) == 0;
}

/* The bytes of a head that came alone wait here until it is whole. */
static size_t scan_collect(struct h2_scan *scan, const uint8_t *data, size_t size)
{
    size_t n = HEAD_BYTES - scan->have;
    n = n < size ? n : size;
    memcpy(scan->head + scan->have, data, n);
    scan->have += (uint8_t) n;
    return n;
}

/* A whole head at `head`; data[*from .. at) was not given yet and goes before it. */
static int on_head(struct h2_session *s, const uint8_t *head, const uint8_t *data, size_t at,
                   size_t *from)
{
    struct h2_scan *scan = &s->scan;
    int r = 0;
    if (is_early_reset(s, head)) {
        r = give(s, data + *from, at - *from); /* the stream's HEADERS may stand in there */
        *from = at;
        scan->skip = r == 0 && s->last_request_id > 0 && is_early_reset(s, head);
        if (scan->skip && !h2_shield_charge(&s->shield, H2_ABUSE_RESET_RECEIVED, s->now_ns))
            return NGHTTP2_ERR_FLOODED;
    }
    scan_head(scan, head);
    return r;
}

/* The payload of the current frame, as far as it is there.  Moves *at; a frame that is left out
 * moves *from, too. */
static void pass_payload(struct h2_scan *scan, size_t size, size_t *at, size_t *from)
{
    size_t n = scan->left < size - *at ? scan->left : size - *at;
    *at += n;
    scan->left -= (uint32_t) n;
    if (scan->skip)
        *from = *at;
    if (scan->left == 0)
        scan->skip = false;
}

int feed_frames(struct h2_session *s, const uint8_t *data, size_t size)
{
    struct h2_scan *scan = &s->scan;
    size_t at = 0, from = 0; /* data[from .. at) is to be given */
    while (at < size) {
        int r = 0;
        if (scan->left > 0) {
            pass_payload(scan, size, &at, &from);
            continue;
        }
        if (scan->have == 0 && size - at >= HEAD_BYTES) {
            r = on_head(s, data + at, data, at, &from);
            at += HEAD_BYTES;
            if (scan->skip)
                from = at;
        } else {
            if (scan->have == 0) {
                r = give(s, data + from, at - from);
                from = at;
            }
            at += scan_collect(scan, data + at, size - at);
            from = at;
            if (r == 0 && scan->have == HEAD_BYTES) {
                scan->have = 0;
                r = on_head(s, scan->head, data, at, &from);
                if (r == 0 && !scan->skip)
                    r = give(s, scan->head, HEAD_BYTES);
            }
        }
        if (r < 0)
            return r;
    }
    return give(s, data + from, at - from);
}
