/* quote.c — whose words they are: quotations must be told apart without guessing. */
#include <string.h>
#include "server/narrator/teller.h"

/* Is the speaker of quote q named in the narration of its paragraph, text[from..to)? */
static bool quote_named(const struct teller *t, const struct draft *d, const struct quote *q,
                        size_t from, size_t to)
{
    bool inside = false;
    size_t next = 0;
    for (size_t i = 0; i < d->size && i < to; i++) {
        for (; next < d->named_count && d->named[next].offset <= i; next++)
            if (!inside && i >= from && d->named[next].sort == NVL_SORT_CHAR &&
                d->named[next].index == q->speaker)
                return true;
        inside ^= d->text[i] == '"';
    }
    return from == 0 && t->discourse.paragraph_start < t->discourse.sentence &&
           t->discourse.people[q->speaker].last >= t->discourse.paragraph_start;
}
/* A quotation must say whose it is: by a name in its paragraph, or as the answer of the one who was
 * spoken to. */
int32_t quote_cost(const struct teller *t, const struct draft *d)
{
    int32_t cost = 0;
    int16_t asked = t->quote_last ? t->quote_listener : -1;
    for (size_t i = 0; i < d->quotes_count; i++) {
        const struct quote *q = &d->quotes[i];
        size_t from = q->offset, to = q->offset;
        while (from > 0 && d->text[from - 1] != '\n')
            from--;
        while (to < d->size && d->text[to] != '\n')
            to++;
        bool answers = asked == q->speaker && (i > 0 || from == 0);
        if (!answers && !quote_named(t, d, q, from, to))
            cost += 500;
        asked = q->listener;
    }
    /* one speaker named again and again in a paragraph */
    if (t->quote_speaker >= 0 && d->quotes_count > 0 && d->quotes[0].speaker == t->quote_speaker &&
        t->discourse.paragraph_start < t->discourse.sentence)
        cost += d->text[0] == '"' ? 700 : 200; /* "…," said A. "…," said A. */
    /* two quotations side by side read as two people */
    cost +=
        t->quote_last && d->text[0] == '"' && t->discourse.paragraph_start < t->discourse.sentence
            ? 300
            : 0;
    return cost;
}
/* After a quotation of one person the act of another begins a paragraph: else it would read as the
 * speaker's. */
void quote_part(struct draft *d, const struct bind *b, const char *form)
{
    bool subject = form[0] == 0 || strcmp(form, "name") == 0 || strcmp(form, "poss") == 0;
    if (b->sort != NVL_SORT_CHAR || d->in_quote || !subject || d->quotes_count == 0 ||
        d->size < 2 || d->text[d->size - 1] != ' ' || d->text[d->size - 2] != '"' ||
        d->speaker == (int16_t) b->index || !d->at_start)
        return;
    d->text[d->size - 1] = '\n';
    d->discourse.paragraph_start = d->discourse.sentence;
}
