/* voice.c — who speaks how: the card's voice where the pack has it, else the one that fits the
 * traits and that nobody else in the cast has. */
#include <stdlib.h>
#include <string.h>
#include "server/narrator/teller.h"

static const struct {
    const char *name;
    int16_t traits[NVL_TRAITS]; /* openness, conscientiousness, extraversion, agreeableness,
                                   neuroticism, honesty */
} kinds[] = {
    { "clipped", { 45, 60, 65, 50, 35, 70 } }, { "scholarly", { 90, 75, 40, 60, 45, 80 } },
    { "dry", { 55, 85, 30, 45, 40, 75 } },     { "wry", { 70, 40, 60, 55, 50, 35 } },
    { "formal", { 50, 95, 45, 60, 20, 90 } },  { "warm", { 55, 55, 65, 85, 50, 65 } },
    { "blunt", { 40, 50, 70, 20, 40, 60 } },   { "plain", { 50, 50, 50, 50, 50, 50 } },
};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

static bool in_pack(const struct teller *t, const char *voice)
{
    size_t first;
    return voice != NULL && voice[0] != 0 &&
           prose_index_find(&t->index, PROSE_VOICE, voice, strlen(voice), &first) > first;
}
static bool taken(const struct teller *t, const char *voice, size_t but)
{
    for (size_t i = 0; i < t->people; i++)
        if (i != but && t->voice[i] != NULL && strcmp(t->voice[i], voice) == 0)
            return true;
    return false;
}
static const char *by_traits(const struct teller *t, size_t who)
{
    const struct nvl_profile *p = nvl_world_profile(t->world, who);
    const char *best = "plain";
    int32_t least = INT32_MAX;
    for (size_t k = 0; k < KINDS; k++) {
        int32_t far = taken(t, kinds[k].name, who) ? 100000 : 0;
        for (size_t i = 0; i < NVL_TRAITS; i++)
            far += abs(p->traits[i] - kinds[k].traits[i]);
        far = far * 8 +
              (int32_t) (mix64(t->seed ^ (who * 31 + k)) & 7); /* even ones differ by seed */
        if (far < least && in_pack(t, kinds[k].name))
            least = far, best = kinds[k].name;
    }
    return best;
}
void voice_choose(struct teller *t)
{
    static const char *const locals[] = { "plain", "blunt", "warm", "formal" };
    for (size_t i = 0; i < t->cast; i++) {
        const char *voice = nvl_world_profile(t->world, i)->voice;
        t->voice[i] = in_pack(t, voice) && !taken(t, voice, i) ? voice : NULL;
    }
    for (size_t i = 0; i < t->cast; i++)
        if (t->voice[i] == NULL)
            t->voice[i] = by_traits(t, i);
    bool caller = strcmp(nvl_world_frame(t->world), "distress") == 0;
    for (size_t i = t->cast; i < t->people; i++) {
        size_t first = (size_t) (mix64(t->seed + i * 97) >> 40 & 3);
        t->voice[i] = caller ? "stranger" : locals[first];
        for (size_t k = 0; k < 4 && !caller && taken(t, t->voice[i], i); k++)
            t->voice[i] = locals[(first + k) & 3]; /* one that nobody else has, if there is one */
    }
}

/* --- how a voice builds its sentences ---------------------------------------------------------- */

/* Does a clause with a subject of its own begin here?  What follows "and" in a list does not. */
static const char *const subjects[] = { "I",     "I'm",     "I'll",   "I've",    "it",     "it's",
                                        "we",    "we're",   "we'll",  "we've",   "you",    "you're",
                                        "they",  "they're", "there",  "there's", "nobody", "somebody",
                                        "that's" };
static bool clause_at(const char *text, size_t size)
{
    for (size_t i = 0; i < sizeof(subjects) / sizeof(subjects[0]); i++) {
        size_t n = strlen(subjects[i]);
        if (size > n && text[n] == ' ' && memcmp(text + 1, subjects[i] + 1, n - 1) == 0 &&
            (text[0] | 32) == (subjects[i][0] | 32))
            return true;
    }
    return false;
}
void speech_cut(struct buf *out, const char *text, size_t size)
{
    static const char and_so[] = ", and ";
    const size_t n = sizeof(and_so) - 1;
    for (size_t i = 0; i < size; i++) {
        if (size - i <= n || memcmp(text + i, and_so, n) != 0 ||
            !clause_at(text + i + n, size - i - n)) {
            buf_putc(out, text[i]);
            continue;
        }
        buf_puts(out, ". ");
        i += n;
        buf_putc(out, text[i] >= 'a' && text[i] <= 'z' ? (char) (text[i] - 'a' + 'A') : text[i]);
    }
}
void speech_join(struct buf *out, const char *text, size_t size)
{
    bool joined = false, asks = memchr(text, '?', size) != NULL || memchr(text, ';', size) != NULL;
    size_t words = 0; /* of the sentence so far */
    for (size_t i = 0; i < size; i++) {
        words += text[i] == ' ';
        bool stop = text[i] == '.' && i + 2 < size && text[i + 1] == ' ';
        if (!stop || joined || asks || words < 3 || words > 14 ||
            !clause_at(text + i + 2, size - i - 2)) {
            buf_putc(out, text[i]);
            words = text[i] == '.' ? 0 : words;
            continue;
        }
        joined = true;
        buf_puts(out, "; ");
        i += 2;
        bool me = text[i] == 'I' && (text[i + 1] == ' ' || text[i + 1] == '\'');
        buf_putc(out, text[i] >= 'A' && text[i] <= 'Z' && !me ? (char) (text[i] - 'A' + 'a')
                                                             : text[i]);
    }
}
