/* form.h — a multipart/form-data body into the fields of the body's message: files and raw parts
 * into bytes and google.api.HttpBody fields as they come, JSON parts into any field, texts like
 * query parameters.  [loop] */
#ifndef NOVEL_GATEWAY_FORM_H
#define NOVEL_GATEWAY_FORM_H
#include "gateway/bind.h"
#include "gateway/multipart.h"
#include "gateway/to_wire.h"

enum { FORM_TEXT_MAX = 65536 /* bytes of a part that is text */ };

struct form_options {
    const struct desc_message *message; /* of the body */
    const struct desc_field *body; /* that the message is the value of; NULL: it is the request */
    struct binder *binder;         /* takes the texts */
    struct buf *out;               /* takes the message's content; lent until done */
    struct to_wire_options json;
};
struct form {
    struct multipart parser; /* .error when a form is malformed */
    struct form_options options;
    const struct desc_field *field; /* of the current part; NULL: it is ignored */
    uint8_t kind;
    size_t regions[2];
    struct buf name, text, seen;
    struct to_wire *json;
    char error[240], error_field[200]; /* of a part that cannot be taken; "" when it is the form */
};

/* Whether forms make sense for this message: it has a field that a file can fill. */
bool form_fits(const struct desc_message *m);
/* In the binder's arena.  0, NRPC_E_PROTO when the content type is not a form's, NRPC_E_NOMEM. */
int form_new(const char *content_type, size_t size, const struct form_options *o,
             struct form **out_form);
void form_done(struct form *f); /* the arena keeps the form itself; NULL is fine */
/* 0; NRPC_E_PROTO: error and error_field say what, or the binder does; NRPC_E_NOMEM. */
int form_feed(struct form *f, const void *data, size_t size);
int form_finish(struct form *f);

#endif
