#include "rpc/grpc/frame.h"

#include <string.h>

#include "rpc/grpc/codec.h"
#include "rpc/grpc/status.h"

enum { FLAG_COMPRESSED = 1 };

void frame_init(struct frame_parser *p, uint32_t bytes_max,
                void (*on_partial)(void *ctx, int64_t delta), void *ctx)
{
    *p = (struct frame_parser){ .bytes_max = bytes_max, .on_partial = on_partial, .ctx = ctx };
}

static void account(struct frame_parser *p, int64_t delta)
{
    if (p->on_partial != NULL && delta != 0)
        p->on_partial(p->ctx, delta);
}

static void eat(nrpc_slice *data, uint8_t *to, size_t size)
{
    if (size == 0)
        return;
    memcpy(to, data->data, size);
    data->data += size;
    data->size -= size;
}

static bool flag_is_good(const struct frame_parser *p)
{
    return p->prefix[0] == 0 || (p->prefix[0] == FLAG_COMPRESSED && p->encoding != NRPC_IDENTITY);
}

static int begin_message(struct frame_parser *p)
{
    p->size = (uint32_t) p->prefix[1] << 24 | (uint32_t) p->prefix[2] << 16 |
              (uint32_t) p->prefix[3] << 8 | p->prefix[4];
    if (p->size > p->bytes_max)
        return NRPC_E_TOOBIG;
    p->msg = codec_msg_new(p->size);
    if (p->msg == NULL)
        return NRPC_E_NOMEM;
    if (p->prefix[0] == FLAG_COMPRESSED)
        codec_msg_set_compressed(p->msg);
    p->data = codec_msg_data(p->msg);
    p->have = 0;
    return 0;
}

int frame_feed(struct frame_parser *p, nrpc_slice *data, nrpc_msg **out_msg)
{
    if (p->error != 0)
        return p->error;
    if (p->msg == NULL) {
        size_t need = sizeof p->prefix - p->prefix_have, n = data->size < need ? data->size : need;
        eat(data, p->prefix + p->prefix_have, n);
        p->prefix_have = (uint8_t) (p->prefix_have + n);
        /* A bad flag is told at once, not when the length is in. */
        if (p->prefix_have > 0 && !flag_is_good(p))
            return p->error = NRPC_E_PROTO;
        if (n < need)
            return 0;
        int r = begin_message(p);
        if (r < 0)
            return p->error = r;
    }
    uint32_t need = p->size - p->have, n = data->size < need ? (uint32_t) data->size : need;
    eat(data, p->data + p->have, n);
    if (n < need) {
        p->have += n;
        account(p, n);
        return 0;
    }
    account(p, -(int64_t) p->have);
    *out_msg = p->msg;
    p->msg = NULL;
    p->prefix_have = 0;
    return 1;
}

bool frame_is_partial(const struct frame_parser *p)
{
    return p->msg != NULL || p->prefix_have > 0;
}

void frame_error_status(const struct frame_parser *p, nrpc_status *st)
{
    nrpc_code code = status_code_of_error(p->error);
    if (p->error == NRPC_E_TOOBIG)
        nrpc_status_set(st, code,
                        "Received message of %u bytes is larger than the limit of %u bytes",
                        p->size, p->bytes_max);
    else if (p->error == NRPC_E_PROTO && p->prefix[0] == FLAG_COMPRESSED)
        nrpc_status_set(st, code, "Received a compressed message, but no grpc-encoding was agreed");
    else if (p->error == NRPC_E_PROTO)
        nrpc_status_set(st, code, "Received a message with unknown flags 0x%02x", p->prefix[0]);
    else if (p->error == 0)
        nrpc_status_set(st, NRPC_INTERNAL, "Received an incomplete message");
    else
        nrpc_status_set(st, code, "Cannot receive the message: %s", nrpc_strerror(p->error));
}

void frame_done(struct frame_parser *p)
{
    if (p->msg != NULL)
        account(p, -(int64_t) p->have);
    nrpc_msg_free(p->msg);
    p->msg = NULL;
    p->prefix_have = 0;
}
