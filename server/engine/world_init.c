/* world_init.c — the state a story begins in: cells, people, things, what is known, the truth. */
#include "server/engine/world_build.h"
#include <stdio.h>
#include <string.h>

static void set_cell(struct nvl_world *w, int fluent, unsigned a, unsigned c, int value)
{
    int cell = fluent < 0 ? -1 : world_cell(w, (unsigned) fluent, a, c);
    if (cell < 0)
        return;
    const struct pack_fluent *f = &w->pack->fluents[fluent];
    int min = f->value_sort != 0 ? -1 : f->min, max = world_max(w, f);
    w->initial[cell] = (int16_t) (value < min ? min : value > max ? max : value);
}
static void set_known(struct nvl_world *w, enum known_fluent f, unsigned a, unsigned c, int value)
{
    set_cell(w, w->pack->known[f], a, c, value);
}
static void lay_cells(struct building *b)
{
    struct nvl_world *w = b->w;
    const struct nvl_pack *p = w->pack;
    uint32_t cells = 0;
    w->base = arena_zero(&w->arena, p->counts[SEC_FLUE] + 1, sizeof(*w->base));
    if (w->base == NULL) {
        b->nomem = true;
        return;
    }
    for (uint32_t f = 0; f < p->counts[SEC_FLUE]; f++) {
        const uint8_t *s = p->fluents[f].sorts;
        w->base[f] = (uint16_t) cells;
        cells += (uint32_t) (s[0] != 0 ? w->counts[s[0]] : 1) * (s[1] != 0 ? w->counts[s[1]] : 1);
    }
    if (cells >= NVL_NO_CELL) {
        b->nomem = true;
        return;
    }
    w->cells = cells;
    w->initial = arena_zero(&w->arena, cells + 1, sizeof(*w->initial));
    w->refs = arena_zero(&w->arena, cells + 1, sizeof(*w->refs));
    if ((b->nomem |= w->initial == NULL || w->refs == NULL))
        return;
    for (uint32_t f = 0; f < p->counts[SEC_FLUE]; f++) {
        const uint8_t *s = p->fluents[f].sorts;
        unsigned na = s[0] != 0 ? w->counts[s[0]] : 1, nb = s[1] != 0 ? w->counts[s[1]] : 1;
        for (unsigned i = 0; i < na * nb; i++) {
            w->refs[w->base[f] + i] =
                (struct cell_ref){ (uint16_t) f, (uint8_t) (i / nb), (uint8_t) (i % nb) };
            w->initial[w->base[f] + i] = p->fluents[f].init;
        }
    }
}
/* Looks every word of a text up: "systems engineering" finds the skill of either. */
static void words_to_cells(struct nvl_world *w, enum pack_section sec, const char *text, unsigned a,
                           int value)
{
    const struct pack_word *table = sec == SEC_SKIL   ? w->pack->skills
                                    : sec == SEC_TAGS ? w->pack->tags
                                                      : w->pack->ranks;
    char word[40];
    for (const char *p = text; *p != 0;) {
        size_t n = 0;
        while (p[n] != 0 && p[n] != ' ' && p[n] != '_' && p[n] != '-' && p[n] != '/')
            n++;
        if (n > 0 && n < sizeof(word)) {
            for (size_t i = 0; i < n; i++)
                word[i] = p[i] >= 'A' && p[i] <= 'Z' ? (char) (p[i] - 'A' + 'a') : p[i];
            word[n] = 0;
            const struct pack_word *found = pack_word_find(table, w->pack->counts[sec], word);
            int fluent = found == NULL     ? -1
                         : sec == SEC_RANK ? w->pack->known[KNOWN_STANDING]
                                           : found->value;
            int v = found != NULL && sec == SEC_RANK ? found->value : value;
            int cell = fluent < 0 ? -1 : world_cell(w, (unsigned) fluent, a, 0);
            if (cell >= 0 && w->initial[cell] < v)
                set_cell(w, fluent, a, 0, v);
        }
        p += n + (p[n] != 0);
    }
}
static void state_people(struct building *b)
{
    struct nvl_world *w = b->w;
    const struct nvl_pack *p = w->pack;
    static const char *const axes[5] = { "trust", "affection", "respect", "dread", "debt" };
    for (unsigned c = 0; c < w->counts[NVL_SORT_CHAR]; c++) {
        for (int k = 0; k < NVL_TRAITS; k++)
            set_cell(w, nvl_pack_fluent_find(p, pack_trait_names[k]), c, 0,
                     w->traits[c * NVL_TRAITS + (unsigned) k]);
        for (unsigned d = 0; d < w->counts[NVL_SORT_CHAR]; d++)
            if (c != d)
                set_known(w, KNOWN_TRUST, c, d,
                          15 + (w->traits[c * NVL_TRAITS + NVL_AGREEABLENESS] - 50) / 3);
        set_cell(w, nvl_pack_fluent_find(p, "company"), c, 0, c < w->request->cast_count);
        if (c >= w->request->cast_count)
            continue;
        const struct nvl_profile *q = &w->request->cast[c];
        set_known(w, KNOWN_AT, c, 0, 0);
        for (size_t i = 0; i < q->skills_count; i++)
            words_to_cells(w, SEC_SKIL, q->skills[i].name, c, q->skills[i].value);
        words_to_cells(w, SEC_SKIL, q->role, c, 65);
        words_to_cells(w, SEC_RANK, q->rank, c, 0);
        for (size_t i = 0; i < q->relations_count; i++)
            for (unsigned d = 0; d < w->request->cast_count; d++) {
                const struct nvl_relation *r = &q->relations[i];
                const int32_t v[5] = { r->trust, r->affection, r->respect, r->fear, r->debt };
                for (int k = 0; d != c && strcmp(r->other, w->request->cast[d].id) == 0 && k < 5;
                     k++)
                    set_cell(w, nvl_pack_fluent_find(p, axes[k]), c, d, v[k]);
            }
    }
}
static void state_things(struct building *b)
{
    struct nvl_world *w = b->w;
    const struct nvl_pack *p = w->pack;
    unsigned n = 0;
    for (uint32_t i = 0; i < p->counts[SEC_LINK] && n < w->counts[NVL_SORT_LINK]; i++)
        if (p->links[i].frame == w->frame) {
            set_known(w, KNOWN_END_A, n, 0, p->links[i].a),
                set_known(w, KNOWN_END_B, n, 0, p->links[i].b);
            set_known(w, KNOWN_OPEN, n++, 0, !p->links[i].shut);
        }
    n = 0;
    for (uint32_t i = 0; i < p->counts[SEC_ITEM] && n < w->counts[NVL_SORT_ITEM]; i++)
        if (p->items[i].frame == w->frame)
            set_known(w, KNOWN_LIES, n++, 0, p->items[i].place);
    for (; n < w->counts[NVL_SORT_ITEM]; n++)
        set_known(w, KNOWN_HOLDER, n, 0, w->entities[NVL_SORT_ITEM][n].owner);
    for (n = 0; n < w->counts[NVL_SORT_ITEM]; n++) {
        words_to_cells(w, SEC_TAGS, w->entities[NVL_SORT_ITEM][n].name, n, 1);
        words_to_cells(w, SEC_TAGS, w->entities[NVL_SORT_ITEM][n].kind, n, 1);
    }
    for (n = 0; n < w->counts[NVL_SORT_MOTIF]; n++)
        set_cell(w, nvl_pack_fluent_find(p, "of_user"), n, 0,
                 w->entities[NVL_SORT_MOTIF][n].from_user);
    n = (unsigned) w->request->cast_count;
    for (uint32_t i = 0; i < p->counts[SEC_PERS] && n < w->counts[NVL_SORT_CHAR]; i++)
        if (p->persons[i].frame == w->frame)
            set_known(w, KNOWN_AT, n++, 0, p->persons[i].place);
}
static void state_knowledge(struct building *b)
{
    struct nvl_world *w = b->w;
    for (unsigned i = 0; i < w->counts[NVL_SORT_FACT]; i++) {
        struct nvl_entity *e = &w->entities[NVL_SORT_FACT][i];
        bool secret = strcmp(e->kind, "secret") == 0;
        set_known(w, KNOWN_FACT_TRUE, i, 0, secret || e->owner == 1);
        set_known(w, KNOWN_SECRET_OF, i, 0, secret ? e->owner : -1);
        if (secret)
            set_known(w, KNOWN_KNOWS, (unsigned) e->owner, i, NVL_BELIEVES);
        else
            e->owner = -1;
    }
    for (unsigned i = 0; i < w->counts[NVL_SORT_CLUE]; i++) {
        const struct pack_clue *c = &w->pack->clues[w->clue_of[i]];
        unsigned n = 0;
        for (unsigned k = 0; k < w->counts[NVL_SORT_PLACE]; k++)
            n += c->places >> k & 1;
        uint32_t pick = draw(b, DRAW_CLUE, i, n);
        for (unsigned k = 0; k < w->counts[NVL_SORT_PLACE]; k++)
            if ((c->places >> k & 1) && pick-- == 0)
                set_known(w, KNOWN_TRACE_AT, i, 0, (int) k);
        set_known(w, KNOWN_CLUE_FACT, i, 0, c->fact), set_known(w, KNOWN_CLUE_ALT, i, 0, c->alt);
    }
}
/* A fluent without arguments that bears the id of a place, an item or a person of the frame names
 * it; "culprit" is somebody of the cast; "climax_starts" and "climax_ends" are passes. */
static void state_roles(struct building *b)
{
    struct nvl_world *w = b->w;
    static const uint8_t sorts[] = { NVL_SORT_PLACE, NVL_SORT_ITEM, NVL_SORT_CHAR, NVL_SORT_LINK,
                                     NVL_SORT_FACT };
    for (uint32_t f = 0; f < w->pack->counts[SEC_FLUE]; f++) {
        const struct pack_fluent *p = &w->pack->fluents[f];
        for (unsigned s = 0; s < 5 && p->sorts[0] == 0 && p->value_sort != 0; s++)
            for (unsigned i = 0; p->value_sort == sorts[s] && i < w->counts[sorts[s]]; i++)
                if (strcmp(w->entities[sorts[s]][i].id, p->name) == 0)
                    set_cell(w, (int) f, 0, 0, (int) i);
    }
    set_cell(w, nvl_pack_fluent_find(w->pack, "culprit"), 0, 0, (int) world_culprit(b));
    static const uint8_t arcs[] = { 1, 3, 4, 5, 6 }; /* which bond turns first */
    set_cell(w, nvl_pack_fluent_find(w->pack, "arc_next"), 0, 0,
             arcs[draw(b, DRAW_ROLE, 1, sizeof(arcs))]);
    set_cell(w, nvl_pack_fluent_find(w->pack, "cast_count"), 0, 0, (int) w->request->cast_count);
    unsigned first, last;
    world_climax(&w->plan, &first, &last);
    set_cell(w, nvl_pack_fluent_find(w->pack, "climax_starts"), 0, 0, (int) first);
    set_cell(w, nvl_pack_fluent_find(w->pack, "climax_ends"), 0, 0, (int) last);
}
static void state_truth(struct building *b)
{
    struct nvl_world *w = b->w;
    const struct pack_truth *t = &w->pack->truths[w->truth];
    struct code_env env = { .world = w, .passes = w->plan.count, .phase = NVL_SETUP, .each = NVL_NONE };
    memset(env.args, NVL_NONE, sizeof(env.args));
    uint16_t touched[8];
    for (unsigned i = 0; i < t->effect_count; i++)
        effect_apply(&env, w->initial, &w->pack->effects[t->effect_first + i], 0, NVL_NONE, touched,
                     8);
}
/* A frame whose cues come near those of the story's own lends incidents: "second_hunt". */
static void state_second(struct building *b)
{
    struct nvl_world *w = b->w;
    int32_t best = b->ground.frame_score[w->frame];
    char name[64];
    for (uint32_t f = 0; f < w->pack->counts[SEC_FRAM] && f < 32; f++) {
        if (f == w->frame || best == 0 || b->ground.frame_score[f] * 100 < best * 60)
            continue;
        snprintf(name, sizeof(name), "second_%.50s", w->pack->frames[f].name);
        set_cell(w, nvl_pack_fluent_find(w->pack, name), 0, 0, 1);
    }
}
/* What the user's words say of the story as a whole stands over what the truth set. */
static void state_hints(struct building *b)
{
    for (uint32_t f = 0; f < b->w->pack->counts[SEC_FLUE] && f < 256; f++)
        if (b->ground.hints[f] != 0)
            set_cell(b->w, (int) f, 0, 0, b->ground.hints[f]);
}
void world_init(struct building *b)
{
    lay_cells(b);
    if (b->nomem)
        return;
    world_plan(b->w->request->turns, &b->w->plan);
    state_people(b);
    state_things(b);
    state_knowledge(b);
    state_roles(b);
    state_truth(b);
    state_hints(b);
    state_second(b);
    past_apply(b->w);
}
