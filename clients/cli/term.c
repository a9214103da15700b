#include "clients/cli/term.h"

#include <langinfo.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "rpc/base/utf8.h"

enum { WIDTH_MIN = 20, WIDTH_DEFAULT = 80 };

unsigned term_width(int fd)
{
    struct winsize size;
    unsigned width = 0;
    if (ioctl(fd, TIOCGWINSZ, &size) == 0)
        width = size.ws_col;
    if (width == 0) {
        const char *columns = getenv("COLUMNS");
        width = columns != NULL ? (unsigned) strtoul(columns, NULL, 10) : WIDTH_DEFAULT;
    }
    return width == 0 || width > 10000 ? WIDTH_DEFAULT : width < WIDTH_MIN ? WIDTH_MIN : width;
}

bool term_colors(int fd)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
    return isatty(fd) && (no == NULL || no[0] == '\0') &&
           (term == NULL || strcmp(term, "dumb") != 0);
}

bool term_utf8(void)
{
    return strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

/* ---- columns ---- */
static bool in_ranges(uint32_t c, const uint32_t (*ranges)[2], size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (c >= ranges[i][0] && c <= ranges[i][1])
            return true;
    return false;
}

/* A control character, or one that turns the direction of text around (it would hide what is
 * printed). */
static bool is_control(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x202a && c <= 0x202e) ||
           (c >= 0x2066 && c <= 0x2069);
}

static unsigned columns_of(uint32_t c)
{
    static const uint32_t none[][2] = {
        { 0x300, 0x36f }, { 0x200b, 0x200f }, { 0x20d0, 0x20ff }, { 0xfe00, 0xfe0f }
    };
    static const uint32_t wide[][2] = { { 0x1100, 0x115f },   { 0x2e80, 0x303e },
                                        { 0x3041, 0xa4cf },   { 0xac00, 0xd7a3 },
                                        { 0xf900, 0xfaff },   { 0xfe30, 0xfe6f },
                                        { 0xff00, 0xff60 },   { 0xffe0, 0xffe6 },
                                        { 0x1f300, 0x1faff }, { 0x20000, 0x3fffd } };
    if (is_control(c) || in_ranges(c, none, sizeof none / sizeof none[0]))
        return 0;
    return in_ranges(c, wide, sizeof wide / sizeof wide[0]) ? 2 : 1;
}

size_t term_columns(const char *text, size_t size)
{
    size_t columns = 0;
    for (size_t at = 0, used; at < size; at += used)
        columns += columns_of(utf8_decode(text + at, size - at, &used));
    return columns;
}

static void put_code_point(struct buf *out, uint32_t c)
{
    uint8_t bytes[4];
    buf_put(out, bytes, utf8_encode(c, bytes));
}

void term_put_line(struct buf *out, const char *text, size_t columns)
{
    size_t size = strlen(text), taken = 0;
    bool cut = term_columns(text, size) > columns;
    for (size_t at = 0, used; at < size; at += used) {
        uint32_t c = utf8_decode(text + at, size - at, &used);
        if (c == '\n' || c == '\t')
            c = ' ';
        unsigned wide = columns_of(c);
        if (is_control(c) || taken + wide > columns - (cut && columns > 0))
            continue;
        taken += wide;
        put_code_point(out, c);
    }
    if (cut && columns > 0)
        buf_puts(out, "…");
}

void term_put_safe(struct buf *out, const char *text)
{
    size_t size = strlen(text);
    for (size_t at = 0, used; at < size; at += used) {
        uint32_t c = utf8_decode(text + at, size - at, &used);
        if (c == '\n' || c == '\t' || !is_control(c))
            put_code_point(out, c);
    }
}

void term_put_styled(struct buf *out, enum term_style style, bool color, const char *text)
{
    static const char *const codes[] = { "",         "\x1b[1m",  "\x1b[2m", "\x1b[31m",
                                         "\x1b[32m", "\x1b[33m", "\x1b[36m" };
    buf_puts(out, color ? codes[style] : "");
    buf_puts(out, text);
    buf_puts(out, color && style != TERM_PLAIN ? "\x1b[0m" : "");
}

/* ---- stories ---- */
struct wrap {
    struct buf *out;
    unsigned width;
    size_t column;
    bool need_space;
    unsigned indent; /* of every line after the first */
};

static void next_line(struct wrap *w)
{
    buf_putc(w->out, '\n');
    for (w->column = 0; w->column < w->indent; w->column++)
        buf_putc(w->out, ' ');
    w->need_space = false;
}

static void put_word(struct wrap *w, const char *word, size_t size)
{
    size_t columns = term_columns(word, size);
    if (columns == 0) /* nothing to see: emphasis marks, control characters */
        return;
    if (w->column > w->indent && w->column + w->need_space + columns > w->width)
        next_line(w);
    if (w->need_space) {
        buf_putc(w->out, ' ');
        w->column++;
    }
    for (size_t at = 0, used; at < size; at += used) {
        uint32_t c = utf8_decode(word + at, size - at, &used);
        if (is_control(c))
            continue;
        if (w->column + columns_of(c) > w->width) { /* longer than a line: broken where it must */
            next_line(w);
        }
        put_code_point(w->out, c);
        w->column += columns_of(c);
    }
    w->need_space = true;
}

/* Emphasis of Markdown is not for reading on a terminal: every "*", and "_" at a word's ends, go.
 * Words longer than the buffer are no words and stay. */
static size_t strip_emphasis(char out[static 256], const char *word, size_t size)
{
    size_t n = 0;
    while (size > 1 && word[0] == '_') {
        word++;
        size--;
    }
    while (size > 1 && word[size - 1] == '_')
        size--;
    for (size_t i = 0; i < size; i++)
        if (word[i] != '*')
            out[n++] = word[i];
    return n;
}

static void put_words(struct wrap *w, const char *line, size_t size)
{
    for (size_t at = 0; at < size;) {
        size_t blank = strspn(line + at, " \t");
        at += blank < size - at ? blank : size - at;
        size_t word = strcspn(line + at, " \t\n");
        if (word > size - at)
            word = size - at;
        if (word == 0)
            break;
        char plain[256];
        if (word < sizeof plain)
            put_word(w, plain, strip_emphasis(plain, line + at, word));
        else
            put_word(w, line + at, word);
        at += word;
    }
}

static bool is_rule(const char *line, size_t size)
{
    size_t marks = 0;
    for (size_t i = 0; i < size; i++) {
        if (line[i] != '*' && line[i] != '-' && line[i] != '_' && line[i] != ' ')
            return false;
        marks += line[i] != ' ';
    }
    return marks >= 3;
}

static void put_heading(struct wrap *w, const char *line, size_t size, bool color)
{
    size_t marks = strspn(line, "#");
    buf_puts(w->out, color ? "\x1b[1m" : "");
    put_words(w, line + marks, size - marks);
    buf_puts(w->out, color ? "\x1b[0m" : "");
}

void term_put_story(struct buf *out, const char *markdown, unsigned width, bool color)
{
    struct wrap w = { out, width < WIDTH_MIN ? WIDTH_MIN : width, 0, false, 0 };
    bool between = true, any = false; /* between paragraphs */
    for (const char *line = markdown; *line != '\0';) {
        size_t size = strcspn(line, "\n");
        bool heading = line[0] == '#', rule = is_rule(line, size);
        bool blank = strspn(line, " \t\r") >= size;
        if ((blank || heading || rule) && !between) {
            buf_putc(out, '\n');
            between = true;
        }
        if (!blank) {
            if (between) {
                buf_puts(out, any ? "\n" : "");
                w.column = 0;
                w.need_space = false;
            }
            any = true;
            between = false;
            if (heading)
                put_heading(&w, line, size, color);
            else if (rule)
                put_word(&w, "* * *", 5);
            else
                put_words(&w, line, size);
            if (heading || rule) {
                buf_putc(out, '\n');
                between = true;
            }
        }
        line += size + (line[size] == '\n');
    }
    if (!between)
        buf_putc(out, '\n');
}

void term_put_wrapped(struct buf *out, const char *text, unsigned width, unsigned indent)
{
    if (width < indent + WIDTH_MIN) {
        term_put_safe(out, text);
        return;
    }
    struct wrap w = { out, width, indent, false, indent };
    for (; *text != '\0'; text += *text == '\n') {
        while (*text != '\n' && *text != '\0') {
            size_t word = strcspn(text, " \t\n");
            put_word(&w, text, word);
            text += word;
            text += strspn(text, " \t");
        }
        if (*text == '\n') {
            if (text[1] != '\n' && text[1] != '\0')
                next_line(&w);
            else /* no blanks at a line's end */
                buf_putc(out, '\n'), w.column = 0, w.need_space = false;
        }
    }
}
