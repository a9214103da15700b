/* The unary cases of interop_client, their building blocks and the table of all. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tests/interop/client.h"

enum { ZEROS_MAX = 8 << 20 };
static uint8_t zeros[ZEROS_MAX]; /* never written */

bool expect(bool holds, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs(holds ? "  ok    " : "  FAIL  ", stdout);
    vprintf(format, args);
    putchar('\n');
    va_end(args);
    if (!holds) {
        va_start(args, format);
        fputs("interop_client: does not hold: ", stderr);
        vfprintf(stderr, format, args);
        fputc('\n', stderr);
        va_end(args);
    }
    return holds;
}

ProtobufCBinaryData zero_bytes(size_t size)
{
    CHECK(size <= ZEROS_MAX);
    return (ProtobufCBinaryData){ .len = size, .data = size == 0 ? NULL : zeros };
}

bool payload_is_zeros(const Grpc__Testing__Payload *p, size_t size)
{
    size_t have = p == NULL ? 0 : p->body.len;
    return have == size && (size == 0 || memcmp(p->body.data, zeros, size) == 0);
}

struct exchange *ask(struct peer *p, const nrpc_method *method, const ProtobufCMessage *request,
                     const char *const *metadata)
{
    struct exchange *x = exchange_open(p, method, CALL_MS, metadata, NRPC_IDENTITY);
    if (x == NULL)
        return NULL;
    (void) exchange_send(x, request);
    exchange_half_close(x);
    return x;
}

nrpc_msg *take_answer(struct exchange *x)
{
    nrpc_msg *m = x == NULL ? NULL : exchange_next(x);
    if (m == NULL && x != NULL)
        (void) expect(false, "%s answers a message; it ended with %s: %s", x->method->name,
                      nrpc_code_name(x->status.code),
                      x->status.message == NULL ? "" : x->status.message);
    return m;
}

bool expect_end(struct exchange *x, nrpc_code code)
{
    size_t extra = exchange_finish(x);
    bool same = x->status.code == code;
    EXPECT(same, "%s ends with %s%s%s%s%s", x->method->name, nrpc_code_name(code),
           same ? "" : ", not with ", same ? "" : nrpc_code_name(x->status.code), same ? "" : ": ",
           same || x->status.message == NULL ? "" : x->status.message);
    EXPECT(extra == 0, "no further message comes (%zu did)", extra);
    return true;
}

/* ---- empty_unary, large_unary, cacheable_unary ------------------------------------------------
 */
static bool case_empty_unary(struct run *r)
{
    const Grpc__Testing__Empty request = GRPC__TESTING__EMPTY__INIT;
    struct exchange *x = ask(&r->peer, TEST_METHOD(EMPTY_CALL), &request.base, NULL);
    nrpc_msg *m = take_answer(x);
    EXPECT(m != NULL, "EmptyCall answers a message");
    size_t size = nrpc_msg_bytes(m).size;
    nrpc_msg_free(m);
    EXPECT(size == 0, "it has zero bytes (it has %zu)", size);
    return expect_end(x, NRPC_OK);
}

bool large_unary(struct peer *p, int32_t request_size, int32_t response_size)
{
    Grpc__Testing__SimpleRequest request = GRPC__TESTING__SIMPLE_REQUEST__INIT;
    Grpc__Testing__Payload payload = GRPC__TESTING__PAYLOAD__INIT;
    payload.body = zero_bytes((size_t) request_size);
    request.payload = &payload;
    request.response_size = response_size;
    struct exchange *x = ask(p, TEST_METHOD(UNARY_CALL), &request.base, NULL);
    nrpc_msg *m = take_answer(x);
    bool good =
        m != NULL && payload_is_zeros(grpc_testing_test_service_unary_call_response(m)->payload,
                                      (size_t) response_size);
    nrpc_msg_free(m);
    good =
        expect(good, "UnaryCall with %d bytes answers %d zero bytes", request_size, response_size);
    if (x != NULL)
        good = expect_end(x, NRPC_OK) && good;
    exchange_free(x);
    return good;
}

static bool case_large_unary(struct run *r)
{
    return large_unary(&r->peer, LARGE_REQUEST, LARGE_RESPONSE);
}

/* One cacheable call; its payload as text. */
static bool cacheable_call(struct run *r, const char *stamp, char *out_text, size_t text_size)
{
    static const char *const metadata[] = { "x-user-ip", "1.2.3.4", NULL };
    Grpc__Testing__SimpleRequest request = GRPC__TESTING__SIMPLE_REQUEST__INIT;
    Grpc__Testing__Payload payload = GRPC__TESTING__PAYLOAD__INIT;
    payload.body = (ProtobufCBinaryData){ .len = strlen(stamp), .data = (uint8_t *) stamp };
    request.payload = &payload;
    struct exchange *x = ask(&r->peer, TEST_METHOD(CACHEABLE_UNARY_CALL), &request.base, metadata);
    nrpc_msg *m = take_answer(x);
    const Grpc__Testing__Payload *p =
        m == NULL ? NULL : grpc_testing_test_service_cacheable_unary_call_response(m)->payload;
    bool good = p != NULL && p->body.len > 0;
    if (good)
        snprintf(out_text, text_size, "%.*s", (int) p->body.len, (const char *) p->body.data);
    nrpc_msg_free(m);
    EXPECT(good, "CacheableUnaryCall answers a payload");
    const struct pair *leave = pairs_find(&x->head, "cache-control");
    EXPECT(leave != NULL && strstr((const char *) leave->value, "max-age=") != NULL,
           "its cache-control allows a proxy to keep it");
    return expect_end(x, NRPC_OK);
}

/* The description has a caching proxy in between, which answers the second call from its memory;
 * gRPC itself sends no GET any more.  Without the proxy what both sides do for it is asserted. */
static bool case_cacheable_unary(struct run *r)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    char stamp[40], first[64], second[64];
    snprintf(stamp, sizeof stamp, "%lld%09ld", (long long) now.tv_sec, now.tv_nsec);
    if (!cacheable_call(r, stamp, first, sizeof first) ||
        !cacheable_call(r, stamp, second, sizeof second))
        return false;
    printf("  note  the two answers %s: only a caching proxy makes them the same\n",
           strcmp(first, second) == 0 ? "are the same" : "differ");
    return true;
}

/* ---- custom_metadata ----------------------------------------------------------------------------
 */
static bool expect_echo(struct exchange *x)
{
    const struct pair *head = pairs_find(&x->head, "x-grpc-test-echo-initial");
    const struct pair *tail = pairs_find(&x->tail, "x-grpc-test-echo-trailing-bin");
    EXPECT(head != NULL && strcmp((const char *) head->value, "test_initial_metadata_value") == 0,
           "%s: the initial metadata came back in the headers", x->method->name);
    EXPECT(tail != NULL && tail->size == 3 && memcmp(tail->value, "\xab\xab\xab", 3) == 0,
           "%s: the binary metadata came back in the trailers", x->method->name);
    return true;
}

static bool case_custom_metadata(struct run *r)
{
    static const char *const metadata[] = { "x-grpc-test-echo-initial",
                                            "test_initial_metadata_value",
                                            "x-grpc-test-echo-trailing-bin", "\xab\xab\xab", NULL };
    Grpc__Testing__Payload payload = GRPC__TESTING__PAYLOAD__INIT;
    payload.body = zero_bytes(LARGE_REQUEST);
    Grpc__Testing__SimpleRequest unary = GRPC__TESTING__SIMPLE_REQUEST__INIT;
    unary.response_size = LARGE_RESPONSE;
    unary.payload = &payload;
    struct exchange *x = ask(&r->peer, TEST_METHOD(UNARY_CALL), &unary.base, metadata);
    EXPECT(x != NULL, "UnaryCall starts");
    nrpc_msg_free(take_answer(x));
    if (!expect_end(x, NRPC_OK) || !expect_echo(x))
        return false;
    Grpc__Testing__StreamingOutputCallRequest duplex =
        GRPC__TESTING__STREAMING_OUTPUT_CALL_REQUEST__INIT;
    Grpc__Testing__ResponseParameters one = GRPC__TESTING__RESPONSE_PARAMETERS__INIT,
                                      *parameters[] = { &one };
    one.size = LARGE_RESPONSE;
    duplex.n_response_parameters = 1;
    duplex.response_parameters = parameters;
    duplex.payload = &payload;
    x = ask(&r->peer, TEST_METHOD(FULL_DUPLEX_CALL), &duplex.base, metadata);
    EXPECT(x != NULL, "FullDuplexCall starts");
    nrpc_msg_free(take_answer(x));
    return expect_end(x, NRPC_OK) && expect_echo(x);
}

/* ---- statuses
 * ------------------------------------------------------------------------------------ */
static bool expect_status(struct exchange *x, const char *message)
{
    EXPECT(x != NULL, "the call starts");
    if (!expect_end(x, NRPC_UNKNOWN))
        return false;
    EXPECT(x->status.message != NULL && strcmp(x->status.message, message) == 0,
           "its message came whole (%zu bytes)", strlen(message));
    return true;
}

static bool ask_status(struct run *r, const char *message, bool duplex_too)
{
    Grpc__Testing__EchoStatus echo = GRPC__TESTING__ECHO_STATUS__INIT;
    echo.code = NRPC_UNKNOWN;
    echo.message = (char *) message;
    Grpc__Testing__SimpleRequest unary = GRPC__TESTING__SIMPLE_REQUEST__INIT;
    unary.response_status = &echo;
    if (!expect_status(ask(&r->peer, TEST_METHOD(UNARY_CALL), &unary.base, NULL), message))
        return false;
    Grpc__Testing__StreamingOutputCallRequest duplex =
        GRPC__TESTING__STREAMING_OUTPUT_CALL_REQUEST__INIT;
    duplex.response_status = &echo;
    return !duplex_too ||
           expect_status(ask(&r->peer, TEST_METHOD(FULL_DUPLEX_CALL), &duplex.base, NULL), message);
}

static bool case_status_code_and_message(struct run *r)
{
    return ask_status(r, "test status message", true);
}

static bool case_special_status_message(struct run *r)
{
    return ask_status(r,
                      "\t\ntest with whitespace\r\nand Unicode BMP \u263a and non-BMP "
                      "\U0001f608\t\n",
                      false);
}

static bool case_unimplemented_method(struct run *r)
{
    const Grpc__Testing__Empty request = GRPC__TESTING__EMPTY__INIT;
    struct exchange *x = ask(&r->peer, TEST_METHOD(UNIMPLEMENTED_CALL), &request.base, NULL);
    EXPECT(x != NULL, "UnimplementedCall starts");
    return expect_end(x, NRPC_UNIMPLEMENTED);
}

static bool case_unimplemented_service(struct run *r)
{
    const Grpc__Testing__Empty request = GRPC__TESTING__EMPTY__INIT;
    struct exchange *x =
        ask(&r->peer, &grpc_testing_unimplemented_service_service.methods[0], &request.base, NULL);
    EXPECT(x != NULL, "UnimplementedService starts");
    return expect_end(x, NRPC_UNIMPLEMENTED);
}

#define CLOUD "it needs credentials of Google's cloud"
const struct interop_case interop_cases[] = {
    { .name = "empty_unary", .run = case_empty_unary },
    { .name = "large_unary", .run = case_large_unary },
    { .name = "cacheable_unary", .run = case_cacheable_unary },
    { .name = "client_compressed_unary", .run = case_client_compressed_unary },
    { .name = "server_compressed_unary", .run = case_server_compressed_unary },
    { .name = "client_streaming", .run = case_client_streaming },
    { .name = "client_compressed_streaming", .run = case_client_compressed_streaming },
    { .name = "server_streaming", .run = case_server_streaming },
    { .name = "server_compressed_streaming", .run = case_server_compressed_streaming },
    { .name = "ping_pong", .run = case_ping_pong },
    { .name = "empty_stream", .run = case_empty_stream },
    { .name = "half_duplex", .run = case_half_duplex },
    { .name = "slow_consumer", .run = case_slow_consumer },
    { .name = "custom_metadata", .run = case_custom_metadata },
    { .name = "status_code_and_message", .run = case_status_code_and_message },
    { .name = "special_status_message", .run = case_special_status_message },
    { .name = "unimplemented_method", .run = case_unimplemented_method },
    { .name = "unimplemented_service", .run = case_unimplemented_service },
    { .name = "cancel_after_begin", .run = case_cancel_after_begin },
    { .name = "cancel_after_first_response", .run = case_cancel_after_first_response },
    { .name = "timeout_on_sleeping_server", .run = case_timeout_on_sleeping_server },
    { .name = "concurrent_large_unary", .run = case_concurrent_large_unary },
    { .name = "rpc_soak", .run = case_rpc_soak },
    { .name = "channel_soak", .run = case_channel_soak },
    { .name = "long_lived_channel", .run = case_long_lived_channel },
    { .name = "orca_per_rpc", .run = case_orca_per_rpc },
    { .name = "orca_oob", .run = case_orca_oob },
    { .name = "compute_engine_creds", .why = CLOUD },
    { .name = "jwt_token_creds", .why = CLOUD },
    { .name = "oauth2_auth_token", .why = CLOUD },
    { .name = "per_rpc_creds", .why = CLOUD },
    { .name = "google_default_credentials", .why = CLOUD },
    { .name = "compute_engine_channel_credentials", .why = CLOUD },
    { 0 },
};
