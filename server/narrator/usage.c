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

/* One reading of a draft serves all that is asked of it. */
void usage_read(const struct draft *d, struct words *out)
{
    size_t n = 0, i = 0;
    bool first = true;
    for (; i < d->size; i++) {
        if (!morph_in_word(d->text[i])) {
            first |= morph_breaks(d->text[i]);
            continue;
        }
        uint64_t hash = MORPH_HASH_START; /* as morph_hash of the word that morph_next_word cuts */
        size_t size = 0;
        for (; morph_goes_on(d->text, d->size, i); i++)
            if (size < WORD_BYTES) {
                hash = morph_hash_byte(hash, (unsigned char) morph_lower(d->text[i]));
                size++;
            }
        i--;
        out->items[n++] = (struct word){ hash, (uint8_t) size, first };
        first = false;
    }
    out->count = n;
}
static uint64_t three_mark(const struct word *w) /* w ends it */
{
    return (w[-2].hash * 31 + w[-1].hash) * 31 + w[0].hash + 7;
}
static uint64_t four_mark(const struct word *w)
{
    return ((w[-3].hash * 31 + w[-2].hash) * 31 + w[-1].hash) * 31 + w[0].hash + 11;
}
/* A long word heard a few sentences ago sounds like an echo. */
static uint64_t word_mark(const struct word *w)
{
    return w->size < 6 ? 0 : w->hash * 13 + 5;
}
/* The sentence that begins at word i ends before the word returned. */
static size_t sentence_words(const struct words *w, size_t i)
{
    for (i++; i < w->count && !w->items[i].first; i++)
        ;
    return i;
}
struct opener {
    int32_t one, two;
    size_t words;
};
/* Openers and lengths of the sentences of a text. */
static size_t openers_of(const struct words *w, struct opener *out, size_t max)
{
    size_t count = 0;
    for (size_t i = 0, end; i < w->count && count < max; i = end) {
        end = sentence_words(w, i);
        struct opener o = { (int32_t) (w->items[i].hash >> 33), 0, end - i };
        if (end - i > 1)
            o.two = (int32_t) ((w->items[i + 1].hash ^ (uint64_t) o.one) >> 33);
        out[count++] = o;
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
static int32_t opener_cost(const struct teller *t, const struct words *w)
{
    struct opener now[24];
    size_t n = openers_of(w, now, 24);
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

/* Hash of the sentence of words i to end, or 0 when it is too short to be remembered. */
static uint64_t sentence_mark(const struct words *w, size_t i, size_t end)
{
    uint64_t hash = 77;
    if (end - i < SENTENCE_WORDS)
        return 0;
    for (; i < end; i++)
        hash = hash * 31 + w->items[i].hash;
    return hash | 1;
}
unsigned usage_known(const struct teller *t, const struct words *w)
{
    unsigned known = 0;
    for (size_t i = 0, end; i < w->count; i = end) {
        end = sentence_words(w, i);
        uint64_t mark = sentence_mark(w, i, end);
        known += mark != 0 && usage_count(t, mark) > 0;
    }
    return known;
}
unsigned usage_repeats(const struct teller *t, const struct draft *d)
{
    struct words w;
    usage_read(d, &w);
    return usage_known(t, &w);
}
int32_t usage_cost(const struct teller *t, const struct words *w, int32_t room)
{
    int32_t cost = opener_cost(t, w);
    for (size_t i = 0; i < w->count && cost < room; i++) { /* from here on it only rises */
        const struct word *at = &w->items[i];
        uint64_t mark = word_mark(at);
        cost += i >= 3 && gram_known(t, four_mark(at)) ? 45 : 0;
        cost += i >= 2 && gram_known(t, three_mark(at)) ? 12 : 0;
        unsigned heard = mark != 0 ? usage_count(t, mark) : 0;
        cost += (int32_t) (heard > 4 ? 4 : heard) * 4;
    }
    return cost;
}

bool usage_echoes(const struct teller *t, const struct words *w)
{
    for (size_t i = 3; i < w->count; i++)
        if (gram_known(t, four_mark(&w->items[i])))
            return true;
    return false;
}

void usage_commit(struct teller *t, const struct draft *d)
{
    struct opener now[24];
    struct words w;
    usage_read(d, &w);
    for (size_t i = 0; i < d->uses_count; i++)
        usage_add(t, d->uses[i]);
    for (size_t i = 0, end; i < w.count; i = end) {
        end = sentence_words(&w, i);
        uint64_t mark = sentence_mark(&w, i, end);
        if (mark != 0)
            usage_add(t, mark);
    }
    for (size_t i = 0; i < w.count; i++) {
        const struct word *at = &w.items[i];
        uint64_t mark = word_mark(at);
        if (i >= 3)
            gram_add(t, four_mark(at));
        if (i >= 2)
            gram_add(t, three_mark(at));
        if (mark != 0)
            usage_add(t, mark);
        t->words_told++;
    }
    size_t n = openers_of(&w, now, 24);
    for (size_t i = 0; i < n; i++) {
        memmove(t->last_openers[0], t->last_openers[1], sizeof(t->last_openers[0]) * 5);
        t->last_openers[5][0] = now[i].one, t->last_openers[5][1] = now[i].two;
    }
    centre_commit(t, d);
    t->quote_last = d->size > 0 && d->text[d->size - 1] == '"';
    const struct quote *last = d->quotes_count > 0 ? &d->quotes[d->quotes_count - 1] : NULL;
    t->quote_speaker = last != NULL ? last->speaker : -1;
    t->quote_listener = last != NULL ? last->listener : -1;
    memcpy(t->topic, last != NULL ? d->topic : "", last != NULL ? sizeof(t->topic) : 1);
    t->discourse = d->discourse;
    t->discourse.sentence++;
    t->discourse.subject_before = t->discourse.subject;
    t->discourse.subject = t->discourse.latest = -1;
}
