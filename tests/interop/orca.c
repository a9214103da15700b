/* Load reports.  The one that is sent out of band belongs to the process, whichever loop a call is
 * on, so a lock guards it; it is taken by calls of these tests only, for a copy of a few bytes. */
#include "tests/interop/orca.h"

#include <pthread.h>
#include <string.h>

#include "rpc/base/list.h"
#include "xds/service/orca/v3/orca.nrpc.h"

typedef Xds__Data__Orca__V3__OrcaLoadReport load_report;
typedef Xds__Data__Orca__V3__OrcaLoadReport__RequestCostEntry cost_entry;
typedef Xds__Data__Orca__V3__OrcaLoadReport__UtilizationEntry utilization_entry;

struct packed {
    size_t size;
    uint8_t bytes[ORCA_BYTES_MAX];
};

/* ---- the test's own message to the public one ------------------------------------------------ */
static int pack(const Grpc__Testing__TestOrcaReport *from, bool with_costs, struct packed *out)
{
    load_report report;
    cost_entry costs[ORCA_ENTRIES_MAX], *cost_list[ORCA_ENTRIES_MAX];
    utilization_entry shares[ORCA_ENTRIES_MAX], *share_list[ORCA_ENTRIES_MAX];
    if (from->n_request_cost > ORCA_ENTRIES_MAX || from->n_utilization > ORCA_ENTRIES_MAX)
        return NRPC_E_TOOBIG;
    /* Not the initialiser: it names a deprecated field, which clang reports. */
    xds__data__orca__v3__orca_load_report__init(&report);
    report.cpu_utilization = from->cpu_utilization;
    report.mem_utilization = from->memory_utilization;
    report.n_request_cost = with_costs ? from->n_request_cost : 0;
    report.request_cost = cost_list;
    for (size_t i = 0; i < report.n_request_cost; i++) {
        costs[i] = (cost_entry) XDS__DATA__ORCA__V3__ORCA_LOAD_REPORT__REQUEST_COST_ENTRY__INIT;
        costs[i].key = from->request_cost[i]->key;
        costs[i].value = from->request_cost[i]->value;
        cost_list[i] = &costs[i];
    }
    report.n_utilization = from->n_utilization;
    report.utilization = share_list;
    for (size_t i = 0; i < report.n_utilization; i++) {
        shares[i] =
            (utilization_entry) XDS__DATA__ORCA__V3__ORCA_LOAD_REPORT__UTILIZATION_ENTRY__INIT;
        shares[i].key = from->utilization[i]->key;
        shares[i].value = from->utilization[i]->value;
        share_list[i] = &shares[i];
    }
    if (protobuf_c_message_get_packed_size(&report.base) > ORCA_BYTES_MAX)
        return NRPC_E_TOOBIG;
    out->size = protobuf_c_message_pack(&report.base, out->bytes);
    return 0;
}

int orca_add_trailer(nrpc_call *c, const Grpc__Testing__TestOrcaReport *report)
{
    struct packed packed;
    if (report == NULL)
        return 0;
    int r = pack(report, true, &packed);
    if (r < 0)
        return r;
    nrpc_metadata *md = nrpc_call_trailers_out(c);
    return md == NULL
               ? NRPC_E_NOMEM
               : nrpc_metadata_add(md, ORCA_TRAILER, (nrpc_slice){ packed.bytes, packed.size });
}

/* ---- out of band ----------------------------------------------------------------------------- */
enum { INTERVAL_MIN_MS = 30, INTERVAL_MAX_MS = 3600 * 1000, INTERVAL_MS = 1000 };

struct reporter {
    struct list link; /* under the lock */
    nrpc_call *call;
    nrpc_loop *loop;
    nrpc_timer *timer;
    uint64_t interval_ms;
};

static struct {
    pthread_mutex_t lock;
    const void *holder; /* compared, never followed */
    struct packed now;
    struct list reporters;
} oob = { .lock = PTHREAD_MUTEX_INITIALIZER, .reporters = { &oob.reporters, &oob.reporters } };

int orca_hold(const void *holder, const Grpc__Testing__TestOrcaReport *report)
{
    struct packed packed;
    int r = pack(report, false, &packed);
    if (r < 0)
        return r;
    pthread_mutex_lock(&oob.lock);
    if (oob.holder != NULL && oob.holder != holder) {
        r = NRPC_E_FULL;
    } else {
        oob.holder = holder;
        oob.now.size = packed.size;
        memcpy(oob.now.bytes, packed.bytes, packed.size);
    }
    pthread_mutex_unlock(&oob.lock);
    return r;
}

void orca_release(const void *holder)
{
    pthread_mutex_lock(&oob.lock);
    if (oob.holder == holder) {
        oob.holder = NULL;
        oob.now.size = 0;
    }
    pthread_mutex_unlock(&oob.lock);
}

/* The report as it is now; the next one after the interval, or once the peer reads again. */
static void report_now(void *ctx)
{
    struct reporter *o = ctx;
    struct packed packed;
    pthread_mutex_lock(&oob.lock);
    packed.size = oob.now.size;
    memcpy(packed.bytes, oob.now.bytes, packed.size);
    pthread_mutex_unlock(&oob.lock);
    int r = nrpc_call_send_bytes(o->call, (nrpc_slice){ packed.bytes, packed.size });
    if (r < 0)
        interop_fail_send(o->call, r);
    else if (r != NRPC_PAUSE)
        nrpc_timer_start(o->timer, o->interval_ms);
}

static void metrics_writable(nrpc_call *c, void *state)
{
    (void) c;
    struct reporter *o = state;
    nrpc_timer_start(o->timer, o->interval_ms);
}

static uint64_t interval_of(const Xds__Service__Orca__V3__OrcaLoadReportRequest *q)
{
    const Google__Protobuf__Duration *d = q->report_interval;
    if (d == NULL)
        return INTERVAL_MS;
    if (d->seconds >= INTERVAL_MAX_MS / 1000)
        return INTERVAL_MAX_MS;
    int64_t ms = d->seconds < 0 ? 0 : d->seconds * 1000 + d->nanos / 1000000;
    return ms < INTERVAL_MIN_MS ? INTERVAL_MIN_MS : (uint64_t) ms;
}

static void stream_core_metrics(nrpc_call *c, void *service_ctx, nrpc_msg *request)
{
    (void) service_ctx;
    struct reporter *o = nrpc_call_alloc(c, sizeof *o);
    if (o != NULL) {
        o->call = c;
        o->loop = nrpc_call_loop(c);
        o->interval_ms =
            interval_of(xds_service_orca_v3_open_rca_service_stream_core_metrics_request(request));
        list_init(&o->link);
    }
    nrpc_msg_free(request);
    if (o == NULL || nrpc_timer_new(o->loop, report_now, o, &o->timer) < 0) {
        nrpc_call_fail(c, NRPC_RESOURCE_EXHAUSTED, "out of memory");
        return;
    }
    nrpc_call_set_state(c, o);
    pthread_mutex_lock(&oob.lock);
    list_add_tail(&oob.reporters, &o->link);
    pthread_mutex_unlock(&oob.lock);
    report_now(o);
}

static void metrics_end(nrpc_call *c, void *state, const nrpc_status *st)
{
    (void) c;
    (void) st;
    struct reporter *o = state;
    if (o == NULL)
        return; /* ended before its request was whole, or without memory */
    pthread_mutex_lock(&oob.lock);
    list_remove(&o->link);
    pthread_mutex_unlock(&oob.lock);
    nrpc_timer_free(o->timer);
}

/* The next reporter of this loop, no longer in the list. */
static struct reporter *take_reporter(const nrpc_loop *loop)
{
    struct reporter *found = NULL;
    pthread_mutex_lock(&oob.lock);
    LIST_EACH(&oob.reporters, link, after)
    {
        struct reporter *o = LIST_ENTRY(link, struct reporter, link);
        if (found == NULL && o->loop == loop) {
            found = o;
            list_remove(link);
        }
    }
    pthread_mutex_unlock(&oob.lock);
    return found;
}

/* A report stream has no end of its own, so a drain would wait for its grace in vain. */
static void end_reports(void *ctx, nrpc_loop *loop)
{
    (void) ctx;
    for (struct reporter *o; (o = take_reporter(loop)) != NULL;) {
        nrpc_timer_stop(o->timer);
        nrpc_call_finish(o->call, NULL);
    }
}

int interop_add_orca_service(nrpc_server *s)
{
    static const xds_service_orca_v3_open_rca_service_handlers handlers = {
        .stream_core_metrics = { .request = stream_core_metrics,
                                 .on_writable = metrics_writable,
                                 .on_end = metrics_end },
    };
    int r = xds_service_orca_v3_open_rca_service_register(s, &handlers, NULL);
    return r < 0 ? r : nrpc_server_on_drain(s, end_reports, NULL);
}
