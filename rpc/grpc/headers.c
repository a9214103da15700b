#include "rpc/grpc/headers.h"

#include <string.h>

#include "rpc/grpc/compress.h"
#include "rpc/grpc/status.h"
#include "rpc/grpc/timeout.h"

/* Of request_head.seen. */
enum request_bits {
    SEEN_METHOD = 1 << 0,
    SEEN_PATH = 1 << 1,
    SEEN_CONTENT_TYPE = 1 << 2,
    SEEN_TIMEOUT = 1 << 3,
    METHOD_IS_POST = 1 << 4,
    SCHEME_IS_BAD = 1 << 5,
    TYPE_IS_GRPC = 1 << 6,
    CODEC_IS_PROTO = 1 << 7,
    TIMEOUT_IS_BAD = 1 << 8,
    TE_IS_BAD = 1 << 9,
    ENCODING_IS_BAD = 1 << 10,
    SEEN_ENCODING = 1 << 11
};

static bool equals(nrpc_slice s, const char *text)
{
    size_t size = strlen(text);
    return s.size == size && memcmp(s.data, text, size) == 0;
}

static bool begins(nrpc_slice s, const char *text)
{
    size_t size = strlen(text);
    return s.size >= size && memcmp(s.data, text, size) == 0;
}

/* "application/grpc", then nothing, "+codec" or ";parameters".  Media types are case-insensitive
 * (RFC 9110). */
static bool parse_content_type(nrpc_slice value, nrpc_slice *out_codec)
{
    static const char name[] = "application/grpc";
    size_t size = sizeof name - 1;
    if (value.size < size)
        return false;
    for (size_t i = 0; i < size; i++) {
        uint8_t c = value.data[i];
        if ((c >= 'A' && c <= 'Z' ? c | 0x20 : c) != (uint8_t) name[i])
            return false;
    }
    nrpc_slice codec = { value.data + size, 0 };
    if (value.size > size && value.data[size] == '+') {
        codec.data++;
        while (size + 1 + codec.size < value.size && codec.data[codec.size] != ';' &&
               codec.data[codec.size] != ' ')
            codec.size++;
        if (codec.size == 0)
            return false;
    } else if (value.size > size && value.data[size] != ';' && value.data[size] != ' ') {
        return false; /* application/grpc-web and others */
    }
    *out_codec = codec;
    return true;
}

/* ---- requests ---- */
void request_head_init(struct request_head *h, nrpc_metadata *md)
{
    *h =
        (struct request_head){ .md = md, .timeout_ns = UINT64_MAX, .accepts = 1u << NRPC_IDENTITY };
}

static int copy_text(struct request_head *h, nrpc_slice value, const char **out_text)
{
    const char *copy = arena_strndup(h->md->arena, (const char *) value.data, value.size);
    if (copy == NULL)
        return NRPC_E_NOMEM;
    *out_text = copy;
    return 0;
}

static int on_method(struct request_head *h, nrpc_slice value)
{
    h->is_head = equals(value, "HEAD");
    h->seen |= SEEN_METHOD | (equals(value, "POST") ? METHOD_IS_POST : 0);
    return 0;
}

static int on_scheme(struct request_head *h, nrpc_slice value)
{
    if (!equals(value, "http") && !equals(value, "https"))
        h->seen |= SCHEME_IS_BAD;
    return 0;
}

static int on_path(struct request_head *h, nrpc_slice value)
{
    h->seen |= SEEN_PATH;
    return copy_text(h, value, &h->path);
}

static int on_authority(struct request_head *h, nrpc_slice value)
{
    return copy_text(h, value, &h->authority);
}

static int on_content_type(struct request_head *h, nrpc_slice value)
{
    nrpc_slice codec;
    bool first = (h->seen & SEEN_CONTENT_TYPE) == 0;
    h->seen &= ~(uint32_t) (TYPE_IS_GRPC | CODEC_IS_PROTO);
    h->seen |= SEEN_CONTENT_TYPE;
    if (first && parse_content_type(value, &codec))
        h->seen |= TYPE_IS_GRPC | (codec.size == 0 || equals(codec, "proto") ? CODEC_IS_PROTO : 0);
    return 0;
}

static int on_te(struct request_head *h, nrpc_slice value)
{
    if (equals(value, "trailers"))
        h->te_trailers = true;
    else
        h->seen |= TE_IS_BAD;
    return 0;
}

static int on_timeout(struct request_head *h, nrpc_slice value)
{
    if ((h->seen & SEEN_TIMEOUT) != 0 || timeout_parse(value, &h->timeout_ns) < 0)
        h->seen |= TIMEOUT_IS_BAD;
    h->seen |= SEEN_TIMEOUT;
    return 0;
}

static int on_encoding(struct request_head *h, nrpc_slice value)
{
    if ((h->seen & SEEN_ENCODING) != 0 || !compress_parse(value, &h->encoding))
        h->seen |= ENCODING_IS_BAD;
    h->seen |= SEEN_ENCODING;
    return 0;
}

static int on_accept_encoding(struct request_head *h, nrpc_slice value)
{
    h->accepts |= compress_parse_list(value);
    return 0;
}

#define FIELD(name, fn)                                                                            \
    {                                                                                              \
        name, sizeof name - 1, fn                                                                  \
    }
static const struct {
    const char *name;
    size_t size;
    int (*on_field)(struct request_head *h, nrpc_slice value);
} request_fields[] = {
    FIELD(":method", on_method),
    FIELD(":scheme", on_scheme),
    FIELD(":path", on_path),
    FIELD(":authority", on_authority),
    FIELD("host", on_authority),
    FIELD("content-type", on_content_type),
    FIELD("te", on_te),
    FIELD("grpc-timeout", on_timeout),
    FIELD("grpc-encoding", on_encoding),
    FIELD("grpc-accept-encoding", on_accept_encoding),
};

/* Fields of the protocol that an application has no use for. */
/* The two of gRFC A6 are for whoever counts attempts, so they stay in the metadata. */
static bool is_protocol_field(nrpc_slice name)
{
    if (begins(name, "grpc-"))
        return !equals(name, "grpc-previous-rpc-attempts") &&
               !equals(name, "grpc-retry-pushback-ms");
    return name.size == 0 || name.data[0] == ':' || equals(name, "content-length");
}

/* Blanks around a value are not part of it (RFC 9110 section 5.5). */
static nrpc_slice strip(nrpc_slice value)
{
    while (value.size > 0 && (value.data[0] == ' ' || value.data[0] == '\t')) {
        value.data++;
        value.size--;
    }
    while (value.size > 0 &&
           (value.data[value.size - 1] == ' ' || value.data[value.size - 1] == '\t'))
        value.size--;
    return value;
}

int request_head_field(struct request_head *h, nrpc_slice name, nrpc_slice value)
{
    if (h->error != 0)
        return h->error;
    value = strip(value);
    for (size_t i = 0; i < sizeof request_fields / sizeof request_fields[0]; i++)
        if (name.size == request_fields[i].size &&
            memcmp(name.data, request_fields[i].name, name.size) == 0)
            return h->error = request_fields[i].on_field(h, value);
    if (is_protocol_field(name))
        return 0;
    return h->error = metadata_add_wire(h->md, name, value);
}

/* "/package.Service/Method": two parts, neither empty.  Returns the method's name or NULL. */
static const char *split_path(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (path[0] != '/' || slash == path || slash[1] == '\0' || path[1] == '/')
        return NULL;
    return memchr(path + 1, '/', (size_t) (slash - path) - 1) == NULL ? slash + 1 : NULL;
}

static enum head_outcome metadata_outcome(int error, nrpc_status *st)
{
    if (error == NRPC_E_PROTO)
        nrpc_status_set(st, NRPC_INTERNAL, "Malformed binary metadata");
    else if (error == NRPC_E_TOOBIG)
        nrpc_status_set(st, NRPC_RESOURCE_EXHAUSTED, "Metadata is over the size limit");
    else
        nrpc_status_set(st, NRPC_RESOURCE_EXHAUSTED, "Cannot take the metadata: %s",
                        nrpc_strerror(error));
    return HEAD_STATUS;
}

enum head_outcome request_head_end(struct request_head *h, int *out_http_status, nrpc_status *st)
{
    uint32_t seen = h->seen;
    if (h->error != 0) /* first: the fields behind it may be missing */
        return metadata_outcome(h->error, st);
    if ((seen & METHOD_IS_POST) == 0) {
        *out_http_status = 405;
        return HEAD_HTTP;
    }
    if ((seen & TYPE_IS_GRPC) == 0) {
        *out_http_status = 415;
        return HEAD_HTTP;
    }
    if (h->path == NULL || h->path[0] != '/') {
        *out_http_status = 404;
        return HEAD_HTTP;
    }
    h->method = split_path(h->path);
    if (h->method == NULL)
        nrpc_status_set(st, NRPC_UNIMPLEMENTED, "Malformed method path");
    else if ((seen & CODEC_IS_PROTO) == 0)
        nrpc_status_set(st, NRPC_UNIMPLEMENTED,
                        "The only message format here is application/grpc+proto");
    else if ((seen & ENCODING_IS_BAD) != 0)
        nrpc_status_set(
            st, NRPC_UNIMPLEMENTED,
            "The grpc-encoding is none of those that this server takes: " COMPRESS_ACCEPT);
    else if ((seen & TIMEOUT_IS_BAD) != 0)
        nrpc_status_set(st, NRPC_INTERNAL, "Malformed grpc-timeout");
    else if ((seen & TE_IS_BAD) != 0)
        nrpc_status_set(st, NRPC_INTERNAL, "The te header must be \"trailers\"");
    else if ((seen & SCHEME_IS_BAD) != 0)
        nrpc_status_set(st, NRPC_INTERNAL, "The scheme must be http or https");
    else
        return HEAD_ACCEPT;
    return HEAD_STATUS;
}

/* ---- responses ---- */
void response_head_init(struct response_head *h, nrpc_metadata *md)
{
    *h = (struct response_head){ .md = md };
}

static int copy_slice(struct response_head *h, nrpc_slice value, nrpc_slice *out_slice)
{
    void *copy = arena_copy(h->md->arena, value.data, value.size);
    if (copy == NULL)
        return h->error = NRPC_E_NOMEM;
    *out_slice = (nrpc_slice){ copy, value.size };
    return 0;
}

static int parse_http_status(nrpc_slice value)
{
    int status = 0;
    for (size_t i = 0; i < value.size; i++) {
        if (value.size != 3 || value.data[i] < '0' || value.data[i] > '9')
            return -1;
        status = status * 10 + value.data[i] - '0';
    }
    return status == 0 ? -1 : status;
}

int response_head_field(struct response_head *h, nrpc_slice name, nrpc_slice value)
{
    nrpc_slice codec;
    if (h->error != 0)
        return h->error;
    value = strip(value);
    if (equals(name, ":status"))
        h->http_status = parse_http_status(value);
    else if (equals(name, "content-type"))
        h->grpc = parse_content_type(value, &codec);
    else if (equals(name, "grpc-encoding"))
        h->encoding_is_bad = !compress_parse(value, &h->encoding);
    else if (equals(name, "grpc-status"))
        return copy_slice(h, value, &h->code);
    else if (equals(name, "grpc-message"))
        return copy_slice(h, value, &h->message);
    else if (equals(name, "grpc-status-details-bin"))
        return copy_slice(h, value, &h->details);
    else if (!is_protocol_field(name))
        return h->error = metadata_add_wire(h->md, name, value);
    return 0;
}

bool response_head_status(const struct response_head *h, nrpc_status *st)
{
    if (h->code.data == NULL)
        return false;
    status_from_wire(st, h->code, h->message, h->details);
    return true;
}

bool response_head_outcome(const struct response_head *h, bool end_stream, nrpc_status *st)
{
    if (h->error != 0) {
        metadata_outcome(h->error, st);
        return true;
    }
    bool head = h->http_status != 0;
    if (head && (h->http_status != 200 || !h->grpc)) {
        /* A proxy or another server spoke; but a grpc-status says more than an HTTP status. */
        if (h->grpc && response_head_status(h, st))
            return true;
        if (h->http_status != 200)
            nrpc_status_set(st, status_code_of_http(h->http_status), "HTTP status %d",
                            h->http_status);
        else
            nrpc_status_set(st, NRPC_UNKNOWN, "The response is not application/grpc");
        return true;
    }
    if (end_stream) {
        if (response_head_status(h, st))
            return true;
        nrpc_status_set(st, NRPC_UNKNOWN, "The response ended without grpc-status");
        return true;
    }
    if (!head) {
        nrpc_status_set(st, NRPC_INTERNAL, "Trailers did not end the stream");
        return true;
    }
    if (h->encoding_is_bad) {
        nrpc_status_set(st, NRPC_INTERNAL,
                        "The response uses a grpc-encoding that was not offered");
        return true;
    }
    return false;
}
