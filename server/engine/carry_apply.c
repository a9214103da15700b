/* carry_apply.c — a chapter begins where another ended: what a carry pack makes of a world
 * (docs/log-format.md, section 11). */
#include <stdio.h>
#include <string.h>
#include "server/engine/world_build.h"

int world_carry_open(struct nvl_world *w, const struct nvl_request *q, struct nvl_error *err)
{
    uint8_t digest[SHA256_SIZE];
    memset(w->held_by, -1, sizeof(w->held_by));
    if (q->carry_digest == NULL && q->carry == NULL)
        return NVL_OK;
    if (q->carry_digest == NULL || q->carry == NULL || q->carry_size > NVL_CARRY_MAX) {
        nvl_error_set(err, "carry", "%s", "needs a carry pack and its digest");
        return NVL_E_INVALID;
    }
    sha256_of(q->carry, q->carry_size, digest);
    if (memcmp(digest, q->carry_digest, SHA256_SIZE) != 0) {
        nvl_error_set(err, "carry", "%s", "the digest is that of another carry pack");
        return NVL_E_INVALID;
    }
    struct carry *carry = arena_zero(&w->arena, 1, sizeof(*carry));
    w->carry_bytes = arena_copy(&w->arena, q->carry, q->carry_size);
    w->carry_size = q->carry_size;
    if (carry == NULL || w->carry_bytes == NULL)
        return NVL_E_NOMEM;
    int rc = carry_decode(w->carry_bytes, w->carry_size, &w->arena, carry);
    if (rc == NVL_E_CORRUPT) {
        nvl_error_set(err, "carry", "%s", "is no carry pack");
        return NVL_E_INVALID;
    }
    w->carry = rc == NVL_OK ? carry : NULL;
    return rc;
}
static int cast_of(const struct nvl_world *w, const char *id)
{
    for (size_t c = 0; c < w->request->cast_count; c++)
        if (strcmp(w->request->cast[c].id, id) == 0)
            return (int) c;
    return -1;
}
/* Something of somebody's card, whoever has it now; -1: nothing here bears that name. */
static int gear_of(const struct nvl_world *w, const struct carry_item *item)
{
    int owner = cast_of(w, item->owner);
    char id[40], name[128];
    for (size_t k = 0; owner >= 0 && k < w->request->cast[owner].items.count && k < 2; k++) {
        world_gear_name(&w->request->cast[owner], k, name);
        snprintf(id, sizeof(id), "gear_%d_%zu", owner + 1, k + 1);
        for (unsigned i = 0; strcmp(name, item->name) == 0 && i < w->counts[NVL_SORT_ITEM]; i++)
            if (strcmp(w->entities[NVL_SORT_ITEM][i].id, id) == 0)
                return (int) i;
    }
    return -1;
}
void world_carry_items(struct building *b)
{
    struct nvl_world *w = b->w;
    char id[40];
    for (size_t c = 0; w->carry != NULL && c < w->request->cast_count; c++) {
        const struct carry_person *p = carry_find(w->carry, w->request->cast[c].id);
        for (unsigned k = 0; p != NULL && k < p->items_count; k++) {
            const struct carry_item *item = &p->items[k];
            int at = gear_of(w, item);
            if (at < 0) {
                snprintf(id, sizeof(id), "carried_%zu_%u", c + 1, k + 1);
                struct nvl_entity *e =
                    build_add(b, NVL_SORT_ITEM, build_keep(b, id), "", item->kind);
                build_set_name(e, item->name);
                e->owner = (int16_t) c;
                at = (int) w->counts[NVL_SORT_ITEM] - 1;
            }
            if (!b->nomem)
                w->held_by[at] = (int8_t) c;
        }
    }
}
void world_carry_canon(struct building *b)
{
    struct nvl_world *w = b->w;
    char id[24];
    w->canon_first = w->counts[NVL_SORT_FACT];
    for (unsigned i = 0; w->carry != NULL && i < w->carry->canon_count; i++) {
        snprintf(id, sizeof(id), "canon_%u", i + 1);
        const char *name = build_keep(b, id);
        build_add(b, NVL_SORT_FACT, name, name, "canon")->detail = w->carry->canon[i].clause;
    }
}

/* Sets a cell and notes that it came from before. */
static void bring(struct nvl_world *w, int fluent, unsigned a, unsigned b, int value)
{
    int cell = fluent < 0 ? -1 : world_cell(w, (unsigned) fluent, a, b);
    world_set(w, fluent, a, b, value);
    if (cell >= 0 && value != 0)
        w->carried[cell] = 1;
}
static int named(const struct nvl_world *w, const char *fluent)
{
    return nvl_pack_fluent_find(w->pack, fluent);
}
static void bring_bonds(struct nvl_world *w, unsigned c, const struct carry_person *p)
{
    for (unsigned i = 0; i < p->relations_count; i++) {
        const struct carry_relation *r = &p->relations[i];
        int d = cast_of(w, r->other);
        if (d < 0)
            continue;
        for (unsigned k = 0; k < CARRY_AXES; k++)
            bring(w, named(w, carry_axes[k]), c, (unsigned) d, r->axes[k]);
        for (unsigned k = 0; k < CARRY_MARKS; k++)
            bring(w, named(w, carry_marks[k]), c, (unsigned) d, r->marks >> k & 1);
        int debt = r->axes[CARRY_AXES - 1];
        bring(w, named(w, "owed"), c, (unsigned) d, debt > 0 ? debt : 0);
    }
}
/* A card's own secret may have been let out; those of others may be known. */
static void bring_secrets(struct nvl_world *w, unsigned c, const struct carry_person *p)
{
    unsigned first = w->canon_first - (unsigned) w->request->cast_count;
    if (p->out)
        bring(w, named(w, "shared"), first + c, 0, 1);
    for (unsigned i = 0; i < p->secrets_count; i++) {
        int d = cast_of(w, p->secrets[i].of);
        if (d < 0)
            continue;
        unsigned level = p->secrets[i].level;
        bring(w, w->pack->known[KNOWN_KNOWS], c, first + (unsigned) d, (int) level);
        bring(w, named(w, "knew"), c, first + (unsigned) d, level == NVL_BELIEVES);
    }
}
static void bring_canon(struct nvl_world *w)
{
    for (unsigned i = 0; i < w->carry->canon_count; i++) {
        const struct carry_fact *f = &w->carry->canon[i];
        unsigned fact = w->canon_first + i;
        world_set(w, w->pack->known[KNOWN_FACT_TRUE], fact, 0, 1);
        world_set(w, w->pack->known[KNOWN_SECRET_OF], fact, 0, -1);
        bring(w, named(w, "shared"), fact, 0, 1);
        bring(w, named(w, "canon"), fact, 0, f->chapter);
        for (unsigned k = 0; k < f->knowers_count; k++) {
            int c = cast_of(w, f->knowers[k]);
            if (c >= 0)
                bring(w, w->pack->known[KNOWN_KNOWS], (unsigned) c, fact, NVL_BELIEVES);
        }
    }
}
void world_carry_state(struct building *b)
{
    struct nvl_world *w = b->w;
    if (w->carry == NULL)
        return;
    w->carried = arena_zero(&w->arena, w->cells + 1, 1);
    if ((b->nomem |= w->carried == NULL))
        return;
    bring(w, named(w, "came_before"), 0, 0, w->carry->chapters);
    for (unsigned c = 0; c < w->request->cast_count; c++) {
        const struct carry_person *p = carry_find(w->carry, w->request->cast[c].id);
        if (p == NULL)
            continue;
        bring(w, named(w, "hurt"), c, 0, p->hurt);
        for (int k = 0; k < CARRY_EMOTIONS; k++) { /* what the story itself asks for may be more */
            int cell = w->pack->emotions[k] < 0
                           ? -1
                           : world_cell(w, (unsigned) w->pack->emotions[k], c, 0);
            if (cell >= 0 && w->initial[cell] < p->emotions[k])
                bring(w, w->pack->emotions[k], c, 0, p->emotions[k]);
        }
        bring_bonds(w, c, p);
        bring_secrets(w, c, p);
    }
    bring_canon(w);
    for (unsigned i = 0; i < w->counts[NVL_SORT_ITEM]; i++)
        if (w->held_by[i] >= 0) {
            bring(w, w->pack->known[KNOWN_HOLDER], i, 0, w->held_by[i]);
            world_set(w, w->pack->known[KNOWN_LIES], i, 0, -1);
        }
}

/* --- for readers
 * --------------------------------------------------------------------------------- */

const void *nvl_world_carry(const struct nvl_world *w, size_t *out_size)
{
    *out_size = w->carry_size;
    return w->carry_bytes;
}
unsigned nvl_carry_chapters(const struct nvl_world *w)
{
    return w->carry != NULL ? w->carry->chapters : 0;
}
const char *nvl_carry_locale(const struct nvl_world *w)
{
    return w->carry != NULL ? w->carry->locale : "";
}
size_t nvl_canon_count(const struct nvl_world *w)
{
    return w->carry != NULL ? w->carry->canon_count : 0;
}
bool nvl_canon_at(const struct nvl_world *w, size_t i, struct nvl_canon *out)
{
    if (i >= nvl_canon_count(w))
        return false;
    const struct carry_fact *f = &w->carry->canon[i];
    *out = (struct nvl_canon){ f->chapter, f->kind, (uint8_t) (w->canon_first + i), f->clause };
    return true;
}
