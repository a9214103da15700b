#include "server/jobs/past.h"

#include <string.h>

#include "rpc/base/check.h"

enum { PAGE_EVENTS = 256, PAGE_BYTES = 1 << 20 };

static bool keep(struct store_bytes from, struct arena *a, struct store_bytes *to)
{
    uint8_t *copy = arena_copy(a, from.data, from.size);
    *to = (struct store_bytes) { copy, from.size };
    return copy != NULL;
}

/* Takes one page; false when memory ran out.  *out_more: there may be another. */
static bool take_page(const struct store_read_events *q, uint64_t last_sequence, uint32_t to_turn, struct arena *a,
                      struct past *p, bool *out_more)
{
    *out_more = q->n_events > 0;
    for (size_t i = 0; i < q->n_events && *out_more; i++) {
        const struct store_event *e = &q->events[i];
        struct store_bytes canonical;
        struct nvl_event event;
        if (!keep(e->canonical, a, &canonical) || (p->wire != NULL && !keep(e->wire, a, &p->wire[p->count])))
            return false;
        p->canonical[p->count++] = (struct nvl_span) { canonical.data, canonical.size };
        bool beyond = to_turn != UINT32_MAX && nvl_event_decode(canonical.data, canonical.size, &event) == NVL_OK &&
                      event.turn > to_turn;
        *out_more = !beyond && e->sequence < last_sequence;
    }
    return true;
}

enum store_result past_read(struct store *store, const char *id, uint64_t last_sequence, uint32_t to_turn,
                            bool wire, struct arena *a, struct past *out)
{
    if (last_sequence > NVL_EVENTS_MAX)
        return STORE_E_IO; /* no engine wrote that */
    struct past p = { .canonical = arena_zero(a, last_sequence + 1, sizeof *p.canonical) };
    if (wire)
        p.wire = arena_zero(a, last_sequence + 1, sizeof *p.wire);
    enum store_result result = p.canonical == NULL || (wire && p.wire == NULL) ? STORE_E_NOMEM : STORE_OK;
    bool more = last_sequence > 0;
    while (result == STORE_OK && more) {
        struct store_read_events q = { .read.kind = STORE_READ_EVENTS,
                                       .after_sequence = p.count,
                                       .limit = PAGE_EVENTS,
                                       .byte_limit = PAGE_BYTES,
                                       .canonical = true };
        if (last_sequence - p.count < q.limit)
            q.limit = (uint32_t) (last_sequence - p.count);
        strncpy(q.id, id, sizeof q.id - 1);
        arena_init(&q.read.arena, 65536);
        store_read_wait(store, &q.read);
        result = q.read.result;
        if (result == STORE_OK && !take_page(&q, last_sequence, to_turn, a, &p, &more))
            result = STORE_E_NOMEM;
        arena_done(&q.read.arena);
    }
    if (result == STORE_OK)
        *out = p;
    return result;
}

const struct nvl_pack *past_pack(struct store *store, const struct nvl_pack *current,
                                 const uint8_t digest[STORE_DIGEST_SIZE], struct nvl_pack **out_own,
                                 enum store_result *out_result)
{
    *out_own = NULL;
    *out_result = STORE_OK;
    if (memcmp(digest, nvl_pack_digest(current), STORE_DIGEST_SIZE) == 0)
        return current;
    struct store_read_pack q = { .read.kind = STORE_READ_PACK };
    memcpy(q.digest, digest, sizeof q.digest);
    arena_init(&q.read.arena, 65536);
    store_read_wait(store, &q.read);
    *out_result = q.read.result;
    if (q.read.result == STORE_OK && nvl_pack_open(q.image.data, q.image.size, NULL, out_own) == NVL_E_NOMEM)
        *out_result = STORE_E_NOMEM;
    arena_done(&q.read.arena);
    return *out_own;
}
