/* main.c — novel-gateway: settings, threads, signals. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gateway/conn.h"
#include "gateway/gateway.h"
#include "gateway/secure.h"
#include "rpc/base/alloc.h"
#include "rpc/base/log.h"
#include "rpc/io/listener.h"

enum { LISTENERS_MAX = 16, LOOPS_MAX = 256 };

static struct gateway gateway;

static const struct option table[] = {
    { .name = "listen",
      .kind = OPTION_LIST,
      .target = &gateway.settings.listen,
      .default_text = "127.0.0.1:8000",
      .value_name = "ADDRESS",
      .help = "Where HTTP is served: HOST:PORT (port 0 picks one), [HOST]:PORT, "
              "unix:PATH[?mode=OCTAL], fd:N or systemd[:NAME]; may be given several times." },
    { .name = "tls-cert",
      .kind = OPTION_STRING,
      .target = &gateway.settings.tls_cert,
      .value_name = "FILE",
      .help = "Certificate chain (PEM): every --listen but unix sockets speaks HTTPS.  Read again "
              "when it changes and on SIGHUP." },
    { .name = "tls-key",
      .kind = OPTION_STRING,
      .target = &gateway.settings.tls_key,
      .value_name = "FILE",
      .help = "Its private key (PEM, without a passphrase)." },
    { .name = "tls-client-ca",
      .kind = OPTION_STRING,
      .target = &gateway.settings.tls_client_ca,
      .value_name = "FILE",
      .help = "Clients must show a certificate that one of these CAs signed (PEM)." },
    { .name = "tls-min-version",
      .kind = OPTION_STRING,
      .target = &gateway.settings.tls_min_version,
      .default_text = "1.2",
      .choices = "1.2|1.3",
      .value_name = "VERSION",
      .help = "Least TLS version of clients." },
    { .name = "backend",
      .kind = OPTION_LIST,
      .target = &gateway.settings.backend,
      .default_text = "127.0.0.1:50051",
      .value_name = "ADDRESS",
      .help = "The gRPC servers, as HOST:PORT or unix:PATH, joined by commas or given several "
              "times; calls go round." },
    { .name = "backend-tls",
      .kind = OPTION_BOOL,
      .target = &gateway.settings.backend_tls,
      .default_text = "false",
      .help = "Go to the servers over TLS; so does any of the next four." },
    { .name = "backend-ca",
      .kind = OPTION_STRING,
      .target = &gateway.settings.backend_ca,
      .value_name = "FILE",
      .help = "CAs that sign the servers' certificates (PEM); the system's when absent." },
    { .name = "backend-cert",
      .kind = OPTION_STRING,
      .target = &gateway.settings.backend_cert,
      .value_name = "FILE",
      .help = "The certificate that the gateway shows to the servers (PEM)." },
    { .name = "backend-key",
      .kind = OPTION_STRING,
      .target = &gateway.settings.backend_key,
      .value_name = "FILE",
      .help = "Its private key (PEM, without a passphrase)." },
    { .name = "backend-name",
      .kind = OPTION_STRING,
      .target = &gateway.settings.backend_name,
      .value_name = "NAME",
      .help = "The name in the servers' certificates, when it is not the host of --backend." },
    { .name = "descriptors",
      .kind = OPTION_STRING,
      .target = &gateway.settings.descriptors,
      .value_name = "FILE",
      .help = "A FileDescriptorSet (protoc --include_imports --descriptor_set_out) of other "
              "services to serve instead of Novel Engine; or the word reflection, to ask the "
              "server.  Read again on SIGHUP." },
    { .name = "descriptor-set",
      .kind = OPTION_STRING,
      .target = &gateway.settings.descriptor_set,
      .value_name = "FILE",
      .help = "The same as --descriptors, which goes before it." },
    { .name = "http-rules",
      .kind = OPTION_STRING,
      .target = &gateway.settings.http_rules,
      .value_name = "FILE",
      .help = "HTTP rules of methods whose protos have none, or other ones: the http part of a "
              "google.api.Service configuration in YAML.  Read again on SIGHUP." },
    { .name = "prefix",
      .kind = OPTION_STRING,
      .target = &gateway.settings.prefix,
      .default_text = "/api",
      .value_name = "PATH",
      .help = "Mounts every route below this path as well; empty for none." },
    { .name = "threads",
      .kind = OPTION_UINT,
      .target = &gateway.settings.threads,
      .default_text = "0",
      .max = LOOPS_MAX,
      .value_name = "N",
      .help = "Event loops; 0 takes one for every two processors." },
    { .name = "max-body-bytes",
      .kind = OPTION_UINT,
      .target = &gateway.settings.max_body_bytes,
      .default_text = "4194304",
      .min = 1,
      .max = 1u << 30,
      .value_name = "BYTES",
      .help = "Largest request body; a larger one is answered 413." },
    { .name = "max-connections",
      .kind = OPTION_UINT,
      .target = &gateway.settings.max_connections,
      .default_text = "10000",
      .min = 1,
      .max = 1000000,
      .value_name = "N",
      .help = "Connections in all; further ones are closed at once." },
    { .name = "timeout-ms",
      .kind = OPTION_UINT,
      .target = &gateway.settings.timeout_ms,
      .default_text = "60000",
      .max = 86400000,
      .value_name = "MS",
      .help = "Deadline of a unary call without a Grpc-Timeout or X-Request-Timeout header; 0 for "
              "none." },
    { .name = "timeout-max-ms",
      .kind = OPTION_UINT,
      .target = &gateway.settings.timeout_max_ms,
      .default_text = "3600000",
      .min = 1,
      .max = 86400000,
      .value_name = "MS",
      .help = "Longest deadline that such a header gets; one that asks for more gets this." },
    { .name = "max-waiting",
      .kind = OPTION_UINT,
      .target = &gateway.settings.max_waiting,
      .default_text = "10000",
      .min = 1,
      .max = 1000000,
      .value_name = "N",
      .help = "Calls in all that may wait for a free stream to the servers, which take so many at "
              "a time; a further one is answered 503 with Retry-After at once.  Each keeps its "
              "request in memory." },
    { .name = "grace-ms",
      .kind = OPTION_UINT,
      .target = &gateway.settings.grace_ms,
      .default_text = "10000",
      .max = 600000,
      .value_name = "MS",
      .help = "How long answers in progress may take after SIGTERM." },
    { .name = "cors-origin",
      .kind = OPTION_LIST,
      .target = &gateway.settings.cors_origin,
      .value_name = "ORIGIN",
      .help =
          "An origin whose pages may call (https://example.org, or * for all); none by default." },
    { .name = "pass-metadata",
      .kind = OPTION_LIST,
      .target = &gateway.settings.pass_metadata,
      .value_name = "NAME",
      .help = "Metadata of the servers' answers that clients get as a header, and at the end of a "
              "stream as a trailer; none by default." },
    { .name = "compression",
      .kind = OPTION_BOOL,
      .target = &gateway.settings.compression,
      .default_text = "true",
      .help = "Answers in zstd, Brotli or gzip to clients that take them; streams are flushed with "
              "each event." },
    { .name = "balance",
      .kind = OPTION_STRING,
      .target = &gateway.settings.balance,
      .default_text = "round-robin",
      .choices = "round-robin|least-calls|first",
      .value_name = "HOW",
      .help = "Which of several servers gets the next call." },
    { .name = "health-check",
      .kind = OPTION_STRING,
      .target = &gateway.settings.health_check,
      .default_text = "auto",
      .choices = "auto|on|off",
      .value_name = "WHEN",
      .help = "Calls go only to servers whose grpc.health.v1 says SERVING; auto: when there are "
              "several." },
    { .name = "eject-after",
      .kind = OPTION_UINT,
      .target = &gateway.settings.eject_after,
      .default_text = "5",
      .max = 1000,
      .value_name = "N",
      .help = "Failures in a row that open the circuit of one of several servers: it gets no calls "
              "for a while, then one that decides; 0 for never." },
    { .name = "rate-limit",
      .kind = OPTION_UINT,
      .target = &gateway.settings.rate_limit,
      .default_text = "0",
      .max = 1000000,
      .value_name = "N",
      .help = "Requests a second that one client address may make; more are answered 429.  0 for "
              "no limit." },
    { .name = "rate-burst",
      .kind = OPTION_UINT,
      .target = &gateway.settings.rate_burst,
      .default_text = "0",
      .max = 1000000,
      .value_name = "N",
      .help = "Requests it may make at once after a rest; 0: as many as rate-limit." },
    { .name = "trusted-proxy",
      .kind = OPTION_LIST,
      .target = &gateway.settings.trusted_proxy,
      .value_name = "IP",
      .help = "Proxies whose X-Forwarded-For tells the client's address; none by default." },
    { .name = "cache-bytes",
      .kind = OPTION_UINT,
      .target = &gateway.settings.cache_bytes,
      .default_text = "16777216",
      .max = 1u << 30,
      .value_name = "BYTES",
      .help = "Room for cached answers in each loop; 0 for no cache. It is used only while the "
              "servers report every "
              "change." },
    { .name = "log-level",
      .kind = OPTION_STRING,
      .target = &gateway.settings.log_level,
      .default_text = "info",
      .choices = "debug|info|warn|error|off",
      .value_name = "LEVEL",
      .help = "Least severity that is logged; info holds a line per request." },
};

static const struct options options = {
    .program = "novel-gateway",
    .version = NOVEL_VERSION,
    .summary = "REST, JSON and server-sent events in front of gRPC services.",
    .usage = "novel-gateway [options]",
    .env_prefix = "NOVEL_GATEWAY",
    .epilogue = "Examples:\n"
                "  novel-gateway --listen 0.0.0.0:8000 --backend 10.0.0.1:50051,10.0.0.2:50051\n"
                "  novel-gateway --listen 0.0.0.0:8443 --tls-cert site.pem --tls-key site.key \\\n"
                "                --backend novel.internal:50051 --backend-ca internal-ca.pem\n"
                "  novel-gateway --descriptors shop.fds --backend 127.0.0.1:9000 --prefix ''\n"
                "  curl http://127.0.0.1:8000/health\n\n"
                "Exit status: 0 stopped by SIGTERM or SIGINT, 1 could not start, 2 bad settings.\n",
    .table = table,
    .count = ARRAY_SIZE(table),
};

struct worker {
    pthread_t thread;
    nrpc_loop *loop;
    bool running;
};
static struct worker workers[LOOPS_MAX];
static struct listener *listeners[LISTENERS_MAX];

struct drain_task {
    nrpc_task task;
    struct gateway_loop *gl;
};
static struct drain_task drains[LOOPS_MAX];

static void *run_loop(void *arg)
{
    struct worker *w = arg;
    int r = nrpc_loop_run(w->loop);
    if (r < 0)
        log_event(LOG_LEVEL_ERROR, "loop_failed", LOG_S("reason", nrpc_strerror(r)));
    return NULL;
}

static void on_accept(void *ctx, nrpc_loop *loop, int fd, const char *peer,
                      const struct sock_tls *tls)
{
    (void) ctx;
    (void) peer;
    conn_open(loop_slot(loop, LOOP_SLOT_USER), fd, tls);
}

static void on_drain(nrpc_task *t, nrpc_loop *loop)
{
    (void) loop;
    gateway_loop_drain(CONTAINER_OF(t, struct drain_task, task)->gl);
}

static int fail(const char *what, const char *why)
{
    log_event(LOG_LEVEL_ERROR, "start_failed", LOG_S("what", what), LOG_S("reason", why));
    fprintf(stderr, "novel-gateway: %s: %s\n", what, why);
    return -1;
}

static size_t loops_wanted(void)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    size_t n = gateway.settings.threads;
    if (n == 0)
        n = processors < 4 ? 1 : (size_t) processors / 2;
    return n > LOOPS_MAX ? LOOPS_MAX : n;
}

static int make_loops(void)
{
    size_t n = loops_wanted();
    gateway.loops = alloc_zero(n, sizeof *gateway.loops);
    if (gateway.loops == NULL)
        return fail("loops", "out of memory");
    for (; gateway.n_loops < n; gateway.n_loops++) {
        size_t i = gateway.n_loops;
        int r = nrpc_loop_new(&workers[i].loop);
        if (r == 0)
            r = gateway_loop_init(&gateway.loops[i], &gateway, workers[i].loop);
        if (r < 0)
            return fail("loops", nrpc_strerror(r));
    }
    return 0;
}

static int open_listeners(void)
{
    static nrpc_loop *loops[LOOPS_MAX]; /* the listeners borrow it */
    const struct option_list *list = &gateway.settings.listen;
    if (list->count == 0 || list->count > LISTENERS_MAX)
        return fail("listen", "between 1 and 16 addresses are needed");
    for (size_t i = 0; i < gateway.n_loops; i++)
        loops[i] = workers[i].loop;
    for (size_t i = 0, opened = 0; i < list->count; i++) {
        size_t n = 0;
        struct listener_options o = { .address = list->items[i],
                                      .loops = loops,
                                      .n_loops = gateway.n_loops,
                                      .max_connections =
                                          (uint32_t) gateway.settings.max_connections,
                                      .on_accept = on_accept,
                                      .tls = secure_front(&gateway, list->items[i]) };
        int r = listener_open(&o, &listeners[opened], LISTENERS_MAX - opened, &n);
        if (r < 0)
            return fail(list->items[i], r != NRPC_E_SYS ? nrpc_strerror(r)
                                        : errno == ENODATA
                                            ? "no such socket was handed over (LISTEN_FDS)"
                                            : strerror(errno));
        opened += n;
    }
    return 0;
}

static int start_threads(void)
{
    for (size_t i = 0; i < gateway.n_loops; i++) {
        if (pthread_create(&workers[i].thread, NULL, run_loop, &workers[i]) != 0)
            return fail("threads", "cannot be created");
        workers[i].running = true;
    }
    for (size_t i = 0; i < LISTENERS_MAX && listeners[i] != NULL; i++)
        log_event(LOG_LEVEL_INFO, "ready", LOG_S("address", listener_address(listeners[i])),
                  LOG_S("backend", gateway.target),
                  LOG_U("routes", router_count(gateway.table->router)),
                  LOG_U("loops", gateway.n_loops), LOG_U("pid", (uint64_t) getpid()));
    return 0;
}

static void stop_threads(void)
{
    for (size_t i = 0; i < LISTENERS_MAX && listeners[i] != NULL; i++)
        listener_stop(listeners[i]);
    for (size_t i = 0; i < gateway.n_loops; i++) {
        if (!workers[i].running)
            continue;
        drains[i] = (struct drain_task){ .task = { .run = on_drain }, .gl = &gateway.loops[i] };
        nrpc_loop_post(workers[i].loop, &drains[i].task);
    }
    for (size_t i = 0; i < gateway.n_loops; i++)
        if (workers[i].running)
            pthread_join(workers[i].thread, NULL);
}

static void clean_up(void)
{
    for (size_t i = 0; i < LISTENERS_MAX && listeners[i] != NULL; i++)
        listener_free(listeners[i]);
    for (size_t i = 0; i < LOOPS_MAX && workers[i].loop != NULL; i++) {
        nrpc_loop_free(workers[i].loop);
        gateway_loop_done(&gateway.loops[i]);
    }
    alloc_free(gateway.loops);
    gateway_unload(&gateway);
    secure_unload(&gateway);
    options_done(&options);
}

/* SIGHUP: what cannot be read leaves all as it was. */
static void reload(void)
{
    char error[512] = "";
    if (gateway_reload(&gateway, error) < 0)
        log_event(LOG_LEVEL_ERROR, "reload_failed", LOG_S("reason", error));
    else
        log_event(LOG_LEVEL_INFO, "reloaded", LOG_U("routes", router_count(gateway.table->router)));
}

static int serve(const sigset_t *signals)
{
    char error[512] = "";
    if (secure_load(&gateway, error) < 0)
        return fail("certificates", error);
    if (gateway_load(&gateway, error) < 0)
        return fail("descriptors", error);
    if (make_loops() < 0 || open_listeners() < 0)
        return -1;
    int r = start_threads();
    if (r == 0) {
        int received;
        while ((received = secure_wait(signals, &gateway)) == SIGHUP)
            reload();
        log_event(LOG_LEVEL_INFO, "stopping", LOG_S("signal", strsignal(received)));
    }
    stop_threads();
    return r;
}

int main(int argc, char **argv)
{
    sigset_t signals;
    enum options_result parsed = options_parse(&options, argc, argv);
    char error[512] = "";
    if (parsed == OPTIONS_CHECKED && secure_load(&gateway, error) < 0) {
        fprintf(stderr, "novel-gateway: %s\n", error);
        parsed = OPTIONS_BAD;
    }
    if (parsed != OPTIONS_RUN) {
        secure_unload(&gateway);
        options_done(&options);
        return parsed == OPTIONS_BAD ? 2 : 0;
    }
    log_setup("novel-gateway", STDOUT_FILENO,
              (enum log_level) log_level_parse(gateway.settings.log_level));
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    int r = serve(&signals);
    clean_up();
    if (r == 0)
        log_event(LOG_LEVEL_INFO, "stopped");
    return r < 0 ? 1 : 0;
}
