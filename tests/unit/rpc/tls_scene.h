/* tls_scene.h — sockets with TLS on a loop that a test turns by hand.  For one test program each.
 */
#ifndef TLS_SCENE_H
#define TLS_SCENE_H
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "rpc/base/alloc.h"
#include "rpc/base/buf.h"
#include "rpc/base/gauge.h"
#include "rpc/io/sock.h"
#include "tests/unit/rpc/tls_certs.h"

struct end {
    struct sock *sock;
    struct buf in;
    int connected, eofs, drained, closes, error;
    bool pause_on_bytes, paused; /* paused: no event may bring bytes, not even those TLS holds */
    char why[200], protocol[16], subject[200];
};
struct scene {
    nrpc_loop *loop;
    struct end a, b;
    struct timer guard;
    bool timed_out;
};

static inline void on_bytes(void *owner, const uint8_t *data, size_t size)
{
    struct end *e = owner;
    buf_put(&e->in, data, size);
    assert_false(e->paused);
    if (e->pause_on_bytes) {
        e->paused = true;
        sock_pause(e->sock, true);
    }
}

static inline void on_eof(void *owner)
{
    ((struct end *) owner)->eofs++;
}

static inline void on_drained(void *owner)
{
    ((struct end *) owner)->drained++;
}

static inline void on_connected(void *owner)
{
    struct end *e = owner;
    const char *subject = sock_peer_subject(e->sock);
    e->connected++;
    snprintf(e->protocol, sizeof e->protocol, "%s", sock_protocol(e->sock));
    snprintf(e->subject, sizeof e->subject, "%s", subject == NULL ? "-" : subject);
}

static inline void on_close(void *owner, int error)
{
    struct end *e = owner;
    const char *why = sock_why(e->sock);
    e->closes++;
    e->error = error;
    snprintf(e->why, sizeof e->why, "%s", why == NULL ? "-" : why);
    e->sock = NULL;
}

static const struct sock_events events = { .on_bytes = on_bytes,
                                           .on_eof = on_eof,
                                           .on_drained = on_drained,
                                           .on_connected = on_connected,
                                           .on_close = on_close };

static inline void on_guard(struct timer *t)
{
    struct scene *s = CONTAINER_OF(t, struct scene, guard);
    s->timed_out = true;
    nrpc_loop_stop(s->loop);
}

/* One turn of the loop, or a few: runs until nothing is ready. */
static inline void turn(struct scene *s)
{
    nrpc_loop_stop(s->loop);
    assert_int_equal(nrpc_loop_run(s->loop), 0);
}

#define RUN_UNTIL(s, condition)                                                                    \
    do {                                                                                           \
        bool reached_ = false;                                                                     \
        (s)->timed_out = false;                                                                    \
        timer_start(&(s)->guard, 20000);                                                           \
        while (!(reached_ = (condition)) && !(s)->timed_out)                                       \
            turn(s);                                                                               \
        timer_stop(&(s)->guard);                                                                   \
        if (!reached_)                                                                             \
            fail_msg("not reached: %s", #condition);                                               \
    } while (0)

static inline void scene_init(struct scene *s)
{
    *s = (struct scene){ 0 };
    assert_int_equal(nrpc_loop_new(&s->loop), 0);
    timer_init(&s->guard, s->loop, on_guard);
}

static int kept; /* connections that other scenes still hold */

static inline void scene_done(struct scene *s)
{
    if (s->a.sock != NULL)
        sock_close(s->a.sock);
    if (s->b.sock != NULL)
        sock_close(s->b.sock);
    turn(s);
    nrpc_loop_free(s->loop);
    buf_done(&s->a.in);
    buf_done(&s->b.in);
    assert_int_equal(gauge_read(GAUGE_CONNECTIONS), kept);
    assert_int_equal(gauge_read(GAUGE_TIMERS), 0);
}

struct files {
    const char *certificate, *key, *ca, *min;
    bool require, insecure;
};

static inline nrpc_tls *context(bool server, struct files f)
{
    char why[256] = "";
    nrpc_tls *t = NULL;
    const nrpc_tls_options o = {
        .certificate_file = f.certificate == NULL ? NULL : certs_path(f.certificate),
        .key_file = f.key == NULL ? NULL : certs_path(f.key),
        .ca_file = f.ca == NULL ? NULL : certs_path(f.ca),
        .require_client_certificate = f.require,
        .min_version = f.min,
        .insecure_no_verify = f.insecure,
    };
    int r = server ? nrpc_tls_server_new(&o, &t, why, sizeof why)
                   : nrpc_tls_client_new(&o, &t, why, sizeof why);
    if (r < 0)
        fail_msg("%s", why);
    return t;
}

static inline nrpc_tls *server_context(void)
{
    return context(true, (struct files){ "server.pem", "server.key" });
}

static inline int set_up(void **state)
{
    (void) state;
    certs_make();
    return 0;
}

static inline int tear_down(void **state)
{
    (void) state;
    certs_remove();
    return 0;
}

#endif
