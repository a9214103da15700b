/* etag.h — entity tags (RFC 9110 sections 8.8.3 and 13.1).  A tag of ours may carry the coding of
 * its representation behind a dash ("5f1c-gz"), so that no two representations share a strong tag;
 * comparing, it is left out.  Pure. */
#ifndef NOVEL_GATEWAY_ETAG_H
#define NOVEL_GATEWAY_ETAG_H
#include <stdbool.h>
#include <stddef.h>

/* May text stand between the quotes of a tag? */
bool etag_is_valid(const char *text, size_t size);
/* Does a list (If-None-Match, If-Match) name this tag, or hold "*"?  weak: W/"x" is the same as
 * "x". */
bool etag_list_has(const char *list, size_t list_size, const char *tag, size_t size, bool weak);
/* The one tag of a list, without quotes and coding; false when it is "*", several, weak or
 * malformed. */
bool etag_list_single(const char *list, size_t list_size, const char **out_tag, size_t *out_size);

#endif
