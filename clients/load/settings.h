/* settings.h — the command line. */
#ifndef NOVEL_LOAD_SETTINGS_H
#define NOVEL_LOAD_SETTINGS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "clients/load/request.h"

enum settings_command {
    COMMAND_NONE,
    COMMAND_QUICK,
    COMMAND_BASELINE,
    COMMAND_LOAD,
    COMMAND_STRESS,
    COMMAND_SIMULATIONS,
    COMMAND_SOAK,
    COMMAND_ALL,
    COMMAND_COMPARE,
    COMMAND_REPORT,
    COMMANDS
};
enum { SETTINGS_LIST = 32, SETTINGS_FILES = 2, SETTINGS_USERS_MAX = 50000 };
struct settings {
    enum settings_command command;
    const char *http, *rpc;
    const char *headers[2 * SETTINGS_LIST + 1]; /* name, value, ..., NULL */
    size_t n_headers;
    const char *ca, *cert, *key;
    bool insecure, rpc_tls;
    unsigned users[SETTINGS_LIST];
    size_t n_users; /* 0: the command's own */
    const struct endpoint *endpoints[SETTINGS_LIST];
    size_t n_endpoints;
    double duration_s, think_ms, timeout_s, rate, p95_ms,
        error_percent; /* duration, think < 0: the command's own */
    unsigned requests, turns, threads, streams, max_users;
    struct {
        const char *name;
        int pid;
    } pids[SETTINGS_LIST];
    size_t n_pids;
    const char *ready[SETTINGS_LIST];
    size_t n_ready;
    bool json, plain, keep;
    const char *output, *markdown, *html, *readme, *rules, *label;
    double tolerance_percent;
    const char *files[SETTINGS_FILES];
    size_t n_files;
    bool help, version;
    char texts[8192]; /* what strings above point into, beside argv */
    size_t texts_used;
};
/* false: problem is one line for "novel-load: ". */
bool settings_parse(struct settings *s, int argc, char **argv, char *problem, size_t size);
const char *settings_command_name(enum settings_command c);
void settings_help(enum settings_command c); /* to standard output; COMMAND_NONE: the overview */

#endif
