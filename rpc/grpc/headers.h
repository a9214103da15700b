/* headers.h — the header fields of gRPC itself: what a server makes of a request head, and a client
 * of a response head and trailers.  Fields come one by one, in order; all others go to the
 * metadata.  Pure. */
#ifndef NRPC_GRPC_HEADERS_H
#define NRPC_GRPC_HEADERS_H
#include <stdbool.h>
#include "rpc/grpc/metadata.h"

enum head_outcome {
    HEAD_ACCEPT,
    HEAD_HTTP,  /* answer with http_status and no body: it is no gRPC request */
    HEAD_STATUS /* answer with a trailers-only response of `status` */
};

struct request_head {
    nrpc_metadata *md;         /* lent */
    const char *path;          /* NUL-ended, in md's arena; NULL until seen */
    const char *method;        /* name behind the last slash of path; set by request_head_end */
    const char *authority;     /* NULL when absent */
    uint64_t timeout_ns;       /* UINT64_MAX: none */
    nrpc_compression encoding; /* grpc-encoding */
    uint32_t accepts; /* grpc-accept-encoding: bit (1 << nrpc_compression), identity is always in */
    uint32_t seen;    /* bits of headers.c */
    bool is_head;     /* the method is HEAD: an answer has no body */
    bool te_trailers; /* proxies may strip it, so its absence is no error */
    int error;        /* sticky E_NOMEM, E_TOOBIG or E_PROTO of the metadata */
};
void request_head_init(struct request_head *h, nrpc_metadata *md);
/* One field, names in lower case (HTTP/2 requires it).  0, or E_NOMEM / E_TOOBIG / E_PROTO: the
 * caller may stop feeding; request_head_end then has the outcome. */
int request_head_field(struct request_head *h, nrpc_slice name, nrpc_slice value);
/* All fields are in.  HEAD_HTTP sets *out_http_status (404, 405, 415), HEAD_STATUS sets *st. */
enum head_outcome request_head_end(struct request_head *h, int *out_http_status, nrpc_status *st);

/* One header section of a response: initial metadata, trailers, or both at once (trailers-only). */
struct response_head {
    nrpc_metadata *md;         /* lent */
    int http_status;           /* 0: no :status seen, so these are trailers */
    bool grpc;                 /* content-type begins with application/grpc */
    nrpc_compression encoding; /* grpc-encoding */
    bool encoding_is_bad;      /* it names one that we did not offer */
    nrpc_slice code, message,
        details; /* grpc-status and its companions, in md's arena; data NULL when absent */
    int error;   /* sticky */
};
void response_head_init(struct response_head *h, nrpc_metadata *md);
int response_head_field(struct response_head *h, nrpc_slice name, nrpc_slice value);
/* Does the section end the call?  True with *st: it carries grpc-status, or it is no proper gRPC
 * response (HTTP error, other content type, encoding we did not offer, limits).  end_stream: the
 * section is the last. */
bool response_head_outcome(const struct response_head *h, bool end_stream, nrpc_status *st);
/* What grpc-status in the section says, whether it ends the call or not.  False without one. */
bool response_head_status(const struct response_head *h, nrpc_status *st);

#endif
