#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/base/alloc.h"
#include "rpc/server/channelz.h"

/* Server, listeners and connections share one row of numbers; 0 is nobody. */
uint64_t channelz_new_id(void)
{
    static atomic_uint_fast64_t last;
    return atomic_fetch_add_explicit(&last, 1, memory_order_relaxed) + 1;
}

static void come_home(struct channelz_gather *g)
{
    nrpc_call *c = nrpc_call_get(g->home->loop, g->call);
    if (c != NULL)
        g->answer(g, c);
    g->home->gathers--;
    server_loop_check_drained(g->home);
    alloc_free(g);
}

static void on_arrival(nrpc_task *t, nrpc_loop *loop)
{
    struct channelz_gather *g = CONTAINER_OF(t, struct channelz_gather, task);
    nrpc_server *s = g->server;
    if (g->next == s->n_loops) {
        come_home(g);
        return;
    }
    g->visit(g, &s->loops[g->next++]);
    nrpc_loop *to = g->next < s->n_loops ? s->loops[g->next].loop : g->home->loop;
    if (to == loop) /* one loop: nothing to wait for */
        come_home(g);
    else
        nrpc_loop_post(to, &g->task);
}

void channelz_gather(nrpc_call *c, nrpc_server *s,
                     void (*visit)(struct channelz_gather *g, struct server_loop *sl),
                     void (*answer)(struct channelz_gather *g, nrpc_call *c),
                     struct channelz_question q)
{
    struct channelz_gather *g = alloc_zero(1, sizeof *g);
    if (g == NULL) {
        nrpc_call_fail(c, NRPC_RESOURCE_EXHAUSTED, "out of memory");
        return;
    }
    g->task.run = on_arrival;
    g->server = s;
    g->home = server_loop_find(s, nrpc_call_loop(c));
    g->call = nrpc_call_ref(c);
    g->visit = visit;
    g->answer = answer;
    g->start = q.start;
    g->max = q.max;
    g->home->gathers++; /* the loops run on until it is back */
    nrpc_loop_post(s->loops[0].loop, &g->task);
}

void channelz_visit_calls(struct channelz_gather *g, struct server_loop *sl)
{
    g->calls.started += sl->calls.started;
    g->calls.succeeded += sl->calls.succeeded;
    g->calls.failed += sl->calls.failed;
    if (sl->calls.last_started_ns > g->calls.last_started_ns)
        g->calls.last_started_ns = sl->calls.last_started_ns;
}

static int by_id(const void *a, const void *b)
{
    uint64_t x = ((const struct channelz_name *) a)->id, y = ((const struct channelz_name *) b)->id;
    return x < y ? -1 : x > y;
}

static void name_set(struct channelz_name *name, uint64_t id, const char *text)
{
    name->id = id;
    snprintf(name->text, sizeof name->text, "%s", text);
}

/* Connections of a loop stand in the order of their ids, so the first max + 1 are its share. */
void channelz_visit_names(struct channelz_gather *g, struct server_loop *sl)
{
    size_t mine = 0;
    LIST_EACH(&sl->conns, link, next)
    {
        struct server_conn *conn = LIST_ENTRY(link, struct server_conn, link);
        if ((int64_t) conn->id < g->start)
            continue;
        if (mine++ > g->max)
            break;
        name_set(&g->names[g->n_names++], conn->id, h2_conn_peer(conn->h2));
    }
    qsort(g->names, g->n_names, sizeof *g->names, by_id);
    if (g->n_names > g->max + 1)
        g->n_names = g->max + 1;
}

static void visit_listeners(struct channelz_gather *g)
{
    const nrpc_server *s = g->server;
    for (size_t i = 0; i < s->n_listeners; i++) {
        if ((int64_t) s->channelz.listener_ids[i] != g->start)
            continue;
        name_set(&g->socket.name, s->channelz.listener_ids[i], listener_address(s->listeners[i]));
        snprintf(g->socket.local, sizeof g->socket.local, "%s", listener_address(s->listeners[i]));
        g->socket.listens = true;
    }
}

void channelz_visit_socket(struct channelz_gather *g, struct server_loop *sl)
{
    if (g->next == 1) /* the first loop of the tour */
        visit_listeners(g);
    LIST_EACH(&sl->conns, link, next)
    {
        struct server_conn *conn = LIST_ENTRY(link, struct server_conn, link);
        if ((int64_t) conn->id != g->start)
            continue;
        struct channelz_socket *out = &g->socket;
        const struct h2_session *session = h2_conn_session(conn->h2);
        name_set(&out->name, conn->id, h2_conn_peer(conn->h2));
        if (conn->local.any.sa_family == AF_INET || conn->local.any.sa_family == AF_INET6) {
            const struct address local = { .sa.v6 = conn->local.v6 };
            address_format(&local, out->local);
        }
        snprintf(out->cipher, sizeof out->cipher, "%s", h2_conn_cipher(conn->h2));
        out->counters = *h2_session_counters(session);
        out->keepalives = h2_conn_keepalives(conn->h2);
        h2_session_windows(session, &out->windows[0], &out->windows[1]);
        return;
    }
}
