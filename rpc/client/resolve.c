/* From names to addresses.  getaddrinfo blocks, so it runs on a thread of the channel's own, never
 * on the loop.  Names are looked up before the first call, again every resolve_ms while the channel
 * is in use, soon after a backend was lost, and with growing pauses while a look-up fails. */
#include <netdb.h>
#include <stdio.h>
#include <string.h>

#include "rpc/base/alloc.h"
#include "rpc/base/log.h"
#include "rpc/client/inner.h"

#define NS_PER_MS 1000000ull
enum { AGAIN_MIN_MS = 1000 }; /* between two look-ups because of lost backends */

struct answer {
    struct resolved found[RESOLVED_MAX];
    unsigned n_found;
    const char *why; /* NULL: it went well */
};
/* Holds all that the thread needs, so that it never sees the channel. */
struct resolve {
    nrpc_job job;
    nrpc_channel *channel;
    lookup_fn *lookup;
    void *lookup_ctx;
    const struct target_name *names; /* their text never changes */
    unsigned n_names;
    struct answer answers[];
};

/* One of each family in turn, so that a dead family costs one attempt (RFC 8305 section 4). */
static void interleave(struct resolved *list, unsigned n)
{
    for (unsigned i = 1; i < n; i++) {
        bool before_v6 = list[i - 1].text[0] == '[';
        unsigned at = i;
        while (at < n && (list[at].text[0] == '[') == before_v6)
            at++;
        if (at == n)
            return;
        struct resolved other = list[at];
        memmove(&list[i + 1], &list[i], (at - i) * sizeof *list);
        list[i] = other;
    }
}

int resolver_getaddrinfo(void *ctx, const char *host, const char *port, struct resolved *out,
                         unsigned *out_n, const char **why)
{
    (void) ctx;
    /* AI_ADDRCONFIG does not count loopback interfaces, so the loopback's own name goes without. */
    bool local = strcmp(host, "localhost") == 0;
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
                                    .ai_flags = AI_NUMERICSERV | (local ? 0 : AI_ADDRCONFIG) };
    struct addrinfo *list = NULL;
    int error = getaddrinfo(host, port, &hints, &list);
    if (error != 0) {
        *why = gai_strerror(error);
        return NRPC_E_SYS;
    }
    unsigned n = 0;
    for (struct addrinfo *a = list; a != NULL && n < RESOLVED_MAX; a = a->ai_next) {
        struct address address;
        if (a->ai_addrlen > sizeof address.sa ||
            (a->ai_family != AF_INET && a->ai_family != AF_INET6))
            continue;
        memcpy(&address.sa, a->ai_addr, a->ai_addrlen);
        address.size = a->ai_addrlen;
        address_format(&address, out[n++].text);
    }
    freeaddrinfo(list);
    if (n == 0) {
        *why = "the name has no address";
        return NRPC_E_SYS;
    }
    *out_n = n;
    return 0;
}

static void work(nrpc_job *j)
{
    struct resolve *r = CONTAINER_OF(j, struct resolve, job);
    for (unsigned i = 0; i < r->n_names; i++) {
        const struct target_name *name = &r->names[i];
        struct answer *a = &r->answers[i];
        if (name->literal)
            continue;
        if (r->lookup(r->lookup_ctx, name->host, name->port, a->found, &a->n_found, &a->why) < 0)
            a->n_found = 0;
        interleave(a->found, a->n_found);
    }
}

static void fail(nrpc_channel *ch, const char *name, const char *why)
{
    struct resolver *rs = &ch->resolver;
    rs->failing = true;
    snprintf(rs->why, sizeof rs->why, "cannot resolve %s: %s", name, why);
    timer_start(&rs->again, channel_jitter(ch, rs->backoff_ms));
    log_event(LOG_LEVEL_DEBUG, "resolve_failed", LOG_S("name", name), LOG_S("error", why),
              LOG_U("backoff_ms", rs->backoff_ms));
    uint64_t next = (uint64_t) rs->backoff_ms * 2;
    rs->backoff_ms =
        next > ch->options.backoff_max_ms ? ch->options.backoff_max_ms : (uint32_t) next;
}

/* A name whose look-up failed keeps the addresses it had. */
static void take_answers(nrpc_channel *ch, const struct resolve *r)
{
    struct resolver *rs = &ch->resolver;
    const char *bad = NULL, *why = NULL;
    for (unsigned i = 0; i < r->n_names; i++) {
        const struct answer *a = &r->answers[i];
        struct target_name *name = &ch->names[i];
        if (name->literal)
            continue;
        if (a->n_found == 0) {
            bad = name->text;
            why = a->why != NULL ? a->why : "the name has no address";
            continue;
        }
        memcpy(name->found, a->found, a->n_found * sizeof a->found[0]);
        name->n_found = a->n_found;
    }
    rs->last_ns = loop_now_ns(ch->loop);
    rs->stale = false;
    rs->failing = false;
    if (bad == NULL && channel_apply_names(ch) < 0) {
        bad = ch->names[0].text;
        why = "out of memory";
    } else if (bad != NULL) {
        (void) channel_apply_names(ch);
    }
    if (bad != NULL) {
        fail(ch, bad, why);
    } else {
        rs->backoff_ms = ch->options.backoff_min_ms;
        timer_start(&rs->again, ch->options.resolve_ms);
    }
}

static void done(nrpc_task *t, nrpc_loop *loop)
{
    (void) loop;
    struct resolve *r = CONTAINER_OF(t, struct resolve, job.done);
    nrpc_channel *ch = r->channel;
    ch->resolver.running = false;
    if (ch->closed) {
        channel_check_gone(ch);
    } else {
        take_answers(ch, r);
        if (ch->n_pending > 0 || ch->wake_due)
            channel_wake(ch);
        channel_run_pending(ch);
    }
    alloc_free(r);
}

static int start(nrpc_channel *ch)
{
    struct resolver *rs = &ch->resolver;
    if (rs->pool == NULL) {
        int r = nrpc_pool_new(1, 2, &rs->pool);
        if (r < 0)
            return r;
    }
    struct resolve *job = alloc_zero(1, sizeof *job + ch->n_names * sizeof job->answers[0]);
    if (job == NULL)
        return NRPC_E_NOMEM;
    job->channel = ch;
    job->lookup = rs->lookup;
    job->lookup_ctx = rs->lookup_ctx;
    job->names = ch->names;
    job->n_names = ch->n_names;
    job->job = (nrpc_job){ .done.run = done, .work = work, .home = ch->loop };
    int r = nrpc_pool_submit(rs->pool, &job->job);
    if (r < 0)
        alloc_free(job);
    return r;
}

static void resolve(nrpc_channel *ch)
{
    struct resolver *rs = &ch->resolver;
    if (!rs->has_names || rs->running || ch->closed)
        return;
    timer_stop(&rs->again);
    int r = start(ch);
    if (r < 0)
        fail(ch, ch->names[0].text, nrpc_strerror(r));
    else
        rs->running = true;
}

static bool in_use(const nrpc_channel *ch)
{
    if (ch->n_pending > 0)
        return true;
    for (unsigned i = 0; i < ch->n_subs; i++)
        if (ch->subs[i]->state != SUB_IDLE)
            return true;
    return false;
}

static void on_again(struct timer *t)
{
    nrpc_channel *ch = CONTAINER_OF(t, nrpc_channel, resolver.again);
    if (in_use(ch) || ch->resolver.failing)
        resolve(ch);
    else
        ch->resolver.stale = true;
}

void resolver_init(nrpc_channel *ch)
{
    struct resolver *rs = &ch->resolver;
    rs->lookup = resolver_getaddrinfo;
    rs->backoff_ms = ch->options.backoff_min_ms;
    timer_init(&rs->again, ch->loop, on_again);
    for (unsigned i = 0; i < ch->n_names; i++)
        rs->has_names |= !ch->names[i].literal;
}

void resolver_wake(nrpc_channel *ch)
{
    if (!ch->resolver.failing && (ch->resolver.last_ns == 0 || ch->resolver.stale))
        resolve(ch);
}

void resolver_again(nrpc_channel *ch)
{
    struct resolver *rs = &ch->resolver;
    if (!rs->has_names || rs->running || rs->failing || ch->closed || rs->last_ns == 0)
        return;
    uint64_t due = rs->last_ns + AGAIN_MIN_MS * NS_PER_MS;
    if (due <= loop_now_ns(ch->loop))
        resolve(ch);
    else if (!timer_running(&rs->again) || rs->again.due_ns > due)
        timer_start_at(&rs->again, due);
}

void resolver_stop(nrpc_channel *ch)
{
    timer_stop(&ch->resolver.again);
}

void resolver_done(nrpc_channel *ch)
{
    nrpc_pool_free(ch->resolver.pool);
}
