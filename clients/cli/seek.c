#include "clients/cli/seek.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/base/alloc.h"

static bool take(const char *from, size_t size, char out[64])
{
    if (size == 0 || size >= 64)
        return false;
    memcpy(out, from, size);
    out[size] = '\0';
    return true;
}

bool seek_condition_read(const char *text, struct seek_condition *out)
{
    static const struct {
        const char *name;
        int kind;
    } names[] = { { "ending=", SEEK_ENDING }, { "has=", SEEK_HAS }, { "lacks=", SEEK_LACKS }, { "knows=", SEEK_KNOWS } };
    struct seek_condition c = { .kind = SEEK_NOBODY_HURT };
    bool found = strcmp(text, "nobody-hurt") == 0;
    for (size_t i = 0; !found && i < sizeof names / sizeof names[0]; i++) {
        size_t size = strlen(names[i].name);
        if (strncmp(text, names[i].name, size) != 0)
            continue;
        const char *rest = text + size, *colon = strchr(rest, ':');
        c.kind = names[i].kind;
        if (c.kind != SEEK_KNOWS)
            found = take(rest, strlen(rest), c.name);
        else
            found = colon != NULL && take(rest, (size_t) (colon - rest), c.name) &&
                    take(colon + 1, strlen(colon + 1), c.fact);
        break;
    }
    if (found)
        *out = c;
    return found;
}

/* FNV-1a. */
static uint64_t hash(uint64_t h, const char *text)
{
    h = h == 0 ? UINT64_C(14695981039346656037) : h;
    for (; *text != '\0'; text++)
        h = (h ^ (uint8_t) *text) * UINT64_C(1099511628211);
    return (h ^ 0xff) * UINT64_C(1099511628211);
}

static void add_step(struct seek_story *s, uint64_t step)
{
    if (s->n_steps == s->capacity) {
        size_t capacity = s->capacity > 0 ? s->capacity * 2 : 64;
        uint64_t *steps = alloc_resize(s->steps, capacity * sizeof *steps);
        s->failed |= steps == NULL;
        if (steps == NULL)
            return;
        s->steps = steps;
        s->capacity = capacity;
    }
    s->steps[s->n_steps++] = step;
}

static bool hurts(const Novelengine__V1__SimulationEvent *e)
{
    for (size_t i = 0; i < e->n_effects; i++)
        if (strcmp(e->effects[i]->fluent, "hurt") == 0 && e->effects[i]->after > e->effects[i]->before)
            return true;
    return false;
}

static bool learns(const Novelengine__V1__SimulationEvent *e, const struct seek_condition *c)
{
    for (size_t i = 0; i < e->n_beliefs; i++)
        if (e->beliefs[i]->after == NOVELENGINE__V1__BELIEF__BELIEF_BELIEVES &&
            strcmp(e->beliefs[i]->character, c->name) == 0 && strcmp(e->beliefs[i]->fact, c->fact) == 0)
            return true;
    return false;
}

/* met[i] of NOBODY_HURT and LACKS means the contrary until the end. */
void seek_note(struct seek_story *s, const Novelengine__V1__SimulationEvent *e,
               const struct seek_condition *conditions, size_t n)
{
    bool rejected = e->type == NOVELENGINE__V1__SIMULATION_EVENT__TYPE__TYPE_REJECTED;
    for (size_t i = 0; i < n; i++) {
        const struct seek_condition *c = &conditions[i];
        bool does = !rejected && strcmp(e->operator_, c->name) == 0;
        s->met[i] |= c->kind == SEEK_NOBODY_HURT                       ? hurts(e)
                     : c->kind == SEEK_HAS || c->kind == SEEK_LACKS ? does
                     : c->kind == SEEK_KNOWS                           ? learns(e, c)
                                                                       : false;
    }
    if (e->operator_[0] == '\0' || rejected)
        return;
    uint64_t deed = hash(hash(0, e->actor), e->operator_);
    add_step(s, s->last * 31 + deed);
    s->last = deed;
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *) a, y = *(const uint64_t *) b;
    return x < y ? -1 : x > y;
}

void seek_end(struct seek_story *s, const char *ending, const struct seek_condition *conditions, size_t n)
{
    snprintf(s->ending, sizeof s->ending, "%s", ending);
    add_step(s, hash(hash(0, "ending"), ending));
    for (size_t i = 0; i < n; i++) {
        if (conditions[i].kind == SEEK_ENDING)
            s->met[i] = strstr(ending, conditions[i].name) != NULL;
        else if (conditions[i].kind == SEEK_NOBODY_HURT || conditions[i].kind == SEEK_LACKS)
            s->met[i] = !s->met[i];
    }
    if (s->n_steps > 1)
        qsort(s->steps, s->n_steps, sizeof *s->steps, by_value);
    size_t unique = s->n_steps > 0;
    for (size_t i = 1; i < s->n_steps; i++)
        if (s->steps[i] != s->steps[unique - 1])
            s->steps[unique++] = s->steps[i];
    s->n_steps = unique;
}

void seek_story_done(struct seek_story *s)
{
    alloc_free(s->steps);
    *s = (struct seek_story){ 0 };
}

bool seek_met(const struct seek_story *s, const struct seek_condition *conditions, size_t n)
{
    (void) conditions;
    bool all = true;
    for (size_t i = 0; i < n; i++)
        all &= s->met[i];
    return all;
}

unsigned seek_distance(const struct seek_story *a, const struct seek_story *b)
{
    size_t both = 0, i = 0, j = 0;
    while (i < a->n_steps && j < b->n_steps) {
        both += a->steps[i] == b->steps[j];
        bool next_a = a->steps[i] <= b->steps[j], next_b = b->steps[j] <= a->steps[i];
        i += next_a;
        j += next_b;
    }
    size_t all = a->n_steps + b->n_steps - both;
    return all == 0 ? 0 : (unsigned) ((all - both) * 1000 / all);
}

static void pick_first_two(const struct seek_story *const *stories, size_t n, size_t *picked)
{
    unsigned most = 0;
    picked[0] = 0;
    picked[1] = 1;
    for (size_t i = 0; i < n; i++)
        for (size_t j = i + 1; j < n; j++) {
            unsigned d = seek_distance(stories[i], stories[j]);
            if (d > most) {
                most = d;
                picked[0] = i;
                picked[1] = j;
            }
        }
}

size_t seek_most_different(const struct seek_story *const *stories, size_t n, size_t k, size_t *picked)
{
    if (n <= k || n < 2 || k < 2) {
        size_t count = n < k ? n : k;
        for (size_t i = 0; i < count; i++)
            picked[i] = i;
        return count;
    }
    pick_first_two(stories, n, picked);
    for (size_t count = 2; count < k; count++) {
        size_t best = 0;
        long most = -1;
        for (size_t i = 0; i < n; i++) {
            unsigned near = UINT32_MAX;
            bool taken = false;
            for (size_t p = 0; p < count && !taken; p++) {
                unsigned d = seek_distance(stories[i], stories[picked[p]]);
                near = d < near ? d : near;
                taken = picked[p] == i;
            }
            if (!taken && (long) near > most) {
                most = (long) near;
                best = i;
            }
        }
        picked[count] = best;
    }
    return k;
}
