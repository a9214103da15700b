#include "gateway/socket.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "gateway/request.h"
#include "gateway/respond.h"
#include "gateway/stream.h"
#include "gateway/upload.h"
#include "rpc/base/alloc.h"

/* ---- asking ---------------------------------------------------------------------------- */

/* Is word one of the header's elements? */
static bool header_has(const struct exchange *x, const char *name, const char *word)
{
    struct buf all = { 0 };
    bool found = false;
    size_t size = strlen(word);
    http1_join(&x->http, name, &all);
    const char *at = buf_str(&all);
    while (!found && *at != '\0') {
        at += strspn(at, " \t,");
        size_t n = strcspn(at, ",");
        size_t bare = n;
        while (bare > 0 && (at[bare - 1] == ' ' || at[bare - 1] == '\t'))
            bare--;
        found = bare == size && strncasecmp(at, word, size) == 0;
        at += n;
    }
    buf_done(&all);
    return found;
}

/* A page of another origin must not open sockets with its reader's rights: browsers do not stop it
 * (section 10.2). */
static bool is_foreign_origin(const struct exchange *x)
{
    struct http1_text origin = exchange_header(x, "origin"), host = exchange_header(x, "host");
    if (origin.data == NULL || respond_allowed_origin(x) != NULL)
        return false;
    const char *slashes = memmem(origin.data, origin.size, "://", 3);
    size_t before = slashes == NULL ? 0 : (size_t) (slashes + 3 - origin.data);
    return slashes == NULL || origin.size - before != host.size ||
           strncasecmp(origin.data + before, host.data, host.size) != 0;
}

/* The path's streaming method, bound to whichever HTTP method. */
static void find_stream(struct exchange *x)
{
    const struct router *router = x->view->table->router;
    struct http1_text path = http1_path(&x->http);
    enum route_result r = route_match(router, "GET", path.data, path.size, &x->match);
    const struct route *found = r == ROUTE_FOUND ? x->match.route : NULL;
    if (r == ROUTE_WRONG_METHOD)
        for (size_t i = 0; i < x->match.n_allowed && found == NULL; i++)
            if (x->match.allowed[i]->method->server_streaming ||
                x->match.allowed[i]->method->client_streaming)
                found = x->match.allowed[i];
    if (found == NULL) {
        exchange_fail(x, 404, NRPC_NOT_FOUND, "NOT_FOUND", "%.*s not found",
                      (int) (path.size > 200 ? 200 : path.size), path.data);
    } else if (!found->method->server_streaming && !found->method->client_streaming) {
        exchange_fail(x, 400, NRPC_INVALID_ARGUMENT, "NO_STREAM",
                      "this route is no stream, so it has no WebSocket: ask without Upgrade");
    } else {
        if (r == ROUTE_WRONG_METHOD)
            route_match(router, found->http_method, path.data, path.size, &x->match);
        x->route = found;
    }
}

static void check(struct exchange *x)
{
    struct http1_text version = exchange_header(x, "sec-websocket-version"),
                      key = exchange_header(x, "sec-websocket-key");
    if (version.size != 2 || memcmp(version.data, "13", 2) != 0) {
        exchange_fail(x, 426, NRPC_INVALID_ARGUMENT, "UPGRADE_REQUIRED",
                      "WebSocket version 13 is spoken here");
        x->problem.headers = "Sec-WebSocket-Version: 13\r\nUpgrade: websocket\r\n";
    } else if (!x->client->socket &&
               (key.data == NULL || !websocket_accept(key.data, key.size, x->socket.accept))) {
        exchange_fail(x, 400, NRPC_INVALID_ARGUMENT, "MALFORMED_REQUEST",
                      "Sec-WebSocket-Key is missing or not 16 bytes in base64");
    } else if (is_foreign_origin(x)) {
        exchange_fail(x, 403, NRPC_PERMISSION_DENIED, "ORIGIN_NOT_ALLOWED",
                      "pages of this origin may not open a WebSocket here (see --cors-origin)");
    }
}

/* HTTP/2 has no Upgrade: its client says so before the head is read. */
static bool is_asked(const struct exchange *x)
{
    if (x->client->framed)
        return x->client->socket;
    return strcmp(x->method, "GET") == 0 && x->http.minor > 0 &&
           header_has(x, "upgrade", "websocket") && header_has(x, "connection", "upgrade");
}

bool socket_wanted(struct exchange *x)
{
    if (!is_asked(x))
        return false;
    check(x);
    if (!x->failed)
        find_stream(x);
    if (!x->failed)
        request_bind(x);
    if (!x->failed && exchange_has_body(x))
        exchange_fail(x, 400, NRPC_INVALID_ARGUMENT, "BODY_NOT_ALLOWED",
                      "a WebSocket begins without a body");
    x->socket.active = !x->failed;
    return true;
}

/* ---- opening --------------------------------------------------------------------------- */

static void put_switch(struct exchange *x)
{
    struct buf *out = client_tail(x->client);
    if (x->client->socket) {
        x->status = 200;
        buf_printf(out, "HTTP/1.1 200 OK\r\nDate: %s\r\nX-Request-Id: %s\r\n\r\n",
                   gateway_loop_date(x->gl), x->request_id);
        client_flush(x->client);
        return;
    }
    x->status = 101;
    buf_printf(out,
               "HTTP/1.1 101 Switching Protocols\r\nDate: %s\r\nUpgrade: websocket\r\nConnection: "
               "Upgrade\r\n"
               "Sec-WebSocket-Accept: %s\r\nX-Request-Id: %s\r\n\r\n",
               gateway_loop_date(x->gl), x->socket.accept, x->request_id);
    client_flush(x->client);
}

/* One message: from the URL, and the text when the route has a body. */
static void call_with(struct exchange *x, const void *json, size_t size)
{
    x->socket.called = true;
    request_begin(x);
    x->body_bytes = size;
    if (!x->failed && size > 0)
        request_put_body(x, json, size);
    if (!x->failed)
        request_finish(x);
    if (!x->failed)
        exchange_call(x);
    if (x->failed)
        socket_fail(x);
}

void socket_open(struct exchange *x)
{
    struct stream *s = &x->stream;
    websocket_init(&x->socket.parser, x->gl->gateway->settings.max_body_bytes);
    x->keep_alive = false;
    put_switch(x);
    stream_start(x, STREAM_WEBSOCKET);
    s->open = true;
    x->client->ops->tunnel(x->client);
    if (x->route->method->client_streaming) {
        x->socket.called = true;
        upload_open(x);
        if (x->failed)
            socket_fail(x);
    } else if (!x->route->body_all && x->route->body == NULL) {
        call_with(x, "", 0);
    }
}

/* ---- what the client says -------------------------------------------------------------- */

/* Our last word was said; the call, if any, is of no use any more. */
static void drop(struct exchange *x)
{
    x->socket.closed = true;
    if (x->call != NULL)
        nrpc_call_cancel(x->call); /* on_end ends the exchange */
    else
        exchange_end(x);
}

static void on_message(struct exchange *x)
{
    struct websocket *p = &x->socket.parser;
    if (p->opcode == WEBSOCKET_BINARY) {
        socket_close(x, WEBSOCKET_UNSUPPORTED_DATA, "messages are JSON, in text frames");
        drop(x);
    } else if (!x->route->method->client_streaming) {
        if (!x->socket.called)
            call_with(x, p->message.data, p->message.size);
    } else if (p->message.size == 0) {
        upload_on_whole(x);
    } else {
        (void) upload_message(x, (const char *) p->message.data, p->message.size);
    }
}

static void on_control(struct exchange *x)
{
    struct websocket *p = &x->socket.parser;
    if (p->opcode == WEBSOCKET_PING) {
        if (client_pending(x->client) <
            GATEWAY_OUTPUT_MAX) { /* else it does not read what it asks for */
            websocket_put_frame(client_tail(x->client), WEBSOCKET_PONG, p->control,
                                p->control_size);
            client_flush(x->client);
        }
    } else if (p->opcode == WEBSOCKET_CLOSE) {
        unsigned code = websocket_close_code(p);
        socket_close(x,
                     code == 0                     ? WEBSOCKET_PROTOCOL_ERROR
                     : code == WEBSOCKET_NO_STATUS ? WEBSOCKET_NORMAL
                                                   : code,
                     "");
        drop(x);
    }
}

/* True while more can be read. */
static bool step(struct exchange *x, const uint8_t **data, size_t *size)
{
    struct websocket *p = &x->socket.parser;
    size_t used;
    enum websocket_result r = websocket_feed(p, *data, *size, &used);
    *data += used;
    *size -= used;
    if (r == WEBSOCKET_MESSAGE) {
        on_message(x);
    } else if (r == WEBSOCKET_CONTROL) {
        on_control(x);
    } else if (r == WEBSOCKET_BAD) {
        socket_close(x, p->close_code, p->error);
        drop(x);
    }
    return r != WEBSOCKET_MORE && r != WEBSOCKET_BAD;
}

bool socket_on_bytes(struct exchange *x, const uint8_t *data, size_t size)
{
    struct upload *u = &x->upload;
    struct client *client = x->client;
    client->busy = true;
    while (client->busy && !x->socket.closed && !u->held && step(x, &data, &size))
        ;
    if (!client->busy)
        return false;
    client->busy = false;
    if (u->held && size > 0)
        buf_put(&u->rest, data, size);
    return true;
}

void socket_on_writable(struct exchange *x)
{
    struct upload *u = &x->upload;
    struct buf rest = u->rest;
    u->rest = (struct buf){ 0 };
    bool alive = x->client != NULL;
    u->held = false;
    if (alive && u->whole)
        upload_on_whole(x);
    else if (alive)
        alive = socket_on_bytes(x, rest.data, rest.size);
    buf_done(&rest);
    if (alive && !u->held)
        x->client->ops->hold(x->client, false);
}

/* ---- what the client hears ------------------------------------------------------------- */

void socket_put_text(struct exchange *x, const void *json, size_t size)
{
    struct buf *out = client_tail(x->client);
    size_t before = out->size;
    if (x->socket.closed)
        return;
    websocket_put_frame(out, WEBSOCKET_TEXT, json, size);
    x->response_bytes += out->size - before;
    x->stream.written_ns = loop_now_ns(x->gl->loop);
    client_flush(x->client);
}

void socket_put_ping(struct exchange *x)
{
    websocket_put_frame(client_tail(x->client), WEBSOCKET_PING, "", 0);
    x->stream.written_ns = loop_now_ns(x->gl->loop);
    client_flush(x->client);
}

void socket_close(struct exchange *x, unsigned code, const char *reason)
{
    if (x->socket.closed)
        return;
    x->socket.closed = true;
    websocket_put_close(client_tail(x->client), code, reason);
    client_flush(x->client);
}

void socket_fail(struct exchange *x)
{
    struct buf *out = &x->gl->scratch;
    buf_reset(out);
    buf_puts(out, "{\"error\":");
    respond_put_problem(x, out);
    buf_putc(out, '}');
    socket_put_text(x, out->data, out->size);
    socket_close(x, WEBSOCKET_CALL_FAILED + x->problem.code, x->problem.detail);
    drop(x);
}

void socket_done(struct exchange *x)
{
    websocket_done(&x->socket.parser);
}
