/* person.c — the narrator as "I": case by what governs it, "we" for those whom "I" belong to, and
 * cards that speak of their owner. */
#include <string.h>
#include "server/narrator/teller.h"

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
static bool in_list(const char *const *list, const char *word, size_t n)
{
    for (; *list != NULL; list++)
        if (strlen(*list) == n && strncmp(*list, word, n) == 0)
            return true;
    return false;
}
bool person_is_me(const struct teller *t, const struct draft *d, unsigned x)
{
    return t->narrator == (int16_t) x && !d->in_quote && !d->open_quote;
}

/* --- case
 * ------------------------------------------------------------------------------------------- */

/* The word that ends at `at` (behind a blank); its start, and its length in *out_size. */
static size_t word_before(const struct draft *d, size_t at, size_t *out_size)
{
    size_t end = at > 0 && d->text[at - 1] == ' ' ? at - 1 : at, from = end;
    while (from > 0 && (is_letter(d->text[from - 1]) || d->text[from - 1] == '\''))
        from--;
    *out_size = end - from;
    return from;
}
/* Nothing of a clause follows: a stop, the end, or the end of a choice. */
static bool clause_ends(const struct draft *d)
{
    const char *p = d->ahead;
    if (p == NULL)
        return true;
    return *p == 0 || strchr(".,;:!?)|]\"/", *p) != NULL || strncmp(p, " and ", 5) == 0;
}
/* "knew {A} would": a clause of its own begins. */
static bool begins_clause(const struct draft *d)
{
    static const char *const verbs[] = { " had ",   " was ",  " would ", " could ", " did ",
                                         " might ", " were ", " should ", NULL };
    for (size_t i = 0; d->ahead != NULL && verbs[i] != NULL; i++) {
        size_t n = strlen(verbs[i]);
        if (strncmp(d->ahead, verbs[i], n) == 0 ||
            (strncmp(d->ahead, " (", 2) == 0 && strncmp(d->ahead + 2, verbs[i] + 1, n - 2) == 0))
            return true;
    }
    return false;
}
static bool governed_at(const struct draft *d, size_t at)
{
    static const char *const always[] = {
        "with",   "to",      "at",     "of",       "about",    "from",     "behind",  "beside",
        "upon",   "into",    "near",   "past",     "across",   "between",  "toward",  "towards",
        "under",  "on",      "by",     "against",  "took",     "asked",    "told",    "gave",
        "saw",    "seen",    "let",    "brought",  "pressed",  "caught",   "blamed",  "struck",
        "watch",  "blame",   "praised", "thanked", "heard",    "following", "found",  "like",
        "round",  "around",  "without", "over",    "through",  "left",     "put",     "handed",
        "passed", "led",     "showed", "made",     "kept",     "helped",   "met",     "followed",
        "pulled", "dragged", "hit",    "woke",     "sent",     "held",     "called",  "cost",
        "saved",  "touched", "surprised", "pleased", "in",     "off",      "besides", "except",
        "beyond", "above",   "below",  "beneath",  "among",    "inside",   "helping", "asking",
        "telling", "seeing", "giving", "watching", "tell",     "give",     "ask",     "help",
        "get",    "got",     "drew",   "carried",  "stopped",  "sewed",    "bound",   "watched",
        "reached", "spared", "knew",   "trust",    "trusted",  "believe",  "believed", "send",
        "warned", "begged", "urged",  "reminded", "beat",    "leave",  "see",      "lead",     "show",     "make",    "keep",
        "wake",   "carry",   "pass",   "hold",     "know",     "stop",     NULL
    };
    static const char *const sometimes[] = { "for",   "before", "after", "until", "than", "as",
                                             "tried", "since",  "but",   "where", "had",  NULL };
    static const char *const openers[] = { "and",   "that", "what",   "which", "where",   "who",
                                           "when",  "while", "as",    "than",  "if",      "but",
                                           "so",    "until", "before", "whether", "since", NULL };
    size_t n;
    size_t from = word_before(d, at, &n);
    char word[16];
    if (n == 0 || n >= sizeof(word))
        return false;
    memcpy(word, d->text + from, n);
    word[0] = morph_lower(word[0]); /* "To me it sounded too good" */
    word[n] = 0;
    if (d->plain && !in_list(openers, word, n))
        return true;
    if (in_list(sometimes, word, n)) {
        bool but = n == 3 && strncmp(word, "but", 3) == 0;
        bool place = n >= 3 && (strncmp(word, "for", 3) == 0 ||
                                strncmp(word, "before", 6) == 0 ||
                                strncmp(word, "after", 5) == 0);
        return clause_ends(d) && (but || place);
    }
    bool by_and_by = from > 6 && memcmp(d->text + from - 6, "y and by", 8) == 0;
    return in_list(always, word, n) && !begins_clause(d) && !by_and_by;
}
/* "between Jordan and" looks to what governs the first of the two. */
static bool governed(const struct draft *d)
{
    size_t at = d->size;
    if (at > 5 && memcmp(d->text + at - 5, " and ", 5) == 0)
        for (size_t i = d->named_count; i-- > 0;)
            if (d->named[i].end == at - 5)
                return governed_at(d, d->named[i].offset);
    return governed_at(d, at);
}

bool person_governed(const struct draft *d)
{
    return governed(d);
}

/* --- saying it
 * ------------------------------------------------------------------------------------- */

static void put(struct draft *d, const char *s)
{
    draft_puts(d, s, strlen(s), true);
}
/* "…" said and then the narrator: "…" I said.  The verb is taken back, and comes behind. */
static bool put_turned(struct draft *d)
{
    static const char *const verbs[] = { "said",   "asked",   "answered", "thought",
                                         "called", "replied", "added",    NULL };
    size_t n;
    size_t from = word_before(d, d->size, &n);
    char verb[16];
    if (n == 0 || n >= sizeof(verb) || !in_list(verbs, d->text + from, n) || from < 2 ||
        d->text[from - 1] != ' ' || strchr("\",", d->text[from - 2]) == NULL)
        return false;
    memcpy(verb, d->text + from, n);
    verb[n] = 0;
    d->size = from;
    draft_puts(d, "I ", 2, false);
    draft_puts(d, verb, n, false);
    return true;
}
void person_put_me(struct draft *d, enum morph_case form)
{
    static const char *const words[] = { "I", "me", "my", "myself" };
    if (d->ahead != NULL && strncmp(d->ahead, "'s ", 3) == 0) {
        form = MORPH_POSSESSIVE;
        d->drop_s = true;
    }
    if (form == MORPH_SUBJECT && put_turned(d))
        return;
    bool came = clause_ends(d) && d->size > 5 && memcmp(d->text + d->size - 5, "came ", 5) == 0;
    bool gone = (d->size > 4 && memcmp(d->text + d->size - 4, " no ", 4) == 0) ||
                (d->ahead != NULL && strncmp(d->ahead, " was missing", 12) == 0);
    if (form == MORPH_SUBJECT && (came || gone))
        d->failed = true; /* "in came I", "I was missing": it is told in another way */
    if (form == MORPH_SUBJECT && governed(d))
        form = MORPH_OBJECT;
    if (form == MORPH_POSSESSIVE && !d->drop_s && clause_ends(d) && d->ahead != NULL && *d->ahead != '|' &&
        strchr(")]", *d->ahead) == NULL)
        put(d, "mine");
    else
        put(d, words[form]);
}
static size_t tail_size(const struct draft *d)
{
    static const char *const tails[] = { "I and ", "me and " };
    for (size_t i = 0; i < 2; i++) {
        size_t n = strlen(tails[i]);
        if (d->size >= n && strncasecmp(d->text + d->size - n, tails[i], n) == 0 &&
            (d->size == n || !is_letter(d->text[d->size - n - 1])))
            return n;
    }
    return 0;
}
bool person_yields(const struct teller *t, const struct draft *d)
{
    return t->narrator >= 0 && !d->in_quote && !d->open_quote && tail_size(d) > 0;
}
/* Turns "I and " back, names nobody: the caller puts the other's name, then calls this again. */
void person_put_behind(struct teller *t, struct draft *d)
{
    size_t n = tail_size(d);
    if (n == 0)
        return;
    bool me = d->text[d->size - n] == 'm' || d->text[d->size - n] == 'M';
    size_t from = d->size - n;
    d->size = from;
    d->text[from] = 0;
    d->at_start = from == 0 || d->text[from - 1] == '\n' ||
                  (from > 1 && strchr(".!?", d->text[from - 2]) != NULL);
    for (size_t i = d->named_count; i-- > 0;)
        if (d->named[i].sort == NVL_SORT_CHAR && d->named[i].index == t->narrator &&
            d->named[i].offset >= from)
            d->named[i] = d->named[--d->named_count];
    d->me_owed = me ? 2 : 1;
}

/* --- "we"
 * ------------------------------------------------------------------------------------------ */

static bool plural_noun(const char *w, size_t n)
{
    static const char *const none[] = {
        "was",       "is",        "has",       "this",       "its",    "his",      "hers",
        "always",    "perhaps",   "as",        "us",         "ours",   "minutes",  "hours",
        "days",      "nights",    "weeks",     "years",      "times",  "seconds",  "less",
        "besides",   "sometimes", "yes",       "towards",    "across", "news",     "means",
        "breaths",   "unless",    "does",      "yards",      "metres", "miles",    "upwards",
        "afterwards", "supplies", "downwards", "upstairs",   "likes",  "indoors",  "downstairs",
        "backwards", NULL
    };
    return n > 3 && w[n - 1] == 's' && w[n - 2] != 's' && w[n - 2] != '\'' && w[n - 2] != 'u' &&
           !(w[0] >= 'A' && w[0] <= 'Z') && !in_list(none, w, n);
}
/* What text offers as those whom "they" may mean. */
enum meant { MEANT_NOBODY, MEANT_US, MEANT_THINGS, MEANT_PEOPLE };
static enum meant meant_by(const char *w, size_t n)
{
    static const char *const us[] = { "we", "us", "our", "ourselves", "We", "Our", NULL };
    static const char *const kept[] = { "they", "them", "their", "They", "Their", NULL };
    static const char *const people[] = { "people", "men",   "women", "children", "police",
                                          "those",  "ones",  "crowd", "guests",   "folk",
                                          "sheep",  "visitors", "stranger", NULL };
    if (in_list(us, w, n))
        return MEANT_US;
    if (in_list(people, w, n) || in_list(kept, w, n))
        return MEANT_PEOPLE;
    return plural_noun(w, n) ? MEANT_THINGS : MEANT_NOBODY;
}
/* In the same sentence one unknown may be "they" as well: "somebody left their coat". */
static bool one_unknown(const char *w, size_t n)
{
    static const char *const one[] = { "others",  "rest",   "somebody", "someone", "everybody",
                                       "everyone", "person", "whoever",  "anyone",  "anybody",
                                       "who",     "family", NULL };
    return in_list(one, w, n);
}
/* A place is called by a plural, "the guest berths", and nobody means it by "they". */
static size_t place_ends(const struct draft *d, size_t at)
{
    for (size_t i = 0; i < d->named_count; i++)
        if (d->named[i].sort == NVL_SORT_PLACE && at >= d->named[i].offset && at < d->named[i].end)
            return d->named[i].end;
    return at;
}
/* The last that text[from..to) offers, its first words only. */
static enum meant offered(const struct draft *d, size_t from, size_t to, size_t words, bool same)
{
    enum meant last = MEANT_NOBODY;
    bool quoted = false;
    for (size_t i = from; i < to && words > 0;) {
        if (place_ends(d, i) > i) {
            i = place_ends(d, i);
            continue;
        }
        quoted ^= d->text[i] == '"';
        size_t n = 0;
        while (i + n < to && (is_letter(d->text[i + n]) || d->text[i + n] == '\''))
            n++;
        if (n == 0) {
            i++;
            continue;
        }
        words--;
        enum meant m = quoted ? MEANT_NOBODY : meant_by(d->text + i, n);
        if (m == MEANT_NOBODY && same && !quoted && last != MEANT_US && !d->plain &&
            one_unknown(d->text + i, n))
            m = MEANT_PEOPLE;
        bool likened = i > from + 4 && memcmp(d->text + i - 5, "like ", 5) == 0;
        if (m == MEANT_THINGS && (d->plain || likened))
            m = MEANT_NOBODY; /* "tells": a verb of the present; "like beggars": nobody is one */
        last = m != MEANT_NOBODY ? m : last;
        i += n;
    }
    return last;
}
static size_t sentence_start(const char *text, size_t at)
{
    while (at > 0 && !morph_breaks(text[at - 1]))
        at--;
    return at;
}
/* What follows "they" or "their" at p is a person's: "they sat", "their hands". */
static bool of_people(const char *p, const char *end)
{
    static const char *const words[] = {
        "said",   "heard",  "sat",    "slept",   "ate",     "walked", "counted", "listened",
        "laughed", "talked", "spoke", "looked",  "thought", "knew",   "noticed", "waited",
        "found",  "saw",    "agreed", "carried", "tried",   "liked",  "eyes",    "hands",
        "feet",   "faces",  "shoulders", "fingers", "names", "breath", "lives",  "boots",
        "coats",  "voices", "heads",  "mouths",  "knees",   "ears",   "sleeves", "own",
        "drank",  "asked",  "kept",   "went",    "had used", "had been told", "could see",
        "were gone", "were told", "had got", "all", "steps", "turned", "passed", "meant", "marked",
        "never",  "could not", "stopped", "took", "ran", "left", "did", "stood", "lit",  "shook",
        "told",   "smelled", "felt",  "wrote",  "pulled", "pushed", "pretended", "had to",  NULL
    };
    while (p < end && (*p == ' ' || *p == '('))
        p++;
    for (size_t i = 0; words[i] != NULL; i++) {
        size_t n = strlen(words[i]);
        if ((size_t) (end - p) >= n && memcmp(p, words[i], n) == 0 &&
            ((size_t) (end - p) == n || !is_letter(p[n])))
            return true;
    }
    return false;
}
/* "they" of fixed text means the company that "I" belong to, unless something else is near. */
static bool means_crew(const struct draft *d, bool first, bool people)
{
    size_t from = sentence_start(d->text, d->size);
    while (from < d->size && d->text[from] == ' ')
        from++;
    size_t head = d->size - from;
    if (head > 6 && head < 13 && memcmp(d->text + d->size - 4, " of ", 4) == 0)
        first = people = true; /* "One of them" */
    enum meant m = first ? MEANT_NOBODY : offered(d, from, d->size, SIZE_MAX, true);
    if (m == MEANT_NOBODY && from >= 2) {
        size_t words = first ? 6 : people ? 4 : SIZE_MAX;
        m = offered(d, sentence_start(d->text, from - 2), from, words, false);
    }
    return m == MEANT_NOBODY || m == MEANT_US || (m == MEANT_THINGS && people);
}
/* The narrator's name in a fact ("Jordan did it"), as "I" say it; NULL: it is none. */
const char *person_named(const struct teller *t, const struct draft *d, const char *word, size_t n,
                         bool first)
{
    static const char *const verbs[] = { " was ", " had ", " did ",    " could ",
                                         " is ",  " has ", " would ", NULL };
    const char *name = t->narrator >= 0 ? t->brief[t->narrator] : "";
    size_t size = strlen(name);
    if (d->open_quote || size == 0 || n < size || memcmp(word, name, size) != 0)
        return NULL;
    if (n == size + 2 && memcmp(word + size, "'s", 2) == 0)
        return "my";
    bool starts = first;
    for (size_t i = 0; verbs[i] != NULL; i++)
        starts |= strncmp(word + n, verbs[i], strlen(verbs[i])) == 0;
    return n != size ? NULL : starts ? "I" : "me";
}
/* "I told them": one cannot tell oneself, so these are others. */
static bool done_to_others(const struct draft *d)
{
    static const char *const subjects[] = { "I", "We", "we", NULL };
    size_t from = d->size;
    while (from > 0 && strchr(".,;:!?\n\"", d->text[from - 1]) == NULL)
        from--;
    bool others = false;
    for (size_t i = from; i < d->size; i++) {
        size_t n = 0;
        while (i + n < d->size && is_letter(d->text[i + n]))
            n++;
        if (n > 0 && in_list(subjects, d->text + i, n))
            others = true;
        if (n == 4 && memcmp(d->text + i, "that", 4) == 0)
            others = false; /* a clause of its own: "I saw that all of us" */
        i += n;
    }
    return others;
}
static bool proverb(const char *p, const char *end)
{
    static const char *const goes_on[] = { " do",   " are ", " say",  " look ",
                                           " will ", " have been waiting", " call", NULL };
    for (size_t i = 0; goes_on[i] != NULL; i++) {
        size_t n = strlen(goes_on[i]);
        if ((size_t) (end - p) >= n && strncmp(p, goes_on[i], n) == 0)
            return true;
    }
    return false;
}
static const struct {
    const char *they, *we;
} crew_words[] = {
    { "they", "we" },        { "them", "us" },        { "their", "our" },
    { "theirs", "ours" },    { "They", "We" },        { "Their", "Our" },
    { "themselves", "ourselves" },
}, agreeing[] = {
    { "has", "have" }, { "is", "am" }, { "does", "do" },
};
size_t person_word(const struct teller *t, struct draft *d, const char *p, const char *end,
                   const char **out)
{
    size_t n = 0;
    if (t->narrator < 0 || d->in_quote || d->open_quote || !is_letter(*p))
        return 0;
    while (p + n < end && (is_letter(p[n]) || p[n] == '\''))
        n++;
    bool behind_me = d->size >= 2 && memcmp(d->text + d->size - 2, "I ", 2) == 0 &&
                     (d->size == 2 || !is_letter(d->text[d->size - 3]));
    for (size_t i = 0; i < sizeof(agreeing) / sizeof(agreeing[0]) && behind_me; i++)
        if (strlen(agreeing[i].they) == n && memcmp(agreeing[i].they, p, n) == 0) {
            *out = agreeing[i].we;
            return n;
        }
    bool between = d->size > 7 && memcmp(d->text + d->size - 7, "etween ", 7) == 0;
    for (size_t i = 0; i < sizeof(crew_words) / sizeof(crew_words[0]); i++) {
        if (d->own_they && !between)
            break;
        if (strlen(crew_words[i].they) != n || memcmp(crew_words[i].they, p, n) != 0)
            continue;
        bool first = d->at_start;
        bool let_in = d->size > 4 && memcmp(d->text + d->size - 4, "let ", 4) == 0;
        if (let_in && (size_t) (end - p) >= 8 && memcmp(p, "them in,", 8) == 0)
            return 0; /* whoever it was that came */
        if ((n == 4 && memcmp(p, "them", 4) == 0 && done_to_others(d)) || proverb(p + n, end) || !means_crew(d, first, of_people(p + n, end)))
            return 0;
        d->crew++;
        *out = d->at_start && *p == 't' ? crew_words[i == 0 ? 4 : i == 2 ? 5 : i].we
                                        : crew_words[i].we;
        return n;
    }
    return 0;
}

/* --- present tense, and cards
 * ---------------------------------------------------------------------- */

static bool ends_agreement(const char *w, size_t n)
{
    static const char *const words[] = { "that", "who",   "which", "where", "what", "it",
                                         "when", "there", "who",   "nobody", "they", NULL };
    return in_list(words, w, n) || (n > 0 && w[0] >= 'A' && w[0] <= 'Z');
}
/* A log is in the present: "I seals the door and is hurt" becomes "I seal the door and am hurt". */
void person_log_agrees(struct teller *t, struct draft *d)
{
    struct buf b = { 0 };
    bool verb = false, clause = false, quoted = false, join = false;
    for (size_t i = 0; i < d->size;) {
        size_t n = 0;
        while (i + n < d->size && (is_letter(d->text[i + n]) || d->text[i + n] == '\''))
            n++;
        if (n == 0) {
            char c = d->text[i++];
            quoted ^= c == '"';
            clause = clause && strchr(".;:!?\n", c) == NULL;
            buf_putc(&b, c);
            continue;
        }
        const char *w = d->text + i;
        bool me = n == 1 && *w == 'I', and = n == 3 && memcmp(w, "and", 3) == 0;
        if (quoted) {
            buf_put(&b, w, n);
        } else if (me) {
            verb = clause = true, join = false;
            buf_putc(&b, 'I');
        } else if (verb || (join && clause && n > 1 && w[n - 1] == 's' && !ends_agreement(w, n))) {
            morph_first_verb(&b, w, n);
            verb = join = false;
        } else {
            clause = clause && !ends_agreement(w, n);
            join = and && clause;
            buf_put(&b, w, n);
        }
        i += n;
    }
    if (b.failed || b.size + 2 >= DRAFT_BYTES) {
        t->nomem |= b.failed;
        d->failed |= !b.failed;
    } else {
        memcpy(d->text, b.data, b.size);
        d->size = b.size;
        d->text[d->size] = 0;
    }
    buf_done(&b);
}
const char *person_phrase(struct teller *t, int16_t who, const char *phrase)
{
    if (phrase == NULL || t->narrator != who || who < 0)
        return phrase;
    struct buf b = { 0 };
    morph_first_person(&b, phrase, t->gender[who]);
    const char *s = b.failed ? NULL : arena_strndup(&t->scratch, buf_text(&b), b.size);
    buf_done(&b);
    t->nomem |= s == NULL;
    return s;
}
