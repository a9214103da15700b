#include "server/service/invalidation.h"

#include <stdatomic.h>
#include <string.h>

#include <nrpc/cache.nrpc.h>

#include "rpc/base/alloc.h"
#include "rpc/base/clock.h"
#include "rpc/base/list.h"
#include "rpc/base/log.h"

enum { LEASE_MS = 2000, SUBSCRIBERS_MAX = 256 };

struct loop_part;
struct subscriber {
    struct list link;
    struct loop_part *part;
    nrpc_call *call;
    uint64_t lease_until_ns;
    bool owes; /* the acknowledgement of what is being published */
};

/* What one loop has. */
struct loop_part {
    struct invalidation *owner;
    nrpc_loop *loop;
    struct list subscribers;
    size_t count;
    uint64_t ghosts_until_ns; /* the last lease of those whose streams were lost */
    bool ghosts_owe;
    nrpc_timer *timer; /* of leases, while somebody owes; made when first wanted */
};
struct invalidation {
    struct loop_part *parts;
    size_t n_parts;
    _Atomic(uint64_t) sequence; /* of the last publication */
    /* The publication on its way. */
    nrpc_task visit, finished; /* visit goes from loop to loop */
    size_t at_part;
    const char *const *tags;
    size_t n_tags;
    _Atomic(uint64_t) owing; /* subscribers, and one for the visit itself */
    void (*done)(void *ctx);
    void *ctx;
};

static struct loop_part *part_of(struct invalidation *v, nrpc_loop *loop)
{
    for (size_t i = 0; i < v->n_parts; i++)
        if (v->parts[i].loop == loop)
            return &v->parts[i];
    return &v->parts[0];
}

/* ---- the end of a publication ---------------------------------------------------------- */

static void on_finished(nrpc_task *t, nrpc_loop *loop)
{
    struct invalidation *v = CONTAINER_OF(t, struct invalidation, finished);
    (void) loop;
    v->tags = NULL;
    v->done(v->ctx);
}

static void settle_one(struct invalidation *v)
{
    if (atomic_fetch_sub(&v->owing, 1) == 1)
        nrpc_loop_post(v->parts[0].loop, &v->finished);
}

static void forgive(struct subscriber *s)
{
    if (!s->owes)
        return;
    s->owes = false;
    settle_one(s->part->owner);
}

/* ---- leases ---------------------------------------------------------------------------- */

static void on_timer(void *ctx);

/* Wakes when the first of those who owe is free of its lease. */
static void watch_leases(struct loop_part *p)
{
    uint64_t first = p->ghosts_owe ? p->ghosts_until_ns : UINT64_MAX, now = clock_mono_ns();
    LIST_EACH(&p->subscribers, link, next)
    {
        struct subscriber *s = LIST_ENTRY(link, struct subscriber, link);
        if (s->owes && s->lease_until_ns < first)
            first = s->lease_until_ns;
    }
    if (first != UINT64_MAX)
        nrpc_timer_start(p->timer, first <= now ? 1 : (first - now) / 1000000 + 1);
}

/* A cache that is silent beyond its lease shows nothing any more; it must begin anew. */
static void on_timer(void *ctx)
{
    struct loop_part *p = ctx;
    uint64_t now = clock_mono_ns();
    if (p->ghosts_owe && p->ghosts_until_ns <= now) {
        p->ghosts_owe = false;
        settle_one(p->owner);
    }
    LIST_EACH(&p->subscribers, link, next)
    {
        struct subscriber *s = LIST_ENTRY(link, struct subscriber, link);
        if (!s->owes || s->lease_until_ns > now)
            continue;
        log_event(LOG_LEVEL_WARN, "cache_silent", LOG_S("peer", nrpc_call_peer(s->call)));
        forgive(s);
        nrpc_call_fail(s->call, NRPC_DEADLINE_EXCEEDED, "the lease ended without an acknowledgement: subscribe again");
    }
    watch_leases(p);
}

/* ---- publishing ------------------------------------------------------------------------ */

static int tell(struct subscriber *s, Nrpc__Cache__V1__Invalidated *m)
{
    m->sequence = atomic_load(&s->part->owner->sequence);
    m->lease_ms = LEASE_MS;
    return nrpc_cache_v1_invalidation_subscribe_emit(s->call, m);
}

static void tell_part(struct loop_part *p)
{
    struct invalidation *v = p->owner;
    Nrpc__Cache__V1__Invalidated m = NRPC__CACHE__V1__INVALIDATED__INIT;
    m.tags = (char **) (uintptr_t) v->tags;
    m.n_tags = v->n_tags;
    LIST_EACH(&p->subscribers, link, next)
    {
        struct subscriber *s = LIST_ENTRY(link, struct subscriber, link);
        s->owes = true;
        atomic_fetch_add(&v->owing, 1);
        if (tell(s, &m) < 0) /* it does not read: its lease decides */
            log_event(LOG_LEVEL_DEBUG, "cache_slow", LOG_S("peer", nrpc_call_peer(s->call)));
    }
    if (p->ghosts_until_ns > clock_mono_ns()) {
        p->ghosts_owe = true;
        atomic_fetch_add(&v->owing, 1);
    }
    if (p->timer != NULL)
        watch_leases(p);
}

static void on_visit(nrpc_task *t, nrpc_loop *loop)
{
    struct invalidation *v = CONTAINER_OF(t, struct invalidation, visit);
    (void) loop;
    tell_part(&v->parts[v->at_part++]);
    if (v->at_part < v->n_parts)
        nrpc_loop_post(v->parts[v->at_part].loop, t);
    else
        settle_one(v);
}

void invalidation_publish(struct invalidation *v, const char *const *tags, size_t n, void (*done)(void *ctx), void *ctx)
{
    v->tags = tags;
    v->n_tags = n;
    v->done = done;
    v->ctx = ctx;
    v->at_part = 0;
    atomic_store(&v->owing, 1);
    atomic_fetch_add(&v->sequence, 1);
    nrpc_loop_post(v->parts[0].loop, &v->visit);
}

/* ---- subscribers ----------------------------------------------------------------------- */

static nrpc_code on_start(nrpc_call *c, void *ctx, void **out_state, nrpc_status *st)
{
    struct loop_part *p = part_of(ctx, nrpc_call_loop(c));
    if (p->count == SUBSCRIBERS_MAX) {
        nrpc_status_set(st, NRPC_RESOURCE_EXHAUSTED, "%d caches are subscribed already", SUBSCRIBERS_MAX);
        return NRPC_RESOURCE_EXHAUSTED;
    }
    if (p->timer == NULL && nrpc_timer_new(p->loop, on_timer, p, &p->timer) < 0) {
        nrpc_status_set(st, NRPC_RESOURCE_EXHAUSTED, "the server is out of memory");
        return NRPC_RESOURCE_EXHAUSTED;
    }
    struct subscriber *s = nrpc_call_alloc(c, sizeof *s);
    if (s == NULL) {
        nrpc_status_set(st, NRPC_RESOURCE_EXHAUSTED, "the server is out of memory");
        return NRPC_RESOURCE_EXHAUSTED;
    }
    s->part = p;
    s->call = c;
    s->lease_until_ns = clock_mono_ns() + (uint64_t) LEASE_MS * 1000000;
    list_init(&s->link);
    list_add_tail(&p->subscribers, &s->link);
    p->count++;
    *out_state = s;
    return NRPC_OK;
}

static void on_message(nrpc_call *c, void *state, nrpc_msg *m)
{
    struct subscriber *s = state;
    const Nrpc__Cache__V1__SubscribeRequest *r = nrpc_cache_v1_invalidation_subscribe_request(m);
    Nrpc__Cache__V1__Invalidated answer = NRPC__CACHE__V1__INVALIDATED__INIT;
    if (r->acknowledged >= atomic_load(&s->part->owner->sequence))
        forgive(s);
    if (r->ping != 0) {
        /* Only who keeps up gets more time: else a change would wait for it for ever. */
        if (!s->owes)
            s->lease_until_ns = clock_mono_ns() + (uint64_t) LEASE_MS * 1000000;
        answer.ping = s->owes ? 0 : r->ping;
        if (answer.ping != 0)
            (void) tell(s, &answer); /* a reader too slow for this loses its lease */
    }
    nrpc_msg_free(m);
    nrpc_call_want(c, 1);
}

static void on_half_close(nrpc_call *c, void *state)
{
    (void) state;
    nrpc_call_finish(c, NULL);
}

/* Lost without a word, it may not have noticed yet: its lease stands, and who publishes waits for that. */
static void become_ghost(struct loop_part *p, struct subscriber *s)
{
    if (s->lease_until_ns <= clock_mono_ns()) {
        forgive(s);
        return;
    }
    if (s->lease_until_ns > p->ghosts_until_ns)
        p->ghosts_until_ns = s->lease_until_ns;
    if (s->owes && p->ghosts_owe)
        forgive(s); /* one debt stands for all ghosts */
    else if (s->owes)
        p->ghosts_owe = true;
}

static void on_end(nrpc_call *c, void *state, const nrpc_status *st)
{
    struct subscriber *s = state;
    (void) c;
    if (s == NULL)
        return; /* refused */
    struct loop_part *p = s->part;
    list_remove(&s->link);
    p->count--;
    if (st->code == NRPC_OK)
        forgive(s); /* it said goodbye, so it shows nothing any more */
    else
        become_ghost(p, s);
    if (p->ghosts_owe)
        watch_leases(p);
}

/* A drained server has no changes to announce, and must not wait for who only listens. */
static void on_drain(void *ctx, nrpc_loop *loop)
{
    struct loop_part *p = part_of(ctx, loop);
    LIST_EACH(&p->subscribers, link, next)
    nrpc_call_fail(LIST_ENTRY(link, struct subscriber, link)->call, NRPC_UNAVAILABLE, "the server is shutting down");
}

/* ---- life ------------------------------------------------------------------------------ */

int invalidation_open(nrpc_server *server, struct invalidation **out)
{
    static const nrpc_events events = { .on_start = on_start,
                                        .on_message = on_message,
                                        .on_half_close = on_half_close,
                                        .on_end = on_end };
    static const nrpc_cache_v1_invalidation_handlers handlers = { .subscribe = { .stream = &events } };
    struct invalidation *v = alloc_zero(1, sizeof *v);
    size_t n = nrpc_server_loops(server);
    if (v == NULL || (v->parts = alloc_zero(n, sizeof *v->parts)) == NULL) {
        alloc_free(v);
        return NRPC_E_NOMEM;
    }
    v->n_parts = n;
    v->visit.run = on_visit;
    v->finished.run = on_finished;
    for (size_t i = 0; i < n; i++) {
        v->parts[i].owner = v;
        v->parts[i].loop = nrpc_server_loop(server, i);
        list_init(&v->parts[i].subscribers);
    }
    int r = nrpc_cache_v1_invalidation_register(server, &handlers, v);
    if (r == 0)
        r = nrpc_server_on_drain(server, on_drain, v);
    if (r < 0)
        invalidation_close(v);
    else
        *out = v;
    return r;
}

void invalidation_halt(struct invalidation *v)
{
    for (size_t i = 0; i < v->n_parts; i++) {
        nrpc_timer_free(v->parts[i].timer);
        v->parts[i].timer = NULL;
    }
}

void invalidation_close(struct invalidation *v)
{
    if (v == NULL)
        return;
    alloc_free(v->parts);
    alloc_free(v);
}
