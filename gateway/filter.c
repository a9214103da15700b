#include "gateway/filter.h"

#include <stdio.h>
#include <string.h>

#include "gateway/suggest.h"
#include "rpc/base/utf8.h"
#include "rpc/nrpc.h"

static int fail(char error[static 200], const char *path, size_t size, const char *what)
{
    snprintf(error, 200, "\"%.*s\" %.90s", (int) (size > 60 ? 60 : size), path, what);
    error[utf8_valid_prefix(error, strlen(error))] = '\0';
    return NRPC_E_PROTO;
}

static int unknown(char error[static 200], const struct desc_message *m, const char *path,
                   size_t size, struct suggest *s)
{
    char text[90];
    for (size_t i = 0; i < m->n_fields; i++)
        suggest_offer(s, m->fields[i].json_name);
    snprintf(text, sizeof text, "is no field of the answer%s%.48s%s",
             s->best == NULL ? "" : "; did you mean \"", s->best == NULL ? "" : s->best,
             s->best == NULL ? "" : "\"?");
    return fail(error, path, size, text);
}

static bool has_fields(const struct desc_field *f)
{
    return f->message != NULL && f->message->wkt == DESC_PLAIN && !f->map;
}

/* One path.  A node without children stands for the whole field, whatever paths lead below it. */
static int add_path(const char *path, size_t size, const struct desc_message *m,
                    struct arena *arena, struct filter **first, char error[static 200])
{
    const char *name = path, *end = path + size;
    bool fresh = true;
    for (size_t depth = 0;; depth++) {
        const char *dot = memchr(name, '.', (size_t) (end - name));
        size_t n = (size_t) ((dot == NULL ? end : dot) - name);
        struct suggest s;
        suggest_start(&s, name, n);
        const struct desc_field *f = desc_field_by_name(m, name, n);
        if (f == NULL)
            return unknown(error, m, path, size, &s);
        if (depth == FILTER_DEPTH_MAX)
            return fail(error, path, size, "is nested too deeply");
        struct filter *node = (struct filter *) filter_find(*first, f);
        fresh = node == NULL;
        if (fresh) {
            node = arena_zero(arena, 1, sizeof *node);
            if (node == NULL)
                return NRPC_E_NOMEM;
            *node = (struct filter){ .field = f, .next = *first };
            *first = node;
        }
        if (dot == NULL) {
            node->children = NULL;
            return 0;
        }
        if (!has_fields(f))
            return fail(error, path, size, "goes below a field that has none");
        if (!fresh && node->children == NULL)
            return 0; /* all of it is wanted already */
        m = f->message;
        first = &node->children;
        name = dot + 1;
    }
}

int filter_parse(const char *text, size_t size, const struct desc_message *m, struct arena *arena,
                 struct filter **out_filter, char error[static 200])
{
    struct filter *first = NULL;
    size_t paths = 0;
    if (size == 1 && *text == '*') {
        *out_filter = NULL;
        return 0;
    }
    for (const char *at = text, *end = text + size; at <= end;) {
        const char *comma = memchr(at, ',', (size_t) (end - at));
        size_t n = (size_t) ((comma == NULL ? end : comma) - at);
        if (paths++ == FILTER_PATHS_MAX)
            return fail(error, text, size, "names too many fields");
        int r = add_path(at, n, m, arena, &first, error);
        if (r < 0)
            return r;
        at += n + 1;
    }
    *out_filter = first;
    return 0;
}

const struct filter *filter_find(const struct filter *first, const struct desc_field *field)
{
    while (first != NULL && first->field != field)
        first = first->next;
    return first;
}
