#include "gen.h"

#include <ctype.h>
#include <string.h>

static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

static void put_lower(struct buf *b, const char *s, size_t size)
{
    bool was_upper = true;
    for (size_t i = 0; i < size; i++) {
        if (is_upper(s[i]) && !was_upper)
            buf_putc(b, '_');
        buf_putc(b, (char) tolower((unsigned char) s[i]));
        was_upper = is_upper(s[i]);
    }
}

static void put_camel(struct buf *b, const char *s, size_t size)
{
    bool next_is_upper = true;
    for (size_t i = 0; i < size; i++) {
        if (s[i] == '_') {
            next_is_upper = true;
            continue;
        }
        buf_putc(b, next_is_upper ? (char) toupper((unsigned char) s[i]) : s[i]);
        next_is_upper = false;
    }
}

/* Each dotted piece through put, joined by the separator. */
static char *convert(struct gen *g, const char *full, const char *separator,
                     void (*put)(struct buf *, const char *, size_t), const char *suffix)
{
    struct buf b = { 0 };
    for (const char *s = full; *s != '\0';) {
        size_t size = strcspn(s, ".");
        if (size > 0) {
            if (b.size > 0)
                buf_puts(&b, separator);
            put(&b, s, size);
        }
        s += size + (s[size] == '.');
    }
    char *text = gen_text(g, "%s%s", buf_str(&b), suffix);
    buf_done(&b);
    return text;
}

char *name_type(struct gen *g, const char *full)
{
    return convert(g, full, "__", put_camel, "");
}

char *name_descriptor(struct gen *g, const char *full)
{
    return convert(g, full, "__", put_lower, "__descriptor");
}

char *name_prefix(struct gen *g, const char *full)
{
    return convert(g, full, "_", put_lower, "");
}

char *name_lower(struct gen *g, const char *name)
{
    return convert(g, name, "_", put_lower, "");
}

char *name_upper(struct gen *g, const char *name)
{
    char *text = gen_text(g, "%s", name);
    for (char *c = text; *c != '\0'; c++)
        *c = (char) toupper((unsigned char) *c);
    return text;
}

char *name_member(struct gen *g, const char *name)
{
    static const char *const keywords[] = {
        "all",      "alignas",  "alignof",  "and",     "asm",       "auto",      "bool",
        "break",    "case",     "catch",    "char",    "class",     "const",     "continue",
        "default",  "delete",   "do",       "double",  "else",      "enum",      "explicit",
        "export",   "extern",   "false",    "float",   "for",       "friend",    "goto",
        "if",       "inline",   "int",      "long",    "mutable",   "namespace", "new",
        "not",      "operator", "or",       "private", "protected", "public",    "register",
        "restrict", "return",   "short",    "signed",  "sizeof",    "static",    "struct",
        "switch",   "template", "this",     "throw",   "true",      "try",       "typedef",
        "typename", "union",    "unsigned", "using",   "virtual",   "void",      "volatile",
        "while",    "xor",
    };
    char *lower = name_lower(g, name);
    for (size_t i = 0; i < sizeof keywords / sizeof keywords[0]; i++)
        if (strcmp(lower, keywords[i]) == 0)
            return gen_text(g, "%s_", lower);
    return lower;
}

char *name_file(struct gen *g, const char *stem)
{
    char *text = gen_text(g, "%s", stem);
    for (char *c = text; *c != '\0'; c++)
        if (!isalnum((unsigned char) *c))
            *c = '_';
    if (isdigit((unsigned char) text[0]))
        return gen_text(g, "_%s", text);
    return text;
}

const char *name_text(struct gen *g, const char *text)
{
    struct buf b = { 0 };
    buf_putc(&b, '"');
    for (const char *c = text; *c != '\0'; c++) {
        unsigned char u = (unsigned char) *c;
        if (u == '"' || u == '\\')
            buf_printf(&b, "\\%c", u);
        else if (u == '?' || u < 0x20 || u >= 0x7f) /* '?': no trigraphs */
            buf_printf(&b, "\\%03o", u);
        else
            buf_putc(&b, *c);
    }
    buf_putc(&b, '"');
    const char *literal = gen_text(g, "%s", buf_str(&b));
    buf_done(&b);
    return literal;
}

char *name_join(struct gen *g, const char *scope, const char *name)
{
    return scope[0] == '\0' ? gen_text(g, "%s", name) : gen_text(g, "%s.%s", scope, name);
}
