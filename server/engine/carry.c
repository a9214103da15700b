/* carry.c — a chapter's end as bytes, those bytes checked, and what they change in a new world. */
#include "server/engine/carry.h"
#include <string.h>
#include "rpc/base/utf8.h"
#include "server/engine/past.h"
#include "server/engine/sim.h"

enum {
    FORMAT = 1,
    CELLS_MAX = 2048,
    SECRETS_MAX = NVL_CAST_MAX * NVL_CAST_MAX,
    ITEMS_MAX = 16,
    THREADS_MAX = 64,
    NAME_MAX = 120,
    CLAUSE_MAX = 400,
};

/* --- writing --- */

static void carry_put8(struct buf *b, unsigned v)
{
    buf_putc(b, (char) v);
}
static void carry_put16(struct buf *b, unsigned v)
{
    carry_put8(b, v & 0xFF), carry_put8(b, v >> 8 & 0xFF);
}
static void put_text(struct buf *b, const char *s)
{
    size_t n = strlen(s);
    carry_put16(b, (unsigned) n);
    buf_put(b, s, n);
}
/* Backfills the count that stands before a list. */
static void set16(struct buf *b, size_t at, unsigned v)
{
    if (!b->failed)
        b->data[at] = (uint8_t) v, b->data[at + 1] = (uint8_t) (v >> 8);
}
static size_t start_list(struct buf *b)
{
    carry_put16(b, 0);
    return b->size - 2;
}
static void put_cells(const struct nvl_sim *s, struct buf *b)
{
    const struct nvl_world *w = s->w;
    unsigned n = 0, cast = (unsigned) w->request->cast_count;
    size_t at = start_list(b);
    for (uint32_t cell = 0; cell < w->cells && n < CELLS_MAX; cell++) {
        const struct cell_ref *r = &w->refs[cell];
        const struct pack_fluent *f = &w->pack->fluents[r->fluent];
        unsigned args = f->sorts[1] != 0 ? 2 : 1;
        if (!(f->flags & FLUENT_CARRY) || r->a >= cast || (args == 2 && (r->b >= cast || r->a == r->b)))
            continue;
        put_text(b, f->name);
        carry_put8(b, args), carry_put8(b, r->a);
        if (args == 2)
            carry_put8(b, r->b);
        carry_put16(b, (uint16_t) s->state[cell]);
        n++;
    }
    set16(b, at, n);
}
static void put_secrets(const struct nvl_sim *s, struct buf *b)
{
    const struct nvl_world *w = s->w;
    unsigned n = 0, cast = (unsigned) w->request->cast_count;
    size_t at = start_list(b);
    for (unsigned i = 0; i < w->counts[NVL_SORT_FACT]; i++) {
        int owner = world_get(w, s->state, KNOWN_SECRET_OF, i, 0);
        for (unsigned c = 0; owner >= 0 && owner < (int) cast && c < cast && n < SECRETS_MAX; c++) {
            int level = world_get(w, s->state, KNOWN_KNOWS, c, i);
            if ((int) c == owner || level <= 0)
                continue;
            carry_put8(b, c), carry_put8(b, (unsigned) owner), carry_put8(b, (unsigned) level);
            n++;
        }
    }
    set16(b, at, n);
}
static void put_items(const struct nvl_sim *s, struct buf *b)
{
    const struct nvl_world *w = s->w;
    unsigned n = 0, cast = (unsigned) w->request->cast_count;
    size_t at = start_list(b);
    for (unsigned i = 0; i < w->counts[NVL_SORT_ITEM] && n < ITEMS_MAX; i++) {
        int holder = world_get(w, s->state, KNOWN_HOLDER, i, 0);
        const char *name = w->entities[NVL_SORT_ITEM][i].name;
        if (holder < 0 || holder >= (int) cast || strlen(name) > NAME_MAX)
            continue;
        carry_put8(b, (unsigned) holder);
        put_text(b, name);
        n++;
    }
    set16(b, at, n);
}
static void put_threads(const struct nvl_sim *s, struct buf *b)
{
    const struct nvl_pack *p = s->w->pack;
    unsigned n = 0, cast = (unsigned) s->w->request->cast_count;
    size_t at = start_list(b);
    for (uint32_t t = 0; t < p->counts[SEC_THRD] && t < SIM_THREADS; t++)
        for (unsigned about = 0; about <= SIM_CHARS && n < THREADS_MAX; about++) {
            if (s->thread_open[t][about] != 1 || (about >= cast && about != SIM_CHARS))
                continue;
            put_text(b, nvl_thread_name(s->w, t));
            carry_put8(b, about == SIM_CHARS ? NVL_NONE : about);
            n++;
        }
    set16(b, at, n);
}
static void put_canon(const struct nvl_sim *s, struct buf *b)
{
    const struct past *before = &s->w->past;
    const struct nvl_pack *p = s->w->pack;
    unsigned ending = direct_ending(s, s->state), n = before->canon_count;
    unsigned from = n >= PAST_CANON_MAX ? n - PAST_CANON_MAX + 1 : 0;
    carry_put16(b, n - from + 1);
    for (unsigned i = from; i < n; i++) {
        carry_put16(b, before->canon[i].chapter);
        put_text(b, before->canon[i].place), put_text(b, before->canon[i].clause);
    }
    carry_put16(b, before->chapter + 1u);
    put_text(b, strlen(s->w->locale) <= NAME_MAX ? s->w->locale : "");
    put_text(b, ending < p->counts[SEC_ENDI] ? p->endings[ending].clause : "");
}
int nvl_carry_encode(const struct nvl_sim *s, struct buf *out)
{
    const struct nvl_world *w = s->w;
    if (!s->ended || s->cancelled)
        return NVL_E_INVALID;
    buf_put(out, "NVC1", 4);
    carry_put16(out, FORMAT), carry_put16(out, w->past.chapter + 1u);
    buf_put(out, s->head, SHA256_SIZE);
    carry_put8(out, (unsigned) w->request->cast_count);
    for (size_t c = 0; c < w->request->cast_count; c++)
        put_text(out, w->request->cast[c].id);
    put_cells(s, out);
    put_secrets(s, out);
    put_items(s, out);
    put_threads(s, out);
    put_canon(s, out);
    return out->failed ? NVL_E_NOMEM : NVL_OK;
}

/* --- reading --- */

struct reader {
    const uint8_t *at, *end;
    struct arena *arena; /* NULL: only looked at */
    bool bad, nomem;
};
static unsigned take8(struct reader *r)
{
    if (r->at == r->end) {
        r->bad = true;
        return 0;
    }
    return *r->at++;
}
static unsigned take16(struct reader *r)
{
    unsigned low = take8(r);
    return low | take8(r) << 8;
}
/* UTF-8 without control characters, at most max bytes. */
static const char *take_text(struct reader *r, size_t max)
{
    size_t n = take16(r);
    if (r->bad || n > max || (size_t) (r->end - r->at) < n) {
        r->bad = true;
        return "";
    }
    const uint8_t *p = r->at;
    r->at += n;
    for (size_t i = 0; i < n; i++)
        r->bad |= p[i] < 0x20 || p[i] == 0x7F;
    r->bad |= !utf8_valid(p, n);
    if (r->arena == NULL || r->bad)
        return "";
    char *s = arena_strndup(r->arena, (const char *) p, n);
    r->nomem |= s == NULL;
    return s != NULL ? s : "";
}
static unsigned take_count(struct reader *r, unsigned max)
{
    unsigned n = take16(r);
    r->bad |= n > max;
    return r->bad ? 0 : n;
}
static void *take_room(struct reader *r, unsigned n, size_t size)
{
    void *p = r->arena != NULL ? arena_zero(r->arena, n + 1u, size) : NULL;
    r->nomem |= r->arena != NULL && p == NULL;
    return p;
}
static void take_members(struct reader *r, struct past *out)
{
    out->members_count = take8(r);
    r->bad |= out->members_count < NVL_CAST_MIN || out->members_count > NVL_CAST_MAX;
    for (unsigned i = 0; i < out->members_count && !r->bad; i++)
        out->members[i] = take_text(r, 63);
}
static unsigned take_member(struct reader *r, const struct past *p)
{
    unsigned v = take8(r);
    r->bad |= v >= p->members_count;
    return v;
}
static void take_cells(struct reader *r, struct past *out)
{
    unsigned n = take_count(r, CELLS_MAX);
    struct past_cell *all = take_room(r, n, sizeof(*all));
    for (unsigned i = 0; i < n && !r->bad && !r->nomem; i++) {
        struct past_cell c = { .fluent = take_text(r, 63) };
        unsigned args = take8(r);
        r->bad |= args < 1 || args > 2;
        c.a = (uint8_t) take_member(r, out);
        c.b = args == 2 ? (uint8_t) take_member(r, out) : NVL_NONE;
        c.value = (int16_t) take16(r);
        if (all != NULL)
            all[i] = c;
    }
    out->cells = all, out->cells_count = n;
}
static void take_secrets(struct reader *r, struct past *out)
{
    unsigned n = take_count(r, SECRETS_MAX);
    struct past_secret *all = take_room(r, n, sizeof(*all));
    for (unsigned i = 0; i < n && !r->bad && !r->nomem; i++) {
        struct past_secret s = { (uint8_t) take_member(r, out), (uint8_t) take_member(r, out),
                                 (uint8_t) take8(r) };
        r->bad |= s.level < NVL_SUSPECTS || s.level > NVL_DISBELIEVES || s.knower == s.owner;
        if (all != NULL)
            all[i] = s;
    }
    out->secrets = all, out->secrets_count = n;
}
static void take_items(struct reader *r, struct past *out)
{
    unsigned n = take_count(r, ITEMS_MAX);
    struct past_item *all = take_room(r, n, sizeof(*all));
    for (unsigned i = 0; i < n && !r->bad && !r->nomem; i++) {
        struct past_item x = { .holder = (uint8_t) take_member(r, out) };
        x.name = take_text(r, NAME_MAX);
        if (all != NULL)
            all[i] = x;
    }
    out->items = all, out->items_count = n;
}
static void take_threads(struct reader *r, struct past *out)
{
    unsigned n = take_count(r, THREADS_MAX);
    struct past_thread *all = take_room(r, n, sizeof(*all));
    for (unsigned i = 0; i < n && !r->bad && !r->nomem; i++) {
        struct past_thread x = { .name = take_text(r, 63) };
        x.about = (uint8_t) take8(r);
        r->bad |= x.about != NVL_NONE && x.about >= out->members_count;
        if (all != NULL)
            all[i] = x;
    }
    out->threads = all, out->threads_count = n;
}
static void take_canon(struct reader *r, struct past *out)
{
    unsigned n = take_count(r, PAST_CANON_MAX);
    struct past_canon *all = take_room(r, n, sizeof(*all));
    r->bad |= n == 0;
    for (unsigned i = 0; i < n && !r->bad && !r->nomem; i++) {
        struct past_canon x = { .chapter = (uint16_t) take16(r) };
        x.place = take_text(r, NAME_MAX), x.clause = take_text(r, CLAUSE_MAX);
        r->bad |= x.chapter == 0 || x.chapter > out->chapter;
        if (all != NULL)
            all[i] = x;
    }
    out->canon = all, out->canon_count = n;
}
static int read_all(const void *bytes, size_t size, struct arena *arena, struct past *out)
{
    struct reader r = { bytes, (const uint8_t *) bytes + size, arena, size > NVL_CARRY_MAX, false };
    struct past p = { .chapter = 0 };
    if (r.bad || size < 4 || memcmp(bytes, "NVC1", 4) != 0)
        return NVL_E_CORRUPT;
    r.at += 4;
    r.bad = take16(&r) != FORMAT;
    p.chapter = (uint16_t) take16(&r);
    r.bad |= p.chapter == 0 || (size_t) (r.end - r.at) < SHA256_SIZE;
    if (r.bad)
        return NVL_E_CORRUPT;
    r.at += SHA256_SIZE;
    take_members(&r, &p);
    take_cells(&r, &p);
    take_secrets(&r, &p);
    take_items(&r, &p);
    take_threads(&r, &p);
    take_canon(&r, &p);
    if (r.nomem)
        return NVL_E_NOMEM;
    if (r.bad || r.at != r.end)
        return NVL_E_CORRUPT;
    *out = p;
    return NVL_OK;
}
int nvl_carry_check(const void *bytes, size_t size)
{
    struct past p;
    return read_all(bytes, size, NULL, &p);
}
int past_take(const void *bytes, size_t size, struct arena *arena, struct past *out)
{
    return read_all(bytes, size, arena, out);
}

/* --- applying --- */

/* Where a member of the past stands in this cast, or -1. */
static int member_now(const struct nvl_world *w, unsigned member)
{
    for (unsigned c = 0; c < w->request->cast_count; c++)
        if (strcmp(w->request->cast[c].id, w->past.members[member]) == 0)
            return (int) c;
    return -1;
}
bool past_take_items(struct nvl_world *w)
{
    struct nvl_request *r = arena_copy(&w->arena, w->request, sizeof(*r));
    struct nvl_profile *cast =
        arena_copy(&w->arena, w->request->cast, w->request->cast_count * sizeof(*cast));
    if (r == NULL || cast == NULL)
        return false;
    for (unsigned m = 0; m < w->past.members_count; m++) {
        int c = member_now(w, m);
        const char **names = arena_zero(&w->arena, w->past.items_count + 1u, sizeof(*names));
        size_t n = 0;
        if (names == NULL)
            return false;
        for (unsigned i = 0; i < w->past.items_count; i++)
            if (w->past.items[i].holder == m)
                names[n++] = w->past.items[i].name;
        if (c >= 0)
            cast[c].items = (struct nvl_strings){ names, n };
    }
    r->cast = cast;
    w->request = r;
    return true;
}
void past_apply(struct nvl_world *w)
{
    const struct nvl_pack *p = w->pack;
    for (unsigned i = 0; i < w->past.cells_count; i++) {
        const struct past_cell *x = &w->past.cells[i];
        int f = nvl_pack_fluent_find(p, x->fluent), a = member_now(w, x->a),
            b = x->b == NVL_NONE ? 0 : member_now(w, x->b);
        if (f < 0 || a < 0 || b < 0 || !(p->fluents[f].flags & FLUENT_CARRY) ||
            (p->fluents[f].sorts[1] != 0) != (x->b != NVL_NONE))
            continue;
        int cell = world_cell(w, (unsigned) f, (unsigned) a, (unsigned) b);
        int v = x->value < p->fluents[f].min   ? p->fluents[f].min
                : x->value > p->fluents[f].max ? p->fluents[f].max
                                               : x->value;
        if (cell >= 0)
            w->initial[cell] = (int16_t) v;
    }
    for (unsigned i = 0; i < w->past.secrets_count; i++) {
        const struct past_secret *x = &w->past.secrets[i];
        int knower = member_now(w, x->knower), owner = member_now(w, x->owner);
        for (unsigned f = 0; f < w->counts[NVL_SORT_FACT] && knower >= 0 && owner >= 0; f++)
            if (world_get(w, w->initial, KNOWN_SECRET_OF, f, 0) == owner)
                w->initial[world_cell(w, (unsigned) p->known[KNOWN_KNOWS], (unsigned) knower, f)] =
                    x->level;
    }
}
void past_open_threads(struct nvl_sim *s)
{
    const struct nvl_world *w = s->w;
    for (unsigned i = 0; i < w->past.threads_count; i++) {
        const struct past_thread *x = &w->past.threads[i];
        int about = x->about == NVL_NONE ? SIM_CHARS : member_now(w, x->about);
        for (uint32_t t = 0; t < w->pack->counts[SEC_THRD] && t < SIM_THREADS && about >= 0; t++)
            if (strcmp(nvl_thread_name(w, t), x->name) == 0)
                s->thread_open[t][about] = 1;
    }
}
size_t nvl_world_canon_count(const struct nvl_world *w)
{
    return w->past.canon_count;
}
const char *nvl_world_canon(const struct nvl_world *w, size_t i, const char **out_place,
                            unsigned *out_chapter)
{
    if (i >= w->past.canon_count)
        return NULL;
    *out_place = w->past.canon[i].place, *out_chapter = w->past.canon[i].chapter;
    return w->past.canon[i].clause;
}
const void *nvl_world_carry(const struct nvl_world *w, size_t *out_size)
{
    const struct nvl_request *r = nvl_header_request(w->header);
    *out_size = r->carry_size;
    return r->carry;
}
