/* The cases of interop_client that repeat: many calls at once, or for long. */
#include <stdio.h>
#include <time.h>

#include "rpc/base/clock.h"
#include "tests/interop/client.h"

#define NS_PER_MS 1000000ull

static void sleep_ms(uint64_t ms)
{
    struct timespec left = { .tv_sec = (time_t) (ms / 1000),
                             .tv_nsec = (long) (ms % 1000) * 1000000 };
    while (nanosleep(&left, &left) != 0)
        continue;
}

/* All at once on one channel: more than a connection's streams, so some wait for theirs. */
bool case_concurrent_large_unary(struct run *r)
{
    enum { CALLS = 200 };
    struct exchange *calls[CALLS];
    Grpc__Testing__SimpleRequest request = GRPC__TESTING__SIMPLE_REQUEST__INIT;
    Grpc__Testing__Payload payload = GRPC__TESTING__PAYLOAD__INIT;
    payload.body = zero_bytes(LARGE_REQUEST);
    request.payload = &payload;
    request.response_size = LARGE_RESPONSE;
    for (int i = 0; i < CALLS; i++) {
        calls[i] = ask(&r->peer, TEST_METHOD(UNARY_CALL), &request.base, NULL);
        if (calls[i] == NULL)
            return expect(false, "UnaryCall %d starts", i);
    }
    int good = 0;
    for (int i = 0; i < CALLS; i++) {
        nrpc_msg *m = exchange_next(calls[i]);
        bool whole =
            m != NULL && payload_is_zeros(grpc_testing_test_service_unary_call_response(m)->payload,
                                          LARGE_RESPONSE);
        nrpc_msg_free(m);
        good += whole && exchange_finish(calls[i]) == 0 && calls[i]->status.code == NRPC_OK;
    }
    EXPECT(good == CALLS, "%d large calls at once succeed (%d did)", CALLS, good);
    return true;
}

struct soak {
    int failures, done;
    uint64_t slowest_ms;
};

/* One iteration; counts it as failed when it is wrong or took too long. */
static void soak_once(struct run *r, struct soak *soak, bool new_channel)
{
    const struct settings *o = r->settings;
    struct peer own = { .metadata = r->peer.metadata }, *peer = &r->peer;
    uint64_t began = clock_mono_ns();
    if (new_channel && peer_open(&own, &r->channel) == 0)
        peer = &own;
    bool good = large_unary(peer, o->soak_request_size, o->soak_response_size);
    uint64_t took_ms = (clock_mono_ns() - began) / NS_PER_MS;
    if (peer == &own)
        peer_close(&own);
    bool failed = !good || took_ms > (uint64_t) o->soak_latency_ms;
    printf("  soak iteration: %d elapsed_ms: %llu server: %s:%d %s\n", soak->done,
           (unsigned long long) took_ms, o->server_host, o->server_port,
           failed ? "failed" : "succeeded");
    soak->failures += failed;
    soak->done++;
    if (took_ms > soak->slowest_ms)
        soak->slowest_ms = took_ms;
}

static bool soak(struct run *r, bool new_channel)
{
    const struct settings *o = r->settings;
    struct soak s = { 0 };
    uint64_t each_ms = (uint64_t) o->soak_latency_ms + (uint64_t) o->soak_min_time_ms;
    uint64_t all_ms = o->soak_overall_seconds > 0 ? (uint64_t) o->soak_overall_seconds * 1000
                                                  : (uint64_t) o->soak_iterations * each_ms;
    uint64_t began = clock_mono_ns(), end = began + all_ms * NS_PER_MS;
    for (int i = 0; i < o->soak_iterations && clock_mono_ns() < end; i++) {
        uint64_t due = clock_mono_ns() + (uint64_t) o->soak_min_time_ms * NS_PER_MS;
        soak_once(r, &s, new_channel);
        uint64_t now = clock_mono_ns();
        if (i + 1 < o->soak_iterations && now < due)
            sleep_ms((due - now) / NS_PER_MS);
    }
    EXPECT(s.done == o->soak_iterations, "all %d iterations were done in time (%d were)",
           o->soak_iterations, s.done);
    EXPECT(s.failures <= o->soak_max_failures,
           "at most %d of them failed (%d did; the slowest took %llu ms)", o->soak_max_failures,
           s.failures, (unsigned long long) s.slowest_ms);
    return true;
}

bool case_rpc_soak(struct run *r)
{
    return soak(r, false);
}

bool case_channel_soak(struct run *r)
{
    return soak(r, true);
}

/* One channel that rests between its calls. */
bool case_long_lived_channel(struct run *r)
{
    const struct settings *o = r->settings;
    for (int i = 0; i < o->soak_iterations; i++) {
        if (!large_unary(&r->peer, LARGE_REQUEST, LARGE_RESPONSE))
            return false;
        if (i + 1 < o->soak_iterations)
            sleep_ms((uint64_t) o->iteration_interval * 1000);
    }
    return true;
}
