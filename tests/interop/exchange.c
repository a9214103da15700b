/* What it keeps for the test comes from malloc, so that a test may make the runtime's own
 * allocations fail. */
#include "tests/interop/exchange.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/base/check.h"
#include "rpc/base/list.h"

/* ---- metadata that outlives its call -------------------------------------------------------- */
static void pairs_copy(struct pairs *to, const nrpc_metadata *md)
{
    size_t n = md == NULL ? 0 : nrpc_metadata_count(md);
    to->list = calloc(n + 1, sizeof *to->list);
    CHECK(to->list != NULL);
    for (size_t i = 0; i < n; i++) {
        const char *key;
        nrpc_slice value;
        nrpc_metadata_at(md, i, &key, &value);
        struct pair *p = &to->list[to->n++];
        p->key = strdup(key);
        p->value = malloc(value.size + 1);
        p->size = value.size;
        CHECK(p->key != NULL && p->value != NULL);
        memcpy(p->value, value.data, value.size);
        p->value[value.size] = '\0';
    }
}

static void pairs_done(struct pairs *pairs)
{
    for (size_t i = 0; i < pairs->n; i++) {
        free(pairs->list[i].key);
        free(pairs->list[i].value);
    }
    free(pairs->list);
    *pairs = (struct pairs){ 0 };
}

const struct pair *pairs_find(const struct pairs *pairs, const char *key)
{
    for (size_t i = 0; i < pairs->n; i++)
        if (strcmp(pairs->list[i].key, key) == 0)
            return &pairs->list[i];
    return NULL;
}

/* ---- events: note what happened and give the thread back ------------------------------------- */
static void on_headers(nrpc_call *c, void *state)
{
    struct exchange *x = state;
    x->has_head = true;
    pairs_copy(&x->head, nrpc_call_headers_in(c));
    snprintf(x->addr, sizeof x->addr, "%s", nrpc_call_peer(c));
    nrpc_loop_stop(x->peer->loop);
}

static void on_message(nrpc_call *c, void *state, nrpc_msg *m)
{
    (void) c;
    struct exchange *x = state;
    if (x->n_inbox == x->inbox_room) {
        x->inbox_room = x->inbox_room * 2 + 4;
        x->inbox = realloc(x->inbox, x->inbox_room * sizeof *x->inbox);
        CHECK(x->inbox != NULL);
    }
    x->inbox[x->n_inbox++] = m;
    nrpc_loop_stop(x->peer->loop);
}

static void on_writable(nrpc_call *c, void *state)
{
    (void) c;
    struct exchange *x = state;
    x->writable = true;
    nrpc_loop_stop(x->peer->loop);
}

static void on_end(nrpc_call *c, void *state, const nrpc_status *st)
{
    struct exchange *x = state;
    x->call = NULL;
    x->ended = true;
    pairs_copy(&x->tail, nrpc_call_trailers_in(c));
    if (nrpc_status_copy(&x->status, st) < 0)
        nrpc_status_set(&x->status, st->code, NULL);
    nrpc_loop_stop(x->peer->loop);
}

static const nrpc_events exchange_events = {
    .on_headers = on_headers, .on_message = on_message, .on_writable = on_writable, .on_end = on_end
};

/* ---- verbs: run inside a turn of the loop, so that its clock is fresh -------------------------
 */
static void run_verb(nrpc_task *t, nrpc_loop *loop)
{
    struct exchange *x = CONTAINER_OF(t, struct exchange, task);
    x->verb(x);
    nrpc_loop_stop(loop);
}

static int perform(struct exchange *x, void (*verb)(struct exchange *x))
{
    x->verb = verb;
    x->task.run = run_verb;
    x->result = 0;
    nrpc_loop_post(x->peer->loop, &x->task);
    CHECK(nrpc_loop_run(x->peer->loop) == 0);
    return x->result;
}

static void turn(struct exchange *x)
{
    CHECK(nrpc_loop_run(x->peer->loop) == 0);
}

static void verb_open(struct exchange *x)
{
    x->result =
        nrpc_channel_start(x->peer->channel, x->method, &x->options, &exchange_events, x, &x->call);
    const char *const *const lists[] = { x->peer->metadata, x->metadata };
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
        for (const char *const *p = lists[i]; x->result == 0 && p != NULL && p[0] != NULL; p += 2) {
            nrpc_metadata *md = nrpc_call_headers_out(x->call);
            x->result = md == NULL ? NRPC_E_NOMEM : nrpc_metadata_add_string(md, p[0], p[1]);
        }
}

static void verb_send(struct exchange *x)
{
    x->result = x->call == NULL ? NRPC_E_STATE : nrpc_call_send(x->call, x->message);
    x->writable = x->result == 0;
}

static void verb_half_close(struct exchange *x)
{
    x->result = x->call == NULL ? NRPC_E_STATE : nrpc_call_half_close(x->call);
}

static void verb_cancel(struct exchange *x)
{
    if (x->call != NULL)
        nrpc_call_cancel(x->call);
}

static void verb_want(struct exchange *x)
{
    if (x->call != NULL)
        nrpc_call_want(x->call, 1);
}

struct exchange *exchange_open(struct peer *p, const nrpc_method *method, uint64_t timeout_ms,
                               const char *const *metadata, nrpc_compression compression)
{
    struct exchange *x = calloc(1, sizeof *x);
    CHECK(x != NULL);
    list_add_tail(&p->exchanges, &x->link);
    x->peer = p;
    x->method = method;
    x->metadata = metadata;
    x->options.timeout_ms = timeout_ms;
    x->options.compression = compression;
    x->options.compression_set = compression != NRPC_IDENTITY;
    x->writable = true;
    if (perform(x, verb_open) == 0)
        return x;
    if (!p->quiet)
        fprintf(stderr, "%s: the call cannot be started: %s\n", method->path,
                nrpc_strerror(x->result));
    exchange_free(x);
    return NULL;
}

bool exchange_send(struct exchange *x, const ProtobufCMessage *m)
{
    while (!x->writable && !x->ended)
        turn(x);
    if (x->ended)
        return false;
    x->message = m;
    int r = perform(x, verb_send);
    if (r < 0 && r != NRPC_E_STATE && !x->peer->quiet)
        fprintf(stderr, "%s: cannot send: %s\n", x->method->path, nrpc_strerror(r));
    return r >= 0;
}

static void verb_headers(struct exchange *x)
{
    x->result = x->call == NULL ? NRPC_E_STATE : nrpc_call_send_headers(x->call);
}

void exchange_send_headers(struct exchange *x)
{
    (void) perform(x, verb_headers);
}

static void verb_plain_next(struct exchange *x)
{
    if (x->call != NULL)
        nrpc_call_compress_next(x->call, false);
}

void exchange_send_plain_next(struct exchange *x)
{
    (void) perform(x, verb_plain_next);
}

void exchange_half_close(struct exchange *x)
{
    (void) perform(x, verb_half_close);
}

void exchange_cancel(struct exchange *x)
{
    (void) perform(x, verb_cancel);
}

nrpc_msg *exchange_next(struct exchange *x)
{
    while (x->n_inbox == 0 && !x->ended)
        turn(x);
    if (x->n_inbox == 0)
        return NULL;
    nrpc_msg *m = x->inbox[0];
    memmove(x->inbox, x->inbox + 1, --x->n_inbox * sizeof *x->inbox);
    (void) perform(x, verb_want);
    return m;
}

size_t exchange_finish(struct exchange *x)
{
    size_t extra = 0;
    for (nrpc_msg *m; (m = exchange_next(x)) != NULL; extra++)
        nrpc_msg_free(m);
    return extra;
}

void exchange_free(struct exchange *x)
{
    if (x == NULL)
        return;
    if (x->call != NULL)
        exchange_cancel(x);
    while (x->call != NULL)
        turn(x);
    for (size_t i = 0; i < x->n_inbox; i++)
        nrpc_msg_free(x->inbox[i]);
    free(x->inbox);
    pairs_done(&x->head);
    pairs_done(&x->tail);
    nrpc_status_clear(&x->status);
    list_remove(&x->link);
    free(x);
}

/* ---- the peer ----------------------------------------------------------------------------------
 */
int peer_open(struct peer *p, const nrpc_channel_options *options)
{
    *p = (struct peer){ .quiet = p->quiet, .metadata = p->metadata };
    list_init(&p->exchanges);
    int r = nrpc_loop_new(&p->loop);
    if (r < 0)
        return r;
    r = nrpc_channel_new(p->loop, options, &p->channel);
    if (r < 0)
        nrpc_loop_free(p->loop);
    return r;
}

struct closing {
    nrpc_task task;
    struct peer *peer;
    bool gone;
};

static void on_gone(void *ctx)
{
    struct closing *closing = ctx;
    closing->gone = true;
    nrpc_loop_stop(closing->peer->loop);
}

static void run_close(nrpc_task *t, nrpc_loop *loop)
{
    (void) loop;
    struct closing *closing = CONTAINER_OF(t, struct closing, task);
    nrpc_channel_close_then(closing->peer->channel, on_gone, closing);
}

void peer_close(struct peer *p)
{
    while (!list_empty(&p->exchanges))
        exchange_free(LIST_ENTRY(p->exchanges.next, struct exchange, link));
    struct closing closing = { .task.run = run_close, .peer = p };
    nrpc_loop_post(p->loop, &closing.task);
    while (!closing.gone)
        CHECK(nrpc_loop_run(p->loop) == 0);
    nrpc_loop_free(p->loop);
}
