/* carry_bytes.c — a carry pack as bytes and back (docs/log-format.md, section 11).  Reading is
 * strict: whatever is accepted is written again as the same bytes. */
#include <string.h>
#include "rpc/base/utf8.h"
#include "server/engine/carry_pack.h"
#include "server/engine/pack.h"

enum { ID_MAX = 63, NAME_MAX_BYTES = 400, CLAUSE_MAX = 600 };
const char *const carry_axes[CARRY_AXES] = { "trust", "affection", "respect", "dread", "debt" };
const char *const carry_marks[CARRY_MARKS] = { "grudge", "doubts", "wronged", "vowed" };

/* --- writing
 * ----------------------------------------------------------------------------------------- */

static void put_str(struct buf *b, const char *s)
{
    size_t n = strlen(s);
    put16(b, (unsigned) n);
    buf_put(b, s, n);
}
static void put_person(struct buf *b, const struct carry_person *p)
{
    put_str(b, p->id), put_str(b, p->name);
    put8(b, p->hurt), put8(b, p->out);
    buf_put(b, p->emotions, CARRY_EMOTIONS);
    put8(b, p->relations_count);
    for (unsigned i = 0; i < p->relations_count; i++) {
        put_str(b, p->relations[i].other);
        for (unsigned k = 0; k < CARRY_AXES; k++)
            put8(b, (uint8_t) p->relations[i].axes[k]);
        put8(b, p->relations[i].marks);
    }
    put8(b, p->items_count);
    for (unsigned i = 0; i < p->items_count; i++)
        put_str(b, p->items[i].owner), put_str(b, p->items[i].name), put_str(b, p->items[i].kind);
    put8(b, p->secrets_count);
    for (unsigned i = 0; i < p->secrets_count; i++)
        put_str(b, p->secrets[i].of), put8(b, p->secrets[i].level);
}
int carry_put(const struct carry *c, struct buf *out)
{
    size_t start = out->size;
    buf_put(out, "NVLC", 4);
    put16(out, 1), put32(out, c->abi), put16(out, c->chapters);
    buf_put(out, c->head, SHA256_SIZE);
    put_str(out, c->frame), put_str(out, c->truth);
    put_str(out, c->ending), put_str(out, c->locale);
    put8(out, c->people_count);
    for (unsigned i = 0; i < c->people_count; i++)
        put_person(out, &c->people[i]);
    put8(out, c->threads_count);
    for (unsigned i = 0; i < c->threads_count; i++)
        put_str(out, c->threads[i].name), put_str(out, c->threads[i].about);
    put8(out, c->canon_count);
    for (unsigned i = 0; i < c->canon_count; i++) {
        const struct carry_fact *f = &c->canon[i];
        put16(out, f->chapter), put8(out, f->kind);
        put_str(out, f->clause);
        put8(out, f->knowers_count);
        for (unsigned k = 0; k < f->knowers_count; k++)
            put_str(out, f->knowers[k]);
    }
    if (out->failed)
        return NVL_E_NOMEM;
    return out->size - start > NVL_CARRY_MAX ? NVL_E_INVALID : NVL_OK;
}

/* --- reading
 * ----------------------------------------------------------------------------------------- */

struct reader {
    const uint8_t *at, *end;
    struct arena *arena;
    bool bad, nomem;
};
static const uint8_t *take(struct reader *r, size_t n)
{
    static const uint8_t zeros[64];
    if (r->bad || (size_t) (r->end - r->at) < n) {
        r->bad = true;
        return zeros;
    }
    r->at += n;
    return r->at - n;
}
static unsigned take_up_to(struct reader *r, unsigned max)
{
    unsigned n = take(r, 1)[0];
    r->bad |= n > max;
    return r->bad ? 0 : n;
}
/* Control characters have no place in what people and things are called. */
static const char *take_str(struct reader *r, size_t least, size_t most)
{
    size_t n = le16(take(r, 2));
    if (r->bad || n < least || n > most || (size_t) (r->end - r->at) < n) {
        r->bad = true;
        return "";
    }
    const uint8_t *p = r->at;
    r->at += n;
    for (size_t i = 0; i < n; i++)
        r->bad |= p[i] < 0x20 || p[i] == 0x7F;
    r->bad |= !utf8_valid(p, n);
    char *s = arena_strndup(r->arena, (const char *) p, n);
    r->nomem |= s == NULL;
    return s != NULL ? s : "";
}
static void *take_array(struct reader *r, size_t count, size_t size)
{
    void *p = arena_zero(r->arena, count + 1, size);
    r->nomem |= p == NULL;
    r->bad |= p == NULL;
    return p;
}
/* Ids stand in ascending order, each once. */
static const char *take_id(struct reader *r, const char *before)
{
    const char *id = take_str(r, 1, ID_MAX);
    r->bad |= before != NULL && strcmp(before, id) >= 0;
    return id;
}
static void take_relations(struct reader *r, struct carry_person *p)
{
    unsigned n = take_up_to(r, CARRY_RELATIONS);
    p->relations = take_array(r, n, sizeof(*p->relations));
    for (unsigned i = 0; !r->bad && i < n; i++) {
        struct carry_relation *x = &p->relations[i];
        x->other = take_id(r, i > 0 ? p->relations[i - 1].other : NULL);
        r->bad |= strcmp(x->other, p->id) == 0;
        for (unsigned k = 0; k < CARRY_AXES; k++) {
            x->axes[k] = (int8_t) take(r, 1)[0];
            r->bad |= x->axes[k] < -100 || x->axes[k] > 100;
        }
        x->marks = (uint8_t) take_up_to(r, (1u << CARRY_MARKS) - 1);
    }
    p->relations_count = (uint8_t) (r->bad ? 0 : n);
}
static void take_person(struct reader *r, struct carry_person *p, const char *before)
{
    p->id = take_id(r, before);
    p->name = take_str(r, 1, NAME_MAX_BYTES);
    p->hurt = (uint8_t) take_up_to(r, 3), p->out = (uint8_t) take_up_to(r, 1);
    for (unsigned k = 0; k < CARRY_EMOTIONS; k++)
        p->emotions[k] = (uint8_t) take_up_to(r, 100);
    take_relations(r, p);
    unsigned n = take_up_to(r, CARRY_ITEMS);
    p->items = take_array(r, n, sizeof(*p->items));
    for (unsigned i = 0; !r->bad && i < n; i++) {
        p->items[i].owner = take_str(r, 0, ID_MAX);
        p->items[i].name = take_str(r, 1, NAME_MAX_BYTES);
        p->items[i].kind = take_str(r, 1, ID_MAX);
        r->bad |= strcmp(p->items[i].name, "~") == 0;
    }
    p->items_count = (uint8_t) (r->bad ? 0 : n);
    n = take_up_to(r, CARRY_SECRETS);
    p->secrets = take_array(r, n, sizeof(*p->secrets));
    for (unsigned i = 0; !r->bad && i < n; i++) {
        p->secrets[i].of = take_id(r, i > 0 ? p->secrets[i - 1].of : NULL);
        p->secrets[i].level = (uint8_t) take_up_to(r, NVL_DISBELIEVES);
        r->bad |= p->secrets[i].level == 0 || strcmp(p->secrets[i].of, p->id) == 0;
    }
    p->secrets_count = (uint8_t) (r->bad ? 0 : n);
}
static void take_canon(struct reader *r, const struct carry *c, struct carry_fact *f,
                       unsigned before)
{
    f->chapter = (uint16_t) le16(take(r, 2));
    f->kind = take(r, 1)[0];
    r->bad |= f->chapter < before || f->chapter < 1 || f->chapter > c->chapters;
    r->bad |= f->kind < NVL_CANON_ENDING || f->kind > NVL_CANON_TRUTH;
    f->clause = take_str(r, 1, CLAUSE_MAX);
    unsigned n = take_up_to(r, CARRY_KNOWERS);
    f->knowers = take_array(r, n, sizeof(*f->knowers));
    for (unsigned i = 0; !r->bad && i < n; i++)
        f->knowers[i] = take_id(r, i > 0 ? f->knowers[i - 1] : NULL);
    f->knowers_count = (uint8_t) (r->bad ? 0 : n);
}
static void take_all(struct reader *r, struct carry *c)
{
    r->bad |= memcmp(take(r, 4), "NVLC", 4) != 0;
    r->bad |= le16(take(r, 2)) != 1;
    c->abi = le32(take(r, 4)), c->chapters = (uint16_t) le16(take(r, 2));
    r->bad |= c->chapters < 1 || c->chapters > CARRY_CHAPTERS;
    memcpy(c->head, take(r, SHA256_SIZE), SHA256_SIZE);
    c->frame = take_str(r, 1, ID_MAX), c->truth = take_str(r, 0, ID_MAX);
    c->ending = take_str(r, 0, ID_MAX), c->locale = take_str(r, 0, NAME_MAX_BYTES);
    c->people_count = take_up_to(r, CARRY_PEOPLE);
    for (unsigned i = 0; !r->bad && i < c->people_count; i++)
        take_person(r, &c->people[i], i > 0 ? c->people[i - 1].id : NULL);
    c->threads_count = take_up_to(r, CARRY_THREADS);
    for (unsigned i = 0; !r->bad && i < c->threads_count; i++) {
        struct carry_thread *t = &c->threads[i];
        t->name = take_str(r, 1, ID_MAX), t->about = take_str(r, 1, ID_MAX);
        if (i > 0) {
            int order = strcmp(t[-1].name, t->name);
            r->bad |= order > 0 || (order == 0 && strcmp(t[-1].about, t->about) >= 0);
        }
    }
    c->canon_count = take_up_to(r, CARRY_CANON);
    for (unsigned i = 0; !r->bad && i < c->canon_count; i++)
        take_canon(r, c, &c->canon[i], i > 0 ? c->canon[i - 1].chapter : 0);
    r->bad |= r->at != r->end;
}
int carry_decode(const void *bytes, size_t size, struct arena *arena, struct carry *out)
{
    struct reader r = { bytes, (const uint8_t *) bytes + size, arena, false, false };
    if (bytes == NULL || size > NVL_CARRY_MAX)
        return NVL_E_CORRUPT;
    memset(out, 0, sizeof(*out));
    take_all(&r, out);
    return r.nomem ? NVL_E_NOMEM : r.bad ? NVL_E_CORRUPT : NVL_OK;
}
int nvl_carry_check(const void *bytes, size_t size)
{
    struct arena arena;
    struct carry carry;
    arena_init(&arena, 4096);
    int rc = carry_decode(bytes, size, &arena, &carry);
    arena_done(&arena);
    return rc;
}
const struct carry_person *carry_find(const struct carry *c, const char *id)
{
    for (unsigned i = 0; i < c->people_count; i++)
        if (strcmp(c->people[i].id, id) == 0)
            return &c->people[i];
    return NULL;
}
