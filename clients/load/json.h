/* json.h — reading JSON as a tree and writing it, for novel-load's results, rules of answers and
 * comparisons.  Strict RFC 8259 (UTF-8, no duplicate of its own checked: the first member of a name
 * counts); bounded depth and size. */
#ifndef NOVEL_LOAD_JSON_H
#define NOVEL_LOAD_JSON_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "rpc/base/buf.h"

enum { JSON_TREE_DEPTH = 64, JSON_NODES_MAX = 4000000 };
enum json_kind {
    JSON_KIND_NULL,
    JSON_KIND_BOOL,
    JSON_KIND_NUMBER,
    JSON_KIND_STRING,
    JSON_KIND_ARRAY,
    JSON_KIND_OBJECT
};
struct json_node {
    enum json_kind kind;
    bool truth;
    double number;
    const char *text; /* of a string: NUL-ended; NULs inside are refused */
    size_t size;      /* of the text, or how many items or members */
    const char *key;  /* within an object */
    uint32_t next;    /* sibling; 0: none */
    uint32_t first;   /* child; 0: none */
};
/* A parsed document; reused by parsing again.  Zero-initialise; json_done frees. */
struct json {
    struct json_node *nodes; /* nodes[0] is no node; nodes[1] is the root */
    uint32_t count, capacity;
    struct buf texts;
    char problem[120]; /* why the last parse failed, with the offset */
};
/* false: problem says why. */
bool json_parse(struct json *j, const char *text, size_t size);
void json_done(struct json *j);
const struct json_node *json_root(const struct json *j);
/* A member of an object, NULL when there is none (or node is NULL or no object). */
const struct json_node *json_get(const struct json *j, const struct json_node *node,
                                 const char *key);
/* For walking: the first child, and the one behind; NULL at the end. */
const struct json_node *json_first(const struct json *j, const struct json_node *node);
const struct json_node *json_next(const struct json *j, const struct json_node *node);
/* The member's value, or the fallback when it is absent or of another kind. */
double json_number(const struct json *j, const struct json_node *node, const char *key,
                   double fallback);
const char *json_text(const struct json *j, const struct json_node *node, const char *key,
                      const char *fallback);
bool json_is_text(const struct json_node *node, const char *text);

/* ---- writing: pretty, two spaces a level; numbers that are not finite become null ---- */
struct json_out {
    struct buf *out;
    unsigned depth;
    bool fresh; /* nothing stands in the innermost object or array yet */
};
void json_open(struct json_out *w, const char *key,
               char bracket);                      /* '{' or '['; key NULL: within an array */
void json_close(struct json_out *w, char bracket); /* '}' or ']' */
void json_put_number(struct json_out *w, const char *key, double value, unsigned decimals);
void json_put_count(struct json_out *w, const char *key, uint64_t value);
void json_put_bool(struct json_out *w, const char *key, bool value);
void json_put_text(struct json_out *w, const char *key, const char *value); /* NULL becomes null */

#endif
