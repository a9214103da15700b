/* usage.c — what the story has said already: phrases, word sequences, openers.  The self-audit's
 * memory. */
#include "server/narrator/teller.h"
#include <string.h>

enum { MEAN_WORDS = 118 /* tenths */, SENTENCE_WORDS = 4 /* shorter ones may come again */ };

static size_t slot_of(const uint64_t *table, size_t size, uint64_t hash)
{
    size_t i = (size_t) mix64(hash) & (size - 1);
    for (size_t step = 0; step < size; step++, i = (i + 1) & (size - 1))
        if (table[i] == 0 || table[i] == hash)
            break;
    return i;
}
unsigned usage_count(const struct teller *t, uint64_t hash)
{
    size_t i = slot_of(t->uses, USES_MAX, hash);
    return t->uses[i] == hash ? t->use_counts[i] : 0;
}
static void usage_add(struct teller *t, uint64_t hash)
{
    size_t i = slot_of(t->uses, USES_MAX, hash);
    if (t->uses[i] != hash && t->uses[i] != 0)
        return; /* full: forgetting only costs variety */
    t->uses[i] = hash;
    t->use_counts[i] += t->use_counts[i] < 255;
}
static bool gram_known(const struct teller *t, uint64_t hash)
{
    return t->grams[slot_of(t->grams, GRAMS_MAX, hash)] == hash;
}
static void gram_add(struct teller *t, uint64_t hash)
{
    size_t i = slot_of(t->grams, GRAMS_MAX, hash);
    if (t->grams[i] == 0)
        t->grams[i] = hash;
}

struct gram_walk {
    uint64_t last[4];
    size_t words;
};
static uint64_t gram_push(struct gram_walk *w, const char *word, uint64_t *out_three)
{
    w->last[0] = w->last[1], w->last[1] = w->last[2], w->last[2] = w->last[3];
    w->last[3] = morph_hash(word, strlen(word));
    w->words++;
    *out_three = w->words < 3 ? 0 : (w->last[1] * 31 + w->last[2]) * 31 + w->last[3] + 7;
    return w->words < 4 ? 0
                        : ((w->last[0] * 31 + w->last[1]) * 31 + w->last[2]) * 31 + w->last[3] + 11;
}
/* A long word heard a few sentences ago sounds like an echo. */
static uint64_t word_mark(const char *word)
{
    return strlen(word) < 6 ? 0 : morph_hash(word, strlen(word)) * 13 + 5;
}

static bool sentence_breaks(const char *text, size_t i)
{
    return strchr(".!?\n", text[i]) != NULL;
}
struct opener {
    int32_t one, two;
    size_t words;
};
/* Openers and lengths of the sentences of a text. */
static size_t openers_of(const char *text, size_t size, struct opener *out, size_t max)
{
    size_t count = 0, from = 0;
    for (size_t i = 0; i < size && count < max; i++) {
        if (!sentence_breaks(text, i) && i + 1 < size)
            continue;
        char word[32];
        size_t at = from, end = i + 1;
        struct opener o = { 0, 0, morph_words(text + from, end - from) };
        if (morph_next_word(text, end, &at, word)) {
            o.one = (int32_t) (morph_hash(word, strlen(word)) >> 33);
            if (morph_next_word(text, end, &at, word))
                o.two = (int32_t) ((morph_hash(word, strlen(word)) ^ (uint64_t) o.one) >> 33);
            out[count++] = o;
        }
        from = end;
    }
    return count;
}

/* Holds the mean length of sentences where prose has it: about 12 words, long ones among short. */
static int32_t length_cost(const struct teller *t, size_t words)
{
    if (t->discourse.sentence < 6 || t->style == NVL_STYLE_TACTICAL || t->style == NVL_STYLE_NOIR)
        return 0;
    uint32_t mean = t->words_told * 10 / (uint32_t) t->discourse.sentence;
    if (mean < MEAN_WORDS)
        return words < 6 ? 55 : words > 19 ? -70 : words > 12 ? -30 : 0;
    return mean > MEAN_WORDS + 15 && words > 24 ? 25 : 0;
}
static int32_t opener_cost(const struct teller *t, const struct draft *d)
{
    struct opener now[24];
    size_t n = openers_of(d->text, d->size, now, 24);
    int32_t cost = 0, seen[30][2];
    for (int i = 0; i < 6; i++)
        seen[i][0] = t->last_openers[i][0], seen[i][1] = t->last_openers[i][1];
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 1; k <= 5; k++)
            cost += seen[6 + i - k][1] == now[i].two && now[i].two != 0 ? 50 : 0;
        cost += seen[5 + i][0] == now[i].one ? 22 : 0;
        cost += seen[4 + i][0] == now[i].one ? 10 : 0;
        seen[6 + i][0] = now[i].one, seen[6 + i][1] = now[i].two;
        cost += length_cost(t, now[i].words);
        bool brief = t->style == NVL_STYLE_TACTICAL || t->style == NVL_STYLE_NOIR;
        if (brief && now[i].words > 16)
            cost += (int32_t) (now[i].words - 16) * 2;
        if (!brief && i > 0 && now[i].words < 7 && now[i - 1].words < 7)
            cost += 15;
    }
    return cost;
}

/* Hash of the sentence text[from..to), or 0 when it is too short to be remembered. */
static uint64_t sentence_mark(const char *text, size_t from, size_t to)
{
    char word[32];
    uint64_t hash = 77;
    size_t words = 0;
    while (morph_next_word(text, to, &from, word))
        hash = hash * 31 + morph_hash(word, strlen(word)), words++;
    return words < SENTENCE_WORDS ? 0 : hash | 1;
}
static unsigned sentences_known(struct teller *t, const struct draft *d, bool commit)
{
    unsigned known = 0;
    for (size_t i = 0, from = 0; i < d->size; i++) {
        if (!sentence_breaks(d->text, i) && i + 1 < d->size)
            continue;
        uint64_t mark = sentence_mark(d->text, from, i + 1);
        known += mark != 0 && usage_count(t, mark) > 0;
        if (mark != 0 && commit)
            usage_add(t, mark);
        from = i + 1;
    }
    return known;
}
unsigned usage_repeats(struct teller *t, const struct draft *d)
{
    return sentences_known(t, d, false);
}
int32_t usage_cost(const struct teller *t, const struct draft *d)
{
    struct gram_walk w = { 0 };
    char word[32];
    size_t at = 0;
    int32_t cost = opener_cost(t, d);
    while (morph_next_word(d->text, d->size, &at, word)) {
        uint64_t three, four = gram_push(&w, word, &three), mark = word_mark(word);
        cost += four != 0 && gram_known(t, four) ? 45 : 0;
        cost += three != 0 && gram_known(t, three) ? 12 : 0;
        unsigned heard = mark != 0 ? usage_count(t, mark) : 0;
        cost += (int32_t) (heard > 4 ? 4 : heard) * 4;
    }
    return cost;
}

bool usage_echoes(const struct teller *t, const struct draft *d)
{
    struct gram_walk w = { 0 };
    char word[32];
    size_t at = 0;
    while (morph_next_word(d->text, d->size, &at, word)) {
        uint64_t three, four = gram_push(&w, word, &three);
        if (four != 0 && gram_known(t, four))
            return true;
    }
    return false;
}

void usage_commit(struct teller *t, const struct draft *d)
{
    struct gram_walk w = { 0 };
    struct opener now[24];
    char word[32];
    size_t at = 0;
    for (size_t i = 0; i < d->uses_count; i++)
        usage_add(t, d->uses[i]);
    sentences_known(t, d, true);
    while (morph_next_word(d->text, d->size, &at, word)) {
        uint64_t three, four = gram_push(&w, word, &three), mark = word_mark(word);
        if (four != 0)
            gram_add(t, four);
        if (three != 0)
            gram_add(t, three);
        if (mark != 0)
            usage_add(t, mark);
        t->words_told++;
    }
    size_t n = openers_of(d->text, d->size, now, 24);
    for (size_t i = 0; i < n; i++) {
        memmove(t->last_openers[0], t->last_openers[1], sizeof(t->last_openers[0]) * 5);
        t->last_openers[5][0] = now[i].one, t->last_openers[5][1] = now[i].two;
    }
    t->quote_last = d->size > 0 && d->text[d->size - 1] == '"';
    const struct quote *last = d->quotes_count > 0 ? &d->quotes[d->quotes_count - 1] : NULL;
    t->quote_speaker = last != NULL ? last->speaker : -1;
    t->quote_listener = last != NULL ? last->listener : -1;
    t->discourse = d->discourse;
    t->discourse.sentence++;
    t->discourse.subject_before = t->discourse.subject;
    t->discourse.subject = t->discourse.latest = -1;
}
