/* args.h — novelctl's command line: which commands there are, which flags each takes, and reading
 * them. */
#ifndef NOVELCTL_ARGS_H
#define NOVELCTL_ARGS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum flag_id {
    FLAG_SERVER,
    FLAG_TIMEOUT,
    FLAG_JSON,
    FLAG_NO_COLOR,
    FLAG_TLS,
    FLAG_CA,
    FLAG_CERT,
    FLAG_CERT_KEY,
    FLAG_SERVER_NAME,
    FLAG_HELP,
    FLAG_VERSION, /* everywhere */
    FLAG_TURNS,
    FLAG_SETTING,
    FLAG_SCENARIO,
    FLAG_SEED,
    FLAG_MOOD,
    FLAG_STYLE,
    FLAG_PERSPECTIVE,
    FLAG_FOCALISER,
    FLAG_WORDS,
    FLAG_KEY,
    FLAG_EVENTS,
    FLAG_AFTER,
    FLAG_FULL,
    FLAG_PATIENCE,
    FLAG_FORMAT,
    FLAG_OUTPUT,
    FLAG_LIMIT,
    FLAG_STATE,
    FLAG_FORCE,
    FLAG_SET,
    FLAG_ETAG,
    FLAG_CAMPAIGN,
    FLAG_NAME,
    FLAG_DESCRIPTION,
    FLAG_ATTACH,
    FLAG_ON_DETACH,
    FLAG_AT,
    FLAG_EDIT,
    FLAG_WAIT,
    FLAG_SEEDS,
    FLAG_MOST_DIFFERENT,
    FLAG_WHERE,
    FLAG_KEEP,
    FLAG_COUNT
};
#define FLAG_BIT(id)     ((uint64_t) 1 << (id))
#define FLAGS_EVERYWHERE (FLAG_BIT(FLAG_TURNS) - 1)

struct flag {
    enum flag_id id;
    const char *name;  /* without dashes */
    char letter;       /* '\0': none */
    const char *value; /* its name in the help; NULL: a switch */
    enum { VALUE_TEXT, VALUE_NUMBER, VALUE_SECONDS } kind;
    uint64_t min, max; /* of a number */
    const char *help;
};
extern const struct flag args_flags[FLAG_COUNT]; /* by id */

struct ctl;
struct command {
    const char *name, *sub; /* sub: NULL, or the word behind the name; "" runs when none is given */
    const char *arguments;  /* "ID", "ID ID [ID...]" */
    const char *summary;    /* one line for the list */
    const char *details;    /* paragraphs for its own help; may be NULL */
    uint64_t flags;         /* FLAG_BITs beside those everywhere */
    size_t min, max;        /* positional arguments */
    int (*run)(struct ctl *c);
};
extern const struct command args_commands[];
extern const size_t args_n_commands;

enum { ARGS_POSITIONAL_MAX = 64, ARGS_SET_MAX = 32, ARGS_EDITS_MAX = 64, ARGS_WHERE_MAX = 16 };
struct args {
    const struct command *command; /* NULL: none was given */
    const char *group; /* a name that has sub-commands, when only help for it was asked */
    uint64_t given;
    const char *text[FLAG_COUNT];
    uint64_t number[FLAG_COUNT]; /* milliseconds for seconds */
    const char *sets[ARGS_SET_MAX];
    size_t n_sets;
    const char *edits[ARGS_EDITS_MAX];
    size_t n_edits;
    const char *wheres[ARGS_WHERE_MAX];
    size_t n_wheres;
    const char *positional[ARGS_POSITIONAL_MAX];
    size_t n;
};

/* Reads argv[1..].  false: `problem` says what is wrong (one line, for "novelctl: "); a may be half
 * filled. */
bool args_parse(struct args *a, int argc, char *const *argv, char *problem, size_t problem_size);
bool args_has(const struct args *a, enum flag_id id);
/* The nearest of the names when it is near enough for a "did you mean"; NULL otherwise. */
const char *args_nearest(const char *word, const char *const *names, size_t n);

#endif
