#include "gateway/suggest.h"

#include <string.h>

enum { WORD_MAX = 48 };

void suggest_start(struct suggest *s, const char *word, size_t size)
{
    *s = (struct suggest){ .word = word, .size = size, .distance = ~0u };
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char) (c | 0x20) : c;
}

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

static unsigned substitution(char a, char b)
{
    return lower(a) == lower(b) || ((a == '_' || a == '-') && (b == '_' || b == '-')) ? 0 : 1;
}

static unsigned edit_distance(const char *a, size_t a_size, const char *b, size_t b_size)
{
    unsigned rows[3][WORD_MAX + 1];
    unsigned *before = rows[0], *last = rows[1], *row = rows[2];
    for (size_t j = 0; j <= b_size; j++)
        last[j] = (unsigned) j;
    for (size_t i = 1; i <= a_size; i++) {
        row[0] = (unsigned) i;
        for (size_t j = 1; j <= b_size; j++) {
            unsigned cost = last[j - 1] + substitution(a[i - 1], b[j - 1]);
            cost = least(cost, least(last[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                cost = least(cost, before[j - 2] + 1);
            row[j] = cost;
        }
        unsigned *spare = before;
        before = last;
        last = row;
        row = spare;
    }
    return last[b_size];
}

void suggest_offer(struct suggest *s, const char *candidate)
{
    size_t size = strlen(candidate);
    if (s->size == 0 || s->size > WORD_MAX || size > WORD_MAX)
        return;
    size_t longer = size > s->size ? size : s->size, shorter = size + s->size - longer;
    if (longer - shorter > 3)
        return;
    unsigned limit = (unsigned) longer / 3;
    limit = least(limit < 1 ? 1 : limit, 3);
    unsigned d = edit_distance(s->word, s->size, candidate, size);
    if (d <= limit && d < s->distance) {
        s->distance = d;
        s->best = candidate;
    }
}
