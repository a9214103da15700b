/* collection.h — the routes as a Postman collection (v2.1), which Bruno imports as well: one
 * request each, with an example of its body.  The same routes always give the same bytes.  [setup]
 */
#ifndef NOVEL_GATEWAY_COLLECTION_H
#define NOVEL_GATEWAY_COLLECTION_H
#include "gateway/notes.h"
#include "gateway/route.h"
#include "rpc/base/buf.h"

/* out->failed without memory. */
void collection_write(const struct router *router, const struct notes *notes, struct buf *out);

#endif
