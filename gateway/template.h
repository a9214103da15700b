/* template.h — the path templates of google.api.http, parsed (google/api/http.proto, "Path template
 * syntax"). Pure. */
#ifndef NOVEL_GATEWAY_TEMPLATE_H
#define NOVEL_GATEWAY_TEMPLATE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rpc/base/buf.h"

enum { TEMPLATE_SEGMENTS_MAX = 32, TEMPLATE_VARIABLES_MAX = 8 };
enum template_kind { TEMPLATE_LITERAL, TEMPLATE_ONE /* * */, TEMPLATE_REST /* ** */ };
struct template_slice {
    const char *text; /* lent by the template's text */
    size_t size;
};
struct template_segment {
    enum template_kind kind;
    struct template_slice literal;
};
struct template_variable {
    struct template_slice field; /* "character.character_id" */
    uint8_t first, count;        /* segments it spans; with a ** the last one is open-ended */
};
struct template
{
    struct template_segment segments[TEMPLATE_SEGMENTS_MAX];
    struct template_variable variables[TEMPLATE_VARIABLES_MAX];
    size_t n_segments, n_variables;
    struct template_slice verb; /* size 0: none */
};
/* 0, or -1 with the reason.  "/" alone is the template of no segments. */
int template_parse(const char *text, struct template *out, const char **out_error);

/* Appends the decoded bytes.  keep_slash leaves %2F as it is (variables of several segments). False
 * for a broken escape, a NUL, or text that is not UTF-8; nothing is appended then. */
bool path_decode(const char *text, size_t size, bool keep_slash, struct buf *out);
/* Query strings: '+' is a space too. */
bool query_decode(const char *text, size_t size, struct buf *out);

#endif
