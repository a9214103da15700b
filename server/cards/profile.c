#include "server/cards/profile.h"

#include <math.h>
#include <string.h>

#include "rpc/base/check.h"
#include "rpc/base/utf8.h"

enum { SHORT_BYTES = 120, LONG_BYTES = 400, LIST_MAX = 32 };

static const char *cut(struct arena *a, const char *s, size_t limit)
{
    size_t size = strlen(s);
    if (size > limit)
        size = utf8_valid_prefix(s, limit);
    return arena_strndup(a, s, size);
}

/* 0..1 or -1..1 as hundredths, half up; out of range is brought back into it. */
static int32_t hundredths(double value, int32_t min)
{
    double scaled = floor(value * 100.0 + 0.5);
    return scaled >= 100.0 ? 100 : scaled <= (double) min ? min : (int32_t) scaled;
}

static bool make_list(struct arena *a, size_t n, char **items, struct nvl_strings *out)
{
    n = n > LIST_MAX ? LIST_MAX : n;
    const char **copy = arena_zero(a, n + 1, sizeof *copy);
    if (copy == NULL)
        return false;
    for (size_t i = 0; i < n; i++)
        if ((copy[i] = cut(a, items[i], LONG_BYTES)) == NULL)
            return false;
    *out = (struct nvl_strings){ copy, n };
    return true;
}

static bool make_skills(struct arena *a, const NE(Character) * c, struct nvl_profile *out)
{
    size_t n = c->n_skills > LIST_MAX ? LIST_MAX : c->n_skills;
    struct nvl_skill *skills = arena_zero(a, n + 1, sizeof *skills);
    if (skills == NULL)
        return false;
    for (size_t i = 0; i < n; i++) {
        skills[i].name = cut(a, c->skills[i]->key, SHORT_BYTES);
        skills[i].value = hundredths(c->skills[i]->value, 0);
        if (skills[i].name == NULL)
            return false;
    }
    out->skills = skills;
    out->skills_count = n;
    return true;
}

static const char *id_of_name(const struct catalogue *k, const char *name)
{
    for (size_t i = 0; k != NULL && i < k->count; i++)
        if (strcmp(k->items[i]->message->name, name) == 0)
            return k->items[i]->message->character_id;
    return name;
}

/* Typed relations where there are any, else the plain numbers by name. */
static bool make_relations(struct arena *a, const NE(Character) * c, const struct catalogue *k,
                           struct nvl_profile *out)
{
    const NE(Persona) *p = c->persona;
    bool typed = p != NULL && p->n_relations > 0;
    size_t n = typed ? p->n_relations : c->n_relationships;
    n = n > LIST_MAX ? LIST_MAX : n;
    struct nvl_relation *relations = arena_zero(a, n + 1, sizeof *relations);
    if (relations == NULL)
        return false;
    for (size_t i = 0; i < n; i++) {
        struct nvl_relation *r = &relations[i];
        if (typed) {
            const NE(Persona__Relation) *q = p->relations[i];
            *r = (struct nvl_relation){ cut(a, q->character, SHORT_BYTES),
                                        q->trust,
                                        q->affection,
                                        q->respect,
                                        q->fear,
                                        q->debt };
        } else {
            r->other = cut(a, id_of_name(k, c->relationships[i]->key), SHORT_BYTES);
            r->trust = hundredths(c->relationships[i]->value, -100);
        }
        if (r->other == NULL)
            return false;
    }
    out->relations = relations;
    out->relations_count = n;
    return true;
}

static void make_scales(const NE(Persona) * p, struct nvl_profile *out)
{
    static const char *const drives[NVL_DRIVES] = { "safety", "belonging", "duty",     "curiosity",
                                                    "status", "care",      "autonomy", "gain" };
    for (size_t i = 0; i < NVL_TRAITS; i++)
        out->traits[i] = 50;
    for (size_t i = 0; i < NVL_DRIVES; i++)
        out->drives[i] = 50;
    if (p == NULL)
        return;
    if (p->temperament != NULL) {
        const NE(Persona__Temperament) *t = p->temperament;
        out->traits[NVL_OPENNESS] = t->openness;
        out->traits[NVL_CONSCIENTIOUSNESS] = t->conscientiousness;
        out->traits[NVL_EXTRAVERSION] = t->extraversion;
        out->traits[NVL_AGREEABLENESS] = t->agreeableness;
        out->traits[NVL_NEUROTICISM] = t->neuroticism;
        out->traits[NVL_HONESTY] = t->honesty;
    }
    for (size_t i = 0; i < p->n_drives; i++)
        for (size_t d = 0; d < NVL_DRIVES; d++)
            if (strcmp(p->drives[i]->key, drives[d]) == 0)
                out->drives[d] = p->drives[i]->value;
    out->age = p->age;
}

int profile_make(const NE(Character) * c, const struct catalogue *k, struct arena *a,
                 struct nvl_profile *out)
{
    static const NE(Persona) nobody = NOVELENGINE__V1__PERSONA__INIT;
    const NE(Persona) *p = c->persona != NULL ? c->persona : &nobody;
    struct nvl_profile made = { 0 };
    const struct {
        const char **to;
        const char *from;
    } strings[] = {
        { &made.id, c->character_id }, { &made.name, c->name }, { &made.pronouns, p->pronouns },
        { &made.role, p->role },       { &made.rank, p->rank }, { &made.faction, p->faction },
        { &made.voice, p->voice },
    };
    for (size_t i = 0; i < ARRAY_SIZE(strings); i++)
        if ((*strings[i].to = cut(a, strings[i].from, SHORT_BYTES)) == NULL)
            return -1;
    make_scales(c->persona, &made);
    if (!make_skills(a, c, &made) || !make_relations(a, c, k, &made) ||
        !make_list(a, p->n_goals, p->goals, &made.goals) ||
        !make_list(a, p->n_fears, p->fears, &made.fears) ||
        !make_list(a, p->n_secrets, p->secrets, &made.secrets) ||
        !make_list(a, p->n_vows, p->vows, &made.vows) ||
        !make_list(a, c->n_inventory, c->inventory, &made.items) ||
        !make_list(a, p->n_epithets, p->epithets, &made.epithets))
        return -1;
    *out = made;
    return 0;
}
