#include "tests/unit/narrator/lint_text.h"
#include <stdio.h>
#include <string.h>

static bool say(char *why, size_t size, const char *what, const char *text)
{
    snprintf(why, size, "%s: %s", what, text);
    return false;
}
static bool lower(char c)
{
    return c >= 'a' && c <= 'z';
}
bool lint_sentence(const char *text, char *why, size_t size)
{
    static const char *const never[] = { "  ",       " ,",
                                         " .",       " ;",
                                         "..",       ",.",
                                         ",,",       "\"\"",
                                         "{",        "}",
                                         "<",        ">",
                                         "[",        "]",
                                         "|",        "@",
                                         "//",       "%",
                                         "the the ", " a a ",
                                         "The the ", " the a ",
                                         "he's's",   " s ",
                                         "'s's",     "himself himself",
                                         "(",        ")" };
    size_t n = strlen(text), quotes = 0;
    if (n == 0)
        return say(why, size, "empty", text);
    for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
        if (strstr(text, never[i]) != NULL)
            return say(why, size, never[i], text);
    for (size_t i = 0; i < n; i++)
        quotes += text[i] == '"';
    (void) quotes; /* a quotation may run over several sentences: see lint_story */
    size_t first = text[0] == '"' ? 1 : 0;
    if (lower(text[first]) || text[first] == ' ' || text[first] == ',')
        return say(why, size, "begins small", text);
    size_t last = n - (text[n - 1] == '"');
    if (last == 0 || strchr(".!?", text[last - 1]) == NULL)
        return say(why, size, "has no end", text);
    for (size_t i = 0; i + 2 < n; i++)
        if (strchr("!?", text[i]) != NULL && text[i + 1] == '"' && text[i + 2] == ',')
            return say(why, size, "comma after a question", text);
    for (size_t i = 0; i + 3 < n;
         i++) /* She at the wrong place: "…?" She asked. is caught by its small verb */
        if (text[i] == '"' && strncmp(text + i, "\" She said", 10) == 0)
            return say(why, size, "tag begins large", text);
    return true;
}
bool lint_story(const struct nvl_story *story, char *why, size_t size)
{
    if (story->title[0] == 0 || story->passages_count == 0)
        return say(why, size, "no title or no scene", story->title);
    for (size_t p = 0; p < story->passages_count; p++) {
        size_t quotes = 0;
        for (size_t i = 0; i < story->passages[p].sentences_count; i++) {
            const struct nvl_sentence *s = &story->passages[p].sentences[i];
            if (!lint_sentence(s->text, why, size))
                return false;
            if (s->paragraph_start && quotes % 2 != 0)
                return say(why, size, "a quotation is left open before", s->text);
            for (const char *c = s->text; *c != 0; c++)
                quotes += *c == '"';
        }
        if (quotes % 2 != 0)
            return say(why, size, "a quotation is left open", story->passages[p].sentences[0].text);
    }
    return true;
}
