/* fill.h — protobuf messages from YAML or JSON (which YAML contains), by the contract's field
 * names. */
#ifndef NOVELCTL_FILL_H
#define NOVELCTL_FILL_H
#include <stdbool.h>
#include <protobuf-c/protobuf-c.h>
#include "rpc/base/arena.h"

/* Sets the fields of m (an initialised message whose memory the caller keeps) that the text names;
 * all memory comes from the arena, so m is never unpacked-freed.  Top-level names are collected in
 * *paths (n_paths) when it is given, for a field mask.  What only the server sets (timestamps) is
 * skipped.  false: problem says what and in which line. */
struct fill {
    struct arena *arena;
    char **paths; /* grows in the arena */
    size_t n_paths;
    char problem[300];
};
bool fill_text(struct fill *f, ProtobufCMessage *m, const char *text, size_t size);
/* "persona.age=35": the value is read as a scalar or a flow list or mapping. */
bool fill_set(struct fill *f, ProtobufCMessage *m, const char *assignment);

#endif
