/* coverage.c — what many stories were told with, so that writers see where the next line pays. */
#include <stdlib.h>
#include <string.h>
#include "rpc/base/alloc.h"
#include "server/narrator/teller.h"

enum { SLOTS = 65536 }; /* power of two; a pack has far fewer alternatives */
struct nvl_usage {
    uint64_t hashes[SLOTS];
    uint32_t stories[SLOTS];
    uint32_t told; /* stories in all */
};

int nvl_usage_new(struct nvl_usage **out)
{
    struct nvl_usage *u = alloc_zero(1, sizeof(*u));
    if (u == NULL)
        return NVL_E_NOMEM;
    *out = u;
    return NVL_OK;
}
void nvl_usage_free(struct nvl_usage *usage)
{
    alloc_free(usage);
}
static size_t slot_of(const struct nvl_usage *u, uint64_t hash)
{
    size_t i = (size_t) mix64(hash) & (SLOTS - 1);
    for (size_t step = 0; step < SLOTS; step++, i = (i + 1) & (SLOTS - 1))
        if (u->hashes[i] == 0 || u->hashes[i] == hash)
            break;
    return i;
}
void usage_gather(const struct teller *t, struct nvl_usage *usage)
{
    for (size_t i = 0; i < USES_MAX; i++) {
        size_t s = slot_of(usage, t->uses[i]);
        if (t->uses[i] == 0 || (usage->hashes[s] != 0 && usage->hashes[s] != t->uses[i]))
            continue;
        usage->hashes[s] = t->uses[i];
        usage->stories[s]++;
    }
    usage->told++;
}

struct told { /* an alternative and how many stories used it */
    const struct prose_rule *rule;
    const char *text;
    size_t size;
    uint32_t line, stories;
};
static int told_compare(const void *a, const void *b)
{
    const struct told *x = a, *y = b;
    if (x->stories != y->stories)
        return x->stories > y->stories ? -1 : 1;
    return (x->text > y->text) - (x->text < y->text);
}
static size_t list_told(const struct prose_index *index, const struct nvl_usage *usage,
                        struct told *out)
{
    size_t n = 0;
    for (size_t i = 0; i < index->count; i++) {
        const struct prose_rule *r = &index->rules[i];
        size_t line = 0, offset = 0, size;
        const char *text;
        while (r->kind != PROSE_VOICE && r->kind != PROSE_VARY &&
               prose_alternative(r, &line, &offset, &text, &size)) {
            size_t at = offset == 0 ? line - 1 : line;
            size_t s = slot_of(usage, morph_hash(text, size) ^ r->kind);
            if (out != NULL)
                out[n] =
                    (struct told){ r, text, size, r->statement->lines[at].line, usage->stories[s] };
            n++;
        }
    }
    return n;
}
void nvl_usage_report(const struct nvl_pack *pack, const struct nvl_usage *usage, struct buf *out)
{
    struct arena arena;
    struct prose_index index;
    arena_init(&arena, 256 * 1024);
    if (prose_index_build(pack, &arena, &index)) {
        size_t n = list_told(&index, usage, NULL), never = 0;
        struct told *all = arena_zero(&arena, n + 1, sizeof(*all));
        if (all != NULL) {
            list_told(&index, usage, all);
            qsort(all, n, sizeof(*all), told_compare);
        }
        for (size_t i = 0; all != NULL && i < n; i++) {
            const struct nvl_prose *s = all[i].rule->statement;
            never += all[i].stories == 0;
            buf_printf(out, "%6u  %s:%u  %s %s  %.*s\n", all[i].stories, s->file, all[i].line,
                       s->keyword, s->head, (int) all[i].size, all[i].text);
        }
        buf_printf(out, "%zu alternatives, %zu never used in %u stories\n", n, never, usage->told);
    }
    arena_done(&arena);
}
