/* grpc.testing.BenchmarkService: every answer is a payload of the size that the request names. */
#include "tests/interop/services.h"

/* One answer for one request.  The result of the send; negative: the call was ended. */
static int answer(nrpc_call *c, const nrpc_msg *m, bool last)
{
    const Grpc__Testing__SimpleRequest *q =
        grpc_testing_benchmark_service_streaming_call_request(m);
    Grpc__Testing__SimpleResponse response = GRPC__TESTING__SIMPLE_RESPONSE__INIT;
    Grpc__Testing__Payload payload;
    nrpc_status st = NRPC_STATUS_INIT;
    if (interop_payload(q->response_type, q->response_size, &payload, &st) != NRPC_OK) {
        interop_fail(c, &st);
        return NRPC_E_STATE;
    }
    response.payload = &payload;
    if (last)
        return nrpc_call_reply(c, &response.base);
    int r = nrpc_call_send(c, &response.base);
    if (r < 0)
        interop_fail_send(c, r);
    return r;
}

static void unary_call(nrpc_call *c, void *service_ctx, nrpc_msg *request)
{
    (void) service_ctx;
    (void) answer(c, request, true);
    nrpc_msg_free(request);
}

/* The last request of a stream, which says what is answered; NULL: none came. */
struct last {
    nrpc_call *call;
    nrpc_msg *request;
    bool half_closed;
};

static nrpc_code last_start(nrpc_call *c, void *service_ctx, void **out_state, nrpc_status *st)
{
    (void) service_ctx;
    struct last *l = nrpc_call_alloc(c, sizeof *l);
    if (l == NULL)
        nrpc_status_set(st, NRPC_RESOURCE_EXHAUSTED, "out of memory");
    else
        l->call = c;
    *out_state = l;
    return st->code;
}

static void last_end(nrpc_call *c, void *state, const nrpc_status *st)
{
    (void) c;
    (void) st;
    struct last *l = state;
    if (l != NULL)
        nrpc_msg_free(l->request);
}

/* ---- StreamingCall: ping-pong ---------------------------------------------------------------- */
static void pong_next(struct last *l)
{
    if (l->half_closed)
        nrpc_call_finish(l->call, NULL);
    else
        nrpc_call_want(l->call, 1);
}

static void pong_message(nrpc_call *c, void *state, nrpc_msg *m)
{
    struct last *l = state;
    int r = answer(c, m, false);
    nrpc_msg_free(m);
    if (r == 0)
        pong_next(l);
    /* NRPC_PAUSE: the next request is asked for once this answer is on its way. */
}

static void pong_writable(nrpc_call *c, void *state)
{
    (void) c;
    pong_next(state);
}

static void pong_half_close(nrpc_call *c, void *state)
{
    struct last *l = state;
    l->half_closed = true;
    nrpc_call_finish(c, NULL);
}

/* ---- StreamingFromClient ----------------------------------------------------------------------
 */
static void collect_message(nrpc_call *c, void *state, nrpc_msg *m)
{
    struct last *l = state;
    nrpc_msg_free(l->request);
    l->request = m;
    nrpc_call_want(c, 1);
}

static void collect_half_close(nrpc_call *c, void *state)
{
    struct last *l = state;
    Grpc__Testing__SimpleResponse empty = GRPC__TESTING__SIMPLE_RESPONSE__INIT;
    if (l->request != NULL)
        (void) answer(c, l->request, true);
    else
        nrpc_call_reply(c, &empty.base);
}

/* ---- StreamingFromServer, StreamingBothWays: answers without end, as fast as they are read ----
 */
static void pour(nrpc_call *c, struct last *l)
{
    while (l->request != NULL && !l->half_closed)
        if (answer(c, l->request, false) != 0)
            return; /* over, or on_writable goes on */
}

static void from_server(nrpc_call *c, void *service_ctx, nrpc_msg *request)
{
    (void) service_ctx;
    struct last *l = nrpc_call_alloc(c, sizeof *l);
    if (l == NULL) {
        nrpc_msg_free(request);
        interop_fail_send(c, NRPC_E_NOMEM);
        return;
    }
    l->call = c;
    l->request = request;
    nrpc_call_set_state(c, l);
    pour(c, l);
}

static void pour_writable(nrpc_call *c, void *state)
{
    pour(c, state);
}

static void both_message(nrpc_call *c, void *state, nrpc_msg *m)
{
    struct last *l = state;
    nrpc_call_want(c, 1);
    if (l->request != NULL) { /* the first one says what is sent */
        nrpc_msg_free(m);
        return;
    }
    l->request = m;
    pour(c, l);
}

static void both_half_close(nrpc_call *c, void *state)
{
    struct last *l = state;
    l->half_closed = true;
    nrpc_call_finish(c, NULL);
}

int interop_add_benchmark_service(nrpc_server *s)
{
    static const nrpc_events pong = { .on_start = last_start,
                                      .on_message = pong_message,
                                      .on_half_close = pong_half_close,
                                      .on_writable = pong_writable,
                                      .on_end = last_end };
    static const nrpc_events collect = { .on_start = last_start,
                                         .on_message = collect_message,
                                         .on_half_close = collect_half_close,
                                         .on_end = last_end };
    static const nrpc_events both = { .on_start = last_start,
                                      .on_message = both_message,
                                      .on_half_close = both_half_close,
                                      .on_writable = pour_writable,
                                      .on_end = last_end };
    static const grpc_testing_benchmark_service_handlers handlers = {
        .unary_call = { .request = unary_call },
        .streaming_call = { .stream = &pong },
        .streaming_from_client = { .stream = &collect },
        .streaming_from_server = { .request = from_server,
                                   .on_writable = pour_writable,
                                   .on_end = last_end },
        .streaming_both_ways = { .stream = &both },
    };
    return grpc_testing_benchmark_service_register(s, &handlers, NULL);
}
