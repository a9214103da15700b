#include "clients/cli/args.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define T      VALUE_TEXT, 0, 0
#define SWITCH NULL, VALUE_TEXT, 0, 0

const struct flag args_flags[FLAG_COUNT] = {
    { FLAG_SERVER, "server", 's', "ADDR", T,
      "HOST:PORT or unix:PATH of novel-server (NOVELCTL_SERVER; 127.0.0.1:50051)" },
    { FLAG_TIMEOUT, "timeout", '\0', "SECONDS", VALUE_SECONDS, 1, 86400000,
      "give up on an answer after this long (30; streams: never)" },
    { FLAG_JSON, "json", 'j', SWITCH, "print JSON: one object, or one a line for streams" },
    { FLAG_NO_COLOR, "no-color", '\0', SWITCH, "no colours and no bold (also with NO_COLOR set)" },
    { FLAG_TLS, "tls", '\0', SWITCH, "speak TLS; so does any of the next four (NOVELCTL_TLS=1)" },
    { FLAG_CA, "ca", '\0', "FILE", T,
      "CAs that sign the server's certificate (NOVELCTL_CA; the system's)" },
    { FLAG_CERT, "cert", '\0', "FILE", T, "the certificate to show to the server (NOVELCTL_CERT)" },
    { FLAG_CERT_KEY, "key", '\0', "FILE", T, "its private key (NOVELCTL_KEY)" },
    { FLAG_SERVER_NAME, "server-name", '\0', "NAME", T,
      "the name in the certificate, when it is not --server's (NOVELCTL_SERVER_NAME)" },
    { FLAG_HELP, "help", 'h', SWITCH, "show help for the command" },
    { FLAG_VERSION, "version", 'V', SWITCH, "show the version" },
    { FLAG_TURNS, "turns", 't', "N", VALUE_NUMBER, 0, INT32_MAX, "how many turns, 1 to 50 (3)" },
    { FLAG_SETTING, "setting", '\0', "TEXT", T, "where it happens" },
    { FLAG_SCENARIO, "scenario", '\0', "TEXT", T, "what happens there" },
    { FLAG_SEED, "seed", '\0', "N", VALUE_NUMBER, 0, UINT64_MAX,
      "the same seed tells the same story; absent: drawn" },
    { FLAG_MOOD, "mood", '\0', "MOOD", T, "neutral, dark, hopeful or wry" },
    { FLAG_STYLE, "style", '\0', "STYLE", T,
      "sci_fi_dramatic, tactical, philosophical, literary, noir, fable" },
    { FLAG_PERSPECTIVE, "perspective", '\0', "HOW", T,
      "third_limited, omniscient, first_person, journal" },
    { FLAG_FOCALISER, "focaliser", '\0', "ID", T,
      "whose side is told: what that character saw, heard or learned" },
    { FLAG_WORDS, "words", '\0', "N", VALUE_NUMBER, 0, UINT32_MAX,
      "about how long the story is, from 150 to all there is to tell" },
    { FLAG_KEY, "idempotency-key", '\0', "KEY", T,
      "sent again with the same key, a request runs once" },
    { FLAG_EVENTS, "events", 'e', SWITCH, "print every event, not only the progress" },
    { FLAG_AFTER, "after", 'a', "N", VALUE_NUMBER, 0, UINT64_MAX,
      "start behind event N (0: from the beginning)" },
    { FLAG_FULL, "full", '\0', SWITCH,
      "with what the default view hides: decisions, hidden facts" },
    { FLAG_PATIENCE, "patience", '\0', "SECONDS", VALUE_SECONDS, 0, 86400000,
      "keep connecting for so long when the server goes away (60)" },
    { FLAG_FORMAT, "format", 'f', "FORMAT", T, "markdown, text, html or epub" },
    { FLAG_OUTPUT, "output", 'o', "FILE", T, "write to FILE instead of standard output" },
    { FLAG_LIMIT, "limit", 'n', "N", VALUE_NUMBER, 1, 100000, "at most so many (20)" },
    { FLAG_STATE, "state", '\0', "STATE", T,
      "only queued, running, completed, failed or cancelled ones" },
    { FLAG_FORCE, "force", '\0', SWITCH, "cancel it first if it runs; of a campaign: its chapters too" },
    { FLAG_SET, "set", '\0', "FIELD=VALUE", T, "change one field; may be given several times" },
    { FLAG_ETAG, "etag", '\0', "ETAG", T, "only if nobody changed it since this version" },
    { FLAG_CAMPAIGN, "campaign", '\0', "ID", T,
      "the next chapter of that novel: it goes on from the last one" },
    { FLAG_NAME, "name", '\0', "NAME", T, "what it is called" },
    { FLAG_DESCRIPTION, "description", '\0', "TEXT", T, "what it is about; it stands under the title" },
    { FLAG_ATTACH, "attach", '\0', "ID", T, "direct this simulation instead of a new one" },
    { FLAG_ON_DETACH, "on-detach", '\0', "WHAT", T,
      "what becomes of it when you leave: continue (after a minute), pause or cancel" },
    { FLAG_AT, "at", '\0', "TURN", VALUE_NUMBER, 0, 50,
      "the last turn that both share; 0: only the beginning" },
    { FLAG_EDIT, "edit", '\0', "EDIT", T, "what is changed there; may be given several times" },
    { FLAG_WAIT, "wait", 'w', SWITCH, "follow it to its end and print the story" },
    { FLAG_SEEDS, "seeds", '\0', "N", VALUE_NUMBER, 1, 2000, "how many seeds are tried (100)" },
    { FLAG_MOST_DIFFERENT, "most-different", '\0', "K", VALUE_NUMBER, 2, 100,
      "only the K stories that differ most from each other" },
    { FLAG_WHERE, "where", '\0', "CONDITION", T,
      "only stories of which it is true; may be given several times" },
    { FLAG_KEEP, "keep", '\0', SWITCH, "keep the simulations that were not chosen" },
};

struct reader {
    struct args *a;
    int argc, at;
    char *const *argv;
    char *problem;
    size_t problem_size;
};

static bool fail(struct reader *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

static bool fail(struct reader *r, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(r->problem, r->problem_size, format, args);
    va_end(args);
    return false;
}

bool args_has(const struct args *a, enum flag_id id)
{
    return (a->given & FLAG_BIT(id)) != 0;
}

/* ---- flags ---- */
static bool add_text(struct reader *r, const struct flag *f, const char **list, size_t max, size_t *n,
                     const char *text)
{
    if (*n == max)
        return fail(r, "--%s may be given %zu times", f->name, max);
    list[(*n)++] = text;
    return true;
}

static const struct flag *find_flag(const char *name, size_t size)
{
    for (size_t i = 0; i < FLAG_COUNT; i++)
        if (strlen(args_flags[i].name) == size && memcmp(args_flags[i].name, name, size) == 0)
            return &args_flags[i];
    return NULL;
}

static bool unknown_flag(struct reader *r, const char *word)
{
    const char *names[FLAG_COUNT];
    for (size_t i = 0; i < FLAG_COUNT; i++)
        names[i] = args_flags[i].name;
    const char *near =
        strncmp(word, "--", 2) == 0 ? args_nearest(word + 2, names, FLAG_COUNT) : NULL;
    if (near != NULL)
        return fail(r, "there is no flag %s; did you mean --%s?", word, near);
    return fail(r, "there is no flag %s", word);
}

static bool read_number(struct reader *r, const struct flag *f, const char *text)
{
    char *end;
    errno = 0;
    unsigned long long n = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0')
        return fail(r, "--%s needs a whole number, not '%s'", f->name, text);
    if (errno == ERANGE || n < f->min || n > f->max)
        return fail(r, "--%s must be %llu to %llu, not %s", f->name, (unsigned long long) f->min,
                    (unsigned long long) f->max, text);
    r->a->number[f->id] = n;
    return true;
}

static bool read_seconds(struct reader *r, const struct flag *f, const char *text)
{
    char *end;
    double seconds = strtod(text, &end);
    if (((text[0] < '0' || text[0] > '9') && text[0] != '.') || *end != '\0')
        return fail(r, "--%s needs seconds, not '%s'", f->name, text);
    if (!(seconds * 1000 >= (double) f->min && seconds * 1000 <= (double) f->max))
        return fail(r, "--%s must be %g to %g seconds, not %s", f->name, (double) f->min / 1000,
                    (double) f->max / 1000, text);
    r->a->number[f->id] = (uint64_t) (seconds * 1000 + 0.5);
    return true;
}

static bool take_value(struct reader *r, const struct flag *f, const char *text)
{
    struct args *a = r->a;
    a->given |= FLAG_BIT(f->id);
    a->text[f->id] = text;
    if (f->id == FLAG_SET) {
        if (a->n_sets == ARGS_SET_MAX)
            return fail(r, "--set may be given %d times", ARGS_SET_MAX);
        if (strchr(text, '=') == NULL || text[0] == '=')
            return fail(r, "--set needs FIELD=VALUE, not '%s'", text);
        a->sets[a->n_sets++] = text;
    }
    if (f->id == FLAG_EDIT && !add_text(r, f, a->edits, ARGS_EDITS_MAX, &a->n_edits, text))
        return false;
    if (f->id == FLAG_WHERE && !add_text(r, f, a->wheres, ARGS_WHERE_MAX, &a->n_wheres, text))
        return false;
    if (f->kind == VALUE_NUMBER)
        return read_number(r, f, text);
    return f->kind != VALUE_SECONDS || read_seconds(r, f, text);
}

/* The word at r->at starts with a dash. */
static bool read_flag(struct reader *r)
{
    const char *word = r->argv[r->at], *value = NULL;
    const struct flag *f = NULL;
    if (word[1] == '-') {
        size_t size = strcspn(word + 2, "=");
        f = find_flag(word + 2, size);
        value = word[2 + size] == '=' ? word + 3 + size : NULL;
    } else {
        for (size_t i = 0; i < FLAG_COUNT; i++)
            if (args_flags[i].letter != '\0' && args_flags[i].letter == word[1])
                f = &args_flags[i];
        value = word[2] != '\0' ? word + 2 : NULL;
    }
    if (f == NULL)
        return unknown_flag(r, word);
    if (f->value == NULL) {
        if (value != NULL)
            return fail(r, "--%s takes no value", f->name);
        r->a->given |= FLAG_BIT(f->id);
        return true;
    }
    if (value == NULL) {
        if (r->at + 1 == r->argc)
            return fail(r, "--%s needs %s", f->name, f->value);
        value = r->argv[++r->at];
    }
    return take_value(r, f, value);
}

/* ---- commands ---- */
static const struct command *find_command(const char *name, const char *sub)
{
    for (size_t i = 0; i < args_n_commands; i++) {
        const struct command *c = &args_commands[i];
        if (strcmp(c->name, name) == 0 && (c->sub == NULL || strcmp(c->sub, sub) == 0))
            return c;
    }
    return NULL;
}

static bool unknown_command(struct reader *r, const char *name)
{
    const char *names[64];
    size_t n = 0;
    for (size_t i = 0; i < args_n_commands && n < 64; i++)
        names[n++] = args_commands[i].name;
    const char *near = args_nearest(name, names, n);
    if (near != NULL)
        return fail(r, "there is no command '%s'; did you mean '%s'?", name, near);
    return fail(r, "there is no command '%s'", name);
}

static bool unknown_sub(struct reader *r, const char *name, const char *sub)
{
    char known[256] = "";
    size_t size = 0;
    for (size_t i = 0; i < args_n_commands; i++)
        if (strcmp(args_commands[i].name, name) == 0 && args_commands[i].sub != NULL &&
            args_commands[i].sub[0] != '\0')
            size += (size_t) snprintf(known + size, size < sizeof known ? sizeof known - size : 0,
                                      "%s%s", size > 0 ? ", " : "", args_commands[i].sub);
    return fail(r, "'%s %s' is not known; there are: %s", name, sub, known);
}

/* Settles the command from the first words; what is left are its arguments. */
static bool settle_command(struct reader *r)
{
    struct args *a = r->a;
    if (a->n == 0)
        return true;
    const char *name = a->positional[0];
    if (strcmp(name, "help") == 0) { /* help simulate = simulate --help */
        a->given |= FLAG_BIT(FLAG_HELP);
        memmove(a->positional, a->positional + 1, --a->n * sizeof a->positional[0]);
        return settle_command(r);
    }
    const struct command *first = NULL;
    for (size_t i = 0; i < args_n_commands && first == NULL; i++)
        if (strcmp(args_commands[i].name, name) == 0)
            first = &args_commands[i];
    if (first == NULL)
        return unknown_command(r, name);
    size_t used = 1;
    a->command = first;
    if (first->sub != NULL) {
        const char *sub = a->n > 1 ? a->positional[1] : "";
        a->command = find_command(name, sub);
        if (a->command == NULL)
            return unknown_sub(r, name, sub);
        if (sub[0] == '\0' && args_has(a, FLAG_HELP))
            a->group = name;
        used += sub[0] != '\0';
    }
    a->n -= used;
    memmove(a->positional, a->positional + used, a->n * sizeof a->positional[0]);
    return true;
}

static bool check_command(struct reader *r)
{
    const struct args *a = r->a;
    const struct command *c = a->command;
    if (c == NULL || args_has(a, FLAG_HELP))
        return true;
    uint64_t wrong = a->given & ~(c->flags | FLAGS_EVERYWHERE);
    for (size_t i = 0; i < FLAG_COUNT; i++)
        if ((wrong & FLAG_BIT(i)) != 0)
            return fail(r, "--%s is not a flag of '%s'", args_flags[i].name, c->name);
    if (a->n < c->min)
        return fail(r, "'%s%s%s' needs %s", c->name, c->sub != NULL && c->sub[0] != '\0' ? " " : "",
                    c->sub != NULL ? c->sub : "", c->arguments);
    if (a->n > c->max)
        return fail(r, "'%s' is one argument too many", a->positional[c->max]);
    return true;
}

bool args_parse(struct args *a, int argc, char *const *argv, char *problem, size_t problem_size)
{
    struct reader r = { a, argc, 1, argv, problem, problem_size };
    memset(a, 0, sizeof *a);
    bool flags_end = false;
    for (; r.at < argc; r.at++) {
        const char *word = argv[r.at];
        if (!flags_end && strcmp(word, "--") == 0) {
            flags_end = true;
        } else if (!flags_end && word[0] == '-' && word[1] != '\0') {
            if (!read_flag(&r))
                return false;
        } else if (a->n == ARGS_POSITIONAL_MAX) {
            return fail(&r, "there are too many arguments");
        } else {
            a->positional[a->n++] = word;
        }
    }
    return settle_command(&r) && check_command(&r);
}
