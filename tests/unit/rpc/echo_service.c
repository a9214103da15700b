#include "tests/unit/rpc/echo_service.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "google/protobuf/struct.pb-c.h"
#include "google/rpc/error_details.pb-c.h"
#include "rpc/base/alloc.h"
#include "rpc/base/check.h"

atomic_int echo_cancelled, echo_ended;
atomic_uint_fast64_t echo_sent;

static void echo_metadata(nrpc_call *c)
{
    const nrpc_metadata *in = nrpc_call_headers_in(c);
    for (size_t i = 0; i < nrpc_metadata_count(in); i++) {
        const char *key;
        nrpc_slice value;
        nrpc_metadata_at(in, i, &key, &value);
        if (strncmp(key, "x-", 2) != 0)
            continue;
        char trailer[128];
        size_t size = strlen(key);
        bool binary = size > 4 && strcmp(key + size - 4, "-bin") == 0;
        snprintf(trailer, sizeof trailer, "%.*s-t%s", (int) (binary ? size - 4 : size), key,
                 binary ? "-bin" : "");
        CHECK(nrpc_metadata_add(nrpc_call_headers_out(c), key, value) == 0);
        CHECK(nrpc_metadata_add(nrpc_call_trailers_out(c), trailer, value) == 0);
    }
}

static void fail_with(nrpc_call *c, const char *text)
{
    nrpc_status st = NRPC_STATUS_INIT;
    Google__Rpc__ErrorInfo info = GOOGLE__RPC__ERROR_INFO__INIT;
    info.reason = "TEST";
    info.domain = "test";
    char *rest;
    long code = strtol(text, &rest, 10);
    nrpc_status_set(&st, (nrpc_code) code, "%s", *rest == ':' ? rest + 1 : "");
    nrpc_status_add_detail(&st, &info.base);
    nrpc_call_finish(c, &st);
    nrpc_status_clear(&st);
}

static nrpc_slice as_slice(const char *text)
{
    return (nrpc_slice){ (const uint8_t *) text, strlen(text) };
}

static void reply_flag(nrpc_call *c, nrpc_msg *request)
{
    char text[64];
    snprintf(text, sizeof text, "%d %d %zu", nrpc_msg_was_compressed(request),
             (int) nrpc_call_compression_in(c), nrpc_msg_bytes(request).size);
    nrpc_call_reply_bytes(c, as_slice(text));
}

/* "ENCODING:N": N bytes that compress well; *out_bytes is the caller's. */
static size_t squeeze(nrpc_call *c, const char *text, uint8_t **out_bytes)
{
    char *rest;
    unsigned long encoding = strtoul(text, &rest, 10), size = strtoul(rest + 1, NULL, 10);
    CHECK(nrpc_call_set_compression(c, (nrpc_compression) encoding) == 0);
    *out_bytes = alloc_zero(1, size);
    CHECK(*out_bytes != NULL);
    return size;
}

static void reply_squeezed(nrpc_call *c, const char *text)
{
    uint8_t *bytes;
    size_t size = squeeze(c, text, &bytes);
    nrpc_call_reply_bytes(c, (nrpc_slice){ bytes, size });
    alloc_free(bytes);
}

static void stream_squeezed(nrpc_call *c, const char *text)
{
    uint8_t *bytes;
    size_t size = squeeze(c, text, &bytes);
    for (int i = 0; i < 4; i++) {
        if (i % 2 == 1)
            nrpc_call_compress_next(c, false);
        nrpc_call_send_bytes(c, (nrpc_slice){ bytes, size });
    }
    alloc_free(bytes);
    nrpc_call_finish(c, NULL);
}

static void unary(nrpc_call *c, void *ctx, nrpc_msg *request)
{
    (void) ctx;
    nrpc_slice q = nrpc_msg_bytes(request);
    char text[64] = "";
    memcpy(text, q.data, q.size < 63 ? q.size : 63);
    echo_metadata(c);
    if (strncmp(text, "fail:", 5) == 0) {
        fail_with(c, text + 5);
    } else if (strncmp(text, "big:", 4) == 0) {
        size_t size = strtoul(text + 4, NULL, 10);
        uint8_t *bytes = alloc_zero(1, size);
        nrpc_call_reply_bytes(c, (nrpc_slice){ bytes, size });
        alloc_free(bytes);
    } else if (strncmp(text, "flag", 4) == 0) {
        reply_flag(c, request);
    } else if (strncmp(text, "squeeze:", 8) == 0) {
        reply_squeezed(c, text + 8);
    } else if (strcmp(text, "subject") == 0) {
        const char *subject = nrpc_call_peer_subject(c) == NULL ? "-" : nrpc_call_peer_subject(c);
        nrpc_call_reply_bytes(c, (nrpc_slice){ (const uint8_t *) subject, strlen(subject) });
    } else if (strcmp(text, "headers") == 0) {
        nrpc_call_send_headers(c);
    } else if (strcmp(text, "sleep") != 0) {
        nrpc_call_reply_bytes(c, q);
    }
    nrpc_msg_free(request);
}

static void on_end(nrpc_call *c, void *state, const nrpc_status *st)
{
    (void) c;
    (void) state;
    if (st->code == NRPC_CANCELLED || st->code == NRPC_DEADLINE_EXCEEDED)
        atomic_fetch_add(&echo_cancelled, 1);
    atomic_fetch_add(&echo_ended, 1);
}

struct count {
    uint64_t left;
    nrpc_blob *blob;
};

static void pour(nrpc_call *c, struct count *n)
{
    while (n->left > 0) {
        int r = nrpc_call_send_blob(c, n->blob);
        if (r < 0)
            return;
        n->left--;
        atomic_fetch_add(&echo_sent, 1);
        if (r == NRPC_PAUSE) {
            CHECK(nrpc_call_send_blob(c, n->blob) == NRPC_E_FULL);
            return;
        }
    }
    nrpc_call_finish(c, NULL);
}

static void stream(nrpc_call *c, void *ctx, nrpc_msg *request)
{
    (void) ctx;
    nrpc_slice q = nrpc_msg_bytes(request);
    char text[64] = "";
    memcpy(text, q.data, q.size < 63 ? q.size : 63);
    unsigned long long count, size;
    if (sscanf(text, "count:%llu:%llu", &count, &size) == 2) {
        struct count *n = nrpc_call_alloc(c, sizeof *n);
        uint8_t *bytes = alloc_zero(1, size);
        n->left = count;
        n->blob = nrpc_blob_copy(bytes, size);
        alloc_free(bytes);
        nrpc_call_set_state(c, n);
        pour(c, n);
    } else if (strncmp(text, "squeeze:", 8) == 0) {
        stream_squeezed(c, text + 8);
    } else {
        echo_metadata(c);
        nrpc_call_send_bytes(c, q);
        nrpc_call_finish(c, NULL);
    }
    nrpc_msg_free(request);
}

static void on_stream_writable(nrpc_call *c, void *state)
{
    pour(c, state);
}

static void on_stream_end(nrpc_call *c, void *state, const nrpc_status *st)
{
    struct count *n = state;
    if (n != NULL)
        nrpc_blob_unref(n->blob);
    on_end(c, state, st);
}

/* ---- client stream and bidi
 * ---------------------------------------------------------------------- */
struct sums {
    uint64_t messages, bytes;
};

static nrpc_code on_start(nrpc_call *c, void *ctx, void **out_state, nrpc_status *st)
{
    (void) ctx;
    (void) st;
    *out_state = nrpc_call_alloc(c, sizeof(struct sums));
    return *out_state == NULL ? NRPC_RESOURCE_EXHAUSTED : NRPC_OK;
}

static void on_collect(nrpc_call *c, void *state, nrpc_msg *m)
{
    struct sums *s = state;
    s->messages++;
    s->bytes += nrpc_msg_bytes(m).size;
    nrpc_msg_free(m);
    nrpc_call_want(c, 1);
}

static void on_collected(nrpc_call *c, void *state)
{
    struct sums *s = state;
    char text[64];
    int n = snprintf(text, sizeof text, "%llu:%llu", (unsigned long long) s->messages,
                     (unsigned long long) s->bytes);
    nrpc_call_reply_bytes(c, (nrpc_slice){ (const uint8_t *) text, (size_t) n });
}

static void on_chat(nrpc_call *c, void *state, nrpc_msg *m)
{
    (void) state;
    nrpc_call_send_bytes(c, nrpc_msg_bytes(m));
    nrpc_msg_free(m);
    nrpc_call_want(c, 1);
}

static void on_chat_over(nrpc_call *c, void *state)
{
    (void) state;
    nrpc_call_finish(c, NULL);
}

static const nrpc_events collect = {
    .on_start = on_start,
    .on_message = on_collect,
    .on_half_close = on_collected,
    .on_end = on_end,
};
static const nrpc_events chat = {
    .on_start = on_start,
    .on_message = on_chat,
    .on_half_close = on_chat_over,
    .on_end = on_end,
};

/* ---- a typed method: what is no message of the type is refused before the handler
 * ------------------ */
static void typed(nrpc_call *c, void *ctx, nrpc_msg *request)
{
    (void) ctx;
    nrpc_call_reply(c, nrpc_msg_body(request));
    nrpc_msg_free(request);
}

static const nrpc_method methods[] = {
    { "Unary", "/test.Echo/Unary", NRPC_UNARY, false, NULL, NULL },
    { "Stream", "/test.Echo/Stream", NRPC_SERVER_STREAM, false, NULL, NULL },
    { "Collect", "/test.Echo/Collect", NRPC_CLIENT_STREAM, false, NULL, NULL },
    { "Chat", "/test.Echo/Chat", NRPC_BIDI, false, NULL, NULL },
    { "Missing", "/test.Echo/Missing", NRPC_UNARY, false, NULL, NULL },
    { "Typed", "/test.Echo/Typed", NRPC_UNARY, false, &google__protobuf__struct__descriptor,
      &google__protobuf__struct__descriptor },
};
const nrpc_service echo_service = { "test.Echo", methods, ARRAY_SIZE(methods) };

int echo_add(nrpc_server *s)
{
    static const nrpc_handler handlers[] = {
        { .request = unary, .on_end = on_end },
        { .request = stream, .on_writable = on_stream_writable, .on_end = on_stream_end },
        { .stream = &collect },
        { .stream = &chat },
        { 0 },
        { .request = typed, .on_end = on_end },
    };
    return nrpc_server_add_service(s, &echo_service, handlers, ARRAY_SIZE(handlers), NULL);
}
