/* descriptors.h — what the gateway knows about services: messages, fields, enums and methods of a
 * FileDescriptorSet, laid out for fast look-ups.  Built once, then immutable: any thread may read.
 * The set is trusted (an operator's file), but is checked all the same: a broken one is an error.
 */
#ifndef NOVEL_GATEWAY_DESCRIPTORS_H
#define NOVEL_GATEWAY_DESCRIPTORS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "google/api/http.pb-c.h"
#include "nrpc/gateway.pb-c.h"
#include "nrpc/validate.pb-c.h"
#include "rpc/base/arena.h"
#include "rpc/base/map.h"

/* FieldDescriptorProto.Type's numbers. */
enum desc_type {
    DESC_DOUBLE = 1,
    DESC_FLOAT,
    DESC_INT64,
    DESC_UINT64,
    DESC_INT32,
    DESC_FIXED64,
    DESC_FIXED32,
    DESC_BOOL,
    DESC_STRING,
    DESC_GROUP,
    DESC_MESSAGE,
    DESC_BYTES,
    DESC_UINT32,
    DESC_ENUM,
    DESC_SFIXED32,
    DESC_SFIXED64,
    DESC_SINT32,
    DESC_SINT64
};
/* Messages whose JSON is not an object of their fields. */
enum desc_wkt {
    DESC_PLAIN,
    DESC_ANY,
    DESC_TIMESTAMP,
    DESC_DURATION,
    DESC_FIELD_MASK,
    DESC_STRUCT,
    DESC_VALUE,
    DESC_LIST_VALUE,
    DESC_WRAPPER
};

struct desc_enum_value {
    const char *name;
    int32_t number;
};
struct desc_enum {
    const char *full_name;
    const struct desc_enum_value *values; /* in order of declaration */
    size_t n_values;
    const char *prefix; /* what all names begin with: "STATE_"; "" when none */
    bool is_null_value; /* google.protobuf.NullValue */
};
struct desc_message;
struct desc_field {
    const char *name, *json_name;
    uint32_t number;
    enum desc_type type;
    bool repeated, packed, map, presence; /* presence: absent differs from the default value */
    bool group;                           /* a DESC_MESSAGE between group tags (proto2) */
    int oneof;                            /* index into the message's oneofs; -1: none */
    size_t index;                         /* in the message's fields */
    const struct desc_message *message;   /* DESC_MESSAGE */
    const struct desc_enum *enumeration;  /* DESC_ENUM */
    const Nrpc__FieldRules *rules;        /* (nrpc.rules); NULL: none */
};
struct desc_message {
    const char *full_name;
    enum desc_wkt wkt;
    bool map_entry, is_empty; /* is_empty: google.protobuf.Empty, which Any may hold as "value" */
    /* In order of declaration; extensions, whose name is "[full.name]", behind. */
    const struct desc_field *fields;
    size_t n_fields;
    const char *const *oneofs;
    size_t n_oneofs;
    const uint16_t *by_number; /* index + 1; numbers up to by_number_max */
    uint32_t by_number_max;
    const uint16_t *by_name; /* index + 1; open addressing over both names */
    uint32_t by_name_mask;
};
struct desc_method {
    const char *name, *service,
        *path; /* "GetHealth", "novelengine.v1.NovelEngine", "/…/GetHealth" */
    const struct desc_message *input, *output;
    bool client_streaming, server_streaming;
    const Google__Api__HttpRule *http; /* NULL: none */
    const Nrpc__RouteOptions *route;   /* never NULL; the service's defaults are merged in */
};

struct desc_pool {
    struct arena arena;
    struct map messages, enums; /* by full name without a leading dot */
    const struct desc_method *methods;
    size_t n_methods;
};

/* Reads a serialised FileDescriptorSet.  0, or negative with the reason in error (NUL-ended).
 * *out_pool is the caller's, to be freed with desc_pool_free. */
int desc_pool_new(const void *set, size_t size, struct desc_pool **out_pool,
                  char error[static 256]);
void desc_pool_free(struct desc_pool *p); /* NULL is fine */

const struct desc_message *desc_find_message(const struct desc_pool *p, const char *full_name,
                                             size_t size);
const struct desc_method *desc_find_method(const struct desc_pool *p, const char *path);
const struct desc_field *desc_field_by_number(const struct desc_message *m, uint32_t number);
/* What the table by_name is addressed by. */
uint32_t desc_name_hash(const char *name, size_t size);
/* By JSON name or proto name. */
const struct desc_field *desc_field_by_name(const struct desc_message *m, const char *name,
                                            size_t size);
const struct desc_enum_value *desc_enum_by_number(const struct desc_enum *e, int32_t number);
const struct desc_enum_value *desc_enum_by_name(const struct desc_enum *e, const char *name,
                                                size_t size);
/* The wire type that a value of this type has. */
int desc_wire_type(enum desc_type type);
/* The same of a field: groups differ from other messages. */
int desc_field_wire_type(const struct desc_field *f);
/* Numbers, bools and enums: what may be packed. */
bool desc_is_packable(enum desc_type type);

#endif
