/* centre.c — what ties a sentence to the one before: somebody or something that both speak of.  A
 * sentence that shares nothing with its neighbour makes the reader begin anew (Centering theory:
 * Grosz, Joshi and Weinstein 1995), so a draft pays for each. */
#include <string.h>
#include "server/narrator/teller.h"

enum { LOOSE_COST = 110 };

static bool has(const struct spoken *s, uint8_t sort, uint8_t index)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->items[i].sort == sort && s->items[i].index == index)
            return true;
    return false;
}
static void add(struct spoken *s, unsigned sort, unsigned index)
{
    if (s->count < SPOKEN_MAX && !has(s, (uint8_t) sort, (uint8_t) index))
        s->items[s->count++] =
            (struct spoken_of){ .sort = (uint8_t) sort, .index = (uint8_t) index };
}
static bool shares(const struct spoken *a, const struct spoken *b)
{
    for (size_t i = 0; i < a->count; i++)
        if (has(b, a->items[i].sort, a->items[i].index))
            return true;
    return false;
}
/* The end of the sentence that begins at from, its closing quotation mark included. */
static size_t sentence_end(const struct draft *d, size_t from)
{
    for (size_t i = from; i < d->size; i++) {
        bool last = i + 1 >= d->size, quoted = !last && d->text[i + 1] == '"';
        size_t next = i + (quoted ? 2 : 1);
        if (d->text[i] == '\n' || (morph_stops(d->text[i]) &&
                                   (next >= d->size || d->text[next] == ' ' || d->text[next] == '\n')))
            return next;
    }
    return d->size;
}
/* Whom and what the text from..to speaks of; a quotation, of who speaks and who is spoken to. */
static void speak_of(const struct draft *d, size_t from, size_t to, struct spoken *out)
{
    out->count = 0;
    for (size_t i = 0; i < d->named_count; i++)
        if (d->named[i].offset >= from && d->named[i].offset < to)
            add(out, d->named[i].sort, d->named[i].index);
    for (size_t i = 0; i < d->quotes_count; i++)
        if (d->quotes[i].offset >= from && d->quotes[i].offset < to) {
            if (d->quotes[i].speaker >= 0)
                add(out, NVL_SORT_CHAR, (unsigned) d->quotes[i].speaker);
            if (d->quotes[i].listener >= 0)
                add(out, NVL_SORT_CHAR, (unsigned) d->quotes[i].listener);
        }
}
int32_t centre_cost(const struct teller *t, const struct draft *d, bool begins)
{
    struct spoken before = t->spoken, now;
    int32_t cost = 0;
    bool first = begins || t->chunks_count == 0;
    for (size_t from = 0, to; from < d->size; from = to) {
        to = sentence_end(d, from);
        speak_of(d, from, to, &now);
        cost += first || shares(&before, &now) ? 0 : LOOSE_COST;
        before = now, first = false;
    }
    return cost;
}
void centre_commit(struct teller *t, const struct draft *d)
{
    for (size_t from = 0, to; from < d->size; from = to) {
        to = sentence_end(d, from);
        speak_of(d, from, to, &t->spoken);
    }
}
