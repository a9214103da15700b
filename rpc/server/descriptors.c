#include "rpc/server/descriptors.h"

#include <stdio.h>
#include <string.h>

#include "google/protobuf/descriptor.pb-c.h"
#include "rpc/base/alloc.h"
#include "rpc/base/check.h"

typedef Google__Protobuf__FileDescriptorProto file_proto;
typedef Google__Protobuf__DescriptorProto message_proto;
typedef Google__Protobuf__EnumDescriptorProto enum_proto;
typedef Google__Protobuf__FieldDescriptorProto field_proto;
typedef Google__Protobuf__ServiceDescriptorProto service_proto;

enum { DEPTH_MAX = 64, NAME_MAX_BYTES = 1024 };

void descriptors_init(struct descriptors *d)
{
    memset(d, 0, sizeof *d);
    arena_init(&d->arena, 4096);
}

void descriptors_done(struct descriptors *d)
{
    map_done(&d->files);
    map_done(&d->symbols);
    map_done(&d->messages);
    map_done(&d->extensions);
    map_done(&d->extended);
    arena_done(&d->arena);
}

/* ---- names of one file
 * --------------------------------------------------------------------------- */
static int put(struct map *m, const char *name, void *value)
{
    size_t size = strlen(name);
    if (map_get(m, name, size) != NULL)
        return 0; /* the first file that defines a name keeps it */
    return map_set(m, name, size, value, NULL) < 0 ? NRPC_E_NOMEM : 0;
}

/* "scope.name", or "name" in the empty scope; NULL without memory. */
static const char *join(struct descriptors *d, const char *scope, const char *name)
{
    return arena_printf(&d->arena, "%s%s%s", scope, scope[0] == '\0' ? "" : ".", name);
}

static int put_joined(struct descriptors *d, const char *scope, const char *name,
                      struct descriptor_file *f)
{
    const char *full = join(d, scope, name == NULL ? "" : name);
    return full == NULL ? NRPC_E_NOMEM : put(&d->symbols, full, f);
}

static int put_number(struct descriptors *d, const char *type, int32_t number)
{
    struct descriptor_numbers *n = map_get(&d->extended, type, strlen(type));
    if (n == NULL) {
        n = arena_zero(&d->arena, 1, sizeof *n);
        if (n == NULL || put(&d->extended, type, n) < 0)
            return NRPC_E_NOMEM;
    }
    int32_t *grown = arena_get(&d->arena, (n->count + 1) * sizeof *grown);
    if (grown == NULL)
        return NRPC_E_NOMEM;
    size_t at = 0;
    for (; at < n->count && n->numbers[at] < number; at++)
        grown[at] = n->numbers[at];
    grown[at] = number;
    if (n->count > at)
        memcpy(grown + at + 1, n->numbers + at, (n->count - at) * sizeof *grown);
    n->numbers = grown;
    n->count++;
    return 0;
}

static int extension_key(char *out, size_t size, const char *type, int32_t number)
{
    int n = snprintf(out, size, "%s %d", type, number);
    return n < 0 || (size_t) n >= size ? NRPC_E_INVAL : 0;
}

static int put_extensions(struct descriptors *d, const char *scope, field_proto *const *list,
                          size_t n, struct descriptor_file *f)
{
    for (size_t i = 0; i < n; i++) {
        char key[NAME_MAX_BYTES + 16];
        const char *type = list[i]->extendee == NULL ? "" : list[i]->extendee;
        type += type[0] == '.';
        if (extension_key(key, sizeof key, type, list[i]->number) < 0)
            return NRPC_E_INVAL;
        if (map_get(&d->extensions, key, strlen(key)) != NULL)
            continue;
        if (put(&d->extensions, key, f) < 0 || put_number(d, type, list[i]->number) < 0 ||
            put_joined(d, scope, list[i]->name, f) < 0)
            return NRPC_E_NOMEM;
    }
    return 0;
}

/* The values of an enum are its siblings, not its children. */
static int put_enums(struct descriptors *d, const char *scope, enum_proto *const *list, size_t n,
                     struct descriptor_file *f)
{
    for (size_t i = 0; i < n; i++) {
        if (put_joined(d, scope, list[i]->name, f) < 0)
            return NRPC_E_NOMEM;
        for (size_t j = 0; j < list[i]->n_value; j++)
            if (put_joined(d, scope, list[i]->value[j]->name, f) < 0)
                return NRPC_E_NOMEM;
    }
    return 0;
}

static int put_message(struct descriptors *d, const char *full, const message_proto *m,
                       struct descriptor_file *f)
{
    if (put(&d->symbols, full, f) < 0 || put(&d->messages, full, f) < 0)
        return NRPC_E_NOMEM;
    for (size_t i = 0; i < m->n_field; i++)
        if (put_joined(d, full, m->field[i]->name, f) < 0)
            return NRPC_E_NOMEM;
    for (size_t i = 0; i < m->n_oneof_decl; i++)
        if (put_joined(d, full, m->oneof_decl[i]->name, f) < 0)
            return NRPC_E_NOMEM;
    int r = put_enums(d, full, m->enum_type, m->n_enum_type, f);
    return r < 0 ? r : put_extensions(d, full, m->extension, m->n_extension, f);
}

/* Messages and those nested in them, with a stack of our own. */
static int put_messages(struct descriptors *d, const char *scope, message_proto *const *list,
                        size_t n, struct descriptor_file *f)
{
    struct level {
        const char *scope;
        message_proto *const *list;
        size_t n, at;
    } stack[DEPTH_MAX] = { { scope, list, n, 0 } };
    for (size_t depth = 1; depth > 0;) {
        struct level *top = &stack[depth - 1];
        if (top->at == top->n) {
            depth--;
            continue;
        }
        const message_proto *m = top->list[top->at++];
        const char *full = join(d, top->scope, m->name == NULL ? "" : m->name);
        int r = full == NULL ? NRPC_E_NOMEM : put_message(d, full, m, f);
        if (r < 0)
            return r;
        if (m->n_nested_type == 0)
            continue;
        if (depth == DEPTH_MAX)
            return NRPC_E_INVAL;
        stack[depth++] = (struct level){ full, m->nested_type, m->n_nested_type, 0 };
    }
    return 0;
}

static int put_services(struct descriptors *d, const char *scope, service_proto *const *list,
                        size_t n, struct descriptor_file *f)
{
    for (size_t i = 0; i < n; i++) {
        const char *full = join(d, scope, list[i]->name == NULL ? "" : list[i]->name);
        if (full == NULL || put(&d->symbols, full, f) < 0)
            return NRPC_E_NOMEM;
        for (size_t j = 0; j < list[i]->n_method; j++)
            if (put_joined(d, full, list[i]->method[j]->name, f) < 0)
                return NRPC_E_NOMEM;
    }
    return 0;
}

static int put_names(struct descriptors *d, const file_proto *p, struct descriptor_file *f)
{
    const char *package = p->package == NULL ? "" : p->package;
    int r = put_messages(d, package, p->message_type, p->n_message_type, f);
    if (r == 0)
        r = put_enums(d, package, p->enum_type, p->n_enum_type, f);
    if (r == 0)
        r = put_extensions(d, package, p->extension, p->n_extension, f);
    if (r == 0)
        r = put_services(d, package, p->service, p->n_service, f);
    return r;
}

/* ---- files
 * ------------------------------------------------------------------------------------- */
static int put_file(struct descriptors *d, nrpc_slice bytes, const file_proto *p)
{
    if (p->name == NULL || p->name[0] == '\0')
        return NRPC_E_INVAL;
    if (map_get(&d->files, p->name, strlen(p->name)) != NULL)
        return 0;
    struct descriptor_file *f = arena_zero(&d->arena, 1, sizeof *f);
    if (f == NULL || put(&d->files, p->name, f) < 0)
        return NRPC_E_NOMEM;
    f->bytes = bytes;
    f->position = d->files.count - 1;
    f->name = arena_strndup(&d->arena, p->name, strlen(p->name));
    return f->name == NULL ? NRPC_E_NOMEM : put_names(d, p, f);
}

/* Reads a varint of at most 32 bits; false at the end. */
static bool take_varint(nrpc_slice *in, uint32_t *out)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 35 && in->size > 0; shift += 7) {
        uint8_t byte = *in->data;
        in->data++;
        in->size--;
        value |= (uint64_t) (byte & 0x7f) << shift;
        if (byte < 0x80) {
            *out = (uint32_t) value;
            return value <= UINT32_MAX;
        }
    }
    return false;
}

int descriptors_add(struct descriptors *d, nrpc_slice set)
{
    enum { TAG_FILE = 1 << 3 | 2 };
    while (set.size > 0) {
        uint32_t tag, size;
        if (!take_varint(&set, &tag) || tag != TAG_FILE || !take_varint(&set, &size) ||
            size > set.size)
            return NRPC_E_INVAL;
        nrpc_slice bytes = { set.data, size };
        file_proto *p =
            google__protobuf__file_descriptor_proto__unpack(NULL, bytes.size, bytes.data);
        int r = p == NULL ? NRPC_E_INVAL : put_file(d, bytes, p);
        if (p != NULL)
            google__protobuf__file_descriptor_proto__free_unpacked(p, NULL);
        if (r < 0)
            return r;
        set.data += size;
        set.size -= size;
    }
    return 0;
}

int descriptors_link(struct descriptors *d)
{
    for (size_t i = 0; i < d->files.count; i++) {
        struct descriptor_file *f = d->files.entries[i].value;
        file_proto *p =
            google__protobuf__file_descriptor_proto__unpack(NULL, f->bytes.size, f->bytes.data);
        if (p == NULL)
            return NRPC_E_NOMEM;
        f->needs = arena_zero(&d->arena, p->n_dependency + 1, sizeof(void *));
        for (size_t j = 0; j < p->n_dependency && f->needs != NULL; j++) {
            struct descriptor_file *needed =
                map_get(&d->files, p->dependency[j], strlen(p->dependency[j]));
            if (needed != NULL)
                f->needs[f->n_needs++] = needed;
        }
        google__protobuf__file_descriptor_proto__free_unpacked(p, NULL);
        if (f->needs == NULL)
            return NRPC_E_NOMEM;
    }
    return 0;
}

/* ---- questions
 * ------------------------------------------------------------------------------------ */
const struct descriptor_file *descriptors_file(const struct descriptors *d, const char *name)
{
    return map_get(&d->files, name, strlen(name));
}

const struct descriptor_file *descriptors_symbol(const struct descriptors *d, const char *name)
{
    return map_get(&d->symbols, name, strlen(name));
}

const struct descriptor_file *descriptors_extension(const struct descriptors *d, const char *type,
                                                    int32_t number)
{
    char key[NAME_MAX_BYTES + 16];
    return extension_key(key, sizeof key, type, number) < 0
               ? NULL
               : map_get(&d->extensions, key, strlen(key));
}

bool descriptors_extended(const struct descriptors *d, const char *type,
                          struct descriptor_numbers *out_numbers)
{
    if (map_get(&d->messages, type, strlen(type)) == NULL)
        return false;
    const struct descriptor_numbers *n = map_get(&d->extended, type, strlen(type));
    *out_numbers = n == NULL ? (struct descriptor_numbers){ 0 } : *n;
    return true;
}

int descriptors_closure(const struct descriptors *d, const struct descriptor_file *file,
                        const struct descriptor_file ***out_files, size_t *out_count)
{
    size_t total = d->files.count, count = 0;
    const struct descriptor_file **files = alloc_get(total * sizeof *files);
    bool *seen = alloc_zero(total, sizeof *seen);
    if (files == NULL || seen == NULL) {
        alloc_free(files);
        alloc_free(seen);
        return NRPC_E_NOMEM;
    }
    files[count++] = file;
    seen[file->position] = true;
    for (size_t at = 0; at < count; at++)
        for (size_t i = 0; i < files[at]->n_needs; i++) {
            const struct descriptor_file *needed = files[at]->needs[i];
            if (!seen[needed->position])
                files[count++] = needed;
            seen[needed->position] = true;
        }
    alloc_free(seen);
    *out_files = files;
    *out_count = count;
    return 0;
}
