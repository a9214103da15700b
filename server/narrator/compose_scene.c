/* compose_scene.c — how a scene begins and ends; the story's opening, "previously", close, title. */
#include "server/engine/carry.h"
#include "server/narrator/compose.h"

#include <stdio.h>
#include <string.h>

enum { COMPANY_WORDS = 430 }; /* a shorter story has no room to name them all at once */

/* --- scenes --- */

/* Those of the cast who are where the focaliser is: {B}, {C} and so on; returns how many. */
static unsigned env_company(const struct teller *t, struct env *env)
{
    static const char *const names[] = { "B", "C", "D", "E", "G" };
    unsigned count = 0;
    for (size_t i = 0; i < t->cast && t->focaliser >= 0 && count < 5; i++)
        if ((int16_t) i != t->focaliser && t->at[i] == t->at[t->focaliser])
            env_add(env, names[count++], NVL_SORT_CHAR, (unsigned) i);
    return count;
}
static void scene_env(struct composing *c, struct env *env, const struct nvl_event *e)
{
    struct teller *t = c->t;
    env_story(t, env);
    env->facts.values[TAG_PHASE] = nvl_phase_name(e->phase);
    env_text(env, "CLOCK", style_clock(t, e));
    env_company(t, env);
    if (c->left >= 0 && t->place >= 0 && c->left != t->place)
        env_add(env, "FROM", NVL_SORT_PLACE, (unsigned) c->left);
    if (c->left >= 0 && c->left == t->place)
        env_add(env, "STILL", NVL_SORT_PLACE, (unsigned) c->left);
    for (size_t i = 0; i < nvl_world_count(t->world, NVL_SORT_PLACE); i++)
        if (nvl_world_entity(t->world, NVL_SORT_PLACE, i)->from_user) {
            env_add(env, "SITE", NVL_SORT_PLACE, (unsigned) i);
            break;
        }
}
/* The first image and its echo: a thing of the frame the story opens on and comes back to. */
void compose_choose_image(struct composing *c)
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
    if (kind == PROSE_ECHO && c->t->ending[0] != 0 && c->image_size + 5 < sizeof(key)) {
        const struct nvl_event *end = &c->t->events[c->t->events_count - 1];
        snprintf(key + c->image_size, sizeof(key) - c->image_size, "%s",
                 nvl_ending_tone(c->t->world, end->ending) >= 0 ? "_well" : "_ill");
        if (compose_part(c, env, kind, key, fresh))
            return;
        key[c->image_size] = 0;
    }
    compose_part(c, env, kind, key, fresh);
}
/* Who else is there when it begins. */
static void put_company(struct composing *c)
{
    static const char *const keys[] = { "with1", "with2", "with3", "with4", "with5" };
    struct env env;
    env_story(c->t, &env);
    unsigned count = env_company(c->t, &env);
    if (count > 0)
        compose_part(c, &env, PROSE_INTRO, keys[count - 1], false);
}
/* --- previously --- */

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
    if (!compose_part(c, &env, PROSE_OPEN, style_is_log(t) ? "previously_log" : "previously", true))
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
    if (compose_part(c, &env, PROSE_OPEN, left, false))
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
    compose_part(c, env, PROSE_OPEN, "log", true);
    if (nvl_world_saying(t->world)[0] != 0)
        compose_part(c, env, PROSE_GROUND, "log", true);
    t->nomem |= b.failed;
    buf_done(&b);
    compose_ground(c);
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
    if (compose_keep(c, &d, true, t->focaliser))
        c->paragraph_words = PARAGRAPH_WORDS + 1; /* what follows begins another */
    t->day = day;
}
void compose_stand(struct teller *t, uint32_t event)
{
    plan_follow(t, event);
    if (t->focaliser >= 0 && t->at[t->focaliser] >= 0)
        t->place = t->at[t->focaliser];
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
    compose_part(c, &env, PROSE_MUSE, "irony", false);
}
void compose_scene_begin(struct composing *c, const struct nvl_event *e)
{
    struct teller *t = c->t;
    bool first = t->scenes_count == 0;
    t->scenes[t->scenes_count++] = (struct scene){ t->chunks_count, 0, t->focaliser };
    c->left = t->scenes_count > 1 ? t->place : -1;
    compose_stand(t, (uint32_t) (e - t->events));
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
            compose_part(c, &env, PROSE_INTRO, "journal", true);
        if (!t->terse) {
            put_image(c, &env, PROSE_IMAGE, true);
            if (t->words >= COMPANY_WORDS)
                put_company(c);
        }
        compose_part(c, &env, PROSE_OPEN, nvl_world_frame(t->world), t->terse);
        if (!t->terse) {
            compose_phrases(c);
            compose_ground(c);
        }
        if (t->narrator >= 0 && !journal)
            compose_part(c, &env, PROSE_INTRO, "me", false);
        c->sequence = e->sequence;
    } else {
        if (t->terse || (e->phase == NVL_RESOLUTION && !know_settled(t, e->sequence)))
            return; /* what begins as an aftermath is not one yet */
        if (!journal || style_is_log(t) || t->scenes_count % 2 == 0 ||
            !compose_part(c, &env, PROSE_ENTRY, "journal", true))
            compose_part(c, &env, PROSE_ENTRY, "any", true);
        if (t->scenes_count == 2) {
            compose_ground(c);
            put_irony(c, (uint32_t) (e - t->events));
        }
    }
    c->place = t->place; /* an entry says where they are */
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
void compose_scene_end(struct composing *c, const struct nvl_event *e, bool last)
{
    struct teller *t = c->t;
    struct env env;
    if (!last)
        compose_stand(t, (uint32_t) (e - t->events) + 1); /* a scene ends where its act led to */
    scene_env(c, &env, e);
    c->sequence = e->sequence;
    if (!last) {
        bool journal = t->perspective == NVL_JOURNAL && t->scenes_count % 2 == 0;
        bool gone = e->phase == NVL_CLIMAX && t->focaliser >= 0 &&
                    !plan_awake_last(t, (unsigned) t->focaliser);
        bool open = e->phase == NVL_CLIMAX && !know_settled(t, e->sequence + 1);
        if (t->terse || gone || open) /* the dead do not look back, and nobody before it is over */
            return;
        if (!style_is_log(t) && !journal && (mix64(t->seed ^ (e->pass * 977u + e->op)) & 1) != 0) /* not by number: forks shift those */
            return; /* most scenes end with what happens in them */
        if (!style_is_log(t) &&
            !(journal && compose_part(c, &env, PROSE_EXIT, "journal", false)))
            compose_part(c, &env, PROSE_EXIT, "any", false);
        return;
    }
    t->focaliser = t->scenes[0].focaliser; /* who began it ends it, if still there to do so */
    for (size_t i = 0;
         i < t->cast && t->only < 0 && !plan_awake_last(t, (unsigned) t->focaliser); i++)
        t->focaliser = plan_awake_last(t, (unsigned) i) ? (int16_t) i : t->focaliser;
    env_add(&env, "F", NVL_SORT_CHAR, (unsigned) t->focaliser);
    env_outcome(t, &env);
    const struct nvl_event *end = &t->events[t->events_count - 1];
    uint32_t known_by = e->sequence;
    enum know_end knows = end->type == NVL_COMPLETED ? know_ending(t, &known_by) : KNOW_SAW;
    if (knows == KNOW_NOT) { /* a version may honestly stop short */
        compose_part(c, &env, PROSE_CLOSE, "unseen", true);
        return;
    }
    c->sequence = known_by;
    if (knows == KNOW_LEARNED)
        compose_part(c, &env, PROSE_CLOSE, "learned", true);
    c->sequence = end->type == NVL_COMPLETED ? end->sequence : e->sequence;
    if (style_is_log(t) && t->ending[0] != 0) {
        struct buf b = { 0 };
        nvl_event_text(t->world, end, true, &b);
        env_text(&env, "ENDING", as_ours(t, buf_str(&b)));
        compose_part(c, &env, PROSE_CLOSE, "log", true);
        t->nomem |= b.failed;
        buf_done(&b);
        return;
    }
    if (t->ending[0] == 0 || !compose_part(c, &env, PROSE_CLOSE, t->ending, true))
        compose_part(c, &env, PROSE_CLOSE, t->ending[0] != 0 ? "any" : "unfinished", true);
    if (t->terse)
        return;
    put_image(c, &env, PROSE_ECHO, false);
    if (t->perspective == NVL_JOURNAL)
        compose_part(c, &env, PROSE_CLOSE, "journal", false);
}

const char *compose_title(struct teller *t)
{
    struct env env;
    struct composing c = { .t = t, .left = -1 };
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
