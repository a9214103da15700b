#include "server/tools/novel-metrics-plots.h"

#include <stdlib.h>
#include <string.h>
#include "rpc/base/alloc.h"

struct bigrams { /* different pairs of operators that follow one another, ascending */
    uint64_t *list;
    size_t count;
    const struct sample *of;
};
static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *) a, y = *(const uint64_t *) b;
    return x < y ? -1 : x > y;
}
static int gather(const struct sample *x, struct bigrams *out)
{
    size_t pairs = x->play.operators_count > 0 ? x->play.operators_count - 1 : 0;
    out->of = x;
    out->list = alloc_zero(pairs + 1, sizeof(*out->list));
    if (out->list == NULL)
        return -1;
    for (size_t i = 0; i < pairs; i++)
        out->list[i] = (uint64_t) x->play.operators[i] << 32 | x->play.operators[i + 1];
    qsort(out->list, pairs, sizeof(*out->list), compare);
    for (size_t i = 0; i < pairs; i++)
        if (out->count == 0 || out->list[out->count - 1] != out->list[i])
            out->list[out->count++] = out->list[i];
    return 0;
}
static double jaccard(const struct bigrams *a, const struct bigrams *b)
{
    size_t i = 0, k = 0, both = 0;
    while (i < a->count && k < b->count) {
        uint64_t x = a->list[i], y = b->list[k];
        both += x == y;
        i += x <= y;
        k += y <= x;
    }
    size_t all = a->count + b->count - both;
    return all > 0 ? (double) both / (double) all : 1;
}
static void measure_pairs(const struct bigrams *all, size_t n, struct plots_measure *out)
{
    double sum = 0, across = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t k = i + 1; k < n; k++) {
            double j = jaccard(&all[i], &all[k]);
            sum += j;
            if (all[i].of->play.seed == all[k].of->play.seed &&
                all[i].of->request != all[k].of->request) {
                across += j;
                out->across++;
            }
        }
    out->jaccard = sum / ((double) n * (double) (n - 1) / 2);
    out->jaccard_across = out->across > 0 ? across / (double) out->across : 0;
}
unsigned plots_requests(const struct samples *s)
{
    unsigned most = 0;
    for (size_t i = 0; i < s->count; i++)
        if (s->list[i].has_play && s->list[i].request + 1 > most)
            most = s->list[i].request + 1;
    return most;
}
size_t plots_signatures(const struct samples *s, unsigned request, size_t *out_stories)
{
    size_t different = 0, stories = 0;
    for (size_t i = 0; i < s->count; i++) {
        const struct sample *x = &s->list[i];
        if (!x->has_play || x->request != request)
            continue;
        bool again = false;
        for (size_t k = 0; k < i && !again; k++)
            again = s->list[k].has_play && s->list[k].request == request &&
                    strcmp(s->list[k].play.signature, x->play.signature) == 0;
        stories++;
        different += !again;
    }
    *out_stories = stories;
    return different;
}
static unsigned cast_of(const struct samples *s, unsigned request)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->list[i].has_play && s->list[i].request == request)
            return s->list[i].play.cast;
    return 0;
}
static void measure_signatures(const struct samples *s, struct plots_measure *out)
{
    for (unsigned r = 0, end = plots_requests(s); r < end; r++) {
        size_t stories, different = plots_signatures(s, r, &stories);
        if (stories == 0 || cast_of(s, r) != 3) /* the gate speaks of three characters */
            continue;
        double share = 100.0 * (double) different / (double) stories;
        if (out->request_stories == 0 || share < out->signatures_least)
            out->signatures_least = share;
        if (out->request_stories == 0 || stories < out->request_stories)
            out->request_stories = stories;
    }
}
int plots_measure(const struct samples *s, struct plots_measure *out)
{
    struct plots_measure m = { 0 };
    struct bigrams *all = alloc_zero(s->count + 1, sizeof(*all));
    int r = all == NULL ? -1 : 0;
    for (size_t i = 0; r == 0 && i < s->count; i++)
        if (s->list[i].has_play)
            r = gather(&s->list[i], &all[m.stories++]);
    if (r == 0 && m.stories < 2)
        r = 1;
    if (r == 0) {
        measure_pairs(all, m.stories, &m);
        measure_signatures(s, &m);
        *out = m;
    }
    for (size_t i = 0; all != NULL && i < s->count; i++)
        alloc_free(all[i].list);
    alloc_free(all);
    return r;
}
