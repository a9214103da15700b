/* pass.h — what a server says in its metadata, on its way to the client: to REST what
 * --pass-metadata names and nothing else, to RPC protocols (which have a place for it) all that is
 * not gRPC's own. All [loop]. */
#ifndef NOVEL_GATEWAY_PASS_H
#define NOVEL_GATEWAY_PASS_H
#include "gateway/exchange.h"

/* [setup] Checks the names: 0, or -1 with the reason in error. */
int pass_check(const struct option_list *names, char error[static 512]);
/* Header lines: the names that are declared, as far as the server has said them by now. */
void pass_put_headers(const struct exchange *x, struct buf *out);
/* ", Name, Name" of the declared ones, for Access-Control-Expose-Headers. */
void pass_put_names(const struct exchange *x, struct buf *out);

/* The next need x->trailers; without it they append nothing. */
/* ,"trailers":{"name":["value"]} of the declared ones, for the event that ends a stream. */
void pass_put_trailers(const struct exchange *x, struct buf *out);
/* Lines of the declared ones, as many as fit, for the trailers of HTTP. */
void pass_put_trailer_lines(const struct exchange *x, struct buf *out);
/* Connect's ,"metadata":{...}; first: without the comma.  All keys. */
void pass_put_metadata(const struct exchange *x, bool first, struct buf *out);
/* gRPC-Web's "key:value" lines.  All keys. */
void pass_put_lines(const struct exchange *x, struct buf *out);

#endif
