#include "server/cards/catalogue.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cards_embedded.h"
#include "rpc/base/alloc.h"
#include "rpc/base/buf.h"
#include "rpc/base/check.h"
#include "rpc/base/sha256.h"

/* ---- one character ---- */

static bool character_set_etag(struct character *c, NE(Character) * m)
{
    PB(Timestamp) *create = m->create_time, *update = m->update_time;
    m->etag = (char *) protobuf_c_empty_string;
    m->create_time = m->update_time = NULL;
    size_t size = novelengine__v1__character__get_packed_size(m);
    uint8_t *bytes = alloc_get(size);
    char *etag = arena_get(&c->arena, 24);
    if (bytes == NULL || etag == NULL) {
        alloc_free(bytes);
        return false;
    }
    uint8_t digest[SHA256_SIZE];
    char hex[65];
    sha256_of(bytes, novelengine__v1__character__pack(m, bytes), digest);
    alloc_free(bytes);
    sha256_hex(digest, hex);
    snprintf(etag, 24, "\"%.16s\"", hex);
    m->etag = etag;
    m->create_time = create;
    m->update_time = update;
    return true;
}

struct character *character_unpack(const uint8_t *data, size_t size)
{
    struct character *c = alloc_zero(1, sizeof *c);
    if (c == NULL)
        return NULL;
    atomic_init(&c->refs, 1);
    arena_init(&c->arena, 4096);
    ProtobufCAllocator a = contract_allocator(&c->arena);
    NE(Character) *m = novelengine__v1__character__unpack(&a, size, data);
    if (m == NULL || !character_set_etag(c, m)) {
        character_unref(c);
        return NULL;
    }
    c->message = m;
    c->packed_size = novelengine__v1__character__get_packed_size(m);
    uint8_t *packed = arena_get(&c->arena, c->packed_size);
    if (packed == NULL) {
        character_unref(c);
        return NULL;
    }
    c->packed_size = novelengine__v1__character__pack(m, packed);
    c->packed = packed;
    return c;
}

struct character *character_new(const NE(Character) * m)
{
    size_t size = novelengine__v1__character__get_packed_size(m);
    uint8_t *bytes = alloc_get(size);
    if (bytes == NULL)
        return NULL;
    struct character *c = character_unpack(bytes, novelengine__v1__character__pack(m, bytes));
    alloc_free(bytes);
    return c;
}

struct character *character_ref(struct character *c)
{
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    return c;
}

void character_unref(struct character *c)
{
    if (c == NULL || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1)
        return;
    arena_done(&c->arena);
    alloc_free(c);
}

/* ---- the catalogue ---- */

static struct catalogue *catalogue_new(size_t capacity)
{
    struct catalogue *k = alloc_zero(1, sizeof *k + capacity * sizeof k->items[0]);
    if (k != NULL)
        atomic_init(&k->refs, 1);
    return k;
}

struct catalogue *catalogue_ref(struct catalogue *k)
{
    atomic_fetch_add_explicit(&k->refs, 1, memory_order_relaxed);
    return k;
}

void catalogue_unref(struct catalogue *k)
{
    if (k == NULL || atomic_fetch_sub_explicit(&k->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < k->count; i++)
        character_unref(k->items[i]);
    alloc_free(k);
}

size_t catalogue_index(const struct catalogue *k, const char *id)
{
    size_t low = 0, high = k->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(k->items[middle]->message->character_id, id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct character *catalogue_find(const struct catalogue *k, const char *id)
{
    size_t i = catalogue_index(k, id);
    return i < k->count && strcmp(k->items[i]->message->character_id, id) == 0 ? k->items[i] : NULL;
}

struct catalogue *catalogue_with(const struct catalogue *from, const char *id, struct character *c)
{
    struct catalogue *k = catalogue_new(from->count + 1);
    if (k == NULL)
        return NULL;
    size_t at = catalogue_index(from, id);
    bool replaces = at < from->count && strcmp(from->items[at]->message->character_id, id) == 0;
    for (size_t i = 0; i < at; i++)
        k->items[k->count++] = character_ref(from->items[i]);
    if (c != NULL)
        k->items[k->count++] = character_ref(c);
    for (size_t i = at + replaces; i < from->count; i++)
        k->items[k->count++] = character_ref(from->items[i]);
    return k;
}

/* ---- loading ---- */

struct loader {
    struct arena arena;
    NE(Character) * cards[CHARACTERS_MAX];
    size_t count;
    struct card_error *err;
};

static int load_fail(struct loader *l, const char *file, const char *what)
{
    snprintf(l->err->file, sizeof l->err->file, "%.*s", (int) sizeof l->err->file - 1, file);
    l->err->line = 0;
    snprintf(l->err->message, sizeof l->err->message, "%s", what);
    return -1;
}

static int load_card(struct loader *l, const char *file, const char *id, const void *text,
                     size_t size)
{
    NE(Character) * c;
    if (card_parse(file, id, text, size, &l->arena, &c, l->err) < 0)
        return -1;
    for (size_t i = 0; i < l->count; i++) {
        if (strcmp(l->cards[i]->character_id, id) == 0) {
            l->cards[i] = c;
            return 0;
        }
    }
    if (l->count == CHARACTERS_MAX)
        return load_fail(l, file, "there are more than 1,000 cards");
    l->cards[l->count++] = c;
    return 0;
}

static int load_embedded(struct loader *l)
{
    for (size_t i = 0; i < CARDS_EMBEDDED; i++) {
        char file[128];
        snprintf(file, sizeof file, "server/cards/%s.md", cards_embedded[i].id);
        if (load_card(l, file, cards_embedded[i].id, cards_embedded[i].text,
                      *cards_embedded[i].size) < 0)
            return -1;
    }
    return 0;
}

static int load_file(struct loader *l, const char *path, const char *id)
{
    FILE *in = fopen(path, "re");
    if (in == NULL)
        return load_fail(l, path, strerror(errno));
    struct buf text = { 0 };
    int r = 0;
    uint8_t *room = buf_grow(&text, CARD_BYTES_MAX + 1);
    if (room == NULL) {
        r = load_fail(l, path, "out of memory");
    } else {
        size_t size = fread(room, 1, CARD_BYTES_MAX + 1, in);
        r = ferror(in) ? load_fail(l, path, "cannot be read") : load_card(l, path, id, room, size);
    }
    buf_done(&text);
    (void) fclose(in);
    return r;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_card(const struct dirent *entry)
{
    size_t n = strlen(entry->d_name);
    return n > 3 && entry->d_name[0] != '.' && strcmp(entry->d_name + n - 3, ".md") == 0 &&
           strcmp(entry->d_name, "README.md") != 0;
}

static int load_folder(struct loader *l, const char *folder)
{
    struct dirent **entries;
    int n = scandir(folder, &entries, is_card, by_name);
    if (n < 0)
        return load_fail(l, folder, strerror(errno));
    int r = 0;
    for (int i = 0; i < n; i++) {
        char path[4096], id[256];
        size_t size = strlen(entries[i]->d_name) - 3;
        snprintf(id, sizeof id, "%.*s", (int) size, entries[i]->d_name);
        if (r == 0 &&
            snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name) >= (int) sizeof path)
            r = load_fail(l, folder, "the path is too long");
        if (r == 0)
            r = load_file(l, path, id);
        free(entries[i]); /* scandir's memory is libc's */
    }
    free(entries);
    return r;
}

/* What old clients read beside the typed relations: trust by the other's name, -1..1. */
static bool derive_relationships(struct loader *l, NE(Character) * c)
{
    size_t n = c->persona->n_relations;
    c->relationships = arena_zero(&l->arena, n + 1, sizeof *c->relationships);
    if (c->relationships == NULL)
        return false;
    for (size_t i = 0; i < n; i++) {
        const NE(Persona__Relation) *r = c->persona->relations[i];
        NE(Character__RelationshipsEntry) *e = arena_get(&l->arena, sizeof *e);
        if (e == NULL)
            return false;
        novelengine__v1__character__relationships_entry__init(e);
        e->key = r->character;
        for (size_t k = 0; k < l->count; k++)
            if (strcmp(l->cards[k]->character_id, r->character) == 0)
                e->key = l->cards[k]->name;
        e->value = r->trust / 100.0;
        c->relationships[i] = e;
    }
    c->n_relationships = n;
    return true;
}

static int by_id(const void *a, const void *b)
{
    const NE(Character) *const *x = a, *const *y = b;
    return strcmp((*x)->character_id, (*y)->character_id);
}

static struct catalogue *load_finish(struct loader *l)
{
    qsort(l->cards, l->count, sizeof l->cards[0], by_id);
    struct catalogue *k = catalogue_new(l->count);
    for (size_t i = 0; k != NULL && i < l->count; i++) {
        struct character *c =
            derive_relationships(l, l->cards[i]) ? character_new(l->cards[i]) : NULL;
        if (c == NULL) {
            catalogue_unref(k);
            return NULL;
        }
        k->items[k->count++] = c;
    }
    return k;
}

int catalogue_load(const char *folder, struct catalogue **out, struct card_error *err)
{
    struct loader *l = alloc_zero(1, sizeof *l);
    *err = (struct card_error){ 0 };
    if (l == NULL) {
        snprintf(err->message, sizeof err->message, "out of memory");
        return -1;
    }
    l->err = err;
    arena_init(&l->arena, 16384);
    int r = load_embedded(l);
    if (r == 0 && folder != NULL)
        r = load_folder(l, folder);
    if (r == 0) {
        struct catalogue *k = load_finish(l);
        if (k == NULL)
            r = load_fail(l, folder != NULL ? folder : "server/cards", "out of memory");
        else
            *out = k;
    }
    arena_done(&l->arena);
    alloc_free(l);
    return r;
}
