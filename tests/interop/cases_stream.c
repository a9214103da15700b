/* The streaming cases of interop_client. */
#include <stdio.h>
#include <string.h>

#include "tests/interop/client.h"

typedef Grpc__Testing__StreamingOutputCallRequest output_request;
typedef Grpc__Testing__StreamingOutputCallResponse output_response;

static const int32_t request_sizes[] = { 27182, 8, 1828, 45904 };
static const int32_t response_sizes[] = { 31415, 9, 2653, 58979 };
enum { SIZES = ARRAY_SIZE(request_sizes) };

/* A request for n answers of the given sizes; the parts are the caller's. */
struct output {
    output_request request;
    Grpc__Testing__Payload payload;
    Grpc__Testing__ResponseParameters parts[16], *list[16];
};

static const ProtobufCMessage *output_init(struct output *o, int32_t request_size,
                                           const int32_t *sizes, size_t n)
{
    CHECK(n <= ARRAY_SIZE(o->parts));
    *o = (struct output){ .request = GRPC__TESTING__STREAMING_OUTPUT_CALL_REQUEST__INIT,
                          .payload = GRPC__TESTING__PAYLOAD__INIT };
    for (size_t i = 0; i < n; i++) {
        o->parts[i] = (Grpc__Testing__ResponseParameters) GRPC__TESTING__RESPONSE_PARAMETERS__INIT;
        o->parts[i].size = sizes[i];
        o->list[i] = &o->parts[i];
    }
    if (request_size >= 0) {
        o->payload.body = zero_bytes((size_t) request_size);
        o->request.payload = &o->payload;
    }
    o->request.response_parameters = o->list;
    o->request.n_response_parameters = n;
    return &o->request.base;
}

static bool expect_answer(struct exchange *x, int32_t size)
{
    nrpc_msg *m = take_answer(x);
    bool good = m != NULL && payload_is_zeros(((const output_response *) nrpc_msg_body(m))->payload,
                                              (size_t) size);
    nrpc_msg_free(m);
    EXPECT(good, "%s answers %d zero bytes", x->method->name, size);
    return true;
}

bool case_client_streaming(struct run *r)
{
    struct exchange *x =
        exchange_open(&r->peer, TEST_METHOD(STREAMING_INPUT_CALL), CALL_MS, NULL, NRPC_IDENTITY);
    EXPECT(x != NULL, "StreamingInputCall starts");
    for (size_t i = 0; i < SIZES; i++) {
        Grpc__Testing__StreamingInputCallRequest request =
            GRPC__TESTING__STREAMING_INPUT_CALL_REQUEST__INIT;
        Grpc__Testing__Payload payload = GRPC__TESTING__PAYLOAD__INIT;
        payload.body = zero_bytes((size_t) request_sizes[i]);
        request.payload = &payload;
        EXPECT(exchange_send(x, &request.base), "a message of %d bytes is sent", request_sizes[i]);
    }
    exchange_half_close(x);
    nrpc_msg *m = take_answer(x);
    int32_t sum =
        m == NULL
            ? -1
            : grpc_testing_test_service_streaming_input_call_response(m)->aggregated_payload_size;
    nrpc_msg_free(m);
    EXPECT(sum == 74922, "the aggregated size is 74922 (it is %d)", sum);
    return expect_end(x, NRPC_OK);
}

bool case_server_streaming(struct run *r)
{
    struct output o;
    struct exchange *x = ask(&r->peer, TEST_METHOD(STREAMING_OUTPUT_CALL),
                             output_init(&o, -1, response_sizes, SIZES), NULL);
    EXPECT(x != NULL, "StreamingOutputCall starts");
    for (size_t i = 0; i < SIZES; i++)
        if (!expect_answer(x, response_sizes[i]))
            return false;
    return expect_end(x, NRPC_OK);
}

bool case_ping_pong(struct run *r)
{
    struct exchange *x =
        exchange_open(&r->peer, TEST_METHOD(FULL_DUPLEX_CALL), CALL_MS, NULL, NRPC_IDENTITY);
    EXPECT(x != NULL, "FullDuplexCall starts");
    for (size_t i = 0; i < SIZES; i++) {
        struct output o;
        EXPECT(exchange_send(x, output_init(&o, request_sizes[i], &response_sizes[i], 1)),
               "a message of %d bytes is sent", request_sizes[i]);
        if (!expect_answer(x, response_sizes[i]))
            return false;
    }
    exchange_half_close(x);
    return expect_end(x, NRPC_OK);
}

bool case_empty_stream(struct run *r)
{
    struct exchange *x =
        exchange_open(&r->peer, TEST_METHOD(FULL_DUPLEX_CALL), CALL_MS, NULL, NRPC_IDENTITY);
    EXPECT(x != NULL, "FullDuplexCall starts");
    exchange_half_close(x);
    return expect_end(x, NRPC_OK);
}

bool case_half_duplex(struct run *r)
{
    struct exchange *x =
        exchange_open(&r->peer, TEST_METHOD(HALF_DUPLEX_CALL), CALL_MS, NULL, NRPC_IDENTITY);
    EXPECT(x != NULL, "HalfDuplexCall starts");
    for (size_t i = 0; i < SIZES; i++) {
        struct output o;
        EXPECT(exchange_send(x, output_init(&o, request_sizes[i], &response_sizes[i], 1)),
               "a message of %d bytes is sent", request_sizes[i]);
    }
    exchange_half_close(x);
    for (size_t i = 0; i < SIZES; i++)
        if (!expect_answer(x, response_sizes[i]))
            return false;
    return expect_end(x, NRPC_OK);
}

/* Answers far beyond the windows, taken one by one: the server must wait, and nothing is lost. */
bool case_slow_consumer(struct run *r)
{
    enum { ANSWERS = 16, SIZE = 128 << 10 };
    struct output o;
    int32_t sizes[ANSWERS];
    for (size_t i = 0; i < ANSWERS; i++)
        sizes[i] = SIZE;
    struct exchange *x = ask(&r->peer, TEST_METHOD(STREAMING_OUTPUT_CALL),
                             output_init(&o, -1, sizes, ANSWERS), NULL);
    EXPECT(x != NULL, "StreamingOutputCall starts");
    /* Other calls on the connection go on while this one is not read. */
    for (int i = 0; i < 3; i++)
        if (!large_unary(&r->peer, LARGE_REQUEST, LARGE_RESPONSE))
            return false;
    EXPECT(x->n_inbox <= 1, "what was not asked for did not come (%zu did)", x->n_inbox);
    for (size_t i = 0; i < ANSWERS; i++)
        if (!expect_answer(x, SIZE))
            return false;
    return expect_end(x, NRPC_OK);
}

bool case_cancel_after_begin(struct run *r)
{
    struct exchange *x =
        exchange_open(&r->peer, TEST_METHOD(STREAMING_INPUT_CALL), CALL_MS, NULL, NRPC_IDENTITY);
    EXPECT(x != NULL, "StreamingInputCall starts");
    exchange_send_headers(x);
    exchange_cancel(x);
    return expect_end(x, NRPC_CANCELLED);
}

bool case_cancel_after_first_response(struct run *r)
{
    struct output o;
    struct exchange *x =
        exchange_open(&r->peer, TEST_METHOD(FULL_DUPLEX_CALL), CALL_MS, NULL, NRPC_IDENTITY);
    EXPECT(x != NULL, "FullDuplexCall starts");
    EXPECT(exchange_send(x, output_init(&o, request_sizes[0], response_sizes, 1)),
           "a message of %d bytes is sent", request_sizes[0]);
    if (!expect_answer(x, response_sizes[0]))
        return false;
    exchange_cancel(x);
    return expect_end(x, NRPC_CANCELLED);
}

bool case_timeout_on_sleeping_server(struct run *r)
{
    struct output o;
    struct exchange *x =
        exchange_open(&r->peer, TEST_METHOD(FULL_DUPLEX_CALL), 1, NULL, NRPC_IDENTITY);
    EXPECT(x != NULL, "FullDuplexCall starts with a timeout of 1 ms");
    (void) exchange_send(x, output_init(&o, request_sizes[0], NULL, 0)); /* it may be over */
    return expect_end(x, NRPC_DEADLINE_EXCEEDED);
}
