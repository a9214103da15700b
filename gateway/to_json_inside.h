/* to_json_inside.h — what the files of to_json share; not for others. */
#ifndef NOVEL_GATEWAY_TO_JSON_INSIDE_H
#define NOVEL_GATEWAY_TO_JSON_INSIDE_H
#include "gateway/to_json.h"
#include "gateway/wire.h"

/* Where a field stands in its message: from the first to past the last occurrence. */
struct place {
    uint32_t first, end, count;
    uint32_t last; /* start of the last occurrence */
};
struct writer {
    struct to_json *t;
    struct buf *out;
    const struct filter *filter; /* of the message being written; NULL: all of it */
    unsigned depth;
};

/* What has another wire type than its field is an unknown field, as to every other reader. */
static inline bool to_json_fits(const struct desc_field *f, const struct wire_field *v)
{
    return v->type == (enum wire_type) desc_field_wire_type(f);
}

/* Each returns 0 or more, or NRPC_E_PROTO with t->error set, or NRPC_E_NOMEM. */
int to_json_fail(struct writer *w, const char *error);      /* the message is malformed */
int to_json_fail_form(struct writer *w, const char *error); /* a value that JSON has no form for */
int to_json_enter(struct writer *w);                        /* one level deeper, or too deep */

/* How often a field of this wire type came, its last value in *out; negative: malformed.  For
 * messages whose fields are few. */
int to_json_last(struct writer *w, const uint8_t *data, size_t size, uint32_t number,
                 enum wire_type type, struct wire_field *out);
struct wire_field to_json_default(const struct desc_field *f);
void to_json_number(struct writer *w, const struct desc_field *f, uint64_t v);
/* A value that fits its field. */
int to_json_value(struct writer *w, const struct desc_field *f, const struct wire_field *v);
int to_json_content(struct writer *w, const struct desc_message *m, const uint8_t *data,
                    size_t size);
/* The members of an object, without braces. */
int to_json_members(struct writer *w, const struct desc_message *m, const uint8_t *data,
                    size_t size, bool first);
/* A message that came in several pieces is the merge of all: their bytes in a row. */
int to_json_merged(struct writer *w, const struct desc_field *f, const uint8_t *data,
                   const struct place *p);

/* to_json_map.c: a map, with the last value of a key that came several times. */
int to_json_map(struct writer *w, const struct desc_field *f, const uint8_t *data,
                const struct place *p);
/* to_json_wkt.c: a message whose JSON is not an object of its fields. */
int to_json_wkt(struct writer *w, const struct desc_message *m, const uint8_t *data, size_t size);
int to_json_put_any(struct writer *w, const uint8_t *data, size_t size);

#endif
