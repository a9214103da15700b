/* grpc.testing.TestService: the calls whose answer is a stream.  One request at a time is answered,
 * response by response, each after its interval and only as fast as the peer reads; the next
 * request is taken (a credit) when the last one is done, so a call holds one request.  HalfDuplex
 * holds all requests until the peer's half-close, as its description says, up to a limit. */
#include <string.h>

#include "rpc/io/loop.h"
#include "tests/interop/orca.h"
#include "tests/interop/test_service.h"

enum { HELD_MAX = 256, HELD_BYTES_MAX = 4 << 20 };

struct answers {
    nrpc_call *call;
    struct timer pause;
    nrpc_msg *current; /* being answered; NULL: none */
    size_t next;       /* its next response */
    bool waited;       /* the interval before that response is over */
    bool holds_report;
    bool awaits_report; /* another call holds the load report: the pause is for that */
    bool half_closed, over;
    bool compresses; /* the call has an encoding; which messages use it, their requests say */
    nrpc_msg *held[HELD_MAX]; /* HalfDuplex */
    size_t n_held, at, held_bytes;
};

static void answers_go(struct answers *a);

static void on_pause_over(struct timer *t)
{
    struct answers *a = CONTAINER_OF(t, struct answers, pause);
    a->waited = !a->awaits_report;
    a->awaits_report = false;
    answers_go(a);
}

static struct answers *answers_new(nrpc_call *c)
{
    struct answers *a = nrpc_call_alloc(c, sizeof *a);
    if (a != NULL) {
        a->call = c;
        timer_init(&a->pause, nrpc_call_loop(c), on_pause_over);
    }
    return a;
}

static const Grpc__Testing__StreamingOutputCallRequest *request_of(const nrpc_msg *m)
{
    return grpc_testing_test_service_streaming_output_call_request(m);
}

/* The current request is answered: the next one, the end, or a credit for more. */
static void answers_advance(struct answers *a)
{
    nrpc_msg_free(a->current);
    a->current = NULL;
    a->next = 0;
    if (a->at < a->n_held) {
        a->current = a->held[a->at];
        a->held[a->at++] = NULL;
    } else if (a->half_closed) {
        a->over = true;
        nrpc_call_finish(a->call, NULL);
    } else {
        nrpc_call_want(a->call, 1);
    }
}

static bool is_compressed(const Grpc__Testing__ResponseParameters *p)
{
    return p->compressed != NULL && p->compressed->value;
}

/* An encoding is named in the headers, so the first request that wants one must come before them.
 */
static void answers_choose_encoding(struct answers *a,
                                    const Grpc__Testing__StreamingOutputCallRequest *q)
{
    for (size_t i = 0; i < q->n_response_parameters && !a->compresses; i++)
        if (is_compressed(q->response_parameters[i])) {
            a->compresses = nrpc_call_set_compression(a->call, NRPC_GZIP) == 0;
            return;
        }
}

/* Sets the load report that the request carries; false when the call is over or must wait. */
static bool answers_report(struct answers *a, const Grpc__Testing__StreamingOutputCallRequest *q)
{
    int r = q->orca_oob_report == NULL ? 0 : orca_hold(a, q->orca_oob_report);
    if (r == NRPC_E_FULL) {
        a->awaits_report = true;
        timer_start(&a->pause, ORCA_RETRY_MS);
    } else if (r < 0) {
        a->over = true;
        nrpc_call_fail(a->call, NRPC_INVALID_ARGUMENT, ORCA_TOO_LARGE);
    }
    a->holds_report = a->holds_report || (r == 0 && q->orca_oob_report != NULL);
    return r == 0;
}

/* Sends one response; false when the call is over or must wait. */
static bool answers_send(struct answers *a, const Grpc__Testing__StreamingOutputCallRequest *q)
{
    const Grpc__Testing__ResponseParameters *p = q->response_parameters[a->next];
    Grpc__Testing__StreamingOutputCallResponse answer =
        GRPC__TESTING__STREAMING_OUTPUT_CALL_RESPONSE__INIT;
    Grpc__Testing__Payload payload;
    nrpc_status st = NRPC_STATUS_INIT;
    if (!a->waited && p->interval_us > 0) {
        timer_start(&a->pause, ((uint64_t) p->interval_us + 999) / 1000);
        return false;
    }
    if (interop_payload(q->response_type, p->size, &payload, &st) != NRPC_OK) {
        a->over = true;
        interop_fail(a->call, &st);
        return false;
    }
    answer.payload = &payload;
    if (a->compresses)
        nrpc_call_compress_next(a->call, is_compressed(p));
    int r = nrpc_call_send(a->call, &answer.base);
    if (r < 0) {
        a->over = true;
        interop_fail_send(a->call, r);
        return false;
    }
    a->next++;
    a->waited = false;
    return r != NRPC_PAUSE;
}

static void answers_go(struct answers *a)
{
    while (!a->over && a->current != NULL) {
        const Grpc__Testing__StreamingOutputCallRequest *q = request_of(a->current);
        if (a->next == 0 && !answers_report(a, q))
            return;
        if (a->next == 0)
            answers_choose_encoding(a, q);
        if (a->next == 0 && test_service_echo_status(a->call, q->response_status))
            a->over = true;
        else if (a->next == q->n_response_parameters)
            answers_advance(a);
        else if (!answers_send(a, q))
            return;
    }
}

/* ---- StreamingOutputCall -------------------------------------------------------------------- */
void test_service_output_call(nrpc_call *c, void *service_ctx, nrpc_msg *request)
{
    (void) service_ctx;
    struct answers *a = answers_new(c);
    int r = a == NULL ? NRPC_E_NOMEM : test_service_echo_metadata(c);
    if (r < 0) {
        nrpc_msg_free(request);
        interop_fail_send(c, r);
        return;
    }
    nrpc_call_set_state(c, a);
    a->half_closed = true;
    a->current = request;
    answers_go(a);
}

void test_service_output_writable(nrpc_call *c, void *state)
{
    (void) c;
    answers_go(state);
}

void test_service_output_end(nrpc_call *c, void *state, const nrpc_status *st)
{
    (void) c;
    (void) st;
    struct answers *a = state;
    if (a == NULL)
        return; /* ended before its request was whole */
    timer_stop(&a->pause);
    if (a->holds_report)
        orca_release(a);
    nrpc_msg_free(a->current);
    for (size_t i = a->at; i < a->n_held; i++)
        nrpc_msg_free(a->held[i]);
}

/* ---- FullDuplexCall and HalfDuplexCall ------------------------------------------------------ */
static nrpc_code duplex_start(nrpc_call *c, void *service_ctx, void **out_state, nrpc_status *st)
{
    (void) service_ctx;
    *out_state = answers_new(c);
    if (*out_state == NULL || test_service_echo_metadata(c) < 0)
        nrpc_status_set(st, NRPC_RESOURCE_EXHAUSTED, "out of memory");
    return st->code;
}

static void full_message(nrpc_call *c, void *state, nrpc_msg *m)
{
    (void) c;
    struct answers *a = state;
    if (a->over) {
        nrpc_msg_free(m);
        return;
    }
    a->current = m;
    answers_go(a);
}

static void duplex_half_close(nrpc_call *c, void *state)
{
    (void) c;
    struct answers *a = state;
    a->half_closed = true;
    if (a->over || a->current != NULL)
        return;
    answers_advance(a);
    answers_go(a);
}

static void half_message(nrpc_call *c, void *state, nrpc_msg *m)
{
    struct answers *a = state;
    a->held_bytes += nrpc_msg_bytes(m).size;
    if (a->over || a->n_held == HELD_MAX || a->held_bytes > HELD_BYTES_MAX) {
        nrpc_msg_free(m);
        a->over = true;
        nrpc_call_fail(c, NRPC_RESOURCE_EXHAUSTED, "more than %d requests or %d bytes to keep",
                       HELD_MAX, HELD_BYTES_MAX);
        return;
    }
    a->held[a->n_held++] = m;
    nrpc_call_want(c, 1);
}

const nrpc_events test_service_full_duplex = {
    .on_start = duplex_start,
    .on_message = full_message,
    .on_half_close = duplex_half_close,
    .on_writable = test_service_output_writable,
    .on_end = test_service_output_end,
};
const nrpc_events test_service_half_duplex = {
    .on_start = duplex_start,
    .on_message = half_message,
    .on_half_close = duplex_half_close,
    .on_writable = test_service_output_writable,
    .on_end = test_service_output_end,
};
