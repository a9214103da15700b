#include "server/service/compare_pair.h"

#include <string.h>

#include "rpc/base/alloc.h"

/* Beyond so many cells a turn is paired by position: it is nothing that a person will read side by side. */
enum { CELLS_MAX = 1 << 20 };
enum step { STEP_PAIR, STEP_A, STEP_B };

static unsigned likeness(const struct compare_item *a, const struct compare_item *b)
{
    if (a->whole == b->whole)
        return 9;
    if (a->seen == b->seen)
        return 7;
    if (a->deed == b->deed)
        return 5;
    return a->who == b->who && a->pass == b->pass ? 2 : 0;
}

struct turn {
    const struct compare_item *as, *bs;
    size_t n_as, n_bs, first_a, first_b; /* first_: index of as[0], bs[0] in their logs */
};

static void put(struct compare_pair *out, size_t *count, size_t a, size_t b)
{
    out[(*count)++] = (struct compare_pair) { a, b };
}

static void by_position(const struct turn *t, struct compare_pair *out, size_t *count)
{
    size_t most = t->n_as > t->n_bs ? t->n_as : t->n_bs;
    for (size_t i = 0; i < most; i++)
        put(out, count, i < t->n_as ? t->first_a + i : NO_ITEM, i < t->n_bs ? t->first_b + i : NO_ITEM);
}

/* The alignment with the greatest likeness in all, from the back: so it is read off from the front. */
static bool by_likeness(const struct turn *t, struct compare_pair *out, size_t *count)
{
    size_t width = t->n_bs + 1;
    uint8_t *steps = alloc_get((t->n_as + 1) * width);
    uint32_t *below = alloc_zero(width, sizeof *below), *row = alloc_zero(width, sizeof *row);
    bool ok = steps != NULL && below != NULL && row != NULL;
    for (size_t i = t->n_as + 1; ok && i-- > 0;) {
        for (size_t j = width; j-- > 0;) {
            uint32_t best = 0;
            enum step step = i < t->n_as ? STEP_A : STEP_B;
            if (i < t->n_as)
                best = below[j];
            if (j < t->n_bs && (i == t->n_as || row[j + 1] > best)) {
                best = row[j + 1];
                step = STEP_B;
            }
            unsigned like = i < t->n_as && j < t->n_bs ? likeness(&t->as[i], &t->bs[j]) : 0;
            if (like > 0 && below[j + 1] + like >= best) {
                best = below[j + 1] + like;
                step = STEP_PAIR;
            }
            row[j] = best;
            steps[i * width + j] = (uint8_t) step;
        }
        uint32_t *swap = below;
        below = row, row = swap;
    }
    for (size_t i = 0, j = 0; ok && (i < t->n_as || j < t->n_bs);) {
        enum step step = (enum step) steps[i * width + j];
        put(out, count, step == STEP_B ? NO_ITEM : t->first_a + i, step == STEP_A ? NO_ITEM : t->first_b + j);
        i += step != STEP_B;
        j += step != STEP_A;
    }
    alloc_free(steps);
    alloc_free(below);
    alloc_free(row);
    return ok;
}

static size_t count_turn(const struct compare_item *items, size_t n, uint32_t turn)
{
    size_t count = 0;
    while (count < n && items[count].turn == turn)
        count++;
    return count;
}

struct compare_pair *compare_pairs(const struct compare_item *as, size_t n_as, const struct compare_item *bs,
                                   size_t n_bs, struct arena *arena, size_t *out_count)
{
    struct compare_pair *out = arena_zero(arena, n_as + n_bs + 1, sizeof *out);
    size_t count = 0, a = 0, b = 0;
    while (out != NULL && (a < n_as || b < n_bs)) {
        uint32_t turn = b == n_bs || (a < n_as && as[a].turn < bs[b].turn) ? as[a].turn : bs[b].turn;
        struct turn t = { as + a, bs + b, count_turn(as + a, n_as - a, turn), count_turn(bs + b, n_bs - b, turn), a, b };
        if (t.n_as * t.n_bs > CELLS_MAX)
            by_position(&t, out, &count);
        else if (!by_likeness(&t, out, &count))
            return NULL;
        a += t.n_as;
        b += t.n_bs;
    }
    *out_count = count;
    return out;
}
