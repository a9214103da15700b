/* builtin.c — what the gateway answers itself: /livez, /readyz, OPTIONS. */
#include <string.h>

#include "gateway/cached.h"
#include "gateway/documents.h"
#include "gateway/exchange.h"
#include "gateway/respond.h"

/* The path without the prefix that everything is mounted at once more. */
static struct http1_text own_path(const struct exchange *x)
{
    struct http1_text path = http1_path(&x->http);
    const char *prefix = x->gl->gateway->settings.prefix;
    size_t n = strlen(prefix);
    if (n > 0 && path.size > n && memcmp(path.data, prefix, n) == 0 && path.data[n] == '/') {
        path.data += n;
        path.size -= n;
    }
    return path;
}

static bool path_is(const struct exchange *x, const char *name)
{
    struct http1_text path = own_path(x);
    size_t size = strlen(name);
    return path.size == size && memcmp(path.data, name, size) == 0;
}

static void answer(struct exchange *x, int status, const char *extra, const char *body)
{
    struct response r = { .status = status,
                          .content_type = body == NULL ? NULL : "application/json",
                          .extra = extra };
    if (x->http.chunked || x->http.content_length > 0)
        x->keep_alive = false; /* its body is not read */
    respond_bytes(x, &r, body == NULL ? "" : body, body == NULL ? 0 : strlen(body));
    exchange_end(x);
}

/* How many servers have which circuit (nrpc.h), as this loop's channel sees them; who they are is
 * not told outside. */
static void put_circuits(const nrpc_channel *ch, struct buf *out)
{
    enum { BACKENDS_MAX = 64 };
    nrpc_backend list[BACKENDS_MAX];
    size_t n = ch == NULL ? 0 : nrpc_channel_backends(ch, list, BACKENDS_MAX);
    unsigned count[3] = { 0 };
    for (size_t i = 0; i < n && i < BACKENDS_MAX; i++)
        count[list[i].circuit]++;
    buf_printf(out, ",\"circuits\":{\"closed\":%u,\"open\":%u,\"half_open\":%u}",
               count[NRPC_CIRCUIT_CLOSED], count[NRPC_CIRCUIT_OPEN], count[NRPC_CIRCUIT_HALF_OPEN]);
}

static void serve_readyz(struct exchange *x)
{
    nrpc_channel *ch = gateway_loop_channel(x->gl);
    nrpc_channel_state state = ch == NULL ? NRPC_CHANNEL_BACKOFF : nrpc_channel_get_state(ch);
    if (ch != NULL && state == NRPC_CHANNEL_IDLE)
        nrpc_channel_connect(ch);
    bool ready = state == NRPC_CHANNEL_READY || state == NRPC_CHANNEL_IDLE;
    struct buf body = { 0 };
    const char *retry = ready && !x->gl->draining ? NULL : "Retry-After: 1\r\n";
    buf_puts(&body, x->gl->draining ? "{\"status\":\"draining\""
                    : ready         ? "{\"status\":\"ready\""
                                    : "{\"status\":\"not ready\",\"backend\":\"unreachable\"");
    put_circuits(ch, &body);
    buf_putc(&body, '}');
    answer(x, retry == NULL ? 200 : 503, retry, body.failed ? "{}" : buf_str(&body));
    buf_done(&body);
}

/* The methods that the path has; false when there is no such path. */
static bool list_methods(struct exchange *x, struct buf *out)
{
    static const char nothing[] =
        "?"; /* no rule can have this method, so all that there are come back */
    struct http1_text path = http1_path(&x->http);
    if (path_is(x, "/cache/invalidate")) {
        buf_puts(out, "POST, OPTIONS");
        return true;
    }
    struct http1_text own = own_path(x);
    if (documents_has(own.data, own.size) || path_is(x, "/cache/metrics") || path_is(x, "/livez") ||
        path_is(x, "/readyz") || (path.size == 1 && *path.data == '*')) {
        buf_puts(out, "GET, HEAD, OPTIONS");
        return true;
    }
    enum route_result r =
        route_match(x->view->table->router, nothing, path.data, path.size, &x->match);
    if (r == ROUTE_NOT_FOUND)
        return false;
    for (size_t i = 0; i < x->match.n_allowed; i++) {
        const char *method = x->match.allowed[i]->http_method;
        buf_printf(out, strcmp(method, "GET") == 0 ? "%s, HEAD, " : "%s, ", method);
    }
    buf_puts(out, "OPTIONS");
    return true;
}

static void serve_options(struct exchange *x)
{
    struct buf methods = { 0 }, extra = { 0 };
    if (!list_methods(x, &methods)) {
        exchange_fail(x, 404, NRPC_NOT_FOUND, "NOT_FOUND", "no such path: not found");
        x->keep_alive = x->keep_alive && x->http.content_length == 0 && !x->http.chunked;
        respond_problem(x);
        exchange_end(x);
    } else {
        const char *list = buf_str(&methods);
        buf_printf(&extra, "Allow: %s\r\n", list);
        if (respond_allowed_origin(x) != NULL &&
            exchange_header(x, "access-control-request-method").data != NULL)
            buf_printf(&extra,
                       "Access-Control-Allow-Methods: %s\r\n"
                       "Access-Control-Allow-Headers: Authorization, Content-Type, "
                       "Idempotency-Key, If-Match, "
                       "If-None-Match, Last-Event-ID, X-Request-Id, X-Request-Timeout, X-Grpc-Web, "
                       "X-User-Agent, "
                       "Grpc-Timeout, Connect-Protocol-Version, Connect-Timeout-Ms, "
                       "Connect-Content-Encoding, Connect-Accept-Encoding\r\n"
                       "Access-Control-Max-Age: 600\r\n",
                       list);
        answer(x, 204, buf_str(&extra), NULL);
    }
    buf_done(&methods);
    buf_done(&extra);
}

bool builtin_serve(struct exchange *x)
{
    if (strcmp(x->method, "OPTIONS") == 0) {
        serve_options(x);
        return true;
    }
    struct http1_text path = own_path(x);
    enum cached_route cached = cached_builtin(x, path.data, path.size);
    if (cached != CACHED_OTHER)
        return cached == CACHED_ENDED;
    if (documents_serve(x, path.data, path.size))
        return !x->failed;
    bool live = path_is(x, "/livez");
    if (!live && !path_is(x, "/readyz"))
        return false;
    x->builtin = live ? "/livez" : "/readyz";
    if (strcmp(x->method, "GET") != 0 && !x->head_only) {
        exchange_fail(x, 405, NRPC_UNIMPLEMENTED, "METHOD_NOT_ALLOWED", "%s is not allowed here",
                      x->method);
        x->problem.headers = "Allow: GET, HEAD, OPTIONS\r\n";
        return false;
    }
    if (live)
        answer(x, 200, NULL, "{\"status\":\"alive\"}");
    else
        serve_readyz(x);
    return true;
}
