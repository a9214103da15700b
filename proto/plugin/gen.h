/* gen.h — protoc-gen-nrpc: what its parts share.  One thread, one request, then exit: memory comes
 * from one arena and is never given back. */
#ifndef NRPC_PLUGIN_GEN_H
#define NRPC_PLUGIN_GEN_H
#include <stdbool.h>
#include <google/protobuf/compiler/plugin.pb-c.h>
#include "rpc/base/arena.h"
#include "rpc/base/buf.h"
#include "rpc/base/map.h"

typedef Google__Protobuf__FileDescriptorProto file_proto;
typedef Google__Protobuf__DescriptorProto message_proto;
typedef Google__Protobuf__FieldDescriptorProto field_proto;
typedef Google__Protobuf__ServiceDescriptorProto service_proto;
typedef Google__Protobuf__MethodDescriptorProto method_proto;

struct gen {
    struct arena arena;
    const Google__Protobuf__Compiler__CodeGeneratorRequest *request;
    const file_proto *file; /* the one being generated */
    const char *stem;       /* its name without ".proto" */
    struct buf header, source;
    struct map
        identifiers;   /* every global name of this file's output -> the element it stands for */
    const char *error; /* first error, for CodeGeneratorResponse.error; NULL: none */
};

/* Arena text that is never NULL: without memory the program says so and exits with 1. */
char *gen_text(struct gen *g, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Keeps the first error as "FILE: ELEMENT: reason"; returns false. */
bool gen_fail(struct gen *g, const char *element, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Reserves a global name of the output; false (with the error set) when another element holds it.
 */
bool gen_claim(struct gen *g, const char *identifier, const char *element);

/* ---- names: those of protoc-gen-c, from full proto names with or without a leading dot ---- */
char *name_type(struct gen *g, const char *full); /* Novelengine__V1__GetHealthRequest */
char *name_descriptor(struct gen *g,
                      const char *full); /* novelengine__v1__get_health_request__descriptor */
/* ---- names of our own ---- */
char *name_prefix(struct gen *g, const char *full); /* novelengine_v1_novel_engine */
char *name_lower(struct gen *g, const char *name);  /* GetHealth -> get_health */
char *name_upper(struct gen *g, const char *name);  /* get_health -> GET_HEALTH */
char *name_member(struct gen *g,
                  const char *name); /* as name_lower, with "_" behind a C or C++ keyword */
char *name_file(struct gen *g,
                const char *stem); /* novelengine/v1/novel_engine -> novelengine_v1_novel_engine */
const char *name_text(struct gen *g, const char *text); /* a C string literal with its quotes */
char *name_join(struct gen *g, const char *scope, const char *name); /* "scope.name", or "name" */

/* The message with this full name (leading dot), or NULL; out_file may be NULL. */
const message_proto *gen_find_message(const struct gen *g, const char *full,
                                      const file_proto **out_file);

/* Merged bytes of a length-delimited extension among the options' unknown fields; size 0 when
 * absent. */
ProtobufCBinaryData gen_option(struct gen *g, const ProtobufCMessage *options, uint32_t tag);

/* Whether well-formed bytes hold this field at their top level. */
bool wire_has_field(const uint8_t *data, size_t size, uint32_t tag);

/* Both parts append to header and source; false with g->error set. */
bool emit_services(struct gen *g);
bool emit_rules(struct gen *g);

/* False when data is not well-formed protobuf for this type, or nests messages deeper than 100: the
 * library's own unpack recurses without a limit. */
bool wire_is_sane(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t size,
                  unsigned depth);

#endif
