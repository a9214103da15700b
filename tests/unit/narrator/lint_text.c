#include "tests/unit/narrator/lint_text.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool say(char *why, size_t size, const char *what, const char *text)
{
    snprintf(why, size, "%s: %s", what, text);
    return false;
}
static bool lower(char c)
{
    return c >= 'a' && c <= 'z';
}
static bool is_vowel(char c)
{
    return strchr("aeiou", c | 0x20) != NULL;
}
static bool starts(const char *word, const char *const *list)
{
    for (; *list != NULL; list++)
        if (strncasecmp(word, *list, strlen(*list)) == 0)
            return true;
    return false;
}
/* "with he", "at they": a subject where an object belongs. */
static bool subject_misplaced(const char *text)
{
    static const char *const before[] = { "with ", "at ",   "to ",   "of ",     "about ",
                                          "from ", "upon ", "into ", "beside ", "behind ",
                                          "bring ", "made ", "carried ", "pulled ", "led ", "held " };
    static const char *const subjects[] = { "he", "she", "they", "I", "we" };
    for (size_t b = 0; b < sizeof(before) / sizeof(before[0]); b++)
        for (const char *p = strcasestr(text, before[b]); p != NULL;
             p = strcasestr(p + 1, before[b]))
            for (size_t i = 0; i < sizeof(subjects) / sizeof(subjects[0]); i++) {
                const char *word = p + strlen(before[b]);
                size_t n = strlen(subjects[i]);
                bool whole = p == text || strchr(" \"\n", p[-1]) != NULL;
                if (whole && strncmp(word, subjects[i], n) == 0 && strchr(" ,.;:!?", word[n]) != NULL)
                    return true;
            }
    return false;
}
/* A word said twice, and a before a vowel. */
static const char *lint_words(const char *text)
{
    static const char *const said_as_consonant[] = { "one", "once", "uni", "use", "usu",
                                                     "eu",  "uto",  "ut",  "u-",  NULL };
    static const char *const said_as_vowel[] = { "hour", "honest", "heir", "honou", "X-",
                                                 "SOS",  "M",      "F",    "L",     "S",
                                                 "NV",   "RC",     NULL };
    const char *last = "";
    size_t last_size = 0;
    for (const char *p = text; *p != 0;) {
        size_t n = strcspn(p, " ,.;:!?\"*");
        if (n > 0 && n == last_size && strncasecmp(p, last, n) == 0 && p == last + n + 1 &&
            last[n] == ' ' && strncasecmp(p, "had", n) != 0)
            return "a word twice";
        if (last_size == 1 && (*last == 'a' || *last == 'A') && p == last + 2 && n > 0 &&
            is_vowel(*p) && !starts(p, said_as_consonant))
            return "a before a vowel";
        if (last_size == 2 && strncasecmp(last, "an", 2) == 0 && p == last + 3 && n > 0 &&
            !is_vowel(*p) && !starts(p, said_as_vowel) && *p != '8')
            return "an before a consonant";
        last = p, last_size = n;
        p += n > 0 ? n : 1;
        if (n > 0 && *p == ' ')
            p++;
    }
    return NULL;
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
    if (subject_misplaced(text))
        return say(why, size, "a subject where an object belongs", text);
    if (lint_words(text) != NULL)
        return say(why, size, lint_words(text), text);
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
bool lint_has_word(const char *text, const char *word)
{
    size_t n = strlen(word);
    for (const char *p = strstr(text, word); p != NULL; p = strstr(p + 1, word))
        if ((p == text || !isalnum((unsigned char) p[-1])) && !isalnum((unsigned char) p[n]))
            return true;
    return false;
}
bool lint_first_person(const char *text, char *why, size_t size)
{
    static const char *const wrong[] = {
        "I is",      "I has",    "I does",   "I are",     "me am",     "me is",      "me was",
        "said I",    "I I",      "I's",      "me me",     "my my",     "with I",     "to I",
        "at I",      "of I",     "from I",   "told I",    "asked I",   "gave I",     "beside I",
        "behind I",  "about I",  "upon I",   "into I",    "took I",    "brought I",  "found I",
        "by I",     "saw I",    "let I",     "made I",    "round I",            "We was",    "we was",   "I and",    "between I", "put I",      "led I",
        "left I",    "tells I",  "warns I",  "lets I",    "gives I",   "asks I",     "reminds I",
        "me had",    "me said",  "me went",  "me could see",  "me did",    "me would",   "my's",
        "mine own",     "at we",    "of we",     "to we",     "with we",    "like I",
        "i",         "Me was",   "caught I", "watched I", "followed I", "helped I",  "pulled I",
        "struck I",  "on I",     "near I",   "over I",    "past I",    "towards I",  "under I",
        "against I", "thanked I", "blamed I", "showed I", "kept I",    "handed I",   "passed I",
        "accused I", "pressed I", "me thought", "me knew", "in I",     "Mine",       "without I",
        "through I", "sent I",   "called I", "held I",    "met I",     "woke I",     "cost I",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        if (lint_has_word(text, wrong[i]) && strstr(text, "y and by I") == NULL &&
            strstr(text, "before me had") == NULL)
            return say(why, size, wrong[i], text);
    return true;
}
