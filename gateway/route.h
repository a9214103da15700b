/* route.h — from an HTTP method and a path to the RPC that google.api.http binds there.  All rules
 * of all services are compiled into one trie at start; a clash is an error then.  Literals win over
 * *, * wins over
 * **.  Built once, then immutable: any thread may match.  Pure. */
#ifndef NOVEL_GATEWAY_ROUTE_H
#define NOVEL_GATEWAY_ROUTE_H
#include "gateway/descriptors.h"
#include "gateway/template.h"

enum { ROUTE_FIELD_DEPTH = 8, ROUTE_PATH_SEGMENTS_MAX = 64 };

struct route_variable {
    const struct desc_field *path[ROUTE_FIELD_DEPTH];
    size_t n_path;
    uint8_t first, count;
    bool several;    /* spans several segments: %2F stays as it is */
    bool open_ended; /* ends with ** */
};
struct route {
    const struct desc_method *method;
    const char *http_method; /* "GET"; "*" is any */
    const char *template_text;
    struct route_variable *variables;
    size_t n_variables;
    bool body_all;                 /* body: "*" */
    bool implicit;                 /* POST /package.Service/Method, which no rule declares */
    const struct desc_field *body; /* body: "field"; NULL: none or all */
    const struct desc_field *response_body;
};
struct router;

/* Compiles the rules of every method of the pool, and for each method POST /package.Service/Method
 * with the whole message as its body.  Two rules that claim the same requests are refused.  prefix
 * ("/api", "" for none) is where all routes are mounted a second time.  0, or negative with the
 * reason.  The pool must outlive the router. */
int router_new(const struct desc_pool *pool, const char *prefix, struct router **out_router,
               char error[static 256]);
void router_free(struct router *r); /* NULL is fine */
size_t router_count(const struct router *r);
const struct route *router_at(const struct router *r, size_t i);

enum route_result { ROUTE_FOUND, ROUTE_NOT_FOUND, ROUTE_WRONG_METHOD };
struct route_match {
    const struct route *route;
    const char *path; /* without the prefix, lent */
    uint16_t starts[ROUTE_PATH_SEGMENTS_MAX],
        ends[ROUTE_PATH_SEGMENTS_MAX]; /* of the segments in path */
    size_t n_segments;
    const struct route *allowed[16]; /* ROUTE_WRONG_METHOD: one per HTTP method */
    size_t n_allowed;
};
/* path is the target without its query.  HEAD finds GET's route.  Paths of more segments or over 64
 * KiB are not found. */
enum route_result route_match(const struct router *r, const char *http_method, const char *path,
                              size_t size, struct route_match *out);
/* The i-th variable's text, decoded, appended to out.  False: it does not decode, so it names
 * nothing. */
bool route_value(const struct route_match *m, size_t i, struct buf *out);

#endif
