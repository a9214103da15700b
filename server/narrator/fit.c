/* fit.c — a story of the length asked for: units are chosen and composed, and the budget corrected by
 * what came out. */
#include "server/narrator/teller.h"
#include <string.h>

enum { LENGTH_TRIES = 6, CHARS_MAX = 5900, CHARS_TURNS = 10 };

static void begin_again(struct teller *t)
{
    memset(t->uses, 0, USES_MAX * sizeof(*t->uses));
    memset(t->use_counts, 0, USES_MAX);
    memset(t->grams, 0, GRAMS_MAX * sizeof(*t->grams));
    memset(t->last_openers, 0, sizeof(t->last_openers));
    memset(t->profile_used, 0, sizeof(t->profile_used));
    t->chunks_count = t->scenes_count = 0;
    t->words_told = t->rewritten = 0;
    t->place = t->focaliser = -1;
    t->applied = 0;
    t->log_minute = UINT32_MAX;
    t->quote_last = false;
    t->topic[0] = 0;
    t->quote_speaker = t->quote_listener = -1;
    for (size_t i = 0; i < PEOPLE_MAX; i++)
        t->at[i] = -1;
    t->day = NULL;
    t->quotes_told = t->chunks_told = 0;
    t->facts_told = 0;
    t->spoken.count = 0;
    memset(t->aims_told, 0, sizeof(t->aims_told));
    t->now = NULL;
    refer_reset(t);
}
static size_t chars_told(const struct teller *t)
{
    size_t n = 40;
    for (size_t i = 0; i < t->chunks_count; i++)
        n += t->chunks[i].size + 2;
    return n;
}
/* What came of a choice of units: the same units make the same story, so nothing is composed twice. */
struct attempt {
    bool *chosen; /* per unit */
    uint32_t words;
    size_t chars;
};
static bool same_units(const struct teller *t, const struct attempt *a)
{
    for (size_t i = 0; i < t->units_count; i++)
        if (t->units[i].chosen != a->chosen[i])
            return false;
    return true;
}
static bool compose_anew(struct teller *t)
{
    begin_again(t);
    return compose(t);
}
/* Composes the units chosen now, unless one of the attempts did; its index, or -1 without memory. */
static int attempt_now(struct teller *t, struct attempt *attempts, int *count, int *composed)
{
    for (int i = 0; i < *count; i++)
        if (same_units(t, &attempts[i]))
            return i;
    struct attempt *a = &attempts[*count];
    a->chosen = arena_get(&t->scratch, t->units_count + 1);
    if (a->chosen == NULL || !compose_anew(t))
        return -1;
    for (size_t i = 0; i < t->units_count; i++)
        a->chosen[i] = t->units[i].chosen;
    a->words = t->words_told;
    a->chars = chars_told(t);
    *composed = *count;
    return (*count)++;
}
bool fit_compose(struct teller *t)
{
    struct attempt attempts[LENGTH_TRIES];
    uint32_t budget = t->words * 7 / 10, low = t->words * 90 / 100, high = t->words * 110 / 100;
    bool capped = t->capped && t->turns <= CHARS_TURNS;
    int count = 0, composed = -1, now = -1;
    for (int i = 0; i < LENGTH_TRIES; i++) {
        plan_choose(t, budget);
        now = attempt_now(t, attempts, &count, &composed);
        if (now < 0)
            return false;
        bool long_chars = capped && attempts[now].chars > CHARS_MAX;
        bool over = attempts[now].words > high || long_chars;
        if (!over && attempts[now].words >= low)
            break;
        int32_t gap = (int32_t) t->words - (int32_t) attempts[now].words;
        if (long_chars) { /* five letters and a blank a word, and some to spare */
            int32_t excess = (int32_t) (attempts[now].chars - CHARS_MAX) / 5 + 40;
            gap = gap > -excess ? -excess : gap;
        }
        if (!over && i + 2 >= LENGTH_TRIES)
            break;
        int32_t next = (int32_t) budget + gap * 3 / 4;
        budget = next < 40 ? 40 : (uint32_t) next;
    }
    if (capped && attempts[now].chars > CHARS_MAX) { /* rather too short than too long */
        int best = now;
        for (int i = 0; i < count; i++)
            if (attempts[i].chars <= CHARS_MAX &&
                (attempts[best].chars > CHARS_MAX || attempts[i].words > attempts[best].words))
                best = i;
        for (size_t i = 0; i < t->units_count; i++)
            t->units[i].chosen = attempts[best].chosen[i];
        now = best;
    }
    return now == composed || compose_anew(t);
}
