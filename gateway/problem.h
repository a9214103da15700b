/* problem.h — what went wrong, as HTTP tells it.  One shape for the gateway's own errors and the
 * server's: problem+json (RFC 9457) with the old API's keys beside its members, or
 * google.rpc.Status for routes of the standard dialect.  Pure. */
#ifndef NOVEL_GATEWAY_PROBLEM_H
#define NOVEL_GATEWAY_PROBLEM_H
#include "gateway/to_json.h"
#include "rpc/base/arena.h"
#include "rpc/nrpc.h"

struct problem_field {
    const char *field, *message;
    size_t field_size, message_size;
    struct problem_field *next;
};
struct problem {
    int status; /* HTTP */
    nrpc_code code;
    const char *reason;           /* "NOT_FOUND"; UPPER_SNAKE */
    const char *detail;           /* what a person reads */
    struct problem_field *fields; /* fields at fault; NULL: none */
    uint32_t retry_after_s;       /* 0: no Retry-After */
    const char *headers;          /* further header lines (Allow); NULL: none */
    nrpc_slice details;           /* packed google.rpc.Status of the server; may be empty */
    bool own;                     /* the gateway's, not the server's */
    /* For paths in both spellings; NULL: they stay as they are.  Set before it is written. */
    const struct desc_message *input;
};
struct problem_context {
    int invalid_argument_code; /* of the route; 0 is 400 */
    bool if_match;             /* the request carried If-Match */
};

/* The phrase of an HTTP status: "Not Found". */
const char *problem_phrase(int http_status);
/* The HTTP status of a gRPC code (details may change it, see problem_from_status). */
int problem_http_status(nrpc_code code, const struct problem_context *c);
/* Texts are borrowed from st or copied into the arena. */
void problem_from_status(struct problem *p, const nrpc_status *st, const struct problem_context *c,
                         struct arena *arena);
/* Appends one field; texts are copied into the arena.  Without memory the field is left out. */
void problem_add_field(struct problem *p, struct arena *arena, const char *field,
                       const char *message);

/* A field's path ("r_message[0].text", in proto or JSON names) in the names of one side; what the
 * message does not know is copied. */
void problem_put_path(struct buf *out, const struct desc_message *m, nrpc_slice path, bool json);
/* The JSON object of the problem.  instance and request_id may be NULL. */
void problem_put(struct buf *out, const struct problem *p, const char *instance,
                 const char *request_id);
/* The same as google.rpc.Status in the standard mapping.  What the gateway says itself has an
 * ErrorInfo of the domain "novel-gateway", and a BadRequest when fields are at fault.  request_id,
 * if not NULL, is a RequestInfo where the message asks to quote it. */
void problem_put_status(struct buf *out, const struct problem *p, const char *request_id,
                        struct to_json *json);

#endif
