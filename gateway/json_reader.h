/* json_reader.h — strict RFC 8259 reader, fed in pieces of any size, that calls a function per
 * token and builds nothing.  Numbers stay text.  Refused: duplicate keys, invalid UTF-8, lone
 * surrogates, control characters, a byte order mark, anything after the value, more than
 * JSON_DEPTH_MAX levels. Pure; one thread at a time.  The outcome does not depend on how the input
 * was cut. */
#ifndef NOVEL_GATEWAY_JSON_READER_H
#define NOVEL_GATEWAY_JSON_READER_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rpc/base/buf.h"

enum { JSON_DEPTH_MAX = 100, JSON_NUMBER_MAX = 1024 /* characters */ };

enum json_token {
    JSON_NULL,
    JSON_FALSE,
    JSON_TRUE,
    JSON_NUMBER,
    JSON_STRING,
    JSON_KEY,
    JSON_BEGIN_OBJECT,
    JSON_END_OBJECT,
    JSON_BEGIN_ARRAY,
    JSON_END_ARRAY
};
/* text is the decoded string or key, or the number as written; lent until return; not NUL-ended.
 * 0 goes on; negative stops, after json_reader_fail said why. */
typedef int json_token_fn(void *ctx, enum json_token token, const char *text, size_t size);

struct json_error {
    char message[200];
    char path[200];        /* "character_names[2]"; "" is the whole document */
    uint64_t offset;       /* of the byte or token at fault */
    uint64_t line, column; /* from 1; columns count bytes */
};

struct json_key_set;
struct json_level {
    bool array;
    uint32_t index;           /* of the array's current element */
    uint32_t path_size;       /* of the path to this value */
    uint32_t first_key;       /* of this object in keys */
    struct json_key_set *set; /* built when an object has many keys */
};
struct json_reader {
    json_token_fn *fn;
    void *ctx;
    uint8_t state, depth, literal, literal_at, surrogate_digits, utf8_left, utf8_low, utf8_high;
    bool text_is_key, text_copied;
    uint32_t escape, high_surrogate;
    struct json_level levels[JSON_DEPTH_MAX + 1];
    struct buf text; /* of a token that spans pieces or holds escapes */
    struct buf path;
    struct buf keys;                   /* 64-bit keyed hashes of the open objects' keys */
    uint64_t offset, line, line_start; /* of the byte being read */
    uint64_t token_offset, token_line, token_column;
    int failed; /* negative once it failed */
    struct json_error error;
};

void json_reader_init(struct json_reader *r, json_token_fn *fn, void *ctx);
void json_reader_done(struct json_reader *r);
/* Reads all of data.  0, NRPC_E_PROTO (r->error says what and where), NRPC_E_NOMEM, or what fn
 * returned. */
int json_reader_feed(struct json_reader *r, const void *data, size_t size);
/* The input has ended: 0, or an error when the value is not whole. */
int json_reader_finish(struct json_reader *r);
/* For fn: records an error at the current token and returns NRPC_E_PROTO. */
int json_reader_fail(struct json_reader *r, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
