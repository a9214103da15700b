/* Lies about edits: each says of an INTERVENTION or FORKED, or of what it ordered, what did not
 * happen.  Only such as a log can tell: that somebody else than the pilot may not sing is no lie in
 * a story where nobody sings. */
#include <string.h>

#include "server/tools/novel-verify-pack.h"
#include "tests/unit/engine/verify_changes.h"

enum { ACT = 1, WHISPER, TRAIT, ITEM, INCIDENT, FORBID, VETO };

static bool is_edit(const struct verify_event *e, unsigned kind)
{
    return e->type == EVENT_INTERVENTION && e->edit.kind == kind;
}
static bool is_choice(const struct verify_event *e)
{
    return e->type == EVENT_ACTION || e->type == EVENT_SPEECH || e->type == EVENT_THOUGHT;
}
/* The event that the INTERVENTION at i ordered, or NULL. */
static struct verify_event *ordered(struct verify_scene *s, unsigned i)
{
    for (unsigned k = i + 1; k < s->count; k++)
        for (unsigned c = 0; c < s->events[k].cause_count; c++)
            if (s->events[k].causes[c].kind == CAUSE_INTERVENTION &&
                s->events[k].causes[c].sequence == s->events[i].sequence)
                return &s->events[k];
    return NULL;
}
static unsigned another(unsigned n, unsigned than)
{
    unsigned value;
    do
        value = verify_draw(n);
    while (value == than);
    return value;
}

/* ---- what it says ---------------------------------------------------------------------------- */

static bool whisper_to_another(struct verify_scene *s, unsigned i)
{
    struct verify_event *e = &s->events[i];
    if (!is_edit(e, WHISPER) || e->belief_count == 0)
        return false;
    e->edit.who = (uint8_t) another(s->story->characters, e->edit.who);
    return true;
}
static bool whisper_level(struct verify_scene *s, unsigned i)
{
    struct verify_event *e = &s->events[i];
    if (!is_edit(e, WHISPER) || e->belief_count == 0)
        return false;
    e->edit.value = (uint8_t) (1 + another(3, e->edit.value - 1u));
    return true;
}
static bool whisper_fact(struct verify_scene *s, unsigned i)
{
    struct verify_event *e = &s->events[i];
    if (!is_edit(e, WHISPER) || e->belief_count == 0)
        return false;
    e->edit.thing ^= 1;
    return true;
}
static bool whisper_unheard(struct verify_scene *s, unsigned i)
{
    struct verify_event *e = &s->events[i];
    if (!is_edit(e, WHISPER) || e->belief_count == 0)
        return false;
    e->belief_count = 0;
    return true;
}
static bool trait_value(struct verify_scene *s, unsigned i)
{
    struct verify_event *e = &s->events[i];
    if (!is_edit(e, TRAIT) || e->delta_count == 0)
        return false;
    e->edit.value = (uint8_t) another(101, e->edit.value);
    return true;
}
static bool trait_unmarked(struct verify_scene *s, unsigned i)
{
    struct verify_event *e = &s->events[i];
    if (!is_edit(e, TRAIT) || e->delta_count == 0)
        return false;
    e->delta_count = 0;
    return true;
}
static bool item_to(struct verify_scene *s, unsigned i)
{
    struct verify_event *e = &s->events[i];
    if (!is_edit(e, ITEM) || e->delta_count == 0)
        return false;
    e->edit.to ^= 1;
    return true;
}
static bool item_half_moved(struct verify_scene *s, unsigned i)
{
    struct verify_event *e = &s->events[i];
    if (!is_edit(e, ITEM) || e->delta_count < 2)
        return false;
    e->delta_count--;
    return true;
}
static bool item_unseen(struct verify_scene *s, unsigned i)
{
    struct verify_event *e = &s->events[i];
    if (!is_edit(e, ITEM) || e->witnesses == 0)
        return false;
    e->witnesses &= e->witnesses - 1;
    return true;
}
static bool kind_unknown(struct verify_scene *s, unsigned i)
{
    if (s->events[i].type != EVENT_INTERVENTION)
        return false;
    s->events[i].edit.kind = (uint8_t) (verify_draw(2) ? 0 : 8 + verify_draw(240));
    return true;
}
static bool who_unknown(struct verify_scene *s, unsigned i)
{
    struct verify_event *e = &s->events[i];
    if (e->type != EVENT_INTERVENTION)
        return false;
    e->edit.who = (uint8_t) (s->story->characters + verify_draw(200));
    return true;
}
static bool field_unused(struct verify_scene *s, unsigned i)
{
    struct verify_event *e = &s->events[i];
    if (e->type != EVENT_INTERVENTION || e->edit.kind == WHISPER || e->edit.kind == TRAIT)
        return false;
    e->edit.value = (uint8_t) (1 + verify_draw(100));
    return true;
}
static bool edit_caused(struct verify_scene *s, unsigned i)
{
    struct verify_event *e = &s->events[i];
    if (e->type != EVENT_INTERVENTION && e->type != EVENT_FORKED)
        return false;
    e->causes[e->cause_count++] =
        (struct verify_cause){ 1, (uint8_t) (1 + verify_draw(7)), NONE_U16 };
    return true;
}
static bool edit_of_a_character(struct verify_scene *s, unsigned i)
{
    struct verify_event *e = &s->events[i];
    if (e->type != EVENT_INTERVENTION && e->type != EVENT_FORKED)
        return false;
    e->actor = (uint8_t) verify_draw(s->story->characters);
    return true;
}
static bool edit_changes_more(struct verify_scene *s, unsigned i)
{
    struct verify_event *e = &s->events[i];
    if ((e->type != EVENT_INTERVENTION && e->type != EVENT_FORKED) || e->delta_count > 0)
        return false;
    int16_t value = (int16_t) verify_draw(50);
    e->deltas[e->delta_count++] = (struct verify_delta){ (uint16_t) verify_draw(s->story->cells),
                                                         value, (int16_t) (value + 1) };
    return true;
}
static bool edit_in_another_turn(struct verify_scene *s, unsigned i)
{
    struct verify_event *e = &s->events[i];
    if (e->type != EVENT_INTERVENTION && e->type != EVENT_FORKED)
        return false;
    e->turn = (uint16_t) (e->turn + 1 + verify_draw(3));
    return true;
}
/* Moved to the end of the turn that it came before. */
static bool edit_after_the_act(struct verify_scene *s, unsigned i)
{
    if (s->events[i].type != EVENT_INTERVENTION || i + 1 >= s->count ||
        !(is_choice(&s->events[i + 1]) || s->events[i + 1].type == EVENT_INCIDENT))
        return false;
    struct verify_event kept = s->events[i];
    s->events[i] = s->events[i + 1];
    s->events[i + 1] = kept;
    verify_renumber(s, s->count, 0);
    return true;
}

/* ---- what it orders -------------------------------------------------------------------------- */

static bool order_other_op(struct verify_scene *s, unsigned i)
{
    struct verify_event *e = &s->events[i];
    if ((!is_edit(e, ACT) && !is_edit(e, INCIDENT)) || ordered(s, i) == NULL)
        return false;
    e->op = (uint16_t) another(s->story->operators, e->op);
    return true;
}
static bool order_other_argument(struct verify_scene *s, unsigned i)
{
    struct verify_event *e = &s->events[i];
    if (!is_edit(e, ACT) || e->arg_count < 2 || e->args[1] == NONE_U8 || ordered(s, i) == NULL)
        return false;
    e->args[1] ^= 1;
    return true;
}
static bool order_taken_out(struct verify_scene *s, unsigned i)
{
    struct verify_event *e = &s->events[i];
    if ((!is_edit(e, ACT) && !is_edit(e, INCIDENT)) || ordered(s, i) == NULL)
        return false;
    memmove(e, e + 1, (s->count - i - 1) * sizeof(*e));
    s->count--;
    verify_renumber(s, i, -1);
    return true;
}
static bool order_not_named(struct verify_scene *s, unsigned i)
{
    struct verify_event *e = &s->events[i];
    for (unsigned c = 0; c < e->cause_count; c++)
        if (e->causes[c].kind == CAUSE_INTERVENTION) {
            memmove(&e->causes[c], &e->causes[c + 1],
                    (e->cause_count - c - 1u) * sizeof(e->causes[0]));
            e->cause_count--;
            return true;
        }
    return false;
}
static bool order_made_up(struct verify_scene *s, unsigned i)
{
    struct verify_event *e = &s->events[i];
    unsigned k = verify_draw(s->count);
    if (!is_choice(e) || e->cause_count == 12 || k >= i || s->events[k].type != EVENT_INTERVENTION)
        return false;
    for (unsigned c = 0; c < e->cause_count; c++)
        if (e->causes[c].kind == CAUSE_INTERVENTION)
            return false;
    e->causes[e->cause_count++] =
        (struct verify_cause){ s->events[k].sequence, CAUSE_INTERVENTION, NONE_U16 };
    return true;
}
static bool incident_left_out(struct verify_scene *s, unsigned i)
{
    if (!is_edit(&s->events[i], INCIDENT) || ordered(s, i) == NULL)
        return false;
    unsigned k = (unsigned) (ordered(s, i) - s->events);
    if (k + 1 >= s->count)
        return false;
    memmove(&s->events[k], &s->events[k + 1], (s->count - k - 1) * sizeof(s->events[0]));
    s->count--;
    verify_renumber(s, k, -1);
    return true;
}

/* ---- what it forbids ------------------------------------------------------------------------- */

static bool forbidden_and_done(struct verify_scene *s, unsigned i)
{
    struct verify_event *e = &s->events[i];
    if (!is_edit(e, FORBID))
        return false;
    for (unsigned k = i + 1 + verify_draw(s->count - i); k < s->count; k++)
        if (is_choice(&s->events[k])) {
            e->op = s->events[k].op;
            e->edit.who = verify_draw(2) ? NONE_U8 : s->events[k].actor;
            return true;
        }
    return false;
}
static bool vetoed_and_done(struct verify_scene *s, unsigned i)
{
    struct verify_event *e = &s->events[i];
    if (!is_edit(e, VETO))
        return false;
    for (unsigned k = i + 1; k < s->count && s->events[k].turn <= e->turn + 1; k++)
        if (is_choice(&s->events[k]) && s->events[k].turn == e->turn + 1 && verify_draw(2)) {
            e->op = s->events[k].op;
            e->edit.who = s->events[k].actor;
            e->arg_count = s->events[k].arg_count;
            memset(e->args, NONE_U8, sizeof(e->args));
            e->args[0] = s->events[k].actor;
            return true;
        }
    return false;
}

/* ---- forks ----------------------------------------------------------------------------------- */

static bool forked_seed(struct verify_scene *s, unsigned i)
{
    struct verify_event *e = &s->events[i];
    unsigned rolls = 0;
    for (unsigned k = i + 1; k < s->count && s->events[k].type != EVENT_FORKED; k++)
        rolls += s->events[k].roll > 0;
    if (e->type != EVENT_FORKED || rolls < 3)
        return false;
    e->seed ^= 2;
    return true;
}
static bool forked_turns(struct verify_scene *s, unsigned i)
{
    struct verify_event *e = &s->events[i];
    bool last = s->events[s->count - 1].type == EVENT_COMPLETED;
    for (unsigned k = i + 1; k < s->count; k++)
        last = last && s->events[k].type != EVENT_FORKED;
    if (e->type != EVENT_FORKED || !last)
        return false;
    e->turns = 1 + another(50, e->turns - 1);
    return true;
}
static bool forked_parent(struct verify_scene *s, unsigned i)
{
    static uint8_t head[32];
    struct verify_event *e = &s->events[i];
    if (e->type != EVENT_FORKED || i < 2)
        return false;
    memcpy(head, e->parent_head, sizeof(head));
    head[verify_draw(32)] ^= (uint8_t) (1u << verify_draw(8));
    e->parent_head = head;
    return true;
}

#define C(f)                                                                                       \
    {                                                                                              \
#f, f                                                                                      \
    }
const struct verify_change verify_edit_changes[] = {
    C(whisper_to_another),
    C(whisper_level),
    C(whisper_fact),
    C(whisper_unheard),
    C(trait_value),
    C(trait_unmarked),
    C(item_to),
    C(item_half_moved),
    C(item_unseen),
    C(kind_unknown),
    C(who_unknown),
    C(field_unused),
    C(edit_caused),
    C(edit_of_a_character),
    C(edit_changes_more),
    C(edit_in_another_turn),
    C(edit_after_the_act),
    C(order_other_op),
    C(order_other_argument),
    C(order_taken_out),
    C(order_not_named),
    C(order_made_up),
    C(incident_left_out),
    C(forbidden_and_done),
    C(vetoed_and_done),
    C(forked_seed),
    C(forked_turns),
    C(forked_parent),
};
const unsigned verify_edit_changes_count =
    sizeof(verify_edit_changes) / sizeof(verify_edit_changes[0]);
