/* json_split.h — a body that is many JSON values, cut into single ones as it comes: values between
 * line ends or other white space (NDJSON, concatenated JSON), or the elements of one array.  Knows
 * just enough of JSON to find the ends; what stands in a value is for its reader to judge.  Pure;
 * fed in pieces of any size. */
#ifndef NOVEL_GATEWAY_JSON_SPLIT_H
#define NOVEL_GATEWAY_JSON_SPLIT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum json_split_result {
    JSON_SPLIT_MORE,  /* all data was used */
    JSON_SPLIT_PIECE, /* *out_piece is part of the value that is open */
    JSON_SPLIT_END,   /* the value is whole */
    JSON_SPLIT_BAD    /* `error` says why; nothing more can be read */
};
struct json_split {
    uint8_t state;
    bool is_array, any, in_string, escaped;
    uint32_t depth;
    const char *error;
};

void json_split_init(struct json_split *s);
/* Reads up to the next result; *out_used says how much of data it took. */
enum json_split_result json_split_feed(struct json_split *s, const char *data, size_t size,
                                       size_t *out_used, const char **out_piece,
                                       size_t *out_piece_size);
/* The body is over: END when a bare value (12, true) ended with it, MORE when nothing is open, or
 * BAD. */
enum json_split_result json_split_finish(struct json_split *s);

#endif
