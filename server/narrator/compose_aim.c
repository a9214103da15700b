/* compose_aim.c — what somebody is after, before the first act that serves it: a reader who knows
 * what an act is for can follow it, hope and fear. */
#include "server/narrator/compose.h"

#include <string.h>

/* Only of the cast, only acts that were chosen for the goal, and each goal once in a story. */
static bool wants_aim(const struct teller *t, const struct nvl_event *e)
{
    return e->actor < t->cast && e->goal != NVL_NONE && e->terms[0] > 0 &&
           (e->type == NVL_ACTION || e->type == NVL_SPEECH) && e->phase != NVL_RESOLUTION &&
           !(t->aims_told[e->goal / 64] >> (e->goal % 64) & 1) && !style_is_log(t) && !t->terse &&
           t->perspective != NVL_JOURNAL;
}
/* A way is told with what it is for: "To find the boy, she took the stair." */
static bool leads(const struct teller *t, const struct nvl_event *e)
{
    struct nvl_op_info info;
    nvl_pack_op(t->pack, e->op, &info);
    return strcmp(info.family, "movement") == 0;
}
static void told(struct teller *t, const struct nvl_event *e)
{
    t->aims_told[e->goal / 64] |= UINT64_C(1) << e->goal % 64;
}
/* An act may serve a goal from afar: whoever the aim names must be one whom the act is done with,
 * and a place the one where it is done, or the reader waits for somebody who does not come. */
static bool aim_fits(const struct teller *t, const struct nvl_event *e, const struct draft *d)
{
    for (size_t i = 0; i < d->named_count; i++) {
        const struct named *n = &d->named[i];
        bool known = n->sort == NVL_SORT_CHAR && n->index == e->actor;
        known |= n->sort != NVL_SORT_CHAR && n->sort != NVL_SORT_PLACE;
        known |= n->sort == NVL_SORT_PLACE && n->index == e->place;
        struct nvl_op_info info;
        nvl_pack_op(t->pack, e->op, &info);
        for (unsigned k = 0; k < e->args_count && k < info.params_count; k++)
            known |= info.params[k].sort == n->sort && e->args[k] == n->index;
        if (!known)
            return false;
    }
    return true;
}
/* The goal as "aim" reads it, kept as text; NULL when the pack has no words for it. */
static const char *aim_phrase(struct teller *t, const struct nvl_event *e)
{
    struct env env;
    struct draft d;
    env_story(t, &env);
    env_event(t, e, &env);
    env_add(&env, "A", NVL_SORT_CHAR, e->actor);
    struct discourse before = t->discourse;
    bool ok = expand_chunk(t, &env, PROSE_AIM, nvl_goal_name(t->world, e->goal), &d);
    t->discourse = before;
    if (!ok || strchr(d.text, '"') != NULL || (!leads(t, e) && !aim_fits(t, e, &d)))
        return NULL;
    d.text[0] = morph_lower(d.text[0]);
    const char *s = arena_strndup(&t->scratch, d.text, d.size);
    t->nomem |= s == NULL;
    return s;
}
bool compose_aim(struct composing *c, const struct nvl_event *e, bool fresh)
{
    struct teller *t = c->t;
    if (!wants_aim(t, e) || leads(t, e))
        return false;
    const char *aim = aim_phrase(t, e);
    if (aim == NULL)
        return false;
    struct env env;
    env_story(t, &env);
    env_event(t, e, &env);
    env_add(&env, "A", NVL_SORT_CHAR, e->actor);
    env_text(&env, "AIM", aim);
    if (!compose_part(c, &env, PROSE_WANT, "any", fresh))
        return false;
    c->last_actor = e->actor;
    told(t, e);
    return true;
}
/* Where the first sentence ends; 0 when something is said in it. */
static size_t first_sentence(const struct draft *d)
{
    for (size_t i = 0; i < d->size; i++)
        if (d->text[i] == '"')
            return 0;
        else if (morph_breaks(d->text[i]))
            return i;
    return d->size;
}
/* It has a purpose of its own already, or would have two. */
static bool has_purpose(const struct draft *d, size_t first)
{
    static const char *const words[] = { " to see", " to be ", "ought to", "needed to", "wanted to",
                                         "because", "so that", "in order", "since", ": " };
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (memmem(d->text, first, words[i], strlen(words[i])) != NULL)
            return true;
    return false;
}
void compose_aim_lead(struct composing *c, const struct nvl_event *e, struct draft *d)
{
    struct teller *t = c->t;
    static const char *const small[] = { "He ", "She ", "They ", "The " };
    if (!wants_aim(t, e) || !leads(t, e) || d->named_count == 0 || d->named[0].offset != 0 ||
        d->named[0].sort != NVL_SORT_CHAR || d->named[0].index != e->actor ||
        t->narrator == (int16_t) e->actor ||
        (t->limited && t->focaliser != (int16_t) e->actor))
        return;
    size_t first = first_sentence(d);
    const char *aim = first == 0 || d->text[d->named[0].end] != ' ' /* "Alex's face", "Alex, who" */
                          ? NULL
                          : aim_phrase(t, e);
    size_t n = aim != NULL ? strlen(aim) + 5 : 0;
    if (aim == NULL || morph_words(d->text, first) > 20 || d->size + n + 1 >= DRAFT_BYTES ||
        has_purpose(d, first))
        return;
    memmove(d->text + n, d->text, d->size + 1);
    memcpy(d->text, "To ", 3);
    memcpy(d->text + 3, aim, n - 5);
    memcpy(d->text + n - 2, ", ", 2);
    for (size_t i = 0; i < sizeof(small) / sizeof(small[0]); i++)
        if (strncmp(d->text + n, small[i], strlen(small[i])) == 0)
            d->text[n] = morph_lower(d->text[n]);
    d->size += n;
    for (size_t i = 0; i < d->named_count; i++)
        d->named[i].offset = (uint16_t) (d->named[i].offset + n),
        d->named[i].end = (uint16_t) (d->named[i].end + n);
    for (size_t i = 0; i < d->quotes_count; i++)
        d->quotes[i].offset = (uint16_t) (d->quotes[i].offset + n);
    told(t, e);
}
