/* notes.h — what a FileDescriptorSet says beside its structure: comments (when it was made with
 * --include_source_info) and the field rules of nrpc/validate.proto.  For documents.  [setup] */
#ifndef NOVEL_GATEWAY_NOTES_H
#define NOVEL_GATEWAY_NOTES_H
#include "nrpc/validate.pb-c.h"
#include "rpc/base/arena.h"
#include "rpc/base/map.h"

struct notes {
    struct arena arena;
    struct map comments; /* "pkg.Service.Method", "pkg.Message.field" -> text */
    struct map rules;    /* "pkg.Message.field" -> Nrpc__FieldRules */
};
/* 0, or negative without memory or for a set that cannot be read. */
int notes_read(struct notes *n, const void *set, size_t size);
void notes_done(struct notes *n);
const char *notes_comment(const struct notes *n, const char *full_name,
                          const char *member); /* NULL: none */
const Nrpc__FieldRules *notes_rules(const struct notes *n, const char *message, const char *field);

#endif
