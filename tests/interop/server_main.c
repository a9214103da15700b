/* interop_server — the public gRPC interop test server on nrpc.h: TestService, BenchmarkService,
 * health and reflection on one port, until SIGTERM or SIGINT.  Prints a JSON line "ready" with the
 * bound address and port; after the drain a line "gauges" with the live objects of the runtime, and
 * exits 3 when one is left. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "interop_descriptors.h"
#include "rpc/base/log.h"
#include "tests/interop/flags.h"
#include "tests/interop/services.h"

#define PROGRAM "interop_server"
enum { EXIT_USAGE = 2, EXIT_LEAK = 3, GRACE_MS = 2000 };

struct settings {
    int32_t port, loops, max_streams;
    const char *bind, *server_id;
    bool help;
};

static int fail(const char *what, const char *why)
{
    log_event(LOG_LEVEL_ERROR, "cannot_start", LOG_S("what", what), LOG_S("error", why));
    return 1;
}

/* All interfaces unless told otherwise, as the public servers do: IPv6's any-address takes IPv4,
 * too, where the machine has IPv6. */
static int listen_on(nrpc_server *server, const struct settings *o)
{
    char address[128];
    if (o->bind != NULL) {
        snprintf(address, sizeof address, "%s:%d", o->bind, o->port);
        return nrpc_server_listen(server, address);
    }
    snprintf(address, sizeof address, "[::]:%d", o->port);
    if (nrpc_server_listen(server, address) == 0)
        return 0;
    snprintf(address, sizeof address, "0.0.0.0:%d", o->port);
    return nrpc_server_listen(server, address);
}

static int add_services(nrpc_server *server, const struct settings *o)
{
    int r = interop_add_test_service(server, o->server_id);
    if (r == 0)
        r = interop_add_benchmark_service(server);
    if (r == 0)
        r = nrpc_server_add_health(server);
    if (r == 0)
        r = nrpc_server_add_reflection(
            server, (nrpc_slice){ interop_descriptors, interop_descriptors_size });
    return r;
}

static void say_ready(const nrpc_server *server)
{
    const char *address = nrpc_server_address(server, 0);
    const char *colon = strrchr(address, ':');
    log_event(LOG_LEVEL_INFO, "ready", LOG_S("address", address),
              LOG_S("port", colon == NULL ? "" : colon + 1), LOG_B("tls", false),
              LOG_I("pid", getpid()));
}

/* 0 when nothing is left. */
static int say_gauges(void)
{
    nrpc_gauges g;
    nrpc_gauges_read(&g);
    log_event(LOG_LEVEL_INFO, "gauges", LOG_I("connections", g.connections),
              LOG_I("calls", g.calls), LOG_I("messages", g.messages), LOG_I("blobs", g.blobs),
              LOG_I("cancels", g.cancels), LOG_I("channels", g.channels),
              LOG_I("timers", g.timers));
    bool empty = g.connections == 0 && g.calls == 0 && g.messages == 0 && g.blobs == 0 &&
                 g.cancels == 0 && g.channels == 0 && g.timers == 0;
    return empty ? 0 : EXIT_LEAK;
}

static int serve(nrpc_server *server, const struct settings *o, const sigset_t *ends)
{
    if (add_services(server, o) < 0)
        return fail("services", "they cannot be added");
    if (listen_on(server, o) < 0)
        return fail("listen", "the address cannot be bound");
    int r = nrpc_server_start(server);
    if (r < 0)
        return fail("start", nrpc_strerror(r));
    nrpc_server_set_serving(server, "", true);
    say_ready(server);
    int signal_number;
    while (sigwait(ends, &signal_number) != 0)
        continue;
    nrpc_server_stop(server, GRACE_MS);
    nrpc_server_wait(server);
    return 0;
}

int main(int argc, char **argv)
{
    char server_id[64];
    snprintf(server_id, sizeof server_id, "nrpc-%ld", (long) getpid());
    struct settings o = { .port = 0, .server_id = server_id };
    const struct flag flags[] = {
        { "port", FLAG_NUMBER, { .number = &o.port }, "port to listen on; 0 picks one" },
        { "bind", FLAG_TEXT, { .text = &o.bind }, "address to listen on; all when not given" },
        { "server_id",
          FLAG_TEXT,
          { .text = &o.server_id },
          "what fill_server_id is answered with" },
        { "loops", FLAG_NUMBER, { .number = &o.loops }, "event loops; 0: one a CPU" },
        { "max_concurrent_streams",
          FLAG_NUMBER,
          { .number = &o.max_streams },
          "streams a connection may open; 0: the runtime's default" },
        { "help", FLAG_SWITCH, { .on = &o.help }, "this list" },
        { 0 },
    };
    if (!flags_parse(flags, PROGRAM, argc, argv))
        return EXIT_USAGE;
    if (o.help) {
        flags_print(flags, PROGRAM);
        return 0;
    }
    log_setup(PROGRAM, STDOUT_FILENO, LOG_LEVEL_INFO);
    /* Before the loops' threads start, so that only this one takes them. */
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    sigprocmask(SIG_BLOCK, &ends, NULL);
    const nrpc_server_options options = { .loops = (uint16_t) o.loops,
                                          .max_streams = (uint32_t) o.max_streams };
    nrpc_server *server;
    int r = nrpc_server_new(&options, &server);
    if (r < 0)
        return fail("server", nrpc_strerror(r));
    int result = serve(server, &o, &ends);
    nrpc_server_free(server);
    return result != 0 ? result : say_gauges();
}
