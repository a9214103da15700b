/* tell.c — from log to story: plan, compose to length, cut into sentences. */
#include "server/narrator/teller.h"
#include <stdio.h>
#include <string.h>
#include "rpc/base/alloc.h"

enum { SENTENCE_ENTITIES = 16, TERSE_WORDS = 360 };

static const char *const style_names[NVL_STYLES] = {
    "sci_fi_dramatic", "tactical", "philosophical", "literary", "noir", "fable",
};
const char *nvl_style_name(enum nvl_style style)
{
    return (unsigned) style < NVL_STYLES ? style_names[style] : "";
}
static const char *const perspective_names[NVL_PERSPECTIVES] = {
    "third_limited",
    "omniscient",
    "first_person",
    "journal",
};
const char *nvl_perspective_name(enum nvl_perspective perspective)
{
    return (unsigned) perspective < NVL_PERSPECTIVES ? perspective_names[perspective] : "";
}
static const char *text_of(const char *s)
{
    return s != NULL ? s : "";
}
static int refuse(struct nvl_error *err, const char *field, const char *message)
{
    if (err != NULL) {
        memset(err, 0, sizeof(*err));
        snprintf(err->field, sizeof(err->field), "%s", field);
        snprintf(err->message, sizeof(err->message), "%s", message);
    }
    return NVL_E_INVALID;
}
static int style_of(const char *name)
{
    if (name[0] == 0)
        return NVL_STYLE_SCI_FI_DRAMATIC;
    for (int i = 0; i < NVL_STYLES; i++)
        if (strcmp(style_names[i], name) == 0)
            return i;
    return -1;
}
static int perspective_of(const char *name)
{
    if (name[0] == 0)
        return NVL_THIRD_LIMITED;
    for (int i = 0; i < NVL_PERSPECTIVES; i++)
        if (strcmp(perspective_names[i], name) == 0)
            return i;
    return -1;
}
int nvl_telling_check(const struct nvl_telling *telling, struct nvl_error *err)
{
    if (telling == NULL)
        return NVL_OK;
    const char *language = text_of(telling->language);
    if (style_of(text_of(telling->narrative_style)) < 0)
        return refuse(
            err, "telling.narrative_style",
            "known styles: sci_fi_dramatic, tactical, philosophical, literary, noir, fable");
    if (perspective_of(text_of(telling->perspective)) < 0)
        return refuse(err, "telling.perspective",
                      "known perspectives: third_limited, omniscient, first_person, journal");
    if (language[0] != 0 && strcmp(language, "en") != 0 && strncmp(language, "en-", 3) != 0)
        return refuse(err, "telling.language", "stories are told in English (en)");
    return NVL_OK;
}

/* --- setting up
 * ------------------------------------------------------------------------------------------- */

/* The first name, unless that is a title or a kind of thing: then what comes last. */
static const char *brief_of(const struct nvl_entity *e)
{
    static const char *const titles[] = { "Unit",   "Captain", "Admiral",  "Commander",
                                          "Sister", "Brother", "Father",   "Mother",
                                          "Old",    "Sir",     "Lady",     "Lord",
                                          "The",    "Agent",   "Sergeant", "Major" };
    const char *last = strrchr(e->name, ' ');
    for (size_t i = 0; last != NULL && i < sizeof(titles) / sizeof(titles[0]); i++)
        if (strcmp(e->brief, titles[i]) == 0)
            return last + 1;
    return e->brief;
}
/* "the harbour master": somebody known by what they are. */
static const char *brief_known(struct teller *t, const struct nvl_entity *e)
{
    const char *s = arena_printf(&t->scratch, "the %s", e->name);
    t->nomem |= s == NULL;
    return s != NULL ? s : e->name;
}
static void learn_people(struct teller *t)
{
    t->people = nvl_world_count(t->world, NVL_SORT_CHAR);
    t->people = t->people > PEOPLE_MAX ? PEOPLE_MAX : t->people;
    t->cast = nvl_world_cast_count(t->world);
    for (size_t i = 0; i < t->people; i++)
        t->brief[i] = i >= t->cast && !person(t, (unsigned) i)->proper
                          ? brief_known(t, person(t, (unsigned) i))
                          : brief_of(person(t, (unsigned) i));
    for (size_t i = 0; i < t->people; i++)
        t->gender[i] = morph_gender(person(t, (unsigned) i)->pronouns);
    for (size_t i = 0; i < t->cast; i++) {
        const struct nvl_strings *e = &nvl_world_profile(t->world, i)->epithets;
        for (size_t k = 0; k < e->count && t->epithet[i] == NULL; k++) {
            const char *s = e->items[k];
            bool fits = strncmp(s, "the ", 4) == 0 && strlen(s) < 32 &&
                        strpbrk(s, "<>{}[]()|@\"\\/.") == NULL;
            for (size_t o = 0; o < t->people && fits; o++)
                if (o != i) { /* nobody else may be meant by it */
                    fits = strstr(person(t, (unsigned) o)->kind, s + 4) == NULL;
                    const struct nvl_strings *other =
                        o < t->cast ? &nvl_world_profile(t->world, o)->epithets : NULL;
                    for (size_t m = 0; other != NULL && m < other->count; m++)
                        fits = fits && strcmp(other->items[m], s) != 0;
                }
            if (fits)
                t->epithet[i] = s;
        }
    }
}
static uint32_t default_words(const struct teller *t)
{
    return 450 + 40 * t->turns + 40 * (t->cast > 2 ? (uint32_t) t->cast - 2 : 0);
}
static int check_events(const struct teller *t)
{
    for (size_t i = 0; i < t->events_count; i++) {
        const struct nvl_event *e = &t->events[i];
        if (e->sequence != i + 1 || (e->op != NVL_NO_OP && e->op >= nvl_pack_op_count(t->pack)))
            return NVL_E_CORRUPT;
        if (e->args_count > NVL_ARGS_MAX || (e->actor >= t->people && e->actor < NVL_ACTOR_WORLD))
            return NVL_E_CORRUPT;
    }
    return t->events_count > 0 && t->events[0].type == NVL_STARTED ? NVL_OK : NVL_E_CORRUPT;
}
static int set_telling(struct teller *t, const struct nvl_telling *telling, struct nvl_error *err)
{
    int rc = nvl_telling_check(telling, err);
    t->only = t->narrator = -1;
    t->turns = nvl_world_turns(t->world);
    for (size_t i = 0; i < t->events_count; i++)
        if (t->events[i].type == NVL_FORKED)
            t->turns = t->events[i].turns;
    t->words = default_words(t);
    t->terse = telling != NULL && telling->words > 0 && telling->words < TERSE_WORDS;
    t->ample = telling != NULL && telling->words > t->words && !telling->at_most;
    t->capped = telling == NULL || telling->words <= t->words || telling->at_most;
    if (rc != NVL_OK || telling == NULL)
        return rc;
    t->style = (enum nvl_style) style_of(text_of(telling->narrative_style));
    t->perspective = (enum nvl_perspective) perspective_of(text_of(telling->perspective));
    t->omniscient = t->perspective == NVL_OMNISCIENT;
    if (telling->words > 0)
        t->words = telling->words < 60 ? 60 : telling->words > 8000 ? 8000 : telling->words;
    const char *who = text_of(telling->focaliser);
    for (size_t i = 0; i < t->cast && who[0] != 0; i++)
        if (strcmp(person(t, (unsigned) i)->id, who) == 0)
            t->only = (int16_t) i;
    if (who[0] != 0 && t->only < 0)
        return refuse(err, "telling.focaliser", "not a character of this story");
    return NVL_OK;
}

/* --- sentences
 * ------------------------------------------------------------------------------------------------
 */

struct cutting {
    struct teller *t;
    struct nvl_sentence *sentences;
    size_t count, capacity;
    bool paragraph;
};
static bool is_title(const char *text, size_t dot)
{
    static const char *const titles[] = { "Dr", "Mr", "Mrs", "Ms", "St", "Capt", "Lt", "Prof" };
    for (size_t i = 0; i < sizeof(titles) / sizeof(titles[0]); i++) {
        size_t k = strlen(titles[i]);
        if (dot >= k && memcmp(text + dot - k, titles[i], k) == 0 &&
            (dot == k || text[dot - k - 1] == ' ' || text[dot - k - 1] == '"'))
            return true;
    }
    return false;
}
/* End of the sentence that begins at from: a stop, its quote, then a blank and no small letter. */
static size_t sentence_end(const char *text, size_t size, size_t from)
{
    for (size_t i = from; i < size; i++) {
        if (text[i] == '\n')
            return i;
        if (!morph_stops(text[i]) || (text[i] == '.' && is_title(text, i)))
            continue;
        size_t k = i + 1;
        if (k < size && text[k] == '"')
            k++;
        if (k >= size || text[k] == '\n')
            return k;
        if (text[k] == ' ' && k + 1 < size && !(text[k + 1] >= 'a' && text[k + 1] <= 'z'))
            return k;
    }
    return size;
}
static bool sentence_entities(struct cutting *c, const struct chunk *k, size_t from, size_t to,
                              struct nvl_sentence *out)
{
    const char *ids[SENTENCE_ENTITIES], *facts[8];
    size_t n = 0, f = 0;
    for (size_t i = 0; i < k->named_count; i++) {
        const struct named *m = &k->named[i];
        const char *id = m->offset >= from && m->offset < to
                             ? nvl_entity_id(c->t->world, m->sort, m->index)
                             : "";
        bool seen = id[0] == 0 || n == SENTENCE_ENTITIES;
        for (size_t j = 0; j < n && !seen; j++)
            seen = strcmp(ids[j], id) == 0;
        if (!seen)
            ids[n++] = id;
        if (!seen && m->sort == NVL_SORT_FACT && f < 8)
            facts[f++] = id;
    }
    for (size_t i = 0; i < k->facts_count && f < 8; i++) {
        const char *id = nvl_entity_id(c->t->world, NVL_SORT_FACT, k->facts[i]);
        bool seen = id[0] == 0;
        for (size_t j = 0; j < f && !seen; j++)
            seen = strcmp(facts[j], id) == 0;
        if (!seen)
            facts[f++] = id;
    }
    out->entities = arena_copy(c->t->arena, ids, n * sizeof(ids[0]));
    out->facts = arena_copy(c->t->arena, facts, f * sizeof(facts[0]));
    out->entities_count = n, out->facts_count = f;
    return (n == 0 || out->entities != NULL) && (f == 0 || out->facts != NULL);
}
static bool cut_chunk(struct cutting *c, const struct chunk *k)
{
    size_t i = 0;
    c->paragraph |= k->fresh;
    while (i < k->size) {
        if (k->text[i] == ' ' || k->text[i] == '\n') {
            c->paragraph |= k->text[i] == '\n';
            i++;
            continue;
        }
        size_t end = sentence_end(k->text, k->size, i);
        if (c->count == c->capacity)
            return false;
        struct nvl_sentence *s = &c->sentences[c->count];
        memset(s, 0, sizeof(*s));
        s->text = arena_strndup(c->t->arena, k->text + i, end - i);
        s->events = k->events, s->events_count = k->events_count;
        s->paragraph_start = c->paragraph;
        if (s->text == NULL || !sentence_entities(c, k, i, end, s))
            return false;
        c->count++;
        c->paragraph = false;
        i = end;
    }
    return true;
}
static size_t stops_in(const struct teller *t)
{
    size_t n = 8;
    for (size_t i = 0; i < t->chunks_count; i++) {
        n += 2;
        for (size_t k = 0; k < t->chunks[i].size; k++)
            n += morph_breaks(t->chunks[i].text[k]);
    }
    return n;
}
static bool cut_story(struct teller *t, struct nvl_story *story)
{
    struct nvl_passage *passages = arena_zero(t->arena, t->scenes_count + 1, sizeof(*passages));
    struct cutting c = { .t = t, .capacity = stops_in(t) };
    c.sentences = arena_zero(t->arena, c.capacity, sizeof(*c.sentences));
    if (passages == NULL || c.sentences == NULL)
        return false;
    size_t n = 0;
    for (size_t i = 0; i < t->scenes_count; i++) {
        const struct scene *s = &t->scenes[i];
        size_t first = c.count;
        c.paragraph = true;
        for (size_t k = s->first_chunk; k < s->first_chunk + s->chunks_count; k++)
            if (!cut_chunk(&c, &t->chunks[k]))
                return false;
        if (c.count == first)
            continue;
        int16_t eyes = s->focaliser >= 0 ? s->focaliser : 0;
        passages[n] = (struct nvl_passage){ (uint32_t) n + 1, person(t, (unsigned) eyes)->id,
                                            c.sentences + first, c.count - first };
        n++;
    }
    story->passages = passages;
    story->passages_count = n;
    return true;
}

/* --- coverage
 * ---------------------------------------------------------------------------------------------------
 */

static bool story_has(const struct teller *t, const char *noun)
{
    char want[32], word[32];
    size_t at = 0;
    if (!morph_next_word(noun, strlen(noun), &at, want))
        return true;
    size_t n = strlen(want);
    n -= n > 4 && want[n - 1] == 'y';
    for (size_t i = 0; i < t->chunks_count; i++)
        for (at = 0; morph_next_word(t->chunks[i].text, t->chunks[i].size, &at, word);)
            if (strncmp(word, want, n) == 0 && strlen(word) <= n + 4)
                return true;
    return false;
}
static uint32_t coverage(const struct teller *t)
{
    size_t n = nvl_world_noun_count(t->world), found = 0;
    for (size_t i = 0; i < n; i++) {
        bool placed;
        found += story_has(t, nvl_world_noun(t->world, i, &placed));
    }
    return n == 0 ? 1000 : (uint32_t) (found * 1000 / n);
}

/* --- telling
 * ----------------------------------------------------------------------------------------------------
 */

/* One who says "I" is one person all the way; a chosen focaliser is held to what can be known. */
static void choose_narrator(struct teller *t)
{
    bool mine = t->perspective == NVL_FIRST_PERSON || t->perspective == NVL_JOURNAL;
    if (mine && t->only < 0)
        t->only = plan_focaliser(t, 0, -1);
    t->narrator = mine ? t->only : -1;
    t->limited = t->only >= 0 && !t->omniscient;
}
static int tell(struct teller *t, struct nvl_usage *usage, struct nvl_story *story)
{
    if (!prose_index_build(t->pack, &t->scratch, &t->index) || !plan_units(t))
        return NVL_E_NOMEM;
    choose_narrator(t);
    t->uses = arena_zero(&t->scratch, USES_MAX, sizeof(*t->uses));
    t->use_counts = arena_zero(&t->scratch, USES_MAX, 1);
    t->grams = arena_zero(&t->scratch, GRAMS_MAX, sizeof(*t->grams));
    vary_read(t);
    voice_choose(t);
    if (t->uses == NULL || t->use_counts == NULL || t->grams == NULL || !fit_compose(t))
        return NVL_E_NOMEM;
    if (!cut_story(t, story))
        return NVL_E_NOMEM;
    story->word_count = t->words_told;
    story->rewritten = t->rewritten;
    story->scenario_coverage = coverage(t);
    story->ending = t->ending;
    story->style = t->style;
    story->perspective = t->perspective;
    story->focaliser = t->only >= 0 ? person(t, (unsigned) t->only)->id : "";
    story->words = t->words;
    if (usage != NULL)
        usage_gather(t, usage);
    story->title = compose_title(t);
    return t->nomem || story->title == NULL ? NVL_E_NOMEM : NVL_OK;
}
/* Two requests with one seed are told apart as two seeds are. */
static void salt_seed(struct teller *t)
{
    const char *locale = nvl_world_locale(t->world), *frame = nvl_world_frame(t->world);
    t->seed ^= mix64(morph_hash(locale, strlen(locale)));
    t->seed ^= mix64(morph_hash(frame, strlen(frame)) + nvl_world_turns(t->world));
    for (size_t i = 0; i < t->cast; i++) {
        const char *id = person(t, (unsigned) i)->id;
        t->seed = mix64(t->seed ^ morph_hash(id, strlen(id)));
    }
}
int nvl_tell(const struct nvl_world *world, const struct nvl_event *events, size_t count,
             const struct nvl_telling *telling, struct arena *arena, struct nvl_error *err,
             struct nvl_story *out)
{
    return nvl_tell_counted(world, events, count, telling, NULL, arena, err, out);
}
int nvl_tell_counted(const struct nvl_world *world, const struct nvl_event *events, size_t count,
                     const struct nvl_telling *telling, struct nvl_usage *usage,
                     struct arena *arena, struct nvl_error *err, struct nvl_story *out)
{
    struct teller *t = alloc_zero(1, sizeof(*t));
    if (t == NULL)
        return NVL_E_NOMEM;
    t->world = world, t->pack = nvl_world_pack(world);
    t->events = events, t->events_count = count;
    t->arena = arena;
    t->seed = mix64(nvl_world_seed(world) + 0x7e11);
    arena_init(&t->scratch, 256 * 1024);
    struct nvl_story story = { 0 };
    learn_people(t);
    int rc = check_events(t);
    if (rc == NVL_OK)
        rc = set_telling(t, telling, err);
    salt_seed(t);
    if (rc == NVL_OK) {
        const struct nvl_event *last = &events[count - 1];
        t->ending = last->type == NVL_COMPLETED ? nvl_ending_name(world, last->ending) : "";
        rc = tell(t, usage, &story);
    }
    if (rc == NVL_OK)
        *out = story;
    arena_done(&t->scratch);
    alloc_free(t);
    return rc;
}

/* --- rendering
 * ----------------------------------------------------------------------------------------------------
 */

static void render(const struct nvl_story *story, const char *mark, struct buf *out)
{
    buf_printf(out, "%s%s\n", mark, story->title);
    for (size_t p = 0; p < story->passages_count; p++)
        for (size_t i = 0; i < story->passages[p].sentences_count; i++) {
            const struct nvl_sentence *s = &story->passages[p].sentences[i];
            buf_puts(out, s->paragraph_start || i == 0 ? (p == 0 && i == 0 ? "\n" : "\n\n") : " ");
            buf_puts(out, s->text);
        }
    buf_putc(out, '\n');
}
void nvl_story_markdown(const struct nvl_story *story, struct buf *out)
{
    render(story, "# ", out);
}
void nvl_story_text(const struct nvl_story *story, struct buf *out)
{
    render(story, "", out);
}
