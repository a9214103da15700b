/* grpc.health.v1.Health/Watch on each backend: only those that say SERVING get calls.  A backend
 * without the service counts as healthy.  The watch lives on one of the subchannel's connections
 * and is started again, with growing pauses, while there is one. */
#include "grpc/health/v1/health.pb-c.h"
#include "rpc/base/log.h"
#include "rpc/client/inner.h"

enum { AGAIN_MIN_MS = 1000, AGAIN_MAX_MS = 120000 };
#define SERVING GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING

static const nrpc_method watch_method = {
    .name = "Watch",
    .path = "/grpc.health.v1.Health/Watch",
    .kind = NRPC_SERVER_STREAM,
    .idempotent = true,
    .input = &grpc__health__v1__health_check_request__descriptor,
    .output = &grpc__health__v1__health_check_response__descriptor,
};
static const struct call_interceptors no_interceptors;

static void set(struct subchannel *sub, enum health_state to)
{
    if (sub->health.state == to)
        return;
    sub->health.state = to;
    log_event(LOG_LEVEL_DEBUG, "backend_health", LOG_S("address", sub->address),
              LOG_S("serving", to == HEALTH_SERVING ? "yes" : "no"));
    channel_run_pending(sub->channel);
}

static void on_message(nrpc_call *c, void *state, nrpc_msg *m)
{
    struct subchannel *sub = state;
    const Grpc__Health__V1__HealthCheckResponse *answer = (const void *) nrpc_msg_body(m);
    bool serving = answer->status == SERVING;
    nrpc_msg_free(m);
    nrpc_call_want(c, 1);
    if (sub->health.call != c)
        return;
    sub->health.backoff_ms = AGAIN_MIN_MS;
    set(sub, serving ? HEALTH_SERVING : HEALTH_NOT_SERVING);
}

static void on_end(nrpc_call *c, void *state, const nrpc_status *st)
{
    struct subchannel *sub = state;
    (void) c;
    if (sub->state != SUB_READY || sub->retired)
        return;
    if (sub->health.moving) {
        sub->health.moving = false;
        timer_start(&sub->health.again, 1);
        return;
    }
    if (st->code == NRPC_UNIMPLEMENTED) {
        set(sub, HEALTH_SERVING);
        return;
    }
    timer_start(&sub->health.again, channel_jitter(sub->channel, sub->health.backoff_ms));
    sub->health.backoff_ms =
        sub->health.backoff_ms > AGAIN_MAX_MS / 2 ? AGAIN_MAX_MS : sub->health.backoff_ms * 2;
    set(sub, HEALTH_NOT_SERVING);
}

static const nrpc_events watch_events = { .on_message = on_message, .on_end = on_end };

static void on_watch_ready(nrpc_call *c, void *owner)
{
    struct subchannel *sub = owner;
    nrpc_channel *ch = sub->channel;
    if (sub->health.conn == NULL || call_open_stream(c, h2_conn_session(sub->health.conn->h2),
                                                     sub->authority, ch->user_agent) < 0)
        channel_fail_call(c, NRPC_UNAVAILABLE, "no stream for the health check", "");
}

static void on_watch_gone(nrpc_call *c, void *owner)
{
    struct subchannel *sub = owner;
    list_remove(&c->link);
    sub->health.call = NULL;
    sub->health.conn = NULL;
    subchannel_check_gone(sub);
}

static int watch(struct subchannel *sub, struct channel_conn *conn)
{
    nrpc_channel *ch = sub->channel;
    const struct call_options options = {
        .loop = ch->loop,
        .method = &watch_method,
        .peer = sub->address,
        .limits = &ch->limits,
        .interceptors = &no_interceptors,
        .budget = &sub->budget,
        .events = &watch_events,
        .state = sub,
        .on_ready = on_watch_ready,
        .on_gone = on_watch_gone,
        .owner = sub,
    };
    nrpc_call *c;
    int r = call_new(&options, &c);
    if (r < 0)
        return r;
    list_add_tail(&ch->calls, &c->link);
    sub->health.call = c;
    sub->health.conn = conn;
    c->secure = ch->options.tls != NULL;
    Grpc__Health__V1__HealthCheckRequest request = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
    request.service = ch->health_service;
    r = nrpc_call_send(c, &request.base);
    if (r >= 0)
        r = nrpc_call_half_close(c);
    if (r < 0)
        nrpc_call_cancel(c); /* its on_end tries again later */
    return 0;
}

void backend_health_start(struct subchannel *sub, struct channel_conn *conn)
{
    if (sub->channel->health_service == NULL || sub->health.call != NULL)
        return;
    timer_stop(&sub->health.again);
    if (watch(sub, conn) < 0)
        timer_start(&sub->health.again, AGAIN_MIN_MS);
}

static void on_again(struct timer *t)
{
    struct subchannel *sub = CONTAINER_OF(t, struct subchannel, health.again);
    struct channel_conn *conn = subchannel_find(sub);
    if (conn != NULL)
        backend_health_start(sub, conn);
    else if (sub->state == SUB_READY)
        timer_start(&sub->health.again, AGAIN_MIN_MS);
}

void backend_health_init(struct subchannel *sub)
{
    sub->health.backoff_ms = AGAIN_MIN_MS;
    timer_init(&sub->health.again, sub->channel->loop, on_again);
}

void backend_health_leave(struct subchannel *sub, const struct channel_conn *conn)
{
    if (sub->health.call == NULL || sub->health.conn != conn)
        return;
    sub->health.moving = true; /* what it said last stands until another connection asks */
    sub->health.conn = NULL;
    nrpc_call_cancel(sub->health.call);
}

void backend_health_stop(struct subchannel *sub)
{
    timer_stop(&sub->health.again);
    if (sub->health.call != NULL)
        nrpc_call_cancel(sub->health.call);
    sub->health.state = HEALTH_UNKNOWN;
    sub->health.moving = false;
    sub->health.backoff_ms = AGAIN_MIN_MS;
}
