/* descriptors.h — an index of file descriptors: which file defines a name, which extends a type,
 * and what a file needs.  Made once before the server starts, then only read: any thread.  Knows
 * nothing of RPCs. */
#ifndef NRPC_SERVER_DESCRIPTORS_H
#define NRPC_SERVER_DESCRIPTORS_H
#include "rpc/base/arena.h"
#include "rpc/base/map.h"
#include "rpc/nrpc.h"

struct descriptor_file {
    const char *name;
    nrpc_slice bytes; /* its FileDescriptorProto as it was given, options of others included */
    struct descriptor_file **needs; /* direct imports that the index has */
    size_t n_needs;
    size_t position; /* in the index, from 0 */
};
struct descriptor_numbers { /* of one extended type */
    int32_t *numbers;       /* ascending */
    size_t count;
};
struct descriptors {
    struct arena arena;
    struct map files;      /* name -> struct descriptor_file */
    struct map symbols;    /* "package.Message.field" ... -> struct descriptor_file */
    struct map messages;   /* full names of messages -> struct descriptor_file */
    struct map extensions; /* "type number" -> struct descriptor_file */
    struct map extended;   /* type -> struct descriptor_numbers */
};

void descriptors_init(struct descriptors *d);
/* Adds the files of a packed FileDescriptorSet; a file whose name is there already is left out.
 * Lends `set` for the life of d.  0; E_INVAL when it is no such set; E_NOMEM: d is for done only.
 */
int descriptors_add(struct descriptors *d, nrpc_slice set);
/* Once, after the last add: imports are looked up.  0 or E_NOMEM. */
int descriptors_link(struct descriptors *d);
void descriptors_done(struct descriptors *d);

/* All NULL when there is none. */
const struct descriptor_file *descriptors_file(const struct descriptors *d, const char *name);
const struct descriptor_file *descriptors_symbol(const struct descriptors *d, const char *name);
const struct descriptor_file *descriptors_extension(const struct descriptors *d, const char *type,
                                                    int32_t number);
/* False for a type that is no message here; else its extensions, maybe none. */
bool descriptors_extended(const struct descriptors *d, const char *type,
                          struct descriptor_numbers *out_numbers);
/* `file` and all that it needs, directly or not: itself first, then breadth-first, each once.
 * *out_files is an array for alloc_free.  0 or E_NOMEM. */
int descriptors_closure(const struct descriptors *d, const struct descriptor_file *file,
                        const struct descriptor_file ***out_files, size_t *out_count);

#endif
