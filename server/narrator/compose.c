/* compose.c — scenes out of chosen units: entries, events, decisions. */
#include "server/engine/edit.h"
#include "server/narrator/compose.h"

#include <stdio.h>
#include <string.h>

enum { SCENE_UNITS = 3 };

/* --- events --- */

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
    compose_paragraph_here(c, fresh);
    if (style_is_log(t)) {
        if (style_log_event(t, &env, e, &info, &d))
            return compose_keep(c, &d, fresh, e->actor < PEOPLE_MAX ? (int16_t) e->actor : -1);
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
        compose_place_lead(c, e, &d);
    if (told)
        compose_aim_lead(c, e, &d);
    if (told)
        return compose_keep(c, &d, fresh, e->actor < PEOPLE_MAX ? (int16_t) e->actor : -1);
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
    if (!compose_part(c, &env, PROSE_MUSE, info.family, false))
        compose_part(c, &env, PROSE_MUSE, "any", false);
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
    if (compose_part(c, &env, PROSE_WEIGH, "any", true))
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
    compose_part(c, &env, PROSE_MUSE, "learned", false);
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
    compose_stand(t, c->outside);
    env_story(t, &env);
    env_add(&env, "A", NVL_SORT_CHAR, item && held ? e->change.to : who);
    c->event = e, c->sequence = e->sequence;
    if (item) {
        env_add(&env, "I", NVL_SORT_ITEM, e->change.thing);
        return compose_part(c, &env, PROSE_MUSE, held ? "in_hand" : "turns_up", false);
    }
    if (e->change.kind != NVL_EDIT_WHISPER || e->change.value == NVL_DISBELIEVES)
        return false;
    const struct nvl_entity *fact = nvl_world_entity(t->world, NVL_SORT_FACT, e->change.thing);
    env_add(&env, "X", NVL_SORT_FACT, e->change.thing);
    return fact != NULL && fact->owner < 0 && /* somebody's secret is quoted by nobody */
           compose_part(c, &env, PROSE_MUSE, "out_of_nowhere", false);
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
    bool said = true; /* an answer is told only after what it answers */
    for (uint32_t i = u->first; i < u->first + u->count && !t->nomem; i++) {
        const struct nvl_event *e = &t->events[i];
        if (!plan_sees(t, e, t->focaliser) || (i > u->first && !said) ||
            (t->terse && e->type == NVL_REACTION && e->phase == NVL_SETUP)) {
            said &= i > u->first; /* in few words it is not told who agreed with whom */
            continue;
        }
        c->event = t->now = e;
        c->sequence = e->sequence;
        bool speaks = e->type == NVL_SPEECH || e->type == NVL_REACTION;
        int16_t actor = e->actor < PEOPLE_MAX ? (int16_t) e->actor : -1;
        if (!c->weighed && i == u->first)
            put_weigh(c, e);
        compose_stand(t, i);
        bool moved = e->place != NVL_NONE && c->place >= 0 && c->place != (int16_t) e->place;
        bool fresh = moved || compose_begins_paragraph(c, speaks, actor);
        bool aimed = i == u->first && compose_aim(c, e, fresh);
        if (event_chunk(c, e, fresh && !aimed))
            compose_place_told(c, e);
        else if (i == u->first)
            said = false;
        if (i == u->first && actor == t->focaliser && c->tick >= 1 && !style_is_log(t))
            compose_intro(c, t->focaliser, false);
    }
    put_learned(c, &t->events[u->first]);
    put_muse(c, &t->events[u->first]);
    c->tick++;
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
    struct composing c = { .t = t, .last_actor = -1, .last_speaker = -1, .left = -1, .place = -1 };
    t->chunks_capacity = t->units_count * 3 + 64;
    t->chunks = arena_zero(&t->scratch, t->chunks_capacity, sizeof(*t->chunks));
    t->scenes = arena_zero(&t->scratch, t->units_count + 2, sizeof(*t->scenes));
    if (t->chunks == NULL || t->scenes == NULL)
        return false;
    compose_choose_image(&c);
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
                compose_scene_end(&c, &t->events[before->first], false);
            t->focaliser = eyes[u->phase & 7];
            compose_scene_begin(&c, &t->events[u->first]);
            in_scene = 0;
        }
        put_unit(&c, u);
        before = u;
        in_scene++;
    }
    if (before != NULL)
        compose_scene_end(&c, &t->events[before->first], true);
    else if (t->events_count > 0) {
        compose_scene_begin(&c, &t->events[0]);
        compose_scene_end(&c, &t->events[t->events_count - 1], true);
    }
    return !t->nomem;
}
