#include "server/settings.h"

#include "rpc/base/check.h"

enum { OPTIONS_COUNT = 32, MS_MAX = 2147483647 };

static const char epilogue[] =
    "Examples:\n"
    "  novel-server --data /var/lib/novel-engine\n"
    "  novel-server --listen unix:/run/novel/server.sock --listen 127.0.0.1:50051 --admin 127.0.0.1:9090\n"
    "  novel-server --listen 0.0.0.0:50051 --tls-cert server.pem --tls-key server.key --tls-client-ca clients-ca.pem\n"
    "\n"
    "SIGTERM and SIGINT drain: no new calls, running ones finish within --grace-ms, simulations are parked where\n"
    "they are durable and go on at the next start.  SIGHUP reads the certificates again.\n"
    "Exit status: 0 stopped as asked, 1 could not start or run, 2 wrong settings.";

static void fill_table(struct settings *s, struct option table[OPTIONS_COUNT])
{
    const struct option rows[OPTIONS_COUNT] = {
        { "listen", OPTION_LIST, &s->listen, "127.0.0.1:50051", 0, 0, "ADDR",
          "Serve gRPC on HOST:PORT (port 0 picks one), unix:PATH[?mode=OCTAL], fd:N or systemd[:NAME]; may be repeated.",
          NULL, false },
        { "tls-cert", OPTION_STRING, &s->tls_cert, NULL, 0, 0, "FILE",
          "Certificate chain (PEM): every --listen but unix sockets speaks TLS.  Read again when it changes and on SIGHUP.",
          NULL, false },
        { "tls-key", OPTION_STRING, &s->tls_key, NULL, 0, 0, "FILE", "Its private key (PEM, without a passphrase).", NULL,
          false },
        { "tls-client-ca", OPTION_STRING, &s->tls_client_ca, NULL, 0, 0, "FILE",
          "Clients must show a certificate that one of these CAs signed (PEM).", NULL, false },
        { "tls-min-version", OPTION_STRING, &s->tls_min_version, "1.2", 0, 0, "VERSION", "Least TLS version.", "1.2|1.3",
          false },
        { "data", OPTION_STRING, &s->data, "novel-data", 0, 0, "DIR", "Folder of the store; made when it is not there.",
          NULL, false },
        { "cards", OPTION_STRING, &s->cards, NULL, 0, 0, "DIR", "Character cards that add to and replace the built-in ones.",
          NULL, false },
        { "content", OPTION_STRING, &s->content, NULL, 0, 0, "DIR",
          "Story content: .tale sources to use instead of the built-in pack.", NULL, false },
        { "admin", OPTION_STRING, &s->admin, NULL, 0, 0, "ADDR", "Answer /livez, /readyz and /metrics over HTTP on HOST:PORT.", NULL,
          false },
        { "threads", OPTION_UINT, &s->threads, "0", 0, 256, "N", "Event loops; 0: half of the cores, at least one.", NULL,
          false },
        { "workers", OPTION_UINT, &s->workers, "0", 0, 256, "N", "Simulation workers; 0: the other cores, at least one.",
          NULL, false },
        { "max-queued", OPTION_UINT, &s->max_queued, "1000", 1, 1000000, "N", "Unfinished simulations at a time.", NULL,
          false },
        { "max-running", OPTION_UINT, &s->max_running, "64", 1, 10000, "N", "Of them, with their state in memory.", NULL,
          false },
        { "max-run-ms", OPTION_UINT, &s->max_run_ms, "600000", 1, 86400000, "MS",
          "Longest run of one simulation; waiting for a director does not count.",
          NULL, false },
        { "max-directed", OPTION_UINT, &s->max_directed, "64", 1, 10000, "N", "Simulations with a director at a time.",
          NULL, false },
        { "max-awaiting", OPTION_UINT, &s->max_awaiting, "10000", 1, 1000000, "N",
          "Simulations that wait for a director, on the disk only; --max-queued does not count them.", NULL, false },
        { "director-wait-ms", OPTION_UINT, &s->director_wait_ms, "60000", 1, 86400000, "MS",
          "How long a simulation waits for a director who left before it goes on, or is cancelled, as he wished.", NULL,
          false },
        { "max-connections", OPTION_UINT, &s->max_connections, "10000", 1, 1000000, "N", "Client connections at a time.",
          NULL, false },
        { "grace-ms", OPTION_UINT, &s->grace_ms, "10000", 0, 3600000, "MS", "How long running calls may take to finish.",
          NULL, false },
        { "log-level", OPTION_STRING, &s->log_level, "info", 0, 0, "LEVEL", "Least severity that is logged.",
          "debug|info|warn|error|off", false },
        { "log-calls", OPTION_STRING, &s->log_calls, "changes", 0, 0, "WHICH",
          "Calls that are logged; those that fail or take over a second always are.", "errors|changes|all", false },
        { "handshake-ms", OPTION_UINT, &s->handshake_ms, "10000", 1, MS_MAX, "MS",
          "How long a new connection may take to speak HTTP/2.", NULL, false },
        { "idle-ms", OPTION_UINT, &s->idle_ms, "300000", 1, MS_MAX, "MS", "A connection without calls is closed after.",
          NULL, false },
        { "stall-ms", OPTION_UINT, &s->stall_ms, "30000", 1, MS_MAX, "MS",
          "A peer that does not take or send what is due is given up after.", NULL, false },
        { "keepalive-ms", OPTION_UINT, &s->keepalive_ms, "7200000", 0, MS_MAX, "MS",
          "A silent connection is sent a PING after; 0: never.", NULL, false },
        { "keepalive-timeout-ms", OPTION_UINT, &s->keepalive_timeout_ms, "20000", 1, MS_MAX, "MS",
          "And closed without an answer after.", NULL, false },
        { "keepalive-min-ms", OPTION_UINT, &s->keepalive_min_ms, "300000", 0, MS_MAX, "MS",
          "Least time between a client's keepalive PINGs; 0: any.", NULL, false },
        { "keepalive-permit-idle", OPTION_BOOL, &s->keepalive_permit_idle, "false", 0, 0, NULL,
          "Clients may send them without calls, too.", NULL, false },
        { "max-age-ms", OPTION_UINT, &s->max_age_ms, "1800000", 0, MS_MAX, "MS",
          "Clients are asked to reconnect after, +-10 %; 0: never.", NULL, false },
        { "max-age-grace-ms", OPTION_UINT, &s->max_age_grace_ms, "30000", 0, MS_MAX, "MS",
          "And their calls end after; 0: never.", NULL, false },
        { "reflection", OPTION_BOOL, &s->reflection, "true", 0, 0, NULL,
          "Describe the services to grpcurl and its like; --reflection=false does not.", NULL, false },
        { "channelz", OPTION_BOOL, &s->channelz, "false", 0, 0, NULL,
          "Serve grpc.channelz.v1: shows every client's address and traffic to whoever can connect.", NULL, false },
    };
    for (size_t i = 0; i < OPTIONS_COUNT; i++)
        table[i] = rows[i];
}

static struct options describe(const struct option *table, size_t count)
{
    return (struct options) {
        .program = "novel-server",
        .version = NOVEL_VERSION,
        .summary = "novel-server — simulates stories and serves them over gRPC.",
        .usage = "novel-server [options]",
        .env_prefix = "NOVEL_SERVER",
        .epilogue = epilogue,
        .table = table,
        .count = count,
    };
}

enum options_result settings_parse(struct settings *s, int argc, char **argv)
{
    struct option table[OPTIONS_COUNT];
    fill_table(s, table);
    const struct options o = describe(table, ARRAY_SIZE(table));
    return options_parse(&o, argc, argv);
}

void settings_done(struct settings *s)
{
    struct option table[OPTIONS_COUNT];
    fill_table(s, table);
    const struct options o = describe(table, ARRAY_SIZE(table));
    options_done(&o);
}
