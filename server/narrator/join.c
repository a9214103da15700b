/* join.c — short plain sentences that follow one another are said in one breath: "The door gave,
 * and it was very still."  Keeps the rhythm of a story near that of prose without touching its
 * matter. */
#include <string.h>
#include "server/narrator/teller.h"

enum { SHORT_WORDS = 9, BEFORE_WORDS = 20, JOINED = 6 /* ", and " */, MEAN_TENTHS = 138 };

/* A sentence that may follow "and" with a small letter. */
static bool may_follow(const char *text)
{
    static const char *const heads[] = { "It ",       "There ",   "They ",      "Nobody ",
                                         "No one ",   "Nothing ", "That ",      "Somebody ",
                                         "Someone ",  "The ",     "Everybody ", "Everyone ",
                                         "Something " };
    if (strncmp(text, "It would ", 9) == 0 || strncmp(text, "There had ", 10) == 0)
        return false; /* says why, or looks back: that wants its full stop */
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++)
        if (strncmp(text, heads[i], strlen(heads[i])) == 0)
            return true;
    return false;
}
static bool has_mark(char c)
{
    return c == '"' || c == '*' || c == ':' || c == ';' || c == '!' || c == '?' || c == '\n';
}
/* End of the plain sentence that begins at from (its full stop), or 0: it has a quotation in it,
 * marks of its own, or ends otherwise. */
static size_t plain_end(const struct draft *d, size_t from)
{
    for (size_t i = from; i < d->size; i++) {
        if (has_mark(d->text[i]))
            return 0;
        if (d->text[i] == '.')
            return i + 1 == d->size || (d->text[i + 1] == ' ' && d->text[i - 1] != 'r') ? i : 0;
    }
    return 0;
}
static void join_at(struct draft *d, size_t stop)
{
    /* ". It" becomes ", and it" */
    memmove(d->text + stop + JOINED, d->text + stop + 2, d->size - stop - 1);
    memcpy(d->text + stop, ", and ", JOINED);
    d->size += JOINED - 2;
    d->text[stop + JOINED] = (char) (d->text[stop + JOINED] - 'A' + 'a');
    for (size_t i = 0; i < d->named_count; i++)
        if (d->named[i].offset > stop)
            d->named[i].offset = (uint16_t) (d->named[i].offset + JOINED - 2);
    for (size_t i = 0; i < d->quotes_count; i++)
        if (d->quotes[i].offset > stop)
            d->quotes[i].offset = (uint16_t) (d->quotes[i].offset + JOINED - 2);
}
void join_short(const struct teller *t, struct draft *d)
{
    if (t->style == NVL_STYLE_TACTICAL || t->style == NVL_STYLE_NOIR)
        return;
    if (t->discourse.sentence > 8 &&
        t->words_told * 10 / (uint32_t) t->discourse.sentence > MEAN_TENTHS)
        return;
    bool inside = false; /* what is said keeps the rhythm of its voice */
    for (size_t from = 0, seen = 0; from < d->size;) {
        for (; seen < from; seen++)
            inside ^= d->text[seen] == '"';
        size_t stop = inside ? 0 : plain_end(d, from);
        size_t next = stop + 2, end = stop > 0 && next < d->size ? plain_end(d, next) : 0;
        bool joins = end > 0 && may_follow(d->text + next) && d->size + JOINED < DRAFT_BYTES &&
                     morph_words(d->text + from, stop - from) <= BEFORE_WORDS &&
                     morph_words(d->text + next, end - next) <= SHORT_WORDS &&
                     memmem(d->text + from, stop - from, ", and ", 6) == NULL &&
                     memmem(d->text + next, end - next, " not ", 5) == NULL && /* wants "but" */
                     mix64(t->seed ^ morph_hash(d->text + next, end - next)) % 100 < 65;
        if (joins) {
            join_at(d, stop);
            from = end + JOINED;
        } else {
            while (from < d->size && !morph_breaks(d->text[from]))
                from++;
            while (from < d->size && (morph_breaks(d->text[from]) || d->text[from] == '"' ||
                                      d->text[from] == ' '))
                from++;
        }
    }
}
