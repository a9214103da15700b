/* novelctl — Novel Engine on the command line. */
#include "clients/cli/ctl.h"

#include <locale.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TIMEOUT_DEFAULT_MS = 30000 };

static atomic_bool interrupted;
static _Atomic(nrpc_client *) signal_client;

static void on_interrupt(int number)
{
    (void) number;
    atomic_store(&interrupted, true);
    nrpc_client *client = atomic_load(&signal_client);
    if (client != NULL)
        nrpc_client_cancel(client);
}

bool ctl_interrupted(void)
{
    return atomic_load(&interrupted);
}

/* The first Ctrl-C ends the call, a second one the program. */
static void set_signals(void)
{
    struct sigaction end = { .sa_handler = on_interrupt, .sa_flags = SA_RESETHAND };
    sigaction(SIGINT, &end, NULL);
    sigaction(SIGTERM, &end, NULL);
    struct sigaction ignore = { .sa_handler = SIG_IGN };
    sigaction(SIGPIPE, &ignore, NULL); /* a broken pipe is an error of the write */
}

static bool set_timeout(struct ctl *c)
{
    c->options.options.timeout_ms = TIMEOUT_DEFAULT_MS;
    const char *text = getenv("NOVELCTL_TIMEOUT");
    if (args_has(&c->args, FLAG_TIMEOUT)) {
        c->options.options.timeout_ms = c->args.number[FLAG_TIMEOUT];
    } else if (text != NULL && text[0] != '\0') {
        char *end;
        double seconds = strtod(text, &end);
        if (*end != '\0' || !(seconds >= 0.001 && seconds <= 86400))
            return false;
        c->options.options.timeout_ms = (uint64_t) (seconds * 1000);
    }
    return true;
}

static void set_context(struct ctl *c)
{
    const char *server = getenv("NOVELCTL_SERVER");
    c->server = args_has(&c->args, FLAG_SERVER)       ? c->args.text[FLAG_SERVER]
                : server != NULL && server[0] != '\0' ? server
                                                      : NOVEL_DEFAULT_ADDRESS;
    c->json = args_has(&c->args, FLAG_JSON);
    bool plain = args_has(&c->args, FLAG_NO_COLOR);
    c->color_out = !plain && term_colors(STDOUT_FILENO);
    c->color_err = !plain && term_colors(STDERR_FILENO);
    c->width_out = term_width(STDOUT_FILENO);
}

/* The flag, or its variable in the environment; NULL for neither. */
static const char *flag_or_env(const struct ctl *c, enum flag_id id, const char *variable)
{
    const char *text = args_has(&c->args, id) ? c->args.text[id] : getenv(variable);
    return text == NULL || text[0] == '\0' ? NULL : text;
}

/* *out is NULL for a plain connection. */
static int make_tls(const struct ctl *c, const char *server_name, nrpc_tls **out)
{
    const nrpc_tls_options o = {
        .ca_file = flag_or_env(c, FLAG_CA, "NOVELCTL_CA"),
        .certificate_file = flag_or_env(c, FLAG_CERT, "NOVELCTL_CERT"),
        .key_file = flag_or_env(c, FLAG_CERT_KEY, "NOVELCTL_KEY"),
    };
    const char *wanted = getenv("NOVELCTL_TLS");
    char why[256];
    *out = NULL;
    if (!args_has(&c->args, FLAG_TLS) && (wanted == NULL || strcmp(wanted, "1") != 0) &&
        o.ca_file == NULL && o.certificate_file == NULL && o.key_file == NULL &&
        server_name == NULL)
        return EXIT_OK;
    if ((o.certificate_file == NULL) != (o.key_file == NULL))
        return ctl_problem(EXIT_USAGE, "--cert and --key belong together");
    return nrpc_tls_client_new(&o, out, why, sizeof why) < 0 ? ctl_problem(EXIT_USAGE, "%s", why)
                                                             : EXIT_OK;
}

int ctl_open(const struct ctl *c, nrpc_client **out_client)
{
    const char *server_name = flag_or_env(c, FLAG_SERVER_NAME, "NOVELCTL_SERVER_NAME");
    nrpc_tls *tls;
    int usage = make_tls(c, server_name, &tls);
    if (usage != EXIT_OK)
        return usage;
    int error =
        novel_client_open_tls(c->server, "novelctl/" NOVEL_VERSION, tls, server_name, out_client);
    nrpc_tls_unref(tls);
    if (error == NRPC_E_INVAL)
        return ctl_problem(EXIT_USAGE, "'%s' is no address: it must be HOST:PORT or unix:PATH",
                           c->server);
    if (error < 0)
        return ctl_problem(EXIT_FAILED, "cannot start the client: %s", nrpc_strerror(error));
    return EXIT_OK;
}

static int run(struct ctl *c)
{
    int usage = ctl_open(c, &c->client);
    if (usage != EXIT_OK)
        return usage;
    atomic_store(&signal_client, c->client);
    int code = c->args.command->run(c);
    nrpc_status_clear(&c->status);
    atomic_store(&signal_client, NULL);
    nrpc_client_free(c->client);
    return code;
}

int main(int argc, char **argv)
{
    setlocale(LC_CTYPE, "");
    static struct ctl c;
    char problem[400];
    if (!args_parse(&c.args, argc, argv, problem, sizeof problem)) {
        ctl_problem(0, "%s", problem);
        fprintf(stderr, "Try: novelctl %s%s--help\n",
                c.args.command != NULL ? c.args.command->name : "",
                c.args.command != NULL ? " " : "");
        return EXIT_USAGE;
    }
    set_context(&c);
    if (args_has(&c.args, FLAG_VERSION)) {
        printf("novelctl %s\n", NOVEL_VERSION);
    } else if (args_has(&c.args, FLAG_HELP)) {
        if (c.args.group != NULL)
            help_group(c.args.group, c.color_out);
        else if (c.args.command != NULL)
            help_command(c.args.command, c.color_out);
        else
            help_overview(c.color_out);
    } else if (c.args.command == NULL) {
        help_overview(c.color_out);
        return EXIT_USAGE;
    } else {
        if (!set_timeout(&c))
            return ctl_problem(EXIT_USAGE, "NOVELCTL_TIMEOUT must be 0.001 to 86400 seconds");
        set_signals();
        return run(&c);
    }
    return fflush(stdout) == 0 ? EXIT_OK : EXIT_FAILED;
}
