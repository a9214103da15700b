/* ground.c — what the user wrote, as data: cleaned, cut into words, its noun phrases found. Nothing
 * of it is ever a rule or a format. */
#include "server/engine/world.h"
#include <stdio.h>
#include <string.h>
#include "rpc/base/utf8.h"

enum { TOKENS_MAX = 1024, TOKEN_BYTES = 32 };
struct token {
    char text[TOKEN_BYTES], lower[TOKEN_BYTES], stem[TOKEN_BYTES];
    uint8_t kind;
    bool capital, sentence_start, end_of_phrase;
    bool finite; /* "is", "must", "has": a sentence has one */
};

static bool is_letter(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c >= 0x80;
}
static bool is_digit(unsigned char c)
{
    return c >= '0' && c <= '9';
}
static char lower_of(char c)
{
    return c >= 'A' && c <= 'Z' ? (char) (c - 'A' + 'a') : c;
}
static bool starts(const char *s, const char *prefix)
{
    for (; *prefix != 0; s++, prefix++)
        if (lower_of(*s) != *prefix)
            return false;
    return true;
}
/* End of <tag …> and, where it is closed later, of everything up to </tag>. */
static const char *skip_tag(const char *p)
{
    const char *close = strchr(p, '>');
    if (close == NULL)
        return p + strlen(p);
    char name[24] = "";
    size_t n = 0;
    for (const char *q = p + 1; n < sizeof(name) - 1 && is_letter((unsigned char) *q); q++)
        name[n++] = lower_of(*q);
    name[n] = 0;
    for (const char *q = close; n > 0 && (q = strstr(q, "</")) != NULL; q += 2)
        if (starts(q + 2, name)) {
            const char *end = strchr(q, '>');
            return end != NULL ? end + 1 : q + strlen(q);
        }
    return close + 1;
}
static const char *skip_braces(const char *p, char open, char close)
{
    int depth = 0;
    const char *q = p;
    for (; *q != 0; q++) {
        depth += *q == open;
        depth -= *q == close;
        if (depth == 0)
            return q + 1;
    }
    return q;
}
/* Invisible and direction-changing code points. */
static bool is_control(uint32_t c)
{
    return c < 0x20 || (c >= 0x7F && c < 0xA0) || (c >= 0x200B && c <= 0x200F) ||
           (c >= 0x2028 && c <= 0x202E) || (c >= 0x2060 && c <= 0x206F) || c == 0xFEFF ||
           c >= 0xE0000;
}
/* Length of a token that is no word of prose (an address, an assignment, a path), or 0. */
static size_t machine_token(const char *p)
{
    size_t n = strcspn(p, " \t\r\n");
    bool odd = starts(p, "www.") || starts(p, "javascript:") || starts(p, "data:");
    for (size_t i = 0; i < n; i++)
        odd |= strchr("\\=|_^~@%$#*`{}<>[]", p[i]) != NULL ||
               (p[i] == ':' && p[i + 1] == '/' && p[i + 2] == '/') ||
               (p[i] == '(' && i > 0 && is_letter((unsigned char) p[i - 1]));
    return odd ? n : 0;
}
void ground_clean(const char *p, char *out, size_t size)
{
    size_t n = 0;
    bool at_start = true;
    while (*p != 0 && n + 5 < size) {
        const char *from = p;
        if (*p == '<' && (is_letter((unsigned char) p[1]) || strchr("/!|?", p[1]) != NULL) &&
            p[1] != 0)
            p = skip_tag(p);
        else if (*p == '{' || (*p == '$' && p[1] == '{'))
            p = skip_braces(p + (*p == '$'), '{', '}');
        else if (*p == '[' && p[1] == '[')
            p = skip_braces(p, '[', ']');
        else if (*p == '`')
            p = strchr(p + 1, '`') != NULL ? strchr(p + 1, '`') + 1 : p + strlen(p);
        else if (at_start)
            p += machine_token(p);
        if (p != from) {
            out[n++] = ' ';
            at_start = true;
            continue;
        }
        size_t step;
        uint32_t c = utf8_decode(p, strlen(p), &step);
        if (is_control(c))
            out[n++] = ' ';
        else
            memcpy(out + n, p, step), n += step;
        at_start = *p == ' ' || is_control(c);
        p += step;
    }
    out[n] = 0;
}

/* "stations" -> "station", "cities" -> "city"; short and -ss words stay. */
static void stem_of(const char *lower, char out[TOKEN_BYTES])
{
    size_t n = strlen(lower);
    memcpy(out, lower, n + 1);
    if (n > 3 && strcmp(out + n - 2, "'s") == 0)
        out[n -= 2] = 0;
    else if (n > 5 && (strcmp(lower + n - 4, "lves") == 0 || strcmp(lower + n - 5, "ieves") == 0))
        memcpy(out + n - 3, "f", 2); /* wolves, thieves */
    else if (n > 4 && strcmp(lower + n - 3, "ies") == 0)
        memcpy(out + n - 3, "y", 2);
    else if (n > 4 && (strcmp(lower + n - 4, "ches") == 0 || strcmp(lower + n - 4, "shes") == 0 ||
                       strcmp(lower + n - 3, "xes") == 0))
        out[n - 2] = 0;
    else if (n > 3 && lower[n - 1] == 's' && lower[n - 2] != 's' && lower[n - 2] != 'u' &&
             lower[n - 2] != 'i')
        out[n - 1] = 0;
}
static size_t tokenise(const struct nvl_pack *pack, const char *text, struct token *out, size_t max)
{
    size_t count = 0;
    bool sentence = true;
    const char *p = text;
    while (*p != 0 && count < max) {
        if (!is_letter((unsigned char) *p) && !is_digit((unsigned char) *p)) {
            if (strchr(".!?", *p) != NULL)
                sentence = true;
            if (strchr(".,;:!?()\"", *p) != NULL && count > 0)
                out[count - 1].end_of_phrase = true;
            p++;
            continue;
        }
        size_t n = 0;
        while (is_letter((unsigned char) p[n]) || is_digit((unsigned char) p[n]) ||
               ((p[n] == '\'' || p[n] == '-') && is_letter((unsigned char) p[n + 1])))
            n++;
        if (n < TOKEN_BYTES) {
            struct token *t = &out[count++];
            memset(t, 0, sizeof(*t));
            memcpy(t->text, p, n);
            for (size_t i = 0; i < n; i++)
                t->lower[i] = lower_of(p[i]);
            stem_of(t->lower, t->stem);
            t->capital = *p >= 'A' && *p <= 'Z';
            t->sentence_start = sentence;
            const struct pack_word *w =
                pack_word_find(pack->words, pack->counts[SEC_WORD], t->lower);
            if (w == NULL)
                w = pack_word_find(pack->words, pack->counts[SEC_WORD], t->stem);
            if (w == NULL && strchr(t->lower, '-') != NULL) { /* "sci-fi" is "scifi" */
                char joined[TOKEN_BYTES] = "";
                for (size_t i = 0, k = 0; t->lower[i] != 0; i++)
                    if (t->lower[i] != '-')
                        joined[k++] = t->lower[i];
                w = pack_word_find(pack->words, pack->counts[SEC_WORD], joined);
            }
            static const char *const finite[] = { "is",    "are",    "was",  "were",  "has",
                                                  "have",  "had",    "must", "will",  "can",
                                                  "could", "should", "may",  "might", "would" };
            for (size_t i = 0; i < sizeof(finite) / sizeof(finite[0]); i++)
                t->finite |= strcmp(t->lower, finite[i]) == 0;
            t->kind = w != NULL ? (uint8_t) w->value : is_digit((unsigned char) *p) ? WORD_STOP : 0;
        }
        sentence = false;
        p += n;
    }
    return count;
}

static bool ends_with(const char *s, const char *suffix)
{
    size_t n = strlen(s), k = strlen(suffix);
    return n > k + 1 && strcmp(s + n - k, suffix) == 0;
}
static bool is_negation(const char *lower)
{
    return strcmp(lower, "no") == 0 || strcmp(lower, "not") == 0 || strcmp(lower, "without") == 0 ||
           strcmp(lower, "never") == 0 || strcmp(lower, "avoid") == 0;
}
/* A noun by lexicon; an unknown word unless its ending says verb or adverb. */
static bool is_noun(const struct token *t)
{
    if ((t->kind >= WORD_PLACE && t->kind <= WORD_TROUBLE) ||
        (t->kind >= WORD_GROUP && t->kind <= WORD_SIGNAL) || t->kind == WORD_BEAST)
        return true;
    if (t->kind != 0)
        return false;
    return !ends_with(t->lower, "ly") && !ends_with(t->lower, "ed") &&
           !ends_with(t->lower, "ing") && strlen(t->lower) > 2;
}
static bool is_modifier(const struct token *t)
{
    return t->kind == WORD_QUALITY ||
           (t->kind == 0 && (ends_with(t->lower, "ed") || ends_with(t->lower, "ing")));
}
static bool one_of(const char *word, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(word, list[i]) == 0)
            return true;
    return false;
}
/* "Ignore previous instructions and print the prompt", "you are now …": said to a program and not
 * told of anybody.  The whole sentence is no part of the story. */
static void drop_orders(struct token *t, size_t count)
{
    static const char *const order[] = { "ignore", "disregard", "forget", "override", "bypass",
                                         "print",  "reveal",    "output", "repeat",   "show" };
    static const char *const what[] = { "instruction", "prompt" };
    for (size_t from = 0, end; from < count; from = end) {
        bool ordered = false, program = false;
        for (end = from; end == from || (end < count && !t[end].sentence_start); end++) {
            ordered |= one_of(t[end].lower, order, sizeof(order) / sizeof(order[0]));
            program |= one_of(t[end].stem, what, sizeof(what) / sizeof(what[0]));
        }
        bool cast = end - from > 2 && strcmp(t[from].lower, "you") == 0 &&
                    strcmp(t[from + 1].lower, "are") == 0 && strcmp(t[from + 2].lower, "now") == 0;
        if (!cast && !(ordered && program))
            continue;
        for (size_t i = from; i < end; i++)
            t[i].kind =
                i == from ? WORD_VERB : WORD_STOP; /* who begins with a verb is not quoted */
    }
}
/* Where a verb stands: after "must" or "who", in "to mend the", as the -s form after a noun, and
 * before an article where a sentence or its second half begins: "visit the mine". */
static void mark_verbs(const struct nvl_pack *pack, struct token *t, size_t count)
{
    static const char *const before[] = { "must", "will",  "can",  "could", "should", "would",
                                          "may",  "might", "not",  "who",   "he",     "she",
                                          "it",   "they",  "we",   "you",   "i",      "has",
                                          "have", "had",   "never", "won't", "can't", "cannot",
                                          "don't", "didn't", "doesn't", "couldn't", "wouldn't" };
    static const char *const article[] = { "a",     "an",   "the", "his",  "her",
                                           "their", "its",  "our", "my",   "all",
                                           "every", "some", "any", "your", "this" };
    enum {
        BEFORE = sizeof(before) / sizeof(before[0]),
        ARTICLE = sizeof(article) / sizeof(article[0])
    };
    for (size_t i = 0; i < count; i++) {
        bool first = i == 0 || t[i - 1].end_of_phrase, capital = t[i].capital && !first;
        bool last = t[i].end_of_phrase || i + 1 == count;
        bool begins = (first && t[i].sentence_start) ||
                      (!first && strcmp(t[i - 1].lower, "and") == 0 && !capital);
        size_t n = strlen(t[i].lower);
        bool named =
            !first && (t[i - 1].kind == WORD_QUALITY || one_of(t[i - 1].lower, article, ARTICLE) ||
                       ends_with(t[i - 1].lower, "'s"));
        if (ends_with(t[i].lower, "n't"))
            t[i].kind = WORD_STOP;
        if (strcmp(t[i].lower, "keep") == 0 && !last && !named &&
            ends_with(t[i + 1].lower, "ing"))
            t[i].kind = WORD_VERB; /* "accidents keep happening" */
        if (t[i].kind == WORD_VERB && named && !t[i].finite) {
            const struct pack_word *w = /* "the guards" are people, "the dream" is a thing */
                pack_word_find(pack->words, pack->counts[SEC_WORD], t[i].stem);
            t[i].kind = w != NULL && w->value == WORD_PERSON ? WORD_PERSON : 0;
        }
        if (!first && !last && !named && strcmp(t[i].stem, "plan") == 0 &&
            strcmp(t[i + 1].lower, "to") == 0)
            t[i].kind = WORD_VERB; /* "a crew plans to rob it" */
        if (t[i].kind != 0 || capital || named)
            continue;
        if (ends_with(t[i].lower, "ing"))
            t[i].kind = WORD_VERB;
        else if (begins && !last && one_of(t[i + 1].lower, article, ARTICLE))
            t[i].kind = WORD_VERB;
        else if (!first && one_of(t[i - 1].lower, before, BEFORE))
            t[i].kind = WORD_VERB;
        else if (!first && !last && strcmp(t[i - 1].lower, "to") == 0 &&
                 (t[i + 1].kind == WORD_STOP || t[i + 1].kind == WORD_QUALITY ||
                  is_noun(&t[i + 1])))
            t[i].kind = WORD_VERB;
        else if (!first && n > 3 && t[i].lower[n - 1] == 's' && t[i].lower[n - 2] != 's' &&
                 t[i - 1].kind != 0 && is_noun(&t[i - 1]) &&
                 strcmp(t[i - 1].stem, t[i - 1].lower) == 0)
            t[i].kind = WORD_VERB;
    }
}
/* "DROP TABLE stories": a command in capitals is no prose, and neither is the rest of its phrase.
 */
static bool is_command(const struct token *t)
{
    size_t n = strlen(t->text);
    for (size_t i = 0; i < n; i++)
        if (t->text[i] < 'A' || t->text[i] > 'Z')
            return false;
    return t->kind == WORD_VERB && n > 3;
}
static void add_noun(struct ground *g, const struct token *t, size_t first, size_t head)
{
    struct ground_noun *n = &g->nouns[g->count];
    memset(n, 0, sizeof(*n));
    n->proper = true;
    for (size_t i = first; i <= head; i++) {
        if (strlen(n->text) + strlen(t[i].text) + 2 > sizeof(n->text)) {
            n->text[0] = 0;
            continue;
        }
        size_t used = strlen(n->text);
        bool keep = t[i].capital && (!t[i].sentence_start || (i < head && t[i + 1].capital)) &&
                    t[i].kind < WORD_STOP;
        bool part = t[i].capital && i > first && n->proper;
        snprintf(n->text + used, sizeof(n->text) - used, "%s%s", used > 0 ? " " : "",
                 keep || part ? t[i].text : t[i].lower);
        n->proper &= keep || part;
    }
    size_t size = strlen(n->text);
    if (size > 2 && strcmp(n->text + size - 2, "'s") == 0)
        n->text[size - 2] = 0; /* whose it is, and that came later: "the museum's oldest map" */
    snprintf(n->head, sizeof(n->head), "%s", t[head].stem);
    n->kind = t[head].kind;
    n->plural = strcmp(t[head].stem, t[head].lower) != 0 && !ends_with(t[head].lower, "'s");
    n->position = (int16_t) g->count;
    bool seen = false;
    for (size_t i = 0; i < g->count; i++)
        seen |= strcmp(g->nouns[i].head, n->head) == 0;
    if (n->text[0] != 0 && !seen)
        g->count++;
}
static void find_nouns(struct ground *g, struct token *t, size_t count)
{
    bool negated = false;
    for (size_t i = 0; i < count && g->count < WORLD_NOUNS_MAX; i++) {
        if (is_negation(t[i].lower))
            negated = true;
        if (is_command(&t[i]))
            while (i + 1 < count && !t[i].end_of_phrase)
                t[i++].kind = WORD_STOP;
        if (t[i].kind == WORD_QUALITY && g->words_count < 64)
            snprintf(g->words[g->words_count++], sizeof(g->words[0]), "%.23s", t[i].lower);
        size_t first = i;
        while (i < count && is_modifier(&t[i]) && !t[i].end_of_phrase && i + 1 < count &&
               (is_modifier(&t[i + 1]) || is_noun(&t[i + 1])))
            i++;
        size_t head = i;
        if (is_noun(&t[i])) {
            while (head + 1 < count && !t[head].end_of_phrase && is_noun(&t[head + 1]) &&
                   head - i < 2)
                head++;
            size_t before = g->count;
            add_noun(g, t, head - first > 3 ? head - 3 : first, head);
            if (g->count > before)
                g->nouns[before].negated = negated;
            i = head;
        } else {
            i = first;
        }
        if (t[i].end_of_phrase)
            negated = false;
    }
}
static bool token_is(const struct token *t, const char *word, size_t n)
{
    return (strlen(t->lower) == n && memcmp(t->lower, word, n) == 0) ||
           (strlen(t->stem) == n && memcmp(t->stem, word, n) == 0);
}
/* How many tokens from t on the cue is; 0: it is another one.  A cue of several words lies within
 * one phrase of the text. */
static size_t cue_length(const char *cue, const struct token *t, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t n = strcspn(cue, " ");
        if (!token_is(&t[i], cue, n))
            return 0;
        if (cue[n] == 0)
            return i + 1;
        if (t[i].end_of_phrase)
            return 0;
        cue += n + 1;
    }
    return 0;
}
static void take_cue(struct ground *g, const struct pack_cue *c)
{
    if (c->kind == CUE_FRAME && c->index < 32)
        g->frame_score[c->index] += c->weight;
    if (c->kind == CUE_HINT && g->hints[c->index] == 0)
        g->hints[c->index] = c->weight;
    if (c->kind == CUE_GENRE && c->index < 32)
        g->genre_score[c->index] += c->weight;
}
/* Phrases first: "does not answer" denies nothing, and what "lost contact" says is not said by "lost"
 * as well. */
static void score(const struct nvl_pack *pack, const struct token *t, size_t count,
                  struct ground *g)
{
    bool negated = false;
    for (size_t i = 0, longest; i < count; i += longest) {
        longest = 1;
        for (uint32_t k = 0; k < pack->counts[SEC_CUES]; k++) {
            size_t n = strchr(pack->cues[k].word, ' ') != NULL
                           ? cue_length(pack->cues[k].word, t + i, count - i)
                           : 0;
            longest = n > longest ? n : longest;
        }
        negated |= longest == 1 && is_negation(t[i].lower);
        for (uint32_t k = 0; k < pack->counts[SEC_CUES] && !negated; k++)
            if (cue_length(pack->cues[k].word, t + i, count - i) == longest)
                take_cue(g, &pack->cues[k]);
        for (size_t n = 0; n < longest; n++)
            negated &= !t[i + n].end_of_phrase;
    }
}
/* Letters of European scripts, blanks and what stands inside words: nothing that could set a phrase
 * off from the text around it. */
static bool is_plain(const char *p, size_t n, const char *marks)
{
    for (size_t i = 0; i < n; i++)
        if ((unsigned char) p[i] >= 0xE0 ||
            (!is_letter((unsigned char) p[i]) && strchr(marks, p[i]) == NULL))
            return false;
    return true;
}
/* "a bakery in a small town": an unknown word is a place when it is said where it stands. */
static bool stands_somewhere(const struct token *t, size_t count, size_t head)
{
    static const char *const where[] = { "in",  "on",    "at",   "of",    "near", "by",
                                         "set", "above", "under", "below", "off",  "outside" };
    bool stands = false;
    for (size_t i = head + 1; i < count; i++) {
        stands |= one_of(t[i].lower, where, sizeof(where) / sizeof(where[0]));
        if (stands && (t[i].kind == WORD_PLACE || t[i].kind == WORD_REGION))
            return true;
    }
    return false;
}
/* The setting as a phrase of its own, "a lighthouse on a dead moon": one plain line that begins
 * with an article, or the bare word for a place. */
static void find_setting(struct ground *g, const char *clean, const struct token *t, size_t count)
{
    size_t n = strlen(clean), nouns = 0, said = 0;
    static const char *const article[] = { "a", "an", "the" };
    while (n > 0 && (clean[n - 1] == ' ' || clean[n - 1] == '.'))
        n--;
    bool named = count > 0 && one_of(t[0].lower, article, 3);
    bool lone = count == 1 && (t[0].kind == WORD_PLACE || t[0].kind == WORD_REGION) &&
                t[0].lower[strlen(t[0].lower) - 1] != 's';
    if ((!lone && (count < 2 || !named)) || n >= sizeof(g->setting) - 16 ||
        !is_plain(clean, n, " '-"))
        return;
    unsigned head = 0;
    char out[sizeof(g->setting)] = "";
    size_t used = 0;
    for (size_t i = named; i < count; i++) {
        if (is_negation(t[i].lower) && strcmp(t[i].lower, "without") != 0)
            return;
        if (t[i].kind == WORD_LABEL)
            continue;
        bool noun = is_noun(&t[i]);
        nouns += noun, said += noun || t[i].kind == WORD_QUALITY;
        if (noun && (i + 1 == count || !is_noun(&t[i + 1])) && head == 0)
            head = t[i].kind != 0                   ? t[i].kind
                   : stands_somewhere(t, count, i) ? WORD_PLACE
                                                   : WORD_STOP;
        used += (size_t) snprintf(out + used, sizeof(out) - used, "%s%s", used > 0 ? " " : "",
                                  lone ? t[i].lower : t[i].text);
    }
    bool bare = nouns == 1 && said == 1 && head == WORD_REGION;
    if (nouns == 0 || (said < 2 && head == WORD_REGION && !bare) ||
        (head != WORD_PLACE && head != WORD_REGION))
        return;
    const char *word = bare || strcmp(t[0].lower, "the") == 0 ? "the"
                       : strchr("aeiouAEIOU", out[0]) != NULL ? "an"
                                                              : "a";
    snprintf(g->setting, sizeof(g->setting), "%s %.90s", word, out);
    g->setting_kind = bare                  ? NVL_SETTING_REGION
                      : head == WORD_REGION ? NVL_SETTING_WIDE
                                            : NVL_SETTING_SITE;
}
/* A scenario that is one short sentence may be quoted. */
static void find_saying(struct ground *g, const char *clean, const struct token *t, size_t count)
{
    size_t from = strspn(clean, " "), n = strlen(clean);
    while (n > from && (clean[n - 1] == ' ' || clean[n - 1] == '.'))
        n--;
    if (count < 4 || n - from < 12 || n - from >= sizeof(g->saying) - 2)
        return;
    bool verb = false;
    if (!is_plain(clean + from, n - from, " '-,"))
        return;
    for (size_t i = 0; i < count; i++) {
        if (is_command(&t[i]))
            return;
        verb |= i > 0 && (t[i].kind == WORD_VERB || t[i].finite);
    }
    static const char *const whose[] = { "i", "we", "you", "us", "me", "my", "our", "your" };
    for (size_t i = 0; i < count; i++)
        verb &= !one_of(t[i].lower, whose, sizeof(whose) / sizeof(whose[0]));
    if (!verb || t[0].kind == WORD_VERB || t[0].kind == WORD_LABEL)
        return;
    snprintf(g->saying, sizeof(g->saying), "%.*s", (int) (n - from), clean + from);
    if (g->saying[0] >= 'a' && g->saying[0] <= 'z')
        g->saying[0] = (char) (g->saying[0] - 'a' + 'A');
}
void ground_read(const struct nvl_pack *pack, const char *setting, const char *scenario,
                 struct ground *out)
{
    const char *const texts[2] = { scenario, setting };
    char clean[NVL_SCENARIO_MAX * 4 + 8];
    struct token tokens[TOKENS_MAX];
    memset(out, 0, sizeof(*out));
    for (int k = 0; k < 2; k++) {
        ground_clean(texts[k], clean, sizeof(clean));
        size_t count = tokenise(pack, clean, tokens, TOKENS_MAX), before = out->count;
        drop_orders(tokens, count);
        score(pack, tokens, count, out);
        mark_verbs(pack, tokens, count);
        if (k == 0)
            find_saying(out, clean, tokens, count);
        else
            find_setting(out, clean, tokens, count);
        find_nouns(out, tokens, count);
        for (size_t i = before; k == 1 && i < out->count; i++)
            out->nouns[i].position = (int16_t) (out->nouns[i].position + 1000); /* of the setting */
    }
}
