/* The bytes of a connection before nghttp2 sees them: how a client begins, where frames begin, and
 * the rules of RFC 9113 about frame headers that nghttp2 does not know.
 *
 * nghttp2 1.52 counts a CONTINUATION each time it is called inside its nine bytes, so a slow peer
 * would spend the limit with one frame: it gets whole frame headers only, and the count is ours.
 * It also forgets streams that are gone (no_closed_streams saves their memory); two bits for each
 * of the last 1,024 tell what they were. */
#include <string.h>

#include "rpc/h2/inner.h"

enum {
    PREFACE_BYTES = 24,
    HEAD_BYTES = 9,
    HTTP1_BYTES_MAX = 16384,
    CONTINUATIONS_MAX = 8,
    STRAYS_MAX = 16,
    RESET_BYTES = 4
};
static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
static const char http1_answer[] = "HTTP/1.1 400 Bad Request\r\n"
                                   "Content-Type: text/plain; charset=utf-8\r\n"
                                   "Content-Length: 37\r\n"
                                   "Connection: close\r\n"
                                   "\r\n"
                                   "this port speaks HTTP/2 and gRPC only";

/* Notes why the connection must end. */
static int fault(struct h2_session *s, uint32_t code, const char *reason)
{
    s->fault_code = code;
    s->fault = reason;
    return NGHTTP2_ERR_CALLBACK_FAILURE;
}

/* ---- the beginning ---- */
/* A request of HTTP/1 has its method first; "PRI" is ours. */
static bool looks_like_http1(const struct h2_frames *f, uint8_t byte)
{
    return f->preface_have < 3 && byte >= 'A' && byte <= 'Z';
}

/* Skips the head of an HTTP/1 request: closing before it was read could take the answer with it. */
static int skip_http1(struct h2_session *s, const uint8_t *data, size_t size)
{
    struct h2_frames *f = &s->frames;
    for (size_t i = 0; i < size && f->newlines < 2; i++) {
        f->http1_bytes++;
        if (data[i] == '\n')
            f->newlines++;
        else if (data[i] != '\r')
            f->newlines = 0;
    }
    if (f->newlines < 2 && f->http1_bytes < HTTP1_BYTES_MAX)
        return 0;
    return fault(s, H2_PROTOCOL_ERROR, "not HTTP/2");
}

/* Takes its part of *data; a bad one is the end. */
static int take_preface(struct h2_session *s, const uint8_t **data, size_t *size)
{
    struct h2_frames *f = &s->frames;
    size_t n = 0;
    while (n < *size && f->preface_have < PREFACE_BYTES) {
        if ((*data)[n] != (uint8_t) preface[f->preface_have]) {
            f->is_http1 = looks_like_http1(f, (*data)[n]);
            return f->is_http1 ? skip_http1(s, *data, *size)
                               : fault(s, H2_PROTOCOL_ERROR, "not HTTP/2");
        }
        f->preface_have++;
        n++;
    }
    ssize_t r = nghttp2_session_mem_recv(s->ng, *data, n);
    *data += n;
    *size -= n;
    return r < 0 ? (int) r : 0;
}

bool frames_may_send(const struct h2_session *s)
{
    const struct h2_frames *f = &s->frames;
    return s->options.role == H2_CLIENT || f->preface_have == PREFACE_BYTES ||
           (s->failed && !f->is_http1);
}

void frames_put_http1(struct h2_session *s, struct buf *out)
{
    struct h2_frames *f = &s->frames;
    if (!frames_answer_due(s))
        return;
    buf_put(out, http1_answer, sizeof http1_answer - 1);
    f->answered = true;
}

bool frames_answer_due(const struct h2_session *s)
{
    return s->frames.is_http1 && s->failed && !s->frames.answered;
}

/* ---- streams that were ---- */
/* Of the client's streams up to the highest. */
enum stream_past { NEVER, OPENED, ENDED, RESET };
enum { PER_BYTE = 4, REMEMBERED = H2_STREAMS_REMEMBERED };

static enum stream_past past_get(const struct h2_frames *f, int32_t id)
{
    uint32_t i = (uint32_t) id / 2 % REMEMBERED;
    return (enum stream_past)(f->past[i / PER_BYTE] >> i % PER_BYTE * 2 & 3);
}

static void past_set(struct h2_frames *f, int32_t id, enum stream_past past)
{
    uint32_t i = (uint32_t) id / 2 % REMEMBERED, shift = i % PER_BYTE * 2;
    f->past[i / PER_BYTE] =
        (uint8_t) ((f->past[i / PER_BYTE] & ~(3u << shift)) | (unsigned) past << shift);
}

/* A new stream; the ones that it skipped never were. */
static void past_open(struct h2_frames *f, int32_t id)
{
    uint32_t skipped = (uint32_t) (id - f->highest) / 2;
    if (skipped >= REMEMBERED)
        memset(f->past, 0, sizeof f->past);
    else
        for (int32_t lower = id - 2; lower > f->highest; lower -= 2)
            past_set(f, lower, NEVER);
    f->highest = id;
    past_set(f, id, OPENED);
}

static bool is_remembered(const struct h2_frames *f, int32_t id)
{
    return id <= f->highest && (uint32_t) (f->highest - id) / 2 < REMEMBERED;
}

/* HEADERS or DATA on one of the client's streams: RFC 9113 sections 5.1 and 5.1.1.  What is behind
 * the end of a stream is an error of the connection, what is behind a reset one of the stream. */
static int check_stream(struct h2_session *s, uint8_t type, uint8_t flags, int32_t id)
{
    struct h2_frames *f = &s->frames;
    if (type == NGHTTP2_HEADERS && id > f->highest)
        past_open(f, id);
    else if (!is_remembered(f, id))
        return 0;
    switch (past_get(f, id)) {
    case NEVER:
        return type == NGHTTP2_HEADERS
                   ? fault(s, H2_PROTOCOL_ERROR, "a lower stream that never was")
                   : fault(s, H2_STREAM_CLOSED, "a stream that never was");
    case ENDED:
        return fault(s, H2_STREAM_CLOSED, "a frame behind END_STREAM");
    case RESET:
        if (f->n_strays == STRAYS_MAX)
            return fault(s, H2_STREAM_CLOSED, "many frames behind RST_STREAM");
        f->strays[f->n_strays++] = id;
        return 0;
    case OPENED: /* perhaps we ended it: then what was on its way comes to nothing */
        break;
    }
    if ((flags & NGHTTP2_FLAG_END_STREAM) != 0)
        past_set(f, id, ENDED);
    return 0;
}

/* ---- frames ---- */
static uint32_t read_u32(const uint8_t *p)
{
    return (uint32_t) p[0] << 24 | (uint32_t) p[1] << 16 | (uint32_t) p[2] << 8 | p[3];
}

/* Is there room for what the flags promise (RFC 9113 section 4.2)? */
static bool is_too_short(uint8_t type, uint8_t flags, uint32_t size)
{
    uint32_t need = (flags & NGHTTP2_FLAG_PADDED) != 0;
    if (type == NGHTTP2_HEADERS && (flags & NGHTTP2_FLAG_PRIORITY) != 0)
        need += 5;
    return size < need;
}

/* gRPC's C core, when a call is cancelled before its HEADERS were written, resets a stream that
 * nobody has seen.  RFC 9113 section 5.1 calls that an error of the connection, which would cost
 * all other calls of that client; so it is left out and charged to the budget, but only once the
 * client has opened a stream. */
static int check_reset(struct h2_session *s, int32_t id)
{
    struct h2_frames *f = &s->frames;
    if (is_remembered(f, id)) {
        if (past_get(f, id) == OPENED)
            past_set(f, id, RESET);
    } else if (f->highest > 0 && id > f->highest && f->left == RESET_BYTES && !f->in_block) {
        f->skip = true;
        if (!h2_shield_reset(&s->shield, s->now_ns))
            return NGHTTP2_ERR_FLOODED;
    }
    return 0;
}

/* The frame that is all here may have ended a header block. */
static void end_block(struct h2_frames *f)
{
    if (f->left == 0 && f->is_block && !f->in_block)
        f->block_ns = 0;
}

static void note_block(struct h2_session *s, uint8_t type)
{
    struct h2_frames *f = &s->frames;
    end_block(f);
    f->is_block = type == NGHTTP2_HEADERS || type == NGHTTP2_CONTINUATION;
    if (f->is_block && f->block_ns == 0)
        f->block_ns = s->now_ns;
}

/* A frame's header is whole. */
static int check_head(struct h2_session *s, const uint8_t *head)
{
    struct h2_frames *f = &s->frames;
    uint8_t type = head[3], flags = head[4];
    int32_t id = (int32_t) (read_u32(head + 5) & INT32_MAX);
    bool of_client = s->options.role == H2_SERVER && id % 2 == 1; /* others are nghttp2's */
    int r = 0;
    note_block(s, type);
    f->left = read_u32(head) >> 8;
    switch (type) {
    case NGHTTP2_HEADERS:
    case NGHTTP2_DATA:
        if (is_too_short(type, flags, f->left))
            return fault(s, H2_FRAME_SIZE_ERROR, "a frame shorter than its flags");
        r = of_client ? check_stream(s, type, flags, id) : 0;
        if (type == NGHTTP2_DATA)
            return r;
        f->continuations = 0;
        break;
    case NGHTTP2_CONTINUATION:
        if (++f->continuations > CONTINUATIONS_MAX)
            return fault(s, H2_ENHANCE_YOUR_CALM, "too many CONTINUATION frames");
        break;
    case NGHTTP2_PRIORITY:
        return id == 0 ? fault(s, H2_PROTOCOL_ERROR, "PRIORITY of the connection") : 0;
    case NGHTTP2_RST_STREAM:
        return of_client ? check_reset(s, id) : 0;
    default:
        return 0;
    }
    f->in_block = (flags & NGHTTP2_FLAG_END_HEADERS) == 0;
    return r;
}

/* How many bytes at the front nghttp2 may have: all but a frame header that is not whole, or a
 * frame that is to be left out (then f->skip). */
static int walk(struct h2_session *s, const uint8_t *data, size_t size, size_t *out_size)
{
    struct h2_frames *f = &s->frames;
    size_t at = 0;
    for (;;) {
        size_t n = f->left < size - at ? f->left : size - at;
        f->left -= (uint32_t) n;
        at += n;
        *out_size = at;
        if (f->left > 0 || size - at < HEAD_BYTES)
            return 0;
        int r = check_head(s, data + at);
        if (r < 0 || f->skip)
            return r;
        at += HEAD_BYTES;
    }
}

static int feed(struct h2_session *s, const uint8_t *data, size_t size)
{
    struct h2_frames *f = &s->frames;
    ssize_t r = size == 0 ? 0 : nghttp2_session_mem_recv(s->ng, data, size);
    if (r < 0)
        return (int) r;
    /* Only now nghttp2 knows that these streams are gone. */
    for (; f->n_strays > 0; f->n_strays--)
        if (nghttp2_submit_rst_stream(s->ng, NGHTTP2_FLAG_NONE, f->strays[f->n_strays - 1],
                                      H2_STREAM_CLOSED) != 0)
            s->no_memory = true;
    return 0;
}

/* Completes a header that came in pieces; returns how many bytes that took, or an error. */
static int join_head(struct h2_session *s, const uint8_t *data, size_t size)
{
    struct h2_frames *f = &s->frames;
    size_t need = HEAD_BYTES - f->head_have, n = size < need ? size : need;
    memcpy(f->head + f->head_have, data, n);
    f->head_have = (uint8_t) (f->head_have + n);
    if (f->head_have < HEAD_BYTES)
        return (int) n;
    f->head_have = 0;
    int r = check_head(s, f->head);
    if (r == 0 && !f->skip)
        r = feed(s, f->head, HEAD_BYTES);
    return r < 0 ? r : (int) n;
}

/* Takes whole frames and parts of payloads as far as they go in one piece; the same returns. */
static ssize_t feed_run(struct h2_session *s, const uint8_t *data, size_t size)
{
    struct h2_frames *f = &s->frames;
    size_t whole;
    int bad = walk(s, data, size, &whole);
    int r = feed(s, data, whole);
    if (r < 0 || bad < 0)
        return r < 0 ? r : bad;
    if (f->skip)
        return (ssize_t) (whole + HEAD_BYTES);
    f->head_have = (uint8_t) (size - whole);
    memcpy(f->head, data + whole, f->head_have);
    return (ssize_t) size;
}

static size_t skip_payload(struct h2_frames *f, size_t size)
{
    size_t n = f->left < size ? f->left : size;
    f->left -= (uint32_t) n;
    f->skip = f->left > 0;
    return n;
}

int frames_feed(struct h2_session *s, const uint8_t *data, size_t size)
{
    struct h2_frames *f = &s->frames;
    if (f->is_http1)
        return skip_http1(s, data, size);
    if (s->options.role == H2_SERVER && f->preface_have < PREFACE_BYTES) {
        int r = take_preface(s, &data, &size);
        if (r < 0 || f->is_http1)
            return r;
    }
    while (size > 0) {
        ssize_t n = f->skip            ? (ssize_t) skip_payload(f, size)
                    : f->head_have > 0 ? join_head(s, data, size)
                                       : feed_run(s, data, size);
        if (n < 0)
            return (int) n;
        if (s->no_memory || s->shield.tripped)
            return NGHTTP2_ERR_CALLBACK_FAILURE;
        data += n;
        size -= (size_t) n;
    }
    end_block(f);
    return 0;
}
