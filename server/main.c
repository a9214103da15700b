/* main.c — novel-server: brings the parts up in order, waits for a signal, takes them down in the other. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core_pack.h"
#include "novel_served_embedded.h"
#include "rpc/base/alloc.h"
#include "rpc/base/log.h"
#include "server/admin.h"
#include "server/content_dir.h"
#include "server/secure.h"
#include "server/service/service.h"
#include "server/settings.h"

enum { POOL_QUEUE = 65536, WHY_BYTES = 512 };

struct program {
    struct settings settings;
    struct catalogue *shipped, *current;
    struct nvl_pack *pack;
    struct store *store;
    nrpc_pool *pool;
    struct jobs *jobs;
    nrpc_tls *tls; /* NULL: plain */
    nrpc_server *server;
    struct service *service;
    struct admin *admin;
    char why[WHY_BYTES];
};

static int fail(const char *what, const char *why)
{
    log_event(LOG_LEVEL_ERROR, "cannot_start", LOG_S("what", what), LOG_S("error", why));
    fprintf(stderr, "novel-server: %s: %s\n", what, why);
    return -1;
}

static int load_cards(struct program *p)
{
    struct card_error err = { 0 };
    if (catalogue_load(p->settings.cards, &p->shipped, &err) == 0)
        return 0;
    snprintf(p->why, sizeof p->why, err.line > 0 ? "%s:%d: %s" : "%s%.0d: %s", err.file, err.line, err.message);
    return fail("a character card is broken", p->why);
}

static int load_pack(struct program *p)
{
    if (p->settings.content != NULL && p->settings.content[0] != '\0')
        return content_compile(p->settings.content, &p->pack, p->why, sizeof p->why) == 0
                   ? 0
                   : fail("the story content does not compile", p->why);
    struct nvl_error err = { 0 };
    if (nvl_pack_open(core_pack, core_pack_size, &err, &p->pack) != NVL_OK)
        return fail("the built-in pack is damaged", err.message);
    return 0;
}

static int open_store(struct program *p)
{
    const struct store_options o = { .folder = p->settings.data };
    if (store_open(&o, &p->store, p->why, sizeof p->why) < 0)
        return fail("cannot open the store", p->why);
    if (service_load_overlays(p->store, p->shipped, &p->current, p->why, sizeof p->why) < 0)
        return fail("cannot open the store", p->why);
    return 0;
}

static int start_jobs(struct program *p)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    uint64_t loops = p->settings.threads > 0 ? p->settings.threads : cores / 2 > 0 ? (uint64_t) cores / 2 : 1;
    uint64_t rest = cores > (long) loops ? (uint64_t) cores - loops : 1;
    p->settings.threads = loops;
    if (p->settings.workers == 0)
        p->settings.workers = rest;
    int r = nrpc_pool_new((unsigned) p->settings.workers, POOL_QUEUE, &p->pool);
    if (r < 0)
        return fail("cannot start the workers", nrpc_strerror(r));
    const struct jobs_options o = {
        .store = p->store,
        .pool = p->pool,
        .pack = p->pack,
        .max_queued = (uint32_t) p->settings.max_queued,
        .max_running = (uint32_t) p->settings.max_running,
        .max_run_ms = p->settings.max_run_ms,
        .max_directed = (uint32_t) p->settings.max_directed,
        .max_awaiting = (uint32_t) p->settings.max_awaiting,
        .director_wait_ms = p->settings.director_wait_ms,
    };
    if (jobs_start(&o, &p->jobs, p->why, sizeof p->why) < 0)
        return fail("cannot take up the simulations", p->why);
    return 0;
}

static int log_calls_of(const char *word)
{
    return strcmp(word, "errors") == 0 ? SERVICE_LOG_ERRORS : strcmp(word, "all") == 0 ? SERVICE_LOG_ALL : SERVICE_LOG_CHANGES;
}

static int listen_all(struct program *p)
{
    for (size_t i = 0; i < p->settings.listen.count; i++) {
        const char *address = p->settings.listen.items[i];
        int r = p->tls != NULL && secure_covers(address) ? nrpc_server_listen_tls(p->server, address, p->tls)
                                                         : nrpc_server_listen(p->server, address);
        if (r < 0) {
            const char *why = r != NRPC_E_SYS    ? nrpc_strerror(r)
                              : errno == ENODATA ? "no such socket was handed over (LISTEN_FDS, LISTEN_FDNAMES)"
                                                 : strerror(errno);
            snprintf(p->why, sizeof p->why, "%s: %s", address, why);
            return fail("cannot listen", p->why);
        }
    }
    return 0;
}

static uint32_t or_never(uint64_t ms)
{
    return ms == 0 ? UINT32_MAX : (uint32_t) ms;
}

static void set_server_options(const struct settings *s, nrpc_server_options *o)
{
    nrpc_server_defaults(o);
    o->loops = (uint16_t) s->threads;
    o->max_connections = (uint32_t) s->max_connections;
    o->handshake_ms = (uint32_t) s->handshake_ms;
    o->idle_ms = (uint32_t) s->idle_ms;
    o->stall_ms = (uint32_t) s->stall_ms;
    o->keepalive_ms = or_never(s->keepalive_ms);
    o->keepalive_timeout_ms = (uint32_t) s->keepalive_timeout_ms;
    o->keepalive_min_ms = or_never(s->keepalive_min_ms);
    o->keepalive_permit_idle = s->keepalive_permit_idle;
    o->max_age_ms = or_never(s->max_age_ms);
    o->max_age_grace_ms = or_never(s->max_age_grace_ms);
}

static int load_certificates(struct program *p)
{
    return secure_load(&p->settings, &p->tls, p->why, sizeof p->why) == 0 ? 0 : fail("cannot use the certificates", p->why);
}

static int add_own_services(struct program *p)
{
    int r = nrpc_server_add_health(p->server);
    if (r == 0 && p->settings.reflection)
        r = nrpc_server_add_reflection(p->server, (nrpc_slice) { novel_served, novel_served_size });
    if (r == 0 && p->settings.channelz)
        r = nrpc_server_add_channelz(p->server);
    return r;
}

static int start_server(struct program *p)
{
    nrpc_server_options o;
    set_server_options(&p->settings, &o);
    int r = nrpc_server_new(&o, &p->server);
    if (r < 0)
        return fail("cannot make the server", nrpc_strerror(r));
    const struct service_options s = {
        .store = p->store,
        .jobs = p->jobs,
        .pack = p->pack,
        .pool = p->pool,
        .server = p->server,
        .shipped = p->shipped,
        .current = p->current,
        .log_calls = log_calls_of(p->settings.log_calls),
    };
    if ((r = service_new(&s, &p->service)) < 0 || (r = add_own_services(p)) < 0)
        return fail("cannot make the service", nrpc_strerror(r));
    if (listen_all(p) < 0)
        return -1;
    if ((r = nrpc_server_start(p->server)) < 0)
        return fail("cannot start the loops", r == NRPC_E_SYS ? strerror(errno) : nrpc_strerror(r));
    return 0;
}

static bool is_ready(void *ctx, const char **out_why)
{
    struct program *p = ctx;
    if (store_get_health(p->store) == STORE_WRITABLE)
        return true;
    *out_why = "the store cannot be written\n";
    return false;
}

/* Once a second: figures for GetSystemStatus; health follows the store. */
static void on_sample(void *ctx, double memory_mb, double cpu_percent)
{
    struct program *p = ctx;
    const char *why;
    service_set_sample(p->service, (struct service_sample) { memory_mb, cpu_percent });
    nrpc_server_set_serving(p->server, "novelengine.v1.NovelEngine", is_ready(p, &why));
    nrpc_server_set_serving(p->server, "", is_ready(p, &why));
}

static int start_admin(struct program *p)
{
    const struct admin_options o = { p->settings.admin, is_ready, on_sample, p };
    if (admin_start(&o, &p->admin, p->why, sizeof p->why) < 0)
        return fail("cannot serve --admin", p->why);
    return 0;
}

static void log_ready(const struct program *p)
{
    char digest[65];
    sha256_hex(nvl_pack_digest(p->pack), digest);
    for (size_t i = 1; nrpc_server_address(p->server, i) != NULL; i++)
        log_event(LOG_LEVEL_INFO, "listening", LOG_S("address", nrpc_server_address(p->server, i)));
    log_event(LOG_LEVEL_INFO, "ready", LOG_S("address", nrpc_server_address(p->server, 0)),
              LOG_S("admin", admin_address(p->admin)), LOG_U("pid", (uint64_t) getpid()),
              LOG_B("tls", p->tls != NULL), LOG_S("version", NOVEL_VERSION), LOG_S("data", p->settings.data), LOG_S("pack", digest),
              LOG_U("characters", p->current->count), LOG_U("threads", p->settings.threads),
              LOG_U("workers", p->settings.workers));
}

/* Whatever was brought up, in the other order. */
static void take_down(struct program *p)
{
    admin_stop(p->admin);
    if (p->server != NULL) {
        nrpc_server_stop(p->server, (uint32_t) p->settings.grace_ms);
        nrpc_server_wait(p->server);
    }
    if (p->service != NULL)
        service_halt(p->service);
    jobs_stop(p->jobs);
    nrpc_pool_free(p->pool);
    store_close(p->store);
    nrpc_server_free(p->server);
    nrpc_tls_unref(p->tls);
    service_free(p->service);
    nvl_pack_free(p->pack);
    catalogue_unref(p->current);
    catalogue_unref(p->shipped);
    settings_done(&p->settings);
}

/* A gRPC connection is a descriptor: take as many as the system lets us. */
static void raise_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void) setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int main(int argc, char **argv)
{
    struct program p = { 0 };
    enum options_result parsed = settings_parse(&p.settings, argc, argv);
    if (parsed == OPTIONS_CHECKED && secure_load(&p.settings, &p.tls, p.why, sizeof p.why) < 0) {
        fprintf(stderr, "novel-server: %s\n", p.why);
        parsed = OPTIONS_BAD;
    }
    if (parsed != OPTIONS_RUN) {
        nrpc_tls_unref(p.tls);
        settings_done(&p.settings);
        return parsed == OPTIONS_BAD ? 2 : 0;
    }
    log_setup("novel-server", STDOUT_FILENO, (enum log_level) log_level_parse(p.settings.log_level));
    raise_descriptors();
    signal(SIGPIPE, SIG_IGN);
    sigset_t signals; /* blocked before any thread starts, so that only sigwait sees them */
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);

    bool up = load_certificates(&p) == 0 && load_cards(&p) == 0 && load_pack(&p) == 0 && open_store(&p) == 0 && start_jobs(&p) == 0 &&
              start_server(&p) == 0 && start_admin(&p) == 0;
    if (up) {
        log_ready(&p);
        int got = secure_wait(&signals, p.tls);
        log_event(LOG_LEVEL_INFO, "stopping", LOG_S("signal", strsignal(got)), LOG_U("grace_ms", p.settings.grace_ms));
    }
    take_down(&p);
    if (up)
        log_event(LOG_LEVEL_INFO, "stopped");
    return up ? 0 : 1;
}
