#include "clients/load/settings.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/base/check.h"

enum option_id {
    OPT_HTTP = 256,
    OPT_RPC,
    OPT_HEADER,
    OPT_CA,
    OPT_CERT,
    OPT_KEY,
    OPT_INSECURE,
    OPT_RPC_TLS,
    OPT_USERS,
    OPT_ENDPOINTS,
    OPT_DURATION,
    OPT_THINK,
    OPT_RATE,
    OPT_REQUESTS,
    OPT_TIMEOUT,
    OPT_TURNS,
    OPT_KEEP,
    OPT_P95,
    OPT_ERRORS,
    OPT_MAX_USERS,
    OPT_THREADS,
    OPT_STREAMS,
    OPT_PID,
    OPT_READY,
    OPT_JSON,
    OPT_PLAIN,
    OPT_OUTPUT,
    OPT_MARKDOWN,
    OPT_HTML,
    OPT_README,
    OPT_RULES,
    OPT_LABEL,
    OPT_TOLERANCE,
    OPT_HELP,
    OPT_VERSION
};
static const struct {
    enum option_id id;
    const char *name, *value, *help;
} options[] = {
    { OPT_HTTP, "http", "URL", "the REST door: http://HOST:PORT, https://... (also PREFIX paths)" },
    { OPT_RPC, "rpc", "ADDR",
      "the gRPC door: HOST:PORT or unix:PATH; with both, one table holds both" },
    { OPT_READY, "ready", "FILE",
      "a program's log: its ready line gives door and process; once for each program" },
    { OPT_PID, "pid", "[NAME=]PID", "watch this process too; may be given several times" },
    { OPT_HEADER, "header", "NAME:VALUE", "send this with each request, as metadata over RPC" },
    { OPT_CA, "ca", "FILE", "CAs that sign the servers' certificates (the system's)" },
    { OPT_CERT, "cert", "FILE", "the certificate to show to the servers" },
    { OPT_KEY, "key", "FILE", "its private key" },
    { OPT_INSECURE, "insecure", NULL, "do not check certificates" },
    { OPT_RPC_TLS, "rpc-tls", NULL, "speak TLS at the gRPC door" },
    { OPT_USERS, "users", "N[,N...]", "how many at once, instead of the command's own steps" },
    { OPT_ENDPOINTS, "endpoints", "LIST",
      "of health, characters, details, engineer, pilot, scientist, mixed" },
    { OPT_DURATION, "duration", "SECONDS", "of one step (load 20, stress 10, quick 1, soak 600)" },
    { OPT_THINK, "think", "MS",
      "a user's pause between answer and request (100; baseline and --rate: 0)" },
    { OPT_RATE, "rate", "N",
      "load, soak: N requests a second are due, whatever the answers do; durations count from "
      "then" },
    { OPT_REQUESTS, "requests", "N", "of a baseline's endpoint, one after the other (20)" },
    { OPT_TIMEOUT, "timeout", "SECONDS", "for one request (30; simulations 120)" },
    { OPT_TURNS, "turns", "N", "of simulations (3)" },
    { OPT_KEEP, "keep", NULL,
      "leave the simulations on the server; else each is deleted once its step is over" },
    { OPT_P95, "p95", "MS", "stress: the limit of the 95th percentile (100)" },
    { OPT_ERRORS, "errors", "PERCENT", "stress: the limit of errors (1)" },
    { OPT_MAX_USERS, "max-users", "N", "stress: go no further (10000)" },
    { OPT_THREADS, "threads", "N", "that make the load (1)" },
    { OPT_STREAMS, "streams", "N", "users that share one RPC connection (1)" },
    { OPT_OUTPUT, "output", "FILE", "write the results as JSON" },
    { OPT_MARKDOWN, "markdown", "FILE", "write the report as Markdown" },
    { OPT_HTML, "html", "FILE", "write the report with plots as one HTML page" },
    { OPT_README, "readme", "FILE", "replace what stands between the performance marks in FILE" },
    { OPT_RULES, "rules", "FILE", "grade and judge by these rules instead of the built-in ones" },
    { OPT_LABEL, "commit", "TEXT",
      "what is measured: written into the results" },
    { OPT_JSON, "json", NULL,
      "the results on standard output, progress as one JSON object a line on standard error" },
    { OPT_PLAIN, "plain", NULL, "lines instead of the live view" },
    { OPT_TOLERANCE, "tolerance", "PERCENT",
      "compare: what is no regression even if it is no noise (10)" },
    { OPT_HELP, "help", NULL, "show this" },
    { OPT_VERSION, "version", NULL, "show the version" },
};
static const struct {
    const char *name, *arguments, *summary;
} commands[COMMANDS] = {
    [COMMAND_NONE] = { "", "", "" },
    [COMMAND_QUICK] = { "quick", "", "ten seconds: is it there, is it right, is it fast" },
    [COMMAND_BASELINE] = { "baseline", "",
                           "one user: 20 requests after each other to each endpoint" },
    [COMMAND_LOAD] = { "load", "", "5, 10, 25 and 50 users" },
    [COMMAND_STRESS] = { "stress", "",
                         "15, 30, 45, 60, 75 users and on until a limit breaks: the knee" },
    [COMMAND_SIMULATIONS] = { "simulations", "",
                              "3, 5, 8, 20, 50, 100 stories at once, streamed and unary" },
    [COMMAND_SOAK] = { "soak", "", "25 users for long: does it grow, does it slow down" },
    [COMMAND_ALL] = { "all", "", "baseline, load, stress and simulations: the whole report" },
    [COMMAND_COMPARE] = { "compare", "OLD[,OLD] NEW[,NEW]",
                          "results files: exit code 3 on a regression beyond noise" },
    [COMMAND_REPORT] = { "report", "FILE", "the reports of a results file again" },
};

const char *settings_command_name(enum settings_command c)
{
    return commands[c].name;
}

static bool fail(char *problem, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static bool fail(char *problem, size_t size, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(problem, size, format, args);
    va_end(args);
    return false;
}

/* A copy within s->texts; NULL when it is full. */
static char *keep(struct settings *s, const char *text, size_t size)
{
    if (size + 1 > sizeof s->texts - s->texts_used)
        return NULL;
    char *copy = s->texts + s->texts_used;
    memcpy(copy, text, size);
    copy[size] = '\0';
    s->texts_used += size + 1;
    return copy;
}

struct reader {
    struct settings *s;
    const char *name, *value; /* of the option at hand */
    char *problem;
    size_t size;
};

static bool read_real(struct reader *r, double min, double max, double *out)
{
    char *end;
    errno = 0;
    double value = strtod(r->value, &end);
    if (end == r->value || *end != '\0' || errno != 0 || !(value >= min && value <= max))
        return fail(r->problem, r->size, "--%s must be a number from %g to %g, not '%s'", r->name,
                    min, max, r->value);
    *out = value;
    return true;
}

static bool read_whole(struct reader *r, unsigned min, unsigned max, unsigned *out)
{
    double value = 0;
    if (!read_real(r, min, max, &value))
        return false;
    if (value != floor(value))
        return fail(r->problem, r->size, "--%s must be a whole number, not '%s'", r->name,
                    r->value);
    *out = (unsigned) value;
    return true;
}

/* Calls each with the words between commas. */
static bool read_list(struct reader *r, bool (*each)(struct reader *r))
{
    const char *all = r->value;
    for (const char *at = all;;) {
        size_t n = strcspn(at, ",");
        r->value = keep(r->s, at, n);
        if (r->value == NULL)
            return fail(r->problem, r->size, "--%s is too long", r->name);
        if (!each(r))
            return false;
        if (at[n] == '\0')
            return true;
        at += n + 1;
    }
}

static bool add_users(struct reader *r)
{
    if (r->s->n_users == SETTINGS_LIST)
        return fail(r->problem, r->size, "--users takes at most %d numbers", SETTINGS_LIST);
    return read_whole(r, 1, SETTINGS_USERS_MAX, &r->s->users[r->s->n_users++]);
}

static bool add_endpoint(struct reader *r)
{
    const struct endpoint *e = endpoint_find(r->value);
    if (e == NULL)
        return fail(r->problem, r->size, "there is no endpoint '%s'; there are: %s", r->value,
                    endpoint_list());
    if (r->s->n_endpoints == SETTINGS_LIST)
        return fail(r->problem, r->size, "--endpoints takes at most %d", SETTINGS_LIST);
    r->s->endpoints[r->s->n_endpoints++] = e;
    return true;
}

static bool add_pid(struct reader *r)
{
    struct settings *s = r->s;
    const char *equal = strchr(r->value, '=');
    const char *name = "process";
    unsigned pid;
    if (s->n_pids == SETTINGS_LIST)
        return fail(r->problem, r->size, "--pid can be given %d times", SETTINGS_LIST);
    if (equal != NULL) {
        name = keep(s, r->value, (size_t) (equal - r->value));
        r->value = equal + 1;
    }
    if (name == NULL || !read_whole(r, 1, 4194304, &pid))
        return name != NULL ? false : fail(r->problem, r->size, "--pid is too long");
    s->pids[s->n_pids].name = name;
    s->pids[s->n_pids++].pid = (int) pid;
    return true;
}

static bool add_header(struct reader *r)
{
    struct settings *s = r->s;
    const char *colon = strchr(r->value, ':');
    if (colon == NULL || colon == r->value || strpbrk(r->value, "\r\n") != NULL)
        return fail(r->problem, r->size, "--header needs NAME:VALUE, not '%s'", r->value);
    if (s->n_headers + 2 > 2 * SETTINGS_LIST)
        return fail(r->problem, r->size, "--header can be given %d times", SETTINGS_LIST);
    const char *name = keep(s, r->value, (size_t) (colon - r->value));
    if (name == NULL)
        return fail(r->problem, r->size, "--header is too long");
    s->headers[s->n_headers++] = name;
    s->headers[s->n_headers++] = colon + 1 + strspn(colon + 1, " ");
    return true;
}

static bool add_ready(struct reader *r)
{
    if (r->s->n_ready == SETTINGS_LIST)
        return fail(r->problem, r->size, "--ready can be given %d times", SETTINGS_LIST);
    r->s->ready[r->s->n_ready++] = r->value;
    return true;
}

static bool read_url(struct reader *r)
{
    if (strncmp(r->value, "http://", 7) != 0 && strncmp(r->value, "https://", 8) != 0)
        return fail(r->problem, r->size, "--http needs http://HOST:PORT or https://..., not '%s'",
                    r->value);
    r->s->http = r->value;
    return true;
}

static bool take_option(struct reader *r, int id)
{
    struct settings *s = r->s;
    switch (id) {
    case OPT_HTTP:
        return read_url(r);
    case OPT_RPC:
        s->rpc = r->value;
        return true;
    case OPT_READY:
        return add_ready(r);
    case OPT_PID:
        return add_pid(r);
    case OPT_HEADER:
        return add_header(r);
    case OPT_CA:
        s->ca = r->value;
        return true;
    case OPT_CERT:
        s->cert = r->value;
        return true;
    case OPT_KEY:
        s->key = r->value;
        return true;
    case OPT_INSECURE:
        return s->insecure = true;
    case OPT_RPC_TLS:
        return s->rpc_tls = true;
    case OPT_USERS:
        return read_list(r, add_users);
    case OPT_ENDPOINTS:
        return read_list(r, add_endpoint);
    case OPT_DURATION:
        return read_real(r, 0.1, 604800, &s->duration_s);
    case OPT_THINK:
        return read_real(r, 0, 3600000, &s->think_ms);
    case OPT_RATE:
        return read_real(r, 0.1, 1e7, &s->rate);
    case OPT_REQUESTS:
        return read_whole(r, 1, 1000000, &s->requests);
    case OPT_TIMEOUT:
        return read_real(r, 0.01, 1800, &s->timeout_s);
    case OPT_TURNS:
        return read_whole(r, 1, 50, &s->turns);
    case OPT_KEEP:
        return s->keep = true;
    case OPT_P95:
        return read_real(r, 0.01, 600000, &s->p95_ms);
    case OPT_ERRORS:
        return read_real(r, 0, 100, &s->error_percent);
    case OPT_MAX_USERS:
        return read_whole(r, 1, SETTINGS_USERS_MAX, &s->max_users);
    case OPT_THREADS:
        return read_whole(r, 1, 64, &s->threads);
    case OPT_STREAMS:
        return read_whole(r, 1, 100, &s->streams);
    case OPT_JSON:
        return s->json = true;
    case OPT_PLAIN:
        return s->plain = true;
    case OPT_OUTPUT:
        s->output = r->value;
        return true;
    case OPT_MARKDOWN:
        s->markdown = r->value;
        return true;
    case OPT_HTML:
        s->html = r->value;
        return true;
    case OPT_README:
        s->readme = r->value;
        return true;
    case OPT_RULES:
        s->rules = r->value;
        return true;
    case OPT_LABEL:
        s->label = r->value;
        return true;
    case OPT_TOLERANCE:
        return read_real(r, 0, 1000, &s->tolerance_percent);
    case OPT_HELP:
        return s->help = true;
    default:
        return s->version = true;
    }
}

static bool take_word(struct settings *s, const char *word, char *problem, size_t size)
{
    if (s->command == COMMAND_NONE) {
        for (int c = COMMAND_NONE + 1; c < COMMANDS; c++)
            if (strcmp(commands[c].name, word) == 0)
                s->command = (enum settings_command) c;
        return s->command != COMMAND_NONE || fail(problem, size, "there is no command '%s'", word);
    }
    if (s->n_files == SETTINGS_FILES ||
        (s->command != COMMAND_COMPARE && s->command != COMMAND_REPORT))
        return fail(problem, size, "'%s' is one word too many", word);
    s->files[s->n_files++] = word;
    return true;
}

static bool check_together(const struct settings *s, char *problem, size_t size)
{
    size_t files = s->command == COMMAND_COMPARE ? 2 : s->command == COMMAND_REPORT ? 1 : 0;
    if (s->help || s->version || s->command == COMMAND_NONE)
        return true;
    if (s->n_files != files)
        return fail(problem, size, "%s needs %s", commands[s->command].name,
                    commands[s->command].arguments);
    if (files == 0 && s->http == NULL && s->rpc == NULL && s->n_ready == 0)
        return fail(problem, size, "say what to measure: --http URL, --rpc ADDR or --ready LOG");
    if ((s->cert == NULL) != (s->key == NULL))
        return fail(problem, size, "--cert and --key belong together");
    if (s->rate > 0 && s->command != COMMAND_LOAD && s->command != COMMAND_SOAK)
        return fail(problem, size, "--rate goes with load and soak only");
    return true;
}

bool settings_parse(struct settings *s, int argc, char **argv, char *problem, size_t size)
{
    struct option list[ARRAY_SIZE(options) + 1] = { 0 };
    *s = (struct settings){ .duration_s = -1,
                            .think_ms = -1,
                            .timeout_s = -1,
                            .p95_ms = 100,
                            .error_percent = 1,
                            .requests = 20,
                            .turns = 3,
                            .threads = 1,
                            .streams = 1,
                            .max_users = 10000,
                            .tolerance_percent = 10 };
    for (size_t i = 0; i < ARRAY_SIZE(options); i++)
        list[i] =
            (struct option){ options[i].name, options[i].value != NULL, NULL, (int) options[i].id };
    optind = 0;
    opterr = 0;
    for (int id, index = -1; (id = getopt_long(argc, argv, "-:hV", list, &index)) != -1;
         index = -1) {
        struct reader r = { s, index >= 0 ? list[index].name : "", optarg, problem, size };
        if (id == ':')
            return fail(problem, size, "%s needs a value", argv[optind - 1]);
        if (id == '?')
            return fail(problem, size, "there is no flag %s", argv[optind - 1]);
        if (id == 1 ? !take_word(s, optarg, problem, size)
                    : !take_option(&r, id == 'h' ? OPT_HELP : id))
            return false;
    }
    for (; optind < argc; optind++)
        if (!take_word(s, argv[optind], problem, size))
            return false;
    return check_together(s, problem, size);
}

static void put_options(void)
{
    printf("Flags\n");
    for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
        char left[40];
        snprintf(left, sizeof left, "--%s%s%s", options[i].name,
                 options[i].value != NULL ? " " : "",
                 options[i].value != NULL ? options[i].value : "");
        printf("  %-22s %s\n", left, options[i].help);
    }
}

void settings_help(enum settings_command c)
{
    if (c != COMMAND_NONE)
        printf("novel-load %s: %s\n\nUsage\n  novel-load %s %s [FLAGS]\n\n", commands[c].name,
               commands[c].summary, commands[c].name, commands[c].arguments);
    else
        printf("novel-load %s: measures a deployment of Novel Engine and writes the report\n\n"
               "Usage\n  novel-load COMMAND --http URL --rpc ADDR [FLAGS]\n\nCommands\n",
               NOVEL_VERSION);
    for (int i = COMMAND_NONE + 1; c == COMMAND_NONE && i < COMMANDS; i++) {
        char left[40];
        snprintf(left, sizeof left, "%s %s", commands[i].name, commands[i].arguments);
        printf("  %-18s %s\n", left, commands[i].summary);
    }
    if (c == COMMAND_NONE)
        printf("\n");
    put_options();
    printf("\nExit codes\n"
           "  0 ready   1 the run failed   2 wrong usage   3 a must rule or a comparison failed\n"
           "  4 nothing answers there   130 interrupted (what was measured is still written)\n\n"
           "Examples\n"
           "  novel-load quick --http http://127.0.0.1:8000 --rpc 127.0.0.1:50051\n"
           "  novel-load all --ready server.log --ready gateway.log --output results.json --html "
           "report.html\n"
           "  novel-load load --http https://api.example.org --users 200 --rate 500 --duration 60 "
           "--endpoints mixed\n"
           "  novel-load compare before.json after.json\n");
}
