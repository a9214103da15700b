/* compose_chunk.c — one chunk of a story: whether it begins a paragraph, what it names, and those
 * that are no event: who somebody is, the user's words. */
#include "server/narrator/compose.h"

#include <stdio.h>
#include <string.h>

enum { GROUND_WORDS = 6 };

/* --- chunks --- */

bool compose_keep(struct composing *c, struct draft *d, bool fresh, int16_t actor)
{
    struct teller *t = c->t;
    if (t->chunks_count == t->chunks_capacity)
        return false;
    struct chunk *k = &t->chunks[t->chunks_count];
    memset(k, 0, sizeof(*k));
    uint32_t *sequence = arena_copy(t->arena, &c->sequence, sizeof(c->sequence));
    k->text = arena_strndup(t->arena, d->text, d->size);
    k->named = arena_copy(&t->scratch, d->named, sizeof(d->named[0]) * (d->named_count + 1));
    if (sequence == NULL || k->text == NULL || k->named == NULL) {
        t->nomem = true;
        return false;
    }
    k->size = strlen(k->text), k->named_count = d->named_count;
    for (size_t i = 0; i < d->named_count; i++)
        if (d->named[i].sort == NVL_SORT_FACT && d->named[i].index < THINGS_MAX)
            t->facts_told |= UINT64_C(1) << d->named[i].index;
    k->events = sequence, k->events_count = 1;
    k->actor = actor;
    k->speaker = strchr(k->text, '"') != NULL ? actor : -1;
    k->fresh = fresh;
    t->chunks_count++;
    t->scenes[t->scenes_count - 1].chunks_count++;
    usage_commit(t, d);
    const char *last = strrchr(k->text, '\n');
    uint32_t words = (uint32_t) morph_words(last != NULL ? last : k->text,
                                            strlen(last != NULL ? last : k->text));
    c->paragraph_words = last != NULL || fresh ? words : c->paragraph_words + words;
    c->last_actor = actor;
    c->ends_quoted = k->size > 0 && k->text[k->size - 1] == '"';
    c->last_speaker = k->speaker >= 0 ? k->speaker : (fresh || last != NULL ? -1 : c->last_speaker);
    return true;
}
bool compose_begins_paragraph(const struct composing *c, bool speaks, int16_t actor)
{
    if (c->paragraph_words == 0 || c->paragraph_words > PARAGRAPH_WORDS)
        return true;
    if ((speaks || c->last_speaker >= 0) && actor != c->last_actor)
        return true;
    if (speaks && c->ends_quoted) /* two quotations side by side read as two people */
        return true;
    return actor != c->last_actor && c->paragraph_words > 46;
}
void compose_paragraph_here(struct composing *c, bool fresh)
{
    if (fresh)
        c->t->discourse.paragraph_start = c->t->discourse.sentence;
}
bool compose_part(struct composing *c, struct env *env, enum prose_kind kind, const char *key,
                     bool fresh)
{
    struct draft d;
    fresh = fresh || c->paragraph_words > PARAGRAPH_WORDS || c->last_speaker >= 0;
    struct discourse before = c->t->discourse;
    compose_paragraph_here(c, fresh);
    if (expand_chunk(c->t, env, kind, key, &d) && usage_repeats(c->t, &d) == 0)
        return compose_keep(c, &d, fresh, c->t->focaliser);
    c->t->discourse = before;
    return false;
}

/* --- what profiles say --- */

bool compose_intro(struct composing *c, int16_t who, bool fresh)
{
    struct teller *t = c->t;
    if (who < 0 || (size_t) who >= t->cast || t->profile_used[who] || t->terse)
        return true;
    struct env env;
    env_story(t, &env);
    env_add(&env, "A", NVL_SORT_CHAR, (unsigned) who);
    env_profile(t, who, &env);
    if (compose_part(c, &env, PROSE_INTRO, "any", fresh))
        t->profile_used[who] = 1;
    return !t->nomem;
}

/* --- the user's words --- */

static bool told_already(const struct teller *t, const char *word)
{
    char next[32];
    size_t n = strlen(word) > 31 ? 31 : strlen(word);
    char lower[32] = "";
    size_t at = 0;
    if (!morph_next_word(word, strlen(word), &at, lower))
        return true;
    n = strlen(lower);
    for (size_t i = 0; i < t->chunks_count; i++)
        for (at = 0; morph_next_word(t->chunks[i].text, t->chunks[i].size, &at, next);)
            if (strncmp(next, lower, n > 4 && lower[n - 1] == 'y' ? n - 1 : n) == 0 &&
                strlen(next) <= n + 3)
                return true;
    return false;
}
static bool head_told(const struct teller *t, const char *name)
{
    const char *last = strrchr(name, ' ');
    return told_already(t, last != NULL ? last + 1 : name);
}
struct word_list {
    const char *words[GROUND_WORDS];
    size_t count;
};
/* Somebody or something at the heart of the story comes in by itself. */
static bool comes_in(const struct teller *t, const char *noun)
{
    size_t n = strlen(noun);
    for (size_t i = t->cast; i < t->people; i++) {
        const struct nvl_entity *e = person(t, (unsigned) i);
        size_t k = strlen(e->name);
        if (e->from_user && !e->proper && k >= n && strcmp(e->name + k - n, noun) == 0)
            return true;
    }
    for (size_t i = 0; i < nvl_world_count(t->world, NVL_SORT_ITEM); i++) {
        const struct nvl_entity *e = nvl_world_entity(t->world, NVL_SORT_ITEM, (unsigned) i);
        if (e->from_user && strcmp(e->id, "prize") == 0 && strstr(e->name, noun) != NULL)
            return true;
    }
    return false;
}
static void list_add(const struct teller *t, struct word_list *l, const char *name)
{
    for (size_t i = 0; i < l->count; i++)
        if (strstr(l->words[i], name) != NULL)
            return;
    if (l->count < GROUND_WORDS && name[0] != 0 && strlen(name) < 60 &&
        strpbrk(name, "\"<>{}@\\|") == NULL && !head_told(t, name))
        l->words[l->count++] = name;
}
/* The user's setting and scenario where they can be said whole. */
void compose_phrases(struct composing *c)
{
    struct teller *t = c->t;
    enum nvl_setting_kind kind;
    static const char *const keys[] = { "site", "wide", "region" };
    const char *setting = nvl_world_setting(t->world, &kind), *said = nvl_world_saying(t->world);
    struct env env;
    env_story(t, &env);
    env_text(&env, "SETTING", setting);
    env_text(&env, "SAID", said);
    if (setting[0] != 0)
        compose_part(c, &env, PROSE_GROUND, keys[kind], false);
    if (said[0] != 0)
        compose_part(c, &env, PROSE_GROUND, "said", false);
}
/* Words of the user that the story has not used yet are brought in by the ground rules. */
void compose_ground(struct composing *c)
{
    struct teller *t = c->t;
    struct word_list l = { .count = 0 };
    static const enum nvl_sort sorts[] = { NVL_SORT_MOTIF, NVL_SORT_PLACE, NVL_SORT_ITEM };
    for (size_t s = 0; s < 3; s++)
        for (size_t i = 0; i < nvl_world_count(t->world, sorts[s]); i++) {
            const struct nvl_entity *e = nvl_world_entity(t->world, sorts[s], i);
            if (e->from_user && !(t->scenes_count < 2 && comes_in(t, e->name)))
                list_add(t, &l, e->name);
        }
    for (size_t i = 0; i < nvl_world_noun_count(t->world); i++) {
        bool placed;
        const char *noun = nvl_world_noun(t->world, i, &placed);
        if (!(t->scenes_count < 2 && comes_in(t, noun)))
            list_add(t, &l, noun);
    }
    if (l.count == 0)
        return;
    struct buf b = { 0 }, dots = { 0 };
    bool noise = strcmp(nvl_world_frame(t->world), "distress") == 0; /* words out of a call */
    for (size_t i = 0; i < l.count; i++) {
        bool bare = noise || (l.words[i][0] >= 'A' && l.words[i][0] <= 'Z');
        buf_printf(&b, "%s%s%s",
                   i == 0             ? ""
                   : i + 1 == l.count ? " and "
                                      : ", ",
                   bare ? "" : "the ", l.words[i]);
        buf_printf(&dots, "%s%s", i == 0 ? "" : ", then ", l.words[i]);
    }
    struct env env;
    env_story(t, &env);
    env_text(&env, "WORDS", buf_str(&b));
    env_text(&env, "BROKEN", buf_str(&dots));
    static const char *const keys[] = { "one", "two", "many" };
    compose_part(c, &env, PROSE_GROUND, keys[l.count < 3 ? l.count - 1 : 2], false);
    t->nomem |= b.failed || dots.failed;
    buf_done(&b);
    buf_done(&dots);
}
