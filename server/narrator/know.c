/* know.c — what the focaliser of a limited telling can know.  The plan leaves out events that the
 * focaliser did not witness; here is what is left: other people's minds, the ending, what was
 * learned. */
#include <string.h>
#include "server/narrator/teller.h"

/* --- other people's minds
 * --------------------------------------------------------------------------- */

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '\'';
}
static bool one_of(const char *const *list, const char *word, size_t n)
{
    for (; *list != NULL; list++)
        if (strlen(*list) == n && memcmp(*list, word, n) == 0)
            return true;
    return false;
}
/* What can be seen of nobody but oneself. */
static bool of_the_mind(const char *w, size_t n, const char *next, const char *before,
                        size_t before_size)
{
    static const char *const verbs[] = {
        "thought",    "knew",      "felt",      "wished",   "hoped",    "feared",   "wanted",
        "remembered", "believed",  "realised",  "realized", "wondered", "dreaded",  "regretted",
        "longed",     "distrusted", "suspected", "imagined", "decided",  "intended", "expected",
        "envied",     "hated",     "loved",     "recalled", "guessed",  "understood", "forgot",
        "minded",     "aware",     "preferred", "noticed",   "trusted",  "meant",    "doubted",  NULL
    };
    static const char *const nouns[] = { "a", "the", "of", "no", "that", "without", "this", NULL };
    static const char *const touch[] = { "for ",   "along ", "about ", "under ", "round ",
                                         "over ",  "in ",    "at ",    "his ",   "her " };
    if (!one_of(verbs, w, n) || one_of(nouns, before, before_size))
        return false;
    if (strncmp(w, "felt", n) == 0)
        for (size_t i = 0; i < sizeof(touch) / sizeof(touch[0]); i++)
            if (strncmp(next, touch[i], strlen(touch[i])) == 0)
                return false;
    if (strncmp(w, "wanted", n) == 0 && strncmp(next, "to know", 7) == 0)
        return false; /* a way of asking */
    return strncmp(w, "meant", n) != 0 || strncmp(next, "to ", 3) == 0;
}
/* text[from..to): what is told of somebody between one mention and the next, or the stop. */
static bool opens_mind(const char *text, size_t from, size_t to)
{
    const char *before = text + from;
    size_t before_size = 0;
    for (size_t i = from; i < to;) {
        size_t n = 0;
        while (i + n < to && is_letter(text[i + n]))
            n++;
        if (n == 0) {
            if (morph_breaks(text[i]) || text[i] == '"' || text[i] == ':' || text[i] == ';')
                return false;
            i++;
            continue;
        }
        if (of_the_mind(text + i, n, text + i + n + (text[i + n] == ' '), before, before_size))
            return true;
        before = text + i, before_size = n;
        i += n;
    }
    return false;
}
static bool inside_quote(const struct draft *d, size_t at)
{
    bool inside = false;
    for (size_t i = 0; i < at && i < d->size; i++)
        inside ^= d->text[i] == '"';
    return inside;
}
/* Does the focaliser hold the fact for likely, once event e has happened? */
static bool believes(const struct teller *t, unsigned fact, const struct nvl_event *e)
{
    int knows = nvl_pack_fluent_find(t->pack, "knows");
    int cell = knows < 0 ? -1
                         : nvl_world_cell(t->world, (size_t) knows, (unsigned) t->only, fact);
    unsigned level = cell < 0 ? NVL_UNKNOWN : (unsigned) nvl_world_initial(t->world)[cell];
    for (const struct nvl_event *i = t->events; i <= e; i++)
        for (unsigned k = 0; k < i->beliefs_count; k++)
            if (i->beliefs[k].character == (uint8_t) t->only && i->beliefs[k].fact == fact)
                level = i->beliefs[k].after;
    return level != NVL_UNKNOWN;
}
/* A fact may be stated by who knows it; what was said, or done by the focaliser, is a claim. */
static bool facts_known(const struct teller *t, const struct draft *d)
{
    const struct nvl_event *e = t->now != NULL ? t->now : t->events;
    if (e->type == NVL_SPEECH || e->type == NVL_REACTION || e->actor == (uint8_t) t->only)
        return true;
    for (size_t i = 0; i < d->named_count; i++)
        if (d->named[i].sort == NVL_SORT_FACT && !inside_quote(d, d->named[i].offset) &&
            !believes(t, d->named[i].index, e))
            return false;
    return true;
}
bool know_allows(const struct teller *t, const struct draft *d)
{
    if (!facts_known(t, d))
        return false;
    for (size_t i = 0; i < d->named_count; i++) {
        const struct named *m = &d->named[i];
        if (m->sort != NVL_SORT_CHAR || (int16_t) m->index == t->only || inside_quote(d, m->offset))
            continue;
        size_t to = d->size;
        for (size_t k = 0; k < d->named_count; k++)
            if (d->named[k].sort == NVL_SORT_CHAR && d->named[k].offset > m->offset &&
                d->named[k].offset < to)
                to = d->named[k].offset;
        if (opens_mind(d->text, m->end, to))
            return false;
        /* "…, thought Jordan" */
        static const char *const behind[] = { "thought ", "knew ", "wondered " };
        for (size_t k = 0; k < sizeof(behind) / sizeof(behind[0]); k++) {
            size_t n = strlen(behind[k]);
            if (m->offset > n && memcmp(d->text + m->offset - n, behind[k], n) == 0)
                return false;
        }
    }
    return true;
}

/* --- who is there
 * ----------------------------------------------------------------------------------- */

bool know_alone(const struct teller *t)
{
    if (t->only < 0 || t->at[t->only] < 0)
        return false;
    for (size_t i = 0; i < t->cast; i++)
        if ((int16_t) i != t->only && t->at[i] == t->at[t->only])
            return false;
    return true;
}

/* --- how it ended
 * ----------------------------------------------------------------------------------- */

static bool saw(const struct nvl_event *e, int16_t who)
{
    return who >= 0 && (e->actor == (uint8_t) who || (e->witnesses >> who & 1) != 0);
}
/* The event that settled the story; NULL: nothing did, and it ended by going on. */
static const struct nvl_event *settling(const struct teller *t)
{
    int fluent = nvl_pack_fluent_find(t->pack, "settled");
    int cell = fluent < 0 ? -1 : nvl_world_cell(t->world, (size_t) fluent, 0, 0);
    for (size_t i = 0; cell >= 0 && i < t->events_count; i++)
        for (unsigned k = 0; k < t->events[i].deltas_count && k < NVL_DELTAS_MAX; k++)
            if (t->events[i].deltas[k].cell == cell && t->events[i].deltas[k].after > 0)
                return &t->events[i];
    return NULL;
}
bool know_settled(const struct teller *t, uint32_t sequence)
{
    const struct nvl_event *end = settling(t);
    return end == NULL || end->sequence < sequence;
}
enum know_end know_ending(const struct teller *t, uint32_t *out_event)
{
    const struct nvl_event *last = &t->events[t->events_count - 1], *end = settling(t);
    *out_event = last->sequence;
    if (!t->limited)
        return KNOW_SAW;
    if (end == NULL)
        return plan_awake_last(t, (unsigned) t->only) ? KNOW_SAW : KNOW_NOT;
    if (saw(end, t->only)) {
        return KNOW_SAW;
    }
    /* Afterwards, among somebody who saw it, one is told. */
    for (const struct nvl_event *e = end + 1; e <= last; e++)
        for (size_t c = 0; c < t->cast && saw(e, t->only); c++)
            if ((int16_t) c != t->only && saw(end, (int16_t) c) && saw(e, (int16_t) c)) {
                *out_event = e->sequence;
                return KNOW_LEARNED;
            }
    return KNOW_NOT;
}
/* Told or found out, not seen: and so it is said that it was learned. */
int know_learned(const struct teller *t, const struct nvl_event *e)
{
    int truth = nvl_pack_fluent_find(t->pack, "fact_true");
    for (unsigned k = 0; k < e->beliefs_count && truth >= 0; k++) {
        const struct nvl_belief *b = &e->beliefs[k];
        const struct nvl_entity *fact = nvl_world_entity(t->world, NVL_SORT_FACT, b->fact);
        int cell = nvl_world_cell(t->world, (size_t) truth, b->fact, 0);
        if (b->character == (uint8_t) t->only && b->after == NVL_BELIEVES &&
            b->before != NVL_BELIEVES && b->source != NVL_KNEW && fact != NULL && cell >= 0 &&
            nvl_world_initial(t->world)[cell] != 0 && strcmp(fact->kind, "secret") != 0)
            return b->fact;
    }
    return -1;
}
