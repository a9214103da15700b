/* From verbs to the stream: messages are packed straight behind their prefix into the call's queue;
 * heads and trailers become header fields. */
#include <string.h>

#include "rpc/base/alloc.h"
#include "rpc/call/call.h"
#include "rpc/grpc/codec.h"
#include "rpc/grpc/compress.h"
#include "rpc/grpc/status.h"
#include "rpc/grpc/timeout.h"

enum { PREFIX = CODEC_PREFIX_BYTES, BLOB_COPY_MAX = 1024, FIELDS_MAX = 128 };

/* Header fields that are being collected; values live in the call's arena. */
struct fields {
    nrpc_call *call;
    struct h2_field list[FIELDS_MAX];
    size_t count;
    int error;
};

static void field_add(struct fields *f, const char *name, const char *value, size_t value_size)
{
    if (f->count == FIELDS_MAX) {
        f->error = NRPC_E_TOOBIG;
        return;
    }
    f->list[f->count++] = (struct h2_field){
        .name = name,
        .value = value,
        .name_size = (uint32_t) strlen(name),
        .value_size = (uint32_t) value_size,
    };
}

static void field_text(struct fields *f, const char *name, const char *value)
{
    field_add(f, name, value, strlen(value));
}

/* Moves a value into the call's arena; empties b. */
static void field_buffer(struct fields *f, const char *name, struct buf *b)
{
    char *copy = b->failed ? NULL : arena_strndup(&f->call->arena, (const char *) b->data, b->size);
    if (copy == NULL)
        f->error = NRPC_E_NOMEM;
    else
        field_add(f, name, copy, b->size);
    buf_done(b);
}

static void field_metadata(struct fields *f, const nrpc_metadata *md)
{
    struct buf scratch = { 0 };
    for (size_t i = 0, n = md == NULL ? 0 : nrpc_metadata_count(md); i < n; i++) {
        nrpc_slice value;
        if (metadata_wire_value(md, i, &scratch, &value) < 0) {
            f->error = NRPC_E_NOMEM;
            break;
        }
        const char *bytes = (const char *) value.data;
        if (value.size > 0 && value.data == scratch.data)
            bytes = arena_strndup(&f->call->arena, bytes, value.size);
        if (value.size > 0 && bytes == NULL)
            f->error = NRPC_E_NOMEM;
        else
            field_add(f, md->fields[i].key, bytes, value.size);
    }
    buf_done(&scratch);
}

static void field_status(struct fields *f, const nrpc_status *st)
{
    struct buf code = { 0 }, message = { 0 }, details = { 0 };
    buf_put_u64(&code, (uint64_t) st->code);
    status_wire(st, &message, &details);
    field_buffer(f, "grpc-status", &code);
    if (message.size > 0 || message.failed)
        field_buffer(f, "grpc-message", &message);
    if (details.size > 0 || details.failed)
        field_buffer(f, "grpc-status-details-bin", &details);
}

static void field_encoding(struct fields *f)
{
    if (f->call->encoding_out != NRPC_IDENTITY)
        field_text(f, "grpc-encoding", compress_name(f->call->encoding_out));
}

static void fields_answer(struct fields *f)
{
    field_text(f, ":status", "200");
    field_text(f, "content-type", "application/grpc");
    field_text(f, "grpc-accept-encoding", COMPRESS_ACCEPT);
    field_encoding(f);
    field_metadata(f, f->call->headers_out);
}

int call_put_head(nrpc_call *c)
{
    if (c->sent_head)
        return 0;
    if (c->stream == NULL)
        return NRPC_E_CLOSED;
    struct fields f = { .call = c };
    /* Never what the client did not say it takes (compression.md). */
    if ((c->accepts & 1u << c->encoding_out) == 0)
        c->encoding_out = NRPC_IDENTITY;
    fields_answer(&f);
    if (f.error < 0)
        return f.error;
    int r = h2_stream_respond(c->stream, f.list, f.count, false, &c->out);
    if (r < 0)
        return r;
    c->sent_head = true;
    return 0;
}

/* Custom trailers that do not fit are dropped rather than the status. */
static int put_end(nrpc_call *c, bool now, bool with_metadata)
{
    struct fields f = { .call = c };
    if (!c->sent_head) {
        field_text(&f, ":status", "200");
        field_text(&f, "content-type", "application/grpc");
        field_text(&f, "grpc-accept-encoding", COMPRESS_ACCEPT);
        if (with_metadata)
            field_metadata(&f, c->headers_out);
    }
    field_status(&f, &c->end);
    if (with_metadata)
        field_metadata(&f, c->trailers_out);
    if (f.error < 0)
        return f.error;
    if (c->sent_head && now)
        return h2_stream_finish_now(c->stream, f.list, f.count);
    if (c->sent_head)
        return h2_stream_finish(c->stream, f.list, f.count);
    int r = h2_stream_respond(c->stream, f.list, f.count, true, &c->out);
    c->sent_head = r == 0;
    return r;
}

int call_put_end(nrpc_call *c, bool now)
{
    if (c->stream == NULL)
        return NRPC_E_CLOSED;
    int r = put_end(c, now, true);
    if (r == NRPC_E_TOOBIG || r == NRPC_E_NOMEM)
        r = put_end(c, now, false);
    return r;
}

/* ---- messages
 * ------------------------------------------------------------------------------------ */
/* 0: may be queued.  Else what send returns. */
static int check_send(nrpc_call *c, size_t size)
{
    ON_LOOP(c->loop);
    if (c->half_closed)
        return NRPC_E_STATE;
    /* A client's call may end at any time, also inside its first send: then no verb fails, and
     * on_end, which comes next, says why. */
    if (call_is_over(c))
        return c->is_server || c->phase == CALL_ENDED ? NRPC_E_STATE : NRPC_PAUSE;
    if (c->is_server && c->stream == NULL)
        return NRPC_E_CLOSED;
    if (c->paused)
        return NRPC_E_FULL;
    if (size > c->limits->max_send_bytes || size > UINT32_MAX)
        return NRPC_E_TOOBIG;
    return c->is_server ? call_put_head(c) : 0;
}

/* The message is queued: wake the stream, tell interceptors, see whether the queue is full. */
static int queued(nrpc_call *c, size_t size)
{
    for (uint32_t i = 0; i < c->begun; i++) {
        const nrpc_interceptor *in = &c->interceptors->list[i];
        if (in->on_message != NULL)
            in->on_message(in->ctx, c->interceptor_state[i], false, size);
    }
    if (c->stream != NULL) {
        h2_stream_count_messages(c->stream, 1, 0);
        (void) h2_stream_resume(c->stream);
    } else if (!c->sent_head) {
        c->sent_head = true;
        c->on_ready(c, c->owner);
    } else if (c->on_queued != NULL) {
        c->on_queued(c);
    }
    if (c->out.size < c->limits->send_high_bytes || c->on_queued != NULL)
        return 0; /* hedges pause at nothing: over CALL_KEPT_MAX they become one call */
    c->paused = true;
    if (c->stream != NULL)
        h2_stream_notify_low(c->stream, c->limits->send_low_bytes);
    return NRPC_PAUSE;
}

static int send_squeezed(nrpc_call *c, const ProtobufCMessage *m, size_t size,
                         enum call_squeeze how)
{
    uint8_t *p = call_scratch(c, size);
    if (p == NULL)
        return NRPC_E_NOMEM;
    size_t packed = protobuf_c_message_pack(m, p);
    CHECK(packed == size);
    int r = call_put_squeezed(c, (nrpc_slice){ p, size }, how);
    return r < 0 ? r : queued(c, size);
}

int nrpc_call_send(nrpc_call *c, const ProtobufCMessage *m)
{
    size_t size = protobuf_c_message_get_packed_size(m);
    int r = check_send(c, size);
    if (r != 0)
        return r;
    if (c->encoding_out != NRPC_IDENTITY) {
        enum call_squeeze how = call_next_squeeze(c, size);
        if (how != SQUEEZE_NO)
            return send_squeezed(c, m, size, how);
    }
    uint8_t *p = h2_queue_grow(&c->out, PREFIX + size);
    if (p == NULL)
        return NRPC_E_NOMEM;
    codec_write_prefix(p, (uint32_t) size);
    size_t packed = protobuf_c_message_pack(m, p + PREFIX);
    CHECK(packed == size);
    return queued(c, size);
}

int nrpc_call_send_bytes(nrpc_call *c, nrpc_slice message)
{
    int r = check_send(c, message.size);
    if (r != 0)
        return r;
    if (c->encoding_out != NRPC_IDENTITY) {
        enum call_squeeze how = call_next_squeeze(c, message.size);
        if (how != SQUEEZE_NO) {
            r = call_put_squeezed(c, message, how);
            return r < 0 ? r : queued(c, message.size);
        }
    }
    uint8_t *p = h2_queue_grow(&c->out, PREFIX + message.size);
    if (p == NULL)
        return NRPC_E_NOMEM;
    codec_write_prefix(p, (uint32_t) message.size);
    if (message.size > 0)
        memcpy(p + PREFIX, message.data, message.size);
    return queued(c, message.size);
}

static void blob_release(void *ctx)
{
    nrpc_blob_unref(ctx);
}

int nrpc_call_send_blob(nrpc_call *c, nrpc_blob *b)
{
    nrpc_slice bytes = nrpc_blob_bytes(b);
    if (bytes.size <= BLOB_COPY_MAX || c->encoding_out != NRPC_IDENTITY)
        return nrpc_call_send_bytes(c, bytes);
    int r = check_send(c, bytes.size);
    if (r != 0)
        return r;
    nrpc_slice frame = codec_blob_frame(b);
    r = h2_queue_put_ref(&c->out, frame.data, frame.size, blob_release, b);
    if (r < 0)
        return r;
    nrpc_blob_ref(b);
    return queued(c, bytes.size);
}

int nrpc_call_send_headers(nrpc_call *c)
{
    ON_LOOP(c->loop);
    if (call_is_over(c))
        return c->is_server || c->phase == CALL_ENDED ? NRPC_E_STATE : 0;
    if (c->is_server)
        return call_put_head(c);
    if (!c->sent_head) {
        c->sent_head = true;
        c->on_ready(c, c->owner);
    }
    return 0;
}

int nrpc_call_half_close(nrpc_call *c)
{
    ON_LOOP(c->loop);
    if (c->is_server)
        return NRPC_E_INVAL;
    if (c->half_closed || c->phase == CALL_ENDED)
        return NRPC_E_STATE;
    c->half_closed = true;
    if (call_is_over(c))
        return 0;
    call_move(c, c->phase == CALL_HALF_REMOTE ? CALL_HALF_BOTH : CALL_HALF_LOCAL);
    if (c->stream != NULL) {
        int r = h2_stream_finish(c->stream, NULL, 0);
        return r == NRPC_E_CLOSED ? 0 : r; /* on_end is on its way */
    }
    if (!c->sent_head) {
        c->sent_head = true;
        c->on_ready(c, c->owner);
    } else if (c->on_queued != NULL) {
        c->on_queued(c);
    }
    return 0;
}

/* A reply that cannot be sent still ends the call: the peer learns why. */
static int reply_end(nrpc_call *c, int r)
{
    if (r >= 0)
        return nrpc_call_finish(c, NULL);
    if (r == NRPC_E_TOOBIG)
        nrpc_call_fail(c, NRPC_RESOURCE_EXHAUSTED, "the answer is over the limit of %u bytes",
                       c->limits->max_send_bytes);
    else if (r == NRPC_E_NOMEM)
        nrpc_call_fail(c, NRPC_RESOURCE_EXHAUSTED, "out of memory");
    return r;
}

int nrpc_call_reply(nrpc_call *c, const ProtobufCMessage *m)
{
    return reply_end(c, nrpc_call_send(c, m));
}

int nrpc_call_reply_bytes(nrpc_call *c, nrpc_slice message)
{
    return reply_end(c, nrpc_call_send_bytes(c, message));
}

void call_on_low(nrpc_call *c)
{
    if (!c->paused)
        return;
    c->paused = false;
    if (!call_is_over(c) && c->events->on_writable != NULL)
        c->events->on_writable(c, c->state);
}

/* ---- the request of a client
 * --------------------------------------------------------------------- */
static void field_timeout(struct fields *f, uint64_t deadline_ns)
{
    if (deadline_ns == UINT64_MAX)
        return;
    uint64_t at = loop_now_ns(f->call->loop);
    char text[TIMEOUT_TEXT_MAX];
    timeout_format(deadline_ns > at ? deadline_ns - at : 1, text);
    char *copy = arena_strndup(&f->call->arena, text, strlen(text));
    if (copy == NULL)
        f->error = NRPC_E_NOMEM;
    else
        field_text(f, "grpc-timeout", copy);
}

static void field_previous(struct fields *f, uint32_t previous)
{
    /* At most five attempts are made of one call (gRFC A6). */
    static const char *const texts[] = { NULL, "1", "2", "3", "4", "5" };
    if (previous > 0 && previous < ARRAY_SIZE(texts))
        field_text(f, "grpc-previous-rpc-attempts", texts[previous]);
}

int call_open_stream(nrpc_call *c, struct h2_session *session, const char *authority,
                     const char *user_agent)
{
    struct fields f = { .call = c };
    field_text(&f, ":method", "POST");
    field_text(&f, ":scheme", c->secure ? "https" : "http");
    field_text(&f, ":path", c->path);
    field_text(&f, ":authority", authority);
    field_text(&f, "te", "trailers");
    field_timeout(&f, c->deadline_ns);
    field_text(&f, "content-type", "application/grpc");
    field_text(&f, "user-agent", user_agent);
    field_text(&f, "grpc-accept-encoding", COMPRESS_ACCEPT);
    field_encoding(&f);
    field_previous(&f, c->previous);
    field_metadata(&f, c->headers_out);
    if (f.error < 0)
        return f.error;
    struct h2_stream *st;
    int r = h2_stream_open(session, f.list, f.count, false, &c->out, &call_client_stream, c, &st);
    if (r < 0)
        return r;
    c->stream = st;
    c->attempts++;
    c->sent_head = true;
    if (c->phase == CALL_IDLE)
        call_move(c, CALL_OPEN);
    if (c->paused)
        h2_stream_notify_low(st, c->limits->send_low_bytes);
    if (c->half_closed)
        return h2_stream_finish(st, NULL, 0);
    return 0;
}
