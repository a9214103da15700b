/* zip.h — a ZIP archive written front to back, without clocks: the same members give the same bytes.  Not for
 * archives beyond 4 GiB or 65,535 members. */
#ifndef SERVER_SERVICE_ZIP_H
#define SERVER_SERVICE_ZIP_H
#include <stdbool.h>
#include <stddef.h>
#include "rpc/base/buf.h"

struct zip {
    struct buf *out;     /* the caller's; begins with the archive (out->size 0 at zip_begin) */
    struct buf directory;
    unsigned members;
    bool failed;         /* without memory, or past what the format holds */
};
void zip_begin(struct zip *z, struct buf *out);
/* Appends a member; deflated unless stored is asked for or deflate does not make it smaller.  name: ASCII. */
void zip_add(struct zip *z, const char *name, const void *data, size_t size, bool stored);
/* Writes the directory and frees what z holds.  false (and out->failed) when anything failed. */
bool zip_end(struct zip *z);

#endif
