/* novel-metrics — measures stories: files, logs, folders, or a set that it plays itself. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "rpc/base/alloc.h"
#include "server/tools/novel-metrics-gates.h"
#include "server/tools/novel-metrics-page.h"
#include "server/tools/novel-metrics-play.h"

enum { EXIT_HELD = 0, EXIT_MISSED = 1, EXIT_USAGE = 2 };
enum { SEEDS_DEFAULT = 100, SEEDS_MAX = 10000, SWAP_SEEDS = 10, SCENARIO_BYTES = 65536 };

struct options {
    const char *verb; /* "measure", "generate", "report" */
    bool json, quiet;
    size_t window;
    unsigned seeds, first, only; /* only: one of the ten, from 1; 0 all */
    unsigned long cast, turns;   /* 0: each request's own */
    struct play_request requests[PLAY_REQUESTS_MAX];
    size_t requests_count;
    const char **paths;
    size_t paths_count;
    struct arena arena;
};

static const char help[] =
    "novel-metrics - measures stories and holds them against their gates\n"
    "\n"
    "Usage: novel-metrics [--json] [--window WORDS] FILE|FOLDER...\n"
    "       novel-metrics generate [--seeds N] [--only K] [--scenario FILE]... FOLDER\n"
    "       novel-metrics report [--seeds N] [--only K] [--scenario FILE]... [--json] PAGE.html\n"
    "\n"
    "Files are texts (.txt, .md; blank lines between paragraphs) or exported logs (.nvlog). A log "
    "is "
    "checked\n"
    "and told anew with the default telling, unless NAME.txt or NAME.md lies beside NAME.nvlog. "
    "Two "
    "texts or\n"
    "more are also compared with one another; a comparison is judged from 20 texts on. Logs of a "
    "folder count\n"
    "as stories of one request.\n"
    "\n"
    "generate plays ten built-in requests with N seeds each and leaves a text and a log per story. "
    "report does\n"
    "so without files and writes a page with pictures. A scenario file takes the place of the ten: "
    "lines of\n"
    "setting, scenario, turns, mood, style, cast (two to six of alex maya jordan wren tomas "
    "ilse).\n"
    "\n"
    "Options:\n"
    "  --json           the measures as one JSON object\n"
    "  --window WORDS   measure no more than whole sentences up to about WORDS words of each text\n"
    "  --seeds N        stories per request (100)\n"
    "  --first N        the first seed (1)\n"
    "  --only K         only request K of the ten\n"
    "  --shape CxT      C characters and T turns in every request, as in 6x25\n"
    "  --scenario FILE  a request of your own; may be given more than once\n"
    "  --quiet          no line of progress\n"
    "  --help, --version\n"
    "\n"
    "Only report compares runs: what two characters do when they swap their traits. Left out is "
    "whether\n"
    "every pronoun can be resolved: that needs a reader of its own.\n"
    "\n"
    "Exit codes:\n"
    "  0  every gate holds\n"
    "  1  a gate is missed\n"
    "  2  wrong usage, or something can't be read or written\n";

static int complain(const char *what, const char *why)
{
    fprintf(stderr, "novel-metrics: %s: %s\n", what, why);
    return EXIT_USAGE;
}

/* ---- options --------------------------------------------------------------------------------- */

static int read_scenario(struct options *o, const char *path)
{
    char why[96];
    struct buf text = { 0 };
    FILE *f = fopen(path, "rb");
    if (f == NULL)
        return complain(path, strerror(errno));
    uint8_t *at = buf_grow(&text, SCENARIO_BYTES);
    size_t size = at != NULL ? fread(at, 1, SCENARIO_BYTES, f) : 0;
    bool bad = at == NULL || ferror(f) != 0;
    fclose(f);
    const char *name = strrchr(path, '/') != NULL ? strrchr(path, '/') + 1 : path;
    int r = EXIT_HELD;
    if (bad || o->requests_count == PLAY_REQUESTS_MAX)
        r = complain(path, "can't be read, or one scenario too many");
    else if (play_request_read(name, (const char *) at, size, &o->arena,
                               &o->requests[o->requests_count], why, sizeof(why)) != 0)
        r = complain(path, why);
    else
        o->requests_count++;
    buf_done(&text);
    return r;
}
static int take_number(const char *name, const char *text, unsigned long least, unsigned long most,
                       unsigned long *out)
{
    char *end = NULL;
    errno = 0;
    unsigned long n = text != NULL ? strtoul(text, &end, 10) : 0;
    if (end == NULL || end == text || *end != 0 || errno != 0 || n < least || n > most ||
        *text == '-')
        return complain(name, "needs a number within its bounds");
    *out = n;
    return EXIT_HELD;
}
/* "3x6": three characters, six turns. */
static int take_shape(struct options *o, const char *value)
{
    char cast[2] = { value != NULL ? value[0] : 0, 0 };
    if (cast[0] == 0 || value[1] != 'x')
        return complain("--shape", "needs characters and turns, as in 3x6");
    int r = take_number("--shape", cast, NVL_CAST_MIN, NVL_CAST_MAX, &o->cast);
    return r != EXIT_HELD ? r : take_number("--shape", value + 2, 1, NVL_TURNS_MAX, &o->turns);
}
/* An option that has a value.  -1 when it is none of them. */
static int take_option(struct options *o, const char *name, const char *value)
{
    unsigned long n = 0;
    int r = -1;
    if (strcmp(name, "--window") == 0) {
        if ((r = take_number(name, value, 1, 1000000, &n)) == 0)
            o->window = n;
    } else if (strcmp(name, "--seeds") == 0) {
        if ((r = take_number(name, value, 1, SEEDS_MAX, &n)) == 0)
            o->seeds = (unsigned) n;
    } else if (strcmp(name, "--first") == 0) {
        if ((r = take_number(name, value, 1, 1000000000, &n)) == 0)
            o->first = (unsigned) n;
    } else if (strcmp(name, "--only") == 0) {
        if ((r = take_number(name, value, 1, play_requests_count(), &n)) == 0)
            o->only = (unsigned) n;
    } else if (strcmp(name, "--shape") == 0) {
        r = take_shape(o, value);
    } else if (strcmp(name, "--scenario") == 0) {
        r = value == NULL ? complain(name, "needs a file") : read_scenario(o, value);
    }
    return r;
}
/* -1 to go on, else the exit code. */
static int parse(int argc, char **argv, struct options *o)
{
    for (int i = 1; i < argc; i++) {
        const char *a = argv[i];
        if (strcmp(a, "--help") == 0 || strcmp(a, "-h") == 0)
            return fputs(help, stdout) < 0 ? EXIT_USAGE : EXIT_HELD;
        if (strcmp(a, "--version") == 0)
            return printf("novel-metrics %s\n", NOVEL_VERSION) < 0 ? EXIT_USAGE : EXIT_HELD;
        if (strcmp(a, "--json") == 0) {
            o->json = true;
        } else if (strcmp(a, "--quiet") == 0) {
            o->quiet = true;
        } else if (a[0] == '-' && a[1] != 0) {
            int r = take_option(o, a, i + 1 < argc ? argv[i + 1] : NULL);
            if (r != EXIT_HELD)
                return r > 0 ? r : complain(a, "no such option; see novel-metrics --help");
            i++;
        } else if (i == 1 && (strcmp(a, "generate") == 0 || strcmp(a, "report") == 0)) {
            o->verb = a;
        } else {
            o->paths[o->paths_count++] = a;
        }
    }
    for (size_t i = 0, given = o->requests_count; given == 0 && i < play_requests_count(); i++)
        if (o->only == 0 || o->only == i + 1)
            play_request_at(i, &o->requests[o->requests_count++]);
    for (size_t i = 0; o->cast > 0 && i < o->requests_count; i++)
        play_request_shape(&o->requests[i], o->cast, (uint32_t) o->turns);
    bool many = strcmp(o->verb, "measure") == 0;
    if (o->paths_count == 0 || (!many && o->paths_count > 1))
        return complain("usage", many ? "name a file or a folder; see novel-metrics --help"
                                      : "name one place to write to; see novel-metrics --help");
    return -1;
}

/* ---- playing --------------------------------------------------------------------------------- */

static bool write_file(const char *path, const struct buf *b)
{
    FILE *f = fopen(path, "wb");
    bool ok = f != NULL && !b->failed && fwrite(b->data, 1, b->size, f) == b->size;
    if (f != NULL && fclose(f) != 0)
        ok = false;
    if (!ok)
        (void) complain(path, strerror(errno));
    return ok;
}
static bool write_story(struct options *o, const struct player *p, size_t request, unsigned seed)
{
    const char *stem = arena_printf(&o->arena, "%s/%02zu-%05u", o->paths[0], request + 1, seed);
    const char *text = stem != NULL ? arena_printf(&o->arena, "%s.txt", stem) : NULL;
    const char *log = stem != NULL ? arena_printf(&o->arena, "%s.nvlog", stem) : NULL;
    return text != NULL && log != NULL && write_file(text, &p->text) && write_file(log, &p->log);
}
static void progress(const struct options *o, size_t done, size_t all)
{
    if (o->quiet || !isatty(STDERR_FILENO))
        return;
    fprintf(stderr, "\r%zu of %zu stories%s", done, all, done == all ? "\n" : "");
}
/* samples NULL: to files. */
static int play_all(struct options *o, struct player *p, struct samples *samples)
{
    size_t all = o->requests_count * o->seeds, done = 0;
    for (unsigned k = 0; k < o->seeds; k++)
        for (size_t i = 0; i < o->requests_count; i++) {
            struct nvl_error err = { 0 };
            int rc = player_story(p, &o->requests[i], i, o->first + k, samples, &err);
            if (rc != NVL_OK)
                return complain(o->requests[i].name,
                                err.message[0] != 0 ? err.message : "can't be played");
            if (samples == NULL && !write_story(o, p, i, o->first + k))
                return EXIT_USAGE;
            progress(o, ++done, all);
        }
    return EXIT_HELD;
}
static int print(const struct options *o, const struct samples *s, const struct gate_table *t)
{
    struct buf out = { 0 };
    if (o->json)
        gates_json(s, t, &out);
    else
        gates_text(t, &out);
    bool ok =
        !out.failed && fwrite(out.data, 1, out.size, stdout) == out.size && fflush(stdout) == 0;
    buf_done(&out);
    return ok ? (t->missed > 0 ? EXIT_MISSED : EXIT_HELD)
              : complain("standard output", "can't be written");
}
static int generate(struct options *o)
{
    struct player p;
    if (mkdir(o->paths[0], 0777) != 0 && errno != EEXIST)
        return complain(o->paths[0], strerror(errno));
    if (player_init(&p) != 0)
        return complain("generate", "out of memory");
    int r = play_all(o, &p, NULL);
    player_done(&p);
    return r;
}
static int write_page(struct options *o, const struct samples *s, const struct gate_table *t,
                      const struct nvl_pack *pack)
{
    const char *names[PLAY_REQUESTS_MAX];
    struct buf out = { 0 };
    struct page page = { s, t, pack, names, o->requests_count, o->seeds };
    for (size_t i = 0; i < o->requests_count; i++)
        names[i] = o->requests[i].name;
    bool ok = page_write(&page, &out) == 0;
    if (!ok)
        (void) complain("report", "out of memory");
    ok = ok && write_file(o->paths[0], &out);
    buf_done(&out);
    return ok ? EXIT_HELD : EXIT_USAGE;
}
/* Whether the stories follow from who is in them, over the first seeds of each request. */
static int swap_all(struct options *o, struct player *p, struct gate_table *t)
{
    struct player_swapped sum = { 0 };
    struct nvl_error err = { 0 };
    for (unsigned k = 0; k < o->seeds && k < SWAP_SEEDS; k++)
        for (size_t i = 0; i < o->requests_count; i++)
            if (player_swap(p, &o->requests[i], o->first + k, &sum, &err) != NVL_OK)
                return complain(o->requests[i].name, "can't be played with swapped traits");
    double changed = sum.acts > 0 ? 1 - (double) sum.same / (double) sum.acts : 0;
    gates_add(t, "acts that change when two swap traits", changed, 0.40, sum.runs);
    return EXIT_HELD;
}
static int report(struct options *o, struct samples *s, struct gate_table *t)
{
    struct player p;
    if (player_init(&p) != 0)
        return complain("report", "out of memory");
    int r = play_all(o, &p, s);
    if (r == EXIT_HELD && gates_judge(s, t) != 0)
        r = complain("report", "out of memory");
    if (r == EXIT_HELD)
        r = swap_all(o, &p, t);
    if (r == EXIT_HELD)
        r = write_page(o, s, t, p.pack);
    player_done(&p);
    return r == EXIT_HELD ? print(o, s, t) : r;
}
static int measure(struct options *o, struct samples *s, struct gate_table *t)
{
    for (size_t i = 0; i < o->paths_count; i++)
        if (samples_add_path(s, o->paths[i]) != 0)
            return EXIT_USAGE;
    bool any = false;
    for (size_t i = 0; i < s->count; i++)
        any |= s->list[i].has_text;
    if (!any)
        return complain("nothing to measure", "no text with a sentence was found");
    return gates_judge(s, t) == 0 ? print(o, s, t) : complain("measure", "out of memory");
}

int main(int argc, char **argv)
{
    static struct options o = { .verb = "measure", .seeds = SEEDS_DEFAULT, .first = 1 };
    static struct gate_table table;
    struct samples samples;
    arena_init(&o.arena, 4096);
    o.paths = alloc_zero((size_t) argc + 1, sizeof(*o.paths));
    int code = o.paths == NULL ? complain("options", "out of memory") : parse(argc, argv, &o);
    if (code < 0 && strcmp(o.verb, "generate") == 0)
        code = generate(&o);
    if (code < 0 && samples_init(&samples, o.window) != 0)
        code = complain("options", "out of memory");
    if (code < 0) {
        code = strcmp(o.verb, "report") == 0 ? report(&o, &samples, &table)
                                             : measure(&o, &samples, &table);
        samples_done(&samples);
    }
    alloc_free(o.paths);
    arena_done(&o.arena);
    return code;
}
