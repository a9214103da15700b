#include "tests/unit/rpc/raw_server.h"

#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rpc/base/buf.h"
#include "rpc/base/check.h"
#include "rpc/base/clock.h"
#include "rpc/io/address.h"

enum { CONNS_MAX = 64, REQUESTS_MAX = 4096, STREAMS_MAX = 512, PREFACE = 24, HEAD = 9 };

struct raw_stream {
    uint32_t id;
    int request; /* its number */
    struct raw_step step;
    uint8_t body[256];
    size_t body_size;
};
struct raw_conn {
    int fd, number;
    struct buf in;
    bool preface, greeted;
    uint64_t accepted_ns;
    nghttp2_hd_inflater *inflater;
    struct raw_stream streams[STREAMS_MAX];
    int n_streams;
};
struct raw_server {
    struct raw_server_options o;
    pthread_t thread;
    pthread_mutex_t lock; /* of what follows up to pings */
    struct raw_request requests[REQUESTS_MAX];
    int n_requests, n_accepted, pings;
    int listener, stop[2];
    char unix_path[128];
    struct raw_conn *conns[CONNS_MAX];
    int n_conns;
};

/* ---- frames ---- */
static void put(struct raw_conn *c, const void *data, size_t size)
{
    const uint8_t *p = data;
    while (size > 0) {
        ssize_t n = send(c->fd, p, size, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return; /* the client is gone; the read side will see it */
        p += n;
        size -= (size_t) n;
    }
}

static void frame(struct raw_conn *c, int type, int flags, uint32_t id, const void *data,
                  size_t size)
{
    uint8_t out[HEAD + 512] = { (uint8_t) (size >> 16), (uint8_t) (size >> 8), (uint8_t) size,
                                (uint8_t) type,         (uint8_t) flags,       (uint8_t) (id >> 24),
                                (uint8_t) (id >> 16),   (uint8_t) (id >> 8),   (uint8_t) id };
    CHECK(size <= 512);
    if (size > 0)
        memcpy(out + HEAD, data, size);
    put(c, out, HEAD + size);
}

static void put_u32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t) (v >> (24 - 8 * i));
}

static void reset(struct raw_conn *c, uint32_t id, uint32_t code)
{
    uint8_t body[4];
    put_u32(body, code);
    frame(c, NGHTTP2_RST_STREAM, 0, id, body, 4);
}

static void goaway(struct raw_conn *c, uint32_t last, uint32_t code, const char *text)
{
    uint8_t body[64];
    put_u32(body, last);
    put_u32(body + 4, code);
    memcpy(body + 8, text, strlen(text));
    frame(c, NGHTTP2_GOAWAY, 0, 0, body, 8 + strlen(text));
}

/* A literal field without indexing; short ones only. */
static void field(struct buf *b, const char *name, const char *value)
{
    buf_putc(b, 0);
    buf_putc(b, (char) strlen(name));
    buf_puts(b, name);
    buf_putc(b, (char) strlen(value));
    buf_puts(b, value);
}

static void headers(struct raw_conn *c, uint32_t id, bool head, bool end, const struct raw_step *st)
{
    struct buf b = { 0 };
    char code[16];
    if (head) {
        field(&b, ":status", "200");
        field(&b, "content-type", "application/grpc");
    }
    if (end) {
        snprintf(code, sizeof code, "%d", st->code);
        field(&b, "grpc-status", code);
        if (st->code != 0)
            field(&b, "grpc-message", "to order");
        if (st->pushback != NULL)
            field(&b, "grpc-retry-pushback-ms", st->pushback);
    }
    frame(c, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | (end ? NGHTTP2_FLAG_END_STREAM : 0), id,
          b.data, b.size);
    buf_done(&b);
}

static void hang_up(struct raw_conn *c)
{
    shutdown(c->fd, SHUT_RDWR);
}

static void greet(struct raw_server *s, struct raw_conn *c)
{
    uint8_t setting[6] = { 0, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS };
    put_u32(setting + 2, s->o.max_streams);
    enum raw_greeting how = c->number < s->o.n_greetings ? s->o.greeting : RAW_WELCOME;
    c->greeted = true;
    if (how != RAW_GOAWAY_FIRST && how != RAW_NOTHING_CLOSE)
        frame(c, NGHTTP2_SETTINGS, 0, 0, setting, s->o.max_streams > 0 ? sizeof setting : 0);
    if (how == RAW_GOAWAY_FIRST || how == RAW_SETTINGS_GOAWAY)
        goaway(c, 0, 0, "");
    if (how == RAW_SETTINGS_NOTICE)
        goaway(c, INT32_MAX, 0, "");
    else if (how != RAW_WELCOME)
        hang_up(c);
}

/* ---- requests ---- */
/* The first message, or an empty one when it is long. */
static void message(struct raw_conn *c, const struct raw_stream *st)
{
    static const uint8_t empty[5];
    size_t size = st->body_size < 5 ? 0 : (size_t) st->body[3] << 8 | st->body[4];
    bool fits = st->body_size >= 5 + size && st->body[1] == 0 && st->body[2] == 0;
    frame(c, NGHTTP2_DATA, 0, st->id, fits ? st->body : empty, fits ? 5 + size : 5);
}

static void answer(struct raw_conn *c, const struct raw_stream *st)
{
    static const struct raw_step fine = { RAW_OK, 0, NULL };
    headers(c, st->id, true, false, &fine);
    message(c, st);
    headers(c, st->id, false, true, &fine);
}

/* The request is whole. */
static void act(struct raw_conn *c, struct raw_stream *st)
{
    static const struct raw_step fine = { RAW_OK, 0, NULL };
    switch (st->step.act) {
    case RAW_OK:
        answer(c, st);
        break;
    case RAW_GOAWAY_OK:
        goaway(c, st->id, 0, "");
        answer(c, st);
        hang_up(c);
        break;
    case RAW_REFUSE_LATE:
        reset(c, st->id, NGHTTP2_REFUSED_STREAM);
        break;
    case RAW_GOAWAY_TWICE:
        goaway(c, INT32_MAX, 0, "");
        goaway(c, st->id - 1, 0, "");
        hang_up(c);
        break;
    case RAW_GOAWAY_BELOW:
        goaway(c, st->id - 1, 0, "");
        hang_up(c);
        break;
    case RAW_CLOSE:
        hang_up(c);
        break;
    case RAW_HEADERS_CLOSE:
        headers(c, st->id, true, false, &fine);
        hang_up(c);
        break;
    case RAW_MESSAGE_CLOSE:
        headers(c, st->id, true, false, &fine);
        message(c, st);
        hang_up(c);
        break;
    case RAW_FAIL:
        headers(c, st->id, true, true, &st->step);
        break;
    case RAW_HEADERS_FAIL:
        headers(c, st->id, true, false, &fine);
        headers(c, st->id, false, true, &st->step);
        break;
    case RAW_RESET:
        reset(c, st->id, NGHTTP2_INTERNAL_ERROR);
        break;
    case RAW_HTTP_503: {
        struct buf b = { 0 };
        field(&b, ":status", "503");
        frame(c, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, st->id,
              b.data, b.size);
        buf_done(&b);
        break;
    }
    case RAW_REFUSE:
    case RAW_SILENT:
        break;
    }
}

static int previous_attempts(struct raw_conn *c, const uint8_t *block, size_t size)
{
    int previous = -1;
    for (int done = 0; !done;) {
        nghttp2_nv nv;
        int flags = 0;
        ssize_t n = nghttp2_hd_inflate_hd2(c->inflater, &nv, &flags, block, size, 1);
        CHECK(n >= 0);
        block += n;
        size -= (size_t) n;
        if ((flags & NGHTTP2_HD_INFLATE_EMIT) && nv.namelen == 26 &&
            memcmp(nv.name, "grpc-previous-rpc-attempts", 26) == 0)
            previous = atoi((const char *) nv.value);
        done = (flags & NGHTTP2_HD_INFLATE_FINAL) || n == 0;
    }
    nghttp2_hd_inflate_end_headers(c->inflater);
    return previous;
}

static void on_request(struct raw_server *s, struct raw_conn *c, uint32_t id, int previous)
{
    CHECK(c->n_streams < STREAMS_MAX);
    struct raw_stream *st = &c->streams[c->n_streams++];
    pthread_mutex_lock(&s->lock);
    CHECK(s->n_requests < REQUESTS_MAX);
    int number = s->n_requests++;
    s->requests[number] = (struct raw_request){ clock_mono_ns(), c->number, previous, false, 0 };
    pthread_mutex_unlock(&s->lock);
    int at = number < s->o.n_steps ? number : s->o.n_steps - 1;
    *st = (struct raw_stream){ .id = id, .request = number, .step = s->o.steps[at] };
    if (st->step.act == RAW_REFUSE)
        reset(c, id, NGHTTP2_REFUSED_STREAM);
}

static struct raw_stream *find(struct raw_conn *c, uint32_t id)
{
    for (int i = c->n_streams - 1; i >= 0; i--)
        if (c->streams[i].id == id)
            return &c->streams[i];
    return NULL;
}

static void on_frame(struct raw_server *s, struct raw_conn *c, const uint8_t *head,
                     const uint8_t *body, size_t size)
{
    int type = head[3], flags = head[4];
    uint32_t id =
        (uint32_t) head[5] << 24 | (uint32_t) head[6] << 16 | (uint32_t) head[7] << 8 | head[8];
    if (type == NGHTTP2_HEADERS) {
        on_request(s, c, id, previous_attempts(c, body, size));
    } else if (type == NGHTTP2_DATA) {
        struct raw_stream *st = find(c, id);
        size_t room = sizeof st->body - st->body_size;
        pthread_mutex_lock(&s->lock);
        s->requests[st->request].bytes += size;
        pthread_mutex_unlock(&s->lock);
        if (size > 0) {
            memcpy(st->body + st->body_size, body, size < room ? size : room);
            st->body_size += size < room ? size : room;
            uint8_t more[4];
            put_u32(more, (uint32_t) size);
            frame(c, NGHTTP2_WINDOW_UPDATE, 0, 0, more, 4);
            frame(c, NGHTTP2_WINDOW_UPDATE, 0, id, more, 4);
        }
    } else if (type == NGHTTP2_RST_STREAM) {
        struct raw_stream *st = find(c, id);
        pthread_mutex_lock(&s->lock);
        if (st != NULL)
            s->requests[st->request].reset = true;
        pthread_mutex_unlock(&s->lock);
    } else if (type == NGHTTP2_SETTINGS && !(flags & NGHTTP2_FLAG_ACK)) {
        frame(c, NGHTTP2_SETTINGS, NGHTTP2_FLAG_ACK, 0, NULL, 0);
    } else if (type == NGHTTP2_PING && !(flags & NGHTTP2_FLAG_ACK)) {
        pthread_mutex_lock(&s->lock);
        s->pings++;
        pthread_mutex_unlock(&s->lock);
        if (s->o.too_many_pings) {
            goaway(c, INT32_MAX, NGHTTP2_ENHANCE_YOUR_CALM, "too_many_pings");
            hang_up(c);
        } else {
            frame(c, NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0, body, size);
        }
    }
    bool whole =
        (type == NGHTTP2_DATA || type == NGHTTP2_HEADERS) && (flags & NGHTTP2_FLAG_END_STREAM) != 0;
    if (whole)
        act(c, find(c, id));
}

/* ---- the thread ---- */
static void conn_free(struct raw_conn *c)
{
    close(c->fd);
    buf_done(&c->in);
    nghttp2_hd_inflate_del(c->inflater);
    free(c);
}

/* False when the client went. */
static bool conn_read(struct raw_server *s, struct raw_conn *c)
{
    uint8_t chunk[16384];
    ssize_t n = recv(c->fd, chunk, sizeof chunk, 0);
    if (n <= 0)
        return false;
    buf_put(&c->in, chunk, (size_t) n);
    if (!c->preface && c->in.size >= PREFACE) {
        c->preface = true;
        buf_drop(&c->in, PREFACE);
    }
    while (c->preface && c->in.size >= HEAD) {
        const uint8_t *p = c->in.data;
        size_t size = (size_t) p[0] << 16 | (size_t) p[1] << 8 | p[2];
        if (c->in.size < HEAD + size)
            break;
        on_frame(s, c, p, p + HEAD, size);
        buf_drop(&c->in, HEAD + size);
    }
    return true;
}

static void greet_due(struct raw_server *s)
{
    for (int i = 0; i < s->n_conns; i++) {
        struct raw_conn *c = s->conns[i];
        if (!c->greeted && !s->o.no_settings &&
            clock_mono_ns() - c->accepted_ns >= s->o.settings_ms * UINT64_C(1000000))
            greet(s, c);
    }
}

static void accept_one(struct raw_server *s)
{
    int fd = accept(s->listener, NULL, NULL);
    if (fd < 0)
        return;
    CHECK(s->n_conns < CONNS_MAX);
    struct raw_conn *c = calloc(1, sizeof *c);
    CHECK(c != NULL);
    CHECK(nghttp2_hd_inflate_new(&c->inflater) == 0);
    c->fd = fd;
    c->accepted_ns = clock_mono_ns();
    pthread_mutex_lock(&s->lock);
    c->number = s->n_accepted++;
    pthread_mutex_unlock(&s->lock);
    s->conns[s->n_conns++] = c;
}

static void *run(void *arg)
{
    struct raw_server *s = arg;
    for (;;) {
        struct pollfd fds[CONNS_MAX + 2] = { { s->stop[0], POLLIN, 0 },
                                             { s->listener, POLLIN, 0 } };
        int n = s->n_conns;
        for (int i = 0; i < n; i++)
            fds[i + 2] = (struct pollfd){ s->conns[i]->fd, s->conns[i]->greeted ? POLLIN : 0, 0 };
        poll(fds, (nfds_t) n + 2, 5);
        if (fds[0].revents != 0)
            return NULL;
        for (int i = n - 1; i >= 0; i--) {
            if (fds[i + 2].revents == 0 || conn_read(s, s->conns[i]))
                continue;
            conn_free(s->conns[i]);
            s->conns[i] = s->conns[--s->n_conns];
        }
        if (fds[1].revents != 0)
            accept_one(s);
        greet_due(s);
    }
}

struct raw_server *raw_server_start(const char *address, const struct raw_server_options *o)
{
    struct raw_server *s = calloc(1, sizeof *s);
    struct address a;
    CHECK(s != NULL);
    CHECK(address_parse(address, &a) == 0);
    s->o = *o;
    pthread_mutex_init(&s->lock, NULL);
    if (strncmp(address, "unix:", 5) == 0) {
        snprintf(s->unix_path, sizeof s->unix_path, "%s", address + 5);
        unlink(s->unix_path);
    }
    s->listener = socket(a.sa.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(s->listener >= 0);
    CHECK(bind(s->listener, &a.sa.any, a.size) == 0);
    CHECK(listen(s->listener, 64) == 0);
    CHECK(pipe(s->stop) == 0);
    CHECK(pthread_create(&s->thread, NULL, run, s) == 0);
    return s;
}

void raw_server_stop(struct raw_server *s)
{
    CHECK(write(s->stop[1], "x", 1) == 1);
    pthread_join(s->thread, NULL);
    for (int i = 0; i < s->n_conns; i++)
        conn_free(s->conns[i]);
    close(s->listener);
    close(s->stop[0]);
    close(s->stop[1]);
    if (s->unix_path[0] != '\0')
        unlink(s->unix_path);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

int raw_server_requests(struct raw_server *s, struct raw_request *out, int max)
{
    pthread_mutex_lock(&s->lock);
    int n = s->n_requests;
    if (max > 0)
        memcpy(out, s->requests, (size_t) (n < max ? n : max) * sizeof *out);
    pthread_mutex_unlock(&s->lock);
    return n;
}

int raw_server_connections(struct raw_server *s)
{
    pthread_mutex_lock(&s->lock);
    int n = s->n_accepted;
    pthread_mutex_unlock(&s->lock);
    return n;
}

int raw_server_pings(struct raw_server *s)
{
    pthread_mutex_lock(&s->lock);
    int n = s->pings;
    pthread_mutex_unlock(&s->lock);
    return n;
}
