#include "gateway/coherence.h"

#include <string.h>

#include <nrpc/cache.nrpc.h>

#include "gateway/cache.h"
#include "rpc/base/alloc.h"
#include "rpc/base/log.h"

enum {
    PING_MS = 500,
    RETRY_MS = 1000,
    RETRY_UNIMPLEMENTED_MS = 30000,
    GOODBYE_MS = 300,
    CREDITS = 64
};
#define NS_PER_MS 1000000ull

/* One backend.  Its channel is its own: all of them must be heard, not just one. */
struct source {
    struct coherence *owner;
    nrpc_channel *channel;
    nrpc_call *call;        /* NULL: none, the timer tries again */
    uint64_t ping, sent_ns; /* the last one, and when */
    uint64_t acknowledged;
    uint64_t valid_until_ns;
    struct timer timer;
    bool known; /* it has been heard since the call began */
};
struct coherence {
    struct gateway_loop *gl;
    struct source *sources;
    size_t n_sources;
    bool stopped;
    void (*gone)(void *ctx);
    void *gone_ctx;
};

static void forget_all(struct source *s)
{
    s->valid_until_ns = 0;
    s->known = false;
    cache_forget(&s->owner->gl->cache, NULL, 0, false);
}

static void say(struct source *s, bool ping)
{
    Nrpc__Cache__V1__SubscribeRequest r = NRPC__CACHE__V1__SUBSCRIBE_REQUEST__INIT;
    r.acknowledged = s->acknowledged;
    if (ping) {
        s->sent_ns = loop_now_ns(s->owner->gl->loop);
        r.ping = ++s->ping;
    }
    if (nrpc_call_send(s->call, (ProtobufCMessage *) &r) < 0)
        nrpc_call_cancel(s->call); /* what is not said cannot be waited for */
}

static void close_channel(struct source *s)
{
    timer_stop(&s->timer);
    if (s->channel != NULL)
        nrpc_channel_close_then(s->channel, s->owner->gone, s->owner->gone_ctx);
    s->channel = NULL;
}

/* ---- what a backend says --------------------------------------------------------------- */

static void on_message(nrpc_call *c, void *state, nrpc_msg *m)
{
    struct source *s = state;
    const Nrpc__Cache__V1__Invalidated *v = nrpc_cache_v1_invalidation_subscribe_response(m);
    if (v->n_tags > 0) {
        cache_forget(&s->owner->gl->cache, (const char *const *) v->tags, v->n_tags, false);
        s->acknowledged = v->sequence;
        say(s, false);
    }
    if (!s->known) {
        s->known = true; /* begins with an empty cache, so all up to here is done */
        s->acknowledged = v->sequence;
    }
    /* The lease counts from when the ping left, the server's from when it came: ours ends first. */
    if (v->ping != 0 && v->ping == s->ping)
        s->valid_until_ns = s->sent_ns + v->lease_ms * NS_PER_MS;
    nrpc_msg_free(m);
    nrpc_call_want(c, 1);
}

static void on_end(nrpc_call *c, void *state, const nrpc_status *st)
{
    struct source *s = state;
    (void) c;
    s->call = NULL;
    forget_all(s);
    if (s->owner->stopped) {
        close_channel(s);
        return;
    }
    log_event(LOG_LEVEL_DEBUG, "cache_off", LOG_S("reason", nrpc_code_name(st->code)));
    timer_start(&s->timer, st->code == NRPC_UNIMPLEMENTED ? RETRY_UNIMPLEMENTED_MS : RETRY_MS);
}

static void begin(struct source *s)
{
    static const nrpc_events events = { .on_message = on_message, .on_end = on_end };
    static const nrpc_call_options options = { .wait_for_ready = true };
    if (nrpc_cache_v1_invalidation_subscribe_start(s->channel, &options, &events, s, &s->call) <
        0) {
        s->call = NULL;
        timer_start(&s->timer, RETRY_MS);
        return;
    }
    nrpc_call_want(s->call, CREDITS);
    say(s, true);
    timer_start(&s->timer, PING_MS);
}

static void on_timer(struct timer *t)
{
    struct source *s = CONTAINER_OF(t, struct source, timer);
    if (s->owner->stopped) { /* it does not answer the goodbye */
        close_channel(s);
        return;
    }
    if (s->call == NULL) {
        begin(s);
        return;
    }
    say(s, true);
    timer_start(&s->timer, PING_MS);
}

/* ---- life ------------------------------------------------------------------------------ */

static int open_source(struct coherence *h, const char *target)
{
    struct source *s = &h->sources[h->n_sources];
    nrpc_channel_options o;
    gateway_channel_options(h->gl->gateway, &o);
    o.target = target;
    o.health_service = NULL; /* what a server that serves nothing says of changes still counts */
    o.outlier.consecutive_failures = 0;
    s->owner = h;
    timer_init(&s->timer, h->gl->loop, on_timer);
    int r = nrpc_channel_new(h->gl->loop, &o, &s->channel);
    if (r < 0)
        return r;
    h->n_sources++;
    timer_start(&s->timer, 1);
    return 0;
}

static void ignore(void *ctx)
{
    (void) ctx;
}

struct coherence *coherence_open(struct gateway_loop *gl)
{
    const struct option_list *backends = &gl->gateway->settings.backend;
    struct coherence *h = alloc_zero(1, sizeof *h);
    if (h == NULL || (h->sources = alloc_zero(backends->count, sizeof *h->sources)) == NULL) {
        alloc_free(h);
        return NULL;
    }
    h->gl = gl;
    for (size_t i = 0; i < backends->count; i++)
        if (open_source(h, backends->items[i]) < 0) {
            /* Without one of them the others are of no use. */
            (void) coherence_stop(h, ignore, NULL);
            return h;
        }
    return h;
}

size_t coherence_stop(struct coherence *h, void (*gone)(void *ctx), void *ctx)
{
    size_t open = 0;
    if (h == NULL || h->stopped)
        return 0;
    h->stopped = true;
    h->gone = gone;
    h->gone_ctx = ctx;
    cache_forget(&h->gl->cache, NULL, 0, false);
    for (size_t i = 0; i < h->n_sources; i++) {
        struct source *s = &h->sources[i];
        s->valid_until_ns = 0;
        open++;
        bool spoken = s->call != NULL && nrpc_call_half_close(s->call) == 0;
        timer_start(&s->timer, spoken ? GOODBYE_MS : 1);
    }
    return open;
}

void coherence_free(struct coherence *h)
{
    if (h == NULL)
        return;
    alloc_free(h->sources);
    alloc_free(h);
}

bool coherence_holds(const struct coherence *h)
{
    uint64_t now = h == NULL ? 0 : loop_now_ns(h->gl->loop);
    for (size_t i = 0; h != NULL && i < h->n_sources; i++)
        if (h->sources[i].valid_until_ns <= now)
            return false;
    return h != NULL;
}
