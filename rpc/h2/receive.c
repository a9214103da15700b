/* What comes in: nghttp2's receive callbacks find the stream and call its events.  Nothing here
 * sends. */
#include <string.h>

#include "rpc/h2/inner.h"

static const char too_many_pings[] = "too_many_pings"; /* gRFC A8 */

static int verdict(bool ok)
{
    return ok ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
}

/* Every frame, known or not, as soon as its nine bytes are in: the shield charges here. */
static int on_begin_frame(nghttp2_session *ng, const nghttp2_frame_hd *hd, void *user_data)
{
    struct h2_session *s = user_data;
    struct h2_shield *shield = &s->shield;
    struct h2_stream *st = nghttp2_session_get_stream_user_data(ng, hd->stream_id);
    bool ack = (hd->flags & NGHTTP2_FLAG_ACK) != 0;
    switch (hd->type) {
    case NGHTTP2_PING:
        if (!ack)
            return verdict(h2_shield_ping(shield, s->n_streams > 0, s->now_ns));
        if (s->pings_out == 0) /* an answer to nothing */
            return verdict(h2_shield_charge(shield, H2_ABUSE_PING, s->now_ns));
        s->pings_out--;
        return 0;
    case NGHTTP2_SETTINGS:
        if ((ack && !s->settled) || (!ack && !s->got_settings))
            return 0;
        return verdict(h2_shield_charge(shield, H2_ABUSE_SETTINGS, s->now_ns));
    case NGHTTP2_PRIORITY:
        return verdict(h2_shield_charge(shield, H2_ABUSE_PRIORITY, s->now_ns));
    case NGHTTP2_WINDOW_UPDATE:
        return verdict(h2_shield_window_update(shield, s->now_ns));
    case NGHTTP2_RST_STREAM:
        /* A stream that is over on our side costs nothing: a peer may answer an early end so. */
        if (s->options.role == H2_CLIENT || (st != NULL && st->sent_end))
            return 0;
        return verdict(h2_shield_reset(shield, s->now_ns));
    case NGHTTP2_GOAWAY:
        return verdict(!s->got_goaway || h2_shield_charge(shield, H2_ABUSE_GOAWAY, s->now_ns));
    case NGHTTP2_DATA: /* an empty one is charged when it is whole */
    case NGHTTP2_HEADERS:
    case NGHTTP2_PUSH_PROMISE:
    case NGHTTP2_CONTINUATION:
        return 0;
    default:
        return verdict(h2_shield_charge(shield, H2_ABUSE_UNKNOWN_FRAME, s->now_ns));
    }
}

static int on_begin_headers(nghttp2_session *ng, const nghttp2_frame *frame, void *user_data)
{
    struct h2_session *s = user_data;
    buf_reset(&s->block);
    s->n_fields = s->list_bytes = s->list_count = 0;
    s->list_too_big = false;
    if (frame->hd.type != NGHTTP2_HEADERS)
        return 0;
    if (s->options.role == H2_SERVER && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
        struct h2_stream *st = stream_new(s, frame->hd.stream_id);
        if (st == NULL)
            return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
        nghttp2_session_set_stream_user_data(ng, st->id, st);
        /* Incremental (RFC 9218): streams take turns, frame by frame.  By default the lowest would
         * go first for as long as it has something to send, and a client could ask for that. */
        static const nghttp2_extpri turns = { NGHTTP2_EXTPRI_DEFAULT_URGENCY, 1 };
        if (nghttp2_session_change_extpri_stream_priority(ng, st->id, &turns, 1) != 0)
            s->no_memory = true;
        session_count_stream(s);
    }
    return 0;
}

static bool field_store(struct h2_session *s, const uint8_t *name, size_t name_size,
                        const uint8_t *value, size_t value_size)
{
    if (s->n_fields == s->fields_capacity) {
        size_t capacity = s->fields_capacity == 0 ? 16 : s->fields_capacity * 2;
        struct h2_field *grown = alloc_resize(s->fields, capacity * sizeof *grown);
        if (grown == NULL)
            return false;
        s->fields = grown;
        s->fields_capacity = capacity;
    }
    /* Addresses are set once the block is whole; until then the buffer may move. */
    s->fields[s->n_fields++] = (struct h2_field){
        .name_size = (uint32_t) name_size,
        .value_size = (uint32_t) value_size,
    };
    buf_put(&s->block, name, name_size);
    buf_putc(&s->block, '\0');
    buf_put(&s->block, value, value_size);
    buf_putc(&s->block, '\0');
    return !s->block.failed;
}

static void tell_too_big(struct h2_stream *st)
{
    if (st->reset)
        return;
    if (st->ev != NULL && st->ev->on_too_big != NULL)
        st->ev->on_too_big(st->user);
    h2_stream_reset(st, H2_INTERNAL_ERROR);
}

/* The same when nghttp2 is about to reset the stream itself. */
static void tell_far_too_big(struct h2_session *s, int32_t id)
{
    struct h2_stream *st = nghttp2_session_get_stream_user_data(s->ng, id);
    if (s->options.role == H2_SERVER || st == NULL || st->reset)
        return;
    st->reset = true;
    if (st->ev != NULL && st->ev->on_too_big != NULL)
        st->ev->on_too_big(st->user);
}

/* Over the limit the rest is not kept but still read, so that the peer gets a proper answer; at
 * twice the limit decoding stops (an HPACK bomb makes megabytes of one frame) and the stream is
 * reset. */
static int on_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_size, const uint8_t *value, size_t value_size, uint8_t flags,
                     void *user_data)
{
    (void) ng;
    (void) flags;
    struct h2_session *s = user_data;
    if (frame->hd.type != NGHTTP2_HEADERS)
        return 0;
    s->list_bytes += name_size + value_size + H2_FIELD_OVERHEAD;
    s->list_count++;
    if (s->list_bytes > s->options.max_field_bytes || s->list_count > s->options.max_fields) {
        s->list_too_big = true;
        if (s->list_bytes / 2 > s->options.max_field_bytes ||
            s->list_count / 2 > s->options.max_fields) {
            tell_far_too_big(s, frame->hd.stream_id);
            session_abuse(s, H2_ABUSE_HEADER_LIST);
            return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
        }
        return 0;
    }
    return field_store(s, name, name_size, value, value_size)
               ? 0
               : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static void fields_locate(struct h2_session *s)
{
    const char *p = (const char *) s->block.data;
    for (size_t i = 0; i < s->n_fields; i++) {
        struct h2_field *f = &s->fields[i];
        f->name = p;
        p += f->name_size + 1;
        f->value = p;
        p += f->value_size + 1;
    }
}

static bool is_interim(const struct h2_session *s)
{
    return s->n_fields > 0 && s->fields[0].name_size == 7 &&
           memcmp(s->fields[0].name, ":status", 7) == 0 && s->fields[0].value_size == 3 &&
           s->fields[0].value[0] == '1';
}

static void on_block(struct h2_session *s, struct h2_stream *st, bool end)
{
    fields_locate(s);
    if (s->options.role == H2_SERVER && !st->got_head) {
        st->got_head = true;
        s->ev->on_request(s->owner, st, s->fields, s->n_fields, end, s->list_too_big);
        if (st->ev == NULL && !st->reset)
            h2_stream_reset(st, H2_REFUSED_STREAM);
    } else if (!st->got_head) {
        if (is_interim(s) && !end)
            return;
        st->got_head = true;
        if (s->list_too_big)
            tell_too_big(st);
        else if (st->ev != NULL && st->ev->on_headers != NULL && !st->reset)
            st->ev->on_headers(st->user, s->fields, s->n_fields, end);
    } else if (s->list_too_big && s->options.role == H2_CLIENT) {
        tell_too_big(st);
    } else if (st->ev != NULL && st->ev->on_trailers != NULL && !st->reset) {
        st->ev->on_trailers(st->user, s->fields, s->n_fields);
    }
}

static void on_control_frame(struct h2_session *s, const nghttp2_frame *frame)
{
    bool ack = (frame->hd.flags & NGHTTP2_FLAG_ACK) != 0;
    switch (frame->hd.type) {
    case NGHTTP2_SETTINGS:
        if (ack) {
            s->settled = true;
        } else if (!s->got_settings) {
            s->got_settings = true;
            if (s->ev->on_settings != NULL)
                s->ev->on_settings(s->owner);
        }
        break;
    case NGHTTP2_GOAWAY:
        s->got_goaway = true;
        s->pinged_too_much =
            frame->goaway.error_code == NGHTTP2_ENHANCE_YOUR_CALM &&
            frame->goaway.opaque_data_len == sizeof too_many_pings - 1 &&
            memcmp(frame->goaway.opaque_data, too_many_pings, sizeof too_many_pings - 1) == 0;
        if (s->ev->on_goaway != NULL)
            s->ev->on_goaway(s->owner, frame->goaway.error_code);
        break;
    case NGHTTP2_PING:
        if (ack && s->shutting_down && !s->sent_goaway &&
            memcmp(frame->ping.opaque_data, session_drain_mark, sizeof session_drain_mark) == 0)
            h2_session_goaway(s, H2_NO_ERROR, NULL);
        break;
    default:
        break;
    }
}

static int on_frame_recv(nghttp2_session *ng, const nghttp2_frame *frame, void *user_data)
{
    struct h2_session *s = user_data;
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) {
        on_control_frame(s, frame);
        return 0;
    }
    struct h2_stream *st = nghttp2_session_get_stream_user_data(ng, frame->hd.stream_id);
    bool end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    bool empty = frame->hd.type == NGHTTP2_DATA && frame->hd.length <= frame->data.padlen;
    if (empty && !end && !h2_shield_charge(&s->shield, H2_ABUSE_EMPTY_DATA, s->now_ns))
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    if (frame->hd.type == NGHTTP2_DATA && !empty)
        h2_shield_received(&s->shield);
    if (st == NULL)
        return 0;
    st->got_end |= end;
    if (frame->hd.type == NGHTTP2_HEADERS)
        on_block(s, st, end);
    if (end && st->ev != NULL && st->ev->on_end != NULL && !st->reset)
        st->ev->on_end(st->user);
    return 0;
}

static int on_data_chunk(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *data,
                         size_t size, void *user_data)
{
    (void) flags;
    struct h2_session *s = user_data;
    struct h2_stream *st = nghttp2_session_get_stream_user_data(ng, id);
    /* The connection's window goes back now: waiting for a handler would let one slow call stall
     * all. */
    int r = nghttp2_session_consume_connection(ng, size);
    if (nghttp2_is_fatal(r))
        s->no_memory = true;
    if (st == NULL)
        return 0;
    if (st->ev != NULL && st->ev->on_data != NULL && !st->reset)
        st->ev->on_data(st->user, data, size);
    else
        h2_stream_consume(st, size);
    return s->no_memory ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static int on_stream_close(nghttp2_session *ng, int32_t id, uint32_t error_code, void *user_data)
{
    struct h2_session *s = user_data;
    struct h2_stream *st = nghttp2_session_get_stream_user_data(ng, id);
    if (st == NULL || st->closed)
        return 0;
    nghttp2_session_set_stream_user_data(ng, id, NULL);
    st->closed = true;
    st->close_code = s->options.role == H2_CLIENT && !st->sent_head ? H2_NEVER_SENT : error_code;
    list_remove(&st->link);
    list_remove(&st->low_link);
    list_add_tail(&s->closed, &st->link);
    return 0;
}

/* A frame of a type we do not know: counted in on_begin_frame, its payload is skipped. */
static int on_extension(nghttp2_session *ng, void **payload, const nghttp2_frame_hd *hd,
                        void *user_data)
{
    (void) ng;
    (void) payload;
    (void) hd;
    (void) user_data;
    return NGHTTP2_ERR_CANCEL;
}

static int on_extension_chunk(nghttp2_session *ng, const nghttp2_frame_hd *hd, const uint8_t *data,
                              size_t size, void *user_data)
{
    (void) ng;
    (void) hd;
    (void) data;
    (void) size;
    (void) user_data;
    return NGHTTP2_ERR_CANCEL;
}

void receive_set_callbacks(nghttp2_session_callbacks *cb)
{
    nghttp2_session_callbacks_set_on_begin_frame_callback(cb, on_begin_frame);
    nghttp2_session_callbacks_set_unpack_extension_callback(cb, on_extension);
    nghttp2_session_callbacks_set_on_extension_chunk_recv_callback(cb, on_extension_chunk);
    nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame_recv);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data_chunk);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
}
