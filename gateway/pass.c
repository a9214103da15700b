#include "gateway/pass.h"

#include <stdio.h>
#include <string.h>

#include "gateway/json_writer.h"
#include "rpc/base/check.h"

enum { HEADERS_MAX = 16 /* of an answer */, NAME_MAX_BYTES = 100 };

/* Pair i is the first of its key. */
static bool is_first(const nrpc_metadata *md, size_t i, const char *key)
{
    const char *other;
    nrpc_slice value;
    for (size_t k = 0; k < i; k++) {
        nrpc_metadata_at(md, k, &other, &value);
        if (strcmp(other, key) == 0)
            return false;
    }
    return true;
}

static bool is_declared(const struct exchange *x, const char *key)
{
    const struct option_list *list = &x->gl->gateway->settings.pass_metadata;
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->items[i], key) == 0)
            return true;
    return false;
}

/* A header's value: nothing that could end its line. */
static bool is_visible(nrpc_slice value)
{
    for (size_t i = 0; i < value.size; i++)
        if (value.data[i] < 0x20 || value.data[i] > 0x7e)
            return false;
    return true;
}

/* gRPC's own keys tell what the answer says in another way. */
static bool is_custom(const char *key)
{
    return strncmp(key, "grpc-", 5) != 0 && strcmp(key, "content-type") != 0;
}

static bool is_binary(const char *key)
{
    size_t size = strlen(key);
    return size > 4 && strcmp(key + size - 4, "-bin") == 0;
}

/* base64 without padding, in quotes. */
static void put_binary(struct buf *out, nrpc_slice value)
{
    json_put_base64(out, value.data, value.size);
    if (out->failed)
        return;
    size_t end = out->size - 1;
    while (out->data[end - 1] == '=')
        end--;
    out->data[end] = '"';
    out->size = end + 1;
}

static void put_values(const nrpc_metadata *md, const char *key, struct buf *out)
{
    nrpc_slice value;
    for (size_t nth = 0; nrpc_metadata_get(md, key, nth, &value); nth++) {
        if (nth > 0)
            buf_putc(out, ',');
        if (is_binary(key))
            put_binary(out, value);
        else
            json_put_lossy(out, (const char *) value.data, value.size);
    }
}

/* {"key":["value"]} behind its label, or nothing; declared: of those that may pass. */
static void put_object(const struct exchange *x, const char *label, bool declared, struct buf *out)
{
    const nrpc_metadata *md = x->trailers;
    size_t n = md == NULL ? 0 : nrpc_metadata_count(md), written = 0;
    for (size_t i = 0; i < n; i++) {
        const char *key;
        nrpc_slice value;
        nrpc_metadata_at(md, i, &key, &value);
        if (!(declared ? is_declared(x, key) : is_custom(key)) || !is_first(md, i, key))
            continue;
        buf_puts(out, written++ == 0 ? label : ",");
        json_put_lossy(out, key, strlen(key));
        buf_puts(out, ":[");
        put_values(md, key, out);
        buf_putc(out, ']');
    }
    if (written > 0)
        buf_putc(out, '}');
}

void pass_put_trailers(const struct exchange *x, struct buf *out)
{
    put_object(x, ",\"trailers\":{", true, out);
}

void pass_put_metadata(const struct exchange *x, bool first, struct buf *out)
{
    put_object(x, first ? "\"metadata\":{" : ",\"metadata\":{", false, out);
}

static void put_line(struct buf *out, const char *key, nrpc_slice value)
{
    buf_puts(out, key);
    buf_puts(out, ": ");
    size_t start = out->size;
    if (is_binary(key)) {
        put_binary(out, value);
        if (!out->failed) { /* without the quotes */
            memmove(out->data + start, out->data + start + 1, out->size - start - 2);
            out->size -= 2;
        }
    } else {
        buf_put(out, value.data, value.size);
    }
    buf_puts(out, "\r\n");
}

void pass_put_lines(const struct exchange *x, struct buf *out)
{
    const nrpc_metadata *md = x->trailers;
    size_t n = md == NULL ? 0 : nrpc_metadata_count(md);
    for (size_t i = 0; i < n; i++) {
        const char *key;
        nrpc_slice value;
        nrpc_metadata_at(md, i, &key, &value);
        if (is_custom(key))
            put_line(out, key, value);
    }
}

static size_t put_declared(const struct exchange *x, const nrpc_metadata *md, size_t room,
                           struct buf *out)
{
    size_t n = md == NULL || room == 0 ? 0 : nrpc_metadata_count(md);
    for (size_t i = 0; i < n && room > 0; i++) {
        const char *key;
        nrpc_slice value;
        nrpc_metadata_at(md, i, &key, &value);
        if (!is_declared(x, key) || (!is_binary(key) && !is_visible(value)))
            continue;
        put_line(out, key, value);
        room--;
    }
    return room;
}

void pass_put_headers(const struct exchange *x, struct buf *out)
{
    if (x->gl->gateway->settings.pass_metadata.count == 0)
        return;
    const nrpc_metadata *head = x->call != NULL ? nrpc_call_headers_in(x->call) : x->leaders;
    put_declared(x, x->trailers, put_declared(x, head, HEADERS_MAX, out), out);
}

void pass_put_trailer_lines(const struct exchange *x, struct buf *out)
{
    put_declared(x, x->trailers, HEADERS_MAX, out);
}

void pass_put_names(const struct exchange *x, struct buf *out)
{
    const struct option_list *list = &x->gl->gateway->settings.pass_metadata;
    for (size_t i = 0; i < list->count; i++) {
        buf_puts(out, ", ");
        buf_puts(out, list->items[i]);
    }
}

int pass_check(const struct option_list *names, char error[static 512])
{
    static const char *const ours[] = {
        "cache-control",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "date",
        "etag",
        "keep-alive",
        "retry-after",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "vary",
        "www-authenticate",
        "x-request-id",
    };
    for (size_t i = 0; i < names->count; i++) {
        const char *name = names->items[i];
        bool good = *name != '\0' && strlen(name) <= NAME_MAX_BYTES &&
                    strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.") == strlen(name) &&
                    strncmp(name, "grpc-", 5) != 0 && strncmp(name, "access-control-", 15) != 0;
        for (size_t k = 0; good && k < ARRAY_SIZE(ours); k++)
            good = strcmp(name, ours[k]) != 0;
        if (!good) {
            snprintf(
                error, 512,
                "--pass-metadata %.100s: not the lower-case name of metadata, or a header that "
                "the gateway itself writes",
                name);
            return -1;
        }
    }
    return 0;
}
