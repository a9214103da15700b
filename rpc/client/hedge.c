/* Hedging (gRFC A6): attempts at one call run against each other, the next one starts when the
 * delay is over or another failed harmlessly.  Each racer is a call of its own that nobody sees;
 * the first with a good answer, or a fatal one, hands its stream to the call and the others are
 * cancelled. */
#include "rpc/base/alloc.h"
#include "rpc/client/inner.h"

static const struct call_interceptors no_interceptors;

static const nrpc_hedging_policy *policy_of(const nrpc_call *c)
{
    return c->settings == NULL ? NULL : c->settings->hedging;
}

bool hedge_wanted(const nrpc_call *c)
{
    return policy_of(c) != NULL && c->method->idempotent;
}

static void drop_racers(struct call_retry *r, const nrpc_call *but)
{
    timer_stop(&r->timer);
    r->no_more = true;
    for (uint32_t i = 0; i < r->launched; i++) {
        nrpc_call *racer = r->racers[i];
        r->racers[i] = NULL;
        if (racer == NULL)
            continue;
        racer->state = NULL;
        if (racer != but)
            nrpc_call_cancel(racer);
    }
}

static bool any_racer(const struct call_retry *r, const nrpc_call *but)
{
    for (uint32_t i = 0; i < r->launched; i++)
        if (r->racers[i] != NULL && r->racers[i] != but)
            return true;
    return false;
}

static bool may_launch(const struct call_retry *r)
{
    const nrpc_call *c = r->call;
    return !r->no_more && r->launched < policy_of(c)->max_attempts &&
           retry_throttle_allows(c->owner);
}

/* The stream is the call's from now on: it is a call like any other. */
static void win(nrpc_call *c, nrpc_call *racer)
{
    drop_racers(c->retry, racer);
    c->on_queued = NULL;
    call_adopt(c, racer);
    nrpc_status st = NRPC_STATUS_INIT;
    nrpc_status_set(&st, NRPC_CANCELLED, "its stream is another call's now");
    call_end_detached(racer, &st);
}

static bool is_harmless(const nrpc_call *c, nrpc_code code)
{
    return (policy_of(c)->non_fatal_codes & 1u << code) != 0;
}

/* ---- racers ---- */
static nrpc_call *elect(nrpc_call *racer, const nrpc_status *st)
{
    nrpc_call *c = racer->state;
    if (c == NULL || call_is_over(c) || racer->stream == NULL)
        return NULL;
    struct call_retry *r = c->retry;
    if (st != NULL && st->code != NRPC_OK && is_harmless(c, st->code)) {
        uint32_t ms;
        bool more = retry_pushback(racer->headers_in, &ms) && may_launch(r);
        if (more || any_racer(r, racer))
            return NULL; /* racer_end goes on from here */
        retry_throttle_failure(c->owner);
    }
    win(c, racer);
    return c;
}

static void racer_end(nrpc_call *racer, void *state, const nrpc_status *st)
{
    nrpc_call *c = state;
    if (c == NULL || call_is_over(c))
        return;
    struct call_retry *r = c->retry;
    for (uint32_t i = 0; i < r->launched; i++)
        if (r->racers[i] == racer)
            r->racers[i] = NULL;
    if (is_harmless(c, st->code)) {
        uint32_t ms;
        retry_throttle_failure(c->owner);
        if (!retry_pushback(racer->trailers_in, &ms))
            r->no_more = true;
        if (may_launch(r)) {
            timer_start(&r->timer, ms == UINT32_MAX ? 0 : ms);
            return;
        }
        if (any_racer(r, NULL))
            return;
    }
    drop_racers(r, NULL);
    nrpc_status copy = NRPC_STATUS_INIT;
    if (nrpc_status_copy(&copy, st) < 0)
        nrpc_status_set(&copy, st->code, NULL);
    call_end_detached(c, &copy);
}

static const nrpc_events racer_events = { .on_end = racer_end };

static void racer_ready(nrpc_call *racer, void *owner)
{
    channel_place_call(owner, racer);
}

static void racer_gone(nrpc_call *racer, void *owner)
{
    nrpc_channel *ch = owner;
    channel_unqueue_call(ch, racer);
    list_remove(&racer->link);
    channel_leave_place(ch, racer, racer->end.code);
    if (racer->retry != NULL)
        timer_stop(&((struct call_retry *) racer->retry)->timer);
    channel_check_gone(ch);
}

static int racer_new(nrpc_call *c, nrpc_call **out_racer)
{
    const struct call_options options = {
        .loop = c->loop,
        .method = c->method,
        .peer = c->peer,
        .limits = c->limits,
        .interceptors = &no_interceptors,
        .events = &racer_events,
        .state = c,
        .on_ready = racer_ready,
        .on_gone = racer_gone,
        .on_failed = retry_on_failed,
        .owner = c->owner,
    };
    nrpc_call *racer;
    int r = call_new(&options, &racer);
    if (r < 0)
        return r;
    racer->deadline_ns = c->deadline_ns; /* for its head; the timer is the call's */
    racer->wait_for_ready = c->wait_for_ready;
    racer->encoding_out = c->encoding_out;
    racer->headers_out = c->headers_out;
    racer->previous = c->attempts;
    racer->elect = elect;
    *out_racer = racer;
    return 0;
}

/* Gives a racer what the call has sent since. */
static void feed(nrpc_call *c, struct call_retry *r, uint32_t i)
{
    nrpc_call *racer = r->racers[i];
    if (racer == NULL || call_is_over(racer))
        return;
    if (h2_queue_copy(&racer->out, &c->out, r->fed[i]) < 0) {
        channel_fail_call(racer, NRPC_RESOURCE_EXHAUSTED, "out of memory", "");
        return;
    }
    r->fed[i] = c->out.size;
    if (racer->stream != NULL)
        (void) h2_stream_resume(racer->stream);
    if (c->half_closed)
        (void) nrpc_call_half_close(racer);
}

static int launch(nrpc_call *c)
{
    struct call_retry *r = c->retry;
    nrpc_channel *ch = c->owner;
    nrpc_call *racer;
    int error = racer_new(c, &racer);
    if (error < 0)
        return error;
    list_add_tail(&ch->calls, &racer->link);
    uint32_t i = r->launched++;
    r->racers[i] = racer;
    r->fed[i] = 0;
    c->attempts++;
    racer->sent_head = true;
    feed(c, r, i);
    if (r->launched < policy_of(c)->max_attempts)
        timer_start(&r->timer, policy_of(c)->delay_ms);
    channel_place_call(ch, racer);
    return 0;
}

void hedge_launch_due(struct timer *t)
{
    struct call_retry *r = CONTAINER_OF(t, struct call_retry, timer);
    if (call_is_over(r->call) || !may_launch(r))
        return;
    if (launch(r->call) < 0 && !any_racer(r, NULL))
        channel_fail_call(r->call, NRPC_RESOURCE_EXHAUSTED, "out of memory", "");
}

/* More was sent than is kept for hedges: what runs first stays alone. */
static void settle(nrpc_call *c, struct call_retry *r)
{
    r->no_more = true;
    timer_stop(&r->timer);
    for (uint32_t i = 0; i < r->launched; i++) {
        nrpc_call *racer = r->racers[i];
        if (racer != NULL && racer->stream != NULL && !call_is_over(racer)) {
            win(c, racer);
            return;
        }
    }
    drop_racers(r, NULL); /* none has begun: then the call goes by itself */
    c->on_queued = NULL;
    channel_place_call(c->owner, c);
}

static void on_queued(nrpc_call *c)
{
    struct call_retry *r = c->retry;
    for (uint32_t i = 0; i < r->launched; i++)
        feed(c, r, i);
    if (c->out.size > CALL_KEPT_MAX)
        settle(c, r);
}

void hedge_start(nrpc_channel *ch, nrpc_call *c)
{
    struct call_retry *r = retry_get(c);
    (void) ch;
    if (r != NULL) {
        r->timer.fn = hedge_launch_due;
        c->on_queued = on_queued;
    }
    if (r == NULL || launch(c) < 0)
        channel_fail_call(c, NRPC_RESOURCE_EXHAUSTED, "out of memory", "");
}

void hedge_on_gone(nrpc_call *c)
{
    drop_racers(c->retry, NULL);
}
