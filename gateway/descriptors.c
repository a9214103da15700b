#include "gateway/descriptors.h"

#include <string.h>

#include "gateway/wire.h"
#include "rpc/base/alloc.h"

/* ---- look-ups -------------------------------------------------------------------------- */

/* The table holds only names of the contract, so a peer's names can't make its chains longer. */
uint32_t desc_name_hash(const char *name, size_t size)
{
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < size; i++)
        h = (h ^ (uint8_t) name[i]) * 16777619u;
    return h ^ h >> 15;
}

static bool same(const char *known, const char *name, size_t size)
{
    return strncmp(known, name, size) == 0 && known[size] == '\0';
}

const struct desc_field *desc_field_by_name(const struct desc_message *m, const char *name,
                                            size_t size)
{
    if (m->by_name == NULL || memchr(name, '\0', size) != NULL)
        return NULL;
    for (uint32_t i = desc_name_hash(name, size) & m->by_name_mask; m->by_name[i] != 0;
         i = (i + 1) & m->by_name_mask) {
        const struct desc_field *f = &m->fields[m->by_name[i] - 1];
        if (same(f->name, name, size) || same(f->json_name, name, size))
            return f;
    }
    return NULL;
}

const struct desc_field *desc_field_by_number(const struct desc_message *m, uint32_t number)
{
    if (number <= m->by_number_max)
        return m->by_number[number] == 0 ? NULL : &m->fields[m->by_number[number] - 1];
    for (size_t i = 0; i < m->n_fields; i++)
        if (m->fields[i].number == number)
            return &m->fields[i];
    return NULL;
}

const struct desc_enum_value *desc_enum_by_number(const struct desc_enum *e, int32_t number)
{
    for (size_t i = 0; i < e->n_values; i++)
        if (e->values[i].number == number)
            return &e->values[i];
    return NULL;
}

const struct desc_enum_value *desc_enum_by_name(const struct desc_enum *e, const char *name,
                                                size_t size)
{
    if (memchr(name, '\0', size) != NULL)
        return NULL;
    for (size_t i = 0; i < e->n_values; i++)
        if (same(e->values[i].name, name, size))
            return &e->values[i];
    return NULL;
}

const struct desc_message *desc_find_message(const struct desc_pool *p, const char *full_name,
                                             size_t size)
{
    return map_get(&p->messages, full_name, size);
}

const struct desc_method *desc_find_method(const struct desc_pool *p, const char *path)
{
    for (size_t i = 0; i < p->n_methods; i++)
        if (strcmp(p->methods[i].path, path) == 0)
            return &p->methods[i];
    return NULL;
}

bool desc_is_packable(enum desc_type type)
{
    return type != DESC_STRING && type != DESC_BYTES && type != DESC_MESSAGE && type != DESC_GROUP;
}

int desc_wire_type(enum desc_type type)
{
    switch (type) {
    case DESC_DOUBLE:
    case DESC_FIXED64:
    case DESC_SFIXED64:
        return WIRE_FIXED64;
    case DESC_FLOAT:
    case DESC_FIXED32:
    case DESC_SFIXED32:
        return WIRE_FIXED32;
    case DESC_STRING:
    case DESC_BYTES:
    case DESC_MESSAGE:
    case DESC_GROUP:
        return WIRE_BYTES;
    default:
        return WIRE_VARINT;
    }
}

int desc_field_wire_type(const struct desc_field *f)
{
    return f->group ? WIRE_GROUP : desc_wire_type(f->type);
}

void desc_pool_free(struct desc_pool *p)
{
    if (p == NULL)
        return;
    map_done(&p->messages);
    map_done(&p->enums);
    arena_done(&p->arena);
    alloc_free(p);
}
