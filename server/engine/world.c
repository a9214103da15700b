/* world.c — a request grounded in a pack: entities with names, the hidden truth, the initial state.
 * Everything drawn here uses the grounding stream. */
#include "server/engine/world.h"
#include <stdio.h>
#include <string.h>
#include "rpc/base/alloc.h"

enum { DRAW_FRAME, DRAW_GENRE, DRAW_TRUTH, DRAW_NAME, DRAW_CLUE, DRAW_PERSON, DRAW_ROLE };
struct building {
    struct nvl_world *w;
    struct ground ground;
    bool used[2048]; /* genre names already given */
    bool nomem;
    struct nvl_entity nowhere; /* written when memory is gone; the world is then thrown away */
};

static uint32_t draw(const struct building *b, unsigned purpose, unsigned i, uint32_t n)
{
    return n < 2 ? 0 : rng_below(b->w->request->seed, rng_key(RNG_GROUND, 0, 0, purpose, i), n);
}
static const char *keep(struct building *b, const char *s)
{
    char *copy = arena_strndup(&b->w->arena, s, strlen(s));
    b->nomem |= copy == NULL;
    return copy != NULL ? copy : "";
}
static const char *printed(struct building *b, const char *format, const char *x, const char *y)
{
    char *s = arena_printf(&b->w->arena, format, x, y);
    b->nomem |= s == NULL;
    return s != NULL ? s : "";
}
static struct nvl_entity *add(struct building *b, enum nvl_sort sort, const char *id,
                              const char *name, const char *kind)
{
    struct nvl_world *w = b->w;
    if (w->entities[sort] == NULL &&
        (w->entities[sort] = arena_zero(&w->arena, 64, sizeof(struct nvl_entity))) == NULL)
        b->nomem = true;
    if (b->nomem || w->counts[sort] >= 64) {
        b->nomem = true;
        return &b->nowhere;
    }
    struct nvl_entity *e = &w->entities[sort][w->counts[sort]++];
    *e = (struct nvl_entity){ .id = id,
                              .name = name,
                              .brief = name,
                              .kind = kind,
                              .pronouns = "it",
                              .detail = "",
                              .owner = -1 };
    return e;
}
/* A name of the class from the genre's table, else from the first genre's; each is given once. */
static const char *genre_name(struct building *b, const char *klass, unsigned salt)
{
    const struct nvl_pack *p = b->w->pack;
    for (int pass = 0; pass < 4; pass++) {
        unsigned genre = pass % 2 == 0 ? b->w->genre : 0, n = 0;
        bool fresh = pass < 2;
        for (uint32_t i = 0; i < p->counts[SEC_NAME]; i++)
            n += p->names[i].genre == genre && strcmp(p->names[i].klass, klass) == 0 &&
                 !(fresh && i < 2048 && b->used[i]);
        if (n == 0)
            continue;
        uint32_t pick = draw(b, DRAW_NAME, salt, n);
        for (uint32_t i = 0; i < p->counts[SEC_NAME]; i++)
            if (p->names[i].genre == genre && strcmp(p->names[i].klass, klass) == 0 &&
                !(fresh && i < 2048 && b->used[i]) && pick-- == 0) {
                if (i < 2048)
                    b->used[i] = true;
                return p->names[i].text;
            }
    }
    return klass;
}
/* What the genre calls something of the cast's ("role_pilot", "gear_scanner"), or own: only a genre
 * that has a word for it renames it. */
static const char *renamed(struct building *b, const char *prefix, const char *own, unsigned salt)
{
    char head[32] = "", klass[48];
    const char *stop = strstr(own, " with "), *end = stop != NULL ? stop : own + strlen(own);
    const char *word = end;
    while (word > own && word[-1] != ' ')
        word--;
    if (b->w->genre == 0 || word == end || (size_t) (end - word) >= sizeof(head))
        return own;
    for (size_t i = 0; word + i < end; i++)
        head[i] = word[i] >= 'A' && word[i] <= 'Z' ? (char) (word[i] - 'A' + 'a') : word[i];
    snprintf(klass, sizeof(klass), "%s_%s", prefix, head);
    const struct nvl_pack *p = b->w->pack;
    for (uint32_t i = 0; i < p->counts[SEC_NAME]; i++)
        if (p->names[i].genre == b->w->genre && strcmp(p->names[i].klass, klass) == 0)
            return genre_name(b, p->names[i].klass, salt);
    return own;
}
/* "~crew quarters" is plural, "Tollan Deep" proper. */
static void set_name(struct nvl_entity *e, const char *text)
{
    e->plural = text[0] == '~';
    e->name = text + e->plural;
    e->proper = e->name[0] >= 'A' && e->name[0] <= 'Z';
    const char *last = strrchr(e->name, ' ');
    e->brief = last != NULL && !e->proper ? last + 1 : e->name;
}
static void set_user_name(struct building *b, struct nvl_entity *e, struct ground_noun *n)
{
    e->name = keep(b, n->text);
    const char *last = strrchr(e->name, ' ');
    e->brief = last != NULL && !n->proper ? last + 1 : e->name;
    e->proper = n->proper, e->plural = n->plural, e->from_user = true;
    n->used = true;
}
static struct ground_noun *take_noun(struct building *b, unsigned kind, bool scenario_only)
{
    for (size_t i = 0; i < b->ground.count; i++) {
        struct ground_noun *n = &b->ground.nouns[i];
        if (n->kind == kind && !n->used && !n->negated && !(scenario_only && n->position >= 1000))
            return n;
    }
    return NULL;
}

static unsigned best_of(const struct building *b, const int32_t *scores, uint32_t count,
                        unsigned purpose)
{
    int32_t best = 0;
    unsigned ties = 0;
    for (uint32_t i = 0; i < count && i < 32; i++) {
        ties = scores[i] > best ? 1 : ties + (scores[i] == best);
        best = scores[i] > best ? scores[i] : best;
    }
    if (best == 0 && purpose == DRAW_GENRE)
        return 0;
    uint32_t pick = draw(b, purpose, 0, best == 0 ? count : ties);
    for (uint32_t i = 0; i < count && i < 32; i++)
        if ((best == 0 || scores[i] == best) && pick-- == 0)
            return i;
    return 0;
}
/* What of the scenario there is decides with the seed which truth lies under it. */
static uint32_t text_salt(const struct nvl_request *q)
{
    uint32_t h = 0;
    for (const char *s = q->setting; *s != 0; s++)
        h = h * 31 + (uint8_t) *s;
    for (const char *s = q->scenario; *s != 0; s++)
        h = h * 31 + (uint8_t) *s;
    return h & 0xFFFFFF;
}
static void choose_story(struct building *b)
{
    struct nvl_world *w = b->w;
    const struct nvl_pack *p = w->pack;
    w->frame = best_of(b, b->ground.frame_score, p->counts[SEC_FRAM], DRAW_FRAME);
    w->genre = best_of(b, b->ground.genre_score, p->counts[SEC_GENR], DRAW_GENRE);
    uint32_t total = 0;
    for (uint32_t i = 0; i < p->counts[SEC_TRUT]; i++)
        total += p->truths[i].frame == w->frame ? p->truths[i].weight : 0;
    w->setting = keep(b, b->ground.setting), w->setting_kind = b->ground.setting_kind;
    w->saying = keep(b, b->ground.saying);
    uint32_t pick = draw(b, DRAW_TRUTH, text_salt(w->request), total);
    for (uint32_t i = 0; i < p->counts[SEC_TRUT]; i++) {
        if (p->truths[i].frame != w->frame)
            continue;
        w->truth = i;
        if (pick < p->truths[i].weight)
            break;
        pick -= p->truths[i].weight;
    }
    w->locale = NULL;
    for (size_t i = 0; i < b->ground.count && w->locale == NULL; i++) {
        struct ground_noun *n = &b->ground.nouns[i];
        if (n->proper && !n->negated && n->kind != WORD_PERSON && n->kind != WORD_ITEM) {
            w->locale = keep(b, n->text);
            n->used = true;
        }
    }
    if (w->locale == NULL)
        w->locale = genre_name(b, "locale", 0);
}

static const char *pronoun_of(const char *s)
{
    static const char *const known[] = { "he", "she", "it" };
    for (int i = 0; i < 3; i++)
        if (strcmp(s, known[i]) == 0 ||
            (strncmp(s, known[i], strlen(known[i])) == 0 && s[strlen(known[i])] == '/'))
            return known[i];
    return "they";
}
/* "Dr. Maya Patel" -> "Maya"; an id like "deck_hand" -> "Deck Hand". */
static void name_cast(struct building *b, struct nvl_entity *e, const struct nvl_profile *p)
{
    char name[NVL_CANONICAL_MAX];
    ground_clean(p->name[0] != 0 ? p->name : p->id, name, 256);
    size_t start = strspn(name, " "), n = strlen(name);
    while (n > start && name[n - 1] == ' ')
        name[--n] = 0;
    if (n == start || p->name[0] == 0) {
        snprintf(name, sizeof(name), "%s", p->id);
        start = 0;
        for (size_t i = 0; name[i] != 0; i++) {
            if (name[i] == '_' || (unsigned char) name[i] < 0x20 ||
                strchr("<>{}[]$`%\\", name[i]) != NULL)
                name[i] = ' ';
            if ((i == 0 || name[i - 1] == ' ') && name[i] >= 'a' && name[i] <= 'z')
                name[i] = (char) (name[i] - 'a' + 'A');
        }
    }
    e->name = keep(b, name + start);
    const char *word = e->name, *space;
    while ((space = strchr(word, ' ')) != NULL && space > word && space[-1] == '.')
        word = space + 1;
    space = strchr(word, ' ');
    size_t size = space != NULL ? (size_t) (space - word) : strlen(word);
    char *brief = arena_strndup(&b->w->arena, word, size);
    b->nomem |= brief == NULL;
    e->brief = brief != NULL && size > 0 ? brief : e->name;
    e->proper = true;
    e->pronouns = pronoun_of(p->pronouns);
}
static void add_people(struct building *b)
{
    struct nvl_world *w = b->w;
    const struct nvl_request *q = w->request;
    for (size_t i = 0; i < q->cast_count; i++) {
        const struct nvl_profile *p = &q->cast[i];
        struct nvl_entity *e = add(b, NVL_SORT_CHAR, p->id, p->id, p->role);
        name_cast(b, e, p);
        e->kind = renamed(b, "role", p->role, 600 + (unsigned) i);
        e->detail = p->rank;
        for (int k = 0; k < NVL_TRAITS; k++)
            w->traits[i * NVL_TRAITS + (size_t) k] = (uint8_t) p->traits[k];
        for (int k = 0; k < NVL_DRIVES; k++)
            w->drives[i * NVL_DRIVES + (size_t) k] = (uint8_t) p->drives[k];
    }
    for (uint32_t i = 0; i < w->pack->counts[SEC_PERS]; i++) {
        const struct pack_person *p = &w->pack->persons[i];
        if (p->frame != w->frame || w->counts[NVL_SORT_CHAR] == WORLD_CHARS_MAX)
            continue;
        unsigned c = w->counts[NVL_SORT_CHAR];
        struct nvl_entity *e = add(b, NVL_SORT_CHAR, p->role, p->role, p->klass);
        static const char *const pronouns[] = { "she", "he", "they" };
        set_name(e, genre_name(b, p->klass, 100 + i));
        e->proper = true, e->brief = e->name,
        e->pronouns = pronouns[draw(b, DRAW_PERSON, 50 + i, 3)];
        struct ground_noun *n = take_noun(b, WORD_PERSON, false);
        if (n != NULL) {
            e->kind = keep(b, n->text), e->from_user = true, n->used = true;
            if (n->proper)
                e->name = e->brief = e->kind;
        }
        for (unsigned k = 0; k < NVL_TRAITS; k++)
            w->traits[c * NVL_TRAITS + k] = (uint8_t) (25 + draw(b, DRAW_PERSON, i * 32 + k, 51));
        for (unsigned k = 0; k < NVL_DRIVES; k++)
            w->drives[c * NVL_DRIVES + k] =
                (uint8_t) (25 + draw(b, DRAW_PERSON, i * 32 + 16 + k, 51));
    }
}
static int frame_place(const struct nvl_world *w, unsigned index)
{
    return index < w->counts[NVL_SORT_PLACE] ? (int) index : -1;
}
static void add_places(struct building *b)
{
    struct nvl_world *w = b->w;
    const struct nvl_pack *p = w->pack;
    for (uint32_t i = 0; i < p->counts[SEC_PLAC]; i++) {
        if (p->places[i].frame != w->frame)
            continue;
        struct nvl_entity *e = add(b, NVL_SORT_PLACE, p->places[i].role, "", p->places[i].klass);
        set_name(e, genre_name(b, p->places[i].klass, 200 + i));
    }
    /* The user's places: the hub first (index 2), then inwards; the first two are ours. */
    for (unsigned i = 2; i < w->counts[NVL_SORT_PLACE]; i++) {
        struct ground_noun *n = take_noun(b, WORD_PLACE, true);
        if (n == NULL)
            break;
        set_user_name(b, &w->entities[NVL_SORT_PLACE][i], n);
    }
    for (uint32_t i = 0; i < p->counts[SEC_LINK]; i++) {
        if (p->links[i].frame != w->frame || frame_place(w, p->links[i].a) < 0 ||
            frame_place(w, p->links[i].b) < 0)
            continue;
        const char *a = w->entities[NVL_SORT_PLACE][p->links[i].a].id,
                   *c = w->entities[NVL_SORT_PLACE][p->links[i].b].id;
        struct nvl_entity *e =
            add(b, NVL_SORT_LINK, printed(b, "%s_%s", a, c), "", p->links[i].klass);
        set_name(e, genre_name(b, p->links[i].klass, 300 + i));
    }
}
static void add_items(struct building *b)
{
    struct nvl_world *w = b->w;
    const struct nvl_pack *p = w->pack;
    char id[40];
    for (uint32_t i = 0; i < p->counts[SEC_ITEM]; i++) {
        if (p->items[i].frame != w->frame)
            continue;
        struct nvl_entity *e = add(b, NVL_SORT_ITEM, p->items[i].role, "", p->items[i].klass);
        set_name(e, genre_name(b, p->items[i].klass, 400 + i));
        /* What is sent takes the place of what sends; what is held may be found. */
        struct ground_noun *n =
            strcmp(p->items[i].klass, "beacon") == 0 ? take_noun(b, WORD_SIGNAL, false)
            : strcmp(p->items[i].klass, "tool") == 0 ? NULL
                                                     : take_noun(b, WORD_ITEM, false);
        if (n != NULL)
            set_user_name(b, e, n);
    }
    for (size_t c = 0; c < w->request->cast_count; c++)
        for (size_t k = 0; k < w->request->cast[c].items.count && k < 2; k++) {
            char name[128];
            ground_clean(w->request->cast[c].items.items[k], name, sizeof(name));
            if (strspn(name, " ") == strlen(name))
                continue;
            for (size_t j = 0; name[j] != 0;
                 j++) /* cards write "Plasma Cutter"; a thing is lower case */
                if (name[j] >= 'A' && name[j] <= 'Z' && !(name[j + 1] >= 'A' && name[j + 1] <= 'Z'))
                    name[j] = (char) (name[j] - 'A' + 'a');
            snprintf(id, sizeof(id), "gear_%zu_%zu", c + 1, k + 1);
            struct nvl_entity *e = add(b, NVL_SORT_ITEM, keep(b, id), "", "gear");
            set_name(e, keep(b, renamed(b, "gear", name + strspn(name, " "),
                                        700 + (unsigned) (c * 8 + k))));
            e->owner = (int16_t) c;
        }
}
static void add_knowledge(struct building *b)
{
    struct nvl_world *w = b->w;
    const struct nvl_pack *p = w->pack;
    unsigned truth = 0, clue = 0;
    for (uint32_t i = 0; i < w->truth; i++)
        truth += p->truths[i].frame == w->frame;
    for (uint32_t i = 0; i < p->counts[SEC_FACT]; i++)
        if (p->facts[i].frame == w->frame) {
            struct nvl_entity *e =
                add(b, NVL_SORT_FACT, p->facts[i].name, p->facts[i].name, "truth");
            e->detail = p->facts[i].clause;
            e->owner =
                (p->facts[i].truths >> truth & 1) ? 1 : 0; /* read back below, then cleared */
        }
    for (size_t c = 0; c < w->request->cast_count; c++) {
        const struct nvl_profile *q = &w->request->cast[c];
        struct nvl_entity *e =
            add(b, NVL_SORT_FACT, printed(b, "secret_%s%s", q->id, ""), "secret", "secret");
        char clean[512];
        ground_clean(q->secrets.count > 0 ? q->secrets.items[0] : "", clean, sizeof(clean));
        e->detail = keep(b, clean + strspn(clean, " "));
        e->owner = (int16_t) c;
    }
    for (uint32_t i = 0; i < p->counts[SEC_CLUE] && clue < 24; i++) {
        if (p->clues[i].frame != w->frame || !(p->clues[i].truths >> truth & 1))
            continue;
        struct nvl_entity *e = add(b, NVL_SORT_CLUE, p->clues[i].name, p->clues[i].seen, "clue");
        e->detail = p->clues[i].seen;
        e->owner = p->clues[i].fact;
        w->clue_of[clue++] = (uint8_t) i;
    }
}
static void add_motifs(struct building *b)
{
    struct nvl_world *w = b->w;
    for (size_t i = 0; i < b->ground.count; i++) {
        struct ground_noun *n = &b->ground.nouns[i];
        bool telling = n->kind != WORD_REGION; /* nobody muses on "the city" */
        if (!n->used && !n->negated && telling && w->counts[NVL_SORT_MOTIF] < 12) {
            struct nvl_entity *e = add(b, NVL_SORT_MOTIF, keep(b, n->head), "", "motif");
            set_user_name(b, e, n);
        }
        if (!n->negated)
            w->nouns[w->nouns_count++] = (struct world_noun){ keep(b, n->head), n->used };
    }
    if (w->counts[NVL_SORT_MOTIF] == 0)
        set_name(add(b, NVL_SORT_MOTIF, "motif", "", "motif"), genre_name(b, "motif", 500));
}

/* --- initial state
 * -------------------------------------------------------------------------------------- */

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
    set_cell(w, nvl_pack_fluent_find(w->pack, "culprit"), 0, 0,
             (int) draw(b, DRAW_ROLE, 0, (uint32_t) w->request->cast_count));
    set_cell(w, nvl_pack_fluent_find(w->pack, "cast_count"), 0, 0, (int) w->request->cast_count);
    unsigned first = 0, last;
    while (first + 1 < w->passes && w->pass_phase[first] < NVL_CLIMAX)
        first++;
    for (last = first; last + 1 < w->passes && w->pass_phase[last + 1] == NVL_CLIMAX;)
        last++;
    set_cell(w, nvl_pack_fluent_find(w->pack, "climax_starts"), 0, 0, (int) first);
    set_cell(w, nvl_pack_fluent_find(w->pack, "climax_ends"), 0, 0, (int) last);
}
static void state_truth(struct building *b)
{
    struct nvl_world *w = b->w;
    const struct pack_truth *t = &w->pack->truths[w->truth];
    struct code_env env = { .world = w, .phase = NVL_SETUP, .each = NVL_NONE };
    memset(env.args, NVL_NONE, sizeof(env.args));
    uint16_t touched[8];
    for (unsigned i = 0; i < t->effect_count; i++)
        effect_apply(&env, w->initial, &w->pack->effects[t->effect_first + i], 0, NVL_NONE, touched,
                     8);
}

static int build(struct building *b)
{
    struct nvl_world *w = b->w;
    w->traits = arena_zero(&w->arena, WORLD_CHARS_MAX * NVL_TRAITS, 1);
    w->drives = arena_zero(&w->arena, WORLD_CHARS_MAX * NVL_DRIVES, 1);
    if (w->traits == NULL || w->drives == NULL)
        return NVL_E_NOMEM;
    ground_read(w->pack, w->request->setting, w->request->scenario, &b->ground);
    choose_story(b);
    add_people(b);
    add_places(b);
    add_items(b);
    add_knowledge(b);
    add_motifs(b);
    if (!b->nomem)
        lay_cells(b);
    if (b->nomem)
        return NVL_E_NOMEM;
    world_plan(w->request->turns, w);
    state_people(b);
    state_things(b);
    state_knowledge(b);
    state_roles(b);
    state_truth(b);
    return NVL_OK;
}
int nvl_world_open(const struct nvl_pack *pack, const struct nvl_request *request,
                   struct nvl_error *err, struct nvl_world **out)
{
    struct buf header = { 0 };
    uint8_t hash[SHA256_SIZE];
    struct nvl_world *w = NULL;
    struct building *b = NULL;
    int rc = nvl_header_encode(request, pack->digest, &header, hash, err);
    if (rc != NVL_OK)
        goto done;
    rc = NVL_E_NOMEM;
    if ((w = alloc_zero(1, sizeof(*w))) == NULL || (b = alloc_zero(1, sizeof(*b))) == NULL)
        goto done;
    arena_init(&w->arena, 16 * 1024);
    w->pack = pack;
    if ((rc = nvl_header_decode(header.data, header.size, &w->header)) != NVL_OK)
        goto done;
    w->request = nvl_header_request(w->header);
    b->w = w;
    if ((rc = build(b)) != NVL_OK)
        goto done;
    *out = w;
    w = NULL;
done:
    nvl_world_free(w);
    alloc_free(b);
    buf_done(&header);
    return rc;
}
void nvl_world_free(struct nvl_world *w)
{
    if (w == NULL)
        return;
    nvl_header_free(w->header);
    arena_done(&w->arena);
    alloc_free(w);
}
