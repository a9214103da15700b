/* http1.h — strict HTTP/1.1 request parser (RFC 9110, 9112), fed in pieces of any size.  It tells
 * one request from the next beyond doubt or refuses: bare LF, obs-fold, space before a colon, NUL,
 * two Hosts or Content-Lengths, both length and Transfer-Encoding, any coding but chunked, signs or
 * spaces in numbers. Pure; the outcome does not depend on how the input was cut. */
#ifndef NOVEL_GATEWAY_HTTP1_H
#define NOVEL_GATEWAY_HTTP1_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rpc/base/buf.h"

enum {
    HTTP1_LINE_MAX = 8192,     /* request line */
    HTTP1_HEADERS_MAX = 16384, /* bytes of all header lines */
    HTTP1_FIELDS_MAX = 100,
    HTTP1_CHUNK_LINE_MAX = 256,
    HTTP1_TRAILERS_MAX = 4096
};
enum http1_result {
    HTTP1_MORE, /* all data was used; more is needed */
    HTTP1_HEAD, /* request line and headers are in; go on feeding for the body */
    HTTP1_BODY, /* *out_body is a piece of the body, lent by data */
    HTTP1_END,  /* the request is whole; http1_next before the next one */
    HTTP1_BAD   /* status and reason say why; nothing more can be read */
};
struct http1_text {
    const char *data;
    size_t size;
};
struct http1_field {
    uint16_t name, name_size, value, value_size; /* in head */
};
struct http1 {
    uint8_t state, minor; /* HTTP/1.minor */
    bool keep_alive, expect_continue, chunked, has_length, has_host;
    int status; /* after HTTP1_BAD: 400, 413, 414, 417, 431, 501, 505 */
    const char *reason;
    uint64_t left;           /* of the body or the chunk */
    uint64_t content_length; /* when has_length */
    struct buf head;         /* lines without their ends */
    struct buf line;         /* a chunk's or a trailer's line */
    size_t line_start, header_bytes, trailer_bytes;
    uint16_t method_size, target, target_size, path, path_size, query_size, n_fields;
    struct http1_field fields[HTTP1_FIELDS_MAX];
};

void http1_init(struct http1 *h);
void http1_done(struct http1 *h);
/* Ready for the next request of the connection; keeps the memory. */
void http1_next(struct http1 *h);
/* Reads up to the next result; *out_used says how much of data it took (0 is possible with
 * HTTP1_END). */
enum http1_result http1_feed(struct http1 *h, const void *data, size_t size, size_t *out_used,
                             struct http1_text *out_body);
/* Has nothing of a request come yet? */
bool http1_is_idle(const struct http1 *h);

/* After HTTP1_HEAD, until http1_next.  path is without scheme, authority and query; "*" for OPTIONS
 * *. */
struct http1_text http1_method(const struct http1 *h);
struct http1_text http1_target(const struct http1 *h);
struct http1_text http1_path(const struct http1 *h);
struct http1_text http1_query(const struct http1 *h);
/* The first field of this lower-case name; data is NULL when absent. */
struct http1_text http1_find(const struct http1 *h, const char *name);
/* All fields of a name joined by ", " in out; false when there is none. */
bool http1_join(const struct http1 *h, const char *name, struct buf *out);

#endif
