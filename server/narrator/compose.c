/* compose.c — scenes out of chosen units: opening, entries, events, decisions, exits, ending. */
#include "server/engine/carry.h"
#include "server/engine/edit.h"
#include "server/narrator/teller.h"
#include <stdio.h>
#include <string.h>

enum { PARAGRAPH_WORDS = 72, GROUND_WORDS = 6, SCENE_UNITS = 3 };
struct composing {
    struct teller *t;
    uint32_t paragraph_words;
    bool ends_quoted; /* the last chunk ends with what somebody says */
    int16_t last_actor, last_speaker;
    const struct nvl_event *event; /* provenance of what is written now */
    uint32_t sequence;
    const char *image;
    size_t image_size;
    uint32_t tick;    /* units told */
    uint32_t outside; /* events whose edits have been told or passed over */
    bool weighed;
};

/* --- chunks
 * -----------------------------------------------------------------------------------------------
 */

static bool keep_chunk(struct composing *c, struct draft *d, bool fresh, int16_t actor)
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
static bool begins_paragraph(const struct composing *c, bool speaks, int16_t actor)
{
    if (c->paragraph_words == 0 || c->paragraph_words > PARAGRAPH_WORDS)
        return true;
    if ((speaks || c->last_speaker >= 0) && actor != c->last_actor)
        return true;
    if (speaks && c->ends_quoted) /* two quotations side by side read as two people */
        return true;
    return actor != c->last_actor && c->paragraph_words > 46;
}
static void paragraph_here(struct composing *c, bool fresh)
{
    if (fresh)
        c->t->discourse.paragraph_start = c->t->discourse.sentence;
}
/* A part of the story that is no event of its own: kind and key choose it. */
static bool put_part(struct composing *c, struct env *env, enum prose_kind kind, const char *key,
                     bool fresh)
{
    struct draft d;
    fresh = fresh || c->paragraph_words > PARAGRAPH_WORDS || c->last_speaker >= 0;
    struct discourse before = c->t->discourse;
    paragraph_here(c, fresh);
    if (expand_chunk(c->t, env, kind, key, &d) && usage_repeats(c->t, &d) == 0)
        return keep_chunk(c, &d, fresh, c->t->focaliser);
    c->t->discourse = before;
    return false;
}

/* --- what profiles say
 * -------------------------------------------------------------------------------------- */

static bool put_intro(struct composing *c, int16_t who, bool fresh)
{
    struct teller *t = c->t;
    if (who < 0 || (size_t) who >= t->cast || t->profile_used[who] || t->terse)
        return true;
    struct env env;
    env_story(t, &env);
    env_add(&env, "A", NVL_SORT_CHAR, (unsigned) who);
    env_profile(t, who, &env);
    if (put_part(c, &env, PROSE_INTRO, "any", fresh))
        t->profile_used[who] = 1;
    return !t->nomem;
}

/* --- the user's words
 * ----------------------------------------------------------------------------------------- */

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
static void put_phrases(struct composing *c)
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
        put_part(c, &env, PROSE_GROUND, keys[kind], false);
    if (said[0] != 0)
        put_part(c, &env, PROSE_GROUND, "said", false);
}
/* Words of the user that the story has not used yet are brought in by the ground rules. */
static void put_ground(struct composing *c)
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
    put_part(c, &env, PROSE_GROUND, keys[l.count < 3 ? l.count - 1 : 2], false);
    t->nomem |= b.failed || dots.failed;
    buf_done(&b);
    buf_done(&dots);
}

/* --- events
 * -----------------------------------------------------------------------------------------------
 */

/* A journal reports: where an event would be quoted at length, its plain line in the past. */
static bool report(struct teller *t, const struct env *env, const struct nvl_op_info *info,
                   unsigned outcome, struct draft *d)
{
    const char *plain = outcome <= NVL_FAIL ? info->plain[outcome] : NULL;
    struct buf b = { 0 };
    if (plain == NULL)
        return false;
    past_plain(plain, &b);
    draft_begin(t, d);
    d->plain = true;
    bool told = !b.failed && expand_text(t, env, d, buf_text(&b), b.size, 0);
    t->nomem |= b.failed;
    buf_done(&b);
    return told && (!t->limited || know_allows(t, d)) && usage_repeats(t, d) == 0;
}
static bool journal_event(struct composing *c, const struct env *env,
                          const struct nvl_op_info *info, unsigned outcome, struct draft *d,
                          bool told)
{
    struct teller *t = c->t;
    bool quotes = told && memchr(d->text, '"', d->size) != NULL;
    bool often = t->quotes_told * 3 > t->chunks_told;
    struct draft reported;
    if ((!told || (quotes && (often || journal_quotes_too_much(d)))) &&
        report(t, env, info, outcome, &reported)) {
        draft_copy(d, &reported);
        told = true, quotes = false;
    }
    t->chunks_told += told;
    t->quotes_told += quotes;
    return told;
}
static bool event_chunk(struct composing *c, const struct nvl_event *e, bool fresh)
{
    struct teller *t = c->t;
    struct nvl_op_info info;
    nvl_pack_op(t->pack, e->op, &info);
    struct env env;
    env_story(t, &env);
    env_event(t, e, &env);
    char key[PROSE_KEY_MAX + 16];
    struct draft d;
    unsigned outcome = e->outcome == NVL_NO_OUTCOME ? NVL_DONE : e->outcome;
    snprintf(key, sizeof(key), "%s.%s", info.name, nvl_outcome_name(outcome));
    struct discourse before = t->discourse;
    fresh |= style_is_log(t);
    paragraph_here(c, fresh);
    if (style_is_log(t)) {
        if (style_log_event(t, &env, e, &info, &d))
            return keep_chunk(c, &d, fresh, e->actor < PEOPLE_MAX ? (int16_t) e->actor : -1);
        t->discourse = before;
        return false;
    }
    bool told = expand_chunk(t, &env, PROSE_SAY, key, &d);
    if (!told && outcome == NVL_CRITICAL) {
        snprintf(key, sizeof(key), "%s.ok", info.name);
        told = expand_chunk(t, &env, PROSE_SAY, key, &d);
    }
    if (t->perspective == NVL_JOURNAL) {
        told = journal_event(c, &env, &info, outcome, &d, told);
    } else if (!told && t->limited) {
        told = report(t, &env, &info, outcome, &d);
    } else if (!told && outcome <= NVL_FAIL && info.plain[outcome] != NULL) {
        draft_begin(t, &d);
        told = expand_text(t, &env, &d, info.plain[outcome], strlen(info.plain[outcome]), 0);
    }
    if (told && usage_repeats(t, &d) > 0 && strcmp(info.family, "ending") != 0)
        told = false; /* better untold than told in the same words */
    if (told)
        style_lead(t, &d);
    if (told)
        return keep_chunk(c, &d, fresh, e->actor < PEOPLE_MAX ? (int16_t) e->actor : -1);
    t->discourse = before;
    return false;
}
/* What the style makes of an act: by what kind of act it was, else at large. */
static void put_muse(struct composing *c, const struct nvl_event *e)
{
    struct teller *t = c->t;
    if (!style_muses(t, e) || e->op == NVL_NO_OP || t->terse)
        return;
    struct nvl_op_info info;
    struct env env;
    nvl_pack_op(t->pack, e->op, &info);
    env_story(t, &env);
    env_event(t, e, &env);
    if (!put_part(c, &env, PROSE_MUSE, info.family, false))
        put_part(c, &env, PROSE_MUSE, "any", false);
}
/* A narrator who knows all says once what nobody in the story knows yet. */
static void put_irony(struct composing *c, uint32_t event)
{
    struct teller *t = c->t;
    int fact = t->omniscient && !style_is_log(t) && !t->terse ? style_irony_fact(t, event) : -1;
    struct env env;
    if (fact < 0)
        return;
    env_story(t, &env);
    env_add(&env, "X", NVL_SORT_FACT, (unsigned) fact);
    put_part(c, &env, PROSE_MUSE, "irony", false);
}
/* The act as "do" reads it, kept as text; NULL when it cannot be said. */
static const char *act_phrase(struct teller *t, const struct nvl_event *like, unsigned op,
                              const uint8_t *args, unsigned n)
{
    struct nvl_event e = *like;
    struct nvl_op_info info;
    struct env env;
    struct draft d;
    if (op >= nvl_pack_op_count(t->pack) || n > NVL_ARGS_MAX)
        return NULL;
    e.op = (uint16_t) op, e.args_count = (uint8_t) n;
    memcpy(e.args, args, n);
    nvl_pack_op(t->pack, op, &info);
    env_story(t, &env);
    env_event(t, &e, &env);
    struct discourse before = t->discourse;
    bool ok = expand_chunk(t, &env, PROSE_DO, info.name, &d);
    t->discourse = before;
    if (!ok)
        return NULL;
    if (d.text[0] >= 'A' && d.text[0] <= 'Z')
        d.text[0] = (char) (d.text[0] - 'A' + 'a');
    const char *s = arena_strndup(&t->scratch, d.text, d.size);
    t->nomem |= s == NULL;
    return s;
}
/* A choice is worth weighing where it may end things, mend them or help somebody. */
static bool grave(const struct teller *t, unsigned op)
{
    struct nvl_op_info info;
    if (op >= nvl_pack_op_count(t->pack))
        return false;
    nvl_pack_op(t->pack, op, &info);
    return strcmp(info.family, "ending") == 0 || strcmp(info.family, "help") == 0 ||
           strcmp(info.family, "doom") == 0;
}
/* Before a choice that cost something: what else could have been done. */
static void put_weigh(struct composing *c, const struct nvl_event *e)
{
    struct teller *t = c->t;
    if (e->actor >= t->cast || (!t->omniscient && e->actor != (uint8_t) t->focaliser) ||
        e->phase < NVL_CRISIS || t->terse)
        return;
    const struct nvl_alternative *a = &e->alternatives[0];
    if (a->op == NVL_NO_OP || a->op == e->op || (!grave(t, e->op) && !grave(t, a->op)))
        return;
    const char *done = act_phrase(t, e, e->op, e->args, e->args_count);
    const char *other = act_phrase(t, e, a->op, a->args, a->args_count);
    if (done == NULL || other == NULL || strcmp(done, other) == 0)
        return;
    struct env env;
    env_story(t, &env);
    env_event(t, e, &env);
    env_text(&env, "DO", done);
    env_text(&env, "ALT", other);
    if (!t->profile_used[e->actor] || e->phase == NVL_CLIMAX)
        env_profile(t, (int16_t) e->actor, &env);
    env_add(&env, "A", NVL_SORT_CHAR, e->actor);
    if (put_part(c, &env, PROSE_WEIGH, "any", true))
        c->weighed = true;
}
/* What the focaliser came to know by an event that does not itself say it. */
static void put_learned(struct composing *c, const struct nvl_event *e)
{
    struct teller *t = c->t;
    int fact = t->limited && !style_is_log(t) ? know_learned(t, e) : -1;
    struct env env;
    if (fact < 0 || fact >= THINGS_MAX || (t->facts_told >> fact & 1) != 0)
        return; /* nothing, or it has been said */
    env_story(t, &env);
    env_add(&env, "X", NVL_SORT_FACT, (unsigned) fact);
    c->sequence = e->sequence;
    put_part(c, &env, PROSE_MUSE, "learned", false);
}
/* The scene's place is the focaliser's. */
static void stand_here(struct teller *t, uint32_t event)
{
    plan_follow(t, event);
    if (t->focaliser >= 0 && t->at[t->focaliser] >= 0)
        t->place = t->at[t->focaliser];
}
/* An edit is not told as such; who we are with may notice what it did.  True when something was
 * told. */
static bool put_noticed(struct composing *c, const struct nvl_event *e)
{
    struct teller *t = c->t;
    unsigned who = (unsigned) t->focaliser;
    bool item = e->change.kind == NVL_EDIT_ITEM, held = e->change.to_sort == NVL_SORT_CHAR;
    if (e->deltas_count + e->beliefs_count == 0 || !(e->witnesses >> who & 1))
        return false;
    struct env env;
    stand_here(t, c->outside);
    env_story(t, &env);
    env_add(&env, "A", NVL_SORT_CHAR, item && held ? e->change.to : who);
    c->event = e, c->sequence = e->sequence;
    if (item) {
        env_add(&env, "I", NVL_SORT_ITEM, e->change.thing);
        return put_part(c, &env, PROSE_MUSE, held ? "in_hand" : "turns_up", false);
    }
    if (e->change.kind != NVL_EDIT_WHISPER || e->change.value == NVL_DISBELIEVES)
        return false;
    const struct nvl_entity *fact = nvl_world_entity(t->world, NVL_SORT_FACT, e->change.thing);
    env_add(&env, "X", NVL_SORT_FACT, e->change.thing);
    return fact != NULL && fact->owner < 0 && /* somebody's secret is quoted by nobody */
           put_part(c, &env, PROSE_MUSE, "out_of_nowhere", false);
}
/* One of all that came since the last unit is enough. */
static void put_outside(struct composing *c, uint32_t before)
{
    bool told = c->t->focaliser < 0 || style_is_log(c->t);
    for (; c->outside < before && c->outside < c->t->events_count; c->outside++) {
        const struct nvl_event *e = &c->t->events[c->outside];
        told = told || (e->type == NVL_INTERVENTION && put_noticed(c, e));
    }
}
static void put_unit(struct composing *c, const struct unit *u)
{
    struct teller *t = c->t;
    put_outside(c, u->first);
    for (uint32_t i = u->first; i < u->first + u->count && !t->nomem; i++) {
        const struct nvl_event *e = &t->events[i];
        if (!plan_sees(t, e, t->focaliser))
            continue;
        c->event = t->now = e;
        c->sequence = e->sequence;
        bool speaks = e->type == NVL_SPEECH || e->type == NVL_REACTION;
        int16_t actor = e->actor < PEOPLE_MAX ? (int16_t) e->actor : -1;
        if (!c->weighed && i == u->first)
            put_weigh(c, e);
        stand_here(t, i);
        event_chunk(c, e, begins_paragraph(c, speaks, actor));
        if (i == u->first && actor == t->focaliser && c->tick >= 1 && !style_is_log(t))
            put_intro(c, t->focaliser, false);
    }
    put_learned(c, &t->events[u->first]);
    put_muse(c, &t->events[u->first]);
    c->tick++;
}

/* --- scenes
 * ---------------------------------------------------------------------------------------------------
 */

static void scene_env(struct composing *c, struct env *env, const struct nvl_event *e)
{
    struct teller *t = c->t;
    env_story(t, env);
    env->facts.values[TAG_PHASE] = nvl_phase_name(e->phase);
    env_text(env, "CLOCK", style_clock(t, e));
    for (size_t i = 0; i < t->cast; i++)
        if ((int16_t) i != t->focaliser && (!t->limited || t->at[i] == t->at[t->only])) {
            env_add(env, "B", NVL_SORT_CHAR, (unsigned) i);
            break;
        }
    for (size_t i = 0; i < nvl_world_count(t->world, NVL_SORT_PLACE); i++)
        if (nvl_world_entity(t->world, NVL_SORT_PLACE, i)->from_user) {
            env_add(env, "SITE", NVL_SORT_PLACE, (unsigned) i);
            break;
        }
}
/* The first image and its echo: a thing of the frame the story opens on and comes back to. */
static void choose_image(struct composing *c)
{
    struct teller *t = c->t;
    struct env env;
    env_story(t, &env);
    uint64_t best = 0;
    for (size_t i = 0; i < t->index.count; i++) {
        const struct prose_rule *r = &t->index.rules[i];
        if (r->kind != PROSE_IMAGE || prose_rule_match(r, &env.facts) < 0)
            continue;
        uint64_t rank = mix64(t->seed ^ morph_hash(r->key, r->key_size)) >> 2 | 1;
        rank += prose_rule_match(r, &env.facts) > 1 ? UINT64_C(1) << 62 : 0;
        if (rank > best) {
            best = rank;
            c->image = r->key;
            c->image_size = r->key_size;
        }
    }
}
static void put_image(struct composing *c, struct env *env, enum prose_kind kind, bool fresh)
{
    char key[PROSE_KEY_MAX + 1] = "";
    if (c->image == NULL)
        return;
    memcpy(key, c->image, c->image_size);
    put_part(c, env, kind, key, fresh);
}
/* --- previously
 * ------------------------------------------------------------------------------- */

/* What is told of a chapter before rests on no event of this one, but on a fact. */
static void rests_on_fact(struct composing *c, unsigned fact)
{
    struct chunk *k = &c->t->chunks[c->t->chunks_count - 1];
    uint8_t one = (uint8_t) fact;
    k->events = NULL, k->events_count = 0;
    k->facts = arena_copy(&c->t->scratch, &one, 1);
    k->facts_count = k->facts != NULL;
    c->t->nomem |= k->facts == NULL;
}
/* Who has something left over with whom: the pair with the most of it, from the first state. */
static bool left_over(const struct teller *t, const char *fluent, unsigned *out_a, unsigned *out_b)
{
    int f = nvl_pack_fluent_find(t->pack, fluent), best = 0;
    bool secret = strcmp(fluent, "knew") == 0;
    size_t columns = nvl_world_count(t->world, secret ? NVL_SORT_FACT : NVL_SORT_CHAR);
    for (unsigned a = 0; f >= 0 && a < t->cast; a++)
        for (unsigned b = 0; b < columns; b++) {
            int cell = nvl_world_cell(t->world, (size_t) f, a, b);
            int whose = secret ? nvl_world_entity(t->world, NVL_SORT_FACT, b)->owner : (int) b;
            if (cell < 0 || whose < 0 || whose >= (int) t->cast ||
                nvl_world_initial(t->world)[cell] <= best)
                continue;
            best = nvl_world_initial(t->world)[cell];
            *out_a = a, *out_b = (unsigned) whose;
        }
    return best >= (secret ? 1 : 10);
}
/* One short paragraph of what came before: where it was and how it ended, and what is left of it
 * between two of them. */
static void put_previously(struct composing *c)
{
    struct teller *t = c->t;
    struct nvl_canon fact, last = { .kind = 0 };
    for (size_t i = 0; nvl_canon_at(t->world, i, &fact); i++)
        if (fact.chapter == nvl_carry_chapters(t->world) &&
            (fact.kind == NVL_CANON_ENDING || last.kind == 0))
            last = fact;
    if (last.kind == 0)
        return;
    struct env env;
    env_story(t, &env);
    env_text(&env, "OLD", nvl_carry_locale(t->world));
    env_text(&env, "PAST", last.clause);
    if (!put_part(c, &env, PROSE_OPEN, style_is_log(t) ? "previously_log" : "previously", true))
        return;
    rests_on_fact(c, last.fact);
    unsigned a, b;
    const char *left = left_over(t, "owed", &a, &b)   ? "previously_owed"
                       : left_over(t, "knew", &a, &b) ? "previously_knew"
                                                      : NULL;
    if (left == NULL || style_is_log(t))
        return;
    env_add(&env, "A", NVL_SORT_CHAR, a);
    env_add(&env, "B", NVL_SORT_CHAR, b);
    if (put_part(c, &env, PROSE_OPEN, left, false))
        rests_on_fact(c, last.fact);
}
/* A log begins with where, who and what is known. */
static void put_log_head(struct composing *c, struct env *env)
{
    struct teller *t = c->t;
    struct buf b = { 0 };
    for (size_t i = 0; i < t->cast; i++) {
        if ((int16_t) i != t->narrator)
            buf_printf(&b, "%s%s", b.size == 0 ? "" : ", ", person(t, (unsigned) i)->name);
        t->discourse.people[i].introduced = true;
    }
    buf_puts(&b, t->narrator < 0 ? "" : b.size == 0 ? "myself" : ", myself");
    env_text(env, "NAMES", buf_str(&b));
    env_text(env, "SAID", nvl_world_saying(t->world));
    put_part(c, env, PROSE_OPEN, "log", true);
    if (nvl_world_saying(t->world)[0] != 0)
        put_part(c, env, PROSE_GROUND, "log", true);
    t->nomem |= b.failed;
    buf_done(&b);
    put_ground(c);
}
/* The heading of an entry, a paragraph of its own. */
static void put_day(struct composing *c, const struct nvl_event *e)
{
    struct teller *t = c->t;
    const char *day = journal_day(t, e);
    const char *text = t->day != NULL && strcmp(day, t->day) == 0 ? "Later." : day;
    struct draft d;
    if (style_is_log(t) && t->day != NULL && strncmp(day, t->day, strcspn(day, ",")) == 0)
        return; /* a log has its own times: only the days are headed */
    draft_begin(t, &d);
    draft_puts(&d, text, strlen(text), false);
    c->sequence = e->sequence;
    if (keep_chunk(c, &d, true, t->focaliser))
        c->paragraph_words = PARAGRAPH_WORDS + 1; /* what follows begins another */
    t->day = day;
}
static void scene_begin(struct composing *c, const struct nvl_event *e)
{
    struct teller *t = c->t;
    bool first = t->scenes_count == 0;
    t->scenes[t->scenes_count++] = (struct scene){ t->chunks_count, 0, t->focaliser };
    stand_here(t, (uint32_t) (e - t->events));
    c->event = t->now = e, c->sequence = first ? 1 : e->sequence;
    c->paragraph_words = 0, c->last_speaker = c->last_actor = -1;
    struct env env;
    scene_env(c, &env, e);
    bool journal = t->perspective == NVL_JOURNAL;
    if (journal) {
        put_day(c, first ? &t->events[0] : e);
        c->sequence = first ? 1 : e->sequence;
    }
    if (first)
        put_previously(c);
    if (first && style_is_log(t)) {
        put_log_head(c, &env);
        c->sequence = e->sequence;
    } else if (first) {
        if (journal && !t->terse)
            put_part(c, &env, PROSE_INTRO, "journal", true);
        if (!t->terse)
            put_image(c, &env, PROSE_IMAGE, true);
        put_part(c, &env, PROSE_OPEN, nvl_world_frame(t->world), t->terse);
        if (!t->terse) {
            put_phrases(c);
            put_ground(c);
        }
        if (t->narrator >= 0 && !journal)
            put_part(c, &env, PROSE_INTRO, "me", false);
        c->sequence = e->sequence;
    } else {
        if (t->terse)
            return;
        if (!journal || style_is_log(t) || t->scenes_count % 2 == 0 ||
            !put_part(c, &env, PROSE_ENTRY, "journal", true))
            put_part(c, &env, PROSE_ENTRY, "any", true);
        if (t->scenes_count == 2) {
            put_ground(c);
            put_irony(c, (uint32_t) (e - t->events));
        }
    }
}
/* What the log says of the ending, as one of those concerned says it: "They" are "We". */
static const char *as_ours(struct teller *t, const char *text)
{
    struct env env;
    struct draft d;
    env_story(t, &env);
    draft_begin(t, &d);
    d.plain = true;
    if (t->narrator < 0 || !expand_text(t, &env, &d, text, strlen(text), 0))
        return text;
    const char *s = arena_strndup(&t->scratch, d.text, d.size);
    t->nomem |= s == NULL;
    return s;
}
static void scene_end(struct composing *c, const struct nvl_event *e, bool last)
{
    struct teller *t = c->t;
    struct env env;
    scene_env(c, &env, e);
    c->sequence = e->sequence;
    if (!last) {
        bool journal = t->perspective == NVL_JOURNAL && t->scenes_count % 2 == 0;
        if (t->terse)
            return;
        if (!style_is_log(t) &&
            !(journal && put_part(c, &env, PROSE_EXIT, "journal", false)))
            put_part(c, &env, PROSE_EXIT, "any", false);
        return;
    }
    t->focaliser = t->scenes[0].focaliser; /* who began it ends it, if still there to do so */
    for (size_t i = 0;
         i < t->cast && t->only < 0 && !plan_awake_last(t, (unsigned) t->focaliser); i++)
        t->focaliser = plan_awake_last(t, (unsigned) i) ? (int16_t) i : t->focaliser;
    env_add(&env, "F", NVL_SORT_CHAR, (unsigned) t->focaliser);
    const struct nvl_event *end = &t->events[t->events_count - 1];
    uint32_t known_by = e->sequence;
    enum know_end knows = end->type == NVL_COMPLETED ? know_ending(t, &known_by) : KNOW_SAW;
    if (knows == KNOW_NOT) { /* a version may honestly stop short */
        put_part(c, &env, PROSE_CLOSE, "unseen", true);
        return;
    }
    c->sequence = known_by;
    if (knows == KNOW_LEARNED)
        put_part(c, &env, PROSE_CLOSE, "learned", true);
    c->sequence = end->type == NVL_COMPLETED ? end->sequence : e->sequence;
    if (style_is_log(t) && t->ending[0] != 0) {
        struct buf b = { 0 };
        nvl_event_text(t->world, end, true, &b);
        env_text(&env, "ENDING", as_ours(t, buf_str(&b)));
        put_part(c, &env, PROSE_CLOSE, "log", true);
        t->nomem |= b.failed;
        buf_done(&b);
        return;
    }
    if (t->ending[0] == 0 || !put_part(c, &env, PROSE_CLOSE, t->ending, true))
        put_part(c, &env, PROSE_CLOSE, t->ending[0] != 0 ? "any" : "unfinished", true);
    if (t->terse)
        return;
    put_image(c, &env, PROSE_ECHO, false);
    if (t->perspective == NVL_JOURNAL)
        put_part(c, &env, PROSE_CLOSE, "journal", false);
}
static bool scene_turns(const struct teller *t, const struct unit *u, const struct unit *before,
                        size_t units, int16_t eyes)
{
    if (before == NULL)
        return true;
    const struct nvl_event *e = &t->events[u->first], *b = &t->events[before->first];
    if (eyes != t->focaliser)
        return true;
    return units >= SCENE_UNITS &&
           (u->phase != before->phase || (units >= 2 * SCENE_UNITS && e->place != b->place));
}
bool compose(struct teller *t)
{
    struct composing c = { .t = t, .last_actor = -1, .last_speaker = -1 };
    t->chunks_capacity = t->units_count * 3 + 64;
    t->chunks = arena_zero(&t->scratch, t->chunks_capacity, sizeof(*t->chunks));
    t->scenes = arena_zero(&t->scratch, t->units_count + 2, sizeof(*t->scenes));
    if (t->chunks == NULL || t->scenes == NULL)
        return false;
    choose_image(&c);
    const struct unit *before = NULL;
    size_t in_scene = 0;
    int16_t eyes[8], previous = -1;
    for (unsigned p = 0; p < 8; p++)
        eyes[p] = previous = p == 0 ? plan_focaliser(t, 0, -1) : plan_focaliser(t, p, previous);
    t->focaliser = eyes[0];
    for (size_t i = 0; i < t->units_count && !t->nomem; i++) {
        const struct unit *u = &t->units[i];
        if (!u->chosen)
            continue;
        if (scene_turns(t, u, before, in_scene, eyes[u->phase & 7])) {
            if (before != NULL)
                scene_end(&c, &t->events[before->first], false);
            t->focaliser = eyes[u->phase & 7];
            scene_begin(&c, &t->events[u->first]);
            in_scene = 0;
        }
        put_unit(&c, u);
        before = u;
        in_scene++;
    }
    if (before != NULL)
        scene_end(&c, &t->events[before->first], true);
    else if (t->events_count > 0) {
        scene_begin(&c, &t->events[0]);
        scene_end(&c, &t->events[t->events_count - 1], true);
    }
    return !t->nomem;
}

const char *compose_title(struct teller *t)
{
    struct env env;
    struct composing c = { .t = t };
    scene_env(&c, &env, &t->events[t->events_count > 0 ? t->events_count - 1 : 0]);
    struct draft d;
    t->vary_count = 0; /* titles stand as they are written */
    refer_reset(t);    /* a title stands before the story: nothing has been said yet */
    memset(t->grams, 0, GRAMS_MAX * sizeof(*t->grams));
    memset(t->uses, 0, USES_MAX * sizeof(*t->uses));
    memset(t->last_openers, 0, sizeof(t->last_openers));
    if (!expand_chunk(t, &env, PROSE_TITLE, "any", &d))
        return nvl_world_locale(t->world);
    const char *s = arena_strndup(t->arena, d.text, d.size);
    t->nomem |= s == NULL;
    return s;
}
