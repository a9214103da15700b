/* novel-metrics-repeats.c — the sentences that stand in most stories. */
#include <stdlib.h>
#include <string.h>
#include "rpc/base/map.h"
#include "server/tools/novel-metrics-page.h"

enum { LEAST_WORDS = 5, LISTED = 24 };

struct repeat {
    const struct text_sentence *first;
    size_t stories, last, place; /* last: the story seen last, + 1 */
};
static int note(struct map *seen, struct arena *arena, const struct text_doc *d,
                const struct text_sentence *x, size_t story)
{
    uint32_t *ids = arena_get(arena, x->count * sizeof(*ids));
    if (ids == NULL)
        return -1;
    for (uint32_t w = 0; w < x->count; w++)
        ids[w] = d->words[x->first + w].id;
    size_t size = x->count * sizeof(*ids);
    struct repeat *r = map_get(seen, (const char *) ids, size);
    if (r == NULL) {
        r = arena_zero(arena, 1, sizeof(*r));
        if (r == NULL || map_set(seen, (const char *) ids, size, r, NULL) < 0)
            return -1;
        r->first = x;
        r->place = seen->count;
    }
    r->stories += r->last != story + 1;
    r->last = story + 1;
    return 0;
}
static int by_stories(const void *a, const void *b)
{
    const struct repeat *x = *(const struct repeat *const *) a,
                        *y = *(const struct repeat *const *) b;
    if (x->stories != y->stories)
        return x->stories < y->stories ? 1 : -1;
    return x->place < y->place ? -1 : x->place > y->place;
}
static int list(const struct map *seen, struct arena *arena, struct buf *out)
{
    const struct repeat **all = arena_zero(arena, seen->count + 1, sizeof(*all));
    if (all == NULL)
        return -1;
    for (size_t i = 0; i < seen->count; i++)
        all[i] = seen->entries[i].value;
    qsort(all, seen->count, sizeof(*all), by_stories);
    buf_puts(out, "<ol class=\"often\">\n");
    for (size_t i = 0; i < seen->count && i < LISTED && all[i]->stories > 1; i++) {
        buf_puts(out, "<li>");
        page_text(out, all[i]->first->data, all[i]->first->size);
        buf_printf(out, " <i>%zu stories</i></li>\n", all[i]->stories);
    }
    buf_puts(out, "</ol>\n");
    return 0;
}
int page_repeats(const struct page *p, struct buf *out)
{
    struct map seen = { 0 };
    struct arena arena;
    int r = 0;
    arena_init(&arena, 65536);
    for (size_t i = 0; i < p->samples->count; i++) {
        const struct text_doc *d = &p->samples->list[i].doc;
        for (size_t k = 0; r == 0 && k < d->sentences_count; k++)
            if (d->sentences[k].count >= LEAST_WORDS)
                r = note(&seen, &arena, d, &d->sentences[k], i);
    }
    if (r == 0)
        r = list(&seen, &arena, out);
    map_done(&seen);
    arena_done(&arena);
    return r;
}
