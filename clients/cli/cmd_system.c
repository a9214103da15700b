#include "clients/cli/ctl.h"

#include <string.h>

int cmd_health(struct ctl *c)
{
    Novelengine__V1__GetHealthRequest request = NOVELENGINE__V1__GET_HEALTH_REQUEST__INIT;
    const Novelengine__V1__Health *health;
    nrpc_msg *m;
    if (novelengine_v1_novel_engine_get_health(c->client, &c->options, &request, &m, &health,
                                               &c->status) != NRPC_OK)
        return ctl_fail(c, &c->status);
    bool healthy = strcmp(health->status, "healthy") == 0;
    int code;
    if (c->json) {
        code = ctl_print_json(&health->base);
    } else {
        struct buf b = { 0 };
        term_put_styled(&b, healthy ? TERM_GREEN : TERM_YELLOW, c->color_out, health->status);
        buf_printf(&b, "  novel-server at %s, API %s, up ", c->server, health->version);
        ctl_put_duration(&b, health->uptime);
        if (!healthy)
            buf_printf(&b, "\n  api: %s, config: %s", health->api, health->config);
        buf_putc(&b, '\n');
        code = ctl_print(&b);
    }
    nrpc_msg_free(m);
    return code != EXIT_OK ? code : healthy ? EXIT_OK : EXIT_FAILED;
}

static void put_status(struct buf *b, const Novelengine__V1__SystemStatus *s)
{
    buf_printf(b, "status       %s, up ", s->status);
    ctl_put_duration(b, s->uptime);
    buf_puts(b, "\ncomponents  ");
    for (size_t i = 0; i < s->n_components; i++)
        buf_printf(b, " %s %s%s", s->components[i]->key, s->components[i]->value,
                   i + 1 < s->n_components ? "," : "");
    const Novelengine__V1__SystemStatus__Performance *p = s->performance;
    if (p != NULL) {
        buf_printf(b, "\nsimulations  %u running, %u queued", p->running_simulations,
                   p->queued_simulations);
        buf_printf(b, "\nload         %u connections, %.1f ms a request, %.1f MB, %.1f %% CPU",
                   p->active_connections, p->avg_response_time_ms, p->memory_usage_mb,
                   p->cpu_usage_percent);
    }
    buf_putc(b, '\n');
}

int cmd_info(struct ctl *c)
{
    Novelengine__V1__GetServiceInfoRequest request =
        NOVELENGINE__V1__GET_SERVICE_INFO_REQUEST__INIT;
    Novelengine__V1__GetSystemStatusRequest status_request =
        NOVELENGINE__V1__GET_SYSTEM_STATUS_REQUEST__INIT;
    const Novelengine__V1__ServiceInfo *info;
    const Novelengine__V1__SystemStatus *status;
    nrpc_msg *m, *status_m;
    if (novelengine_v1_novel_engine_get_service_info(c->client, &c->options, &request, &m, &info,
                                                     &c->status) != NRPC_OK)
        return ctl_fail(c, &c->status);
    if (novelengine_v1_novel_engine_get_system_status(c->client, &c->options, &status_request,
                                                      &status_m, &status, &c->status) != NRPC_OK) {
        nrpc_msg_free(m);
        return ctl_fail(c, &c->status);
    }
    int code;
    if (c->json) {
        code = ctl_print_json(&status->base);
    } else {
        struct buf b = { 0 }, text = { 0 };
        buf_printf(&text, "%s %s at %s\n", info->name, info->version, c->server);
        put_status(&text, status);
        term_put_safe(&b, buf_str(&text));
        b.failed |= text.failed;
        buf_done(&text);
        code = ctl_print(&b);
    }
    nrpc_msg_free(m);
    nrpc_msg_free(status_m);
    return code;
}
