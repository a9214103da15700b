#include "server/tools/novel-metrics-voice.h"

#include <ctype.h>
#include <math.h>
#include <string.h>
#include "server/tools/novel-metrics-sample.h"

/* Words without content of their own.  Nobody's name, and nothing a story is about. */
static const char *const words[] = {
    "the",   "a",    "an",    "and",   "or",   "but",   "of",    "to",     "in",   "on",    "at",
    "for",   "with", "from",  "by",    "as",   "that",  "this",  "it",     "is",   "was",   "are",
    "be",    "been", "am",    "has",   "have", "had",   "do",    "does",   "did",  "not",   "no",
    "nor",   "so",   "if",    "then",  "than", "when",  "while", "where",  "who",  "which", "what",
    "how",   "why",  "there", "here",  "i",    "me",    "my",    "we",     "us",   "our",   "you",
    "your",  "he",   "she",   "they",  "them", "would", "could", "should", "will", "can",   "may",
    "might", "must", "shall", "let",   "one",  "all",   "any",   "some",   "more", "only",  "just",
    "too",   "very", "now",   "still", "yet",  "never", "well",  "out",    "up",   "down",  "about",
};
enum { WORDS = sizeof(words) / sizeof(words[0]) };
enum feature {
    CONTRACTION = WORDS,
    QUESTION,
    EXCLAMATION,
    COMMA,
    SEMICOLON,
    DASH,
    COLON,
    NUMERAL,
    SHORT_ONE, /* up to 4 words */
    MIDDLE_ONE,
    LONG_ONE, /* 13 or more */
    FEATURES_USED
};
_Static_assert((int) FEATURES_USED <= (int) VOICE_FEATURES, "room for every feature");

static void note(struct voice *v, unsigned feature)
{
    if (v->counts[feature] < UINT16_MAX) {
        v->counts[feature]++;
        v->total++;
    }
}
static void note_word(struct voice *v, const char *word, size_t size)
{
    char lower[24];
    bool contracted = false;
    if (isdigit((unsigned char) word[0]))
        note(v, NUMERAL);
    if (size >= sizeof(lower))
        return;
    for (size_t i = 0; i < size; i++) {
        lower[i] = (char) tolower((unsigned char) word[i]);
        contracted |= word[i] == '\'' || (unsigned char) word[i] == 0xe2;
    }
    lower[size] = 0;
    if (contracted)
        note(v, CONTRACTION);
    for (unsigned i = 0; i < WORDS; i++)
        if (strcmp(words[i], lower) == 0)
            note(v, i);
}
static void note_length(struct voice *v, size_t *count)
{
    if (*count > 0)
        note(v, *count <= 4 ? SHORT_ONE : *count <= 12 ? MIDDLE_ONE : LONG_ONE);
    *count = 0;
}
/* Length of the apostrophe at text[i] that joins two letters, else 0. */
static size_t apostrophe(const char *text, size_t size, size_t i)
{
    size_t n = text[i] == '\''                                            ? 1
               : size - i > 3 && memcmp(text + i, "\xe2\x80\x99", 3) == 0 ? 3
                                                                          : 0;
    return n > 0 && i + n < size && isalpha((unsigned char) text[i + n]) ? n : 0;
}
static void note_mark(struct voice *v, const char *text, size_t size, size_t *count)
{
    static const struct {
        const char *mark;
        enum feature feature;
    } marks[] = { { "?", QUESTION }, { "!", EXCLAMATION }, { ",", COMMA }, { ";", SEMICOLON },
                  { ":", COLON },    { "—", DASH },        { "–", DASH } };
    for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
        size_t n = strlen(marks[i].mark);
        if (n <= size && memcmp(text, marks[i].mark, n) == 0)
            note(v, marks[i].feature);
    }
    if (text[0] == '.' || text[0] == '?' || text[0] == '!')
        note_length(v, count);
}
void voice_count(struct voice *v, const char *text, size_t size)
{
    size_t count = 0;
    for (size_t i = 0; i < size;) {
        size_t start = i, n;
        while (i < size && (isalnum((unsigned char) text[i]) ||
                            (i > start && (n = apostrophe(text, size, i)) > 0)))
            i += isalnum((unsigned char) text[i]) ? 1 : n;
        if (i > start) {
            note_word(v, text + start, i - start);
            count++;
        } else {
            note_mark(v, text + i, size - i, &count);
            i++;
        }
    }
    note_length(v, &count);
}

/* ---- who speaks ------------------------------------------------------------------------------ */

struct training {
    uint32_t counts[VOICE_SPEAKERS][VOICE_FEATURES], total[VOICE_SPEAKERS];
};
static void train(struct training *t, const struct sample *x, bool add)
{
    for (unsigned c = 0; c < VOICE_SPEAKERS; c++) {
        const struct voice *v = &x->play.voices[c];
        for (unsigned f = 0; f < VOICE_FEATURES; f++)
            t->counts[c][f] += add ? v->counts[f] : -(uint32_t) v->counts[f];
        t->total[c] += add ? v->total : -v->total;
    }
}
/* The likeliest speaker of these lines; everybody speaks equally often. */
static unsigned recognise(const struct training *t, const struct voice *v)
{
    unsigned best = 0;
    double most = -INFINITY;
    for (unsigned c = 0; c < VOICE_SPEAKERS; c++) {
        double sum = 0;
        for (unsigned f = 0; f < FEATURES_USED; f++)
            if (v->counts[f] > 0)
                sum += v->counts[f] *
                       log((t->counts[c][f] + 1.0) / ((double) t->total[c] + FEATURES_USED));
        if (sum > most)
            most = sum, best = c;
    }
    return best;
}
/* Told of the same three people for the same request: the logs of a folder all count as one request. */
static bool belongs(const struct sample *x, const struct sample *like)
{
    return x->has_play && x->request == like->request && x->play.cast == VOICE_SPEAKERS &&
           x->play.people == like->play.people;
}
static bool is_first(const struct samples *s, size_t at)
{
    const struct sample *x = &s->list[at];
    if (!belongs(x, x))
        return false;
    for (size_t i = 0; i < at; i++)
        if (belongs(&s->list[i], x))
            return false;
    return true;
}
double voice_separability(const struct samples *s, size_t *out_judged)
{
    size_t right = 0, judged = 0;
    for (size_t first = 0; first < s->count; first++) {
        struct training t = { 0 };
        size_t stories = 0;
        if (!is_first(s, first))
            continue;
        for (size_t i = first; i < s->count; i++)
            if (belongs(&s->list[i], &s->list[first])) {
                train(&t, &s->list[i], true);
                stories++;
            }
        for (size_t i = first; i < s->count && stories > 1; i++) {
            if (!belongs(&s->list[i], &s->list[first]))
                continue;
            train(&t, &s->list[i], false);
            for (unsigned c = 0; c < VOICE_SPEAKERS; c++)
                if (s->list[i].play.voices[c].total > 0) {
                    judged++;
                    right += recognise(&t, &s->list[i].play.voices[c]) == c;
                }
            train(&t, &s->list[i], true);
        }
    }
    *out_judged = judged;
    return judged > 0 ? (double) right / (double) judged : NAN;
}
