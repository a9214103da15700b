/* bind.h — path variables, query parameters and headers to fields of the request message, as wire
 * bytes. Parameters are gathered, checked against each other, then written grouped by sub-message.
 * Pure. */
#ifndef NOVEL_GATEWAY_BIND_H
#define NOVEL_GATEWAY_BIND_H
#include "gateway/descriptors.h"
#include "gateway/route.h"
#include "gateway/switches.h"
#include "rpc/base/arena.h"

enum { BIND_PARAMETERS_MAX = 128 };

struct bind_entry {
    const struct desc_field *path[ROUTE_FIELD_DEPTH];
    uint8_t n_path;
    bool from_path;   /* a variable of the path: wins over nothing, must agree with the body */
    const char *text; /* decoded; lives in the arena */
    size_t size;
    const char *map_key; /* of "name[key]"; NULL: none */
    size_t map_key_size;
};
struct bind_error {
    bool not_found;  /* a path variable that can name nothing */
    char field[200]; /* path in proto names, or the parameter as sent */
    char message[240];
};
struct binder {
    struct arena *arena; /* lent */
    const struct desc_message *input;
    const struct desc_pool *pool; /* of the types; may be NULL */
    bool system_only;             /* only parameters of the gateway's own may stand in the query */
    const char *fields;           /* the value of $fields; NULL: not given */
    size_t fields_size;
    enum switch_setting switches[SWITCHES];
    bool proto_names; /* what was meant is told in proto names, not JSON names */
    struct bind_entry *entries;
    size_t n_entries, capacity;
    struct bind_error error;
};

void bind_start(struct binder *b, const struct desc_message *input, struct arena *arena);
/* All variables of the match.  0, NRPC_E_PROTO with b->error, or NRPC_E_NOMEM, as everywhere here.
 */
int bind_path(struct binder *b, const struct route_match *m);
/* A query string (without '?').  Unknown parameters are refused with what was meant, or ignored.
 * Names that begin with $ are the gateway's own: $fields and those of enum answer_switch.  "pretty"
 * is $pretty too, where the request has no field of that name. */
int bind_query(struct binder *b, const char *query, size_t size, bool ignore_unknown);
/* One parameter that is decoded already, as a form has it; below: the field whose message the name
 * is of, or NULL.  Both texts are copied. */
struct bind_pair {
    const char *name;
    size_t name_size;
    const char *text;
    size_t size;
};
int bind_text(struct binder *b, const struct desc_field *below, const struct bind_pair *p,
              bool ignore_unknown);
/* Sets a top-level field; replaces what stands there. */
int bind_set(struct binder *b, const struct desc_field *f, const char *text, size_t size);
bool bind_has(const struct binder *b, const struct desc_field *f);

/* Writes the entries below the body's field (body != NULL: their first step is left out, they
 * belong into its region) or all others (NULL; body_field, if any, is what was written already). */
int bind_write_below(struct binder *b, const struct desc_field *body, struct buf *out);
int bind_write_rest(struct binder *b, const struct desc_field *body_field, struct buf *out);
/* The path's variables must not contradict the body: content is the whole message (body NULL) or
 * that of the body's field. */
int bind_check_body(struct binder *b, const struct desc_field *body, const uint8_t *content,
                    size_t size);

#endif
