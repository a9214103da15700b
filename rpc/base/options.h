/* options.h — one table describes a program's settings; flags, environment, file, --help and --check-config
 * all come from it.  Order: flags over environment over file over defaults.
 *   flag         --max-body-bytes 4194304 or --max-body-bytes=4194304 (a bool flag may stand alone)
 *   environment  PREFIX_MAX_BODY_BYTES=4194304
 *   file         max-body-bytes: 4194304        (YAML mapping of scalars or of lists of scalars)
 * A list option may be given several times; each source replaces the lists of weaker ones.
 * [setup], one thread. */
#ifndef NRPC_BASE_OPTIONS_H
#define NRPC_BASE_OPTIONS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum option_kind { OPTION_STRING, OPTION_UINT, OPTION_BOOL, OPTION_LIST };
struct option_list {
    char **items;
    size_t count;
};
struct option {
    const char *name;         /* "max-body-bytes" */
    enum option_kind kind;
    void *target;             /* char **, uint64_t *, bool * or struct option_list * */
    const char *default_text; /* NULL: none; for a list, items separated by commas */
    uint64_t min, max;        /* of OPTION_UINT */
    const char *value_name;   /* "BYTES", for --help */
    const char *help;         /* one sentence */
    const char *choices;      /* of OPTION_STRING: "debug|info|warn", or NULL for any */
    bool secret;              /* masked by options_print */
};
struct options {
    const char *program;      /* "novel-gateway" */
    const char *version;
    const char *summary;      /* first line of --help */
    const char *usage;        /* "novel-gateway [options]" */
    const char *env_prefix;   /* "NOVEL_GATEWAY" */
    const char *epilogue;     /* examples and exit codes at the end of --help; may be NULL */
    const struct option *table;
    size_t count;
};
enum options_result {
    OPTIONS_RUN = 0,          /* go on */
    OPTIONS_CHECKED = 1,      /* --check-config: the effective settings were printed; exit 0 */
    OPTIONS_DONE = 2,         /* --help or --version was printed; exit 0 */
    OPTIONS_BAD = -1          /* a message that says what to do was printed to stderr; exit 2 */
};
/* Fills all targets.  --config FILE, --check-config, --help and --version are understood by themselves
 * (PREFIX_CONFIG names the file too).  Positional arguments are refused. */
enum options_result options_parse(const struct options *o, int argc, char **argv);
/* Effective settings as a YAML file that options_parse reads back; secrets masked. */
void options_print(const struct options *o, FILE *out);
/* Frees strings and lists and zeroes the targets. */
void options_done(const struct options *o);

#endif
