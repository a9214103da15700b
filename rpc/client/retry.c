/* Attempts after the first (gRFC A6).  Transparent ones need no policy: a call that never left is
 * started again, one that the server refused or left out of its GOAWAY once.  Others follow the
 * method's policy: which codes, how often, how long in between, what the server pushes back, and
 * only while the channel's tokens last.  The deadline spans them all. */
#include <string.h>

#include "rpc/base/alloc.h"
#include "rpc/client/inner.h"

/* Enough for a server that restarts again and again; an end, should a connection never work. */
enum { RESTARTS_MAX = 64, TOKEN = 1000, TOKENS_DEFAULT = 10, RATIO_DEFAULT = 100 };

/* ---- the throttle ---- */
void retry_throttle_init(nrpc_channel *ch)
{
    uint32_t max = ch->options.retry_throttle.max_tokens;
    ch->tokens = ch->tokens_max = (int64_t) (max == 0 ? TOKENS_DEFAULT : max) * TOKEN;
}

void retry_throttle_failure(nrpc_channel *ch)
{
    ch->tokens = ch->tokens > TOKEN ? ch->tokens - TOKEN : 0;
}

static void throttle_success(nrpc_channel *ch)
{
    double ratio = ch->options.retry_throttle.token_ratio;
    ch->tokens += ratio == 0 ? RATIO_DEFAULT : (int64_t) (ratio * TOKEN);
    if (ch->tokens > ch->tokens_max)
        ch->tokens = ch->tokens_max;
}

bool retry_throttle_allows(const nrpc_channel *ch)
{
    return ch->tokens > ch->tokens_max / 2;
}

/* ---- pushback ---- */
bool retry_pushback(const nrpc_metadata *trailers, uint32_t *out_ms)
{
    nrpc_slice value;
    *out_ms = UINT32_MAX;
    if (trailers == NULL || !nrpc_metadata_get(trailers, "grpc-retry-pushback-ms", 0, &value))
        return true;
    uint64_t ms = 0;
    for (size_t i = 0; i < value.size; i++) {
        if (value.data[i] < '0' || value.data[i] > '9')
            return false;
        ms = ms * 10 + (uint64_t) (value.data[i] - '0');
        if (ms > INT32_MAX)
            return false;
    }
    if (value.size == 0)
        return false;
    *out_ms = (uint32_t) ms;
    return true;
}

/* ---- attempts ---- */
static void on_backoff_over(struct timer *t)
{
    struct call_retry *r = CONTAINER_OF(t, struct call_retry, timer);
    if (!call_is_over(r->call))
        channel_place_call(r->call->owner, r->call);
}

struct call_retry *retry_get(nrpc_call *c)
{
    if (c->retry != NULL)
        return c->retry;
    struct call_retry *r = arena_zero(&c->arena, 1, sizeof *r);
    if (r == NULL)
        return NULL;
    r->call = c;
    timer_init(&r->timer, c->loop, on_backoff_over);
    c->retry = r;
    return r;
}

static void again_at_once(nrpc_channel *ch, nrpc_call *c, nrpc_code code)
{
    struct call_retry *r = c->retry;
    r->avoid = c->place; /* compared only */
    channel_leave_place(ch, c, code);
    call_rewind(c);
    channel_place_call(ch, c);
}

/* min(initial * multiplier^n, max), +-20 %. */
static uint32_t backoff_ms(nrpc_channel *ch, const nrpc_retry_policy *p, uint32_t n)
{
    double ms = p->initial_backoff_ms;
    for (uint32_t i = 0; i < n && ms < p->max_backoff_ms; i++)
        ms *= p->backoff_multiplier;
    return channel_jitter(ch, ms < p->max_backoff_ms ? (uint32_t) ms : p->max_backoff_ms);
}

static bool again_by_policy(nrpc_channel *ch, nrpc_call *c, struct call_retry *r, nrpc_code code)
{
    const nrpc_retry_policy *p = c->settings == NULL ? NULL : c->settings->retry;
    if (p == NULL)
        return false;
    uint32_t ms;
    bool wanted = retry_pushback(c->trailers_in, &ms);
    bool retryable = (p->codes & 1u << code) != 0;
    if (retryable || !wanted)
        retry_throttle_failure(ch);
    if (!retryable || !wanted || r->made + 1 >= p->max_attempts || !retry_throttle_allows(ch))
        return false;
    if (ms == UINT32_MAX)
        ms = backoff_ms(ch, p, r->backoff++);
    else
        r->backoff = 0; /* the server's word starts the backoff anew */
    r->made++;
    c->previous = r->made;
    r->avoid = NULL;
    channel_leave_place(ch, c, code);
    call_rewind(c);
    timer_start(&r->timer, ms);
    return true;
}

bool retry_on_failed(nrpc_call *c, void *owner, const nrpc_status *st, enum call_failure how)
{
    nrpc_channel *ch = owner;
    if (ch->closed || c->on_queued != NULL)
        return false;
    struct call_retry *r = retry_get(c);
    if (r == NULL)
        return false;
    if (how == CALL_NEVER_LEFT && r->restarts < RESTARTS_MAX) {
        r->restarts++;
        again_at_once(ch, c, NRPC_CANCELLED);
        return true;
    }
    if (how == CALL_REFUSED && !r->was_refused) {
        r->was_refused = true;
        again_at_once(ch, c, NRPC_CANCELLED);
        return true;
    }
    return again_by_policy(ch, c, r, st->code);
}

void retry_on_gone(nrpc_channel *ch, nrpc_call *c)
{
    struct call_retry *r = c->retry;
    if (ch->tokens_max > 0 && c->end.code == NRPC_OK)
        throttle_success(ch);
    if (r == NULL)
        return;
    timer_stop(&r->timer);
    hedge_on_gone(c);
}
