/* More than one attempt at a client's call: what the bytes were is kept until the call is
 * committed, then a failed attempt leaves the call as it was before its stream (gRFC A6). */
#include "rpc/call/call.h"

bool call_attempt_failed(nrpc_call *c, const nrpc_status *st, enum call_failure how)
{
    return c->on_failed != NULL && !c->committed && !c->out.lost && !call_is_over(c) &&
           c->on_failed(c, c->owner, st, how);
}

void call_rewind(nrpc_call *c)
{
    if (c->stream != NULL)
        h2_stream_detach(c->stream);
    c->stream = NULL;
    call_input_done(c);
    call_input_reset(c);
    c->remote_ended = c->has_remote_end = c->half_close_told = false;
    nrpc_status_clear(&c->remote_end);
    c->headers_in = c->trailers_in = NULL;
    h2_queue_rewind(&c->out);
    c->phase = c->half_closed ? CALL_HALF_LOCAL : CALL_IDLE;
}

void call_commit(nrpc_call *c)
{
    c->committed = true;
    h2_queue_forget(&c->out);
}

void call_adopt(nrpc_call *c, nrpc_call *from)
{
    call_commit(c);
    h2_queue_clear(&c->out);
    h2_queue_move(&c->out, &from->out);
    c->stream = from->stream;
    from->stream = NULL;
    h2_stream_bind(c->stream, &call_client_stream, c);
    h2_stream_set_queue(c->stream, &c->out);
    c->budget = from->budget;
    c->peer = from->peer;
    c->place = from->place;
    from->place = NULL;
    if (c->phase == CALL_IDLE)
        call_move(c, CALL_OPEN);
    if (!c->paused)
        return;
    h2_stream_notify_low(c->stream, c->limits->send_low_bytes);
    if (c->out.size <= c->limits->send_low_bytes)
        call_on_low(c);
}
