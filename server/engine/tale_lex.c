/* tale_lex.c — lines into statements, statements into tokens. */
#include "server/engine/tale.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "rpc/base/utf8.h"

bool tale_fail(struct tale *t, const struct lex *lex, const char *format, ...)
{
    if (t->rc != NVL_OK)
        return false;
    t->rc = NVL_E_PACK;
    if (t->err == NULL)
        return false;
    memset(t->err, 0, sizeof(*t->err));
    if (lex != NULL) {
        snprintf(t->err->file, sizeof(t->err->file), "%s", lex->file);
        t->err->line = lex->line;
        t->err->column = lex->tok_column;
    }
    va_list args;
    va_start(args, format);
    vsnprintf(t->err->message, sizeof(t->err->message), format, args);
    va_end(args);
    return false;
}
bool tale_nomem(struct tale *t)
{
    if (t->rc == NVL_OK)
        t->rc = NVL_E_NOMEM;
    return false;
}

static bool is_word_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

void lex_open(struct lex *lex, struct tale *t, const char *file, const struct tale_line *line)
{
    *lex = (struct lex){ .tale = t,
                         .file = file,
                         .start = line->text,
                         .at = line->text,
                         .end = line->text + line->size,
                         .line = line->line,
                         .column = line->column };
    lex_next(lex);
}

void lex_next(struct lex *lex)
{
    while (lex->at < lex->end && (*lex->at == ' ' || *lex->at == '\t'))
        lex->at++;
    lex->tok_column = lex->column + (uint32_t) (lex->at - lex->start);
    lex->text = lex->at;
    const char *p = lex->at;
    if (p == lex->end || *p == '#') {
        lex->kind = TOKEN_END, lex->size = 0;
        lex->at = lex->end;
        return;
    }
    if (is_word_start(*p)) {
        while (p < lex->end && (is_word_start(*p) || is_digit(*p)))
            p++;
        lex->kind = TOKEN_WORD;
    } else if (is_digit(*p)) {
        lex->number = 0;
        while (p < lex->end && is_digit(*p)) {
            if (lex->number < 1000000)
                lex->number = lex->number * 10 + (*p - '0');
            p++;
        }
        lex->kind = TOKEN_NUMBER;
    } else if (*p == '"') {
        p++;
        while (p < lex->end && *p != '"')
            p++;
        lex->kind = TOKEN_STRING;
        if (p == lex->end) {
            tale_fail(lex->tale, lex, "a string without its closing quote");
            lex->kind = TOKEN_END;
        } else {
            p++;
        }
    } else {
        static const char *const pairs[] = { "..", "/=", "<=", ">=", "+=", "-=" };
        size_t n = 1;
        for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
            if (lex->end - p >= 2 && memcmp(p, pairs[i], 2) == 0)
                n = 2;
        p += n;
        lex->kind = TOKEN_PUNCT;
    }
    lex->size = (uint32_t) (p - lex->at);
    lex->at = p;
}
bool lex_is(const struct lex *lex, const char *text)
{
    return (lex->kind == TOKEN_WORD || lex->kind == TOKEN_PUNCT) && lex->size == strlen(text) &&
           memcmp(lex->text, text, lex->size) == 0;
}
bool lex_take(struct lex *lex, const char *text)
{
    if (!lex_is(lex, text))
        return false;
    lex_next(lex);
    return true;
}
bool lex_want(struct lex *lex, const char *text)
{
    if (lex_take(lex, text))
        return true;
    return tale_fail(lex->tale, lex, "expected \"%s\"", text);
}
bool lex_word(struct lex *lex, char *out, size_t size, const char *what)
{
    if (lex->kind != TOKEN_WORD)
        return tale_fail(lex->tale, lex, "expected %s", what);
    if (lex->size >= size)
        return tale_fail(lex->tale, lex, "%s longer than %zu letters", what, size - 1);
    memcpy(out, lex->text, lex->size);
    out[lex->size] = 0;
    lex_next(lex);
    return true;
}
bool lex_int(struct lex *lex, int32_t *out, int32_t min, int32_t max, const char *what)
{
    struct lex at = *lex;
    int32_t sign = lex_take(lex, "-") ? -1 : 1;
    if (lex->kind != TOKEN_NUMBER)
        return tale_fail(lex->tale, &at, "expected %s", what);
    int32_t v = sign * lex->number;
    if (v < min || v > max)
        return tale_fail(lex->tale, &at, "%s must lie in %d..%d", what, (int) min, (int) max);
    lex_next(lex);
    *out = v;
    return true;
}
uint32_t tale_string(struct tale *t, const char *text, size_t size)
{
    if (size == 0)
        return 0;
    uintptr_t found = (uintptr_t) map_get(&t->strings, text, size);
    if (found != 0)
        return (uint32_t) (found - 1);
    uint32_t offset = (uint32_t) t->sec[SEC_STRS].size;
    buf_put(&t->sec[SEC_STRS], text, size);
    put8(&t->sec[SEC_STRS], 0);
    if (map_set(&t->strings, text, size, (void *) (uintptr_t) (offset + 1), NULL) != 0)
        tale_nomem(t);
    return offset;
}
bool lex_string(struct lex *lex, uint32_t *out, const char *what)
{
    if (lex->kind != TOKEN_STRING)
        return tale_fail(lex->tale, lex, "expected %s in quotes", what);
    *out = tale_string(lex->tale, lex->text + 1, lex->size - 2);
    lex_next(lex);
    return true;
}
bool lex_done(struct lex *lex)
{
    if (lex->kind == TOKEN_END)
        return lex->tale->rc == NVL_OK;
    return tale_fail(lex->tale, lex, "unexpected \"%.*s\"", (int) lex->size, lex->text);
}

int names_find(const struct tale_names *n, const char *name)
{
    for (size_t i = 0; i < n->count; i++)
        if (strcmp(n->items[i].name, name) == 0)
            return (int) i;
    return -1;
}
bool names_add(struct tale *t, struct lex *lex, struct tale_names *n, const char *name,
               unsigned extra, const char *what)
{
    if (names_find(n, name) >= 0)
        return tale_fail(t, lex, "%s \"%s\" is declared twice", what, name);
    if (n->count == n->capacity) {
        size_t capacity = n->capacity == 0 ? 32 : 2 * n->capacity;
        struct tale_name *items = arena_zero(&t->arena, capacity, sizeof(*items));
        if (items == NULL)
            return tale_nomem(t);
        if (n->count > 0)
            memcpy(items, n->items, n->count * sizeof(*items));
        n->items = items, n->capacity = capacity;
    }
    char *copy = arena_strndup(&t->arena, name, strlen(name));
    if (copy == NULL)
        return tale_nomem(t);
    n->items[n->count++] = (struct tale_name){ copy, (uint16_t) extra };
    return true;
}
bool lex_name(struct lex *lex, const struct tale_names *n, int *out, const char *what)
{
    char name[64];
    struct lex at = *lex;
    if (!lex_word(lex, name, sizeof(name), what))
        return false;
    if ((*out = names_find(n, name)) < 0)
        return tale_fail(lex->tale, &at, "no %s is named \"%s\"", what, name);
    return true;
}

/* --- statements
 * ------------------------------------------------------------------------------------------ */

static const char *const world_keywords[] = {
    "pack",  "fluent", "skill", "tag",    "define", "goal",    "thread", "operator", "frame",
    "truth", "fact",   "clue",  "ending", "genre",  "lexicon", "hint",   "ranks",    "tension",
};
static bool path_is_prose(const char *path)
{
    return strncmp(path, "prose/", 6) == 0 || strstr(path, "/prose/") != NULL;
}
static bool statement_begin(struct tale *t, struct tale_statement *s, const char *file,
                            struct tale_line line)
{
    struct lex lex;
    lex_open(&lex, t, file, &line);
    s->file = file;
    s->prose = path_is_prose(file);
    if (!lex_word(&lex, s->keyword, sizeof(s->keyword), "a statement's keyword"))
        return false;
    bool known = s->prose;
    for (size_t i = 0; i < sizeof(world_keywords) / sizeof(world_keywords[0]); i++)
        known |= strcmp(world_keywords[i], s->keyword) == 0;
    if (!known) {
        lex_open(&lex, t, file, &line);
        return tale_fail(t, &lex, "unknown statement \"%s\"", s->keyword);
    }
    uint32_t skip = (uint32_t) strlen(s->keyword);
    while (skip < line.size && (line.text[skip] == ' ' || line.text[skip] == '\t'))
        skip++;
    s->head =
        (struct tale_line){ line.text + skip, line.size - skip, line.line, line.column + skip };
    return true;
}
/* Cuts one line out; false at the end of the source. */
static bool next_line(const struct nvl_source *source, size_t *at, uint32_t *number,
                      struct tale_line *out, bool *indented)
{
    if (*at >= source->size)
        return false;
    const char *p = source->text + *at, *limit = source->text + source->size;
    const char *eol = memchr(p, '\n', (size_t) (limit - p));
    const char *end = eol != NULL ? eol : limit;
    *at = (size_t) (end - source->text) + 1;
    ++*number;
    const char *first = p;
    while (first < end && (*first == ' ' || *first == '\t'))
        first++;
    while (end > first && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r'))
        end--;
    *indented = first > p;
    *out =
        (struct tale_line){ first, (uint32_t) (end - first), *number, (uint32_t) (first - p) + 1 };
    return true;
}
static size_t count_lines(const struct nvl_source *source)
{
    size_t n = 1;
    for (size_t i = 0; i < source->size; i++)
        n += source->text[i] == '\n';
    return n;
}
bool tale_split(struct tale *t, const struct nvl_source *source)
{
    size_t lines = count_lines(source), valid = utf8_valid_prefix(source->text, source->size);
    struct tale_line line = { source->text, 0, 1, 1 };
    struct lex lex;
    char *file = arena_strndup(&t->arena, source->path, strlen(source->path));
    struct tale_line *body = arena_zero(&t->arena, lines, sizeof(*body));
    struct tale_statement *all = arena_zero(&t->arena, t->statements_count + lines, sizeof(*all));
    if (file == NULL || body == NULL || all == NULL)
        return tale_nomem(t);
    if (t->statements_count > 0)
        memcpy(all, t->statements, t->statements_count * sizeof(*all));
    t->statements = all;
    bool bad_utf8 =
        valid < source->size || (source->size > 0 && memchr(source->text, 0, source->size) != NULL);
    size_t at = 0;
    uint32_t number = 0;
    bool indented;
    struct tale_statement *s = NULL;
    while (next_line(source, &at, &number, &line, &indented)) {
        if (bad_utf8 && (at > valid || memchr(line.text, 0, line.size) != NULL)) {
            line.size = 0;
            lex_open(&lex, t, file, &line);
            return tale_fail(t, &lex, "not UTF-8 text");
        }
        if (line.size == 0 || line.text[0] == '#')
            continue;
        if (!indented) {
            s = &t->statements[t->statements_count++];
            s->body = body;
            if (!statement_begin(t, s, file, line))
                return false;
        } else if (s == NULL) {
            lex_open(&lex, t, file, &line);
            return tale_fail(t, &lex, "an indented line before any statement");
        } else {
            *body++ = line;
            s->body_count++;
        }
    }
    return true;
}
