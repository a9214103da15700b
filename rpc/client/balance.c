/* Which connection a call goes to, and what happens to calls that must wait.
 *
 * pick_first   the first address that works; a slow one is joined by the next after 250 ms, the
 * first to be ready wins (RFC 8305). round_robin  all addresses in turn, those that cannot take a
 * call now are passed over. least_calls  the fewest calls in progress, found by looking at all
 * (there are at most 64; two random choices would save nothing and miss the best); among equals the
 * next in turn. */
#include <stdio.h>
#include <string.h>

#include "rpc/client/inner.h"

enum { EYEBALLS_MS = 250 };

enum sub_state channel_sub_phase(const struct subchannel *sub)
{
    if (sub->state != SUB_READY || sub->channel->health_service == NULL)
        return sub->state;
    switch (sub->health.state) {
    case HEALTH_SERVING:
        return SUB_READY;
    case HEALTH_NOT_SERVING:
        return SUB_BACKOFF;
    default:
        return SUB_CONNECTING;
    }
}

/* An ejected backend is better than none. */
static struct channel_conn *pick(nrpc_channel *ch, const struct subchannel *avoid)
{
    struct channel_conn *best = NULL, *last_resort = NULL;
    uint32_t least = UINT32_MAX;
    unsigned first = ch->options.balance == NRPC_PICK_FIRST ? 0 : ch->next_sub;
    for (unsigned i = 0; i < ch->n_subs; i++) {
        unsigned at = first + i < ch->n_subs ? first + i : first + i - ch->n_subs;
        struct subchannel *sub = ch->subs[at];
        if (channel_sub_phase(sub) != SUB_READY)
            continue;
        struct channel_conn *conn = subchannel_find(sub);
        if (conn == NULL)
            continue;
        if (!outlier_admits(sub) || sub == avoid) {
            if (last_resort == NULL)
                last_resort = conn;
            continue;
        }
        if (ch->options.balance != NRPC_LEAST_CALLS) {
            ch->next_sub = at + 1 < ch->n_subs ? at + 1 : 0;
            return conn;
        }
        if (sub->calls < least) {
            least = sub->calls;
            best = conn;
        }
    }
    if (ch->options.balance == NRPC_LEAST_CALLS && ch->n_subs > 0)
        ch->next_sub = (ch->next_sub + 1) % ch->n_subs;
    return best != NULL ? best : last_resort;
}

/* ---- waking ---- */
static void wake_first(nrpc_channel *ch)
{
    bool connecting = false;
    for (unsigned i = 0; i < ch->n_subs; i++) {
        if (ch->subs[i]->state == SUB_READY)
            return;
        connecting |= ch->subs[i]->state == SUB_CONNECTING;
    }
    for (unsigned i = 0; i < ch->n_subs && !connecting; i++) {
        struct subchannel *sub = ch->subs[i];
        subchannel_connect(sub);
        connecting = sub->state == SUB_CONNECTING;
    }
    if (connecting && !timer_running(&ch->eyeballs) && ch->n_subs > 1)
        timer_start(&ch->eyeballs, EYEBALLS_MS);
}

void channel_on_eyeballs(struct timer *t)
{
    nrpc_channel *ch = CONTAINER_OF(t, nrpc_channel, eyeballs);
    bool connecting = false;
    for (unsigned i = 0; i < ch->n_subs; i++) {
        if (ch->subs[i]->state == SUB_READY)
            return;
        connecting |= ch->subs[i]->state == SUB_CONNECTING;
    }
    if (!connecting)
        return; /* all failed meanwhile; their backoff goes on */
    for (unsigned i = 0; i < ch->n_subs; i++) {
        struct subchannel *sub = ch->subs[i];
        if (sub->state != SUB_IDLE)
            continue;
        subchannel_connect(sub);
        if (sub->state == SUB_CONNECTING) {
            timer_start(&ch->eyeballs, EYEBALLS_MS);
            return;
        }
    }
}

void channel_settle(nrpc_channel *ch, const struct subchannel *winner)
{
    if (ch->options.balance != NRPC_PICK_FIRST)
        return;
    timer_stop(&ch->eyeballs);
    for (unsigned i = 0; i < ch->n_subs; i++)
        if (ch->subs[i] != winner)
            subchannel_rest(ch->subs[i]);
}

void channel_wake(nrpc_channel *ch)
{
    if (ch->closed)
        return;
    ch->wake_due = false;
    resolver_wake(ch);
    if (ch->options.balance == NRPC_PICK_FIRST) {
        wake_first(ch);
    } else {
        for (unsigned i = 0; i < ch->n_subs; i++)
            subchannel_connect(ch->subs[i]);
    }
    if (ch->n_subs == 0)
        ch->wake_due = true; /* once the names are resolved */
}

/* All that work are full: one more connection to each. */
static void grow(nrpc_channel *ch)
{
    for (unsigned i = 0; i < ch->n_subs; i++) {
        struct subchannel *sub = ch->subs[i];
        if (channel_sub_phase(sub) == SUB_READY && subchannel_find(sub) == NULL)
            subchannel_grow(sub);
    }
}

bool channel_is_resting(const nrpc_channel *ch)
{
    for (unsigned i = 0; i < ch->n_subs; i++)
        if (channel_sub_phase(ch->subs[i]) != SUB_BACKOFF)
            return false;
    return ch->n_subs > 0 || ch->resolver.failing;
}

/* ---- calls ---- */
void channel_fail_call(nrpc_call *c, nrpc_code code, const char *text, const char *more)
{
    nrpc_status st = NRPC_STATUS_INIT;
    nrpc_status_set(&st, code, "%s%s", text, more);
    if (code == NRPC_UNAVAILABLE && call_attempt_failed(c, &st, CALL_FAILED))
        nrpc_status_clear(&st);
    else
        call_end_detached(c, &st);
}

static void fail_resting(const nrpc_channel *ch, nrpc_call *c)
{
    if (ch->n_subs == 0) {
        channel_fail_call(c, NRPC_UNAVAILABLE, ch->resolver.why, "");
        return;
    }
    const struct subchannel *sub = ch->subs[0];
    char text[ADDRESS_TEXT_MAX + NAME_BYTES + 40];
    bool unhealthy = sub->state == SUB_READY;
    if (strcmp(sub->address, sub->authority) == 0 || strncmp(sub->address, "unix:", 5) == 0)
        snprintf(text, sizeof text, "%s %s: ", unhealthy ? "no calls to" : "cannot connect to",
                 sub->address);
    else
        snprintf(text, sizeof text, "%s %s (%s): ", unhealthy ? "no calls to" : "cannot connect to",
                 sub->authority, sub->address);
    channel_fail_call(c, NRPC_UNAVAILABLE, text,
                      unhealthy ? "its health service does not say SERVING" : sub->why);
}

void channel_unqueue_call(nrpc_channel *ch, nrpc_call *c)
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
    const struct call_retry *retry = c->retry;
    struct channel_conn *conn = pick(ch, retry == NULL ? NULL : retry->avoid);
    if (conn == NULL) {
        if (c->wait_for_ready || !channel_is_resting(ch))
            return false;
        fail_resting(ch, c);
        return true;
    }
    struct subchannel *sub = conn->sub;
    c->place = sub;
    c->secure = ch->options.tls != NULL;
    sub->calls++;
    outlier_taken(sub);
    c->budget = &sub->budget;
    c->peer = sub->address;
    int r = call_open_stream(c, h2_conn_session(conn->h2), sub->authority, ch->user_agent);
    if (r == NRPC_E_NOMEM || r == NRPC_E_TOOBIG)
        channel_fail_call(c, NRPC_RESOURCE_EXHAUSTED,
                          r == NRPC_E_NOMEM ? "out of memory" : "too many header fields", "");
    else if (r < 0)
        channel_fail_call(c, NRPC_UNAVAILABLE, "the connection takes no more calls", "");
    return true;
}

void channel_run_pending(nrpc_channel *ch)
{
    if (ch->running || ch->closed || ch->n_pending == 0)
        return;
    ch->running = true;
    channel_wake(ch);
    /* In order of arrival; when none can go on, those that must not wait may still have to fail. */
    bool blocked = false;
    LIST_EACH(&ch->pending, link, next)
    {
        nrpc_call *c = LIST_ENTRY(link, nrpc_call, pending_link);
        if (blocked && !channel_is_resting(ch))
            break;
        if (blocked && c->wait_for_ready)
            continue;
        if (try_call(ch, c))
            channel_unqueue_call(ch, c);
        else
            blocked = true;
    }
    if (blocked)
        grow(ch);
    ch->running = false;
}

void channel_place_call(nrpc_channel *ch, nrpc_call *c)
{
    if (ch->wake_due)
        channel_wake(ch);
    if ((ch->n_pending == 0 || (!c->wait_for_ready && channel_is_resting(ch))) && try_call(ch, c))
        return;
    c->is_pending = true;
    ch->n_pending++;
    list_add_tail(&ch->pending, &c->pending_link);
    if (ch->n_pending == 1)
        channel_run_pending(ch);
}
