#include "server/tools/novel-verify-event.h"

#include <string.h>

#include "server/tools/novel-verify-bytes.h"
#include "server/tools/novel-verify-pack.h"

const char *verify_event_type_name(unsigned type)
{
    static const char *names[] = { "?",         "STARTED", "INCIDENT", "ACTION",       "REACTION",
                                   "SPEECH",    "THOUGHT", "REJECTED", "INTERVENTION", "FORKED",
                                   "COMPLETED", "FAILED",  "CANCELLED" };
    return type < sizeof(names) / sizeof(names[0]) ? names[type] : names[0];
}

static bool read_args(struct verify_cursor *c, uint8_t *count, uint8_t args[6])
{
    *count = verify_u8(c);
    if (*count > 6)
        return false;
    const uint8_t *p = verify_take(c, *count);
    if (p != NULL)
        memcpy(args, p, *count);
    return p != NULL;
}

static const char *read_verdict(struct verify_cursor *c, struct verify_event *e)
{
    e->verdict = verify_u8(c);
    e->repair = verify_u8(c);
    e->code_count = verify_u8(c);
    if (e->code_count > 4)
        return "more than 4 codes";
    for (unsigned i = 0; i < e->code_count; i++) {
        e->codes[i] = verify_u8(c);
        if (!c->failed && !verify_law_known(e->codes[i]))
            return "a code that is no law's";
    }
    e->reason = verify_u16(c);
    if (e->verdict < VERDICT_VALID || e->verdict > VERDICT_REJECTED || e->repair > REPAIR_HESITATE)
        return "a verdict or repair that does not exist";
    return NULL;
}

static const char *read_choice(struct verify_cursor *c, struct verify_event *e)
{
    e->goal = verify_u8(c);
    e->plan_step = verify_u8(c);
    e->utility = verify_i32(c);
    for (unsigned i = 0; i < TERM_COUNT; i++)
        e->terms[i] = verify_i16(c);
    for (unsigned i = 0; i < 2; i++) {
        struct verify_choice *a = &e->alternatives[i];
        a->op = verify_u16(c);
        if (!read_args(c, &a->count, a->args))
            return "an alternative with more than 6 arguments";
        a->utility = verify_i32(c);
    }
    return NULL;
}

static const char *read_causes(struct verify_cursor *c, struct verify_event *e)
{
    e->cause_count = verify_u8(c);
    if (e->cause_count > 12)
        return "more than 12 causes";
    for (unsigned i = 0; i < e->cause_count; i++) {
        struct verify_cause *cause = &e->causes[i];
        cause->sequence = verify_u32(c);
        cause->kind = verify_u8(c);
        cause->cell = verify_u16(c);
        if (!c->failed && (cause->kind < CAUSE_ENABLES || cause->kind > CAUSE_INTERVENTION))
            return "a kind of cause that does not exist";
    }
    return NULL;
}

static const char *read_deltas(struct verify_cursor *c, struct verify_event *e)
{
    e->delta_count = verify_u8(c);
    if (e->delta_count > 32)
        return "more than 32 deltas";
    for (unsigned i = 0; i < e->delta_count; i++) {
        struct verify_delta *d = &e->deltas[i];
        d->cell = verify_u16(c);
        d->before = verify_i16(c);
        d->after = verify_i16(c);
        if (!c->failed && d->before == d->after)
            return "a delta that changes nothing";
        if (!c->failed && i > 0 && d[-1].cell >= d->cell)
            return "deltas that do not ascend by cell";
    }
    return NULL;
}

static const char *read_beliefs(struct verify_cursor *c, struct verify_event *e)
{
    e->belief_count = verify_u8(c);
    if (e->belief_count > 16)
        return "more than 16 beliefs";
    for (unsigned i = 0; i < e->belief_count; i++) {
        struct verify_belief *b = &e->beliefs[i];
        const uint8_t *p = verify_take(c, 6);
        if (p == NULL)
            return NULL;
        *b = (struct verify_belief){ p[0], p[1], p[2], p[3], p[4], p[5] };
        if (b->before > 3 || b->after > 3 || b->before == b->after || b->source < 1 ||
            b->source > 5)
            return "a belief with a level or source that does not exist, or that changes nothing";
        if (i > 0 && (b[-1].who > b->who || (b[-1].who == b->who && b[-1].fact >= b->fact)))
            return "beliefs that do not ascend by character and fact";
    }
    return NULL;
}

static const char *read_threads(struct verify_cursor *c, struct verify_event *e)
{
    e->thread_count = verify_u8(c);
    if (e->thread_count > 6)
        return "more than 6 threads";
    for (unsigned i = 0; i < e->thread_count; i++) {
        struct verify_thread *t = &e->threads[i];
        t->thread = verify_u8(c);
        t->change = verify_u8(c);
        t->about = verify_u8(c);
        if (!c->failed && (t->change < 1 || t->change > 3))
            return "a change of a thread that does not exist";
    }
    return NULL;
}

static const char *read_head(struct verify_cursor *c, struct verify_event *e)
{
    e->sequence = verify_u32(c);
    e->turn = verify_u16(c);
    e->pass = verify_u16(c);
    e->minute = verify_u32(c);
    e->type = verify_u8(c);
    e->phase = verify_u8(c);
    e->outcome = verify_u8(c);
    e->actor = verify_u8(c);
    e->op = verify_u16(c);
    if (c->failed)
        return NULL;
    if (e->type < EVENT_STARTED || e->type > EVENT_CANCELLED || e->phase < 1 || e->phase > 5 ||
        e->outcome > 4)
        return "a type, phase or outcome that does not exist";
    if (!read_args(c, &e->arg_count, e->args))
        return "more than 6 arguments";
    e->place = verify_u8(c);
    e->witnesses = verify_u32(c);
    e->silent = verify_u32(c);
    e->roll = verify_i16(c);
    e->difficulty = verify_i16(c);
    e->skill = verify_i16(c);
    e->tension_before = verify_u8(c);
    e->tension_after = verify_u8(c);
    e->target = verify_u8(c);
    return NULL;
}

static const char *read_edit(struct verify_cursor *c, struct verify_edit *edit)
{
    const uint8_t *p = verify_take(c, 6);
    if (p == NULL)
        return NULL;
    *edit = (struct verify_edit){ p[0], p[1], p[2], p[3], p[4], p[5] };
    return edit->kind < 1 || edit->kind > 7 || edit->to_sort > 2 || edit->value > 100
               ? "an edit of a kind, or with a value, that does not exist"
               : NULL;
}

bool verify_event_decode(const uint8_t *data, size_t size, struct verify_event *out_event,
                         const char **out_why)
{
    typedef const char *part_fn(struct verify_cursor *, struct verify_event *);
    static part_fn *const parts[] = { read_head,   read_verdict, read_choice, read_causes,
                                      read_deltas, read_beliefs, read_threads };
    struct verify_event *e = out_event;
    struct verify_cursor c = verify_cursor_of(data, size);
    const char *why = NULL;
    *e = (struct verify_event){ 0 };
    for (unsigned i = 0; i < sizeof(parts) / sizeof(parts[0]) && why == NULL && !c.failed; i++)
        why = parts[i](&c, e);
    if (why == NULL && e->type == EVENT_STARTED) {
        e->hash_0 = verify_take(&c, 32);
        e->world_digest = verify_take(&c, 32);
    } else if (why == NULL && e->type == EVENT_INTERVENTION) {
        why = read_edit(&c, &e->edit);
    } else if (why == NULL && e->type == EVENT_FORKED) {
        e->parent_head = verify_take(&c, 32);
        e->seed = verify_u64(&c);
        e->turns = verify_u16(&c);
        if (!c.failed && (e->seed < 1 || e->seed >= 1ull << 53 || e->turns < 1 || e->turns > 50))
            why = "a seed or a number of turns that is out of range";
    } else if (why == NULL && e->type == EVENT_COMPLETED) {
        e->turns = verify_u32(&c);
        e->ending = verify_u8(&c);
    }
    if (c.failed)
        why = "too few bytes";
    else if (why == NULL && !verify_ended(&c))
        why = "bytes after its end";
    *out_why = why;
    return why == NULL;
}
