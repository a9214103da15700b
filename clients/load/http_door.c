/* The HTTP door: libcurl's multi interface, driven by our loop (curl_multi_socket_action).  libcurl
 * keeps one connection for each user that has a request out; users reuse them.  libcurl looks
 * through all connections of a multi handle for a free one, so users are dealt to several handles
 * (lanes): a thousand users cost about as much each as ten.  Time limits are the worker's, not
 * libcurl's: its timers cost more than the requests. */
#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "clients/load/answers.h"
#include "clients/load/http_once.h"
#include "clients/load/worker.h"
#include "rpc/base/alloc.h"
#include "rpc/base/check.h"
#include "rpc/base/clock.h"
#include "rpc/io/watch.h"

/* libcurl has a read buffer for each request that is out: small ones stay in the processor's cache.
 */
enum { BODY_BYTES_MAX = 32 << 20, LANE_USERS = 10, READ_BYTES = 1024 };

struct http_lane {
    struct http_place *place;
    CURLM *multi;
    nrpc_timer *timer;
    int active;  /* requests that libcurl has */
    bool adding; /* libcurl's wish to be called at once is granted by who adds */
};

struct http_place {
    struct worker *worker;
    struct http_lane *lanes;
    unsigned n_lanes;
    /* Taken apart once for all users: libcurl would do it again for each request. */
    CURLU **urls; /* of the endpoint's requests */
    size_t n_urls;
    struct curl_slist *headers;
    struct answers answers;
    struct http_socket **sockets; /* by descriptor; libcurl forgets its own note between requests */
    size_t n_sockets;
};
struct http_user {
    struct user *user;
    struct http_place *place;
    struct http_lane *lane;
    CURL *easy;
    const struct request *request; /* that easy is set up for */
    struct buf body, form;
    char error[CURL_ERROR_SIZE];
    bool too_large, in_multi;
};
/* A socket that libcurl has.  It stays watched for reading between requests: that saves two system
 * calls each. */
struct http_socket {
    struct loop_watch *watch;
    struct http_lane *lane;
    bool wanted; /* by libcurl now */
};

static void collect(struct http_lane *l);

/* ---- libcurl's callbacks ---- */
static void on_socket_ready(void *ctx, int fd, unsigned ready)
{
    struct http_socket *s = ctx;
    struct http_lane *l = s->lane;
    if (!s->wanted) { /* between requests: the server closed it, libcurl will find out */
        loop_watch_set(s->watch, 0);
        return;
    }
    int what = (ready & WATCH_READ ? CURL_CSELECT_IN : 0) |
               (ready & WATCH_WRITE ? CURL_CSELECT_OUT : 0),
        running;
    curl_multi_socket_action(l->multi, fd, what, &running);
    collect(l);
}

static struct http_socket *add_socket(struct http_place *p, int fd)
{
    if ((size_t) fd >= p->n_sockets) {
        size_t wanted = (size_t) fd + 64;
        struct http_socket **more = alloc_resize(p->sockets, wanted * sizeof(*more));
        if (more == NULL)
            return NULL;
        memset(more + p->n_sockets, 0, (wanted - p->n_sockets) * sizeof(*more));
        p->sockets = more;
        p->n_sockets = wanted;
    }
    struct http_socket *s = alloc_zero(1, sizeof *s);
    if (s == NULL || loop_watch_new(p->worker->loop, fd, on_socket_ready, s, &s->watch) < 0) {
        alloc_free(s);
        return NULL;
    }
    return p->sockets[fd] = s;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *unused)
{
    (void) easy;
    (void) unused;
    struct http_lane *l = ctx;
    struct http_place *p = l->place;
    struct http_socket *s = (size_t) fd < p->n_sockets ? p->sockets[fd] : NULL;
    if (what == CURL_POLL_REMOVE) { /* the request is over; the socket may serve the next one */
        if (s != NULL)
            s->wanted = false;
        return 0;
    }
    if (s == NULL)
        s = add_socket(p, fd);
    unsigned wanted =
        (what & CURL_POLL_IN ? WATCH_READ : 0u) | (what & CURL_POLL_OUT ? WATCH_WRITE : 0u);
    if (s == NULL || loop_watch_set(s->watch, wanted) < 0) {
        p->worker->failed = NRPC_E_NOMEM;
        return -1;
    }
    s->lane = l;
    s->wanted = true;
    return 0;
}

static int on_close(void *ctx, curl_socket_t fd)
{
    struct http_place *p = ctx;
    if ((size_t) fd < p->n_sockets && p->sockets[fd] != NULL) {
        loop_watch_free(p->sockets[fd]->watch);
        alloc_free(p->sockets[fd]);
        p->sockets[fd] = NULL;
    }
    return close(fd);
}

static int on_timer(CURLM *multi, long after_ms, void *ctx)
{
    (void) multi;
    struct http_lane *l = ctx;
    if (after_ms < 0)
        nrpc_timer_stop(l->timer);
    else if (after_ms > 0 || !l->adding)
        nrpc_timer_start(l->timer, (uint64_t) after_ms);
    return 0;
}

static void on_due(void *ctx)
{
    struct http_lane *l = ctx;
    int running;
    curl_multi_socket_action(l->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    collect(l);
}

static size_t on_body(char *data, size_t one, size_t size, void *ctx)
{
    (void) one;
    struct http_user *h = ctx;
    if (h->body.size + size > BODY_BYTES_MAX) {
        h->too_large = true;
        return 0;
    }
    size_t before = h->body.size > 5 ? h->body.size - 5 : 0; /* the mark may be cut in two */
    buf_put(&h->body, data, size);
    if (!h->body.failed && h->request->kind == REQUEST_STREAM && h->user->first_ns == 0 &&
        memmem(h->body.data + before, h->body.size - before, "\ndata:", 6) != NULL)
        h->user->first_ns = clock_mono_ns();
    return h->body.failed ? 0 : size;
}

/* ---- what became of it ---- */
static enum outcome outcome_of(CURLcode code, bool got_status)
{
    switch (code) {
    case CURLE_OK:
        return OUTCOME_OK;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
        return OUTCOME_CONNECT;
    case CURLE_OPERATION_TIMEDOUT:
        return OUTCOME_TIMEOUT;
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_PARTIAL_FILE:
        return OUTCOME_LOST;
    default:
        return got_status ? OUTCOME_BAD_BODY : OUTCOME_LOST;
    }
}

/* The beginning of an error's body, in one line. */
static void describe(const struct http_user *h, char *out, size_t size)
{
    size_t n = h->body.size < size - 1 ? h->body.size : size - 1;
    for (size_t i = 0; i < n; i++)
        out[i] = h->body.data[i] < 0x20 || h->body.data[i] > 0x7e ? ' ' : (char) h->body.data[i];
    out[n] = '\0';
}

static void judge(struct http_user *h, CURLcode code)
{
    struct http_place *p = h->place;
    long status = 0;
    char name[16], text[TALLY_DETAIL_SIZE];
    bool failed = false;
    curl_easy_getinfo(h->easy, CURLINFO_RESPONSE_CODE, &status);
    worker_add_bytes(p->worker, h->body.size);
    if (code != CURLE_OK) {
        const char *why = h->too_large          ? "the body is over 32 MiB"
                          : h->error[0] != '\0' ? h->error
                                                : curl_easy_strerror(code);
        user_ended(h->user, h->too_large ? OUTCOME_BAD_BODY : outcome_of(code, status > 0), NULL,
                   why);
        return;
    }
    if (status != 200) {
        snprintf(name, sizeof name, "%ld", status);
        describe(h, text, sizeof text);
        user_ended(h->user, OUTCOME_STATUS, name, text);
        return;
    }
    int32_t turns = p->worker->step->turns;
    p->answers.simulation[0] = '\0';
    const char *body = h->body.data == NULL ? "" : (const char *) h->body.data;
    bool good = h->request->kind == REQUEST_STREAM
                    ? answers_check_events(&p->answers, turns, body, h->body.size, &failed)
                    : answers_check_json(&p->answers, h->request, turns, body, h->body.size);
    worker_add_simulation(p->worker, p->answers.simulation);
    user_ended(h->user,
               good     ? OUTCOME_OK
               : failed ? OUTCOME_STATUS
                        : OUTCOME_BAD_BODY,
               "stream error", good ? NULL : p->answers.why);
}

/* Users go on from here, while what libcurl has of them is still in the processor's cache.  Their
 * next requests may be over within start; those have the timer, so that this ends. */
static void collect(struct http_lane *l)
{
    CURLMsg *m;
    int left;
    for (unsigned i = 0; i < LANE_USERS && (m = curl_multi_info_read(l->multi, &left)) != NULL;
         i++) {
        struct http_user *h;
        CURLcode code = m->data.result;
        if (m->msg != CURLMSG_DONE ||
            curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &h) != CURLE_OK)
            continue;
        curl_multi_remove_handle(l->multi, h->easy);
        h->in_multi = false;
        l->active--;
        judge(h, code);
    }
}

/* ---- requests ---- */
static void put_form(struct http_user *h)
{
    const struct step *s = h->place->worker->step;
    buf_reset(&h->form);
    buf_puts(&h->form, "{\"character_names\":[");
    for (size_t i = 0; i < REQUEST_CAST; i++)
        buf_printf(&h->form, "%s\"%s\"", i == 0 ? "" : ",", request_cast[i]);
    buf_printf(&h->form, "],\"turns\":%d,\"seed\":%llu}", (int) s->turns,
               (unsigned long long) h->user->seed);
}

static bool is_post(const struct request *r)
{
    return r->kind == REQUEST_SIMULATION || r->kind == REQUEST_STREAM;
}

static int set_up(struct http_user *h, const struct request *r)
{
    const struct endpoint *e = h->place->worker->step->endpoint;
    size_t i = 0;
    while (i < e->n && e->requests[i] != r)
        i++;
    CHECK(i < e->n);
    h->request = r;
    return curl_easy_setopt(h->easy, CURLOPT_CURLU, h->place->urls[i]) == CURLE_OK ? 0
                                                                                   : NRPC_E_NOMEM;
}

static int http_start(struct user *u)
{
    struct http_user *h = u->place;
    struct http_lane *l = h->lane;
    int running, r = h->request == u->request ? 0 : set_up(h, u->request);
    if (r < 0)
        return r;
    buf_reset(&h->body);
    h->error[0] = '\0';
    h->too_large = false;
    if (is_post(u->request)) {
        put_form(h);
        curl_easy_setopt(h->easy, CURLOPT_POSTFIELDS, buf_str(&h->form));
        curl_easy_setopt(h->easy, CURLOPT_POSTFIELDSIZE, (long) h->form.size);
    }
    l->adding = true;
    CURLMcode code = curl_multi_add_handle(l->multi, h->easy);
    l->adding = false;
    if (code != CURLM_OK)
        return NRPC_E_NOMEM;
    h->in_multi = true;
    l->active++;
    curl_multi_socket_action(l->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    if (running < l->active) /* it is over already; but nothing ends inside start */
        nrpc_timer_start(l->timer, 0);
    return 0;
}

static void http_abandon(struct user *u)
{
    struct http_user *h = u->place;
    if (!h->in_multi)
        return;
    curl_multi_remove_handle(h->lane->multi, h->easy); /* closes its connection */
    h->in_multi = false;
    h->lane->active--;
}

/* ---- opening and closing ---- */
static int http_open_user(struct worker *w, struct user *u)
{
    struct http_user *h = alloc_zero(1, sizeof *h);
    if (h == NULL)
        return NRPC_E_NOMEM;
    const struct target *t = w->step->target;
    u->place = h;
    h->user = u;
    h->place = w->place;
    h->lane = &h->place->lanes[(size_t) (u - w->users) / LANE_USERS];
    h->easy = curl_easy_init();
    if (h->easy == NULL)
        return NRPC_E_NOMEM;
    CURL *e = h->easy;
    bool post = is_post(w->step->endpoint->requests[0]); /* then all are */
    bool good =
        curl_easy_setopt(e, CURLOPT_PRIVATE, h) == CURLE_OK &&
        curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
        curl_easy_setopt(e, CURLOPT_PROXY, "") == CURLE_OK &&
        curl_easy_setopt(e, CURLOPT_NOPROXY, "") == CURLE_OK && /* else it asks the environment */
        curl_easy_setopt(e, CURLOPT_BUFFERSIZE, (long) READ_BYTES) == CURLE_OK &&
        curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1) == CURLE_OK &&
        curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK &&
        curl_easy_setopt(e, CURLOPT_WRITEDATA, h) == CURLE_OK &&
        curl_easy_setopt(e, CURLOPT_CLOSESOCKETFUNCTION, on_close) == CURLE_OK &&
        curl_easy_setopt(e, CURLOPT_CLOSESOCKETDATA, h->place) == CURLE_OK &&
        curl_easy_setopt(e, CURLOPT_ERRORBUFFER, h->error) == CURLE_OK &&
        curl_easy_setopt(e, post ? CURLOPT_POST : CURLOPT_HTTPGET, 1L) == CURLE_OK &&
        curl_easy_setopt(e, CURLOPT_HTTPHEADER, h->place->headers) == CURLE_OK &&
        (t->ca_file == NULL || curl_easy_setopt(e, CURLOPT_CAINFO, t->ca_file) == CURLE_OK);
    if (t->cert_file != NULL)
        good = good && curl_easy_setopt(e, CURLOPT_SSLCERT, t->cert_file) == CURLE_OK &&
               curl_easy_setopt(e, CURLOPT_SSLKEY, t->key_file) == CURLE_OK;
    if (t->insecure)
        good = good && curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 0L) == CURLE_OK &&
               curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 0L) == CURLE_OK;
    return good ? 0 : NRPC_E_NOMEM;
}

static void http_close_user(struct user *u)
{
    struct http_user *h = u->place;
    if (h == NULL)
        return;
    http_abandon(u);
    if (h->easy != NULL)
        curl_easy_cleanup(h->easy);
    buf_done(&h->body);
    buf_done(&h->form);
    alloc_free(h);
    u->place = NULL;
}

static int append(struct curl_slist **list, const char *line)
{
    struct curl_slist *longer = curl_slist_append(*list, line);
    if (longer == NULL)
        return NRPC_E_NOMEM;
    *list = longer;
    return 0;
}

static bool has_header(const struct target *t, const char *name)
{
    for (size_t i = 0; t->headers != NULL && t->headers[i] != NULL; i += 2)
        if (strcasecmp(t->headers[i], name) == 0)
            return true;
    return false;
}

static int put_headers(struct http_place *p, const struct step *s)
{
    const struct target *t = s->target;
    const struct request *first = s->endpoint->requests[0];
    bool events = first->kind == REQUEST_STREAM;
    int r = 0;
    for (size_t i = 0; t->headers != NULL && t->headers[i] != NULL && r == 0; i += 2) {
        char line[1024];
        if (snprintf(line, sizeof line, "%s: %s", t->headers[i], t->headers[i + 1]) >=
            (int) sizeof line)
            return NRPC_E_TOOBIG;
        r = append(&p->headers, line);
    }
    /* Not by CURLOPT_USERAGENT: that is put together again for each request. */
    if (r == 0 && !has_header(t, "User-Agent"))
        r = append(&p->headers, "User-Agent: novel-load/" NOVEL_VERSION);
    if (r == 0 && is_post(first))
        r = append(&p->headers, "Content-Type: application/json");
    return r < 0 ? r
                 : append(&p->headers,
                          events ? "Accept: text/event-stream" : "Accept: application/json");
}

static int make_urls(struct http_place *p, const struct step *s)
{
    p->urls = alloc_zero(s->endpoint->n, sizeof(CURLU *));
    if (p->urls == NULL)
        return NRPC_E_NOMEM;
    for (; p->n_urls < s->endpoint->n; p->n_urls++) {
        char text[1024];
        if (!http_once_url(s->target, s->endpoint->requests[p->n_urls]->path, text, sizeof text))
            return NRPC_E_INVAL;
        CURLU *url = p->urls[p->n_urls] = curl_url();
        if (url == NULL)
            return NRPC_E_NOMEM;
        if (curl_url_set(url, CURLUPART_URL, text, CURLU_GUESS_SCHEME) != CURLUE_OK) {
            p->n_urls++;
            return NRPC_E_INVAL;
        }
    }
    return 0;
}

static int open_lane(struct http_place *p, struct http_lane *l)
{
    l->place = p;
    l->multi = curl_multi_init();
    if (l->multi == NULL)
        return NRPC_E_NOMEM;
    bool good =
        curl_multi_setopt(l->multi, CURLMOPT_SOCKETFUNCTION, on_socket) == CURLM_OK &&
        curl_multi_setopt(l->multi, CURLMOPT_SOCKETDATA, l) == CURLM_OK &&
        curl_multi_setopt(l->multi, CURLMOPT_TIMERFUNCTION, on_timer) == CURLM_OK &&
        curl_multi_setopt(l->multi, CURLMOPT_TIMERDATA, l) == CURLM_OK &&
        curl_multi_setopt(l->multi, CURLMOPT_PIPELINING, (long) CURLPIPE_NOTHING) == CURLM_OK &&
        curl_multi_setopt(l->multi, CURLMOPT_MAXCONNECTS, (long) LANE_USERS + 1) == CURLM_OK;
    return good ? nrpc_timer_new(p->worker->loop, on_due, l, &l->timer) : NRPC_E_NOMEM;
}

static int http_open(struct worker *w)
{
    struct http_place *p = alloc_zero(1, sizeof *p);
    if (p == NULL)
        return NRPC_E_NOMEM;
    w->place = p;
    p->worker = w;
    unsigned lanes = (w->n_users + LANE_USERS - 1) / LANE_USERS;
    p->lanes = alloc_zero(lanes == 0 ? 1 : lanes, sizeof *p->lanes);
    int r = p->lanes == NULL ? NRPC_E_NOMEM : 0;
    for (; p->n_lanes < lanes && r == 0; p->n_lanes++)
        r = open_lane(p, &p->lanes[p->n_lanes]);
    r = r < 0 ? r : put_headers(p, w->step);
    return r < 0 ? r : make_urls(p, w->step);
}

static void http_close(struct worker *w, void (*gone)(void *w))
{
    struct http_place *p = w->place;
    w->place = NULL;
    for (unsigned i = 0; p != NULL && i < p->n_lanes; i++) {
        if (p->lanes[i].multi != NULL)
            curl_multi_cleanup(p->lanes[i].multi); /* closes the connections that were kept */
        nrpc_timer_free(p->lanes[i].timer);
    }
    if (p != NULL) {
        curl_slist_free_all(p->headers);
        for (size_t i = 0; i < p->n_urls; i++)
            curl_url_cleanup(p->urls[i]);
        alloc_free(p->urls);
        answers_done(&p->answers);
        alloc_free(p->sockets);
        alloc_free(p->lanes);
        alloc_free(p);
    }
    gone(w);
}

const struct door door_http = { "http",       http_open,       http_open_user, http_start,
                                http_abandon, http_close_user, http_close };
