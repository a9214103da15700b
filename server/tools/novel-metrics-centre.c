/* novel-metrics-centre.c — what ties a sentence to the one before it: somebody or something that
 * both speak of, by name or by pronoun. */
#include <ctype.h>
#include <math.h>
#include <string.h>
#include "server/tools/novel-metrics-graph.h"
#include "server/tools/novel-metrics-random.h"

enum { SHUFFLES = 20, SENTENCES_MAX = 4096, ENTITIES = 24 };

struct spoken { /* whom and what a sentence speaks of */
    const char *ids[ENTITIES];
    size_t count;
};
static void add(struct spoken *s, const char *id)
{
    for (size_t i = 0; i < s->count; i++)
        if (strcmp(s->ids[i], id) == 0)
            return;
    if (s->count < ENTITIES)
        s->ids[s->count++] = id;
}
static bool shares(const struct spoken *a, const struct spoken *b)
{
    for (size_t i = 0; i < a->count; i++)
        for (size_t k = 0; k < b->count; k++)
            if (strcmp(a->ids[i], b->ids[k]) == 0)
                return true;
    return false;
}

/* Pronouns by the entity's own: he, she, they, it; "I" stands for whoever speaks and is spoken to.
 */
static const struct {
    const char *own, *forms;
} pronouns[] = {
    { "he", " he him his himself " },
    { "she", " she her hers herself " },
    { "they", " they them their theirs themselves themself " },
    { "it", " it its itself " },
    { "I", " i me my mine you your yours we us our ours i'm i've i'll i'd you're we're " },
};
enum { CLASSES = sizeof(pronouns) / sizeof(pronouns[0]), SPEAKERS = CLASSES - 1 };

static unsigned classes_in(const char *text)
{
    unsigned found = 0;
    while (*text != 0) {
        char word[24] = " ";
        size_t n = 0;
        while (*text != 0 && !isalpha((unsigned char) *text))
            text++;
        for (; isalpha((unsigned char) *text) || (*text == '\'' && n > 0); text++, n++)
            if (n < sizeof(word) - 3)
                word[1 + n] = (char) tolower((unsigned char) *text);
        if (n == 0 || n > sizeof(word) - 4)
            continue;
        word[1 + n] = ' ';
        for (unsigned c = 0; c < CLASSES; c++)
            found |= strstr(pronouns[c].forms, word) != NULL ? 1u << c : 0;
    }
    return found;
}
static int class_of(const char *own)
{
    for (int c = 0; c < SPEAKERS; c++)
        if (strcmp(pronouns[c].own, own) == 0)
            return c;
    return -1;
}
/* The people of the events that the sentence tells; class SPEAKERS takes all of them. */
static bool add_people(const struct metrics_played *p, const struct nvl_sentence *x, int class,
                       struct spoken *out)
{
    size_t before = out->count, people = nvl_world_count(p->world, NVL_SORT_CHAR);
    for (size_t i = 0; i < x->events_count; i++) {
        if (x->events[i] < 1 || x->events[i] > p->count)
            continue;
        const struct nvl_event *e = &p->events[x->events[i] - 1];
        for (size_t k = 0; k < e->args_count; k++) {
            if (nvl_event_arg_sort(p->world, e, k) != NVL_SORT_CHAR || e->args[k] >= people)
                continue;
            const struct nvl_entity *c = nvl_world_entity(p->world, NVL_SORT_CHAR, e->args[k]);
            if (class == SPEAKERS || class_of(c->pronouns) == class)
                add(out, c->id);
        }
    }
    return out->count > before;
}
static const struct nvl_entity *person_named(const struct nvl_world *w, const char *id)
{
    for (size_t i = 0; i < nvl_world_count(w, NVL_SORT_CHAR); i++)
        if (strcmp(nvl_world_entity(w, NVL_SORT_CHAR, i)->id, id) == 0)
            return nvl_world_entity(w, NVL_SORT_CHAR, i);
    return NULL;
}
/* last: per class the entity named or meant last; carried from sentence to sentence of a scene. */
static void speak_of(const struct metrics_played *p, const struct nvl_sentence *x,
                     const char *last[CLASSES], struct spoken *out)
{
    unsigned found = classes_in(x->text);
    for (size_t i = 0; i < x->entities_count; i++)
        add(out, x->entities[i]);
    for (int c = 0; c < CLASSES; c++)
        if ((found >> c & 1) != 0 && !add_people(p, x, c, out) && last[c] != NULL)
            add(out, last[c]);
    for (size_t i = 0; i < out->count; i++) {
        const struct nvl_entity *e = person_named(p->world, out->ids[i]);
        int c = e != NULL ? class_of(e->pronouns) : class_of("it");
        if (c >= 0)
            last[c] = out->ids[i];
    }
}

static size_t ties(const struct spoken *const *s, size_t count)
{
    size_t n = 0;
    for (size_t i = 1; i < count; i++)
        n += shares(s[i - 1], s[i]);
    return n;
}
static double order_wins(const struct spoken **order, size_t count)
{
    struct metrics_random r;
    size_t straight = ties(order, count), won = 0;
    metrics_random_init(&r, 1);
    for (unsigned trial = 0; trial < SHUFFLES; trial++) {
        for (size_t i = count; i > 1; i--) {
            size_t k = metrics_random_below(&r, (uint32_t) i);
            const struct spoken *keep = order[i - 1];
            order[i - 1] = order[k], order[k] = keep;
        }
        won += straight > ties(order, count);
    }
    return (double) won / SHUFFLES;
}
int log_sentences_measure(const struct metrics_played *p, struct arena *arena,
                          double m[static LOG_COUNT])
{
    const struct nvl_story *story = p->story;
    size_t most = 0, count = 0, from = 0, loose = 0, inner = 0;
    for (size_t i = 0; i < story->passages_count; i++)
        most += story->passages[i].sentences_count;
    most = most < SENTENCES_MAX ? most : SENTENCES_MAX;
    struct spoken *s = arena_zero(arena, most + 1, sizeof(*s));
    const struct spoken **order = arena_zero(arena, most + 1, sizeof(*order));
    if (s == NULL || order == NULL)
        return -1;
    for (size_t i = 0; i < story->passages_count; i++) {
        const char *last[CLASSES] = { NULL };
        for (size_t k = 0; k < story->passages[i].sentences_count && count < most; k++) {
            const struct nvl_sentence *x = &story->passages[i].sentences[k];
            speak_of(p, x, last, &s[count]);
            from += x->events_count + x->facts_count > 0;
            inner += k > 0;
            loose += k > 0 && !shares(&s[count - 1], &s[count]);
            order[count] = &s[count];
            count++;
        }
    }
    m[LOG_PROVENANCE] = log_share(from, count, 1);
    m[LOG_NO_CENTRE] = log_share(loose, inner, NAN);
    m[LOG_REWRITTEN] = log_share(story->rewritten, count, 0);
    if (count > 2)
        m[LOG_ORDER] = order_wins(order, count);
    return 0;
}
