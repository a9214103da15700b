/* novel-load — measures a deployment of Novel Engine and writes the report. */
#include <curl/curl.h>
#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clients/load/compare.h"
#include "clients/load/probe.h"
#include "clients/load/report.h"
#include "clients/load/rules.h"
#include "clients/load/suites.h"
#include "rpc/base/alloc.h"
#include "rpc/base/clock.h"

enum exit_code {
    EXIT_OK,
    EXIT_FAILED,
    EXIT_USAGE,
    EXIT_NOT_READY,
    EXIT_UNREACHABLE,
    EXIT_INTERRUPTED = 130
};

static volatile sig_atomic_t interrupted;
static struct settings settings;
static struct rules rules;
static struct results results;
static struct judgement judgement;

static void on_signal(int number)
{
    (void) number;
    interrupted = 1;
    signal(SIGINT, SIG_DFL); /* a second one ends it at once */
    signal(SIGTERM, SIG_DFL);
}

static int problem(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int problem(int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("novel-load: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return code;
}

/* ---- what to measure ---- */
/* Ready lines give what the flags did not say: the doors and the processes behind them. */
static bool read_ready_lines(struct settings *s, struct monitor *m, char *why, size_t size)
{
    static char texts[SETTINGS_LIST][RESULTS_TEXT + 8];
    for (size_t i = 0; i < s->n_ready; i++) {
        char program[RESULTS_NAME], address[RESULTS_TEXT];
        int pid;
        if (!monitor_read_ready(s->ready[i], program, address, &pid, why, size) ||
            !monitor_add(m, program, pid, why, size))
            return false;
        bool server = strcmp(program, "novel-server") == 0;
        snprintf(texts[i], sizeof texts[i], "%s%s", server ? "" : "http://", address);
        if (server && s->rpc == NULL)
            s->rpc = texts[i];
        else if (!server && s->http == NULL)
            s->http = texts[i];
    }
    for (size_t i = 0; i < s->n_pids; i++)
        if (!monitor_add(m, s->pids[i].name, s->pids[i].pid, why, size))
            return false;
    return monitor_add(m, "novel-load", getpid(), why, size);
}

/* A word of what was asked for, as results may show it: a URL without its user and password. */
static void put_shown(struct buf *out, const char *word)
{
    const char *host = strstr(word, "://");
    size_t n = host == NULL ? 0 : strcspn(host + 3, "/?#");
    const char *at = host == NULL ? NULL : memrchr(host + 3, '@', n);
    if (at == NULL)
        buf_puts(out, word);
    else
        buf_printf(out, "%.*s%s", (int) (host + 3 - word), word, at + 1);
}

static bool open_targets(struct suites *s, char *why, size_t size)
{
    const struct settings *o = s->settings;
    struct target common = { .headers = o->n_headers > 0 ? o->headers : NULL,
                             .ca_file = o->ca,
                             .cert_file = o->cert,
                             .key_file = o->key,
                             .insecure = o->insecure,
                             .streams = o->streams };
    if (o->http != NULL) {
        struct target *t = &s->targets[s->n_targets++];
        *t = common;
        t->door = &door_http;
        t->address = o->http;
        struct buf shown = { 0 };
        put_shown(&shown, o->http);
        snprintf(results.http, sizeof results.http, "%s", buf_str(&shown));
        buf_done(&shown);
    }
    if (o->rpc != NULL) {
        struct target *t = &s->targets[s->n_targets++];
        *t = common;
        t->door = &door_rpc;
        t->address = o->rpc;
        snprintf(results.rpc, sizeof results.rpc, "%s", o->rpc);
        const nrpc_tls_options tls = { .ca_file = o->ca,
                                       .certificate_file = o->cert,
                                       .key_file = o->key,
                                       .insecure_no_verify = o->insecure };
        if (o->rpc_tls && nrpc_tls_client_new(&tls, &t->tls, why, size) < 0)
            return false;
    }
    return true;
}

static bool probe(struct suites *s, char *why, size_t size)
{
    for (size_t i = 0; i < s->n_targets; i++) {
        const struct target *t = &s->targets[i];
        if (!(t->door == &door_http ? probe_http(&results, t, why, size)
                                    : probe_rpc(&results, t, why, size)))
            return false;
    }
    return true;
}

/* Flags that say where to read and write are no part of what was measured; neither may secrets in
 * headers be kept. */
static bool is_left_out(const char *word, bool *takes_next)
{
    static const char *const names[] = { "--ready",  "--output", "--markdown", "--html", "--readme",
                                         "--commit", "--header", "--ca",       "--cert", "--key" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t n = strcspn(word, "="); /* getopt takes any beginning that is no other flag's */
        if (n < 4 || strncmp(word, names[i], n) != 0)
            continue;
        *takes_next = word[n] == '\0';
        return true;
    }
    return false;
}

static void describe_run(int argc, char **argv)
{
    struct buf b = { 0 };
    char now[32];
    for (int i = 1; i < argc; i++) {
        bool takes_next = false;
        if (!is_left_out(argv[i], &takes_next)) {
            buf_puts(&b, b.size == 0 ? "" : " ");
            put_shown(&b, argv[i]);
        }
        i += takes_next;
    }
    snprintf(results.command, sizeof results.command, "%.255s", buf_str(&b));
    buf_done(&b);
    clock_format_rfc3339(clock_wall_ns(), now);
    snprintf(results.started, sizeof results.started, "%s", now);
    snprintf(results.commit, sizeof results.commit, "%.63s",
             settings.label == NULL ? "" : settings.label);
    probe_machine(&results);
}

/* ---- what comes out ---- */
static int write_file(const char *path, struct buf *b)
{
    const char *text = buf_str(b);
    FILE *f = b->failed ? NULL : fopen(path, "we");
    bool good = f != NULL && fwrite(text, 1, b->size, f) == b->size;
    good = f != NULL && fclose(f) == 0 && good;
    int code = good ? EXIT_OK
                    : problem(EXIT_FAILED, "cannot write %s: %s", path,
                              b->failed ? "out of memory" : strerror(errno));
    buf_done(b);
    return code;
}

static int write_results(void)
{
    struct buf b = { 0 };
    int code = EXIT_OK;
    results_write(&b, &results, &judgement);
    if (settings.json &&
        (b.failed || fwrite(b.data, 1, b.size, stdout) != b.size || fflush(stdout) != 0))
        code = problem(EXIT_FAILED, "cannot write the results");
    if (settings.output != NULL && code == EXIT_OK)
        return write_file(settings.output, &b);
    buf_done(&b);
    return code;
}

static int write_readme(void)
{
    struct buf b = { 0 };
    char why[200];
    if (!report_readme(&b, settings.readme, &results, &judgement, settings.markdown, why,
                       sizeof why)) {
        buf_done(&b);
        return problem(EXIT_FAILED, "%s", why);
    }
    return write_file(settings.readme, &b);
}

/* The reports that were asked for; the verdict's exit code. */
static int write_reports(bool fresh)
{
    struct buf b = { 0 };
    int code = fresh ? write_results() : EXIT_OK;
    if (code == EXIT_OK && !settings.json && (fresh || settings.markdown == NULL)) {
        report_text(&b, &results, &judgement);
        code = b.failed || fwrite(b.data, 1, b.size, stdout) != b.size ? EXIT_FAILED : EXIT_OK;
        buf_done(&b);
    }
    if (code == EXIT_OK && settings.markdown != NULL) {
        report_markdown(&b, &results, &judgement);
        code = write_file(settings.markdown, &b);
    }
    if (code == EXIT_OK && settings.html != NULL) {
        report_html(&b, &results, &judgement);
        code = write_file(settings.html, &b);
    }
    if (code == EXIT_OK && settings.readme != NULL)
        code = write_readme();
    if (code != EXIT_OK)
        return code;
    return results.interrupted         ? EXIT_INTERRUPTED
           : judgement.failed_must > 0 ? EXIT_NOT_READY
                                       : EXIT_OK;
}

/* ---- commands ---- */
static void end_run(struct suites *s)
{
    run_free(s->run);
    for (size_t i = 0; i < s->n_targets; i++)
        nrpc_tls_unref(s->targets[i].tls);
}

static int measure(int argc, char **argv)
{
    struct suites s = { .settings = &settings,
                        .next_seed = 1 + clock_wall_ns() / 1000 % 1000000000 };
    char why[400], now[32];
    struct run *run;
    int r = run_new(&results, settings.threads, &interrupted, &run);
    if (r < 0)
        return problem(EXIT_FAILED, "cannot start: %s", nrpc_strerror(r));
    s.run = run;
    view_init(&run->view, settings.json, settings.plain);
    describe_run(argc, argv);
    if (!read_ready_lines(&settings, &run->monitor, why, sizeof why) ||
        !open_targets(&s, why, sizeof why)) {
        end_run(&s);
        return problem(EXIT_USAGE, "%s", why);
    }
    if (!probe(&s, why, sizeof why)) {
        end_run(&s);
        return problem(EXIT_UNREACHABLE, "%s", why);
    }
    r = suites_run(&s);
    monitor_sample(&run->monitor);
    results.seconds = (double) (clock_mono_ns() - run->begin_ns) / 1e9;
    clock_format_rfc3339(clock_wall_ns(), now);
    snprintf(results.ended, sizeof results.ended, "%s", now);
    if (r < 0)
        problem(EXIT_FAILED, "%s", run->problem);
    end_run(&s);
    rules_judge(&rules, &results, &judgement);
    int code = write_reports(true);
    return r < 0 ? EXIT_FAILED : code;
}

static int report_again(void)
{
    char why[300];
    if (!results_load(&results, settings.files[0], why, sizeof why))
        return problem(EXIT_USAGE, "%s", why);
    rules_judge(&rules, &results, &judgement);
    return write_reports(false);
}

/* "a.json,b.json": all runs of one side. */
static bool load_side(const char *list, struct results *runs, size_t *n, char *why, size_t size)
{
    char path[4096];
    for (*n = 0; *list != '\0';) {
        size_t length = strcspn(list, ",");
        if (*n == COMPARE_RUNS || length == 0 || length >= sizeof path) {
            snprintf(why, size, "a side takes 1 to %d files with commas between", COMPARE_RUNS);
            return false;
        }
        memcpy(path, list, length);
        path[length] = '\0';
        if (!results_load(&runs[(*n)++], path, why, size))
            return false;
        list += length + (list[length] == ',');
    }
    return true;
}

static int compare(void)
{
    static struct results runs[2][COMPARE_RUNS];
    size_t n[2] = { 0, 0 }, regressions = 0;
    char why[4500];
    struct buf b = { 0 };
    bool loaded = load_side(settings.files[0], runs[0], &n[0], why, sizeof why) &&
                  load_side(settings.files[1], runs[1], &n[1], why, sizeof why);
    bool given = loaded && n[0] > 0 && n[1] > 0;
    if (given)
        regressions = compare_results(&b, (struct compare_side){ runs[0], n[0] },
                                      (struct compare_side){ runs[1], n[1] },
                                      settings.tolerance_percent, settings.json);
    bool good = given && !b.failed && fwrite(b.data, 1, b.size, stdout) == b.size;
    buf_done(&b);
    for (size_t side = 0; side < 2; side++)
        for (size_t i = 0; i < n[side]; i++)
            results_done(&runs[side][i]);
    if (!given)
        return problem(EXIT_USAGE, "%s", loaded ? "a side has no file" : why);
    return !good ? EXIT_FAILED : regressions > 0 ? EXIT_NOT_READY : EXIT_OK;
}

static int run_command(int argc, char **argv)
{
    char why[400];
    if (!rules_load(&rules, settings.rules, why, sizeof why))
        return problem(EXIT_USAGE, "%s", why);
    if (settings.command == COMMAND_COMPARE)
        return compare();
    if (settings.command == COMMAND_REPORT)
        return report_again();
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return problem(EXIT_FAILED, "libcurl cannot start");
    struct sigaction a = { .sa_handler = on_signal };
    sigaction(SIGINT, &a, NULL);
    sigaction(SIGTERM, &a, NULL);
    signal(SIGPIPE, SIG_IGN);
    int code = measure(argc, argv);
    curl_global_cleanup();
    return code;
}

int main(int argc, char **argv)
{
    char why[300];
    setlocale(LC_CTYPE, "");
    if (!settings_parse(&settings, argc, argv, why, sizeof why)) {
        fprintf(stderr, "Try: novel-load %s%s--help\n", settings_command_name(settings.command),
                settings.command != COMMAND_NONE ? " " : "");
        return problem(EXIT_USAGE, "%s", why);
    }
    if (settings.version) {
        printf("novel-load %s\n", NOVEL_VERSION);
    } else if (settings.help || settings.command == COMMAND_NONE) {
        settings_help(settings.command);
        if (!settings.help)
            return EXIT_USAGE;
    } else {
        int code = run_command(argc, argv);
        results_done(&results);
        return code;
    }
    return fflush(stdout) == 0 ? EXIT_OK : EXIT_FAILED;
}
