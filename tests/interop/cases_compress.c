/* The cases of interop_client about compressed messages: both sides look at the flag of each. */
#include "tests/interop/client.h"

static Grpc__Testing__BoolValue yes = GRPC__TESTING__BOOL_VALUE__INIT,
                                no = GRPC__TESTING__BOOL_VALUE__INIT;

static Grpc__Testing__BoolValue *bool_value(bool value)
{
    yes.value = 1;
    return value ? &yes : &no;
}

/* A large UnaryCall, sent with an encoding or NRPC_IDENTITY, that says whether it is compressed. */
static bool send_unary(struct run *r, nrpc_compression encoding, bool expect_compressed,
                       nrpc_code code)
{
    Grpc__Testing__SimpleRequest request = GRPC__TESTING__SIMPLE_REQUEST__INIT;
    Grpc__Testing__Payload payload = GRPC__TESTING__PAYLOAD__INIT;
    payload.body = zero_bytes(LARGE_REQUEST);
    request.payload = &payload;
    request.response_size = LARGE_RESPONSE;
    request.expect_compressed = bool_value(expect_compressed);
    struct exchange *x = exchange_open(&r->peer, TEST_METHOD(UNARY_CALL), CALL_MS, NULL, encoding);
    EXPECT(x != NULL, "UnaryCall starts");
    (void) exchange_send(x, &request.base);
    exchange_half_close(x);
    if (code != NRPC_OK)
        return expect_end(x, code);
    nrpc_msg *m = take_answer(x);
    bool good =
        m != NULL &&
        payload_is_zeros(grpc_testing_test_service_unary_call_response(m)->payload, LARGE_RESPONSE);
    nrpc_msg_free(m);
    EXPECT(good, "a request %s is answered with %d zero bytes",
           encoding == NRPC_GZIP      ? "with gzip"
           : encoding == NRPC_DEFLATE ? "with deflate"
                                      : "without compression",
           LARGE_RESPONSE);
    return expect_end(x, NRPC_OK);
}

bool case_client_compressed_unary(struct run *r)
{
    /* The probe: a server that does not look at flags would let it pass. */
    return send_unary(r, NRPC_IDENTITY, true, NRPC_INVALID_ARGUMENT) &&
           send_unary(r, NRPC_GZIP, true, NRPC_OK) && send_unary(r, NRPC_DEFLATE, true, NRPC_OK) &&
           send_unary(r, NRPC_IDENTITY, false, NRPC_OK);
}

bool case_server_compressed_unary(struct run *r)
{
    for (int i = 1; i >= 0; i--) {
        Grpc__Testing__SimpleRequest request = GRPC__TESTING__SIMPLE_REQUEST__INIT;
        Grpc__Testing__Payload payload = GRPC__TESTING__PAYLOAD__INIT;
        payload.body = zero_bytes(LARGE_REQUEST);
        request.payload = &payload;
        request.response_size = LARGE_RESPONSE;
        request.response_compressed = bool_value(i == 1);
        struct exchange *x = ask(&r->peer, TEST_METHOD(UNARY_CALL), &request.base, NULL);
        nrpc_msg *m = take_answer(x);
        EXPECT(m != NULL, "UnaryCall answers");
        bool compressed = nrpc_msg_was_compressed(m);
        bool good = payload_is_zeros(grpc_testing_test_service_unary_call_response(m)->payload,
                                     LARGE_RESPONSE);
        nrpc_msg_free(m);
        EXPECT(good, "the answer has %d zero bytes", LARGE_RESPONSE);
        EXPECT(compressed == (i == 1), "its compressed flag is %sset", i == 1 ? "" : "not ");
        if (!expect_end(x, NRPC_OK))
            return false;
    }
    return true;
}

static bool send_input(struct exchange *x, int32_t size, bool compressed)
{
    Grpc__Testing__StreamingInputCallRequest request =
        GRPC__TESTING__STREAMING_INPUT_CALL_REQUEST__INIT;
    Grpc__Testing__Payload payload = GRPC__TESTING__PAYLOAD__INIT;
    payload.body = zero_bytes((size_t) size);
    request.payload = &payload;
    request.expect_compressed = bool_value(compressed);
    return exchange_send(x, &request.base);
}

bool case_client_compressed_streaming(struct run *r)
{
    struct exchange *x =
        exchange_open(&r->peer, TEST_METHOD(STREAMING_INPUT_CALL), CALL_MS, NULL, NRPC_IDENTITY);
    EXPECT(x != NULL, "StreamingInputCall starts, for the probe");
    (void) send_input(x, 27182, true);
    exchange_half_close(x);
    if (!expect_end(x, NRPC_INVALID_ARGUMENT))
        return false;
    x = exchange_open(&r->peer, TEST_METHOD(STREAMING_INPUT_CALL), CALL_MS, NULL, NRPC_GZIP);
    EXPECT(x != NULL, "StreamingInputCall starts with gzip");
    EXPECT(send_input(x, 27182, true), "a compressed message of 27182 bytes is sent");
    exchange_send_plain_next(x);
    EXPECT(send_input(x, 45904, false), "a plain message of 45904 bytes is sent");
    exchange_half_close(x);
    nrpc_msg *m = take_answer(x);
    int32_t sum =
        m == NULL
            ? -1
            : grpc_testing_test_service_streaming_input_call_response(m)->aggregated_payload_size;
    nrpc_msg_free(m);
    EXPECT(sum == 73086, "the aggregated size is 73086 (it is %d)", sum);
    return expect_end(x, NRPC_OK);
}

bool case_server_compressed_streaming(struct run *r)
{
    static const int32_t sizes[] = { 31415, 92653 };
    Grpc__Testing__ResponseParameters parts[2], *list[2];
    Grpc__Testing__StreamingOutputCallRequest request =
        GRPC__TESTING__STREAMING_OUTPUT_CALL_REQUEST__INIT;
    for (size_t i = 0; i < 2; i++) {
        parts[i] = (Grpc__Testing__ResponseParameters) GRPC__TESTING__RESPONSE_PARAMETERS__INIT;
        parts[i].size = sizes[i];
        parts[i].compressed = bool_value(i == 0);
        list[i] = &parts[i];
    }
    request.response_parameters = list;
    request.n_response_parameters = 2;
    struct exchange *x = ask(&r->peer, TEST_METHOD(STREAMING_OUTPUT_CALL), &request.base, NULL);
    for (size_t i = 0; i < 2; i++) {
        nrpc_msg *m = take_answer(x);
        EXPECT(m != NULL, "an answer comes");
        bool compressed = nrpc_msg_was_compressed(m);
        bool good =
            payload_is_zeros(grpc_testing_test_service_streaming_output_call_response(m)->payload,
                             (size_t) sizes[i]);
        nrpc_msg_free(m);
        EXPECT(good, "it has %d zero bytes", sizes[i]);
        EXPECT(compressed == (i == 0), "its compressed flag is %sset", i == 0 ? "" : "not ");
    }
    return expect_end(x, NRPC_OK);
}
