/* to_json.h — protobuf wire bytes to JSON text, straight through, in one of two dialects:
 *   standard  proto3's JSON mapping: JSON names, 64-bit numbers as strings, default values left out
 *   legacy    proto names, all numbers as numbers, default values written; an absent message is {}
 * for a Struct and left out otherwise; maps and lists are always there Pure; recursion is bounded
 * by WIRE_DEPTH_MAX.  The message comes from a server: one that is malformed is an error, not a
 * crash. */
#ifndef NOVEL_GATEWAY_TO_JSON_H
#define NOVEL_GATEWAY_TO_JSON_H
#include "gateway/descriptors.h"
#include "gateway/filter.h"
#include "rpc/base/buf.h"

enum json_dialect { JSON_STANDARD, JSON_LEGACY };
/* What a dialect comes to; a request may ask for more or less of it. */
struct json_style {
    bool proto_names;  /* "f_int32", not "fInt32" */
    bool long_numbers; /* of 64 bits as numbers, not strings */
    bool defaults;     /* what is not set is written with its default */
    bool enum_numbers; /* not their names */
    bool points;       /* 1.0, not 1 */
};

struct to_json {
    const struct desc_pool *pool; /* for Any */
    struct json_style style;
    const struct filter *filter; /* the fields that are wanted; NULL: all */
    struct buf scratch;          /* reused between messages */
    const char *error;           /* after a failure: what was wrong */
    bool no_form; /* after a failure: the message is whole, but JSON has no form for a value */
};
void to_json_init(struct to_json *t, const struct desc_pool *pool, enum json_dialect dialect);
void to_json_done(struct to_json *t);
struct json_style to_json_style(enum json_dialect dialect);
/* Appends the message's JSON to out.  0, or NRPC_E_PROTO (t->error) or NRPC_E_NOMEM with out as it
 * was. */
int to_json_message(struct to_json *t, const struct desc_message *m, const void *data, size_t size,
                    struct buf *out);
/* The same for one field of the message (response_body). */
int to_json_field(struct to_json *t, const struct desc_field *f, const void *data, size_t size,
                  struct buf *out);

/* The content of a google.protobuf.Any. */
int to_json_any(struct to_json *t, const void *data, size_t size, struct buf *out);

#endif
