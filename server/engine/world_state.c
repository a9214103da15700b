/* world_state.c — effects and perception on a state vector (docs/log-format.md, sections 5, 8). */
#include "server/engine/world.h"
#include <string.h>

static bool effect_one(struct code_env *env, int16_t *state, const struct pack_effect *e,
                       uint16_t *out_cell)
{
    const struct pack_fluent *f = &env->world->pack->fluents[e->fluent];
    *out_cell = NVL_NO_CELL;
    if (e->guard != 0 && code_run(env, e->guard) == 0)
        return true;
    int32_t a = e->over != 0 ? env->each : e->args[0] != 0 ? code_run(env, e->args[0]) : 0;
    int32_t b = e->args[1] != 0 ? code_run(env, e->args[1]) : 0;
    int cell = a < 0 || b < 0 ? -1 : world_cell(env->world, e->fluent, (unsigned) a, (unsigned) b);
    if (cell < 0)
        return true;
    int32_t v = code_run(env, e->value), min = f->value_sort != 0 ? -1 : f->min,
            max = world_max(env->world, f);
    v = e->operation == 1 ? state[cell] + v : e->operation == 2 ? state[cell] - v : v;
    if (v < min || v > max) {
        if (f->flags & FLUENT_RESOURCE)
            return false;
        v = v < min ? min : max;
    }
    state[cell] = (int16_t) v;
    *out_cell = (uint16_t) cell;
    return true;
}
int effect_apply(struct code_env *env, int16_t *state, const struct pack_effect *e,
                 uint32_t present, unsigned actor, uint16_t *touched, int room)
{
    int n = 0;
    uint16_t cell;
    env->state = state;
    if (e->over == 0) {
        env->each = NVL_NONE;
        if (!effect_one(env, state, e, &cell))
            return -1;
        if (cell != NVL_NO_CELL && room > 0)
            touched[n++] = cell;
        return n;
    }
    for (unsigned c = 0; c < env->world->counts[NVL_SORT_CHAR]; c++) {
        if (!(present >> c & 1) || (e->over == 2 && c == actor))
            continue;
        env->each = (uint8_t) c;
        if (!effect_one(env, state, e, &cell))
            return -1;
        if (cell != NVL_NO_CELL && n < room)
            touched[n++] = cell;
    }
    env->each = NVL_NONE;
    return n;
}

int world_where(const struct nvl_world *w, const int16_t *state, unsigned sort, unsigned i,
                int *second)
{
    *second = -1;
    switch (sort) {
    case NVL_SORT_CHAR:
        return world_get(w, state, KNOWN_AT, i, 0);
    case NVL_SORT_PLACE:
        return (int) i;
    case NVL_SORT_ITEM: {
        int place = world_get(w, state, KNOWN_LIES, i, 0);
        int holder = world_get(w, state, KNOWN_HOLDER, i, 0);
        return place >= 0    ? place
               : holder >= 0 ? world_get(w, state, KNOWN_AT, (unsigned) holder, 0)
                             : -1;
    }
    case NVL_SORT_LINK:
        *second = world_get(w, state, KNOWN_END_B, i, 0);
        return world_get(w, state, KNOWN_END_A, i, 0);
    case NVL_SORT_CLUE:
        return world_get(w, state, KNOWN_TRACE_AT, i, 0);
    default:
        return -1;
    }
}
bool world_perceives(const struct nvl_world *w, const int16_t *state, unsigned c, unsigned cell)
{
    const struct cell_ref *r = &w->refs[cell];
    const struct pack_fluent *f = &w->pack->fluents[r->fluent];
    switch (f->see) {
    case SEE_ALL:
        return true;
    case SEE_OWN:
        return f->sorts[0] == NVL_SORT_CHAR && r->a == c;
    case SEE_HERE: {
        if (f->sorts[0] == NVL_SORT_CHAR && r->a == c)
            return true;
        int here = world_get(w, state, KNOWN_AT, c, 0), second;
        int place = world_where(w, state, f->sorts[0], r->a, &second);
        return here >= 0 && (place == here || second == here);
    }
    default:
        return false;
    }
}

/* Phases by largest remainder; short stories by the table of docs/log-format.md, section 8. */
static void plan_beats(unsigned n, uint8_t beats[NVL_TURNS_MAX + 4],
                       uint16_t turns[NVL_TURNS_MAX + 4], unsigned *out)
{
    static const uint8_t small_beats[4][5] = {
        { 1, 2, 3, 4, 5 }, { 1, 2, 4, 5 }, { 1, 3, 4, 5 }, { 1, 2, 3, 4, 5 }
    };
    static const uint8_t small_turns[4][5] = {
        { 1, 1, 1, 1, 1 }, { 1, 1, 2, 2 }, { 1, 2, 3, 3 }, { 1, 2, 3, 4, 4 }
    };
    static const uint8_t small_count[4] = { 5, 4, 4, 5 };
    static const uint8_t share[5] = { 18, 37, 20, 13, 12 };
    if (n <= 4) {
        *out = small_count[n - 1];
        for (unsigned i = 0; i < *out; i++)
            beats[i] = small_beats[n - 1][i], turns[i] = small_turns[n - 1][i];
        return;
    }
    unsigned count[5], rest[5], left = n;
    for (unsigned k = 0; k < 5; k++)
        count[k] = n * share[k] / 100, rest[k] = n * share[k] % 100, left -= count[k];
    for (; left > 0; left--) {
        unsigned best = 0;
        for (unsigned k = 1; k < 5; k++)
            best = rest[k] > rest[best] ? k : best;
        count[best]++, rest[best] = 0;
    }
    for (unsigned k = 0; k < 5; k++)
        while (count[k] == 0) {
            unsigned largest = 0;
            for (unsigned j = 1; j < 5; j++)
                largest = count[j] > count[largest] ? j : largest;
            count[largest]--, count[k]++;
        }
    unsigned i = 0;
    for (unsigned k = 0; k < 5; k++)
        for (unsigned j = 0; j < count[k]; j++, i++)
            beats[i] = (uint8_t) (k + 1), turns[i] = (uint16_t) (i + 1);
    *out = n;
}
void world_plan(unsigned turns, struct pass_plan *out)
{
    uint8_t beats[NVL_TURNS_MAX + 4];
    uint16_t turn[NVL_TURNS_MAX + 4];
    unsigned n, each = turns <= 6 ? 2 : 1;
    plan_beats(turns, beats, turn, &n);
    out->count = 0;
    for (unsigned i = 0; i < n; i++)
        for (unsigned k = 0; k < each; k++) {
            out->phase[out->count] = beats[i];
            out->turn[out->count++] = turn[i];
        }
}
void world_climax(const struct pass_plan *plan, unsigned *out_first, unsigned *out_last)
{
    unsigned last = plan->count - 1;
    while (last > 0 && plan->phase[last] != NVL_CLIMAX)
        last--;
    unsigned first = last;
    while (first > 0 && plan->phase[first - 1] == NVL_CLIMAX)
        first--;
    *out_first = first, *out_last = last;
}
