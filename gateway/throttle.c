#include "gateway/throttle.h"

#include <string.h>

#include "rpc/base/map.h"

/* "10.0.0.1:4711" without the port; a Unix socket is one client. */
static struct http1_text host_of(const char *peer)
{
    const char *colon = strrchr(peer, ':');
    size_t size = strncmp(peer, "unix:", 5) == 0 ? 4
                  : colon == NULL                ? strlen(peer)
                                                 : (size_t) (colon - peer);
    if (size > 2 && peer[0] == '[' && peer[size - 1] == ']')
        return (struct http1_text){ peer + 1, size - 2 };
    return (struct http1_text){ peer, size };
}

static bool is_trusted(const struct exchange *x, struct http1_text host)
{
    const struct option_list *list = &x->gl->gateway->settings.trusted_proxy;
    for (size_t i = 0; i < list->count; i++)
        if (strlen(list->items[i]) == host.size &&
            memcmp(list->items[i], host.data, host.size) == 0)
            return true;
    return false;
}

/* The last address of X-Forwarded-For that no trusted proxy has: what stands before it anybody can
 * have written. */
static struct http1_text forwarded_for(const struct exchange *x, struct http1_text host,
                                       struct buf *all)
{
    if (!http1_join(&x->http, "x-forwarded-for", all) || all->failed)
        return host;
    size_t end = all->size;
    while (end > 0 && is_trusted(x, host)) {
        size_t start = end;
        while (start > 0 && all->data[start - 1] != ',')
            start--;
        size_t first = start, last = end;
        while (first < last && (all->data[first] == ' ' || all->data[first] == '\t'))
            first++;
        while (last > first && (all->data[last - 1] == ' ' || all->data[last - 1] == '\t'))
            last--;
        if (last > first)
            host = (struct http1_text){ (const char *) all->data + first, last - first };
        end = start > 0 ? start - 1 : 0;
    }
    return host;
}

void throttle(struct exchange *x)
{
    struct limit *l = x->gl->gateway->limit;
    struct buf all = { 0 };
    if (l == NULL)
        return;
    struct http1_text host = host_of(x->client->ops->peer(x->client));
    if (is_trusted(x, host))
        host = forwarded_for(x, host, &all);
    x->share = limit_take(l, map_hash(host.data, host.size), loop_now_ns(x->gl->loop));
    buf_done(&all);
    if (x->share.allowed)
        return;
    exchange_fail(x, 429, NRPC_RESOURCE_EXHAUSTED, "RATE_LIMITED",
                  "more than %u requests a second from one address", l->per_second);
    x->problem.retry_after_s = x->share.retry_s;
}

void throttle_put_headers(const struct exchange *x, struct buf *out)
{
    const struct limit *l = x->gl->gateway->limit;
    if (l == NULL)
        return;
    buf_printf(out,
               "RateLimit-Limit: %u\r\nRateLimit-Remaining: %u\r\nRateLimit-Reset: "
               "%u\r\nRateLimit-Policy: %u;w=1\r\n",
               l->burst, x->share.remaining, x->share.reset_s, l->per_second);
}

static nrpc_slice slice_of(struct http1_text t)
{
    return (nrpc_slice){ (const uint8_t *) t.data, t.size };
}

/* What a proxy that we trust says goes before what we see. */
static void take_forwarded(struct exchange *x, nrpc_slice out[static 3])
{
    struct http1_text host = exchange_header(x, "x-forwarded-host"),
                      proto = exchange_header(x, "x-forwarded-proto");
    struct buf chain = { 0 };
    if (http1_join(&x->http, "x-forwarded-for", &chain) && chain.size > 0) {
        buf_puts(&chain, ", ");
        buf_put(&chain, out[0].data, out[0].size);
        const uint8_t *kept = chain.failed ? NULL : arena_copy(&x->arena, chain.data, chain.size);
        if (kept != NULL)
            out[0] = (nrpc_slice){ kept, chain.size };
    }
    buf_done(&chain);
    if (host.size > 0)
        out[1] = slice_of(host);
    if (proto.size > 0)
        out[2] = slice_of(proto);
}

void throttle_forwarded(struct exchange *x, nrpc_slice out[static 3])
{
    const char *peer = x->client->ops->peer(x->client);
    struct http1_text host = host_of(peer);
    bool secure = x->gl->gateway->front.context != NULL && strncmp(peer, "unix:", 5) != 0;
    const char *proto = secure ? "https" : "http";
    out[0] = slice_of(host);
    out[1] = slice_of(exchange_header(x, "host"));
    out[2] = (nrpc_slice){ (const uint8_t *) proto, strlen(proto) };
    if (is_trusted(x, host))
        take_forwarded(x, out);
}
