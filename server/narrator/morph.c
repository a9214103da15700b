#include "server/narrator/morph.h"
#include <string.h>

enum morph_gender morph_gender(const char *pronouns)
{
    return strcmp(pronouns, "he") == 0    ? MORPH_HE
           : strcmp(pronouns, "she") == 0 ? MORPH_SHE
           : strcmp(pronouns, "it") == 0  ? MORPH_IT
                                          : MORPH_THEY;
}

const char *morph_pronoun(enum morph_gender gender, enum morph_case form, bool plural)
{
    static const char *const words[5][4] = {
        { "he", "him", "his", "himself" },         { "she", "her", "her", "herself" },
        { "they", "them", "their", "themself" },   { "it", "it", "its", "itself" },
        { "they", "them", "their", "themselves" },
    };
    return words[plural ? 4 : gender][form];
}

const char *morph_was(enum morph_gender gender, bool plural, bool by_pronoun)
{
    return plural || (by_pronoun && gender == MORPH_THEY) ? "were" : "was";
}

static char lower(char c)
{
    return morph_lower(c);
}
static bool is_letter(char c)
{
    return (lower(c) >= 'a' && lower(c) <= 'z') || (unsigned char) c >= 0x80;
}
static bool is_word(char c)
{
    return morph_in_word(c);
}
static bool begins(const char *s, const char *prefix)
{
    for (; *prefix != 0; s++, prefix++)
        if (lower(*s) != *prefix)
            return false;
    return true;
}

/* Letters that are spoken with a vowel first when a word is spelled out: "an X-ray". */
static bool spelled(const char *w)
{
    bool capitals = w[0] >= 'A' && w[0] <= 'Z' && !(w[1] >= 'a' && w[1] <= 'z') && w[1] != ' ';
    return capitals && strchr("AEFHILMNORSX", w[0]) != NULL;
}

const char *morph_article(const char *w)
{
    static const char *const silent[] = { "hour", "honest", "honour", "honor", "heir" };
    static const char *const you[] = { "uni",  "use", "usu", "eu",  "one",
                                       "once", "ute", "uto", "ubi", "ura" };
    static const char *const not_you[] = { "unin", "unim", "unid", "oneself" };
    if (w[0] == '8' || begins(w, "11") || begins(w, "18"))
        return "an";
    if (spelled(w))
        return "an";
    if (w[0] >= 'A' && w[0] <= 'Z' && !(w[1] >= 'a' && w[1] <= 'z') && w[1] != ' ' &&
        is_letter(w[1]))
        return "a";
    for (size_t i = 0; i < sizeof(silent) / sizeof(silent[0]); i++)
        if (begins(w, silent[i]))
            return "an";
    for (size_t i = 0; i < sizeof(not_you) / sizeof(not_you[0]); i++)
        if (begins(w, not_you[i]))
            return "an";
    for (size_t i = 0; i < sizeof(you) / sizeof(you[0]); i++)
        if (begins(w, you[i]))
            return "a";
    return strchr("aeiou", lower(w[0])) != NULL && w[0] != 0 ? "an" : "a";
}

bool morph_is_plural(const char *noun)
{
    size_t n = strlen(noun);
    return n > 3 && lower(noun[n - 1]) == 's' && strchr("sui", lower(noun[n - 2])) == NULL;
}

void morph_possessive(struct buf *out, const char *noun, bool plural)
{
    size_t n = strlen(noun);
    buf_puts(out, noun);
    buf_puts(out, plural && n > 0 && lower(noun[n - 1]) == 's' ? "'" : "'s");
}

struct contraction {
    const char *from, *to;
};
/* Whole words first; endings after.  "'d" is "had" before what can only be a participle. */
static const struct contraction contractions[] = {
    { "can't", "cannot" },
    { "won't", "will not" },
    { "shan't", "shall not" },
    { "let's", "let us" },
    { "it's", "it is" },
    { "that's", "that is" },
    { "there's", "there is" },
    { "here's", "here is" },
    { "what's", "what is" },
    { "who's", "who is" },
    { "where's", "where is" },
    { "how's", "how is" },
    { "he's", "he is" },
    { "she's", "she is" },
    { "something's", "something is" },
    { "someone's", "someone is" },
    { "nobody's", "nobody is" },
    { "nothing's", "nothing is" },
    { "everything's", "everything is" },
};
static const struct contraction endings[] = {
    { "n't", " not" },  { "'re", " are" }, { "'ve", " have" },
    { "'ll", " will" }, { "'m", " am" },   { "'d", " would" },
};

static void put_like(struct buf *out, const char *model, const char *text)
{
    bool capital = model[0] >= 'A' && model[0] <= 'Z' && text[0] >= 'a' && text[0] <= 'z';
    buf_putc(out, capital ? (char) (text[0] - 'a' + 'A') : text[0]);
    buf_puts(out, text + 1);
}
/* "heard", "seen", "better": what follows "'d" where that is "had". */
static bool wants_had(const char *next, size_t n)
{
    static const char *const words[] = {
        "better", "been",  "heard", "seen",  "known", "gone",  "told",   "taken", "done",
        "said",   "made",  "found", "left",  "got",   "given", "lost",   "met",   "kept",
        "brought", "meant", "felt", "begun", "had",   "held",  "stood",  "written", "broken",
        "thought", "forgotten", "fallen", "spoken", "grown", "hidden", "chosen", "sworn",
    };
    static const char *const plain[] = { "need", "feed", "bleed", "speed", "heed", "proceed",
                                         "succeed", "shed", "wed", "breed", "exceed" };
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strlen(words[i]) == n && memcmp(words[i], next, n) == 0)
            return true;
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
        if (strlen(plain[i]) == n && memcmp(plain[i], next, n) == 0)
            return false;
    return n > 3 && memcmp(next + n - 2, "ed", 2) == 0;
}
static void expand_word(struct buf *out, const char *w, size_t n, const char *next, size_t next_size)
{
    static const char *const between[] = { "never", "not", "always", "already", "just", "only" };
    size_t first = 0;
    while (first < next_size && is_letter(next[first]))
        first++;
    for (size_t i = 0; i < sizeof(between) / sizeof(between[0]); i++)
        if (strlen(between[i]) == first && memcmp(between[i], next, first) == 0 &&
            first < next_size && next[first] == ' ') {
            next += first + 1, next_size -= first + 1;
            for (first = 0; first < next_size && is_letter(next[first]);)
                first++;
            break;
        }
    if (n > 2 && w[n - 2] == '\'' && w[n - 1] == 'd' && wants_had(next, first)) {
        buf_put(out, w, n - 2);
        buf_puts(out, " had");
        return;
    }
    for (size_t i = 0; i < sizeof(contractions) / sizeof(contractions[0]); i++)
        if (strlen(contractions[i].from) == n && begins(w, contractions[i].from)) {
            put_like(out, w, contractions[i].to);
            return;
        }
    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
        size_t k = strlen(endings[i].from);
        if (n > k && begins(w + n - k, endings[i].from)) {
            buf_put(out, w, n - k);
            buf_puts(out, endings[i].to);
            return;
        }
    }
    buf_put(out, w, n);
}

void morph_expand(struct buf *out, const char *text, size_t size)
{
    size_t i = 0;
    while (i < size) {
        if (!is_word(text[i])) {
            buf_putc(out, text[i++]);
            continue;
        }
        size_t n = 0;
        while (i + n < size && (is_word(text[i + n]) || (text[i + n] == '\'' && i + n + 1 < size &&
                                                         is_letter(text[i + n + 1]))))
            n++;
        char word[64];
        if (n < sizeof(word)) {
            memcpy(word, text + i, n);
            word[n] = 0;
            size_t skip = i + n < size && text[i + n] == ' ' ? n + 1 : n;
            expand_word(out, word, n, text + i + skip, size - i - skip);
        } else {
            buf_put(out, text + i, n);
        }
        i += n;
    }
}

bool morph_next_word(const char *text, size_t size, size_t *at, char out[static 32])
{
    size_t i = *at, n = 0;
    while (i < size && !is_word(text[i]))
        i++;
    if (i >= size)
        return false;
    for (; morph_goes_on(text, size, i); i++)
        if (n < 31)
            out[n++] = lower(text[i]);
    out[n] = 0;
    *at = i;
    return true;
}

size_t morph_words(const char *text, size_t size)
{
    size_t n = 0;
    for (size_t i = 0; i < size; i++) {
        if (!is_word(text[i]))
            continue;
        n++;
        while (morph_goes_on(text, size, i))
            i++;
    }
    return n;
}

uint64_t morph_hash(const void *data, size_t size)
{
    const unsigned char *p = data;
    uint64_t h = MORPH_HASH_START;
    for (size_t i = 0; i < size; i++)
        h = morph_hash_byte(h, p[i]);
    return h;
}

/* "keeps" -> "keep", "has" -> "have"; "was" and the past stay. */
void morph_first_verb(struct buf *out, const char *w, size_t n)
{
    static const struct contraction odd[] = {
        { "has", "have" }, { "is", "am" },   { "are", "am" },  { "were", "was" },
        { "does", "do" },  { "goes", "go" }, { "was", "was" },
    };
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
        if (strlen(odd[i].from) == n && begins(w, odd[i].from)) {
            buf_puts(out, odd[i].to);
            return;
        }
    bool es = n > 4 && memcmp(w + n - 2, "es", 2) == 0 && /* "passes", not "loses", "breathes" */
              (w[n - 3] == 'x' || (w[n - 3] == 'h' && strchr("cs", w[n - 4]) != NULL) ||
               (w[n - 3] == 's' && w[n - 4] == 's'));
    if (n > 4 && memcmp(w + n - 3, "ies", 3) == 0) {
        buf_put(out, w, n - 3);
        buf_putc(out, 'y');
    } else if (n > 2 && w[n - 1] == 's' && w[n - 2] != 's') {
        buf_put(out, w, n - (es ? 2 : 1));
    } else {
        buf_put(out, w, n);
    }
}
static bool is_any(const char *w, size_t n, const char *const *list)
{
    for (; *list != NULL; list++)
        if (strlen(*list) == n && begins(w, *list))
            return true;
    return false;
}

void morph_first_person(struct buf *out, const char *text, enum morph_gender gender)
{
    static const char *const adverbs[] = {
        "still", "never", "always", "often", "once", "now", NULL
    };
    const char *subject = morph_pronoun(gender, MORPH_SUBJECT, false),
               *own = morph_pronoun(gender, MORPH_POSSESSIVE, false);
    const char *object = morph_pronoun(gender, MORPH_OBJECT, false),
               *self = morph_pronoun(gender, MORPH_REFLEXIVE, false);
    bool verb_next = false;
    for (size_t i = 0; text[i] != 0;) {
        size_t n = 0;
        while (is_word(text[i + n]) || (text[i + n] == '\'' && is_letter(text[i + n + 1])))
            n++;
        if (n == 0) {
            buf_putc(out, text[i++]);
            continue;
        }
        const char *w = text + i;
        const char *const is_subject[] = { subject, NULL }, *const is_own[] = { own, NULL },
                          *const is_self[] = { self, NULL };
        const char *const is_object[] = { object, NULL }, *const is_absolute[] = { "hers", NULL };
        bool last = text[i + n] != ' ';
        /* what "it" or "them" points to cannot be told from its form: only a subject is turned */
        bool plain = gender == MORPH_HE || gender == MORPH_SHE;
        if (is_any(w, n, is_subject) && !last && (gender != MORPH_IT || !verb_next)) {
            buf_putc(out, 'I');
            verb_next = true;
        } else if (is_any(w, n, is_self)) {
            put_like(out, w, "myself");
        } else if (is_any(w, n, is_own) && !(gender == MORPH_SHE && last)) {
            put_like(out, w, gender == MORPH_HE && last ? "mine" : "my");
        } else if (plain && is_any(w, n, is_absolute)) {
            put_like(out, w, "mine");
        } else if (plain && is_any(w, n, is_object)) {
            put_like(out, w, "me");
        } else if (is_any(w, n, adverbs)) {
            buf_put(out, w, n);
            verb_next = true;
        } else {
            if (verb_next)
                morph_first_verb(out, w, n);
            else
                buf_put(out, w, n);
            verb_next = false;
        }
        i += n;
    }
}

/* The head of "edge of charted space" is "edge": what stands before the first preposition. */
static size_t head_end(const char *noun)
{
    static const char *const after[] = { " of ", " on ", " in ", " at ", " below ", " near ",
                                         " above ", " under ", " behind ", " without ", " with " };
    size_t end = strlen(noun);
    for (size_t i = 0; i < sizeof(after) / sizeof(after[0]); i++) {
        const char *found = strstr(noun, after[i]);
        if (found != NULL && (size_t) (found - noun) < end)
            end = (size_t) (found - noun);
    }
    return end;
}
const char *morph_place(const char *noun)
{
    static const char *const on[] = {
        "deck",     "roof",   "bridge",  "catwalk", "island",   "terrace", "quay",    "pier",
        "wharf",    "jetty",  "floor",   "beach",   "shore",    "hill",    "ridge",   "moor",
        "landing",  "stage",  "causeway", "platform", "escape", "stair",   "stairs",  "ledge",
        "cliff",    "balcony", "sandbank", "raft",  "ferry",    "ship",    "freighter", "ice",
        "plateau",  "farm",   "boat",    "barge",   "trawler",  "liner",   "reef",    "plain",
        "rooftop",  "ramp",   "road",    "moon",    "planet",   "coast",   "tug",     "train",
        "peak",     "slope",  "summit",  "glacier", "estate",   "gantry",  "walk",    "isle",
        "mesa",     "steps",  "upland",  "field",
    };
    static const char *const at[] = {
        "gate",   "gatehouse", "dock",    "door",    "ring",      "edge",   "end",    "spring",
        "ford",   "dam",       "source",  "pole",    "crossroads", "lock",  "post",   "station",
        "harbour", "desk",     "postern", "counter", "front",     "side",   "bank",   "slip",
        "stop",   "corner",    "mouth",   "anchorage", "outpost", "weir",   "sluice", "camp",
        "fence",  "barrier",   "bar",     "turnstile", "entrance", "foot",  "head",   "well",
        "mast",   "chute",     "mine",   "airport",   "docks",   "gates",   "lighthouse",
    };
    size_t end = head_end(noun), from = end;
    while (from > 0 && noun[from - 1] != ' ' && noun[from - 1] != '-')
        from--;
    for (size_t i = 0; i < sizeof(on) / sizeof(on[0]); i++)
        if (strlen(on[i]) == end - from && memcmp(noun + from, on[i], end - from) == 0)
            return "on";
    for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++)
        if (strlen(at[i]) == end - from && memcmp(noun + from, at[i], end - from) == 0)
            return "at";
    return "in";
}
