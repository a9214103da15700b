/* past.c — the plain lines of operators, which are in the present tense, told in the past. */
#include <string.h>
#include "server/narrator/teller.h"

struct shift {
    const char *now, *then;
};
/* With he, she and it. */
static const struct shift singular[] = {
    { "is", "was" },          { "has", "had" },         { "does", "did" },
    { "goes", "went" },       { "comes", "came" },      { "gets", "got" },
    { "makes", "made" },      { "takes", "took" },      { "says", "said" },
    { "tells", "told" },      { "gives", "gave" },      { "finds", "found" },
    { "begins", "began" },    { "lets", "let" },        { "keeps", "kept" },
    { "brings", "brought" },  { "holds", "held" },      { "puts", "put" },
    { "hears", "heard" },     { "sits", "sat" },        { "pays", "paid" },
    { "means", "meant" },     { "breaks", "broke" },    { "sees", "saw" },
    { "sets", "set" },        { "sends", "sent" },      { "knows", "knew" },
    { "drives", "drove" },    { "lies", "lay" },        { "catches", "caught" },
    { "thinks", "thought" },  { "fights", "fought" },   { "speaks", "spoke" },
    { "lays", "laid" },       { "runs", "ran" },        { "draws", "drew" },
    { "feeds", "fed" },       { "bursts", "burst" },    { "falls", "fell" },
    { "leaves", "left" },     { "throws", "threw" },    { "grows", "grew" },
    { "beats", "beat" },      { "binds", "bound" },     { "leads", "led" },
    { "loses", "lost" },      { "shuts", "shut" },      { "feels", "felt" },
    { "bears", "bore" },      { "spreads", "spread" },  { "wakes", "woke" },
    { "reads", "read" },      { "writes", "wrote" },    { "lights", "lit" },
    { "stands", "stood" },    { "wins", "won" },        { "hides", "hid" },
    { "hits", "hit" },        { "cuts", "cut" },        { "sleeps", "slept" },
    { "tears", "tore" },      { "digs", "dug" },        { "hangs", "hung" },
    { "rises", "rose" },      { "shakes", "shook" },    { "steals", "stole" },
    { "swears", "swore" },    { "strikes", "struck" },  { "sinks", "sank" },
    { "swims", "swam" },      { "sings", "sang" },      { "rings", "rang" },
    { "drinks", "drank" },    { "eats", "ate" },        { "builds", "built" },
    { "bends", "bent" },      { "buys", "bought" },     { "sells", "sold" },
    { "teaches", "taught" },  { "seeks", "sought" },    { "spends", "spent" },
    { "forgets", "forgot" },  { "forgives", "forgave" }, { "chooses", "chose" },
    { "freezes", "froze" },   { "rides", "rode" },      { "bites", "bit" },
    { "meets", "met" },       { "understands", "understood" },
}, plural[] = {
    { "are", "were" },   { "will", "would" }, { "can", "could" },   { "cannot", "could not" },
    { "may", "might" },  { "isn't", "wasn't" }, { "won't", "wouldn't" }, { "can't", "couldn't" },
    { "doesn't", "didn't" },
}, after_they[] = {
    { "have", "had" },   { "do", "did" },     { "go", "went" },     { "come", "came" },
    { "leave", "left" }, { "put", "put" },    { "take", "took" },   { "know", "knew" },
    { "get", "got" },    { "say", "said" },   { "give", "gave" },   { "sit", "sat" },
    { "turn", "turned" }, { "bury", "buried" }, { "wait", "waited" }, { "find", "found" },
    { "make", "made" },  { "keep", "kept" },  { "lose", "lost" },   { "begin", "began" },
    { "carry", "carried" }, { "breathe", "breathed" },
};

static const char *shift_find(const struct shift *list, size_t count, const char *w, size_t n)
{
    for (size_t i = 0; i < count; i++)
        if (strlen(list[i].now) == n && memcmp(list[i].now, w, n) == 0)
            return list[i].then;
    return NULL;
}
#define FIND(list, w, n) shift_find(list, sizeof(list) / sizeof(list[0]), w, n)

static bool one_of(const char *const *list, const char *w, size_t n)
{
    for (; *list != NULL; list++)
        if (strlen(*list) == n && memcmp(*list, w, n) == 0)
            return true;
    return false;
}
static bool is_vowel(char c)
{
    return strchr("aeiou", c) != NULL;
}
/* "stop" doubles its last letter, "open" and "wait" do not. */
static bool doubles(const char *stem, size_t n)
{
    size_t vowels = 0;
    for (size_t i = 0; i < n; i++)
        vowels += is_vowel(stem[i]);
    return n >= 3 && vowels == 1 && is_vowel(stem[n - 2]) && !is_vowel(stem[n - 1]) &&
           strchr("wxy", stem[n - 1]) == NULL;
}
static void put_regular(struct buf *out, const char *w, size_t n)
{
    size_t stem = n - 1;
    if (n > 4 && memcmp(w + n - 3, "ies", 3) == 0) {
        buf_put(out, w, n - 3);
        buf_puts(out, "ied");
        return;
    }
    if (n > 4 && w[n - 2] == 'e' && strchr("hsxz", w[n - 3]) != NULL &&
        (w[n - 3] != 's' || w[n - 4] == 's'))
        stem = n - 2;
    buf_put(out, w, stem);
    if (doubles(w, stem))
        buf_putc(out, w[stem - 1]);
    buf_puts(out, w[stem - 1] == 'e' ? "d" : "ed");
}
/* May a verb stand behind this word?  "": a name does. */
static bool may_act(const char *before, size_t n)
{
    static const char *const words[] = { "and",   "but",   "it",    "nobody",   "who",  "which",
                                         "never", "still", "only",  "also",     "then", "everybody",
                                         "one",   "that",  "there", "somebody", NULL };
    return n == 0 || one_of(words, before, n);
}
void past_plain(const char *text, struct buf *out)
{
    static const char *const nouns[] = { "the", "a",   "an",    "of",  "no", "to", "own",
                                         "his", "her", "their", "for", "in", NULL };
    static const char *const still[] = { "as",  "its",    "this", "less",    "was",  "others",
                                         "yes", "across", "us",   "towards", "once",
                                         "terms", "steps", "themselves", "words", "hands", "things",
                                         "cards", "letters", "notes", "days", "years", "ones", NULL };
    static const char *const anywhere[] = { "answers", "gains", "reminds", "tries",  "happens",
                                            "starts",  "leaks", "divides", "burns",  "opens",
                                            "closes",  "stops", "moves",   "listens", NULL };
    static const char *const several[] = { "they", "others", "left", NULL };
    const char *before = "";
    size_t before_size = 0;
    for (const char *p = text; *p != 0;) {
        size_t n = 0;
        if (*p == '{') { /* a slot stands for a name */
            const char *close = strchr(p, '}');
            n = close != NULL ? (size_t) (close + 1 - p) : strlen(p);
            buf_put(out, p, n);
            before_size = n > 5 && memcmp(p + n - 6, ".poss}", 6) == 0 ? 3 : 0;
            before = before_size > 0 ? "his" : "";
            p += n;
            continue;
        }
        while ((p[n] >= 'a' && p[n] <= 'z') || (p[n] >= 'A' && p[n] <= 'Z') || p[n] == '\'')
            n++;
        if (n == 0) {
            buf_putc(out, *p++);
            continue;
        }
        const char *then = one_of(nouns, before, before_size) ? NULL : FIND(singular, p, n);
        if (then == NULL)
            then = FIND(plural, p, n);
        if (then == NULL && (one_of(several, before, before_size)))
            then = FIND(after_they, p, n);
        if (then != NULL)
            buf_puts(out, then);
        else if (n > 3 && p[n - 1] == 's' && p[n - 2] != 's' && !one_of(still, p, n) &&
                 (may_act(before, before_size) ||
                  (one_of(anywhere, p, n) && !one_of(nouns, before, before_size))) && p[n - 2] != '\'')
            put_regular(out, p, n);
        else
            buf_put(out, p, n);
        before = p, before_size = n;
        p += n;
    }
}
