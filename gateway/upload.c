#include "gateway/upload.h"

#include <string.h>

#include "gateway/envelope.h"
#include "gateway/request.h"
#include "gateway/rpcweb.h"

/* The server hears no more of it, and the client hears why when the call has ended. */
static void give_up(struct exchange *x)
{
    x->upload.over = true;
    if (x->call != NULL)
        nrpc_call_cancel(x->call);
}

/* Until then the client's bytes wait where they are. */
static void hold(struct exchange *x)
{
    x->upload.held = true;
    if (x->client != NULL)
        x->client->ops->hold(x->client, true);
}

static void begin_message(struct exchange *x)
{
    buf_reset(&x->wire);
    x->has_region = false;
    x->body_bytes = 0;
    request_begin(x);
    x->upload.open = !x->failed;
}

static bool put_message(struct exchange *x, const char *data, size_t size)
{
    if (!x->upload.open)
        begin_message(x);
    x->body_bytes += size;
    if (!x->failed && x->body_bytes > x->gl->gateway->settings.max_body_bytes)
        exchange_fail_too_large(x);
    if (!x->failed)
        request_put_body(x, data, size);
    return !x->failed;
}

/* The message in x->wire goes to the server.  False when the call takes nothing more now. */
static bool send_wire(struct exchange *x)
{
    int r = x->call == NULL
                ? NRPC_E_CLOSED
                : nrpc_call_send_bytes(x->call, (nrpc_slice){ x->wire.data, x->wire.size });
    if (r == NRPC_PAUSE)
        hold(x);
    else if (r == NRPC_E_NOMEM || r == NRPC_E_TOOBIG)
        exchange_fail(x, r == NRPC_E_TOOBIG ? 413 : 503, NRPC_RESOURCE_EXHAUSTED,
                      r == NRPC_E_TOOBIG ? "BODY_TOO_LARGE" : "OUT_OF_MEMORY",
                      "a message could not be sent to the server");
    else if (r < 0)
        x->upload.over = true; /* the call has ended: on_end tells */
    return r == 0;
}

static bool send_message(struct exchange *x)
{
    x->upload.open = false;
    request_finish(x);
    return !x->failed && send_wire(x);
}

/* The same with raw bytes: pieces as they come, none larger than PIECE_MAX. */
static void feed_raw(struct exchange *x, const char *data, size_t size)
{
    enum { PIECE_MAX = 65536 };
    struct upload *u = &x->upload;
    while (size > 0 && !x->failed && !u->held && !u->over) {
        size_t n = size < PIECE_MAX ? size : PIECE_MAX;
        if (put_message(x, data, n))
            send_message(x);
        data += n;
        size -= n;
    }
    if (x->failed)
        give_up(x);
    else if (u->held && size > 0)
        buf_put(&u->rest, data, size);
    if (u->rest.failed)
        give_up(x);
}

/* Connect's head of a message: flags and the length of what follows. */
static void read_head(struct exchange *x)
{
    struct upload *u = &x->upload;
    u->left = (uint32_t) u->head[1] << 24 | (uint32_t) u->head[2] << 16 |
              (uint32_t) u->head[3] << 8 | u->head[4];
    bool coded = u->head[0] == ENVELOPE_COMPRESSED;
    buf_reset(&u->frame);
    if (u->head[0] != 0 && !coded)
        exchange_fail(x, 400, NRPC_INVALID_ARGUMENT, "MALFORMED_REQUEST",
                      "a message has flags that are none of a client's");
    else if (coded && !x->gzip_in)
        exchange_fail(x, 400, NRPC_INVALID_ARGUMENT, "MALFORMED_REQUEST",
                      "a message is compressed, and Connect-Content-Encoding does not say how");
    else if (u->left > x->gl->gateway->settings.max_body_bytes)
        exchange_fail_too_large(x);
}

/* The message in u->frame is whole. */
static void send_frame(struct exchange *x)
{
    struct upload *u = &x->upload;
    bool coded = u->head[0] == ENVELOPE_COMPRESSED;
    u->head_size = 0;
    if (u->frame.failed)
        exchange_fail(x, 503, NRPC_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY",
                      "the gateway is out of memory");
    if (x->failed || (coded && !envelope_inflate(x, &u->frame)))
        return;
    struct buf old = x->wire;
    x->wire = u->frame;
    u->frame = old;
    if (x->rpc == RPC_CONNECT_STREAM_JSON)
        rpcweb_transcode(x);
    if (!x->failed)
        send_wire(x);
}

/* One head or piece of a message. */
static void take_frame(struct exchange *x, const char **data, size_t *size)
{
    struct upload *u = &x->upload;
    if (u->head_size < ENVELOPE_HEAD) {
        u->head[u->head_size++] = (uint8_t) * *data;
        ++*data;
        --*size;
        if (u->head_size == ENVELOPE_HEAD)
            read_head(x);
    } else {
        size_t n = *size < u->left ? *size : u->left;
        buf_put(&u->frame, *data, n);
        u->left -= (uint32_t) n;
        *data += n;
        *size -= n;
    }
    if (!x->failed && u->head_size == ENVELOPE_HEAD && u->left == 0)
        send_frame(x);
}

static void feed_framed(struct exchange *x, const char *data, size_t size)
{
    struct upload *u = &x->upload;
    while (size > 0 && !x->failed && !u->held && !u->over)
        take_frame(x, &data, &size);
    if (x->failed)
        give_up(x);
    else if (u->held && size > 0)
        buf_put(&u->rest, data, size);
    if (u->rest.failed)
        give_up(x);
}

/* Reads until the server wants no more; what is left is kept. */
static void feed(struct exchange *x, const char *data, size_t size)
{
    struct upload *u = &x->upload;
    if (u->framed || u->raw) {
        u->framed ? feed_framed(x, data, size) : feed_raw(x, data, size);
        return;
    }
    while (!x->failed && !u->held && !u->over) {
        const char *piece;
        size_t used, n;
        enum json_split_result r = json_split_feed(&u->split, data, size, &used, &piece, &n);
        data += used;
        size -= used;
        if (r == JSON_SPLIT_MORE)
            return;
        if (r == JSON_SPLIT_PIECE)
            put_message(x, piece, n);
        else if (r == JSON_SPLIT_END)
            send_message(x);
        else
            exchange_fail_field(x, "", u->split.error, "");
    }
    if (x->failed)
        give_up(x);
    else if (u->held && size > 0)
        buf_put(&u->rest, data, size);
    if (u->rest.failed)
        give_up(x);
}

static void finish(struct exchange *x)
{
    struct upload *u = &x->upload;
    if (u->over || u->held || x->failed)
        return;
    enum json_split_result r = u->raw || u->framed ? JSON_SPLIT_MORE : json_split_finish(&u->split);
    if (u->head_size > 0)
        exchange_fail(x, 400, NRPC_INVALID_ARGUMENT, "MALFORMED_REQUEST",
                      "the body ends within a message");
    if (r == JSON_SPLIT_END)
        send_message(x);
    else if (r == JSON_SPLIT_BAD)
        exchange_fail_field(x, "", u->split.error, "");
    if (x->failed) {
        give_up(x);
    } else if (!u->over) {
        u->over = true;
        (void) nrpc_call_half_close(x->call); /* an error here is the call's end */
    }
}

void upload_open(struct exchange *x)
{
    json_split_init(&x->upload.split);
    x->upload.active = true;
    x->upload.framed = rpcweb_is_framed(x);
    x->upload.raw = !x->upload.framed && request_is_raw(x) && !x->socket.active;
    exchange_start_call(x);
}

void upload_on_body(struct exchange *x, const char *data, size_t size)
{
    struct upload *u = &x->upload;
    if (u->over || x->failed)
        return;
    if (u->held)
        buf_put(&u->rest, data, size);
    else
        feed(x, data, size);
}

void upload_on_whole(struct exchange *x)
{
    x->upload.whole = true;
    if (!x->upload.held)
        finish(x);
}

void upload_on_writable(struct exchange *x)
{
    struct upload *u = &x->upload;
    struct buf rest = u->rest;
    u->rest = (struct buf){ 0 };
    u->held = false;
    feed(x, (const char *) rest.data, rest.size); /* before the client brings what is behind it */
    buf_done(&rest);
    if (!u->held && x->client != NULL)
        x->client->ops->hold(x->client, false);
    if (u->whole && !u->held)
        finish(x);
}

bool upload_message(struct exchange *x, const char *json, size_t size)
{
    if (x->upload.over || x->failed)
        return false;
    if (put_message(x, json, size))
        send_message(x);
    if (x->failed)
        give_up(x);
    return !x->failed && !x->upload.over;
}

void upload_done(struct exchange *x)
{
    buf_done(&x->upload.rest);
    buf_done(&x->upload.frame);
}
