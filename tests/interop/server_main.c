/* interop_server — the public gRPC interop test server on nrpc.h: TestService, BenchmarkService,
 * OpenRcaService, health and reflection on one port, until SIGTERM or SIGINT.  Prints a JSON line
 * "ready" with the bound address and port; after the drain a line "gauges" with the live objects of
 * the runtime, and exits 3 when one is left. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "interop_descriptors.h"
#include "rpc/base/log.h"
#include "tests/interop/flags.h"
#include "tests/interop/services.h"
#include "tests/interop/test_creds.h"
#include "tests/unit/rpc/tls_certs.h"

#define PROGRAM "interop_server"
enum { EXIT_USAGE = 2, EXIT_LEAK = 3, GRACE_MS = 2000 };

struct settings {
    int32_t port, loops, max_streams;
    const char *bind, *server_id, *certificate, *key, *client_ca;
    bool use_tls, verbose, help;
    nrpc_tls *tls;
    const char *ca; /* whom clients are to trust, where we know it */
};

static int fail(const char *what, const char *why)
{
    log_event(LOG_LEVEL_ERROR, "cannot_start", LOG_S("what", what), LOG_S("error", why));
    return 1;
}

/* The certificate that was given; else the public test certificate, where Debian has it; else one
 * made now, for localhost. */
static int open_tls(struct settings *o, bool *out_made)
{
    char why[256];
    *out_made = false;
    if (o->certificate == NULL && access(TEST_CREDS "server1.pem", R_OK) == 0) {
        o->certificate = TEST_CREDS "server1.pem";
        o->key = TEST_CREDS "server1.key";
        o->ca = TEST_CREDS "ca.pem";
    } else if (o->certificate == NULL) {
        certs_make();
        *out_made = true;
        o->certificate = certs_path("server.pem");
        o->key = certs_path("server.key");
        o->ca = certs_path("ca.pem");
    }
    const nrpc_tls_options tls = { .certificate_file = o->certificate,
                                   .key_file = o->key,
                                   .ca_file = o->client_ca,
                                   .require_client_certificate = o->client_ca != NULL };
    return nrpc_tls_server_new(&tls, &o->tls, why, sizeof why) < 0 ? fail("tls", why) : 0;
}

static int listen_at(nrpc_server *server, const char *address, const struct settings *o)
{
    return o->tls != NULL ? nrpc_server_listen_tls(server, address, o->tls)
                          : nrpc_server_listen(server, address);
}

/* All interfaces unless told otherwise, as the public servers do: IPv6's any-address takes IPv4,
 * too, where the machine has IPv6. */
static int listen_on(nrpc_server *server, const struct settings *o)
{
    char address[128];
    if (o->bind != NULL) {
        snprintf(address, sizeof address, "%s:%d", o->bind, o->port);
        return listen_at(server, address, o);
    }
    snprintf(address, sizeof address, "[::]:%d", o->port);
    if (listen_at(server, address, o) == 0)
        return 0;
    snprintf(address, sizeof address, "0.0.0.0:%d", o->port);
    return listen_at(server, address, o);
}

static int add_services(nrpc_server *server, const struct settings *o)
{
    int r = interop_add_test_service(server, o->server_id);
    if (r == 0)
        r = interop_add_benchmark_service(server);
    if (r == 0)
        r = interop_add_orca_service(server);
    if (r == 0)
        r = nrpc_server_add_health(server);
    if (r == 0)
        r = nrpc_server_add_reflection(
            server, (nrpc_slice){ interop_descriptors, interop_descriptors_size });
    return r;
}

static void say_ready(const nrpc_server *server, const struct settings *o)
{
    const char *address = nrpc_server_address(server, 0);
    const char *colon = strrchr(address, ':');
    log_event(LOG_LEVEL_INFO, "ready", LOG_S("address", address),
              LOG_S("port", colon == NULL ? "" : colon + 1), LOG_B("tls", o->tls != NULL),
              LOG_S("ca_file", o->ca), LOG_I("pid", getpid()));
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
    say_ready(server, o);
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
        { "use_tls", FLAG_SWITCH, { .on = &o.use_tls }, "TLS rather than plaintext" },
        { "tls_cert_file",
          FLAG_TEXT,
          { .text = &o.certificate },
          "certificate chain, PEM; else the public test certificate or a new one" },
        { "tls_key_file", FLAG_TEXT, { .text = &o.key }, "its key, PEM" },
        { "tls_client_ca_file",
          FLAG_TEXT,
          { .text = &o.client_ca },
          "asks clients for a certificate by this CA, PEM" },
        { "verbose", FLAG_SWITCH, { .on = &o.verbose }, "logs what the runtime says about peers" },
        { "help", FLAG_SWITCH, { .on = &o.help }, "this list" },
        { 0 },
    };
    if (!flags_parse(flags, PROGRAM, argc, argv))
        return EXIT_USAGE;
    if (o.help) {
        flags_print(flags, PROGRAM);
        return 0;
    }
    log_setup(PROGRAM, STDOUT_FILENO, o.verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
    /* Before the loops' threads start, so that only this one takes them. */
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    sigprocmask(SIG_BLOCK, &ends, NULL);
    const nrpc_server_options options = { .loops = (uint16_t) o.loops,
                                          .max_streams = (uint32_t) o.max_streams };
    nrpc_server *server = NULL;
    bool made = false;
    int result = o.use_tls ? open_tls(&o, &made) : 0;
    if (result == 0) {
        int r = nrpc_server_new(&options, &server);
        result = r < 0 ? fail("server", nrpc_strerror(r)) : serve(server, &o, &ends);
    }
    nrpc_server_free(server);
    nrpc_tls_unref(o.tls);
    if (made)
        certs_remove();
    return result != 0 ? result : say_gauges();
}
