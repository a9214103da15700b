#include "gateway/stream.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "gateway/accept.h"
#include "gateway/json_writer.h"
#include "gateway/pass.h"
#include "gateway/respond.h"
#include "gateway/rpcweb.h"
#include "gateway/scalar.h"
#include "gateway/socket.h"
#include "gateway/wire.h"

enum {
    TICK_MS = 5000,
    HEARTBEAT_MS = 15000,
    OWED_MS = 10,  /* until credits that were held back are looked at again */
    HOLD_MS = 500, /* a resumed watch that shows nothing new is open after this */
    CHUNK_DIGITS = 8,
};

static const char *const content_types[] = { "application/x-ndjson", "text/event-stream",
                                             "application/json" };

static const char *default_type(const struct exchange *x)
{
    return x->stream.form == STREAM_GRPC_WEB ? rpcweb_content_type(x)
           : x->stream.form == STREAM_RAW    ? "application/octet-stream"
                                             : content_types[x->stream.form];
}

static void on_tick(struct timer *t);

/* ---- choosing -------------------------------------------------------------------------- */

static bool is_http_body(const struct exchange *x)
{
    return strcmp(x->route->method->output->full_name, "google.api.HttpBody") == 0;
}

static const struct desc_field *field_of(const struct desc_message *m, const char *name)
{
    return desc_field_by_name(m, name, strlen(name));
}

/* Last-Event-ID says where to go on; it is newer than what the URL says. */
static void set_resume(struct exchange *x, const Nrpc__RouteOptions__Stream *o)
{
    struct http1_text last = exchange_header(x, "last-event-id");
    const struct desc_field *f = field_of(x->route->method->input, o->resume_field);
    bool negative, digits = true;
    uint64_t id;
    if (last.data == NULL || last.size == 0 || f == NULL)
        return;
    for (size_t i = 0; i < last.size; i++)
        digits = digits && last.data[i] >= '0' && last.data[i] <= '9';
    if (!digits || !scalar_parse_int(last.data, last.size, &negative, &id) || negative) {
        exchange_fail_field(x, "Last-Event-ID", "must be the id of an event", "");
        return;
    }
    x->stream.resumed = x->stream.form == STREAM_SSE;
    x->stream.resume_id = id;
    if (bind_set(&x->binder, f, last.data, last.size) < 0)
        exchange_fail(x, 503, NRPC_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY",
                      "the gateway is out of memory");
}

void stream_start(struct exchange *x, enum stream_form form)
{
    struct stream *s = &x->stream;
    timer_init(&s->timer, x->gl->loop, on_tick);
    timer_start(&s->timer, TICK_MS);
    s->form = form;
}

bool stream_choose(struct exchange *x)
{
    struct stream *s = &x->stream;
    const Nrpc__RouteOptions__Stream *o = x->route->method->route->stream;
    struct buf accept = { 0 };
    timer_init(&s->timer, x->gl->loop, on_tick);
    if (is_http_body(x)) {
        s->form = STREAM_RAW;
        return true;
    }
    http1_join(&x->http, "accept", &accept);
    struct accept_choice c =
        accept_choose((const char *) accept.data, accept.size, content_types, 3);
    buf_done(&accept);
    if (c.index < 0) {
        exchange_fail(
            x, 406, NRPC_INVALID_ARGUMENT, "NOT_ACCEPTABLE",
            "this stream comes as text/event-stream, application/x-ndjson or application/json");
        return false;
    }
    s->form = (enum stream_form) c.index;
    if (o == NULL)
        return true;
    s->id = field_of(x->route->method->output, o->id_field);
    s->type = field_of(x->route->method->output, o->type_field);
    set_resume(x, o);
    return !x->failed;
}

/* ---- chunks ---------------------------------------------------------------------------- */

/* Opens a chunk whose size is written when it closes; HTTP/1.0 gets the bare bytes. */
static size_t chunk_open(struct exchange *x, struct buf *out)
{
    size_t at = out->size;
    if (x->stream.chunked)
        buf_puts(out, "00000000\r\n");
    return at;
}

/* Replaces the bytes of the open chunk by their coded form. */
static void encode_chunk(struct exchange *x, struct buf *out, size_t at, bool end)
{
    struct buf *coded = &x->gl->coded;
    size_t body = at + (x->stream.chunked ? CHUNK_DIGITS + 2 : 0);
    if (x->stream.encoder == NULL)
        return;
    buf_reset(coded);
    int r = encoder_put(x->stream.encoder, out->data + body, out->size - body, end, coded);
    out->size = body;
    if (r < 0)
        x->client->ops->abort(x->client); /* the rest cannot be read without what is missing */
    else
        buf_put(out, coded->data, coded->size);
}

static void chunk_close(struct exchange *x, struct buf *out, size_t at)
{
    char text[CHUNK_DIGITS + 1];
    if (out->failed)
        return;
    encode_chunk(x, out, at, false);
    x->response_bytes += out->size - at;
    x->stream.written_ns = loop_now_ns(x->gl->loop);
    if (x->stream.chunked) {
        x->response_bytes -= CHUNK_DIGITS + 2;
        snprintf(text, sizeof text, "%08zx", out->size - at - CHUNK_DIGITS - 2);
        memcpy(out->data + at, text, CHUNK_DIGITS);
        buf_puts(out, "\r\n");
    }
    client_flush(x->client);
}

static void put_chunk(struct exchange *x, const void *data, size_t size)
{
    struct buf *out = client_tail(x->client);
    size_t at = chunk_open(x, out);
    buf_put(out, data, size);
    chunk_close(x, out, at);
}

static void put_text(struct exchange *x, const char *text)
{
    put_chunk(x, text, strlen(text));
}

/* ---- opening --------------------------------------------------------------------------- */

/* Each coded stream costs memory of its own, so only so many are. */
static void open_encoder(struct exchange *x, const char *content_type)
{
    struct gateway_loop *gl = x->gl;
    if (x->encoding == ENCODING_IDENTITY || x->head_only || !encoding_suits(content_type) ||
        gl->stream_encoders >= GATEWAY_STREAM_ENCODERS)
        return;
    x->stream.encoder = encoder_new(x->encoding, true);
    gl->stream_encoders += x->stream.encoder != NULL;
}

/* Does the client take trailers (RFC 9110 section 6.5.1), and has the answer a place for them? */
static bool takes_trailers(const struct exchange *x)
{
    static const char *const word[] = { "trailers" };
    struct buf te = { 0 };
    bool taken = x->stream.form != STREAM_GRPC_WEB && x->stream.form != STREAM_WEBSOCKET &&
                 (x->stream.chunked || x->client->framed) && http1_join(&x->http, "te", &te) &&
                 accept_choose_coding((const char *) te.data, te.size, word, 1) == 0;
    buf_done(&te);
    return taken;
}

/* What the trailers may be, so that a proxy knows that they are worth keeping. */
static void announce_trailers(struct exchange *x, struct buf *out)
{
    x->stream.trailed = takes_trailers(x);
    if (!x->stream.trailed)
        return;
    buf_puts(out, "Trailer: Grpc-Status, Grpc-Message");
    pass_put_names(x, out);
    buf_puts(out, "\r\n");
}

static void open_stream(struct exchange *x, const char *content_type)
{
    struct stream *s = &x->stream;
    struct buf *out = client_tail(x->client);
    s->open = true;
    s->chunked = x->http.minor > 0 && !x->client->framed;
    if (!s->chunked && !x->client->framed)
        x->keep_alive = false;
    struct response r = {
        .status = 200,
        .content_type = content_type,
        .cache_control = s->form == STREAM_SSE ? "no-cache" : NULL,
        .extra = x->gzip_out ? "X-Accel-Buffering: no\r\nConnect-Content-Encoding: gzip\r\n"
                             : "X-Accel-Buffering: no\r\n",
        .varies = true,
    };
    open_encoder(x, content_type);
    respond_head(x, &r, out);
    if (s->encoder != NULL)
        buf_printf(out, "Content-Encoding: %s\r\n", encoding_name(x->encoding));
    announce_trailers(x, out);
    buf_puts(out, s->chunked ? "Transfer-Encoding: chunked\r\n\r\n" : "\r\n");
    client_flush(x->client);
    if (x->head_only)
        return;
    if (s->form == STREAM_SSE)
        put_text(x, "retry: 3000\n: connected\n\n");
    if (s->held.size > 0)
        put_chunk(x, s->held.data, s->held.size);
    buf_done(&s->held);
    timer_start(&s->timer, TICK_MS);
}

void stream_on_headers(struct exchange *x)
{
    struct stream *s = &x->stream;
    if (s->open)
        return;
    if (x->head_only)
        nrpc_call_cancel(x->call);
    else if (s->form == STREAM_RAW)
        return; /* the first message names the type */
    else if (s->resumed)
        timer_start(&s->timer, HOLD_MS);
    else
        open_stream(x, default_type(x));
}

static bool keeps_up(const struct exchange *x)
{
    return client_pending(x->client) < GATEWAY_OUTPUT_MAX / 4;
}

static void on_tick(struct timer *t)
{
    struct stream *s = LIST_ENTRY(t, struct stream, timer);
    struct exchange *x = LIST_ENTRY(s, struct exchange, stream);
    uint64_t now = loop_now_ns(x->gl->loop);
    if (x->client == NULL || x->client->closing)
        return;
    if (!s->open) {
        open_stream(x, default_type(x));
        return;
    }
    struct client *client = x->client;
    if (client_pending(client) > 0 &&
        now - client->ops->progress_ns(client) >= (uint64_t) GATEWAY_STALL_MS * 1000000) {
        client->ops->abort(client);
        return;
    }
    if (keeps_up(x))
        stream_on_drained(x);
    if (s->form == STREAM_SSE && now - s->written_ns >= (uint64_t) HEARTBEAT_MS * 1000000)
        put_text(x, ": hb\n\n");
    else if (s->form == STREAM_WEBSOCKET &&
             now - s->written_ns >= (uint64_t) HEARTBEAT_MS * 1000000)
        socket_put_ping(x);
    timer_start(&s->timer, s->owed > 0 ? OWED_MS : TICK_MS);
}

/* ---- messages -------------------------------------------------------------------------- */

static bool find_number(nrpc_slice message, const struct desc_field *f, uint64_t *out)
{
    struct wire_reader r = wire_reader_of(message.data, message.size);
    struct wire_field v;
    bool found = false;
    while (f != NULL && wire_next(&r, &v) > 0)
        if (v.number == f->number && v.type == (enum wire_type) desc_wire_type(f->type) &&
            v.type != WIRE_BYTES) {
            *out = v.value;
            found = true;
        }
    return found;
}

/* TYPE_FIRST_TICK without its enum's prefix: "first_tick". */
static void put_event_name(struct exchange *x, nrpc_slice message, struct buf *out)
{
    const struct desc_field *f = x->stream.type;
    uint64_t number;
    if (f == NULL || f->enumeration == NULL || !find_number(message, f, &number))
        return;
    const struct desc_enum_value *v = desc_enum_by_number(f->enumeration, (int32_t) number);
    if (v == NULL)
        return;
    buf_puts(out, "event: ");
    for (const char *c = v->name + strlen(f->enumeration->prefix); *c != '\0'; c++)
        buf_putc(out, *c >= 'A' && *c <= 'Z' ? (char) (*c | 0x20) : *c);
    buf_putc(out, '\n');
}

static int put_json(struct exchange *x, nrpc_slice message, struct buf *out)
{
    return memo_json(&x->gl->memo, exchange_json(x), x->route->method->output,
                     x->route->response_body, message, out);
}

/* An element of an array, where the client wants to read it; other forms are a line each. */
static void lay_out(const struct exchange *x, struct buf *out, size_t start)
{
    if (x->binder.switches[SWITCH_PRETTY] != SWITCH_ON)
        return;
    json_indent(out, start);
    if (out->size > start && out->data[out->size - 1] == '\n')
        out->size--;
}

/* The message in its form, without chunk framing.  0 or negative with out as it was. */
static int put_message(struct exchange *x, nrpc_slice message, struct buf *out)
{
    struct stream *s = &x->stream;
    size_t before = out->size;
    uint64_t id;
    if (s->form == STREAM_SSE) {
        if (find_number(message, s->id, &id)) {
            buf_puts(out, "id: ");
            buf_put_u64(out, id);
            buf_putc(out, '\n');
            s->end_id = id + 1;
        }
        put_event_name(x, message, out);
        buf_puts(out, "data: ");
    } else if (s->form == STREAM_ARRAY) {
        buf_puts(out, s->any ? ",\n" : "[");
    }
    size_t start = out->size;
    int r = put_json(x, message, out);
    if (r < 0) {
        out->size = before;
        return r;
    }
    if (s->form == STREAM_ARRAY)
        lay_out(x, out, start);
    if (s->form != STREAM_ARRAY)
        buf_puts(out, s->form == STREAM_SSE ? "\n\n" : "\n");
    s->any = true;
    return 0;
}

/* The call is of no use any more; its end tells the client. */
static void fail_message(struct exchange *x, int r)
{
    exchange_fail(x, 502, r == NRPC_E_NOMEM ? NRPC_RESOURCE_EXHAUSTED : NRPC_INTERNAL, "BAD_ANSWER",
                  "the server's answer could not be read: %s",
                  r == NRPC_E_NOMEM ? "out of memory" : exchange_json(x)->error);
    nrpc_call_cancel(x->call);
}

/* Of a resumed watch, what the client has seen already waits: if nothing new follows, the answer is
 * 204.  Several messages may share the id that it names, and it may have been cut off from the rest
 * of them: those are shown again.  Who saw the end names an id behind them. */
static bool hold(struct exchange *x, nrpc_slice message)
{
    struct stream *s = &x->stream;
    uint64_t id;
    if (s->open || !s->resumed || !find_number(message, s->id, &id) || id >= s->resume_id)
        return false;
    return put_message(x, message, &s->held) == 0 && s->held.size <= STREAM_HELD_MAX;
}

static int write_raw(struct exchange *x, nrpc_slice message)
{
    struct wire_reader r = wire_reader_of(message.data, message.size);
    struct wire_field f, type = { .data = (const uint8_t *) "" }, data = { 0 };
    while (wire_next(&r, &f) > 0) {
        if (f.number == 1 && f.type == WIRE_BYTES)
            type = f;
        if (f.number == 2 && f.type == WIRE_BYTES)
            data = f;
    }
    if (!x->stream.open) {
        bool plain = type.size > 0 && type.size <= 200;
        for (size_t i = 0; plain && i < type.size; i++)
            plain = type.data[i] >= 0x20 && type.data[i] <= 0x7e;
        const char *name =
            plain ? arena_strndup(&x->arena, (const char *) type.data, type.size) : NULL;
        open_stream(x, name == NULL ? "application/octet-stream" : name);
    }
    if (data.size > 0)
        put_chunk(x, data.data, data.size);
    return 0;
}

static int write_frame(struct exchange *x, nrpc_slice message)
{
    struct buf *json = &x->gl->scratch;
    buf_reset(json);
    int r = put_json(x, message, json);
    if (r == 0)
        socket_put_text(x, json->data, json->size);
    return r;
}

static int write_message(struct exchange *x, nrpc_slice message)
{
    if (x->stream.form == STREAM_WEBSOCKET)
        return write_frame(x, message);
    if (x->stream.form == STREAM_RAW)
        return write_raw(x, message);
    if (hold(x, message))
        return 0;
    if (!x->stream.open)
        open_stream(x, default_type(x));
    struct buf *out = client_tail(x->client);
    size_t at = chunk_open(x, out);
    int r = 0;
    if (x->stream.form == STREAM_GRPC_WEB)
        r = rpcweb_put_message(x, message, out);
    else
        r = put_message(x, message, out);
    if (r < 0)
        out->size = at;
    else
        chunk_close(x, out, at);
    return r;
}

void stream_on_message(struct exchange *x, nrpc_msg *m)
{
    struct stream *s = &x->stream;
    if (x->head_only) {
        nrpc_msg_free(m);
        return;
    }
    int r = write_message(x, nrpc_msg_bytes(m));
    nrpc_msg_free(m);
    if (r < 0) {
        fail_message(x, r);
        return;
    }
    /* A credit goes back when the client keeps up; else the server waits with us. */
    if (keeps_up(x)) {
        nrpc_call_want(x->call, 1);
    } else if (s->owed++ == 0 && s->open) {
        timer_start(&s->timer, OWED_MS);
    }
}

void stream_on_drained(struct exchange *x)
{
    uint32_t owed = x->stream.owed;
    x->stream.owed = 0;
    if (owed > 0 && x->call != NULL)
        nrpc_call_want(x->call, owed);
}

/* ---- the end --------------------------------------------------------------------------- */

/* How the call ended, where HTTP itself has a place for it. */
static void put_trailers(struct exchange *x, struct buf *out)
{
    if (!x->stream.trailed)
        return;
    buf_printf(out, "Grpc-Status: %d\r\n", x->stream.failed ? (int) x->problem.code : 0);
    if (x->stream.failed) {
        buf_puts(out, "Grpc-Message: ");
        rpcweb_put_message_text(out, x->problem.detail);
        buf_puts(out, "\r\n");
    }
    pass_put_trailer_lines(x, out);
}

static void put_last_chunk(struct exchange *x)
{
    if (x->stream.encoder != NULL) {
        struct buf *out = client_tail(x->client);
        size_t at = chunk_open(x, out);
        encode_chunk(x, out, at, true);
        encoder_free(x->stream.encoder);
        x->stream.encoder = NULL;
        x->gl->stream_encoders--;
        chunk_close(x, out, at);
    }
    struct buf *out = client_tail(x->client);
    if (x->stream.chunked)
        buf_puts(out, "0\r\n");
    put_trailers(x, x->stream.chunked ? out : &x->client->trailers);
    if (x->stream.chunked)
        buf_puts(out, "\r\n");
    client_flush(x->client);
}

static void put_rpc_trailers(struct exchange *x, bool failed)
{
    struct buf *out = client_tail(x->client);
    size_t at = chunk_open(x, out);
    rpcweb_put_trailers(x, failed, out);
    chunk_close(x, out, at);
}

/* gRPC-Web tells the outcome behind the messages, whatever it is; HTTP's status stays 200. */
void stream_fail_rpc(struct exchange *x)
{
    timer_stop(&x->stream.timer);
    if (!x->stream.open)
        open_stream(x, default_type(x));
    put_rpc_trailers(x, true);
    put_last_chunk(x);
}

/* {"code":"OK"} with what else the server said at the end. */
static void put_outcome(const struct exchange *x, struct buf *out)
{
    buf_puts(out, "{\"code\":\"OK\"");
    pass_put_trailers(x, out);
    buf_putc(out, '}');
}

static void put_end_event(struct exchange *x)
{
    struct buf *out = &x->gl->scratch;
    buf_reset(out);
    if (x->stream.end_id > 0) { /* a connect from here finds nothing more: 204 */
        buf_puts(out, "id: ");
        buf_put_u64(out, x->stream.end_id);
        buf_putc(out, '\n');
    }
    buf_puts(out, "event: end\ndata: ");
    put_outcome(x, out);
    buf_puts(out, "\n\n");
    put_chunk(x, out->data, out->size);
}

/* Only to those who ask for it: others take every line for a message. */
static void put_end_line(struct exchange *x)
{
    struct buf *out = &x->gl->scratch;
    buf_reset(out);
    buf_puts(out, "{\"end\":");
    put_outcome(x, out);
    buf_puts(out, "}\n");
    put_chunk(x, out->data, out->size);
}

static void end_well(struct exchange *x)
{
    if (x->stream.form == STREAM_WEBSOCKET) {
        socket_close(x, WEBSOCKET_NORMAL, "");
        exchange_end(x);
        return;
    }
    if (x->stream.form == STREAM_GRPC_WEB)
        put_rpc_trailers(x, false);
    if (x->stream.form == STREAM_SSE)
        put_end_event(x);
    if (x->stream.form == STREAM_NDJSON && x->binder.switches[SWITCH_END] == SWITCH_ON)
        put_end_line(x);
    if (x->stream.form == STREAM_ARRAY)
        put_text(x, x->stream.any ? "]\n" : "[]\n");
    put_last_chunk(x);
    exchange_end(x);
}

/* The error in the stream's own form.  An array and raw bytes must not look whole: they end without
 * the last chunk. */
static void end_badly(struct exchange *x)
{
    struct stream *s = &x->stream;
    struct buf *out = &x->gl->scratch;
    if (s->form == STREAM_WEBSOCKET) {
        socket_fail(x); /* there is no call any more: this ends the exchange */
        return;
    }
    s->failed = true;
    buf_reset(out);
    if (s->form == STREAM_SSE)
        buf_puts(out, "event: error\ndata: ");
    else
        buf_puts(out, s->form == STREAM_ARRAY ? s->any ? ",\n{\"error\":" : "[{\"error\":"
                                              : "{\"error\":");
    size_t start = out->size;
    respond_put_problem(x, out);
    if (s->form == STREAM_ARRAY)
        lay_out(x, out, start);
    buf_puts(out, s->form == STREAM_SSE ? "\n\n" : s->form == STREAM_ARRAY ? "}]\n" : "}\n");
    if (s->form != STREAM_RAW)
        put_chunk(x, out->data, out->size);
    x->keep_alive = false;
    if (s->form == STREAM_SSE || s->form == STREAM_NDJSON)
        put_last_chunk(x);
    else
        x->client->broken = true;
    exchange_end(x);
}

void stream_on_end(struct exchange *x, const nrpc_status *st)
{
    struct stream *s = &x->stream;
    struct problem_context c = exchange_problem_context(x);
    timer_stop(&s->timer);
    if (x->head_only && !x->failed && (st->code == NRPC_OK || st->code == NRPC_CANCELLED)) {
        open_stream(x, default_type(x)); /* the head of what GET would stream */
        exchange_end(x);
        return;
    }
    if (st->code == NRPC_OK && !x->failed && !s->open && s->resumed) {
        /* Nothing came after what the client has: it must not connect again. */
        struct response r = { .status = 204 };
        respond_bytes(x, &r, "", 0);
        exchange_end(x);
        return;
    }
    if (st->code == NRPC_OK && !x->failed) {
        if (!s->open)
            open_stream(x, default_type(x));
        end_well(x);
        return;
    }
    if (!x->failed)
        problem_from_status(&x->problem, st, &c, &x->arena);
    if (s->form == STREAM_GRPC_WEB) {
        stream_fail_rpc(x);
        exchange_end(x);
        return;
    }
    if (s->open) {
        end_badly(x);
        return;
    }
    respond_problem(x);
    exchange_end(x);
}

void stream_done(struct exchange *x)
{
    if (x->stream.timer.loop != NULL)
        timer_stop(&x->stream.timer);
    buf_done(&x->stream.held);
    if (x->stream.encoder != NULL)
        x->gl->stream_encoders--;
    encoder_free(x->stream.encoder);
    x->stream.encoder = NULL;
}
