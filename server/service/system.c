/* system.c — health, service info, status, policy. */
#include <stdio.h>
#include <string.h>

#include "rpc/base/check.h"
#include "rpc/base/clock.h"
#include "server/service/inner.h"

#define API_VERSION "1.0.0" /* of the service old clients know; the program's own version stands in the status */

static double uptime(const struct service *s)
{
    return (double) (clock_mono_ns() - s->start_ns) / 1e9;
}

static bool healthy(const struct service *s)
{
    return store_get_health(s->o.store) == STORE_WRITABLE;
}

void handle_get_health(nrpc_call *c, void *ctx, nrpc_msg *m)
{
    struct service *s = ctx;
    char now[32];
    clock_format_rfc3339(clock_wall_ns(), now);
    NE(Health) h = NOVELENGINE__V1__HEALTH__INIT;
    h.status = healthy(s) ? "healthy" : "degraded";
    h.api = "running";
    h.timestamp = now;
    h.version = API_VERSION;
    h.config = "loaded";
    h.uptime = uptime(s);
    nrpc_msg_free(m);
    nrpc_call_reply(c, &h.base);
}

void handle_get_service_info(nrpc_call *c, void *ctx, nrpc_msg *m)
{
    (void) ctx;
    char now[32];
    clock_format_rfc3339(clock_wall_ns(), now);
    NE(ServiceInfo) i = NOVELENGINE__V1__SERVICE_INFO__INIT;
    i.message = "Novel Engine: simulate a story, watch it happen, prove what happened";
    i.status = "ok";
    i.timestamp = now;
    i.name = "novel-server";
    i.version = NOVEL_VERSION;
    nrpc_msg_free(m);
    nrpc_call_reply(c, &i.base);
}

void service_set_sample(struct service *s, struct service_sample sample)
{
    atomic_store_explicit(&s->memory_kb, (uint64_t) (sample.memory_mb * 1024), memory_order_relaxed);
    atomic_store_explicit(&s->cpu_centi, (uint64_t) (sample.cpu_percent * 100), memory_order_relaxed);
}

static void fill_performance(struct service *s, NE(SystemStatus__Performance) * p)
{
    uint64_t calls = 0, call_us = 0;
    for (size_t i = 0; i < s->n_loops; i++) {
        calls += atomic_load_explicit(&s->loops[i].calls, memory_order_relaxed);
        call_us += atomic_load_explicit(&s->loops[i].call_us, memory_order_relaxed);
    }
    struct jobs_figures jobs;
    jobs_figures_read(s->o.jobs, &jobs);
    nrpc_gauges gauges;
    nrpc_gauges_read(&gauges);
    p->avg_response_time_ms = calls == 0 ? 0 : (double) call_us / (double) calls / 1000;
    p->active_connections = (uint32_t) (gauges.connections < 0 ? 0 : gauges.connections);
    p->memory_usage_mb = (double) atomic_load_explicit(&s->memory_kb, memory_order_relaxed) / 1024;
    p->cpu_usage_percent = (double) atomic_load_explicit(&s->cpu_centi, memory_order_relaxed) / 100;
    p->running_simulations = jobs.running;
    p->queued_simulations = jobs.queued;
}

static const char *store_word(const struct service *s)
{
    switch (store_get_health(s->o.store)) {
    case STORE_WRITABLE:
        return "operational";
    case STORE_FULL:
        return "full";
    case STORE_READ_ONLY:
        return "read-only";
    case STORE_BROKEN:
        break;
    }
    return "failed";
}

void handle_get_system_status(nrpc_call *c, void *ctx, nrpc_msg *m)
{
    struct service *s = ctx;
    struct jobs_figures jobs;
    jobs_figures_read(s->o.jobs, &jobs);
    const char *const rows[][2] = {
        { "api", "operational" },
        { "narrator", "operational" },
        { "simulation", jobs.parked > 0 ? "waiting for the store" : "operational" },
        { "store", store_word(s) },
    };
    NE(SystemStatus__ComponentsEntry) entries[ARRAY_SIZE(rows)], *list[ARRAY_SIZE(rows)];
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        novelengine__v1__system_status__components_entry__init(&entries[i]);
        entries[i].key = (char *) rows[i][0];
        entries[i].value = (char *) rows[i][1];
        list[i] = &entries[i];
    }
    NE(SystemStatus__Performance) performance = NOVELENGINE__V1__SYSTEM_STATUS__PERFORMANCE__INIT;
    fill_performance(s, &performance);
    NE(SystemStatus) status = NOVELENGINE__V1__SYSTEM_STATUS__INIT;
    status.status = healthy(s) ? "operational" : "degraded";
    status.version = NOVEL_VERSION;
    status.uptime = uptime(s);
    status.n_components = ARRAY_SIZE(rows);
    status.components = list;
    status.performance = &performance;
    nrpc_msg_free(m);
    nrpc_call_reply(c, &status.base);
}

void handle_get_policy(nrpc_call *c, void *ctx, nrpc_msg *m)
{
    (void) ctx;
    static const char *const rows[][2] = {
        { "brand", "no third-party names, places or marks" },
        { "content", "written for this engine and shipped as data" },
        { "determinism", "same request, seed and pack give the same log and story" },
        { "user_text", "treated as data only" },
    };
    NE(Policy__ComplianceEntry) entries[ARRAY_SIZE(rows)], *list[ARRAY_SIZE(rows)];
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        novelengine__v1__policy__compliance_entry__init(&entries[i]);
        entries[i].key = (char *) rows[i][0];
        entries[i].value = (char *) rows[i][1];
        list[i] = &entries[i];
    }
    NE(Policy) policy = NOVELENGINE__V1__POLICY__INIT;
    policy.brand_status = "Generic Sci-Fi";
    policy.n_compliance = ARRAY_SIZE(rows);
    policy.compliance = list;
    policy.last_reviewed = "2026-11-24";
    nrpc_msg_free(m);
    nrpc_call_reply(c, &policy.base);
}
