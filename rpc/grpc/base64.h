/* base64.h — values of "-bin" headers (RFC 4648, section 4).  Written without padding, read with or
 * without. Pure. */
#ifndef NRPC_GRPC_BASE64_H
#define NRPC_GRPC_BASE64_H
#include <stdbool.h>
#include "rpc/base/buf.h"
#include "rpc/nrpc.h"

void base64_encode(struct buf *out, nrpc_slice data); /* out->failed without memory */
/* Appends the bytes: 0, or E_PROTO / E_NOMEM with the size of *out as before. */
int base64_decode(struct buf *out, nrpc_slice text);
/* Splits a header value at commas: takes the next item (without blanks around it) off *list.  False
 * at the end. Start with *list = the value; an empty value is one empty item. */
bool base64_next_item(nrpc_slice *list, nrpc_slice *out_item);

#endif
