#include "gateway/notes.h"

#include <stdio.h>
#include <string.h>

#include <google/protobuf/descriptor.pb-c.h>

#include "gateway/wire.h"
#include "rpc/nrpc.h"

enum { TAG_RULES = 50902, NAME_MAX_BYTES = 512, DEPTH_MAX = 32 };
/* Field numbers in FileDescriptorProto and below, as SourceCodeInfo's paths use them. */
enum {
    FILE_MESSAGE = 4,
    FILE_ENUM = 5,
    FILE_SERVICE = 6,
    MESSAGE_FIELD = 2,
    MESSAGE_NESTED = 3,
    MESSAGE_ENUM = 4,
    ENUM_VALUE = 2,
    SERVICE_METHOD = 2
};

static int put(struct notes *n, struct map *map, const char *name, void *value)
{
    (void) n;
    return map_set(map, name, strlen(name), value, NULL) < 0 ? NRPC_E_NOMEM : 0;
}

static bool append(char name[static NAME_MAX_BYTES], const char *part)
{
    size_t used = strlen(name);
    int w = snprintf(name + used, NAME_MAX_BYTES - used, "%s%s", used == 0 ? "" : ".", part);
    return w > 0 && (size_t) w < NAME_MAX_BYTES - used;
}

/* ---- rules ----------------------------------------------------------------------------- */

static int read_rules(struct notes *n, const char *name, const Google__Protobuf__FieldOptions *o)
{
    for (size_t i = 0; o != NULL && i < o->base.n_unknown_fields; i++) {
        const ProtobufCMessageUnknownField *u = &o->base.unknown_fields[i];
        struct wire_reader r = wire_reader_of(u->data, u->len);
        uint64_t size;
        if (u->tag != TAG_RULES || !wire_get_varint(&r, &size) || size != (uint64_t) (r.end - r.at))
            continue;
        Nrpc__FieldRules *rules = nrpc__field_rules__unpack(NULL, (size_t) size, r.at);
        if (rules == NULL)
            return NRPC_E_NOMEM;
        int e = put(n, &n->rules, name, rules);
        if (e < 0)
            nrpc__field_rules__free_unpacked(rules, NULL);
        return e;
    }
    return 0;
}

static int read_message(struct notes *n, const Google__Protobuf__DescriptorProto *m,
                        const char *scope, unsigned depth)
{
    char name[NAME_MAX_BYTES], field[NAME_MAX_BYTES];
    int r = 0;
    if (depth > DEPTH_MAX)
        return 0;
    snprintf(name, sizeof name, "%s", scope);
    if (!append(name, m->name))
        return 0;
    for (size_t i = 0; r == 0 && i < m->n_field; i++) {
        memcpy(field, name, sizeof field);
        if (append(field, m->field[i]->name))
            r = read_rules(n, field, m->field[i]->options);
    }
    for (size_t i = 0; r == 0 && i < m->n_nested_type; i++)
        r = read_message(n, m->nested_type[i], name, depth + 1);
    return r;
}

/* ---- comments -------------------------------------------------------------------------- */

/* The message that a path leads to; *at is behind it. */
static const Google__Protobuf__DescriptorProto *walk(const Google__Protobuf__FileDescriptorProto *f,
                                                     const int32_t *path, size_t n, size_t *at,
                                                     char name[static NAME_MAX_BYTES])
{
    if (path[1] < 0 || (size_t) path[1] >= f->n_message_type)
        return NULL;
    const Google__Protobuf__DescriptorProto *m = f->message_type[path[1]];
    bool good = append(name, m->name);
    for (*at = 2; good && *at + 1 < n && path[*at] == MESSAGE_NESTED; *at += 2) {
        if (path[*at + 1] < 0 || (size_t) path[*at + 1] >= m->n_nested_type)
            return NULL;
        m = m->nested_type[path[*at + 1]];
        good = append(name, m->name);
    }
    return good ? m : NULL;
}

static bool name_in_message(const Google__Protobuf__FileDescriptorProto *f, const int32_t *path,
                            size_t n, char name[static NAME_MAX_BYTES])
{
    size_t at;
    const Google__Protobuf__DescriptorProto *m = walk(f, path, n, &at, name);
    if (m == NULL || at == n)
        return m != NULL;
    return at + 2 == n && path[at] == MESSAGE_FIELD && path[at + 1] >= 0 &&
           (size_t) path[at + 1] < m->n_field && append(name, m->field[path[at + 1]]->name);
}

/* "pkg.Service.Method" of a location's path. */
static bool name_of(const Google__Protobuf__FileDescriptorProto *f, const int32_t *path, size_t n,
                    char name[static NAME_MAX_BYTES])
{
    snprintf(name, NAME_MAX_BYTES, "%s", f->package == NULL ? "" : f->package);
    if (n < 2 || n % 2 != 0)
        return false;
    if (path[0] == FILE_MESSAGE)
        return name_in_message(f, path, n, name);
    if (path[0] != FILE_SERVICE || path[1] < 0 || (size_t) path[1] >= f->n_service)
        return false;
    const Google__Protobuf__ServiceDescriptorProto *s = f->service[path[1]];
    if (!append(name, s->name))
        return false;
    return n == 2 || (n == 4 && path[2] == SERVICE_METHOD && path[3] >= 0 &&
                      (size_t) path[3] < s->n_method && append(name, s->method[path[3]]->name));
}

/* A comment as one paragraph: without line ends and the blanks around them. */
static char *tidy(struct notes *n, const char *text)
{
    size_t size = strlen(text), used = 0;
    char *out = arena_get(&n->arena, size + 1);
    if (out == NULL)
        return NULL;
    for (size_t i = 0; i < size; i++) {
        bool blank = text[i] == ' ' || text[i] == '\n' || text[i] == '\t' || text[i] == '\r';
        if (!blank)
            out[used++] = text[i];
        else if (used > 0 && out[used - 1] != ' ')
            out[used++] = ' ';
    }
    while (used > 0 && out[used - 1] == ' ')
        used--;
    out[used] = '\0';
    return out;
}

static int read_comments(struct notes *n, const Google__Protobuf__FileDescriptorProto *f)
{
    char name[NAME_MAX_BYTES];
    for (size_t i = 0; f->source_code_info != NULL && i < f->source_code_info->n_location; i++) {
        const Google__Protobuf__SourceCodeInfo__Location *l = f->source_code_info->location[i];
        const char *text = l->leading_comments != NULL ? l->leading_comments : l->trailing_comments;
        if (text == NULL || !name_of(f, l->path, l->n_path, name))
            continue;
        char *copy = tidy(n, text);
        if (copy == NULL || (*copy != '\0' && put(n, &n->comments, name, copy) < 0))
            return NRPC_E_NOMEM;
    }
    return 0;
}

/* ---- all ------------------------------------------------------------------------------- */

int notes_read(struct notes *n, const void *set, size_t size)
{
    memset(n, 0, sizeof *n);
    arena_init(&n->arena, 4096);
    Google__Protobuf__FileDescriptorSet *s =
        google__protobuf__file_descriptor_set__unpack(NULL, size, set);
    int r = s == NULL ? NRPC_E_PROTO : 0;
    for (size_t i = 0; r == 0 && i < s->n_file; i++) {
        const Google__Protobuf__FileDescriptorProto *f = s->file[i];
        for (size_t j = 0; r == 0 && j < f->n_message_type; j++)
            r = read_message(n, f->message_type[j], f->package == NULL ? "" : f->package, 0);
        if (r == 0)
            r = read_comments(n, f);
    }
    if (s != NULL)
        google__protobuf__file_descriptor_set__free_unpacked(s, NULL);
    if (r < 0)
        notes_done(n);
    return r;
}

void notes_done(struct notes *n)
{
    for (size_t i = 0; i < n->rules.count; i++)
        nrpc__field_rules__free_unpacked(n->rules.entries[i].value, NULL);
    map_done(&n->rules);
    map_done(&n->comments);
    arena_done(&n->arena);
    memset(n, 0, sizeof *n);
}

static void *look_up(const struct map *m, const char *full_name, const char *member)
{
    char name[NAME_MAX_BYTES];
    int w = snprintf(name, sizeof name, "%s%s%s", full_name, member == NULL ? "" : ".",
                     member == NULL ? "" : member);
    return w < 0 || (size_t) w >= sizeof name ? NULL : map_get(m, name, (size_t) w);
}

const char *notes_comment(const struct notes *n, const char *full_name, const char *member)
{
    return look_up(&n->comments, full_name, member);
}

const Nrpc__FieldRules *notes_rules(const struct notes *n, const char *message, const char *field)
{
    return look_up(&n->rules, message, field);
}
