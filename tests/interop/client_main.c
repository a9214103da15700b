/* interop_client — the public gRPC interop test client on nrpc.h: runs one test case, or all,
 * against a server, says what it asserts, and exits 0 when all of it held, 1 when not, 77 when
 * the one case that was asked for is none of ours, 2 for wrong flags.  Every case has a channel
 * of its own, after which no object of the runtime may be left. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "rpc/base/alloc.h"
#include "tests/interop/client.h"
#include "tests/interop/flags.h"
#include "tests/interop/test_creds.h"

#define PROGRAM "interop_client"
enum { EXIT_USAGE = 2, EXIT_SKIPPED = 77, METADATA_MAX = 64 };

static bool nothing_left(void)
{
    nrpc_gauges g;
    nrpc_gauges_read(&g);
    bool empty = g.connections == 0 && g.calls == 0 && g.messages == 0 && g.blobs == 0 &&
                 g.cancels == 0 && g.channels == 0 && g.timers == 0;
    return expect(empty,
                  "nothing is left: %lld connections, %lld calls, %lld messages, %lld channels, "
                  "%lld timers",
                  (long long) g.connections, (long long) g.calls, (long long) g.messages,
                  (long long) g.channels, (long long) g.timers);
}

static enum outcome run_case(const struct interop_case *c, struct run *r)
{
    if (c->run == NULL) {
        printf("%s: skipped: %s\n", c->name, c->why);
        return CASE_SKIPPED;
    }
    printf("%s\n", c->name);
    int error = peer_open(&r->peer, &r->channel);
    if (error < 0)
        return expect(false, "the channel opens: %s", nrpc_strerror(error)) ? CASE_PASSED
                                                                            : CASE_FAILED;
    bool good = c->run(r);
    peer_close(&r->peer);
    good = nothing_left() && good;
    printf("%s: %s\n", c->name, good ? "passed" : "FAILED");
    if (!good)
        fprintf(stderr, PROGRAM ": %s failed\n", c->name);
    fflush(stdout);
    return good ? CASE_PASSED : CASE_FAILED;
}

static int run_all(struct run *r)
{
    int counts[3] = { 0 };
    for (const struct interop_case *c = interop_cases; c->name != NULL; c++)
        counts[run_case(c, r)]++;
    printf("%d passed, %d failed, %d skipped\n", counts[CASE_PASSED], counts[CASE_FAILED],
           counts[CASE_SKIPPED]);
    return counts[CASE_FAILED] == 0 ? 0 : 1;
}

static int run_named(struct run *r, const char *name)
{
    if (strcmp(name, "all") == 0)
        return run_all(r);
    for (const struct interop_case *c = interop_cases; c->name != NULL; c++)
        if (strcmp(c->name, name) == 0) {
            enum outcome outcome = run_case(c, r);
            return outcome == CASE_PASSED ? 0 : outcome == CASE_SKIPPED ? EXIT_SKIPPED : 1;
        }
    fprintf(stderr, PROGRAM ": no test case %s (--list names them)\n", name);
    return EXIT_USAGE;
}

/* "key1:value1;key2:value2" to pairs in `text`, which it cuts up; false when it is no such list. */
static bool split_metadata(char *text, const char *out_pairs[METADATA_MAX + 1])
{
    size_t n = 0;
    for (char *at = text; at != NULL && *at != '\0';) {
        char *end = strchr(at, ';'), *colon = strchr(at, ':');
        if (colon == NULL || (end != NULL && colon > end) || n + 2 > METADATA_MAX)
            return false;
        *colon = '\0';
        if (end != NULL)
            *end++ = '\0';
        out_pairs[n++] = at;
        out_pairs[n++] = colon + 1;
        at = end;
    }
    out_pairs[n] = NULL;
    return true;
}

/* The trust that was asked for: a file, the public test CA where Debian has it, or the system's. */
static int open_tls(const struct settings *o, nrpc_tls **out_tls)
{
    char why[256];
    const char *ca = o->ca_file;
    if (ca == NULL && o->use_test_ca) {
        ca = TEST_CREDS "ca.pem";
        if (access(ca, R_OK) != 0) {
            fprintf(stderr, PROGRAM ": --use_test_ca needs --ca_file here: there is no %s\n", ca);
            return EXIT_USAGE;
        }
    }
    const nrpc_tls_options tls = { .ca_file = ca,
                                   .certificate_file = o->certificate,
                                   .key_file = o->key };
    if (nrpc_tls_client_new(&tls, out_tls, why, sizeof why) == 0)
        return 0;
    fprintf(stderr, PROGRAM ": %s\n", why);
    return EXIT_USAGE;
}

static int run(const struct settings *o)
{
    char target[300];
    nrpc_tls *tls = NULL;
    int result = o->use_tls ? open_tls(o, &tls) : 0;
    if (result != 0)
        return result;
    const char *pairs[METADATA_MAX + 1] = { NULL };
    char *metadata = alloc_strdup(o->additional_metadata);
    if (metadata == NULL || !split_metadata(metadata, pairs)) {
        fprintf(stderr, PROGRAM ": --additional_metadata is a list like key:value;key:value\n");
        alloc_free(metadata);
        nrpc_tls_unref(tls);
        return EXIT_USAGE;
    }
    bool v6 = strchr(o->server_host, ':') != NULL;
    snprintf(target, sizeof target, v6 ? "[%s]:%d" : "%s:%d", o->server_host, o->server_port);
    struct run r = { .settings = o,
                     .channel = { .target = target,
                                  .user_agent = PROGRAM,
                                  .tls = tls,
                                  .authority = o->server_host_override } };
    r.peer.metadata = pairs;
    result = run_named(&r, o->test_case);
    alloc_free(metadata);
    nrpc_tls_unref(tls);
    return result;
}

/* Flags of the public client that ask for what is not built here: taken, so that its command lines
 * work; the cases they are for say that they are skipped. */
static const char *unused_text;
static bool unused_switch;
#define UNUSED_TEXT(NAME)                                                                          \
    {                                                                                              \
        NAME, FLAG_TEXT, { .text = &unused_text }, "of the cases with cloud credentials; not used" \
    }
#define SOAK "soak cases: "

static struct settings settings = {
    .server_host = "localhost",
    .test_case = "large_unary",
    .additional_metadata = "",
    .soak_iterations = 10,
    .soak_latency_ms = 1000,
    .soak_request_size = LARGE_REQUEST,
    .soak_response_size = LARGE_RESPONSE,
    .iteration_interval = 1,
};
static const struct flag flags[] = {
    { "server_host",
      FLAG_TEXT,
      { .text = &settings.server_host },
      "host or address of the server" },
    { "server_port", FLAG_NUMBER, { .number = &settings.server_port }, "its port" },
    { "server_host_override",
      FLAG_TEXT,
      { .text = &settings.server_host_override },
      "name for :authority and for the certificate" },
    { "test_case", FLAG_TEXT, { .text = &settings.test_case }, "one case, or all" },
    { "use_tls", FLAG_SWITCH, { .on = &settings.use_tls }, "TLS rather than plaintext" },
    { "use_test_ca",
      FLAG_SWITCH,
      { .on = &settings.use_test_ca },
      "trust the public test CA, not the system's; --ca_file names its file" },
    { "ca_file", FLAG_TEXT, { .text = &settings.ca_file }, "certificates to trust, PEM" },
    { "tls_cert_file", FLAG_TEXT, { .text = &settings.certificate }, "our own certificate, PEM" },
    { "tls_key_file", FLAG_TEXT, { .text = &settings.key }, "its key, PEM" },
    { "additional_metadata",
      FLAG_TEXT,
      { .text = &settings.additional_metadata },
      "sent with every call: key:value;key:value" },
    { "soak_iterations",
      FLAG_NUMBER,
      { .number = &settings.soak_iterations },
      SOAK "how many calls" },
    { "soak_max_failures",
      FLAG_NUMBER,
      { .number = &settings.soak_max_failures },
      SOAK "how many may fail" },
    { "soak_per_iteration_max_acceptable_latency_ms",
      FLAG_NUMBER,
      { .number = &settings.soak_latency_ms },
      SOAK "a call that took longer has failed" },
    { "soak_overall_timeout_seconds",
      FLAG_NUMBER,
      { .number = &settings.soak_overall_seconds },
      SOAK "time for all; 0: what the iterations may take" },
    { "soak_min_time_ms_between_rpcs",
      FLAG_NUMBER,
      { .number = &settings.soak_min_time_ms },
      SOAK "from one call's start to the next's" },
    { "soak_request_size",
      FLAG_NUMBER,
      { .number = &settings.soak_request_size },
      SOAK "bytes of a request" },
    { "soak_response_size",
      FLAG_NUMBER,
      { .number = &settings.soak_response_size },
      SOAK "bytes of a response" },
    { "iteration_interval",
      FLAG_NUMBER,
      { .number = &settings.iteration_interval },
      "long_lived_channel: seconds between calls" },
    UNUSED_TEXT("default_service_account"),
    UNUSED_TEXT("oauth_scope"),
    UNUSED_TEXT("service_account_key_file"),
    UNUSED_TEXT("custom_credentials_type"),
    { "do_not_abort_on_transient_failures",
      FLAG_SWITCH,
      { .on = &unused_switch },
      "all cases are run in any case; not used" },
    { "list", FLAG_SWITCH, { .on = &settings.list }, "the names of the cases" },
    { "help", FLAG_SWITCH, { .on = &settings.help }, "this list" },
    { 0 },
};

int main(int argc, char **argv)
{
    if (!flags_parse(flags, PROGRAM, argc, argv))
        return EXIT_USAGE;
    if (settings.help) {
        flags_print(flags, PROGRAM);
        return 0;
    }
    for (const struct interop_case *c = interop_cases; settings.list && c->name != NULL; c++)
        printf("%s%s%s\n", c->name,
               c->why == NULL ? "" : "  skipped: ", c->why == NULL ? "" : c->why);
    if (settings.list)
        return 0;
    if (settings.server_port <= 0 || settings.server_port > 65535 ||
        strlen(settings.server_host) > 255 || settings.soak_request_size > 4 << 20 ||
        settings.soak_response_size > 4 << 20) {
        fprintf(stderr, PROGRAM ": --server_port is 1 to 65535, soak sizes 4 MiB at most\n");
        return EXIT_USAGE;
    }
    signal(SIGPIPE, SIG_IGN);
    return run(&settings);
}
