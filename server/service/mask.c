#include "server/service/mask.h"

#include <string.h>

#include "rpc/base/field_size.h"
#include "rpc/base/check.h"
#include "server/service/errors.h"

enum { DEPTH_MAX = 8, NAME_MAX_BYTES = 63 };

static void copy_field(ProtobufCMessage *to, const ProtobufCMessage *from, const ProtobufCFieldDescriptor *f)
{
    bool repeated = f->label == PROTOBUF_C_LABEL_REPEATED;
    if (repeated)
        memcpy((char *) to + f->quantifier_offset, (const char *) from + f->quantifier_offset, sizeof(size_t));
    memcpy((char *) to + f->offset, (const char *) from + f->offset, repeated ? sizeof(void *) : field_item_size(f->type));
}

static bool is_set(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
    const char *at = (const char *) m + f->offset;
    if (f->label == PROTOBUF_C_LABEL_REPEATED)
        return *(const size_t *) (const void *) ((const char *) m + f->quantifier_offset) > 0;
    if (f->type == PROTOBUF_C_TYPE_STRING) {
        const char *s = *(char *const *) (const void *) at;
        return s != NULL && s[0] != '\0';
    }
    static const char zero[16];
    return memcmp(at, zero, field_item_size(f->type)) != 0;
}

static bool is_decided_here(const ProtobufCFieldDescriptor *f)
{
    static const char *const names[] = { "character_id", "character_name", "etag", "create_time", "update_time" };
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (strcmp(f->name, names[i]) == 0)
            return true;
    return false;
}

static void copy_all(ProtobufCMessage *to, const ProtobufCMessage *from, bool only_set)
{
    for (unsigned i = 0; i < to->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &to->descriptor->fields[i];
        if (!is_decided_here(f) && (!only_set || is_set(from, f)))
            copy_field(to, from, f);
    }
}

/* The sub-message of `to` behind f, as a copy of its own; `from`'s may be absent and then reads as empty. */
static int descend(ProtobufCMessage **to, const ProtobufCMessage **from, const ProtobufCFieldDescriptor *f,
                   struct arena *a)
{
    const ProtobufCMessageDescriptor *d = f->descriptor;
    ProtobufCMessage **slot = (ProtobufCMessage **) (void *) ((char *) *to + f->offset);
    ProtobufCMessage *copy = arena_get(a, d->sizeof_message), *empty = arena_get(a, d->sizeof_message);
    if (copy == NULL || empty == NULL)
        return -1;
    d->message_init(empty);
    memcpy(copy, *slot != NULL ? *slot : empty, d->sizeof_message);
    *slot = copy;
    const ProtobufCMessage *source = *(ProtobufCMessage *const *) (const void *) ((const char *) *from + f->offset);
    *to = copy;
    *from = source != NULL ? source : empty;
    return 0;
}

static int refuse(nrpc_status *st, const char *path, const char *what)
{
    error_set_field(st, "update_mask", "'%.100s' %s", path, what);
    return -1;
}

static int apply_path(ProtobufCMessage *to, const ProtobufCMessage *from, const char *path, struct arena *a,
                      nrpc_status *st)
{
    const char *at = path;
    for (int depth = 0; depth < DEPTH_MAX; depth++) {
        char name[NAME_MAX_BYTES + 1];
        size_t size = strcspn(at, ".");
        if (size == 0 || size > NAME_MAX_BYTES)
            break;
        memcpy(name, at, size);
        name[size] = '\0';
        const ProtobufCFieldDescriptor *f = protobuf_c_message_descriptor_get_field_by_name(to->descriptor, name);
        if (f == NULL)
            break;
        if (depth == 0 && is_decided_here(f))
            return 0; /* AIP-203: what was read may be sent back whole */
        if (at[size] == '\0') {
            copy_field(to, from, f);
            return 0;
        }
        if (f->type != PROTOBUF_C_TYPE_MESSAGE || f->label == PROTOBUF_C_LABEL_REPEATED)
            return refuse(st, path, "goes into a field that is no message");
        if (descend(&to, &from, f, a) < 0) {
            error_set(st, ERROR_OUT_OF_MEMORY, "the server is out of memory");
            return -1;
        }
        at += size + 1;
    }
    return refuse(st, path, "is no field of a character");
}

int mask_apply(ProtobufCMessage *to, const ProtobufCMessage *from, const PB(FieldMask) * mask, struct arena *a,
               nrpc_status *st)
{
    if (mask == NULL || mask->n_paths == 0) {
        copy_all(to, from, true);
        return 0;
    }
    for (size_t i = 0; i < mask->n_paths; i++) {
        if (strcmp(mask->paths[i], "*") == 0)
            copy_all(to, from, false);
        else if (apply_path(to, from, mask->paths[i], a, st) < 0)
            return -1;
    }
    return 0;
}
