/* Without memory: over scenarios of whole calls, each allocation of the server's loop, and each of
 * the client's, fails (alone, or with all after it).  Whatever fails, both sides live, the caller
 * gets a status in the end and no wrong answer, nothing leaks (the sanitizer preset watches), and
 * the gauges go back to zero; once memory is back, the same server serves.
 * OOM_ONLY: one scenario.  OOM_POINTS: failing allocations a sweep, evenly spread over all (default
 * 80; 0: every one). */
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "grpc/health/v1/health.nrpc.h"
#include "interop_descriptors.h"
#include "rpc/base/alloc.h"
#include "rpc/base/check.h"
#include "rpc/base/clock.h"
#include "rpc/base/log.h"
#include "tests/interop/exchange.h"
#include "tests/interop/services.h"
#include "tests/unit/rpc/tls_certs.h"

enum { CALL_MS = 20000, GONE_SECONDS = 20, BODY_MAX = 4 << 20, POINTS = 40, MANY = 12 };
#define TEST_METHOD(NAME)                                                                          \
    (&grpc_testing_test_service_service.methods[GRPC_TESTING_TEST_SERVICE_METHOD_##NAME])
#define BENCHMARK_METHOD(NAME)                                                                     \
    (&grpc_testing_benchmark_service_service.methods[GRPC_TESTING_BENCHMARK_SERVICE_METHOD_##NAME])

static char socket_path[64];
static nrpc_server *server;
static nrpc_tls *server_tls, *client_tls;
static uint8_t zeros[BODY_MAX]; /* never written */

/* ---- the server and the hook on its loop's thread ---------------------------------------------
 */
static void server_up(void)
{
    static const nrpc_server_options o = { .loops = 1, .max_streams = 4 };
    assert_int_equal(nrpc_server_new(&o, &server), 0);
    assert_int_equal(interop_add_test_service(server, "oom"), 0);
    assert_int_equal(interop_add_benchmark_service(server), 0);
    assert_int_equal(nrpc_server_add_health(server), 0);
    const nrpc_slice descriptors = { interop_descriptors, interop_descriptors_size };
    assert_int_equal(nrpc_server_add_reflection(server, descriptors), 0);
    assert_int_equal(nrpc_server_listen(server, socket_path), 0);
    assert_int_equal(nrpc_server_listen_tls(server, "127.0.0.1:0", server_tls), 0);
    assert_int_equal(nrpc_server_start(server), 0);
}

static void server_down(void)
{
    nrpc_server_stop(server, 1000);
    nrpc_server_wait(server);
    nrpc_server_free(server);
    server = NULL;
}

enum side { CLIENT, SERVER };
enum mode { ALL_AFTER, ONLY_ONE };
struct hook {
    nrpc_task task;
    enum mode mode;
    uint64_t n, count;
    sem_t done;
};

static void hook_set(struct hook *h)
{
    h->count = alloc_count();
    if (h->mode == ONLY_ONE)
        alloc_fail_once(h->n);
    else
        alloc_fail_at(h->n);
}

static void hook_run(nrpc_task *t, nrpc_loop *loop)
{
    (void) loop;
    struct hook *h = CONTAINER_OF(t, struct hook, task);
    hook_set(h);
    sem_post(&h->done);
}

/* The n-th allocation from now fails, 0 none.  Returns the allocations since the last time. */
static uint64_t fail_at(enum side side, enum mode mode, uint64_t n)
{
    struct hook h = { .task.run = hook_run, .mode = mode, .n = n };
    if (side == CLIENT || server == NULL) {
        hook_set(&h);
        return h.count;
    }
    sem_init(&h.done, 0, 0);
    nrpc_loop_post(nrpc_server_loop(server, 0), &h.task);
    while (sem_wait(&h.done) != 0)
        continue;
    sem_destroy(&h.done);
    return h.count;
}

/* ---- scenarios ----------------------------------------------------------------------------------
 */
struct stage {
    struct peer peer;
    const nrpc_method *unary; /* NULL: the service's own */
    bool good;                /* no answer was wrong so far */
};

static Grpc__Testing__Payload *payload_of(Grpc__Testing__Payload *p, size_t size)
{
    *p = (Grpc__Testing__Payload) GRPC__TESTING__PAYLOAD__INIT;
    p->body = (ProtobufCBinaryData){ .len = size, .data = size == 0 ? NULL : zeros };
    return p;
}

static void look_at(struct stage *s, const Grpc__Testing__Payload *p, size_t size)
{
    size_t have = p == NULL ? 0 : p->body.len;
    s->good = s->good && have == size && (size == 0 || memcmp(p->body.data, zeros, size) == 0);
}

/* What a send that had no memory leaves half done is given up. */
static bool sent(struct exchange *x, const ProtobufCMessage *m)
{
    bool good = exchange_send(x, m);
    if (!good)
        exchange_cancel(x);
    return good;
}

static nrpc_code over(struct exchange *x, size_t *out_extra)
{
    *out_extra = exchange_finish(x);
    return x->status.code;
}

/* One request of TestService.UnaryCall. */
static nrpc_code unary(struct stage *s, Grpc__Testing__SimpleRequest *q, size_t size,
                       const char *const *metadata, uint64_t timeout_ms, nrpc_compression encoding)
{
    Grpc__Testing__Payload payload;
    size_t extra;
    q->payload = payload_of(&payload, size);
    const nrpc_method *method = s->unary != NULL ? s->unary : TEST_METHOD(UNARY_CALL);
    struct exchange *x = exchange_open(&s->peer, method, timeout_ms, metadata, encoding);
    if (x == NULL)
        return NRPC_RESOURCE_EXHAUSTED;
    if (sent(x, &q->base))
        exchange_half_close(x);
    nrpc_msg *m = exchange_next(x);
    if (m != NULL)
        look_at(s, grpc_testing_test_service_unary_call_response(m)->payload,
                (size_t) q->response_size);
    nrpc_msg_free(m);
    nrpc_code code = over(x, &extra);
    s->good = s->good && extra == 0 && (code != NRPC_OK || m != NULL);
    return code;
}

static nrpc_code sized(struct stage *s, size_t request_size, int32_t response_size,
                       nrpc_compression out, bool in)
{
    Grpc__Testing__SimpleRequest q = GRPC__TESTING__SIMPLE_REQUEST__INIT;
    Grpc__Testing__BoolValue yes = GRPC__TESTING__BOOL_VALUE__INIT;
    yes.value = 1;
    q.response_size = response_size;
    q.response_compressed = in ? &yes : NULL;
    q.expect_compressed = out != NRPC_IDENTITY ? &yes : NULL;
    return unary(s, &q, request_size, NULL, CALL_MS, out);
}

static nrpc_code small_unary(struct stage *s)
{
    return sized(s, 10, 20, NRPC_IDENTITY, false);
}
static nrpc_code large_unary(struct stage *s)
{
    return sized(s, 900000, 1100000, NRPC_IDENTITY, false);
}
static nrpc_code gzip_request(struct stage *s)
{
    return sized(s, 50000, 10, NRPC_GZIP, false);
}
static nrpc_code deflate_request(struct stage *s)
{
    return sized(s, 50000, 10, NRPC_DEFLATE, false);
}
static nrpc_code gzip_response(struct stage *s)
{
    return sized(s, 10, 300000, NRPC_IDENTITY, true);
}
static nrpc_code over_the_limit(struct stage *s)
{
    return sized(s, BODY_MAX, 10, NRPC_IDENTITY, false);
}
static nrpc_code over_our_limit(struct stage *s)
{
    return sized(s, 10, BODY_MAX, NRPC_IDENTITY, false);
}

static nrpc_code metadata(struct stage *s)
{
    static const char *const pairs[] = { "x-grpc-test-echo-initial",
                                         "first",
                                         "x-grpc-test-echo-initial",
                                         "second",
                                         "x-grpc-test-echo-trailing-bin",
                                         "\x01\xff\xfe",
                                         "x-more",
                                         "0123456789012345678901234567890123456789",
                                         NULL };
    Grpc__Testing__SimpleRequest q = GRPC__TESTING__SIMPLE_REQUEST__INIT;
    nrpc_code code = unary(s, &q, 0, pairs, CALL_MS, NRPC_IDENTITY);
    if (code != NRPC_OK)
        return code;
    const struct exchange *x = LIST_ENTRY(s->peer.exchanges.prev, struct exchange, link);
    const struct pair *head = pairs_find(&x->head, "x-grpc-test-echo-initial");
    /* The status is worth more than trailers that there is no memory for. */
    s->good = s->good && head != NULL && strcmp((const char *) head->value, "first") == 0;
    return code;
}

static nrpc_code echoed_status(struct stage *s)
{
    Grpc__Testing__SimpleRequest q = GRPC__TESTING__SIMPLE_REQUEST__INIT;
    Grpc__Testing__EchoStatus echo = GRPC__TESTING__ECHO_STATUS__INIT;
    echo.code = NRPC_OUT_OF_RANGE;
    echo.message = (char *) "not \xe2\x98\xba here\n";
    q.response_status = &echo;
    return unary(s, &q, 0, NULL, CALL_MS, NRPC_IDENTITY);
}

static nrpc_code unimplemented(struct stage *s)
{
    const Grpc__Testing__Empty q = GRPC__TESTING__EMPTY__INIT;
    size_t extra;
    struct exchange *x =
        exchange_open(&s->peer, TEST_METHOD(UNIMPLEMENTED_CALL), CALL_MS, NULL, NRPC_IDENTITY);
    if (x == NULL)
        return NRPC_RESOURCE_EXHAUSTED;
    if (sent(x, &q.base))
        exchange_half_close(x);
    nrpc_code code = over(x, &extra);
    s->good = s->good && extra == 0;
    return code;
}

static nrpc_code client_stream(struct stage *s)
{
    enum { REQUESTS = 20, SIZE = 10000 };
    Grpc__Testing__StreamingInputCallRequest q = GRPC__TESTING__STREAMING_INPUT_CALL_REQUEST__INIT;
    Grpc__Testing__Payload payload;
    size_t extra;
    q.payload = payload_of(&payload, SIZE);
    struct exchange *x =
        exchange_open(&s->peer, TEST_METHOD(STREAMING_INPUT_CALL), CALL_MS, NULL, NRPC_IDENTITY);
    if (x == NULL)
        return NRPC_RESOURCE_EXHAUSTED;
    int i = 0;
    while (i < REQUESTS && sent(x, &q.base))
        i++;
    if (i == REQUESTS)
        exchange_half_close(x);
    nrpc_msg *m = exchange_next(x);
    if (m != NULL)
        s->good =
            grpc_testing_test_service_streaming_input_call_response(m)->aggregated_payload_size ==
            REQUESTS * SIZE;
    nrpc_msg_free(m);
    nrpc_code code = over(x, &extra);
    s->good = s->good && extra == 0 && (code != NRPC_OK || m != NULL);
    return code;
}

/* Answers of the request's sizes, by StreamingOutputCall, FullDuplexCall or HalfDuplexCall. */
static nrpc_code answers(struct stage *s, const nrpc_method *method, int rounds, int32_t size,
                         size_t n, bool compressed)
{
    Grpc__Testing__StreamingOutputCallRequest q =
        GRPC__TESTING__STREAMING_OUTPUT_CALL_REQUEST__INIT;
    Grpc__Testing__ResponseParameters part = GRPC__TESTING__RESPONSE_PARAMETERS__INIT, *list[8];
    Grpc__Testing__BoolValue flag = GRPC__TESTING__BOOL_VALUE__INIT;
    flag.value = compressed;
    part.size = size;
    part.compressed = &flag;
    for (size_t i = 0; i < n; i++)
        list[i] = &part;
    q.response_parameters = list;
    q.n_response_parameters = n;
    struct exchange *x = exchange_open(&s->peer, method, CALL_MS, NULL, NRPC_IDENTITY);
    if (x == NULL)
        return NRPC_RESOURCE_EXHAUSTED;
    size_t came = 0, extra;
    bool half = method == TEST_METHOD(HALF_DUPLEX_CALL);
    for (int i = 0; i < rounds; i++) {
        if (!sent(x, &q.base))
            break;
        if (i + 1 == rounds)
            exchange_half_close(x);
        for (size_t k = 0; k < (half ? i + 1 == rounds ? n * (size_t) rounds : 0 : n); k++) {
            nrpc_msg *m = exchange_next(x);
            if (m == NULL)
                break;
            came++;
            look_at(s, grpc_testing_test_service_streaming_output_call_response(m)->payload,
                    (size_t) size);
            nrpc_msg_free(m);
        }
    }
    nrpc_code code = over(x, &extra);
    s->good = s->good && extra == 0 && (code != NRPC_OK || came == n * (size_t) rounds);
    return code;
}

static nrpc_code server_stream(struct stage *s)
{
    return answers(s, TEST_METHOD(STREAMING_OUTPUT_CALL), 1, 20000, 8, false);
}
static nrpc_code compressed_stream(struct stage *s)
{
    return answers(s, TEST_METHOD(STREAMING_OUTPUT_CALL), 1, 20000, 4, true);
}
static nrpc_code full_duplex(struct stage *s)
{
    return answers(s, TEST_METHOD(FULL_DUPLEX_CALL), 4, 3000, 2, false);
}
static nrpc_code half_duplex(struct stage *s)
{
    return answers(s, TEST_METHOD(HALF_DUPLEX_CALL), 3, 1000, 2, false);
}

/* An answer that comes after the deadline. */
static nrpc_code deadline(struct stage *s)
{
    Grpc__Testing__StreamingOutputCallRequest q =
        GRPC__TESTING__STREAMING_OUTPUT_CALL_REQUEST__INIT;
    Grpc__Testing__ResponseParameters part = GRPC__TESTING__RESPONSE_PARAMETERS__INIT,
                                      *list[] = { &part };
    size_t extra;
    part.interval_us = 60000000;
    q.response_parameters = list;
    q.n_response_parameters = 1;
    struct exchange *x =
        exchange_open(&s->peer, TEST_METHOD(STREAMING_OUTPUT_CALL), 3, NULL, NRPC_IDENTITY);
    if (x == NULL)
        return NRPC_RESOURCE_EXHAUSTED;
    if (sent(x, &q.base))
        exchange_half_close(x);
    nrpc_code code = over(x, &extra);
    s->good = s->good && extra == 0;
    return code;
}

/* A stream without end, given up after some answers. */
static nrpc_code cancelled_stream(struct stage *s)
{
    Grpc__Testing__SimpleRequest q = GRPC__TESTING__SIMPLE_REQUEST__INIT;
    q.response_size = 30000;
    struct exchange *x = exchange_open(&s->peer, BENCHMARK_METHOD(STREAMING_FROM_SERVER), CALL_MS,
                                       NULL, NRPC_IDENTITY);
    if (x == NULL)
        return NRPC_RESOURCE_EXHAUSTED;
    if (sent(x, &q.base))
        exchange_half_close(x);
    for (int i = 0; i < 20; i++) {
        nrpc_msg *m = exchange_next(x);
        if (m == NULL)
            break;
        look_at(s, grpc_testing_benchmark_service_streaming_from_server_response(m)->payload,
                30000);
        nrpc_msg_free(m);
    }
    exchange_cancel(x);
    size_t extra;
    return over(x, &extra);
}

/* More calls than a connection's streams; the outcome is that of the worst one. */
static nrpc_code many_calls(struct stage *s)
{
    Grpc__Testing__SimpleRequest q = GRPC__TESTING__SIMPLE_REQUEST__INIT;
    q.response_size = 100;
    struct exchange *calls[MANY];
    nrpc_code worst = NRPC_OK;
    for (int i = 0; i < MANY; i++) {
        calls[i] = exchange_open(&s->peer, TEST_METHOD(UNARY_CALL), CALL_MS, NULL, NRPC_IDENTITY);
        if (calls[i] == NULL)
            worst = NRPC_RESOURCE_EXHAUSTED;
        else if (sent(calls[i], &q.base))
            exchange_half_close(calls[i]);
    }
    for (int i = 0; i < MANY; i++) {
        nrpc_msg *m = calls[i] == NULL ? NULL : exchange_next(calls[i]);
        if (m != NULL)
            look_at(s, grpc_testing_test_service_unary_call_response(m)->payload, 100);
        nrpc_msg_free(m);
        size_t extra;
        nrpc_code code = calls[i] == NULL ? NRPC_OK : over(calls[i], &extra);
        s->good = s->good && (code != NRPC_OK || calls[i] == NULL || m != NULL);
        if (code != NRPC_OK)
            worst = code;
    }
    return worst;
}

/* The client goes away with calls in flight. */
static nrpc_code abandoned(struct stage *s)
{
    Grpc__Testing__SimpleRequest q = GRPC__TESTING__SIMPLE_REQUEST__INIT;
    q.response_size = 30000;
    for (int i = 0; i < 3; i++) {
        struct exchange *x = exchange_open(&s->peer, BENCHMARK_METHOD(STREAMING_FROM_SERVER),
                                           CALL_MS, NULL, NRPC_IDENTITY);
        if (x == NULL)
            return NRPC_RESOURCE_EXHAUSTED;
        if (!sent(x, &q.base))
            return NRPC_RESOURCE_EXHAUSTED;
        exchange_half_close(x);
        nrpc_msg *m = exchange_next(x);
        nrpc_msg_free(m);
        if (m == NULL)
            return x->status.code;
    }
    return NRPC_OK;
}

static nrpc_code health_check(struct stage *s)
{
    const Grpc__Health__V1__HealthCheckRequest q = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
    size_t extra;
    struct exchange *x = exchange_open(
        &s->peer, &grpc_health_v1_health_service.methods[GRPC_HEALTH_V1_HEALTH_METHOD_CHECK],
        CALL_MS, NULL, NRPC_IDENTITY);
    if (x == NULL)
        return NRPC_RESOURCE_EXHAUSTED;
    if (sent(x, &q.base))
        exchange_half_close(x);
    nrpc_msg *m = exchange_next(x);
    if (m != NULL)
        s->good = grpc_health_v1_health_check_response(m)->status ==
                  GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING;
    nrpc_msg_free(m);
    return over(x, &extra);
}

static nrpc_code health_watch(struct stage *s)
{
    Grpc__Health__V1__HealthCheckRequest q = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
    size_t extra;
    q.service = (char *) "grpc.testing.TestService";
    struct exchange *x = exchange_open(
        &s->peer, &grpc_health_v1_health_service.methods[GRPC_HEALTH_V1_HEALTH_METHOD_WATCH],
        CALL_MS, NULL, NRPC_IDENTITY);
    if (x == NULL)
        return NRPC_RESOURCE_EXHAUSTED;
    if (sent(x, &q.base))
        exchange_half_close(x);
    nrpc_msg_free(exchange_next(x));
    exchange_cancel(x);
    return over(x, &extra);
}

/* Raw bytes: what is asked is two bytes, and the answer has a name in it. */
static nrpc_code reflection(struct stage *s)
{
    static const nrpc_method method = { "ServerReflectionInfo",
                                        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
                                        NRPC_BIDI,
                                        false,
                                        NULL,
                                        NULL };
    Grpc__Testing__Payload file = GRPC__TESTING__PAYLOAD__INIT; /* only for its bytes */
    static const char symbol[] = "grpc.testing.TestService";
    struct exchange *x = exchange_open(&s->peer, &method, CALL_MS, NULL, NRPC_IDENTITY);
    if (x == NULL)
        return NRPC_RESOURCE_EXHAUSTED;
    /* Payload.body has the tag 2; reflection's file_by_filename is 3, list_services 7: an unknown
     * field goes out as it is. */
    ProtobufCMessageUnknownField ask = { .tag = 4,
                                         .wire_type = PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED };
    uint8_t text[1 + sizeof symbol];
    text[0] = sizeof symbol - 1;
    memcpy(text + 1, symbol, sizeof symbol);
    ask.len = sizeof symbol;
    ask.data = text;
    file.base.n_unknown_fields = 1;
    file.base.unknown_fields = &ask;
    size_t extra;
    if (sent(x, &file.base))
        exchange_half_close(x);
    nrpc_msg *m = exchange_next(x);
    if (m != NULL) {
        nrpc_slice bytes = nrpc_msg_bytes(m);
        static const char name[] = "grpc/testing/test.proto";
        s->good = memmem(bytes.data, bytes.size, name, sizeof name - 1) != NULL;
    }
    nrpc_msg_free(m);
    nrpc_code code = over(x, &extra);
    s->good = s->good && (code != NRPC_OK || m != NULL);
    return code;
}

/* The server drains under a stream. */
static nrpc_code drained(struct stage *s)
{
    Grpc__Testing__SimpleRequest q = GRPC__TESTING__SIMPLE_REQUEST__INIT;
    q.response_size = 3000;
    struct exchange *x = exchange_open(&s->peer, BENCHMARK_METHOD(STREAMING_FROM_SERVER), CALL_MS,
                                       NULL, NRPC_IDENTITY);
    if (x == NULL)
        return NRPC_RESOURCE_EXHAUSTED;
    if (sent(x, &q.base))
        exchange_half_close(x);
    nrpc_msg_free(exchange_next(x));
    nrpc_server_stop(server, 5);
    size_t extra;
    return over(x, &extra);
}

/* ---- policies: the channel is told before its first call ----------------------------------------
 */
static nrpc_code with_policy(struct stage *s, const nrpc_method_config *config)
{
    Grpc__Testing__SimpleRequest q = GRPC__TESTING__SIMPLE_REQUEST__INIT;
    Grpc__Testing__EchoStatus echo = GRPC__TESTING__ECHO_STATUS__INIT;
    if (nrpc_channel_configure(s->peer.channel, config, 1) < 0)
        return NRPC_RESOURCE_EXHAUSTED;
    echo.code = NRPC_UNAVAILABLE;
    echo.message = (char *) "again";
    q.response_status = &echo;
    return unary(s, &q, 1000, NULL, CALL_MS, NRPC_IDENTITY);
}

static nrpc_code retried(struct stage *s)
{
    static const nrpc_retry_policy retry = { .max_attempts = 3,
                                             .initial_backoff_ms = 1,
                                             .max_backoff_ms = 2,
                                             .backoff_multiplier = 2,
                                             .codes = 1u << NRPC_UNAVAILABLE };
    return with_policy(s, &(nrpc_method_config){ .name = "", .retry = &retry });
}

/* Only idempotent methods are hedged; each refusal sends the next attempt. */
static nrpc_code hedged(struct stage *s)
{
    static const nrpc_hedging_policy hedging = { .max_attempts = 3,
                                                 .delay_ms = 1,
                                                 .non_fatal_codes = 1u << NRPC_UNAVAILABLE };
    static nrpc_method method;
    method = *TEST_METHOD(UNARY_CALL);
    method.idempotent = true;
    s->unary = &method;
    return with_policy(s, &(nrpc_method_config){ .name = "", .hedging = &hedging });
}

static nrpc_code nobody_there(struct stage *s)
{
    return small_unary(s);
}

static const struct scenario {
    const char *name;
    nrpc_code (*run)(struct stage *s);
    nrpc_code code; /* with memory */
    bool restarts;  /* the server ends in it */
    bool tls;
    const char *target;
} scenarios[] = {
    { "small unary", small_unary, NRPC_OK },
    { "large unary", large_unary, NRPC_OK },
    { "gzip request", gzip_request, NRPC_OK },
    { "deflate request", deflate_request, NRPC_OK },
    { "gzip response", gzip_response, NRPC_OK },
    { "request over the limit", over_the_limit, NRPC_RESOURCE_EXHAUSTED },
    { "response over the limit", over_our_limit, NRPC_RESOURCE_EXHAUSTED },
    { "metadata", metadata, NRPC_OK },
    { "status", echoed_status, NRPC_OUT_OF_RANGE },
    { "unimplemented", unimplemented, NRPC_UNIMPLEMENTED },
    { "client stream", client_stream, NRPC_OK },
    { "server stream", server_stream, NRPC_OK },
    { "compressed stream", compressed_stream, NRPC_OK },
    { "full duplex", full_duplex, NRPC_OK },
    { "half duplex", half_duplex, NRPC_OK },
    { "deadline", deadline, NRPC_DEADLINE_EXCEEDED },
    { "cancelled stream", cancelled_stream, NRPC_CANCELLED },
    { "many calls", many_calls, NRPC_OK },
    { "abandoned calls", abandoned, NRPC_OK },
    { "health check", health_check, NRPC_OK },
    { "health watch", health_watch, NRPC_CANCELLED },
    { "reflection", reflection, NRPC_OK },
    { "TLS unary", small_unary, NRPC_OK, .tls = true },
    { "TLS large unary", large_unary, NRPC_OK, .tls = true },
    { "TLS cancelled stream", cancelled_stream, NRPC_CANCELLED, .tls = true },
    { "retries", retried, NRPC_UNAVAILABLE },
    { "hedging", hedged, NRPC_UNAVAILABLE },
    { "drain", drained, NRPC_UNAVAILABLE, .restarts = true },
    { "connection refused", nobody_there, NRPC_UNAVAILABLE, .target = "127.0.0.1:1" },
};

/* ---- the sweep
 * ------------------------------------------------------------------------------------ */
static bool nothing_left(void)
{
    nrpc_gauges g;
    nrpc_gauges_read(&g);
    return g.connections == 0 && g.calls == 0 && g.messages == 0 && g.blobs == 0 &&
           g.cancels == 0 && g.channels == 0 && g.timers == 0;
}

/* The server's end of a connection goes when its loop has seen ours go. */
static void wait_for_nothing(const char *name, uint64_t n)
{
    uint64_t end = clock_mono_ns() + GONE_SECONDS * 1000000000ull;
    while (!nothing_left()) {
        if (clock_mono_ns() > end) {
            nrpc_gauges g;
            nrpc_gauges_read(&g);
            fail_msg("%s, allocation %llu: left are %lld connections, %lld calls, %lld messages, "
                     "%lld cancels, %lld channels, %lld timers",
                     name, (unsigned long long) n, (long long) g.connections, (long long) g.calls,
                     (long long) g.messages, (long long) g.cancels, (long long) g.channels,
                     (long long) g.timers);
        }
        sched_yield();
    }
}

/* A status that says that there was no memory, or that the connection went for it. */
static bool is_excuse(nrpc_code code)
{
    return code == NRPC_RESOURCE_EXHAUSTED || code == NRPC_UNAVAILABLE || code == NRPC_INTERNAL ||
           code == NRPC_CANCELLED || code == NRPC_UNKNOWN;
}

/* Runs the scenario with the n-th allocation failing; returns how many there were. */
static uint64_t run_once(const struct scenario *c, enum side side, enum mode mode, uint64_t n)
{
    struct stage s = { .peer.quiet = true, .good = true };
    if (server == NULL)
        server_up();
    const nrpc_channel_options o = {
        .target = c->target != NULL ? c->target
                  : c->tls          ? nrpc_server_address(server, 1)
                                    : socket_path,
        .tls = c->tls ? client_tls : NULL,
    };
    fail_at(side, mode, n);
    nrpc_code code = NRPC_RESOURCE_EXHAUSTED;
    if (peer_open(&s.peer, &o) == 0) {
        code = c->run(&s);
        peer_close(&s.peer);
    }
    uint64_t count;
    if (c->restarts) {
        /* Its loop ends with the hook set; the count is that of the client. */
        count = side == CLIENT ? fail_at(CLIENT, mode, 0) : n + 1;
        server_down();
        wait_for_nothing(c->name, n);
    } else {
        wait_for_nothing(c->name, n);
        count = fail_at(side, mode, 0);
    }
    bool failed = n != 0 && count >= n;
    if (!s.good || (code != c->code && !(failed && is_excuse(code))))
        fail_msg("%s, the %s's allocation %llu of %llu, %s: %s%s", c->name,
                 side == CLIENT ? "client" : "server", (unsigned long long) n,
                 (unsigned long long) count, mode == ONLY_ONE ? "alone" : "and all after it",
                 nrpc_code_name(code), s.good ? "" : ", and a wrong answer");
    return count;
}

static uint64_t points(void)
{
    const char *text = getenv("OOM_POINTS");
    return text == NULL ? POINTS : strtoull(text, NULL, 10);
}

static void sweep(const struct scenario *c, enum side side)
{
    /* Of a server that ends itself the allocations are not counted: as many as a call has. */
    uint64_t all = run_once(c, side, ALL_AFTER, 0);
    if (c->restarts && side == SERVER)
        all = 150;
    uint64_t wanted = points(), step = wanted == 0 || all <= wanted ? 1 : all / wanted;
    for (int mode = ALL_AFTER; mode <= ONLY_ONE; mode++)
        for (uint64_t n = 1 + (mode == ONLY_ONE ? step / 2 : 0); n <= all; n += step)
            run_once(c, side, (enum mode) mode, n);
    if (server != NULL) /* it still serves */
        run_once(&scenarios[0], side, ALL_AFTER, 0);
    print_message("%s, %s: %llu allocations, every %llu. failed\n", c->name,
                  side == CLIENT ? "client" : "server", (unsigned long long) all,
                  (unsigned long long) step);
}

static void contexts_make(void)
{
    char why[256];
    certs_make();
    const nrpc_tls_options o = { .certificate_file = certs_path("server.pem"),
                                 .key_file = certs_path("server.key") };
    const nrpc_tls_options trust = { .ca_file = certs_path("ca.pem") };
    assert_int_equal(nrpc_tls_server_new(&o, &server_tls, why, sizeof why), 0);
    assert_int_equal(nrpc_tls_client_new(&trust, &client_tls, why, sizeof why), 0);
}

static void test_sweep(void **state)
{
    (void) state;
    const char *only = getenv("OOM_ONLY");
    contexts_make();
    for (size_t i = 0; i < ARRAY_SIZE(scenarios); i++) {
        if (only != NULL && strcmp(only, scenarios[i].name) != 0)
            continue;
        sweep(&scenarios[i], CLIENT);
        sweep(&scenarios[i], SERVER);
    }
    if (server != NULL)
        server_down();
    assert_true(nothing_left());
    nrpc_tls_unref(server_tls);
    nrpc_tls_unref(client_tls);
    certs_remove();
}

int main(void)
{
    log_setup("test_oom", STDERR_FILENO, LOG_LEVEL_OFF);
    snprintf(socket_path, sizeof socket_path, "unix:/tmp/nrpc-oom-%ld.sock", (long) getpid());
    static const struct CMUnitTest tests[] = { cmocka_unit_test(test_sweep) };
    int result = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(socket_path + 5);
    return result;
}
