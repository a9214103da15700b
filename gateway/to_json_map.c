/* Maps of to_json. */
#include <limits.h>
#include <string.h>

#include "gateway/json_writer.h"
#include "gateway/to_json_inside.h"
#include "rpc/base/map.h"
#include "rpc/nrpc.h"

/* A key as it is compared. */
struct map_key {
    const uint8_t *data; /* NULL: a number */
    uint64_t size_or_number;
};
struct map_entry_read {
    struct wire_field key, value;
    int values; /* times that the value came */
    struct map_key compared;
};

/* Both halves of a map entry; absent ones have their default value. */
static int read_entry(struct writer *w, const struct desc_field *f, const struct wire_field *entry,
                      struct map_entry_read *out)
{
    const struct desc_field *k = desc_field_by_number(f->message, 1),
                            *v = desc_field_by_number(f->message, 2);
    out->key = to_json_default(k);
    out->value = to_json_default(v);
    struct wire_reader reader = wire_reader_of(entry->data, entry->size);
    struct wire_field half;
    const enum wire_type key_type = out->key.type, value_type = out->value.type;
    int more;
    out->values = 0;
    while ((more = wire_next(&reader, &half)) > 0) {
        if (half.number == 1 && half.type == key_type) {
            out->key = half;
        } else if (half.number == 2 && half.type == value_type) {
            out->value = half;
            out->values += out->values < INT_MAX;
        }
    }
    int r = more < 0 ? to_json_fail(w, "a message is malformed") : 0;
    bool wide = desc_wire_type(k->type) == WIRE_FIXED64 || k->type == DESC_INT64 ||
                k->type == DESC_UINT64 || k->type == DESC_SINT64;
    if (out->key.type == WIRE_BYTES)
        out->compared = (struct map_key){ out->key.data, out->key.size };
    else if (k->type == DESC_BOOL)
        out->compared = (struct map_key){ NULL, out->key.value != 0 };
    else
        out->compared = (struct map_key){ NULL, wide ? out->key.value : (uint32_t) out->key.value };
    return r;
}

static bool same_key(const struct map_key *a, const struct map_key *b)
{
    return a->size_or_number == b->size_or_number &&
           (a->data == NULL || memcmp(a->data, b->data, a->size_or_number) == 0);
}

enum { KEYS_FEW = 24 };
/* Which entry of a map counts: of a key that came several times, the last. */
struct map_keys {
    struct map_key few[KEYS_FEW];
    size_t n;
    struct map many; /* key -> number of its last occurrence from 1; used beyond KEYS_FEW */
};

static int add_key(struct map_keys *keys, const struct map_key *key)
{
    const char *bytes =
        key->data != NULL ? (const char *) key->data : (const char *) &key->size_or_number;
    size_t size = key->data != NULL ? key->size_or_number : sizeof key->size_or_number;
    return map_set(&keys->many, bytes, size, (void *) (uintptr_t) ++keys->n, NULL);
}

static bool is_last(const struct map_keys *keys, size_t i, const struct map_key *key)
{
    if (keys->n > KEYS_FEW) {
        const char *bytes =
            key->data != NULL ? (const char *) key->data : (const char *) &key->size_or_number;
        size_t size = key->data != NULL ? key->size_or_number : sizeof key->size_or_number;
        return map_get(&keys->many, bytes, size) == (void *) (uintptr_t) (i + 1);
    }
    for (size_t k = i + 1; k < keys->n; k++)
        if (same_key(key, &keys->few[k]))
            return false;
    return true;
}

/* The keys are counted first: few are compared with each other, more go through a hash table. */
static int gather_keys(struct writer *w, const struct desc_field *f, struct wire_reader r,
                       struct map_keys *keys)
{
    struct wire_reader again = r;
    struct wire_field field;
    struct map_entry_read e;
    int more, result = 0;
    keys->n = 0;
    while (result >= 0 && (more = wire_next(&r, &field)) > 0) {
        if (field.number != f->number || !to_json_fits(f, &field))
            continue;
        result = read_entry(w, f, &field, &e);
        if (keys->n < KEYS_FEW)
            keys->few[keys->n] = e.compared;
        keys->n++;
    }
    if (result >= 0 && more < 0)
        result = to_json_fail(w, "a message is malformed");
    if (result < 0 || keys->n <= KEYS_FEW)
        return result;
    keys->n = 0;
    while (result >= 0 && wire_next(&again, &field) > 0) {
        if (field.number != f->number || !to_json_fits(f, &field))
            continue;
        result = read_entry(w, f, &field, &e);
        if (result >= 0 && add_key(keys, &e.compared) < 0)
            result = NRPC_E_NOMEM;
    }
    return result;
}

static int put_entry(struct writer *w, const struct desc_field *f, const struct wire_field *entry,
                     const struct map_entry_read *e)
{
    const struct desc_field *k = desc_field_by_number(f->message, 1),
                            *v = desc_field_by_number(f->message, 2);
    if (k->type == DESC_STRING) {
        if (!json_put_string(w->out, (const char *) e->key.data, e->key.size))
            return to_json_fail(w, "a string is not valid UTF-8");
    } else {
        /* Numbers as keys are strings in every style, so never quoted twice. */
        bool numbers = w->t->style.long_numbers;
        buf_putc(w->out, '"');
        w->t->style.long_numbers = true;
        to_json_number(w, k, e->key.value);
        w->t->style.long_numbers = numbers;
        buf_putc(w->out, '"');
    }
    buf_putc(w->out, ':');
    if (v->message == NULL || e->values < 2)
        return to_json_value(w, v, &e->value);
    const struct place all = { 0, (uint32_t) entry->size, (uint32_t) e->values, 0 };
    return to_json_merged(w, v, entry->data, &all);
}

int to_json_map(struct writer *w, const struct desc_field *f, const uint8_t *data,
                const struct place *p)
{
    struct wire_reader r = wire_reader_of(data + p->first, p->end - p->first);
    struct wire_field field;
    struct map_keys keys;
    struct map_entry_read e;
    bool several = p->count > 1, first = true;
    keys.many = (struct map){ 0 };
    int result = several ? gather_keys(w, f, r, &keys) : 0;
    buf_putc(w->out, '{');
    for (size_t i = 0; result >= 0 && wire_next(&r, &field) > 0;) {
        if (field.number != f->number || !to_json_fits(f, &field))
            continue;
        result = read_entry(w, f, &field, &e);
        if (result < 0 || (several && !is_last(&keys, i++, &e.compared)))
            continue;
        if (!first)
            buf_putc(w->out, ',');
        first = false;
        result = put_entry(w, f, &field, &e);
    }
    buf_putc(w->out, '}');
    map_done(&keys.many);
    return result < 0 ? result : 0;
}
