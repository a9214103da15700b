/* options.c — see options.h.  Each source is read into raw values first; sources are then applied from the
 * weakest to the strongest, so that a value is checked the same way wherever it came from. */
#include "rpc/base/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "rpc/base/alloc.h"
#include "rpc/base/utf8.h"
#include "rpc/base/buf.h"

struct source {
    const char *what;         /* "flag --", "environment ", "FILE:" */
    const struct option *last_list; /* the list that this source has begun to fill */
};

static int complain(const struct options *o, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int complain(const struct options *o, const char *format, ...)
{
    va_list args;
    fprintf(stderr, "%s: ", o->program);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "\nTry '%s --help'.\n", o->program);
    return -1;
}

static const struct option *find(const struct options *o, const char *name, size_t size)
{
    for (size_t i = 0; i < o->count; i++)
        if (strlen(o->table[i].name) == size && memcmp(o->table[i].name, name, size) == 0)
            return &o->table[i];
    return NULL;
}

static void list_clear(struct option_list *l)
{
    for (size_t i = 0; i < l->count; i++)
        alloc_free(l->items[i]);
    alloc_free(l->items);
    *l = (struct option_list) { 0 };
}

static int list_add(struct option_list *l, const char *value, size_t size)
{
    char **items = alloc_resize(l->items, (l->count + 1) * sizeof *items);
    if (items == NULL)
        return -1;
    l->items = items;
    items[l->count] = alloc_strndup(value, size);
    if (items[l->count] == NULL)
        return -1;
    l->count++;
    return 0;
}

static bool is_choice(const char *choices, const char *value)
{
    size_t size = strlen(value);
    for (const char *p = choices; p != NULL; p = strchr(p, '|') != NULL ? strchr(p, '|') + 1 : NULL)
        if (strncmp(p, value, size) == 0 && (p[size] == '|' || p[size] == '\0'))
            return true;
    return false;
}

static int set_uint(const struct options *o, const struct option *t, const char *value, const char *where)
{
    char *end;
    errno = 0;
    unsigned long long n = strtoull(value, &end, 10);
    bool digits = value[0] >= '0' && value[0] <= '9' && *end == '\0' && errno == 0;
    if (!digits || n < t->min || n > t->max)
        return complain(o, "%s%s: '%s' is not a whole number from %llu to %llu", where, t->name, value,
                        (unsigned long long) t->min, (unsigned long long) t->max);
    *(uint64_t *) t->target = n;
    return 0;
}

static int set_bool(const struct options *o, const struct option *t, const char *value, const char *where)
{
    static const char *const yes[] = { "true", "yes", "on", "1" }, *const no[] = { "false", "no", "off", "0" };
    for (int i = 0; i < 4; i++) {
        if (strcmp(value, yes[i]) == 0 || strcmp(value, no[i]) == 0) {
            *(bool *) t->target = strcmp(value, yes[i]) == 0;
            return 0;
        }
    }
    return complain(o, "%s%s: '%s' is neither true nor false", where, t->name, value);
}

static int set_string(const struct options *o, const struct option *t, const char *value, const char *where)
{
    if (t->choices != NULL && !is_choice(t->choices, value))
        return complain(o, "%s%s: '%s' is none of %s", where, t->name, value, t->choices);
    char *copy = alloc_strdup(value);
    if (copy == NULL)
        return complain(o, "out of memory");
    alloc_free(*(char **) t->target);
    *(char **) t->target = copy;
    return 0;
}

/* Items are also separated by commas inside one value. */
static int set_list(const struct options *o, const struct option *t, const char *value, struct source *from)
{
    struct option_list *l = t->target;
    if (from->last_list != t) {
        list_clear(l);
        from->last_list = t;
    }
    while (*value != '\0') {
        size_t size = strcspn(value, ",");
        if (size > 0 && list_add(l, value, size) < 0)
            return complain(o, "out of memory");
        value += size;
        if (*value == ',')
            value++;
    }
    return 0;
}

static int set(const struct options *o, const struct option *t, const char *value, struct source *from)
{
    switch (t->kind) {
    case OPTION_UINT:
        return set_uint(o, t, value, from->what);
    case OPTION_BOOL:
        return set_bool(o, t, value, from->what);
    case OPTION_LIST:
        return set_list(o, t, value, from);
    case OPTION_STRING:
        break;
    }
    return set_string(o, t, value, from->what);
}

static int apply_defaults(const struct options *o)
{
    struct source from = { "default of --", NULL };
    for (size_t i = 0; i < o->count; i++)
        if (o->table[i].default_text != NULL && set(o, &o->table[i], o->table[i].default_text, &from) < 0)
            return -1;
    return 0;
}

/* ---- file: events of libyaml, a mapping of scalars and of lists of scalars; nothing deeper --------- */

static int apply_pair(const struct options *o, const char *path, const yaml_event_t *key, yaml_parser_t *p,
                      struct source *from)
{
    const struct option *t = find(o, (const char *) key->data.scalar.value, key->data.scalar.length);
    if (t == NULL)
        return complain(o, "%s:%zu: unknown setting '%s'", path, key->start_mark.line + 1, key->data.scalar.value);
    yaml_event_t value;
    bool in_list = false;
    do {
        if (!yaml_parser_parse(p, &value))
            return complain(o, "%s:%zu: %s", path, p->problem_mark.line + 1, p->problem);
        int r = 0;
        yaml_event_type_t type = value.type;
        if (type == YAML_SCALAR_EVENT)
            r = set(o, t, (const char *) value.data.scalar.value, from);
        else if (type == YAML_SEQUENCE_START_EVENT && !in_list && t->kind == OPTION_LIST)
            in_list = true;
        else if (type == YAML_SEQUENCE_END_EVENT)
            in_list = false;
        else
            r = complain(o, "%s:%zu: '%s' takes %s", path, value.start_mark.line + 1, t->name,
                         t->kind == OPTION_LIST ? "a value or a list of values" : "one value");
        yaml_event_delete(&value);
        if (r < 0)
            return r;
    } while (in_list);
    return 0;
}

static int apply_yaml(const struct options *o, const char *path, yaml_parser_t *p)
{
    bool in_mapping = false;
    struct buf what = { 0 };
    buf_printf(&what, "%s: ", path);
    struct source from = { buf_str(&what), NULL };
    int r = 0;
    for (bool done = false; !done && r == 0;) {
        yaml_event_t e;
        if (!yaml_parser_parse(p, &e)) {
            r = complain(o, "%s:%zu: %s", path, p->problem_mark.line + 1, p->problem);
            break;
        }
        if (e.type == YAML_STREAM_END_EVENT)
            done = true;
        else if (e.type == YAML_MAPPING_START_EVENT && !in_mapping)
            in_mapping = true;
        else if (e.type == YAML_SCALAR_EVENT && in_mapping)
            r = apply_pair(o, path, &e, p, &from);
        else if (e.type == YAML_SCALAR_EVENT || e.type == YAML_SEQUENCE_START_EVENT ||
                 e.type == YAML_MAPPING_START_EVENT || e.type == YAML_ALIAS_EVENT)
            r = complain(o, "%s:%zu: the file must be lines of 'name: value'", path, e.start_mark.line + 1);
        yaml_event_delete(&e);
    }
    buf_done(&what);
    return r;
}

static int apply_file(const struct options *o, const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return complain(o, "cannot read the settings file %s: %s", path, strerror(errno));
    yaml_parser_t parser;
    int r = -1;
    if (yaml_parser_initialize(&parser)) {
        yaml_parser_set_input_file(&parser, file);
        r = apply_yaml(o, path, &parser);
        yaml_parser_delete(&parser);
    }
    fclose(file);
    return r;
}

/* ---- environment ------------------------------------------------------------------------------------ */

static const char *env_name(const struct options *o, const char *option, struct buf *out)
{
    buf_reset(out);
    buf_printf(out, "%s_%s", o->env_prefix, option);
    for (size_t i = 0; i < out->size; i++) {
        char *c = (char *) &out->data[i];
        if (*c == '-')
            *c = '_';
        else if (*c >= 'a' && *c <= 'z')
            *c = (char) (*c - 'a' + 'A');
    }
    return buf_str(out);
}

static int apply_environment(const struct options *o)
{
    struct buf name = { 0 };
    int r = 0;
    for (size_t i = 0; i < o->count && r == 0; i++) {
        const char *value = getenv(env_name(o, o->table[i].name, &name));
        struct source from = { "environment, ", NULL };
        if (value != NULL)
            r = set(o, &o->table[i], value, &from);
    }
    buf_done(&name);
    return r;
}

/* ---- flags -------------------------------------------------------------------------------------------- */

struct own_flags {
    const char *config;
    bool check, help, version;
};

/* The value of argv[*i], whose name ends at `equals` or at its end; moves *i when the value is the next word. */
static const char *flag_value(int argc, char **argv, int *i, const char *equals, bool may_stand_alone)
{
    if (equals != NULL)
        return equals + 1;
    if (may_stand_alone)
        return "true";
    return *i + 1 < argc ? argv[++*i] : NULL;
}

static int apply_flag(const struct options *o, int argc, char **argv, int *i, struct own_flags *own,
                      struct source *from)
{
    const char *word = argv[*i];
    if (strcmp(word, "-h") == 0 || strcmp(word, "--help") == 0)
        return own->help = true, 0;
    if (strcmp(word, "--version") == 0)
        return own->version = true, 0;
    if (strcmp(word, "--check-config") == 0)
        return own->check = true, 0;
    if (strncmp(word, "--", 2) != 0 || word[2] == '\0')
        return complain(o, "'%s' is not a flag", word);
    const char *equals = strchr(word, '=');
    size_t size = equals != NULL ? (size_t) (equals - word) - 2 : strlen(word + 2);
    bool is_config = size == 6 && memcmp(word + 2, "config", 6) == 0;
    const struct option *t = find(o, word + 2, size);
    if (t == NULL && !is_config)
        return complain(o, "unknown flag '--%.*s'", (int) size, word + 2);
    const char *value = flag_value(argc, argv, i, equals, !is_config && t->kind == OPTION_BOOL);
    if (value == NULL)
        return complain(o, "--%.*s needs a value", (int) size, word + 2);
    if (is_config)
        return own->config = value, 0;
    return from == NULL ? 0 : set(o, t, value, from);
}

/* Twice: without `from` only to find --config and --help, then to apply. */
static int walk_flags(const struct options *o, int argc, char **argv, struct own_flags *own, bool apply)
{
    struct source from = { "--", NULL };
    for (int i = 1; i < argc; i++)
        if (apply_flag(o, argc, argv, &i, own, apply ? &from : NULL) < 0)
            return -1;
    return 0;
}

/* ---- output ------------------------------------------------------------------------------------------- */

static void print_help(const struct options *o)
{
    printf("%s\n\nUsage: %s\n\nOptions:\n", o->summary, o->usage);
    for (size_t i = 0; i < o->count; i++) {
        const struct option *t = &o->table[i];
        char left[64];
        snprintf(left, sizeof left, "--%s%s%s", t->name, t->kind == OPTION_BOOL ? "" : " ",
                 t->kind == OPTION_BOOL ? "" : t->value_name);
        printf("  %-28s %s", left, t->help);
        if (t->choices != NULL)
            printf(" (%s)", t->choices);
        if (t->default_text != NULL && *t->default_text != '\0')
            printf(" [%s]", t->default_text);
        printf("\n");
    }
    printf("  %-28s %s\n", "--config FILE", "Settings file: YAML, one 'name: value' a line, the flags' names.");
    printf("  %-28s %s\n", "--check-config", "Print the effective settings and exit.");
    printf("  %-28s %s\n  %-28s %s\n", "--version", "Print the version.", "--help", "Print this.");
    printf("\nEvery option can also be set as %s_NAME in the environment (capitals, '_' for '-').\n"
           "Flags win over the environment, the environment over the file, the file over defaults.\n",
           o->env_prefix);
    if (o->epilogue != NULL)
        printf("\n%s\n", o->epilogue);
}

/* What YAML would not take as it stands, or would fold into a blank. */
static bool needs_escape(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c <= 0xa0) || c == 0x2028 || c == 0x2029 || c == 0xfeff ||
           c == 0xfffe || c == 0xffff;
}

static void print_quoted(const char *s, FILE *out)
{
    fputc('"', out);
    for (size_t left = strlen(s), n; left > 0; s += n, left -= n) {
        uint32_t c = utf8_decode(s, left, &n);
        if (needs_escape(c)) {
            fprintf(out, "\\u%04x", (unsigned) c);
            continue;
        }
        if (c == '"' || c == '\\')
            fputc('\\', out);
        fwrite(s, 1, n, out);
    }
    fputc('"', out);
}

void options_print(const struct options *o, FILE *out)
{
    for (size_t i = 0; i < o->count; i++) {
        const struct option *t = &o->table[i];
        fprintf(out, "%s:", t->name);
        if (t->kind == OPTION_UINT) {
            fprintf(out, " %llu", (unsigned long long) *(uint64_t *) t->target);
        } else if (t->kind == OPTION_BOOL) {
            fprintf(out, " %s", *(bool *) t->target ? "true" : "false");
        } else if (t->kind == OPTION_LIST) {
            const struct option_list *l = t->target;
            for (size_t k = 0; k < l->count; k++) {
                fputs("\n  - ", out);
                print_quoted(l->items[k], out);
            }
            if (l->count == 0)
                fputs(" []", out);
        } else {
            const char *s = *(char **) t->target;
            fputc(' ', out);
            print_quoted(s == NULL ? "" : t->secret ? "***" : s, out);
        }
        fputc('\n', out);
    }
}

void options_done(const struct options *o)
{
    for (size_t i = 0; i < o->count; i++) {
        const struct option *t = &o->table[i];
        if (t->kind == OPTION_LIST) {
            list_clear(t->target);
        } else if (t->kind == OPTION_STRING) {
            alloc_free(*(char **) t->target);
            *(char **) t->target = NULL;
        }
    }
}

enum options_result options_parse(const struct options *o, int argc, char **argv)
{
    struct own_flags own = { 0 };
    if (walk_flags(o, argc, argv, &own, false) < 0)
        return OPTIONS_BAD;
    if (own.help) {
        print_help(o);
        return OPTIONS_DONE;
    }
    if (own.version) {
        printf("%s %s\n", o->program, o->version);
        return OPTIONS_DONE;
    }
    struct buf name = { 0 };
    const char *path = own.config != NULL ? own.config : getenv(env_name(o, "config", &name));
    int r = apply_defaults(o);
    if (r == 0 && path != NULL && *path != '\0')
        r = apply_file(o, path);
    buf_done(&name);
    if (r < 0 || apply_environment(o) < 0 || walk_flags(o, argc, argv, &own, true) < 0)
        return OPTIONS_BAD;
    if (own.check) {
        options_print(o, stdout);
        return OPTIONS_CHECKED;
    }
    return OPTIONS_RUN;
}
