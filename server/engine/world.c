/* world.c — a request grounded in a pack: entities with names, the hidden truth, the initial state.
 * Everything drawn here uses the grounding stream. */
#include "server/engine/world_build.h"
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include "rpc/base/alloc.h"

const char *build_keep(struct building *b, const char *s)
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
struct nvl_entity *build_add(struct building *b, enum nvl_sort sort, const char *id,
                             const char *name, const char *kind)
{
    struct nvl_world *w = b->w;
    if (w->entities[sort] == NULL &&
        (w->entities[sort] = arena_zero(&w->arena, 64, sizeof(struct nvl_entity))) == NULL)
        b->nomem = true;
    if (b->nomem || w->counts[sort] >= 64) {
        b->nomem = true;
        b->nowhere = (struct nvl_entity){ .id = "", .name = "", .brief = "", .kind = "" };
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
const char *build_genre_name(struct building *b, const char *klass, unsigned salt)
{
    const struct nvl_pack *p = b->w->pack;
    for (int pass = 0; pass < 4; pass++) {
        unsigned genre = pass % 2 == 0 ? b->w->genre : 0, n = 0;
        bool fresh = pass < 2;
        for (uint32_t i = 0; i < p->counts[SEC_NAME]; i++)
            n += p->names[i].genre == genre && strcmp(p->names[i].klass, klass) == 0 &&
                 !(fresh && i < 4096 && b->used[i]);
        if (n == 0)
            continue;
        uint32_t pick = draw(b, DRAW_NAME, salt, n);
        for (uint32_t i = 0; i < p->counts[SEC_NAME]; i++)
            if (p->names[i].genre == genre && strcmp(p->names[i].klass, klass) == 0 &&
                !(fresh && i < 4096 && b->used[i]) && pick-- == 0) {
                if (i < 4096)
                    b->used[i] = true;
                return p->names[i].text;
            }
    }
    return klass;
}
/* What the genre calls something of the cast's ("role_pilot", "gear_scanner"), or own: only a genre
 * that has a word for it renames it. */
const char *build_renamed(struct building *b, const char *prefix, const char *own, unsigned salt)
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
            return build_genre_name(b, p->names[i].klass, salt);
    return own;
}
/* "~crew quarters" is plural, "Tollan Deep" proper. */
void build_set_name(struct nvl_entity *e, const char *text)
{
    e->plural = text[0] == '~';
    e->name = text + e->plural;
    e->proper = e->name[0] >= 'A' && e->name[0] <= 'Z';
    const char *last = strrchr(e->name, ' ');
    e->brief = last != NULL && !e->proper ? last + 1 : e->name;
}
/* What is missing is told by the story, not by the thing's name. */
static const char *without_fate(const char *text)
{
    static const char *const fates[] = { "stolen ", "missing ", "lost ", "vanished ", "hidden " };
    for (size_t i = 0; i < sizeof(fates) / sizeof(fates[0]); i++)
        if (strncmp(text, fates[i], strlen(fates[i])) == 0)
            return text + strlen(fates[i]);
    return text;
}
void build_set_user_name(struct building *b, struct nvl_entity *e, struct ground_noun *n)
{
    e->name = build_keep(b, strcmp(e->id, "prize") == 0 ? without_fate(n->text) : n->text);
    const char *last = strrchr(e->name, ' ');
    e->brief = last != NULL && !n->proper ? last + 1 : e->name;
    e->proper = n->proper, e->plural = n->plural, e->from_user = true;
    n->used = true;
}
/* Words for somebody whom the story has yet to find. */
static bool is_unknown_hand(const char *head)
{
    static const char *const hands[] = { "saboteur", "traitor",   "thief",     "thieve",
                                         "murderer", "killer",    "spy",       "impostor",
                                         "imposter", "culprit",   "mole",      "forger",
                                         "assassin", "informer",  "informant", "blackmailer",
                                         "poisoner", "kidnapper", "burglar",   "robber" };
    for (size_t i = 0; i < sizeof(hands) / sizeof(hands[0]); i++)
        if (strcmp(head, hands[i]) == 0)
            return true;
    return false;
}
/* Words that the lexicon leaves out since nobody in the story is to bear them, and no things. */
static bool is_people(const char *head)
{
    static const char *const people[] = { "raider", "bandit",    "outlaw", "enemy",  "people",
                                          "friend", "neighbour", "member", "worker", "colleague",
                                          "enemie", "agent",     "insider", "rival", "rumour",    "staff",  "passenger" };
    for (size_t i = 0; i < sizeof(people) / sizeof(people[0]); i++)
        if (strcmp(head, people[i]) == 0)
            return true;
    return false;
}
bool build_is_gone(const char *text)
{
    static const char *const gone[] = { "late ",     "dead ",    "murdered ", "drowned ",
                                        "poisoned ", "missing ", "vanished ", "killed " };
    for (size_t i = 0; i < sizeof(gone) / sizeof(gone[0]); i++)
        if (strncmp(text, gone[i], strlen(gone[i])) == 0)
            return true;
    return false;
}
struct ground_noun *build_take_noun(struct building *b, unsigned kind, bool scenario_only)
{
    for (size_t i = 0; i < b->ground.count; i++) {
        struct ground_noun *n = &b->ground.nouns[i];
        if (n->kind == kind && !n->used && !n->negated && !(scenario_only && n->position >= 1000) &&
            !((kind == WORD_PERSON || kind == 0) && is_unknown_hand(n->head)) &&
            !(kind == 0 && is_people(n->head)))
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
/* Where no setting was given, the first whole site of the scenario is one: "an abandoned mine". */
static void site_for_setting(struct building *b)
{
    static const char *const rooms[] = { "cave",   "cavern", "dock",   "hangar", "bridge", "tunnel",
                                         "vault",  "alley",  "garden", "crypt",  "tower",  "reactor",
                                         "shaft",  "library", "bar",   "platform", "market", "harbor",
                                         "harbour", "dungeon", "basement", "attic", "cellar", "chapel",
                                         "greenhouse", "dam",  "graveyard", "cemetery", "ward",
                                         "classroom", "studio", "workshop", "garage", "sewer" };
    static const char *const lost[] = { "ship", "boat", "train", "plane", "bus", "car" };
    bool given = b->ground.setting[0] != 0 || b->w->request->setting[0] != 0;
    struct ground_noun *n = given ? NULL : build_take_noun(b, WORD_PLACE, true);
    if (n == NULL || n->proper || n->plural)
        return;
    for (size_t i = 0; i < sizeof(lost) / sizeof(lost[0]); i++)
        if (strcmp(n->text, lost[i]) == 0)
            return; /* "the ship is lost": nobody is there any more */
    for (size_t i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++)
        if (strcmp(n->head, rooms[i]) == 0)
            return;
    const char *article = strchr("aeiou", n->text[0]) != NULL ? "an" : "a";
    if (snprintf(b->ground.setting, sizeof(b->ground.setting), "%s %.90s", article, n->text) < 0)
        return;
    b->ground.setting_kind = NVL_SETTING_SITE;
    n->used = true;
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
/* "a research ship near Saturn": the ship is not called Saturn. */
static bool lies_beside(const char *setting, const char *name)
{
    static const char *const beside[] = { "near", "off", "in", "on", "over", "above", "beyond",
                                          "behind", "around", "outside", "under", "from" };
    const char *at = name[0] != 0 ? strstr(setting, name) : NULL;
    for (size_t i = 0; at != NULL && i < sizeof(beside) / sizeof(beside[0]); i++) {
        size_t n = strlen(beside[i]);
        if ((size_t) (at - setting) > n + 1 && at[-1] == ' ' && at[-(ptrdiff_t) n - 2] == ' ' &&
            strncmp(at - n - 1, beside[i], n) == 0)
            return true;
    }
    return false;
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
    site_for_setting(b);
    w->setting = build_keep(b, b->ground.setting), w->setting_kind = b->ground.setting_kind;
    w->saying = build_keep(b, b->ground.saying);
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
        if (n->proper && lies_beside(b->ground.setting, n->text)) {
            n->used = true; /* told with the setting */
            continue;
        }
        if (n->proper && !n->negated && n->kind != WORD_PERSON && n->kind != WORD_ITEM) {
            w->locale = build_keep(b, n->text);
            n->used = true;
        }
    }
    if (w->locale == NULL)
        w->locale = build_genre_name(b, "locale", 0);
}

void world_gear_name(const struct nvl_profile *profile, size_t i, char out[static 128])
{
    char name[128];
    ground_clean(profile->items.items[i], name, sizeof(name));
    for (size_t j = 0; name[j] != 0; j++) /* cards write "Plasma Cutter"; a thing is lower case */
        if (name[j] >= 'A' && name[j] <= 'Z' && !(name[j + 1] >= 'A' && name[j + 1] <= 'Z'))
            name[j] = (char) (name[j] - 'A' + 'a');
    const char *start = name + strspn(name, " ");
    memcpy(out, start, strlen(start) + 1);
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
        struct nvl_entity *e =
            build_add(b, NVL_SORT_PLACE, p->places[i].role, "", p->places[i].klass);
        build_set_name(e, build_genre_name(b, p->places[i].klass, 200 + i));
    }
    /* The user's places: the hub first (index 2), then inwards; the first two are ours. */
    for (unsigned i = 2; i < w->counts[NVL_SORT_PLACE]; i++) {
        struct ground_noun *n = build_take_noun(b, WORD_PLACE, true);
        if (n == NULL)
            break;
        build_set_user_name(b, &w->entities[NVL_SORT_PLACE][i], n);
    }
    for (uint32_t i = 0; i < p->counts[SEC_LINK]; i++) {
        if (p->links[i].frame != w->frame || frame_place(w, p->links[i].a) < 0 ||
            frame_place(w, p->links[i].b) < 0)
            continue;
        const char *a = w->entities[NVL_SORT_PLACE][p->links[i].a].id,
                   *c = w->entities[NVL_SORT_PLACE][p->links[i].b].id;
        struct nvl_entity *e =
            build_add(b, NVL_SORT_LINK, printed(b, "%s_%s", a, c), "", p->links[i].klass);
        build_set_name(e, build_genre_name(b, p->links[i].klass, 300 + i));
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
        struct nvl_entity *e = build_add(b, NVL_SORT_ITEM, p->items[i].role, "", p->items[i].klass);
        build_set_name(e, build_genre_name(b, p->items[i].klass, 400 + i));
        /* What is sent takes the place of what sends; what is held may be found. */
        struct ground_noun *n =
            strcmp(p->items[i].klass, "beacon") == 0 ? build_take_noun(b, WORD_SIGNAL, false)
            : strcmp(p->items[i].klass, "tool") == 0 || strcmp(p->items[i].klass, "weapon") == 0
                ? NULL
                : build_take_noun(b, WORD_ITEM, false);
        bool prize = strcmp(p->items[i].role, "prize") == 0; /* what it is all about */
        if (n == NULL && prize && strcmp(p->items[i].klass, "weapon") != 0)
            n = build_take_noun(b, 0, true);
        if (n != NULL)
            build_set_user_name(b, e, n);
    }
    for (size_t c = 0; c < w->request->cast_count; c++)
        for (size_t k = 0; k < w->request->cast[c].items.count && k < 2; k++) {
            char name[128];
            world_gear_name(&w->request->cast[c], k, name);
            if (name[0] == 0)
                continue;
            snprintf(id, sizeof(id), "gear_%zu_%zu", c + 1, k + 1);
            struct nvl_entity *e = build_add(b, NVL_SORT_ITEM, build_keep(b, id), "", "gear");
            build_set_name(e, build_keep(b, build_renamed(b, "gear", name, 700 + (unsigned) (c * 8 + k))));
            e->owner = (int16_t) c;
        }
    world_carry_items(b);
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
                build_add(b, NVL_SORT_FACT, p->facts[i].name, p->facts[i].name, "truth");
            e->detail = world_words(b, p->facts[i].clause);
            e->owner =
                (p->facts[i].truths >> truth & 1) ? 1 : 0; /* read back below, then cleared */
        }
    for (size_t c = 0; c < w->request->cast_count; c++) {
        const struct nvl_profile *q = &w->request->cast[c];
        struct nvl_entity *e =
            build_add(b, NVL_SORT_FACT, printed(b, "secret_%s%s", q->id, ""), "secret", "secret");
        char clean[512];
        ground_clean(q->secrets.count > 0 ? q->secrets.items[0] : "", clean, sizeof(clean));
        e->detail = build_keep(b, clean + strspn(clean, " "));
        e->owner = (int16_t) c;
    }
    world_carry_canon(b);
    for (uint32_t i = 0; i < p->counts[SEC_CLUE] && clue < 24; i++) {
        if (p->clues[i].frame != w->frame || !(p->clues[i].truths >> truth & 1))
            continue;
        struct nvl_entity *e =
            build_add(b, NVL_SORT_CLUE, p->clues[i].name, p->clues[i].seen, "clue");
        e->name = e->brief = e->detail = world_words(b, p->clues[i].seen);
        e->owner = p->clues[i].fact;
        w->clue_of[clue++] = (uint8_t) i;
    }
}
static void add_motifs(struct building *b)
{
    struct nvl_world *w = b->w;
    for (size_t i = 0; i < b->ground.count; i++) {
        struct ground_noun *n = &b->ground.nouns[i];
        /* nobody muses on "the city", nor on the fire that they are in */
        bool telling = n->kind != WORD_REGION && n->kind != WORD_TROUBLE;
        if (!n->used && !n->negated && telling && w->counts[NVL_SORT_MOTIF] < 12) {
            struct nvl_entity *e =
                build_add(b, NVL_SORT_MOTIF, build_keep(b, n->head), "", "motif");
            build_set_user_name(b, e, n);
        }
        if (!n->negated)
            w->nouns[w->nouns_count++] = (struct world_noun){ build_keep(b, n->head), n->used };
    }
    if (w->counts[NVL_SORT_MOTIF] == 0)
        build_set_name(build_add(b, NVL_SORT_MOTIF, "motif", "", "motif"),
                       build_genre_name(b, "motif", 500));
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
    world_people(b);
    add_places(b);
    add_items(b);
    add_knowledge(b);
    w->question = world_words(b, w->pack->frames[w->frame].question);
    add_motifs(b);
    if (!b->nomem)
        world_init(b);
    return b->nomem ? NVL_E_NOMEM : NVL_OK;
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
    if ((rc = world_carry_open(w, request, err)) != NVL_OK)
        goto done;
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
struct nvl_world *world_share(struct nvl_world *w)
{
    atomic_fetch_add(&w->sharers, 1);
    return w;
}
void nvl_world_free(struct nvl_world *w)
{
    if (w == NULL || atomic_fetch_sub(&w->sharers, 1) > 0)
        return;
    nvl_header_free(w->header);
    arena_done(&w->arena);
    alloc_free(w);
}
