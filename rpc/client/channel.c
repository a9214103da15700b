/* The channel: which connection a call goes to, and what happens to those that must wait. */
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
    MAX_SEND = 64 << 20
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
    };
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
        if (*fields[i][0] == 0)
            *fields[i][0] = *fields[i][1];
    if (o->keepalive_ms > 0 && o->keepalive_ms < KEEPALIVE_MIN_MS)
        o->keepalive_ms = KEEPALIVE_MIN_MS;
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
    };
}

void channel_ping_less(nrpc_channel *ch)
{
    uint32_t *ms = &ch->conn_options.keepalive_ms;
    *ms = *ms > UINT32_MAX / 2 ? UINT32_MAX : *ms * 2;
}

/* Splits the target at commas. */
static int add_addresses(nrpc_channel *ch, const char *target)
{
    unsigned n = 1;
    for (const char *p = target; *p != '\0'; p++)
        n += *p == ',';
    if (n > SUBCHANNELS_MAX)
        return NRPC_E_INVAL;
    ch->subs = alloc_zero(n, sizeof *ch->subs);
    if (ch->subs == NULL)
        return NRPC_E_NOMEM;
    for (const char *p = target; ch->n_subs < n; ch->n_subs++) {
        size_t size = strcspn(p, ",");
        int r = subchannel_init(&ch->subs[ch->n_subs], ch, p, size);
        if (r < 0)
            return r;
        p += size + 1;
    }
    return 0;
}

static void channel_free(nrpc_channel *ch)
{
    nrpc_pool_free(ch->resolver);
    config_cache_done(&ch->config_cache);
    config_table_free(ch->config);
    alloc_free(ch->user_agent);
    alloc_free(ch->authority);
    nrpc_tls_unref(ch->options.tls);
    alloc_free(ch->subs);
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
    if (o->tls != NULL && tls_is_server(o->tls))
        return NRPC_E_INVAL;
    if (o->authority != NULL && (ch->authority = alloc_strdup(o->authority)) == NULL)
        return NRPC_E_NOMEM;
    ch->options.tls = o->tls == NULL ? NULL : nrpc_tls_ref(o->tls);
    return 0;
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
    list_init(&ch->conns);
    list_init(&ch->later.link);
    ch->later.fn = on_free;
    ch->random = clock_mono_ns() ^ (uint64_t) (uintptr_t) ch;
    struct buf agent = { 0 };
    if (o->user_agent != NULL)
        buf_printf(&agent, "%s ", o->user_agent);
    buf_puts(&agent, "nrpc/" NOVEL_VERSION);
    buf_putc(&agent, '\0');
    ch->user_agent = (char *) agent.data;
    int r = agent.failed ? NRPC_E_NOMEM : add_addresses(ch, o->target);
    if (r == 0)
        r = take_security(ch, o);
    if (r == 0 &&
        (ch->options.stream_window > INT32_MAX || ch->options.connection_window > INT32_MAX ||
         ch->options.send_low_bytes > ch->options.send_high_bytes ||
         ch->options.compression > NRPC_DEFLATE))
        r = NRPC_E_INVAL;
    if (r < 0) {
        channel_free(ch);
        return r;
    }
    ch->options.target = NULL; /* lent only until here */
    ch->options.user_agent = NULL;
    *out_channel = ch;
    return 0;
}

int nrpc_channel_configure(nrpc_channel *ch, const nrpc_method_config *list, size_t n)
{
    if (!list_empty(&ch->calls) || ch->config != NULL)
        return NRPC_E_STATE;
    return config_table_new(list, n, &ch->limits, false, &ch->config);
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

/* ---- picking
 * ------------------------------------------------------------------------------------- */
static struct subchannel *pick(nrpc_channel *ch)
{
    struct subchannel *best = NULL;
    size_t least = SIZE_MAX;
    for (unsigned i = 0; i < ch->n_subs; i++) {
        unsigned at = ch->options.balance == NRPC_ROUND_ROBIN ? (ch->next_sub + i) % ch->n_subs : i;
        struct subchannel *sub = &ch->subs[at];
        if (!subchannel_can_open(sub))
            continue;
        if (ch->options.balance != NRPC_LEAST_CALLS) {
            ch->next_sub = (at + 1) % ch->n_subs;
            return sub;
        }
        size_t n = h2_session_streams(h2_conn_session(sub->conn->h2));
        if (n < least) {
            least = n;
            best = sub;
        }
    }
    return best;
}

/* Starts what must be started so that a call can go: the first address that is not resting, or all.
 */
static void wake(nrpc_channel *ch)
{
    bool first_only = ch->options.balance == NRPC_PICK_FIRST;
    for (unsigned i = 0; i < ch->n_subs; i++) {
        struct subchannel *sub = &ch->subs[i];
        if (first_only && (sub->state == SUB_READY || sub->state == SUB_CONNECTING ||
                           sub->state == SUB_RESOLVING))
            return;
        if (sub->state != SUB_IDLE)
            continue;
        subchannel_connect(sub);
        if (first_only && sub->state != SUB_BACKOFF)
            return;
    }
}

/* Every address has failed lately. */
static const struct subchannel *all_resting(const nrpc_channel *ch)
{
    for (unsigned i = 0; i < ch->n_subs; i++)
        if (ch->subs[i].state != SUB_BACKOFF)
            return NULL;
    return &ch->subs[0];
}

static void fail(nrpc_call *c, nrpc_code code, const char *text, const char *more)
{
    nrpc_status st = NRPC_STATUS_INIT;
    nrpc_status_set(&st, code, "%s%s", text, more);
    call_end_detached(c, &st);
}

static void pending_remove(nrpc_channel *ch, nrpc_call *c)
{
    if (!c->is_pending)
        return;
    c->is_pending = false;
    list_remove(&c->pending_link);
    ch->n_pending--;
}

/* True when the call left the queue: it has a stream, or it ended. */
static bool try_call(nrpc_channel *ch, nrpc_call *c)
{
    if (call_is_over(c))
        return true;
    struct subchannel *sub = pick(ch);
    if (sub == NULL) {
        const struct subchannel *resting = c->wait_for_ready ? NULL : all_resting(ch);
        if (resting == NULL)
            return false;
        char text[ADDRESS_MAX + 32];
        snprintf(text, sizeof text, "cannot connect to %s: ", resting->address);
        fail(c, NRPC_UNAVAILABLE, text, resting->why);
        return true;
    }
    c->secure = ch->options.tls != NULL;
    c->budget = &sub->budget;
    c->peer = sub->address;
    int r = call_open_stream(c, h2_conn_session(sub->conn->h2), subchannel_authority(sub),
                             ch->user_agent);
    if (r == NRPC_E_NOMEM || r == NRPC_E_TOOBIG)
        fail(c, NRPC_RESOURCE_EXHAUSTED,
             r == NRPC_E_NOMEM ? "out of memory" : "too many header fields", "");
    else if (r < 0)
        fail(c, NRPC_UNAVAILABLE, "the connection takes no more calls", "");
    return true;
}

void channel_run_pending(nrpc_channel *ch)
{
    if (ch->running || ch->closed)
        return;
    ch->running = true;
    if (ch->n_pending > 0)
        wake(ch);
    /* In order of arrival; calls that wait for a connection do not hold back those that must fail.
     */
    bool blocked = false;
    LIST_EACH(&ch->pending, link, next)
    {
        nrpc_call *c = LIST_ENTRY(link, nrpc_call, pending_link);
        if (blocked && (c->wait_for_ready || all_resting(ch) == NULL))
            continue;
        if (try_call(ch, c))
            pending_remove(ch, c);
        else
            blocked = true;
    }
    ch->running = false;
}

static void on_call_ready(nrpc_call *c, void *owner)
{
    nrpc_channel *ch = owner;
    if (ch->n_pending == 0) {
        if (pick(ch) == NULL)
            wake(ch);
        if (try_call(ch, c))
            return;
    }
    c->is_pending = true;
    ch->n_pending++;
    list_add_tail(&ch->pending, &c->pending_link);
}

static void on_call_gone(nrpc_call *c, void *owner)
{
    nrpc_channel *ch = owner;
    pending_remove(ch, c);
    list_remove(&c->link);
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
    const struct call_options options = {
        .loop = ch->loop,
        .method = method,
        .peer = ch->subs[0].address,
        .limits = &ch->limits,
        .interceptors = &ch->interceptors,
        .budget = &ch->subs[0].budget,
        .events = ev,
        .state = state,
        .on_ready = on_call_ready,
        .on_gone = on_call_gone,
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
    call_configure(c, config_cache_get(&ch->config_cache, ch->config, method));
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
    bool connecting = false, backoff = false;
    for (unsigned i = 0; i < ch->n_subs; i++) {
        enum sub_state s = ch->subs[i].state;
        if (s == SUB_READY)
            return NRPC_CHANNEL_READY;
        connecting |= s == SUB_CONNECTING || s == SUB_RESOLVING;
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
    for (unsigned i = 0; i < ch->n_subs; i++)
        if (ch->subs[i].state == SUB_BACKOFF && ch->subs[i].backoff.due_ns < soonest)
            soonest = ch->subs[i].backoff.due_ns;
    if (soonest == UINT64_MAX)
        return 0;
    return soonest <= at ? 1 : (uint32_t) ((soonest - at + NS_PER_MS - 1) / NS_PER_MS);
}

void nrpc_channel_connect(nrpc_channel *ch)
{
    ON_LOOP(ch->loop);
    if (!ch->closed)
        wake(ch);
}

void channel_notify_gone(nrpc_channel *ch, void (*fn)(void *ctx), void *ctx)
{
    ch->on_gone = fn;
    ch->on_gone_ctx = ctx;
}

void channel_check_gone(nrpc_channel *ch)
{
    if (ch->closed && list_empty(&ch->calls) && list_empty(&ch->conns) && ch->resolving == 0 &&
        list_empty(&ch->later.link))
        loop_defer(ch->loop, &ch->later);
}

void nrpc_channel_close(nrpc_channel *ch)
{
    ON_LOOP(ch->loop);
    if (ch->closed)
        return;
    ch->closed = true;
    LIST_EACH(&ch->calls, link, next)
    fail(LIST_ENTRY(link, nrpc_call, link), NRPC_CANCELLED, "the channel was closed", "");
    for (unsigned i = 0; i < ch->n_subs; i++)
        subchannel_close(&ch->subs[i]);
    LIST_EACH(&ch->conns, link, next)
    h2_conn_shutdown(LIST_ENTRY(link, struct channel_conn, link)->h2);
    channel_check_gone(ch);
}
