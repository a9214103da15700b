/* plan.c — which events are told, and through whom. */
#include "server/narrator/teller.h"
#include <string.h>

enum {
    WORDS_PER_EVENT = 21,
    LOOK_BACK = 64,
    GHOST_CAST = 4,    /* as many have a right to an eighth */
    GHOST_SHARE = 180, /* permille; some above the eighth, since answers count too */
    GHOST_ROUNDS = 8,
    LEAST_NEED = -40,   /* what is worth less goes untold */
    LONG_BUDGET = 1100, /* words; a long story also tells its quieter hours */
    LEAST_LONG = -165,
    AFTERMATH = 2, /* once it is settled a story should end: little of what follows is told */
    SHORT_TURNS = 12, /* a longer one is longer over */
    AFTERMATH_MORE = 240,
    SPEECH_MERCY = 2, /* talk that leads nowhere may still be told */
    WALKS_APART = 5,  /* units between two walks that are told */
    WALKED_ALREADY = 140,
    FACT_AGAIN = 200, /* what has been found out once is no news */
    SPINE_WORTH = 160, /* what leads from the question to its answer is the story */
};

bool plan_sees(const struct teller *t, const struct nvl_event *e, int16_t who)
{
    if (t->limited && e->type == NVL_THOUGHT && e->actor != (uint8_t) who)
        return false; /* to be in the room is not to know what another thinks */
    return t->omniscient || who < 0 || e->actor == (uint8_t) who || (e->witnesses >> who & 1) != 0;
}
static void follow_cell(struct teller *t, int fluent, unsigned who, const struct nvl_event *e)
{
    int cell = nvl_world_cell(t->world, (size_t) fluent, who, 0);
    if (cell < 0)
        return;
    if (e == NULL)
        t->at[who] = nvl_world_initial(t->world)[cell];
    for (unsigned k = 0; e != NULL && k < e->deltas_count && k < NVL_DELTAS_MAX; k++)
        if (e->deltas[k].cell == cell)
            t->at[who] = e->deltas[k].after;
}
void plan_follow(struct teller *t, uint32_t count)
{
    int fluent = nvl_pack_fluent_find(t->pack, "at");
    if (fluent < 0)
        return;
    for (unsigned who = 0; who < t->people && (t->applied == 0 || count < t->applied); who++)
        follow_cell(t, fluent, who, NULL);
    t->applied = count < t->applied ? 0 : t->applied;
    for (; t->applied < count; t->applied++)
        for (unsigned who = 0; who < t->people; who++)
            follow_cell(t, fluent, who, &t->events[t->applied]);
}
static bool tellable(const struct nvl_event *e)
{
    return e->op != NVL_NO_OP &&
           (e->type == NVL_INCIDENT || e->type == NVL_ACTION || e->type == NVL_REACTION ||
            e->type == NVL_SPEECH || e->type == NVL_THOUGHT);
}

/* Sequence numbers run from 1 without a gap, so events[s - 1] is event s. */
static const struct nvl_event *event_at(const struct teller *t, uint32_t sequence)
{
    return sequence >= 1 && sequence <= t->events_count ? &t->events[sequence - 1] : NULL;
}

/* How often each event is named as a cause, and whether a late event rests on it. */
static void weigh_causes(const struct teller *t, uint8_t *degree, uint8_t *rests)
{
    for (size_t i = t->events_count; i-- > 0;) {
        const struct nvl_event *e = &t->events[i];
        bool late = e->phase >= NVL_CLIMAX && e->threads_count > 0;
        rests[i] |= late;
        for (unsigned k = 0; k < e->causes_count; k++) {
            const struct nvl_event *cause = event_at(t, e->causes[k].sequence);
            if (cause == NULL || cause >= e)
                continue;
            degree[cause - t->events] += degree[cause - t->events] < 5;
            rests[cause - t->events] |= rests[i];
        }
    }
}
/* The event that raised the question which event `end` settles; 0 when nothing did. */
static size_t raised_by(const struct teller *t, size_t end)
{
    const struct nvl_event *e = &t->events[end];
    for (size_t i = 1; i < end; i++)
        for (unsigned k = 0; k < t->events[i].threads_count; k++)
            for (unsigned n = 0; n < e->threads_count; n++)
                if (e->threads[n].change == NVL_THREAD_CLOSED &&
                    t->events[i].threads[k].change == NVL_THREAD_OPENED &&
                    t->events[i].threads[k].thread == e->threads[n].thread)
                    return i;
    return 0;
}
static bool settles(const struct teller *t, const struct nvl_event *e)
{
    struct nvl_op_info info;
    if (e->op == NVL_NO_OP || e->outcome == NVL_FAIL)
        return false;
    nvl_pack_op(t->pack, e->op, &info);
    return strcmp(info.family, "ending") == 0;
}
enum { FOLLOWS = 1, LEADS = 2, SPINE = FOLLOWS | LEADS };
/* The spine: what follows from the incident that raised the question and leads to what settles it.
 * Causes precede, so one walk forward and one back find it. */
static void find_spine(const struct teller *t, uint8_t *spine)
{
    size_t first = 0, inciting = 0;
    for (size_t i = 0; i < t->events_count; i++) {
        const struct nvl_event *e = &t->events[i];
        if (first == 0 && e->type == NVL_INCIDENT && e->turn >= 1)
            first = i;
        if (!settles(t, e))
            continue;
        spine[i] |= LEADS;
        inciting = inciting == 0 ? raised_by(t, i) : inciting;
    }
    spine[inciting != 0 ? inciting : first] |= FOLLOWS;
    for (size_t i = 0; i < t->events_count; i++)
        for (unsigned k = 0; k < t->events[i].causes_count; k++) {
            const struct nvl_event *cause = event_at(t, t->events[i].causes[k].sequence);
            if (cause != NULL && cause < &t->events[i])
                spine[i] |= spine[cause - t->events] & FOLLOWS;
        }
    for (size_t i = t->events_count; i-- > 0;)
        for (unsigned k = 0; k < t->events[i].causes_count; k++) {
            const struct nvl_event *cause = event_at(t, t->events[i].causes[k].sequence);
            if (cause != NULL && cause < &t->events[i])
                spine[cause - t->events] |= spine[i] & LEADS;
        }
}
static int32_t base_score(const struct nvl_event *e)
{
    switch (e->type) {
    case NVL_INCIDENT:
        return 70;
    case NVL_SPEECH:
        return 42;
    case NVL_ACTION:
        return 30;
    case NVL_REACTION:
        return 30;
    default:
        return 10;
    }
}
static int32_t event_score(const struct teller *t, const struct nvl_event *e, unsigned degree,
                           bool rests)
{
    int32_t s = base_score(e) + (int32_t) degree * 8 + (rests ? 25 : 0);
    int32_t rise = (int32_t) e->tension - e->tension_before;
    s += (rise < 0 ? -rise : rise) * 2;
    for (unsigned k = 0; k < e->beliefs_count; k++)
        s += e->beliefs[k].after >= NVL_BELIEVES && e->beliefs[k].before < NVL_BELIEVES ? 14 : 4;
    s += e->threads_count * 18;
    s += e->phase == NVL_CLIMAX       ? 30
         : e->phase == NVL_CRISIS     ? 14
         : e->phase == NVL_RESOLUTION ? 12
                                      : 0;
    s += e->outcome == NVL_FAIL || e->outcome == NVL_CRITICAL ? 10 : 0;
    s -= e->repair == NVL_HESITATE ? 30 : 0;
    struct nvl_op_info info;
    nvl_pack_op(t->pack, e->op, &info);
    s += strcmp(info.family, "ending") != 0 ? 0 : e->outcome == NVL_FAIL ? -15 : 260;
    s += e->type == NVL_INCIDENT && e->threads_count > 0 ? 60 : 0;
    bool moves = strcmp(info.family, "movement") == 0;
    s -= moves ? (e->phase == NVL_RESOLUTION ? 160 : e->phase == NVL_CLIMAX ? 90 : 65) : 0;
    s -= e->phase == NVL_RESOLUTION && e->outcome == NVL_FAIL ? 60 : 0;
    s -= strcmp(info.family, "memory") == 0 ? 55 : 0;
    s -= strcmp(info.name, "they_gather") == 0 ? 70 : 0; /* every story has it, and it says little */
    s -= strcmp(info.name, "bide") == 0 ? 80 : strcmp(info.name, "word_of") == 0 ? 200 : 0;
    bool stranger = e->actor < PEOPLE_MAX && e->actor >= t->cast;
    s -= stranger && (strcmp(info.family, "calm") == 0 || strcmp(info.family, "memory") == 0) ? 90
                                                                                              : 0;
    s -= strcmp(info.name, "hesitate") == 0 || strcmp(info.name, "wait") == 0 ? 30 : 0;
    s -= e->deltas_count + e->beliefs_count == 0 && e->type != NVL_SPEECH ? 20 : 0;
    return s;
}
/* The fact that an act is about; -1. */
static int fact_of(const struct teller *t, const struct nvl_event *e)
{
    struct nvl_op_info info;
    nvl_pack_op(t->pack, e->op, &info);
    for (unsigned i = 0; i < info.params_count && i < e->args_count; i++)
        if (info.params[i].sort == NVL_SORT_FACT)
            return e->args[i];
    return -1;
}
/* The same act again tells less each time, least of all by the same person or about the same fact. */
static int32_t sameness(const struct teller *t, size_t index)
{
    const struct nvl_event *e = &t->events[index];
    int32_t s = 0, again = 0;
    int fact = fact_of(t, e);
    for (size_t i = index, n = 0; i-- > 0 && n < LOOK_BACK; n++) {
        const struct nvl_event *b = &t->events[i];
        if (b->op != e->op || !tellable(b))
            continue;
        s += 9 + (b->actor == e->actor ? 14 : 0) + (b->outcome == e->outcome ? 6 : 0);
        s += b->args_count > 1 && e->args_count > 1 && memcmp(b->args, e->args, e->args_count) == 0
                 ? 25
                 : 0;
        again = fact >= 0 && fact_of(t, b) == fact ? FACT_AGAIN : again;
    }
    return (s > 90 ? 90 : s) + again;
}

bool plan_units(struct teller *t)
{
    uint8_t *degree = arena_zero(&t->scratch, t->events_count + 1, 1);
    uint8_t *rests = arena_zero(&t->scratch, t->events_count + 1, 1);
    t->units = arena_zero(&t->scratch, t->events_count + 1, sizeof(*t->units));
    uint8_t *spine = arena_zero(&t->scratch, t->events_count + 1, 1);
    if (degree == NULL || rests == NULL || spine == NULL || t->units == NULL)
        return false;
    weigh_causes(t, degree, rests);
    find_spine(t, spine);
    for (size_t i = 0; i < t->events_count; i++) {
        const struct nvl_event *e = &t->events[i];
        if (!tellable(e))
            continue;
        int32_t score = event_score(t, e, degree[i], rests[i] != 0) - sameness(t, i);
        score += spine[i] == SPINE            ? SPINE_WORTH
                 : e->phase == NVL_RESOLUTION ? 0 /* what comes of it for them is told too */
                 : e->type == NVL_SPEECH      ? -SPINE_WORTH / SPEECH_MERCY
                                              : -SPINE_WORTH;
        if (e->type == NVL_REACTION && (t->units_count == 0 ||
                                        t->units[t->units_count - 1].first +
                                                t->units[t->units_count - 1].count != i))
            continue; /* an answer to nothing that is told */
        struct unit *last = t->units_count > 0 ? &t->units[t->units_count - 1] : NULL;
        if (e->type == NVL_REACTION && last != NULL && last->first + last->count == i) {
            last->count++;
            last->words += WORDS_PER_EVENT;
            last->score += score / 2;
            continue;
        }
        t->units[t->units_count++] = (struct unit){ .first = (uint32_t) i,
                                                    .count = 1,
                                                    .score = score,
                                                    .words = WORDS_PER_EVENT,
                                                    .phase = e->phase };
    }
    return true;
}

static int32_t seen_score(const struct teller *t, unsigned phase, int16_t who)
{
    int32_t sum = 0;
    for (size_t i = 0; i < t->units_count; i++) {
        const struct unit *u = &t->units[i];
        const struct nvl_event *e = &t->events[u->first];
        if ((phase == 0 || u->phase == phase) && u->score > 0 &&
            (e->actor == (uint8_t) who || (e->witnesses >> who & 1) != 0))
            sum += u->score + (e->actor == (uint8_t) who ? u->score / 2 : 0);
    }
    return sum;
}
/* Whose eyes a phase is seen through: who has most at stake in it; the one before, unless far
 * worse. */
int16_t plan_focaliser(const struct teller *t, unsigned phase, int16_t before)
{
    if (t->only >= 0)
        return t->only;
    int16_t best = 0;
    int32_t most = -1;
    for (size_t c = 0; c < t->cast; c++) {
        int32_t s = seen_score(t, phase, (int16_t) c);
        s = (int16_t) c == before ? s * 5 / 2 : s;
        if (s > most)
            most = s, best = (int16_t) c;
    }
    return best;
}

static bool walks(const struct teller *t, const struct unit *u)
{
    const struct nvl_event *e = &t->events[u->first];
    struct nvl_op_info info;
    nvl_pack_op(t->pack, e->op, &info);
    return strcmp(info.family, "movement") == 0;
}
/* One walk after another bores: whoever follows is simply there. */
static int32_t walked_already(const struct teller *t, const struct unit *u)
{
    size_t at = (size_t) (u - t->units), from = at > WALKS_APART ? at - WALKS_APART : 0;
    if (!walks(t, u))
        return 0;
    for (size_t i = from; i < t->units_count && i <= at + WALKS_APART; i++)
        if (t->units[i].chosen && walks(t, &t->units[i]))
            return WALKED_ALREADY;
    return 0;
}
static int32_t need_of(const struct teller *t, const struct unit *u, const uint32_t *told)
{
    const struct nvl_event *e = &t->events[u->first];
    int32_t s = u->score - walked_already(t, u);
    if (e->actor < t->cast) /* nobody is a ghost, nobody takes it all */
        s += told[e->actor] == 0 ? 60 : -(int32_t) told[e->actor] * 4;
    return s;
}
/* The unit that opened the thread which event i closes; NULL when nothing did. */
static struct unit *opener_of(const struct teller *t, size_t unit,
                              const struct nvl_thread_ref *closed)
{
    for (size_t i = unit; i-- > 0;) {
        const struct unit *u = &t->units[i];
        for (uint32_t k = u->first; k < u->first + u->count; k++)
            for (unsigned n = 0; n < t->events[k].threads_count; n++) {
                const struct nvl_thread_ref *r = &t->events[k].threads[n];
                if (r->thread == closed->thread && r->about == closed->about &&
                    r->change == NVL_THREAD_OPENED)
                    return &t->units[i];
            }
    }
    return NULL;
}
/* What closes a thread is not told without what opened it: thanks for a help that the reader never
 * saw would only puzzle.  Where the opening cannot be seen, the closing goes untold too, unless the
 * story ends by it. */
static bool open_first(struct teller *t, size_t unit, const int16_t eyes[8])
{
    struct unit *u = &t->units[unit];
    const struct nvl_event *e = &t->events[u->first];
    struct nvl_op_info info;
    nvl_pack_op(t->pack, e->op, &info);
    for (unsigned n = 0; n < e->threads_count; n++) {
        struct unit *o =
            e->threads[n].change == NVL_THREAD_CLOSED ? opener_of(t, unit, &e->threads[n]) : NULL;
        if (o == NULL || o->chosen)
            continue;
        if (!o->dropped && plan_sees(t, &t->events[o->first], eyes[o->phase & 7]))
            o->chosen = true;
        else if (strcmp(info.family, "ending") != 0)
            return false;
    }
    return true;
}
static void tell_openers(struct teller *t, const int16_t eyes[8])
{
    for (bool again = true; again;) { /* a unit can only be dropped once */
        again = false;
        for (size_t i = t->units_count; i-- > 0;)
            if (t->units[i].chosen && !open_first(t, i, eyes)) {
                t->units[i].chosen = false;
                t->units[i].dropped = again = true;
            }
    }
}
/* A small trouble, or the beginning of something between two of them, that nothing told comes of. */
static bool begins_aside(const struct teller *t, const struct nvl_event *e)
{
    struct nvl_op_info info;
    if (e->op == NVL_NO_OP || e->type != NVL_INCIDENT)
        return false;
    nvl_pack_op(t->pack, e->op, &info);
    return strcmp(info.family, "side") == 0 || strncmp(info.name, "bond_", 5) == 0 ||
           strcmp(info.name, "old_wrong_surfaces") == 0;
}
/* Seen to: the trouble that is on their hands is over. */
static bool sees_to(const struct teller *t, const struct nvl_event *e)
{
    int side = nvl_pack_fluent_find(t->pack, "side");
    int cell = side < 0 ? -1 : nvl_world_cell(t->world, (size_t) side, 0, 0);
    for (unsigned k = 0; k < e->deltas_count && k < NVL_DELTAS_MAX && cell >= 0; k++)
        if (e->deltas[k].cell == cell && e->deltas[k].after == 0)
            return true;
    return false;
}
/* Whom it began with goes on with it: to the other one, if there is one. */
static bool goes_on(const struct nvl_event *began, const struct nvl_event *e)
{
    bool pair = e->args_count > 1 && began->args_count > 1 && began->args[1] == e->args[1];
    return began->args_count > 0 && e->actor == began->args[0] &&
           (pair || (e->type == NVL_SPEECH && began->threads_count > 0));
}
/* The first unit that what happened in unit i led to; NULL: none. */
static struct unit *came_of(const struct teller *t, size_t i)
{
    uint32_t cause = t->events[t->units[i].first].sequence;
    struct nvl_op_info info;
    nvl_pack_op(t->pack, t->events[t->units[i].first].op, &info);
    bool side = strcmp(info.family, "side") == 0;
    for (size_t k = i + 1; k < t->units_count; k++) {
        const struct nvl_event *e = &t->events[t->units[k].first];
        if (side ? !sees_to(t, e) : !goes_on(&t->events[t->units[i].first], e))
            continue;
        for (unsigned n = 0; n < e->causes_count && e->type != NVL_INCIDENT; n++)
            if (e->causes[n].sequence == cause)
                return &t->units[k];
    }
    return NULL;
}
enum { ASIDE_WORDS = 300 };
/* Neither is told without the other. */
static void tell_asides(struct teller *t, const int16_t eyes[8])
{
    for (size_t i = 0; i < t->units_count; i++) {
        struct unit *u = &t->units[i];
        if (!begins_aside(t, &t->events[u->first]))
            continue;
        struct unit *after = came_of(t, i);
        bool seen = plan_sees(t, &t->events[u->first], eyes[u->phase & 7]);
        if (after != NULL && after->phase == NVL_CLIMAX) { /* no lamp is mended while it is decided */
            after->chosen = false, after->dropped = true;
            after = NULL;
        }
        if (after == NULL || (t->words < ASIDE_WORDS && !after->chosen))
            u->chosen = false, u->dropped = true;
        else if (after->chosen && seen && t->words >= ASIDE_WORDS)
            u->chosen = true;
        else if (!after->chosen && !after->dropped &&
                 plan_sees(t, &t->events[after->first], eyes[after->phase & 7]))
            after->chosen = u->chosen;
        else if (!after->chosen)
            u->chosen = false, u->dropped = true;
    }
}
/* Of a small cast nobody may have less than an eighth of what is told, where there is more to tell.
 */
static void tell_ghosts(struct teller *t, const int16_t eyes[8])
{
    uint32_t told[PEOPLE_MAX] = { 0 };
    for (size_t i = 0; i < t->units_count; i++)
        if (t->units[i].chosen && t->events[t->units[i].first].actor < PEOPLE_MAX)
            told[t->events[t->units[i].first].actor]++;
    for (unsigned round = 0; round < GHOST_ROUNDS; round++) {
        uint32_t all = 0;
        int16_t who = -1;
        for (size_t i = 0; i < t->cast; i++)
            all += told[i];
        for (size_t i = 0; i < t->cast; i++)
            if (told[i] * 1000 < all * GHOST_SHARE && (who < 0 || told[i] < told[who]))
                who = (int16_t) i;
        struct unit *best = NULL;
        for (size_t i = 0; i < t->units_count && who >= 0; i++) {
            struct unit *u = &t->units[i];
            const struct nvl_event *e = &t->events[u->first];
            if (!u->chosen && !u->dropped && e->actor == (uint8_t) who &&
                plan_sees(t, e, eyes[u->phase & 7]) && (best == NULL || u->score > best->score))
                best = u;
        }
        if (best == NULL)
            return;
        best->chosen = true;
        told[who]++;
    }
}
/* Greedy by need; the first and the last tellable unit of the story are always told. */
void plan_choose(struct teller *t, uint32_t budget)
{
    uint32_t told[PEOPLE_MAX] = { 0 }, words = 0, per_phase[8] = { 0 };
    int16_t eyes[8];
    int16_t before = -1;
    for (unsigned p = 0; p < 8; p++)
        eyes[p] = before = p == 0 ? plan_focaliser(t, 0, -1) : plan_focaliser(t, p, before);
    for (size_t i = 0; i < t->units_count; i++)
        t->units[i].chosen = t->units[i].dropped = false;
    while (words < budget) {
        struct unit *best = NULL;
        int32_t most = 0;
        for (size_t i = 0; i < t->units_count; i++) {
            struct unit *u = &t->units[i];
            const struct nvl_event *e = &t->events[u->first];
            bool told_all = !t->limited && settles(t, e); /* how it ends is told, seen or not */
            if (u->chosen || !(told_all || plan_sees(t, e, eyes[u->phase & 7])))
                continue;
            int32_t s = need_of(t, u, told) + (per_phase[u->phase & 7] == 0 ? 80 : 0);
            if (!t->ample && u->phase == NVL_RESOLUTION &&
                per_phase[NVL_RESOLUTION] >= AFTERMATH + (t->turns > SHORT_TURNS ? t->turns / 3 : 0))
                s -= t->events[u->first].threads_count > 0 ? AFTERMATH_MORE / 2 : AFTERMATH_MORE;
            if (best == NULL || s > most)
                best = u, most = s;
        }
        int32_t least = t->ample ? INT32_MIN : budget > LONG_BUDGET ? LEAST_LONG : LEAST_NEED;
        if (best == NULL || most < least)
            break;
        best->chosen = true;
        words += best->words;
        per_phase[best->phase & 7]++;
        if (t->events[best->first].actor < PEOPLE_MAX)
            told[t->events[best->first].actor]++;
    }
    for (unsigned pass = 0; pass < 2; pass++) {
        tell_openers(t, eyes);
        tell_asides(t, eyes);
        if (t->cast <= GHOST_CAST && !t->terse && pass == 0)
            tell_ghosts(t, eyes);
    }
}
bool plan_awake_last(const struct teller *t, unsigned who)
{
    int fluent = nvl_pack_fluent_find(t->pack, "awake");
    int cell = fluent < 0 ? -1 : nvl_world_cell(t->world, (size_t) fluent, who, 0);
    if (cell < 0)
        return true;
    for (size_t i = t->events_count; i-- > 0;)
        for (unsigned k = 0; k < t->events[i].deltas_count && k < NVL_DELTAS_MAX; k++)
            if (t->events[i].deltas[k].cell == cell)
                return t->events[i].deltas[k].after != 0;
    return nvl_world_initial(t->world)[cell] != 0;
}
