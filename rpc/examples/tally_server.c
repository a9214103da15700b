/* tally_server — a whole gRPC server: all four kinds of call, health, a clean stop.
 *
 *   tally_server [ADDRESS]      default 127.0.0.1:50052; prints the bound address
 *
 * One loop, so the handlers share `total` without a lock.  With more loops a connection still lives
 * on one loop, but handlers of different connections run side by side. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tally.nrpc.h"

enum { WATCHERS_MAX = 64 };
struct watcher {
    nrpc_call_id id;
    uint32_t left;
};
static int64_t total;
static struct watcher watchers[WATCHERS_MAX];

static Tally__Total total_now(void)
{
    Tally__Total t = TALLY__TOTAL__INIT;
    t.value = total;
    return t;
}

/* A watcher is held by number: a call may have ended since, then nrpc_call_get says NULL. */
static void watcher_tell(nrpc_loop *loop, struct watcher *w)
{
    nrpc_call *c = w->left > 0 ? nrpc_call_get(loop, w->id) : NULL;
    if (c == NULL) {
        w->left = 0;
        return;
    }
    Tally__Total t = total_now();
    if (tally_tally_watch_emit(c, &t) < 0 || --w->left == 0) {
        w->left = 0;
        nrpc_call_finish(c, NULL);
    }
}

static void add(nrpc_call *c, int64_t value)
{
    total = (int64_t) ((uint64_t) total + (uint64_t) value);
    for (int i = 0; i < WATCHERS_MAX; i++)
        watcher_tell(nrpc_call_loop(c), &watchers[i]);
}

/* Unary: the request is whole; answer now or later. */
static void on_add(nrpc_call *c, void *ctx, nrpc_msg *request)
{
    (void) ctx;
    add(c, tally_tally_add_request(request)->value);
    nrpc_msg_free(request);
    Tally__Total t = total_now();
    tally_tally_add_reply(c, &t);
}

/* Server stream: the same shape; what is sent later goes out when it happens. */
static void on_watch(nrpc_call *c, void *ctx, nrpc_msg *request)
{
    (void) ctx;
    uint32_t count = tally_tally_watch_request(request)->count;
    nrpc_msg_free(request);
    if (count == 0) {
        nrpc_call_fail(c, NRPC_INVALID_ARGUMENT, "count must be at least 1");
        return;
    }
    for (int i = 0; i < WATCHERS_MAX; i++) {
        if (watchers[i].left > 0 && nrpc_call_get(nrpc_call_loop(c), watchers[i].id) != NULL)
            continue;
        watchers[i] = (struct watcher){ nrpc_call_ref(c), count };
        watcher_tell(nrpc_call_loop(c), &watchers[i]);
        return;
    }
    nrpc_call_fail(c, NRPC_RESOURCE_EXHAUSTED, "%d watchers are enough", WATCHERS_MAX);
}

/* Streams from the client: events.  want() asks for the next message, so nobody can flood us. */
static void on_addend(nrpc_call *c, void *state, nrpc_msg *m)
{
    (void) state;
    add(c, tally_tally_add_all_request(m)->value);
    nrpc_msg_free(m);
    nrpc_call_want(c, 1);
}

static void on_addends_end(nrpc_call *c, void *state)
{
    (void) state;
    Tally__Total t = total_now();
    nrpc_call_reply(c, (ProtobufCMessage *) &t);
}

/* Both ways.  NRPC_PAUSE: the peer reads slowly; ask for no more until on_chat_writable. */
static void on_chat(nrpc_call *c, void *state, nrpc_msg *m)
{
    (void) state;
    add(c, tally_tally_chat_request(m)->value);
    nrpc_msg_free(m);
    Tally__Total t = total_now();
    if (tally_tally_chat_emit(c, &t) == 0)
        nrpc_call_want(c, 1);
}

static void on_chat_writable(nrpc_call *c, void *state)
{
    (void) state;
    nrpc_call_want(c, 1);
}

static void on_chat_end(nrpc_call *c, void *state)
{
    (void) state;
    nrpc_call_finish(c, NULL);
}

static const nrpc_events add_all_events = { .on_message = on_addend,
                                            .on_half_close = on_addends_end };
static const nrpc_events chat_events = { .on_message = on_chat,
                                         .on_half_close = on_chat_end,
                                         .on_writable = on_chat_writable };

static void die(const char *what, int err)
{
    fprintf(stderr, "tally_server: %s: %s\n", what, nrpc_strerror(err));
    exit(1);
}

int main(int argc, char **argv)
{
    static const tally_tally_handlers handlers = {
        .add = { .request = on_add },
        .watch = { .request = on_watch },
        .add_all = { .stream = &add_all_events },
        .chat = { .stream = &chat_events },
    };
    /* Blocked before the loops start, so that only sigwait below sees them. */
    sigset_t stop;
    sigemptyset(&stop);
    sigaddset(&stop, SIGINT);
    sigaddset(&stop, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &stop, NULL);

    nrpc_server_options options;
    nrpc_server_defaults(&options);
    options.loops = 1;
    nrpc_server *server;
    int r = nrpc_server_new(&options, &server);
    if (r < 0)
        die("cannot make a server", r);
    if ((r = tally_tally_register(server, &handlers, NULL)) < 0 ||
        (r = nrpc_server_add_health(server)) < 0)
        die("cannot add the services", r);
    if ((r = nrpc_server_listen(server, argc > 1 ? argv[1] : "127.0.0.1:50052")) < 0)
        die("cannot listen", r);
    if ((r = nrpc_server_start(server)) < 0)
        die("cannot start", r);
    printf("listening on %s\n", nrpc_server_address(server, 0));
    fflush(stdout);

    int signal_number;
    sigwait(&stop, &signal_number);
    nrpc_server_stop(server, 5000); /* calls in flight have five seconds to end */
    nrpc_server_wait(server);
    nrpc_server_free(server);
    printf("total %" PRId64 "\n", total);
    return 0;
}
