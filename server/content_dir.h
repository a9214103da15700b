/* content_dir.h — a pack from a folder of .tale sources. */
#ifndef SERVER_CONTENT_DIR_H
#define SERVER_CONTENT_DIR_H
#include "server/engine/nvl.h"

/* Reads every *.tale below folder (depth 8, 1,000 files, 1 MiB each) and compiles them.  0, or -1 with
 * "file:line:column: what" in why. */
int content_compile(const char *folder, struct nvl_pack **out, char *why, size_t why_size);

#endif
