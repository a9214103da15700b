/* header.c — checking a request, its canonical bytes, and back (docs/log-format.md, section 2). */
#include "server/engine/pack.h"
#include <stdio.h>
#include <string.h>
#include "rpc/base/alloc.h"
#include "rpc/base/utf8.h"

enum { ID_MAX = 63, SHORT_MAX = 120, LONG_MAX_BYTES = 400, LIST_MAX = 32 };
static const char *text_of(const char *s)
{
    return s != NULL ? s : "";
}
static int bad(struct nvl_error *err, const char *field, const char *what)
{
    nvl_error_set(err, field, "%s", what);
    return NVL_E_INVALID;
}
int nvl_mood_parse(const char *name, enum nvl_mood *out)
{
    static const char *const names[NVL_MOODS] = { "neutral", "dark", "hopeful", "wry" };
    if (name == NULL || name[0] == 0) {
        *out = NVL_MOOD_NEUTRAL;
        return NVL_OK;
    }
    for (int i = 0; i < NVL_MOODS; i++)
        if (strcmp(name, names[i]) == 0) {
            *out = (enum nvl_mood) i;
            return NVL_OK;
        }
    return NVL_E_INVALID;
}

struct field {
    struct nvl_error *err;
    size_t cast;
};
static int check_text(const struct field *f, const char *name, const char *s, size_t max)
{
    char field[64];
    size_t n = strlen(text_of(s));
    if (n <= max && utf8_valid(text_of(s), n))
        return NVL_OK;
    snprintf(field, sizeof(field), "cast[%zu].%s", f->cast, name);
    return bad(f->err, field, n > max ? "too long" : "not UTF-8 text");
}
static int check_int(const struct field *f, const char *name, int32_t v, int32_t min, int32_t max)
{
    char field[64];
    if (v >= min && v <= max)
        return NVL_OK;
    snprintf(field, sizeof(field), "cast[%zu].%s", f->cast, name);
    nvl_error_set(f->err, field, "must lie in %d..%d", (int) min, (int) max);
    return NVL_E_INVALID;
}
static int check_list(const struct field *f, const char *name, const struct nvl_strings *list)
{
    int rc = check_int(f, name, list->count > 1000 ? 1000 : (int32_t) list->count, 0, LIST_MAX);
    for (size_t i = 0; rc == NVL_OK && i < list->count; i++)
        rc = check_text(f, name, list->items[i], LONG_MAX_BYTES);
    return rc;
}
static int check_numbers(const struct field *f, const struct nvl_profile *p)
{
    int rc = check_int(f, "age", p->age, 0, 65535);
    for (int i = 0; rc == NVL_OK && i < NVL_TRAITS; i++)
        rc = check_int(f, pack_trait_names[i], p->traits[i], 0, 100);
    for (int i = 0; rc == NVL_OK && i < NVL_DRIVES; i++)
        rc = check_int(f, pack_drive_names[i], p->drives[i], 0, 100);
    if (rc == NVL_OK)
        rc = check_int(f, "skills", p->skills_count > 1000 ? 1000 : (int32_t) p->skills_count, 0,
                       LIST_MAX);
    for (size_t i = 0; rc == NVL_OK && i < p->skills_count; i++)
        if ((rc = check_text(f, "skills", p->skills[i].name, SHORT_MAX)) == NVL_OK)
            rc = check_int(f, "skills", p->skills[i].value, 0, 100);
    if (rc == NVL_OK)
        rc =
            check_int(f, "relations",
                      p->relations_count > 1000 ? 1000 : (int32_t) p->relations_count, 0, LIST_MAX);
    for (size_t i = 0; rc == NVL_OK && i < p->relations_count; i++) {
        const struct nvl_relation *r = &p->relations[i];
        const int32_t axes[5] = { r->trust, r->affection, r->respect, r->fear, r->debt };
        rc = check_text(f, "relations", r->other, ID_MAX);
        for (int k = 0; rc == NVL_OK && k < 5; k++)
            rc = check_int(f, "relations", axes[k], -100, 100);
    }
    return rc;
}
static int check_profile(const struct field *f, const struct nvl_profile *p)
{
    const struct {
        const char *name, *text;
        size_t max;
    } texts[] = { { "id", p->id, ID_MAX },
                  { "name", p->name, SHORT_MAX },
                  { "pronouns", p->pronouns, SHORT_MAX },
                  { "role", p->role, SHORT_MAX },
                  { "rank", p->rank, SHORT_MAX },
                  { "faction", p->faction, SHORT_MAX },
                  { "voice", p->voice, SHORT_MAX } };
    int rc = NVL_OK;
    for (size_t i = 0; rc == NVL_OK && i < sizeof(texts) / sizeof(texts[0]); i++)
        rc = check_text(f, texts[i].name, texts[i].text, texts[i].max);
    if (rc == NVL_OK && text_of(p->id)[0] == 0)
        return bad(f->err, "cast", "a character without an id");
    const struct {
        const char *name;
        const struct nvl_strings *list;
    } lists[] = { { "goals", &p->goals }, { "fears", &p->fears }, { "secrets", &p->secrets },
                  { "vows", &p->vows },   { "items", &p->items }, { "epithets", &p->epithets } };
    for (size_t i = 0; rc == NVL_OK && i < sizeof(lists) / sizeof(lists[0]); i++)
        rc = check_list(f, lists[i].name, lists[i].list);
    return rc == NVL_OK ? check_numbers(f, p) : rc;
}
int nvl_request_check(const struct nvl_request *r, struct nvl_error *err)
{
    const char *setting = text_of(r->setting), *scenario = text_of(r->scenario);
    if (r->turns < 1 || r->turns > NVL_TURNS_MAX)
        return bad(err, "turns", "must lie in 1..50");
    if (r->seed < 1 || r->seed > NVL_SEED_MAX)
        return bad(err, "seed", "must lie in 1..2^53-1");
    if ((unsigned) r->mood >= NVL_MOODS)
        return bad(err, "mood", "must be neutral, dark, hopeful or wry");
    if (!utf8_valid(setting, strlen(setting)) ||
        utf8_count(setting, strlen(setting)) > NVL_SETTING_MAX)
        return bad(err, "setting", "must be UTF-8 of at most 1000 code points");
    if (!utf8_valid(scenario, strlen(scenario)) ||
        utf8_count(scenario, strlen(scenario)) > NVL_SCENARIO_MAX)
        return bad(err, "scenario", "must be UTF-8 of at most 5000 code points");
    if (r->cast_count < NVL_CAST_MIN || r->cast_count > NVL_CAST_MAX)
        return bad(err, "cast", "must have 2..6 characters");
    for (size_t i = 0; i < r->cast_count; i++) {
        struct field f = { err, i };
        int rc = check_profile(&f, &r->cast[i]);
        if (rc != NVL_OK)
            return rc;
        for (size_t k = 0; k < i; k++)
            if (strcmp(r->cast[k].id, r->cast[i].id) == 0)
                return bad(err, "cast", "the same character twice");
    }
    return NVL_OK;
}

static void put_str(struct buf *b, const char *s)
{
    size_t n = strlen(text_of(s));
    put16(b, (unsigned) n);
    buf_put(b, text_of(s), n);
}
static void put_list(struct buf *b, const struct nvl_strings *list)
{
    put8(b, (unsigned) list->count);
    for (size_t i = 0; i < list->count; i++)
        put_str(b, list->items[i]);
}
static void put_profile(struct buf *b, const struct nvl_profile *p)
{
    const char *const texts[] = { p->id,   p->name,    p->pronouns, p->role,
                                  p->rank, p->faction, p->voice };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        put_str(b, texts[i]);
    put16(b, (unsigned) p->age);
    for (int i = 0; i < NVL_TRAITS; i++)
        put8(b, (unsigned) p->traits[i]);
    for (int i = 0; i < NVL_DRIVES; i++)
        put8(b, (unsigned) p->drives[i]);
    put8(b, (unsigned) p->skills_count);
    for (size_t i = 0; i < p->skills_count; i++)
        put_str(b, p->skills[i].name), put8(b, (unsigned) p->skills[i].value);
    put8(b, (unsigned) p->relations_count);
    for (size_t i = 0; i < p->relations_count; i++) {
        const struct nvl_relation *r = &p->relations[i];
        put_str(b, r->other);
        put8(b, (uint8_t) r->trust), put8(b, (uint8_t) r->affection), put8(b, (uint8_t) r->respect);
        put8(b, (uint8_t) r->fear), put8(b, (uint8_t) r->debt);
    }
    const struct nvl_strings *const lists[] = { &p->goals, &p->fears, &p->secrets,
                                                &p->vows,  &p->items, &p->epithets };
    for (int i = 0; i < 6; i++)
        put_list(b, lists[i]);
}
int nvl_header_encode(const struct nvl_request *r, const uint8_t pack_digest[SHA256_SIZE],
                      struct buf *out, uint8_t out_hash[SHA256_SIZE], struct nvl_error *err)
{
    static const uint8_t none[SHA256_SIZE];
    int rc = nvl_request_check(r, err);
    if (rc != NVL_OK)
        return rc;
    size_t start = out->size;
    buf_put(out, "NVL1", 4);
    put16(out, 1), put32(out, NVL_ENGINE_ABI);
    buf_put(out, pack_digest, SHA256_SIZE);
    buf_put(out, r->carry_digest != NULL ? r->carry_digest : none, SHA256_SIZE);
    put64(out, r->seed), put16(out, r->turns), put8(out, r->mood);
    put_str(out, r->setting), put_str(out, r->scenario);
    put8(out, (unsigned) r->cast_count);
    for (size_t i = 0; i < r->cast_count; i++)
        put_profile(out, &r->cast[i]);
    if (out->failed)
        return NVL_E_NOMEM;
    sha256_of(out->data + start, out->size - start, out_hash);
    return NVL_OK;
}

struct nvl_header {
    struct arena arena;
    struct nvl_request request;
    uint8_t pack[SHA256_SIZE], carry[SHA256_SIZE];
    uint32_t abi;
};
struct reader {
    const uint8_t *at, *end;
    struct arena *arena;
    bool bad, nomem;
};
static const uint8_t *take(struct reader *r, size_t n)
{
    static const uint8_t zeros[64];
    if ((size_t) (r->end - r->at) < n) {
        r->bad = true;
        return zeros;
    }
    r->at += n;
    return r->at - n;
}
static const char *take_str(struct reader *r)
{
    size_t n = le16(take(r, 2));
    if (r->bad || (size_t) (r->end - r->at) < n) {
        r->bad = true;
        return "";
    }
    const uint8_t *p = r->at;
    r->at += n;
    if (memchr(p, 0, n) != NULL || !utf8_valid(p, n))
        r->bad = true;
    char *s = arena_strndup(r->arena, (const char *) p, n);
    r->nomem |= s == NULL;
    return s != NULL ? s : "";
}
static void *take_array(struct reader *r, size_t count, size_t size)
{
    void *p = arena_zero(r->arena, count + 1, size);
    r->nomem |= p == NULL;
    r->bad |= p == NULL || count > LIST_MAX;
    return p;
}
static void take_list(struct reader *r, struct nvl_strings *out)
{
    size_t n = take(r, 1)[0];
    const char **items = take_array(r, n, sizeof(*items));
    for (size_t i = 0; !r->bad && i < n; i++)
        items[i] = take_str(r);
    out->items = items, out->count = r->bad ? 0 : n;
}
static void take_profile(struct reader *r, struct nvl_profile *p)
{
    const char **const texts[] = { &p->id,   &p->name,    &p->pronouns, &p->role,
                                   &p->rank, &p->faction, &p->voice };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        *texts[i] = take_str(r);
    p->age = (int32_t) le16(take(r, 2));
    for (int i = 0; i < NVL_TRAITS; i++)
        p->traits[i] = take(r, 1)[0];
    for (int i = 0; i < NVL_DRIVES; i++)
        p->drives[i] = take(r, 1)[0];
    size_t n = take(r, 1)[0];
    struct nvl_skill *skills = take_array(r, n, sizeof(*skills));
    for (size_t i = 0; !r->bad && i < n; i++)
        skills[i].name = take_str(r), skills[i].value = take(r, 1)[0];
    p->skills = skills, p->skills_count = r->bad ? 0 : n;
    n = take(r, 1)[0];
    struct nvl_relation *relations = take_array(r, n, sizeof(*relations));
    for (size_t i = 0; !r->bad && i < n; i++) {
        relations[i].other = take_str(r);
        const int8_t *a = (const int8_t *) take(r, 5);
        relations[i].trust = a[0], relations[i].affection = a[1], relations[i].respect = a[2];
        relations[i].fear = a[3], relations[i].debt = a[4];
    }
    p->relations = relations, p->relations_count = r->bad ? 0 : n;
    struct nvl_strings *const lists[] = { &p->goals, &p->fears, &p->secrets,
                                          &p->vows,  &p->items, &p->epithets };
    for (int i = 0; i < 6; i++)
        take_list(r, lists[i]);
}
int nvl_header_decode(const void *bytes, size_t size, struct nvl_header **out)
{
    struct nvl_header *h = alloc_zero(1, sizeof(*h));
    if (h == NULL)
        return NVL_E_NOMEM;
    arena_init(&h->arena, 4096);
    struct reader r = { bytes, (const uint8_t *) bytes + size, &h->arena, false, false };
    r.bad = memcmp(take(&r, 4), "NVL1", 4) != 0;
    r.bad |= le16(take(&r, 2)) != 1;
    h->abi = le32(take(&r, 4));
    memcpy(h->pack, take(&r, SHA256_SIZE), SHA256_SIZE);
    memcpy(h->carry, take(&r, SHA256_SIZE), SHA256_SIZE);
    struct nvl_request *q = &h->request;
    q->seed = le64(take(&r, 8)), q->turns = le16(take(&r, 2)),
    q->mood = (enum nvl_mood) take(&r, 1)[0];
    q->setting = take_str(&r), q->scenario = take_str(&r);
    size_t n = take(&r, 1)[0];
    struct nvl_profile *cast = take_array(&r, n, sizeof(*cast));
    for (size_t i = 0; !r.bad && i < n; i++)
        take_profile(&r, &cast[i]);
    q->cast = cast, q->cast_count = n;
    static const uint8_t none[SHA256_SIZE];
    q->carry_digest = memcmp(h->carry, none, SHA256_SIZE) != 0 ? h->carry : NULL;
    if (r.nomem || r.bad || r.at != r.end || nvl_request_check(q, NULL) != NVL_OK) {
        nvl_header_free(h);
        return r.nomem ? NVL_E_NOMEM : NVL_E_CORRUPT;
    }
    *out = h;
    return NVL_OK;
}
const struct nvl_request *nvl_header_request(const struct nvl_header *h)
{
    return &h->request;
}
const uint8_t *nvl_header_pack_digest(const struct nvl_header *h)
{
    return h->pack;
}
uint32_t nvl_header_abi(const struct nvl_header *h)
{
    return h->abi;
}
int nvl_header_set_carry(struct nvl_header *h, const void *carry, size_t size)
{
    uint8_t digest[SHA256_SIZE];
    sha256_of(carry, size, digest);
    if (h->request.carry_digest == NULL || memcmp(digest, h->carry, SHA256_SIZE) != 0)
        return NVL_E_INVALID;
    void *copy = arena_copy(&h->arena, carry, size);
    if (copy == NULL)
        return NVL_E_NOMEM;
    h->request.carry = copy, h->request.carry_size = size;
    return NVL_OK;
}
enum { CARRY_AT = 4 + 2 + 4 + SHA256_SIZE }; /* behind magic, format, abi and pack */
const uint8_t *nvl_header_get_carry(const void *bytes, size_t size)
{
    static const uint8_t none[SHA256_SIZE];
    const uint8_t *at = (const uint8_t *) bytes + CARRY_AT;
    return size >= CARRY_AT + SHA256_SIZE && memcmp(at, none, SHA256_SIZE) != 0 ? at : NULL;
}
int nvl_header_put_carry(void *bytes, size_t size, const uint8_t carry_digest[SHA256_SIZE])
{
    if (size < CARRY_AT + SHA256_SIZE)
        return NVL_E_CORRUPT;
    memcpy((uint8_t *) bytes + CARRY_AT, carry_digest, SHA256_SIZE);
    return NVL_OK;
}
void nvl_header_free(struct nvl_header *h)
{
    if (h == NULL)
        return;
    arena_done(&h->arena);
    alloc_free(h);
}
