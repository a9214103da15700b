/* The blocking helper: a loop and a channel that run only inside the calls below, on the caller's
 * thread. */
#include <stdatomic.h>
#include <string.h>

#include "rpc/base/alloc.h"
#include "rpc/client/inner.h"
#include "rpc/grpc/status.h"

struct nrpc_client {
    nrpc_loop *loop;
    nrpc_channel *channel;
    nrpc_call *call; /* in progress */
    nrpc_task cancel_task;
    atomic_bool cancel_posted;
};
struct run {
    nrpc_task task;
    nrpc_client *client;
    const nrpc_method *method;
    const nrpc_client_options *options;
    const ProtobufCMessage *request;
    void (*on_open)(void *ctx, nrpc_call *c); /* instead of a request */
    bool (*on_message)(void *ctx, nrpc_msg *m);
    void *ctx;
    nrpc_msg *response; /* unary */
    nrpc_status status;
};

static void run_message(nrpc_call *c, void *state, nrpc_msg *m)
{
    struct run *r = state;
    if (r->on_message == NULL) {
        nrpc_msg_free(r->response);
        r->response = m;
        nrpc_call_want(c, 1); /* so that a second one is seen, and refused */
    } else if (r->on_message(r->ctx, m)) {
        nrpc_call_want(c, 1);
    } else {
        nrpc_call_cancel(c);
    }
}

static void run_end(nrpc_call *c, void *state, const nrpc_status *st)
{
    (void) c;
    struct run *r = state;
    if (nrpc_status_copy(&r->status, st) < 0)
        r->status.code = st->code;
    r->client->call = NULL;
    nrpc_loop_stop(r->client->loop);
}

static const nrpc_events run_events = { .on_message = run_message, .on_end = run_end };

static int add_metadata(nrpc_call *c, const char *const *pairs)
{
    int result = 0;
    for (; pairs != NULL && result == 0 && pairs[0] != NULL && pairs[1] != NULL; pairs += 2) {
        nrpc_metadata *md = nrpc_call_headers_out(c);
        result = md == NULL ? NRPC_E_NOMEM : nrpc_metadata_add_string(md, pairs[0], pairs[1]);
    }
    return result;
}

/* The request is on its way, or an error: then the call, if there is one, was cancelled. */
static int begin(struct run *r, nrpc_call **out_call)
{
    const nrpc_call_options *o = r->options == NULL ? NULL : &r->options->options;
    int result = nrpc_channel_start(r->client->channel, r->method, o, &run_events, r, out_call);
    if (result < 0)
        return result;
    nrpc_call *c = *out_call;
    result = add_metadata(c, r->options == NULL ? NULL : r->options->metadata);
    if (result == 0 && r->on_open != NULL) {
        r->on_open(r->ctx, c);
        return 0;
    }
    if (result == 0)
        result = nrpc_call_send(c, r->request);
    if (result >= 0)
        result = nrpc_call_half_close(c);
    /* Ended already, by an interceptor or a dead backend: on_end says how. */
    return result == NRPC_E_STATE ? 0 : result;
}

static void run_begin(nrpc_task *t, nrpc_loop *loop)
{
    struct run *r = CONTAINER_OF(t, struct run, task);
    nrpc_call *c = NULL;
    int result = begin(r, &c);
    r->client->call = c;
    if (result >= 0)
        return;
    nrpc_status st = NRPC_STATUS_INIT;
    nrpc_code code = result == NRPC_E_INVAL ? NRPC_INVALID_ARGUMENT : status_code_of_error(result);
    nrpc_status_set(&st, code, "the call could not be sent: %s", nrpc_strerror(result));
    if (c != NULL) {
        call_end_here(c, &st);
    } else {
        r->status = st;
        nrpc_loop_stop(loop);
    }
}

static nrpc_code run(struct run *r, nrpc_status *st)
{
    nrpc_loop *loop = r->client->loop;
    r->task.run = run_begin;
    nrpc_loop_post(loop, &r->task);
    int result = nrpc_loop_run(loop);
    if (result < 0)
        nrpc_status_set(&r->status, NRPC_INTERNAL, "the event loop failed: %s",
                        nrpc_strerror(result));
    nrpc_code code = r->status.code;
    if (st != NULL) {
        nrpc_status_clear(st);
        *st = r->status;
    } else {
        nrpc_status_clear(&r->status);
    }
    return code;
}

nrpc_code nrpc_client_unary(nrpc_client *cl, const nrpc_method *method,
                            const nrpc_client_options *o, const ProtobufCMessage *request,
                            nrpc_msg **out_response, nrpc_status *st)
{
    struct run r = { .client = cl, .method = method, .options = o, .request = request };
    nrpc_code code = run(&r, st);
    if (code != NRPC_OK) {
        nrpc_msg_free(r.response);
        r.response = NULL;
    }
    *out_response = r.response;
    return code;
}

nrpc_code nrpc_client_stream(nrpc_client *cl, const nrpc_method *method,
                             const nrpc_client_options *o, const ProtobufCMessage *request,
                             bool (*on_message)(void *ctx, nrpc_msg *m), void *ctx, nrpc_status *st)
{
    struct run r = {
        .client = cl,
        .method = method,
        .options = o,
        .request = request,
        .on_message = on_message,
        .ctx = ctx,
    };
    return run(&r, st);
}

nrpc_code nrpc_client_duplex(nrpc_client *cl, const nrpc_method *method,
                             const nrpc_client_options *o,
                             void (*on_open)(void *ctx, nrpc_call *c),
                             bool (*on_message)(void *ctx, nrpc_msg *m), void *ctx, nrpc_status *st)
{
    struct run r = {
        .client = cl,
        .method = method,
        .options = o,
        .on_open = on_open,
        .on_message = on_message,
        .ctx = ctx,
    };
    return run(&r, st);
}

void nrpc_client_post(nrpc_client *cl, nrpc_task *t)
{
    nrpc_loop_post(cl->loop, t);
}

static void on_cancel(nrpc_task *t, nrpc_loop *loop)
{
    (void) loop;
    nrpc_client *cl = CONTAINER_OF(t, nrpc_client, cancel_task);
    atomic_store(&cl->cancel_posted, false);
    if (cl->call != NULL)
        nrpc_call_cancel(cl->call);
}

/* One atomic exchange, and the mailbox's exchange and write(2): fit for a signal handler. */
void nrpc_client_cancel(nrpc_client *cl)
{
    if (!atomic_exchange(&cl->cancel_posted, true))
        nrpc_loop_post(cl->loop, &cl->cancel_task);
}

int nrpc_client_new(const nrpc_channel_options *o, nrpc_client **out_client)
{
    nrpc_client *cl = alloc_zero(1, sizeof *cl);
    if (cl == NULL)
        return NRPC_E_NOMEM;
    cl->cancel_task.run = on_cancel;
    int r = nrpc_loop_new(&cl->loop);
    if (r == 0)
        r = nrpc_channel_new(cl->loop, o, &cl->channel);
    if (r < 0) {
        nrpc_loop_free(cl->loop);
        alloc_free(cl);
        return r;
    }
    *out_client = cl;
    return 0;
}

static void on_gone(void *ctx)
{
    nrpc_client *cl = ctx;
    nrpc_loop_stop(cl->loop);
}

struct closing {
    nrpc_task task;
    nrpc_client *client;
};

static void run_close(nrpc_task *t, nrpc_loop *loop)
{
    (void) loop;
    struct closing *closing = CONTAINER_OF(t, struct closing, task);
    nrpc_channel_close_then(closing->client->channel, on_gone, closing->client);
}

void nrpc_client_free(nrpc_client *cl)
{
    if (cl == NULL)
        return;
    struct closing closing = { .task.run = run_close, .client = cl };
    nrpc_loop_post(cl->loop, &closing.task);
    (void) nrpc_loop_run(cl->loop);
    nrpc_loop_free(cl->loop);
    alloc_free(cl);
}
