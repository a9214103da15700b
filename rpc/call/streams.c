/* What happens on the stream, in the words of a call. */
#include <string.h>

#include "rpc/call/call.h"
#include "rpc/grpc/headers.h"
#include "rpc/grpc/status.h"

static void on_data(void *user, const uint8_t *data, size_t size)
{
    call_on_bytes(user, data, size);
}

static void on_end(void *user)
{
    call_on_remote_end(user);
}

static void on_low(void *user)
{
    call_on_low(user);
}

/* The peer left before it had the whole answer: whatever we meant to say, it was cancelled. */
static void on_server_close(void *user, uint32_t error_code)
{
    nrpc_call *c = user;
    bool answered = call_is_over(c) && (error_code == H2_NO_ERROR || h2_stream_sent_end(c->stream));
    c->stream = NULL;
    if (!answered) {
        nrpc_status st = NRPC_STATUS_INIT;
        nrpc_status_set(&st, NRPC_CANCELLED,
                        error_code == H2_CONNECTION_LOST ? "the connection was lost"
                                                         : "the client cancelled");
        if (call_is_over(c)) {
            nrpc_status_clear(&c->end);
            c->end = st;
            cancel_set(c->cancel);
        } else {
            call_decide(c, &st);
        }
    }
    call_input_done(c);
    call_deliver_end(c);
}

const struct h2_stream_events call_server_stream = {
    .on_data = on_data,
    .on_end = on_end,
    .on_low = on_low,
    .on_close = on_server_close,
};

/* ---- client
 * -------------------------------------------------------------------------------------- */
static void set_remote_end(nrpc_call *c, nrpc_status *st)
{
    nrpc_status_clear(&c->remote_end);
    c->remote_end = *st;
    c->has_remote_end = true;
    *st = (nrpc_status) NRPC_STATUS_INIT;
}

/* Reads one header section into *out_md; true when *st is the outcome of the call. */
static bool read_section(nrpc_call *c, const struct h2_field *fields, size_t n, bool end,
                         nrpc_metadata **out_md, nrpc_status *st)
{
    nrpc_metadata *md = call_metadata_new(c);
    if (md == NULL) {
        nrpc_status_set(st, NRPC_RESOURCE_EXHAUSTED, "out of memory");
        return true;
    }
    struct response_head head;
    response_head_init(&head, md);
    for (size_t i = 0; i < n; i++) {
        nrpc_slice name = { (const uint8_t *) fields[i].name, fields[i].name_size };
        nrpc_slice value = { (const uint8_t *) fields[i].value, fields[i].value_size };
        if (response_head_field(&head, name, value) < 0)
            break;
    }
    *out_md = md;
    if (head.http_status != 0)
        c->in.frames.encoding = head.encoding;
    if (response_head_outcome(&head, end, st))
        return true;
    /* A status whose END_STREAM comes in an empty DATA frame: it stands until trailers say more. */
    if (response_head_status(&head, st))
        set_remote_end(c, st);
    return false;
}

static void on_headers(void *user, const struct h2_field *fields, size_t n, bool end)
{
    nrpc_call *c = user;
    nrpc_status st = NRPC_STATUS_INIT;
    if (call_is_over(c))
        return;
    bool is_end = read_section(c, fields, n, end, &c->headers_in, &st);
    if (c->elect != NULL) {
        nrpc_call *winner = c->elect(c, is_end ? &st : NULL);
        if (winner != NULL) {
            c = winner;
            nrpc_status_clear(&st);
            is_end = read_section(c, fields, n, end, &c->headers_in, &st);
        }
    }
    if (!is_end) {
        call_commit(c);
        if (c->events->on_headers != NULL)
            c->events->on_headers(c, c->state);
    } else if (end) {
        c->trailers_in = c->headers_in;
        set_remote_end(c, &st);
    } else if (call_attempt_failed(c, &st, CALL_FAILED)) {
        nrpc_status_clear(&st);
    } else {
        call_end_here(c, &st); /* no gRPC response: its body is of no use */
    }
}

static void on_trailers(void *user, const struct h2_field *fields, size_t n)
{
    nrpc_call *c = user;
    nrpc_status st = NRPC_STATUS_INIT;
    if (call_is_over(c))
        return;
    if (!read_section(c, fields, n, true, &c->trailers_in, &st))
        nrpc_status_set(&st, NRPC_UNKNOWN, "the trailers hold no grpc-status");
    set_remote_end(c, &st);
}

static void on_too_big(void *user)
{
    nrpc_call *c = user;
    nrpc_status st = NRPC_STATUS_INIT;
    nrpc_status_set(&st, NRPC_RESOURCE_EXHAUSTED,
                    "the server's metadata is over the limit of %u bytes, %u fields",
                    c->limits->max_metadata_bytes, c->limits->max_metadata_fields);
    call_end_here(c, &st);
}

static void on_client_end(void *user)
{
    nrpc_call *c = user;
    if (call_is_over(c))
        return;
    if (!c->has_remote_end) {
        nrpc_status st = NRPC_STATUS_INIT;
        nrpc_status_set(&st, NRPC_UNKNOWN, "the stream ended without trailers");
        set_remote_end(c, &st);
    }
    call_on_remote_end(c);
}

static void on_client_close(void *user, uint32_t error_code)
{
    nrpc_call *c = user;
    c->stream = NULL;
    if (!call_is_over(c)) {
        if (c->remote_ended)
            return; /* messages wait for credits; call_pump ends the call */
        nrpc_status st = NRPC_STATUS_INIT;
        if (error_code == H2_CONNECTION_LOST)
            nrpc_status_set(&st, NRPC_UNAVAILABLE, "the connection to %s was lost", c->peer);
        else if (error_code == H2_NEVER_SENT)
            nrpc_status_set(&st, NRPC_UNAVAILABLE,
                            "the connection to %s was lost before the call was sent", c->peer);
        else
            nrpc_status_set(&st, status_code_of_h2_error(error_code),
                            "the server reset the stream (HTTP/2 error %u)", error_code);
        enum call_failure how = error_code == H2_NEVER_SENT       ? CALL_NEVER_LEFT
                                : error_code == H2_REFUSED_STREAM ? CALL_REFUSED
                                                                  : CALL_FAILED;
        if (call_attempt_failed(c, &st, how)) {
            nrpc_status_clear(&st);
            return;
        }
        call_decide(c, &st);
    }
    call_input_done(c);
    if (!c->end_due)
        call_deliver_end(c);
}

const struct h2_stream_events call_client_stream = {
    .on_headers = on_headers,
    .on_data = on_data,
    .on_trailers = on_trailers,
    .on_too_big = on_too_big,
    .on_end = on_client_end,
    .on_low = on_low,
    .on_close = on_client_close,
};
