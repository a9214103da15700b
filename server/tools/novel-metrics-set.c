#include "server/tools/novel-metrics-set.h"

#include <math.h>
#include <string.h>
#ifdef NOVEL_LZMA
#include <lzma.h>
#endif
#include "rpc/base/alloc.h"
#include "rpc/base/buf.h"
#include "rpc/base/map.h"
#include "server/tools/novel-metrics-ngram.h"
#include "server/tools/novel-metrics-random.h"

static const char *const names[SET_COUNT] = {
    "selfBLEU4(all refs)", "pairBLEU4",   "shared4gram",     "pair_overlap4",   "shared5gram",
    "pair_overlap5",       "shared6gram", "pair_overlap6",   "shared8gram",     "pair_overlap8",
    "shared_sents",        "xzratio_set", "shared5gram_own", "shared8gram_own",
};
const char *metrics_set_name(enum metrics_set which)
{
    return which < SET_COUNT ? names[which] : "";
}

enum { SELF_MAX = 30, PAIRS = 200, OVERLAPS = 400, BLEU_N = 4, LONGEST = 8 };

struct setting {
    const struct text_doc *const *docs;
    size_t count;
    const uint64_t *const *own;
    struct grams *grams;
    uint32_t pairs[PAIRS][2], overlaps[4][OVERLAPS][2];
    double self[SELF_MAX], pair[PAIRS]; /* sums of logarithms */
    uint32_t *best, *second, *owner;    /* per n-gram: in how many places of one text, most */
    size_t table_size;
};

/* ---- BLEU ------------------------------------------------------------------------------------ */

static double log_precision(size_t clipped, size_t total)
{
    double c = clipped > 0 ? (double) clipped : 0.1;
    return log(c / (double) total) / BLEU_N;
}
static int tables_for(struct setting *s)
{
    size_t n = s->grams->ids_count;
    if (n > s->table_size) {
        alloc_free(s->best), alloc_free(s->second), alloc_free(s->owner);
        s->best = alloc_get(n * sizeof(*s->best));
        s->second = alloc_get(n * sizeof(*s->second));
        s->owner = alloc_get(n * sizeof(*s->owner));
        s->table_size = n;
    }
    if (s->best == NULL || s->second == NULL || s->owner == NULL)
        return -1;
    memset(s->best, 0, n * sizeof(*s->best));
    memset(s->second, 0, n * sizeof(*s->second));
    return 0;
}
/* The most that any text has of each n-gram, and the most that any other has. */
static void find_most(struct setting *s)
{
    for (size_t i = 0; i < s->count; i++)
        for (size_t k = 0; k < s->grams->lists[i].count; k++) {
            const struct gram *g = &s->grams->lists[i].grams[k];
            if (g->count > s->best[g->id]) {
                s->second[g->id] = s->best[g->id];
                s->best[g->id] = g->count;
                s->owner[g->id] = (uint32_t) i;
            } else if (g->count > s->second[g->id]) {
                s->second[g->id] = g->count;
            }
        }
}
static int add_bleu(struct setting *s)
{
    if (tables_for(s) != 0)
        return -1;
    find_most(s);
    for (size_t i = 0; i < s->count && i < SELF_MAX; i++) {
        const struct gram_list *l = &s->grams->lists[i];
        size_t clipped = 0;
        for (size_t k = 0; k < l->count; k++) {
            uint32_t id = l->grams[k].id;
            uint32_t most = s->owner[id] == i ? s->second[id] : s->best[id];
            clipped += l->grams[k].count < most ? l->grams[k].count : most;
        }
        s->self[i] += log_precision(clipped, l->total);
    }
    for (size_t p = 0; p < PAIRS; p++)
        s->pair[p] += log_precision(grams_common(s->grams, s->pairs[p][0], s->pairs[p][1], true),
                                    s->grams->lists[s->pairs[p][0]].total);
    return 0;
}
static double brevity(size_t length, size_t closest)
{
    return length > closest ? 1 : exp(1 - (double) closest / (double) length);
}
static size_t closest_length(const struct setting *s, size_t i)
{
    size_t length = s->docs[i]->words_count, best = 0, best_off = SIZE_MAX;
    for (size_t k = 0; k < s->count; k++) {
        size_t other = s->docs[k]->words_count;
        size_t off = other > length ? other - length : length - other;
        if (k != i && (off < best_off || (off == best_off && other < best)))
            best = other, best_off = off;
    }
    return best;
}
static void finish_bleu(const struct setting *s, double *m)
{
    double sum = 0;
    size_t n = s->count < SELF_MAX ? s->count : SELF_MAX;
    for (size_t i = 0; i < n; i++)
        sum += brevity(s->docs[i]->words_count, closest_length(s, i)) * exp(s->self[i]);
    m[SET_SELF_BLEU] = sum / (double) n;
    sum = 0;
    for (size_t p = 0; p < PAIRS; p++)
        sum += brevity(s->docs[s->pairs[p][0]]->words_count, s->docs[s->pairs[p][1]]->words_count) *
               exp(s->pair[p]);
    m[SET_PAIR_BLEU] = sum / PAIRS;
}

/* ---- what is shared -------------------------------------------------------------------------- */

static bool is_own(const struct setting *s, size_t doc, const struct gram *g)
{
    if (s->own == NULL || s->own[doc] == NULL)
        return false;
    for (unsigned k = 0; k < s->grams->n; k++) {
        uint32_t id = s->docs[doc]->words[g->at + k].id;
        if (s->own[doc][id / 64] >> (id % 64) & 1)
            return true;
    }
    return false;
}
static double shared(struct setting *s, bool without_own)
{
    uint32_t *texts = s->grams->scratch; /* in how many texts an n-gram stands */
    double sum = 0;
    for (size_t i = 0; i < s->count; i++)
        for (size_t k = 0; k < s->grams->lists[i].count; k++)
            texts[s->grams->lists[i].grams[k].id]++;
    for (size_t i = 0; i < s->count; i++) {
        const struct gram_list *l = &s->grams->lists[i];
        size_t twice = 0, all = 0;
        for (size_t k = 0; k < l->count; k++) {
            if (without_own && is_own(s, i, &l->grams[k]))
                continue;
            twice += texts[l->grams[k].id] > 1;
            all++;
        }
        sum += (double) twice / (double) (all > 0 ? all : 1);
    }
    memset(texts, 0, s->grams->ids_count * sizeof(*texts));
    return sum / (double) s->count;
}
static double overlap(struct setting *s, const uint32_t pairs[OVERLAPS][2])
{
    double sum = 0;
    for (size_t p = 0; p < OVERLAPS; p++) {
        size_t a = s->grams->lists[pairs[p][0]].count, b = s->grams->lists[pairs[p][1]].count;
        size_t least = a < b ? a : b;
        sum += (double) grams_common(s->grams, pairs[p][0], pairs[p][1], false) /
               (double) (least > 0 ? least : 1);
    }
    return sum / OVERLAPS;
}
static int add_grams(struct setting *s, double *m)
{
    static const struct {
        unsigned n;
        enum metrics_set shared, pair;
    } lengths[4] = { { 4, SET_SHARED4, SET_PAIR4 },
                     { 5, SET_SHARED5, SET_PAIR5 },
                     { 6, SET_SHARED6, SET_PAIR6 },
                     { 8, SET_SHARED8, SET_PAIR8 } };
    for (unsigned n = 1; n <= LONGEST; n++) {
        if (grams_next(s->grams) != 0 || (n <= BLEU_N && add_bleu(s) != 0))
            return -1;
        for (unsigned k = 0; k < 4; k++)
            if (lengths[k].n == n) {
                m[lengths[k].shared] = shared(s, false);
                m[lengths[k].pair] = overlap(s, (const uint32_t(*)[2]) s->overlaps[k]);
            }
        if (n == 5)
            m[SET_OWN5] = shared(s, true);
        else if (n == 8)
            m[SET_OWN8] = shared(s, true);
    }
    return 0;
}

/* ---- whole sentences, and the set squeezed as one -------------------------------------------- */

struct told { /* a sentence of five words or more */
    size_t texts, last;
};
/* Walks the texts' different sentences of five words or more; the second walk sums up. */
static int walk_sentences(const struct setting *s, struct map *seen, struct arena *arena,
                          double *out_sum)
{
    enum { LEAST = 5 };
    size_t round = *out_sum < 0 ? 0 : s->count; /* marks of the two walks differ */
    double sum = 0;
    for (size_t i = 0; i < s->count; i++) {
        const struct text_doc *d = s->docs[i];
        size_t twice = 0, all = 0;
        for (size_t k = 0; k < d->sentences_count; k++) {
            const struct text_sentence *x = &d->sentences[k];
            if (x->count < LEAST)
                continue;
            uint32_t *ids = arena_get(arena, x->count * sizeof(*ids));
            if (ids == NULL)
                return -1;
            for (uint32_t w = 0; w < x->count; w++)
                ids[w] = d->words[x->first + w].id;
            size_t size = x->count * sizeof(*ids);
            struct told *t = map_get(seen, (const char *) ids, size);
            if (t == NULL && ((t = arena_zero(arena, 1, sizeof(*t))) == NULL ||
                              map_set(seen, (const char *) ids, size, t, NULL) < 0))
                return -1;
            if (t->last == round + i + 1)
                continue;
            t->last = round + i + 1;
            t->texts += round == 0;
            twice += t->texts > 1;
            all++;
        }
        sum += (double) twice / (double) (all > 0 ? all : 1);
    }
    *out_sum = sum;
    return 0;
}
static int shared_sentences(const struct setting *s, double *m)
{
    struct map seen = { 0 };
    struct arena arena;
    double sum = -1;
    arena_init(&arena, 65536);
    int r = walk_sentences(s, &seen, &arena, &sum);
    if (r == 0)
        r = walk_sentences(s, &seen, &arena, &sum);
    if (r == 0)
        m[SET_SENTENCES] = sum / (double) s->count;
    map_done(&seen);
    arena_done(&arena);
    return r;
}
#ifdef NOVEL_LZMA
static int squeeze(const uint8_t *data, size_t size, size_t *out_size)
{
    lzma_stream stream = LZMA_STREAM_INIT;
    uint8_t block[4096];
    lzma_ret r = lzma_easy_encoder(&stream, 6, LZMA_CHECK_CRC64);
    stream.next_in = data;
    stream.avail_in = size;
    while (r == LZMA_OK) {
        stream.next_out = block;
        stream.avail_out = sizeof(block);
        r = lzma_code(&stream, LZMA_FINISH);
    }
    *out_size = (size_t) stream.total_out;
    lzma_end(&stream);
    return r == LZMA_STREAM_END ? 0 : -1;
}
static int compression(const struct setting *s, double *m)
{
    struct buf all = { 0 };
    size_t small;
    for (size_t i = 0; i < s->count; i++) {
        if (i > 0)
            buf_putc(&all, '\n');
        buf_put(&all, s->docs[i]->joined, s->docs[i]->joined_size);
    }
    int r = all.failed ? -1 : squeeze(all.data, all.size, &small);
    if (r == 0)
        m[SET_XZ] = (double) all.size / (double) small;
    buf_done(&all);
    return r;
}
#else
static int compression(const struct setting *s, double *m)
{
    (void) s;
    m[SET_XZ] = -1;
    return 0;
}
#endif

/* ---- all ------------------------------------------------------------------------------------- */

static void draw_pairs(struct setting *s)
{
    struct metrics_random r;
    metrics_random_init(&r, 1);
    for (size_t p = 0; p < PAIRS; p++)
        metrics_random_pair(&r, (uint32_t) s->count, s->pairs[p]);
    for (size_t k = 0; k < 4; k++)
        for (size_t p = 0; p < OVERLAPS; p++)
            metrics_random_pair(&r, (uint32_t) s->count, s->overlaps[k][p]);
}
int metrics_set(const struct text_doc *const *docs, size_t count, const uint64_t *const *own,
                double out[static SET_COUNT])
{
    double m[SET_COUNT] = { 0 };
    if (count < 2)
        return 1;
    for (size_t i = 0; i < count; i++)
        if (docs[i]->words_count < BLEU_N)
            return 1;
    struct setting *s = alloc_zero(1, sizeof(*s));
    struct grams *g = grams_new(docs, count);
    int r = -1;
    if (s != NULL && g != NULL) {
        s->docs = docs, s->count = count, s->own = own, s->grams = g;
        draw_pairs(s);
        r = add_grams(s, m);
        if (r == 0)
            finish_bleu(s, m);
        if (r == 0)
            r = shared_sentences(s, m);
        if (r == 0)
            r = compression(s, m);
        alloc_free(s->best), alloc_free(s->second), alloc_free(s->owner);
    }
    grams_free(g);
    alloc_free(s);
    if (r == 0)
        memcpy(out, m, sizeof(m));
    return r;
}
int metrics_sameness(const struct text_doc *const *docs, size_t count, float *out)
{
    struct grams *g = grams_new(docs, count);
    int r = g == NULL ? -1 : 0;
    for (unsigned n = 1; r == 0 && n <= 5; n++)
        r = grams_next(g);
    for (size_t i = 0; r == 0 && i < count; i++)
        for (size_t k = 0; k < count; k++) {
            size_t all = g->lists[i].count;
            out[i * count + k] =
                i == k ? 1 : (float) grams_common(g, i, k, false) / (float) (all > 0 ? all : 1);
        }
    grams_free(g);
    return r;
}
