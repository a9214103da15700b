/* From DATA to messages: bytes are taken only while there is a credit, and the stream's window is
 * returned only for bytes that were taken, so a handler that does not ask makes its peer stop. */
#include "rpc/call/call.h"
#include "rpc/grpc/codec.h"

enum {
    MESSAGES_A_TURN = 64,
    RETRY_MS = 100,
    DRIBBLE_BYTES_A_SECOND = 128,
    INFLATED_AS_ONE = 65536
};
#define NS_PER_MS 1000000ull

/* A message that has begun counts with all the bytes it announced: they are taken from the heap at
 * once. */
static void hold(nrpc_call *c, uint32_t size)
{
    call_budget_add(c->budget, (int64_t) size - c->in.held);
    c->in.held = size;
}

void call_input_init(nrpc_call *c)
{
    frame_init(&c->in.frames, c->limits->max_message_bytes, NULL, NULL);
}

void call_input_done(nrpc_call *c)
{
    struct call_input *in = &c->in;
    if (in->held > 0)
        hold(c, 0);
    frame_done(&in->frames);
    buf_done(&in->waiting);
    in->waiting_at = 0;
    timer_stop(&in->retry);
}

void call_input_reset(nrpc_call *c)
{
    uint32_t bytes_max = c->in.frames.bytes_max;
    call_input_init(c);
    c->in.frames.bytes_max = bytes_max;
    c->in.starved_ns = 0;
}

bool call_has_input(const nrpc_call *c)
{
    return c->in.waiting.size > c->in.waiting_at;
}

static void fail(nrpc_call *c, nrpc_code code, const char *text)
{
    nrpc_status st = NRPC_STATUS_INIT;
    nrpc_status_set(&st, code, "%s", text);
    call_end_here(c, &st);
}

static bool is_single(const nrpc_call *c)
{
    nrpc_kind kind = c->method->kind;
    return c->is_server ? kind == NRPC_UNARY || kind == NRPC_SERVER_STREAM
                        : kind == NRPC_UNARY || kind == NRPC_CLIENT_STREAM;
}

/* Inflating takes time that its few bytes do not show, so it takes more of the turn. */
static int inflate_message(nrpc_call *c, nrpc_msg **m, unsigned *budget)
{
    nrpc_status st = NRPC_STATUS_INIT;
    int r = call_inflate(c, m, &st);
    if (r < 0) {
        call_end_here(c, &st);
        return r;
    }
    size_t cost = nrpc_msg_bytes(*m).size / INFLATED_AS_ONE;
    *budget -= cost < *budget ? (unsigned) cost : *budget;
    return 0;
}

/* Takes m. */
static void deliver(nrpc_call *c, nrpc_msg *m, unsigned *budget)
{
    nrpc_status st = NRPC_STATUS_INIT;
    c->messages_in++;
    if (c->stream != NULL)
        h2_stream_count_messages(c->stream, 0, 1);
    if (c->messages_in > 1 && is_single(c)) {
        nrpc_msg_free(m);
        fail(c, NRPC_UNIMPLEMENTED, "the method takes exactly one message here, and more came");
        return;
    }
    if (nrpc_msg_was_compressed(m) && inflate_message(c, &m, budget) < 0) {
        nrpc_msg_free(m);
        return;
    }
    size_t size = nrpc_msg_bytes(m).size;
    for (uint32_t i = 0; i < c->begun; i++) {
        const nrpc_interceptor *in = &c->interceptors->list[i];
        if (in->on_message != NULL)
            in->on_message(in->ctx, c->interceptor_state[i], true, size);
    }
    if (c->events->on_message == NULL) {
        nrpc_msg_free(m);
        return;
    }
    int r = codec_decode(m, c->is_server ? c->method->input : c->method->output, &st);
    if (r < 0) {
        nrpc_msg_free(m);
        /* On a server it is the caller's argument that is no message of this type. */
        if (r == NRPC_E_PROTO && c->is_server)
            st.code = NRPC_INVALID_ARGUMENT;
        call_end_here(c, &st);
        return;
    }
    c->credits--;
    c->events->on_message(c, c->state, m);
}

/* May a message be begun?  Else tries again soon, and gives up after half a minute. */
static bool has_budget(nrpc_call *c)
{
    struct call_input *in = &c->in;
    if (call_budget_allows(c->budget)) {
        in->starved_ns = 0;
        return true;
    }
    uint64_t at = loop_now_ns(c->loop);
    if (in->starved_ns == 0)
        in->starved_ns = at;
    if (at - in->starved_ns >= CALL_BUDGET_WAIT_MS * NS_PER_MS)
        fail(c, NRPC_RESOURCE_EXHAUSTED, "the memory for incoming messages is in use");
    else
        timer_start(&in->retry, RETRY_MS);
    return false;
}

/* Takes what it can of data; returns how much. */
static size_t take(nrpc_call *c, const uint8_t *data, size_t size, unsigned *budget)
{
    struct frame_parser *frames = &c->in.frames;
    nrpc_slice rest = { data, size };
    while (!call_is_over(c)) {
        if (frames->msg == NULL &&
            (c->credits == 0 || *budget == 0 || rest.size == 0 || !has_budget(c)))
            break;
        nrpc_msg *m;
        int r = frame_feed(frames, &rest, &m);
        if (r < 0) {
            nrpc_status st = NRPC_STATUS_INIT;
            frame_error_status(frames, &st);
            call_end_here(c, &st);
        }
        if (r == 0 && frames->msg != NULL && c->in.held == 0)
            hold(c, frames->size);
        if (r <= 0)
            break;
        if (c->in.held > 0)
            hold(c, 0);
        --*budget;
        deliver(c, m, budget);
    }
    return size - rest.size;
}

/* What the end of the peer's side means, once every byte before it was taken. */
static void check_end(nrpc_call *c)
{
    if (!c->remote_ended || call_has_input(c) || call_is_over(c) || c->half_close_told)
        return;
    /* A server that ends a call early may stop inside a message; then its status says why. */
    if (frame_is_partial(&c->in.frames) && (c->is_server || c->remote_end.code == NRPC_OK)) {
        fail(c, NRPC_INTERNAL, "the stream ended inside a message");
        return;
    }
    c->half_close_told = true;
    if (c->is_server) {
        if (c->messages_in == 0 && is_single(c))
            fail(c, NRPC_UNIMPLEMENTED, "the method takes exactly one message, and none came");
        else if (c->events->on_half_close != NULL)
            c->events->on_half_close(c, c->state);
        return;
    }
    if (c->remote_end.code == NRPC_OK && c->messages_in == 0 && is_single(c)) {
        fail(c, NRPC_UNIMPLEMENTED, "the method answers exactly one message, and none came");
        return;
    }
    if (c->remote_end.code != NRPC_OK && call_attempt_failed(c, &c->remote_end, CALL_FAILED))
        return;
    if (c->stream != NULL && !h2_stream_sent_end(c->stream))
        h2_stream_reset(c->stream, H2_NO_ERROR); /* the answer came before our side was through */
    call_decide(c, &c->remote_end);
}

void call_on_bytes(nrpc_call *c, const uint8_t *data, size_t size)
{
    struct call_input *in = &c->in;
    size_t used = 0;
    unsigned budget = MESSAGES_A_TURN;
    if (call_is_over(c)) {
        used = size;
    } else if (!call_has_input(c) && in->starved_ns == 0) {
        c->pumping = true;
        used = take(c, data, size, &budget);
        c->pumping = false;
        if (call_is_over(c))
            used = size;
    }
    if (used < size) {
        buf_put(&in->waiting, data + used, size - used);
        if (in->waiting.failed)
            fail(c, NRPC_RESOURCE_EXHAUSTED, "out of memory");
        else if (budget == 0)
            call_later(c);
    }
    if (c->stream != NULL)
        h2_stream_consume(c->stream, used);
    check_end(c);
}

/* Moves bytes only when at least as many went, so one message at a time stays linear. */
static void drop_waiting(struct call_input *in, size_t used)
{
    in->waiting_at += used;
    if (in->waiting_at == in->waiting.size) {
        buf_done(&in->waiting);
        in->waiting_at = 0;
    } else if (in->waiting_at > in->waiting.size / 2) {
        buf_drop(&in->waiting, in->waiting_at);
        in->waiting_at = 0;
    }
}

void call_pump(nrpc_call *c)
{
    struct call_input *in = &c->in;
    unsigned budget = MESSAGES_A_TURN;
    if (!call_is_over(c)) {
        c->pumping = true;
        size_t used =
            take(c, in->waiting.data + in->waiting_at, in->waiting.size - in->waiting_at, &budget);
        c->pumping = false;
        if (c->stream != NULL)
            h2_stream_consume(c->stream, used);
        if (!call_is_over(c)) {
            drop_waiting(in, used);
            if (call_has_input(c) && budget == 0)
                call_later(c);
        }
    }
    check_end(c);
    /* The stream may be gone already; then nobody else will end this call. */
    if (c->phase == CALL_DECIDED && c->stream == NULL && !c->end_due)
        call_deliver_end(c);
}

void call_on_remote_end(nrpc_call *c)
{
    c->remote_ended = true;
    if (!call_is_over(c))
        call_move(c, c->phase == CALL_HALF_LOCAL ? CALL_HALF_BOTH : CALL_HALF_REMOTE);
    check_end(c);
}

void nrpc_call_want(nrpc_call *c, uint32_t credits)
{
    ON_LOOP(c->loop);
    c->credits = credits > UINT32_MAX - c->credits ? UINT32_MAX : c->credits + credits;
    if (!c->pumping && !call_is_over(c) && call_has_input(c))
        call_later(c);
}

bool call_is_dribbling(nrpc_call *c, uint32_t limit_ms)
{
    struct call_input *in = &c->in;
    uint32_t have = in->frames.msg != NULL ? in->frames.have + (uint32_t) sizeof in->frames.prefix
                                           : in->frames.prefix_have;
    bool due = !call_is_over(c) && !c->remote_ended && !call_has_input(c) && c->credits > 0 &&
               (frame_is_partial(&in->frames) || is_single(c));
    uint64_t at = loop_now_ns(c->loop);
    if (!due) {
        in->watched_ns = 0;
    } else if (in->watched_ns == 0 || in->watched_message != c->messages_in) {
        in->watched_ns = at;
        in->watched_message = c->messages_in;
        in->watched_bytes = have;
    } else if (at - in->watched_ns >= limit_ms * NS_PER_MS) {
        uint64_t least = limit_ms * (uint64_t) DRIBBLE_BYTES_A_SECOND / 1000;
        if (have - in->watched_bytes <= least)
            return true;
        in->watched_ns = at;
        in->watched_bytes = have;
    }
    return false;
}

/* ---- the request shortcut
 * ------------------------------------------------------------------------ */
static void on_request_message(nrpc_call *c, void *state, nrpc_msg *m)
{
    (void) state;
    c->request = m;
    c->credits++; /* so that a second message is seen, and refused */
}

static void on_request_end(nrpc_call *c, void *state)
{
    (void) state;
    nrpc_msg *m = c->request;
    c->request = NULL;
    c->announced = true;
    c->handler->request(c, c->service_ctx, m);
}

static void on_request_writable(nrpc_call *c, void *state)
{
    if (c->handler->on_writable != NULL)
        c->handler->on_writable(c, state);
}

static void on_request_over(nrpc_call *c, void *state, const nrpc_status *st)
{
    if (c->handler->on_end != NULL)
        c->handler->on_end(c, state, st);
}

const nrpc_events call_request_events = {
    .on_message = on_request_message,
    .on_half_close = on_request_end,
    .on_writable = on_request_writable,
    .on_end = on_request_over,
};
