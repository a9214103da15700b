/* style.c — what a style changes beside its own lines: the log of tactical, the reflections of
 * philosophical, literary, noir and fable, the irony of a narrator who knows all. */
#include <stdio.h>
#include <string.h>
#include "server/narrator/teller.h"

bool style_is_log(const struct teller *t)
{
    return t->style == NVL_STYLE_TACTICAL;
}
const char *style_clock(struct teller *t, const struct nvl_event *e)
{
    const char *s = arena_printf(&t->scratch, "%02u:%02u", e->minute / 60 % 100, e->minute % 60);
    t->nomem |= s == NULL;
    return s != NULL ? s : "";
}

/* --- the log
 * ------------------------------------------------------------------------------------------------
 */

/* The first dialogue act of a frame text, "@warn(A,B)"; NULL when nobody speaks in it. */
static const char *act_of(const struct teller *t, const char *key, size_t *out_size)
{
    size_t first, end = prose_index_find(&t->index, PROSE_SAY, key, strlen(key), &first);
    for (size_t i = first; i < end; i++)
        for (uint32_t k = 0; k < t->index.rules[i].statement->lines_count; k++) {
            const char *text = t->index.rules[i].statement->lines[k].text;
            const char *at = strchr(text, '@'), *close = at != NULL ? strchr(at, ')') : NULL;
            if (close == NULL || strncmp(strchr(at, '('), "(A", 2) != 0)
                continue;
            *out_size = (size_t) (close + 1 - at);
            return at;
        }
    return NULL;
}
/* An event as an entry of a log: what is said in the words of who says it, the rest by its plain
 * line, which is in the present tense. */
bool style_log_event(struct teller *t, const struct env *env, const struct nvl_event *e,
                     const struct nvl_op_info *info, struct draft *d)
{
    unsigned outcome = e->outcome == NVL_NO_OUTCOME ? NVL_DONE : e->outcome;
    char key[PROSE_KEY_MAX + 16], text[PROSE_LINE_MAX];
    snprintf(key, sizeof(key), "%.*s.%s", PROSE_KEY_MAX, info->name, nvl_outcome_name(outcome));
    const char *stamp = style_clock(t, e);
    bool timed = t->log_minute == UINT32_MAX || e->minute > t->log_minute;
    size_t n = 0;
    const char *act = e->actor < t->people ? act_of(t, key, &n) : NULL;
    bool speaks = act != NULL && (mix64(t->seed ^ e->sequence * 77u) >> 20 & 3) != 0;
    draft_begin(t, d);
    if (timed)
        draft_puts(d, stamp, strlen(stamp), false), draft_puts(d, ". ", 2, false);
    if (speaks) {
        bool me = e->actor == (uint8_t) t->narrator;
        snprintf(text, sizeof(text), "%s: %.*s", me ? "Me" : "{A.name}", (int) n, act);
        if (expand_text(t, env, d, text, strlen(text), e->sequence)) {
            t->log_minute = timed ? e->minute : t->log_minute;
            return true;
        }
        draft_begin(t, d);
        if (timed)
            draft_puts(d, stamp, strlen(stamp), false), draft_puts(d, ". ", 2, false);
    }
    if (outcome == NVL_CRITICAL && info->plain[outcome] == NULL)
        outcome = NVL_DONE;
    const char *plain = outcome <= NVL_FAIL ? info->plain[outcome] : NULL;
    d->names_only = d->plain = true;
    if (plain == NULL || !expand_text(t, env, d, plain, strlen(plain), e->sequence) ||
        (t->limited && !know_allows(t, d)))
        return false;
    if (t->narrator >= 0)
        person_log_agrees(t, d);
    t->log_minute = timed ? e->minute : t->log_minute;
    return true;
}

/* --- reflections
 * ---------------------------------------------------------------------------------------- */

/* How many of a hundred units a style dwells on. */
static unsigned muse_rate(const struct teller *t)
{
    static const unsigned rates[NVL_STYLES] = { 0, 0, 62, 34, 34, 26 };
    return rates[t->style];
}
bool style_muses(const struct teller *t, const struct nvl_event *e)
{
    return (mix64(t->seed ^ (e->sequence * UINT64_C(0x51ED27))) >> 16) % 100 < muse_rate(t);
}

/* The fable goes on by small words: "And the door was shut." */
void style_lead(struct teller *t, struct draft *d)
{
    static const char *const names[] = { "Now ", "So ", "Then ", "And so " }, *const others[] = {
        "And ", "So ", "And so ", "For "
    };
    static const char *const small[] = { "There ", "It ",     "They ",  "Nobody ",  "No ",
                                         "In ",    "At ",     "The ",   "He ",      "She ",
                                         "A ",     "Behind ", "Under ", "Somebody " };
    if (t->style != NVL_STYLE_FABLE || d->size < 12 || d->size + 8 >= DRAFT_BYTES ||
        d->text[0] == '"')
        return;
    uint64_t luck = mix64(t->seed ^ morph_hash(d->text, d->size));
    if (luck % 100 >= 34)
        return;
    bool lower = false, person_first = d->named_count > 0 && d->named[0].offset == 0 &&
                                       d->named[0].sort == NVL_SORT_CHAR;
    for (size_t i = 0; i < sizeof(small) / sizeof(small[0]) && !lower; i++)
        lower = strncmp(d->text, small[i], strlen(small[i])) == 0;
    if (!lower && !person_first)
        return;
    const char *lead = lower ? others[(luck >> 32) % 3] : names[(luck >> 32) % 4];
    size_t n = strlen(lead);
    memmove(d->text + n, d->text, d->size + 1);
    memcpy(d->text, lead, n);
    d->size += n;
    if (lower)
        d->text[n] = (char) (d->text[n] - 'A' + 'a');
    for (size_t i = 0; i < d->named_count; i++)
        d->named[i].offset = (uint16_t) (d->named[i].offset + n);
    for (size_t i = 0; i < d->quotes_count; i++)
        d->quotes[i].offset = (uint16_t) (d->quotes[i].offset + n);
}

/* --- what nobody in the story knows
 * --------------------------------------------------------------------- */

/* A truth that none of the cast believes before event count; -1: they know it all. */
int style_irony_fact(const struct teller *t, uint32_t count)
{
    int truth = nvl_pack_fluent_find(t->pack, "fact_true");
    for (size_t f = 0; truth >= 0 && f < nvl_world_count(t->world, NVL_SORT_FACT); f++) {
        const struct nvl_entity *e = nvl_world_entity(t->world, NVL_SORT_FACT, f);
        int cell = nvl_world_cell(t->world, (size_t) truth, (unsigned) f, 0);
        if (strcmp(e->kind, "secret") == 0 || cell < 0 || nvl_world_initial(t->world)[cell] == 0)
            continue;
        bool known = false;
        for (uint32_t i = 0; i < count && i < t->events_count && !known; i++)
            for (unsigned k = 0; k < t->events[i].beliefs_count; k++)
                known |= t->events[i].beliefs[k].fact == f &&
                         t->events[i].beliefs[k].character < t->cast &&
                         t->events[i].beliefs[k].after >= NVL_SUSPECTS;
        if (!known)
            return (int) f;
    }
    return -1;
}
