/* test_service.h — what the two files of grpc.testing.TestService share.  All [loop]. */
#ifndef INTEROP_TEST_SERVICE_H
#define INTEROP_TEST_SERVICE_H
#include "tests/interop/services.h"

#define TEST_ECHO_INITIAL  "x-grpc-test-echo-initial"
#define TEST_ECHO_TRAILING "x-grpc-test-echo-trailing-bin"

/* Copies the two echo keys of the request to the answer's headers and trailers. */
int test_service_echo_metadata(nrpc_call *c);
/* Ends the call with the status that the request asks for; false when it asks for none. */
bool test_service_echo_status(nrpc_call *c, const Grpc__Testing__EchoStatus *echo);
/* True when m came as its sender says; else the call was ended with INVALID_ARGUMENT. */
bool test_service_expect_compressed(nrpc_call *c, const Grpc__Testing__BoolValue *expected,
                                    const nrpc_msg *m);

/* test_service_streams.c */
nrpc_request_fn test_service_output_call;
void test_service_output_writable(nrpc_call *c, void *state);
void test_service_output_end(nrpc_call *c, void *state, const nrpc_status *st);
extern const nrpc_events test_service_full_duplex, test_service_half_duplex;

#endif
