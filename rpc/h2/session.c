/* Life of a session and the verbs on its streams; what comes in is receive.c, what goes out
 * transmit.c. */
#include <stdatomic.h>
#include <string.h>

#include "rpc/h2/inner.h"

enum { FIRST_UNKNOWN_TYPE = 0x0a };
const uint8_t session_drain_mark[8] = { 'n', 'r', 'p', 'c', 'd', 'r', 'a', 'i' };

static void *mem_get(size_t size, void *ctx)
{
    (void) ctx;
    return alloc_get(size);
}
static void mem_free(void *p, void *ctx)
{
    (void) ctx;
    alloc_free(p);
}
static void *mem_zero(size_t n, size_t size, void *ctx)
{
    (void) ctx;
    return alloc_zero(n, size);
}
static void *mem_resize(void *p, size_t size, void *ctx)
{
    (void) ctx;
    return alloc_resize(p, size);
}

struct h2_stream *stream_new(struct h2_session *s, int32_t id)
{
    struct h2_stream *st = alloc_zero(1, sizeof *st);
    if (st == NULL)
        return NULL;
    st->session = s;
    st->id = id;
    list_init(&st->low_link);
    list_add_tail(&s->streams, &st->link);
    s->n_streams++;
    if (s->ev->on_streams != NULL)
        s->ev->on_streams(s->owner, s->n_streams);
    return st;
}

void stream_free(struct h2_stream *st)
{
    struct h2_session *s = st->session;
    list_remove(&st->link);
    list_remove(&st->low_link);
    buf_done(&st->trailers);
    alloc_free(st);
    s->n_streams--;
}

static void deliver_closed(struct h2_session *s)
{
    struct list *link;
    while ((link = list_take(&s->closed)) != NULL) {
        struct h2_stream *st = LIST_ENTRY(link, struct h2_stream, link);
        if (st->ev != NULL && st->ev->on_close != NULL)
            st->ev->on_close(st->user, st->close_code);
        if (s->options.role == H2_SERVER ? st->sent_end : st->close_code == H2_NO_ERROR) {
            s->counters.streams_succeeded++;
            h2_shield_answered(&s->shield);
        } else {
            s->counters.streams_failed++;
        }
        stream_free(st);
        if (s->ev->on_streams != NULL)
            s->ev->on_streams(s->owner, s->n_streams);
    }
}

static void deliver_low(struct h2_session *s)
{
    struct list *link;
    while ((link = list_take(&s->low)) != NULL) {
        struct h2_stream *st = LIST_ENTRY(link, struct h2_stream, low_link);
        st->notify_low = false;
        if (!st->closed && !st->reset && st->ev != NULL && st->ev->on_low != NULL)
            st->ev->on_low(st->user);
    }
}

void session_output(struct h2_session *s)
{
    if (s->ev->on_output != NULL)
        s->ev->on_output(s->owner);
}

static int options_make(nghttp2_option **out_option)
{
    nghttp2_option *o;
    if (nghttp2_option_new(&o) != 0)
        return NRPC_E_NOMEM;
    nghttp2_option_set_no_auto_window_update(o, 1);
    nghttp2_option_set_no_closed_streams(o, 1);
    nghttp2_option_set_max_reserved_remote_streams(o, 0);
    /* gRPC strips blanks around a value, and honest clients send them. */
    nghttp2_option_set_no_rfc9113_leading_and_trailing_ws_validation(o, 1);
    /* Frames of unknown types would be skipped unseen; the shield must count them. */
    for (unsigned type = FIRST_UNKNOWN_TYPE; type <= UINT8_MAX; type++)
        nghttp2_option_set_user_recv_extension_type(o, (uint8_t) type);
    /* Ours trips first and says why; the library's stays behind it. */
    nghttp2_option_set_max_outbound_ack(o, 2 * H2_SHIELD_BURST);
#ifdef HAVE_NGHTTP2_STREAM_RESET_RATE_LIMIT
    /* Far behind ours: the library does not know a client that hedges from an attacker. */
    nghttp2_option_set_stream_reset_rate_limit(o, 1 << 20, 1 << 20);
#endif
#ifdef HAVE_NGHTTP2_MAX_CONTINUATIONS
    nghttp2_option_set_max_continuations(o, 64); /* ours is smaller, see frames.c */
#endif
    *out_option = o;
    return 0;
}

static int session_make(struct h2_session *s)
{
    static nghttp2_mem memory = { NULL, mem_get, mem_free, mem_zero, mem_resize };
    nghttp2_session_callbacks *cb;
    nghttp2_option *option;
    if (options_make(&option) < 0)
        return NRPC_E_NOMEM;
    int r = nghttp2_session_callbacks_new(&cb);
    if (r == 0) {
        receive_set_callbacks(cb);
        transmit_set_callbacks(cb);
        r = s->options.role == H2_SERVER
                ? nghttp2_session_server_new3(&s->ng, cb, s, option, &memory)
                : nghttp2_session_client_new3(&s->ng, cb, s, option, &memory);
        nghttp2_session_callbacks_del(cb);
    }
    nghttp2_option_del(option);
    return r == 0 ? 0 : NRPC_E_NOMEM;
}

static int announce(struct h2_session *s)
{
    const struct h2_options *o = &s->options;
    nghttp2_settings_entry entries[] = {
        { NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, o->max_streams },
        { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, o->stream_window },
        { NGHTTP2_SETTINGS_MAX_FRAME_SIZE, H2_FRAME_BYTES },
        { NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, o->max_field_bytes },
        { NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1 },
        { NGHTTP2_SETTINGS_ENABLE_PUSH, 0 },
    };
    size_t n = ARRAY_SIZE(entries) - (o->role == H2_SERVER ? 1 : 0);
    if (o->role == H2_SERVER && o->connect_protocol) /* in the place of ENABLE_PUSH */
        entries[n++] =
            (nghttp2_settings_entry){ NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1 };
    if (nghttp2_submit_settings(s->ng, NGHTTP2_FLAG_NONE, entries, n) != 0)
        return NRPC_E_NOMEM;
    int32_t window = (int32_t) o->connection_window;
    if (nghttp2_session_set_local_window_size(s->ng, NGHTTP2_FLAG_NONE, 0, window) != 0)
        return NRPC_E_NOMEM;
    return 0;
}

int h2_session_new(const struct h2_options *o, const struct h2_session_events *ev, void *owner,
                   uint64_t now_ns, struct h2_session **out_session)
{
    if (o->stream_window > INT32_MAX || o->connection_window > INT32_MAX)
        return NRPC_E_INVAL;
    struct h2_session *s = alloc_zero(1, sizeof *s);
    if (s == NULL)
        return NRPC_E_NOMEM;
    s->options = *o;
    s->ev = ev;
    s->owner = owner;
    s->now_ns = now_ns;
    list_init(&s->streams);
    list_init(&s->closed);
    list_init(&s->low);
    h2_shield_init(&s->shield, now_ns);
    s->shield.ping_min_ns = o->ping_min_ms * 1000000ull;
    s->shield.ping_permit_idle = o->ping_permit_idle;
    if (session_make(s) < 0 || announce(s) < 0) {
        h2_session_free(s);
        return NRPC_E_NOMEM;
    }
    *out_session = s;
    return 0;
}

/* nghttp2 1.52 leaves an item both freed and attached when memory runs out while it queues DATA,
 * and would free it again with the session.  Such a session is kept for good instead: rare, and
 * better than a crash. */
static void bury(struct h2_session *s)
{
    static _Atomic(struct h2_session *) graveyard;
    s->buried_before = atomic_exchange(&graveyard, s);
}

void h2_session_free(struct h2_session *s)
{
    if (s == NULL)
        return;
    LIST_EACH(&s->streams, link, next)
    stream_free(LIST_ENTRY(link, struct h2_stream, link));
    LIST_EACH(&s->closed, link, next)
    stream_free(LIST_ENTRY(link, struct h2_stream, link));
    buf_done(&s->block);
    alloc_free(s->fields);
    if (s->unsafe) {
        bury(s);
        return;
    }
    nghttp2_session_del(s->ng);
    alloc_free(s);
}

/* The session broke: say so to the peer, once. */
void session_abuse(struct h2_session *s, enum h2_abuse kind)
{
    h2_abuse_note(kind);
    if (s->ev->on_abuse != NULL)
        s->ev->on_abuse(s->owner, kind);
}

void h2_session_end_abuse(struct h2_session *s, enum h2_abuse kind, const char *reason)
{
    if (s->failed)
        return;
    s->failed = true;
    session_abuse(s, kind);
    h2_session_goaway(s, H2_ENHANCE_YOUR_CALM, reason);
}

uint64_t h2_session_block_since_ns(const struct h2_session *s)
{
    return s->frames.block_ns;
}

static int fail(struct h2_session *s, int ng_error)
{
    s->failed = true;
    if (ng_error == NGHTTP2_ERR_NOMEM || s->no_memory)
        return NRPC_E_NOMEM;
    uint32_t code = H2_PROTOCOL_ERROR;
    const char *reason = nghttp2_strerror(ng_error);
    if (s->shield.tripped) {
        code = H2_ENHANCE_YOUR_CALM;
        reason = s->shield.ping_strikes > H2_PING_STRIKES ? "too_many_pings"
                                                          : "too many frames without progress";
        if (s->ev->on_abuse != NULL)
            s->ev->on_abuse(s->owner, s->shield.why);
    } else if (s->fault != NULL) {
        code = s->fault_code;
        reason = s->fault;
        session_abuse(s, code == H2_ENHANCE_YOUR_CALM ? H2_ABUSE_CONTINUATION
                                                      : H2_ABUSE_PROTOCOL_ERROR);
    } else if (ng_error == NGHTTP2_ERR_FLOODED) {
        code = H2_ENHANCE_YOUR_CALM;
        session_abuse(s, H2_ABUSE_UNREAD_ANSWERS);
    } else {
        session_abuse(s, H2_ABUSE_PROTOCOL_ERROR);
    }
    h2_session_goaway(s, code, reason);
    return NRPC_E_PROTO;
}

/* Between requests an idle connection holds no buffers of a large one. */
static void trim(struct h2_session *s)
{
    if (s->block.capacity > 4096)
        buf_done(&s->block);
}

int h2_session_feed(struct h2_session *s, const uint8_t *data, size_t size, uint64_t now_ns)
{
    if (s->failed)
        return NRPC_E_PROTO;
    s->now_ns = now_ns;
    int r = frames_feed(s, data, size);
    if (r >= 0 && (s->no_memory || s->shield.tripped))
        r = NGHTTP2_ERR_CALLBACK_FAILURE;
    int result = r < 0 ? fail(s, r) : 0;
    trim(s);
    deliver_closed(s);
    if (h2_session_wants_drain(s))
        session_output(s);
    return result;
}

int h2_session_drain(struct h2_session *s, struct buf *out, size_t max, uint64_t now_ns)
{
    s->now_ns = now_ns;
    s->out = out;
    s->out_max = max;
    int result = 0;
    frames_put_http1(s, out);
    while (out->size < max && frames_may_send(s)) {
        const uint8_t *data;
        ssize_t n = nghttp2_session_mem_send(s->ng, &data);
        if (n == NGHTTP2_ERR_NOMEM)
            s->unsafe = true;
        if (n < 0)
            result = n == NGHTTP2_ERR_NOMEM ? NRPC_E_NOMEM : NRPC_E_PROTO;
        if (n <= 0)
            break;
        buf_put(out, data, (size_t) n);
    }
    s->out = NULL;
    if (out->failed || s->no_memory)
        result = NRPC_E_NOMEM;
    if (result == 0 && s->shield.tripped && !s->failed) {
        result = fail(s, NGHTTP2_ERR_FLOODED);
        session_output(s);
    }
    deliver_closed(s);
    deliver_low(s);
    return result;
}

bool h2_session_wants_drain(const struct h2_session *s)
{
    return frames_answer_due(s) || (frames_may_send(s) && nghttp2_session_want_write(s->ng) != 0);
}

bool h2_session_is_done(const struct h2_session *s)
{
    return !h2_session_wants_drain(s) && (s->failed || nghttp2_session_want_read(s->ng) == 0);
}

void h2_session_abort(struct h2_session *s)
{
    s->failed = true;
    struct list *link;
    while ((link = list_take(&s->streams)) != NULL) {
        struct h2_stream *st = LIST_ENTRY(link, struct h2_stream, link);
        bool unsent = s->options.role == H2_CLIENT && !st->sent_head;
        st->closed = true;
        st->close_code = unsent ? H2_NEVER_SENT : H2_CONNECTION_LOST;
        list_add_tail(&s->closed, &st->link);
    }
    deliver_closed(s);
}

int h2_session_shutdown(struct h2_session *s)
{
    if (s->shutting_down || s->failed)
        return 0;
    s->shutting_down = true;
    if (nghttp2_submit_shutdown_notice(s->ng) != 0)
        return NRPC_E_NOMEM;
    session_output(s);
    return 0;
}

int h2_session_ping(struct h2_session *s)
{
    static const uint8_t mark[8] = "nrpclive";
    if (s->failed)
        return 0;
    if (nghttp2_submit_ping(s->ng, NGHTTP2_FLAG_NONE, mark) != 0)
        return NRPC_E_NOMEM;
    s->pings_out++;
    session_output(s);
    return 0;
}

bool h2_session_pinged_too_much(const struct h2_session *s)
{
    return s->pinged_too_much;
}

int h2_session_goaway(struct h2_session *s, uint32_t error_code, const char *reason)
{
    size_t size = reason == NULL ? 0 : strlen(reason);
    int32_t last = nghttp2_session_get_last_proc_stream_id(s->ng);
    int r = nghttp2_submit_goaway(s->ng, NGHTTP2_FLAG_NONE, last, error_code,
                                  (const uint8_t *) reason, size);
    if (r != 0)
        return r == NGHTTP2_ERR_NOMEM ? NRPC_E_NOMEM : NRPC_E_STATE;
    session_output(s);
    return 0;
}

size_t h2_session_streams(const struct h2_session *s)
{
    return s->n_streams;
}

bool h2_session_is_settled(const struct h2_session *s)
{
    return s->settled;
}

bool h2_session_has_settings(const struct h2_session *s)
{
    return s->got_settings;
}

bool h2_session_said_goaway(const struct h2_session *s)
{
    return s->sent_goaway;
}

bool h2_session_can_open(const struct h2_session *s)
{
    if (s->failed || s->got_goaway || !s->got_settings ||
        nghttp2_session_check_request_allowed(s->ng) == 0)
        return false;
    uint32_t limit =
        nghttp2_session_get_remote_settings(s->ng, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
    return s->n_streams < limit;
}

const struct h2_shield *h2_session_shield(const struct h2_session *s)
{
    return &s->shield;
}

void session_count_stream(struct h2_session *s)
{
    s->counters.streams_started++;
    s->counters.last_stream_ns = s->now_ns;
}

const struct h2_counters *h2_session_counters(const struct h2_session *s)
{
    return &s->counters;
}

void h2_session_windows(const struct h2_session *s, int64_t *out_local, int64_t *out_remote)
{
    *out_local = nghttp2_session_get_local_window_size(s->ng);
    *out_remote = nghttp2_session_get_remote_window_size(s->ng);
}

void h2_stream_count_messages(struct h2_stream *st, uint64_t sent, uint64_t received)
{
    struct h2_session *s = st->session;
    s->counters.messages_sent += sent;
    s->counters.messages_received += received;
    if (sent > 0)
        s->counters.last_sent_ns = s->now_ns;
    if (received > 0)
        s->counters.last_received_ns = s->now_ns;
}

/* The peer said how long a header list it takes (RFC 9113 section 6.5.2); it would only refuse. */
static bool peer_takes(const struct h2_session *s, const struct h2_field *fields, size_t n)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < n; i++)
        bytes += (uint64_t) fields[i].name_size + fields[i].value_size + H2_FIELD_OVERHEAD;
    return bytes <=
           nghttp2_session_get_remote_settings(s->ng, NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE);
}

int h2_stream_open(struct h2_session *s, const struct h2_field *fields, size_t n, bool end,
                   struct h2_queue *queue, const struct h2_stream_events *ev, void *user,
                   struct h2_stream **out_stream)
{
    nghttp2_nv nv[NV_MAX];
    if (!peer_takes(s, fields, n) || transmit_fields(fields, n, nv) < 0)
        return NRPC_E_TOOBIG;
    struct h2_stream *st = stream_new(s, 0);
    if (st == NULL)
        return NRPC_E_NOMEM;
    st->ev = ev;
    st->user = user;
    st->queue = queue;
    st->moved_ns = s->now_ns;
    nghttp2_data_provider body = { .source.ptr = st, .read_callback = transmit_read };
    int32_t id = nghttp2_submit_request(s->ng, NULL, nv, n, end ? NULL : &body, st);
    if (id < 0) {
        stream_free(st);
        return id == NGHTTP2_ERR_NOMEM ? NRPC_E_NOMEM : NRPC_E_CLOSED;
    }
    st->id = id;
    session_count_stream(s);
    session_output(s);
    *out_stream = st;
    return 0;
}

void h2_stream_bind(struct h2_stream *st, const struct h2_stream_events *ev, void *user)
{
    st->ev = ev;
    st->user = user;
}

static bool is_over(const struct h2_stream *st)
{
    return st->closed || st->reset || st->session->failed;
}

int h2_stream_respond(struct h2_stream *st, const struct h2_field *fields, size_t n, bool end,
                      struct h2_queue *queue)
{
    struct h2_session *s = st->session;
    nghttp2_nv nv[NV_MAX];
    if (is_over(st))
        return NRPC_E_CLOSED;
    if ((end && !peer_takes(s, fields, n)) || transmit_fields(fields, n, nv) < 0)
        return NRPC_E_TOOBIG;
    st->queue = queue;
    st->moved_ns = s->now_ns;
    nghttp2_data_provider body = { .source.ptr = st, .read_callback = transmit_read };
    int r = nghttp2_submit_response(s->ng, st->id, nv, n, end ? NULL : &body);
    if (r != 0)
        return r == NGHTTP2_ERR_NOMEM ? NRPC_E_NOMEM : NRPC_E_STATE;
    session_output(s);
    return 0;
}

int h2_stream_resume(struct h2_stream *st)
{
    if (is_over(st))
        return NRPC_E_CLOSED;
    if (!st->deferred)
        return 0;
    st->deferred = false;
    st->moved_ns = st->session->now_ns;
    int r = nghttp2_session_resume_data(st->session->ng, st->id);
    if (nghttp2_is_fatal(r))
        return NRPC_E_NOMEM;
    session_output(st->session);
    return 0;
}

int h2_stream_finish(struct h2_stream *st, const struct h2_field *trailers, size_t n)
{
    if (is_over(st))
        return NRPC_E_CLOSED;
    if (st->finishing || st->queue == NULL)
        return NRPC_E_STATE;
    if (n > NV_MAX || !peer_takes(st->session, trailers, n))
        return NRPC_E_TOOBIG;
    for (size_t i = 0; i < n; i++) {
        const struct h2_field *f = &trailers[i];
        uint32_t sizes[2] = { f->name_size, f->value_size };
        buf_put(&st->trailers, sizes, sizeof sizes);
        buf_put(&st->trailers, f->name, f->name_size);
        buf_put(&st->trailers, f->value, f->value_size);
    }
    if (st->trailers.failed) {
        buf_done(&st->trailers);
        return NRPC_E_NOMEM;
    }
    st->n_trailers = n;
    st->finishing = true;
    return h2_stream_resume(st);
}

/* Trailers are not subject to flow control, so they pass a window that is shut. */
int h2_stream_finish_now(struct h2_stream *st, const struct h2_field *trailers, size_t n)
{
    nghttp2_nv nv[NV_MAX];
    if (is_over(st))
        return NRPC_E_CLOSED;
    if (st->queue == NULL || n == 0 || transmit_fields(trailers, n, nv) < 0)
        return NRPC_E_INVAL;
    st->queue = NULL;
    st->finishing = true;
    if (st->submitted_trailers)
        return 0;
    st->submitted_trailers = true;
    if (nghttp2_submit_trailer(st->session->ng, st->id, nv, n) != 0)
        return NRPC_E_NOMEM;
    session_output(st->session);
    return 0;
}

void h2_stream_half_closes(struct h2_stream *st)
{
    st->half_closes = true;
}

void h2_stream_reset(struct h2_stream *st, uint32_t error_code)
{
    if (st->closed || st->reset)
        return;
    st->reset = true;
    if (nghttp2_submit_rst_stream(st->session->ng, NGHTTP2_FLAG_NONE, st->id, error_code) != 0)
        st->session->no_memory = true; /* the next feed or drain ends the connection */
    session_output(st->session);
}

void h2_stream_consume(struct h2_stream *st, size_t size)
{
    if (st->closed || size == 0)
        return;
    if (nghttp2_is_fatal(nghttp2_session_consume_stream(st->session->ng, st->id, size)))
        st->session->no_memory = true;
    else if (nghttp2_session_want_write(st->session->ng))
        session_output(st->session);
}

void h2_stream_notify_low(struct h2_stream *st, size_t low_bytes)
{
    st->low_bytes = low_bytes;
    st->notify_low = true;
}

void h2_stream_set_queue(struct h2_stream *st, struct h2_queue *queue)
{
    st->queue = queue;
}

int32_t h2_stream_id(const struct h2_stream *st)
{
    return st->id;
}

bool h2_stream_sent_end(const struct h2_stream *st)
{
    return st->sent_end;
}

uint64_t h2_stream_stalled_since_ns(const struct h2_stream *st)
{
    return st->queue != NULL && st->queue->size > 0 && !is_over(st) ? st->moved_ns : 0;
}

const struct h2_stream_events *h2_stream_bound(const struct h2_stream *st)
{
    return st->ev;
}

void *h2_stream_user(const struct h2_stream *st)
{
    return st->user;
}

struct h2_stream *h2_session_find_stalled(const struct h2_session *s, uint64_t since_ns)
{
    for (struct list *link = s->streams.next; link != &s->streams; link = link->next) {
        struct h2_stream *st = LIST_ENTRY(link, struct h2_stream, link);
        uint64_t since = h2_stream_stalled_since_ns(st);
        if (since != 0 && since <= since_ns)
            return st;
    }
    return NULL;
}

void h2_stream_detach(struct h2_stream *st)
{
    if (!st->reset && !st->closed && !(st->sent_end && st->got_end))
        h2_stream_reset(st, H2_CANCEL);
    st->ev = NULL;
    st->user = NULL;
    st->queue = NULL;
    list_remove(&st->low_link);
}
