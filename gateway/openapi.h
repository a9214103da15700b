/* openapi.h — an OpenAPI 3.1 document of all declared routes, from the descriptors alone:
 * parameters, bodies, streams, errors, constraints, comments.  The same set always gives the same
 * bytes.  [setup] */
#ifndef NOVEL_GATEWAY_OPENAPI_H
#define NOVEL_GATEWAY_OPENAPI_H
#include "gateway/notes.h"
#include "gateway/route.h"
#include "rpc/base/buf.h"

struct openapi_source {
    const struct router *router;
    const struct notes *notes;
    const char *prefix; /* where everything is mounted at once more; "" for nowhere */
};
/* out->failed without memory. */
void openapi_write(const struct openapi_source *source, struct buf *out);

#endif
