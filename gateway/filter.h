/* filter.h — which fields of an answer a client wants ("$fields=name,stats.level", AIP-157): paths
 * in proto or JSON names, as a tree beside the descriptors.  Pure. */
#ifndef NOVEL_GATEWAY_FILTER_H
#define NOVEL_GATEWAY_FILTER_H
#include "gateway/descriptors.h"

enum { FILTER_PATHS_MAX = 64, FILTER_DEPTH_MAX = 16 };

struct filter {
    const struct desc_field *field;
    struct filter *children; /* that are wanted of its message; NULL: all */
    struct filter *next;     /* sibling */
};
/* Reads the list into the arena.  *out_filter is the first node for m's fields; NULL means all of
 * it
 * ("*").  0; NRPC_E_PROTO with the reason; NRPC_E_NOMEM. */
int filter_parse(const char *text, size_t size, const struct desc_message *m, struct arena *arena,
                 struct filter **out_filter, char error[static 200]);
/* The node of a field; NULL: it is not wanted. */
const struct filter *filter_find(const struct filter *first, const struct desc_field *field);

#endif
