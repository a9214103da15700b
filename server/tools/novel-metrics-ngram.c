#include "server/tools/novel-metrics-ngram.h"

#include <string.h>
#include "rpc/base/alloc.h"

struct grams *grams_new(const struct text_doc *const *docs, size_t count)
{
    struct grams *g = alloc_zero(1, sizeof(*g));
    if (g == NULL)
        return NULL;
    g->docs = docs;
    g->docs_count = count;
    g->lists = alloc_zero(count, sizeof(*g->lists));
    g->at = alloc_zero(count, sizeof(*g->at));
    bool ok = g->lists != NULL && g->at != NULL;
    for (size_t i = 0; ok && i < count; i++) {
        size_t words = docs[i]->words_count + 1;
        g->at[i] = alloc_zero(words, sizeof(*g->at[i]));
        g->lists[i].grams = alloc_zero(words, sizeof(struct gram));
        ok = g->at[i] != NULL && g->lists[i].grams != NULL;
    }
    if (ok)
        return g;
    grams_free(g);
    return NULL;
}
void grams_free(struct grams *g)
{
    if (g == NULL)
        return;
    for (size_t i = 0; i < g->docs_count; i++) {
        if (g->at != NULL)
            alloc_free(g->at[i]);
        if (g->lists != NULL)
            alloc_free(g->lists[i].grams);
    }
    alloc_free(g->at);
    alloc_free(g->lists);
    alloc_free(g->scratch);
    alloc_free(g);
}

/* A number for every pair of (n-1)-gram and word. */
struct pairs {
    struct {
        uint64_t key;
        uint32_t id; /* + 1; 0 is free */
    } * slots;
    size_t mask;
    uint32_t count;
};
static uint32_t number_of(struct pairs *p, uint64_t key)
{
    uint64_t h = key * UINT64_C(0x9E3779B97F4A7C15);
    size_t i = (size_t) (h ^ (h >> 29)) & p->mask;
    while (p->slots[i].id != 0 && p->slots[i].key != key)
        i = (i + 1) & p->mask;
    if (p->slots[i].id == 0) {
        p->slots[i].key = key;
        p->slots[i].id = ++p->count;
    }
    return p->slots[i].id - 1;
}
static size_t positions(const struct text_doc *d, unsigned n)
{
    return d->words_count >= n ? d->words_count - n + 1 : 0;
}
static int number_all(struct grams *g, unsigned n)
{
    struct pairs p = { .mask = 1024 - 1 };
    size_t all = 0;
    for (size_t i = 0; i < g->docs_count; i++)
        all += positions(g->docs[i], n);
    while (p.mask < 2 * all)
        p.mask = 2 * p.mask + 1;
    p.slots = alloc_zero(p.mask + 1, sizeof(*p.slots));
    if (p.slots == NULL)
        return -1;
    for (size_t i = 0; i < g->docs_count; i++) {
        const struct text_word *words = g->docs[i]->words;
        for (size_t k = 0, end = positions(g->docs[i], n); k < end; k++) {
            uint64_t before = n == 1 ? 0 : g->at[i][k];
            g->at[i][k] = number_of(&p, before << 32 | words[k + n - 1].id);
        }
    }
    g->ids_count = p.count;
    alloc_free(p.slots);
    return 0;
}
static void list(struct grams *g, size_t i)
{
    struct gram_list *l = &g->lists[i];
    l->count = 0;
    l->total = positions(g->docs[i], g->n);
    for (size_t k = 0; k < l->total; k++) {
        uint32_t id = g->at[i][k];
        if (g->scratch[id] == 0) {
            l->grams[l->count++] = (struct gram){ id, 0, (uint32_t) k };
            g->scratch[id] = (uint32_t) l->count;
        }
        l->grams[g->scratch[id] - 1].count++;
    }
    for (size_t k = 0; k < l->count; k++)
        g->scratch[l->grams[k].id] = 0;
}
int grams_next(struct grams *g)
{
    if (number_all(g, g->n + 1) != 0)
        return -1;
    g->n++;
    if (g->ids_count > g->scratch_size) {
        alloc_free(g->scratch);
        g->scratch = alloc_zero(g->ids_count, sizeof(*g->scratch));
        g->scratch_size = g->scratch != NULL ? g->ids_count : 0;
        if (g->scratch == NULL)
            return -1;
    }
    for (size_t i = 0; i < g->docs_count; i++)
        list(g, i);
    return 0;
}
double grams_distinct(const struct grams *g, size_t i)
{
    size_t total = g->lists[i].total;
    return (double) g->lists[i].count / (double) (total > 0 ? total : 1);
}
size_t grams_common(struct grams *g, size_t a, size_t b, bool clipped)
{
    const struct gram_list *of = &g->lists[a], *in = &g->lists[b];
    size_t common = 0;
    for (size_t k = 0; k < in->count; k++)
        g->scratch[in->grams[k].id] = in->grams[k].count;
    for (size_t k = 0; k < of->count; k++) {
        uint32_t there = g->scratch[of->grams[k].id], here = of->grams[k].count;
        common += !clipped ? there > 0 : there < here ? there : here;
    }
    for (size_t k = 0; k < in->count; k++)
        g->scratch[in->grams[k].id] = 0;
    return common;
}
