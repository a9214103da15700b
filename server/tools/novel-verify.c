/* novel-verify — checks story logs, one after another.  Everything that judges is in
 * novel-verify-*.c. */
#include "server/tools/novel-verify.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { EXIT_VERIFIED = 0, EXIT_VIOLATIONS = 1, EXIT_UNREADABLE = 2 };

struct options {
    bool json, quiet;
    int files;
};

static const char help[] =
    "novel-verify - checks that a story's log is sound: nothing edited, no law broken\n"
    "\n"
    "Usage: novel-verify [--json] [--quiet] FILE [FILE...]\n"
    "\n"
    "Reads logs (.nvlog, - is the standard input), replays every event from the initial state, and "
    "holds\n"
    "it against the pack, the dice, the laws and the hash chain. It needs nothing but the log, and "
    "shares\n"
    "no code with the engine that wrote it.\n"
    "\n"
    "Options:\n"
    "  --json     one JSON object per file, one per line\n"
    "  --quiet    say nothing about sound logs\n"
    "  --help     this text\n"
    "  --version  the version\n"
    "\n"
    "Exit codes:\n"
    "  0  every log is sound\n"
    "  1  a log breaks a law or was changed\n"
    "  2  wrong usage, a file can't be read, or it is not a log\n"
    "\n"
    "Examples:\n"
    "  novel-verify story.nvlog\n"
    "  novel-verify --quiet logs/*.nvlog && echo all sound\n"
    "  novel-verify --json story.nvlog | python3 -m json.tool\n"
    "  novelctl export SIMULATION -o - | novel-verify -\n";

static int complain(const char *file, const char *what)
{
    (void) fprintf(stderr, "novel-verify: %s: %s\n", file, what);
    return EXIT_UNREADABLE;
}

/* Reads to the end, at most one byte more than a log may have. */
static int read_all(FILE *in, struct buf *out)
{
    size_t want = 64 << 10;
    for (;;) {
        if (buf_reserve(out, want) < 0) {
            errno = ENOMEM;
            return -1;
        }
        size_t got = fread(out->data + out->size, 1, want, in);
        out->size += got;
        if (ferror(in))
            return -1;
        if (got == 0 || out->size > VERIFY_FILE_MAX)
            return 0;
    }
}

static int read_file(const char *file, struct buf *out)
{
    if (strcmp(file, "-") == 0)
        return read_all(stdin, out);
    FILE *in = fopen(file, "rb");
    if (in == NULL)
        return -1;
    int r = read_all(in, out), saved = errno;
    (void) fclose(in);
    errno = saved;
    return r;
}

static int print(const struct options *o, const struct verify_report *report, const char *name)
{
    struct buf text = { 0 };
    if (o->json) {
        verify_report_json(report, name, &text);
        buf_putc(&text, '\n');
    } else {
        verify_report_text(report, name, &text);
    }
    bool written =
        !text.failed && fwrite(text.data, 1, text.size, stdout) == text.size && fflush(stdout) == 0;
    buf_done(&text);
    return written ? 0 : complain(name, "its report can't be written");
}

static int check_file(const struct options *o, const char *file)
{
    const char *name = strcmp(file, "-") == 0 ? "standard input" : file;
    struct buf bytes = { 0 };
    struct verify_report report;
    int r = read_file(file, &bytes), saved = errno;
    if (r == 0)
        r = verify_log_check(bytes.data, bytes.size, &report);
    else
        r = 1;
    bool large = bytes.size > VERIFY_FILE_MAX;
    buf_done(&bytes);
    if (r == 1)
        return complain(name, strerror(saved));
    if (r == VERIFY_NO_MEMORY)
        return complain(name, "out of memory");
    if (r == VERIFY_NOT_A_LOG)
        return complain(name, large ? "larger than any log (64 MiB)" : "not a story log");
    if ((o->json || !o->quiet || report.violations > 0) && print(o, &report, name) != 0)
        return EXIT_UNREADABLE;
    return report.violations == 0 ? EXIT_VERIFIED : EXIT_VIOLATIONS;
}

/* Moves the files to the front of argv.  -1 to go on, else the exit code. */
static int parse(int argc, char **argv, struct options *out)
{
    bool only_files = false;
    for (int i = 1; i < argc; i++) {
        char *a = argv[i];
        if (only_files || a[0] != '-' || strcmp(a, "-") == 0) {
            argv[++out->files] = a;
        } else if (strcmp(a, "--") == 0) {
            only_files = true;
        } else if (strcmp(a, "--json") == 0) {
            out->json = true;
        } else if (strcmp(a, "--quiet") == 0 || strcmp(a, "-q") == 0) {
            out->quiet = true;
        } else if (strcmp(a, "--help") == 0 || strcmp(a, "-h") == 0) {
            return fputs(help, stdout) < 0 ? EXIT_UNREADABLE : EXIT_VERIFIED;
        } else if (strcmp(a, "--version") == 0) {
            return printf("novel-verify %s\n", NOVEL_VERSION) < 0 ? EXIT_UNREADABLE : EXIT_VERIFIED;
        } else {
            return complain(a, "no such option; see novel-verify --help");
        }
    }
    if (out->files > 0)
        return -1;
    (void) fputs("novel-verify: no log named; see novel-verify --help\n", stderr);
    return EXIT_UNREADABLE;
}

int main(int argc, char **argv)
{
    struct options o = { 0 };
    int code = parse(argc, argv, &o);
    if (code >= 0)
        return code;
    code = EXIT_VERIFIED;
    for (int i = 1; i <= o.files; i++) {
        int r = check_file(&o, argv[i]);
        code = r > code ? r : code;
    }
    return code;
}
