/* vary.c — words that may stand for each other: "nobody" and "no one", "began to" and "started to".
 * Fixed text is read against them, so that two stories that use one line need not say it alike. */
#include <string.h>
#include "server/narrator/teller.h"

static bool letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '\'' || c == '-';
}
static unsigned letter_number(char c)
{
    c = c >= 'A' && c <= 'Z' ? (char) (c - 'A' + 'a') : c;
    return c >= 'a' && c <= 'z' ? (unsigned) (c - 'a') : 26;
}
/* By the first two letters. */
static unsigned bucket(const char *text, size_t size)
{
    return size == 0 ? 27 * 27 - 1
                     : letter_number(text[0]) * 27 + (size > 1 ? letter_number(text[1]) : 26);
}
/* Longer phrases first, so that the first that fits is the best. */
static bool before(const struct vary *a, const struct vary *b)
{
    unsigned x = bucket(a->text, a->size), y = bucket(b->text, b->size);
    return x != y ? x < y : a->size > b->size;
}
void vary_read(struct teller *t)
{
    t->vary_count = 0;
    memset(t->vary_from, 0xff, sizeof(t->vary_from)); /* none */
    for (size_t i = 0; i < t->index.count; i++) {
        const struct prose_rule *r = &t->index.rules[i];
        size_t line = 0, offset = 0, size, first = t->vary_count;
        const char *text;
        if (r->kind != PROSE_VARY)
            continue;
        while (t->vary_count < VARY_MAX && prose_alternative(r, &line, &offset, &text, &size))
            if (size > 0 && size < 64)
                t->vary[t->vary_count++] = (struct vary){ text, (uint8_t) size, 0, 0 };
        for (size_t k = first; k < t->vary_count; k++) {
            t->vary[k].first = (uint16_t) first;
            t->vary[k].count = (uint16_t) (t->vary_count - first);
        }
    }
    for (size_t i = 0; i < t->vary_count; i++) { /* a sorted list of indices beside the groups */
        size_t k = i;
        for (; k > 0 && before(&t->vary[i], &t->vary[t->vary_order[k - 1]]); k--)
            t->vary_order[k] = t->vary_order[k - 1];
        t->vary_order[k] = (uint16_t) i;
    }
    for (size_t i = t->vary_count; i-- > 0;)
        t->vary_from[bucket(t->vary[t->vary_order[i]].text, t->vary[t->vary_order[i]].size)] = (uint16_t) i;
}
static bool same_text(const struct vary *v, const char *text, size_t size)
{
    if (v->size > size || (v->size > 1 && text[1] != v->text[1]) ||
        (v->size < size && letter(text[v->size])) ||
        memcmp(v->text + 1, text + 1, v->size - 1) != 0)
        return false;
    return v->text[0] == text[0] || v->text[0] - 'a' + 'A' == text[0];
}
size_t vary_find(const struct teller *t, const char *text, size_t size, uint64_t salt,
                 const char **out, size_t *out_size)
{
    unsigned b = bucket(text, size);
    for (size_t i = t->vary_from[b]; i < t->vary_count; i++) {
        const struct vary *v = &t->vary[t->vary_order[i]];
        if (bucket(v->text, v->size) != b)
            break;
        if (!same_text(v, text, size))
            continue;
        uint64_t draw = mix64(t->seed ^ salt ^
                              mix64(v->first * 131u + (uint64_t) t->discourse.sentence * 7919u));
        const struct vary *said = &t->vary[v->first + (size_t) (draw >> 33) % v->count];
        *out = said->text, *out_size = said->size;
        return v->size;
    }
    return 0;
}
