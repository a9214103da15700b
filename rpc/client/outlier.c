/* Circuit breaker of a backend, on calls that failed in a row (gRFC A50 in spirit).
 *
 *   closed     gets calls; consecutive_failures in a row open it
 *   open       gets none for ejection_ms times the number of its ejections, then half open
 *   half open  gets one call, the probe, and no other until that has ended: a success closes the
 *              circuit, a failure opens it again for longer
 *
 * At most max_percent of the backends are open at once, but always one may be.  When no other can
 * take a call, one whose circuit is open still gets it: this breaker chooses between servers, it
 * does not refuse.  What refuses at once is the connection below it, in backoff (subchannel.c);
 * outlier_circuit tells both as one. */
#include "rpc/base/log.h"
#include "rpc/client/inner.h"

#define NS_PER_MS 1000000ull
enum { TIMES_MAX = 10 };

/* What says that the backend, not the caller, is wrong. */
static bool is_failure(nrpc_code code)
{
    switch (code) {
    case NRPC_UNKNOWN:
    case NRPC_DEADLINE_EXCEEDED:
    case NRPC_INTERNAL:
    case NRPC_UNAVAILABLE:
    case NRPC_DATA_LOSS:
        return true;
    default:
        return false;
    }
}

static void on_back(struct timer *t)
{
    struct subchannel *sub = CONTAINER_OF(t, struct subchannel, outlier.back);
    sub->outlier.circuit = NRPC_CIRCUIT_HALF_OPEN;
    sub->outlier.probing = false;
    log_event(LOG_LEVEL_INFO, "backend_half_open", LOG_S("address", sub->address));
    channel_run_pending(sub->channel);
}

static bool may_open(const nrpc_channel *ch)
{
    unsigned out = 0;
    for (unsigned i = 0; i < ch->n_subs; i++)
        out += ch->subs[i]->outlier.circuit != NRPC_CIRCUIT_CLOSED;
    return ch->n_subs > 1 &&
           (out == 0 || (out + 1) * 100u <= ch->options.outlier.max_percent * ch->n_subs);
}

/* Each interval without an ejection takes one step of the growth back. */
static void forgive(struct subchannel *sub)
{
    uint64_t interval_ns = sub->channel->options.outlier.interval_ms * NS_PER_MS;
    uint64_t at = loop_now_ns(sub->channel->loop);
    while (sub->outlier.times > 0 && at - sub->outlier.clean_ns >= interval_ns) {
        sub->outlier.times--;
        sub->outlier.clean_ns += interval_ns;
    }
}

static void open_circuit(struct subchannel *sub)
{
    if (sub->outlier.times < TIMES_MAX)
        sub->outlier.times++;
    sub->outlier.circuit = NRPC_CIRCUIT_OPEN;
    uint64_t ms = (uint64_t) sub->channel->options.outlier.ejection_ms * sub->outlier.times;
    timer_start(&sub->outlier.back, ms);
    log_event(LOG_LEVEL_WARN, "backend_ejected", LOG_S("address", sub->address),
              LOG_U("failures", sub->outlier.failures), LOG_U("ms", ms));
}

static void note_success(struct subchannel *sub)
{
    sub->outlier.failures = 0;
    if (sub->outlier.circuit != NRPC_CIRCUIT_HALF_OPEN)
        return;
    sub->outlier.circuit = NRPC_CIRCUIT_CLOSED;
    sub->outlier.clean_ns = loop_now_ns(sub->channel->loop);
    log_event(LOG_LEVEL_INFO, "backend_back", LOG_S("address", sub->address));
}

void outlier_note(struct subchannel *sub, nrpc_code code)
{
    nrpc_channel *ch = sub->channel;
    if (ch->options.outlier.consecutive_failures == 0 || sub->retired)
        return;
    sub->outlier.probing = false; /* a cancelled probe says nothing: the next call is one */
    if (code == NRPC_CANCELLED)
        return;
    if (!is_failure(code)) {
        note_success(sub);
        return;
    }
    sub->outlier.failures++;
    if (sub->outlier.circuit == NRPC_CIRCUIT_HALF_OPEN) {
        open_circuit(sub);
    } else if (sub->outlier.circuit == NRPC_CIRCUIT_CLOSED &&
               sub->outlier.failures >= ch->options.outlier.consecutive_failures && may_open(ch)) {
        forgive(sub);
        open_circuit(sub);
    }
}

bool outlier_admits(const struct subchannel *sub)
{
    if (sub->outlier.circuit != NRPC_CIRCUIT_HALF_OPEN || !sub->outlier.probing)
        return sub->outlier.circuit != NRPC_CIRCUIT_OPEN;
    /* A probe that lasts, as a stream may, holds nobody up for ever. */
    return loop_now_ns(sub->channel->loop) - sub->outlier.probe_ns >=
           sub->channel->options.outlier.ejection_ms * NS_PER_MS;
}

void outlier_taken(struct subchannel *sub)
{
    if (sub->outlier.circuit != NRPC_CIRCUIT_HALF_OPEN)
        return;
    sub->outlier.probing = true;
    sub->outlier.probe_ns = loop_now_ns(sub->channel->loop);
}

nrpc_circuit outlier_circuit(const struct subchannel *sub)
{
    if (sub->state == SUB_BACKOFF)
        return NRPC_CIRCUIT_OPEN;
    if (sub->state == SUB_CONNECTING && sub->backoff_ms > sub->channel->options.backoff_min_ms)
        return NRPC_CIRCUIT_HALF_OPEN; /* this attempt is the probe */
    return sub->outlier.circuit;
}

void outlier_init(struct subchannel *sub)
{
    timer_init(&sub->outlier.back, sub->channel->loop, on_back);
}

void outlier_stop(struct subchannel *sub)
{
    timer_stop(&sub->outlier.back);
    sub->outlier.circuit = NRPC_CIRCUIT_CLOSED;
}
