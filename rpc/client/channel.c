/* The channel: its options, its backends, its calls, its end. */
#include <stdio.h>
#include <string.h>

#include "rpc/base/alloc.h"
#include "rpc/base/clock.h"
#include "rpc/base/gauge.h"
#include "rpc/client/inner.h"

#ifndef NOVEL_VERSION
#define NOVEL_VERSION "0"
#endif
#define NS_PER_MS 1000000ull
enum {
    KEEPALIVE_MIN_MS = 10000,
    METADATA_BYTES = 16384,
    METADATA_FIELDS = 100,
    MAX_SEND = 64 << 20,
    STALL_MS = 30000
};

void nrpc_channel_defaults(nrpc_channel_options *o)
{
    *o = (nrpc_channel_options){
        .max_pending_calls = 1000,
        .connect_ms = 5000,
        .backoff_min_ms = 100,
        .backoff_max_ms = 10000,
        .max_message_bytes = 4 << 20,
        .stream_window = 256 << 10,
        .connection_window = 4 << 20,
        .send_high_bytes = 256 << 10,
        .send_low_bytes = 64 << 10,
        .keepalive_timeout_ms = 20000,
        .resolve_ms = 30000,
        .max_connections = 4,
    };
}

static void options_fill(nrpc_channel_options *o)
{
    nrpc_channel_options d;
    nrpc_channel_defaults(&d);
    uint32_t *const fields[][2] = {
        { &o->max_pending_calls, &d.max_pending_calls },
        { &o->connect_ms, &d.connect_ms },
        { &o->backoff_min_ms, &d.backoff_min_ms },
        { &o->backoff_max_ms, &d.backoff_max_ms },
        { &o->max_message_bytes, &d.max_message_bytes },
        { &o->stream_window, &d.stream_window },
        { &o->connection_window, &d.connection_window },
        { &o->send_high_bytes, &d.send_high_bytes },
        { &o->send_low_bytes, &d.send_low_bytes },
        { &o->keepalive_timeout_ms, &d.keepalive_timeout_ms },
        { &o->resolve_ms, &d.resolve_ms },
        { &o->max_connections, &d.max_connections },
    };
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
        if (*fields[i][0] == 0)
            *fields[i][0] = *fields[i][1];
    if (o->keepalive_ms > 0 && o->keepalive_ms < KEEPALIVE_MIN_MS)
        o->keepalive_ms = KEEPALIVE_MIN_MS;
    if (o->outlier.consecutive_failures > 0) {
        if (o->outlier.interval_ms == 0)
            o->outlier.interval_ms = 10000;
        if (o->outlier.ejection_ms == 0)
            o->outlier.ejection_ms = 30000;
        if (o->outlier.max_percent == 0)
            o->outlier.max_percent = 10;
    }
}

static void derive_limits(nrpc_channel *ch)
{
    const nrpc_channel_options *o = &ch->options;
    ch->limits = (struct call_limits){
        .max_message_bytes = o->max_message_bytes,
        .max_send_bytes = MAX_SEND,
        .send_high_bytes = o->send_high_bytes,
        .send_low_bytes = o->send_low_bytes,
        .max_metadata_bytes = METADATA_BYTES,
        .max_metadata_fields = METADATA_FIELDS,
        .compression = o->compression,
    };
    ch->conn_options = (struct h2_conn_options) {
        .h2 = {
            .role = H2_CLIENT,
            .stream_window = o->stream_window,
            .connection_window = o->connection_window,
            .max_field_bytes = METADATA_BYTES,
            .max_fields = METADATA_FIELDS,
        },
        .handshake_ms = o->connect_ms,
        .idle_ms = o->idle_ms,
        .keepalive_ms = o->keepalive_ms,
        .keepalive_timeout_ms = o->keepalive_timeout_ms,
        .keepalive_idle = o->keepalive_without_calls,
        .stall_ms = STALL_MS,
    };
}

void channel_ping_less(nrpc_channel *ch)
{
    uint32_t *ms = &ch->conn_options.keepalive_ms;
    *ms = *ms > UINT32_MAX / 2 ? UINT32_MAX : *ms * 2;
}

static struct subchannel *find_sub(struct subchannel *const *subs, unsigned n, const char *address)
{
    for (unsigned i = 0; i < n; i++)
        if (subs[i] != NULL && strcmp(subs[i]->address, address) == 0)
            return subs[i];
    return NULL;
}

int channel_apply_names(nrpc_channel *ch)
{
    struct subchannel *old[SUBCHANNELS_MAX], *list[SUBCHANNELS_MAX];
    unsigned n_old = ch->n_subs, n = 0;
    int result = 0;
    memcpy(old, ch->subs, sizeof old);
    for (unsigned i = 0; i < ch->n_names; i++) {
        const struct target_name *name = &ch->names[i];
        for (unsigned k = 0; k < name->n_found && n < SUBCHANNELS_MAX; k++) {
            const char *address = name->found[k].text;
            if (find_sub(list, n, address) != NULL)
                continue;
            struct subchannel *sub = find_sub(old, n_old, address);
            if (sub == NULL) {
                int r = subchannel_new(ch, address, name, &sub);
                if (r < 0) {
                    result = r;
                    continue;
                }
                ch->wake_due = true;
            }
            list[n++] = sub;
        }
    }
    memcpy(ch->subs, list, n * sizeof list[0]);
    ch->n_subs = n;
    ch->next_sub = ch->next_sub < n ? ch->next_sub : 0;
    for (unsigned i = 0; i < n_old; i++)
        if (find_sub(list, n, old[i]->address) == NULL)
            subchannel_retire(old[i]);
    return result;
}

static void channel_free(nrpc_channel *ch)
{
    resolver_done(ch);
    config_cache_done(&ch->config_cache);
    config_table_free(ch->config);
    alloc_free(ch->user_agent);
    alloc_free(ch->authority);
    nrpc_tls_unref(ch->options.tls);
    alloc_free(ch->health_service);
    alloc_free(ch->names);
    alloc_free(ch);
    gauge_add(GAUGE_CHANNELS, -1);
}

static void on_free(struct loop_later *later)
{
    nrpc_channel *ch = CONTAINER_OF(later, nrpc_channel, later);
    void (*fn)(void *ctx) = ch->on_gone;
    void *ctx = ch->on_gone_ctx;
    channel_free(ch);
    if (fn != NULL)
        fn(ctx);
}

/* The context and the authority outlive the options. */
static int take_security(nrpc_channel *ch, const nrpc_channel_options *o)
{
    ch->options.tls = NULL;
    ch->options.authority = NULL;
    if ((o->tls != NULL && tls_is_server(o->tls)) ||
        (o->authority != NULL && strlen(o->authority) >= NAME_BYTES))
        return NRPC_E_INVAL;
    if (o->authority != NULL && (ch->authority = alloc_strdup(o->authority)) == NULL)
        return NRPC_E_NOMEM;
    ch->options.tls = o->tls == NULL ? NULL : nrpc_tls_ref(o->tls);
    return 0;
}

static bool options_fit(const nrpc_channel_options *o)
{
    return o->stream_window <= INT32_MAX && o->connection_window <= INT32_MAX &&
           o->send_low_bytes <= o->send_high_bytes && o->compression <= NRPC_DEFLATE &&
           o->outlier.max_percent <= 100 && o->retry_throttle.max_tokens <= 1000 &&
           o->retry_throttle.token_ratio >= 0 && o->retry_throttle.token_ratio <= 1000;
}

/* Copies of what the options lend. */
static int take_texts(nrpc_channel *ch, const nrpc_channel_options *o)
{
    struct buf agent = { 0 };
    if (o->user_agent != NULL)
        buf_printf(&agent, "%s ", o->user_agent);
    buf_puts(&agent, "nrpc/" NOVEL_VERSION);
    buf_putc(&agent, '\0');
    ch->user_agent = (char *) agent.data;
    ch->options.target = ch->options.user_agent = ch->options.health_service = NULL;
    if (agent.failed)
        return NRPC_E_NOMEM;
    if (o->health_service != NULL) {
        ch->health_service = alloc_strdup(o->health_service);
        if (ch->health_service == NULL)
            return NRPC_E_NOMEM;
    }
    return target_parse(o->target, &ch->names, &ch->n_names);
}

static void subs_retire(nrpc_channel *ch)
{
    unsigned n = ch->n_subs;
    ch->n_subs = 0;
    for (unsigned i = 0; i < n; i++)
        subchannel_retire(ch->subs[i]);
}

int nrpc_channel_new(nrpc_loop *loop, const nrpc_channel_options *o, nrpc_channel **out_channel)
{
    if (o == NULL || o->target == NULL)
        return NRPC_E_INVAL;
    nrpc_channel *ch = alloc_zero(1, sizeof *ch);
    if (ch == NULL)
        return NRPC_E_NOMEM;
    gauge_add(GAUGE_CHANNELS, 1);
    ch->loop = loop;
    ch->options = *o;
    options_fill(&ch->options);
    derive_limits(ch);
    list_init(&ch->calls);
    list_init(&ch->pending);
    list_init(&ch->later.link);
    ch->later.fn = on_free;
    ch->random = clock_mono_ns() ^ (uint64_t) (uintptr_t) ch;
    timer_init(&ch->eyeballs, loop, channel_on_eyeballs);
    int r = take_security(ch, o);
    if (r == 0)
        r = options_fit(&ch->options) ? take_texts(ch, o) : NRPC_E_INVAL;
    if (r == 0) {
        resolver_init(ch);
        ch->wake_due = true;
        r = channel_apply_names(ch);
    }
    if (r < 0) {
        subs_retire(ch);
        channel_free(ch);
        return r;
    }
    *out_channel = ch;
    return 0;
}

int nrpc_channel_configure(nrpc_channel *ch, const nrpc_method_config *list, size_t n)
{
    if (!list_empty(&ch->calls) || ch->config != NULL)
        return NRPC_E_STATE;
    int r = config_table_new(list, n, &ch->limits, false, &ch->config);
    for (size_t i = 0; r == 0 && i < n; i++)
        if (list[i].retry != NULL || list[i].hedging != NULL)
            retry_throttle_init(ch);
    return r;
}

uint32_t channel_jitter(nrpc_channel *ch, uint32_t ms)
{
    ch->random ^= ch->random << 13;
    ch->random ^= ch->random >> 7;
    ch->random ^= ch->random << 17;
    uint64_t percent = 80 + ch->random % 41;
    uint64_t result = ms * percent / 100;
    return result < 1 ? 1 : (uint32_t) result;
}

int nrpc_channel_intercept(nrpc_channel *ch, const nrpc_interceptor *i)
{
    if (!list_empty(&ch->calls))
        return NRPC_E_STATE;
    if (ch->interceptors.count == CALL_INTERCEPTORS_MAX)
        return NRPC_E_FULL;
    ch->interceptors.list[ch->interceptors.count++] = *i;
    return 0;
}

void channel_leave_place(nrpc_channel *ch, nrpc_call *c, nrpc_code code)
{
    struct subchannel *sub = c->place;
    if (sub == NULL)
        return;
    c->place = NULL;
    c->peer = ch->names[0].text; /* the backend may go before the call does */
    outlier_note(sub, code);
    subchannel_unref(sub);
}

static void on_call_ready(nrpc_call *c, void *owner)
{
    if (hedge_wanted(c))
        hedge_start(owner, c);
    else
        channel_place_call(owner, c);
}

static void on_call_gone(nrpc_call *c, void *owner)
{
    nrpc_channel *ch = owner;
    channel_unqueue_call(ch, c);
    list_remove(&c->link);
    channel_leave_place(ch, c, c->end.code);
    retry_on_gone(ch, c);
    channel_check_gone(ch);
}

int nrpc_channel_start(nrpc_channel *ch, const nrpc_method *method, const nrpc_call_options *o,
                       const nrpc_events *ev, void *state, nrpc_call **out_call)
{
    ON_LOOP(ch->loop);
    if (ch->closed)
        return NRPC_E_CLOSED;
    if (ch->n_pending >= ch->options.max_pending_calls)
        return NRPC_E_FULL;
    const struct method_settings *settings =
        config_cache_get(&ch->config_cache, ch->config, method);
    /* A row for many methods hedges those that may be; one for this method alone is a mistake. */
    if (settings != NULL && settings->hedging != NULL && settings->exact && !method->idempotent)
        return NRPC_E_INVAL;
    const struct call_options options = {
        .loop = ch->loop,
        .method = method,
        .peer = ch->names[0].text,
        .limits = &ch->limits,
        .interceptors = &ch->interceptors,
        .events = ev,
        .state = state,
        .on_ready = on_call_ready,
        .on_gone = on_call_gone,
        .on_failed = retry_on_failed,
        .owner = ch,
    };
    nrpc_call *c;
    int r = call_new(&options, &c);
    if (r < 0)
        return r;
    list_add_tail(&ch->calls, &c->link);
    c->wait_for_ready = o != NULL && o->wait_for_ready;
    if (o != NULL && o->compression_set)
        (void) nrpc_call_set_compression(c, o->compression);
    if (o != NULL && o->timeout_ms > 0 && o->timeout_ms < UINT64_MAX / NS_PER_MS / 2)
        call_arm_deadline(c, loop_now_ns(ch->loop) + o->timeout_ms * NS_PER_MS);
    call_configure(c, settings);
    nrpc_status st = NRPC_STATUS_INIT;
    if (call_begin(c, &st) != NRPC_OK)
        call_end_detached(c, &st);
    *out_call = c;
    return 0;
}

/* ---- state
 * --------------------------------------------------------------------------------------- */
nrpc_channel_state nrpc_channel_get_state(const nrpc_channel *ch)
{
    bool connecting = ch->resolver.running && ch->n_subs == 0;
    bool backoff = ch->resolver.failing && ch->n_subs == 0;
    for (unsigned i = 0; i < ch->n_subs; i++) {
        enum sub_state s = channel_sub_phase(ch->subs[i]);
        if (s == SUB_READY)
            return NRPC_CHANNEL_READY;
        connecting |= s == SUB_CONNECTING;
        backoff |= s == SUB_BACKOFF;
    }
    return connecting ? NRPC_CHANNEL_CONNECTING
           : backoff  ? NRPC_CHANNEL_BACKOFF
                      : NRPC_CHANNEL_IDLE;
}

uint32_t nrpc_channel_backoff_ms(const nrpc_channel *ch)
{
    if (nrpc_channel_get_state(ch) != NRPC_CHANNEL_BACKOFF)
        return 0;
    uint64_t at = loop_now_ns(ch->loop), soonest = UINT64_MAX;
    if (ch->n_subs == 0)
        soonest = ch->resolver.again.due_ns;
    for (unsigned i = 0; i < ch->n_subs; i++)
        if (ch->subs[i]->state == SUB_BACKOFF && ch->subs[i]->backoff.due_ns < soonest)
            soonest = ch->subs[i]->backoff.due_ns;
    if (soonest == UINT64_MAX)
        return 0;
    return soonest <= at ? 1 : (uint32_t) ((soonest - at + NS_PER_MS - 1) / NS_PER_MS);
}

size_t nrpc_channel_backends(const nrpc_channel *ch, nrpc_backend *out, size_t max)
{
    static const nrpc_channel_state states[] = {
        [SUB_IDLE] = NRPC_CHANNEL_IDLE,
        [SUB_CONNECTING] = NRPC_CHANNEL_CONNECTING,
        [SUB_READY] = NRPC_CHANNEL_READY,
        [SUB_BACKOFF] = NRPC_CHANNEL_BACKOFF,
    };
    ON_LOOP(ch->loop);
    for (unsigned i = 0; i < ch->n_subs && i < max; i++) {
        const struct subchannel *sub = ch->subs[i];
        out[i] = (nrpc_backend){
            .address = sub->address,
            .error = sub->state == SUB_BACKOFF ? sub->why : NULL,
            .state = states[sub->state],
            .connections = sub->n_conns,
            .calls = sub->calls,
            .healthy = channel_sub_phase(sub) == SUB_READY,
            .ejected = sub->outlier.circuit == NRPC_CIRCUIT_OPEN,
            .circuit = outlier_circuit(sub),
        };
    }
    return ch->n_subs;
}

void nrpc_channel_connect(nrpc_channel *ch)
{
    ON_LOOP(ch->loop);
    channel_wake(ch);
}

void channel_check_gone(nrpc_channel *ch)
{
    if (ch->closed && list_empty(&ch->calls) && ch->n_live == 0 && !ch->resolver.running &&
        list_empty(&ch->later.link))
        loop_defer(ch->loop, &ch->later);
}

void nrpc_channel_close_then(nrpc_channel *ch, void (*gone)(void *ctx), void *ctx)
{
    ON_LOOP(ch->loop);
    if (ch->closed)
        return;
    ch->closed = true;
    ch->on_gone = gone;
    ch->on_gone_ctx = ctx;
    timer_stop(&ch->eyeballs);
    resolver_stop(ch);
    LIST_EACH(&ch->calls, link, next)
    channel_fail_call(LIST_ENTRY(link, nrpc_call, link), NRPC_CANCELLED, "the channel was closed",
                      "");
    subs_retire(ch);
    channel_check_gone(ch);
}

void nrpc_channel_close(nrpc_channel *ch)
{
    nrpc_channel_close_then(ch, NULL, NULL);
}
