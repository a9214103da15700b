/* refer.c — how somebody or something is called, here and now. */
#include "server/narrator/teller.h"
#include <string.h>

void refer_reset(struct teller *t)
{
    struct discourse *d = &t->discourse;
    memset(d, 0, sizeof(*d));
    d->subject = d->subject_before = d->latest = -1;
    d->plural_last = -100;
    for (size_t i = 0; i < PEOPLE_MAX; i++)
        d->people[i] = (struct person_state){ .last = -100, .last_noun = -100 };
    if (t->narrator >= 0)
        d->people[t->narrator].introduced = true;
}

void refer_sentence(struct draft *d)
{
    d->discourse.sentence++;
    d->discourse.subject_before = d->discourse.subject;
    d->discourse.subject = d->discourse.latest = -1;
}

static void note(struct draft *d, unsigned sort, unsigned index)
{
    if (d->named_count < DRAFT_NAMED)
        d->named[d->named_count++] =
            (struct named){ (uint16_t) d->size, (uint16_t) d->size, (uint8_t) sort,
                            (uint8_t) index };
}
static void note_end(struct draft *d)
{
    if (d->named_count > 0)
        d->named[d->named_count - 1].end = (uint16_t) d->size;
}

/* Somebody else whom the same pronoun could mean, in this sentence or the two before. */
static bool has_rival(const struct teller *t, const struct discourse *d, unsigned x)
{
    enum morph_gender g = t->gender[x];
    /* Named in this very sentence already: then only its others compete. */
    int32_t window = d->people[x].last == d->sentence ? 0 : 2;
    for (size_t i = 0; i < t->people; i++)
        if (i != x && t->narrator != (int16_t) i && t->gender[i] == g &&
            d->people[i].last >= d->sentence - window)
            return true;
    return false;
}
static bool others_in_sentence(const struct teller *t, const struct discourse *d, unsigned x)
{
    for (size_t i = 0; i < t->people; i++)
        if (i != x && t->narrator != (int16_t) i && d->people[i].last == d->sentence)
            return true;
    return d->plural_last == d->sentence;
}
static bool pronoun_fits(const struct teller *t, const struct draft *dr, unsigned x,
                         enum morph_case form)
{
    const struct discourse *d = &dr->discourse;
    const struct person_state *p = &d->people[x];
    enum morph_gender g = t->gender[x];
    if ((!p->introduced && x < t->cast) || p->last < d->sentence - 1)
        return false;
    if (form == MORPH_REFLEXIVE)
        return true;
    /* "Jordan leaned back and shut their eyes": whose name came last owns what follows. */
    if (form == MORPH_POSSESSIVE && d->latest == (int16_t) x && p->last == d->sentence)
        return true;
    if (g == MORPH_THEY ||
        g == MORPH_IT) /* these read as a group or a thing: only close by, never as subject */
        return form != MORPH_SUBJECT && p->last == d->sentence && !others_in_sentence(t, d, x) &&
               (g == MORPH_THEY ? d->plural_last < d->sentence : form == MORPH_POSSESSIVE);
    if (has_rival(t, d, x))
        return false;
    /* Across a paragraph only somebody who was its last subject. */
    if (p->last < d->paragraph_start && d->subject_before != (int16_t) x)
        return false;
    return p->run < 4 || p->last == d->sentence;
}

static const char *surname(const char *name)
{
    const char *last = strrchr(name, ' ');
    return last != NULL ? last + 1 : name;
}
/* A rank that can stand as an address: one capitalised word. */
static bool rank_calls(const struct nvl_entity *e)
{
    return e->detail[0] >= 'A' && e->detail[0] <= 'Z' && strchr(e->detail, ' ') == NULL &&
           strlen(e->detail) < 16;
}
static void put_call(struct draft *d, const struct nvl_entity *e, const char *brief)
{
    if (!e->proper) /* "the harbour master" is spoken to without the article */
        draft_puts(d, e->name, strlen(e->name), true);
    else if (strcmp(d->address, "rank") == 0 && rank_calls(e))
        draft_puts(d, e->detail, strlen(e->detail), true);
    else if (strcmp(d->address, "surname") == 0)
        draft_puts(d, surname(e->name), strlen(surname(e->name)), true);
    else
        draft_puts(d, brief, strlen(brief), true);
}

static void put_noun(struct draft *d, const char *noun, bool poss)
{
    draft_puts(d, noun, strlen(noun), true);
    if (poss)
        draft_puts(d, "'s", 2, false);
}
static const char *first_person(enum morph_case form)
{
    static const char *const words[] = { "I", "me", "my", "myself" };
    return words[form];
}
static const char *second_person(enum morph_case form)
{
    static const char *const words[] = { "you", "you", "your", "yourself" };
    return words[form];
}
static void put_said(struct teller *t, struct draft *d, unsigned x, enum morph_case form)
{
    const char *word = d->speaker == (int16_t) x    ? first_person(form)
                       : d->listener == (int16_t) x ? second_person(form)
                                                    : NULL;
    if (word != NULL)
        draft_puts(d, word, strlen(word), true);
    else
        put_noun(d, t->brief[x], form == MORPH_POSSESSIVE);
}
/* Roles come from cards: only what reads as a plain phrase is said. */
static bool role_fits(const char *s)
{
    size_t n = strlen(s);
    if (n < 3 || n > 48)
        return false;
    for (; *s != 0; s++)
        if (!((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || *s == ' ' || *s == '-'))
            return false;
    return true;
}
/* Full name, and who that is when a comma can follow. */
static void put_introduction(struct draft *d, const struct nvl_entity *e, enum morph_case form,
                             bool with_role)
{
    put_noun(d, e->name, form == MORPH_POSSESSIVE);
    if (!with_role || form != MORPH_SUBJECT || !role_fits(e->kind))
        return;
    draft_puts(d, ", the ", 6, false);
    draft_puts(d, e->kind, strlen(e->kind), false);
    d->comma_due = true;
}

/* "…" said Alex: behind the verb a pronoun sounds old. */
static bool after_said(const struct draft *d)
{
    size_t n = d->size;
    if (n < 4 || d->text[n - 1] != ' ')
        return false;
    for (n--; n > 0 && d->text[n - 1] >= 'a' && d->text[n - 1] <= 'z';)
        n--;
    return n > 1 && n + 1 < d->size && d->text[n - 1] == ' ' && d->text[n - 2] == '"';
}

/* "about {A}", "it took {A} an hour": behind such a word stands an object, whatever form the
 * writer asked for. */
static bool after_governor(const struct draft *d)
{
    static const char *const words[] = {
        "with",    "to",      "at",     "in",     "of",     "about",     "from",   "behind",
        "beside",  "upon",    "into",   "near",   "past",      "across", "between",
        "toward",  "towards", "under",  "on",     "for",       "by",     "against",
        "took",    "asked",   "begged", "told",   "gave",   "saw",       "seen",   "let",
        "brought", "pressed", "caught", "blamed", "struck",    "watch",  "blame",
        "bring",   "made",    "make",   "carry",  "carried",   "pull",   "pulled",
        "dragged", "lead",    "led",    "hold",   "held",      "wake",   "woke",
        "kept",    "showed",  "show",   "pushed", "lifted",    "joined", "freed",
        "spared",  "bound",   "fed",    "washed", "nursed",    "cost",   "surprised",
        "pleased", "frightened", "met",   "without",
        "begged",  "urged",   "warned", "helped", "reminded",  "sent",   "taught",
        "praised", "thanked", "tried",  "heard",  "following", "found",
    };
    size_t end = d->size > 0 && d->text[d->size - 1] == ' ' ? d->size - 1 : 0, from = end;
    while (from > 0 && d->text[from - 1] >= 'a' && d->text[from - 1] <= 'z')
        from--;
    from -= from > 0 && d->text[from - 1] >= 'A' && d->text[from - 1] <= 'Z'; /* "To her it was" */
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strlen(words[i]) == end - from && morph_lower(d->text[from]) == words[i][0] &&
            memcmp(d->text + from + 1, words[i] + 1, end - from - 1) == 0)
            return true;
    return false;
}
static void put_me(struct draft *d, unsigned x, enum morph_case form)
{
    struct person_state *p = &d->discourse.people[x];
    person_put_me(d, form);
    p->introduced = true, p->run = 0;
    p->last = p->last_noun = d->discourse.sentence;
    if (form == MORPH_SUBJECT && d->discourse.subject < 0)
        d->discourse.subject = (int16_t) x;
}
static void put_person(struct teller *t, struct draft *d, unsigned x, enum morph_case form,
                       const char *how)
{
    struct person_state *p = &d->discourse.people[x];
    const struct nvl_entity *e = person(t, x);
    bool is_cast = x < t->cast, stranger = false, by_role = false;
    bool object = after_governor(d) || (d->plain && !d->names_only && person_governed(d));
    if (form == MORPH_SUBJECT && object)
        form = MORPH_OBJECT;
    if (d->names_only && form != MORPH_POSSESSIVE && form != MORPH_REFLEXIVE)
        how = "name";
    bool close = strcmp(how, "pron") ==
                 0; /* the writer sees that nobody else can be meant in this sentence */
    if (close)
        how = "";
    bool alone =
        close && p->last == d->discourse.sentence && !others_in_sentence(t, &d->discourse, x);
    if (how[0] == 0 && !after_said(d) && (alone || pronoun_fits(t, d, x, form))) {
        const char *word = morph_pronoun(t->gender[x], form, false);
        draft_puts(d, word, strlen(word), true);
        p->run++;
    } else {
        bool again = p->last_noun >= d->discourse.sentence - 1 && p->last_noun > -100;
        bool role =
            strcmp(how, "role") == 0 || (how[0] == 0 && again && p->introduced && !p->by_role);
        bool named = strcmp(how, "full") == 0;
        if (!e->proper && !is_cast) {
            put_noun(d, t->brief[x], form == MORPH_POSSESSIVE);
        } else if (!is_cast && !p->introduced && !named) {
            put_noun(d, "the stranger", form == MORPH_POSSESSIVE); /* nobody has said who that is */
            stranger = true;
        } else if (strcmp(how, "full") == 0 || (!p->introduced && strcmp(how, "name") != 0))
            put_introduction(d, e, form, !p->introduced && is_cast && d->size < DRAFT_BYTES / 2);
        else if (role && t->epithet[x] != NULL) {
            put_noun(d, t->epithet[x], form == MORPH_POSSESSIVE);
            by_role = true;
        } else
            put_noun(d, t->brief[x], form == MORPH_POSSESSIVE);
        p->introduced |= !stranger;
        p->by_role = by_role;
        p->run = 0;
        p->last_noun = d->discourse.sentence;
    }
    p->last = d->discourse.sentence;
    d->discourse.latest = (int16_t) x;
    if (form == MORPH_SUBJECT && d->discourse.subject < 0)
        d->discourse.subject = (int16_t) x;
}

/* "I and" gave way to a name: "Jordan and I". */
static void put_owed(const struct teller *t, struct draft *d)
{
    static const char *const owed[] = { "", " and I", " and me" };
    const char *s = owed[d->me_owed];
    if (d->me_owed == 0)
        return;
    d->me_owed = 0;
    draft_puts(d, s, 5, false);
    note(d, NVL_SORT_CHAR, (unsigned) t->narrator);
    draft_puts(d, s + 5, strlen(s) - 5, false);
    note_end(d);
}
static bool refer_person(struct teller *t, struct draft *d, unsigned x, const char *form)
{
    static const struct {
        const char *form;
        enum morph_case how;
        const char *noun;
    } forms[] = {
        { "", MORPH_SUBJECT, "" },         { "obj", MORPH_OBJECT, "" },
        { "poss", MORPH_POSSESSIVE, "" },  { "refl", MORPH_REFLEXIVE, "" },
        { "name", MORPH_SUBJECT, "name" }, { "full", MORPH_SUBJECT, "full" },
        { "role", MORPH_SUBJECT, "role" }, { "pron", MORPH_SUBJECT, "pron" },
        { "self", MORPH_REFLEXIVE, "" },   { "name's", MORPH_POSSESSIVE, "name" },
    };
    const struct nvl_entity *e = person(t, x);
    if (strcmp(form, "call") == 0) {
        put_call(d, e, t->brief[x]);
        if (d->speaker == (int16_t) x) /* gives a name */
            d->discourse.people[x].introduced = true;
        return true;
    }
    if (strcmp(form, "was") == 0) {
        const char *was = person_is_me(t, d, x) ? "was"
                                                : morph_was(t->gender[x], false,
                                                            d->discourse.people[x].run > 0);
        draft_puts(d, was, strlen(was), false);
        return true;
    }
    if (strcmp(form, "kind") == 0) {
        const char *kind = role_fits(e->kind) ? e->kind : "stranger";
        draft_puts(d, kind, strlen(kind), true);
        return true;
    }
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
        if (strcmp(forms[i].form, form) == 0) {
            if (!person_is_me(t, d, x) && person_yields(t, d))
                person_put_behind(t, d);
            note(d, NVL_SORT_CHAR, x);
            if (person_is_me(t, d, x))
                put_me(d, x, forms[i].how);
            else if (t->narrator == (int16_t) x && !d->in_quote)
                put_noun(d, t->brief[x], forms[i].how == MORPH_POSSESSIVE); /* others say the name */
            else if (d->in_quote)
                put_said(t, d, x, forms[i].how);
            else
                put_person(t, d, x, forms[i].how, forms[i].noun);
            note_end(d);
            put_owed(t, d);
            return true;
        }
    return false;
}

/* Cards and requests name things: what holds marks of its own is not told. */
static bool name_fits(const char *s)
{
    return s[0] != 0 && strlen(s) < 80 && strpbrk(s, "\"<>{}[]()|@\\;:!?%") == NULL;
}
static void put_thing(struct draft *d, const struct nvl_entity *e, const char *form, bool brief)
{
    const char *noun = brief && e->brief[0] != 0 && !e->from_user ? e->brief : e->name;
    bool bare = strcmp(form, "bare") == 0 || strcmp(form, "poss_bare") == 0;
    if (strcmp(form, "a") == 0 && !e->proper && !e->plural) {
        const char *article = morph_article(e->name);
        noun = e->name;
        draft_puts(d, article, strlen(article), true);
        draft_puts(d, " ", 1, false);
    } else if (!e->proper && !bare && !(strcmp(form, "a") == 0 && e->plural)) {
        draft_puts(d, "the ", 4, true);
    }
    draft_puts(d, noun, strlen(noun), true);
    if (strcmp(form, "poss") == 0)
        draft_puts(d, e->plural ? "'" : "'s", e->plural ? 1 : 2, false);
}
/* A secret as its owner tells it: "I turned back", from the card's "He turned back". */
static bool put_own(struct teller *t, struct draft *d, const struct nvl_entity *e, unsigned index)
{
    if (e->owner < 0 || (size_t) e->owner >= t->cast || strlen(e->detail) > 220 ||
        strpbrk(e->detail, "\"<>{}[]()|@\\") != NULL)
        return false;
    struct buf b = { 0 };
    size_t n = strlen(e->detail);
    morph_first_person(&b, e->detail, t->gender[e->owner]);
    note(d, NVL_SORT_FACT, index);
    bool ok = !b.failed && n > 0;
    t->nomem |= b.failed;
    if (ok)
        draft_puts(d, buf_text(&b), b.size, true);
    if (ok && strchr(".!?", e->detail[n - 1]) == NULL)
        draft_puts(d, ".", 1, false);
    buf_done(&b);
    return ok;
}
/* A fact's clause where it is told, not said: "it is over" was over by then. */
static void put_past(const struct teller *t, struct draft *d, const char *clause)
{
    static const char *const shift[][2] = {
        { "is", "was" },         { "are", "were" },        { "has", "had" },
        { "will", "would" },     { "won't", "wouldn't" },  { "can", "could" },
        { "does", "did" },       { "can't", "couldn't" },  { "isn't", "wasn't" },
        { "aren't", "weren't" }, { "hasn't", "hadn't" },   { "knows", "knew" },
        { "stands", "stood" },   { "carries", "carried" }, { "comes", "came" },
        { "keeps", "kept" },     { "goes", "went" },       { "needs", "needed" },
        { "wants", "wanted" },
    };
    const char *from = clause;
    while (*clause != 0) {
        size_t n = strcspn(clause, " ,");
        const char *word = NULL;
        for (size_t i = 0; i < sizeof(shift) / sizeof(shift[0]); i++)
            if (strlen(shift[i][0]) == n && memcmp(shift[i][0], clause, n) == 0)
                word = shift[i][1];
        if (word == NULL && n > 0 &&
            person_word(t, d, clause, clause + strlen(clause), &word) != n)
            word = NULL;
        if (word == NULL && n > 0)
            word = person_named(t, d, clause, n, clause == from);
        draft_puts(d, word != NULL ? word : clause, word != NULL ? strlen(word) : n, true);
        clause += n;
        n = strspn(clause, " ,");
        draft_puts(d, clause, n, false);
        clause += n;
    }
}
/* A trace may name the one who tells of it: "a list in Jordan's hand". */
static void put_trace(const struct teller *t, struct draft *d, const char *detail)
{
    for (const char *p = detail; *p != 0;) {
        size_t n = strcspn(p, " ,;:.");
        const char *word = n > 0 ? person_named(t, d, p, n, p == detail) : NULL;
        if (word == NULL && n > 0 && person_word(t, d, p, p + n, &word) != n)
            word = NULL;
        draft_puts(d, word != NULL ? word : p, word != NULL ? strlen(word) : n, true);
        p += n;
        n = strspn(p, " ,;:.");
        draft_puts(d, p, n, false);
        p += n;
    }
}
/* "At the common room" is in it, "in the gate" at it: whatever the writer put, unless the name is a
 * proper one or the word belongs to what stands before ("looked at the roof"). */
void refer_suit(struct draft *d, const char *noun)
{
    static const char *const verbs[] = { "look", "looked", "looking", "stared", "nodded", "pointed",
                                         "glanced", "shouted", "smiled", "believed", "arrive",
                                         "arrived", "depended", "agreed", "aimed" };
    size_t n = d->size;
    if (n < 3 || d->text[n - 1] != ' ' || (n > 3 && d->text[n - 4] != ' ' &&
                                                         d->text[n - 4] != '\n' &&
                                                         d->text[n - 4] != '"'))
        return;
    char *word = d->text + n - 3, first = morph_lower(word[0]);
    bool place = (first == 'a' && word[1] == 't') || (first == 'i' && word[1] == 'n') ||
                 (first == 'o' && word[1] == 'n');
    size_t end = n > 4 ? n - 4 : 0, from = end;
    while (from > 0 && morph_in_word(d->text[from - 1]))
        from--;
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
        place &= strlen(verbs[i]) != end - from || memcmp(verbs[i], d->text + from, end - from) != 0;
    const char *fits = morph_place(noun);
    if (!place || (end - from == 2 && memcmp(d->text + from, fits, 2) == 0)) /* "looked in at" */
        return;
    word[0] = word[0] == first ? fits[0] : (char) (fits[0] - 'a' + 'A');
    word[1] = fits[1];
}
static bool refer_thing(struct teller *t, struct draft *d, unsigned sort, unsigned index,
                        const char *form)
{
    const struct nvl_entity *e = nvl_world_entity(t->world, (enum nvl_sort) sort, index);
    if (e == NULL || index >= THINGS_MAX ||
        (sort != NVL_SORT_FACT && sort != NVL_SORT_CLUE && !name_fits(e->name)))
        return false;
    const char *word = NULL;
    if (sort == NVL_SORT_PLACE && form[0] == 0 && !e->proper)
        refer_suit(d, e->name);
    if (strcmp(form, "it") == 0 || strcmp(form, "its") == 0)
        word =
            morph_pronoun(MORPH_IT, form[2] == 's' ? MORPH_POSSESSIVE : MORPH_SUBJECT, e->plural);
    else if (strcmp(form, "them") == 0)
        word = morph_pronoun(MORPH_IT, MORPH_OBJECT, e->plural);
    else if (strcmp(form, "was") == 0)
        word = morph_was(MORPH_IT, e->plural, false);
    else if (strcmp(form, "detail") == 0 || (sort == NVL_SORT_CLUE && form[0] == 0))
        word = e->detail;
    else if (strcmp(form, "own") == 0 && sort == NVL_SORT_FACT)
        return put_own(t, d, e, index);
    else if (sort == NVL_SORT_FACT) /* a secret is a sentence of its own, not a clause */
        word = strcmp(e->kind, "secret") == 0 ? "" : e->detail;
    note(d, sort, index);
    if (word != NULL) {
        if (word[0] == 0)
            return false;
        if (sort == NVL_SORT_FACT && e->owner >= 0 && e->owner == t->narrator && !d->open_quote)
            return put_own(t, d, e, index);
        if (sort == NVL_SORT_FACT && word == e->detail && !d->in_quote)
            put_past(t, d, word);
        else if (word == e->detail && t->narrator >= 0)
            put_trace(t, d, word);
        else
            draft_puts(d, word, strlen(word), true);
        return true;
    }
    /* "the room" could be any; doors and tools are clear from what is done with them */
    bool seen = (d->discourse.things_seen[sort] >> index & 1) != 0;
    put_thing(d, e, form, seen && sort != NVL_SORT_PLACE && sort != NVL_SORT_MOTIF);
    note_end(d);
    d->discourse.things_seen[sort] |= UINT64_C(1) << index;
    if (e->plural)
        d->discourse.plural_last = d->discourse.sentence;
    return true;
}

bool refer_form_known(unsigned sort, const char *form)
{
    static const char *const people[] = { "",       "obj",  "poss", "refl", "name", "full", "role",
                                          "name's", "call", "was",  "kind", "pron", "self", NULL };
    static const char *const things[] = { "",    "a",    "bare",   "it",  "its", "them",
                                          "was", "poss", "detail", "own", NULL };
    static const char *const texts[] = { "", NULL };
    const char *const *known = sort == NVL_SORT_CHAR   ? people
                               : sort == NVL_SORT_NONE ? texts
                                                       : things;
    for (; *known != NULL; known++)
        if (strcmp(*known, form) == 0)
            return true;
    return false;
}

bool refer_put(struct teller *t, struct draft *d, unsigned sort, unsigned index, const char *form)
{
    if (sort == NVL_SORT_CHAR)
        return index < t->people && refer_person(t, d, index, form);
    return refer_thing(t, d, sort, index, form);
}
