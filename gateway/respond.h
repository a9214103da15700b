/* respond.h — writes answers into the connection's output.  All [loop]. */
#ifndef NOVEL_GATEWAY_RESPOND_H
#define NOVEL_GATEWAY_RESPOND_H
#include "gateway/exchange.h"

struct response {
    int status;
    const char *content_type;  /* NULL: no body */
    const char *cache_control; /* NULL: no-store */
    const char *extra;         /* whole header lines; may be NULL */
    bool etag;                 /* hash the body; answer 304 when the client has it */
    const char *tag;           /* the ETag, when it is known already; NULL: none, or by hash */
    bool varies;               /* the coding depends on Accept-Encoding */
    bool page;                 /* a page of ours: its own scripts and styles run */
    bool html;                 /* a document: its inline styles may apply */
};
/* The status line and all headers but the body's length and the empty line. */
void respond_head(struct exchange *x, const struct response *r, struct buf *out);
/* The whole answer with this body. */
void respond_bytes(struct exchange *x, const struct response *r, const void *body, size_t size);
/* The same with a body that is in x->encoding already; r->tag without the coding. */
void respond_ready(struct exchange *x, const struct response *r, const void *body, size_t size);
/* The problem of x, in the route's dialect. */
void respond_problem(struct exchange *x);
/* The message of a unary call that ended well. */
void respond_message(struct exchange *x);
/* The problem's object alone, for streams. */
void respond_put_problem(struct exchange *x, struct buf *out);

/* What Access-Control-Allow-Origin says to the request's origin; NULL: it has none, or it is not
 * allowed. */
const char *respond_allowed_origin(const struct exchange *x);

#endif
