/* journal.c — a journal is written afterwards, a day's part at a time: it is dated, and it reports
 * what was said more than it quotes it. */
#include <string.h>
#include "server/narrator/teller.h"

enum { DAY_MINUTES = 1440, BEGINS_AT = 17 * 60, QUOTE_WORDS = 12 };

const char *journal_day(struct teller *t, const struct nvl_event *e)
{
    static const struct {
        uint32_t until; /* hour */
        const char *name;
    } parts[] = { { 5, "at night" },        { 12, "in the morning" }, { 17, "in the afternoon" },
                  { 22, "in the evening" }, { 24, "at night" } };
    static const char *const hours[] = { "twelve", "one",   "two",   "three", "four", "five",
                                         "six",    "seven", "eight", "nine",  "ten",  "eleven" };
    uint32_t minute = (e->minute + BEGINS_AT) / 30 * 30, hour = minute % DAY_MINUTES / 60;
    uint32_t day = minute / DAY_MINUTES + 1;
    size_t i = 0;
    while (hour >= parts[i].until)
        i++;
    const char *s = arena_printf(&t->scratch, "Day %u, %s%s %s.", day,
                                 minute % 60 >= 30 ? "half past " : "", hours[hour % 12],
                                 parts[i].name);
    t->nomem |= s == NULL;
    return s != NULL ? s : "";
}

/* Words between quotation marks, and how many quotations there are. */
static size_t quoted_words(const struct draft *d, size_t *out_quotes)
{
    size_t words = 0, from = 0;
    bool inside = false;
    *out_quotes = 0;
    for (size_t i = 0; i < d->size; i++) {
        if (d->text[i] != '"')
            continue;
        if (inside)
            words += morph_words(d->text + from, i - from);
        *out_quotes += !inside;
        inside = !inside;
        from = i + 1;
    }
    return words;
}
int32_t journal_cost(const struct teller *t, const struct draft *d)
{
    if (t->perspective != NVL_JOURNAL)
        return 0;
    size_t quotes, words = quoted_words(d, &quotes);
    return (int32_t) (quotes > 1 ? quotes - 1 : 0) * 250 +
           (int32_t) (words > QUOTE_WORDS ? words - QUOTE_WORDS : 0) * 30;
}
bool journal_quotes_too_much(const struct draft *d)
{
    size_t quotes, words = quoted_words(d, &quotes);
    return quotes > 1 || words > QUOTE_WORDS;
}
