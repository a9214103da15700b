/* The cases of interop_client about load reports (gRFC A51). */
#include <string.h>

#include "rpc/base/clock.h"
#include "tests/interop/client.h"
#include "xds/service/orca/v3/orca.nrpc.h"

typedef Xds__Data__Orca__V3__OrcaLoadReport load_report;

#define ORCA_TRAILER "endpoint-load-metrics-bin"
enum { WAIT_MS = 10000, INTERVAL_MS = 200 }; /* for a report, as the public clients; between them */

/* What a test reports, and then expects. */
struct load {
    double cpu, memory, cost, share; /* cost 0: no cost is reported */
};

/* The message of a load; the parts are the caller's. */
struct test_report {
    Grpc__Testing__TestOrcaReport report;
    Grpc__Testing__TestOrcaReport__RequestCostEntry cost, *costs[1];
    Grpc__Testing__TestOrcaReport__UtilizationEntry share, *shares[1];
};

static Grpc__Testing__TestOrcaReport *report_init(struct test_report *t, const struct load *load)
{
    *t = (struct test_report){
        .report = GRPC__TESTING__TEST_ORCA_REPORT__INIT,
        .cost = GRPC__TESTING__TEST_ORCA_REPORT__REQUEST_COST_ENTRY__INIT,
        .share = GRPC__TESTING__TEST_ORCA_REPORT__UTILIZATION_ENTRY__INIT,
    };
    t->report.cpu_utilization = load->cpu;
    t->report.memory_utilization = load->memory;
    t->cost.key = (char *) "cost";
    t->cost.value = load->cost;
    t->costs[0] = &t->cost;
    t->report.n_request_cost = load->cost > 0 ? 1 : 0;
    t->report.request_cost = t->costs;
    t->share.key = (char *) "util";
    t->share.value = load->share;
    t->shares[0] = &t->share;
    t->report.n_utilization = 1;
    t->report.utilization = t->shares;
    return &t->report;
}

/* These values and no others (rps, which is deprecated, aside); nothing computes with them, so they
 * are the same bits. */
static bool report_says(const load_report *got, const struct load *load)
{
    bool cost = load->cost > 0;
    return got->cpu_utilization == load->cpu && got->mem_utilization == load->memory &&
           got->n_request_cost == (cost ? 1 : 0) &&
           (!cost || (strcmp(got->request_cost[0]->key, "cost") == 0 &&
                      got->request_cost[0]->value == load->cost)) &&
           got->n_utilization == 1 && strcmp(got->utilization[0]->key, "util") == 0 &&
           got->utilization[0]->value == load->share && got->rps_fractional == 0 && got->eps == 0 &&
           got->n_named_metrics == 0 && got->application_utilization == 0;
}

/* A unary call; load NULL asks for no report. */
static struct exchange *unary_with(struct run *r, const struct load *load)
{
    struct test_report t;
    Grpc__Testing__SimpleRequest request = GRPC__TESTING__SIMPLE_REQUEST__INIT;
    if (load != NULL)
        request.orca_per_query_report = report_init(&t, load);
    struct exchange *x = ask(&r->peer, TEST_METHOD(UNARY_CALL), &request.base, NULL);
    nrpc_msg_free(take_answer(x));
    return x;
}

bool case_orca_per_rpc(struct run *r)
{
    static const struct load load = {
        .cpu = 0.8210, .memory = 0.5847, .cost = 3456.32, .share = 0.30499
    };
    struct exchange *x = unary_with(r, &load);
    EXPECT(x != NULL, "UnaryCall starts");
    if (!expect_end(x, NRPC_OK))
        return false;
    const struct pair *trailer = pairs_find(&x->tail, ORCA_TRAILER);
    EXPECT(trailer != NULL, "the trailers have " ORCA_TRAILER);
    load_report *got =
        xds__data__orca__v3__orca_load_report__unpack(NULL, trailer->size, trailer->value);
    EXPECT(got != NULL, "it is an OrcaLoadReport");
    bool same = report_says(got, &load);
    xds__data__orca__v3__orca_load_report__free_unpacked(got, NULL);
    EXPECT(same, "the report says what the request did");
    x = unary_with(r, NULL);
    EXPECT(x != NULL, "UnaryCall starts");
    if (!expect_end(x, NRPC_OK))
        return false;
    EXPECT(pairs_find(&x->tail, ORCA_TRAILER) == NULL, "a call without a report ends with none");
    return true;
}

/* Sends a load on the duplex call, and takes its answer of one byte. */
static bool set_load(struct exchange *x, const struct load *load)
{
    struct test_report t;
    Grpc__Testing__ResponseParameters one = GRPC__TESTING__RESPONSE_PARAMETERS__INIT,
                                      *list[] = { &one };
    Grpc__Testing__StreamingOutputCallRequest request =
        GRPC__TESTING__STREAMING_OUTPUT_CALL_REQUEST__INIT;
    one.size = 1;
    request.n_response_parameters = 1;
    request.response_parameters = list;
    request.orca_oob_report = report_init(&t, load);
    EXPECT(exchange_send(x, &request.base), "a load of %g is sent", load->cpu);
    nrpc_msg *m = take_answer(x);
    bool good =
        m != NULL &&
        payload_is_zeros(grpc_testing_test_service_full_duplex_call_response(m)->payload, 1);
    nrpc_msg_free(m);
    EXPECT(good, "FullDuplexCall answers 1 zero byte");
    return true;
}

static bool wait_load(struct exchange *metrics, const struct load *load)
{
    const uint64_t until_ns = clock_mono_ns() + WAIT_MS * UINT64_C(1000000);
    bool same = false;
    size_t reports = 0;
    do {
        nrpc_msg *m = take_answer(metrics);
        if (m == NULL)
            return false;
        same =
            report_says(xds_service_orca_v3_open_rca_service_stream_core_metrics_response(m), load);
        nrpc_msg_free(m);
        reports++;
    } while (!same && clock_mono_ns() < until_ns);
    EXPECT(same, "a load of %g is reported within %d ms (%zu reports)", load->cpu, WAIT_MS,
           reports);
    return true;
}

/* One load after the other is set on a call, and seen on the report stream beside it. */
bool case_orca_oob(struct run *r)
{
    static const struct load loads[] = { { .cpu = 0.8210, .memory = 0.5847, .share = 0.30499 },
                                         { .cpu = 0.29309, .memory = 0.2, .share = 0.2039 } };
    Google__Protobuf__Duration interval = GOOGLE__PROTOBUF__DURATION__INIT;
    Xds__Service__Orca__V3__OrcaLoadReportRequest request =
        XDS__SERVICE__ORCA__V3__ORCA_LOAD_REPORT_REQUEST__INIT;
    interval.nanos = INTERVAL_MS * 1000000;
    request.report_interval = &interval;
    struct exchange *x =
        exchange_open(&r->peer, TEST_METHOD(FULL_DUPLEX_CALL), CALL_MS, NULL, NRPC_IDENTITY);
    EXPECT(x != NULL, "FullDuplexCall starts");
    struct exchange *metrics = ask(
        &r->peer, &xds_service_orca_v3_open_rca_service_service.methods[0], &request.base, NULL);
    EXPECT(metrics != NULL, "StreamCoreMetrics starts");
    for (size_t i = 0; i < ARRAY_SIZE(loads); i++)
        if (!set_load(x, &loads[i]) || !wait_load(metrics, &loads[i]))
            return false;
    exchange_half_close(x);
    if (!expect_end(x, NRPC_OK))
        return false;
    exchange_cancel(metrics);
    (void) exchange_finish(metrics); /* a report may have been under way */
    EXPECT(metrics->status.code == NRPC_CANCELLED,
           "StreamCoreMetrics goes on until it is cancelled");
    return true;
}
