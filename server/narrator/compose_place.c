/* compose_place.c — where it happens, where the reader would not know: an act elsewhere than the last
 * one told begins with its place, unless it names one itself. */
#include "server/narrator/compose.h"

#include <stdio.h>
#include <string.h>

/* What may follow "In the hall" with a small letter. */
static bool small_start(const char *text)
{
    static const char *const heads[] = { "He ",      "She ",      "They ",    "There ",  "It ",
                                         "The ",     "Somebody ", "Someone ", "Nobody ", "No one ",
                                         "Something ", "Nothing ", "Everybody ", "Everyone " };
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++)
        if (strncmp(text, heads[i], strlen(heads[i])) == 0)
            return true;
    return false;
}
static bool names_place(const struct draft *d)
{
    for (size_t i = 0; i < d->named_count; i++)
        if (d->named[i].sort == NVL_SORT_PLACE || d->named[i].sort == NVL_SORT_LINK)
            return true;
    return false;
}
/* Puts lead before the draft, the place's name being its bytes from..to. */
static void put_lead(struct draft *d, const char *lead, size_t from, size_t to, unsigned place)
{
    size_t n = strlen(lead);
    memmove(d->text + n, d->text, d->size + 1);
    memcpy(d->text, lead, n);
    d->size += n;
    memmove(d->named + 1, d->named, d->named_count * sizeof(d->named[0]));
    d->named_count++;
    for (size_t i = 1; i < d->named_count; i++)
        d->named[i].offset = (uint16_t) (d->named[i].offset + n),
        d->named[i].end = (uint16_t) (d->named[i].end + n);
    for (size_t i = 0; i < d->quotes_count; i++)
        d->quotes[i].offset = (uint16_t) (d->quotes[i].offset + n);
    d->named[0] = (struct named){ .offset = (uint16_t) from,
                                  .end = (uint16_t) to,
                                  .sort = NVL_SORT_PLACE,
                                  .index = (uint8_t) place };
}
void compose_place_lead(struct composing *c, const struct nvl_event *e, struct draft *d)
{
    struct teller *t = c->t;
    const struct nvl_entity *p =
        e->place == NVL_NONE ? NULL : nvl_world_entity(t->world, NVL_SORT_PLACE, e->place);
    bool person = d->named_count > 0 && d->named[0].offset == 0 &&
                  d->named[0].sort == NVL_SORT_CHAR && d->text[d->named[0].end] == ' ';
    bool small = small_start(d->text);
    if (person && strncmp(d->text + d->named[0].end, " had ", 5) == 0)
        return; /* looks back: it was not there that it happened */
    plan_follow(t, (uint32_t) (e - t->events) + 1);
    if (e->actor < PEOPLE_MAX && t->at[e->actor] >= 0 && t->at[e->actor] != (int16_t) e->place)
        return; /* leads away from there */
    char lead[128];
    if (p == NULL || c->place < 0 || c->place == (int16_t) e->place || names_place(d) ||
        style_is_log(t) || t->perspective == NVL_JOURNAL || (!person && !small) ||
        strpbrk(p->name, "\"<>{}@\\|") != NULL)
        return;
    const char *at = p->proper ? "at" : morph_place(p->name);
    int from = snprintf(lead, sizeof(lead), "%c%s ", at[0] - 'a' + 'A', at + 1);
    int n = snprintf(lead + from, sizeof(lead) - (size_t) from, "%s%s ", p->proper ? "" : "the ",
                     p->name);
    if (n < 0 || (size_t) (from + n) >= sizeof(lead) || d->named_count == DRAFT_NAMED ||
        d->size + (size_t) (from + n) + 1 >= DRAFT_BYTES)
        return;
    if (small)
        d->text[0] = morph_lower(d->text[0]);
    put_lead(d, lead, (size_t) from, (size_t) (from + n - 1), e->place);
}
void compose_place_told(struct composing *c, const struct nvl_event *e)
{
    struct teller *t = c->t;
    plan_follow(t, (uint32_t) (e - t->events) + 1); /* a walk ends where it leads to */
    if (e->actor < PEOPLE_MAX && t->at[e->actor] >= 0)
        c->place = t->at[e->actor];
    else if (e->place != NVL_NONE)
        c->place = (int16_t) e->place;
}
