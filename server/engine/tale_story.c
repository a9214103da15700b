/* tale_story.c — frames and what belongs to them, genres, word lists, tension, goals. */
#include "server/engine/tale.h"
#include <stdio.h>
#include <string.h>

bool tale_word_add(struct tale *t, enum pack_section sec, const char *word, int32_t value, int kind,
                   int index)
{
    if (t->words_count == t->words_capacity) {
        size_t capacity = t->words_capacity == 0 ? 1024 : 2 * t->words_capacity;
        void *words = arena_zero(&t->arena, capacity, sizeof(*t->words));
        if (words == NULL)
            return tale_nomem(t);
        if (t->words_count > 0)
            memcpy(words, t->words, t->words_count * sizeof(*t->words));
        t->words = words, t->words_capacity = capacity;
    }
    char *copy = arena_strndup(&t->arena, word, strlen(word));
    if (copy == NULL)
        return tale_nomem(t);
    t->words[t->words_count].sec = sec, t->words[t->words_count].word = copy;
    t->words[t->words_count].value = value, t->words[t->words_count].kind = kind;
    t->words[t->words_count++].index = index;
    return true;
}
/* A lower-case word, bare or in quotes (for blanks and hyphens). */
static bool lex_entry(struct lex *lex, char *out, size_t size)
{
    const char *text = lex->text;
    size_t n = lex->size;
    if (lex->kind == TOKEN_STRING)
        text++, n -= 2;
    else if (lex->kind != TOKEN_WORD)
        return tale_fail(lex->tale, lex, "expected a word");
    if (n == 0 || n >= size)
        return tale_fail(lex->tale, lex, "a word of 1..%zu bytes", size - 1);
    for (size_t i = 0; i < n; i++)
        if (text[i] >= 'A' && text[i] <= 'Z')
            return tale_fail(lex->tale, lex, "words are lower case here");
    memcpy(out, text, n);
    out[n] = 0;
    lex_next(lex);
    return true;
}
static bool word_list(struct lex *lex, enum pack_section sec, int kind, int index, bool weighted,
                      int32_t value)
{
    char word[40];
    int32_t v = value;
    while (lex->kind != TOKEN_END) {
        if (!lex_entry(lex, word, sizeof(word)) ||
            (weighted && !lex_int(lex, &v, -99, 999, "a weight")) ||
            !tale_word_add(lex->tale, sec, word, v, kind, index))
            return false;
        lex_take(lex, ",");
    }
    return lex_done(lex);
}
static bool put_text(struct lex *lex, struct buf *b, const char *what)
{
    uint32_t s;
    if (!lex_string(lex, &s, what))
        return false;
    put32(b, s);
    return true;
}
/* The place ROLE of the frame, as an index among the frame's places. */
static bool lex_role(struct lex *lex, const char *frame, unsigned *out)
{
    char role[40], key[96];
    struct lex at = *lex;
    if (!lex_word(lex, role, sizeof(role), "a place of the frame"))
        return false;
    snprintf(key, sizeof(key), "%.47s.%s", frame, role);
    int i = names_find(&lex->tale->places, key);
    if (i < 0)
        return tale_fail(lex->tale, &at, "frame %s has no place \"%s\"", frame, role);
    *out = lex->tale->places.items[i].extra;
    return true;
}
/* NAME of FRAME; the name was declared before. */
static bool head_of(struct tale *t, const struct tale_statement *s, struct lex *lex, char *name,
                    int *frame)
{
    lex_open(lex, t, s->file, &s->head);
    return lex_word(lex, name, 40, "a name") && lex_want(lex, "of") &&
           lex_name(lex, &t->frames, frame, "frame") && lex_done(lex);
}
static unsigned count_of_frame(const struct tale_names *n, unsigned frame)
{
    unsigned k = 0;
    for (size_t i = 0; i < n->count; i++)
        k += n->items[i].extra >> 8 == frame;
    return k;
}

static bool frame_place_declare(struct tale *t, const struct tale_statement *s, const char *frame)
{
    unsigned n = 0;
    for (size_t i = 0; i < s->body_count; i++) {
        struct lex lex;
        char role[40], key[96];
        lex_open(&lex, t, s->file, &s->body[i]);
        struct lex at = lex;
        if (!lex_take(&lex, "place"))
            continue;
        if (!lex_word(&lex, role, sizeof(role), "a role"))
            return false;
        snprintf(key, sizeof(key), "%.47s.%s", frame, role);
        if (!names_add(t, &at, &t->places, key, n++, "place"))
            return false;
    }
    return true;
}
bool tale_story_declare(struct tale *t, const struct tale_statement *s)
{
    struct lex lex;
    char name[48];
    static const struct {
        const char *keyword;
        size_t names;
        bool of;
    } kinds[] = {
        { "operator", offsetof(struct tale, ops), false },
        { "goal", offsetof(struct tale, goals), false },
        { "thread", offsetof(struct tale, threads), false },
        { "frame", offsetof(struct tale, frames), false },
        { "genre", offsetof(struct tale, genres), false },
        { "fact", offsetof(struct tale, facts), true },
        { "truth", offsetof(struct tale, truths), true },
        { "clue", offsetof(struct tale, clues), true },
        { "ending", offsetof(struct tale, endings), true },
    };
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcmp(kinds[i].keyword, s->keyword) != 0)
            continue;
        struct tale_names *names = (struct tale_names *) (void *) ((char *) t + kinds[i].names);
        unsigned extra = 0;
        lex_open(&lex, t, s->file, &s->head);
        struct lex at = lex;
        if (!lex_word(&lex, name, sizeof(name), "a name"))
            return false;
        if (kinds[i].of) { /* frame in the high byte, index among the frame's in the low one */
            int frame;
            if (!lex_want(&lex, "of") || !lex_name(&lex, &t->frames, &frame, "frame"))
                return false;
            extra = (unsigned) frame << 8 | count_of_frame(names, (unsigned) frame);
        }
        bool goes_on = strcmp(s->keyword, "genre") == 0 && names_find(names, name) >= 0;
        if (!goes_on && !names_add(t, &at, names, name, extra, s->keyword))
            return false;
        size_t most = names == &t->ops ? 500 : 254; /* events name an operator in two bytes */
        if (names->count > most)
            return tale_fail(t, &at, "more than %zu of \"%s\"", most, s->keyword);
        return strcmp(s->keyword, "frame") != 0 || frame_place_declare(t, s, name);
    }
    return true;
}

static bool tale_goal(struct tale *t, const struct tale_statement *s)
{
    struct scope scope = { .params = { { "A", NVL_SORT_CHAR, false } }, .count = 1 };
    struct lex lex;
    uint32_t when = 0, weight = 0, at = 0;
    lex_open(&lex, t, s->file, &s->head);
    struct lex head = lex;
    char name[48];
    if (!lex_word(&lex, name, sizeof(name), "a name") || !lex_done(&lex))
        return false;
    for (size_t i = 0; i < s->body_count; i++) {
        lex_open(&lex, t, s->file, &s->body[i]);
        bool ok;
        if (lex_take(&lex, "when"))
            ok = expr_compile(&lex, &scope, NVL_SORT_NONE, &when, NULL);
        else if (lex_take(&lex, "weight"))
            ok = expr_compile(&lex, &scope, NVL_SORT_NONE, &weight, NULL);
        else if (lex_take(&lex, "at"))
            ok = expr_compile(&lex, &scope, NVL_SORT_PLACE, &at, NULL);
        else
            ok = tale_fail(t, &lex, "a goal has when, weight and at");
        if (!ok || !lex_done(&lex))
            return false;
    }
    if (when == 0 || weight == 0)
        return tale_fail(t, &head, "goal \"%s\" needs when and weight", name);
    struct buf *b = &t->sec[SEC_GOAL];
    put32(b, tale_string(t, name, strlen(name))), put32(b, when), put32(b, weight), put32(b, at);
    t->counts[SEC_GOAL]++;
    return true;
}
static bool put_word(struct lex *lex, struct buf *b, const char *what)
{
    char word[40];
    if (!lex_word(lex, word, sizeof(word), what))
        return false;
    put32(b, tale_string(lex->tale, word, strlen(word)));
    return true;
}
/* item ROLE CLASS at PLACE, person ROLE CLASS at PLACE */
static bool frame_thing(struct lex *lex, const char *frame, unsigned index, enum pack_section sec)
{
    struct buf *b = &lex->tale->sec[sec];
    unsigned place;
    if (!put_word(lex, b, "a role") || !put_word(lex, b, "a class") || !lex_want(lex, "at") ||
        !lex_role(lex, frame, &place))
        return false;
    put8(b, index), put8(b, place), put16(b, 0);
    lex->tale->counts[sec]++;
    return lex_done(lex);
}
static bool frame_line(struct tale *t, struct lex *lex, const char *frame, unsigned index,
                       uint32_t *question)
{
    if (lex_take(lex, "question"))
        return lex_string(lex, question, "the question") && lex_done(lex);
    if (lex_take(lex, "cue"))
        return word_list(lex, SEC_CUES, CUE_FRAME, (int) index, true, 0);
    if (lex_take(lex, "place")) {
        struct buf *b = &t->sec[SEC_PLAC];
        if (!put_word(lex, b, "a role") || !put_word(lex, b, "a class"))
            return false;
        put8(b, index), put8(b, 0), put16(b, 0);
        t->counts[SEC_PLAC]++;
        return lex_done(lex);
    }
    if (lex_take(lex, "link")) {
        struct buf *b = &t->sec[SEC_LINK];
        unsigned a, c;
        char klass[40];
        if (!lex_role(lex, frame, &a) || !lex_role(lex, frame, &c) ||
            !lex_word(lex, klass, sizeof(klass), "a class"))
            return false;
        put32(b, tale_string(t, klass, strlen(klass)));
        put8(b, index), put8(b, a), put8(b, c), put8(b, lex_take(lex, "shut"));
        t->counts[SEC_LINK]++;
        return lex_done(lex);
    }
    if (lex_take(lex, "item"))
        return frame_thing(lex, frame, index, SEC_ITEM);
    if (lex_take(lex, "person"))
        return frame_thing(lex, frame, index, SEC_PERS);
    return tale_fail(t, lex, "unknown clause of a frame");
}
static bool tale_frame(struct tale *t, const struct tale_statement *s)
{
    struct lex lex;
    char name[48];
    uint32_t question = 0;
    lex_open(&lex, t, s->file, &s->head);
    struct lex head = lex;
    if (!lex_word(&lex, name, sizeof(name), "a name") || !lex_done(&lex))
        return false;
    unsigned index = t->counts[SEC_FRAM];
    for (size_t i = 0; i < s->body_count; i++) {
        lex_open(&lex, t, s->file, &s->body[i]);
        if (!frame_line(t, &lex, name, index, &question))
            return false;
    }
    if (question == 0)
        return tale_fail(t, &head, "frame \"%s\" has no question", name);
    put32(&t->sec[SEC_FRAM], tale_string(t, name, strlen(name))),
        put32(&t->sec[SEC_FRAM], question);
    t->counts[SEC_FRAM]++;
    return true;
}

/* A list of names as a mask of their indices within the frame. */
static bool lex_mask(struct lex *lex, const struct tale_names *n, int frame, uint32_t *out,
                     const char *what)
{
    do {
        int i;
        struct lex at = *lex;
        if (!lex_name(lex, n, &i, what))
            return false;
        unsigned k = n->items[i].extra & 255;
        if (n->items[i].extra >> 8 != (unsigned) frame || k > 31)
            return tale_fail(lex->tale, &at, "that %s is not of this frame", what);
        *out |= 1u << k;
    } while (lex->kind != TOKEN_END);
    return true;
}
static bool lex_roles(struct lex *lex, const char *frame, uint32_t *out)
{
    do {
        unsigned place;
        if (!lex_role(lex, frame, &place))
            return false;
        *out |= 1u << (place & 31);
    } while (lex->kind != TOKEN_END);
    return true;
}
static bool tale_fact(struct tale *t, const struct tale_statement *s)
{
    struct lex lex;
    char name[40];
    int frame;
    uint32_t clause = 0, truths = 0;
    if (!head_of(t, s, &lex, name, &frame))
        return false;
    for (size_t i = 0; i < s->body_count; i++) {
        lex_open(&lex, t, s->file, &s->body[i]);
        bool ok = lex_take(&lex, "clause")
                      ? lex_string(&lex, &clause, "the clause") && lex_done(&lex)
                  : lex_take(&lex, "true") ? lex_mask(&lex, &t->truths, frame, &truths, "truth")
                                           : tale_fail(t, &lex, "a fact has clause and true");
        if (!ok)
            return false;
    }
    struct buf *b = &t->sec[SEC_FACT];
    put32(b, tale_string(t, name, strlen(name))), put32(b, clause), put32(b, truths);
    put8(b, (unsigned) frame), put8(b, 0), put16(b, 0);
    t->counts[SEC_FACT]++;
    return true;
}
static bool tale_truth(struct tale *t, const struct tale_statement *s)
{
    struct lex lex;
    struct scope none = { 0 };
    char name[40];
    int frame;
    int32_t weight = 1;
    uint32_t first = t->counts[SEC_EFCT];
    if (!head_of(t, s, &lex, name, &frame))
        return false;
    for (size_t i = 0; i < s->body_count; i++) {
        lex_open(&lex, t, s->file, &s->body[i]);
        if (lex_take(&lex, "weight")) {
            if (!lex_int(&lex, &weight, 1, 99, "the weight") || !lex_done(&lex))
                return false;
            continue;
        }
        if (!lex_want(&lex, "set"))
            return false;
        do {
            if (!effect_compile(&lex, &none))
                return false;
        } while (lex_take(&lex, ";"));
        if (!lex_done(&lex))
            return false;
    }
    struct buf *b = &t->sec[SEC_TRUT];
    put32(b, tale_string(t, name, strlen(name))), put16(b, first),
        put16(b, t->counts[SEC_EFCT] - first);
    put8(b, (unsigned) frame), put8(b, (unsigned) weight), put16(b, 0);
    t->counts[SEC_TRUT]++;
    return true;
}
static bool tale_clue(struct tale *t, const struct tale_statement *s)
{
    struct lex lex;
    char name[40];
    int frame, fact = -1, alt = -1;
    uint32_t seen = 0, truths = 0, places = 0;
    if (!head_of(t, s, &lex, name, &frame))
        return false;
    const char *frame_name = t->frames.items[frame].name;
    struct lex head = lex;
    for (size_t i = 0; i < s->body_count; i++) {
        lex_open(&lex, t, s->file, &s->body[i]);
        bool ok =
            lex_take(&lex, "seen")      ? lex_string(&lex, &seen, "what is seen") && lex_done(&lex)
            : lex_take(&lex, "tells")   ? lex_name(&lex, &t->facts, &fact, "fact") && lex_done(&lex)
            : lex_take(&lex, "misread") ? lex_name(&lex, &t->facts, &alt, "fact") && lex_done(&lex)
            : lex_take(&lex, "when")    ? lex_mask(&lex, &t->truths, frame, &truths, "truth")
            : lex_take(&lex, "at")      ? lex_roles(&lex, frame_name, &places)
                                        : tale_fail(t, &lex, "unknown clause of a clue");
        if (!ok)
            return false;
    }
    if (seen == 0 || fact < 0 || truths == 0 || places == 0)
        return tale_fail(t, &head, "clue \"%s\" needs seen, tells, when and at", name);
    struct buf *b = &t->sec[SEC_CLUE];
    put32(b, tale_string(t, name, strlen(name))), put32(b, seen), put32(b, truths),
        put32(b, places);
    put8(b, (unsigned) frame), put8(b, t->facts.items[fact].extra & 255);
    put8(b, t->facts.items[alt < 0 ? fact : alt].extra & 255), put8(b, 0);
    t->counts[SEC_CLUE]++;
    return true;
}
static bool tale_ending(struct tale *t, const struct tale_statement *s)
{
    struct lex lex;
    struct scope none = { 0 };
    char name[40];
    int frame;
    uint32_t when = 0, clause = 0;
    int32_t tone = 0;
    if (!head_of(t, s, &lex, name, &frame))
        return false;
    for (size_t i = 0; i < s->body_count; i++) {
        lex_open(&lex, t, s->file, &s->body[i]);
        bool ok = lex_take(&lex, "when")   ? expr_compile(&lex, &none, NVL_SORT_NONE, &when, NULL)
                  : lex_take(&lex, "tone") ? lex_int(&lex, &tone, -100, 100, "the tone")
                  : lex_take(&lex, "clause")
                      ? lex_string(&lex, &clause, "the clause")
                      : tale_fail(t, &lex, "an ending has when, tone and clause");
        if (!ok || !lex_done(&lex))
            return false;
    }
    struct buf *b = &t->sec[SEC_ENDI];
    put32(b, tale_string(t, name, strlen(name))), put32(b, clause), put32(b, when);
    put8(b, (uint8_t) tone), put8(b, (unsigned) frame), put16(b, 0);
    t->counts[SEC_ENDI]++;
    return true;
}
static bool tale_genre(struct tale *t, const struct tale_statement *s)
{
    struct lex lex;
    char name[48], klass[40];
    lex_open(&lex, t, s->file, &s->head);
    if (!lex_word(&lex, name, sizeof(name), "a name") || !lex_done(&lex))
        return false;
    /* Declared in this order, so that a second statement of the name adds to the first. */
    unsigned index = (unsigned) names_find(&t->genres, name);
    if (index == t->counts[SEC_GENR]) {
        put32(&t->sec[SEC_GENR], tale_string(t, name, strlen(name)));
        t->counts[SEC_GENR]++;
    }
    for (size_t i = 0; i < s->body_count; i++) {
        lex_open(&lex, t, s->file, &s->body[i]);
        if (lex_take(&lex, "cue")) {
            if (!word_list(&lex, SEC_CUES, CUE_GENRE, (int) index, true, 0))
                return false;
            continue;
        }
        if (!lex_word(&lex, klass, sizeof(klass), "a class"))
            return false;
        do {
            struct buf *b = &t->sec[SEC_NAME];
            put32(b, tale_string(t, klass, strlen(klass)));
            if (!put_text(&lex, b, "a name"))
                return false;
            put8(b, index), put8(b, 0), put16(b, 0);
            t->counts[SEC_NAME]++;
        } while (lex_take(&lex, "|"));
        if (!lex_done(&lex))
            return false;
    }
    return true;
}
static bool tale_words(struct tale *t, const struct tale_statement *s)
{
    static const char *const kinds[] = { "",        "stop",    "place", "item",  "person",
                                         "trouble", "quality", "verb",  "group", "region",
                                         "signal",  "label",   "beast" };
    struct lex lex;
    lex_open(&lex, t, s->file, &s->head);
    enum pack_section sec = SEC_RANK;
    int32_t value = 0;
    bool hint = strcmp(s->keyword, "hint") == 0; /* a word of the user's gives a fluent a value */
    bool weighted = hint || strcmp(s->keyword, "ranks") == 0;
    int f = 0;
    if (hint) {
        struct lex at = lex;
        sec = SEC_CUES;
        if (!lex_name(&lex, &t->fluents, &f, "fluent"))
            return false;
        if (t->fluent_list[f].sorts[0] != 0 || t->fluent_list[f].value_sort != 0)
            return tale_fail(t, &at, "a hint is for a number that is nobody's");
        if (f >= TALE_HINTED_MAX)
            return tale_fail(t, &at, "a hint is for one of the first %d fluents", TALE_HINTED_MAX);
    } else if (strcmp(s->keyword, "lexicon") == 0) {
        sec = SEC_WORD;
        for (int k = 1; k < (int) (sizeof(kinds) / sizeof(kinds[0])); k++)
            if (lex_is(&lex, kinds[k]))
                value = k;
        if (value == 0)
            return tale_fail(t, &lex, "unknown word class");
        lex_next(&lex);
    } else if (!weighted) {
        sec = strcmp(s->keyword, "skill") == 0 ? SEC_SKIL : SEC_TAGS;
        if (!lex_name(&lex, &t->fluents, &f, "fluent"))
            return false;
        value = f;
    }
    if (!lex_done(&lex))
        return false;
    for (size_t i = 0; i < s->body_count; i++) {
        lex_open(&lex, t, s->file, &s->body[i]);
        if (!word_list(&lex, sec, hint ? CUE_HINT : 0, hint ? f : 0, weighted, value))
            return false;
    }
    return true;
}
static bool tale_tension(struct tale *t, const struct tale_statement *s)
{
    struct scope scope = { .params = { { "A", NVL_SORT_CHAR, false } }, .count = 1 };
    struct lex lex;
    char part[32];
    int32_t weight;
    uint32_t code;
    lex_open(&lex, t, s->file, &s->head);
    if (!lex_word(&lex, part, sizeof(part), "the part") ||
        !lex_int(&lex, &weight, 0, 100, "the weight"))
        return false;
    bool mean = lex_take(&lex, "mean");
    if ((!mean && !lex_want(&lex, "max")) ||
        !expr_compile(&lex, &scope, NVL_SORT_NONE, &code, NULL) || !lex_done(&lex))
        return false;
    struct buf *b = &t->sec[SEC_TENS];
    put32(b, code), put8(b, (unsigned) weight), put8(b, mean), put8(b, t->counts[SEC_TENS]),
        put8(b, 0);
    t->counts[SEC_TENS]++;
    return true;
}

bool tale_story(struct tale *t, const struct tale_statement *s)
{
    static const struct {
        const char *keyword;
        bool (*run)(struct tale *, const struct tale_statement *);
    } kinds[] = {
        { "goal", tale_goal },       { "frame", tale_frame },   { "fact", tale_fact },
        { "truth", tale_truth },     { "clue", tale_clue },     { "ending", tale_ending },
        { "genre", tale_genre },     { "lexicon", tale_words }, { "skill", tale_words },
        { "tag", tale_words },       { "ranks", tale_words },   { "hint", tale_words },
        { "tension", tale_tension },
    };
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strcmp(kinds[i].keyword, s->keyword) == 0)
            return kinds[i].run(t, s);
    return true;
}
