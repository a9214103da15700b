/* What goes out: nghttp2 pulls DATA from the stream's queue straight into the output buffer, one
 * copy, frames as full as windows and the queue allow. */
#include <string.h>

#include "rpc/h2/inner.h"

enum { FRAME_HEAD = 9, MOVED_BYTES_MIN = 4096 };

int transmit_fields(const struct h2_field *fields, size_t n, nghttp2_nv *nv)
{
    if (n > NV_MAX)
        return NRPC_E_TOOBIG;
    for (size_t i = 0; i < n; i++)
        nv[i] = (nghttp2_nv){
            .name = (uint8_t *) (uintptr_t) fields[i].name,
            .value = (uint8_t *) (uintptr_t) fields[i].value,
            .namelen = fields[i].name_size,
            .valuelen = fields[i].value_size,
        };
    return 0;
}

static int submit_trailers(struct h2_stream *st)
{
    struct h2_field fields[NV_MAX];
    nghttp2_nv nv[NV_MAX];
    const uint8_t *p = st->trailers.data;
    for (size_t i = 0; i < st->n_trailers; i++) {
        uint32_t sizes[2];
        memcpy(sizes, p, sizeof sizes);
        p += sizeof sizes;
        fields[i] = (struct h2_field){
            .name = (const char *) p,
            .value = (const char *) p + sizes[0],
            .name_size = sizes[0],
            .value_size = sizes[1],
        };
        p += (size_t) sizes[0] + sizes[1];
    }
    (void) transmit_fields(fields, st->n_trailers, nv);
    return nghttp2_submit_trailer(st->session->ng, st->id, nv, st->n_trailers);
}

ssize_t transmit_read(nghttp2_session *ng, int32_t id, uint8_t *buf, size_t size, uint32_t *flags,
                      nghttp2_data_source *source, void *user_data)
{
    (void) ng;
    (void) id;
    (void) buf;
    (void) user_data;
    struct h2_stream *st = source->ptr;
    if (st->queue == NULL)
        return NGHTTP2_ERR_DEFERRED; /* its RST_STREAM or its trailers are on the way */
    size_t queued = st->queue->size;
    if (queued == 0 && !st->finishing) {
        st->deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (queued > size || !st->finishing)
        return (ssize_t) (queued > size ? size : queued);
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (st->n_trailers > 0) {
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        if (submit_trailers(st) != 0)
            return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
        st->submitted_trailers = true;
    }
    return (ssize_t) queued;
}

static int on_send_data(nghttp2_session *ng, nghttp2_frame *frame, const uint8_t *head, size_t size,
                        nghttp2_data_source *source, void *user_data)
{
    (void) ng;
    (void) frame;
    struct h2_session *s = user_data;
    struct h2_stream *st = source->ptr;
    CHECK(st->queue->size >= size); /* nothing runs between this and transmit_read */
    if (buf_reserve(s->out, FRAME_HEAD + size) < 0)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    buf_put(s->out, head, FRAME_HEAD);
    if (size > 0)
        h2_queue_read(st->queue, buf_grow(s->out, size), size);
    h2_shield_sent(&s->shield, size, st->queue->size == 0);
    /* A window opened byte by byte is no movement. */
    st->moved_bytes += size;
    if (st->moved_bytes >= MOVED_BYTES_MIN || st->queue->size == 0) {
        st->moved_ns = s->now_ns;
        st->moved_bytes = 0;
    }
    if (st->notify_low && st->queue->size <= st->low_bytes && list_empty(&st->low_link))
        list_add_tail(&s->low, &st->low_link);
    return s->out->size >= s->out_max ? NGHTTP2_ERR_PAUSE : 0;
}

static int on_frame_send(nghttp2_session *ng, const nghttp2_frame *frame, void *user_data)
{
    struct h2_session *s = user_data;
    struct h2_stream *st = nghttp2_session_get_stream_user_data(ng, frame->hd.stream_id);
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
        h2_shield_sent(&s->shield, 0, true);
        if (st != NULL)
            st->sent_head = true;
        break;
    case NGHTTP2_DATA:
        break;
    case NGHTTP2_RST_STREAM:
        if (s->options.role == H2_SERVER && (st == NULL || !st->reset) &&
            frame->rst_stream.error_code != NGHTTP2_NO_ERROR)
            (void) h2_shield_reset_sent(
                &s->shield, frame->rst_stream.error_code == NGHTTP2_REFUSED_STREAM, s->now_ns);
        return 0;
    case NGHTTP2_GOAWAY:
        /* The notice of a shutdown has the largest id and is no refusal yet.  The PING goes behind
         * it: submitted together, nghttp2 would send the PING first. */
        if (frame->goaway.error_code != NGHTTP2_NO_ERROR && !s->failed) /* the library's own */
            session_abuse(s, frame->goaway.error_code == NGHTTP2_ENHANCE_YOUR_CALM
                                 ? H2_ABUSE_SETTINGS_ENTRIES /* over 32 */
                                 : H2_ABUSE_PROTOCOL_ERROR);
        if (frame->goaway.last_stream_id != INT32_MAX)
            s->sent_goaway = true;
        else if (nghttp2_submit_ping(ng, NGHTTP2_FLAG_NONE, session_drain_mark) == 0)
            s->pings_out++;
        else
            s->no_memory = true;
        return 0;
    default:
        return 0;
    }
    if (st == NULL || (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0)
        return 0;
    st->sent_end = true;
    /* An answer that ends before the request did: tell the peer to stop (RFC 9113 section 8.1). */
    if (s->options.role == H2_SERVER && !st->half_closes &&
        nghttp2_session_get_stream_remote_close(ng, st->id) == 0) {
        st->reset = true;
        if (nghttp2_submit_rst_stream(ng, NGHTTP2_FLAG_NONE, st->id, NGHTTP2_NO_ERROR) != 0)
            s->no_memory = true;
    }
    return 0;
}

void transmit_set_callbacks(nghttp2_session_callbacks *cb)
{
    nghttp2_session_callbacks_set_send_data_callback(cb, on_send_data);
    nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_frame_send);
}
