/* openapi_inner.h — what the files of the OpenAPI writer share. */
#ifndef NOVEL_GATEWAY_OPENAPI_INNER_H
#define NOVEL_GATEWAY_OPENAPI_INNER_H
#include "gateway/openapi.h"

enum { OPENAPI_SCHEMAS_MAX = 2048 };
struct openapi_schema {
    const struct desc_message *message;
    bool legacy;
};
struct openapi {
    const struct openapi_source *source;
    struct buf *out;
    struct openapi_schema schemas[OPENAPI_SCHEMAS_MAX]; /* in order of their first use */
    size_t n_schemas, written;
};

/* openapi_schema.c */
/* What a route's dialect calls a field. */
const char *openapi_field_name(const struct desc_field *f, bool legacy);
/* The schema of a message in JSON, by reference where it has a name. */
void openapi_put_message(struct openapi *o, const struct desc_message *m, bool legacy);
/* The schema of a field's value, with its rules and comment; single: one item of a repeated one. */
void openapi_put_field(struct openapi *o, const struct desc_message *m, const struct desc_field *f,
                       bool legacy);
/* Members of "components": every schema that was referred to, and the errors. */
void openapi_put_schemas(struct openapi *o);
void openapi_put_text(struct openapi *o, const char *key, const char *text); /* "key":"text" */

#endif
