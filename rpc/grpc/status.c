#include "rpc/grpc/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <google/rpc/status.pb-c.h>

#include "rpc/base/alloc.h"
#include "rpc/base/utf8.h"
#include "rpc/grpc/base64.h"
#include "rpc/grpc/percent.h"

const char *nrpc_strerror(int err)
{
    if (err >= 0)
        return "success";
    switch ((nrpc_err) err) {
    case NRPC_E_NOMEM:
        return "out of memory";
    case NRPC_E_INVAL:
        return "invalid argument";
    case NRPC_E_STATE:
        return "not possible in this state";
    case NRPC_E_CLOSED:
        return "closed";
    case NRPC_E_FULL:
        return "queue is full";
    case NRPC_E_TOOBIG:
        return "over the size limit";
    case NRPC_E_PROTO:
        return "protocol error";
    case NRPC_E_SYS:
        return "system error";
    }
    return "unknown error";
}

static const char *const code_names[] = {
    "OK",        "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
    "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
    "ABORTED",   "OUT_OF_RANGE",   "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
    "DATA_LOSS", "UNAUTHENTICATED"
};
enum { CODES = sizeof code_names / sizeof code_names[0] };

const char *nrpc_code_name(nrpc_code code)
{
    return (unsigned) code < CODES ? code_names[code] : "UNKNOWN";
}

void nrpc_status_clear(nrpc_status *st)
{
    alloc_free(st->message);
    alloc_free(st->details);
    *st = (nrpc_status) NRPC_STATUS_INIT;
}

/* At most STATUS_MESSAGE_MAX bytes, cut between characters. */
static size_t clip(const char *text, size_t size)
{
    if (size <= STATUS_MESSAGE_MAX)
        return size;
    size = STATUS_MESSAGE_MAX;
    while (size > 0 && ((uint8_t) text[size] & 0xc0) == 0x80)
        size--;
    return size;
}

void nrpc_status_set(nrpc_status *st, nrpc_code code, const char *format, ...)
{
    /* Formatted before the old message goes: it may be one of the arguments. */
    struct buf text = { 0 };
    va_list args;
    va_start(args, format);
    if (format != NULL)
        buf_vprintf(&text, format, args);
    va_end(args);
    char *message =
        format == NULL || text.failed
            ? NULL
            : alloc_strndup((const char *) text.data, clip((const char *) text.data, text.size));
    buf_done(&text);
    nrpc_status_clear(st);
    st->code = code;
    st->message = message;
}

/* Concatenated messages merge, so a further detail is one more field at the end. */
int nrpc_status_add_detail(nrpc_status *st, const ProtobufCMessage *detail)
{
    static const char prefix[] = "type.googleapis.com/";
    size_t detail_size = protobuf_c_message_get_packed_size(detail);
    size_t name_size = strlen(detail->descriptor->name);
    if (detail_size > STATUS_DETAILS_MAX)
        return NRPC_E_TOOBIG;
    /* The type's name and the packed detail behind each other. */
    char *url = alloc_get(sizeof prefix + name_size + detail_size);
    if (url == NULL)
        return NRPC_E_NOMEM;
    memcpy(url, prefix, sizeof prefix - 1);
    memcpy(url + sizeof prefix - 1, detail->descriptor->name, name_size + 1);
    uint8_t *value = (uint8_t *) url + sizeof prefix + name_size;
    protobuf_c_message_pack(detail, value);
    Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT, *list[1] = { &any };
    any.type_url = url;
    any.value = (ProtobufCBinaryData){ detail_size, value };
    Google__Rpc__Status status = GOOGLE__RPC__STATUS__INIT;
    status.n_details = 1;
    status.details = list;
    if (st->details_size == 0) {
        status.code = (int32_t) st->code;
        status.message = st->message == NULL ? (char *) "" : st->message;
    }
    size_t more = google__rpc__status__get_packed_size(&status);
    int r = st->details_size + more > STATUS_DETAILS_MAX ? NRPC_E_TOOBIG : 0;
    uint8_t *details = r < 0 ? NULL : alloc_resize(st->details, st->details_size + more);
    if (r == 0 && details == NULL)
        r = NRPC_E_NOMEM;
    if (r == 0) {
        google__rpc__status__pack(&status, details + st->details_size);
        st->details = details;
        st->details_size += more;
    }
    alloc_free(url);
    return r;
}

int nrpc_status_copy(nrpc_status *to, const nrpc_status *from)
{
    if (to == from)
        return 0;
    char *message = from->message == NULL ? NULL : alloc_strdup(from->message);
    uint8_t *details = from->details_size == 0 ? NULL : alloc_get(from->details_size);
    if ((from->message != NULL && message == NULL) || (from->details_size > 0 && details == NULL)) {
        alloc_free(message);
        alloc_free(details);
        return NRPC_E_NOMEM;
    }
    if (details != NULL)
        memcpy(details, from->details, from->details_size);
    nrpc_status_clear(to);
    *to = (nrpc_status){ from->code, message, details, from->details_size };
    return 0;
}

void status_wire(const nrpc_status *st, struct buf *message, struct buf *details)
{
    buf_reset(message);
    buf_reset(details);
    if (st->message != NULL)
        percent_encode(message, (nrpc_slice){ (const uint8_t *) st->message, strlen(st->message) });
    if (st->details_size > 0)
        base64_encode(details, (nrpc_slice){ st->details, st->details_size });
}

static nrpc_code parse_code(nrpc_slice text)
{
    unsigned code = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return NRPC_UNKNOWN;
        code = code * 10 + (unsigned) (text.data[i] - '0');
        if (code >= CODES)
            return NRPC_UNKNOWN;
    }
    return text.size == 0 ? NRPC_UNKNOWN : (nrpc_code) code;
}

void status_from_wire(nrpc_status *st, nrpc_slice code, nrpc_slice message, nrpc_slice details)
{
    struct buf text = { 0 }, raw = { 0 };
    if (message.size > 0)
        percent_decode(&text, message);
    if (text.failed)
        buf_reset(&text);
    nrpc_status_set(st, parse_code(code), "%.*s", (int) clip((const char *) text.data, text.size),
                    text.size == 0 ? "" : (const char *) text.data);
    buf_done(&text);
    if (details.size == 0 || base64_decode(&raw, details) < 0 || raw.size == 0) {
        buf_done(&raw);
        return;
    }
    st->details = raw.data;
    st->details_size = raw.size;
}

nrpc_code status_code_of_http(int http_status)
{
    switch (http_status) {
    case 400:
        return NRPC_INTERNAL;
    case 401:
        return NRPC_UNAUTHENTICATED;
    case 403:
        return NRPC_PERMISSION_DENIED;
    case 404:
        return NRPC_UNIMPLEMENTED;
    case 429:
    case 502:
    case 503:
    case 504:
        return NRPC_UNAVAILABLE;
    default:
        return NRPC_UNKNOWN;
    }
}

nrpc_code status_code_of_h2_error(uint32_t error_code)
{
    switch (error_code) {
    case 0x7: /* REFUSED_STREAM */
        return NRPC_UNAVAILABLE;
    case 0x8: /* CANCEL */
        return NRPC_CANCELLED;
    case 0xb: /* ENHANCE_YOUR_CALM */
        return NRPC_RESOURCE_EXHAUSTED;
    case 0xc: /* INADEQUATE_SECURITY */
        return NRPC_PERMISSION_DENIED;
    case 0x5: /* STREAM_CLOSED: the table has no mapping for it */
    case 0xd: /* HTTP_1_1_REQUIRED */
        return NRPC_UNKNOWN;
    default:
        return error_code <= 0xd ? NRPC_INTERNAL : NRPC_UNKNOWN;
    }
}

nrpc_code status_code_of_error(int error)
{
    switch (error) {
    case NRPC_E_NOMEM:
    case NRPC_E_FULL:
    case NRPC_E_TOOBIG:
        return NRPC_RESOURCE_EXHAUSTED;
    case NRPC_E_CLOSED:
        return NRPC_UNAVAILABLE;
    default:
        return NRPC_INTERNAL;
    }
}
