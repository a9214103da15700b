/* multipart.h — multipart/form-data (RFC 7578), fed in pieces of any size; what a part holds is
 * handed on as it comes.  Pure; one thread at a time; the outcome does not depend on how the input
 * was cut. */
#ifndef NOVEL_GATEWAY_MULTIPART_H
#define NOVEL_GATEWAY_MULTIPART_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rpc/base/buf.h"

enum {
    MULTIPART_BOUNDARY_MAX = 70, /* RFC 2046 section 5.1.1 */
    MULTIPART_PARTS_MAX = 128,
    MULTIPART_HEAD_MAX = 4096 /* bytes of a part's header */
};

struct multipart_part {
    const char *name,
        *content_type; /* NUL-ended; lent until the event returns; type "" when absent */
    size_t name_size;
    bool file; /* a filename stands beside the name */
};
/* Each returns 0, or negative to stop; it may have set multipart.error. */
struct multipart_events {
    int (*on_part)(void *ctx, const struct multipart_part *p);
    int (*on_data)(void *ctx, const void *data, size_t size);
    int (*on_part_end)(void *ctx);
};

struct multipart {
    const struct multipart_events *events;
    void *ctx;
    char delimiter[MULTIPART_BOUNDARY_MAX + 5]; /* CR LF - - boundary */
    size_t delimiter_size, matched;
    uint8_t state;
    unsigned parts;
    struct buf head;
    const char *error; /* static text */
    int failed;
};

/* The parameters of a Content-Type "multipart/form-data; boundary=...".  False when it is another
 * type or the boundary is missing or none. */
bool multipart_init(struct multipart *m, const char *content_type, size_t size,
                    const struct multipart_events *events, void *ctx);
void multipart_done(struct multipart *m);
/* 0; NRPC_E_PROTO (m->error); NRPC_E_NOMEM; or what an event returned. */
int multipart_feed(struct multipart *m, const void *data, size_t size);
int multipart_finish(struct multipart *m);

#endif
