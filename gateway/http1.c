#include "gateway/http1.h"

#include <string.h>
#include <strings.h>

enum state {
    REQUEST_LINE,
    HEADER_LINE,
    HEAD_DONE, /* HTTP1_HEAD was told; the kind of body is decided next */
    BODY_LENGTH,
    CHUNK_SIZE,
    CHUNK_DATA,
    CHUNK_END, /* the line end after a chunk's data */
    TRAILER_LINE,
    WHOLE,
    BROKEN,
};

/* ---- characters ------------------------------------------------------------------------ */

static bool is_token_char(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool is_token(const char *s, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (!is_token_char((uint8_t) s[i]))
            return false;
    return size > 0;
}

static bool is_field_value(const char *s, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (((uint8_t) s[i] < 0x20 && s[i] != '\t') || s[i] == 0x7f)
            return false;
    return true;
}

static bool equals(const char *s, size_t size, const char *word)
{
    return size == strlen(word) && strncasecmp(s, word, size) == 0;
}

static void trim(const char **s, size_t *size)
{
    while (*size > 0 && (**s == ' ' || **s == '\t')) {
        ++*s;
        --*size;
    }
    while (*size > 0 && ((*s)[*size - 1] == ' ' || (*s)[*size - 1] == '\t'))
        --*size;
}

static enum http1_result bad(struct http1 *h, int status, const char *reason)
{
    h->state = BROKEN;
    h->status = status;
    h->reason = reason;
    h->keep_alive = false;
    return HTTP1_BAD;
}

/* ---- the request line ------------------------------------------------------------------ */

static bool is_target(const char *s, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if ((uint8_t) s[i] <= 0x20 || (uint8_t) s[i] >= 0x7f || s[i] == '#' || s[i] == '"' ||
            s[i] == '<' || s[i] == '>' || s[i] == '\\' || s[i] == '^' || s[i] == '`')
            return false;
    return size > 0;
}

/* uri-host [ ":" port ] of RFC 9110 section 7.2: a name or a bracketed literal, then digits at
 * most. No user information (section 4.2.4). */
static bool is_authority(const char *s, size_t size)
{
    size_t i = 0, host;
    if (size > 0 && *s == '[') {
        for (i = 1; i < size && (is_token_char((uint8_t) s[i]) || s[i] == ':'); i++)
            ;
        if (i < 2 || i == size || s[i] != ']')
            return false;
        host = ++i;
    } else {
        while (i < size && is_token_char((uint8_t) s[i]))
            i++;
        host = i;
    }
    if (host == 0 || (i < size && s[i++] != ':'))
        return false;
    while (i < size && s[i] >= '0' && s[i] <= '9')
        i++;
    return i == size;
}

/* origin-form, absolute-form of http(s), or "*", which is for OPTIONS alone (RFC 9112 section
 * 3.2.4). */
static enum http1_result split_target(struct http1 *h)
{
    const char *head = (const char *) h->head.data, *t = head + h->target,
               *end = t + h->target_size;
    const char *path = t;
    if (strncasecmp(t, "http://", 7) == 0 || strncasecmp(t, "https://", 8) == 0) {
        path = t + (t[4] == ':' ? 7 : 8);
        const char *authority = path;
        while (path < end && *path != '/' && *path != '?')
            path++;
        if (!is_authority(authority, (size_t) (path - authority)))
            return bad(h, 400, "the target has no host, or a malformed one");
    } else if (*t != '/' && !(h->target_size == 1 && *t == '*' && h->method_size == 7 &&
                              memcmp(head, "OPTIONS", 7) == 0)) {
        return bad(h, 400, "the request target must be a path");
    }
    const char *query = memchr(path, '?', (size_t) (end - path));
    h->path = (uint16_t) (path - head);
    h->path_size = (uint16_t) ((query == NULL ? end : query) - path);
    h->query_size = (uint16_t) (query == NULL ? 0 : end - query);
    return HTTP1_MORE;
}

static enum http1_result parse_request_line(struct http1 *h, const char *s, size_t size)
{
    const char *space = memchr(s, ' ', size);
    size_t method = space == NULL ? 0 : (size_t) (space - s);
    if (!is_token(s, method))
        return bad(h, 400, "the request line has no method");
    const char *target = space + 1, *end = s + size;
    const char *second = memchr(target, ' ', (size_t) (end - target));
    if (second == NULL || !is_target(target, (size_t) (second - target)))
        return bad(h, 400,
                   "the request target is missing or holds a character that is not allowed");
    const char *version = second + 1;
    if (end - version != 8 || memcmp(version, "HTTP/", 5) != 0 || version[6] != '.' ||
        version[5] < '0' || version[5] > '9' || version[7] < '0' || version[7] > '9')
        return bad(h, 400, "the request line does not end with an HTTP version");
    if (version[5] != '1')
        return bad(h, 505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
    h->minor = version[7] == '0' ? 0 : 1;
    h->keep_alive = h->minor == 1;
    h->method_size = (uint16_t) method;
    h->target = (uint16_t) (target - s);
    h->target_size = (uint16_t) (second - target);
    h->state = HEADER_LINE;
    return HTTP1_MORE;
}

/* ---- header fields --------------------------------------------------------------------- */

static enum http1_result read_content_length(struct http1 *h, const char *value, size_t size)
{
    uint64_t length = 0;
    if (h->has_length)
        return bad(h, 400, "Content-Length stands twice");
    if (size == 0 || size > 18)
        return bad(h, 400, "Content-Length is not a number");
    for (size_t i = 0; i < size; i++) {
        if (value[i] < '0' || value[i] > '9')
            return bad(h, 400, "Content-Length is not a number");
        length = length * 10 + (uint64_t) (value[i] - '0');
    }
    h->has_length = true;
    h->content_length = length;
    return HTTP1_MORE;
}

static enum http1_result read_transfer_encoding(struct http1 *h, const char *value, size_t size)
{
    if (h->chunked)
        return bad(h, 400, "Transfer-Encoding stands twice");
    if (h->minor == 0)
        return bad(h, 400, "HTTP/1.0 knows no Transfer-Encoding");
    if (!equals(value, size, "chunked"))
        return bad(h, 501, "the only Transfer-Encoding understood is chunked");
    h->chunked = true;
    return HTTP1_MORE;
}

static enum http1_result read_host(struct http1 *h, const char *value, size_t size)
{
    if (h->has_host)
        return bad(h, 400, "Host stands twice");
    if (size == 0)
        return bad(h, 400, "Host is empty");
    if (!is_authority(value, size))
        return bad(h, 400, "Host is malformed");
    h->has_host = true;
    return HTTP1_MORE;
}

static void read_connection(struct http1 *h, const char *value, size_t size)
{
    while (size > 0) {
        const char *comma = memchr(value, ',', size);
        size_t n = comma == NULL ? size : (size_t) (comma - value), item_size = n;
        const char *item = value;
        trim(&item, &item_size);
        if (equals(item, item_size, "close"))
            h->keep_alive = false;
        else if (equals(item, item_size, "keep-alive") && h->minor == 0)
            h->keep_alive = true;
        n += comma != NULL;
        value += n;
        size -= n;
    }
}

static enum http1_result read_field(struct http1 *h, const char *name, size_t name_size,
                                    const char *value, size_t value_size)
{
    if (equals(name, name_size, "content-length"))
        return read_content_length(h, value, value_size);
    if (equals(name, name_size, "transfer-encoding"))
        return read_transfer_encoding(h, value, value_size);
    if (equals(name, name_size, "host"))
        return read_host(h, value, value_size);
    if (equals(name, name_size, "connection"))
        read_connection(h, value, value_size);
    if (equals(name, name_size, "expect")) {
        if (!equals(value, value_size, "100-continue"))
            return bad(h, 417, "the only expectation understood is 100-continue");
        h->expect_continue = h->minor == 1;
    }
    return HTTP1_MORE;
}

/* Name and value of one line; lower-cases the name in place. */
static enum http1_result split_field(struct http1 *h, char *s, size_t size, size_t *name_size,
                                     const char **value, size_t *value_size)
{
    if (*s == ' ' || *s == '\t')
        return bad(h, 400, "a header line is folded");
    char *colon = memchr(s, ':', size);
    *name_size = colon == NULL ? 0 : (size_t) (colon - s);
    if (!is_token(s, *name_size))
        return bad(h, 400, "a header name is malformed");
    for (size_t i = 0; i < *name_size; i++)
        if (s[i] >= 'A' && s[i] <= 'Z')
            s[i] = (char) (s[i] | 0x20);
    *value = colon + 1;
    *value_size = size - *name_size - 1;
    trim(value, value_size);
    return is_field_value(*value, *value_size)
               ? HTTP1_MORE
               : bad(h, 400, "a header value holds a control character");
}

static enum http1_result head_ended(struct http1 *h)
{
    if (h->minor == 1 && !h->has_host)
        return bad(h, 400, "Host is missing");
    if (h->chunked && h->has_length)
        return bad(h, 400, "Content-Length and Transfer-Encoding exclude each other");
    if (split_target(h) == HTTP1_BAD)
        return HTTP1_BAD;
    h->state = HEAD_DONE;
    return HTTP1_HEAD;
}

static enum http1_result parse_header_line(struct http1 *h, char *s, size_t size)
{
    size_t name_size, value_size;
    const char *value;
    if (size == 0)
        return head_ended(h);
    if (h->n_fields == HTTP1_FIELDS_MAX)
        return bad(h, 431, "more than 100 header fields");
    if (split_field(h, s, size, &name_size, &value, &value_size) == HTTP1_BAD)
        return HTTP1_BAD;
    const char *head = (const char *) h->head.data;
    h->fields[h->n_fields++] =
        (struct http1_field){ (uint16_t) (s - head), (uint16_t) name_size,
                              (uint16_t) (value - head), (uint16_t) value_size };
    return read_field(h, s, name_size, value, value_size);
}

/* ---- lines ----------------------------------------------------------------------------- */

/* Moves data up to and with its LF into b.  1: a line is whole, its end taken off; 0: more is
 * needed; -1: over max; -2: the line ends without CR; -3: no memory.  from is where the line starts
 * in b. */
static int take_line(struct buf *b, size_t from, size_t max, const uint8_t *data, size_t size,
                     size_t *out_used)
{
    const uint8_t *lf = memchr(data, '\n', size);
    size_t n = lf == NULL ? size : (size_t) (lf - data) + 1;
    size_t room = max + 2 - (b->size - from);
    *out_used = n;
    if (n > room)
        return -1;
    buf_put(b, data, n);
    if (b->failed)
        return -3;
    if (lf == NULL)
        return 0;
    if (b->size - from < 2 || b->data[b->size - 2] != '\r')
        return -2;
    b->size -= 2;
    return 1;
}

static enum http1_result line_failed(struct http1 *h, int why, int too_long, const char *reason)
{
    if (why == -3)
        return bad(h, 503, "out of memory");
    return why == -1 ? bad(h, too_long, reason) : bad(h, 400, "a line does not end with CR LF");
}

static enum http1_result feed_request_line(struct http1 *h, const uint8_t *data, size_t size,
                                           size_t *out_used)
{
    int r = take_line(&h->head, 0, HTTP1_LINE_MAX, data, size, out_used);
    if (r < 0)
        return line_failed(h, r, 414, "the request line is longer than 8192 bytes");
    if (r == 0)
        return HTTP1_MORE;
    if (h->head.size == 0 && h->line_start == 0) {
        h->line_start = 1; /* one empty line before a request is forgiven (RFC 9112 section 2.2) */
        return HTTP1_MORE;
    }
    enum http1_result result = parse_request_line(h, (const char *) h->head.data, h->head.size);
    h->line_start = h->head.size;
    return result;
}

static enum http1_result feed_header_line(struct http1 *h, const uint8_t *data, size_t size,
                                          size_t *out_used)
{
    int r = take_line(&h->head, h->line_start, HTTP1_HEADERS_MAX - h->header_bytes, data, size,
                      out_used);
    if (r < 0)
        return line_failed(h, r, 431, "the header fields are larger than 16384 bytes");
    if (r == 0)
        return HTTP1_MORE;
    size_t length = h->head.size - h->line_start;
    h->header_bytes += length;
    enum http1_result result = parse_header_line(h, (char *) h->head.data + h->line_start, length);
    h->line_start = h->head.size;
    return result;
}

/* ---- the body -------------------------------------------------------------------------- */

static enum http1_result parse_chunk_size(struct http1 *h)
{
    const char *s = (const char *) h->line.data;
    size_t size = h->line.size, digits = 0;
    uint64_t length = 0;
    for (; digits < size; digits++) {
        char c = s[digits];
        unsigned v = c >= '0' && c <= '9'                     ? (unsigned) (c - '0')
                     : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (unsigned) ((c | 0x20) - 'a' + 10)
                                                              : 16;
        if (v == 16)
            break;
        length = length << 4 | v;
    }
    if (digits == 0 || digits > 15)
        return bad(h, 400, "a chunk size is malformed");
    if (digits < size && (s[digits] != ';' || !is_field_value(s + digits, size - digits)))
        return bad(h, 400, "a chunk size is malformed");
    h->left = length;
    h->state = length == 0 ? TRAILER_LINE : CHUNK_DATA;
    h->line.size = 0;
    return HTTP1_MORE;
}

static enum http1_result feed_trailer_line(struct http1 *h, const uint8_t *data, size_t size,
                                           size_t *out_used)
{
    int r = take_line(&h->line, 0, HTTP1_TRAILERS_MAX - h->trailer_bytes, data, size, out_used);
    if (r < 0)
        return line_failed(h, r, 431, "the trailer fields are larger than 4096 bytes");
    if (r == 0)
        return HTTP1_MORE;
    if (h->line.size == 0) {
        h->state = WHOLE;
        return HTTP1_END;
    }
    size_t name_size, value_size;
    const char *value;
    h->trailer_bytes += h->line.size;
    /* Trailers must be well-formed, and are dropped: no field of ours may come late. */
    enum http1_result result =
        split_field(h, (char *) h->line.data, h->line.size, &name_size, &value, &value_size);
    h->line.size = 0;
    return result;
}

static enum http1_result feed_chunk_line(struct http1 *h, const uint8_t *data, size_t size,
                                         size_t *out_used)
{
    size_t max = h->state == CHUNK_END ? 0 : HTTP1_CHUNK_LINE_MAX;
    int r = take_line(&h->line, 0, max, data, size, out_used);
    if (r < 0)
        return line_failed(h, r, 400,
                           h->state == CHUNK_END ? "a chunk is longer than its size"
                                                 : "a chunk line is too long");
    if (r == 0)
        return HTTP1_MORE;
    if (h->state == CHUNK_SIZE)
        return parse_chunk_size(h);
    h->state = CHUNK_SIZE;
    return HTTP1_MORE;
}

static enum http1_result feed_data(struct http1 *h, const uint8_t *data, size_t size,
                                   size_t *out_used, struct http1_text *out_body)
{
    size_t n = size < h->left ? size : (size_t) h->left;
    *out_used = n;
    h->left -= n;
    if (h->left == 0)
        h->state = h->chunked ? CHUNK_END : WHOLE;
    if (n == 0)
        return HTTP1_MORE;
    *out_body = (struct http1_text){ (const char *) data, n };
    return HTTP1_BODY;
}

static void begin_body(struct http1 *h)
{
    h->left = h->has_length ? h->content_length : 0;
    h->state = h->chunked ? CHUNK_SIZE : h->left > 0 ? BODY_LENGTH : WHOLE;
}

static enum http1_result feed_once(struct http1 *h, const uint8_t *data, size_t size,
                                   size_t *out_used, struct http1_text *out_body)
{
    switch ((enum state) h->state) {
    case REQUEST_LINE:
        return feed_request_line(h, data, size, out_used);
    case HEADER_LINE:
        return feed_header_line(h, data, size, out_used);
    case CHUNK_SIZE:
    case CHUNK_END:
        return feed_chunk_line(h, data, size, out_used);
    case TRAILER_LINE:
        return feed_trailer_line(h, data, size, out_used);
    default:
        return feed_data(h, data, size, out_used, out_body);
    }
}

enum http1_result http1_feed(struct http1 *h, const void *bytes, size_t size, size_t *out_used,
                             struct http1_text *out_body)
{
    const uint8_t *data = bytes;
    *out_used = 0;
    if (h->state == HEAD_DONE)
        begin_body(h);
    while (true) {
        if (h->state == WHOLE)
            return HTTP1_END;
        if (h->state == BROKEN)
            return HTTP1_BAD;
        if (*out_used == size)
            return HTTP1_MORE;
        size_t used = 0;
        enum http1_result r = feed_once(h, data + *out_used, size - *out_used, &used, out_body);
        *out_used += used;
        if (r != HTTP1_MORE)
            return r;
    }
}

void http1_init(struct http1 *h)
{
    memset(h, 0, offsetof(struct http1, fields));
}

void http1_done(struct http1 *h)
{
    buf_done(&h->head);
    buf_done(&h->line);
}

void http1_next(struct http1 *h)
{
    struct buf head = h->head, line = h->line;
    http1_init(h);
    buf_reset(&head);
    buf_reset(&line);
    h->head = head;
    h->line = line;
}

bool http1_is_idle(const struct http1 *h)
{
    return h->state == REQUEST_LINE && h->head.size == 0 && h->line_start == 0;
}

static struct http1_text text_at(const struct http1 *h, size_t at, size_t size)
{
    return (struct http1_text){ (const char *) h->head.data + at, size };
}

struct http1_text http1_method(const struct http1 *h)
{
    return text_at(h, 0, h->method_size);
}

struct http1_text http1_target(const struct http1 *h)
{
    return text_at(h, h->target, h->target_size);
}

struct http1_text http1_path(const struct http1 *h)
{
    return h->path_size == 0 ? (struct http1_text){ "/", 1 } : text_at(h, h->path, h->path_size);
}

struct http1_text http1_query(const struct http1 *h)
{
    if (h->query_size == 0)
        return (struct http1_text){ "", 0 };
    return text_at(h, (size_t) h->path + h->path_size + 1, (size_t) h->query_size - 1);
}

struct http1_text http1_find(const struct http1 *h, const char *name)
{
    size_t size = strlen(name);
    for (size_t i = 0; i < h->n_fields; i++) {
        const struct http1_field *f = &h->fields[i];
        if (f->name_size == size && memcmp(h->head.data + f->name, name, size) == 0)
            return text_at(h, f->value, f->value_size);
    }
    return (struct http1_text){ NULL, 0 };
}

bool http1_join(const struct http1 *h, const char *name, struct buf *out)
{
    size_t size = strlen(name);
    bool any = false;
    for (size_t i = 0; i < h->n_fields; i++) {
        const struct http1_field *f = &h->fields[i];
        if (f->name_size != size || memcmp(h->head.data + f->name, name, size) != 0)
            continue;
        if (any)
            buf_puts(out, ", ");
        buf_put(out, h->head.data + f->value, f->value_size);
        any = true;
    }
    return any;
}
