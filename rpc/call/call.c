/* Life of a call, its states and the plain accessors of nrpc.h. */
#include "rpc/call/call.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "rpc/base/alloc.h"
#include "rpc/base/gauge.h"

enum { ARENA_FIRST_BYTES = 1024 };

/* Read by assertions only, so a release build does not use it. */
__attribute__((unused)) static const uint8_t call_next[] = {
    /* bit n: may move to state n */
    [CALL_IDLE] = 1u << CALL_OPEN | 1u << CALL_HALF_LOCAL | 1u << CALL_DECIDED,
    [CALL_OPEN] = 1u << CALL_HALF_REMOTE | 1u << CALL_HALF_LOCAL | 1u << CALL_DECIDED,
    [CALL_HALF_REMOTE] = 1u << CALL_HALF_BOTH | 1u << CALL_DECIDED,
    [CALL_HALF_LOCAL] = 1u << CALL_HALF_BOTH | 1u << CALL_DECIDED,
    [CALL_HALF_BOTH] = 1u << CALL_DECIDED,
    [CALL_DECIDED] = 1u << CALL_ENDED,
    [CALL_ENDED] = 0,
};

/* The only writer of phase. */
void call_move(nrpc_call *c, enum call_state to)
{
    ASSERT(call_next[c->phase] & 1u << to);
    c->phase = to;
}

static void on_deadline(struct timer *t)
{
    nrpc_call *c = CONTAINER_OF(t, nrpc_call, deadline);
    nrpc_status st = NRPC_STATUS_INIT;
    nrpc_status_set(&st, NRPC_DEADLINE_EXCEEDED, "the deadline passed");
    call_end_here(c, &st);
}

static void on_retry(struct timer *t)
{
    nrpc_call *c = CONTAINER_OF(t, nrpc_call, in.retry);
    call_pump(c);
}

static void on_later(struct loop_later *later)
{
    nrpc_call *c = CONTAINER_OF(later, nrpc_call, later);
    if (c->end_due)
        call_deliver_end(c);
    else
        call_pump(c);
}

void call_later(nrpc_call *c)
{
    if (list_empty(&c->later.link))
        loop_defer(c->loop, &c->later);
}

static void call_free(nrpc_call *c)
{
    timer_stop(&c->deadline);
    timer_stop(&c->in.retry);
    list_remove(&c->later.link);
    list_remove(&c->link);
    list_remove(&c->pending_link);
    call_table_remove(c->loop, c->id);
    call_input_done(c);
    h2_queue_clear(&c->out);
    nrpc_msg_free(c->request);
    nrpc_cancel_unref(c->cancel);
    nrpc_status_clear(&c->end);
    nrpc_status_clear(&c->remote_end);
    arena_done(&c->arena);
    alloc_free(c);
    gauge_add(GAUGE_CALLS, -1);
}

int call_new(const struct call_options *o, nrpc_call **out_call)
{
    nrpc_call *c = alloc_zero(1, sizeof *c);
    if (c == NULL)
        return NRPC_E_NOMEM;
    c->loop = o->loop;
    c->method = o->method;
    c->path = o->method == NULL ? "" : o->method->path;
    c->limits = o->limits;
    c->interceptors = o->interceptors;
    c->budget = o->budget;
    c->events = o->events;
    c->state = o->state;
    c->on_ready = o->on_ready;
    c->on_gone = o->on_gone;
    c->on_failed = o->on_failed;
    c->announced = !o->server;
    c->owner = o->owner;
    c->is_server = o->server;
    c->phase = o->server ? CALL_OPEN : CALL_IDLE;
    c->credits = 1;
    c->deadline_ns = UINT64_MAX;
    c->encoding_out = o->limits->compression;
    list_init(&c->link);
    list_init(&c->pending_link);
    list_init(&c->later.link);
    c->later.fn = on_later;
    arena_init(&c->arena, ARENA_FIRST_BYTES);
    h2_queue_init(&c->out);
    c->out.keep_max = o->on_failed != NULL ? CALL_KEPT_MAX : 0;
    timer_init(&c->deadline, o->loop, on_deadline);
    timer_init(&c->in.retry, o->loop, on_retry);
    call_input_init(c);
    gauge_add(GAUGE_CALLS, 1);
    c->peer = arena_strndup(&c->arena, o->peer, strlen(o->peer));
    if (o->peer_subject != NULL)
        c->peer_subject = arena_strndup(&c->arena, o->peer_subject, strlen(o->peer_subject));
    if (c->peer == NULL || (o->peer_subject != NULL && c->peer_subject == NULL) ||
        call_table_add(o->loop, c, &c->id, &c->number) < 0) {
        call_free(c);
        return NRPC_E_NOMEM;
    }
    *out_call = c;
    return 0;
}

void call_discard(nrpc_call *c)
{
    call_free(c);
}

nrpc_metadata *call_metadata_new(nrpc_call *c)
{
    nrpc_metadata *md = arena_get(&c->arena, sizeof *md);
    if (md != NULL)
        metadata_init(md, &c->arena, c->limits->max_metadata_bytes, c->limits->max_metadata_fields);
    return md;
}

nrpc_code call_begin(nrpc_call *c, nrpc_status *st)
{
    for (uint32_t i = 0; i < c->interceptors->count; i++) {
        const nrpc_interceptor *in = &c->interceptors->list[i];
        c->interceptor_state[i] =
            arena_zero(&c->arena, 1, in->state_size == 0 ? 1 : in->state_size);
        if (c->interceptor_state[i] == NULL) {
            nrpc_status_set(st, NRPC_RESOURCE_EXHAUSTED, "out of memory");
            return st->code;
        }
        nrpc_code code =
            in->on_begin == NULL ? NRPC_OK : in->on_begin(in->ctx, c->interceptor_state[i], c, st);
        c->begun = i + 1;
        if (code != NRPC_OK) {
            if (st->code == NRPC_OK)
                nrpc_status_set(st, code, "refused by %s", in->name);
            return code;
        }
    }
    return NRPC_OK;
}

void call_arm_deadline(nrpc_call *c, uint64_t due_ns)
{
    c->deadline_ns = due_ns;
    if (due_ns != UINT64_MAX)
        timer_start_at(&c->deadline, due_ns);
}

bool call_is_over(const nrpc_call *c)
{
    return c->phase >= CALL_DECIDED;
}

bool call_decide(nrpc_call *c, nrpc_status *st)
{
    if (call_is_over(c)) {
        nrpc_status_clear(st);
        return false;
    }
    call_move(c, CALL_DECIDED);
    timer_stop(&c->deadline);
    timer_stop(&c->in.retry);
    c->end = *st;
    *st = (nrpc_status) NRPC_STATUS_INIT;
    /* Work in flight for a call that did not end well is for nobody. */
    if (c->end.code != NRPC_OK)
        cancel_set(c->cancel);
    return true;
}

/* Takes the call off its stream; on_end follows at the end of the turn. */
static void detach(nrpc_call *c)
{
    if (c->stream != NULL)
        h2_stream_detach(c->stream);
    c->stream = NULL;
    h2_queue_clear(&c->out);
    c->end_due = true;
    call_later(c);
}

/* Server: puts c->end on its way; when that cannot be done, the stream is reset. */
static int answer_end(nrpc_call *c, bool now)
{
    int r = call_put_end(c, now);
    if (r >= 0 && now)
        h2_queue_clear(&c->out);
    if (r < 0 && c->stream != NULL) {
        /* The peer never hears of that end: it left in this very turn, or memory is short. */
        nrpc_status_clear(&c->end);
        if (r == NRPC_E_CLOSED)
            nrpc_status_set(&c->end, NRPC_CANCELLED, "the client cancelled");
        else
            nrpc_status_set(&c->end, NRPC_RESOURCE_EXHAUSTED, "the answer could not be sent: %s",
                            nrpc_strerror(r));
        cancel_set(c->cancel);
        h2_stream_reset(c->stream, H2_INTERNAL_ERROR);
        detach(c);
    }
    return r;
}

void call_end_detached(nrpc_call *c, nrpc_status *st)
{
    if (!call_decide(c, st))
        return;
    call_input_done(c);
    detach(c);
}

void call_end_here(nrpc_call *c, nrpc_status *st)
{
    if (!c->is_server) {
        if (c->stream != NULL && !call_is_over(c))
            h2_stream_reset(c->stream, H2_CANCEL);
        call_end_detached(c, st);
        return;
    }
    if (!call_decide(c, st))
        return;
    call_input_done(c);
    /* What the peer has not taken by now must not hold back the trailers. */
    answer_end(c, c->end.code == NRPC_DEADLINE_EXCEEDED || c->paused);
}

void call_on_stalled(nrpc_call *c)
{
    nrpc_status st = NRPC_STATUS_INIT;
    nrpc_status_set(&st, NRPC_RESOURCE_EXHAUSTED, "the peer does not read what it is sent");
    if (!c->is_server) {
        call_end_here(c, &st);
        return;
    }
    if (!call_is_over(c)) {
        (void) call_decide(c, &st);
        call_input_done(c);
    } else {
        nrpc_status_clear(&c->end);
        c->end = st;
        cancel_set(c->cancel);
    }
    answer_end(c, true); /* behind what is queued the trailers would wait as long again */
}

void call_deliver_end(nrpc_call *c)
{
    call_move(c, CALL_ENDED);
    c->stream = NULL;
    call_input_done(c); /* its budget may go with the owner's part */
    /* First, so that late results of other threads find nothing. */
    call_table_remove(c->loop, c->id);
    cancel_set(c->cancel);
    for (uint32_t i = c->begun; i-- > 0;) {
        const nrpc_interceptor *in = &c->interceptors->list[i];
        if (in->on_end != NULL)
            in->on_end(in->ctx, c->interceptor_state[i], c, &c->end);
    }
    if (c->announced && c->events->on_end != NULL)
        c->events->on_end(c, c->state, &c->end);
    if (c->on_gone != NULL)
        c->on_gone(c, c->owner);
    call_free(c);
}

/* ---- verbs that end a call
 * ----------------------------------------------------------------------- */
int nrpc_call_finish(nrpc_call *c, const nrpc_status *st)
{
    ON_LOOP(c->loop);
    if (!c->is_server)
        return NRPC_E_INVAL;
    if (call_is_over(c))
        return NRPC_E_STATE;
    nrpc_status copy = NRPC_STATUS_INIT;
    if (st != NULL && nrpc_status_copy(&copy, st) < 0)
        nrpc_status_set(&copy, st->code, NULL);
    call_move(c, CALL_DECIDED);
    timer_stop(&c->deadline);
    timer_stop(&c->in.retry);
    c->end = copy;
    call_input_done(c);
    return answer_end(c, false);
}

int nrpc_call_fail(nrpc_call *c, nrpc_code code, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    nrpc_status st = NRPC_STATUS_INIT;
    nrpc_status_set(&st, code, "%s", text);
    int r = nrpc_call_finish(c, &st);
    nrpc_status_clear(&st);
    return r;
}

void nrpc_call_cancel(nrpc_call *c)
{
    ON_LOOP(c->loop);
    if (c->phase == CALL_ENDED || c->end_due)
        return;
    nrpc_status st = NRPC_STATUS_INIT;
    nrpc_status_set(&st, NRPC_CANCELLED, "cancelled");
    if (c->stream != NULL)
        h2_stream_reset(c->stream, H2_CANCEL);
    if (!call_is_over(c)) {
        call_end_detached(c, &st);
        return;
    }
    /* Its trailers were still waiting: the peer never saw that end. */
    nrpc_status_clear(&c->end);
    c->end = st;
    detach(c);
}

/* ---- accessors
 * ----------------------------------------------------------------------------------- */
nrpc_metadata *nrpc_call_headers_out(nrpc_call *c)
{
    if (c->sent_head || call_is_over(c))
        return NULL;
    if (c->headers_out == NULL)
        c->headers_out = call_metadata_new(c);
    return c->headers_out;
}

nrpc_metadata *nrpc_call_trailers_out(nrpc_call *c)
{
    if (!c->is_server || call_is_over(c))
        return NULL;
    if (c->trailers_out == NULL)
        c->trailers_out = call_metadata_new(c);
    return c->trailers_out;
}

const nrpc_metadata *nrpc_call_headers_in(const nrpc_call *c)
{
    return c->headers_in;
}

const nrpc_metadata *nrpc_call_trailers_in(const nrpc_call *c)
{
    return c->trailers_in;
}

uint64_t nrpc_call_deadline_ns(const nrpc_call *c)
{
    return c->deadline_ns;
}

const char *nrpc_call_path(const nrpc_call *c)
{
    return c->path;
}

const char *nrpc_call_peer(const nrpc_call *c)
{
    return c->peer;
}

const char *nrpc_call_peer_subject(const nrpc_call *c)
{
    return c->peer_subject;
}

nrpc_loop *nrpc_call_loop(const nrpc_call *c)
{
    return c->loop;
}

void *nrpc_call_state(const nrpc_call *c)
{
    return c->state;
}

void nrpc_call_set_state(nrpc_call *c, void *state)
{
    c->state = state;
}

void *nrpc_call_alloc(nrpc_call *c, size_t size)
{
    return arena_zero(&c->arena, 1, size);
}

uint64_t nrpc_call_number(const nrpc_call *c)
{
    return c->number;
}

uint32_t nrpc_call_attempts(const nrpc_call *c)
{
    return c->attempts;
}

nrpc_call_id nrpc_call_ref(const nrpc_call *c)
{
    return c->id;
}

nrpc_cancel *nrpc_call_cancel_ref(nrpc_call *c)
{
    ON_LOOP(c->loop);
    if (c->cancel == NULL) {
        c->cancel = cancel_new();
        if (c->cancel == NULL)
            return NULL;
        if (c->phase == CALL_ENDED || (call_is_over(c) && c->end.code != NRPC_OK))
            cancel_set(c->cancel);
    }
    return cancel_ref(c->cancel);
}
