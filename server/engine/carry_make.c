/* carry_make.c — what a completed chapter hands on: its people as they ended, and what it
 * established (docs/log-format.md, section 11). */
#include <string.h>
#include "rpc/base/alloc.h"
#include "server/engine/sim.h"
#include "server/engine/world_build.h"

enum { HURT_LEFT = 2, TRUTHS_KEPT = 2 };
struct making {
    const struct nvl_sim *s;
    const struct nvl_world *w;
    struct arena arena;
    struct carry carry;
    bool nomem;
};
static int cell_value(const struct making *m, int fluent, unsigned a, unsigned b)
{
    int cell = fluent < 0 ? -1 : world_cell(m->w, (unsigned) fluent, a, b);
    return cell < 0 ? 0 : m->s->state[cell];
}
static int value_of(const struct making *m, const char *fluent, unsigned a, unsigned b)
{
    return cell_value(m, nvl_pack_fluent_find(m->w->pack, fluent), a, b);
}
static int known_of(const struct making *m, enum known_fluent f, unsigned a, unsigned b)
{
    return cell_value(m, m->w->pack->known[f], a, b);
}
static void *space(struct making *m, size_t count, size_t size)
{
    void *p = arena_zero(&m->arena, count + 1, size);
    m->nomem |= p == NULL;
    return p;
}
static const char *cast_id(const struct making *m, unsigned c)
{
    return m->w->request->cast[c].id;
}
/* The cast by id. */
static unsigned ordered_cast(const struct making *m, uint8_t out[NVL_CAST_MAX])
{
    unsigned n = (unsigned) m->w->request->cast_count;
    for (unsigned c = 0; c < n; c++) {
        unsigned at = c;
        for (; at > 0 && strcmp(cast_id(m, out[at - 1]), cast_id(m, c)) > 0; at--)
            out[at] = out[at - 1];
        out[at] = (uint8_t) c;
    }
    return n;
}
static bool in_cast(const struct making *m, const char *id)
{
    for (size_t c = 0; c < m->w->request->cast_count; c++)
        if (strcmp(cast_id(m, (unsigned) c), id) == 0)
            return true;
    return false;
}
static const struct carry_person *person_before(const struct making *m, const char *id)
{
    return m->w->carry != NULL ? carry_find(m->w->carry, id) : NULL;
}

/* --- people
 * ------------------------------------------------------------------------------------------ */

static struct carry_relation bond(const struct making *m, unsigned c, unsigned d)
{
    struct carry_relation r = { .other = cast_id(m, d) };
    for (unsigned k = 0; k < CARRY_AXES; k++)
        r.axes[k] = (int8_t) value_of(m, carry_axes[k], c, d);
    for (unsigned k = 0; k < CARRY_MARKS; k++)
        r.marks |= (uint8_t) ((value_of(m, carry_marks[k], c, d) != 0) << k);
    return r;
}
/* With the others of this cast as it ended; with those who were not here as it was. */
static void make_relations(struct making *m, unsigned c, const uint8_t *order, unsigned n,
                           struct carry_person *p)
{
    const struct carry_person *old = person_before(m, p->id);
    unsigned k = 0, olds = old != NULL ? old->relations_count : 0;
    if ((p->relations = space(m, CARRY_RELATIONS, sizeof(*p->relations))) == NULL)
        return;
    for (unsigned i = 0; (i < n || k < olds) && p->relations_count < CARRY_RELATIONS;) {
        if (i < n && order[i] == c) {
            i++;
            continue;
        }
        if (k < olds && in_cast(m, old->relations[k].other)) {
            k++;
            continue;
        }
        bool here =
            k == olds || (i < n && strcmp(cast_id(m, order[i]), old->relations[k].other) < 0);
        p->relations[p->relations_count++] = here ? bond(m, c, order[i]) : old->relations[k];
        i += here, k += !here;
    }
}
static void make_secrets(struct making *m, unsigned c, const uint8_t *order, unsigned n,
                         struct carry_person *p)
{
    const struct carry_person *old = person_before(m, p->id);
    unsigned first = m->w->canon_first - (unsigned) m->w->request->cast_count;
    unsigned k = 0, olds = old != NULL ? old->secrets_count : 0;
    if ((p->secrets = space(m, CARRY_SECRETS, sizeof(*p->secrets))) == NULL)
        return;
    for (unsigned i = 0; (i < n || k < olds) && p->secrets_count < CARRY_SECRETS;) {
        if (k < olds && in_cast(m, old->secrets[k].of)) {
            k++;
            continue;
        }
        bool here = k == olds || (i < n && strcmp(cast_id(m, order[i]), old->secrets[k].of) < 0);
        int level = here ? known_of(m, KNOWN_KNOWS, c, first + order[i]) : 0;
        if (!here)
            p->secrets[p->secrets_count++] = old->secrets[k];
        else if (order[i] != c && level != NVL_UNKNOWN)
            p->secrets[p->secrets_count++] =
                (struct carry_secret){ cast_id(m, order[i]), (uint8_t) level };
        i += here, k += !here;
    }
}
/* Name of a thing as the next chapter can find it again. */
static const char *item_name(struct making *m, const struct nvl_entity *e)
{
    char name[128];
    unsigned owner, k;
    if (strncmp(e->id, "gear_", 5) == 0 && e->id[6] == '_') {
        owner = (unsigned) (e->id[5] - '1'), k = (unsigned) (e->id[7] - '1');
        if (owner < m->w->request->cast_count && k < m->w->request->cast[owner].items.count) {
            world_gear_name(&m->w->request->cast[owner], k, name);
            const char *s = arena_strndup(&m->arena, name, strlen(name));
            m->nomem |= s == NULL;
            return s;
        }
    }
    const char *s = arena_printf(&m->arena, "%s%s", e->plural ? "~" : "", e->name);
    m->nomem |= s == NULL;
    return s;
}
/* What they hold at the end, but for what their own card says they have anyway. */
static void make_items(struct making *m, unsigned c, struct carry_person *p)
{
    if ((p->items = space(m, CARRY_ITEMS, sizeof(*p->items))) == NULL)
        return;
    for (unsigned i = 0; i < m->w->counts[NVL_SORT_ITEM] && p->items_count < CARRY_ITEMS; i++) {
        const struct nvl_entity *e = &m->w->entities[NVL_SORT_ITEM][i];
        bool gear = strncmp(e->id, "gear_", 5) == 0 && e->owner >= 0;
        if (known_of(m, KNOWN_HOLDER, i, 0) != (int) c || (gear && e->owner == (int16_t) c))
            continue;
        p->items[p->items_count++] =
            (struct carry_item){ gear ? cast_id(m, (unsigned) e->owner) : "", item_name(m, e),
                                 e->kind };
    }
}
/* Time passes between chapters: the worst of a wound is nursed, feelings have cooled by half. */
static void make_person(struct making *m, unsigned c, const uint8_t *order, unsigned n,
                        struct carry_person *p)
{
    unsigned first = m->w->canon_first - (unsigned) m->w->request->cast_count;
    p->id = cast_id(m, c), p->name = m->w->entities[NVL_SORT_CHAR][c].name;
    int hurt = value_of(m, "hurt", c, 0);
    p->hurt = (uint8_t) (hurt > HURT_LEFT ? HURT_LEFT : hurt);
    p->out = value_of(m, "shared", first + c, 0) != 0;
    for (int k = 0; k < CARRY_EMOTIONS; k++) {
        int v = cell_value(m, m->w->pack->emotions[k], c, 0) / 2;
        p->emotions[k] = (uint8_t) (v < 0 ? 0 : v > 100 ? 100 : v);
    }
    make_relations(m, c, order, n, p);
    make_secrets(m, c, order, n, p);
    make_items(m, c, p);
}
/* Those of this chapter, and those of earlier ones who were not here. */
static void make_people(struct making *m, unsigned absent)
{
    const struct carry *old = m->w->carry;
    uint8_t order[NVL_CAST_MAX];
    unsigned n = ordered_cast(m, order), k = 0, olds = old != NULL ? old->people_count : 0;
    struct carry *c = &m->carry;
    c->people_count = 0;
    for (unsigned i = 0; i < n || k < olds;) {
        if (k < olds && (in_cast(m, old->people[k].id) || absent == 0)) {
            k++;
            continue;
        }
        bool here = k == olds || (i < n && strcmp(cast_id(m, order[i]), old->people[k].id) < 0);
        struct carry_person *p = &c->people[c->people_count++];
        memset(p, 0, sizeof(*p));
        if (here)
            make_person(m, order[i++], order, n, p);
        else
            *p = old->people[k++], absent--;
    }
}

/* --- threads and canon
 * ------------------------------------------------------------------------------- */

static void add_thread(struct carry *c, const char *name, const char *about)
{
    unsigned at = c->threads_count;
    if (at == CARRY_THREADS)
        return;
    for (; at > 0; at--) {
        int order = strcmp(c->threads[at - 1].name, name);
        if (order < 0 || (order == 0 && strcmp(c->threads[at - 1].about, about) < 0))
            break;
        c->threads[at] = c->threads[at - 1];
    }
    c->threads[at] = (struct carry_thread){ name, about };
    c->threads_count++;
}
/* What is about somebody goes on; what was about the place or the case ends with the chapter. */
static void make_threads(struct making *m)
{
    const struct carry *old = m->w->carry;
    const uint32_t *counts = m->w->pack->counts;
    for (unsigned t = 0; t < counts[SEC_THRD] && t < SIM_THREADS; t++)
        for (unsigned c = 0; c < m->w->request->cast_count; c++)
            if (m->s->thread_open[t][c] == 1)
                add_thread(&m->carry, m->w->pack->threads[t], cast_id(m, c));
    for (unsigned i = 0; old != NULL && i < old->threads_count; i++)
        if (!in_cast(m, old->threads[i].about))
            add_thread(&m->carry, old->threads[i].name, old->threads[i].about);
}
static void add_canon(struct making *m, struct carry_fact fact)
{
    struct carry *c = &m->carry;
    if (fact.clause == NULL || fact.clause[0] == 0)
        return;
    if (c->canon_count == CARRY_CANON) { /* what lies longest ago is forgotten first */
        memmove(c->canon, c->canon + 1, (CARRY_CANON - 1) * sizeof(c->canon[0]));
        c->canon_count--;
    }
    c->canon[c->canon_count++] = fact;
}
/* A sentence of the plain log as a clause: without its stop, "The" small. */
static const char *as_clause(struct making *m, struct buf *text)
{
    size_t n = text->size;
    while (n > 0 && strchr(".!? ", text->data[n - 1]) != NULL)
        n--;
    if (n > 500)
        n = 0;
    char *s = arena_strndup(&m->arena, n > 0 ? (const char *) text->data : "", n);
    m->nomem |= s == NULL || text->failed;
    static const char *const small[] = { "The ", "They ", "There ", "Nobody ", "What ", "One " };
    for (size_t i = 0; s != NULL && i < sizeof(small) / sizeof(small[0]); i++)
        if (strncmp(s, small[i], strlen(small[i])) == 0)
            s[0] = (char) (s[0] - 'A' + 'a');
    buf_done(text);
    return s;
}
static void set_knowers(struct making *m, struct carry_fact *f, uint32_t mask)
{
    uint8_t order[NVL_CAST_MAX];
    unsigned n = ordered_cast(m, order);
    if ((f->knowers = space(m, CARRY_KNOWERS, sizeof(*f->knowers))) == NULL)
        return;
    for (unsigned i = 0; i < n; i++)
        if (mask >> order[i] & 1)
            f->knowers[f->knowers_count++] = cast_id(m, order[i]);
}
static void make_truths(struct making *m)
{
    unsigned kept = 0;
    unsigned frame_facts = m->w->canon_first - (unsigned) m->w->request->cast_count;
    for (unsigned f = 0; f < frame_facts && kept < TRUTHS_KEPT; f++) {
        struct carry_fact fact = { .chapter = m->carry.chapters, .kind = NVL_CANON_TRUTH };
        uint32_t mask = 0;
        if (known_of(m, KNOWN_FACT_TRUE, f, 0) != 1)
            continue;
        for (unsigned c = 0; c < m->w->request->cast_count; c++)
            mask |= (uint32_t) (known_of(m, KNOWN_KNOWS, c, f) == NVL_BELIEVES) << c;
        fact.clause = m->w->entities[NVL_SORT_FACT][f].detail;
        set_knowers(m, &fact, mask);
        if (mask != 0 && ++kept)
            add_canon(m, fact);
    }
}
static void make_canon(struct making *m)
{
    const struct nvl_sim *s = m->s;
    uint32_t all = (1u << m->w->request->cast_count) - 1;
    for (unsigned i = 0; m->w->carry != NULL && i < m->w->carry->canon_count; i++)
        add_canon(m, m->w->carry->canon[i]);
    make_truths(m);
    struct carry_fact fact = { .chapter = m->carry.chapters, .kind = NVL_CANON_DEED };
    struct buf text = { 0 };
    if (s->deed.sequence != 0) {
        nvl_event_text(m->w, &s->deed, false, &text);
        fact.clause = as_clause(m, &text);
        set_knowers(m, &fact, s->deed.witnesses & all);
        if (fact.knowers_count > 0)
            add_canon(m, fact);
    }
    fact = (struct carry_fact){ .chapter = m->carry.chapters, .kind = NVL_CANON_ENDING };
    if (m->carry.ending[0] != 0) {
        buf_puts(&text, m->w->pack->endings[direct_ending(s, s->state)].clause);
        fact.clause = as_clause(m, &text);
        set_knowers(m, &fact, all);
        add_canon(m, fact);
    }
}
int nvl_carry_encode(const struct nvl_sim *s, struct buf *out)
{
    if (!s->ended || s->cancelled || s->broken || nvl_carry_chapters(s->w) >= CARRY_CHAPTERS)
        return NVL_E_INVALID;
    struct making *m = alloc_zero(1, sizeof(*m));
    if (m == NULL)
        return NVL_E_NOMEM;
    m->s = s, m->w = s->w;
    arena_init(&m->arena, 16 * 1024);
    struct carry *c = &m->carry;
    c->abi = NVL_ENGINE_ABI, c->chapters = (uint16_t) (nvl_carry_chapters(s->w) + 1);
    memcpy(c->head, s->head, SHA256_SIZE);
    c->frame = nvl_world_frame(s->w), c->truth = nvl_world_truth(s->w);
    c->ending = nvl_ending_name(s->w, direct_ending(s, s->state));
    c->locale = s->w->locale;
    make_threads(m);
    make_canon(m);
    /* Some of those who were not here are forgotten when there is no room. */
    int rc = NVL_E_INVALID;
    size_t start = out->size;
    for (unsigned absent = CARRY_PEOPLE - NVL_CAST_MAX;; absent--) {
        make_people(m, absent);
        out->size = start;
        rc = m->nomem ? NVL_E_NOMEM : carry_put(c, out);
        if (rc != NVL_E_INVALID || absent == 0)
            break;
    }
    if (rc != NVL_OK)
        out->size = start;
    arena_done(&m->arena);
    alloc_free(m);
    return rc;
}
