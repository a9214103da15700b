/* grpc.testing.TestService: unary calls and the request stream.  Answers that are streams are in
 * test_service_streams.c. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tests/interop/orca.h"
#include "tests/interop/test_service.h"

enum { PAYLOAD_MAX = 64 << 20 };

/* Never written: its pages cost nothing. */
static uint8_t zeros[PAYLOAD_MAX];

nrpc_code interop_payload(Grpc__Testing__PayloadType type, int32_t size,
                          Grpc__Testing__Payload *out_payload, nrpc_status *st)
{
    if (type != GRPC__TESTING__PAYLOAD_TYPE__COMPRESSABLE)
        nrpc_status_set(st, NRPC_INVALID_ARGUMENT, "payload type %d is not supported", (int) type);
    else if (size < 0)
        nrpc_status_set(st, NRPC_INVALID_ARGUMENT, "a payload of %d bytes", (int) size);
    else if (size > PAYLOAD_MAX)
        nrpc_status_set(st, NRPC_RESOURCE_EXHAUSTED, "a payload is %d bytes at most", PAYLOAD_MAX);
    else
        *out_payload = (Grpc__Testing__Payload){
            .base = PROTOBUF_C_MESSAGE_INIT(&grpc__testing__payload__descriptor),
            .type = type,
            .body = { .len = (size_t) size, .data = size == 0 ? NULL : zeros },
        };
    return st->code;
}

void interop_fail(nrpc_call *c, nrpc_status *st)
{
    nrpc_call_finish(c, st);
    nrpc_status_clear(st);
}

void interop_fail_send(nrpc_call *c, int error)
{
    /* Over already, or the peer is gone: on_end tells. */
    if (error == NRPC_E_STATE || error == NRPC_E_CLOSED)
        return;
    nrpc_call_fail(c, error == NRPC_E_INVAL ? NRPC_INTERNAL : NRPC_RESOURCE_EXHAUSTED,
                   "the answer cannot be sent: %s", nrpc_strerror(error));
}

int test_service_echo_metadata(nrpc_call *c)
{
    static const char *const keys[] = { TEST_ECHO_INITIAL, TEST_ECHO_TRAILING };
    int r = 0;
    for (size_t k = 0; k < 2 && r == 0; k++) {
        nrpc_slice value;
        for (size_t i = 0; r == 0 && nrpc_metadata_get(nrpc_call_headers_in(c), keys[k], i, &value);
             i++) {
            nrpc_metadata *md = k == 0 ? nrpc_call_headers_out(c) : nrpc_call_trailers_out(c);
            r = md == NULL ? NRPC_E_NOMEM : nrpc_metadata_add(md, keys[k], value);
        }
    }
    return r;
}

bool test_service_echo_status(nrpc_call *c, const Grpc__Testing__EchoStatus *echo)
{
    if (echo == NULL || echo->code == NRPC_OK)
        return false;
    bool known = echo->code > 0 && echo->code <= NRPC_UNAUTHENTICATED;
    nrpc_status st = NRPC_STATUS_INIT;
    nrpc_status_set(&st, known ? (nrpc_code) echo->code : NRPC_UNKNOWN, "%s", echo->message);
    interop_fail(c, &st);
    return true;
}

bool test_service_expect_compressed(nrpc_call *c, const Grpc__Testing__BoolValue *expected,
                                    const nrpc_msg *m)
{
    if (expected == NULL || (expected->value != 0) == nrpc_msg_was_compressed(m))
        return true;
    nrpc_call_fail(c, NRPC_INVALID_ARGUMENT, "the message came %scompressed, against its promise",
                   nrpc_msg_was_compressed(m) ? "" : "un");
    return false;
}

/* True when the call's own load report, if it asked for one, is in its trailers; else it ended. */
static bool add_report(nrpc_call *c, const Grpc__Testing__TestOrcaReport *report)
{
    int r = orca_add_trailer(c, report);
    if (r == NRPC_E_TOOBIG)
        nrpc_call_fail(c, NRPC_INVALID_ARGUMENT, ORCA_TOO_LARGE);
    else if (r < 0)
        interop_fail_send(c, r);
    return r == 0;
}

static void empty_call(nrpc_call *c, void *service_ctx, nrpc_msg *request)
{
    (void) service_ctx;
    const Grpc__Testing__Empty answer = GRPC__TESTING__EMPTY__INIT;
    nrpc_msg_free(request);
    int r = test_service_echo_metadata(c);
    if (r < 0)
        interop_fail_send(c, r);
    else
        nrpc_call_reply(c, &answer.base);
}

static void answer_unary(nrpc_call *c, const char *server_id, const nrpc_msg *request)
{
    const Grpc__Testing__SimpleRequest *q = grpc_testing_test_service_unary_call_request(request);
    Grpc__Testing__SimpleResponse answer = GRPC__TESTING__SIMPLE_RESPONSE__INIT;
    Grpc__Testing__Payload payload;
    nrpc_status st = NRPC_STATUS_INIT;
    int r = test_service_echo_metadata(c);
    if (r < 0) {
        interop_fail_send(c, r);
        return;
    }
    if (!test_service_expect_compressed(c, q->expect_compressed, request) ||
        !add_report(c, q->orca_per_query_report) || test_service_echo_status(c, q->response_status))
        return;
    if (interop_payload(q->response_type, q->response_size, &payload, &st) != NRPC_OK) {
        interop_fail(c, &st);
        return;
    }
    if (q->response_size > 0)
        answer.payload = &payload;
    if (q->response_compressed != NULL && q->response_compressed->value)
        (void) nrpc_call_set_compression(c, NRPC_GZIP); /* nothing was sent yet */
    if (q->fill_server_id)
        answer.server_id = (char *) server_id;
    nrpc_call_reply(c, &answer.base);
}

static void unary_call(nrpc_call *c, void *service_ctx, nrpc_msg *request)
{
    answer_unary(c, service_ctx, request);
    nrpc_msg_free(request);
}

/* A payload that differs from call to call, and leave for a proxy to keep it for a minute. */
static void cacheable_unary_call(nrpc_call *c, void *service_ctx, nrpc_msg *request)
{
    (void) service_ctx;
    nrpc_msg_free(request);
    struct timespec now;
    char text[32];
    clock_gettime(CLOCK_REALTIME, &now);
    int size = snprintf(text, sizeof text, "%lld%09ld", (long long) now.tv_sec, now.tv_nsec);
    Grpc__Testing__SimpleResponse answer = GRPC__TESTING__SIMPLE_RESPONSE__INIT;
    Grpc__Testing__Payload payload = GRPC__TESTING__PAYLOAD__INIT;
    payload.body = (ProtobufCBinaryData){ .len = (size_t) size, .data = (uint8_t *) text };
    answer.payload = &payload;
    nrpc_metadata *md = nrpc_call_headers_out(c);
    int r = md == NULL ? NRPC_E_NOMEM
                       : nrpc_metadata_add_string(md, "cache-control", "max-age=60, public");
    if (r < 0)
        interop_fail_send(c, r);
    else
        nrpc_call_reply(c, &answer.base);
}

/* ---- StreamingInputCall: the sum of what came ---------------------------------------------- */
struct sum {
    int64_t bytes;
};

static nrpc_code input_start(nrpc_call *c, void *service_ctx, void **out_state, nrpc_status *st)
{
    (void) service_ctx;
    struct sum *sum = nrpc_call_alloc(c, sizeof *sum);
    if (sum == NULL || test_service_echo_metadata(c) < 0)
        nrpc_status_set(st, NRPC_RESOURCE_EXHAUSTED, "out of memory");
    *out_state = sum;
    return st->code;
}

static void input_message(nrpc_call *c, void *state, nrpc_msg *m)
{
    struct sum *sum = state;
    const Grpc__Testing__StreamingInputCallRequest *q =
        grpc_testing_test_service_streaming_input_call_request(m);
    if (test_service_expect_compressed(c, q->expect_compressed, m)) {
        sum->bytes += q->payload == NULL ? 0 : (int64_t) q->payload->body.len;
        nrpc_call_want(c, 1);
    }
    nrpc_msg_free(m);
}

static void input_half_close(nrpc_call *c, void *state)
{
    const struct sum *sum = state;
    if (sum->bytes > INT32_MAX) {
        nrpc_call_fail(c, NRPC_OUT_OF_RANGE, "the sum does not fit the answer");
        return;
    }
    Grpc__Testing__StreamingInputCallResponse answer =
        GRPC__TESTING__STREAMING_INPUT_CALL_RESPONSE__INIT;
    answer.aggregated_payload_size = (int32_t) sum->bytes;
    nrpc_call_reply(c, &answer.base);
}

static const nrpc_events input_events = { .on_start = input_start,
                                          .on_message = input_message,
                                          .on_half_close = input_half_close };

int interop_add_test_service(nrpc_server *s, const char *server_id)
{
    static const grpc_testing_test_service_handlers handlers = {
        .empty_call = { .request = empty_call },
        .unary_call = { .request = unary_call },
        .cacheable_unary_call = { .request = cacheable_unary_call },
        .streaming_output_call = { .request = test_service_output_call,
                                   .on_writable = test_service_output_writable,
                                   .on_end = test_service_output_end },
        .streaming_input_call = { .stream = &input_events },
        .full_duplex_call = { .stream = &test_service_full_duplex },
        .half_duplex_call = { .stream = &test_service_half_duplex },
    };
    return grpc_testing_test_service_register(s, &handlers, (void *) server_id);
}
