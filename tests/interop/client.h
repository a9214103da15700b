/* client.h — what the files of interop_client share: its settings, the table of cases, and the
 * words in which a case says what it asserts. */
#ifndef INTEROP_CLIENT_H
#define INTEROP_CLIENT_H
#include "grpc/testing/test.nrpc.h"
#include "tests/interop/exchange.h"

struct settings {
    const char *server_host, *test_case, *server_host_override, *ca_file, *certificate, *key,
        *additional_metadata;
    int32_t server_port;
    bool use_tls, use_test_ca, help, list;
    int32_t soak_iterations, soak_max_failures, soak_latency_ms, soak_overall_seconds,
        soak_min_time_ms, soak_request_size, soak_response_size, iteration_interval;
};
enum { CALL_MS = 60000, LARGE_REQUEST = 271828, LARGE_RESPONSE = 314159 };

struct run {
    const struct settings *settings;
    nrpc_channel_options channel; /* for those who open one of their own */
    struct peer peer;
};

enum outcome { CASE_PASSED, CASE_FAILED, CASE_SKIPPED };
struct interop_case {
    const char *name;
    bool (*run)(struct run *r); /* NULL: skipped, and why: */
    const char *why;
};
extern const struct interop_case interop_cases[]; /* ends with a zero entry */

/* Prints one assertion with its outcome, and gives the outcome back. */
bool expect(bool holds, const char *format, ...) __attribute__((format(printf, 2, 3)));
#define EXPECT(...)                                                                                \
    do {                                                                                           \
        if (!expect(__VA_ARGS__))                                                                  \
            return false;                                                                          \
    } while (0)

/* ---- building blocks, cases.c ---------------------------------------------------------------- */
#define TEST_METHOD(NAME)                                                                          \
    (&grpc_testing_test_service_service.methods[GRPC_TESTING_TEST_SERVICE_METHOD_##NAME])
ProtobufCBinaryData zero_bytes(size_t size); /* lent, never changes */
bool payload_is_zeros(const Grpc__Testing__Payload *p, size_t size);
/* A call with one request, half-closed. */
struct exchange *ask(struct peer *p, const nrpc_method *method, const ProtobufCMessage *request,
                     const char *const *metadata);
/* The next answer, the caller's; NULL, and said so, when the call (NULL is fine) ended instead. */
nrpc_msg *take_answer(struct exchange *x);
/* The call ends with `code`, and nothing but what was taken came before. */
bool expect_end(struct exchange *x, nrpc_code code);
/* One large unary call: request and response sizes as given, all zeros. */
bool large_unary(struct peer *p, int32_t request_size, int32_t response_size);

/* cases_stream.c */
bool case_client_streaming(struct run *r);
bool case_server_streaming(struct run *r);
bool case_ping_pong(struct run *r);
bool case_empty_stream(struct run *r);
bool case_half_duplex(struct run *r);
bool case_cancel_after_begin(struct run *r);
bool case_cancel_after_first_response(struct run *r);
bool case_timeout_on_sleeping_server(struct run *r);
bool case_slow_consumer(struct run *r);

/* cases_compress.c */
bool case_client_compressed_unary(struct run *r);
bool case_server_compressed_unary(struct run *r);
bool case_client_compressed_streaming(struct run *r);
bool case_server_compressed_streaming(struct run *r);

/* cases_orca.c */
bool case_orca_per_rpc(struct run *r);
bool case_orca_oob(struct run *r);

/* cases_soak.c */
bool case_concurrent_large_unary(struct run *r);
bool case_rpc_soak(struct run *r);
bool case_channel_soak(struct run *r);
bool case_long_lived_channel(struct run *r);

#endif
