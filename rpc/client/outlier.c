/* Outlier ejection: a backend that fails many calls in a row gets none for a while, a longer while
 * each time (gRFC A50 in spirit, on consecutive failures).  At most max_percent of the backends are
 * out at once, but always one may be.  When no other can take a call, an ejected one still gets it.
 */
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
    sub->outlier.ejected = false;
    sub->outlier.failures = 0;
    sub->outlier.clean_ns = loop_now_ns(sub->channel->loop);
    log_event(LOG_LEVEL_INFO, "backend_back", LOG_S("address", sub->address));
    channel_run_pending(sub->channel);
}

static bool may_eject(const nrpc_channel *ch)
{
    unsigned out = 0;
    for (unsigned i = 0; i < ch->n_subs; i++)
        out += ch->subs[i]->outlier.ejected;
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

void outlier_note(struct subchannel *sub, nrpc_code code)
{
    nrpc_channel *ch = sub->channel;
    if (ch->options.outlier.consecutive_failures == 0 || sub->retired || code == NRPC_CANCELLED)
        return;
    if (!is_failure(code)) {
        sub->outlier.failures = 0;
        return;
    }
    sub->outlier.failures++;
    if (sub->outlier.failures < ch->options.outlier.consecutive_failures || sub->outlier.ejected ||
        !may_eject(ch))
        return;
    forgive(sub);
    if (sub->outlier.times < TIMES_MAX)
        sub->outlier.times++;
    sub->outlier.ejected = true;
    uint64_t ms = (uint64_t) ch->options.outlier.ejection_ms * sub->outlier.times;
    timer_start(&sub->outlier.back, ms);
    log_event(LOG_LEVEL_INFO, "backend_ejected", LOG_S("address", sub->address),
              LOG_U("failures", sub->outlier.failures), LOG_U("ms", ms));
}

void outlier_init(struct subchannel *sub)
{
    timer_init(&sub->outlier.back, sub->channel->loop, on_back);
}

void outlier_stop(struct subchannel *sub)
{
    timer_stop(&sub->outlier.back);
    sub->outlier.ejected = false;
}
